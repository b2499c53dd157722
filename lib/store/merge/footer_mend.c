/* Making a damaged footer again. See footer_mend.h. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/store/format/block_filter.h"
#include "lib/store/format/digest_key.h"
#include "lib/store/merge/footer_mend.h"
#include "lib/store/rollup/rollup_rows.h"
#include "lib/store/segment/items_walk.h"
#include "lib/store/segment/pread_all.h"
#include "proto/wire.h"

/* As much is copied at a time. */
#define PIECE ((size_t)1 << 20)

typedef struct mending {
    const mw_segment_file *file;
    uint64_t key_seed;
    mw_block_reader hot_reader, items_reader;
    mw_footer_writer *footer;
    mw_filter_writer *filter;
    mw_rollup *rollup;
    mw_rollup_rows rows;
    /* The trace whose spans are being collected: they stand together, over blocks perhaps. */
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    mw_rollup_span *spans;
    size_t span_count, span_capacity;
    char *part; /* one context or item */
    size_t part_size;
    uint64_t last_seq;
    mw_footer_mended done;
} mending;

/* ---- roll-ups -------------------------------------------------------------------------------- */

static mw_err finish_trace(mending *work)
{
    mw_err err = MW_OK;
    if (work->span_count > 0)
        err = mw_rollup_trace(work->rollup, work->spans, work->span_count);
    work->span_count = 0;
    return err;
}

static mw_err add_span(mending *work, const mw_hot *hot, uint32_t row)
{
    const unsigned char *id = mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row));
    mw_err err = MW_OK;
    if (memcmp(id, work->trace_id, MW_TRACE_ID_SIZE) != 0) {
        err = finish_trace(work);
        memcpy(work->trace_id, id, MW_TRACE_ID_SIZE);
    }
    if (err == MW_OK && !mw_have_room(MW_MEM_MERGE, &work->spans, &work->span_capacity,
                                      work->span_count + 1, sizeof *work->spans))
        err = MW_E_NOMEM;
    if (err == MW_OK)
        err = mw_rollup_rows_span(&work->rows, row, &work->spans[work->span_count]);
    work->span_count += err == MW_OK;
    return err;
}

static mw_err roll_up(mending *work, const mw_hot *hot)
{
    if (hot->signal != MW_SIGNAL_TRACES)
        return MW_OK;
    mw_err err = mw_rollup_rows_begin(&work->rows, hot);
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++)
        err = add_span(work, hot, row);
    return err;
}

/* ---- filters --------------------------------------------------------------------------------- */

static mw_err have_part(mending *work, size_t len)
{
    if (len <= work->part_size)
        return MW_OK;
    mw_free(MW_MEM_MERGE, work->part);
    work->part = mw_alloc(MW_MEM_MERGE, len);
    work->part_size = work->part ? len : 0;
    return work->part ? MW_OK : MW_E_NOMEM;
}

/* Resources and scopes; heads of metrics have no attributes. */
static mw_err add_contexts(mending *work, mw_items_walk *walk)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < (size_t)walk->resources + walk->scopes; i++) {
        size_t message = mw_items_walk_message_length(walk, i);
        err = have_part(work, message + mw_items_walk_url_length(walk, i));
        if (err == MW_OK)
            err = mw_items_walk_context(walk, i, work->part);
        if (err == MW_OK)
            mw_filter_add_context(work->filter, mw_slice_bytes(work->part, message));
    }
    return err;
}

static void add_fields(mending *work, mw_signal signal, mw_slice item)
{
    const uint8_t *at = mw_wire_begin(item), *end = mw_wire_end(item);
    while (at < end) {
        mw_wire_field field;
        const uint8_t *next = mw_wire_next(at, end, &field);
        if (!next)
            return;
        mw_filter_add_field(work->filter, signal, mw_slice_bytes(at, (size_t)(next - at)));
        at = next;
    }
}

static mw_err add_items(mending *work, mw_signal signal, mw_items_walk *walk)
{
    mw_err err = MW_OK;
    for (uint32_t row = 0; err == MW_OK && row < walk->count; row++) {
        size_t len = mw_items_walk_item_length(walk, row);
        err = have_part(work, len);
        if (err == MW_OK)
            err = mw_items_walk_item(walk, row, work->part);
        if (err == MW_OK)
            add_fields(work, signal, mw_slice_bytes(work->part, len));
    }
    return err;
}

/* Damaged items: an empty filter, which lets all pass, so that questions come upon the damage. */
static mw_err make_filter(mending *work, const mw_walked_block *block, const mw_hot *hot,
                          mw_slice *out)
{
    mw_items_walk walk;
    mw_err err = mw_items_walk_begin(&walk, &work->items_reader, work->file->fd, block->offset,
                                     &block->header, hot);
    if (err == MW_OK) {
        err = add_contexts(work, &walk);
        if (err == MW_OK)
            err = add_items(work, block->header.signal, &walk);
        mw_items_walk_end(&walk);
    }
    mw_filter_add_columns(work->filter, hot);
    *out = mw_filter_writer_finish(work->filter);
    if (err == MW_E_CORRUPT) {
        work->done.unfilled++;
        *out = MW_SLICE_NONE;
        err = MW_OK;
    }
    return err;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void note_sequences(mending *work, const mw_hot *hot)
{
    for (uint32_t row = 0; row < hot->count; row++)
        if (mw_hot_seq(hot, row) > work->last_seq)
            work->last_seq = mw_hot_seq(hot, row);
}

static mw_err add_block(mending *work, const mw_walked_block *block)
{
    mw_hot hot;
    mw_slice filter;
    mw_err err =
        mw_read_hot(&work->hot_reader, work->file->fd, block->offset, &block->header, &hot);
    if (err == MW_E_CORRUPT) {
        work->done.unread++;
        return MW_OK;
    }
    if (err != MW_OK)
        return err;
    mw_index_block *entry = mw_index_block_new(&hot, &block->header, work->key_seed);
    if (!entry)
        return MW_E_NOMEM;
    entry->offset = block->offset;
    entry->number = (uint32_t)work->done.blocks++;
    note_sequences(work, &hot);
    err = roll_up(work, &hot);
    if (err == MW_OK)
        err = make_filter(work, block, &hot, &filter);
    if (err == MW_OK)
        err = mw_footer_writer_block(work->footer, entry, &hot, filter);
    mw_free(MW_MEM_STORE, entry);
    return err;
}

static mw_err add_blocks(mending *work)
{
    mw_walk walk;
    mw_err err = mw_segment_walk(work->file, &walk);
    if (err != MW_OK)
        return err;
    for (size_t i = 0; err == MW_OK && i < walk.block_count; i++)
        err = add_block(work, &walk.blocks[i]);
    mw_walk_fini(&walk);
    return err == MW_OK ? finish_trace(work) : err;
}

static mw_err make_footer(mending *work, uint64_t arrival_max_ns, mw_slice *out)
{
    char *rollups = NULL;
    size_t len = 0;
    const mw_footer_replaced *replaced = &work->file->replaced;
    mw_err err = add_blocks(work);
    if (err == MW_OK && work->done.blocks == 0)
        err = MW_E_NOT_FOUND;
    if (err == MW_OK)
        err = mw_rollup_write(work->rollup, &rollups, &len);
    if (err != MW_OK)
        return err;
    const mw_footer_facts facts = {.replaced = replaced->ids,
                                   .replaced_count = replaced->count,
                                   .ends = replaced->ends,
                                   .end_count = replaced->end_count,
                                   .rollups = mw_slice_bytes(rollups, len),
                                   .arrival_max_ns = arrival_max_ns,
                                   .last_seq = work->last_seq,
                                   .key_check = mw_key_check(work->key_seed)};
    err = mw_footer_writer_finish(work->footer, &work->file->header, work->file->header.durable_end,
                                  &facts, out);
    mw_free(MW_MEM_MERGE, rollups);
    return err;
}

/* ---- the file -------------------------------------------------------------------------------- */

static mw_err err_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT || errno == EROFS ? MW_E_NO_SPACE : MW_E_IO;
}

/* Up to where the footer begins, or the file ends: one that was cut short keeps what it has. */
static mw_err copy_blocks(const mw_segment_file *file, int to)
{
    uint64_t end = file->header.durable_end < file->size ? file->header.durable_end : file->size;
    mw_err err = MW_OK;
    char *piece = mw_alloc(MW_MEM_MERGE, PIECE);
    if (!piece)
        return MW_E_NOMEM;
    for (uint64_t at = 0; err == MW_OK && at < end; at += PIECE) {
        size_t len = end - at < PIECE ? (size_t)(end - at) : PIECE;
        struct iovec iov = {piece, len};
        err = mw_pread_all(file->fd, piece, len, at);
        if (err == MW_OK)
            err = mw_io_write_all(to, &iov, 1, (off_t)at);
    }
    mw_free(MW_MEM_MERGE, piece);
    return err == MW_E_CORRUPT ? MW_E_IO : err; /* it shrinks while we read */
}

static mw_err fill_file(const mw_segment_file *file, mw_slice footer, int to)
{
    struct iovec iov = {(void *)(uintptr_t)footer.data, footer.len};
    mw_err err = copy_blocks(file, to);
    if (err == MW_OK)
        err = mw_io_write_all(to, &iov, 1, (off_t)file->header.durable_end);
    if (err == MW_OK && mw_io_current()->fdatasync(to) != 0)
        err = err_of_errno();
    return err;
}

/* Recovery and the next rebuild remove what is left under the temporary name. */
static mw_err write_file(const mw_segment_file *file, const char *directory, mw_slice footer)
{
    const mw_io *io = mw_io_current();
    char temporary[4096];
    int len = snprintf(temporary, sizeof temporary, "%s/%016llx.tmp", directory,
                       (unsigned long long)file->id);
    if (len < 0 || (size_t)len >= sizeof temporary)
        return MW_E_IO;
    int fd = io->open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_of_errno();
    mw_err err = fill_file(file, footer, fd);
    close(fd);
    if (err == MW_OK && io->rename(temporary, file->path) != 0)
        err = err_of_errno();
    if (err != MW_OK) {
        io->unlink(temporary);
        return err;
    }
    return mw_io_sync_parent(file->path);
}

mw_err mw_footer_mend(const mw_segment_file *file, const char *directory, uint64_t key_seed,
                      uint64_t arrival_max_ns, mw_footer_mended *out)
{
    mending work = {.file = file, .key_seed = key_seed, .last_seq = file->header.first_seq};
    mw_slice footer = MW_SLICE_NONE;
    mw_block_reader_init(&work.hot_reader);
    mw_block_reader_init(&work.items_reader);
    mw_err err = mw_footer_writer_new(&work.footer);
    if (err == MW_OK)
        err = mw_filter_writer_new(&work.filter);
    if (err == MW_OK)
        err = mw_rollup_new(&work.rollup);
    mw_rollup_rows_init(&work.rows, work.rollup);
    if (err == MW_OK)
        err = make_footer(&work, arrival_max_ns, &footer);
    if (err == MW_OK)
        err = write_file(file, directory, footer);
    mw_rollup_rows_fini(&work.rows);
    mw_rollup_free(work.rollup);
    mw_filter_writer_free(work.filter);
    mw_footer_writer_free(work.footer);
    mw_free(MW_MEM_MERGE, work.spans);
    mw_free(MW_MEM_MERGE, work.part);
    mw_block_reader_fini(&work.hot_reader);
    mw_block_reader_fini(&work.items_reader);
    *out = work.done;
    return err;
}
