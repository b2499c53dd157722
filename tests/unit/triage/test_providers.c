/* Each evidence provider over a store with a fault of its kind in it, and over one without. The
 * traffic: a request every two seconds for ten minutes, entry -> cart and entry -> ads; from the
 * onset on, two minutes before the alarm, something is different. */
#include <math.h>

#include "tests/unit/triage/fixture.h"
#include "triage/evidence/suspects.h"

#define REQUESTS 300
#define EVERY_NS (2 * MW_NS_PER_S)
#define ONSET (T0 - 2 * MINUTE)
#define MS INT64_C(1000000)

/* What is different from the onset on. */
typedef struct night {
    int64_t wire_ms, self_ms; /* of cart */
    int64_t query_ms;         /* of its database, which sends no spans */
    bool unnamed;             /* whose name nobody gives */
    bool misses, fails, logs; /* cart: its call to the database; its spans; errors in its log */
    double cpu;
} night;

static mw_findings *findings;
static mw_context context;
static uint64_t share_ns; /* of a period of 10 s; 0: all is read */

static void append(mw_store_batch *batch)
{
    mw_store_context nothing = {.bytes = MW_SLICE("")};
    appended result = {0};
    batch->resources = batch->scopes = &nothing;
    batch->resource_count = batch->scope_count = 1;
    assert_int_equal(mw_store_append(store, batch, on_appended, &result), MW_OK);
    for (int i = 0; i < 60000 && !__atomic_load_n(&result.done, __ATOMIC_ACQUIRE); i++)
        usleep(1000);
    assert_int_equal(result.err, MW_OK);
}

static mw_span_row span(unsigned request, uint8_t id, uint8_t parent, const char *service,
                        const char *name)
{
    mw_span_row row = {.name = mw_slice_of(name),
                       .service = mw_slice_of(service),
                       .input_tokens = MW_TOKENS_UNKNOWN,
                       .output_tokens = MW_TOKENS_UNKNOWN,
                       .status = 1,
                       .kind = 2};
    row.trace_id[0] = 1;
    memcpy(&row.trace_id[8], &request, sizeof request);
    memcpy(row.span_id, row.trace_id + 8, 4);
    memcpy(row.parent_span_id, row.trace_id + 8, 4);
    row.span_id[7] = id;
    row.parent_span_id[7] = parent;
    if (!parent)
        memset(row.parent_span_id, 0, sizeof row.parent_span_id);
    return row;
}

static void place(mw_span_row *row, int64_t start_ns, int64_t took_ns)
{
    row->start_ns = (uint64_t)start_ns;
    row->end_ns = (uint64_t)(start_ns + took_ns);
}

/* 5 spans; ids 1 entry, 2 its call of cart, 3 cart, 4 cart's query, 5 ads (called by 1). */
static size_t request_rows(mw_span_row *rows, unsigned request, const night *fault)
{
    int64_t start = T0 - (int64_t)(REQUESTS - request) * EVERY_NS;
    bool after = start >= ONSET;
    int64_t vary = (int64_t)(request % 7) * MS / 10;
    int64_t self = 5 * MS + vary + (after ? fault->self_ms * MS : 0);
    int64_t query = 3 * MS + (after ? fault->query_ms * MS : 0);
    self += query - 3 * MS;
    int64_t wire = 2 * MS + vary + (after ? fault->wire_ms * MS : 0);
    bool queries = !(after && fault->misses), fails = after && fault->fails && request % 2;
    size_t count = 0;
    rows[count] = span(request, 1, 0, "entry", "GET /");
    place(&rows[count++], start, self + wire + 20 * MS);
    rows[count] = span(request, 2, 1, "entry", "call cart");
    place(&rows[count++], start + MS, self + wire + 3 * MS);
    rows[count] = span(request, 3, 2, "cart", "GET /cart");
    place(&rows[count++], start + MS + wire / 2, self + 3 * MS);
    if (queries) {
        rows[count] = span(request, 4, 3, "cart", "SELECT items");
        rows[count].kind = 3;
        if (!fault->unnamed)
            rows[count].peer_service = MW_SLICE("cart-db");
        place(&rows[count++], start + 2 * MS + wire / 2, query);
    }
    rows[count] = span(request, 5, 1, "ads", "GET /ads");
    place(&rows[count++], start + MS, 4 * MS + vary);
    for (size_t i = 0; i < 3; i++)
        rows[i].status = fails ? 2 : 1;
    return count;
}

static void append_traffic(const night *fault)
{
    static mw_span_row rows[5 * REQUESTS];
    static mw_store_item items[5 * REQUESTS];
    size_t count = 0;
    for (unsigned i = 0; i < REQUESTS; i++)
        count += request_rows(&rows[count], i, fault);
    mw_store_batch batch = {
        .signal = MW_SIGNAL_TRACES, .items = items, .rows.spans = rows, .item_count = count};
    append(&batch);
    append(&batch); /* repeats count once */
}

/* A LogRecord with a body of one string. */
static mw_slice record_of(const char *text)
{
    size_t len = strlen(text);
    char *bytes = mw_arena_alloc(&arena, len + 4);
    assert_true(bytes && len < 120);
    bytes[0] = 0x2a; /* body */
    bytes[1] = (char)(len + 2);
    bytes[2] = 0x0a; /* string_value */
    bytes[3] = (char)len;
    memcpy(bytes + 4, text, len);
    return mw_slice_bytes(bytes, len + 4);
}

static void append_logs(const night *fault)
{
    static mw_log_row rows[REQUESTS];
    static mw_store_item items[REQUESTS];
    for (unsigned i = 0; i < REQUESTS; i++) {
        int64_t at = T0 - (int64_t)(REQUESTS - i) * EVERY_NS;
        bool bad = fault->logs && at >= ONSET && i % 2;
        char text[96];
        snprintf(text, sizeof text, bad ? "no row for item %u" : "item %u found", i * 37);
        rows[i] = (mw_log_row){
            .time_ns = (uint64_t)at, .severity = bad ? 17 : 9, .service = MW_SLICE("cart")};
        items[i] = (mw_store_item){.bytes = record_of(text)};
    }
    mw_store_batch batch = {
        .signal = MW_SIGNAL_LOGS, .items = items, .rows.logs = rows, .item_count = REQUESTS};
    append(&batch);
}

static void append_points(const night *fault)
{
    static mw_point_row rows[40];
    static mw_store_item items[40];
    static const mw_slice head = MW_SLICE_INIT("");
    for (unsigned i = 0; i < 40; i++) {
        int64_t at = T0 - (int64_t)(40 - i) * 30 * MW_NS_PER_S;
        double wobble = (double)(i % 3) / 100;
        rows[i] = (mw_point_row){.series = 7,
                                 .time_ns = (uint64_t)at,
                                 .kind = 1, /* gauge */
                                 .value = at >= ONSET ? 0.2 + fault->cpu : 0.2 + wobble,
                                 .name = MW_SLICE("process.cpu.utilization"),
                                 .unit = MW_SLICE("1"),
                                 .service = MW_SLICE("cart")};
    }
    mw_store_batch batch = {.signal = MW_SIGNAL_METRICS,
                            .metrics = &head,
                            .metric_count = 1,
                            .items = items,
                            .rows.points = rows,
                            .item_count = 40};
    append(&batch);
}

static void ask(const mw_provider *provider)
{
    context.said = MW_SLICE_NONE;
    assert_int_equal(provider->collect(&context), MW_OK);
}

/* Everything that is asked, in the order of a run. */
static void look(const night *fault)
{
    append_traffic(fault);
    append_logs(fault);
    append_points(fault);
    findings = mw_findings_new(&arena);
    assert_non_null(findings);
    context = (mw_context){.arena = &arena,
                           .entry = MW_SLICE("entry"),
                           .at_ns = T0,
                           .since_ns = T0 - 20 * MINUTE,
                           .until_ns = T0 + 5 * MINUTE,
                           .findings = findings};
    assert_int_equal(mw_store_view_open(store, &context.view), MW_OK);
    context.plan = mw_read_plan_make(context.view, context.since_ns, context.until_ns,
                                     &(mw_suspects){.count = 0});
    context.plan.points = context.plan.spans;
    if (share_ns) {
        context.plan.spans.period_ns = 10 * (uint64_t)MW_NS_PER_S;
        context.plan.spans.share_ns = share_ns;
    }
    assert_int_equal(mw_span_table_read(context.view, &context.plan.spans, &arena, &context.spans),
                     MW_OK);
    assert_int_equal(
        mw_point_table_read(context.view, &context.plan.points, &arena, &context.points), MW_OK);
    assert_int_equal(mw_log_table_read(context.view, &context.plan.logs, &arena, &context.logs),
                     MW_OK);
    ask(&mw_provider_call_edges);
    ask(&mw_provider_red_change);
    ask(&mw_provider_missing_calls);
    ask(&mw_provider_error_origin);
    ask(&mw_provider_log_templates);
    if (!context.onset_ns)
        context.onset_ns = ONSET;
    ask(&mw_provider_metric_changes);
    ask(&mw_provider_version_change);
}

/* Also behind a test that failed. */
static int tear_down_all(void **unused)
{
    if (context.view)
        mw_store_view_close(context.view);
    mw_span_table_fini(&context.spans);
    mw_point_table_fini(&context.points);
    memset(&context, 0, sizeof context);
    share_ns = 0;
    return tear_down(unused);
}

static void done(void)
{
    mw_span_table_fini(&context.spans);
    mw_point_table_fini(&context.points);
    mw_store_view_close(context.view);
    context.view = NULL;
}

static const mw_finding *finding_of(mw_finding_kind kind, const char *service)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].kind == kind &&
            mw_slice_equal(findings->items[i].service, mw_slice_of(service)))
            return &findings->items[i];
    return NULL;
}

static size_t count_kind(mw_finding_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++)
        count += findings->items[i].kind == kind;
    return count;
}

static void assert_onset(const mw_finding *finding)
{
    int64_t off = (int64_t)finding->first_ns - ONSET;
    if (off < -20 * MW_NS_PER_S || off > 20 * MW_NS_PER_S)
        fail_msg("the onset is %lld s off", (long long)(off / MW_NS_PER_S));
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void test_a_quiet_night(void **unused)
{
    (void)unused;
    const night nothing = {.wire_ms = 0};
    look(&nothing);
    assert_int_equal(context.spans.count, 5 * REQUESTS); /* repeats are left out */
    assert_int_equal(context.spans.seen, 10 * REQUESTS);
    assert_int_equal(context.spans.service_count, 3);
    assert_int_equal(context.logs.records, REQUESTS);
    assert_int_equal(context.logs.count, 1); /* numbers vary, the message is one */
    assert_slice(context.logs.kinds[0].text, "item * found");
    assert_int_equal(context.points.series_count, 1);
    assert_int_equal(findings->count, 0);
    assert_int_equal(findings->call_count, 2);
    done();
}

static void test_own_time_leaves_children_out(void **unused)
{
    (void)unused;
    const night nothing = {.wire_ms = 0};
    look(&nothing);
    for (size_t i = 0; i < context.spans.count; i++) {
        const mw_span_fact *row = &context.spans.rows[i];
        if (!mw_slice_equal(context.spans.operations[row->operation].name, MW_SLICE("GET /cart")))
            continue;
        assert_int_equal(row->children, 1);
        assert_int_equal(row->duration_ns - row->self_ns, 3 * MS);
    }
    done();
}

/* ---- providers ------------------------------------------------------------------------------- */

static void test_call_edges(void **unused)
{
    (void)unused;
    const night slow_wire = {.wire_ms = 80};
    look(&slow_wire);
    assert_int_equal(count_kind(MW_FOUND_WIRE), 1);
    const mw_finding *wire = finding_of(MW_FOUND_WIRE, "entry");
    assert_non_null(wire);
    assert_slice(wire->other, "cart");
    assert_true(wire->before < 5 && wire->after > 80 && wire->after < 90);
    assert_onset(wire);
    assert_int_equal(context.onset_ns, wire->first_ns);
    assert_string_equal(wire->evidence->kind, "edge");
    assert_true(mw_slice_starts(wire->evidence->query, MW_SLICE("midwatch trace show ")));
    assert_null(finding_of(MW_FOUND_SELF, "cart"));
    done();
}

static void test_red_change(void **unused)
{
    (void)unused;
    const night slow = {.self_ms = 60};
    look(&slow);
    assert_int_equal(count_kind(MW_FOUND_SELF), 1); /* its callers only wait */
    const mw_finding *self = finding_of(MW_FOUND_SELF, "cart");
    assert_non_null(self);
    assert_slice(self->other, "GET /cart");
    assert_onset(self);
    assert_int_equal(count_kind(MW_FOUND_WIRE), 0);
    done();
}

/* Who waits for a database is not busy: it is the database, if its name is known. */
static void test_waits_for_a_peer(void **unused)
{
    (void)unused;
    const night slow = {.query_ms = 60};
    look(&slow);
    assert_int_equal(count_kind(MW_FOUND_SELF), 1);
    const mw_finding *waits = finding_of(MW_FOUND_SELF, "cart");
    assert_non_null(waits);
    assert_true(waits->waits);
    assert_slice(waits->peer, "cart-db");
    assert_true(mw_slice_contains(waits->text, MW_SLICE("for an answer that no span tells of")));
    assert_slice(findings->calls[findings->call_count - 1].callee, "cart-db");
    done();
}

static void test_waits_for_nobody_known(void **unused)
{
    (void)unused;
    const night slow = {.query_ms = 60, .unnamed = true};
    look(&slow);
    const mw_finding *waits = finding_of(MW_FOUND_SELF, "cart");
    assert_non_null(waits);
    assert_true(waits->waits);
    assert_int_equal(waits->peer.len, 0);
    done();
}

/* Of half of all moments: the same is found, of about half of all traces, and it is said so. */
static void test_a_sample(void **unused)
{
    (void)unused;
    const night slow_wire = {.wire_ms = 80};
    share_ns = 5 * (uint64_t)MW_NS_PER_S;
    look(&slow_wire);
    assert_in_range(context.spans.count, 5 * REQUESTS / 3, 5 * REQUESTS * 2 / 3);
    assert_int_equal(context.spans.count % 5, 0); /* whole traces */
    assert_true(context.spans.one_in > 1.99 && context.spans.one_in < 2.01);
    const mw_finding *wire = finding_of(MW_FOUND_WIRE, "entry");
    assert_non_null(wire);
    assert_slice(wire->other, "cart");
    assert_onset(wire);
    assert_true(mw_slice_contains(wire->text, MW_SLICE("of a sample of one trace in 2")));
    done();
}

/* Log records are all there, requests are half: their share is that of all requests. */
static void test_errors_a_request_of_a_sample(void **unused)
{
    (void)unused;
    const night failing = {.logs = true};
    share_ns = 5 * (uint64_t)MW_NS_PER_S;
    look(&failing);
    const mw_finding *logs = finding_of(MW_FOUND_LOGS, "cart");
    assert_non_null(logs);
    assert_true(logs->after > 0.3 && logs->after < 0.7);
    done();
}

/* Whom calls lead to from the alarm, and who calls those. */
static void test_suspects(void **unused)
{
    (void)unused;
    const night nothing = {.wire_ms = 0};
    const mw_slice ads = MW_SLICE("ads"), peer = MW_SLICE("cart-db"), nobody = MW_SLICE("nobody");
    mw_suspects suspects;
    look(&nothing);
    context.begin_count = 1;
    context.begins = &ads;
    assert_int_equal(mw_suspects_find(&context, store, NULL, &suspects), MW_OK);
    assert_int_equal(suspects.count, 2); /* entry calls it; cart does not */
    assert_slice(suspects.services[0], "ads");
    assert_slice(suspects.services[1], "entry");
    assert_int_equal(suspects.spans, 3 * REQUESTS);
    context.begins = &peer;
    assert_int_equal(mw_suspects_find(&context, store, NULL, &suspects), MW_OK);
    assert_int_equal(suspects.count, 3); /* cart calls it, and entry calls cart */
    context.begins = &nobody;
    assert_int_equal(mw_suspects_find(&context, store, NULL, &suspects), MW_OK);
    assert_int_equal(suspects.count, 0); /* then it may be anybody */
    done();
}

static void test_missing_calls(void **unused)
{
    (void)unused;
    const night early = {.misses = true};
    look(&early);
    assert_int_equal(count_kind(MW_FOUND_MISSING), 1);
    const mw_finding *missing = finding_of(MW_FOUND_MISSING, "cart");
    assert_non_null(missing);
    assert_true(missing->strength > 8);
    assert_true(missing->before <= 0 && missing->after >= 1);
    assert_onset(missing);
    done();
}

static void test_error_origin(void **unused)
{
    (void)unused;
    const night failing = {.fails = true};
    look(&failing);
    assert_int_equal(count_kind(MW_FOUND_ERRORS), 1); /* entry passes the failure on */
    const mw_finding *errors = finding_of(MW_FOUND_ERRORS, "cart");
    assert_non_null(errors);
    assert_slice(errors->other, "GET /cart");
    assert_true(fabs(errors->after - 0.5) < 0.2);
    assert_onset(errors);
    assert_string_equal(errors->evidence->kind, "span");
    done();
}

static void test_log_templates(void **unused)
{
    (void)unused;
    const night noisy = {.logs = true};
    look(&noisy);
    const mw_finding *logs = finding_of(MW_FOUND_LOGS, "cart");
    assert_non_null(logs);
    assert_slice(logs->other, "no row for item *");
    assert_true(mw_slice_contains(logs->text, MW_SLICE("new is")));
    assert_onset(logs);
    assert_true(mw_slice_contains(logs->evidence->query, MW_SLICE("--service cart")));
    done();
}

static void test_metric_changes(void **unused)
{
    (void)unused;
    const night busy = {.cpu = 0.7};
    look(&busy);
    const mw_finding *cpu = finding_of(MW_FOUND_METRIC, "cart");
    assert_non_null(cpu);
    assert_int_equal(cpu->class_of, MW_CLASS_CPU);
    assert_true(fabs(cpu->after - 0.9) < 0.01);
    assert_string_equal(cpu->evidence->kind, "metric");
    done();
}

static void test_deployments(void **unused)
{
    (void)unused;
    const night nothing = {.wire_ms = 0};
    const mw_deployment_row row = {.id = MW_SLICE("abc"),
                                   .service = MW_SLICE("cart"),
                                   .version = MW_SLICE("2"),
                                   .previous_version = MW_SLICE("1"),
                                   .time_ns = ONSET - MINUTE};
    look(&nothing);
    ask(&mw_provider_deployments);
    assert_int_equal(findings->gap_count, 1);
    assert_int_equal(findings->gaps[0].code, MW_GAP_NO_DEPLOYMENTS);
    context.deployments = &row;
    context.deployment_count = 1;
    ask(&mw_provider_deployments);
    const mw_finding *deployment = finding_of(MW_FOUND_DEPLOYMENT, "cart");
    assert_non_null(deployment);
    assert_slice(deployment->evidence->deployment_id, "abc");
    assert_true(mw_slice_contains(deployment->text, MW_SLICE("after 1")));
    done();
}

/* ---- templates ------------------------------------------------------------------------------- */

static void test_templates(void **unused)
{
    (void)unused;
    static const struct {
        const char *body, *expected;
    } rows[] = {
        {"", ""},
        {"   ", ""},
        {"user 4711 logged in", "user * logged in"},
        {"took 12.5ms for 8a533bf9-bd12-4608-a8eb-606890982400", "took * for *"},
        {"2026-11-21T09:51:00.123Z TravelHandler#129 [id=99, name=x]",
         "* TravelHandler#129 id * name x"},
        {"a b c d e f g h i j k l", "a b c d e f g h i j"},
        {"cafe beef deadbeef", "cafe beef deadbeef"}, /* words, as they have no digit */
        {"\x01\x02 x", "x"},
    };
    char template[MW_TEMPLATE_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = mw_log_template(mw_slice_of(rows[i].body), template);
        assert_slice(mw_slice_bytes(template, len), rows[i].expected);
    }
    char longest[400];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(mw_log_template(mw_slice_bytes(longest, sizeof longest), template), 0);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_a_quiet_night),    WITH_STORE(test_own_time_leaves_children_out),
        WITH_STORE(test_call_edges),       WITH_STORE(test_red_change),
        WITH_STORE(test_missing_calls),    WITH_STORE(test_error_origin),
        WITH_STORE(test_log_templates),    WITH_STORE(test_metric_changes),
        WITH_STORE(test_waits_for_a_peer), WITH_STORE(test_waits_for_nobody_known),
        WITH_STORE(test_a_sample),         WITH_STORE(test_errors_a_request_of_a_sample),
        WITH_STORE(test_suspects),         WITH_STORE(test_deployments),
        cmocka_unit_test(test_templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
