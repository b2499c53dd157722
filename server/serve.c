/* The wiring: options, data directory, store, state, pool, triage, webhooks, collector, routes,
 * net; then signals, and the same way back. Everything here runs on the main thread, which does
 * nothing but wait for signals while the daemon works. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/base/counter.h"
#include "server/allocators.h"
#include "server/announce.h"
#include "server/api/api.h"
#include "server/ballast.h"
#include "server/health.h"
#include "server/missing.h"
#include "server/process.h"
#include "server/serve.h"
#include "server/space_of.h"

/* DESIGN 4.1: SIGTERM drains for 30 s at most. */
#define DRAIN_MS 30000u
/* How often the main thread looks whether the drain is done. */
#define DRAIN_POLL_NS (20 * MW_NS_PER_MS)
/* How often it looks whether there is room for the ballast again, and how fast the disk fills. */
#define HOUSE_POLL_S 5
/* Decisions are serial, and so are second looks at them; two investigations run at a time
 * (MW_TRIAGE_RUNNERS), and step back when exports or verdicts want the processor; one after the
 * other where that would take every processor. Their jobs are a few words each. */
#define WATCH_THREADS 2
#define RUN_THREADS 2
#define WATCH_QUEUE_MAX ((size_t)1 << 20)
/* Requests about state take milliseconds: a second thread for while one waits for a commit. */
#define DESK_THREADS 2
#define DESK_QUEUE_MAX ((size_t)4 << 20)
/* What may wait for a pool thread or the state writer, whatever memory_limit is. */
#define POOL_QUEUE_MAX ((size_t)64 << 20)
/* Questions with a pattern that may wait: as many as can have their turn before their time is up,
 * or nearly. Who comes behind them does better to try again. */
#define PATTERNS_WAITING 32
/* Addresses whose failed credentials are remembered. */
#define FAILURE_KEYS 4096
#define COLLECTOR_ROUTES_MAX 8
#define WEBHOOK_ROUTES_MAX 4
#define ROUTES_MAX                                                                                 \
    (MW_API_ROUTES_MAX + MW_HEALTH_ROUTES + COLLECTOR_ROUTES_MAX + WEBHOOK_ROUTES_MAX)

typedef struct wiring {
    mw_server server;
    mw_route routes[ROUTES_MAX];
    size_t route_count;
    sigset_t signals;
    int argc; /* the flags, for SIGHUP */
    char **argv;
} wiring;

static int fail(const char *what, mw_err err, const mw_detail *detail)
{
    const char *hint = detail->hint;
    if (err == MW_E_NO_SPACE)
        hint = MW_NO_SPACE_HINT;
    else if (err == MW_E_IO && !hint[0])
        hint = "see whether the disk of the data directory is full or failing";
    fprintf(stderr, "midwatch: %s: %s%s%s\n", what,
            detail->message[0] ? detail->message : mw_err_text(err), hint[0] ? "; " : "", hint);
    return MW_EXIT_FAILED;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- start --------------------------------------------------------------------------------- */

static unsigned reader_count(const mw_server_options *options)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (options->readers)
        return (unsigned)options->readers;
    return processors > 4 ? (unsigned)least((size_t)processors, 16) : 4;
}

static unsigned run_threads(void)
{
    long half = sysconf(_SC_NPROCESSORS_ONLN) / 2;
    return half > 1 ? (unsigned)least((size_t)half, RUN_THREADS) : 1;
}

/* For merging on a full disk; the keeper's thread. */
static bool give_ballast(void *ctx)
{
    const mw_server *server = ctx;
    return mw_ballast_release(&server->settings.values, "merging");
}

static mw_err open_store(mw_server *server, mw_detail *detail)
{
    char path[MW_PATH_SIZE], spaces_path[MW_PATH_SIZE];
    const mw_server_options *options = &server->settings.values;
    mw_data_path(options, "store", path);
    mw_data_path(options, "spaces", spaces_path);
    mw_store_config config = {
        .clock = server->clock,
        .queue_budget_bytes = least(MW_STORE_QUEUE_DEFAULT, (size_t)options->memory_limit / 4),
        .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT,
        .merge_after_ns = options->merge_after_ns,
        .merge = true,
        .retention_age_ns = options->retention_ns,
        .retention_bytes = options->retention_bytes,
        .reserve = {MW_BALLAST_BYTES, give_ballast, server},
    };
    mw_spaces_config spaces = {.default_directory = path,
                               .directory = spaces_path,
                               .store = config,
                               .opened = mw_api_listen,
                               .closing = mw_api_end_followers,
                               .ctx = server};
    mw_err err = mw_spaces_open(&spaces, &server->spaces, detail);
    if (!err)
        server->store = mw_spaces_default(server->spaces);
    return err;
}

static mw_err open_state(mw_server *server, mw_detail *detail)
{
    char path[MW_PATH_SIZE], key_path[MW_PATH_SIZE];
    const mw_server_options *options = &server->settings.values;
    mw_data_path(options, "state.db", path);
    mw_data_path(options, "state.key", key_path);
    mw_state_config config = {
        .path = path,
        .key_path = key_path,
        .clock = server->clock,
        .queue_budget_bytes = least(MW_STATE_QUEUE_DEFAULT, (size_t)options->memory_limit / 8),
        .readers = reader_count(options),
    };
    return mw_state_open(&config, &server->state, detail);
}

static mw_err start_doors(mw_server *server)
{
    server->refusals = mw_refusals_new(server->state, server->clock);
    server->failures = mw_limiter_new(FAILURE_KEYS);
    server->gate.clock = server->clock;
    server->gate.refusals = server->refusals;
    const mw_webhooks_config webhooks = {server->state, server->triage, server->refusals,
                                         server->clock};
    mw_err err = mw_tokens_start(server->state, &server->tokens);
    return err ? err : mw_webhooks_start(&webhooks, &server->webhooks);
}

static mw_err start_rooms(mw_server *server)
{
    const mw_server_options *options = &server->settings.values;
    server->pool = mw_pool_new(reader_count(options),
                               least(POOL_QUEUE_MAX, (size_t)options->memory_limit / 8));
    server->pattern_pool = mw_pool_new_background((reader_count(options) + 1) / 2,
                                                  PATTERNS_WAITING * MW_API_CALL_COST);
    server->desk_pool = mw_pool_new(DESK_THREADS, DESK_QUEUE_MAX);
    server->watch_pool = mw_pool_new(WATCH_THREADS, WATCH_QUEUE_MAX);
    server->run_pool = mw_pool_new_background(run_threads(), WATCH_QUEUE_MAX);
    mw_triage_config triage = {server->store,   server->state, server->watch_pool, server->clock, 0,
                               server->run_pool};
    mw_err err = mw_triage_start(&triage, &server->triage);
    if (!err)
        err = start_doors(server);
    if (!err)
        err = mw_collector_new(server->store, server->clock, (size_t)options->max_request,
                               &server->collector);
    if (!err) {
        mw_collector_spaces spaces = {mw_space_of_export, mw_space_leave, server};
        mw_collector_use_spaces(server->collector, &spaces);
    }
    return err;
}

static void collect_routes(wiring *all)
{
    mw_server *server = &all->server;
    size_t n = mw_api_routes(server, all->routes);
    n += mw_health_routes(server, all->routes + n);
    n += mw_collector_routes(server->collector, MW_TAG(MW_FAMILY_OTLP, MW_SCOPE_INGEST),
                             all->routes + n, COLLECTOR_ROUTES_MAX);
    n += mw_webhooks_routes(server->webhooks, MW_TAG(MW_FAMILY_WEBHOOK, MW_SCOPE_WEBHOOK),
                            all->routes + n, WEBHOOK_ROUTES_MAX);
    MW_ASSERT(n <= ROUTES_MAX);
    all->route_count = n;
}

static mw_net_tls tls_paths(const mw_server_options *options)
{
    return (mw_net_tls){.certificate_path = options->tls_cert,
                        .key_path = options->tls_key,
                        .client_ca_path = options->tls_client_ca};
}

static void publish_policy(mw_server *server)
{
    const mw_server_options *options = &server->settings.values;
    mw_access_policy policy = {.allowed_hosts = mw_slice_of(options->allowed_hosts),
                               .allowed_origins = mw_slice_of(options->allowed_origins),
                               .insecure_listen = options->insecure_listen,
                               .tokens = server->tokens,
                               .failures = server->failures};
    mw_gate_publish(&server->gate, &policy);
}

static mw_err open_ports(wiring *all, mw_detail *detail)
{
    char socket_path[MW_PATH_SIZE];
    mw_server *server = &all->server;
    const mw_server_options *options = &server->settings.values;
    mw_net *net = NULL;
    mw_data_path(options, "midwatch.sock", socket_path);
    publish_policy(server);
    collect_routes(all);
    mw_net_config config = {
        .grpc_address = options->grpc,
        .http_address = options->http,
        .web_address = options->web,
        .socket_path = socket_path,
        .tls = tls_paths(options),
        .loops = (unsigned)options->loops,
        .max_connections = mw_process_bound_connections((size_t)options->max_connections),
        .clock = server->clock,
        .routes = all->routes,
        .route_count = all->route_count,
        .gate = mw_gate_admit,
        .gate_ctx = &server->gate,
        .cors = mw_gate_cors,
        .cors_ctx = &server->gate,
        .format_refusal = mw_gate_format,
        .format_ctx = server,
    };
    mw_err err = mw_net_start(&config, &net, detail);
    if (!err)
        atomic_store(&server->net, net);
    return err;
}

/* ---- stop ---------------------------------------------------------------------------------- */

static mw_err do_nothing(mw_state_job *job, mw_state_tx *tx)
{
    (void)job, (void)tx;
    return MW_OK;
}

/* Jobs run in order, so when this one is done, so is every alarm that was being committed, and
 * its completion has woken triage for the last time. */
static void wait_for_state(mw_state *state)
{
    mw_state_job barrier = {.run = do_nothing, .item.cost_bytes = sizeof barrier};
    mw_err err = mw_state_submit_wait(state, &barrier);
    if (err)
        MW_LOG(MW_LOG_WARN, "serve", "state did not settle", MW_KV_ERR(err));
}

/* Undoes what was started, in reverse; also after a start that failed half-way. Whoever can still
 * complete a request is closed before net, and closed before what its completions call. */
static void stop_rooms(mw_server *server)
{
    if (server->refusals)
        mw_refusals_tick(server->refusals, true);
    if (server->triage) {
        wait_for_state(server->state);
        mw_triage_stop(server->triage);
    }
    if (server->watch_pool)
        mw_pool_free(server->watch_pool);
    if (server->run_pool)
        mw_pool_free(server->run_pool);
    if (server->desk_pool)
        mw_pool_free(server->desk_pool);
    if (server->pattern_pool)
        mw_pool_free(server->pattern_pool);
    if (server->pool)
        mw_pool_free(server->pool);
    mw_spaces_close(server->spaces);
    mw_pacer_stop(&server->session_pacer);
    if (server->state)
        mw_state_close(server->state);
    mw_webhooks_free(server->webhooks);
    if (server->collector)
        mw_collector_free(server->collector);
    if (atomic_load(&server->net))
        mw_net_free(atomic_load(&server->net));
    mw_stream_group_fini(&server->followers);
    mw_stream_group_fini(&server->session_followers);
    mw_pace_fini(&server->pace);
    mw_gate_fini(&server->gate);
    mw_tokens_free(server->tokens);
    mw_refusals_free(server->refusals);
    mw_limiter_free(server->failures);
    close(server->lock_fd);
}

typedef struct drain_job {
    mw_net *net;
    atomic_bool done;
} drain_job;

static void *drain(void *ctx)
{
    drain_job *job = ctx;
    mw_net_drain(job->net, DRAIN_MS);
    atomic_store(&job->done, true);
    return NULL;
}

/* The drain blocks, so it gets a thread, and the main thread stays open for a second signal. */
static void drain_net(wiring *all)
{
    mw_server *server = &all->server;
    drain_job job = {.net = atomic_load(&server->net)};
    pthread_t thread;
    atomic_store(&server->draining, true);
    MW_LOG(MW_LOG_INFO, "serve", "draining", MW_KV_U64("in_flight", mw_net_in_flight(job.net)));
    if (pthread_create(&thread, NULL, drain, &job) != 0) {
        drain(&job);
        return;
    }
    sigset_t stop = all->signals;
    sigdelset(&stop, SIGHUP);
    while (!atomic_load(&job.done)) {
        struct timespec pause = {0, DRAIN_POLL_NS};
        if (sigtimedwait(&stop, NULL, &pause) > 0) {
            /* All that was acknowledged is on disk; nothing is lost by going now. */
            MW_LOG(MW_LOG_WARN, "serve", "second signal: stopping at once");
            _exit(MW_EXIT_DONE);
        }
    }
    pthread_join(thread, NULL);
}

/* ---- reload -------------------------------------------------------------------------------- */

static bool option_differs(const mw_option *option, const mw_server_options *a,
                           const mw_server_options *b)
{
    const char *left = (const char *)a + option->offset, *right = (const char *)b + option->offset;
    switch (option->type) {
    case MW_OPTION_TEXT:
    case MW_OPTION_LIST: return strcmp(left, right) != 0;
    case MW_OPTION_BOOL: return *(const bool *)left != *(const bool *)right;
    default: return memcmp(left, right, sizeof(uint64_t)) != 0;
    }
}

/* New certificates for new connections; what cannot be used changes nothing. */
static void reload_tls(wiring *all, const mw_server_options *fresh)
{
    mw_detail detail = {.message = ""};
    mw_net *net = atomic_load(&all->server.net);
    mw_net_tls paths = tls_paths(fresh);
    bool before = mw_net_tls_on(net);
    mw_err err = mw_net_tls_reload(net, &paths, &detail);
    if (err)
        MW_LOG(MW_LOG_ERROR, "serve", "TLS is unchanged, the new files cannot be used",
               MW_KV_STR("option", detail.field),
               MW_KV_STR("why", detail.message[0] ? detail.message : mw_err_text(err)),
               MW_KV_STR("fix", detail.hint));
    else if (before || mw_net_tls_on(net))
        MW_LOG(MW_LOG_INFO, "serve", "TLS reloaded",
               MW_KV_STR("state", mw_net_tls_on(net) ? "on" : "off"));
}

/* Other threads read the settings, so only the fields that nobody else looks at change. */
static void reload(wiring *all)
{
    mw_detail detail = {.message = ""};
    mw_server_settings fresh;
    mw_server_options *current = &all->server.settings.values;
    mw_err err = mw_server_options_load(&fresh, all->argc, all->argv, &detail);
    if (err) {
        MW_LOG(MW_LOG_ERROR, "serve", "reload refused, the old options stay",
               MW_KV_STR("option", detail.field), MW_KV_STR("why", detail.message));
        return;
    }
    for (size_t i = 0; i < MW_SERVER_OPTION_COUNT; i++) {
        const mw_option *option = &mw_server_option_table[i];
        if (!option->reloadable && option_differs(option, current, &fresh.values))
            MW_LOG(MW_LOG_WARN, "serve", "this option changes at the next start",
                   MW_KV_STR("option", option->name));
    }
    memcpy(current->log_level, fresh.values.log_level, sizeof current->log_level);
    memcpy(current->allowed_hosts, fresh.values.allowed_hosts, sizeof current->allowed_hosts);
    memcpy(current->allowed_origins, fresh.values.allowed_origins, sizeof current->allowed_origins);
    mw_log_set_level(mw_server_log_level(current));
    publish_policy(&all->server);
    reload_tls(all, &fresh.values);
    err = mw_webhooks_reload(all->server.webhooks);
    if (mw_tokens_reload(all->server.tokens) != MW_OK)
        MW_LOG(MW_LOG_ERROR, "serve", "no token is good until they can be read");
    MW_LOG(err ? MW_LOG_ERROR : MW_LOG_INFO, "serve", "reloaded",
           MW_KV_STR("webhooks", mw_err_text(err)));
}

/* ---- main thread --------------------------------------------------------------------------- */

/* What is done now and then. */
static void keep_house(mw_server *server)
{
    mw_ballast_keep(&server->settings.values);
    mw_pace_note(&server->pace, mw_clock_mono_ns(server->clock),
                 mw_counter_value(MW_COUNT_STORE_BYTES));
    mw_give_back_look(&server->give_back, mw_counter_value(MW_COUNT_NET_BYTES_IN));
    mw_refusals_tick(server->refusals, false);
    mw_tokens_tick(server->tokens);
    mw_webhooks_tick(server->webhooks);
}

static void wait_for_end(wiring *all)
{
    for (;;) {
        struct timespec pause = {HOUSE_POLL_S, 0};
        int signal_number = sigtimedwait(&all->signals, NULL, &pause);
        if (signal_number == SIGHUP)
            reload(all);
        else if (signal_number > 0)
            return;
        keep_house(&all->server);
    }
}

static int run(wiring *all)
{
    mw_detail detail = {.message = ""};
    mw_server *server = &all->server;
    mw_missing_warn(&server->settings.values);
    mw_err err = open_store(server, &detail);
    if (err)
        return fail("store", err, &detail);
    err = open_state(server, &detail);
    if (err)
        return fail("state", err, &detail);
    err = start_rooms(server);
    if (err)
        return fail("cannot start", err, &detail);
    err = open_ports(all, &detail);
    if (err)
        return fail("ports", err, &detail);
    err = mw_endpoints_write(server);
    if (err)
        return fail("cannot write endpoints.json", err, &detail);
    atomic_store(&server->ready, true);
    MW_LOG(MW_LOG_INFO, "serve", "ready", MW_KV_STR("version", MW_VERSION),
           MW_KV_STR("grpc", mw_net_endpoint(atomic_load(&server->net), MW_PORT_GRPC)),
           MW_KV_STR("http", mw_net_endpoint(atomic_load(&server->net), MW_PORT_HTTP)),
           MW_KV_STR("web", mw_net_endpoint(atomic_load(&server->net), MW_PORT_WEB)));
    mw_announce(server);
    keep_house(server);
    wait_for_end(all);
    return MW_EXIT_DONE;
}

static int serve(wiring *all)
{
    mw_detail detail = {.message = ""};
    mw_server *server = &all->server;
    const char *data = server->settings.values.data;
    mw_err err = mw_data_directory_prepare(data, &detail);
    if (!err)
        err = mw_data_lock(data, &server->lock_fd, &detail);
    if (err)
        return fail("data directory", err, &detail);
    err = mw_pacer_start(&server->session_pacer, MW_API_SESSION_FOLLOW_NS,
                         mw_api_wake_session_followers, server);
    if (err)
        return fail("a thread", err, &detail);
    (void)mw_ballast_release(&server->settings.values, "this start");
    mw_endpoints_remove(server);
    int status = run(all);
    if (atomic_load(&server->net)) {
        mw_ballast_keep(&server->settings.values);
        drain_net(all);
    }
    mw_endpoints_remove(server);
    if (atomic_load(&server->net) && mw_net_in_flight(atomic_load(&server->net)) > 0) {
        MW_LOG(MW_LOG_WARN, "serve", "requests were cut off by the end of the drain");
        _exit(status);
    }
    stop_rooms(server);
    MW_LOG(MW_LOG_INFO, "serve", "stopped");
    return status;
}

static void print_help(void)
{
    printf(
        "Usage: midwatch serve [OPTIONS]\n\n"
        "Runs the daemon in the foreground: receives telemetry and alarms, triages and\n"
        "investigates. SIGTERM or Ctrl-C drains and stops it, SIGHUP reloads.\n\n"
        "Every option can also stand in the file given with --config, under its name, or in\n"
        "the environment as MIDWATCH_NAME. A flag beats the environment, that beats the file.\n\n"
        "Options:\n");
    mw_options_print_help(mw_server_option_table, MW_SERVER_OPTION_COUNT);
}

int mw_serve_main(int argc, char **argv)
{
    static wiring all; /* large, and alive as long as any thread */
    mw_detail detail = {.message = ""};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return MW_EXIT_DONE;
        }
    all.argc = argc - 1;
    all.argv = argv + 1;
    mw_process_harden();
    mw_err err = mw_server_options_load(&all.server.settings, all.argc, all.argv, &detail);
    if (err) {
        fprintf(stderr, "midwatch: %s: %s%s%s\n", detail.field[0] ? detail.field : "serve",
                detail.message[0] ? detail.message : mw_err_text(err), detail.hint[0] ? "; " : "",
                detail.hint);
        return MW_EXIT_USAGE;
    }
    const mw_server_options *options = &all.server.settings.values;
    mw_log_init(mw_server_log_level(options), mw_server_log_format(options, isatty(STDERR_FILENO)),
                STDERR_FILENO);
    mw_memory_init((size_t)options->memory_limit);
    mw_memory_reserve(mw_collector_request_cost((size_t)options->max_request));
    mw_server_allocators_install();
    all.server.clock = mw_clock_system();
    mw_stream_group_init(&all.server.followers);
    mw_stream_group_init(&all.server.session_followers);
    mw_pace_init(&all.server.pace);
    all.server.started_ns = mw_clock_mono_ns(all.server.clock);
    sigemptyset(&all.signals);
    sigaddset(&all.signals, SIGTERM);
    sigaddset(&all.signals, SIGINT);
    sigaddset(&all.signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &all.signals, NULL);
    return serve(&all);
}
