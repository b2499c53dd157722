/* Fuzz target of the event reader: what it hands on does not depend on how the bytes are cut, and
 * is what a second reader finds that looks at the whole text at once, line by line. The first byte
 * of the input is the size of the pieces. */
#include <stdlib.h>

#include "cli/event_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* Events as text: each part behind its length, so that nothing can be mistaken. */
static void note(mw_buffer *out, mw_slice part)
{
    mw_buffer_appendf(out, "%zu:", part.len);
    mw_buffer_append_slice(out, part);
}

static bool take(void *ctx, const mw_event *event)
{
    note(ctx, event->id);
    note(ctx, event->name);
    note(ctx, event->data);
    return true;
}

static bool has_long_part(mw_slice text)
{
    size_t run = 0;
    for (size_t i = 0; i < text.len; i++) {
        run = text.data[i] == '\n' || text.data[i] == '\r' ? 0 : run + 1;
        if (run > MW_EVENT_ID_MAX)
            return true;
    }
    return false;
}

static void read_in_pieces(mw_slice text, size_t step, mw_buffer *out)
{
    mw_event_reader reader;
    mw_event_reader_init(&reader);
    for (size_t at = 0; at < text.len; at += step) {
        mw_slice piece = mw_slice_first(mw_slice_from(text, at), step);
        REQUIRE(mw_event_reader_feed(&reader, piece, take, out) == MW_OK);
    }
    mw_event_reader_fini(&reader);
}

typedef struct plain_reader {
    mw_slice name, id, last_id;
    mw_buffer data;
    bool has_data;
    mw_buffer *out;
} plain_reader;

static void plain_line(plain_reader *plain, mw_slice line)
{
    static const char *const names[] = {"data", "id", "event"};
    if (line.len == 0) {
        bool moved = !mw_slice_equal(plain->id, plain->last_id);
        const mw_event event = {plain->id, plain->name, mw_buffer_slice(&plain->data)};
        plain->last_id = plain->id;
        if (plain->has_data || moved)
            take(plain->out, &event);
        mw_buffer_clear(&plain->data);
        plain->has_data = false;
        plain->name = MW_SLICE_NONE;
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        mw_slice name = mw_slice_of(names[i]);
        mw_slice value = mw_slice_from(line, name.len);
        if (!mw_slice_starts(line, name) || (value.len && value.data[0] != ':'))
            continue;
        value = mw_slice_from(value, value.len > 0);
        value = mw_slice_from(value, value.len > 0 && value.data[0] == ' ');
        if (i == 0 && plain->has_data)
            mw_buffer_append_byte(&plain->data, '\n');
        if (i == 0)
            mw_buffer_append_slice(&plain->data, value);
        plain->has_data |= i == 0;
        if (i == 1 && (!value.len || !memchr(value.data, 0, value.len)))
            plain->id = value;
        if (i == 2)
            plain->name = value;
    }
}

static void read_plainly(mw_slice text, mw_buffer *out)
{
    plain_reader plain = {.out = out};
    size_t start = mw_slice_starts(text, MW_SLICE("\xef\xbb\xbf")) ? 3 : 0;
    mw_buffer_init(&plain.data, MW_MEM_BASE, (size_t)1 << 20);
    for (size_t at = start; at < text.len; at++) {
        if (text.data[at] != '\n' && text.data[at] != '\r')
            continue;
        plain_line(&plain, (mw_slice){text.data + start, at - start});
        at += text.data[at] == '\r' && at + 1 < text.len && text.data[at + 1] == '\n';
        start = at + 1;
    }
    mw_buffer_fini(&plain.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mw_buffer pieces, plain;
    if (size < 1 || size > 100000)
        return 0;
    mw_slice text = mw_slice_bytes(data + 1, size - 1);
    if (has_long_part(text))
        return 0;
    mw_buffer_init(&pieces, MW_MEM_BASE, (size_t)16 << 20);
    mw_buffer_init(&plain, MW_MEM_BASE, (size_t)16 << 20);
    read_in_pieces(text, 1 + (size_t)data[0], &pieces);
    read_plainly(text, &plain);
    REQUIRE(!pieces.err && !plain.err);
    REQUIRE(mw_slice_equal(mw_buffer_slice(&pieces), mw_buffer_slice(&plain)));
    mw_buffer_fini(&pieces);
    mw_buffer_fini(&plain);
    return 0;
}
