/* Spans by their hot columns, newest first.
 *
 * Hits are kept in a buffer of twice the limit; when it is full, repeats are removed, it is sorted
 * and cut to the limit. What starts before the last kept hit is then only counted. So repeats are
 * removed among the newest, the first acknowledged copy staying; a copy with another start than one
 * that fell off the end stands for itself.
 */
#include "lib/store/query/hot_filter.h"

/* More is not a page any more. 56 bytes each. */
#define HITS_MAX ((size_t)100000)

typedef struct span_hit {
    uint64_t start_ns;
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    uint64_t span_id;
    uint64_t seq;
    uint32_t block, row;
} span_hit;

typedef struct span_search {
    mw_store_view *view;
    const mw_span_query *query;
    uint64_t service_key;
    span_hit *hits; /* MW_MEM_QUERY */
    size_t count, capacity, limit;
    uint64_t cut_ns; /* earlier starts cannot be among the newest any more */
    uint64_t matched;
} span_search;

static int by_identity(const void *left, const void *right)
{
    const span_hit *a = left, *b = right;
    int order = memcmp(a->trace_id, b->trace_id, MW_TRACE_ID_SIZE);
    if (order != 0)
        return order;
    if (a->span_id != b->span_id)
        return a->span_id < b->span_id ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static int newest_first(const void *left, const void *right)
{
    const span_hit *a = left, *b = right;
    if (a->start_ns != b->start_ns)
        return a->start_ns > b->start_ns ? -1 : 1;
    return by_identity(left, right);
}

static void compact(span_search *search)
{
    span_hit *hits = search->hits;
    size_t kept = 0;

    if (search->count > 1)
        qsort(hits, search->count, sizeof *hits, by_identity);
    for (size_t i = 0; i < search->count; i++) {
        if (kept && hits[kept - 1].span_id == hits[i].span_id &&
            memcmp(hits[kept - 1].trace_id, hits[i].trace_id, MW_TRACE_ID_SIZE) == 0) {
            search->matched--;
            continue;
        }
        hits[kept++] = hits[i];
    }
    if (kept > 1)
        qsort(hits, kept, sizeof *hits, newest_first);
    search->count = kept < search->limit ? kept : search->limit;
    if (search->limit && search->count == search->limit)
        search->cut_ns = hits[search->count - 1].start_ns;
}

static bool row_matches(const span_search *search, const mw_hot *hot, uint32_t row,
                        uint64_t start_ns)
{
    const mw_span_query *query = search->query;
    if (start_ns < query->since_ns || (query->until_ns && start_ns >= query->until_ns))
        return false;
    return !query->errors_only || hot->narrow[MW_NARROW_STATUS][row] == 2;
}

static void keep_hit(span_search *search, const mw_hot *hot, uint32_t block, uint32_t row,
                     uint64_t start_ns)
{
    search->matched++;
    if (search->limit == 0 || start_ns < search->cut_ns)
        return;
    if (search->count == search->capacity)
        compact(search);
    span_hit *hit = &search->hits[search->count++];
    hit->start_ns = start_ns;
    memcpy(hit->trace_id, mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row)),
           MW_TRACE_ID_SIZE);
    hit->span_id = mw_trace_key(hot->wide[MW_WIDE_SPAN_ID] + 8 * (size_t)row);
    hit->seq = mw_hot_seq(hot, row);
    hit->block = block;
    hit->row = row;
}

static bool block_may_match(const span_search *search, const mw_index_block *block)
{
    const mw_span_query *query = search->query;
    if (!mw_block_holds(block, MW_SIGNAL_TRACES) || block->header.event_max_ns < query->since_ns)
        return false;
    if (query->until_ns && block->header.event_min_ns >= query->until_ns)
        return false;
    if (query->errors_only && block->header.error_count == 0)
        return false;
    return query->service.len == 0 ||
           mw_keys_contain(mw_index_services(block), block->service_count, search->service_key);
}

static mw_err search_block(span_search *search, uint32_t at)
{
    const mw_index_block *block = mw_view_block(search->view, at);
    mw_hot hot;

    if (!block_may_match(search, block))
        return MW_OK;
    mw_err err = mw_view_hot(search->view, block, &hot);
    if (err != MW_OK)
        return err;
    uint32_t service = mw_hot_find(&hot, search->query->service);
    for (uint32_t row = 0; row < hot.count && service != MW_REF_ABSENT; row++) {
        uint64_t start_ns = mw_hot_time(&hot, row);
        if (!mw_ref_fits(&hot, MW_HOT_SERVICE, row, service))
            continue;
        if (row_matches(search, &hot, row, start_ns))
            keep_hit(search, &hot, at, row, start_ns);
    }
    return MW_OK;
}

static int by_place(const void *left, const void *right, void *ctx)
{
    const span_hit *hits = ctx;
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    if (hits[a].block != hits[b].block)
        return hits[a].block < hits[b].block ? -1 : 1;
    return hits[a].row < hits[b].row ? -1 : hits[a].row > hits[b].row;
}

/* Rows of the hits, each block read once. */
static mw_err show(span_search *search, mw_arena *arena, mw_span_list *out)
{
    mw_hot hot;
    mw_err err = MW_OK;
    size_t *order = mw_alloc(MW_MEM_QUERY, (search->count + 1) * sizeof *order);

    out->items = mw_arena_zalloc(arena, search->count + 1, sizeof *out->items);
    if (!order || !out->items)
        err = MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < search->count; i++)
        order[i] = i;
    if (err == MW_OK && search->count > 1)
        qsort_r(order, search->count, sizeof *order, by_place, search->hits);
    for (size_t i = 0; err == MW_OK && i < search->count; i++) {
        const span_hit *hit = &search->hits[order[i]];
        if (i == 0 || hit->block != search->hits[order[i - 1]].block)
            err = mw_view_hot(search->view, mw_view_block(search->view, hit->block), &hot);
        if (err != MW_OK)
            break;
        mw_hot_span(&hot, hit->row, &out->items[order[i]]);
        if (!mw_span_row_copy(arena, &out->items[order[i]]))
            err = MW_E_NOMEM;
    }
    if (err == MW_OK)
        out->count = search->count;
    mw_free(MW_MEM_QUERY, order);
    return err;
}

mw_err mw_store_span_search(mw_store_view *view, const mw_span_query *query, mw_arena *arena,
                            mw_span_list *out)
{
    span_search search = {.view = view, .query = query};
    mw_err err = MW_OK;

    memset(out, 0, sizeof *out);
    search.limit = query->limit < HITS_MAX ? query->limit : HITS_MAX;
    search.capacity = 2 * search.limit + 64;
    search.service_key = mw_text_key(view->store->key_seed, query->service);
    search.hits = mw_alloc(MW_MEM_QUERY, search.capacity * sizeof *search.hits);
    if (!search.hits)
        return MW_E_NOMEM;
    for (uint32_t i = 0; err == MW_OK && i < mw_view_count(view); i++)
        err = search_block(&search, i);
    if (err == MW_OK) {
        compact(&search);
        out->matched = search.matched;
        err = show(&search, arena, out);
    }
    mw_free(MW_MEM_QUERY, search.hits);
    return err;
}
