/* Tallies of metrics. See metric_tally.h. One thread: the view's. */
#include <xxhash.h>

#include "lib/store/query/metric_tally.h"

#define NO_METRIC UINT32_MAX
/* More parts than that are not made: the sets then grow beyond the budget. */
#define PARTS_MAX ((uint32_t)1 << 16)
#define LATEST_AT_FIRST 64u

/* The latest time of each series. When it is full, a series that is not in it has no certain
 * points. */
typedef struct latest_entry {
    uint64_t series, time_ns; /* series 0 = free; no series is 0 */
} latest_entry;

typedef struct latest_table {
    latest_entry *slots;
    size_t count, capacity, max_bytes;
} latest_table;

typedef struct tallying {
    mw_store_view *view;
    mw_point_filter *filter;
    mw_metric_tally *tallies;
    size_t count;
    uint64_t *names; /* of the tallies, ascending, to skip blocks */
    mw_arena *arena;
    uint32_t part, parts;
    mw_key_set set;      /* series, or doubtful points, of the part */
    mw_key_set services; /* (metric, service) */
    latest_table latest;
    /* of the present block */
    uint64_t *text_keys; /* by reference, 0 = not made yet */
    size_t text_capacity;
} tallying;

/* One row of one of the metrics. */
typedef mw_err (*tally_row)(tallying *work, const mw_hot *hot, uint32_t row,
                            mw_metric_tally *tally);

/* ---- which metric ---------------------------------------------------------------------------- */

int mw_metric_id_compare(const mw_metric_id *a, const mw_metric_id *b)
{
    if (a->name != b->name)
        return a->name < b->name ? -1 : 1;
    if (a->unit != b->unit)
        return a->unit < b->unit ? -1 : 1;
    return a->kind < b->kind ? -1 : a->kind > b->kind;
}

static uint32_t find_metric(const tallying *work, const mw_metric_id *id)
{
    size_t low = 0, high = work->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mw_metric_id_compare(&work->tallies[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < work->count && mw_metric_id_compare(&work->tallies[low].id, id) == 0
               ? (uint32_t)low
               : NO_METRIC;
}

static uint64_t text_key(tallying *work, const mw_hot *hot, uint32_t ref)
{
    if (!work->text_keys[ref])
        work->text_keys[ref] = mw_text_key(work->view->store->key_seed, mw_hot_string(hot, ref));
    return work->text_keys[ref];
}

static bool begin_texts(tallying *work, const mw_hot *hot)
{
    size_t need = (size_t)hot->strings + 1;
    if (need > work->text_capacity) {
        mw_free(MW_MEM_QUERY, work->text_keys);
        work->text_capacity = 0;
        work->text_keys = mw_alloc(MW_MEM_QUERY, (need + need / 2) * sizeof *work->text_keys);
        if (!work->text_keys)
            return false;
        work->text_capacity = need + need / 2;
    }
    memset(work->text_keys, 0, need * sizeof *work->text_keys);
    return true;
}

/* ---- passes ---------------------------------------------------------------------------------- */

static mw_err pass_block(tallying *work, const mw_hot *hot, tally_row each)
{
    uint32_t name = UINT32_MAX, unit = UINT32_MAX, metric = NO_METRIC;
    int kind = -1;
    mw_err err = MW_OK;

    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++) {
        uint32_t row_name = mw_hot_ref(hot, MW_HOT_NAME, row);
        uint32_t row_unit = mw_hot_ref(hot, MW_HOT_UNIT, row);
        uint8_t row_kind = hot->narrow[MW_NARROW_KIND][row];
        /* Neighbours are mostly points of one metric. */
        if (row_name != name || row_unit != unit || row_kind != kind) {
            const mw_metric_id id = {text_key(work, hot, row_name), text_key(work, hot, row_unit),
                                     row_kind};
            metric = find_metric(work, &id);
            name = row_name;
            unit = row_unit;
            kind = row_kind;
        }
        if (metric != NO_METRIC && mw_point_filter_row(work->filter, row))
            err = each(work, hot, row, &work->tallies[metric]);
    }
    return err;
}

/* Calls for each point of the metrics, in order of commit. */
static mw_err pass(tallying *work, tally_row each)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < mw_view_count(work->view); i++) {
        const mw_index_block *block = mw_view_block(work->view, i);
        mw_hot hot;
        bool any = false;
        if (!mw_point_filter_block(work->filter, i) ||
            !mw_keys_meet(mw_index_names(block), block->name_count, work->names, work->count))
            continue;
        err = mw_view_hot(work->view, block, &hot);
        if (err == MW_OK)
            err = mw_point_filter_begin(work->filter, &hot, &any);
        if (err == MW_OK && any)
            err = begin_texts(work, &hot) ? pass_block(work, &hot, each) : MW_E_NOMEM;
    }
    return err;
}

static bool in_part(const tallying *work, uint64_t key)
{
    /* High bits: the sets place by the low ones. */
    return (key >> 40 & (work->parts - 1)) == work->part;
}

/* ---- series, services, times ----------------------------------------------------------------- */

static mw_err add_service(tallying *work, const mw_hot *hot, uint32_t row, mw_metric_tally *tally)
{
    mw_metric_summary *summary = &tally->summary;
    uint32_t ref = mw_hot_ref(hot, MW_HOT_SERVICE, row);
    bool added;

    if (ref == 0)
        return MW_OK;
    const uint64_t pair[2] = {(uint64_t)(tally - work->tallies), text_key(work, hot, ref)};
    uint64_t key = XXH3_64bits_withSeed(pair, sizeof pair, work->view->store->key_seed);
    mw_err err = mw_key_set_add(&work->services, key, &added);
    if (err != MW_OK || !added)
        return err;
    if (summary->service_count == tally->service_capacity) {
        size_t capacity = tally->service_capacity ? tally->service_capacity * 2 : 4;
        mw_slice *grown = mw_arena_alloc(work->arena, capacity * sizeof *grown);
        if (!grown)
            return MW_E_NOMEM;
        if (summary->service_count)
            memcpy(grown, summary->services, summary->service_count * sizeof *grown);
        summary->services = grown;
        tally->service_capacity = capacity;
    }
    mw_slice *service = &summary->services[summary->service_count];
    *service = mw_hot_string(hot, ref);
    if (!mw_text_copy(work->arena, service))
        return MW_E_NOMEM;
    summary->service_count++;
    return MW_OK;
}

static mw_err count_series(tallying *work, const mw_hot *hot, uint32_t row, mw_metric_tally *tally)
{
    const uint64_t pair[2] = {(uint64_t)(tally - work->tallies),
                              mw_hot_u64(hot, MW_WIDE_SERIES, row)};
    uint64_t key = XXH3_64bits_withSeed(pair, sizeof pair, work->view->store->key_seed);
    mw_metric_summary *summary = &tally->summary;
    bool added = false;

    if (in_part(work, key)) {
        mw_err err = mw_key_set_add(&work->set, key, &added);
        if (err != MW_OK)
            return err;
        summary->series += added;
    }
    if (work->part != 0)
        return MW_OK;
    /* Once is enough. */
    uint64_t time_ns = mw_hot_time(hot, row);
    if (summary->first_ns == 0 || time_ns < summary->first_ns)
        summary->first_ns = time_ns;
    if (time_ns > summary->last_ns)
        summary->last_ns = time_ns;
    return add_service(work, hot, row, tally);
}

/* ---- points ---------------------------------------------------------------------------------- */

static size_t latest_slot(const latest_table *table, uint64_t series)
{
    size_t slot = series & (table->capacity - 1);
    while (table->slots[slot].series && table->slots[slot].series != series)
        slot = (slot + 1) & (table->capacity - 1);
    return slot;
}

static mw_err latest_grow(latest_table *table, bool *grown)
{
    latest_table larger = *table;
    larger.capacity = table->capacity ? table->capacity * 2 : LATEST_AT_FIRST;
    *grown = larger.capacity * sizeof *table->slots <= table->max_bytes;
    if (!*grown)
        return MW_OK;
    larger.slots = mw_calloc(MW_MEM_QUERY, larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return MW_E_NOMEM;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].series)
            larger.slots[latest_slot(&larger, table->slots[i].series)] = table->slots[i];
    mw_free(MW_MEM_QUERY, table->slots);
    *table = larger;
    return MW_OK;
}

/* Is the point later than all before it of its series? Depends on the order of the rows alone, so
 * that every pass finds the same. */
static mw_err is_certain(latest_table *table, uint64_t series, uint64_t time_ns, bool *certain)
{
    size_t slot = table->capacity ? latest_slot(table, series) : 0;
    mw_err err = MW_OK;

    *certain = false;
    if (table->capacity == 0 || !table->slots[slot].series) {
        bool room = true;
        if (table->count * 2 >= table->capacity)
            err = latest_grow(table, &room);
        if (err != MW_OK || !room)
            return err;
        slot = latest_slot(table, series);
        table->slots[slot].series = series;
        table->count++;
    }
    *certain = time_ns > table->slots[slot].time_ns;
    if (*certain)
        table->slots[slot].time_ns = time_ns;
    return MW_OK;
}

static mw_err count_points(tallying *work, const mw_hot *hot, uint32_t row, mw_metric_tally *tally)
{
    bool certain, added;
    mw_err err = is_certain(&work->latest, mw_hot_u64(hot, MW_WIDE_SERIES, row),
                            mw_hot_time(hot, row), &certain);
    if (err != MW_OK)
        return err;
    if (certain) {
        tally->certain += work->part == 0;
        return MW_OK;
    }
    uint64_t key = mw_point_key(work->view->store->key_seed, hot, row);
    if (!in_part(work, key))
        return MW_OK;
    err = mw_key_set_add(&work->set, key, &added);
    tally->doubtful += err == MW_OK && added;
    return err;
}

/* Second pass: a doubtful point that came first as a certain one was counted there. */
static mw_err refute_points(tallying *work, const mw_hot *hot, uint32_t row, mw_metric_tally *tally)
{
    bool certain;
    mw_err err = is_certain(&work->latest, mw_hot_u64(hot, MW_WIDE_SERIES, row),
                            mw_hot_time(hot, row), &certain);
    if (err == MW_OK && certain)
        tally->refuted +=
            mw_key_set_has(&work->set, mw_point_key(work->view->store->key_seed, hot, row));
    return err;
}

static void forget_latest(latest_table *table)
{
    mw_free(MW_MEM_QUERY, table->slots);
    *table = (latest_table){.max_bytes = table->max_bytes};
}

static mw_err count_part(tallying *work)
{
    forget_latest(&work->latest);
    mw_err err = pass(work, count_points);
    if (err != MW_OK || work->set.count == 0)
        return err;
    forget_latest(&work->latest);
    return pass(work, refute_points);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static mw_err series_pass(tallying *work)
{
    /* Of the first part: all counts start again. Times and services are found again. */
    for (size_t i = 0; work->part == 0 && i < work->count; i++)
        work->tallies[i].summary.series = 0;
    return pass(work, count_series);
}

static mw_err point_passes(tallying *work)
{
    for (size_t i = 0; work->part == 0 && i < work->count; i++)
        work->tallies[i].certain = work->tallies[i].doubtful = work->tallies[i].refuted = 0;
    return count_part(work);
}

/* Runs a pass for each part; too many keys for the budget means twice the parts, from the start. */
static mw_err in_parts(tallying *work, size_t max_bytes, mw_err (*one)(tallying *work))
{
    mw_err err;
    work->parts = 1;
    do {
        bool last_try = work->parts == PARTS_MAX;
        err = MW_OK;
        mw_key_set_init(&work->set, last_try ? SIZE_MAX : max_bytes);
        for (work->part = 0; err == MW_OK && work->part < work->parts; work->part++) {
            mw_key_set_clear(&work->set);
            err = one(work);
        }
        mw_key_set_fini(&work->set);
        work->parts *= 2;
    } while (err == MW_E_LIMIT);
    return err;
}

static int service_compare(const void *left, const void *right)
{
    return mw_slice_compare(*(const mw_slice *)left, *(const mw_slice *)right);
}

/* The sum of the certain and of the doubtful that stood the second pass. */
static void conclude(tallying *work)
{
    for (size_t i = 0; i < work->count; i++) {
        mw_metric_tally *tally = &work->tallies[i];
        mw_metric_summary *summary = &tally->summary;
        MW_ASSERT(tally->refuted <= tally->doubtful);
        summary->points = tally->certain + tally->doubtful - tally->refuted;
        if (summary->service_count > 1)
            qsort(summary->services, summary->service_count, sizeof *summary->services,
                  service_compare);
    }
}

mw_err mw_metric_tally_run(mw_store_view *view, mw_point_filter *filter, mw_metric_tally *tallies,
                           size_t count, mw_arena *arena)
{
    tallying work = {
        .view = view, .filter = filter, .tallies = tallies, .count = count, .arena = arena};

    work.names = mw_alloc(MW_MEM_QUERY, (count + 1) * sizeof *work.names);
    if (!work.names)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        work.names[i] = tallies[i].id.name;
    work.latest.max_bytes = view->query_budget / 2;
    /* The services are part of the answer, so that the budget does not bound them. */
    mw_key_set_init(&work.services, SIZE_MAX);
    mw_err err = in_parts(&work, view->query_budget, series_pass);
    if (err == MW_OK)
        err = in_parts(&work, view->query_budget / 2, point_passes);
    if (err == MW_OK)
        conclude(&work);
    forget_latest(&work.latest);
    mw_key_set_fini(&work.services);
    mw_free(MW_MEM_QUERY, work.names);
    mw_free(MW_MEM_QUERY, work.text_keys);
    return err;
}
