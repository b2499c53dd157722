/* Certificate files to an SSL_CTX. See tls_int.h. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/memory.h"
#include "lib/net/tls_int.h"

/* Forward secrecy and AEAD only; TLS 1.3 has nothing else. */
#define TLS12_SUITES "ECDHE+AESGCM:ECDHE+CHACHA20"
/* Ties tickets to this program: required where clients have certificates. */
#define SESSION_CONTEXT "midwatch"

typedef struct mw_tls_file {
    const char *option;
    const char *path;
    char *data;
    size_t len;
} mw_tls_file;

/* ---- words ----------------------------------------------------------------------------------- */

static const char *reason_of(unsigned long error)
{
    const char *reason = ERR_reason_error_string(error);
    return reason ? reason : "it cannot be used";
}

/* The path comes last: only it may be cut. */
static mw_err file_error(const mw_tls_file *file, mw_err err, const char *what, const char *hint,
                         mw_detail *detail)
{
    return mw_detail_set(detail, err, file->option, hint, "%s: %s: %s", file->option, what,
                         file->path);
}

static mw_err library_error(const mw_tls_file *file, mw_detail *detail)
{
    return file_error(file, MW_E_INVALID, reason_of(ERR_peek_last_error()),
                      "give a PEM file that OpenSSL accepts", detail);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void close_file(mw_tls_file *file)
{
    if (file->data)
        explicit_bzero(file->data, file->len);
    mw_free(MW_MEM_TLS, file->data);
    file->data = NULL;
}

static mw_err read_all(mw_tls_file *file, int fd, size_t size, mw_detail *detail)
{
    file->data = mw_alloc(MW_MEM_TLS, size);
    if (!file->data)
        return file_error(file, MW_E_NOMEM, "no memory to read it", "raise memory_limit", detail);
    while (file->len < size) {
        ssize_t n = read(fd, file->data + file->len, size - file->len);
        if (n <= 0)
            return file_error(file, MW_E_IO, n < 0 ? strerror(errno) : "it changed while read",
                              "try again", detail);
        file->len += (size_t)n;
    }
    return MW_OK;
}

/* Asked of the open file, so that it cannot be exchanged between question and use. */
static mw_err check_file(const mw_tls_file *file, const struct stat *status, bool secret,
                         mw_detail *detail)
{
    if (!S_ISREG(status->st_mode))
        return file_error(file, MW_E_INVALID, "it is not a regular file", "give a PEM file",
                          detail);
    if (status->st_size <= 0 || (size_t)status->st_size > MW_TLS_FILE_MAX)
        return file_error(file, MW_E_LIMIT, "it is empty or larger than 1 MiB", "give a PEM file",
                          detail);
    if (secret && (status->st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return file_error(file, MW_E_DENIED, "others than its owner can open the key file",
                          "run: chmod 600 on it, as its owner", detail);
    if (secret && status->st_uid != geteuid() && status->st_uid != 0)
        return file_error(file, MW_E_DENIED, "the key file belongs to another user",
                          "run: chown it to the daemon's user", detail);
    return MW_OK;
}

static mw_err open_file(mw_tls_file *file, bool secret, mw_detail *detail)
{
    struct stat status;
    MW_ASSERT(file->path);
    /* NONBLOCK: a FIFO of that name must not hold up the start. */
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        mw_err err = file_error(file, errno == ENOENT ? MW_E_NOT_FOUND : MW_E_IO, strerror(errno),
                                "give a file that the daemon's user can read", detail);
        if (fd >= 0)
            (void)close(fd);
        return err;
    }
    mw_err err = check_file(file, &status, secret, detail);
    if (err == MW_OK)
        err = read_all(file, fd, (size_t)status.st_size, detail);
    (void)close(fd);
    if (err != MW_OK)
        close_file(file);
    return err;
}

/* ---- certificate and key --------------------------------------------------------------------- */

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *ctx)
{
    (void)buffer, (void)size, (void)writing, (void)ctx;
    return -1;
}

static mw_err check_dates(const mw_tls_file *file, X509 *certificate, const mw_clock *clock,
                          mw_detail *detail)
{
    time_t now = (time_t)(mw_clock_wall_ns(clock) / MW_NS_PER_S);
    time_t soon = now + (time_t)MW_TLS_EXPIRY_WARNING_S;
    int begins = X509_cmp_time(X509_get0_notBefore(certificate), &now);
    int ends = X509_cmp_time(X509_get0_notAfter(certificate), &now);
    if (begins == 0 || ends == 0)
        return file_error(file, MW_E_INVALID, "a certificate has a malformed date",
                          "make a new certificate", detail);
    if (ends < 0)
        return file_error(file, MW_E_INVALID, "a certificate has expired",
                          "renew it, then start again or send SIGHUP", detail);
    if (begins > 0)
        return file_error(file, MW_E_INVALID, "a certificate is not valid yet",
                          "check this machine's clock", detail);
    if (X509_cmp_time(X509_get0_notAfter(certificate), &soon) < 0)
        MW_LOG(MW_LOG_WARN, "net", "a certificate expires in less than 14 days",
               MW_KV_STR("option", file->option), MW_KV_STR("file", file->path));
    return MW_OK;
}

/* The first is the leaf, those behind it the chain towards the root. */
static mw_err add_certificate(SSL_CTX *context, X509 *certificate, int position)
{
    long done = position == 0 ? SSL_CTX_use_certificate(context, certificate)
                              : SSL_CTX_add1_chain_cert(context, certificate);
    return done == 1 ? MW_OK : MW_E_INVALID;
}

static mw_err read_chain(SSL_CTX *context, const mw_tls_file *file, BIO *pem, const mw_clock *clock,
                         mw_detail *detail)
{
    int count = 0;
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509(pem, NULL, no_passphrase, NULL)) != NULL) {
        mw_err err = check_dates(file, certificate, clock, detail);
        if (err == MW_OK && count == MW_TLS_CHAIN_MAX)
            err = file_error(file, MW_E_LIMIT, "more than 16 certificates",
                             "give the leaf and its chain only", detail);
        else if (err == MW_OK && add_certificate(context, certificate, count) != MW_OK)
            err = library_error(file, detail);
        X509_free(certificate);
        if (err != MW_OK)
            return err;
        count++;
    }
    /* The end of the file is an error of this kind, and the only good one. */
    if (count == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return file_error(file, MW_E_INVALID,
                          count == 0 ? "no certificate in PEM form" : "a certificate is damaged",
                          "give the certificate and its chain as PEM", detail);
    ERR_clear_error();
    return MW_OK;
}

static mw_err load_certificate(SSL_CTX *context, const mw_net_tls *paths, const mw_clock *clock,
                               mw_detail *detail)
{
    mw_tls_file file = {.option = "tls_cert", .path = paths->certificate_path};
    mw_err err = open_file(&file, false, detail);
    if (err != MW_OK)
        return err;
    BIO *pem = BIO_new_mem_buf(file.data, (int)file.len);
    err = pem ? read_chain(context, &file, pem, clock, detail) : MW_E_NOMEM;
    BIO_free(pem);
    close_file(&file);
    return err;
}

static mw_err use_key(SSL_CTX *context, const mw_tls_file *file, EVP_PKEY *key, mw_detail *detail)
{
    if (!key)
        return file_error(file, MW_E_INVALID,
                          "no private key in PEM form, or one with a passphrase",
                          "give the key without a passphrase, mode 0600", detail);
    if (X509_check_private_key(SSL_CTX_get0_certificate(context), key) != 1)
        return file_error(file, MW_E_INVALID, "the key does not match the certificate of tls_cert",
                          "give the two files that were made together", detail);
    return SSL_CTX_use_PrivateKey(context, key) == 1 ? MW_OK : library_error(file, detail);
}

static mw_err load_key(SSL_CTX *context, const mw_net_tls *paths, mw_detail *detail)
{
    mw_tls_file file = {.option = "tls_key", .path = paths->key_path};
    mw_err err = open_file(&file, true, detail);
    if (err != MW_OK)
        return err;
    BIO *pem = BIO_new_mem_buf(file.data, (int)file.len);
    EVP_PKEY *key = pem ? PEM_read_bio_PrivateKey(pem, NULL, no_passphrase, NULL) : NULL;
    err = pem ? use_key(context, &file, key, detail) : MW_E_NOMEM;
    EVP_PKEY_free(key);
    BIO_free(pem);
    close_file(&file);
    return err;
}

/* ---- clients' certificates ------------------------------------------------------------------- */

static mw_err read_authorities(SSL_CTX *context, const mw_tls_file *file, BIO *pem,
                               mw_detail *detail)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    size_t count = 0;
    X509 *authority;
    while ((authority = PEM_read_bio_X509(pem, NULL, no_passphrase, NULL)) != NULL) {
        bool added = X509_STORE_add_cert(store, authority) == 1 &&
                     SSL_CTX_add_client_CA(context, authority) == 1;
        X509_free(authority);
        if (!added)
            return library_error(file, detail);
        count++;
    }
    if (count == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return file_error(file, MW_E_INVALID,
                          count == 0 ? "no certificate in PEM form" : "a certificate is damaged",
                          "give the CA's certificates as PEM", detail);
    ERR_clear_error();
    return MW_OK;
}

static mw_err load_authorities(SSL_CTX *context, const mw_net_tls *paths, mw_detail *detail)
{
    mw_tls_file file = {.option = "tls_client_ca", .path = paths->client_ca_path};
    mw_err err = open_file(&file, false, detail);
    if (err != MW_OK)
        return err;
    BIO *pem = BIO_new_mem_buf(file.data, (int)file.len);
    err = pem ? read_authorities(context, &file, pem, detail) : MW_E_NOMEM;
    BIO_free(pem);
    close_file(&file);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_verify_depth(context, MW_TLS_VERIFY_DEPTH);
    return err;
}

/* ---- the context ----------------------------------------------------------------------------- */

/* h2 before http/1.1, whatever the client's order. A client that offers neither is told so; one
 * that offers nothing is known by its first bytes. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *ctx)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char *chosen = NULL;
    (void)ssl, (void)ctx;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* No session cache: tickets carry the sessions, so that loops share no locked table. A ticket's
 * key lives and dies with its context, so a reload also ends what an old client CA let in.
 * AUTO_RETRY off: one call does one record's work, and a flood of key updates takes its turns.
 * Requests carry their own lengths, so an end without close_notify cuts nothing unseen. */
static bool set_rules(SSL_CTX *context)
{
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(context, MW_TLS_PEER_CHAIN_MAX);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, TLS12_SUITES) == 1 &&
           SSL_CTX_set_session_id_context(context, (const unsigned char *)SESSION_CONTEXT,
                                          sizeof SESSION_CONTEXT - 1) == 1;
}

static bool given(const char *path)
{
    return path && *path;
}

static mw_err check_paths(const mw_net_tls *paths, mw_detail *detail)
{
    if (given(paths->certificate_path) && !given(paths->key_path))
        return mw_detail_set(detail, MW_E_INVALID, "tls_key", "give the key's file",
                             "tls_cert is given without tls_key");
    if (!given(paths->certificate_path) && (given(paths->key_path) || given(paths->client_ca_path)))
        return mw_detail_set(detail, MW_E_INVALID, "tls_cert", "give the certificate's file",
                             "tls_key or tls_client_ca is given without tls_cert");
    return MW_OK;
}

static mw_err build(const mw_net_tls *paths, const mw_clock *clock, SSL_CTX **out,
                    mw_detail *detail)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    mw_err err = MW_OK;
    if (!context || !set_rules(context))
        err = mw_detail_set(detail, MW_E_NOMEM, "tls_cert", "raise memory_limit",
                            "OpenSSL cannot be set up: %s", reason_of(ERR_peek_last_error()));
    if (err == MW_OK)
        err = load_certificate(context, paths, clock, detail);
    if (err == MW_OK)
        err = load_key(context, paths, detail);
    if (err == MW_OK && given(paths->client_ca_path))
        err = load_authorities(context, paths, detail);
    ERR_clear_error();
    if (err != MW_OK) {
        SSL_CTX_free(context);
        context = NULL;
    }
    *out = context;
    return err;
}

/* ---- what others use ------------------------------------------------------------------------- */

void mw_tls_init(mw_tls *tls)
{
    tls->current = NULL;
    atomic_init(&tls->on, false);
    pthread_mutex_init(&tls->lock, NULL);
}

void mw_tls_fini(mw_tls *tls)
{
    SSL_CTX_free(tls->current);
    tls->current = NULL;
    pthread_mutex_destroy(&tls->lock);
}

static void publish(mw_tls *tls, SSL_CTX *context)
{
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->current;
    tls->current = context;
    atomic_store(&tls->on, context != NULL);
    pthread_mutex_unlock(&tls->lock);
    /* Sessions that began with it hold references of their own. */
    SSL_CTX_free(old);
}

mw_err mw_tls_load(mw_tls *tls, const mw_net_tls *paths, const mw_clock *clock, mw_detail *detail)
{
    SSL_CTX *context = NULL;
    mw_err err = check_paths(paths, detail);
    if (err == MW_OK && given(paths->certificate_path))
        err = build(paths, clock, &context, detail);
    if (err == MW_OK)
        publish(tls, context);
    return err;
}

bool mw_tls_is_on(const mw_tls *tls)
{
    return atomic_load_explicit(&tls->on, memory_order_relaxed);
}

SSL *mw_tls_begin(mw_tls *tls)
{
    SSL_CTX *context = NULL;
    pthread_mutex_lock(&tls->lock);
    if (tls->current && SSL_CTX_up_ref(tls->current) == 1)
        context = tls->current;
    pthread_mutex_unlock(&tls->lock);
    SSL *ssl = context && mw_memory_admits(MW_TLS_SESSION_COST) ? SSL_new(context) : NULL;
    SSL_CTX_free(context);
    if (ssl)
        SSL_set_accept_state(ssl);
    ERR_clear_error();
    return ssl;
}

mw_err mw_net_tls_check(const mw_net_tls *paths, const mw_clock *clock, mw_detail *detail)
{
    mw_tls tls;
    mw_tls_init(&tls);
    mw_err err = mw_tls_load(&tls, paths, clock, detail);
    mw_tls_fini(&tls);
    return err;
}
