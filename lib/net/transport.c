/* The bytes under a connection, clear text. See transport_int.h. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/counter.h"
#include "lib/net/transport_int.h"

void mw_transport_init(mw_transport *transport, int fd)
{
    *transport = (mw_transport){.fd = fd};
}

static mw_err failed(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK ? MW_E_AGAIN : MW_E_IO;
}

mw_err mw_transport_read(mw_transport *transport, void *out, size_t size, size_t *got)
{
    ssize_t n;
    do
        n = read(transport->fd, out, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return failed();
    if (n == 0)
        return MW_E_CLOSED;
    *got = (size_t)n;
    mw_count(MW_COUNT_NET_BYTES_IN, (uint64_t)n);
    return MW_OK;
}

mw_err mw_transport_write(mw_transport *transport, struct iovec *iov, int count, size_t *put)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    ssize_t n;
    do
        n = sendmsg(transport->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return failed();
    *put = (size_t)n;
    mw_count(MW_COUNT_NET_BYTES_OUT, (uint64_t)n);
    return MW_OK;
}

void mw_transport_shutdown(mw_transport *transport)
{
    /* The peer may have gone already: there is nobody to tell then. */
    (void)shutdown(transport->fd, SHUT_WR);
}

void mw_transport_close(mw_transport *transport)
{
    MW_ASSERT(transport->fd >= 0);
    (void)close(transport->fd);
    transport->fd = -1;
}
