/* The validating pass over data points: every rule about a point broken on purpose, in every form
 * the wire allows. Metrics as such are tested in test_scan_metrics.c. */
#include <math.h>

#include "tests/unit/proto/metric_seen.h"

static const mw_metric_kind kinds[] = {MW_METRIC_GAUGE, MW_METRIC_SUM, MW_METRIC_HISTOGRAM,
                                       MW_METRIC_EXPONENTIAL_HISTOGRAM, MW_METRIC_SUMMARY};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static const uint32_t attribute_numbers[MW_METRIC_KINDS] = {[MW_METRIC_GAUGE] = 7,
                                                            [MW_METRIC_SUM] = 7,
                                                            [MW_METRIC_HISTOGRAM] = 9,
                                                            [MW_METRIC_EXPONENTIAL_HISTOGRAM] = 1,
                                                            [MW_METRIC_SUMMARY] = 7};
static const uint32_t flag_numbers[MW_METRIC_KINDS] = {[MW_METRIC_GAUGE] = 8,
                                                       [MW_METRIC_SUM] = 8,
                                                       [MW_METRIC_HISTOGRAM] = 10,
                                                       [MW_METRIC_EXPONENTIAL_HISTOGRAM] = 10,
                                                       [MW_METRIC_SUMMARY] = 8};

/* Scans one metric "m" that holds a good point and `point` behind it; emptied. */
static mw_err scan_second_point(mw_metric_kind kind, otlp_writer *point)
{
    otlp_writer points = {0}, good = good_point(kind);
    put_message(&points, 1, &good);
    put_message(&points, 1, point);
    otlp_writer metric = metric_of_points(kind, &points, 2);
    otlp_writer request = request_with(&metric);
    return scan_written(&request);
}

/* Refused for that, `field` being the end of the path; NONE = both points were kept. */
static void check_second_point(mw_metric_kind kind, mw_refusal refusal, const char *field)
{
    const mw_scan_result *result = &the_seen->result;
    bool refused = refusal != MW_REFUSE_NONE;
    char path[160] = "";
    if (refused)
        snprintf(path, sizeof path, FIRST_METRIC ".%s.data_points[1]%s%s",
                 mw_metric_kind_name(kind), *field ? "." : "", field);
    assert_int_equal(result->items, 2);
    assert_int_equal(result->first_refusal, refusal);
    assert_int_equal(result->refused_total, refused);
    assert_int_equal(result->refused[refusal], refused);
    assert_string_equal(result->first_path, path);
    assert_int_equal(the_seen->points, refused ? 1 : 2);
    assert_int_equal(the_seen->metrics, 1);
}

/* ---- all kinds ------------------------------------------------------------------------------- */

static void test_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        otlp_writer point = good_point(kinds[i]);
        put_fixed64(&point, 2, 77);
        assert_int_equal(scan_second_point(kinds[i], &point), MW_OK);
        check_second_point(kinds[i], MW_REFUSE_NONE, "");
        assert_true(the_seen->point[1].time_ns == GOOD_TIME);
        assert_int_equal(the_seen->point[0].start_ns, 0);
        assert_int_equal(the_seen->point[1].start_ns, 77);
        point = good_point(kinds[i]);
        put_fixed64(&point, 3, 0);
        assert_int_equal(scan_second_point(kinds[i], &point), MW_OK);
        check_second_point(kinds[i], MW_REFUSE_POINT_TIME, "time_unix_nano");
    }
}

static void test_depth(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * KIND_COUNT; i++) {
        mw_metric_kind kind = kinds[i / 2];
        bool deep = i % 2;
        otlp_writer point = good_point(kind), value = nested_value(deep ? 65 : 64);
        put_attribute(&point, attribute_numbers[kind], "n", &value);
        assert_int_equal(scan_second_point(kind, &point), MW_OK);
        check_second_point(kind, deep ? MW_REFUSE_DEPTH : MW_REFUSE_NONE, "attributes");
        assert_int_equal(the_seen->result.too_deep, deep);
    }
}

static const uint32_t exemplar_numbers[MW_METRIC_KINDS] = {[MW_METRIC_GAUGE] = 5,
                                                           [MW_METRIC_SUM] = 5,
                                                           [MW_METRIC_HISTOGRAM] = 8,
                                                           [MW_METRIC_EXPONENTIAL_HISTOGRAM] = 11};

static void test_exemplars(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        mw_metric_kind kind = kinds[i / 2];
        bool deep = i % 2;
        otlp_writer point = good_point(kind), exemplar = {0}, value = nested_value(deep ? 65 : 64);
        put_message(&point, exemplar_numbers[kind],
                    &exemplar); /* no value: not the point's fault */
        put_fixed64(&exemplar, 2, GOOD_TIME);
        put_double(&exemplar, 3, 0.5);
        put_bytes(&exemplar, 4, "short", 5);
        put_bytes(&exemplar, 5, "", 0);
        put_fixed64(&exemplar, 6, 1);
        put_attribute(&exemplar, 7, "session.id", &value);
        put_message(&point, exemplar_numbers[kind], &exemplar);
        assert_int_equal(scan_second_point(kind, &point), MW_OK);
        check_second_point(kind, deep ? MW_REFUSE_DEPTH : MW_REFUSE_NONE, "exemplars");
        if (deep)
            continue;
        assert_int_equal(the_seen->point[1].exemplar_count, 2);
        assert_int_equal(the_seen->point[1].attribute_count, 0);
        assert_int_equal(the_seen->point[1].found_count, 0); /* not the point's attributes */
    }
}

/* The path names what was too deep first. */
static void test_depth_twice(void **state)
{
    (void)state;
    otlp_writer point = good_point(MW_METRIC_SUM), value = nested_value(65), exemplar = {0};
    put_attribute(&point, 7, "n", &value);
    value = nested_value(65);
    put_attribute(&exemplar, 7, "n", &value);
    put_message(&point, 5, &exemplar);
    assert_int_equal(scan_second_point(MW_METRIC_SUM, &point), MW_OK);
    check_second_point(MW_METRIC_SUM, MW_REFUSE_DEPTH, "attributes");
}

static void test_attributes(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        otlp_writer point = good_point(kinds[i]);
        put_text_attribute(&point, attribute_numbers[kinds[i]], "other", "x");
        put_int_attribute(&point, attribute_numbers[kinds[i]], "n", 1);
        put_int_attribute(&point, attribute_numbers[kinds[i]], "n", 2);
        assert_int_equal(scan_second_point(kinds[i], &point), MW_OK);
        check_second_point(kinds[i], MW_REFUSE_NONE, "");
        assert_int_equal(the_seen->point[1].attribute_count, 3);
        assert_int_equal(the_seen->point[1].found_count, 1);
        assert_int_equal(the_seen->found[1].key, 2);
        assert_int_equal(the_seen->found[1].value.as.i, 2);
        assert_int_equal(the_seen->point[0].found_count, 0);
    }
}

/* Many attributes are many, not wrong: the decode budget bounds them. */
static void test_many_attributes(void **state)
{
    (void)state;
    otlp_writer point = good_point(MW_METRIC_GAUGE);
    for (int i = 0; i < 100000; i++)
        put_text_attribute(&point, 7, "k", "v");
    assert_int_equal(scan_second_point(MW_METRIC_GAUGE, &point), MW_OK);
    check_second_point(MW_METRIC_GAUGE, MW_REFUSE_NONE, "");
    assert_int_equal(the_seen->point[1].attribute_count, 100000);
    point = good_point(MW_METRIC_GAUGE);
    for (unsigned i = 0; i < MW_OTLP_ITEMS_MAX; i++)
        put_raw(&point, "\x3a\x00", 2);
    assert_int_equal(scan_second_point(MW_METRIC_GAUGE, &point), MW_E_LIMIT);
}

/* A flagged point is valid whatever else it says but for its time. */
static void test_no_recorded_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3 * KIND_COUNT; i++) {
        mw_metric_kind kind = kinds[i / 3];
        otlp_writer point = {0}, part = {0};
        uint64_t flags[] = {1, 0xffffffff, 2};
        put_fixed64(&point, 3, GOOD_TIME);
        put_number(&point, flag_numbers[kind], flags[i % 3]);
        if (kind == MW_METRIC_HISTOGRAM || kind == MW_METRIC_EXPONENTIAL_HISTOGRAM)
            put_fixed64(&point, 4, 5); /* without a bucket */
        if (kind == MW_METRIC_HISTOGRAM)
            put_double(&point, 7, 1);
        put_double(&part, 1, 2);
        if (kind == MW_METRIC_SUMMARY)
            put_message(&point, 6, &part);
        free(part.data);
        assert_int_equal(scan_second_point(kind, &point), MW_OK);
        if (flags[i % 3] & 1) {
            check_second_point(kind, MW_REFUSE_NONE, "");
            assert_true(the_seen->point[1].no_value);
            assert_int_equal(the_seen->point[1].flags, flags[i % 3]);
            assert_int_equal(the_seen->point[1].value.type, MW_VALUE_EMPTY);
        } else {
            assert_int_equal(the_seen->result.refused_total, 1);
            assert_int_equal(the_seen->points, 1);
        }
    }
    otlp_writer timeless = {0};
    put_number(&timeless, 8, 1);
    assert_int_equal(scan_second_point(MW_METRIC_GAUGE, &timeless), MW_OK);
    check_second_point(MW_METRIC_GAUGE, MW_REFUSE_POINT_TIME, "time_unix_nano");
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void test_number_value(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        mw_metric_kind kind = kinds[i];
        otlp_writer point = {0};
        put_fixed64(&point, 3, GOOD_TIME);
        assert_int_equal(scan_second_point(kind, &point), MW_OK);
        check_second_point(kind, MW_REFUSE_POINT_VALUE, "value");
        point = good_point(kind);
        put_double(&point, 4, -0.5);
        assert_int_equal(scan_second_point(kind, &point), MW_OK);
        check_second_point(kind, MW_REFUSE_NONE, "");
        assert_int_equal(the_seen->point[0].value.type, MW_VALUE_INT);
        assert_int_equal(the_seen->point[0].value.as.i, 7);
        assert_int_equal(the_seen->point[1].value.type, MW_VALUE_DOUBLE); /* the last wins */
        assert_true(the_seen->point[1].value.as.d == -0.5);
        point = good_point(kind);
        put_double(&point, 4, (double)NAN);
        put_fixed64(&point, 6, (uint64_t)INT64_MIN);
        assert_int_equal(scan_second_point(kind, &point), MW_OK);
        assert_int_equal(the_seen->point[1].value.type, MW_VALUE_INT);
        assert_true(the_seen->point[1].value.as.i == INT64_MIN);
        assert_false(the_seen->point[1].has_sum || the_seen->point[1].has_min);
    }
}

/* ---- histograms ------------------------------------------------------------------------------ */

#define LIST_MAX 6

/* Repeated numbers go on the wire as one packed field, one field each, or half and half. */
typedef enum list_form { FORM_PACKED, FORM_SINGLE, FORM_MIXED, FORM_COUNT } list_form;

static void put_fixed_list(otlp_writer *w, uint32_t number, const void *values, size_t count,
                           list_form form)
{
    size_t packed = form == FORM_PACKED ? count : form == FORM_SINGLE ? 0 : count / 2;
    const uint8_t *at = values;
    if (packed)
        put_bytes(w, number, at, packed * 8);
    for (size_t i = packed; i < count; i++) {
        put_tag(w, number, 1);
        put_raw(w, at + i * 8, 8);
    }
}

typedef struct histogram_case {
    mw_refusal refusal;
    const char *field;
    uint64_t count;
    size_t counts_len, bounds_len;
    uint64_t counts[LIST_MAX];
    double bounds[LIST_MAX];
} histogram_case;

static const histogram_case histogram_cases[] = {
    {MW_REFUSE_NONE, "", 4, 3, 2, {1, 2, 1}, {0.5, 1}},
    {MW_REFUSE_NONE, "", 0, 0, 0, {0}, {0}},
    {MW_REFUSE_NONE, "", 9, 0, 0, {0}, {0}}, /* no buckets: count stands alone */
    {MW_REFUSE_NONE, "", 5, 1, 0, {5}, {0}},
    {MW_REFUSE_NONE, "", 0, 3, 2, {0, 0, 0}, {-1, 1}},
    {MW_REFUSE_NONE, "", UINT64_MAX, 2, 1, {UINT64_MAX - 1, 1}, {0}},
    {MW_REFUSE_NONE, "", 3, 3, 2, {1, 1, 1}, {-INFINITY, INFINITY}},
    {MW_REFUSE_BUCKETS, "bucket_counts", 4, 3, 3, {1, 2, 1}, {0, 1, 2}},
    {MW_REFUSE_BUCKETS, "bucket_counts", 4, 3, 1, {1, 2, 1}, {0}},
    {MW_REFUSE_BUCKETS, "bucket_counts", 0, 0, 1, {0}, {0}},
    {MW_REFUSE_BUCKETS, "bucket_counts", 0, 0, 2, {0}, {0, 1}},
    {MW_REFUSE_BUCKETS, "bucket_counts", 3, 2, 0, {1, 2}, {0}},
    {MW_REFUSE_BOUNDS, "explicit_bounds", 4, 3, 2, {1, 2, 1}, {1, 0.5}},
    {MW_REFUSE_BOUNDS, "explicit_bounds", 4, 3, 2, {1, 2, 1}, {1, 1}},
    {MW_REFUSE_BOUNDS, "explicit_bounds", 4, 3, 2, {1, 2, 1}, {-0.0, 0.0}},
    {MW_REFUSE_BOUNDS, "explicit_bounds", 4, 2, 1, {1, 3}, {NAN}},
    {MW_REFUSE_BOUNDS, "explicit_bounds", 4, 4, 3, {1, 1, 1, 1}, {1, NAN, 3}},
    {MW_REFUSE_BOUNDS, "explicit_bounds", 4, 4, 3, {1, 1, 1, 1}, {1, 2, NAN}},
    {MW_REFUSE_BOUNDS, "explicit_bounds", 5, 5, 4, {1, 1, 1, 1, 1}, {1, 3, 2, 4}},
    {MW_REFUSE_BUCKET_SUM, "count", 5, 3, 2, {1, 2, 1}, {0.5, 1}},
    {MW_REFUSE_BUCKET_SUM, "count", 0, 3, 2, {1, 2, 1}, {0.5, 1}},
    /* The sum wraps to 4, and to UINT64_MAX. */
    {MW_REFUSE_BUCKET_SUM, "count", 4, 2, 1, {UINT64_MAX, 5}, {0}},
    {MW_REFUSE_BUCKET_SUM, "count", UINT64_MAX, 3, 2, {UINT64_MAX, UINT64_MAX, 1}, {0, 1}},
};

static otlp_writer histogram_point(const histogram_case *c, list_form form, bool bounds_first)
{
    otlp_writer point = {0};
    if (bounds_first)
        put_fixed_list(&point, 7, c->bounds, c->bounds_len, form);
    put_fixed_list(&point, 6, c->counts, c->counts_len, form);
    if (!bounds_first)
        put_fixed_list(&point, 7, c->bounds, c->bounds_len, form);
    put_fixed64(&point, 4, c->count);
    put_fixed64(&point, 3, GOOD_TIME);
    return point;
}

static void test_histogram_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof histogram_cases / sizeof histogram_cases[0]; i++) {
        for (int form = 0; form < 2 * FORM_COUNT; form++) {
            const histogram_case *c = &histogram_cases[i];
            otlp_writer point = histogram_point(c, (list_form)(form / 2), form % 2);
            assert_int_equal(scan_second_point(MW_METRIC_HISTOGRAM, &point), MW_OK);
            if (the_seen->result.first_refusal != c->refusal)
                fail_msg("case %zu form %d: refused for %d", i, form,
                         (int)the_seen->result.first_refusal);
            check_second_point(MW_METRIC_HISTOGRAM, c->refusal, c->field);
            if (c->refusal == MW_REFUSE_NONE)
                assert_true(the_seen->point[1].count == c->count);
        }
    }
}

/* sum, min and max: presence is not zero, the last wins. */
static void test_presence(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        mw_metric_kind kind = kinds[2 + i];
        for (uint32_t set = 0; set < 8; set++) {
            otlp_writer point = good_point(kind);
            static const uint32_t numbers[2][3] = {{5, 11, 12}, {5, 12, 13}};
            for (int field = 0; field < 3; field++)
                if (set >> field & 1) {
                    put_double(&point, numbers[i][field], 9);
                    put_double(&point, numbers[i][field], field == 0 ? 0 : -field);
                }
            assert_int_equal(scan_second_point(kind, &point), MW_OK);
            check_second_point(kind, MW_REFUSE_NONE, "");
            const mw_scan_point *got = &the_seen->point[1];
            assert_int_equal(got->has_sum, set & 1);
            assert_int_equal(got->has_min, set >> 1 & 1);
            assert_int_equal(got->has_max, set >> 2 & 1);
            assert_true(got->sum == 0);
            assert_true(got->min == (got->has_min ? -1 : 0));
            assert_true(got->max == (got->has_max ? -2 : 0));
        }
    }
}

/* Buckets are plain numbers: a million of them is one point. */
static void test_many_buckets(void **state)
{
    (void)state;
    size_t count = 2 * MW_OTLP_ITEMS_MAX;
    otlp_writer point = {0};
    put_fixed64(&point, 3, GOOD_TIME);
    put_fixed64(&point, 4, count);
    uint64_t *counts = calloc(count, sizeof *counts);
    double *bounds = calloc(count, sizeof *bounds);
    assert_true(counts && bounds);
    for (size_t i = 0; i < count; i++) {
        counts[i] = 1;
        bounds[i] = (double)i;
    }
    put_bytes(&point, 6, counts, count * 8);
    put_bytes(&point, 7, bounds, (count - 1) * 8);
    assert_int_equal(scan_second_point(MW_METRIC_HISTOGRAM, &point), MW_OK);
    check_second_point(MW_METRIC_HISTOGRAM, MW_REFUSE_NONE, "");
    free(counts);
    free(bounds);
}

/* ---- exponential histograms ------------------------------------------------------------------ */

typedef struct exponential_case {
    mw_refusal refusal;
    const char *field;
    uint64_t count, zero_count;
    int32_t scale, offsets[2]; /* positive, negative */
    size_t lens[2];
    uint64_t counts[2][LIST_MAX];
} exponential_case;

static const exponential_case exponential_cases[] = {
    {MW_REFUSE_NONE, "", 7, 2, -3, {-7, 3}, {3, 1}, {{1, 0, 2}, {2}}},
    {MW_REFUSE_NONE, "", 0, 0, 0, {0, 0}, {0, 0}, {{0}, {0}}},
    {MW_REFUSE_NONE, "", 3, 3, 0, {0, 0}, {0, 0}, {{0}, {0}}},
    {MW_REFUSE_NONE, "", 1, 0, 20, {6571201, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_NONE, "", UINT64_MAX, UINT64_MAX - 3, 0, {0, 0}, {2, 1}, {{1, 1}, {1}}},
    {MW_REFUSE_BUCKET_SUM, "count", 6, 2, -3, {-7, 3}, {3, 1}, {{1, 0, 2}, {2}}},
    {MW_REFUSE_BUCKET_SUM, "count", 5, 0, -3, {-7, 3}, {3, 1}, {{1, 0, 2}, {1}}},
    {MW_REFUSE_BUCKET_SUM, "count", 9, 0, 0, {0, 0}, {0, 0}, {{0}, {0}}},
    /* Wraps in a side, over both sides, with zero_count. */
    {MW_REFUSE_BUCKET_SUM, "count", 1, 0, 0, {0, 0}, {2, 0}, {{UINT64_MAX, 2}, {0}}},
    {MW_REFUSE_BUCKET_SUM, "count", 1, 0, 0, {0, 0}, {1, 1}, {{UINT64_MAX}, {2}}},
    {MW_REFUSE_BUCKET_SUM, "count", 1, UINT64_MAX, 0, {0, 0}, {1, 1}, {{1}, {1}}},
    /* The largest and the smallest double at the finest scale of SDKs, and one index further. */
    {MW_REFUSE_NONE, "", 1, 0, 20, {(1 << 30) - 1, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_NONE, "", 1, 0, 20, {1 << 30, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 1, 0, 20, {(1 << 30) + 1, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_NONE, "", 1, 0, 20, {0, -1074 * (1 << 20) - 1}, {0, 1}, {{0}, {1}}},
    {MW_REFUSE_SCALE, "scale", 1, 0, 20, {0, -1074 * (1 << 20) - 3}, {0, 1}, {{0}, {1}}},
    /* Only buckets that hold something are asked. */
    {MW_REFUSE_NONE, "", 1, 0, 0, {1022, 0}, {6, 0}, {{0, 1, 0, 0, 0, 0}, {0}}},
    {MW_REFUSE_SCALE, "scale", 1, 0, 0, {1022, 0}, {6, 0}, {{0, 0, 0, 0, 0, 1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 2, 0, 0, {1022, 0}, {6, 0}, {{1, 0, 0, 0, 0, 1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 2, 0, 0, {-1080, 0}, {6, 0}, {{1, 0, 0, 0, 0, 1}, {0}}},
    {MW_REFUSE_NONE, "", 1, 0, 0, {-1076, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 1, 0, 0, {-1077, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_NONE, "", 1, 1, 0, {INT32_MAX, INT32_MIN}, {3, 3}, {{0, 0, 0}, {0, 0, 0}}},
    {MW_REFUSE_SCALE, "scale", 2, 0, 0, {INT32_MAX, 0}, {2, 0}, {{1, 1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 1, 0, 30, {INT32_MAX, 0}, {2, 0}, {{0, 1}, {0}}},
    {MW_REFUSE_NONE, "", 1, 0, 30, {INT32_MAX, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 1, 0, 0, {INT32_MIN, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 1, 0, INT32_MAX, {0, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 0, 0, INT32_MAX, {0, 0}, {0, 0}, {{0}, {0}}},
    {MW_REFUSE_NONE, "", 1, 0, MW_OTLP_SCALE_MAX, {0, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 1, 0, MW_OTLP_SCALE_MAX + 1, {0, 0}, {1, 0}, {{1}, {0}}},
    /* Coarse beyond any double: the two buckets around 1 hold everything. */
    {MW_REFUSE_NONE, "", 2, 0, INT32_MIN, {-1, 0}, {2, 0}, {{1, 1}, {0}}},
    {MW_REFUSE_NONE, "", 1, 0, -11, {-1, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 1, 0, INT32_MIN, {7, 0}, {1, 0}, {{1}, {0}}},
    {MW_REFUSE_SCALE, "scale", 1, 0, INT32_MIN, {0, INT32_MIN}, {0, 1}, {{0}, {1}}},
};

static uint64_t zigzag(int32_t value)
{
    return value >= 0 ? (uint64_t)value * 2 : (uint64_t)(-(int64_t)value) * 2 - 1;
}

/* One side; in FORM_MIXED the message comes in two parts, the offset in the first. */
static void put_side(otlp_writer *point, uint32_t number, int32_t offset, const uint64_t *counts,
                     size_t len, list_form form)
{
    otlp_writer side = {0}, packed = {0};
    put_number(&side, 1, zigzag(offset));
    for (size_t i = 0; i < len; i++) {
        if (form == FORM_MIXED && i == 1)
            put_message(point, number, &side);
        if (form == FORM_PACKED)
            put_varint(&packed, counts[i]);
        else
            put_number(&side, 2, counts[i]);
    }
    if (packed.len)
        put_message(&side, 2, &packed);
    put_message(point, number, &side);
}

static void test_exponential_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof exponential_cases / sizeof exponential_cases[0]; i++) {
        for (int form = 0; form < FORM_COUNT; form++) {
            const exponential_case *c = &exponential_cases[i];
            otlp_writer point = {0};
            for (uint32_t side = 0; side < 2; side++)
                put_side(&point, 8 + side, c->offsets[side], c->counts[side], c->lens[side],
                         (list_form)form);
            put_fixed64(&point, 3, GOOD_TIME);
            put_fixed64(&point, 4, c->count);
            put_number(&point, 6, zigzag(c->scale));
            put_fixed64(&point, 7, c->zero_count);
            put_double(&point, 14, 1e-9);
            assert_int_equal(scan_second_point(MW_METRIC_EXPONENTIAL_HISTOGRAM, &point), MW_OK);
            if (the_seen->result.first_refusal != c->refusal)
                fail_msg("case %zu form %d: refused for %d", i, form,
                         (int)the_seen->result.first_refusal);
            check_second_point(MW_METRIC_EXPONENTIAL_HISTOGRAM, c->refusal, c->field);
        }
    }
}

/* ---- summaries ------------------------------------------------------------------------------- */

static void test_quantiles(void **state)
{
    (void)state;
    static const struct {
        double quantile;
        bool good;
    } cases[] = {
        {0, true},          {0.5, true},          {1, true},        {-0.0, true}, {-1e-9, false},
        {1.0000001, false}, {(double)NAN, false}, {INFINITY, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        otlp_writer point = good_point(MW_METRIC_SUMMARY), value = {0};
        put_double(&value, 1, 7); /* the last wins */
        put_double(&value, 1, cases[i].quantile);
        put_double(&value, 2, (double)NAN);
        put_message(&point, 6, &value);
        put_message(&point, 6, &value); /* an empty one is quantile 0 */
        put_fixed64(&point, 4, 12);
        put_double(&point, 5, 3.5);
        assert_int_equal(scan_second_point(MW_METRIC_SUMMARY, &point), MW_OK);
        check_second_point(MW_METRIC_SUMMARY, cases[i].good ? MW_REFUSE_NONE : MW_REFUSE_QUANTILE,
                           "quantile_values");
        if (!cases[i].good)
            continue;
        assert_int_equal(the_seen->point[1].count, 12);
        assert_true(the_seen->point[1].has_sum && the_seen->point[1].sum == 3.5);
        assert_true(the_seen->point[0].has_sum && the_seen->point[0].sum == 0);
        assert_false(the_seen->point[1].has_min || the_seen->point[1].has_max);
    }
}

/* ---- wire format ----------------------------------------------------------------------------- */

static void test_wrong_types(void **state)
{
    (void)state;
    static const uint32_t known[MW_METRIC_KINDS] = {0, 0x1fc, 0x1fc, 0x1ffc, 0x7ffe, 0x1fc};
    for (size_t i = 0; i < KIND_COUNT; i++) {
        for (uint32_t number = 1; number <= 15; number++) {
            otlp_writer point = good_point(kinds[i]);
            put_fixed32(&point, number, 0);
            mw_err err = scan_second_point(kinds[i], &point);
            assert_int_equal(err, known[kinds[i]] >> number & 1 ? MW_E_SYNTAX : MW_OK);
            assert_int_equal(the_seen->result.wrong_type, err != MW_OK);
        }
    }
}

/* The messages inside a point: Exemplar, Buckets, ValueAtQuantile. */
static void test_wrong_types_inside(void **state)
{
    (void)state;
    static const struct {
        mw_metric_kind kind;
        uint32_t place, known;
    } rows[] = {{MW_METRIC_GAUGE, 5, 0xfc},
                {MW_METRIC_EXPONENTIAL_HISTOGRAM, 8, 0x06},
                {MW_METRIC_EXPONENTIAL_HISTOGRAM, 9, 0x06},
                {MW_METRIC_SUMMARY, 6, 0x06}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (uint32_t number = 1; number <= 8; number++) {
            otlp_writer point = good_point(rows[i].kind), inside = {0};
            put_fixed32(&inside, number, 0);
            put_message(&point, rows[i].place, &inside);
            mw_err err = scan_second_point(rows[i].kind, &point);
            assert_int_equal(err, rows[i].known >> number & 1 ? MW_E_SYNTAX : MW_OK);
        }
    }
}

/* Packed numbers that end in the middle of one. */
static void test_broken_packed(void **state)
{
    (void)state;
    static const char tens[12] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    for (size_t len = 0; len <= 17; len++) {
        for (uint32_t number = 6; number <= 7; number++) {
            otlp_writer point = good_point(MW_METRIC_HISTOGRAM);
            put_bytes(&point, number, "0123456789abcdefg", len);
            assert_int_equal(scan_second_point(MW_METRIC_HISTOGRAM, &point),
                             len % 8 ? MW_E_SYNTAX : MW_OK);
        }
    }
    static const struct {
        size_t skip, len;
        mw_err expected;
    } rows[] = {{0, 1, MW_E_SYNTAX},  {9, 2, MW_OK},       {1, 10, MW_OK},
                {0, 11, MW_E_SYNTAX}, {8, 2, MW_E_SYNTAX}, {0, 0, MW_OK}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        otlp_writer point = good_point(MW_METRIC_EXPONENTIAL_HISTOGRAM), side = {0};
        put_bytes(&side, 2, tens + rows[i].skip, rows[i].len);
        put_message(&point, 8, &side);
        assert_int_equal(scan_second_point(MW_METRIC_EXPONENTIAL_HISTOGRAM, &point),
                         rows[i].expected);
    }
}

/* The inner messages cost the budget too. */
static void test_budget(void **state)
{
    (void)state;
    static const struct {
        mw_metric_kind kind;
        const char *field;
    } rows[] = {{MW_METRIC_SUM, "\x2a\x00"}, {MW_METRIC_SUMMARY, "\x32\x00"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        otlp_writer point = good_point(rows[i].kind);
        for (unsigned n = 0; n < MW_OTLP_ITEMS_MAX; n++)
            put_raw(&point, rows[i].field, 2);
        assert_int_equal(scan_second_point(rows[i].kind, &point), MW_E_LIMIT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_exemplars),
        cmocka_unit_test(test_depth_twice),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_many_attributes),
        cmocka_unit_test(test_no_recorded_value),
        cmocka_unit_test(test_number_value),
        cmocka_unit_test(test_histogram_rules),
        cmocka_unit_test(test_presence),
        cmocka_unit_test(test_many_buckets),
        cmocka_unit_test(test_exponential_rules),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_wrong_types_inside),
        cmocka_unit_test(test_broken_packed),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, seen_setup, seen_teardown);
}
