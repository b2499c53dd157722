/* What the tests of mw_scan_metrics share: a sink that keeps what it sees, and requests by hand. */
#ifndef MW_TESTS_METRIC_SEEN_H
#define MW_TESTS_METRIC_SEEN_H

#include "proto/scan.h"
#include "tests/unit/proto/scan_fixture.h"

#define KEEP_MAX 64
#define GOOD_TIME UINT64_C(1700000060000000000)
#define FIRST_METRIC "resource_metrics[0].scope_metrics[0].metrics[0]"

typedef struct seen_all {
    mw_arena arena;
    int resources, scopes, metrics, points;
    mw_scan_metric metric[KEEP_MAX];
    mw_scan_point point[KEEP_MAX];
    int metric_of[KEEP_MAX]; /* of each point */
    mw_found found[KEEP_MAX];
    mw_slice service; /* the resource's "service.name" */
    mw_err metric_answer, point_answer;
    mw_scan_result result;
} seen_all;

static const char *const key_names[] = {"session.id", "service.name", "n"};
static mw_keyset *keys;
static seen_all *the_seen; /* too large for a stack frame */

static mw_err see_resource(void *ctx, const mw_scan_resource *resource)
{
    seen_all *seen = ctx;
    seen->resources++;
    if (resource->found_count)
        seen->service = resource->found[0].value.bytes;
    return MW_OK;
}

static mw_err see_scope(void *ctx, const mw_scan_scope *scope)
{
    seen_all *seen = ctx;
    (void)scope;
    assert_true(seen->resources > 0);
    seen->scopes++;
    return MW_OK;
}

static mw_err see_metric(void *ctx, const mw_scan_metric *metric)
{
    seen_all *seen = ctx;
    assert_true(seen->scopes > 0);
    assert_true(metric->kind != MW_METRIC_NONE);
    if (seen->metrics < KEEP_MAX)
        seen->metric[seen->metrics] = *metric;
    seen->metrics++;
    return seen->metric_answer;
}

static mw_err see_point(void *ctx, const mw_scan_point *point)
{
    seen_all *seen = ctx;
    assert_true(seen->metrics > 0);
    if (seen->points < KEEP_MAX) {
        seen->point[seen->points] = *point;
        seen->metric_of[seen->points] = seen->metrics - 1;
        if (point->found_count)
            seen->found[seen->points] = point->found[0];
    }
    seen->points++;
    return seen->point_answer;
}

static mw_err scan(mw_slice body)
{
    seen_all *seen = the_seen;
    mw_arena_reset(&seen->arena);
    mw_err metric_answer = seen->metric_answer, point_answer = seen->point_answer;
    memset(seen, 0, sizeof *seen);
    seen->metric_answer = metric_answer;
    seen->point_answer = point_answer;
    mw_arena_init(&seen->arena, MW_MEM_INGEST, 0);
    mw_scan_sink sink = {.ctx = seen,
                         .arena = &seen->arena,
                         .resource = see_resource,
                         .scope = see_scope,
                         .metric = see_metric,
                         .point = see_point};
    return mw_scan_metrics(body, keys, &sink, &seen->result);
}

/* Where a Metric has its data. */
static const uint32_t data_numbers[MW_METRIC_KINDS] = {[MW_METRIC_GAUGE] = 5,
                                                       [MW_METRIC_SUM] = 7,
                                                       [MW_METRIC_HISTOGRAM] = 9,
                                                       [MW_METRIC_EXPONENTIAL_HISTOGRAM] = 10,
                                                       [MW_METRIC_SUMMARY] = 11};

static inline bool kind_has_temporality(mw_metric_kind kind)
{
    return kind >= MW_METRIC_SUM && kind <= MW_METRIC_EXPONENTIAL_HISTOGRAM;
}

/* The metric "m" around `points`, which holds data_points fields (number 1) and is emptied. */
static otlp_writer metric_of_points(mw_metric_kind kind, otlp_writer *points, uint32_t temporality)
{
    otlp_writer metric = {0};
    put_text(&metric, 1, "m");
    if (kind_has_temporality(kind))
        put_number(points, 2, temporality);
    put_message(&metric, data_numbers[kind], points);
    return metric;
}

/* A point of that kind that no rule refuses: a value of 7, or counts of nothing. */
static otlp_writer good_point(mw_metric_kind kind)
{
    otlp_writer point = {0};
    put_fixed64(&point, 3, GOOD_TIME);
    if (kind <= MW_METRIC_SUM)
        put_fixed64(&point, 6, 7);
    return point;
}

static int seen_setup(void **state)
{
    (void)state;
    keys = mw_keyset_new(key_names, sizeof key_names / sizeof key_names[0]);
    the_seen = calloc(1, sizeof *the_seen);
    assert_non_null(the_seen);
    mw_arena_init(&the_seen->arena, MW_MEM_INGEST, 0);
    return 0;
}

static int seen_teardown(void **state)
{
    (void)state;
    mw_arena_reset(&the_seen->arena);
    free(the_seen);
    mw_keyset_free(keys);
    return 0;
}

#endif
