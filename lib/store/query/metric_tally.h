/* What the points of a few metrics add up to: series, points, services, first and last time.
 *
 * Exact, in bounded memory, however many points there are. Series are told apart by their hashes,
 * in as many passes as their number needs. Points mostly arrive in the order of their times: one
 * that is later than all before it of its series is new for certain, and nothing need be
 * remembered but that time. The others are doubtful. Their identities are collected (in parts by
 * hash when they are many), and a second pass takes away those that came first as a certain one.
 * Tried on paper and dropped: all identities in one set, 16 bytes a point and a pass over all
 * columns for every 2 million points.
 */
#ifndef MW_STORE_METRIC_TALLY_H
#define MW_STORE_METRIC_TALLY_H

#include "lib/store/format/key_set.h"
#include "lib/store/query/gather.h"
#include "lib/store/query/point_filter.h"

/* A metric: one name, kind and unit. The texts as mw_text_key. */
typedef struct mw_metric_id {
    uint64_t name, unit;
    uint8_t kind;
} mw_metric_id;

typedef struct mw_metric_tally {
    mw_metric_id id;
    mw_metric_summary summary; /* numbers and services; name, unit, kind are left alone */
    size_t service_capacity;
    /* while counting */
    uint64_t certain, doubtful, refuted;
} mw_metric_tally;

/* Negative when a stands before b: the order that _run wants. */
int mw_metric_id_compare(const mw_metric_id *a, const mw_metric_id *b);
/* `tallies` zero but for the ids, ascending and distinct. Lists and texts of services are in the
 * arena. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_metric_tally_run(mw_store_view *view, mw_point_filter *filter,
                                       mw_metric_tally *tallies, size_t count, mw_arena *arena);

#endif
