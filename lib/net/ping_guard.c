/* How often a client may PING. See ping_guard_int.h. */
#include "lib/net/http2_int.h"
#include "lib/net/ping_guard_int.h"

bool mw_ping_guard_strikes_out(mw_ping_guard *guard, int64_t now_ns)
{
    bool early = guard->pinged && now_ns - guard->last_ns < MW_HTTP2_PING_INTERVAL_NS;
    guard->pinged = true;
    guard->last_ns = now_ns;
    /* An interval that was kept forgives what was before, unlike gRPC's: a late packet makes two
     * PINGs look close. */
    guard->strikes = early ? guard->strikes + 1 : 0;
    return guard->strikes > MW_HTTP2_PING_STRIKES_MAX;
}

void mw_ping_guard_reset(mw_ping_guard *guard)
{
    *guard = (mw_ping_guard){.pinged = false};
}
