/* Pieces of traces. See trace_pieces.h. */
#include "lib/store/segment/trace_pieces.h"
#include "lib/store/segment/piece_list.h"
#include "lib/store/segment/segment_footer.h"
#include "lib/store/segment/tail_share.h"

#define MEMORY_SHARE 8
/* A trace with many sessions: beyond so many they may be named twice, which changes no bound. */
#define SESSIONS_LOOKED_AT 8u
/* As lists do (gather.h): of a longer trace not all spans may count. */
#define SPANS_COUNTED ((uint32_t)1 << 18)

typedef struct building {
    mw_store_view *view;
    mw_trace_piece *items; /* MW_MEM_QUERY */
    size_t count, capacity;
    size_t first; /* of the present trace; SIZE_MAX = none yet */
    uint64_t low, high, tokens;
    uint32_t rows;
    bool failed; /* without memory */
} building;

/* ---- what a segment keeps -------------------------------------------------------------------- */

static size_t bytes_max(void)
{
    size_t share = mw_memory_ceiling() / MEMORY_SHARE;
    return share < MW_TRACE_PIECES_MAX ? share : MW_TRACE_PIECES_MAX;
}

static bool has_room_for(size_t pieces)
{
    size_t bytes = sizeof(mw_piece_list) + pieces * sizeof(mw_trace_piece), most = bytes_max();
    return bytes <= most && mw_share_admits(MW_SHARE_PIECES, most, bytes, most);
}

/* Gives the segment the pieces; *out is what it then has, NULL without room. */
static void publish(mw_segment *segment, const building *made, size_t spans,
                    const mw_piece_list **out)
{
    size_t bytes = sizeof(mw_piece_list) + made->count * sizeof(mw_trace_piece);
    mw_piece_list *list = has_room_for(made->count) ? mw_alloc(MW_MEM_STORE, bytes) : NULL;
    mw_piece_list *there = NULL;
    *out = NULL;
    if (!list)
        return;
    *list = (mw_piece_list){.bytes = bytes, .spans = spans, .count = made->count};
    if (made->count)
        memcpy(list->items, made->items, made->count * sizeof *made->items);
    mw_share_note(MW_SHARE_PIECES, 0, bytes);
    if (atomic_compare_exchange_strong_explicit(&segment->pieces, &there, list,
                                                memory_order_acq_rel, memory_order_acquire)) {
        *out = list;
        return;
    }
    mw_piece_list_free(list);
    *out = there;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static uint32_t steps_of(uint64_t ns)
{
    uint64_t steps = (ns >> MW_PIECE_STEP_SHIFT) + ((ns & ((1u << MW_PIECE_STEP_SHIFT) - 1)) != 0);
    return steps < MW_PIECE_UNKNOWN ? (uint32_t)steps : MW_PIECE_UNKNOWN;
}

uint64_t mw_piece_high(const mw_trace_piece *piece)
{
    uint64_t length = (uint64_t)piece->length << MW_PIECE_STEP_SHIFT;
    if (piece->length == MW_PIECE_UNKNOWN || piece->low_ns > UINT64_MAX - length)
        return UINT64_MAX;
    return piece->low_ns + length;
}

uint64_t mw_piece_length_min(const mw_trace_piece *piece)
{
    return piece->length ? (uint64_t)(piece->length - 1) << MW_PIECE_STEP_SHIFT : 0;
}

static mw_trace_piece *add_piece(building *work, const uint8_t *trace_id, uint64_t session)
{
    if (!mw_have_room(MW_MEM_QUERY, &work->items, &work->capacity, work->count + 1,
                      sizeof *work->items)) {
        work->failed = true;
        return NULL;
    }
    mw_trace_piece *piece = &work->items[work->count++];
    *piece = (mw_trace_piece){.session = session, .low_ns = UINT64_MAX};
    memcpy(piece->trace_id, trace_id, MW_TRACE_ID_SIZE);
    return piece;
}

/* Writes the sums of the present trace to its first piece. */
static void end_trace(building *work)
{
    uint8_t id[MW_TRACE_ID_SIZE]; /* the array may move */
    if (work->first == SIZE_MAX)
        return;
    mw_trace_piece *piece = &work->items[work->first];
    piece->low_ns = work->low;
    piece->length = steps_of(work->high - work->low);
    piece->tokens = work->tokens < MW_PIECE_UNKNOWN ? (uint32_t)work->tokens : MW_PIECE_UNKNOWN;
    /* A second piece says that the first does not stand for all that counts. */
    memcpy(id, piece->trace_id, sizeof id);
    work->first = SIZE_MAX;
    if (work->rows > SPANS_COUNTED)
        add_piece(work, id, 0);
}

static void begin_trace(building *work, const uint8_t *trace_id)
{
    end_trace(work);
    if (!add_piece(work, trace_id, 0))
        return;
    work->first = work->count - 1;
    work->low = UINT64_MAX;
    work->high = work->tokens = 0;
    work->rows = 0;
}

static void add_session(building *work, uint64_t session)
{
    mw_trace_piece *first = &work->items[work->first];
    size_t from = work->first;
    if (!first->session)
        first->session = session;
    if (work->count - from > SESSIONS_LOOKED_AT)
        from = work->count - SESSIONS_LOOKED_AT;
    if (first->session == session)
        return;
    for (size_t i = from; i < work->count; i++)
        if (work->items[i].session == session)
            return;
    uint8_t id[MW_TRACE_ID_SIZE]; /* the array may move */
    memcpy(id, first->trace_id, sizeof id);
    add_piece(work, id, session);
}

/* ---- rows ------------------------------------------------------------------------------------ */

typedef struct session_memo {
    uint32_t ref;
    uint64_t key;
} session_memo;

/* Neighbours mostly name the same one. */
static uint64_t session_of(const building *work, const mw_hot *hot, uint32_t row,
                           session_memo *memo)
{
    uint32_t ref = mw_hot_ref(hot, MW_HOT_SESSION, row);
    if (ref != memo->ref) {
        memo->ref = ref;
        memo->key = ref ? mw_text_key(work->view->store->key_seed, mw_hot_string(hot, ref)) : 0;
    }
    return memo->key;
}

static uint64_t reported(const mw_hot *hot, mw_wide_column column, uint32_t row)
{
    uint64_t tokens = mw_hot_u64(hot, column, row);
    return tokens <= INT64_MAX ? tokens : 0; /* negative: not reported */
}

static void add_span(building *work, const mw_hot *hot, uint32_t row)
{
    uint8_t operation = hot->narrow[MW_NARROW_OPERATION][row];
    uint64_t start = mw_hot_time(hot, row), end = start + mw_hot_u64(hot, MW_WIDE_DURATION, row);
    if (start < work->low)
        work->low = start;
    /* A span that ends before it starts has no duration, whatever the column says. */
    end = end < start ? start : end;
    if (end > work->high)
        work->high = end;
    work->rows++;
    /* Tokens of others count nowhere (trace_join.h). */
    if (operation != MW_OP_MODEL && operation != MW_OP_AGENT)
        return;
    uint64_t tokens =
        reported(hot, MW_WIDE_INPUT_TOKENS, row) + reported(hot, MW_WIDE_OUTPUT_TOKENS, row);
    if (__builtin_add_overflow(work->tokens, tokens, &work->tokens))
        work->tokens = UINT64_MAX;
}

/* A trace's rows stand together in a merged segment, also from one block to the next. */
static void add_spans(building *work, const mw_hot *hot)
{
    uint32_t last = UINT32_MAX;
    session_memo memo = {0, 0};
    for (uint32_t row = 0; row < hot->count && !work->failed; row++) {
        uint32_t trace = mw_hot_ref(hot, MW_HOT_TRACE, row);
        const uint8_t *id = mw_hot_trace_id(hot, trace);
        if (trace != last && (work->first == SIZE_MAX ||
                              memcmp(work->items[work->first].trace_id, id, MW_TRACE_ID_SIZE) != 0))
            begin_trace(work, id);
        last = trace;
        if (work->failed)
            return;
        MW_ASSERT(work->items && work->first != SIZE_MAX);
        uint64_t session = session_of(work, hot, row, &memo);
        if (session && session != work->items[work->first].session)
            add_session(work, session);
        add_span(work, hot, row);
    }
}

/* A record with a session of its own is that session's, whatever its trace. */
static void add_logs(building *work, const mw_hot *hot)
{
    static const uint8_t nobody[MW_TRACE_ID_SIZE];
    session_memo memo = {0, 0};
    for (uint32_t row = 0; row < hot->count && !work->failed; row++) {
        uint64_t session = session_of(work, hot, row, &memo), time = mw_hot_time(hot, row);
        const uint8_t *id =
            session ? nobody : mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row));
        if (!session && mw_id_is_zero(id, MW_TRACE_ID_SIZE))
            continue;
        const mw_trace_piece *run = work->first == SIZE_MAX ? NULL : &work->items[work->first];
        if (!run || run->session != session || memcmp(run->trace_id, id, sizeof nobody) != 0) {
            begin_trace(work, id);
            if (work->failed)
                return;
            work->items[work->first].session = session;
        }
        work->low = time < work->low ? time : work->low;
        work->high = time > work->high ? time : work->high;
    }
}

static mw_err add_block(building *work, const mw_index_block *block)
{
    const mw_column_set columns =
        mw_column_ref(MW_HOT_TRACE) | mw_column_ref(MW_HOT_SESSION) | mw_column_wide(MW_WIDE_TIME) |
        mw_column_wide(MW_WIDE_DURATION) | mw_column_wide(MW_WIDE_INPUT_TOKENS) |
        mw_column_wide(MW_WIDE_OUTPUT_TOKENS) | mw_column_narrow(MW_NARROW_OPERATION);
    mw_hot hot;
    mw_err err = mw_view_columns(work->view, block, columns, &hot);
    if (err != MW_OK)
        return err;
    if (mw_block_holds(block, MW_SIGNAL_LOGS))
        add_logs(work, &hot);
    else
        add_spans(work, &hot);
    return work->failed ? MW_E_NOMEM : MW_OK;
}

/* The blocks of one signal from `from` to `to` of the view. */
static mw_err add_blocks(building *work, size_t from, size_t to, mw_signal signal)
{
    mw_err err = MW_OK;
    for (size_t i = from; err == MW_OK && i < to; i++)
        if (mw_block_holds(mw_view_block(work->view, i), signal))
            err = add_block(work, mw_view_block(work->view, i));
    if (err == MW_OK)
        end_trace(work);
    return err != MW_OK ? err : work->failed ? MW_E_NOMEM : MW_OK;
}

/* ---- a view ---------------------------------------------------------------------------------- */

typedef struct passing {
    building work;
    uint64_t since_ns;
    bool logs;
    mw_pieces_seen seen;
    void *ctx;
} passing;

static mw_err tell(passing *pass, const mw_trace_piece *pieces, size_t count, mw_piece_kind kind)
{
    return count ? pass->seen(pass->ctx, pieces, count, kind) : MW_OK;
}

/* A view that leaves damaged blocks out has not all of the segment. */
static mw_err keep_pieces(passing *pass, size_t from, size_t to, const mw_piece_list **out)
{
    building *work = &pass->work;
    mw_segment *segment = mw_view_block(work->view, from)->segment;
    size_t traces = 0, spans;

    *out = atomic_load_explicit(&segment->pieces, memory_order_acquire);
    if (*out || work->view->left_out_count)
        return MW_OK;
    for (size_t i = from; i < to; i++)
        if (!mw_block_holds(mw_view_block(work->view, i), MW_SIGNAL_METRICS))
            traces += mw_view_block(work->view, i)->all_traces;
    if (!has_room_for(traces))
        return MW_OK;
    work->count = 0;
    mw_err err = add_blocks(work, from, to, MW_SIGNAL_TRACES);
    spans = work->count;
    if (err == MW_OK)
        err = add_blocks(work, from, to, MW_SIGNAL_LOGS);
    if (err == MW_OK)
        publish(segment, work, spans, out);
    return err;
}

static mw_err pass_block(passing *pass, size_t at, mw_piece_kind kind)
{
    building *work = &pass->work;
    const mw_index_block *block = mw_view_block(work->view, at);
    bool logs = mw_block_holds(block, MW_SIGNAL_LOGS);
    if ((logs && !pass->logs) || (!logs && !mw_block_holds(block, MW_SIGNAL_TRACES)) ||
        block->header.event_max_ns < pass->since_ns)
        return MW_OK;
    work->count = 0;
    mw_err err = add_blocks(work, at, at + 1, logs ? MW_SIGNAL_LOGS : MW_SIGNAL_TRACES);
    return err != MW_OK ? err : tell(pass, work->items, work->count, logs ? MW_PIECES_LOGS : kind);
}

static bool ends_before(const mw_store_view *view, size_t from, size_t to, uint64_t since_ns)
{
    for (size_t i = from; i < to; i++)
        if (mw_view_block(view, i)->header.event_max_ns >= since_ns)
            return false;
    return true;
}

/* A merged segment's blocks stand together. */
static mw_err pass_merged(passing *pass, size_t from, size_t to)
{
    const mw_piece_list *kept = NULL;
    if (ends_before(pass->work.view, from, to, pass->since_ns))
        return MW_OK;
    mw_err err = keep_pieces(pass, from, to, &kept);
    if (err == MW_OK && kept) {
        err = tell(pass, kept->items, kept->spans, MW_PIECES_WHOLE);
        if (err == MW_OK && pass->logs)
            err = tell(pass, kept->items + kept->spans, kept->count - kept->spans, MW_PIECES_LOGS);
        return err;
    }
    for (size_t i = from; err == MW_OK && i < to; i++)
        err = pass_block(pass, i, MW_PIECES_WHOLE);
    return err;
}

mw_err mw_trace_pieces_each(mw_store_view *view, uint64_t since_ns, bool logs, mw_pieces_seen seen,
                            void *ctx)
{
    passing pass = {.work = {.view = view, .first = SIZE_MAX},
                    .since_ns = since_ns,
                    .logs = logs,
                    .seen = seen,
                    .ctx = ctx};
    size_t count = mw_view_count(view);
    mw_err err = MW_OK;
    for (size_t i = 0, next; err == MW_OK && i < count; i = next) {
        const mw_segment *segment = mw_view_block(view, i)->segment;
        next = i + 1;
        while (segment->footer && next < count && mw_view_block(view, next)->segment == segment)
            next++;
        if (view->stop && view->stop(view->stop_ctx))
            err = MW_E_TIMEOUT;
        else if (segment->footer)
            err = pass_merged(&pass, i, next);
        else
            err = pass_block(&pass, i, MW_PIECES_LOOSE);
    }
    mw_free(MW_MEM_QUERY, pass.work.items);
    return err;
}
