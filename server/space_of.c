/* The space of a request, and the numbers of all of them. See space_of.h. */
#include "server/space_of.h"
#include "server/server_int.h"

/* ---- whose ----------------------------------------------------------------------------------- */

/* Of a name that cannot be one. */
#define NAME_SHOWN 80

static mw_err find(mw_server *server, mw_slice name, const char *field, mw_space **out,
                   mw_detail *detail)
{
    if (!mw_space_name_valid(name))
        return mw_detail_set(
            detail, MW_E_INVALID, field, "a name is 1 to 63 lower-case letters, digits and -",
            "'%.*s' cannot be the name of a space", MW_SLICE_FMT(mw_slice_first(name, NAME_SHOWN)));
    mw_err err = mw_spaces_get(server->spaces, name, out);
    if (err != MW_E_NOT_FOUND)
        return err;
    char hint[sizeof detail->hint];
    snprintf(hint, sizeof hint, "midwatch space create %.*s makes it", MW_SLICE_FMT(name));
    return mw_detail_set(detail, err, field, hint, "there is no space %.*s", MW_SLICE_FMT(name));
}

mw_err mw_space_bound(mw_server *server, const mw_request *request, char out[MW_TOKEN_SPACE_SIZE],
                      mw_detail *detail)
{
    size_t credentials;
    mw_principal who;
    out[0] = '\0';
    mw_request_header(request, MW_SLICE("authorization"), &credentials);
    if (credentials == 0)
        return MW_OK;
    /* The gate let it pass a moment ago: revoked or switched off since. */
    if (mw_gate_principal(&server->gate, request, &who) != MW_OK)
        return mw_detail_set(detail, MW_E_DENIED, "authorization", "see midwatch token list",
                             "this token is not good any more");
    memcpy(out, who.space, MW_TOKEN_SPACE_SIZE);
    return MW_OK;
}

/* What another space holds is not denied: it is not there. */
static mw_err find_bound(mw_server *server, const mw_request *request, const char *bound,
                         mw_slice asked, const char *field, mw_space **out, mw_detail *detail)
{
    mw_slice own = mw_slice_of(bound);
    if (!asked.data || mw_slice_equal(asked, own))
        return find(server, own, field, out, detail);
    mw_gate_note_outside(&server->gate, request);
    return mw_detail_set(detail, MW_E_NOT_FOUND, field, "leave it out: a token is of one space",
                         "there is no space %.*s", MW_SLICE_FMT(mw_slice_first(asked, NAME_SHOWN)));
}

mw_err mw_space_of_export(void *ctx, const mw_request *request, mw_export_target *out,
                          mw_detail *detail)
{
    mw_server *server = ctx;
    mw_space *space = NULL;
    size_t count = 0;
    char bound[MW_TOKEN_SPACE_SIZE];
    mw_slice name = mw_request_header(request, MW_SPACE_HEADER, &count);
    *out = (mw_export_target){.store = server->store};
    mw_err err = mw_space_bound(server, request, bound, detail);
    if (err || (count == 0 && !bound[0]))
        return err;
    if (count > 1)
        return mw_detail_set(detail, MW_E_INVALID, "x-midwatch-space", "send it once",
                             "the header was sent %zu times", count);
    if (bound[0])
        err = find_bound(server, request, bound, count ? name : MW_SLICE_NONE, "x-midwatch-space",
                         &space, detail);
    else
        err = find(server, name, "x-midwatch-space", &space, detail);
    if (err)
        return err;
    /* The name outlives the hold on the space. The request is const only to keep others from
     * changing what the collector sees; its arena is there for this. */
    if (count == 0)
        name = mw_arena_copy((mw_arena *)(uintptr_t)&request->arena, mw_slice_of(bound));
    if (!name.data) {
        mw_space_release(space);
        return MW_E_NOMEM;
    }
    *out = (mw_export_target){mw_space_store(space), space, name};
    return MW_OK;
}

void mw_space_leave(void *held)
{
    mw_space_release(held);
}

mw_err mw_space_of_question(mw_server *server, const mw_request *request, mw_slice asked,
                            mw_space **out, mw_detail *detail)
{
    char bound[MW_TOKEN_SPACE_SIZE];
    mw_err err = mw_space_bound(server, request, bound, detail);
    if (err)
        return err;
    if (bound[0])
        return find_bound(server, request, bound, asked, MW_SPACE_PARAMETER, out, detail);
    return find(server, asked.data ? asked : MW_DEFAULT_SPACE, MW_SPACE_PARAMETER, out, detail);
}

mw_err mw_space_of_state(mw_server *server, const mw_request *request, const char *bound,
                         mw_detail *detail)
{
    bool by_id = request->params[0].len > 0;
    if (!bound[0] || mw_slice_equal(mw_slice_of(bound), MW_DEFAULT_SPACE))
        return MW_OK;
    mw_gate_note_outside(&server->gate, request);
    return mw_detail_set(detail, by_id ? MW_E_NOT_FOUND : MW_E_DENIED, "space",
                         "ask with a token of the space default",
                         "alarms, investigations, deployments and webhooks are of the space "
                         "default; this token is of %s",
                         bound);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Members that add up. What else there is of a store's statistics is looked at by itself. */
static const size_t summed[] = {
    offsetof(mw_store_stats, segments),       offsetof(mw_store_stats, blocks),
    offsetof(mw_store_stats, bytes),          offsetof(mw_store_stats, spans),
    offsetof(mw_store_stats, logs),           offsetof(mw_store_stats, points),
    offsetof(mw_store_stats, queue_bytes),    offsetof(mw_store_stats, queue_count),
    offsetof(mw_store_stats, retry_digests),  offsetof(mw_store_stats, merged_segments),
    offsetof(mw_store_stats, merged_bytes),   offsetof(mw_store_stats, unmerged_bytes),
    offsetof(mw_store_stats, spare_bytes),    offsetof(mw_store_stats, repeats),
    offsetof(mw_store_stats, conflicting),    offsetof(mw_store_stats, retired_segments),
    offsetof(mw_store_stats, retired_items),  offsetof(mw_store_stats, merges),
    offsetof(mw_store_stats, merge_failures), offsetof(mw_store_stats, losses.count),
    offsetof(mw_store_stats, losses.spans),   offsetof(mw_store_stats, losses.logs),
    offsetof(mw_store_stats, losses.points),  offsetof(mw_store_stats, other_key_segments)};
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "counts and sizes are added alike");

static uint64_t *member(mw_store_stats *stats, size_t offset)
{
    return (uint64_t *)(void *)((char *)stats + offset);
}

/* Broken is what one of them is; the oldest of all, the newest of all. */
static void add(void *ctx, const char *name, mw_store *store)
{
    mw_space_totals *sum = ctx;
    mw_store_stats *to = &sum->stats, one;
    (void)name;
    mw_store_stats_read(store, &one);
    uint64_t counted = one.merged_bytes + one.unmerged_bytes / 1000 * one.packed_per_mille;
    sum->counted_most = counted > sum->counted_most ? counted : sum->counted_most;
    if (sum->spaces++ == 0) {
        *to = one;
        return;
    }
    for (size_t i = 0; i < sizeof summed / sizeof summed[0]; i++)
        *member(to, summed[i]) += *member(&one, summed[i]);
    if (to->writable && !one.writable) {
        to->writable = false;
        to->last_error = one.last_error;
    }
    to->merging_fails |= one.merging_fails;
    to->key_made |= one.key_made;
    if (one.merge_failed_ns > to->merge_failed_ns)
        to->merge_failed_ns = one.merge_failed_ns;
    if (one.losses.noticed_ns > to->losses.noticed_ns)
        to->losses.noticed_ns = one.losses.noticed_ns;
    if (one.catalogue_made_ns > to->catalogue_made_ns)
        to->catalogue_made_ns = one.catalogue_made_ns;
    if (one.oldest_arrival_ns &&
        (!to->oldest_arrival_ns || one.oldest_arrival_ns < to->oldest_arrival_ns))
        to->oldest_arrival_ns = one.oldest_arrival_ns;
}

void mw_space_totals_read(mw_server *server, mw_space_totals *out)
{
    *out = (mw_space_totals){.spaces = 0};
    mw_spaces_each(server->spaces, add, out);
}
