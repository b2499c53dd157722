/* What the catalogue says, held against the directory, offline or beside a daemon: what it knows to
 * be lost, and which segments ought to be there. Reads only. MW_MEM_STORE.
 *
 * The keeper adds a row when its file is there and removes it before its file goes. So files are
 * looked for after the rows were read, and what is missing is only told when its row is still there
 * then: otherwise the daemon has retired or merged it meanwhile.
 */
#include "lib/store/merge/catalogue.h"
#include "lib/store/segment/verify.h"

#define PATH_SIZE 4096

typedef struct doubt {
    mw_catalogue_segment row;
    bool confirmed;
} doubt;

typedef struct checking {
    const char *directory;
    void (*report)(void *ctx, const mw_store_damage *damage);
    void *ctx;
    mw_segment_files files;
    mw_known_segments known;
    doubt *items; /* all rows, then those in doubt */
    size_t count, capacity;
    /* Between what segments hold, commits that none has: the widest such run, and how many. */
    uint64_t gap_first, gap_last;
    size_t gaps;
    bool damaged;
} checking;

static void say(checking *run, const char *file, uint64_t offset, const char *what)
{
    const mw_store_damage damage = {.file = file, .offset = offset, .what = what};
    run->damaged = true;
    if (run->report)
        run->report(run->ctx, &damage);
}

static void note(const checking *run, const char *file, const char *what)
{
    const mw_store_damage remark = {.file = file, .what = what, .note = true};
    if (run->report)
        run->report(run->ctx, &remark);
}

static mw_err collect(void *ctx, const mw_catalogue_segment *row)
{
    checking *run = ctx;
    if (!mw_have_room(MW_MEM_STORE, &run->items, &run->capacity, run->count + 1,
                      sizeof *run->items))
        return MW_E_NOMEM;
    run->items[run->count++] = (doubt){.row = *row};
    return MW_OK;
}

/* A file with the header of another segment is not that one; what one without a header is, is told
 * by who reads the files. */
static const mw_segment_file *find_file(const checking *run, uint64_t id)
{
    for (size_t i = 0; i < run->files.count; i++) {
        const mw_segment_file *file = &run->files.items[i];
        if (file->id == id && file->header_err != MW_E_CONFLICT && file->header_err != MW_E_DENIED)
            return file;
    }
    return NULL;
}

/* A kill between the rename of a merged segment and its row. */
static bool was_replaced(const checking *run, uint64_t id)
{
    for (size_t i = 0; i < run->files.count; i++) {
        const mw_footer_replaced *replaced = &run->files.items[i].replaced;
        bool counts = run->files.items[i].header_err == MW_OK;
        for (size_t k = 0; counts && k < replaced->count; k++)
            if (replaced->ids[k] == id)
                return true;
    }
    return false;
}

/* A segment of the log grows behind its row. */
static bool fits(const mw_segment_file *file, const mw_catalogue_segment *row)
{
    return row->kind == MW_SEGMENT_LOG ? file->size >= row->bytes : file->size == row->bytes;
}

/* Also which of the files are another store's. */
static mw_err load_files(checking *run, mw_catalogue *catalogue)
{
    mw_err err = mw_catalogue_remember(catalogue, &run->known);
    if (err == MW_OK)
        err = mw_segment_files_load(run->directory, &run->files);
    if (err == MW_OK)
        mw_segment_files_recall(&run->files, &run->known, NULL);
    return err;
}

/* Somebody renamed it: who reads the files says so, and that the next start puts it right. */
static bool has_another_name(const checking *run, uint64_t id)
{
    for (size_t i = 0; i < run->files.count; i++)
        if (run->files.items[i].header_err == MW_E_CONFLICT &&
            run->files.items[i].header.id == id &&
            mw_segment_file_belongs(&run->files, i, &run->known, NULL))
            return true;
    return false;
}

/* Keeps the rows that do not fit a file. */
static void compare(checking *run)
{
    size_t kept = 0;
    for (size_t i = 0; i < run->count; i++) {
        const mw_catalogue_segment *row = &run->items[i].row;
        const mw_segment_file *file = find_file(run, row->id);
        if (file ? !fits(file, row)
                 : !was_replaced(run, row->id) && !has_another_name(run, row->id))
            run->items[kept++] = run->items[i];
    }
    run->count = kept;
}

static mw_err confirm(void *ctx, const mw_catalogue_segment *row)
{
    checking *run = ctx;
    for (size_t i = 0; i < run->count; i++)
        if (run->items[i].row.id == row->id && run->items[i].row.bytes == row->bytes)
            run->items[i].confirmed = true;
    return MW_OK;
}

static void segment_path(const checking *run, uint64_t id, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/%016llx.seg", run->directory, (unsigned long long)id);
}

static void say_doubt(checking *run, const mw_catalogue_segment *row)
{
    char path[PATH_SIZE], text[MW_CATALOGUE_LOST_SIZE + 64], lost[MW_CATALOGUE_LOST_SIZE];
    const mw_segment_file *file = find_file(run, row->id);
    segment_path(run, row->id, path);
    mw_catalogue_lost_text(row, lost);
    if (file && row->kind == MW_SEGMENT_LOG)
        snprintf(
            text, sizeof text,
            "shorter than the %llu bytes that were acknowledged: commits up to %llu were in it",
            (unsigned long long)row->bytes, (unsigned long long)row->last_seq);
    else if (file)
        snprintf(text, sizeof text, "not the %llu bytes that the catalogue says",
                 (unsigned long long)row->bytes);
    else
        snprintf(text, sizeof text, "a segment that the catalogue has is not there: %s", lost);
    say(run, path, file ? file->size : 0, text);
}

/* Of a loss that is back nothing is told: its row goes. */
static void say_salts(checking *run)
{
    char path[PATH_SIZE], text[128];
    snprintf(path, sizeof path, "%s/" MW_CATALOGUE_NAME, run->directory);
    for (size_t i = 0; i < run->files.count; i++) {
        const mw_segment_file *file = &run->files.items[i];
        const mw_known_segment *known = mw_known_find(&run->known, file->id);
        if (!file->salt_differs || !known || known->lost)
            continue;
        snprintf(text, sizeof text,
                 "the row of segment %016llx is damaged: no item is lost; the next start writes it "
                 "anew",
                 (unsigned long long)file->id);
        say(run, path, 0, text);
    }
}

/* A loss that a start noticed: told until a person accepts it or the segment is there again. */
static mw_err say_loss(void *ctx, const mw_catalogue_loss *loss)
{
    checking *run = ctx;
    char path[PATH_SIZE], noticed[MW_TIME_TEXT_SIZE], lost[MW_CATALOGUE_LOST_SIZE];
    char text[MW_CATALOGUE_LOST_SIZE + MW_TIME_TEXT_SIZE + 128];
    const mw_segment_file *file = find_file(run, loss->of.id);
    segment_path(run, loss->of.id, path);
    bool own = file && file->header_err == MW_OK &&
               (!loss->of.salt || loss->of.salt == file->header.salt || file->salt_differs);
    if (loss->part == MW_LOSS_WHOLE && (own || has_another_name(run, loss->of.id))) {
        note(run, path, "a segment that was gone is there again: the next start takes it back");
        return MW_OK;
    }
    mw_time_format(loss->noticed_ns, noticed);
    mw_catalogue_lost_text(&loss->of, lost);
    snprintf(text, sizeof text,
             "%s is gone, which a start noticed at %s: %s; `midwatch check --rebuild` accepts that",
             loss->part == MW_LOSS_WHOLE ? "a segment" : "the end of a segment", noticed, lost);
    say(run, path, 0, text);
    return MW_OK;
}

static int by_first_seq(const void *left, const void *right)
{
    const mw_catalogue_segment *a = left, *b = right;
    return a->first_seq < b->first_seq ? -1 : a->first_seq > b->first_seq;
}

static void note_gap(checking *run, uint64_t first, uint64_t last)
{
    run->gaps++;
    if (run->gaps > 1 && last - first <= run->gap_last - run->gap_first)
        return;
    run->gap_first = first;
    run->gap_last = last;
}

/* By the rows, before those that fit a file are dropped. A segment of the log may hold more than
 * its row says: it reaches up to the next one. Gaps are no losses: DECISIONS.md has who leaves
 * them. */
static mw_err find_gaps(checking *run)
{
    uint64_t reach =
        UINT64_MAX; /* of those so far; nothing is known of what came before the first */
    mw_catalogue_segment *rows = mw_alloc(MW_MEM_STORE, (run->count + 1) * sizeof *rows);
    if (!rows)
        return MW_E_NOMEM;
    for (size_t i = 0; i < run->count; i++)
        rows[i] = run->items[i].row;
    if (run->count > 1)
        qsort(rows, run->count, sizeof *rows, by_first_seq);
    for (size_t i = 0; i < run->count; i++) {
        const mw_catalogue_segment *row = &rows[i];
        uint64_t last = row->last_seq;
        if (i > 0 && reach < row->first_seq && reach + 1 < row->first_seq)
            note_gap(run, reach + 1, row->first_seq - 1);
        if (row->kind == MW_SEGMENT_LOG)
            last = i + 1 < run->count ? rows[i + 1].first_seq : UINT64_MAX;
        reach = i == 0 || last > reach ? last : reach;
    }
    mw_free(MW_MEM_STORE, rows);
    return MW_OK;
}

/* What the catalogue cannot know is no damage, and worth knowing. */
static mw_err note_made(const checking *run, mw_catalogue *catalogue)
{
    char path[PATH_SIZE], at[MW_TIME_TEXT_SIZE], gaps[192] = "";
    char text[MW_TIME_TEXT_SIZE + sizeof gaps + 256];
    uint64_t at_ns = 0;
    mw_err err = mw_catalogue_made_at(catalogue, &at_ns);
    if (err != MW_OK || at_ns == 0 || at_ns == MW_CATALOGUE_JUST_MADE)
        return err;
    snprintf(path, sizeof path, "%s/" MW_CATALOGUE_NAME, run->directory);
    mw_time_format(at_ns, at);
    if (run->gaps)
        snprintf(gaps, sizeof gaps,
                 " (no segment holds commits %llu to %llu; retention, refused writes and merged "
                 "repeats leave such gaps, too: %zu in all)",
                 (unsigned long long)run->gap_first, (unsigned long long)run->gap_last, run->gaps);
    snprintf(text, sizeof text,
             "the catalogue was missing or could not be read, and was made anew at %s of the "
             "segments that were there: segments that vanished before cannot be told%s; `midwatch "
             "check --rebuild` accepts that",
             at, gaps);
    note(run, path, text);
    return MW_OK;
}

static mw_err check_rows(checking *run, mw_catalogue *catalogue)
{
    mw_err err = mw_catalogue_verify(catalogue);
    if (err == MW_OK)
        err = mw_catalogue_each(catalogue, collect, run);
    if (err == MW_OK)
        err = load_files(run, catalogue);
    if (err == MW_OK)
        err = find_gaps(run);
    if (err != MW_OK)
        return err;
    say_salts(run);
    compare(run);
    if (run->count > 0)
        err = mw_catalogue_each(catalogue, confirm, run);
    for (size_t i = 0; err == MW_OK && i < run->count; i++)
        if (run->items[i].confirmed)
            say_doubt(run, &run->items[i].row);
    if (err == MW_OK)
        err = mw_catalogue_each_loss(catalogue, say_loss, run);
    return err == MW_OK ? note_made(run, catalogue) : err;
}

/* Why nothing could be compared, where that is no damage. */
static mw_err note_why(checking *run, mw_err err)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/" MW_CATALOGUE_NAME, run->directory);
    switch (err) {
    case MW_E_AGAIN:
        note(run, path,
             "a kill cut a change of the catalogue off: what it knows could not be compared; the "
             "next start undoes the change");
        return MW_OK;
    case MW_E_BUSY:
        note(run, path, "the catalogue is being written, and could not be compared; ask again");
        return MW_OK;
    case MW_E_CORRUPT:
        say(run, path, 0,
            "the catalogue cannot be read: no item is lost by that, but the knowledge of which "
            "segments ought to be there is; the next start makes it again of those that are there, "
            "with the losses that can still be read in it");
        return MW_OK;
    case MW_E_NOT_FOUND:
        if (mw_segment_files_load(run->directory, &run->files) == MW_OK && run->files.count > 0)
            note(run, path,
                 "there is no catalogue: which segments ought to be there could not be compared; "
                 "the next start makes it again, of those that are there, and says so until "
                 "`midwatch "
                 "check --rebuild` accepts it");
        return err;
    default: return err;
    }
}

mw_err mw_store_verify_catalogue(const char *directory,
                                 void (*report)(void *ctx, const mw_store_damage *damage),
                                 void *ctx)
{
    checking run = {.directory = directory, .report = report, .ctx = ctx};
    mw_catalogue *catalogue = NULL;
    mw_err err = mw_catalogue_open_reader(directory, &catalogue);
    if (err == MW_OK)
        err = check_rows(&run, catalogue);
    mw_catalogue_close(catalogue);
    if (err != MW_OK)
        err = note_why(&run, err);
    mw_segment_files_fini(&run.files);
    mw_known_fini(&run.known);
    mw_free(MW_MEM_STORE, run.items);
    return err == MW_OK && run.damaged ? MW_E_CORRUPT : err;
}

/* ---- the blocks, by what is remembered ------------------------------------------------------- */

mw_err mw_store_verify(const char *directory,
                       void (*report)(void *ctx, const mw_store_damage *damage), void *ctx,
                       mw_store_verified *out)
{
    mw_known_segments known = {.items = NULL};
    mw_catalogue *catalogue = NULL;
    mw_err err = mw_catalogue_open_reader(directory, &catalogue);
    if (err == MW_OK)
        err = mw_catalogue_remember(catalogue, &known);
    mw_catalogue_close(catalogue);
    if (err != MW_OK)
        mw_known_fini(
            &known); /* told by mw_store_verify_catalogue; the blocks speak for themselves */
    err = mw_verify_segments(directory, &known, report, ctx, out);
    mw_known_fini(&known);
    return err;
}
