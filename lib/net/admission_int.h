/* lib/net, private: who may take memory for a body, and who waits.
 *
 * The account (lib/base/memory.h) has one limit. It is divided in two:
 *
 *     |<------------------------- memory_limit ------------------------>|
 *     |<------------ ceiling ------------>|<------- reservation ------->|
 *     |  all that is small or stays:      |  one request at a time,     |
 *     |  connections, index, questions,   |  as large as max_request,   |
 *     |  small bodies to 7/8 of it (15/16 |  with its decoding and      |
 *     |  if their connection was served   |  encoding                   |
 *     |  before), large ones to 1/2       |                             |
 *
 * A body grows below the ceiling as long as there is room. Where there is none it asks for the
 * reservation, which one exchange of the process has at a time; where that is taken it waits: its
 * connection is not read, and flow control tells the peer. Of those that wait, and whose peers have
 * bytes ready in the socket, the one goes first whose peer has sent most, so that what has cost
 * most is finished first. The least progressed is refused when its time is up (min(half of its
 * deadline, 3 s)). A request whose handler cannot take it now (mw_request_defer) waits in the same
 * list and may get the reservation the same way.
 *
 * Lanes. What a connection holds in bodies counts together, and what a peer announces counts as if
 * it had come: up to MW_ADMISSION_SMALL a body is in the small lane, beyond it in the large one,
 * and what one connection holds beyond a quarter of the ceiling needs the reservation. So hundreds
 * of streams of one connection weigh as much as one large body, and large bodies together never
 * take what the small exports of others need. The reservation goes to the lanes in turn.
 *
 * Nobody sits on memory while others wait. A body that crawls, an answer that is not read for a
 * second, and a holder of the reservation that is slow are given up, the least progressed first.
 *
 * Weighed: one queue of requests by arrival (a slow sender at its head stops all); a budget for
 * each connection (a thousand of them either get nothing or more than there is); refusing at once
 * (gRPC clients that never retry lose data); order by bytes received alone (those that have sent
 * little and stopped were ahead of a large body that had just begun, and it starved). A lock around
 * all decisions was dropped: the reservation is one atomic word, and each loop publishes how far
 * its best waiting body is.
 *
 * This file decides; it knows exchanges and the account, no sockets and no loops. waiting.c does
 * what follows. Thread: mw_seats is shared by all loops (atomics); everything else is the loop's.
 */
#ifndef MW_NET_ADMISSION_INT_H
#define MW_NET_ADMISSION_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

struct mw_exchange;

#define MW_ADMISSION_LOOPS_MAX 8u
/* The small lane: an export of 512 spans has 380 KB. */
#define MW_ADMISSION_SMALL ((size_t)512 << 10)
/* DESIGN 3.3: a refusal comes at most this late, or at half of the client's deadline. */
#define MW_ADMISSION_WAIT_NS (3 * MW_NS_PER_S)
/* How often those that wait are looked at. */
#define MW_ADMISSION_TICK_NS (10 * MW_NS_PER_MS)
/* While others wait, a body that brings less than this in a window has stalled. The holder of the
 * reservation has a shorter window and brings more; its first is shortest, since bytes were waiting
 * in its socket. Any link that exports batches of this size does so many times over. */
#define MW_ADMISSION_STALL_NS MW_NS_PER_S
#define MW_ADMISSION_STALL_BYTES ((uint64_t)16 << 10)
#define MW_ADMISSION_HOLD_NS (500 * MW_NS_PER_MS)
#define MW_ADMISSION_HOLD_FIRST_NS (100 * MW_NS_PER_MS)
#define MW_ADMISSION_HOLD_BYTES ((uint64_t)64 << 10)
#define MW_ADMISSION_STEP_BYTES ((uint64_t)32 << 10)
/* What the other streams of the holder's connection may take beside it. */
#define MW_ADMISSION_SIBLINGS ((size_t)2 << 20)
/* A socket that is not read takes at least this much on every Linux. */
#define MW_ADMISSION_READY_BYTES ((size_t)16 << 10)

typedef enum mw_lane { MW_LANE_SMALL, MW_LANE_LARGE, MW_LANES } mw_lane;

/* The part that all loops share; zero is its initial state. */
typedef struct mw_seats {
    /* The exchange that has the reservation, NULL = none. Others compare it, they never follow
     * it. */
    _Atomic(struct mw_exchange *) holder;
    atomic_size_t waiting[MW_ADMISSION_LOOPS_MAX]; /* bodies, for each loop */
    /* For each lane and loop: progress of the best that is ready, 0 = none. */
    atomic_size_t best[MW_LANES][MW_ADMISSION_LOOPS_MAX];
    atomic_uint turn; /* the lane that goes first when both wait */
} mw_seats;

typedef enum mw_wait_kind {
    MW_WAIT_NONE,
    MW_WAIT_BODY,   /* for memory; the connection is not read */
    MW_WAIT_HANDLER /* for the handler's next try */
} mw_wait_kind;

/* In every exchange. */
typedef struct mw_wait {
    mw_wait_kind kind;
    struct mw_wait_list *list; /* NULL = in none */
    struct mw_exchange *next;  /* in the loop's list of those that wait */
    struct mw_exchange *previous;
    int64_t since_ns;
    int64_t until_ns; /* then it is refused, or the handler must answer */
    int64_t due_ns;   /* HANDLER: the next try; BODY: the last */
    int64_t spent_ns; /* waited before, for memory */
    size_t wanted;    /* BODY: bytes it could not have */
    size_t unread;    /* BODY: bytes of the connection that have come and were not taken */
    bool ready;       /* BODY: its peer has sent enough to use the reservation at once */
    char *held;       /* BODY: bytes that came and are not in the body yet (MW_MEM_NET) */
    size_t held_len;
} mw_wait;

/* True when the body of `exchange` may grow by `more` bytes, which then count as taken; otherwise
 * it has to wait. May give it the reservation. */
bool mw_admission_grow(struct mw_exchange *exchange, size_t more);
/* False when it must be refused at once: another stream of its connection has the reservation. */
bool mw_admission_may_wait(const struct mw_exchange *exchange);
/* The same for wait.wanted, without taking anything but, perhaps, the reservation. */
bool mw_admission_could_grow(struct mw_exchange *exchange);
/* True when the exchange would use the reservation at once, by the bytes that have come and were
 * not read (wait.unread). A sender that flow control holds back has filled the socket; one that
 * drips has not, and would only keep it from others, as would a connection that lost it before. */
bool mw_admission_is_ready(const struct mw_exchange *exchange);
/* What the peer has sent, read or not, in steps, from 1: a few bytes more are no merit. Among
 * equals the last to come goes first: when not all can be served in time, it has most of it left.
 */
size_t mw_admission_progress(const struct mw_exchange *exchange);
mw_lane mw_admission_lane(const struct mw_exchange *exchange);
/* Gives it the reservation if that is free, it is its lane's turn, and nobody who waits in the lane
 * has progressed more. */
bool mw_admission_take_seat(struct mw_exchange *exchange);
/* Between the two, allocations are the exchange's own part of the reservation, if it has it. */
void mw_admission_enter(const struct mw_exchange *exchange);
void mw_admission_leave(void);
/* The exchange needs no more: its memory is freed, or its answer is all that is left. */
void mw_admission_end(struct mw_exchange *exchange);
/* A small body has the reservation, and there is room again below the ceiling: it goes on there. */
void mw_admission_give_back(struct mw_exchange *exchange);
bool mw_admission_holds(const struct mw_exchange *exchange);
/* Somebody waits, on any loop. */
bool mw_admission_anyone_waits(const mw_seats *seats);
/* Memory is short: bodies are read in small pieces, so that what waits holds little. */
bool mw_admission_is_short(void);
/* When a refusal must be out. `spent_ns` was waited before. */
int64_t mw_admission_until(const struct mw_exchange *exchange, int64_t now_ns);

/* A body that brings nothing, or too little for the reservation it has. */
bool mw_admission_is_stalled(struct mw_exchange *exchange, int64_t now_ns);

#endif
