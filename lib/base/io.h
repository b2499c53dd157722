/* The one shim under all writes of files (DESIGN 5): tests break it, nothing goes around it.
 *
 * The functions behave like the system calls they name and set errno. mw_io_use installs a
 * replacement table (tests: fail the n-th call, drop what was not synced).
 */
#ifndef MW_BASE_IO_H
#define MW_BASE_IO_H

#include <sys/types.h>
#include <sys/uio.h>

#include "lib/base/slice.h"

typedef struct mw_io {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*pwritev)(int fd, const struct iovec *iov, int count, off_t offset);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd); /* directories */
    int (*ftruncate)(int fd, off_t length);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
} mw_io;

/* NULL restores the system's. Before threads start. */
void mw_io_use(const mw_io *replacement);
const mw_io *mw_io_system(void);
/* The table in force. */
const mw_io *mw_io_current(void);

/* The file system that holds `path`. `free_bytes`: what one who is not root may still write there;
 * a quota may leave less. MW_E_IO. */
typedef struct mw_disk {
    uint64_t bytes, free_bytes;
} mw_disk;
MW_MUST_USE mw_err mw_io_disk(const char *path, mw_disk *out);
/* Tests say how full a disk is; NULL restores the system's answer. Before threads start. */
typedef mw_err (*mw_io_disk_look)(const char *path, mw_disk *out);
void mw_io_use_disk(mw_io_disk_look replacement);

/* Writes all of it, resuming short writes. MW_E_NO_SPACE (ENOSPC, EDQUOT, EROFS) or MW_E_IO;
 * how much reached the file is unknown then. `iov` is used up. */
MW_MUST_USE mw_err mw_io_write_all(int fd, struct iovec *iov, int count, off_t offset);
/* Syncs the directory that holds `path`, so that a new name survives power loss. MW_E_IO. */
MW_MUST_USE mw_err mw_io_sync_parent(const char *path);
/* Replaces `path` with `content` (mode as given): temporary file, sync, rename, sync of the
 * directory. MW_E_IO, MW_E_NO_SPACE. */
MW_MUST_USE mw_err mw_io_replace_file(const char *path, mw_slice content, mode_t mode);
/* Reads a whole file of at most max bytes into memory of MW_MEM_BASE, NUL behind it; caller
 * frees. MW_E_NOT_FOUND, MW_E_LIMIT, MW_E_NOMEM, MW_E_IO. */
MW_MUST_USE mw_err mw_io_read_file(const char *path, size_t max, char **data, size_t *len);

#endif
