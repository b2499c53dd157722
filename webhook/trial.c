/* A test alarm: made, signed and read as a sender's would be, without the network between.
 *
 * It goes through the endpoint's own credentials, schema and mapping; only when it is to be
 * investigated it is committed, and is an alarm like any other then, with a title that says what
 * it is. Pool threads; text in the caller's arena.
 */
#include <openssl/crypto.h>

#include "lib/base/counter.h"
#include "webhook/arrival_int.h"
#include "webhook/signature_int.h"
#include "webhook/webhook_int.h"

/* "Bearer " and the longest secret. */
#define CREDENTIALS_SIZE 96
#define HEADERS 3

typedef struct trial {
    mw_state_job job; /* first: the job is found by its address */
    mw_arrival arrival;
    mw_request request;
    mw_header headers[HEADERS];
    char timestamp[MW_TIME_TEXT_SIZE], credentials[CREDENTIALS_SIZE];
} trial;

static mw_err sign(trial *test, const mw_credential *credential)
{
    test->headers[0] = (mw_header){MW_SLICE("content-type"), MW_SLICE("application/json")};
    test->request.headers = test->headers;
    test->request.header_count = HEADERS;
    mw_time_format((uint64_t)test->arrival.received_ns, test->timestamp);
    test->headers[1] =
        (mw_header){MW_SLICE("x-amzn-event-timestamp"), mw_slice_of(test->timestamp)};
    if (credential->auth == MW_AUTH_BEARER) {
        snprintf(test->credentials, sizeof test->credentials, "Bearer %.*s",
                 MW_SLICE_FMT(credential->secret));
        test->headers[2] = (mw_header){MW_SLICE("authorization"), mw_slice_of(test->credentials)};
        return MW_OK;
    }
    mw_err err = mw_signature_make(credential->secret, mw_slice_of(test->timestamp),
                                   test->request.body, test->credentials);
    test->headers[2] =
        (mw_header){MW_SLICE("x-amzn-event-signature"), mw_slice_of(test->credentials)};
    return err;
}

static mw_err check(trial *test, const mw_endpoint *endpoint, const mw_credential *credential,
                    mw_detail *detail)
{
    const char *reason;
    mw_delivery delivery = {.request = &test->request,
                            .mapping = endpoint->mapping,
                            .now_ns = test->arrival.received_ns};
    mw_err err = mw_credential_check(credential, &delivery, test->arrival.replay_key, &reason);
    if (err == MW_OK)
        err =
            endpoint->source->parse(&delivery, test->arrival.arena, &test->arrival.events, detail);
    return err;
}

static mw_err prepare(trial *test, const mw_endpoint *endpoint, mw_detail *detail)
{
    char name[MW_ID_TEXT_SIZE], incident_id[64];
    mw_arrival *arrival = &test->arrival;
    mw_credential credential = mw_endpoint_credential(endpoint, arrival->received_ns);
    mw_id_new(name);
    snprintf(incident_id, sizeof incident_id, "midwatch-test-%.12s", name);
    const mw_test_event event = {incident_id, arrival->received_ns, endpoint->mapping};
    arrival->webhook_id = mw_arena_copy(arrival->arena, endpoint->id);
    arrival->space = mw_arena_copy(arrival->arena, endpoint->space);
    arrival->source = endpoint->source;
    arrival->auth = endpoint->auth;
    if (!arrival->webhook_id.data || !arrival->space.data)
        return MW_E_NOMEM;
    mw_err err = endpoint->source->sample(&event, arrival->arena, &test->request.body);
    if (err == MW_E_INVALID)
        return mw_detail_set(detail, err, "mapping", "send a file with midwatch webhook send",
                             "no body fills all places of this mapping");
    arrival->body = test->request.body;
    if (err == MW_OK)
        err = sign(test, &credential);
    if (err == MW_OK)
        err = check(test, endpoint, &credential, detail);
    return err == MW_OK ? mw_arrival_name(arrival) : err;
}

static mw_err run(mw_state_job *job, mw_state_tx *tx)
{
    return mw_arrival_commit(&((trial *)(void *)job)->arrival, tx);
}

static mw_err commit(mw_webhooks *webhooks, trial *test)
{
    test->job.run = run;
    test->job.item.cost_bytes = sizeof *test + test->request.body.len;
    mw_err err = mw_state_submit_wait(webhooks->config.state, &test->job);
    if (err == MW_OK) {
        mw_arrival_committed(&test->arrival);
    }
    return err;
}

mw_err mw_webhook_try(mw_webhooks *webhooks, mw_slice id, bool investigate, mw_arena *arena,
                      mw_webhook_trial *out, mw_detail *detail)
{
    trial *test = mw_arena_zalloc(arena, 1, sizeof *test);
    if (!test)
        return MW_E_NOMEM;
    test->arrival.arena = arena;
    test->arrival.triage = webhooks->config.triage;
    test->arrival.received_ns = mw_clock_wall_ns(webhooks->config.clock);
    mw_endpoint_table *table = mw_endpoint_table_hold(webhooks);
    const mw_endpoint *endpoint = mw_endpoint_find(table, id);
    mw_err err = endpoint ? prepare(test, endpoint, detail)
                          : mw_detail_set(detail, MW_E_CONFLICT, "id",
                                          "enable it with midwatch webhook enable",
                                          "this webhook is not served");
    mw_endpoint_table_release(webhooks, table);
    OPENSSL_cleanse(test->credentials, sizeof test->credentials);
    if (err == MW_OK && investigate)
        err = commit(webhooks, test);
    if (err != MW_OK)
        return err;
    const mw_alarm_event *event = &test->arrival.events.items[0];
    *out = (mw_webhook_trial){.incident_id = event->incident_id,
                              .action = event->action,
                              .priority = event->priority,
                              .title = event->title,
                              .alarm_id = investigate ? mw_slice_of(test->arrival.delivery_id)
                                                      : MW_SLICE("")};
    return MW_OK;
}
