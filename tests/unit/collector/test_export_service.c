/* The export services behind a net and a store of our own: each signal in each form, from the
 * request to what the store is given and the client is answered. */
#include "collector/collector.h"
#include "collector/export_int.h"
#include "tests/check.h"
#include "tests/otlp_capture.h"
#include "tests/otlp_writer.h"

/* ---- net ------------------------------------------------------------------------------------- */

static mw_response replied;
static char replied_body[8192];
static int replies;

mw_slice mw_request_header(const mw_request *request, mw_slice name, size_t *count)
{
    mw_slice found = MW_SLICE_NONE;
    size_t n = 0;
    for (size_t i = request->header_count; i-- > 0;)
        if (mw_slice_equal(request->headers[i].name, name)) {
            found = request->headers[i].value;
            n++;
        }
    if (count)
        *count = n;
    return found;
}

void mw_request_reply(mw_request *request, const mw_response *response)
{
    (void)request;
    replies++;
    replied = *response;
    assert_true(response->body.len <= sizeof replied_body);
    if (response->body.len)
        memcpy(replied_body, response->body.data, response->body.len);
    replied.body.data = replied_body;
}

static int deferrals;
static unsigned delays_ms[16];
static bool may_defer;

bool mw_request_defer(mw_request *request, int64_t now_ns, unsigned delay_ms)
{
    (void)request, (void)now_ns;
    if (!may_defer)
        return false;
    delays_ms[deferrals++ % 16] = delay_ms;
    return true;
}

/* ---- store ----------------------------------------------------------------------------------- */

static struct fake_store {
    mw_err answer;        /* of mw_store_append */
    mw_err second_answer; /* of a request's second one, unless `answer` fails */
    mw_store_done first_done;
    int appends;
    mw_signal signal;
    size_t items, metrics;
    char origin[128];
    uint64_t log_time_ns;
    mw_store_done done;
    void *ctx;
    mw_store *into, *keys_of; /* whose it was */
} store;

static uint8_t digest_key[MW_DIGEST_KEY_SIZE] = {3};

const uint8_t *mw_store_digest_key(const mw_store *of)
{
    store.keys_of = (mw_store *)(uintptr_t)of;
    return digest_key;
}

static unsigned backlog;

unsigned mw_store_backlog(mw_store *unused)
{
    (void)unused;
    return backlog;
}

uint64_t mw_store_disk_free(const mw_store *unused)
{
    (void)unused;
    return (uint64_t)3 << 19;
}

mw_err mw_store_append(mw_store *into, const mw_store_batch *batch, mw_store_done done, void *ctx)
{
    store.into = into;
    assert_true(batch->item_count > 0);
    assert_false(mw_id_is_zero(batch->digest, 16));
    store.appends++;
    store.signal = batch->signal;
    store.items = batch->item_count;
    store.metrics = batch->metric_count;
    mw_slice origin = batch->signal == MW_SIGNAL_LOGS      ? batch->rows.logs[0].origin
                      : batch->signal == MW_SIGNAL_METRICS ? batch->rows.points[0].origin
                                                           : batch->rows.spans[0].origin;
    store.log_time_ns = batch->signal == MW_SIGNAL_LOGS ? batch->rows.logs[0].time_ns : 0;
    snprintf(store.origin, sizeof store.origin, "%.*s", MW_SLICE_FMT(origin));
    if (store.appends == 1)
        store.first_done = done;
    store.done = done;
    store.ctx = ctx;
    return store.appends == 2 && store.answer == MW_OK ? store.second_answer : store.answer;
}

/* ---- one request ----------------------------------------------------------------------------- */

#define WALL_NS (INT64_C(1795246400) * MW_NS_PER_S)

static mw_fake_clock fake_clock;
static mw_collector *collector;
static mw_route routes[8];
static size_t route_count;
static mw_request request;

static const mw_route *route_of(bool grpc, const char *path)
{
    for (size_t i = 0; i < route_count; i++)
        if (routes[i].grpc == grpc && strcmp(routes[i].path, path) == 0)
            return &routes[i];
    fail_msg("no route %s", path);
    return NULL;
}

/* Hands the request to its route; the arena of the one before is freed. */
static void send(mw_signal signal, mw_answer_form form, mw_slice body, const mw_header *header)
{
    const mw_export_signal *of = mw_export_signal_of(signal);
    bool grpc = form == MW_FORM_GRPC;
    const mw_route *route = route_of(grpc, grpc ? of->grpc_path : of->http_path);
    static mw_header headers[2];
    headers[0] = (mw_header){MW_SLICE("content-type"), form == MW_FORM_JSON
                                                           ? MW_SLICE("application/json")
                                                           : MW_SLICE("application/x-protobuf")};
    if (header)
        headers[1] = *header;
    mw_arena_reset(&request.arena);
    request.framing = grpc ? MW_FRAMING_GRPC : MW_FRAMING_HTTP;
    request.headers = headers;
    request.header_count = header ? 2 : 1;
    request.body = body;
    request.own = NULL;
    request.route = route;
    replies = deferrals = 0;
    store.appends = 0;
    route->handler(route->ctx, &request);
}

static int start(void **state)
{
    (void)state;
    mw_fake_clock_init(&fake_clock, WALL_NS);
    mw_arena_init(&request.arena, MW_MEM_NET, 0);
    memset(&store, 0, sizeof store);
    backlog = 0;
    may_defer = false;
    assert_int_equal(mw_collector_new(NULL, &fake_clock.clock, 1 << 20, &collector), MW_OK);
    route_count = mw_collector_routes(collector, 5, routes, 8);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    mw_arena_reset(&request.arena);
    mw_collector_free(collector);
    request = (mw_request){0};
    return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_routes(void **state)
{
    (void)state;
    static const char *const paths[][2] = {
        {"/v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"},
        {"/v1/metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"},
        {"/v1/logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"}};
    assert_int_equal(route_count, 6);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(route_of(false, paths[i][0])->ports, MW_PORT_HTTP);
        assert_int_equal(route_of(true, paths[i][1])->ports, MW_PORT_GRPC);
    }
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(routes[i].method, "POST");
        assert_int_equal(routes[i].max_body, 1 << 20);
        assert_int_equal(routes[i].tag, 5);
    }
    assert_int_equal(mw_collector_routes(collector, 0, routes, 3), 3);
}

static const struct {
    mw_signal signal;
    const char *name;
    size_t items, metrics;
} captures[] = {{MW_SIGNAL_TRACES, "trace-agent_session", 3, 0},
                {MW_SIGNAL_METRICS, "metrics-counters_gauges", 8, 6},
                {MW_SIGNAL_LOGS, "logs-basic", 4, 0}};
static const struct {
    mw_answer_form form;
    const char *suffix, *empty, *content_type;
} forms[] = {{MW_FORM_GRPC, "-grpc-none", "", ""},
             {MW_FORM_PROTOBUF, "-http-protobuf-none", "", "application/x-protobuf"},
             {MW_FORM_JSON, "-http-json-none", "{}", "application/json"}};

/* Each signal in each form: the store gets the items, the answer waits for the store. */
static void test_all_forms(void **state)
{
    (void)state;
    for (size_t s = 0; s < 3; s++)
        for (size_t f = 0; f < 3; f++) {
            char name[128];
            snprintf(name, sizeof name, "%s%s", captures[s].name, forms[f].suffix);
            otlp_capture capture = capture_load(name);
            const mw_header group = {MW_SLICE("x-aws-log-group"), MW_SLICE("/aws/a")};
            send(captures[s].signal, forms[f].form, capture.message, &group);
            assert_int_equal(store.appends, 1);
            assert_int_equal(replies, 0);
            assert_int_equal(store.signal, captures[s].signal);
            assert_int_equal(store.items, captures[s].items);
            assert_int_equal(store.metrics, captures[s].metrics);
            assert_string_equal(store.origin, "x-aws-log-group=/aws/a");
            mw_counter counter = mw_export_signal_of(store.signal)->accepted;
            uint64_t before = mw_counter_value(counter);
            store.done(store.ctx, MW_OK, 1);
            assert_int_equal(replies, 1);
            assert_int_equal(replied.status, 200);
            assert_int_equal(replied.rpc_code, MW_RPC_OK);
            assert_slice(replied.body, forms[f].empty);
            assert_slice(replied.content_type, forms[f].content_type);
            assert_int_equal(mw_counter_value(counter), before + captures[s].items);
            /* A repeat is acknowledged and counts nothing. */
            send(captures[s].signal, forms[f].form, capture.message, &group);
            store.done(store.ctx, MW_OK, 0);
            assert_int_equal(replied.status, 200);
            assert_int_equal(mw_counter_value(counter), before + captures[s].items);
            capture_free(&capture);
        }
}

/* An empty request never sees the store; nor does one of which nothing is kept. */
static void test_nothing_to_store(void **state)
{
    (void)state;
    for (size_t s = 0; s < 3; s++)
        for (size_t f = 0; f < 3; f++) {
            mw_slice body = forms[f].form == MW_FORM_JSON ? MW_SLICE("{}") : MW_SLICE_NONE;
            send(captures[s].signal, forms[f].form, body, NULL);
            assert_int_equal(store.appends, 0);
            assert_int_equal(replies, 1);
            assert_int_equal(replied.status, 200);
            assert_slice(replied.body, forms[f].empty);
        }
    send(MW_SIGNAL_METRICS, MW_FORM_JSON,
         MW_SLICE("{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"m\","
                  "\"gauge\":{\"dataPoints\":[{\"asInt\":1}]}}]}]}]}"),
         NULL);
    assert_int_equal(store.appends, 0);
    assert_int_equal(replied.status, 400);
    assert_true(mw_slice_contains(replied.body, MW_SLICE("time_unix_nano 0")));
}

/* What the store says later or at once becomes the answer. */
static void test_store_errors(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("logs-basic-http-protobuf-none");
    static const struct {
        mw_err err;
        unsigned status;
    } rows[] = {{MW_E_BUSY, 503}, {MW_E_NOMEM, 503}, {MW_E_NO_SPACE, 503}, {MW_E_LIMIT, 413}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        store.answer = rows[i].err;
        send(MW_SIGNAL_LOGS, MW_FORM_PROTOBUF, capture.message, NULL);
        assert_int_equal(replies, 1);
        assert_int_equal(replied.status, rows[i].status);
        if (rows[i].err == MW_E_NO_SPACE)
            assert_true(mw_slice_contains(replied.body, MW_SLICE("is full (1.5 MiB free)")));
    }
    store.answer = MW_OK;
    send(MW_SIGNAL_LOGS, MW_FORM_PROTOBUF, capture.message, NULL);
    store.done(store.ctx, MW_E_IO, 0);
    assert_int_equal(replied.status, 503);
    /* After the client's deadline nothing is kept. */
    request.deadline_ns = mw_clock_mono_ns(&fake_clock.clock);
    send(MW_SIGNAL_LOGS, MW_FORM_GRPC, capture.message, NULL);
    assert_int_equal(store.appends, 0);
    assert_int_equal(replied.rpc_code, MW_RPC_DEADLINE_EXCEEDED);
    request.deadline_ns = 0;
    capture_free(&capture);
}

/* A record that measures something is two batches and one answer. */
static void test_measuring_record(void **state)
{
    (void)state;
    static const char body[] =
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":"
        "\"{\\\"_aws\\\":{\\\"Timestamp\\\":1763700000000,\\\"CloudWatchMetrics\\\":[{\\\"Metrics"
        "\\\":[{\\\"Name\\\":\\\"calls\\\"}]}]},\\\"calls\\\":2}\"}}]}]}]}";
    const mw_slice json = mw_slice_of(body);
    send(MW_SIGNAL_LOGS, MW_FORM_JSON, json, NULL);
    assert_int_equal(store.appends, 2);
    assert_int_equal(store.signal, MW_SIGNAL_LOGS);
    mw_store_done records = store.done, points = store.first_done;
    uint64_t counted = mw_counter_value(MW_COUNT_POINTS_EMF);
    points(store.ctx, MW_OK, 4);
    assert_int_equal(mw_counter_value(MW_COUNT_POINTS_EMF), counted + 1);
    assert_int_equal(replies, 0);
    records(store.ctx, MW_OK, 5);
    assert_int_equal(replies, 1);
    assert_int_equal(replied.status, 200);
    /* Either part's failure is the export's, told once both are done. */
    send(MW_SIGNAL_LOGS, MW_FORM_JSON, json, NULL);
    store.first_done(store.ctx, MW_E_IO, 0);
    assert_int_equal(replies, 0);
    store.done(store.ctx, MW_OK, 6);
    assert_int_equal(replied.status, 503);
    /* Neither what was not stored nor what was stored before is counted. */
    send(MW_SIGNAL_LOGS, MW_FORM_JSON, json, NULL);
    store.first_done(store.ctx, MW_OK, 0);
    store.done(store.ctx, MW_OK, 0);
    assert_int_equal(replied.status, 200);
    assert_int_equal(mw_counter_value(MW_COUNT_POINTS_EMF), counted + 1);
    /* The second batch does not get in: the answer waits for the first. */
    store.second_answer = MW_E_BUSY;
    send(MW_SIGNAL_LOGS, MW_FORM_JSON, json, NULL);
    assert_int_equal(store.appends, 2);
    assert_int_equal(replies, 0);
    store.first_done(store.ctx, MW_OK, 7);
    assert_int_equal(replies, 1);
    assert_int_equal(replied.status, 503);
    /* Nor does the first one: nothing was given away. */
    store.answer = MW_E_BUSY;
    send(MW_SIGNAL_LOGS, MW_FORM_JSON, json, NULL);
    assert_int_equal(store.appends, 1);
    assert_int_equal(replies, 1);
    assert_int_equal(replied.status, 503);
}

/* A record without any time is of its receipt. */
static void test_receipt(void **state)
{
    (void)state;
    mw_fake_clock_advance(&fake_clock, 77);
    send(MW_SIGNAL_LOGS, MW_FORM_JSON,
         MW_SLICE("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]}"), NULL);
    assert_int_equal(store.log_time_ns, WALL_NS + 77);
    store.done(store.ctx, MW_OK, 1);
    assert_slice(replied.body, "{}");
}

/* Warnings reach the sender: of times, of headers; and another signal's body is told so. */
static void test_words(void **state)
{
    (void)state;
    const mw_header bad = {MW_SLICE("x-aws-log-stream"), MW_SLICE("caf\xe9")};
    send(MW_SIGNAL_LOGS, MW_FORM_JSON,
         MW_SLICE("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":5}]}]}]}"),
         &bad);
    assert_string_equal(store.origin, "");
    store.done(store.ctx, MW_OK, 1);
    assert_slice(
        replied.body,
        "{\"partialSuccess\":{\"rejectedLogRecords\":\"0\",\"errorMessage\":\"1 log records "
        "have times that cannot be meant; kept as sent; first: resource_logs[0]."
        "scope_logs[0].log_records[0].time_unix_nano is seconds, milliseconds or "
        "microseconds, not nanoseconds; header left out: x-aws-log-stream (sent twice, "
        "over 512 bytes, or not printable ASCII)\"}}");
    otlp_capture capture = capture_load("metrics-histogram-http-protobuf-none");
    send(MW_SIGNAL_LOGS, MW_FORM_GRPC, capture.message, NULL);
    assert_int_equal(store.appends, 0);
    assert_true(mw_slice_contains(replied.rpc_message, MW_SLICE("is this a metrics request?")));
    capture_free(&capture);
}

/* ---- spaces ---------------------------------------------------------------------------------- */

static int held, chosen;
static mw_err choice;
static mw_store *const other_store = (mw_store *)(void *)&held;

static mw_err choose(void *ctx, const mw_request *asked, mw_export_target *out, mw_detail *detail)
{
    assert_ptr_equal(ctx, &chosen);
    assert_ptr_equal(asked, &request);
    chosen++;
    if (choice)
        return mw_detail_set(detail, choice, "x-midwatch-space", "make it", "no such space");
    held++;
    *out = (mw_export_target){other_store, &held, MW_SLICE("other")};
    return MW_OK;
}

static void release(void *ctx)
{
    assert_ptr_equal(ctx, &held);
    held--;
}

/* The export goes where it was told to, with that store's keys, and what was held is given back
 * once, whatever becomes of it. */
static void test_spaces(void **state)
{
    (void)state;
    const mw_collector_spaces spaces = {choose, release, &chosen};
    otlp_capture capture = capture_load("logs-basic-http-protobuf-none");
    held = chosen = 0;
    choice = MW_OK;
    mw_collector_use_spaces(collector, &spaces);
    send(MW_SIGNAL_LOGS, MW_FORM_PROTOBUF, capture.message, NULL);
    assert_int_equal(store.appends, 1);
    assert_ptr_equal(store.into, other_store);
    assert_ptr_equal(store.keys_of, other_store);
    assert_int_equal(held, 1);
    store.done(store.ctx, MW_OK, 1);
    assert_int_equal(replied.status, 200);
    assert_int_equal(held, 0);
    /* Refused by the store, empty, broken: */
    store.answer = MW_E_NO_SPACE;
    send(MW_SIGNAL_LOGS, MW_FORM_PROTOBUF, capture.message, NULL);
    store.answer = MW_OK;
    send(MW_SIGNAL_LOGS, MW_FORM_PROTOBUF, MW_SLICE_NONE, NULL);
    send(MW_SIGNAL_LOGS, MW_FORM_JSON, MW_SLICE("{"), NULL);
    assert_int_equal(replied.status, 400);
    assert_int_equal(held, 0);
    /* A request that waits holds nothing, and is asked again where to. */
    may_defer = true;
    store.answer = MW_E_BUSY;
    chosen = 0;
    send(MW_SIGNAL_LOGS, MW_FORM_GRPC, capture.message, NULL);
    assert_int_equal(deferrals, 1);
    assert_int_equal(held, 0);
    store.answer = MW_OK;
    request.route->handler(request.route->ctx, &request);
    assert_int_equal(chosen, 2);
    assert_int_equal(held, 1);
    store.done(store.ctx, MW_E_NOMEM, 0);
    assert_int_equal(deferrals, 2);
    assert_int_equal(held, 0);
    capture_free(&capture);
}

static void test_no_such_space(void **state)
{
    (void)state;
    const mw_collector_spaces spaces = {choose, release, &chosen};
    uint64_t before = mw_counter_value(MW_COUNT_EXPORTS_REFUSED_SPACE);
    held = 0;
    choice = MW_E_NOT_FOUND;
    mw_collector_use_spaces(collector, &spaces);
    send(MW_SIGNAL_TRACES, MW_FORM_JSON, MW_SLICE("{}"), NULL);
    assert_int_equal(store.appends, 0);
    assert_int_equal(replied.status, 400);
    assert_true(mw_slice_contains(replied.body, MW_SLICE("no such space; make it")));
    assert_true(mw_slice_contains(replied.body, MW_SLICE("x-midwatch-space")));
    send(MW_SIGNAL_TRACES, MW_FORM_GRPC, MW_SLICE_NONE, NULL);
    assert_int_equal(replied.rpc_code, MW_RPC_INVALID_ARGUMENT);
    assert_int_equal(mw_counter_value(MW_COUNT_EXPORTS_REFUSED_SPACE), before + 2);
    choice = MW_E_NOMEM;
    send(MW_SIGNAL_TRACES, MW_FORM_PROTOBUF, MW_SLICE_NONE, NULL);
    assert_int_equal(replied.status, 503);
    assert_int_equal(held, 0);
}

static void test_content_type(void **state)
{
    (void)state;
    const mw_route *route = route_of(false, "/v1/logs");
    static const mw_header header = {MW_SLICE_INIT("content-type"), MW_SLICE_INIT("text/plain")};
    request.framing = MW_FRAMING_HTTP;
    request.headers = &header;
    request.header_count = 1;
    replies = 0;
    route->handler(route->ctx, &request);
    assert_int_equal(replies, 1);
    assert_int_equal(replied.status, 415);
}

/* The net gives the request back. */
static void again(mw_signal signal)
{
    const mw_route *route = route_of(false, mw_export_signal_of(signal)->http_path);
    route->handler(route->ctx, &request);
}

/* What passes is waited for, with growing pauses; a full queue is asked before the work is done. */
static void test_tries_again(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("trace-agent_session-http-protobuf-none");
    may_defer = true;
    backlog = 100;
    send(MW_SIGNAL_TRACES, MW_FORM_PROTOBUF, capture.message, NULL);
    assert_int_equal(deferrals, 1);
    assert_int_equal(store.appends, 0);
    backlog = 0;
    store.answer = MW_E_NOMEM;
    for (int i = 2; i < 10; i++) {
        again(MW_SIGNAL_TRACES);
        assert_int_equal(deferrals, i);
        assert_true(delays_ms[i - 1] >= delays_ms[i - 2]);
    }
    assert_int_equal(delays_ms[0], 10);
    assert_int_equal(delays_ms[8], 160);
    assert_int_equal(replies, 0);
    store.answer = MW_OK;
    again(MW_SIGNAL_TRACES);
    assert_int_equal(replies, 0);
    store.done(store.ctx, MW_E_NOMEM, 0); /* the writer has no memory: once more */
    assert_int_equal(replies, 0);
    again(MW_SIGNAL_TRACES);
    store.done(store.ctx, MW_OK, 7);
    assert_int_equal(replies, 1);
    assert_int_equal(replied.status, 200);
    assert_int_equal(replied.body.len, 0);
    capture_free(&capture);
}

/* A disk that refuses is told at once, and a request whose time is up is answered. */
static void test_not_tried_again(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("trace-agent_session-http-protobuf-none");
    may_defer = true;
    store.answer = MW_E_NO_SPACE;
    send(MW_SIGNAL_TRACES, MW_FORM_PROTOBUF, capture.message, NULL);
    assert_int_equal(replied.status, 503);
    assert_int_equal(deferrals, 0);
    store.answer = MW_E_BUSY;
    send(MW_SIGNAL_TRACES, MW_FORM_PROTOBUF, capture.message, NULL);
    assert_int_equal(deferrals, 1);
    may_defer = false;
    again(MW_SIGNAL_TRACES);
    assert_int_equal(replies, 1);
    assert_int_equal(replied.status, 503);
    capture_free(&capture);
}

static mw_slice one_span(const char *service)
{
    static uint8_t id;
    static otlp_writer message; /* of the last call */
    otlp_writer resource = {0}, span = plain_span(++id, "s"), scope_spans = {0};
    otlp_writer resource_spans = {0};
    free(message.data);
    message = (otlp_writer){0};
    put_text_attribute(&resource, 1, "service.name", service);
    put_message(&scope_spans, 2, &span);
    put_message(&resource_spans, 1, &resource);
    put_message(&resource_spans, 2, &scope_spans);
    put_message(&message, 1, &resource_spans);
    return written(&message);
}

/* Under pressure the service that has sent most waits, and is refused in words of its own. */
static void test_own_share(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++)
        send(MW_SIGNAL_TRACES, MW_FORM_PROTOBUF, one_span("runaway"), NULL);
    for (int i = 0; i < 40; i++)
        send(MW_SIGNAL_TRACES, MW_FORM_PROTOBUF, one_span("quiet"), NULL);
    backlog = 60;
    send(MW_SIGNAL_TRACES, MW_FORM_PROTOBUF, one_span("quiet"), NULL);
    assert_int_equal(store.appends, 1);
    send(MW_SIGNAL_TRACES, MW_FORM_PROTOBUF, one_span("runaway"), NULL);
    assert_int_equal(store.appends, 0);
    assert_int_equal(replied.status, 503);
    assert_non_null(memmem(replied_body, replied.body.len, "more than its share", 19));
    may_defer = true;
    send(MW_SIGNAL_TRACES, MW_FORM_PROTOBUF, one_span("runaway"), NULL);
    assert_int_equal(deferrals, 1);
    backlog = 40;
    again(MW_SIGNAL_TRACES);
    assert_int_equal(store.appends, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_routes, start, stop),
        cmocka_unit_test_setup_teardown(test_all_forms, start, stop),
        cmocka_unit_test_setup_teardown(test_nothing_to_store, start, stop),
        cmocka_unit_test_setup_teardown(test_store_errors, start, stop),
        cmocka_unit_test_setup_teardown(test_measuring_record, start, stop),
        cmocka_unit_test_setup_teardown(test_tries_again, start, stop),
        cmocka_unit_test_setup_teardown(test_not_tried_again, start, stop),
        cmocka_unit_test_setup_teardown(test_own_share, start, stop),
        cmocka_unit_test_setup_teardown(test_receipt, start, stop),
        cmocka_unit_test_setup_teardown(test_words, start, stop),
        cmocka_unit_test_setup_teardown(test_spaces, start, stop),
        cmocka_unit_test_setup_teardown(test_no_such_space, start, stop),
        cmocka_unit_test_setup_teardown(test_content_type, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
