/* The file of a merged segment. See merge_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/id.h"
#include "lib/store/merge/merge.h"
#include "lib/store/merge/merge_file.h"

static mw_err err_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT || errno == EROFS ? MW_E_NO_SPACE : MW_E_IO;
}

/* "….seg" becomes "….tmp", which a start removes. */
static char *temporary_of(const char *path)
{
    size_t len = strlen(path);
    char *temporary = mw_alloc(MW_MEM_STORE, len + 1);
    if (temporary) {
        memcpy(temporary, path, len - 3);
        memcpy(temporary + len - 3, "tmp", 4);
    }
    return temporary;
}

mw_err mw_merge_file_open(mw_merge_file *file, const char *directory, uint64_t id,
                          uint64_t created_ns)
{
    *file = (mw_merge_file){.fd = -1, .offset = MW_SEGMENT_HEADER_SIZE};
    file->header =
        (mw_segment_header){.id = id, .created_ns = created_ns, .kind = MW_SEGMENT_MERGED};
    mw_random_bytes(&file->header.salt, sizeof file->header.salt);
    file->path = mw_segment_path(directory, id);
    file->temporary = file->path ? temporary_of(file->path) : NULL;
    if (!file->temporary)
        return MW_E_NOMEM;
    file->fd = mw_io_current()->open(file->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return file->fd < 0 ? err_of_errno() : MW_OK;
}

static mw_err sync_file(mw_merge_file *file)
{
    if (mw_io_current()->fdatasync(file->fd) != 0)
        return err_of_errno();
    file->synced = file->offset;
    return MW_OK;
}

mw_err mw_merge_file_write(mw_merge_file *file, const void *bytes, size_t len)
{
    const char *from = bytes;
    while (len > 0) {
        size_t room = MW_MERGE_PIECE - (size_t)(file->offset - file->synced);
        size_t now = len < room ? len : room;
        struct iovec iov = {(void *)(uintptr_t)from, now};
        mw_err err = mw_io_write_all(file->fd, &iov, 1, (off_t)file->offset);
        if (err != MW_OK)
            return err;
        file->offset += now;
        from += now;
        len -= now;
        if (now == room && (err = sync_file(file)) != MW_OK)
            return err;
    }
    return MW_OK;
}

static mw_err write_header(mw_merge_file *file)
{
    unsigned char bytes[MW_SEGMENT_HEADER_SIZE];
    struct iovec iov = {bytes, sizeof bytes};
    mw_err err = sync_file(file);
    if (err != MW_OK)
        return err;
    mw_segment_header_write(&file->header, bytes);
    err = mw_io_write_all(file->fd, &iov, 1, 0);
    return err == MW_OK ? sync_file(file) : err;
}

mw_err mw_merge_file_name(mw_merge_file *file, uint64_t blocks_end, uint64_t first_seq,
                          mw_segment **out)
{
    mw_segment *segment = NULL;
    file->header.durable_end = blocks_end;
    file->header.first_seq = first_seq;
    mw_err err = write_header(file);
    if (err == MW_OK)
        err = mw_segment_open_merged(file->path, file->fd, &file->header, file->offset, &segment);
    if (err != MW_OK)
        return err;
    file->fd = -1; /* the segment's now */
    if (mw_io_current()->rename(file->temporary, file->path) != 0) {
        err = err_of_errno();
        mw_segment_unref(segment);
        return err;
    }
    err = mw_io_sync_parent(file->path);
    if (err != MW_OK) {
        /* If the removal is lost, a start finds a whole segment that names what it replaces. */
        mw_io_current()->unlink(file->path);
        mw_segment_unref(segment);
    }
    mw_free(MW_MEM_STORE, file->temporary);
    file->temporary = NULL;
    if (err == MW_OK)
        *out = segment;
    return err;
}

void mw_merge_file_end(mw_merge_file *file)
{
    if (file->temporary)
        mw_io_current()->unlink(file->temporary);
    if (file->fd >= 0)
        close(file->fd);
    mw_free(MW_MEM_STORE, file->temporary);
    mw_free(MW_MEM_STORE, file->path);
    *file = (mw_merge_file){.fd = -1};
}
