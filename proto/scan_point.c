/* The validating pass, data points of all five kinds and the rules about them. Contract: scan.h.
 *
 * A point is read once, front to back: bucket counts and bounds are added up and compared where
 * they lie, packed or not, and nothing is copied. What a rule needs is kept in `point_reading` and
 * judged at the end, because the fields may come in any order and in parts. Sums are checked for
 * overflow and bucket indices are 64 bits wide: no number of a peer wraps. Runs on the thread of
 * the network loop; owns nothing.
 */
#include <math.h>

#include "proto/scan_int.h"
#include "proto/value.h"

/* The known numbers; 1 was removed from all but the exponential point. */
enum {
    NUMBER_KNOWN = 0x1fc,
    HISTOGRAM_KNOWN = 0x1ffc,
    EXPONENTIAL_KNOWN = 0x7ffe,
    SUMMARY_KNOWN = 0x1fc,
    SIDE_KNOWN = 0x06,
    QUANTILE_KNOWN = 0x06,
    EXEMPLAR_KNOWN = 0xfc
};

/* The buckets of one sign of an exponential histogram. */
typedef struct bucket_side {
    int32_t offset;
    bool used; /* a bucket that is not 0 came */
    /* Positions in bucket_counts: how many came, and which are not 0. */
    uint64_t length, first_used, last_used;
} bucket_side;

typedef struct point_reading {
    mw_scan_point point;
    uint64_t bucket_sum;
    bool sum_overflow, bounds_broken, quantile_broken, exemplar_too_deep;
    uint64_t bucket_count, bound_count;
    double last_bound;
    uint64_t zero_count;
    int32_t scale;
    bucket_side positive, negative;
} point_reading;

/* ---- repeated numbers ---------------------------------------------------------------------- */

static void add_to_sum(point_reading *reading, uint64_t count)
{
    reading->sum_overflow |=
        __builtin_add_overflow(reading->bucket_sum, count, &reading->bucket_sum);
}

static void add_bucket(point_reading *reading, uint64_t count)
{
    reading->bucket_count++;
    add_to_sum(reading, count);
}

static void add_bound(point_reading *reading, uint64_t bits)
{
    double bound = mw_value_double(bits);
    bool rises = reading->bound_count ? bound > reading->last_bound : !isnan(bound);
    reading->bounds_broken |= !rises;
    reading->last_bound = bound;
    reading->bound_count++;
}

static void add_side_bucket(point_reading *reading, bucket_side *side, uint64_t count)
{
    if (count) {
        if (!side->used)
            side->first_used = side->length;
        side->last_used = side->length;
        side->used = true;
    }
    side->length++;
    add_to_sum(reading, count);
}

/* False when the packed form is not a whole number of elements. */
static bool add_packed_fixed64(point_reading *reading, mw_slice packed,
                               void (*add)(point_reading *reading, uint64_t bits))
{
    if (packed.len % 8)
        return false;
    for (size_t at = 0; at < packed.len; at += 8)
        add(reading, le64toh(mw_scan_word(packed.data + at, 8)));
    return true;
}

static bool add_packed_side(point_reading *reading, bucket_side *side, mw_slice packed)
{
    const uint8_t *at = mw_wire_begin(packed), *end = mw_wire_end(packed);
    while (at < end) {
        uint64_t count;
        at = mw_wire_varint(at, end, 10, &count);
        if (!at)
            return false;
        add_side_bucket(reading, side, count);
    }
    return true;
}

/* protobuf's zigzag: 0, -1, 1, -2. */
static int32_t signed_of(uint64_t raw)
{
    uint32_t bits = (uint32_t)raw;
    return (int32_t)(bits >> 1 ^ (0 - (bits & 1)));
}

/* ---- messages inside a point --------------------------------------------------------------- */

static mw_err take_attribute(mw_scanner *scan, mw_slice message, point_reading *reading)
{
    reading->point.attribute_count++;
    return mw_scan_attribute(scan, message, &scan->found);
}

static mw_err scan_exemplar(mw_scanner *scan, mw_slice message)
{
    mw_err err = mw_scan_spend(scan);
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case MW_WIRE_TAG(2, MW_WIRE_FIXED64):
        case MW_WIRE_TAG(3, MW_WIRE_FIXED64):
        case MW_WIRE_TAG(4, MW_WIRE_BYTES):
        case MW_WIRE_TAG(5, MW_WIRE_BYTES):
        case MW_WIRE_TAG(6, MW_WIRE_FIXED64): break;
        case MW_WIRE_TAG(7, MW_WIRE_BYTES): err = mw_scan_attribute(scan, field.bytes, NULL); break;
        default: err = mw_scan_other(scan, &cursor, field.tag, EXEMPLAR_KNOWN);
        }
    }
    return err;
}

static mw_err take_exemplar(mw_scanner *scan, mw_slice message, point_reading *reading)
{
    bool before = scan->too_deep;
    mw_err err = scan_exemplar(scan, message);
    reading->point.exemplar_count++;
    reading->exemplar_too_deep |= scan->too_deep && !before;
    return err;
}

/* Buckets of an exponential point; called once for each part of a split message. */
static mw_err scan_side(mw_scanner *scan, mw_slice message, point_reading *reading,
                        bucket_side *side)
{
    mw_err err = MW_OK;
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case MW_WIRE_TAG(1, MW_WIRE_VARINT): side->offset = signed_of(field.number); break;
        case MW_WIRE_TAG(2, MW_WIRE_VARINT): add_side_bucket(reading, side, field.number); break;
        case MW_WIRE_TAG(2, MW_WIRE_BYTES):
            if (!add_packed_side(reading, side, field.bytes))
                return mw_scan_broken(scan, &cursor);
            break;
        default: err = mw_scan_other(scan, &cursor, field.tag, SIDE_KNOWN);
        }
    }
    return err;
}

static mw_err scan_quantile(mw_scanner *scan, mw_slice message, point_reading *reading)
{
    double quantile = 0;
    mw_err err = mw_scan_spend(scan);
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        if (field.tag == MW_WIRE_TAG(1, MW_WIRE_FIXED64))
            quantile = mw_value_double(field.number);
        else if (field.tag != MW_WIRE_TAG(2, MW_WIRE_FIXED64))
            err = mw_scan_other(scan, &cursor, field.tag, QUANTILE_KNOWN);
    }
    /* Written so that NaN fails. */
    reading->quantile_broken |= !(quantile >= 0 && quantile <= 1);
    return err;
}

/* ---- the four messages --------------------------------------------------------------------- */

static mw_err take_number_field(mw_scanner *scan, const mw_cursor *cursor,
                                const mw_wire_field *field, point_reading *reading)
{
    mw_scan_point *point = &reading->point;
    switch (field->tag) {
    case MW_WIRE_TAG(2, MW_WIRE_FIXED64): point->start_ns = field->number; return MW_OK;
    case MW_WIRE_TAG(3, MW_WIRE_FIXED64): point->time_ns = field->number; return MW_OK;
    case MW_WIRE_TAG(4, MW_WIRE_FIXED64):
        point->value.type = MW_VALUE_DOUBLE;
        point->value.as.d = mw_value_double(field->number);
        return MW_OK;
    case MW_WIRE_TAG(5, MW_WIRE_BYTES): return take_exemplar(scan, field->bytes, reading);
    case MW_WIRE_TAG(6, MW_WIRE_FIXED64):
        point->value.type = MW_VALUE_INT;
        point->value.as.i = (int64_t)field->number;
        return MW_OK;
    case MW_WIRE_TAG(7, MW_WIRE_BYTES): return take_attribute(scan, field->bytes, reading);
    case MW_WIRE_TAG(8, MW_WIRE_VARINT): point->flags = (uint32_t)field->number; return MW_OK;
    default: return mw_scan_other(scan, cursor, field->tag, NUMBER_KNOWN);
    }
}

static void take_double(uint64_t bits, double *value, bool *has)
{
    *value = mw_value_double(bits);
    *has = true;
}

static mw_err take_histogram_field(mw_scanner *scan, const mw_cursor *cursor,
                                   const mw_wire_field *field, point_reading *reading)
{
    mw_scan_point *point = &reading->point;
    bool whole = true;
    switch (field->tag) {
    case MW_WIRE_TAG(2, MW_WIRE_FIXED64): point->start_ns = field->number; break;
    case MW_WIRE_TAG(3, MW_WIRE_FIXED64): point->time_ns = field->number; break;
    case MW_WIRE_TAG(4, MW_WIRE_FIXED64): point->count = field->number; break;
    case MW_WIRE_TAG(5, MW_WIRE_FIXED64):
        take_double(field->number, &point->sum, &point->has_sum);
        break;
    case MW_WIRE_TAG(6, MW_WIRE_BYTES):
        whole = add_packed_fixed64(reading, field->bytes, add_bucket);
        break;
    case MW_WIRE_TAG(6, MW_WIRE_FIXED64): add_bucket(reading, field->number); break;
    case MW_WIRE_TAG(7, MW_WIRE_BYTES):
        whole = add_packed_fixed64(reading, field->bytes, add_bound);
        break;
    case MW_WIRE_TAG(7, MW_WIRE_FIXED64): add_bound(reading, field->number); break;
    case MW_WIRE_TAG(8, MW_WIRE_BYTES): return take_exemplar(scan, field->bytes, reading);
    case MW_WIRE_TAG(9, MW_WIRE_BYTES): return take_attribute(scan, field->bytes, reading);
    case MW_WIRE_TAG(10, MW_WIRE_VARINT): point->flags = (uint32_t)field->number; break;
    case MW_WIRE_TAG(11, MW_WIRE_FIXED64):
        take_double(field->number, &point->min, &point->has_min);
        break;
    case MW_WIRE_TAG(12, MW_WIRE_FIXED64):
        take_double(field->number, &point->max, &point->has_max);
        break;
    default: return mw_scan_other(scan, cursor, field->tag, HISTOGRAM_KNOWN);
    }
    return whole ? MW_OK : mw_scan_broken(scan, cursor);
}

static mw_err take_exponential_field(mw_scanner *scan, const mw_cursor *cursor,
                                     const mw_wire_field *field, point_reading *reading)
{
    mw_scan_point *point = &reading->point;
    switch (field->tag) {
    case MW_WIRE_TAG(1, MW_WIRE_BYTES): return take_attribute(scan, field->bytes, reading);
    case MW_WIRE_TAG(2, MW_WIRE_FIXED64): point->start_ns = field->number; break;
    case MW_WIRE_TAG(3, MW_WIRE_FIXED64): point->time_ns = field->number; break;
    case MW_WIRE_TAG(4, MW_WIRE_FIXED64): point->count = field->number; break;
    case MW_WIRE_TAG(5, MW_WIRE_FIXED64):
        take_double(field->number, &point->sum, &point->has_sum);
        break;
    case MW_WIRE_TAG(6, MW_WIRE_VARINT): reading->scale = signed_of(field->number); break;
    case MW_WIRE_TAG(7, MW_WIRE_FIXED64): reading->zero_count = field->number; break;
    case MW_WIRE_TAG(8, MW_WIRE_BYTES):
        return scan_side(scan, field->bytes, reading, &reading->positive);
    case MW_WIRE_TAG(9, MW_WIRE_BYTES):
        return scan_side(scan, field->bytes, reading, &reading->negative);
    case MW_WIRE_TAG(10, MW_WIRE_VARINT): point->flags = (uint32_t)field->number; break;
    case MW_WIRE_TAG(11, MW_WIRE_BYTES): return take_exemplar(scan, field->bytes, reading);
    case MW_WIRE_TAG(12, MW_WIRE_FIXED64):
        take_double(field->number, &point->min, &point->has_min);
        break;
    case MW_WIRE_TAG(13, MW_WIRE_FIXED64):
        take_double(field->number, &point->max, &point->has_max);
        break;
    case MW_WIRE_TAG(14, MW_WIRE_FIXED64): break;
    default: return mw_scan_other(scan, cursor, field->tag, EXPONENTIAL_KNOWN);
    }
    return MW_OK;
}

static mw_err take_summary_field(mw_scanner *scan, const mw_cursor *cursor,
                                 const mw_wire_field *field, point_reading *reading)
{
    mw_scan_point *point = &reading->point;
    switch (field->tag) {
    case MW_WIRE_TAG(2, MW_WIRE_FIXED64): point->start_ns = field->number; return MW_OK;
    case MW_WIRE_TAG(3, MW_WIRE_FIXED64): point->time_ns = field->number; return MW_OK;
    case MW_WIRE_TAG(4, MW_WIRE_FIXED64): point->count = field->number; return MW_OK;
    case MW_WIRE_TAG(5, MW_WIRE_FIXED64): point->sum = mw_value_double(field->number); return MW_OK;
    case MW_WIRE_TAG(6, MW_WIRE_BYTES): return scan_quantile(scan, field->bytes, reading);
    case MW_WIRE_TAG(7, MW_WIRE_BYTES): return take_attribute(scan, field->bytes, reading);
    case MW_WIRE_TAG(8, MW_WIRE_VARINT): point->flags = (uint32_t)field->number; return MW_OK;
    default: return mw_scan_other(scan, cursor, field->tag, SUMMARY_KNOWN);
    }
}

typedef mw_err (*field_taker)(mw_scanner *scan, const mw_cursor *cursor, const mw_wire_field *field,
                              point_reading *reading);

static const field_taker field_takers[MW_METRIC_KINDS] = {
    [MW_METRIC_GAUGE] = take_number_field,
    [MW_METRIC_SUM] = take_number_field,
    [MW_METRIC_HISTOGRAM] = take_histogram_field,
    [MW_METRIC_EXPONENTIAL_HISTOGRAM] = take_exponential_field,
    [MW_METRIC_SUMMARY] = take_summary_field,
};

static mw_err read_point(mw_scanner *scan, field_taker take_field, point_reading *reading)
{
    mw_err err = mw_scan_spend(scan);
    mw_cursor cursor = mw_cursor_open(reading->point.bytes);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        err = take_field(scan, &cursor, &field, reading);
    }
    return err;
}

/* ---- rules --------------------------------------------------------------------------------- */

static mw_refusal judge_histogram(const point_reading *reading)
{
    bool none = reading->bucket_count == 0 && reading->bound_count == 0;
    if (!none && reading->bucket_count != reading->bound_count + 1)
        return MW_REFUSE_BUCKETS;
    if (reading->bounds_broken)
        return MW_REFUSE_BOUNDS;
    /* Without buckets a histogram is count, sum, min and max alone. */
    if (!none && (reading->sum_overflow || reading->bucket_sum != reading->point.count))
        return MW_REFUSE_BUCKET_SUM;
    return MW_REFUSE_NONE;
}

/* Bucket i covers (2^(i * 2^-scale), 2^((i + 1) * 2^-scale)]. One bucket of grace at both ends:
 * producers compute indices with a logarithm and may be one off. */
static bool side_beyond_double(const bucket_side *side, int32_t scale)
{
    if (!side->used)
        return false;
    int64_t first = side->offset + (int64_t)side->first_used;
    int64_t last = side->offset + (int64_t)side->last_used;
    if (last > INT32_MAX)
        return true;
    /* At -64 any index but those next to 0 is beyond; more would overflow ldexp's argument. */
    int shift = scale < -64 ? 64 : -scale;
    return ldexp((double)(last - 1), shift) >= 1024 || ldexp((double)(first + 2), shift) < -1074;
}

static mw_refusal judge_exponential(const point_reading *reading)
{
    uint64_t sum;
    bool overflow = __builtin_add_overflow(reading->bucket_sum, reading->zero_count, &sum);
    if (overflow || reading->sum_overflow || sum != reading->point.count)
        return MW_REFUSE_BUCKET_SUM;
    if (reading->scale > MW_OTLP_SCALE_MAX ||
        side_beyond_double(&reading->positive, reading->scale) ||
        side_beyond_double(&reading->negative, reading->scale))
        return MW_REFUSE_SCALE;
    return MW_REFUSE_NONE;
}

static mw_refusal judge_value(const point_reading *reading)
{
    switch (reading->point.kind) {
    case MW_METRIC_HISTOGRAM: return judge_histogram(reading);
    case MW_METRIC_EXPONENTIAL_HISTOGRAM: return judge_exponential(reading);
    case MW_METRIC_SUMMARY: return reading->quantile_broken ? MW_REFUSE_QUANTILE : MW_REFUSE_NONE;
    default:
        return reading->point.value.type == MW_VALUE_EMPTY ? MW_REFUSE_POINT_VALUE : MW_REFUSE_NONE;
    }
}

static mw_refusal judge_point(const mw_scanner *scan, const mw_metric_head *head,
                              const point_reading *reading)
{
    const mw_scan_point *point = &reading->point;
    if (head->metric.name.len == 0)
        return MW_REFUSE_METRIC_NAME;
    if (head->metric.kind != point->kind)
        return MW_REFUSE_METRIC_KIND;
    if (mw_metric_lacks_temporality(&head->metric))
        return MW_REFUSE_TEMPORALITY;
    if (point->time_ns == 0)
        return MW_REFUSE_POINT_TIME;
    mw_refusal refusal = point->no_value ? MW_REFUSE_NONE : judge_value(reading);
    if (refusal != MW_REFUSE_NONE)
        return refusal;
    if (scan->too_deep || head->too_deep || mw_scan_context_too_deep(scan))
        return MW_REFUSE_DEPTH;
    return MW_REFUSE_NONE;
}

/* ---- public -------------------------------------------------------------------------------- */

/* What is wrong with the point, as the end of a path. */
static const char *const refused_fields[MW_REFUSE_COUNT] = {
    [MW_REFUSE_DEPTH] = ".attributes",          [MW_REFUSE_METRIC_KIND] = "",
    [MW_REFUSE_POINT_TIME] = ".time_unix_nano", [MW_REFUSE_POINT_VALUE] = ".value",
    [MW_REFUSE_BUCKETS] = ".bucket_counts",     [MW_REFUSE_BOUNDS] = ".explicit_bounds",
    [MW_REFUSE_BUCKET_SUM] = ".count",          [MW_REFUSE_SCALE] = ".scale",
    [MW_REFUSE_QUANTILE] = ".quantile_values",
};

static void refuse_point(mw_scanner *scan, const mw_metric_head *head, const point_reading *reading,
                         mw_refusal refusal)
{
    const char *kind = mw_metric_kind_name(reading->point.kind);
    char field[MW_SCAN_PATH_SIZE] = "";
    if (scan->result->refused_total > 0)
        ; /* only the first path is kept */
    else if (refusal == MW_REFUSE_METRIC_NAME)
        snprintf(field, sizeof field, "name");
    else if (refusal == MW_REFUSE_TEMPORALITY)
        snprintf(field, sizeof field, "%s.aggregation_temporality", kind);
    else if (refusal == MW_REFUSE_DEPTH && head->too_deep)
        snprintf(field, sizeof field, "metadata");
    else
        snprintf(field, sizeof field, "%s.data_points[%u]%s", kind,
                 head->next_index[reading->point.kind],
                 refusal == MW_REFUSE_DEPTH && reading->exemplar_too_deep
                     ? ".exemplars"
                     : refused_fields[refusal]);
    mw_scan_refuse(scan, refusal, field);
}

static mw_err keep_point(mw_scanner *scan, const mw_metric_head *head, mw_scan_point *point)
{
    point->bad_utf8 = scan->bad_utf8 || head->metric.bad_utf8;
    scan->result->bad_utf8 += point->bad_utf8;
    point->found = scan->found.items;
    point->found_count = scan->found.count;
    return scan->sink->point(scan->sink->ctx, point);
}

mw_err mw_scan_data_point(mw_scanner *scan, mw_metric_head *head, mw_metric_kind kind,
                          mw_slice message)
{
    point_reading reading = {.point = {.bytes = message, .kind = kind}};
    reading.point.place = mw_scan_here(scan);
    reading.point.place.point = head->next_index[kind];
    mw_scan_reset(scan);
    mw_err err = read_point(scan, field_takers[kind], &reading);
    if (err != MW_OK)
        return err;
    scan->result->items++;
    reading.point.no_value = reading.point.flags & MW_POINT_NO_RECORDED_VALUE;
    reading.point.has_sum |= kind == MW_METRIC_SUMMARY;
    mw_refusal refusal = judge_point(scan, head, &reading);
    if (refusal != MW_REFUSE_NONE)
        refuse_point(scan, head, &reading, refusal);
    else
        err = keep_point(scan, head, &reading.point);
    head->next_index[kind]++;
    return err;
}
