/* Who is whose child in a trace, and what is beneath whom. See trace_tree.h. Pure. */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "server/api/trace_tree.h"

typedef struct id_entry {
    uint64_t id;
    uint32_t index;
} id_entry;

static int by_id(const void *left, const void *right)
{
    const id_entry *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static uint32_t find_id(const id_entry *ids, size_t count, uint64_t id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ids[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && ids[low].id == id ? ids[low].index : MW_TREE_NONE;
}

static mw_err find_parents(mw_tree_links *links)
{
    size_t known = 0;
    id_entry *ids = mw_alloc(MW_MEM_QUERY, ((size_t)links->count + 1) * sizeof *ids);
    if (!ids)
        return MW_E_NOMEM;
    for (uint32_t i = 0; i < links->count; i++)
        if (links->items[i].id)
            ids[known++] = (id_entry){links->items[i].id, i};
    if (known > 1)
        qsort(ids, known, sizeof *ids, by_id);
    for (uint32_t i = 0; i < links->count; i++) {
        uint64_t wanted = links->items[i].parent_id;
        uint32_t parent = wanted ? find_id(ids, known, wanted) : MW_TREE_NONE;
        links->parent[i] = parent == MW_TREE_NONE || parent == i ? links->count : parent;
        if (wanted && parent == MW_TREE_NONE)
            links->notes[i] |= MW_TREE_ORPHAN;
        else if (parent == i)
            links->notes[i] |= MW_TREE_CYCLE;
    }
    mw_free(MW_MEM_QUERY, ids);
    return MW_OK;
}

/* From the back, so that each list of children keeps the order given. */
static void link_children(mw_tree_links *links)
{
    for (uint32_t i = 0; i <= links->count; i++)
        links->first_child[i] = MW_TREE_NONE;
    for (uint32_t i = links->count; i-- > 0;) {
        uint32_t parent = links->parent[i];
        links->next_sibling[i] = links->first_child[parent];
        links->first_child[parent] = i;
    }
}

/* Breadth first from order[from..to); returns the new end. `placed` is by index. */
static size_t place_below(mw_tree_links *links, uint8_t *placed, size_t from, size_t to)
{
    for (; from < to; from++)
        for (uint32_t child = links->first_child[links->order[from]]; child != MW_TREE_NONE;
             child = links->next_sibling[child]) {
            if (placed[child])
                continue; /* where a cycle was cut */
            placed[child] = 1;
            links->order[to++] = child;
        }
    return to;
}

/* Walks up from `at`, which hangs on a cycle, until it meets its own stamp. The earliest member of
 * the cycle becomes a root: items come by time, so that is the lowest index. */
static uint32_t cut_cycle(mw_tree_links *links, uint32_t at, uint32_t *stamps)
{
    uint32_t stamp = at + 1, on = at;
    while (stamps[on] != stamp) {
        stamps[on] = stamp;
        on = links->parent[on];
    }
    uint32_t earliest = on;
    for (uint32_t i = links->parent[on]; i != on; i = links->parent[i])
        earliest = i < earliest ? i : earliest;
    return earliest;
}

static size_t place_roots(mw_tree_links *links, uint8_t *placed)
{
    size_t to = 0;
    for (uint32_t i = 0; i < links->count; i++) {
        if (links->parent[i] != links->count)
            continue;
        placed[i] = 1;
        links->order[to++] = i;
    }
    return place_below(links, placed, 0, to);
}

/* Parents before children. What no root reaches hangs on cycles; each walk places all that hangs on
 * one of them. */
static mw_err put_in_order(mw_tree_links *links)
{
    uint8_t *placed = mw_calloc(MW_MEM_QUERY, (size_t)links->count + 1, 1);
    uint32_t *stamps = mw_calloc(MW_MEM_QUERY, (size_t)links->count + 1, sizeof *stamps);
    mw_err err = placed && stamps ? MW_OK : MW_E_NOMEM;
    size_t to = err == MW_OK ? place_roots(links, placed) : 0;
    bool cycles = false;
    for (uint32_t i = 0; err == MW_OK && to < links->count && i < links->count; i++) {
        if (placed[i])
            continue;
        uint32_t cut = cut_cycle(links, i, stamps);
        links->parent[cut] = links->count;
        links->notes[cut] |= MW_TREE_CYCLE;
        cycles = true;
        placed[cut] = 1;
        links->order[to] = cut;
        to = place_below(links, placed, to, to + 1);
    }
    MW_ASSERT(err != MW_OK || to == links->count);
    if (cycles)
        link_children(links);
    mw_free(MW_MEM_QUERY, placed);
    mw_free(MW_MEM_QUERY, stamps);
    return err;
}

/* ---- shapes --------------------------------------------------------------------------------- */

static int by_number(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return a < b ? -1 : a > b;
}

/* Distinct shapes of the spans beneath, in an order of their own, behind the signature. */
static uint64_t shape_of(const mw_tree_links *links, uint32_t at, uint64_t *work)
{
    size_t count = 1, kept = 1;
    work[0] = links->items[at].signature;
    for (uint32_t child = links->first_child[at]; child != MW_TREE_NONE;
         child = links->next_sibling[child])
        if (links->items[child].id)
            work[count++] = links->shapes[child];
    if (count > 2)
        qsort(work + 1, count - 1, sizeof *work, by_number);
    for (size_t i = 1; i < count; i++)
        if (i == 1 || work[i] != work[kept - 1])
            work[kept++] = work[i];
    return kept == 1 ? work[0] : XXH3_64bits(work, kept * sizeof *work);
}

static mw_err find_shapes(mw_tree_links *links)
{
    uint64_t *work = mw_alloc(MW_MEM_QUERY, ((size_t)links->count + 1) * sizeof *work);
    if (!work)
        return MW_E_NOMEM;
    for (uint32_t i = links->count; i-- > 0;)
        links->shapes[links->order[i]] = shape_of(links, links->order[i], work);
    mw_free(MW_MEM_QUERY, work);
    return MW_OK;
}

/* ---- life ----------------------------------------------------------------------------------- */

void mw_tree_links_fini(mw_tree_links *links)
{
    mw_free(MW_MEM_QUERY, links->parent);
    mw_free(MW_MEM_QUERY, links->first_child);
    mw_free(MW_MEM_QUERY, links->next_sibling);
    mw_free(MW_MEM_QUERY, links->order);
    mw_free(MW_MEM_QUERY, links->notes);
    mw_free(MW_MEM_QUERY, links->critical_ns);
    mw_free(MW_MEM_QUERY, links->shapes);
    memset(links, 0, sizeof *links);
}

mw_err mw_tree_links_init(mw_tree_links *links, const mw_tree_item *items, size_t count)
{
    memset(links, 0, sizeof *links);
    if (count >= INT32_MAX)
        return MW_E_LIMIT;
    links->items = items;
    links->count = (uint32_t)count;
    links->parent = mw_alloc(MW_MEM_QUERY, (count + 1) * sizeof(uint32_t));
    links->first_child = mw_alloc(MW_MEM_QUERY, (count + 1) * sizeof(uint32_t));
    links->next_sibling = mw_alloc(MW_MEM_QUERY, (count + 1) * sizeof(uint32_t));
    links->order = mw_alloc(MW_MEM_QUERY, (count + 1) * sizeof(uint32_t));
    links->notes = mw_calloc(MW_MEM_QUERY, count + 1, 1);
    links->critical_ns = mw_calloc(MW_MEM_QUERY, count + 1, sizeof(uint64_t));
    links->shapes = mw_calloc(MW_MEM_QUERY, count + 1, sizeof(uint64_t));
    bool room = links->parent && links->first_child && links->next_sibling && links->order &&
                links->notes && links->critical_ns && links->shapes;
    mw_err err = room ? find_parents(links) : MW_E_NOMEM;
    if (err == MW_OK) {
        link_children(links);
        err = put_in_order(links);
    }
    if (err == MW_OK)
        err = find_shapes(links);
    if (err != MW_OK)
        mw_tree_links_fini(links);
    return err;
}
