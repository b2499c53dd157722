/* The answer to one trace export: a pure function of what became of it.
 *
 *     outcome                              HTTP  gRPC                 retry
 *     all kept, or nothing sent            200   OK                   -
 *     some refused, or kept with bad text  200   OK, partial_success  -
 *     everything refused, broken body      400   INVALID_ARGUMENT     no
 *     over the decode budget               413   RESOURCE_EXHAUSTED   no
 *     no memory, queue full, shutting down 503   UNAVAILABLE          after 1 s
 *     the disk failed or is full           503   UNAVAILABLE          after 3 s
 *     the deadline passed                  504   DEADLINE_EXCEEDED    (client gone)
 *
 * Retry-After stays small: clients whose time-out is shorter drop the batch at once. Source: OTLP
 * 1.11, "Failures" and "Partial Success". Runs on the loop's or the store's writer thread; memory
 * is the request's arena.
 */
#include "collector/export_int.h"
#include "lib/base/counter.h"
#include "lib/base/json_writer.h"
#include "proto/otlp_trace_service.pb-c.h"

#define RETRY_OVERLOAD_S 1
#define RETRY_STORAGE_S 3
/* Counts, phrases and one path; also what fits a grpc-message comfortably. */
#define MESSAGE_MAX 1024

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse trace_response;
typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTracePartialSuccess partial_success;

/* ---- words --------------------------------------------------------------------------------- */

/* Ends the buffer and gives its text to the arena; empty when either is full. */
static mw_slice finish_text(mw_buffer *buffer, mw_arena *arena)
{
    mw_slice text = MW_SLICE_NONE;
    if (buffer->err == MW_OK)
        text = mw_arena_copy(arena, mw_buffer_slice(buffer));
    mw_buffer_fini(buffer);
    return text.data ? text : MW_SLICE("spans were refused");
}

/* "2 of 9 spans refused: 1 span_id ..., 1 attribute ...; first: resource_spans[0]..." */
static void write_refusals(mw_buffer *out, const mw_scan_result *scan)
{
    mw_buffer_appendf(out, "%llu of %llu spans refused", (unsigned long long)scan->refused_total,
                      (unsigned long long)scan->items);
    const char *separator = ": ";
    for (int reason = MW_REFUSE_NONE + 1; reason < MW_REFUSE_COUNT; reason++) {
        if (scan->refused[reason] == 0)
            continue;
        mw_buffer_appendf(out, "%s%llu %s", separator, (unsigned long long)scan->refused[reason],
                          mw_refusal_text((mw_refusal)reason));
        separator = ", ";
    }
    mw_buffer_appendf(out, "; first: %s", scan->first_path);
}

static mw_slice partial_text(const mw_export_outcome *outcome, mw_arena *arena)
{
    const mw_scan_result *scan = &outcome->scan;
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_INGEST, MESSAGE_MAX);
    if (scan->refused_total)
        write_refusals(&text, scan);
    if (scan->bad_utf8)
        mw_buffer_appendf(&text, "%s%llu spans hold text that is not UTF-8; kept as sent",
                          text.len ? "; " : "", (unsigned long long)scan->bad_utf8);
    if (outcome->warning.len)
        mw_buffer_appendf(&text, "%s%.*s", text.len ? "; " : "", MW_SLICE_FMT(outcome->warning));
    return finish_text(&text, arena);
}

static mw_slice all_refused_text(const mw_scan_result *scan, mw_arena *arena)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_INGEST, MESSAGE_MAX);
    if (scan->refused[MW_REFUSE_DEPTH] == 0)
        mw_buffer_appendf(&text, "no valid span ids; is this a logs request? ");
    write_refusals(&text, scan);
    return finish_text(&text, arena);
}

/* Spans, log records and metrics share their envelope's numbers: another signal's body fails
 * first at a field of Span. */
static mw_slice syntax_text(const mw_scan_result *scan, mw_arena *arena)
{
    const char *text = mw_arena_printf(
        arena, "malformed ExportTraceServiceRequest: %s at byte %zu%s",
        scan->wrong_type ? "field of another wire type" : "broken field", scan->error_offset,
        scan->wrong_type ? "; no valid span ids; is this a logs request?" : "");
    return text ? mw_slice_of(text) : MW_SLICE("malformed ExportTraceServiceRequest");
}

/* ---- success ------------------------------------------------------------------------------- */

static mw_slice partial_protobuf(int64_t rejected, mw_slice message, mw_arena *arena)
{
    trace_response response;
    partial_success partial;
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__init(&response);
    opentelemetry__proto__collector__trace__v1__export_trace_partial_success__init(&partial);
    partial.rejected_spans = rejected;
    partial.error_message.data = (uint8_t *)(uintptr_t)message.data;
    partial.error_message.len = message.len;
    response.partial_success = &partial;
    size_t size = protobuf_c_message_get_packed_size(&response.base);
    uint8_t *out = mw_arena_alloc(arena, size);
    if (!out)
        return MW_SLICE_NONE;
    return (mw_slice){(const char *)out, protobuf_c_message_pack(&response.base, out)};
}

static mw_slice partial_json(int64_t rejected, mw_slice message, mw_arena *arena)
{
    mw_buffer out;
    mw_json json;
    char count[24];
    snprintf(count, sizeof count, "%lld", (long long)rejected);
    mw_buffer_init(&out, MW_MEM_INGEST, (size_t)6 * MESSAGE_MAX); /* escapes at their longest */
    mw_json_init(&json, &out);
    mw_json_object_begin(&json);
    mw_json_key(&json, MW_SLICE("partialSuccess"));
    mw_json_object_begin(&json);
    mw_json_kv(&json, "rejectedSpans", mw_slice_of(count)); /* an int64 is text in proto3 JSON */
    mw_json_kv(&json, "errorMessage", message);
    mw_json_object_end(&json);
    mw_json_object_end(&json);
    mw_slice body = out.err == MW_OK ? mw_arena_copy(arena, mw_buffer_slice(&out)) : MW_SLICE_NONE;
    mw_buffer_fini(&out);
    return body.data ? body : MW_SLICE("{}");
}

static void answer_success(const mw_export_outcome *outcome, mw_answer_form form, mw_arena *arena,
                           mw_response *response)
{
    const mw_scan_result *scan = &outcome->scan;
    bool partial = scan->refused_total || scan->bad_utf8 || outcome->warning.len;
    int64_t rejected = (int64_t)scan->refused_total;
    *response = (mw_response){.status = 200, .rpc_code = MW_RPC_OK};
    if (form == MW_FORM_JSON) {
        response->content_type = MW_SLICE("application/json");
        response->body =
            partial ? partial_json(rejected, partial_text(outcome, arena), arena) : MW_SLICE("{}");
        return;
    }
    if (form == MW_FORM_PROTOBUF)
        response->content_type = MW_SLICE("application/x-protobuf");
    if (partial)
        response->body = partial_protobuf(rejected, partial_text(outcome, arena), arena);
}

/* ---- failure ------------------------------------------------------------------------------- */

typedef struct failure_row {
    mw_err err;
    unsigned http_status;
    mw_rpc_code code;
    unsigned retry_after_s;
    mw_counter counter;
    mw_slice message; /* empty = put together from the scan's result */
} failure_row;

static const failure_row failures[] = {
    {MW_E_SYNTAX, 400, MW_RPC_INVALID_ARGUMENT, 0, MW_COUNT_EXPORTS_REFUSED_MALFORMED, {NULL, 0}},
    {MW_E_INVALID, 400, MW_RPC_INVALID_ARGUMENT, 0, MW_COUNT_EXPORTS_REFUSED_MALFORMED, {NULL, 0}},
    {MW_E_LIMIT, 413, MW_RPC_RESOURCE_EXHAUSTED, 0, MW_COUNT_EXPORTS_REFUSED_BUDGET,
     MW_SLICE_INIT("more spans, events, links and attributes in one request than the decode budget "
                   "(1000000) or memory_limit allows; export smaller batches")},
    {MW_E_NOMEM, 503, MW_RPC_UNAVAILABLE, RETRY_OVERLOAD_S, MW_COUNT_EXPORTS_REFUSED_OVERLOAD,
     MW_SLICE_INIT("memory_limit is reached; try again")},
    {MW_E_BUSY, 503, MW_RPC_UNAVAILABLE, RETRY_OVERLOAD_S, MW_COUNT_EXPORTS_REFUSED_OVERLOAD,
     MW_SLICE_INIT("the store's queue is full; try again")},
    {MW_E_CLOSED, 503, MW_RPC_UNAVAILABLE, RETRY_OVERLOAD_S, MW_COUNT_EXPORTS_REFUSED_OVERLOAD,
     MW_SLICE_INIT("shutting down; try again")},
    {MW_E_TIMEOUT, 504, MW_RPC_DEADLINE_EXCEEDED, 0, MW_COUNT_EXPORTS_REFUSED_OVERLOAD,
     MW_SLICE_INIT("the deadline passed before the spans were stored; nothing was kept")},
    {MW_E_NO_SPACE, 503, MW_RPC_UNAVAILABLE, RETRY_STORAGE_S, MW_COUNT_EXPORTS_REFUSED_STORAGE,
     MW_SLICE_INIT("the data directory has no space left; nothing was kept, try again")},
    /* Last: also what stands for any other error of the store. */
    {MW_E_IO, 503, MW_RPC_UNAVAILABLE, RETRY_STORAGE_S, MW_COUNT_EXPORTS_REFUSED_STORAGE,
     MW_SLICE_INIT("the data directory cannot be written; nothing was kept, try again")},
};

static const failure_row *failure_of(mw_err err)
{
    size_t last = sizeof failures / sizeof failures[0] - 1;
    for (size_t i = 0; i < last; i++)
        if (failures[i].err == err)
            return &failures[i];
    return &failures[last];
}

static mw_slice failure_text(const mw_export_outcome *outcome, const failure_row *failure,
                             mw_arena *arena)
{
    if (outcome->problem.len)
        return outcome->problem;
    if (outcome->err == MW_E_SYNTAX)
        return syntax_text(&outcome->scan, arena);
    if (outcome->err == MW_E_LIMIT && outcome->at_store)
        return MW_SLICE("the request is too large for one block; export smaller batches");
    return failure->message;
}

static void answer_failure(const mw_export_outcome *outcome, mw_answer_form form, mw_arena *arena,
                           mw_response *response)
{
    const failure_row *failure = failure_of(outcome->err);
    mw_status status = {.http_status = failure->http_status,
                        .code = failure->code,
                        .message = failure_text(outcome, failure, arena),
                        .retry_after_s = failure->retry_after_s};
    if (outcome->err == MW_E_SYNTAX || outcome->err == MW_E_INVALID)
        status.field = outcome->field.len ? outcome->field : MW_SLICE("body");
    mw_status_answer(&status, form, arena, response);
}

static void answer_all_refused(const mw_scan_result *scan, mw_answer_form form, mw_arena *arena,
                               mw_response *response)
{
    mw_slice path = mw_arena_copy(arena, mw_slice_of(scan->first_path));
    mw_status status = {.http_status = 400,
                        .code = MW_RPC_INVALID_ARGUMENT,
                        .message = all_refused_text(scan, arena),
                        .field = path};
    mw_status_answer(&status, form, arena, response);
}

/* ---- public -------------------------------------------------------------------------------- */

bool mw_export_all_refused(const mw_scan_result *scan)
{
    return scan->items > 0 && scan->refused_total == scan->items;
}

void mw_export_answer(const mw_export_outcome *outcome, mw_answer_form form, mw_arena *arena,
                      mw_response *response)
{
    if (outcome->err != MW_OK)
        answer_failure(outcome, form, arena, response);
    else if (mw_export_all_refused(&outcome->scan))
        answer_all_refused(&outcome->scan, form, arena, response);
    else
        answer_success(outcome, form, arena, response);
}

void mw_export_count(const mw_export_outcome *outcome)
{
    const mw_scan_result *scan = &outcome->scan;
    if (outcome->err != MW_OK) {
        /* The items are counted when the client comes again, or never: not twice. */
        mw_count(failure_of(outcome->err)->counter, 1);
        return;
    }
    if (outcome->repeat)
        return;
    mw_count(MW_COUNT_SPANS_ACCEPTED, scan->items - scan->refused_total);
    mw_count(MW_COUNT_SPANS_REFUSED_DEPTH, scan->refused[MW_REFUSE_DEPTH]);
    mw_count(MW_COUNT_SPANS_REFUSED_ID, scan->refused_total - scan->refused[MW_REFUSE_DEPTH]);
    mw_count(MW_COUNT_SPANS_BAD_UTF8, scan->bad_utf8);
}
