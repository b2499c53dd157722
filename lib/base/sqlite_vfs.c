/* The VFS. See sqlite_vfs.h.
 *
 * A file of ours is followed in memory by the default VFS's file, to which every method but xSync
 * is handed on. The default VFS has no public way to its descriptor, which a sync needs: it is
 * learnt once a file from the fstat that xFileSize makes. A second descriptor of our own would do
 * harm: closing it drops the process's POSIX locks on the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/io.h"
#include "lib/base/sqlite_vfs.h"

#define VFS_NAME "midwatch"

typedef struct shim_file {
    sqlite3_file base; /* first: SQLite sees this */
    int fd;            /* the default VFS's; -1 = not known */
    bool name_synced;
    char *path; /* of the name that is to be synced; SQLite keeps it as long as the file is open */
} shim_file;

static sqlite3_vfs *below;
static sqlite3_vfs shim;

static sqlite3_file *inner(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)((shim_file *)(void *)file + 1);
}

/* ---- system calls ---------------------------------------------------------------------------- */

static _Thread_local int seen_fd;
/* Why the last of these calls failed, 0 when it did not. */
static _Thread_local int last_reason;

static void note_result(bool failed)
{
    last_reason = failed ? errno : 0;
}

static int call_open(const char *path, int flags, int mode)
{
    int fd = mw_io_current()->open(path, flags, (mode_t)mode);
    note_result(fd < 0);
    return fd;
}

static ssize_t call_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    struct iovec iov = {(void *)(uintptr_t)data, len};
    ssize_t wrote = mw_io_current()->pwritev(fd, &iov, 1, offset);
    note_result(wrote < 0);
    return wrote;
}

static int call_ftruncate(int fd, off_t length)
{
    int result = mw_io_current()->ftruncate(fd, length);
    note_result(result != 0);
    return result;
}

static int call_unlink(const char *path)
{
    return mw_io_current()->unlink(path);
}

static int call_fstat(int fd, struct stat *out)
{
    seen_fd = fd;
    return fstat(fd, out);
}

typedef struct replacement {
    const char *name;
    sqlite3_syscall_ptr call;
} replacement;

/* "pwrite64" is there when SQLite was built for it; its off64_t is our off_t. */
static const replacement replacements[] = {
    {"open", (sqlite3_syscall_ptr)call_open},
    {"pwrite", (sqlite3_syscall_ptr)call_pwrite},
    {"pwrite64", (sqlite3_syscall_ptr)call_pwrite},
    {"ftruncate", (sqlite3_syscall_ptr)call_ftruncate},
    {"unlink", (sqlite3_syscall_ptr)call_unlink},
    {"fstat", (sqlite3_syscall_ptr)call_fstat},
};
_Static_assert(sizeof(off_t) == 8, "one size of offsets");

/* ---- files ----------------------------------------------------------------------------------- */

static int file_close(sqlite3_file *file)
{
    return inner(file)->pMethods->xClose(inner(file));
}

static int file_read(sqlite3_file *file, void *to, int len, sqlite3_int64 offset)
{
    return inner(file)->pMethods->xRead(inner(file), to, len, offset);
}

static int file_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 offset)
{
    return inner(file)->pMethods->xWrite(inner(file), from, len, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return inner(file)->pMethods->xTruncate(inner(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    shim_file *self = (shim_file *)(void *)file;
    if (self->fd < 0)
        return inner(file)->pMethods->xSync(inner(file), flags);
    int result = mw_io_current()->fdatasync(self->fd);
    note_result(result != 0);
    if (result != 0)
        return SQLITE_IOERR_FSYNC;
    if (self->path && !self->name_synced) {
        if (mw_io_sync_parent(self->path) != MW_OK)
            return SQLITE_IOERR_DIR_FSYNC;
        self->name_synced = true;
    }
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return inner(file)->pMethods->xFileSize(inner(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return inner(file)->pMethods->xLock(inner(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return inner(file)->pMethods->xUnlock(inner(file), level);
}

static int file_check_lock(sqlite3_file *file, int *locked)
{
    return inner(file)->pMethods->xCheckReservedLock(inner(file), locked);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return inner(file)->pMethods->xFileControl(inner(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return inner(file)->pMethods->xSectorSize(inner(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return inner(file)->pMethods->xDeviceCharacteristics(inner(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return inner(file)->pMethods->xShmMap(inner(file), page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return inner(file)->pMethods->xShmLock(inner(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    inner(file)->pMethods->xShmBarrier(inner(file));
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
    return inner(file)->pMethods->xShmUnmap(inner(file), remove);
}

/* Version 2: without memory-mapped reads, which we do not use. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- the VFS --------------------------------------------------------------------------------- */

static int fd_of(sqlite3_file *file)
{
    sqlite3_int64 size;
    seen_fd = -1;
    return inner(file)->pMethods->xFileSize(inner(file), &size) == SQLITE_OK ? seen_fd : -1;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                    int *out_flags)
{
    shim_file *self = (shim_file *)(void *)file;
    const int logs = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
    (void)vfs;
    memset(self, 0, sizeof *self);
    self->fd = -1;
    inner(file)->pMethods = NULL;
    int code = below->xOpen(below, path, inner(file), flags, out_flags);
    /* SQLite closes what has methods, also after an error. */
    if (!inner(file)->pMethods)
        return code;
    file->pMethods = &methods;
    if (code != SQLITE_OK)
        return code;
    self->fd = fd_of(file);
    if ((flags & logs) && (flags & SQLITE_OPEN_CREATE))
        self->path = (char *)(uintptr_t)path;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
    (void)vfs;
    if (mw_io_current()->unlink(path) != 0)
        return errno == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
    if (sync_directory && mw_io_sync_parent(path) != MW_OK)
        return SQLITE_IOERR_DIR_FSYNC;
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    (void)vfs;
    return below->xAccess(below, path, flags, out);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    return below->xFullPathname(below, path, size, out);
}

static int vfs_randomness(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs;
    return below->xRandomness(below, len, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return below->xSleep(below, microseconds);
}

static int vfs_current_time(sqlite3_vfs *vfs, double *out)
{
    (void)vfs;
    return below->xCurrentTime(below, out);
}

static int vfs_current_time_64(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    (void)vfs;
    return below->xCurrentTimeInt64(below, out);
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    return below->xGetLastError(below, size, out);
}

static bool replace_system_calls(void)
{
    for (size_t i = 0; i < sizeof replacements / sizeof replacements[0]; i++) {
        const replacement *with = &replacements[i];
        int code = below->xSetSystemCall(below, with->name, with->call);
        if (code != SQLITE_OK && strcmp(with->name, "pwrite64") != 0)
            return false;
    }
    return true;
}

int mw_sqlite_reason(sqlite3 *db)
{
    return last_reason || !db ? last_reason : sqlite3_system_errno(db);
}

static bool registered;

static void register_vfs(void)
{
    below = sqlite3_vfs_find("unix");
    if (!below || below->iVersion < 3 || !below->xSetSystemCall || !replace_system_calls())
        return;
    shim = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(shim_file) + below->szOsFile,
        .mxPathname = below->mxPathname,
        .zName = VFS_NAME,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_current_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_current_time_64,
    };
    registered = sqlite3_vfs_register(&shim, 0) == SQLITE_OK;
}

const char *mw_sqlite_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_vfs);
    return registered ? VFS_NAME : NULL;
}
