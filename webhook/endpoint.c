/* The webhook handler: checks in the order of facts webhooks 1.1, one state job, the answer.
 *
 * The handler runs on the network loop: look-up, address, credentials, parse. The commit runs on
 * the state writer's thread, which also answers. The job and everything it needs live in the
 * request's arena, and the request belongs to this file from the handler's call to its reply; the
 * endpoint table is let go before the job is queued, so what is needed of it is copied.
 */
#include "lib/base/counter.h"
#include "lib/base/json_writer.h"
#include "lib/base/log.h"
#include "lib/store/spaces.h"
#include "webhook/arrival_int.h"
#include "webhook/webhook_int.h"

/* Error texts and ids: far below. */
#define ANSWER_MAX 4096
/* Job, normalised texts and a row in flight, beside the body; and for each event. */
#define JOB_OVERHEAD ((size_t)8 << 10)
#define EVENT_OVERHEAD ((size_t)1 << 10)

/* Stands in for an endpoint that does not exist, so that the work is the same. */
static const mw_credential nobody = {
    MW_AUTH_HMAC, MW_SLICE_INIT("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), {NULL, 0}};

typedef struct delivery_job {
    mw_state_job job;
    mw_webhooks *webhooks;
    mw_request *request;
    mw_arrival arrival;
} delivery_job;

/* What the look at a delivery found. */
typedef enum look {
    LOOK_GOOD,
    LOOK_UNKNOWN,         /* 404 */
    LOOK_FOREIGN_ADDRESS, /* 403 */
    LOOK_TOO_LARGE,       /* 413 */
    LOOK_ENCODED,         /* 415 */
    LOOK_TWICE,           /* 400 */
    LOOK_UNAUTHENTICATED, /* 401 */
    LOOK_OVER_RATE        /* what the source's sender tries again on */
} look;

/* ---- answers ------------------------------------------------------------------------------- */

/* {"<key>": text, "<other_key>": other}, the second only when there is one. */
static mw_slice two_texts(mw_arena *arena, const char *key, mw_slice text, const char *other_key,
                          mw_slice other)
{
    mw_buffer buffer;
    mw_json json;
    mw_buffer_init(&buffer, MW_MEM_NET, ANSWER_MAX);
    mw_json_init(&json, &buffer);
    mw_json_object_begin(&json);
    mw_json_kv(&json, key, text);
    if (other.len)
        mw_json_kv(&json, other_key, other);
    mw_json_object_end(&json);
    mw_slice copy = MW_SLICE_NONE;
    if (buffer.err == MW_OK)
        copy = mw_arena_copy(arena, mw_buffer_slice(&buffer));
    mw_buffer_fini(&buffer);
    return copy.data ? copy : MW_SLICE("{\"error\":\"failed\"}");
}

/* retry_after_s 0 = no such header. */
static void reply(mw_request *request, unsigned status, mw_slice body, unsigned retry_after_s)
{
    mw_response response = {
        .status = status, .content_type = MW_SLICE("application/json"), .body = body};
    const char *wait = retry_after_s ? mw_arena_printf(&request->arena, "%u", retry_after_s) : NULL;
    if (wait)
        mw_response_header(&response, MW_SLICE("retry-after"), mw_slice_of(wait));
    mw_request_reply(request, &response);
}

static void reply_error(mw_request *request, unsigned status, mw_slice message, mw_slice field)
{
    reply(request, status, two_texts(&request->arena, "error", message, "field", field), 0);
}

static void reply_later(mw_request *request, unsigned status, mw_slice message,
                        unsigned retry_after_s)
{
    reply(request, status, two_texts(&request->arena, "error", message, "field", MW_SLICE_NONE),
          retry_after_s);
}

/* Commits come within milliseconds; a second is the shortest wait the header can express. */
static void reply_busy(mw_request *request)
{
    reply_later(request, 503, MW_SLICE("busy, try again"), 1);
}

static void reply_invalid(mw_request *request, mw_err err, const mw_detail *detail)
{
    if (err == MW_E_NOMEM) {
        reply_busy(request);
        return;
    }
    mw_count(MW_COUNT_WEBHOOK_INVALID, 1);
    reply_error(request, err == MW_E_UNSUPPORTED ? 415 : 400, mw_slice_of(detail->message),
                mw_slice_of(detail->field));
}

static void reply_received(delivery_job *job)
{
    reply(job->request, 200,
          two_texts(&job->request->arena, "message", MW_SLICE("Webhook received"), "id",
                    mw_slice_of(job->arrival.delivery_id)),
          0);
}

void mw_webhook_format_refusal(mw_request *request, const mw_net_refusal *refusal,
                               mw_response *response)
{
    response->content_type = MW_SLICE("application/json");
    response->body = two_texts(&request->arena, "error", refusal->message, "field", MW_SLICE_NONE);
}

/* ---- refusals ------------------------------------------------------------------------------ */

static void note(const delivery_job *job, const char *reason)
{
    /* The path is the asker's: only what is an id becomes a subject. */
    mw_slice id = job->request->params[0];
    bool known = mw_is_hex(id) && id.len == MW_ID_TEXT_SIZE - 1;
    const mw_denial refusal = {.action = "webhook.deliver",
                               .reason = reason,
                               .principal = MW_SLICE("sender"),
                               .address = mw_slice_of(job->request->peer->address),
                               .subject = known ? id : MW_SLICE(""),
                               .space = MW_SLICE(MW_SPACE_DEFAULT)};
    mw_refusals_note(job->webhooks->config.refusals, &refusal);
}

/* One body for every reason, and for endpoints that do not exist. Who has failed ten times in a
 * minute is told to wait, whatever it was this time; a good signature is asked for before, so that
 * others at the same address are let in as ever. */
static void refuse_unauthenticated(delivery_job *job, unsigned status)
{
    uint8_t key[16];
    unsigned retry_after_s;
    mw_request *request = job->request;
    mw_slice address = mw_limiter_address(mw_slice_of(request->peer->address), key);
    if (mw_limiter_take(job->webhooks->failures, address, MW_RATE_FAILURES,
                        mw_clock_mono_ns(job->webhooks->config.clock), &retry_after_s)) {
        mw_count(MW_COUNT_WEBHOOK_UNAUTHORIZED, 1);
        reply_error(request, status, MW_SLICE("unauthorized"), MW_SLICE_NONE);
        return;
    }
    mw_count(MW_COUNT_WEBHOOK_TOO_OFTEN, 1);
    reply_later(request, 429, MW_SLICE("too many bad signatures from this address"), retry_after_s);
}

static void refuse(delivery_job *job, look found, unsigned retry_after_s)
{
    mw_request *request = job->request;
    switch (found) {
    case LOOK_UNKNOWN: refuse_unauthenticated(job, 404); return;
    case LOOK_UNAUTHENTICATED: refuse_unauthenticated(job, 401); return;
    case LOOK_FOREIGN_ADDRESS:
        mw_count(MW_COUNT_WEBHOOK_ADDRESS, 1);
        reply_error(request, 403, MW_SLICE("forbidden"), MW_SLICE_NONE);
        return;
    case LOOK_TOO_LARGE:
        mw_count(MW_COUNT_WEBHOOK_INVALID, 1);
        reply_error(request, 413, MW_SLICE("the body is too large"), MW_SLICE_NONE);
        return;
    case LOOK_ENCODED:
        mw_count(MW_COUNT_WEBHOOK_INVALID, 1);
        reply_error(request, 415, MW_SLICE("content-encoding is not supported"), MW_SLICE_NONE);
        return;
    case LOOK_TWICE:
        mw_count(MW_COUNT_WEBHOOK_INVALID, 1);
        reply_error(request, 400, MW_SLICE("a signature header was sent more than once"),
                    MW_SLICE_NONE);
        return;
    case LOOK_OVER_RATE:
        mw_count(MW_COUNT_WEBHOOK_RATE_LIMIT, 1);
        reply_later(request, job->arrival.source->overload_status,
                    MW_SLICE("over the rate limit of this webhook"), retry_after_s);
        return;
    case LOOK_GOOD: break;
    }
    mw_bug(__FILE__, __LINE__, "a good delivery was refused");
}

/* ---- the commit ---------------------------------------------------------------------------- */

static mw_err run_delivery(mw_state_job *state_job, mw_state_tx *tx)
{
    return mw_arrival_commit(&((delivery_job *)(void *)state_job)->arrival, tx);
}

static void note_left_out(const delivery_job *job)
{
    uint64_t left_out = job->arrival.events.left_out;
    if (!left_out)
        return;
    mw_count(MW_COUNT_ALARMS_LEFT_OUT, left_out);
    MW_LOG(MW_LOG_WARN, "webhook", "the sender left alarms out: raise its max_alerts",
           MW_KV("webhook_id", job->arrival.webhook_id), MW_KV_U64("alarms", left_out));
}

/* Wakes triage before it answers: once the answer is out the server may be shutting down, and the
 * reply ends what keeps triage alive. Waking does not block. */
static void done_delivery(mw_state_job *state_job, mw_err err)
{
    delivery_job *job = (delivery_job *)(void *)state_job;
    if (err == MW_OK) {
        mw_arrival_committed(&job->arrival);
        note_left_out(job);
        reply_received(job);
    } else if (err == MW_E_CONFLICT) {
        mw_count(MW_COUNT_ALARMS_REPLAYED, 1);
        reply_received(job);
    } else {
        MW_LOG(MW_LOG_ERROR, "webhook", "delivery could not be stored",
               MW_KV("webhook_id", job->arrival.webhook_id), MW_KV_ERR(err));
        reply_busy(job->request);
    }
}

static void submit(delivery_job *job)
{
    mw_request *request = job->request;
    job->job.item.cost_bytes =
        request->body.len + JOB_OVERHEAD + job->arrival.events.count * EVENT_OVERHEAD;
    job->job.run = run_delivery;
    job->job.done = done_delivery;
    if (mw_state_submit(job->webhooks->config.state, &job->job) != MW_OK)
        reply_busy(request);
}

/* ---- the look ------------------------------------------------------------------------------ */

static bool is_encoded(const mw_request *request)
{
    mw_slice encoding = mw_request_header(request, MW_SLICE("content-encoding"), NULL);
    return encoding.len && !mw_slice_equal_nocase(encoding, MW_SLICE("identity"));
}

static look check_credentials(delivery_job *job, const mw_credential *credential)
{
    const char *reason;
    mw_delivery delivery = {.request = job->request, .now_ns = job->arrival.received_ns};
    mw_err err = mw_credential_check(credential, &delivery, job->arrival.replay_key, &reason);
    if (err != MW_OK)
        note(job, credential == &nobody ? "unknown_endpoint" : reason);
    return err == MW_OK ? LOOK_GOOD : err == MW_E_INVALID ? LOOK_TWICE : LOOK_UNAUTHENTICATED;
}

/* After the credentials: a stranger cannot use up what the sender may send. */
static look check_rate(delivery_job *job, const mw_endpoint *endpoint, unsigned *retry_after_s)
{
    if (endpoint->rate_limit == 0)
        return LOOK_GOOD;
    int64_t interval_ns = 60 * MW_NS_PER_S / (int64_t)endpoint->rate_limit;
    mw_rate rate = {interval_ns, (unsigned)endpoint->rate_limit};
    if (mw_limiter_take(job->webhooks->deliveries, endpoint->id, rate,
                        mw_clock_mono_ns(job->webhooks->config.clock), retry_after_s))
        return LOOK_GOOD;
    note(job, "rate_limit");
    return LOOK_OVER_RATE;
}

static look check_endpoint(delivery_job *job, const mw_endpoint *endpoint, unsigned *retry_after_s)
{
    const mw_request *request = job->request;
    if (!mw_address_list_holds(&endpoint->allowed, mw_slice_of(request->peer->address))) {
        note(job, "foreign_address");
        return LOOK_FOREIGN_ADDRESS;
    }
    if (request->body.len > endpoint->source->max_body)
        return LOOK_TOO_LARGE;
    if (is_encoded(request))
        return LOOK_ENCODED;
    mw_credential credential = mw_endpoint_credential(endpoint, job->arrival.received_ns);
    look found = check_credentials(job, &credential);
    return found == LOOK_GOOD ? check_rate(job, endpoint, retry_after_s) : found;
}

/* What of the endpoint is needed once its table is let go; and, while it is held, the parse, which
 * may follow a mapping. */
static mw_err take_events(delivery_job *job, const mw_endpoint *endpoint, mw_detail *detail)
{
    mw_request *request = job->request;
    mw_arrival *arrival = &job->arrival;
    mw_delivery delivery = {
        .request = request, .mapping = endpoint->mapping, .now_ns = arrival->received_ns};
    arrival->webhook_id = mw_arena_copy(&request->arena, endpoint->id);
    arrival->space = mw_arena_copy(&request->arena, endpoint->space);
    arrival->auth = endpoint->auth;
    arrival->body = request->body;
    if (!arrival->webhook_id.data || !arrival->space.data)
        return MW_E_NOMEM;
    mw_err err = arrival->source->parse(&delivery, &request->arena, &arrival->events, detail);
    return err == MW_OK ? mw_arrival_name(arrival) : err;
}

/* The look and the parse, under one hold of the table. */
static look look_at(delivery_job *job, unsigned *retry_after_s, mw_err *parsed, mw_detail *detail)
{
    mw_endpoint_table *table = mw_endpoint_table_hold(job->webhooks);
    const mw_endpoint *endpoint = mw_endpoint_find(table, job->request->params[0]);
    look found = LOOK_UNKNOWN;
    if (endpoint) {
        job->arrival.source = endpoint->source;
        found = check_endpoint(job, endpoint, retry_after_s);
        if (found == LOOK_GOOD)
            *parsed = take_events(job, endpoint, detail);
    } else {
        (void)check_credentials(job, &nobody);
    }
    mw_endpoint_table_release(job->webhooks, table);
    return found;
}

static void handle(void *ctx, mw_request *request)
{
    mw_webhooks *webhooks = ctx;
    unsigned retry_after_s = 1;
    mw_err parsed = MW_OK;
    mw_detail detail = {0};
    delivery_job *job = mw_arena_zalloc(&request->arena, 1, sizeof *job);
    if (!job) {
        reply_busy(request);
        return;
    }
    job->webhooks = webhooks;
    job->request = request;
    job->arrival.arena = &request->arena;
    job->arrival.triage = webhooks->config.triage;
    job->arrival.received_ns = mw_clock_wall_ns(webhooks->config.clock);
    look found = look_at(job, &retry_after_s, &parsed, &detail);
    if (found != LOOK_GOOD)
        refuse(job, found, retry_after_s);
    else if (parsed != MW_OK)
        reply_invalid(request, parsed, &detail);
    else
        submit(job);
}

size_t mw_webhooks_routes(mw_webhooks *webhooks, int tag, mw_route *routes, size_t max)
{
    static const char *const paths[] = {"/webhooks/{id}", "/webhook/generic/{id}"};
    size_t count = 0;
    for (; count < sizeof paths / sizeof paths[0] && count < max; count++)
        routes[count] = (mw_route){.ports = MW_PORT_WEB | MW_PORT_SOCKET,
                                   .method = "POST",
                                   .path = paths[count],
                                   .max_body = MW_ALERTS_BODY_MAX, /* of all sources */
                                   .handler = handle,
                                   .ctx = webhooks,
                                   .tag = tag};
    return count;
}
