/* Whole rows. See row_fetch.h. One thread: the view's. */
#include "lib/store/row_fetch.h"

typedef struct row_fetching {
    mw_store_view *view;
    mw_arena *arena;
    const mw_row_place *places;
    mw_err (*take)(void *ctx, size_t at, const mw_fetched_row *row);
    void *ctx;
} row_fetching;

/* The contexts of the present block: the first row that names one leaves its copy. */
typedef struct context_copies {
    mw_store_context *items;
    bool *copied;
} context_copies;

static int place_compare(const void *left, const void *right, void *ctx)
{
    const mw_row_place *places = ctx;
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    if (places[a].block != places[b].block)
        return places[a].block < places[b].block ? -1 : 1;
    return places[a].row < places[b].row ? -1 : places[a].row > places[b].row;
}

static bool copy_context(mw_arena *arena, const mw_items *items, size_t at, context_copies *copies,
                         mw_store_context *out)
{
    if (!copies->copied[at]) {
        mw_store_context *copy = &copies->items[at];
        *copy = items->contexts[at];
        if (!mw_text_copy(arena, &copy->bytes) || !mw_text_copy(arena, &copy->schema_url))
            return false;
        copies->copied[at] = true;
    }
    *out = copies->items[at];
    return true;
}

static mw_err take_row(const row_fetching *work, const mw_hot *hot, const mw_items *items,
                       context_copies *copies, size_t at)
{
    uint32_t row = work->places[at].row;
    mw_fetched_row fetched = {.hot = hot, .row = row, .bytes = items->items[row]};
    size_t scope = items->resources + (size_t)mw_items_scope(items, row);

    if (!mw_text_copy(work->arena, &fetched.bytes) ||
        !copy_context(work->arena, items, mw_items_resource(items, row), copies,
                      &fetched.resource) ||
        !copy_context(work->arena, items, scope, copies, &fetched.scope))
        return MW_E_NOMEM;
    if (items->metric_refs) {
        size_t head = (size_t)items->resources + items->scopes + mw_items_metric(items, row);
        mw_store_context copy;
        if (!copy_context(work->arena, items, head, copies, &copy))
            return MW_E_NOMEM;
        fetched.head = copy.bytes;
    }
    return work->take(work->ctx, at, &fetched);
}

/* The rows order[0..count) are those of one block. */
static mw_err take_block(const row_fetching *work, uint32_t block, const size_t *order,
                         size_t count)
{
    context_copies copies;
    mw_hot hot;
    mw_items items;
    mw_err err = mw_view_hot(work->view, mw_view_block(work->view, block), &hot);
    if (err == MW_OK)
        err = mw_view_items(work->view, mw_view_block(work->view, block), &items);
    if (err != MW_OK)
        return err;
    size_t contexts = (size_t)items.resources + items.scopes + items.metrics;
    copies.items = mw_alloc(MW_MEM_QUERY, (contexts + 1) * sizeof *copies.items);
    copies.copied = mw_calloc(MW_MEM_QUERY, contexts + 1, sizeof *copies.copied);
    if (!copies.items || !copies.copied)
        err = MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = take_row(work, &hot, &items, &copies, order[i]);
    mw_free(MW_MEM_QUERY, copies.items);
    mw_free(MW_MEM_QUERY, copies.copied);
    mw_items_fini(&items);
    return err;
}

mw_err mw_rows_fetch(mw_store_view *view, const mw_row_place *places, size_t count, mw_arena *arena,
                     mw_err (*take)(void *ctx, size_t at, const mw_fetched_row *row), void *ctx)
{
    const row_fetching work = {view, arena, places, take, ctx};
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
        err = take_block(&work, block, order + from, to - from);
    }
    mw_free(MW_MEM_QUERY, order);
    return err;
}
