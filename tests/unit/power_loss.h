/* A disk that loses power: for tests of what must survive that.
 *
 * power_record puts a recorder under lib/base/io.h: every call that changes a file below a
 * directory goes to the system as always, and into a log with its bytes. Afterwards a power_disk
 * is led through the log event by event, and at each point it builds the directories that a disk
 * may show when the power fails there:
 *
 *   - what a successful sync of the file covered is there;
 *   - of what was written since, nothing, all, the first writes with the last one torn at a sector,
 *     some pages (the others old, or zeros behind the old end), or the new length without content;
 *   - a name (creation, renaming, removal) that a sync of its directory covered is there; of the
 *     others none, all, or some.
 *
 * After a failed sync of a file, what it should have covered stays uncertain for ever, as on
 * Linux; names are the file system's own business, and a later sync of the directory covers them.
 * Calls can be made to fail: the n-th of a kind, or one in so many. The system's own syncs are
 * left out while recording and while images are opened, since nobody pulls the real plug.
 *
 * The recorder takes calls from any thread; the disk is one thread's. Directories below the root
 * are taken as they are when the recording begins. Memory is the C library's.
 */
#ifndef MW_TEST_POWER_LOSS_H
#define MW_TEST_POWER_LOSS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/io.h"

#define POWER_SECTOR 512u
#define POWER_PAGE 4096u
#define POWER_NAME_SIZE 64u

typedef enum power_kind {
    POWER_OPEN, /* fails alone: a new name comes as POWER_CREATE */
    POWER_WRITE,
    POWER_TRUNCATE,
    POWER_SYNC,
    POWER_SYNC_NAMES, /* fsync of a directory */
    POWER_RENAME,
    POWER_UNLINK,
    POWER_CREATE,
    POWER_MARK, /* the test's own: something was acknowledged */
    POWER_KINDS
} power_kind;

typedef struct power_event {
    power_kind kind;
    bool failed; /* syncs */
    size_t file; /* number of the file */
    off_t offset;
    char *data; /* WRITE */
    size_t len;
    char name[POWER_NAME_SIZE], to[POWER_NAME_SIZE]; /* relative to the root */
    uint64_t mark;
} power_event;

typedef struct power_file {
    ino_t inode;
    char *data; /* as it was when the recording began */
    size_t len;
    char name[POWER_NAME_SIZE];  /* now; empty = none */
    char first[POWER_NAME_SIZE]; /* when the recording began; empty = none */
} power_file;

/* Which calls fail. */
typedef struct power_faults {
    unsigned nth[POWER_KINDS];  /* the first that fails, 0 = none */
    unsigned last[POWER_KINDS]; /* the last that fails */
    unsigned one_in;            /* of all calls, by chance; 0 = none */
    uint64_t random;
    int error;
    bool partial; /* a failing write leaves half of its bytes behind */
} power_faults;

typedef struct power_log {
    char root[128];
    pthread_mutex_t lock;
    power_event *events;
    size_t count, capacity;
    power_file *files;
    size_t file_count, file_capacity;
    power_faults faults;
    unsigned calls[POWER_KINDS];
    unsigned failures;
} power_log;

static power_log *power_recording;

static inline uint64_t power_random(uint64_t *state)
{
    /* splitmix64 */
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t power_below(uint64_t *state, uint64_t bound)
{
    return power_random(state) % bound;
}

/* ---- the log --------------------------------------------------------------------------------- */

/* The name below the root; false for what lies elsewhere. */
static inline bool power_name(const power_log *log, const char *path, char out[POWER_NAME_SIZE])
{
    size_t len = strlen(log->root);
    if (strncmp(path, log->root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return false;
    path += len;
    while (*path == '/')
        path++;
    assert_true(strlen(path) < POWER_NAME_SIZE);
    snprintf(out, POWER_NAME_SIZE, "%s", path);
    return true;
}

static inline bool power_name_of_fd(const power_log *log, int fd, char out[POWER_NAME_SIZE])
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    assert_true(len > 0);
    path[len] = '\0';
    return power_name(log, path, out);
}

/* Room for one more. */
static inline void *power_grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 64;
    array = realloc(array, *capacity * size);
    assert_non_null(array);
    return array;
}

static inline power_event *power_add(power_log *log, power_kind kind)
{
    log->events = power_grow(log->events, log->count, &log->capacity, sizeof *log->events);
    power_event *event = &log->events[log->count++];
    memset(event, 0, sizeof *event);
    event->kind = kind;
    return event;
}

static inline power_file *power_add_file(power_log *log, ino_t inode)
{
    log->files = power_grow(log->files, log->file_count, &log->file_capacity, sizeof *log->files);
    power_file *file = &log->files[log->file_count++];
    memset(file, 0, sizeof *file);
    file->inode = inode;
    return file;
}

/* The newest file with that inode: numbers are used again. NULL: none of ours. */
static inline power_file *power_find(const power_log *log, int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return NULL;
    for (size_t i = log->file_count; i-- > 0;)
        if (log->files[i].inode == status.st_ino)
            return &log->files[i];
    return NULL;
}

static inline power_file *power_named(const power_log *log, const char *name)
{
    for (size_t i = log->file_count; i-- > 0;)
        if (strcmp(log->files[i].name, name) == 0)
            return &log->files[i];
    return NULL;
}

static inline size_t power_number(const power_log *log, const power_file *file)
{
    return (size_t)(file - log->files);
}

/* Does this call fail? Sets errno. */
static inline bool power_fails(power_log *log, power_kind kind)
{
    power_faults *faults = &log->faults;
    unsigned now = ++log->calls[kind];
    bool fails = faults->nth[kind] && now >= faults->nth[kind] && now <= faults->last[kind];
    if (faults->one_in && power_below(&faults->random, faults->one_in) == 0)
        fails = true;
    if (!fails)
        return false;
    log->failures++;
    errno = faults->error ? faults->error : EIO;
    return true;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static inline int power_open_locked(power_log *log, const char *path, int flags, mode_t mode)
{
    char name[POWER_NAME_SIZE];
    struct stat status;
    bool ours = power_name(log, path, name);
    if (ours && (flags & O_ACCMODE) != O_RDONLY && power_fails(log, POWER_OPEN))
        return -1;
    bool existed = stat(path, &status) == 0;
    int fd = mw_io_system()->open(path, flags, mode);
    if (fd < 0 || !ours || (existed && !(flags & O_TRUNC)))
        return fd;
    if (existed) {
        power_file *file = power_find(log, fd);
        assert_non_null(file);
        power_add(log, POWER_TRUNCATE)->file = power_number(log, file);
        return fd;
    }
    assert_int_equal(fstat(fd, &status), 0);
    power_file *file = power_add_file(log, status.st_ino);
    power_event *event = power_add(log, POWER_CREATE);
    event->file = power_number(log, file);
    snprintf(file->name, sizeof file->name, "%s", name);
    snprintf(event->to, sizeof event->to, "%s", name);
    return fd;
}

static inline int power_open(const char *path, int flags, mode_t mode)
{
    pthread_mutex_lock(&power_recording->lock);
    int fd = power_open_locked(power_recording, path, flags, mode);
    pthread_mutex_unlock(&power_recording->lock);
    return fd;
}

static inline void power_log_bytes(power_log *log, const power_file *file, const struct iovec *iov,
                                   int count, off_t offset, size_t len)
{
    power_event *event = power_add(log, POWER_WRITE);
    event->file = power_number(log, file);
    event->offset = offset;
    event->len = len;
    event->data = malloc(len ? len : 1);
    size_t at = 0;
    for (int i = 0; i < count && at < len; i++) {
        size_t now = iov[i].iov_len < len - at ? iov[i].iov_len : len - at;
        memcpy(event->data + at, iov[i].iov_base, now);
        at += now;
    }
}

static inline ssize_t power_pwritev_locked(power_log *log, int fd, const struct iovec *iov,
                                           int count, off_t offset)
{
    power_file *file = power_find(log, fd);
    if (!file)
        return mw_io_system()->pwritev(fd, iov, count, offset);
    if (power_fails(log, POWER_WRITE)) {
        int error = errno;
        struct iovec half = {iov[0].iov_base, iov[0].iov_len / 2};
        if (log->faults.partial && half.iov_len) {
            ssize_t n = mw_io_system()->pwritev(fd, &half, 1, offset);
            if (n > 0)
                power_log_bytes(log, file, &half, 1, offset, (size_t)n);
        }
        errno = error;
        return -1;
    }
    ssize_t n = mw_io_system()->pwritev(fd, iov, count, offset);
    if (n > 0)
        power_log_bytes(log, file, iov, count, offset, (size_t)n);
    return n;
}

static inline ssize_t power_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    pthread_mutex_lock(&power_recording->lock);
    ssize_t n = power_pwritev_locked(power_recording, fd, iov, count, offset);
    pthread_mutex_unlock(&power_recording->lock);
    return n;
}

static inline int power_ftruncate(int fd, off_t length)
{
    power_log *log = power_recording;
    int result = -1;
    pthread_mutex_lock(&log->lock);
    power_file *file = power_find(log, fd);
    if (!file || !power_fails(log, POWER_TRUNCATE))
        result = mw_io_system()->ftruncate(fd, length);
    if (file && result == 0) {
        power_event *event = power_add(log, POWER_TRUNCATE);
        event->file = power_number(log, file);
        event->offset = length;
    }
    pthread_mutex_unlock(&log->lock);
    return result;
}

/* Of a file or of a directory. */
static inline int power_sync(int fd)
{
    power_log *log = power_recording;
    struct stat status;
    power_event event = {.kind = POWER_SYNC};
    bool ours = true;
    if (fstat(fd, &status) != 0)
        return -1;
    pthread_mutex_lock(&log->lock);
    power_file *file = power_find(log, fd);
    if (S_ISDIR(status.st_mode)) {
        event.kind = POWER_SYNC_NAMES;
        ours = power_name_of_fd(log, fd, event.name);
    } else if (file) {
        event.file = power_number(log, file);
    } else {
        ours = false;
    }
    if (ours) {
        event.failed = power_fails(log, event.kind);
        *power_add(log, event.kind) = event;
    }
    pthread_mutex_unlock(&log->lock);
    return event.failed ? -1 : 0;
}

static inline int power_rename(const char *from, const char *to)
{
    power_log *log = power_recording;
    power_event event = {.kind = POWER_RENAME};
    int result = -1;
    pthread_mutex_lock(&log->lock);
    bool ours = power_name(log, from, event.name) && power_name(log, to, event.to);
    if (!ours || !power_fails(log, POWER_RENAME))
        result = mw_io_system()->rename(from, to);
    if (ours && result == 0) {
        power_file *file = power_named(log, event.name), *old = power_named(log, event.to);
        assert_non_null(file);
        event.file = power_number(log, file);
        if (old)
            old->name[0] = '\0';
        snprintf(file->name, sizeof file->name, "%s", event.to);
        *power_add(log, POWER_RENAME) = event;
    }
    pthread_mutex_unlock(&log->lock);
    return result;
}

static inline int power_unlink(const char *path)
{
    power_log *log = power_recording;
    power_event event = {.kind = POWER_UNLINK};
    int result = -1;
    pthread_mutex_lock(&log->lock);
    bool ours = power_name(log, path, event.name);
    if (!ours || !power_fails(log, POWER_UNLINK))
        result = mw_io_system()->unlink(path);
    if (ours && result == 0) {
        power_file *file = power_named(log, event.name);
        assert_non_null(file);
        event.file = power_number(log, file);
        file->name[0] = '\0';
        *power_add(log, POWER_UNLINK) = event;
    }
    pthread_mutex_unlock(&log->lock);
    return result;
}

/* ---- recording ------------------------------------------------------------------------------- */

static power_log *power_scanning; /* nftw has no argument for its callback */

static inline int power_scan(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    power_log *log = power_scanning;
    (void)ftw;
    if (type != FTW_F || !S_ISREG(status->st_mode))
        return 0;
    power_file *file = power_add_file(log, status->st_ino);
    assert_true(power_name(log, path, file->name));
    memcpy(file->first, file->name, sizeof file->first);
    file->len = (size_t)status->st_size;
    file->data = malloc(file->len + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, file->data, file->len), file->len);
    close(fd);
    return 0;
}

static inline int power_no_sync(int fd)
{
    (void)fd;
    return 0;
}

/* The system's calls, without its syncs: for opening images. mw_io_use(NULL) ends it. */
static inline void power_unsynced(void)
{
    static mw_io io;
    io = *mw_io_system();
    io.fdatasync = io.fsync = power_no_sync;
    mw_io_use(&io);
}

/* From here on; what lies below `root` now is durable. One log at a time. */
static inline void power_record(power_log *log, const char *root)
{
    static const mw_io io = {.open = power_open,
                             .pwritev = power_pwritev,
                             .fdatasync = power_sync,
                             .fsync = power_sync,
                             .ftruncate = power_ftruncate,
                             .rename = power_rename,
                             .unlink = power_unlink};
    memset(log, 0, sizeof *log);
    snprintf(log->root, sizeof log->root, "%s", root);
    pthread_mutex_init(&log->lock, NULL);
    power_scanning = log;
    nftw(root, power_scan, 16, FTW_PHYS);
    power_recording = log;
    mw_io_use(&io);
}

static inline void power_stop(void)
{
    mw_io_use(NULL);
}

static inline void power_log_fini(power_log *log)
{
    for (size_t i = 0; i < log->count; i++)
        free(log->events[i].data);
    for (size_t i = 0; i < log->file_count; i++)
        free(log->files[i].data);
    free(log->events);
    free(log->files);
    pthread_mutex_destroy(&log->lock);
}

/* Something was acknowledged. Any thread. */
static inline void power_mark(power_log *log, uint64_t value)
{
    pthread_mutex_lock(&log->lock);
    power_add(log, POWER_MARK)->mark = value;
    pthread_mutex_unlock(&log->lock);
}

#endif
