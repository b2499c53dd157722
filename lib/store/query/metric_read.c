/* The newest points of one metric, by series.
 *
 * Blocks are taken by their newest point, from the top. Hits are kept in a buffer of twice the
 * page; when it is full, repeats are removed (all copies of a point have its time, so they come
 * before the page ends), it is sorted by time and cut. Once the page is full and the next block is
 * older than its last point, nothing behind can matter. Then the items are fetched, each block read
 * once, and put into their series. One thread: the view's.
 */
#include "lib/store/query/page.h"
#include "lib/store/query/point_filter.h"
#include "lib/store/query/row_fetch.h"

#define CURSOR_KIND 'p'
#define TIE_SIZE 16u

typedef struct point_hit {
    uint64_t time_ns, series, start_ns;
    uint64_t seq;
    uint32_t block, row;
} point_hit;

typedef struct metric_reading {
    mw_store_view *view;
    mw_arena *arena;
    mw_page_bounds bounds;
    mw_point_filter filter;
    mw_slice name;
    uint64_t name_key;
    mw_newest newest;
    point_hit *hits; /* MW_MEM_QUERY */
    size_t count, capacity;
    bool full;               /* the page, since the last compaction */
    uint64_t cut_ns;         /* then: earlier times cannot be on the page any more */
    mw_series_point *points; /* of the hits, until they are in their series; MW_MEM_QUERY */
    mw_metric *out;
} metric_reading;

/* ---- which ----------------------------------------------------------------------------------- */

/* The order of the list: newest first, then series, then start. */
static int point_compare(const point_hit *a, const point_hit *b)
{
    if (a->time_ns != b->time_ns)
        return a->time_ns > b->time_ns ? -1 : 1;
    if (a->series != b->series)
        return a->series < b->series ? -1 : 1;
    return a->start_ns < b->start_ns ? -1 : a->start_ns > b->start_ns;
}

static int hit_compare(const void *left, const void *right)
{
    const point_hit *a = left, *b = right;
    int order = point_compare(a, b);
    if (order != 0)
        return order;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static void key_of(mw_page_key *key, const point_hit *hit)
{
    unsigned char tie[TIE_SIZE];
    uint64_t series = htobe64(hit->series), start = htobe64(hit->start_ns);
    memcpy(tie, &series, 8);
    memcpy(tie + 8, &start, 8);
    mw_page_key_set(key, hit->time_ns, mw_slice_bytes(tie, sizeof tie));
}

/* Sorts, removes repeats, cuts to one more than the page. */
static void compact(metric_reading *reading)
{
    point_hit *hits = reading->hits;
    size_t kept = 0, limit = reading->bounds.limit + 1;

    if (reading->count > 1)
        qsort(hits, reading->count, sizeof *hits, hit_compare);
    for (size_t i = 0; i < reading->count && kept < limit; i++)
        if (kept == 0 || point_compare(&hits[kept - 1], &hits[i]) != 0)
            hits[kept++] = hits[i];
    reading->count = kept;
    reading->full = kept == limit;
    if (reading->full)
        reading->cut_ns = hits[kept - 1].time_ns;
}

static void offer_row(metric_reading *reading, const mw_hot *hot, uint32_t block, uint32_t row)
{
    point_hit hit = {.time_ns = mw_hot_time(hot, row),
                     .series = mw_hot_u64(hot, MW_WIDE_SERIES, row),
                     .start_ns = mw_hot_u64(hot, MW_WIDE_START, row),
                     .seq = mw_hot_seq(hot, row),
                     .block = block,
                     .row = row};
    mw_page_key key;

    if (!mw_page_admits_time(&reading->bounds, hit.time_ns) ||
        (reading->full && hit.time_ns < reading->cut_ns) ||
        !mw_point_filter_row(&reading->filter, row))
        return;
    key_of(&key, &hit);
    if (!mw_page_admits(&reading->bounds, &key))
        return;
    if (reading->count == reading->capacity)
        compact(reading);
    reading->hits[reading->count++] = hit;
}

static mw_err scan_block(metric_reading *reading, uint32_t at)
{
    mw_hot hot;
    bool any = false;

    mw_err err = mw_view_hot(reading->view, mw_view_block(reading->view, at), &hot);
    if (err != MW_OK)
        return err;
    uint32_t name = mw_hot_find(&hot, reading->name);
    if (name == MW_REF_ABSENT)
        return MW_OK;
    err = mw_point_filter_begin(&reading->filter, &hot, &any);
    for (uint32_t row = 0; err == MW_OK && any && row < hot.count; row++)
        if (mw_hot_ref(&hot, MW_HOT_NAME, row) == name)
            offer_row(reading, &hot, at, row);
    return err;
}

static bool holds_name(const metric_reading *reading, const mw_index_block *block)
{
    return mw_block_holds(block, MW_SIGNAL_METRICS) &&
           mw_keys_contain(mw_index_names(block), block->name_count, reading->name_key);
}

static mw_err find_page(metric_reading *reading)
{
    mw_err err =
        mw_newest_init(&reading->newest, reading->view, MW_SIGNAL_METRICS, &reading->bounds);
    for (size_t i = 0; err == MW_OK && i < reading->newest.count; i++) {
        const mw_newest_block *next = &reading->newest.items[i];
        const mw_index_block *block = mw_view_block(reading->view, next->block);
        if (!holds_name(reading, block) || !mw_point_filter_block(&reading->filter, next->block))
            continue;
        if (!reading->full && reading->count > reading->bounds.limit)
            compact(reading);
        if (reading->full && next->max_ns < reading->cut_ns)
            break;
        err = scan_block(reading, next->block);
    }
    mw_newest_fini(&reading->newest);
    compact(reading);
    return err;
}

static bool name_is_stored(const metric_reading *reading)
{
    for (size_t i = 0; i < mw_view_count(reading->view); i++)
        if (holds_name(reading, mw_view_block(reading->view, i)))
            return true;
    return false;
}

/* ---- points ---------------------------------------------------------------------------------- */

static mw_err fill_point(void *ctx, size_t at, const mw_fetched_row *fetched)
{
    metric_reading *reading = ctx;
    mw_series_point *point = &reading->points[at];
    mw_point_row *row = &point->row;
    mw_arena *arena = reading->arena;

    mw_hot_point(fetched->hot, fetched->row, row);
    if (!mw_text_copy(arena, &row->name) || !mw_text_copy(arena, &row->unit) ||
        !mw_text_copy(arena, &row->service) || !mw_text_copy(arena, &row->session_id) ||
        !mw_text_copy(arena, &row->origin))
        return MW_E_NOMEM;
    point->bytes = fetched->bytes;
    point->oversized = fetched->oversized;
    point->commit_seq = mw_hot_seq(fetched->hot, fetched->row);
    point->index = mw_hot_index(fetched->hot, fetched->row);
    point->head = fetched->head.bytes;
    point->head_oversized = fetched->head.oversized;
    point->resource = fetched->resource;
    point->scope = fetched->scope;
    return MW_OK;
}

static mw_err fill_points(metric_reading *reading, size_t count)
{
    mw_row_place *places = mw_alloc(MW_MEM_QUERY, count * sizeof *places);
    reading->points = mw_alloc(MW_MEM_QUERY, count * sizeof *reading->points);
    mw_err err = places && reading->points ? MW_OK : MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < count; i++)
        places[i] = (mw_row_place){reading->hits[i].block, reading->hits[i].row};
    if (err == MW_OK)
        err = mw_rows_fetch(reading->view, places, count, reading->arena, fill_point, reading);
    mw_free(MW_MEM_QUERY, places);
    return err;
}

/* ---- series ---------------------------------------------------------------------------------- */

/* By service, series, then as the hits stood: newest first. */
static int series_order(const void *left, const void *right, void *ctx)
{
    const mw_series_point *points = ctx;
    size_t at_a = *(const size_t *)left, at_b = *(const size_t *)right;
    const mw_point_row *a = &points[at_a].row, *b = &points[at_b].row;
    int order = mw_slice_compare(a->service, b->service);
    if (order != 0)
        return order;
    if (a->series != b->series)
        return a->series < b->series ? -1 : 1;
    return at_a < at_b ? -1 : at_a > at_b;
}

static mw_err group(metric_reading *reading, const size_t *order, size_t count)
{
    mw_metric *out = reading->out;
    mw_series_point *points = mw_arena_alloc(reading->arena, count * sizeof *points);
    out->series = mw_arena_alloc(reading->arena, count * sizeof *out->series);
    if (!points || !out->series)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        points[i] = reading->points[order[i]];
        mw_series *last = out->series_count ? &out->series[out->series_count - 1] : NULL;
        if (!last || last->series != points[i].row.series ||
            !mw_slice_equal(last->points[0].row.service, points[i].row.service)) {
            last = &out->series[out->series_count++];
            /* Its newest point names the head: of a description the last word counts. */
            *last = (mw_series){.series = points[i].row.series,
                                .head = points[i].head,
                                .head_oversized = points[i].head_oversized,
                                .resource = points[i].resource,
                                .scope = points[i].scope,
                                .points = &points[i]};
        }
        last->point_count++;
    }
    return MW_OK;
}

static mw_err show_page(metric_reading *reading)
{
    bool more = reading->count > reading->bounds.limit;
    size_t count = more ? reading->bounds.limit : reading->count;

    if (count == 0)
        return MW_OK;
    size_t *order = mw_alloc(MW_MEM_QUERY, count * sizeof *order);
    mw_err err = order ? fill_points(reading, count) : MW_E_NOMEM;
    if (err == MW_OK) {
        for (size_t i = 0; i < count; i++)
            order[i] = i;
        if (count > 1)
            qsort_r(order, count, sizeof *order, series_order, reading->points);
        err = group(reading, order, count);
    }
    mw_free(MW_MEM_QUERY, order);
    if (err == MW_OK && more) {
        mw_page_key last;
        key_of(&last, &reading->hits[count - 1]);
        err = mw_page_cursor(reading->arena, CURSOR_KIND, &last, &reading->out->next_cursor);
    }
    if (err != MW_OK)
        *reading->out = (mw_metric){0};
    return err;
}

mw_err mw_store_metric_read(mw_store_view *view, mw_slice name, const mw_store_page *page,
                            const mw_metric_query *query, mw_arena *arena, mw_metric *out)
{
    metric_reading reading = {.view = view, .arena = arena, .name = name, .out = out};

    memset(out, 0, sizeof *out);
    mw_err err = mw_page_bounds_read(page, CURSOR_KIND, &reading.bounds);
    if (err == MW_OK && reading.bounds.has_cursor && reading.bounds.cursor.id_len != TIE_SIZE)
        err = MW_E_SYNTAX;
    if (err != MW_OK)
        return err;
    reading.name_key = mw_text_key(view->store->key_seed, name);
    if (name.len == 0 || !name_is_stored(&reading))
        return MW_E_NOT_FOUND;
    err = mw_point_filter_init(&reading.filter, view, page, query);
    reading.capacity = 2 * (reading.bounds.limit + 1);
    reading.hits = mw_alloc(MW_MEM_QUERY, reading.capacity * sizeof *reading.hits);
    if (err == MW_OK)
        err = reading.hits ? find_page(&reading) : MW_E_NOMEM;
    if (err == MW_OK)
        err = show_page(&reading);
    mw_free(MW_MEM_QUERY, reading.hits);
    mw_free(MW_MEM_QUERY, reading.points);
    mw_point_filter_fini(&reading.filter);
    return err;
}
