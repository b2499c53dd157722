/* SQLite's writes through the write shim (io.h), so that tests break them like all others.
 *
 * A VFS that stands on SQLite's default one ("unix"): locking, shared memory and reads are that
 * one's. Opening, writing, truncating and removing files reach mw_io_current() by way of the system
 * calls that the default VFS lets replace, which holds for every use of it in the process; syncs,
 * which it does not let replace, by methods of our own. A journal's or log's name is durable with
 * its first sync: unlike the default VFS, a sync of the directory that fails is told.
 *
 * Where SQLite offers no replacing of its system calls, the default VFS is used as it is.
 */
#ifndef MW_BASE_SQLITE_VFS_H
#define MW_BASE_SQLITE_VFS_H

/* The name to open databases with (sqlite3_open_v2), registered at the first call; NULL = SQLite's
 * default. Before other threads use SQLite; afterwards any thread. */
const char *mw_sqlite_vfs(void);
struct sqlite3;
/* Why SQLite could not open, write, truncate or sync a file for this connection just now, on this
 * thread: an errno, 0 when it is not known. SQLite's own is 0 when a commit fails, and a disk that
 * became read-only could not be told from a bad one. */
int mw_sqlite_reason(struct sqlite3 *db);

#endif
