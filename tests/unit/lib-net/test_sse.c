/* The writer of server-sent events against a reader written from the standard's own steps ("9.2.6
 * Interpreting an event stream"), which knows nothing of the writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lib-net/sse_reader.h"

#define TEXT_MAX ((size_t)1 << 16)

static mw_buffer text;
static sse_reader reader;

static int set_up(void **state)
{
    (void)state;
    mw_buffer_init(&text, MW_MEM_NET, TEXT_MAX);
    sse_reader_init(&reader);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mw_buffer_fini(&text);
    sse_reader_fini(&reader);
    return 0;
}

static void append(mw_sse_event event)
{
    assert_int_equal(mw_sse_append(&text, &event), MW_OK);
}

static void read_all(void)
{
    sse_reader_feed(&reader, mw_buffer_slice(&text));
}

static void test_exact_text(void **state)
{
    (void)state;
    append((mw_sse_event){.id = MW_SLICE("7"),
                          .name = MW_SLICE("log"),
                          .retry_ms = 2500,
                          .data = MW_SLICE("one\ntwo")});
    assert_int_equal(mw_sse_append_comment(&text, MW_SLICE("hi\nthere")), MW_OK);
    append((mw_sse_event){.data = MW_SLICE("")});
    append((mw_sse_event){.id = MW_SLICE("")});
    mw_buffer_append_byte(&text, '\0');
    assert_string_equal(text.data, "id: 7\nevent: log\nretry: 2500\ndata: one\ndata: two\n\n"
                                   ": hi\n: there\n\n"
                                   "data: \n\n"
                                   "id: \n\n");
}

static void test_what_a_client_sees(void **state)
{
    (void)state;
    append((mw_sse_event){.id = MW_SLICE("a b"), .name = MW_SLICE("log"), .data = MW_SLICE(" x")});
    append((mw_sse_event){.data = MW_SLICE("{\"a\":1}")});
    assert_int_equal(mw_sse_append_comment(&text, MW_SLICE("data: not one")), MW_OK);
    append((mw_sse_event){.retry_ms = 90000});
    append((mw_sse_event){.data = MW_SLICE("")});
    append((mw_sse_event){.id = MW_SLICE(""), .data = MW_SLICE("last")});
    read_all();
    assert_int_equal(reader.count, 4);
    assert_string_equal(reader.events[0].type, "log");
    assert_string_equal(reader.events[0].data, " x");
    assert_string_equal(reader.events[0].last_id, "a b");
    assert_string_equal(reader.events[1].type, "message");
    assert_string_equal(reader.events[1].data, "{\"a\":1}");
    assert_string_equal(reader.events[1].last_id, "a b");
    assert_string_equal(reader.events[2].data, "");
    assert_string_equal(reader.events[3].last_id, "");
    assert_int_equal(reader.retry_ms, 90000);
}

/* Whatever ends a line, and a field name as content, must not make a field of its own. */
static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        const char *seen;
    } rows[] = {{"a\nb", "a\nb"},
                {"a\rb", "a\nb"},
                {"a\r\nb", "a\nb"},
                {"a\n\rb", "a\n\nb"},
                {"\n", "\n"},
                {"\r\n", "\n"},
                {"a\n", "a\n"},
                {"\r\r\n\n", "\n\n\n"},
                {"x\nid: 9\nevent: e", "x\nid: 9\nevent: e"},
                {"a\n\ndata: b", "a\n\ndata: b"},
                {": c", ": c"},
                {"\xef\xbb\xbfx", "\xef\xbb\xbfx"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        append((mw_sse_event){.data = mw_slice_of(rows[i].data)});
    read_all();
    assert_int_equal(reader.count, sizeof rows / sizeof *rows);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(reader.events[i].data, rows[i].seen);
        assert_string_equal(reader.events[i].type, "message");
        assert_string_equal(reader.events[i].last_id, "");
    }
}

static void test_refused(void **state)
{
    (void)state;
    const mw_sse_event bad[] = {
        {.id = MW_SLICE("a\nb"), .data = MW_SLICE("x")},
        {.id = MW_SLICE("a\rb"), .data = MW_SLICE("x")},
        {.id = MW_SLICE("a\0b"), .data = MW_SLICE("x")},
        {.name = MW_SLICE("a\nid: 1"), .data = MW_SLICE("x")},
        {.name = MW_SLICE("a\r"), .data = MW_SLICE("x")},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(mw_sse_append(&text, &bad[i]), MW_E_INVALID);
    assert_int_equal(text.len, 0);
    static char large[TEXT_MAX + 1];
    memset(large, 'x', sizeof large);
    mw_sse_event event = {.data = {large, sizeof large}};
    assert_int_equal(mw_sse_append(&text, &event), MW_E_LIMIT);
}

static void test_last_event_id(void **state)
{
    (void)state;
    const mw_header headers[] = {{MW_SLICE("accept"), MW_SLICE("text/event-stream")},
                                 {MW_SLICE("last-event-id"), MW_SLICE("41")}};
    mw_request request = {.headers = headers, .header_count = 2};
    assert_true(mw_slice_equal(mw_sse_last_event_id(&request), MW_SLICE("41")));
    request.header_count = 1;
    assert_null(mw_sse_last_event_id(&request).data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exact_text), TEST(test_what_a_client_sees), TEST(test_lines),
        TEST(test_refused),    TEST(test_last_event_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
