/* The ballast. See ballast.h. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/id.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/base/memory.h"
#include "server/ballast.h"
#include "server/process.h"

#define PIECE ((size_t)64 << 10)
#define PIECES ((int)(MW_BALLAST_BYTES / PIECE))

static bool room_for(const char *directory, uint64_t bytes)
{
    mw_disk disk;
    return mw_io_disk(directory, &disk) == MW_OK && disk.free_bytes >= bytes;
}

/* Random bytes: zeros take no space where the file system compresses. */
static mw_err fill(int fd)
{
    struct iovec iov[PIECES];
    char *piece = mw_alloc(MW_MEM_BASE, PIECE);
    if (!piece)
        return MW_E_NOMEM;
    mw_random_bytes(piece, PIECE);
    for (int i = 0; i < PIECES; i++)
        iov[i] = (struct iovec){piece, PIECE};
    mw_err err = mw_io_write_all(fd, iov, PIECES, 0);
    if (err == MW_OK && mw_io_current()->fdatasync(fd) != 0)
        err = MW_E_IO;
    mw_free(MW_MEM_BASE, piece);
    return err;
}

bool mw_ballast_release(const mw_server_options *options, const char *needed_for)
{
    char path[MW_PATH_SIZE];
    mw_data_path(options, "ballast", path);
    if (room_for(options->data, MW_BALLAST_BYTES) || mw_io_current()->unlink(path) != 0)
        return false;
    MW_LOG(MW_LOG_WARN, "serve", "the disk is full: the ballast is given up",
           MW_KV_STR("needed_for", needed_for), MW_KV_STR("file", path),
           MW_KV_STR("fix", MW_NO_SPACE_HINT));
    return true;
}

uint64_t mw_ballast_bytes(const mw_server_options *options)
{
    char path[MW_PATH_SIZE];
    struct stat status;
    mw_data_path(options, "ballast", path);
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

void mw_ballast_keep(const mw_server_options *options)
{
    char path[MW_PATH_SIZE], unfinished[MW_PATH_SIZE];
    const mw_io *io = mw_io_current();
    mw_data_path(options, "ballast", path);
    if (access(path, F_OK) == 0 || !room_for(options->data, 4 * MW_BALLAST_BYTES))
        return;
    mw_data_path(options, "ballast.new", unfinished);
    int fd = io->open(unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return;
    mw_err err = fill(fd);
    close(fd);
    if (err == MW_OK && io->rename(unfinished, path) == 0)
        return;
    io->unlink(unfinished);
    MW_LOG(MW_LOG_WARN, "serve", "the ballast cannot be made", MW_KV_STR("file", path));
}
