/* Whole rows. See row_fetch.h. One thread: the view's. */
#include "lib/store/query/row_fetch.h"

typedef struct row_fetching {
    mw_store_view *view;
    mw_arena *arena; /* NULL: columns alone */
    const mw_row_place *places;
    mw_err (*take)(void *ctx, size_t at, const mw_fetched_row *row);
    void *ctx;
} row_fetching;

/* The contexts of the present block: those that its rows name, once each. */
typedef struct context_copies {
    mw_store_context *items;
    bool *wanted;
} context_copies;

static int place_compare(const void *left, const void *right, void *ctx)
{
    const mw_row_place *places = ctx;
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    if (places[a].block != places[b].block)
        return places[a].block < places[b].block ? -1 : 1;
    return places[a].row < places[b].row ? -1 : places[a].row > places[b].row;
}

static bool is_left_out(const row_fetching *work, uint64_t len)
{
    return !work->view->whole && mw_is_oversized(len);
}

/* Copies the contexts that the rows name, in the order of the chunk; those of other rows are passed
 * over, and the message of an oversized one is. */
static mw_err copy_contexts(const row_fetching *work, mw_items_walk *walk, context_copies *copies)
{
    for (size_t i = 0; i < mw_items_walk_contexts(walk); i++) {
        mw_store_context *copy = &copies->items[i];
        uint32_t message = mw_items_walk_message_length(walk, i);
        uint64_t len = (uint64_t)message + mw_items_walk_url_length(walk, i);
        if (!copies->wanted[i] || len == 0)
            continue;
        if (is_left_out(work, len)) {
            copy->oversized = (uint32_t)len;
            continue;
        }
        char *bytes = mw_arena_alloc(work->arena, (size_t)len);
        if (!bytes)
            return MW_E_NOMEM;
        mw_err err = mw_items_walk_context(walk, i, bytes);
        if (err != MW_OK)
            return err;
        if (message)
            copy->bytes = mw_slice_bytes(bytes, message);
        if (len > message)
            copy->schema_url = mw_slice_bytes(bytes + message, (size_t)len - message);
    }
    return MW_OK;
}

static size_t scope_of(const mw_items_walk *walk, uint32_t row)
{
    return walk->resources + (size_t)mw_items_walk_scope(walk, row);
}

static size_t head_of(const mw_items_walk *walk, uint32_t row)
{
    return (size_t)walk->resources + walk->scopes + mw_items_walk_metric(walk, row);
}

static mw_err take_row(const row_fetching *work, const mw_hot *hot, mw_items_walk *walk,
                       const context_copies *copies, size_t at)
{
    uint32_t row = work->places[at].row;
    uint32_t len = mw_items_walk_item_length(walk, row);
    mw_fetched_row fetched = {.hot = hot,
                              .row = row,
                              .resource = copies->items[mw_items_walk_resource(walk, row)],
                              .scope = copies->items[scope_of(walk, row)]};
    if (walk->metric_refs)
        fetched.head = copies->items[head_of(walk, row)];
    if (is_left_out(work, len)) {
        fetched.oversized = len;
    } else if (len) {
        char *bytes = mw_arena_alloc(work->arena, len);
        if (!bytes)
            return MW_E_NOMEM;
        mw_err err = mw_items_walk_item(walk, row, bytes);
        if (err != MW_OK)
            return err;
        fetched.bytes = mw_slice_bytes(bytes, len);
    }
    return work->take(work->ctx, at, &fetched);
}

static mw_err take_rows(const row_fetching *work, const mw_hot *hot, mw_items_walk *walk,
                        const size_t *order, size_t count)
{
    size_t contexts = mw_items_walk_contexts(walk);
    context_copies copies = {.items = mw_calloc(MW_MEM_QUERY, contexts + 1, sizeof *copies.items),
                             .wanted =
                                 mw_calloc(MW_MEM_QUERY, contexts + 1, sizeof *copies.wanted)};
    mw_err err = copies.items && copies.wanted ? MW_OK : MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        uint32_t row = work->places[order[i]].row;
        copies.wanted[mw_items_walk_resource(walk, row)] = true;
        copies.wanted[scope_of(walk, row)] = true;
        if (walk->metric_refs)
            copies.wanted[head_of(walk, row)] = true;
    }
    if (err == MW_OK)
        err = copy_contexts(work, walk, &copies);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = take_row(work, hot, walk, &copies, order[i]);
    mw_free(MW_MEM_QUERY, copies.items);
    mw_free(MW_MEM_QUERY, copies.wanted);
    return err;
}

static mw_err take_columns(const row_fetching *work, const mw_hot *hot, const size_t *order,
                           size_t count)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        const mw_fetched_row fetched = {.hot = hot, .row = work->places[order[i]].row};
        err = work->take(work->ctx, order[i], &fetched);
    }
    return err;
}

/* The rows order[0..count) are those of one block, ascending. */
static mw_err take_block(const row_fetching *work, uint32_t block, const size_t *order,
                         size_t count)
{
    mw_hot hot;
    mw_items_walk walk;
    mw_err err = mw_view_hot(work->view, mw_view_block(work->view, block), &hot);
    if (err == MW_OK && !work->arena)
        return take_columns(work, &hot, order, count);
    if (err == MW_OK)
        err = mw_view_items(work->view, mw_view_block(work->view, block), &hot, &walk);
    if (err != MW_OK)
        return err;
    err = take_rows(work, &hot, &walk, order, count);
    mw_items_walk_end(&walk);
    return err;
}

static mw_err take_all(const row_fetching *work, size_t count)
{
    const mw_row_place *places = work->places;
    mw_err err = MW_OK;
    size_t *order = mw_alloc(MW_MEM_QUERY, (count + 1) * sizeof *order);
    if (!order)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    if (count > 1)
        qsort_r(order, count, sizeof *order, place_compare, (void *)(uintptr_t)places);
    for (size_t from = 0, to; err == MW_OK && from < count; from = to) {
        uint32_t block = places[order[from]].block;
        for (to = from + 1; to < count && places[order[to]].block == block; to++)
            ;
        err = take_block(work, block, order + from, to - from);
    }
    mw_free(MW_MEM_QUERY, order);
    return err;
}

mw_err mw_rows_fetch(mw_store_view *view, const mw_row_place *places, size_t count, mw_arena *arena,
                     mw_err (*take)(void *ctx, size_t at, const mw_fetched_row *row), void *ctx)
{
    const row_fetching work = {view, arena, places, take, ctx};
    return take_all(&work, count);
}

mw_err mw_rows_columns(mw_store_view *view, const mw_row_place *places, size_t count,
                       mw_err (*take)(void *ctx, size_t at, const mw_fetched_row *row), void *ctx)
{
    const row_fetching work = {view, NULL, places, take, ctx};
    return take_all(&work, count);
}

mw_err mw_fetched_span(const mw_fetched_row *fetched, mw_arena *arena, mw_trace_span *out)
{
    mw_hot_span(fetched->hot, fetched->row, &out->row);
    if (!mw_span_row_copy(arena, &out->row))
        return MW_E_NOMEM;
    out->own_session_id = out->row.session_id;
    out->bytes = fetched->bytes;
    out->oversized = fetched->oversized;
    out->resource = fetched->resource;
    out->scope = fetched->scope;
    out->commit_seq = mw_hot_seq(fetched->hot, fetched->row);
    out->index = mw_hot_index(fetched->hot, fetched->row);
    return MW_OK;
}
