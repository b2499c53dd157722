/* The identity of series: what makes another one and what does not. */
#include "collector/series.h"
#include "tests/unit/collector/export_fixture.h"

/* One request with one point, in the terms that tell series apart. */
typedef struct series_case {
    const char *resource, *resource_schema, *scope, *scope_version, *scope_schema;
    const char *name, *unit, *description;
    uint32_t data_field; /* 5 gauge, 7 sum */
    uint32_t temporality;
    bool monotonic;
    const char *attributes[6]; /* key, value, ...; NULL ends */
} series_case;

static const series_case base = {.resource = "shop",
                                 .resource_schema = "r/1",
                                 .scope = "tests",
                                 .scope_version = "1",
                                 .scope_schema = "s/1",
                                 .name = "m",
                                 .unit = "s",
                                 .description = "words",
                                 .data_field = 7,
                                 .temporality = 2,
                                 .monotonic = true,
                                 .attributes = {"a", "1", "b", "2"}};

static otlp_writer metric_of_case(const series_case *the)
{
    otlp_writer point = int_point(GOOD_TIME, 1), data = {0}, metric = {0};
    for (size_t i = 0; i < 6 && the->attributes[i]; i += 2)
        put_text_attribute(&point, 7, the->attributes[i], the->attributes[i + 1]);
    put_message(&data, 1, &point);
    if (the->data_field == 7) {
        put_number(&data, 2, the->temporality);
        put_number(&data, 3, the->monotonic);
    }
    put_text(&metric, 1, the->name);
    put_text(&metric, 2, the->description);
    put_text(&metric, 3, the->unit);
    put_message(&metric, the->data_field, &data);
    return metric;
}

static uint64_t series_in(mw_slice request, const mw_export_keys *under)
{
    const mw_export_input input = {.signal = mw_export_signal_of(MW_SIGNAL_METRICS),
                                   .body = request,
                                   .keys = under,
                                   .received_ns = RECEIVED_NS,
                                   .arena = &arena};
    mw_export_batch batch;
    assert_int_equal(mw_export_batch_read(&batch, &input), MW_OK);
    assert_int_equal(batch.count, 1);
    uint64_t series = ((const mw_point_row *)batch.rows)->series;
    mw_export_batch_fini(&batch);
    assert_true(series != 0);
    return series;
}

static otlp_writer request_of_case(const series_case *the)
{
    otlp_writer resource = {0}, scope = {0}, scope_metrics = {0}, resource_metrics = {0};
    otlp_writer request = {0}, metric = metric_of_case(the);
    put_text_attribute(&resource, 1, "service.name", the->resource);
    put_text(&scope, 1, the->scope);
    put_text(&scope, 2, the->scope_version);
    put_message(&scope_metrics, 1, &scope);
    put_message(&scope_metrics, 2, &metric);
    put_text(&scope_metrics, 3, the->scope_schema);
    put_message(&resource_metrics, 1, &resource);
    put_message(&resource_metrics, 2, &scope_metrics);
    put_text(&resource_metrics, 3, the->resource_schema);
    put_message(&request, 1, &resource_metrics);
    return request;
}

static uint64_t series_of(const series_case *the)
{
    otlp_writer request = request_of_case(the);
    uint64_t series = series_in(written(&request), &keys);
    free(request.data);
    return series;
}

static void test_same(void **state)
{
    (void)state;
    uint64_t series = series_of(&base);
    assert_true(series_of(&base) == series);
    series_case other = base;
    other.description = "other words";
    assert_true(series_of(&other) == series);
    const char *const turned[] = {"b", "2", "a", "1"};
    memcpy(other.attributes, turned, sizeof turned);
    assert_true(series_of(&other) == series);
}

/* Each difference makes a series of its own, and no two of these the same. */
static void test_different(void **state)
{
    (void)state;
    series_case cases[24];
    size_t n = 0;
#define OTHER(member, value) (cases[n] = base, cases[n++].member = (value))
    cases[n++] = base;
    OTHER(resource, "shop2");
    OTHER(resource, "");
    OTHER(resource_schema, "r/2");
    OTHER(scope, "tests2");
    OTHER(scope_version, "2");
    OTHER(scope_schema, "s/2");
    OTHER(name, "m2");
    OTHER(unit, "ms");
    OTHER(unit, "");
    OTHER(data_field, 5);
    OTHER(temporality, 1);
    OTHER(temporality, 3);
    OTHER(monotonic, false);
    OTHER(attributes[1], "2");
    OTHER(attributes[0], "b");
    OTHER(attributes[0], NULL);
    OTHER(attributes[2], NULL);
    /* Values change places; and the same attribute twice. */
    OTHER(attributes[1], "2");
    cases[n - 1].attributes[3] = "1";
    OTHER(attributes[4], "b");
    cases[n - 1].attributes[5] = "2";
    /* Name and unit are not one text. */
    OTHER(name, "ms");
    cases[n - 1].unit = "";
#undef OTHER
    uint64_t series[24];
    for (size_t i = 0; i < n; i++) {
        series[i] = series_of(&cases[i]);
        for (size_t k = 0; k < i; k++)
            if (series[i] == series[k])
                fail_msg("cases %zu and %zu are one series", k, i);
    }
}

/* Attributes of the resource in any order, and zero fields that JSON writers leave there. */
static void test_context_order(void **state)
{
    (void)state;
    otlp_writer one = {0}, two = {0}, three = {0};
    put_text_attribute(&one, 1, "service.name", "shop");
    put_text_attribute(&one, 1, "host.name", "h");
    put_number(&two, 2, 0);
    put_text_attribute(&two, 1, "host.name", "h");
    put_text_attribute(&two, 1, "service.name", "shop");
    put_text_attribute(&three, 1, "host.name", "h");
    put_text_attribute(&three, 1, "service.name", "shop");
    put_number(&three, 2, 1);
    const mw_store_context a = {written(&one), MW_SLICE_NONE, 0},
                           b = {written(&two), MW_SLICE_NONE, 0};
    const mw_store_context c = {written(&three), MW_SLICE_NONE, 0};
    assert_true(mw_series_of_context(&a, digest_key) == mw_series_of_context(&b, digest_key));
    assert_true(mw_series_of_context(&a, digest_key) != mw_series_of_context(&c, digest_key));
    /* A text moves from one field of a scope to another. */
    otlp_writer name = {0}, version = {0};
    put_text(&name, 1, "x");
    put_text(&version, 2, "x");
    const mw_store_context d = {written(&name), MW_SLICE_NONE, 0};
    const mw_store_context e = {written(&version), MW_SLICE_NONE, 0};
    assert_true(mw_series_of_context(&d, digest_key) != mw_series_of_context(&e, digest_key));
    free(one.data);
    free(two.data);
    free(three.data);
    free(name.data);
    free(version.data);
}

/* Another store has other hashes: nobody can make series meet without its secret. */
static void test_keyed(void **state)
{
    (void)state;
    uint8_t other_key[MW_DIGEST_KEY_SIZE];
    memset(other_key, 0x5a, sizeof other_key);
    const mw_export_keys under = {keys.attributes, other_key};
    otlp_writer request = request_of_case(&base);
    assert_true(series_in(written(&request), &under) != series_in(written(&request), &keys));
    free(request.data);
}

/* Every kind's attributes are found where that kind has them. */
static void test_attributes_of_kinds(void **state)
{
    (void)state;
    static const struct {
        uint32_t data_field, attribute_field;
    } kinds[] = {{5, 7}, {7, 7}, {9, 9}, {10, 1}, {11, 7}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint64_t series[3];
        for (int value = 0; value < 3; value++) {
            otlp_writer point = {0};
            put_fixed64(&point, 3, GOOD_TIME);
            if (i < 2)
                put_fixed64(&point, 6, 7);
            if (value < 2)
                put_int_attribute(&point, kinds[i].attribute_field, "k", value);
            otlp_writer data = {0}, metric = {0};
            put_message(&data, 1, &point);
            if (i >= 1 && i <= 3)
                put_number(&data, 2, 2);
            put_text(&metric, 1, "m");
            put_message(&metric, kinds[i].data_field, &data);
            otlp_writer request = request_with(&metric);
            series[value] = series_in(written(&request), &keys);
            free(request.data);
        }
        assert_true(series[0] != series[1] && series[0] != series[2] && series[1] != series[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_different),
        cmocka_unit_test(test_context_order),
        cmocka_unit_test(test_keyed),
        cmocka_unit_test(test_attributes_of_kinds),
    };
    for (size_t i = 0; i < sizeof digest_key; i++)
        digest_key[i] = (uint8_t)(i * 37 + 11);
    return RUN_ALL(tests);
}
