/* The validating pass over log records: real captures in both encodings, and every rule of scan.h
 * broken on purpose. What all signals share is tested in test_scan.c. */
#include "proto/json.h"
#include "proto/scan.h"
#include "tests/otlp_capture.h"
#include "tests/unit/proto/scan_fixture.h"

/* ---- a sink that keeps what it sees --------------------------------------------------------- */

#define KEEP_MAX 256

typedef struct seen_all {
    mw_arena arena;
    int resources, scopes, logs;
    mw_scan_log log[KEEP_MAX];
    mw_found found[KEEP_MAX][2]; /* the first two */
    mw_slice service;            /* the resource's "service.name" */
    mw_err answer;               /* of the log call */
    mw_scan_result result;
} seen_all;

static mw_err see_resource(void *ctx, const mw_scan_resource *resource)
{
    seen_all *seen = ctx;
    seen->resources++;
    if (resource->found_count)
        seen->service = resource->found[0].value.bytes;
    return MW_OK;
}

static mw_err see_scope(void *ctx, const mw_scan_scope *scope)
{
    seen_all *seen = ctx;
    (void)scope;
    assert_true(seen->resources > 0);
    seen->scopes++;
    return MW_OK;
}

static mw_err see_log(void *ctx, const mw_scan_log *log)
{
    seen_all *seen = ctx;
    assert_true(seen->scopes > 0);
    if (seen->logs < KEEP_MAX) {
        seen->log[seen->logs] = *log;
        for (size_t i = 0; i < log->found_count && i < 2; i++)
            seen->found[seen->logs][i] = log->found[i];
    }
    seen->logs++;
    return seen->answer;
}

static const char *const key_names[] = {"session.id", "service.name", "n"};
static mw_keyset *keys;
static seen_all *the_seen; /* too large for a stack frame */

static mw_err scan(mw_slice body)
{
    seen_all *seen = the_seen;
    mw_arena_reset(&seen->arena);
    mw_err answer = seen->answer;
    memset(seen, 0, sizeof *seen);
    seen->answer = answer;
    mw_arena_init(&seen->arena, MW_MEM_INGEST, 0);
    mw_scan_sink sink = {.ctx = seen,
                         .arena = &seen->arena,
                         .resource = see_resource,
                         .scope = see_scope,
                         .log = see_log};
    return mw_scan_logs(body, keys, &sink, &seen->result);
}

static otlp_writer plain_log(const char *text)
{
    otlp_writer log = {0}, body = {0};
    put_fixed64(&log, 1, UINT64_C(1700000000000000000));
    put_number(&log, 2, 9);
    put_text(&body, 1, text);
    put_message(&log, 5, &body);
    return log;
}

/* ---- captures ------------------------------------------------------------------------------- */

static void check_id(const uint8_t *id, size_t size, bool has, const char *expected)
{
    char hex[40];
    mw_hex_encode(id, size, hex);
    assert_int_equal(has, *expected != '\0');
    if (has)
        assert_string_equal(hex, expected);
    else
        assert_true(mw_id_is_zero(id, size));
}

static void check_body(const mw_value *body, json_t *expected)
{
    static const struct {
        const char *name;
        mw_value_type type;
    } types[] = {{"string", MW_VALUE_STRING}, {"kvlist", MW_VALUE_KVLIST}, {"int", MW_VALUE_INT},
                 {"array", MW_VALUE_ARRAY},   {"empty", MW_VALUE_EMPTY},   {"bool", MW_VALUE_BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (json_object_get(expected, types[i].name))
            assert_int_equal(body->type, types[i].type);
    if (body->type == MW_VALUE_STRING)
        assert_slice(body->bytes, text_of(expected, "string"));
    if (body->type == MW_VALUE_KVLIST)
        assert_true(body->bytes.len > 0);
}

static void check_log(const mw_scan_log *log, json_t *expected)
{
    assert_int_equal(log->time_ns, strtoull(text_of(expected, "time"), NULL, 10));
    assert_int_equal(log->observed_ns, strtoull(text_of(expected, "observed"), NULL, 10));
    assert_int_equal(log->severity_number, count_of(expected, "severity_number"));
    assert_slice(log->severity_text, text_of(expected, "severity_text"));
    assert_slice(log->event_name, text_of(expected, "event_name"));
    assert_int_equal(log->flags, count_of(expected, "flags"));
    check_id(log->trace_id, 16, log->has_trace_id, text_of(expected, "trace_id"));
    check_id(log->span_id, 8, log->has_span_id, text_of(expected, "span_id"));
    assert_int_equal(log->attribute_count,
                     json_array_size(json_object_get(expected, "attributes")));
    assert_true(log->has_body);
    check_body(&log->body, json_object_get(expected, "body"));
    assert_false(log->bad_utf8);
}

/* Long lists keep the first and last three, in wire order. */
static size_t listed_index(size_t i, size_t listed, size_t total)
{
    if (listed == total)
        return i;
    return i < 3 ? i : total - (listed - i);
}

static void check_wire(mw_slice message, json_t *expected, const char *name)
{
    json_t *list = json_object_get(expected, "log_list");
    mw_err err = scan(message);
    if (err != MW_OK)
        fail_msg("%s: %s at %zu", name, mw_err_text(err), the_seen->result.error_offset);
    assert_int_equal(the_seen->logs, count_of(expected, "log_records"));
    assert_int_equal(the_seen->result.items, count_of(expected, "log_records"));
    assert_int_equal(the_seen->resources, count_of(expected, "resource_logs"));
    assert_int_equal(the_seen->scopes, count_of(expected, "scope_logs"));
    assert_int_equal(the_seen->result.refused_total, 0);
    assert_int_equal(the_seen->result.bad_utf8, 0);
    assert_true(the_seen->service.len > 0);
    size_t listed = json_array_size(list);
    assert_true(listed > 0);
    for (size_t i = 0; i < listed; i++)
        check_log(&the_seen->log[listed_index(i, listed, (size_t)the_seen->logs)],
                  json_array_get(list, i));
}

static void check_capture(otlp_capture *capture)
{
    check_wire(capture->message, json_object_get(capture->about, "expected"), capture->name);
}

static void check_json_capture(otlp_capture *capture)
{
    mw_buffer wire;
    mw_json_notes notes;
    mw_detail detail;
    mw_buffer_init(&wire, MW_MEM_INGEST, 1 << 20);
    assert_int_equal(mw_json_to_wire(capture->message, MW_JSON_LOGS, &wire, &notes, &detail),
                     MW_OK);
    check_wire(mw_buffer_slice(&wire), json_object_get(capture->about, "expected"), capture->name);
    mw_buffer_fini(&wire);
}

static void test_captures(void **state)
{
    (void)state;
    assert_int_equal(capture_each("logs-", check_capture), 7);
    assert_int_equal(capture_each_json("logs-", check_json_capture), 3);
}

static void test_structured_event(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("logs-event_structured-grpc-none");
    assert_int_equal(scan(capture.message), MW_OK);
    assert_int_equal(the_seen->log[0].body.type, MW_VALUE_KVLIST);
    assert_int_equal(the_seen->log[0].found_count, 1);
    assert_int_equal(the_seen->found[0][0].key, 0);
    assert_slice(the_seen->found[0][0].value.bytes, "sess-7f3a");
    assert_slice(the_seen->service, "triage-agent");
    capture_free(&capture);
}

/* Other signals never pass as log records: number 1 is a time here and bytes there. */
static void refuse_capture(otlp_capture *capture)
{
    mw_err err = scan(capture->message);
    if (err != MW_E_SYNTAX || !the_seen->result.wrong_type)
        fail_msg("%s was taken for log records", capture->name);
}

static void test_other_signals(void **state)
{
    (void)state;
    assert_true(capture_each("trace-", refuse_capture) > 4);
    assert_true(capture_each("metrics-", refuse_capture) > 4);
}

static void check_truncation(otlp_capture *capture)
{
    size_t step = capture->message.len > 4000 ? 61 : 1;
    for (size_t len = 1; len < capture->message.len; len += step) {
        char *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, capture->message.data, len);
        mw_err err = scan((mw_slice){copy, len});
        free(copy);
        if (err != MW_E_SYNTAX)
            fail_msg("%s cut at %zu: %s", capture->name, len, mw_err_text(err));
        assert_true(the_seen->result.error_offset <= len);
    }
}

static void test_truncation(void **state)
{
    (void)state;
    capture_each("logs-", check_truncation);
}

/* ---- records are kept whatever they say ------------------------------------------------------ */

static void test_ids(void **state)
{
    (void)state;
    static const uint8_t ones[32] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const uint8_t zeros[32];
    static const struct {
        size_t trace, span;
        bool zero, has_trace, has_span;
    } cases[] = {{16, 8, false, true, true},   {16, 0, false, true, false},
                 {0, 8, false, false, true},   {15, 7, false, false, false},
                 {17, 9, false, false, false}, {32, 16, false, false, false},
                 {16, 8, true, false, false},  {1, 1, false, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        otlp_writer log = plain_log("ids");
        put_bytes(&log, 9, cases[i].zero ? zeros : ones, cases[i].trace);
        put_bytes(&log, 10, cases[i].zero ? zeros : ones, cases[i].span);
        otlp_writer request = request_with(&log);
        assert_int_equal(scan_written(&request), MW_OK);
        assert_int_equal(the_seen->logs, 1);
        const mw_scan_log *got = &the_seen->log[0];
        assert_int_equal(got->has_trace_id, cases[i].has_trace);
        assert_int_equal(got->has_span_id, cases[i].has_span);
        assert_memory_equal(got->trace_id, cases[i].has_trace ? ones : zeros, 16);
        assert_memory_equal(got->span_id, cases[i].has_span ? ones : zeros, 8);
    }
}

/* An empty record, times of 0, unknown numbers: nothing to refuse. */
static void test_kept_as_sent(void **state)
{
    (void)state;
    otlp_writer log = {0}, request = request_with(&log);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->logs, 1);
    assert_int_equal(the_seen->log[0].time_ns, 0);
    assert_false(the_seen->log[0].has_body);
    assert_int_equal(the_seen->log[0].body.type, MW_VALUE_EMPTY);
    put_number(&log, 2, 99);
    put_fixed32(&log, 8, 0xffffff01);
    put_fixed64(&log, 11, UINT64_MAX);
    put_text(&log, 4, "the removed name");
    put_number(&log, 1000, 7);
    request = request_with(&log);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->log[0].severity_number, 99);
    assert_int_equal(the_seen->log[0].flags, 0xffffff01);
    assert_true(the_seen->log[0].observed_ns == UINT64_MAX);
}

static void test_last_wins(void **state)
{
    (void)state;
    otlp_writer log = plain_log("first"), body = {0};
    put_fixed64(&log, 1, 5);
    put_number(&log, 2, 17);
    put_text(&log, 3, "one");
    put_text(&log, 3, "two");
    put_text(&log, 12, "old.event");
    put_text(&log, 12, "new.event");
    put_text_attribute(&log, 6, "session.id", "one");
    put_int_attribute(&log, 6, "n", 7);
    put_text_attribute(&log, 6, "session.id", "two");
    put_number(&body, 3, 42);
    put_message(&log, 5, &body);
    otlp_writer request = request_with(&log);
    assert_int_equal(scan(written(&request)), MW_OK);
    const mw_scan_log *got = &the_seen->log[0];
    assert_int_equal(got->time_ns, 5);
    assert_int_equal(got->severity_number, 17);
    assert_slice(got->severity_text, "two");
    assert_slice(got->event_name, "new.event");
    assert_int_equal(got->body.type, MW_VALUE_INT);
    assert_int_equal(got->body.as.i, 42);
    assert_int_equal(got->attribute_count, 3);
    assert_int_equal(got->found_count, 2);
    assert_slice(the_seen->found[0][0].value.bytes, "two");
    assert_int_equal(the_seen->found[0][1].value.as.i, 7);
    free(request.data);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void test_body_types(void **state)
{
    (void)state;
    static const struct {
        mw_value_type type;
        uint32_t number, wire;
    } cases[] = {{MW_VALUE_STRING, 1, 2}, {MW_VALUE_BOOL, 2, 0},   {MW_VALUE_INT, 3, 0},
                 {MW_VALUE_DOUBLE, 4, 1}, {MW_VALUE_ARRAY, 5, 2},  {MW_VALUE_KVLIST, 6, 2},
                 {MW_VALUE_BYTES, 7, 2},  {MW_VALUE_EMPTY, 8, 0},  {MW_VALUE_EMPTY, 99, 0},
                 {MW_VALUE_STRING, 1, 5}, {MW_VALUE_DOUBLE, 4, 0}, {MW_VALUE_ARRAY, 5, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        otlp_writer log = {0}, body = {0};
        if (cases[i].wire == 2)
            put_bytes(&body, cases[i].number, NULL, 0);
        else if (cases[i].wire == 1)
            put_double(&body, cases[i].number, 1.5);
        else if (cases[i].wire == 5)
            put_fixed32(&body, cases[i].number, 1);
        else
            put_number(&body, cases[i].number, 1);
        put_message(&log, 5, &body);
        otlp_writer request = request_with(&log);
        bool good = i < 9;
        assert_int_equal(scan_written(&request), good ? MW_OK : MW_E_SYNTAX);
        assert_int_equal(the_seen->result.wrong_type, !good);
        if (!good)
            continue;
        assert_true(the_seen->log[0].has_body);
        assert_int_equal(the_seen->log[0].body.type, cases[i].type);
        if (cases[i].type == MW_VALUE_DOUBLE)
            assert_true(the_seen->log[0].body.as.d == 1.5);
    }
}

/* A body in two parts merges; two parts without a member protobuf-c cannot merge. */
static void test_body_parts(void **state)
{
    (void)state;
    static const struct {
        const char *parts;
        size_t len;
        mw_err expected;
    } cases[] = {{"\x2a\x02\x18\x05\x2a\x00", 6, MW_OK},
                 {"\x2a\x00\x2a\x02\x18\x05", 6, MW_OK},
                 {"\x2a\x00\x2a\x00", 4, MW_E_SYNTAX},
                 {"\x2a\x00\x2a\x02\x78\x01", 6, MW_E_SYNTAX},
                 {"\x2a\x02\x10\x01\x2a\x02\x18\x05", 8, MW_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        otlp_writer log = {0};
        put_raw(&log, cases[i].parts, cases[i].len);
        otlp_writer request = request_with(&log);
        assert_int_equal(scan_written(&request), cases[i].expected);
        if (cases[i].expected == MW_OK)
            assert_int_equal(the_seen->log[0].body.as.i, 5);
    }
}

/* ---- depth ----------------------------------------------------------------------------------- */

static mw_err scan_depth(unsigned levels, bool in_body)
{
    otlp_writer log = {0}, value = nested_value(levels);
    if (in_body)
        put_message(&log, 5, &value);
    else
        put_attribute(&log, 6, "n", &value);
    otlp_writer logs = {0}, good = plain_log("good");
    put_message(&logs, 2, &good);
    put_message(&logs, 2, &log);
    otlp_writer request = request_of(&logs);
    return scan_written(&request);
}

static void test_depth(void **state)
{
    (void)state;
    static const unsigned levels[] = {0, 1, 63, 64, 65, 66, 1000, 20000};
    for (size_t i = 0; i < 2 * sizeof levels / sizeof levels[0]; i++) {
        bool in_body = i % 2, kept = levels[i / 2] <= MW_OTLP_DEPTH_MAX;
        assert_int_equal(scan_depth(levels[i / 2], in_body), MW_OK);
        assert_int_equal(the_seen->logs, kept ? 2 : 1);
        assert_int_equal(the_seen->result.items, 2);
        assert_int_equal(the_seen->result.refused[MW_REFUSE_DEPTH], !kept);
        assert_int_equal(the_seen->result.refused_total, !kept);
        assert_int_equal(the_seen->result.too_deep, !kept);
        if (kept)
            continue;
        assert_int_equal(the_seen->result.first_refusal, MW_REFUSE_DEPTH);
        assert_string_equal(the_seen->result.first_path,
                            in_body ? "resource_logs[0].scope_logs[0].log_records[1].body"
                                    : "resource_logs[0].scope_logs[0].log_records[1].attributes");
    }
}

/* The deep value is in the resource or the scope: every record below goes with it. */
static void test_deep_context(void **state)
{
    (void)state;
    for (int in_scope = 0; in_scope < 2; in_scope++) {
        otlp_writer context = {0}, scope_logs = {0}, resource_logs = {0}, request = {0};
        otlp_writer value = nested_value(65), log = plain_log("a"), good = plain_log("b");
        put_attribute(&context, in_scope ? 3 : 1, "deep", &value);
        if (in_scope)
            put_message(&scope_logs, 1, &context);
        else
            put_message(&resource_logs, 1, &context);
        put_message(&scope_logs, 2, &log);
        put_message(&resource_logs, 2, &scope_logs);
        put_message(&request, 1, &resource_logs);
        otlp_writer next = request_with(&good);
        put_raw(&request, next.data, next.len);
        free(next.data);
        assert_int_equal(scan_written(&request), MW_OK);
        assert_int_equal(the_seen->logs, 1);
        assert_int_equal(the_seen->scopes, 1);
        assert_int_equal(the_seen->resources, in_scope ? 2 : 1);
        assert_int_equal(the_seen->result.refused[MW_REFUSE_DEPTH], 1);
        assert_string_equal(the_seen->result.first_path,
                            in_scope ? "resource_logs[0].scope_logs[0].scope.attributes"
                                     : "resource_logs[0].resource.attributes");
    }
}

static void test_depth_twice(void **state)
{
    (void)state;
    otlp_writer log = {0}, value = nested_value(65);
    put_attribute(&log, 6, "n", &value);
    value = nested_value(65);
    put_message(&log, 5, &value);
    otlp_writer request = request_with(&log);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->result.refused_total, 1);
    assert_string_equal(the_seen->result.first_path,
                        "resource_logs[0].scope_logs[0].log_records[0].attributes");
}

/* ---- text ------------------------------------------------------------------------------------ */

static void test_utf8(void **state)
{
    (void)state;
    for (int place = 0; place < 7; place++) {
        otlp_writer log = {0}, value = {0}, logs = {0},
                    good = plain_log("caf\xc3\xa9 \xe2\x82\xac");
        switch (place) {
        case 0: put_text(&log, 3, "bad \xff"); break;
        case 1: put_text(&log, 12, "bad \xff"); break;
        case 2: put_text_attribute(&log, 6, "k", "\xed\xa0\x80"); break;
        case 3: put_text_attribute(&log, 6, "k\xc0\x80", "v"); break;
        case 4:
            put_text(&value, 1, "\x80");
            put_message(&log, 5, &value);
            break;
        case 5: put_bytes(&log, 9, "\xff", 1); break; /* an id is no text */
        default:
            put_bytes(&value, 7, "\xff", 1); /* nor are bytes */
            put_message(&log, 5, &value);
        }
        put_message(&logs, 2, &good);
        put_message(&logs, 2, &log);
        otlp_writer request = request_of(&logs);
        assert_int_equal(scan_written(&request), MW_OK);
        assert_int_equal(the_seen->logs, 2);
        assert_false(the_seen->log[0].bad_utf8);
        assert_int_equal(the_seen->log[1].bad_utf8, place < 5);
        assert_int_equal(the_seen->result.bad_utf8, place < 5);
    }
}

/* Bad text in a resource or scope is counted with every record below, and ends with them. */
static void test_utf8_context(void **state)
{
    (void)state;
    for (int in_scope = 0; in_scope < 2; in_scope++) {
        otlp_writer context = {0}, scope_logs = {0}, resource_logs = {0}, request = {0};
        otlp_writer first = plain_log("a"), second = plain_log("b"), good = plain_log("c");
        put_text_attribute(&context, in_scope ? 3 : 1, "k", "bad \xff");
        put_message(in_scope ? &scope_logs : &resource_logs, 1, &context);
        put_message(&scope_logs, 2, &first);
        put_message(&scope_logs, 2, &second);
        put_message(&resource_logs, 2, &scope_logs);
        put_message(&request, 1, &resource_logs);
        otlp_writer next = request_with(&good);
        put_raw(&request, next.data, next.len);
        free(next.data);
        assert_int_equal(scan_written(&request), MW_OK);
        assert_int_equal(the_seen->result.bad_utf8, 2);
        assert_true(the_seen->log[0].bad_utf8 && the_seen->log[1].bad_utf8);
        assert_false(the_seen->log[2].bad_utf8);
    }
}

/* ---- wire format ----------------------------------------------------------------------------- */

static void test_wrong_types(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 13; number++) {
        otlp_writer log = plain_log("w");
        bool known = number != 4 && number != 13;
        if (number == 8)
            put_number(&log, number, 1);
        else
            put_fixed32(&log, number, 0);
        otlp_writer request = request_with(&log);
        assert_int_equal(scan_written(&request), known ? MW_E_SYNTAX : MW_OK);
        assert_int_equal(the_seen->result.wrong_type, known);
    }
}

/* Records before the scope, scopes before the resource. */
static void test_any_order(void **state)
{
    (void)state;
    otlp_writer log = plain_log("a"), scope = {0}, scope_logs = {0}, resource = {0};
    otlp_writer resource_logs = {0}, request = {0};
    put_message(&scope_logs, 2, &log);
    put_text(&scope, 1, "late");
    put_message(&scope_logs, 1, &scope);
    put_message(&resource_logs, 2, &scope_logs);
    put_text_attribute(&resource, 1, "service.name", "shop");
    put_message(&resource_logs, 1, &resource);
    put_message(&request, 1, &resource_logs);
    assert_int_equal(scan(written(&request)), MW_OK);
    assert_int_equal(the_seen->logs, 1);
    assert_slice(the_seen->service, "shop");
    free(request.data);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static mw_err scan_empty_logs(size_t count)
{
    otlp_writer scope_logs = {0}, resource_logs = {0}, request = {0};
    for (size_t i = 0; i < count; i++)
        put_raw(&scope_logs, "\x12\x00", 2);
    put_message(&resource_logs, 2, &scope_logs);
    put_message(&request, 1, &resource_logs);
    return scan_written(&request);
}

static void test_budget(void **state)
{
    (void)state;
    assert_int_equal(scan_empty_logs(MW_OTLP_ITEMS_MAX - 2), MW_OK);
    assert_int_equal(the_seen->logs, MW_OTLP_ITEMS_MAX - 2);
    assert_int_equal(scan_empty_logs(MW_OTLP_ITEMS_MAX - 1), MW_E_LIMIT);
    otlp_writer log = {0}, body = {0}, array = {0};
    for (size_t i = 0; i < MW_OTLP_ITEMS_MAX; i++)
        put_raw(&array, "\x0a\x00", 2);
    put_message(&body, 5, &array);
    put_message(&log, 5, &body);
    otlp_writer request = request_with(&log);
    assert_int_equal(scan_written(&request), MW_E_LIMIT);
}

static void test_sink_error(void **state)
{
    (void)state;
    otlp_writer logs = {0};
    for (int i = 0; i < 3; i++) {
        otlp_writer log = plain_log("s");
        put_message(&logs, 2, &log);
    }
    otlp_writer request = request_of(&logs);
    the_seen->answer = MW_E_NOMEM;
    assert_int_equal(scan_written(&request), MW_E_NOMEM);
    assert_int_equal(the_seen->logs, 1);
    the_seen->answer = MW_OK;
}

static void test_without_keys(void **state)
{
    (void)state;
    mw_keyset *before = keys;
    otlp_writer log = plain_log("k");
    put_text_attribute(&log, 6, "session.id", "one");
    otlp_writer request = request_with(&log);
    keys = NULL;
    assert_int_equal(scan_written(&request), MW_OK);
    keys = before;
    assert_int_equal(the_seen->log[0].found_count, 0);
    assert_int_equal(the_seen->log[0].attribute_count, 1);
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(scan(MW_SLICE_NONE), MW_OK);
    assert_int_equal(scan(MW_SLICE("\x0a\x02\x12\x00")), MW_OK);
    assert_int_equal(the_seen->scopes, 1);
    assert_int_equal(the_seen->result.items, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_captures),      cmocka_unit_test(test_structured_event),
        cmocka_unit_test(test_other_signals), cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_ids),           cmocka_unit_test(test_kept_as_sent),
        cmocka_unit_test(test_last_wins),     cmocka_unit_test(test_body_types),
        cmocka_unit_test(test_body_parts),    cmocka_unit_test(test_depth),
        cmocka_unit_test(test_deep_context),  cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_utf8_context),  cmocka_unit_test(test_depth_twice),
        cmocka_unit_test(test_wrong_types),   cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_budget),        cmocka_unit_test(test_sink_error),
        cmocka_unit_test(test_without_keys),  cmocka_unit_test(test_empty),
    };
    keys = mw_keyset_new(key_names, sizeof key_names / sizeof key_names[0]);
    the_seen = calloc(1, sizeof *the_seen);
    assert_non_null(the_seen);
    mw_arena_init(&the_seen->arena, MW_MEM_INGEST, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mw_arena_reset(&the_seen->arena);
    free(the_seen);
    mw_keyset_free(keys);
    return failed;
}
