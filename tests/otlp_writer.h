/* Writes OTLP by hand for tests: just enough protobuf to build good and bad requests. */
#ifndef MW_TESTS_OTLP_WRITER_H
#define MW_TESTS_OTLP_WRITER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/slice.h"

typedef struct otlp_writer {
    uint8_t *data;
    size_t len, capacity;
} otlp_writer;

static inline void put_raw(otlp_writer *w, const void *data, size_t len)
{
    if (w->len + len > w->capacity) {
        w->capacity = (w->len + len) * 2 + 64;
        w->data = realloc(w->data, w->capacity);
        if (!w->data)
            abort();
    }
    if (len)
        memcpy(w->data + w->len, data, len);
    w->len += len;
}

static inline void put_varint(otlp_writer *w, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    put_raw(w, bytes, n);
}

static inline void put_tag(otlp_writer *w, uint32_t number, uint32_t type)
{
    put_varint(w, (uint64_t)number << 3 | type);
}

static inline void put_number(otlp_writer *w, uint32_t number, uint64_t value)
{
    put_tag(w, number, 0);
    put_varint(w, value);
}

static inline void put_fixed64(otlp_writer *w, uint32_t number, uint64_t value)
{
    put_tag(w, number, 1);
    put_raw(w, &value, sizeof value); /* tests run on little-endian machines */
}

static inline void put_fixed32(otlp_writer *w, uint32_t number, uint32_t value)
{
    put_tag(w, number, 5);
    put_raw(w, &value, sizeof value);
}

static inline void put_double(otlp_writer *w, uint32_t number, double value)
{
    put_tag(w, number, 1);
    put_raw(w, &value, sizeof value);
}

static inline void put_bytes(otlp_writer *w, uint32_t number, const void *data, size_t len)
{
    put_tag(w, number, 2);
    put_varint(w, len);
    put_raw(w, data, len);
}

static inline void put_text(otlp_writer *w, uint32_t number, const char *text)
{
    put_bytes(w, number, text, strlen(text));
}

/* Appends `child` as a field and empties it. */
static inline void put_message(otlp_writer *w, uint32_t number, otlp_writer *child)
{
    put_bytes(w, number, child->data, child->len);
    free(child->data);
    *child = (otlp_writer){0};
}

static inline mw_slice written(const otlp_writer *w)
{
    return (mw_slice){(const char *)w->data, w->len};
}

/* ---- OTLP ---------------------------------------------------------------------------------- */

/* KeyValue with that AnyValue as field `number`; the value is emptied. */
static inline void put_attribute(otlp_writer *w, uint32_t number, const char *key,
                                 otlp_writer *value)
{
    otlp_writer pair = {0};
    put_text(&pair, 1, key);
    put_message(&pair, 2, value);
    put_message(w, number, &pair);
}

static inline void put_text_attribute(otlp_writer *w, uint32_t number, const char *key,
                                      const char *text)
{
    otlp_writer value = {0};
    put_text(&value, 1, text);
    put_attribute(w, number, key, &value);
}

static inline void put_int_attribute(otlp_writer *w, uint32_t number, const char *key,
                                     int64_t count)
{
    otlp_writer value = {0};
    put_number(&value, 3, (uint64_t)count);
    put_attribute(w, number, key, &value);
}

/* AnyValue: `levels` arrays (odd levels) and key-value lists (even levels) around a string. */
static inline otlp_writer nested_value(unsigned levels)
{
    otlp_writer value = {0};
    put_text(&value, 1, "leaf");
    for (unsigned i = 0; i < levels; i++) {
        otlp_writer list = {0}, outer = {0};
        if (i % 2)
            put_attribute(&list, 1, "k", &value);
        else
            put_message(&list, 1, &value);
        put_message(&outer, i % 2 ? 6 : 5, &list);
        value = outer;
    }
    return value;
}

/* A good span without attributes; `n` tells its ids. */
static inline otlp_writer plain_span(uint8_t n, const char *name)
{
    otlp_writer span = {0};
    uint8_t trace_id[16], span_id[8];
    memset(trace_id, 0xa0, sizeof trace_id);
    memset(span_id, n, sizeof span_id);
    put_bytes(&span, 1, trace_id, sizeof trace_id);
    put_bytes(&span, 2, span_id, sizeof span_id);
    put_text(&span, 5, name);
    put_number(&span, 6, 3);
    put_fixed64(&span, 7, UINT64_C(1700000000000000000));
    put_fixed64(&span, 8, UINT64_C(1700000000000000500));
    return span;
}

/* Request with one resource (service.name "shop"), one scope ("tests") and what is in `spans`,
 * which holds `spans` fields of ScopeSpans (number 2) and is emptied. Log records and metrics have
 * the same numbers above them. */
static inline otlp_writer request_of(otlp_writer *spans)
{
    otlp_writer resource = {0}, scope = {0}, scope_spans = {0}, resource_spans = {0}, request = {0};
    put_text_attribute(&resource, 1, "service.name", "shop");
    put_text(&scope, 1, "tests");
    put_message(&scope_spans, 1, &scope);
    put_raw(&scope_spans, spans->data, spans->len);
    free(spans->data);
    *spans = (otlp_writer){0};
    put_message(&resource_spans, 1, &resource);
    put_message(&resource_spans, 2, &scope_spans);
    put_message(&request, 1, &resource_spans);
    return request;
}

#endif
