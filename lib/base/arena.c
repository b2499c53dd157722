/* The arena: a list of blocks, newest first; allocation bumps the newest. */
#include <stdarg.h>

#include "lib/base/arena.h"

/* Larger requests get a block of their own, so that one big copy does not waste a doubled one. */
#define BLOCK_MAX ((size_t)1 << 20)
#define ALIGNMENT ((size_t)16)

struct mw_arena_block {
    struct mw_arena_block *next;
    size_t capacity;
    size_t used;
    _Alignas(16) char data[];
};

void mw_arena_init(mw_arena *arena, mw_component component, size_t limit)
{
    *arena = (mw_arena){.component = component, .limit = limit};
}

void mw_arena_reset(mw_arena *arena)
{
    struct mw_arena_block *block = arena->head;
    while (block) {
        struct mw_arena_block *next = block->next;
        mw_free(arena->component, block);
        block = next;
    }
    arena->head = NULL;
    arena->used = 0;
}

/* A block with room for `size`; a big one goes behind the head, so that the head's rest stays
 * in use. */
static struct mw_arena_block *add_block(mw_arena *arena, size_t size)
{
    size_t previous = arena->head ? arena->head->capacity + sizeof *arena->head : 0;
    size_t capacity = previous ? previous * 2 : MW_ARENA_BLOCK;
    if (capacity > BLOCK_MAX)
        capacity = BLOCK_MAX;
    capacity -= sizeof(struct mw_arena_block);
    bool own = size > capacity / 2;
    if (own)
        capacity = size;
    struct mw_arena_block *block =
        mw_alloc(arena->component, sizeof(struct mw_arena_block) + capacity);
    if (!block)
        return NULL;
    block->capacity = capacity;
    block->used = 0;
    if (own && arena->head) {
        block->next = arena->head->next;
        arena->head->next = block;
    } else {
        block->next = arena->head;
        arena->head = block;
    }
    return block;
}

void *mw_arena_alloc(mw_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (arena->limit && (size > arena->limit || arena->used > arena->limit - size))
        return NULL;
    struct mw_arena_block *block = arena->head;
    if (!block || block->capacity - block->used < size)
        block = add_block(arena, size);
    if (!block)
        return NULL;
    void *pointer = block->data + block->used;
    block->used += size;
    arena->used += size;
    return pointer;
}

void *mw_arena_zalloc(mw_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *pointer = mw_arena_alloc(arena, bytes);
    if (pointer)
        memset(pointer, 0, bytes);
    return pointer;
}

mw_slice mw_arena_copy(mw_arena *arena, mw_slice text)
{
    char *copy = mw_arena_alloc(arena, text.len + 1);
    if (!copy)
        return MW_SLICE_NONE;
    if (text.len)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return (mw_slice){copy, text.len};
}

char *mw_arena_printf(mw_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    MW_ASSERT(len >= 0);
    char *text = mw_arena_alloc(arena, (size_t)len + 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
