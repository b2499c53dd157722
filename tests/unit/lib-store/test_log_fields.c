/* Requests whose items the log keeps in fields: what comes back is what was sent, whatever it is;
 * what would not gain stays as it was; what is damaged is refused. */
#include <math.h>

#include "tests/unit/lib-store/pack_model.h"

#include "lib/store/format/fields_encode.h"

static const mw_signal signals[] = {MW_SIGNAL_TRACES, MW_SIGNAL_METRICS, MW_SIGNAL_LOGS};

/* The block's codec; its items were read and are the batch's. */
static uint8_t check_items(const test_batch *batch)
{
    read_block read;
    test_block block = block_of_batch(batch, 3, 5);
    read_block_init(&read, &block);
    assert_items_equal(&batch->batch, &read.items);
    read_block_fini(&read);
    close(block.fd);
    return block.header.items_codec;
}

static void test_all_come_back(void **state)
{
    static const size_t sizes[] = {1, 31, 32, 64, 65, 512, 1000};
    test_random random = {21};
    size_t in_fields[3] = {0};
    (void)state;
    for (size_t round = 0; round < 210; round++) {
        test_batch batch;
        size_t count = sizes[round / 3 % 7];
        random_sendable(&batch, &random, signals[round % 3], count);
        uint8_t codec = check_items(&batch);
        if (count < MW_LOG_FIELDS_ITEMS_MIN)
            assert_int_not_equal(codec, MW_CODEC_LOG_FIELDS);
        in_fields[round % 3] += codec == MW_CODEC_LOG_FIELDS;
        test_batch_fini(&batch);
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(in_fields[i], 30, 50);
    assert_int_equal(mw_memory_used(), 0);
}

/* Many resources: references of two bytes. */
static void test_wide_references(void **state)
{
    test_random random = {22};
    test_batch batch;
    (void)state;
    random_sendable(&batch, &random, MW_SIGNAL_TRACES, 600);
    mw_store_context *resources = calloc(600, sizeof *resources);
    for (uint32_t i = 0; i < 600; i++) {
        resources[i].bytes = test_format(&batch, "r", i);
        batch.items[i].resource = 599 - i;
    }
    batch.batch.resources = resources;
    batch.batch.resource_count = 600;
    assert_int_equal(check_items(&batch), MW_CODEC_LOG_FIELDS);
    test_batch_fini(&batch);
    free(resources);
}

static void fill_items(test_batch *batch, test_random *random, size_t len, uint64_t values)
{
    for (size_t i = 0; i < batch->batch.item_count; i++) {
        char item[2048] = {0};
        for (size_t at = 0; at + 10 <= len; at += 10) {
            uint64_t value = random_next(random) % values;
            memcpy(item + at, "\x4a\x08", 2);
            memcpy(item + at + 2, &value, 8);
        }
        batch->items[i].bytes = test_text(batch, item, len / 10 * 10);
    }
}

static uint8_t codec_of(size_t items, size_t len, uint64_t values)
{
    test_random random = {23};
    test_batch batch;
    random_batch(&batch, &random, MW_SIGNAL_TRACES, items);
    fill_items(&batch, &random, len, values);
    uint8_t codec = check_items(&batch);
    test_batch_fini(&batch);
    return codec;
}

static void test_what_gains_alone(void **state)
{
    (void)state;
    assert_int_equal(codec_of(512, 700, 50), MW_CODEC_LOG_FIELDS);
    assert_int_equal(codec_of(31, 700, 50), MW_CODEC_LZ4);
    /* Nothing repeats, which is seen early or, of few items, not at all. */
    assert_int_not_equal(codec_of(512, 700, UINT64_MAX), MW_CODEC_LOG_FIELDS);
    /* More than a piece. */
    assert_int_equal(codec_of(1600, 700, 50), MW_CODEC_PIECES);
    /* So many different ones as there are numbers for, and one more. */
    for (uint64_t more = 0; more < 2; more++) {
        test_random random = {24};
        test_batch batch;
        random_batch(&batch, &random, MW_SIGNAL_TRACES, 3000);
        fill_items(&batch, &random, 100, 1);
        uint64_t fields = (UINT64_C(1) << 14) - 6 - 1 + more, given = 0;
        for (size_t i = 64; i < 3000; i++) {
            char item[100];
            size_t len = 0;
            for (; len < sizeof item && given < fields; len += 10) {
                given++;
                memcpy(item + len, "\x4a\x08", 2);
                memcpy(item + len + 2, &given, 8);
            }
            batch.items[i].bytes = test_text(&batch, item, len);
        }
        assert_int_equal(given, fields);
        assert_int_equal(check_items(&batch), more ? MW_CODEC_LZ4 : MW_CODEC_LOG_FIELDS);
        test_batch_fini(&batch);
    }
}

/* ---- damage ---------------------------------------------------------------------------------- */

typedef struct open_block {
    test_batch batch;
    test_block block;
    mw_block_reader hot_reader, items_reader;
    mw_hot hot;
} open_block;

static void open_some(open_block *open)
{
    test_random random = {25};
    memset(open, 0, sizeof *open);
    random_sendable(&open->batch, &random, MW_SIGNAL_TRACES, 40);
    open->block = block_of_batch(&open->batch, 1, 1);
    const mw_block_header *header = &open->block.header;
    assert_int_equal(header->items_codec, MW_CODEC_LOG_FIELDS);
    assert_int_equal(mw_read_hot(&open->hot_reader, open->block.fd, 0, header, &open->hot), MW_OK);
    assert_int_equal(mw_read_items_raw(&open->items_reader, open->block.fd, 0, header), MW_OK);
}

static mw_err open_copy(const open_block *open, const char *raw, size_t len)
{
    mw_fields fields;
    char *exact = malloc(len + 1); /* so that a sanitizer sees where it ends */
    memcpy(exact, raw, len);
    mw_err err =
        mw_fields_open(&open->block.header, &open->hot, mw_slice_bytes(exact, len), &fields);
    if (err == MW_OK)
        mw_fields_close(&fields);
    free(exact);
    return err;
}

static void test_damage(void **state)
{
    open_block open;
    (void)state;
    open_some(&open);
    size_t len = open.block.header.items_raw;
    char *raw = memcpy(malloc(len), open.items_reader.raw, len);
    assert_int_equal(open_copy(&open, raw, len), MW_OK);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(open_copy(&open, raw, cut), MW_E_CORRUPT);
    /* A length that the fields do not make. */
    for (size_t at = 0; at < 4 * 40; at++) {
        raw[at] ^= 1;
        assert_int_equal(open_copy(&open, raw, len), MW_E_CORRUPT);
        raw[at] ^= 1;
    }
    for (size_t at = 4 * 40; at < len; at++) {
        raw[at] ^= (char)0x81;
        mw_err err = open_copy(&open, raw, len);
        assert_true(err == MW_OK || err == MW_E_CORRUPT); /* the checksum is what tells */
        raw[at] ^= (char)0x81;
    }
    free(raw);
    mw_block_reader_fini(&open.hot_reader);
    mw_block_reader_fini(&open.items_reader);
    test_batch_fini(&open.batch);
    close(open.block.fd);
}

/* Whatever cannot be had: an error, and nothing is kept. */
static void test_without_memory(void **state)
{
    test_random random = {26};
    test_batch batch;
    mw_err err = MW_E_NOMEM;
    (void)state;
    random_sendable(&batch, &random, MW_SIGNAL_TRACES, 200);
    for (size_t limit = 1 << 10; err == MW_E_NOMEM; limit += 4 << 10) {
        mw_encoded_block block;
        mw_memory_init(limit);
        err = mw_block_encode(&batch.batch, PACK_KEY_SEED, 0, &block);
        mw_memory_init(0);
        if (err == MW_OK)
            mw_encoded_block_fini(&block);
        assert_int_equal(mw_memory_used(), 0);
    }
    assert_int_equal(err, MW_OK);
    test_batch_fini(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_come_back),    cmocka_unit_test(test_wide_references),
        cmocka_unit_test(test_what_gains_alone), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
