/* The data points of a window by series, as numbers that can be compared over time.
 *
 * A gauge is its value; a cumulative counter becomes a rate a second between two points, a
 * histogram or summary the mean of what it took in between; a reset gives no number. When more
 * points lie in the window than the table holds, whole series are left out by hash. Memory is the
 * arena's (names) and the table's. One thread.
 */
#ifndef MW_TRIAGE_POINT_TABLE_H
#define MW_TRIAGE_POINT_TABLE_H

#include "lib/base/arena.h"
#include "lib/store/window.h"

/* 40 bytes each: 10 MiB; some two thousand series over an hour at 30 s. */
#define MW_POINT_TABLE_POINTS ((size_t)1 << 18)
#define MW_POINT_TABLE_SERIES 16384

typedef struct mw_point_fact {
    uint32_t series;
    uint64_t time_ns;
    double value;
} mw_point_fact;

typedef struct mw_series_fact {
    mw_slice service, name, unit;
    size_t first, count; /* in points, by time */
} mw_series_fact;

typedef struct mw_point_table {
    mw_series_fact *series; /* by service, name, unit, then as they came */
    size_t series_count;
    mw_point_fact *points; /* MW_MEM_QUERY */
    size_t count;
    unsigned sampled;
    uint64_t left_out; /* for want of room for their series */
} mw_point_table;

/* MW_E_NOMEM and what mw_store_each_point returns; nothing is to be freed then. */
MW_MUST_USE mw_err mw_point_table_read(mw_store_view *view, const mw_store_window *window,
                                       mw_arena *arena, mw_point_table *out);
void mw_point_table_fini(mw_point_table *table);

#endif
