/* Who may take memory for a body. See admission_int.h. */
#include "lib/net/exchange_int.h"

/* What growth leaves of the ceiling to the rest: requests that are being worked on, and lanes that
 * may use more. */
#define KNOWN_LEAVES(ceiling) ((ceiling) / 16)
#define SMALL_LEAVES(ceiling) ((ceiling) / 8)
#define LARGE_LEAVES(ceiling) ((ceiling) / 2)
/* One connection's bodies: beyond it the reservation. */
#define CONNECTION_SHARE(ceiling) ((ceiling) / 4)
/* Below this much room reads are small. */
#define SHORT_BYTES ((size_t)2 << 20)

size_t mw_admission_progress(const mw_exchange *exchange)
{
    uint64_t sent = exchange->received + exchange->wait.unread;
    return (size_t)(sent / MW_ADMISSION_STEP_BYTES) + 1;
}

/* ---- the reservation --------------------------------------------------------------------------*/

bool mw_admission_holds(const mw_exchange *exchange)
{
    return atomic_load_explicit(&exchange->front->seats.holder, memory_order_relaxed) == exchange;
}

/* What a peer announces it is taken at its word for, when that is much. */
static mw_lane lane_of(const mw_exchange *exchange, size_t more)
{
    bool small = exchange->wire->body_bytes + more <= MW_ADMISSION_SMALL &&
                 exchange->body.expected <= MW_ADMISSION_SMALL;
    return small ? MW_LANE_SMALL : MW_LANE_LARGE;
}

mw_lane mw_admission_lane(const mw_exchange *exchange)
{
    return lane_of(exchange, exchange->wait.wanted);
}

/* The progress of the best in the lane that could use the reservation, 0 = none. */
static size_t best_of(const mw_seats *seats, mw_lane lane)
{
    size_t best = 0;
    for (unsigned i = 0; i < MW_ADMISSION_LOOPS_MAX; i++) {
        size_t here = atomic_load_explicit(&seats->best[lane][i], memory_order_relaxed);
        best = here > best ? here : best;
    }
    return best;
}

static bool somebody_is_ahead(const mw_seats *seats, mw_lane lane, size_t own)
{
    unsigned turn = atomic_load_explicit(&seats->turn, memory_order_relaxed);
    return best_of(seats, lane) > own || (turn != lane && best_of(seats, !lane) > 0);
}

bool mw_admission_anyone_waits(const mw_seats *seats)
{
    for (unsigned i = 0; i < MW_ADMISSION_LOOPS_MAX; i++)
        if (atomic_load_explicit(&seats->waiting[i], memory_order_relaxed) > 0)
            return true;
    return false;
}

bool mw_admission_take_seat(mw_exchange *exchange)
{
    mw_seats *seats = &exchange->front->seats;
    mw_exchange *nobody = NULL;
    if (mw_admission_holds(exchange))
        return true;
    mw_lane lane = mw_admission_lane(exchange);
    if (!mw_memory_reservation_free() ||
        somebody_is_ahead(seats, lane, mw_admission_progress(exchange)) ||
        !atomic_compare_exchange_strong(&seats->holder, &nobody, exchange))
        return false;
    atomic_store_explicit(&seats->turn, !lane, memory_order_relaxed);
    exchange->wire->holder = exchange;
    exchange->rate_ns = mw_wire_now(exchange->wire);
    exchange->rate_received = exchange->received;
    exchange->hold_proven = false;
    return true;
}

void mw_admission_enter(const mw_exchange *exchange)
{
    if (mw_admission_holds(exchange))
        mw_memory_reservation_use(true);
}

void mw_admission_leave(void)
{
    mw_memory_reservation_use(false);
}

void mw_admission_end(mw_exchange *exchange)
{
    if (!mw_admission_holds(exchange))
        return;
    if (exchange->wire)
        exchange->wire->holder = NULL;
    mw_memory_reservation_end();
    atomic_store(&exchange->front->seats.holder, NULL);
}

/* ---- growth -----------------------------------------------------------------------------------*/

/* Below the ceiling, by the lane of all that the connection holds. */
static bool fits_a_lane(const mw_exchange *exchange, size_t more)
{
    const mw_wire *wire = exchange->wire;
    size_t ceiling = mw_memory_ceiling();
    if (ceiling == SIZE_MAX)
        return true;
    if (lane_of(exchange, more) == MW_LANE_SMALL)
        return mw_memory_leaves(more, wire->served ? KNOWN_LEAVES(ceiling) : SMALL_LEAVES(ceiling));
    return wire->body_bytes + more <= CONNECTION_SHARE(ceiling) &&
           mw_memory_leaves(more, LARGE_LEAVES(ceiling));
}

/* Streams of one connection are read together: one that waited would stop the holder. They go along
 * with it, as long as they are small. */
static bool goes_along(const mw_exchange *exchange, size_t more)
{
    const mw_exchange *holder = exchange->wire->holder;
    size_t others = exchange->wire->body_bytes - holder->body_bytes;
    return others + more <= MW_ADMISSION_SIBLINGS;
}

bool mw_admission_may_wait(const mw_exchange *exchange)
{
    return !exchange->wire->holder;
}

static bool gets_reservation(mw_exchange *exchange, size_t more)
{
    exchange->wait.wanted = more;
    if (exchange->wire->holder)
        return goes_along(exchange, more);
    return !mw_admission_anyone_waits(&exchange->front->seats) && mw_admission_take_seat(exchange);
}

bool mw_admission_grow(mw_exchange *exchange, size_t more)
{
    mw_wire *wire = exchange->wire;
    if (!mw_admission_holds(exchange) && !fits_a_lane(exchange, more)) {
        if (!gets_reservation(exchange, more))
            return false;
        mw_memory_reservation_use(true);
    }
    exchange->body_bytes += more;
    wire->body_bytes += more;
    return true;
}

bool mw_admission_could_grow(mw_exchange *exchange)
{
    return fits_a_lane(exchange, exchange->wait.wanted) ||
           (exchange->wait.ready && mw_admission_take_seat(exchange));
}

void mw_admission_give_back(mw_exchange *exchange)
{
    const mw_wire *wire = exchange->wire;
    if (exchange->state == MW_EXCHANGE_BODY && wire->body_bytes <= MW_ADMISSION_SMALL &&
        mw_memory_leaves(0, mw_memory_ceiling() / 8 + MW_ADMISSION_SMALL))
        mw_admission_end(exchange);
}

bool mw_admission_is_ready(const mw_exchange *exchange)
{
    size_t available = exchange->wait.unread;
    const mw_body *body = &exchange->body;
    if (exchange->wire->wasted)
        return false;
    if (exchange->inflate && (exchange->wait.held_len > 0 || exchange->inflate->more))
        return true;
    if (available >= MW_ADMISSION_READY_BYTES)
        return true;
    if (body->expected == 0)
        return mw_admission_lane(exchange) == MW_LANE_SMALL;
    return body->len + exchange->wait.held_len + available >= body->expected;
}

bool mw_admission_is_short(void)
{
    return !mw_memory_admits(SHORT_BYTES);
}

int64_t mw_admission_until(const mw_exchange *exchange, int64_t now_ns)
{
    const mw_request *request = &exchange->request;
    int64_t until = now_ns + MW_ADMISSION_WAIT_NS - exchange->wait.spent_ns;
    if (request->deadline_ns == 0)
        return until;
    int64_t half = request->received_ns + (request->deadline_ns - request->received_ns) / 2;
    return half < until ? half : until;
}

/* The window begins anew while it is good, and while it is us who do not read. */
bool mw_admission_is_stalled(mw_exchange *exchange, int64_t now_ns)
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
