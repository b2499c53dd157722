/* What is missing from a data directory. See missing.h. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "lib/base/log.h"
#include "server/missing.h"

static bool is_there(const mw_server_options *options, const char *name)
{
    char path[MW_PATH_SIZE];
    struct stat status;
    mw_data_path(options, name, path);
    return stat(path, &status) == 0;
}

/* What cannot be looked at is not gone: whoever opens it says why. */
static bool is_gone_or_empty(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return errno == ENOENT;
    return S_ISREG(status.st_mode) && status.st_size == 0;
}

static bool has_no_entry(const char *path)
{
    bool found = false;
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT;
    for (struct dirent *entry; !found && (entry = readdir(dir)) != NULL;)
        found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return !found;
}

bool mw_missing_state(const mw_server_options *options)
{
    char path[MW_PATH_SIZE];
    mw_data_path(options, "state.db", path);
    return is_there(options, "state.key") && is_gone_or_empty(path);
}

bool mw_missing_store(const mw_server_options *options)
{
    char path[MW_PATH_SIZE];
    mw_data_path(options, "store", path);
    return is_there(options, "state.db") && has_no_entry(path);
}

void mw_missing_warn(const mw_server_options *options)
{
    if (mw_missing_state(options))
        MW_LOG(MW_LOG_WARN, "serve", MW_MISSING_STATE "; a new one is made",
               MW_KV_STR("data", options->data));
    if (mw_missing_store(options))
        MW_LOG(MW_LOG_WARN, "serve", MW_MISSING_STORE "; a new one is made",
               MW_KV_STR("data", options->data));
}
