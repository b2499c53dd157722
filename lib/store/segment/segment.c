/* One segment file. See segment.h; the format is in segment_format.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/store/segment/piece_list.h"
#include "lib/store/segment/segment_footer.h"
#include "lib/store/segment/spare.h"

/* Fewer than IOV_MAX; more gains nothing. */
#define IOV_AT_ONCE 256u

static mw_err err_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT || errno == EROFS ? MW_E_NO_SPACE : MW_E_IO;
}

static char *path_of(const char *directory, uint64_t id, const char *suffix)
{
    size_t size = strlen(directory) + 32;
    char *path = mw_alloc(MW_MEM_STORE, size);
    if (path)
        snprintf(path, size, "%s/%016llx%s", directory, (unsigned long long)id, suffix);
    return path;
}

char *mw_segment_path(const char *directory, uint64_t id)
{
    return path_of(directory, id, ".seg");
}

mw_segment *mw_segment_adopt(const char *path, int fd, const mw_segment_header *header,
                             uint64_t end)
{
    size_t size = strlen(path) + 1;
    mw_segment *segment = mw_calloc(MW_MEM_STORE, 1, sizeof *segment);
    char *copy = mw_alloc(MW_MEM_STORE, size);
    if (!segment || !copy) {
        mw_free(MW_MEM_STORE, segment);
        mw_free(MW_MEM_STORE, copy);
        return NULL;
    }
    memcpy(copy, path, size);
    atomic_init(&segment->refs, 1);
    segment->header = *header;
    segment->fd = fd;
    segment->path = copy;
    segment->end = segment->size = end;
    atomic_init(&segment->reusable, false);
    return segment;
}

void mw_segment_give_blocks(mw_segment *segment, mw_index_block *const *blocks, size_t count)
{
    mw_index_block **link = &segment->blocks;
    MW_ASSERT(!segment->blocks && segment->block_count == 0);
    for (size_t i = 0; i < count; i++) {
        blocks[i]->segment = segment;
        blocks[i]->number = (uint32_t)i;
        *link = blocks[i];
        link = &blocks[i]->next_in_segment;
    }
    *link = NULL;
    segment->block_count = count;
}

mw_err mw_segment_open_merged(const char *path, int fd, const mw_segment_header *header,
                              uint64_t size, mw_segment **out)
{
    mw_index_block **blocks = NULL;
    mw_footer *footer = NULL;
    size_t count = 0;

    MW_ASSERT(header->kind == MW_SEGMENT_MERGED);
    mw_err err = mw_footer_load(fd, size, header, &footer, &blocks, &count);
    if (err != MW_OK)
        return err;
    mw_segment *segment = mw_segment_adopt(path, fd, header, size);
    if (segment) {
        segment->footer = footer;
        mw_segment_give_blocks(segment, blocks, count);
        *out = segment;
    } else {
        mw_footer_free(footer);
        for (size_t i = 0; i < count; i++)
            mw_free(MW_MEM_STORE, blocks[i]);
        err = MW_E_NOMEM;
    }
    mw_free(MW_MEM_STORE, blocks);
    return err;
}

/* What tells the end from a torn tail in a file that is longer; empty at the end of the file. */
static struct iovec end_mark(uint64_t end, uint64_t size)
{
    static char zeros[MW_END_MARK_SIZE];
    uint64_t rest = size > end ? size - end : 0;
    return (struct iovec){zeros, rest < sizeof zeros ? (size_t)rest : sizeof zeros};
}

static mw_err write_first_bytes(int fd, const mw_segment_header *header, mw_slice carried)
{
    unsigned char bytes[MW_SEGMENT_HEADER_SIZE];
    struct stat status;
    if (fstat(fd, &status) != 0)
        return MW_E_IO;
    if (status.st_nlink > 1)
        return MW_E_CONFLICT; /* a spare file of which somebody keeps a copy, a hard link */
    mw_segment_header_write(header, bytes);
    struct iovec iov[3] = {{bytes, sizeof bytes}};
    int count = 1;
    if (carried.len)
        iov[count++] = (struct iovec){(void *)(uintptr_t)carried.data, carried.len};
    iov[count] = end_mark(header->durable_end, (uint64_t)status.st_size);
    count += iov[count].iov_len > 0;
    mw_err err = mw_io_write_all(fd, iov, count, 0);
    if (err == MW_OK && mw_io_current()->fdatasync(fd) != 0)
        err = err_of_errno();
    return err;
}

/* Opens (a spare file) or makes, fills and names the file; on failure nothing of it is left, as far
 * as that can be had. */
static mw_err create_file(const char *temporary, int flags, const char *path,
                          const mw_segment_header *header, mw_slice carried, int *out)
{
    const mw_io *io = mw_io_current();
    int fd = io->open(temporary, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return err_of_errno();
    const char *name = temporary;
    mw_err err = write_first_bytes(fd, header, carried);
    if (err == MW_OK && io->rename(temporary, path) != 0)
        err = err_of_errno();
    else if (err == MW_OK)
        name = path;
    if (err == MW_OK)
        err = mw_io_sync_parent(path);
    if (err != MW_OK) {
        io->unlink(name);
        close(fd);
        return err;
    }
    *out = fd;
    return MW_OK;
}

/* A spare file that cannot be used is none, and removed. */
static mw_err create_of_spare(mw_spare *spare, const char *path, const mw_segment_header *header,
                              mw_slice carried, int *out)
{
    char *from = spare ? mw_spare_take(spare) : NULL;
    if (!from)
        return MW_E_NOT_FOUND;
    mw_err err = create_file(from, 0, path, header, carried, out);
    if (err != MW_OK)
        (void)mw_io_current()->unlink(from);
    mw_free(MW_MEM_STORE, from);
    return err;
}

static mw_segment *adopt_created(const char *path, int fd, const mw_segment_header *header)
{
    struct stat status;
    mw_segment *segment = mw_segment_adopt(path, fd, header, header->durable_end);
    if (!segment)
        return NULL;
    if (fstat(fd, &status) == 0 && (uint64_t)status.st_size > segment->size)
        segment->size = (uint64_t)status.st_size;
    atomic_store(&segment->reusable, true);
    return segment;
}

mw_err mw_segment_create(const char *directory, mw_segment_header *header, mw_slice carried,
                         mw_spare *spare, mw_segment **out)
{
    char *temporary = path_of(directory, header->id, ".tmp");
    char *path = path_of(directory, header->id, ".seg");
    mw_err err = temporary && path ? MW_OK : MW_E_NOMEM;
    int fd = -1;

    header->durable_end = MW_SEGMENT_HEADER_SIZE + carried.len;
    if (err == MW_OK && create_of_spare(spare, path, header, carried, &fd) != MW_OK)
        err = create_file(temporary, O_CREAT | O_TRUNC, path, header, carried, &fd);
    if (err == MW_OK) {
        *out = adopt_created(path, fd, header);
        if (!*out) {
            err = MW_E_NOMEM;
            mw_io_current()->unlink(path);
            close(fd);
        }
    }
    mw_free(MW_MEM_STORE, temporary);
    mw_free(MW_MEM_STORE, path);
    return err;
}

static mw_err write_blocks(const mw_segment *segment, struct iovec *iov, size_t count)
{
    uint64_t at = segment->end;

    while (count > 0) {
        size_t now = count < IOV_AT_ONCE ? count : IOV_AT_ONCE;
        uint64_t bytes = 0;
        for (size_t i = 0; i < now; i++)
            bytes += iov[i].iov_len;
        mw_err err = mw_io_write_all(segment->fd, iov, (int)now, (off_t)at);
        if (err != MW_OK)
            return err;
        at += bytes;
        iov += now;
        count -= now;
    }
    return MW_OK;
}

/* A full disk took a part of a group: up to 16 MiB that nobody will read, and that a merge may
 * need. Nothing was synced, so nothing is said of what the file holds by cutting it. */
static void give_back(mw_segment *segment)
{
    if (mw_io_current()->ftruncate(segment->fd, (off_t)segment->end) == 0)
        segment->size = segment->end;
}

mw_err mw_segment_append(mw_segment *segment, struct iovec *iov, size_t count)
{
    uint64_t end = segment->end;
    for (size_t i = 0; i < count; i++)
        end += iov[i].iov_len;
    iov[count] = end_mark(end, segment->size);
    count += iov[count].iov_len > 0;
    mw_err err = write_blocks(segment, iov, count);
    if (err == MW_E_NO_SPACE)
        give_back(segment);
    if (err == MW_OK && mw_io_current()->fdatasync(segment->fd) != 0)
        err = err_of_errno();
    if (err != MW_OK) {
        atomic_store(&segment->reusable, false);
        return err;
    }
    segment->end = end;
    if (segment->size < end)
        segment->size = end;
    return MW_OK;
}

void mw_segment_trim(mw_segment *segment)
{
    if (segment->size <= segment->end || !atomic_load(&segment->reusable) ||
        mw_io_current()->ftruncate(segment->fd, (off_t)segment->end) != 0)
        return;
    segment->size = segment->end;
}

mw_block_place mw_segment_place(const mw_segment *segment, uint64_t offset)
{
    return (mw_block_place){segment->header.salt, segment->header.id, offset};
}

void mw_segment_ref(mw_segment *segment)
{
    atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
}

void mw_segment_unref(mw_segment *segment)
{
    if (!segment || atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (segment->blocks) {
        mw_index_block *block = segment->blocks;
        segment->blocks = block->next_in_segment;
        mw_free(MW_MEM_STORE, block);
    }
    mw_footer_free(segment->footer);
    mw_piece_list_free(atomic_load_explicit(&segment->pieces, memory_order_acquire));
    close(segment->fd);
    if (segment->spare)
        mw_spare_give(segment->spare, segment->spare_path);
    mw_free(MW_MEM_STORE, segment->path);
    mw_free(MW_MEM_STORE, segment);
}
