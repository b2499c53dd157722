/* lib/net, private: the bytes under a connection, in clear text or through TLS.
 *
 * Clear text is read(2) and sendmsg(2) on a non-blocking socket. After mw_transport_start_tls the
 * same functions go through OpenSSL, which reaches the socket through a BIO of ours; nothing above
 * knows the difference but for the handshake. Owned by one connection, touched by its loop only:
 * the SSL object is never shared, so OpenSSL's locks are not in the way.
 *
 * OpenSSL reads no further than the record it was asked for, and mw_transport_read leaves none half
 * taken: what is left is in the socket, and the readiness that epoll reports is the truth.
 */
#ifndef MW_NET_TRANSPORT_INT_H
#define MW_NET_TRANSPORT_INT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "lib/base/error.h"

/* First byte of a TLS record that opens a handshake (RFC 8446 5.1). */
#define MW_TLS_HANDSHAKE_BYTE 0x16

typedef enum mw_alpn { MW_ALPN_NONE, MW_ALPN_HTTP1, MW_ALPN_HTTP2 } mw_alpn;

typedef struct mw_transport {
    int fd;
    SSL *ssl;            /* NULL = clear text */
    bool handshaking;    /* reads and writes must wait */
    bool broken;         /* after a fatal error OpenSSL must not be asked again */
    bool eof;            /* the socket's end was seen */
    bool wants_write;    /* the last read (or handshake) needs a socket that takes bytes first */
    mw_err end;          /* not MW_OK: what follows the bytes of the last read */
    unsigned reads_left; /* of this turn: TLS reads the socket no oftener */
} mw_transport;

/* Takes the descriptor over. */
void mw_transport_init(mw_transport *transport, int fd);
/* The next byte, without taking it. MW_OK, MW_E_AGAIN, MW_E_CLOSED, MW_E_IO. Clear text only. */
MW_MUST_USE mw_err mw_transport_peek(mw_transport *transport, unsigned char *first);
/* From here on TLS, beginning with the handshake. Takes `ssl` over, also on failure. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_transport_start_tls(mw_transport *transport, SSL *ssl);
/* MW_OK when it is done (also before), MW_E_AGAIN, MW_E_CLOSED (the peer left), MW_E_IO: refused,
 * then `reason` names why, in OpenSSL's words. */
MW_MUST_USE mw_err mw_transport_handshake(mw_transport *transport, const char **reason);
/* Back to the bare socket, to drop what a refused peer still sends. */
void mw_transport_stop_tls(mw_transport *transport);
/* After the handshake. */
mw_alpn mw_transport_alpn(const mw_transport *transport);

/* MW_OK with *got > 0, MW_E_AGAIN, MW_E_CLOSED (orderly end), MW_E_IO. `size` is at least one
 * TLS record (16 KiB). After MW_OK transport->end may say MW_E_CLOSED or MW_E_IO: the socket need
 * not become readable again to tell. */
MW_MUST_USE mw_err mw_transport_read(mw_transport *transport, void *out, size_t size, size_t *got);
/* MW_OK with *put > 0, MW_E_AGAIN, MW_E_IO. Never raises SIGPIPE. After MW_E_AGAIN the next call
 * begins with the same bytes; there may be more of them. */
MW_MUST_USE mw_err mw_transport_write(mw_transport *transport, struct iovec *iov, int count,
                                      size_t *put);
/* Bytes in the socket that nobody has read, TLS's own included. */
size_t mw_transport_unread(const mw_transport *transport);
/* TLS: tells the peer that the end that follows is meant. All has been written. */
void mw_transport_farewell(mw_transport *transport);
/* Says that nothing more will be sent, farewell included. */
void mw_transport_shutdown(mw_transport *transport);
void mw_transport_close(mw_transport *transport);

#endif
