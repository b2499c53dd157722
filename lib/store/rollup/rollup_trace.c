/* What the spans of one trace add to a roll-up. See rollup.h.
 *
 * No input decides how long a look-up takes: the hashes have a random seed, and of a trace's spans
 * more than a few are found by sorting instead.
 */
#include "lib/store/rollup/rollup_int.h"

/* Spans of a trace that are looked up in a table of twice as many places: if somebody made all of
 * their ids meet, that is still cheap. */
#define FEW_SPANS 256u

enum { KIND_SERVER = 2, KIND_CLIENT = 3, KIND_PRODUCER = 4, KIND_CONSUMER = 5, STATUS_ERROR = 2 };
/* Marks of a span beside MW_ROLLUP_REPEAT: a child of another service is among all spans, among the
 * earlier ones. */
enum { RESOLVED = 1, RESOLVED_EARLIER = 2 };

/* ---- counting ------------------------------------------------------------------------------- */

static uint32_t minute_of(uint64_t ns)
{
    return (uint32_t)(ns / MW_MINUTE_NS);
}

static int64_t cut_us(uint64_t duration_ns)
{
    uint64_t us = duration_ns / 1000;
    return us >> 32 ? (int64_t)1 << 32 : (int64_t)us;
}

static mw_err count_once(mw_rollup *rollup, mw_rollup_cell *cell, const mw_rollup_span *span,
                         int sign)
{
    mw_rollup_sum(&cell->errors, span->status == STATUS_ERROR ? sign : 0);
    mw_rollup_sum(&cell->sum_us, sign * cut_us(span->duration_ns));
    return mw_rollup_count(rollup, cell, mw_latency_bucket(span->duration_ns), sign);
}

mw_err mw_rollup_count_span(mw_rollup *rollup, const mw_rollup_span *span)
{
    bool entry = span->kind == KIND_SERVER || span->kind == KIND_CONSUMER || span->parent_id == 0;
    mw_rollup_key key = {entry ? MW_ROLLUP_ENTRY : MW_ROLLUP_INSIDE, minute_of(span->start_ns),
                         span->service, span->operation};
    mw_rollup_cell *cell;
    mw_err err = mw_rollup_cell_of(rollup, key, 1, &cell);
    if (err != MW_OK || !cell)
        return err;
    return count_once(rollup, cell, span, 1);
}

/* A call from `caller` with the minute, error and duration of `span`; `parent` is the CLIENT span
 * whose SERVER child it is, or NULL. */
static mw_err count_call(mw_rollup *rollup, uint32_t caller, uint32_t callee,
                         const mw_rollup_span *span, const mw_rollup_span *parent, int sign)
{
    mw_rollup_key key = {MW_ROLLUP_CALL, minute_of(span->start_ns), caller, callee};
    mw_rollup_cell *cell;
    mw_err err = mw_rollup_cell_of(rollup, key, 1, &cell);
    if (err == MW_OK && cell)
        err = count_once(rollup, cell, span, sign);
    if (err != MW_OK || !cell || !parent)
        return err;
    uint64_t wire_ns =
        parent->duration_ns > span->duration_ns ? parent->duration_ns - span->duration_ns : 0;
    mw_rollup_sum(&cell->wire_us, sign * cut_us(wire_ns));
    return mw_rollup_count(rollup, cell, MW_ROLLUP_WIRE + mw_latency_bucket(wire_ns), sign);
}

static uint32_t place_of(uint64_t span_id, uint64_t seed, uint32_t mask)
{
    uint64_t mixed = (span_id ^ seed) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed >> 40) & mask;
}

/* Where the spans of a trace are, by id: `places` holds 1 + index by a hash of the id, or, when
 * they are many, the indices in order of the ids. */
typedef struct trace_spans {
    mw_rollup_span *spans;
    size_t count;
    const uint32_t *places;
    uint32_t mask; /* 0 = in order */
    uint64_t seed;
} trace_spans;

static mw_rollup_span *find_sorted(const trace_spans *trace, uint64_t span_id)
{
    size_t low = 0, high = trace->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (trace->spans[trace->places[middle]].span_id < span_id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == trace->count || trace->spans[trace->places[low]].span_id != span_id)
        return NULL;
    return &trace->spans[trace->places[low]];
}

static mw_rollup_span *find_span(const trace_spans *trace, uint64_t span_id)
{
    if (trace->count < 2)
        return NULL;
    if (trace->mask == 0)
        return find_sorted(trace, span_id);
    uint32_t at = place_of(span_id, trace->seed, trace->mask);
    for (; trace->places[at]; at = (at + 1) & trace->mask)
        if (trace->spans[trace->places[at] - 1].span_id == span_id)
            return &trace->spans[trace->places[at] - 1];
    return NULL;
}

static int by_id(const void *left, const void *right, void *ctx)
{
    const mw_rollup_span *spans = ctx;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (spans[a].span_id != spans[b].span_id)
        return spans[a].span_id < spans[b].span_id ? -1 : 1;
    return a < b ? -1 : a > b;
}

static void sort_spans(trace_spans *trace, uint32_t *places)
{
    for (uint32_t i = 0; i < trace->count; i++)
        places[i] = i;
    qsort_r(places, trace->count, sizeof *places, by_id, trace->spans);
    for (uint32_t i = 1; i < trace->count; i++)
        if (trace->spans[places[i]].span_id == trace->spans[places[i - 1]].span_id)
            trace->spans[places[i]].marks = MW_ROLLUP_REPEAT;
    trace->places = places;
}

static void hash_spans(trace_spans *trace, uint32_t *places, uint32_t size)
{
    memset(places, 0, size * sizeof *places);
    trace->places = places;
    trace->mask = size - 1;
    for (uint32_t i = 0; i < trace->count; i++) {
        uint32_t at = place_of(trace->spans[i].span_id, trace->seed, trace->mask);
        while (places[at] && trace->spans[places[at] - 1].span_id != trace->spans[i].span_id)
            at = (at + 1) & trace->mask;
        if (places[at])
            trace->spans[i].marks = MW_ROLLUP_REPEAT;
        else
            places[at] = i + 1;
    }
}

/* Finds repeats on the way. */
static mw_err index_spans(mw_rollup *rollup, trace_spans *trace)
{
    size_t need = trace->count;
    uint32_t size = 8;
    if (need < 2)
        return MW_OK;
    if (need > UINT32_MAX / 2)
        return MW_E_NOMEM;
    while (need <= FEW_SPANS && size < 2 * need)
        size *= 2;
    if (need <= FEW_SPANS)
        need = 2 * FEW_SPANS;
    if (need > rollup->place_capacity) {
        mw_free(MW_MEM_ROLLUP, rollup->places);
        rollup->place_capacity = 0;
        rollup->places = mw_alloc(MW_MEM_ROLLUP, need * sizeof *rollup->places);
        if (!rollup->places)
            return MW_E_NOMEM;
        rollup->place_capacity = need;
    }
    if (trace->count <= FEW_SPANS)
        hash_spans(trace, rollup->places, size);
    else
        sort_spans(trace, rollup->places);
    return MW_OK;
}

mw_err mw_rollup_count_edge(mw_rollup *rollup, mw_rollup_span *parent, const mw_rollup_span *child)
{
    if (parent->service == 0 || child->service == 0 || parent->service == child->service)
        return MW_OK;
    parent->marks |= RESOLVED;
    if (parent->earlier && child->earlier) {
        parent->marks |= RESOLVED_EARLIER;
        return MW_OK;
    }
    bool wire = parent->kind == KIND_CLIENT && child->kind == KIND_SERVER;
    return count_call(rollup, parent->service, child->service, child, wire ? parent : NULL, 1);
}

/* The edge from the span's parent, when there is one. */
static mw_err count_edge(mw_rollup *rollup, const trace_spans *trace, const mw_rollup_span *child)
{
    if (child->parent_id == 0 || child->service == 0 || child->marks & MW_ROLLUP_REPEAT)
        return MW_OK;
    mw_rollup_span *parent = find_span(trace, child->parent_id);
    return parent ? mw_rollup_count_edge(rollup, parent, child) : MW_OK;
}

/* The call by its peer's name: what it is now, less what it was. */
mw_err mw_rollup_count_peer(mw_rollup *rollup, const mw_rollup_span *span)
{
    bool calls = span->kind == KIND_CLIENT || span->kind == KIND_PRODUCER;
    if (!calls || span->marks & MW_ROLLUP_REPEAT || span->peer == 0 || span->service == 0 ||
        span->peer == span->service)
        return MW_OK;
    int now = !(span->marks & RESOLVED);
    int before = span->earlier && !(span->marks & RESOLVED_EARLIER);
    if (now == before)
        return MW_OK;
    return count_call(rollup, span->service, span->peer, span, NULL, now - before);
}

mw_err mw_rollup_trace(mw_rollup *rollup, mw_rollup_span *spans, size_t count)
{
    trace_spans trace = {.spans = spans, .count = count, .seed = rollup->seed};
    for (size_t i = 0; i < count; i++)
        spans[i].marks = 0;
    mw_err err = index_spans(rollup, &trace);
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        if (!spans[i].earlier && !(spans[i].marks & MW_ROLLUP_REPEAT))
            err = mw_rollup_count_span(rollup, &spans[i]);
    }
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = count_edge(rollup, &trace, &spans[i]);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = mw_rollup_count_peer(rollup, &spans[i]);
    return err;
}
