/* An export's bytes to the store's batch: scan, resolve, make contexts distinct.
 *
 * On the network loop's thread. What all signals share is here; the rows are batch_spans.c's,
 * batch_logs.c's and batch_points.c's. The tables grow by realloc and not in the request's arena,
 * for the reason given in distinct.c.
 */
#include <xxhash.h>

#include "collector/batch_int.h"

#define ITEMS_FIRST_MAX 4096
/* What the encoder needs for an item beside its bytes: references, trace ids, columns. */
#define ENCODER_ITEM_BYTES 170
/* What connections, index and SQLite hold at least. */
#define OTHERS_DIVISOR 16

/* ---- items --------------------------------------------------------------------------------- */

static mw_err grow_items(mw_export_batch *batch, size_t capacity)
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
    return grow_items(batch, capacity < most ? capacity : most);
}

/* ---- tallies ------------------------------------------------------------------------------- */

/* Items of a resource lie one behind the other, with what little stands between them. */
static uint64_t bytes_between(const mw_slice *first, const mw_slice *last)
{
    return (uint64_t)(last->data + last->len - first->data);
}

static void leave_tally(mw_batch_reader *reader)
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
    leave_tally(reader);
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

/* ---- sink ---------------------------------------------------------------------------------- */

static mw_err take_resource(void *ctx, const mw_scan_resource *resource)
{
    mw_batch_reader *reader = ctx;
    mw_err err = mw_emf_close_scope(&reader->batch->emf, &reader->resource, &reader->scope);
    reader->resource =
        (mw_store_context){.bytes = resource->bytes, .schema_url = resource->schema_url};
    reader->resource_index = MW_NO_INDEX;
    reader->resource_series = 0;
    mw_resolve_place_read(&reader->resource_place, resource->found, resource->found_count, false);
    return err;
}

static mw_err take_scope(void *ctx, const mw_scan_scope *scope)
{
    mw_batch_reader *reader = ctx;
    mw_err err = mw_emf_close_scope(&reader->batch->emf, &reader->resource, &reader->scope);
    reader->scope = (mw_store_context){.bytes = scope->bytes, .schema_url = scope->schema_url};
    reader->scope_index = MW_NO_INDEX;
    reader->scope_series = 0;
    mw_resolve_place_read(&reader->scope_place, scope->found, scope->found_count, false);
    return err;
}

static mw_err scan_body(mw_batch_reader *reader)
{
    const mw_export_input *input = reader->input;
    mw_scan_sink sink = {.ctx = reader,
                         .arena = input->arena,
                         .resource = take_resource,
                         .scope = take_scope,
                         .span = mw_batch_take_span,
                         .log = mw_batch_take_log,
                         .metric = mw_batch_take_metric,
                         .point = mw_batch_take_point};
    mw_err err =
        input->signal->scan(input->body, input->keys->attributes, &sink, &reader->batch->scan);
    return err == MW_OK ? mw_emf_close_scope(&reader->batch->emf, &reader->resource, &reader->scope)
                        : err;
}

/* ---- digest -------------------------------------------------------------------------------- */

static XXH128_canonical_t keyed_hash(const void *data, size_t len, const uint8_t *key)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical,
                             XXH3_128bits_withSecret(data, len, key, MW_DIGEST_KEY_SIZE));
    MW_ASSERT(sizeof canonical.digest == 16);
    return canonical;
}

/* Keyed with the store's secret, so that a sender cannot make a request that hides another's. The
 * same body from another log group is another request. */
static void digest_request(uint8_t digest[16], const mw_export_input *input)
{
    const uint8_t *key = input->keys->digest;
    XXH128_canonical_t parts[2] = {keyed_hash(input->body.data, input->body.len, key)};
    if (input->origin.len) {
        parts[1] = keyed_hash(input->origin.data, input->origin.len, key);
        parts[0] = keyed_hash(parts, sizeof parts, key);
    }
    memcpy(digest, parts[0].digest, 16);
    digest[15] ^= (uint8_t)input->signal->signal;
    if (mw_id_is_zero(digest, 16))
        digest[15] = 1; /* zero means "none" */
}

/* ---- the batch ----------------------------------------------------------------------------- */

static mw_err list_heads(mw_export_batch *batch)
{
    size_t count = batch->metrics.count;
    if (count == 0)
        return MW_OK;
    batch->metric_heads = mw_alloc(MW_MEM_INGEST, count * sizeof *batch->metric_heads);
    if (!batch->metric_heads)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        batch->metric_heads[i] = batch->metrics.items[i].bytes;
    return MW_OK;
}

/* Heads are parts of the body, each at most once, so that together they are shorter than it. The
 * arena rounds each up by 16 bytes at most, less than what a metric with a point has besides. */
static void init_heads(mw_batch_reader *reader)
{
    size_t longest = reader->input->body.len;
    mw_arena_init(&reader->batch->heads, MW_MEM_INGEST, 2 * longest);
    mw_buffer_init(&reader->head, MW_MEM_INGEST, longest);
}

static void init_reader(mw_batch_reader *reader, mw_export_batch *batch,
                        const mw_export_input *input)
{
    *reader = (mw_batch_reader){.batch = batch, .input = input};
    mw_random_bytes(&reader->seed, sizeof reader->seed);
    reader->around = (mw_resolve_around){
        .resource = &reader->resource_place,
        .scope = &reader->scope_place,
        .log_group = mw_origin_member(input->origin, MW_ORIGIN_LOG_GROUP),
        .arena = input->arena,
    };
    init_heads(reader);
}

mw_err mw_export_batch_read(mw_export_batch *batch, const mw_export_input *input)
{
    mw_batch_reader reader;
    *batch = (mw_export_batch){.signal = input->signal};
    mw_odd_times_init(&batch->odd, input->received_ns);
    mw_emf_init(&batch->emf, input->body.len);
    init_reader(&reader, batch, input);
    size_t guess = input->body.len / input->signal->item_bytes + 1;
    mw_err err = grow_items(batch, guess < ITEMS_FIRST_MAX ? guess : ITEMS_FIRST_MAX);
    if (err == MW_OK)
        err = scan_body(&reader);
    leave_tally(&reader);
    batch->tallies.unlisted = reader.unlisted.items;
    if (err == MW_OK)
        err = list_heads(batch);
    if (err == MW_OK)
        digest_request(batch->digest, input);
    mw_buffer_fini(&reader.head);
    return err;
}

void mw_export_batch_fini(mw_export_batch *batch)
{
    mw_free(MW_MEM_INGEST, batch->items);
    mw_free(MW_MEM_INGEST, batch->rows);
    mw_free(MW_MEM_INGEST, batch->metric_heads);
    mw_distinct_fini(&batch->resources);
    mw_distinct_fini(&batch->scopes);
    mw_distinct_fini(&batch->metrics);
    mw_arena_reset(&batch->heads);
    mw_emf_fini(&batch->emf);
    *batch = (mw_export_batch){0};
}

mw_store_batch mw_export_batch_view(const mw_export_batch *batch)
{
    mw_store_batch view = {.signal = batch->signal->signal,
                           .resources = batch->resources.items,
                           .resource_count = batch->resources.count,
                           .scopes = batch->scopes.items,
                           .scope_count = batch->scopes.count,
                           .metrics = batch->metric_heads,
                           .metric_count = batch->metrics.count,
                           .items = batch->items,
                           .item_count = batch->count};
    switch (view.signal) {
    case MW_SIGNAL_METRICS: view.rows.points = batch->rows; break;
    case MW_SIGNAL_LOGS: view.rows.logs = batch->rows; break;
    default: view.rows.spans = batch->rows; break;
    }
    memcpy(view.digest, batch->digest, sizeof view.digest);
    return view;
}
