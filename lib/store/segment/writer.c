/* The writer thread. See writer.h. */
#include <signal.h>

#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "lib/store/segment/spare.h"
#include "lib/store/segment/writer.h"

/* ---- segments -------------------------------------------------------------------------------- */

mw_segment_header mw_writer_next_header(mw_writer *writer)
{
    mw_segment_header header = {
        .id = mw_writer_take_id(writer),
        .created_ns = (uint64_t)mw_clock_wall_ns(writer->clock),
        .predecessor_id = writer->predecessor_id,
        .predecessor_end = writer->predecessor_end,
        .first_seq = writer->next_seq,
    };
    mw_random_bytes(&header.salt, sizeof header.salt);
    return header;
}

uint64_t mw_writer_look_at_disk(mw_writer *writer)
{
    mw_disk disk;
    bool told = mw_io_disk(writer->directory, &disk) == MW_OK;
    uint64_t free_bytes = told ? disk.free_bytes : UINT64_MAX;
    atomic_store_explicit(&writer->disk_free, free_bytes, memory_order_relaxed);
    return free_bytes;
}

static size_t segment_bound(mw_writer *writer)
{
    uint64_t part = mw_writer_look_at_disk(writer) / 4;
    if (part < MW_WRITE_SEGMENT_LEAST)
        part = MW_WRITE_SEGMENT_LEAST;
    return part < writer->segment_max_bytes ? (size_t)part : writer->segment_max_bytes;
}

mw_err mw_writer_open_segment(mw_writer *writer, mw_segment_header *header, mw_slice carried)
{
    mw_segment *segment = NULL;
    mw_err err = mw_segment_create(writer->directory, header, carried, writer->spare, &segment);
    if (err != MW_OK)
        return err;
    err = mw_index_add_segment(writer->index, segment);
    if (err != MW_OK) {
        mw_io_current()->unlink(segment->path);
        mw_segment_unref(segment);
        return err;
    }
    writer->segment = segment;
    writer->segment_bound = segment_bound(writer);
    writer->segment_items = 0;
    writer->appended = carried.len > 0;
    return MW_OK;
}

/* The current segment takes no more: its successor's header will say where it ends. */
static void leave_segment(mw_writer *writer)
{
    writer->predecessor_id = writer->segment->header.id;
    writer->predecessor_end = writer->segment->end;
    mw_segment_trim(writer->segment);
    mw_segment_unref(writer->segment);
    writer->segment = NULL;
}

/* The current segment failed. One that holds nothing is removed, so that a full disk does not
 * collect empty files; if the removal is lost, its own header says that it holds nothing. */
static void abandon_segment(mw_writer *writer)
{
    if (writer->appended) {
        leave_segment(writer);
        return;
    }
    mw_io_current()->unlink(writer->segment->path);
    mw_index_remove_segment(writer->index, writer->segment);
    mw_segment_unref(writer->segment);
    writer->segment = NULL;
}

static int64_t mono(const mw_writer *writer)
{
    return mw_clock_mono_ns(writer->clock);
}

static void note_failure(mw_writer *writer, mw_err err, bool pause)
{
    bool first = atomic_exchange(&writer->writable, false);
    atomic_store(&writer->last_error, err);
    mw_writer_look_at_disk(writer);
    atomic_store(&writer->retry_at_ns, pause ? mono(writer) + MW_WRITE_RETRY_NS : 0);
    mw_count(MW_COUNT_STORE_FAILURES, 1);
    if (first)
        MW_LOG(MW_LOG_ERROR, "store", "write failed; exports are refused until one succeeds",
               MW_KV_ERR(err), MW_KV_STR("directory", writer->directory),
               MW_KV_U64("free_bytes", atomic_load(&writer->disk_free)));
    if (err == MW_E_NO_SPACE && writer->left)
        writer->left(writer->left_ctx); /* merging may make room */
}

static void note_success(mw_writer *writer)
{
    if (!atomic_load(&writer->writable))
        MW_LOG(MW_LOG_INFO, "store", "writable again", MW_KV_STR("directory", writer->directory));
    atomic_store(&writer->last_error, MW_OK);
    atomic_store(&writer->writable, true);
}

static bool is_empty(const mw_segment *segment)
{
    return segment->end <= MW_SEGMENT_HEADER_SIZE;
}

static bool is_full(const mw_writer *writer, uint64_t bytes, uint64_t items)
{
    return writer->segment->end + bytes > writer->segment_bound ||
           (writer->segment_max_items && writer->segment_items + items > writer->segment_max_items);
}

/* A segment with room for so much more, or at least an empty one. */
static mw_err have_segment(mw_writer *writer, uint64_t bytes, uint64_t items)
{
    if (writer->segment && !is_empty(writer->segment) && is_full(writer, bytes, items))
        leave_segment(writer);
    if (writer->segment)
        return MW_OK;
    mw_err err = mw_writer_refusal(writer);
    if (err != MW_OK)
        return err;
    mw_segment_header header = mw_writer_next_header(writer);
    err = mw_writer_open_segment(writer, &header, MW_SLICE_NONE);
    if (err != MW_OK)
        note_failure(writer, err, true);
    else if (writer->left)
        writer->left(writer->left_ctx);
    return err;
}

/* ---- groups ---------------------------------------------------------------------------------- */

typedef struct group {
    mw_queue_item *items;
    size_t count; /* blocks to write: repeats are none */
    uint64_t bytes, rows;
    size_t digests;   /* what this group added to the retry window */
    unsigned signals; /* bits of what is written */
    struct iovec *iov;
    mw_index_block **entries;
} group;

static mw_write_job *job_of(mw_queue_item *item)
{
    return (mw_write_job *)item;
}

/* Tells repeats from what is new; a repeat of something in the same group is one, too. */
static void mark_repeats(mw_writer *writer, group *batch)
{
    for (mw_queue_item *item = batch->items; item; item = item->next) {
        mw_write_job *job = job_of(item);
        const mw_block_header *header = &job->block.header;
        job->repeat = mw_retry_window_has(&writer->retries, header->digest, header->arrival_ns);
        if (job->repeat)
            continue;
        batch->digests += mw_retry_window_add(&writer->retries, header->digest, header->arrival_ns);
        batch->count++;
        batch->bytes += job->block.len;
        batch->rows += header->item_count;
        batch->signals |= 1u << header->signal;
    }
}

static mw_err group_init(group *batch, mw_writer *writer, mw_queue_item *items)
{
    memset(batch, 0, sizeof *batch);
    batch->items = items;
    mark_repeats(writer, batch);
    batch->iov = mw_alloc(MW_MEM_INGEST, (batch->count + 1) * sizeof *batch->iov);
    batch->entries = mw_alloc(MW_MEM_INGEST, batch->count * sizeof(mw_index_block *));
    return batch->iov && batch->entries ? MW_OK : MW_E_NOMEM;
}

static void group_fini(group *batch)
{
    mw_free(MW_MEM_INGEST, batch->iov);
    mw_free(MW_MEM_INGEST, batch->entries);
}

/* Sequences and places: from here on the headers are final. */
static void seal_group(mw_writer *writer, group *batch)
{
    mw_segment *segment = writer->segment;
    uint64_t offset = segment->end;
    size_t at = 0;

    for (mw_queue_item *item = batch->items; item; item = item->next) {
        mw_encoded_block *block = &job_of(item)->block;
        if (job_of(item)->repeat)
            continue;
        mw_block_place place = mw_segment_place(segment, offset);
        mw_block_seal(block, writer->next_seq++, segment->end, &place);
        block->entry->segment = segment;
        batch->iov[at] = (struct iovec){block->data, block->len};
        batch->entries[at++] = block->entry;
        offset += block->len;
    }
}

/* Would the group eat the room that a merge has to have? It frees more than it takes; the keeper
 * is told to go on. */
static bool takes_merges_room(mw_writer *writer, const group *batch)
{
    uint64_t kept = atomic_load_explicit(&writer->kept_free, memory_order_relaxed);
    if (kept == 0)
        return false;
    uint64_t free_bytes = mw_writer_look_at_disk(writer);
    if (free_bytes >= kept && free_bytes - kept >= batch->bytes)
        return false;
    if (writer->left)
        writer->left(writer->left_ctx);
    return true;
}

static mw_err write_group(mw_writer *writer, group *batch)
{
    if (batch->count == 0)
        return MW_OK;
    if (takes_merges_room(writer, batch))
        return MW_E_BUSY;
    mw_err err = have_segment(writer, batch->bytes, batch->rows);
    if (err != MW_OK)
        return err;
    seal_group(writer, batch);
    err = mw_segment_append(writer->segment, batch->iov, batch->count);
    if (err != MW_OK) {
        /* A new file that fails at once will fail again at once. */
        bool pause = !writer->appended || err == MW_E_NO_SPACE;
        abandon_segment(writer);
        note_failure(writer, err, pause);
        return err;
    }
    bool first = !writer->appended;
    writer->appended = true;
    writer->segment_items += batch->rows;
    if (writer->unmerged_bytes)
        atomic_fetch_add(writer->unmerged_bytes, batch->bytes);
    mw_count(MW_COUNT_STORE_BYTES, batch->bytes);
    mw_count(MW_COUNT_STORE_SYNCS, 1);
    mw_index_publish(writer->index, batch->entries, batch->count, writer->next_seq - 1);
    note_success(writer);
    if (first && writer->left)
        writer->left(writer->left_ctx);
    return MW_OK;
}

/* Frees and tells everyone, in this order: whoever hears the answer finds the memory given back.
 * Published entries belong to their segment now. */
static void complete_group(mw_writer *writer, mw_queue_item *items, mw_err err)
{
    for (mw_queue_item *item = items, *next; item; item = next) {
        mw_write_job *job = job_of(item);
        mw_store_done done = job->done;
        void *ctx = job->ctx;
        bool written = err == MW_OK && !job->repeat;
        uint64_t seq = written ? job->block.header.seq : 0;
        next = item->next;
        if (err == MW_OK && job->repeat)
            mw_count(MW_COUNT_EXPORTS_RETRIED, 1);
        if (written)
            job->block.entry = NULL;
        else
            mw_index_unreserve(writer->index);
        mw_write_job_free(job);
        if (done)
            done(ctx, err, seq);
    }
}

/* After the answers: whoever listens is told of what is there already, and costs no sender time. */
static void tell_listeners(const mw_writer *writer, unsigned signals)
{
    for (size_t i = 0; i < writer->listener_count; i++)
        writer->listeners[i].call(writer->listeners[i].ctx, writer->next_seq - 1, signals);
}

/* A new segment is the smallest write that proves the disk. */
static void probe(mw_writer *writer)
{
    if (have_segment(writer, 0, 0) == MW_OK)
        note_success(writer);
}

/* Cuts the request to leave the segment out of what the queue gave. */
static bool take_leave(mw_writer *writer, mw_queue_item **items)
{
    for (mw_queue_item **link = items; *link; link = &(*link)->next) {
        if (*link != &writer->leave)
            continue;
        *link = writer->leave.next;
        atomic_store(&writer->leave_asked, false);
        return true;
    }
    return false;
}

static void leave_if_used(mw_writer *writer)
{
    if (writer->segment && !is_empty(writer->segment))
        leave_segment(writer);
    if (!writer->segment && !mw_queue_is_closed(&writer->queue))
        probe(writer);
}

static void run_group(mw_writer *writer, mw_queue_item *items)
{
    group batch;
    mw_err err = group_init(&batch, writer, items);
    if (err == MW_OK)
        err = write_group(writer, &batch);
    if (err != MW_OK)
        mw_retry_window_undo(&writer->retries, batch.digests);
    atomic_store(&writer->retry_digests, writer->retries.count);
    group_fini(&batch);
    complete_group(writer, items, err);
    if (err == MW_OK && batch.count > 0)
        tell_listeners(writer, batch.signals);
}

/* How long to wait for work: what an old file holds behind the segment's end does not stay for
 * ever. */
static int patience_ms(const mw_writer *writer)
{
    if (!atomic_load(&writer->writable))
        return MW_WRITE_RETRY_MS;
    bool longer = writer->segment && writer->segment->size > writer->segment->end;
    return longer && writer->spare ? (int)(atomic_load(&writer->spare->keep_ns) / MW_NS_PER_MS)
                                   : -1;
}

static void do_without_work(mw_writer *writer)
{
    if (!atomic_load(&writer->writable))
        probe(writer);
    else if (writer->segment)
        mw_segment_trim(writer->segment);
}

static void *writer_main(void *argument)
{
    mw_writer *writer = argument;
    for (;;) {
        mw_queue_item *items =
            mw_queue_take(&writer->queue, MW_WRITE_GROUP_MAX, patience_ms(writer));
        bool leave = take_leave(writer, &items);
        if (items)
            run_group(writer, items);
        if (leave)
            leave_if_used(writer);
        else if (!items && mw_queue_is_closed(&writer->queue))
            return NULL;
        else if (!items)
            do_without_work(writer);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

mw_err mw_writer_start(mw_writer *writer, size_t queue_budget_bytes)
{
    sigset_t all, before;
    atomic_init(&writer->writable, true);
    atomic_init(&writer->last_error, MW_OK);
    atomic_init(&writer->retry_at_ns, 0);
    atomic_init(&writer->retry_digests, writer->retries.count);
    atomic_init(&writer->leave_asked, false);
    mw_queue_init(&writer->queue, queue_budget_bytes);
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&writer->thread, NULL, writer_main, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        mw_queue_fini(&writer->queue);
        return MW_E_NOMEM;
    }
    pthread_setname_np(writer->thread, "mw-writer");
    return MW_OK;
}

void mw_writer_stop(mw_writer *writer)
{
    mw_queue_close(&writer->queue);
    pthread_join(writer->thread, NULL);
    mw_queue_fini(&writer->queue);
    if (writer->segment)
        mw_segment_trim(writer->segment);
    mw_segment_unref(writer->segment);
    writer->segment = NULL;
}

mw_err mw_writer_refusal(mw_writer *writer)
{
    if (atomic_load(&writer->writable) || mono(writer) >= atomic_load(&writer->retry_at_ns))
        return MW_OK;
    return (mw_err)atomic_load(&writer->last_error);
}

mw_err mw_writer_put(mw_writer *writer, mw_write_job *job)
{
    job->item.next = NULL;
    job->item.cost_bytes = job->block.len;
    return mw_queue_put(&writer->queue, &job->item);
}

void mw_writer_leave(mw_writer *writer)
{
    if (atomic_exchange(&writer->leave_asked, true))
        return;
    /* A full queue or a closed one: it will be asked again, or never. */
    if (mw_queue_put(&writer->queue, &writer->leave) != MW_OK)
        atomic_store(&writer->leave_asked, false);
}

void mw_write_job_free(mw_write_job *job)
{
    mw_encoded_block_fini(&job->block);
    mw_free(MW_MEM_INGEST, job);
}
