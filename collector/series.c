/* The identity of a metric's series. The recipe is in series.h. */
#include <endian.h>
#include <xxhash.h>

#include "collector/series.h"
#include "proto/wire.h"

/* The field "attributes" of each kind's data point. */
static const uint32_t attribute_numbers[MW_METRIC_KINDS] = {
    [MW_METRIC_GAUGE] = 7,     [MW_METRIC_SUM] = 7,
    [MW_METRIC_HISTOGRAM] = 9, [MW_METRIC_EXPONENTIAL_HISTOGRAM] = 1,
    [MW_METRIC_SUMMARY] = 7,
};

static uint64_t hash_bytes(mw_slice bytes, const uint8_t *key)
{
    return XXH3_64bits_withSecret(bytes.data, bytes.len, key, MW_DIGEST_KEY_SIZE);
}

#define NUMBERS_MAX 7

/* Never 0, so that callers can tell "not computed". */
static uint64_t hash_numbers(const uint64_t *numbers, size_t count, const uint8_t *key)
{
    uint64_t ordered[NUMBERS_MAX];
    MW_ASSERT(count <= NUMBERS_MAX);
    for (size_t i = 0; i < count; i++)
        ordered[i] = htole64(numbers[i]);
    uint64_t hash =
        XXH3_64bits_withSecret(ordered, count * sizeof *ordered, key, MW_DIGEST_KEY_SIZE);
    return hash ? hash : 1;
}

uint64_t mw_series_of_context(const mw_store_context *context, const uint8_t *key)
{
    uint64_t sum = 0, count = 0;
    const uint8_t *end = mw_wire_end(context->bytes);
    for (const uint8_t *at = mw_wire_begin(context->bytes); at < end;) {
        mw_wire_field field;
        at = mw_wire_next(at, end, &field);
        MW_ASSERT(at); /* the scan has been here */
        bool bytes = (field.tag & 7) == MW_WIRE_BYTES;
        if (bytes ? field.bytes.len == 0 : field.number == 0)
            continue;
        const uint64_t part[] = {field.tag, bytes ? hash_bytes(field.bytes, key) : field.number};
        sum += hash_numbers(part, 2, key);
        count++;
    }
    const uint64_t whole[] = {sum, count, hash_bytes(context->schema_url, key)};
    return hash_numbers(whole, 3, key);
}

uint64_t mw_series_of_metric(const mw_scan_metric *metric, uint64_t resource, uint64_t scope,
                             const uint8_t *key)
{
    const uint64_t parts[] = {resource,
                              scope,
                              hash_bytes(metric->name, key),
                              hash_bytes(metric->unit, key),
                              metric->kind,
                              metric->temporality,
                              metric->monotonic};
    return hash_numbers(parts, sizeof parts / sizeof parts[0], key);
}

uint64_t mw_series_of_point(const mw_scan_point *point, uint64_t metric, const uint8_t *key)
{
    uint32_t tag = MW_WIRE_TAG(attribute_numbers[point->kind], MW_WIRE_BYTES);
    uint64_t sum = 0;
    const uint8_t *at = mw_wire_begin(point->bytes), *end = mw_wire_end(point->bytes);
    for (uint32_t left = point->attribute_count; left > 0;) {
        mw_wire_field field = {0};
        at = mw_wire_next(at, end, &field);
        MW_ASSERT(at); /* the scan has been here, and counted */
        if (field.tag != tag)
            continue;
        sum += hash_bytes(field.bytes, key);
        left--;
    }
    const uint64_t parts[] = {metric, sum, point->attribute_count};
    return hash_numbers(parts, 3, key);
}
