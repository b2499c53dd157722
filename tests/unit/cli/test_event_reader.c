/* The reader of server-sent events: the standard's own examples, every way to cut the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/event_reader.h"

typedef struct seen {
    char text[4096]; /* "[id|name|data]" for each event */
    size_t len;
    unsigned left; /* events to take; then it ends the reading */
} seen;

static bool take(void *ctx, const mw_event *event)
{
    seen *all = ctx;
    all->len += (size_t)snprintf(all->text + all->len, sizeof all->text - all->len,
                                 "[%.*s|%.*s|%.*s]", MW_SLICE_FMT(event->id),
                                 MW_SLICE_FMT(event->name), MW_SLICE_FMT(event->data));
    return --all->left > 0;
}

static void expect(mw_slice stream, const char *events)
{
    for (size_t step = 1; step <= stream.len; step++) {
        mw_event_reader reader;
        seen all = {.left = 100};
        mw_event_reader_init(&reader);
        for (size_t at = 0; at < stream.len; at += step) {
            mw_slice piece = mw_slice_first(mw_slice_from(stream, at), step);
            assert_int_equal(mw_event_reader_feed(&reader, piece, take, &all), MW_OK);
        }
        assert_string_equal(all.text, events);
        mw_event_reader_fini(&reader);
    }
}

static void test_streams(void **state)
{
    (void)state;
    expect(MW_SLICE("data: one\n\n"), "[||one]");
    expect(MW_SLICE("data: one\r\n\r\ndata: two\r\rdata: three\n\n"), "[||one][||two][||three]");
    expect(MW_SLICE("id: 4\nevent: log\ndata: {\"a\":1}\n\n"), "[4|log|{\"a\":1}]");
    expect(MW_SLICE("data: YHOO\ndata: +2\ndata: 10\n\n"), "[||YHOO\n+2\n10]");
    expect(MW_SLICE(": test\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n"),
           "[1||first][||second][|| third]");
    expect(MW_SLICE("data\n\ndata\ndata\n\ndata:"), "[||][||\n]");
    expect(MW_SLICE("data:test\n\ndata: test\n\n"), "[||test][||test]");
    /* An id alone moves the place; the same again does not. */
    expect(MW_SLICE("id: 7\nretry: 10\n\nid: 7\n\n: hm\n\n"), "[7||]");
    expect(MW_SLICE("event: x\n\ndata: y\n\n"), "[||y]");
    /* Fields that are none, ids that are none. */
    expect(MW_SLICE("Data: a\n data: b\ndata : c\nother\n:\ndata: d\n\n"), "[||d]");
    expect(MW_SLICE("id: 1\n\nid: a\0b\ndata: c\n\n"), "[1||][1||c]");
    expect(MW_SLICE("\xef\xbb\xbf"
                    "data: bom\n\n\xef\xbb\xbf"
                    "data: none\n\n"),
           "[||bom]");
    expect(MW_SLICE("data: cut\nid: 9\n"), "");
    expect(MW_SLICE("\n\n\r\r\n\n"), "");
}

static mw_err feed(mw_event_reader *reader, mw_slice bytes, seen *all)
{
    return mw_event_reader_feed(reader, bytes, take, all);
}

/* What was cut short does not count: it will come again. */
static void test_restart(void **state)
{
    (void)state;
    mw_event_reader reader;
    seen all = {.left = 100};
    mw_event_reader_init(&reader);
    assert_int_equal(mw_event_reader_last_id(&reader).len, 0);
    assert_int_equal(feed(&reader, MW_SLICE("id: 1\nretry: 250\ndata: a\n\n"), &all), MW_OK);
    assert_int_equal(feed(&reader, MW_SLICE("id: 2\nevent: e\ndata: b\ndata: c\r"), &all), MW_OK);
    assert_true(mw_slice_equal(mw_event_reader_last_id(&reader), MW_SLICE("1")));
    mw_event_reader_restart(&reader);
    assert_true(mw_slice_equal(mw_event_reader_last_id(&reader), MW_SLICE("1")));
    assert_int_equal(reader.retry_ms, 250);
    assert_int_equal(feed(&reader,
                          MW_SLICE("\xef\xbb\xbf\n"
                                   "data: d\n\nretry: x\nretry: -1\n"),
                          &all),
                     MW_OK);
    assert_string_equal(all.text, "[1||a][1||d]");
    assert_int_equal(reader.retry_ms, 250);
    mw_event_reader_fini(&reader);
}

static void test_ends_and_bounds(void **state)
{
    (void)state;
    static char long_id[MW_EVENT_ID_MAX + 10];
    mw_event_reader reader;
    seen all = {.left = 2};
    mw_event_reader_init(&reader);
    assert_int_equal(feed(&reader, MW_SLICE("data: 1\n\ndata: 2\n\ndata: 3\n\n"), &all),
                     MW_E_CLOSED);
    assert_string_equal(all.text, "[||1][||2]");
    mw_event_reader_restart(&reader);
    memset(long_id, 'x', sizeof long_id);
    memcpy(long_id, "id: ", 4);
    assert_int_equal(feed(&reader, (mw_slice){long_id, sizeof long_id}, &all), MW_OK);
    assert_int_equal(feed(&reader, MW_SLICE("\n"), &all), MW_E_LIMIT);
    mw_event_reader_fini(&reader);
    assert_int_equal(mw_memory_component_used(MW_MEM_BASE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_ends_and_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
