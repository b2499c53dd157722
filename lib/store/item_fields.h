/* The codec "fields" of item chunks: items cut into their top-level protobuf fields, of which equal
 * ones are kept once, then one zstd frame.
 *
 * TODO-BY-OWNER: the drawing of the unpacked form goes here, complete enough for a stranger.
 */
#ifndef MW_STORE_ITEM_FIELDS_H
#define MW_STORE_ITEM_FIELDS_H

#include "lib/store/block.h"

#endif
