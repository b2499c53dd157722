/* The critical path of a trace. See trace_tree.h. Pure. */
#include <stdlib.h>
#include <string.h>

#include "server/api/trace_tree.h"

/* A span, and the time in which it is asked what it waited for. */
typedef struct stretch {
    uint32_t span;
    uint64_t from_ns, to_ns;
} stretch;

typedef struct path {
    mw_tree_links *links;
    stretch *stack; /* at most one entry a span */
    size_t depth;
    uint32_t *children;
    bool *taken; /* by span: a span has one stretch at most */
} path;

static int latest_end_first(const void *left, const void *right, void *ctx)
{
    const mw_tree_item *items = ctx;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t x = mw_tree_end(&items[a]), y = mw_tree_end(&items[b]);
    if (x != y)
        return x > y ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* Does the span outlive its parent? Then the trace may have waited for it, though the parent did
 * not. */
static bool outlives(const mw_tree_links *links, uint32_t at)
{
    uint32_t parent = links->parent[at];
    return parent == links->count ||
           mw_tree_end(&links->items[at]) > mw_tree_end(&links->items[parent]);
}

static size_t collect_children(const path *work, uint32_t at)
{
    const mw_tree_links *links = work->links;
    size_t count = 0;
    bool top = at == links->count;
    for (uint32_t i = 0; top && i < links->count; i++)
        if (links->items[i].id && outlives(links, i))
            work->children[count++] = i;
    for (uint32_t child = top ? MW_TREE_NONE : links->first_child[at]; child != MW_TREE_NONE;
         child = links->next_sibling[child])
        if (links->items[child].id && !work->taken[child])
            work->children[count++] = child;
    if (count > 1)
        qsort_r(work->children, count, sizeof *work->children, latest_end_first,
                (void *)(uintptr_t)links->items);
    return count;
}

/* From the end of the stretch back. What a child does beyond its parent's end is on the path only
 * where no other span at the top ends later. */
static void take(path *work, const stretch *now)
{
    const mw_tree_item *items = work->links->items;
    uint64_t at_ns = now->to_ns;
    size_t count = collect_children(work, now->span);

    for (size_t i = 0; i < count && at_ns > now->from_ns; i++) {
        const mw_tree_item *child = &items[work->children[i]];
        uint64_t end_ns = mw_tree_end(child), start_ns = child->start_ns;
        end_ns = end_ns < at_ns ? end_ns : at_ns;
        start_ns = start_ns > now->from_ns ? start_ns : now->from_ns;
        if (start_ns >= end_ns)
            continue;
        work->links->critical_ns[now->span] += at_ns - end_ns;
        work->taken[work->children[i]] = true;
        work->stack[work->depth++] = (stretch){work->children[i], start_ns, end_ns};
        at_ns = start_ns;
    }
    work->links->critical_ns[now->span] += at_ns - now->from_ns;
}

mw_err mw_tree_critical_path(mw_tree_links *links)
{
    size_t room = (size_t)links->count + 1;
    path work = {.links = links,
                 .stack = mw_alloc(MW_MEM_QUERY, room * sizeof *work.stack),
                 .children = mw_alloc(MW_MEM_QUERY, room * sizeof *work.children),
                 .taken = mw_calloc(MW_MEM_QUERY, room, sizeof *work.taken)};
    mw_err err = work.stack && work.children && work.taken ? MW_OK : MW_E_NOMEM;
    stretch whole = {links->count, UINT64_MAX, 0};
    for (uint32_t i = 0; i < links->count; i++) {
        const mw_tree_item *item = &links->items[i];
        if (!item->id)
            continue;
        whole.from_ns = item->start_ns < whole.from_ns ? item->start_ns : whole.from_ns;
        whole.to_ns = mw_tree_end(item) > whole.to_ns ? mw_tree_end(item) : whole.to_ns;
    }
    if (err == MW_OK && whole.from_ns < whole.to_ns)
        work.stack[work.depth++] = whole;
    while (work.depth > 0) {
        stretch now = work.stack[--work.depth];
        take(&work, &now);
    }
    mw_free(MW_MEM_QUERY, work.stack);
    mw_free(MW_MEM_QUERY, work.children);
    mw_free(MW_MEM_QUERY, work.taken);
    return err;
}

/* ---- who has most of it --------------------------------------------------------------------- */

static int by_signature(const void *left, const void *right, void *ctx)
{
    const mw_tree_item *items = ctx;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (items[a].signature != items[b].signature)
        return items[a].signature < items[b].signature ? -1 : 1;
    return a < b ? -1 : a > b;
}

static bool is_larger(const mw_tree_share *a, const mw_tree_share *b)
{
    return a->critical_ns != b->critical_ns ? a->critical_ns > b->critical_ns : a->most < b->most;
}

/* Into its place among the largest. */
static void offer_share(mw_tree *out, const mw_tree_share *share)
{
    size_t at = out->top_count;
    while (at > 0 && is_larger(share, &out->top[at - 1]))
        at--;
    if (at == MW_TREE_TOP_MAX)
        return;
    out->top_count += out->top_count < MW_TREE_TOP_MAX;
    memmove(&out->top[at + 1], &out->top[at], (out->top_count - 1 - at) * sizeof out->top[0]);
    out->top[at] = *share;
}

mw_err mw_tree_critical_top(const mw_tree_links *links, mw_tree *out)
{
    const mw_tree_item *items = links->items;
    size_t count = 0;
    uint32_t *on_path = mw_alloc(MW_MEM_QUERY, ((size_t)links->count + 1) * sizeof *on_path);
    if (!on_path)
        return MW_E_NOMEM;
    for (uint32_t i = 0; i < links->count; i++)
        if (links->critical_ns[i])
            on_path[count++] = i;
    if (count > 1)
        qsort_r(on_path, count, sizeof *on_path, by_signature, (void *)(uintptr_t)items);
    for (size_t from = 0, to; from < count; from = to) {
        mw_tree_share share = {.most = on_path[from]};
        for (to = from;
             to < count && items[on_path[to]].signature == items[on_path[from]].signature; to++) {
            uint64_t own_ns = links->critical_ns[on_path[to]];
            share.count++;
            share.critical_ns += own_ns;
            if (own_ns > links->critical_ns[share.most])
                share.most = on_path[to];
        }
        out->critical_ns += share.critical_ns;
        offer_share(out, &share);
    }
    mw_free(MW_MEM_QUERY, on_path);
    return MW_OK;
}
