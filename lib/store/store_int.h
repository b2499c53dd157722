/* The store and its views, as the files of this room see them. */
#ifndef MW_STORE_STORE_INT_H
#define MW_STORE_STORE_INT_H

#include "lib/store/merge/keeper.h"
#include "lib/store/merge/retention.h"
#include "lib/store/segment/damage.h"
#include "lib/store/segment/items_walk.h"
#include "lib/store/segment/spare.h"
#include "lib/store/segment/trace_filters.h"
#include "lib/store/segment/writer.h"

/* What a question may hold in memory for its own work, its answer aside: larger questions run in
 * passes over parts of the traces (or sessions) by hash. A sixteenth of the default memory limit,
 * because tables and buffers come on top: with twice as much a list of 450 k sessions held 223 MiB
 * in all. */
#define MW_QUERY_BUDGET ((size_t)32 << 20)

struct mw_store {
    char *directory;  /* MW_MEM_STORE */
    int directory_fd; /* holds the lock that keeps a second process out */
    uint64_t key_seed;
    uint8_t digest_key[MW_DIGEST_KEY_SIZE];
    mw_index index;
    mw_writer writer;
    mw_spare spare;
    mw_damage damage;
    /* the keeper's */
    mw_keeper keeper;
    mw_retention_limits limits;
    int64_t merge_after_ns;
    bool merges;              /* mw_store_config.merge */
    mw_store_reserve reserve; /* likewise */
    size_t merge_earlier_max; /* 0 = MW_MERGE_EARLIER_MAX; tests make it small */
    struct mw_catalogue *catalogue;
    mw_store_losses losses; /* as the start found them */
    uint64_t catalogue_made_ns;
    bool key_made; /* by this start, beside segments */
    struct mw_rollup_tail *tail;
    mw_trace_filters trace_filters; /* of recent merged segments: merging and the tail ask them */
    /* written by the keeper, read by statistics and appends */
    _Atomic uint64_t unmerged_bytes, repeats, conflicting, retired_segments, retired_items;
    _Atomic uint64_t merge_count, merge_failures, merge_failed_ns;
    atomic_uint packed_per_mille; /* mw_merge_room_packed */
};

#define MW_STORE_KEY_FIX                                                                           \
    "with the daemon stopped put the former digest.key back, or run `midwatch check --rebuild`"
#define MW_STORE_KEY_MADE                                                                          \
    "digest.key was missing and another is made: requests of before are not recognised when they " \
    "come again, series of metrics begin anew; " MW_STORE_KEY_FIX
#define MW_STORE_KEY_OTHER                                                                         \
    "merged segments are of another digest.key: what they know by it is made of their blocks at "  \
    "each start; " MW_STORE_KEY_FIX

/* Columns that a view keeps unpacked: a question meets the same few blocks several times, to find
 * rows, to join them, to fetch their texts. */
#define MW_VIEW_SLOTS 32u
#define MW_VIEW_SLOTS_BYTES ((size_t)12 << 20)

typedef struct mw_view_slot {
    const mw_index_block *block; /* NULL = free */
    mw_column_set columns;       /* of hot */
    mw_hot hot;
    char *raw;
    size_t size;
    uint64_t used; /* when last, by the view's count */
} mw_view_slot;

struct mw_store_view {
    mw_store *store;
    mw_index_snapshot snapshot;
    mw_block_reader hot_reader;   /* the view is one thread's, so its buffers are shared by its */
    mw_block_reader items_reader; /* questions, one after the other */
    mw_view_slot slots[MW_VIEW_SLOTS];
    size_t slots_bytes;
    uint64_t slots_count;
    size_t query_budget;     /* MW_QUERY_BUDGET; tests make it small */
    bool (*stop)(void *ctx); /* NULL = never */
    void *stop_ctx;
    bool whole;                 /* items are read however long they are */
    mw_damaged_place *left_out; /* once it tolerates damage */
    size_t left_out_count;
};

static inline size_t mw_view_count(const mw_store_view *view)
{
    return view->snapshot.block_count;
}

static inline const mw_index_block *mw_view_block(const mw_store_view *view, size_t at)
{
    return view->snapshot.table->blocks[at];
}

/* What reading all of a block's spans has shown: see mw_index_start_max. */
static inline void mw_view_note_start(const mw_store_view *view, size_t at, uint64_t start_max_ns)
{
    atomic_store_explicit(&view->snapshot.table->blocks[at]->start_max_ns, start_max_ns,
                          memory_order_relaxed);
}

/* A question about one signal passes over the blocks of the others. */
static inline bool mw_block_holds(const mw_index_block *block, mw_signal signal)
{
    return block->header.signal == signal;
}

/* Columns of a block, valid until the next call on this view; the walk over its items, which uses
 * these columns, one at a time on a view. A damaged block is logged with its place. MW_E_CORRUPT,
 * MW_E_IO, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_view_hot(mw_store_view *view, const mw_index_block *block, mw_hot *out);
/* The columns of the set, perhaps more: for a pass over many blocks, since a few columns of a
 * merged one take a fifth of the time of all. */
MW_MUST_USE mw_err mw_view_columns(mw_store_view *view, const mw_index_block *block,
                                   mw_column_set columns, mw_hot *out);
MW_MUST_USE mw_err mw_view_items(mw_store_view *view, const mw_index_block *block,
                                 const mw_hot *hot, mw_items_walk *walk);

/* Known as damaged, and tolerated: it has no rows. */
bool mw_view_leaves_out(const mw_store_view *view, const mw_index_block *block);

/* Is an item or a context of that length left out of answers (mw_store_shown_max)? */
static inline bool mw_is_oversized(uint64_t len)
{
    return len > mw_store_shown_max();
}

/* Text to the arena; empty becomes MW_SLICE_NONE. False without memory. */
MW_MUST_USE bool mw_text_copy(mw_arena *arena, mw_slice *text);
/* All texts of a row. */
MW_MUST_USE bool mw_span_row_copy(mw_arena *arena, mw_span_row *row);

#endif
