/* The plan of a merge against a model that searches and compares all with all. */
#include "tests/unit/lib-store/store_test.h"

#include "lib/store/merge/block_pack.h"
#include "lib/store/merge/merge_plan.h"

#define KEY_SEED 42
enum { ROWS_MAX = 4000, BATCH_MAX = 80 };

/* A row in the model's words. For points `trace` is the series, `id` the time. */
typedef struct model_row {
    uint64_t trace, id, start;
    uint32_t length;
    bool removed, earlier;
    uint32_t kept; /* row, or number of the earlier span */
    uint64_t first_start;
    size_t batch, first_batch; /* its own; the trace's first */
} model_row;

typedef struct model {
    mw_signal signal;
    model_row rows[ROWS_MAX];
    uint32_t count;
    struct {
        uint64_t trace, id;
    } earlier[ROWS_MAX];
    uint32_t earlier_count;
} model;

typedef struct shape {
    uint64_t traces, ids, starts;
    uint32_t length_max;
    size_t batches;
    uint64_t earlier; /* spans an earlier segment holds */
} shape;

/* ---- the model ------------------------------------------------------------------------------- */

static bool same(const model *all, const model_row *a, const model_row *b)
{
    return a->trace == b->trace && a->id == b->id &&
           (all->signal == MW_SIGNAL_TRACES || a->start == b->start);
}

static void find_repeat(const model *all, uint32_t at, model_row *row)
{
    for (uint32_t i = 0; i < all->earlier_count && !row->removed; i++) {
        if (all->earlier[i].trace != row->trace || all->earlier[i].id != row->id)
            continue;
        row->removed = row->earlier = true;
        row->kept = i;
    }
    for (uint32_t i = 0; i < at && !row->removed; i++) {
        if (!same(all, &all->rows[i], row))
            continue;
        row->removed = true;
        row->kept = i;
    }
}

static void judge(model *all)
{
    for (uint32_t at = 0; at < all->count && all->signal != MW_SIGNAL_LOGS; at++) {
        model_row *row = &all->rows[at];
        find_repeat(all, at, row);
        row->first_start = UINT64_MAX;
        row->first_batch = SIZE_MAX;
        for (uint32_t i = 0; i < all->count; i++) {
            if (all->rows[i].trace != row->trace)
                continue;
            if (all->rows[i].start < row->first_start)
                row->first_start = all->rows[i].start;
            if (all->rows[i].batch < row->first_batch)
                row->first_batch = all->rows[i].batch;
        }
    }
}

static bool id_before(uint64_t a, uint64_t b)
{
    uint8_t left[16], right[16];
    trace_id_of(left, a);
    trace_id_of(right, b);
    return memcmp(left, right, 16) < 0;
}

/* Does `a` stand before `b`? Traces that began at once stand as they were first seen: by batch, and
 * in it by id. */
static bool before(const model *all, uint32_t a, uint32_t b)
{
    const model_row *left = &all->rows[a], *right = &all->rows[b];
    if (all->signal == MW_SIGNAL_TRACES) {
        if (left->first_start != right->first_start)
            return left->first_start < right->first_start;
        if (left->first_batch != right->first_batch)
            return left->first_batch < right->first_batch;
        if (left->trace != right->trace)
            return id_before(left->trace, right->trace);
    } else if (all->signal == MW_SIGNAL_METRICS) {
        if (left->trace != right->trace)
            return left->trace < right->trace;
        if (left->id != right->id)
            return left->id < right->id;
        if (left->start != right->start)
            return left->start < right->start;
    }
    return a < b;
}

static uint32_t place_of(const model *all, uint32_t at)
{
    uint32_t place = 0;
    for (uint32_t i = 0; i < all->count; i++)
        place += !all->rows[i].removed && before(all, i, at);
    return place;
}

/* ---- what is asked of the plan --------------------------------------------------------------- */

static void fill_row(test_batch *batch, size_t at, const model_row *row)
{
    switch (batch->batch.signal) {
    case MW_SIGNAL_METRICS:
        test_point(batch, at, row->trace, 1);
        batch->points[at].time_ns = row->id;
        batch->points[at].start_ns = row->start;
        break;
    case MW_SIGNAL_LOGS: test_log(batch, at, row->trace, row->id); break;
    default:
        test_span(batch, at, row->trace, row->id, 0);
        batch->spans[at].start_ns = row->start;
        batch->spans[at].end_ns = row->start + 5;
    }
}

static void add_batch(mw_merge_plan *plan, model *all, uint32_t count)
{
    test_batch batch;
    mw_encoded_block block;
    mw_hot hot;
    const model_row *rows = all->rows + all->count - count;
    uint32_t *lengths = mw_merge_plan_lengths(plan);

    test_batch_init_of(&batch, all->signal, count);
    for (uint32_t i = 0; i < count; i++) {
        fill_row(&batch, i, &rows[i]);
        lengths[i] = rows[i].length;
    }
    assert_int_equal(mw_block_encode(&batch.batch, KEY_SEED, 7, &block), MW_OK);
    char *raw = malloc(block.header.hot_raw);
    mw_slice stored = mw_slice_bytes(block.data + MW_BLOCK_HEADER_SIZE, block.header.hot_stored);
    assert_int_equal(mw_chunk_unpack(block.header.hot_codec, stored, raw, block.header.hot_raw),
                     MW_OK);
    assert_int_equal(mw_hot_decode(&block.header, mw_slice_bytes(raw, block.header.hot_raw), &hot),
                     MW_OK);
    assert_int_equal(mw_merge_plan_add(plan, &hot), MW_OK);
    free(raw);
    mw_encoded_block_fini(&block);
    test_batch_fini(&batch);
}

static void random_row(test_random *random, const shape *form, model_row *row)
{
    *row = (model_row){
        .trace = 1 + random_below(random, form->traces),
        .id = 1 + random_below(random, form->ids),
        .start = 1000 + random_below(random, form->starts),
        .length = (uint32_t)random_below(random, form->length_max),
    };
}

static void add_earlier(mw_merge_plan *plan, model *all, test_random *random, const shape *form)
{
    for (uint64_t i = 0; i < form->earlier; i++) {
        uint8_t id[16], span[8];
        uint32_t number;
        uint64_t raw;
        uint64_t trace = 1 + random_below(random, form->traces);
        uint64_t span_id = 1 + random_below(random, form->ids);
        trace_id_of(id, trace);
        if (!mw_trace_set_find(&plan->traces, id, &number))
            continue;
        put_id(span, 8, span_id);
        memcpy(&raw, span, 8);
        assert_int_equal(mw_merge_plan_earlier(plan, number, raw), MW_OK);
        all->earlier[all->earlier_count].trace = trace;
        all->earlier[all->earlier_count++].id = span_id;
    }
}

static void check_rows(const mw_merge_plan *plan, const model *all)
{
    size_t repeat = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        const model_row *row = &all->rows[i];
        if (!row->removed) {
            assert_int_equal(plan->places[i], place_of(all, i));
            kept++;
            continue;
        }
        assert_int_equal(plan->places[i], MW_PLAN_REMOVED);
        assert_true(repeat < plan->repeat_count);
        assert_int_equal(plan->repeats[repeat].removed, i);
        assert_int_equal(plan->repeats[repeat].kept, row->kept);
        assert_int_equal(plan->repeats[repeat].kept_earlier, row->earlier);
        repeat++;
    }
    assert_int_equal(repeat, plan->repeat_count);
    assert_int_equal(kept, plan->kept);
}

static void check_outputs(const mw_merge_plan *plan, const model *all)
{
    uint64_t bytes[ROWS_MAX] = {0};
    uint32_t first = 0;
    for (uint32_t i = 0; i < all->count; i++)
        if (!all->rows[i].removed)
            bytes[plan->places[i]] = all->rows[i].length;
    for (size_t i = 0; i < plan->output_count; i++) {
        const mw_plan_output *output = &plan->outputs[i];
        uint64_t sum = 0;
        assert_int_equal(output->first, first);
        assert_true(output->rows > 0 && output->rows <= MW_PACK_ROWS);
        for (uint32_t row = 0; row < output->rows; row++)
            sum += bytes[first + row];
        assert_int_equal(output->bytes, sum);
        assert_true(output->rows == 1 || sum <= MW_PACK_BYTES);
        first += output->rows;
    }
    assert_int_equal(first, plan->kept);
}

static void check_blocks(const mw_merge_plan *plan)
{
    for (size_t i = 0; i < plan->block_count; i++) {
        const mw_plan_block *block = &plan->blocks[i];
        uint32_t least = UINT32_MAX, most = 0;
        for (uint32_t row = block->first_row; row < block->first_row + block->rows; row++) {
            uint32_t place = plan->places[row];
            if (place != MW_PLAN_REMOVED && place < least)
                least = place;
            if (place != MW_PLAN_REMOVED && place > most)
                most = place;
        }
        assert_int_equal(block->least, least);
        assert_int_equal(block->most, most);
    }
}

static void check_groups(const mw_merge_plan *plan)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < plan->group_count; i++)
        rows += plan->group_rows[plan->group_order[i]];
    assert_int_equal(rows, plan->kept);
}

static void run_shape(mw_signal signal, const shape *form, uint64_t seed)
{
    test_random random = {seed};
    model *all = calloc(1, sizeof *all);
    mw_merge_plan plan;

    all->signal = signal;
    assert_int_equal(mw_merge_plan_init(&plan, signal, ROWS_MAX, KEY_SEED), MW_OK);
    for (size_t i = 0; i < form->batches; i++) {
        uint32_t count = (uint32_t)(1 + random_below(&random, BATCH_MAX));
        if (all->count + count > ROWS_MAX)
            break;
        for (uint32_t row = 0; row < count; row++) {
            random_row(&random, form, &all->rows[all->count]);
            all->rows[all->count++].batch = i;
        }
        add_batch(&plan, all, count);
    }
    if (signal == MW_SIGNAL_TRACES)
        add_earlier(&plan, all, &random, form);
    assert_int_equal(mw_merge_plan_finish(&plan), MW_OK);
    judge(all);
    check_rows(&plan, all);
    check_outputs(&plan, all);
    check_blocks(&plan);
    if (signal != MW_SIGNAL_LOGS)
        check_groups(&plan);
    mw_merge_plan_fini(&plan);
    free(all);
}

static void test_random_rows(void **state)
{
    /* Few traces of many spans (a table), many of few (all with all), one, long items, and items of
     * no length. */
    static const shape shapes[] = {
        {3, 900, 50, 200, 30, 0},      {3, 900, 5000, 200, 30, 200},
        {500, 8, 100000, 300, 40, 0},  {500, 8, 100000, 300, 40, 300},
        {1, 200, 10, 200, 20, 50},     {40, 1000000, 1000, 1u << 20, 30, 0},
        {40, 40, 3, 6u << 20, 25, 10}, {2000, 2, 1, 1, 40, 100},
        {7, 1, 100, 64, 10, 1},        {5, 60, 1u << 30, 700u << 10, 45, 0},
    };
    (void)state;
    for (int signal = MW_SIGNAL_TRACES; signal < MW_SIGNAL_END; signal++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (uint64_t seed = 1; seed <= 3; seed++)
                run_shape((mw_signal)signal, &shapes[i], seed * 100 + i);
}

/* Rows without bytes to speak of fill a block by their number. */
static void test_rows_of_a_block(void **state)
{
    enum { BATCHES = 60, A_BATCH = 400 };
    mw_merge_plan plan;
    (void)state;
    assert_int_equal(mw_merge_plan_init(&plan, MW_SIGNAL_TRACES, BATCHES * A_BATCH, KEY_SEED),
                     MW_OK);
    model *all = calloc(1, sizeof *all);
    all->signal = MW_SIGNAL_TRACES;
    for (uint32_t i = 0; i < BATCHES; i++) {
        for (uint32_t row = 0; row < A_BATCH; row++)
            all->rows[row] = (model_row){.trace = 1 + (i * A_BATCH + row) / 48,
                                         .id = 1 + row + i * A_BATCH,
                                         .start = 1000 + i * A_BATCH + row,
                                         .length = 10};
        all->count = A_BATCH;
        add_batch(&plan, all, A_BATCH);
    }
    assert_int_equal(mw_merge_plan_finish(&plan), MW_OK);
    assert_int_equal(plan.kept, BATCHES * A_BATCH);
    assert_int_equal(plan.output_count, 3);
    /* No trace of 48 stands in two blocks. */
    for (size_t i = 0; i + 1 < plan.output_count; i++) {
        assert_true(plan.outputs[i].rows <= MW_PACK_ROWS);
        assert_int_equal(plan.outputs[i].rows % 48, 0);
        assert_true(plan.outputs[i].rows + 48 > MW_PACK_ROWS);
    }
    free(all);
    mw_merge_plan_fini(&plan);
}

/* Without memory it says so, wherever that happens. */
static void test_no_memory(void **state)
{
    static const shape form = {20, 50, 500, 300, 10, 40};
    (void)state;
    for (uint64_t nth = 1; nth < 400; nth++) {
        test_random random = {5};
        model *all = calloc(1, sizeof *all);
        mw_merge_plan plan;
        all->signal = MW_SIGNAL_TRACES;
        assert_int_equal(mw_merge_plan_init(&plan, MW_SIGNAL_TRACES, ROWS_MAX, KEY_SEED), MW_OK);
        for (size_t i = 0; i < form.batches; i++) {
            for (uint32_t row = 0; row < BATCH_MAX; row++)
                random_row(&random, &form, &all->rows[all->count++]);
            add_batch(&plan, all, BATCH_MAX);
        }
        add_earlier(&plan, all, &random, &form);
        mw_memory_fail_at(nth);
        mw_err err = mw_merge_plan_finish(&plan);
        mw_memory_fail_at(0);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        mw_merge_plan_fini(&plan);
        free(all);
        if (err == MW_OK) {
            assert_true(nth > 4);
            return;
        }
    }
    fail();
}

static void test_number_sort(void **state)
{
    enum { COUNT = 5000 };
    static uint64_t keys[COUNT];
    static uint32_t numbers[COUNT];
    test_random random = {9};
    mw_sort_scratch scratch = {.capacity = 0};
    (void)state;
    for (int round = 0; round < 60; round++) {
        size_t count = round < 20 ? random_below(&random, 70) : random_below(&random, COUNT);
        unsigned bits = 1 + (unsigned)random_below(&random, 64);
        uint64_t base = random_next(&random);
        for (uint32_t i = 0; i < count; i++) {
            keys[i] = bits == 64 ? random_next(&random)
                                 : (base >> 1) + random_below(&random, UINT64_C(1) << (bits - 1));
            numbers[i] = i;
        }
        assert_int_equal(mw_number_sort(&scratch, numbers, count, keys), MW_OK);
        for (size_t i = 1; i < count; i++) {
            uint64_t left = keys[numbers[i - 1]], right = keys[numbers[i]];
            assert_true(left < right || (left == right && numbers[i - 1] < numbers[i]));
        }
    }
    mw_sort_scratch_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_sort),
        cmocka_unit_test(test_random_rows),
        cmocka_unit_test(test_rows_of_a_block),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
