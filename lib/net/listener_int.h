/* lib/net, private: addresses and listening sockets. Start-up only, on the starting thread.
 *
 * An address list is "host:port,host:port"; a host is a name, an IPv4 address or an IPv6 address
 * in brackets. Port 0 picks one free port, the same for all entries of the list with port 0.
 */
#ifndef MW_NET_LISTENER_INT_H
#define MW_NET_LISTENER_INT_H

#include <sys/socket.h>
#include <sys/types.h>

#include "lib/net/net.h"

#define MW_ADDRESSES_MAX 8
/* Three lists, each entry perhaps both IPv4 and IPv6, and the socket. */
#define MW_LISTENERS_MAX 50

typedef struct mw_address {
    char host[256];
    uint16_t port;
} mw_address;

typedef struct mw_address_list {
    mw_address items[MW_ADDRESSES_MAX];
    size_t count;
} mw_address_list;

typedef struct mw_listener {
    int fd;
    mw_port port;
} mw_listener;

/* Enough for "[" + a host name + "]:65535". */
#define MW_ENDPOINT_SIZE 272

typedef struct mw_listeners {
    mw_listener items[MW_LISTENERS_MAX];
    size_t count;
    char endpoints[3][MW_ENDPOINT_SIZE]; /* grpc, http, web; "" = none */
    char socket_path[108];               /* "" = none */
    dev_t socket_device;                 /* what we bound, so that only that is removed */
    ino_t socket_inode;
} mw_listeners;

/* Sans I/O. MW_E_INVALID with detail (field: the option's name). */
MW_MUST_USE mw_err mw_address_parse(const char *text, const char *field, mw_address_list *out,
                                    mw_detail *detail);

void mw_listeners_init(mw_listeners *listeners);
/* Binds and listens. MW_E_INVALID, MW_E_CONFLICT (in use), MW_E_DENIED, MW_E_IO with detail. An
 * IPv6 address this machine does not have is left out when another of the list could be bound. */
MW_MUST_USE mw_err mw_listeners_tcp(mw_listeners *listeners, mw_port port, const char *field,
                                    const char *addresses, mw_detail *detail);
/* The file has mode 0600 from its first moment. A socket file on which nobody answers is
 * removed; any other file is left alone (MW_E_CONFLICT). */
MW_MUST_USE mw_err mw_listeners_unix(mw_listeners *listeners, const char *path, mw_detail *detail);
/* Closes all; removes the socket file if it is still ours. */
void mw_listeners_close(mw_listeners *listeners);

/* Who is at the other end of an accepted socket; for unix sockets by SO_PEERCRED. MW_E_IO. */
MW_MUST_USE mw_err mw_peer_of(int fd, const struct sockaddr_storage *address, mw_port port,
                              mw_peer *out);

#endif
