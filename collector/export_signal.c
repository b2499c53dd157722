/* What tells the three signals apart: one row each. Contract: export_int.h. Constant. */
#include "collector/export_int.h"

#define BUDGET_TEXT(things)                                                                        \
    MW_SLICE_INIT("more " things " in one request than the decode budget (1000000) or "            \
                  "memory_limit allows; export smaller batches")

static const mw_export_signal signals[MW_SIGNAL_END] = {
    [MW_SIGNAL_TRACES] =
        {
            .signal = MW_SIGNAL_TRACES,
            .json = MW_JSON_TRACES,
            .scan = mw_scan_traces,
            .row_size = sizeof(mw_span_row),
            .item_bytes = 512,
            .http_path = "/v1/traces",
            .grpc_path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            .request = "ExportTraceServiceRequest",
            .items = "spans",
            .rejected_json = "rejectedSpans",
            .levels = {"resource_spans", "scope_spans", "spans"},
            .none_valid = "no valid span ids",
            .usual_mistake = MW_SIGNAL_LOGS,
            .over_budget = BUDGET_TEXT("spans, events, links and attributes"),
            .accepted = MW_COUNT_SPANS_ACCEPTED,
            .bad_utf8 = MW_COUNT_SPANS_BAD_UTF8,
            .odd_time = MW_COUNT_SPANS_ODD_TIME,
            .refused = {[MW_REFUSE_TRACE_ID] = MW_COUNT_SPANS_REFUSED_ID,
                        [MW_REFUSE_SPAN_ID] = MW_COUNT_SPANS_REFUSED_ID,
                        [MW_REFUSE_PARENT_ID] = MW_COUNT_SPANS_REFUSED_ID,
                        [MW_REFUSE_DEPTH] = MW_COUNT_SPANS_REFUSED_DEPTH},
        },
    [MW_SIGNAL_METRICS] =
        {
            .signal = MW_SIGNAL_METRICS,
            .json = MW_JSON_METRICS,
            .scan = mw_scan_metrics,
            .row_size = sizeof(mw_point_row),
            .item_bytes = 64,
            .http_path = "/v1/metrics",
            .grpc_path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            .request = "ExportMetricsServiceRequest",
            .items = "data points",
            .rejected_json = "rejectedDataPoints",
            .levels = {"resource_metrics", "scope_metrics", "metrics"},
            .none_valid = "no valid data points",
            .over_budget = BUDGET_TEXT("metrics, data points, exemplars, quantiles and attributes"),
            .accepted = MW_COUNT_POINTS_ACCEPTED,
            .bad_utf8 = MW_COUNT_POINTS_BAD_UTF8,
            .odd_time = MW_COUNT_POINTS_ODD_TIME,
            .refused = {[MW_REFUSE_DEPTH] = MW_COUNT_POINTS_REFUSED_DEPTH,
                        [MW_REFUSE_METRIC_NAME] = MW_COUNT_POINTS_REFUSED_NAME,
                        [MW_REFUSE_METRIC_KIND] = MW_COUNT_POINTS_REFUSED_KIND,
                        [MW_REFUSE_TEMPORALITY] = MW_COUNT_POINTS_REFUSED_TEMPORALITY,
                        [MW_REFUSE_POINT_TIME] = MW_COUNT_POINTS_REFUSED_TIME,
                        [MW_REFUSE_POINT_VALUE] = MW_COUNT_POINTS_REFUSED_VALUE,
                        [MW_REFUSE_BUCKETS] = MW_COUNT_POINTS_REFUSED_BUCKETS,
                        [MW_REFUSE_BOUNDS] = MW_COUNT_POINTS_REFUSED_BOUNDS,
                        [MW_REFUSE_BUCKET_SUM] = MW_COUNT_POINTS_REFUSED_COUNT,
                        [MW_REFUSE_SCALE] = MW_COUNT_POINTS_REFUSED_SCALE,
                        [MW_REFUSE_QUANTILE] = MW_COUNT_POINTS_REFUSED_QUANTILE},
        },
    [MW_SIGNAL_LOGS] =
        {
            .signal = MW_SIGNAL_LOGS,
            .json = MW_JSON_LOGS,
            .scan = mw_scan_logs,
            .row_size = sizeof(mw_log_row),
            .item_bytes = 128,
            .http_path = "/v1/logs",
            .grpc_path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            .request = "ExportLogsServiceRequest",
            .items = "log records",
            .rejected_json = "rejectedLogRecords",
            .levels = {"resource_logs", "scope_logs", "log_records"},
            .none_valid = "no valid log records",
            .over_budget = BUDGET_TEXT("log records and attributes"),
            .accepted = MW_COUNT_LOGS_ACCEPTED,
            .bad_utf8 = MW_COUNT_LOGS_BAD_UTF8,
            .odd_time = MW_COUNT_LOGS_ODD_TIME,
            .refused = {[MW_REFUSE_DEPTH] = MW_COUNT_LOGS_REFUSED_DEPTH},
        },
};

const mw_export_signal *mw_export_signal_of(mw_signal signal)
{
    MW_ASSERT(signal >= MW_SIGNAL_TRACES && signal < MW_SIGNAL_END);
    return &signals[signal];
}
