/* The plan of a merge. See merge_plan.h. */
#include <xxhash.h>

#include "lib/store/merge/block_pack.h"
#include "lib/store/merge/merge_plan.h"

/* Up to here comparing all with all is cheaper than a table. */
#define PAIRWISE_MAX 32u
/* Traces of a block that are looked up at a time: the set of all is larger than a core's cache. */
#define FETCH_AHEAD 4u
#define KEPT_EARLIER ((uint64_t)1 << 32)

/* ---- life ------------------------------------------------------------------------------------ */

mw_err mw_merge_plan_init(mw_merge_plan *plan, mw_signal signal, size_t rows, uint64_t seed)
{
    MW_ASSERT(rows > 0 && rows <= MW_PLAN_ROWS_MAX);
    *plan = (mw_merge_plan){.signal = signal, .row_capacity = rows};
    mw_trace_set_init(&plan->traces, seed);
    plan->places = mw_alloc(MW_MEM_MERGE, rows * sizeof *plan->places);
    plan->lengths = mw_alloc(MW_MEM_MERGE, rows * sizeof *plan->lengths);
    bool whole = plan->places && plan->lengths;
    if (whole && signal != MW_SIGNAL_LOGS)
        whole = (plan->ids = mw_alloc(MW_MEM_MERGE, rows * sizeof *plan->ids)) != NULL;
    if (whole && signal == MW_SIGNAL_METRICS)
        whole = (plan->starts = mw_alloc(MW_MEM_MERGE, rows * sizeof *plan->starts)) != NULL;
    return whole ? MW_OK : MW_E_NOMEM;
}

void mw_merge_plan_fini(mw_merge_plan *plan)
{
    void *arrays[] = {plan->places,      plan->lengths,      plan->ids,        plan->starts,
                      plan->blocks,      plan->series_slots, plan->group_keys, plan->group_rows,
                      plan->group_order, plan->earlier,      plan->outputs,    plan->repeats,
                      plan->number_of};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        mw_free(MW_MEM_MERGE, arrays[i]);
    mw_trace_set_fini(&plan->traces);
    mw_sort_scratch_fini(&plan->sort);
    memset(plan, 0, sizeof *plan);
}

/* ---- rows in --------------------------------------------------------------------------------- */

uint32_t *mw_merge_plan_lengths(mw_merge_plan *plan)
{
    return plan->lengths + plan->row_count;
}

/* A trace or series that was not seen before. */
static mw_err new_group(mw_merge_plan *plan, uint64_t key)
{
    if (plan->group_count == plan->group_capacity) {
        size_t capacity = plan->group_capacity;
        if (!mw_have_room(MW_MEM_MERGE, &plan->group_keys, &capacity, plan->group_count + 1,
                          sizeof *plan->group_keys))
            return MW_E_NOMEM;
        uint32_t *rows =
            mw_realloc(MW_MEM_MERGE, plan->group_rows, capacity * sizeof *plan->group_rows);
        if (!rows)
            return MW_E_NOMEM;
        plan->group_rows = rows;
        plan->group_capacity = capacity;
    }
    plan->group_keys[plan->group_count] = key;
    plan->group_rows[plan->group_count++] = 0;
    return MW_OK;
}

static mw_err number_traces(mw_merge_plan *plan, const mw_hot *hot)
{
    if (!mw_have_room(MW_MEM_MERGE, &plan->number_of, &plan->number_capacity, hot->traces,
                      sizeof *plan->number_of))
        return MW_E_NOMEM;
    for (uint32_t i = 0; i < hot->traces; i++) {
        if (i + FETCH_AHEAD < hot->traces)
            mw_trace_set_fetch(&plan->traces, mw_hot_trace_id(hot, i + FETCH_AHEAD));
        mw_err err = mw_trace_set_add(&plan->traces, mw_hot_trace_id(hot, i), &plan->number_of[i]);
        if (err == MW_OK && plan->traces.count > plan->group_count)
            err = new_group(plan, UINT64_MAX);
        if (err != MW_OK)
            return err == MW_E_LIMIT ? MW_E_NOMEM : err;
    }
    return MW_OK;
}

static mw_err add_spans(mw_merge_plan *plan, const mw_hot *hot)
{
    mw_err err = number_traces(plan, hot);
    if (err != MW_OK)
        return err;
    uint32_t *groups = plan->places + plan->row_count;
    memcpy(plan->ids + plan->row_count, hot->wide[MW_WIDE_SPAN_ID], 8 * (size_t)hot->count);
    for (uint32_t row = 0; row < hot->count; row++) {
        uint32_t group = plan->number_of[mw_hot_ref(hot, MW_HOT_TRACE, row)];
        uint64_t start = mw_hot_time(hot, row);
        groups[row] = group;
        plan->group_rows[group]++;
        if (start < plan->group_keys[group])
            plan->group_keys[group] = start;
    }
    return MW_OK;
}

/* The series' place in the table, or the free one where it belongs. Series are keyed hashes: their
 * own bits spread evenly, and nobody can choose them. */
static size_t series_slot(const mw_merge_plan *plan, uint64_t series)
{
    size_t mask = plan->series_capacity - 1;
    size_t slot = (size_t)series & mask;
    while (plan->series_slots[slot] && plan->group_keys[plan->series_slots[slot] - 1] != series)
        slot = (slot + 1) & mask;
    return slot;
}

static mw_err grow_series(mw_merge_plan *plan)
{
    size_t capacity = plan->series_capacity ? plan->series_capacity * 2 : 256;
    uint32_t *slots = mw_calloc(MW_MEM_MERGE, capacity, sizeof *slots);
    if (!slots)
        return MW_E_NOMEM;
    mw_free(MW_MEM_MERGE, plan->series_slots);
    plan->series_slots = slots;
    plan->series_capacity = capacity;
    for (size_t i = 0; i < plan->group_count; i++)
        slots[series_slot(plan, plan->group_keys[i])] = (uint32_t)i + 1;
    return MW_OK;
}

static mw_err number_series(mw_merge_plan *plan, uint64_t series, uint32_t *number)
{
    if (plan->group_count * 2 >= plan->series_capacity && grow_series(plan) != MW_OK)
        return MW_E_NOMEM;
    size_t slot = series_slot(plan, series);
    if (!plan->series_slots[slot]) {
        mw_err err = new_group(plan, series);
        if (err != MW_OK)
            return err;
        plan->series_slots[slot] = (uint32_t)plan->group_count;
    }
    *number = plan->series_slots[slot] - 1;
    return MW_OK;
}

static mw_err add_points(mw_merge_plan *plan, const mw_hot *hot)
{
    uint32_t *groups = plan->places + plan->row_count;
    uint64_t *times = plan->ids + plan->row_count;
    uint64_t *starts = plan->starts + plan->row_count;
    for (uint32_t row = 0; row < hot->count; row++) {
        uint32_t group;
        mw_err err = number_series(plan, mw_hot_u64(hot, MW_WIDE_SERIES, row), &group);
        if (err != MW_OK)
            return err;
        groups[row] = group;
        plan->group_rows[group]++;
        times[row] = mw_hot_time(hot, row);
        starts[row] = mw_hot_u64(hot, MW_WIDE_START, row);
    }
    return MW_OK;
}

mw_err mw_merge_plan_add(mw_merge_plan *plan, const mw_hot *hot)
{
    mw_err err = MW_OK;
    MW_ASSERT(hot->signal == plan->signal && hot->count <= plan->row_capacity - plan->row_count);
    if (!mw_have_room(MW_MEM_MERGE, &plan->blocks, &plan->block_capacity, plan->block_count + 1,
                      sizeof *plan->blocks))
        return MW_E_NOMEM;
    if (plan->signal == MW_SIGNAL_TRACES)
        err = add_spans(plan, hot);
    else if (plan->signal == MW_SIGNAL_METRICS)
        err = add_points(plan, hot);
    if (err != MW_OK)
        return err;
    plan->blocks[plan->block_count++] = (mw_plan_block){plan->row_count, hot->count, UINT32_MAX, 0};
    plan->row_count += hot->count;
    return MW_OK;
}

mw_err mw_merge_plan_earlier(mw_merge_plan *plan, uint32_t trace, uint64_t span_id)
{
    MW_ASSERT(trace < plan->group_count && plan->earlier_count < UINT32_MAX);
    if (!mw_have_room(MW_MEM_MERGE, &plan->earlier, &plan->earlier_capacity,
                      plan->earlier_count + 1, sizeof *plan->earlier))
        return MW_E_NOMEM;
    plan->earlier[plan->earlier_count++] = (mw_plan_earlier){trace, span_id};
    return MW_OK;
}

/* ---- places ---------------------------------------------------------------------------------- */

/* Working space of _finish. */
typedef struct finishing {
    mw_merge_plan *plan;
    uint32_t *rows; /* of all groups, one after the other */
    uint32_t *earlier_order;
    size_t earlier_next;
    uint32_t *slots; /* of the largest group so far */
    size_t slot_capacity;
} finishing;

static mw_err next_output(mw_merge_plan *plan)
{
    if (!mw_have_room(MW_MEM_MERGE, &plan->outputs, &plan->output_capacity, plan->output_count + 1,
                      sizeof *plan->outputs))
        return MW_E_NOMEM;
    plan->outputs[plan->output_count++] = (mw_plan_output){.first = plan->kept};
    return MW_OK;
}

static bool fits(const mw_plan_output *output, uint64_t rows, uint64_t bytes)
{
    return output->rows + rows <= MW_PACK_ROWS && output->bytes + bytes <= MW_PACK_BYTES;
}

/* A group begins a block of its own rather than stand in two, unless it is so large that much of
 * the present one would stay empty. */
static mw_err begin_group(mw_merge_plan *plan, uint64_t rows, uint64_t bytes)
{
    mw_plan_output *output = plan->output_count ? &plan->outputs[plan->output_count - 1] : NULL;
    if (output &&
        (fits(output, rows, bytes) || rows > MW_PACK_ROWS / 4 || bytes > MW_PACK_BYTES / 4))
        return MW_OK;
    return next_output(plan);
}

static mw_err place_row(mw_merge_plan *plan, uint32_t row)
{
    mw_plan_output *output = &plan->outputs[plan->output_count - 1];
    if (output->rows > 0 && !fits(output, 1, plan->lengths[row])) {
        mw_err err = next_output(plan);
        if (err != MW_OK)
            return err;
        output = &plan->outputs[plan->output_count - 1];
    }
    output->rows++;
    output->bytes += plan->lengths[row];
    plan->places[row] = plan->kept++;
    return MW_OK;
}

/* Gives the rows of a group that are kept their places. Removed ones are MW_PLAN_REMOVED in
 * `rows`. Returns their number through *kept. */
static mw_err place_group(mw_merge_plan *plan, const uint32_t *rows, size_t count, uint32_t *kept)
{
    uint64_t bytes = 0;
    *kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (rows[i] == MW_PLAN_REMOVED)
            continue;
        bytes += plan->lengths[rows[i]];
        ++*kept;
    }
    mw_err err = *kept ? begin_group(plan, *kept, bytes) : MW_OK;
    for (size_t i = 0; err == MW_OK && i < count; i++)
        if (rows[i] != MW_PLAN_REMOVED)
            err = place_row(plan, rows[i]);
    return err;
}

/* The row's id is needed no more: its place remembers what was kept. */
static void remove_row(mw_merge_plan *plan, uint32_t *row, uint64_t kept)
{
    plan->places[*row] = MW_PLAN_REMOVED;
    plan->ids[*row] = kept;
    plan->repeat_count++;
    *row = MW_PLAN_REMOVED;
}

/* ---- repeats of spans ------------------------------------------------------------------------ */

/* Spans of one trace: earlier ones first, then rows. */
typedef struct span_group {
    uint32_t *rows;
    const uint32_t *earlier;
    size_t row_count, earlier_count;
} span_group;

static uint64_t id_at(const mw_merge_plan *plan, const span_group *group, size_t at)
{
    return at < group->earlier_count ? plan->earlier[group->earlier[at]].span_id
                                     : plan->ids[group->rows[at - group->earlier_count]];
}

static void remove_span(mw_merge_plan *plan, span_group *group, size_t at, size_t kept)
{
    uint64_t what = kept < group->earlier_count ? KEPT_EARLIER | group->earlier[kept]
                                                : group->rows[kept - group->earlier_count];
    remove_row(plan, &group->rows[at - group->earlier_count], what);
}

static bool is_removed(const span_group *group, size_t at)
{
    return at >= group->earlier_count && group->rows[at - group->earlier_count] == MW_PLAN_REMOVED;
}

static void compare_pairwise(mw_merge_plan *plan, span_group *group)
{
    uint64_t ids[PAIRWISE_MAX];
    size_t count = group->earlier_count + group->row_count;
    for (size_t i = 0; i < count; i++) {
        ids[i] = id_at(plan, group, i);
        if (i < group->earlier_count)
            continue;
        /* Of equal ones only the first was not removed, and it is found first. */
        for (size_t k = 0; k < i; k++) {
            if (ids[k] == ids[i] && !is_removed(group, k)) {
                remove_span(plan, group, i, k);
                break;
            }
        }
    }
}

static mw_err have_slots(finishing *work, size_t count)
{
    size_t capacity = 64;
    while (capacity < count * 2)
        capacity *= 2;
    if (capacity > work->slot_capacity) {
        mw_free(MW_MEM_MERGE, work->slots);
        work->slots = mw_alloc(MW_MEM_MERGE, capacity * sizeof *work->slots);
        work->slot_capacity = work->slots ? capacity : 0;
        if (!work->slots)
            return MW_E_NOMEM;
    }
    memset(work->slots, 0, capacity * sizeof *work->slots);
    return MW_OK;
}

/* Span ids are the sender's choice; the seed is not known to him. */
static mw_err compare_by_table(finishing *work, span_group *group)
{
    mw_merge_plan *plan = work->plan;
    size_t count = group->earlier_count + group->row_count;
    mw_err err = have_slots(work, count);
    if (err != MW_OK)
        return err;
    size_t mask = 63;
    while (mask + 1 < count * 2)
        mask = mask * 2 + 1;
    for (size_t i = 0; i < count; i++) {
        uint64_t id = id_at(plan, group, i);
        size_t slot = XXH3_64bits_withSeed(&id, sizeof id, plan->traces.seed) & mask;
        while (work->slots[slot] && id_at(plan, group, work->slots[slot] - 1) != id)
            slot = (slot + 1) & mask;
        if (!work->slots[slot])
            work->slots[slot] = (uint32_t)i + 1;
        else if (i >= group->earlier_count)
            remove_span(plan, group, i, work->slots[slot] - 1);
    }
    return MW_OK;
}

/* The earlier spans of a trace, which stand in the order of traces' numbers. */
static void find_earlier(finishing *work, uint32_t trace, span_group *group)
{
    const mw_merge_plan *plan = work->plan;
    size_t low = 0, high = plan->earlier_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan->earlier[work->earlier_order[middle]].trace < trace)
            low = middle + 1;
        else
            high = middle;
    }
    group->earlier = work->earlier_order + low;
    while (low + group->earlier_count < plan->earlier_count &&
           plan->earlier[group->earlier[group->earlier_count]].trace == trace)
        group->earlier_count++;
}

static mw_err remove_spans(finishing *work, uint32_t trace, uint32_t *rows, size_t count)
{
    span_group group = {.rows = rows, .row_count = count};
    if (work->plan->earlier_count)
        find_earlier(work, trace, &group);
    if (group.earlier_count + count <= PAIRWISE_MAX) {
        compare_pairwise(work->plan, &group);
        return MW_OK;
    }
    return compare_by_table(work, &group);
}

static mw_err order_earlier(finishing *work)
{
    mw_merge_plan *plan = work->plan;
    size_t count = plan->earlier_count;
    if (count == 0)
        return MW_OK;
    work->earlier_order = mw_alloc(MW_MEM_MERGE, count * sizeof *work->earlier_order);
    uint64_t *keys = mw_alloc(MW_MEM_MERGE, count * sizeof *keys);
    mw_err err = work->earlier_order && keys ? MW_OK : MW_E_NOMEM;
    for (uint32_t i = 0; err == MW_OK && i < count; i++) {
        work->earlier_order[i] = i;
        keys[i] = plan->earlier[i].trace;
    }
    if (err == MW_OK)
        err = mw_number_sort(&plan->sort, work->earlier_order, count, keys);
    mw_free(MW_MEM_MERGE, keys);
    return err;
}

/* ---- repeats of points ----------------------------------------------------------------------- */

static bool point_before(const mw_merge_plan *plan, uint32_t a, uint32_t b)
{
    return plan->ids[a] < plan->ids[b] ||
           (plan->ids[a] == plan->ids[b] && plan->starts[a] < plan->starts[b]);
}

/* Points mostly arrive in order of time. */
static mw_err order_points(mw_merge_plan *plan, uint32_t *rows, size_t count)
{
    bool ordered = true;
    for (size_t i = 1; ordered && i < count; i++)
        ordered = !point_before(plan, rows[i], rows[i - 1]);
    if (ordered)
        return MW_OK;
    mw_err err = mw_number_sort(&plan->sort, rows, count, plan->starts);
    return err == MW_OK ? mw_number_sort(&plan->sort, rows, count, plan->ids) : err;
}

static mw_err remove_points(mw_merge_plan *plan, uint32_t *rows, size_t count)
{
    mw_err err = order_points(plan, rows, count);
    if (err != MW_OK)
        return err;
    uint32_t kept = rows[0];
    for (size_t i = 1; i < count; i++) {
        if (point_before(plan, kept, rows[i]))
            kept = rows[i];
        else
            remove_row(plan, &rows[i], kept);
    }
    return MW_OK;
}

/* ---- all together ---------------------------------------------------------------------------- */

static mw_err order_groups(mw_merge_plan *plan)
{
    plan->group_order = mw_alloc(MW_MEM_MERGE, plan->group_count * sizeof *plan->group_order);
    if (!plan->group_order)
        return MW_E_NOMEM;
    for (uint32_t i = 0; i < plan->group_count; i++)
        plan->group_order[i] = i;
    return mw_number_sort(&plan->sort, plan->group_order, plan->group_count, plan->group_keys);
}

/* The rows of all groups, group after group in their order, in order of commit within each. */
static mw_err sort_rows(finishing *work)
{
    mw_merge_plan *plan = work->plan;
    uint32_t *next = mw_alloc(MW_MEM_MERGE, plan->group_count * sizeof *next);
    work->rows = mw_alloc(MW_MEM_MERGE, plan->row_count * sizeof *work->rows);
    if (!next || !work->rows) {
        mw_free(MW_MEM_MERGE, next);
        return MW_E_NOMEM;
    }
    uint32_t at = 0;
    for (size_t i = 0; i < plan->group_count; i++) {
        uint32_t group = plan->group_order[i];
        next[group] = at;
        at += plan->group_rows[group];
    }
    MW_ASSERT(at == plan->row_count);
    for (uint32_t row = 0; row < plan->row_count; row++)
        work->rows[next[plan->places[row]]++] = row;
    mw_free(MW_MEM_MERGE, next);
    return MW_OK;
}

static mw_err place_groups(finishing *work)
{
    mw_merge_plan *plan = work->plan;
    uint32_t *rows = work->rows;
    for (size_t i = 0; i < plan->group_count; i++) {
        uint32_t group = plan->group_order[i];
        size_t count = plan->group_rows[group];
        mw_err err = plan->signal == MW_SIGNAL_TRACES ? remove_spans(work, group, rows, count)
                                                      : remove_points(plan, rows, count);
        if (err == MW_OK)
            err = place_group(plan, rows, count, &plan->group_rows[group]);
        if (err != MW_OK)
            return err;
        rows += count;
    }
    return MW_OK;
}

static mw_err place_logs(mw_merge_plan *plan)
{
    mw_err err = next_output(plan);
    for (uint32_t row = 0; err == MW_OK && row < plan->row_count; row++)
        err = place_row(plan, row);
    return err;
}

/* What remove_row left behind, by row. */
static mw_err list_repeats(mw_merge_plan *plan)
{
    if (plan->repeat_count == 0)
        return MW_OK;
    size_t count = 0;
    if (!mw_have_room(MW_MEM_MERGE, &plan->repeats, &plan->repeat_capacity, plan->repeat_count,
                      sizeof *plan->repeats))
        return MW_E_NOMEM;
    for (uint32_t row = 0; row < plan->row_count; row++)
        if (plan->places[row] == MW_PLAN_REMOVED)
            plan->repeats[count++] = (mw_plan_repeat){row, (uint32_t)plan->ids[row],
                                                      (plan->ids[row] & KEPT_EARLIER) != 0};
    MW_ASSERT(count == plan->repeat_count);
    return MW_OK;
}

static void bound_blocks(mw_merge_plan *plan)
{
    for (size_t i = 0; i < plan->block_count; i++) {
        mw_plan_block *block = &plan->blocks[i];
        for (uint32_t row = block->first_row; row < block->first_row + block->rows; row++) {
            uint32_t place = plan->places[row];
            if (place == MW_PLAN_REMOVED)
                continue;
            block->least = place < block->least ? place : block->least;
            block->most = place > block->most ? place : block->most;
        }
    }
}

mw_err mw_merge_plan_finish(mw_merge_plan *plan)
{
    finishing work = {.plan = plan};
    mw_err err = MW_OK;
    MW_ASSERT(plan->row_count > 0 && !plan->outputs);
    if (plan->signal == MW_SIGNAL_LOGS) {
        err = place_logs(plan);
    } else {
        err = order_groups(plan);
        if (err == MW_OK)
            err = sort_rows(&work);
        if (err == MW_OK)
            err = order_earlier(&work);
        if (err == MW_OK)
            err = place_groups(&work);
    }
    if (err == MW_OK)
        err = list_repeats(plan);
    if (err == MW_OK)
        bound_blocks(plan);
    mw_free(MW_MEM_MERGE, work.rows);
    mw_free(MW_MEM_MERGE, work.earlier_order);
    mw_free(MW_MEM_MERGE, work.slots);
    mw_sort_scratch_fini(&plan->sort);
    return err;
}
