/* The rest of a list, newest first. See list_few.h. */
#include "lib/store/query/list_few.h"

/* Traces that are taken as they are found, in any order: joined in a few milliseconds. */
#define FEW_TRACES_BYTES ((size_t)64 << 10)
/* Candidates until more are taken at a time. */
#define SINGLE 256u
/* Candidates that are tried before a condition is looked for: what many meet fills the page. */
#define TRIED 896u

static bool is_full(const mw_list_few *few, uint64_t newest_ns)
{
    return few->top->count == few->top->capacity && newest_ns < few->top->items[0].key.time_ns;
}

/* Takes candidates from *at on, at most `most`; *ended: none behind them can be on the page. */
static mw_err take_some(const mw_list_few *few, const mw_list_candidates *all, size_t *at,
                        size_t most, bool *ended)
{
    size_t share = MW_CANDIDATES_AT_FIRST, from = *at;
    size_t end = all->count - from < most ? all->count : from + most;
    mw_err err = MW_OK;
    *ended = false;
    while (err == MW_OK && *at < end && !*ended) {
        size_t count = end - *at < share ? end - *at : share;
        *ended = is_full(few, all->items[*at].newest_ns);
        if (*ended)
            break;
        err = few->take(few->ctx, &all->items[*at], count);
        *at += count;
        if (*at - from >= SINGLE)
            share = 2 * share < MW_CANDIDATES_AT_ONCE ? 2 * share : MW_CANDIDATES_AT_ONCE;
    }
    *ended |= *at == all->count;
    return err;
}

static mw_err find_candidates(const mw_list_few *few, const mw_trace_set *only,
                              mw_list_candidates *out)
{
    mw_list_question question = {few->view,     few->match->filter, only,
                                 few->since_ns, few->to_ns,         few->sessions};
    return mw_list_bounds_find(&question, out);
}

/* Those behind the last that was tried, of the traces of the set. */
static mw_err take_restricted(const mw_list_few *few, const mw_list_candidate *last,
                              const mw_trace_set *set)
{
    mw_list_candidates left;
    size_t at = 0;
    bool ended;
    mw_err err = find_candidates(few, set, &left);
    while (err == MW_OK && at < left.count && mw_list_candidate_compare(&left.items[at], last) <= 0)
        at++;
    if (err == MW_OK)
        err = take_some(few, &left, &at, SIZE_MAX, &ended);
    mw_list_candidates_fini(&left);
    return err;
}

/* Those of the traces of the set, which are all that meet a condition. */
static mw_err take_named(const mw_list_few *few, const mw_trace_set *set, bool *done)
{
    mw_list_candidates all;
    size_t at = 0;
    bool ended;
    mw_err err = find_candidates(few, set, &all);
    *done = err != MW_E_LIMIT;
    if (err == MW_OK)
        err = take_some(few, &all, &at, SIZE_MAX, &ended);
    mw_list_candidates_fini(&all);
    return *done ? err : MW_OK;
}

/* The page is not full: is there a condition that leaves fewer? */
static mw_err take_rest(const mw_list_few *few, const mw_list_candidates *all, size_t at)
{
    mw_trace_set set;
    bool ended;
    mw_err err = MW_E_LIMIT;
    mw_trace_set_init(&set, few->view->store->key_seed);
    if (few->match->all)
        err = mw_span_match_collect(few->match, few->sessions ? 0 : few->since_ns,
                                    few->view->query_budget, &set);
    if (err == MW_OK)
        err = take_restricted(few, &all->items[at - 1], &set);
    else if (err == MW_E_LIMIT)
        err = take_some(few, all, &at, SIZE_MAX, &ended);
    mw_trace_set_fini(&set);
    return err;
}

/* How many more candidates fill the page, going by those that were tried; 0 = more than a tenth of
 * all, whose join takes longer than a look at all columns. */
static size_t more_to_fill(const mw_list_few *few, size_t found, size_t tried, size_t all)
{
    size_t missing = few->top->capacity - few->top->count;
    size_t more = found ? 2 * missing * tried / found : all;
    return more <= all / 10 ? more : 0;
}

static mw_err take_candidates(const mw_list_few *few, bool *done)
{
    mw_list_candidates all;
    size_t at = 0, before = few->top->count;
    bool ended = false;
    mw_err err = find_candidates(few, NULL, &all);
    *done = err != MW_E_LIMIT;
    if (err == MW_OK)
        err = take_some(few, &all, &at, TRIED, &ended);
    size_t more = ended ? 0 : more_to_fill(few, few->top->count - before, at, all.count);
    if (err == MW_OK && more)
        err = take_some(few, &all, &at, more, &ended);
    if (err == MW_OK && !ended)
        err = take_rest(few, &all, at);
    mw_list_candidates_fini(&all);
    return *done ? err : MW_OK;
}

/* ---- where to begin -------------------------------------------------------------------------- */

/* Candidates of a share of these are as good as the store's. */
#define SAMPLE_BLOCKS 16u
/* Unpacking what tells of one condition, against all columns; items take more than both. */
#define COLUMN_SHARE 5u
/* What fewer traces than this meet is looked for in all columns sooner than all traces are summed
 * up: with those alone that meet it, there is hardly anything to add. */
#define RARE_SHARE 8u

/* Blocks that have to be read until the page is full when candidates are tried as they come. Traces
 * stand in the order of the list, or nearly; of sessions, which may have been seen last at any
 * time, each may need a block of its own. */
static uint64_t blocks_to_try(const mw_list_few *few, const mw_span_sample *sample)
{
    uint64_t missing = few->top->capacity - few->top->count;
    if (!few->sessions)
        return missing * sample->blocks / sample->met;
    uint64_t sessions = sample->sessions ? sample->sessions : 1;
    uint64_t a_session = sample->traces > sessions ? sample->traces / sessions : 1;
    uint64_t tries = missing * sample->traces / sample->met / a_session;
    return tries > missing ? tries - missing : 0;
}

/* Is it less work to look for all that meet the rarest condition than to try one candidate after
 * the other? */
static mw_err is_rare(const mw_list_few *few, bool *rare)
{
    mw_span_sample sample;
    mw_err err =
        mw_span_match_sample(few->match, few->sessions ? 0 : few->since_ns, SAMPLE_BLOCKS, &sample);
    if (err != MW_OK)
        return err;
    uint64_t cost = sample.met ? blocks_to_try(few, &sample) : UINT64_MAX;
    *rare = cost > sample.all_blocks;
    if (!sample.reads_items)
        *rare |= cost > sample.all_blocks / COLUMN_SHARE || sample.met < sample.traces / RARE_SHARE;
    return MW_OK;
}

static mw_err take_rare(const mw_list_few *few, bool *done)
{
    mw_trace_set set;
    mw_trace_set_init(&set, few->view->store->key_seed);
    mw_err err = mw_span_match_collect(few->match, few->sessions ? 0 : few->since_ns,
                                       few->view->query_budget, &set);
    if (err == MW_OK && mw_trace_set_bytes(&set) <= FEW_TRACES_BYTES)
        err = few->take_set(few->ctx, &set);
    else if (err == MW_OK)
        err = take_named(few, &set, done);
    else if (err == MW_E_LIMIT)
        err = take_candidates(few, done);
    mw_trace_set_fini(&set);
    return err;
}

mw_err mw_list_few_take(const mw_list_few *few, bool *done)
{
    bool rare = false;
    *done = true;
    mw_err err = few->match->all ? is_rare(few, &rare) : MW_OK;
    if (err != MW_OK)
        return err;
    return rare ? take_rare(few, done) : take_candidates(few, done);
}
