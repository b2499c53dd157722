/* What the tests of the export's way share: keys, an arena, requests read into batches. */
#ifndef MW_TESTS_EXPORT_FIXTURE_H
#define MW_TESTS_EXPORT_FIXTURE_H

#include "collector/export_int.h"
#include "collector/resolve.h"
#include "tests/check.h"
#include "tests/otlp_capture.h"
#include "tests/otlp_writer.h"

/* 2026-11-21, an hour after the captures. */
#define RECEIVED_NS UINT64_C(1795246400000000000)
#define GOOD_TIME UINT64_C(1700000060000000000)

static uint8_t digest_key[MW_DIGEST_KEY_SIZE] = {7};
static mw_export_keys keys = {.digest = digest_key};
static mw_arena arena;

static inline mw_err read_from(mw_signal signal, mw_slice body, mw_slice origin,
                               mw_export_batch *batch)
{
    const mw_export_input input = {.signal = mw_export_signal_of(signal),
                                   .body = body,
                                   .keys = &keys,
                                   .origin = origin,
                                   .received_ns = RECEIVED_NS,
                                   .arena = &arena};
    return mw_export_batch_read(batch, &input);
}

static inline mw_err read_as(mw_signal signal, mw_slice body, mw_export_batch *batch)
{
    return read_from(signal, body, MW_SLICE_NONE, batch);
}

/* A request with one item (ScopeSpans' and its kin's field 2); the item is emptied. */
static inline otlp_writer request_with(otlp_writer *item)
{
    otlp_writer items = {0};
    put_message(&items, 2, item);
    return request_of(&items);
}

/* Sum or gauge of one point: kind is the field of Metric (5 gauge, 7 sum). */
static inline otlp_writer metric_of(const char *name, uint32_t data_field, otlp_writer *point)
{
    otlp_writer metric = {0}, data = {0};
    put_text(&metric, 1, name);
    put_message(&data, 1, point);
    if (data_field == 7)
        put_number(&data, 2, 2);
    put_message(&metric, data_field, &data);
    return metric;
}

static inline otlp_writer int_point(uint64_t time_ns, int64_t value)
{
    otlp_writer point = {0};
    put_fixed64(&point, 3, time_ns);
    put_fixed64(&point, 6, (uint64_t)value);
    return point;
}

static int run_all(const struct CMUnitTest *tests, size_t count, const char *name)
{
    keys.attributes = mw_resolve_keyset_new();
    mw_arena_init(&arena, MW_MEM_INGEST, 0);
    int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    mw_arena_reset(&arena);
    mw_keyset_free(keys.attributes);
    return failed;
}
#define RUN_ALL(tests) run_all(tests, sizeof(tests) / sizeof(tests)[0], #tests)

#endif
