/* Spans of earlier segments that a merge has to know. See merge_int.h.
 *
 * Of a trace that goes on, earlier segments may hold any number of spans; few of them matter: those
 * that a span of the merge repeats, is a child of, or has as a child or as a child of the same
 * parent. A Bloom filter of the ids and parents of the merge's spans finds them (and about one in
 * 200 of the others, which does no harm); a merge that continues no trace never makes it. Where
 * they are still more than fit, they are read again for some of the traces at a time, in the order
 * in which these are written; those of a single trace that are too many pass by, in parts
 * (rollup_long.h). The view's thread.
 */
#include "lib/base/id.h"
#include "lib/store/merge/merge_int.h"
#include "lib/store/rollup/rollup_long.h"
#include "lib/store/rollup/trace_earlier.h"

/* 16 bits a key, 4 of them set, in one word of 64. */
#define KEYS_A_WORD 4u

/* What a key says of its id: that a span of the merge has it, or that a parent has it. */
typedef enum near_kind { NEAR_SPAN, NEAR_PARENT } near_kind;

/* Whose spans are looked for: all traces of the plan, or some. */
typedef struct earlier_search {
    mw_merging *merging;
    mw_merge_plan *plan;
    const uint32_t *numbers; /* of the traces in the plan; NULL = the same */
} earlier_search;

/* ---- what matters ---------------------------------------------------------------------------- */

static uint64_t hash_of(const mw_merge_near *near, uint32_t trace, near_kind kind, uint64_t id)
{
    uint64_t hash = (id ^ near->seed) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 32 ^ ((uint64_t)trace << 1 | kind)) * UINT64_C(0xd6e8feb86659fd93);
    hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint64_t pattern_of(uint64_t hash)
{
    return UINT64_C(1) << (hash & 63) | UINT64_C(1) << (hash >> 6 & 63) |
           UINT64_C(1) << (hash >> 12 & 63) | UINT64_C(1) << (hash >> 18 & 63);
}

static void add_key(mw_merge_near *near, uint32_t trace, near_kind kind, uint64_t id)
{
    uint64_t hash = hash_of(near, trace, kind, id);
    near->words[hash >> near->shift] |= pattern_of(hash);
}

static bool has_key(const mw_merge_near *near, uint32_t trace, near_kind kind, uint64_t id)
{
    uint64_t hash = hash_of(near, trace, kind, id), pattern = pattern_of(hash);
    return (near->words[hash >> near->shift] & pattern) == pattern;
}

static uint64_t id_of(const mw_hot *hot, mw_wide_column column, uint32_t row)
{
    uint64_t id;
    memcpy(&id, hot->wide[column] + MW_SPAN_ID_SIZE * (size_t)row, sizeof id);
    return id;
}

mw_err mw_merge_near_begin(mw_merging *merging, size_t rows)
{
    merging->near.parents = mw_alloc(MW_MEM_MERGE, rows * sizeof *merging->near.parents);
    return merging->near.parents ? MW_OK : MW_E_NOMEM;
}

void mw_merge_near_add(mw_merging *merging, const mw_merge_plan *plan, const mw_hot *hot)
{
    memcpy(merging->near.parents + plan->row_count - hot->count, hot->wide[MW_WIDE_PARENT],
           MW_SPAN_ID_SIZE * (size_t)hot->count);
}

/* The filter, when the first earlier span of a trace is met. Until the plan is finished it has the
 * rows' traces in their places. */
static mw_err make_filter(mw_merge_near *near, const mw_merge_plan *plan)
{
    size_t rows = plan->row_count;
    mw_random_bytes(&near->seed, sizeof near->seed);
    near->shift = 64 - 4;
    while (near->shift > 64 - 32 && rows * 2 / KEYS_A_WORD > UINT64_C(1) << (64 - near->shift))
        near->shift--;
    near->words = mw_calloc(MW_MEM_MERGE, (size_t)1 << (64 - near->shift), sizeof *near->words);
    if (!near->words)
        return MW_E_NOMEM;
    for (size_t row = 0; row < rows; row++) {
        add_key(near, plan->places[row], NEAR_SPAN, plan->ids[row]);
        if (near->parents[row])
            add_key(near, plan->places[row], NEAR_PARENT, near->parents[row]);
    }
    return MW_OK;
}

/* ---- one earlier span ------------------------------------------------------------------------ */

/* Few rows of many blocks: a table of each block's texts (mw_rollup_rows) would cost more. */
bool mw_merge_earlier_row(mw_merging *merging, const mw_hot *hot, uint32_t row, mw_rollup_span *out)
{
    static const mw_hot_column columns[] = {MW_HOT_SERVICE, MW_HOT_NAME, MW_HOT_PEER_SERVICE};
    uint32_t texts[3];
    for (size_t i = 0; i < 3; i++) {
        mw_slice text = mw_hot_string(hot, mw_hot_ref(hot, columns[i], row));
        texts[i] = columns[i] == MW_HOT_NAME ? mw_rollup_operation(merging->rollup, text)
                                             : mw_rollup_text(merging->rollup, text);
        if (texts[i] == UINT32_MAX)
            return false;
    }
    *out = (mw_rollup_span){
        .span_id = mw_trace_key(hot->wide[MW_WIDE_SPAN_ID] + MW_SPAN_ID_SIZE * (size_t)row),
        .parent_id = mw_trace_key(hot->wide[MW_WIDE_PARENT] + MW_SPAN_ID_SIZE * (size_t)row),
        .start_ns = mw_hot_time(hot, row),
        .duration_ns = mw_rollup_duration(mw_hot_u64(hot, MW_WIDE_DURATION, row)),
        .service = texts[0],
        .operation = texts[1],
        .peer = texts[2],
        .kind = hot->narrow[MW_NARROW_KIND][row],
        .status = hot->narrow[MW_NARROW_STATUS][row],
        .earlier = true,
    };
    return true;
}

static mw_err keep_span(const earlier_search *work, uint32_t trace, const mw_hot *hot, uint32_t row)
{
    mw_merging *merging = work->merging;
    if (merging->earlier_count == merging->earlier_capacity) {
        size_t capacity = merging->earlier_capacity ? 2 * merging->earlier_capacity : 256;
        mw_merge_earlier_span *grown =
            mw_realloc(MW_MEM_MERGE, merging->earlier, capacity * sizeof *grown);
        if (!grown)
            return MW_E_NOMEM;
        merging->earlier = grown;
        merging->earlier_capacity = capacity;
    }
    mw_merge_earlier_span *earlier = &merging->earlier[merging->earlier_count];
    earlier->trace = trace;
    earlier->number = (uint32_t)merging->earlier_count;
    if (!mw_merge_earlier_row(merging, hot, row, &earlier->span))
        return MW_E_NOMEM;
    merging->earlier_count++;
    return MW_OK;
}

/* A span that rows of the merge may repeat. Each row has one such, mostly; where earlier segments
 * hold many copies of the same (they were not removed there), those beyond are of no use. */
static mw_err note_kept(const earlier_search *work, uint32_t trace, const mw_hot *hot, uint32_t row)
{
    mw_merging *merging = work->merging;
    size_t number = work->plan->earlier_count;
    if (number >= 2 * (size_t)work->plan->row_count)
        return MW_OK;
    if (number == merging->kept_capacity) {
        size_t capacity = merging->kept_capacity ? 2 * merging->kept_capacity : 256;
        uint64_t *grown = mw_realloc(MW_MEM_MERGE, merging->kept_columns, capacity * sizeof *grown);
        if (!grown)
            return MW_E_NOMEM;
        merging->kept_columns = grown;
        merging->kept_capacity = capacity;
    }
    merging->kept_columns[number] = mw_span_columns(hot, row);
    return mw_merge_plan_earlier(work->plan, trace, id_of(hot, MW_WIDE_SPAN_ID, row));
}

static bool is_near(const mw_merging *merging, uint32_t trace, const mw_hot *hot, uint32_t row,
                    bool *kept)
{
    const mw_merge_near *near = &merging->near;
    uint64_t id = id_of(hot, MW_WIDE_SPAN_ID, row), parent = id_of(hot, MW_WIDE_PARENT, row);
    *kept = has_key(near, trace, NEAR_SPAN, id);
    return *kept || has_key(near, trace, NEAR_PARENT, id) ||
           (parent &&
            (has_key(near, trace, NEAR_SPAN, parent) || has_key(near, trace, NEAR_PARENT, parent)));
}

/* ---- all traces ------------------------------------------------------------------------------ */

static size_t earlier_max(const mw_merging *merging)
{
    size_t set = merging->job->store->merge_earlier_max;
    return set ? set : MW_MERGE_EARLIER_MAX;
}

static mw_err take_first(void *ctx, uint32_t trace, const mw_hot *hot, uint32_t row)
{
    earlier_search *work = ctx;
    mw_merging *merging = work->merging;
    bool kept;
    mw_err err = merging->near.words ? MW_OK : make_filter(&merging->near, work->plan);
    if (err != MW_OK || !is_near(merging, trace, hot, row, &kept))
        return err;
    merging->earlier_rows[trace]++;
    merging->earlier_total++;
    err = kept ? note_kept(work, trace, hot, row) : MW_OK;
    if (err == MW_OK && merging->earlier_total <= earlier_max(merging))
        err = keep_span(work, trace, hot, row);
    return err;
}

/* Of equal ones the first that was committed comes first. */
static int by_trace_and_span(const void *left, const void *right)
{
    const mw_merge_earlier_span *a = left, *b = right;
    if (a->trace != b->trace)
        return a->trace < b->trace ? -1 : 1;
    if (a->span.span_id != b->span.span_id)
        return a->span.span_id < b->span.span_id ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void sort_earlier(mw_merging *merging)
{
    if (merging->earlier_count > 1)
        qsort(merging->earlier, merging->earlier_count, sizeof *merging->earlier,
              by_trace_and_span);
}

mw_err mw_merge_find_earlier(mw_merging *merging, mw_merge_plan *plan)
{
    earlier_search work = {.merging = merging, .plan = plan};
    merging->earlier_rows =
        mw_calloc(MW_MEM_MERGE, plan->group_count, sizeof *merging->earlier_rows);
    if (!merging->earlier_rows)
        return MW_E_NOMEM;
    mw_err err = mw_each_earlier_span(merging->job->view, &plan->traces, merging->arrival_min_ns,
                                      merging->first_seq, take_first, &work);
    mw_free(MW_MEM_MERGE, merging->near.parents);
    merging->near.parents = NULL;
    if (merging->earlier_total > earlier_max(merging)) {
        merging->earlier_count = 0;
    } else {
        merging->earlier_end = plan->group_count;
        sort_earlier(merging);
    }
    /* Damage there is no input's: what can be known of earlier spans is known. */
    return err == MW_E_CORRUPT ? MW_OK : err;
}

/* ---- some of the traces ---------------------------------------------------------------------- */

static mw_err take_again(void *ctx, uint32_t trace, const mw_hot *hot, uint32_t row)
{
    earlier_search *work = ctx;
    bool kept;
    trace = work->numbers[trace];
    if (!is_near(work->merging, trace, hot, row, &kept))
        return MW_OK;
    return keep_span(work, trace, hot, row);
}

/* The next traces in the order of the output whose earlier spans fit together. */
static mw_err choose_traces(mw_merging *merging, const mw_merge_plan *plan, size_t order,
                            mw_trace_set *wanted, uint32_t *numbers)
{
    size_t total = 0;
    mw_err err = MW_OK;
    for (; err == MW_OK && order < plan->group_count; order++) {
        uint32_t trace = plan->group_order[order], number;
        size_t rows = plan->group_rows[trace] ? merging->earlier_rows[trace] : 0;
        if (rows == 0 || rows > earlier_max(merging))
            continue; /* too many: mw_merge_long_trace */
        if (total && total + rows > earlier_max(merging))
            break;
        total += rows;
        err = mw_trace_set_add(wanted, plan->traces.ids[trace], &number);
        if (err == MW_OK)
            numbers[number] = trace;
    }
    merging->earlier_end = order;
    return err;
}

mw_err mw_merge_more_earlier(mw_merging *merging, mw_merge_plan *plan, size_t order)
{
    mw_trace_set wanted;
    uint32_t *numbers = mw_alloc(MW_MEM_MERGE, (plan->group_count - order) * sizeof *numbers);
    earlier_search work = {merging, plan, numbers};
    if (!numbers)
        return MW_E_NOMEM;
    mw_trace_set_init(&wanted, plan->traces.seed);
    merging->earlier_count = 0;
    mw_err err = choose_traces(merging, plan, order, &wanted, numbers);
    if (err == MW_OK)
        err = mw_each_earlier_span(merging->job->view, &wanted, merging->arrival_min_ns,
                                   merging->first_seq, take_again, &work);
    sort_earlier(merging);
    mw_trace_set_fini(&wanted);
    mw_free(MW_MEM_MERGE, numbers);
    return err == MW_E_CORRUPT ? MW_OK : err;
}

/* ---- a trace that is too much by itself ------------------------------------------------------ */

bool mw_merge_is_long(const mw_merging *merging, uint32_t trace)
{
    return merging->earlier_total && merging->earlier_rows[trace] > earlier_max(merging);
}

typedef struct long_search {
    mw_merging *merging;
    uint32_t number; /* of the trace in the plan */
    mw_rollup_long *trace;
    bool second;
} long_search;

/* The filter spares most of what would be looked up. */
static mw_err offer(void *ctx, uint32_t trace, const mw_hot *hot, uint32_t row)
{
    const long_search *work = ctx;
    const mw_merge_near *near = &work->merging->near;
    uint64_t id = id_of(hot, MW_WIDE_SPAN_ID, row), parent = id_of(hot, MW_WIDE_PARENT, row);
    bool wanted = work->second ? parent && (has_key(near, work->number, NEAR_SPAN, parent) ||
                                            has_key(near, work->number, NEAR_PARENT, parent))
                               : has_key(near, work->number, NEAR_PARENT, id);
    mw_rollup_span span;
    (void)trace;
    if (!wanted)
        return MW_OK;
    if (!mw_merge_earlier_row(work->merging, hot, row, &span))
        return MW_E_NOMEM;
    return work->second ? mw_rollup_long_second(work->trace, &span)
                        : mw_rollup_long_first(work->trace, &span);
}

/* A part keeps what would be MW_MERGE_EARLIER_MAX spans at most: those with a new child, or ids of
 * an eighth of their size in a table that is half full. */
static uint32_t parts_of(const mw_merging *merging, uint32_t trace, size_t count)
{
    size_t rows = merging->earlier_rows[trace], most = earlier_max(merging);
    size_t parts = 1 + rows / (4 * most) + (rows < count ? rows : count) / most;
    return parts < UINT32_MAX ? (uint32_t)parts : UINT32_MAX;
}

mw_err mw_merge_long_trace(mw_merging *merging, const mw_merge_plan *plan, uint32_t trace,
                           mw_rollup_span *spans, size_t count)
{
    long_search work = {.merging = merging, .number = trace};
    uint32_t parts = parts_of(merging, trace, count), number;
    mw_trace_set wanted;
    mw_err err = mw_rollup_long_begin(merging->rollup, spans, count, parts, &work.trace);
    if (err != MW_OK)
        return err;
    mw_trace_set_init(&wanted, plan->traces.seed);
    err = mw_trace_set_add(&wanted, plan->traces.ids[trace], &number);
    for (uint32_t turn = 0; err == MW_OK && turn < 2 * parts; turn++) {
        work.second = turn % 2 == 1;
        err = mw_each_earlier_span(merging->job->view, &wanted, merging->arrival_min_ns,
                                   merging->first_seq, offer, &work);
        /* Damage there is no input's: what can be known of earlier spans is known. */
        err = err == MW_E_CORRUPT ? MW_OK : err;
        if (err == MW_OK)
            err = mw_rollup_long_turn(work.trace);
    }
    if (err == MW_OK)
        err = mw_rollup_long_end(work.trace);
    mw_trace_set_fini(&wanted);
    mw_rollup_long_free(work.trace);
    return err;
}
