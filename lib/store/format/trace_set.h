/* A set of trace ids, numbered in order of insertion; also asked by mw_trace_key alone.
 *
 * Open addressing with a secret seed, so that a sender's choice of ids cannot pile up.
 * MW_MEM_QUERY; one thread at a time.
 */
#ifndef MW_STORE_TRACE_SET_H
#define MW_STORE_TRACE_SET_H

#include "lib/store/store.h"

typedef uint8_t mw_trace_id[MW_TRACE_ID_SIZE];

typedef struct mw_trace_set {
    mw_trace_id *ids;
    size_t count, capacity;
    uint32_t *slots; /* 1 + number; twice the capacity */
    uint64_t *keys;  /* distinct keys, the same size */
    bool has_key_0;  /* 0 marks a free place in `keys` */
    uint64_t seed;
} mw_trace_set;

void mw_trace_set_init(mw_trace_set *set, uint64_t seed);
void mw_trace_set_fini(mw_trace_set *set);
/* The id's number, new or old. MW_E_NOMEM, MW_E_LIMIT (2^31). */
MW_MUST_USE mw_err mw_trace_set_add(mw_trace_set *set, const uint8_t *id, uint32_t *number);
/* The id will be added or found soon: its places come into the cache meanwhile. */
void mw_trace_set_fetch(const mw_trace_set *set, const uint8_t *id);
bool mw_trace_set_find(const mw_trace_set *set, const uint8_t *id, uint32_t *number);
/* Does an id of the set begin with these eight bytes? */
bool mw_trace_set_has_key(const mw_trace_set *set, uint64_t key);
size_t mw_trace_set_bytes(const mw_trace_set *set);

#endif
