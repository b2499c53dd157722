/* An investigation as a document: what others sent stays text, on its line, in its place. */
#include "cli/cli_int.h"
#include "tests/check.h"

static const char investigation[] =
    "{\"investigation_id\":\"abc\",\"title\":\"a <b> | *c*\\n# d [e](f) `g`\",\"status\":"
    "\"COMPLETED\",\"root_cause\":{\"verdict\":\"PROBABLE\",\"summary\":\"it\\u001b[31m fails\","
    "\"confidence\":0.5,\"onset\":null,\"candidates\":[{\"service\":\"<img src=x>\",\"kind\":"
    "\"errors\",\"score\":1.0,\"reasons\":[{\"text\":\"r\",\"evidence\":[{\"text\":\"e\",\"query\":"
    "\"midwatch trace show `x`\"}]}]}],\"ruled_out\":[],\"gaps\":[{\"code\":\"no_logs\",\"text\":"
    "\"t\"}]},\"plan\":{\"status\":\"PROPOSED\",\"plan_hash\":\"ff\",\"phases\":[{\"name\":"
    "\"Apply\",\"steps\":[{\"title\":\"undo\",\"command\":\"kubectl x\",\"expected\":\"y\"}]}]},"
    "\"alarms\":[],\"journal\":[{\"type\":\"PLANNING\",\"text\":\"- not a list\"}]}";

static bool contains(const mw_buffer *text, const char *part)
{
    return mw_slice_contains(mw_buffer_slice(text), mw_slice_of(part));
}

static void test_document(void **unused)
{
    (void)unused;
    mw_cli cli = {.markdown = true};
    mw_buffer out;
    json_t *root = mw_parse_answer(mw_slice_of(investigation));
    assert_non_null(root);
    mw_buffer_init(&out, MW_MEM_BASE, 65536);
    mw_render_markdown(&cli, root, &out);
    assert_int_equal(out.err, MW_OK);
    assert_true(mw_slice_starts(mw_buffer_slice(&out), MW_SLICE("# a \\<b\\> \\| \\*c\\*")));
    assert_false(contains(&out, "\n# d"));
    assert_false(contains(&out, "*<img"));
    assert_false(contains(&out, "[e]("));
    assert_false(contains(&out, "\x1b"));
    assert_true(contains(&out, "\\<img src=x\\>"));
    assert_true(contains(&out, "`` midwatch trace show `x` ``"));
    assert_true(contains(&out, "\n### Apply\n"));
    assert_true(contains(&out, "command: `kubectl x`"));
    assert_true(contains(&out, "no\\_logs: t"));
    assert_true(contains(&out, "PLANNING: \\- not a list"));
    mw_buffer_fini(&out);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_document)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
