/* TLS over real sockets: handshakes good and bad, both protocols, client certificates, reload. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/lib-net/tls_fixture.h"

#include "lib/net/http1_session_int.h"
#include "lib/net/tls_int.h"

#define ALPN_BOTH "\x08http/1.1\x02h2"
#define ALPN_H1 "\x08http/1.1"
#define ALPN_H2 "\x02h2"
#define ALPN_NONE_OF_OURS "\x06spdy/1"

static uint64_t failures(void)
{
    return mw_counter_value(MW_COUNT_NET_REFUSED_HANDSHAKE);
}

/* ---- versions and protocols ------------------------------------------------------------------ */

static void test_versions(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        peer one = JOIN(MW_PORT_WEB, .version = versions[i], .alpn = ALPN_H1);
        assert_int_equal(SSL_version(one.ssl), versions[i]);
        assert_true(SSL_CIPHER_is_aead(SSL_get_current_cipher(one.ssl)));
        assert_int_equal(SSL_get_verify_result(one.ssl), X509_V_OK);
        assert_null(SSL_get_current_compression(one.ssl));
        expect_hello(&one);
        expect_hello(&one);
        leave(&one);
    }
}

/* TLS 1.1, and TLS 1.2 without forward secrecy or AEAD. */
static void test_old_is_refused(void **state)
{
    (void)state;
    static const peer_options old[] = {
        {.version = TLS1_1_VERSION, .cipher_list = "ALL:@SECLEVEL=0"},
        {.version = TLS1_2_VERSION, .cipher_list = "AES128-GCM-SHA256"},
        {.version = TLS1_2_VERSION, .cipher_list = "ECDHE-ECDSA-AES128-SHA256"},
    };
    uint64_t before = failures();
    for (size_t i = 0; i < 3; i++) {
        peer one;
        assert_false(join(&one, MW_PORT_WEB, &old[i]));
        /* Told by an alert, not by a reset. */
        assert_int_equal(ERR_GET_LIB(ERR_peek_error()), ERR_LIB_SSL);
        leave(&one);
    }
    WAIT_UNTIL(failures() == before + 3);
}

static void test_alpn(void **state)
{
    (void)state;
    const unsigned char *name;
    unsigned len;
    peer one = JOIN(MW_PORT_WEB, .alpn = ALPN_BOTH);
    SSL_get0_alpn_selected(one.ssl, &name, &len);
    assert_int_equal(len, 2);
    leave(&one);
    one = JOIN(MW_PORT_WEB, .alpn = NULL);
    expect_hello(&one);
    leave(&one);
    uint64_t before = failures();
    assert_false(join(&one, MW_PORT_WEB, &(peer_options){.alpn = ALPN_NONE_OF_OURS}));
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    leave(&one);
    WAIT_UNTIL(failures() == before + 1);
}

/* A hint that names another port names it for a client of TLS. */
static void test_links(void **state)
{
    (void)state;
    size_t len = 0;
    peer one = JOIN(MW_PORT_HTTP, .version = 0);
    say(&one, MW_SLICE(HELLO));
    char *text = hear(&one, &len);
    assert_non_null(text);
    assert_non_null(strstr(text, "HTTP/1.1 404 "));
    assert_non_null(strstr(text, "https://127.0.0.1:"));
    free(text);
    leave(&one);
}

/* What was agreed on by ALPN is what must follow. */
static void test_alpn_is_binding(void **state)
{
    (void)state;
    char byte;
    size_t len = 0;
    uint64_t before = mw_counter_value(MW_COUNT_NET_REFUSED_SYNTAX);
    peer one = JOIN(MW_PORT_WEB, .alpn = ALPN_H2);
    say(&one, MW_SLICE(HELLO));
    assert_true(SSL_read(one.ssl, &byte, 1) <= 0);
    assert_int_equal(mw_counter_value(MW_COUNT_NET_REFUSED_SYNTAX), before + 1);
    leave(&one);
    one = JOIN(MW_PORT_WEB, .alpn = ALPN_H1);
    say(&one, MW_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    char *text = hear(&one, &len);
    assert_non_null(text);
    assert_true(strncmp(text, "HTTP/1.1 ", 9) == 0 && text[9] >= '4');
    free(text);
    leave(&one);
}

/* ---- h2 and gRPC ----------------------------------------------------------------------------- */

static void test_grpc(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        peer one = JOIN(MW_PORT_GRPC, .version = versions[i], .alpn = ALPN_H2);
        grpc_round_trip(&one, 1000);
        leave(&one);
    }
}

/* ---- clear text beside it -------------------------------------------------------------------- */

static void test_clear_text_of_loopback(void **state)
{
    (void)state;
    char text[512];
    static const mw_port ports[] = {MW_PORT_WEB, MW_PORT_SOCKET};
    for (size_t i = 0; i < 2; i++) {
        int fd = dial(ports[i]);
        send_text(fd, HELLO);
        ssize_t n = recv(fd, text, sizeof text - 1, 0);
        assert_true(n > 0);
        text[n] = '\0';
        assert_non_null(strstr(text, "HTTP/1.1 200 "));
        close(fd);
    }
    /* The unix socket never does TLS. */
    uint64_t before = mw_counter_value(MW_COUNT_NET_REFUSED_TLS);
    int fd = dial(MW_PORT_SOCKET);
    send_bytes(fd, MW_SLICE("\x16\x03\x01\x02\x00\x01"));
    assert_true(closes(fd));
    assert_int_equal(mw_counter_value(MW_COUNT_NET_REFUSED_TLS), before + 1);
    close(fd);
}

typedef struct clear_row {
    bool on, tls, loopback, local, refused;
} clear_row;

/* Without sockets: this machine may have no other address than loopback. */
static void test_clear_text_of_others(void **state)
{
    (void)state;
    static const clear_row rows[] = {{true, false, false, false, true},
                                     {true, true, false, false, false},
                                     {true, false, true, false, false},
                                     {true, false, false, true, false},
                                     {false, false, false, false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mw_tls tls;
        mw_tls_init(&tls);
        atomic_store(&tls.on, rows[i].on);
        mw_front front = {.config = {.clock = mw_clock_system()}, .tls = &tls};
        mw_router_init(&front.router, tls_routes, sizeof tls_routes / sizeof *tls_routes);
        mw_wire wire;
        mw_wire_init(&wire, &front, MW_PORT_WEB);
        wire.peer = (mw_peer){.address = "192.0.2.1",
                              .tls = rows[i].tls,
                              .loopback = rows[i].loopback,
                              .local = rows[i].local};
        /* Only whether it gets to a route matters: an unknown one is 404 there. */
        mw_http1_session session;
        mw_http1_session_init(&session, &wire);
        mw_slice rest = mw_http1_session_receive(
            &session, MW_SLICE("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_int_equal(rest.len, 0);
        struct iovec piece;
        assert_int_equal(mw_out_queue_peek(&wire.out, &piece, 1), 1);
        mw_slice answer = {piece.iov_base, piece.iov_len};
        bool refused = rows[i].refused;
        assert_true(
            mw_slice_starts(answer, mw_slice_of(refused ? "HTTP/1.1 403 " : "HTTP/1.1 404 ")));
        assert_int_equal(mw_slice_contains(answer, MW_SLICE("https://")), refused);
        assert_int_equal(wire.finished, refused);
        mw_http1_session_fini(&session);
        mw_wire_fini(&wire);
        mw_router_fini(&front.router);
        mw_tls_fini(&tls);
    }
}

/* ---- client certificates --------------------------------------------------------------------- */

/* True when a request goes through; a refused client of TLS 1.3 learns it at its first read. */
static bool is_served(peer_options options, int *reason)
{
    peer one;
    size_t len = 0;
    char *text = NULL;
    if (join(&one, MW_PORT_WEB, &options)) {
        say(&one, MW_SLICE(HELLO));
        text = hear(&one, &len);
    }
    *reason = ERR_GET_REASON(ERR_peek_error());
    leave(&one);
    free(text);
    return text != NULL;
}

static void test_mutual(void **state)
{
    (void)state;
    int reason;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        uint64_t before = failures();
        int version = versions[i];
        assert_true(is_served((peer_options){.version = version, .shows = &certs.client}, &reason));
        assert_int_equal(failures(), before);
        assert_false(is_served((peer_options){.version = version}, &reason));
        assert_int_equal(reason, version == TLS1_3_VERSION ? SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED
                                                           : SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
        assert_false(
            is_served((peer_options){.version = version, .shows = &certs.stranger}, &reason));
        assert_int_equal(reason, SSL_R_TLSV1_ALERT_UNKNOWN_CA);
        assert_false(
            is_served((peer_options){.version = version, .shows = &certs.expired}, &reason));
        assert_int_equal(reason, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED);
        WAIT_UNTIL(failures() == before + 3);
    }
}

/* A ticket spares the certificate; after a reload that changes the CA's context it is void. */
static void test_resumption(void **state)
{
    (void)state;
    mw_detail detail;
    peer one = JOIN(MW_PORT_WEB, .shows = &certs.client, .version = TLS1_3_VERSION);
    expect_hello(&one);
    SSL_SESSION *session = SSL_get1_session(one.ssl);
    assert_true(SSL_SESSION_is_resumable(session));
    leave(&one);
    one = JOIN(MW_PORT_WEB, .version = TLS1_3_VERSION, .resume = session);
    assert_true(SSL_session_reused(one.ssl));
    expect_hello(&one);
    leave(&one);
    assert_int_equal(reload("server.pem", "server.key", "ca.pem", &detail), MW_OK);
    one = JOIN(MW_PORT_WEB, .shows = &certs.client, .version = TLS1_3_VERSION, .resume = session);
    assert_false(SSL_session_reused(one.ssl));
    expect_hello(&one);
    leave(&one);
    SSL_SESSION_free(session);
}

/* ---- hostile and broken clients -------------------------------------------------------------- */

static void test_garbage(void **state)
{
    (void)state;
    unsigned char hello[2048];
    size_t len = client_hello(hello, sizeof hello);
    uint64_t before = failures();
    int fd = dial(MW_PORT_WEB);
    send_bytes(fd, mw_slice_bytes(hello, len));
    send_text(fd, "and now for something that is no record at all");
    assert_true(closes(fd));
    close(fd);
    fd = dial(MW_PORT_WEB);
    send_text(fd, "\x16 is not enough to be TLS");
    assert_true(closes(fd));
    close(fd);
    /* Every byte of the hello turned, one connection each: never more than a refusal. */
    for (size_t i = 1; i < len; i += 7) {
        unsigned char kept = hello[i];
        hello[i] ^= 0xff;
        fd = dial(MW_PORT_WEB);
        send_bytes(fd, mw_slice_bytes(hello, len));
        shutdown(fd, SHUT_WR);
        assert_true(closes(fd));
        close(fd);
        hello[i] = kept;
    }
    assert_true(failures() >= before + 2);
    peer one = JOIN(MW_PORT_WEB, .version = 0);
    expect_hello(&one);
    leave(&one);
}

/* Damaged records after the handshake: the answer is an alert and the end. */
static void test_garbage_later(void **state)
{
    (void)state;
    char byte;
    peer one = JOIN(MW_PORT_WEB, .version = TLS1_3_VERSION);
    expect_hello(&one);
    send_bytes(one.fd, MW_SLICE("\x17\x03\x03\x00\x20this is 32 bytes of no use to us."));
    assert_true(SSL_read(one.ssl, &byte, 1) <= 0);
    WAIT_UNTIL(mw_net_connections(fx.net) == 0);
    leave(&one);
}

static void test_half_open(void **state)
{
    (void)state;
    unsigned char hello[2048];
    size_t len = client_hello(hello, sizeof hello);
    uint64_t before = mw_counter_value(MW_COUNT_NET_REFUSED_TIMEOUT);
    slow_clock();
    /* In 1.2 the server has the last word of a handshake: when the client is through, so is it. */
    peer silent = JOIN(MW_PORT_WEB, .version = TLS1_2_VERSION);
    uint64_t read_before = mw_counter_value(MW_COUNT_NET_BYTES_IN);
    int one_byte = dial(MW_PORT_WEB), half = dial(MW_PORT_WEB), whole = dial(MW_PORT_WEB);
    send_bytes(one_byte, mw_slice_bytes(hello, 1));
    send_bytes(half, mw_slice_bytes(hello, len / 2));
    send_bytes(whole, mw_slice_bytes(hello, len));
    WAIT_UNTIL(mw_counter_value(MW_COUNT_NET_BYTES_IN) == read_before + len + len / 2 + 1);
    push_clock(7);
    nap_ms(1200);
    assert_int_equal(mw_net_connections(fx.net), 4);
    push_clock(4);
    assert_true(closes(one_byte));
    assert_true(closes(half));
    assert_true(closes(whole));
    assert_int_equal(SSL_read(silent.ssl, hello, 1), 0);
    WAIT_UNTIL(mw_counter_value(MW_COUNT_NET_REFUSED_TIMEOUT) == before + 4);
    WAIT_UNTIL(mw_net_connections(fx.net) == 0);
    close(one_byte);
    close(half);
    close(whole);
    leave(&silent);
}

static void test_client_vanishes(void **state)
{
    (void)state;
    unsigned char hello[2048];
    size_t len = client_hello(hello, sizeof hello);
    const size_t parts[] = {1, 5, len / 2, len};
    for (size_t i = 0; i < 8; i++) {
        uint64_t before = failures();
        uint64_t read_before = mw_counter_value(MW_COUNT_NET_BYTES_IN);
        int fd = dial(MW_PORT_WEB);
        send_bytes(fd, mw_slice_bytes(hello, parts[i / 2]));
        WAIT_UNTIL(mw_counter_value(MW_COUNT_NET_BYTES_IN) >= read_before + parts[i / 2]);
        if (i % 2)
            reset_by_client(fd);
        else
            close(fd);
        WAIT_UNTIL(mw_net_connections(fx.net) == 0);
        assert_int_equal(failures(), before + 1);
    }
}

/* A handshake that hangs is a connection like any other. */
static void test_connection_limit(void **state)
{
    (void)state;
    uint64_t before = mw_counter_value(MW_COUNT_NET_BYTES_IN);
    int first = dial(MW_PORT_WEB), second = dial(MW_PORT_WEB);
    send_text(first, "\x16");
    send_text(second, "\x16");
    WAIT_UNTIL(mw_counter_value(MW_COUNT_NET_BYTES_IN) == before + 2);
    int third = dial(MW_PORT_WEB);
    assert_true(closes(third));
    close(first);
    WAIT_UNTIL(mw_net_connections(fx.net) == 1);
    peer one = JOIN(MW_PORT_WEB, .version = 0);
    expect_hello(&one);
    leave(&one);
    close(second), close(third);
}

/* The limit may only be set while no loop runs. */
static int set_up_limited(void **state)
{
    mw_memory_init((size_t)32 << 20);
    return set_up_tls(state);
}

static int tear_down_limited(void **state)
{
    int result = tear_down(state);
    mw_memory_init(0);
    return result;
}

static void test_memory_short(void **state)
{
    (void)state;
    peer one;
    uint64_t before = mw_counter_value(MW_COUNT_NET_REFUSED_MEMORY);
    /* All but the reserve and less than a handshake costs. */
    size_t free_bytes = mw_memory_limit() / 8 * 7 - mw_memory_used();
    void *hog = mw_alloc(MW_MEM_BASE, free_bytes - MW_TLS_SESSION_COST / 2);
    assert_non_null(hog);
    assert_false(join(&one, MW_PORT_WEB, &(peer_options){.version = 0}));
    mw_free(MW_MEM_BASE, hog);
    leave(&one);
    assert_int_equal(mw_counter_value(MW_COUNT_NET_REFUSED_MEMORY), before + 1);
    one = JOIN(MW_PORT_WEB, .version = 0);
    expect_hello(&one);
    leave(&one);
}

/* ---- bytes in all sizes ---------------------------------------------------------------------- */

/* Hands over what the client wants to send a byte at a time, and all that the server says. */
static void shuttle(SSL *ssl, int fd)
{
    unsigned char byte, in[4096];
    while (BIO_read(SSL_get_wbio(ssl), &byte, 1) == 1)
        send_bytes(fd, mw_slice_bytes(&byte, 1));
    nap_ms(2);
    ssize_t n = recv(fd, in, sizeof in, MSG_DONTWAIT);
    if (n > 0)
        assert_int_equal(BIO_write(SSL_get_rbio(ssl), in, (int)n), n);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        char answer[1024];
        int fd = dial(MW_PORT_WEB), got = -1;
        SSL *ssl = detached_client(&(peer_options){.version = versions[i]});
        for (int turn = 0; turn < 5000 && SSL_do_handshake(ssl) != 1; turn++)
            shuttle(ssl, fd);
        assert_true(SSL_is_init_finished(ssl));
        for (const char *at = HELLO; *at; at++)
            assert_int_equal(SSL_write(ssl, at, 1), 1);
        for (int turn = 0; turn < 5000 && got <= 0; turn++) {
            shuttle(ssl, fd);
            got = SSL_read(ssl, answer, sizeof answer - 1);
        }
        assert_true(got > 0);
        answer[got] = '\0';
        assert_non_null(strstr(answer, "HTTP/1.1 200 "));
        SSL_free(ssl);
        close(fd);
    }
}

/* Every byte a record of its own: more of them than one turn takes. */
static void test_tiny_records(void **state)
{
    (void)state;
    enum { BODY = 20000 };
    size_t len = 0;
    peer one = JOIN(MW_PORT_HTTP, .version = 0);
    say(&one, MW_SLICE("POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n"));
    for (int i = 0; i < BODY; i++) {
        char byte = (char)('a' + i % 23);
        say(&one, mw_slice_bytes(&byte, 1));
    }
    char *text = hear(&one, &len);
    assert_non_null(text);
    assert_int_equal(len, BODY);
    const char *body = strstr(text, "\r\n\r\n") + 4;
    for (int i = 0; i < BODY; i++)
        assert_int_equal(body[i], 'a' + i % 23);
    free(text);
    leave(&one);
}

static void test_large_http1(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    char *body = malloc(LARGE);
    assert_non_null(body);
    for (size_t i = 0; i < LARGE; i++)
        body[i] = (char)(i * 13 + (i >> 10));
    for (size_t i = 0; i < 2; i++) {
        size_t len = 0;
        peer one = JOIN(MW_PORT_HTTP, .version = versions[i]);
        char head[128];
        snprintf(head, sizeof head,
                 "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                 LARGE);
        say(&one, mw_slice_of(head));
        say(&one, mw_slice_bytes(body, LARGE));
        /* The server must come to wait for this reader. */
        nap_ms(100);
        char *text = hear(&one, &len);
        assert_non_null(text);
        assert_int_equal(len, LARGE);
        assert_memory_equal(strstr(text, "\r\n\r\n") + 4, body, LARGE);
        free(text);
        leave(&one);
    }
    free(body);
}

static void test_large_grpc(void **state)
{
    (void)state;
    peer one = JOIN(MW_PORT_GRPC, .alpn = ALPN_BOTH);
    grpc_round_trip(&one, LARGE);
    leave(&one);
}

/* Many small pipelined requests in one record, and the end of the client's side behind them. */
static void test_half_close(void **state)
{
    (void)state;
    char text[8192];
    size_t have = 0, n = 0;
    peer one = JOIN(MW_PORT_WEB, .version = TLS1_3_VERSION);
    say(&one, MW_SLICE(HELLO HELLO HELLO));
    assert_int_equal(SSL_shutdown(one.ssl), 0);
    while (SSL_read_ex(one.ssl, text + have, sizeof text - 1 - have, &n) == 1)
        have += n;
    /* Ended by close_notify, not cut off. */
    assert_int_equal(SSL_get_error(one.ssl, 0), SSL_ERROR_ZERO_RETURN);
    text[have] = '\0';
    unsigned answers = 0;
    for (const char *at = text; (at = strstr(at, "HTTP/1.1 200 ")) != NULL; at++)
        answers++;
    assert_int_equal(answers, 3);
    leave(&one);
}

static void test_key_update(void **state)
{
    (void)state;
    peer one = JOIN(MW_PORT_WEB, .version = TLS1_3_VERSION);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(SSL_key_update(one.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        if (i % 10 == 0)
            expect_hello(&one);
        else
            assert_int_equal(SSL_do_handshake(one.ssl), 1);
    }
    expect_hello(&one);
    leave(&one);
}

/* A client of TLS 1.2 that asks to begin anew is told no. */
static void test_renegotiation(void **state)
{
    (void)state;
    peer one = JOIN(MW_PORT_WEB, .version = TLS1_2_VERSION);
    expect_hello(&one);
    assert_int_equal(SSL_renegotiate(one.ssl), 1);
    ERR_clear_error();
    assert_true(SSL_do_handshake(one.ssl) <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    leave(&one);
}

/* ---- reload ---------------------------------------------------------------------------------- */

static void test_reload(void **state)
{
    (void)state;
    mw_detail detail;
    size_t len = 0;
    peer old = JOIN(MW_PORT_WEB, .version = TLS1_3_VERSION);
    assert_int_equal(peer_serial(&old), serial_of(&certs.server));
    say(&old, MW_SLICE("POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"));
    WAIT_UNTIL(held_now() == 1);
    assert_int_equal(reload("renewed.pem", "renewed.key", "", &detail), MW_OK);
    peer new = JOIN(MW_PORT_WEB, .version = TLS1_3_VERSION);
    assert_int_equal(peer_serial(&new), serial_of(&certs.renewed));
    expect_hello(&new);
    release_held();
    char *text = hear(&old, &len);
    assert_non_null(text);
    assert_non_null(strstr(text, "\r\n\r\nbody"));
    free(text);
    expect_hello(&old);
    leave(&old);
    leave(&new);
}

typedef struct bad_row {
    const char *certificate, *key, *authorities;
    mw_err err;
    const char *field, *words;
} bad_row;

static const bad_row bad_rows[] = {
    {"renewed.pem", "server.key", "", MW_E_INVALID, "tls_key", "does not match"},
    {"expired.pem", "expired.key", "", MW_E_INVALID, "tls_cert", "expired"},
    {"renewed.pem", "open.key", "", MW_E_DENIED, "tls_key", "others than its owner"},
    {"missing.pem", "renewed.key", "", MW_E_NOT_FOUND, "tls_cert", "missing.pem"},
    {"renewed.pem", "missing.key", "", MW_E_NOT_FOUND, "tls_key", "missing.key"},
    {"text.pem", "renewed.key", "", MW_E_INVALID, "tls_cert", "no certificate"},
    {"renewed.pem", "text.pem", "", MW_E_INVALID, "tls_key", "no private key"},
    {"renewed.pem", "renewed.key", "text.pem", MW_E_INVALID, "tls_client_ca", "no certificate"},
    {"renewed.pem", "renewed.key", "missing.pem", MW_E_NOT_FOUND, "tls_client_ca", "missing.pem"},
    {"renewed.pem", "", "", MW_E_INVALID, "tls_key", "without tls_key"},
    {"", "renewed.key", "", MW_E_INVALID, "tls_cert", "without tls_cert"},
    {".", "renewed.key", "", MW_E_INVALID, "tls_cert", "not a regular file"},
};

static void test_bad_reload(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
        const bad_row *row = &bad_rows[i];
        mw_detail detail;
        assert_int_equal(reload(row->certificate, row->key, row->authorities, &detail), row->err);
        assert_string_equal(detail.field, row->field);
        if (!strstr(detail.message, row->words))
            fail_msg("row %zu: %s", i, detail.message);
        assert_true(detail.hint[0]);
    }
    peer one = JOIN(MW_PORT_WEB, .version = 0);
    assert_int_equal(peer_serial(&one), serial_of(&certs.server));
    expect_hello(&one);
    leave(&one);
}

static void test_reload_off_and_on(void **state)
{
    (void)state;
    mw_detail detail;
    peer old = JOIN(MW_PORT_WEB, .version = 0), refused;
    uint64_t before = mw_counter_value(MW_COUNT_NET_REFUSED_TLS);
    assert_int_equal(reload("", "", "", &detail), MW_OK);
    assert_false(mw_net_tls_on(fx.net));
    assert_false(join(&refused, MW_PORT_WEB, &(peer_options){.version = 0}));
    assert_int_equal(mw_counter_value(MW_COUNT_NET_REFUSED_TLS), before + 1);
    leave(&refused);
    expect_hello(&old);
    leave(&old);
    assert_int_equal(reload("renewed.pem", "renewed.key", "", &detail), MW_OK);
    peer one = JOIN(MW_PORT_WEB, .version = 0);
    expect_hello(&one);
    leave(&one);
}

/* ---- many at once ---------------------------------------------------------------------------- */

static void *visit(void *arg)
{
    (void)arg;
    for (int i = 0; i < 15; i++) {
        peer one = JOIN(MW_PORT_WEB, .version = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
        expect_hello(&one);
        expect_hello(&one);
        leave(&one);
    }
    return NULL;
}

static void test_reload_under_load(void **state)
{
    (void)state;
    pthread_t threads[4];
    mw_detail detail;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visit, NULL), 0);
    for (int i = 0; i < 40; i++) {
        const bool odd = i % 2;
        assert_int_equal(reload(odd ? "server.pem" : "renewed.pem",
                                odd ? "server.key" : "renewed.key", "", &detail),
                         MW_OK);
        nap_ms(5);
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* A drain in the middle of handshakes and of an answer. */
static void test_drain(void **state)
{
    (void)state;
    char byte;
    unsigned char hello[2048];
    size_t len = client_hello(hello, sizeof hello);
    int half = dial(MW_PORT_WEB);
    send_bytes(half, mw_slice_bytes(hello, len / 2));
    peer idle = JOIN(MW_PORT_WEB, .version = 0);
    expect_hello(&idle);
    mw_net_drain(fx.net, 2000);
    assert_true(closes(half));
    assert_int_equal(SSL_read(idle.ssl, &byte, 1), 0);
    assert_int_equal(SSL_get_error(idle.ssl, 0), SSL_ERROR_ZERO_RETURN);
    close(half);
    leave(&idle);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_tls, tear_down)
#define MUTUAL(name) cmocka_unit_test_setup_teardown(name, set_up_mutual, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_versions),
        TEST(test_old_is_refused),
        TEST(test_alpn),
        TEST(test_links),
        TEST(test_alpn_is_binding),
        TEST(test_grpc),
        TEST(test_clear_text_of_loopback),
        cmocka_unit_test(test_clear_text_of_others),
        MUTUAL(test_mutual),
        MUTUAL(test_resumption),
        TEST(test_garbage),
        TEST(test_garbage_later),
        TEST(test_half_open),
        TEST(test_client_vanishes),
        cmocka_unit_test_setup_teardown(test_connection_limit, set_up_two, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_short, set_up_limited, tear_down_limited),
        TEST(test_byte_by_byte),
        TEST(test_tiny_records),
        TEST(test_large_http1),
        TEST(test_large_grpc),
        TEST(test_half_close),
        TEST(test_key_update),
        TEST(test_renegotiation),
        TEST(test_reload),
        TEST(test_bad_reload),
        TEST(test_reload_off_and_on),
        TEST(test_reload_under_load),
        TEST(test_drain),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
