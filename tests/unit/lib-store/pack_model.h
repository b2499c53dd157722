/* Blocks in a file without a store, and items like those of senders: what the tests of packing
 * share.
 *
 * Items are real fields and broken ones: those that repeat the columns, those that nearly do,
 * attributes of which few are new, and bytes that are no protobuf at all.
 */
#ifndef MW_TEST_PACK_MODEL_H
#define MW_TEST_PACK_MODEL_H

#include <sys/mman.h>

#include "tests/unit/lib-store/batch_random.h"

#include "lib/store/merge/block_pack.h"

#define PACK_KEY_SEED 42

/* ---- items ----------------------------------------------------------------------------------- */

typedef struct item_bytes {
    char data[4096];
    size_t len;
} item_bytes;

static inline void item_put(item_bytes *item, const void *data, size_t len)
{
    assert_true(item->len + len <= sizeof item->data);
    memcpy(item->data + item->len, data, len);
    item->len += len;
}

static inline void item_put_byte(item_bytes *item, unsigned byte)
{
    unsigned char value = (unsigned char)byte;
    item_put(item, &value, 1);
}

static inline void item_put_id(item_bytes *item, unsigned tag, const void *id, size_t len)
{
    item_put_byte(item, tag);
    item_put_byte(item, (unsigned)len);
    item_put(item, id, len);
}

static inline void item_put_fixed(item_bytes *item, unsigned tag, const void *number)
{
    item_put_byte(item, tag);
    item_put(item, number, 8);
}

/* What the columns say, or nearly. */
static inline void item_put_told(item_bytes *item, const test_batch *batch, size_t at,
                                 test_random *random)
{
    uint64_t off = random_below(random, 10) ? 0 : random_below(random, 3);
    if (batch->spans) {
        mw_span_row row = batch->spans[at];
        row.start_ns += off;
        item_put_id(item, 0x0a, row.trace_id, 16);
        item_put_id(item, 0x12, row.span_id, 8);
        if (random_below(random, 3))
            item_put_id(item, 0x22, row.parent_span_id, 8);
        item_put_fixed(item, 0x39, &row.start_ns);
        item_put_fixed(item, 0x41, &row.end_ns);
    } else if (batch->logs) {
        mw_log_row row = batch->logs[at];
        row.time_ns += off;
        item_put_fixed(item, random_below(random, 2) ? 0x09 : 0x59, &row.time_ns);
        item_put_id(item, 0x4a, row.trace_id, 16);
        item_put_id(item, 0x52, row.span_id, off ? 7 : 8);
    } else {
        mw_point_row row = batch->points[at];
        int64_t whole = row.value > -1e15 && row.value < 1e15 ? (int64_t)row.value : 7;
        row.time_ns += off;
        item_put_fixed(item, 0x11, &row.start_ns);
        item_put_fixed(item, 0x19, &row.time_ns);
        item_put_fixed(item, 0x21, random_below(random, 2) ? (void *)&row.value : &row.count);
        item_put_fixed(item, random_below(random, 2) ? 0x29 : 0x31,
                       random_below(random, 2) ? (void *)&row.value : &whole);
    }
}

/* An attribute: one of few keys, a value that is often an old one. Half of them are alike at their
 * ends whatever their keys. */
static inline void item_put_attribute(item_bytes *item, test_random *random)
{
    char text[64];
    uint64_t value = random_below(random, 4) ? random_below(random, 3) : random_next(random);
    int len =
        snprintf(text, sizeof text, random_below(random, 2) ? "key%llu=%llx" : "key%llu=%016llx",
                 (unsigned long long)random_below(random, 5), (unsigned long long)value);
    item_put_byte(item, 0x4a);
    item_put_byte(item, (unsigned)len);
    item_put(item, text, (size_t)len);
}

/* One whose value is long: of few kinds, so that some are equal. */
static inline void item_put_long(item_bytes *item, test_random *random)
{
    unsigned len = 50 + (unsigned)random_below(random, 77);
    unsigned char kind = (unsigned char)random_below(random, 4);
    item_put_byte(item, 0x4a);
    item_put_byte(item, len);
    for (unsigned i = 0; i < len; i++)
        item_put_byte(item, kind + i);
}

static inline void item_put_odd(item_bytes *item, test_random *random)
{
    static const struct {
        const char *bytes;
        size_t len;
    } odd[] = {{"\x08\x80\x00", 3},
               {"\x0a\x90\x80\x00", 4},
               {"\x0b", 1},
               {"\x0a\x7f", 2},
               {"\xff\xff\xff\xff\xff\xff", 6},
               {"\x00", 1},
               {"\x18", 1},
               {"\x3d\1\2\3\4", 5}};
    size_t which = random_below(random, sizeof odd / sizeof *odd);
    item_put(item, odd[which].bytes, odd[which].len);
}

static inline void random_item(test_batch *batch, test_random *random, size_t at)
{
    item_bytes item = {.len = 0};
    if (random_below(random, 8))
        item_put_told(&item, batch, at, random);
    for (uint64_t n = random_below(random, 12); n; n--)
        item_put_attribute(&item, random);
    if (random_below(random, 3) == 0)
        item_put_long(&item, random);
    if (random_below(random, 6) == 0)
        item_put_odd(&item, random);
    if (random_below(random, 20) == 0)
        item.len = random_below(random, item.len + 1);
    batch->items[at].bytes = test_text(batch, item.data, item.len);
}

/* Spans whose parents stand among them, mostly. */
static inline void random_parents(test_batch *batch, test_random *random)
{
    for (size_t i = 1; batch->spans && i < batch->batch.item_count; i++)
        if (random_below(random, 4))
            memcpy(batch->spans[i].parent_span_id,
                   batch->spans[random_below(random, batch->batch.item_count)].span_id, 8);
}

static inline void random_sendable(test_batch *batch, test_random *random, mw_signal signal,
                                   size_t count)
{
    random_batch(batch, random, signal, count);
    random_parents(batch, random);
    for (size_t i = 0; i < count; i++)
        random_item(batch, random, i);
}

/* ---- blocks in a file ------------------------------------------------------------------------ */

/* A sealed block at the beginning of a file of its own. */
typedef struct test_block {
    int fd;
    mw_block_header header;
} test_block;

static const mw_block_place test_place = {7, 9, 0};

/* Takes the encoded block. */
static inline test_block block_of(mw_encoded_block *encoded, uint64_t seq)
{
    test_block block = {.fd = memfd_create("block", 0)};
    mw_block_seal(encoded, seq, 0, &test_place);
    assert_int_equal(pwrite(block.fd, encoded->data, encoded->len, 0), encoded->len);
    assert_int_equal(mw_block_header_read(encoded->data, &test_place, &block.header), MW_OK);
    assert_int_equal(mw_block_size(&block.header), encoded->len);
    mw_encoded_block_fini(encoded);
    return block;
}

static inline test_block block_of_batch(const test_batch *batch, uint64_t seq, uint64_t arrival_ns)
{
    mw_encoded_block encoded;
    assert_int_equal(mw_block_encode(&batch->batch, PACK_KEY_SEED, arrival_ns, &encoded), MW_OK);
    return block_of(&encoded, seq);
}

/* Everything of a block, read as a whole. */
typedef struct read_block {
    mw_block_reader hot_reader, items_reader;
    mw_hot hot;
    mw_items items;
} read_block;

static inline void read_block_init(read_block *read, const test_block *block)
{
    mw_block_reader_init(&read->hot_reader);
    mw_block_reader_init(&read->items_reader);
    assert_int_equal(mw_read_hot(&read->hot_reader, block->fd, 0, &block->header, &read->hot),
                     MW_OK);
    assert_int_equal(
        mw_read_items(&read->items_reader, block->fd, 0, &block->header, &read->hot, &read->items),
        MW_OK);
}

static inline void read_block_fini(read_block *read)
{
    mw_items_fini(&read->items);
    mw_block_reader_fini(&read->hot_reader);
    mw_block_reader_fini(&read->items_reader);
}

/* Where a row of a packed block comes from. */
typedef struct row_origin {
    uint32_t block, row;
} row_origin;

static inline int origin_compare(const void *left, const void *right)
{
    const row_origin *a = left, *b = right;
    if (a->block != b->block)
        return a->block < b->block ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

/* Adds the rows of blocks[number] that `origins`, the rows of the result in order, name. */
static inline mw_err pack_block(mw_block_pack *pack, const test_block *block, uint32_t number,
                                const row_origin *origins, uint32_t count)
{
    mw_block_reader hot_reader, items_reader;
    mw_hot hot;
    mw_items_walk walk;
    uint32_t *rows = calloc(count + 1, sizeof *rows), *places = calloc(count + 1, sizeof *places);
    uint32_t *place_of = malloc(block->header.item_count * sizeof *place_of), found = 0;
    memset(place_of, 0xff, block->header.item_count * sizeof *place_of);
    for (uint32_t i = 0; i < count; i++)
        if (origins[i].block == number)
            place_of[origins[i].row] = i;
    for (uint32_t row = 0; row < block->header.item_count; row++) {
        if (place_of[row] == UINT32_MAX)
            continue;
        rows[found] = row;
        places[found++] = place_of[row];
    }
    mw_block_reader_init(&hot_reader);
    mw_block_reader_init(&items_reader);
    mw_err err = found ? mw_read_hot(&hot_reader, block->fd, 0, &block->header, &hot) : MW_OK;
    if (found && err == MW_OK) {
        err = mw_items_walk_begin(&walk, &items_reader, block->fd, 0, &block->header, &hot);
        if (err == MW_OK) {
            err = mw_block_pack_add(pack, &block->header, &hot, &walk, rows, places, found);
            mw_items_walk_end(&walk);
        }
    }
    mw_block_reader_fini(&hot_reader);
    mw_block_reader_fini(&items_reader);
    free(rows);
    free(places);
    free(place_of);
    return err;
}

/* Packs the rows that `origins` name, in that order. */
static inline mw_err pack_rows(mw_signal signal, const test_block *blocks, uint32_t block_count,
                               const row_origin *origins, uint32_t count, mw_encoded_block *out)
{
    mw_block_pack *pack = NULL;
    mw_err err = mw_block_pack_new(signal, count, &pack);
    for (uint32_t i = 0; err == MW_OK && i < block_count; i++)
        err = pack_block(pack, &blocks[i], i, origins, count);
    if (err == MW_OK)
        err = mw_block_pack_finish(pack, PACK_KEY_SEED, out);
    mw_block_pack_free(pack);
    return err;
}

#endif
