/* How long the items of a block are, without reading them: what cutting output blocks needs.
 *
 * The lengths stand in front of an item chunk. Of a chunk packed as one lz4 block only the front is
 * unpacked (about a fiftieth of the work); others are walked. What comes back is not checked
 * against the chunk's checksum: whoever reads the items later does that.
 */
#ifndef MW_STORE_ITEM_LENGTHS_H
#define MW_STORE_ITEM_LENGTHS_H

#include "lib/store/store_int.h"

/* header.item_count lengths of `block` to `out`, with the view's readers. MW_E_CORRUPT, MW_E_IO,
 * MW_E_NOMEM, MW_E_TIMEOUT. */
MW_MUST_USE mw_err mw_item_lengths(mw_store_view *view, const mw_index_block *block, uint32_t *out);

#endif
