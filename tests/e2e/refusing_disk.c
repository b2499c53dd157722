/* A disk that refuses, for a daemon that runs on it (refusing.py preloads this library).
 *
 * A file system cannot be made read-only while somebody has a file of it open for writing, but it
 * can become so by itself, after an error of the device, or on the other side of a network. That
 * needs no rights here: while the file REFUSING_DISK_SWITCH names exists, the calls that change
 * something below REFUSING_DISK_ROOT fail, also on descriptors that were opened before. The file's
 * first letter says how: 'r' as on a read-only disk (EROFS), 'f' as on a full one (ENOSPC: no new
 * names, no writing; removing, renaming and syncs are let through), 'e' as on a bad one (EIO).
 *
 * Both names of each call are ours: with and without the suffix of large files, which callers of
 * either kind use. Reading, and what lies elsewhere, goes to the next library.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))
/* Calls the next definition of a function, of the type of the one at hand. */
#define NEXT(name) ((__typeof__(&name))(void *)dlsym(RTLD_NEXT, #name))

/* What a call would change. */
typedef enum change { GROWS, MAKES_NAME, MOVES_NAME, SYNCS } change;

static int error_of(char mode, change what)
{
    switch (mode) {
    case 'r': return EROFS;
    case 'e': return EIO;
    case 'f': return what == GROWS || what == MAKES_NAME ? ENOSPC : 0;
    default: return 0;
    }
}

/* 0 when the disk is well. */
static char mode_now(void)
{
    const char *path = getenv("REFUSING_DISK_SWITCH");
    char mode = 0;
    int kept = errno;
    int fd = path ? NEXT(open)(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        if (read(fd, &mode, 1) != 1)
            mode = 0;
        close(fd);
    }
    errno = kept;
    return mode;
}

static int is_below(const char *path)
{
    const char *root = getenv("REFUSING_DISK_ROOT");
    size_t len = root ? strlen(root) : 0;
    return len > 0 && strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* True, and errno set, when the call is to fail. */
static int refuses_path(const char *path, change what)
{
    int error = is_below(path) ? error_of(mode_now(), what) : 0;
    if (error)
        errno = error;
    return error != 0;
}

static int refuses_fd(int fd, change what)
{
    char link[64], path[4096];
    char mode = mode_now();
    if (!mode)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0)
        return 0;
    path[len] = '\0';
    int error = is_below(path) ? error_of(mode, what) : 0;
    if (error)
        errno = error;
    return error != 0;
}

/* Does opening it change anything, or let change anything? */
static int refuses_open(const char *path, int flags)
{
    struct stat status;
    int makes = (flags & O_CREAT) && stat(path, &status) != 0;
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    if (makes)
        return refuses_path(path, MAKES_NAME);
    return writes && refuses_path(path, MOVES_NAME);
}

/* ---- the calls ------------------------------------------------------------------------------- */

static mode_t mode_argument(int flags, va_list arguments)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

SHOWN int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return refuses_open(path, flags) ? -1 : NEXT(open)(path, flags, mode);
}

SHOWN int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return refuses_open(path, flags) ? -1 : NEXT(open64)(path, flags, mode);
}

SHOWN ssize_t write(int fd, const void *data, size_t len)
{
    return refuses_fd(fd, GROWS) ? -1 : NEXT(write)(fd, data, len);
}

SHOWN ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return refuses_fd(fd, GROWS) ? -1 : NEXT(pwrite)(fd, data, len, offset);
}

SHOWN ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return refuses_fd(fd, GROWS) ? -1 : NEXT(pwrite64)(fd, data, len, offset);
}

SHOWN ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return refuses_fd(fd, GROWS) ? -1 : NEXT(pwritev)(fd, iov, count, offset);
}

SHOWN ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset)
{
    return refuses_fd(fd, GROWS) ? -1 : NEXT(pwritev64)(fd, iov, count, offset);
}

SHOWN int fdatasync(int fd)
{
    return refuses_fd(fd, SYNCS) ? -1 : NEXT(fdatasync)(fd);
}

SHOWN int fsync(int fd)
{
    return refuses_fd(fd, SYNCS) ? -1 : NEXT(fsync)(fd);
}

SHOWN int ftruncate(int fd, off_t len)
{
    return refuses_fd(fd, GROWS) ? -1 : NEXT(ftruncate)(fd, len);
}

SHOWN int ftruncate64(int fd, off64_t len)
{
    return refuses_fd(fd, GROWS) ? -1 : NEXT(ftruncate64)(fd, len);
}

SHOWN int rename(const char *from, const char *to)
{
    return refuses_path(to, MOVES_NAME) ? -1 : NEXT(rename)(from, to);
}

SHOWN int unlink(const char *path)
{
    return refuses_path(path, MOVES_NAME) ? -1 : NEXT(unlink)(path);
}

SHOWN int mkdir(const char *path, mode_t mode)
{
    struct stat status; /* what is there is told first */
    int makes = stat(path, &status) != 0;
    return makes && refuses_path(path, MAKES_NAME) ? -1 : NEXT(mkdir)(path, mode);
}

SHOWN int rmdir(const char *path)
{
    return refuses_path(path, MOVES_NAME) ? -1 : NEXT(rmdir)(path);
}

SHOWN int statvfs(const char *path, struct statvfs *out)
{
    int result = NEXT(statvfs)(path, out);
    if (result == 0 && is_below(path) && mode_now() == 'f')
        out->f_bavail = out->f_bfree = 0;
    return result;
}
