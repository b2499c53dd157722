/* The memory account: one number that bounds every allocator of the process (DESIGN 3.3).
 *
 * All of our allocations and those of SQLite, nghttp2, OpenSSL, jansson, libcurl, libevent,
 * protobuf-c and the codecs go through here, each under a component, so that /metrics can say
 * who holds what. Sizes are what malloc really gave (malloc_usable_size), so freeing needs no
 * header of ours. Beyond the limit an allocation fails with NULL (of MW_MEM_QUERY beyond half of
 * the ceiling, so that no question takes memory from exports and alarms); what must not fail
 * (start-up, a few bytes on a shutdown path) uses the _or_die forms, which are counted but never
 * refused.
 * Any thread; counters are relaxed atomics.
 */
#ifndef MW_BASE_MEMORY_H
#define MW_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

typedef enum mw_component {
    MW_MEM_BASE, /* logs, options, threads, queues */
    MW_MEM_NET,  /* connections, request bodies, small answers */
    MW_MEM_NGHTTP2,
    MW_MEM_TLS,    /* OpenSSL */
    MW_MEM_EVENT,  /* libevent */
    MW_MEM_INGEST, /* decode, resolve, blocks on their way to disk */
    MW_MEM_STORE,  /* index of the segments */
    MW_MEM_MERGE,  /* merging: plan, blocks under assembly, footers */
    MW_MEM_ROLLUP, /* roll-ups in memory: the unmerged tail's, a question's */
    MW_MEM_QUERY,  /* answers, from their first byte put together to the last one written */
    MW_MEM_STATE,  /* state jobs and rows in flight */
    MW_MEM_SQLITE,
    MW_MEM_JSON, /* jansson */
    MW_MEM_CURL,
    MW_MEM_CODEC, /* zlib, zstd, lz4 */
    MW_MEM_COMPONENTS
} mw_component;

/* 512 MiB: DESIGN 3.3's default of `memory_limit`. */
#define MW_MEMORY_LIMIT_DEFAULT ((size_t)512 << 20)

/* Sets the limit; 0 means unlimited (tests, the CLI). Any time: what is held stays held. */
void mw_memory_init(size_t limit_bytes);

MW_MUST_USE void *mw_alloc(mw_component component, size_t size);
MW_MUST_USE void *mw_calloc(mw_component component, size_t count, size_t size);
/* NULL leaves the old block as it was. `pointer` may be NULL. */
MW_MUST_USE void *mw_realloc(mw_component component, void *pointer, size_t size);
/* NULL is ignored. The component must be the one it was allocated under. */
void mw_free(mw_component component, void *pointer);

/* Room for `count` elements of `size` bytes in a growing array, half as much again ahead, contents
 * kept. `array` is the address of its pointer, NULL at first with a capacity of 0. False without
 * memory, and nothing has changed. */
MW_MUST_USE bool mw_have_room(mw_component component, void *array, size_t *capacity, size_t count,
                              size_t size);

/* Never NULL: aborts when the system has no memory, ignores our limit. */
void *mw_alloc_or_die(mw_component component, size_t size) __attribute__((returns_nonnull));
void *mw_calloc_or_die(mw_component component, size_t count, size_t size)
    __attribute__((returns_nonnull));

size_t mw_memory_limit(void);
/* What all questions (MW_MEM_QUERY) may use together; SIZE_MAX without a limit. */
size_t mw_memory_query_share(void);
size_t mw_memory_used(void);
size_t mw_memory_peak(void);
size_t mw_memory_component_used(mw_component component);
const char *mw_component_name(mw_component component);

/* What all but one request may use together: the limit less the reservation. SIZE_MAX without a
 * limit. */
size_t mw_memory_ceiling(void);
/* True when `size` more bytes would still leave what lets running requests finish (an eighth of
 * the ceiling): the test for taking on new work. Always true on a thread in the reservation. */
bool mw_memory_admits(size_t size);
/* The same with `left` instead of the eighth. */
bool mw_memory_leaves(size_t size, size_t left);

/* ---- the reservation -------------------------------------------------------------------------
 *
 * A part of the limit is kept for one request at a time, so that a maximal one gets through
 * whatever the others hold. Who gets it is decided in lib/net/admission.c; the account only keeps
 * the others out. Allocations under _use are the request's, on that thread; what it still holds at
 * _end counts as everybody's from then on. */

/* At start; 0 = none. Never more than three quarters of the limit. */
void mw_memory_reserve(size_t bytes);
/* True when nobody uses it and others do not reach into it: it can be given away in full. */
bool mw_memory_reservation_free(void);
/* From here on, or no longer, this thread allocates for the request that has it. */
void mw_memory_reservation_use(bool on);
/* It is given back; ends _use as well. */
void mw_memory_reservation_end(void);

/* Tests: the n-th allocation from now fails (1 = the next one); 0 switches it off. */
void mw_memory_fail_at(uint64_t countdown);

#endif
