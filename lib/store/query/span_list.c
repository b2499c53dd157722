/* Spans by what they carry, newest first, in pages.
 *
 * Blocks are taken from the newest down, until the page is full and every other block is older. Of
 * each block what costs least is asked first: its entry in the index, its filter, its columns, its
 * items. Hits are kept in a buffer of more than twice the page; when it is full, repeats are
 * removed, it is sorted and cut to the page and the one more that tells of a next one. Copies
 * of a span that start at the same time are listed once, the first acknowledged one among those
 * that match; one that starts at another time stands for itself until merging removes it.
 */
#include "lib/store/format/block_filter.h"
#include "lib/store/format/tool_name.h"
#include "lib/store/query/hot_filter.h"
#include "lib/store/query/item_search.h"
#include "lib/store/query/page.h"
#include "lib/store/query/row_fetch.h"
#include "lib/store/query/tool_match.h"
#include "lib/store/segment/block_set.h"

#define CURSOR_KIND 'n'
#define STATUS_ERROR 2u
/* Trace id and span id: what orders spans of the same start. */
#define ID_SIZE (MW_TRACE_ID_SIZE + MW_SPAN_ID_SIZE)

typedef struct span_hit {
    mw_page_key key;
    uint64_t seq;
    uint32_t index; /* in its commit */
    uint32_t block, row;
} span_hit;

typedef struct span_scan {
    mw_store_view *view;
    const mw_span_filter *filter;
    mw_arena *arena;
    mw_page_bounds bounds;
    mw_item_search search;
    mw_newest blocks;
    mw_block_set sessions; /* blocks that may name the wanted session */
    uint64_t service_key;
    span_hit *hits; /* MW_MEM_QUERY */
    size_t count, capacity, keep;
    uint64_t cut_ns; /* what starts earlier is behind the page */
    /* of the present block */
    uint32_t service, session, name, agent, user, model;
    bool barren;          /* nothing fitted in the block before */
    bool tool_in_items;   /* an attribute may name the tool */
    mw_trace_span *spans; /* the page; the arena's */
} span_scan;

/* ---- the newest hits ------------------------------------------------------------------------- */

static int by_identity(const void *left, const void *right)
{
    const span_hit *a = left, *b = right;
    int order = memcmp(a->key.id, b->key.id, ID_SIZE);
    if (order != 0)
        return order;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int newest_first(const void *left, const void *right)
{
    const span_hit *a = left, *b = right;
    return mw_page_key_compare(&a->key, &b->key);
}

static void compact(span_scan *scan)
{
    span_hit *hits = scan->hits;
    size_t kept = 0;

    if (scan->count > 1)
        qsort(hits, scan->count, sizeof *hits, by_identity);
    for (size_t i = 0; i < scan->count; i++)
        if (!kept || memcmp(hits[kept - 1].key.id, hits[i].key.id, ID_SIZE) != 0)
            hits[kept++] = hits[i];
    if (kept > 1)
        qsort(hits, kept, sizeof *hits, newest_first);
    scan->count = kept < scan->keep ? kept : scan->keep;
    if (scan->count == scan->keep)
        scan->cut_ns = hits[scan->keep - 1].key.time_ns;
}

static void keep_hit(span_scan *scan, const mw_page_key *key, const mw_hot *hot, uint32_t block,
                     uint32_t row)
{
    if (scan->count == scan->capacity)
        compact(scan);
    scan->hits[scan->count++] =
        (span_hit){*key, mw_hot_seq(hot, row), mw_hot_index(hot, row), block, row};
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void key_of(const mw_hot *hot, uint32_t row, mw_page_key *key)
{
    unsigned char id[ID_SIZE];
    memcpy(id, mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row)), MW_TRACE_ID_SIZE);
    memcpy(id + MW_TRACE_ID_SIZE, hot->wide[MW_WIDE_SPAN_ID] + MW_SPAN_ID_SIZE * (size_t)row,
           MW_SPAN_ID_SIZE);
    mw_page_key_set(key, mw_hot_time(hot, row), mw_slice_bytes(id, sizeof id));
}

/* A span that ends before it starts has no duration, whatever the column says. */
static bool lasts(const span_scan *scan, const mw_hot *hot, uint32_t row)
{
    const mw_span_filter *filter = scan->filter;
    if (!filter->duration_min_ns && !filter->duration_max_ns)
        return true;
    uint64_t duration = mw_hot_u64(hot, MW_WIDE_DURATION, row);
    return duration >= filter->duration_min_ns && duration <= INT64_MAX &&
           (!filter->duration_max_ns || duration <= filter->duration_max_ns);
}

static bool names_tool(const span_scan *scan, const mw_hot *hot, uint32_t row)
{
    mw_slice name = mw_hot_string(hot, mw_hot_ref(hot, MW_HOT_NAME, row));
    return hot->narrow[MW_NARROW_OPERATION][row] == MW_OP_TOOL &&
           mw_names_tool(name, scan->filter->tool);
}

static mw_err calls_tool(span_scan *scan, const mw_hot *hot, uint32_t row, bool *calls)
{
    *calls = !scan->filter->tool.len || names_tool(scan, hot, row);
    if (*calls || !scan->tool_in_items)
        return MW_OK;
    return mw_tool_match_row(&scan->search, hot, row, scan->filter->tool, calls);
}

static bool columns_fit(const span_scan *scan, const mw_hot *hot, uint32_t row)
{
    uint64_t start_ns = mw_hot_time(hot, row);
    if (start_ns < scan->cut_ns || !mw_page_admits_time(&scan->bounds, start_ns))
        return false;
    if (scan->filter->errors_only && hot->narrow[MW_NARROW_STATUS][row] != STATUS_ERROR)
        return false;
    return mw_ref_fits(hot, MW_HOT_SERVICE, row, scan->service) &&
           mw_ref_fits(hot, MW_HOT_SESSION, row, scan->session) &&
           mw_ref_fits(hot, MW_HOT_NAME, row, scan->name) &&
           mw_ref_fits(hot, MW_HOT_AGENT, row, scan->agent) &&
           mw_ref_fits(hot, MW_HOT_USER, row, scan->user) &&
           mw_ref_fits(hot, MW_HOT_MODEL, row, scan->model) && lasts(scan, hot, row);
}

static mw_err offer_row(span_scan *scan, const mw_hot *hot, uint32_t block, uint32_t row)
{
    mw_page_key key;
    bool fits;

    if (!columns_fit(scan, hot, row))
        return MW_OK;
    key_of(hot, row, &key);
    if (!mw_page_admits(&scan->bounds, &key))
        return MW_OK;
    mw_err err = calls_tool(scan, hot, row, &fits);
    if (err == MW_OK && fits)
        err = mw_item_search_fits(&scan->search, hot, row, &fits);
    if (err == MW_OK && fits)
        keep_hit(scan, &key, hot, block, row);
    return err;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool entry_admits(const span_scan *scan, uint32_t at)
{
    const mw_span_filter *filter = scan->filter;
    const mw_index_block *block = mw_view_block(scan->view, at);

    if (filter->errors_only && block->header.error_count == 0)
        return false;
    if (filter->session_id.len && !mw_block_set_has(&scan->sessions, at))
        return false;
    return filter->service.len == 0 ||
           mw_keys_contain(mw_index_services(block), block->service_count, scan->service_key);
}

/* False: no row has the wanted texts. */
static bool find_texts(span_scan *scan, const mw_hot *hot)
{
    scan->service = mw_hot_find(hot, scan->filter->service);
    scan->session = mw_hot_find(hot, scan->filter->session_id);
    scan->name = mw_hot_find(hot, scan->filter->name);
    scan->agent = mw_hot_find(hot, scan->filter->agent);
    scan->user = mw_hot_find(hot, scan->filter->user);
    scan->model = mw_hot_find(hot, scan->filter->model);
    return scan->service != MW_REF_ABSENT && scan->session != MW_REF_ABSENT &&
           scan->name != MW_REF_ABSENT && scan->agent != MW_REF_ABSENT &&
           scan->user != MW_REF_ABSENT && scan->model != MW_REF_ABSENT;
}

/* By the filter of a merged block. */
static mw_err names_admit(span_scan *scan, const mw_index_block *block, bool *may)
{
    const mw_span_filter *filter = scan->filter;
    const mw_slice names[] = {[MW_FILTER_AGENT] = filter->agent,
                              [MW_FILTER_USER] = filter->user,
                              [MW_FILTER_MODEL] = filter->model,
                              [MW_FILTER_TOOL] = filter->tool};
    const size_t count = sizeof names / sizeof names[0];
    size_t asked = 0, len;
    char *data;

    *may = true;
    scan->tool_in_items = false;
    for (size_t i = 0; i < count; i++)
        asked += names[i].len;
    if (!asked)
        return MW_OK;
    mw_err err = mw_block_filter_read(block, &data, &len);
    mw_slice bytes = err == MW_OK ? mw_slice_bytes(data, len) : MW_SLICE_NONE;
    if (err == MW_OK && filter->tool.len)
        scan->tool_in_items = mw_tool_match_may(bytes, filter->tool);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        *may &= !names[i].len || mw_filter_may_name(bytes, (mw_filter_name)i, names[i]) ||
                (i == MW_FILTER_TOOL && scan->tool_in_items);
    mw_free(MW_MEM_QUERY, data);
    return err;
}

/* What columns_fit looks at. */
static mw_column_set columns_of(const mw_span_filter *filter)
{
    const struct {
        bool asked;
        mw_column_set column;
    } needs[] = {
        {filter->service.len > 0, mw_column_ref(MW_HOT_SERVICE)},
        {filter->session_id.len > 0, mw_column_ref(MW_HOT_SESSION)},
        {filter->name.len > 0, mw_column_ref(MW_HOT_NAME)},
        {filter->agent.len > 0, mw_column_ref(MW_HOT_AGENT)},
        {filter->user.len > 0, mw_column_ref(MW_HOT_USER)},
        {filter->model.len > 0, mw_column_ref(MW_HOT_MODEL)},
        {filter->errors_only, mw_column_narrow(MW_NARROW_STATUS)},
        {filter->duration_min_ns || filter->duration_max_ns, mw_column_wide(MW_WIDE_DURATION)}};
    mw_column_set columns = mw_column_wide(MW_WIDE_TIME);
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        columns |= needs[i].asked ? needs[i].column : 0u;
    return columns;
}

/* Behind a block in which nothing fitted, the next one's columns that tell so come first. */
static mw_err look_ahead(span_scan *scan, const mw_index_block *block, bool *any)
{
    mw_hot hot;
    *any = true;
    if (!scan->barren || scan->filter->tool.len || scan->filter->attribute_count)
        return MW_OK;
    mw_err err = mw_view_columns(scan->view, block, columns_of(scan->filter), &hot);
    if (err != MW_OK)
        return err;
    bool may = find_texts(scan, &hot);
    *any = false;
    for (uint32_t row = 0; may && !*any && row < hot.count; row++)
        *any = columns_fit(scan, &hot, row);
    return MW_OK;
}

static mw_err scan_rows(span_scan *scan, const mw_index_block *block, uint32_t at)
{
    mw_hot hot;
    bool any;
    mw_err err = look_ahead(scan, block, &any);
    if (err != MW_OK || !any)
        return err;
    err = mw_view_hot(scan->view, block, &hot);
    size_t before = scan->count;
    if (err == MW_OK && find_texts(scan, &hot))
        for (uint32_t row = 0; err == MW_OK && row < hot.count; row++)
            err = offer_row(scan, &hot, at, row);
    scan->barren = scan->count == before;
    return err;
}

static mw_err scan_block(span_scan *scan, uint32_t at)
{
    const mw_index_block *block = mw_view_block(scan->view, at);
    bool may;

    if (!entry_admits(scan, at))
        return MW_OK;
    mw_err err = names_admit(scan, block, &may);
    if (err == MW_OK && may)
        err = mw_item_search_block(&scan->search, block, &may);
    if (err != MW_OK || !may)
        return err;
    err = scan_rows(scan, block, at);
    mw_item_search_leave(&scan->search);
    if (scan->count > scan->keep || (scan->count == scan->keep && !scan->cut_ns))
        compact(scan);
    return err;
}

static mw_err scan_blocks(span_scan *scan)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < scan->blocks.count; i++) {
        if (scan->blocks.items[i].max_ns < scan->cut_ns)
            break;
        err = scan_block(scan, scan->blocks.items[i].block);
    }
    compact(scan);
    return err;
}

/* ---- the page -------------------------------------------------------------------------------- */

static mw_err fill_span(void *ctx, size_t at, const mw_fetched_row *fetched)
{
    const span_scan *scan = ctx;
    return mw_fetched_span(fetched, scan->arena, &scan->spans[at]);
}

static mw_err show_page(span_scan *scan, mw_span_page *out)
{
    bool more = scan->count == scan->keep;
    size_t count = more ? scan->count - 1 : scan->count;

    if (count == 0)
        return MW_OK;
    mw_row_place *places = mw_alloc(MW_MEM_QUERY, count * sizeof *places);
    scan->spans = mw_arena_zalloc(scan->arena, count, sizeof *scan->spans);
    mw_err err = places && scan->spans ? MW_OK : MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < count; i++)
        places[i] = (mw_row_place){scan->hits[i].block, scan->hits[i].row};
    if (err == MW_OK)
        err = mw_rows_fetch(scan->view, places, count, scan->arena, fill_span, scan);
    if (err == MW_OK && more)
        err =
            mw_page_cursor(scan->arena, CURSOR_KIND, &scan->hits[count - 1].key, &out->next_cursor);
    if (err == MW_OK) {
        out->items = scan->spans;
        out->count = count;
    }
    mw_free(MW_MEM_QUERY, places);
    return err;
}

static mw_err begin(span_scan *scan)
{
    const mw_span_filter *filter = scan->filter;
    uint64_t seed = scan->view->store->key_seed;
    uint64_t session = mw_text_key(seed, filter->session_id);

    scan->service_key = mw_text_key(seed, filter->service);
    scan->keep = scan->bounds.limit + 1;
    scan->capacity = 2 * scan->keep + 64;
    scan->hits = mw_alloc(MW_MEM_QUERY, scan->capacity * sizeof *scan->hits);
    mw_err err = scan->hits ? MW_OK : MW_E_NOMEM;
    if (err == MW_OK)
        err = mw_item_search_attributes(&scan->search, filter->attributes, filter->attribute_count);
    if (err == MW_OK && filter->session_id.len)
        err = mw_block_set_find(scan->view, MW_KEYS_SESSIONS, &session, 1, &scan->sessions);
    if (err == MW_OK)
        err = mw_newest_init(&scan->blocks, scan->view, MW_SIGNAL_TRACES, &scan->bounds);
    return err;
}

static void end(span_scan *scan)
{
    mw_item_search_fini(&scan->search);
    mw_newest_fini(&scan->blocks);
    mw_block_set_fini(&scan->sessions);
    mw_free(MW_MEM_QUERY, scan->hits);
}

mw_err mw_store_span_list(mw_store_view *view, const mw_store_page *page,
                          const mw_span_filter *filter, mw_arena *arena, mw_span_page *out)
{
    span_scan scan = {.view = view, .filter = filter, .arena = arena};

    memset(out, 0, sizeof *out);
    mw_err err = mw_page_bounds_read(page, CURSOR_KIND, &scan.bounds);
    if (err == MW_OK && scan.bounds.has_cursor && scan.bounds.cursor.id_len != ID_SIZE)
        err = MW_E_SYNTAX;
    if (err != MW_OK)
        return err;
    mw_item_search_init(&scan.search, view, MW_SPAN_ATTRIBUTES);
    err = begin(&scan);
    if (err == MW_OK)
        err = scan_blocks(&scan);
    if (err == MW_OK)
        err = show_page(&scan, out);
    end(&scan);
    return err;
}
