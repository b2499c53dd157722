/* Start, drain and end of the room. See net.h; the rest is one level down:
 *
 *     listener   addresses, sockets            loop         threads, mailbox
 *     connection reads, protocol, writes       transport    clear text or TLS
 *     tls        certificates, reload
 *     http1, http1_session, grpc               framing, sans I/O
 *     http2, http2_answer, ping_guard          the same, on nghttp2
 *     exchange, body, inflate, request         one request, whatever the framing
 *     stream, sse                              an answer in pieces, events
 *     router, router_words, cors               which handler, or why none
 */
#include <event2/event.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/net/loop_int.h"
#include "lib/net/tls_int.h"

/* How often a drain looks whether it is done. */
#define POLL_MS 5u
/* A loop obeys as soon as its current handler returns; this long before a drain goes on alone. */
#define OBEY_MS 5000u

struct mw_net {
    mw_front front;
    mw_tls tls;
    mw_listeners listeners;
    mw_loop *loops[MW_NET_LOOPS_MAX];
    unsigned loop_count;
    bool drained;
};

/* ---- libevent's memory ----------------------------------------------------------------------- */

static void *event_malloc(size_t size)
{
    return mw_alloc(MW_MEM_EVENT, size);
}

static void *event_realloc(void *pointer, size_t size)
{
    return mw_realloc(MW_MEM_EVENT, pointer, size);
}

static void event_free_memory(void *pointer)
{
    mw_free(MW_MEM_EVENT, pointer);
}

static void account_libevent(void)
{
    event_set_mem_functions(event_malloc, event_realloc, event_free_memory);
}

/* ---- start ----------------------------------------------------------------------------------- */

static bool given(const char *text)
{
    return text && *text;
}

/* All ports are bound before the first loop starts: a start that fails has served nobody. */
static mw_err open_listeners(mw_net *net, mw_detail *detail)
{
    const mw_net_config *config = &net->front.config;
    const struct {
        mw_port port;
        const char *field;
        const char *addresses;
    } rows[] = {{MW_PORT_GRPC, "grpc", config->grpc_address},
                {MW_PORT_HTTP, "http", config->http_address},
                {MW_PORT_WEB, "web", config->web_address}};
    mw_listeners_init(&net->listeners);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!given(rows[i].addresses))
            continue;
        mw_err err = mw_listeners_tcp(&net->listeners, rows[i].port, rows[i].field,
                                      rows[i].addresses, detail);
        if (err != MW_OK)
            return err;
        mw_router_endpoint(&net->front.router, rows[i].port, net->listeners.endpoints[i]);
    }
    if (!given(config->socket_path))
        return MW_OK;
    mw_err err = mw_listeners_unix(&net->listeners, config->socket_path, detail);
    mw_router_endpoint(&net->front.router, MW_PORT_SOCKET, net->listeners.socket_path);
    return err;
}

static unsigned choose_loops(unsigned wanted)
{
    if (wanted == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        wanted = processors > 0 ? (unsigned)processors : 1;
    }
    return wanted < MW_NET_LOOPS_MAX ? wanted : MW_NET_LOOPS_MAX;
}

static mw_err start_loops(mw_net *net, mw_detail *detail)
{
    unsigned wanted = choose_loops(net->front.config.loops);
    mw_err err = MW_OK;
    for (unsigned i = 0; i < wanted && err == MW_OK; i++) {
        err = mw_loop_new(&net->front, &net->listeners, i, &net->loops[i]);
        if (err == MW_OK)
            net->loop_count++;
    }
    /* All exist before the first accepts: connections are shared out from the start. */
    for (unsigned i = 0; i < net->loop_count && err == MW_OK; i++) {
        net->loops[i]->loops = net->loops;
        net->loops[i]->loop_count = net->loop_count;
    }
    for (unsigned i = 0; i < net->loop_count && err == MW_OK; i++)
        err = mw_loop_start(net->loops[i]);
    if (err != MW_OK)
        return mw_detail_set(detail, err, "", "raise the limits on memory, files or threads",
                             "the network threads cannot be started");
    return MW_OK;
}

static void set_defaults(mw_net_config *config)
{
    if (!config->clock)
        config->clock = mw_clock_system();
    if (config->max_connections == 0)
        config->max_connections = MW_NET_CONNECTIONS_DEFAULT;
}

mw_err mw_net_start(const mw_net_config *config, mw_net **out, mw_detail *detail)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, account_libevent);
    mw_net *net = mw_calloc_or_die(MW_MEM_NET, 1, sizeof *net);
    net->front.config = *config;
    pthread_mutex_init(&net->front.door, NULL);
    set_defaults(&net->front.config);
    mw_router_init(&net->front.router, config->routes, config->route_count);
    net->front.http2 = mw_http2_setup_new();
    mw_tls_init(&net->tls);
    net->front.tls = &net->tls;
    mw_err err = net->front.http2 ? mw_net_tls_reload(net, &config->tls, detail) : MW_E_NOMEM;
    net->front.config.tls = (mw_net_tls){0}; /* borrowed for this call only */
    if (err == MW_OK)
        err = open_listeners(net, detail);
    if (err == MW_OK)
        err = start_loops(net, detail);
    if (err != MW_OK) {
        mw_net_free(net);
        net = NULL;
    }
    *out = net;
    return err;
}

mw_err mw_net_tls_reload(mw_net *net, const mw_net_tls *paths, mw_detail *detail)
{
    return mw_tls_load(&net->tls, paths, net->front.config.clock, detail);
}

/* ---- questions ------------------------------------------------------------------------------- */

mw_err mw_net_addresses_check(const char *text, const char *field, mw_detail *detail)
{
    mw_address_list list;
    return mw_address_parse(text, field, &list, detail);
}

const char *mw_net_endpoint(const mw_net *net, mw_port port)
{
    return net->front.router.endpoints[__builtin_ctz((unsigned)port)];
}

bool mw_net_tls_on(const mw_net *net)
{
    return mw_tls_is_on(&net->tls);
}

size_t mw_net_connections(const mw_net *net)
{
    return mw_front_connections(&net->front);
}

size_t mw_net_in_flight(const mw_net *net)
{
    return atomic_load(&net->front.in_flight);
}

/* ---- end ------------------------------------------------------------------------------------- */

static void nap(void)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * MW_NS_PER_MS};
    nanosleep(&pause, NULL);
}

static void tell_all(mw_net *net, mw_loop_command command)
{
    for (unsigned i = 0; i < net->loop_count; i++)
        mw_loop_tell(net->loops[i], command);
}

static bool all_obeyed(const mw_net *net, mw_loop_command command)
{
    for (unsigned i = 0; i < net->loop_count; i++)
        if (net->loops[i]->started && atomic_load(&net->loops[i]->obeyed) < (int)command)
            return false;
    return true;
}

static void tell_and_wait(mw_net *net, mw_loop_command command)
{
    tell_all(net, command);
    for (unsigned ms = 0; ms < OBEY_MS && !all_obeyed(net, command); ms += POLL_MS)
        nap();
}

void mw_net_drain(mw_net *net, unsigned timeout_ms)
{
    if (net->drained)
        return;
    net->drained = true;
    tell_and_wait(net, MW_LOOP_DRAIN);
    mw_listeners_close(&net->listeners);
    /* Polled: this is the end of the process, and no clock of a test has a say in it. */
    for (unsigned ms = 0; ms < timeout_ms; ms += POLL_MS) {
        if (mw_net_connections(net) == 0 && mw_net_in_flight(net) == 0)
            break;
        nap();
    }
    tell_and_wait(net, MW_LOOP_CLOSE);
}

void mw_net_free(mw_net *net)
{
    if (!net)
        return;
    mw_net_drain(net, 0);
    tell_all(net, MW_LOOP_STOP);
    for (unsigned i = 0; i < net->loop_count; i++)
        mw_loop_join(net->loops[i]);
    size_t handed = atomic_load(&net->front.handed);
    if (handed > 0) {
        /* Somebody still owns requests: leaving the memory is better than letting a late reply
         * write into what was freed. */
        MW_LOG(MW_LOG_ERROR, "net", "requests were never answered", MW_KV_U64("requests", handed));
        return;
    }
    for (unsigned i = 0; i < net->loop_count; i++)
        mw_loop_free(net->loops[i]);
    mw_http2_setup_free(net->front.http2);
    mw_tls_fini(&net->tls);
    mw_router_fini(&net->front.router);
    pthread_mutex_destroy(&net->front.door);
    mw_free(MW_MEM_NET, net);
}
