/* An export's bytes to the store's batch: scan, resolve, make contexts distinct.
 *
 * On the network loop's thread. The tables here grow by realloc and not in the request's arena:
 * an arena keeps every smaller copy until the end, which would double the largest of them. A
 * resource or scope enters its table with the first span kept below it, so that a request full
 * of empty envelopes costs nothing.
 */
#include <xxhash.h>

#include "collector/export_int.h"
#include "collector/resolve.h"

/* First guess from the body: real spans have some 400 to 800 bytes. */
#define ITEM_BYTES_GUESS 512
#define ITEMS_FIRST_MAX 4096
#define SLOTS_FIRST 16
/* What the encoder needs for an item beside its bytes: references, trace ids, columns. */
#define ENCODER_ITEM_BYTES 170
/* What connections, index and SQLite hold at least. */
#define OTHERS_DIVISOR 16

typedef struct batch_reader {
    mw_export_batch *batch;
    mw_slice body;
    mw_arena *arena;
    uint64_t seed; /* against keys that are made to collide */
    mw_resolve_place resource_place, scope_place;
    mw_store_context resource, scope;
    /* In the batch's tables; NO_INDEX until a span needs it. */
    uint32_t resource_index, scope_index;
} batch_reader;

#define NO_INDEX UINT32_MAX

/* ---- distinct contexts --------------------------------------------------------------------- */

static uint64_t context_hash(const mw_store_context *context, uint64_t seed)
{
    uint64_t hash = XXH3_64bits_withSeed(context->bytes.data, context->bytes.len, seed);
    return XXH3_64bits_withSeed(context->schema_url.data, context->schema_url.len, hash);
}

/* The slot that holds `context`, or the free one where it belongs. */
static uint32_t *find_slot(const mw_context_set *set, const mw_store_context *context,
                           uint64_t seed)
{
    size_t mask = set->slot_count - 1;
    for (size_t at = context_hash(context, seed) & mask;; at = (at + 1) & mask) {
        uint32_t *slot = &set->slots[at];
        if (*slot == 0)
            return slot;
        const mw_store_context *held = &set->items[*slot - 1];
        if (mw_slice_equal(held->bytes, context->bytes) &&
            mw_slice_equal(held->schema_url, context->schema_url))
            return slot;
    }
}

static mw_err grow_set(mw_context_set *set, uint64_t seed)
{
    size_t slots = set->slot_count ? set->slot_count * 2 : SLOTS_FIRST;
    size_t capacity = slots / 2;
    mw_store_context *items = mw_realloc(MW_MEM_INGEST, set->items, capacity * sizeof *set->items);
    if (!items)
        return MW_E_NOMEM;
    set->items = items;
    set->capacity = capacity;
    uint32_t *table = mw_calloc(MW_MEM_INGEST, slots, sizeof *table);
    if (!table)
        return MW_E_NOMEM;
    mw_free(MW_MEM_INGEST, set->slots);
    set->slots = table;
    set->slot_count = slots;
    for (size_t i = 0; i < set->count; i++)
        *find_slot(set, &set->items[i], seed) = (uint32_t)i + 1;
    return MW_OK;
}

static mw_err intern(mw_context_set *set, const mw_store_context *context, uint64_t seed,
                     uint32_t *index)
{
    if (set->count * 2 >= set->slot_count && grow_set(set, seed) != MW_OK)
        return MW_E_NOMEM;
    uint32_t *slot = find_slot(set, context, seed);
    if (*slot == 0) {
        set->items[set->count++] = *context;
        *slot = (uint32_t)set->count;
    }
    *index = *slot - 1;
    return MW_OK;
}

static void free_set(mw_context_set *set)
{
    mw_free(MW_MEM_INGEST, set->items);
    mw_free(MW_MEM_INGEST, set->slots);
}

/* ---- items --------------------------------------------------------------------------------- */

/* As many as the rest of the body will hold if it goes on like the part that was read, and a little
 * more; but no more than twice what there is. */
static size_t next_capacity(size_t count, size_t read, size_t total)
{
    double like_this = (double)count * ((double)total / (double)(read ? read : 1)) * 1.02 + 16;
    double twice = (double)count * 2 + 16;
    return (size_t)(like_this < twice ? like_this : twice);
}

/* The body, its copy in the block, and for each item its row here and in the encoder: beyond this
 * the request could not be stored by a daemon that has nothing else to do, however often it is
 * sent, so the answer is "too large" and not "try again". */
static bool never_fits(size_t count, size_t total)
{
    size_t limit = mw_memory_limit();
    return limit && total * 2 + count * (sizeof(mw_store_item) + ENCODER_ITEM_BYTES) >
                        limit - limit / OTHERS_DIVISOR;
}

static mw_err next_item(mw_export_batch *batch, size_t read, size_t total, mw_store_item **item)
{
    if (batch->count == batch->capacity) {
        if (never_fits(batch->count, total))
            return MW_E_LIMIT;
        size_t capacity = next_capacity(batch->count, read, total);
        mw_store_item *items = mw_realloc(MW_MEM_INGEST, batch->items, capacity * sizeof *items);
        if (!items)
            return MW_E_NOMEM;
        batch->items = items;
        batch->capacity = capacity;
    }
    *item = &batch->items[batch->count++];
    return MW_OK;
}

static uint8_t byte_or_beyond(uint32_t number, uint32_t largest)
{
    return number <= largest ? (uint8_t)number : 255;
}

static void fill_row(mw_span_row *row, const mw_scan_span *span)
{
    *row = (mw_span_row){.start_ns = span->start_ns,
                         .end_ns = span->end_ns,
                         .kind = byte_or_beyond(span->kind, 5),
                         .status = byte_or_beyond(span->status_code, 2),
                         .name = span->name,
                         .status_message = span->status_message};
    memcpy(row->trace_id, span->trace_id, MW_TRACE_ID_SIZE);
    memcpy(row->span_id, span->span_id, MW_SPAN_ID_SIZE);
    memcpy(row->parent_span_id, span->parent_span_id, MW_SPAN_ID_SIZE);
    row->flags = (uint8_t)((span->bad_utf8 ? MW_SPAN_BAD_UTF8 : 0) |
                           (span->has_exception_event ? MW_SPAN_EXCEPTION : 0));
}

/* ---- sink ---------------------------------------------------------------------------------- */

static mw_err take_resource(void *ctx, const mw_scan_resource *resource)
{
    batch_reader *reader = ctx;
    reader->resource = (mw_store_context){resource->bytes, resource->schema_url};
    reader->resource_index = NO_INDEX;
    mw_resolve_place_read(&reader->resource_place, resource->found, resource->found_count, false);
    return MW_OK;
}

static mw_err take_scope(void *ctx, const mw_scan_scope *scope)
{
    batch_reader *reader = ctx;
    reader->scope = (mw_store_context){scope->bytes, scope->schema_url};
    reader->scope_index = NO_INDEX;
    mw_resolve_place_read(&reader->scope_place, scope->found, scope->found_count, false);
    return MW_OK;
}

static mw_err place_contexts(batch_reader *reader)
{
    mw_export_batch *batch = reader->batch;
    mw_err err = MW_OK;
    if (reader->resource_index == NO_INDEX)
        err = intern(&batch->resources, &reader->resource, reader->seed, &reader->resource_index);
    if (err == MW_OK && reader->scope_index == NO_INDEX)
        err = intern(&batch->scopes, &reader->scope, reader->seed, &reader->scope_index);
    return err;
}

static mw_err take_span(void *ctx, const mw_scan_span *span)
{
    batch_reader *reader = ctx;
    mw_err err = place_contexts(reader);
    if (err != MW_OK)
        return err;
    mw_store_item *item = NULL;
    size_t read = (size_t)(span->bytes.data - reader->body.data);
    err = next_item(reader->batch, read, reader->body.len, &item);
    if (err != MW_OK)
        return err;
    mw_resolve_place place;
    bool root = mw_id_is_zero(span->parent_span_id, MW_SPAN_ID_SIZE);
    mw_resolve_place_read(&place, span->found, span->found_count, root);
    fill_row(&item->row, span);
    mw_resolve_row(&place, &reader->resource_place, &reader->scope_place, reader->arena,
                   &item->row);
    item->bytes = span->bytes;
    item->resource = reader->resource_index;
    item->scope = reader->scope_index;
    return MW_OK;
}

/* ---- the batch ----------------------------------------------------------------------------- */

/* Keyed with the store's secret, so that a sender cannot make a request that hides another's. */
static void digest_body(uint8_t digest[16], mw_slice body, mw_signal signal, const uint8_t *key)
{
    XXH128_hash_t hash = XXH3_128bits_withSecret(body.data, body.len, key, MW_DIGEST_KEY_SIZE);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    MW_ASSERT(sizeof canonical.digest == 16);
    memcpy(digest, canonical.digest, 16);
    digest[15] ^= (uint8_t)signal;
    if (mw_id_is_zero(digest, 16))
        digest[15] = 1; /* zero means "none" */
}

mw_err mw_export_batch_read(mw_export_batch *batch, mw_slice body, const mw_export_keys *keys,
                            mw_arena *arena)
{
    *batch = (mw_export_batch){0};
    size_t guess = body.len / ITEM_BYTES_GUESS + 1;
    batch->capacity = guess < ITEMS_FIRST_MAX ? guess : ITEMS_FIRST_MAX;
    batch->items = mw_alloc(MW_MEM_INGEST, batch->capacity * sizeof *batch->items);
    if (!batch->items)
        return MW_E_NOMEM;
    batch_reader reader = {.batch = batch, .body = body, .arena = arena};
    mw_random_bytes(&reader.seed, sizeof reader.seed);
    mw_scan_sink sink = {.ctx = &reader,
                         .arena = arena,
                         .resource = take_resource,
                         .scope = take_scope,
                         .span = take_span};
    mw_err err = mw_scan_traces(body, keys->attributes, &sink, &batch->scan);
    if (err == MW_OK)
        digest_body(batch->digest, body, MW_SIGNAL_TRACES, keys->digest);
    return err;
}

void mw_export_batch_fini(mw_export_batch *batch)
{
    mw_free(MW_MEM_INGEST, batch->items);
    free_set(&batch->resources);
    free_set(&batch->scopes);
    *batch = (mw_export_batch){0};
}

mw_store_batch mw_export_batch_view(const mw_export_batch *batch)
{
    mw_store_batch view = {.resources = batch->resources.items,
                           .resource_count = batch->resources.count,
                           .scopes = batch->scopes.items,
                           .scope_count = batch->scopes.count,
                           .items = batch->items,
                           .item_count = batch->count};
    memcpy(view.digest, batch->digest, sizeof view.digest);
    return view;
}
