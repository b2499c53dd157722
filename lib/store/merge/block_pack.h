/* A merged block out of rows of other blocks: columns and items, packed harder.
 *
 * Rows come source block by source block, each with the place that it will have; nothing of a
 * source is needed after its rows were added. Strings are looked up once a source block, not once
 * a row. The columns' numbers are laid out by byte planes and packed with zstd ("planes",
 * hot_planes.h); items are cut into their fields, of which equal ones are kept once ("fields",
 * item_fields.h), and packed with zstd. What comes back is byte for byte what was sent. Used by the
 * merger's thread; memory is MW_MEM_MERGE.
 */
#ifndef MW_STORE_BLOCK_PACK_H
#define MW_STORE_BLOCK_PACK_H

#include "lib/store/segment/items_walk.h"

/* Rows of a merged block. More pack better and cost more to read for one trace. */
#define MW_PACK_ROWS 8192u
/* Bytes of items that a merged block aims at; a single longer row stands in a block of its own,
 * whose items are packed in pieces. */
#define MW_PACK_BYTES ((size_t)4 << 20)

typedef struct mw_block_pack mw_block_pack;

/* `rows`: how many will be added, 1 to 2^24. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_block_pack_new(mw_signal signal, uint32_t rows, mw_block_pack **out);
/* After _finish: begins anew for another block of the signal, with the memory that there is. Blocks
 * of a merge are much alike. MW_E_NOMEM: still to be freed. */
MW_MUST_USE mw_err mw_block_pack_again(mw_block_pack *pack, uint32_t rows);
void mw_block_pack_free(mw_block_pack *pack); /* NULL is ignored */

/* Where rows[i] of the source goes: places[i], each of 0 to rows - 1 exactly once over all calls.
 * `rows` ascend; the walk stands at its beginning and is left behind the last of them.
 * `header` is the source's. MW_E_NOMEM, MW_E_LIMIT (over MW_BLOCK_RAW_MAX unpacked), MW_E_IO,
 * MW_E_CORRUPT: the pack is of no more use then. */
MW_MUST_USE mw_err mw_block_pack_add(mw_block_pack *pack, const mw_block_header *header,
                                     const mw_hot *hot, mw_items_walk *walk, const uint32_t *rows,
                                     const uint32_t *places, size_t count);

/* Bytes of memory that the pack holds by now. */
size_t mw_block_pack_bytes(const mw_block_pack *pack);

/* All rows are there: packs them. The header lacks place and `synced` (mw_block_seal). out->entry
 * has the keys of all columns, with `key_seed`. MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_block_pack_finish(mw_block_pack *pack, uint64_t key_seed,
                                        mw_encoded_block *out);

/* Calls for each distinct field of the items (the field's bytes with its tag), after _finish and
 * before _free: what filters are made of (attribute_filter.h). */
void mw_block_pack_each_field(const mw_block_pack *pack, void (*field)(void *ctx, mw_slice bytes),
                              void *ctx);
/* Likewise for each distinct resource and scope: the message, without its schema URL. */
void mw_block_pack_each_context(const mw_block_pack *pack,
                                void (*context)(void *ctx, mw_slice message), void *ctx);
/* The columns of the block, after _finish; valid until _again and _free. */
const mw_hot *mw_block_pack_hot(const mw_block_pack *pack);

#endif
