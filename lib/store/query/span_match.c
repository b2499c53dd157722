/* Conditions on spans. See span_match.h. */
#include "lib/store/query/span_match.h"

#include "lib/store/format/block_filter.h"
#include "lib/store/format/tool_name.h"
#include "lib/store/query/hot_filter.h"
#include "lib/store/query/log_text.h"
#include "lib/store/query/tool_match.h"

#define STATUS_ERROR 2u

/* The rarer a condition mostly is, the lower its bit: traces are collected by the lowest of those
 * that the index cannot weigh. Attributes from ATTRIBUTES on. */
enum {
    MEETS_USER = 1,
    MEETS_TOOL = 2,
    MEETS_NAME = 4,
    MEETS_MODEL = 8,
    MEETS_AGENT = 16,
    MEETS_SERVICE = 32,
    MEETS_ERROR = 64,
    ATTRIBUTES = 128
};
/* What is known of a name in the present block. */
enum { NOT_READ = 0, READ = 1, NAME_FITS = 2, TOOL_FITS = 4 };

_Static_assert(MW_ATTRIBUTE_QUERIES_MAX <= 8, "conditions have 16 bits");

static uint32_t conditions_of(const mw_list_filter *filter)
{
    uint32_t attributes = (UINT32_C(1) << filter->attribute_count) - 1;
    return (filter->user.len ? MEETS_USER : 0u) | (filter->tool.len ? MEETS_TOOL : 0u) |
           (filter->text.len ? MEETS_NAME : 0u) | (filter->model.len ? MEETS_MODEL : 0u) |
           (filter->agent.len ? MEETS_AGENT : 0u) | (filter->service.len ? MEETS_SERVICE : 0u) |
           (filter->errors_only ? MEETS_ERROR : 0u) | attributes * ATTRIBUTES;
}

mw_err mw_span_match_init(mw_span_match *match, mw_store_view *view, const mw_list_filter *filter)
{
    static const mw_list_filter nothing = {.errors_only = false};
    memset(match, 0, sizeof *match);
    match->view = view;
    match->filter = filter ? filter : &nothing;
    match->all = match->asked = conditions_of(match->filter);
    match->service_key = mw_text_key(view->store->key_seed, match->filter->service);
    mw_item_search_init(&match->search, view, MW_SPAN_ATTRIBUTES);
    return mw_item_search_attributes(&match->search, match->filter->attributes,
                                     match->filter->attribute_count);
}

void mw_span_match_fini(mw_span_match *match)
{
    if (match->view)
        mw_item_search_fini(&match->search);
    mw_free(MW_MEM_QUERY, match->verdicts);
    memset(match, 0, sizeof *match);
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* What no row of the block can meet, by its entry in the index. */
static uint32_t excluded_by_entry(const mw_span_match *match, const mw_index_block *block)
{
    uint32_t excluded = block->header.error_count ? 0 : MEETS_ERROR;
    if (match->asked & MEETS_SERVICE &&
        !mw_keys_contain(mw_index_services(block), block->service_count, match->service_key))
        excluded |= MEETS_SERVICE;
    return excluded;
}

static uint32_t excluded_by_texts(mw_span_match *match, const mw_hot *hot)
{
    const mw_list_filter *filter = match->filter;
    match->service = mw_hot_find(hot, filter->service);
    match->agent = mw_hot_find(hot, filter->agent);
    match->user = mw_hot_find(hot, filter->user);
    match->model = mw_hot_find(hot, filter->model);
    return (match->service == MW_REF_ABSENT ? MEETS_SERVICE : 0u) |
           (match->agent == MW_REF_ABSENT ? MEETS_AGENT : 0u) |
           (match->user == MW_REF_ABSENT ? MEETS_USER : 0u) |
           (match->model == MW_REF_ABSENT ? MEETS_MODEL : 0u);
}

static mw_err begin_names(mw_span_match *match, const mw_hot *hot)
{
    size_t need = (size_t)hot->strings + 1;
    if (!(match->asked & (MEETS_NAME | MEETS_TOOL)))
        return MW_OK;
    if (!mw_have_room(MW_MEM_QUERY, &match->verdicts, &match->verdict_capacity, need, 1))
        return MW_E_NOMEM;
    memset(match->verdicts, NOT_READ, need);
    return MW_OK;
}

/* What only items tell, as far as the block's filter lets it be. */
static mw_err enter_items(mw_span_match *match, const mw_index_block *block)
{
    char *data;
    size_t len;
    mw_item_search_begin(&match->search, block);
    mw_err err = mw_block_filter_read(block, &data, &len);
    if (err == MW_OK) {
        mw_slice filter = mw_slice_bytes(data, len);
        uint32_t held = mw_item_search_may(&match->search, filter);
        match->possible &= held * ATTRIBUTES | (ATTRIBUTES - 1);
        match->tool_in_items =
            match->possible & MEETS_TOOL && mw_tool_match_may(filter, match->filter->tool);
    }
    mw_free(MW_MEM_QUERY, data);
    return err;
}

mw_err mw_span_match_block(mw_span_match *match, const mw_index_block *block, const mw_hot *hot)
{
    match->tool_in_items = false;
    match->possible = match->asked & ~excluded_by_entry(match, block);
    if (!match->possible)
        return MW_OK;
    match->possible &= ~excluded_by_texts(match, hot);
    mw_err err = begin_names(match, hot);
    if (err == MW_OK && (match->possible >= ATTRIBUTES || match->possible & MEETS_TOOL))
        err = enter_items(match, block);
    return err;
}

void mw_span_match_leave(mw_span_match *match)
{
    mw_item_search_leave(&match->search);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static uint8_t judge_name(const mw_span_match *match, mw_slice name)
{
    const mw_list_filter *filter = match->filter;
    bool fits = filter->text.len && mw_text_contains(name, filter->text);
    bool tool = filter->tool.len && mw_names_tool(name, filter->tool);
    return (uint8_t)(READ | (fits ? NAME_FITS : 0) | (tool ? TOOL_FITS : 0));
}

static uint32_t met_by_name(mw_span_match *match, const mw_hot *hot, uint32_t row)
{
    uint32_t ref = mw_hot_ref(hot, MW_HOT_NAME, row);
    if (match->verdicts[ref] == NOT_READ)
        match->verdicts[ref] = judge_name(match, mw_hot_string(hot, ref));
    uint32_t met = match->verdicts[ref] & NAME_FITS ? MEETS_NAME : 0u;
    if (match->possible & MEETS_TOOL && match->verdicts[ref] & TOOL_FITS &&
        hot->narrow[MW_NARROW_OPERATION][row] == MW_OP_TOOL)
        met |= MEETS_TOOL;
    return met;
}

/* Columns of what is not possible, or not asked, may not be there. */
static uint32_t met_by_ref(const mw_span_match *match, uint32_t condition, const mw_hot *hot,
                           mw_hot_column column, uint32_t row, uint32_t ref)
{
    return match->possible & condition && mw_ref_fits(hot, column, row, ref) ? condition : 0u;
}

static uint32_t met_by_columns(mw_span_match *match, const mw_hot *hot, uint32_t row)
{
    uint32_t met = met_by_ref(match, MEETS_SERVICE, hot, MW_HOT_SERVICE, row, match->service) |
                   met_by_ref(match, MEETS_AGENT, hot, MW_HOT_AGENT, row, match->agent) |
                   met_by_ref(match, MEETS_USER, hot, MW_HOT_USER, row, match->user) |
                   met_by_ref(match, MEETS_MODEL, hot, MW_HOT_MODEL, row, match->model);
    if (match->possible & (MEETS_NAME | MEETS_TOOL))
        met |= met_by_name(match, hot, row);
    if (match->possible & MEETS_ERROR && hot->narrow[MW_NARROW_STATUS][row] == STATUS_ERROR)
        met |= MEETS_ERROR;
    return met & match->possible;
}

mw_err mw_span_match_row(mw_span_match *match, const mw_hot *hot, uint32_t row, uint32_t *met)
{
    uint32_t held = 0;
    bool tool = false;
    mw_err err = MW_OK;
    *met = 0;
    if (!match->possible)
        return MW_OK;
    if (match->possible & (ATTRIBUTES - 1))
        *met = met_by_columns(match, hot, row);
    if (match->tool_in_items && !(*met & MEETS_TOOL))
        err = mw_tool_match_row(&match->search, hot, row, match->filter->tool, &tool);
    *met |= tool ? MEETS_TOOL : 0u;
    if (err == MW_OK && match->possible >= ATTRIBUTES)
        err = mw_item_search_held(&match->search, hot, row, match->possible / ATTRIBUTES, &held);
    *met |= held * ATTRIBUTES & match->possible;
    return err;
}

bool mw_span_match_fits(const mw_span_match *match, uint32_t met, uint64_t duration_ns,
                        int64_t input_tokens, int64_t output_tokens)
{
    const mw_list_filter *filter = match->filter;
    uint64_t tokens = (uint64_t)input_tokens + (uint64_t)output_tokens;
    return (met & match->all) == match->all && duration_ns >= filter->duration_min_ns &&
           (!filter->duration_max_ns || duration_ns <= filter->duration_max_ns) &&
           tokens >= filter->tokens_min;
}

/* ---- collecting ----------------------------------------------------------------------------- */

/* The condition that the fewest spans may meet. An attribute is asked of filters before anything is
 * read; the index weighs services and errors; of the rest the lowest bit. */
static uint32_t rarest(const mw_span_match *match)
{
    uint64_t everything = 0, errors = 0, services = 0;
    uint32_t attributes = match->all & ~(uint32_t)(ATTRIBUTES - 1);
    if (attributes)
        return attributes & ~(attributes - 1);
    for (size_t i = 0; i < mw_view_count(match->view); i++) {
        const mw_index_block *block = mw_view_block(match->view, i);
        uint32_t excluded = excluded_by_entry(match, block);
        if (!mw_block_holds(block, MW_SIGNAL_TRACES))
            continue;
        everything += block->header.item_count;
        errors += excluded & MEETS_ERROR ? 0 : block->header.item_count;
        services += excluded & MEETS_SERVICE ? 0 : block->header.item_count;
    }
    uint32_t lowest = match->all & ~(match->all - 1);
    bool by_service = match->all & MEETS_SERVICE && services < everything / 2;
    bool by_error = match->all & MEETS_ERROR && errors < everything / 2;
    if (by_service && (!by_error || services < errors))
        return MEETS_SERVICE;
    return by_error ? MEETS_ERROR : lowest;
}

/* The column that tells of each condition whether a row meets it, by itself or (of tools) with
 * others. */
static const struct {
    uint32_t condition;
    mw_hot_column column;
} text_columns[] = {{MEETS_USER, MW_HOT_USER},   {MEETS_TOOL, MW_HOT_NAME},
                    {MEETS_NAME, MW_HOT_NAME},   {MEETS_MODEL, MW_HOT_MODEL},
                    {MEETS_AGENT, MW_HOT_AGENT}, {MEETS_SERVICE, MW_HOT_SERVICE}};
#define TEXT_COLUMNS (sizeof text_columns / sizeof text_columns[0])

/* What mw_span_match_block and _row look at, of the conditions that are asked, and the traces. */
static mw_column_set columns_of(const mw_span_match *match)
{
    mw_column_set columns = mw_column_ref(MW_HOT_TRACE);
    if (match->asked >= ATTRIBUTES || match->asked & MEETS_TOOL)
        return MW_COLUMNS_ALL; /* items are read by many columns */
    for (size_t i = 0; i < TEXT_COLUMNS; i++)
        if (match->asked & text_columns[i].condition)
            columns |= mw_column_ref(text_columns[i].column);
    return columns | (match->asked & MEETS_ERROR ? mw_column_narrow(MW_NARROW_STATUS) : 0u);
}

/* The next row that may meet what is asked: mostly one text alone is, which hardly any has. */
static uint32_t next_row(const mw_span_match *match, const mw_hot *hot, uint32_t row)
{
    mw_hot_column column = MW_HOT_COLUMNS;
    uint32_t ref = MW_REF_ANY;
    switch (match->possible) {
    case MEETS_USER: column = MW_HOT_USER, ref = match->user; break;
    case MEETS_MODEL: column = MW_HOT_MODEL, ref = match->model; break;
    case MEETS_AGENT: column = MW_HOT_AGENT, ref = match->agent; break;
    case MEETS_SERVICE: column = MW_HOT_SERVICE, ref = match->service; break;
    default: return row;
    }
    while (row < hot->count && mw_hot_ref(hot, column, row) != ref)
        row++;
    return row;
}

static mw_err collect_block(mw_span_match *match, const mw_index_block *block, mw_trace_set *set)
{
    mw_hot hot;
    uint32_t last = UINT32_MAX, met, number;
    mw_err err = mw_view_columns(match->view, block, columns_of(match), &hot);
    if (err == MW_OK)
        err = mw_span_match_block(match, block, &hot);
    for (uint32_t row = 0; err == MW_OK && match->possible; row++) {
        row = next_row(match, &hot, row);
        if (row >= hot.count)
            break;
        uint32_t trace = mw_hot_ref(&hot, MW_HOT_TRACE, row);
        if (trace == last)
            continue;
        err = mw_span_match_row(match, &hot, row, &met);
        if (err != MW_OK || !met)
            continue;
        last = trace;
        err = mw_trace_set_add(set, mw_hot_trace_id(&hot, trace), &number);
    }
    mw_span_match_leave(match);
    return err;
}

#define ASKS_FILTERS                                                                               \
    (~(uint32_t)(ATTRIBUTES - 1) | MEETS_USER | MEETS_TOOL | MEETS_NAME | MEETS_MODEL | MEETS_AGENT)

/* What rows of the block may meet, by its filter: other conditions are not in the answer. */
static uint32_t admitted_by_filter(const mw_span_match *match, mw_slice bytes)
{
    const mw_list_filter *filter = match->filter;
    const struct {
        uint32_t condition;
        mw_filter_name column;
        mw_slice name;
    } names[] = {{MEETS_USER, MW_FILTER_USER, filter->user},
                 {MEETS_TOOL, MW_FILTER_TOOL, filter->tool},
                 {MEETS_MODEL, MW_FILTER_MODEL, filter->model},
                 {MEETS_AGENT, MW_FILTER_AGENT, filter->agent}};
    uint32_t may = mw_item_search_may(&match->search, bytes) * ATTRIBUTES;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].name.len && mw_filter_may_name(bytes, names[i].column, names[i].name))
            may |= names[i].condition;
    if (filter->tool.len && mw_tool_match_may(bytes, filter->tool))
        may |= MEETS_TOOL;
    return may | (mw_filter_may_contain(bytes, filter->text) ? MEETS_NAME : 0u);
}

/* A filter is asked before the columns are read. */
static mw_err may_meet(const mw_span_match *match, const mw_index_block *block, bool *may)
{
    char *data;
    size_t len;
    uint32_t left = match->asked & ~excluded_by_entry(match, block);
    *may = left;
    if (!left || left & ~ASKS_FILTERS)
        return MW_OK;
    mw_err err = mw_block_filter_read(block, &data, &len);
    if (err == MW_OK)
        *may = left & admitted_by_filter(match, mw_slice_bytes(data, len));
    mw_free(MW_MEM_QUERY, data);
    return err;
}

static bool is_collected(const mw_index_block *block, uint64_t since_ns)
{
    return mw_block_holds(block, MW_SIGNAL_TRACES) && block->header.event_max_ns >= since_ns;
}

static mw_err collect_where_admitted(mw_span_match *match, const mw_index_block *block,
                                     mw_trace_set *set)
{
    bool may;
    mw_err err = may_meet(match, block, &may);
    return err == MW_OK && may ? collect_block(match, block, set) : err;
}

mw_err mw_span_match_collect(mw_span_match *match, uint64_t since_ns, size_t max_bytes,
                             mw_trace_set *set)
{
    mw_err err = MW_OK;
    MW_ASSERT(match->all);
    match->asked = rarest(match);
    for (size_t i = 0; err == MW_OK && i < mw_view_count(match->view); i++) {
        if (is_collected(mw_view_block(match->view, i), since_ns))
            err = collect_where_admitted(match, mw_view_block(match->view, i), set);
        if (err == MW_OK && mw_trace_set_bytes(set) > max_bytes)
            err = MW_E_LIMIT;
    }
    match->asked = match->all;
    return err;
}

static mw_err sample_block(mw_span_match *match, const mw_index_block *block, mw_trace_set *set,
                           mw_span_sample *out)
{
    out->blocks++;
    out->traces += block->all_traces;
    out->sessions += block->all_sessions;
    mw_err err = collect_where_admitted(match, block, set);
    out->reads_items |= match->possible >= ATTRIBUTES || match->tool_in_items;
    return err;
}

mw_err mw_span_match_sample(mw_span_match *match, uint64_t since_ns, uint64_t most,
                            mw_span_sample *out)
{
    mw_trace_set set;
    mw_err err = MW_OK;
    uint64_t number = 0;
    *out = (mw_span_sample){.blocks = 0};
    MW_ASSERT(match->all && most);
    for (size_t i = 0; i < mw_view_count(match->view); i++)
        out->all_blocks += is_collected(mw_view_block(match->view, i), since_ns);
    mw_trace_set_init(&set, match->view->store->key_seed);
    match->asked = rarest(match);
    for (size_t i = 0; err == MW_OK && i < mw_view_count(match->view); i++) {
        const mw_index_block *block = mw_view_block(match->view, i);
        if (!is_collected(block, since_ns))
            continue;
        if (number * most / out->all_blocks != (number + 1) * most / out->all_blocks)
            err = sample_block(match, block, &set, out);
        number++;
    }
    match->asked = match->all;
    out->met = set.count;
    mw_trace_set_fini(&set);
    return err;
}
