/* The identity of a metric's series: one keyed 64-bit hash, never 0.
 *
 * H is XXH3 of 64 bits under the store's secret (mw_store_digest_key), so that nobody can make two
 * series that look like one. Numbers are hashed as 8 bytes, little-endian.
 *
 *     context  H(sum, n, H(schema_url))          a Resource, and a Scope
 *              sum = the sum over the message's n fields that are not zero or empty of
 *                    H(tag, bytes of length type ? H(bytes) : number)
 *     metric   H(context of the resource, context of the scope, H(name), H(unit), kind,
 *                temporality, monotonic)
 *     point    H(metric, sum, n)
 *              sum = the sum over the point's n attributes of H(bytes of the KeyValue)
 *
 * Sums are modulo 2^64 and do not depend on order: attributes of a point, a resource or a scope may
 * come in any. Zero and empty fields are left out because JSON writers put them there and protobuf
 * writers do not. Description and metadata are no part of a series. Pure; any thread.
 * Source: OpenTelemetry metrics data model, "Timeseries Model".
 */
#ifndef MW_COLLECTOR_SERIES_H
#define MW_COLLECTOR_SERIES_H

#include "lib/store/store.h"
#include "proto/scan.h"

/* `key`: MW_DIGEST_KEY_SIZE bytes. What was scanned only: broken bytes are a bug. */
uint64_t mw_series_of_context(const mw_store_context *context, const uint8_t *key);
uint64_t mw_series_of_metric(const mw_scan_metric *metric, uint64_t resource, uint64_t scope,
                             const uint8_t *key);
uint64_t mw_series_of_point(const mw_scan_point *point, uint64_t metric, const uint8_t *key);

#endif
