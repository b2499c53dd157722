/* The load's request: 512 items below two resources.
 *
 * A template is encoded once; each send copies it and rewrites ids, times and session ids in place
 * (patches), so that every item is unique and recent and making load costs next to nothing. A run
 * takes many templates in turn, each with other attribute values: one alone would repeat itself
 * with every request, and pack better than anything real.
 *
 *   traces   spans of about 742 bytes, 16 to a trace: an agent with three event-loop cycles, each
 *            with a model call, a tool call and the HTTP calls below them
 *   mixed    such spans with many agents, models, tools, users and durations: for questions, not
 *            for what a span costs
 *   callees  six SERVER spans for each trace of such a request, of two other services: the other
 *            side of its HTTP calls, for edges between services that come in different requests
 *   logs     records of about 520 bytes, seven attributes, in the context of such spans
 *   metrics  data points of about 380 bytes, half of them in histograms of 15 bounds; each its own
 *            series, the same in every request
 *
 * All memory is the caller's; one thread. Included by load_client.h only.
 */
#ifndef MW_TESTS_BENCH_LOAD_BODY_H
#define MW_TESTS_BENCH_LOAD_BODY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOAD_SPANS_PER_TRACE 16u
#define LOAD_CALLEES_PER_TRACE 6u
#define LOAD_TRACES_PER_SESSION 4u
#define LOAD_SESSION_TEXT 21 /* "sess-" and 16 hex digits */
#define LOAD_RESOURCES 2u

typedef struct load_bytes {
    uint8_t *data;
    size_t len, capacity;
} load_bytes;

typedef enum load_signal {
    LOAD_TRACES,
    LOAD_METRICS,
    LOAD_LOGS,
    LOAD_CALLEES,
    LOAD_MIXED
} load_signal;

/* Where the changing parts of one item are, as offsets of the body; 0 = absent. A record's times
 * are `start` and `end`, a point's start and time likewise. */
typedef struct load_patch {
    size_t trace_id, span_id, parent_id, start, end, event, session;
    unsigned trace;  /* of the request */
    unsigned index;  /* of the span (or the record's span) in its trace */
    unsigned parent; /* index of the parent; 0 for the root's children, and unused for it */
} load_patch;

typedef struct load_template {
    load_bytes body;
    load_patch *patches;
    unsigned spans;
    bool mixed;
} load_template;

/* ---- randomness (splitmix64: fast, and reproducible from the seed) ------------------------ */

static uint64_t load_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* ---- protobuf encoding -------------------------------------------------------------------- */

static void load_put(load_bytes *out, const void *data, size_t len)
{
    if (out->len + len > out->capacity) {
        out->capacity = (out->len + len) * 2 + 256;
        out->data = realloc(out->data, out->capacity);
        if (!out->data)
            abort();
    }
    if (len > 0)
        memcpy(out->data + out->len, data, len);
    out->len += len;
}

static void load_varint(load_bytes *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (uint8_t)(value | 0x80);
    bytes[n++] = (uint8_t)value;
    load_put(out, bytes, n);
}

static void load_len_field(load_bytes *out, unsigned field, const void *data, size_t len)
{
    load_varint(out, (uint64_t)field << 3 | 2);
    load_varint(out, len);
    load_put(out, data, len);
}

static void load_text_field(load_bytes *out, unsigned field, const char *text)
{
    load_len_field(out, field, text, strlen(text));
}

static void load_varint_field(load_bytes *out, unsigned field, uint64_t value)
{
    load_varint(out, (uint64_t)field << 3);
    load_varint(out, value);
}

/* Eight bytes to be patched; returns where they are. */
static size_t load_fixed64_field(load_bytes *out, unsigned field)
{
    static const uint8_t zero[8];
    load_varint(out, (uint64_t)field << 3 | 1);
    load_put(out, zero, sizeof zero);
    return out->len - sizeof zero;
}

static void load_attribute(load_bytes *out, unsigned field, const char *key, const char *text,
                           int64_t number)
{
    load_bytes value = {0}, pair = {0};
    if (text)
        load_text_field(&value, 1, text);
    else
        load_varint_field(&value, 3, (uint64_t)number);
    load_text_field(&pair, 1, key);
    load_len_field(&pair, 2, value.data, value.len);
    load_len_field(out, field, pair.data, pair.len);
    free(value.data);
    free(pair.data);
}

/* ---- one span ----------------------------------------------------------------------------- */

typedef struct load_role {
    const char *name, *operation;
    unsigned kind;
} load_role;

static const load_role load_roles[] = {
    {"invoke_agent support", "invoke_agent", 1},
    {"execute_event_loop_cycle", NULL, 1},
    {"chat model-large-1", "chat", 3},
    {"POST model.example", NULL, 3},
    {"execute_tool search_orders", "execute_tool", 1},
    {"GET orders.example", NULL, 3},
};

/* index 0 is the agent; then three times: cycle, chat, its HTTP call, tool, its HTTP call. */
static unsigned load_role_of(unsigned index)
{
    return index == 0 ? 0 : (index - 1) % 5 + 1;
}

static unsigned load_parent_of(unsigned index)
{
    unsigned cycle = (index - 1) / 5 * 5 + 1;
    switch (load_role_of(index)) {
    case 1: return 0;
    case 3:
    case 5: return index - 1;
    default: return cycle;
    }
}

static void load_span_attributes(load_bytes *out, unsigned role, uint64_t random)
{
    static const char *const words[] = {"refund",   "invoice", "parcel", "address",
                                        "late",     "order",   "status", "voucher",
                                        "customer", "return",  "policy", "east"};
    char text[320];
    size_t used = 0;
    for (int i = 0; i < 27; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s ",
                                 words[load_mix(random + (uint64_t)i) % 12]);
    load_attribute(out, 9, "gen_ai.provider.name", "example.provider", 0);
    load_attribute(out, 9, "gen_ai.agent.name", "support", 0);
    load_attribute(out, 9, "app.note", text, 0);
    load_attribute(out, 9, "app.customer.tier", random % 3 ? "standard" : "gold", 0);
    load_attribute(out, 9, "app.channel", random % 4 ? "web" : "phone", 0);
    load_attribute(out, 9, "app.attempt", NULL, (int64_t)(random % 4));
    load_attribute(out, 9, "event_loop.cycle_id", words[random % 12], 0);
    load_attribute(out, 9, "thread.id", NULL, (int64_t)(random % 64));
    load_attribute(out, 9, "thread.name", "worker-7", 0);
    load_attribute(out, 9, "code.function.name", "handle_request", 0);
    load_attribute(out, 9, "code.line.number", NULL, (int64_t)(random % 900));
    if (load_roles[role].operation)
        load_attribute(out, 9, "gen_ai.operation.name", load_roles[role].operation, 0);
    if (role == 2) {
        load_attribute(out, 9, "gen_ai.request.model", "model-large-1", 0);
        load_attribute(out, 9, "gen_ai.usage.input_tokens", NULL, (int64_t)(random % 4000));
        load_attribute(out, 9, "gen_ai.usage.output_tokens", NULL, (int64_t)(random % 700));
    } else if (role == 4) {
        load_attribute(out, 9, "gen_ai.tool.name", "search_orders", 0);
        load_attribute(out, 9, "gen_ai.tool.call.id", "call_4f1c2a", 0);
    } else if (role == 3 || role == 5) {
        load_attribute(out, 9, "http.request.method", role == 3 ? "POST" : "GET", 0);
        load_attribute(out, 9, "server.address", role == 3 ? "model.example" : "orders.example", 0);
        load_attribute(out, 9, "server.port", NULL, 443);
        load_attribute(out, 9, "http.response.status_code", NULL, random % 50 ? 200 : 503);
        load_attribute(out, 9, "url.path", "/v1/items/7431/lines", 0);
    }
}

/* What makes mixed spans differ, in place of what all others have; tools are named by an
 * attribute alone. */
static void load_mixed_attributes(load_bytes *out, unsigned role, uint64_t random)
{
    char text[64];
    snprintf(text, sizeof text, "agent-%u", (unsigned)(random % 20));
    load_attribute(out, 9, "gen_ai.agent.name", text, 0);
    snprintf(text, sizeof text, "user-%u", (unsigned)(random % 1000));
    load_attribute(out, 9, "user.id", text, 0);
    load_attribute(out, 9, "app.customer.tier", random % 3 ? "standard" : "gold", 0);
    load_attribute(out, 9, "app.attempt", NULL, (int64_t)(random % 4));
    load_attribute(out, 9, "thread.name", "worker-7", 0);
    load_attribute(out, 9, "code.function.name", "handle_request", 0);
    if (load_roles[role].operation)
        load_attribute(out, 9, "gen_ai.operation.name", load_roles[role].operation, 0);
    if (role == 2) {
        snprintf(text, sizeof text, "model-%u", (unsigned)(random % 8));
        load_attribute(out, 9, "gen_ai.request.model", text, 0);
        load_attribute(out, 9, "gen_ai.usage.input_tokens", NULL, (int64_t)(random % 4000));
        load_attribute(out, 9, "gen_ai.usage.output_tokens", NULL, (int64_t)(random % 700));
    } else if (role == 4) {
        snprintf(text, sizeof text, "tool-%u", (unsigned)(random % 40));
        load_attribute(out, 9, "gen_ai.tool.name", text, 0);
    }
}

/* The calls of the trace: the HTTP client spans, three cycles of two. */
static unsigned load_call_of(unsigned callee)
{
    return callee / 2 * 5 + (callee % 2 ? 5 : 3);
}

/* What was encoded at 0 now lies at `base`. */
static void load_move(load_patch *patch, size_t base)
{
    size_t *offsets[] = {&patch->trace_id, &patch->span_id, &patch->parent_id, &patch->start,
                         &patch->end,      &patch->event,   &patch->session};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        if (*offsets[i])
            *offsets[i] += base;
}

/* Encodes the span at the end of `out`; the patch's offsets count from the start of `out`. */
static void load_span(load_bytes *out, load_patch *patch, unsigned index, uint64_t random,
                      bool mixed)
{
    static const uint8_t zero[16];
    static const char session[] = "sess-0000000000000000";
    unsigned role = load_role_of(index);
    load_bytes span = {0};
    *patch = (load_patch){.index = index, .parent = index ? load_parent_of(index) : 0};
    load_len_field(&span, 1, zero, 16);
    patch->trace_id = span.len - 16;
    load_len_field(&span, 2, zero, 8);
    patch->span_id = span.len - 8;
    if (index > 0) {
        load_len_field(&span, 4, zero, 8);
        patch->parent_id = span.len - 8;
    }
    load_text_field(&span, 5, mixed && role == 4 ? "run tool" : load_roles[role].name);
    load_varint_field(&span, 6, load_roles[role].kind);
    patch->start = load_fixed64_field(&span, 7);
    patch->end = load_fixed64_field(&span, 8);
    load_attribute(&span, 9, "session.id", session, 0);
    patch->session = span.len - LOAD_SESSION_TEXT;
    if (mixed)
        load_mixed_attributes(&span, role, random);
    else
        load_span_attributes(&span, role, random);
    if (random % 5 == 0) {
        load_bytes event = {0};
        size_t at = load_fixed64_field(&event, 1);
        load_text_field(&event, 2, "gen_ai.choice");
        load_attribute(&event, 3, "finish_reason", "stop", 0);
        load_len_field(&span, 11, event.data, event.len);
        patch->event = span.len - event.len + at;
        free(event.data);
    }
    if (random % 50 == 0) {
        static const uint8_t failed[] = {0x12, 7, 't', 'i', 'm', 'e', 'o', 'u', 't', 0x18, 2};
        load_len_field(&span, 15, failed, sizeof failed);
    }
    load_len_field(out, 2, span.data, span.len);
    size_t base = out->len - span.len;
    load_move(patch, base);
    free(span.data);
}

/* The span behind call `callee` of its trace, likewise. */
static void load_callee(load_bytes *out, load_patch *patch, unsigned callee, uint64_t random)
{
    static const uint8_t zero[16];
    load_bytes span = {0};
    *patch = (load_patch){.index = LOAD_SPANS_PER_TRACE + callee, .parent = load_call_of(callee)};
    load_len_field(&span, 1, zero, 16);
    patch->trace_id = span.len - 16;
    load_len_field(&span, 2, zero, 8);
    patch->span_id = span.len - 8;
    load_len_field(&span, 4, zero, 8);
    patch->parent_id = span.len - 8;
    load_text_field(&span, 5, callee % 2 ? "GET /orders" : "POST /generate");
    load_varint_field(&span, 6, 2);
    patch->start = load_fixed64_field(&span, 7);
    patch->end = load_fixed64_field(&span, 8);
    load_attribute(&span, 9, "http.request.method", callee % 2 ? "GET" : "POST", 0);
    load_attribute(&span, 9, "http.response.status_code", NULL, random % 50 ? 200 : 503);
    load_len_field(out, 2, span.data, span.len);
    load_move(patch, out->len - span.len);
    free(span.data);
}

/* ---- one log record ------------------------------------------------------------------------ */

static void load_log(load_bytes *out, load_patch *patch, unsigned index, uint64_t random)
{
    static const uint8_t zero[16];
    static const char session[] = "sess-0000000000000000";
    static const char text[] =
        "order lookup finished: customer asked for the refund status of parcel 7431, the voucher "
        "was issued and the invoice was sent to the address on file; next step is the policy "
        "check, "
        "then the return label goes out and the case is closed for the east";
    load_bytes record = {0}, body = {0};
    *patch = (load_patch){.index = index};
    patch->start = load_fixed64_field(&record, 1);
    load_varint_field(&record, 2, random % 20 ? 9 : 17);
    load_text_field(&record, 3, random % 20 ? "INFO" : "ERROR");
    load_text_field(&body, 1, text);
    load_len_field(&record, 5, body.data, body.len);
    free(body.data);
    load_attribute(&record, 6, "session.id", session, 0);
    patch->session = record.len - LOAD_SESSION_TEXT;
    load_attribute(&record, 6, "gen_ai.agent.name", "support", 0);
    load_attribute(&record, 6, "app.customer.tier", random % 3 ? "standard" : "gold", 0);
    load_attribute(&record, 6, "app.attempt", NULL, (int64_t)(random % 4));
    load_attribute(&record, 6, "code.function.name", "handle_request", 0);
    load_attribute(&record, 6, "code.line.number", NULL, (int64_t)(random % 900));
    load_attribute(&record, 6, "thread.name", "worker-7", 0);
    load_len_field(&record, 9, zero, 16);
    patch->trace_id = record.len - 16;
    load_len_field(&record, 10, zero, 8);
    patch->span_id = record.len - 8;
    patch->end = load_fixed64_field(&record, 11);
    load_len_field(out, 2, record.data, record.len);
    load_move(patch, out->len - record.len);
    free(record.data);
}

/* ---- one metric with one point -------------------------------------------------------------- */

static void load_doubles(load_bytes *out, unsigned field, const double *values, size_t count)
{
    load_len_field(out, field, values, count * sizeof *values); /* as on the wire: little endian */
}

static void load_point_attributes(load_bytes *out, unsigned field, unsigned index, uint64_t random)
{
    load_attribute(out, field, "gen_ai.operation.name", random % 2 ? "chat" : "execute_tool", 0);
    load_attribute(out, field, "gen_ai.request.model", "model-large-1", 0);
    load_attribute(out, field, "server.address", "model.example", 0);
    load_attribute(out, field, "app.shard", NULL, (int64_t)index); /* a series of its own */
}

static void load_histogram_values(load_bytes *point)
{
    static const double bounds[15] = {.01, .02, .04, .08, .16,  .32,  .64,  1.28,
                                      2.5, 5.1, 10,  20,  40.9, 81.9, 163.8};
    uint64_t buckets[16], count = 0;
    for (unsigned i = 0; i < 16; i++)
        count += buckets[i] = i % 5;
    load_varint(point, 4 << 3 | 1);
    load_put(point, &count, sizeof count);
    load_varint(point, 5 << 3 | 1);
    load_put(point, &bounds[9], sizeof *bounds);
    load_len_field(point, 6, buckets, sizeof buckets);
    load_doubles(point, 7, bounds, 15);
}

static void load_metric(load_bytes *out, load_patch *patch, unsigned index, uint64_t random)
{
    bool histogram = index % 2;
    load_bytes point = {0}, data = {0}, metric = {0};
    *patch = (load_patch){.index = index};
    patch->start = load_fixed64_field(&point, 2);
    patch->end = load_fixed64_field(&point, 3);
    if (histogram)
        load_histogram_values(&point);
    else
        load_fixed64_field(&point, 6);
    load_point_attributes(&point, histogram ? 9 : 7, index, random);
    load_len_field(&data, 1, point.data, point.len);
    load_move(patch, data.len - point.len);
    load_varint_field(&data, 2, 2); /* cumulative */
    if (!histogram)
        load_varint_field(&data, 3, 1); /* monotonic */
    load_text_field(&metric, 1, histogram ? "gen_ai.client.operation.duration" : "app.requests");
    load_text_field(&metric, 2, "What the agent's clients saw");
    load_text_field(&metric, 3, histogram ? "s" : "{request}");
    load_len_field(&metric, histogram ? 9 : 7, data.data, data.len);
    load_move(patch, metric.len - data.len);
    load_len_field(out, 2, metric.data, metric.len);
    load_move(patch, out->len - metric.len);
    free(point.data);
    free(data.data);
    free(metric.data);
}

/* ---- the whole request -------------------------------------------------------------------- */

static void load_resource(load_bytes *out, unsigned which, const char *service)
{
    load_bytes resource = {0};
    load_attribute(&resource, 1, "service.name", service, 0);
    load_attribute(&resource, 1, "service.version", "4.11.2", 0);
    load_attribute(&resource, 1, "service.instance.id", which ? "i-0b77" : "i-04d1", 0);
    load_attribute(&resource, 1, "deployment.environment.name", "bench", 0);
    load_attribute(&resource, 1, "cloud.region", "eu-west-1", 0);
    load_attribute(&resource, 1, "cloud.provider", "aws", 0);
    load_attribute(&resource, 1, "telemetry.sdk.name", "opentelemetry", 0);
    load_attribute(&resource, 1, "telemetry.sdk.language", "python", 0);
    load_attribute(&resource, 1, "telemetry.sdk.version", "1.39.0", 0);
    load_attribute(&resource, 1, "process.runtime.name", "cpython", 0);
    load_attribute(&resource, 1, "process.pid", NULL, 4711 + (int64_t)which);
    load_attribute(&resource, 1, "host.name", "bench-host", 0);
    load_len_field(out, 1, resource.data, resource.len);
    free(resource.data);
}

static void load_shift(load_patch *patches, unsigned from, unsigned to, size_t by)
{
    for (unsigned i = from; i < to; i++)
        load_move(&patches[i], by);
}

static void load_item(load_signal signal, load_bytes *out, load_patch *patch, unsigned item,
                      uint64_t random)
{
    if (signal == LOAD_METRICS)
        load_metric(out, patch, item, random);
    else if (signal == LOAD_CALLEES)
        load_callee(out, patch, item % LOAD_CALLEES_PER_TRACE, random);
    else if (signal == LOAD_LOGS)
        load_log(out, patch, item % LOAD_SPANS_PER_TRACE, random);
    else
        load_span(out, patch, item % LOAD_SPANS_PER_TRACE, random, signal == LOAD_MIXED);
}

static const char *load_service_name(load_signal signal, unsigned resource)
{
    if (signal == LOAD_CALLEES)
        return resource ? "orders" : "model-gateway";
    return resource ? "order-tools" : "support-agent";
}

/* Which trace of the request the item belongs to. The two services of callees share each trace, the
 * calls of one kind each. */
static unsigned load_trace_of(load_signal signal, unsigned item, unsigned each)
{
    if (signal == LOAD_CALLEES)
        return item % each / (LOAD_CALLEES_PER_TRACE / 2);
    return item / LOAD_SPANS_PER_TRACE;
}

/* The item's number in its trace, below its resource. */
static unsigned load_item_of(load_signal signal, unsigned i, unsigned resource)
{
    return signal == LOAD_CALLEES ? i * 2 % LOAD_CALLEES_PER_TRACE + resource : i;
}

/* `spans` (items of the signal) is a multiple of 2 * LOAD_SPANS_PER_TRACE; of callees the spans of
 * the request whose calls they take. Freed with load_template_fini. */
static void load_template_init(load_template *template, load_signal signal, unsigned spans,
                               uint64_t seed)
{
    if (signal == LOAD_CALLEES)
        spans = spans / LOAD_SPANS_PER_TRACE * LOAD_CALLEES_PER_TRACE;
    *template = (load_template){.spans = spans, .mixed = signal == LOAD_MIXED};
    template->patches = calloc(spans, sizeof *template->patches);
    if (!template->patches)
        abort();
    unsigned each = spans / LOAD_RESOURCES, next = 0;
    for (unsigned r = 0; r < LOAD_RESOURCES; r++) {
        load_bytes resource_spans = {0}, scope_spans = {0}, scope = {0};
        load_text_field(&scope, 1, "bench.agent");
        load_text_field(&scope, 2, "1.0.0");
        load_len_field(&scope_spans, 1, scope.data, scope.len);
        unsigned first = next;
        for (unsigned i = 0; i < each; i++, next++) {
            load_item(signal, &scope_spans, &template->patches[next], load_item_of(signal, i, r),
                      load_mix(signal == LOAD_METRICS ? next : seed + next));
            template->patches[next].trace = load_trace_of(signal, next, each);
        }
        load_resource(&resource_spans, r, load_service_name(signal, r));
        load_len_field(&resource_spans, 2, scope_spans.data, scope_spans.len);
        load_shift(template->patches, first, next, resource_spans.len - scope_spans.len);
        load_len_field(&template->body, 1, resource_spans.data, resource_spans.len);
        load_shift(template->patches, first, next, template->body.len - resource_spans.len);
        free(resource_spans.data);
        free(scope_spans.data);
        free(scope.data);
    }
}

static void load_template_fini(load_template *template)
{
    free(template->body.data);
    free(template->patches);
}

/* The ids of span `index` of trace `trace` of send `number`: from the seed alone, so that what
 * was acknowledged can be named afterwards without keeping it. */
static void load_trace_id(uint64_t seed, uint64_t number, unsigned trace, uint8_t out[16])
{
    uint64_t high = load_mix(seed ^ load_mix(number * 4096 + trace)), low = load_mix(high ^ seed);
    memcpy(out, &high, 8);
    memcpy(out + 8, &low, 8);
}

static void load_span_id(const uint8_t trace_id[16], unsigned index, uint8_t out[8])
{
    uint64_t low;
    memcpy(&low, trace_id + 8, 8);
    uint64_t id = load_mix(low + index + 1) | 1;
    memcpy(out, &id, 8);
}

static void load_le64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

/* By how much the root of a trace outlives its calls: half a second on average, now and then three
 * seconds more. */
static uint64_t load_longer_ns(const uint8_t trace_id[16])
{
    uint64_t low;
    memcpy(&low, trace_id + 8, 8);
    return low % 1000000000u + (low % 500 ? 0 : 3000000000u);
}

/* Rewrites the copy of the template's body at `body` for send `number`. */
static void load_patch_body(const load_template *template, uint8_t *body, uint64_t seed,
                            uint64_t number)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t wall = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    uint8_t trace_id[16] = {0};
    char session[LOAD_SESSION_TEXT + 1] = "";
    unsigned trace = UINT32_MAX;
    for (unsigned i = 0; i < template->spans; i++) {
        const load_patch *p = &template->patches[i];
        if (p->trace != trace) {
            trace = p->trace;
            load_trace_id(seed, number, trace, trace_id);
            snprintf(session, sizeof session, "sess-%016llx",
                     (unsigned long long)load_mix(seed + number * 4096 +
                                                  trace / LOAD_TRACES_PER_SESSION));
        }
        if (p->trace_id)
            memcpy(body + p->trace_id, trace_id, 16);
        if (p->span_id)
            load_span_id(trace_id, p->index, body + p->span_id);
        if (p->parent_id)
            load_span_id(trace_id, p->parent, body + p->parent_id);
        load_le64(body + p->start, wall - 2000000000u + p->index * 1000000u);
        uint64_t longer = template->mixed && p->index == 0 ? load_longer_ns(trace_id) : 0;
        load_le64(body + p->end, wall - 1000000000u + p->index * 1000000u + longer);
        if (p->event)
            load_le64(body + p->event, wall - 1500000000u);
        if (p->session)
            memcpy(body + p->session, session, LOAD_SESSION_TEXT);
    }
}

#endif
