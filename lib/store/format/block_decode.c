/* From the bytes of a block to its columns and items.
 *
 * The bytes come from disk and may be anything: every count, length and reference is checked here
 * once, in 64-bit arithmetic, so that the accessors need no checks. Any thread.
 */
#include <xxhash.h>

#include "lib/store/format/hot_layout.h"

/* ---- columns --------------------------------------------------------------------------------- */

/* Points every column at its place; the caller has checked that the lengths add up. */
static void place_columns(mw_hot *hot, const mw_hot_layout *layout, bool many_commits,
                          const unsigned char *at)
{
    size_t count = hot->count;

    hot->trace_ids = at;
    at += MW_TRACE_ID_SIZE * (size_t)hot->traces;
    for (size_t i = 0; i < layout->wide_count; i++, at += 8 * count)
        hot->wide[layout->wide[i]] = at;
    if (many_commits) {
        hot->wide[MW_WIDE_SEQ] = at;
        hot->wide[MW_WIDE_INDEX] = at + 8 * count;
        at += 16 * count;
    }
    for (size_t i = 0; i < layout->narrow_count; i++, at += count)
        hot->narrow[layout->narrow[i]] = at;
    for (size_t i = 0; i < layout->ref_count; i++, at += hot->width * count)
        hot->refs[layout->refs[i]] = at;
    hot->string_ends = at;
    hot->string_bytes = (const char *)at + 4 * (size_t)hot->strings;
}

static bool traces_ascend(const mw_hot *hot)
{
    for (uint32_t i = 1; i < hot->traces; i++)
        if (memcmp(mw_hot_trace_id(hot, i - 1), mw_hot_trace_id(hot, i), MW_TRACE_ID_SIZE) >= 0)
            return false;
    return true;
}

/* As many side by side as a compiler turns into instructions on vectors. */
#define REFS_ABREAST 16u

/* The largest reference of a column. */
static uint32_t highest_narrow(const unsigned char *refs, size_t count)
{
    uint16_t highest[REFS_ABREAST] = {0}, most = 0;
    size_t i = 0;
    for (; i + REFS_ABREAST <= count; i += REFS_ABREAST) {
        for (size_t k = 0; k < REFS_ABREAST; k++) {
            uint16_t ref = mw_get_u16(refs + 2 * (i + k));
            highest[k] = ref > highest[k] ? ref : highest[k];
        }
    }
    for (; i < count; i++) {
        uint16_t ref = mw_get_u16(refs + 2 * i);
        most = ref > most ? ref : most;
    }
    for (size_t k = 0; k < REFS_ABREAST; k++)
        most = highest[k] > most ? highest[k] : most;
    return most;
}

static uint32_t highest_ref(const unsigned char *refs, size_t count, uint32_t width)
{
    uint32_t highest = 0;
    if (width == 2)
        return highest_narrow(refs, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t ref = mw_get_u32(refs + 4 * i);
        highest = ref > highest ? ref : highest;
    }
    return highest;
}

static bool references_in_range(const mw_hot *hot, const mw_hot_layout *layout)
{
    for (size_t i = 0; i < layout->ref_count; i++) {
        uint8_t column = layout->refs[i];
        if (!hot->refs[column])
            continue;
        uint32_t highest = highest_ref(hot->refs[column], hot->count, hot->width);
        if (column == MW_HOT_TRACE ? highest >= hot->traces : highest > hot->strings)
            return false;
    }
    return true;
}

static bool string_ends_ascend(const mw_hot *hot, uint32_t string_bytes)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < hot->strings; i++) {
        uint32_t next = mw_get_u32(hot->string_ends + 4 * (size_t)i);
        if (next < end)
            return false;
        end = next;
    }
    return end == string_bytes;
}

static void leave_out(mw_hot *hot, const mw_hot_layout *layout, mw_column_set columns)
{
    for (unsigned i = 0; i < layout->wide_count; i++)
        if (!(columns & mw_column_wide((mw_wide_column)layout->wide[i])))
            hot->wide[layout->wide[i]] = NULL;
    for (unsigned i = 0; i < layout->narrow_count; i++)
        if (!(columns & mw_column_narrow((mw_narrow_column)layout->narrow[i])))
            hot->narrow[layout->narrow[i]] = NULL;
    for (unsigned i = 0; i < layout->ref_count; i++)
        if (!(columns & mw_column_ref((mw_hot_column)layout->refs[i])))
            hot->refs[layout->refs[i]] = NULL;
    if (hot->wide[MW_WIDE_SEQ] && !(columns & mw_column_wide(MW_WIDE_SEQ))) {
        hot->wide[MW_WIDE_SEQ] = hot->wide[MW_WIDE_INDEX] = NULL;
        hot->commits_left_out = true;
    }
}

mw_err mw_hot_decode(const mw_block_header *header, mw_slice raw, mw_hot *out)
{
    return mw_hot_decode_some(header, raw, MW_COLUMNS_ALL, out);
}

mw_err mw_hot_decode_some(const mw_block_header *header, mw_slice raw, mw_column_set columns,
                          mw_hot *out)
{
    const unsigned char *bytes = (const unsigned char *)raw.data;
    const mw_hot_layout *layout = mw_hot_layout_of(header->signal);

    memset(out, 0, sizeof *out);
    if (!layout || raw.len < MW_HOT_PREFIX)
        return MW_E_CORRUPT;
    out->signal = header->signal;
    out->count = header->item_count;
    out->base_ns = header->event_min_ns;
    out->seq = header->seq;
    out->traces = mw_get_u32(bytes);
    out->strings = mw_get_u32(bytes + 4);
    uint32_t string_bytes = mw_get_u32(bytes + 8);
    out->width = mw_get_u32(bytes + 12);
    if (out->width != 2 && out->width != 4)
        return MW_E_CORRUPT;
    if (out->traces && !mw_hot_has_traces(layout))
        return MW_E_CORRUPT;
    /* No term exceeds 2^32 * 100: the sum cannot wrap. */
    uint64_t len = MW_HOT_PREFIX + (uint64_t)out->traces * MW_TRACE_ID_SIZE +
                   (uint64_t)out->count * (mw_hot_fixed(layout, header->many_commits) +
                                           layout->ref_count * out->width) +
                   (uint64_t)out->strings * 4 + string_bytes;
    if (len != raw.len)
        return MW_E_CORRUPT;
    place_columns(out, layout, header->many_commits, bytes + MW_HOT_PREFIX);
    leave_out(out, layout, columns);
    if (!traces_ascend(out) || !references_in_range(out, layout) ||
        !string_ends_ascend(out, string_bytes))
        return MW_E_CORRUPT;
    return MW_OK;
}

mw_slice mw_hot_string(const mw_hot *hot, uint32_t ref)
{
    if (ref == 0)
        return MW_SLICE_NONE;
    const unsigned char *end = hot->string_ends + 4 * (size_t)(ref - 1);
    uint32_t from = ref == 1 ? 0 : mw_get_u32(end - 4);
    return mw_slice_bytes(hot->string_bytes + from, mw_get_u32(end) - from);
}

static uint64_t wide_value(const mw_hot *hot, mw_wide_column column, uint32_t row)
{
    switch (column) {
    case MW_WIDE_TIME: return mw_hot_time(hot, row);
    case MW_WIDE_DURATION: return mw_hot_time(hot, row) + mw_hot_u64(hot, column, row);
    default: return mw_hot_u64(hot, column, row);
    }
}

static void get_wide(const mw_hot *hot, mw_wide_column column, uint32_t row, unsigned char *cell)
{
    if (column == MW_WIDE_SPAN_ID || column == MW_WIDE_PARENT) {
        memcpy(cell, hot->wide[column] + 8 * (size_t)row, 8);
        return;
    }
    uint64_t value = wide_value(hot, column, row);
    memcpy(cell, &value, sizeof value);
}

static void get_ref(const mw_hot *hot, mw_hot_column column, uint32_t row, unsigned char *cell)
{
    uint32_t ref = mw_hot_ref(hot, column, row);
    if (column == MW_HOT_TRACE) {
        memcpy(cell, mw_hot_trace_id(hot, ref), MW_TRACE_ID_SIZE);
        return;
    }
    mw_slice text = mw_hot_string(hot, ref);
    memcpy(cell, &text, sizeof text);
}

/* One row of any signal into its struct. */
static void get_row(const mw_hot *hot, mw_signal signal, uint32_t row, void *out)
{
    const mw_row_layout *layout = mw_row_layout_of(signal);
    const mw_hot_layout *columns = &layout->columns;
    unsigned char *cells = out;

    MW_ASSERT(hot->signal == signal && row < hot->count);
    for (size_t i = 0; i < columns->wide_count; i++)
        get_wide(hot, (mw_wide_column)columns->wide[i], row,
                 cells + layout->wide[columns->wide[i]]);
    for (size_t i = 0; i < columns->narrow_count; i++)
        cells[layout->narrow[columns->narrow[i]]] = hot->narrow[columns->narrow[i]][row];
    for (size_t i = 0; i < columns->ref_count; i++)
        get_ref(hot, (mw_hot_column)columns->refs[i], row, cells + layout->refs[columns->refs[i]]);
}

void mw_hot_span(const mw_hot *hot, uint32_t row, mw_span_row *out)
{
    get_row(hot, MW_SIGNAL_TRACES, row, out);
    if (out->operation_kind >= MW_OP_COUNT)
        out->operation_kind = MW_OP_OTHER;
}

void mw_hot_log(const mw_hot *hot, uint32_t row, mw_log_row *out)
{
    get_row(hot, MW_SIGNAL_LOGS, row, out);
}

void mw_hot_point(const mw_hot *hot, uint32_t row, mw_point_row *out)
{
    get_row(hot, MW_SIGNAL_METRICS, row, out);
}

/* ---- index entry ----------------------------------------------------------------------------- */

uint64_t mw_text_key(uint64_t seed, mw_slice text)
{
    uint64_t key = XXH3_64bits_withSeed(text.data, text.len, seed);
    return key ? key : 1;
}

size_t mw_keys_lower_bound(const uint64_t *keys, size_t count, uint64_t key)
{
    size_t low = 0;
    while (count > 0) {
        size_t half = count / 2;
        if (keys[low + half] < key) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

bool mw_keys_contain(const uint64_t *keys, size_t count, uint64_t key)
{
    size_t at = mw_keys_lower_bound(keys, count, key);
    return at < count && keys[at] == key;
}

static int key_compare(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return a < b ? -1 : a > b;
}

/* Marks which strings a column uses; returns how many. */
static uint32_t mark_strings(const mw_hot *hot, mw_hot_column column, uint8_t *marks, uint8_t bit)
{
    uint32_t distinct = 0;
    for (uint32_t row = 0; row < hot->count; row++) {
        uint32_t ref = mw_hot_ref(hot, column, row);
        if (ref && !(marks[ref - 1] & bit)) {
            marks[ref - 1] |= bit;
            distinct++;
        }
    }
    return distinct;
}

static void put_keys(const mw_hot *hot, const uint8_t *marks, uint8_t bit, uint64_t seed,
                     uint64_t *keys)
{
    size_t count = 0;
    for (uint32_t i = 0; i < hot->strings; i++)
        if (marks[i] & bit)
            keys[count++] = mw_text_key(seed, mw_hot_string(hot, i + 1));
    if (count > 1)
        qsort(keys, count, sizeof *keys, key_compare);
}

static uint64_t start_max(const mw_hot *hot)
{
    uint64_t max_ns = 0;
    for (uint32_t row = 0; row < hot->count; row++)
        max_ns = mw_hot_time(hot, row) > max_ns ? mw_hot_time(hot, row) : max_ns;
    return max_ns;
}

mw_index_block *mw_index_block_new(const mw_hot *hot, const mw_block_header *header,
                                   uint64_t key_seed)
{
    enum { SESSION = 1, SERVICE = 2, NAME = 4 };
    uint8_t *marks = mw_calloc(MW_MEM_INGEST, (size_t)hot->strings + 1, 1);
    if (!marks)
        return NULL;
    uint32_t sessions = mark_strings(hot, MW_HOT_SESSION, marks, SESSION);
    uint32_t services = mark_strings(hot, MW_HOT_SERVICE, marks, SERVICE);
    /* Spans and events are not asked for by name. */
    uint32_t names =
        header->signal == MW_SIGNAL_METRICS ? mark_strings(hot, MW_HOT_NAME, marks, NAME) : 0;
    size_t keys = (size_t)hot->traces + sessions + services + names;
    mw_index_block *block = mw_alloc(MW_MEM_STORE, sizeof *block + keys * sizeof *block->keys);
    if (block) {
        memset(block, 0, sizeof *block);
        block->header = *header;
        block->has_sessions = sessions > 0;
        block->all_traces = hot->traces;
        block->all_sessions = sessions;
        block->trace_count = hot->traces;
        block->session_count = sessions;
        block->service_count = services;
        block->name_count = names;
        if (hot->signal == MW_SIGNAL_TRACES)
            atomic_init(&block->start_max_ns, start_max(hot));
        uint64_t *at = block->keys;
        for (uint32_t i = 0; i < hot->traces; i++)
            *at++ = mw_trace_key(mw_hot_trace_id(hot, i));
        put_keys(hot, marks, SESSION, key_seed, at);
        put_keys(hot, marks, SERVICE, key_seed, at + sessions);
        put_keys(hot, marks, NAME, key_seed, at + sessions + services);
    }
    mw_free(MW_MEM_INGEST, marks);
    return block;
}

/* ---- items ----------------------------------------------------------------------------------- */

/* Cuts `len` bytes off the front of *rest. */
static bool cut(mw_slice *rest, uint32_t len, mw_slice *out)
{
    if (len > rest->len)
        return false;
    *out = mw_slice_bytes(rest->data, len);
    rest->data += len;
    rest->len -= len;
    return true;
}

static size_t context_count(const mw_items *items)
{
    return (size_t)items->resources + items->scopes + items->metrics;
}

static bool cut_contexts(mw_items *items, const unsigned char *lengths, mw_slice *rest)
{
    size_t heads = (size_t)items->resources + items->scopes;
    for (size_t i = 0; i < context_count(items); i++, lengths += MW_ITEMS_CONTEXT) {
        if (!cut(rest, mw_get_u32(lengths), &items->contexts[i].bytes) ||
            !cut(rest, mw_get_u32(lengths + 4), &items->contexts[i].schema_url))
            return false;
        if (i >= heads && items->contexts[i].schema_url.len)
            return false;
    }
    return true;
}

static bool cut_items(mw_items *items, mw_slice *rest)
{
    for (uint32_t i = 0; i < items->count; i++) {
        if (!cut(rest, mw_get_u32(items->lengths + 4 * (size_t)i), &items->items[i]))
            return false;
        if (mw_items_resource(items, i) >= items->resources ||
            mw_items_scope(items, i) >= items->scopes)
            return false;
        if (items->metric_refs && mw_items_metric(items, i) >= items->metrics)
            return false;
    }
    return true;
}

mw_err mw_items_decode(const mw_block_header *header, mw_slice raw, mw_items *out)
{
    const unsigned char *bytes = (const unsigned char *)raw.data;

    memset(out, 0, sizeof *out);
    if (raw.len < MW_ITEMS_PREFIX)
        return MW_E_CORRUPT;
    bool metrics = header->signal == MW_SIGNAL_METRICS;
    out->count = header->item_count;
    out->resources = mw_get_u32(bytes);
    out->scopes = mw_get_u32(bytes + 4);
    out->metrics = mw_get_u32(bytes + 8);
    if (out->metrics && !metrics)
        return MW_E_CORRUPT;
    uint64_t contexts = context_count(out);
    uint64_t tables = MW_ITEMS_PREFIX + contexts * MW_ITEMS_CONTEXT +
                      (uint64_t)out->count * mw_items_fixed(header->signal);
    if (tables > raw.len)
        return MW_E_CORRUPT;
    size_t column = 4 * (size_t)out->count;
    out->lengths = bytes + MW_ITEMS_PREFIX + contexts * MW_ITEMS_CONTEXT;
    out->resource_refs = out->lengths + column;
    out->scope_refs = out->resource_refs + column;
    out->metric_refs = metrics ? out->scope_refs + column : NULL;
    /* Bounded by the chunk: the tables that these mirror were in it. */
    out->contexts = mw_alloc(MW_MEM_QUERY, (contexts + 1) * sizeof *out->contexts);
    out->items = mw_alloc(MW_MEM_QUERY, ((size_t)out->count + 1) * sizeof *out->items);
    mw_err err = out->contexts && out->items ? MW_OK : MW_E_NOMEM;
    mw_slice rest = mw_slice_from(raw, tables);
    if (err == MW_OK && (!cut_contexts(out, bytes + MW_ITEMS_PREFIX, &rest) ||
                         !cut_items(out, &rest) || rest.len > 0))
        err = MW_E_CORRUPT;
    if (err != MW_OK)
        mw_items_fini(out);
    return err;
}

void mw_items_fini(mw_items *items)
{
    mw_free(MW_MEM_QUERY, items->contexts);
    mw_free(MW_MEM_QUERY, items->items);
    memset(items, 0, sizeof *items);
}
