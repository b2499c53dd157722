/* Findings out of answers: severities, and what a daemon in trouble says. */
#include "cli/doctor_int.h"
#include "tests/check.h"

#define SEEN_NS INT64_C(1795246400000000000)

static const char well[] =
    "{\"ready\":true,\"state_writable\":true,\"endpoints\":{\"http\":\"h:1\",\"grpc\":\"h:2\"},"
    "\"store\":{\"writable\":true,\"merging_fails\":false,\"damaged_blocks\":0}}";
static const char ill[] =
    "{\"ready\":false,\"state_writable\":false,"
    "\"store\":{\"writable\":false,\"merging_fails\":true,\"damaged_blocks\":2,"
    "\"losses\":3,\"lost_spans\":40,\"lost_logs\":5,\"lost_points\":6,"
    "\"last_loss\":\"2026-11-21T09:08:07Z\"}}";
static const char refused[] =
    "{\"items\":[],\"refusals\":[{\"port\":\"http\",\"grpc\":false,\"status\":413,\"path\":\"/\","
    "\"requests\":1,\"last_seen_unix_nano\":\"1795246400000000000\"}]}";

static json_t *judge(const char *status_text, const char *senders_text, int64_t now_ns)
{
    json_t *status = json_loads(status_text, 0, NULL), *senders = json_loads(senders_text, 0, NULL);
    assert_non_null(status);
    assert_non_null(senders);
    json_t *findings = mw_doctor_findings(status, senders, now_ns);
    json_decref(status);
    json_decref(senders);
    return findings;
}

static const char *member(const json_t *findings, size_t at, const char *key)
{
    return json_string_value(json_object_get(json_array_get(findings, at), key));
}

static void test_refusals_age(void **state)
{
    (void)state;
    json_t *now = judge(well, refused, SEEN_NS + MW_DOCTOR_RECENT_NS - 1);
    json_t *later = judge(well, refused, SEEN_NS + MW_DOCTOR_RECENT_NS);
    assert_int_equal(json_array_size(now), 1);
    assert_string_equal(member(now, 0, "severity"), "error");
    assert_string_equal(member(later, 0, "severity"), "warning");
    assert_non_null(strstr(member(now, 0, "fix"), "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"));
    json_decref(now);
    json_decref(later);
}

static void test_trouble(void **state)
{
    (void)state;
    static const char *const codes[] = {"not_ready",     "not_writable", "state_not_writable",
                                        "merging_fails", "damaged",      "losses"};
    json_t *findings = judge(ill, refused, SEEN_NS + MW_DOCTOR_RECENT_NS);
    assert_int_equal(json_array_size(findings), 7);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(member(findings, i, "code"), codes[i]);
        assert_string_equal(member(findings, i, "severity"), "error");
    }
    assert_non_null(
        strstr(member(findings, 5, "seen"),
               "3 segments or ends of some are gone, with at least 40 spans, 5 logs and "
               "6 points; the last was noticed 2026-11-21"));
    assert_non_null(strstr(member(findings, 5, "fix"), "midwatch check --rebuild"));
    assert_string_equal(member(findings, 6, "severity"), "warning"); /* the worst came first */
    json_decref(findings);
}

/* What it knew is gone, but nothing that is known to be lost. */
static void test_catalogue(void **state)
{
    (void)state;
    json_t *findings = judge(
        "{\"ready\":true,\"state_writable\":true,\"endpoints\":{},\"store\":{\"writable\":true,"
        "\"catalogue_made_anew\":\"2026-11-21T09:08:07Z\"}}",
        refused, SEEN_NS + MW_DOCTOR_RECENT_NS);
    assert_int_equal(json_array_size(findings), 2); /* the refusal is the other */
    size_t at = strcmp(member(findings, 0, "code"), "catalogue_made_anew") != 0;
    assert_string_equal(member(findings, at, "code"), "catalogue_made_anew");
    assert_string_equal(member(findings, at, "severity"), "warning");
    assert_non_null(strstr(member(findings, at, "seen"), "made anew 2026-11-21"));
    assert_non_null(strstr(member(findings, at, "fix"), "midwatch check --rebuild"));
    json_decref(findings);
    findings = judge("{\"ready\":true,\"state_writable\":true,\"endpoints\":{},\"store\":"
                     "{\"writable\":true,\"catalogue_made_anew\":null}}",
                     refused, SEEN_NS + MW_DOCTOR_RECENT_NS);
    assert_int_equal(json_array_size(findings), 1);
    json_decref(findings);
}

static json_t *judge_disk(const char *disk, bool writable, int uptime)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"ready\":true,\"state_writable\":true,\"uptime\":%d.5,\"data\":\"/d\",\"disk\":%s,"
             "\"store\":{\"writable\":%s,\"merging_fails\":false,\"damaged_blocks\":0}}",
             uptime, disk, writable ? "true" : "false");
    return judge(text, refused, SEEN_NS + MW_DOCTOR_RECENT_NS);
}

/* The refusal stands behind it. */
static void check_disk(const char *disk, bool writable, int uptime, const char *code)
{
    json_t *findings = judge_disk(disk, writable, uptime);
    assert_int_equal(json_array_size(findings), code ? 2 : 1);
    if (code) {
        assert_string_equal(member(findings, 0, "code"), code);
        assert_string_equal(member(findings, 0, "severity"), writable ? "warning" : "error");
        assert_non_null(strstr(member(findings, 0, "fix"), "--retention-bytes"));
    }
    json_decref(findings);
}

static void test_disk(void **state)
{
    (void)state;
#define GIB "1073741824"
    static const char soon[] = "{\"free_bytes\":" GIB ",\"used_bytes\":" GIB
                               ",\"full_in_seconds\":18000.0,\"retention_in_seconds\":18001.0}";
    check_disk("null", true, 5000, NULL);
    check_disk("{\"free_bytes\":" GIB ",\"full_in_seconds\":null}", true, 5000, NULL);
    check_disk("{\"free_bytes\":" GIB ",\"full_in_seconds\":86401.0}", true, 5000, NULL);
    check_disk(soon, true, 5000, "disk_short");
    check_disk(soon, true, 500, NULL); /* what came with the start is no pace */
    check_disk("{\"free_bytes\":" GIB
               ",\"full_in_seconds\":18000.0,\"retention_in_seconds\":17999.0}",
               true, 5000, NULL);
    check_disk("{\"free_bytes\":1048576,\"full_in_seconds\":null}", true, 5, "disk_short");
    check_disk("{\"free_bytes\":1048576,\"full_in_seconds\":null}", false, 5, "disk_full");
    /* Free, and still it cannot be written: that is something else. */
    json_t *findings = judge_disk("{\"free_bytes\":" GIB "}", false, 5);
    assert_string_equal(member(findings, 0, "code"), "not_writable");
    json_decref(findings);
    findings = judge_disk(soon, true, 5000);
    assert_string_equal(member(findings, 0, "seen"),
                        "the disk of /d has 1.0 GiB free, and 1.0 GiB are midwatch's; at the pace "
                        "of the last hour that lasts 5 hours");
    json_decref(findings);
}

/* What is not there (an older daemon) is no crash. */
static void test_empty_answers(void **state)
{
    (void)state;
    json_decref(judge("{}", "{}", SEEN_NS));
    json_decref(judge("{}", "{\"items\":[{}],\"refusals\":[{}]}", SEEN_NS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_age),  cmocka_unit_test(test_trouble),
        cmocka_unit_test(test_catalogue),     cmocka_unit_test(test_disk),
        cmocka_unit_test(test_empty_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
