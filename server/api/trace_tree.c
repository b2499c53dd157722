/* The rows of a trace's tree: folding, and what is shown when not all is. See trace_tree.h. */
#include <stdlib.h>
#include <string.h>

#include "server/api/trace_tree.h"

/* A row before it is known whether it is shown. */
typedef struct node {
    uint32_t members; /* the first item; the others follow in `next_member` */
    uint32_t last_member;
    uint32_t count;
    uint32_t first_child, last_child, next_sibling; /* nodes */
    uint32_t parent;
    uint32_t depth;
    uint64_t weight; /* at least that of all beneath */
    bool shown;
} node;

/* A child of the present node's members. */
typedef struct sibling {
    uint64_t shape;
    uint32_t position, item;
} sibling;

typedef struct building {
    const mw_tree_links *links;
    bool fold;
    node *nodes; /* parents before children; the trace itself is the first */
    uint32_t count;
    uint32_t *next_member; /* by item */
    sibling *siblings;     /* workspace: one an item is enough */
    uint32_t *runs;        /* workspace */
    mw_tree *out;
} building;

static const mw_tree_item *item_at(const building *work, uint32_t at)
{
    return &work->links->items[at];
}

/* ---- folding -------------------------------------------------------------------------------- */

static int by_shape(const void *left, const void *right)
{
    const sibling *a = left, *b = right;
    if (a->shape != b->shape)
        return a->shape < b->shape ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

static size_t collect_siblings(building *work, const node *parent)
{
    const mw_tree_links *links = work->links;
    size_t count = 0;
    for (uint32_t member = parent->members; member != MW_TREE_NONE;
         member = work->next_member[member])
        for (uint32_t child = links->first_child[member]; child != MW_TREE_NONE;
             child = links->next_sibling[child]) {
            /* Records and spans are never alike. */
            uint64_t shape = links->shapes[child] ^ (links->items[child].id ? 0 : UINT64_MAX);
            work->siblings[count] = (sibling){shape, (uint32_t)count, child};
            count++;
        }
    return count;
}

/* Those of one shape become neighbours where the first of them is; the others keep their place. A
 * sibling's shape becomes the number of its row. */
static void group_siblings(building *work, const node *parent, size_t count)
{
    sibling *all = work->siblings;
    size_t least = parent->count > 1 ? 2 : MW_TREE_FOLD_MIN;
    if (count > 1)
        qsort(all, count, sizeof *all, by_shape);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && all[to].shape == all[from].shape; to++)
            ;
        uint32_t first = all[from].position;
        for (size_t i = from; i < to; i++)
            all[i].shape = work->fold && to - from >= least ? first : all[i].position;
    }
    /* By row, then by position: positions stay as they are within one row. */
    if (count > 1)
        qsort(all, count, sizeof *all, by_shape);
}

static void add_member(building *work, node *to, uint32_t item)
{
    work->next_member[item] = MW_TREE_NONE;
    if (to->count++ == 0)
        to->members = item;
    else
        work->next_member[to->last_member] = item;
    to->last_member = item;
}

static uint32_t add_node(building *work, uint32_t parent)
{
    uint32_t at = work->count++;
    node *to = &work->nodes[parent];
    work->nodes[at] = (node){.members = MW_TREE_NONE,
                             .first_child = MW_TREE_NONE,
                             .last_child = MW_TREE_NONE,
                             .next_sibling = MW_TREE_NONE,
                             .parent = parent,
                             .depth = parent ? to->depth + 1 : 0};
    if (to->last_child == MW_TREE_NONE)
        to->first_child = at;
    else
        work->nodes[to->last_child].next_sibling = at;
    to->last_child = at;
    return at;
}

static void add_children(building *work, uint32_t parent)
{
    size_t count = collect_siblings(work, &work->nodes[parent]);
    uint32_t now = 0;
    group_siblings(work, &work->nodes[parent], count);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || work->siblings[i].shape != work->siblings[i - 1].shape)
            now = add_node(work, parent);
        add_member(work, &work->nodes[now], work->siblings[i].item);
    }
}

/* Breadth first: a node's children come behind it. */
static void make_nodes(building *work)
{
    work->nodes[0] = (node){.members = work->links->count,
                            .count = 1,
                            .first_child = MW_TREE_NONE,
                            .last_child = MW_TREE_NONE,
                            .next_sibling = MW_TREE_NONE};
    work->next_member[work->links->count] = MW_TREE_NONE;
    work->count = 1;
    for (uint32_t i = 0; i < work->count; i++)
        add_children(work, i);
}

/* ---- what is shown -------------------------------------------------------------------------- */

/* Failures first, then the critical path, then what takes long; records as their span may say. */
static uint64_t weight_of(const building *work, const node *at)
{
    uint64_t total = 0, class = 0;
    for (uint32_t i = at->members; i != MW_TREE_NONE; i = work->next_member[i]) {
        const mw_tree_item *item = item_at(work, i);
        uint64_t length = item->id ? mw_tree_end(item) - item->start_ns : 0;
        total = length < UINT64_MAX - total ? total + length : UINT64_MAX;
        if (work->links->critical_ns[i] && class < 1)
            class = 1;
        if (item->failed)
            class = 2;
    }
    return class << 62 | total >> 2;
}

static int heaviest_first(const void *left, const void *right, void *ctx)
{
    const node *nodes = ctx;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (nodes[a].weight != nodes[b].weight)
        return nodes[a].weight > nodes[b].weight ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* No node is heavier than its parent, which stands before it: who is shown has its parent shown. */
static void choose_nodes(building *work, size_t limit)
{
    uint32_t *chosen = work->runs;
    size_t count = work->count - 1;
    for (uint32_t i = 1; i < work->count; i++)
        work->nodes[i].weight = weight_of(work, &work->nodes[i]);
    for (uint32_t i = work->count; i-- > 1;) {
        node *parent = &work->nodes[work->nodes[i].parent];
        if (work->nodes[i].weight > parent->weight)
            parent->weight = work->nodes[i].weight;
        chosen[i - 1] = i;
    }
    if (count > limit)
        qsort_r(chosen, count, sizeof *chosen, heaviest_first, work->nodes);
    for (size_t i = 0; i < count && i < limit; i++)
        work->nodes[chosen[i]].shown = true;
    work->nodes[0].shown = true;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void add_counts(const building *work, const node *at, mw_tree_counts *to)
{
    for (uint32_t i = at->members; i != MW_TREE_NONE; i = work->next_member[i]) {
        const mw_tree_item *item = item_at(work, i);
        to->spans += item->id != 0;
        to->logs += item->id == 0;
        to->errors += item->id && item->failed;
    }
}

static void add_tokens(int64_t *total, int64_t tokens)
{
    if (tokens < 0)
        return;
    if (*total < 0)
        *total = 0;
    if (__builtin_add_overflow(*total, tokens, total))
        *total = INT64_MAX;
}

static void add_item(const building *work, uint32_t at, mw_tree_row *row)
{
    const mw_tree_item *item = item_at(work, at);
    uint64_t end_ns = mw_tree_end(item), length = end_ns - item->start_ns;
    if (row->count++ == 0) {
        *row = (mw_tree_row){.first = at,
                             .count = 1,
                             .depth = row->depth,
                             .longest = at,
                             .note = work->links->notes[at],
                             .input_tokens = -1,
                             .output_tokens = -1,
                             .shortest_ns = length,
                             .longest_ns = length};
    } else if (length > row->longest_ns) {
        row->longest = at;
        row->longest_ns = length;
    } else if (length < row->shortest_ns) {
        row->shortest_ns = length;
    }
    row->end_ns = end_ns > row->end_ns ? end_ns : row->end_ns;
    row->total_ns += length;
    row->critical_ns += work->links->critical_ns[at];
    add_tokens(&row->input_tokens, item->input_tokens);
    add_tokens(&row->output_tokens, item->output_tokens);
    if (!item->failed)
        return;
    row->errors++;
    if (row->failed_count < MW_TREE_FAILED_MAX)
        row->failed[row->failed_count++] = at;
}

static void write_row(const building *work, const node *at, mw_tree_row *row)
{
    *row = (mw_tree_row){.depth = at->depth};
    for (uint32_t i = at->members; i != MW_TREE_NONE; i = work->next_member[i])
        add_item(work, i, row);
}

/* The next node in the order of reading that is shown; 0 behind the last. */
static uint32_t next_shown(const building *work, uint32_t at)
{
    uint32_t next = work->nodes[at].first_child;
    for (;;) {
        while (next != MW_TREE_NONE && !work->nodes[next].shown)
            next = work->nodes[next].next_sibling;
        if (next != MW_TREE_NONE || at == 0)
            return next == MW_TREE_NONE ? 0 : next;
        next = work->nodes[at].next_sibling;
        at = work->nodes[at].parent;
    }
}

/* What is not shown counts for the nearest that is. `row_of` is by node. */
static void count_hidden(building *work, const uint32_t *row_of)
{
    for (uint32_t i = 1; i < work->count; i++) {
        const node *at = &work->nodes[i];
        uint32_t above = at->parent;
        if (at->shown)
            continue;
        /* Its parent is shown, or stands for one that is. */
        if (!work->nodes[above].shown)
            above = work->nodes[above].last_child;
        work->nodes[i].last_child = above;
        add_counts(work, at, above ? &work->out->rows[row_of[above]].hidden : &work->out->hidden);
    }
}

static mw_err write_rows(building *work)
{
    mw_tree *out = work->out;
    uint32_t *row_of = work->runs;
    size_t shown = 0;
    for (uint32_t i = 1; i < work->count; i++)
        shown += work->nodes[i].shown;
    out->rows = mw_alloc(MW_MEM_QUERY, (shown + 1) * sizeof *out->rows);
    if (!out->rows)
        return MW_E_NOMEM;
    for (uint32_t at = next_shown(work, 0); at; at = next_shown(work, at)) {
        row_of[at] = (uint32_t)out->count;
        write_row(work, &work->nodes[at], &out->rows[out->count++]);
    }
    MW_ASSERT(out->count == shown);
    count_hidden(work, row_of);
    return MW_OK;
}

static mw_err build(building *work, size_t limit)
{
    size_t room = (size_t)work->links->count + 2;
    work->nodes = mw_alloc(MW_MEM_QUERY, room * sizeof *work->nodes);
    work->next_member = mw_alloc(MW_MEM_QUERY, room * sizeof *work->next_member);
    work->siblings = mw_alloc(MW_MEM_QUERY, room * sizeof *work->siblings);
    work->runs = mw_alloc(MW_MEM_QUERY, room * sizeof *work->runs);
    if (!work->nodes || !work->next_member || !work->siblings || !work->runs)
        return MW_E_NOMEM;
    make_nodes(work);
    choose_nodes(work, limit ? limit : SIZE_MAX);
    return write_rows(work);
}

mw_err mw_tree_build(const mw_tree_item *items, size_t count, size_t limit, bool fold, mw_tree *out)
{
    mw_tree_links links;
    memset(out, 0, sizeof *out);
    mw_err err = mw_tree_links_init(&links, items, count);
    if (err != MW_OK)
        return err;
    building work = {.links = &links, .fold = fold, .out = out};
    err = mw_tree_critical_path(&links);
    if (err == MW_OK)
        err = mw_tree_critical_top(&links, out);
    if (err == MW_OK)
        err = build(&work, limit);
    mw_free(MW_MEM_QUERY, work.nodes);
    mw_free(MW_MEM_QUERY, work.next_member);
    mw_free(MW_MEM_QUERY, work.siblings);
    mw_free(MW_MEM_QUERY, work.runs);
    mw_tree_links_fini(&links);
    if (err != MW_OK)
        mw_tree_fini(out);
    return err;
}

void mw_tree_fini(mw_tree *tree)
{
    mw_free(MW_MEM_QUERY, tree->rows);
    memset(tree, 0, sizeof *tree);
}
