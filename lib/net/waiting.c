/* Those of one loop that wait. See waiting_int.h. */
#include "lib/net/loop_int.h"
#include "lib/net/waiting_int.h"

/* ---- the list ---------------------------------------------------------------------------------*/

void mw_waiting_init(mw_waiting *waiting, mw_front *front, unsigned seat)
{
    MW_ASSERT(seat < MW_ADMISSION_LOOPS_MAX);
    *waiting = (mw_waiting){.front = front, .seat = seat};
}

static void link_waiting(mw_waiting *waiting, mw_exchange *exchange)
{
    mw_wait *wait = &exchange->wait;
    wait->list = waiting;
    wait->previous = NULL;
    wait->next = waiting->first;
    if (wait->next)
        wait->next->wait.previous = exchange;
    waiting->first = exchange;
    waiting->count++;
}

/* Leaves what the exchange holds; kind is NONE afterwards. */
static void unlink_waiting(mw_exchange *exchange)
{
    mw_wait *wait = &exchange->wait;
    mw_waiting *waiting = wait->list;
    if (wait->next)
        wait->next->wait.previous = wait->previous;
    if (wait->previous)
        wait->previous->wait.next = wait->next;
    else
        waiting->first = wait->next;
    waiting->count--;
    if (wait->kind == MW_WAIT_BODY)
        exchange->wire->waiting--;
    wait->next = wait->previous = NULL;
    wait->list = NULL;
    wait->kind = MW_WAIT_NONE;
}

void mw_waiting_forget(mw_exchange *exchange)
{
    if (exchange->wait.list)
        unlink_waiting(exchange);
}

static void publish(const mw_waiting *waiting)
{
    size_t best[MW_LANES] = {0};
    size_t count = 0;
    for (const mw_exchange *at = waiting->first; at; at = at->wait.next) {
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
    link_waiting(waiting, exchange);
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
    link_waiting(waiting, exchange);
}

void mw_waiting_drop(mw_waiting *waiting)
{
    while (waiting->first) {
        mw_exchange *exchange = waiting->first;
        MW_ASSERT(exchange->wait.kind == MW_WAIT_HANDLER && !exchange->wire);
        unlink_waiting(exchange);
        drop_parked(exchange);
    }
}

/* ---- handlers ---------------------------------------------------------------------------------*/

static void try_handler(mw_exchange *exchange)
{
    unlink_waiting(exchange);
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
    for (mw_exchange *at = waiting->first, *next; at; at = next) {
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
    for (mw_exchange *at = waiting->first; at; at = at->wait.next)
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
        unlink_waiting(exchange);
        mw_connection_resume_body(exchange->wire->owner, exchange);
    }
}

static void look_at_sockets(mw_waiting *waiting)
{
    for (mw_exchange *at = waiting->first; at; at = at->wait.next) {
        if (at->wait.kind != MW_WAIT_BODY)
            continue;
        at->wait.unread = mw_connection_input_waits(at->wire->owner);
        at->wait.ready = mw_admission_is_ready(at);
    }
}

static void refuse_overdue(mw_waiting *waiting, int64_t now_ns)
{
    for (mw_exchange *at = waiting->first, *next; at; at = next) {
        next = at->wait.next;
        if (at->wait.kind == MW_WAIT_BODY && at->wait.until_ns <= now_ns)
            mw_connection_refuse_body(at->wire->owner, at);
    }
}

/* ---- what sits on memory ----------------------------------------------------------------------*/

/* The window begins anew while it is good, and while it is us who do not read. */
bool mw_waiting_is_stalled(mw_exchange *exchange, int64_t now_ns)
{
    bool holds = mw_admission_holds(exchange);
    int64_t window_ns = !holds                  ? MW_ADMISSION_STALL_NS
                        : exchange->hold_proven ? MW_ADMISSION_HOLD_NS
                                                : MW_ADMISSION_HOLD_FIRST_NS;
    uint64_t bytes = holds ? MW_ADMISSION_HOLD_BYTES : MW_ADMISSION_STALL_BYTES;
    if (exchange->state != MW_EXCHANGE_BODY)
        return false;
    if (holds)
        mw_admission_give_back(exchange);
    bool moves = exchange->received - exchange->rate_received >= bytes;
    if (!moves && exchange->wire->waiting == 0)
        return exchange->body_bytes > 0 && now_ns - exchange->rate_ns >= window_ns;
    exchange->rate_ns = now_ns;
    exchange->rate_received = exchange->received;
    exchange->hold_proven = holds;
    return false;
}

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
        if (!mw_waiting_is_stalled(found, now_ns))
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
    bool pressed = waiting->count > 0 || mw_admission_anyone_waits(&waiting->front->seats);
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
