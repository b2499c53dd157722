/* GET /api/v1/status. */
#include "lib/base/counter.h"
#include "lib/base/io.h"
#include "server/api/api_int.h"
#include "server/ballast.h"
#include "server/health.h"

/* Reasons that one object of the answer can hold; the counter table has fewer. */
#define REASONS_MAX 32

typedef struct reason_sum {
    mw_slice reason;
    uint64_t count;
} reason_sum;

/* reason="..." out of a counter's label; empty when it has none. */
static mw_slice reason_of(const char *label)
{
    const char *at = strstr(label, "reason=\"");
    if (!at)
        return MW_SLICE_NONE;
    mw_slice text = mw_slice_of(at + strlen("reason=\""));
    return mw_slice_first(text, mw_slice_find_byte(text, '"'));
}

static void add_reason(reason_sum *sums, size_t *count, mw_slice reason, uint64_t value)
{
    for (size_t i = 0; i < *count; i++)
        if (mw_slice_equal(sums[i].reason, reason)) {
            sums[i].count += value;
            return;
        }
    MW_ASSERT(*count < REASONS_MAX);
    sums[(*count)++] = (reason_sum){reason, value};
}

/* {reason: n} over the given metrics; the same reason of two signals is one number. */
static void write_reasons(mw_json *json, const char *key, const char *const *metrics,
                          size_t metric_count)
{
    reason_sum sums[REASONS_MAX];
    size_t count = 0;
    for (int i = 0; i < MW_COUNTER_TABLE_SIZE; i++) {
        const mw_counter_row *row = mw_counter_describe((mw_counter)i);
        for (size_t m = 0; m < metric_count; m++)
            if (strcmp(row->metric, metrics[m]) == 0)
                add_reason(sums, &count, reason_of(row->label), mw_counter_value((mw_counter)i));
    }
    mw_json_key(json, mw_slice_of(key));
    mw_json_object_begin(json);
    for (size_t i = 0; i < count; i++) {
        mw_json_key(json, sums[i].reason);
        mw_json_u64(json, sums[i].count);
    }
    mw_json_object_end(json);
}

static void write_refused(mw_json *json)
{
    static const char *const items[] = {"midwatch_items_refused_total",
                                        "midwatch_exports_refused_total"};
    static const char *const requests[] = {"midwatch_net_refused_total",
                                           "midwatch_webhook_refused_total"};
    write_reasons(json, "refused", items, 2);
    write_reasons(json, "refused_requests", requests, 2);
}

static void write_queue(mw_json *json, const char *name, size_t bytes, size_t count)
{
    mw_json_key(json, mw_slice_of(name));
    mw_json_object_begin(json);
    mw_json_kv_u64(json, "bytes", bytes);
    mw_json_kv_u64(json, "count", count);
    mw_json_object_end(json);
}

/* 0 = none. */
static void write_time(mw_json *json, const char *key, uint64_t time_ns)
{
    char text[MW_TIME_TEXT_SIZE];
    mw_time_format(time_ns, text);
    mw_json_kv_or_null(json, key, time_ns ? mw_slice_of(text) : MW_SLICE_NONE);
}

static void write_store(mw_json *json, const mw_store_stats *stats)
{
    mw_json_key(json, MW_SLICE("store"));
    mw_json_object_begin(json);
    mw_json_kv_u64(json, "commit_seq", stats->commit_seq);
    mw_json_kv_u64(json, "segments", stats->segments);
    mw_json_kv_u64(json, "blocks", stats->blocks);
    mw_json_kv_u64(json, "bytes", stats->bytes);
    mw_json_kv_u64(json, "merged_segments", stats->merged_segments);
    mw_json_kv_u64(json, "merged_bytes", stats->merged_bytes);
    mw_json_kv_u64(json, "unmerged_bytes", stats->unmerged_bytes);
    mw_json_kv_u64(json, "merges", stats->merges);
    mw_json_kv_u64(json, "merge_failures", stats->merge_failures);
    write_time(json, "last_merge_failure", stats->merge_failed_ns);
    mw_json_kv_bool(json, "merging_fails", stats->merging_fails);
    mw_json_kv_u64(json, "repeats", stats->repeats);
    mw_json_kv_u64(json, "conflicting", stats->conflicting);
    mw_json_kv_u64(json, "retired_segments", stats->retired_segments);
    mw_json_kv_u64(json, "retired_items", stats->retired_items);
    write_time(json, "oldest_arrival", stats->oldest_arrival_ns);
    /* Requests that would be recognised when sent again: of the last hour, 2 M at the most. */
    mw_json_kv_u64(json, "retry_window", stats->retry_digests);
    mw_json_kv_u64(json, "damaged_blocks", mw_counter_value(MW_COUNT_STORE_DAMAGED));
    /* Segments and ends of segments that are gone, and nobody has accepted that yet. */
    mw_json_kv_u64(json, "losses", stats->losses.count);
    mw_json_kv_u64(json, "lost_spans", stats->losses.spans);
    mw_json_kv_u64(json, "lost_logs", stats->losses.logs);
    mw_json_kv_u64(json, "lost_points", stats->losses.points);
    write_time(json, "last_loss", stats->losses.noticed_ns);
    write_time(json, "catalogue_made_anew", stats->catalogue_made_ns);
    mw_json_kv_bool(json, "digest_key_made_anew", stats->key_made);
    mw_json_kv_u64(json, "other_key_segments", stats->other_key_segments);
    mw_json_kv_bool(json, "writable", stats->writable);
    mw_json_kv_or_null(json, "last_error",
                       stats->last_error ? mw_slice_of(mw_err_text(stats->last_error))
                                         : MW_SLICE_NONE);
    mw_json_object_end(json);
}

static void write_seconds(mw_json *json, const char *key, double seconds)
{
    if (seconds < 0)
        mw_json_kv_null(json, key);
    else
        mw_json_kv_double(json, key, seconds);
}

static void write_outlook(mw_json *json, mw_server *server, const mw_space_totals *totals,
                          uint64_t free_bytes)
{
    const mw_server_options *options = &server->settings.values;
    mw_disk_facts facts = {
        .free_bytes = free_bytes,
        .retention_ns = options->retention_ns,
        .retention_bytes = options->retention_bytes,
        .counted_bytes = totals->counted_most,
        .oldest_ns = totals->stats.oldest_arrival_ns,
        .now_ns = (uint64_t)mw_clock_wall_ns(server->clock),
    };
    facts.paced = mw_pace_read(&server->pace, mw_clock_mono_ns(server->clock),
                               mw_counter_value(MW_COUNT_STORE_BYTES), &facts.per_hour);
    facts.per_hour = facts.per_hour * totals->stats.packed_per_mille / 1000;
    mw_disk_outlook outlook = mw_disk_look_ahead(&facts);
    write_seconds(json, "growth_bytes_per_hour", facts.paced ? facts.per_hour : MW_DISK_NEVER);
    write_seconds(json, "full_in_seconds", outlook.full_in_s);
    write_seconds(json, "retention_in_seconds", outlook.retention_in_s);
    mw_json_kv_or_null(json, "retention_by",
                       outlook.retention_by ? mw_slice_of(outlook.retention_by) : MW_SLICE_NONE);
}

/* Null: the file system does not tell. */
static void write_disk(mw_json *json, mw_server *server, const mw_space_totals *totals)
{
    const mw_store_stats *store = &totals->stats;
    const mw_server_options *options = &server->settings.values;
    uint64_t ballast = mw_ballast_bytes(options);
    mw_disk disk;
    mw_json_key(json, MW_SLICE("disk"));
    if (mw_io_disk(options->data, &disk) != MW_OK) {
        mw_json_null(json);
        return;
    }
    mw_json_object_begin(json);
    mw_json_kv_u64(json, "bytes", disk.bytes);
    mw_json_kv_u64(json, "free_bytes", disk.free_bytes);
    mw_json_kv_u64(json, "used_bytes",
                   store->unmerged_bytes + store->merged_bytes + store->spare_bytes + ballast);
    mw_json_kv_u64(json, "log_bytes", store->unmerged_bytes);
    mw_json_kv_u64(json, "merged_bytes", store->merged_bytes);
    mw_json_kv_u64(json, "spare_bytes", store->spare_bytes);
    mw_json_kv_u64(json, "ballast_bytes", ballast);
    mw_json_kv_double(json, "packed", store->packed_per_mille / 1000.0);
    write_outlook(json, server, totals, disk.free_bytes);
    mw_json_object_end(json);
}

static void write_memory(mw_json *json)
{
    mw_json_key(json, MW_SLICE("memory"));
    mw_json_object_begin(json);
    mw_json_kv_u64(json, "limit", mw_memory_limit());
    mw_json_kv_u64(json, "used", mw_memory_used());
    mw_json_kv_u64(json, "peak", mw_memory_peak());
    mw_json_key(json, MW_SLICE("components"));
    mw_json_object_begin(json);
    for (int i = 0; i < MW_MEM_COMPONENTS; i++)
        mw_json_kv_u64(json, mw_component_name((mw_component)i),
                       mw_memory_component_used((mw_component)i));
    mw_json_object_end(json);
    mw_json_object_end(json);
}

/* What is stored, as whoever asks may see it: a token, its own space alone. The process's figures
 * (disk, memory, queues, counters) are those of the machine for everybody, as in /metrics. */
static void read_stored(const mw_api_call *call, const mw_space_totals *totals, size_t *spaces,
                        mw_store_stats *out)
{
    mw_space *own;
    *out = totals->stats;
    *spaces = totals->spaces;
    if (!call->bound[0])
        return;
    *spaces = 1;
    *out = (mw_store_stats){.commit_seq = 0};
    if (mw_spaces_get(call->server->spaces, mw_slice_of(call->bound), &own) == MW_OK) {
        mw_store_stats_read(mw_space_store(own), out);
        mw_space_release(own);
    }
}

static void write_status(mw_api_call *call, const mw_gauges *gauges)
{
    mw_json *json = &call->json;
    mw_server *server = call->server;
    mw_space_totals totals;
    mw_state_stats state;
    mw_store_stats store;
    size_t spaces;
    mw_net *net = atomic_load(&server->net);
    mw_space_totals_read(server, &totals);
    read_stored(call, &totals, &spaces, &store);
    mw_state_stats_read(server->state, &state);
    mw_json_kv(json, "version", mw_slice_of(MW_VERSION));
    mw_json_kv_double(json, "uptime", gauges->uptime_seconds);
    mw_json_kv_bool(json, "ready", gauges->ready);
    mw_json_key(json, MW_SLICE("stored"));
    mw_json_object_begin(json);
    mw_json_kv_u64(json, "spans", store.spans);
    mw_json_kv_u64(json, "logs", store.logs);
    mw_json_kv_u64(json, "points", store.points);
    mw_json_object_end(json);
    mw_json_kv_u64(json, "retried", mw_counter_value(MW_COUNT_EXPORTS_RETRIED));
    write_refused(json);
    mw_json_key(json, MW_SLICE("queues"));
    mw_json_object_begin(json);
    write_queue(json, "store", store.queue_bytes, store.queue_count);
    write_queue(json, "state", state.queue_bytes, state.queue_count);
    write_queue(json, "readers", gauges->reader_queue_bytes, gauges->reader_queue_jobs);
    mw_json_object_end(json);
    write_store(json, &store);
    write_disk(json, server, &totals);
    mw_json_kv_u64(json, "spaces", spaces);
    mw_json_kv_bool(json, "state_writable", state.writable);
    write_memory(json);
    mw_json_kv_u64(json, "connections", gauges->connections);
    mw_json_kv_u64(json, "requests_in_flight", gauges->in_flight);
    mw_json_kv_u64(json, "triage_active", gauges->investigating);
    mw_ports_write(json, net);
    mw_json_kv_bool(json, "tls", net && mw_net_tls_on(net));
    mw_json_kv(json, "data", mw_slice_of(server->settings.values.data));
}

/* Who sends is told by /api/v1/senders; here, whether anybody does. */
static void write_senders(mw_api_call *call)
{
    mw_json *json = &call->json;
    uint64_t last_ns = 0, count = 0;
    mw_senders_view *view = mw_collector_senders(call->server->collector);
    mw_json_key(json, MW_SLICE("senders"));
    if (!view) {
        mw_json_null(json);
        return;
    }
    for (size_t i = 0; i < view->count; i++) {
        if (!mw_api_sender_is_own(call, &view->rows[i]))
            continue;
        last_ns = view->rows[i].last_ns > last_ns ? view->rows[i].last_ns : last_ns;
        count++;
    }
    mw_json_object_begin(json);
    mw_json_kv_u64(json, "count", count);
    write_time(json, "last_seen", last_ns);
    mw_json_object_end(json);
    mw_senders_view_free(view);
}

mw_err mw_api_status(mw_api_call *call)
{
    mw_gauges gauges;
    mw_err err = mw_api_no_parameters(call);
    if (err)
        return err;
    mw_gauges_read(call->server, &gauges);
    mw_json_object_begin(&call->json);
    write_status(call, &gauges);
    write_senders(call);
    mw_json_object_end(&call->json);
    return MW_OK;
}
