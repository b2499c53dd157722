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

#include "lib/store/block.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger claims only cost time: the bounds are tested by the unit tests. */
#define RAW_MAX (1u << 20)

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
           mw_items_decode(header, mw_slice_bytes(block->items_raw, header->items_raw),
                           &block->items) == MW_OK;
}

static void check_row(const mw_span_row *a, const mw_span_row *b)
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
}

static void check_same(const decoded *a, const decoded *b)
{
    CHECK(a->hot.count == b->hot.count && a->items.count == b->items.count);
    CHECK(a->items.resources == b->items.resources && a->items.scopes == b->items.scopes);
    for (uint32_t i = 0; i < a->hot.count; i++) {
        mw_span_row x, y;
        mw_hot_row(&a->hot, i, &x);
        mw_hot_row(&b->hot, i, &y);
        check_row(&x, &y);
        CHECK(mw_slice_equal(a->items.items[i], b->items.items[i]));
        CHECK(mw_items_resource(&a->items, i) == mw_items_resource(&b->items, i));
        CHECK(mw_items_scope(&a->items, i) == mw_items_scope(&b->items, i));
    }
    for (uint32_t i = 0; i < a->items.resources + a->items.scopes; i++) {
        CHECK(mw_slice_equal(a->items.contexts[i].bytes, b->items.contexts[i].bytes));
        CHECK(mw_slice_equal(a->items.contexts[i].schema_url, b->items.contexts[i].schema_url));
    }
}

static void encode_again(const decoded *first)
{
    mw_store_item *items = calloc(first->hot.count, sizeof *items);
    for (uint32_t i = 0; i < first->hot.count; i++) {
        mw_hot_row(&first->hot, i, &items[i].row);
        items[i].bytes = first->items.items[i];
        items[i].resource = mw_items_resource(&first->items, i);
        items[i].scope = mw_items_scope(&first->items, i);
    }
    mw_store_batch batch = {.resources = first->items.contexts,
                            .resource_count = first->items.resources,
                            .scopes = first->items.contexts + first->items.resources,
                            .scope_count = first->items.scopes,
                            .items = items,
                            .item_count = first->hot.count};
    mw_encoded_block encoded;
    decoded second = {0};
    CHECK(mw_block_encode(&batch, 1, first->header.arrival_ns, &encoded) == MW_OK);
    mw_block_seal(&encoded, first->header.seq, first->header.synced, &place);
    CHECK(mw_block_header_read(encoded.data, &place, &second.header) == MW_OK);
    CHECK(decode(encoded.data + MW_BLOCK_HEADER_SIZE, &second));
    check_same(first, &second);
    forget(&second);
    mw_encoded_block_fini(&encoded);
    free(items);
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
        mw_free(MW_MEM_STORE, entry);
        encode_again(&block);
    }
    forget(&block);
    return 0;
}
