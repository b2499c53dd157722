/* Server-sent events, read. See event_reader.h. */
#include "cli/event_reader.h"

void mw_event_reader_init(mw_event_reader *reader)
{
    memset(reader, 0, sizeof *reader);
    mw_buffer_init(&reader->line, MW_MEM_BASE, MW_EVENT_MAX);
    mw_buffer_init(&reader->data, MW_MEM_BASE, MW_EVENT_MAX);
    mw_buffer_init(&reader->name, MW_MEM_BASE, MW_EVENT_ID_MAX);
    mw_buffer_init(&reader->id, MW_MEM_BASE, MW_EVENT_ID_MAX);
    mw_buffer_init(&reader->last_id, MW_MEM_BASE, MW_EVENT_ID_MAX);
    reader->first_line = true;
}

void mw_event_reader_fini(mw_event_reader *reader)
{
    mw_buffer_fini(&reader->line);
    mw_buffer_fini(&reader->data);
    mw_buffer_fini(&reader->name);
    mw_buffer_fini(&reader->id);
    mw_buffer_fini(&reader->last_id);
}

static void set(mw_buffer *to, mw_slice text)
{
    mw_buffer_clear(to);
    mw_buffer_append_slice(to, text);
}

void mw_event_reader_restart(mw_event_reader *reader)
{
    mw_buffer_clear(&reader->line);
    mw_buffer_clear(&reader->data);
    mw_buffer_clear(&reader->name);
    set(&reader->id, mw_buffer_slice(&reader->last_id));
    reader->has_data = reader->after_cr = false;
    reader->first_line = true;
}

mw_slice mw_event_reader_last_id(const mw_event_reader *reader)
{
    return mw_buffer_slice(&reader->last_id);
}

/* ---- lines --------------------------------------------------------------------------------- */

static void take_field(mw_event_reader *reader, mw_slice name, mw_slice value)
{
    uint64_t number;
    if (mw_slice_equal(name, MW_SLICE("event"))) {
        set(&reader->name, value);
    } else if (mw_slice_equal(name, MW_SLICE("data"))) {
        if (reader->has_data)
            mw_buffer_append_byte(&reader->data, '\n');
        mw_buffer_append_slice(&reader->data, value);
        reader->has_data = true;
    } else if (mw_slice_equal(name, MW_SLICE("id"))) {
        if (mw_slice_find_byte(value, '\0') == value.len)
            set(&reader->id, value);
    } else if (mw_slice_equal(name, MW_SLICE("retry"))) {
        if (mw_slice_u64(value, &number) == MW_OK && number <= UINT32_MAX)
            reader->retry_ms = (uint32_t)number;
    }
}

static mw_err dispatch(mw_event_reader *reader, bool (*take)(void *, const mw_event *), void *ctx)
{
    mw_slice id = mw_buffer_slice(&reader->id);
    bool moved = !mw_slice_equal(id, mw_buffer_slice(&reader->last_id));
    bool go = true;
    set(&reader->last_id, id);
    const mw_event event = {mw_buffer_slice(&reader->last_id), mw_buffer_slice(&reader->name),
                            mw_buffer_slice(&reader->data)};
    if (reader->has_data || moved)
        go = take(ctx, &event);
    mw_buffer_clear(&reader->data);
    mw_buffer_clear(&reader->name);
    reader->has_data = false;
    return go ? MW_OK : MW_E_CLOSED;
}

static mw_err first_error(const mw_event_reader *reader)
{
    const mw_buffer *buffers[] = {&reader->line, &reader->data, &reader->name, &reader->id,
                                  &reader->last_id};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        if (buffers[i]->err)
            return buffers[i]->err;
    return MW_OK;
}

static mw_err take_line(mw_event_reader *reader, bool (*take)(void *, const mw_event *), void *ctx)
{
    mw_slice line = mw_buffer_slice(&reader->line);
    if (reader->first_line && mw_slice_starts(line, MW_SLICE("\xef\xbb\xbf")))
        line = mw_slice_from(line, 3);
    reader->first_line = false;
    size_t colon = mw_slice_find_byte(line, ':');
    mw_slice value = mw_slice_from(line, colon + 1);
    mw_err err = MW_OK;
    if (line.len == 0)
        err = first_error(reader) ? first_error(reader) : dispatch(reader, take, ctx);
    else if (colon > 0)
        take_field(reader, mw_slice_first(line, colon),
                   mw_slice_from(value, mw_slice_starts(value, MW_SLICE(" "))));
    if (!err)
        err = first_error(reader);
    mw_buffer_clear(&reader->line);
    return err;
}

mw_err mw_event_reader_feed(mw_event_reader *reader, mw_slice bytes,
                            bool (*take)(void *ctx, const mw_event *event), void *ctx)
{
    mw_err err = MW_OK;
    size_t start = 0;
    for (size_t at = 0; at < bytes.len && !err; at++) {
        char byte = bytes.data[at];
        bool second = reader->after_cr && byte == '\n';
        reader->after_cr = byte == '\r';
        if (byte != '\n' && byte != '\r')
            continue;
        if (!second) {
            mw_buffer_append(&reader->line, bytes.data + start, at - start);
            err = take_line(reader, take, ctx);
        }
        start = at + 1;
    }
    if (!err && start < bytes.len)
        mw_buffer_append(&reader->line, bytes.data + start, bytes.len - start);
    return err ? err : reader->line.err;
}
