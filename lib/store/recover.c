/* Recovery. See recover.h. Runs on the thread that opens the store, before any other. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/store/block_reader.h"
#include "lib/store/recover.h"
#include "lib/store/segment_walk.h"

typedef struct recovery {
    mw_writer *writer;
    uint64_t key_seed;
    mw_block_reader reader;
} recovery;

/* A finished segment was renamed; what still has the temporary name was never acknowledged. */
static void remove_unfinished(const char *directory)
{
    DIR *dir = opendir(directory);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[4096];
        size_t len = strlen(entry->d_name);
        if (len != 20 || strcmp(entry->d_name + 16, ".tmp") != 0)
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

static void log_damage(const char *path, uint64_t offset, const char *what)
{
    MW_LOG(MW_LOG_ERROR, "store", what, MW_KV_STR("file", path), MW_KV_U64("offset", offset));
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
    if (walk->end < file->size)
        MW_LOG(MW_LOG_WARN, "store", "torn tail dropped: writes that were never acknowledged",
               MW_KV_STR("file", file->path), MW_KV_U64("offset", walk->end),
               MW_KV_U64("bytes", file->size - walk->end));
    return MW_OK;
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
            log_damage(segment->path, block->offset,
                       "a stored block is damaged: its items are not shown");
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
        /* Its time is what expires it: old blocks fall out by themselves. */
        mw_retry_window_add(&rec->writer->retries, block->header.digest, block->header.arrival_ns);
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

/* Copies blocks [first, count) of the newest segment into a new one. */
static mw_err carry_tail(recovery *rec, const mw_segment *segment, mw_walk *walk, size_t first)
{
    mw_writer *writer = rec->writer;
    mw_walked_block *blocks = walk->blocks + first;
    size_t count = walk->block_count - first;
    size_t len = (size_t)(walk->end - blocks[0].offset);
    char *data = mw_alloc(MW_MEM_INGEST, len);
    if (!data)
        return MW_E_NOMEM;
    mw_err err = mw_pread_all(segment->fd, data, len, blocks[0].offset);
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

/* ---- segments -------------------------------------------------------------------------------- */

static void note_sequences(mw_writer *writer, const mw_segment_file *file, const mw_walk *walk)
{
    if (file->header.first_seq > writer->next_seq)
        writer->next_seq = file->header.first_seq;
    for (size_t i = 0; i < walk->block_count; i++)
        if (walk->blocks[i].header.seq >= writer->next_seq)
            writer->next_seq = walk->blocks[i].header.seq + 1;
    writer->next_segment_id = file->id + 1;
}

static mw_err recover_blocks(recovery *rec, const mw_segment_file *file, mw_segment *segment,
                             mw_walk *walk)
{
    size_t first = walk->block_count;
    mw_err err = MW_OK;

    for (size_t i = 0; i < walk->gap_count; i++)
        log_damage(segment->path, walk->gaps[i].from,
                   "a stretch of a segment is damaged: its items are not shown");
    if (file->newest)
        err = trim_tail(rec, file, walk, &first);
    note_sequences(rec->writer, file, walk);
    if (err == MW_OK)
        err = index_blocks(rec, segment, walk->blocks, first);
    if (err != MW_OK || !file->newest)
        return err;
    rec->writer->predecessor_id = file->id;
    rec->writer->predecessor_end = walk->synced > walk->end ? walk->synced : walk->end;
    if (first == walk->block_count)
        return MW_OK;
    rec->writer->predecessor_end = walk->blocks[first].offset;
    return carry_tail(rec, segment, walk, first);
}

static mw_err recover_segment(recovery *rec, mw_segment_file *file)
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

/* Why a segment's header keeps the store from opening. */
static mw_err refuse_header(const mw_segment_file *file, mw_detail *detail)
{
    if (file->header_err == MW_E_UNSUPPORTED)
        return mw_detail_set(detail, MW_E_UNSUPPORTED, "data",
                             "move the store's directory away to start with an empty one, or run "
                             "the version of midwatch that wrote it",
                             "this program reads version %u of the segment format, and %s is of "
                             "another",
                             MW_SEGMENT_VERSION, file->path);
    return mw_detail_set(detail, MW_E_CORRUPT, "data",
                         "run `midwatch check`; move the file away to start without it",
                         "%s does not begin with a segment header", file->path);
}

mw_err mw_recover(mw_writer *writer, uint64_t key_seed, mw_detail *detail)
{
    recovery rec = {.writer = writer, .key_seed = key_seed};
    mw_segment_files files;

    writer->next_segment_id = 1;
    writer->next_seq = 1;
    remove_unfinished(writer->directory);
    mw_err err = settle_names(writer->directory);
    if (err == MW_OK)
        err = mw_segment_files_load(writer->directory, &files);
    if (err != MW_OK)
        return mw_detail_set(detail, err == MW_E_NOT_FOUND ? MW_E_IO : err, "data", "",
                             "the segments in %s cannot be read", writer->directory);
    mw_block_reader_init(&rec.reader);
    for (size_t i = 0; err == MW_OK && i < files.count; i++) {
        mw_segment_file *file = &files.items[i];
        if (file->header_err != MW_OK)
            err = refuse_header(file, detail);
        else if ((err = recover_segment(&rec, file)) != MW_OK)
            mw_detail_set(detail, err, "data", "", "%s: %s", file->path, mw_err_text(err));
    }
    mw_block_reader_fini(&rec.reader);
    mw_segment_files_fini(&files);
    return err;
}
