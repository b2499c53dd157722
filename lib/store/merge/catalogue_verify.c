/* The catalogue against the directory, offline or beside a daemon. Reads only. MW_MEM_STORE.
 *
 * The keeper adds a row when its file is there and removes it before its file goes. So files are
 * looked for after the rows were read, and what is missing is only told when its row is still there
 * then: otherwise the daemon has retired or merged it meanwhile.
 */
#include "lib/store/merge/catalogue.h"
#include "lib/store/segment/segment_walk.h"

typedef struct doubt {
    mw_catalogue_segment row;
    bool confirmed;
} doubt;

typedef struct checking {
    const char *directory;
    void (*report)(void *ctx, const mw_store_damage *damage);
    void *ctx;
    mw_segment_files files;
    doubt *items; /* all rows, then those in doubt */
    size_t count, capacity;
    bool damaged;
} checking;

static void say(checking *run, const char *file, uint64_t offset, const char *what)
{
    const mw_store_damage damage = {file, offset, what};
    run->damaged = true;
    if (run->report)
        run->report(run->ctx, &damage);
}

static mw_err collect(void *ctx, const mw_catalogue_segment *row)
{
    checking *run = ctx;
    if (run->count == run->capacity) {
        size_t wanted = run->capacity ? run->capacity * 2 : 64;
        doubt *grown = mw_realloc(MW_MEM_STORE, run->items, wanted * sizeof *grown);
        if (!grown)
            return MW_E_NOMEM;
        run->items = grown;
        run->capacity = wanted;
    }
    run->items[run->count++] = (doubt){.row = *row};
    return MW_OK;
}

static const mw_segment_file *find_file(const checking *run, uint64_t id)
{
    for (size_t i = 0; i < run->files.count; i++)
        if (run->files.items[i].id == id)
            return &run->files.items[i];
    return NULL;
}

/* A kill between the rename of a merged segment and its row. */
static bool was_replaced(const checking *run, uint64_t id)
{
    for (size_t i = 0; i < run->files.count; i++) {
        const mw_footer_replaced *replaced = &run->files.items[i].replaced;
        for (size_t k = 0; k < replaced->count; k++)
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

/* Keeps the rows that do not fit a file. */
static void compare(checking *run)
{
    size_t kept = 0;
    for (size_t i = 0; i < run->count; i++) {
        const mw_catalogue_segment *row = &run->items[i].row;
        const mw_segment_file *file = find_file(run, row->id);
        if (file ? !fits(file, row) : !was_replaced(run, row->id))
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

static void say_doubt(checking *run, const mw_catalogue_segment *row)
{
    char path[4096], text[256], lost[MW_CATALOGUE_LOST_SIZE];
    const mw_segment_file *file = find_file(run, row->id);
    snprintf(path, sizeof path, "%s/%016llx.seg", run->directory, (unsigned long long)row->id);
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

static mw_err check_rows(checking *run, mw_catalogue *catalogue)
{
    mw_err err = mw_catalogue_verify(catalogue);
    if (err == MW_OK)
        err = mw_catalogue_each(catalogue, collect, run);
    if (err == MW_OK)
        err = mw_segment_files_load(run->directory, &run->files);
    if (err != MW_OK)
        return err;
    compare(run);
    if (run->count > 0)
        err = mw_catalogue_each(catalogue, confirm, run);
    for (size_t i = 0; err == MW_OK && i < run->count; i++)
        if (run->items[i].confirmed)
            say_doubt(run, &run->items[i].row);
    mw_segment_files_fini(&run->files);
    return err;
}

mw_err mw_store_verify_catalogue(const char *directory,
                                 void (*report)(void *ctx, const mw_store_damage *damage),
                                 void *ctx)
{
    checking run = {.directory = directory, .report = report, .ctx = ctx};
    mw_catalogue *catalogue = NULL;
    char path[4096];
    mw_err err = mw_catalogue_open_reader(directory, &catalogue);
    if (err == MW_OK)
        err = check_rows(&run, catalogue);
    mw_catalogue_close(catalogue);
    mw_free(MW_MEM_STORE, run.items);
    if (err == MW_E_AGAIN) /* cut off in the middle of a change: there is no damage to tell of */
        return MW_OK;
    if (err == MW_E_CORRUPT) {
        snprintf(path, sizeof path, "%s/" MW_CATALOGUE_NAME, directory);
        say(&run, path, 0, "the catalogue: nothing is lost, it is made again at the next start");
    }
    return err == MW_OK && run.damaged ? MW_E_CORRUPT : err;
}
