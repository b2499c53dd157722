/* A thread with its event base and its connections. See loop_int.h. */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/net/loop_int.h"
#include "lib/net/stream_int.h"

/* Taken at one go, so that a storm of connections does not starve those that are open. */
#define ACCEPTS_A_TURN 32

static const struct timeval sweep_interval = {.tv_sec = 1};
/* While draining, so that the second GOAWAY and the end come soon. */
static const struct timeval tick_interval = {.tv_usec = MW_ADMISSION_TICK_NS / 1000};
static const struct timeval drain_interval = {.tv_usec = 20000};

/* The loop this thread runs, NULL on other threads. */
static _Thread_local mw_loop *own_loop;

static void wake(mw_loop *loop)
{
    const uint64_t one = 1;
    /* It can only fail when the counter is full: the loop is awake then. */
    if (write(loop->wake_fd, &one, sizeof one) != sizeof one)
        MW_ASSERT(errno == EAGAIN);
}

/* ---- replies and settling -------------------------------------------------------------------- */

void mw_loop_post(void *ctx, mw_exchange *exchange)
{
    mw_loop *loop = ctx;
    if (own_loop != loop) {
        mw_loop_post_later(ctx, exchange);
        return;
    }
    exchange->next_reply = loop->replies;
    loop->replies = exchange;
}

void mw_loop_post_later(void *ctx, mw_exchange *exchange)
{
    mw_loop *loop = ctx;
    pthread_mutex_lock(&loop->lock);
    /* One wake-up for a whole batch of answers: the writer of a group commit replies to many. */
    bool was_empty = !loop->mail_replies;
    exchange->next_reply = loop->mail_replies;
    loop->mail_replies = exchange;
    pthread_mutex_unlock(&loop->lock);
    if (was_empty)
        wake(loop);
}

/* Lists are built by pushing in front: turned here, so that answers leave in order of reply. */
static mw_exchange *oldest_first(mw_exchange *list)
{
    mw_exchange *turned = NULL;
    while (list) {
        mw_exchange *next = list->next_reply;
        list->next_reply = turned;
        turned = list;
        list = next;
    }
    return turned;
}

/* The timer may fail for memory: then the sweep is the tick. */
static void start_ticking(mw_loop *loop)
{
    if (!loop->ticking)
        loop->ticking = event_add(&loop->tick_event, &tick_interval) == 0;
}

/* What is waited for may be held by connections of another loop. */
void mw_loop_wait(void *ctx, mw_exchange *exchange)
{
    mw_loop *loop = ctx;
    mw_waiting_add(&loop->waiting, exchange);
    start_ticking(loop);
    for (unsigned i = 0; i < loop->loop_count && loop->waiting.list.count == 1; i++)
        if (loop->loops[i] != loop)
            wake(loop->loops[i]);
}

static void deliver(mw_loop *loop, mw_exchange *list)
{
    list = oldest_first(list);
    while (list) {
        mw_exchange *next = list->next_reply;
        if (list->deferred) {
            mw_waiting_park(&loop->waiting, list);
            start_ticking(loop);
        } else if (list->offered) {
            if (mw_stream_delivered(list))
                mw_connection_stream(list->wire->owner, list);
        } else if (mw_exchange_replied(list))
            mw_connection_reply(list->wire->owner, list);
        list = next;
    }
}

void mw_loop_mark_dirty(mw_loop *loop, mw_connection *connection)
{
    if (connection->dirty)
        return;
    connection->dirty = true;
    connection->next_dirty = loop->dirty;
    loop->dirty = connection;
}

/* Settling a connection may run handlers, whose replies make connections dirty again; it ends
 * because every round takes input that was already read, and new input waits for its event. */
void mw_loop_settle(mw_loop *loop)
{
    while (loop->replies || loop->dirty) {
        mw_exchange *replies = loop->replies;
        loop->replies = NULL;
        deliver(loop, replies);
        mw_connection *dirty = loop->dirty;
        loop->dirty = NULL;
        while (dirty) {
            mw_connection *next = dirty->next_dirty;
            dirty->dirty = false;
            dirty->next_dirty = NULL;
            mw_connection_settle(dirty);
            dirty = next;
        }
    }
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* A gRPC client has one connection for all its calls: where the kernel's accept would put two of
 * them on one loop, half of the machine would be idle. */
static mw_loop *least_loaded(mw_loop *loop)
{
    mw_loop *best = loop;
    for (unsigned i = 0; i < loop->loop_count; i++)
        if (atomic_load(&loop->loops[i]->load) < atomic_load(&best->load))
            best = loop->loops[i];
    return best;
}

static void open_here(mw_loop *loop, int fd, mw_port port, const mw_peer *peer)
{
    if (mw_connection_open(loop, fd, port, peer) != MW_OK)
        mw_count(MW_COUNT_NET_REFUSED_MEMORY, 1);
}

/* Counted in, and not opened after all. */
static void forget(mw_loop *loop, int fd, mw_port port)
{
    atomic_fetch_sub(&loop->load, 1);
    mw_front_leave(loop->front, port);
    (void)close(fd);
}

static void send_over(mw_loop *target, int fd, mw_port port, const mw_peer *peer)
{
    mw_arrival *arrival = mw_alloc(MW_MEM_NET, sizeof *arrival);
    if (!arrival) {
        mw_count(MW_COUNT_NET_REFUSED_MEMORY, 1);
        forget(target, fd, port);
        return;
    }
    *arrival = (mw_arrival){.fd = fd, .port = port, .peer = *peer};
    pthread_mutex_lock(&target->lock);
    arrival->next = target->mail_arrivals;
    target->mail_arrivals = arrival;
    pthread_mutex_unlock(&target->lock);
    wake(target);
}

static void refuse(mw_front *front, int fd, mw_port port)
{
    if (mw_front_log_due(&front->full_log_ns, mw_clock_mono_ns(front->config.clock)))
        MW_LOG(MW_LOG_WARN, "net", "too many connections: the newest are closed",
               MW_KV_STR("port", mw_port_name(port)),
               MW_KV_U64("limit", front->config.max_connections),
               MW_KV_STR("fix", "raise max_connections, or find who holds them"));
    mw_count(MW_COUNT_NET_REFUSED_MEMORY, 1);
    (void)close(fd);
}

static void take_socket(mw_loop *loop, int fd, mw_port port, const struct sockaddr_storage *address)
{
    mw_front *front = loop->front;
    mw_peer peer;
    mw_count(MW_COUNT_CONNECTIONS, 1);
    if (!mw_front_enter(front, port)) {
        refuse(front, fd, port);
        return;
    }
    mw_loop *target = least_loaded(loop);
    atomic_fetch_add(&target->load, 1);
    if (mw_peer_of(fd, address, port, &peer) != MW_OK) {
        forget(target, fd, port);
    } else if (target == loop) {
        open_here(loop, fd, port, &peer);
    } else {
        send_over(target, fd, port, &peer);
    }
}

static void set_accepting(mw_loop *loop, bool accepting)
{
    for (size_t i = 0; i < loop->acceptor_count && loop->accepting != accepting; i++) {
        struct event *event = &loop->acceptors[i].event;
        if ((accepting ? event_add(event, NULL) : event_del(event)) != 0)
            MW_LOG(MW_LOG_ERROR, "net", "a listener could not be watched");
    }
    loop->accepting = accepting;
}

/* Without a free descriptor the listener stays readable: stop looking until the next sweep. */
static void pause_accepting(mw_loop *loop, int error)
{
    mw_front *front = loop->front;
    loop->accept_paused = true;
    set_accepting(loop, false);
    if (mw_front_log_due(&front->accept_log_ns, mw_clock_mono_ns(front->config.clock)))
        MW_LOG(MW_LOG_ERROR, "net", "connections cannot be accepted",
               MW_KV_STR("cause", strerror(error)));
}

static bool is_passing(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ECONNABORTED ||
           error == EPROTO || error == EPERM || error == ENETDOWN || error == EHOSTUNREACH;
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
    (void)what;
    mw_acceptor *acceptor = arg;
    mw_loop *loop = acceptor->loop;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        int fd = accept4(listener, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (!is_passing(errno))
                pause_accepting(loop, errno);
            break;
        }
        take_socket(loop, fd, acceptor->port, &address);
    }
    mw_loop_settle(loop);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    mw_loop *loop = arg;
    int64_t now_ns = mw_clock_mono_ns(loop->front->config.clock);
    if (loop->accept_paused) {
        loop->accept_paused = false;
        set_accepting(loop, true);
    }
    /* Marking only: nothing is freed before settle. */
    for (mw_connection *at = loop->connections; at; at = at->next)
        mw_connection_sweep(at, now_ns);
    mw_waiting_tick(&loop->waiting, loop, now_ns);
    mw_loop_settle(loop);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    mw_loop *loop = arg;
    mw_waiting_tick(&loop->waiting, loop, mw_clock_mono_ns(loop->front->config.clock));
    mw_loop_settle(loop);
    if (loop->waiting.list.count == 0 && !mw_admission_anyone_waits(&loop->front->seats) &&
        event_del(&loop->tick_event) == 0)
        loop->ticking = false;
}

static void begin_drain(mw_loop *loop)
{
    set_accepting(loop, false);
    loop->accept_paused = false;
    for (mw_connection *at = loop->connections; at; at = at->next)
        mw_connection_drain(at);
    if (event_add(&loop->sweep_event, &drain_interval) != 0)
        MW_LOG(MW_LOG_ERROR, "net", "the drain timer could not be set");
}

static void close_all(mw_loop *loop)
{
    for (mw_connection *at = loop->connections; at; at = at->next) {
        at->wire.broken = true;
        mw_loop_mark_dirty(loop, at);
    }
}

/* Commands only go forward: each one includes those before it. */
static void obey(mw_loop *loop)
{
    int command = atomic_load(&loop->command);
    int done = atomic_load(&loop->obeyed);
    if (command >= MW_LOOP_DRAIN && done < MW_LOOP_DRAIN)
        begin_drain(loop);
    if (command >= MW_LOOP_CLOSE && done < MW_LOOP_CLOSE)
        close_all(loop);
    mw_loop_settle(loop);
    if (command >= MW_LOOP_STOP)
        event_base_loopbreak(loop->base);
    atomic_store(&loop->obeyed, command);
}

static void take_arrivals(mw_loop *loop, mw_arrival *list, bool welcome)
{
    while (list) {
        mw_arrival *next = list->next;
        if (welcome)
            open_here(loop, list->fd, list->port, &list->peer);
        else
            forget(loop, list->fd, list->port);
        mw_free(MW_MEM_NET, list);
        list = next;
    }
}

static void take_mail(mw_loop *loop, bool welcome)
{
    pthread_mutex_lock(&loop->lock);
    mw_exchange *replies = loop->mail_replies;
    mw_arrival *arrivals = loop->mail_arrivals;
    loop->mail_replies = NULL;
    loop->mail_arrivals = NULL;
    pthread_mutex_unlock(&loop->lock);
    take_arrivals(loop, arrivals, welcome);
    deliver(loop, replies);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    mw_loop *loop = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) != sizeof count)
        MW_ASSERT(errno == EAGAIN);
    take_mail(loop, atomic_load(&loop->command) < MW_LOOP_DRAIN);
    if (mw_admission_anyone_waits(&loop->front->seats))
        start_ticking(loop);
    obey(loop);
}

/* ---- life ------------------------------------------------------------------------------------ */

static mw_err open_events(mw_loop *loop, const mw_listeners *listeners)
{
    struct event_config *config = event_config_new();
    if (!config)
        return MW_E_NOMEM;
    /* Only the loop's own thread touches its base: other threads go through the eventfd. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->read_buffer = mw_alloc(MW_MEM_NET, MW_NET_READ_SIZE);
    if (!loop->base)
        return MW_E_NOMEM;
    event_assign(&loop->wake_event, loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    event_assign(&loop->sweep_event, loop->base, -1, EV_PERSIST, on_sweep, loop);
    event_assign(&loop->tick_event, loop->base, -1, EV_PERSIST, on_tick, loop);
    if (loop->wake_fd < 0 || !loop->read_buffer)
        return loop->wake_fd < 0 ? MW_E_IO : MW_E_NOMEM;
    for (size_t i = 0; i < listeners->count; i++) {
        mw_acceptor *acceptor = &loop->acceptors[i];
        *acceptor = (mw_acceptor){
            .loop = loop, .fd = listeners->items[i].fd, .port = listeners->items[i].port};
        event_assign(&acceptor->event, loop->base, acceptor->fd, EV_READ | EV_PERSIST, on_accept,
                     acceptor);
    }
    loop->acceptor_count = listeners->count;
    set_accepting(loop, true);
    if (event_add(&loop->wake_event, NULL) != 0 ||
        event_add(&loop->sweep_event, &sweep_interval) != 0)
        return MW_E_IO;
    return MW_OK;
}

mw_err mw_loop_new(mw_front *front, const mw_listeners *listeners, unsigned number, mw_loop **out)
{
    mw_loop *loop = mw_calloc(MW_MEM_NET, 1, sizeof *loop);
    *out = loop;
    if (!loop)
        return MW_E_NOMEM;
    loop->front = front;
    loop->wake_fd = -1;
    mw_waiting_init(&loop->waiting, front, number);
    pthread_mutex_init(&loop->lock, NULL);
    mw_err err = open_events(loop, listeners);
    if (err != MW_OK) {
        mw_loop_free(loop);
        *out = NULL;
    }
    return err;
}

static void *run(void *arg)
{
    mw_loop *loop = arg;
    own_loop = loop;
    event_base_dispatch(loop->base);
    own_loop = NULL;
    return NULL;
}

mw_err mw_loop_start(mw_loop *loop)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    /* Signals are the main thread's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, MW_NET_STACK_SIZE);
    loop->started = pthread_create(&loop->thread, &attributes, run, loop) == 0;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (loop->started)
        pthread_setname_np(loop->thread, "mw-loop");
    return loop->started ? MW_OK : MW_E_IO;
}

void mw_loop_tell(mw_loop *loop, mw_loop_command command)
{
    if (atomic_load(&loop->command) < (int)command)
        atomic_store(&loop->command, (int)command);
    wake(loop);
}

static void free_parts(mw_loop *loop)
{
    if (loop->base)
        event_base_free(loop->base);
    if (loop->wake_fd >= 0)
        (void)close(loop->wake_fd);
    mw_free(MW_MEM_NET, loop->read_buffer);
    pthread_mutex_destroy(&loop->lock);
    mw_free(MW_MEM_NET, loop);
}

static bool has_mail(mw_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    bool any = loop->mail_replies || loop->mail_arrivals;
    pthread_mutex_unlock(&loop->lock);
    return any;
}

void mw_loop_join(mw_loop *loop)
{
    if (loop->started && pthread_join(loop->thread, NULL) != 0)
        mw_bug(__FILE__, __LINE__, "a loop's thread cannot be joined");
    loop->started = false;
    close_all(loop);
    mw_loop_settle(loop);
    /* Replies that came after the last event: their connections are closed, so they are only
     * freed. Streams are told, and may answer that with their end. */
    while (has_mail(loop))
        take_mail(loop, false);
    mw_waiting_drop(&loop->waiting);
}

void mw_loop_free(mw_loop *loop)
{
    MW_ASSERT(!loop->started && !loop->connections);
    if (loop->base) {
        set_accepting(loop, false);
        event_del(&loop->wake_event);
        event_del(&loop->sweep_event);
        event_del(&loop->tick_event);
    }
    free_parts(loop);
}
