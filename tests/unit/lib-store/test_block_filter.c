/* Filters of blocks: what was noted is never denied, what was not is denied nearly always, and
 * bytes that are no filter deny nothing. */
#include "tests/unit/lib-store/attribute_model.h"

#include "lib/store/format/block_filter.h"
#include "lib/store/format/hot_encode.h"
#include "lib/store/format/tool_name.h"
#include "lib/store/query/log_text.h"

static mw_attribute_wanted want(const char *key, const char *value)
{
    mw_attribute_wanted wanted;
    mw_attribute_query query = {mw_slice_of(key), mw_slice_of(value)};
    assert_int_equal(mw_attribute_want(&query, &wanted), MW_OK);
    return wanted;
}

static bool may_have(mw_slice filter, const char *key, const char *value)
{
    mw_attribute_wanted wanted = want(key, value);
    return mw_filter_may_have(filter, &wanted);
}

static mw_filter_writer *new_writer(void)
{
    mw_filter_writer *writer;
    assert_int_equal(mw_filter_writer_new(&writer), MW_OK);
    return writer;
}

/* key = prefix + number, as an attribute of a span. */
static void add_numbered(mw_filter_writer *writer, uint32_t number, const char *prefix,
                         uint64_t value)
{
    otlp_writer inner = {0}, pair = {0}, field = {0};
    char text[64];
    snprintf(text, sizeof text, "%s%llu", prefix, (unsigned long long)value);
    put_text(&inner, 1, text);
    put_text(&pair, 1, "key");
    put_bytes(&pair, 2, inner.data, inner.len);
    put_bytes(&field, number, pair.data, pair.len);
    mw_filter_add_field(writer, number == 6 ? MW_SIGNAL_LOGS : MW_SIGNAL_TRACES,
                        mw_slice_bytes(field.data, field.len));
    free(inner.data), free(pair.data), free(field.data);
}

static void add_body(mw_filter_writer *writer, mw_slice text)
{
    otlp_writer value = {0}, field = {0};
    put_bytes(&value, 1, text.data, text.len);
    put_bytes(&field, 5, value.data, value.len);
    mw_filter_add_field(writer, MW_SIGNAL_LOGS, mw_slice_bytes(field.data, field.len));
    free(value.data), free(field.data);
}

/* ---- properties ------------------------------------------------------------------------------ */

/* Whatever an item holds, its block's filter lets pass. */
static void test_never_denied(void **state)
{
    static const unsigned signals[] = {MW_SIGNAL_TRACES, MW_SIGNAL_LOGS};
    test_random random = {5};
    mw_filter_writer *writer = new_writer();
    (void)state;
    for (int round = 0; round < 400; round++) {
        model_attribute all[64];
        unsigned signal = signals[round % 2];
        size_t count = random_below(&random, 64), in_context = random_below(&random, count + 1);
        otlp_writer resource = {0};
        for (size_t i = 0; i < count; i++) {
            otlp_writer field = {0};
            model_attribute_put(i < in_context ? &resource : &field,
                                i < in_context             ? (round % 3 ? 1 : 3)
                                : signal == MW_SIGNAL_LOGS ? 6
                                                           : 9,
                                &random, &all[i]);
            mw_filter_add_field(writer, signal, mw_slice_bytes(field.data, field.len));
            free(field.data);
        }
        mw_filter_add_context(writer, mw_slice_bytes(resource.data, resource.len));
        mw_slice filter = mw_filter_writer_finish(writer);
        for (size_t i = 0; i < count; i++)
            if (all[i].comparable)
                assert_true(may_have(filter, all[i].key, all[i].text));
        free(resource.data);
    }
    mw_filter_writer_free(writer);
}

/* What a search would find, the filter lets pass: random bodies of few letters in both cases, and
 * needles that are cut from them and folded. */
static void test_texts_never_denied(void **state)
{
    test_random random = {6};
    mw_filter_writer *writer = new_writer();
    (void)state;
    for (int round = 0; round < 300; round++) {
        char body[200], needle[200];
        size_t len = random_below(&random, sizeof body);
        for (size_t i = 0; i < len; i++)
            body[i] = (char)random_below(&random, 256);
        add_body(writer, mw_slice_bytes(body, len));
        mw_slice filter = mw_filter_writer_finish(writer);
        for (int i = 0; i < 20; i++) {
            size_t from = random_below(&random, len + 1);
            size_t count = random_below(&random, len - from + 1);
            for (size_t j = 0; j < count; j++) {
                char c = body[from + j];
                bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                needle[j] = letter && random_below(&random, 2) ? (char)(c ^ 0x20) : c;
            }
            assert_true(mw_text_contains(mw_slice_bytes(body, len), mw_slice_bytes(needle, count)));
            assert_true(mw_filter_may_contain(filter, mw_slice_bytes(needle, count)));
        }
    }
    mw_filter_writer_free(writer);
}

/* Nested strings and keys count as in the search. */
static void test_nested_bodies(void **state)
{
    otlp_writer inner = {0}, pair = {0}, list = {0}, value = {0}, field = {0};
    mw_filter_writer *writer = new_writer();
    (void)state;
    put_text(&inner, 1, "deep inside");
    put_text(&pair, 1, "the key");
    put_bytes(&pair, 2, inner.data, inner.len);
    put_bytes(&list, 1, pair.data, pair.len);
    put_bytes(&value, 6, list.data, list.len);
    put_bytes(&field, 5, value.data, value.len);
    mw_filter_add_field(writer, MW_SIGNAL_LOGS, mw_slice_bytes(field.data, field.len));
    mw_slice filter = mw_filter_writer_finish(writer);
    assert_true(mw_filter_may_contain(filter, MW_SLICE("EEP ins")));
    assert_true(mw_filter_may_contain(filter, MW_SLICE("e KEY")));
    assert_true(mw_filter_may_contain(filter, MW_SLICE("zz")));
    assert_false(mw_filter_may_contain(filter, MW_SLICE("zzz")));
    assert_false(mw_filter_may_contain(filter, MW_SLICE("keydeep")));
    free(inner.data), free(pair.data), free(list.data), free(value.data), free(field.data);
    mw_filter_writer_free(writer);
}

/* Bodies of other signals, and fields that are neither, are not noted. */
static void test_other_fields(void **state)
{
    mw_filter_writer *writer = new_writer();
    (void)state;
    add_numbered(writer, 11, "event", 1);
    add_numbered(writer, 9, "attribute", 2);
    mw_filter_add_field(writer, MW_SIGNAL_TRACES, MW_SLICE("\x4a\x7f broken"));
    mw_filter_add_field(writer, MW_SIGNAL_TRACES, MW_SLICE_NONE);
    mw_filter_add_context(writer, MW_SLICE("\x0a\x05"
                                           "scope\xff\xff"));
    mw_slice filter = mw_filter_writer_finish(writer);
    assert_true(may_have(filter, "key", "attribute2"));
    assert_false(may_have(filter, "key", "event1"));
    assert_false(mw_filter_may_contain(filter, MW_SLICE("attribute2")));
    filter = mw_filter_writer_finish(writer);
    assert_false(may_have(filter, "key", "attribute2")); /* it began anew */
    mw_filter_writer_free(writer);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Of values that were not noted 1 to 2 in 100 pass, however many were; 8 to 10 bits each. */
static void test_rate_of_false_positives(void **state)
{
    static const uint64_t counts[] = {100, 5000, 40000, MW_FILTER_ATTRIBUTES_MAX};
    mw_filter_writer *writer = new_writer();
    (void)state;
    for (size_t round = 0; round < sizeof counts / sizeof counts[0]; round++) {
        size_t passed = 0, tries = 20000;
        for (uint64_t i = 0; i < counts[round]; i++) {
            add_numbered(writer, 9, "value", i);
            if (i % 7 == 0)
                add_numbered(writer, 9, "value", i); /* repeats cost nothing */
        }
        mw_slice filter = mw_filter_writer_finish(writer);
        for (uint64_t i = 0; i < counts[round]; i += 97) {
            char text[32];
            snprintf(text, sizeof text, "value%llu", (unsigned long long)i);
            assert_true(may_have(filter, "key", text));
        }
        for (size_t i = 0; i < tries; i++) {
            char text[32];
            snprintf(text, sizeof text, "other%zu", i);
            passed += may_have(filter, "key", text);
        }
        double rate = (double)passed / (double)tries;
        double bits = 8 * (double)filter.len / (double)counts[round];
        print_message("%llu elements: %.2f bits each, %.2f %% false\n",
                      (unsigned long long)counts[round], bits, 100 * rate);
        assert_true(rate < 0.022);
        assert_true(bits < (counts[round] < 1000 ? 17 : 10));
    }
    mw_filter_writer_free(writer);
}

/* The same of trigrams: hexadecimal and words. */
static void test_rate_of_trigrams(void **state)
{
    mw_filter_writer *writer = new_writer();
    test_random random = {8};
    size_t passed = 0, tries = 5000;
    (void)state;
    for (int i = 0; i < 8192; i++) {
        char text[96];
        int len = snprintf(text, sizeof text, "request %016llx took %llu ms at /api/v%llu/orders",
                           (unsigned long long)random_next(&random),
                           (unsigned long long)random_below(&random, 5000),
                           (unsigned long long)random_below(&random, 3));
        add_body(writer, mw_slice_bytes(text, (size_t)len));
    }
    mw_slice filter = mw_filter_writer_finish(writer);
    for (size_t i = 0; i < tries; i++) {
        char text[4] = {(char)('g' + random_below(&random, 20)),
                        (char)('g' + random_below(&random, 20)),
                        (char)('g' + random_below(&random, 20)), 0};
        passed += mw_filter_may_contain(filter, mw_slice_bytes(text, 3));
    }
    print_message("%zu bytes, %.2f %% of three random letters pass\n", filter.len,
                  100.0 * (double)passed / (double)tries);
    assert_true((double)passed / (double)tries < 0.03);
    assert_true(mw_filter_may_contain(filter, MW_SLICE("/api/v2/orders")));
    assert_false(mw_filter_may_contain(filter, MW_SLICE("connection refused")));
    mw_filter_writer_free(writer);
}

static void test_too_many(void **state)
{
    mw_filter_writer *writer = new_writer();
    test_random random = {9};
    char bytes[4096];
    (void)state;
    for (uint64_t i = 0; i <= MW_FILTER_ATTRIBUTES_MAX; i++)
        add_numbered(writer, 6, "value", i);
    add_body(writer, MW_SLICE("some words"));
    mw_slice filter = mw_filter_writer_finish(writer);
    assert_true(may_have(filter, "none", "such"));
    assert_false(mw_filter_may_contain(filter, MW_SLICE("such")));
    for (int i = 0; i < 100; i++) {
        for (size_t j = 0; j < sizeof bytes; j++)
            bytes[j] = (char)random_below(&random, 256);
        add_body(writer, mw_slice_bytes(bytes, sizeof bytes));
    }
    add_numbered(writer, 6, "value", 1);
    filter = mw_filter_writer_finish(writer);
    assert_true(mw_filter_may_contain(filter, MW_SLICE("such")));
    assert_false(may_have(filter, "none", "such"));
    assert_true(may_have(filter, "key", "value1"));
    mw_filter_writer_free(writer);
}

/* Without memory it lets pass, and works again afterwards. */
static void test_no_memory(void **state)
{
    mw_filter_writer *writer;
    (void)state;
    mw_memory_fail_at(1);
    assert_int_equal(mw_filter_writer_new(&writer), MW_E_NOMEM);
    for (uint64_t at = 1; at < 6; at++) {
        writer = new_writer();
        mw_memory_fail_at(at);
        add_body(writer, MW_SLICE("words of a body"));
        for (uint64_t i = 0; i < 3000; i++)
            add_numbered(writer, 6, "value", i);
        mw_slice filter = mw_filter_writer_finish(writer);
        mw_memory_fail_at(0);
        assert_true(may_have(filter, "key", "value7"));
        assert_true(mw_filter_may_contain(filter, MW_SLICE("WORDS")));
        add_numbered(writer, 6, "value", 7);
        filter = mw_filter_writer_finish(writer);
        assert_true(may_have(filter, "key", "value7"));
        assert_false(may_have(filter, "key", "value8"));
        mw_filter_writer_free(writer);
    }
    assert_int_equal(mw_memory_component_used(MW_MEM_MERGE), 0);
}

/* ---- columns of spans ------------------------------------------------------------------------ */

static bool may_name(mw_slice filter, mw_filter_name column, const char *name)
{
    return mw_filter_may_name(filter, column, mw_slice_of(name));
}

/* Every column by itself, also where one text stands in two of them: of another column hardly
 * anything passes. */
static void assert_names(mw_slice filter)
{
    char name[32];
    unsigned passed = 0;
    for (unsigned i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "user-%u", i);
        assert_true(may_name(filter, MW_FILTER_USER, name));
        passed += may_name(filter, MW_FILTER_AGENT, name);
        passed += may_name(filter, MW_FILTER_TOOL, name);
        snprintf(name, sizeof name, "agent-%u", i);
        assert_true(may_name(filter, MW_FILTER_AGENT, name));
        passed += may_name(filter, MW_FILTER_USER, name);
        snprintf(name, sizeof name, "tool-%u", i);
        assert_true(may_name(filter, MW_FILTER_TOOL, name));
        passed += may_name(filter, MW_FILTER_MODEL, name);
    }
    assert_true(passed < 40); /* of 200 */
    assert_true(may_name(filter, MW_FILTER_MODEL, "both"));
    assert_true(may_name(filter, MW_FILTER_AGENT, "both"));
    assert_true(mw_filter_may_contain(filter, MW_SLICE("Execute_TOOL tool-4")));
    assert_true(mw_filter_may_contain(filter, MW_SLICE("nd")));
    assert_false(mw_filter_may_contain(filter, MW_SLICE("user connection refused")));
}

static void test_columns(void **state)
{
    static const char *const before[] = {"execute_tool ", "tools/call ", "", ""};
    static const char *const behind[] = {"", "", ".tool", ""};
    mw_block_header header = {.signal = MW_SIGNAL_TRACES, .item_count = 51};
    mw_filter_writer *writer = new_writer();
    unsigned char *raw;
    char names[3][50][40];
    char longest[MW_FILTER_VALUE_MAX + 1];
    test_batch batch;
    mw_hot hot;
    (void)state;
    memset(longest, 'l', sizeof longest);
    test_batch_init(&batch, 51);
    for (unsigned i = 0; i < 50; i++) {
        test_span(&batch, i, i, i + 1, 0);
        snprintf(names[0][i], sizeof names[0][i], "user-%u", i);
        snprintf(names[1][i], sizeof names[1][i], "agent-%u", i);
        snprintf(names[2][i], sizeof names[2][i], "%stool-%u%s", before[i % 4], i, behind[i % 4]);
        batch.spans[i].user = mw_slice_of(names[0][i]);
        batch.spans[i].agent = mw_slice_of(names[1][i]);
        batch.spans[i].name = mw_slice_of(names[2][i]);
    }
    test_span(&batch, 50, 50, 51, 0);
    batch.spans[50].model = batch.spans[50].agent = MW_SLICE("both");
    batch.spans[50].user = mw_slice_bytes(longest, sizeof longest);
    assert_int_equal(mw_hot_encode(&batch.batch, &header, &raw), MW_OK);
    assert_int_equal(mw_hot_decode(&header, mw_slice_bytes(raw, header.hot_raw), &hot), MW_OK);
    for (int again = 0; again < 2; again++) {
        mw_filter_add_columns(writer, &hot);
        mw_slice filter = mw_filter_writer_finish(writer);
        assert_names(filter);
        assert_true(mw_filter_may_name(filter, MW_FILTER_USER, batch.spans[50].user));
    }
    mw_free(MW_MEM_INGEST, raw);
    test_batch_fini(&batch);
    mw_filter_writer_free(writer);
    assert_int_equal(mw_memory_component_used(MW_MEM_MERGE), 0);
}

static void test_tool_names(void **state)
{
    static const struct {
        const char *name, *tool;
        bool is;
    } rows[] = {{"x", "x", true},
                {"execute_tool x", "x", true},
                {"tools/call x", "x", true},
                {"x.tool", "x", true},
                {"x.tool", "x.tool", true},
                {"execute_tool x", "execute_tool x", true},
                {"execute_tool x", "X", false},
                {"execute_toolx", "x", false},
                {"xtool", "x", false},
                {"execute_tool x.tool", "x", false},
                {"execute_tool x.tool", "x.tool", true},
                {"", "x", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(mw_names_tool(mw_slice_of(rows[i].name), mw_slice_of(rows[i].tool)),
                         rows[i].is);
}

/* Anything that is no filter of this version lets all pass. */
static void test_broken_filters(void **state)
{
    mw_filter_writer *writer = new_writer();
    char copy[4096];
    (void)state;
    assert_true(may_have(MW_SLICE_NONE, "key", "value"));
    assert_true(mw_filter_may_contain(MW_SLICE_NONE, MW_SLICE("value")));
    add_numbered(writer, 6, "value", 1);
    add_body(writer, MW_SLICE("words"));
    mw_slice filter = mw_filter_writer_finish(writer);
    assert_true(filter.len < sizeof copy);
    assert_false(may_have(filter, "key", "value2"));
    for (size_t len = 0; len < filter.len; len++)
        assert_true(may_have(mw_slice_first(filter, len), "key", "value2"));
    memcpy(copy, filter.data, filter.len);
    copy[0] = 1;
    assert_true(may_have(mw_slice_bytes(copy, filter.len), "key", "value2"));
    assert_true(
        mw_filter_may_name(mw_slice_bytes(copy, filter.len), MW_FILTER_USER, MW_SLICE("nobody")));
    copy[0] = 2;
    assert_false(may_have(mw_slice_bytes(copy, filter.len), "key", "value2"));
    memset(copy + 4, 0xff, 8);
    assert_true(may_have(mw_slice_bytes(copy, filter.len), "key", "value2"));
    mw_filter_writer_free(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_denied),
        cmocka_unit_test(test_texts_never_denied),
        cmocka_unit_test(test_nested_bodies),
        cmocka_unit_test(test_other_fields),
        cmocka_unit_test(test_rate_of_false_positives),
        cmocka_unit_test(test_rate_of_trigrams),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_tool_names),
        cmocka_unit_test(test_broken_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
