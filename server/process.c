/* Process limits, the data directory, its lock. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/io.h"
#include "lib/base/log.h"
#include "server/options.h"
#include "server/process.h"

/* Descriptors that are no connection of a TCP port: 16 for the unix socket, listeners, loops, the
 * state and its readers, webhooks, and the store's segments of 256 MiB each (50 GB make 200). */
#define OTHER_DESCRIPTORS ((size_t)256)

void mw_process_harden(void)
{
    struct rlimit limit;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    umask(0077);
    sigaction(SIGPIPE, &ignore, NULL);
    /* A limit on the size of files is a failed write, as a full disk is; not the end of us. */
    sigaction(SIGXFSZ, &ignore, NULL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

size_t mw_process_bound_connections(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    size_t files = (size_t)limit.rlim_cur;
    size_t kept = OTHER_DESCRIPTORS < files / 2 ? OTHER_DESCRIPTORS : files / 2;
    size_t most = files - kept > 0 ? files - kept : 1;
    if (wanted <= most)
        return wanted;
    MW_LOG(MW_LOG_WARN, "serve", "max_connections is lowered: too few files may be open",
           MW_KV_U64("wanted", wanted), MW_KV_U64("now", most), MW_KV_U64("files", files),
           MW_KV_STR("fix", "raise the limit on open files (RLIMIT_NOFILE, LimitNOFILE=)"));
    return most;
}

static mw_err failed(const char *path, const char *what, mw_detail *detail)
{
    int reason = errno;
    bool full = reason == ENOSPC || reason == EDQUOT || reason == EROFS;
    mw_err err = reason == EACCES || reason == EPERM ? MW_E_DENIED : full ? MW_E_NO_SPACE : MW_E_IO;
    return mw_detail_set(detail, err, "data",
                         full ? MW_NO_SPACE_HINT : "choose another directory with --data DIR",
                         "%s %s: %s", what, path, strerror(reason));
}

/* mkdir -p; the parents follow the umask, the last one gets 0700. */
static mw_err make_directories(const char *path, mw_detail *detail)
{
    char partial[MW_PATH_SIZE];
    size_t len = strlen(path);
    MW_ASSERT(len < sizeof partial);
    memcpy(partial, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (partial[i] != '/' && partial[i] != '\0')
            continue;
        char kept = partial[i];
        partial[i] = '\0';
        if (mkdir(partial, 0700) != 0 && errno != EEXIST)
            return failed(partial, "cannot create", detail);
        partial[i] = kept;
    }
    return MW_OK;
}

/* Empty, or with a lock file of ours in it. */
static bool may_narrow(const char *path)
{
    DIR *directory = opendir(path);
    bool empty = directory != NULL, ours = false;
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        empty = false;
        ours = ours || strcmp(entry->d_name, "lock") == 0;
    }
    if (directory)
        closedir(directory);
    return empty || ours;
}

mw_err mw_data_directory_prepare(const char *path, mw_detail *detail)
{
    struct stat info;
    mw_err err = make_directories(path, detail);
    if (err)
        return err;
    if (stat(path, &info) != 0)
        return failed(path, "cannot look at", detail);
    if (!S_ISDIR(info.st_mode))
        return mw_detail_set(detail, MW_E_IO, "data", "choose another with --data DIR",
                             "%s is not a directory", path);
    if (info.st_uid != geteuid())
        return mw_detail_set(detail, MW_E_DENIED, "data",
                             "run as its owner, or choose another with --data DIR",
                             "%s belongs to another user", path);
    if ((info.st_mode & 077) == 0)
        return MW_OK;
    if (!may_narrow(path))
        return mw_detail_set(detail, MW_E_DENIED, "data",
                             "choose a directory of its own, or chmod 700 this one",
                             "%s is open to other users and holds other files", path);
    return chmod(path, 0700) == 0 ? MW_OK : failed(path, "cannot chmod", detail);
}

static mw_err name_the_holder(int fd, const char *directory, mw_detail *detail)
{
    char text[24] = "";
    uint64_t pid = 0;
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    mw_slice number = mw_slice_trim(mw_slice_bytes(text, len > 0 ? (size_t)len : 0));
    number = mw_slice_first(number, mw_slice_find_byte(number, '\n'));
    if (mw_slice_u64(number, &pid))
        return mw_detail_set(detail, MW_E_CONFLICT, "data",
                             "stop it, or choose another with --data", "another process uses %s",
                             directory);
    return mw_detail_set(detail, MW_E_CONFLICT, "data", "stop it, or choose another with --data",
                         "process %llu uses %s already", (unsigned long long)pid, directory);
}

mw_err mw_data_lock(const char *directory, int *fd, mw_detail *detail)
{
    char path[MW_PATH_SIZE];
    int len = snprintf(path, sizeof path, "%s/lock", directory);
    MW_ASSERT(len > 0 && (size_t)len < sizeof path);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return failed(path, "cannot open", detail);
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        mw_err err = errno == EWOULDBLOCK ? name_the_holder(*fd, directory, detail)
                                          : failed(path, "cannot lock", detail);
        close(*fd);
        return err;
    }
    char text[24];
    len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    /* The number is for the message only, so that a full disk is no reason to stop here; the lock
     * itself is the kernel's. */
    if (pwrite(*fd, text, (size_t)len, 0) != len || ftruncate(*fd, len) != 0)
        MW_LOG(MW_LOG_WARN, "serve", "the lock file does not name this process",
               MW_KV_STR("file", path));
    return MW_OK;
}
