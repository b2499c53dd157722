/* The tables of senders and refusals. Contract: senders.h. */
#include <xxhash.h>

#include "collector/senders.h"
#include "lib/base/memory.h"
#include "proto/attribute_walk.h"
#include "proto/wire.h"

const char *mw_sender_transport_name(mw_sender_transport transport)
{
    static const char *const names[] = {"grpc", "http/protobuf", "http/json"};
    return names[transport];
}

const char *mw_understood_name(mw_understood_what what)
{
    static const char *const names[] = {"session", "agent", "model", "tokens"};
    return names[what];
}

/* ---- tallies ------------------------------------------------------------------------------- */

static void read_identity(mw_sender_tally *tally, mw_slice resource)
{
    const struct {
        const char *key;
        mw_slice *to;
    } wanted[] = {{"service.name", &tally->service},
                  {"telemetry.sdk.language", &tally->language},
                  {"telemetry.sdk.version", &tally->version}};
    mw_attribute_walk walk;
    mw_slice key;
    mw_value value;
    mw_attribute_walk_init(&walk, resource, MW_ATTRIBUTES_OF_RESOURCE);
    while (mw_attribute_next(&walk, &key, &value))
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
            if (value.type == MW_VALUE_STRING && mw_slice_equal(key, mw_slice_of(wanted[i].key)))
                *wanted[i].to = mw_slice_trim(value.bytes);
}

mw_sender_tally *mw_sender_tally_of(mw_sender_tallies *tallies, mw_slice resource)
{
    mw_sender_tally fresh = {.items = 0};
    if (tallies->looks++ >= MW_TALLY_LOOKS_MAX)
        return NULL;
    read_identity(&fresh, resource);
    for (size_t i = 0; i < tallies->count; i++) {
        mw_sender_tally *known = &tallies->list[i];
        if (mw_slice_equal(known->service, fresh.service) &&
            mw_slice_equal(known->language, fresh.language) &&
            mw_slice_equal(known->version, fresh.version))
            return known;
    }
    if (tallies->count == MW_TALLIES_MAX)
        return NULL;
    tallies->list[tallies->count] = fresh;
    return &tallies->list[tallies->count++];
}

mw_slice mw_sender_scope_name(mw_slice scope)
{
    mw_wire_field field;
    mw_slice name = MW_SLICE_NONE;
    const uint8_t *end = mw_wire_end(scope);
    for (const uint8_t *at = mw_wire_begin(scope); at && at < end;) {
        at = mw_wire_next(at, end, &field);
        if (at && field.tag == MW_WIRE_TAG(1, MW_WIRE_BYTES))
            name = field.bytes;
    }
    return name;
}

/* No more of a peer's text than a row has room for. */
static mw_slice keep_text(mw_slice text, mw_arena *arena)
{
    return mw_arena_copy(arena, mw_slice_first(text, MW_SENDER_TEXT_SIZE));
}

mw_sender_tallies *mw_sender_tallies_keep(const mw_sender_tallies *tallies, mw_arena *arena)
{
    mw_sender_tallies *kept = mw_arena_zalloc(arena, 1, sizeof *kept);
    if (!kept)
        return NULL;
    *kept = *tallies;
    for (size_t i = 0; i < kept->count; i++) {
        mw_sender_tally *tally = &kept->list[i];
        tally->service = keep_text(tally->service, arena);
        tally->language = keep_text(tally->language, arena);
        tally->version = keep_text(tally->version, arena);
        tally->scope = keep_text(tally->scope, arena);
    }
    return kept;
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* Cut at a character. */
static void put_text(char *out, size_t size, mw_slice text)
{
    size_t len = text.len;
    if (len >= size) {
        len = size - 1;
        while (len > 0 && ((unsigned char)text.data[len] & 0xc0) == 0x80)
            len--;
    }
    if (len)
        memcpy(out, text.data, len);
    out[len] = '\0';
}

static uint64_t hash_text(uint64_t seed, const char *text)
{
    return XXH3_64bits_withSeed(text, strlen(text) + 1, seed);
}

/* `count` when there is none. The keyed hash stands for the names: nobody can aim at 64 bits of a
 * secret. */
static size_t find_slot(const uint64_t *hashes, size_t count, uint64_t hash)
{
    for (size_t i = 0; i < count; i++)
        if (hashes[i] == hash)
            return i;
    return count;
}

static size_t oldest_sender(const mw_senders *senders)
{
    size_t oldest = 0;
    for (size_t i = 1; i < senders->count; i++)
        if (senders->rows[i].last_ns < senders->rows[oldest].last_ns)
            oldest = i;
    return oldest;
}

static size_t oldest_refusal(const mw_senders *senders)
{
    size_t oldest = 0;
    for (size_t i = 1; i < senders->refusal_count; i++)
        if (senders->refusals[i].last_ns < senders->refusals[oldest].last_ns)
            oldest = i;
    return oldest;
}

static void begin_row(mw_sender_row *row, const mw_sender_tally *tally,
                      const mw_sender_request *request)
{
    *row = (mw_sender_row){.transport = request->transport, .signal = request->signal};
    put_text(row->service, sizeof row->service, tally->service);
    put_text(row->language, sizeof row->language, tally->language);
    put_text(row->version, sizeof row->version, tally->version);
    put_text(row->space, sizeof row->space, request->space);
}

static uint64_t hash_row(const mw_sender_row *row, uint64_t seed)
{
    uint64_t hash = hash_text(seed, row->service);
    hash = hash_text(hash, row->language);
    hash = hash_text(hash, row->version);
    hash = hash_text(hash, row->space);
    return hash ^ ((uint64_t)row->transport << 8 | (uint64_t)row->signal);
}

static mw_sender_row *row_of(mw_senders *senders, const mw_sender_tally *tally,
                             const mw_sender_request *request)
{
    mw_sender_row fresh;
    begin_row(&fresh, tally, request);
    uint64_t hash = hash_row(&fresh, senders->seed);
    size_t slot = find_slot(senders->hashes, senders->count, hash);
    if (slot < senders->count)
        return &senders->rows[slot];
    if (slot == MW_SENDERS_MAX) {
        slot = oldest_sender(senders);
        senders->forgotten++;
    } else {
        senders->count++;
    }
    fresh.first_ns = request->now_ns;
    senders->hashes[slot] = hash;
    senders->rows[slot] = fresh;
    return &senders->rows[slot];
}

static void add_tally(mw_sender_row *row, const mw_sender_tally *tally)
{
    row->items += tally->items;
    row->bytes += tally->bytes;
    row->odd_times += tally->odd_times;
    row->gen_ai += tally->gen_ai;
    row->model_calls += tally->model_calls;
    for (int i = 0; i < MW_UNDERSTOOD_COUNT; i++) {
        row->understood[i].items += tally->understood[i].items;
        row->understood[i].ranks |= tally->understood[i].ranks;
    }
}

static void note_tally(mw_senders *senders, const mw_sender_tally *tally,
                       const mw_sender_request *request, bool alone)
{
    mw_sender_row *row = row_of(senders, tally, request);
    row->last_ns = request->now_ns;
    row->requests++;
    put_text(row->user_agent, sizeof row->user_agent, request->user_agent);
    put_text(row->compression, sizeof row->compression, request->compression);
    put_text(row->scope, sizeof row->scope, tally->scope);
    if (request->repeat) {
        row->repeats++;
        return;
    }
    add_tally(row, tally);
    for (int i = 0; alone && i < MW_REFUSE_COUNT; i++)
        row->refused[i] += request->scan->refused[i];
}

/* ---- public -------------------------------------------------------------------------------- */

void mw_senders_init(mw_senders *senders, uint64_t seed)
{
    memset(senders, 0, sizeof *senders);
    senders->seed = seed;
    MW_ASSERT(pthread_mutex_init(&senders->lock, NULL) == 0);
}

void mw_senders_fini(mw_senders *senders)
{
    pthread_mutex_destroy(&senders->lock);
}

void mw_senders_note(mw_senders *senders, const mw_sender_tallies *tallies,
                     const mw_sender_request *request)
{
    bool alone = tallies->count == 1 && tallies->unlisted == 0;
    pthread_mutex_lock(&senders->lock);
    senders->unlisted += request->repeat ? 0 : tallies->unlisted;
    for (size_t i = 0; i < tallies->count; i++)
        note_tally(senders, &tallies->list[i], request, alone);
    pthread_mutex_unlock(&senders->lock);
}

static mw_refusal_row *refusal_of(mw_senders *senders, const mw_refusal_row *fresh)
{
    uint64_t hash = hash_text(senders->seed, fresh->user_agent);
    hash = hash_text(hash, fresh->path);
    hash ^= (uint64_t)fresh->status << 16 | (uint64_t)fresh->port << 1 | fresh->grpc;
    size_t slot = find_slot(senders->refusal_hashes, senders->refusal_count, hash);
    if (slot < senders->refusal_count)
        return &senders->refusals[slot];
    if (slot == MW_REFUSALS_MAX) {
        slot = oldest_refusal(senders);
        senders->refusals_forgotten++;
    } else {
        senders->refusal_count++;
    }
    senders->refusal_hashes[slot] = hash;
    senders->refusals[slot] = (mw_refusal_row){.first_ns = fresh->last_ns};
    return &senders->refusals[slot];
}

static mw_slice encoding_of(const mw_request *request)
{
    bool grpc = request->framing == MW_FRAMING_GRPC;
    return mw_request_header(request,
                             grpc ? MW_SLICE("grpc-encoding") : MW_SLICE("content-encoding"), NULL);
}

void mw_senders_note_refusal(mw_senders *senders, const mw_request *request, unsigned status,
                             mw_slice message, uint64_t now_ns)
{
    mw_refusal_row fresh = {.port = request->port,
                            .grpc = request->framing == MW_FRAMING_GRPC,
                            .status = status,
                            .last_ns = now_ns};
    put_text(fresh.user_agent, sizeof fresh.user_agent,
             mw_request_header(request, MW_SLICE("user-agent"), NULL));
    put_text(fresh.path, sizeof fresh.path, request->path);
    put_text(fresh.content_type, sizeof fresh.content_type,
             mw_request_header(request, MW_SLICE("content-type"), NULL));
    put_text(fresh.encoding, sizeof fresh.encoding, encoding_of(request));
    put_text(fresh.message, sizeof fresh.message, message);
    if (request->peer)
        put_text(fresh.peer, sizeof fresh.peer, mw_slice_of(request->peer->address));
    pthread_mutex_lock(&senders->lock);
    mw_refusal_row *row = refusal_of(senders, &fresh);
    fresh.first_ns = row->first_ns;
    fresh.requests = row->requests + 1;
    *row = fresh;
    pthread_mutex_unlock(&senders->lock);
}

mw_senders_view *mw_senders_read(mw_senders *senders)
{
    mw_senders_view *view = mw_alloc(MW_MEM_BASE, sizeof *view);
    if (!view)
        return NULL;
    pthread_mutex_lock(&senders->lock);
    view->count = senders->count;
    view->refusal_count = senders->refusal_count;
    view->forgotten = senders->forgotten;
    view->refusals_forgotten = senders->refusals_forgotten;
    view->unlisted = senders->unlisted;
    memcpy(view->rows, senders->rows, sizeof *view->rows * view->count);
    memcpy(view->refusals, senders->refusals, sizeof *view->refusals * view->refusal_count);
    pthread_mutex_unlock(&senders->lock);
    return view;
}

void mw_senders_view_free(mw_senders_view *view)
{
    mw_free(MW_MEM_BASE, view);
}
