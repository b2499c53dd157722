/* Prometheus text from the counter table, the memory account and the gauges given. */
#include "server/metrics.h"
#include "lib/base/counter.h"
#include "lib/base/utf8.h"

void mw_metrics_append_label(mw_buffer *out, mw_slice value)
{
    for (size_t i = 0; i < value.len;) {
        uint32_t code;
        size_t len = mw_utf8_next(mw_slice_from(value, i), &code);
        if (len == 0 || (code < 0x20 && code != '\n') || (code >= 0x7f && code < 0xa0))
            mw_buffer_append(out, "\xef\xbf\xbd", 3);
        else if (code == '\n')
            mw_buffer_append(out, "\\n", 2);
        else if (code == '"' || code == '\\')
            mw_buffer_appendf(out, "\\%c", (int)code);
        else
            mw_buffer_append(out, value.data + i, len);
        i += len ? len : 1;
    }
}

static void head(mw_buffer *out, const char *metric, const char *type, const char *help)
{
    mw_buffer_appendf(out, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

/* Rows of one metric stand together in the table and the first has the help text. */
static void render_counters(mw_buffer *out)
{
    const char *metric = "";
    for (int i = 0; i < MW_COUNTER_TABLE_SIZE; i++) {
        const mw_counter_row *row = mw_counter_describe((mw_counter)i);
        if (strcmp(row->metric, metric) != 0)
            head(out, row->metric, "counter", row->help);
        metric = row->metric;
        mw_buffer_appendf(out, row->label[0] ? "%s{%s} %llu\n" : "%s%s %llu\n", row->metric,
                          row->label, (unsigned long long)mw_counter_value((mw_counter)i));
    }
}

static void gauge(mw_buffer *out, const char *metric, const char *help, uint64_t value)
{
    head(out, metric, "gauge", help);
    mw_buffer_appendf(out, "%s %llu\n", metric, (unsigned long long)value);
}

static void total(mw_buffer *out, const char *metric, const char *help, uint64_t value)
{
    head(out, metric, "counter", help);
    mw_buffer_appendf(out, "%s %llu\n", metric, (unsigned long long)value);
}

/* What happened to stored telemetry since the start. */
static void render_merging(mw_buffer *out, const mw_gauges *gauges)
{
    gauge(out, "midwatch_merged_segments", "Segments that were merged", gauges->merged_segments);
    gauge(out, "midwatch_merged_bytes", "Bytes of merged segments", gauges->merged_bytes);
    gauge(out, "midwatch_unmerged_bytes", "Bytes that wait to be merged", gauges->unmerged_bytes);
    head(out, "midwatch_oldest_arrival_timestamp_seconds", "gauge",
         "Arrival of the oldest item stored, 0 without any");
    mw_buffer_appendf(out, "midwatch_oldest_arrival_timestamp_seconds %.3f\n",
                      gauges->oldest_arrival_seconds);
    total(out, "midwatch_merges_total", "Merges done", gauges->merges);
    total(out, "midwatch_merge_failures_total", "Merges that failed and are tried again",
          gauges->merge_failures);
    total(out, "midwatch_items_repeated_total", "Items removed because they were stored before",
          gauges->repeats);
    total(out, "midwatch_items_conflicting_total",
          "Of the items removed as repeats, those with other content", gauges->conflicting);
    total(out, "midwatch_retired_segments_total", "Segments deleted for their age or size",
          gauges->retired_segments);
    total(out, "midwatch_retired_items_total", "Items in them", gauges->retired_items);
}

/* What vanished, and nobody has accepted yet. */
static void render_losses(mw_buffer *out, const mw_gauges *gauges)
{
    gauge(out, "midwatch_lost_segments",
          "Segments, and ends of segments, that are gone and nobody has accepted that yet",
          gauges->losses);
    gauge(out, "midwatch_lost_spans", "Spans in them, at least", gauges->lost_spans);
    gauge(out, "midwatch_lost_logs", "Log records in them, at least", gauges->lost_logs);
    gauge(out, "midwatch_lost_points", "Metric points in them, at least", gauges->lost_points);
}

static void render_memory(mw_buffer *out)
{
    gauge(out, "midwatch_memory_limit_bytes", "Bound of all allocators together, 0 is none",
          mw_memory_limit());
    gauge(out, "midwatch_memory_peak_bytes", "Most that was ever allocated", mw_memory_peak());
    head(out, "midwatch_memory_bytes", "gauge", "Memory allocated now, by component");
    for (int i = 0; i < MW_MEM_COMPONENTS; i++) {
        mw_buffer_appendf(out, "midwatch_memory_bytes{component=\"");
        mw_metrics_append_label(out, mw_slice_of(mw_component_name((mw_component)i)));
        mw_buffer_appendf(out, "\"} %llu\n",
                          (unsigned long long)mw_memory_component_used((mw_component)i));
    }
}

static void render_queues(mw_buffer *out, const mw_gauges *gauges)
{
    head(out, "midwatch_queue_bytes", "gauge", "Bytes that wait, by queue");
    mw_buffer_appendf(out,
                      "midwatch_queue_bytes{queue=\"store\"} %zu\n"
                      "midwatch_queue_bytes{queue=\"state\"} %zu\n"
                      "midwatch_queue_bytes{queue=\"readers\"} %zu\n",
                      gauges->store_queue_bytes, gauges->state_queue_bytes,
                      gauges->reader_queue_bytes);
    gauge(out, "midwatch_reader_jobs", "Queries and investigation steps that wait",
          gauges->reader_queue_jobs);
}

static void render_info(mw_buffer *out, const mw_gauges *gauges)
{
    head(out, "midwatch_build_info", "gauge", "Always 1; the version is its label");
    mw_buffer_appendf(out, "midwatch_build_info{version=\"");
    mw_metrics_append_label(out, mw_slice_of(MW_VERSION));
    mw_buffer_appendf(out, "\"} 1\n");
    head(out, "midwatch_uptime_seconds", "gauge", "Seconds since the start");
    mw_buffer_appendf(out, "midwatch_uptime_seconds %.3f\n", gauges->uptime_seconds);
}

void mw_metrics_render(mw_buffer *out, const mw_gauges *gauges)
{
    render_info(out, gauges);
    render_counters(out);
    render_memory(out);
    render_queues(out, gauges);
    gauge(out, "midwatch_connections", "Open connections", gauges->connections);
    gauge(out, "midwatch_requests_in_flight", "Requests being worked on", gauges->in_flight);
    gauge(out, "midwatch_triage_active", "Alarms and investigations under way",
          gauges->investigating);
    gauge(out, "midwatch_stored_spans", "Spans stored, repeats included until they are merged",
          gauges->stored_spans);
    gauge(out, "midwatch_stored_logs", "Log records stored", gauges->stored_logs);
    gauge(out, "midwatch_stored_points",
          "Metric points stored, repeats included until they are merged together",
          gauges->stored_points);
    gauge(out, "midwatch_stored_bytes", "Bytes of all segments", gauges->stored_bytes);
    gauge(out, "midwatch_segments", "Segments", gauges->segments);
    gauge(out, "midwatch_blocks", "Blocks in all segments", gauges->blocks);
    render_merging(out, gauges);
    render_losses(out, gauges);
    gauge(out, "midwatch_commit_sequence", "Newest commit of the store", gauges->commit_seq);
    gauge(out, "midwatch_store_writable", "0 after a failed write of telemetry",
          gauges->store_writable);
    gauge(out, "midwatch_state_writable", "0 after a failed commit of state",
          gauges->state_writable);
    gauge(out, "midwatch_ready", "1 while /readyz answers 200", gauges->ready);
}
