/* Embedded metric format to an OTLP metrics request. Contract and rules: emf.h. */
#include <endian.h>

#include "collector/emf.h"
#include "collector/emf_body.h"
#include "proto/wire.h"

/* What the smallest request may be made into: a document's worth. */
#define GROWTH_FLOOR MW_EMF_DOCUMENT_MAX
/* And the largest: as much as a full batch of metrics. */
#define GROWTH_CEILING ((size_t)16 << 20)

/* Fields of OTLP's metrics messages. */
enum {
    REQUEST_RESOURCES = 1,
    RESOURCE_RESOURCE = 1,
    RESOURCE_SCOPES = 2,
    SCOPE_SCOPE = 1,
    SCOPE_METRICS = 2,
    ANY_SCHEMA_URL = 3,
    METRIC_NAME = 1,
    METRIC_UNIT = 3,
    METRIC_GAUGE = 5,
    METRIC_SUM = 7,
    METRIC_HISTOGRAM = 9,
    DATA_POINTS = 1,
    DATA_TEMPORALITY = 2,
    POINT_TIME = 3,
    NUMBER_DOUBLE = 4,
    NUMBER_INT = 6,
    NUMBER_ATTRIBUTES = 7,
    HISTOGRAM_COUNT = 4,
    HISTOGRAM_SUM = 5,
    HISTOGRAM_ATTRIBUTES = 9,
    HISTOGRAM_MIN = 11,
    HISTOGRAM_MAX = 12,
    TEMPORALITY_DELTA = 1
};

/* ---- life ----------------------------------------------------------------------------------- */

void mw_emf_init(mw_emf_writer *writer, size_t body_len)
{
    size_t max = body_len < GROWTH_CEILING / MW_EMF_GROWTH_MAX ? body_len * MW_EMF_GROWTH_MAX
                                                               : GROWTH_CEILING;
    max = max > GROWTH_FLOOR ? max : GROWTH_FLOOR;
    *writer = (mw_emf_writer){.points = 0};
    mw_buffer_init(&writer->request, MW_MEM_INGEST, max);
    mw_buffer_init(&writer->metrics, MW_MEM_INGEST, max);
    mw_buffer *const small[] = {&writer->document, &writer->metric, &writer->data, &writer->point,
                                &writer->part};
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
        mw_buffer_init(small[i], MW_MEM_INGEST, MW_EMF_DOCUMENT_MAX);
}

void mw_emf_fini(mw_emf_writer *writer)
{
    mw_buffer *const all[] = {&writer->request, &writer->metrics, &writer->document,
                              &writer->metric,  &writer->data,    &writer->point,
                              &writer->part};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        mw_buffer_fini(all[i]);
}

bool mw_emf_names_aws(const mw_value *body)
{
    return body->bytes.len <= MW_EMF_DOCUMENT_MAX &&
           mw_slice_contains(body->bytes, MW_SLICE("_aws"));
}

/* ---- wire ----------------------------------------------------------------------------------- */

static void put_fixed64(mw_buffer *out, uint32_t number, uint64_t value)
{
    uint64_t little = htole64(value);
    mw_wire_append_varint(out, MW_WIRE_TAG(number, MW_WIRE_FIXED64));
    mw_buffer_append(out, &little, sizeof little);
}

static void put_double(mw_buffer *out, uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_fixed64(out, number, bits);
}

/* A KeyValue whose value is text. */
static void put_attribute(mw_emf_writer *writer, uint32_t number, mw_slice key, mw_slice text)
{
    mw_buffer *pair = &writer->part;
    char value[MW_EMF_NAME_MAX + 16];
    mw_slice whole = {value, 0};
    MW_ASSERT(text.len <= MW_EMF_NAME_MAX);
    /* AnyValue.string_value: a tag and a length of two bytes at most stand before the text. */
    value[whole.len++] = MW_WIRE_TAG(1, MW_WIRE_BYTES);
    if (text.len >= 0x80)
        value[whole.len++] = (char)((text.len & 0x7f) | 0x80);
    value[whole.len++] = (char)(text.len >= 0x80 ? text.len >> 7 : text.len);
    memcpy(value + whole.len, text.data, text.len);
    whole.len += text.len;
    mw_buffer_clear(pair);
    mw_wire_append_bytes(pair, 1, key);
    mw_wire_append_bytes(pair, 2, whole);
    mw_wire_append_bytes(&writer->point, number, mw_buffer_slice(pair));
}

static size_t varint_len(size_t value)
{
    size_t len = 1;
    while (value >>= 7)
        len++;
    return len;
}

/* A field of number below 16, as mw_wire_append_bytes writes it; an empty one is left out. */
static size_t field_len(size_t content)
{
    return content ? 1 + varint_len(content) + content : 0;
}

static void put_field(mw_buffer *out, uint32_t number, mw_slice content)
{
    if (content.len)
        mw_wire_append_bytes(out, number, content);
}

/* ---- the document --------------------------------------------------------------------------- */

typedef struct dimension {
    mw_slice name, value;
} dimension;

typedef struct document {
    const json_t *root;
    uint64_t time_ns;
    mw_slice namespace;
    dimension dimensions[MW_EMF_DIMENSIONS_MAX];
    char numbers[MW_EMF_DIMENSIONS_MAX][32]; /* values that were sent as numbers */
    size_t dimension_count;
    struct {
        mw_slice namespace, name;
    } seen[MW_EMF_METRICS_MAX];
    size_t seen_count;
} document;

static mw_slice text_of(const json_t *value)
{
    return json_is_string(value)
               ? mw_slice_bytes(json_string_value(value), json_string_length(value))
               : MW_SLICE_NONE;
}

static bool is_name(mw_slice name)
{
    return name.len > 0 && name.len <= MW_EMF_NAME_MAX;
}

/* A member of the root by a name that may hold a NUL. */
static const json_t *member(const json_t *root, mw_slice name)
{
    return json_object_getn(root, name.data, name.len);
}

static mw_slice dimension_value(document *doc, mw_slice name)
{
    const json_t *value = member(doc->root, name);
    char *digits = doc->numbers[doc->dimension_count];
    if (json_is_integer(value))
        snprintf(digits, sizeof doc->numbers[0], "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(digits, sizeof doc->numbers[0], "%.17g", json_real_value(value));
    else
        return text_of(value);
    return mw_slice_of(digits);
}

static void add_dimension(document *doc, mw_slice name)
{
    for (size_t i = 0; i < doc->dimension_count; i++)
        if (mw_slice_equal(doc->dimensions[i].name, name))
            return;
    if (!is_name(name) || doc->dimension_count == MW_EMF_DIMENSIONS_MAX)
        return;
    mw_slice value = dimension_value(doc, name);
    if (is_name(value))
        doc->dimensions[doc->dimension_count++] = (dimension){name, value};
}

/* All keys of all sets, in the order they come. Sets beyond those that could still add one are not
 * looked at. */
static void read_dimensions(document *doc, const json_t *sets)
{
    size_t set_count = json_array_size(sets);
    doc->dimension_count = 0;
    for (size_t i = 0; i < set_count && i < MW_EMF_DIMENSIONS_MAX; i++) {
        const json_t *set = json_array_get(sets, i);
        size_t count = json_array_size(set);
        for (size_t k = 0; k < count && k < MW_EMF_DIMENSIONS_MAX; k++)
            add_dimension(doc, text_of(json_array_get(set, k)));
    }
}

/* Several directives may publish one metric in several views. */
static bool is_new(document *doc, mw_slice name)
{
    for (size_t i = 0; i < doc->seen_count; i++)
        if (mw_slice_equal(doc->seen[i].name, name) &&
            mw_slice_equal(doc->seen[i].namespace, doc->namespace))
            return false;
    if (doc->seen_count == MW_EMF_METRICS_MAX)
        return false;
    doc->seen[doc->seen_count].namespace = doc->namespace;
    doc->seen[doc->seen_count++].name = name;
    return true;
}

/* ---- points --------------------------------------------------------------------------------- */

typedef struct summed {
    uint64_t count;
    double sum, min, max;
    bool has_range;
} summed;

static bool sum_array(const json_t *values, summed *out)
{
    size_t count = json_array_size(values);
    *out = (summed){.has_range = true};
    for (size_t i = 0; i < count && i < MW_EMF_VALUES_MAX; i++) {
        const json_t *item = json_array_get(values, i);
        if (!json_is_number(item))
            return false;
        double value = json_number_value(item);
        out->sum += value;
        out->min = out->count == 0 || value < out->min ? value : out->min;
        out->max = out->count == 0 || value > out->max ? value : out->max;
        out->count++;
    }
    return out->count > 0;
}

static bool sum_object(const json_t *object, summed *out)
{
    const json_t *count = json_object_get(object, "Count"), *sum = json_object_get(object, "Sum");
    const json_t *min = json_object_get(object, "Min"), *max = json_object_get(object, "Max");
    if (!json_is_number(count) || !json_is_number(sum))
        return false;
    double number = json_number_value(count);
    if (!(number >= 1 && number <= 9007199254740992.0))
        return false;
    *out = (summed){.count = (uint64_t)number,
                    .sum = json_number_value(sum),
                    .has_range = json_is_number(min) && json_is_number(max)};
    if (out->has_range) {
        out->min = json_number_value(min);
        out->max = json_number_value(max);
    }
    return true;
}

static void put_attributes(mw_emf_writer *writer, const document *doc, uint32_t number)
{
    if (doc->namespace.len)
        put_attribute(writer, number, MW_SLICE("aws.metric.namespace"), doc->namespace);
    for (size_t i = 0; i < doc->dimension_count; i++)
        put_attribute(writer, number, doc->dimensions[i].name, doc->dimensions[i].value);
}

static void put_histogram(mw_emf_writer *writer, const document *doc, const summed *values)
{
    put_fixed64(&writer->point, POINT_TIME, doc->time_ns);
    put_fixed64(&writer->point, HISTOGRAM_COUNT, values->count);
    put_double(&writer->point, HISTOGRAM_SUM, values->sum);
    put_attributes(writer, doc, HISTOGRAM_ATTRIBUTES);
    if (values->has_range) {
        put_double(&writer->point, HISTOGRAM_MIN, values->min);
        put_double(&writer->point, HISTOGRAM_MAX, values->max);
    }
}

static void put_number(mw_emf_writer *writer, const document *doc, const json_t *value)
{
    put_fixed64(&writer->point, POINT_TIME, doc->time_ns);
    if (json_is_integer(value))
        put_fixed64(&writer->point, NUMBER_INT, (uint64_t)json_integer_value(value));
    else
        put_double(&writer->point, NUMBER_DOUBLE, json_real_value(value));
    put_attributes(writer, doc, NUMBER_ATTRIBUTES);
}

/* The field of Metric that the value goes to, its point written; 0 = it is no value. */
static uint32_t put_point(mw_emf_writer *writer, const document *doc, mw_slice name, bool counted)
{
    const json_t *value = member(doc->root, name);
    summed values;
    mw_buffer_clear(&writer->point);
    if (json_is_number(value)) {
        put_number(writer, doc, value);
        return counted ? METRIC_SUM : METRIC_GAUGE;
    }
    if (!(json_is_array(value) && sum_array(value, &values)) &&
        !(json_is_object(value) && sum_object(value, &values)))
        return 0;
    put_histogram(writer, doc, &values);
    return METRIC_HISTOGRAM;
}

/* CloudWatch's units in UCUM, as OTLP writes them; others stay what they are. */
static mw_slice unit_of(mw_slice unit)
{
    static const struct {
        mw_slice cloudwatch, ucum;
    } units[] = {
        {MW_SLICE_INIT("None"), MW_SLICE_INIT("")},
        {MW_SLICE_INIT("Count"), MW_SLICE_INIT("1")},
        {MW_SLICE_INIT("Milliseconds"), MW_SLICE_INIT("ms")},
        {MW_SLICE_INIT("Seconds"), MW_SLICE_INIT("s")},
        {MW_SLICE_INIT("Microseconds"), MW_SLICE_INIT("us")},
        {MW_SLICE_INIT("Bytes"), MW_SLICE_INIT("By")},
        {MW_SLICE_INIT("Kilobytes"), MW_SLICE_INIT("kBy")},
        {MW_SLICE_INIT("Megabytes"), MW_SLICE_INIT("MBy")},
        {MW_SLICE_INIT("Gigabytes"), MW_SLICE_INIT("GBy")},
        {MW_SLICE_INIT("Bits"), MW_SLICE_INIT("bit")},
        {MW_SLICE_INIT("Percent"), MW_SLICE_INIT("%")},
        {MW_SLICE_INIT("Count/Second"), MW_SLICE_INIT("1/s")},
        {MW_SLICE_INIT("Bytes/Second"), MW_SLICE_INIT("By/s")},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (mw_slice_equal(unit, units[i].cloudwatch))
            return units[i].ucum;
    return unit.len <= MW_EMF_NAME_MAX ? unit : MW_SLICE_NONE;
}

/* ---- metrics -------------------------------------------------------------------------------- */

static void put_metric(mw_emf_writer *writer, document *doc, const json_t *definition)
{
    mw_slice name = text_of(json_object_get(definition, "Name"));
    mw_slice unit = text_of(json_object_get(definition, "Unit"));
    if (!is_name(name) || !is_new(doc, name))
        return;
    uint32_t kind = put_point(writer, doc, name, mw_slice_equal(unit, MW_SLICE("Count")));
    if (kind == 0)
        return;
    mw_buffer_clear(&writer->data);
    mw_wire_append_bytes(&writer->data, DATA_POINTS, mw_buffer_slice(&writer->point));
    if (kind != METRIC_GAUGE) {
        mw_wire_append_varint(&writer->data, MW_WIRE_TAG(DATA_TEMPORALITY, MW_WIRE_VARINT));
        mw_wire_append_varint(&writer->data, TEMPORALITY_DELTA);
    }
    mw_buffer_clear(&writer->metric);
    mw_wire_append_bytes(&writer->metric, METRIC_NAME, name);
    put_field(&writer->metric, METRIC_UNIT, unit_of(unit));
    mw_wire_append_bytes(&writer->metric, kind, mw_buffer_slice(&writer->data));
    if (writer->metrics.len + field_len(writer->metric.len) > writer->metrics.max)
        return;
    mw_wire_append_bytes(&writer->metrics, SCOPE_METRICS, mw_buffer_slice(&writer->metric));
    writer->points++;
}

static void put_directive(mw_emf_writer *writer, document *doc, const json_t *directive)
{
    const json_t *metrics = json_object_get(directive, "Metrics");
    size_t count = json_array_size(metrics);
    doc->namespace = text_of(json_object_get(directive, "Namespace"));
    if (doc->namespace.len > MW_EMF_NAME_MAX)
        return;
    read_dimensions(doc, json_object_get(directive, "Dimensions"));
    for (size_t i = 0; i < count && i < MW_EMF_METRICS_MAX; i++)
        put_metric(writer, doc, json_array_get(metrics, i));
}

/* 0 = the document has none that could be one. */
static uint64_t time_of(const json_t *aws, uint64_t record_ns)
{
    const json_t *stamp = json_object_get(aws, "Timestamp");
    uint64_t ms_ns = MW_NS_PER_S / 1000;
    double ms = json_is_number(stamp) ? json_number_value(stamp) : 0;
    if (!(ms >= 1 && ms < (double)(UINT64_MAX / (MW_NS_PER_S / 1000))))
        return 0;
    uint64_t time_ns = (uint64_t)ms * ms_ns;
    return record_ns / ms_ns == (uint64_t)ms ? record_ns : time_ns;
}

static bool out_of_memory(const mw_emf_writer *writer)
{
    const mw_buffer *const all[] = {&writer->request, &writer->metrics, &writer->document,
                                    &writer->metric,  &writer->data,    &writer->point,
                                    &writer->part};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i]->err == MW_E_NOMEM)
            return true;
    return false;
}

mw_err mw_emf_take(mw_emf_writer *writer, const mw_value *body, uint64_t time_ns)
{
    json_t *root = mw_emf_body_load(body, &writer->document);
    const json_t *aws = json_object_get(root, "_aws");
    const json_t *directives = json_object_get(aws, "CloudWatchMetrics");
    size_t count = json_array_size(directives);
    document doc;
    doc.root = root;
    doc.time_ns = time_of(aws, time_ns);
    doc.seen_count = 0;
    for (size_t i = 0; doc.time_ns && i < count && i < MW_EMF_DIRECTIVES_MAX; i++)
        put_directive(writer, &doc, json_array_get(directives, i));
    json_decref(root);
    return out_of_memory(writer) ? MW_E_NOMEM : MW_OK;
}

/* ---- the request ---------------------------------------------------------------------------- */

mw_err mw_emf_close_scope(mw_emf_writer *writer, const mw_store_context *resource,
                          const mw_store_context *scope)
{
    mw_buffer *out = &writer->request;
    mw_slice metrics = mw_buffer_slice(&writer->metrics);
    if (metrics.len == 0)
        return MW_OK;
    size_t below = field_len(scope->bytes.len) + metrics.len + field_len(scope->schema_url.len);
    size_t whole =
        field_len(resource->bytes.len) + field_len(below) + field_len(resource->schema_url.len);
    if (out->len + field_len(whole) <= out->max) {
        mw_wire_append_varint(out, MW_WIRE_TAG(REQUEST_RESOURCES, MW_WIRE_BYTES));
        mw_wire_append_varint(out, whole);
        put_field(out, RESOURCE_RESOURCE, resource->bytes);
        mw_wire_append_varint(out, MW_WIRE_TAG(RESOURCE_SCOPES, MW_WIRE_BYTES));
        mw_wire_append_varint(out, below);
        put_field(out, SCOPE_SCOPE, scope->bytes);
        mw_buffer_append_slice(out, metrics);
        put_field(out, ANY_SCHEMA_URL, scope->schema_url);
        put_field(out, ANY_SCHEMA_URL, resource->schema_url);
    }
    mw_buffer_clear(&writer->metrics);
    return out->err;
}
