/* mw_store_rebuild: makes again what is derived. Offline, one thread, under the directory's lock.
 *
 * In order: unfinished files go; headers with one damaged byte are put right; footers that are
 * damaged are made again (footer_mend.h); segments that another one replaced go; the catalogue is
 * made of what is there, and with that what is gone is accepted, and said for the last time. Each
 * step leaves a directory that a start takes, so a kill between two costs nothing but another run.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/store/format/digest_key.h"
#include "lib/store/merge/catalogue.h"
#include "lib/store/merge/footer_mend.h"
#include "lib/store/segment/recover.h"

typedef struct rebuilding {
    const char *directory;
    void (*report)(void *ctx, const mw_store_damage *done);
    void *ctx;
    mw_detail *detail;
    uint64_t key_seed;
    mw_segment_files files;
    mw_known_segments known; /* by the old catalogue */
    mw_segment **merged;     /* those that stay, open */
    size_t merged_count;
    mw_catalogue_segment *logs; /* rows of the log that hold */
    size_t log_count, log_capacity;
} rebuilding;

static void say(rebuilding *run, const char *file, uint64_t offset, const char *what)
{
    const mw_store_damage done = {.file = file, .offset = offset, .what = what};
    if (run->report)
        run->report(run->ctx, &done);
}

static mw_err refuse(rebuilding *run, mw_err err, const char *file)
{
    return mw_detail_set(run->detail, err, "data", "", "%s: %s", file, mw_err_text(err));
}

/* ---- the lock -------------------------------------------------------------------------------- */

static mw_err claim(const char *directory, int *fd, mw_detail *detail)
{
    *fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? MW_E_NOT_FOUND
                   : mw_detail_set(detail, MW_E_IO, "data", "", "cannot open %s: %s", directory,
                                   strerrordesc_np(errno));
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return MW_OK;
    close(*fd);
    return mw_detail_set(detail, MW_E_CONFLICT, "data", "stop it first", "%s is in use by a daemon",
                         directory);
}

/* ---- headers --------------------------------------------------------------------------------- */

static mw_err write_header(const char *path, const unsigned char bytes[MW_SEGMENT_HEADER_SIZE])
{
    int fd = mw_io_current()->open(path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return errno == EROFS ? MW_E_NO_SPACE : MW_E_IO;
    struct iovec iov = {(void *)(uintptr_t)bytes, MW_SEGMENT_HEADER_SIZE};
    mw_err err = mw_io_write_all(fd, &iov, 1, 0);
    if (err == MW_OK && mw_io_current()->fdatasync(fd) != 0)
        err = MW_E_IO;
    close(fd);
    return err;
}

/* Puts right what headers can be put right. */
static mw_err mend_headers(rebuilding *run)
{
    for (size_t i = 0; i < run->files.count; i++) {
        const mw_segment_file *file = &run->files.items[i];
        if (!file->header_mended)
            continue;
        mw_err err = write_header(file->path, file->mended);
        if (err != MW_OK)
            return refuse(run, err, file->path);
        say(run, file->path, 0, "a damaged byte of its header was put right");
    }
    return MW_OK;
}

/* What the old catalogue knows. One that a kill left in the middle of a change has to be opened for
 * writing once, which undoes it. */
static mw_err read_old(rebuilding *run)
{
    mw_catalogue *old = NULL;
    mw_err err = mw_catalogue_open_reader(run->directory, &old);
    if (err == MW_E_AGAIN) {
        err = mw_catalogue_open(run->directory, &old);
        mw_catalogue_close(old);
        old = NULL;
        if (err == MW_OK)
            err = mw_catalogue_open_reader(run->directory, &old);
    }
    if (err == MW_OK)
        err = mw_catalogue_remember(old, &run->known);
    mw_catalogue_close(old);
    return err == MW_E_NOMEM ? err : MW_OK; /* a damaged one cannot tell */
}

static mw_err load_files(rebuilding *run)
{
    mw_err err = mw_segment_files_load(run->directory, &run->files);
    if (err == MW_OK)
        err = read_old(run);
    if (err != MW_OK)
        return refuse(run, err, run->directory);
    mw_segment_files_recall(&run->files, &run->known, &run->key_seed);
    return mend_headers(run);
}

/* ---- footers --------------------------------------------------------------------------------- */

typedef struct arrival {
    uint64_t id, arrival_max_ns;
} arrival;

static mw_err take_arrival(void *ctx, const mw_catalogue_segment *row)
{
    arrival *wanted = ctx;
    if (row->id == wanted->id)
        wanted->arrival_max_ns = row->arrival_max_ns;
    return MW_OK;
}

/* The latest arrival: the old catalogue may know. Else the time of the merge, which is no earlier:
 * retention keeps the segment a little longer. */
static uint64_t arrival_of(const rebuilding *run, const mw_segment_header *header)
{
    mw_catalogue *old = NULL;
    arrival wanted = {header->id, 0};
    if (mw_catalogue_open_reader(run->directory, &old) != MW_OK)
        return header->created_ns;
    mw_err err = mw_catalogue_each(old, take_arrival, &wanted);
    mw_catalogue_close(old);
    return err == MW_OK && wanted.arrival_max_ns > 0 && wanted.arrival_max_ns <= header->created_ns
               ? wanted.arrival_max_ns
               : header->created_ns;
}

/* The parts that a start does not read. */
static mw_err check_sections(const mw_segment *segment)
{
    mw_err err = MW_OK;
    for (unsigned i = 0; err == MW_OK && i < MW_FOOTER_SECTIONS; i++)
        err = mw_footer_check_section(segment->footer, segment->fd, i);
    return err;
}

/* Opens it; MW_E_CORRUPT when any part of the footer is damaged, or its keys are another's. */
static mw_err open_whole(const rebuilding *run, mw_segment_file *file, mw_segment **out)
{
    mw_err err = mw_segment_open_merged(file->path, file->fd, &file->header, file->size, out);
    if (err != MW_OK)
        return err;
    file->fd = -1; /* the segment's now */
    err = (*out)->footer->key_check == mw_key_check(run->key_seed) ? check_sections(*out)
                                                                   : MW_E_CORRUPT;
    if (err != MW_OK) {
        mw_segment_unref(*out);
        *out = NULL;
    }
    return err;
}

/* (Again) a descriptor for the file of that name. */
static mw_err reopen(mw_segment_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
    off_t size = file->fd < 0 ? -1 : lseek(file->fd, 0, SEEK_END);
    if (size < 0)
        return MW_E_IO;
    file->size = (uint64_t)size;
    return MW_OK;
}

static void say_mended(rebuilding *run, const mw_segment_file *file, const mw_footer_mended *done)
{
    char text[192];
    snprintf(text, sizeof text, "a new footer, from %zu blocks", done->blocks);
    say(run, file->path, file->header.durable_end, text);
    if (file->replaced_err != MW_OK)
        say(run, file->path, file->header.durable_end,
            "which segments it had replaced is not known any more");
    if (done->unread + done->unfilled > 0) {
        snprintf(text, sizeof text, "%zu of its blocks are damaged themselves and stay so",
                 done->unread + done->unfilled);
        say(run, file->path, 0, text);
    }
}

static mw_err mend(rebuilding *run, mw_segment_file *file)
{
    mw_footer_mended done;
    mw_err err = file->fd < 0 ? reopen(file) : MW_OK;
    if (err == MW_OK)
        err = mw_footer_mend(file, run->directory, run->key_seed, arrival_of(run, &file->header),
                             &done);
    if (err == MW_OK)
        err = reopen(file);
    if (err == MW_OK)
        say_mended(run, file, &done);
    return err;
}

static mw_err take_merged(rebuilding *run, mw_segment_file *file)
{
    mw_segment *segment = NULL;
    mw_err err = open_whole(run, file, &segment);
    if (err == MW_E_CORRUPT) {
        err = mend(run, file);
        if (err == MW_OK)
            err = open_whole(run, file, &segment);
    }
    if (err == MW_E_NOT_FOUND) {
        say(run, file->path, 0, "left alone: none of its blocks can be read");
        return MW_OK;
    }
    if (err != MW_OK)
        return refuse(run, err, file->path);
    run->merged[run->merged_count++] = segment;
    return MW_OK;
}

static mw_err take_all_merged(rebuilding *run)
{
    mw_err err = MW_OK;
    run->merged = mw_calloc(MW_MEM_STORE, run->files.count + 1, sizeof(mw_segment *));
    if (!run->merged)
        return MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < run->files.count; i++) {
        mw_segment_file *file = &run->files.items[i];
        if (file->header_err == MW_E_CONFLICT)
            say(run, file->path, 0,
                "left alone: a copy of another segment, or one that was renamed; the next start "
                "knows");
        else if (file->header_err == MW_E_DENIED)
            say(run, file->path, 0, "left alone: a segment of another store");
        else if (file->header_err != MW_OK)
            say(run, file->path, 0,
                "left alone: it does not begin with a segment header of this version");
        else if (file->header.kind == MW_SEGMENT_MERGED && !file->superseded)
            err = take_merged(run, file);
    }
    return err;
}

/* ---- what was replaced ----------------------------------------------------------------------- */

static mw_err remove_superseded(rebuilding *run)
{
    for (size_t i = 0; i < run->files.count; i++) {
        const mw_segment_file *file = &run->files.items[i];
        if (!file->superseded)
            continue;
        if (mw_io_current()->unlink(file->path) != 0)
            return refuse(run, errno == EROFS ? MW_E_NO_SPACE : MW_E_IO, file->path);
        say(run, file->path, 0, "removed: a merged segment has taken its place");
    }
    return MW_OK;
}

/* ---- the catalogue --------------------------------------------------------------------------- */

static const mw_segment_file *find_file(const rebuilding *run, uint64_t id)
{
    for (size_t i = 0; i < run->files.count; i++)
        if (run->files.items[i].id == id && run->files.items[i].header_err == MW_OK)
            return &run->files.items[i];
    return NULL;
}

static bool was_replaced(const rebuilding *run, uint64_t id)
{
    for (size_t i = 0; i < run->merged_count; i++)
        for (size_t k = 0; k < run->merged[i]->footer->replaced.count; k++)
            if (run->merged[i]->footer->replaced.ids[k] == id)
                return true;
    return false;
}

static mw_err say_of(rebuilding *run, uint64_t id, const char *text)
{
    char *path = mw_segment_path(run->directory, id);
    if (!path)
        return MW_E_NOMEM;
    say(run, path, 0, text);
    mw_free(MW_MEM_STORE, path);
    return MW_OK;
}

static mw_err keep_row(rebuilding *run, const mw_catalogue_segment *row)
{
    if (!mw_have_room(MW_MEM_STORE, &run->logs, &run->log_capacity, run->log_count + 1,
                      sizeof *run->logs))
        return MW_E_NOMEM;
    run->logs[run->log_count++] = *row;
    return MW_OK;
}

/* The old catalogue is the last to know of a file that vanished, and of what the log holds. */
static mw_err take_row(void *ctx, const mw_catalogue_segment *row)
{
    rebuilding *run = ctx;
    char text[MW_CATALOGUE_LOST_SIZE + 32], lost[MW_CATALOGUE_LOST_SIZE];
    const mw_segment_file *file = find_file(run, row->id);
    if (file && row->kind == MW_SEGMENT_LOG && file->header.kind == MW_SEGMENT_LOG &&
        file->size >= row->bytes) {
        mw_catalogue_segment kept = *row;
        kept.salt = kept.salt ? file->header.salt : 0; /* by its blocks it is this one */
        return keep_row(run, &kept);
    }
    if (file || was_replaced(run, row->id))
        return MW_OK;
    mw_catalogue_lost_text(row, lost);
    snprintf(text, sizeof text, "the file is gone: %s", lost);
    return say_of(run, row->id, text);
}

static mw_err accept_loss(void *ctx, const mw_catalogue_loss *loss)
{
    char text[MW_CATALOGUE_LOST_SIZE + 64], lost[MW_CATALOGUE_LOST_SIZE];
    mw_catalogue_lost_text(&loss->of, lost);
    snprintf(text, sizeof text, "accepted as gone%s: %s",
             loss->part == MW_LOSS_WHOLE ? "" : ", its end", lost);
    return say_of(ctx, loss->of.id, text);
}

/* A damaged one tells as much as it can. */
static void take_old(rebuilding *run)
{
    mw_catalogue *old = NULL;
    if (mw_catalogue_open_reader(run->directory, &old) != MW_OK)
        return;
    mw_err err = mw_catalogue_each(old, take_row, run);
    if (err != MW_OK)
        run->log_count = 0;
    else
        err = mw_catalogue_each_loss(old, accept_loss, run);
    if (err != MW_OK)
        say(run, run->directory, 0, "the old catalogue cannot be read: what is gone is not known");
    mw_catalogue_close(old);
}

static mw_err make_catalogue(rebuilding *run)
{
    char path[4096], text[96];
    mw_catalogue *catalogue = NULL;
    mw_catalogue_changes changes;
    snprintf(path, sizeof path, "%s/%s", run->directory, MW_CATALOGUE_NAME);
    take_old(run);
    mw_catalogue_discard(run->directory);
    mw_err err = mw_catalogue_open(run->directory, &catalogue);
    if (err == MW_OK)
        err = mw_catalogue_reconcile(catalogue, (const mw_segment *const *)run->merged,
                                     run->merged_count, NULL, NULL, &changes);
    if (err == MW_OK)
        err = mw_catalogue_put_logs(catalogue, run->logs, run->log_count);
    if (err == MW_OK) /* last: a kill before leaves it to the next start to say so */
        err = mw_catalogue_judge_made(catalogue, 0);
    mw_catalogue_close(catalogue);
    if (err != MW_OK)
        return refuse(run, err, path);
    snprintf(text, sizeof text, "made again, with %zu merged segments", changes.added);
    say(run, path, 0, text);
    return MW_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static mw_err rebuild_locked(rebuilding *run)
{
    uint8_t key[MW_DIGEST_KEY_SIZE];
    bool made;
    mw_err err = mw_digest_key_load(run->directory, key, &made, run->detail);
    if (err != MW_OK)
        return err;
    run->key_seed = mw_key_seed(key);
    mw_remove_unfinished(run->directory);
    err = load_files(run);
    if (err == MW_OK)
        err = take_all_merged(run);
    if (err == MW_OK)
        err = remove_superseded(run);
    if (err == MW_OK)
        err = make_catalogue(run);
    for (size_t i = 0; i < run->merged_count; i++)
        mw_segment_unref(run->merged[i]);
    mw_free(MW_MEM_STORE, run->merged);
    mw_free(MW_MEM_STORE, run->logs);
    mw_known_fini(&run->known);
    mw_segment_files_fini(&run->files);
    return err;
}

mw_err mw_store_rebuild(const char *directory,
                        void (*report)(void *ctx, const mw_store_damage *done), void *ctx,
                        mw_detail *detail)
{
    rebuilding run = {.directory = directory, .report = report, .ctx = ctx, .detail = detail};
    int fd;
    mw_err err = claim(directory, &fd, detail);
    if (err != MW_OK)
        return err;
    err = rebuild_locked(&run);
    close(fd);
    return err;
}
