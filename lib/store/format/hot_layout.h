/* Where the columns of a hot chunk come from and go to: the one table behind encoding and decoding.
 *
 * segment_format.h draws the order in the file; here each column also knows where its value stands
 * in the signal's row struct, so that both ways are loops over columns. Constant; any thread.
 */
#ifndef MW_STORE_HOT_LAYOUT_H
#define MW_STORE_HOT_LAYOUT_H

#include "lib/store/format/block.h"

/* Offsets in the row struct, by column; meaningful for the columns that `columns` lists. */
typedef struct mw_row_layout {
    mw_hot_layout columns;
    uint16_t row_size;
    uint16_t wide[MW_WIDE_COLUMNS]; /* TIME: the event time itself; DURATION: the span's end */
    uint16_t narrow[MW_NARROW_COLUMNS];
    uint16_t refs[MW_HOT_COLUMNS]; /* TRACE: the id's 16 bytes; else the slice */
} mw_row_layout;

/* NULL for a number that is no signal. */
const mw_row_layout *mw_row_layout_of(unsigned signal);

/* Bytes of one item in the columns that have no reference. */
static inline uint32_t mw_hot_fixed(const mw_hot_layout *layout, bool many_commits)
{
    return 8u * (layout->wide_count + (many_commits ? 2u : 0u)) + layout->narrow_count;
}

/* Does the signal have a trace column? It is the first reference then. */
static inline bool mw_hot_has_traces(const mw_hot_layout *layout)
{
    return layout->refs[0] == MW_HOT_TRACE;
}

/* Bytes of one item in the item chunk's tables: length, resource, scope, and a point's head. */
static inline uint32_t mw_items_fixed(unsigned signal)
{
    return signal == MW_SIGNAL_METRICS ? 16u : 12u;
}

#endif
