/* A merge from its beginning to the named file. See merge.h; its parts are in merge_int.h. */
#include "lib/base/log.h"
#include "lib/store/format/digest_key.h"
#include "lib/store/merge/item_lengths.h"
#include "lib/store/merge/merge_int.h"
#include "lib/store/segment/retry_window.h"

#include <unistd.h>

/* ---- inputs ---------------------------------------------------------------------------------- */

static bool is_input(const mw_merge_job *job, const mw_segment *segment, size_t *last)
{
    if (job->input_count && job->inputs[*last] == segment)
        return true;
    for (size_t i = 0; i < job->input_count; i++) {
        if (job->inputs[i] == segment) {
            *last = i;
            return true;
        }
    }
    return false;
}

static void note_block(mw_merging *merging, const mw_index_block *block)
{
    const mw_block_header *header = &block->header;
    const mw_footer *footer = block->segment->footer;
    uint64_t arrival_max = footer ? footer->arrival_max_ns : header->arrival_ns;
    uint64_t last_seq = footer ? footer->last_seq : header->seq;
    if (header->seq < merging->first_seq)
        merging->first_seq = header->seq;
    if (last_seq > merging->last_seq)
        merging->last_seq = last_seq;
    if (header->arrival_ns < merging->arrival_min_ns)
        merging->arrival_min_ns = header->arrival_ns;
    if (arrival_max > merging->arrival_max_ns)
        merging->arrival_max_ns = arrival_max;
    merging->result->items_in += header->item_count;
    merging->blocks[merging->block_count++] = block;
}

/* The view's blocks stand in the order of their segments' sequences, as the inputs do. */
static mw_err collect_blocks(mw_merging *merging)
{
    const mw_merge_job *job = merging->job;
    size_t count = 0, last = 0;
    for (size_t i = 0; i < mw_view_count(job->view); i++)
        count += is_input(job, mw_view_block(job->view, i)->segment, &last);
    merging->blocks = mw_alloc(MW_MEM_MERGE, (count + 1) * sizeof *merging->blocks);
    if (!merging->blocks)
        return MW_E_NOMEM;
    for (size_t i = 0; i < mw_view_count(job->view); i++)
        if (is_input(job, mw_view_block(job->view, i)->segment, &last))
            note_block(merging, mw_view_block(job->view, i));
    for (size_t i = 0; i < job->input_count; i++)
        merging->result->bytes_in += job->inputs[i]->end;
    return MW_OK;
}

/* ---- one signal ------------------------------------------------------------------------------ */

static mw_err plan_rows(mw_merging *merging, mw_merge_plan *plan,
                        const mw_index_block *const *inputs, size_t count)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        mw_hot hot;
        err = mw_merge_note(
            merging, inputs[i],
            mw_item_lengths(merging->job->view, inputs[i], mw_merge_plan_lengths(plan)));
        if (err == MW_OK)
            err = mw_merge_hot(merging, inputs[i], &hot);
        if (err == MW_OK)
            err = mw_merge_plan_add(plan, &hot);
        if (err == MW_OK && plan->signal == MW_SIGNAL_TRACES)
            mw_merge_near_add(merging, plan, &hot);
    }
    if (err == MW_OK && plan->signal == MW_SIGNAL_TRACES)
        err = mw_merge_find_earlier(merging, plan);
    return err == MW_OK ? mw_merge_plan_finish(plan) : err;
}

static mw_err merge_rows(mw_merging *merging, mw_signal signal, size_t rows,
                         const mw_index_block *const *inputs, size_t count)
{
    mw_merge_plan plan;
    mw_err err = mw_merge_plan_init(&plan, signal, rows, merging->job->store->key_seed);
    if (err == MW_OK && signal == MW_SIGNAL_TRACES)
        err = mw_merge_near_begin(merging, rows);
    if (err == MW_OK)
        err = plan_rows(merging, &plan, inputs, count);
    if (err == MW_OK)
        err = mw_merge_compare(merging, &plan, inputs);
    if (err == MW_OK)
        err = mw_merge_copy(merging, &plan, inputs);
    mw_merge_plan_fini(&plan);
    return err;
}

static mw_err merge_signal(mw_merging *merging, mw_signal signal)
{
    size_t count = 0, rows = 0;
    const mw_index_block **inputs =
        mw_alloc(MW_MEM_MERGE, (merging->block_count + 1) * sizeof *inputs);
    if (!inputs)
        return MW_E_NOMEM;
    for (size_t i = 0; i < merging->block_count; i++) {
        if (!mw_block_holds(merging->blocks[i], signal))
            continue;
        rows += merging->blocks[i]->header.item_count;
        inputs[count++] = merging->blocks[i];
    }
    mw_err err = MW_OK;
    if (rows > MW_PLAN_ROWS_MAX)
        err = MW_E_LIMIT;
    else if (rows > 0)
        err = merge_rows(merging, signal, rows, inputs, count);
    mw_free(MW_MEM_MERGE, inputs);
    return err;
}

/* ---- what the footer says -------------------------------------------------------------------- */

typedef struct facts {
    uint64_t *replaced;
    size_t replaced_count;
    mw_footer_end *ends; /* of segments of the log that stay */
    size_t end_count;
    mw_footer_request *requests;
    size_t request_count, request_capacity;
    uint64_t oldest_ns; /* of the requests */
} facts;

/* Removing a file can fail or be lost: as long as it is there, who replaced it has to say so. */
static bool is_there(const mw_store *store, uint64_t id)
{
    char *path = mw_segment_path(store->directory, id);
    bool there = !path || access(path, F_OK) == 0;
    mw_free(MW_MEM_STORE, path);
    return there;
}

static mw_err list_replaced(const mw_merge_job *job, facts *list)
{
    size_t count = job->input_count;
    for (size_t i = 0; i < job->input_count; i++)
        count += job->inputs[i]->footer ? job->inputs[i]->footer->replaced.count : 0;
    list->replaced = mw_alloc(MW_MEM_MERGE, (count + 1) * sizeof *list->replaced);
    if (!list->replaced)
        return MW_E_NOMEM;
    for (size_t i = 0; i < job->input_count; i++) {
        const mw_footer *footer = job->inputs[i]->footer;
        list->replaced[list->replaced_count++] = job->inputs[i]->header.id;
        for (size_t k = 0; footer && k < footer->replaced.count; k++)
            if (is_there(job->store, footer->replaced.ids[k]))
                list->replaced[list->replaced_count++] = footer->replaced.ids[k];
    }
    return MW_OK;
}

static bool is_replaced(const facts *list, uint64_t id)
{
    for (size_t i = 0; i < list->replaced_count; i++)
        if (list->replaced[i] == id)
            return true;
    return false;
}

static void add_end(const mw_store *store, facts *list, mw_footer_end end)
{
    if (end.segment_id && !is_replaced(list, end.segment_id) && is_there(store, end.segment_id))
        list->ends[list->end_count++] = end;
}

/* Where segments end that were set aside: what replaces their successors has to say it. */
static mw_err list_ends(const mw_merge_job *job, facts *list)
{
    size_t count = job->input_count;
    for (size_t i = 0; i < job->input_count; i++)
        count += job->inputs[i]->footer ? job->inputs[i]->footer->replaced.end_count : 0;
    list->ends = mw_alloc(MW_MEM_MERGE, (count + 1) * sizeof *list->ends);
    if (!list->ends)
        return MW_E_NOMEM;
    for (size_t i = 0; i < job->input_count; i++) {
        const mw_segment *input = job->inputs[i];
        const mw_footer_replaced *before = input->footer ? &input->footer->replaced : NULL;
        add_end(job->store, list,
                (mw_footer_end){input->header.predecessor_id, input->header.predecessor_end});
        for (size_t k = 0; before && k < before->end_count; k++)
            add_end(job->store, list, before->ends[k]);
    }
    return MW_OK;
}

static mw_err add_request(facts *list, const uint8_t digest[16], uint64_t arrival_ns)
{
    if (arrival_ns < list->oldest_ns || mw_id_is_zero(digest, 16))
        return MW_OK;
    if (list->request_count == list->request_capacity) {
        size_t capacity = list->request_capacity ? 2 * list->request_capacity : 256;
        mw_footer_request *grown =
            mw_realloc(MW_MEM_MERGE, list->requests, capacity * sizeof *grown);
        if (!grown)
            return MW_E_NOMEM;
        list->requests = grown;
        list->request_capacity = capacity;
    }
    mw_footer_request *request = &list->requests[list->request_count++];
    memcpy(request->digest, digest, sizeof request->digest);
    request->arrival_ns = arrival_ns;
    return MW_OK;
}

/* The footer in memory has them no more: a start took them over. */
static mw_err add_requests_of_footer(mw_merging *merging, mw_segment *segment, facts *list)
{
    mw_footer_request *requests = NULL;
    size_t count = 0;
    if (segment->footer->arrival_max_ns < list->oldest_ns)
        return MW_OK;
    mw_err err = mw_footer_read_requests(segment->footer, segment->fd, &requests, &count);
    if (err == MW_E_CORRUPT || err == MW_E_IO)
        merging->result->damaged = segment;
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = add_request(list, requests[i].digest, requests[i].arrival_ns);
    mw_free(MW_MEM_STORE, requests);
    return err;
}

static int by_arrival(const void *left, const void *right)
{
    const mw_footer_request *a = left, *b = right;
    return a->arrival_ns < b->arrival_ns ? -1 : a->arrival_ns > b->arrival_ns;
}

/* Those that a sender may still repeat. The writer's window is its thread's own; the digests are
 * also in the blocks, and from there in the footers. */
static mw_err list_requests(mw_merging *merging, facts *list)
{
    const mw_merge_job *job = merging->job;
    int64_t now_ns = mw_clock_wall_ns(job->store->writer.clock);
    mw_err err = MW_OK;

    list->oldest_ns = now_ns > MW_RETRY_WINDOW_NS ? (uint64_t)(now_ns - MW_RETRY_WINDOW_NS) : 0;
    for (size_t i = 0; err == MW_OK && i < job->input_count; i++)
        if (job->inputs[i]->footer)
            err = add_requests_of_footer(merging, job->inputs[i], list);
    for (size_t i = 0; err == MW_OK && i < merging->block_count; i++)
        err = add_request(list, merging->blocks[i]->header.digest,
                          merging->blocks[i]->header.arrival_ns);
    if (list->request_count > 1)
        qsort(list->requests, list->request_count, sizeof *list->requests, by_arrival);
    return err;
}

/* ---- the end of the file --------------------------------------------------------------------- */

static mw_err write_footer(mw_merging *merging, const facts *list)
{
    char *rollups = NULL;
    size_t rollups_len = 0;
    mw_slice bytes;
    mw_err err = mw_rollup_write(merging->rollup, &rollups, &rollups_len);
    if (err != MW_OK)
        return err;
    mw_footer_facts said = {
        .replaced = list->replaced,
        .replaced_count = list->replaced_count,
        .ends = list->ends,
        .end_count = list->end_count,
        .requests = list->requests,
        .request_count = list->request_count,
        .rollups = {rollups, rollups_len},
        .arrival_max_ns = merging->arrival_max_ns,
        .last_seq = merging->last_seq,
        .key_check = mw_key_check(merging->job->store->key_seed),
    };
    err = mw_footer_writer_finish(merging->footer, &merging->file.header, merging->file.offset,
                                  &said, &bytes);
    mw_free(MW_MEM_MERGE, rollups);
    return err == MW_OK ? mw_merge_file_write(&merging->file, bytes.data, bytes.len) : err;
}

/* Nobody reads them yet. */
static void note_starts(const mw_merging *merging, mw_segment *merged)
{
    size_t at = 0;
    for (mw_index_block *block = merged->blocks; block && at < merging->start_count;
         block = block->next_in_segment)
        atomic_init(&block->start_max_ns, merging->starts[at++]);
}

static mw_err name_file(mw_merging *merging, facts *list, mw_segment **out)
{
    uint64_t blocks_end = merging->file.offset;
    mw_err err = list_requests(merging, list);
    if (err == MW_OK)
        err = write_footer(merging, list);
    if (err == MW_OK)
        err = mw_merge_file_name(&merging->file, blocks_end, merging->first_seq, out);
    if (err == MW_OK)
        note_starts(merging, *out);
    return err;
}

static mw_err end_file(mw_merging *merging, mw_segment **out)
{
    facts list = {.replaced = NULL};
    mw_err err = list_replaced(merging->job, &list);
    if (err == MW_OK)
        err = list_ends(merging->job, &list);
    if (err == MW_OK && merging->result->items_out)
        err = name_file(merging, &list, out);
    else if (err == MW_OK)
        merging->result->needed = list.end_count > 0;
    mw_free(MW_MEM_MERGE, list.replaced);
    mw_free(MW_MEM_MERGE, list.ends);
    mw_free(MW_MEM_MERGE, list.requests);
    return err;
}

/* ---- run ------------------------------------------------------------------------------------- */

static size_t group_max(void)
{
    size_t share = mw_memory_ceiling() / 5;
    return share < MW_MERGE_GROUP_MAX ? share : MW_MERGE_GROUP_MAX;
}

static mw_err begin(mw_merging *merging)
{
    const mw_store *store = merging->job->store;
    mw_err err = collect_blocks(merging);
    if (err == MW_OK)
        err = mw_footer_writer_new(&merging->footer);
    if (err == MW_OK)
        err = mw_filter_writer_new(&merging->filter);
    if (err == MW_OK)
        err = mw_rollup_new(&merging->rollup);
    mw_rollup_rows_init(&merging->rollup_rows, merging->rollup);
    if (err == MW_OK && merging->block_count)
        err = mw_merge_file_open(&merging->file, store->directory, merging->job->id,
                                 (uint64_t)mw_clock_wall_ns(store->writer.clock));
    return err;
}

static void end(mw_merging *merging)
{
    mw_merge_file_end(&merging->file);
    mw_footer_writer_free(merging->footer);
    mw_filter_writer_free(merging->filter);
    mw_rollup_rows_fini(&merging->rollup_rows);
    mw_rollup_free(merging->rollup);
    mw_free(MW_MEM_MERGE, merging->near.parents);
    mw_free(MW_MEM_MERGE, merging->near.words);
    mw_free(MW_MEM_MERGE, merging->kept_columns);
    mw_free(MW_MEM_MERGE, merging->earlier_rows);
    mw_free(MW_MEM_MERGE, merging->earlier);
    mw_free(MW_MEM_MERGE, merging->starts);
    mw_free(MW_MEM_MERGE, merging->blocks);
}

mw_err mw_merge_run(const mw_merge_job *job, mw_merge_result *result, mw_segment **out)
{
    mw_merging merging = {.job = job,
                          .result = result,
                          .first_seq = UINT64_MAX,
                          .arrival_min_ns = UINT64_MAX,
                          .group_max = group_max(),
                          .file.fd = -1};
    *result = (mw_merge_result){.items_in = 0};
    *out = NULL;
    mw_store_view_stop(job->view, job->stop, job->stop_ctx);
    mw_err err = begin(&merging);
    for (int signal = MW_SIGNAL_TRACES; err == MW_OK && signal < MW_SIGNAL_END; signal++)
        err = merge_signal(&merging, (mw_signal)signal);
    if (err == MW_OK)
        err = end_file(&merging, out);
    if (err == MW_OK && *out)
        result->bytes_out = (*out)->end;
    end(&merging);
    return err;
}
