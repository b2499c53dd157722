/* The ballast: space on the data directory's disk that is kept for a start.
 *
 * A daemon that is started on a full disk can do nothing, not even show what it holds: SQLite needs
 * an index of its log, the store a place for its last group, the socket a name. So a file of
 * MW_BALLAST_BYTES lies in the data directory, and a start that finds the disk full gives it up.
 * The daemon is ready then, answers questions, and takes exports until the disk is full again;
 * when there is room again the file is made anew. Deleting, which makes room, may have it as well,
 * and merging, when a segment fits with it: that frees more than it takes.
 */
#ifndef MW_SERVER_BALLAST_H
#define MW_SERVER_BALLAST_H

#include "server/options.h"

/* What a start needs, several times over: 64 KiB for SQLite, a segment's header, the last group of
 * a busy store. */
#define MW_BALLAST_BYTES ((uint64_t)4 << 20)

/* Gives the ballast up when less than it is free: before anything else is opened, or for what is
 * named. True when it was there. Any thread. */
bool mw_ballast_release(const mw_server_options *options, const char *needed_for);
/* Bytes that it has; 0 while it is given up. Any thread. */
uint64_t mw_ballast_bytes(const mw_server_options *options);
/* Makes it when it is not there and four times as much is free. Main thread. */
void mw_ballast_keep(const mw_server_options *options);

#endif
