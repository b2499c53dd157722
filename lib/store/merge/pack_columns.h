/* The columns of a merged block, gathered from the rows of other blocks.
 *
 * Each distinct string and trace id of the result gets a number; a source's references are turned
 * into these through a table, filled when a reference is first met, so that a string is looked up
 * once a source and not once a row. Columns stand in arrays until all rows are there; then they are
 * laid out as the hot chunk that segment_format.h draws, of many commits. Memory is MW_MEM_MERGE.
 */
#ifndef MW_STORE_PACK_COLUMNS_H
#define MW_STORE_PACK_COLUMNS_H

#include "lib/store/format/byte_table.h"
#include "lib/store/format/hot_layout.h"
#include "lib/store/format/number_sort.h"

typedef struct mw_pack_columns {
    const mw_hot_layout *layout;
    mw_signal signal;
    uint32_t rows;
    unsigned char *cells; /* all of them, in one piece */
    size_t cells_room;
    uint64_t *wide[MW_WIDE_COLUMNS]; /* ids as bytes; TIME and SEQ as they are, not yet less the
                                      * lowest */
    unsigned char *narrow[MW_NARROW_COLUMNS];
    uint32_t *refs[MW_HOT_COLUMNS]; /* 1 + number in `strings`, 0 = empty; the trace: number in
                                     * `traces` */
    mw_byte_table strings, traces;
    uint32_t *string_map, *trace_map; /* of the present source: 1 + number, 0 = not met */
    uint32_t string_map_room, trace_map_room;
    mw_sort_scratch sort;
} mw_pack_columns;

/* Begins zeroed. MW_E_NOMEM: still to be finished. */
MW_MUST_USE mw_err mw_pack_columns_init(mw_pack_columns *columns, mw_signal signal, uint32_t rows);
/* Begins anew, with the memory of the block before. Errors likewise. */
MW_MUST_USE mw_err mw_pack_columns_again(mw_pack_columns *columns, uint32_t rows);
void mw_pack_columns_fini(mw_pack_columns *columns);
size_t mw_pack_columns_size(const mw_pack_columns *columns);

/* Row rows[i] of `hot` becomes row places[i]. MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_pack_columns_add(mw_pack_columns *columns, const mw_hot *hot,
                                       const uint32_t *rows, const uint32_t *places, size_t count);

/* All rows are there: what the header says of them (event times, the lowest sequence, errors). */
void mw_pack_columns_summarize(const mw_pack_columns *columns, mw_block_header *header);
/* Lays them out; *raw is the caller's (MW_MEM_MERGE), header->hot_raw its length. MW_E_NOMEM,
 * MW_E_LIMIT. */
MW_MUST_USE mw_err mw_pack_columns_lay_out(mw_pack_columns *columns, mw_block_header *header,
                                           unsigned char **raw);

#endif
