/* The validating pass: real captures, and every rule of scan.h broken on purpose. */
#include "proto/scan.h"
#include "tests/otlp_capture.h"
#include "tests/unit/proto/scan_fixture.h"

/* ---- a sink that keeps what it sees --------------------------------------------------------- */

#define KEEP_MAX 512

typedef struct seen_all {
    mw_arena arena;
    int resources, scopes, spans;
    uint64_t events, links;
    mw_scan_span span[KEEP_MAX];
    mw_found found[KEEP_MAX][4]; /* the first four */
    mw_scan_resource resource;   /* the last */
    mw_scan_scope scope;
    mw_found resource_found, scope_found;
    mw_err answer; /* of the span call */
    mw_scan_result result;
} seen_all;

static mw_err see_resource(void *ctx, const mw_scan_resource *resource)
{
    seen_all *seen = ctx;
    seen->resources++;
    seen->resource = *resource;
    if (resource->found_count)
        seen->resource_found = resource->found[0];
    return MW_OK;
}

static mw_err see_scope(void *ctx, const mw_scan_scope *scope)
{
    seen_all *seen = ctx;
    assert_true(seen->resources > 0);
    seen->scopes++;
    seen->scope = *scope;
    if (scope->found_count)
        seen->scope_found = scope->found[0];
    return MW_OK;
}

static mw_err see_span(void *ctx, const mw_scan_span *span)
{
    seen_all *seen = ctx;
    assert_true(seen->scopes > 0);
    seen->events += span->event_count;
    seen->links += span->link_count;
    if (seen->spans < KEEP_MAX) {
        seen->span[seen->spans] = *span;
        for (size_t i = 0; i < span->found_count && i < 4; i++)
            seen->found[seen->spans][i] = span->found[i];
    }
    seen->spans++;
    return seen->answer;
}

static const char *const key_names[] = {"session.id", "service.name", "n", "gen_ai.agent.name"};
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
                         .span = see_span};
    return mw_scan_traces(body, keys, &sink, &seen->result);
}

/* ---- captures ------------------------------------------------------------------------------- */

static void check_id(const uint8_t *id, size_t size, const char *expected)
{
    char hex[40];
    mw_hex_encode(id, size, hex);
    if (*expected)
        assert_string_equal(hex, expected);
    else
        assert_true(mw_id_is_zero(id, size));
}

static void check_span(const mw_scan_span *span, json_t *expected)
{
    check_id(span->trace_id, 16, text_of(expected, "trace_id"));
    check_id(span->span_id, 8, text_of(expected, "span_id"));
    check_id(span->parent_span_id, 8, text_of(expected, "parent_span_id"));
    assert_slice(span->name, text_of(expected, "name"));
    assert_slice(span->status_message, text_of(expected, "status_message"));
    assert_int_equal(span->kind, count_of(expected, "kind"));
    assert_int_equal(span->status_code, count_of(expected, "status_code"));
    assert_int_equal(span->start_ns, strtoull(text_of(expected, "start"), NULL, 10));
    assert_int_equal(span->end_ns, strtoull(text_of(expected, "end"), NULL, 10));
    json_t *events = json_object_get(expected, "events");
    bool exception = false;
    for (size_t i = 0; i < json_array_size(events); i++)
        exception |= strcmp(text_of(json_array_get(events, i), "name"), "exception") == 0;
    assert_int_equal(span->has_exception_event, exception);
    assert_int_equal(span->event_count, json_array_size(events));
    assert_int_equal(span->link_count, json_array_size(json_object_get(expected, "links")));
    assert_int_equal(span->attribute_count,
                     json_array_size(json_object_get(expected, "attributes")));
    assert_false(span->bad_utf8);
}

/* Long lists keep the first and last three. */
static void check_capture(otlp_capture *capture)
{
    json_t *expected = json_object_get(capture->about, "expected");
    json_t *list = json_object_get(expected, "span_list");
    mw_err err = scan(capture->message);
    if (err != MW_OK)
        fail_msg("%s: %s at %zu", capture->name, mw_err_text(err), the_seen->result.error_offset);
    assert_int_equal(the_seen->spans, count_of(expected, "spans"));
    assert_int_equal(the_seen->result.items, count_of(expected, "spans"));
    assert_int_equal(the_seen->resources, count_of(expected, "resource_spans"));
    assert_int_equal(the_seen->scopes, count_of(expected, "scope_spans"));
    assert_int_equal(the_seen->events, count_of(expected, "events"));
    assert_int_equal(the_seen->links, count_of(expected, "links"));
    assert_int_equal(the_seen->result.refused_total, 0);
    assert_int_equal(the_seen->result.bad_utf8, 0);
    size_t listed = json_array_size(list);
    assert_true(listed > 0);
    for (size_t i = 0; i < listed; i++) {
        size_t at = i < (listed + 1) / 2 ? i : (size_t)the_seen->spans - (listed - i);
        check_span(&the_seen->span[at], json_array_get(list, i));
    }
}

static void test_captures(void **state)
{
    (void)state;
    assert_int_equal(capture_each("trace-", check_capture), 7);
}

static void test_agent_session(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("trace-agent_session-grpc-none");
    assert_int_equal(scan(capture.message), MW_OK);
    assert_slice(the_seen->resource.schema_url, "https://opentelemetry.io/schemas/1.37.0");
    assert_int_equal(the_seen->resource_found.key, 1);
    assert_slice(the_seen->resource_found.value.bytes, "triage-agent");
    assert_int_equal(the_seen->span[2].found_count, 2);
    assert_int_equal(the_seen->found[2][0].key, 0);
    assert_slice(the_seen->found[2][0].value.bytes, "sess-7f3a");
    assert_int_equal(the_seen->found[2][1].key, 3);
    assert_true(the_seen->span[1].has_exception_event);
    capture_free(&capture);
}

static void test_synthetic(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("synthetic/trace-unknown_fields-protobuf");
    assert_int_equal(scan(capture.message), MW_OK);
    assert_int_equal(the_seen->spans, 2);
    json_t *list = json_object_get(json_object_get(capture.about, "expected"), "span_list");
    check_span(&the_seen->span[0], json_array_get(list, 0));
    check_span(&the_seen->span[1], json_array_get(list, 1));
    capture_free(&capture);
    capture = capture_load("synthetic/trace-unknown_group-protobuf");
    assert_int_equal(scan(capture.message), MW_E_SYNTAX);
    capture_free(&capture);
}

/* Other signals must not pass as spans. */
static void refuse_capture(otlp_capture *capture)
{
    mw_err err = scan(capture->message);
    if (err == MW_OK && the_seen->result.refused_total != the_seen->result.items)
        fail_msg("%s was taken for spans", capture->name);
    if (err == MW_E_SYNTAX)
        assert_true(the_seen->result.wrong_type);
}

static void test_other_signals(void **state)
{
    (void)state;
    assert_true(capture_each("logs-", refuse_capture) > 4);
    assert_true(capture_each("metrics-", refuse_capture) > 4);
}

/* A cut anywhere is an error or leaves whole messages behind. */
static void check_truncation(otlp_capture *capture)
{
    size_t step = capture->message.len > 4000 ? 61 : 1;
    for (size_t len = 0; len < capture->message.len; len += step) {
        char *copy = malloc(len ? len : 1);
        assert_non_null(copy);
        memcpy(copy, capture->message.data, len);
        mw_err err = scan((mw_slice){copy, len});
        free(copy);
        if (len == 0)
            assert_int_equal(err, MW_OK);
        else if (err != MW_E_SYNTAX)
            fail_msg("%s cut at %zu: %s", capture->name, len, mw_err_text(err));
        assert_true(the_seen->result.error_offset <= len);
    }
}

static void test_truncation(void **state)
{
    (void)state;
    capture_each("trace-", check_truncation);
}

/* ---- rules by item -------------------------------------------------------------------------- */

typedef struct id_case {
    size_t trace, span, parent; /* lengths */
    bool zero_trace, zero_span;
    mw_refusal refusal;
    const char *field;
} id_case;

static const id_case id_cases[] = {
    {16, 8, 0, false, false, MW_REFUSE_NONE, ""},
    {16, 8, 8, false, false, MW_REFUSE_NONE, ""},
    {15, 8, 0, false, false, MW_REFUSE_TRACE_ID, "trace_id"},
    {17, 8, 0, false, false, MW_REFUSE_TRACE_ID, "trace_id"},
    {0, 8, 0, false, false, MW_REFUSE_TRACE_ID, "trace_id"},
    {32, 16, 0, false, false, MW_REFUSE_TRACE_ID, "trace_id"},
    {16, 8, 0, true, false, MW_REFUSE_TRACE_ID, "trace_id"},
    {16, 7, 0, false, false, MW_REFUSE_SPAN_ID, "span_id"},
    {16, 0, 0, false, false, MW_REFUSE_SPAN_ID, "span_id"},
    {16, 8, 0, false, true, MW_REFUSE_SPAN_ID, "span_id"},
    {16, 8, 7, false, false, MW_REFUSE_PARENT_ID, "parent_span_id"},
    {16, 8, 16, false, false, MW_REFUSE_PARENT_ID, "parent_span_id"},
};

static void test_ids(void **state)
{
    (void)state;
    static const uint8_t ones[32] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const uint8_t zeros[32];
    for (size_t i = 0; i < sizeof id_cases / sizeof id_cases[0]; i++) {
        const id_case *c = &id_cases[i];
        otlp_writer spans = {0}, good = plain_span(1, "good"), bad = {0};
        put_bytes(&bad, 1, c->zero_trace ? zeros : ones, c->trace);
        put_bytes(&bad, 2, c->zero_span ? zeros : ones, c->span);
        put_bytes(&bad, 4, ones, c->parent);
        put_message(&spans, 2, &good);
        put_message(&spans, 2, &bad);
        otlp_writer request = request_of(&spans);
        assert_int_equal(scan_written(&request), MW_OK);
        const mw_scan_result *result = &the_seen->result;
        bool refused = c->refusal != MW_REFUSE_NONE;
        assert_int_equal(result->items, 2);
        assert_int_equal(the_seen->spans, refused ? 1 : 2);
        assert_int_equal(result->refused_total, refused);
        assert_int_equal(result->first_refusal, c->refusal);
        assert_int_equal(result->refused[c->refusal], refused);
        char path[128] = "";
        if (refused)
            snprintf(path, sizeof path, "resource_spans[0].scope_spans[0].spans[1].%s", c->field);
        assert_string_equal(result->first_path, path);
    }
}

static mw_err scan_depth(unsigned levels)
{
    otlp_writer span = plain_span(1, "deep"), value = nested_value(levels);
    put_attribute(&span, 9, "n", &value);
    otlp_writer request = request_with(&span);
    return scan_written(&request);
}

static void test_depth(void **state)
{
    (void)state;
    static const unsigned kept[] = {0, 1, 2, 63, 64};
    static const unsigned refused[] = {65, 66, 1000, 20000};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        assert_int_equal(scan_depth(kept[i]), MW_OK);
        assert_int_equal(the_seen->spans, 1);
        assert_int_equal(the_seen->span[0].found_count, 1);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(scan_depth(refused[i]), MW_OK);
        assert_int_equal(the_seen->spans, 0);
        assert_int_equal(the_seen->result.refused[MW_REFUSE_DEPTH], 1);
        assert_true(the_seen->result.too_deep);
        assert_string_equal(the_seen->result.first_path,
                            "resource_spans[0].scope_spans[0].spans[0].attributes");
    }
}

/* Depth counts again behind a deep value; the level above is left properly. */
static void test_depth_beside(void **state)
{
    (void)state;
    otlp_writer span = plain_span(1, "wide"), list = {0}, value = {0};
    for (int i = 0; i < 3; i++) {
        otlp_writer element = nested_value(63);
        put_message(&list, 1, &element);
    }
    put_message(&value, 5, &list);
    put_attribute(&span, 9, "n", &value);
    otlp_writer request = request_with(&span);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->spans, 1);
}

static void test_deep_resource(void **state)
{
    (void)state;
    otlp_writer resource = {0}, scope_spans = {0}, resource_spans = {0}, request = {0};
    otlp_writer span = plain_span(1, "a"), value = nested_value(65), good = plain_span(2, "b");
    put_attribute(&resource, 1, "deep", &value);
    put_message(&scope_spans, 2, &span);
    put_message(&resource_spans, 1, &resource);
    put_message(&resource_spans, 2, &scope_spans);
    put_message(&request, 1, &resource_spans);
    otlp_writer next = request_with(&good);
    put_raw(&request, next.data, next.len);
    free(next.data);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->resources, 1);
    assert_int_equal(the_seen->spans, 1);
    assert_int_equal(the_seen->result.refused[MW_REFUSE_DEPTH], 1);
    assert_string_equal(the_seen->result.first_path, "resource_spans[0].resource.attributes");
}

static void test_deep_scope(void **state)
{
    (void)state;
    otlp_writer scope = {0}, scope_spans = {0}, resource_spans = {0}, request = {0};
    otlp_writer value = nested_value(65), span = plain_span(1, "a"), empty = {0};
    put_attribute(&scope, 3, "deep", &value);
    put_message(&scope_spans, 1, &scope);
    put_message(&scope_spans, 2, &span);
    put_message(&resource_spans, 2, &empty);
    put_message(&resource_spans, 2, &scope_spans);
    put_message(&request, 1, &resource_spans);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->scopes, 1);
    assert_string_equal(the_seen->result.first_path,
                        "resource_spans[0].scope_spans[1].scope.attributes");
}

static void test_utf8(void **state)
{
    (void)state;
    otlp_writer spans = {0};
    static const char *const names[] = {"plain", "caf\xc3\xa9", "bad \xff", "cut \xe2\x82"};
    for (uint8_t i = 0; i < 4; i++) {
        otlp_writer span = plain_span((uint8_t)(i + 1), names[i]);
        put_message(&spans, 2, &span);
    }
    otlp_writer attribute = plain_span(5, "a"), key = plain_span(6, "b");
    put_text_attribute(&attribute, 9, "session.id", "\xc0\x80 and longer than thirty-two bytes");
    put_text_attribute(&key, 9, "k\xff", "v");
    put_message(&spans, 2, &attribute);
    put_message(&spans, 2, &key);
    otlp_writer request = request_of(&spans);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->spans, 6);
    assert_int_equal(the_seen->result.bad_utf8, 4);
    static const bool bad[] = {false, false, true, true, true, true};
    for (int i = 0; i < 6; i++)
        assert_int_equal(the_seen->span[i].bad_utf8, bad[i]);
}

/* Bad text in a resource or scope is counted with every span below, and ends with them. */
static void test_utf8_context(void **state)
{
    (void)state;
    for (int in_scope = 0; in_scope < 2; in_scope++) {
        otlp_writer context = {0}, scope_spans = {0}, resource_spans = {0}, request = {0};
        otlp_writer first = plain_span(1, "a"), second = plain_span(2, "b");
        otlp_writer good = plain_span(3, "c");
        put_text_attribute(&context, in_scope ? 3 : 1, "k", "bad \xff");
        put_message(in_scope ? &scope_spans : &resource_spans, 1, &context);
        put_message(&scope_spans, 2, &first);
        put_message(&scope_spans, 2, &second);
        put_message(&resource_spans, 2, &scope_spans);
        put_message(&request, 1, &resource_spans);
        otlp_writer next = request_with(&good);
        put_raw(&request, next.data, next.len);
        free(next.data);
        assert_int_equal(scan_written(&request), MW_OK);
        assert_int_equal(the_seen->result.bad_utf8, 2);
        assert_true(the_seen->span[0].bad_utf8 && the_seen->span[1].bad_utf8);
        assert_false(the_seen->span[2].bad_utf8);
    }
}

/* Strings of every length around the fast path, bad in every position. */
static void test_utf8_positions(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 40; len++) {
        for (size_t at = 0; at < len; at++) {
            char name[41] = {0};
            memset(name, 'x', len);
            name[at] = (char)0x80;
            otlp_writer span = plain_span(1, name);
            otlp_writer request = request_with(&span);
            assert_int_equal(scan_written(&request), MW_OK);
            if (the_seen->result.bad_utf8 != 1)
                fail_msg("byte %zu of %zu not seen", at, len);
        }
    }
}

/* ---- protobuf's freedoms --------------------------------------------------------------------- */

static void test_last_wins(void **state)
{
    (void)state;
    otlp_writer span = plain_span(1, "first"), status = {0};
    put_text(&span, 5, "second");
    put_number(&span, 6, 99);
    put_number(&status, 3, 2);
    put_message(&span, 15, &status);
    put_text(&status, 2, "split");
    put_message(&span, 15, &status);
    put_text_attribute(&span, 9, "session.id", "one");
    put_int_attribute(&span, 9, "n", 7);
    put_text_attribute(&span, 9, "session.id", "two");
    otlp_writer request = request_with(&span);
    assert_int_equal(scan(written(&request)), MW_OK);
    const mw_scan_span *got = &the_seen->span[0];
    assert_slice(got->name, "second");
    assert_int_equal(got->kind, 99);
    assert_int_equal(got->status_code, 2);
    assert_slice(got->status_message, "split");
    assert_int_equal(got->attribute_count, 3);
    assert_int_equal(got->found_count, 2);
    assert_slice(the_seen->found[0][0].value.bytes, "two");
    assert_int_equal(the_seen->found[0][1].value.as.i, 7);
    free(request.data);
}

/* Spans before the scope, scopes before the resource, the resource in two parts. */
static void test_any_order(void **state)
{
    (void)state;
    otlp_writer span = plain_span(1, "a"), scope = {0}, scope_spans = {0}, part = {0};
    otlp_writer resource_spans = {0}, request = {0};
    put_message(&scope_spans, 2, &span);
    put_text(&scope, 1, "late");
    put_text_attribute(&scope, 3, "gen_ai.agent.name", "planner");
    put_message(&scope_spans, 1, &scope);
    put_message(&resource_spans, 2, &scope_spans);
    put_text_attribute(&part, 1, "service.name", "shop");
    put_message(&resource_spans, 1, &part);
    put_text(&resource_spans, 3, "url");
    put_text_attribute(&part, 1, "zone", "a");
    put_message(&resource_spans, 1, &part);
    put_message(&request, 1, &resource_spans);
    assert_int_equal(scan(written(&request)), MW_OK);
    assert_int_equal(the_seen->spans, 1);
    assert_slice(the_seen->resource_found.value.bytes, "shop");
    assert_slice(the_seen->scope_found.value.bytes, "planner");
    assert_slice(the_seen->resource.schema_url, "url");
    otlp_writer merged = {0};
    put_text_attribute(&merged, 1, "service.name", "shop");
    put_text_attribute(&merged, 1, "zone", "a");
    assert_true(mw_slice_equal(the_seen->resource.bytes, written(&merged)));
    free(merged.data);

    mw_scan_sink sink = {
        .ctx = the_seen, .resource = see_resource, .scope = see_scope, .span = see_span};
    mw_scan_result result;
    assert_int_equal(mw_scan_traces(written(&request), keys, &sink, &result), MW_E_UNSUPPORTED);
    free(request.data);
}

typedef struct value_case {
    mw_value_type type;
    uint32_t number, wire;
} value_case;

static void test_values(void **state)
{
    (void)state;
    static const value_case cases[] = {
        {MW_VALUE_STRING, 1, 2}, {MW_VALUE_BOOL, 2, 0},  {MW_VALUE_INT, 3, 0},
        {MW_VALUE_DOUBLE, 4, 1}, {MW_VALUE_ARRAY, 5, 2}, {MW_VALUE_KVLIST, 6, 2},
        {MW_VALUE_BYTES, 7, 2},  {MW_VALUE_EMPTY, 8, 0}, {MW_VALUE_EMPTY, 100, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        otlp_writer span = plain_span(1, "v"), value = {0};
        if (cases[i].wire == 2)
            put_bytes(&value, cases[i].number, NULL, 0);
        else if (cases[i].wire == 1)
            put_fixed64(&value, cases[i].number, UINT64_C(0x3ff8000000000000));
        else
            put_number(&value, cases[i].number, 1);
        put_attribute(&span, 9, "n", &value);
        otlp_writer request = request_with(&span);
        assert_int_equal(scan_written(&request), MW_OK);
        const mw_value *got = &the_seen->found[0][0].value;
        assert_int_equal(got->type, cases[i].type);
        if (got->type == MW_VALUE_DOUBLE)
            assert_true(got->as.d == 1.5);
        if (got->type == MW_VALUE_BOOL)
            assert_true(got->as.b);
    }
}

/* A known number of each message with another wire type refuses the request. */
static void test_wrong_types(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 17; number++) {
        otlp_writer span = plain_span(1, "w");
        bool fixed32 = number == 16;
        if (fixed32)
            put_number(&span, number, 1);
        else {
            put_tag(&span, number, 5);
            put_raw(&span, "\0\0\0\0", 4);
        }
        otlp_writer request = request_with(&span);
        mw_err err = scan_written(&request);
        assert_int_equal(err, number == 17 ? MW_OK : MW_E_SYNTAX);
        assert_int_equal(the_seen->result.wrong_type, number != 17);
    }
}

/* Garbage inside a nested value refuses the request as well, wherever it lies. */
static void test_nested_garbage(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x0a\x05x", "\x0b", "\x08\x01", "\x0a\x02\x0a\x05"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        otlp_writer span = plain_span(1, "g"), value = {0}, array = {0};
        put_text(&array, 1, "");
        put_raw(&array, bad[i], strlen(bad[i]));
        put_message(&value, 5, &array);
        put_attribute(&span, 9, "any", &value);
        otlp_writer request = request_with(&span);
        assert_int_equal(scan_written(&request), MW_E_SYNTAX);
        assert_true(the_seen->result.error_offset > 60);
    }
}

/* Values in parts merge; two parts without a member are the one thing protobuf-c cannot. */
static void test_value_parts(void **state)
{
    (void)state;
    static const struct {
        const char *pair;
        size_t len;
        mw_err expected;
    } cases[] = {
        {"\x12\x02\x18\x05\x12\x00", 6, MW_OK},
        {"\x12\x00\x12\x02\x18\x05", 6, MW_OK},
        {"\x12\x00\x12\x00", 4, MW_E_SYNTAX},
        {"\x12\x02\x78\x01\x12\x00", 6, MW_E_SYNTAX},
        {"\x12\x02\x18\x05\x12\x02\x10\x01", 8, MW_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int nested = 0; nested < 2; nested++) {
            otlp_writer span = plain_span(1, "p"), pair = {0}, list = {0}, value = {0};
            put_raw(&pair, cases[i].pair, cases[i].len);
            if (nested) {
                put_message(&list, 1, &pair);
                put_message(&value, 6, &list);
                put_attribute(&span, 9, "n", &value);
            } else {
                put_text(&pair, 1, "n");
                put_message(&span, 9, &pair);
            }
            otlp_writer request = request_with(&span);
            assert_int_equal(scan_written(&request), cases[i].expected);
            if (cases[i].expected == MW_OK)
                assert_int_equal(the_seen->span[0].found_count, 1);
        }
    }
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static mw_err scan_empty_spans(size_t count)
{
    otlp_writer spans = {0};
    for (size_t i = 0; i < count; i++)
        put_raw(&spans, "\x12\x00", 2);
    otlp_writer request = {0}, scope_spans = {0};
    put_message(&scope_spans, 2, &spans);
    put_message(&request, 1, &scope_spans);
    return scan_written(&request);
}

static void test_budget(void **state)
{
    (void)state;
    assert_int_equal(scan_empty_spans(MW_OTLP_ITEMS_MAX - 2), MW_OK);
    assert_int_equal(the_seen->result.refused[MW_REFUSE_TRACE_ID], MW_OTLP_ITEMS_MAX - 2);
    assert_int_equal(scan_empty_spans(MW_OTLP_ITEMS_MAX - 1), MW_E_LIMIT);
    otlp_writer span = plain_span(1, "wide"), value = {0}, array = {0};
    for (size_t i = 0; i < MW_OTLP_ITEMS_MAX; i++)
        put_raw(&array, "\x0a\x00", 2);
    put_message(&value, 5, &array);
    put_attribute(&span, 9, "any", &value);
    otlp_writer request = request_with(&span);
    assert_int_equal(scan_written(&request), MW_E_LIMIT);
}

static void test_sink_error(void **state)
{
    (void)state;
    otlp_writer spans = {0};
    for (uint8_t i = 1; i < 4; i++) {
        otlp_writer span = plain_span(i, "s");
        put_message(&spans, 2, &span);
    }
    otlp_writer request = request_of(&spans);
    the_seen->answer = MW_E_NOMEM;
    assert_int_equal(scan_written(&request), MW_E_NOMEM);
    assert_int_equal(the_seen->spans, 1);
    the_seen->answer = MW_OK;
}

static void test_found_limit(void **state)
{
    (void)state;
    char names[MW_FOUND_MAX + 6][16];
    const char *pointers[MW_FOUND_MAX + 6];
    otlp_writer span = plain_span(1, "many");
    for (int i = 0; i < MW_FOUND_MAX + 6; i++) {
        snprintf(names[i], sizeof names[i], "key.%d", i);
        pointers[i] = names[i];
        put_int_attribute(&span, 9, names[i], i);
    }
    put_int_attribute(&span, 9, "key.3", 333);
    otlp_writer request = request_with(&span);
    mw_keyset *before = keys;
    keys = mw_keyset_new(pointers, MW_FOUND_MAX + 6);
    for (int i = 0; i < MW_FOUND_MAX + 6; i++)
        assert_int_equal(mw_keyset_find(keys, mw_slice_of(names[i])), i);
    assert_int_equal(mw_keyset_find(keys, MW_SLICE("key.70")), -1);
    assert_int_equal(mw_keyset_find(keys, MW_SLICE_NONE), -1);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->span[0].found_count, MW_FOUND_MAX);
    assert_int_equal(the_seen->found[0][3].value.as.i, 333);
    assert_int_equal(the_seen->span[0].attribute_count, MW_FOUND_MAX + 7);
    mw_keyset_free(keys);
    keys = before;
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(scan(MW_SLICE_NONE), MW_OK);
    assert_int_equal(the_seen->result.items, 0);
    assert_int_equal(scan(MW_SLICE("\x0a\x00")), MW_OK);
    assert_int_equal(the_seen->resources, 1);
    assert_int_equal(scan(MW_SLICE("\x0a\x02\x12\x00")), MW_OK);
    assert_int_equal(the_seen->scopes, 1);
    assert_int_equal(the_seen->result.items, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_captures),      cmocka_unit_test(test_agent_session),
        cmocka_unit_test(test_synthetic),     cmocka_unit_test(test_other_signals),
        cmocka_unit_test(test_truncation),    cmocka_unit_test(test_ids),
        cmocka_unit_test(test_depth),         cmocka_unit_test(test_depth_beside),
        cmocka_unit_test(test_deep_resource), cmocka_unit_test(test_deep_scope),
        cmocka_unit_test(test_utf8),          cmocka_unit_test(test_utf8_positions),
        cmocka_unit_test(test_utf8_context),  cmocka_unit_test(test_last_wins),
        cmocka_unit_test(test_any_order),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_wrong_types),   cmocka_unit_test(test_nested_garbage),
        cmocka_unit_test(test_value_parts),   cmocka_unit_test(test_budget),
        cmocka_unit_test(test_sink_error),    cmocka_unit_test(test_found_limit),
        cmocka_unit_test(test_empty),
    };
    keys = mw_keyset_new(key_names, sizeof key_names / sizeof key_names[0]);
    the_seen = calloc(1, sizeof *the_seen);
    mw_arena_init(&the_seen->arena, MW_MEM_INGEST, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mw_arena_reset(&the_seen->arena);
    free(the_seen);
    mw_keyset_free(keys);
    return failed;
}
