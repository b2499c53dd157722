/* The table of spaces and their directories. See spaces.h. */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/store/spaces.h"

#define DELETED_PREFIX ".deleted-"
#define PATH_SIZE 1024
/* Directories open at a time while a tree is removed. */
#define WALK_DEPTH 8

struct mw_space {
    mw_spaces *spaces;
    mw_store *store;
    size_t refs; /* under the lock */
    atomic_bool closing;
    char name[MW_SPACE_NAME_SIZE];
};

struct mw_spaces {
    pthread_mutex_t changing; /* taken before `lock`: one create or delete at a time */
    pthread_mutex_t lock;
    pthread_cond_t released;
    mw_space *items[MW_SPACES_MAX]; /* "default", then by name */
    size_t count;
    mw_spaces_config config; /* its texts are copies */
    char default_directory[PATH_SIZE], directory[PATH_SIZE];
};

/* ---- names and paths ------------------------------------------------------------------------- */

bool mw_space_name_valid(mw_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return name.len > 0 && name.len <= MW_SPACE_NAME_MAX;
}

static bool is_default(mw_slice name)
{
    return mw_slice_equal(name, MW_SLICE(MW_SPACE_DEFAULT));
}

/* DIRECTORY/NAME and DIRECTORY/NAME/store; the directory was checked to leave room. */
static void space_path(const mw_spaces *spaces, const char *name, char out[PATH_SIZE])
{
    int len = snprintf(out, PATH_SIZE, "%s/%s", spaces->directory, name);
    MW_ASSERT(len > 0 && len < PATH_SIZE);
}

static void store_path(const mw_spaces *spaces, const char *name, char out[PATH_SIZE])
{
    int len = snprintf(out, PATH_SIZE, "%s/%s/store", spaces->directory, name);
    MW_ASSERT(len > 0 && len < PATH_SIZE);
}

static mw_err err_of_errno(int reason)
{
    return reason == ENOSPC || reason == EDQUOT || reason == EROFS ? MW_E_NO_SPACE : MW_E_IO;
}

/* MW_E_CONFLICT: it is there already. */
static mw_err make_directory(const char *path, mw_detail *detail)
{
    if (mkdir(path, 0700) == 0)
        return mw_io_sync_parent(path) == MW_OK
                   ? MW_OK
                   : mw_detail_set(detail, MW_E_IO, "space", "", "cannot sync the parent of %s",
                                   path);
    int reason = errno;
    if (reason == EEXIST)
        return mw_detail_set(detail, MW_E_CONFLICT, "name",
                             "start the daemon again, which serves it or says why not",
                             "a directory of that name is there already");
    return mw_detail_set(detail, err_of_errno(reason), "space", "", "cannot create %s: %s", path,
                         strerrordesc_np(reason));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)walk;
    int failed = type == FTW_DP ? rmdir(path) : mw_io_current()->unlink(path);
    if (failed)
        MW_LOG(MW_LOG_WARN, "store", "a file of a deleted space cannot be removed",
               MW_KV_STR("file", path), MW_KV_STR("why", strerrordesc_np(errno)));
    return 0; /* what can go goes; the next start tries the rest */
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, WALK_DEPTH, FTW_DEPTH | FTW_PHYS);
}

/* ---- the table ------------------------------------------------------------------------------- */

/* Under the lock. NULL when there is none. */
static mw_space *find(const mw_spaces *spaces, mw_slice name)
{
    for (size_t i = 0; i < spaces->count; i++)
        if (mw_slice_equal(name, mw_slice_of(spaces->items[i]->name)))
            return spaces->items[i];
    return NULL;
}

static void add(mw_spaces *spaces, mw_space *space)
{
    pthread_mutex_lock(&spaces->lock);
    MW_ASSERT(spaces->count < MW_SPACES_MAX);
    size_t at = spaces->count++;
    for (; at > 1 && strcmp(spaces->items[at - 1]->name, space->name) > 0; at--)
        spaces->items[at] = spaces->items[at - 1];
    spaces->items[at] = space;
    pthread_mutex_unlock(&spaces->lock);
}

static void take_out(mw_spaces *spaces, const mw_space *space)
{
    size_t at = 0;
    pthread_mutex_lock(&spaces->lock);
    while (spaces->items[at] != space)
        at++;
    spaces->count--;
    for (; at < spaces->count; at++)
        spaces->items[at] = spaces->items[at + 1];
    pthread_mutex_unlock(&spaces->lock);
}

static void free_space(mw_space *space)
{
    mw_store_close(space->store);
    mw_free(MW_MEM_STORE, space);
}

/* Opens the store in `directory`, has its listeners set, and puts it into the table. */
static mw_err open_space(mw_spaces *spaces, const char *name, const char *directory,
                         mw_detail *detail)
{
    mw_store_config config = spaces->config.store;
    mw_space *space = mw_calloc(MW_MEM_STORE, 1, sizeof *space);
    if (!space)
        return mw_detail_set(detail, MW_E_NOMEM, "memory_limit", "", "no memory for a space");
    config.directory = directory;
    space->spaces = spaces;
    atomic_init(&space->closing, false);
    snprintf(space->name, sizeof space->name, "%s", name);
    mw_err err = mw_store_open(&config, &space->store, detail);
    if (err != MW_OK) {
        mw_free(MW_MEM_STORE, space);
        return err;
    }
    if (spaces->config.opened)
        spaces->config.opened(spaces->config.ctx, space->store);
    add(spaces, space);
    return MW_OK;
}

/* ---- start ----------------------------------------------------------------------------------- */

static mw_err open_found(mw_spaces *spaces, const char *name, mw_detail *detail)
{
    char path[PATH_SIZE];
    struct stat status;
    mw_slice text = mw_slice_of(name);
    if (text.len > sizeof DELETED_PREFIX + MW_SPACE_NAME_SIZE + MW_ID_TEXT_SIZE)
        return MW_OK; /* a stranger's */
    space_path(spaces, name, path);
    if (mw_slice_starts(text, MW_SLICE(DELETED_PREFIX))) {
        MW_LOG(MW_LOG_INFO, "store", "the rest of a deleted space is removed",
               MW_KV_STR("directory", path));
        remove_tree(path);
        return MW_OK;
    }
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return MW_OK;
    if (!mw_space_name_valid(text) || is_default(text)) {
        MW_LOG(MW_LOG_WARN, "store", "this directory is no space: it is left alone",
               MW_KV_STR("directory", path));
        return MW_OK;
    }
    if (spaces->count == MW_SPACES_MAX)
        return mw_detail_set(detail, MW_E_LIMIT, "space", "move some of them away",
                             "there are more than %d spaces in %s", MW_SPACES_MAX,
                             spaces->directory);
    store_path(spaces, name, path);
    return open_space(spaces, name, path, detail);
}

static mw_err open_all_found(mw_spaces *spaces, mw_detail *detail)
{
    mw_err err = MW_OK;
    DIR *dir = opendir(spaces->directory);
    if (!dir && (errno == ENOENT || errno == ENOTDIR))
        return MW_OK;
    if (!dir)
        return mw_detail_set(detail, MW_E_IO, "space", "", "cannot read %s: %s", spaces->directory,
                             strerrordesc_np(errno));
    while (err == MW_OK) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno)
                err = mw_detail_set(detail, MW_E_IO, "space", "", "cannot read %s",
                                    spaces->directory);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = open_found(spaces, entry->d_name, detail);
    }
    closedir(dir);
    return err;
}

/* False when a path is too long for the names behind it. */
static bool copy_config(mw_spaces *spaces, const mw_spaces_config *config)
{
    size_t longest =
        PATH_SIZE - sizeof DELETED_PREFIX - MW_SPACE_NAME_SIZE - MW_ID_TEXT_SIZE - sizeof "//store";
    if (strlen(config->directory) >= longest || strlen(config->default_directory) >= longest)
        return false;
    spaces->config = *config;
    snprintf(spaces->directory, PATH_SIZE, "%s", config->directory);
    snprintf(spaces->default_directory, PATH_SIZE, "%s", config->default_directory);
    spaces->config.directory = spaces->directory;
    spaces->config.default_directory = spaces->default_directory;
    return true;
}

mw_err mw_spaces_open(const mw_spaces_config *config, mw_spaces **out, mw_detail *detail)
{
    pthread_condattr_t monotonic;
    mw_spaces *spaces = mw_calloc(MW_MEM_STORE, 1, sizeof *spaces);
    if (!spaces)
        return mw_detail_set(detail, MW_E_NOMEM, "memory_limit", "", "no memory for the spaces");
    if (!copy_config(spaces, config)) {
        mw_free(MW_MEM_STORE, spaces);
        return mw_detail_set(detail, MW_E_LIMIT, "data", "choose a shorter path",
                             "the path of the spaces is too long");
    }
    pthread_mutex_init(&spaces->changing, NULL);
    pthread_mutex_init(&spaces->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&spaces->released, &monotonic);
    pthread_condattr_destroy(&monotonic);
    mw_err err = open_space(spaces, MW_SPACE_DEFAULT, spaces->default_directory, detail);
    if (err == MW_OK)
        err = open_all_found(spaces, detail);
    if (err != MW_OK) {
        mw_spaces_close(spaces);
        return err;
    }
    *out = spaces;
    return MW_OK;
}

void mw_spaces_close(mw_spaces *spaces)
{
    if (!spaces)
        return;
    for (size_t i = 0; i < spaces->count; i++) {
        MW_ASSERT(spaces->items[i]->refs == 0);
        free_space(spaces->items[i]);
    }
    pthread_cond_destroy(&spaces->released);
    pthread_mutex_destroy(&spaces->lock);
    pthread_mutex_destroy(&spaces->changing);
    mw_free(MW_MEM_STORE, spaces);
}

/* ---- users ----------------------------------------------------------------------------------- */

mw_store *mw_spaces_default(mw_spaces *spaces)
{
    return spaces->items[0]->store;
}

mw_err mw_spaces_get(mw_spaces *spaces, mw_slice name, mw_space **out)
{
    pthread_mutex_lock(&spaces->lock);
    mw_space *space = find(spaces, name);
    if (space && atomic_load(&space->closing))
        space = NULL;
    if (space)
        space->refs++;
    pthread_mutex_unlock(&spaces->lock);
    *out = space;
    return space ? MW_OK : MW_E_NOT_FOUND;
}

void mw_space_release(mw_space *space)
{
    if (!space)
        return;
    mw_spaces *spaces = space->spaces;
    pthread_mutex_lock(&spaces->lock);
    MW_ASSERT(space->refs > 0);
    space->refs--;
    if (space->refs == 0 && atomic_load(&space->closing))
        pthread_cond_broadcast(&spaces->released);
    pthread_mutex_unlock(&spaces->lock);
}

mw_store *mw_space_store(const mw_space *space)
{
    return space->store;
}

const char *mw_space_name(const mw_space *space)
{
    return space->name;
}

bool mw_space_is_closing(const mw_space *space)
{
    return atomic_load(&space->closing);
}

void mw_spaces_each(mw_spaces *spaces, void (*space)(void *ctx, const char *name, mw_store *store),
                    void *ctx)
{
    pthread_mutex_lock(&spaces->lock);
    for (size_t i = 0; i < spaces->count; i++)
        if (!atomic_load(&spaces->items[i]->closing))
            space(ctx, spaces->items[i]->name, spaces->items[i]->store);
    pthread_mutex_unlock(&spaces->lock);
}

/* ---- create ---------------------------------------------------------------------------------- */

/* Is there a place for it? */
static mw_err check_new(mw_spaces *spaces, mw_slice name, mw_detail *detail)
{
    if (!mw_space_name_valid(name))
        return mw_detail_set(detail, MW_E_INVALID, "name",
                             "use 1 to 63 lower-case letters, digits and -",
                             "this cannot be the name of a space");
    pthread_mutex_lock(&spaces->lock);
    bool exists = find(spaces, name) != NULL;
    bool full = spaces->count == MW_SPACES_MAX;
    pthread_mutex_unlock(&spaces->lock);
    if (exists)
        return mw_detail_set(detail, MW_E_CONFLICT, "name", "choose another name",
                             "there is a space of that name");
    if (full)
        return mw_detail_set(detail, MW_E_CONFLICT, "name", "delete one that is no longer used",
                             "there are %d spaces, which is all there may be", MW_SPACES_MAX);
    return MW_OK;
}

static mw_err create_locked(mw_spaces *spaces, mw_slice name, mw_detail *detail)
{
    char text[MW_SPACE_NAME_SIZE], path[PATH_SIZE], store[PATH_SIZE];
    mw_err err = check_new(spaces, name, detail);
    if (err != MW_OK)
        return err;
    mw_slice_to_cstr(name, text, sizeof text);
    space_path(spaces, text, path);
    store_path(spaces, text, store);
    err = make_directory(spaces->directory, detail);
    if (err != MW_OK && err != MW_E_CONFLICT)
        return err;
    err = make_directory(path, detail);
    if (err == MW_E_CONFLICT)
        return err;
    if (err == MW_OK)
        err = open_space(spaces, text, store, detail);
    if (err != MW_OK)
        remove_tree(path); /* nobody was promised anything in it */
    return err;
}

mw_err mw_spaces_create(mw_spaces *spaces, mw_slice name, mw_detail *detail)
{
    pthread_mutex_lock(&spaces->changing);
    mw_err err = create_locked(spaces, name, detail);
    pthread_mutex_unlock(&spaces->changing);
    return err;
}

/* ---- delete ---------------------------------------------------------------------------------- */

/* From here on nobody new gets in. False when the old ones do not go in time: all is as before. */
static bool wait_for_users(mw_spaces *spaces, mw_space *space)
{
    struct timespec until;
    int failed = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += MW_SPACE_CLOSE_NS / MW_NS_PER_S;
    pthread_mutex_lock(&spaces->lock);
    atomic_store(&space->closing, true);
    pthread_mutex_unlock(&spaces->lock);
    if (spaces->config.closing)
        spaces->config.closing(spaces->config.ctx);
    pthread_mutex_lock(&spaces->lock);
    while (space->refs > 0 && failed == 0)
        failed = pthread_cond_timedwait(&spaces->released, &spaces->lock, &until);
    bool alone = space->refs == 0;
    atomic_store(&space->closing, alone);
    pthread_mutex_unlock(&spaces->lock);
    return alone;
}

/* Renames the space's directory, its store still open, so that a disk that refuses leaves all as it
 * was: a store that was closed might not open again on that disk. Nobody appends any more, and what
 * its threads still write is about to be removed. */
static mw_err bury(mw_spaces *spaces, const char *name, char grave[PATH_SIZE], mw_detail *detail)
{
    char from[PATH_SIZE], id[MW_ID_TEXT_SIZE];
    space_path(spaces, name, from);
    mw_id_new(id);
    int len = snprintf(grave, PATH_SIZE, "%s/" DELETED_PREFIX "%s-%s", spaces->directory, name, id);
    MW_ASSERT(len > 0 && len < PATH_SIZE);
    if (mw_io_current()->rename(from, grave) == 0)
        return MW_OK;
    int reason = errno;
    return mw_detail_set(detail, err_of_errno(reason), "space", "", "cannot rename %s: %s", from,
                         strerrordesc_np(reason));
}

/* The space is gone when the rename is durable; until then nothing is removed. */
static mw_err remove_buried(const mw_spaces *spaces, const char *grave, mw_detail *detail)
{
    mw_err err = mw_io_sync_parent(grave);
    if (err != MW_OK)
        return mw_detail_set(detail, err, "space", "delete it again if it is back after a start",
                             "cannot sync %s", spaces->directory);
    remove_tree(grave);
    return MW_OK;
}

static void let_users_in(mw_spaces *spaces, mw_space *space)
{
    pthread_mutex_lock(&spaces->lock);
    atomic_store(&space->closing, false);
    pthread_mutex_unlock(&spaces->lock);
}

static mw_err delete_locked(mw_spaces *spaces, mw_slice name, mw_detail *detail)
{
    char grave[PATH_SIZE];
    if (is_default(name))
        return mw_detail_set(detail, MW_E_DENIED, "name", "retention removes what is old",
                             "the space default cannot be deleted");
    pthread_mutex_lock(&spaces->lock);
    mw_space *space = find(spaces, name);
    pthread_mutex_unlock(&spaces->lock);
    if (!space)
        return mw_detail_set(detail, MW_E_NOT_FOUND, "name",
                             "midwatch space list shows which there are",
                             "there is no space of that name");
    if (!wait_for_users(spaces, space))
        return mw_detail_set(detail, MW_E_BUSY, "name", "try again when they have ended",
                             "questions or exports of this space are under way");
    mw_err err = bury(spaces, space->name, grave, detail);
    if (err != MW_OK) {
        let_users_in(spaces, space);
        return err;
    }
    take_out(spaces, space);
    free_space(space);
    return remove_buried(spaces, grave, detail);
}

mw_err mw_spaces_delete(mw_spaces *spaces, mw_slice name, mw_detail *detail)
{
    pthread_mutex_lock(&spaces->changing);
    mw_err err = delete_locked(spaces, name, detail);
    pthread_mutex_unlock(&spaces->changing);
    return err;
}
