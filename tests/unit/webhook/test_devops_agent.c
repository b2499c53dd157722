/* Source devops-agent: the incident schema member by member, service and region rules. */
#include <string.h>

#include "lib/base/clock.h"
#include "tests/check.h"
#include "webhook/source.h"

#define NOW (INT64_C(1773480413) * MW_NS_PER_S)

static const mw_webhook_source *source;
static mw_arena arena;
static mw_detail detail;
static mw_alarm_event event;

static int set_up(void **state)
{
    (void)state;
    source = mw_webhook_source_find(MW_SLICE("devops-agent"));
    mw_arena_init(&arena, MW_MEM_JSON, 0);
    memset(&detail, 0, sizeof detail);
    return source ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    mw_arena_reset(&arena);
    return 0;
}

static mw_err parse_typed(mw_slice body, const char *type)
{
    mw_header header = {MW_SLICE("content-type"), type ? mw_slice_of(type) : MW_SLICE_NONE};
    mw_request request = {.headers = &header, .header_count = type ? 1 : 0, .body = body};
    mw_delivery delivery = {.request = &request, .now_ns = NOW};
    memset(&detail, 0, sizeof detail);
    mw_alarm_events events = {.count = 0};
    mw_err err = source->parse(&delivery, &arena, &events, &detail);
    if (err == MW_OK) {
        assert_int_equal(events.count, 1);
        event = events.items[0];
    }
    return err;
}

static mw_err parse(const char *body)
{
    return parse_typed(mw_slice_of(body), "application/json");
}

/* ---- schema -------------------------------------------------------------------------------- */

#define REQUIRED                                                                                   \
    "\"eventType\":\"incident\",\"incidentId\":\"i1\",\"action\":\"created\",\"priority\":"        \
    "\"HIGH\""
#define MINIMAL_BODY "{" REQUIRED ",\"title\":\"t\"}"

static void test_full_body(void **state)
{
    (void)state;
    assert_int_equal(
        parse("{\"eventType\":\"incident\",\"incidentId\":\"mw-inc-0001\",\"action\":\"created\","
              "\"priority\":\"HIGH\",\"title\":\"checkout 5xx above 5 %\",\"description\":\"HTTP "
              "5xx ratio 7.4 % over 5 min\",\"service\":\"checkout\",\"timestamp\":\"2026-03-14T09:"
              "26:53.123Z\",\"data\":{\"metadata\":{\"region\":\"eu-west-1\",\"environment\":"
              "\"prod\"}},\"affectedResources\":[\"arn:a\",\"<b>\"],\"later\":{\"a\":[1]}}"),
        MW_OK);
    assert_slice(event.incident_id, "mw-inc-0001");
    assert_slice(event.action, "created");
    assert_slice(event.priority, "HIGH");
    assert_slice(event.title, "checkout 5xx above 5 %");
    assert_slice(event.description, "HTTP 5xx ratio 7.4 % over 5 min");
    assert_slice(event.service, "checkout");
    assert_slice(event.region, "eu-west-1");
    assert_slice(event.resources_json, "[\"arn:a\",\"\\u003cb\\u003e\"]");
    assert_int_equal(event.started_ns, NOW + 123 * MW_NS_PER_MS);
}

static void test_minimal_body(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        MINIMAL_BODY,
        "{" REQUIRED ",\"title\":\"t\",\"description\":null,\"service\":null,\"timestamp\":null,"
        "\"data\":null,\"affectedResources\":null}",
        " \n{" REQUIRED ",\"title\":\"t\",\"service\":\"\",\"data\":{}}\r\n ",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (parse(bodies[i]) != MW_OK)
            fail_msg("body %zu: %s", i, detail.message);
        assert_slice(event.description, "");
        assert_slice(event.service, "");
        assert_slice(event.region, "");
        assert_slice(event.resources_json, "[]");
        assert_int_equal(event.started_ns, 0);
    }
}

static void test_actions_and_priorities(void **state)
{
    (void)state;
    static const char *const actions[] = {"created", "updated", "closed", "resolved"};
    static const char *const priorities[] = {"CRITICAL", "HIGH", "MEDIUM", "LOW", "MINIMAL"};
    for (size_t a = 0; a < 4; a++)
        for (size_t p = 0; p < 5; p++) {
            char body[256];
            snprintf(body, sizeof body,
                     "{\"eventType\":\"incident\",\"incidentId\":\"i\",\"action\":\"%s\","
                     "\"priority\":\"%s\",\"title\":\"t\"}",
                     actions[a], priorities[p]);
            assert_int_equal(parse(body), MW_OK);
            assert_slice(event.action, actions[a]);
            assert_slice(event.priority, priorities[p]);
        }
}

static void test_refusals_name_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *body, *field;
    } rows[] = {
        {"{}", "eventType"},
        {"{\"eventType\":\"Incident\"}", "eventType"},
        {"{\"eventType\":null}", "eventType"},
        {"{\"eventType\":1}", "eventType"},
        {"{\"eventType\":\"incident\"}", "action"},
        {"{\"eventType\":\"incident\",\"action\":\"CREATED\"}", "action"},
        {"{\"eventType\":\"incident\",\"action\":\"created \"}", "action"},
        {"{\"eventType\":\"incident\",\"action\":\"created\"}", "priority"},
        {"{\"eventType\":\"incident\",\"action\":\"created\",\"priority\":\"high\"}", "priority"},
        {"{\"eventType\":\"incident\",\"action\":\"created\",\"priority\":\"P1\"}", "priority"},
        {"{\"eventType\":\"incident\",\"action\":\"created\",\"priority\":\"LOW\"}", "incidentId"},
        {"{\"eventType\":\"incident\",\"action\":\"created\",\"priority\":\"LOW\",\"incidentId\":"
         "\"\"}",
         "incidentId"},
        {"{\"eventType\":\"incident\",\"action\":\"created\",\"priority\":\"LOW\",\"incidentId\":"
         "7}",
         "incidentId"},
        {"{" REQUIRED "}", "title"},
        {"{" REQUIRED ",\"title\":\"\"}", "title"},
        {"{" REQUIRED ",\"title\":null}", "title"},
        {"{" REQUIRED ",\"title\":[\"t\"]}", "title"},
        {"{" REQUIRED ",\"title\":\"t\",\"description\":1}", "description"},
        {"{" REQUIRED ",\"title\":\"t\",\"service\":{}}", "service"},
        {"{" REQUIRED ",\"title\":\"t\",\"timestamp\":\"yesterday\"}", "timestamp"},
        {"{" REQUIRED ",\"title\":\"t\",\"timestamp\":1773480413}", "timestamp"},
        {"{" REQUIRED ",\"title\":\"t\",\"timestamp\":\"\"}", "timestamp"},
        {"{" REQUIRED ",\"title\":\"t\",\"data\":[]}", "data"},
        {"{" REQUIRED ",\"title\":\"t\",\"data\":\"x\"}", "data"},
        {"{" REQUIRED ",\"title\":\"t\",\"affectedResources\":\"x\"}", "affectedResources"},
        {"{" REQUIRED ",\"title\":\"t\",\"affectedResources\":[1]}", "affectedResources"},
        {"{" REQUIRED ",\"title\":\"t\",\"data\":{\"affectedResources\":[null]}}",
         "data.affectedResources"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (parse(rows[i].body) != MW_E_INVALID)
            fail_msg("accepted %s", rows[i].body);
        assert_string_equal(detail.field, rows[i].field);
        assert_non_null(strstr(detail.message, rows[i].field));
    }
}

static void test_bodies_that_are_no_objects(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        mw_err expected;
    } rows[] = {
        {"", MW_E_SYNTAX},
        {"{", MW_E_SYNTAX},
        {MINIMAL_BODY "x", MW_E_SYNTAX},
        {"{" REQUIRED ",\"title\":\"t\",}", MW_E_SYNTAX},
        {"{" REQUIRED ",\"title\":\"\xff\"}", MW_E_SYNTAX},
        {"{" REQUIRED ",\"title\":\"a\nb\"}", MW_E_SYNTAX},
        {"\xef\xbb\xbf" MINIMAL_BODY, MW_E_SYNTAX},
        {"[]", MW_E_INVALID},
        {"[" MINIMAL_BODY "]", MW_E_INVALID},
        {"{" REQUIRED ",\"title\":\"t\",\"priority\":\"LOW\"}", MW_E_INVALID}, /* twice */
        {"{" REQUIRED ",\"title\":\"t\",\"data\":{\"a\":1,\"a\":2}}", MW_E_INVALID},
        {"{" REQUIRED ",\"title\":\"a\\u0000b\"}", MW_E_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (parse(rows[i].body) != rows[i].expected)
            fail_msg("row %zu: %s", i, detail.message);
        assert_true(detail.message[0] != '\0');
    }
    assert_int_equal(parse_typed(MW_SLICE("{" REQUIRED ",\"title\":\"a\0b\"}"), "application/json"),
                     MW_E_SYNTAX);
}

static void test_depth(void **state)
{
    (void)state;
    char body[512];
    for (int depth = 1; depth < 100; depth++) {
        size_t len =
            (size_t)snprintf(body, sizeof body, "{" REQUIRED ",\"title\":\"[[{\\\"[\",\"x\":");
        for (int i = 0; i < depth; i++)
            body[len++] = '[';
        for (int i = 0; i < depth; i++)
            body[len++] = ']';
        body[len++] = '}';
        body[len] = '\0';
        assert_int_equal(parse(body), depth + 1 <= 32 ? MW_OK : MW_E_INVALID);
    }
    static char bomb[1 << 20];
    memset(bomb, '[', sizeof bomb);
    assert_int_equal(parse_typed(mw_slice_bytes(bomb, sizeof bomb), "application/json"),
                     MW_E_INVALID);
}

/* A body with one member of n times the text. */
static mw_err parse_long(const char *member, const char *text, size_t n)
{
    static char body[1 << 18];
    bool in_required = strcmp(member, "incidentId") == 0;
    size_t len = (size_t)snprintf(
        body, sizeof body,
        "{\"eventType\":\"incident\",\"action\":\"created\",\"priority\":\"HIGH\",%s%s\"%s\":\"",
        in_required ? "" : "\"incidentId\":\"i\",",
        strcmp(member, "title") == 0 ? "" : "\"title\":\"t\",", member);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(body + len, sizeof body - len, "%s", text);
    len += (size_t)snprintf(body + len, sizeof body - len, "\"}");
    return parse_typed(mw_slice_bytes(body, len), "application/json");
}

static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        size_t max;
        bool characters;
    } rows[] = {
        {"incidentId", 256, true},
        {"title", 512, true},
        {"service", 256, true},
        {"description", 32768, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(parse_long(rows[i].member, "x", rows[i].max), MW_OK);
        assert_int_equal(parse_long(rows[i].member, "x", rows[i].max + 1), MW_E_INVALID);
        assert_string_equal(detail.field, rows[i].member);
        size_t fits = rows[i].characters ? rows[i].max : rows[i].max / 2;
        assert_int_equal(parse_long(rows[i].member, "ü", fits), MW_OK);
        assert_int_equal(parse_long(rows[i].member, "ü", fits + 1), MW_E_INVALID);
    }
}

static void test_control_characters_stay_data(void **state)
{
    (void)state;
    assert_int_equal(parse("{" REQUIRED ",\"title\":\"a\\u001b[31m\\r\\n\\u202eb\"}"), MW_OK);
    assert_slice(event.title, "a\x1b[31m\r\n\xe2\x80\xae"
                              "b");
}

static void test_content_types(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool accepted;
    } rows[] = {
        {"application/json", true},
        {"Application/JSON; charset=utf-8", true},
        {"application/json ;charset=utf-8", true},
        {"application/cloudevents+json", true},
        {"application/x.y+JSON; a=b", true},
        {"application/+json", false},
        {"application/jsonx", false},
        {"text/json", false},
        {"text/plain", false},
        {"application/x-www-form-urlencoded", false},
        {"", false},
        {NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (parse_typed(MW_SLICE(MINIMAL_BODY), rows[i].type) !=
            (rows[i].accepted ? MW_OK : MW_E_UNSUPPORTED))
            fail_msg("content type \"%s\"", rows[i].type ? rows[i].type : "(none)");
}

/* ---- service, region, resources ------------------------------------------------------------ */

static void test_services(void **state)
{
    (void)state;
    static const struct {
        const char *given, *expected;
    } rows[] = {
        {"checkout", "checkout"},      {"AWS/Lambda", ""},   {"AWS/ApplicationELB", ""},
        {"ECS/ContainerInsights", ""}, {"AWS/", "AWS/"},     {"aws/lambda", "aws/lambda"},
        {"shop/AWS/x", "shop/AWS/x"},  {"AWSome", "AWSome"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[256];
        snprintf(body, sizeof body, "{" REQUIRED ",\"title\":\"t\",\"service\":\"%s\"}",
                 rows[i].given);
        assert_int_equal(parse(body), MW_OK);
        assert_slice(event.service, rows[i].expected);
    }
}

static void test_regions_in_titles(void **state)
{
    (void)state;
    static const struct {
        const char *title, *expected;
    } rows[] = {
        {"checkout 5xx in eu-west-1", "eu-west-1"},
        {"eu-west-1", "eu-west-1"},
        {"[ap-southeast-2] latency", "ap-southeast-2"},
        {"us-gov-east-1: down", "us-gov-east-1"},
        {"us-isob-east-1!", "us-isob-east-1"},
        {"mx-central-1/api", "mx-central-1"},
        {"zone eu-west-1a is gone", "eu-west-1"},
        {"il-central-1 and eu-west-1", "il-central-1"},
        {"eu-west-11", ""},
        {"eu-west-0", ""},
        {"eu-west-1ab", ""},
        {"my-eu-west-1", ""},
        {"eu-west-1-canary", ""},
        {"eu_west_1", ""},
        {"EU-WEST-1", ""},
        {"eu-west-", ""},
        {"eu-", ""},
        {"to-do-1", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[256];
        snprintf(body, sizeof body, "{" REQUIRED ",\"title\":\"%s \"}", rows[i].title);
        assert_int_equal(parse(body), MW_OK);
        assert_slice(event.region, rows[i].expected);
    }
}

static void test_region_field_comes_first(void **state)
{
    (void)state;
    static const struct {
        const char *data, *expected;
    } rows[] = {
        {"{\"metadata\":{\"region\":\"us-east-1\"}}", "us-east-1"},
        {"{\"metadata\":{\"region\":\"\"}}", "eu-west-1"},
        {"{\"metadata\":{\"region\":7}}", "eu-west-1"},
        {"{\"metadata\":\"x\"}", "eu-west-1"},
        {"{\"region\":\"us-east-1\"}", "eu-west-1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[256];
        snprintf(body, sizeof body, "{" REQUIRED ",\"title\":\"in eu-west-1\",\"data\":%s}",
                 rows[i].data);
        assert_int_equal(parse(body), MW_OK);
        assert_slice(event.region, rows[i].expected);
    }
}

static void test_resources(void **state)
{
    (void)state;
    assert_int_equal(
        parse("{" REQUIRED ",\"title\":\"t\",\"data\":{\"affectedResources\":[\"a\"]}}"), MW_OK);
    assert_slice(event.resources_json, "[\"a\"]");
    assert_int_equal(parse("{" REQUIRED ",\"title\":\"t\",\"affectedResources\":[],"
                           "\"data\":{\"affectedResources\":[\"a\"]}}"),
                     MW_OK);
    assert_slice(event.resources_json, "[]");
}

static void test_sources(void **state)
{
    (void)state;
    assert_null(mw_webhook_source_find(MW_SLICE("nothing")));
    assert_null(mw_webhook_source_find(MW_SLICE("")));
    assert_non_null(strstr(mw_webhook_source_names(), source->name));
    assert_int_equal(source->max_body, 256 * 1024);
}

#define WITH_SOURCE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SOURCE(test_full_body),
        WITH_SOURCE(test_minimal_body),
        WITH_SOURCE(test_actions_and_priorities),
        WITH_SOURCE(test_refusals_name_the_field),
        WITH_SOURCE(test_bodies_that_are_no_objects),
        WITH_SOURCE(test_depth),
        WITH_SOURCE(test_lengths),
        WITH_SOURCE(test_control_characters_stay_data),
        WITH_SOURCE(test_content_types),
        WITH_SOURCE(test_services),
        WITH_SOURCE(test_regions_in_titles),
        WITH_SOURCE(test_region_field_comes_first),
        WITH_SOURCE(test_resources),
        WITH_SOURCE(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
