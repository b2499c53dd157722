/* What the tests of all three scans share: a request by hand, scanned from a copy of its exact
 * size, and what a capture is expected to hold. Each test has a `scan` of its own, which keeps what
 * its sink has seen. */
#ifndef MW_TESTS_SCAN_FIXTURE_H
#define MW_TESTS_SCAN_FIXTURE_H

#include <jansson.h>

#include "tests/check.h"
#include "tests/otlp_writer.h"

static mw_err scan(mw_slice body);

/* Frees the writer: nothing of what was seen may be read afterwards but numbers. */
static inline mw_err scan_written(otlp_writer *w)
{
    char *copy = malloc(w->len ? w->len : 1);
    assert_non_null(copy);
    if (w->len)
        memcpy(copy, w->data, w->len);
    mw_err err = scan((mw_slice){copy, w->len});
    free(copy);
    free(w->data);
    *w = (otlp_writer){0};
    return err;
}

/* A request with this span, log record or metric, which is emptied. */
static inline otlp_writer request_with(otlp_writer *item)
{
    otlp_writer items = {0};
    put_message(&items, 2, item);
    return request_of(&items);
}

static inline const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static inline int64_t count_of(json_t *object, const char *key)
{
    json_t *number = json_object_get(object, key);
    assert_true(json_is_integer(number));
    return json_integer_value(number);
}

#endif
