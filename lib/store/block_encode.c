/* From a batch to the bytes of a block.
 *
 * Runs on the thread that appends. Scratch memory is one arena (MW_MEM_INGEST) that ends with the
 * call. Two passes: the first gives every distinct trace id and string a number, the second lays
 * the columns out; the reference width is known only after the first.
 */
#include <lz4.h>
#include <xxhash.h>

#include "lib/store/block.h"

#define STRING_COLUMNS (MW_HOT_COLUMNS - 1)

/* Distinct strings of the block. Open addressing; slots hold 1 + index, so 0 is free. */
typedef struct string_table {
    mw_slice *items;
    uint64_t *hashes;
    uint32_t count, capacity;
    uint32_t *slots;
    uint32_t mask;
    uint64_t bytes;
} string_table;

typedef struct trace_entry {
    uint64_t high, low; /* sorts like the id */
    uint32_t first_seen;
} trace_entry;

typedef struct encoder {
    const mw_store_batch *batch;
    uint32_t count;
    mw_arena arena;
    string_table strings;
    trace_entry *traces;
    uint32_t trace_count;
    uint32_t *refs[MW_HOT_COLUMNS];
    mw_block_header header;
} encoder;

#define STRINGS_AT_FIRST 64u

static bool strings_grow(encoder *enc)
{
    string_table *table = &enc->strings;
    uint32_t capacity = table->capacity ? table->capacity * 2 : STRINGS_AT_FIRST;
    mw_slice *items = mw_arena_alloc(&enc->arena, capacity * sizeof *items);
    uint64_t *hashes = mw_arena_alloc(&enc->arena, capacity * sizeof *hashes);
    uint32_t *slots = mw_arena_zalloc(&enc->arena, (size_t)capacity * 2, sizeof *slots);

    if (!items || !hashes || !slots)
        return false;
    if (table->count) {
        memcpy(items, table->items, table->count * sizeof *items);
        memcpy(hashes, table->hashes, table->count * sizeof *hashes);
    }
    table->items = items;
    table->hashes = hashes;
    table->slots = slots;
    table->capacity = capacity;
    table->mask = capacity * 2 - 1;
    for (uint32_t i = 0; i < table->count; i++) {
        uint32_t slot = (uint32_t)hashes[i] & table->mask;
        while (slots[slot])
            slot = (slot + 1) & table->mask;
        slots[slot] = i + 1;
    }
    return true;
}

/* Reference of `text`; UINT32_MAX without memory. */
static uint32_t strings_intern(encoder *enc, mw_slice text)
{
    string_table *table = &enc->strings;
    uint64_t hash = XXH3_64bits(text.data, text.len);
    uint32_t slot = (uint32_t)hash & table->mask;

    for (; table->slots[slot]; slot = (slot + 1) & table->mask) {
        uint32_t at = table->slots[slot] - 1;
        if (table->hashes[at] == hash && mw_slice_equal(table->items[at], text))
            return at + 1;
    }
    if (table->count == table->capacity) {
        if (!strings_grow(enc))
            return UINT32_MAX;
        slot = (uint32_t)hash & table->mask;
        while (table->slots[slot])
            slot = (slot + 1) & table->mask;
    }
    table->items[table->count] = text;
    table->hashes[table->count] = hash;
    table->slots[slot] = ++table->count;
    table->bytes += text.len;
    return table->count;
}

static const mw_slice *row_string(const mw_span_row *row, mw_hot_column column)
{
    switch (column) {
    case MW_HOT_NAME: return &row->name;
    case MW_HOT_SERVICE: return &row->service;
    case MW_HOT_PEER_SERVICE: return &row->peer_service;
    case MW_HOT_SESSION: return &row->session_id;
    case MW_HOT_AGENT: return &row->agent;
    case MW_HOT_USER: return &row->user;
    case MW_HOT_MODEL: return &row->model;
    default: return &row->status_message;
    }
}

/* One column at a time: neighbours are mostly equal, and then nothing is hashed. */
static bool refer_strings(encoder *enc, mw_hot_column column)
{
    uint32_t *refs = enc->refs[column];
    mw_slice last = MW_SLICE_NONE;
    uint32_t last_ref = 0;

    for (uint32_t i = 0; i < enc->count; i++) {
        const mw_slice *text = row_string(&enc->batch->items[i].row, column);
        if (text->len == 0) {
            refs[i] = 0;
            continue;
        }
        bool same = last_ref && text->len == last.len &&
                    (text->data == last.data || memcmp(text->data, last.data, last.len) == 0);
        if (!same) {
            last = *text;
            last_ref = strings_intern(enc, last);
            if (last_ref == UINT32_MAX)
                return false;
        }
        refs[i] = last_ref;
    }
    return true;
}

static int trace_compare(const void *left, const void *right)
{
    const trace_entry *a = left, *b = right;
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    return a->low < b->low ? -1 : a->low > b->low;
}

/* Numbers the distinct trace ids in order of appearance into refs. Hashed, because one request may
 * bring the spans of many traces in any order. The hash is seeded by an address: a sender cannot
 * aim at one slot. */
static bool number_traces(encoder *enc)
{
    size_t slot_count = 16;
    while (slot_count < (size_t)enc->count * 2)
        slot_count *= 2;
    uint32_t *slots = mw_arena_zalloc(&enc->arena, slot_count, sizeof *slots);
    enc->traces = mw_arena_alloc(&enc->arena, enc->count * sizeof *enc->traces);
    if (!slots || !enc->traces)
        return false;
    uint64_t seed = (uint64_t)(uintptr_t)slots;
    const uint8_t *last = NULL;
    for (uint32_t i = 0; i < enc->count; i++) {
        const uint8_t *id = enc->batch->items[i].row.trace_id;
        if (last && memcmp(last, id, MW_TRACE_ID_SIZE) == 0) {
            enc->refs[MW_HOT_TRACE][i] = enc->refs[MW_HOT_TRACE][i - 1];
            continue;
        }
        last = id;
        trace_entry entry = {mw_trace_key(id), mw_trace_key(id + 8), enc->trace_count};
        size_t slot = XXH3_64bits_withSeed(id, MW_TRACE_ID_SIZE, seed) & (slot_count - 1);
        while (slots[slot] && trace_compare(&enc->traces[slots[slot] - 1], &entry) != 0)
            slot = (slot + 1) & (slot_count - 1);
        if (!slots[slot]) {
            enc->traces[enc->trace_count] = entry;
            slots[slot] = ++enc->trace_count;
        }
        enc->refs[MW_HOT_TRACE][i] = slots[slot] - 1;
    }
    return true;
}

/* Sorts the ids and turns the numbers by appearance into positions. */
static bool sort_traces(encoder *enc)
{
    uint32_t *position = mw_arena_alloc(&enc->arena, enc->trace_count * sizeof *position);
    if (!position)
        return false;
    qsort(enc->traces, enc->trace_count, sizeof *enc->traces, trace_compare);
    for (uint32_t i = 0; i < enc->trace_count; i++)
        position[enc->traces[i].first_seen] = i;
    for (uint32_t i = 0; i < enc->count; i++)
        enc->refs[MW_HOT_TRACE][i] = position[enc->refs[MW_HOT_TRACE][i]];
    return true;
}

static bool number_everything(encoder *enc)
{
    uint32_t *refs =
        mw_arena_alloc(&enc->arena, (size_t)enc->count * MW_HOT_COLUMNS * sizeof *refs);
    if (!refs || !strings_grow(enc))
        return false;
    for (int column = 0; column < MW_HOT_COLUMNS; column++)
        enc->refs[column] = refs + (size_t)column * enc->count;
    if (!number_traces(enc) || !sort_traces(enc))
        return false;
    for (int column = MW_HOT_NAME; column < MW_HOT_COLUMNS; column++)
        if (!refer_strings(enc, (mw_hot_column)column))
            return false;
    return true;
}

static void summarize(encoder *enc)
{
    mw_block_header *header = &enc->header;
    header->event_min_ns = UINT64_MAX;
    for (uint32_t i = 0; i < enc->count; i++) {
        const mw_span_row *row = &enc->batch->items[i].row;
        uint64_t latest = row->end_ns > row->start_ns ? row->end_ns : row->start_ns;
        if (row->start_ns < header->event_min_ns)
            header->event_min_ns = row->start_ns;
        if (latest > header->event_max_ns)
            header->event_max_ns = latest;
        header->error_count += row->status == 2;
    }
}

static unsigned char *put_fixed_columns(const encoder *enc, unsigned char *at)
{
    const mw_store_item *items = enc->batch->items;
    size_t wide = 8 * (size_t)enc->count, narrow = enc->count;

    for (size_t i = 0; i < enc->count; i++) {
        const mw_span_row *row = &items[i].row;
        unsigned char *cell = at + 8 * i;
        memcpy(cell, row->span_id, MW_SPAN_ID_SIZE);
        memcpy(cell + wide, row->parent_span_id, MW_SPAN_ID_SIZE);
        mw_put_u64(cell + 2 * wide, row->start_ns - enc->header.event_min_ns);
        mw_put_u64(cell + 3 * wide, row->end_ns - row->start_ns);
        mw_put_u64(cell + 4 * wide, (uint64_t)row->input_tokens);
        mw_put_u64(cell + 5 * wide, (uint64_t)row->output_tokens);
        unsigned char *small = at + 6 * wide + i;
        small[0] = row->kind;
        small[narrow] = row->status;
        small[2 * narrow] = row->operation_kind;
        small[3 * narrow] = row->flags;
    }
    return at + 6 * wide + 4 * narrow;
}

static unsigned char *put_references(const encoder *enc, unsigned char *at, uint32_t width)
{
    size_t cells = (size_t)enc->count * MW_HOT_COLUMNS;
    const uint32_t *refs = enc->refs[0]; /* all columns in one array, in the file's order */

    for (size_t i = 0; i < cells; i++, at += width) {
        if (width == 2)
            mw_put_u16(at, (uint16_t)refs[i]);
        else
            mw_put_u32(at, refs[i]);
    }
    return at;
}

static void put_strings(const encoder *enc, unsigned char *at)
{
    const string_table *table = &enc->strings;
    unsigned char *bytes = at + 4 * (size_t)table->count;
    uint32_t end = 0;

    for (uint32_t i = 0; i < table->count; i++) {
        memcpy(bytes + end, table->items[i].data, table->items[i].len);
        end += (uint32_t)table->items[i].len;
        mw_put_u32(at + 4 * (size_t)i, end);
    }
}

/* MW_E_LIMIT, MW_E_NOMEM; *raw is in the arena. */
static mw_err lay_out_hot(encoder *enc, unsigned char **raw, uint64_t *raw_len)
{
    uint32_t strings = enc->strings.count;
    uint32_t width = enc->trace_count <= 65536 && strings <= 65535 ? 2 : 4;
    uint64_t len = MW_HOT_PREFIX + (uint64_t)enc->trace_count * MW_TRACE_ID_SIZE +
                   (uint64_t)enc->count * (MW_HOT_FIXED + MW_HOT_REFERENCES * width) +
                   (uint64_t)strings * 4 + enc->strings.bytes;
    if (len > MW_BLOCK_RAW_MAX)
        return MW_E_LIMIT;
    unsigned char *at = mw_arena_alloc(&enc->arena, len);
    if (!at)
        return MW_E_NOMEM;
    *raw = at;
    *raw_len = len;
    mw_put_u32(at, enc->trace_count);
    mw_put_u32(at + 4, strings);
    mw_put_u32(at + 8, (uint32_t)enc->strings.bytes);
    mw_put_u32(at + 12, width);
    at += MW_HOT_PREFIX;
    for (uint32_t i = 0; i < enc->trace_count; i++, at += MW_TRACE_ID_SIZE) {
        uint64_t high = htobe64(enc->traces[i].high), low = htobe64(enc->traces[i].low);
        memcpy(at, &high, 8);
        memcpy(at + 8, &low, 8);
    }
    at = put_fixed_columns(enc, at);
    at = put_references(enc, at, width);
    put_strings(enc, at);
    return MW_OK;
}

static uint64_t context_bytes(const mw_store_context *contexts, size_t count)
{
    uint64_t bytes = (uint64_t)count * MW_ITEMS_CONTEXT;
    for (size_t i = 0; i < count; i++)
        bytes += (uint64_t)contexts[i].bytes.len + contexts[i].schema_url.len;
    return bytes;
}

static uint64_t items_raw_len(const mw_store_batch *batch)
{
    uint64_t len = MW_ITEMS_PREFIX + (uint64_t)batch->item_count * MW_ITEMS_FIXED +
                   context_bytes(batch->resources, batch->resource_count) +
                   context_bytes(batch->scopes, batch->scope_count);
    for (size_t i = 0; i < batch->item_count; i++)
        len += batch->items[i].bytes.len;
    return len;
}

static unsigned char *put_slice(unsigned char *at, mw_slice bytes)
{
    if (bytes.len)
        memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

static unsigned char *put_contexts(unsigned char *lengths, unsigned char *bytes,
                                   const mw_store_context *contexts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mw_put_u32(lengths + MW_ITEMS_CONTEXT * i, (uint32_t)contexts[i].bytes.len);
        mw_put_u32(lengths + MW_ITEMS_CONTEXT * i + 4, (uint32_t)contexts[i].schema_url.len);
        bytes = put_slice(bytes, contexts[i].bytes);
        bytes = put_slice(bytes, contexts[i].schema_url);
    }
    return bytes;
}

static void lay_out_items(const mw_store_batch *batch, unsigned char *at)
{
    mw_put_u32(at, (uint32_t)batch->resource_count);
    mw_put_u32(at + 4, (uint32_t)batch->scope_count);
    unsigned char *resources = at + MW_ITEMS_PREFIX;
    unsigned char *scopes = resources + MW_ITEMS_CONTEXT * batch->resource_count;
    unsigned char *cells = scopes + MW_ITEMS_CONTEXT * batch->scope_count;
    size_t column = 4 * batch->item_count;
    unsigned char *bytes = cells + 3 * column;

    bytes = put_contexts(resources, bytes, batch->resources, batch->resource_count);
    bytes = put_contexts(scopes, bytes, batch->scopes, batch->scope_count);
    for (size_t i = 0; i < batch->item_count; i++, cells += 4) {
        const mw_store_item *item = &batch->items[i];
        MW_ASSERT(item->resource < batch->resource_count && item->scope < batch->scope_count);
        mw_put_u32(cells, (uint32_t)item->bytes.len);
        mw_put_u32(cells + column, item->resource);
        mw_put_u32(cells + 2 * column, item->scope);
        bytes = put_slice(bytes, item->bytes);
    }
}

/* Packs `raw` into `to`, which has `room` bytes; 0 when that is too little or nothing is saved. */
static uint32_t pack(const unsigned char *raw, uint32_t len, unsigned char *to, size_t room)
{
    int packed = LZ4_compress_default((const char *)raw, (char *)to, (int)len, (int)room);
    return packed > 0 && (uint32_t)packed < len ? (uint32_t)packed : 0;
}

static uint32_t pack_hot(const unsigned char *hot, mw_block_header *header, unsigned char *to)
{
    uint32_t len = header->hot_raw;
    uint32_t packed = pack(hot, len, to, (size_t)LZ4_compressBound((int)len));
    header->hot_codec = packed ? MW_CODEC_LZ4 : MW_CODEC_PLAIN;
    if (packed)
        return packed;
    memcpy(to, hot, len);
    return len;
}

/* Packs the items where they lie. Compression needs a second buffer; when memory is short a smaller
 * one is tried, and in the end the items stay as they are: a block that takes more disk is better
 * than an export refused. Merging packs it again. */
static uint32_t pack_items(unsigned char *items, mw_block_header *header)
{
    uint32_t len = header->items_raw;
    const size_t rooms[] = {(size_t)LZ4_compressBound((int)len), len / 2, len / 4, len / 6};
    header->items_codec = MW_CODEC_PLAIN;
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        unsigned char *room = mw_alloc(MW_MEM_INGEST, rooms[i]);
        if (!room)
            continue;
        uint32_t packed = pack(items, len, room, rooms[i]);
        if (packed)
            memcpy(items, room, packed);
        mw_free(MW_MEM_INGEST, room);
        if (!packed)
            return len; /* smaller rooms would not do either */
        header->items_codec = MW_CODEC_LZ4;
        return packed;
    }
    return len;
}

/* The hot chunk goes first, and the scratch with it, before the items need room. */
static mw_err pack_both(encoder *enc, const unsigned char *hot, mw_encoded_block *out)
{
    mw_block_header *header = &enc->header;
    size_t room = MW_BLOCK_HEADER_SIZE + (size_t)LZ4_compressBound((int)header->hot_raw) +
                  header->items_raw + MW_BLOCK_ALIGN;
    unsigned char *data = mw_alloc(MW_MEM_INGEST, room);
    if (!data)
        return MW_E_NOMEM;
    unsigned char *at = data + MW_BLOCK_HEADER_SIZE;
    header->hot_stored = pack_hot(hot, header, at);
    header->hot_checksum = mw_chunk_checksum(at, header->hot_stored);
    mw_arena_reset(&enc->arena);
    at += header->hot_stored;
    lay_out_items(enc->batch, at);
    header->items_stored = pack_items(at, header);
    uint32_t padded = mw_items_padded(header);
    memset(at + header->items_stored, 0, padded - header->items_stored);
    header->items_checksum = mw_chunk_checksum(at, padded);
    out->len = mw_block_size(header);
    /* The queue's budget and the account count what is kept, not the room for the worst case. */
    unsigned char *fitted = mw_realloc(MW_MEM_INGEST, data, out->len);
    out->data = fitted ? fitted : data;
    return MW_OK;
}

static mw_err encode(encoder *enc, uint64_t key_seed, mw_encoded_block *out)
{
    mw_block_header *header = &enc->header;
    unsigned char *hot = NULL;
    uint64_t hot_len = 0, items_len = items_raw_len(enc->batch);
    mw_hot columns;

    if (items_len > MW_BLOCK_RAW_MAX)
        return MW_E_LIMIT;
    summarize(enc);
    if (!number_everything(enc))
        return MW_E_NOMEM;
    mw_err err = lay_out_hot(enc, &hot, &hot_len);
    if (err != MW_OK)
        return err;
    if (hot_len + items_len > MW_BLOCK_RAW_MAX)
        return MW_E_LIMIT;
    header->hot_raw = (uint32_t)hot_len;
    header->items_raw = (uint32_t)items_len;
    err = mw_hot_decode(header, mw_slice_bytes(hot, hot_len), &columns);
    MW_ASSERT(err == MW_OK);
    out->entry = mw_index_block_new(&columns, header, key_seed);
    if (!out->entry)
        return MW_E_NOMEM;
    err = pack_both(enc, hot, out);
    out->header = *header;
    return err;
}

mw_err mw_block_encode(const mw_store_batch *batch, uint64_t key_seed, uint64_t arrival_ns,
                       mw_encoded_block *out)
{
    encoder enc;

    memset(out, 0, sizeof *out);
    MW_ASSERT(batch->item_count > 0);
    if (batch->item_count > MW_BLOCK_RAW_MAX / MW_HOT_FIXED || batch->resource_count > UINT32_MAX ||
        batch->scope_count > UINT32_MAX)
        return MW_E_LIMIT;
    memset(&enc, 0, sizeof enc);
    enc.batch = batch;
    enc.count = (uint32_t)batch->item_count;
    enc.header.item_count = enc.count;
    enc.header.arrival_ns = arrival_ns;
    memcpy(enc.header.digest, batch->digest, sizeof enc.header.digest);
    mw_arena_init(&enc.arena, MW_MEM_INGEST, 0);
    mw_err err = encode(&enc, key_seed, out);
    mw_arena_reset(&enc.arena);
    if (err != MW_OK)
        mw_encoded_block_fini(out);
    return err;
}

void mw_block_seal(mw_encoded_block *block, uint64_t seq, uint64_t synced,
                   const mw_block_place *place)
{
    block->header.seq = seq;
    block->header.synced = synced;
    mw_block_header_write(&block->header, place, block->data);
    block->entry->header = block->header;
    block->entry->offset = place->offset;
}

void mw_encoded_block_fini(mw_encoded_block *block)
{
    mw_free(MW_MEM_INGEST, block->data);
    mw_free(MW_MEM_STORE, block->entry);
    memset(block, 0, sizeof *block);
}
