/* Metrics by name, kind and unit.
 *
 * Two steps. First, which: the page's first names behind the cursor, in one pass over the columns
 * of the window; of each only the key by which it sorts is kept, and where its texts stand. Then
 * their tallies (metric_tally.h). One thread: the view's.
 */
#include <xxhash.h>

#include "lib/store/query/metric_tally.h"
#include "lib/store/query/page.h"
#include "lib/store/query/trace_summary.h"

#define CURSOR_KIND 'm'
/* Longest instrument name and unit that the metrics API of OpenTelemetry allows: what is longer is
 * ordered by a hash behind them. So keys and cursors are bounded, whatever is sent. */
#define NAME_MAX_BYTES 255u
#define UNIT_MAX_BYTES 63u

/* How a metric sorts; the same in every process. */
typedef struct metric_key {
    uint64_t name_hash, unit_hash; /* of the whole text when it is longer, else 0 */
    uint8_t name_len, kind, unit_len;
    char name[NAME_MAX_BYTES], unit[UNIT_MAX_BYTES];
} metric_key;

typedef struct listed_metric {
    metric_key key;
    mw_metric_id id;
    uint32_t block, row; /* of its texts */
} listed_metric;

typedef struct metric_listing {
    mw_store_view *view;
    mw_arena *arena;
    mw_point_filter filter;
    size_t limit;
    bool has_cursor;
    metric_key cursor;
    /* The first limit + 1 that were seen, by key. MW_MEM_QUERY. */
    listed_metric **metrics;
    size_t count;
    mw_metric_list *out;
} metric_listing;

/* ---- order and cursors ----------------------------------------------------------------------- */

static uint8_t key_text(mw_slice text, char *out, size_t max, uint64_t *hash)
{
    size_t len = text.len < max ? text.len : max;
    memset(out, 0, max);
    if (len)
        memcpy(out, text.data, len);
    *hash = text.len > max ? XXH3_64bits(text.data, text.len) : 0;
    return (uint8_t)len;
}

static void key_set(metric_key *key, mw_slice name, uint8_t kind, mw_slice unit)
{
    key->name_len = key_text(name, key->name, NAME_MAX_BYTES, &key->name_hash);
    key->unit_len = key_text(unit, key->unit, UNIT_MAX_BYTES, &key->unit_hash);
    key->kind = kind;
}

static int key_compare(const metric_key *a, const metric_key *b)
{
    int order = mw_slice_compare(mw_slice_bytes(a->name, a->name_len),
                                 mw_slice_bytes(b->name, b->name_len));
    if (order == 0 && a->name_hash != b->name_hash)
        order = a->name_hash < b->name_hash ? -1 : 1;
    if (order == 0 && a->kind != b->kind)
        order = a->kind < b->kind ? -1 : 1;
    if (order == 0)
        order = mw_slice_compare(mw_slice_bytes(a->unit, a->unit_len),
                                 mw_slice_bytes(b->unit, b->unit_len));
    if (order == 0 && a->unit_hash != b->unit_hash)
        order = a->unit_hash < b->unit_hash ? -1 : 1;
    return order;
}

/* Cursor: kind, then hex of name hash (8), unit hash (8), length of the name (1), kind (1), name,
 * unit. */
#define CURSOR_FIXED 18u
#define CURSOR_MAX (CURSOR_FIXED + NAME_MAX_BYTES + UNIT_MAX_BYTES)

static mw_err write_cursor(mw_arena *arena, const metric_key *key, mw_slice *out)
{
    unsigned char bytes[CURSOR_MAX];
    size_t len = CURSOR_FIXED + (size_t)key->name_len + key->unit_len;
    char *text = mw_arena_alloc(arena, 2 + 2 * len);
    if (!text)
        return MW_E_NOMEM;
    mw_put_u64(bytes, key->name_hash);
    mw_put_u64(bytes + 8, key->unit_hash);
    bytes[16] = key->name_len;
    bytes[17] = key->kind;
    memcpy(bytes + CURSOR_FIXED, key->name, key->name_len);
    memcpy(bytes + CURSOR_FIXED + key->name_len, key->unit, key->unit_len);
    text[0] = CURSOR_KIND;
    mw_hex_encode(bytes, len, text + 1);
    *out = mw_slice_bytes(text, 1 + 2 * len);
    return MW_OK;
}

static mw_err read_cursor(mw_slice text, metric_key *out)
{
    unsigned char bytes[CURSOR_MAX];
    size_t len = (text.len - 1) / 2;

    if (text.data[0] != CURSOR_KIND || text.len % 2 == 0 || len < CURSOR_FIXED || len > CURSOR_MAX)
        return MW_E_SYNTAX;
    if (mw_hex_decode(mw_slice_from(text, 1), bytes, len) != MW_OK)
        return MW_E_SYNTAX;
    size_t name_len = bytes[16];
    if (name_len > len - CURSOR_FIXED || len - CURSOR_FIXED - name_len > UNIT_MAX_BYTES)
        return MW_E_SYNTAX;
    key_set(out, mw_slice_bytes(bytes + CURSOR_FIXED, name_len), bytes[17],
            mw_slice_bytes(bytes + CURSOR_FIXED + name_len, len - CURSOR_FIXED - name_len));
    out->name_hash = mw_get_u64(bytes);
    out->unit_hash = mw_get_u64(bytes + 8);
    return MW_OK;
}

/* ---- which ----------------------------------------------------------------------------------- */

/* Position of the first kept metric that does not stand before `key`. */
static size_t place_of(const metric_listing *listing, const metric_key *key)
{
    size_t low = 0, high = listing->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_compare(&listing->metrics[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static mw_err keep_metric(metric_listing *listing, const mw_hot *hot, uint32_t block, uint32_t row)
{
    mw_slice name = mw_hot_string(hot, mw_hot_ref(hot, MW_HOT_NAME, row));
    mw_slice unit = mw_hot_string(hot, mw_hot_ref(hot, MW_HOT_UNIT, row));
    uint64_t seed = listing->view->store->key_seed;
    uint8_t kind = hot->narrow[MW_NARROW_KIND][row];
    listed_metric *metric;
    metric_key key;

    key_set(&key, name, kind, unit);
    if (listing->has_cursor && key_compare(&key, &listing->cursor) <= 0)
        return MW_OK;
    size_t at = place_of(listing, &key);
    if (at < listing->count && key_compare(&listing->metrics[at]->key, &key) == 0)
        return MW_OK;
    if (listing->count <= listing->limit) {
        metric = mw_alloc(MW_MEM_QUERY, sizeof *metric);
        if (!metric)
            return MW_E_NOMEM;
        listing->count++;
    } else {
        if (at == listing->count)
            return MW_OK;
        metric = listing->metrics[listing->count - 1]; /* pushed off the end */
    }
    memmove(listing->metrics + at + 1, listing->metrics + at,
            (listing->count - 1 - at) * sizeof *listing->metrics);
    listing->metrics[at] = metric;
    *metric =
        (listed_metric){key, {mw_text_key(seed, name), mw_text_key(seed, unit), kind}, block, row};
    return MW_OK;
}

/* Each run of rows of one metric is looked at once: at its first row that fits. */
static mw_err look_through(metric_listing *listing, const mw_hot *hot, uint32_t block)
{
    uint32_t name = UINT32_MAX, unit = UINT32_MAX;
    int kind = -1;
    mw_err err = MW_OK;

    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++) {
        uint32_t row_name = mw_hot_ref(hot, MW_HOT_NAME, row);
        uint32_t row_unit = mw_hot_ref(hot, MW_HOT_UNIT, row);
        uint8_t row_kind = hot->narrow[MW_NARROW_KIND][row];
        if ((row_name == name && row_unit == unit && row_kind == kind) ||
            !mw_point_filter_row(&listing->filter, row))
            continue;
        name = row_name;
        unit = row_unit;
        kind = row_kind;
        err = keep_metric(listing, hot, block, row);
    }
    return err;
}

static mw_err find_page(metric_listing *listing)
{
    mw_err err = MW_OK;
    listing->metrics = mw_alloc(MW_MEM_QUERY, (listing->limit + 1) * sizeof *listing->metrics);
    if (!listing->metrics)
        return MW_E_NOMEM;
    for (uint32_t i = 0; err == MW_OK && i < mw_view_count(listing->view); i++) {
        const mw_index_block *block = mw_view_block(listing->view, i);
        mw_hot hot;
        bool any = false;
        if (!mw_point_filter_block(&listing->filter, i))
            continue;
        err = mw_view_hot(listing->view, block, &hot);
        if (err == MW_OK)
            err = mw_point_filter_begin(&listing->filter, &hot, &any);
        if (err == MW_OK && any)
            err = look_through(listing, &hot, i);
    }
    return err;
}

/* ---- their tallies --------------------------------------------------------------------------- */

static int tally_compare(const void *left, const void *right)
{
    const mw_metric_tally *a = left, *b = right;
    return mw_metric_id_compare(&a->id, &b->id);
}

static mw_err tally_page(metric_listing *listing, mw_metric_tally *tallies, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tallies[i].id = listing->metrics[i]->id;
    qsort(tallies, count, sizeof *tallies, tally_compare);
    mw_err err =
        mw_metric_tally_run(listing->view, &listing->filter, tallies, count, listing->arena);
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        mw_metric_tally wanted = {.id = listing->metrics[i]->id};
        const mw_metric_tally *tally =
            bsearch(&wanted, tallies, count, sizeof *tallies, tally_compare);
        listing->out->items[i] = tally->summary;
        listing->out->items[i].kind = wanted.id.kind;
    }
    return err;
}

static mw_err fetch_texts(metric_listing *listing, size_t count)
{
    mw_text_requests requests;
    mw_err err = MW_OK;

    mw_text_requests_init(&requests);
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        const listed_metric *metric = listing->metrics[i];
        mw_metric_summary *summary = &listing->out->items[i];
        err =
            mw_text_request_add(&requests, metric->block, metric->row, MW_HOT_NAME, &summary->name);
        if (err == MW_OK)
            err = mw_text_request_add(&requests, metric->block, metric->row, MW_HOT_UNIT,
                                      &summary->unit);
    }
    if (err == MW_OK)
        err = mw_text_fetch(listing->view, &requests, listing->arena);
    mw_text_requests_fini(&requests);
    return err;
}

static mw_err show_page(metric_listing *listing)
{
    bool more = listing->count > listing->limit;
    size_t count = more ? listing->limit : listing->count;
    mw_metric_list *out = listing->out;

    if (count == 0)
        return MW_OK;
    mw_metric_tally *tallies = mw_calloc(MW_MEM_QUERY, count, sizeof *tallies);
    out->items = mw_arena_zalloc(listing->arena, count, sizeof *out->items);
    mw_err err = tallies && out->items ? tally_page(listing, tallies, count) : MW_E_NOMEM;
    mw_free(MW_MEM_QUERY, tallies);
    if (err == MW_OK)
        err = fetch_texts(listing, count);
    if (err == MW_OK && more)
        err = write_cursor(listing->arena, &listing->metrics[count - 1]->key, &out->next_cursor);
    if (err == MW_OK)
        out->count = count;
    return err;
}

mw_err mw_store_metric_list(mw_store_view *view, const mw_store_page *page,
                            const mw_metric_query *query, mw_arena *arena, mw_metric_list *out)
{
    metric_listing listing = {.view = view, .arena = arena, .out = out};
    mw_err err = MW_OK;

    memset(out, 0, sizeof *out);
    listing.limit = page->limit < 1 ? 1 : page->limit > 1000 ? 1000 : page->limit;
    listing.has_cursor = page->cursor.len > 0;
    if (listing.has_cursor)
        err = read_cursor(page->cursor, &listing.cursor);
    if (err != MW_OK)
        return err;
    err = mw_point_filter_init(&listing.filter, view, page, query);
    if (err == MW_OK)
        err = find_page(&listing);
    if (err == MW_OK)
        err = show_page(&listing);
    for (size_t i = 0; i < listing.count; i++)
        mw_free(MW_MEM_QUERY, listing.metrics[i]);
    mw_free(MW_MEM_QUERY, listing.metrics);
    mw_point_filter_fini(&listing.filter);
    return err;
}
