/* The pieces that a merged segment keeps (trace_pieces.h): those of spans, then those of log
 * records. Published once, immutable then. */
#ifndef MW_STORE_PIECE_LIST_H
#define MW_STORE_PIECE_LIST_H

#include "lib/store/segment/trace_pieces.h"

typedef struct mw_piece_list {
    size_t bytes, spans, count;
    mw_trace_piece items[];
} mw_piece_list;

void mw_piece_list_free(mw_piece_list *list); /* NULL is ignored */

#endif
