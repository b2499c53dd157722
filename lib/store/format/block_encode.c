/* From a batch to the bytes of a block.
 *
 * Runs on the thread that appends. The columns are hot_encode.c's, the packing is chunk.c's; here
 * are the item chunk, the order of things and the header. The columns are gone before the items
 * begin, and a large request's items are packed while they are written: beside its body there is
 * never a second copy, only what is packed.
 */
#include <stddef.h>

#include "lib/store/format/chunk.h"
#include "lib/store/format/fields_encode.h"
#include "lib/store/format/hot_encode.h"
#include "lib/store/format/hot_layout.h"

/* SeverityNumber's first ERROR (OpenTelemetry logs data model): what counts as an error. */
#define SEVERITY_ERROR 17

/* ---- header ---------------------------------------------------------------------------------- */

static void note_time(mw_block_header *header, uint64_t time_ns)
{
    if (time_ns < header->event_min_ns)
        header->event_min_ns = time_ns;
    if (time_ns > header->event_max_ns)
        header->event_max_ns = time_ns;
}

static void summarize_spans(const mw_store_batch *batch, mw_block_header *header)
{
    for (size_t i = 0; i < batch->item_count; i++) {
        const mw_span_row *row = &batch->rows.spans[i];
        note_time(header, row->start_ns);
        if (row->end_ns > header->event_max_ns)
            header->event_max_ns = row->end_ns;
        header->error_count += row->status == 2;
    }
}

static void summarize_points(const mw_store_batch *batch, mw_block_header *header)
{
    for (size_t i = 0; i < batch->item_count; i++)
        note_time(header, batch->rows.points[i].time_ns);
}

static void summarize_logs(const mw_store_batch *batch, mw_block_header *header)
{
    for (size_t i = 0; i < batch->item_count; i++) {
        note_time(header, batch->rows.logs[i].time_ns);
        header->error_count += batch->rows.logs[i].severity >= SEVERITY_ERROR;
    }
}

static void summarize(const mw_store_batch *batch, mw_block_header *header)
{
    header->event_min_ns = UINT64_MAX;
    switch (batch->signal) {
    case MW_SIGNAL_METRICS: summarize_points(batch, header); break;
    case MW_SIGNAL_LOGS: summarize_logs(batch, header); break;
    default: summarize_spans(batch, header);
    }
}

/* ---- items ----------------------------------------------------------------------------------- */

static uint64_t context_bytes(const mw_store_context *contexts, size_t count)
{
    uint64_t bytes = (uint64_t)count * MW_ITEMS_CONTEXT;
    for (size_t i = 0; i < count; i++)
        bytes += (uint64_t)contexts[i].bytes.len + contexts[i].schema_url.len;
    return bytes;
}

/* Heads of metrics come with points alone. */
static size_t head_count(const mw_store_batch *batch)
{
    return batch->signal == MW_SIGNAL_METRICS ? batch->metric_count : 0;
}

static uint64_t items_raw_len(const mw_store_batch *batch)
{
    uint64_t len = MW_ITEMS_PREFIX + (uint64_t)batch->item_count * mw_items_fixed(batch->signal) +
                   context_bytes(batch->resources, batch->resource_count) +
                   context_bytes(batch->scopes, batch->scope_count) +
                   (uint64_t)head_count(batch) * MW_ITEMS_CONTEXT;
    for (size_t i = 0; i < head_count(batch); i++)
        len += batch->metrics[i].len;
    for (size_t i = 0; i < batch->item_count; i++)
        len += batch->items[i].bytes.len;
    return len;
}

static void put_slice(mw_chunk_writer *to, mw_slice bytes)
{
    mw_chunk_put(to, bytes.data, bytes.len);
}

static void put_context_lengths(mw_chunk_writer *to, const mw_store_context *contexts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mw_chunk_put_u32(to, (uint32_t)contexts[i].bytes.len);
        mw_chunk_put_u32(to, (uint32_t)contexts[i].schema_url.len);
    }
}

static void put_contexts(mw_chunk_writer *to, const mw_store_context *contexts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_slice(to, contexts[i].bytes);
        put_slice(to, contexts[i].schema_url);
    }
}

/* The counts and the lengths of resources, scopes and heads. */
static void put_front(mw_chunk_writer *to, const mw_store_batch *batch)
{
    size_t heads = head_count(batch);
    mw_chunk_put_u32(to, (uint32_t)batch->resource_count);
    mw_chunk_put_u32(to, (uint32_t)batch->scope_count);
    mw_chunk_put_u32(to, (uint32_t)heads);
    put_context_lengths(to, batch->resources, batch->resource_count);
    put_context_lengths(to, batch->scopes, batch->scope_count);
    for (size_t i = 0; i < heads; i++) {
        mw_chunk_put_u32(to, (uint32_t)batch->metrics[i].len);
        mw_chunk_put_u32(to, 0);
    }
}

/* A column of the items: the number at `offset`, checked to be an index below `limit`. In runs,
 * because a number alone costs more in checks than in copying. */
static void put_indexes(mw_chunk_writer *to, const mw_store_batch *batch, size_t offset,
                        size_t limit)
{
    enum { RUN = 256 };
    unsigned char run[4 * RUN];

    for (size_t from = 0; from < batch->item_count; from += RUN) {
        size_t count = batch->item_count - from < RUN ? batch->item_count - from : RUN;
        for (size_t i = 0; i < count; i++) {
            uint32_t index;
            memcpy(&index, (const char *)&batch->items[from + i] + offset, sizeof index);
            MW_ASSERT(index < limit);
            mw_put_u32(run + 4 * i, index);
        }
        mw_chunk_put(to, run, 4 * count);
    }
}

static void put_tables(mw_chunk_writer *to, const mw_store_batch *batch)
{
    for (size_t i = 0; i < batch->item_count; i++)
        mw_chunk_put_u32(to, (uint32_t)batch->items[i].bytes.len);
    put_indexes(to, batch, offsetof(mw_store_item, resource), batch->resource_count);
    put_indexes(to, batch, offsetof(mw_store_item, scope), batch->scope_count);
    if (batch->signal == MW_SIGNAL_METRICS)
        put_indexes(to, batch, offsetof(mw_store_item, metric), batch->metric_count);
}

static void put_items(mw_chunk_writer *to, const mw_store_batch *batch)
{
    put_front(to, batch);
    put_tables(to, batch);
    put_contexts(to, batch->resources, batch->resource_count);
    put_contexts(to, batch->scopes, batch->scope_count);
    for (size_t i = 0; i < head_count(batch); i++)
        put_slice(to, batch->metrics[i]);
    for (size_t i = 0; i < batch->item_count; i++)
        put_slice(to, batch->items[i].bytes);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/* The columns' chunk, and the index entry made of it. `raw` is what `columns` was read from. */
static mw_err encode_hot(const mw_hot *columns, const unsigned char *raw, uint64_t key_seed,
                         mw_block_buffer *to, mw_encoded_block *out)
{
    mw_block_header *header = &out->header;
    mw_err err = MW_OK;
    out->entry = mw_index_block_new(columns, header, key_seed);
    /* The usual small request gets room for both chunks at once and is moved no more. */
    size_t room = mw_chunk_room(header->hot_raw);
    if (header->items_raw <= MW_PIECE_SIZE)
        room += mw_chunk_room(header->items_raw) + MW_BLOCK_ALIGN;
    if (!out->entry || !mw_block_buffer_reserve(to, room))
        err = MW_E_NOMEM;
    if (err == MW_OK)
        err = mw_chunk_pack(to, raw, header->hot_raw, &header->hot_stored, &header->hot_codec);
    if (err == MW_OK)
        header->hot_checksum =
            mw_chunk_checksum(to->data + MW_BLOCK_HEADER_SIZE, header->hot_stored);
    return err;
}

static mw_err encode_plain(const mw_store_batch *batch, mw_block_buffer *to,
                           mw_block_header *header)
{
    mw_chunk_writer writer;
    mw_chunk_begin(&writer, to, header->items_raw);
    put_items(&writer, batch);
    return mw_chunk_end(&writer, &header->items_stored, &header->items_codec);
}

/* One after the other: of a large request the columns are gone when the items are laid out. What
 * is in fields needs them. */
static mw_err encode_chunks(const mw_store_batch *batch, uint64_t key_seed, mw_block_buffer *to,
                            mw_encoded_block *out)
{
    mw_block_header *header = &out->header;
    unsigned char *raw = NULL;
    bool done = false;
    mw_hot columns;

    mw_err err = mw_hot_encode(batch, header, &raw);
    if (err != MW_OK)
        return err;
    mw_err whole = mw_hot_decode(header, mw_slice_bytes(raw, header->hot_raw), &columns);
    MW_ASSERT(whole == MW_OK);
    err = encode_hot(&columns, raw, key_seed, to, out);
    size_t from = to->used;
    if (err == MW_OK && mw_fields_encode_wanted(batch, header->items_raw))
        err = mw_fields_encode(batch, &columns, to, header, &done);
    mw_free(MW_MEM_INGEST, raw);
    if (err == MW_OK && (uint64_t)header->hot_raw + header->items_raw > MW_BLOCK_RAW_MAX)
        err = MW_E_LIMIT;
    if (err == MW_OK && !done)
        err = encode_plain(batch, to, header);
    return err == MW_OK ? mw_chunk_pad_items(to, from, header) : err;
}

static mw_err encode(const mw_store_batch *batch, uint64_t key_seed, mw_encoded_block *out)
{
    mw_block_buffer to = {.used = MW_BLOCK_HEADER_SIZE};
    uint64_t items_len = items_raw_len(batch);
    if (items_len > MW_BLOCK_RAW_MAX)
        return MW_E_LIMIT;
    out->header.items_raw = (uint32_t)items_len;
    summarize(batch, &out->header);
    mw_err err = encode_chunks(batch, key_seed, &to, out);
    if (err != MW_OK) {
        mw_free(MW_MEM_INGEST, to.data);
        return err;
    }
    out->len = to.used;
    MW_ASSERT(out->len == mw_block_size(&out->header));
    /* The queue's budget and the account count what is kept, not the room for the worst case. */
    unsigned char *fitted = mw_realloc(MW_MEM_INGEST, to.data, out->len);
    out->data = fitted ? fitted : to.data;
    return MW_OK;
}

mw_err mw_block_encode(const mw_store_batch *batch, uint64_t key_seed, uint64_t arrival_ns,
                       mw_encoded_block *out)
{
    const mw_hot_layout *layout = mw_hot_layout_of(batch->signal);

    memset(out, 0, sizeof *out);
    MW_ASSERT(layout && batch->item_count > 0);
    if (batch->item_count > MW_BLOCK_RAW_MAX / mw_hot_fixed(layout, false) ||
        batch->resource_count > UINT32_MAX || batch->scope_count > UINT32_MAX ||
        batch->metric_count > UINT32_MAX)
        return MW_E_LIMIT;
    out->header.signal = batch->signal;
    out->header.item_count = (uint32_t)batch->item_count;
    out->header.arrival_ns = arrival_ns;
    memcpy(out->header.digest, batch->digest, sizeof out->header.digest);
    mw_err err = encode(batch, key_seed, out);
    if (err != MW_OK)
        mw_encoded_block_fini(out);
    return err;
}

void mw_block_seal(mw_encoded_block *block, uint64_t seq, uint64_t synced,
                   const mw_block_place *place)
{
    block->header.seq = seq;
    block->header.synced = synced;
    mw_block_header_write(&block->header, place, block->data);
    block->entry->header = block->header;
    block->entry->offset = place->offset;
}

void mw_encoded_block_fini(mw_encoded_block *block)
{
    mw_free(MW_MEM_INGEST, block->data);
    mw_free(MW_MEM_STORE, block->entry);
    memset(block, 0, sizeof *block);
}
