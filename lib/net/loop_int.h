/* lib/net, private: a thread with its event base and its connections.
 *
 * Replies come in two ways: on the loop's own thread into `replies` without a lock; from other
 * threads into the mailbox under a mutex, with one write to the eventfd when it was empty. Every
 * event ends with mw_loop_settle, which delivers replies and settles dirty connections until
 * nothing is left: one write a connection for a whole batch of answers.
 */
#ifndef MW_NET_LOOP_INT_H
#define MW_NET_LOOP_INT_H

#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/net/connection_int.h"
#include "lib/net/listener_int.h"
#include "lib/net/waiting_int.h"

typedef enum mw_loop_command {
    MW_LOOP_RUN,
    MW_LOOP_DRAIN, /* accept no more, let requests finish */
    MW_LOOP_CLOSE, /* close what is left; replies are still taken */
    MW_LOOP_STOP
} mw_loop_command;

/* A socket that another loop accepted for this one. */
typedef struct mw_arrival {
    struct mw_arrival *next;
    int fd;
    mw_port port;
    mw_peer peer;
} mw_arrival;

typedef struct mw_acceptor {
    struct event event;
    struct mw_loop *loop;
    int fd; /* the listener's, shared by all loops */
    mw_port port;
} mw_acceptor;

typedef struct mw_loop {
    mw_front *front;
    struct mw_loop **loops; /* all of the net, to share connections out */
    unsigned loop_count;
    struct event_base *base;
    pthread_t thread;
    bool started;
    struct event wake_event;
    struct event sweep_event;
    struct event tick_event; /* added while somebody waits */
    bool ticking;
    mw_waiting waiting;
    int wake_fd;
    mw_acceptor acceptors[MW_LISTENERS_MAX];
    size_t acceptor_count;
    bool accepting;
    bool accept_paused; /* out of descriptors: until the next sweep */
    mw_connection *connections;
    mw_connection *dirty;
    mw_exchange *replies; /* own thread's, newest first */
    mw_http_date date;
    char *read_buffer;         /* MW_NET_READ_SIZE */
    atomic_size_t load;        /* connections here or on their way here */
    atomic_int command;        /* what was asked for */
    atomic_int obeyed;         /* ... and done */
    pthread_mutex_t lock;      /* the mailbox */
    mw_exchange *mail_replies; /* newest first */
    mw_arrival *mail_arrivals;
} mw_loop;

/* MW_E_NOMEM, MW_E_IO. The caller sets loops and loop_count before mw_loop_start. */
MW_MUST_USE mw_err mw_loop_new(mw_front *front, const mw_listeners *listeners, unsigned number,
                               mw_loop **out);
MW_MUST_USE mw_err mw_loop_start(mw_loop *loop);
/* Any thread. */
void mw_loop_tell(mw_loop *loop, mw_loop_command command);
/* Joins a thread that was told MW_LOOP_STOP, closes what is left, takes the last replies. */
void mw_loop_join(mw_loop *loop);
/* After join, and only when no request is out any more: its reply needs the mailbox. */
void mw_loop_free(mw_loop *loop);

/* The rest: loop's thread only. */
void mw_loop_mark_dirty(mw_loop *loop, mw_connection *connection);
void mw_loop_settle(mw_loop *loop);
/* A wire's `wait`. */
void mw_loop_wait(void *loop, mw_exchange *exchange);
/* A wire's `post` and `post_later`. Any thread. */
void mw_loop_post(void *loop, mw_exchange *exchange);
void mw_loop_post_later(void *loop, mw_exchange *exchange);

#endif
