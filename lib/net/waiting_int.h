/* lib/net, private: those of one loop that wait, for memory or for their handler's next try.
 *
 * admission.c says who may go on; this file keeps the list, wakes, refuses when the time is up, and
 * gives up what sits on memory while others wait. Loop's thread only. A tick (every
 * MW_ADMISSION_TICK_NS while there is anybody, and with each sweep) does all of it; nothing here
 * frees a connection, it only marks them dirty. Neighbours: loop.c (timer), connection.c (which
 * session an exchange belongs to).
 */
#ifndef MW_NET_WAITING_INT_H
#define MW_NET_WAITING_INT_H

#include "lib/net/exchange_int.h"
#include "lib/net/wait_list_int.h"

struct mw_loop;

/* Woken in one tick of each lane: more would only find that the first have taken the memory. */
#define MW_WAITING_TRIES 32u
/* Bodies given up in one tick. */
#define MW_WAITING_SHED_MAX 32u

typedef struct mw_waiting {
    mw_front *front;
    unsigned seat; /* of front->seats.best */
    mw_wait_list list;
} mw_waiting;

void mw_waiting_init(mw_waiting *waiting, mw_front *front, unsigned seat);
/* wait.kind BODY, as filled by the exchange. */
void mw_waiting_add(mw_waiting *waiting, mw_exchange *exchange);
/* The handler has deferred it (mw_request_defer). Frees it when the client has gone. */
void mw_waiting_park(mw_waiting *waiting, mw_exchange *exchange);
void mw_waiting_tick(mw_waiting *waiting, struct mw_loop *loop, int64_t now_ns);
/* The loop is over, its connections are closed: frees those whose handlers wait. */
void mw_waiting_drop(mw_waiting *waiting);

#endif
