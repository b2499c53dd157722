/* google.rpc.Status in both encodings, and the answers built from it. */
#include <jansson.h>

#include "collector/collector.h"
#include "collector/status_body.h"
#include "proto/rpc_status.pb-c.h"
#include "tests/check.h"

static mw_arena arena;

static const mw_status busy = {
    503, MW_RPC_UNAVAILABLE, MW_SLICE_INIT("later \"please\""), 3, {NULL, 0}};
static const mw_status bad = {400, MW_RPC_INVALID_ARGUMENT, MW_SLICE_INIT("no ids"), 0,
                              MW_SLICE_INIT("resource_spans[0]")};

static Google__Rpc__Status *unpack(mw_slice bytes)
{
    Google__Rpc__Status *status =
        google__rpc__status__unpack(NULL, bytes.len, (const uint8_t *)bytes.data);
    assert_non_null(status);
    return status;
}

static mw_slice slice_of(ProtobufCBinaryData data)
{
    return (mw_slice){(const char *)data.data, data.len};
}

static void test_protobuf(void **state)
{
    (void)state;
    Google__Rpc__Status *status = unpack(mw_status_protobuf(&busy, &arena));
    assert_int_equal(status->code, 14);
    assert_slice(slice_of(status->message), "later \"please\"");
    assert_int_equal(status->n_details, 1);
    assert_slice(slice_of(status->details[0]->type_url),
                 "type.googleapis.com/google.rpc.RetryInfo");
    Google__Rpc__RetryInfo *retry = google__rpc__retry_info__unpack(
        NULL, status->details[0]->value.len, status->details[0]->value.data);
    assert_int_equal(retry->retry_delay->seconds, 3);
    google__rpc__retry_info__free_unpacked(retry, NULL);
    google__rpc__status__free_unpacked(status, NULL);

    status = unpack(mw_status_protobuf(&bad, &arena));
    assert_int_equal(status->n_details, 1);
    Google__Rpc__BadRequest *request = google__rpc__bad_request__unpack(
        NULL, status->details[0]->value.len, status->details[0]->value.data);
    assert_int_equal(request->n_field_violations, 1);
    assert_slice(slice_of(request->field_violations[0]->field), "resource_spans[0]");
    assert_slice(slice_of(request->field_violations[0]->description), "no ids");
    google__rpc__bad_request__free_unpacked(request, NULL);
    google__rpc__status__free_unpacked(status, NULL);
}

static void test_json(void **state)
{
    (void)state;
    mw_slice text = mw_status_json(&busy, &arena);
    assert_slice(text, "{\"code\":14,\"message\":\"later \\\"please\\\"\",\"details\":[{\"@type\":"
                       "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"3s\"}]}");
    text = mw_status_json(&bad, &arena);
    json_t *json = json_loadb(text.data, text.len, 0, NULL);
    assert_non_null(json);
    json_t *detail = json_array_get(json_object_get(json, "details"), 0);
    json_t *violation = json_array_get(json_object_get(detail, "fieldViolations"), 0);
    assert_string_equal(json_string_value(json_object_get(violation, "field")),
                        "resource_spans[0]");
    json_decref(json);
}

static void test_answers(void **state)
{
    (void)state;
    mw_response response;
    mw_status_answer(&busy, MW_FORM_GRPC, &arena, &response);
    assert_int_equal(response.rpc_code, MW_RPC_UNAVAILABLE);
    assert_slice(response.rpc_message, "later \"please\"");
    google__rpc__status__free_unpacked(unpack(response.rpc_details), NULL);
    assert_int_equal(response.body.len, 0);
    assert_int_equal(response.header_count, 0);

    mw_status_answer(&busy, MW_FORM_PROTOBUF, &arena, &response);
    assert_int_equal(response.status, 503);
    assert_slice(response.content_type, "application/x-protobuf");
    google__rpc__status__free_unpacked(unpack(response.body), NULL);
    assert_int_equal(response.header_count, 1);
    assert_slice(response.headers[0].name, "retry-after");
    assert_slice(response.headers[0].value, "3");

    mw_status_answer(&bad, MW_FORM_JSON, &arena, &response);
    assert_slice(response.content_type, "application/json");
    assert_int_equal(response.header_count, 0);
    assert_true(mw_slice_starts(response.body, MW_SLICE("{\"code\":3,")));
}

/* An arena that is full costs the body, not the status. */
static void test_full_arena(void **state)
{
    (void)state;
    mw_arena full;
    mw_response response;
    mw_arena_init(&full, MW_MEM_INGEST, 1);
    mw_status_answer(&busy, MW_FORM_PROTOBUF, &full, &response);
    assert_int_equal(response.status, 503);
    assert_int_equal(response.body.len, 0);
    mw_status_answer(&busy, MW_FORM_JSON, &full, &response);
    assert_int_equal(response.status, 503);
    assert_int_equal(response.body.len, 0);
    mw_arena_reset(&full);
}

static void test_form(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        mw_answer_form form;
        bool known;
    } cases[] = {
        {"application/x-protobuf", MW_FORM_PROTOBUF, true},
        {"APPLICATION/X-Protobuf ; charset=utf-8", MW_FORM_PROTOBUF, true},
        {"application/json", MW_FORM_JSON, true},
        {"application/json; charset=utf-8", MW_FORM_JSON, true},
        {"text/plain", MW_FORM_JSON, false},
        {"application/x-protobuffer", MW_FORM_JSON, false},
        {"", MW_FORM_JSON, false},
        {NULL, MW_FORM_JSON, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mw_header header = {MW_SLICE("content-type"), MW_SLICE_NONE};
        if (cases[i].type)
            header.value = mw_slice_of(cases[i].type);
        mw_request request = {.headers = &header, .header_count = cases[i].type ? 1 : 0};
        bool known;
        assert_int_equal(mw_answer_form_of(&request, &known), cases[i].form);
        assert_int_equal(known, cases[i].known);
        request.framing = MW_FRAMING_GRPC;
        assert_int_equal(mw_answer_form_of(&request, &known), MW_FORM_GRPC);
    }
}

static void test_net_refusal(void **state)
{
    (void)state;
    mw_header header = {MW_SLICE("content-type"), MW_SLICE("application/x-protobuf")};
    mw_request request = {.headers = &header, .header_count = 1};
    mw_arena_init(&request.arena, MW_MEM_NET, 0);
    mw_net_refusal refusal = {.status = 413,
                              .rpc_code = MW_RPC_RESOURCE_EXHAUSTED,
                              .message = MW_SLICE("too large"),
                              .retry_after_s = 2};
    mw_response response = {.status = 413, .rpc_code = MW_RPC_RESOURCE_EXHAUSTED};
    mw_collector_format_refusal(&request, &refusal, &response);
    assert_int_equal(response.status, 413);
    Google__Rpc__Status *status = unpack(response.body);
    assert_int_equal(status->code, 8);
    assert_slice(slice_of(status->message), "too large");
    google__rpc__status__free_unpacked(status, NULL);
    assert_int_equal(response.header_count, 1);
    /* net may have set Retry-After already */
    mw_collector_format_refusal(&request, &refusal, &response);
    assert_int_equal(response.header_count, 1);
    request.header_count = 0;
    mw_collector_format_refusal(&request, &refusal, &response);
    assert_slice(response.content_type, "application/json");
    mw_arena_reset(&request.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protobuf), cmocka_unit_test(test_json),
        cmocka_unit_test(test_answers),  cmocka_unit_test(test_full_arena),
        cmocka_unit_test(test_form),     cmocka_unit_test(test_net_refusal),
    };
    mw_arena_init(&arena, MW_MEM_INGEST, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mw_arena_reset(&arena);
    return failed;
}
