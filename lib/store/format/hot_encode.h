/* The hot chunk of a batch. Half of mw_block_encode; see block_encode.c for the other. */
#ifndef MW_STORE_HOT_ENCODE_H
#define MW_STORE_HOT_ENCODE_H

#include "lib/store/format/block.h"

/* The chunk, unpacked, as segment_format.h draws it: *raw is MW_MEM_INGEST and the caller's.
 * header->event_min_ns is read and header->hot_raw set. MW_E_NOMEM, MW_E_LIMIT
 * (MW_BLOCK_RAW_MAX). */
MW_MUST_USE mw_err mw_hot_encode(const mw_store_batch *batch, mw_block_header *header,
                                 unsigned char **raw);

#endif
