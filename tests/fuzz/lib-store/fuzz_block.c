/* Fuzz target: bytes as a block of a segment file.
 *
 * Input: the block header's 120 bytes without its checksum, then the two chunks as they lie in the
 * file. The three checksums are put right first, for they would stop every mutation at the door;
 * what stands behind them must hold by itself. Oracle: nothing reads out of bounds (sanitizers),
 * and what is accepted says the same after it was encoded and decoded again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "lib/store/format/item_fields.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger claims only cost time: the bounds are tested by the unit tests. Enough for two pieces. */
#define RAW_MAX (5u << 18)

static const mw_block_place place = {3, 5, 80};

typedef struct decoded {
    mw_block_header header;
    char *hot_raw, *items_raw;
    mw_hot hot;
    mw_items items;
} decoded;

static void forget(decoded *block)
{
    free(block->hot_raw);
    free(block->items_raw);
    mw_items_fini(&block->items);
}

/* Items in fields are put together; all others are plain. */
static bool decode_items(decoded *block)
{
    const mw_block_header *header = &block->header;
    mw_slice raw = mw_slice_bytes(block->items_raw, header->items_raw);
    mw_fields fields;
    if (!mw_codec_in_fields(header->items_codec))
        return mw_items_decode(header, raw, &block->items) == MW_OK;
    if (mw_fields_open(header, &block->hot, raw, &fields) != MW_OK)
        return false;
    size_t len = (size_t)mw_fields_plain_length(&fields);
    char *plain = malloc(len + 1);
    mw_fields_plain(&fields, plain);
    mw_fields_close(&fields);
    free(block->items_raw);
    block->items_raw = plain;
    return mw_items_decode(header, mw_slice_bytes(plain, len), &block->items) == MW_OK;
}

/* `chunks` are the stored bytes behind the header. */
static bool decode(const unsigned char *chunks, decoded *block)
{
    const mw_block_header *header = &block->header;
    mw_slice hot = mw_slice_bytes(chunks, header->hot_stored);
    mw_slice items = mw_slice_bytes(chunks + header->hot_stored, header->items_stored);
    block->hot_raw = malloc(header->hot_raw + 1u);
    block->items_raw = malloc(header->items_raw + 1u);
    return mw_chunk_unpack(header->hot_codec, hot, block->hot_raw, header->hot_raw) == MW_OK &&
           mw_chunk_unpack(header->items_codec, items, block->items_raw, header->items_raw) ==
               MW_OK &&
           mw_hot_decode(header, mw_slice_bytes(block->hot_raw, header->hot_raw), &block->hot) ==
               MW_OK &&
           decode_items(block);
}

static void check_span(const mw_span_row *a, const mw_span_row *b)
{
    CHECK(memcmp(a->trace_id, b->trace_id, 16) == 0 && memcmp(a->span_id, b->span_id, 8) == 0);
    CHECK(memcmp(a->parent_span_id, b->parent_span_id, 8) == 0);
    CHECK(a->start_ns == b->start_ns && a->end_ns == b->end_ns);
    CHECK(a->kind == b->kind && a->status == b->status && a->flags == b->flags);
    CHECK(a->operation_kind == b->operation_kind);
    CHECK(a->input_tokens == b->input_tokens && a->output_tokens == b->output_tokens);
    CHECK(mw_slice_equal(a->name, b->name) && mw_slice_equal(a->service, b->service));
    CHECK(mw_slice_equal(a->peer_service, b->peer_service));
    CHECK(mw_slice_equal(a->session_id, b->session_id) && mw_slice_equal(a->agent, b->agent));
    CHECK(mw_slice_equal(a->user, b->user) && mw_slice_equal(a->model, b->model));
    CHECK(mw_slice_equal(a->status_message, b->status_message));
    CHECK(mw_slice_equal(a->origin, b->origin));
}

static void check_log(const mw_log_row *a, const mw_log_row *b)
{
    CHECK(memcmp(a->trace_id, b->trace_id, 16) == 0 && memcmp(a->span_id, b->span_id, 8) == 0);
    CHECK(a->time_ns == b->time_ns && a->severity == b->severity && a->flags == b->flags);
    CHECK(mw_slice_equal(a->service, b->service) && mw_slice_equal(a->agent, b->agent));
    CHECK(mw_slice_equal(a->session_id, b->session_id));
    CHECK(mw_slice_equal(a->event_name, b->event_name) && mw_slice_equal(a->origin, b->origin));
}

static void check_point(const mw_point_row *a, const mw_point_row *b)
{
    CHECK(a->series == b->series && a->time_ns == b->time_ns && a->start_ns == b->start_ns);
    CHECK(memcmp(&a->value, &b->value, sizeof a->value) == 0 && a->count == b->count);
    CHECK(a->kind == b->kind && a->temporality == b->temporality && a->flags == b->flags);
    CHECK(mw_slice_equal(a->name, b->name) && mw_slice_equal(a->unit, b->unit));
    CHECK(mw_slice_equal(a->service, b->service) && mw_slice_equal(a->origin, b->origin));
    CHECK(mw_slice_equal(a->session_id, b->session_id));
}

/* The rows of a block, whatever its signal; rows[i] of the member that fits. */
typedef struct rows {
    mw_span_row *spans;
    mw_log_row *logs;
    mw_point_row *points;
} rows;

static rows read_rows(const mw_hot *hot)
{
    rows out = {NULL, NULL, NULL};
    switch (hot->signal) {
    case MW_SIGNAL_METRICS: out.points = calloc(hot->count, sizeof *out.points); break;
    case MW_SIGNAL_LOGS: out.logs = calloc(hot->count, sizeof *out.logs); break;
    default: out.spans = calloc(hot->count, sizeof *out.spans);
    }
    for (uint32_t i = 0; i < hot->count; i++) {
        if (out.spans)
            mw_hot_span(hot, i, &out.spans[i]);
        else if (out.logs)
            mw_hot_log(hot, i, &out.logs[i]);
        else
            mw_hot_point(hot, i, &out.points[i]);
    }
    return out;
}

static void free_rows(rows *all)
{
    free(all->spans);
    free(all->logs);
    free(all->points);
}

static void check_rows(const mw_hot *a, const mw_hot *b)
{
    CHECK(a->signal == b->signal && a->count == b->count);
    rows left = read_rows(a), right = read_rows(b);
    for (uint32_t i = 0; i < a->count; i++) {
        if (left.spans)
            check_span(&left.spans[i], &right.spans[i]);
        else if (left.logs)
            check_log(&left.logs[i], &right.logs[i]);
        else
            check_point(&left.points[i], &right.points[i]);
    }
    free_rows(&left);
    free_rows(&right);
}

static void check_same(const decoded *a, const decoded *b)
{
    check_rows(&a->hot, &b->hot);
    CHECK(a->items.count == b->items.count && a->items.metrics == b->items.metrics);
    CHECK(a->items.resources == b->items.resources && a->items.scopes == b->items.scopes);
    for (uint32_t i = 0; i < a->items.count; i++) {
        CHECK(mw_slice_equal(a->items.items[i], b->items.items[i]));
        CHECK(mw_items_resource(&a->items, i) == mw_items_resource(&b->items, i));
        CHECK(mw_items_scope(&a->items, i) == mw_items_scope(&b->items, i));
        if (a->items.metric_refs)
            CHECK(mw_items_metric(&a->items, i) == mw_items_metric(&b->items, i));
    }
    for (size_t i = 0; i < (size_t)a->items.resources + a->items.scopes + a->items.metrics; i++) {
        CHECK(mw_slice_equal(a->items.contexts[i].bytes, b->items.contexts[i].bytes));
        CHECK(mw_slice_equal(a->items.contexts[i].schema_url, b->items.contexts[i].schema_url));
    }
}

/* What was decoded, as a batch again: *items and *heads are the caller's to free. */
static mw_store_batch as_batch(const decoded *block, const rows *all, mw_store_item **items,
                               mw_slice **heads)
{
    const mw_items *held = &block->items;
    size_t contexts = (size_t)held->resources + held->scopes;
    *items = calloc(held->count, sizeof **items);
    *heads = calloc((size_t)held->metrics + 1, sizeof **heads);
    for (uint32_t i = 0; i < held->count; i++) {
        (*items)[i].bytes = held->items[i];
        (*items)[i].resource = mw_items_resource(held, i);
        (*items)[i].scope = mw_items_scope(held, i);
        (*items)[i].metric = held->metric_refs ? mw_items_metric(held, i) : 0;
    }
    for (uint32_t i = 0; i < held->metrics; i++)
        (*heads)[i] = held->contexts[contexts + i].bytes;
    mw_store_batch batch = {.signal = block->header.signal,
                            .resources = held->contexts,
                            .resource_count = held->resources,
                            .scopes = held->contexts + held->resources,
                            .scope_count = held->scopes,
                            .metrics = *heads,
                            .metric_count = held->metrics,
                            .items = *items,
                            .item_count = held->count};
    if (all->spans)
        batch.rows.spans = all->spans;
    else if (all->logs)
        batch.rows.logs = all->logs;
    else
        batch.rows.points = all->points;
    return batch;
}

static void encode_again(const decoded *first)
{
    mw_store_item *items;
    mw_slice *heads;
    rows all = read_rows(&first->hot);
    mw_store_batch batch = as_batch(first, &all, &items, &heads);
    mw_encoded_block encoded;
    decoded second = {0};
    CHECK(mw_block_encode(&batch, 1, first->header.arrival_ns, &encoded) == MW_OK);
    mw_block_seal(&encoded, first->header.seq, first->header.synced, &place);
    CHECK(mw_block_header_read(encoded.data, &place, &second.header) == MW_OK);
    CHECK(decode(encoded.data + MW_BLOCK_HEADER_SIZE, &second));
    check_same(first, &second);
    forget(&second);
    mw_encoded_block_fini(&encoded);
    free_rows(&all);
    free(items);
    free(heads);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char header[MW_BLOCK_HEADER_SIZE] = {0}, where[16];
    decoded block = {0};

    if (size < 120)
        return 0;
    memcpy(header, data, 120);
    mw_put_u64(where, place.segment_id);
    mw_put_u64(where + 8, place.offset);
    mw_put_u64(header + 120,
               XXH3_64bits_withSeed(header, 120, XXH3_64bits_withSeed(where, 16, place.salt)));
    if (mw_block_header_read(header, &place, &block.header) != MW_OK)
        return 0;
    if (block.header.hot_raw > RAW_MAX || block.header.items_raw > RAW_MAX ||
        (uint64_t)block.header.hot_stored + block.header.items_stored > size - 120)
        return 0;
    if (decode(data + 120, &block)) {
        mw_index_block *entry = mw_index_block_new(&block.hot, &block.header, 1);
        CHECK(entry && entry->trace_count == block.hot.traces);
        CHECK(entry->name_count == 0 || block.header.signal == MW_SIGNAL_METRICS);
        mw_free(MW_MEM_STORE, entry);
        encode_again(&block);
    }
    forget(&block);
    return 0;
}
