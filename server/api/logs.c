/* GET /api/v1/logs, and the logs of one trace. */
#include "lib/base/trace_id.h"
#include "server/api/api_int.h"
#include "server/api/follower.h"
#include "server/api/log_follower.h"
#include "server/api/otlp_answer.h"
#include "server/api/shape_log.h"

const char *const mw_api_log_filters[] = {
    "service",   "session",    "trace",     "span",    "severity", "text",   "event", "agent",
    "log_group", "log_stream", "attribute", "pattern", "follow",   "format", NULL};

/* ---- filters ------------------------------------------------------------------------------- */

/* A whole id may be of a trace that only logs speak of; a prefix is looked up among spans. */
static mw_err read_trace(mw_api_call *call, mw_store_view *view, uint8_t id[MW_TRACE_ID_SIZE])
{
    mw_slice text;
    char digits[MW_ID_TEXT_SIZE];
    mw_err err = mw_api_filter(call, "trace", &text);
    if (err || !text.data)
        return err;
    text = mw_trace_id_digits(text, digits);
    if (text.len < MW_ID_PREFIX_MIN || text.len > 2 * MW_TRACE_ID_SIZE || !mw_is_hex(text))
        return mw_detail_set(&call->detail, MW_E_INVALID, "trace",
                             "give the trace's id, or at least its first 6 digits",
                             "an id is 6 to 32 hexadecimal digits");
    err = text.len == 2 * MW_TRACE_ID_SIZE ? mw_hex_decode(text, id, MW_TRACE_ID_SIZE)
                                           : mw_store_trace_find(view, text, id);
    if (err == MW_E_NOT_FOUND)
        return mw_detail_set(&call->detail, err, "trace",
                             "midwatch trace list shows which there are",
                             "no trace's id begins like that");
    if (err == MW_E_AMBIGUOUS)
        return mw_detail_set(&call->detail, err, "trace", "give more digits of the id",
                             "more than one trace has that prefix");
    /* Zero would match all. */
    if (!err && mw_id_is_zero(id, MW_TRACE_ID_SIZE))
        return mw_detail_set(&call->detail, MW_E_INVALID, "trace", "leave it out to match all",
                             "an id is not all zero");
    return err;
}

static mw_err read_span(mw_api_call *call, uint8_t id[MW_SPAN_ID_SIZE])
{
    mw_slice text;
    mw_err err = mw_api_filter(call, "span", &text);
    if (err || !text.data)
        return err;
    if (mw_hex_decode(text, id, MW_SPAN_ID_SIZE) || mw_id_is_zero(id, MW_SPAN_ID_SIZE))
        return mw_detail_set(&call->detail, MW_E_INVALID, "span", "midwatch trace show lists them",
                             "a span's id is 16 hexadecimal digits, not all zero");
    return MW_OK;
}

static mw_err read_severity(mw_api_call *call, uint8_t *out)
{
    mw_slice text;
    mw_err err = mw_api_filter(call, "severity", &text);
    if (err || !text.data || mw_severity_parse(text, out))
        return err;
    return mw_detail_set(&call->detail, MW_E_INVALID, "severity",
                         "TRACE, DEBUG, INFO, WARN, ERROR, FATAL, or a number from 0 to 24",
                         "no such severity");
}

static mw_err read_query(mw_api_call *call, mw_store_view *view, mw_log_query *query)
{
    const struct {
        const char *name;
        mw_slice *value;
    } texts[] = {{"service", &query->service},
                 {"session", &query->session_id},
                 {"agent", &query->agent},
                 {"event", &query->event_name},
                 {"text", &query->text},
                 {"pattern", &query->pattern},
                 {"log_group", &query->origin[MW_ORIGIN_LOG_GROUP]},
                 {"log_stream", &query->origin[MW_ORIGIN_LOG_STREAM]}};
    mw_err err = MW_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && !err; i++)
        err = mw_api_filter(call, texts[i].name, texts[i].value);
    if (!err && query->pattern.len)
        err = mw_log_pattern_check(query->pattern, &call->detail);
    if (!err)
        err = mw_api_attributes(call, &query->attributes, &query->attribute_count);
    if (!err)
        err = read_severity(call, &query->severity_min);
    if (!err)
        err = read_span(call, query->span_id);
    if (!err)
        err = read_trace(call, view, query->trace_id);
    return err;
}

/* ---- follow -------------------------------------------------------------------------------- */

/* Where the client was, else from the beginning for what is as new as `since`, else from now. */
static mw_err read_place(mw_api_call *call, mw_store_view *view, mw_log_following *following)
{
    uint64_t seq = mw_store_view_seq(view);
    mw_slice last = mw_sse_last_event_id(call->request);
    following->after = (mw_log_position){seq, UINT32_MAX};
    if (!last.len) {
        if (following->since_ns)
            following->after = (mw_log_position){0, 0};
        return MW_OK;
    }
    if (mw_log_position_parse(last, &following->after) == MW_OK && following->after.seq <= seq)
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "Last-Event-ID",
                         "leave the header out to begin now",
                         "not the id of an event of this store");
}

static mw_err follow_logs(mw_api_call *call, const mw_api_page *page)
{
    mw_store_view *view;
    mw_log_following following = {.since_ns = page->since_ns};
    static const char *const pages[] = {"limit", "cursor", "until", "format", NULL};
    mw_err err = mw_follower_refuse(call, pages);
    if (!err)
        err = mw_api_view_open(call, &view);
    if (err)
        return err;
    err = read_query(call, view, &following.query);
    if (!err)
        err = read_place(call, view, &following);
    mw_store_view_close(view);
    return err ? err : mw_log_follower_prepare(call, &following);
}

/* ---- list ---------------------------------------------------------------------------------- */

static mw_err write_records(mw_api_call *call, const mw_log_list *list, size_t *written)
{
    mw_record_writer writer;
    mw_err err = MW_OK;
    mw_record_writer_init(&writer, &call->json);
    for (; *written < list->count && !err; *written += !err)
        err = mw_record_write(&writer, &list->items[*written]);
    mw_record_writer_fini(&writer);
    return err;
}

typedef struct log_question {
    mw_log_query query;
    bool otlp;
} log_question;

static mw_err write_items(mw_api_call *call, const mw_log_query *query, const mw_log_list *list,
                          size_t *written)
{
    mw_api_list_begin(call);
    mw_err err = write_records(call, list, written);
    if (err)
        return err;
    mw_api_items_end(call);
    if (query->pattern.len)
        mw_json_kv_u64(&call->json, "pattern_undecided", list->undecided);
    mw_api_list_close(call, list->next_cursor, -1);
    return MW_OK;
}

static mw_err read_list(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                        const mw_log_query *query, mw_log_list *list)
{
    *list = (mw_log_list){.items = NULL};
    mw_err err = mw_store_log_list(view, bounds, query, &call->arena, list);
    if (err && list->given_up)
        return mw_detail_set(&call->detail, err, "pattern", MW_API_PATTERN_HINT, "%s",
                             MW_API_PATTERN_GIVEN_UP);
    return err ? mw_api_cursor_error(call, err) : MW_OK;
}

/* Of mw_otlp_source. */
static mw_err read_otlp(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                        const void *query, mw_otlp_answer *answer)
{
    mw_log_list list;
    mw_err err = read_list(call, view, bounds, query, &list);
    if (!err)
        err = mw_otlp_answer_init(answer, call, MW_JSON_LOGS, list.count);
    if (err)
        return err;
    for (size_t i = 0; i < list.count; i++)
        mw_otlp_answer_log(answer, &list.items[i]);
    answer->next_cursor = list.next_cursor;
    answer->undecided = list.undecided;
    return MW_OK;
}

/* For mw_api_list_page. */
static mw_err write_page(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                         const void *question, size_t *written)
{
    const log_question *asked = question;
    const mw_otlp_source source = {.read = read_otlp, .query = &asked->query};
    mw_log_list list;
    if (asked->otlp)
        return mw_otlp_page(call, view, bounds, &source, written);
    mw_err err = read_list(call, view, bounds, &asked->query, &list);
    return err ? err : write_items(call, &asked->query, &list, written);
}

mw_err mw_api_log_list(mw_api_call *call)
{
    mw_api_page page;
    mw_store_view *view;
    log_question asked = {.otlp = false};
    bool follow;
    mw_err err = mw_api_page_read(call, mw_api_log_filters, &page);
    if (!err)
        err = mw_api_switch(call, "follow", &follow);
    if (!err && follow)
        return follow_logs(call, &page);
    if (!err)
        err = mw_api_format(call, &asked.otlp);
    if (!err)
        err = mw_api_view_open(call, &view);
    if (err)
        return err;
    err = read_query(call, view, &asked.query);
    if (!err)
        err = mw_api_list_page(call, &page, write_page, view, &asked);
    mw_store_view_close(view);
    return err;
}

/* ---- of a trace ---------------------------------------------------------------------------- */

/* Pages come newest first; the trace shows the oldest first, so they are kept in a chain whose
 * head is the oldest. */
typedef struct log_page {
    mw_log_list list;
    struct log_page *newer;
} log_page;

static size_t page_bytes(const mw_log_list *list)
{
    size_t bytes = 0;
    for (size_t i = 0; i < list->count; i++)
        bytes += list->items[i].bytes.len;
    return bytes;
}

/* All records of the trace. MW_E_LIMIT as soon as they cannot fit the answer: a record's JSON is
 * longer than its bytes. */
static mw_err read_pages(mw_api_call *call, mw_store_view *view, const mw_log_query *query,
                         log_page **oldest)
{
    size_t bytes = 0;
    mw_store_page bounds = {.limit = MW_API_LIMIT_MAX, .cursor = MW_SLICE_NONE};
    do {
        log_page *page = mw_arena_zalloc(&call->arena, 1, sizeof *page);
        if (!page)
            return MW_E_NOMEM;
        mw_err err = mw_store_log_list(view, &bounds, query, &call->arena, &page->list);
        if (err)
            return mw_stored_error(err);
        bytes += page_bytes(&page->list);
        if (bytes > MW_API_ANSWER_MAX)
            return MW_E_LIMIT;
        page->newer = *oldest;
        *oldest = page;
        bounds.cursor = page->list.next_cursor;
    } while (bounds.cursor.len);
    return MW_OK;
}

mw_err mw_api_logs_of_trace(mw_api_call *call, mw_store_view *view,
                            const uint8_t trace_id[MW_TRACE_ID_SIZE])
{
    log_page *page = NULL;
    mw_record_writer writer;
    mw_log_query query = {.severity_min = 0};
    memcpy(query.trace_id, trace_id, sizeof query.trace_id);
    mw_err err = read_pages(call, view, &query, &page);
    if (err)
        return err;
    mw_record_writer_init(&writer, &call->json);
    mw_json_key(&call->json, MW_SLICE("logs"));
    mw_json_array_begin(&call->json);
    for (; page && !err; page = page->newer)
        for (size_t i = page->list.count; i-- > 0 && !err;)
            err = mw_record_write(&writer, &page->list.items[i]);
    mw_record_writer_fini(&writer);
    if (!err)
        mw_json_array_end(&call->json);
    return err;
}
