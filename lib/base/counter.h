/* The counters behind /metrics and `midwatch status`: one table, one relaxed atomic each.
 *
 * A row is NAME, Prometheus name, label (empty for none), help. Rows of one metric stand
 * together. Names end in _total: all of these only grow; gauges are read where they live.
 */
#ifndef MW_BASE_COUNTER_H
#define MW_BASE_COUNTER_H

#include <stdint.h>

#define MW_COUNTERS(X)                                                                             \
    X(CONNECTIONS, "midwatch_connections_total", "", "Connections accepted")                       \
    X(REQUESTS_HTTP1, "midwatch_requests_total", "protocol=\"http/1.1\"", "Requests received")     \
    X(REQUESTS_HTTP2, "midwatch_requests_total", "protocol=\"h2\"", "Requests received")           \
    X(REQUESTS_GRPC, "midwatch_requests_total", "protocol=\"grpc\"", "Requests received")          \
    X(NET_BYTES_IN, "midwatch_network_received_bytes_total", "", "Bytes read from sockets")        \
    X(NET_BYTES_OUT, "midwatch_network_sent_bytes_total", "", "Bytes written to sockets")          \
    X(NET_REFUSED_SYNTAX, "midwatch_net_refused_total", "reason=\"syntax\"",                       \
      "Requests refused before a handler saw them")                                                \
    X(NET_REFUSED_SIZE, "midwatch_net_refused_total", "reason=\"size\"", "")                       \
    X(NET_REFUSED_TIMEOUT, "midwatch_net_refused_total", "reason=\"timeout\"", "")                 \
    X(NET_REFUSED_MEMORY, "midwatch_net_refused_total", "reason=\"memory\"", "")                   \
    X(NET_REFUSED_ROUTE, "midwatch_net_refused_total", "reason=\"route\"", "")                     \
    X(NET_REFUSED_ACCESS, "midwatch_net_refused_total", "reason=\"access\"", "")                   \
    X(NET_REFUSED_ENCODING, "midwatch_net_refused_total", "reason=\"encoding\"", "")               \
    X(NET_REFUSED_TLS, "midwatch_net_refused_total", "reason=\"tls_on_clear_text\"", "")           \
    X(NET_REFUSED_HANDSHAKE, "midwatch_net_refused_total", "reason=\"tls_handshake\"", "")         \
    X(NET_WAITED_BODY, "midwatch_net_waited_total", "for=\"memory\"",                              \
      "Requests that waited before they were taken or refused")                                    \
    X(NET_WAITED_HANDLER, "midwatch_net_waited_total", "for=\"handler\"", "")                      \
    X(NET_SHED, "midwatch_net_shed_total", "",                                                     \
      "Stalled bodies and unread answers given up while others waited for memory")                 \
    X(SPANS_ACCEPTED, "midwatch_items_accepted_total", "signal=\"traces\"",                        \
      "Items acknowledged as durable")                                                             \
    X(POINTS_ACCEPTED, "midwatch_items_accepted_total", "signal=\"metrics\"", "")                  \
    X(POINTS_EMF, "midwatch_items_accepted_total", "signal=\"metrics\",from=\"emf\"", "")          \
    X(LOGS_ACCEPTED, "midwatch_items_accepted_total", "signal=\"logs\"", "")                       \
    X(SPANS_REFUSED_ID, "midwatch_items_refused_total", "signal=\"traces\",reason=\"invalid_id\"", \
      "Items refused, by reason")                                                                  \
    X(SPANS_REFUSED_DEPTH, "midwatch_items_refused_total", "signal=\"traces\",reason=\"depth\"",   \
      "")                                                                                          \
    X(POINTS_REFUSED_NAME, "midwatch_items_refused_total", "signal=\"metrics\",reason=\"name\"",   \
      "")                                                                                          \
    X(POINTS_REFUSED_KIND, "midwatch_items_refused_total", "signal=\"metrics\",reason=\"kind\"",   \
      "")                                                                                          \
    X(POINTS_REFUSED_TEMPORALITY, "midwatch_items_refused_total",                                  \
      "signal=\"metrics\",reason=\"temporality\"", "")                                             \
    X(POINTS_REFUSED_TIME, "midwatch_items_refused_total", "signal=\"metrics\",reason=\"time\"",   \
      "")                                                                                          \
    X(POINTS_REFUSED_VALUE, "midwatch_items_refused_total", "signal=\"metrics\",reason=\"value\"", \
      "")                                                                                          \
    X(POINTS_REFUSED_BUCKETS, "midwatch_items_refused_total",                                      \
      "signal=\"metrics\",reason=\"buckets\"", "")                                                 \
    X(POINTS_REFUSED_BOUNDS, "midwatch_items_refused_total",                                       \
      "signal=\"metrics\",reason=\"bounds\"", "")                                                  \
    X(POINTS_REFUSED_COUNT, "midwatch_items_refused_total", "signal=\"metrics\",reason=\"count\"", \
      "")                                                                                          \
    X(POINTS_REFUSED_SCALE, "midwatch_items_refused_total", "signal=\"metrics\",reason=\"scale\"", \
      "")                                                                                          \
    X(POINTS_REFUSED_QUANTILE, "midwatch_items_refused_total",                                     \
      "signal=\"metrics\",reason=\"quantile\"", "")                                                \
    X(POINTS_REFUSED_DEPTH, "midwatch_items_refused_total", "signal=\"metrics\",reason=\"depth\"", \
      "")                                                                                          \
    X(LOGS_REFUSED_DEPTH, "midwatch_items_refused_total", "signal=\"logs\",reason=\"depth\"", "")  \
    X(SPANS_BAD_UTF8, "midwatch_items_bad_utf8_total", "signal=\"traces\"",                        \
      "Items kept with text that is not UTF-8")                                                    \
    X(POINTS_BAD_UTF8, "midwatch_items_bad_utf8_total", "signal=\"metrics\"", "")                  \
    X(LOGS_BAD_UTF8, "midwatch_items_bad_utf8_total", "signal=\"logs\"", "")                       \
    X(SPANS_ODD_TIME, "midwatch_items_odd_time_total", "signal=\"traces\"",                        \
      "Items kept with a time that can hardly be meant")                                           \
    X(POINTS_ODD_TIME, "midwatch_items_odd_time_total", "signal=\"metrics\"", "")                  \
    X(LOGS_ODD_TIME, "midwatch_items_odd_time_total", "signal=\"logs\"", "")                       \
    X(EXPORT_HEADERS_IGNORED, "midwatch_export_headers_ignored_total", "",                         \
      "x-aws-* request headers that were no usable text")                                          \
    X(EXPORTS_REFUSED_MALFORMED, "midwatch_exports_refused_total", "reason=\"malformed\"",         \
      "Whole export requests refused")                                                             \
    X(EXPORTS_REFUSED_SPACE, "midwatch_exports_refused_total", "reason=\"space\"", "")             \
    X(EXPORTS_REFUSED_BUDGET, "midwatch_exports_refused_total", "reason=\"decode_budget\"", "")    \
    X(EXPORTS_REFUSED_OVERLOAD, "midwatch_exports_refused_total", "reason=\"overload\"", "")       \
    X(EXPORTS_REFUSED_STORAGE, "midwatch_exports_refused_total", "reason=\"storage\"", "")         \
    X(EXPORTS_RETRIED, "midwatch_exports_retried_total", "",                                       \
      "Export requests acknowledged again and not stored again")                                   \
    X(STORE_BYTES, "midwatch_store_written_bytes_total", "", "Bytes appended to segments")         \
    X(STORE_SYNCS, "midwatch_store_syncs_total", "", "fdatasync calls on segments")                \
    X(STORE_FAILURES, "midwatch_store_write_failures_total", "",                                   \
      "Failed writes or syncs of segments")                                                        \
    X(STORE_DAMAGED, "midwatch_store_damaged_blocks_total", "",                                    \
      "Stored blocks found damaged, at start or by a question, and left out of answers")           \
    X(ALARMS_RECEIVED, "midwatch_alarms_received_total", "", "Alarms committed")                   \
    X(ALARM_EVENTS, "midwatch_alarm_events_total", "", "Updates and closings committed")           \
    X(ALARMS_REPLAYED, "midwatch_webhook_refused_total", "reason=\"replay\"",                      \
      "Deliveries not processed")                                                                  \
    X(WEBHOOK_UNAUTHORIZED, "midwatch_webhook_refused_total", "reason=\"unauthorized\"", "")       \
    X(WEBHOOK_INVALID, "midwatch_webhook_refused_total", "reason=\"invalid\"", "")                 \
    X(WEBHOOK_ADDRESS, "midwatch_webhook_refused_total", "reason=\"address\"", "")                 \
    X(WEBHOOK_TOO_OFTEN, "midwatch_webhook_refused_total", "reason=\"too_often\"", "")             \
    X(WEBHOOK_RATE_LIMIT, "midwatch_webhook_refused_total", "reason=\"rate_limit\"", "")           \
    X(ALARMS_REPEATED, "midwatch_alarms_repeated_total", "",                                       \
      "Events that said again what was known, of sources that repeat themselves")                  \
    X(ALARMS_LEFT_OUT, "midwatch_alarms_left_out_total", "",                                       \
      "Alarms that a sender says it left out of its deliveries")                                   \
    X(TOKEN_SWITCHED_OFF, "midwatch_token_refused_total", "reason=\"switched_off\"",               \
      "Requests whose token was refused")                                                          \
    X(TOKEN_MALFORMED, "midwatch_token_refused_total", "reason=\"malformed\"", "")                 \
    X(TOKEN_BAD_CHECKSUM, "midwatch_token_refused_total", "reason=\"bad_checksum\"", "")           \
    X(TOKEN_UNKNOWN, "midwatch_token_refused_total", "reason=\"unknown\"", "")                     \
    X(TOKEN_REVOKED, "midwatch_token_refused_total", "reason=\"revoked\"", "")                     \
    X(TOKEN_EXPIRED, "midwatch_token_refused_total", "reason=\"expired\"", "")                     \
    X(TOKEN_FOREIGN_ADDRESS, "midwatch_token_refused_total", "reason=\"foreign_address\"", "")     \
    X(TOKEN_LACKS_SCOPE, "midwatch_token_refused_total", "reason=\"lacks_scope\"", "")             \
    X(TOKEN_TOO_OFTEN, "midwatch_token_refused_total", "reason=\"too_often\"", "")                 \
    X(TOKEN_UNAVAILABLE, "midwatch_token_refused_total", "reason=\"unavailable\"", "")             \
    X(DECISIONS_PROCEED, "midwatch_decisions_total", "verdict=\"PROCEED\"", "Verdicts committed")  \
    X(DECISIONS_LINKED, "midwatch_decisions_total", "verdict=\"LINKED\"", "")                      \
    X(DECISIONS_SKIPPED, "midwatch_decisions_total", "verdict=\"SKIPPED\"", "")                    \
    X(INVESTIGATIONS_COMPLETED, "midwatch_investigations_total", "status=\"COMPLETED\"",           \
      "Investigation runs ended")                                                                  \
    X(INVESTIGATIONS_FAILED, "midwatch_investigations_total", "status=\"FAILED\"", "")

typedef enum mw_counter {
#define MW_COUNTER_ENUM(name, metric, label, help) MW_COUNT_##name,
    MW_COUNTERS(MW_COUNTER_ENUM)
#undef MW_COUNTER_ENUM
        MW_COUNTER_TABLE_SIZE
} mw_counter;

typedef struct mw_counter_row {
    const char *metric;
    const char *label;
    const char *help;
} mw_counter_row;

void mw_count(mw_counter counter, uint64_t n);
uint64_t mw_counter_value(mw_counter counter);
const mw_counter_row *mw_counter_describe(mw_counter counter);

#endif
