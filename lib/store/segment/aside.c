/* Files set aside. See aside.h. Reads only. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/store/segment/aside.h"
#include "lib/store/segment/pread_all.h"

#define ASIDE ".seg.aside-"
/* Of one name. */
#define COPIES_MAX 99u

bool mw_aside_name(const char *path, char out[MW_ASIDE_PATH_SIZE])
{
    for (unsigned number = 1; number <= COPIES_MAX; number++) {
        int written = snprintf(out, MW_ASIDE_PATH_SIZE, "%s.aside-%u", path, number);
        if (written <= 0 || (unsigned)written >= MW_ASIDE_PATH_SIZE)
            return false;
        if (access(out, F_OK) != 0)
            return true;
    }
    return false;
}

/* False when it is gone, or nothing that can be looked into. */
static bool look(mw_aside_file *file)
{
    unsigned char bytes[MW_SEGMENT_HEADER_SIZE];
    struct stat status;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool readable = fstat(fd, &status) == 0;
    file->size = readable ? (uint64_t)status.st_size : 0;
    file->header_err = MW_E_CORRUPT;
    if (readable && S_ISREG(status.st_mode) && mw_pread_all(fd, bytes, sizeof bytes, 0) == MW_OK)
        file->header_err = mw_segment_header_read(bytes, &file->header);
    if (file->header_err != MW_OK)
        file->header = (mw_segment_header){.id = 0};
    close(fd);
    return readable;
}

mw_err mw_aside_each(const char *directory, mw_err (*call)(void *ctx, const mw_aside_file *file),
                     void *ctx)
{
    mw_err err = MW_OK;
    DIR *dir = opendir(directory);
    if (!dir)
        return errno == ENOENT || errno == ENOTDIR ? MW_E_NOT_FOUND : MW_E_IO;
    for (struct dirent *entry; err == MW_OK && (entry = readdir(dir)) != NULL;) {
        mw_aside_file file;
        if (strlen(entry->d_name) < 16 || strncmp(entry->d_name + 16, ASIDE, sizeof ASIDE - 1) != 0)
            continue;
        int written = snprintf(file.path, sizeof file.path, "%s/%s", directory, entry->d_name);
        if (written > 0 && (size_t)written < sizeof file.path && look(&file))
            err = call(ctx, &file);
    }
    closedir(dir);
    return err;
}
