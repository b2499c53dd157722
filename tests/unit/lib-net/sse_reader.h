/* A reader of event streams, step by step as the HTML standard has it. For tests and the fuzzer;
 * events are kept whole, NUL bytes in data too. */
#ifndef MW_TESTS_SSE_READER_H
#define MW_TESTS_SSE_READER_H

#include <stdlib.h>
#include <string.h>

#include "lib/net/sse.h"

#define SSE_EVENTS_MAX 64

typedef struct sse_seen {
    char *type;
    char *data;
    size_t data_len;
    char *last_id;
} sse_seen;

typedef struct sse_text {
    char *data;
    size_t len;
} sse_text;

typedef struct sse_reader {
    sse_seen events[SSE_EVENTS_MAX];
    size_t count;
    unsigned long retry_ms;
    sse_text type, data, last_id;
    bool has_data;
} sse_reader;

static inline void sse_put(sse_text *to, const char *bytes, size_t len)
{
    char *moved = realloc(to->data, to->len + len + 1);
    if (!moved)
        abort();
    to->data = moved;
    if (len)
        memcpy(to->data + to->len, bytes, len);
    to->len += len;
    to->data[to->len] = '\0';
}

static inline void sse_set(sse_text *to, const char *bytes, size_t len)
{
    to->len = 0;
    sse_put(to, bytes, len);
}

static inline char *sse_dup(const sse_text *from)
{
    char *copy = malloc(from->len + 1);
    if (!copy)
        abort();
    memcpy(copy, from->data, from->len + 1);
    return copy;
}

static inline void sse_reader_init(sse_reader *r)
{
    memset(r, 0, sizeof *r);
    sse_set(&r->type, "", 0);
    sse_set(&r->data, "", 0);
    sse_set(&r->last_id, "", 0);
}

static inline void sse_reader_fini(sse_reader *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->events[i].type);
        free(r->events[i].data);
        free(r->events[i].last_id);
    }
    free(r->type.data);
    free(r->data.data);
    free(r->last_id.data);
}

/* "If the data buffer is an empty string" is asked before its last line feed is taken off. */
static inline void sse_dispatch(sse_reader *r)
{
    if (r->data.len > 0) {
        if (r->count == SSE_EVENTS_MAX)
            abort();
        sse_seen *seen = &r->events[r->count++];
        r->data.len--;
        r->data.data[r->data.len] = '\0';
        if (r->type.len == 0)
            sse_set(&r->type, "message", 7);
        *seen = (sse_seen){sse_dup(&r->type), sse_dup(&r->data), r->data.len, sse_dup(&r->last_id)};
    }
    sse_set(&r->data, "", 0);
    sse_set(&r->type, "", 0);
}

static inline bool sse_digits(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (value[i] < '0' || value[i] > '9')
            return false;
    return len > 0;
}

static inline void sse_field(sse_reader *r, const char *line, size_t name_len, const char *value,
                             size_t len)
{
    if (name_len == 5 && memcmp(line, "event", 5) == 0) {
        sse_set(&r->type, value, len);
    } else if (name_len == 4 && memcmp(line, "data", 4) == 0) {
        sse_put(&r->data, value, len);
        sse_put(&r->data, "\n", 1);
    } else if (name_len == 2 && memcmp(line, "id", 2) == 0) {
        if (!memchr(value, '\0', len))
            sse_set(&r->last_id, value, len);
    } else if (name_len == 5 && memcmp(line, "retry", 5) == 0) {
        char number[24] = "";
        if (sse_digits(value, len) && len < sizeof number) {
            memcpy(number, value, len);
            r->retry_ms = strtoul(number, NULL, 10);
        }
    }
}

static inline void sse_line(sse_reader *r, const char *line, size_t len)
{
    const char *colon = len ? memchr(line, ':', len) : NULL;
    if (len == 0) {
        sse_dispatch(r);
    } else if (!colon) {
        sse_field(r, line, len, "", 0);
    } else if (colon != line) {
        const char *value = colon + 1;
        size_t value_len = len - (size_t)(value - line);
        if (value_len > 0 && value[0] == ' ') {
            value++;
            value_len--;
        }
        sse_field(r, line, (size_t)(colon - line), value, value_len);
    }
}

/* A whole stream at once. Lines that no line end follows are dropped, as at the end of a file. */
static inline void sse_reader_feed(sse_reader *r, mw_slice in)
{
    size_t start = 0;
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] != '\n' && in.data[i] != '\r')
            continue;
        sse_line(r, in.data + start, i - start);
        if (in.data[i] == '\r' && i + 1 < in.len && in.data[i + 1] == '\n')
            i++;
        start = i + 1;
    }
}

#endif
