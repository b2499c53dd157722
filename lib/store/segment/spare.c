/* The file that is kept for the next segment of the log. See spare.h. */
#include "lib/store/segment/spare.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/store/segment/segment.h"

void mw_spare_init(mw_spare *spare)
{
    memset(spare, 0, sizeof *spare);
    pthread_mutex_init(&spare->lock, NULL);
    spare->least = MW_SPARE_LEAST;
    atomic_init(&spare->keep_ns, MW_SPARE_KEEP_NS);
}

void mw_spare_fini(mw_spare *spare)
{
    if (spare->path)
        mw_io_current()->unlink(spare->path);
    mw_free(MW_MEM_STORE, spare->path);
    pthread_mutex_destroy(&spare->lock);
}

/* True for one at a time. */
static bool reserve(mw_spare *spare)
{
    pthread_mutex_lock(&spare->lock);
    bool wanted = !spare->path && !spare->promised;
    spare->promised |= wanted;
    if (wanted)
        spare->bytes = 0;
    pthread_mutex_unlock(&spare->lock);
    return wanted;
}

/* The segment's path with another ending: it is none any more, and a start removes it. */
static char *spare_path(const char *path)
{
    size_t len = strlen(path);
    char *copy = mw_alloc(MW_MEM_STORE, len + 1);
    MW_ASSERT(len > 4);
    if (copy) {
        memcpy(copy, path, len - 4);
        memcpy(copy + len - 4, MW_SPARE_SUFFIX, sizeof MW_SPARE_SUFFIX);
    }
    return copy;
}

/* Durably: a file that still bears the old name must not get another segment's header. */
static bool rename_away(const mw_segment *segment, const char *path)
{
    if (mw_io_current()->rename(segment->path, path) != 0)
        return false;
    if (mw_io_sync_parent(path) == MW_OK)
        return true;
    /* Put it back to be removed, so that there is one way to do that. */
    (void)mw_io_current()->rename(path, segment->path);
    return false;
}

bool mw_spare_offer(mw_spare *spare, mw_segment *segment)
{
    if (!atomic_load(&segment->reusable) || segment->end < spare->least || !reserve(spare))
        return false;
    char *path = spare_path(segment->path);
    if (path && rename_away(segment, path)) {
        pthread_mutex_lock(&spare->lock);
        spare->bytes = segment->end;
        pthread_mutex_unlock(&spare->lock);
        segment->spare = spare;
        segment->spare_path = path;
        return true;
    }
    mw_free(MW_MEM_STORE, path);
    mw_spare_give(spare, NULL);
    return false;
}

void mw_spare_give(mw_spare *spare, char *path)
{
    pthread_mutex_lock(&spare->lock);
    MW_ASSERT(spare->promised && !spare->path);
    spare->path = path;
    spare->promised = false;
    spare->given_ns = mw_clock_mono_ns(mw_clock_system());
    pthread_mutex_unlock(&spare->lock);
}

/* Takes the file away if it was given at least `age_ns` ago. */
static bool remove_older(mw_spare *spare, int64_t age_ns)
{
    char *path = NULL;
    pthread_mutex_lock(&spare->lock);
    if (spare->path && mw_clock_mono_ns(mw_clock_system()) - spare->given_ns >= age_ns) {
        path = spare->path;
        spare->path = NULL;
    }
    pthread_mutex_unlock(&spare->lock);
    if (!path)
        return false;
    if (mw_io_current()->unlink(path) != 0)
        MW_LOG(MW_LOG_WARN, "store", "a file that is not needed any more cannot be removed",
               MW_KV_STR("file", path));
    mw_free(MW_MEM_STORE, path);
    return true;
}

void mw_spare_expire(mw_spare *spare)
{
    (void)remove_older(spare, atomic_load(&spare->keep_ns));
}

bool mw_spare_drop(mw_spare *spare)
{
    return remove_older(spare, 0);
}

uint64_t mw_spare_bytes(mw_spare *spare)
{
    pthread_mutex_lock(&spare->lock);
    uint64_t bytes = spare->path || spare->promised ? spare->bytes : 0;
    pthread_mutex_unlock(&spare->lock);
    return bytes;
}

char *mw_spare_take(mw_spare *spare)
{
    pthread_mutex_lock(&spare->lock);
    char *path = spare->path;
    spare->path = NULL;
    pthread_mutex_unlock(&spare->lock);
    return path;
}
