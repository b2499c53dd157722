/* Item chunks in fields, written by hand from the drawing in item_fields.h: what must be accepted
 * means what the drawing says, and what breaks it anywhere is refused. */
#include <math.h>

#include "tests/unit/lib-store/pack_model.h"

#include "lib/store/format/item_fields.h"

enum { ROWS = 3 };

/* Columns of three spans, and a chunk under construction. */
typedef struct hand_chunk {
    test_batch batch;
    test_block block;
    mw_block_reader reader;
    mw_hot hot;
    unsigned char raw[512];
    size_t len;
} hand_chunk;

static void begin(hand_chunk *chunk)
{
    test_random random = {4};
    memset(chunk, 0, sizeof *chunk);
    random_batch(&chunk->batch, &random, MW_SIGNAL_TRACES, ROWS);
    chunk->block = block_of_batch(&chunk->batch, 1, 1);
    assert_int_equal(
        mw_read_hot(&chunk->reader, chunk->block.fd, 0, &chunk->block.header, &chunk->hot), MW_OK);
}

static void end(hand_chunk *chunk)
{
    mw_block_reader_fini(&chunk->reader);
    test_batch_fini(&chunk->batch);
    close(chunk->block.fd);
    assert_int_equal(mw_memory_used(), 0);
}

static void put(hand_chunk *chunk, const void *bytes, size_t len)
{
    assert_true(chunk->len + len <= sizeof chunk->raw);
    if (len)
        memcpy(chunk->raw + chunk->len, bytes, len);
    chunk->len += len;
}

static void put_numbers(hand_chunk *chunk, const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char bytes[4];
        mw_put_u32(bytes, numbers[i]);
        put(chunk, bytes, sizeof bytes);
    }
}

/* Two resources "r" and "rr", one scope "s" with URL "url"; the rows have resources 1, 0, 1. */
static void lay_out(hand_chunk *chunk, mw_slice tokens, mw_slice dictionary)
{
    const uint32_t counts[] = {2, 1, 0, (uint32_t)tokens.len, 1};
    static const uint32_t lengths[] = {1, 0, 2, 0, 1, 3};
    chunk->len = 0;
    put_numbers(chunk, counts, 5);
    put_numbers(chunk, lengths, 6);
    put(chunk, "\1\0\1\0\0\0rrrsurl", 13);
    put(chunk, tokens.data, tokens.len);
    put(chunk, dictionary.data, dictionary.len);
}

static mw_err open_chunk(hand_chunk *chunk, mw_fields *fields)
{
    /* A copy that ends where the chunk ends. */
    char *exact = malloc(chunk->len + 1);
    memcpy(exact, chunk->raw, chunk->len);
    mw_err err = mw_fields_open(&chunk->block.header, &chunk->hot,
                                mw_slice_bytes(exact, chunk->len), fields);
    if (err == MW_OK)
        mw_fields_close(fields);
    free(exact);
    return err;
}

static void assert_refused(hand_chunk *chunk)
{
    mw_fields fields;
    size_t used = mw_memory_used();
    assert_int_equal(open_chunk(chunk, &fields), MW_E_CORRUPT);
    assert_int_equal(mw_memory_used(), used);
}

/* trace id, span id, start and end as the columns say; then a name, a flag; the second row the
 * same; the third has bytes that are no field, and the flag alone before. */
#define NAME "\x2a\x02nm"
#define FLAG "\x30\x01"
#define TOKENS                                                                                     \
    "\x04\x05\x07\x08\x01\x01\x03"                                                                 \
    "\x00\x00\x00\x00\x00\x00\x00"                                                                 \
    "\x0a\x02\x03\x03"

static mw_slice wanted_item(const hand_chunk *chunk, uint32_t row, item_bytes *item)
{
    const mw_span_row *span = &chunk->batch.spans[row];
    item->len = 0;
    if (row == 2) {
        item_put(item, FLAG "\xff\xff\xff", 5);
        return mw_slice_bytes(item->data, item->len);
    }
    item_put_id(item, 0x0a, span->trace_id, 16);
    item_put_id(item, 0x12, span->span_id, 8);
    item_put_fixed(item, 0x39, &span->start_ns);
    item_put_fixed(item, 0x41, &span->end_ns);
    item_put(item, NAME FLAG, 6);
    return mw_slice_bytes(item->data, item->len);
}

static void test_drawing(void **state)
{
    hand_chunk chunk;
    mw_fields fields;
    item_bytes item;
    char room[128];
    static const uint32_t resources[ROWS] = {1, 0, 1};
    (void)state;
    begin(&chunk);
    lay_out(&chunk, MW_SLICE(TOKENS), MW_SLICE(NAME FLAG "\xff\xff\xff"));
    assert_int_equal(mw_fields_open(&chunk.block.header, &chunk.hot,
                                    mw_slice_bytes(chunk.raw, chunk.len), &fields),
                     MW_OK);
    for (uint32_t row = 0; row < ROWS; row++) {
        mw_slice wanted = wanted_item(&chunk, row, &item);
        const unsigned char *lengths = fields.tables + 3 * MW_ITEMS_CONTEXT;
        assert_int_equal(mw_get_u32(lengths + 4 * row), wanted.len);
        assert_int_equal(mw_get_u32(lengths + 4 * (ROWS + row)), resources[row]);
        mw_fields_item(&fields, row, room);
        assert_memory_equal(room, wanted.data, wanted.len);
    }
    assert_memory_equal(fields.contexts, "rrrsurl", 7);
    mw_fields_close(&fields);
    end(&chunk);
}

static void test_refusals(void **state)
{
    static const struct {
        mw_slice tokens, dictionary;
    } bad[] = {
        {MW_SLICE_INIT("\3\3"), MW_SLICE_INIT("")},           /* an item is missing */
        {MW_SLICE_INIT("\3\3\3\3"), MW_SLICE_INIT("")},       /* one too many */
        {MW_SLICE_INIT("\3\3\4"), MW_SLICE_INIT("")},         /* the last does not end */
        {MW_SLICE_INIT("\3\3\3"), MW_SLICE_INIT(FLAG)},       /* a field that nothing names */
        {MW_SLICE_INIT("\1\3\3\3"), MW_SLICE_INIT("")},       /* one that is not there */
        {MW_SLICE_INIT("\1\3\3\3"), MW_SLICE_INIT("\x30")},   /* that is no field */
        {MW_SLICE_INIT("\2\0\3\3\3"), MW_SLICE_INIT("")},     /* of no bytes */
        {MW_SLICE_INIT("\2\4\3\3\3"), MW_SLICE_INIT("abc")},  /* of too many */
        {MW_SLICE_INIT("\2"), MW_SLICE_INIT("abc")},          /* of nobody knows how many */
        {MW_SLICE_INIT("\x09\3\3\3"), MW_SLICE_INIT("")},     /* not named yet */
        {MW_SLICE_INIT("\x0a\1\3\3\3"), MW_SLICE_INIT(FLAG)}, /* not named before */
        {MW_SLICE_INIT("\x83\x80\x80\x80\x10\3\3\3"), MW_SLICE_INIT("")}, /* 2^32 + 3 */
        {MW_SLICE_INIT("\x83"), MW_SLICE_INIT("")},
    };
    hand_chunk chunk;
    mw_fields fields;
    (void)state;
    begin(&chunk);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lay_out(&chunk, bad[i].tokens, bad[i].dictionary);
        assert_refused(&chunk);
    }
    lay_out(&chunk, MW_SLICE("\3\3\3"), MW_SLICE_NONE);
    assert_int_equal(open_chunk(&chunk, &fields), MW_OK);
    lay_out(&chunk, MW_SLICE("\3\0\0"), MW_SLICE_NONE); /* nothing is expected: the end */
    assert_int_equal(open_chunk(&chunk, &fields), MW_OK);
    end(&chunk);
}

/* Counts, widths, references and lengths in front. */
static void test_bad_fronts(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
    } bad[] = {{0, 1},  {0, UINT32_MAX},  {4, 0},          {4, 2},  {8, 1},
               {12, 4}, {12, UINT32_MAX}, {16, 0},         {16, 3}, {16, 2},
               {20, 2}, {20, UINT32_MAX}, {24, UINT32_MAX}};
    hand_chunk chunk;
    (void)state;
    begin(&chunk);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lay_out(&chunk, MW_SLICE("\3\3\3"), MW_SLICE_NONE);
        mw_put_u32(chunk.raw + bad[i].at, bad[i].value);
        assert_refused(&chunk);
    }
    for (size_t at = 44; at < 50; at++) { /* references */
        lay_out(&chunk, MW_SLICE("\3\3\3"), MW_SLICE_NONE);
        chunk.raw[at] = 2;
        assert_refused(&chunk);
    }
    for (size_t len = 0; len < 60; len++) {
        lay_out(&chunk, MW_SLICE("\3\3\3"), MW_SLICE_NONE);
        assert_int_equal(chunk.len, 60);
        chunk.len = len;
        assert_refused(&chunk);
    }
    end(&chunk);
}

/* A token of a byte for each MiB: the sum of the items is bounded, not their number of tokens. */
static void test_expansion(void **state)
{
    hand_chunk chunk;
    mw_fields fields;
    size_t field = (size_t)1 << 20, front = 57, repeats = MW_FIELDS_ITEMS_MAX / field;
    (void)state;
    begin(&chunk);
    for (size_t more = 0; more < 2; more++) {
        size_t tokens = 4 + 1 + (repeats - 1 + more) + 2;
        lay_out(&chunk, MW_SLICE_NONE, MW_SLICE_NONE);
        assert_int_equal(chunk.len, front);
        unsigned char *raw = calloc(1, front + tokens + field);
        memcpy(raw, chunk.raw, front);
        mw_put_u32(raw + 12, (uint32_t)tokens);
        /* new bytes, 2^20 of them; then again and again; ends */
        memcpy(raw + front, "\x02\x80\x80\x40", 4);
        memset(raw + front + 4, 0x09, repeats - 1 + more);
        memset(raw + front + 4 + repeats - 1 + more, 0x03, 3);
        mw_err err = mw_fields_open(&chunk.block.header, &chunk.hot,
                                    mw_slice_bytes(raw, front + tokens + field), &fields);
        assert_int_equal(err, more ? MW_E_CORRUPT : MW_OK);
        if (err == MW_OK) {
            assert_int_equal(fields.bytes, MW_FIELDS_ITEMS_MAX);
            mw_fields_close(&fields);
        }
        free(raw);
    }
    end(&chunk);
}

/* Values of doubles as integers: what has none is 0, and the row is still told. */
static void test_integers(void **state)
{
    static const double values[] = {0,      -1,    7.5,    0x1p62,   -0x1p63,
                                    0x1p63, 1e300, -1e300, INFINITY, NAN};
    static const int64_t wanted[] = {0, -1, 7, INT64_C(1) << 62, INT64_MIN, 0, 0, 0, 0, 0};
    enum { COUNT = sizeof values / sizeof *values };
    test_batch batch;
    mw_block_reader reader = {0};
    mw_hot hot;
    (void)state;
    test_batch_init_of(&batch, MW_SIGNAL_METRICS, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        batch.points[i] = (mw_point_row){.series = 1, .time_ns = 1, .value = values[i]};
    test_block block = block_of_batch(&batch, 1, 1);
    assert_int_equal(mw_read_hot(&reader, block.fd, 0, &block.header, &hot), MW_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        mw_row_fields told;
        mw_row_fields_make(&hot, i, &told);
        mw_slice field = mw_row_field(&told, 6);
        assert_int_equal(field.len, 9);
        assert_int_equal(field.data[0], 0x31);
        assert_true((int64_t)mw_get_u64(field.data + 1) == wanted[i]);
    }
    mw_block_reader_fini(&reader);
    test_batch_fini(&batch);
    close(block.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawing),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bad_fronts), cmocka_unit_test(test_expansion),
        cmocka_unit_test(test_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
