/* Log records of a session. See log_session.h. One thread: the view's. */
#include "lib/store/query/log_session.h"

void mw_log_members_init(mw_log_members *members)
{
    memset(members, 0, sizeof *members);
}

void mw_log_members_fini(mw_log_members *members)
{
    mw_trace_set_fini(&members->traces);
    mw_free(MW_MEM_QUERY, members->of);
    mw_free(MW_MEM_QUERY, members->exceptions);
    memset(members, 0, sizeof *members);
}

static bool belongs(const mw_log_members *members, const mw_join *join, uint32_t owner)
{
    return owner != MW_JOIN_NONE && join->spans[owner]->session == members->session;
}

static mw_err have_room(mw_log_members *members, size_t count)
{
    if (count <= members->capacity)
        return MW_OK;
    size_t capacity = count + count / 2 + 64;
    uint64_t *grown =
        mw_realloc(MW_MEM_QUERY, members->exceptions, capacity * sizeof *members->exceptions);
    if (!grown)
        return MW_E_NOMEM;
    members->exceptions = grown;
    members->capacity = capacity;
    return MW_OK;
}

/* Gathering hands over one of the traces. Its spans come by span id, so the run is ascending. */
static mw_err keep_trace(void *ctx, const uint8_t *trace_id, const mw_join *join)
{
    mw_log_members *members = ctx;
    uint32_t number = 0, count = 0;
    bool found = mw_trace_set_find(&members->traces, trace_id, &number);
    bool rest = belongs(members, join, mw_join_log_owner(join, 0));

    MW_ASSERT(found);
    for (size_t i = 0; i < join->count; i++)
        count += belongs(members, join, join->session_owner[i]) != rest;
    members->of[number] = (mw_log_membership){members->count, count, true, rest};
    mw_err err = have_room(members, members->count + count);
    for (size_t i = 0; err == MW_OK && i < join->count; i++)
        if (belongs(members, join, join->session_owner[i]) != rest)
            members->exceptions[members->count++] = join->spans[i]->span_id;
    if (err == MW_OK && members->count * sizeof *members->exceptions > members->max_bytes &&
        members->traces.count > 1)
        err = MW_E_LIMIT;
    return err;
}

mw_err mw_log_members_find(mw_log_members *members, mw_store_view *view, uint64_t session,
                           uint32_t part, uint32_t parts)
{
    size_t max_bytes = parts < MW_LOG_SHARES_MAX ? view->query_budget / 2 : SIZE_MAX;
    const mw_trace_share share = {part, parts, max_bytes};

    mw_log_members_fini(members);
    mw_trace_set_init(&members->traces, view->store->key_seed);
    members->session = session;
    members->max_bytes = max_bytes;
    mw_err err = mw_collect_sessions(view, &session, 1, &share, &members->traces);
    if (err != MW_OK || members->traces.count == 0)
        return err;
    members->of = mw_calloc(MW_MEM_QUERY, members->traces.count, sizeof *members->of);
    return members->of ? MW_OK : MW_E_NOMEM;
}

mw_err mw_log_members_need(const mw_log_members *members, const mw_hot *hot, mw_trace_set *needed)
{
    mw_err err = MW_OK;
    for (uint32_t i = 0; err == MW_OK && i < hot->traces; i++) {
        const unsigned char *id = mw_hot_trace_id(hot, i);
        uint32_t number = 0;
        if (mw_trace_set_find(&members->traces, id, &number) && !members->of[number].known)
            err = mw_trace_set_add(needed, id, &number);
    }
    return err;
}

mw_err mw_log_members_learn(mw_log_members *members, mw_store_view *view,
                            const mw_trace_set *needed)
{
    const mw_gather_question question = {.wanted = needed,
                                         .trace_spans_max = MW_GATHER_TRACE_SPANS_MAX,
                                         .trace = keep_trace,
                                         .ctx = members};
    return needed->count ? mw_gather(view, &question) : MW_OK;
}

bool mw_log_members_has(const mw_log_members *members, const uint8_t *trace_id, uint64_t span_id)
{
    uint32_t number = 0;
    if (!mw_trace_set_find(&members->traces, trace_id, &number))
        return false;
    const mw_log_membership *trace = &members->of[number];
    MW_ASSERT(trace->known);
    /* No exception means no array, perhaps. */
    return trace->rest !=
           (span_id && trace->count &&
            mw_keys_contain(members->exceptions + trace->first, trace->count, span_id));
}
