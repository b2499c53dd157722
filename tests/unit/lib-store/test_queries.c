/* Questions about traces, sessions and spans against a naive model (query_model.h).
 *
 * Random spans with a fixed seed: repeats with other content, parents that never come, cycles,
 * equal times, late sessions; and log records: before their spans, of unknown spans and traces,
 * with sessions of their own that nothing else knows. The same questions are asked with a large
 * and a tiny query budget, so that the passes over parts are exercised, again after a restart, and
 * again when segments were merged.
 */
#include "tests/unit/lib-store/query_model.h"
#include "tests/unit/lib-store/quick_disk.h"

/* ---- comparing ------------------------------------------------------------------------------- */

static void assert_trace(const expected *model, const mw_trace_summary *got,
                         const model_summary *want)
{
    uint8_t id[16];
    const model_trace *trace = &model->traces[want->id];
    trace_id_of(id, want->id);
    assert_memory_equal(got->trace_id, id, 16);
    assert_int_equal(got->start_ns, want->first);
    assert_int_equal(got->end_ns, want->last);
    assert_int_equal(got->spans, want->spans);
    assert_int_equal(got->logs, want->logs);
    assert_int_equal(got->errors, want->errors);
    assert_int_equal(got->model_calls, want->models);
    assert_int_equal(got->tool_calls, want->tools);
    assert_int_equal(got->input_tokens, want->in);
    assert_int_equal(got->output_tokens, want->out);
    assert_name(got->root_name, "span ", (int)want->root);
    for (size_t i = 0; i < trace->count; i++)
        if (trace->spans[i]->span == want->root)
            assert_name(got->service, "service-", trace->spans[i]->service);
    assert_int_equal(got->session_count, want->session_count);
    for (size_t i = 0; i < want->session_count; i++)
        assert_name(got->session_ids[i], "session", want->sessions[i]);
}

static void assert_session(const mw_session_summary *got, const model_summary *want)
{
    assert_name(got->session_id, "session", (int)want->id);
    assert_int_equal(got->first_seen_ns, want->first);
    assert_int_equal(got->last_seen_ns, want->last);
    assert_int_equal(got->traces, want->traces);
    assert_int_equal(got->spans, want->spans);
    assert_int_equal(got->logs, want->logs);
    assert_int_equal(got->errors, want->errors);
    assert_int_equal(got->model_calls, want->models);
    assert_int_equal(got->tool_calls, want->tools);
    assert_int_equal(got->input_tokens, want->in);
    assert_int_equal(got->output_tokens, want->out);
    assert_name(got->agent, "agent-", want->agent);
    assert_name(got->user, "user-", want->user);
}

/* Long ids of the same time are in an order of their own: looks the expectation up by id. */
static const model_summary *session_expected(const expected *model, mw_slice id)
{
    for (size_t i = 0; i < model->session_count; i++) {
        char text[128];
        session_name(text, (int)model->session_list[i].id);
        if (mw_slice_equal(mw_slice_of(text), id))
            return &model->session_list[i];
    }
    fail_msg("a session that was never sent: %.*s", (int)id.len, id.data);
    return NULL;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void check_trace_pages(mw_store_view *view, const expected *model, mw_store_page page)
{
    size_t at = 0;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (bool more = true; more;) {
        mw_trace_list list;
        assert_int_equal(mw_store_trace_list(view, &page, &arena, &list), MW_OK);
        assert_true(list.count <= page.limit);
        for (size_t i = 0; i < list.count; i++, at++) {
            while (at < model->trace_count &&
                   (model->trace_list[at].first < page.since_ns ||
                    (page.until_ns && model->trace_list[at].first >= page.until_ns)))
                at++;
            assert_true(at < model->trace_count);
            assert_trace(model, &list.items[i], &model->trace_list[at]);
        }
        more = list.next_cursor.len > 0;
        assert_true(!more || list.count == page.limit);
        page.cursor = list.next_cursor;
    }
    for (; at < model->trace_count; at++)
        assert_true(model->trace_list[at].first < page.since_ns ||
                    (page.until_ns && model->trace_list[at].first >= page.until_ns));
    mw_arena_reset(&arena);
}

static void check_session_pages(mw_store_view *view, const expected *model, mw_store_page page)
{
    size_t count = 0, expected_count = 0;
    uint64_t last = UINT64_MAX;
    char *seen = calloc(model->session_count + 1, 1);
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (bool more = true; more;) {
        mw_session_list list;
        assert_int_equal(mw_store_session_list(view, &page, &arena, &list), MW_OK);
        for (size_t i = 0; i < list.count; i++, count++) {
            const model_summary *want = session_expected(model, list.items[i].session_id);
            assert_session(&list.items[i], want);
            assert_true(want->last <= last);
            last = want->last;
            assert_false(seen[want - model->session_list]); /* never on two pages */
            seen[want - model->session_list] = 1;
        }
        more = list.next_cursor.len > 0;
        assert_true(!more || list.count == page.limit);
        page.cursor = list.next_cursor;
    }
    for (size_t i = 0; i < model->session_count; i++) {
        uint64_t time = model->session_list[i].last;
        bool wanted = time >= page.since_ns && (!page.until_ns || time < page.until_ns);
        expected_count += wanted;
        assert_int_equal(seen[i], wanted);
    }
    assert_int_equal(count, expected_count);
    free(seen);
    mw_arena_reset(&arena);
}

static void check_lists(mw_store_view *view, const expected *model)
{
    uint64_t newest = model->trace_list[0].first;
    const mw_store_page pages[] = {
        {.limit = 1000},
        {.limit = 7},
        {.limit = 50},
        {.limit = 9, .since_ns = 1000 + (newest - 1000) / 3},
        {.limit = 9, .until_ns = 1000 + (newest - 1000) / 2},
        {.limit = 40, .since_ns = newest - (newest - 1000) / 10, .until_ns = newest},
        {.limit = 5, .since_ns = newest + 1000000},
        {.limit = 5, .until_ns = 1},
    };
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        check_trace_pages(view, model, pages[i]);
        check_session_pages(view, model, pages[i]);
    }
}

/* Sessions of equal time and distinct first 48 bytes come in the order of their ids. */
static void check_session_order(mw_store_view *view, const expected *model)
{
    mw_arena arena;
    mw_session_list list;
    mw_store_page page = {.limit = 1000};
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_session_list(view, &page, &arena, &list), MW_OK);
    for (size_t i = 1; i < list.count; i++) {
        char text[2][128];
        const model_summary *a = session_expected(model, list.items[i - 1].session_id);
        const model_summary *b = session_expected(model, list.items[i].session_id);
        session_name(text[0], (int)a->id);
        session_name(text[1], (int)b->id);
        assert_true(a->last > b->last || strncmp(text[0], text[1], 48) <= 0);
    }
    mw_arena_reset(&arena);
}

/* ---- single things --------------------------------------------------------------------------- */

static void check_trace_read(mw_store_view *view, const expected *model)
{
    for (size_t at = 0; at < model->trace_count; at++) {
        const model_summary *want = &model->trace_list[at];
        const model_trace *sent = &model->traces[want->id];
        mw_arena arena;
        mw_trace trace;
        uint8_t id[16];
        trace_id_of(id, want->id);
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        assert_int_equal(mw_store_trace_read(view, id, &arena, &trace), MW_OK);
        assert_trace(model, &trace.summary, want);
        assert_int_equal(trace.span_count, sent->count);
        for (size_t i = 0; i < trace.span_count; i++) {
            const mw_trace_span *got = &trace.spans[i];
            uint64_t span_id = mw_trace_key(got->row.span_id);
            const model_span *span = NULL;
            for (size_t k = 0; k < sent->count; k++)
                if (sent->spans[k]->span == span_id)
                    span = sent->spans[k];
            assert_non_null(span);
            assert_name(got->bytes, "item bytes of span ", (int)span->span);
            assert_int_equal(got->row.start_ns, span->start);
            assert_name(got->own_session_id, "session", span->session);
            assert_name(got->row.session_id, "session", session_of(sent, span));
            assert_name(got->row.agent, "agent-", agent_of(sent, span));
            assert_int_equal(got->resource.bytes.len, strlen("resource"));
            if (i > 0)
                assert_true(trace.spans[i - 1].row.start_ns <= got->row.start_ns);
        }
        mw_arena_reset(&arena);
    }
}

/* Traces that log records alone name are none. */
static void check_log_traces(mw_store_view *view, const expected *model)
{
    for (uint64_t t = 0; t < model->all.traces + LOG_TRACES; t++) {
        mw_arena arena;
        mw_trace trace;
        uint8_t id[16], found[16];
        char hex[33];
        if (t < model->all.traces && model->traces[t].count)
            continue;
        trace_id_of(id, t);
        mw_hex_encode(id, 16, hex);
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        assert_int_equal(mw_store_trace_find(view, mw_slice_of(hex), found), MW_E_NOT_FOUND);
        assert_int_equal(mw_store_trace_read(view, id, &arena, &trace), MW_E_NOT_FOUND);
        mw_arena_reset(&arena);
    }
}

static void check_session_read(mw_store_view *view, const expected *model)
{
    for (size_t at = 0; at < model->session_count; at++) {
        const model_summary *want = &model->session_list[at];
        mw_arena arena;
        mw_session session;
        char text[128];
        session_name(text, (int)want->id);
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        assert_int_equal(mw_store_session_read(view, mw_slice_of(text), &arena, &session), MW_OK);
        assert_session(&session.summary, want);
        assert_int_equal(session.trace_count, want->traces);
        size_t next = 0;
        for (size_t i = 0; i < session.trace_count; i++) {
            /* In the order of the trace list, so each is found behind the one before. */
            uint8_t id[16];
            for (;; next++) {
                assert_true(next < model->trace_count);
                trace_id_of(id, model->trace_list[next].id);
                if (memcmp(id, session.traces[i].trace_id, 16) == 0)
                    break;
            }
            assert_trace(model, &session.traces[i], &model->trace_list[next]);
        }
        if (text[0] == 's') { /* six digits and more are unique */
            assert_int_equal(mw_store_session_read(view, mw_slice_bytes(text, 6), &arena, &session),
                             MW_OK);
            assert_name(session.summary.session_id, "session", (int)want->id);
            assert_int_equal(mw_store_session_read(view, mw_slice_bytes(text, 5), &arena, &session),
                             MW_E_NOT_FOUND);
        }
        mw_arena_reset(&arena);
    }
    mw_arena arena;
    mw_session session;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_session_read(view, MW_SLICE("a-common-prefix"), &arena, &session),
                     MW_E_AMBIGUOUS);
    assert_int_equal(mw_store_session_read(view, MW_SLICE("no such session"), &arena, &session),
                     MW_E_NOT_FOUND);
    assert_int_equal(mw_store_session_read(view, MW_SLICE(POINT_SESSION), &arena, &session),
                     MW_E_NOT_FOUND);
    mw_arena_reset(&arena);
}

static void check_trace_find(mw_store_view *view, const expected *model)
{
    for (size_t at = 0; at < model->trace_count; at++) {
        uint8_t id[16], found[16];
        char hex[33];
        trace_id_of(id, model->trace_list[at].id);
        mw_hex_encode(id, 16, hex);
        for (size_t len = 6; len <= 32; len += 1 + len % 3) {
            size_t fits = 0;
            for (size_t i = 0; i < model->trace_count; i++) {
                char other[33];
                uint8_t other_id[16];
                trace_id_of(other_id, model->trace_list[i].id);
                mw_hex_encode(other_id, 16, other);
                fits += memcmp(hex, other, len) == 0;
            }
            mw_err err = mw_store_trace_find(view, mw_slice_bytes(hex, len), found);
            assert_int_equal(err, fits == 1 ? MW_OK : MW_E_AMBIGUOUS);
            if (err == MW_OK)
                assert_memory_equal(found, id, 16);
        }
    }
}

/* ---- span search ----------------------------------------------------------------------------- */

static bool span_matches(const model_span *span, int service, const mw_span_query *query)
{
    return (!service || span->service == service) && (!query->errors_only || span->status == 2) &&
           span->start >= query->since_ns && (!query->until_ns || span->start < query->until_ns);
}

/* Is an earlier copy of this span also a match? */
static bool repeated(const sent_spans *all, size_t at, int service, const mw_span_query *query)
{
    for (size_t i = 0; i < at; i++)
        if (all->spans[i].trace == all->spans[at].trace &&
            all->spans[i].span == all->spans[at].span &&
            span_matches(&all->spans[i], service, query))
            return true;
    return false;
}

static void check_span_search(mw_store_view *view, const expected *model)
{
    uint64_t newest = model->trace_list[0].first;
    for (int service = 0; service <= 4; service++) {
        for (int variant = 0; variant < 4; variant++) {
            mw_span_query query = {.errors_only = variant & 1, .limit = 100000};
            char name[32];
            mw_arena arena;
            mw_span_list list;
            snprintf(name, sizeof name, "service-%d", service);
            if (service)
                query.service = mw_slice_of(name);
            if (variant & 2) {
                query.since_ns = 1000 + (newest - 1000) / 4;
                query.until_ns = 1000 + (newest - 1000) / 2;
            }
            uint64_t want = 0;
            for (size_t i = 0; i < model->all.count; i++)
                want += span_matches(&model->all.spans[i], service, &query) &&
                        !repeated(&model->all, i, service, &query);
            mw_arena_init(&arena, MW_MEM_QUERY, 0);
            assert_int_equal(mw_store_span_search(view, &query, &arena, &list), MW_OK);
            assert_int_equal(list.count, want);
            assert_int_equal(list.matched, want);
            for (size_t i = 0; i < list.count; i++) {
                assert_true(i == 0 || list.items[i - 1].start_ns >= list.items[i].start_ns);
                assert_true(list.items[i].start_ns >= query.since_ns);
                assert_true(!query.errors_only || list.items[i].status == 2);
                if (service)
                    assert_name(list.items[i].service, "service-", service);
            }
            /* A small limit keeps the newest. */
            mw_span_list few;
            query.limit = 10;
            assert_int_equal(mw_store_span_search(view, &query, &arena, &few), MW_OK);
            assert_int_equal(few.count, list.count < 10 ? list.count : 10);
            assert_true(few.matched >= few.count && few.matched >= list.matched);
            for (size_t i = 0; i < few.count; i++) {
                /* Equal, but that a later copy may stand in for one that fell off the end. */
                assert_true(few.items[i].start_ns >= list.items[i].start_ns);
                for (size_t k = 0; k < i; k++)
                    assert_true(memcmp(few.items[i].span_id, few.items[k].span_id, 8) != 0 ||
                                memcmp(few.items[i].trace_id, few.items[k].trace_id, 16) != 0);
            }
            mw_arena_reset(&arena);
        }
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void check_everything(mw_store *store, const expected *model, size_t budget)
{
    mw_store_view *view;
    size_t before = mw_memory_component_used(MW_MEM_QUERY);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    view->query_budget = budget;
    check_lists(view, model);
    check_session_order(view, model);
    check_trace_read(view, model);
    check_log_traces(view, model);
    check_session_read(view, model);
    check_trace_find(view, model);
    check_span_search(view, model);
    mw_store_view_close(view);
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), before);
}

static void run_shape(const shape *form)
{
    test_dir dir;
    expected model;
    test_dir_init(&dir);
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 8 * 1024);
    fill(store, &model.all, form);
    expect(&model);
    assert_true(model.session_count >= form->sessions_least && model.trace_count > 10);
    check_everything(store, &model, MW_QUERY_BUDGET);
    check_everything(store, &model, 20000);
    mw_store_close(store);
    store = open_store(dir.store);
    check_everything(store, &model, MW_QUERY_BUDGET);
    /* Merged in part; then what was merged again, and all but a few; after a start. */
    merge_model(store, &model, form->seed, 4);
    check_everything(store, &model, 20000);
    merge_model(store, &model, form->seed + 1, 9);
    check_everything(store, &model, MW_QUERY_BUDGET);
    mw_store_close(store);
    store = open_store(dir.store);
    check_everything(store, &model, 20000);
    mw_store_close(store);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    forget(&model);
    test_dir_fini(&dir);
}

static void assert_stored(mw_store *store, const expected *model, size_t removed)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.spans, model->all.count);
    assert_true(stats.repeats >= removed); /* and points */
    assert_int_equal(stats.merged_segments + 1, stats.segments);
}

/* Merged by the program while it is appended to, and again once it is at rest. */
static void run_merging(const shape *form, size_t segment)
{
    test_dir dir;
    expected model;
    test_dir_init(&dir);
    mw_store *store = open_merging(dir.store, segment);
    fill(store, &model.all, form);
    expect(&model);
    size_t removed = merge_whole_model(store, &model);
    assert_true(removed > 0);
    assert_stored(store, &model, removed);
    mw_store_close(store);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    /* Without the keeper, whose memory is not a question's. */
    store = open_store(dir.store);
    check_everything(store, &model, MW_QUERY_BUDGET);
    check_everything(store, &model, 20000);
    mw_store_close(store);
    forget(&model);
    test_dir_fini(&dir);
}

static void test_merging(void **state)
{
    (void)state;
    for (uint64_t seed = 41; seed < 44; seed++) {
        const shape form = {seed, 60, 10, 40, 12, 14, 0, 60, 10, 20};
        run_merging(&form, 8 * 1024);
        run_merging(&form, MW_STORE_SEGMENT_DEFAULT);
    }
    const shape long_time = {44, 160, 8, 200, 10, 400, 40, 100, 150, 12};
    run_merging(&long_time, 16 * 1024);
}

/* Few ids and few moments: repeats, cycles and ties everywhere. */
static void test_dense(void **state)
{
    const shape form = {11, 80, 12, 40, 12, 14, 0, 60, 10, 0};
    (void)state;
    run_shape(&form);
}

static void test_dense_with_logs(void **state)
{
    (void)state;
    for (uint64_t seed = 21; seed < 24; seed++) {
        const shape form = {seed, 60, 10, 40, 12, 14, 0, 60, 10, 20};
        run_shape(&form);
    }
}

/* Some batches over a long time: the newest sessions are often known by their logs alone. */
static void test_logs_over_time(void **state)
{
    (void)state;
    for (uint64_t seed = 31; seed < 33; seed++) {
        const shape form = {seed, 160, 8, 200, 10, 400, 40, 100, 150, 12};
        run_shape(&form);
    }
}

/* Many blocks over time: the newest pages come from a window of them. Enough sessions that with a
 * tiny budget their table is made in parts. */
static void test_over_time(void **state)
{
    const shape form = {12, 260, 14, 300, 10, 900, 40, 100, 300, 3};
    (void)state;
    run_shape(&form);
}

static void test_cursor_syntax(void **state)
{
    static const char *const bad[] = {
        "x", "t", "t00", "s0", "tzz", "hello world", "t0000000000000000000000000000000000"};
    test_dir dir;
    mw_store_view *view;
    mw_arena arena;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(append_spans(store, i, i, 1), MW_OK);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    mw_trace_list list;
    mw_session_list sessions;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mw_store_page page = {.limit = 2, .cursor = mw_slice_of(bad[i])};
        assert_int_equal(mw_store_trace_list(view, &page, &arena, &list), MW_E_SYNTAX);
    }
    /* One list's cursor is not another's. */
    mw_store_page page = {.limit = 2};
    assert_int_equal(mw_store_trace_list(view, &page, &arena, &list), MW_OK);
    assert_true(list.next_cursor.len > 0);
    page.cursor = list.next_cursor;
    assert_int_equal(mw_store_session_list(view, &page, &arena, &sessions), MW_E_SYNTAX);
    assert_int_equal(mw_store_trace_list(view, &page, &arena, &list), MW_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.next_cursor.len, 0);
    uint8_t id[16];
    assert_int_equal(mw_store_trace_find(view, MW_SLICE("12345"), id), MW_E_SYNTAX);
    assert_int_equal(mw_store_trace_find(view, MW_SLICE("12345g"), id), MW_E_SYNTAX);
    assert_int_equal(mw_store_trace_find(view, MW_SLICE("000000000000000000000000000000000"), id),
                     MW_E_SYNTAX);
    mw_arena_reset(&arena);
    mw_store_view_close(view);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Pages do not repeat or skip what was there when newer traces arrive in between. */
static void test_cursor_under_ingest(void **state)
{
    test_dir dir;
    mw_arena arena;
    mw_store_page page = {.limit = 4};
    uint64_t seen = 0;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (uint64_t i = 1; i <= 20; i++)
        assert_int_equal(append_spans(store, i, i * 10, 1), MW_OK);
    for (uint64_t round = 0;; round++) {
        mw_store_view *view;
        mw_trace_list list;
        assert_int_equal(mw_store_view_open(store, &view), MW_OK);
        assert_int_equal(mw_store_trace_list(view, &page, &arena, &list), MW_OK);
        for (size_t i = 0; i < list.count; i++)
            assert_int_equal(list.items[i].start_ns, 1000 + (20 - seen++) * 10);
        mw_store_view_close(view);
        page.cursor = list.next_cursor;
        if (page.cursor.len == 0)
            break;
        assert_int_equal(append_spans(store, 100 + round, 5000 + round, 1), MW_OK);
    }
    assert_int_equal(seen, 20);
    mw_arena_reset(&arena);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Without memory a question fails cleanly, wherever it runs out. */
static void test_without_memory(void **state)
{
    const shape form = {13, 30, 10, 20, 10, 9, 30, 50, 1, 6};
    test_dir dir;
    sent_spans all;
    mw_store_view *view;
    uint8_t id[16];
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 4 * 1024);
    fill(store, &all, &form);
    store = half_merged(store, dir.store);
    trace_id_of(id, all.spans[0].trace);
    for (int question = 0; question < 5; question++) {
        size_t before = mw_memory_used();
        bool done = false;
        for (uint64_t at = 1; !done; at++) {
            mw_store_page page = {.limit = 5};
            mw_span_query query = {.limit = 5};
            mw_arena arena;
            mw_trace_list traces;
            mw_session_list sessions;
            mw_session session;
            mw_span_list spans;
            mw_trace trace;
            mw_err err;
            mw_arena_init(&arena, MW_MEM_QUERY, 0);
            assert_int_equal(mw_store_view_open(store, &view), MW_OK);
            mw_memory_fail_at(at);
            err = question == 0   ? mw_store_trace_list(view, &page, &arena, &traces)
                  : question == 1 ? mw_store_session_list(view, &page, &arena, &sessions)
                  : question == 2 ? mw_store_span_search(view, &query, &arena, &spans)
                  : question == 3
                      ? mw_store_trace_read(view, id, &arena, &trace)
                      : mw_store_session_read(view, MW_SLICE("s00001-session"), &arena, &session);
            mw_memory_fail_at(0);
            done = err == MW_OK;
            assert_true(done || err == MW_E_NOMEM);
            mw_store_view_close(view);
            mw_arena_reset(&arena);
            assert_int_equal(mw_memory_used(), before);
        }
    }
    mw_store_close(store);
    forget_sent(&all);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),          cmocka_unit_test(test_dense_with_logs),
        cmocka_unit_test(test_logs_over_time), cmocka_unit_test(test_over_time),
        cmocka_unit_test(test_cursor_syntax),  cmocka_unit_test(test_cursor_under_ingest),
        cmocka_unit_test(test_without_memory), cmocka_unit_test(test_merging),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
