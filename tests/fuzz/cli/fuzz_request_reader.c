/* Fuzz target of the reader of import's files. Oracles: a file of lines gives its lines, whatever
 * is in them, and every byte but their ends; and of a text that jansson reads, the signals are
 * those of its top-level keys. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/otlp_sender.h"
#include "cli/request_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static bool has_key(const json_t *root, const char *camel, const char *snake)
{
    return json_object_get(root, camel) || json_object_get(root, snake);
}

/* Escapes in a key are nobody's: such a file is refused, and by name. */
static void check_signals(mw_slice text)
{
    unsigned expected = 0, found = mw_request_signals(text);
    json_t *root = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    REQUIRE(found <= (MW_SENDS_TRACES | MW_SENDS_LOGS | MW_SENDS_METRICS));
    if (root && mw_slice_find_byte(text, '\\') == text.len) {
        expected |= has_key(root, "resourceSpans", "resource_spans") ? MW_SENDS_TRACES : 0;
        expected |= has_key(root, "resourceLogs", "resource_logs") ? MW_SENDS_LOGS : 0;
        expected |= has_key(root, "resourceMetrics", "resource_metrics") ? MW_SENDS_METRICS : 0;
        REQUIRE(found == expected);
    }
    json_decref(root);
}

static size_t count_lines(mw_slice text)
{
    size_t lines = text.len && text.data[text.len - 1] != '\n';
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    return lines;
}

/* The same text as the lines of the input from `line` on begin with; NUL and all. */
static void check_place(mw_slice whole, mw_slice text, size_t line)
{
    mw_slice rest = whole;
    for (; line > 1; line--)
        rest = mw_slice_from(rest, mw_slice_find_byte(rest, '\n') + 1);
    if (mw_slice_starts(rest, MW_SLICE("\xef\xbb\xbf")))
        rest = mw_slice_from(rest, 3);
    /* A document ends with a line's end, which the file may lack. */
    if (text.len && text.data[text.len - 1] == '\n')
        text.len--;
    REQUIRE(mw_slice_starts(rest, text));
}

static void read_all(const char *path, mw_slice whole, bool compressed)
{
    mw_request_reader reader;
    mw_slice text;
    size_t count = 0, last = 0;
    mw_reading what;
    REQUIRE(mw_request_reader_open(&reader, path));
    while ((what = mw_request_reader_next(&reader, &text)) == MW_READ_REQUEST) {
        REQUIRE(reader.line > last);
        last = reader.line;
        count++;
        if (!compressed) {
            check_place(whole, text, reader.line);
            REQUIRE(count <= count_lines(whole));
        }
        check_signals(text);
    }
    REQUIRE(what == MW_READ_END || (what == MW_READ_BROKEN && compressed && reader.problem));
    mw_request_reader_close(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    mw_slice whole = mw_slice_bytes(data, size);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    check_signals(whole);
    read_all(path, whole, mw_slice_starts(whole, MW_SLICE("\x1f")));
    close(fd);
    return 0;
}
