/* What the TLS tests share beside net_fixture.h: certificates made on the spot, a server that has
 * them, and a client on OpenSSL's blocking interface. */
#ifndef MW_TEST_TLS_FIXTURE_H
#define MW_TEST_TLS_FIXTURE_H

#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tests/unit/lib-net/net_fixture.h"

#define LARGE ((size_t)8 << 20)
#define DAY 86400L
#define HELLO "GET /hello/you HTTP/1.1\r\nHost: localhost\r\n\r\n"

typedef struct identity {
    X509 *certificate;
    EVP_PKEY *key;
} identity;

typedef struct certificates {
    identity ca, other_ca; /* the second is known to nobody */
    identity server, renewed, expired, client, stranger;
    char directory[64];
    long serial;
} certificates;

static certificates certs;

/* ---- certificates ---------------------------------------------------------------------------- */

static inline void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* issuer NULL: a CA, signed by itself. Valid from a day before to `days` from now. */
static inline identity make_identity(const char *name, const identity *issuer, long days)
{
    identity made = {X509_new(), EVP_EC_gen("P-256")};
    assert_true(made.certificate && made.key);
    const identity *signer = issuer ? issuer : &made;
    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), ++certs.serial);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), -30 * DAY);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), days * DAY);
    X509_set_pubkey(made.certificate, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made.certificate, X509_get_subject_name(signer->certificate));
    if (issuer)
        add_extension(made.certificate, signer->certificate, NID_subject_alt_name,
                      "DNS:localhost,IP:127.0.0.1");
    else
        add_extension(made.certificate, made.certificate, NID_basic_constraints,
                      "critical,CA:TRUE");
    assert_true(X509_sign(made.certificate, signer->key, EVP_sha256()) > 0);
    return made;
}

static inline void path_of(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", certs.directory, name);
}

static inline void write_certificate(const char *name, const identity *who)
{
    char path[128];
    path_of(name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, who->certificate), 1);
    fclose(file);
}

static inline void write_key(const char *name, const identity *who, mode_t mode)
{
    char path[128];
    path_of(name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, who->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static inline void write_text(const char *name, const char *text)
{
    char path[128];
    path_of(name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
}

static inline int make_certificates(void **state)
{
    (void)state;
    snprintf(certs.directory, sizeof certs.directory, "/tmp/midwatch-test-XXXXXX");
    assert_non_null(mkdtemp(certs.directory));
    certs.ca = make_identity("test ca", NULL, 100);
    certs.other_ca = make_identity("other ca", NULL, 100);
    certs.server = make_identity("server", &certs.ca, 50);
    certs.renewed = make_identity("renewed", &certs.ca, 60);
    certs.expired = make_identity("expired", &certs.ca, -2);
    certs.client = make_identity("client", &certs.ca, 50);
    certs.stranger = make_identity("stranger", &certs.other_ca, 50);
    write_certificate("ca.pem", &certs.ca);
    write_certificate("server.pem", &certs.server);
    write_key("server.key", &certs.server, 0600);
    write_certificate("renewed.pem", &certs.renewed);
    write_key("renewed.key", &certs.renewed, 0600);
    write_key("open.key", &certs.renewed, 0640);
    write_certificate("expired.pem", &certs.expired);
    write_key("expired.key", &certs.expired, 0600);
    write_text("text.pem", "this is no certificate\n");
    return 0;
}

static inline int remove_certificates(void **state)
{
    (void)state;
    static const char *const names[] = {"ca.pem",      "server.pem",  "server.key",
                                        "renewed.pem", "renewed.key", "open.key",
                                        "expired.pem", "expired.key", "text.pem"};
    identity *const all[] = {&certs.ca,      &certs.other_ca, &certs.server,  &certs.renewed,
                             &certs.expired, &certs.client,   &certs.stranger};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        path_of(names[i], path);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(certs.directory), 0);
    /* The files' contents; OpenSSL's own memory is not accounted here. */
    assert_int_equal(mw_memory_component_used(MW_MEM_TLS), 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        X509_free(all[i]->certificate);
        EVP_PKEY_free(all[i]->key);
    }
    return 0;
}

/* ---- the server ------------------------------------------------------------------------------ */

static const mw_route tls_routes[] = {
    {MW_PORT_GRPC, "POST", EXPORT_PATH, true, LARGE + 16, echo, NULL, 0, false},
    {MW_PORT_HTTP, "POST", "/v1/traces", false, LARGE, echo, NULL, 0, false},
    {WEB_PORTS, "GET", "/hello/{name}", false, 0, hello, NULL, 0, false},
    {WEB_PORTS, "POST", "/held", false, BODY_LIMIT, hold, NULL, 0, false},
    {WEB_PORTS, "GET", "/big", false, 0, big, NULL, 0, false},
};

/* Empty names: none. */
static inline mw_err reload(const char *certificate, const char *key, const char *authorities,
                            mw_detail *detail)
{
    char paths[3][128];
    path_of(certificate, paths[0]);
    path_of(key, paths[1]);
    path_of(authorities, paths[2]);
    mw_net_tls tls = {*certificate ? paths[0] : "", *key ? paths[1] : NULL,
                      *authorities ? paths[2] : ""};
    *detail = (mw_detail){.message = ""};
    return mw_net_tls_reload(fx.net, &tls, detail);
}

static inline void start_tls_server(const char *authorities, size_t max_connections)
{
    mw_detail detail = {.message = ""};
    char paths[3][128];
    path_of("server.pem", paths[0]);
    path_of("server.key", paths[1]);
    path_of(authorities, paths[2]);
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, STDERR_FILENO);
    memset(&fx, 0, sizeof fx);
    pthread_mutex_init(&fx.lock, NULL);
    fx.clock = (mw_clock){.wall_ns = real_wall, .mono_ns = skewed_mono};
    snprintf(fx.directory, sizeof fx.directory, "/tmp/midwatch-test-XXXXXX");
    assert_non_null(mkdtemp(fx.directory));
    snprintf(fx.socket_path, sizeof fx.socket_path, "%s/m.sock", fx.directory);
    mw_net_config config = {.grpc_address = "127.0.0.1:0",
                            .http_address = "127.0.0.1:0",
                            .web_address = "127.0.0.1:0",
                            .socket_path = fx.socket_path,
                            .tls = {paths[0], paths[1], *authorities ? paths[2] : NULL},
                            .loops = 2,
                            .clock = &fx.clock,
                            .routes = tls_routes,
                            .route_count = sizeof tls_routes / sizeof *tls_routes,
                            .gate = gate,
                            .max_connections = max_connections};
    if (mw_net_start(&config, &fx.net, &detail) != MW_OK)
        fail_msg("%s", detail.message);
    assert_true(mw_net_tls_on(fx.net));
}

static inline int set_up_tls(void **state)
{
    (void)state;
    start_tls_server("", 0);
    return 0;
}

static inline int set_up_two(void **state)
{
    (void)state;
    start_tls_server("", 4); /* the web port gets half */
    return 0;
}

static inline int set_up_mutual(void **state)
{
    (void)state;
    start_tls_server("ca.pem", 0);
    return 0;
}

/* ---- the client ------------------------------------------------------------------------------ */

typedef struct peer_options {
    int version;             /* 0 = any */
    const char *alpn;        /* in wire form, NULL = none */
    const identity *shows;   /* NULL = no certificate */
    SSL_SESSION *resume;     /* NULL = a new session */
    const char *cipher_list; /* NULL = OpenSSL's */
} peer_options;

typedef struct peer {
    int fd;
    SSL *ssl;
} peer;

static inline SSL *client_ssl(const peer_options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certs.ca.certificate);
    SSL_CTX_set_min_proto_version(context, options->version);
    SSL_CTX_set_max_proto_version(context, options->version);
    if (options->cipher_list)
        assert_int_equal(SSL_CTX_set_cipher_list(context, options->cipher_list), 1);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    assert_non_null(ssl);
    if (options->alpn)
        SSL_set_alpn_protos(ssl, (const unsigned char *)options->alpn,
                            (unsigned)strlen(options->alpn));
    if (options->shows) {
        assert_int_equal(SSL_use_certificate(ssl, options->shows->certificate), 1);
        assert_int_equal(SSL_use_PrivateKey(ssl, options->shows->key), 1);
    }
    if (options->resume)
        SSL_set_session(ssl, options->resume);
    assert_int_equal(SSL_set1_host(ssl, "localhost"), 1);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* The handshake's outcome; with TLS 1.3 a client is done before the server has seen its
 * certificate. */
static inline bool join(peer *one, mw_port port, const peer_options *options)
{
    one->fd = dial(port);
    one->ssl = client_ssl(options);
    SSL_set_fd(one->ssl, one->fd);
    ERR_clear_error();
    return SSL_do_handshake(one->ssl) == 1;
}

static inline peer joined(mw_port port, peer_options options)
{
    peer one;
    if (!join(&one, port, &options))
        fail_msg("handshake: %s", ERR_reason_error_string(ERR_peek_last_error()));
    return one;
}
#define JOIN(port, ...) joined(port, (peer_options){__VA_ARGS__})

static inline void leave(peer *one)
{
    SSL_shutdown(one->ssl);
    SSL_free(one->ssl);
    close(one->fd);
}

static inline void say(peer *one, mw_slice bytes)
{
    size_t n = 0;
    while (bytes.len > 0) {
        ERR_clear_error();
        if (SSL_write_ex(one->ssl, bytes.data, bytes.len, &n) != 1)
            return; /* the server may end early */
        bytes = mw_slice_from(bytes, n);
    }
}

/* An HTTP/1.1 answer with a Content-Length; the caller frees. NULL at the connection's end. */
static inline char *hear(peer *one, size_t *body_len)
{
    size_t have = 0, room = LARGE + 65536, n = 0;
    char *text = malloc(room + 1);
    assert_non_null(text);
    for (;;) {
        ERR_clear_error();
        if (SSL_read_ex(one->ssl, text + have, room - have, &n) != 1) {
            free(text);
            return NULL;
        }
        have += n;
        text[have] = '\0';
        char *end = strstr(text, "\r\n\r\n");
        char *length = strstr(text, "content-length: ");
        if (!end || !length)
            continue;
        size_t head = (size_t)(end + 4 - text);
        size_t body = strtoul(length + 16, NULL, 10);
        if (have < head + body)
            continue;
        assert_int_equal(have, head + body);
        *body_len = body;
        return text;
    }
}

static inline void expect_hello(peer *one)
{
    size_t len = 0;
    say(one, MW_SLICE(HELLO));
    char *text = hear(one, &len);
    assert_non_null(text);
    assert_non_null(strstr(text, "HTTP/1.1 200 "));
    assert_non_null(strstr(text, "hello you from 127.0.0.1"));
    free(text);
}

static inline long peer_serial(const peer *one)
{
    X509 *certificate = SSL_get1_peer_certificate(one->ssl);
    assert_non_null(certificate);
    long serial = ASN1_INTEGER_get(X509_get_serialNumber(certificate));
    X509_free(certificate);
    return serial;
}

static inline long serial_of(const identity *who)
{
    return ASN1_INTEGER_get(X509_get_serialNumber(who->certificate));
}

/* A client on memory: what it wants to send, as bytes. */
static inline SSL *detached_client(const peer_options *options)
{
    SSL *ssl = client_ssl(options);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

/* The first flight of a client that will not go on. */
static inline size_t client_hello(unsigned char *out, size_t size)
{
    SSL *ssl = detached_client(&(peer_options){.version = TLS1_3_VERSION});
    assert_int_equal(SSL_do_handshake(ssl), -1);
    int n = BIO_read(SSL_get_wbio(ssl), out, (int)size);
    SSL_free(ssl);
    assert_true(n > 100 && out[0] == 0x16);
    return (size_t)n;
}

/* ---- a client of h2 -------------------------------------------------------------------------- */

typedef struct h2_call {
    peer *over;
    mw_slice out;
    size_t sent;
    char *in;
    size_t in_len;
    int status, grpc;
    bool closed;
} h2_call;

static inline ssize_t h2_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                              uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)id, (void)user;
    h2_call *call = source->ptr;
    size_t n = call->out.len - call->sent < room ? call->out.len - call->sent : room;
    memcpy(out, call->out.data + call->sent, n);
    call->sent += n;
    if (call->sent == call->out.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static inline int h2_header(nghttp2_session *session, const nghttp2_frame *frame,
                            const uint8_t *name, size_t name_len, const uint8_t *value,
                            size_t value_len, uint8_t flags, void *user)
{
    (void)session, (void)frame, (void)name_len, (void)value_len, (void)flags;
    h2_call *call = user;
    if (strcmp((const char *)name, ":status") == 0)
        call->status = (int)strtol((const char *)value, NULL, 10);
    if (strcmp((const char *)name, "grpc-status") == 0)
        call->grpc = (int)strtol((const char *)value, NULL, 10);
    return 0;
}

static inline int h2_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                          size_t len, void *user)
{
    (void)session, (void)flags, (void)id;
    h2_call *call = user;
    assert_true(call->in_len + len <= LARGE + 16);
    memcpy(call->in + call->in_len, data, len);
    call->in_len += len;
    return 0;
}

static inline int h2_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    (void)session, (void)id;
    h2_call *call = user;
    assert_int_equal(error, 0);
    call->closed = true;
    return 0;
}

#define HEADER(name, value)                                                                        \
    {                                                                                              \
        (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, sizeof name - 1,                  \
            sizeof value - 1, 0                                                                    \
    }

static inline nghttp2_session *h2_open(h2_call *call)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, h2_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, h2_close);
    nghttp2_session_client_new(&session, callbacks, call);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0);
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, 1 << 24);
    return session;
}

/* Sends what there is, then reads, until the stream is closed. */
static inline void h2_drive(nghttp2_session *session, h2_call *call)
{
    unsigned char in[32768];
    while (!call->closed) {
        const uint8_t *out;
        ssize_t n;
        while ((n = nghttp2_session_mem_send(session, &out)) > 0)
            say(call->over, mw_slice_bytes(out, (size_t)n));
        int got = SSL_read(call->over->ssl, in, sizeof in);
        if (got <= 0)
            fail_msg("the server closed: %s", ERR_reason_error_string(ERR_peek_error()));
        assert_int_equal(nghttp2_session_mem_recv(session, in, (size_t)got), got);
    }
}

/* One call whose answer is its request, `size` bytes. */
static inline void grpc_round_trip(peer *one, size_t size)
{
    const nghttp2_nv headers[] = {HEADER(":method", "POST"),
                                  HEADER(":scheme", "https"),
                                  HEADER(":authority", "localhost"),
                                  HEADER(":path", EXPORT_PATH),
                                  HEADER("content-type", "application/grpc"),
                                  HEADER("te", "trailers")};
    char *message = malloc(size + 5);
    h2_call call = {.over = one, .out = {message, size + 5}, .in = malloc(LARGE + 16), .grpc = -1};
    assert_true(message && call.in);
    for (size_t i = 0; i < size; i++)
        message[5 + i] = (char)(i * 7 + (i >> 12));
    const char prefix[5] = {0, (char)(size >> 24), (char)(size >> 16), (char)(size >> 8),
                            (char)size};
    memcpy(message, prefix, 5);
    nghttp2_session *session = h2_open(&call);
    nghttp2_data_provider body = {.source.ptr = &call, .read_callback = h2_body};
    assert_true(nghttp2_submit_request(session, NULL, headers, 6, &body, NULL) > 0);
    h2_drive(session, &call);
    assert_int_equal(call.status, 200);
    assert_int_equal(call.grpc, 0);
    assert_int_equal(call.in_len, size + 5);
    assert_memory_equal(call.in, message, size + 5);
    nghttp2_session_del(session);
    free(message);
    free(call.in);
}

#endif
