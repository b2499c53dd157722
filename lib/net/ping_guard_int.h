/* lib/net, private: how often a client may PING. Pure; one a session.
 *
 * The rule of gRPC's servers, with a shorter interval (http2_int.h): a PING sooner than the
 * interval after the last one is a strike, HEADERS and DATA of either side wipe the slate clean.
 * So clients that measure the line while they send are never told off, and those that keep an
 * idle connection alive may do it every 10 s, with or without a call open.
 */
#ifndef MW_NET_PING_GUARD_INT_H
#define MW_NET_PING_GUARD_INT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mw_ping_guard {
    bool pinged; /* since the last reset */
    unsigned strikes;
    int64_t last_ns;
} mw_ping_guard;

/* A PING came. True when it is one too many. */
bool mw_ping_guard_strikes_out(mw_ping_guard *guard, int64_t now_ns);
/* HEADERS or DATA came or went. */
void mw_ping_guard_reset(mw_ping_guard *guard);

#endif
