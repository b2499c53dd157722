/* The in-memory index. See index.h for the way of publication. */
#include "lib/store/index.h"

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

static void table_unref(mw_index_table *table)
{
    if (--table->refs > 0)
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
    table_unref(old);
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
    table_unref(index->table);
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
    table_unref(snapshot->table);
    pthread_mutex_unlock(&index->lock);
    snapshot->table = NULL;
}
