/* Blocks: what is decoded equals what was encoded, field by field; hostile bytes are refused. */
#include <dirent.h>
#include <math.h>

#include <xxhash.h>

#include "tests/unit/lib-store/batch_random.h"

#include "lib/store/format/hot_layout.h"
#include "lib/store/format/item_fields.h"

#define KEY_SEED 42

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

static void assert_run_ascends(const uint64_t *keys, uint32_t count, bool distinct)
{
    for (uint32_t i = 1; i < count; i++)
        assert_true(distinct ? keys[i - 1] < keys[i] : keys[i - 1] <= keys[i]);
}

static void assert_has_text(const uint64_t *keys, uint32_t count, mw_slice text)
{
    if (text.len)
        assert_true(mw_keys_contain(keys, count, mw_text_key(KEY_SEED, text)));
}

/* Counts distinct texts the slow way. */
static uint32_t distinct_texts(const mw_store_batch *batch, size_t offset)
{
    uint32_t distinct = 0;
    for (size_t i = 0; i < batch->item_count; i++) {
        row_facts facts = facts_of(batch, i);
        const mw_slice *text = (const mw_slice *)(const void *)((const char *)&facts + offset);
        bool seen = text->len == 0;
        for (size_t k = 0; !seen && k < i; k++) {
            row_facts before = facts_of(batch, k);
            seen = mw_slice_equal(*(const mw_slice *)(const void *)((const char *)&before + offset),
                                  *text);
        }
        distinct += !seen;
    }
    return distinct;
}

/* The index entry holds exactly the distinct keys of the batch, ascending. */
static void assert_entry_complete(const mw_store_batch *batch, const mw_index_block *entry)
{
    assert_run_ascends(mw_index_traces(entry), entry->trace_count, false);
    assert_run_ascends(mw_index_sessions(entry), entry->session_count, true);
    assert_run_ascends(mw_index_services(entry), entry->service_count, true);
    assert_run_ascends(mw_index_names(entry), entry->name_count, true);
    for (size_t i = 0; i < batch->item_count; i++) {
        row_facts facts = facts_of(batch, i);
        if (facts.trace_id)
            assert_true(mw_keys_contain(mw_index_traces(entry), entry->trace_count,
                                        mw_trace_key(facts.trace_id)));
        assert_has_text(mw_index_sessions(entry), entry->session_count, facts.session_id);
        assert_has_text(mw_index_services(entry), entry->service_count, facts.service);
        assert_has_text(mw_index_names(entry), entry->name_count, facts.name);
    }
    if (batch->signal == MW_SIGNAL_METRICS)
        assert_int_equal(entry->trace_count, 0);
    if (batch->item_count > 1000)
        return; /* too many for the slow way */
    assert_int_equal(entry->session_count, distinct_texts(batch, offsetof(row_facts, session_id)));
    assert_int_equal(entry->service_count, distinct_texts(batch, offsetof(row_facts, service)));
    assert_int_equal(entry->name_count, distinct_texts(batch, offsetof(row_facts, name)));
}

static void assert_header_of(const mw_store_batch *batch, const mw_block_header *header)
{
    uint64_t earliest = UINT64_MAX, latest = 0;
    uint32_t errors = 0;
    for (size_t i = 0; i < batch->item_count; i++) {
        row_facts facts = facts_of(batch, i);
        earliest = facts.time_ns < earliest ? facts.time_ns : earliest;
        latest = facts.latest_ns > latest ? facts.latest_ns : latest;
        errors += facts.error;
    }
    assert_int_equal(header->signal, batch->signal);
    assert_int_equal(header->item_count, batch->item_count);
    assert_true(header->event_min_ns == earliest && header->event_max_ns == latest);
    assert_int_equal(header->error_count, errors);
    assert_int_equal(header->seq, 5);
    assert_int_equal(header->synced, 2048);
    assert_int_equal(header->arrival_ns, 99);
    assert_memory_equal(header->digest, batch->digest, 16);
}

/* Columns that the signal lacks are absent, the others are there. */
static void assert_columns_of(const mw_hot *hot)
{
    const mw_hot_layout *layout = mw_hot_layout_of(hot->signal);
    unsigned wide = 0, narrow = 0, refs = 0;
    for (size_t i = 0; i < MW_WIDE_COLUMNS; i++)
        wide += hot->wide[i] != NULL;
    for (size_t i = 0; i < MW_NARROW_COLUMNS; i++)
        narrow += hot->narrow[i] != NULL;
    for (size_t i = 0; i < MW_HOT_COLUMNS; i++)
        refs += hot->refs[i] != NULL;
    assert_int_equal(wide, layout->wide_count);
    assert_int_equal(narrow, layout->narrow_count);
    assert_int_equal(refs, layout->ref_count);
    assert_true((hot->refs[MW_HOT_TRACE] != NULL) == mw_hot_has_traces(layout));
}

/* Of items in fields, of which the columns tell a part, the plain chunk. */
static size_t make_plain(const mw_block_header *header, const mw_hot *hot, char **items)
{
    mw_fields fields;
    if (!mw_codec_in_fields(header->items_codec))
        return header->items_raw;
    assert_int_equal(
        mw_fields_open(header, hot, mw_slice_bytes(*items, header->items_raw), &fields), MW_OK);
    size_t len = (size_t)mw_fields_plain_length(&fields);
    char *plain = malloc(len);
    mw_fields_plain(&fields, plain);
    mw_fields_close(&fields);
    free(*items);
    *items = plain;
    return len;
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
    assert_header_of(batch, &header);
    unpack(&block, &hot_raw, &items_raw);
    assert_int_equal(mw_hot_decode(&header, mw_slice_bytes(hot_raw, header.hot_raw), &hot), MW_OK);
    assert_columns_of(&hot);
    for (uint32_t i = 0; i < batch->item_count; i++)
        assert_row_equal(batch, &hot, i);
    size_t plain = make_plain(&header, &hot, &items_raw);
    assert_int_equal(mw_items_decode(&header, mw_slice_bytes(items_raw, plain), &items), MW_OK);
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
    for (size_t round = 0; round < 120; round++) {
        test_batch batch;
        random_batch(&batch, &random, all_signals[round % 3], sizes[round / 3 % 6]);
        check_round_trip(&batch.batch);
        test_batch_fini(&batch);
    }
}

/* More distinct strings, or traces, than 16 bits can number: the wide references. */
static void test_wide_references(void **state)
{
    enum { COUNT = 70000 };
    (void)state;
    for (size_t signal = 0; signal < 3; signal++) {
        test_batch batch;
        test_batch_init_of(&batch, all_signals[signal], COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            switch (all_signals[signal]) {
            case MW_SIGNAL_METRICS:
                test_point(&batch, i, i + 1, i);
                batch.points[i].name = test_format(&batch, "metric ", i % 66000);
                break;
            case MW_SIGNAL_LOGS: test_log(&batch, i, i % 66000, i); break;
            default: test_span(&batch, i, i % 66000, i + 1, i);
            }
        }
        check_round_trip(&batch.batch);
        test_batch_fini(&batch);
    }
}

/* The layouts as segment_format.h draws them: every change of the table is a change of files. */
static void test_layouts(void **state)
{
    static const uint8_t spans[] = {
        MW_HOT_TRACE, MW_HOT_NAME, MW_HOT_SERVICE, MW_HOT_PEER_SERVICE,   MW_HOT_SESSION,
        MW_HOT_AGENT, MW_HOT_USER, MW_HOT_MODEL,   MW_HOT_STATUS_MESSAGE, MW_HOT_ORIGIN};
    static const uint8_t points[] = {MW_WIDE_SERIES, MW_WIDE_TIME, MW_WIDE_START, MW_WIDE_VALUE,
                                     MW_WIDE_COUNT};
    static const uint8_t logs[] = {MW_HOT_TRACE,   MW_HOT_NAME,  MW_HOT_SERVICE,
                                   MW_HOT_SESSION, MW_HOT_AGENT, MW_HOT_ORIGIN};
    (void)state;
    assert_null(mw_hot_layout_of(0));
    assert_null(mw_hot_layout_of(MW_SIGNAL_END));
    assert_null(mw_hot_layout_of(255));
    assert_int_equal(mw_hot_fixed(mw_hot_layout_of(MW_SIGNAL_TRACES), false), 52);
    assert_int_equal(mw_hot_fixed(mw_hot_layout_of(MW_SIGNAL_METRICS), false), 43);
    assert_int_equal(mw_hot_fixed(mw_hot_layout_of(MW_SIGNAL_LOGS), false), 18);
    assert_memory_equal(mw_hot_layout_of(MW_SIGNAL_TRACES)->refs, spans, sizeof spans);
    assert_memory_equal(mw_hot_layout_of(MW_SIGNAL_METRICS)->wide, points, sizeof points);
    assert_memory_equal(mw_hot_layout_of(MW_SIGNAL_LOGS)->refs, logs, sizeof logs);
}

/* Items of `size` bytes each, of which `share` eighths are random. */
static void large_batch(test_batch *batch, size_t count, size_t size, unsigned share)
{
    test_random random = {7 + share};
    char *bytes = malloc(size);
    test_batch_init_of(batch, MW_SIGNAL_LOGS, count);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < size; k++)
            bytes[k] = (char)(k / 128 % 8 < share ? random_next(&random) : 'a');
        test_log(batch, i, i, i);
        batch->items[i].bytes = test_text(batch, bytes, size);
    }
    free(bytes);
}

/* Chunks of several MiB, that pack to a little, to more than half, and not at all. */
static void test_large_chunks(void **state)
{
    test_random random = {9};
    test_batch batch;
    (void)state;
    for (unsigned share = 0; share <= 8; share += 4) {
        mw_encoded_block block;
        size_t before = mw_memory_used();
        large_batch(&batch, 40, 80000, share);
        assert_int_equal(mw_block_encode(&batch.batch, KEY_SEED, 0, &block), MW_OK);
        const mw_block_header *header = &block.header;
        assert_int_equal(header->items_codec, MW_CODEC_PIECES);
        uint64_t expected = (uint64_t)header->items_raw * share / 8;
        assert_in_range(header->items_stored, expected, expected + header->items_raw / 50);
        mw_encoded_block_fini(&block);
        assert_int_equal(mw_memory_used(), before);
        check_round_trip(&batch.batch);
        test_batch_fini(&batch);
    }
    /* Columns that hardly pack: the room for half of them does not do. */
    random_batch(&batch, &random, MW_SIGNAL_METRICS, 40000);
    check_round_trip(&batch.batch);
    test_batch_fini(&batch);
}

/* Around the sizes at which a chunk becomes one piece more. */
static void test_piece_edges(void **state)
{
    (void)state;
    for (size_t pieces = 1; pieces <= 2; pieces++) {
        for (size_t off = 0; off < 3; off++) {
            test_batch batch;
            mw_encoded_block block;
            size_t raw = pieces * MW_PIECE_SIZE - 1 + off;
            large_batch(&batch, 1, raw, 1);
            batch.items[0].bytes.len = 0;
            assert_int_equal(mw_block_encode(&batch.batch, KEY_SEED, 0, &block), MW_OK);
            batch.items[0].bytes.len = raw - block.header.items_raw;
            mw_encoded_block_fini(&block);
            assert_int_equal(mw_block_encode(&batch.batch, KEY_SEED, 0, &block), MW_OK);
            assert_int_equal(block.header.items_raw, raw);
            assert_int_equal(block.header.items_codec,
                             raw > MW_PIECE_SIZE ? MW_CODEC_PIECES : MW_CODEC_LZ4);
            mw_encoded_block_fini(&block);
            check_round_trip(&batch.batch);
            test_batch_fini(&batch);
        }
    }
}

/* The largest request is what memory is kept for: no second copy of it is ever made. */
static void test_large_without_copy(void **state)
{
    test_batch batch;
    mw_encoded_block block;
    (void)state;
    large_batch(&batch, 200, 80000, 1);
    mw_memory_init(mw_memory_used() + (size_t)200 * 80000 / 3);
    mw_err err = mw_block_encode(&batch.batch, KEY_SEED, 0, &block);
    mw_memory_init(0);
    assert_int_equal(err, MW_OK);
    mw_encoded_block_fini(&block);
    test_batch_fini(&batch);
}

/* Pieces that were tampered with: refused, and nothing is written behind the chunk. */
static void test_hostile_pieces(void **state)
{
    test_random random = {11};
    test_batch batch;
    mw_encoded_block block;
    (void)state;
    large_batch(&batch, 30, 80000, 1);
    assert_int_equal(mw_block_encode(&batch.batch, KEY_SEED, 0, &block), MW_OK);
    uint32_t stored = block.header.items_stored, raw = block.header.items_raw;
    const unsigned char *chunk = block.data + MW_BLOCK_HEADER_SIZE + block.header.hot_stored;
    char *out = malloc(raw), *copy = malloc(stored);
    uint32_t first = mw_get_u32(chunk);
    const uint32_t lengths[] = {0, first - 1, first + 1, MW_PIECE_SIZE, stored, UINT32_MAX};
    memcpy(copy, chunk, stored);
    mw_slice whole = mw_slice_bytes(copy, stored);
    assert_int_equal(mw_chunk_unpack(MW_CODEC_PIECES, whole, out, raw), MW_OK);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        mw_put_u32(copy, lengths[i]);
        assert_int_equal(mw_chunk_unpack(MW_CODEC_PIECES, whole, out, raw), MW_E_CORRUPT);
    }
    mw_put_u32(copy, first);
    for (uint32_t len = 0; len < stored; len += 997)
        assert_int_equal(mw_chunk_unpack(MW_CODEC_PIECES, mw_slice_first(whole, len), out, raw),
                         MW_E_CORRUPT);
    assert_int_equal(mw_chunk_unpack(MW_CODEC_PIECES, whole, out, raw - 1), MW_E_CORRUPT);
    for (int round = 0; round < 200; round++) {
        memcpy(copy, chunk, stored);
        copy[random_below(&random, stored)] ^= (char)(1 + random_below(&random, 255));
        mw_err err = mw_chunk_unpack(MW_CODEC_PIECES, whole, out, raw);
        assert_true(err == MW_OK || err == MW_E_CORRUPT); /* the checksum is what tells */
    }
    free(out);
    free(copy);
    mw_encoded_block_fini(&block);
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
    random_batch(&batch, &random, MW_SIGNAL_METRICS, 100);
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

static void seal_some(mw_signal signal, uint64_t seed, size_t count, test_batch *batch,
                      mw_encoded_block *block)
{
    static const mw_block_place place = {1, 2, 80};
    test_random random = {seed};
    random_batch(batch, &random, signal, count);
    assert_int_equal(mw_block_encode(&batch->batch, KEY_SEED, 0, block), MW_OK);
    mw_block_seal(block, 1, 80, &place);
}

static void test_header_flips(void **state)
{
    test_batch batch;
    mw_encoded_block block;
    mw_block_header header;
    mw_block_place place = {1, 2, 80};
    (void)state;
    seal_some(MW_SIGNAL_LOGS, 4, 5, &batch, &block);
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

/* Headers that are whole and make no sense: the checksum is put right. */
static void test_senseless_headers(void **state)
{
    mw_block_place place = {1, 2, 80};
    unsigned char bytes[MW_BLOCK_HEADER_SIZE];
    mw_block_header read;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        test_batch batch;
        mw_encoded_block block;
        seal_some(all_signals[i], 8, 9, &batch, &block);
        mw_block_header header = block.header;
        for (unsigned signal = 0; signal < 256; signal++) {
            header.signal = (mw_signal)signal;
            mw_block_header_write(&header, &place, bytes);
            mw_err err = mw_block_header_read(bytes, &place, &read);
            if (signal == 0 || signal >= MW_SIGNAL_END)
                assert_int_equal(err, MW_E_CORRUPT);
            if (signal == all_signals[i])
                assert_int_equal(err, MW_OK);
        }
        header = block.header;
        header.item_count = header.hot_raw; /* more than the columns have room for */
        mw_block_header_write(&header, &place, bytes);
        assert_int_equal(mw_block_header_read(bytes, &place, &read), MW_E_CORRUPT);
        header.item_count = 0;
        mw_block_header_write(&header, &place, bytes);
        assert_int_equal(mw_block_header_read(bytes, &place, &read), MW_E_CORRUPT);
        mw_encoded_block_fini(&block);
        test_batch_fini(&batch);
    }
}

static void test_segment_header_flips(void **state)
{
    unsigned char bytes[MW_SEGMENT_HEADER_SIZE];
    mw_segment_header header = {9, 100, 8, 4096, MW_SEGMENT_HEADER_SIZE, 17, 12345, MW_SEGMENT_LOG},
                      read;
    (void)state;
    mw_segment_header_write(&header, bytes);
    assert_int_equal(mw_segment_header_read(bytes, &read), MW_OK);
    /* Up to the last member: what pads the struct behind it is nobody's. */
    assert_memory_equal(&header, &read, offsetof(mw_segment_header, kind));
    assert_int_equal(header.kind, read.kind);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_equal(mw_segment_header_read(bytes, &read), MW_E_CORRUPT);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

/* Whatever is done to the chunks behind the checksums: refused, or every accessor is safe (the
 * sanitizers watch) and within the chunk. */
static size_t touch_row(const mw_hot *hot, uint32_t at)
{
    mw_span_row span;
    mw_log_row log;
    mw_point_row point;
    switch (hot->signal) {
    case MW_SIGNAL_METRICS: mw_hot_point(hot, at, &point); return point.name.len + point.unit.len;
    case MW_SIGNAL_LOGS: mw_hot_log(hot, at, &log); return log.event_name.len + log.origin.len;
    default:
        mw_hot_span(hot, at, &span);
        assert_true(span.operation_kind < MW_OP_COUNT);
        return span.name.len + span.origin.len;
    }
}

static void read_everything(const mw_block_header *header, mw_slice hot_raw, mw_slice items_raw,
                            int *accepted)
{
    mw_hot hot;
    mw_items items;
    if (mw_hot_decode(header, hot_raw, &hot) == MW_OK) {
        for (uint32_t i = 0; i < hot.count; i++)
            assert_true(touch_row(&hot, i) <= 2 * hot_raw.len);
        mw_index_block *entry = mw_index_block_new(&hot, header, KEY_SEED);
        assert_non_null(entry);
        mw_free(MW_MEM_STORE, entry);
        (*accepted)++;
    }
    if (mw_items_decode(header, items_raw, &items) == MW_OK) {
        for (uint32_t i = 0; i < items.count; i++) {
            assert_true(mw_items_resource(&items, i) < items.resources &&
                        mw_items_scope(&items, i) < items.scopes &&
                        items.items[i].len <= items_raw.len);
            assert_true(!items.metric_refs || mw_items_metric(&items, i) < items.metrics);
        }
        mw_items_fini(&items);
        (*accepted)++;
    }
}

/* A copy of exactly `len` bytes, so that a read past the end is seen; up to three bytes changed,
 * half of them near the front, where the counts are; sometimes cut. */
static char *mutate(test_random *random, const char *raw, size_t *len, size_t front)
{
    char *copy = malloc(*len);
    memcpy(copy, raw, *len);
    for (size_t i = random_below(random, 4); i > 0; i--) {
        size_t near = random_below(random, 2) && front < *len ? front : *len;
        copy[random_below(random, near)] = (char)random_next(random);
    }
    if (random_below(random, 8) == 0)
        *len = random_below(random, *len);
    char *cut = malloc(*len + 1);
    memcpy(cut, copy, *len);
    free(copy);
    return cut;
}

static void test_hostile_chunks(void **state)
{
    test_random random = {5};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        test_batch batch;
        mw_encoded_block block;
        char *hot, *items;
        int accepted = 0;
        seal_some(all_signals[i], 5 + i, 12, &batch, &block);
        unpack(&block, &hot, &items);
        for (int round = 0; round < 10000; round++) {
            mw_block_header header = block.header;
            size_t hot_len = header.hot_raw, items_len = header.items_raw;
            char *hot_cut = mutate(&random, hot, &hot_len, MW_HOT_PREFIX);
            char *items_cut = mutate(&random, items, &items_len, 64);
            /* The other signals' layouts over the same bytes, too. */
            if (random_below(&random, 4) == 0)
                header.signal = all_signals[random_below(&random, 3)];
            read_everything(&header, mw_slice_bytes(hot_cut, hot_len),
                            mw_slice_bytes(items_cut, items_len), &accepted);
            free(hot_cut);
            free(items_cut);
        }
        assert_true(accepted > 100);
        free(hot);
        free(items);
        mw_encoded_block_fini(&block);
        test_batch_fini(&batch);
    }
}

/* Each index that the chunks hold, set one too high, is refused by itself. */
static void test_indexes_out_of_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const mw_hot_layout *layout = mw_hot_layout_of(all_signals[i]);
        test_batch batch;
        mw_encoded_block block;
        mw_hot hot;
        mw_items items;
        char *hot_raw, *items_raw;
        seal_some(all_signals[i], 30 + i, 20, &batch, &block);
        unpack(&block, &hot_raw, &items_raw);
        const mw_block_header *header = &block.header;
        mw_slice hot_bytes = mw_slice_bytes(hot_raw, header->hot_raw);
        mw_slice items_bytes = mw_slice_bytes(items_raw, header->items_raw);
        assert_int_equal(mw_hot_decode(header, hot_bytes, &hot), MW_OK);
        for (size_t column = 0; column < layout->ref_count; column++) {
            bool trace = layout->refs[column] == MW_HOT_TRACE;
            size_t cell = (size_t)(hot.refs[layout->refs[column]] - (unsigned char *)hot_raw) + 2;
            uint16_t kept = mw_get_u16(hot_raw + cell);
            mw_put_u16(hot_raw + cell, (uint16_t)(trace ? hot.traces : hot.strings + 1));
            mw_hot refused;
            assert_int_equal(mw_hot_decode(header, hot_bytes, &refused), MW_E_CORRUPT);
            mw_put_u16(hot_raw + cell, kept);
        }
        assert_int_equal(mw_items_decode(header, items_bytes, &items), MW_OK);
        const unsigned char *cells[] = {items.resource_refs, items.scope_refs, items.metric_refs};
        uint32_t limits[] = {items.resources, items.scopes, items.metrics};
        mw_items_fini(&items);
        for (size_t column = 0; column < (all_signals[i] == MW_SIGNAL_METRICS ? 3 : 2); column++) {
            char *cell = items_raw + (cells[column] - (unsigned char *)items_raw) + 4;
            uint32_t kept = mw_get_u32(cell);
            mw_put_u32(cell, limits[column]);
            assert_int_equal(mw_items_decode(header, items_bytes, &items), MW_E_CORRUPT);
            mw_put_u32(cell, kept);
        }
        assert_int_equal(mw_items_decode(header, items_bytes, &items), MW_OK);
        mw_items_fini(&items);
        free(hot_raw);
        free(items_raw);
        mw_encoded_block_fini(&block);
        test_batch_fini(&batch);
    }
}

/* `raw` with `more` zero bytes at `at` and the number `value` at `field`. */
static mw_slice with_more(const char *raw, size_t len, size_t at, size_t more, size_t field,
                          uint32_t value)
{
    char *copy = calloc(1, len + more);
    memcpy(copy, raw, at);
    memcpy(copy + at + more, raw + at, len - at);
    mw_put_u32(copy + field, value);
    return mw_slice_bytes(copy, len + more);
}

/* Chunks that add up, and hold what their signal does not have. */
static void test_what_a_signal_lacks(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        bool metrics = all_signals[i] == MW_SIGNAL_METRICS;
        test_batch batch;
        mw_encoded_block block;
        mw_hot hot;
        mw_items items;
        char *hot_raw, *items_raw;
        seal_some(all_signals[i], 50 + i, 6, &batch, &block);
        unpack(&block, &hot_raw, &items_raw);
        const mw_block_header *header = &block.header;
        size_t heads = MW_ITEMS_PREFIX +
                       MW_ITEMS_CONTEXT * (batch.batch.resource_count + batch.batch.scope_count);
        /* A trace id in front of a point's columns; of a span's, zeros sort first. */
        mw_slice more = with_more(hot_raw, header->hot_raw, MW_HOT_PREFIX, MW_TRACE_ID_SIZE, 0,
                                  1 + mw_get_u32(hot_raw));
        mw_err expected = metrics || mw_id_is_zero(hot_raw + MW_HOT_PREFIX, MW_TRACE_ID_SIZE)
                              ? MW_E_CORRUPT
                              : MW_OK;
        assert_int_equal(mw_hot_decode(header, more, &hot), expected);
        free((char *)(uintptr_t)more.data);
        /* One more head, empty. */
        more = with_more(items_raw, header->items_raw, heads, MW_ITEMS_CONTEXT, 8,
                         1 + mw_get_u32(items_raw + 8));
        assert_int_equal(mw_items_decode(header, more, &items), metrics ? MW_OK : MW_E_CORRUPT);
        mw_items_fini(&items);
        free((char *)(uintptr_t)more.data);
        /* A head with a schema URL: its last byte. */
        for (size_t head = 0; metrics && head < batch.batch.metric_count; head++) {
            char *lengths = items_raw + heads + MW_ITEMS_CONTEXT * head;
            uint32_t len = mw_get_u32(lengths);
            if (len == 0)
                continue;
            mw_put_u32(lengths, len - 1);
            mw_put_u32(lengths + 4, 1);
            assert_int_equal(
                mw_items_decode(header, mw_slice_bytes(items_raw, header->items_raw), &items),
                MW_E_CORRUPT);
            mw_put_u32(lengths, len);
            mw_put_u32(lengths + 4, 0);
        }
        free(hot_raw);
        free(items_raw);
        mw_encoded_block_fini(&block);
        test_batch_fini(&batch);
    }
}

/* ---- a stranger's blocks --------------------------------------------------------------------- */

#define CORPUS "tests/fuzz/corpus/block"

/* A file of the fuzzer's corpus: a header without its checksum, then the chunks. */
static mw_signal accept_file(const char *name)
{
    mw_block_place place = {1, 2, 80};
    unsigned char bytes[MW_BLOCK_HEADER_SIZE], where[16];
    mw_block_header header;
    mw_encoded_block block = {.len = 0};
    mw_hot hot;
    mw_items items;
    char path[300], *data = NULL, *hot_raw, *items_raw;
    size_t size;

    snprintf(path, sizeof path, CORPUS "/%s", name);
    assert_int_equal(mw_io_read_file(path, 1 << 20, &data, &size), MW_OK);
    assert_true(size > 120);
    memcpy(bytes, data, 120);
    mw_put_u64(where, place.segment_id);
    mw_put_u64(where + 8, place.offset);
    mw_put_u64(bytes + 120,
               XXH3_64bits_withSeed(bytes, 120, XXH3_64bits_withSeed(where, 16, place.salt)));
    assert_int_equal(mw_block_header_read(bytes, &place, &header), MW_OK);
    assert_int_equal(120 + header.hot_stored + header.items_stored, size);
    header.hot_checksum = mw_chunk_checksum(data + 120, header.hot_stored);
    block.data = calloc(1, mw_block_size(&header));
    memcpy(block.data + MW_BLOCK_HEADER_SIZE, data + 120, size - 120);
    header.items_checksum = mw_chunk_checksum(block.data + MW_BLOCK_HEADER_SIZE + header.hot_stored,
                                              mw_items_padded(&header));
    block.header = header;
    unpack(&block, &hot_raw, &items_raw);
    assert_int_equal(mw_hot_decode(&header, mw_slice_bytes(hot_raw, header.hot_raw), &hot), MW_OK);
    assert_int_equal(mw_items_decode(&header, mw_slice_bytes(items_raw, header.items_raw), &items),
                     MW_OK);
    for (uint32_t i = 0; i < hot.count; i++)
        touch_row(&hot, i);
    mw_items_fini(&items);
    free(hot_raw);
    free(items_raw);
    free(block.data);
    mw_free(MW_MEM_BASE, data);
    return header.signal;
}

/* make_block_corpus.py writes them from the drawing alone. */
static void test_corpus(void **state)
{
    unsigned accepted[MW_SIGNAL_END] = {0};
    DIR *directory = opendir(CORPUS);
    (void)state;
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.')
            accepted[accept_file(entry->d_name)]++;
    closedir(directory);
    assert_int_equal(accepted[MW_SIGNAL_TRACES], 7);
    assert_int_equal(accepted[MW_SIGNAL_METRICS], 7);
    assert_int_equal(accepted[MW_SIGNAL_LOGS], 8); /* one in pieces */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wide_references),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_large_chunks),
        cmocka_unit_test(test_piece_edges),
        cmocka_unit_test(test_large_without_copy),
        cmocka_unit_test(test_hostile_pieces),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_header_flips),
        cmocka_unit_test(test_senseless_headers),
        cmocka_unit_test(test_segment_header_flips),
        cmocka_unit_test(test_hostile_chunks),
        cmocka_unit_test(test_indexes_out_of_range),
        cmocka_unit_test(test_what_a_signal_lacks),
        cmocka_unit_test(test_corpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
