/* Blocks: what is decoded equals what was encoded, field by field; hostile bytes are refused. */
#include "tests/unit/lib-store/store_test.h"

#include "lib/store/block.h"

#define KEY_SEED 42

/* Any bytes, any length, sometimes empty, sometimes the one before. */
static mw_slice random_text(test_batch *batch, test_random *random, mw_slice before)
{
    char bytes[64];
    size_t len = random_below(random, 20);
    if (random_below(random, 3) == 0)
        return before;
    if (random_below(random, 4) == 0)
        return MW_SLICE_NONE;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)random_below(random, random_below(random, 2) ? 4 : 256);
    return test_text(batch, bytes, len);
}

static void random_row(test_batch *batch, test_random *random, mw_span_row *row,
                       const mw_span_row *before)
{
    trace_id_of(row->trace_id, random_below(random, 1 + batch->batch.item_count / 4));
    put_id(row->span_id, 8, random_next(random));
    put_id(row->parent_span_id, 8, random_below(random, 3) ? random_next(random) : 0);
    row->start_ns = random_below(random, 8) ? random_next(random) >> random_below(random, 40) : 0;
    row->end_ns = random_below(random, 8) ? row->start_ns + random_below(random, 1000000) : 0;
    row->kind = (uint8_t)random_below(random, 256);
    row->status = (uint8_t)random_below(random, 4);
    row->operation_kind = (uint8_t)random_below(random, MW_OP_COUNT);
    row->flags = (uint8_t)random_below(random, 4);
    row->input_tokens = random_below(random, 2) ? -1 : (int64_t)random_next(random);
    row->output_tokens = random_below(random, 2) ? -1 : (int64_t)random_below(random, 5000);
    row->name = random_text(batch, random, before->name);
    row->service = random_text(batch, random, before->service);
    row->peer_service = random_text(batch, random, before->peer_service);
    row->session_id = random_text(batch, random, before->session_id);
    row->agent = random_text(batch, random, before->agent);
    row->user = random_text(batch, random, before->user);
    row->model = random_text(batch, random, before->model);
    row->status_message = random_text(batch, random, before->status_message);
}

static void random_batch(test_batch *batch, test_random *random, size_t count)
{
    static const mw_span_row none;
    test_batch_init(batch, count);
    free(batch->contexts);
    size_t resources = 1 + random_below(random, 3), scopes = 1 + random_below(random, 3);
    batch->contexts = calloc(resources + scopes, sizeof *batch->contexts);
    for (size_t i = 0; i < resources + scopes; i++) {
        batch->contexts[i].bytes = random_text(batch, random, MW_SLICE_NONE);
        batch->contexts[i].schema_url = random_text(batch, random, MW_SLICE_NONE);
    }
    batch->batch.resources = batch->contexts;
    batch->batch.resource_count = resources;
    batch->batch.scopes = batch->contexts + resources;
    batch->batch.scope_count = scopes;
    for (size_t i = 0; i < sizeof batch->batch.digest; i++)
        batch->batch.digest[i] = (uint8_t)random_next(random);
    for (size_t i = 0; i < count; i++) {
        random_row(batch, random, &batch->items[i].row, i ? &batch->items[i - 1].row : &none);
        batch->items[i].bytes = random_text(batch, random, MW_SLICE("item item item item"));
        batch->items[i].resource = (uint32_t)random_below(random, resources);
        batch->items[i].scope = (uint32_t)random_below(random, scopes);
    }
}

static void assert_slice_equal(mw_slice a, mw_slice b)
{
    assert_int_equal(a.len, b.len);
    if (a.len)
        assert_memory_equal(a.data, b.data, a.len);
}

static void assert_row_equal(const mw_span_row *a, const mw_span_row *b)
{
    assert_memory_equal(a->trace_id, b->trace_id, 16);
    assert_memory_equal(a->span_id, b->span_id, 8);
    assert_memory_equal(a->parent_span_id, b->parent_span_id, 8);
    assert_true(a->start_ns == b->start_ns && a->end_ns == b->end_ns);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->operation_kind, b->operation_kind);
    assert_int_equal(a->flags, b->flags);
    assert_true(a->input_tokens == b->input_tokens && a->output_tokens == b->output_tokens);
    assert_slice_equal(a->name, b->name);
    assert_slice_equal(a->service, b->service);
    assert_slice_equal(a->peer_service, b->peer_service);
    assert_slice_equal(a->session_id, b->session_id);
    assert_slice_equal(a->agent, b->agent);
    assert_slice_equal(a->user, b->user);
    assert_slice_equal(a->model, b->model);
    assert_slice_equal(a->status_message, b->status_message);
}

/* The two chunks of an encoded block, unpacked (free both). */
static void unpack(const mw_encoded_block *block, char **hot, char **items)
{
    const mw_block_header *header = &block->header;
    const unsigned char *at = block->data + MW_BLOCK_HEADER_SIZE;
    *hot = malloc(header->hot_raw);
    *items = malloc(header->items_raw);
    assert_int_equal(mw_chunk_checksum(at, header->hot_stored) == header->hot_checksum, 1);
    assert_int_equal(mw_chunk_unpack(header->hot_codec, mw_slice_bytes(at, header->hot_stored),
                                     *hot, header->hot_raw),
                     MW_OK);
    at += header->hot_stored;
    assert_int_equal(mw_chunk_checksum(at, mw_items_padded(header)) == header->items_checksum, 1);
    assert_int_equal(mw_chunk_unpack(header->items_codec, mw_slice_bytes(at, header->items_stored),
                                     *items, header->items_raw),
                     MW_OK);
}

static void assert_items_equal(const mw_store_batch *batch, const mw_items *items)
{
    assert_int_equal(items->resources, batch->resource_count);
    assert_int_equal(items->scopes, batch->scope_count);
    for (size_t i = 0; i < batch->resource_count + batch->scope_count; i++) {
        const mw_store_context *sent = i < batch->resource_count
                                           ? &batch->resources[i]
                                           : &batch->scopes[i - batch->resource_count];
        assert_slice_equal(items->contexts[i].bytes, sent->bytes);
        assert_slice_equal(items->contexts[i].schema_url, sent->schema_url);
    }
    for (uint32_t i = 0; i < batch->item_count; i++) {
        assert_slice_equal(items->items[i], batch->items[i].bytes);
        assert_int_equal(mw_items_resource(items, i), batch->items[i].resource);
        assert_int_equal(mw_items_scope(items, i), batch->items[i].scope);
    }
}

/* The index entry holds exactly the distinct keys of the batch, ascending. */
static void assert_entry_complete(const mw_store_batch *batch, const mw_index_block *entry)
{
    const uint64_t *traces = mw_index_traces(entry), *sessions = mw_index_sessions(entry);
    const uint64_t *services = mw_index_services(entry);
    for (uint32_t i = 1; i < entry->trace_count; i++)
        assert_true(traces[i - 1] <= traces[i]);
    for (uint32_t i = 1; i < entry->session_count; i++)
        assert_true(sessions[i - 1] < sessions[i]);
    for (size_t i = 0; i < batch->item_count; i++) {
        const mw_span_row *row = &batch->items[i].row;
        assert_true(mw_keys_contain(traces, entry->trace_count, mw_trace_key(row->trace_id)));
        if (row->session_id.len)
            assert_true(mw_keys_contain(sessions, entry->session_count,
                                        mw_text_key(KEY_SEED, row->session_id)));
        if (row->service.len)
            assert_true(mw_keys_contain(services, entry->service_count,
                                        mw_text_key(KEY_SEED, row->service)));
    }
}

static void check_round_trip(const mw_store_batch *batch)
{
    mw_encoded_block block;
    mw_block_header header;
    mw_block_place place = {7, 8, 4096};
    mw_hot hot;
    mw_items items;
    char *hot_raw, *items_raw;

    assert_int_equal(mw_block_encode(batch, KEY_SEED, 99, &block), MW_OK);
    mw_block_seal(&block, 5, 2048, &place);
    assert_int_equal(block.len % MW_BLOCK_ALIGN, 0);
    assert_int_equal(mw_block_header_read(block.data, &place, &header), MW_OK);
    assert_int_equal(mw_block_size(&header), block.len);
    assert_int_equal(header.seq, 5);
    assert_int_equal(header.synced, 2048);
    assert_int_equal(header.arrival_ns, 99);
    assert_memory_equal(header.digest, batch->digest, 16);
    unpack(&block, &hot_raw, &items_raw);
    assert_int_equal(mw_hot_decode(&header, mw_slice_bytes(hot_raw, header.hot_raw), &hot), MW_OK);
    uint64_t earliest = UINT64_MAX, latest = 0;
    uint32_t errors = 0;
    for (uint32_t i = 0; i < batch->item_count; i++) {
        const mw_span_row *sent = &batch->items[i].row;
        mw_span_row row;
        mw_hot_row(&hot, i, &row);
        assert_row_equal(sent, &row);
        earliest = sent->start_ns < earliest ? sent->start_ns : earliest;
        latest = sent->start_ns > latest ? sent->start_ns : latest;
        latest = sent->end_ns > latest ? sent->end_ns : latest;
        errors += sent->status == 2;
    }
    assert_true(header.event_min_ns == earliest && header.event_max_ns == latest);
    assert_int_equal(header.error_count, errors);
    assert_int_equal(mw_items_decode(&header, mw_slice_bytes(items_raw, header.items_raw), &items),
                     MW_OK);
    assert_items_equal(batch, &items);
    assert_entry_complete(batch, block.entry);
    mw_items_fini(&items);
    free(hot_raw);
    free(items_raw);
    mw_encoded_block_fini(&block);
}

static void test_round_trip(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 16, 100, 512};
    test_random random = {1};
    (void)state;
    for (int round = 0; round < 40; round++) {
        test_batch batch;
        random_batch(&batch, &random, sizes[(size_t)round % (sizeof sizes / sizeof *sizes)]);
        check_round_trip(&batch.batch);
        test_batch_fini(&batch);
    }
}

/* More distinct strings than 16 bits can number: the wide references. */
static void test_wide_references(void **state)
{
    enum { COUNT = 70000 };
    test_batch batch;
    (void)state;
    test_batch_init(&batch, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        test_span(&batch, i, i % 66000, i + 1, i);
    check_round_trip(&batch.batch);
    test_batch_fini(&batch);
}

static void test_too_large(void **state)
{
    test_batch batch;
    mw_encoded_block block;
    (void)state;
    test_batch_init(&batch, 2);
    test_span(&batch, 0, 1, 1, 0);
    test_span(&batch, 1, 1, 2, 1);
    /* Refused by its length: the bytes are never looked at. */
    batch.items[0].bytes.len = (size_t)MW_BLOCK_RAW_MAX;
    assert_int_equal(mw_block_encode(&batch.batch, KEY_SEED, 0, &block), MW_E_LIMIT);
    test_batch_fini(&batch);
}

static void test_without_memory(void **state)
{
    test_random random = {3};
    test_batch batch;
    mw_encoded_block block;
    bool refused = false;
    (void)state;
    random_batch(&batch, &random, 100);
    size_t before = mw_memory_used();
    for (uint64_t at = 1;; at++) {
        mw_memory_fail_at(at);
        mw_err err = mw_block_encode(&batch.batch, KEY_SEED, 0, &block);
        mw_memory_fail_at(0);
        if (err == MW_OK) {
            mw_encoded_block_fini(&block);
            assert_int_equal(mw_memory_used(), before);
            if (at > 64)
                break; /* one may have been the shrinking, which is no failure */
            continue;
        }
        refused = true;
        assert_int_equal(err, MW_E_NOMEM);
        assert_int_equal(mw_memory_used(), before);
    }
    assert_true(refused);
    test_batch_fini(&batch);
}

/* ---- hostile bytes --------------------------------------------------------------------------- */

static void test_header_flips(void **state)
{
    test_random random = {4};
    test_batch batch;
    mw_encoded_block block;
    mw_block_header header;
    mw_block_place place = {1, 2, 80};
    (void)state;
    random_batch(&batch, &random, 5);
    assert_int_equal(mw_block_encode(&batch.batch, KEY_SEED, 0, &block), MW_OK);
    mw_block_seal(&block, 1, 80, &place);
    for (size_t bit = 0; bit < MW_BLOCK_HEADER_SIZE * 8; bit++) {
        block.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_equal(mw_block_header_read(block.data, &place, &header), MW_E_CORRUPT);
        block.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    /* The same bytes anywhere else are not a block. */
    mw_block_place others[] = {{1, 2, 88}, {1, 3, 80}, {2, 2, 80}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(mw_block_header_read(block.data, &others[i], &header), MW_E_CORRUPT);
    assert_int_equal(mw_block_header_read(block.data, &place, &header), MW_OK);
    mw_encoded_block_fini(&block);
    test_batch_fini(&batch);
}

static void test_segment_header_flips(void **state)
{
    unsigned char bytes[MW_SEGMENT_HEADER_SIZE];
    mw_segment_header header = {9, 100, 8, 4096, MW_SEGMENT_HEADER_SIZE, 17, 12345}, read;
    (void)state;
    mw_segment_header_write(&header, bytes);
    assert_int_equal(mw_segment_header_read(bytes, &read), MW_OK);
    assert_memory_equal(&header, &read, sizeof header);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_equal(mw_segment_header_read(bytes, &read), MW_E_CORRUPT);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

/* Whatever is done to the columns behind the checksums: refused, or every accessor is safe (the
 * sanitizers watch) and within the chunk. */
static void read_everything(const mw_block_header *header, mw_slice hot_raw, mw_slice items_raw,
                            int *accepted)
{
    mw_hot hot;
    mw_items items;
    if (mw_hot_decode(header, hot_raw, &hot) == MW_OK) {
        for (uint32_t i = 0; i < hot.count; i++) {
            mw_span_row row;
            mw_hot_row(&hot, i, &row);
            assert_true(row.name.len <= hot_raw.len);
            assert_true(row.operation_kind < MW_OP_COUNT);
        }
        (*accepted)++;
    }
    if (mw_items_decode(header, items_raw, &items) == MW_OK) {
        for (uint32_t i = 0; i < items.count; i++)
            assert_true(mw_items_resource(&items, i) < items.resources &&
                        mw_items_scope(&items, i) < items.scopes &&
                        items.items[i].len <= items_raw.len);
        mw_items_fini(&items);
        (*accepted)++;
    }
}

static void test_hostile_chunks(void **state)
{
    test_random random = {5};
    test_batch batch;
    mw_encoded_block block;
    char *hot, *items;
    int accepted = 0;
    (void)state;
    random_batch(&batch, &random, 12);
    assert_int_equal(mw_block_encode(&batch.batch, KEY_SEED, 0, &block), MW_OK);
    unpack(&block, &hot, &items);
    mw_block_header header = block.header;
    for (int round = 0; round < 20000; round++) {
        size_t hot_len = header.hot_raw, items_len = header.items_raw;
        char *hot_copy = malloc(hot_len), *items_copy = malloc(items_len);
        memcpy(hot_copy, hot, hot_len);
        memcpy(items_copy, items, items_len);
        size_t changes = 1 + random_below(&random, 3);
        for (size_t i = 0; i < changes; i++) {
            size_t near = random_below(&random, 2) ? 16 : hot_len;
            hot_copy[random_below(&random, near)] = (char)random_next(&random);
            near = random_below(&random, 2) ? 64 : items_len;
            items_copy[random_below(&random, near < items_len ? near : items_len)] =
                (char)random_next(&random);
        }
        if (random_below(&random, 8) == 0)
            hot_len = random_below(&random, hot_len);
        if (random_below(&random, 8) == 0)
            items_len = random_below(&random, items_len);
        /* Exact-size copies, so that a read past the end is seen. */
        char *hot_cut = malloc(hot_len + 1), *items_cut = malloc(items_len + 1);
        memcpy(hot_cut, hot_copy, hot_len);
        memcpy(items_cut, items_copy, items_len);
        read_everything(&header, mw_slice_bytes(hot_cut, hot_len),
                        mw_slice_bytes(items_cut, items_len), &accepted);
        free(hot_cut);
        free(items_cut);
        free(hot_copy);
        free(items_copy);
    }
    assert_true(accepted > 0);
    free(hot);
    free(items);
    mw_encoded_block_fini(&block);
    test_batch_fini(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_wide_references),
        cmocka_unit_test(test_too_large),      cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_header_flips),   cmocka_unit_test(test_segment_header_flips),
        cmocka_unit_test(test_hostile_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
