/* Rows of the log. See catalogue_log.h. */
#include "lib/store/merge/catalogue_log.h"
#include "lib/base/log.h"

/* What is to be written: the segments, pinned by the view, and a row of each. MW_MEM_STORE. */
typedef struct log_rows {
    mw_store_view *view;
    mw_segment **segments;
    mw_catalogue_segment *rows;
    size_t count;
} log_rows;

static bool is_log(const mw_segment *segment)
{
    return segment->header.kind == MW_SEGMENT_LOG;
}

static uint64_t newest_log(const mw_index_table *table)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < table->segment_count; i++)
        if (is_log(table->segments[i]) && table->segments[i]->header.id > newest)
            newest = table->segments[i]->header.id;
    return newest;
}

/* Under the index's lock. One without a block may yet be given up by the writer. */
static bool needs_row(const mw_segment *segment, uint64_t newest, bool closing)
{
    bool grows = segment->header.id == newest && !closing;
    return is_log(segment) && segment->block_count > 0 &&
           (grows ? segment->row_blocks == 0 : segment->row_blocks != segment->block_count);
}

/* Those of the table that need a row, to `out` unless it is NULL; at most `max`. */
static size_t choose(mw_store *store, const mw_index_table *table, bool closing, mw_segment **out,
                     size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&store->index.lock);
    if (!table)
        table = store->index.table;
    uint64_t newest = newest_log(table);
    for (size_t i = 0; i < table->segment_count && count < max; i++) {
        if (!needs_row(table->segments[i], newest, closing))
            continue;
        if (out)
            out[count] = table->segments[i];
        count++;
    }
    pthread_mutex_unlock(&store->index.lock);
    return count;
}

/* Blocks stand segment by segment, so that the one before is mostly the right guess. */
static void describe(log_rows *work)
{
    size_t at = 0;
    for (size_t i = 0; i < work->count; i++)
        work->rows[i] = (mw_catalogue_segment){.kind = MW_SEGMENT_LOG,
                                               .id = work->segments[i]->header.id,
                                               .salt = work->segments[i]->header.salt,
                                               .bytes = MW_SEGMENT_HEADER_SIZE};
    for (size_t i = 0; i < mw_view_count(work->view); i++) {
        const mw_index_block *block = mw_view_block(work->view, i);
        for (size_t tried = 0; tried < work->count; tried++, at = (at + 1) % work->count) {
            if (work->segments[at] == block->segment) {
                mw_catalogue_add_block(&work->rows[at], &block->header);
                break;
            }
        }
    }
}

static mw_err put_rows(mw_store *store, log_rows *work)
{
    describe(work);
    mw_err err = mw_catalogue_put_logs(store->catalogue, work->rows, work->count);
    for (size_t i = 0; err == MW_OK && i < work->count; i++)
        work->segments[i]->row_blocks = work->rows[i].blocks;
    return err;
}

static mw_err note_some(mw_store *store, bool closing, size_t max)
{
    log_rows work = {.view = NULL};
    mw_err err = mw_store_view_open(store, &work.view);
    if (err != MW_OK)
        return err;
    work.segments = mw_alloc(MW_MEM_STORE, max * sizeof(mw_segment *));
    work.rows = mw_alloc(MW_MEM_STORE, max * sizeof *work.rows);
    if (work.segments && work.rows) {
        work.count = choose(store, work.view->snapshot.table, closing, work.segments, max);
        err = put_rows(store, &work);
    } else {
        err = MW_E_NOMEM;
    }
    mw_free(MW_MEM_STORE, work.segments);
    mw_free(MW_MEM_STORE, work.rows);
    mw_store_view_close(work.view);
    return err;
}

void mw_catalogue_note_log(mw_store *store, bool closing)
{
    if (!store->catalogue || mw_catalogue_is_behind(store->catalogue))
        return;
    size_t count = choose(store, NULL, closing, NULL, SIZE_MAX);
    mw_err err = count ? note_some(store, closing, count) : MW_OK;
    if (err != MW_OK)
        MW_LOG(MW_LOG_WARN, "store", "the catalogue is behind", MW_KV_ERR(err),
               MW_KV_STR("directory", store->directory));
}
