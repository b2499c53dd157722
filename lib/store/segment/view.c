/* Views: a snapshot of the index and the buffers with which one thread reads its blocks. */
#include "lib/base/log.h"
#include "lib/store/store_int.h"

/* An item in an answer costs up to 13 times its bytes: a copy, its unpacked strings, its JSON (each
 * byte may become six) and the half by which a buffer grows ahead. So one always fits. */
#define SHOWN_SHARE 16

mw_err mw_store_view_open(mw_store *store, mw_store_view **out)
{
    mw_store_view *view = mw_calloc(MW_MEM_QUERY, 1, sizeof *view);
    if (!view)
        return MW_E_NOMEM;
    view->store = store;
    view->query_budget = MW_QUERY_BUDGET;
    mw_block_reader_init(&view->hot_reader);
    mw_block_reader_init(&view->items_reader);
    mw_index_snapshot_take(&store->index, &view->snapshot);
    *out = view;
    return MW_OK;
}

void mw_store_view_close(mw_store_view *view)
{
    if (!view)
        return;
    mw_index_snapshot_drop(&view->store->index, &view->snapshot);
    for (size_t i = 0; i < MW_VIEW_SLOTS; i++)
        mw_free(MW_MEM_QUERY, view->slots[i].raw);
    mw_block_reader_fini(&view->hot_reader);
    mw_block_reader_fini(&view->items_reader);
    mw_free(MW_MEM_QUERY, view->left_out);
    mw_free(MW_MEM_QUERY, view);
}

void mw_store_view_stop(mw_store_view *view, bool (*stop)(void *ctx), void *ctx)
{
    view->stop = stop;
    view->stop_ctx = ctx;
}

void mw_store_view_whole(mw_store_view *view, bool whole)
{
    view->whole = whole;
}

static bool is_stopped(const mw_store_view *view)
{
    return view->stop && view->stop(view->stop_ctx);
}

uint64_t mw_store_view_seq(const mw_store_view *view)
{
    return view->snapshot.seq;
}

bool mw_store_view_tolerate(mw_store_view *view)
{
    mw_damaged_place *places;
    size_t count, before = view->left_out_count;
    if (mw_damage_copy(&view->store->damage, &places, &count) != MW_OK)
        return false;
    mw_free(MW_MEM_QUERY, view->left_out);
    view->left_out = places;
    view->left_out_count = count;
    return count > before;
}

size_t mw_store_view_left_out(const mw_store_view *view)
{
    return view->left_out_count;
}

bool mw_view_leaves_out(const mw_store_view *view, const mw_index_block *block)
{
    for (size_t i = 0; i < view->left_out_count; i++)
        if (view->left_out[i].offset == block->offset &&
            view->left_out[i].segment_id == block->segment->header.id)
            return true;
    return false;
}

/* Logged once a block: lists that are asked all night would fill the log. */
static mw_err checked(mw_store_view *view, const mw_index_block *block, mw_err err)
{
    if ((err == MW_E_CORRUPT || err == MW_E_IO) &&
        mw_damage_note(&view->store->damage, block->segment->header.id, block->offset))
        MW_LOG(MW_LOG_ERROR, "store", "a stored block cannot be read",
               MW_KV_STR("file", block->segment->path), MW_KV_U64("offset", block->offset),
               MW_KV_ERR(err));
    return err;
}

static mw_view_slot *slot_of(mw_store_view *view, const mw_index_block *block)
{
    for (size_t i = 0; i < MW_VIEW_SLOTS; i++)
        if (view->slots[i].block == block)
            return &view->slots[i];
    return NULL;
}

static mw_view_slot *oldest_slot(mw_store_view *view)
{
    mw_view_slot *oldest = &view->slots[0];
    for (size_t i = 1; i < MW_VIEW_SLOTS; i++)
        if (view->slots[i].used < oldest->used)
            oldest = &view->slots[i];
    return oldest;
}

/* The slot that was not used for longest, with its memory; others give theirs up while all together
 * have too much. */
static mw_view_slot *take_slot(mw_store_view *view, size_t need)
{
    size_t share = mw_memory_query_share() / SHOWN_SHARE;
    size_t most = share < MW_VIEW_SLOTS_BYTES ? share : MW_VIEW_SLOTS_BYTES;
    for (;;) {
        mw_view_slot *slot = oldest_slot(view);
        slot->block = NULL;
        if (view->slots_bytes <= slot->size || view->slots_bytes - slot->size + need <= most)
            return slot;
        if (slot->raw) {
            mw_free(MW_MEM_QUERY, slot->raw);
            view->slots_bytes -= slot->size;
            slot->raw = NULL;
            slot->size = 0;
        }
        slot->used = ++view->slots_count; /* empty, but not asked again in this round */
    }
}

/* The reader unpacks into the slot's memory, or gives it a larger one. */
static mw_err fill_slot(mw_store_view *view, mw_view_slot *slot, const mw_index_block *block,
                        mw_column_set columns)
{
    mw_block_reader *reader = &view->hot_reader;
    view->slots_bytes -= slot->size;
    reader->raw = slot->raw;
    reader->raw_size = slot->size;
    slot->block = NULL;
    mw_err err = checked(view, block,
                         mw_read_columns(reader, block->segment->fd, block->offset, &block->header,
                                         columns, &slot->hot));
    slot->raw = reader->raw;
    slot->size = reader->raw ? reader->raw_size : 0;
    view->slots_bytes += slot->size;
    reader->raw = NULL;
    reader->raw_size = 0;
    if (err != MW_OK)
        return err;
    slot->block = block;
    slot->columns = columns;
    return MW_OK;
}

mw_err mw_view_columns(mw_store_view *view, const mw_index_block *block, mw_column_set columns,
                       mw_hot *out)
{
    mw_err err = MW_OK;
    if (is_stopped(view))
        return MW_E_TIMEOUT;
    if (mw_view_leaves_out(view, block)) {
        *out = (mw_hot){.signal = block->header.signal, .seq = block->header.seq, .width = 2};
        return MW_OK;
    }
    mw_view_slot *slot = slot_of(view, block);
    if (slot && columns & ~slot->columns)
        err = fill_slot(view, slot, block, columns | slot->columns);
    else if (!slot) {
        slot = take_slot(view, block->header.hot_raw);
        err = fill_slot(view, slot, block, columns);
    }
    if (err != MW_OK)
        return err;
    slot->used = ++view->slots_count;
    *out = slot->hot;
    return MW_OK;
}

mw_err mw_view_hot(mw_store_view *view, const mw_index_block *block, mw_hot *out)
{
    return mw_view_columns(view, block, MW_COLUMNS_ALL, out);
}

mw_err mw_view_items(mw_store_view *view, const mw_index_block *block, const mw_hot *hot,
                     mw_items_walk *walk)
{
    if (is_stopped(view))
        return MW_E_TIMEOUT;
    return checked(view, block,
                   mw_items_walk_begin(walk, &view->items_reader, block->segment->fd, block->offset,
                                       &block->header, hot));
}

size_t mw_store_shown_max(void)
{
    size_t share = mw_memory_query_share() / SHOWN_SHARE;
    return share < MW_STORE_SHOWN_MAX ? share : MW_STORE_SHOWN_MAX;
}

bool mw_text_copy(mw_arena *arena, mw_slice *text)
{
    if (text->len == 0) {
        *text = MW_SLICE_NONE;
        return true;
    }
    *text = mw_arena_copy(arena, *text);
    return text->data != NULL;
}

bool mw_span_row_copy(mw_arena *arena, mw_span_row *row)
{
    mw_slice *texts[] = {&row->name,       &row->service,        &row->peer_service,
                         &row->session_id, &row->agent,          &row->user,
                         &row->model,      &row->status_message, &row->origin};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!mw_text_copy(arena, texts[i]))
            return false;
    return true;
}
