/* demo --incident: a night in twenty minutes, through the real ports.
 *
 * Four services take a request every two seconds. Then payments is deployed, its connections run
 * short, charges wait and fail, and those who call it suffer: three alarms, the cause's own last.
 * Telemetry goes to the OTLP port, the deployments to the API, the alarms through a signed webhook.
 * Times are relative to now, ids are new, everything else is the same on every run.
 */
#include <unistd.h>

#include "cli/demo.h"
#include "cli/demo_otlp.h"
#include "cli/otlp_sender.h"
#include "lib/base/clock.h"

#define REQUESTS 600
#define EVERY_MS 2000
#define BATCH 75 /* requests of telemetry a request of OTLP */
#define DEPLOYED_S 360
#define BROKEN_S 330
#define BODY_MAX ((size_t)2 << 20)
#define WAIT_S 30
#define US_PER_MS 1000

enum { STOREFRONT, CATALOG, ORDERS, PAYMENTS, SERVICES };
static const char *const service_names[SERVICES] = {"storefront", "catalog", "orders", "payments"};
static const char *const versions[SERVICES] = {"5.1.0", "1.19.2", "3.0.4", "2.3.9"};
#define BAD_VERSION "2.4.0"
#define FAILURE "no free connection to ledger-db after 800 ms"

enum { SERVER = 2, CLIENT = 3 };

/* The spans of a request, callers before those they call. */
typedef struct step {
    uint8_t id, parent, service, kind;
    const char *name, *peer;
} step;
static const step steps[] = {
    {1, 0, STOREFRONT, SERVER, "POST /checkout", NULL},
    {2, 1, STOREFRONT, CLIENT, "GET", "catalog"},
    {3, 2, CATALOG, SERVER, "GET /items", NULL},
    {4, 1, STOREFRONT, CLIENT, "POST", "orders"},
    {5, 4, ORDERS, SERVER, "POST /orders", NULL},
    {6, 5, ORDERS, CLIENT, "POST", "payments"},
    {7, 6, PAYMENTS, SERVER, "POST /charge", NULL},
    {8, 7, PAYMENTS, CLIENT, "INSERT ledger", "ledger-db"},
};
#define STEPS (sizeof steps / sizeof steps[0])

typedef struct request {
    int64_t start_ns;
    uint8_t trace_id[MW_TRACE_ID_SIZE], span_id[MW_SPAN_ID_SIZE];
    bool new_version, fails;
    int64_t from_us[STEPS + 1], took_us[STEPS + 1]; /* by id; took 0 = there is none */
} request;

typedef struct story {
    mw_cli *cli;
    mw_otlp_sender *sender;
    request requests[REQUESTS];
    char tag[7];
    uint64_t spans, logs;
    char webhook_id[40];
} story;

/* ---- what happens ---------------------------------------------------------------------------- */

/* The same numbers on every run: 0 to `most`. */
static int64_t vary(uint32_t *state, int64_t most)
{
    *state = *state * 1664525u + 1013904223u;
    return (int64_t)(*state >> 8) % (most + 1);
}

/* From the inside out: each caller takes as long as those it calls, and a little more. */
static void time_steps(request *r, uint32_t *state)
{
    bool broken = r->new_version && r->fails;
    int64_t ledger = 4000 + vary(state, 3000);
    int64_t waiting = 0;
    if (r->new_version)
        waiting = broken ? 800 * US_PER_MS : 350 * US_PER_MS + vary(state, 200 * US_PER_MS);
    r->took_us[8] = broken ? 0 : ledger;
    r->took_us[7] = waiting + r->took_us[8] + 5000 + vary(state, 3000);
    r->took_us[6] = r->took_us[7] + 1500 + vary(state, 800);
    r->took_us[5] = r->took_us[6] + 6000 + vary(state, 4000);
    r->took_us[4] = r->took_us[5] + 1500 + vary(state, 800);
    r->took_us[3] = 9000 + vary(state, 6000);
    r->took_us[2] = r->took_us[3] + 1200 + vary(state, 700);
    r->from_us[2] = 1000;
    r->from_us[3] = r->from_us[2] + 600;
    r->from_us[4] = r->from_us[2] + r->took_us[2] + 500;
    r->from_us[5] = r->from_us[4] + 700;
    r->from_us[6] = r->from_us[5] + 3000;
    r->from_us[7] = r->from_us[6] + 700;
    r->from_us[8] = r->from_us[7] + 2500 + waiting;
    r->took_us[1] = r->from_us[4] + r->took_us[4] + 2000;
}

static void make_requests(story *s)
{
    uint32_t state = 20261121;
    for (size_t i = 0; i < REQUESTS; i++) {
        request *r = &s->requests[i];
        int64_t before_ms = (int64_t)(REQUESTS - i) * EVERY_MS;
        mw_random_bytes(r->trace_id, sizeof r->trace_id);
        mw_random_bytes(r->span_id, sizeof r->span_id);
        r->trace_id[0] |= 1;
        r->span_id[0] |= 1;
        r->start_ns = s->cli->now_ns - before_ms * MW_NS_PER_MS;
        r->new_version = before_ms < BROKEN_S * 1000;
        r->fails = vary(&state, 9) < 3;
        time_steps(r, &state);
    }
}

/* ---- OTLP ------------------------------------------------------------------------------------ */

static void attribute(mw_json *json, const char *key, const char *text)
{
    mw_demo_attribute(json, mw_slice_of(key), "stringValue", mw_slice_of(text));
}

static void open_request(mw_json *json, mw_buffer *out, const char *const keys[3], int service,
                         const char *version)
{
    mw_demo_request_begin(json, out, keys);
    attribute(json, "service.name", service_names[service]);
    attribute(json, "service.version", version);
    mw_demo_scope_begin(json, keys);
}

static bool fails_at(const request *r, const step *one)
{
    return r->new_version && r->fails && one->service != CATALOG && one->id != 2;
}

static void write_status(mw_json *json, const step *one)
{
    mw_json_key(json, MW_SLICE("status"));
    mw_json_object_begin(json);
    mw_json_kv_i64(json, "code", 2);
    mw_json_kv(json, "message",
               one->service == PAYMENTS ? MW_SLICE(FAILURE) : MW_SLICE("503 Service Unavailable"));
    mw_json_object_end(json);
}

static void write_span(mw_json *json, const request *r, const step *one)
{
    int64_t start = r->start_ns + r->from_us[one->id] * 1000;
    mw_json_object_begin(json);
    mw_demo_kv_id(json, "traceId", r->trace_id, MW_TRACE_ID_SIZE);
    mw_demo_kv_span_id(json, "spanId", r->span_id, one->id);
    if (one->parent)
        mw_demo_kv_span_id(json, "parentSpanId", r->span_id, one->parent);
    mw_json_kv(json, "name", mw_slice_of(one->name));
    mw_json_kv_i64(json, "kind", one->kind);
    mw_demo_kv_i64(json, "startTimeUnixNano", start);
    mw_demo_kv_i64(json, "endTimeUnixNano", start + r->took_us[one->id] * 1000);
    mw_demo_list_begin(json, "attributes");
    if (one->peer)
        attribute(json, "server.address", one->peer);
    mw_json_array_end(json);
    if (fails_at(r, one))
        write_status(json, one);
    mw_json_object_end(json);
}

static void write_spans(story *s, size_t from, int service, bool new_version, mw_buffer *out)
{
    static const char *const keys[] = {"resourceSpans", "scopeSpans", "spans"};
    mw_json json;
    const char *version = service == PAYMENTS && new_version ? BAD_VERSION : versions[service];
    open_request(&json, out, keys, service, version);
    for (size_t i = from; i < from + BATCH; i++)
        for (size_t k = 0; k < STEPS; k++) {
            const request *r = &s->requests[i];
            if (steps[k].service != service || !r->took_us[steps[k].id] ||
                r->new_version != new_version)
                continue;
            write_span(&json, r, &steps[k]);
            s->spans++;
        }
    mw_demo_request_end(&json);
}

static void write_log(mw_json *json, const request *r, bool failed, size_t order)
{
    char body[96];
    snprintf(body, sizeof body, "order %zu charged", 70000 + order);
    mw_json_object_begin(json);
    mw_demo_kv_i64(json, "timeUnixNano", r->start_ns + (r->from_us[7] + r->took_us[7]) * 1000);
    mw_json_kv_i64(json, "severityNumber", failed ? 17 : 9);
    mw_json_key(json, MW_SLICE("body"));
    mw_json_object_begin(json);
    mw_json_kv(json, "stringValue", failed ? MW_SLICE(FAILURE) : mw_slice_of(body));
    mw_json_object_end(json);
    mw_demo_kv_id(json, "traceId", r->trace_id, MW_TRACE_ID_SIZE);
    mw_demo_kv_span_id(json, "spanId", r->span_id, 7);
    mw_json_object_end(json);
}

static void write_logs(story *s, size_t from, mw_buffer *out)
{
    static const char *const keys[] = {"resourceLogs", "scopeLogs", "logRecords"};
    mw_json json;
    open_request(&json, out, keys, PAYMENTS,
                 s->requests[from].new_version ? BAD_VERSION : versions[PAYMENTS]);
    for (size_t i = from; i < from + BATCH; i++, s->logs++)
        write_log(&json, &s->requests[i], s->requests[i].new_version && s->requests[i].fails, i);
    mw_demo_request_end(&json);
}

static int send_body(story *s, unsigned signal, mw_buffer *text)
{
    mw_sent sent;
    MW_ASSERT(!text->err);
    int status = mw_otlp_send(s->sender, signal, mw_buffer_slice(text), &sent);
    mw_buffer_clear(text);
    if (status && sent.message[0])
        return mw_complain(status, mw_otlp_sender_url(s->sender), sent.message, "");
    return status;
}

static int send_telemetry(story *s)
{
    mw_buffer text;
    int status = MW_EXIT_DONE;
    mw_buffer_init(&text, MW_MEM_BASE, BODY_MAX);
    for (size_t from = 0; from < REQUESTS && !status; from += BATCH) {
        for (int service = 0; service < 2 * SERVICES && !status; service++) {
            uint64_t before = s->spans;
            write_spans(s, from, service / 2, service % 2, &text);
            if (s->spans > before)
                status = send_body(s, MW_SENDS_TRACES, &text);
            mw_buffer_clear(&text);
        }
        if (!status) {
            write_logs(s, from, &text);
            status = send_body(s, MW_SENDS_LOGS, &text);
        }
    }
    mw_buffer_fini(&text);
    return status;
}

/* ---- deployments and alarms ------------------------------------------------------------------ */

static void time_before(const story *s, int64_t seconds, char out[MW_TIME_TEXT_SIZE])
{
    mw_time_format((uint64_t)(s->cli->now_ns - seconds * MW_NS_PER_S), out);
}

static int record_deployment(story *s, const char *version, int64_t before_s)
{
    char time[MW_TIME_TEXT_SIZE];
    mw_answer answer;
    time_before(s, before_s, time);
    json_t *body = json_pack("{s:s, s:s, s:s, s:s}", "service", service_names[PAYMENTS], "version",
                             version, "time", time, "region", "eu-central-1");
    int status = mw_client_post(s->cli, "/api/v1/deployments", body, "demo", &answer);
    mw_answer_free(&answer);
    return status;
}

typedef struct demo_alarm {
    int service;
    int64_t before_s;
    const char *priority, *title, *description;
} demo_alarm;
/* Symptoms first: the cause's own alarm comes last. */
static const demo_alarm alarms[] = {
    {STOREFRONT, 210, "HIGH", "storefront: p95 latency above 400 ms",
     "p95 latency of storefront is 850 ms (usual 60 ms)"},
    {ORDERS, 180, "HIGH", "orders: error rate above 5 %", "28 % of POST /orders fail (usual 0 %)"},
    {PAYMENTS, 140, "CRITICAL", "payments: error rate above 5 %",
     "29 % of POST /charge fail (usual 0 %)"},
};
#define ALARMS (sizeof alarms / sizeof alarms[0])

static int deliver(story *s, const json_t *hook, const char *secret, size_t at)
{
    const demo_alarm *one = &alarms[at];
    char time[MW_TIME_TEXT_SIZE], incident[32];
    time_before(s, one->before_s, time);
    snprintf(incident, sizeof incident, "demo-%s-%zu", s->tag, at + 1);
    json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:{s:s}}}", "eventType",
                             "incident", "incidentId", incident, "action", "created", "priority",
                             one->priority, "title", one->title, "description", one->description,
                             "service", service_names[one->service], "timestamp", time, "data",
                             "metadata", "region", "eu-central-1");
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text)
        return mw_complain(MW_EXIT_FAILED, "demo", "no memory", "");
    int status = mw_webhook_deliver(s->cli, hook, secret, mw_slice_of(text));
    free(text);
    return status;
}

static int send_alarms(story *s)
{
    mw_answer hook;
    char secret[256] = "", path[96];
    json_t *body = json_pack("{s:s, s:s}", "name", "demo", "source", "devops-agent");
    int status = mw_client_post(s->cli, "/api/v1/webhooks", body, "demo", &hook);
    if (!status && !mw_slice_to_cstr(mw_text(hook.root, "secret"), secret, sizeof secret))
        status = mw_complain(MW_EXIT_FAILED, "demo", "the webhook has no secret", "");
    if (!status)
        mw_slice_to_cstr(mw_text(hook.root, "id"), s->webhook_id, sizeof s->webhook_id);
    for (size_t i = 0; i < ALARMS && !status; i++)
        status = deliver(s, hook.root, secret, i);
    explicit_bzero(secret, sizeof secret);
    mw_answer_free(&hook);
    if (!s->webhook_id[0])
        return status;
    /* The story is over; its door is closed. */
    mw_answer gone;
    snprintf(path, sizeof path, "/api/v1/webhooks/%s", s->webhook_id);
    int closed = mw_client_delete(s->cli, path, &gone);
    mw_answer_free(&gone);
    return status ? status : closed;
}

/* ---- the answer ------------------------------------------------------------------------------ */

typedef struct outcome {
    char alarm_id[ALARMS][40], investigation_id[40];
    size_t decided;
} outcome;

static void read_alarms(const story *s, const json_t *items, outcome *out)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, "demo-%s-", s->tag);
    out->decided = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        const json_t *decision = json_object_get(item, "decision");
        mw_slice incident = mw_text(item, "incident_id");
        if (!mw_slice_starts(incident, mw_slice_of(prefix)) || !json_is_object(decision))
            continue;
        size_t at = (size_t)(incident.data[incident.len - 1] - '1');
        if (at >= ALARMS)
            continue;
        out->decided++;
        mw_slice_to_cstr(mw_text(item, "alarm_id"), out->alarm_id[at], sizeof out->alarm_id[at]);
        if (at == 0)
            mw_slice_to_cstr(mw_text(decision, "investigation_id"), out->investigation_id,
                             sizeof out->investigation_id);
    }
}

static bool is_done(const story *s, const outcome *out)
{
    char path[128];
    mw_answer answer;
    if (out->decided < ALARMS || !out->investigation_id[0])
        return false;
    snprintf(path, sizeof path, "/api/v1/investigations/%s", out->investigation_id);
    bool done = mw_client_call(s->cli, path, NULL, &answer) == MW_EXIT_DONE &&
                mw_slice_equal(mw_text(answer.root, "status"), MW_SLICE("COMPLETED"));
    mw_answer_free(&answer);
    return done;
}

static int await_outcome(story *s, outcome *out)
{
    for (int tenths = 0; tenths < WAIT_S * 10; tenths++) {
        mw_answer answer;
        int status = mw_client_call(s->cli, "/api/v1/alarms?limit=100", NULL, &answer);
        if (!status)
            read_alarms(s, json_object_get(answer.root, "items"), out);
        mw_answer_free(&answer);
        if (status || is_done(s, out))
            return status;
        usleep(100000);
    }
    return mw_complain(MW_EXIT_UNREACHABLE, "demo", "the investigation has not ended in time",
                       "midwatch investigation list tells its status");
}

static int tell(const story *s, const outcome *out)
{
    mw_buffer text;
    char command[160];
    mw_buffer_init(&text, MW_MEM_BASE, 65536);
    if (s->cli->json) {
        mw_buffer_appendf(&text,
                          "{\"spans\":%llu,\"logs\":%llu,\"investigation_id\":\"%s\","
                          "\"alarm_ids\":[\"%s\",\"%s\",\"%s\"]}\n",
                          (unsigned long long)s->spans, (unsigned long long)s->logs,
                          out->investigation_id, out->alarm_id[0], out->alarm_id[1],
                          out->alarm_id[2]);
    } else {
        mw_buffer_appendf(&text,
                          "Twenty minutes of a shop, %llu spans: payments was deployed six minutes "
                          "ago, and\nthree alarms have come in since. Look at\n\n",
                          (unsigned long long)s->spans);
        mw_append_command(s->cli, &text, "alarm list");
        snprintf(command, sizeof command, "alarm explain %.12s", out->alarm_id[ALARMS - 1]);
        mw_append_command(s->cli, &text, command);
        snprintf(command, sizeof command, "investigation show %.12s", out->investigation_id);
        mw_append_command(s->cli, &text, command);
        snprintf(command, sizeof command, "plan show %.12s", out->investigation_id);
        mw_append_command(s->cli, &text, command);
        mw_append_command(s->cli, &text, "deployment list");
    }
    int status = mw_print(&text);
    mw_buffer_fini(&text);
    return status;
}

static int play(story *s)
{
    outcome out = {.decided = 0};
    int status = send_telemetry(s);
    if (!status)
        status = record_deployment(s, versions[PAYMENTS], 3 * 86400);
    if (!status)
        status = record_deployment(s, BAD_VERSION, DEPLOYED_S);
    if (!status)
        status = send_alarms(s);
    if (!status)
        status = await_outcome(s, &out);
    return status ? status : tell(s, &out);
}

int mw_demo_incident(mw_cli *cli)
{
    uint8_t tag[3];
    story *s = mw_calloc(MW_MEM_BASE, 1, sizeof *s);
    if (!s)
        return mw_complain(MW_EXIT_FAILED, "demo", "no memory", "");
    s->cli = cli;
    mw_random_bytes(tag, sizeof tag);
    mw_hex_encode(tag, sizeof tag, s->tag);
    make_requests(s);
    int status = mw_otlp_sender_open(cli, &s->sender);
    if (!status) {
        status = play(s);
        mw_otlp_sender_close(s->sender);
    }
    mw_free(MW_MEM_BASE, s);
    return status;
}
