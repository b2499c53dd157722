/* Sets of blocks. See block_set.h. One thread: the view's. */
#include "lib/store/segment/block_set.h"
#include "lib/base/log.h"
#include "lib/store/store_int.h"

/* A search costs about this many steps of a walk along both runs. */
#define SEARCH_COST 8u

static mw_err set_init(mw_block_set *set, size_t count)
{
    *set = (mw_block_set){.count = count};
    set->bits = mw_calloc(MW_MEM_QUERY, count / 64 + 1, sizeof *set->bits);
    return set->bits ? MW_OK : MW_E_NOMEM;
}

void mw_block_set_fini(mw_block_set *set)
{
    mw_free(MW_MEM_QUERY, set->bits);
    *set = (mw_block_set){0};
}

size_t mw_block_set_size(const mw_block_set *set)
{
    size_t size = 0;
    for (size_t i = 0; i <= set->count / 64; i++)
        size += (size_t)__builtin_popcountll(set->bits[i]);
    return size;
}

static void set_add(mw_block_set *set, size_t block)
{
    MW_ASSERT(block < set->count);
    set->bits[block / 64] |= UINT64_C(1) << (block % 64);
}

/* ---- blocks with their keys in memory -------------------------------------------------------- */

static const uint64_t *keys_of(const mw_index_block *block, mw_key_kind kind, size_t *count)
{
    *count = kind == MW_KEYS_TRACES ? block->trace_count : block->session_count;
    return kind == MW_KEYS_TRACES ? mw_index_traces(block) : mw_index_sessions(block);
}

/* Does one of the few stand among the many? */
static bool any_contained(const uint64_t *few, size_t count, const uint64_t *many,
                          size_t many_count)
{
    for (size_t i = 0; i < count; i++)
        if (mw_keys_contain(many, many_count, few[i]))
            return true;
    return false;
}

static bool runs_meet(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count)
{
    size_t i = 0, j = 0;
    while (i < a_count && j < b_count) {
        if (a[i] == b[j])
            return true;
        if (a[i] < b[j])
            i++;
        else
            j++;
    }
    return false;
}

bool mw_keys_meet(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count)
{
    if (a_count < b_count / SEARCH_COST)
        return any_contained(a, a_count, b, b_count);
    if (b_count < a_count / SEARCH_COST)
        return any_contained(b, b_count, a, a_count);
    return runs_meet(a, a_count, b, b_count);
}

/* ---- a view ---------------------------------------------------------------------------------- */

/* What is looked for: keys, or all between two. */
typedef struct wanted_keys {
    mw_key_kind kind;
    const uint64_t *keys;
    size_t count;
    uint64_t low, high; /* without keys */
} wanted_keys;

typedef struct footer_search {
    mw_block_set *set;
    size_t base; /* of the segment's first block */
} footer_search;

static void found_block(void *ctx, uint32_t block)
{
    footer_search *search = ctx;
    set_add(search->set, search->base + block);
}

static mw_err found_pair(void *ctx, uint64_t key, uint32_t block)
{
    (void)key;
    found_block(ctx, block);
    return MW_OK;
}

static mw_err search_footer(const mw_segment *segment, const wanted_keys *wanted,
                            footer_search *search)
{
    mw_err err = wanted->keys
                     ? mw_footer_find(segment->footer, segment->fd, wanted->kind, wanted->keys,
                                      wanted->count, found_block, search)
                     : mw_footer_each_between(segment->footer, segment->fd, wanted->kind,
                                              wanted->low, wanted->high, found_pair, search);
    if (err == MW_E_CORRUPT || err == MW_E_IO)
        MW_LOG(MW_LOG_ERROR, "store",
               "the footer of a merged segment cannot be read: run `midwatch check --rebuild`",
               MW_KV_STR("file", segment->path), MW_KV_ERR(err));
    return err;
}

static bool block_meets(const mw_index_block *block, const wanted_keys *wanted)
{
    size_t count;
    const uint64_t *keys = keys_of(block, wanted->kind, &count);
    if (wanted->keys)
        return mw_keys_meet(wanted->keys, wanted->count, keys, count);
    size_t at = mw_keys_lower_bound(keys, count, wanted->low);
    return at < count && keys[at] <= wanted->high;
}

static mw_err find(mw_store_view *view, const wanted_keys *wanted, mw_block_set *out)
{
    size_t count = mw_view_count(view);
    mw_err err = set_init(out, count);
    for (size_t i = 0; err == MW_OK && i < count;) {
        const mw_index_block *block = mw_view_block(view, i);
        if (!block->keys_in_footer) {
            if (block_meets(block, wanted))
                set_add(out, i);
            i++;
            continue;
        }
        /* The blocks of a merged segment stand together. */
        footer_search search = {out, i};
        MW_ASSERT(block->number == 0 && block->segment->footer->block_count <= count - i);
        err = search_footer(block->segment, wanted, &search);
        i += block->segment->footer->block_count;
    }
    if (err != MW_OK)
        mw_block_set_fini(out);
    return err;
}

mw_err mw_block_set_find(mw_store_view *view, mw_key_kind kind, const uint64_t *keys, size_t count,
                         mw_block_set *out)
{
    static const uint64_t none;
    const wanted_keys wanted = {.kind = kind, .keys = keys ? keys : &none, .count = count};
    return find(view, &wanted, out);
}

mw_err mw_block_set_between(mw_store_view *view, mw_key_kind kind, uint64_t low, uint64_t high,
                            mw_block_set *out)
{
    const wanted_keys wanted = {.kind = kind, .low = low, .high = high};
    return find(view, &wanted, out);
}

static int key_compare(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return a < b ? -1 : a > b;
}

mw_err mw_block_set_traces(mw_store_view *view, const mw_trace_set *traces, mw_block_set *out)
{
    *out = (mw_block_set){0};
    uint64_t *keys = mw_alloc(MW_MEM_QUERY, (traces->count + 1) * sizeof *keys);
    if (!keys)
        return MW_E_NOMEM;
    for (size_t i = 0; i < traces->count; i++)
        keys[i] = mw_trace_key(traces->ids[i]);
    if (traces->count > 1)
        qsort(keys, traces->count, sizeof *keys, key_compare);
    mw_err err = mw_block_set_find(view, MW_KEYS_TRACES, keys, traces->count, out);
    mw_free(MW_MEM_QUERY, keys);
    return err;
}
