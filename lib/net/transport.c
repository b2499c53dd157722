/* The bytes under a connection. See transport_int.h. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/counter.h"
#include "lib/net/transport_int.h"

/* Socket reads of one turn, two a record. OpenSSL goes on by itself while records bring no data
 * (empty ones, requests to renegotiate), and a peer could keep it going; a full turn of data needs
 * some 20. What is left is reported again. */
#define READS_A_TURN 64u

void mw_transport_init(mw_transport *transport, int fd)
{
    *transport = (mw_transport){.fd = fd};
}

/* ---- the socket ------------------------------------------------------------------------------ */

static mw_err failed(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK ? MW_E_AGAIN : MW_E_IO;
}

static mw_err read_socket(mw_transport *transport, void *out, size_t size, size_t *got)
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

static mw_err write_socket(mw_transport *transport, struct iovec *iov, int count, size_t *put)
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

mw_err mw_transport_peek(mw_transport *transport, unsigned char *first)
{
    MW_ASSERT(!transport->ssl);
    ssize_t n;
    do
        n = recv(transport->fd, first, 1, MSG_PEEK);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return failed();
    return n == 0 ? MW_E_CLOSED : MW_OK;
}

/* ---- OpenSSL's way to the socket ------------------------------------------------------------- */

/* Its own socket BIO writes with write(2), which raises SIGPIPE, and its bytes would not be
 * counted. */
static int bio_write(BIO *bio, const char *data, int len)
{
    mw_transport *transport = BIO_get_data(bio);
    struct iovec piece = {(void *)(uintptr_t)data, (size_t)len};
    size_t put = 0;
    BIO_clear_retry_flags(bio);
    mw_err err = write_socket(transport, &piece, 1, &put);
    if (err == MW_E_AGAIN)
        BIO_set_retry_write(bio);
    return err == MW_OK ? (int)put : -1;
}

static int bio_read(BIO *bio, char *out, int size)
{
    mw_transport *transport = BIO_get_data(bio);
    size_t got = 0;
    BIO_clear_retry_flags(bio);
    mw_err err = MW_E_AGAIN;
    if (transport->reads_left > 0) {
        transport->reads_left--;
        err = read_socket(transport, out, (size_t)size, &got);
    }
    if (err == MW_E_AGAIN)
        BIO_set_retry_read(bio);
    if (err == MW_E_CLOSED)
        transport->eof = true;
    return err == MW_OK ? (int)got : err == MW_E_CLOSED ? 0 : -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number, (void)pointer;
    const mw_transport *transport = BIO_get_data(bio);
    if (command == BIO_CTRL_FLUSH)
        return 1;
    return command == BIO_CTRL_EOF && transport->eof;
}

/* One for the process, for ever. */
static BIO_METHOD *socket_method;

static void make_method(void)
{
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "midwatch socket");
    if (socket_method && BIO_meth_set_write(socket_method, bio_write) == 1 &&
        BIO_meth_set_read(socket_method, bio_read) == 1 &&
        BIO_meth_set_ctrl(socket_method, bio_control) == 1)
        return;
    BIO_meth_free(socket_method);
    socket_method = NULL;
}

mw_err mw_transport_start_tls(mw_transport *transport, SSL *ssl)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    MW_ASSERT(!transport->ssl);
    pthread_once(&once, make_method);
    BIO *bio = ssl && socket_method ? BIO_new(socket_method) : NULL;
    if (!bio) {
        SSL_free(ssl);
        ERR_clear_error();
        return MW_E_NOMEM;
    }
    BIO_set_data(bio, transport);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    transport->ssl = ssl;
    transport->handshaking = true;
    return MW_OK;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* What an operation that did not succeed means. The error queue is the thread's, so it was cleared
 * before the operation. */
static mw_err outcome(mw_transport *transport, int result)
{
    switch (SSL_get_error(transport->ssl, result)) {
    case SSL_ERROR_WANT_READ: return MW_E_AGAIN;
    case SSL_ERROR_WANT_WRITE: transport->wants_write = true; return MW_E_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return MW_E_CLOSED;
    default: transport->broken = true; return transport->eof ? MW_E_CLOSED : MW_E_IO;
    }
}

/* The certificate's own fault says more than "certificate verify failed". */
static const char *why(const SSL *ssl)
{
    long verified = SSL_get_verify_result(ssl);
    unsigned long error = ERR_peek_error();
    const char *text = ERR_reason_error_string(error);
    if (verified != X509_V_OK && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return X509_verify_cert_error_string(verified);
    return text ? text : "the connection failed";
}

mw_err mw_transport_handshake(mw_transport *transport, const char **reason)
{
    if (!transport->handshaking)
        return MW_OK;
    transport->wants_write = false;
    transport->reads_left = READS_A_TURN;
    ERR_clear_error();
    int result = SSL_do_handshake(transport->ssl);
    if (result == 1) {
        transport->handshaking = false;
        return MW_OK;
    }
    mw_err err = outcome(transport, result);
    if (err == MW_E_CLOSED)
        *reason = "the client left during the handshake";
    else if (err != MW_E_AGAIN)
        *reason = why(transport->ssl);
    ERR_clear_error();
    return err;
}

mw_alpn mw_transport_alpn(const mw_transport *transport)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    if (!transport->ssl)
        return MW_ALPN_NONE;
    SSL_get0_alpn_selected(transport->ssl, &name, &len);
    if (len == 2)
        return MW_ALPN_HTTP2;
    return len > 0 ? MW_ALPN_HTTP1 : MW_ALPN_NONE;
}

/* Takes whole records as long as the largest would fit: see the top of the header. */
static mw_err read_tls(mw_transport *transport, char *out, size_t size, size_t *got)
{
    mw_err err = MW_OK;
    MW_ASSERT(size >= SSL3_RT_MAX_PLAIN_LENGTH && !transport->handshaking);
    transport->wants_write = false;
    transport->reads_left = READS_A_TURN;
    *got = 0;
    while (err == MW_OK && size - *got >= SSL3_RT_MAX_PLAIN_LENGTH) {
        size_t n = 0;
        ERR_clear_error();
        int result = SSL_read_ex(transport->ssl, out + *got, size - *got, &n);
        if (result != 1)
            err = outcome(transport, result);
        *got += n;
    }
    ERR_clear_error();
    if (*got == 0)
        return err;
    if (err != MW_E_AGAIN)
        transport->end = err;
    return MW_OK;
}

static mw_err write_tls(mw_transport *transport, const struct iovec *iov, int count, size_t *put)
{
    mw_err err = MW_OK;
    *put = 0;
    for (int i = 0; i < count && err == MW_OK; i++) {
        size_t done = 0;
        while (done < iov[i].iov_len && err == MW_OK) {
            size_t n = 0;
            ERR_clear_error();
            int result = SSL_write_ex(transport->ssl, (const char *)iov[i].iov_base + done,
                                      iov[i].iov_len - done, &n);
            /* wants_write is about reads: a write that waits is known by its bytes. */
            bool before = transport->wants_write;
            if (result != 1)
                err = outcome(transport, result);
            transport->wants_write = before;
            done += n;
        }
        *put += done;
    }
    ERR_clear_error();
    if (err == MW_E_CLOSED)
        err = MW_E_IO;
    return *put > 0 ? MW_OK : err;
}

void mw_transport_stop_tls(mw_transport *transport)
{
    SSL_free(transport->ssl);
    transport->ssl = NULL;
    transport->handshaking = false;
    transport->broken = false;
    transport->wants_write = false;
}

/* ---- either ---------------------------------------------------------------------------------- */

mw_err mw_transport_read(mw_transport *transport, void *out, size_t size, size_t *got)
{
    if (transport->broken)
        return MW_E_IO;
    return transport->ssl ? read_tls(transport, out, size, got)
                          : read_socket(transport, out, size, got);
}

mw_err mw_transport_write(mw_transport *transport, struct iovec *iov, int count, size_t *put)
{
    if (transport->broken)
        return MW_E_IO;
    return transport->ssl ? write_tls(transport, iov, count, put)
                          : write_socket(transport, iov, count, put);
}

size_t mw_transport_unread(const mw_transport *transport)
{
    int bytes = 0;
    return ioctl(transport->fd, FIONREAD, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

void mw_transport_farewell(mw_transport *transport)
{
    if (!transport->ssl || transport->handshaking || transport->broken)
        return;
    ERR_clear_error();
    /* A full socket loses it, and the peer sees a bare end behind an answer that it has whole. */
    (void)SSL_shutdown(transport->ssl);
    ERR_clear_error();
}

void mw_transport_shutdown(mw_transport *transport)
{
    mw_transport_farewell(transport);
    /* The peer may have gone already: there is nobody to tell then. */
    (void)shutdown(transport->fd, SHUT_WR);
}

void mw_transport_close(mw_transport *transport)
{
    MW_ASSERT(transport->fd >= 0);
    mw_transport_stop_tls(transport);
    (void)close(transport->fd);
    transport->fd = -1;
}
