/* lib/net, private: bytes on their way to a socket.
 *
 * A list of chunks. Small pieces are copied into chunks of the queue's own, one of which is kept
 * for the next answer; a large body is referenced where it lies and released when written. An
 * allocation failure is sticky: the connection is closed then. Owned by one loop.
 */
#ifndef MW_NET_OUT_QUEUE_INT_H
#define MW_NET_OUT_QUEUE_INT_H

#include <sys/uio.h>

#include "lib/base/memory.h"
#include "lib/base/slice.h"

/* An answer's head and small body. */
#define MW_OUT_CHUNK_SIZE ((size_t)4096)
/* Bodies from here on are referenced: a copy would cost more than the second iovec. */
#define MW_OUT_REFERENCE_MIN ((size_t)16 << 10)

typedef struct mw_out_chunk {
    struct mw_out_chunk *next;
    const char *data;
    size_t len;      /* bytes not yet written, from data */
    size_t capacity; /* of `own`; 0 = a reference */
    void (*release)(void *what);
    void *what;
    char own[];
} mw_out_chunk;

typedef struct mw_out_queue {
    mw_out_chunk *head;
    mw_out_chunk *tail;
    mw_out_chunk *spare;
    size_t bytes;
    bool failed;
} mw_out_queue;

void mw_out_queue_init(mw_out_queue *queue);
/* Releases what is referenced. */
void mw_out_queue_fini(mw_out_queue *queue);
void mw_out_queue_append(mw_out_queue *queue, mw_slice bytes);
/* Takes over `what`: release(what) is called once, also when the queue has failed. */
void mw_out_queue_refer(mw_out_queue *queue, mw_slice bytes, void (*release)(void *what),
                        void *what);
/* Fills iov with at most max pieces from the front; their number. */
int mw_out_queue_peek(const mw_out_queue *queue, struct iovec *iov, int max);
/* The first n bytes are written. */
void mw_out_queue_consume(mw_out_queue *queue, size_t n);

#endif
