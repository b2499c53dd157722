/* Rows from the inputs' blocks to those of the output. See merge_int.h.
 *
 * Output blocks are made in groups that fit the budget. For each group those input blocks are read
 * that hold rows of it; a block of the group is packed and written as soon as it has all its rows,
 * which for inputs that are nearly in order is long before the group's last.
 */
#include "lib/base/log.h"
#include "lib/store/merge/merge_int.h"

/* Blocks of a group, however small: a bound for the array. */
#define GROUP_BLOCKS_MAX 64u
/* What a row costs beside its item while a block is put together: columns, lengths, references. */
#define ROW_COST 192u

/* A block's memory is kept for the next one up to here: what a huge row took is given back. */
#define SPARE_MAX (4 * MW_PACK_BYTES)

typedef struct group_block {
    mw_block_pack *pack;
    uint32_t added;
} group_block;

typedef struct copying {
    mw_merging *merging;
    mw_merge_plan *plan;
    const mw_index_block *const *inputs;
    mw_merge_traces traces;
    size_t first, count; /* the group: outputs [first, first + count) of the plan */
    size_t done;         /* of those, written */
    group_block blocks[GROUP_BLOCKS_MAX];
    mw_block_pack *spare;    /* of a block that was written: its memory is the next one's */
    uint32_t *rows, *places; /* of one input block, for one block of the group */
} copying;

/* ---- writing a block ------------------------------------------------------------------------- */

typedef struct field_target {
    mw_filter_writer *filter;
    unsigned signal;
} field_target;

static void add_field(void *ctx, mw_slice bytes)
{
    const field_target *target = ctx;
    mw_filter_add_field(target->filter, target->signal, bytes);
}

static void add_context(void *ctx, mw_slice message)
{
    const field_target *target = ctx;
    mw_filter_add_context(target->filter, message);
}

static mw_slice make_filter(const copying *work, const mw_block_pack *pack)
{
    field_target target = {work->merging->filter, work->plan->signal};
    mw_block_pack_each_field(pack, add_field, &target);
    mw_block_pack_each_context(pack, add_context, &target);
    mw_filter_add_columns(target.filter, mw_block_pack_hot(pack));
    return mw_filter_writer_finish(target.filter);
}

/* The new segment's entries are made from its footer, which does not say it. */
static mw_err keep_start(mw_merging *merging, const mw_index_block *entry)
{
    if (merging->start_count == merging->start_capacity) {
        size_t capacity = merging->start_capacity ? 2 * merging->start_capacity : 64;
        uint64_t *grown = mw_realloc(MW_MEM_MERGE, merging->starts, capacity * sizeof *grown);
        if (!grown)
            return MW_E_NOMEM;
        merging->starts = grown;
        merging->start_capacity = capacity;
    }
    merging->starts[merging->start_count++] =
        atomic_load_explicit(&entry->start_max_ns, memory_order_relaxed);
    return MW_OK;
}

/* Into the file, and into all that the footer says of it. */
static mw_err write_block(copying *work, const mw_block_pack *pack, mw_encoded_block *block)
{
    mw_merging *merging = work->merging;
    mw_merge_file *file = &merging->file;
    mw_block_place place = {file->header.salt, file->header.id, file->offset};
    const mw_hot *hot = mw_block_pack_hot(pack);

    mw_block_seal(block, block->header.seq, file->synced, &place);
    mw_err err = mw_merge_file_write(file, block->data, block->len);
    if (err == MW_OK)
        err = keep_start(merging, block->entry);
    if (err == MW_OK)
        err = mw_footer_writer_block(merging->footer, block->entry, hot, make_filter(work, pack));
    if (err == MW_OK && work->plan->signal == MW_SIGNAL_TRACES)
        err = mw_merge_traces_block(&work->traces, hot);
    merging->result->items_out += block->header.item_count;
    return err;
}

static mw_err finish_block(copying *work, mw_block_pack *pack)
{
    const mw_merge_job *job = work->merging->job;
    mw_encoded_block block = {.data = NULL};
    if (job->stop && job->stop(job->stop_ctx))
        return MW_E_TIMEOUT;
    mw_err err = mw_block_pack_finish(pack, job->store->key_seed, &block);
    if (err == MW_OK)
        err = write_block(work, pack, &block);
    mw_encoded_block_fini(&block);
    return err;
}

/* One is enough: blocks are mostly finished before the next is begun. */
static void keep_spare(copying *work, mw_block_pack *pack)
{
    bool keep = !work->spare && mw_block_pack_bytes(pack) <= SPARE_MAX;
    if (keep)
        work->spare = pack;
    else
        mw_block_pack_free(pack);
}

static mw_err begin_block(copying *work, uint32_t rows, mw_block_pack **out)
{
    if (!work->spare)
        return mw_block_pack_new(work->plan->signal, rows, out);
    *out = work->spare;
    work->spare = NULL;
    return mw_block_pack_again(*out, rows);
}

/* In the order of the file: a complete block waits for those before it. */
static mw_err finish_complete(copying *work)
{
    mw_err err = MW_OK;
    while (err == MW_OK && work->done < work->count) {
        group_block *next = &work->blocks[work->done];
        if (next->added < work->plan->outputs[work->first + work->done].rows)
            break;
        err = finish_block(work, next->pack);
        keep_spare(work, next->pack);
        next->pack = NULL;
        work->done++;
    }
    return err;
}

/* ---- reading a block ------------------------------------------------------------------------- */

/* The rows of an input block that go to one block of the output. */
static size_t choose_rows(copying *work, const mw_plan_block *block, const mw_plan_output *output)
{
    size_t count = 0;
    const uint32_t *places = work->plan->places + block->first_row;
    for (uint32_t row = 0; row < block->rows; row++) {
        /* Also false for what was removed: it lies beyond. */
        if (places[row] < output->first || places[row] - output->first >= output->rows)
            continue;
        work->rows[count] = row;
        work->places[count++] = places[row] - output->first;
    }
    return count;
}

static bool meets(const mw_plan_block *block, const mw_plan_output *output)
{
    return block->least <= block->most && block->least < output->first + output->rows &&
           block->most >= output->first;
}

/* An input block while its rows are copied. */
typedef struct source {
    const mw_index_block *block;
    mw_hot hot;
    mw_items_walk walk, at_first; /* the walk as it began: it can be begun again from there */
    bool open;
} source;

/* A chunk that lies unpacked as a whole needs no unpacking again for the next output block. */
static mw_err open_walk(copying *work, source *from)
{
    if (from->open && from->at_first.packed == 0) {
        from->walk = from->at_first;
        return MW_OK;
    }
    if (from->open)
        mw_items_walk_end(&from->walk);
    mw_err err = mw_merge_items(work->merging, from->block, &from->hot, &from->walk);
    from->open = err == MW_OK;
    from->at_first = from->walk;
    return err;
}

static mw_err copy_rows(copying *work, source *from, const mw_plan_block *block, size_t at)
{
    const mw_plan_output *output = &work->plan->outputs[work->first + at];
    group_block *to = &work->blocks[at];
    mw_err err = MW_OK;
    size_t count = choose_rows(work, block, output);
    if (count == 0)
        return MW_OK;
    if (!to->pack)
        err = begin_block(work, output->rows, &to->pack);
    if (err == MW_OK)
        err = open_walk(work, from);
    if (err != MW_OK)
        return err;
    err = mw_block_pack_add(to->pack, &from->block->header, &from->hot, &from->walk, work->rows,
                            work->places, count);
    to->added += (uint32_t)count;
    return mw_merge_note(work->merging, from->block, err);
}

static mw_err copy_block(copying *work, size_t input)
{
    const mw_plan_block *block = &work->plan->blocks[input];
    const mw_plan_output *outputs = work->plan->outputs + work->first;
    source from = {.block = work->inputs[input]};
    bool any = false;

    for (size_t at = work->done; !any && at < work->count; at++)
        any = meets(block, &outputs[at]);
    if (!any)
        return MW_OK;
    mw_err err = mw_merge_hot(work->merging, from.block, &from.hot);
    for (size_t at = work->done; err == MW_OK && at < work->count; at++)
        if (meets(block, &outputs[at]))
            err = copy_rows(work, &from, block, at);
    if (from.open)
        mw_items_walk_end(&from.walk);
    return err;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void begin_group(copying *work)
{
    uint64_t bytes = 0;
    work->first += work->count;
    work->count = work->done = 0;
    memset(work->blocks, 0, sizeof work->blocks);
    while (work->count < GROUP_BLOCKS_MAX && work->first + work->count < work->plan->output_count) {
        const mw_plan_output *output = &work->plan->outputs[work->first + work->count];
        bytes += output->bytes + (uint64_t)output->rows * ROW_COST;
        if (work->count > 0 && bytes > work->merging->group_max)
            break;
        work->count++;
    }
}

static mw_err copy_group(copying *work)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < work->plan->block_count && work->done < work->count;
         i++) {
        err = copy_block(work, i);
        if (err == MW_OK)
            err = finish_complete(work);
    }
    MW_ASSERT(err != MW_OK || work->done == work->count);
    for (size_t i = 0; i < work->count; i++) {
        mw_block_pack_free(work->blocks[i].pack);
        work->blocks[i].pack = NULL;
    }
    return err;
}

static size_t rows_at_most(const mw_merge_plan *plan)
{
    size_t most = 0;
    for (size_t i = 0; i < plan->block_count; i++)
        most = plan->blocks[i].rows > most ? plan->blocks[i].rows : most;
    return most;
}

mw_err mw_merge_copy(mw_merging *merging, mw_merge_plan *plan, const mw_index_block *const *inputs)
{
    copying work = {.merging = merging, .plan = plan, .inputs = inputs};
    size_t most = rows_at_most(plan);
    work.rows = mw_alloc(MW_MEM_MERGE, most * sizeof *work.rows);
    work.places = mw_alloc(MW_MEM_MERGE, most * sizeof *work.places);
    mw_err err = work.rows && work.places ? MW_OK : MW_E_NOMEM;
    mw_merge_traces_init(&work.traces, merging, plan);
    while (err == MW_OK && work.first + work.count < plan->output_count) {
        begin_group(&work);
        err = copy_group(&work);
    }
    mw_block_pack_free(work.spare);
    mw_merge_traces_fini(&work.traces);
    mw_free(MW_MEM_MERGE, work.rows);
    mw_free(MW_MEM_MERGE, work.places);
    return err;
}
