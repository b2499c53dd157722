/* Which traces recent merged segments may hold: a filter a segment, in memory.
 *
 * Merging and the tail ask each recent segment about every trace that is new to them, and mostly
 * the answer is no. A directory answers with a page read for nearly each key; a filter (a Bloom
 * filter of 64-bit words, 16 bits a key and more, 4 of them set) answers all but about one in 200
 * from memory. Made from the directory when it is first of use, kept while there is room, forgotten
 * by last use. Any thread, a mutex guards it; MW_MEM_MERGE.
 */
#ifndef MW_STORE_TRACE_FILTERS_H
#define MW_STORE_TRACE_FILTERS_H

#include <pthread.h>

#include "lib/store/segment/segment_footer.h"

/* Of all filters: 20 minutes at 100 k spans/s, 16 to a trace. Less where the memory limit is
 * small: a 32nd of its ceiling. */
#define MW_TRACE_FILTERS_MAX ((size_t)16 << 20)
/* Fewer keys are looked up rather than a filter made for them. */
#define MW_TRACE_FILTER_KEYS 16u

typedef struct mw_trace_filter {
    uint64_t segment;
    uint64_t used;
    uint64_t *words;
    unsigned shift; /* 64 - log2 of how many */
} mw_trace_filter;

typedef struct mw_trace_filters {
    pthread_mutex_t lock;
    uint64_t seed; /* random: nobody can make ids that pass all the same */
    mw_trace_filter *items;
    size_t count, capacity;
    size_t bytes;
    uint64_t uses;
} mw_trace_filters;

void mw_trace_filters_init(mw_trace_filters *filters);
void mw_trace_filters_fini(mw_trace_filters *filters);
/* Copies those of the ascending keys that the merged segment may hold to `out`, in order. Without
 * memory for a filter that is all of them. MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_trace_filters_narrow(mw_trace_filters *filters, const mw_segment *segment,
                                           const uint64_t *keys, size_t count, uint64_t *out,
                                           size_t *kept);

#endif
