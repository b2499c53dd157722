/* A file of the log that was merged, kept for the writer's next segment.
 *
 * A group that is written over blocks which a file has already costs the sync less than one that
 * makes the file longer: the file system has nothing of its own to make durable with it
 * (docs/PERFORMANCE.md has the figures). Writing zeros ahead would buy the same and write every
 * byte twice. So one file is kept that would be removed otherwise: its name goes at once, as if it
 * had been removed, and the writer gets it when the last view of its segment is closed. What it
 * held does not validate in the next segment (segment_format.h); a start and a stop remove it.
 *
 * What is old stays in it as long, behind the end of the next segment too: where nobody
 * appends for an hour it is removed, and cut off there. Retention removes telemetry, and nothing of
 * it shall stay about. Where the disk is nearly full none is kept, nor in a small bound on the
 * size; a larger one counts it.
 *
 * Only files which this process made, in which no write or sync failed, and of which nobody keeps
 * a copy by a hard link. The keeper offers, whoever holds the last reference to the segment hands
 * over, the writer takes: under a mutex that is held for a moment. Owned by the store, which
 * outlives its segments.
 */
#ifndef MW_STORE_SEGMENT_SPARE_H
#define MW_STORE_SEGMENT_SPARE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"

struct mw_segment;

#define MW_SPARE_SUFFIX ".old" /* instead of ".seg" */
/* A smaller one saves too few syncs to be worth its place. */
#define MW_SPARE_LEAST ((uint64_t)1 << 20)
#define MW_SPARE_KEEP_NS (3600 * MW_NS_PER_S)

typedef struct mw_spare {
    pthread_mutex_t lock;
    char *path;              /* MW_MEM_STORE; NULL = there is none */
    bool promised;           /* one is on its way */
    int64_t given_ns;        /* when; the system's monotonic clock */
    _Atomic int64_t keep_ns; /* MW_SPARE_KEEP_NS; tests make it short, with the writer running */
    uint64_t least;          /* bytes of a file */
    uint64_t bytes;          /* of the file at path, or promised */
} mw_spare;

void mw_spare_init(mw_spare *spare);
/* Removes the file, if there is one. */
void mw_spare_fini(mw_spare *spare);
/* Takes the file's name away for good, to be handed over with the last reference. False: nothing
 * was done, it is to be removed as ever. The keeper's thread; syncs the directory. */
bool mw_spare_offer(mw_spare *spare, struct mw_segment *segment);
/* Hands over what was promised; takes the path. Any thread. */
void mw_spare_give(mw_spare *spare, char *path);
/* Removes a file that has waited too long. The keeper's thread. */
void mw_spare_expire(mw_spare *spare);
/* Removes what there is, for its place. True when there was one. The keeper's thread. */
bool mw_spare_drop(mw_spare *spare);
/* Bytes that lie in it, 0 without one. Any thread. */
uint64_t mw_spare_bytes(mw_spare *spare);
/* The path, which is the caller's; NULL when there is none. The writer's thread. */
char *mw_spare_take(mw_spare *spare);

#endif
