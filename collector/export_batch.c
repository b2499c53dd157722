/* An export's bytes to the store's batch: scans the request, gives it its digest.
 *
 * On the network loop's thread. The places of items are batch_items.c's, the rows batch_spans.c's,
 * batch_logs.c's and batch_points.c's.
 */
#include <xxhash.h>

#include "collector/batch_int.h"

#define ITEMS_FIRST_MAX 4096

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
    mw_err err = mw_batch_grow(batch, guess < ITEMS_FIRST_MAX ? guess : ITEMS_FIRST_MAX);
    if (err == MW_OK)
        err = scan_body(&reader);
    mw_batch_leave_sender(&reader);
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
