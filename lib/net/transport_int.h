/* lib/net, private: the bytes under a connection. The place where TLS goes.
 *
 * Clear text today: read(2) and sendmsg(2) on a non-blocking socket. A TLS transport has the same
 * five functions; nothing above it knows the difference, but for the first byte: a TLS
 * ClientHello (0x16) on a clear-text listener is named in the log and closed.
 */
#ifndef MW_NET_TRANSPORT_INT_H
#define MW_NET_TRANSPORT_INT_H

#include <sys/uio.h>

#include "lib/base/error.h"

/* First byte of a TLS record that opens a handshake (RFC 8446 5.1). */
#define MW_TLS_HANDSHAKE_BYTE 0x16

typedef struct mw_transport {
    int fd;
} mw_transport;

/* Takes the descriptor over. */
void mw_transport_init(mw_transport *transport, int fd);
/* MW_OK with *got > 0, MW_E_AGAIN, MW_E_CLOSED (orderly end), MW_E_IO. */
MW_MUST_USE mw_err mw_transport_read(mw_transport *transport, void *out, size_t size, size_t *got);
/* MW_OK with *put > 0, MW_E_AGAIN, MW_E_IO. Never raises SIGPIPE. */
MW_MUST_USE mw_err mw_transport_write(mw_transport *transport, struct iovec *iov, int count,
                                      size_t *put);
/* Says that nothing more will be sent. */
void mw_transport_shutdown(mw_transport *transport);
void mw_transport_close(mw_transport *transport);

#endif
