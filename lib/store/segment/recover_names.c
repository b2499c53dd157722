/* The names in a store's directory, put right before it is read, and the numbers that are taken.
 * See recover_int.h.
 *
 * Nothing that may hold somebody's data is deleted here, and nothing under a segment's name keeps
 * the store from starting but a segment of another version of the format, which that version reads.
 */
#include <unistd.h>

#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/store/format/digest_key.h"
#include "lib/store/segment/aside.h"
#include "lib/store/segment/recover_int.h"

/* A file without a header whose name is that close to the ids in use may have been ours: the id is
 * left free for it. One that is far away would only use up the numbers. */
#define NEAR_IDS 65536u

typedef struct name_pass {
    mw_writer *writer;
    const mw_known_segments *known;
    uint64_t key_seed;
    mw_segment_files *files;
    bool changed;
} name_pass;

/* ---- what is taken --------------------------------------------------------------------------- */

void mw_recover_note_sequence(mw_writer *writer, uint64_t seq)
{
    if (seq >= writer->next_seq)
        writer->next_seq = seq + 1;
}

void mw_recover_note_id(mw_writer *writer, uint64_t id)
{
    if (id >= writer->next_segment_id && id < UINT64_MAX)
        writer->next_segment_id = id + 1;
}

void mw_recover_note_walked(mw_writer *writer, const mw_segment_file *file, const mw_walk *walk)
{
    if (file->header.first_seq > writer->next_seq)
        writer->next_seq = file->header.first_seq;
    for (size_t i = 0; i < walk->block_count; i++)
        mw_recover_note_sequence(writer, walk->blocks[i].header.seq);
}

/* ---- the directory --------------------------------------------------------------------------- */

static mw_err load(name_pass *pass)
{
    mw_err err = mw_segment_files_load(pass->writer->directory, pass->files);
    if (err == MW_OK)
        mw_segment_files_recall(pass->files, pass->known, &pass->key_seed);
    return err;
}

static mw_err refuse_versions(const name_pass *pass, mw_detail *detail)
{
    for (size_t i = 0; i < pass->files->count; i++) {
        const mw_segment_file *file = &pass->files->items[i];
        if (file->header_err == MW_E_UNSUPPORTED)
            return mw_detail_set(detail, MW_E_UNSUPPORTED, "data",
                                 "move the store's directory away to start with an empty one, or "
                                 "run the version of midwatch that wrote it",
                                 "this program reads version %u of the segment format, and %s is "
                                 "of another",
                                 MW_SEGMENT_VERSION, file->path);
    }
    return MW_OK;
}

/* ---- back to their own names ----------------------------------------------------------------- */

static void give_own_name(name_pass *pass, const mw_segment_file *file)
{
    char *own = mw_segment_path(pass->writer->directory, file->header.id);
    if (!own)
        return;
    if (access(own, F_OK) != 0 && mw_io_current()->rename(file->path, own) == 0) {
        pass->changed = true;
        MW_LOG(MW_LOG_WARN, "store",
               "a segment had another name than its own: it was given that again",
               MW_KV_STR("file", file->path), MW_KV_STR("now", own));
    }
    mw_free(MW_MEM_STORE, own);
}

static mw_err take_back(name_pass *pass)
{
    for (size_t i = 0; i < pass->files->count; i++)
        if (mw_segment_file_belongs(pass->files, i, pass->known, &pass->key_seed))
            give_own_name(pass, &pass->files->items[i]);
    if (!pass->changed)
        return MW_OK;
    mw_segment_files_fini(pass->files);
    return load(pass);
}

/* ---- aside ----------------------------------------------------------------------------------- */

/* Whoever gives the file its own name again finds neither that nor its sequences taken. */
static mw_err keep_place(mw_writer *writer, mw_segment_file *file)
{
    mw_walk walk;
    mw_recover_note_id(writer, file->header.id);
    mw_recover_note_sequence(writer, file->header.first_seq);
    if (file->header.kind == MW_SEGMENT_MERGED)
        return MW_OK;
    file->limit = file->size;
    mw_err err = mw_segment_walk(file, &walk);
    if (err != MW_OK)
        return err;
    mw_recover_note_walked(writer, file, &walk);
    mw_walk_fini(&walk);
    return MW_OK;
}

static void log_aside(const mw_segment_file *file, const char *now, const char *what)
{
    MW_LOG(MW_LOG_WARN, "store", what, MW_KV_STR("file", file->path), MW_KV_STR("now", now),
           MW_KV_U64("bytes", file->size));
}

static const char *text_of(const name_pass *pass, const mw_segment_file *file)
{
    if (file->header_err == MW_E_CONFLICT)
        return "a copy of a segment under another name is not read and was set aside; move it out "
               "of the store's directory";
    if (file->header_err == MW_E_DENIED)
        return "a segment of another store is not read and was set aside; move it out of the "
               "store's directory";
    return mw_known_find(pass->known, file->id)
               ? "a segment does not begin with its header any more: it was set aside, and what it "
                 "held is lost unless a copy takes its place"
               : "a file that is no segment has the name of one: it is not read and was set aside; "
                 "move it out of the store's directory";
}

/* It may be the only one of its kind, so that it is kept; but it must not hold a name that a
 * segment to come will have. */
static mw_err set_aside(name_pass *pass, mw_segment_file *file)
{
    char aside[MW_ASIDE_PATH_SIZE];
    uint64_t next = pass->writer->next_segment_id;
    bool moved =
        mw_aside_name(file->path, aside) && mw_io_current()->rename(file->path, aside) == 0;
    log_aside(file, moved ? aside : file->path, text_of(pass, file));
    pass->changed |= moved;
    if (!moved ||
        (file->header_err == MW_E_CORRUPT && file->id >= next && file->id - next < NEAR_IDS))
        mw_recover_note_id(pass->writer, file->id);
    return file->header_err == MW_E_CONFLICT ? keep_place(pass->writer, file) : MW_OK;
}

/* Made, and never written: nobody was promised anything in it. */
static bool is_unborn(const name_pass *pass, const mw_segment_file *file)
{
    return file->header_err == MW_E_CORRUPT && file->size == 0 &&
           file == &pass->files->items[pass->files->count - 1] &&
           !mw_known_find(pass->known, file->id);
}

static mw_err clear_away(name_pass *pass)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < pass->files->count; i++) {
        mw_segment_file *file = &pass->files->items[i];
        if (file->header_err == MW_OK)
            continue;
        if (is_unborn(pass, file) && mw_io_current()->unlink(file->path) == 0)
            continue;
        err = set_aside(pass, file);
    }
    return err;
}

mw_err mw_recover_names(mw_writer *writer, const mw_known_segments *known, uint64_t key_seed,
                        mw_segment_files *files, mw_detail *detail)
{
    name_pass pass = {.writer = writer, .known = known, .key_seed = key_seed, .files = files};
    mw_err err = load(&pass);
    if (err != MW_OK)
        return mw_detail_set(detail, err == MW_E_NOT_FOUND ? MW_E_IO : err, "data", "",
                             "the segments in %s cannot be read", writer->directory);
    err = refuse_versions(&pass, detail);
    if (err != MW_OK)
        return err;
    err = take_back(&pass);
    if (err == MW_OK)
        err = clear_away(&pass);
    if (err == MW_OK && pass.changed && files->count > 0)
        err = mw_io_sync_parent(files->items[0].path);
    return err == MW_OK ? err
                        : mw_detail_set(detail, err, "data", "", "the names in %s: %s",
                                        writer->directory, mw_err_text(err));
}
