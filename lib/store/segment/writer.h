/* The writer: one thread that appends, syncs, publishes and completes.
 *
 * It takes whatever waits, gives each block its commit sequence and place, writes all of them,
 * syncs once, publishes them to the index in one step and then calls each `done`. A lone request
 * never waits for company: a group is what arrived during the sync before.
 *
 * A request that was acknowledged before (retry_window.h) is completed with the group and not
 * written again.
 *
 * After a failed write or sync the whole group fails and the file is never touched again; the next
 * append opens a new segment whose header records where the failed one ends. When that fails too,
 * or there is no space, appends are refused for a second before the next attempt. While nobody
 * appends, the writer tries once a second by itself, so that readiness comes back without traffic.
 *
 * A segment is left when it is full (where the disk nearly is, at a quarter of what was free when
 * it was made, so that there is room for its merge), or when the keeper asks because its first
 * commit is old: then its successor is made at once, so that the old one's end is on disk before it
 * is merged. A group that would take the room that the keeper keeps for a merge (kept_free) is
 * refused as busy, and the file is as it was.
 */
#ifndef MW_STORE_WRITER_H
#define MW_STORE_WRITER_H

#include "lib/base/queue.h"
#include "lib/store/segment/index.h"
#include "lib/store/segment/retry_window.h"

/* One sync covers at most this (and at least one block): bounds how long an answer waits for
 * others' bytes. 16 MiB is 20 to 40 ms of a virtual disk. */
#define MW_WRITE_GROUP_MAX ((size_t)16 << 20)
/* Pause between attempts while the disk refuses. */
#define MW_WRITE_RETRY_NS MW_NS_PER_S
#define MW_WRITE_RETRY_MS ((int)(MW_WRITE_RETRY_NS / MW_NS_PER_MS))

/* The least that a segment of the log is bound to on a disk that is nearly full. */
#define MW_WRITE_SEGMENT_LEAST ((size_t)1 << 20)

typedef struct mw_write_job {
    mw_queue_item item; /* first: the queue hands back this */
    mw_encoded_block block;
    mw_store_done done;
    void *ctx;
    bool repeat; /* of a request that is durable, or that this group makes durable */
} mw_write_job;

typedef struct mw_writer_listener {
    mw_store_listener call;
    void *ctx;
} mw_writer_listener;

typedef struct mw_writer {
    const char *directory;
    const mw_clock *clock;
    mw_index *index;
    size_t segment_max_bytes;   /* at most; of the one at hand: segment_bound */
    struct mw_spare *spare;     /* files for segments; NULL = none */
    uint64_t segment_max_items; /* what one merge can take; 0 = unbounded */
    mw_queue queue;
    pthread_t thread;
    /* Set before the first append, which publishes them to the thread through the queue. */
    mw_writer_listener listeners[MW_STORE_LISTENERS_MAX];
    size_t listener_count;
    /* The writer's thread alone (before it starts: recovery). */
    mw_segment *segment;    /* NULL = the next append opens one */
    size_t segment_bound;   /* bytes */
    bool appended;          /* something of ours was synced into it */
    uint64_t segment_items; /* appended to it */
    uint64_t next_seq;
    uint64_t predecessor_id, predecessor_end;
    mw_retry_window retries;
    _Atomic uint64_t next_segment_id; /* the keeper takes some too: mw_writer_take_id */
    /* Set before it starts: told when a segment was left, or has its first commits, on the
     * writer's thread; and where it
     * counts what it publishes. Either may be NULL. */
    void (*left)(void *ctx);
    void *left_ctx;
    _Atomic uint64_t *unmerged_bytes;
    /* The request to leave the segment travels through the queue. */
    mw_queue_item leave;
    atomic_bool leave_asked;
    /* Read by every append. */
    atomic_bool writable;
    atomic_int last_error;
    _Atomic int64_t retry_at_ns;
    atomic_size_t retry_digests; /* retries.count, for the statistics */
    _Atomic uint64_t kept_free;  /* bytes that a group leaves free, for a merge: the keeper's; 0 */
    _Atomic uint64_t disk_free;  /* at the last look; UINT64_MAX = not known */
} mw_writer;

/* An id for a new segment; used once, whatever becomes of the file. Any thread. */
static inline uint64_t mw_writer_take_id(mw_writer *writer)
{
    return atomic_fetch_add(&writer->next_segment_id, 1);
}

/* Bytes that are free on the disk, noted in disk_free as well; UINT64_MAX when it does not tell.
 * Any thread; one system call. */
uint64_t mw_writer_look_at_disk(mw_writer *writer);
/* The header of the segment that follows: takes the next id and draws a salt. */
mw_segment_header mw_writer_next_header(mw_writer *writer);
/* Opens it, with `carried` blocks inside; used by recovery, and by the thread itself. MW_E_IO,
 * MW_E_NO_SPACE, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_writer_open_segment(mw_writer *writer, mw_segment_header *header,
                                          mw_slice carried);
/* MW_E_NOMEM when the system gives no thread. */
MW_MUST_USE mw_err mw_writer_start(mw_writer *writer, size_t queue_budget_bytes);
/* Finishes what waits, joins the thread. */
void mw_writer_stop(mw_writer *writer);
/* The error with which an append is refused at once, MW_OK when it may try. Any thread. */
mw_err mw_writer_refusal(mw_writer *writer);
/* MW_E_BUSY, MW_E_CLOSED: the job stays the caller's. Any thread. */
MW_MUST_USE mw_err mw_writer_put(mw_writer *writer, mw_write_job *job);
/* Asks it to leave its segment if that holds anything, and to have another one. Any thread. */
void mw_writer_leave(mw_writer *writer);
void mw_write_job_free(mw_write_job *job);

#endif
