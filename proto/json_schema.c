/* OTLP/JSON by table: key, number and type of every field, and the names of the enums.
 *
 * Numbers and names are those of OTLP 1.11 (opentelemetry-proto ac2c4b5d); profiles are left out.
 * Keys are lowerCamelCase; snake_case is derived, not listed.
 */
#include "proto/json_int.h"

#define ONE(name_, number_, type_)                                                                 \
    {                                                                                              \
        name_, number_, MW_FIELD_##type_, false, NULL, NULL                                        \
    }
#define MANY(name_, number_, type_)                                                                \
    {                                                                                              \
        name_, number_, MW_FIELD_##type_, true, NULL, NULL                                         \
    }
#define MESSAGE(name_, number_, of_)                                                               \
    {                                                                                              \
        name_, number_, MW_FIELD_MESSAGE, false, &of_, NULL                                        \
    }
#define MESSAGES(name_, number_, of_)                                                              \
    {                                                                                              \
        name_, number_, MW_FIELD_MESSAGE, true, &of_, NULL                                         \
    }
#define NAMED(name_, number_, names_)                                                              \
    {                                                                                              \
        name_, number_, MW_FIELD_ENUM, false, NULL, names_                                         \
    }
#define BIT(number_) (UINT32_C(1) << (number_))
/* Also the index into a string table, 8, which only profiles have: as good as empty. */
#define ANY_VALUE_CHOICE (BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8))
#define METRIC_DATA (BIT(5) | BIT(7) | BIT(9) | BIT(10) | BIT(11))
#define LAST                                                                                       \
    {                                                                                              \
        NULL, 0, 0, false, NULL, NULL                                                              \
    }

static const mw_json_enum span_kinds[] = {{"SPAN_KIND_UNSPECIFIED", 0},
                                          {"SPAN_KIND_INTERNAL", 1},
                                          {"SPAN_KIND_SERVER", 2},
                                          {"SPAN_KIND_CLIENT", 3},
                                          {"SPAN_KIND_PRODUCER", 4},
                                          {"SPAN_KIND_CONSUMER", 5},
                                          {NULL, 0}};

static const mw_json_enum status_codes[] = {
    {"STATUS_CODE_UNSET", 0}, {"STATUS_CODE_OK", 1}, {"STATUS_CODE_ERROR", 2}, {NULL, 0}};

static const mw_json_enum temporalities[] = {{"AGGREGATION_TEMPORALITY_UNSPECIFIED", 0},
                                             {"AGGREGATION_TEMPORALITY_DELTA", 1},
                                             {"AGGREGATION_TEMPORALITY_CUMULATIVE", 2},
                                             {NULL, 0}};

static const mw_json_enum severities[] = {
    {"SEVERITY_NUMBER_UNSPECIFIED", 0}, {"SEVERITY_NUMBER_TRACE", 1},
    {"SEVERITY_NUMBER_TRACE2", 2},      {"SEVERITY_NUMBER_TRACE3", 3},
    {"SEVERITY_NUMBER_TRACE4", 4},      {"SEVERITY_NUMBER_DEBUG", 5},
    {"SEVERITY_NUMBER_DEBUG2", 6},      {"SEVERITY_NUMBER_DEBUG3", 7},
    {"SEVERITY_NUMBER_DEBUG4", 8},      {"SEVERITY_NUMBER_INFO", 9},
    {"SEVERITY_NUMBER_INFO2", 10},      {"SEVERITY_NUMBER_INFO3", 11},
    {"SEVERITY_NUMBER_INFO4", 12},      {"SEVERITY_NUMBER_WARN", 13},
    {"SEVERITY_NUMBER_WARN2", 14},      {"SEVERITY_NUMBER_WARN3", 15},
    {"SEVERITY_NUMBER_WARN4", 16},      {"SEVERITY_NUMBER_ERROR", 17},
    {"SEVERITY_NUMBER_ERROR2", 18},     {"SEVERITY_NUMBER_ERROR3", 19},
    {"SEVERITY_NUMBER_ERROR4", 20},     {"SEVERITY_NUMBER_FATAL", 21},
    {"SEVERITY_NUMBER_FATAL2", 22},     {"SEVERITY_NUMBER_FATAL3", 23},
    {"SEVERITY_NUMBER_FATAL4", 24},     {NULL, 0}};

/* Two messages refer to each other: a value holds lists, a list holds values. */
static const mw_json_message any_value;

static const mw_json_field key_value_fields[] = {ONE("key", 1, STRING),
                                                 MESSAGE("value", 2, any_value), LAST};
static const mw_json_message key_value = {"KeyValue", key_value_fields, 0};

static const mw_json_field array_value_fields[] = {MESSAGES("values", 1, any_value), LAST};
static const mw_json_message array_value = {"ArrayValue", array_value_fields, 0};

static const mw_json_field key_value_list_fields[] = {MESSAGES("values", 1, key_value), LAST};
static const mw_json_message key_value_list = {"KeyValueList", key_value_list_fields, 0};

static const mw_json_field any_value_fields[] = {ONE("stringValue", 1, STRING),
                                                 ONE("boolValue", 2, BOOL),
                                                 ONE("intValue", 3, INT64),
                                                 ONE("doubleValue", 4, DOUBLE),
                                                 MESSAGE("arrayValue", 5, array_value),
                                                 MESSAGE("kvlistValue", 6, key_value_list),
                                                 ONE("bytesValue", 7, BYTES_BASE64),
                                                 LAST};
static const mw_json_message any_value = {"AnyValue", any_value_fields, ANY_VALUE_CHOICE};

static const mw_json_field entity_ref_fields[] = {ONE("schemaUrl", 1, STRING),
                                                  ONE("type", 2, STRING), MANY("idKeys", 3, STRING),
                                                  MANY("descriptionKeys", 4, STRING), LAST};
static const mw_json_message entity_ref = {"EntityRef", entity_ref_fields, 0};

static const mw_json_field resource_fields[] = {MESSAGES("attributes", 1, key_value),
                                                ONE("droppedAttributesCount", 2, UINT32),
                                                MESSAGES("entityRefs", 3, entity_ref), LAST};
static const mw_json_message resource = {"Resource", resource_fields, 0};

static const mw_json_field instrumentation_scope_fields[] = {
    ONE("name", 1, STRING), ONE("version", 2, STRING), MESSAGES("attributes", 3, key_value),
    ONE("droppedAttributesCount", 4, UINT32), LAST};
static const mw_json_message instrumentation_scope = {"InstrumentationScope",
                                                      instrumentation_scope_fields, 0};

static const mw_json_field event_fields[] = {
    ONE("timeUnixNano", 1, FIXED64), ONE("name", 2, STRING), MESSAGES("attributes", 3, key_value),
    ONE("droppedAttributesCount", 4, UINT32), LAST};
static const mw_json_message event = {"Event", event_fields, 0};

static const mw_json_field link_fields[] = {ONE("traceId", 1, ID16),
                                            ONE("spanId", 2, ID8),
                                            ONE("traceState", 3, STRING),
                                            MESSAGES("attributes", 4, key_value),
                                            ONE("droppedAttributesCount", 5, UINT32),
                                            ONE("flags", 6, FIXED32),
                                            LAST};
static const mw_json_message link = {"Link", link_fields, 0};

static const mw_json_field status_fields[] = {ONE("message", 2, STRING),
                                              NAMED("code", 3, status_codes), LAST};
static const mw_json_message status = {"Status", status_fields, 0};

static const mw_json_field span_fields[] = {ONE("traceId", 1, ID16),
                                            ONE("spanId", 2, ID8),
                                            ONE("traceState", 3, STRING),
                                            ONE("parentSpanId", 4, ID8),
                                            ONE("name", 5, STRING),
                                            NAMED("kind", 6, span_kinds),
                                            ONE("startTimeUnixNano", 7, FIXED64),
                                            ONE("endTimeUnixNano", 8, FIXED64),
                                            MESSAGES("attributes", 9, key_value),
                                            ONE("droppedAttributesCount", 10, UINT32),
                                            MESSAGES("events", 11, event),
                                            ONE("droppedEventsCount", 12, UINT32),
                                            MESSAGES("links", 13, link),
                                            ONE("droppedLinksCount", 14, UINT32),
                                            MESSAGE("status", 15, status),
                                            ONE("flags", 16, FIXED32),
                                            LAST};
static const mw_json_message span = {"Span", span_fields, 0};

static const mw_json_field scope_spans_fields[] = {MESSAGE("scope", 1, instrumentation_scope),
                                                   MESSAGES("spans", 2, span),
                                                   ONE("schemaUrl", 3, STRING), LAST};
static const mw_json_message scope_spans = {"ScopeSpans", scope_spans_fields, 0};

static const mw_json_field resource_spans_fields[] = {MESSAGE("resource", 1, resource),
                                                      MESSAGES("scopeSpans", 2, scope_spans),
                                                      ONE("schemaUrl", 3, STRING), LAST};
static const mw_json_message resource_spans = {"ResourceSpans", resource_spans_fields, 0};

static const mw_json_field traces_request_fields[] = {MESSAGES("resourceSpans", 1, resource_spans),
                                                      LAST};
static const mw_json_message traces_request = {"TracesRequest", traces_request_fields, 0};

static const mw_json_field log_record_fields[] = {ONE("timeUnixNano", 1, FIXED64),
                                                  NAMED("severityNumber", 2, severities),
                                                  ONE("severityText", 3, STRING),
                                                  MESSAGE("body", 5, any_value),
                                                  MESSAGES("attributes", 6, key_value),
                                                  ONE("droppedAttributesCount", 7, UINT32),
                                                  ONE("flags", 8, FIXED32),
                                                  ONE("traceId", 9, ID16),
                                                  ONE("spanId", 10, ID8),
                                                  ONE("observedTimeUnixNano", 11, FIXED64),
                                                  ONE("eventName", 12, STRING),
                                                  LAST};
static const mw_json_message log_record = {"LogRecord", log_record_fields, 0};

static const mw_json_field scope_logs_fields[] = {MESSAGE("scope", 1, instrumentation_scope),
                                                  MESSAGES("logRecords", 2, log_record),
                                                  ONE("schemaUrl", 3, STRING), LAST};
static const mw_json_message scope_logs = {"ScopeLogs", scope_logs_fields, 0};

static const mw_json_field resource_logs_fields[] = {MESSAGE("resource", 1, resource),
                                                     MESSAGES("scopeLogs", 2, scope_logs),
                                                     ONE("schemaUrl", 3, STRING), LAST};
static const mw_json_message resource_logs = {"ResourceLogs", resource_logs_fields, 0};

static const mw_json_field logs_request_fields[] = {MESSAGES("resourceLogs", 1, resource_logs),
                                                    LAST};
static const mw_json_message logs_request = {"LogsRequest", logs_request_fields, 0};

static const mw_json_field exemplar_fields[] = {ONE("timeUnixNano", 2, FIXED64),
                                                ONE("asDouble", 3, DOUBLE),
                                                ONE("spanId", 4, ID8),
                                                ONE("traceId", 5, ID16),
                                                ONE("asInt", 6, SFIXED64),
                                                MESSAGES("filteredAttributes", 7, key_value),
                                                LAST};
static const mw_json_message exemplar = {"Exemplar", exemplar_fields, BIT(3) | BIT(6)};

static const mw_json_field number_data_point_fields[] = {ONE("startTimeUnixNano", 2, FIXED64),
                                                         ONE("timeUnixNano", 3, FIXED64),
                                                         ONE("asDouble", 4, DOUBLE),
                                                         MESSAGES("exemplars", 5, exemplar),
                                                         ONE("asInt", 6, SFIXED64),
                                                         MESSAGES("attributes", 7, key_value),
                                                         ONE("flags", 8, UINT32),
                                                         LAST};
static const mw_json_message number_data_point = {"NumberDataPoint", number_data_point_fields,
                                                  BIT(4) | BIT(6)};

static const mw_json_field histogram_data_point_fields[] = {ONE("startTimeUnixNano", 2, FIXED64),
                                                            ONE("timeUnixNano", 3, FIXED64),
                                                            ONE("count", 4, FIXED64),
                                                            ONE("sum", 5, DOUBLE),
                                                            MANY("bucketCounts", 6, FIXED64),
                                                            MANY("explicitBounds", 7, DOUBLE),
                                                            MESSAGES("exemplars", 8, exemplar),
                                                            MESSAGES("attributes", 9, key_value),
                                                            ONE("flags", 10, UINT32),
                                                            ONE("min", 11, DOUBLE),
                                                            ONE("max", 12, DOUBLE),
                                                            LAST};
static const mw_json_message histogram_data_point = {"HistogramDataPoint",
                                                     histogram_data_point_fields, 0};

static const mw_json_field buckets_fields[] = {ONE("offset", 1, SINT32),
                                               MANY("bucketCounts", 2, UINT64), LAST};
static const mw_json_message buckets = {"Buckets", buckets_fields, 0};

static const mw_json_field exponential_histogram_data_point_fields[] = {
    MESSAGES("attributes", 1, key_value),
    ONE("startTimeUnixNano", 2, FIXED64),
    ONE("timeUnixNano", 3, FIXED64),
    ONE("count", 4, FIXED64),
    ONE("sum", 5, DOUBLE),
    ONE("scale", 6, SINT32),
    ONE("zeroCount", 7, FIXED64),
    MESSAGE("positive", 8, buckets),
    MESSAGE("negative", 9, buckets),
    ONE("flags", 10, UINT32),
    MESSAGES("exemplars", 11, exemplar),
    ONE("min", 12, DOUBLE),
    ONE("max", 13, DOUBLE),
    ONE("zeroThreshold", 14, DOUBLE),
    LAST};
static const mw_json_message exponential_histogram_data_point = {
    "ExponentialHistogramDataPoint", exponential_histogram_data_point_fields, 0};

static const mw_json_field value_at_quantile_fields[] = {ONE("quantile", 1, DOUBLE),
                                                         ONE("value", 2, DOUBLE), LAST};
static const mw_json_message value_at_quantile = {"ValueAtQuantile", value_at_quantile_fields, 0};

static const mw_json_field summary_data_point_fields[] = {
    ONE("startTimeUnixNano", 2, FIXED64),
    ONE("timeUnixNano", 3, FIXED64),
    ONE("count", 4, FIXED64),
    ONE("sum", 5, DOUBLE),
    MESSAGES("quantileValues", 6, value_at_quantile),
    MESSAGES("attributes", 7, key_value),
    ONE("flags", 8, UINT32),
    LAST};
static const mw_json_message summary_data_point = {"SummaryDataPoint", summary_data_point_fields,
                                                   0};

static const mw_json_field gauge_fields[] = {MESSAGES("dataPoints", 1, number_data_point), LAST};
static const mw_json_message gauge = {"Gauge", gauge_fields, 0};

static const mw_json_field sum_fields[] = {MESSAGES("dataPoints", 1, number_data_point),
                                           NAMED("aggregationTemporality", 2, temporalities),
                                           ONE("isMonotonic", 3, BOOL), LAST};
static const mw_json_message sum = {"Sum", sum_fields, 0};

static const mw_json_field histogram_fields[] = {MESSAGES("dataPoints", 1, histogram_data_point),
                                                 NAMED("aggregationTemporality", 2, temporalities),
                                                 LAST};
static const mw_json_message histogram = {"Histogram", histogram_fields, 0};

static const mw_json_field exponential_histogram_fields[] = {
    MESSAGES("dataPoints", 1, exponential_histogram_data_point),
    NAMED("aggregationTemporality", 2, temporalities), LAST};
static const mw_json_message exponential_histogram = {"ExponentialHistogram",
                                                      exponential_histogram_fields, 0};

static const mw_json_field summary_fields[] = {MESSAGES("dataPoints", 1, summary_data_point), LAST};
static const mw_json_message summary = {"Summary", summary_fields, 0};

static const mw_json_field metric_fields[] = {
    ONE("name", 1, STRING),
    ONE("description", 2, STRING),
    ONE("unit", 3, STRING),
    MESSAGE("gauge", 5, gauge),
    MESSAGE("sum", 7, sum),
    MESSAGE("histogram", 9, histogram),
    MESSAGE("exponentialHistogram", 10, exponential_histogram),
    MESSAGE("summary", 11, summary),
    MESSAGES("metadata", 12, key_value),
    LAST};
static const mw_json_message metric = {"Metric", metric_fields, METRIC_DATA};

static const mw_json_field scope_metrics_fields[] = {MESSAGE("scope", 1, instrumentation_scope),
                                                     MESSAGES("metrics", 2, metric),
                                                     ONE("schemaUrl", 3, STRING), LAST};
static const mw_json_message scope_metrics = {"ScopeMetrics", scope_metrics_fields, 0};

static const mw_json_field resource_metrics_fields[] = {MESSAGE("resource", 1, resource),
                                                        MESSAGES("scopeMetrics", 2, scope_metrics),
                                                        ONE("schemaUrl", 3, STRING), LAST};
static const mw_json_message resource_metrics = {"ResourceMetrics", resource_metrics_fields, 0};

static const mw_json_field metrics_request_fields[] = {
    MESSAGES("resourceMetrics", 1, resource_metrics), LAST};
static const mw_json_message metrics_request = {"MetricsRequest", metrics_request_fields, 0};

const mw_json_message *mw_json_request(mw_json_kind kind)
{
    static const mw_json_message *const requests[] = {
        [MW_JSON_TRACES] = &traces_request,
        [MW_JSON_METRICS] = &metrics_request,
        [MW_JSON_LOGS] = &logs_request,
    };
    return requests[kind];
}

const mw_json_message *mw_json_message_of(mw_json_part part)
{
    static const mw_json_message *const parts[] = {
        [MW_JSON_RESOURCE] = &resource, [MW_JSON_SCOPE] = &instrumentation_scope,
        [MW_JSON_SPAN] = &span,         [MW_JSON_LOG_RECORD] = &log_record,
        [MW_JSON_METRIC] = &metric,
    };
    return parts[part];
}

const mw_json_field *mw_json_metric_data(mw_metric_kind kind)
{
    static const char *const names[MW_METRIC_KINDS] = {
        [MW_METRIC_GAUGE] = "gauge",
        [MW_METRIC_SUM] = "sum",
        [MW_METRIC_HISTOGRAM] = "histogram",
        [MW_METRIC_EXPONENTIAL_HISTOGRAM] = "exponentialHistogram",
        [MW_METRIC_SUMMARY] = "summary",
    };
    bool snake;
    MW_ASSERT(kind > MW_METRIC_NONE && kind < MW_METRIC_KINDS);
    return mw_json_field_find(&metric, mw_slice_of(names[kind]), &snake);
}

/* "start_time_unix_nano" against "startTimeUnixNano". */
static bool equals_snake(const char *camel, mw_slice key)
{
    size_t i = 0;
    for (; *camel; camel++, i++) {
        bool upper = *camel >= 'A' && *camel <= 'Z';
        if (upper && (i >= key.len || key.data[i++] != '_'))
            return false;
        char c = upper ? (char)(*camel + ('a' - 'A')) : *camel;
        if (i >= key.len || key.data[i] != c)
            return false;
    }
    return i == key.len;
}

const mw_json_field *mw_json_field_find(const mw_json_message *message, mw_slice key, bool *snake)
{
    *snake = false;
    for (const mw_json_field *field = message->fields; field->name; field++)
        if (mw_slice_equal(mw_slice_of(field->name), key))
            return field;
    *snake = mw_slice_find_byte(key, '_') < key.len;
    for (const mw_json_field *field = message->fields; *snake && field->name; field++)
        if (equals_snake(field->name, key))
            return field;
    *snake = false;
    return NULL;
}
