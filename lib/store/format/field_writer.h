/* Items into their fields: the writing half of item_fields.h, which draws the result.
 *
 * Items come in any order, each with its place. They are cut and their fields numbered at once;
 * what is kept of an item is the list of its fields. Tokens are made at the end, when the order is
 * known. Memory is MW_MEM_MERGE. One thread at a time.
 */
#ifndef MW_STORE_FIELD_WRITER_H
#define MW_STORE_FIELD_WRITER_H

#include "lib/store/format/byte_table.h"
#include "lib/store/format/item_fields.h"

#define MW_FIELDS_RECENT_BITS 11u

/* With what the table says of it, so that nothing else of the table is read where it is met. */
typedef struct mw_field_recent {
    uint32_t field; /* 0 = none */
    mw_byte_entry entry;
} mw_field_recent;

typedef struct mw_field_writer {
    mw_byte_table table; /* number in the table + row_fields + 1 = field */
    uint32_t *next;      /* by field: the one that followed it last */
    uint32_t *numbers;   /* by field, in finishing: its number in the chunk */
    uint32_t next_room;
    uint32_t row_fields, rows, rows_room;
    uint32_t *list; /* fields of all items, each item's ended by 0 */
    size_t listed, list_room;
    uint32_t *from; /* by place: where its fields begin in `list` */
    uint32_t *raw;  /* numbers in the table that are no protobuf fields, ascending */
    uint32_t raw_count, raw_room;
    mw_field_recent recent[1u << MW_FIELDS_RECENT_BITS]; /* by their last bytes */
    uint64_t bytes;                                      /* of all items */
    uint32_t *cut; /* by field of the present source in fields: 0 = not met, else here */
    uint32_t cut_room;
} mw_field_writer;

/* Begins zeroed. MW_E_NOMEM: still to be finished. */
MW_MUST_USE mw_err mw_field_writer_init(mw_field_writer *writer, mw_signal signal, uint32_t rows);
/* Begins anew, with the memory of the block before. Errors likewise. */
MW_MUST_USE mw_err mw_field_writer_again(mw_field_writer *writer, uint32_t rows);
void mw_field_writer_fini(mw_field_writer *writer);
size_t mw_field_writer_size(const mw_field_writer *writer);

/* `told` are the fields of the item's row. MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_field_writer_add(mw_field_writer *writer, uint32_t place,
                                       const mw_row_fields *told, mw_slice item);

/* The same for items that are cut already, of a chunk in fields: once for the chunk, then for each
 * row, as long as the writer takes them (else they have to be put together and cut anew). The row's
 * columns say the same in both blocks. */
MW_MUST_USE mw_err mw_field_writer_begin_cut(mw_field_writer *writer, const mw_fields *source);
bool mw_field_writer_takes_cut(const mw_field_writer *writer);
MW_MUST_USE mw_err mw_field_writer_add_cut(mw_field_writer *writer, uint32_t place,
                                           const mw_fields *source, uint32_t row);

/* Room for the tokens in the worst case, and bytes of the dictionary. */
size_t mw_field_writer_token_room(const mw_field_writer *writer);
size_t mw_field_writer_dictionary(const mw_field_writer *writer);
/* Writes the tokens to `tokens`, their length to *len, and the dictionary, in the order of the
 * tokens, to `dictionary`; all places were added. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_field_writer_finish(mw_field_writer *writer, unsigned char *tokens,
                                          size_t *len, unsigned char *dictionary);
/* Calls for each distinct protobuf field. */
void mw_field_writer_each(const mw_field_writer *writer, void (*field)(void *ctx, mw_slice bytes),
                          void *ctx);
/* The bytes of an item again, a field after the other; `told` as at _add. */
void mw_field_writer_item(const mw_field_writer *writer, uint32_t place, const mw_row_fields *told,
                          void (*put)(void *ctx, mw_slice bytes), void *ctx);

#endif
