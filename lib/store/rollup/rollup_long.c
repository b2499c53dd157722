/* A trace in parts. See rollup_long.h. */
#include "lib/store/rollup/rollup_long.h"
#include "lib/base/id.h"
#include "lib/base/memory.h"
#include "lib/store/rollup/rollup_int.h"

#define SEEN_AT_FIRST ((size_t)1024)

struct mw_rollup_long {
    mw_rollup *rollup;
    mw_rollup_span *spans; /* the new ones */
    size_t count;
    uint32_t *by_id;   /* their indices, in order of the ids */
    uint64_t *parents; /* ids of their parents, ascending */
    size_t parent_count;
    uint32_t part, parts;
    bool second;
    /* of the part at hand: earlier spans with a new child, by their ids once all are there */
    mw_rollup_span *kept;
    size_t kept_count, kept_capacity;
    /* ids of earlier spans whose parent is new and that were counted; 0 marks a free place */
    uint64_t *seen;
    size_t seen_count, seen_size;
    bool seen_zero;
    uint64_t seed; /* random: nobody can choose ids that are all in one part, or meet */
};

/* ---- life ------------------------------------------------------------------------------------ */

static uint64_t mixed(const mw_rollup_long *trace, uint64_t id)
{
    uint64_t hash = (id ^ trace->seed) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return hash ^ hash >> 32;
}

static int by_number(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static int by_span_id(const void *left, const void *right, void *ctx)
{
    const mw_rollup_span *spans = ctx;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (spans[a].span_id != spans[b].span_id)
        return spans[a].span_id < spans[b].span_id ? -1 : 1;
    return a < b ? -1 : a > b;
}

static void sort_new(mw_rollup_long *trace)
{
    for (uint32_t i = 0; i < trace->count; i++) {
        trace->spans[i].marks = 0;
        trace->by_id[i] = i;
        if (trace->spans[i].parent_id)
            trace->parents[trace->parent_count++] = trace->spans[i].parent_id;
    }
    if (trace->count > 1)
        qsort_r(trace->by_id, trace->count, sizeof *trace->by_id, by_span_id, trace->spans);
    if (trace->parent_count > 1)
        qsort(trace->parents, trace->parent_count, sizeof *trace->parents, by_number);
    for (size_t i = 1; i < trace->count; i++)
        if (trace->spans[trace->by_id[i]].span_id == trace->spans[trace->by_id[i - 1]].span_id)
            trace->spans[trace->by_id[i]].marks = MW_ROLLUP_REPEAT;
}

static mw_rollup_span *find_new(const mw_rollup_long *trace, uint64_t span_id)
{
    size_t low = 0, high = trace->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (trace->spans[trace->by_id[middle]].span_id < span_id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == trace->count || trace->spans[trace->by_id[low]].span_id != span_id)
        return NULL;
    return &trace->spans[trace->by_id[low]];
}

/* What the new ones come to among themselves. */
static mw_err count_new(mw_rollup_long *trace)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < trace->count; i++) {
        mw_rollup_span *span = &trace->spans[i];
        if (span->marks & MW_ROLLUP_REPEAT)
            continue;
        err = mw_rollup_count_span(trace->rollup, span);
        mw_rollup_span *parent = span->parent_id ? find_new(trace, span->parent_id) : NULL;
        if (err == MW_OK && parent)
            err = mw_rollup_count_edge(trace->rollup, parent, span);
    }
    return err;
}

mw_err mw_rollup_long_begin(mw_rollup *rollup, mw_rollup_span *spans, size_t count, uint32_t parts,
                            mw_rollup_long **out)
{
    mw_rollup_long *trace = mw_calloc(MW_MEM_ROLLUP, 1, sizeof *trace);
    MW_ASSERT(parts > 0 && count <= UINT32_MAX);
    if (!trace)
        return MW_E_NOMEM;
    *trace = (mw_rollup_long){.rollup = rollup, .spans = spans, .count = count, .parts = parts};
    mw_random_bytes(&trace->seed, sizeof trace->seed);
    trace->by_id = mw_alloc(MW_MEM_ROLLUP, (count + 1) * sizeof *trace->by_id);
    trace->parents = mw_alloc(MW_MEM_ROLLUP, (count + 1) * sizeof *trace->parents);
    mw_err err = trace->by_id && trace->parents ? MW_OK : MW_E_NOMEM;
    if (err == MW_OK) {
        sort_new(trace);
        err = count_new(trace);
    }
    if (err == MW_OK)
        *out = trace;
    else
        mw_rollup_long_free(trace);
    return err;
}

void mw_rollup_long_free(mw_rollup_long *trace)
{
    if (!trace)
        return;
    mw_free(MW_MEM_ROLLUP, trace->by_id);
    mw_free(MW_MEM_ROLLUP, trace->parents);
    mw_free(MW_MEM_ROLLUP, trace->kept);
    mw_free(MW_MEM_ROLLUP, trace->seen);
    mw_free(MW_MEM_ROLLUP, trace);
}

/* ---- those with a new child ------------------------------------------------------------------ */

bool mw_rollup_long_has(const mw_rollup_long *trace, uint64_t span_id)
{
    return (mixed(trace, span_id) >> 32) % trace->parts == trace->part;
}

mw_err mw_rollup_long_first(mw_rollup_long *trace, const mw_rollup_span *earlier)
{
    MW_ASSERT(!trace->second && earlier->earlier);
    if (!mw_rollup_long_has(trace, earlier->span_id) || trace->parent_count == 0 ||
        !bsearch(&earlier->span_id, trace->parents, trace->parent_count, sizeof *trace->parents,
                 by_number) ||
        find_new(trace, earlier->span_id))
        return MW_OK;
    if (!mw_have_room(MW_MEM_ROLLUP, &trace->kept, &trace->kept_capacity, trace->kept_count + 1,
                      sizeof *trace->kept))
        return MW_E_NOMEM;
    trace->kept[trace->kept_count] = *earlier;
    trace->kept[trace->kept_count++].marks = 0;
    return MW_OK;
}

static mw_rollup_span *find_kept(const mw_rollup_long *trace, uint64_t span_id)
{
    size_t low = 0, high = trace->kept_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (trace->kept[middle].span_id < span_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < trace->kept_count && trace->kept[low].span_id == span_id ? &trace->kept[low]
                                                                          : NULL;
}

/* In order of the ids; of copies the one that came first. */
static mw_err sort_kept(mw_rollup_long *trace)
{
    size_t count = trace->kept_count;
    uint32_t *order = mw_alloc(MW_MEM_ROLLUP, (count + 1) * sizeof *order);
    mw_rollup_span *sorted = mw_alloc(MW_MEM_ROLLUP, (count + 1) * sizeof *sorted);
    if (!order || !sorted) {
        mw_free(MW_MEM_ROLLUP, order);
        mw_free(MW_MEM_ROLLUP, sorted);
        return MW_E_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    if (count > 1)
        qsort_r(order, count, sizeof *order, by_span_id, trace->kept);
    trace->kept_count = 0;
    for (size_t i = 0; i < count; i++) {
        const mw_rollup_span *span = &trace->kept[order[i]];
        if (trace->kept_count == 0 || sorted[trace->kept_count - 1].span_id != span->span_id)
            sorted[trace->kept_count++] = *span;
    }
    mw_free(MW_MEM_ROLLUP, order);
    mw_free(MW_MEM_ROLLUP, trace->kept);
    trace->kept = sorted;
    trace->kept_capacity = count + 1;
    return MW_OK;
}

static mw_err count_kept(mw_rollup_long *trace)
{
    mw_err err = sort_kept(trace);
    for (size_t i = 0; err == MW_OK && i < trace->count; i++) {
        const mw_rollup_span *child = &trace->spans[i];
        if (child->parent_id == 0 || child->marks & MW_ROLLUP_REPEAT)
            continue;
        mw_rollup_span *parent = find_kept(trace, child->parent_id);
        if (parent)
            err = mw_rollup_count_edge(trace->rollup, parent, child);
    }
    return err;
}

/* ---- those whose parent is new, and siblings ------------------------------------------------- */

static bool grow_seen(mw_rollup_long *trace)
{
    size_t size = trace->seen_size ? 2 * trace->seen_size : SEEN_AT_FIRST;
    uint64_t *places = mw_calloc(MW_MEM_ROLLUP, size, sizeof *places);
    if (!places)
        return false;
    for (size_t i = 0; i < trace->seen_size; i++) {
        size_t at = mixed(trace, trace->seen[i]) & (size - 1);
        while (trace->seen[i] && places[at])
            at = (at + 1) & (size - 1);
        if (trace->seen[i])
            places[at] = trace->seen[i];
    }
    mw_free(MW_MEM_ROLLUP, trace->seen);
    trace->seen = places;
    trace->seen_size = size;
    return true;
}

/* *fresh: the id was not there before. */
static mw_err see(mw_rollup_long *trace, uint64_t id, bool *fresh)
{
    if (id == 0) {
        *fresh = !trace->seen_zero;
        trace->seen_zero = true;
        return MW_OK;
    }
    if (2 * (trace->seen_count + 1) > trace->seen_size && !grow_seen(trace))
        return MW_E_NOMEM;
    size_t at = mixed(trace, id) & (trace->seen_size - 1);
    while (trace->seen[at] && trace->seen[at] != id)
        at = (at + 1) & (trace->seen_size - 1);
    *fresh = trace->seen[at] == 0;
    trace->seen_count += *fresh;
    trace->seen[at] = id;
    return MW_OK;
}

mw_err mw_rollup_long_second(mw_rollup_long *trace, const mw_rollup_span *earlier)
{
    bool fresh = false;
    MW_ASSERT(trace->second && earlier->earlier);
    if (earlier->parent_id == 0 || find_new(trace, earlier->span_id))
        return MW_OK;
    mw_rollup_span *parent = find_kept(trace, earlier->parent_id);
    if (parent)
        return mw_rollup_count_edge(trace->rollup, parent, earlier); /* both earlier: a mark */
    if (!mw_rollup_long_has(trace, earlier->span_id))
        return MW_OK;
    parent = find_new(trace, earlier->parent_id);
    mw_err err = parent ? see(trace, earlier->span_id, &fresh) : MW_OK;
    return fresh ? mw_rollup_count_edge(trace->rollup, parent, earlier) : err;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static mw_err end_part(mw_rollup_long *trace)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < trace->kept_count; i++)
        err = mw_rollup_count_peer(trace->rollup, &trace->kept[i]);
    trace->kept_count = 0;
    if (trace->seen_size)
        memset(trace->seen, 0, trace->seen_size * sizeof *trace->seen);
    trace->seen_count = 0;
    trace->seen_zero = false;
    trace->part++;
    return err;
}

mw_err mw_rollup_long_turn(mw_rollup_long *trace)
{
    MW_ASSERT(trace->part < trace->parts);
    trace->second = !trace->second;
    return trace->second ? count_kept(trace) : end_part(trace);
}

mw_err mw_rollup_long_end(mw_rollup_long *trace)
{
    mw_err err = MW_OK;
    MW_ASSERT(trace->part == trace->parts && !trace->second);
    for (size_t i = 0; err == MW_OK && i < trace->count; i++)
        err = mw_rollup_count_peer(trace->rollup, &trace->spans[i]);
    return err;
}
