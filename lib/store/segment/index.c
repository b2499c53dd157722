/* The in-memory index. See index.h for the way of publication. */
#include "lib/store/segment/index.h"

#define BLOCKS_AT_FIRST 256u
#define SEGMENTS_AT_FIRST 16u

static mw_index_table *table_new(size_t blocks, size_t segments)
{
    mw_index_table *table =
        mw_alloc(MW_MEM_STORE, sizeof *table + blocks * sizeof(mw_index_block *));
    mw_segment **list = mw_alloc(MW_MEM_STORE, segments * sizeof(mw_segment *));
    if (!table || !list) {
        mw_free(MW_MEM_STORE, table);
        mw_free(MW_MEM_STORE, list);
        return NULL;
    }
    *table = (mw_index_table){1, blocks, 0, segments, list};
    return table;
}

/* Under the lock: gives up a reference. What comes back is to be freed once the lock is left: the
 * last reference on a segment closes its file, and nobody should wait for that. */
static mw_index_table *table_drop(mw_index_table *table)
{
    return --table->refs == 0 ? table : NULL;
}

static void table_free(mw_index_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->segment_count; i++)
        mw_segment_unref(table->segments[i]);
    mw_free(MW_MEM_STORE, table->segments);
    mw_free(MW_MEM_STORE, table);
}

/* Replaces the table by a larger copy. Under the lock. */
static mw_err grow(mw_index *index, size_t blocks, size_t segments)
{
    mw_index_table *old = index->table;
    mw_index_table *table = table_new(blocks, segments);
    if (!table)
        return MW_E_NOMEM;
    memcpy(table->blocks, old->blocks, index->block_count * sizeof *old->blocks);
    for (size_t i = 0; i < old->segment_count; i++) {
        mw_segment_ref(old->segments[i]);
        table->segments[i] = old->segments[i];
    }
    table->segment_count = old->segment_count;
    index->table = table;
    table_free(table_drop(old)); /* its segments live on in the copy */
    return MW_OK;
}

mw_err mw_index_init(mw_index *index)
{
    memset(index, 0, sizeof *index);
    index->table = table_new(BLOCKS_AT_FIRST, SEGMENTS_AT_FIRST);
    if (!index->table)
        return MW_E_NOMEM;
    pthread_mutex_init(&index->lock, NULL);
    return MW_OK;
}

void mw_index_fini(mw_index *index)
{
    MW_ASSERT(index->reserved == 0);
    MW_ASSERT(index->table->refs == 1);
    table_free(table_drop(index->table));
    pthread_mutex_destroy(&index->lock);
}

mw_err mw_index_reserve(mw_index *index)
{
    mw_err err = MW_OK;
    pthread_mutex_lock(&index->lock);
    mw_index_table *table = index->table;
    if (index->block_count + index->reserved == table->block_capacity)
        err = grow(index, table->block_capacity * 2, table->segment_capacity);
    if (err == MW_OK)
        index->reserved++;
    pthread_mutex_unlock(&index->lock);
    return err;
}

void mw_index_unreserve(mw_index *index)
{
    pthread_mutex_lock(&index->lock);
    MW_ASSERT(index->reserved > 0);
    index->reserved--;
    pthread_mutex_unlock(&index->lock);
}

mw_err mw_index_add_segment(mw_index *index, mw_segment *segment)
{
    mw_err err = MW_OK;
    pthread_mutex_lock(&index->lock);
    mw_index_table *table = index->table;
    if (table->segment_count == table->segment_capacity)
        err = grow(index, table->block_capacity, table->segment_capacity * 2);
    if (err == MW_OK) {
        table = index->table;
        mw_segment_ref(segment);
        table->segments[table->segment_count++] = segment;
        index->bytes += MW_SEGMENT_HEADER_SIZE;
    }
    pthread_mutex_unlock(&index->lock);
    return err;
}

/* ---- replacing ------------------------------------------------------------------------------- */

static bool is_listed(const mw_segment *segment, mw_segment *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == segment)
            return true;
    return false;
}

/* What a segment's blocks add to the index's numbers: +1, or takes away: -1. */
static void count_segment(mw_index *index, const mw_segment *segment, int sign)
{
    uint64_t bytes =
        segment->header.kind == MW_SEGMENT_MERGED ? segment->end : MW_SEGMENT_HEADER_SIZE;
    for (const mw_index_block *block = segment->blocks; block; block = block->next_in_segment) {
        uint64_t items = block->header.item_count;
        index->items[block->header.signal] += sign > 0 ? items : -items;
        if (segment->header.kind == MW_SEGMENT_LOG)
            bytes += mw_block_size(&block->header);
    }
    index->bytes += sign > 0 ? bytes : -bytes;
}

static size_t put_blocks(mw_index_table *table, size_t at, const mw_segment *segment)
{
    for (mw_index_block *block = segment->blocks; block; block = block->next_in_segment)
        table->blocks[at++] = block;
    return at;
}

/* The blocks of the old table without those of `replaced`, those of `merged` before the first of a
 * later segment. Returns how many there are. */
static size_t fill_blocks(mw_index_table *table, const mw_index *index, const mw_segment *merged,
                          mw_segment *const *replaced, size_t count)
{
    const mw_index_table *old = index->table;
    const mw_segment *last = NULL;
    bool placed = !merged, skip = false;
    size_t at = 0;

    for (size_t i = 0; i < index->block_count; i++) {
        mw_index_block *block = old->blocks[i];
        if (i == 0 || block->segment != last) {
            last = block->segment;
            skip = is_listed(last, replaced, count);
        }
        if (!placed && !skip && last->header.first_seq > merged->header.first_seq) {
            at = put_blocks(table, at, merged);
            placed = true;
        }
        if (!skip)
            table->blocks[at++] = block;
    }
    return placed ? at : put_blocks(table, at, merged);
}

static void fill_segments(mw_index_table *table, const mw_index_table *old, mw_segment *merged,
                          mw_segment *const *replaced, size_t count)
{
    for (size_t i = 0; i < old->segment_count; i++)
        if (!is_listed(old->segments[i], replaced, count))
            table->segments[table->segment_count++] = old->segments[i];
    if (merged)
        table->segments[table->segment_count++] = merged;
    for (size_t i = 0; i < table->segment_count; i++)
        mw_segment_ref(table->segments[i]);
}

mw_err mw_index_add_merged(mw_index *index, mw_segment *merged, uint64_t seq)
{
    mw_err err = mw_index_add_segment(index, merged);
    if (err != MW_OK)
        return err;
    pthread_mutex_lock(&index->lock);
    size_t need = index->block_count + index->reserved + merged->block_count;
    mw_index_table *table = index->table;
    if (need > table->block_capacity)
        err = grow(index, need + need / 2, table->segment_capacity);
    if (err == MW_OK) {
        const mw_index_block *last =
            index->block_count ? index->table->blocks[index->block_count - 1] : NULL;
        MW_ASSERT(!last || last->segment->header.first_seq <= merged->header.first_seq);
        index->block_count = put_blocks(index->table, index->block_count, merged);
        index->bytes -= MW_SEGMENT_HEADER_SIZE; /* counted with the rest */
        count_segment(index, merged, 1);
        if (seq > index->seq)
            index->seq = seq;
    }
    pthread_mutex_unlock(&index->lock);
    return err;
}

mw_err mw_index_replace(mw_index *index, mw_segment *merged, mw_segment *const *replaced,
                        size_t count)
{
    size_t more = merged ? merged->block_count : 0;

    MW_ASSERT(!merged || merged->header.kind == MW_SEGMENT_MERGED);
    pthread_mutex_lock(&index->lock);
    mw_index_table *old = index->table;
    size_t need = index->block_count + index->reserved + more;
    mw_index_table *table =
        table_new(need > old->block_capacity ? need : old->block_capacity,
                  old->segment_count + 1 > old->segment_capacity ? 2 * old->segment_capacity
                                                                 : old->segment_capacity);
    if (table) {
        size_t blocks = fill_blocks(table, index, merged, replaced, count);
        fill_segments(table, old, merged, replaced, count);
        for (size_t i = 0; i < count; i++) {
            MW_ASSERT(is_listed(replaced[i], old->segments, old->segment_count));
            count_segment(index, replaced[i], -1);
        }
        if (merged)
            count_segment(index, merged, 1);
        index->block_count = blocks;
        index->table = table;
        old = table_drop(old);
    }
    pthread_mutex_unlock(&index->lock);
    if (table)
        table_free(old);
    return table ? MW_OK : MW_E_NOMEM;
}

void mw_index_remove_segment(mw_index *index, mw_segment *segment)
{
    pthread_mutex_lock(&index->lock);
    MW_ASSERT(!segment->blocks);
    mw_index_table *table = index->table;
    for (size_t i = 0; i < table->segment_count; i++) {
        if (table->segments[i] != segment)
            continue;
        table->segments[i] = table->segments[--table->segment_count];
        index->bytes -= MW_SEGMENT_HEADER_SIZE;
        mw_segment_unref(segment);
        break;
    }
    pthread_mutex_unlock(&index->lock);
}

void mw_index_publish(mw_index *index, mw_index_block *const *blocks, size_t count, uint64_t seq)
{
    pthread_mutex_lock(&index->lock);
    MW_ASSERT(index->reserved >= count);
    for (size_t i = 0; i < count; i++) {
        mw_index_block *block = blocks[i];
        block->next_in_segment = block->segment->blocks;
        block->segment->blocks = block;
        block->segment->block_count++;
        index->table->blocks[index->block_count + i] = block;
        index->items[block->header.signal] += block->header.item_count;
        index->bytes += mw_block_size(&block->header);
    }
    index->block_count += count;
    index->reserved -= count;
    if (seq > index->seq)
        index->seq = seq;
    pthread_mutex_unlock(&index->lock);
}

uint64_t mw_index_seq(mw_index *index)
{
    pthread_mutex_lock(&index->lock);
    uint64_t seq = index->seq;
    pthread_mutex_unlock(&index->lock);
    return seq;
}

void mw_index_snapshot_take(mw_index *index, mw_index_snapshot *out)
{
    pthread_mutex_lock(&index->lock);
    index->table->refs++;
    *out = (mw_index_snapshot){index->table, index->block_count, index->seq};
    pthread_mutex_unlock(&index->lock);
}

void mw_index_snapshot_drop(mw_index *index, mw_index_snapshot *snapshot)
{
    pthread_mutex_lock(&index->lock);
    mw_index_table *unused = table_drop(snapshot->table);
    pthread_mutex_unlock(&index->lock);
    table_free(unused);
    snapshot->table = NULL;
}
