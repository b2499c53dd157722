/* The rows of a window, one by one. See window.h. One thread: the view's. */
#include "lib/store/window.h"

#include "lib/store/format/attribute_match.h"
#include "lib/store/format/body_walk.h"
#include "lib/store/store_int.h"
#include "proto/wire.h"

typedef struct window {
    mw_store_view *view;
    uint64_t since_ns, until_ns;
    mw_signal signal;
} window;

static bool meets(const window *w, const mw_index_block *block)
{
    return mw_block_holds(block, w->signal) && block->header.event_max_ns >= w->since_ns &&
           block->header.event_min_ns < w->until_ns;
}

static bool holds(const window *w, uint64_t time_ns)
{
    return time_ns >= w->since_ns && time_ns < w->until_ns;
}

/* ---- columns --------------------------------------------------------------------------------- */

mw_err mw_store_each_span(mw_store_view *view, uint64_t since_ns, uint64_t until_ns,
                          mw_err (*take)(void *ctx, const mw_span_row *row), void *ctx)
{
    const window w = {view, since_ns, until_ns, MW_SIGNAL_TRACES};
    mw_span_row row;
    mw_hot hot;
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        if (!meets(&w, block))
            continue;
        err = mw_view_hot(view, block, &hot);
        for (uint32_t at = 0; err == MW_OK && at < hot.count; at++) {
            if (!holds(&w, mw_hot_time(&hot, at)))
                continue;
            mw_hot_span(&hot, at, &row);
            err = take(ctx, &row);
        }
    }
    return err;
}

mw_err mw_store_each_point(mw_store_view *view, uint64_t since_ns, uint64_t until_ns,
                           mw_err (*take)(void *ctx, const mw_point_row *row), void *ctx)
{
    const window w = {view, since_ns, until_ns, MW_SIGNAL_METRICS};
    mw_point_row row;
    mw_hot hot;
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        if (!meets(&w, block))
            continue;
        err = mw_view_hot(view, block, &hot);
        for (uint32_t at = 0; err == MW_OK && at < hot.count; at++) {
            if (!holds(&w, mw_hot_time(&hot, at)))
                continue;
            mw_hot_point(&hot, at, &row);
            err = take(ctx, &row);
        }
    }
    return err;
}

/* `take` is called for each block of the window's signal that may hold something of it, with its
 * columns and items. */
static mw_err walk_items(const window *w,
                         mw_err (*take)(void *ctx, const mw_hot *hot, mw_items_walk *items),
                         void *ctx)
{
    mw_items_walk items;
    mw_hot hot;
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < mw_view_count(w->view); i++) {
        const mw_index_block *block = mw_view_block(w->view, i);
        if (!meets(w, block) || mw_view_leaves_out(w->view, block))
            continue;
        err = mw_view_hot(w->view, block, &hot);
        if (err == MW_OK)
            err = mw_view_items(w->view, block, &hot, &items);
        if (err != MW_OK)
            break;
        err = take(ctx, &hot, &items);
        mw_items_walk_end(&items);
    }
    return err;
}

/* ---- log records ----------------------------------------------------------------------------- */

typedef struct log_walk {
    window w;
    mw_err (*take)(void *ctx, const mw_log_row *row, mw_slice text);
    void *ctx;
    char *item; /* MW_MEM_QUERY: the record being read, where it does not lie as a whole */
    size_t item_size;
    char text[MW_LOG_WORDS_MAX];
    size_t len;
} log_walk;

static void append_text(log_walk *logs, mw_slice text)
{
    if (logs->len && logs->len < sizeof logs->text)
        logs->text[logs->len++] = ' ';
    text = mw_slice_first(text, sizeof logs->text - logs->len);
    memcpy(logs->text + logs->len, text.data ? text.data : "", text.len);
    logs->len += text.len;
}

static void read_text(log_walk *logs, mw_slice record)
{
    mw_body_walk body;
    mw_slice value, text;
    logs->len = 0;
    while (logs->len < sizeof logs->text && mw_record_body(&record, &value)) {
        mw_body_walk_begin(&body, value);
        while (logs->len < sizeof logs->text && mw_body_walk_next(&body, &text))
            append_text(logs, text);
    }
}

static mw_err read_record(log_walk *logs, mw_items_walk *items, uint32_t at)
{
    uint32_t len = mw_items_walk_item_length(items, at);
    logs->len = 0;
    if (mw_is_oversized(len))
        return MW_OK;
    mw_slice record = mw_items_walk_peek(items, at);
    if (!record.data && len) {
        if (!mw_block_reader_room(&logs->item, &logs->item_size, len))
            return MW_E_NOMEM;
        mw_err err = mw_items_walk_item(items, at, logs->item);
        if (err != MW_OK)
            return err;
        record = mw_slice_bytes(logs->item, len);
    }
    read_text(logs, record);
    return MW_OK;
}

static mw_err take_records(void *ctx, const mw_hot *hot, mw_items_walk *items)
{
    log_walk *logs = ctx;
    mw_log_row row;
    mw_err err = MW_OK;
    for (uint32_t at = 0; err == MW_OK && at < hot->count; at++) {
        if (!holds(&logs->w, mw_hot_time(hot, at)))
            continue;
        err = read_record(logs, items, at);
        if (err != MW_OK)
            break;
        mw_hot_log(hot, at, &row);
        err = logs->take(logs->ctx, &row, mw_slice_bytes(logs->text, logs->len));
    }
    return err;
}

mw_err mw_store_each_log(mw_store_view *view, uint64_t since_ns, uint64_t until_ns,
                         mw_err (*take)(void *ctx, const mw_log_row *row, mw_slice text), void *ctx)
{
    log_walk *logs = mw_calloc(MW_MEM_QUERY, 1, sizeof *logs);
    if (!logs)
        return MW_E_NOMEM;
    logs->w = (window){view, since_ns, until_ns, MW_SIGNAL_LOGS};
    logs->take = take;
    logs->ctx = ctx;
    mw_err err = walk_items(&logs->w, take_records, logs);
    mw_free(MW_MEM_QUERY, logs->item);
    mw_free(MW_MEM_QUERY, logs);
    return err;
}

/* ---- resources ------------------------------------------------------------------------------- */

typedef struct resource_walk {
    window w;
    const mw_slice *keys;
    size_t key_count;
    mw_err (*take)(void *ctx, const mw_resource_seen *seen);
    void *ctx;
    mw_resource_seen *seen; /* by resource of the present block; MW_MEM_QUERY, as what follows */
    size_t seen_size;
    char *context;
    size_t context_size;
} resource_walk;

static bool is_field_of(const mw_wire_field *field, uint32_t number)
{
    return field->tag == MW_WIRE_TAG(number, MW_WIRE_BYTES);
}

/* The last of equal keys counts, as everywhere. */
static mw_slice find_attribute(mw_slice resource, mw_slice wanted)
{
    const uint8_t *at = mw_wire_begin(resource), *end = mw_wire_end(resource);
    mw_slice found = MW_SLICE_NONE, key;
    mw_value value;
    while (at && at < end) {
        mw_wire_field field;
        at = mw_wire_next(at, end, &field);
        if (at && is_field_of(&field, MW_RESOURCE_ATTRIBUTES) &&
            mw_attribute_read(field.bytes, &key, &value) && mw_slice_equal(key, wanted))
            found = value.type == MW_VALUE_STRING ? value.bytes : MW_SLICE_NONE;
    }
    return found;
}

static void note_rows(resource_walk *walk, const mw_hot *hot, const mw_items_walk *items)
{
    for (uint32_t at = 0; at < hot->count; at++) {
        uint64_t time_ns = mw_hot_time(hot, at);
        mw_resource_seen *seen = &walk->seen[mw_items_walk_resource(items, at)];
        if (!holds(&walk->w, time_ns))
            continue;
        if (!seen->spans++)
            seen->first_ns = seen->last_ns = time_ns;
        seen->first_ns = time_ns < seen->first_ns ? time_ns : seen->first_ns;
        seen->last_ns = time_ns > seen->last_ns ? time_ns : seen->last_ns;
        seen->service = mw_hot_string(hot, mw_hot_ref(hot, MW_HOT_SERVICE, at));
    }
}

static mw_err take_resource(resource_walk *walk, mw_items_walk *items, uint32_t at)
{
    mw_resource_seen *seen = &walk->seen[at];
    uint32_t message = mw_items_walk_message_length(items, at);
    uint64_t len = (uint64_t)message + mw_items_walk_url_length(items, at);
    if (!seen->spans || !message || mw_is_oversized(len))
        return MW_OK;
    if (!mw_block_reader_room(&walk->context, &walk->context_size, (size_t)len))
        return MW_E_NOMEM;
    mw_err err = mw_items_walk_context(items, at, walk->context);
    for (size_t i = 0; err == MW_OK && i < walk->key_count; i++) {
        seen->key = walk->keys[i];
        seen->value = find_attribute(mw_slice_bytes(walk->context, message), seen->key);
        if (seen->value.len)
            err = walk->take(walk->ctx, seen);
    }
    return err;
}

static mw_err take_resources(void *ctx, const mw_hot *hot, mw_items_walk *items)
{
    resource_walk *walk = ctx;
    mw_err err = MW_OK;
    if (!mw_have_room(MW_MEM_QUERY, &walk->seen, &walk->seen_size, items->resources,
                      sizeof *walk->seen))
        return MW_E_NOMEM;
    memset(walk->seen, 0, items->resources * sizeof *walk->seen);
    note_rows(walk, hot, items);
    for (uint32_t at = 0; err == MW_OK && at < items->resources; at++)
        err = take_resource(walk, items, at);
    return err;
}

mw_err mw_store_each_resource(mw_store_view *view, uint64_t since_ns, uint64_t until_ns,
                              const mw_slice *keys, size_t key_count,
                              mw_err (*take)(void *ctx, const mw_resource_seen *seen), void *ctx)
{
    resource_walk walk = {.w = {view, since_ns, until_ns, MW_SIGNAL_TRACES},
                          .keys = keys,
                          .key_count = key_count,
                          .take = take,
                          .ctx = ctx};
    mw_err err = walk_items(&walk.w, take_resources, &walk);
    mw_free(MW_MEM_QUERY, walk.seen);
    mw_free(MW_MEM_QUERY, walk.context);
    return err;
}
