/* The command line, paths, exit codes, durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "cli/cli_int.h"

static int parse(mw_cli *cli, const mw_noun **noun, const char *const *words)
{
    char *argv[24] = {(char *)(uintptr_t) "midwatch"};
    int argc = 1;
    mw_buffer error;
    memset(cli, 0, sizeof *cli);
    for (size_t i = 0; words[i]; i++)
        argv[argc++] = (char *)(uintptr_t)words[i];
    mw_buffer_init(&error, MW_MEM_BASE, 4096);
    int status = mw_cli_parse(cli, argc, argv, noun, &error);
    assert_true((status == 0) == (error.len == 0));
    mw_buffer_fini(&error);
    return status;
}
#define PARSE(...) parse(&cli, &noun, (const char *const[]){__VA_ARGS__, NULL})

static void test_commands(void **state)
{
    (void)state;
    mw_cli cli;
    const mw_noun *noun;
    assert_int_equal(PARSE("session", "list", "--limit", "5", "--json"), 0);
    assert_ptr_equal(cli.command->run, mw_cmd_session_list);
    assert_string_equal(cli.limit, "5");
    assert_true(cli.json);
    assert_int_equal(PARSE("--data=/x", "traces", "show", "abcdef"), 0);
    assert_ptr_equal(cli.command->run, mw_cmd_trace_show);
    assert_string_equal(cli.data, "/x");
    assert_string_equal(cli.args[0], "abcdef");
    assert_int_equal(PARSE("inv", "show", "--", "-dash"), 0);
    assert_ptr_equal(cli.command->run, mw_cmd_investigation_show);
    assert_string_equal(cli.args[0], "-dash");
    assert_int_equal(PARSE("status"), 0);
    assert_ptr_equal(cli.command->run, mw_cmd_status);
    assert_int_equal(PARSE("completion", "bash"), 0);
    assert_string_equal(cli.args[0], "bash");
    assert_int_equal(PARSE("webhook", "create", "--name", "n", "--source", "s"), 0);
    assert_string_equal(cli.source, "s");
}

static void test_transfer(void **state)
{
    (void)state;
    mw_cli cli;
    const mw_noun *noun;
    assert_int_equal(PARSE("export", "-o", "x.gz", "--signal=logs", "--since", "2h"), 0);
    assert_ptr_equal(cli.command->run, mw_cmd_export);
    assert_string_equal(cli.output, "x.gz");
    assert_string_equal(cli.signal, "logs");
    assert_int_equal(PARSE("export", "--output=y"), 0);
    assert_string_equal(cli.output, "y");
    assert_int_equal(PARSE("export", "-o"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("export", "-o", ""), MW_EXIT_USAGE);
    assert_int_equal(PARSE("export", "file"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("trace", "list", "-o", "x"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("import"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("import", "a", "-", "b", "--otlp", "http://h"), 0);
    assert_ptr_equal(cli.command->run, mw_cmd_import);
    assert_int_equal(cli.arg_count, 3);
    assert_string_equal(cli.args[1], "-");
    assert_int_equal(PARSE("demo", "--space", "s"), 0);
    assert_ptr_equal(cli.command->run, mw_cmd_demo);
}

static void test_format(void **state)
{
    (void)state;
    mw_cli cli;
    const mw_noun *noun;
    assert_int_equal(PARSE("trace", "show", "abcdef", "--format", "otlp"), 0);
    assert_true(mw_wants_otlp(&cli) && !cli.json);
    assert_int_equal(PARSE("log", "list", "--format=json"), 0);
    assert_true(!mw_wants_otlp(&cli) && cli.json);
    assert_int_equal(PARSE("log", "list", "--format", "xml"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("log", "list", "--format", "otlp", "--json"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("log", "list", "--format", "otlp", "-f"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("session", "list", "--format", "otlp"), MW_EXIT_USAGE);
}

static void test_signals(void **state)
{
    (void)state;
    mw_cli cli;
    const mw_noun *noun;
    assert_int_equal(PARSE("logs", "list", "--severity", "WARN", "--log-group=/aws/x", "--text",
                           "a", "--session", "s", "--since", "2026-11-21"),
                     0);
    assert_ptr_equal(cli.command->run, mw_cmd_log_list);
    assert_string_equal(cli.severity, "WARN");
    assert_string_equal(cli.log_group, "/aws/x");
    assert_int_equal(PARSE("metric", "show", "a/b c", "--namespace", "n", "--limit", "3"), 0);
    assert_ptr_equal(cli.command->run, mw_cmd_metric_show);
    assert_string_equal(cli.args[0], "a/b c");
    assert_string_equal(cli.name_space, "n");
    /* An option of one list is none of another. */
    assert_int_equal(PARSE("log", "list", "--namespace", "n"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("metric", "list", "--severity", "WARN"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("trace", "list", "--namespace", "n"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("metric", "show"), MW_EXIT_USAGE);
    /* Windows are not pages; an option of two groups fits the commands of either. */
    assert_int_equal(PARSE("topology", "show", "--since", "2h", "--until", "1h"), 0);
    assert_ptr_equal(cli.command->run, mw_cmd_topology_show);
    assert_int_equal(PARSE("service", "show", "a/b", "--since", "2h"), 0);
    assert_int_equal(PARSE("service", "list", "--limit", "5"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("span", "list", "--name", "n"), 0);
    assert_int_equal(PARSE("trace", "list", "--name", "n"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("log", "list", "--text", ""), MW_EXIT_USAGE);
}

/* Values of an option that may be repeated, and switches that are parameters. */
static void test_spans(void **state)
{
    (void)state;
    mw_cli cli;
    const mw_noun *noun;
    mw_buffer path;
    assert_int_equal(PARSE("span", "list", "--attribute", "a=b", "--errors", "--attribute=c=d e",
                           "--name", "n", "--agent", "x", "--duration-min-ms", "5"),
                     0);
    assert_ptr_equal(cli.command->run, mw_cmd_span_list);
    assert_string_equal(cli.attributes[1], "c=d e");
    assert_null(cli.attributes[2]);
    assert_true(mw_is_narrowed(&cli));
    mw_buffer_init(&path, MW_MEM_BASE, 4096);
    mw_list_path(&cli, "spans", &path);
    mw_buffer_append_byte(&path, '\0');
    assert_string_equal(path.data, "/api/v1/spans?agent=x&attribute=a%3Db&attribute=c%3Dd%20e&"
                                   "errors=true&duration_min_ms=5&name=n");
    mw_buffer_fini(&path);
    assert_int_equal(PARSE("spans", "list"), 0);
    assert_false(mw_is_narrowed(&cli));
    assert_int_equal(PARSE("log", "list", "--attribute", "a=", "--pattern", "(?i)x"), 0);
    assert_string_equal(cli.pattern, "(?i)x");
    assert_int_equal(PARSE("span", "list", "--attribute", "a"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("span", "list", "--attribute", "=a"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("span", "list", "--pattern", "a"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("metric", "list", "--attribute", "a=b"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("trace", "list", "--attribute", "a=b", "--tool", "t", "--tokens-min",
                           "5", "--duration-max-ms", "9", "--user", "u"),
                     0);
    assert_string_equal(cli.tokens_min, "5");
    assert_int_equal(PARSE("span", "list", "--tokens-min", "5"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("trace", "show", "abcdef", "--rows", "5", "--unfold"), 0);
    assert_true(cli.unfold);
    assert_int_equal(PARSE("trace", "list", "--rows", "5"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("span", "list", "--errors=true"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("log", "list", "--attribute=1=", "--attribute=2=", "--attribute=3=",
                           "--attribute=4=", "--attribute=5=", "--attribute=6=", "--attribute=7=",
                           "--attribute=8=", "--attribute=9="),
                     MW_EXIT_USAGE);
}

static void test_usage_errors(void **state)
{
    (void)state;
    mw_cli cli;
    const mw_noun *noun;
    assert_int_equal(parse(&cli, &noun, (const char *const[]){NULL}), MW_EXIT_USAGE);
    assert_int_equal(PARSE("nonsense"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("session"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("session", "dance"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("session", "show"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("session", "show", "a", "b"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("session", "list", "extra"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("session", "list", "--nope"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("session", "list", "-x"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("session", "list", "-f"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("log", "list", "-fh"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("log", "list", "-f"), 0);
    assert_true(cli.follow);
    assert_int_equal(PARSE("log", "-f", "list", "--json"), 0);
    assert_true(cli.follow && cli.json);
    assert_int_equal(PARSE("log", "list", "--follow", "--service", "s"), 0);
    assert_true(cli.follow);
    assert_int_equal(PARSE("session", "list", "--limit"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("session", "list", "--json=1"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("trace", "show", "x", "--limit", "1"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("trace", "list", "--status", "OPEN"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("a", "b", "c", "d", "e", "f"), MW_EXIT_USAGE);
}

static void test_several_words(void **state)
{
    (void)state;
    mw_cli cli;
    const mw_noun *noun;
    assert_int_equal(PARSE("webhook", "send", "abcdef", "f.json", "--secret-file", "s"), 0);
    assert_string_equal(cli.args[0], "abcdef");
    assert_string_equal(cli.args[1], "f.json");
    assert_string_equal(cli.secret_file, "s");
    assert_int_equal(PARSE("webhook", "send", "abcdef"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("webhook", "send", "abcdef", "f.json", "more"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("space", "token-access", "on", "--space", "a"), 0);
    assert_int_equal(PARSE("space", "token-access"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("tokens", "create", "--name", "n", "--scope", "read", "--expires", "7",
                           "--allow", "::1"),
                     0);
    assert_string_equal(cli.allow, "::1");
    assert_int_equal(PARSE("token", "revoke", "abcdef", "--scope", "read"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("webhook", "list", "--grace", "1h"), MW_EXIT_USAGE);
}

static void test_later_nouns(void **state)
{
    (void)state;
    static const char *const later[] = {"skill"};
    mw_cli cli;
    const mw_noun *noun;
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        assert_int_equal(PARSE(later[i], "list"), MW_EXIT_USAGE);
}

static void test_investigations_and_plans(void **state)
{
    (void)state;
    mw_cli cli;
    const mw_noun *noun;
    assert_int_equal(PARSE("inv", "show", "abcdef", "--format", "markdown"), 0);
    assert_true(cli.markdown && !cli.format && !cli.json);
    assert_int_equal(PARSE("inv", "show", "abcdef", "--format", "json"), 0);
    assert_true(cli.json && !cli.format);
    assert_int_equal(PARSE("inv", "show", "abcdef", "--format", "otlp"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("inv", "show", "abcdef", "--format", "markdown", "--json"),
                     MW_EXIT_USAGE);
    assert_int_equal(PARSE("inv", "create", "--service", "s", "--at", "5m", "--title", "t"), 0);
    assert_string_equal(cli.at, "5m");
    assert_int_equal(PARSE("inv", "create", "--service", "s", "--version", "1"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("plan", "approve", "abcdef", "--hash", "h", "--comment", "c"), 0);
    assert_string_equal(cli.hash, "h");
    assert_int_equal(PARSE("plan", "show", "abcdef", "--hash", "h"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("deployment", "record", "--service", "s", "--version", "1", "--region",
                           "r", "--time", "1h", "--commit", "c"),
                     0);
    assert_string_equal(cli.commit, "c");
    assert_int_equal(PARSE("deployment", "list", "--service", "s", "--since", "1h"), 0);
    assert_int_equal(PARSE("deployment", "list", "--session", "s"), MW_EXIT_USAGE);
    assert_int_equal(PARSE("demo", "--incident"), 0);
    assert_true(cli.incident);
}

static void test_help(void **state)
{
    (void)state;
    mw_cli cli;
    const mw_noun *noun;
    assert_int_equal(PARSE("--help"), 0);
    assert_true(cli.help && !noun);
    assert_int_equal(PARSE("help", "inv"), 0);
    assert_string_equal(noun->name, "investigation");
    assert_int_equal(PARSE("trace", "-h"), 0);
    assert_true(cli.help);
    /* Every command of the table is in its noun's help. */
    for (size_t i = 0; i < mw_command_count; i++) {
        mw_buffer text;
        mw_buffer_init(&text, MW_MEM_BASE, 65536);
        mw_help_noun(&text, mw_noun_find(mw_commands[i].noun));
        assert_true(mw_slice_contains(mw_buffer_slice(&text), mw_slice_of(mw_commands[i].summary)));
        mw_buffer_fini(&text);
    }
}

/* Where in its line a text begins; behind any other text of the line. */
static size_t column_of(mw_slice help, const char *text)
{
    const char *at = memmem(help.data, help.len, text, strlen(text)), *line = at;
    assert_non_null(at);
    while (line > help.data && line[-1] != '\n')
        line--;
    return (size_t)(at - line);
}

/* What things are for stands in one column, however long their names are. */
static void test_help_is_aligned(void **state)
{
    mw_buffer text;
    (void)state;
    mw_buffer_init(&text, MW_MEM_BASE, 65536);
    mw_help_all(&text);
    for (size_t i = 0; i < mw_noun_count; i++)
        if (mw_nouns[i].summary)
            assert_int_equal(column_of(mw_buffer_slice(&text), mw_nouns[i].summary),
                             column_of(mw_buffer_slice(&text), mw_nouns[0].summary));
    mw_buffer_clear(&text);
    mw_help_noun(&text, mw_noun_find("span"));
    size_t first = column_of(mw_buffer_slice(&text), "rows, 1 to 1000");
    assert_int_equal(column_of(mw_buffer_slice(&text), "with this attribute"), first);
    assert_int_equal(column_of(mw_buffer_slice(&text), "this help"), first);
    mw_buffer_fini(&text);
}

static void test_paths(void **state)
{
    (void)state;
    mw_cli cli = {.limit = "5", .since = "2026-01-01T00:00:00+01:00", .args = {"a/b c\xff"}};
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_BASE, 4096);
    mw_list_path(&cli, "traces", &out);
    assert_true(
        mw_slice_equal(mw_buffer_slice(&out),
                       MW_SLICE("/api/v1/traces?limit=5&since=2026-01-01T00%3A00%3A00%2B01%3A00")));
    assert_true(mw_is_narrowed(&cli));
    mw_buffer_clear(&out);
    cli.limit = cli.since = NULL;
    mw_show_path(&cli, "sessions", "", &out);
    assert_true(mw_slice_equal(mw_buffer_slice(&out), MW_SLICE("/api/v1/sessions/a%2Fb%20c%FF")));
    assert_false(mw_is_narrowed(&cli));
    /* What is no parameter of the API stays out of the query. */
    mw_buffer_clear(&out);
    mw_cli filters = {
        .log_stream = "a&b", .name_space = "n", .source = "x", .data = "/d", .json = true};
    mw_list_path(&filters, "logs", &out);
    assert_true(mw_slice_equal(mw_buffer_slice(&out),
                               MW_SLICE("/api/v1/logs?log_stream=a%26b&namespace=n")));
    mw_buffer_fini(&out);
}

static void test_exit_codes(void **state)
{
    (void)state;
    static const struct {
        long status;
        int exit;
    } cases[] = {{200, 0}, {201, 0}, {400, 2}, {401, 4}, {403, 4}, {404, 5},
                 {409, 6}, {408, 7}, {504, 7}, {503, 1}, {500, 1}, {302, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(mw_exit_of_status(cases[i].status), cases[i].exit);
}

/* A daemon that is there is not to be started again. */
static void test_silence(void **state)
{
    (void)state;
    static const struct {
        CURLcode code;
        double connect_s, total_s;
        const char *why, *hint;
    } cases[] = {
        {CURLE_COULDNT_CONNECT, 0, 0, "no daemon answers (words)", "start the daemon"},
        {CURLE_OPERATION_TIMEDOUT, 0.01, 30.001, "no answer within 30 s", "busy"},
        {CURLE_OPERATION_TIMEDOUT, 0, 5.0, "no connection within 5 s", "address"},
        {CURLE_RECV_ERROR, 0.01, 0.1, "ended without a whole answer (words)", "busy"},
        {CURLE_GOT_NOTHING, 0.01, 0.1, "ended without a whole answer (words)", "busy"},
        {CURLE_PARTIAL_FILE, 0.01, 0.1, "ended without a whole answer (words)", "busy"},
        {CURLE_COULDNT_RESOLVE_HOST, 0, 0, "words", "address"},
        {CURLE_PEER_FAILED_VERIFICATION, 0.1, 0.1, "words", "MIDWATCH_CA_FILE"},
        {CURLE_SSL_CONNECT_ERROR, 0.1, 0.1, "words", "TLS"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mw_silence silence;
        mw_client_explain((int)cases[i].code, cases[i].connect_s, cases[i].total_s, "words",
                          &silence);
        assert_non_null(strstr(silence.why, cases[i].why));
        assert_non_null(strstr(silence.hint, cases[i].hint));
        assert_true(i == 0 || !strstr(silence.hint, "start the daemon"));
    }
}

static void test_shell_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"support-4711", "support-4711"},
                                           {"", "''"},
                                           {"a b", "'a b'"},
                                           {"it's $(x);", "'it'\\''s $(x);'"},
                                           {"~root", "'~root'"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mw_buffer out;
        mw_buffer_init(&out, MW_MEM_BASE, 4096);
        mw_shell_word(&out, mw_slice_of(cases[i][0]));
        mw_buffer_append_byte(&out, '\0');
        assert_string_equal(out.data, cases[i][1]);
        mw_buffer_fini(&out);
    }
}

static void test_severities(void **state)
{
    (void)state;
    static const struct {
        int64_t severity;
        const char *text;
        mw_style style;
    } cases[] = {
        {0, "", MW_STYLE_NONE},      {1, "TRACE", MW_STYLE_NONE},  {4, "TRACE4", MW_STYLE_NONE},
        {9, "INFO", MW_STYLE_NONE},  {12, "INFO4", MW_STYLE_NONE}, {13, "WARN", MW_STYLE_YELLOW},
        {17, "ERROR", MW_STYLE_RED}, {18, "ERROR2", MW_STYLE_RED}, {24, "FATAL4", MW_STYLE_RED},
        {25, "25", MW_STYLE_RED},    {-1, "-1", MW_STYLE_NONE}};
    char text[MW_CELL_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mw_severity_text(cases[i].severity, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(mw_severity_style(cases[i].severity), cases[i].style);
    }
}

static void expect_line(const char *log, size_t columns, const char *wanted)
{
    mw_buffer out;
    json_t *root = json_loads(log, 0, NULL);
    assert_non_null(root);
    mw_buffer_init(&out, MW_MEM_BASE, 4096);
    mw_log_line(root, columns, &out);
    mw_buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, wanted);
    mw_buffer_fini(&out);
    json_decref(root);
}

static void test_log_lines(void **state)
{
    (void)state;
    expect_line("{\"body\":\"plain text\"}", 0, "plain text");
    expect_line("{\"body\":\"plain text\"}", 6, "plain\xe2\x80\xa6");
    expect_line("{\"body\":null,\"event_name\":null}", 0, "");
    expect_line("{\"body\":null,\"event_name\":\"started\"}", 0, "started");
    expect_line("{\"body\":{\"b\":[1,0.1,true],\"a\":null},\"event_name\":\"e\"}", 0,
                "e {\"b\":[1,0.1,true],\"a\":null}");
    expect_line("{\"body\":5.0}", 0, "5.0");
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        double ms;
        const char *text;
    } cases[] = {{0, "0.00ms"},     {2.5, "2.50ms"},   {412.4, "412ms"},   {999.6, "1.00s"},
                 {1250, "1.25s"},   {59999, "1m00s"},  {123000, "2m03s"},  {3600e3, "1h00m"},
                 {3725e3, "1h02m"}, {-1250, "-1.25s"}, {3599.6e3, "1h00m"}};
    char text[MW_CELL_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mw_duration_text(cases[i].ms, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_times(void **state)
{
    (void)state;
    mw_cli cli = {.terminal = true, .now_ns = INT64_C(1700000100000000000)};
    char text[MW_CELL_SIZE];
    json_t *object = json_pack("{s:s, s:s, s:n}", "at", "2023-11-14T22:13:20.000000000Z",
                               "at_unix_nano", "1700000000000000000", "none");
    mw_time_text(&cli, object, "at", text);
    assert_string_equal(text, "1m ago");
    cli.terminal = false;
    mw_time_text(&cli, object, "at", text);
    assert_string_equal(text, "2023-11-14T22:13:20Z");
    cli.terminal = true;
    cli.now_ns -= INT64_C(3600) * 1000000000; /* in the future */
    mw_time_text(&cli, object, "at", text);
    assert_string_equal(text, "2023-11-14T22:13:20Z");
    mw_time_text(&cli, object, "none", text);
    assert_string_equal(text, "");
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_transfer),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_severities),
        cmocka_unit_test(test_log_lines),
        cmocka_unit_test(test_several_words),
        cmocka_unit_test(test_later_nouns),
        cmocka_unit_test(test_investigations_and_plans),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_help_is_aligned),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_shell_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
