/* Fuzz target: filters of blocks and attributes as text.
 *
 * Input: a byte for the signal, two bytes of length (little endian), so many bytes of a message,
 * and bytes that are taken for a filter. Oracles: whatever the message holds, its filter lets pass,
 * and mw_attributes_held says what a plain reading of the message says; nothing reads out of bounds
 * (sanitizers).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json_writer.h"
#include "lib/store/format/block_filter.h"
#include "lib/store/format/body_walk.h"
#include "proto/wire.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* So many attributes are compared with each other: it costs their square. */
#define ATTRIBUTES_MAX 32

typedef struct pair {
    mw_slice key;
    mw_buffer text;
    bool comparable;
} pair;

typedef struct pairs {
    pair items[ATTRIBUTES_MAX];
    size_t count;
    bool all; /* there were no more */
} pairs;

/* The text of a value, in other words than the program's. */
static bool text_of(const mw_value *value, mw_buffer *out)
{
    mw_json json;
    mw_json_init(&json, out);
    switch (value->type) {
    case MW_VALUE_STRING: mw_buffer_append_slice(out, value->bytes); return true;
    case MW_VALUE_BOOL: mw_buffer_appendf(out, "%s", value->as.b ? "true" : "false"); return true;
    case MW_VALUE_INT: mw_buffer_appendf(out, "%lld", (long long)value->as.i); return true;
    case MW_VALUE_DOUBLE:
        mw_json_double(&json, value->as.d);
        if (out->data[0] == '"') {
            out->len--;
            mw_buffer_consume(out, 1);
        }
        return true;
    default: return false;
    }
}

static void add_pair(pairs *all, mw_slice attribute)
{
    mw_slice key;
    mw_value value;
    if (!mw_attribute_read(attribute, &key, &value))
        return;
    if (all->count == ATTRIBUTES_MAX) {
        all->all = false;
        return;
    }
    pair *one = &all->items[all->count++];
    one->key = key;
    mw_buffer_init(&one->text, MW_MEM_BASE, 1 << 20);
    one->comparable = text_of(&value, &one->text);
}

static void check_body(mw_slice filter, mw_slice body)
{
    mw_body_walk walk;
    mw_slice text;
    mw_body_walk_begin(&walk, body);
    while (mw_body_walk_next(&walk, &text)) {
        CHECK(mw_filter_may_contain(filter, text));
        CHECK(mw_filter_may_contain(filter, mw_slice_from(text, text.len / 3)));
    }
}

/* The last attribute of a key decides. */
static bool holds(const pairs *all, const pair *wanted)
{
    for (size_t i = all->count; i-- > 0;)
        if (mw_slice_equal(all->items[i].key, wanted->key))
            return all->items[i].comparable && mw_slice_equal(mw_buffer_slice(&all->items[i].text),
                                                              mw_buffer_slice(&wanted->text));
    return false;
}

static void check_pairs(mw_slice message, uint32_t number, mw_slice filter, mw_slice other,
                        const pairs *all)
{
    for (size_t i = 0; i < all->count; i++) {
        const pair *one = &all->items[i];
        mw_attribute_query query = {one->key, mw_buffer_slice(&one->text)};
        mw_attribute_wanted wanted;
        CHECK(mw_attribute_want(&query, &wanted) == MW_OK);
        CHECK(!one->comparable || mw_filter_may_have(filter, &wanted));
        (void)mw_filter_may_have(other, &wanted);
        bool held = mw_attributes_held(message, number, &wanted, 1) == 1;
        CHECK(!all->all || held == holds(all, one));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mw_filter_writer *writer;
    pairs all = {.all = true};
    if (size < 3)
        return 0;
    unsigned signal = 1 + data[0] % 3u;
    uint32_t number = signal == MW_SIGNAL_LOGS ? MW_LOG_ATTRIBUTES : MW_SPAN_ATTRIBUTES;
    mw_slice rest = mw_slice_bytes(data + 3, size - 3);
    mw_slice message = mw_slice_first(rest, (size_t)data[1] | (size_t)data[2] << 8);
    mw_slice other = mw_slice_from(rest, message.len), body, left = message;

    CHECK(mw_filter_writer_new(&writer) == MW_OK);
    const uint8_t *at = mw_wire_begin(message), *end = mw_wire_end(message);
    while (at && at < end) {
        mw_wire_field field;
        const uint8_t *next = mw_wire_next(at, end, &field);
        if (next) {
            mw_filter_add_field(writer, signal, mw_slice_bytes(at, (size_t)(next - at)));
            if (field.tag == MW_WIRE_TAG(number, MW_WIRE_BYTES))
                add_pair(&all, field.bytes);
        }
        at = next;
    }
    mw_filter_add_context(writer, message);
    mw_slice filter = mw_filter_writer_finish(writer);
    check_pairs(message, number, filter, other, &all);
    while (signal == MW_SIGNAL_LOGS && mw_record_body(&left, &body))
        check_body(filter, body);
    (void)mw_filter_may_contain(other, message);
    for (size_t i = 0; i < all.count; i++)
        mw_buffer_fini(&all.items[i].text);
    mw_filter_writer_free(writer);
    return 0;
}
