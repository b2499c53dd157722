/* Fuzz target: any pattern in any record.
 *
 * Input: two bytes of length (little endian), so many bytes of a pattern, and a LogRecord message.
 * Oracles: what compiles searches to an end (the fuzzer's time-out), says the same twice, gives all
 * memory back, and finds a body's string when that is the pattern, quoted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/format/body_walk.h"
#include "lib/store/query/log_pattern.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The worst pattern takes the square of the length. */
#define RECORD_MAX ((size_t)12 << 10)

static bool at_the_end(void *ctx)
{
    unsigned *left = ctx;
    return *left == 0 || --*left == 0;
}

static mw_err search(mw_slice text, mw_slice record, mw_pattern_verdict *verdict)
{
    mw_log_pattern *pattern;
    mw_detail detail = {.field = ""};
    unsigned left = 4;
    *verdict = MW_PATTERN_ABSENT;
    mw_err err = mw_log_pattern_new(text, &pattern, &detail);
    CHECK(err == MW_OK || (err == MW_E_SYNTAX && detail.message[0]));
    if (err != MW_OK)
        return err;
    err = mw_log_pattern_search(pattern, record, at_the_end, &left, verdict);
    CHECK(err == MW_OK || err == MW_E_TIMEOUT);
    mw_log_pattern_free(pattern);
    return err;
}

/* A short text that is valid in a pattern's quotes. */
static void check_quoted(mw_slice text, mw_slice record)
{
    char quoted[256];
    mw_pattern_verdict verdict;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ' || text.data[i] > '~' || text.data[i] == '\\')
            return;
    if (text.len > 200)
        return;
    int len = snprintf(quoted, sizeof quoted, "\\Q%.*s\\E", MW_SLICE_FMT(text));
    mw_err err = search(mw_slice_bytes(quoted, (size_t)len), record, &verdict);
    CHECK(err == MW_E_TIMEOUT || (err == MW_OK && verdict == MW_PATTERN_FOUND));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mw_pattern_verdict first, second;
    mw_slice body, text;
    mw_body_walk walk;
    if (size < 2)
        return 0;
    mw_slice rest = mw_slice_bytes(data + 2, size - 2);
    mw_slice pattern = mw_slice_first(rest, (size_t)data[0] | (size_t)data[1] << 8);
    mw_slice record = mw_slice_first(mw_slice_from(rest, pattern.len), RECORD_MAX), left = record;
    CHECK(search(pattern, record, &first) == search(pattern, record, &second));
    CHECK(first == second);
    if (mw_record_body(&left, &body)) {
        mw_body_walk_begin(&walk, body);
        if (mw_body_walk_next(&walk, &text))
            check_quoted(text, record);
    }
    CHECK(mw_memory_component_used(MW_MEM_QUERY) == 0);
    return 0;
}
