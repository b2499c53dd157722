/* Offline verification: every header, both chunks of every block, down to the columns and items.
 *
 * Reads only, needs no lock: `midwatch check` may run beside a daemon, but then the newest bytes
 * may be reported as a torn tail.
 */
#include "lib/store/block_reader.h"
#include "lib/store/segment_walk.h"

typedef struct verification {
    void (*report)(void *ctx, const mw_store_damage *damage);
    void *ctx;
    mw_block_reader hot_reader, items_reader;
    mw_store_verified whole;
    bool damaged;
} verification;

static void report(verification *run, const char *file, uint64_t offset, const char *what)
{
    mw_store_damage damage = {file, offset, what};
    run->damaged = true;
    if (run->report)
        run->report(run->ctx, &damage);
}

static uint64_t *counter_of(mw_store_verified *whole, mw_signal signal)
{
    switch (signal) {
    case MW_SIGNAL_METRICS: return &whole->points;
    case MW_SIGNAL_LOGS: return &whole->logs;
    default: return &whole->spans;
    }
}

/* Behind what is known to have been durable, the first block that is not whole is where a crash cut
 * the writes off: recovery drops it and what follows. */
static bool is_torn(const mw_segment_file *file, const mw_walk *walk, const mw_walked_block *block)
{
    return file->newest && block->offset >= walk->synced;
}

/* *torn: the block is not whole, and was never acknowledged. */
static mw_err verify_block(verification *run, const mw_segment_file *file, const mw_walk *walk,
                           const mw_walked_block *block, bool *torn)
{
    mw_hot hot;
    mw_items items;
    mw_err err = mw_read_hot(&run->hot_reader, file->fd, block->offset, &block->header, &hot);
    if (err == MW_E_CORRUPT) {
        *torn = is_torn(file, walk, block);
        if (!*torn)
            report(run, file->path, block->offset, "the columns of a block: its items are lost");
        return MW_OK;
    }
    if (err != MW_OK)
        return err;
    err = mw_read_items(&run->items_reader, file->fd, block->offset, &block->header, &hot, &items);
    if (err == MW_E_CORRUPT) {
        *torn = is_torn(file, walk, block);
        if (!*torn)
            report(run, file->path, block->offset,
                   "the items of a block: they are listed but cannot be shown whole");
        return MW_OK;
    }
    if (err != MW_OK)
        return err;
    mw_items_fini(&items);
    run->whole.blocks++;
    *counter_of(&run->whole, block->header.signal) += block->header.item_count;
    return MW_OK;
}

static mw_err verify_segment(verification *run, const mw_segment_file *file)
{
    mw_walk walk;
    mw_err err = mw_segment_walk(file, &walk);
    if (err != MW_OK)
        return err;
    for (size_t i = 0; i < walk.gap_count; i++)
        report(run, file->path, walk.gaps[i].from,
               "a stretch with no readable block: the items in it are lost");
    bool torn = false;
    for (size_t i = 0; err == MW_OK && !torn && i < walk.block_count; i++) {
        err = verify_block(run, file, &walk, &walk.blocks[i], &torn);
        if (torn)
            walk.end = walk.blocks[i].offset;
    }
    bool explained = walk.gap_count > 0 && walk.gaps[walk.gap_count - 1].to == file->limit;
    if (err == MW_OK && walk.end < file->limit && !explained)
        report(run, file->path, walk.end,
               file->newest ? "a torn tail: writes cut off by a crash, or a damaged last block"
                            : "the end of a segment: the items in it are lost");
    mw_walk_fini(&walk);
    return err;
}

mw_err mw_store_verify(const char *directory,
                       void (*report_damage)(void *ctx, const mw_store_damage *damage), void *ctx,
                       mw_store_verified *out)
{
    verification run = {.report = report_damage, .ctx = ctx};
    mw_segment_files files;
    mw_err err = mw_segment_files_load(directory, &files);
    if (err != MW_OK)
        return err;
    mw_block_reader_init(&run.hot_reader);
    mw_block_reader_init(&run.items_reader);
    for (size_t i = 0; err == MW_OK && i < files.count; i++) {
        const mw_segment_file *file = &files.items[i];
        if (file->header_err == MW_E_UNSUPPORTED)
            report(&run, file->path, 0,
                   "a segment of another version of the format: its items cannot be read by this "
                   "version of midwatch");
        else if (file->header_err != MW_OK)
            report(&run, file->path, 0, "the header of a segment: all of its items are lost");
        else
            err = verify_segment(&run, file);
    }
    mw_block_reader_fini(&run.hot_reader);
    mw_block_reader_fini(&run.items_reader);
    mw_segment_files_fini(&files);
    if (out)
        *out = run.whole;
    if (err == MW_OK && run.damaged)
        err = MW_E_CORRUPT;
    return err;
}
