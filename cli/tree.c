/* The tree of a trace's spans, walked without recursion. */
#include <stdlib.h>

#include "cli/tree.h"
#include "lib/base/memory.h"

#define NONE SIZE_MAX

typedef struct id_entry {
    mw_slice id; /* of by_id's entry */
    size_t index;
} id_entry;

typedef struct walk {
    mw_tree_node *nodes;
    size_t count;
    id_entry *by_id; /* sorted */
    size_t *parent;  /* index or NONE */
    size_t *first_child;
    size_t *next_sibling;
    bool *seen;
    size_t *order;
    size_t used;
} walk;

static int compare_ids(const void *a, const void *b)
{
    const id_entry *left = a, *right = b;
    return mw_slice_compare(left->id, right->id);
}

static size_t find_parent(const walk *state, size_t i)
{
    id_entry wanted = {state->nodes[i].parent, 0};
    if (wanted.id.len == 0)
        return NONE;
    const id_entry *found =
        bsearch(&wanted, state->by_id, state->count, sizeof wanted, compare_ids);
    return found && found->index != i ? found->index : NONE;
}

static void link_nodes(walk *state)
{
    for (size_t i = 0; i < state->count; i++)
        state->by_id[i] = (id_entry){state->nodes[i].id, i};
    qsort(state->by_id, state->count, sizeof *state->by_id, compare_ids);
    for (size_t i = 0; i < state->count; i++)
        state->first_child[i] = state->next_sibling[i] = NONE;
    /* From the back, so that each list of children keeps the order given. */
    for (size_t i = state->count; i-- > 0;) {
        size_t parent = find_parent(state, i);
        state->parent[i] = parent;
        if (parent == NONE)
            continue;
        state->next_sibling[i] = state->first_child[parent];
        state->first_child[parent] = i;
    }
}

static size_t unseen(const walk *state, size_t sibling)
{
    while (sibling != NONE && state->seen[sibling])
        sibling = state->next_sibling[sibling];
    return sibling;
}

static void visit(walk *state, size_t node, size_t depth)
{
    state->seen[node] = true;
    state->nodes[node].depth = depth;
    state->order[state->used++] = node;
}

static void walk_from(walk *state, size_t root)
{
    size_t node = root, depth = 0;
    visit(state, root, 0);
    for (;;) {
        size_t next = unseen(state, state->first_child[node]);
        if (next != NONE) {
            node = next;
            visit(state, node, ++depth);
            continue;
        }
        while (node != root && (next = unseen(state, state->next_sibling[node])) == NONE) {
            node = state->parent[node];
            depth--;
        }
        if (node == root)
            return;
        node = next;
        visit(state, node, depth);
    }
}

void mw_tree_order(mw_tree_node *nodes, size_t count, size_t *order)
{
    walk state = {.nodes = nodes, .count = count, .order = order};
    if (count == 0)
        return;
    state.by_id = mw_calloc_or_die(MW_MEM_BASE, count, sizeof *state.by_id);
    state.parent = mw_calloc_or_die(MW_MEM_BASE, count, sizeof *state.parent);
    state.first_child = mw_calloc_or_die(MW_MEM_BASE, count, sizeof *state.first_child);
    state.next_sibling = mw_calloc_or_die(MW_MEM_BASE, count, sizeof *state.next_sibling);
    state.seen = mw_calloc_or_die(MW_MEM_BASE, count, sizeof *state.seen);
    link_nodes(&state);
    for (size_t i = 0; i < count; i++)
        if (state.parent[i] == NONE)
            walk_from(&state, i);
    /* What is left hangs on circles. */
    for (size_t i = 0; i < count; i++)
        if (!state.seen[i])
            walk_from(&state, i);
    MW_ASSERT(state.used == count);
    mw_free(MW_MEM_BASE, state.by_id);
    mw_free(MW_MEM_BASE, state.parent);
    mw_free(MW_MEM_BASE, state.first_child);
    mw_free(MW_MEM_BASE, state.next_sibling);
    mw_free(MW_MEM_BASE, state.seen);
}
