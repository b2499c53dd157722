/* The webhook handler: checks in the order of facts webhooks 1.1, one state job, the answer.
 *
 * The handler runs on the network loop: look-up, signature, parse. The commit runs on the state
 * writer's thread, which also answers. The job and everything it needs live in the request's
 * arena, and the request belongs to this file from the handler's call to its reply; the endpoint
 * table is let go before the job is queued, so what is needed of it is copied.
 *
 * A delivery's id is derived from endpoint and signature: a replay is answered with the id of the
 * first, and an alarm made by a delivery carries that id.
 */
#include <openssl/evp.h>

#include "lib/base/counter.h"
#include "lib/base/id.h"
#include "lib/base/json_writer.h"
#include "lib/base/log.h"
#include "webhook/webhook_int.h"

/* Error texts and ids: far below. */
#define ANSWER_MAX 4096
/* Job, normalised texts and a row in flight, beside the body. */
#define JOB_OVERHEAD ((size_t)8 << 10)
/* Commits come within milliseconds; a second is the shortest wait the header can express. */
#define RETRY_AFTER MW_SLICE("1")

/* Stands in for the secret of an endpoint that does not exist, so that the work is the same. */
#define DUMMY_SECRET MW_SLICE("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")

typedef struct delivery_job {
    mw_state_job job;
    mw_webhooks *webhooks;
    mw_request *request;
    mw_slice webhook_id, space, source;
    uint8_t replay_key[32];
    char delivery_id[MW_ID_TEXT_SIZE];
    mw_alarm_event event;
    int64_t received_ns;
    bool made_alarm;
} delivery_job;

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

static void reply(mw_request *request, unsigned status, mw_slice body)
{
    mw_response response = {
        .status = status, .content_type = MW_SLICE("application/json"), .body = body};
    if (status == 503)
        mw_response_header(&response, MW_SLICE("retry-after"), RETRY_AFTER);
    mw_request_reply(request, &response);
}

static void reply_error(mw_request *request, unsigned status, mw_slice message, mw_slice field)
{
    reply(request, status, two_texts(&request->arena, "error", message, "field", field));
}

static void reply_busy(mw_request *request)
{
    reply_error(request, 503, MW_SLICE("busy, try again"), MW_SLICE_NONE);
}

/* One body for every reason, and for endpoints that do not exist. */
static void reply_unauthorized(mw_request *request, unsigned status)
{
    mw_count(MW_COUNT_WEBHOOK_UNAUTHORIZED, 1);
    reply_error(request, status, MW_SLICE("unauthorized"), MW_SLICE_NONE);
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
                    mw_slice_of(job->delivery_id)));
}

void mw_webhook_format_refusal(mw_request *request, const mw_net_refusal *refusal,
                               mw_response *response)
{
    response->content_type = MW_SLICE("application/json");
    response->body = two_texts(&request->arena, "error", refusal->message, "field", MW_SLICE_NONE);
}

/* ---- the commit ---------------------------------------------------------------------------- */

static int64_t event_time(const delivery_job *job)
{
    return job->event.started_ns ? job->event.started_ns : job->received_ns;
}

static mw_err insert_alarm(delivery_job *job, mw_state_tx *tx)
{
    const mw_alarm_event *event = &job->event;
    mw_alarm_row row = {.id = mw_slice_of(job->delivery_id),
                        .space = job->space,
                        .webhook_id = job->webhook_id,
                        .source = job->source,
                        .incident_id = event->incident_id,
                        .action = event->action,
                        .priority = event->priority,
                        .title = event->title,
                        .description = event->description,
                        .service = event->service,
                        .region = event->region,
                        .resources_json = event->resources_json,
                        .body = job->request->body,
                        .started_ns = event_time(job),
                        .received_ns = job->received_ns};
    job->made_alarm = true;
    return mw_state_alarm_insert(tx, &row);
}

/* An update or closing belongs to the incident's newest alarm that is not SKIPPED; without one it
 * becomes an alarm that triage will decide SKIPPED (unknown_incident). */
static mw_err insert_event(delivery_job *job, mw_state_tx *tx)
{
    mw_incident_facts facts;
    mw_slice action = job->event.action;
    mw_err err = mw_state_incident_facts(tx, job->webhook_id, job->event.incident_id, 0,
                                         &job->request->arena, &facts);
    if (err != MW_OK)
        return err;
    if (!facts.known)
        return insert_alarm(job, tx);
    err = mw_state_alarm_event_insert(tx, facts.newest_alarm_id, event_time(job), action);
    if (err == MW_OK && facts.investigation_id.len && !mw_slice_equal(action, MW_SLICE("updated")))
        err = mw_state_investigation_settle(tx, facts.investigation_id, job->received_ns);
    return err;
}

static mw_err run_delivery(mw_state_job *state_job, mw_state_tx *tx)
{
    delivery_job *job = (delivery_job *)(void *)state_job;
    mw_err err = mw_state_replay_insert(tx, job->webhook_id, job->replay_key, job->received_ns,
                                        job->received_ns + MW_WEBHOOK_REPLAY_NS);
    if (err != MW_OK)
        return err;
    if (mw_slice_equal(job->event.action, MW_SLICE("created")))
        return insert_alarm(job, tx);
    return insert_event(job, tx);
}

/* Wakes triage before it answers: once the answer is out the server may be shutting down, and the
 * reply ends what keeps triage alive. Waking does not block. */
static void done_delivery(mw_state_job *state_job, mw_err err)
{
    delivery_job *job = (delivery_job *)(void *)state_job;
    if (err == MW_OK) {
        mw_count(job->made_alarm ? MW_COUNT_ALARMS_RECEIVED : MW_COUNT_ALARM_EVENTS, 1);
        mw_triage_wake(job->webhooks->triage);
        reply_received(job);
    } else if (err == MW_E_CONFLICT) {
        mw_count(MW_COUNT_ALARMS_REPLAYED, 1);
        reply_received(job);
    } else {
        MW_LOG(MW_LOG_ERROR, "webhook", "delivery could not be stored",
               MW_KV("webhook_id", job->webhook_id), MW_KV_ERR(err));
        reply_busy(job->request);
    }
}

/* ---- the handler --------------------------------------------------------------------------- */

/* False when OpenSSL has no memory. */
static bool name_delivery(delivery_job *job)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool done = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(ctx, job->webhook_id.data, job->webhook_id.len) == 1 &&
                EVP_DigestUpdate(ctx, job->replay_key, sizeof job->replay_key) == 1 &&
                EVP_DigestFinal_ex(ctx, hash, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    if (done)
        mw_hex_encode(hash, (sizeof job->delivery_id - 1) / 2, job->delivery_id);
    return done;
}

static bool is_encoded(const mw_request *request)
{
    mw_slice encoding = mw_request_header(request, MW_SLICE("content-encoding"), NULL);
    return encoding.len && !mw_slice_equal_nocase(encoding, MW_SLICE("identity"));
}

/* Looks the endpoint up and authenticates. *source is NULL for an unknown endpoint, whose request
 * costs the same work. Fills the job's endpoint fields and replay key. */
static mw_err authenticate(delivery_job *job, const mw_webhook_source **source)
{
    mw_request *request = job->request;
    mw_endpoint_table *table = mw_endpoint_table_hold(job->webhooks);
    const mw_endpoint *endpoint = mw_endpoint_find(table, request->params[0]);
    mw_delivery delivery = {.request = request,
                            .secret = endpoint ? endpoint->secret : DUMMY_SECRET,
                            .now_ns = job->received_ns};
    const mw_webhook_source *applied =
        endpoint ? endpoint->source : mw_webhook_source_find(MW_SLICE("devops-agent"));
    mw_err err = applied->authenticate(&delivery, job->replay_key);
    if (endpoint) {
        job->webhook_id = mw_arena_copy(&request->arena, endpoint->id);
        job->space = mw_arena_copy(&request->arena, endpoint->space);
        job->source = mw_slice_of(endpoint->source->name);
    }
    *source = endpoint ? endpoint->source : NULL;
    mw_endpoint_table_release(job->webhooks, table);
    if (endpoint && (!job->webhook_id.data || !job->space.data))
        return MW_E_NOMEM;
    return err;
}

static void submit(delivery_job *job)
{
    mw_request *request = job->request;
    job->job.item.cost_bytes = request->body.len + JOB_OVERHEAD;
    job->job.run = run_delivery;
    job->job.done = done_delivery;
    if (mw_state_submit(job->webhooks->state, &job->job) != MW_OK)
        reply_busy(request);
}

/* True when the request may go on to its parser; else it has been answered. */
static bool admit(delivery_job *job, const mw_webhook_source **source)
{
    mw_request *request = job->request;
    mw_err err = authenticate(job, source);
    if (!*source) {
        reply_unauthorized(request, 404);
    } else if (request->body.len > (*source)->max_body) {
        reply_error(request, 413, MW_SLICE("the body is too large"), MW_SLICE_NONE);
    } else if (is_encoded(request)) {
        reply_error(request, 415, MW_SLICE("content-encoding is not supported"), MW_SLICE_NONE);
    } else if (err == MW_E_INVALID) {
        mw_count(MW_COUNT_WEBHOOK_INVALID, 1);
        reply_error(request, 400, MW_SLICE("a signature header was sent more than once"),
                    MW_SLICE_NONE);
    } else if (err == MW_E_NOMEM) {
        reply_busy(request);
    } else if (err != MW_OK) {
        reply_unauthorized(request, 401);
    } else {
        return true;
    }
    return false;
}

void mw_endpoint_handle(void *ctx, mw_request *request)
{
    mw_webhooks *webhooks = ctx;
    const mw_webhook_source *source;
    mw_detail detail = {0};
    delivery_job *job = mw_arena_zalloc(&request->arena, 1, sizeof *job);
    if (!job) {
        reply_busy(request);
        return;
    }
    job->webhooks = webhooks;
    job->request = request;
    job->received_ns = mw_clock_wall_ns(webhooks->clock);
    if (!admit(job, &source))
        return;
    mw_delivery delivery = {.request = request, .now_ns = job->received_ns};
    mw_err err = source->parse(&delivery, &request->arena, &job->event, &detail);
    if (err != MW_OK) {
        reply_invalid(request, err, &detail);
        return;
    }
    if (!name_delivery(job)) {
        reply_busy(request);
        return;
    }
    submit(job);
}
