/* Data points by series. See point_table.h. */
#include <math.h>
#include <xxhash.h>

#include "triage/evidence/point_table.h"

#define SLOTS ((size_t)4 * MW_POINT_TABLE_SERIES)
#define CUMULATIVE 2
#define NO_SERIES UINT32_MAX

typedef struct raw_point {
    uint64_t time_ns, count;
    double value;
    uint32_t series;
} raw_point;

typedef enum reading { READ_VALUE, READ_RATE, READ_MEAN, READ_MEAN_DELTA } reading;

typedef struct builder {
    mw_point_table *table;
    mw_arena *arena;
    raw_point *raw; /* MW_MEM_QUERY, as the slots */
    uint8_t *readings;
    uint64_t *keys;
    uint32_t *slots; /* 1 + number */
    size_t count;
    uint64_t seed, mask;
} builder;

static uint64_t hash_of(const builder *b, uint64_t series)
{
    return XXH3_64bits_withSeed(&series, sizeof series, b->seed);
}

/* A counter says how much there ever was, or how much since the point before. */
static reading reading_of(const mw_point_row *row)
{
    bool cumulative = row->temporality == CUMULATIVE;
    if (row->count || isnan(row->value))
        return cumulative ? READ_MEAN : READ_MEAN_DELTA;
    return cumulative && row->flags & MW_POINT_MONOTONIC ? READ_RATE : READ_VALUE;
}

static mw_err series_number(builder *b, const mw_point_row *row, uint32_t *out)
{
    mw_point_table *table = b->table;
    size_t slot = hash_of(b, row->series) & (SLOTS - 1);
    while (b->slots[slot] && b->keys[slot] != row->series)
        slot = (slot + 1) & (SLOTS - 1);
    *out = b->slots[slot] - 1;
    if (b->slots[slot])
        return MW_OK;
    *out = NO_SERIES;
    if (table->series_count == MW_POINT_TABLE_SERIES)
        return MW_OK;
    mw_series_fact *series = &table->series[table->series_count];
    series->service = mw_arena_copy(b->arena, row->service);
    series->name = mw_arena_copy(b->arena, row->name);
    series->unit = mw_arena_copy(b->arena, row->unit);
    if (!series->service.data || !series->name.data || !series->unit.data)
        return MW_E_NOMEM;
    b->readings[table->series_count] = (uint8_t)reading_of(row);
    b->keys[slot] = row->series;
    *out = (uint32_t)table->series_count++;
    b->slots[slot] = *out + 1;
    return MW_OK;
}

static void thin(builder *b)
{
    size_t kept = 0;
    bool *keeps = mw_calloc(MW_MEM_QUERY, b->table->series_count + 1, sizeof *keeps);
    b->mask = b->mask << 1 | 1;
    b->table->sampled++;
    for (size_t slot = 0; keeps && slot < SLOTS; slot++)
        if (b->slots[slot])
            keeps[b->slots[slot] - 1] = !(hash_of(b, b->keys[slot]) >> 32 & b->mask);
    for (size_t i = 0; keeps && i < b->count; i++)
        if (keeps[b->raw[i].series])
            b->raw[kept++] = b->raw[i];
    b->count = kept;
    mw_free(MW_MEM_QUERY, keeps);
}

static mw_err take_point(void *ctx, const mw_point_row *row)
{
    builder *b = ctx;
    uint32_t series;
    if (row->flags & MW_POINT_NO_VALUE || !row->service.len ||
        hash_of(b, row->series) >> 32 & b->mask)
        return MW_OK;
    for (int i = 0; b->count == MW_POINT_TABLE_POINTS && i < 32; i++)
        thin(b);
    mw_err err = series_number(b, row, &series);
    if (err != MW_OK)
        return err;
    if (series == NO_SERIES || b->count == MW_POINT_TABLE_POINTS)
        b->table->left_out++;
    else
        b->raw[b->count++] = (raw_point){row->time_ns, row->count, row->value, series};
    return MW_OK;
}

/* ---- order ---------------------------------------------------------------------------------- */

static int by_series(const void *left, const void *right)
{
    const raw_point *a = left, *b = right;
    if (a->series != b->series)
        return a->series < b->series ? -1 : 1;
    return a->time_ns < b->time_ns ? -1 : a->time_ns > b->time_ns;
}

/* The number between a point and the one before it; NaN when there is none. */
static double number_of(reading how, const raw_point *before, const raw_point *point)
{
    switch (how) {
    case READ_VALUE: return point->value;
    case READ_MEAN_DELTA: return point->count ? point->value / (double)point->count : (double)NAN;
    default: break;
    }
    if (!before || point->time_ns <= before->time_ns || point->value < before->value)
        return (double)NAN;
    double more = point->value - before->value;
    if (how == READ_RATE)
        return more / ((double)(point->time_ns - before->time_ns) / 1e9);
    return point->count > before->count ? more / (double)(point->count - before->count)
                                        : (double)NAN;
}

static void add_point(mw_point_table *table, mw_series_fact *series, uint32_t number,
                      uint64_t time_ns, double value)
{
    if (!isfinite(value))
        return;
    if (!series->count)
        series->first = table->count;
    series->count++;
    table->points[table->count++] = (mw_point_fact){number, time_ns, value};
}

static void make_numbers(builder *b)
{
    mw_point_table *table = b->table;
    if (b->count > 1)
        qsort(b->raw, b->count, sizeof *b->raw, by_series);
    for (size_t i = 0; i < b->count; i++) {
        const raw_point *point = &b->raw[i];
        bool same = i > 0 && b->raw[i - 1].series == point->series;
        if (same && b->raw[i - 1].time_ns == point->time_ns)
            continue; /* a repeat */
        add_point(
            table, &table->series[point->series], point->series, point->time_ns,
            number_of((reading)b->readings[point->series], same ? &b->raw[i - 1] : NULL, point));
    }
}

static int by_name(const void *left, const void *right)
{
    const mw_series_fact *a = left, *b = right;
    int order = mw_slice_compare(a->service, b->service);
    if (!order)
        order = mw_slice_compare(a->name, b->name);
    if (!order)
        order = mw_slice_compare(a->unit, b->unit);
    return order ? order : (a->first < b->first ? -1 : a->first > b->first);
}

static void sort_series(mw_point_table *table)
{
    if (table->series_count > 1)
        qsort(table->series, table->series_count, sizeof *table->series, by_name);
    for (size_t i = 0; i < table->series_count; i++)
        for (size_t k = 0; k < table->series[i].count; k++)
            table->points[table->series[i].first + k].series = (uint32_t)i;
}

static mw_err make_room(builder *b)
{
    mw_point_table *table = b->table;
    table->series = mw_arena_zalloc(b->arena, MW_POINT_TABLE_SERIES, sizeof *table->series);
    table->points = mw_alloc(MW_MEM_QUERY, MW_POINT_TABLE_POINTS * sizeof *table->points);
    b->raw = mw_alloc(MW_MEM_QUERY, MW_POINT_TABLE_POINTS * sizeof *b->raw);
    b->readings = mw_alloc(MW_MEM_QUERY, MW_POINT_TABLE_SERIES);
    b->keys = mw_calloc(MW_MEM_QUERY, SLOTS, sizeof *b->keys);
    b->slots = mw_calloc(MW_MEM_QUERY, SLOTS, sizeof *b->slots);
    bool there = table->series && table->points && b->raw && b->readings && b->keys && b->slots;
    return there ? MW_OK : MW_E_NOMEM;
}

mw_err mw_point_table_read(mw_store_view *view, const mw_store_window *window, mw_arena *arena,
                           mw_point_table *out)
{
    builder b = {.table = out, .arena = arena, .seed = mw_store_view_seed(view)};
    memset(out, 0, sizeof *out);
    mw_err err = make_room(&b);
    if (err == MW_OK)
        err = mw_store_each_point(view, window, take_point, &b);
    if (err == MW_OK) {
        make_numbers(&b);
        sort_series(out);
    }
    mw_free(MW_MEM_QUERY, b.raw);
    mw_free(MW_MEM_QUERY, b.readings);
    mw_free(MW_MEM_QUERY, b.keys);
    mw_free(MW_MEM_QUERY, b.slots);
    if (err != MW_OK)
        mw_point_table_fini(out);
    return err;
}

void mw_point_table_fini(mw_point_table *table)
{
    mw_free(MW_MEM_QUERY, table->points);
    table->points = NULL;
    table->count = 0;
}
