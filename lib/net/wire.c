/* What all connections share (mw_front), and what a session sees of its connection (mw_wire). See
 * net_int.h and exchange_int.h. The front's gauges are atomics; a wire is one loop's.
 */
#include "lib/base/id.h"
#include "lib/net/exchange_int.h"

/* ---- the front ------------------------------------------------------------------------------- */

bool mw_front_log_due(atomic_int_fast64_t *last_ns, int64_t now_ns)
{
    int_fast64_t last = atomic_load_explicit(last_ns, memory_order_relaxed);
    if (last != 0 && now_ns - last < MW_NET_LOG_EVERY_NS)
        return false;
    return atomic_compare_exchange_strong_explicit(last_ns, &last, now_ns, memory_order_relaxed,
                                                   memory_order_relaxed);
}

/* ---- connections ----------------------------------------------------------------------------- */

/* Is there room for one more? The door is locked. */
static bool has_room(const mw_front *front, mw_port port)
{
    size_t most = front->config.max_connections;
    size_t sockets = atomic_load(&front->connections[mw_port_index(MW_PORT_SOCKET)]);
    size_t web = atomic_load(&front->connections[mw_port_index(MW_PORT_WEB)]);
    size_t exporters = atomic_load(&front->connections[mw_port_index(MW_PORT_GRPC)]) +
                       atomic_load(&front->connections[mw_port_index(MW_PORT_HTTP)]);
    size_t beyond = sockets > MW_NET_SOCKET_RESERVE ? sockets - MW_NET_SOCKET_RESERVE : 0;
    bool room = web + exporters + beyond < most;
    if (port == MW_PORT_SOCKET)
        return room || sockets < MW_NET_SOCKET_RESERVE;
    if (port == MW_PORT_WEB)
        return room && web < MW_NET_WEB_MAX(most);
    return room && exporters < most - MW_NET_WEB_RESERVE(most);
}

/* One at a time: two that come at the same moment never both get the last place, and one that is
 * refused is never counted, since for that moment it would take the place of another port's. To
 * leave needs no lock: at worst somebody comes just before the place is free. */
bool mw_front_enter(mw_front *front, mw_port port)
{
    pthread_mutex_lock(&front->door);
    bool room = has_room(front, port);
    if (room)
        atomic_fetch_add(&front->connections[mw_port_index(port)], 1);
    pthread_mutex_unlock(&front->door);
    return room;
}

void mw_front_leave(mw_front *front, mw_port port)
{
    atomic_fetch_sub(&front->connections[mw_port_index(port)], 1);
}

size_t mw_front_connections(const mw_front *front)
{
    size_t sum = 0;
    for (size_t i = 0; i < MW_PORT_COUNT; i++)
        sum += atomic_load(&front->connections[i]);
    return sum;
}

int64_t mw_retire_age_ns(void)
{
    uint64_t random;
    mw_random_bytes(&random, sizeof random);
    return MW_NET_AGE_NS - MW_NET_AGE_SPREAD_NS / 2 +
           (int64_t)(random % (uint64_t)MW_NET_AGE_SPREAD_NS);
}

/* ---- the wire -------------------------------------------------------------------------------- */

void mw_wire_init(mw_wire *wire, mw_front *front, mw_port port)
{
    *wire = (mw_wire){.front = front, .port = port};
    mw_out_queue_init(&wire->out);
}

void mw_wire_fini(mw_wire *wire)
{
    MW_ASSERT(wire->handed == 0);
    mw_wire_flushed(wire);
    mw_out_queue_fini(&wire->out);
}

void mw_wire_flushed(mw_wire *wire)
{
    if (wire->unflushed)
        atomic_fetch_sub(&wire->front->in_flight, wire->unflushed);
    wire->unflushed = 0;
}

int64_t mw_wire_now(const mw_wire *wire)
{
    return mw_clock_mono_ns(wire->front->config.clock);
}

mw_slice mw_wire_date(const mw_wire *wire)
{
    if (!wire->date)
        return MW_SLICE_NONE;
    return mw_http_date_now(wire->date, mw_clock_wall_ns(wire->front->config.clock));
}
