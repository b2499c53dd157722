/* Fuzzes the validating pass over metrics. Oracle: protobuf-c and the rules, written a second time.
 *
 * - The head of every metric and every point that is handed to the sink unpacks by itself, to the
 *   same names, times, flags, value, count, presence and counts of what it holds.
 * - A request that is accepted and holds nothing too deep unpacks as a whole; and the rules of
 *   scan.h, asked again of protobuf-c's structs with 128-bit sums, refuse as many points for each
 *   reason as the pass did, and keep as many metrics and points. Parts of a message are joined by
 *   concatenation first, since protobuf-c loses some of what they say.
 * - Resources, scopes and memory: scan_oracle.h.
 */
#include <math.h>

#include "proto/otlp_metrics_service.pb-c.h"
#include "proto/wire.h"
#include "tests/fuzz/proto/scan_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef Opentelemetry__Proto__Metrics__V1__Metric otlp_metric;
typedef Opentelemetry__Proto__Metrics__V1__Sum otlp_sum;
typedef Opentelemetry__Proto__Metrics__V1__Histogram otlp_histogram;
typedef Opentelemetry__Proto__Metrics__V1__ExponentialHistogram otlp_exponential;
typedef Opentelemetry__Proto__Metrics__V1__NumberDataPoint number_point;
typedef Opentelemetry__Proto__Metrics__V1__HistogramDataPoint histogram_point;
typedef Opentelemetry__Proto__Metrics__V1__ExponentialHistogramDataPoint exponential_point;
typedef Opentelemetry__Proto__Metrics__V1__ExponentialHistogramDataPoint__Buckets buckets;
typedef Opentelemetry__Proto__Metrics__V1__SummaryDataPoint summary_point;
typedef unsigned __int128 wide;

typedef struct kind_row {
    uint32_t number; /* of Metric */
    const ProtobufCMessageDescriptor *data, *point;
} kind_row;

#define METRICS(name) &opentelemetry__proto__metrics__v1__##name##__descriptor
static const kind_row kinds[MW_METRIC_KINDS] = {
    [MW_METRIC_GAUGE] = {5, METRICS(gauge), METRICS(number_data_point)},
    [MW_METRIC_SUM] = {7, METRICS(sum), METRICS(number_data_point)},
    [MW_METRIC_HISTOGRAM] = {9, METRICS(histogram), METRICS(histogram_data_point)},
    [MW_METRIC_EXPONENTIAL_HISTOGRAM] = {10, METRICS(exponential_histogram),
                                         METRICS(exponential_histogram_data_point)},
    [MW_METRIC_SUMMARY] = {11, METRICS(summary), METRICS(summary_data_point)},
};

/* What of a point does not depend on its kind. */
typedef struct point_base {
    uint64_t time_ns, start_ns;
    uint32_t flags;
    size_t attributes, exemplars;
} point_base;

#define BASE_OF(point, exemplars_)                                                                 \
    ((point_base){(point)->time_unix_nano, (point)->start_time_unix_nano, (point)->flags,          \
                  (point)->n_attributes, exemplars_})

/* What the sink is told of a metric, added up so that two opinions compare in one go. */
typedef struct told_sum {
    uint64_t name_bytes, description_bytes, unit_bytes, metadata, kinds, temporalities;
} told_sum;

typedef struct observed_all {
    scan_oracle oracle;
    uint64_t metrics;
    told_sum first, second;
    mw_metric_kind kind; /* of the last metric */
    /* The second opinion. */
    uint64_t items, told_metrics, refused[MW_REFUSE_COUNT];
} observed_all;

static void add_told(told_sum *sum, const mw_scan_metric *metric)
{
    sum->name_bytes = sum->name_bytes * 31 + metric->name.len;
    sum->description_bytes = sum->description_bytes * 31 + metric->description.len;
    sum->unit_bytes = sum->unit_bytes * 31 + metric->unit.len;
    sum->metadata = sum->metadata * 31 + metric->metadata_count;
    sum->kinds = sum->kinds * 31 + (uint64_t)metric->kind * 2 + metric->monotonic;
    sum->temporalities = sum->temporalities * 31 + metric->temporality;
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *descriptor, mw_slice bytes,
                                mw_arena *arena)
{
    ProtobufCMessage *message;
    DEMAND(mw_unpack_message(descriptor, bytes, arena, &message) == MW_OK);
    return message;
}

/* ---- walking the bytes ----------------------------------------------------------------------- */

/* The next sub-message of that number; false at the end. `rest` is what lies behind it. */
static bool next_child(mw_slice *rest, uint32_t number, mw_slice *child)
{
    const uint8_t *at = mw_wire_begin(*rest), *end = mw_wire_end(*rest);
    while (at < end) {
        mw_wire_field field;
        at = mw_wire_next(at, end, &field);
        DEMAND(at);
        if (field.tag != MW_WIRE_TAG(number, MW_WIRE_BYTES))
            continue;
        *rest = (mw_slice){(const char *)at, (size_t)(end - at)};
        *child = field.bytes;
        return true;
    }
    return false;
}

/* All parts of a message in one: their merger. */
static mw_slice joined(mw_slice message, uint32_t number, mw_arena *arena)
{
    mw_slice rest = message, child;
    size_t len = 0;
    char *out = mw_arena_alloc(arena, message.len + 1);
    DEMAND(out);
    while (next_child(&rest, number, &child)) {
        if (child.len)
            memcpy(out + len, child.data, child.len);
        len += child.len;
    }
    return (mw_slice){out, len};
}

static mw_metric_kind last_kind(mw_slice metric)
{
    mw_metric_kind last = MW_METRIC_NONE;
    mw_wire_field field;
    const uint8_t *at = mw_wire_begin(metric), *end = mw_wire_end(metric);
    while (at < end) {
        at = mw_wire_next(at, end, &field);
        DEMAND(at);
        for (int kind = MW_METRIC_GAUGE; kind < MW_METRIC_KINDS; kind++)
            if (field.tag == MW_WIRE_TAG(kinds[kind].number, MW_WIRE_BYTES))
                last = (mw_metric_kind)kind;
    }
    return last;
}

/* ---- what the sink sees ---------------------------------------------------------------------- */

/* The points are not checked yet and may be too deep to unpack: only the head may be. */
static mw_err on_metric(void *ctx, const mw_scan_metric *metric)
{
    observed_all *all = ctx;
    mw_buffer head;
    DEMAND(metric->name.len > 0);
    DEMAND(metric->kind > MW_METRIC_NONE && metric->kind < MW_METRIC_KINDS);
    DEMAND(metric->kind == MW_METRIC_SUM || !metric->monotonic);
    mw_buffer_init(&head, MW_MEM_INGEST, metric->bytes.len * 2 + 64);
    mw_metric_write_head(metric, &head);
    DEMAND(head.err == MW_OK);
    const otlp_metric *sent = (const otlp_metric *)unpack(METRICS(metric), mw_buffer_slice(&head),
                                                          scratch_of(&all->oracle));
    DEMAND(mw_slice_equal(mw_unpack_slice(sent->name), metric->name));
    DEMAND(mw_slice_equal(mw_unpack_slice(sent->unit), metric->unit));
    DEMAND(mw_slice_equal(mw_unpack_slice(sent->description), metric->description));
    DEMAND(sent->n_metadata == metric->metadata_count);
    DEMAND((uint32_t)sent->data_case == kinds[metric->kind].number);
    if (metric->kind == MW_METRIC_SUM) {
        DEMAND((uint32_t)sent->sum->aggregation_temporality == metric->temporality);
        DEMAND(sent->sum->is_monotonic == metric->monotonic);
        DEMAND(sent->sum->n_data_points == 0);
    }
    mw_buffer_fini(&head);
    add_told(&all->first, metric);
    all->metrics++;
    all->kind = metric->kind;
    return MW_OK;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static point_base check_number(const mw_scan_point *point, const number_point *sent)
{
    static const mw_value_type types[] = {
        [4] = MW_VALUE_DOUBLE, [5] = MW_VALUE_EMPTY, [6] = MW_VALUE_INT};
    DEMAND(point->value.type == types[sent->value_case]);
    if (point->value.type == MW_VALUE_INT)
        DEMAND(point->value.as.i == sent->as_int);
    if (point->value.type == MW_VALUE_DOUBLE)
        DEMAND(same_bits(point->value.as.d, sent->as_double));
    DEMAND(point->no_value || point->value.type != MW_VALUE_EMPTY);
    return BASE_OF(sent, sent->n_exemplars);
}

#define CHECK_OPTIONAL(point, sent, name)                                                          \
    do {                                                                                           \
        DEMAND((point)->has_##name == ((sent)->optional_##name##_case != 0));                      \
        if ((point)->has_##name)                                                                   \
            DEMAND(same_bits((point)->name, (sent)->name));                                        \
    } while (0)

static point_base check_histogram(const mw_scan_point *point, const histogram_point *sent)
{
    CHECK_OPTIONAL(point, sent, sum);
    CHECK_OPTIONAL(point, sent, min);
    CHECK_OPTIONAL(point, sent, max);
    DEMAND(point->count == sent->count);
    return BASE_OF(sent, sent->n_exemplars);
}

static point_base check_exponential(const mw_scan_point *point, const exponential_point *sent)
{
    CHECK_OPTIONAL(point, sent, sum);
    CHECK_OPTIONAL(point, sent, min);
    CHECK_OPTIONAL(point, sent, max);
    DEMAND(point->count == sent->count);
    return BASE_OF(sent, sent->n_exemplars);
}

static point_base check_summary(const mw_scan_point *point, const summary_point *sent)
{
    DEMAND(point->has_sum && same_bits(point->sum, sent->sum));
    DEMAND(point->count == sent->count);
    return BASE_OF(sent, 0);
}

static mw_err on_point(void *ctx, const mw_scan_point *point)
{
    observed_all *all = ctx;
    point_base base;
    check_found(point->found, point->found_count);
    DEMAND(all->metrics > 0 && point->kind == all->kind);
    ProtobufCMessage *sent =
        unpack(kinds[point->kind].point, point->bytes, scratch_of(&all->oracle));
    switch (point->kind) {
    case MW_METRIC_HISTOGRAM: base = check_histogram(point, (histogram_point *)sent); break;
    case MW_METRIC_EXPONENTIAL_HISTOGRAM:
        base = check_exponential(point, (exponential_point *)sent);
        break;
    case MW_METRIC_SUMMARY: base = check_summary(point, (summary_point *)sent); break;
    default: base = check_number(point, (number_point *)sent);
    }
    DEMAND(point->time_ns == base.time_ns && base.time_ns != 0);
    DEMAND(point->start_ns == base.start_ns);
    DEMAND(point->flags == base.flags);
    DEMAND(point->no_value == (base.flags & 1));
    DEMAND(point->attribute_count == base.attributes);
    DEMAND(point->exemplar_count == base.exemplars);
    all->oracle.kept++;
    return MW_OK;
}

/* ---- the rules again ------------------------------------------------------------------------- */

static mw_refusal histogram_rules(const histogram_point *point)
{
    size_t counts = point->n_bucket_counts, bounds = point->n_explicit_bounds;
    if ((counts || bounds) && counts != bounds + 1)
        return MW_REFUSE_BUCKETS;
    wide sum = 0;
    for (size_t i = 0; i < counts; i++)
        sum += point->bucket_counts[i];
    for (size_t i = 0; i < bounds; i++) {
        double bound = point->explicit_bounds[i];
        if (isnan(bound) || (i > 0 && bound <= point->explicit_bounds[i - 1]))
            return MW_REFUSE_BOUNDS;
    }
    return counts && sum != point->count ? MW_REFUSE_BUCKET_SUM : MW_REFUSE_NONE;
}

/* Adds up one side; false when a bucket that holds something is beyond a double. */
static bool add_side(mw_slice point, uint32_t number, int32_t scale, mw_arena *arena, wide *sum)
{
    mw_slice bytes = joined(point, number, arena);
    const buckets *side =
        (const buckets *)unpack(METRICS(exponential_histogram_data_point__buckets), bytes, arena);
    bool within = true;
    int shift = scale < -64 ? 64 : -scale;
    for (size_t i = 0; i < side->n_bucket_counts; i++) {
        *sum += side->bucket_counts[i];
        if (side->bucket_counts[i] == 0)
            continue;
        double index = (double)side->offset + (double)i;
        within &= index <= INT32_MAX && ldexp(index - 1, shift) < 1024 &&
                  ldexp(index + 2, shift) >= -1074;
    }
    return within;
}

static mw_refusal exponential_rules(mw_slice bytes, const exponential_point *point, mw_arena *arena)
{
    wide sum = point->zero_count;
    bool within = add_side(bytes, 8, point->scale, arena, &sum);
    within &= add_side(bytes, 9, point->scale, arena, &sum);
    if (sum != point->count)
        return MW_REFUSE_BUCKET_SUM;
    return within && point->scale <= MW_OTLP_SCALE_MAX ? MW_REFUSE_NONE : MW_REFUSE_SCALE;
}

static mw_refusal summary_rules(const summary_point *point)
{
    for (size_t i = 0; i < point->n_quantile_values; i++) {
        double quantile = point->quantile_values[i]->quantile;
        if (isnan(quantile) || quantile < 0 || quantile > 1)
            return MW_REFUSE_QUANTILE;
    }
    return MW_REFUSE_NONE;
}

static mw_refusal point_rules(mw_metric_kind kind, mw_slice bytes, mw_arena *arena)
{
    ProtobufCMessage *message = unpack(kinds[kind].point, bytes, arena);
    mw_refusal refusal;
    point_base base;
    if (kind == MW_METRIC_HISTOGRAM) {
        const histogram_point *point = (const histogram_point *)message;
        base = BASE_OF(point, 0);
        refusal = histogram_rules(point);
    } else if (kind == MW_METRIC_EXPONENTIAL_HISTOGRAM) {
        const exponential_point *point = (const exponential_point *)message;
        base = BASE_OF(point, 0);
        refusal = exponential_rules(bytes, point, arena);
    } else if (kind == MW_METRIC_SUMMARY) {
        const summary_point *point = (const summary_point *)message;
        base = BASE_OF(point, 0);
        refusal = summary_rules(point);
    } else {
        const number_point *point = (const number_point *)message;
        base = BASE_OF(point, 0);
        refusal = point->value_case ? MW_REFUSE_NONE : MW_REFUSE_POINT_VALUE;
    }
    if (base.time_ns == 0)
        return MW_REFUSE_POINT_TIME;
    return base.flags & 1 ? MW_REFUSE_NONE : refusal;
}

/* What the data says beside its points. */
static void read_data(mw_metric_kind kind, const ProtobufCMessage *data, mw_scan_metric *metric)
{
    if (kind == MW_METRIC_SUM) {
        metric->temporality = (uint32_t)((const otlp_sum *)data)->aggregation_temporality;
        metric->monotonic = ((const otlp_sum *)data)->is_monotonic;
    } else if (kind == MW_METRIC_HISTOGRAM) {
        metric->temporality = (uint32_t)((const otlp_histogram *)data)->aggregation_temporality;
    } else if (kind == MW_METRIC_EXPONENTIAL_HISTOGRAM) {
        metric->temporality = (uint32_t)((const otlp_exponential *)data)->aggregation_temporality;
    }
}

/* Judges all points of one kind; `whole` is what refuses each of them, or NONE. */
static void judge_points(observed_all *all, mw_metric_kind kind, mw_slice data, mw_refusal whole)
{
    mw_slice rest = data, point;
    mw_arena arena;
    while (next_child(&rest, 1, &point)) {
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        all->items++;
        all->refused[whole ? whole : point_rules(kind, point, &arena)]++;
        mw_arena_reset(&arena);
    }
}

static mw_refusal judge_whole(const mw_scan_metric *metric, mw_metric_kind kind)
{
    bool needed = kind != MW_METRIC_GAUGE && kind != MW_METRIC_SUMMARY;
    if (metric->name.len == 0)
        return MW_REFUSE_METRIC_NAME;
    if (kind != metric->kind)
        return MW_REFUSE_METRIC_KIND;
    return needed && metric->temporality == 0 ? MW_REFUSE_TEMPORALITY : MW_REFUSE_NONE;
}

static void judge_metric(observed_all *all, mw_slice bytes)
{
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    const otlp_metric *head = (const otlp_metric *)unpack(METRICS(metric), bytes, &arena);
    mw_scan_metric metric = {.name = mw_unpack_slice(head->name),
                             .description = mw_unpack_slice(head->description),
                             .unit = mw_unpack_slice(head->unit),
                             .metadata_count = (uint32_t)head->n_metadata,
                             .kind = last_kind(bytes)};
    if (metric.kind != MW_METRIC_NONE) {
        const kind_row *row = &kinds[metric.kind];
        mw_slice data = joined(bytes, row->number, &arena);
        read_data(metric.kind, unpack(row->data, data, &arena), &metric);
    }
    for (int kind = MW_METRIC_GAUGE; kind < MW_METRIC_KINDS; kind++) {
        mw_slice data = joined(bytes, kinds[kind].number, &arena);
        judge_points(all, (mw_metric_kind)kind, data, judge_whole(&metric, (mw_metric_kind)kind));
    }
    if (metric.kind != MW_METRIC_NONE && judge_whole(&metric, metric.kind) == MW_REFUSE_NONE) {
        all->told_metrics++;
        add_told(&all->second, &metric);
    }
    mw_arena_reset(&arena);
}

static void judge_request(observed_all *all, mw_slice body)
{
    mw_slice resources = body, level;
    while (next_child(&resources, 1, &level)) {
        mw_slice scopes = level, scope;
        while (next_child(&scopes, 2, &scope)) {
            mw_slice metrics = scope, metric;
            while (next_child(&metrics, 2, &metric))
                judge_metric(all, metric);
        }
    }
}

static void compare_whole(observed_all *all, mw_slice body, const mw_scan_result *result)
{
    oracle_unpack(
        &all->oracle, body,
        &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor);
    judge_request(all, body);
    DEMAND(all->items == result->items);
    DEMAND(all->told_metrics == all->metrics);
    DEMAND(memcmp(&all->first, &all->second, sizeof all->first) == 0);
    DEMAND(all->refused[MW_REFUSE_NONE] == all->oracle.kept);
    for (int i = MW_REFUSE_NONE + 1; i < MW_REFUSE_COUNT; i++)
        DEMAND(all->refused[i] == result->refused[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    observed_all all = {.items = 0};
    mw_slice body = {(const char *)data, size};
    mw_scan_sink sink = {.metric = on_metric, .point = on_point};
    mw_scan_result result;
    mw_err err = oracle_scan(&all.oracle, mw_scan_metrics, body, &sink, &result);
    if (err == MW_OK && !result.too_deep)
        compare_whole(&all, body, &result);
    oracle_fini(&all.oracle);
    return 0;
}
