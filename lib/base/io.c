/* The write shim, and the few whole-file helpers built on it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/io.h"
#include "lib/base/memory.h"

static int system_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags | O_CLOEXEC, mode);
}

static const mw_io system_io = {
    .open = system_open,
    .pwritev = pwritev,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .rename = rename,
    .unlink = unlink,
};
static const mw_io *current = &system_io;

void mw_io_use(const mw_io *replacement)
{
    current = replacement ? replacement : &system_io;
}

const mw_io *mw_io_system(void)
{
    return &system_io;
}

const mw_io *mw_io_current(void)
{
    return current;
}

static mw_err system_disk(const char *path, mw_disk *out)
{
    struct statvfs disk;
    if (statvfs(path, &disk) != 0)
        return MW_E_IO;
    out->bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
    out->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return MW_OK;
}

static mw_io_disk_look look = system_disk;

void mw_io_use_disk(mw_io_disk_look replacement)
{
    look = replacement ? replacement : system_disk;
}

mw_err mw_io_disk(const char *path, mw_disk *out)
{
    return look(path, out);
}

static mw_err err_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT || errno == EROFS ? MW_E_NO_SPACE : MW_E_IO;
}

/* Linux writes at most IOV_MAX (1024) vectors a call. */
#define VECTORS_A_CALL 1024

mw_err mw_io_write_all(int fd, struct iovec *iov, int count, off_t offset)
{
    while (count > 0) {
        int batch = count < VECTORS_A_CALL ? count : VECTORS_A_CALL;
        ssize_t wrote = current->pwritev(fd, iov, batch, offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return err_of_errno();
        offset += wrote;
        size_t left = (size_t)wrote;
        while (count > 0 && left >= iov->iov_len) {
            left -= iov->iov_len;
            iov++;
            count--;
        }
        if (left) {
            iov->iov_base = (char *)iov->iov_base + left;
            iov->iov_len -= left;
        } else if (wrote == 0 && count > 0) {
            return MW_E_IO;
        }
    }
    return MW_OK;
}

mw_err mw_io_sync_parent(const char *path)
{
    char parent[4096];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 1;
    if (len >= sizeof parent)
        return MW_E_IO;
    memcpy(parent, slash ? path : ".", len);
    parent[len] = '\0';
    int fd = open(len ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return MW_E_IO;
    int result = current->fsync(fd);
    close(fd);
    return result == 0 ? MW_OK : MW_E_IO;
}

mw_err mw_io_replace_file(const char *path, mw_slice content, mode_t mode)
{
    char temporary[4096];
    int len = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof temporary)
        return MW_E_IO;
    int fd = current->open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (fd < 0)
        return err_of_errno();
    struct iovec iov = {(void *)(uintptr_t)content.data, content.len};
    mw_err err = mw_io_write_all(fd, &iov, content.len ? 1 : 0, 0);
    if (err == MW_OK && current->fdatasync(fd) != 0)
        err = err_of_errno();
    close(fd);
    if (err == MW_OK && current->rename(temporary, path) != 0)
        err = err_of_errno();
    if (err != MW_OK) {
        current->unlink(temporary);
        return err;
    }
    return mw_io_sync_parent(path);
}

static mw_err read_whole(int fd, size_t max, char **data, size_t *len)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return MW_E_IO;
    if (status.st_size < 0 || (uint64_t)status.st_size > max)
        return MW_E_LIMIT;
    size_t size = (size_t)status.st_size;
    char *content = mw_alloc(MW_MEM_BASE, size + 1);
    if (!content)
        return MW_E_NOMEM;
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(fd, content + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            mw_free(MW_MEM_BASE, content);
            return MW_E_IO;
        }
        if (n == 0) /* it shrank meanwhile */
            break;
        got += (size_t)n;
    }
    content[got] = '\0';
    *data = content;
    *len = got;
    return MW_OK;
}

mw_err mw_io_read_file(const char *path, size_t max, char **data, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? MW_E_NOT_FOUND : MW_E_IO;
    mw_err err = read_whole(fd, max, data, len);
    close(fd);
    return err;
}
