/* Sums over traces and sessions. See list_bounds.h.
 *
 * Two tables. That of traces adds up the pieces of each, by a hash of its id with a secret seed.
 * When all pieces are in it, a second pass over them tells which traces pass, or adds each trace to
 * the sessions that it names. What exceeds the tables is taken in parts by hash: of sessions, and
 * for each of these of traces.
 */
#include "lib/store/query/list_bounds.h"

#include <xxhash.h>

#include "lib/store/segment/trace_pieces.h"

/* More passes than this would take longer than the usual way. */
#define PASSES_MAX 256u
#define SLOTS_LEAST ((size_t)1 << 10)

typedef struct sum {
    uint64_t key;       /* 0 = free */
    uint64_t low, high; /* all that may count lies between */
    /* What surely counts: of a trace, all of it when there is one piece; of a session, the traces
     * of one piece, low UINT64_MAX without any. */
    uint64_t sure_low, sure_high;
    uint64_t tokens;
    uint64_t last;   /* of a trace: the session that it was added to last */
    uint32_t pieces; /* of a trace; a loose one counts as two */
    bool told;       /* a trace */
} sum;

typedef struct sum_table {
    sum *slots;
    size_t capacity, count; /* capacity: a power of two */
    uint64_t part, parts;   /* of the keys; powers of two */
    bool full;
} sum_table;

typedef struct summing {
    mw_store_view *view;
    const mw_list_question *question;
    sum_table traces, sessions;
    bool may_be_sure;
    mw_list_candidates *out;
} summing;

bool mw_list_bounds_asked(const mw_list_filter *filter)
{
    return filter->tokens_min || filter->duration_min_ns || filter->duration_max_ns;
}

void mw_list_candidates_fini(mw_list_candidates *candidates)
{
    mw_free(MW_MEM_QUERY, candidates->items);
    *candidates = (mw_list_candidates){0};
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* The low bits tell the part. */
static bool in_part(const sum_table *table, uint64_t key)
{
    return (key & (table->parts - 1)) == table->part;
}

/* The slot of the key, perhaps a free one. */
static sum *slot_of(const sum_table *table, uint64_t key)
{
    size_t mask = table->capacity - 1, at = (size_t)(key >> 8) & mask;
    while (table->slots[at].key && table->slots[at].key != key)
        at = (at + 1) & mask;
    return &table->slots[at];
}

/* NULL: of another part, or there is no room. */
static sum *sum_of(sum_table *table, uint64_t key)
{
    if (!in_part(table, key))
        return NULL;
    sum *found = slot_of(table, key);
    if (found->key)
        return found;
    if (table->count >= table->capacity / 8 * 7) {
        table->full = true;
        return NULL;
    }
    table->count++;
    *found = (sum){.key = key, .low = UINT64_MAX, .sure_low = UINT64_MAX};
    return found;
}

/* Sums lie anywhere in tables that are larger than a core's cache: what the next pieces need is
 * asked for before the first of them is added. */
#define ABREAST 16u

static void fetch_ahead(const sum_table *table, uint64_t key)
{
    if (in_part(table, key))
        __builtin_prefetch(&table->slots[(size_t)(key >> 8) & (table->capacity - 1)], 1);
}

static void empty(sum_table *table)
{
    memset(table->slots, 0, table->capacity * sizeof *table->slots);
    table->count = 0;
    table->full = false;
}

/* Room for so many, or as the budget allows. */
static mw_err make_table(const summing *work, sum_table *table, uint64_t expected)
{
    table->capacity = SLOTS_LEAST;
    while (table->capacity / 8 * 7 < expected &&
           2 * table->capacity * sizeof *table->slots <= work->view->query_budget)
        table->capacity *= 2;
    table->parts = 1;
    while (table->parts < PASSES_MAX && table->capacity / 8 * 7 < expected / table->parts)
        table->parts *= 2;
    table->slots = mw_alloc(MW_MEM_QUERY, table->capacity * sizeof *table->slots);
    return table->slots ? MW_OK : MW_E_NOMEM;
}

/* A guess: a table that turns out to be too small is made anew. */
#define TRACES_A_SESSION 8u

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Blocks name their traces; of their sessions most are named by many, so that there are never as
 * many parts as these numbers would ask for. */
static mw_err make_tables(summing *work)
{
    uint64_t traces = 0, sessions = 0;
    for (size_t i = 0; i < mw_view_count(work->view); i++) {
        const mw_index_block *block = mw_view_block(work->view, i);
        traces += mw_block_holds(block, MW_SIGNAL_TRACES) ? block->all_traces : 0;
        sessions += mw_block_holds(block, MW_SIGNAL_METRICS) ? 0 : block->all_sessions;
    }
    const mw_trace_set *only = work->question->only;
    if (only && work->question->sessions) {
        traces = least(traces, (uint64_t)TRACES_A_SESSION * only->count);
        sessions = least(sessions, only->count);
    } else if (only) {
        traces = least(traces, only->count);
    }
    mw_err err = make_table(work, &work->traces, traces);
    if (err == MW_OK && work->question->sessions)
        err = make_table(work, &work->sessions, sessions);
    work->sessions.parts = 1;
    return err;
}

/* ---- sums ------------------------------------------------------------------------------------ */

static uint64_t added(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

static uint64_t tokens_of(const mw_trace_piece *piece)
{
    return piece->tokens == MW_PIECE_UNKNOWN ? UINT64_MAX : piece->tokens;
}

static void widen(uint64_t *low, uint64_t *high, uint64_t from, uint64_t to)
{
    *low = from < *low ? from : *low;
    *high = to > *high ? to : *high;
}

static uint64_t trace_key(const summing *work, const mw_trace_piece *piece)
{
    uint64_t key =
        XXH3_64bits_withSeed(piece->trace_id, MW_TRACE_ID_SIZE, ~work->view->store->key_seed);
    return key ? key : UINT64_C(1) << 63;
}

static bool is_sum(const mw_trace_piece *piece)
{
    return piece->low_ns != UINT64_MAX;
}

static void add_to_trace(sum *trace, const mw_trace_piece *piece, mw_piece_kind kind)
{
    if (is_sum(piece))
        widen(&trace->low, &trace->high, piece->low_ns, mw_piece_high(piece));
    if (kind == MW_PIECES_LOGS)
        return; /* its tokens are those of its spans, and records are not sure to count */
    trace->tokens = added(trace->tokens, tokens_of(piece));
    trace->pieces += kind == MW_PIECES_WHOLE ? 1 : 2;
    trace->sure_low = piece->low_ns;
    trace->sure_high = added(piece->low_ns, mw_piece_length_min(piece));
}

static bool is_sure(const summing *work, const sum *trace)
{
    return work->may_be_sure && trace->pieces == 1;
}

static void add_to_session(const summing *work, sum *session, const sum *trace)
{
    widen(&session->low, &session->high, trace->low, trace->high);
    session->tokens = added(session->tokens, trace->tokens);
    if (is_sure(work, trace))
        widen(&session->sure_low, &session->sure_high, trace->sure_low, trace->sure_high);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static bool may_fit(const summing *work, const sum *of, bool sure)
{
    const mw_list_filter *filter = work->question->filter;
    if (of->tokens < filter->tokens_min || of->high < of->low)
        return false;
    if (of->high != UINT64_MAX && of->high - of->low < filter->duration_min_ns)
        return false;
    return !filter->duration_max_ns || !sure ||
           of->sure_high - of->sure_low <= filter->duration_max_ns;
}

/* Its time in the list lies between both. */
static mw_err offer(summing *work, const mw_list_candidate *candidate, uint64_t oldest_ns)
{
    mw_list_candidates *out = work->out;
    if (candidate->newest_ns < work->question->since_ns || oldest_ns > work->question->to_ns)
        return MW_OK;
    if ((out->count + 1) * sizeof *out->items > work->view->query_budget)
        return MW_E_LIMIT;
    if (!mw_have_room(MW_MEM_QUERY, &out->items, &out->capacity, out->count + 1,
                      sizeof *out->items))
        return MW_E_NOMEM;
    MW_ASSERT(out->items);
    out->items[out->count++] = *candidate;
    return MW_OK;
}

/* A trace of which there is no sum is none that is looked at. */
static mw_err offer_trace(summing *work, const mw_trace_piece *piece, uint64_t key)
{
    sum *trace = slot_of(&work->traces, key);
    if (!trace->key || trace->told)
        return MW_OK;
    bool sure = is_sure(work, trace);
    mw_list_candidate candidate = {.newest_ns = sure ? trace->low : trace->high};
    if (!may_fit(work, trace, sure))
        return MW_OK;
    trace->told = true;
    memcpy(candidate.trace, piece->trace_id, sizeof candidate.trace);
    return offer(work, &candidate, trace->low);
}

static mw_err offer_sessions(summing *work)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < work->sessions.capacity; i++) {
        const sum *session = &work->sessions.slots[i];
        bool sure = session->sure_low != UINT64_MAX;
        const mw_list_candidate candidate = {.newest_ns = session->high, .session = session->key};
        if (session->key && may_fit(work, session, sure))
            err = offer(work, &candidate, sure ? session->sure_high : 0);
    }
    return err;
}

/* ---- passes ---------------------------------------------------------------------------------- */

/* The keys of the traces of so many pieces; what is known of them is on its way. */
static size_t look_ahead(const summing *work, const mw_trace_piece *pieces, size_t count,
                         uint64_t keys[ABREAST])
{
    size_t ahead = count < ABREAST ? count : ABREAST;
    for (size_t i = 0; i < ahead; i++) {
        keys[i] = trace_key(work, &pieces[i]);
        fetch_ahead(&work->traces, keys[i]);
        if (work->question->sessions && pieces[i].session)
            fetch_ahead(&work->sessions, pieces[i].session);
    }
    return ahead;
}

/* What may be on the list when only some traces are looked at: these, and sessions that they
 * name. */
static bool is_wanted(const summing *work, const mw_trace_piece *piece)
{
    uint32_t number;
    const mw_trace_set *only = work->question->only;
    return !only || mw_trace_set_find(only, piece->trace_id, &number);
}

/* Sessions that the traces name at which the question looks: no others are summed up. */
static mw_err find_wanted(void *ctx, const mw_trace_piece *pieces, size_t count, mw_piece_kind kind)
{
    summing *work = ctx;
    for (size_t i = 0; kind != MW_PIECES_LOGS && i < count && !work->sessions.full; i++)
        if (pieces[i].session && is_wanted(work, &pieces[i]))
            sum_of(&work->sessions, pieces[i].session);
    return MW_OK;
}

static bool is_known(const sum_table *table, uint64_t key)
{
    return in_part(table, key) && slot_of(table, key)->key == key;
}

/* The traces whose spans name them; others, of which there may be very many, are not summed up. */
static mw_err find_needed(void *ctx, const mw_trace_piece *pieces, size_t count, mw_piece_kind kind)
{
    summing *work = ctx;
    for (size_t i = 0; kind != MW_PIECES_LOGS && i < count && !work->traces.full; i++)
        if (pieces[i].session && is_known(&work->sessions, pieces[i].session))
            sum_of(&work->traces, trace_key(work, &pieces[i]));
    return MW_OK;
}

static sum *sum_to_add_to(summing *work, const mw_trace_piece *piece, uint64_t key)
{
    if (!work->question->only)
        return sum_of(&work->traces, key);
    if (work->question->sessions)
        return is_known(&work->traces, key) ? slot_of(&work->traces, key) : NULL;
    return is_wanted(work, piece) ? sum_of(&work->traces, key) : NULL;
}

/* Pieces with the trace's id zero are those of a session's own records. */
static mw_err add_pieces(void *ctx, const mw_trace_piece *pieces, size_t count, mw_piece_kind kind)
{
    summing *work = ctx;
    uint64_t keys[ABREAST];
    for (size_t i = 0, ahead; i < count && !work->traces.full; i += ahead) {
        ahead = look_ahead(work, pieces + i, count - i, keys);
        for (size_t k = 0; k < ahead; k++) {
            const mw_trace_piece *piece = &pieces[i + k];
            if (kind == MW_PIECES_LOGS && piece->session)
                continue;
            sum *trace = sum_to_add_to(work, piece, keys[k]);
            if (trace)
                add_to_trace(trace, piece, kind);
        }
    }
    return MW_OK;
}

/* Of those that are looked at. */
static sum *session_of(summing *work, uint64_t key)
{
    if (!work->question->only)
        return sum_of(&work->sessions, key);
    return is_known(&work->sessions, key) ? slot_of(&work->sessions, key) : NULL;
}

/* Own records count once, with the first part of the traces. */
static void add_own_logs(summing *work, const mw_trace_piece *piece)
{
    sum *session =
        piece->session && work->traces.part == 0 ? session_of(work, piece->session) : NULL;
    if (session)
        widen(&session->low, &session->high, piece->low_ns, mw_piece_high(piece));
}

static mw_err settle_piece(summing *work, const mw_trace_piece *piece, uint64_t key)
{
    if (!in_part(&work->traces, key))
        return MW_OK;
    if (!work->question->sessions)
        return offer_trace(work, piece, key);
    sum *session = piece->session ? session_of(work, piece->session) : NULL;
    if (!session)
        return MW_OK;
    sum *trace = slot_of(&work->traces, key);
    MW_ASSERT(trace->key);
    if (trace->last != piece->session)
        add_to_session(work, session, trace);
    trace->last = piece->session;
    return MW_OK;
}

static mw_err settle_pieces(void *ctx, const mw_trace_piece *pieces, size_t count,
                            mw_piece_kind kind)
{
    summing *work = ctx;
    uint64_t keys[ABREAST];
    mw_err err = MW_OK;
    for (size_t i = 0, ahead; err == MW_OK && i < count && !work->sessions.full; i += ahead) {
        ahead = look_ahead(work, pieces + i, count - i, keys);
        for (size_t k = 0; err == MW_OK && k < ahead; k++)
            if (kind == MW_PIECES_LOGS)
                add_own_logs(work, &pieces[i + k]);
            else
                err = settle_piece(work, &pieces[i + k], keys[k]);
    }
    return err;
}

/* Of a session spans of any time count, of a trace those within the bounds: all of them do when it
 * starts there. */
static mw_err pass(summing *work, mw_pieces_seen seen)
{
    return mw_trace_pieces_each(work->view, work->question->sessions ? 0 : work->question->since_ns,
                                work->question->sessions, seen, work);
}

/* One part of the sessions, or all traces. */
static mw_err take_part(summing *work)
{
    sum_table *traces = &work->traces;
    mw_err err = MW_OK;
    bool restricted = work->question->sessions && work->question->only;
    if (work->question->sessions)
        empty(&work->sessions);
    if (restricted)
        err = pass(work, find_wanted);
    for (traces->part = 0; err == MW_OK && traces->part < traces->parts && !work->sessions.full;
         traces->part++) {
        empty(traces);
        if (restricted)
            err = pass(work, find_needed);
        if (err == MW_OK && !traces->full)
            err = pass(work, add_pieces);
        if (err == MW_OK && traces->full)
            return MW_OK;
        if (err == MW_OK)
            err = pass(work, settle_pieces);
    }
    if (err == MW_OK && work->question->sessions && !work->sessions.full)
        err = offer_sessions(work);
    return err;
}

/* A table that was given more than it holds becomes larger, or all begins anew with parts that are
 * half as large. */
static mw_err split(summing *work, sum_table *table)
{
    work->out->count = 0;
    if (2 * table->capacity * sizeof *table->slots <= work->view->query_budget) {
        mw_free(MW_MEM_QUERY, table->slots);
        table->capacity *= 2;
        table->slots = mw_alloc(MW_MEM_QUERY, table->capacity * sizeof *table->slots);
        return table->slots ? MW_OK : MW_E_NOMEM;
    }
    table->parts *= 2;
    return work->traces.parts * work->sessions.parts > PASSES_MAX ? MW_E_LIMIT : MW_OK;
}

static mw_err take_all(summing *work)
{
    sum_table *sessions = &work->sessions;
    mw_err err = MW_OK;
    for (sessions->part = 0; err == MW_OK && sessions->part < sessions->parts;) {
        sum_table *full = NULL;
        err = take_part(work);
        if (err == MW_OK && work->traces.full)
            full = &work->traces;
        else if (err == MW_OK && sessions->full)
            full = sessions;
        sessions->part = full ? 0 : sessions->part + 1;
        if (full)
            err = split(work, full);
    }
    return err;
}

int mw_list_candidate_compare(const mw_list_candidate *a, const mw_list_candidate *b)
{
    if (a->newest_ns != b->newest_ns)
        return a->newest_ns > b->newest_ns ? -1 : 1;
    if (a->session != b->session)
        return a->session < b->session ? -1 : 1;
    return memcmp(a->trace, b->trace, sizeof a->trace);
}

static int newest_first(const void *left, const void *right)
{
    return mw_list_candidate_compare(left, right);
}

mw_err mw_list_bounds_find(const mw_list_question *question, mw_list_candidates *out)
{
    summing work = {.view = question->view, .question = question, .out = out};
    *out = (mw_list_candidates){0};
    work.may_be_sure = work.view->left_out_count == 0;
    mw_err err = make_tables(&work);
    if (err == MW_OK)
        err = take_all(&work);
    if (err == MW_OK && out->count > 1)
        qsort(out->items, out->count, sizeof *out->items, newest_first);
    mw_free(MW_MEM_QUERY, work.traces.slots);
    mw_free(MW_MEM_QUERY, work.sessions.slots);
    return err;
}
