/* GET /api/v1/traces/{id}/tree: a trace as a person reads it, in a bounded number of rows.
 *
 * Reads columns, the names of tools, and the newest log records; what is folded and what is left
 * out when there are more rows than asked for is trace_tree.h's. Pool threads.
 */
#include <xxhash.h>

#include "lib/base/trace_id.h"
#include "server/api/api_int.h"
#include "server/api/otlp_value.h"
#include "server/api/shape_context.h"
#include "server/api/trace_tree.h"

const char *const mw_api_tree_filters[] = {"rows", "unfold", NULL};

#define ROWS_DEFAULT 1000
#define ROWS_MAX 10000
/* Of a trace with more log records the newest warnings and errors are shown. */
#define LOGS_MAX 1000
#define LOGS_PAGE 250
#define SEVERITY_WARN 13
#define SEVERITY_ERROR 17
/* Of a record's body: what a line of a wide terminal shows. */
#define TEXT_BYTES 512

typedef struct outline_log {
    mw_log_row row; /* ids, time, severity, service, event_name */
    mw_slice text;
} outline_log;

typedef struct outline {
    mw_api_call *call;
    mw_trace trace;
    outline_log *logs; /* newest first */
    size_t log_count;
    uint64_t logs_left_out;
    mw_tree_item *items; /* spans and records by time */
    uint32_t *source;    /* of an item: index in trace.spans, or span_count + index of a record */
    size_t count;
    mw_tree tree;
} outline;

/* ---- log records ---------------------------------------------------------------------------- */

static bool is_text(const mw_otlp_value *value)
{
    return value->value_case == OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE;
}

/* Text as it is, all else as JSON; `text` is for the latter. */
static mw_err write_body(const mw_log_record *record, mw_arena *scratch, mw_buffer *text,
                         mw_slice *out)
{
    mw_otlp_log *log = NULL;
    mw_json json;
    mw_err err = mw_stored_error(mw_unpack_log(record->bytes, scratch, &log));
    if (err || !log->body)
        return err;
    if (is_text(log->body)) {
        *out = mw_unpack_slice(log->body->string_value);
        return MW_OK;
    }
    mw_json_init(&json, text);
    mw_json_any_value(&json, log->body, scratch);
    *out = mw_buffer_slice(text);
    return text->err;
}

/* The beginning of the body. */
static mw_err text_of(const mw_log_record *record, mw_arena *arena, mw_slice *out)
{
    mw_arena scratch;
    mw_buffer text;
    mw_err err = MW_OK;
    *out = MW_SLICE_NONE;
    mw_arena_init(&scratch, MW_MEM_QUERY, MW_SHAPE_SCRATCH_MAX);
    mw_buffer_init(&text, MW_MEM_QUERY, MW_API_ANSWER_MAX);
    if (!record->oversized)
        err = write_body(record, &scratch, &text, out);
    *out = mw_slice_first(*out, TEXT_BYTES);
    if (!err && out->len) {
        *out = mw_arena_copy(arena, *out);
        err = out->data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(&text);
    mw_arena_reset(&scratch);
    return err;
}

/* What of a record is shown. */
static mw_err keep_log(outline *work, const mw_log_record *record)
{
    mw_arena *arena = &work->call->arena;
    outline_log *kept = &work->logs[work->log_count];
    kept->row = record->row;
    kept->row.service = mw_arena_copy(arena, record->row.service);
    kept->row.event_name = mw_arena_copy(arena, record->row.event_name);
    if (!kept->row.service.data || !kept->row.event_name.data)
        return MW_E_NOMEM;
    mw_err err = text_of(record, arena, &kept->text);
    work->log_count += err == MW_OK;
    return err;
}

/* One page, newest first. Records may be large, so they are gone when their beginnings are kept. */
static mw_err read_page(outline *work, mw_store_view *view, const mw_log_query *query,
                        mw_store_page *page)
{
    mw_arena pages;
    mw_log_list list;
    mw_arena_init(&pages, MW_MEM_QUERY, MW_API_ARENA_MAX);
    mw_err err = mw_store_log_list(view, page, query, &pages, &list);
    for (size_t i = 0; !err && i < list.count; i++)
        err = keep_log(work, &list.items[i]);
    page->cursor = MW_SLICE_NONE;
    if (!err && list.next_cursor.len) {
        page->cursor = mw_arena_copy(&work->call->arena, list.next_cursor);
        err = page->cursor.data ? MW_OK : MW_E_NOMEM;
    }
    mw_arena_reset(&pages);
    return err;
}

static mw_err read_logs(outline *work, mw_store_view *view)
{
    const mw_trace_summary *summary = &work->trace.summary;
    mw_store_page page = {.limit = LOGS_PAGE, .cursor = MW_SLICE_NONE};
    mw_log_query query = {.severity_min = 0};
    bool more = summary->logs > 0;
    if (summary->logs > LOGS_MAX)
        query.severity_min = SEVERITY_WARN;
    memcpy(query.trace_id, summary->trace_id, sizeof query.trace_id);
    work->logs = mw_arena_alloc(&work->call->arena, LOGS_MAX * sizeof *work->logs);
    if (!work->logs)
        return MW_E_NOMEM;
    while (more && work->log_count < LOGS_MAX) {
        mw_slice cursor = page.cursor;
        size_t before = work->log_count;
        mw_err err = read_page(work, view, &query, &page);
        if ((err == MW_E_NOMEM || err == MW_E_LIMIT) && page.limit > 1) {
            page.limit /= 2;
            page.cursor = cursor;
            work->log_count = before;
            continue;
        }
        if (err)
            return err;
        more = page.cursor.len > 0;
        page.limit =
            page.limit < LOGS_MAX - work->log_count ? page.limit : LOGS_MAX - work->log_count;
    }
    work->logs_left_out = summary->logs > work->log_count ? summary->logs - work->log_count : 0;
    return MW_OK;
}

/* ---- items ---------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t seed, mw_slice text)
{
    return XXH3_64bits_withSeed(text.len ? text.data : "", text.len, seed);
}

static uint64_t number_of(const uint8_t *span_id)
{
    uint64_t number;
    memcpy(&number, span_id, sizeof number);
    return number;
}

static mw_tree_item span_item(const mw_trace_span *span)
{
    const mw_span_row *row = &span->row;
    uint64_t what = mix(row->operation_kind, row->name);
    what = mix(mix(mix(what, row->service), row->model), span->tool);
    return (mw_tree_item){.id = number_of(row->span_id),
                          .parent_id = number_of(row->parent_span_id),
                          .start_ns = row->start_ns,
                          .end_ns = row->end_ns,
                          .signature = what,
                          .input_tokens = row->input_tokens,
                          .output_tokens = row->output_tokens,
                          .failed = row->status == 2};
}

static mw_tree_item log_item(const mw_log_row *row, mw_slice text)
{
    return (mw_tree_item){.parent_id = number_of(row->span_id),
                          .start_ns = row->time_ns,
                          .end_ns = row->time_ns,
                          .signature = mix(mix(row->severity, row->event_name), text),
                          .input_tokens = MW_TOKENS_UNKNOWN,
                          .output_tokens = MW_TOKENS_UNKNOWN,
                          .failed = row->severity >= SEVERITY_ERROR};
}

/* Spans come oldest first, records newest first. A record of an instant stands before a span that
 * starts in it only when it is older. */
static void merge_items(outline *work)
{
    size_t span = 0, log = work->log_count;
    while (span < work->trace.span_count || log > 0) {
        const mw_trace_span *next = &work->trace.spans[span];
        const outline_log *record = log ? &work->logs[log - 1] : NULL;
        bool take_log =
            record && (span == work->trace.span_count || record->row.time_ns < next->row.start_ns);
        if (take_log) {
            log--;
            work->source[work->count] = (uint32_t)(work->trace.span_count + log);
            work->items[work->count++] = log_item(&record->row, record->text);
        } else {
            work->source[work->count] = (uint32_t)span++;
            work->items[work->count++] = span_item(next);
        }
    }
}

static mw_err make_items(outline *work)
{
    mw_arena *arena = &work->call->arena;
    size_t room = work->trace.span_count + work->log_count + 1;
    work->items = mw_arena_alloc(arena, room * sizeof *work->items);
    work->source = mw_arena_alloc(arena, room * sizeof *work->source);
    if (!work->items || !work->source)
        return MW_E_NOMEM;
    merge_items(work);
    return MW_OK;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static const mw_trace_span *span_of(const outline *work, uint32_t item)
{
    uint32_t at = work->source[item];
    MW_ASSERT(at < work->trace.span_count);
    return &work->trace.spans[at];
}

static const mw_span_row *row_of(const outline *work, uint32_t item)
{
    return &span_of(work, item)->row;
}

static void write_id(mw_json *json, const char *key, const uint8_t *id)
{
    mw_json_key(json, mw_slice_of(key));
    if (mw_id_is_zero(id, MW_SPAN_ID_SIZE))
        mw_json_null(json);
    else
        mw_json_hex(json, id, MW_SPAN_ID_SIZE);
}

static void write_ms(mw_json *json, const char *key, uint64_t ns)
{
    mw_json_kv_double(json, key, (double)ns / 1e6);
}

static void write_counts(mw_json *json, const char *key, const mw_tree_counts *counts)
{
    mw_json_key(json, mw_slice_of(key));
    mw_json_object_begin(json);
    mw_json_kv_u64(json, "spans", counts->spans);
    mw_json_kv_u64(json, "errors", counts->errors);
    mw_json_kv_u64(json, "logs", counts->logs);
    mw_json_object_end(json);
}

static void write_tokens(mw_json *json, const char *key, int64_t tokens)
{
    if (tokens < 0)
        mw_json_kv_null(json, key);
    else
        mw_json_kv_i64(json, key, tokens);
}

static void write_failed(const outline *work, const mw_tree_row *row)
{
    mw_json *json = &work->call->json;
    mw_json_key(json, MW_SLICE("failed"));
    mw_json_array_begin(json);
    for (uint32_t i = 0; i < row->failed_count; i++) {
        const mw_span_row *span = row_of(work, row->failed[i]);
        mw_json_object_begin(json);
        write_id(json, "span_id", span->span_id);
        mw_json_kv_or_null(json, "status_message", span->status_message);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_note(mw_json *json, uint8_t note)
{
    mw_json_kv_or_null(json, "note",
                       note & MW_TREE_CYCLE    ? MW_SLICE("cycle")
                       : note & MW_TREE_ORPHAN ? MW_SLICE("orphan")
                                               : MW_SLICE_NONE);
}

/* What tells spans apart that are alike: the signature's parts. */
static void write_what(mw_json *json, const mw_trace_span *told)
{
    const mw_span_row *span = &told->row;
    mw_json_kv(json, "name", span->name);
    mw_json_kv(json, "operation_kind",
               mw_slice_of(mw_operation_kind_name((mw_operation_kind)span->operation_kind)));
    mw_json_kv_or_null(json, "tool", told->tool);
    mw_json_kv_or_null(json, "service", span->service);
    mw_json_kv_or_null(json, "model", span->model);
}

static void write_span(const outline *work, const mw_tree_row *row)
{
    mw_json *json = &work->call->json;
    const mw_span_row *span = row_of(work, row->first);
    bool folded = row->count > 1;
    write_what(json, span_of(work, row->first));
    mw_json_kv_or_null(json, "agent", span->agent);
    write_id(json, "span_id", row_of(work, folded ? row->longest : row->first)->span_id);
    mw_json_kv_time(json, "start", span->start_ns);
    /* One span as everywhere, also when it ends before its start. */
    mw_json_kv_time(json, "end", folded ? row->end_ns : span->end_ns);
    if (folded)
        write_ms(json, "duration_ms", row->total_ns);
    else
        mw_json_kv_double(json, "duration_ms", mw_duration_ms(span->start_ns, span->end_ns));
    write_ms(json, "shortest_ms", row->shortest_ns);
    write_ms(json, "longest_ms", row->longest_ns);
    write_ms(json, "critical_ms", row->critical_ns);
    write_tokens(json, "input_tokens", row->input_tokens);
    write_tokens(json, "output_tokens", row->output_tokens);
    write_note(json, row->note);
    mw_json_kv_u64(json, "errors", row->errors);
    write_failed(work, row);
}

static void write_log(const outline *work, const mw_tree_row *row)
{
    mw_json *json = &work->call->json;
    const outline_log *kept = &work->logs[work->source[row->first] - work->trace.span_count];
    const mw_log_row *log = &kept->row;
    mw_json_kv_time(json, "time", log->time_ns);
    mw_json_kv_i64(json, "severity", log->severity);
    mw_json_kv_or_null(json, "event_name", log->event_name);
    mw_json_kv_or_null(json, "service", log->service);
    mw_json_kv_or_null(json, "text", kept->text);
    write_id(json, "span_id", log->span_id);
}

static void write_row(const outline *work, const mw_tree_row *row)
{
    mw_json *json = &work->call->json;
    bool log = work->source[row->first] >= work->trace.span_count;
    mw_json_object_begin(json);
    mw_json_kv(json, "type", log ? MW_SLICE("log") : MW_SLICE("span"));
    mw_json_kv_u64(json, "depth", row->depth);
    mw_json_kv_u64(json, "count", row->count);
    if (log) {
        write_log(work, row);
    } else {
        write_span(work, row);
        write_counts(json, "hidden", &row->hidden);
    }
    mw_json_object_end(json);
}

/* Of the whole trace: what has no row may have taken most of the time. */
static void write_top(const outline *work)
{
    mw_json *json = &work->call->json;
    mw_json_key(json, MW_SLICE("critical_top"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < work->tree.top_count; i++) {
        const mw_tree_share *share = &work->tree.top[i];
        const mw_span_row *span = row_of(work, share->most);
        mw_json_object_begin(json);
        write_what(json, span_of(work, share->most));
        mw_json_kv_u64(json, "count", share->count);
        write_id(json, "span_id", span->span_id);
        write_ms(json, "critical_ms", share->critical_ns);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static mw_err write_tree(const outline *work)
{
    mw_json *json = &work->call->json;
    mw_json_object_begin(json);
    mw_shape_trace_head(json, &work->trace.summary, false);
    write_ms(json, "critical_ms", work->tree.critical_ns);
    write_top(work);
    mw_json_key(json, MW_SLICE("rows"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < work->tree.count; i++)
        write_row(work, &work->tree.rows[i]);
    mw_json_array_end(json);
    write_counts(json, "hidden", &work->tree.hidden);
    mw_json_kv_u64(json, "logs_left_out", work->logs_left_out);
    mw_api_warnings(work->call);
    mw_json_object_end(json);
    return work->call->text.err;
}

/* ---- the question --------------------------------------------------------------------------- */

static mw_err read_rows(mw_api_call *call, size_t *rows, bool *unfold)
{
    mw_slice text;
    uint64_t value = ROWS_DEFAULT;
    mw_err err = mw_api_filter(call, "rows", &text);
    if (!err && text.data && (mw_slice_u64(text, &value) || value < 1 || value > ROWS_MAX))
        return mw_detail_set(&call->detail, MW_E_INVALID, "rows", "use 1 to 10000",
                             "not a number from 1 to %d", ROWS_MAX);
    *rows = (size_t)value;
    return err ? err : mw_api_switch(call, "unfold", unfold);
}

static mw_err read_trace(outline *work, mw_store_view *view, mw_slice id)
{
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    mw_err err = mw_store_trace_find(view, id, trace_id);
    if (!err)
        err = mw_store_trace_outline(view, trace_id, &work->call->arena, &work->trace);
    if (!err)
        err = mw_store_trace_tools(view, &work->trace, &work->call->arena);
    if (!err)
        err = read_logs(work, view);
    return err ? err : make_items(work);
}

mw_err mw_api_trace_tree(mw_api_call *call)
{
    outline work = {.call = call};
    mw_store_view *view;
    char digits[MW_ID_TEXT_SIZE];
    mw_slice id;
    size_t rows = 0;
    bool unfold = false;
    mw_err err = mw_api_check_filters(call);
    if (!err)
        err = read_rows(call, &rows, &unfold);
    if (!err)
        err = mw_api_hex_id(call, mw_trace_id_digits(call->request->params[0], digits), &id);
    if (!err)
        err = mw_api_view_open(call, &view);
    if (err)
        return err;
    err = read_trace(&work, view, id);
    mw_store_view_close(view);
    if (!err)
        err = mw_tree_build(work.items, work.count, rows, !unfold, &work.tree);
    if (!err)
        err = write_tree(&work);
    mw_tree_fini(&work.tree);
    return err;
}
