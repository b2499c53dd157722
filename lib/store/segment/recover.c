/* Recovery. See recover.h. Runs on the thread that opens the store, before any other. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "lib/store/format/digest_key.h"
#include "lib/store/segment/block_reader.h"
#include "lib/store/segment/pread_all.h"
#include "lib/store/segment/recover.h"
#include "lib/store/segment/recover_int.h"
#include "lib/store/segment/spare.h"

typedef struct recovery {
    mw_writer *writer;
    mw_damage *damage; /* what is lost is told with every answer */
    uint64_t key_seed;
    mw_block_reader reader;
    /* Of all segments, for the retry window. */
    mw_footer_request *requests;
    size_t request_count, request_capacity;
    /* The newest segment of the log has a tail to be carried over. */
    mw_segment *tail_segment;
    mw_walk tail;
    size_t tail_first;
} recovery;

/* A finished segment was renamed; what still has the temporary name was never acknowledged. What
 * has the name of a spare file was merged. */
void mw_remove_unfinished(const char *directory)
{
    DIR *dir = opendir(directory);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[4096];
        size_t len = strlen(entry->d_name);
        if (len != 20 || (strcmp(entry->d_name + 16, ".tmp") != 0 &&
                          strcmp(entry->d_name + 16, MW_SPARE_SUFFIX) != 0))
            continue;
        int written = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (written > 0 && (size_t)written < sizeof path)
            mw_io_current()->unlink(path);
    }
    closedir(dir);
}

/* What this start sees must not change behind its back: a file whose removal had not reached the
 * disk would come back after a power loss, with another end for a segment that has since been
 * carried on. */
static mw_err settle_names(const char *directory)
{
    char path[4096];
    int written = snprintf(path, sizeof path, "%s/.", directory);
    return written > 0 && (size_t)written < sizeof path ? mw_io_sync_parent(path) : MW_E_IO;
}

static void log_damage(const recovery *rec, const char *path, const mw_block_place *place,
                       const char *what)
{
    mw_damage_note(rec->damage, place->segment_id, place->offset);
    MW_LOG(MW_LOG_ERROR, "store", what, MW_KV_STR("file", path),
           MW_KV_U64("offset", place->offset));
}

/* Both chunks are what was written? */
static mw_err check_block(recovery *rec, const mw_segment_file *file, const mw_walked_block *block)
{
    mw_hot hot;
    mw_err err = mw_read_hot(&rec->reader, file->fd, block->offset, &block->header, &hot);
    if (err == MW_OK)
        err = mw_check_items(&rec->reader, file->fd, block->offset, &block->header);
    return err;
}

/* Drops from the walk what follows the first block of the unproven tail that is not whole; returns
 * the index of the tail's first block. MW_E_IO, MW_E_NOMEM. */
static mw_err trim_tail(recovery *rec, const mw_segment_file *file, mw_walk *walk, size_t *first)
{
    size_t at = walk->block_count;
    while (at > 0 && walk->blocks[at - 1].offset >= walk->synced)
        at--;
    *first = at;
    for (; at < walk->block_count; at++) {
        mw_err err = check_block(rec, file, &walk->blocks[at]);
        if (err == MW_E_CORRUPT) {
            walk->block_count = at;
            walk->end = walk->blocks[at].offset;
            break;
        }
        if (err != MW_OK)
            return err;
    }
    if (!mw_segment_ends_at(file, walk->end))
        MW_LOG(MW_LOG_WARN, "store",
               "a torn tail is dropped: writes cut off by a crash, or a damaged last block",
               MW_KV_STR("file", file->path), MW_KV_U64("offset", walk->end),
               MW_KV_U64("bytes", file->size - walk->end));
    return MW_OK;
}

static mw_err note_request(recovery *rec, const uint8_t digest[16], uint64_t arrival_ns)
{
    if (rec->request_count == rec->request_capacity) {
        size_t capacity = rec->request_capacity * 2 + 256;
        mw_footer_request *grown =
            mw_realloc(MW_MEM_STORE, rec->requests, capacity * sizeof *grown);
        if (!grown)
            return MW_E_NOMEM;
        rec->requests = grown;
        rec->request_capacity = capacity;
    }
    mw_footer_request *request = &rec->requests[rec->request_count++];
    memcpy(request->digest, digest, sizeof request->digest);
    request->arrival_ns = arrival_ns;
    return MW_OK;
}

static int request_compare(const void *left, const void *right)
{
    const mw_footer_request *a = left, *b = right;
    return a->arrival_ns < b->arrival_ns ? -1 : a->arrival_ns > b->arrival_ns;
}

/* In order of arrival, which is how the window expects them; old ones fall out by themselves. What
 * came before the clock was set back counts as from now: nobody knows which of it is the newest. */
static void fill_retry_window(recovery *rec)
{
    int64_t wall_ns = mw_clock_wall_ns(rec->writer->clock);
    uint64_t now_ns = wall_ns > 0 ? (uint64_t)wall_ns : 0;
    if (rec->request_count > 1)
        qsort(rec->requests, rec->request_count, sizeof *rec->requests, request_compare);
    for (size_t i = 0; i < rec->request_count; i++) {
        uint64_t arrival_ns = rec->requests[i].arrival_ns;
        mw_retry_window_add(&rec->writer->retries, rec->requests[i].digest,
                            arrival_ns < now_ns ? arrival_ns : now_ns);
    }
}

/* Reads the columns of `count` blocks of a segment into the index. */
static mw_err index_blocks(recovery *rec, mw_segment *segment, const mw_walked_block *blocks,
                           size_t count)
{
    mw_index *index = rec->writer->index;
    for (size_t i = 0; i < count; i++) {
        const mw_walked_block *block = &blocks[i];
        mw_hot hot;
        mw_err err = mw_read_hot(&rec->reader, segment->fd, block->offset, &block->header, &hot);
        if (err == MW_E_CORRUPT) {
            mw_block_place place = mw_segment_place(segment, block->offset);
            log_damage(rec, segment->path, &place,
                       "a stored block is damaged: its items are not shown");
            segment->aside = true; /* a merge would drop what may yet be mended */
            continue;
        }
        if (err != MW_OK)
            return err;
        err = mw_index_reserve(index);
        if (err != MW_OK)
            return err;
        mw_index_block *entry = mw_index_block_new(&hot, &block->header, rec->key_seed);
        if (!entry) {
            mw_index_unreserve(index);
            return MW_E_NOMEM;
        }
        entry->segment = segment;
        entry->offset = block->offset;
        mw_index_publish(index, &entry, 1, block->header.seq);
        err = note_request(rec, block->header.digest, block->header.arrival_ns);
        if (err != MW_OK)
            return err;
    }
    return MW_OK;
}

/* ---- the tail -------------------------------------------------------------------------------- */

/* Gives each block of the tail its place in the segment that will carry it. */
static void move_tail(mw_walked_block *blocks, size_t count, char *data,
                      const mw_segment_header *header)
{
    uint64_t from = blocks[0].offset;
    for (size_t i = 0; i < count; i++) {
        uint64_t at = blocks[i].offset - from;
        mw_block_place place = {header->salt, header->id, MW_SEGMENT_HEADER_SIZE + at};
        blocks[i].offset = place.offset;
        blocks[i].header.synced = MW_SEGMENT_HEADER_SIZE;
        mw_block_header_write(&blocks[i].header, &place, (unsigned char *)data + at);
    }
}

/* Copies blocks [first, count) of the newest segment of the log into a new one. Last of all: the
 * sequences of every segment are known by then. */
static mw_err carry_tail(recovery *rec)
{
    mw_writer *writer = rec->writer;
    if (!rec->tail_segment)
        return MW_OK;
    mw_walked_block *blocks = rec->tail.blocks + rec->tail_first;
    size_t count = rec->tail.block_count - rec->tail_first;
    size_t len = (size_t)(rec->tail.end - blocks[0].offset);
    char *data = mw_alloc(MW_MEM_INGEST, len);
    if (!data)
        return MW_E_NOMEM;
    mw_err err = mw_pread_all(rec->tail_segment->fd, data, len, blocks[0].offset);
    if (err == MW_OK) {
        mw_segment_header header = mw_writer_next_header(writer);
        move_tail(blocks, count, data, &header);
        err = mw_writer_open_segment(writer, &header, mw_slice_bytes(data, len));
    }
    mw_free(MW_MEM_INGEST, data);
    if (err == MW_OK)
        err = index_blocks(rec, writer->segment, blocks, count);
    return err;
}

/* ---- segments of the log --------------------------------------------------------------------- */

static void log_gaps(const recovery *rec, const mw_segment_file *file, const mw_walk *walk)
{
    for (size_t i = 0; i < walk->gap_count; i++) {
        mw_block_place place = {file->header.salt, file->id, walk->gaps[i].from};
        log_damage(rec, file->path, &place,
                   "a stretch of a segment is damaged: its items are not shown");
    }
}

static mw_err recover_blocks(recovery *rec, const mw_segment_file *file, mw_segment *segment,
                             mw_walk *walk)
{
    size_t first = walk->block_count;
    mw_err err = MW_OK;

    log_gaps(rec, file, walk);
    segment->aside = walk->gap_count > 0;
    if (file->found)
        err = trim_tail(rec, file, walk, &first);
    if (!file->newest)
        first = walk->block_count;
    mw_recover_note_walked(rec->writer, file, walk);
    /* As far as it is whole: less than the catalogue remembers is a loss. */
    segment->end = segment->size = walk->end;
    if (err == MW_OK)
        err = index_blocks(rec, segment, walk->blocks, first);
    if (err != MW_OK || !file->newest)
        return err;
    rec->writer->predecessor_id = file->id;
    rec->writer->predecessor_end = walk->synced > walk->end ? walk->synced : walk->end;
    if (first == walk->block_count)
        return MW_OK;
    rec->writer->predecessor_end = walk->blocks[first].offset;
    MW_ASSERT(!rec->tail_segment);
    mw_segment_ref(segment);
    rec->tail_segment = segment;
    rec->tail = *walk;
    rec->tail_first = first;
    memset(walk, 0, sizeof *walk); /* the recovery's now */
    return MW_OK;
}

static mw_err recover_log(recovery *rec, mw_segment_file *file)
{
    mw_walk walk;
    mw_err err = mw_segment_walk(file, &walk);
    if (err != MW_OK)
        return err;
    mw_segment *segment = mw_segment_adopt(file->path, file->fd, &file->header, walk.end);
    if (!segment) {
        mw_walk_fini(&walk);
        return MW_E_NOMEM;
    }
    err = mw_index_add_segment(rec->writer->index, segment);
    if (err == MW_OK)
        err = recover_blocks(rec, file, segment, &walk);
    file->fd = -1; /* the segment's now */
    mw_segment_unref(segment);
    mw_walk_fini(&walk);
    return err;
}

/* ---- merged segments ------------------------------------------------------------------------- */

static uint64_t last_seq_of(const mw_hot *hot)
{
    uint64_t last = hot->seq;
    for (uint32_t row = 0; row < hot->count; row++)
        if (mw_hot_seq(hot, row) > last)
            last = mw_hot_seq(hot, row);
    return last;
}

/* Entries from the columns of the blocks, as many as are whole. With their keys: the footer that
 * would have them is damaged. */
static mw_err make_entries(recovery *rec, const mw_segment_file *file, const mw_walk *walk,
                           mw_index_block **entries, size_t *count, uint64_t *last_seq)
{
    for (size_t i = 0; i < walk->block_count; i++) {
        const mw_walked_block *block = &walk->blocks[i];
        mw_hot hot;
        mw_err err = mw_read_hot(&rec->reader, file->fd, block->offset, &block->header, &hot);
        if (err == MW_E_CORRUPT) {
            mw_block_place place = {file->header.salt, file->id, block->offset};
            log_damage(rec, file->path, &place,
                       "a stored block is damaged: its items are not shown");
            continue;
        }
        if (err != MW_OK)
            return err;
        uint64_t last = last_seq_of(&hot);
        *last_seq = last > *last_seq ? last : *last_seq;
        entries[*count] = mw_index_block_new(&hot, &block->header, rec->key_seed);
        if (!entries[*count])
            return MW_E_NOMEM;
        entries[(*count)++]->offset = block->offset;
    }
    return MW_OK;
}

static mw_err open_without_footer(recovery *rec, const mw_segment_file *file, bool other_key,
                                  mw_segment **out, uint64_t *last_seq)
{
    mw_index_block **entries = NULL;
    size_t count = 0;
    mw_walk walk;

    /* Of another key it is told once, with their number: no block is damaged. */
    if (!other_key) {
        MW_LOG(MW_LOG_ERROR, "store",
               "the footer of a merged segment is damaged: its blocks are read instead; run "
               "`midwatch check --rebuild`",
               MW_KV_STR("file", file->path));
        mw_count(MW_COUNT_STORE_DAMAGED, 1);
    }
    rec->damage->other_key += other_key;
    mw_err err = mw_segment_walk(file, &walk);
    if (err != MW_OK)
        return err;
    log_gaps(rec, file, &walk);
    entries = mw_calloc(MW_MEM_STORE, walk.block_count + 1, sizeof(mw_index_block *));
    err = entries ? make_entries(rec, file, &walk, entries, &count, last_seq) : MW_E_NOMEM;
    *out = err == MW_OK ? mw_segment_adopt(file->path, file->fd, &file->header, file->size) : NULL;
    if (*out) {
        mw_segment_give_blocks(*out, entries, count);
    } else {
        err = err == MW_OK ? MW_E_NOMEM : err;
        for (size_t i = 0; i < count; i++)
            mw_free(MW_MEM_STORE, entries[i]);
    }
    mw_free(MW_MEM_STORE, entries);
    mw_walk_fini(&walk);
    return err;
}

static mw_err take_requests(recovery *rec, mw_footer *footer)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < footer->request_count; i++)
        err = note_request(rec, footer->requests[i].digest, footer->requests[i].arrival_ns);
    mw_footer_forget_requests(footer);
    return err;
}

static mw_err recover_merged(recovery *rec, mw_segment_file *file)
{
    mw_segment *segment = NULL;
    uint64_t last_seq = file->header.first_seq;
    mw_err err = mw_segment_open_merged(file->path, file->fd, &file->header, file->size, &segment);
    bool other_key = err == MW_OK && segment->footer->key_check != mw_key_check(rec->key_seed);
    if (other_key) {
        mw_segment_unref(segment); /* and the descriptor with it */
        segment = NULL;
        file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
        err = file->fd < 0 ? MW_E_IO : MW_E_CORRUPT;
    }
    if (err == MW_OK)
        last_seq = segment->footer->last_seq;
    else if (err == MW_E_CORRUPT)
        err = open_without_footer(rec, file, other_key, &segment, &last_seq);
    if (err != MW_OK)
        return err;
    file->fd = -1; /* the segment's now */
    mw_recover_note_sequence(rec->writer, last_seq);
    if (segment->footer)
        err = take_requests(rec, segment->footer);
    if (err == MW_OK)
        err = mw_index_add_merged(rec->writer->index, segment, last_seq);
    mw_segment_unref(segment);
    return err;
}

/* ---- the directory --------------------------------------------------------------------------- */

/* What a merged segment took the place of, and a kill left lying. */
static void remove_superseded(const mw_segment_file *file)
{
    bool gone = mw_io_current()->unlink(file->path) == 0;
    MW_LOG(gone ? MW_LOG_INFO : MW_LOG_WARN, "store",
           gone ? "removed a segment that was merged into another"
                : "a segment that was merged into another cannot be removed",
           MW_KV_STR("file", file->path));
}

static int sequence_compare(const void *left, const void *right)
{
    const mw_segment_file *a = *(mw_segment_file *const *)left;
    const mw_segment_file *b = *(mw_segment_file *const *)right;
    if (a->header.first_seq != b->header.first_seq)
        return a->header.first_seq < b->header.first_seq ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static mw_err recover_file(recovery *rec, mw_segment_file *file, mw_detail *detail)
{
    if (file->header_mended)
        MW_LOG(MW_LOG_WARN, "store",
               "a byte of a segment's header is damaged and was read as it was written; `midwatch "
               "check --rebuild` puts it right",
               MW_KV_STR("file", file->path));
    if (file->salt_differs)
        MW_LOG(MW_LOG_WARN, "store",
               "what the catalogue remembers of a segment is damaged: the segment is that one by "
               "its blocks, and its row is written anew",
               MW_KV_STR("file", file->path));
    mw_err err =
        file->header.kind == MW_SEGMENT_MERGED ? recover_merged(rec, file) : recover_log(rec, file);
    if (err != MW_OK)
        mw_detail_set(detail, err, "data", "", "%s: %s", file->path, mw_err_text(err));
    return err;
}

/* In the order of their sequences, which is that of the index. */
static mw_err recover_files(recovery *rec, mw_segment_files *files, mw_detail *detail)
{
    mw_err err = MW_OK;
    size_t count = 0;
    mw_segment_file **order =
        mw_alloc(MW_MEM_STORE, (files->count + 1) * sizeof(mw_segment_file *));
    if (!order)
        return mw_detail_set(detail, MW_E_NOMEM, "memory_limit", "", "no memory for the store");
    for (size_t i = 0; err == MW_OK && i < files->count; i++) {
        mw_segment_file *file = &files->items[i];
        if (file->header_err != MW_OK)
            continue; /* set aside, or gone */
        mw_recover_note_id(rec->writer, file->id);
        if (file->superseded)
            remove_superseded(file);
        else
            order[count++] = file;
    }
    if (count > 1)
        qsort(order, count, sizeof *order, sequence_compare);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = recover_file(rec, order[i], detail);
    mw_free(MW_MEM_STORE, order);
    if (err != MW_OK)
        return err;
    err = carry_tail(rec);
    if (err != MW_OK)
        mw_detail_set(detail, err, "data", "", "%s: %s", rec->tail_segment->path, mw_err_text(err));
    return err;
}

mw_err mw_recover(mw_writer *writer, mw_damage *damage, uint64_t key_seed,
                  const mw_known_segments *known, mw_detail *detail)
{
    recovery rec = {.writer = writer, .damage = damage, .key_seed = key_seed};
    mw_segment_files files = {.count = 0};

    mw_remove_unfinished(writer->directory);
    mw_err err = settle_names(writer->directory);
    if (err != MW_OK)
        return mw_detail_set(detail, err, "data", "", "%s cannot be synced", writer->directory);
    err = mw_recover_names(writer, known, key_seed, &files, detail);
    if (err != MW_OK) {
        mw_segment_files_fini(&files);
        return err;
    }
    mw_block_reader_init(&rec.reader);
    err = recover_files(&rec, &files, detail);
    if (err == MW_OK)
        fill_retry_window(&rec);
    mw_block_reader_fini(&rec.reader);
    mw_free(MW_MEM_STORE, rec.requests);
    mw_walk_fini(&rec.tail);
    mw_segment_unref(rec.tail_segment);
    mw_segment_files_fini(&files);
    return err;
}
