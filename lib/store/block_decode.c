/* From the bytes of a block to its columns and items.
 *
 * The bytes come from disk and may be anything: every count, length and reference is checked here
 * once, in 64-bit arithmetic, so that the accessors need no checks. Any thread.
 */
#include <lz4.h>
#include <xxhash.h>

#include "lib/store/block.h"

mw_err mw_chunk_unpack(uint8_t codec, mw_slice stored, void *out, uint32_t raw_len)
{
    if (codec == MW_CODEC_PLAIN) {
        if (stored.len != raw_len)
            return MW_E_CORRUPT;
        if (raw_len)
            memcpy(out, stored.data, raw_len);
        return MW_OK;
    }
    if (codec != MW_CODEC_LZ4 || stored.len > INT32_MAX || raw_len > MW_BLOCK_RAW_MAX)
        return MW_E_CORRUPT;
    int got = LZ4_decompress_safe(stored.data, out, (int)stored.len, (int)raw_len);
    return got >= 0 && (uint32_t)got == raw_len ? MW_OK : MW_E_CORRUPT;
}

/* ---- columns --------------------------------------------------------------------------------- */

/* Points every column at its place; the caller has checked that the lengths add up. */
static void place_columns(mw_hot *hot, const unsigned char *at)
{
    size_t wide = 8 * (size_t)hot->count;
    const unsigned char **wides[] = {&hot->span_ids,  &hot->parents,      &hot->starts,
                                     &hot->durations, &hot->input_tokens, &hot->output_tokens};
    const unsigned char **narrows[] = {&hot->kinds, &hot->statuses, &hot->operations, &hot->flags};

    hot->trace_ids = at;
    at += MW_TRACE_ID_SIZE * (size_t)hot->traces;
    for (size_t i = 0; i < sizeof wides / sizeof *wides; i++, at += wide)
        *wides[i] = at;
    for (size_t i = 0; i < sizeof narrows / sizeof *narrows; i++, at += hot->count)
        *narrows[i] = at;
    for (int i = 0; i < MW_HOT_COLUMNS; i++, at += (size_t)hot->width * hot->count)
        hot->refs[i] = at;
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

static bool references_in_range(const mw_hot *hot)
{
    for (int column = 0; column < MW_HOT_COLUMNS; column++) {
        uint32_t highest = 0;
        for (uint32_t row = 0; row < hot->count; row++) {
            uint32_t ref = mw_hot_ref(hot, (mw_hot_column)column, row);
            highest = ref > highest ? ref : highest;
        }
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

mw_err mw_hot_decode(const mw_block_header *header, mw_slice raw, mw_hot *out)
{
    const unsigned char *bytes = (const unsigned char *)raw.data;

    if (raw.len < MW_HOT_PREFIX)
        return MW_E_CORRUPT;
    memset(out, 0, sizeof *out);
    out->count = header->item_count;
    out->base_ns = header->event_min_ns;
    out->seq = header->seq;
    out->traces = mw_get_u32(bytes);
    out->strings = mw_get_u32(bytes + 4);
    uint32_t string_bytes = mw_get_u32(bytes + 8);
    out->width = mw_get_u32(bytes + 12);
    if (out->width != 2 && out->width != 4)
        return MW_E_CORRUPT;
    /* No term exceeds 2^32 * 100: the sum cannot wrap. */
    uint64_t len = MW_HOT_PREFIX + (uint64_t)out->traces * MW_TRACE_ID_SIZE +
                   (uint64_t)out->count * (MW_HOT_FIXED + MW_HOT_REFERENCES * out->width) +
                   (uint64_t)out->strings * 4 + string_bytes;
    if (len != raw.len)
        return MW_E_CORRUPT;
    place_columns(out, bytes + MW_HOT_PREFIX);
    if (!traces_ascend(out) || !references_in_range(out) || !string_ends_ascend(out, string_bytes))
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

static mw_slice cell_string(const mw_hot *hot, mw_hot_column column, uint32_t row)
{
    return mw_hot_string(hot, mw_hot_ref(hot, column, row));
}

void mw_hot_row(const mw_hot *hot, uint32_t row, mw_span_row *out)
{
    MW_ASSERT(row < hot->count);
    memcpy(out->trace_id, mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row)),
           MW_TRACE_ID_SIZE);
    memcpy(out->span_id, hot->span_ids + 8 * (size_t)row, MW_SPAN_ID_SIZE);
    memcpy(out->parent_span_id, hot->parents + 8 * (size_t)row, MW_SPAN_ID_SIZE);
    out->start_ns = hot->base_ns + mw_hot_u64(hot->starts, row);
    out->end_ns = out->start_ns + mw_hot_u64(hot->durations, row);
    out->kind = hot->kinds[row];
    out->status = hot->statuses[row];
    out->operation_kind = hot->operations[row] < MW_OP_COUNT ? hot->operations[row] : MW_OP_OTHER;
    out->flags = hot->flags[row];
    out->input_tokens = (int64_t)mw_hot_u64(hot->input_tokens, row);
    out->output_tokens = (int64_t)mw_hot_u64(hot->output_tokens, row);
    out->name = cell_string(hot, MW_HOT_NAME, row);
    out->service = cell_string(hot, MW_HOT_SERVICE, row);
    out->peer_service = cell_string(hot, MW_HOT_PEER_SERVICE, row);
    out->session_id = cell_string(hot, MW_HOT_SESSION, row);
    out->agent = cell_string(hot, MW_HOT_AGENT, row);
    out->user = cell_string(hot, MW_HOT_USER, row);
    out->model = cell_string(hot, MW_HOT_MODEL, row);
    out->status_message = cell_string(hot, MW_HOT_STATUS_MESSAGE, row);
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

mw_index_block *mw_index_block_new(const mw_hot *hot, const mw_block_header *header,
                                   uint64_t key_seed)
{
    enum { SESSION = 1, SERVICE = 2 };
    uint8_t *marks = mw_calloc(MW_MEM_INGEST, (size_t)hot->strings + 1, 1);
    if (!marks)
        return NULL;
    uint32_t sessions = mark_strings(hot, MW_HOT_SESSION, marks, SESSION);
    uint32_t services = mark_strings(hot, MW_HOT_SERVICE, marks, SERVICE);
    size_t keys = (size_t)hot->traces + sessions + services;
    mw_index_block *block = mw_alloc(MW_MEM_STORE, sizeof *block + keys * sizeof *block->keys);
    if (block) {
        memset(block, 0, sizeof *block);
        block->header = *header;
        block->trace_count = hot->traces;
        block->session_count = sessions;
        block->service_count = services;
        for (uint32_t i = 0; i < hot->traces; i++)
            block->keys[i] = mw_trace_key(mw_hot_trace_id(hot, i));
        put_keys(hot, marks, SESSION, key_seed, block->keys + hot->traces);
        put_keys(hot, marks, SERVICE, key_seed, block->keys + hot->traces + sessions);
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

static bool cut_all(mw_items *items, const unsigned char *context_lengths, mw_slice rest)
{
    for (size_t i = 0; i < (size_t)items->resources + items->scopes; i++) {
        const unsigned char *lengths = context_lengths + MW_ITEMS_CONTEXT * i;
        if (!cut(&rest, mw_get_u32(lengths), &items->contexts[i].bytes) ||
            !cut(&rest, mw_get_u32(lengths + 4), &items->contexts[i].schema_url))
            return false;
    }
    for (uint32_t i = 0; i < items->count; i++) {
        if (!cut(&rest, mw_get_u32(items->lengths + 4 * (size_t)i), &items->items[i]))
            return false;
        if (mw_items_resource(items, i) >= items->resources ||
            mw_items_scope(items, i) >= items->scopes)
            return false;
    }
    return rest.len == 0;
}

mw_err mw_items_decode(const mw_block_header *header, mw_slice raw, mw_items *out)
{
    const unsigned char *bytes = (const unsigned char *)raw.data;

    memset(out, 0, sizeof *out);
    if (raw.len < MW_ITEMS_PREFIX)
        return MW_E_CORRUPT;
    out->count = header->item_count;
    out->resources = mw_get_u32(bytes);
    out->scopes = mw_get_u32(bytes + 4);
    uint64_t contexts = (uint64_t)out->resources + out->scopes;
    uint64_t tables =
        MW_ITEMS_PREFIX + contexts * MW_ITEMS_CONTEXT + (uint64_t)out->count * MW_ITEMS_FIXED;
    if (tables > raw.len)
        return MW_E_CORRUPT;
    out->lengths = bytes + MW_ITEMS_PREFIX + contexts * MW_ITEMS_CONTEXT;
    out->resource_refs = out->lengths + 4 * (size_t)out->count;
    out->scope_refs = out->resource_refs + 4 * (size_t)out->count;
    /* Bounded by the chunk: the tables that these mirror were in it. */
    out->contexts = mw_alloc(MW_MEM_QUERY, (contexts + 1) * sizeof *out->contexts);
    out->items = mw_alloc(MW_MEM_QUERY, ((size_t)out->count + 1) * sizeof *out->items);
    mw_err err = out->contexts && out->items ? MW_OK : MW_E_NOMEM;
    if (err == MW_OK && !cut_all(out, bytes + MW_ITEMS_PREFIX, mw_slice_from(raw, tables)))
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
