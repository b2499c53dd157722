/* Resources, scopes and metric heads of a merged block, equal ones kept once whatever source they
 * come from, and which of them each row has. Memory is MW_MEM_MERGE. One thread at a time.
 */
#ifndef MW_STORE_PACK_CONTEXTS_H
#define MW_STORE_PACK_CONTEXTS_H

#include "lib/store/format/byte_table.h"
#include "lib/store/format/chunk.h"
#include "lib/store/segment/items_walk.h"

enum { MW_CONTEXT_RESOURCE, MW_CONTEXT_SCOPE, MW_CONTEXT_HEAD, MW_CONTEXT_KINDS };

typedef struct mw_pack_contexts {
    unsigned kinds; /* two, or three for metrics */
    uint32_t rows, rows_room;
    mw_byte_table tables[MW_CONTEXT_KINDS]; /* message length in 4 bytes, message, URL */
    uint32_t *refs[MW_CONTEXT_KINDS];       /* by row */
    uint32_t *map;                          /* of the present source: 1 + number, 0 = not wanted */
    uint32_t map_room;
    char *scratch;
    size_t scratch_room;
} mw_pack_contexts;

/* Begins zeroed. MW_E_NOMEM: still to be finished. */
MW_MUST_USE mw_err mw_pack_contexts_init(mw_pack_contexts *contexts, mw_signal signal,
                                         uint32_t rows);
/* Begins anew, with the memory of the block before. Errors likewise. */
MW_MUST_USE mw_err mw_pack_contexts_again(mw_pack_contexts *contexts, uint32_t rows);
void mw_pack_contexts_fini(mw_pack_contexts *contexts);
size_t mw_pack_contexts_size(const mw_pack_contexts *contexts);

/* Reads what rows[i] of the walk's block have, for places[i]. The walk is at its beginning.
 * MW_E_NOMEM, MW_E_LIMIT, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_pack_contexts_add(mw_pack_contexts *contexts, mw_items_walk *walk,
                                        const uint32_t *rows, const uint32_t *places, size_t count);

static inline uint32_t mw_pack_contexts_count(const mw_pack_contexts *contexts, unsigned kind)
{
    return contexts->tables[kind].count;
}

/* A message, without its URL. */
mw_slice mw_pack_contexts_message(const mw_pack_contexts *contexts, unsigned kind, uint32_t number);

/* Bytes of all lengths, and of all messages and URLs. */
uint64_t mw_pack_contexts_lengths(const mw_pack_contexts *contexts);
uint64_t mw_pack_contexts_bytes(const mw_pack_contexts *contexts);
/* Both as in an item chunk, to where there is room. */
unsigned char *mw_pack_contexts_put_lengths(const mw_pack_contexts *contexts, unsigned char *at);
unsigned char *mw_pack_contexts_put_bytes(const mw_pack_contexts *contexts, unsigned char *at);

#endif
