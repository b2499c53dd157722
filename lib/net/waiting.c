/* Those of one loop that wait. See waiting_int.h. */
#include "lib/net/loop_int.h"
#include "lib/net/waiting_int.h"

/* ---- the list ---------------------------------------------------------------------------------*/

void mw_waiting_init(mw_waiting *waiting, mw_front *front, unsigned seat)
{
    MW_ASSERT(seat < MW_ADMISSION_LOOPS_MAX);
    *waiting = (mw_waiting){.front = front, .seat = seat};
}

static void publish(const mw_waiting *waiting)
{
    size_t best[MW_LANES] = {0};
    size_t count = 0;
    for (const mw_exchange *at = waiting->list.first; at; at = at->wait.next) {
        if (at->wait.kind != MW_WAIT_BODY)
            continue;
        mw_lane lane = mw_admission_lane(at);
        count++;
        if (at->wait.ready && mw_admission_progress(at) > best[lane])
            best[lane] = mw_admission_progress(at);
    }
    for (unsigned lane = 0; lane < MW_LANES; lane++)
        atomic_store_explicit(&waiting->front->seats.best[lane][waiting->seat], best[lane],
                              memory_order_relaxed);
    atomic_store_explicit(&waiting->front->seats.waiting[waiting->seat], count,
                          memory_order_relaxed);
}

void mw_waiting_add(mw_waiting *waiting, mw_exchange *exchange)
{
    MW_ASSERT(exchange->wait.kind == MW_WAIT_BODY && !exchange->wait.list);
    if (exchange->wait.spent_ns == 0)
        mw_count(MW_COUNT_NET_WAITED_BODY, 1);
    mw_wait_list_add(&waiting->list, exchange);
    publish(waiting);
}

/* As after a reply to a client that has gone. */
static void drop_parked(mw_exchange *exchange)
{
    if (mw_exchange_replied(exchange))
        mw_connection_reply(exchange->wire->owner, exchange);
}

void mw_waiting_park(mw_waiting *waiting, mw_exchange *exchange)
{
    MW_ASSERT(exchange->state == MW_EXCHANGE_HANDLER && !exchange->wait.list);
    exchange->deferred = false;
    if (!exchange->wire || exchange->gone) {
        drop_parked(exchange);
        return;
    }
    exchange->wait.kind = MW_WAIT_HANDLER;
    mw_wait_list_add(&waiting->list, exchange);
}

void mw_waiting_drop(mw_waiting *waiting)
{
    while (waiting->list.first) {
        mw_exchange *exchange = waiting->list.first;
        MW_ASSERT(exchange->wait.kind == MW_WAIT_HANDLER && !exchange->wire);
        mw_wait_list_remove(exchange);
        drop_parked(exchange);
    }
}

/* ---- handlers ---------------------------------------------------------------------------------*/

static void try_handler(mw_exchange *exchange)
{
    mw_wait_list_remove(exchange);
    if (!exchange->wire || exchange->gone) {
        drop_parked(exchange);
        return;
    }
    /* It waits because something was short; if that was memory, this is its way out. */
    if (mw_admission_is_short())
        (void)mw_admission_take_seat(exchange);
    mw_exchange_call_handler(exchange);
}

static void try_handlers(mw_waiting *waiting, int64_t now_ns)
{
    for (mw_exchange *at = waiting->list.first, *next; at; at = next) {
        next = at->wait.next;
        if (at->wait.kind == MW_WAIT_HANDLER && at->wait.due_ns <= now_ns)
            try_handler(at);
    }
}

/* ---- bodies -----------------------------------------------------------------------------------*/

/* The one of the lane that has received most and was not looked at in this tick. */
static mw_exchange *next_to_try(const mw_waiting *waiting, mw_lane lane, int64_t now_ns)
{
    mw_exchange *best = NULL;
    for (mw_exchange *at = waiting->list.first; at; at = at->wait.next)
        if (at->wait.kind == MW_WAIT_BODY && at->wait.due_ns != now_ns &&
            mw_admission_lane(at) == lane &&
            (!best || mw_admission_progress(at) > mw_admission_progress(best)))
            best = at;
    return best;
}

static void try_lane(mw_waiting *waiting, mw_lane lane, int64_t now_ns)
{
    for (unsigned i = 0; i < MW_WAITING_TRIES; i++) {
        mw_exchange *exchange = next_to_try(waiting, lane, now_ns);
        if (!exchange)
            return;
        exchange->wait.due_ns = now_ns;
        if (!mw_admission_could_grow(exchange))
            continue;
        exchange->wait.spent_ns += now_ns - exchange->wait.since_ns;
        exchange->wait.ready = false;
        exchange->wait.unread = 0;
        mw_wait_list_remove(exchange);
        mw_connection_resume_body(exchange->wire->owner, exchange);
    }
}

static void look_at_sockets(mw_waiting *waiting)
{
    for (mw_exchange *at = waiting->list.first; at; at = at->wait.next) {
        if (at->wait.kind != MW_WAIT_BODY)
            continue;
        at->wait.unread = mw_connection_input_waits(at->wire->owner);
        at->wait.ready = mw_admission_is_ready(at);
    }
}

static void refuse_overdue(mw_waiting *waiting, int64_t now_ns)
{
    for (mw_exchange *at = waiting->list.first, *next; at; at = next) {
        next = at->wait.next;
        if (at->wait.kind == MW_WAIT_BODY && at->wait.until_ns <= now_ns)
            mw_connection_refuse_body(at->wire->owner, at);
    }
}

/* ---- what sits on memory ----------------------------------------------------------------------*/

static void give_up(mw_exchange *exchange)
{
    mw_count(MW_COUNT_NET_SHED, 1);
    mw_connection_refuse_body(exchange->wire->owner, exchange);
}

/* Only the loop that owns the holder may look into it, so each looks whether it is here. */
static void watch_holder(mw_loop *loop, int64_t now_ns)
{
    const mw_exchange *holder = atomic_load(&loop->front->seats.holder);
    if (!holder)
        return;
    for (mw_connection *at = loop->connections; at; at = at->next) {
        mw_exchange *found = at->wire.holder;
        if (!found || found != holder)
            continue;
        if (!mw_admission_is_stalled(found, now_ns))
            return;
        at->wire.wasted = true;
        give_up(found);
        return;
    }
}

/* The stalled body that has received least, NULL = none. */
static mw_exchange *least_progressed(const mw_loop *loop, int64_t now_ns)
{
    mw_exchange *least = NULL;
    for (mw_connection *at = loop->connections; at; at = at->next) {
        mw_exchange *found = mw_connection_find_stalled(at, now_ns);
        if (found && (!least || found->received < least->received))
            least = found;
    }
    return least;
}

static void shed(mw_loop *loop, int64_t now_ns)
{
    for (mw_connection *at = loop->connections; at; at = at->next)
        mw_connection_shed_output(at, now_ns);
    for (unsigned i = 0; i < MW_WAITING_SHED_MAX && mw_admission_is_short(); i++) {
        mw_exchange *least = least_progressed(loop, now_ns);
        if (!least)
            return;
        give_up(least);
    }
}

void mw_waiting_tick(mw_waiting *waiting, mw_loop *loop, int64_t now_ns)
{
    bool pressed = waiting->list.count > 0 || mw_admission_anyone_waits(&waiting->front->seats);
    if (!pressed)
        return;
    refuse_overdue(waiting, now_ns);
    watch_holder(loop, now_ns);
    if (mw_admission_is_short())
        shed(loop, now_ns);
    look_at_sockets(waiting);
    publish(waiting);
    try_handlers(waiting, now_ns);
    try_lane(waiting, MW_LANE_SMALL, now_ns);
    try_lane(waiting, MW_LANE_LARGE, now_ns);
    publish(waiting);
}
