/* What is known of the room that merges have, and of what they make of the log. Pure; the keeper's
 * thread.
 *
 * A merge needs its output beside its inputs. While much is free nobody has to think of that; where
 * it is little (_is_tight) the policy takes the smallest steps, and only such that ought to fit.
 * What the file system says can be wrong (quotas, others who write): a merge that found no room
 * although it ought to have had it bounds the next to half of what it needed, until one succeeds,
 * or until nothing is that small and all is tried from the beginning. The keeper's pauses between
 * attempts grow meanwhile.
 */
#ifndef MW_STORE_MERGE_ROOM_H
#define MW_STORE_MERGE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* As much as a merge of full size may need at the worst, MW_MERGE_INPUT_MAX. */
#define MW_MERGE_ROOM_TIGHT ((uint64_t)256 << 20)
/* Before any merge was seen a byte of the log counts for half a byte, somewhat more than usual
 * telemetry becomes (README). It weighs like a merge of so many bytes. */
#define MW_MERGE_ROOM_PRIOR ((uint64_t)1 << 20)
/* Merges of long ago count less: beyond so many bytes, all of them half. */
#define MW_MERGE_ROOM_MEMORY ((uint64_t)512 << 20)

typedef struct mw_merge_room {
    uint64_t free_bytes;      /* on the disk; UINT64_MAX = not known */
    uint64_t most;            /* what a merge may need; UINT64_MAX = as much as is free */
    uint64_t log_in, log_out; /* what merges of the log have read and written */
} mw_merge_room;

void mw_merge_room_init(mw_merge_room *room);
bool mw_merge_room_is_tight(const mw_merge_room *room);
/* Bytes that a merge may write. */
uint64_t mw_merge_room_bytes(const mw_merge_room *room);

/* A merge that needed so much found no room; or one succeeded. */
void mw_merge_room_failed(mw_merge_room *room, uint64_t needed);
void mw_merge_room_succeeded(mw_merge_room *room);

/* A merge of so much of the log wrote so much. */
void mw_merge_room_learn(mw_merge_room *room, uint64_t log_in, uint64_t log_out);
/* Thousandths of a byte that a byte of the log becomes, 1 to 1000. */
unsigned mw_merge_room_packed(const mw_merge_room *room);

#endif
