/* The rows of a window, one by one. See window.h. One thread: the view's. */
#include <stdlib.h>
#include <xxhash.h>

#include "lib/store/window.h"

#include "lib/store/format/attribute_match.h"
#include "lib/store/format/body_walk.h"
#include "lib/store/store_int.h"
#include "proto/wire.h"

typedef struct walk {
    mw_store_view *view;
    const mw_store_window *window;
    mw_signal signal;
    uint64_t *services;  /* keys; MW_MEM_QUERY, NULL = all */
    uint8_t *verdicts;   /* by reference of the present block: is it one of them? MW_MEM_QUERY */
    size_t verdict_size; /* bytes */
} walk;

/* ---- services -------------------------------------------------------------------------------- */

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Ascending. NULL: all services, or no memory. */
static uint64_t *service_keys(const mw_store_view *view, const mw_store_window *window)
{
    if (!window->service_count)
        return NULL;
    uint64_t *keys = mw_alloc(MW_MEM_QUERY, window->service_count * sizeof *keys);
    for (size_t i = 0; keys && i < window->service_count; i++)
        keys[i] = mw_text_key(view->store->key_seed, window->services[i]);
    if (keys)
        qsort(keys, window->service_count, sizeof *keys, by_value);
    return keys;
}

static mw_err walk_begin(walk *w, mw_store_view *view, const mw_store_window *window,
                         mw_signal signal)
{
    *w = (walk){.view = view, .window = window, .signal = signal};
    w->services = service_keys(view, window);
    return window->service_count && !w->services ? MW_E_NOMEM : MW_OK;
}

static void walk_end(walk *w)
{
    mw_free(MW_MEM_QUERY, w->services);
    mw_free(MW_MEM_QUERY, w->verdicts);
}

static bool names_any(const mw_index_block *block, const uint64_t *keys, size_t count)
{
    const uint64_t *services = mw_index_services(block);
    for (uint32_t i = 0; i < block->service_count; i++)
        if (mw_keys_contain(keys, count, services[i]))
            return true;
    return false;
}

static bool is_of_services(const walk *w, mw_slice service)
{
    return mw_keys_contain(w->services, w->window->service_count,
                           mw_text_key(w->view->store->key_seed, service));
}

enum { NOT_ASKED = 0, WANTED = 1, NOT_WANTED = 2 };

/* Before the rows of a block. MW_E_NOMEM. */
static mw_err begin_block(walk *w, const mw_hot *hot)
{
    if (!w->services)
        return MW_OK;
    if (!mw_have_room(MW_MEM_QUERY, &w->verdicts, &w->verdict_size, (size_t)hot->strings + 1, 1))
        return MW_E_NOMEM;
    memset(w->verdicts, NOT_ASKED, (size_t)hot->strings + 1);
    return MW_OK;
}

static bool has_service(walk *w, const mw_hot *hot, uint32_t row)
{
    if (!w->services)
        return true;
    uint32_t ref = mw_hot_ref(hot, MW_HOT_SERVICE, row);
    if (w->verdicts[ref] == NOT_ASKED)
        w->verdicts[ref] = is_of_services(w, mw_hot_string(hot, ref)) ? WANTED : NOT_WANTED;
    return w->verdicts[ref] == WANTED;
}

static bool within(const mw_store_window *window, uint64_t time_ns)
{
    return time_ns >= window->since_ns && time_ns < window->until_ns;
}

/* ---- moments --------------------------------------------------------------------------------- */

uint64_t mw_store_view_seed(const mw_store_view *view)
{
    static const char purpose[] = "window";
    return XXH3_64bits_withSeed(purpose, sizeof purpose, view->store->key_seed);
}

/* Where the moment of the period begins that holds the time. */
static uint64_t moment_of(const mw_store_view *view, const mw_store_window *window,
                          uint64_t time_ns)
{
    uint64_t number = time_ns / window->period_ns;
    uint64_t hash = XXH3_64bits_withSeed(&number, sizeof number, mw_store_view_seed(view));
    return number * window->period_ns + hash % (window->period_ns - window->share_ns + 1);
}

/* Of the period that holds `other_ns`. */
static bool is_near_moment(const mw_store_view *view, const mw_store_window *window,
                           uint64_t other_ns, uint64_t time_ns, uint64_t margin_ns)
{
    uint64_t from = moment_of(view, window, other_ns);
    return time_ns + margin_ns >= from && time_ns < from + window->share_ns + margin_ns;
}

/* A margin may reach into the periods beside. */
static bool is_in_moment(const mw_store_view *view, const mw_store_window *window, uint64_t time_ns,
                         uint64_t margin_ns)
{
    if (!window->period_ns || is_near_moment(view, window, time_ns, time_ns, margin_ns))
        return true;
    uint64_t before = time_ns > margin_ns ? time_ns - margin_ns : 0;
    return margin_ns && (is_near_moment(view, window, before, time_ns, margin_ns) ||
                         is_near_moment(view, window, time_ns + margin_ns, time_ns, margin_ns));
}

static bool takes_row(walk *w, const mw_hot *hot, uint32_t row)
{
    uint64_t time_ns = mw_hot_time(hot, row);
    return within(w->window, time_ns) && has_service(w, hot, row) &&
           is_in_moment(w->view, w->window, time_ns,
                        w->signal == MW_SIGNAL_TRACES ? MW_WINDOW_MARGIN_NS : 0);
}

bool mw_store_window_holds(const mw_store_view *view, const mw_store_window *window,
                           uint64_t time_ns)
{
    return within(window, time_ns) && is_in_moment(view, window, time_ns, 0);
}

/* A stretch of two periods holds a moment; else one of those that begin in it, or before it. */
static bool meets_moment(const walk *w, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t period = w->window->period_ns;
    if (!period || to_ns - from_ns >= 2 * period)
        return true;
    for (uint64_t number = from_ns / period; number <= to_ns / period; number++) {
        uint64_t moment = moment_of(w->view, w->window, number * period);
        if (moment <= to_ns && moment + w->window->share_ns > from_ns)
            return true;
    }
    return false;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool meets_window(const mw_store_window *window, const mw_index_block *block)
{
    return block->header.event_max_ns >= window->since_ns &&
           block->header.event_min_ns < window->until_ns;
}

static bool is_merged(const mw_index_block *block)
{
    return block->segment->header.kind == MW_SEGMENT_MERGED;
}

/* Spans of a merged segment lie by the first start of their trace: none that begins in the block
 * `at` begins later than the next one's first. */
static uint64_t last_beginning(const mw_store_view *view, size_t at)
{
    const mw_index_block *block = mw_view_block(view, at);
    uint64_t last = mw_index_start_max(block);
    if (at + 1 == mw_view_count(view))
        return last;
    const mw_index_block *next = mw_view_block(view, at + 1);
    bool follows = next->segment == block->segment && mw_block_holds(next, MW_SIGNAL_TRACES);
    return follows && next->header.event_min_ns < last ? next->header.event_min_ns : last;
}

/* As large a share of them as of time, without regard to it. */
static bool is_drawn(const walk *w, const mw_index_block *block)
{
    const uint64_t place[2] = {block->segment->header.id, block->offset};
    uint64_t hash = XXH3_64bits_withSeed(place, sizeof place, mw_store_view_seed(w->view));
    return hash % w->window->period_ns < w->window->share_ns;
}

static bool is_wanted(const walk *w, size_t at)
{
    const mw_index_block *block = mw_view_block(w->view, at);
    uint64_t from = block->header.event_min_ns, to = block->header.event_max_ns;
    if (!mw_block_holds(block, w->signal) || !meets_window(w->window, block) ||
        (w->services && !names_any(block, w->services, w->window->service_count)))
        return false;
    if (!w->window->period_ns)
        return true;
    if (w->signal == MW_SIGNAL_METRICS)
        return is_drawn(w, block);
    if (w->signal == MW_SIGNAL_LOGS)
        return block->header.error_count && meets_moment(w, from, to);
    if (is_merged(block))
        return meets_moment(w, from, last_beginning(w->view, at));
    to = mw_index_start_max(block);
    return meets_moment(w, from > MW_WINDOW_MARGIN_NS ? from - MW_WINDOW_MARGIN_NS : 0,
                        to < UINT64_MAX - MW_WINDOW_MARGIN_NS ? to + MW_WINDOW_MARGIN_NS : to);
}

/* Rows of the block that lie in the window, if they lie evenly. */
static uint64_t rows_within(const mw_store_window *window, const mw_index_block *block)
{
    uint64_t from = block->header.event_min_ns, to = mw_index_start_max(block);
    double whole = (double)(to - from) + 1;
    from = from > window->since_ns ? from : window->since_ns;
    to = to < window->until_ns ? to + 1 : window->until_ns;
    if (to <= from)
        return 0;
    return (uint64_t)((double)block->header.item_count * ((double)(to - from) / whole) + 0.5);
}

mw_store_window_rows mw_store_window_count(const mw_store_view *view, const mw_store_window *window,
                                           mw_signal signal)
{
    mw_store_window_rows out = {.rows = 0};
    uint64_t *keys = service_keys(view, window);
    for (size_t i = 0; i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        if (!mw_block_holds(block, signal) || !meets_window(window, block) ||
            (keys && !names_any(block, keys, window->service_count)))
            continue;
        uint64_t rows = rows_within(window, block);
        out.rows += rows;
        out.with_errors += block->header.error_count ? rows : 0;
    }
    mw_free(MW_MEM_QUERY, keys);
    return out;
}

bool mw_store_window_names(const mw_store_view *view, const mw_store_window *window,
                           unsigned signals, mw_slice service)
{
    uint64_t key = mw_text_key(view->store->key_seed, service);
    for (size_t i = 0; i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        if (signals >> block->header.signal & 1 && meets_window(window, block) &&
            mw_keys_contain(mw_index_services(block), block->service_count, key))
            return true;
    }
    return false;
}

/* ---- columns --------------------------------------------------------------------------------- */

/* In a merged block a trace's spans are side by side: all of them, or none. */
static bool takes_trace(walk *w, const mw_hot *hot, uint32_t from, uint32_t end)
{
    uint64_t first = UINT64_MAX;
    bool named = false;
    for (uint32_t at = from; at < end; at++) {
        first = mw_hot_time(hot, at) < first ? mw_hot_time(hot, at) : first;
        named = named || has_service(w, hot, at);
    }
    return named && mw_store_window_holds(w->view, w->window, first);
}

static mw_err take_traces(walk *w, const mw_hot *hot,
                          mw_err (*take)(void *ctx, const mw_span_row *row), void *ctx)
{
    mw_span_row row;
    mw_err err = MW_OK;
    for (uint32_t at = 0, end; err == MW_OK && at < hot->count; at = end) {
        uint32_t trace = mw_hot_ref(hot, MW_HOT_TRACE, at);
        end = at + 1;
        while (end < hot->count && mw_hot_ref(hot, MW_HOT_TRACE, end) == trace)
            end++;
        for (uint32_t i = takes_trace(w, hot, at, end) ? at : end; err == MW_OK && i < end; i++) {
            mw_hot_span(hot, i, &row);
            err = take(ctx, &row);
        }
    }
    return err;
}

static mw_err take_spans(walk *w, const mw_hot *hot,
                         mw_err (*take)(void *ctx, const mw_span_row *row), void *ctx)
{
    mw_span_row row;
    mw_err err = MW_OK;
    for (uint32_t at = 0; err == MW_OK && at < hot->count; at++) {
        if (!takes_row(w, hot, at))
            continue;
        mw_hot_span(hot, at, &row);
        err = take(ctx, &row);
    }
    return err;
}

/* Whole traces where there is a choice to be made among them. */
static bool takes_whole(const walk *w, const mw_index_block *block)
{
    return is_merged(block) && (w->window->period_ns || w->services);
}

mw_err mw_store_each_span(mw_store_view *view, const mw_store_window *window,
                          mw_err (*take)(void *ctx, const mw_span_row *row), void *ctx)
{
    walk w;
    mw_hot hot;
    mw_err err = walk_begin(&w, view, window, MW_SIGNAL_TRACES);
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        if (!is_wanted(&w, i))
            continue;
        err = mw_view_hot(view, block, &hot);
        if (err == MW_OK)
            err = begin_block(&w, &hot);
        if (err == MW_OK)
            err = takes_whole(&w, block) ? take_traces(&w, &hot, take, ctx)
                                         : take_spans(&w, &hot, take, ctx);
    }
    walk_end(&w);
    return err;
}

static mw_err take_points(walk *w, const mw_hot *hot,
                          mw_err (*take)(void *ctx, const mw_point_row *row), void *ctx)
{
    mw_point_row row;
    mw_err err = begin_block(w, hot);
    for (uint32_t at = 0; err == MW_OK && at < hot->count; at++) {
        if (!within(w->window, mw_hot_time(hot, at)) || !has_service(w, hot, at))
            continue;
        mw_hot_point(hot, at, &row);
        err = take(ctx, &row);
    }
    return err;
}

mw_err mw_store_each_point(mw_store_view *view, const mw_store_window *window,
                           mw_err (*take)(void *ctx, const mw_point_row *row), void *ctx)
{
    walk w;
    mw_hot hot;
    mw_err err = walk_begin(&w, view, window, MW_SIGNAL_METRICS);
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view); i++) {
        if (!is_wanted(&w, i))
            continue;
        err = mw_view_hot(view, mw_view_block(view, i), &hot);
        if (err == MW_OK)
            err = take_points(&w, &hot, take, ctx);
    }
    walk_end(&w);
    return err;
}

/* `take` is called for each wanted block that may hold something of the window, with its columns
 * and items. */
static mw_err
walk_items(walk *w, mw_err (*take)(void *ctx, const mw_hot *hot, mw_items_walk *items), void *ctx)
{
    mw_items_walk items;
    mw_hot hot;
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < mw_view_count(w->view); i++) {
        const mw_index_block *block = mw_view_block(w->view, i);
        if (!is_wanted(w, i) || mw_view_leaves_out(w->view, block))
            continue;
        err = mw_view_hot(w->view, block, &hot);
        if (err == MW_OK)
            err = begin_block(w, &hot);
        if (err == MW_OK)
            err = mw_view_items(w->view, block, &hot, &items);
        if (err != MW_OK)
            break;
        err = take(ctx, &hot, &items);
        mw_items_walk_end(&items);
    }
    walk_end(w);
    return err;
}

/* ---- log records ----------------------------------------------------------------------------- */

typedef struct log_walk {
    walk w;
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
        if (!takes_row(&logs->w, hot, at))
            continue;
        err = read_record(logs, items, at);
        if (err != MW_OK)
            break;
        mw_hot_log(hot, at, &row);
        err = logs->take(logs->ctx, &row, mw_slice_bytes(logs->text, logs->len));
    }
    return err;
}

mw_err mw_store_each_log(mw_store_view *view, const mw_store_window *window,
                         mw_err (*take)(void *ctx, const mw_log_row *row, mw_slice text), void *ctx)
{
    log_walk *logs = mw_calloc(MW_MEM_QUERY, 1, sizeof *logs);
    if (!logs)
        return MW_E_NOMEM;
    logs->take = take;
    logs->ctx = ctx;
    mw_err err = walk_begin(&logs->w, view, window, MW_SIGNAL_LOGS);
    if (err == MW_OK)
        err = walk_items(&logs->w, take_records, logs);
    mw_free(MW_MEM_QUERY, logs->item);
    mw_free(MW_MEM_QUERY, logs);
    return err;
}

/* ---- resources ------------------------------------------------------------------------------- */

typedef struct resource_walk {
    walk w;
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

static void note_rows(resource_walk *all, const mw_hot *hot, const mw_items_walk *items)
{
    for (uint32_t at = 0; at < hot->count; at++) {
        uint64_t time_ns = mw_hot_time(hot, at);
        mw_resource_seen *seen = &all->seen[mw_items_walk_resource(items, at)];
        if (!within(all->w.window, time_ns))
            continue;
        if (!seen->spans++)
            seen->first_ns = seen->last_ns = time_ns;
        seen->first_ns = time_ns < seen->first_ns ? time_ns : seen->first_ns;
        seen->last_ns = time_ns > seen->last_ns ? time_ns : seen->last_ns;
        seen->service = mw_hot_string(hot, mw_hot_ref(hot, MW_HOT_SERVICE, at));
    }
}

static mw_err take_resource(resource_walk *all, mw_items_walk *items, uint32_t at)
{
    mw_resource_seen *seen = &all->seen[at];
    uint32_t message = mw_items_walk_message_length(items, at);
    uint64_t len = (uint64_t)message + mw_items_walk_url_length(items, at);
    if (!seen->spans || !message || mw_is_oversized(len))
        return MW_OK;
    if (!mw_block_reader_room(&all->context, &all->context_size, (size_t)len))
        return MW_E_NOMEM;
    mw_err err = mw_items_walk_context(items, at, all->context);
    for (size_t i = 0; err == MW_OK && i < all->key_count; i++) {
        seen->key = all->keys[i];
        seen->value = find_attribute(mw_slice_bytes(all->context, message), seen->key);
        if (seen->value.len)
            err = all->take(all->ctx, seen);
    }
    return err;
}

static mw_err take_resources(void *ctx, const mw_hot *hot, mw_items_walk *items)
{
    resource_walk *all = ctx;
    mw_err err = MW_OK;
    if (!mw_have_room(MW_MEM_QUERY, &all->seen, &all->seen_size, items->resources,
                      sizeof *all->seen))
        return MW_E_NOMEM;
    memset(all->seen, 0, items->resources * sizeof *all->seen);
    note_rows(all, hot, items);
    for (uint32_t at = 0; err == MW_OK && at < items->resources; at++)
        err = take_resource(all, items, at);
    return err;
}

mw_err mw_store_each_resource(mw_store_view *view, const mw_store_window *window,
                              const mw_slice *keys, size_t key_count,
                              mw_err (*take)(void *ctx, const mw_resource_seen *seen), void *ctx)
{
    resource_walk one = {.keys = keys, .key_count = key_count, .take = take, .ctx = ctx};
    mw_err err = walk_begin(&one.w, view, window, MW_SIGNAL_TRACES);
    if (err == MW_OK)
        err = walk_items(&one.w, take_resources, &one);
    mw_free(MW_MEM_QUERY, one.seen);
    mw_free(MW_MEM_QUERY, one.context);
    return err;
}
