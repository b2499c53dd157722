/* Merged blocks: rows of many blocks in any order come back as they were sent, from the log and
 * from merged blocks; wherever memory ends, nothing is left behind. */
#include <math.h>
#include <zstd.h>

#include "tests/unit/lib-store/pack_model.h"

#include "lib/store/format/hot_layout.h"

#define SOURCES_MAX 8

typedef struct sources {
    test_batch batches[SOURCES_MAX];
    test_block blocks[SOURCES_MAX];
    uint32_t count;
    mw_signal signal;
} sources;

static void sources_init(sources *all, test_random *random, mw_signal signal, uint32_t count,
                         size_t rows_max)
{
    memset(all, 0, sizeof *all);
    all->count = count;
    all->signal = signal;
    for (uint32_t i = 0; i < count; i++) {
        random_sendable(&all->batches[i], random, signal, 1 + random_below(random, rows_max));
        all->blocks[i] = block_of_batch(&all->batches[i], 100 + i * 3, 5000 - i);
    }
}

static void sources_fini(sources *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        test_batch_fini(&all->batches[i]);
        close(all->blocks[i].fd);
    }
}

/* Rows of all sources in any order, at most `most`; the caller frees. */
static row_origin *choose(const sources *all, test_random *random, uint32_t most, uint32_t *count)
{
    row_origin *rows = NULL;
    *count = 0;
    for (uint32_t b = 0; b < all->count; b++) {
        uint32_t more = all->blocks[b].header.item_count;
        rows = realloc(rows, (*count + more) * sizeof *rows);
        for (uint32_t r = 0; r < more; r++)
            rows[(*count)++] = (row_origin){b, r};
    }
    for (uint32_t i = *count; i > 1; i--) {
        uint32_t other = (uint32_t)random_below(random, i);
        row_origin row = rows[i - 1];
        rows[i - 1] = rows[other];
        rows[other] = row;
    }
    *count = *count < most ? *count : most;
    return rows;
}

static void assert_context_equal(const mw_store_context *found, mw_slice bytes, mw_slice url)
{
    assert_slice_equal(found->bytes, bytes);
    assert_slice_equal(found->schema_url, url);
}

/* Row `at` of the packed block is row `row` of the batch. */
static void assert_row_is(const read_block *read, uint32_t at, const mw_store_batch *batch,
                          uint32_t row)
{
    const mw_items *items = &read->items;
    const mw_store_item *sent = &batch->items[row];
    mw_store_batch one = *batch;
    const mw_store_context *resource = &items->contexts[mw_items_resource(items, at)];
    const mw_store_context *scope = &items->contexts[items->resources + mw_items_scope(items, at)];
    /* Compare as if the batch had the packed block's numbering. */
    switch (batch->signal) {
    case MW_SIGNAL_METRICS: one.rows.points = batch->rows.points + row - at; break;
    case MW_SIGNAL_LOGS: one.rows.logs = batch->rows.logs + row - at; break;
    default: one.rows.spans = batch->rows.spans + row - at;
    }
    assert_row_equal(&one, &read->hot, at);
    assert_slice_equal(items->items[at], sent->bytes);
    assert_context_equal(resource, batch->resources[sent->resource].bytes,
                         batch->resources[sent->resource].schema_url);
    assert_context_equal(scope, batch->scopes[sent->scope].bytes,
                         batch->scopes[sent->scope].schema_url);
    if (batch->signal == MW_SIGNAL_METRICS)
        assert_context_equal(
            &items->contexts[items->resources + items->scopes + mw_items_metric(items, at)],
            batch->metrics[sent->metric], MW_SLICE_NONE);
}

static void assert_header_is(const sources *all, const mw_block_header *header,
                             const row_origin *origins, uint32_t count)
{
    static const uint8_t zero[16];
    uint64_t seq = UINT64_MAX, arrival = UINT64_MAX, first = UINT64_MAX, last = 0;
    uint32_t errors = 0;
    for (uint32_t i = 0; i < count; i++) {
        const test_block *block = &all->blocks[origins[i].block];
        row_facts facts = facts_of(&all->batches[origins[i].block].batch, origins[i].row);
        seq = block->header.seq < seq ? block->header.seq : seq;
        arrival = block->header.arrival_ns < arrival ? block->header.arrival_ns : arrival;
        first = facts.time_ns < first ? facts.time_ns : first;
        last = facts.latest_ns > last ? facts.latest_ns : last;
        errors += facts.error;
    }
    assert_true(header->many_commits && header->signal == all->signal);
    assert_int_equal(header->item_count, count);
    assert_true(header->seq == seq && header->arrival_ns == arrival);
    assert_true(header->event_min_ns == first && header->event_max_ns == last);
    assert_int_equal(header->error_count, errors);
    assert_memory_equal(header->digest, zero, sizeof zero);
}

static void assert_distinct_contexts(const mw_items *items, size_t from, size_t count)
{
    for (size_t i = from; count < 1000 && i < from + count; i++)
        for (size_t k = from; k < i; k++)
            assert_false(
                mw_slice_equal(items->contexts[i].bytes, items->contexts[k].bytes) &&
                mw_slice_equal(items->contexts[i].schema_url, items->contexts[k].schema_url));
}

static void check_packed(const sources *all, const test_block *packed, const row_origin *origins,
                         uint32_t count)
{
    read_block read;
    read_block_init(&read, packed);
    assert_header_is(all, &packed->header, origins, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_row_is(&read, i, &all->batches[origins[i].block].batch, origins[i].row);
        assert_int_equal(mw_hot_seq(&read.hot, i), all->blocks[origins[i].block].header.seq);
        assert_int_equal(mw_hot_index(&read.hot, i), origins[i].row);
    }
    assert_distinct_contexts(&read.items, 0, read.items.resources);
    assert_distinct_contexts(&read.items, read.items.resources, read.items.scopes);
    read_block_fini(&read);
}

/* Some rows and contexts alone. */
static void check_walk(const test_block *packed, test_random *random)
{
    read_block read;
    mw_items_walk walk;
    mw_block_reader reader;
    char *room = malloc(1 << 20);
    read_block_init(&read, packed);
    mw_block_reader_init(&reader);
    assert_int_equal(mw_items_walk_begin(&walk, &reader, packed->fd, 0, &packed->header, &read.hot),
                     MW_OK);
    for (size_t i = 0; i < mw_items_walk_contexts(&walk); i++) {
        const mw_store_context *context = &read.items.contexts[i];
        assert_int_equal(mw_items_walk_message_length(&walk, i), context->bytes.len);
        assert_int_equal(mw_items_walk_url_length(&walk, i), context->schema_url.len);
        if (random_below(random, 2))
            continue;
        assert_int_equal(mw_items_walk_context(&walk, i, room), MW_OK);
        assert_slice_equal(mw_slice_bytes(room, context->bytes.len), context->bytes);
    }
    for (uint32_t row = 0; row < walk.count; row++) {
        mw_slice item = read.items.items[row];
        assert_int_equal(mw_items_walk_item_length(&walk, row), item.len);
        assert_int_equal(mw_items_walk_resource(&walk, row), mw_items_resource(&read.items, row));
        if (random_below(random, 4))
            continue;
        assert_int_equal(mw_items_walk_item(&walk, row, room), MW_OK);
        assert_slice_equal(mw_slice_bytes(room, item.len), item);
    }
    mw_items_walk_end(&walk);
    mw_block_reader_fini(&reader);
    read_block_fini(&read);
    free(room);
}

/* Packs what was packed, together with blocks of the log, in any order again. */
static void pack_again(const sources *all, const test_block *packed, const row_origin *origins,
                       uint32_t count, test_random *random)
{
    test_block half[2];
    mw_encoded_block encoded;
    uint32_t first = count / 2 ? count / 2 : 1;
    row_origin *order = malloc(count * sizeof *order), *from = malloc(count * sizeof *from);

    assert_int_equal(pack_rows(all->signal, all->blocks, all->count, origins, first, &encoded),
                     MW_OK);
    half[0] = block_of(&encoded, encoded.header.seq);
    half[1] = *packed;
    for (uint32_t i = 0; i < count; i++) {
        bool second = i >= first;
        order[i] = (row_origin){second, i};
        from[i] = origins[i];
    }
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)random_below(random, i);
        row_origin a = order[i - 1], b = from[i - 1];
        order[i - 1] = order[other], from[i - 1] = from[other];
        order[other] = a, from[other] = b;
    }
    assert_int_equal(pack_rows(all->signal, half, 2, order, count, &encoded), MW_OK);
    test_block again = block_of(&encoded, encoded.header.seq);
    check_packed(all, &again, from, count);
    close(again.fd);
    close(half[0].fd);
    free(order);
    free(from);
}

static void run(test_random *random, mw_signal signal, uint32_t count, size_t rows_max)
{
    sources all;
    mw_encoded_block encoded;
    uint32_t rows;

    sources_init(&all, random, signal, count, rows_max);
    row_origin *origins = choose(&all, random, random_below(random, 2) ? UINT32_MAX : 100, &rows);
    assert_int_equal(pack_rows(signal, all.blocks, count, origins, rows, &encoded), MW_OK);
    test_block packed = block_of(&encoded, encoded.header.seq);
    check_packed(&all, &packed, origins, rows);
    check_walk(&packed, random);
    pack_again(&all, &packed, origins, rows, random);
    close(packed.fd);
    free(origins);
    sources_fini(&all);
    assert_int_equal(mw_memory_used(), 0);
}

static void test_any_rows(void **state)
{
    test_random random = {3};
    (void)state;
    for (int i = 0; i < 120; i++)
        run(&random, all_signals[i % 3], 1 + (uint32_t)random_below(&random, SOURCES_MAX),
            i % 4 ? 30 : 700);
}

/* ---- codecs and bounds ---------------------------------------------------------------------- */

/* `count` records with items of `len` bytes of which nothing repeats, each with a resource of its
 * own among `resources`. */
static test_block block_of_records(test_batch *batch, test_random *random, size_t count, size_t len,
                                   size_t resources)
{
    char *bytes = malloc(len + 1);
    test_batch_init_of(batch, MW_SIGNAL_LOGS, count);
    batch->contexts = realloc(batch->contexts, (resources + 1) * sizeof *batch->contexts);
    batch->batch.resources = batch->contexts;
    batch->batch.resource_count = resources;
    for (size_t i = 0; i < resources; i++)
        batch->contexts[i] = (mw_store_context){.bytes = test_format(batch, "resource", i)};
    batch->contexts[resources] = (mw_store_context){.bytes = MW_SLICE("scope")};
    batch->batch.scopes = batch->contexts + resources;
    for (size_t i = 0; i < count; i++) {
        batch->logs[i].time_ns = 1000 + i;
        batch->logs[i].service = test_format(batch, "service", i);
        for (size_t at = 0; at < len; at++)
            bytes[at] = (char)random_below(random, 16);
        batch->items[i].bytes = test_text(batch, bytes, len);
        batch->items[i].resource = (uint32_t)(i % resources);
    }
    free(bytes);
    return block_of_batch(batch, 100, 5000);
}

/* Packs all rows of one block backwards and checks them. */
static mw_block_header pack_backwards(test_random *random, size_t count, size_t len,
                                      size_t resources)
{
    sources all = {.count = 1, .signal = MW_SIGNAL_LOGS};
    mw_encoded_block encoded;
    row_origin *origins = malloc(count * sizeof *origins);
    all.blocks[0] = block_of_records(&all.batches[0], random, count, len, resources);
    for (uint32_t i = 0; i < count; i++)
        origins[i] = (row_origin){0, (uint32_t)count - 1 - i};
    assert_int_equal(pack_rows(MW_SIGNAL_LOGS, all.blocks, 1, origins, (uint32_t)count, &encoded),
                     MW_OK);
    test_block packed = block_of(&encoded, encoded.header.seq);
    check_packed(&all, &packed, origins, (uint32_t)count);
    close(packed.fd);
    free(origins);
    sources_fini(&all);
    assert_int_equal(mw_memory_used(), 0);
    return packed.header;
}

static void test_codecs(void **state)
{
    test_random random = {5};
    (void)state;
    mw_block_header usual = pack_backwards(&random, 1000, 20, 3);
    assert_int_equal(usual.hot_codec, MW_CODEC_PLANES);
    assert_int_equal(usual.items_codec, MW_CODEC_FIELDS);
    /* A huge row is read in pieces, as in the log. */
    mw_block_header huge = pack_backwards(&random, 1, MW_FIELDS_ITEMS_MAX + 1, 1);
    assert_int_equal(huge.items_codec, MW_CODEC_PIECES);
    mw_block_header largest = pack_backwards(&random, 1, MW_FIELDS_ITEMS_MAX, 1);
    assert_int_equal(largest.items_codec, MW_CODEC_FIELDS);
    mw_block_header small = pack_backwards(&random, 1, 0, 1);
    assert_true(small.hot_stored <= small.hot_raw && small.items_stored <= small.items_raw);
}

/* References of one, two and four bytes, of the items and of the columns. */
static void test_widths(void **state)
{
    test_random random = {6};
    static const size_t resources[] = {256, 257, 65536, 65537};
    (void)state;
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++)
        pack_backwards(&random, resources[i] + 3, 1, resources[i]);
}

/* More distinct fields than are kept apart: the rest of the items stays whole. */
static void test_many_fields(void **state)
{
    sources all = {.count = 1, .signal = MW_SIGNAL_LOGS};
    enum { ROWS = 40, FIELDS = 8000 };
    row_origin origins[ROWS];
    mw_encoded_block encoded;
    char *bytes = malloc(FIELDS * 7);
    uint32_t number = 0;
    (void)state;
    test_batch_init_of(&all.batches[0], MW_SIGNAL_LOGS, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        for (size_t f = 0; f < FIELDS; f++, number++) {
            char field[7] = {0x4a, 4};
            memcpy(field + 2, &number, 4);
            memcpy(bytes + f * 6, field, 6);
        }
        all.batches[0].logs[i].time_ns = 5;
        all.batches[0].items[i].bytes = test_text(&all.batches[0], bytes, FIELDS * 6);
        origins[i] = (row_origin){0, i};
    }
    all.blocks[0] = block_of_batch(&all.batches[0], 100, 5000);
    assert_int_equal(pack_rows(MW_SIGNAL_LOGS, all.blocks, 1, origins, ROWS, &encoded), MW_OK);
    test_block packed = block_of(&encoded, 100);
    assert_int_equal(packed.header.items_codec, MW_CODEC_FIELDS);
    check_packed(&all, &packed, origins, ROWS);
    close(packed.fd);
    sources_fini(&all);
    free(bytes);
}

/* ---- the memory of the block before --------------------------------------------------------- */

static mw_err pack_into(mw_block_pack *pack, const sources *all, const row_origin *origins,
                        uint32_t rows, mw_encoded_block *out)
{
    mw_err err = MW_OK;
    for (uint32_t i = 0; err == MW_OK && i < all->count; i++)
        err = pack_block(pack, &all->blocks[i], i, origins, rows);
    return err == MW_OK ? mw_block_pack_finish(pack, PACK_KEY_SEED, out) : err;
}

static void assert_encoded_equal(const mw_encoded_block *a, const mw_encoded_block *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->data + MW_BLOCK_HEADER_SIZE, b->data + MW_BLOCK_HEADER_SIZE,
                        a->len - MW_BLOCK_HEADER_SIZE);
    assert_int_equal(a->header.hot_raw, b->header.hot_raw);
    assert_int_equal(a->header.items_raw, b->header.items_raw);
    assert_true(a->header.seq == b->header.seq && a->header.arrival_ns == b->header.arrival_ns);
}

/* Smaller ones and larger ones in turn: nothing of one is in the next. */
static void run_again(test_random *random, mw_signal signal)
{
    static const size_t rows_max[] = {30, 3, 400, 1, 30};
    mw_block_pack *pack = NULL;
    for (size_t i = 0; i < sizeof rows_max / sizeof *rows_max; i++) {
        sources all;
        mw_encoded_block fresh, again;
        uint32_t rows;
        sources_init(&all, random, signal, 1 + (uint32_t)random_below(random, 4), rows_max[i]);
        row_origin *origins = choose(&all, random, UINT32_MAX, &rows);
        assert_int_equal(pack_rows(signal, all.blocks, all.count, origins, rows, &fresh), MW_OK);
        mw_err err =
            pack ? mw_block_pack_again(pack, rows) : mw_block_pack_new(signal, rows, &pack);
        assert_int_equal(err, MW_OK);
        assert_int_equal(pack_into(pack, &all, origins, rows, &again), MW_OK);
        assert_true(mw_block_pack_bytes(pack) <= mw_memory_component_used(MW_MEM_MERGE));
        assert_encoded_equal(&again, &fresh);
        mw_encoded_block_fini(&fresh);
        mw_encoded_block_fini(&again);
        free(origins);
        sources_fini(&all);
    }
    mw_block_pack_free(pack);
    assert_int_equal(mw_memory_used(), 0);
}

static void test_again(void **state)
{
    test_random random = {11};
    (void)state;
    for (int i = 0; i < 12; i++)
        run_again(&random, all_signals[i % 3]);
}

/* A larger block, for which memory ends: what there is can still be freed. */
static void test_again_without_memory(void **state)
{
    test_random random = {12};
    sources all;
    uint32_t rows;
    mw_err err = MW_E_NOMEM;
    (void)state;
    sources_init(&all, &random, MW_SIGNAL_METRICS, 2, 300);
    row_origin *origins = choose(&all, &random, UINT32_MAX, &rows);
    for (uint64_t n = 1; err; n++) {
        static const row_origin first = {0, 0};
        mw_block_pack *pack;
        mw_encoded_block encoded;
        assert_int_equal(mw_block_pack_new(MW_SIGNAL_METRICS, 1, &pack), MW_OK);
        assert_int_equal(pack_into(pack, &all, &first, 1, &encoded), MW_OK);
        mw_encoded_block_fini(&encoded);
        mw_memory_fail_at(n);
        err = mw_block_pack_again(pack, rows);
        mw_memory_fail_at(0);
        assert_true(err == MW_E_NOMEM || n > 4);
        if (err == MW_OK)
            assert_int_equal(pack_into(pack, &all, origins, rows, &encoded), MW_OK);
        if (err == MW_OK)
            mw_encoded_block_fini(&encoded);
        mw_block_pack_free(pack);
        assert_int_equal(mw_memory_used(), 0);
    }
    free(origins);
    sources_fini(&all);
}

/* ---- frames of columns ---------------------------------------------------------------------- */

static size_t count_frames(const unsigned char *at, size_t len)
{
    size_t count = 0;
    for (; len > 0; count++) {
        size_t frame = ZSTD_findFrameCompressedSize(at, len);
        assert_false(ZSTD_isError(frame));
        at += frame;
        len -= frame;
    }
    return count;
}

/* Random planes have frames of their own, and nothing else has: of spans that differ in their ids
 * and in the lowest byte of how long they took, these are what stands before the ids, the ids, the
 * columns up to that byte, the byte, and all that is behind it. */
static void test_frames(void **state)
{
    enum { ROWS = 5000 };
    sources all = {.count = 1, .signal = MW_SIGNAL_TRACES};
    row_origin *origins = malloc(ROWS * sizeof *origins);
    test_random random = {13};
    mw_encoded_block encoded;
    (void)state;
    test_batch_init_of(&all.batches[0], MW_SIGNAL_TRACES, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint64_t id = random_next(&random);
        mw_span_row *row = &all.batches[0].spans[i];
        memcpy(row->span_id, &id, sizeof id);
        row->trace_id[0] = 1;
        row->start_ns = 1000;
        row->end_ns = 2000 + (id & 0xff);
        row->input_tokens = row->output_tokens = MW_TOKENS_UNKNOWN;
        origins[i] = (row_origin){0, i};
    }
    all.blocks[0] = block_of_batch(&all.batches[0], 100, 5000);
    assert_int_equal(pack_rows(MW_SIGNAL_TRACES, all.blocks, 1, origins, ROWS, &encoded), MW_OK);
    test_block packed = block_of(&encoded, 100);
    unsigned char *hot = malloc(packed.header.hot_stored);
    assert_int_equal(pread(packed.fd, hot, packed.header.hot_stored, MW_BLOCK_HEADER_SIZE),
                     packed.header.hot_stored);
    assert_int_equal(packed.header.hot_codec, MW_CODEC_PLANES);
    assert_int_equal(count_frames(hot + 1, packed.header.hot_stored - 1), 5);
    check_packed(&all, &packed, origins, ROWS);
    close(packed.fd);
    free(hot);
    free(origins);
    sources_fini(&all);
}

/* Ids that are the same up to their last bytes, as those of 64 bits are; enough of them that they
 * are not compared one by one. */
static void test_alike_traces(void **state)
{
    enum { ROWS = 300 };
    sources all = {.count = 1, .signal = MW_SIGNAL_TRACES};
    row_origin origins[ROWS];
    test_random random = {14};
    mw_encoded_block encoded;
    (void)state;
    test_batch_init_of(&all.batches[0], MW_SIGNAL_TRACES, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        mw_span_row *row = &all.batches[0].spans[i];
        row->trace_id[0] = (uint8_t)(random_below(&random, 4) ? 0 : 200);
        row->trace_id[8] = 1;
        row->trace_id[14] = (uint8_t)(random_below(&random, 2));
        row->trace_id[15] = (uint8_t)random_next(&random);
        row->span_id[0] = (uint8_t)(i + 1);
        row->span_id[1] = (uint8_t)(i >> 8);
        row->input_tokens = row->output_tokens = MW_TOKENS_UNKNOWN;
        origins[i] = (row_origin){0, i};
    }
    all.blocks[0] = block_of_batch(&all.batches[0], 100, 5000);
    assert_int_equal(pack_rows(MW_SIGNAL_TRACES, all.blocks, 1, origins, ROWS, &encoded), MW_OK);
    test_block packed = block_of(&encoded, 100);
    check_packed(&all, &packed, origins, ROWS);
    close(packed.fd);
    sources_fini(&all);
}

/* ---- frames of items ------------------------------------------------------------------------ */

/* Records of so many fields, of which each has one of two values: by chance, or the same ones in
 * every record. Their tokens are more than a sample is taken from. */
enum { TOKEN_ROWS = 8000, TOKEN_FIELDS = 16 };

static test_block block_of_tokens(test_batch *batch, test_random *random, bool by_chance)
{
    test_batch_init_of(batch, MW_SIGNAL_LOGS, TOKEN_ROWS);
    for (uint32_t i = 0; i < TOKEN_ROWS; i++) {
        char bytes[TOKEN_FIELDS][4];
        uint64_t bits = by_chance ? random_next(random) : 0x5a5a + (i & 1);
        for (unsigned f = 0; f < TOKEN_FIELDS; f++) {
            const char field[4] = {0x2a, 2, (char)f, (char)(bits >> f & 1)};
            memcpy(bytes[f], field, 4);
        }
        batch->logs[i].time_ns = 1000;
        batch->items[i].bytes = test_text(batch, bytes[0], sizeof bytes);
    }
    return block_of_batch(batch, 100, 5000);
}

/* Is the second frame of the items, the tokens, what the level makes of them? */
static bool has_level(const unsigned char *items, size_t len, int level)
{
    static unsigned char tokens[1 << 20], frame[1 << 20];
    mw_zstd zstd = {0};
    size_t packed, front = ZSTD_findFrameCompressedSize(items, len);
    size_t stored = ZSTD_findFrameCompressedSize(items + front, len - front);
    size_t raw = ZSTD_decompress(tokens, sizeof tokens, items + front, stored);
    assert_false(ZSTD_isError(raw));
    assert_int_equal(mw_zstd_pack(&zstd, level, tokens, raw, frame, &packed), MW_OK);
    mw_zstd_fini(&zstd);
    return packed == stored && memcmp(frame, items + front, stored) == 0;
}

/* What repeats among tokens is looked for where it is worth it. */
static void check_tokens(bool by_chance)
{
    sources all = {.count = 1, .signal = MW_SIGNAL_LOGS};
    row_origin *origins = malloc(TOKEN_ROWS * sizeof *origins);
    test_random random = {15};
    mw_encoded_block encoded;
    all.blocks[0] = block_of_tokens(&all.batches[0], &random, by_chance);
    for (uint32_t i = 0; i < TOKEN_ROWS; i++)
        origins[i] = (row_origin){0, i};
    assert_int_equal(pack_rows(MW_SIGNAL_LOGS, all.blocks, 1, origins, TOKEN_ROWS, &encoded),
                     MW_OK);
    const unsigned char *items = encoded.data + MW_BLOCK_HEADER_SIZE + encoded.header.hot_stored;
    size_t len = encoded.header.items_stored;
    assert_int_equal(has_level(items, len, MW_ZSTD_CODES), by_chance);
    assert_int_equal(has_level(items, len, 1), !by_chance);
    test_block packed = block_of(&encoded, 100);
    check_packed(&all, &packed, origins, TOKEN_ROWS);
    close(packed.fd);
    free(origins);
    sources_fini(&all);
    assert_int_equal(mw_memory_used(), 0);
}

static void test_tokens(void **state)
{
    (void)state;
    check_tokens(true);
    check_tokens(false);
}

/* ---- what filters are made of --------------------------------------------------------------- */

typedef struct field_count {
    const sources *all;
    size_t fields, found;
} field_count;

static void note_field(void *ctx, mw_slice bytes)
{
    field_count *count = ctx;
    bool found = false;
    count->fields++;
    for (uint32_t b = 0; b < count->all->count; b++)
        for (size_t i = 0; !found && i < count->all->batches[b].batch.item_count; i++)
            found = mw_slice_contains(count->all->batches[b].items[i].bytes, bytes);
    count->found += found;
}

static void test_each_field(void **state)
{
    test_random random = {8};
    sources all = {.count = 1, .signal = MW_SIGNAL_TRACES};
    row_origin origins[3];
    mw_block_pack *pack;
    mw_encoded_block encoded;
    field_count count = {&all, 0, 0};
    (void)state;
    random_batch(&all.batches[0], &random, MW_SIGNAL_TRACES, 3);
    for (uint32_t i = 0; i < 3; i++) {
        all.batches[0].items[i].bytes = MW_SLICE("\x4a\x01\x61\x2a\x02\x62\x63\x4a\x01\x61\x0b");
        origins[i] = (row_origin){0, i};
    }
    all.blocks[0] = block_of_batch(&all.batches[0], 1, 1);
    assert_int_equal(mw_block_pack_new(MW_SIGNAL_TRACES, 3, &pack), MW_OK);
    assert_int_equal(pack_block(pack, &all.blocks[0], 0, origins, 3), MW_OK);
    assert_true(mw_block_pack_bytes(pack) <= mw_memory_component_used(MW_MEM_MERGE));
    assert_int_equal(mw_block_pack_finish(pack, PACK_KEY_SEED, &encoded), MW_OK);
    mw_block_pack_each_field(pack, note_field, &count);
    assert_int_equal(count.fields, 2); /* the attribute, the name; not what is broken */
    assert_int_equal(count.found, 2);
    mw_encoded_block_fini(&encoded);
    mw_block_pack_free(pack);
    sources_fini(&all);
}

/* ---- bad blocks ----------------------------------------------------------------------------- */

/* A byte that changed is found by the checksum; with the checksum made right, whatever is read is
 * read without harm. */
static void test_damage(void **state)
{
    test_random random = {9};
    sources all;
    mw_encoded_block encoded;
    uint32_t rows;
    size_t refused = 0;
    (void)state;
    sources_init(&all, &random, MW_SIGNAL_TRACES, 3, 60);
    row_origin *origins = choose(&all, &random, UINT32_MAX, &rows);
    assert_int_equal(pack_rows(MW_SIGNAL_TRACES, all.blocks, 3, origins, rows, &encoded), MW_OK);
    mw_block_header header = encoded.header;
    unsigned char *copy = malloc(encoded.len);
    for (int i = 0; i < 3000; i++) {
        mw_block_reader hot_reader = {0}, items_reader = {0};
        mw_items_walk walk;
        mw_hot hot;
        char room[8192];
        test_block bad = {memfd_create("bad", 0), header};
        memcpy(copy, encoded.data, encoded.len);
        copy[MW_BLOCK_HEADER_SIZE + random_below(&random, encoded.len - MW_BLOCK_HEADER_SIZE)] ^=
            (unsigned char)(1u << random_below(&random, 8));
        assert_int_equal(pwrite(bad.fd, copy, encoded.len, 0), encoded.len);
        unsigned char *hot_at = copy + MW_BLOCK_HEADER_SIZE, *items_at = hot_at + header.hot_stored;
        bad.header.hot_checksum = mw_chunk_checksum(hot_at, header.hot_stored);
        bad.header.items_checksum = mw_chunk_checksum(items_at, mw_items_padded(&header));
        mw_err err = mw_read_hot(&hot_reader, bad.fd, 0, &bad.header, &hot);
        if (err == MW_OK)
            err = mw_items_walk_begin(&walk, &items_reader, bad.fd, 0, &bad.header, &hot);
        assert_true(err == MW_OK || err == MW_E_CORRUPT);
        for (uint32_t row = 0; err == MW_OK && row < rows; row++)
            if (mw_items_walk_item_length(&walk, row) <= sizeof room)
                assert_int_equal(mw_items_walk_item(&walk, row, room), MW_OK);
        if (err == MW_OK)
            mw_items_walk_end(&walk);
        refused += err != MW_OK;
        mw_block_reader_fini(&hot_reader);
        mw_block_reader_fini(&items_reader);
        close(bad.fd);
    }
    assert_in_range(refused, 100, 2999);
    free(copy);
    free(origins);
    mw_encoded_block_fini(&encoded);
    sources_fini(&all);
    assert_int_equal(mw_memory_used(), 0);
}

/* ---- without memory ------------------------------------------------------------------------- */

/* Every allocation fails in turn, in packing and in reading what was packed. */
static void torture(test_random *random, mw_signal signal, size_t rows_max)
{
    sources all;
    mw_encoded_block encoded;
    uint32_t rows;
    size_t failed = 0;
    sources_init(&all, random, signal, 3, rows_max);
    row_origin *origins = choose(&all, random, UINT32_MAX, &rows);
    mw_err err = MW_E_NOMEM;
    for (uint64_t n = 1; err; n++) {
        assert_int_equal(mw_memory_used(), 0);
        mw_memory_fail_at(n);
        err = pack_rows(signal, all.blocks, 3, origins, rows, &encoded);
        mw_memory_fail_at(0);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        failed += err != MW_OK;
    }
    assert_true(failed > 40);
    test_block packed = block_of(&encoded, encoded.header.seq);
    check_packed(&all, &packed, origins, rows);
    failed = 0;
    err = MW_E_NOMEM;
    for (uint64_t n = 1; err; n++) {
        mw_block_reader hot_reader = {0}, items_reader = {0};
        mw_hot hot;
        mw_items items;
        mw_memory_fail_at(n);
        err = mw_read_hot(&hot_reader, packed.fd, 0, &packed.header, &hot);
        if (err == MW_OK)
            err = mw_read_items(&items_reader, packed.fd, 0, &packed.header, &hot, &items);
        mw_memory_fail_at(0);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        if (err == MW_OK)
            mw_items_fini(&items);
        failed += err != MW_OK;
        mw_block_reader_fini(&hot_reader);
        mw_block_reader_fini(&items_reader);
        assert_int_equal(mw_memory_used(), 0);
    }
    assert_true(failed > 8);
    close(packed.fd);
    free(origins);
    sources_fini(&all);
}

static void test_without_memory(void **state)
{
    test_random random = {10};
    (void)state;
    for (int i = 0; i < 6; i++)
        torture(&random, all_signals[i % 3], i < 3 ? 40 : 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_rows),
        cmocka_unit_test(test_codecs),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_many_fields),
        cmocka_unit_test(test_each_field),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_again_without_memory),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_alike_traces),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
