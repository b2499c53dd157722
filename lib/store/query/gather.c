/* Gathering. See gather.h. One thread: the view's. */
#include <xxhash.h>

#include "lib/store/query/gather.h"

#define ROWS_A_CHUNK 4096u
#define NO_ROW UINT32_MAX
/* Parts are a power of two; beyond this many, a part is one trace. */
#define PARTS_MAX ((uint32_t)1 << 24)
/* The pointers handed to the join, and a share of the set of traces. */
#define ROW_COST (sizeof(mw_join_span) + sizeof(mw_join_span *) + 24)
/* The copy handed out with the join. */
#define LOG_COST (2 * sizeof(mw_join_log))

typedef struct trace_rows {
    uint32_t head, tail, count;
    uint32_t log_head, log_runs; /* the newest run first */
    uint64_t logs;
} trace_rows;

typedef struct gathering {
    mw_store_view *view;
    const mw_gather_question *question;
    uint32_t part, parts;
    mw_block_set wanted_blocks; /* that hold a wanted trace, when not all are */
    mw_block_set log_blocks;    /* that hold a trace of this part, when it is not all of these */
    mw_trace_set traces;        /* of this part */
    trace_rows *rows_of;        /* by number in `traces` */
    size_t rows_of_capacity;
    mw_join_span **chunks;
    size_t chunk_count, chunk_capacity;
    size_t row_count;
    mw_join_log *logs; /* runs of all traces, chained */
    size_t log_count, log_capacity;
    /* per block, reused */
    uint32_t *number_of;   /* by trace of the block; NO_ROW = not wanted */
    uint64_t *session_key; /* by string reference, 0 = not yet computed */
    size_t number_capacity, session_capacity;
    /* per trace, reused */
    mw_join_span **pointers;
    size_t pointer_capacity;
    mw_join_log *log_copy;
    size_t log_copy_capacity;
    mw_join join;
} gathering;

static mw_join_span *row_at(const gathering *work, uint32_t row)
{
    return &work->chunks[row / ROWS_A_CHUNK][row % ROWS_A_CHUNK];
}

static mw_join_span *new_row(gathering *work)
{
    if (work->row_count % ROWS_A_CHUNK == 0) {
        if (!mw_have_room(MW_MEM_QUERY, &work->chunks, &work->chunk_capacity, work->chunk_count + 1,
                          sizeof *work->chunks))
            return NULL;
        mw_join_span *chunk = mw_alloc(MW_MEM_QUERY, ROWS_A_CHUNK * sizeof *chunk);
        if (!chunk)
            return NULL;
        work->chunks[work->chunk_count++] = chunk;
    }
    return row_at(work, (uint32_t)work->row_count++);
}

static void forget_rows(gathering *work)
{
    for (size_t i = 0; i < work->chunk_count; i++)
        mw_free(MW_MEM_QUERY, work->chunks[i]);
    work->chunk_count = 0;
    work->row_count = 0;
    work->log_count = 0;
    mw_trace_set_fini(&work->traces);
    mw_trace_set_init(&work->traces, work->view->store->key_seed);
}

/* ---- one block ------------------------------------------------------------------------------- */

static bool in_part(const gathering *work, const uint8_t *id)
{
    /* Another seed than the sets': their tables would fill in stripes. */
    uint64_t seed = work->view->store->key_seed ^ UINT64_C(0x9e3779b97f4a7c15);
    return work->parts == 1 ||
           (XXH3_64bits_withSeed(id, MW_TRACE_ID_SIZE, seed) & (work->parts - 1)) == work->part;
}

static mw_err number_trace(gathering *work, const uint8_t *id, uint32_t *number)
{
    uint32_t ignored;
    *number = NO_ROW;
    if (!in_part(work, id) ||
        (work->question->wanted && !mw_trace_set_find(work->question->wanted, id, &ignored)))
        return MW_OK;
    size_t before = work->traces.count;
    mw_err err = mw_trace_set_add(&work->traces, id, number);
    if (err != MW_OK || work->traces.count == before)
        return err;
    if (!mw_have_room(MW_MEM_QUERY, &work->rows_of, &work->rows_of_capacity, work->traces.count,
                      sizeof *work->rows_of))
        return MW_E_NOMEM;
    work->rows_of[*number] = (trace_rows){.head = NO_ROW, .tail = NO_ROW, .log_head = NO_ROW};
    return MW_OK;
}

/* Numbers the block's traces; *any tells whether one of them is wanted. */
static mw_err number_block(gathering *work, const mw_hot *hot, bool *any)
{
    *any = false;
    if (!mw_have_room(MW_MEM_QUERY, &work->number_of, &work->number_capacity, hot->traces,
                      sizeof(uint32_t)) ||
        !mw_have_room(MW_MEM_QUERY, &work->session_key, &work->session_capacity,
                      (size_t)hot->strings + 1, sizeof(uint64_t)))
        return MW_E_NOMEM;
    memset(work->session_key, 0, ((size_t)hot->strings + 1) * sizeof(uint64_t));
    for (uint32_t i = 0; i < hot->traces; i++) {
        mw_err err = number_trace(work, mw_hot_trace_id(hot, i), &work->number_of[i]);
        if (err != MW_OK)
            return err;
        *any |= work->number_of[i] != NO_ROW;
    }
    return MW_OK;
}

static mw_err own_session(gathering *work, const mw_hot *hot, uint32_t row, uint64_t *key)
{
    uint32_t ref = mw_hot_ref(hot, MW_HOT_SESSION, row);
    *key = 0;
    if (ref == 0)
        return MW_OK;
    if (!work->session_key[ref]) {
        mw_slice text = mw_hot_string(hot, ref);
        work->session_key[ref] = mw_text_key(work->view->store->key_seed, text);
        if (work->question->session) {
            mw_err err = work->question->session(work->question->ctx, work->session_key[ref], text);
            if (err != MW_OK)
                return err;
        }
    }
    *key = work->session_key[ref];
    return MW_OK;
}

static mw_err add_row(gathering *work, const mw_hot *hot, uint32_t block, uint32_t row,
                      uint32_t number)
{
    trace_rows *trace = &work->rows_of[number];
    uint64_t session;

    if (work->question->trace_spans_max && trace->count == work->question->trace_spans_max)
        return MW_OK;
    mw_err err = own_session(work, hot, row, &session);
    if (err != MW_OK)
        return err;
    if (!work->question->trace)
        return MW_OK;
    uint32_t at = (uint32_t)work->row_count;
    mw_join_span *span = new_row(work);
    if (!span)
        return MW_E_NOMEM;
    span->span_id = mw_trace_key(hot->wide[MW_WIDE_SPAN_ID] + 8 * (size_t)row);
    span->parent_id = mw_trace_key(hot->wide[MW_WIDE_PARENT] + 8 * (size_t)row);
    span->start_ns = mw_hot_time(hot, row);
    span->end_ns = span->start_ns + mw_hot_u64(hot, MW_WIDE_DURATION, row);
    span->seq = mw_hot_seq(hot, row);
    span->input_tokens = (int64_t)mw_hot_u64(hot, MW_WIDE_INPUT_TOKENS, row);
    span->output_tokens = (int64_t)mw_hot_u64(hot, MW_WIDE_OUTPUT_TOKENS, row);
    span->session = session;
    span->block = block;
    span->row = row;
    span->next = NO_ROW;
    span->operation_kind = hot->narrow[MW_NARROW_OPERATION][row];
    span->status = hot->narrow[MW_NARROW_STATUS][row];
    span->has_agent = mw_hot_ref(hot, MW_HOT_AGENT, row) != 0;
    span->has_user = mw_hot_ref(hot, MW_HOT_USER, row) != 0;
    span->met = 0;
    if (work->question->match)
        err = mw_span_match_row(work->question->match, hot, row, &span->met);
    else if (work->question->row)
        err = work->question->row(work->question->ctx, hot, row, &span->met);
    if (err != MW_OK)
        return err;
    if (trace->tail == NO_ROW)
        trace->head = at;
    else
        row_at(work, trace->tail)->next = at;
    trace->tail = at;
    trace->count++;
    return MW_OK;
}

static bool block_may_hold(const gathering *work, uint32_t at)
{
    return mw_block_holds(mw_view_block(work->view, at), MW_SIGNAL_TRACES) &&
           (!work->question->wanted || mw_block_set_has(&work->wanted_blocks, at));
}

static mw_err gather_block(gathering *work, uint32_t at)
{
    const mw_index_block *block = mw_view_block(work->view, at);
    mw_hot hot;
    bool any = false;

    if (!block_may_hold(work, at))
        return MW_OK;
    mw_err err = mw_view_hot(work->view, block, &hot);
    if (err == MW_OK)
        err = number_block(work, &hot, &any);
    if (err != MW_OK || !any)
        return err;
    mw_span_match *match = work->question->match;
    if (match)
        err = mw_span_match_block(match, block, &hot);
    for (uint32_t row = 0; err == MW_OK && row < hot.count; row++) {
        uint32_t number = work->number_of[mw_hot_ref(&hot, MW_HOT_TRACE, row)];
        if (number != NO_ROW)
            err = add_row(work, &hot, at, row, number);
    }
    if (match)
        mw_span_match_leave(match);
    return err;
}

/* ---- one block of logs ----------------------------------------------------------------------- */

/* Neighbours of one span become one run: a span's records mostly arrive together. */
static mw_err add_log(gathering *work, trace_rows *trace, uint64_t span_id, uint64_t time_ns)
{
    mw_join_log *last = trace->log_head == NO_ROW ? NULL : &work->logs[trace->log_head];
    if (last && last->span_id == span_id && last->count < UINT32_MAX) {
        last->count++;
        last->first_ns = time_ns < last->first_ns ? time_ns : last->first_ns;
        last->last_ns = time_ns > last->last_ns ? time_ns : last->last_ns;
        return MW_OK;
    }
    if (trace->log_runs == MW_GATHER_TRACE_LOGS_MAX)
        return MW_OK;
    if (work->log_count >= NO_ROW || !mw_have_room(MW_MEM_QUERY, &work->logs, &work->log_capacity,
                                                   work->log_count + 1, sizeof *work->logs))
        return MW_E_NOMEM;
    MW_ASSERT(work->logs);
    work->logs[work->log_count] = (mw_join_log){span_id, time_ns, time_ns, 1, trace->log_head};
    trace->log_head = (uint32_t)work->log_count++;
    trace->log_runs++;
    return MW_OK;
}

/* Spans come first (run_part): only traces that have some are numbered. */
static mw_err number_log_block(gathering *work, const mw_hot *hot, bool *any)
{
    *any = false;
    if (!mw_have_room(MW_MEM_QUERY, &work->number_of, &work->number_capacity, hot->traces,
                      sizeof(uint32_t)))
        return MW_E_NOMEM;
    for (uint32_t i = 0; i < hot->traces; i++) {
        work->number_of[i] = NO_ROW;
        *any |= mw_trace_set_find(&work->traces, mw_hot_trace_id(hot, i), &work->number_of[i]);
    }
    return MW_OK;
}

static mw_err gather_log_block(gathering *work, uint32_t at)
{
    const mw_index_block *block = mw_view_block(work->view, at);
    mw_hot hot;
    bool any = false;

    const mw_block_set *blocks = work->log_blocks.bits ? &work->log_blocks : &work->wanted_blocks;
    if (!mw_block_holds(block, MW_SIGNAL_LOGS) || !mw_block_set_has(blocks, at))
        return MW_OK;
    mw_err err = mw_view_hot(work->view, block, &hot);
    if (err == MW_OK)
        err = number_log_block(work, &hot, &any);
    for (uint32_t row = 0; err == MW_OK && any && row < hot.count; row++) {
        uint32_t number = work->number_of[mw_hot_ref(&hot, MW_HOT_TRACE, row)];
        if (number == NO_ROW)
            continue;
        work->rows_of[number].logs++;
        if (work->question->logs == MW_GATHER_LOG_RUNS &&
            mw_hot_ref(&hot, MW_HOT_SESSION, row) == 0)
            err = add_log(work, &work->rows_of[number],
                          mw_trace_key(hot.wide[MW_WIDE_SPAN_ID] + 8 * (size_t)row),
                          mw_hot_time(&hot, row));
    }
    return err;
}

/* ---- one part -------------------------------------------------------------------------------- */

static mw_err hand_over_logs(gathering *work, const trace_rows *trace)
{
    size_t count = 0;
    work->join.log_count = trace->logs;
    if (trace->log_runs == 0)
        return MW_OK;
    if (!mw_have_room(MW_MEM_QUERY, &work->log_copy, &work->log_copy_capacity, trace->log_runs,
                      sizeof *work->log_copy))
        return MW_E_NOMEM;
    for (uint32_t at = trace->log_head; at != NO_ROW; at = work->logs[at].next)
        work->log_copy[count++] = work->logs[at];
    work->join.log_runs = work->log_copy;
    work->join.log_run_count = count;
    return MW_OK;
}

static mw_err join_trace(gathering *work, uint32_t number)
{
    const trace_rows *trace = &work->rows_of[number];
    if (trace->count == 0)
        return MW_OK;
    if (!mw_have_room(MW_MEM_QUERY, &work->pointers, &work->pointer_capacity, trace->count,
                      sizeof(mw_join_span *)))
        return MW_E_NOMEM;
    size_t count = 0;
    for (uint32_t row = trace->head; row != NO_ROW; row = row_at(work, row)->next)
        work->pointers[count++] = row_at(work, row);
    mw_err err = mw_join_run(&work->join, work->pointers, count);
    if (err == MW_OK)
        err = hand_over_logs(work, trace);
    if (err == MW_OK)
        err = work->question->trace(work->question->ctx, work->traces.ids[number], &work->join);
    return err;
}

/* May the part grow further? One trace cannot be split. */
static bool part_fits(const gathering *work)
{
    size_t used = work->row_count * ROW_COST + work->log_count * LOG_COST;
    return used <= work->view->query_budget || work->parts == PARTS_MAX || work->traces.count <= 1;
}

/* *fits is false when the part was given up because it exceeds the budget: nothing was told. */
static mw_err run_part(gathering *work, bool *fits)
{
    mw_err err = MW_OK;
    size_t count = mw_view_count(work->view);

    *fits = true;
    forget_rows(work);
    for (uint32_t i = 0; err == MW_OK && *fits && i < count; i++) {
        err = gather_block(work, i);
        *fits = err != MW_OK || part_fits(work);
    }
    bool logs = work->question->logs != MW_GATHER_NO_LOGS && work->traces.count > 0 &&
                work->question->trace;
    /* The blocks of all wanted traces are known already, whatever their signal. */
    if (err == MW_OK && *fits && logs && !(work->question->wanted && work->parts == 1))
        err = mw_block_set_traces(work->view, &work->traces, &work->log_blocks);
    for (uint32_t i = 0; err == MW_OK && *fits && logs && i < count; i++) {
        err = gather_log_block(work, i);
        *fits = err != MW_OK || part_fits(work);
    }
    mw_block_set_fini(&work->log_blocks);
    if (!*fits)
        return MW_OK;
    for (uint32_t i = 0; err == MW_OK && i < work->traces.count; i++)
        err = join_trace(work, i);
    return err;
}

/* Parts still to do, as (part, parts). Splitting (p, n) gives (p, 2n) and (p + n, 2n): both halves
 * of the same hashes. Depth first, so the stack holds at most one entry for each bit of PARTS_MAX
 * beside the first level, which is a loop. */
static mw_err run_splitting(gathering *work, uint32_t part, uint32_t parts)
{
    struct {
        uint32_t part, parts;
    } stack[32];
    size_t depth = 0;
    mw_err err = MW_OK;

    stack[depth++].part = part;
    stack[0].parts = parts;
    while (err == MW_OK && depth > 0) {
        bool fits;
        depth--;
        work->part = stack[depth].part;
        work->parts = stack[depth].parts;
        err = run_part(work, &fits);
        if (err != MW_OK || fits)
            continue;
        MW_ASSERT(depth + 2 <= sizeof stack / sizeof *stack);
        stack[depth].part = work->part + work->parts;
        stack[depth++].parts = work->parts * 2;
        stack[depth].part = work->part;
        stack[depth++].parts = work->parts * 2;
    }
    return err;
}

static uint32_t parts_at_first(const mw_store_view *view, const mw_gather_question *question)
{
    uint64_t bytes = 0;
    uint32_t parts = 1;
    if (question->wanted)
        return 1;
    /* Of logs it is not known how many make a run: what is too large is split later. */
    for (size_t i = 0; i < mw_view_count(view); i++)
        if (mw_block_holds(mw_view_block(view, i), MW_SIGNAL_TRACES))
            bytes += (uint64_t)mw_view_block(view, i)->header.item_count * ROW_COST;
    /* A fifth of room: parts are not all alike. */
    while (parts < PARTS_MAX && bytes / parts * 6 / 5 > view->query_budget)
        parts *= 2;
    return parts;
}

mw_err mw_gather(mw_store_view *view, const mw_gather_question *question)
{
    gathering work = {.view = view, .question = question};
    uint32_t parts = parts_at_first(view, question);
    mw_err err = MW_OK;

    mw_trace_set_init(&work.traces, view->store->key_seed);
    mw_join_init(&work.join);
    if (question->wanted)
        err = mw_block_set_traces(view, question->wanted, &work.wanted_blocks);
    for (uint32_t part = 0; err == MW_OK && part < parts; part++)
        err = run_splitting(&work, part, parts);
    forget_rows(&work);
    mw_block_set_fini(&work.wanted_blocks);
    mw_trace_set_fini(&work.traces);
    mw_join_fini(&work.join);
    mw_free(MW_MEM_QUERY, work.chunks);
    mw_free(MW_MEM_QUERY, work.rows_of);
    mw_free(MW_MEM_QUERY, work.number_of);
    mw_free(MW_MEM_QUERY, work.session_key);
    mw_free(MW_MEM_QUERY, work.pointers);
    mw_free(MW_MEM_QUERY, work.logs);
    mw_free(MW_MEM_QUERY, work.log_copy);
    return err;
}

/* ---- which traces ---------------------------------------------------------------------------- */

static mw_err add_trace_of(const mw_hot *hot, uint32_t row, mw_trace_set *set)
{
    uint32_t number;
    return mw_trace_set_add(set, mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row)), &number);
}

/* A stretch of time, both ends included. */
typedef struct stretch {
    uint64_t from_ns, to_ns;
    mw_gather_time time;
} stretch;

static bool in_stretch(const stretch *wanted, uint64_t time_ns)
{
    return time_ns >= wanted->from_ns && time_ns <= wanted->to_ns;
}

/* Rows of a trace are neighbours, mostly: it is added once for them. *start_max: of all rows. */
static mw_err add_spans_between(const mw_hot *hot, const stretch *wanted, mw_trace_set *set,
                                uint64_t *start_max)
{
    uint32_t last = NO_ROW;
    mw_err err = MW_OK;
    *start_max = 0;
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++) {
        uint64_t start = mw_hot_time(hot, row), latest = start;
        *start_max = start > *start_max ? start : *start_max;
        if (wanted->time == MW_GATHER_LATEST) {
            uint64_t end = start + mw_hot_u64(hot, MW_WIDE_DURATION, row);
            /* Clocks being what they are, the end may come before the start. */
            latest = end > start ? end : start;
        }
        if (!in_stretch(wanted, latest) || mw_hot_ref(hot, MW_HOT_TRACE, row) == last)
            continue;
        last = mw_hot_ref(hot, MW_HOT_TRACE, row);
        err = add_trace_of(hot, row, set);
    }
    return err;
}

static mw_err add_logs_between(const mw_hot *hot, const stretch *wanted, mw_trace_set *set)
{
    mw_err err = MW_OK;
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++)
        if (in_stretch(wanted, mw_hot_time(hot, row)) && mw_hot_ref(hot, MW_HOT_SESSION, row) == 0)
            err = add_trace_of(hot, row, set);
    return err;
}

/* May a row be in the stretch? */
static bool meets_stretch(const mw_index_block *block, const stretch *wanted)
{
    uint64_t max_ns = wanted->time == MW_GATHER_STARTS && mw_block_holds(block, MW_SIGNAL_TRACES)
                          ? mw_index_start_max(block)
                          : block->header.event_max_ns;
    return max_ns >= wanted->from_ns && block->header.event_min_ns <= wanted->to_ns;
}

static mw_err collect_spans_between(mw_store_view *view, size_t at, const stretch *wanted,
                                    mw_column_set columns, mw_trace_set *set)
{
    uint64_t start_max;
    mw_hot hot;
    mw_err err = mw_view_columns(view, mw_view_block(view, at), columns, &hot);
    if (err == MW_OK)
        err = add_spans_between(&hot, wanted, set, &start_max);
    if (err == MW_OK)
        mw_view_note_start(view, at, start_max);
    return err;
}

static mw_err collect_logs_between(mw_store_view *view, size_t at, const stretch *wanted,
                                   mw_column_set columns, mw_trace_set *set)
{
    mw_hot hot;
    mw_err err = mw_view_columns(view, mw_view_block(view, at), columns, &hot);
    return err == MW_OK ? add_logs_between(&hot, wanted, set) : err;
}

/* A pass over more blocks than a view keeps unpacks what it looks at and no more: the join that
 * comes next reads them anew in any case. */
static mw_column_set pass_columns(size_t blocks, mw_column_set few)
{
    return blocks > MW_VIEW_SLOTS / 2 ? few : MW_COLUMNS_ALL;
}

static mw_column_set columns_of_stretch(const mw_store_view *view, const stretch *wanted)
{
    size_t blocks = 0;
    for (size_t i = 0; i < mw_view_count(view); i++)
        blocks += meets_stretch(mw_view_block(view, i), wanted);
    return pass_columns(blocks, mw_column_ref(MW_HOT_TRACE) | mw_column_ref(MW_HOT_SESSION) |
                                    mw_column_wide(MW_WIDE_TIME) |
                                    mw_column_wide(MW_WIDE_DURATION));
}

/* Adds the traces with a row in the stretch. MW_E_LIMIT when the set exceeds the budget. */
static mw_err collect_between(mw_store_view *view, const stretch *wanted, mw_trace_set *set)
{
    bool logs = wanted->time == MW_GATHER_LATEST;
    mw_column_set columns = columns_of_stretch(view, wanted);
    for (size_t i = 0; i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_err err = MW_OK;
        if (!meets_stretch(block, wanted))
            continue;
        if (mw_block_holds(block, MW_SIGNAL_TRACES))
            err = collect_spans_between(view, i, wanted, columns, set);
        else if (logs && mw_block_holds(block, MW_SIGNAL_LOGS))
            err = collect_logs_between(view, i, wanted, columns, set);
        if (err == MW_OK && mw_trace_set_bytes(set) > view->query_budget)
            err = MW_E_LIMIT;
        if (err != MW_OK)
            return err;
    }
    return MW_OK;
}

static bool in_share(const mw_store_view *view, const mw_trace_share *share, const uint8_t *id)
{
    /* Not the hash of in_part: a share's traces may have to be gathered in parts. */
    uint64_t seed = view->store->key_seed ^ UINT64_C(0xc2b2ae3d27d4eb4f);
    return share->parts == 1 ||
           (XXH3_64bits_withSeed(id, MW_TRACE_ID_SIZE, seed) & (share->parts - 1)) == share->part;
}

static mw_err collect_sessions_of(mw_store_view *view, const mw_hot *hot, const uint64_t *keys,
                                  size_t count, const mw_trace_share *share, mw_trace_set *set)
{
    mw_err err = MW_OK;
    uint32_t last_ref = 0;
    bool last_wanted = false;
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++) {
        uint32_t ref = mw_hot_ref(hot, MW_HOT_SESSION, row);
        if (ref == 0)
            continue;
        if (ref != last_ref) {
            uint64_t key = mw_text_key(view->store->key_seed, mw_hot_string(hot, ref));
            last_wanted = mw_keys_contain(keys, count, key);
            last_ref = ref;
        }
        if (last_wanted &&
            in_share(view, share, mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row))))
            err = add_trace_of(hot, row, set);
    }
    return err;
}

mw_err mw_collect_sessions(mw_store_view *view, const uint64_t *keys, size_t count,
                           const mw_trace_share *share, mw_trace_set *set)
{
    mw_block_set blocks;
    mw_err err = mw_block_set_find(view, MW_KEYS_SESSIONS, keys, count, &blocks);
    mw_column_set columns =
        pass_columns(err == MW_OK ? mw_block_set_size(&blocks) : 0,
                     mw_column_ref(MW_HOT_SESSION) | mw_column_ref(MW_HOT_TRACE));
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_hot hot;
        if (!mw_block_holds(block, MW_SIGNAL_TRACES) || !mw_block_set_has(&blocks, i))
            continue;
        err = mw_view_columns(view, block, columns, &hot);
        if (err == MW_OK)
            err = collect_sessions_of(view, &hot, keys, count, share, set);
        if (err == MW_OK && mw_trace_set_bytes(set) > share->max_bytes)
            err = MW_E_LIMIT;
    }
    mw_block_set_fini(&blocks);
    return err;
}

static mw_err tell_sessions_of(mw_store_view *view, const mw_hot *hot, const uint64_t *keys,
                               size_t count,
                               mw_err (*text)(void *ctx, uint64_t key, mw_slice session_id),
                               void *ctx)
{
    mw_err err = MW_OK;
    uint32_t last = 0;
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++) {
        uint32_t ref = mw_hot_ref(hot, MW_HOT_SESSION, row);
        if (ref == 0 || ref == last)
            continue;
        last = ref;
        mw_slice id = mw_hot_string(hot, ref);
        uint64_t key = mw_text_key(view->store->key_seed, id);
        if (mw_keys_contain(keys, count, key))
            err = text(ctx, key, id);
    }
    return err;
}

mw_err mw_each_session_text(mw_store_view *view, const uint64_t *keys, size_t count,
                            mw_err (*text)(void *ctx, uint64_t key, mw_slice session_id), void *ctx)
{
    mw_block_set blocks;
    mw_err err = mw_block_set_find(view, MW_KEYS_SESSIONS, keys, count, &blocks);
    mw_column_set columns =
        pass_columns(err == MW_OK ? mw_block_set_size(&blocks) : 0, mw_column_ref(MW_HOT_SESSION));
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_hot hot;
        if (mw_block_holds(block, MW_SIGNAL_METRICS) || !mw_block_set_has(&blocks, i))
            continue;
        err = mw_view_columns(view, block, columns, &hot);
        if (err == MW_OK)
            err = tell_sessions_of(view, &hot, keys, count, text, ctx);
    }
    mw_block_set_fini(&blocks);
    return err;
}

/* `err` is what the collecting of `set` ended with: too many traces to name them means all, in
 * parts. */
static mw_err gather_set(mw_store_view *view, const mw_gather_question *question, mw_err err,
                         mw_trace_set *set)
{
    mw_gather_question asked = *question;
    asked.wanted = set;
    if (err == MW_E_LIMIT) {
        mw_trace_set_fini(set);
        asked.wanted = NULL;
        err = MW_OK;
    }
    return err == MW_OK ? mw_gather(view, &asked) : err;
}

mw_err mw_gather_between(mw_store_view *view, const mw_gather_question *question,
                         mw_gather_time time, uint64_t from_ns, uint64_t to_ns)
{
    const stretch wanted = {from_ns, to_ns, time};
    mw_trace_set set;

    mw_trace_set_init(&set, view->store->key_seed);
    mw_err err = collect_between(view, &wanted, &set);
    err = gather_set(view, question, err, &set);
    mw_trace_set_fini(&set);
    return err;
}

mw_err mw_gather_sessions(mw_store_view *view, const mw_gather_question *question,
                          const uint64_t *keys, size_t count)
{
    const mw_trace_share share = {0, 1, view->query_budget};
    mw_trace_set set;

    mw_trace_set_init(&set, view->store->key_seed);
    mw_err err = mw_collect_sessions(view, keys, count, &share, &set);
    err = gather_set(view, question, err, &set);
    mw_trace_set_fini(&set);
    return err;
}

/* ---- logs with a session of their own -------------------------------------------------------- */

static bool has_session_logs(const mw_store_view *view)
{
    for (size_t i = 0; i < mw_view_count(view); i++)
        if (mw_block_holds(mw_view_block(view, i), MW_SIGNAL_LOGS) &&
            mw_view_block(view, i)->has_sessions)
            return true;
    return false;
}

static mw_err own_session_logs_of(mw_store_view *view, const mw_hot *hot, uint32_t block,
                                  mw_err (*log)(void *ctx, const mw_own_session_log *log),
                                  void *ctx)
{
    mw_own_session_log found = {.block = block};
    mw_err err = MW_OK;
    uint32_t last_ref = 0;
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++) {
        uint32_t ref = mw_hot_ref(hot, MW_HOT_SESSION, row);
        if (ref == 0)
            continue;
        if (ref != last_ref) {
            found.session_id = mw_hot_string(hot, ref);
            found.session = mw_text_key(view->store->key_seed, found.session_id);
            last_ref = ref;
        }
        found.time_ns = mw_hot_time(hot, row);
        found.row = row;
        found.has_agent = mw_hot_ref(hot, MW_HOT_AGENT, row) != 0;
        err = log(ctx, &found);
    }
    return err;
}

mw_err mw_each_own_session_log(mw_store_view *view, uint64_t from_ns, uint64_t to_ns,
                               const uint64_t *keys, size_t count,
                               mw_err (*log)(void *ctx, const mw_own_session_log *log), void *ctx)
{
    mw_block_set blocks = {0};
    mw_err err = MW_OK;
    if (!has_session_logs(view))
        return MW_OK;
    if (keys)
        err = mw_block_set_find(view, MW_KEYS_SESSIONS, keys, count, &blocks);
    for (uint32_t i = 0; err == MW_OK && i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_hot hot;
        if (!mw_block_holds(block, MW_SIGNAL_LOGS) || !block->has_sessions ||
            block->header.event_max_ns < from_ns || block->header.event_min_ns > to_ns ||
            (keys && !mw_block_set_has(&blocks, i)))
            continue;
        err = mw_view_hot(view, block, &hot);
        if (err == MW_OK)
            err = own_session_logs_of(view, &hot, i, log, ctx);
    }
    mw_block_set_fini(&blocks);
    return err;
}
