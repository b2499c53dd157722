/* Any bytes as the body of log records in embedded metric format.
 *
 * The first byte says whether the rest is text or a map (KeyValueList). Oracles: what comes out is
 * a valid metrics request of which no point is refused, within its bounds, with as many points as
 * were counted, and the same bytes the second time.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/emf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : abort())

static mw_err count_point(void *ctx, const mw_scan_point *point)
{
    CHECK(point->time_ns != 0);
    ++*(size_t *)ctx;
    return MW_OK;
}

static mw_err accept_metric(void *ctx, const mw_scan_metric *metric)
{
    (void)ctx;
    CHECK(metric->name.len > 0 && metric->name.len <= MW_EMF_NAME_MAX);
    return MW_OK;
}

static mw_err accept_resource(void *ctx, const mw_scan_resource *resource)
{
    (void)ctx, (void)resource;
    return MW_OK;
}

static mw_err accept_scope(void *ctx, const mw_scan_scope *scope)
{
    (void)ctx, (void)scope;
    return MW_OK;
}

static void check_request(const mw_emf_writer *writer)
{
    size_t points = 0;
    mw_scan_result result;
    const mw_scan_sink sink = {.ctx = &points,
                               .resource = accept_resource,
                               .scope = accept_scope,
                               .metric = accept_metric,
                               .point = count_point};
    CHECK(mw_scan_metrics(mw_buffer_slice(&writer->request), NULL, &sink, &result) == MW_OK);
    CHECK(result.refused_total == 0 && result.bad_utf8 == 0 && points == writer->points);
    CHECK(points <= 2 * (size_t)MW_EMF_METRICS_MAX);
}

static void take_twice(mw_emf_writer *writer, const mw_value *body)
{
    const mw_store_context none = {.oversized = 0};
    mw_emf_init(writer, 2 * body->bytes.len);
    for (int i = 0; i < 2; i++)
        if (mw_emf_likely(body))
            CHECK(mw_emf_take(writer, body, 1) == MW_OK);
    CHECK(mw_emf_close_scope(writer, &none, &none) == MW_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const mw_value body = {.type = data[0] & 1 ? MW_VALUE_KVLIST : MW_VALUE_STRING,
                           .bytes = {(const char *)data + 1, size - 1}};
    mw_emf_writer first, second;
    take_twice(&first, &body);
    check_request(&first);
    take_twice(&second, &body);
    CHECK(mw_slice_equal(mw_buffer_slice(&first.request), mw_buffer_slice(&second.request)));
    mw_emf_fini(&first);
    mw_emf_fini(&second);
    return 0;
}
