/* Room-private: reading a request into a batch, item by item.
 *
 * export_batch.c reads the request; batch_spans.c, batch_logs.c and batch_points.c each say what a
 * row of their signal holds; batch_items.c has the tables, which all signals share. Everything runs
 * on the network loop's thread, within one mw_export_batch_read.
 */
#ifndef MW_COLLECTOR_BATCH_INT_H
#define MW_COLLECTOR_BATCH_INT_H

#include "collector/export_int.h"
#include "collector/resolve.h"

#define MW_NO_INDEX UINT32_MAX

typedef struct mw_batch_reader {
    mw_export_batch *batch;
    const mw_export_input *input;
    uint64_t seed; /* against resources that are made to collide */
    /* The resource and scope that the next items are below, and what they say. In the batch's
     * tables, MW_NO_INDEX until an item needs them: a request full of empty envelopes costs
     * nothing. */
    mw_store_context resource, scope;
    mw_resolve_place resource_place, scope_place;
    mw_resolve_around around; /* points to the two places above */
    uint32_t resource_index, scope_index;
    /* METRICS: the same for the metric; hashes as series.h has them, 0 = not computed yet. */
    mw_scan_metric metric;
    uint32_t metric_index;
    uint64_t resource_series, scope_series, metric_series;
    mw_buffer head; /* the metric's head while it is compared */
    /* Whose items come next, once there is one: of the batch's tallies, or `unlisted`. */
    mw_sender_tally *tally;
    mw_sender_tally unlisted;
    size_t items_before; /* items, and odd times, of senders before this one */
    uint64_t odd_before;
} mw_batch_reader;

/* Tables for so many items. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_batch_grow(mw_export_batch *batch, size_t capacity);
/* What has come since its first item was its sender's. */
void mw_batch_leave_sender(mw_batch_reader *reader);
/* The next item of the batch with bytes, resource and scope filled in; *row is its row of
 * signal->row_size bytes, not filled in. MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_batch_next(mw_batch_reader *reader, mw_slice bytes, mw_store_item **item,
                                 void **row);

static inline uint8_t mw_byte_or_beyond(uint32_t number, uint32_t largest)
{
    return number <= largest ? (uint8_t)number : 255;
}

/* Notes that an item has got a text or a count, and by which key: the place that speaks first. */
static inline void mw_batch_understood(mw_batch_reader *reader, const mw_resolve_place *item,
                                       mw_understood_what what, bool has)
{
    if (!has)
        return;
    mw_understood *understood = &reader->tally->understood[what];
    mw_resolve_field field = mw_understood_field(what);
    const uint8_t ranks[] = {item->rank[field], reader->resource_place.rank[field],
                             reader->scope_place.rank[field]};
    unsigned rank = ranks[0] != MW_RESOLVE_NO_RANK   ? ranks[0]
                    : ranks[1] != MW_RESOLVE_NO_RANK ? ranks[1]
                                                     : ranks[2];
    understood->items++;
    if (rank < 32)
        understood->ranks |= 1u << rank;
}

/* The sink's calls (proto/scan.h); ctx is a reader. */
mw_err mw_batch_take_span(void *ctx, const mw_scan_span *span);
mw_err mw_batch_take_log(void *ctx, const mw_scan_log *log);
mw_err mw_batch_take_metric(void *ctx, const mw_scan_metric *metric);
mw_err mw_batch_take_point(void *ctx, const mw_scan_point *point);

#endif
