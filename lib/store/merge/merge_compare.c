/* What was removed as a repeat: is it what was kept? See merge_int.h.
 *
 * Repeats are few, mostly, and nearly always equal. Lengths are known; only rows of equal length
 * are read, with one pass over the blocks that hold some, and compared by hash.
 */
#include <xxhash.h>

#include "lib/store/merge/merge_int.h"

/* Two questions a repeat: the hash of what was removed, and of what was kept. Number 2 r and
 * 2 r + 1. */
typedef struct comparison {
    mw_merging *merging;
    const mw_merge_plan *plan;
    size_t repeats; /* of the plan, from the first on */
    uint64_t *rows; /* by number: the row to be read */
    uint64_t *hashes;
    uint32_t *order; /* numbers, by row */
    size_t count;
    char *bytes; /* of an item */
    size_t capacity;
} comparison;

static uint64_t hash_text(uint64_t hash, mw_slice text)
{
    return XXH3_64bits_withSeed(text.data, text.len, hash ^ text.len);
}

uint64_t mw_span_columns(const mw_hot *hot, uint32_t row)
{
    mw_span_row span;
    mw_hot_span(hot, row, &span);
    const uint64_t numbers[] = {span.start_ns,
                                span.end_ns,
                                (uint64_t)span.input_tokens,
                                (uint64_t)span.output_tokens,
                                mw_trace_key(span.parent_span_id),
                                span.kind,
                                span.status,
                                span.flags};
    const mw_slice texts[] = {span.name,  span.service, span.session_id,
                              span.agent, span.model,   span.status_message};
    uint64_t hash = XXH3_64bits(numbers, sizeof numbers);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        hash = hash_text(hash, texts[i]);
    return hash;
}

static void ask(comparison *work, size_t number, uint32_t row)
{
    work->rows[number] = row;
    work->order[work->count++] = (uint32_t)number;
}

/* Different lengths need no reading. */
static void ask_all(comparison *work)
{
    const mw_merge_plan *plan = work->plan;
    for (size_t i = 0; i < work->repeats; i++) {
        const mw_plan_repeat *repeat = &plan->repeats[i];
        if (repeat->kept_earlier) {
            work->hashes[2 * i + 1] = work->merging->kept_columns[repeat->kept];
            ask(work, 2 * i, repeat->removed);
        } else if (plan->lengths[repeat->removed] != plan->lengths[repeat->kept]) {
            work->hashes[2 * i + 1] = 1;
        } else {
            ask(work, 2 * i, repeat->removed);
            ask(work, 2 * i + 1, repeat->kept);
        }
    }
}

static bool is_of_columns(const comparison *work, uint32_t number)
{
    return work->plan->repeats[number / 2].kept_earlier;
}

static void hash_columns(comparison *work, const mw_hot *hot, uint32_t first_row,
                         const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_of_columns(work, numbers[i]))
            work->hashes[numbers[i]] =
                mw_span_columns(hot, (uint32_t)work->rows[numbers[i]] - first_row);
}

static mw_err hash_item(comparison *work, mw_items_walk *walk, uint32_t row, uint64_t *hash)
{
    uint32_t len = mw_items_walk_item_length(walk, row);
    if (len > work->capacity || !work->bytes) {
        mw_free(MW_MEM_MERGE, work->bytes);
        work->capacity = len + (size_t)4096;
        work->bytes = mw_alloc(MW_MEM_MERGE, work->capacity);
        if (!work->bytes)
            return MW_E_NOMEM;
    }
    mw_err err = mw_items_walk_item(walk, row, work->bytes);
    if (err == MW_OK)
        *hash = XXH3_64bits(work->bytes, len);
    return err;
}

/* Numbers ascend by row; several may ask for the same one, which can be read but once. */
static mw_err hash_items(comparison *work, const mw_index_block *input, const mw_hot *hot,
                         uint32_t first_row, const uint32_t *numbers, size_t count)
{
    mw_items_walk walk;
    uint64_t last_row = UINT64_MAX, last_hash = 0;
    mw_err err = mw_merge_items(work->merging, input, hot, &walk);
    if (err != MW_OK)
        return err;
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        uint64_t row = work->rows[numbers[i]];
        if (is_of_columns(work, numbers[i]))
            continue;
        if (row != last_row)
            err = hash_item(work, &walk, (uint32_t)row - first_row, &last_hash);
        last_row = row;
        work->hashes[numbers[i]] = last_hash;
    }
    mw_items_walk_end(&walk);
    return mw_merge_note(work->merging, input, err);
}

static mw_err hash_block(comparison *work, const mw_index_block *input, uint32_t first_row,
                         const uint32_t *numbers, size_t count)
{
    size_t columns = 0;
    mw_hot hot;
    for (size_t i = 0; i < count; i++)
        columns += is_of_columns(work, numbers[i]);
    mw_err err = mw_merge_hot(work->merging, input, &hot);
    if (err == MW_OK && columns)
        hash_columns(work, &hot, first_row, numbers, count);
    if (err == MW_OK && columns < count)
        err = hash_items(work, input, &hot, first_row, numbers, count);
    return err;
}

static mw_err hash_all(comparison *work, const mw_index_block *const *inputs)
{
    size_t at = 0;
    for (size_t i = 0; at < work->count; i++) {
        const mw_plan_block *block = &work->plan->blocks[i];
        size_t from = at;
        while (at < work->count &&
               work->rows[work->order[at]] < (uint64_t)block->first_row + block->rows)
            at++;
        if (at == from)
            continue;
        mw_err err = hash_block(work, inputs[i], block->first_row, work->order + from, at - from);
        if (err != MW_OK)
            return err;
    }
    return MW_OK;
}

/* Those that are not compared by content differ in length, or not at all. */
static uint64_t count_lengths(const mw_merge_plan *plan, size_t from)
{
    uint64_t count = 0;
    for (size_t i = from; i < plan->repeat_count; i++)
        count += !plan->repeats[i].kept_earlier &&
                 plan->lengths[plan->repeats[i].removed] != plan->lengths[plan->repeats[i].kept];
    return count;
}

mw_err mw_merge_compare(mw_merging *merging, const mw_merge_plan *plan,
                        const mw_index_block *const *inputs)
{
    size_t repeats =
        plan->repeat_count < MW_MERGE_COMPARED_MAX ? plan->repeat_count : MW_MERGE_COMPARED_MAX;
    comparison work = {.merging = merging, .plan = plan, .repeats = repeats};
    mw_sort_scratch scratch = {.capacity = 0};

    if (repeats == 0)
        return MW_OK;
    merging->result->repeats += plan->repeat_count;
    work.rows = mw_alloc(MW_MEM_MERGE, 2 * repeats * sizeof *work.rows);
    work.hashes = mw_calloc(MW_MEM_MERGE, 2 * repeats, sizeof *work.hashes);
    work.order = mw_alloc(MW_MEM_MERGE, 2 * repeats * sizeof *work.order);
    mw_err err = work.rows && work.hashes && work.order ? MW_OK : MW_E_NOMEM;
    if (err == MW_OK) {
        ask_all(&work);
        err = mw_number_sort(&scratch, work.order, work.count, work.rows);
    }
    if (err == MW_OK)
        err = hash_all(&work, inputs);
    for (size_t i = 0; err == MW_OK && i < repeats; i++)
        merging->result->conflicting += work.hashes[2 * i] != work.hashes[2 * i + 1];
    if (err == MW_OK)
        merging->result->conflicting += count_lengths(plan, repeats);
    mw_sort_scratch_fini(&scratch);
    mw_free(MW_MEM_MERGE, work.rows);
    mw_free(MW_MEM_MERGE, work.hashes);
    mw_free(MW_MEM_MERGE, work.order);
    mw_free(MW_MEM_MERGE, work.bytes);
    return err;
}
