/* The store's life, appending, and its numbers. The questions are in *_query.c.
 *
 * Any thread appends and opens views; the threads inside are the writer's one.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "lib/store/format/digest_key.h"
#include "lib/store/merge/catalogue_log.h"
#include "lib/store/merge/merge.h"
#include "lib/store/rollup/rollup_tail.h"
#include "lib/store/segment/recover.h"
#include "lib/store/store_int.h"

static const char *const operation_kind_names[MW_OP_COUNT] = {
    [MW_OP_OTHER] = "other",
    [MW_OP_AGENT] = "agent",
    [MW_OP_WORKFLOW] = "workflow",
    [MW_OP_MODEL] = "model",
    [MW_OP_EMBEDDING] = "embedding",
    [MW_OP_TOOL] = "tool",
    [MW_OP_RETRIEVAL] = "retrieval",
    [MW_OP_MEMORY] = "memory",
    [MW_OP_GUARDRAIL] = "guardrail",
    [MW_OP_EVAL] = "eval",
    [MW_OP_HTTP] = "http",
    [MW_OP_RPC] = "rpc",
    [MW_OP_DB] = "db",
    [MW_OP_MESSAGING] = "messaging",
};

const char *mw_operation_kind_name(mw_operation_kind kind)
{
    return (unsigned)kind < MW_OP_COUNT ? operation_kind_names[kind] : "other";
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Creates the directory when absent and keeps a second process out. */
static mw_err claim_directory(mw_store *store, mw_detail *detail)
{
    bool created = mkdir(store->directory, 0700) == 0;
    int reason = errno;
    if (!created && reason != EEXIST)
        return mw_detail_set(
            detail,
            reason == ENOSPC || reason == EDQUOT || reason == EROFS ? MW_E_NO_SPACE : MW_E_IO,
            "data", "", "cannot create %s: %s", store->directory, strerror(reason));
    if (created && mw_io_sync_parent(store->directory) != MW_OK)
        return mw_detail_set(detail, MW_E_IO, "data", "", "cannot sync the parent of %s",
                             store->directory);
    store->directory_fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->directory_fd < 0)
        return mw_detail_set(detail, MW_E_IO, "data", "", "cannot open %s: %s", store->directory,
                             strerror(errno));
    if (flock(store->directory_fd, LOCK_EX | LOCK_NB) != 0)
        return mw_detail_set(detail, MW_E_CONFLICT, "data", "stop the other process first",
                             "%s is in use by another process", store->directory);
    return MW_OK;
}

static void wake_keeper(void *ctx)
{
    mw_keeper_wake(ctx);
}

static void configure(mw_store *store, const mw_store_config *config)
{
    mw_writer *writer = &store->writer;
    writer->directory = store->directory;
    writer->clock = config->clock;
    writer->index = &store->index;
    store->limits = (mw_retention_limits){.age_ns = config->retention_age_ns,
                                          .size_bytes = config->retention_bytes};
    writer->segment_max_bytes =
        (size_t)mw_retention_segment_max(&store->limits, config->segment_max_bytes);
    writer->spare = &store->spare;
    /* Half a segment, where those are small; none where a bound on the size makes them so, of
     * which it would be an eighth. */
    if (writer->segment_max_bytes < config->segment_max_bytes)
        store->spare.least = UINT64_MAX;
    else if (writer->segment_max_bytes / 2 < MW_SPARE_LEAST)
        store->spare.least = writer->segment_max_bytes / 2;
    /* Two segments fit a merge, however short their items are. */
    writer->segment_max_items = MW_MERGE_ITEMS_MAX / 2;
    writer->left = wake_keeper;
    writer->left_ctx = store;
    writer->unmerged_bytes = &store->unmerged_bytes;
    store->merge_after_ns = config->merge_after_ns ? config->merge_after_ns : MW_STORE_MERGE_AFTER;
    store->merges = config->merge;
    store->reserve = config->reserve;
    mw_writer_look_at_disk(writer);
}

/* What recovery found: how much waits to be merged, and when the newest of it came. Before any
 * thread. */
static void take_stock(mw_store *store)
{
    uint64_t newest_ns = 0;
    for (size_t i = 0; i < store->index.block_count; i++) {
        const mw_index_block *block = store->index.table->blocks[i];
        const mw_footer *footer = block->segment->footer;
        uint64_t latest = footer ? footer->arrival_max_ns : block->header.arrival_ns;
        newest_ns = latest > newest_ns ? latest : newest_ns;
        if (block->segment->header.kind == MW_SEGMENT_LOG && !block->segment->aside)
            atomic_fetch_add(&store->unmerged_bytes, mw_block_size(&block->header));
    }
    mw_retention_clock_start(&store->keeper.clock, store->limits.age_ns, newest_ns,
                             mw_clock_mono_ns(store->writer.clock));
}

/* Retention removes the row before the file; where the disk refused the row's removal and a kill
 * followed, the row is still there. It says nothing of what would have gone by now anyway. */
static bool was_due(const mw_store *store, const mw_catalogue_loss *loss, uint64_t now_ns)
{
    uint64_t age_ns = (uint64_t)store->limits.age_ns;
    return age_ns > 0 && loss->part == MW_LOSS_WHOLE && now_ns > age_ns &&
           loss->of.arrival_max_ns < now_ns - age_ns;
}

static uint64_t tell_loss(void *ctx, const mw_catalogue_loss *loss)
{
    const mw_store *store = ctx;
    int64_t wall_ns = mw_clock_wall_ns(store->writer.clock);
    uint64_t now_ns = wall_ns > 0 ? (uint64_t)wall_ns : 1;
    if (was_due(store, loss, now_ns))
        return 0;
    char *path = mw_segment_path(store->directory, loss->of.id);
    char lost[MW_CATALOGUE_LOST_SIZE];
    mw_catalogue_lost_text(&loss->of, lost);
    MW_LOG(MW_LOG_ERROR, "store",
           loss->part == MW_LOSS_WHOLE ? "a segment is gone that midwatch did not remove"
                                       : "the end of a segment is gone that was acknowledged",
           MW_KV_STR("file", path ? path : store->directory), MW_KV_U64("bytes", loss->of.bytes),
           MW_KV_STR("lost", lost));
    mw_count(MW_COUNT_STORE_DAMAGED, 1);
    mw_free(MW_MEM_STORE, path);
    return now_ns;
}

/* Ids and sequences of a segment that is gone are not given to another. What cannot be true (the
 * catalogue is damaged) is left aside. */
static void note_known(mw_writer *writer, const mw_known_segments *known)
{
    for (size_t i = 0; i < known->count; i++) {
        const mw_known_segment *one = &known->items[i];
        if (one->id < INT64_MAX && one->id >= writer->next_segment_id)
            writer->next_segment_id = one->id + 1;
        if (one->last_seq < INT64_MAX && one->last_seq >= writer->next_seq)
            writer->next_seq = one->last_seq + 1;
    }
}

/* The store works without its catalogue, and makes it again at the next start. */
static void open_catalogue(mw_store *store, mw_known_segments *known)
{
    mw_err err = mw_catalogue_open(store->directory, &store->catalogue);
    store->writer.next_segment_id = store->writer.next_seq = 1;
    if (err == MW_OK)
        err = mw_catalogue_remember(store->catalogue, known);
    if (err != MW_OK)
        MW_LOG(MW_LOG_WARN, "store", "the catalogue cannot be read", MW_KV_ERR(err),
               MW_KV_STR("directory", store->directory));
    note_known(&store->writer, known);
}

static mw_err sum_loss(void *ctx, const mw_catalogue_loss *loss)
{
    mw_store_losses *sum = ctx;
    sum->count++;
    sum->spans += loss->of.items[MW_SIGNAL_TRACES];
    sum->logs += loss->of.items[MW_SIGNAL_LOGS];
    sum->points += loss->of.items[MW_SIGNAL_METRICS];
    if (loss->noticed_ns > sum->noticed_ns)
        sum->noticed_ns = loss->noticed_ns;
    return MW_OK;
}

/* A new catalogue beside segments: told from then on until a rebuild. */
static void judge_made(mw_store *store)
{
    uint64_t at_ns = 0;
    mw_err err = mw_catalogue_made_at(store->catalogue, &at_ns);
    if (err == MW_OK && at_ns == MW_CATALOGUE_JUST_MADE) {
        int64_t wall_ns = mw_clock_wall_ns(store->writer.clock);
        at_ns = store->index.block_count == 0 ? 0 : wall_ns > 0 ? (uint64_t)wall_ns : 1;
        if (at_ns)
            MW_LOG(MW_LOG_WARN, "store",
                   "there was no catalogue: it is made again of the segments that are there, and "
                   "cannot tell whether others are missing",
                   MW_KV_STR("directory", store->directory));
        err = mw_catalogue_judge_made(store->catalogue, at_ns);
    }
    store->catalogue_made_ns = at_ns;
    if (err != MW_OK)
        MW_LOG(MW_LOG_WARN, "store", "the catalogue cannot tell when it was made", MW_KV_ERR(err),
               MW_KV_STR("directory", store->directory));
}

static void reconcile_catalogue(mw_store *store)
{
    const mw_index_table *table = store->index.table;
    mw_catalogue_changes changes;
    mw_err err =
        mw_catalogue_reconcile(store->catalogue, (const mw_segment *const *)table->segments,
                               table->segment_count, tell_loss, store, &changes);
    if (err != MW_OK)
        MW_LOG(MW_LOG_WARN, "store", "the catalogue is behind", MW_KV_ERR(err),
               MW_KV_STR("directory", store->directory));
    judge_made(store);
    err = mw_catalogue_each_loss(store->catalogue, sum_loss, &store->losses);
    if (err != MW_OK)
        MW_LOG(MW_LOG_WARN, "store", "the catalogue cannot be read", MW_KV_ERR(err),
               MW_KV_STR("directory", store->directory));
}

static mw_err start_threads(mw_store *store, const mw_store_config *config, mw_detail *detail)
{
    mw_err err = mw_rollup_tail_new(store, &store->tail);
    if (err != MW_OK)
        return mw_detail_set(detail, err, "memory_limit", "", "no memory for the store");
    err = mw_writer_start(&store->writer, config->queue_budget_bytes);
    if (err != MW_OK)
        return mw_detail_set(detail, err, "data", "", "cannot start the store's writer thread");
    if (store->merges && (err = mw_keeper_start(store)) != MW_OK) {
        mw_writer_stop(&store->writer);
        return mw_detail_set(detail, err, "data", "", "cannot start the store's keeper thread");
    }
    return MW_OK;
}

/* No item is lost by it, and what was can come back: so a start goes on, and says so. */
static void judge_key(mw_store *store, bool made)
{
    store->key_made = made && store->index.block_count > 0;
    if (store->key_made || store->damage.other_key)
        MW_LOG(MW_LOG_ERROR, "store", store->key_made ? MW_STORE_KEY_MADE : MW_STORE_KEY_OTHER,
               MW_KV_STR("directory", store->directory),
               MW_KV_U64("segments", store->damage.other_key));
}

static mw_err start(mw_store *store, const mw_store_config *config, mw_detail *detail)
{
    mw_known_segments known = {.items = NULL};
    mw_err err = claim_directory(store, detail);
    if (err != MW_OK)
        return err;
    configure(store, config);
    bool made;
    err = mw_digest_key_load(store->directory, store->digest_key, &made, detail);
    if (err != MW_OK)
        return err;
    store->key_seed = mw_key_seed(store->digest_key);
    open_catalogue(store, &known);
    err = mw_recover(&store->writer, &store->damage, store->key_seed, &known, detail);
    mw_known_fini(&known);
    if (err == MW_OK) {
        /* Numbers of commits that are gone stay taken: what was seen as of one is not to come. */
        mw_index_publish(&store->index, NULL, 0, store->writer.next_seq - 1);
        judge_key(store, made);
        take_stock(store);
        reconcile_catalogue(store);
        err = start_threads(store, config, detail);
    }
    if (err != MW_OK) {
        mw_segment_unref(store->writer.segment);
        store->writer.segment = NULL;
    }
    return err;
}

static void release(mw_store *store)
{
    mw_rollup_tail_free(store->tail);
    mw_trace_filters_fini(&store->trace_filters);
    mw_catalogue_close(store->catalogue);
    mw_keeper_fini(store);
    mw_damage_fini(&store->damage);
    if (store->directory_fd >= 0)
        close(store->directory_fd);
    mw_retry_window_fini(&store->writer.retries);
    if (store->index.table)
        mw_index_fini(&store->index);
    mw_spare_fini(&store->spare); /* the last segments have handed over */
    mw_free(MW_MEM_STORE, store->directory);
    mw_free(MW_MEM_STORE, store);
}

mw_err mw_store_open(const mw_store_config *config, mw_store **out, mw_detail *detail)
{
    size_t len = strlen(config->directory);
    mw_store *store = mw_calloc(MW_MEM_STORE, 1, sizeof *store);
    if (!store)
        return mw_detail_set(detail, MW_E_NOMEM, "memory_limit", "", "no memory for the store");
    store->directory_fd = -1;
    mw_keeper_init(store);
    mw_damage_init(&store->damage);
    mw_spare_init(&store->spare);
    mw_trace_filters_init(&store->trace_filters);
    mw_retry_window_init(&store->writer.retries);
    store->directory = mw_alloc(MW_MEM_STORE, len + 1);
    mw_err err = MW_E_NOMEM;
    if (store->directory && mw_index_init(&store->index) == MW_OK) {
        memcpy(store->directory, config->directory, len + 1);
        /* "data/" and "data" are one directory, whose parent is not itself. */
        while (len > 1 && store->directory[len - 1] == '/')
            store->directory[--len] = '\0';
        err = start(store, config, detail);
    } else {
        mw_detail_set(detail, err, "memory_limit", "", "no memory for the store");
    }
    if (err != MW_OK) {
        release(store);
        return err;
    }
    *out = store;
    return MW_OK;
}

void mw_store_close(mw_store *store)
{
    if (!store)
        return;
    /* What was appended is durable without being merged. */
    mw_keeper_stop(store);
    mw_writer_stop(&store->writer);
    mw_catalogue_note_log(store, true);
    release(store);
}

void mw_store_listen(mw_store *store, mw_store_listener listener, void *ctx)
{
    mw_writer *writer = &store->writer;
    MW_ASSERT(writer->listener_count < MW_STORE_LISTENERS_MAX);
    writer->listeners[writer->listener_count++] = (mw_writer_listener){listener, ctx};
}

/* ---- batches in ------------------------------------------------------------------------------ */

unsigned mw_store_backlog(mw_store *store)
{
    mw_queue *queue = &store->writer.queue;
    size_t bytes = mw_queue_bytes(queue);
    if (bytes >= queue->budget_bytes)
        return 100;
    return (unsigned)(bytes * 100 / queue->budget_bytes);
}

mw_err mw_store_append(mw_store *store, const mw_store_batch *batch, mw_store_done done, void *ctx)
{
    mw_err err = mw_writer_refusal(&store->writer);
    /* A full queue is told before the work of encoding is done. */
    if (err == MW_OK)
        err = mw_keeper_refusal(store);
    if (err == MW_OK && (mw_store_backlog(store) >= 100 || mw_keeper_is_behind(store)))
        err = MW_E_BUSY;
    if (err != MW_OK)
        return err;
    mw_write_job *job = mw_calloc(MW_MEM_INGEST, 1, sizeof *job);
    if (!job)
        return MW_E_NOMEM;
    job->done = done;
    job->ctx = ctx;
    err = mw_block_encode(batch, store->key_seed, (uint64_t)mw_clock_wall_ns(store->writer.clock),
                          &job->block);
    if (err == MW_OK)
        err = mw_index_reserve(&store->index);
    if (err == MW_OK) {
        err = mw_writer_put(&store->writer, job);
        if (err != MW_OK)
            mw_index_unreserve(&store->index);
    }
    if (err != MW_OK)
        mw_write_job_free(job);
    return err;
}

const uint8_t *mw_store_digest_key(const mw_store *store)
{
    return store->digest_key;
}

/* ---- accounting ------------------------------------------------------------------------------ */

/* Under the index's lock. The oldest item lies in the segment with the lowest sequences. */
static void count_segments(const mw_index *index, mw_store_stats *out)
{
    const mw_index_table *table = index->table;
    for (size_t i = 0; i < table->segment_count; i++) {
        if (table->segments[i]->header.kind != MW_SEGMENT_MERGED)
            continue;
        out->merged_segments++;
        out->merged_bytes += table->segments[i]->end;
    }
    if (index->block_count == 0)
        return;
    const mw_segment *oldest = table->blocks[0]->segment;
    out->oldest_arrival_ns = table->blocks[0]->header.arrival_ns;
    for (const mw_index_block *block = oldest->blocks; block; block = block->next_in_segment)
        if (block->header.arrival_ns < out->oldest_arrival_ns)
            out->oldest_arrival_ns = block->header.arrival_ns;
}

void mw_store_stats_read(mw_store *store, mw_store_stats *out)
{
    mw_index *index = &store->index;

    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&index->lock);
    out->commit_seq = index->seq;
    count_segments(index, out);
    out->segments = index->table->segment_count;
    out->blocks = index->block_count;
    out->bytes = index->bytes;
    out->spans = index->items[MW_SIGNAL_TRACES];
    out->logs = index->items[MW_SIGNAL_LOGS];
    out->points = index->items[MW_SIGNAL_METRICS];
    pthread_mutex_unlock(&index->lock);
    out->queue_bytes = mw_queue_bytes(&store->writer.queue);
    out->queue_count = mw_queue_count(&store->writer.queue);
    out->retry_digests = atomic_load(&store->writer.retry_digests);
    out->unmerged_bytes = atomic_load(&store->unmerged_bytes);
    out->repeats = atomic_load(&store->repeats);
    out->conflicting = atomic_load(&store->conflicting);
    out->retired_segments = atomic_load(&store->retired_segments);
    out->retired_items = atomic_load(&store->retired_items);
    out->merges = atomic_load(&store->merge_count);
    out->merge_failures = atomic_load(&store->merge_failures);
    out->merge_failed_ns = atomic_load(&store->merge_failed_ns);
    out->merging_fails = atomic_load(&store->keeper.failing);
    out->losses = store->losses;
    out->catalogue_made_ns = store->catalogue_made_ns;
    out->key_made = store->key_made;
    out->other_key_segments = store->damage.other_key;
    out->spare_bytes = mw_spare_bytes(&store->spare);
    out->packed_per_mille = atomic_load(&store->packed_per_mille);
    out->writable = atomic_load(&store->writer.writable);
    out->last_error = (mw_err)atomic_load(&store->writer.last_error);
}

mw_store_losses mw_store_losses_of(const mw_store *store)
{
    return store->losses;
}

uint64_t mw_store_disk_free(const mw_store *store)
{
    return atomic_load_explicit(&store->writer.disk_free, memory_order_relaxed);
}
