/* Fuzz target: bytes as an item chunk in fields, and bytes as items to be cut into fields.
 *
 * Input: a byte (signal in its low bits; bit 7: which of the two; bit 6: as in the log), a byte
 * (rows - 1), then the unpacked chunk, or the items (each a byte of length and its bytes). The
 * columns are made of the row's number. Oracle: nothing reads out of bounds (sanitizers); what is
 * accepted has a plain form that is accepted too, and cut anew gives the same items; items that
 * were cut come back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/format/field_writer.h"
#include "lib/store/format/hot_layout.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The columns of up to 256 rows: all numbers are small, and some repeat. */
typedef struct columns {
    mw_block_header header;
    unsigned char raw[16 + 32 + 256 * 160];
    mw_hot hot;
} columns;

static void make_columns(columns *out, mw_signal signal, uint32_t rows)
{
    const mw_hot_layout *layout = mw_hot_layout_of(signal);
    uint32_t traces = mw_hot_has_traces(layout) ? 2 : 0;
    size_t fixed = mw_hot_fixed(layout, false);
    memset(out, 0, sizeof *out);
    out->header = (mw_block_header){.signal = signal, .item_count = rows, .event_min_ns = 1000};
    mw_put_u32(out->raw, traces);
    mw_put_u32(out->raw + 12, 2);
    unsigned char *at = out->raw + 16;
    if (traces)
        at[31] = 1;
    at += (size_t)16 * traces;
    for (size_t i = 0; i < fixed * rows; i++)
        at[i] = (unsigned char)(i / 8 % 5);
    size_t len = 16 + (size_t)16 * traces + rows * (fixed + 2 * (size_t)layout->ref_count);
    CHECK(len <= sizeof out->raw);
    out->header.hot_raw = (uint32_t)len;
    CHECK(mw_hot_decode(&out->header, mw_slice_bytes(out->raw, len), &out->hot) == MW_OK);
}

/* Cuts items, lays the chunk out with one resource and one scope, reads it. */
typedef struct cut_chunk {
    char *raw;
    mw_fields fields;
} cut_chunk;

static void cut_items(const columns *around, const mw_slice *items, cut_chunk *out)
{
    mw_field_writer writer = {0};
    uint32_t rows = around->hot.count;
    bool metrics = around->hot.signal == MW_SIGNAL_METRICS;
    size_t front = MW_FIELDS_PREFIX + (metrics ? 24 : 16) + rows * (metrics ? 3u : 2u), len;

    CHECK(mw_field_writer_init(&writer, around->hot.signal, rows) == MW_OK);
    for (uint32_t i = rows; i-- > 0;) { /* any order will do */
        mw_row_fields told;
        mw_row_fields_make(&around->hot, i, &told);
        CHECK(mw_field_writer_add(&writer, i, &told, items[i]) == MW_OK);
    }
    size_t room = mw_field_writer_token_room(&writer);
    size_t dictionary = mw_field_writer_dictionary(&writer);
    out->raw = calloc(1, front + room + dictionary);
    char *entries = malloc(dictionary + 1);
    CHECK(mw_field_writer_finish(&writer, (unsigned char *)out->raw + front, &len,
                                 (unsigned char *)entries) == MW_OK);
    memcpy(out->raw + front + len, entries, dictionary);
    free(entries);
    mw_put_u32(out->raw, 1);
    mw_put_u32(out->raw + 4, 1);
    mw_put_u32(out->raw + 8, metrics);
    mw_put_u32(out->raw + 12, (uint32_t)len);
    mw_put_u32(out->raw + 16, 1);
    mw_field_writer_fini(&writer);
    CHECK(mw_fields_open(&around->header, &around->hot,
                         mw_slice_bytes(out->raw, front + len + dictionary),
                         &out->fields) == MW_OK);
}

/* The plain form of a chunk, decoded: free both. */
static char *plain_of(const columns *around, const mw_fields *fields, mw_items *items)
{
    size_t len = (size_t)mw_fields_plain_length(fields);
    char *plain = malloc(len);
    mw_fields_plain(fields, plain);
    CHECK(mw_items_decode(&around->header, mw_slice_bytes(plain, len), items) == MW_OK);
    return plain;
}

static void check_items(const columns *around, const mw_slice *items)
{
    cut_chunk cut;
    mw_items again;
    cut_items(around, items, &cut);
    char *plain = plain_of(around, &cut.fields, &again);
    for (uint32_t i = 0; i < around->hot.count; i++)
        CHECK(mw_slice_equal(again.items[i], items[i]));
    mw_items_fini(&again);
    mw_fields_close(&cut.fields);
    free(plain);
    free(cut.raw);
}

static void try_chunk(const columns *around, mw_slice raw, bool of_log)
{
    mw_fields fields;
    mw_items items;
    mw_block_header header = around->header;
    header.items_codec = of_log ? MW_CODEC_LOG_FIELDS : MW_CODEC_FIELDS;
    mw_err err = mw_fields_open(&header, &around->hot, raw, &fields);
    CHECK(err == MW_OK || err == MW_E_CORRUPT);
    if (err != MW_OK)
        return;
    char *plain = plain_of(around, &fields, &items);
    check_items(around, items.items);
    mw_items_fini(&items);
    mw_fields_close(&fields);
    free(plain);
}

static void try_items(const columns *around, mw_slice bytes)
{
    mw_slice items[256] = {{NULL, 0}};
    for (uint32_t i = 0; i < around->hot.count && bytes.len > 0; i++) {
        size_t len = (unsigned char)bytes.data[0];
        bytes = mw_slice_from(bytes, 1);
        items[i] = mw_slice_first(bytes, len);
        bytes = mw_slice_from(bytes, len);
    }
    check_items(around, items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static columns around;
    if (size < 2)
        return 0;
    make_columns(&around, (mw_signal)(1 + (data[0] & 0x3f) % 3), 1u + data[1]);
    /* A copy of its own: the sanitizer knows where it ends. */
    char *bytes = malloc(size - 1);
    memcpy(bytes, data + 2, size - 2);
    if (data[0] & 0x80)
        try_items(&around, mw_slice_bytes(bytes, size - 2));
    else
        try_chunk(&around, mw_slice_bytes(bytes, size - 2), (data[0] & 0x40) != 0);
    free(bytes);
    CHECK(mw_memory_used() == 0);
    return 0;
}
