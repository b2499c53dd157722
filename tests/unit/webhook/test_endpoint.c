/* The webhook door through a real socket: the order of checks, the exact answers, what is stored,
 * replays, overload. The vectors' clock stands still, so that their signatures are in time. */
#include <arpa/inet.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "tests/check.h"
#include "tests/unit/trees.h"
#include "webhook/source.h"
#include "webhook/webhook.h"

#define T0 (INT64_C(1773480413) * MW_NS_PER_S)
#define TIMESTAMP "2026-03-14T09:26:53.000Z"
#define SECRET "mw-test-secret-000000000000000000000001"
#define LONG_SECRET                                                                                \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" \
    "kkkkkkkk"
#define MAIN_ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_ID "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define DISABLED_ID "cccccccccccccccccccccccccccccccc"
#define STRANGE_ID "dddddddddddddddddddddddddddddddd"
#define UNKNOWN_ID "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
#define UNAUTHORIZED "{\"error\":\"unauthorized\"}"

static char directory[64], store_path[96], state_path[96], key_path[96];
static mw_fake_clock fake;
static mw_store *store;
static mw_state *state_db;
static mw_pool *pool;
static mw_triage *triage;
static mw_webhooks *webhooks;
static mw_net *net;
static mw_route routes[2];
static bool minute_apart;

/* The door's own clock: tests move its minutes while loops read them. */
static _Atomic(int64_t) door_mono_ns;

static int64_t door_wall(void *ctx)
{
    (void)ctx;
    return mw_clock_wall_ns(&fake.clock);
}

static int64_t door_mono(void *ctx)
{
    (void)ctx;
    return atomic_load(&door_mono_ns);
}

static const mw_clock door_clock = {.wall_ns = door_wall, .mono_ns = door_mono};
static mw_arena arena;

/* ---- set-up -------------------------------------------------------------------------------- */

typedef struct insert_job {
    mw_state_job job;
    mw_webhook_row row;
} insert_job;

static mw_err run_insert(mw_state_job *job, mw_state_tx *tx)
{
    return mw_state_webhook_insert(tx, &((insert_job *)(void *)job)->row);
}

static void add_endpoint(const char *id, const char *source, const char *secret, bool enabled)
{
    insert_job job = {.job = {.run = run_insert},
                      .row = {.id = mw_slice_of(id),
                              .space = MW_SLICE("default"),
                              .name = MW_SLICE("test"),
                              .source = mw_slice_of(source),
                              .auth = MW_SLICE("hmac"),
                              .secret = mw_slice_of(secret),
                              .created_ns = T0,
                              .enabled = enabled}};
    assert_int_equal(mw_state_submit_wait(state_db, &job.job), MW_OK);
}

static void open_rooms(void)
{
    mw_detail detail = {0};
    mw_store_config store_config = {.directory = store_path,
                                    .clock = &fake.clock,
                                    .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                                    .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT};
    mw_state_config state_config = {.path = state_path,
                                    .key_path = key_path,
                                    .clock = &fake.clock,
                                    .queue_budget_bytes = 1 << 20,
                                    .readers = 2};
    if (mw_store_open(&store_config, &store, &detail) != MW_OK ||
        mw_state_open(&state_config, &state_db, &detail) != MW_OK)
        fail_msg("cannot open: %s", detail.message);
    pool = mw_pool_new(2, 1 << 20);
    mw_triage_config config = {store, state_db, pool, &fake.clock, 0, NULL};
    assert_int_equal(mw_triage_start(&config, &triage), MW_OK);
}

static void format_refusal(void *ctx, mw_request *request, const mw_net_refusal *refusal,
                           mw_response *response)
{
    (void)ctx;
    mw_webhook_format_refusal(request, refusal, response);
}

static void open_door(void)
{
    mw_detail detail = {0};
    const mw_webhooks_config door = {state_db, triage, NULL, &door_clock};
    assert_int_equal(mw_webhooks_start(&door, &webhooks), MW_OK);
    assert_int_equal(mw_webhooks_routes(webhooks, 7, routes, 2), 2);
    assert_int_equal(routes[1].tag, 7);
    mw_net_config config = {.web_address = "127.0.0.1:0",
                            .loops = 2,
                            .clock = mw_clock_system(),
                            .routes = routes,
                            .route_count = 2,
                            .format_refusal = format_refusal};
    if (mw_net_start(&config, &net, &detail) != MW_OK)
        fail_msg("cannot listen: %s", detail.message);
}

static void close_all(void)
{
    mw_net_drain(net, 2000);
    mw_net_free(net);
    mw_webhooks_free(webhooks);
    mw_triage_stop(triage);
    mw_pool_free(pool);
    mw_state_close(state_db);
    mw_store_close(store);
}

static int set_up(void **unused)
{
    (void)unused;
    snprintf(directory, sizeof directory, "/tmp/midwatch-test-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(store_path, sizeof store_path, "%s/store", directory);
    snprintf(state_path, sizeof state_path, "%s/state.db", directory);
    snprintf(key_path, sizeof key_path, "%s/key", directory);
    mw_log_init(MW_LOG_ERROR + 1, MW_LOG_LOGFMT, STDERR_FILENO);
    mw_fake_clock_init(&fake, T0);
    minute_apart = true;
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    open_rooms();
    add_endpoint(MAIN_ID, "devops-agent", SECRET, true);
    add_endpoint(LONG_ID, "devops-agent", LONG_SECRET, true);
    add_endpoint(DISABLED_ID, "devops-agent", SECRET, false);
    add_endpoint(STRANGE_ID, "a-later-source", SECRET, true);
    open_door();
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    close_all();
    mw_arena_reset(&arena);
    return remove_tree(directory);
}

/* ---- a client ------------------------------------------------------------------------------ */

typedef struct answer {
    int status;
    char head[2048];
    char body[2048];
} answer;

static int connect_door(void)
{
    const char *endpoint = mw_net_endpoint(net, MW_PORT_WEB);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)strtoul(strrchr(endpoint, ':') + 1, NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 60};
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server may close early: the answer tells */
        data += sent;
        len -= (size_t)sent;
    }
}

static void receive(int fd, answer *out)
{
    char all[4096];
    size_t len = 0;
    for (ssize_t got; len < sizeof all - 1; len += (size_t)got)
        if ((got = recv(fd, all + len, sizeof all - 1 - len, 0)) <= 0)
            break;
    all[len] = '\0';
    *out = (answer){0};
    char *gap = strstr(all, "\r\n\r\n");
    if (!gap || sscanf(all, "HTTP/1.1 %d", &out->status) != 1)
        return;
    *gap = '\0';
    snprintf(out->head, sizeof out->head, "%.2000s", all);
    snprintf(out->body, sizeof out->body, "%.2000s", gap + 4);
}

/* `headers`: full lines; Host, length and close are added. */
static answer send_request(const char *method, const char *path, const char *headers, mw_slice body)
{
    char head[16384];
    answer out;
    /* Failures are counted by the minute; a test of that stops this. */
    atomic_fetch_add(&door_mono_ns, minute_apart ? 60 * MW_NS_PER_S : 0);
    int fd = connect_door();
    int len = snprintf(head, sizeof head,
                       "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                       "Content-Length: %zu\r\n%s\r\n",
                       method, path, body.len, headers);
    send_all(fd, head, (size_t)len);
    send_all(fd, body.data, body.len);
    receive(fd, &out);
    close(fd);
    return out;
}

static void sign(const char *secret, const char *timestamp, mw_slice body, char out[45])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;
    size_t total = strlen(timestamp) + 1 + body.len;
    unsigned char *joined = malloc(total + 1);
    snprintf((char *)joined, total + 1, "%s:", timestamp);
    memcpy(joined + strlen(timestamp) + 1, body.data, body.len);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), joined, total, digest, &len);
    EVP_EncodeBlock((unsigned char *)out, digest, 32);
    free(joined);
}

#define JSON_TYPE "Content-Type: application/json\r\n"

static void sign_headers(char *out, size_t size, const char *timestamp, mw_slice body)
{
    char signature[45];
    sign(SECRET, timestamp, body, signature);
    snprintf(out, size, "X-Amzn-Event-Timestamp: %s\r\nX-Amzn-Event-Signature: %s\r\n%s", timestamp,
             signature, JSON_TYPE);
}

static answer deliver(const char *path, const char *timestamp, mw_slice body)
{
    char headers[512];
    sign_headers(headers, sizeof headers, timestamp, body);
    return send_request("POST", path, headers, body);
}

static mw_slice incident(const char *id, const char *action)
{
    char *text = mw_arena_printf(&arena,
                                 "{\"eventType\":\"incident\",\"incidentId\":\"%s\",\"action\":"
                                 "\"%s\",\"priority\":\"HIGH\",\"title\":\"t in eu-west-1\"}",
                                 id, action);
    assert_non_null(text);
    return mw_slice_of(text);
}

static answer report(const char *id, const char *action, const char *timestamp)
{
    return deliver("/webhooks/" MAIN_ID, timestamp, incident(id, action));
}

/* The delivery id of an accepted answer, whose body is exactly of the documented form. */
static mw_slice accepted(const answer *got)
{
    char id[64] = "", expected[128];
    assert_int_equal(got->status, 200);
    sscanf(got->body, "{\"message\":\"Webhook received\",\"id\":\"%32[0-9a-f]\"}", id);
    snprintf(expected, sizeof expected, "{\"message\":\"Webhook received\",\"id\":\"%s\"}", id);
    assert_string_equal(got->body, expected);
    assert_int_equal(strlen(id), 32);
    return mw_arena_copy(&arena, mw_slice_of(id));
}

static void refused(const answer *got, int status)
{
    if (got->status != status)
        fail_msg("got %d (%s), expected %d", got->status, got->body, status);
    json_error_t error;
    json_t *root = json_loads(got->body, 0, &error);
    assert_true(json_is_string(json_object_get(root, "error")));
    json_decref(root);
}

/* ---- what is stored ------------------------------------------------------------------------ */

static uint64_t count_alarms(void)
{
    mw_state_tx *tx;
    mw_alarm_row *rows;
    size_t count;
    mw_slice next;
    uint64_t total = 0;
    mw_state_page page = {.limit = 1};
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_alarm_list(tx, &page, &arena, &rows, &count, &next, &total), MW_OK);
    mw_state_read_end(tx);
    return total;
}

static mw_alarm_row alarm_of(mw_slice id)
{
    mw_state_tx *tx;
    mw_alarm_row row;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_alarm_get(tx, id, &arena, &row), MW_OK);
    mw_state_read_end(tx);
    return row;
}

static void settle(void)
{
    for (int i = 0; i < 60000 && mw_triage_active(triage); i++)
        usleep(1000);
}

/* ---- tests --------------------------------------------------------------------------------- */

static answer send_vector(const json_t *vector)
{
    char headers[1024];
    const json_t *given = json_object_get(vector, "headers");
    bool is_long = strcmp(json_string_value(json_object_get(vector, "id")), "T08") == 0;
    const json_t *body = json_object_get(vector, "body");
    snprintf(headers, sizeof headers,
             "x-amzn-event-timestamp: %s\r\nx-amzn-event-signature: %s\r\n" JSON_TYPE,
             json_string_value(json_object_get(given, "x-amzn-event-timestamp")),
             json_string_value(json_object_get(given, "x-amzn-event-signature")));
    return send_request("POST", is_long ? "/webhook/generic/" LONG_ID : "/webhook/generic/" MAIN_ID,
                        headers, mw_slice_bytes(json_string_value(body), json_string_length(body)));
}

static void test_vectors(void **unused)
{
    (void)unused;
    json_error_t error;
    json_t *vectors = json_load_file("tests/data/webhook-vectors.json", 0, &error);
    assert_int_equal(json_array_size(vectors), 9);
    for (size_t i = 0; i < 9; i++) {
        const json_t *vector = json_array_get(vectors, i);
        const char *expect = json_string_value(json_object_get(vector, "expect"));
        answer got = send_vector(vector);
        int status = strcmp(expect, "accept") == 0       ? 200
                     : strcmp(expect, "reject-400") == 0 ? 400
                                                         : 401;
        if (got.status != status)
            fail_msg("%s: got %d (%s)", json_string_value(json_object_get(vector, "id")),
                     got.status, got.body);
        if (status == 401)
            assert_string_equal(got.body, UNAUTHORIZED);
    }
    json_decref(vectors);
    /* T01 opened an incident; T03 resolves one that nobody opened, which is an alarm as well. */
    assert_int_equal(count_alarms(), 2);
}

static void test_created_is_stored_as_received(void **unused)
{
    (void)unused;
    mw_slice body =
        MW_SLICE("{\"eventType\":\"incident\",\"incidentId\":\"i-1\",\n"
                 "\"action\":\"created\",\"priority\":\"CRITICAL\",\"title\":\"a \\u001b b\","
                 "\"description\":\"d\",\"service\":\"checkout\","
                 "\"timestamp\":\"2021-05-06T07:08:09Z\","
                 "\"affectedResources\":[\"r\"],\"data\":{\"metadata\":{\"region\":"
                 "\"us-east-1\"}}}  ");
    answer got = deliver("/webhooks/" MAIN_ID, TIMESTAMP, body);
    mw_alarm_row row = alarm_of(accepted(&got));
    assert_slice(row.space, "default");
    assert_slice(row.webhook_id, MAIN_ID);
    assert_slice(row.source, "devops-agent");
    assert_slice(row.incident_id, "i-1");
    assert_slice(row.action, "created");
    assert_slice(row.priority, "CRITICAL");
    assert_slice(row.title, "a \x1b b");
    assert_slice(row.description, "d");
    assert_slice(row.service, "checkout");
    assert_slice(row.region, "us-east-1");
    assert_slice(row.resources_json, "[\"r\"]");
    assert_true(mw_slice_equal(row.body, body));
    assert_int_equal(row.started_ns, INT64_C(1620284889) * MW_NS_PER_S); /* the body's time */
    assert_int_equal(row.received_ns, T0);
    got = report("i-2", "created", TIMESTAMP);
    assert_int_equal(alarm_of(accepted(&got)).started_ns, T0); /* none given: receipt */
}

static void test_alarm_is_decided_and_investigated(void **unused)
{
    (void)unused;
    answer got = report("i-1", "created", TIMESTAMP);
    mw_slice id = accepted(&got);
    settle();
    mw_state_tx *tx;
    mw_decision_row decision;
    mw_investigation_row investigation;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_decision_get(tx, id, &arena, &decision), MW_OK);
    assert_int_equal(
        mw_state_investigation_get(tx, decision.investigation_id, &arena, &investigation), MW_OK);
    mw_state_read_end(tx);
    assert_slice(decision.verdict, "PROCEED");
    assert_slice(investigation.status, "COMPLETED");
}

static void test_replay(void **unused)
{
    (void)unused;
    uint64_t replayed = mw_counter_value(MW_COUNT_ALARMS_REPLAYED);
    answer one = report("i-1", "created", TIMESTAMP);
    mw_slice id = accepted(&one);
    for (int i = 0; i < 3; i++) {
        answer again = report("i-1", "created", TIMESTAMP);
        assert_true(mw_slice_equal(accepted(&again), id));
    }
    assert_int_equal(count_alarms(), 1);
    assert_int_equal(mw_counter_value(MW_COUNT_ALARMS_REPLAYED), replayed + 3);
    /* Another endpoint's cache is another. */
    mw_slice body = incident("i-1", "created");
    char signature[45], headers[512];
    sign(LONG_SECRET, TIMESTAMP, body, signature);
    snprintf(headers, sizeof headers,
             "x-amzn-event-timestamp: %s\r\nx-amzn-event-signature: %s\r\n" JSON_TYPE, TIMESTAMP,
             signature);
    answer other = send_request("POST", "/webhooks/" LONG_ID, headers, body);
    assert_false(mw_slice_equal(accepted(&other), id));
    /* A restart opens no hole. */
    settle();
    close_all();
    open_rooms();
    open_door();
    answer again = report("i-1", "created", TIMESTAMP);
    assert_true(mw_slice_equal(accepted(&again), id));
    assert_int_equal(count_alarms(), 2);
    /* The same words signed anew are a delivery of their own. */
    answer signed_anew = report("i-1", "created", "2026-03-14T09:26:54Z");
    assert_false(mw_slice_equal(accepted(&signed_anew), id));
    assert_int_equal(count_alarms(), 3);
}

static size_t count_events(mw_slice alarm_id)
{
    mw_state_tx *tx;
    mw_alarm_event_row *rows;
    size_t count;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_alarm_events(tx, alarm_id, &arena, &rows, &count), MW_OK);
    mw_state_read_end(tx);
    return count;
}

static void test_updates_and_closings_are_events(void **unused)
{
    (void)unused;
    uint64_t events = mw_counter_value(MW_COUNT_ALARM_EVENTS);
    uint64_t alarms = mw_counter_value(MW_COUNT_ALARMS_RECEIVED);
    answer got = report("i-1", "created", TIMESTAMP);
    mw_slice id = accepted(&got);
    settle();
    static const char *const actions[] = {"updated", "resolved", "closed"};
    for (size_t i = 0; i < 6; i++) { /* the second three are replays */
        got = report("i-1", actions[i % 3], TIMESTAMP);
        accepted(&got);
    }
    assert_int_equal(count_alarms(), 1);
    assert_int_equal(count_events(id), 3);
    assert_int_equal(mw_counter_value(MW_COUNT_ALARM_EVENTS), events + 3);
    assert_int_equal(mw_counter_value(MW_COUNT_ALARMS_RECEIVED), alarms + 1);
    mw_state_tx *tx;
    mw_decision_row decision;
    mw_investigation_row investigation;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_decision_get(tx, id, &arena, &decision), MW_OK);
    assert_int_equal(
        mw_state_investigation_get(tx, decision.investigation_id, &arena, &investigation), MW_OK);
    mw_state_read_end(tx);
    assert_slice(investigation.incident_state, "closed");
}

static void test_unknown_endpoints_look_like_bad_signatures(void **unused)
{
    (void)unused;
    static const char *const paths[] = {"/webhooks/" UNKNOWN_ID,
                                        "/webhook/generic/" UNKNOWN_ID,
                                        "/webhooks/" DISABLED_ID,
                                        "/webhooks/" STRANGE_ID,
                                        "/webhooks/x",
                                        "/webhooks/" MAIN_ID "a",
                                        "/webhooks/%27%20OR%201"};
    uint64_t before = mw_counter_value(MW_COUNT_WEBHOOK_UNAUTHORIZED);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        answer got = deliver(paths[i], TIMESTAMP, incident("i", "created"));
        if (got.status != 404)
            fail_msg("%s: %d", paths[i], got.status);
        assert_string_equal(got.body, UNAUTHORIZED);
    }
    assert_int_equal(mw_counter_value(MW_COUNT_WEBHOOK_UNAUTHORIZED), before + 7);
    assert_int_equal(count_alarms(), 0);
}

static mw_slice compress_body(mw_slice body)
{
    z_stream stream = {0};
    uint8_t *out = mw_arena_alloc(&arena, 4096);
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (uint8_t *)(uintptr_t)body.data;
    stream.avail_in = (unsigned)body.len;
    stream.next_out = out;
    stream.avail_out = 4096;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return mw_slice_bytes(out, stream.total_out);
}

static void test_headers(void **unused)
{
    (void)unused;
    mw_slice body = incident("i", "created");
    char right[512], twice[1200], signature[45];
    sign_headers(right, sizeof right, TIMESTAMP, body);
    sign(SECRET, TIMESTAMP, body, signature);
    answer got = send_request("POST", "/webhooks/" MAIN_ID, JSON_TYPE, body);
    assert_int_equal(got.status, 401);
    assert_string_equal(got.body, UNAUTHORIZED);
    snprintf(twice, sizeof twice, "%sX-Amzn-Event-Signature: %s\r\n", right, signature);
    got = send_request("POST", "/webhooks/" MAIN_ID, twice, body);
    refused(&got, 400);
    snprintf(twice, sizeof twice, "%sx-amzn-event-timestamp: %s\r\n", right, TIMESTAMP);
    got = send_request("POST", "/webhooks/" MAIN_ID, twice, body);
    refused(&got, 400);
    snprintf(twice, sizeof twice, "%sContent-Encoding: gzip\r\n", right);
    got = send_request("POST", "/webhooks/" MAIN_ID, twice, compress_body(body));
    refused(&got, 415);
    snprintf(twice, sizeof twice, "%sContent-Encoding: identity\r\n", right);
    got = send_request("POST", "/webhooks/" MAIN_ID, twice, body);
    accepted(&got);
}

static void test_order_of_checks(void **unused)
{
    (void)unused;
    char right[512], *type;
    mw_slice garbage = MW_SLICE("not json");
    /* Bad signature, bad type, bad body: the signature speaks. */
    answer got =
        send_request("POST", "/webhooks/" MAIN_ID, "Content-Type: text/plain\r\n", garbage);
    assert_int_equal(got.status, 401);
    /* Good signature, bad type, bad body: the type. */
    sign_headers(right, sizeof right, TIMESTAMP, garbage);
    type = strstr(right, "application/json");
    memcpy(type, "application/text", 16);
    got = send_request("POST", "/webhooks/" MAIN_ID, right, garbage);
    refused(&got, 415);
    /* Good signature and type: the body. */
    got = deliver("/webhooks/" MAIN_ID, TIMESTAMP, garbage);
    refused(&got, 400);
    got = deliver("/webhooks/" MAIN_ID, TIMESTAMP, incident("i", "deleted"));
    refused(&got, 400);
    assert_non_null(strstr(got.body, "\"field\":\"action\""));
    got = deliver("/webhooks/" MAIN_ID, TIMESTAMP, incident("i", "deleted"));
    refused(&got, 400); /* what was refused is no replay */
    assert_int_equal(count_alarms(), 0);
}

static void test_window_on_the_clock_given(void **unused)
{
    (void)unused;
    static const struct {
        const char *timestamp;
        int status;
    } rows[] = {{"2026-03-14T09:21:53Z", 200}, {"2026-03-14T09:31:53Z", 200},
                {"2026-03-14T09:21:52Z", 401}, {"2026-03-14T09:31:54Z", 401},
                {"2026-03-14 09:26:53", 401},  {"1773480413", 401}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(report("i", "created", rows[i].timestamp).status, rows[i].status);
}

static void test_refusals_of_the_transport(void **unused)
{
    (void)unused;
    answer got = send_request("GET", "/webhooks/" MAIN_ID, "", MW_SLICE(""));
    refused(&got, 405);
    static char large[(256 << 10) + 1];
    memset(large, ' ', sizeof large);
    got = deliver("/webhooks/" MAIN_ID, TIMESTAMP, mw_slice_bytes(large, sizeof large));
    refused(&got, 413);
    got = deliver("/webhooks/" MAIN_ID, TIMESTAMP, mw_slice_bytes(large, sizeof large - 1));
    refused(&got, 400); /* just not JSON */
}

/* ---- overload and failure ------------------------------------------------------------------ */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

typedef struct gate_job {
    mw_state_job job;
    int running, done; /* atomic */
} gate_job;

static mw_err run_gate(mw_state_job *job, mw_state_tx *tx)
{
    (void)tx;
    __atomic_store_n(&((gate_job *)(void *)job)->running, 1, __ATOMIC_RELEASE);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return MW_OK;
}

static void done_gate(mw_state_job *job, mw_err err)
{
    (void)err;
    __atomic_store_n(&((gate_job *)(void *)job)->done, 1, __ATOMIC_RELEASE);
}

static void await(int *flag)
{
    for (int i = 0; i < 60000 && !__atomic_load_n(flag, __ATOMIC_ACQUIRE); i++)
        usleep(1000);
    assert_int_equal(__atomic_load_n(flag, __ATOMIC_ACQUIRE), 1);
}

static void test_busy_state_is_retryable(void **unused)
{
    (void)unused;
    gate_job blocker = {.job = {.run = run_gate, .done = done_gate}};
    gate_job filler = {
        .job = {.item = {.cost_bytes = 1 << 20}, .run = run_gate, .done = done_gate}};
    pthread_mutex_lock(&gate);
    assert_int_equal(mw_state_submit(state_db, &blocker.job), MW_OK);
    await(&blocker.running);
    assert_int_equal(mw_state_submit(state_db, &filler.job), MW_OK);
    answer got = report("i", "created", TIMESTAMP);
    pthread_mutex_unlock(&gate);
    refused(&got, 503);
    assert_non_null(strcasestr(got.head, "retry-after: 1"));
    await(&filler.done);
    got = report("i", "created", TIMESTAMP); /* and the retry is no replay */
    accepted(&got);
    assert_int_equal(count_alarms(), 1);
}

static void test_failed_commit_is_retryable(void **unused)
{
    (void)unused;
    struct rlimit before, none;
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    answer got = report("i", "created", TIMESTAMP);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    refused(&got, 503);
    assert_int_equal(count_alarms(), 0);
    got = report("i", "created", TIMESTAMP);
    accepted(&got);
    assert_int_equal(count_alarms(), 1);
    signal(SIGXFSZ, old);
}

/* ---- limits -------------------------------------------------------------------------------- */

static void test_bad_signatures_are_told_to_wait(void **unused)
{
    (void)unused;
    minute_apart = false;
    mw_slice body = incident("i", "created");
    for (int i = 0; i < 10; i++)
        assert_int_equal(send_request("POST", "/webhooks/" MAIN_ID, JSON_TYPE, body).status, 401);
    answer got = send_request("POST", "/webhooks/" MAIN_ID, JSON_TYPE, body);
    refused(&got, 429);
    assert_non_null(strcasestr(got.head, "retry-after: 6"));
    got = deliver("/webhooks/" UNKNOWN_ID, TIMESTAMP, body);
    refused(&got, 429);
    got = report("i", "created", TIMESTAMP); /* a good one of the same address */
    accepted(&got);
    atomic_fetch_add(&door_mono_ns, 6 * MW_NS_PER_S);
    assert_int_equal(send_request("POST", "/webhooks/" MAIN_ID, JSON_TYPE, body).status, 401);
    assert_int_equal(send_request("POST", "/webhooks/" MAIN_ID, JSON_TYPE, body).status, 429);
}

/* ---- the table ----------------------------------------------------------------------------- */

static void test_reload(void **unused)
{
    (void)unused;
    answer got = deliver("/webhooks/" UNKNOWN_ID, TIMESTAMP, incident("i", "created"));
    assert_int_equal(got.status, 404);
    add_endpoint(UNKNOWN_ID, "devops-agent", SECRET, true);
    assert_int_equal(mw_webhooks_reload(webhooks), MW_OK);
    got = deliver("/webhooks/" UNKNOWN_ID, TIMESTAMP, incident("i", "created"));
    accepted(&got);
}

static void *reload_often(void *stop)
{
    while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED))
        if (mw_webhooks_reload(webhooks) != MW_OK)
            abort();
    return NULL;
}

static void test_reload_beside_deliveries(void **unused)
{
    (void)unused;
    pthread_t thread;
    int stop = 0;
    int refusals = 0; /* checked once the other thread has ended */
    assert_int_equal(pthread_create(&thread, NULL, reload_often, &stop), 0);
    for (int i = 0; i < 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "i-%d", i);
        refusals += report(id, "created", TIMESTAMP).status != 200;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    assert_int_equal(refusals, 0);
    assert_int_equal(count_alarms(), 100);
}

#define WITH_DOOR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DOOR(test_vectors),
        WITH_DOOR(test_created_is_stored_as_received),
        WITH_DOOR(test_alarm_is_decided_and_investigated),
        WITH_DOOR(test_replay),
        WITH_DOOR(test_updates_and_closings_are_events),
        WITH_DOOR(test_unknown_endpoints_look_like_bad_signatures),
        WITH_DOOR(test_headers),
        WITH_DOOR(test_order_of_checks),
        WITH_DOOR(test_window_on_the_clock_given),
        WITH_DOOR(test_refusals_of_the_transport),
        WITH_DOOR(test_busy_state_is_retryable),
        WITH_DOOR(test_failed_commit_is_retryable),
        WITH_DOOR(test_bad_signatures_are_told_to_wait),
        WITH_DOOR(test_reload),
        WITH_DOOR(test_reload_beside_deliveries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
