/* mw_arena: bump allocator for one request, batch, query or investigation; freed in one call.
 *
 * Blocks double from MW_ARENA_BLOCK up to 1 MiB; larger requests get a block of their own. The
 * limit given at init bounds what a peer can make it hold. Not thread-safe: it belongs to
 * whoever owns the unit of work, and moves with it.
 */
#ifndef MW_BASE_ARENA_H
#define MW_BASE_ARENA_H

#include "lib/base/memory.h"
#include "lib/base/slice.h"

/* Most requests fit one block: headers, route parameters and a small answer. */
#define MW_ARENA_BLOCK 4096

typedef struct mw_arena {
    struct mw_arena_block *head;
    size_t used;
    size_t limit;
    mw_component component;
} mw_arena;

/* Allocates nothing yet. limit_bytes 0 = bounded by the account alone. */
void mw_arena_init(mw_arena *arena, mw_component component, size_t limit_bytes);
/* Frees everything; the arena can be used again. */
void mw_arena_reset(mw_arena *arena);

/* 16-byte aligned, uninitialised; NULL when the limit or the account refuses. */
MW_MUST_USE void *mw_arena_alloc(mw_arena *arena, size_t size);
MW_MUST_USE void *mw_arena_zalloc(mw_arena *arena, size_t count, size_t size);
/* Copy with a NUL behind it (not counted in len). data is NULL on failure. */
MW_MUST_USE mw_slice mw_arena_copy(mw_arena *arena, mw_slice text);
/* NULL on failure. */
MW_MUST_USE char *mw_arena_printf(mw_arena *arena, const char *format, ...) MW_PRINTF(2, 3);

#endif
