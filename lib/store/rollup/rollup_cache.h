/* Roll-ups of merged segments, kept as the bytes that their footers hold.
 *
 * Belongs to the tail. A question needs those of all segments whose minutes meet its window: after
 * the first one nothing is read from disk. Bounded: beyond MW_ROLLUP_CACHE_MAX, of all spaces
 * together (tail_share.h), what was used longest ago is forgotten and read again. Any thread: a
 * mutex guards the table, and is not held while anything is read or added up; bytes live as long as
 * someone uses them. MW_MEM_ROLLUP.
 */
#ifndef MW_STORE_ROLLUP_CACHE_H
#define MW_STORE_ROLLUP_CACHE_H

#include <pthread.h>

#include "lib/store/rollup/rollup.h"
#include "lib/store/store_int.h"

/* About 20 KB a million spans for a dozen services: a day and more at 5 k spans/s. Less where the
 * memory limit is small: a 32nd of its ceiling. */
#define MW_ROLLUP_CACHE_MAX ((size_t)16 << 20)

typedef struct mw_rollup_blob {
    size_t users; /* the cache is one */
    size_t len;
    char data[];
} mw_rollup_blob;

typedef struct mw_rollup_cached {
    uint64_t segment;
    mw_rollup_range range;
    mw_rollup_blob *bytes; /* NULL: forgotten, or empty */
    uint64_t used, seen;   /* by the cache's count: its bytes; the segment in a view */
    bool damaged;          /* cannot be read; logged once, and counted in each answer */
} mw_rollup_cached;

typedef struct mw_rollup_cache {
    pthread_mutex_t lock;
    mw_rollup_cached *items; /* ascending by segment */
    size_t count, capacity;
    size_t bytes;
    uint64_t uses;
} mw_rollup_cache;

void mw_rollup_cache_init(mw_rollup_cache *cache);
void mw_rollup_cache_fini(mw_rollup_cache *cache);
/* Adds the minutes of [since, until) of the view's merged segments to `into`; those that cannot be
 * read are counted there (into->unread). MW_E_NOMEM, MW_E_TIMEOUT (the view's stop, asked before
 * each segment). */
MW_MUST_USE mw_err mw_rollup_cache_add(mw_rollup_cache *cache, mw_store_view *view,
                                       uint64_t since_ns, uint64_t until_ns, mw_rollup *into);
/* The last minute not after `limit` in which a span of a merged segment starts; *found is false
 * when there is none. Errors as above. */
MW_MUST_USE mw_err mw_rollup_cache_newest(mw_rollup_cache *cache, mw_store_view *view,
                                          uint32_t limit, uint32_t *minute, bool *found);

#endif
