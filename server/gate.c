/* The gate between net and lib/access, and the dispatch of refusals by family. */
#include "server/gate.h"
#include "collector/collector.h"
#include "lib/access/origin.h"
#include "server/server_int.h"
#include "webhook/webhook.h"

struct mw_gate_version {
    struct mw_gate_version *older;
    mw_access_policy policy; /* points into text */
    char text[];
};

/* Copies a list to *at and moves *at behind it. */
static mw_slice copy_list(char **at, mw_slice list)
{
    mw_slice copy = {*at, list.len};
    if (list.len)
        memcpy(*at, list.data, list.len);
    *at += list.len;
    return copy;
}

void mw_gate_publish(mw_gate *gate, const mw_access_policy *policy)
{
    struct mw_gate_version *version = mw_alloc_or_die(
        MW_MEM_BASE, sizeof *version + policy->allowed_hosts.len + policy->allowed_origins.len);
    char *at = version->text;
    version->policy = *policy;
    version->policy.allowed_hosts = copy_list(&at, policy->allowed_hosts);
    version->policy.allowed_origins = copy_list(&at, policy->allowed_origins);
    version->older = atomic_load(&gate->current);
    atomic_store(&gate->current, version);
}

void mw_gate_fini(mw_gate *gate)
{
    struct mw_gate_version *version = atomic_exchange(&gate->current, NULL);
    while (version) {
        struct mw_gate_version *older = version->older;
        mw_free(MW_MEM_BASE, version);
        version = older;
    }
}

static mw_scope scope_of(const mw_request *request)
{
    return request->route ? MW_TAG_SCOPE(request->route->tag) : MW_SCOPE_READ;
}

static mw_err check(mw_gate *gate, const mw_request *request, bool again, mw_principal *who,
                    mw_detail *detail)
{
    const mw_peer *peer = request->peer;
    mw_access_facts facts = {
        .local = peer->local,
        .uid = peer->uid,
        .loopback = peer->loopback,
        .address = mw_slice_of(peer->address),
        .host = request->authority,
        .origin = mw_request_header(request, MW_SLICE("origin"), NULL),
        .tls = peer->tls,
        .query = request->query,
        .again = again,
        .wall_ns = mw_clock_wall_ns(gate->clock),
        .mono_ns = mw_clock_mono_ns(gate->clock),
    };
    facts.credentials =
        mw_request_header(request, MW_SLICE("authorization"), &facts.credentials_count);
    return mw_access_check(&atomic_load(&gate->current)->policy, &facts, scope_of(request), who,
                           detail);
}

mw_err mw_gate_principal(mw_gate *gate, const mw_request *request, mw_principal *who)
{
    return check(gate, request, true, who, NULL);
}

mw_cors mw_gate_cors(void *ctx, const mw_request *request, mw_slice origin)
{
    mw_gate *gate = ctx;
    if (!mw_origins_hold(atomic_load(&gate->current)->policy.allowed_origins, origin))
        return MW_CORS_NONE;
    return request->port == MW_PORT_HTTP ? MW_CORS_CREDENTIALS : MW_CORS_READ;
}

static void fill_refusal(mw_err err, mw_net_refusal *refusal)
{
    static const struct {
        mw_err err;
        unsigned status;
        mw_rpc_code rpc_code;
    } rows[] = {{MW_E_UNAUTHENTICATED, 401, MW_RPC_UNAUTHENTICATED},
                {MW_E_INVALID, 400, MW_RPC_INVALID_ARGUMENT},
                {MW_E_BUSY, 429, MW_RPC_RESOURCE_EXHAUSTED},
                {MW_E_CLOSED, 503, MW_RPC_UNAVAILABLE}};
    refusal->status = 403;
    refusal->rpc_code = MW_RPC_PERMISSION_DENIED;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].err == err) {
            refusal->status = rows[i].status;
            refusal->rpc_code = rows[i].rpc_code;
        }
}

/* The audit's name of what was asked for; the path would be the asker's to choose. */
static const char *action_of(mw_scope scope)
{
    switch (scope) {
    case MW_SCOPE_INGEST: return "access.ingest";
    case MW_SCOPE_WEBHOOK: return "access.webhook";
    case MW_SCOPE_OPERATE: return "access.operate";
    case MW_SCOPE_ADMINISTER: return "access.administer";
    default: return "access.read";
    }
}

static void note(mw_gate *gate, const mw_request *request, const mw_principal *who,
                 const char *route)
{
    const mw_denial refusal = {.action = action_of(scope_of(request)),
                               .reason = who->reason ? who->reason : "denied",
                               .principal = mw_slice_of(who->name),
                               .address = mw_slice_of(request->peer->address),
                               .subject = mw_slice_of(who->token_id),
                               .space = mw_slice_of(who->space),
                               .route = route};
    mw_refusals_note(gate->refusals, &refusal);
}

void mw_gate_note_outside(mw_gate *gate, const mw_request *request)
{
    mw_principal who;
    /* Whoever has been revoked since is known nevertheless. */
    mw_err err = mw_gate_principal(gate, request, &who);
    if (!err)
        who.reason = "outside_space";
    note(gate, request, &who, request->route ? request->route->path : NULL);
}

/* Texts must live as long as the request, and the request is const only to keep the gate from
 * changing what the handler sees; its arena is there for exactly this. */
static void fill_words(const mw_request *request, const mw_detail *detail, mw_net_refusal *refusal)
{
    mw_arena *arena = (mw_arena *)(uintptr_t)&request->arena;
    const char *all = mw_arena_printf(arena, "%s%s%s", detail->message, detail->hint[0] ? "; " : "",
                                      detail->hint);
    refusal->message = all ? mw_slice_of(all) : MW_SLICE("not allowed");
    refusal->brief = mw_slice_first(refusal->message, all ? strlen(detail->message) : 0);
    refusal->field = mw_arena_copy(arena, mw_slice_of(detail->field));
    refusal->hint = mw_arena_copy(arena, mw_slice_of(detail->hint));
}

bool mw_gate_admit(void *ctx, const mw_request *request, mw_net_refusal *refusal)
{
    mw_principal who;
    mw_detail detail = {.message = ""};
    mw_err err = check(ctx, request, false, &who, &detail);
    if (!err)
        return true;
    note(ctx, request, &who, NULL);
    fill_refusal(err, refusal);
    refusal->retry_after_s = who.retry_after_s;
    fill_words(request, &detail, refusal);
    return false;
}

mw_family mw_gate_family_of_path(mw_slice path)
{
    if (mw_slice_starts(path, MW_SLICE("/v1/")) ||
        mw_slice_starts(path, MW_SLICE("/opentelemetry")))
        return MW_FAMILY_OTLP;
    if (mw_slice_starts(path, MW_SLICE("/webhook")))
        return MW_FAMILY_WEBHOOK;
    return MW_FAMILY_API;
}

mw_family mw_gate_family(const mw_request *request)
{
    if (request->route)
        return MW_TAG_FAMILY(request->route->tag);
    mw_family family = mw_gate_family_of_path(request->path);
    bool exports = (request->port == MW_PORT_HTTP || request->port == MW_PORT_GRPC) &&
                   mw_slice_equal(request->method, MW_SLICE("POST"));
    return exports && family == MW_FAMILY_API ? MW_FAMILY_OTLP : family;
}

const char *mw_problem_code(unsigned status)
{
    static const struct {
        unsigned status;
        const char *code;
    } codes[] = {
        {400, "invalid_request"}, {401, "unauthenticated"},        {403, "not_allowed"},
        {404, "not_found"},       {405, "method_not_allowed"},     {408, "timeout"},
        {409, "conflict"},        {411, "length_required"},        {413, "too_large"},
        {414, "too_large"},       {415, "unsupported_media_type"}, {417, "expectation_failed"},
        {421, "misdirected"},     {426, "upgrade_required"},       {429, "too_many_requests"},
        {431, "too_large"},       {501, "not_supported"},          {503, "unavailable"},
        {505, "not_supported"}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == status)
            return codes[i].code;
    return status < 500 ? "invalid_request" : "internal";
}

void mw_gate_format(void *ctx, mw_request *request, const mw_net_refusal *refusal,
                    mw_response *response)
{
    mw_server *server = ctx;
    mw_family family = mw_gate_family(request);
    if (refusal->status == 401) /* RFC 6750 3 */
        mw_response_header(response, MW_SLICE("www-authenticate"), MW_SLICE("Bearer"));
    /* A gRPC client understands nothing else, whatever path it asked for. */
    if (request->framing == MW_FRAMING_GRPC || family == MW_FAMILY_OTLP) {
        if (server && server->collector)
            mw_collector_note_refusal(server->collector, request, refusal);
        mw_collector_format_refusal(request, refusal, response);
        return;
    }
    if (family == MW_FAMILY_WEBHOOK) {
        mw_webhook_format_refusal(request, refusal, response);
        return;
    }
    mw_problem problem = {refusal->status, mw_problem_code(refusal->status),
                          refusal->brief.len ? refusal->brief : refusal->message, refusal->field,
                          refusal->hint};
    mw_answer_problem(&problem, response);
}
