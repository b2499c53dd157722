/* Graph, changes, and what is known of a service. See topology.h. Pure; one thread at a time.
 *
 * Names are sorted and numbered; edges lie in one array by caller, with a second one of their
 * numbers by callee, so that both ways are walked without search. Walks keep a mark a node and a
 * queue, both made once.
 */
#include "triage/decision/topology.h"

#include "triage/decision/change.h"

/* Suspects that began within so many minutes of each other began together: minutes are what onsets
 * are known to, and few calls show a fault a minute late. */
#define TOGETHER_MINUTES 2u

typedef struct edge {
    uint32_t caller, callee;
    mw_change change;
} edge;

typedef struct node {
    mw_slice name;
    mw_change entry;
    uint32_t out_first, out_count; /* of edges */
    uint32_t in_first, in_count;   /* of callers */
    mw_standing *standing;         /* NULL until asked for */
} node;

struct mw_topology {
    mw_arena *arena;
    node *nodes;
    uint32_t node_count;
    edge *edges; /* by caller, then callee */
    uint32_t edge_count;
    uint32_t *callers; /* numbers of edges, by callee */
    /* of a walk */
    uint32_t *queue;
    uint32_t *distance; /* by node; UNSEEN */
    mw_relation *relation;
    uint64_t *tags, tags_key;
};

#define UNSEEN UINT32_MAX

/* ---- names ----------------------------------------------------------------------------------- */

static int by_name(const void *left, const void *right)
{
    return mw_slice_compare(*(const mw_slice *)left, *(const mw_slice *)right);
}

static mw_err put_names(mw_topology *t, const mw_minutes *minutes, const mw_call_edge *imported,
                        size_t imported_count)
{
    size_t known = minutes ? minutes->name_count : 0, count = 0;
    mw_slice *names = mw_arena_zalloc(t->arena, known + 2 * imported_count + 1, sizeof *names);
    if (!names)
        return MW_E_NOMEM;
    for (size_t i = 0; i < known; i++)
        names[count++] = minutes->names[i];
    for (size_t i = 0; i < imported_count; i++) {
        names[count++] = imported[i].caller;
        names[count++] = imported[i].callee;
    }
    qsort(names, count, sizeof *names, by_name);
    t->nodes = mw_arena_zalloc(t->arena, count + 1, sizeof *t->nodes);
    if (!t->nodes)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !mw_slice_equal(names[i], names[i - 1]))
            t->nodes[t->node_count++].name = names[i];
    return MW_OK;
}

size_t mw_topology_nodes(const mw_topology *topology)
{
    return topology->node_count;
}

mw_slice mw_topology_name(const mw_topology *topology, uint32_t number)
{
    MW_ASSERT(number < topology->node_count);
    return topology->nodes[number].name;
}

bool mw_topology_find(const mw_topology *topology, mw_slice name, uint32_t *number)
{
    uint32_t from = 0, to = topology->node_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        int order = mw_slice_compare(topology->nodes[middle].name, name);
        if (order == 0) {
            *number = middle;
            return true;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

/* ---- edges ----------------------------------------------------------------------------------- */

static bool same_series(const mw_minute_cell *a, const mw_minute_cell *b)
{
    return a->caller == b->caller && a->callee == b->callee;
}

/* The cells [from, to) of one series, as a row of minutes. */
static mw_change judge_cells(const mw_minute_cell *cells, size_t from, size_t to, uint32_t last)
{
    mw_series_minute row[MW_TOPOLOGY_MINUTES] = {{0}};
    for (size_t i = from; i < to; i++) {
        uint32_t minute = cells[i].minute;
        if (minute > last || last - minute >= MW_TOPOLOGY_MINUTES)
            continue;
        row[MW_TOPOLOGY_MINUTES - 1 - (last - minute)] =
            (mw_series_minute){cells[i].calls, cells[i].errors, cells[i].mean_us};
    }
    return mw_change_judge(row, last);
}

static uint32_t number_of(const mw_topology *t, mw_slice name)
{
    uint32_t number = 0;
    bool found = mw_topology_find(t, name, &number);
    MW_ASSERT(found);
    return number;
}

static void put_series(mw_topology *t, const mw_minutes *minutes, uint32_t last)
{
    const mw_minute_cell *cells = minutes->cells;
    for (size_t i = 0, end; i < minutes->cell_count; i = end) {
        for (end = i + 1; end < minutes->cell_count && same_series(&cells[i], &cells[end]);)
            end++;
        mw_change change = judge_cells(cells, i, end, last);
        uint32_t callee = number_of(t, minutes->names[cells[i].callee]);
        if (cells[i].caller == MW_MINUTES_ENTRY)
            t->nodes[callee].entry = change;
        else
            t->edges[t->edge_count++] =
                (edge){number_of(t, minutes->names[cells[i].caller]), callee, change};
    }
}

static int by_ends(const void *left, const void *right)
{
    const edge *a = left, *b = right;
    if (a->caller != b->caller)
        return a->caller < b->caller ? -1 : 1;
    if (a->callee != b->callee)
        return a->callee < b->callee ? -1 : 1;
    return (int)b->change.state - (int)a->change.state; /* seen before imported */
}

/* Sorted, no two alike, with the places of each node's in both directions. */
static mw_err lay_out(mw_topology *t)
{
    uint32_t kept = 0, *next;
    qsort(t->edges, t->edge_count, sizeof *t->edges, by_ends);
    for (uint32_t i = 0; i < t->edge_count; i++) {
        const edge *e = &t->edges[i];
        if (kept && t->edges[kept - 1].caller == e->caller &&
            t->edges[kept - 1].callee == e->callee)
            continue;
        t->edges[kept++] = *e;
    }
    t->edge_count = kept;
    t->callers = mw_arena_zalloc(t->arena, (size_t)kept + 1, sizeof *t->callers);
    next = mw_arena_zalloc(t->arena, (size_t)t->node_count + 1, sizeof *next);
    if (!t->callers || !next)
        return MW_E_NOMEM;
    for (uint32_t i = 0; i < kept; i++) {
        node *caller = &t->nodes[t->edges[i].caller];
        if (caller->out_count++ == 0)
            caller->out_first = i;
        t->nodes[t->edges[i].callee].in_count++;
    }
    for (uint32_t i = 0, at = 0; i < t->node_count; at += t->nodes[i++].in_count)
        next[i] = t->nodes[i].in_first = at;
    for (uint32_t i = 0; i < kept; i++)
        t->callers[next[t->edges[i].callee]++] = i;
    return MW_OK;
}

mw_err mw_topology_build(const mw_minutes *minutes, const mw_call_edge *imported,
                         size_t imported_count, uint32_t minute, mw_arena *arena, mw_topology **out)
{
    mw_topology *t = mw_arena_zalloc(arena, 1, sizeof *t);
    if (!t)
        return MW_E_NOMEM;
    t->arena = arena;
    mw_err err = put_names(t, minutes, imported, imported_count);
    if (err != MW_OK)
        return err;
    size_t edges = imported_count + (minutes ? minutes->cell_count : 0), nodes = t->node_count;
    t->edges = mw_arena_zalloc(arena, edges + 1, sizeof *t->edges);
    t->queue = mw_arena_zalloc(arena, nodes + 1, sizeof *t->queue);
    t->distance = mw_arena_zalloc(arena, nodes + 1, sizeof *t->distance);
    t->relation = mw_arena_zalloc(arena, nodes + 1, sizeof *t->relation);
    if (!t->edges || !t->queue || !t->distance || !t->relation)
        return MW_E_NOMEM;
    if (minutes)
        put_series(t, minutes, minute);
    for (size_t i = 0; i < imported_count; i++)
        t->edges[t->edge_count++] = (edge){.caller = number_of(t, imported[i].caller),
                                           .callee = number_of(t, imported[i].callee)};
    *out = t;
    return lay_out(t);
}

/* ---- walks ----------------------------------------------------------------------------------- */

static bool is_worse(const mw_change *change)
{
    return change->state > MW_SIGNAL_USUAL;
}

static void forget_walk(mw_topology *t)
{
    for (uint32_t i = 0; i < t->node_count; i++) {
        t->distance[i] = UNSEEN;
        t->relation[i] = MW_RELATION_NONE;
    }
}

/* Everything up to MW_TOPOLOGY_FAR calls away in one direction; what was seen before stays as it
 * was when it is as near. */
static void walk(mw_topology *t, uint32_t start, mw_relation relation)
{
    uint32_t head = 0, tail = 0, *queue = t->queue;
    queue[tail++] = start;
    t->distance[start] = 0;
    while (head < tail) {
        const node *n = &t->nodes[queue[head]];
        uint32_t far = t->distance[queue[head++]] + 1;
        bool down = relation == MW_RELATION_CALLEE;
        uint32_t count = far > MW_TOPOLOGY_FAR ? 0 : down ? n->out_count : n->in_count;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t other = down ? t->edges[n->out_first + i].callee
                                  : t->edges[t->callers[n->in_first + i]].caller;
            /* A node that both ways lead to is entered once a way at most: nearer ones alone. */
            if (t->distance[other] <= far)
                continue;
            t->distance[other] = far;
            t->relation[other] = relation;
            if (tail < t->node_count)
                queue[tail++] = other;
        }
    }
}

/* Services that call one that `start` calls too. */
static void walk_shared(mw_topology *t, uint32_t start)
{
    const node *n = &t->nodes[start];
    for (uint32_t i = 0; i < n->out_count; i++) {
        const node *callee = &t->nodes[t->edges[n->out_first + i].callee];
        for (uint32_t k = 0; k < callee->in_count; k++) {
            uint32_t other = t->edges[t->callers[callee->in_first + k]].caller;
            if (t->distance[other] != UNSEEN)
                continue;
            t->distance[other] = 1;
            t->relation[other] = MW_RELATION_SHARED;
        }
    }
}

static int by_distance(const void *left, const void *right)
{
    const mw_near *a = left, *b = right;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    return (a->node > b->node) - (a->node < b->node);
}

static mw_err find_near(mw_topology *t, uint32_t start, mw_standing *out)
{
    forget_walk(t);
    walk(t, start, MW_RELATION_CALLEE);
    walk(t, start, MW_RELATION_CALLER);
    walk_shared(t, start);
    t->relation[start] = MW_RELATION_SAME;
    for (uint32_t i = 0; i < t->node_count; i++)
        out->near_count += t->distance[i] != UNSEEN;
    out->near = mw_arena_zalloc(t->arena, out->near_count, sizeof *out->near);
    if (!out->near)
        return MW_E_NOMEM;
    size_t at = 0;
    for (uint32_t i = 0; i < t->node_count; i++)
        if (t->distance[i] != UNSEEN)
            out->near[at++] = (mw_near){i, t->relation[i], t->distance[i]};
    qsort(out->near, out->near_count, sizeof *out->near, by_distance);
    return MW_OK;
}

/* ---- suspects -------------------------------------------------------------------------------- */

/* The plainest of what comes into a service; *caller says where from. */
static mw_change into(const mw_topology *t, uint32_t number, uint32_t *caller)
{
    const node *n = &t->nodes[number];
    mw_change worst = n->entry;
    *caller = MW_MINUTES_ENTRY;
    for (uint32_t i = 0; i < n->in_count; i++) {
        const edge *e = &t->edges[t->callers[n->in_first + i]];
        bool plainer = is_worse(&e->change) &&
                       (!is_worse(&worst) || (e->change.strong && !worst.strong) ||
                        (e->change.strong == worst.strong && e->change.onset < worst.onset));
        if (plainer || (worst.state == MW_SIGNAL_UNKNOWN && e->change.state != MW_SIGNAL_UNKNOWN)) {
            worst = e->change;
            *caller = e->caller;
        }
    }
    return worst;
}

/* Sorted by name, which is by number; when there is no room, the later onsets stay. */
static void add_suspect(mw_standing *out, mw_suspect suspect)
{
    size_t at = out->suspect_count;
    if (at == MW_SUSPECTS_MAX) {
        size_t oldest = 0;
        for (size_t i = 1; i < at; i++)
            if (out->suspects[i].onset < out->suspects[oldest].onset)
                oldest = i;
        if (suspect.onset <= out->suspects[oldest].onset)
            return;
        for (size_t i = oldest; i + 1 < at; i++)
            out->suspects[i] = out->suspects[i + 1];
        at--;
    } else {
        out->suspect_count++;
    }
    for (; at > 0 && out->suspects[at - 1].node > suspect.node; at--)
        out->suspects[at] = out->suspects[at - 1];
    out->suspects[at] = suspect;
}

static void suspect_node(const mw_topology *t, uint32_t number, mw_standing *out)
{
    uint32_t caller;
    mw_change change = into(t, number, &caller);
    if (is_worse(&change))
        add_suspect(out, (mw_suspect){number, change.onset, change.strong, change, caller});
}

/* Follows calls that changed; *count nodes in t->queue, the start first. */
static void follow(mw_topology *t, uint32_t start, uint32_t *count)
{
    uint32_t head = 0, tail = 0;
    for (uint32_t i = 0; i < t->node_count; i++)
        t->distance[i] = UNSEEN;
    t->queue[tail++] = start;
    t->distance[start] = 0;
    while (head < tail) {
        uint32_t from = t->queue[head++];
        const node *n = &t->nodes[from];
        for (uint32_t i = 0; i < n->out_count; i++) {
            const edge *e = &t->edges[n->out_first + i];
            if (!is_worse(&e->change) || t->distance[e->callee] != UNSEEN)
                continue;
            t->distance[e->callee] = t->distance[from] + 1;
            t->queue[tail++] = e->callee;
        }
    }
    *count = tail;
}

static bool passes_on(const mw_topology *t, uint32_t number)
{
    const node *n = &t->nodes[number];
    for (uint32_t i = 0; i < n->out_count; i++)
        if (is_worse(&t->edges[n->out_first + i].change))
            return true;
    return false;
}

/* A circle of calls has no end: then the service farthest along it is named. */
static void find_suspects(mw_topology *t, uint32_t start, mw_standing *out)
{
    uint32_t count, caller;
    follow(t, start, &count);
    for (uint32_t i = 0; i < count; i++)
        if (!passes_on(t, t->queue[i]))
            suspect_node(t, t->queue[i], out);
    if (!out->suspect_count && count > 1)
        suspect_node(t, t->queue[count - 1], out);
    out->known = out->suspect_count > 0 || into(t, start, &caller).state != MW_SIGNAL_UNKNOWN;
}

/* Against the calls that changed, from all suspects at once. */
static mw_err find_before(mw_topology *t, mw_standing *out)
{
    uint32_t head = 0, tail = 0;
    for (uint32_t i = 0; i < t->node_count; i++)
        t->distance[i] = UNSEEN;
    for (size_t i = 0; i < out->suspect_count; i++) {
        t->distance[out->suspects[i].node] = 0;
        t->queue[tail++] = out->suspects[i].node;
    }
    uint32_t suspects = tail;
    while (head < tail) {
        const node *n = &t->nodes[t->queue[head++]];
        for (uint32_t i = 0; i < n->in_count; i++) {
            const edge *e = &t->edges[t->callers[n->in_first + i]];
            if (!is_worse(&e->change) || t->distance[e->caller] != UNSEEN)
                continue;
            t->distance[e->caller] = 1;
            t->queue[tail++] = e->caller;
        }
    }
    out->before_count = tail - suspects;
    out->before = mw_arena_zalloc(t->arena, out->before_count + 1, sizeof *out->before);
    if (!out->before)
        return MW_E_NOMEM;
    memcpy(out->before, t->queue + suspects, out->before_count * sizeof *out->before);
    return MW_OK;
}

const mw_standing *mw_topology_standing(mw_topology *topology, uint32_t number)
{
    MW_ASSERT(number < topology->node_count);
    node *n = &topology->nodes[number];
    if (n->standing)
        return n->standing;
    mw_standing *standing = mw_arena_zalloc(topology->arena, 1, sizeof *standing);
    if (!standing || find_near(topology, number, standing) != MW_OK)
        return NULL;
    find_suspects(topology, number, standing);
    if (find_before(topology, standing) != MW_OK)
        return NULL;
    n->standing = standing;
    return standing;
}

uint64_t *mw_topology_tags(mw_topology *topology, uint64_t key)
{
    size_t count = (size_t)topology->node_count + 1;
    if (!topology->tags)
        topology->tags = mw_arena_zalloc(topology->arena, count, sizeof *topology->tags);
    else if (topology->tags_key != key)
        memset(topology->tags, 0, count * sizeof *topology->tags);
    topology->tags_key = key;
    return topology->tags;
}

size_t mw_topology_newest(const mw_standing *standing, const mw_suspect **out)
{
    uint32_t newest = 0;
    size_t count = 0;
    for (size_t i = 0; i < standing->suspect_count; i++)
        if (standing->suspects[i].strong && standing->suspects[i].onset > newest)
            newest = standing->suspects[i].onset;
    for (size_t i = 0; i < standing->suspect_count; i++) {
        const mw_suspect *suspect = &standing->suspects[i];
        /* Beside a plain one a faint one is chance. */
        if (suspect->onset + TOGETHER_MINUTES >= newest && (suspect->strong || !newest))
            out[count++] = suspect;
    }
    return count;
}
