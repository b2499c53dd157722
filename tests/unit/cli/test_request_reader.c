/* Requests out of files: lines, a document, gzip, what is broken, and whose signal they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/otlp_sender.h"
#include "cli/request_reader.h"

static char path[] = "/tmp/midwatch-test-XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    close(fd);
    return fd < 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void put(mw_slice content, bool compressed)
{
    gzFile file = gzopen(path, compressed ? "wb" : "wbT");
    assert_non_null(file);
    assert_int_equal(content.len ? gzwrite(file, content.data, (unsigned)content.len) : 0,
                     (int)content.len);
    assert_int_equal(gzclose(file), Z_OK);
}

typedef struct wanted {
    const char *text;
    size_t line;
} wanted;

static void expect(const char *content, const wanted *list)
{
    for (int compressed = 0; compressed < 2; compressed++) {
        mw_request_reader reader;
        mw_slice text;
        put(mw_slice_of(content), compressed);
        assert_true(mw_request_reader_open(&reader, path));
        for (const wanted *each = list; each->text; each++) {
            assert_int_equal(mw_request_reader_next(&reader, &text), MW_READ_REQUEST);
            if (!mw_slice_equal(text, mw_slice_of(each->text)) || reader.line != each->line)
                fail_msg("%zu: %.*s, not %zu: %s", reader.line, MW_SLICE_FMT(text), each->line,
                         each->text);
        }
        assert_int_equal(mw_request_reader_next(&reader, &text), MW_READ_END);
        assert_int_equal(mw_request_reader_next(&reader, &text), MW_READ_END);
        mw_request_reader_close(&reader);
    }
}
#define EXPECT(content, ...) expect(content, (const wanted[]){__VA_ARGS__, {NULL, 0}})

static void test_lines(void **state)
{
    (void)state;
    expect("", (const wanted[]){{NULL, 0}});
    expect("\n \r\n\t\n", (const wanted[]){{NULL, 0}});
    EXPECT("{\"a\":1}", {"{\"a\":1}", 1});
    EXPECT("{\"a\":1}\n{\"b\":2}\n", {"{\"a\":1}", 1}, {"{\"b\":2}", 2});
    EXPECT("\n{\"a\":\"}\"}\r\n\n\n{\"b\":2}", {"{\"a\":\"}\"}\r", 2}, {"{\"b\":2}", 5});
    EXPECT("\xef\xbb\xbf{}\n{}\n", {"{}", 1}, {"{}", 2});
    /* Behind a whole line, what is cut is a line too. */
    EXPECT("{}\n{\"a\":[\n{}\n", {"{}", 1}, {"{\"a\":[", 2}, {"{}", 3});
    /* And when it comes first, another request behind it says so. */
    EXPECT("{\"resourceSpans\":[\n{\"resourceLogs\":[]}\n{}\n", {"{\"resourceSpans\":[", 1},
           {"{\"resourceLogs\":[]}", 2}, {"{}", 3});
}

static void test_document(void **state)
{
    (void)state;
    EXPECT("{\n  \"resourceSpans\": []\n}\n", {"{\n  \"resourceSpans\": []\n}\n", 1});
    EXPECT("\n{ \"resourceSpans\":\n\n[]}", {"{ \"resourceSpans\":\n\n[]}\n", 2});
    EXPECT("{", {"{\n", 1});
}

static void test_broken(void **state)
{
    (void)state;
    mw_request_reader reader;
    mw_slice text;
    assert_false(mw_request_reader_open(&reader, "/nonexistent/file"));
    /* gzip that ends too early: of that member nothing is taken. */
    static char line[4096];
    memset(line, ' ', sizeof line);
    for (size_t i = 0; i < sizeof line; i++)
        line[i] = (char)('a' + rand() % 26);
    memcpy(line, "{}\n", 3);
    put(mw_slice_bytes(line, sizeof line), true);
    assert_int_equal(truncate(path, 2000), 0);
    assert_true(mw_request_reader_open(&reader, path));
    assert_int_equal(mw_request_reader_next(&reader, &text), MW_READ_BROKEN);
    assert_non_null(strstr(reader.problem, "gzip"));
    mw_request_reader_close(&reader);
}

/* ---- gzip, member by member ------------------------------------------------------------------ */

static char packed[1 << 16];
static size_t packed_len;

static void add_bytes(const void *bytes, size_t len)
{
    assert_true(packed_len + len <= sizeof packed);
    memcpy(packed + packed_len, bytes, len);
    packed_len += len;
}

static size_t add_member(const char *content)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)content,
                       .avail_in = (unsigned)strlen(content),
                       .next_out = (Bytef *)packed + packed_len,
                       .avail_out = (unsigned)(sizeof packed - packed_len)};
    size_t begin = packed_len;
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed_len += stream.total_out;
    deflateEnd(&stream);
    return begin;
}

/* How a file is read: one that can be read twice, a pipe, a pipe of which nothing is kept. */
typedef enum way { WAY_FILE, WAY_PIPE, WAY_UNKEPT, WAY_COUNT } way;

static void open_way(mw_request_reader *reader, way how, int ends[2])
{
    char pipe_path[32];
    const char *from = path;
    ends[0] = ends[1] = -1;
    if (how != WAY_FILE) {
        assert_int_equal(pipe(ends), 0);
        /* It fits: a pipe takes as much as packed[] holds. */
        assert_int_equal(write(ends[1], packed, packed_len), (ssize_t)packed_len);
        close(ends[1]);
        snprintf(pipe_path, sizeof pipe_path, "/dev/fd/%d", ends[0]);
        from = pipe_path;
    } else {
        put(mw_slice_bytes(packed, packed_len), false);
    }
    assert_true(mw_request_reader_open(reader, from));
    assert_int_equal(reader->file.seekable, how == WAY_FILE);
    if (how == WAY_UNKEPT)
        reader->file.kept_max = 0;
}

static void close_way(mw_request_reader *reader, const int ends[2])
{
    mw_request_reader_close(reader);
    if (ends[0] >= 0)
        close(ends[0]);
}

/* `good` requests, then the end (words NULL) or a problem with these words. */
static void expect_way(way how, size_t good, const char *words)
{
    mw_request_reader reader;
    mw_slice text;
    int ends[2];
    open_way(&reader, how, ends);
    for (size_t i = 0; i < good; i++)
        if (mw_request_reader_next(&reader, &text) != MW_READ_REQUEST)
            fail_msg("way %d, request %zu: %s", (int)how, i, reader.problem);
    for (int again = 0; again < 2; again++)
        assert_int_equal(mw_request_reader_next(&reader, &text),
                         words ? MW_READ_BROKEN : MW_READ_END);
    if (words && !strstr(reader.problem, words))
        fail_msg("%s: not: %s", reader.problem, words);
    close_way(&reader, ends);
}

static void expect_packed(size_t good, const char *words)
{
    for (int how = 0; how < WAY_COUNT; how++)
        expect_way((way)how, good, words);
    packed_len = 0;
}

static void test_members(void **state)
{
    (void)state;
    char words[96];
    add_member("{\"a\":1}\n{\"b\"");
    add_member("");
    add_member(":2}\n");
    expect_packed(2, NULL);
    add_member("");
    expect_packed(0, NULL);
    /* What gzread would pass over without a word. */
    static const char *const behind[] = {"{\"b\":2}\n", "x", "\x1f", "\x1f\x8c\x08"};
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++) {
        add_member("{}\n");
        add_member("{}\n");
        snprintf(words, sizeof words, "from byte %zu on, stands what is no gzip", packed_len);
        add_bytes(behind[i], strlen(behind[i]));
        expect_packed(2, words);
    }
    add_member("{}\n");
    snprintf(words, sizeof words, "from byte %zu on", packed_len);
    add_bytes("\0\0\0\0", 4);
    expect_packed(1, words);
}

/* Cut off anywhere or with a wrong checksum, a later member is named, and none of its lines is
 * taken; where it cannot be read twice, that is said. */
static void test_damaged_members(void **state)
{
    (void)state;
    char words[128];
    static char saved[256];
    add_member("{\"a\":1}\n");
    size_t second = add_member("{\"b\":2}\n"), whole = packed_len;
    memcpy(saved, packed, whole);
    for (size_t len = second + 2; len < whole; len++) {
        packed_len = len;
        snprintf(words, sizeof words,
                 "the member at byte %zu is cut off at byte %zu; nothing of "
                 "it was sent",
                 second, len);
        expect_way(WAY_FILE, 1, words);
        expect_way(WAY_PIPE, 1, words);
        snprintf(words, sizeof words, "cut off at byte %zu; what was read of it before was sent",
                 len);
        /* The line's last byte comes out of the two bytes before the checksum and the length. */
        if (len < whole - 10 || len >= whole - 8)
            expect_way(WAY_UNKEPT, len < whole - 10 ? 1 : 2, words);
    }
    for (size_t at = whole - 8; at < whole; at++) {
        packed_len = whole;
        memcpy(packed, saved, whole);
        packed[at] ^= 1;
        snprintf(words, sizeof words, "its gzip member at byte %zu is damaged", second);
        expect_way(WAY_FILE, 1, words);
        expect_way(WAY_PIPE, 1, words);
        expect_way(WAY_UNKEPT, 2, words);
    }
    packed_len = 0;
}

/* What is kept of a pipe ends within a member of many pieces: the rest is read as it comes, and not
 * a byte is missing or twice there. */
static void test_kept_in_part(void **state)
{
    (void)state;
    static char text[400000], got[sizeof text + 1];
    static const uint64_t limits[] = {0, 1, 65536, 65537, 131072, 200000, MW_PACKED_KEPT};
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(rand() % 256);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        mw_packed_file file;
        int ends[2];
        char from[32];
        size_t len = 0, n;
        put(mw_slice_bytes(text, sizeof text), true);
        assert_int_equal(pipe(ends), 0);
        snprintf(from, sizeof from, "/dev/fd/%d", ends[0]);
        if (fork() == 0) {
            char copy[4096];
            int plain = open(path, O_RDONLY);
            for (ssize_t part; (part = read(plain, copy, sizeof copy)) > 0;)
                if (write(ends[1], copy, (size_t)part) != part)
                    _exit(1);
            _exit(0);
        }
        close(ends[1]);
        assert_true(mw_packed_file_open(&file, from));
        file.kept_max = limits[i];
        while (len < sizeof got &&
               (n = mw_packed_file_read(&file, got + len, sizeof got - len)) > 0)
            len += n;
        assert_string_equal(file.problem, "");
        assert_int_equal(len, sizeof text);
        assert_memory_equal(got, text, sizeof text);
        assert_int_equal(file.unchecked, limits[i] < sizeof text);
        mw_packed_file_close(&file);
        close(ends[0]);
        assert_true(wait(NULL) > 0);
    }
}

/* Many megabytes out of a few bytes, and members by the thousand: no more is held than a request
 * may have. */
static void test_bomb(void **state)
{
    (void)state;
    mw_request_reader reader;
    mw_slice text;
    gzFile file = gzopen(path, "wb9");
    static char piece[1 << 20];
    for (size_t i = 0; i < 4 * MW_REQUEST_TEXT_MAX / sizeof piece; i++)
        assert_int_equal(gzwrite(file, piece, sizeof piece), sizeof piece);
    assert_int_equal(gzclose(file), Z_OK);
    assert_true(mw_request_reader_open(&reader, path));
    assert_int_equal(mw_request_reader_next(&reader, &text), MW_READ_TOO_LONG);
    assert_int_equal(mw_request_reader_next(&reader, &text), MW_READ_END);
    /* The line that tells lines from a document, and the one before it. */
    assert_true(mw_memory_used() <= 2 * MW_REQUEST_TEXT_MAX + ((size_t)1 << 20));
    mw_request_reader_close(&reader);
    for (int i = 0; i < 2000; i++)
        add_member("");
    add_member("{}\n");
    expect_packed(1, NULL);
}

/* A line that no daemon takes is passed over and told; those behind it are not lost. */
static void test_too_long(void **state)
{
    (void)state;
    mw_request_reader reader;
    mw_slice text;
    gzFile file = gzopen(path, "wb1");
    static char piece[1 << 20];
    memset(piece, 'x', sizeof piece);
    assert_int_equal(gzwrite(file, "{}\n", 3), 3);
    for (size_t i = 0; i <= MW_REQUEST_TEXT_MAX / sizeof piece; i++)
        assert_int_equal(gzwrite(file, piece, sizeof piece), sizeof piece);
    assert_int_equal(gzwrite(file, "\n{}\n", 4), 4);
    assert_int_equal(gzclose(file), Z_OK);
    assert_true(mw_request_reader_open(&reader, path));
    assert_int_equal(mw_request_reader_next(&reader, &text), MW_READ_REQUEST);
    assert_int_equal(mw_request_reader_next(&reader, &text), MW_READ_TOO_LONG);
    assert_int_equal(reader.line, 2);
    assert_int_equal(mw_request_reader_next(&reader, &text), MW_READ_REQUEST);
    assert_int_equal(reader.line, 3);
    assert_int_equal(mw_request_reader_next(&reader, &text), MW_READ_END);
    mw_request_reader_close(&reader);
}

static void test_signals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned signals;
    } rows[] = {
        {"{\"resourceSpans\":[]}", MW_SENDS_TRACES},
        {" { \"resourceLogs\" : [] }", MW_SENDS_LOGS},
        {"{\"resource_metrics\":[]}", MW_SENDS_METRICS},
        {"{\"x\":{\"resourceLogs\":[]},\"resourceSpans\":[{}]}", MW_SENDS_TRACES},
        {"{\"a\":\"b\\\"\",\"resourceSpans\":[],\"resourceLogs\":[]}",
         MW_SENDS_TRACES | MW_SENDS_LOGS},
        {"{\"a\":\"resourceSpans\"}", 0},
        {"[{\"resourceSpans\":[]}]", 0},
        {"\"resourceSpans\":1", 0},
        {"{\"resourceSpans\"", 0},
        {"{\"resourceSpans", 0},
        {"{\"", 0},
        {"{\"\\", 0},
        {"}}{\"resourceSpans\":[]}", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (mw_request_signals(mw_slice_of(rows[i].text)) != rows[i].signals)
            fail_msg("%s", rows[i].text);
}

static void test_url(void **state)
{
    (void)state;
    static const struct {
        const char *api;
        bool local;
        const char *endpoint, *url; /* NULL = none */
    } rows[] = {
        {"http://localhost", true, "127.0.0.1:4318", "http://127.0.0.1:4318"},
        {"http://localhost", true, "[::1]:4318", "http://[::1]:4318"},
        {"http://localhost", true, "0.0.0.0:14318", "http://127.0.0.1:14318"},
        {"https://127.0.0.1:4319", true, "[::]:4318", "http://127.0.0.1:4318"},
        {"https://watch.example:4319", false, "0.0.0.0:4318", "https://watch.example:4318"},
        {"https://watch.example", false, "10.0.0.7:4318", "https://watch.example:4318"},
        {"http://[fd00::1]:4319", false, "[::]:4318", "http://[fd00::1]:4318"},
        {"http://[fd00::1]", false, "[::]:4318", "http://[fd00::1]:4318"},
        {"http://localhost", true, "", NULL},
        {"http://localhost", true, "127.0.0.1", NULL},
        {"http://localhost", true, "[::1]", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char url[128] = "";
        bool known = mw_otlp_url(rows[i].api, rows[i].local, rows[i].endpoint, url, sizeof url);
        if (known != (rows[i].url != NULL) || (known && strcmp(url, rows[i].url) != 0))
            fail_msg("%s %s: %s", rows[i].api, rows[i].endpoint, url);
    }
}

int main(void)
{
    mw_memory_init(0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),        cmocka_unit_test(test_document),
        cmocka_unit_test(test_broken),       cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_signals),      cmocka_unit_test(test_url),
        cmocka_unit_test(test_members),      cmocka_unit_test(test_damaged_members),
        cmocka_unit_test(test_kept_in_part), cmocka_unit_test(test_bomb),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
