/* /metrics: Prometheus text format 0.0.4.
 *
 * Rendering is pure: counters come from lib/base/counter.h, gauges in the struct below. Source:
 * prometheus.io exposition formats, "Text-based format".
 */
#ifndef MW_SERVER_METRICS_H
#define MW_SERVER_METRICS_H

#include "lib/base/buffer.h"

typedef struct mw_gauges {
    double uptime_seconds;
    size_t connections, in_flight, investigating;
    size_t store_queue_bytes, state_queue_bytes, reader_queue_bytes;
    size_t reader_queue_jobs;
    uint64_t stored_spans, stored_logs, stored_points;
    uint64_t stored_bytes, segments, blocks, commit_seq;
    uint64_t merged_segments, merged_bytes, unmerged_bytes;
    uint64_t losses, lost_spans, lost_logs, lost_points;
    double oldest_arrival_seconds; /* since 1970; 0 = nothing is stored */
    uint64_t merges, merge_failures, repeats, conflicting, retired_segments, retired_items;
    bool store_writable, state_writable, ready;
} mw_gauges;

/* About 10 KB today; the bound leaves room for a few hundred rows more. */
#define MW_METRICS_MAX_BYTES ((size_t)1 << 20)

void mw_metrics_render(mw_buffer *out, const mw_gauges *gauges);

/* A label value as the format wants it: backslash, quote and newline escaped, bad UTF-8 and other
 * control characters replaced. */
void mw_metrics_append_label(mw_buffer *out, mw_slice value);

#endif
