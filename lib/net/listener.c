/* Addresses and listening sockets. See listener_int.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/net/listener_int.h"

/* With port 0 the first host's free port may be taken on another host: then all begin again. */
#define PORT_TRIES 16
#define ADDRESS_HINT "write host:port, [ipv6]:port, or several with commas between"

/* ---- parsing --------------------------------------------------------------------------------- */

static mw_err bad_address(mw_detail *detail, const char *field, const char *why)
{
    return mw_detail_set(detail, MW_E_INVALID, field, ADDRESS_HINT, "%s", why);
}

/* Splits at the colon in front of the port. */
static bool split_host(mw_slice text, mw_slice *host, mw_slice *port)
{
    size_t colon = text.len;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    *host = mw_slice_first(text, colon - 1);
    *port = mw_slice_from(text, colon);
    bool bracketed = mw_slice_starts(*host, MW_SLICE("["));
    if (bracketed != mw_slice_ends(*host, MW_SLICE("]")))
        return false;
    if (bracketed)
        *host = mw_slice_from(mw_slice_first(*host, host->len - 1), 1);
    /* A bare IPv6 address would leave its last group as the port. */
    return bracketed || mw_slice_find_byte(*host, ':') == host->len;
}

static mw_err parse_one(mw_slice text, const char *field, mw_address *out, mw_detail *detail)
{
    mw_slice host;
    mw_slice port_text;
    uint64_t port = 0;
    text = mw_slice_trim(text);
    if (!split_host(text, &host, &port_text))
        return bad_address(detail, field, "the address is not of the form host:port");
    if (host.len == 0)
        return mw_detail_set(detail, MW_E_INVALID, field,
                             "write 127.0.0.1 for this machine, 0.0.0.0 or [::] for all networks",
                             "the address names no host");
    if (mw_slice_u64(port_text, &port) != MW_OK || port > UINT16_MAX)
        return bad_address(detail, field, "the port is not a number from 0 to 65535");
    if (!mw_slice_to_cstr(host, out->host, sizeof out->host))
        return bad_address(detail, field, "the host name is too long");
    out->port = (uint16_t)port;
    return MW_OK;
}

mw_err mw_address_parse(const char *text, const char *field, mw_address_list *out,
                        mw_detail *detail)
{
    mw_slice rest = mw_slice_of(text);
    mw_slice item;
    out->count = 0;
    if (mw_slice_trim(rest).len == 0 || mw_slice_ends(rest, MW_SLICE(",")))
        return bad_address(detail, field, "an address is missing");
    while (mw_slice_split(&rest, ',', &item)) {
        if (out->count == MW_ADDRESSES_MAX)
            return bad_address(detail, field, "more than 8 addresses");
        mw_err err = parse_one(item, field, &out->items[out->count], detail);
        if (err != MW_OK)
            return err;
        out->count++;
    }
    return MW_OK;
}

/* ---- TCP ------------------------------------------------------------------------------------- */

void mw_listeners_init(mw_listeners *listeners)
{
    *listeners = (mw_listeners){0};
}

static mw_err listen_error(int error)
{
    switch (error) {
    case EADDRINUSE: return MW_E_CONFLICT;
    case EACCES:
    case EPERM: return MW_E_DENIED;
    default: return MW_E_IO;
    }
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

static uint16_t get_port(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

/* A listening socket, or -1 with errno. */
static int open_listener(const struct sockaddr_storage *address, socklen_t len)
{
    int one = 1;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* V6ONLY: [::] and 0.0.0.0 may stand beside each other in a list. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        (address->ss_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0) &&
        bind(fd, (const struct sockaddr *)address, len) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static void add_listener(mw_listeners *listeners, int fd, mw_port port)
{
    MW_ASSERT(listeners->count < MW_LISTENERS_MAX);
    listeners->items[listeners->count++] = (mw_listener){fd, port};
}

static void close_from(mw_listeners *listeners, size_t first)
{
    while (listeners->count > first)
        (void)close(listeners->items[--listeners->count].fd);
}

typedef struct mw_bind_job {
    mw_listeners *listeners;
    mw_port port;
    const char *field;
    mw_detail *detail;
    uint16_t chosen; /* for port 0; 0 = none yet */
    char *endpoint;
    bool ipv6_missing;
} mw_bind_job;

static mw_err describe(mw_bind_job *job, const mw_address *item, uint16_t port, int error)
{
    mw_err err = listen_error(error);
    const char *hint = err == MW_E_CONFLICT ? "stop the other program or choose another port"
                       : err == MW_E_DENIED ? "ports below 1024 need privileges"
                                            : "use an address of this machine";
    return mw_detail_set(job->detail, err, job->field, hint, "cannot listen on %s port %u: %s",
                         item->host, (unsigned)port, strerror(error));
}

/* One resolved address. MW_OK also when it was left out (job->ipv6_missing). */
static mw_err bind_resolved(mw_bind_job *job, const mw_address *item,
                            const struct addrinfo *resolved)
{
    struct sockaddr_storage address = {0};
    socklen_t len = resolved->ai_addrlen;
    uint16_t port = item->port ? item->port : job->chosen;
    memcpy(&address, resolved->ai_addr, len);
    set_port(&address, port);
    if (job->listeners->count >= MW_LISTENERS_MAX - 1)
        return bad_address(job->detail, job->field, "the names stand for too many addresses");
    int fd = open_listener(&address, len);
    if (fd < 0 && address.ss_family == AF_INET6 &&
        (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT)) {
        job->ipv6_missing = true;
        return MW_OK;
    }
    if (fd < 0)
        return describe(job, item, port, errno);
    add_listener(job->listeners, fd, job->port);
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return describe(job, item, port, errno);
    port = get_port(&address);
    if (item->port == 0)
        job->chosen = port;
    if (job->endpoint[0] == '\0')
        snprintf(job->endpoint, MW_ENDPOINT_SIZE,
                 mw_slice_find_byte(mw_slice_of(item->host), ':') < strlen(item->host) ? "[%s]:%u"
                                                                                       : "%s:%u",
                 item->host, (unsigned)port);
    return MW_OK;
}

static mw_err bind_item(mw_bind_job *job, const mw_address *item)
{
    struct addrinfo hints = {
        .ai_flags = AI_PASSIVE, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(item->host, NULL, &hints, &found);
    if (failure != 0)
        return mw_detail_set(job->detail, MW_E_INVALID, job->field, ADDRESS_HINT,
                             "unknown host %s: %s", item->host, gai_strerror(failure));
    mw_err err = MW_OK;
    for (const struct addrinfo *at = found; at && err == MW_OK; at = at->ai_next)
        err = bind_resolved(job, item, at);
    freeaddrinfo(found);
    return err;
}

static mw_err bind_list(mw_bind_job *job, const mw_address_list *list)
{
    size_t first = job->listeners->count;
    for (size_t i = 0; i < list->count; i++) {
        mw_err err = bind_item(job, &list->items[i]);
        if (err != MW_OK) {
            close_from(job->listeners, first);
            return err;
        }
    }
    if (job->listeners->count == first)
        return mw_detail_set(job->detail, MW_E_IO, job->field, "use an IPv4 address",
                             "this machine has none of the IPv6 addresses given");
    if (job->ipv6_missing)
        MW_LOG(MW_LOG_INFO, "net", "an IPv6 address is not available here and was left out",
               MW_KV_STR("option", job->field));
    return MW_OK;
}

static bool wants_free_port(const mw_address_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].port == 0)
            return true;
    return false;
}

mw_err mw_listeners_tcp(mw_listeners *listeners, mw_port port, const char *field,
                        const char *addresses, mw_detail *detail)
{
    MW_ASSERT(port == MW_PORT_GRPC || port == MW_PORT_HTTP || port == MW_PORT_WEB);
    mw_address_list list = {.count = 0};
    mw_err err = mw_address_parse(addresses, field, &list, detail);
    if (err != MW_OK)
        return err;
    char *endpoint = listeners->endpoints[__builtin_ctz((unsigned)port)];
    for (int try = 0; try < PORT_TRIES; try++) {
        mw_bind_job job = {.listeners = listeners,
                           .port = port,
                           .field = field,
                           .detail = detail,
                           .endpoint = endpoint};
        endpoint[0] = '\0';
        err = bind_list(&job, &list);
        if (err != MW_E_CONFLICT || !wants_free_port(&list))
            break;
    }
    return err;
}

/* ---- the unix socket ------------------------------------------------------------------------- */

static mw_err unix_error(mw_detail *detail, mw_err err, const char *hint, const char *path)
{
    int error = errno;
    return mw_detail_set(detail, err, "socket", hint, "cannot listen on %s: %s", path,
                         strerror(error));
}

/* True when a process accepts connections on the socket file. */
static bool somebody_answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true; /* unknown: better not to remove it */
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    bool refused = result != 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return !refused;
}

static mw_err clear_stale(const struct sockaddr_un *address, mw_detail *detail)
{
    const char *path = address->sun_path;
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT ? MW_OK
                               : unix_error(detail, listen_error(errno),
                                            "check the directory and its owner", path);
    if (!S_ISSOCK(status.st_mode))
        return mw_detail_set(detail, MW_E_CONFLICT, "socket", "move that file away",
                             "%s exists and is not a socket", path);
    if (somebody_answers(address))
        return mw_detail_set(detail, MW_E_CONFLICT, "socket",
                             "another daemon uses this data directory; stop it first",
                             "%s is in use", path);
    if (mw_io_current()->unlink(path) != 0 && errno != ENOENT)
        return unix_error(detail, listen_error(errno), "check the directory's owner", path);
    return MW_OK;
}

/* Mode first, then the name: Linux gives the file the mode of the unbound socket (less umask), so
 * there is no moment in which another user could connect, and no process-wide umask to turn. */
static int open_unix(const struct sockaddr_un *address, struct stat *status)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (fchmod(fd, S_IRUSR | S_IWUSR) == 0 &&
        bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
        chmod(address->sun_path, S_IRUSR | S_IWUSR) == 0 && lstat(address->sun_path, status) == 0 &&
        listen(fd, SOMAXCONN) == 0)
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

mw_err mw_listeners_unix(mw_listeners *listeners, const char *path, mw_detail *detail)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    if (!mw_slice_to_cstr(mw_slice_of(path), address.sun_path, sizeof address.sun_path))
        return mw_detail_set(detail, MW_E_INVALID, "socket", "use a shorter data directory",
                             "the path of the socket is longer than %zu bytes",
                             sizeof address.sun_path - 1);
    mw_err err = clear_stale(&address, detail);
    if (err != MW_OK)
        return err;
    int fd = open_unix(&address, &status);
    if (fd < 0)
        return unix_error(detail, listen_error(errno), "check the directory and its owner", path);
    add_listener(listeners, fd, MW_PORT_SOCKET);
    memcpy(listeners->socket_path, address.sun_path, sizeof listeners->socket_path);
    listeners->socket_device = status.st_dev;
    listeners->socket_inode = status.st_ino;
    return MW_OK;
}

static bool holds_socket(const mw_listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->items[i].port == MW_PORT_SOCKET)
            return true;
    return false;
}

void mw_listeners_close(mw_listeners *listeners)
{
    struct stat status;
    /* Our open socket keeps its inode from being given to another file: the comparison holds as
     * long as the name is removed before the socket is closed. */
    if (holds_socket(listeners) && lstat(listeners->socket_path, &status) == 0 &&
        status.st_dev == listeners->socket_device && status.st_ino == listeners->socket_inode)
        (void)mw_io_current()->unlink(listeners->socket_path);
    close_from(listeners, 0);
}

/* ---- peers ----------------------------------------------------------------------------------- */

static void fill_ipv4(const struct in_addr *address, mw_peer *out)
{
    inet_ntop(AF_INET, address, out->address, sizeof out->address);
    out->loopback = ntohl(address->s_addr) >> 24 == 127;
}

static void fill_ipv6(const struct in6_addr *address, mw_peer *out)
{
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        struct in_addr folded;
        memcpy(&folded, address->s6_addr + 12, sizeof folded);
        fill_ipv4(&folded, out);
        return;
    }
    inet_ntop(AF_INET6, address, out->address, sizeof out->address);
    out->loopback = IN6_IS_ADDR_LOOPBACK(address);
}

static mw_err fill_unix(int fd, mw_peer *out)
{
    struct ucred credentials;
    socklen_t len = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) != 0)
        return MW_E_IO;
    snprintf(out->address, sizeof out->address, "unix");
    out->local = true;
    out->uid = credentials.uid;
    return MW_OK;
}

mw_err mw_peer_of(int fd, const struct sockaddr_storage *address, mw_port port, mw_peer *out)
{
    *out = (mw_peer){0};
    if (port == MW_PORT_SOCKET)
        return fill_unix(fd, out);
    int one = 1;
    /* Answers are written whole: nothing is gained by waiting for more. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (address->ss_family == AF_INET6)
        fill_ipv6(&((const struct sockaddr_in6 *)address)->sin6_addr, out);
    else
        fill_ipv4(&((const struct sockaddr_in *)address)->sin_addr, out);
    out->port = get_port(address);
    return MW_OK;
}
