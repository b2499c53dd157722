/* GET /api/v1/sessions/{id}/turns: a session as its conversation, one turn a trace, newest first.
 *
 * A turn's figures are those of the spans that resolve to the session, so that all turns add up to
 * it. Each trace's columns are read by themselves and given up again; of the spans that may tell
 * what was asked and answered only the places are kept, and their items read together, since
 * neighbours share blocks. Where spans say nothing, the session's log records are asked, once for
 * the whole page. Pool threads.
 */
#include "server/api/api_int.h"
#include "server/api/conversation.h"
#include "server/api/shape_context.h"

/* Of one trace: the outermost agents, the first and the last calls of models. */
#define WITNESSES_MAX 8u
/* Distinct tools, models and agents of a turn that are named; failed spans likewise. */
#define NAMES_MAX 16u
#define FAILURES_MAX 3u
/* Items read at a time: blocks are unpacked once for those of them that they hold. */
#define ITEMS_AT_ONCE 256u
/* Log records of the page's time that are looked through. */
#define LOGS_PAGE 500
#define LOGS_MAX 5000u

typedef struct named {
    mw_slice name;
    uint64_t calls, errors;
} named;

typedef struct failure {
    uint8_t span_id[MW_SPAN_ID_SIZE];
    mw_slice name, message;
} failure;

typedef struct turn {
    const mw_trace_summary *trace;
    uint64_t number; /* 1 = the oldest trace of the session */
    uint64_t spans, errors, model_calls, tool_calls;
    int64_t input_tokens, output_tokens;
    named tools[NAMES_MAX], models[NAMES_MAX];
    size_t tool_count, model_count;
    failure failures[FAILURES_MAX];
    size_t failure_count;
    mw_slice agent;
    mw_said said;
} turn;

/* A span that may tell what was said. */
typedef struct witness {
    mw_trace_span span; /* place alone, until its item is read */
    uint32_t turn;
    unsigned rank;
} witness;

typedef struct reading {
    mw_api_call *call;
    mw_store_view *view;
    mw_session session;
    turn *turns;
    size_t turn_count;
    witness *witnesses;
    size_t witness_count;
    mw_slice next_cursor;
} reading;

/* ---- figures of one turn -------------------------------------------------------------------- */

/* Beyond so many names the others are not told. NULL then, and without memory. */
static named *find_name(mw_arena *arena, named *names, size_t *count, mw_slice name)
{
    for (size_t i = 0; i < *count; i++)
        if (mw_slice_equal(names[i].name, name))
            return &names[i];
    if (*count == NAMES_MAX)
        return NULL;
    names[*count] = (named){.name = mw_arena_copy(arena, name)};
    return names[*count].name.data ? &names[(*count)++] : NULL;
}

static void count_name(mw_arena *arena, named *names, size_t *count, mw_slice name, bool failed)
{
    named *found = name.len ? find_name(arena, names, count, name) : NULL;
    if (!found)
        return;
    found->calls++;
    found->errors += failed;
}

static void add_tokens(int64_t *total, int64_t tokens)
{
    if (tokens > 0 && __builtin_add_overflow(*total, tokens, total))
        *total = INT64_MAX;
}

/* The last are told: what failed within a span comes behind it. The texts are the trace's. */
static void add_failure(turn *to, const mw_span_row *row)
{
    if (to->failure_count == FAILURES_MAX)
        memmove(to->failures, to->failures + 1, (FAILURES_MAX - 1) * sizeof to->failures[0]);
    else
        to->failure_count++;
    failure *told = &to->failures[to->failure_count - 1];
    memcpy(told->span_id, row->span_id, sizeof told->span_id);
    told->name = row->name;
    told->message = row->status_message;
}

/* Before the trace goes. */
static mw_err keep_failures(mw_arena *arena, turn *to)
{
    for (size_t i = 0; i < to->failure_count; i++) {
        failure *told = &to->failures[i];
        told->name = mw_arena_copy(arena, told->name);
        told->message = mw_arena_copy(arena, told->message);
        if (!told->name.data || !told->message.data)
            return MW_E_NOMEM;
    }
    return MW_OK;
}

static void add_span(mw_arena *arena, turn *to, const mw_trace_span *span)
{
    const mw_span_row *row = &span->row;
    bool failed = row->status == 2;
    to->spans++;
    to->errors += failed;
    to->model_calls += span->model_call;
    to->tool_calls += span->tool_call;
    add_tokens(&to->input_tokens, span->counted_input);
    add_tokens(&to->output_tokens, span->counted_output);
    if (row->operation_kind == MW_OP_TOOL)
        count_name(arena, to->tools, &to->tool_count, span->tool, failed);
    if (row->operation_kind == MW_OP_MODEL)
        count_name(arena, to->models, &to->model_count, row->model, failed);
    if (!to->agent.len && row->agent.len)
        to->agent = mw_arena_copy(arena, row->agent);
    if (failed)
        add_failure(to, row);
}

/* ---- who may tell what was said ------------------------------------------------------------- */

static bool is_outer(const mw_span_row *row)
{
    return row->operation_kind == MW_OP_AGENT || row->operation_kind == MW_OP_WORKFLOW ||
           mw_id_is_zero(row->parent_span_id, sizeof row->parent_span_id);
}

static void add_witness(reading *work, const mw_trace_span *span, unsigned rank)
{
    witness *added = &work->witnesses[work->witness_count++];
    *added = (witness){.turn = (uint32_t)(work->turn_count - 1), .rank = rank};
    added->span.place = span->place;
}

/* Spans come by start. Half of the places are for what surrounds the others, the rest for models'
 * calls, of which the last ones answer. */
static void choose_witnesses(reading *work, const mw_trace *trace, mw_slice session)
{
    const mw_trace_span *last[WITNESSES_MAX / 4] = {NULL};
    size_t outer = 0, models = 0, first = 0;
    for (size_t i = 0; i < trace->span_count; i++) {
        const mw_trace_span *span = &trace->spans[i];
        if (!mw_slice_equal(span->row.session_id, session))
            continue;
        if (is_outer(&span->row) && outer < WITNESSES_MAX / 2) {
            add_witness(work, span, 0);
            outer++;
        } else if (span->row.operation_kind == MW_OP_MODEL && first < WITNESSES_MAX / 4) {
            add_witness(work, span, 1);
            first++;
        } else if (span->row.operation_kind == MW_OP_MODEL) {
            last[models++ % (WITNESSES_MAX / 4)] = span;
        }
    }
    for (size_t i = 0; i < WITNESSES_MAX / 4; i++)
        if (last[i])
            add_witness(work, last[i], 1);
}

static mw_err read_turn(reading *work, const mw_trace_summary *summary)
{
    mw_arena scratch;
    mw_trace trace;
    mw_arena *arena = &work->call->arena;
    mw_slice session = work->session.summary.session_id;
    turn *to = &work->turns[work->turn_count++];
    *to = (turn){.trace = summary,
                 .number = work->session.trace_count - (size_t)(summary - work->session.traces)};
    mw_said_init(&to->said, arena);
    mw_arena_init(&scratch, MW_MEM_QUERY, MW_API_ARENA_MAX);
    mw_err err = mw_store_trace_outline(work->view, summary->trace_id, &scratch, &trace);
    if (!err)
        err = mw_store_trace_tools(work->view, &trace, &scratch);
    for (size_t i = 0; !err && i < trace.span_count; i++)
        if (mw_slice_equal(trace.spans[i].row.session_id, session))
            add_span(arena, to, &trace.spans[i]);
    if (!err)
        err = keep_failures(arena, to);
    if (!err)
        choose_witnesses(work, &trace, session);
    mw_arena_reset(&scratch);
    return err;
}

/* ---- what they say -------------------------------------------------------------------------- */

static int by_place(const void *left, const void *right)
{
    const mw_item_place *a = &((const witness *)left)->span.place,
                        *b = &((const witness *)right)->span.place;
    if (a->block != b->block)
        return a->block < b->block ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static mw_err hear(reading *work, const witness *told)
{
    mw_arena scratch;
    mw_otlp_span *span = NULL;
    if (told->span.oversized)
        return MW_OK;
    mw_arena_init(&scratch, MW_MEM_QUERY, MW_SHAPE_SCRATCH_MAX);
    mw_err err = mw_stored_error(mw_unpack_span(told->span.bytes, &scratch, &span));
    if (!err)
        err = mw_said_by_span(&work->turns[told->turn].said, told->rank, span);
    mw_arena_reset(&scratch);
    return err;
}

static mw_err hear_some(reading *work, witness *from, size_t count)
{
    mw_trace_span *spans[ITEMS_AT_ONCE];
    mw_arena items;
    MW_ASSERT(count <= ITEMS_AT_ONCE);
    for (size_t i = 0; i < count; i++)
        spans[i] = &from[i].span;
    mw_arena_init(&items, MW_MEM_QUERY, MW_API_ARENA_MAX);
    mw_err err = mw_store_trace_items(work->view, spans, count, &items);
    for (size_t i = 0; !err && i < count; i++)
        err = hear(work, &from[i]);
    mw_arena_reset(&items);
    return err;
}

/* Where items are so large that few of them fit, fewer are taken at a time. */
static mw_err hear_all(reading *work)
{
    size_t at = 0, step = ITEMS_AT_ONCE;
    if (work->witness_count > 1)
        qsort(work->witnesses, work->witness_count, sizeof *work->witnesses, by_place);
    while (at < work->witness_count) {
        size_t left = work->witness_count - at, count = step < left ? step : left;
        mw_err err = hear_some(work, work->witnesses + at, count);
        if ((err == MW_E_NOMEM || err == MW_E_LIMIT) && step > 1) {
            step /= 4;
            step = step ? step : 1;
            continue;
        }
        if (err)
            return err;
        at += count;
    }
    return MW_OK;
}

/* ---- what log records say ------------------------------------------------------------------- */

static turn *turn_of(const reading *work, const uint8_t *trace_id)
{
    for (size_t i = 0; i < work->turn_count; i++)
        if (memcmp(work->turns[i].trace->trace_id, trace_id, MW_TRACE_ID_SIZE) == 0)
            return &work->turns[i];
    return NULL;
}

static mw_err hear_log(const reading *work, const mw_log_record *record)
{
    mw_arena scratch;
    mw_otlp_log *log = NULL;
    turn *to = turn_of(work, record->row.trace_id);
    if (!to || record->oversized)
        return MW_OK;
    mw_arena_init(&scratch, MW_MEM_QUERY, MW_SHAPE_SCRATCH_MAX);
    mw_err err = mw_stored_error(mw_unpack_log(record->bytes, &scratch, &log));
    if (!err)
        err = mw_said_by_log(&to->said, 2, record->row.event_name, record->row.time_ns, log);
    mw_arena_reset(&scratch);
    return err;
}

/* Silent turns with log records, and the time they take. */
static bool silent_time(const reading *work, uint64_t *since_ns, uint64_t *until_ns)
{
    bool any = false;
    *since_ns = UINT64_MAX;
    *until_ns = 0;
    for (size_t i = 0; i < work->turn_count; i++) {
        const turn *at = &work->turns[i];
        if (at->trace->logs == 0 || (at->said.asked.text.len && at->said.answered.text.len))
            continue;
        any = true;
        *since_ns = at->trace->start_ns < *since_ns ? at->trace->start_ns : *since_ns;
        *until_ns = at->trace->end_ns > *until_ns ? at->trace->end_ns : *until_ns;
    }
    return any;
}

static mw_err hear_log_page(reading *work, const mw_store_page *page, mw_slice *cursor)
{
    mw_arena pages;
    mw_log_list list;
    mw_log_query query = {.session_id = work->session.summary.session_id};
    mw_arena_init(&pages, MW_MEM_QUERY, MW_API_ARENA_MAX);
    mw_err err = mw_store_log_list(work->view, page, &query, &pages, &list);
    for (size_t i = 0; !err && i < list.count; i++)
        err = hear_log(work, &list.items[i]);
    *cursor = MW_SLICE_NONE;
    if (!err && list.next_cursor.len) {
        *cursor = mw_arena_copy(&work->call->arena, list.next_cursor);
        err = cursor->data ? MW_OK : MW_E_NOMEM;
    }
    mw_arena_reset(&pages);
    return err;
}

/* Records of a span come when it has ended, or a little later. */
#define LATE_NS (60 * (uint64_t)MW_NS_PER_S)

static mw_err hear_logs(reading *work)
{
    mw_store_page page = {.limit = LOGS_PAGE, .cursor = MW_SLICE_NONE};
    size_t seen = 0;
    mw_slice cursor;
    if (!silent_time(work, &page.since_ns, &page.until_ns))
        return MW_OK;
    page.until_ns = page.until_ns < UINT64_MAX - LATE_NS ? page.until_ns + LATE_NS : 0;
    do {
        mw_err err = hear_log_page(work, &page, &cursor);
        if ((err == MW_E_NOMEM || err == MW_E_LIMIT) && page.limit > 1) {
            page.limit /= 2;
            cursor = page.cursor;
            continue;
        }
        if (err)
            return err;
        seen += page.limit;
        page.cursor = cursor;
    } while (page.cursor.len && seen < LOGS_MAX);
    return MW_OK;
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* A cursor is the last turn's start and trace id in hexadecimal digits: what comes behind it does
 * not change when newer traces arrive. */
#define CURSOR_SIZE (sizeof(uint64_t) + MW_TRACE_ID_SIZE)

static mw_err read_cursor(mw_slice text, mw_trace_summary *last)
{
    unsigned char bytes[CURSOR_SIZE];
    if (text.len != 2 * CURSOR_SIZE || mw_hex_decode(text, bytes, sizeof bytes))
        return MW_E_SYNTAX;
    last->start_ns = 0;
    for (size_t i = 0; i < sizeof(uint64_t); i++)
        last->start_ns = last->start_ns << 8 | bytes[i];
    memcpy(last->trace_id, bytes + sizeof(uint64_t), MW_TRACE_ID_SIZE);
    return MW_OK;
}

static mw_err write_cursor(mw_arena *arena, const mw_trace_summary *last, mw_slice *out)
{
    char id[2 * MW_TRACE_ID_SIZE + 1];
    mw_hex_encode(last->trace_id, MW_TRACE_ID_SIZE, id);
    const char *text = mw_arena_printf(arena, "%016llx%.*s", (unsigned long long)last->start_ns,
                                       2 * MW_TRACE_ID_SIZE, id);
    *out = text ? mw_slice_of(text) : MW_SLICE_NONE;
    return text ? MW_OK : MW_E_NOMEM;
}

static bool is_behind(const mw_trace_summary *trace, const mw_trace_summary *last)
{
    if (trace->start_ns != last->start_ns)
        return trace->start_ns < last->start_ns;
    return memcmp(trace->trace_id, last->trace_id, MW_TRACE_ID_SIZE) > 0;
}

/* Which of the session's traces, newest first, the page has: [*first, *first + the result). */
static size_t find_page(const reading *work, const mw_api_page *page, const mw_trace_summary *last,
                        size_t *first)
{
    const mw_session *session = &work->session;
    size_t at = 0, count = 0;
    while (at < session->trace_count &&
           ((page->cursor.len && !is_behind(&session->traces[at], last)) ||
            (page->until_ns && session->traces[at].start_ns >= page->until_ns)))
        at++;
    *first = at;
    while (count < page->limit && at + count < session->trace_count &&
           session->traces[at + count].start_ns >= page->since_ns)
        count++;
    return count;
}

static mw_err read_page(reading *work, const mw_api_page *page, const mw_trace_summary *last)
{
    mw_arena *arena = &work->call->arena;
    size_t first, count = find_page(work, page, last, &first);
    const mw_session *session = &work->session;
    mw_err err = MW_OK;
    work->turns = mw_arena_alloc(arena, (count + 1) * sizeof *work->turns);
    work->witnesses = mw_arena_alloc(arena, (count + 1) * WITNESSES_MAX * sizeof *work->witnesses);
    if (!work->turns || !work->witnesses)
        return MW_E_NOMEM;
    for (size_t i = 0; !err && i < count; i++)
        err = read_turn(work, &session->traces[first + i]);
    if (!err)
        err = hear_all(work);
    if (!err)
        err = hear_logs(work);
    bool more = first + count < session->trace_count && count > 0 &&
                session->traces[first + count].start_ns >= page->since_ns;
    if (!err && more)
        err = write_cursor(arena, &session->traces[first + count - 1], &work->next_cursor);
    return err;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void write_names(mw_json *json, const char *key, const named *names, size_t count)
{
    mw_json_key(json, mw_slice_of(key));
    mw_json_array_begin(json);
    for (size_t i = 0; i < count; i++) {
        mw_json_object_begin(json);
        mw_json_kv(json, "name", names[i].name);
        mw_json_kv_u64(json, "calls", names[i].calls);
        mw_json_kv_u64(json, "errors", names[i].errors);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_failures(mw_json *json, const turn *from)
{
    mw_json_key(json, MW_SLICE("failed"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < from->failure_count; i++) {
        mw_json_object_begin(json);
        mw_json_key(json, MW_SLICE("span_id"));
        mw_json_hex(json, from->failures[i].span_id, MW_SPAN_ID_SIZE);
        mw_json_kv(json, "name", from->failures[i].name);
        mw_json_kv_or_null(json, "status_message", from->failures[i].message);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_turn(mw_json *json, const turn *from)
{
    const mw_trace_summary *trace = from->trace;
    mw_json_object_begin(json);
    mw_json_kv_u64(json, "number", from->number);
    mw_json_key(json, MW_SLICE("trace_id"));
    mw_json_hex(json, trace->trace_id, sizeof trace->trace_id);
    mw_json_kv_or_null(json, "root_name", trace->root_name);
    mw_json_kv_or_null(json, "service", trace->service);
    mw_json_kv_or_null(json, "agent", from->agent);
    mw_json_kv_time(json, "start", trace->start_ns);
    mw_json_kv_double(json, "duration_ms", mw_duration_ms(trace->start_ns, trace->end_ns));
    mw_json_kv_u64(json, "spans", from->spans);
    mw_json_kv_u64(json, "errors", from->errors);
    mw_json_kv_u64(json, "model_calls", from->model_calls);
    mw_json_kv_u64(json, "tool_calls", from->tool_calls);
    mw_json_kv_i64(json, "input_tokens", from->input_tokens);
    mw_json_kv_i64(json, "output_tokens", from->output_tokens);
    mw_json_kv_or_null(json, "asked", from->said.asked.text);
    mw_json_kv_bool(json, "asked_cut", from->said.asked.cut);
    mw_json_kv_or_null(json, "answered", from->said.answered.text);
    mw_json_kv_bool(json, "answered_cut", from->said.answered.cut);
    write_names(json, "tools", from->tools, from->tool_count);
    write_names(json, "models", from->models, from->model_count);
    write_failures(json, from);
    mw_json_object_end(json);
}

static mw_err write_page(const reading *work)
{
    mw_api_call *call = work->call;
    mw_json_object_begin(&call->json);
    mw_shape_session_head(call, &work->session.summary);
    mw_json_key(&call->json, MW_SLICE("items"));
    mw_json_array_begin(&call->json);
    for (size_t i = 0; i < work->turn_count; i++)
        write_turn(&call->json, &work->turns[i]);
    mw_api_items_end(call);
    mw_api_list_close(call, work->next_cursor, (int64_t)work->session.trace_count);
    return call->text.err;
}

mw_err mw_api_session_turns(mw_api_call *call)
{
    reading work = {.call = call};
    mw_api_page page;
    mw_trace_summary last = {.start_ns = 0};
    mw_err err = mw_api_page_read(call, NULL, &page);
    if (!err && page.cursor.len)
        err = mw_api_cursor_error(call, read_cursor(page.cursor, &last));
    if (!err)
        err = mw_api_view_open(call, &work.view);
    if (err)
        return err;
    err = mw_store_session_read(work.view, call->request->params[0], &call->arena, &work.session);
    if (!err)
        err = read_page(&work, &page, &last);
    mw_store_view_close(work.view);
    return err ? err : write_page(&work);
}
