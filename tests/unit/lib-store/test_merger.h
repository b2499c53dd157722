/* A small merger for tests: segments of a store at rest become one, the plain way.
 *
 * All rows in arrays, sorted by qsort, repeats removed; blocks are packed as the program does, or
 * encoded by mw_block_encode and then given their commits' columns. Nothing else is shared with the
 * program's merger but the formats.
 */
#ifndef MW_TEST_MERGER_H
#define MW_TEST_MERGER_H

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/buffer.h"
#include "lib/store/format/digest_key.h"
#include "lib/store/merge/block_pack.h"
#include "lib/store/segment/block_reader.h"
#include "lib/store/segment/segment_footer.h"
#include "tests/unit/lib-store/store_test.h"

typedef struct merge_source {
    mw_block_reader hot_reader, items_reader;
    mw_hot hot;
    mw_items items;
    mw_index_block *entry;
    size_t first_resource, first_scope, first_head;
} merge_source;

typedef struct merge_row {
    uint32_t source, row;
    uint64_t seq;
    uint32_t index;
    uint8_t trace[16];
    uint64_t trace_start, start, id; /* spans: id; points: series, time, start */
    uint64_t time;
} merge_row;

typedef struct test_merge {
    mw_store *store;
    size_t rows_a_block;
    unsigned packed; /* so many of four blocks are packed by mw_block_pack */
    /* Told of each row that goes because it is a repeat. May be NULL. */
    void (*dropped)(void *ctx, mw_signal signal, uint64_t seq, uint32_t index);
    void *ctx;
    /* inside */
    merge_source *sources;
    size_t source_count;
    mw_store_context *resources, *scopes;
    mw_slice *heads;
    size_t resource_count, scope_count, head_count;
    mw_buffer file;
    mw_segment_header header;
    mw_footer_writer *footer;
    uint64_t last_seq, arrival_max;
    size_t blocks;
    const char *rollups, *filter; /* what to put there; NULL = nothing */
} test_merge;

/* ---- sources --------------------------------------------------------------------------------- */

static inline void merge_add_contexts(test_merge *merge, merge_source *source)
{
    const mw_items *items = &source->items;
    const mw_store_context *context = items->contexts;
    source->first_resource = merge->resource_count;
    source->first_scope = merge->scope_count;
    source->first_head = merge->head_count;
    merge->resources = realloc(merge->resources, (merge->resource_count + items->resources + 1) *
                                                     sizeof *merge->resources);
    merge->scopes =
        realloc(merge->scopes, (merge->scope_count + items->scopes + 1) * sizeof *merge->scopes);
    merge->heads =
        realloc(merge->heads, (merge->head_count + items->metrics + 1) * sizeof *merge->heads);
    for (uint32_t i = 0; i < items->resources; i++)
        merge->resources[merge->resource_count++] = *context++;
    for (uint32_t i = 0; i < items->scopes; i++)
        merge->scopes[merge->scope_count++] = *context++;
    for (uint32_t i = 0; i < items->metrics; i++)
        merge->heads[merge->head_count++] = (context++)->bytes;
}

static inline void merge_add_source(test_merge *merge, mw_index_block *entry)
{
    merge->sources = realloc(merge->sources, (merge->source_count + 1) * sizeof *merge->sources);
    merge_source *source = &merge->sources[merge->source_count++];
    memset(source, 0, sizeof *source);
    source->entry = entry;
    mw_block_reader_init(&source->hot_reader);
    mw_block_reader_init(&source->items_reader);
    assert_int_equal(mw_read_hot(&source->hot_reader, entry->segment->fd, entry->offset,
                                 &entry->header, &source->hot),
                     MW_OK);
    assert_int_equal(mw_read_items(&source->items_reader, entry->segment->fd, entry->offset,
                                   &entry->header, &source->hot, &source->items),
                     MW_OK);
    merge_add_contexts(merge, source);
    if (entry->header.arrival_ns > merge->arrival_max)
        merge->arrival_max = entry->header.arrival_ns;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static inline merge_row merge_row_of(const merge_source *source, uint32_t number, uint32_t row)
{
    const mw_hot *hot = &source->hot;
    merge_row out = {.source = number,
                     .row = row,
                     .seq = mw_hot_seq(hot, row),
                     .index = mw_hot_index(hot, row),
                     .time = mw_hot_time(hot, row)};
    if (hot->signal == MW_SIGNAL_TRACES) {
        memcpy(out.trace, mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row)), 16);
        out.id = mw_hot_u64(hot, MW_WIDE_SPAN_ID, row);
        out.start = out.time;
    } else if (hot->signal == MW_SIGNAL_METRICS) {
        out.id = mw_hot_u64(hot, MW_WIDE_SERIES, row);
        out.start = mw_hot_u64(hot, MW_WIDE_START, row);
    }
    return out;
}

static inline merge_row *merge_rows_of(test_merge *merge, mw_signal signal, size_t *count)
{
    merge_row *rows = NULL;
    *count = 0;
    for (uint32_t i = 0; i < merge->source_count; i++) {
        const merge_source *source = &merge->sources[i];
        if (source->hot.signal != signal)
            continue;
        rows = realloc(rows, (*count + source->hot.count) * sizeof *rows);
        for (uint32_t row = 0; row < source->hot.count; row++)
            rows[(*count)++] = merge_row_of(source, i, row);
    }
    return rows;
}

#define MERGE_ORDER(a_, b_)                                                                        \
    if ((a_) != (b_))                                                                              \
    return (a_) < (b_) ? -1 : 1

static inline int merge_by_commit(const void *left, const void *right)
{
    const merge_row *a = left, *b = right;
    MERGE_ORDER(a->seq, b->seq);
    MERGE_ORDER(a->index, b->index);
    return 0;
}

static inline int merge_by_trace(const void *left, const void *right)
{
    const merge_row *a = left, *b = right;
    int order = memcmp(a->trace, b->trace, 16);
    if (order)
        return order;
    MERGE_ORDER(a->id, b->id);
    return merge_by_commit(left, right);
}

static inline int merge_by_start(const void *left, const void *right)
{
    const merge_row *a = left, *b = right;
    MERGE_ORDER(a->trace_start, b->trace_start);
    int order = memcmp(a->trace, b->trace, 16);
    if (order)
        return order;
    MERGE_ORDER(a->start, b->start);
    return merge_by_commit(left, right);
}

static inline int merge_by_series(const void *left, const void *right)
{
    const merge_row *a = left, *b = right;
    MERGE_ORDER(a->id, b->id);
    MERGE_ORDER(a->time, b->time);
    MERGE_ORDER(a->start, b->start);
    return merge_by_commit(left, right);
}

static inline bool merge_is_repeat(const merge_row *a, const merge_row *b, mw_signal signal)
{
    if (signal == MW_SIGNAL_TRACES)
        return a->id == b->id && memcmp(a->trace, b->trace, 16) == 0;
    return a->id == b->id && a->time == b->time && a->start == b->start;
}

static inline size_t merge_drop_repeats(test_merge *merge, mw_signal signal, merge_row *rows,
                                        size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept && merge_is_repeat(&rows[kept - 1], &rows[i], signal)) {
            if (merge->dropped)
                merge->dropped(merge->ctx, signal, rows[i].seq, rows[i].index);
            continue;
        }
        rows[kept++] = rows[i];
    }
    return kept;
}

/* In the order of a merged segment; returns how many are left. */
static inline size_t merge_order_rows(test_merge *merge, mw_signal signal, merge_row *rows,
                                      size_t count)
{
    if (count == 0)
        return 0;
    if (signal == MW_SIGNAL_LOGS) {
        qsort(rows, count, sizeof *rows, merge_by_commit);
        return count;
    }
    qsort(rows, count, sizeof *rows, signal == MW_SIGNAL_TRACES ? merge_by_trace : merge_by_series);
    count = merge_drop_repeats(merge, signal, rows, count);
    if (signal == MW_SIGNAL_METRICS)
        return count;
    for (size_t from = 0, to; from < count; from = to) {
        uint64_t first = UINT64_MAX;
        for (to = from; to < count && memcmp(rows[to].trace, rows[from].trace, 16) == 0; to++)
            first = rows[to].start < first ? rows[to].start : first;
        for (size_t i = from; i < to; i++)
            rows[i].trace_start = first;
    }
    qsort(rows, count, sizeof *rows, merge_by_start);
    return count;
}

/* ---- a block --------------------------------------------------------------------------------- */

static inline void merge_fill_batch(test_merge *merge, test_batch *batch, const merge_row *rows,
                                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const merge_source *source = &merge->sources[rows[i].source];
        uint32_t row = rows[i].row;
        mw_store_item *item = &batch->items[i];
        switch (batch->batch.signal) {
        case MW_SIGNAL_METRICS:
            mw_hot_point(&source->hot, row, &batch->points[i]);
            item->metric = (uint32_t)source->first_head + mw_items_metric(&source->items, row);
            break;
        case MW_SIGNAL_LOGS: mw_hot_log(&source->hot, row, &batch->logs[i]); break;
        default: mw_hot_span(&source->hot, row, &batch->spans[i]);
        }
        item->bytes = source->items.items[row];
        item->resource = (uint32_t)source->first_resource + mw_items_resource(&source->items, row);
        item->scope = (uint32_t)source->first_scope + mw_items_scope(&source->items, row);
    }
}

/* The columns with those of the commits behind the other wide ones. */
static inline unsigned char *merge_widen(const mw_block_header *header, const unsigned char *raw,
                                         const merge_row *rows, uint32_t *len)
{
    const mw_hot_layout *layout = mw_hot_layout_of(header->signal);
    size_t count = header->item_count;
    size_t front =
        MW_HOT_PREFIX + 16 * (size_t)mw_get_u32(raw) + 8 * count * (size_t)layout->wide_count;
    unsigned char *wide = malloc(header->hot_raw + 16 * count);
    memcpy(wide, raw, front);
    for (size_t i = 0; i < count; i++) {
        mw_put_u64(wide + front + 8 * i, rows[i].seq - header->seq);
        mw_put_u64(wide + front + 8 * (count + i), rows[i].index);
    }
    memcpy(wide + front + 16 * count, raw + front, header->hot_raw - front);
    *len = (uint32_t)(header->hot_raw + 16 * count);
    return wide;
}

static inline void merge_note_block(test_merge *merge, mw_index_block *entry, const mw_hot *hot)
{
    mw_slice filter = merge->filter ? mw_slice_of(merge->filter) : MW_SLICE_NONE;
    for (uint32_t row = 0; row < hot->count; row++)
        if (mw_hot_seq(hot, row) > merge->last_seq)
            merge->last_seq = mw_hot_seq(hot, row);
    assert_int_equal(mw_footer_writer_block(merge->footer, entry, hot, filter), MW_OK);
    merge->blocks++;
}

static inline void merge_put_block(test_merge *merge, mw_encoded_block *block,
                                   const merge_row *rows)
{
    mw_block_header header = block->header;
    unsigned char *raw = malloc(header.hot_raw + 1), bytes[MW_BLOCK_HEADER_SIZE];
    const char *items = (const char *)block->data + MW_BLOCK_HEADER_SIZE + header.hot_stored;
    mw_hot hot;

    assert_int_equal(
        mw_chunk_unpack(header.hot_codec,
                        mw_slice_bytes(block->data + MW_BLOCK_HEADER_SIZE, header.hot_stored), raw,
                        header.hot_raw),
        MW_OK);
    header.seq = UINT64_MAX;
    for (size_t i = 0; i < header.item_count; i++)
        header.seq = rows[i].seq < header.seq ? rows[i].seq : header.seq;
    unsigned char *wide = merge_widen(&header, raw, rows, &header.hot_raw);
    header.hot_stored = header.hot_raw;
    header.hot_codec = MW_CODEC_PLAIN;
    header.hot_checksum = mw_chunk_checksum(wide, header.hot_raw);
    header.many_commits = true;
    header.synced = MW_SEGMENT_HEADER_SIZE + merge->file.len;
    char *padded = calloc(1, mw_items_padded(&header));
    memcpy(padded, items, header.items_stored);
    header.items_checksum = mw_chunk_checksum(padded, mw_items_padded(&header));
    const mw_block_place place = {merge->header.salt, merge->header.id,
                                  MW_SEGMENT_HEADER_SIZE + merge->file.len};
    mw_block_header_write(&header, &place, bytes);
    mw_buffer_append(&merge->file, bytes, sizeof bytes);
    mw_buffer_append(&merge->file, wide, header.hot_raw);
    mw_buffer_append(&merge->file, padded, mw_items_padded(&header));
    assert_int_equal(merge->file.len % MW_BLOCK_ALIGN, 0);
    block->entry->header = header;
    block->entry->offset = place.offset;
    assert_int_equal(mw_hot_decode(&header, mw_slice_bytes(wide, header.hot_raw), &hot), MW_OK);
    merge_note_block(merge, block->entry, &hot);
    free(padded);
    free(wide);
    free(raw);
}

static inline void merge_encode(test_merge *merge, mw_signal signal, const merge_row *rows,
                                size_t count)
{
    test_batch batch;
    mw_encoded_block block;
    uint64_t arrival = UINT64_MAX;
    test_batch_init_of(&batch, signal, count);
    merge_fill_batch(merge, &batch, rows, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t own = merge->sources[rows[i].source].entry->header.arrival_ns;
        arrival = own < arrival ? own : arrival;
    }
    batch.batch.resources = merge->resources;
    batch.batch.resource_count = merge->resource_count;
    batch.batch.scopes = merge->scopes;
    batch.batch.scope_count = merge->scope_count;
    if (signal == MW_SIGNAL_METRICS) {
        batch.batch.metrics = merge->heads;
        batch.batch.metric_count = merge->head_count;
    }
    assert_int_equal(mw_block_encode(&batch.batch, merge->store->key_seed, arrival, &block), MW_OK);
    merge_put_block(merge, &block, rows);
    mw_encoded_block_fini(&block);
    test_batch_fini(&batch);
}

/* ---- a block, packed as the program does ----------------------------------------------------- */

typedef struct merge_place {
    uint32_t source, row, place;
} merge_place;

static inline int merge_by_source(const void *left, const void *right)
{
    const merge_place *a = left, *b = right;
    MERGE_ORDER(a->source, b->source);
    MERGE_ORDER(a->row, b->row);
    return 0;
}

static inline void merge_pack_source(test_merge *merge, mw_block_pack *pack,
                                     const merge_place *places, size_t count)
{
    merge_source *source = &merge->sources[places[0].source];
    uint32_t *rows = calloc(count, sizeof *rows), *to = calloc(count, sizeof *to);
    mw_block_reader reader;
    mw_items_walk walk;
    for (size_t i = 0; i < count; i++) {
        rows[i] = places[i].row;
        to[i] = places[i].place;
    }
    mw_block_reader_init(&reader);
    assert_int_equal(mw_items_walk_begin(&walk, &reader, source->entry->segment->fd,
                                         source->entry->offset, &source->entry->header,
                                         &source->hot),
                     MW_OK);
    assert_int_equal(
        mw_block_pack_add(pack, &source->entry->header, &source->hot, &walk, rows, to, count),
        MW_OK);
    mw_items_walk_end(&walk);
    mw_block_reader_fini(&reader);
    free(rows);
    free(to);
}

static inline void merge_put_packed(test_merge *merge, mw_encoded_block *block)
{
    mw_block_reader reader;
    const mw_block_place place = {merge->header.salt, merge->header.id,
                                  MW_SEGMENT_HEADER_SIZE + merge->file.len};
    mw_block_seal(block, block->header.seq, MW_SEGMENT_HEADER_SIZE + merge->file.len, &place);
    size_t at = merge->file.len;
    mw_buffer_append(&merge->file, block->data, block->len);
    /* Its columns are read back from a file of its own. */
    FILE *file = tmpfile();
    mw_hot hot;
    assert_non_null(file);
    assert_int_equal(fwrite(merge->file.data + at, 1, block->len, file), block->len);
    assert_int_equal(fflush(file), 0);
    mw_block_reader_init(&reader);
    assert_int_equal(mw_read_hot(&reader, fileno(file), 0, &block->header, &hot), MW_OK);
    merge_note_block(merge, block->entry, &hot);
    mw_block_reader_fini(&reader);
    fclose(file);
}

static inline void merge_pack(test_merge *merge, mw_signal signal, const merge_row *rows,
                              size_t count)
{
    merge_place *places = calloc(count, sizeof *places);
    mw_block_pack *pack;
    mw_encoded_block block;
    for (size_t i = 0; i < count; i++)
        places[i] = (merge_place){rows[i].source, rows[i].row, (uint32_t)i};
    qsort(places, count, sizeof *places, merge_by_source);
    assert_int_equal(mw_block_pack_new(signal, (uint32_t)count, &pack), MW_OK);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from; to < count && places[to].source == places[from].source; to++)
            ;
        merge_pack_source(merge, pack, places + from, to - from);
    }
    assert_int_equal(mw_block_pack_finish(pack, merge->store->key_seed, &block), MW_OK);
    mw_block_pack_free(pack);
    merge_put_packed(merge, &block);
    mw_encoded_block_fini(&block);
    free(places);
}

static inline void merge_signal(test_merge *merge, mw_signal signal)
{
    size_t count;
    merge_row *rows = merge_rows_of(merge, signal, &count);
    count = merge_order_rows(merge, signal, rows, count);
    for (size_t from = 0; from < count; from += merge->rows_a_block) {
        size_t left = count - from, now = left < merge->rows_a_block ? left : merge->rows_a_block;
        if (merge->blocks % 4 < merge->packed)
            merge_pack(merge, signal, rows + from, now);
        else
            merge_encode(merge, signal, rows + from, now);
    }
    free(rows);
}

/* ---- a segment ------------------------------------------------------------------------------- */

typedef struct merge_lists {
    uint64_t *replaced;
    mw_footer_end *ends;
    mw_footer_request *requests;
    size_t replaced_count, end_count, request_count;
} merge_lists;

static inline void merge_note_input(merge_lists *lists, const mw_segment *input)
{
    const mw_footer *footer = input->footer;
    size_t old = footer ? footer->replaced.count : 0,
           ends = footer ? footer->replaced.end_count : 1;
    mw_footer_request *requests = NULL;
    size_t request_count = 0;

    lists->replaced =
        realloc(lists->replaced, (lists->replaced_count + old + 1) * sizeof *lists->replaced);
    lists->replaced[lists->replaced_count++] = input->header.id;
    for (size_t i = 0; i < old; i++)
        lists->replaced[lists->replaced_count++] = footer->replaced.ids[i];
    lists->ends = realloc(lists->ends, (lists->end_count + ends + 1) * sizeof *lists->ends);
    if (!footer && input->header.predecessor_id)
        lists->ends[lists->end_count++] =
            (mw_footer_end){input->header.predecessor_id, input->header.predecessor_end};
    for (size_t i = 0; footer && i < ends; i++)
        lists->ends[lists->end_count++] = footer->replaced.ends[i];
    if (footer) {
        assert_int_equal(mw_footer_read_requests(footer, input->fd, &requests, &request_count),
                         MW_OK);
    } else {
        requests = mw_alloc(MW_MEM_STORE, (input->block_count + 1) * sizeof *requests);
        for (const mw_index_block *block = input->blocks; block; block = block->next_in_segment) {
            memcpy(requests[request_count].digest, block->header.digest, 16);
            requests[request_count++].arrival_ns = block->header.arrival_ns;
        }
    }
    lists->requests = realloc(lists->requests,
                              (lists->request_count + request_count + 1) * sizeof *lists->requests);
    if (request_count)
        memcpy(lists->requests + lists->request_count, requests, request_count * sizeof *requests);
    lists->request_count += request_count;
    mw_free(MW_MEM_STORE, requests);
}

static inline mw_segment *merge_write(test_merge *merge, const merge_lists *lists)
{
    unsigned char bytes[MW_SEGMENT_HEADER_SIZE];
    char path[512];
    mw_slice footer;
    mw_segment *segment = NULL;
    struct stat status;

    merge->header.durable_end = MW_SEGMENT_HEADER_SIZE + merge->file.len;
    const mw_footer_facts facts = {.replaced = lists->replaced,
                                   .replaced_count = lists->replaced_count,
                                   .ends = lists->ends,
                                   .end_count = lists->end_count,
                                   .requests = lists->requests,
                                   .request_count = lists->request_count,
                                   .rollups =
                                       merge->rollups ? mw_slice_of(merge->rollups) : MW_SLICE_NONE,
                                   .arrival_max_ns = merge->arrival_max,
                                   .last_seq = merge->last_seq,
                                   .key_check = mw_key_check(merge->store->key_seed)};
    assert_int_equal(mw_footer_writer_finish(merge->footer, &merge->header,
                                             merge->header.durable_end, &facts, &footer),
                     MW_OK);
    mw_segment_header_write(&merge->header, bytes);
    snprintf(path, sizeof path, "%s/%016llx.seg", merge->store->directory,
             (unsigned long long)merge->header.id);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(write(fd, merge->file.data, merge->file.len), merge->file.len);
    assert_int_equal(write(fd, footer.data, footer.len), footer.len);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(
        mw_segment_open_merged(path, fd, &merge->header, (uint64_t)status.st_size, &segment),
        MW_OK);
    assert_int_equal(segment->block_count, merge->blocks);
    mw_footer_forget_requests(segment->footer);
    return segment;
}

/* The segments of a store that hold blocks, in order of their sequences; the caller frees. */
static inline mw_segment **segments_in_order(mw_store *store, size_t *count)
{
    mw_index_table *table = store->index.table;
    mw_segment **list = calloc(table->segment_count + 1, sizeof(mw_segment *));
    *count = 0;
    for (size_t i = 0; i < store->index.block_count; i++) {
        mw_segment *segment = table->blocks[i]->segment;
        if (*count == 0 || list[*count - 1] != segment)
            list[(*count)++] = segment;
    }
    assert_true(*count <= table->segment_count);
    return list;
}

/* Merges `count` segments that nobody appends to and publishes the result, which stays referenced
 * by the index alone. `keep`: their files stay in the directory, as after a kill. */
static inline void merge_segments(test_merge *merge, mw_segment *const *inputs, size_t count,
                                  bool keep)
{
    merge_lists lists = {0};
    char **paths = calloc(count, sizeof(char *));
    merge->header = (mw_segment_header){.id = mw_writer_take_id(&merge->store->writer),
                                        .created_ns = 1,
                                        .first_seq = UINT64_MAX,
                                        .kind = MW_SEGMENT_MERGED};
    mw_random_bytes(&merge->header.salt, sizeof merge->header.salt);
    mw_buffer_init(&merge->file, MW_MEM_BASE, (size_t)1 << 30);
    assert_int_equal(mw_footer_writer_new(&merge->footer), MW_OK);
    for (size_t i = 0; i < count; i++) {
        merge_note_input(&lists, inputs[i]);
        paths[i] = strdup(inputs[i]->path);
        for (mw_index_block *block = inputs[i]->blocks; block; block = block->next_in_segment) {
            merge_add_source(merge, block);
            if (block->header.seq < merge->header.first_seq)
                merge->header.first_seq = block->header.seq;
        }
    }
    merge_signal(merge, MW_SIGNAL_TRACES);
    merge_signal(merge, MW_SIGNAL_METRICS);
    merge_signal(merge, MW_SIGNAL_LOGS);
    mw_segment *segment = merge_write(merge, &lists);
    assert_int_equal(mw_index_replace(&merge->store->index, segment, inputs, count), MW_OK);
    mw_segment_unref(segment);
    for (size_t i = 0; i < count; i++) {
        if (!keep)
            assert_int_equal(unlink(paths[i]), 0);
        free(paths[i]);
    }
    free(paths);
    mw_footer_writer_free(merge->footer);
    mw_buffer_fini(&merge->file);
    for (size_t i = 0; i < merge->source_count; i++) {
        mw_block_reader_fini(&merge->sources[i].hot_reader);
        mw_block_reader_fini(&merge->sources[i].items_reader);
        mw_items_fini(&merge->sources[i].items);
    }
    free(merge->sources);
    free(merge->resources);
    free(merge->scopes);
    free(merge->heads);
    free(lists.replaced);
    free(lists.ends);
    free(lists.requests);
    merge->sources = NULL;
    merge->resources = merge->scopes = NULL;
    merge->heads = NULL;
    merge->source_count = merge->resource_count = merge->scope_count = merge->head_count = 0;
    merge->last_seq = merge->arrival_max = merge->blocks = 0;
}

/* Merges random runs of neighbours; now and then one stays as it is. */
static inline void merge_randomly(test_merge *merge, test_random *random, size_t run_max)
{
    size_t count;
    mw_segment **list = segments_in_order(merge->store, &count);
    for (size_t from = 0; from < count;) {
        size_t run = 1 + random_below(random, run_max);
        run = run < count - from ? run : count - from;
        if (random_below(random, 6))
            merge_segments(merge, list + from, run, false);
        from += run;
    }
    free(list);
}

#endif
