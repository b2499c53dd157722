/* The demo's story as OTLP/JSON. See demo.h. */
#include "cli/demo.h"
#include "cli/demo_otlp.h"
#include "lib/base/clock.h"

#define NS_PER_MS INT64_C(1000000)

/* Bounds of the tokens' histogram; one bucket more than these. */
static const double token_bounds[] = {100, 500, 1000};

void mw_demo_run_init(mw_demo_run *run, int64_t now_ns)
{
    uint8_t name[3];
    memset(run, 0, sizeof *run);
    mw_random_bytes(name, sizeof name);
    mw_hex_encode(name, sizeof name, run->name);
    mw_random_bytes(run->trace_ids, sizeof run->trace_ids);
    mw_random_bytes(run->span_ids, sizeof run->span_ids);
    for (size_t i = 0; i < MW_DEMO_TURNS; i++) {
        /* Never all zero. */
        run->trace_ids[i][0] |= 1;
        run->span_ids[i][0] |= 1;
    }
    run->now_ns = now_ns;
}

void mw_demo_session_id(const mw_demo_run *run, size_t session, char out[MW_CELL_SIZE])
{
    snprintf(out, MW_CELL_SIZE, "demo-%s-%s", run->name, mw_demo_sessions[session].suffix);
}

/* ---- values -------------------------------------------------------------------------------- */

/* What was said, in the form of the conventions: messages with parts, as JSON in a text. */
static void write_message(mw_json *json, mw_slice key, const char *role, const char *words)
{
    mw_buffer text;
    mw_json message;
    mw_buffer_init(&text, MW_MEM_BASE, 4096);
    mw_json_init(&message, &text);
    mw_json_array_begin(&message);
    mw_json_object_begin(&message);
    mw_json_kv(&message, "role", mw_slice_of(role));
    mw_json_key(&message, MW_SLICE("parts"));
    mw_json_array_begin(&message);
    mw_json_object_begin(&message);
    mw_json_kv(&message, "type", MW_SLICE("text"));
    mw_json_kv(&message, "content", mw_slice_of(words));
    mw_json_object_end(&message);
    mw_json_array_end(&message);
    mw_json_object_end(&message);
    mw_json_array_end(&message);
    mw_demo_attribute(json, key, "stringValue", mw_buffer_slice(&text));
    mw_buffer_fini(&text);
}

static void write_own(mw_json *json, const mw_demo_run *run, const mw_demo_turn *turn, mw_slice key,
                      mw_slice value)
{
    char session[MW_CELL_SIZE];
    mw_demo_session_id(run, turn->session, session);
    if (mw_slice_equal(value, MW_SLICE("$session")))
        mw_demo_attribute(json, key, "stringValue", mw_slice_of(session));
    else if (mw_slice_equal(value, MW_SLICE("$user")))
        mw_demo_attribute(json, key, "stringValue",
                          mw_slice_of(mw_demo_sessions[turn->session].user));
    else if (mw_slice_equal(value, MW_SLICE("$question")))
        write_message(json, key, "user", turn->question);
    else if (mw_slice_equal(value, MW_SLICE("$answer")))
        write_message(json, key, "assistant", turn->answer);
    else
        mw_demo_attribute(json, key, "stringValue", value);
}

/* "key=text" or "key:=number". */
static void write_pair(mw_json *json, const mw_demo_run *run, const mw_demo_turn *turn,
                       mw_slice pair)
{
    size_t equals = mw_slice_find_byte(pair, '=');
    mw_slice key = mw_slice_first(pair, equals), value = mw_slice_from(pair, equals + 1);
    if (mw_slice_ends(key, MW_SLICE(":")))
        mw_demo_attribute(json, mw_slice_first(key, key.len - 1), "intValue", value);
    else if (turn)
        write_own(json, run, turn, key, value);
    else
        mw_demo_attribute(json, key, "stringValue", value);
}

static void write_pairs(mw_json *json, const mw_demo_run *run, const mw_demo_turn *turn,
                        const char *attributes)
{
    mw_slice rest = mw_slice_of(attributes ? attributes : ""), pair;
    while (mw_slice_split(&rest, ';', &pair))
        write_pair(json, run, turn, pair);
}

static void kv_attributes(mw_json *json, const mw_demo_run *run, const mw_demo_turn *turn,
                          const char *attributes)
{
    mw_json_key(json, MW_SLICE("attributes"));
    mw_json_array_begin(json);
    write_pairs(json, run, turn, attributes);
    mw_json_array_end(json);
}

static void begin_request(mw_json *json, mw_buffer *out, size_t service, const char *const names[3])
{
    const mw_demo_service *about = &mw_demo_services[service];
    mw_demo_request_begin(json, out, names);
    mw_demo_attribute(json, MW_SLICE("service.name"), "stringValue", mw_slice_of(about->name));
    write_pairs(json, NULL, NULL, about->resource);
    mw_demo_scope_begin(json, names);
}

/* ---- spans --------------------------------------------------------------------------------- */

static void kv_span_id(mw_json *json, const mw_demo_run *run, size_t turn, const char *key,
                       uint8_t number)
{
    mw_demo_kv_span_id(json, key, run->span_ids[turn], number);
}

static int64_t time_of(const mw_demo_run *run, size_t turn, int32_t after_ms)
{
    return run->now_ns - mw_demo_turns[turn].before_s * MW_NS_PER_S + after_ms * NS_PER_MS;
}

static void write_error(mw_json *json, const char *error, int64_t at_ns)
{
    mw_demo_list_begin(json, "events");
    mw_json_object_begin(json);
    mw_demo_kv_i64(json, "timeUnixNano", at_ns);
    mw_json_kv(json, "name", MW_SLICE("exception"));
    mw_demo_list_begin(json, "attributes");
    mw_demo_attribute(json, MW_SLICE("exception.message"), "stringValue", mw_slice_of(error));
    mw_json_array_end(json);
    mw_json_object_end(json);
    mw_json_array_end(json);
    mw_json_key(json, MW_SLICE("status"));
    mw_json_object_begin(json);
    mw_json_kv_i64(json, "code", 2);
    mw_json_kv(json, "message", mw_slice_of(error));
    mw_json_object_end(json);
}

static uint64_t number_of(const char *attributes, const char *key)
{
    const char *at = strstr(attributes, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* The agent's metric is of the same calls as its spans. */
static void count_tokens(mw_demo_run *run, const mw_demo_span *span)
{
    static const char *const keys[] = {"gen_ai.usage.input_tokens:=",
                                       "gen_ai.usage.output_tokens:="};
    if (span->service != MW_DEMO_AGENT_SERVICE || !strstr(span->attributes, keys[1]))
        return;
    run->calls++;
    for (size_t i = 0; i < 2; i++) {
        uint64_t tokens = number_of(span->attributes, keys[i]);
        size_t bucket = 0;
        while (bucket < sizeof token_bounds / sizeof token_bounds[0] &&
               (double)tokens > token_bounds[bucket])
            bucket++;
        run->tokens[i] += tokens;
        run->buckets[i][bucket]++;
    }
}

static void write_span(mw_demo_run *run, mw_json *json, size_t turn, const mw_demo_span *span)
{
    int64_t start = time_of(run, turn, span->after_ms);
    int64_t end = time_of(run, turn, span->after_ms + span->took_ms);
    mw_json_object_begin(json);
    mw_demo_kv_id(json, "traceId", run->trace_ids[turn], MW_TRACE_ID_SIZE);
    kv_span_id(json, run, turn, "spanId", span->id);
    if (span->parent)
        kv_span_id(json, run, turn, "parentSpanId", span->parent);
    mw_json_kv(json, "name", mw_slice_of(span->name));
    mw_json_kv_i64(json, "kind", span->kind);
    mw_demo_kv_i64(json, "startTimeUnixNano", start);
    mw_demo_kv_i64(json, "endTimeUnixNano", end);
    kv_attributes(json, run, &mw_demo_turns[turn], span->attributes);
    if (span->error)
        write_error(json, span->error, end);
    mw_json_object_end(json);
    count_tokens(run, span);
    run->spans++;
}

void mw_demo_write_spans(mw_demo_run *run, size_t service, mw_buffer *out)
{
    static const char *const names[] = {"resourceSpans", "scopeSpans", "spans"};
    mw_json json;
    begin_request(&json, out, service, names);
    for (size_t turn = 0; turn < MW_DEMO_TURNS; turn++)
        for (const mw_demo_span *span = mw_demo_shapes[mw_demo_turns[turn].shape].spans; span->id;
             span++)
            if (span->service == service)
                write_span(run, &json, turn, span);
    mw_demo_request_end(&json);
}

/* ---- log records --------------------------------------------------------------------------- */

static size_t service_of(const mw_demo_shape *shape, uint8_t id)
{
    const mw_demo_span *span = shape->spans;
    while (span->id && span->id != id)
        span++;
    MW_ASSERT(span->id);
    return span->service;
}

static void write_log(mw_demo_run *run, mw_json *json, size_t turn, const mw_demo_log *log)
{
    mw_json_object_begin(json);
    mw_demo_kv_i64(json, "timeUnixNano", time_of(run, turn, log->after_ms));
    mw_json_kv_i64(json, "severityNumber", log->severity);
    mw_json_key(json, MW_SLICE("body"));
    mw_json_object_begin(json);
    mw_json_kv(json, "stringValue", mw_slice_of(log->body));
    mw_json_object_end(json);
    kv_attributes(json, run, &mw_demo_turns[turn], log->attributes);
    mw_demo_kv_id(json, "traceId", run->trace_ids[turn], MW_TRACE_ID_SIZE);
    kv_span_id(json, run, turn, "spanId", log->span);
    if (log->event)
        mw_json_kv(json, "eventName", mw_slice_of(log->event));
    mw_json_object_end(json);
    run->logs++;
}

void mw_demo_write_logs(mw_demo_run *run, size_t service, mw_buffer *out)
{
    static const char *const names[] = {"resourceLogs", "scopeLogs", "logRecords"};
    mw_json json;
    begin_request(&json, out, service, names);
    for (size_t turn = 0; turn < MW_DEMO_TURNS; turn++) {
        const mw_demo_shape *shape = &mw_demo_shapes[mw_demo_turns[turn].shape];
        for (const mw_demo_log *log = shape->logs; log->body; log++)
            if (service_of(shape, log->span) == service)
                write_log(run, &json, turn, log);
    }
    mw_demo_request_end(&json);
}

/* ---- points -------------------------------------------------------------------------------- */

static void begin_metric(mw_json *json, const char *name, const char *unit, const char *description,
                         const char *data)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "name", mw_slice_of(name));
    mw_json_kv(json, "description", mw_slice_of(description));
    mw_json_kv(json, "unit", mw_slice_of(unit));
    mw_json_key(json, mw_slice_of(data));
    mw_json_object_begin(json);
    mw_demo_list_begin(json, "dataPoints");
}

/* cumulative = 2; 0 = the data has no temporality. */
static void end_metric(mw_json *json, bool cumulative, bool monotonic)
{
    mw_json_array_end(json);
    if (cumulative)
        mw_json_kv_i64(json, "aggregationTemporality", 2);
    if (monotonic)
        mw_json_kv_bool(json, "isMonotonic", true);
    mw_json_object_end(json);
    mw_json_object_end(json);
}

static void write_series(mw_demo_run *run, mw_json *json, const mw_demo_series *series)
{
    int64_t first = run->now_ns - (int64_t)series->count * series->every_s * MW_NS_PER_S;
    begin_metric(json, series->name, series->unit, series->description,
                 series->is_sum ? "sum" : "gauge");
    for (size_t i = 0; i < series->count; i++) {
        int64_t before = (int64_t)(series->count - 1 - i) * series->every_s;
        mw_json_object_begin(json);
        if (series->is_sum)
            mw_demo_kv_i64(json, "startTimeUnixNano", first);
        mw_demo_kv_i64(json, "timeUnixNano", run->now_ns - before * MW_NS_PER_S);
        mw_demo_kv_i64(json, "asInt", series->values[i]);
        mw_json_object_end(json);
        run->points++;
    }
    end_metric(json, series->is_sum, series->is_sum);
}

static void write_counts(mw_json *json, const uint64_t *counts, size_t count)
{
    mw_demo_list_begin(json, "bucketCounts");
    for (size_t i = 0; i < count; i++) {
        char text[24];
        snprintf(text, sizeof text, "%llu", (unsigned long long)counts[i]);
        mw_json_string(json, mw_slice_of(text));
    }
    mw_json_array_end(json);
    mw_demo_list_begin(json, "explicitBounds");
    for (size_t i = 0; i + 1 < count; i++)
        mw_json_double(json, token_bounds[i]);
    mw_json_array_end(json);
}

static void write_tokens(mw_demo_run *run, mw_json *json)
{
    static const char *const types[] = {"gen_ai.token.type=input;gen_ai.request.model=model-m",
                                        "gen_ai.token.type=output;gen_ai.request.model=model-m"};
    const size_t buckets = sizeof token_bounds / sizeof token_bounds[0] + 1;
    begin_metric(json, "gen_ai.client.token.usage", "{token}", "Tokens of calls to models",
                 "histogram");
    for (size_t i = 0; i < 2; i++) {
        mw_json_object_begin(json);
        mw_demo_kv_i64(json, "startTimeUnixNano", time_of(run, 0, 0));
        mw_demo_kv_i64(json, "timeUnixNano", run->now_ns);
        mw_demo_kv_i64(json, "count", (int64_t)run->calls);
        mw_json_kv_double(json, "sum", (double)run->tokens[i]);
        write_counts(json, run->buckets[i], buckets);
        kv_attributes(json, run, NULL, types[i]);
        mw_json_object_end(json);
        run->points++;
    }
    end_metric(json, true, false);
}

void mw_demo_write_points(mw_demo_run *run, size_t service, mw_buffer *out)
{
    static const char *const names[] = {"resourceMetrics", "scopeMetrics", "metrics"};
    mw_json json;
    begin_request(&json, out, service, names);
    for (size_t i = 0; i < MW_DEMO_SERIES; i++)
        if (mw_demo_series_list[i].service == service)
            write_series(run, &json, &mw_demo_series_list[i]);
    if (service == MW_DEMO_AGENT_SERVICE)
        write_tokens(run, &json);
    mw_demo_request_end(&json);
}
