/* Attributes in the validating pass: the plain form that SDKs write has a way of its own, and keys
 * are guessed from the item before. Neither may be seen in what comes out. */
#include "proto/scan.h"
#include "tests/check.h"
#include "tests/otlp_writer.h"

#define SPANS_MAX 8
#define FOUND_MAX 40

typedef struct seen_span {
    mw_found found[FOUND_MAX];
    size_t count;
    bool bad_utf8;
} seen_span;

typedef struct seen_spans {
    seen_span spans[SPANS_MAX];
    size_t count;
    mw_scan_result result;
} seen_spans;

static const char *const key_names[] = {"n", "session.id", "user.id", "service",
                                        "a.key.of.more.than.thirty.two.bytes"};
enum { KEY_N, KEY_SESSION, KEY_USER, KEY_SERVICE, KEY_LONG };
static mw_keyset *keys;

static mw_err see_resource(void *ctx, const mw_scan_resource *resource)
{
    (void)ctx, (void)resource;
    return MW_OK;
}

static mw_err see_scope(void *ctx, const mw_scan_scope *scope)
{
    (void)ctx, (void)scope;
    return MW_OK;
}

static mw_err see_span(void *ctx, const mw_scan_span *span)
{
    seen_spans *seen = ctx;
    assert_true(seen->count < SPANS_MAX && span->found_count <= FOUND_MAX);
    seen_span *kept = &seen->spans[seen->count++];
    kept->count = span->found_count;
    kept->bad_utf8 = span->bad_utf8;
    memcpy(kept->found, span->found, span->found_count * sizeof *span->found);
    return MW_OK;
}

/* Of `spans`; slices of what is seen point into *request, which is the caller's to free. */
static mw_err scan(otlp_writer *spans, otlp_writer *request, seen_spans *seen)
{
    *seen = (seen_spans){.count = 0};
    *request = request_of(spans);
    const mw_scan_sink sink = {
        .ctx = seen, .resource = see_resource, .scope = see_scope, .span = see_span};
    return mw_scan_traces(written(request), keys, &sink, &seen->result);
}

/* ---- forms ----------------------------------------------------------------------------------- */

typedef struct attribute_form {
    const char *bytes;
    size_t len;
    mw_err expected;
    int key; /* -1 = nothing is found */
    mw_value_type type;
    int64_t number;
    const char *text;
} attribute_form;

#define FORM(bytes) bytes, sizeof(bytes) - 1

static const attribute_form forms[] = {
    {FORM("\x0a\x01n\x12\x02\x18\x05"), MW_OK, KEY_N, MW_VALUE_INT, 5, NULL},
    {FORM("\x0a\x01n\x12\x04\x0a\x02"
          "ab"),
     MW_OK, KEY_N, MW_VALUE_STRING, 0, "ab"},
    {FORM("\x0a\x01n\x12\x02\x0a\x00"), MW_OK, KEY_N, MW_VALUE_STRING, 0, ""},
    /* lengths and numbers with more bytes than they need */
    {FORM("\x0a\x81\x00n\x12\x02\x18\x05"), MW_OK, KEY_N, MW_VALUE_INT, 5, NULL},
    {FORM("\x0a\x01n\x12\x82\x00\x18\x05"), MW_OK, KEY_N, MW_VALUE_INT, 5, NULL},
    {FORM("\x0a\x01n\x12\x04\x18\x85\x80\x00"), MW_OK, KEY_N, MW_VALUE_INT, 5, NULL},
    /* no value, an empty one, others than text and integer */
    {FORM("\x0a\x01n"), MW_OK, KEY_N, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x01n\x12\x00"), MW_OK, KEY_N, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x01n\x12\x02\x10\x01"), MW_OK, KEY_N, MW_VALUE_BOOL, 1, NULL},
    /* another order, twice, something behind */
    {FORM("\x12\x02\x18\x05\x0a\x01n"), MW_OK, KEY_N, MW_VALUE_INT, 5, NULL},
    {FORM("\x0a\x01n\x12\x04\x18\x05\x18\x06"), MW_OK, KEY_N, MW_VALUE_INT, 6, NULL},
    {FORM("\x0a\x01n\x12\x05\x0a\x01x\x18\x06"), MW_OK, KEY_N, MW_VALUE_INT, 6, NULL},
    {FORM("\x0a\x01n\x12\x02\x18\x05\x12\x02\x18\x07"), MW_OK, KEY_N, MW_VALUE_INT, 7, NULL},
    {FORM("\x0a\x01n\x12\x02\x18\x05\x0a\x00"), MW_OK, -1, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x01n\x12\x02\x18\x05\x18\x01"), MW_OK, KEY_N, MW_VALUE_INT, 5, NULL},
    {FORM("\x12\x02\x18\x05"), MW_OK, -1, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x00\x12\x02\x18\x05"), MW_OK, -1, MW_VALUE_EMPTY, 0, NULL},
    /* broken */
    {FORM("\x0a\x01n\x12"), MW_E_SYNTAX, -1, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x7fn\x12\x02\x18\x05"), MW_E_SYNTAX, -1, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x01n\x12\x03\x18\x05"), MW_E_SYNTAX, -1, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x01n\x12\x01\x18\x05"), MW_E_SYNTAX, -1, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x01n\x12\x02\x18\x85"), MW_E_SYNTAX, -1, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x01n\x12\x04\x0a\x03"
          "ab"),
     MW_E_SYNTAX, -1, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x01n\x12\x04\x0a\x01"
          "ab"),
     MW_E_SYNTAX, -1, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x0a\x01n\x12\x02\x19\x05"), MW_E_SYNTAX, -1, MW_VALUE_EMPTY, 0, NULL},
    {FORM("\x08\x01\x12\x02\x18\x05"), MW_E_SYNTAX, -1, MW_VALUE_EMPTY, 0, NULL},
};

static void check_value(const attribute_form *expected, const mw_value *got)
{
    assert_int_equal(got->type, expected->type);
    if (expected->text)
        assert_slice(got->bytes, expected->text);
    else if (got->type == MW_VALUE_INT)
        assert_int_equal(got->as.i, expected->number);
    else if (got->type == MW_VALUE_BOOL)
        assert_int_equal(got->as.b, expected->number);
}

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const attribute_form *form = &forms[i];
        otlp_writer span = plain_span(1, "form"), spans = {0}, request;
        seen_spans seen;
        put_bytes(&span, 9, form->bytes, form->len);
        put_message(&spans, 2, &span);
        mw_err err = scan(&spans, &request, &seen);
        if (err != form->expected)
            fail_msg("form %zu: %d instead of %d", i, err, form->expected);
        if (err == MW_OK) {
            assert_int_equal(seen.spans[0].count, form->key >= 0);
            if (form->key >= 0) {
                assert_int_equal(seen.spans[0].found[0].key, form->key);
                check_value(form, &seen.spans[0].found[0].value);
            }
        }
        free(request.data);
    }
}

/* ---- guesses --------------------------------------------------------------------------------- */

static void put_span(otlp_writer *spans, const char *const *names, size_t count)
{
    otlp_writer span = plain_span((uint8_t)(count + 1), "guess");
    for (size_t i = 0; i < count; i++)
        put_int_attribute(&span, 9, names[i], (int64_t)i);
    put_message(spans, 2, &span);
}

/* The keys of the set that are there, each with its position as value, in order. */
static void check_span(const seen_span *span, const char *const *names, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        int id = mw_keyset_find(keys, mw_slice_of(names[i]));
        if (id < 0)
            continue;
        assert_true(at < span->count);
        assert_int_equal(span->found[at].key, id);
        assert_int_equal(span->found[at++].value.as.i, (int64_t)i);
    }
    assert_int_equal(at, span->count);
}

/* The same position: another key, one of the same length, one that differs in its first, middle or
 * last bytes alone, one of the set or not, long and short ones. */
static void test_guesses(void **state)
{
    (void)state;
    static const char *const lists[][6] = {
        {"session.id", "user.id", "n", "service", "", ""},
        {"user.id", "session.id", "m", "service", "user.xd", "session.iD"},
        {"user.id", "session.id", "n", "servicf", "user.id", "session.id"},
        {"Session.id", "user-id", "n", "tervice", "session.id", "user.id"},
        {"session.id", "user.id", "n", "service", "not.of.the.set.at.all", "x"},
        {"session.id", "user.id", "n", "service", "not.of.the.sEt.at.all", "user.id"},
        {"a.key.of.more.than.thirty.two.bytes", "session.id", "n", "", "user.id", "service"},
        {"a.key.of.more.than.thirty.two.bytez", "session.id", "", "n", "user.id", "service"},
    };
    enum { COUNT = sizeof lists / sizeof *lists };
    otlp_writer spans = {0}, request;
    seen_spans seen;
    for (size_t i = 0; i < COUNT; i++)
        put_span(&spans, lists[i], i == 0 ? 4 : 6);
    assert_int_equal(scan(&spans, &request, &seen), MW_OK);
    assert_int_equal(seen.count, COUNT);
    check_span(&seen.spans[0], lists[0], 4);
    /* The last of equal keys wins, at the first's place. */
    assert_int_equal(seen.spans[2].count, 3);
    assert_int_equal(seen.spans[2].found[0].key, KEY_USER);
    assert_int_equal(seen.spans[2].found[0].value.as.i, 4);
    check_span(&seen.spans[1], lists[1], 6);
    for (size_t i = 3; i < 5; i++)
        check_span(&seen.spans[i], lists[i], 6);
    for (size_t i = 6; i < COUNT; i++)
        check_span(&seen.spans[i], lists[i], 6);
    assert_int_equal(seen.spans[6].found[0].key, KEY_LONG);
    free(request.data);
}

/* More attributes than guesses are kept for. */
static void test_many(void **state)
{
    (void)state;
    static char texts[64][16];
    const char *names[64];
    otlp_writer spans = {0}, request;
    seen_spans seen;
    for (size_t i = 0; i < 64; i++) {
        snprintf(texts[i], sizeof texts[i], "other.%zu", i);
        names[i] = i % 16 == 15 ? key_names[i / 16] : texts[i];
    }
    for (int i = 0; i < 3; i++)
        put_span(&spans, names, 64);
    assert_int_equal(scan(&spans, &request, &seen), MW_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(seen.spans[i].count, 4);
        check_span(&seen.spans[i], names, 64);
    }
    free(request.data);
}

/* A bad key is seen in each item that has it, and in no other. */
static void test_bad_keys(void **state)
{
    (void)state;
    static const char *const names[] = {"good.key", "bad.\xff.key", "bad.\xff.key",
                                        "good.key", "bad.\xff.key", "good.key"};
    otlp_writer spans = {0}, request;
    seen_spans seen;
    for (size_t i = 0; i < 6; i++)
        put_span(&spans, &names[i], 1);
    assert_int_equal(scan(&spans, &request, &seen), MW_OK);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(seen.spans[i].bad_utf8, names[i][0] == 'b');
    assert_int_equal(seen.result.bad_utf8, 3);
    free(request.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_bad_keys),
    };
    keys = mw_keyset_new(key_names, sizeof key_names / sizeof *key_names);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mw_keyset_free(keys);
    return failed;
}
