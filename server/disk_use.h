/* How full the disk is, how fast it fills, and what ends that first: the disk or retention.
 *
 * The pace is that of the log over the last hour, at what merging makes of it, since that is what
 * stays. Marks are set by the main thread once a minute and read by the desk's; a mutex. The
 * outlook is pure.
 */
#ifndef MW_SERVER_DISK_USE_H
#define MW_SERVER_DISK_USE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"

#define MW_PACE_MARK_NS (60 * MW_NS_PER_S)
/* An hour of marks, and the one at its beginning. */
#define MW_PACE_MARKS 61u

typedef struct mw_pace {
    pthread_mutex_t lock;
    struct {
        int64_t at_ns; /* monotonic */
        uint64_t bytes;
    } marks[MW_PACE_MARKS]; /* a ring */
    size_t count, next;
} mw_pace;

void mw_pace_init(mw_pace *pace);
void mw_pace_fini(mw_pace *pace);
/* `bytes` have been written since the start; kept when the mark before is a minute old. */
void mw_pace_note(mw_pace *pace, int64_t mono_ns, uint64_t bytes);
/* Bytes an hour since the oldest mark. False in the first minute. */
bool mw_pace_read(mw_pace *pace, int64_t mono_ns, uint64_t bytes, double *per_hour);

typedef struct mw_disk_facts {
    uint64_t free_bytes;
    bool paced;               /* per_hour is known */
    double per_hour;          /* bytes that stay */
    int64_t retention_ns;     /* 0 = for ever */
    uint64_t retention_bytes; /* 0 = no bound */
    uint64_t counted_bytes;   /* of the space nearest to it */
    uint64_t oldest_ns;       /* arrival; 0 = nothing is stored */
    uint64_t now_ns;
} mw_disk_facts;

#define MW_DISK_NEVER (-1.0)
typedef struct mw_disk_outlook {
    double full_in_s;         /* MW_DISK_NEVER: nothing comes, or it is not known */
    double retention_in_s;    /* 0 = it has begun; MW_DISK_NEVER */
    const char *retention_by; /* "age", "size"; NULL = MW_DISK_NEVER */
} mw_disk_outlook;

mw_disk_outlook mw_disk_look_ahead(const mw_disk_facts *facts);

#endif
