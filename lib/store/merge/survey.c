/* What there is to merge and to retire. See survey.h. */
#include "lib/store/merge/survey.h"
#include "lib/store/segment/segment_footer.h"

static int by_sequence(const void *left, const void *right)
{
    const mw_segment *a = *(mw_segment *const *)left, *b = *(mw_segment *const *)right;
    if (a->header.first_seq != b->header.first_seq)
        return a->header.first_seq < b->header.first_seq ? -1 : 1;
    return a->header.id < b->header.id ? -1 : a->header.id > b->header.id;
}

/* The table's list of segments grows under the index's lock. */
static mw_err copy_segments(mw_store *store, mw_survey *all)
{
    const mw_index_table *table = all->view->snapshot.table;
    pthread_mutex_lock(&store->index.lock);
    size_t count = table->segment_count;
    pthread_mutex_unlock(&store->index.lock);
    all->segments = mw_alloc(MW_MEM_MERGE, (count + 1) * sizeof(mw_segment *));
    all->facts = mw_calloc(MW_MEM_MERGE, count + 1, sizeof *all->facts);
    if (!all->segments || !all->facts)
        return MW_E_NOMEM;
    memcpy(all->segments, table->segments, count * sizeof(mw_segment *));
    all->count = count;
    if (count > 1)
        qsort(all->segments, count, sizeof(mw_segment *), by_sequence);
    return MW_OK;
}

static void describe_segments(mw_survey *all)
{
    mw_policy_segment *current = NULL;
    uint64_t newest = 0;
    for (size_t i = 0; i < all->count; i++) {
        const mw_segment *segment = all->segments[i];
        mw_policy_segment *facts = &all->facts[i];
        facts->merged = segment->header.kind == MW_SEGMENT_MERGED;
        /* Without its footer it is not known what a merged segment holds. */
        facts->aside = segment->aside || (facts->merged && !segment->footer);
        facts->arrival_min_ns = facts->arrival_max_ns = segment->header.created_ns;
        if (facts->merged)
            facts->bytes = segment->end;
        if (!facts->merged && segment->header.id > newest) {
            newest = segment->header.id;
            current = facts;
        }
    }
    if (current)
        current->current = true;
}

static void describe_block(mw_policy_segment *facts, const mw_index_block *block)
{
    const mw_block_header *header = &block->header;
    const mw_footer *footer = block->segment->footer;
    uint64_t latest = footer ? footer->arrival_max_ns : header->arrival_ns;
    if (facts->items == 0 || header->arrival_ns < facts->arrival_min_ns)
        facts->arrival_min_ns = header->arrival_ns;
    if (facts->items == 0 || latest > facts->arrival_max_ns)
        facts->arrival_max_ns = latest;
    facts->items += header->item_count;
    if (!facts->merged)
        facts->bytes += mw_block_size(header);
}

/* Blocks stand segment by segment, so that the one before is mostly the right guess. */
static void describe_blocks(mw_survey *all, uint64_t target_seq)
{
    size_t at = 0;
    for (size_t i = 0; i < mw_view_count(all->view); i++) {
        const mw_index_block *block = mw_view_block(all->view, i);
        for (size_t tried = 0; all->segments[at] != block->segment; tried++) {
            MW_ASSERT(tried < all->count);
            at = (at + 1) % all->count;
        }
        describe_block(&all->facts[at], block);
        if (!all->facts[at].merged && !all->facts[at].aside && block->header.seq <= target_seq)
            all->waits = true;
    }
}

void mw_survey_end(mw_survey *all)
{
    mw_store_view_close(all->view);
    mw_free(MW_MEM_MERGE, all->segments);
    mw_free(MW_MEM_MERGE, all->facts);
    *all = (mw_survey){.view = NULL};
}

mw_err mw_survey_begin(mw_store *store, uint64_t target_seq, mw_survey *all)
{
    *all = (mw_survey){.view = NULL};
    mw_err err = mw_store_view_open(store, &all->view);
    if (err == MW_OK)
        err = copy_segments(store, all);
    if (err != MW_OK) {
        mw_survey_end(all);
        return err;
    }
    describe_segments(all);
    describe_blocks(all, target_seq);
    return MW_OK;
}
