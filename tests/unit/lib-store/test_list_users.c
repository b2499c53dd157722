/* Lists filtered by texts that hardly any, some, many or all spans have, against a model that looks
 * at every span: what is found by one column of all blocks, what by trying one candidate after the
 * other, and what the newest stretches hold are the same. Sessions last for any time, so that those
 * seen last lie all over the store; some are named by the last span of their trace alone, which
 * comes with the next batch. And columns that were left out are not there. */
#include "tests/unit/lib-store/late_spans.h"
#include "tests/unit/lib-store/store_test.h"

#include "lib/store/query/page.h"
#include "lib/store/store_int.h"

#define BATCHES 10u
#define TRACES 2048u /* a batch */
#define SPANS 4u     /* of a trace */
#define ALL (BATCHES * TRACES)
#define TRACES_A_SESSION 3u
#define SESSIONS (ALL / TRACES_A_SESSION + 1)
#define MS UINT64_C(1000000)
#define BASE (1000000 * MS)

enum { RARE = 1, SOME = 2, MANY = 4, EVERY = 8, AGENT = 16, FAILED = 32, NAMED = 64, SECOND = 128 };

typedef struct sum {
    uint64_t id, first, last, tokens;
    unsigned met;
} sum;

typedef struct model {
    sum traces[ALL], sessions[SESSIONS];
} model;

typedef struct facts {
    uint64_t start, end, tokens;
    const char *user;
    unsigned met;
} facts;

/* Of a span, always the same. Newer traces of MANY are rarer: a look at the newest alone would
 * mislead. */
static facts facts_of(uint64_t trace, uint64_t span)
{
    test_random random = {trace * SPANS + span};
    facts out = {.start = BASE + trace * MS + span, .user = "user-every", .met = EVERY};
    out.end = out.start + 1000;
    if (span == 2 && random_below(&random, 4) == 0)
        out.end = out.start + random_below(&random, ALL * MS);
    out.tokens = random_below(&random, 100);
    if (span == 1 && trace % 4001 == 100)
        out.user = "user-rare", out.met = RARE;
    else if (span == 2 && random_below(&random, 11) == 0)
        out.user = "user-some", out.met = SOME;
    else if (span == 3 && random_below(&random, ALL) > trace)
        out.user = "user-many", out.met = MANY;
    out.met |= random_below(&random, 200) == 0 ? AGENT : 0u;
    out.met |= random_below(&random, 50) == 0 ? FAILED : 0u;
    out.met |= random_below(&random, 90) == 0 ? NAMED : 0u;
    out.met |= out.met & NAMED && span == 2 ? SECOND : 0u;
    return out;
}

static uint64_t session_of(uint64_t trace)
{
    return trace / TRACES_A_SESSION;
}

static void make_span(test_batch *batch, size_t at, uint64_t trace, uint64_t span)
{
    mw_span_row *row = &batch->spans[at];
    facts known = facts_of(trace, span);
    test_span(batch, at, trace, span, span > 1 ? 1 : 0);
    row->start_ns = known.start;
    row->end_ns = known.end;
    row->operation_kind = MW_OP_MODEL;
    row->input_tokens = (int64_t)known.tokens;
    row->user = mw_slice_of(known.user);
    row->name = test_format(batch, known.met & NAMED ? "Ask for refund " : "span ", span);
    row->agent = known.met & AGENT ? MW_SLICE("agent-some") : MW_SLICE("agent-usual");
    row->status = known.met & FAILED ? 2 : 0;
    /* The root's parent of all, so that its counts stand for nobody's. */
    if (span == (trace % 5 == 0 ? SPANS : 1))
        row->session_id = test_format(batch, "session-", 100000 + session_of(trace));
    if (span == 1)
        row->operation_kind = MW_OP_OTHER;
}

static void append_all(mw_store *store)
{
    const late_spans all = {BATCHES, TRACES, SPANS, make_span};
    append_late(store, &all);
}

/* ---- the model ------------------------------------------------------------------------------- */

static void add(sum *to, uint64_t id, const facts *span, bool counts)
{
    to->id = id;
    to->first = !to->last || span->start < to->first ? span->start : to->first;
    to->last = span->end > to->last ? span->end : to->last;
    to->tokens += counts ? span->tokens : 0;
    to->met |= span->met;
}

static int latest_first(const void *left, const void *right)
{
    const sum *a = left, *b = right;
    if (a->last != b->last)
        return a->last > b->last ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static model *make_model(void)
{
    model *made = calloc(1, sizeof *made);
    for (uint64_t trace = 0; trace < ALL; trace++) {
        for (uint64_t span = 1; span <= SPANS; span++) {
            facts known = facts_of(trace, span);
            add(&made->traces[trace], trace, &known, span > 1);
            add(&made->sessions[session_of(trace)], 100000 + session_of(trace), &known, span > 1);
        }
    }
    qsort(made->sessions, SESSIONS, sizeof made->sessions[0], latest_first);
    return made;
}

typedef struct question {
    mw_list_filter filter;
    unsigned met; /* what the filter asks of spans */
} question;

static bool fits(const sum *of, const question *asked)
{
    const mw_list_filter *filter = &asked->filter;
    return of->last && (of->met & asked->met) == asked->met && of->tokens >= filter->tokens_min &&
           of->last - of->first >= filter->duration_min_ns &&
           (!filter->duration_max_ns || of->last - of->first <= filter->duration_max_ns);
}

/* ---- pages ----------------------------------------------------------------------------------- */

static void check_sessions(mw_store_view *view, const model *all, const question *asked,
                           size_t limit, size_t pages)
{
    mw_store_page page = {.limit = limit};
    size_t at = 0;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (; pages > 0; pages--) {
        mw_session_list list;
        assert_int_equal(mw_store_session_list_where(view, &page, &asked->filter, &arena, &list),
                         MW_OK);
        for (size_t i = 0; i < list.count; i++, at++) {
            char name[32];
            while (at < SESSIONS && !fits(&all->sessions[at], asked))
                at++;
            assert_true(at < SESSIONS);
            snprintf(name, sizeof name, "session-%llu", (unsigned long long)all->sessions[at].id);
            assert_true(mw_slice_equal(list.items[i].session_id, mw_slice_of(name)));
            assert_int_equal(list.items[i].last_seen_ns, all->sessions[at].last);
            assert_int_equal(list.items[i].input_tokens, all->sessions[at].tokens);
        }
        page.cursor = list.next_cursor;
        if (page.cursor.len)
            continue;
        for (; at < SESSIONS; at++)
            assert_false(fits(&all->sessions[at], asked));
        break;
    }
    mw_arena_reset(&arena);
}

static void check_traces(mw_store_view *view, const model *all, const question *asked, size_t limit,
                         size_t pages)
{
    mw_store_page page = {.limit = limit};
    uint64_t trace = ALL;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (; pages > 0; pages--) {
        mw_trace_list list;
        assert_int_equal(mw_store_trace_list_where(view, &page, &asked->filter, &arena, &list),
                         MW_OK);
        for (size_t i = 0; i < list.count; i++) {
            uint8_t id[16];
            while (trace > 0 && !fits(&all->traces[trace - 1], asked))
                trace--;
            assert_true(trace > 0);
            trace_id_of(id, --trace);
            assert_memory_equal(list.items[i].trace_id, id, sizeof id);
        }
        page.cursor = list.next_cursor;
        if (page.cursor.len)
            continue;
        while (trace > 0)
            assert_false(fits(&all->traces[--trace], asked));
        break;
    }
    mw_arena_reset(&arena);
}

static void check_all(mw_store *store, const model *all, size_t budget)
{
    const question questions[] = {
        {{.user = MW_SLICE("user-rare")}, RARE},
        {{.user = MW_SLICE("user-some")}, SOME},
        {{.user = MW_SLICE("user-many")}, MANY},
        {{.user = MW_SLICE("user-every")}, EVERY},
        {{.user = MW_SLICE("user-none")}, 1u << 31},
        {{.errors_only = true}, FAILED},
        {{.text = MW_SLICE("REFUND")}, NAMED},
        {{.text = MW_SLICE("refund"), .errors_only = true}, NAMED | FAILED},
        {{.service = MW_SLICE("checkout"), .text = MW_SLICE("refund 2")}, SECOND},
        {{.user = MW_SLICE("user-some"), .agent = MW_SLICE("agent-some")}, SOME | AGENT},
        {{.user = MW_SLICE("user-some"), .tokens_min = 500}, SOME},
        {{.agent = MW_SLICE("agent-some"), .duration_min_ns = ALL / 2 * MS}, AGENT},
        {{.user = MW_SLICE("user-some"), .duration_max_ns = 4 * MS}, SOME},
        {{.user = MW_SLICE("user-every"), .tokens_min = 700, .errors_only = true}, EVERY | FAILED}};
    size_t before = mw_memory_component_used(MW_MEM_QUERY);
    mw_store_view *view;
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    view->query_budget = budget;
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        check_sessions(view, all, &questions[i], 40, 3);
        check_sessions(view, all, &questions[i], 1000, 1);
        check_traces(view, all, &questions[i], 40, 3);
        check_traces(view, all, &questions[i], 1000, 1);
    }
    mw_store_view_close(view);
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), before);
}

static void test_users(void **state)
{
    test_dir dir;
    model *all = make_model();
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    append_all(store);
    check_all(store, all, MW_QUERY_BUDGET);
    assert_int_equal(mw_store_merge_all(store, 60 * MW_NS_PER_S), MW_OK);
    check_all(store, all, MW_QUERY_BUDGET);
    /* Sums in parts; what is collected does not fit. */
    check_all(store, all, (size_t)160 << 10);
    mw_store_close(store);
    store = open_store(dir.store);
    check_all(store, all, MW_QUERY_BUDGET);
    mw_store_close(store);
    test_dir_fini(&dir);
    free(all);
}

/* ---- columns --------------------------------------------------------------------------------- */

static void compare_column(const unsigned char *whole, const unsigned char *some, bool wanted,
                           bool exact, size_t len)
{
    if (!whole || (exact && !wanted)) {
        assert_null(some);
    } else if (wanted) {
        assert_non_null(some);
        assert_memory_equal(some, whole, len);
    }
}

static void compare_columns(const mw_hot *whole, const mw_hot *some, mw_column_set columns,
                            bool exact)
{
    size_t rows = whole->count;
    assert_int_equal(some->count, rows);
    assert_int_equal(some->traces, whole->traces);
    assert_int_equal(some->strings, whole->strings);
    assert_memory_equal(some->trace_ids, whole->trace_ids, MW_TRACE_ID_SIZE * whole->traces);
    for (uint32_t ref = 1; ref <= whole->strings; ref++)
        assert_true(mw_slice_equal(mw_hot_string(some, ref), mw_hot_string(whole, ref)));
    for (unsigned c = 0; c < MW_WIDE_SEQ; c++)
        compare_column(whole->wide[c], some->wide[c], columns & mw_column_wide((mw_wide_column)c),
                       exact, 8 * rows);
    for (unsigned c = 0; c < MW_NARROW_COLUMNS; c++)
        compare_column(whole->narrow[c], some->narrow[c],
                       columns & mw_column_narrow((mw_narrow_column)c), exact, rows);
    for (unsigned c = 0; c < MW_HOT_COLUMNS; c++)
        compare_column(whole->refs[c], some->refs[c], columns & mw_column_ref((mw_hot_column)c),
                       exact, whole->width * rows);
    assert_int_equal(some->commits_left_out,
                     whole->wide[MW_WIDE_SEQ] && !(columns & mw_column_wide(MW_WIDE_SEQ)));
}

/* Any set of columns is as if all had been asked for; a second question adds to what is there. */
static void test_columns(void **state)
{
    test_dir dir;
    test_random random = {4};
    mw_store_view *view, *other;
    mw_hot whole, some;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    append_all(store);
    assert_int_equal(mw_store_merge_all(store, 60 * MW_NS_PER_S), MW_OK);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    for (size_t i = 0; i < 200; i++) {
        const mw_index_block *block =
            mw_view_block(view, random_below(&random, mw_view_count(view)));
        mw_column_set set =
            (mw_column_set)random_next(&random) & (mw_column_set)random_next(&random);
        mw_column_set more = set | (mw_column_set)random_next(&random);
        assert_true(block->header.many_commits);
        assert_int_equal(mw_view_hot(view, block, &whole), MW_OK);
        assert_int_equal(mw_store_view_open(store, &other), MW_OK);
        assert_int_equal(mw_view_columns(other, block, set, &some), MW_OK);
        compare_columns(&whole, &some, set, true);
        assert_int_equal(mw_view_columns(other, block, more, &some), MW_OK);
        compare_columns(&whole, &some, more, true);
        assert_int_equal(mw_view_columns(other, block, set, &some), MW_OK);
        compare_columns(&whole, &some, more, true);
        mw_store_view_close(other);
    }
    mw_store_view_close(view);
    mw_store_close(store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_users),
                                       cmocka_unit_test(test_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
