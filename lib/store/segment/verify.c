/* Verification. See verify.h: every header, both chunks of every block, down to the columns and
 * items; of merged segments the footer, section by section, and its directories against the blocks.
 *
 * A daemon may be at work in the same directory. What it merges goes, and its file may be another
 * segment's by the time it is read here: so what is found in a file is told only while the name
 * still means that file. What it appends is not whole for a moment: so the end of the log is looked
 * at again until it is in order, or stays as it is.
 */
#include <time.h>
#include <xxhash.h>

#include "lib/store/format/digest_key.h"
#include "lib/store/segment/aside.h"
#include "lib/store/segment/block_reader.h"
#include "lib/store/segment/verify.h"

/* A write takes milliseconds, a throttled one longer. What has not changed for five looks is
 * nobody's who writes; what still changes after two hundred is somebody's. */
#define LOOK_PAUSE_NS (20 * MW_NS_PER_MS)
#define LOOKS_ALIKE 5u
#define LOOKS_MAX 200u

/* Pairs of a directory, whatever their order: how many, and the sum of their hashes. */
typedef struct pair_sum {
    uint64_t count, sum;
} pair_sum;

/* What the blocks of a merged segment hold, to be held against its footer. */
typedef struct merged_check {
    pair_sum blocks[MW_KEY_KINDS], footer[MW_KEY_KINDS];
    uint64_t last_seq;
    mw_index_block **entries; /* of the footer */
    size_t entry_count;
    bool broken;    /* a block cannot be read, so that nothing can be compared */
    bool differs;   /* an entry is not what its block says */
    bool other_key; /* its footer was made with another digest.key */
} merged_check;

/* What was found in the file at hand. */
typedef struct finding {
    uint64_t offset;
    char what[192];
    bool note;
} finding;

typedef struct verification {
    const char *directory;
    const mw_known_segments *known;
    void (*report)(void *ctx, const mw_store_damage *damage);
    void *ctx;
    finding *findings; /* MW_MEM_STORE */
    size_t finding_count, finding_capacity;
    mw_segment_files files;
    mw_block_reader hot_reader, items_reader;
    mw_store_verified whole;
    uint64_t key_seed;
    bool has_key_seed, damaged, out_of_memory;
} verification;

static void tell(verification *run, const char *file, const finding *one)
{
    const mw_store_damage damage = {file, one->offset, one->what, one->note};
    run->damaged |= !one->note;
    if (run->report)
        run->report(run->ctx, &damage);
}

static void add_finding(verification *run, uint64_t offset, const char *what, bool note)
{
    if (!mw_have_room(MW_MEM_STORE, &run->findings, &run->finding_capacity, run->finding_count + 1,
                      sizeof *run->findings)) {
        run->out_of_memory = true;
        return;
    }
    finding *one = &run->findings[run->finding_count++];
    *one = (finding){.offset = offset, .note = note};
    snprintf(one->what, sizeof one->what, "%s", what);
}

static void report(verification *run, uint64_t offset, const char *what)
{
    add_finding(run, offset, what, false);
}

static void tell_findings(verification *run, const mw_segment_file *file)
{
    bool any = run->finding_count > 0 && mw_segment_file_is_there(file);
    for (size_t i = 0; any && i < run->finding_count; i++)
        tell(run, file->path, &run->findings[i]);
    run->finding_count = 0;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static uint64_t *counter_of(mw_store_verified *whole, mw_signal signal)
{
    switch (signal) {
    case MW_SIGNAL_METRICS: return &whole->points;
    case MW_SIGNAL_LOGS: return &whole->logs;
    default: return &whole->spans;
    }
}

/* *whole tells whether the columns can be read; they stay with the hot reader. */
static mw_err verify_block(verification *run, const mw_segment_file *file,
                           const mw_walked_block *block, mw_hot *hot_out, bool *whole)
{
    mw_items items;
    mw_err err = mw_read_hot(&run->hot_reader, file->fd, block->offset, &block->header, hot_out);
    *whole = err == MW_OK;
    if (err == MW_E_CORRUPT) {
        report(run, block->offset, "the columns of a block: its items are lost");
        return MW_OK;
    }
    if (err != MW_OK)
        return err;
    err =
        mw_read_items(&run->items_reader, file->fd, block->offset, &block->header, hot_out, &items);
    if (err == MW_E_CORRUPT) {
        report(run, block->offset,
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

/* What follows the last block. Up to where it was durable, that is damage; behind it is what nobody
 * was told of. */
static void report_end(verification *run, const mw_segment_file *file, const mw_walk *walk,
                       bool torn)
{
    bool explained = walk->gap_count > 0 && walk->gaps[walk->gap_count - 1].to == file->limit;
    if (explained)
        return;
    if (walk->end < (file->found ? walk->synced : file->limit))
        report(run, walk->end, "the end of a segment: the items in it are lost");
    else if (torn)
        add_finding(run, walk->end,
                    "a torn tail: a write that was cut off, of which nobody was told, or a damaged "
                    "last block; the next start drops it",
                    true);
}

static void report_gaps(verification *run, const mw_segment_file *file, const mw_walk *walk,
                        bool torn)
{
    for (size_t i = 0; i < walk->gap_count; i++)
        report(run, walk->gaps[i].from,
               "a stretch with no readable block: the items in it are lost");
    report_end(run, file, walk, torn);
}

/* Behind what is known to have been durable, the first block that is not whole is where a crash cut
 * the writes off: recovery drops it and what follows, and so does this. */
static mw_err cut_torn_tail(verification *run, const mw_segment_file *file, mw_walk *walk)
{
    mw_err err = MW_OK;
    for (size_t i = 0; file->found && i < walk->block_count; i++) {
        const mw_walked_block *block = &walk->blocks[i];
        mw_hot hot;
        if (block->offset < walk->synced)
            continue;
        err = mw_read_hot(&run->hot_reader, file->fd, block->offset, &block->header, &hot);
        if (err == MW_OK)
            err = mw_check_items(&run->items_reader, file->fd, block->offset, &block->header);
        if (err == MW_E_CORRUPT) {
            walk->block_count = i;
            walk->end = block->offset;
            return MW_OK;
        }
        if (err != MW_OK)
            return err;
    }
    return err;
}

static mw_err walk_once(verification *run, mw_segment_file *file, mw_walk *walk)
{
    mw_err err = file->found ? mw_segment_file_look_again(file) : MW_OK;
    if (err == MW_OK)
        err = mw_segment_walk(file, walk);
    if (err != MW_OK)
        return err;
    err = cut_torn_tail(run, file, walk);
    if (err != MW_OK)
        mw_walk_fini(walk);
    return err;
}

static bool is_in_order(const mw_segment_file *file, const mw_walk *walk)
{
    return !file->found || (walk->gap_count == 0 && walk->end >= walk->synced &&
                            mw_segment_ends_at(file, walk->end));
}

/* Until its end is in order, or nobody writes to it any more: then it is torn. */
static mw_err walk_settled(verification *run, mw_segment_file *file, mw_walk *walk, bool *torn)
{
    const struct timespec pause = {0, LOOK_PAUSE_NS};
    uint64_t end = 0, gaps = 0;
    unsigned alike = 0;
    mw_err err = walk_once(run, file, walk);
    *torn = false;
    for (unsigned looks = 1; err == MW_OK && looks < LOOKS_MAX; looks++) {
        alike = walk->end == end && walk->gap_count == gaps ? alike + 1 : 1;
        if (is_in_order(file, walk))
            return MW_OK;
        if (alike == LOOKS_ALIKE) {
            *torn = !mw_segment_ends_at(file, walk->end);
            return MW_OK;
        }
        end = walk->end;
        gaps = walk->gap_count;
        mw_walk_fini(walk);
        nanosleep(&pause, NULL);
        err = walk_once(run, file, walk);
    }
    return err;
}

static mw_err verify_log(verification *run, mw_segment_file *file)
{
    mw_walk walk;
    mw_hot hot;
    bool whole, torn;
    mw_err err = walk_settled(run, file, &walk, &torn);
    if (err != MW_OK)
        return err;
    for (size_t i = 0; err == MW_OK && i < walk.block_count; i++)
        err = verify_block(run, file, &walk.blocks[i], &hot, &whole);
    if (err == MW_OK)
        report_gaps(run, file, &walk, torn);
    mw_walk_fini(&walk);
    return err;
}

/* ---- merged segments ------------------------------------------------------------------------- */

static void add_pair(pair_sum *sum, uint64_t key, uint32_t block)
{
    const uint64_t pair[2] = {key, block};
    sum->count++;
    sum->sum += XXH3_64bits(pair, sizeof pair);
}

static void add_keys(pair_sum *sum, const uint64_t *keys, size_t count, uint32_t block)
{
    for (size_t i = 0; i < count; i++)
        if (i == 0 || keys[i] != keys[i - 1])
            add_pair(sum, keys[i], block);
}

static bool same_entry(const verification *run, bool other_key, const mw_index_block *made,
                       const mw_index_block *kept)
{
    const mw_block_header *a = &made->header, *b = &kept->header;
    if (a->item_count != b->item_count || a->hot_checksum != b->hot_checksum ||
        a->items_checksum != b->items_checksum || made->has_sessions != kept->has_sessions)
        return false;
    return !run->has_key_seed || other_key ||
           (made->service_count == kept->service_count && made->name_count == kept->name_count &&
            memcmp(mw_index_services(made), mw_index_services(kept),
                   8 * ((size_t)made->service_count + made->name_count)) == 0);
}

/* What the block says of itself. */
static mw_err note_block(verification *run, merged_check *check, const mw_walked_block *block,
                         const mw_hot *hot, uint32_t number)
{
    mw_index_block *made = mw_index_block_new(hot, &block->header, run->key_seed);
    if (!made)
        return MW_E_NOMEM;
    add_keys(&check->blocks[MW_KEYS_TRACES], mw_index_traces(made), made->trace_count, number);
    add_keys(&check->blocks[MW_KEYS_SESSIONS], mw_index_sessions(made), made->session_count,
             number);
    for (uint32_t row = 0; row < hot->count; row++)
        if (mw_hot_seq(hot, row) > check->last_seq)
            check->last_seq = mw_hot_seq(hot, row);
    if (number < check->entry_count &&
        !same_entry(run, check->other_key, made, check->entries[number]))
        check->differs = true;
    mw_free(MW_MEM_STORE, made);
    return MW_OK;
}

static mw_err verify_merged_blocks(verification *run, const mw_segment_file *file,
                                   merged_check *check)
{
    mw_walk walk;
    mw_err err = mw_segment_walk(file, &walk);
    if (err != MW_OK)
        return err;
    check->broken = walk.gap_count > 0 || walk.end < file->limit;
    for (size_t i = 0; err == MW_OK && i < walk.block_count; i++) {
        mw_hot hot;
        bool whole;
        err = verify_block(run, file, &walk.blocks[i], &hot, &whole);
        if (err != MW_OK)
            break;
        if (whole)
            err = note_block(run, check, &walk.blocks[i], &hot, (uint32_t)i);
        else
            check->broken = true;
    }
    if (err == MW_OK)
        report_gaps(run, file, &walk, false);
    mw_walk_fini(&walk);
    return err;
}

static void report_footer(verification *run, uint64_t offset, const char *part)
{
    char what[192];
    snprintf(what, sizeof what,
             "%s of a merged segment: no item is lost; `midwatch check --rebuild` makes it again",
             part);
    report(run, offset, what);
}

static mw_err sum_pair(void *ctx, uint64_t key, uint32_t block)
{
    add_pair(ctx, key, block);
    return MW_OK;
}

/* A directory that is whole, against the keys of the blocks. */
static mw_err verify_directory(verification *run, const mw_segment_file *file,
                               const mw_footer *footer, merged_check *check, mw_key_kind kind)
{
    pair_sum *sum = &check->footer[kind];
    const pair_sum *wanted = &check->blocks[kind];
    mw_err err = mw_footer_each_key(footer, file->fd, kind, sum_pair, sum);
    if (err == MW_E_CORRUPT || check->broken)
        return err == MW_E_CORRUPT ? MW_OK : err; /* told by its checksum, or by the block */
    if (err == MW_OK && (sum->count != wanted->count || sum->sum != wanted->sum))
        report_footer(run, footer->directories[kind].offset,
                      kind == MW_KEYS_TRACES
                          ? "the directory of traces, which does not fit the blocks,"
                          : "the directory of sessions, which does not fit the blocks,");
    return err;
}

static mw_err verify_footer(verification *run, const mw_segment_file *file, const mw_footer *footer,
                            merged_check *check)
{
    mw_err err = MW_OK;
    for (unsigned i = 0; err == MW_OK && i < MW_FOOTER_SECTIONS; i++) {
        err = mw_footer_check_section(footer, file->fd, i);
        if (err != MW_E_CORRUPT)
            continue;
        report_footer(run, footer->sections[i].offset, mw_footer_section_name(i));
        err = MW_OK;
    }
    if (err == MW_OK)
        err = verify_directory(run, file, footer, check, MW_KEYS_TRACES);
    if (err == MW_OK && check->other_key)
        report_footer(run, file->limit, "the footer, made with another digest.key,");
    else if (err == MW_OK && run->has_key_seed)
        err = verify_directory(run, file, footer, check, MW_KEYS_SESSIONS);
    if (err == MW_OK && !check->broken && (check->differs || footer->last_seq < check->last_seq))
        report_footer(run, file->limit, "the footer, which does not fit the blocks,");
    return err;
}

static mw_err verify_merged(verification *run, const mw_segment_file *file)
{
    merged_check check = {0};
    mw_footer *footer = NULL;
    mw_err loaded = mw_footer_load(file->fd, file->size, &file->header, &footer, &check.entries,
                                   &check.entry_count);
    if (loaded != MW_OK && loaded != MW_E_CORRUPT)
        return loaded;
    check.other_key =
        loaded == MW_OK && run->has_key_seed && footer->key_check != mw_key_check(run->key_seed);
    mw_err err = verify_merged_blocks(run, file, &check);
    if (err == MW_OK && loaded != MW_OK)
        report_footer(run, file->limit, "the footer");
    if (err == MW_OK && file->replaced_err != MW_OK)
        report(run, file->limit,
               "both lists of the segments that a merged one replaced: items of those that still "
               "lie there are counted twice");
    if (err == MW_OK && footer)
        err = verify_footer(run, file, footer, &check);
    mw_footer_free(footer);
    for (size_t i = 0; i < check.entry_count; i++)
        mw_free(MW_MEM_STORE, check.entries[i]);
    mw_free(MW_MEM_STORE, check.entries);
    return err;
}

/* ---- the directory --------------------------------------------------------------------------- */

/* What to do with it depends on whether the one that it is a copy of is there. */
static void report_copy(verification *run, size_t at)
{
    char what[192];
    bool belongs = mw_segment_file_belongs(&run->files, at, run->known,
                                           run->has_key_seed ? &run->key_seed : NULL);
    snprintf(what, sizeof what, "%s segment %016llx under another name: %s",
             belongs ? "it is" : "a copy of", (unsigned long long)run->files.items[at].header.id,
             belongs ? "the next start gives it its own name again"
                     : "it is not read; move it out of the store's directory, or to its own name "
                       "if no such file is there");
    report(run, 0, what);
}

static void report_no_header(verification *run, const mw_segment_file *file)
{
    const mw_known_segment *ours = mw_known_find(run->known, file->id);
    bool newest = file == &run->files.items[run->files.count - 1];
    if (ours && !ours->lost)
        report(run, 0, "the header of a segment: all of its items are lost");
    else if (file->size == 0 && newest && !ours)
        add_finding(run, 0, "an empty file: nothing was ever in it, and the next start removes it",
                    true);
    else
        report(run, 0,
               "no header of a segment: it is not read, and the next start sets it aside; if it "
               "was a segment, its items are lost");
}

static mw_err verify_whole_header(verification *run, mw_segment_file *file)
{
    if (file->header_mended)
        report(run, 0,
               "a damaged byte of its header: no item is lost; `midwatch check --rebuild` puts it "
               "right");
    return file->header.kind == MW_SEGMENT_MERGED ? verify_merged(run, file)
                                                  : verify_log(run, file);
}

static mw_err verify_file(verification *run, size_t at)
{
    mw_segment_file *file = &run->files.items[at];
    if (file->superseded)
        return MW_OK; /* the next start removes it; its items are in the one that replaced it */
    switch (file->header_err) {
    case MW_OK: return verify_whole_header(run, file);
    case MW_E_CONFLICT: report_copy(run, at); break;
    case MW_E_DENIED:
        report(run, 0,
               "a segment of another store: it is not read, and the next start sets it aside");
        break;
    case MW_E_UNSUPPORTED:
        report(run, 0,
               "a segment of another version of the format: its items cannot be read by this "
               "version of midwatch");
        break;
    default: report_no_header(run, file);
    }
    return MW_OK;
}

/* ---- set aside ------------------------------------------------------------------------------- */

static bool has_segment(const verification *run, uint64_t id)
{
    for (size_t i = 0; i < run->files.count; i++)
        if (run->files.items[i].id == id && run->files.items[i].header_err == MW_OK)
            return true;
    return false;
}

static mw_err note_aside(void *ctx, const mw_aside_file *file)
{
    verification *run = ctx;
    unsigned long long id = file->header.id, size = file->size;
    finding note = {.note = true};
    if (file->header_err != MW_OK)
        snprintf(note.what, sizeof note.what,
                 "set aside by a start, not read: %llu bytes, %s; move it away if nobody needs it",
                 size, size == 0 ? "empty" : "without the header of a segment");
    else if (has_segment(run, id))
        snprintf(note.what, sizeof note.what,
                 "set aside by a start, not read: %llu bytes, named as segment %016llx, which is "
                 "there under its own name; move it away if nobody needs it",
                 size, id);
    else
        snprintf(note.what, sizeof note.what,
                 "set aside by a start, not read: %llu bytes, segment %016llx; if it is of this "
                 "store, its name is %016llx.seg",
                 size, id, id);
    tell(run, file->path, &note);
    return MW_OK;
}

/* Keys of texts can be checked only with the store's secret. That it is gone is told before a start
 * makes another, while it can be put back. */
static void load_key_seed(verification *run, const char *directory)
{
    char path[4096];
    char *key = NULL;
    size_t len = 0;
    int n = snprintf(path, sizeof path, "%s/" MW_DIGEST_KEY_NAME, directory);
    if (n <= 0 || (size_t)n >= sizeof path)
        return;
    mw_err err = mw_io_read_file(path, MW_DIGEST_KEY_SIZE, &key, &len);
    run->has_key_seed = err == MW_OK && len == MW_DIGEST_KEY_SIZE;
    if (run->has_key_seed)
        run->key_seed = mw_key_seed((const uint8_t *)key);
    mw_free(MW_MEM_BASE, key);
    bool gone = err == MW_OK || err == MW_E_NOT_FOUND || err == MW_E_LIMIT;
    if (!run->has_key_seed && gone && run->files.count > 0) {
        finding one = {.offset = 0};
        snprintf(
            one.what, sizeof one.what,
            "%s: no item is lost; put it back before the next start, which makes another: then "
            "`midwatch check --rebuild`",
            err == MW_E_NOT_FOUND ? "it is missing" : "it has not its 192 bytes");
        tell(run, path, &one);
    }
}

static mw_err verify_files(verification *run)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < run->files.count; i++) {
        err = verify_file(run, i);
        tell_findings(run, &run->files.items[i]);
        if (run->out_of_memory)
            err = MW_E_NOMEM;
    }
    return err == MW_OK ? mw_aside_each(run->directory, note_aside, run) : err;
}

mw_err mw_verify_segments(const char *directory, const mw_known_segments *known,
                          void (*report_damage)(void *ctx, const mw_store_damage *damage),
                          void *ctx, mw_store_verified *out)
{
    verification run = {
        .directory = directory, .known = known, .report = report_damage, .ctx = ctx};
    mw_err err = mw_segment_files_load(directory, &run.files);
    if (err != MW_OK)
        return err;
    mw_block_reader_init(&run.hot_reader);
    mw_block_reader_init(&run.items_reader);
    load_key_seed(&run, directory);
    mw_segment_files_recall(&run.files, known, run.has_key_seed ? &run.key_seed : NULL);
    err = verify_files(&run);
    mw_block_reader_fini(&run.hot_reader);
    mw_block_reader_fini(&run.items_reader);
    mw_segment_files_fini(&run.files);
    mw_free(MW_MEM_STORE, run.findings);
    if (out)
        *out = run.whole;
    if (err == MW_OK && run.damaged)
        err = MW_E_CORRUPT;
    return err;
}
