/* From the rows of a batch to its columns.
 *
 * Runs on the thread that appends. Scratch memory is one arena (MW_MEM_INGEST) that ends with the
 * call. Two passes: the first gives every distinct trace id and string a number, the second lays
 * the columns out; the reference width is known only after the first. Both take one column at a
 * time, by the table of hot_layout.c.
 */
#include <xxhash.h>

#include "lib/store/format/hot_encode.h"
#include "lib/store/format/hot_layout.h"

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
    const mw_row_layout *layout;
    const unsigned char *rows; /* layout->row_size apart */
    uint32_t count;
    uint64_t base_ns;
    mw_arena arena;
    string_table strings;
    trace_entry *traces;
    uint32_t trace_count;
    uint32_t *refs; /* all columns, in the file's order */
} encoder;

#define STRINGS_AT_FIRST 64u

/* ---- numbering ------------------------------------------------------------------------------- */

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

/* Neighbours are mostly equal, and then nothing is hashed. `cell` is the first row's slice. */
static bool refer_strings(encoder *enc, const unsigned char *cell, uint32_t *refs)
{
    size_t step = enc->layout->row_size;
    mw_slice last = MW_SLICE_NONE;
    uint32_t last_ref = 0;

    for (uint32_t i = 0; i < enc->count; i++) {
        mw_slice text;
        memcpy(&text, cell + step * i, sizeof text);
        if (text.len == 0) {
            refs[i] = 0;
            continue;
        }
        bool same = last_ref && text.len == last.len &&
                    (text.data == last.data || memcmp(text.data, last.data, last.len) == 0);
        if (!same) {
            last = text;
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
 * bring the items of many traces in any order. The hash is seeded by an address: a sender cannot
 * aim at one slot. */
static bool number_traces(encoder *enc, const unsigned char *cell, uint32_t *refs)
{
    size_t step = enc->layout->row_size, slot_count = 16;
    while (slot_count < (size_t)enc->count * 2)
        slot_count *= 2;
    uint32_t *slots = mw_arena_zalloc(&enc->arena, slot_count, sizeof *slots);
    enc->traces = mw_arena_alloc(&enc->arena, enc->count * sizeof *enc->traces);
    if (!slots || !enc->traces)
        return false;
    uint64_t seed = (uint64_t)(uintptr_t)slots;
    for (uint32_t i = 0; i < enc->count; i++) {
        const unsigned char *id = cell + step * i;
        if (i && memcmp(id - step, id, MW_TRACE_ID_SIZE) == 0) {
            refs[i] = refs[i - 1];
            continue;
        }
        trace_entry entry = {mw_trace_key(id), mw_trace_key(id + 8), enc->trace_count};
        size_t slot = XXH3_64bits_withSeed(id, MW_TRACE_ID_SIZE, seed) & (slot_count - 1);
        while (slots[slot] && trace_compare(&enc->traces[slots[slot] - 1], &entry) != 0)
            slot = (slot + 1) & (slot_count - 1);
        if (!slots[slot]) {
            enc->traces[enc->trace_count] = entry;
            slots[slot] = ++enc->trace_count;
        }
        refs[i] = slots[slot] - 1;
    }
    return true;
}

/* Sorts the ids and turns the numbers by appearance into positions. */
static bool sort_traces(encoder *enc, uint32_t *refs)
{
    uint32_t *position = mw_arena_alloc(&enc->arena, enc->trace_count * sizeof *position);
    if (!position)
        return false;
    qsort(enc->traces, enc->trace_count, sizeof *enc->traces, trace_compare);
    for (uint32_t i = 0; i < enc->trace_count; i++)
        position[enc->traces[i].first_seen] = i;
    for (uint32_t i = 0; i < enc->count; i++)
        refs[i] = position[refs[i]];
    return true;
}

static bool number_everything(encoder *enc)
{
    const mw_hot_layout *columns = &enc->layout->columns;
    enc->refs =
        mw_arena_alloc(&enc->arena, (size_t)enc->count * columns->ref_count * sizeof *enc->refs);
    if (!enc->refs || !strings_grow(enc))
        return false;
    for (size_t i = 0; i < columns->ref_count; i++) {
        uint32_t *refs = enc->refs + i * enc->count;
        const unsigned char *cell = enc->rows + enc->layout->refs[columns->refs[i]];
        bool done = columns->refs[i] == MW_HOT_TRACE
                        ? number_traces(enc, cell, refs) && sort_traces(enc, refs)
                        : refer_strings(enc, cell, refs);
        if (!done)
            return false;
    }
    return true;
}

/* ---- columns --------------------------------------------------------------------------------- */

/* A number of the row, in this machine's order; a double's bits likewise. */
static uint64_t cell_u64(const unsigned char *cell)
{
    uint64_t value;
    memcpy(&value, cell, sizeof value);
    return value;
}

static unsigned char *put_wide(const encoder *enc, mw_wide_column column, unsigned char *at)
{
    size_t step = enc->layout->row_size, count = enc->count;
    const unsigned char *cell = enc->rows + enc->layout->wide[column];
    const unsigned char *start = enc->rows + enc->layout->wide[MW_WIDE_TIME];

    switch (column) {
    case MW_WIDE_SPAN_ID:
    case MW_WIDE_PARENT:
        for (size_t i = 0; i < count; i++)
            memcpy(at + 8 * i, cell + step * i, 8);
        break;
    case MW_WIDE_TIME:
        for (size_t i = 0; i < count; i++)
            mw_put_u64(at + 8 * i, cell_u64(cell + step * i) - enc->base_ns);
        break;
    case MW_WIDE_DURATION: /* modulo 2^64: clocks may run backwards */
        for (size_t i = 0; i < count; i++)
            mw_put_u64(at + 8 * i, cell_u64(cell + step * i) - cell_u64(start + step * i));
        break;
    default:
        for (size_t i = 0; i < count; i++)
            mw_put_u64(at + 8 * i, cell_u64(cell + step * i));
    }
    return at + 8 * count;
}

static unsigned char *put_narrow(const encoder *enc, mw_narrow_column column, unsigned char *at)
{
    size_t step = enc->layout->row_size, count = enc->count;
    const unsigned char *cell = enc->rows + enc->layout->narrow[column];

    for (size_t i = 0; i < count; i++)
        at[i] = cell[step * i];
    return at + count;
}

static unsigned char *put_fixed_columns(const encoder *enc, unsigned char *at)
{
    const mw_hot_layout *columns = &enc->layout->columns;

    for (size_t i = 0; i < columns->wide_count; i++)
        at = put_wide(enc, (mw_wide_column)columns->wide[i], at);
    for (size_t i = 0; i < columns->narrow_count; i++)
        at = put_narrow(enc, (mw_narrow_column)columns->narrow[i], at);
    return at;
}

static unsigned char *put_references(const encoder *enc, unsigned char *at, uint32_t width)
{
    size_t cells = (size_t)enc->count * enc->layout->columns.ref_count;
    const uint32_t *refs = enc->refs;

    if (width == 2)
        for (size_t i = 0; i < cells; i++, at += 2)
            mw_put_u16(at, (uint16_t)refs[i]);
    else
        for (size_t i = 0; i < cells; i++, at += 4)
            mw_put_u32(at, refs[i]);
    return at;
}

static unsigned char *put_traces(const encoder *enc, unsigned char *at)
{
    for (uint32_t i = 0; i < enc->trace_count; i++, at += MW_TRACE_ID_SIZE) {
        uint64_t high = htobe64(enc->traces[i].high), low = htobe64(enc->traces[i].low);
        memcpy(at, &high, 8);
        memcpy(at + 8, &low, 8);
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

static mw_err lay_out(const encoder *enc, unsigned char **raw, uint32_t *raw_len)
{
    const mw_hot_layout *columns = &enc->layout->columns;
    uint32_t strings = enc->strings.count;
    uint32_t width = enc->trace_count <= 65536 && strings <= 65535 ? 2 : 4;
    uint64_t len =
        MW_HOT_PREFIX + (uint64_t)enc->trace_count * MW_TRACE_ID_SIZE +
        (uint64_t)enc->count * (mw_hot_fixed(columns, false) + columns->ref_count * width) +
        (uint64_t)strings * 4 + enc->strings.bytes;
    if (len > MW_BLOCK_RAW_MAX)
        return MW_E_LIMIT;
    unsigned char *at = mw_alloc(MW_MEM_INGEST, len);
    if (!at)
        return MW_E_NOMEM;
    *raw = at;
    *raw_len = (uint32_t)len;
    mw_put_u32(at, enc->trace_count);
    mw_put_u32(at + 4, strings);
    mw_put_u32(at + 8, (uint32_t)enc->strings.bytes);
    mw_put_u32(at + 12, width);
    at = put_traces(enc, at + MW_HOT_PREFIX);
    at = put_fixed_columns(enc, at);
    at = put_references(enc, at, width);
    put_strings(enc, at);
    return MW_OK;
}

mw_err mw_hot_encode(const mw_store_batch *batch, mw_block_header *header, unsigned char **raw)
{
    encoder enc = {.layout = mw_row_layout_of(batch->signal),
                   .rows = (const unsigned char *)batch->rows.spans,
                   .count = header->item_count,
                   .base_ns = header->event_min_ns};

    MW_ASSERT(enc.layout && enc.rows);
    mw_arena_init(&enc.arena, MW_MEM_INGEST, 0);
    mw_err err = number_everything(&enc) ? lay_out(&enc, raw, &header->hot_raw) : MW_E_NOMEM;
    mw_arena_reset(&enc.arena);
    return err;
}
