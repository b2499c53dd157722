/* Places in a batch for items of any signal: the tables, the contexts that items are below, whose
 * they are. See batch_int.h. On the network loop's thread. The tables grow by realloc, not in the
 * request's arena, for the reason given in distinct.c. */
#include "collector/batch_int.h"

/* What the encoder needs for an item beside its bytes: references, trace ids, columns. */
#define ENCODER_ITEM_BYTES 170
/* What connections, index and SQLite hold at least. */
#define OTHERS_DIVISOR 16

/* ---- items --------------------------------------------------------------------------------- */

mw_err mw_batch_grow(mw_export_batch *batch, size_t capacity)
{
    size_t row_size = batch->signal->row_size;
    mw_store_item *items = mw_realloc(MW_MEM_INGEST, batch->items, capacity * sizeof *items);
    if (!items)
        return MW_E_NOMEM;
    batch->items = items;
    void *rows = mw_realloc(MW_MEM_INGEST, batch->rows, capacity * row_size);
    if (!rows)
        return MW_E_NOMEM;
    batch->rows = rows;
    batch->capacity = capacity;
    return MW_OK;
}

/* The body, and for each item its row here and in the encoder: with more items the request could
 * not be stored by a daemon that has nothing else to do, however often it is sent, so the answer
 * is "too large" and not "try again". */
static size_t most_items(const mw_export_batch *batch, size_t body_len)
{
    size_t limit = mw_memory_limit();
    size_t usable = limit - limit / OTHERS_DIVISOR;
    size_t each = sizeof *batch->items + batch->signal->row_size + ENCODER_ITEM_BYTES;
    if (limit == 0)
        return SIZE_MAX;
    return body_len < usable ? (usable - body_len) / each : 0;
}

/* As many as the rest of the body will hold if it goes on like the part that was read, and a
 * little more; but no more than twice what there is. */
static size_t next_capacity(size_t count, size_t read, size_t total)
{
    double like_this = (double)count * ((double)total / (double)(read ? read : 1)) * 1.02 + 16;
    double twice = (double)count * 2 + 16;
    return (size_t)(like_this < twice ? like_this : twice);
}

static mw_err make_room(mw_batch_reader *reader, mw_slice bytes)
{
    mw_export_batch *batch = reader->batch;
    mw_slice body = reader->input->body;
    if (batch->count < batch->capacity)
        return MW_OK;
    size_t most = most_items(batch, body.len);
    if (batch->count >= most)
        return MW_E_LIMIT;
    size_t capacity = next_capacity(batch->count, (size_t)(bytes.data - body.data), body.len);
    return mw_batch_grow(batch, capacity < most ? capacity : most);
}

/* ---- tallies ------------------------------------------------------------------------------- */

/* Items of a resource lie one behind the other, with what little stands between them. */
static uint64_t bytes_between(const mw_slice *first, const mw_slice *last)
{
    return (uint64_t)(last->data + last->len - first->data);
}

void mw_batch_leave_sender(mw_batch_reader *reader)
{
    const mw_export_batch *batch = reader->batch;
    mw_sender_tally *tally = reader->tally;
    if (tally && batch->count > reader->items_before) {
        tally->items += batch->count - reader->items_before;
        tally->bytes += bytes_between(&batch->items[reader->items_before].bytes,
                                      &batch->items[batch->count - 1].bytes);
        tally->odd_times += batch->odd.count - reader->odd_before;
    }
    reader->items_before = batch->count;
    reader->odd_before = batch->odd.count;
    reader->tally = NULL;
}

/* At a resource's first item: empty envelopes are nobody's. */
static void enter_tally(mw_batch_reader *reader)
{
    mw_batch_leave_sender(reader);
    reader->tally = mw_sender_tally_of(&reader->batch->tallies, reader->resource.bytes);
    if (!reader->tally)
        reader->tally = &reader->unlisted;
}

static mw_err place_contexts(mw_batch_reader *reader)
{
    mw_export_batch *batch = reader->batch;
    mw_err err = MW_OK;
    if (reader->resource_index == MW_NO_INDEX) {
        enter_tally(reader);
        err = mw_distinct_add(&batch->resources, &reader->resource, reader->seed, NULL,
                              &reader->resource_index);
    }
    if (err == MW_OK && reader->scope_index == MW_NO_INDEX) {
        if (reader->tally->scope.len == 0)
            reader->tally->scope = mw_sender_scope_name(reader->scope.bytes);
        err = mw_distinct_add(&batch->scopes, &reader->scope, reader->seed, NULL,
                              &reader->scope_index);
    }
    return err;
}

mw_err mw_batch_next(mw_batch_reader *reader, mw_slice bytes, mw_store_item **item, void **row)
{
    mw_export_batch *batch = reader->batch;
    mw_err err = place_contexts(reader);
    if (err == MW_OK)
        err = make_room(reader, bytes);
    if (err != MW_OK)
        return err;
    size_t at = batch->count++;
    batch->items[at] = (mw_store_item){
        .bytes = bytes, .resource = reader->resource_index, .scope = reader->scope_index};
    *item = &batch->items[at];
    *row = (char *)batch->rows + at * batch->signal->row_size;
    return MW_OK;
}
