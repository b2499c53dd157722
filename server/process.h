/* The process itself: limits, the data directory and its lock. Main thread, start-up. */
#ifndef MW_SERVER_PROCESS_H
#define MW_SERVER_PROCESS_H

#include "lib/base/slice.h"

/* What to do about a full disk. A start needs less than 1 MiB; with 64 MiB a segment of the log can
 * be merged, which frees more, and the telemetry of the first minutes has its place. */
#define MW_NO_SPACE_HINT                                                                           \
    "free 64 MiB there, make it writable, or choose another directory with --data DIR"

/* umask 0077, no core files and no ptrace by others (secrets are in memory), SIGPIPE ignored,
 * descriptors raised from the soft limit to the hard one. Cannot fail in a way that matters. */
void mw_process_harden(void);

/* What of `wanted` TCP connections the limit on open files allows; says so in the log when that is
 * less. After mw_process_harden. */
size_t mw_process_bound_connections(size_t wanted);

/* Makes the directory (and its parents) with mode 0700. An existing one is narrowed to 0700 when
 * it is empty or ours already; one that others can enter and that holds other things is refused:
 * narrowing somebody's /tmp would be worse. MW_E_DENIED, MW_E_IO, MW_E_NO_SPACE, with detail. */
MW_MUST_USE mw_err mw_data_directory_prepare(const char *path, mw_detail *detail);

/* Takes DIR/lock for this process until *fd is closed and writes our pid into it. MW_E_CONFLICT
 * with a sentence that names the other process, MW_E_IO, MW_E_DENIED. */
MW_MUST_USE mw_err mw_data_lock(const char *directory, int *fd, mw_detail *detail);

#endif
