/* Fuzzes the shapes of log records and data points. Oracle: whatever the validating pass lets into
 * the store can be shown, as JSON that a strict reader takes, with exact values.
 *
 * The input is read as a request of logs, then as one of metrics; each record, and each point in a
 * series of its own, goes through its shape.
 */
#include <jansson.h>

#include "proto/scan.h"
#include "server/api/shape_log.h"
#include "server/api/shape_point.h"

#define DEMAND(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            mw_bug(__FILE__, __LINE__, #condition);                                                \
    } while (0)
#define TEXT_MAX ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct shown {
    mw_arena arena; /* of the scan */
    mw_store_context resource, scope;
    mw_buffer head;
} shown;

static mw_err on_resource(void *ctx, const mw_scan_resource *resource)
{
    ((shown *)ctx)->resource =
        (mw_store_context){.bytes = resource->bytes, .schema_url = resource->schema_url};
    return MW_OK;
}

static mw_err on_scope(void *ctx, const mw_scan_scope *scope)
{
    ((shown *)ctx)->scope =
        (mw_store_context){.bytes = scope->bytes, .schema_url = scope->schema_url};
    return MW_OK;
}

static mw_err on_metric(void *ctx, const mw_scan_metric *metric)
{
    shown *state = ctx;
    mw_buffer_clear(&state->head);
    mw_metric_write_head(metric, &state->head);
    DEMAND(!state->head.err);
    return MW_OK;
}

/* NULL when the text has a NUL in a key, which jansson knows no way to hold. */
static json_t *parse(const mw_buffer *text)
{
    json_error_t error;
    json_t *root = json_loadb(text->data, text->len, JSON_ALLOW_NUL, &error);
    DEMAND(root || json_error_code(&error) == json_error_null_byte_in_key);
    return root;
}

static void demand_text(const json_t *object, const char *key, uint64_t number)
{
    char wanted[24];
    snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)number);
    const char *text = json_string_value(json_object_get(object, key));
    DEMAND(number ? text && strcmp(text, wanted) == 0 : !text);
}

static mw_err on_log(void *ctx, const mw_scan_log *log)
{
    shown *state = ctx;
    mw_buffer text;
    mw_json json;
    mw_record_writer writer;
    mw_log_record record = {.row = {.time_ns = log->time_ns},
                            .bytes = log->bytes,
                            .resource = state->resource,
                            .scope = state->scope};
    memcpy(record.row.trace_id, log->trace_id, sizeof record.row.trace_id);
    mw_buffer_init(&text, MW_MEM_QUERY, TEXT_MAX);
    mw_json_init(&json, &text);
    mw_record_writer_init(&writer, &json);
    mw_err err = mw_record_write(&writer, &record);
    DEMAND(err == MW_OK || err == MW_E_LIMIT);
    mw_record_writer_fini(&writer);
    json_t *root = err ? NULL : parse(&text);
    if (root) {
        demand_text(root, "time_unix_nano", log->time_ns);
        demand_text(root, "observed_time_unix_nano", log->observed_ns);
        DEMAND(json_is_null(json_object_get(root, "trace_id")) == !log->has_trace_id);
        DEMAND(json_integer_value(json_object_get(root, "severity")) ==
               (int32_t)log->severity_number);
    }
    json_decref(root);
    mw_buffer_fini(&text);
    return MW_OK;
}

/* The value reads back to the same bits; NaN and the infinities are text. */
static void check_value(const json_t *value, const mw_value *sent)
{
    if (sent->type == MW_VALUE_INT) {
        int64_t number = json_integer_value(value);
        mw_slice text = {json_string_value(value), json_string_length(value)};
        DEMAND(json_is_integer(value) || mw_slice_i64(text, &number) == MW_OK);
        DEMAND(number == sent->as.i);
    } else if (sent->type == MW_VALUE_DOUBLE && __builtin_isfinite(sent->as.d)) {
        double number = json_real_value(value);
        DEMAND(json_is_real(value) && memcmp(&number, &sent->as.d, sizeof number) == 0);
    } else {
        DEMAND(json_is_string(value) || sent->type == MW_VALUE_EMPTY);
    }
}

static void check_point(const json_t *root, const mw_scan_point *point)
{
    const json_t *shape = json_array_get(json_object_get(root, "points"), 0);
    demand_text(shape, "time_unix_nano", point->time_ns);
    demand_text(shape, "start_unix_nano", point->start_ns);
    DEMAND(json_array_size(json_object_get(shape, "exemplars")) == point->exemplar_count);
    if (point->kind == MW_METRIC_GAUGE || point->kind == MW_METRIC_SUM) {
        const json_t *value = json_object_get(shape, "value");
        DEMAND(json_is_null(value) == point->no_value);
        if (!point->no_value)
            check_value(value, &point->value);
        return;
    }
    DEMAND(json_is_null(json_object_get(shape, "count")) == point->no_value);
    if (!point->no_value)
        DEMAND(json_is_null(json_object_get(shape, "sum")) == !point->has_sum);
}

static mw_err on_point(void *ctx, const mw_scan_point *point)
{
    shown *state = ctx;
    mw_buffer text;
    mw_json json;
    mw_series_writer writer;
    mw_series_point stored = {.row = {.time_ns = point->time_ns,
                                      .start_ns = point->start_ns,
                                      .kind = (uint8_t)point->kind},
                              .bytes = point->bytes};
    mw_series series = {.head = mw_buffer_slice(&state->head),
                        .resource = state->resource,
                        .scope = state->scope,
                        .points = &stored,
                        .point_count = 1};
    mw_buffer_init(&text, MW_MEM_QUERY, TEXT_MAX);
    mw_json_init(&json, &text);
    mw_series_writer_init(&writer, &json);
    mw_err err = mw_series_write(&writer, &series);
    DEMAND(err == MW_OK || err == MW_E_LIMIT);
    mw_series_writer_fini(&writer);
    json_t *root = err ? NULL : parse(&text);
    if (root)
        check_point(root, point);
    json_decref(root);
    mw_buffer_fini(&text);
    return MW_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    shown state = {.head = {.data = NULL}};
    mw_slice body = {(const char *)data, size};
    mw_scan_result result;
    mw_arena_init(&state.arena, MW_MEM_QUERY, TEXT_MAX);
    mw_buffer_init(&state.head, MW_MEM_QUERY, TEXT_MAX);
    mw_scan_sink sink = {.ctx = &state,
                         .arena = &state.arena,
                         .resource = on_resource,
                         .scope = on_scope,
                         .log = on_log,
                         .metric = on_metric,
                         .point = on_point};
    /* The result says nothing here: what a sink saw before an error must be fit to show too. */
    if (mw_scan_logs(body, NULL, &sink, &result) == MW_OK)
        DEMAND(result.refused_total <= result.items);
    if (mw_scan_metrics(body, NULL, &sink, &result) == MW_OK)
        DEMAND(result.refused_total <= result.items);
    mw_buffer_fini(&state.head);
    mw_arena_reset(&state.arena);
    return 0;
}
