/* The answer to one export of any signal: a pure function of what became of it.
 *
 *     outcome                              HTTP  gRPC                 retry
 *     all kept, or nothing sent            200   OK                   -
 *     some refused, or kept with bad text  200   OK, partial_success  -
 *     everything refused, broken body      400   INVALID_ARGUMENT     no
 *     a space that is not there            400   INVALID_ARGUMENT     no
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
#include "lib/base/json_writer.h"
#include "proto/wire.h"

#define RETRY_OVERLOAD_S 1
#define RETRY_STORAGE_S 3
/* All reasons with their counts, one path, and every warning at once stay below; what comes in a
 * grpc-message, the refusal of all items, is half of it at most. */
#define MESSAGE_MAX 2048

/* ---- words --------------------------------------------------------------------------------- */

/* Ends the buffer and gives its text to the arena; when either is full, something shorter. */
static mw_slice finish_text(mw_buffer *buffer, mw_arena *arena)
{
    mw_slice text = MW_SLICE_NONE;
    if (buffer->err == MW_OK)
        text = mw_arena_copy(arena, mw_buffer_slice(buffer));
    mw_buffer_fini(buffer);
    return text.data ? text : MW_SLICE("not everything in the request was in order");
}

/* "2 of 9 spans refused: 1 span_id ..., 1 attribute ...; first: resource_spans[0]..." */
static void write_refusals(mw_buffer *out, const mw_export_outcome *outcome)
{
    const mw_scan_result *scan = &outcome->scan;
    mw_buffer_appendf(out, "%llu of %llu %s refused", (unsigned long long)scan->refused_total,
                      (unsigned long long)scan->items, outcome->signal->items);
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

static void begin_part(mw_buffer *out)
{
    if (out->len)
        mw_buffer_appendf(out, "%s", out->data[out->len - 1] == '?' ? " " : "; ");
}

static void write_warnings(mw_buffer *out, const mw_export_outcome *outcome)
{
    const mw_odd_times *odd = &outcome->odd;
    const char *items = outcome->signal->items;
    if (outcome->scan.bad_utf8) {
        begin_part(out);
        mw_buffer_appendf(out, "%llu %s hold text that is not UTF-8; kept as sent",
                          (unsigned long long)outcome->scan.bad_utf8, items);
    }
    if (odd->mistakes) {
        begin_part(out);
        mw_buffer_appendf(
            out, "%llu %s have times that cannot be meant; kept as sent; first: %s %s",
            (unsigned long long)odd->mistakes, items, odd->first_path, odd->first_problem);
    }
    const mw_slice ready[] = {outcome->origin_warning, outcome->json_warning};
    for (size_t i = 0; i < sizeof ready / sizeof ready[0]; i++) {
        if (ready[i].len == 0)
            continue;
        begin_part(out);
        mw_buffer_append_slice(out, ready[i]);
    }
}

static bool has_warnings(const mw_export_outcome *outcome)
{
    return outcome->scan.bad_utf8 || outcome->odd.mistakes || outcome->origin_warning.len ||
           outcome->json_warning.len;
}

static mw_slice partial_text(const mw_export_outcome *outcome, mw_arena *arena)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_INGEST, MESSAGE_MAX);
    if (outcome->scan.refused_total)
        write_refusals(&text, outcome);
    write_warnings(&text, outcome);
    return finish_text(&text, arena);
}

/* Whose request it may be: what the bytes say, else the usual mistake. 0 = nothing to say. */
static mw_signal suspect(const mw_export_outcome *outcome)
{
    return outcome->looks_like ? outcome->looks_like : outcome->signal->usual_mistake;
}

/* "; no valid span ids; is this a logs request?", and where to send it when that is sure. */
static void write_suspicion(mw_buffer *out, const mw_export_outcome *outcome, mw_answer_form form)
{
    mw_signal other = suspect(outcome);
    if (!other)
        return;
    begin_part(out);
    mw_buffer_appendf(out, "%s; is this a %s request?", outcome->signal->none_valid,
                      mw_signal_name(other));
    if (!outcome->looks_like)
        return;
    const mw_export_signal *right = mw_export_signal_of(other);
    begin_part(out);
    mw_buffer_appendf(out, "%s go to %s", mw_signal_name(other),
                      form == MW_FORM_GRPC ? right->grpc_path : right->http_path);
}

static mw_slice all_refused_text(const mw_export_outcome *outcome, mw_answer_form form,
                                 mw_arena *arena)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_INGEST, MESSAGE_MAX);
    if (outcome->scan.refused[MW_REFUSE_DEPTH] == 0)
        write_suspicion(&text, outcome, form);
    begin_part(&text);
    write_refusals(&text, outcome);
    return finish_text(&text, arena);
}

/* The signals share their envelope's numbers: another signal's body fails first at a field of an
 * item, mostly by its wire type. */
static mw_slice syntax_text(const mw_export_outcome *outcome, mw_answer_form form, mw_arena *arena)
{
    const mw_scan_result *scan = &outcome->scan;
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_INGEST, MESSAGE_MAX);
    mw_buffer_appendf(&text, "malformed %s: %s at byte %zu", outcome->signal->request,
                      scan->wrong_type ? "field of another wire type" : "broken field",
                      scan->error_offset);
    if (scan->wrong_type || outcome->looks_like)
        write_suspicion(&text, outcome, form);
    return finish_text(&text, arena);
}

/* ---- success ------------------------------------------------------------------------------- */

/* The answers of the three services have the same numbers: partial_success = 1, in it the count of
 * what was rejected = 1 and error_message = 2. */
static mw_slice partial_protobuf(uint64_t rejected, mw_slice message, mw_arena *arena)
{
    mw_buffer partial, response;
    mw_buffer_init(&partial, MW_MEM_INGEST, MESSAGE_MAX + 32);
    mw_buffer_init(&response, MW_MEM_INGEST, MESSAGE_MAX + 64);
    if (rejected) {
        mw_wire_append_varint(&partial, MW_WIRE_TAG(1, MW_WIRE_VARINT));
        mw_wire_append_varint(&partial, rejected);
    }
    mw_wire_append_bytes(&partial, 2, message);
    mw_wire_append_bytes(&response, 1, mw_buffer_slice(&partial));
    mw_slice body = MW_SLICE_NONE;
    if (partial.err == MW_OK && response.err == MW_OK)
        body = mw_arena_copy(arena, mw_buffer_slice(&response));
    mw_buffer_fini(&partial);
    mw_buffer_fini(&response);
    return body;
}

static mw_slice partial_json(const mw_export_outcome *outcome, mw_slice message, mw_arena *arena)
{
    mw_buffer out;
    mw_json json;
    char count[24];
    snprintf(count, sizeof count, "%llu", (unsigned long long)outcome->scan.refused_total);
    mw_buffer_init(&out, MW_MEM_INGEST, (size_t)6 * MESSAGE_MAX); /* escapes at their longest */
    mw_json_init(&json, &out);
    mw_json_object_begin(&json);
    mw_json_key(&json, MW_SLICE("partialSuccess"));
    mw_json_object_begin(&json);
    /* An int64 is text in proto3 JSON. */
    mw_json_kv(&json, outcome->signal->rejected_json, mw_slice_of(count));
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
    uint64_t rejected = outcome->scan.refused_total;
    bool partial = rejected || has_warnings(outcome);
    *response = (mw_response){.status = 200, .rpc_code = MW_RPC_OK};
    if (form == MW_FORM_JSON) {
        response->content_type = MW_SLICE("application/json");
        response->body = MW_SLICE("{}");
        if (partial)
            response->body = partial_json(outcome, partial_text(outcome, arena), arena);
        return;
    }
    if (form == MW_FORM_PROTOBUF)
        response->content_type = MW_SLICE("application/x-protobuf");
    if (partial)
        response->body = partial_protobuf(rejected, partial_text(outcome, arena), arena);
}

/* ---- failure ------------------------------------------------------------------------------- */

/* A disk with so much free is not full: the largest request has its place. UINT64_MAX (not known)
 * is more, too. */
#define MUCH_FREE ((uint64_t)128 << 20)

typedef struct failure_row {
    mw_err err;
    unsigned http_status;
    mw_rpc_code code;
    unsigned retry_after_s;
    mw_counter counter;
    mw_slice message; /* empty = of the signal, or put together from the scan's result */
} failure_row;

static const failure_row failures[] = {
    {MW_E_SYNTAX, 400, MW_RPC_INVALID_ARGUMENT, 0, MW_COUNT_EXPORTS_REFUSED_MALFORMED, {NULL, 0}},
    {MW_E_INVALID, 400, MW_RPC_INVALID_ARGUMENT, 0, MW_COUNT_EXPORTS_REFUSED_MALFORMED, {NULL, 0}},
    {MW_E_NOT_FOUND, 400, MW_RPC_INVALID_ARGUMENT, 0, MW_COUNT_EXPORTS_REFUSED_SPACE,
     MW_SLICE_INIT("there is no such space")},
    {MW_E_LIMIT, 413, MW_RPC_RESOURCE_EXHAUSTED, 0, MW_COUNT_EXPORTS_REFUSED_BUDGET, {NULL, 0}},
    {MW_E_NOMEM, 503, MW_RPC_UNAVAILABLE, RETRY_OVERLOAD_S, MW_COUNT_EXPORTS_REFUSED_OVERLOAD,
     MW_SLICE_INIT("memory_limit is reached; try again")},
    {MW_E_BUSY, 503, MW_RPC_UNAVAILABLE, RETRY_OVERLOAD_S, MW_COUNT_EXPORTS_REFUSED_OVERLOAD,
     MW_SLICE_INIT("the store's queue is full, or a merge comes first; try again")},
    {MW_E_CLOSED, 503, MW_RPC_UNAVAILABLE, RETRY_OVERLOAD_S, MW_COUNT_EXPORTS_REFUSED_OVERLOAD,
     MW_SLICE_INIT("shutting down; try again")},
    {MW_E_TIMEOUT, 504, MW_RPC_DEADLINE_EXCEEDED, 0, MW_COUNT_EXPORTS_REFUSED_OVERLOAD,
     MW_SLICE_INIT("the deadline passed before anything was stored; nothing was kept")},
    {MW_E_NO_SPACE,
     503,
     MW_RPC_UNAVAILABLE,
     RETRY_STORAGE_S,
     MW_COUNT_EXPORTS_REFUSED_STORAGE,
     {NULL, 0}},
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

/* One thing: what is full, how much there is, what makes room. More than a little that is free is
 * none of ours: the disk takes no writing, whatever it has. */
static mw_slice no_space_text(uint64_t free_bytes, mw_arena *arena)
{
    const char *text = NULL;
    double mebibytes = (double)free_bytes / (double)(1 << 20);
    if (free_bytes > MUCH_FREE)
        return MW_SLICE("the disk of the data directory has no space for midwatch: it is read-only "
                        "or a quota is used up; nothing was kept, try again");
    text = mw_arena_printf(arena,
                           "no space: the disk of the data directory is full (%.1f MiB free); "
                           "merging and retention make room by themselves, else free some there; "
                           "nothing was kept, try again",
                           mebibytes);
    return text ? mw_slice_of(text) : MW_SLICE("no space: the disk of the data directory is full");
}

static mw_slice failure_text(const mw_export_outcome *outcome, const failure_row *failure,
                             mw_answer_form form, mw_arena *arena)
{
    if (outcome->problem.len)
        return outcome->problem;
    if (outcome->err == MW_E_SYNTAX)
        return syntax_text(outcome, form, arena);
    if (outcome->err == MW_E_NO_SPACE)
        return no_space_text(outcome->disk_free, arena);
    if (outcome->err == MW_E_LIMIT && outcome->at_store)
        return MW_SLICE("the request is too large for one block; export smaller batches");
    if (outcome->err == MW_E_LIMIT)
        return outcome->signal->over_budget;
    return failure->message;
}

static void answer_failure(const mw_export_outcome *outcome, mw_answer_form form, mw_arena *arena,
                           mw_response *response)
{
    const failure_row *failure = failure_of(outcome->err);
    mw_status status = {.http_status = failure->http_status,
                        .code = failure->code,
                        .message = failure_text(outcome, failure, form, arena),
                        .retry_after_s = failure->retry_after_s};
    if (outcome->err == MW_E_SYNTAX || outcome->err == MW_E_INVALID ||
        outcome->err == MW_E_NOT_FOUND)
        status.field = outcome->field.len ? outcome->field : MW_SLICE("body");
    mw_status_answer(&status, form, arena, response);
}

static void answer_all_refused(const mw_export_outcome *outcome, mw_answer_form form,
                               mw_arena *arena, mw_response *response)
{
    mw_slice path = mw_arena_copy(arena, mw_slice_of(outcome->scan.first_path));
    mw_status status = {.http_status = 400,
                        .code = MW_RPC_INVALID_ARGUMENT,
                        .message = all_refused_text(outcome, form, arena),
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
        answer_all_refused(outcome, form, arena, response);
    else
        answer_success(outcome, form, arena, response);
}

static void count_refused(const mw_export_signal *signal, mw_refusal reason, uint64_t count)
{
    MW_ASSERT(signal->refused[reason]); /* the signal's scan has no such reason */
    mw_count(signal->refused[reason], count);
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
    const mw_export_signal *signal = outcome->signal;
    mw_count(signal->accepted, scan->items - scan->refused_total);
    mw_count(signal->bad_utf8, scan->bad_utf8);
    mw_count(signal->odd_time, outcome->odd.count);
    for (int reason = MW_REFUSE_NONE + 1; reason < MW_REFUSE_COUNT; reason++)
        if (scan->refused[reason])
            count_refused(signal, (mw_refusal)reason, scan->refused[reason]);
}
