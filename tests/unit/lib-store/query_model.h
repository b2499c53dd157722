/* The naive model of the store: everything in arrays, every rule written the slow way.
 *
 * Random spans and log records with a fixed seed are appended and remembered, with data points
 * between them that must not matter; what the questions should answer is computed from the arrays
 * by search and recursion, in other words than the program's. Used by test_queries.c and
 * test_log_queries.c.
 */
#ifndef MW_TEST_QUERY_MODEL_H
#define MW_TEST_QUERY_MODEL_H

#include "proto/wire.h"
#include "tests/unit/lib-store/test_merger.h"

typedef struct model_span {
    uint64_t trace, span, parent, start, end;
    uint64_t seq; /* order of arrival */
    uint64_t commit;
    uint32_t row;                      /* of the commit */
    bool merged;                       /* away, because it is a repeat */
    int session, agent, user, service; /* 0 = none, else the name's number */
    int kind, status;
    int64_t in, out;
} model_span;

typedef struct model_log {
    bool has_trace;
    uint64_t trace, span; /* span 0 = none */
    uint64_t time;
    uint64_t seq; /* of the commit */
    uint32_t row;
    int own_session, agent, service, event, severity, group, stream; /* 0 = none */
    char text[64]; /* of the body, somewhere in it */
    char *bytes;
    size_t len;
    int session; /* that it resolves to: by expect() */
} model_log;

typedef struct sent_spans {
    model_span *spans; /* as appended */
    size_t count;
    uint64_t traces;
    uint64_t sessions;
    model_log *logs; /* likewise */
    size_t log_count;
} sent_spans;

/* Sessions and traces that only log records know, behind those of spans. */
#define LOG_SESSIONS 15u
#define LOG_TRACES 5u

typedef struct shape {
    uint64_t seed;
    size_t batches, batch_max;
    uint64_t traces, spans_a_trace, sessions;
    uint64_t time_step; /* between batches */
    uint64_t time_noise;
    size_t sessions_least; /* so that the data reaches what the shape is for */
    size_t logs_max;       /* in a batch of them; 0 = spans alone */
} shape;

/* ---- data ------------------------------------------------------------------------------------ */

static void session_name(char out[128], int number)
{
    /* Some share long prefixes; some exceed what orders a page. */
    if (number % 5 == 0)
        snprintf(out, 128, "a-common-prefix-that-is-longer-than-forty-eight-bytes-%d", number);
    else
        snprintf(out, 128, "s%05d-session", number);
}

static mw_slice name_of(test_batch *batch, const char *kind, int number)
{
    return number ? test_format(batch, kind, (uint64_t)number) : MW_SLICE_NONE;
}

static model_span random_span(test_random *random, const shape *form, uint64_t base)
{
    static const int kinds[] = {MW_OP_OTHER, MW_OP_AGENT, MW_OP_MODEL, MW_OP_TOOL, MW_OP_MODEL};
    model_span span = {0};
    uint64_t near = base / (form->time_step + 1);
    /* Mostly traces of about now, sometimes any. */
    span.trace = random_below(random, 6) ? (near + random_below(random, 12)) % form->traces
                                         : random_below(random, form->traces);
    span.span = 1 + random_below(random, form->spans_a_trace);
    span.parent = random_below(random, 4) ? random_below(random, form->spans_a_trace + 3) : 0;
    span.start = 1000 + base + random_below(random, form->time_noise);
    span.end = random_below(random, 10) ? span.start + random_below(random, 50) : 5;
    if (random_below(random, 3) == 0)
        span.session = (int)(1 + (span.trace * 3 + random_below(random, 3)) % form->sessions);
    span.agent = random_below(random, 3) ? 0 : (int)(1 + random_below(random, 4));
    span.user = random_below(random, 4) ? 0 : (int)(1 + random_below(random, 4));
    span.service = (int)random_below(random, 4);
    span.kind = kinds[random_below(random, 5)];
    span.status = (int)random_below(random, 4);
    span.in = random_below(random, 3) ? (int64_t)random_below(random, 100) : -1;
    span.out = random_below(random, 3) ? (int64_t)random_below(random, 100) : -1;
    return span;
}

static void to_item(test_batch *batch, size_t at, const model_span *span)
{
    mw_span_row *row = &batch->spans[at];
    char session[128];
    test_span(batch, at, span->trace, span->span, span->parent);
    row->start_ns = span->start;
    row->end_ns = span->end;
    row->service = name_of(batch, "service-", span->service);
    row->agent = name_of(batch, "agent-", span->agent);
    row->user = name_of(batch, "user-", span->user);
    row->operation_kind = (uint8_t)span->kind;
    row->status = (uint8_t)span->status;
    row->input_tokens = span->in;
    row->output_tokens = span->out;
    if (span->session) {
        session_name(session, span->session);
        row->session_id = test_text(batch, session, strlen(session));
    }
}

/* The words that bodies are made of; searched in any case. */
static const char *const model_words[] = {"Alpha", "beta", "GAMMA", "alphabet"};

static model_log random_log(test_random *random, const shape *form, uint64_t base)
{
    model_log log = {0};
    uint64_t near = base / (form->time_step + 1);
    log.has_trace = random_below(random, 5) != 0;
    /* Mostly of about now, and ahead: a record may come before its span. */
    log.trace = random_below(random, 6) ? (near + random_below(random, 16)) % form->traces
                                        : random_below(random, form->traces + LOG_TRACES);
    if (log.has_trace && random_below(random, 4))
        log.span = 1 + random_below(random, form->spans_a_trace + 3);
    log.time = 1000 + base + random_below(random, 2 * form->time_noise);
    if (random_below(random, 4) == 0)
        log.own_session = (int)(1 + random_below(random, form->sessions + LOG_SESSIONS));
    log.agent = random_below(random, 3) ? 0 : (int)(1 + random_below(random, 4));
    log.service = (int)random_below(random, 4);
    log.event = random_below(random, 3) ? 0 : (int)(1 + random_below(random, 3));
    log.severity = (int)random_below(random, 25);
    if (random_below(random, 2)) {
        log.group = (int)random_below(random, 3);
        log.stream = (int)random_below(random, 3);
    }
    snprintf(log.text, sizeof log.text, "%s reached %d", model_words[random_below(random, 4)],
             (int)random_below(random, 30));
    return log;
}

/* An AnyValue that holds the text: itself, in a list, in an array, in a list in an array. */
static void put_body(mw_buffer *out, mw_slice text, uint64_t form)
{
    mw_buffer inner[3];
    for (size_t i = 0; i < 3; i++)
        mw_buffer_init(&inner[i], MW_MEM_BASE, 4096);
    mw_wire_append_bytes(&inner[0], 1, text);
    if (form & 1) { /* KeyValueList of one KeyValue */
        mw_wire_append_bytes(&inner[1], 1, MW_SLICE("key of a list"));
        mw_wire_append_bytes(&inner[1], 2, mw_buffer_slice(&inner[0]));
        mw_wire_append_bytes(&inner[2], 1, mw_buffer_slice(&inner[1]));
        mw_buffer_clear(&inner[0]);
        mw_wire_append_bytes(&inner[0], 6, mw_buffer_slice(&inner[2]));
    }
    if (form & 2) { /* ArrayValue of an empty value and this one */
        mw_buffer_clear(&inner[1]);
        mw_wire_append_bytes(&inner[1], 1, MW_SLICE_NONE);
        mw_wire_append_bytes(&inner[1], 1, mw_buffer_slice(&inner[0]));
        mw_buffer_clear(&inner[0]);
        mw_wire_append_bytes(&inner[0], 5, mw_buffer_slice(&inner[1]));
    }
    mw_wire_append_bytes(out, 5, mw_buffer_slice(&inner[0]));
    for (size_t i = 0; i < 3; i++)
        mw_buffer_fini(&inner[i]);
}

/* A LogRecord: a decoy in an attribute, a number of its own, the body. */
static void put_record(model_log *log, uint64_t number)
{
    mw_buffer record;
    char own[64];
    mw_buffer_init(&record, MW_MEM_BASE, 4096);
    snprintf(own, sizeof own, "decoy %llu", (unsigned long long)number);
    mw_wire_append_bytes(&record, 3, mw_slice_of(own)); /* severity_text */
    put_body(&record, mw_slice_of(log->text), number);
    assert_int_equal(record.err, MW_OK);
    log->len = record.len;
    log->bytes = malloc(record.len);
    memcpy(log->bytes, record.data, record.len);
    mw_buffer_fini(&record);
}

static mw_slice origin_of(test_batch *batch, const model_log *log)
{
    char text[128] = "";
    size_t len = 0;
    if (log->group)
        len += (size_t)snprintf(text, sizeof text, "x-aws-log-group=group-%d", log->group);
    if (log->stream)
        len += (size_t)snprintf(text + len, sizeof text - len, "%sx-aws-log-stream=stream-%d",
                                len ? "\n" : "", log->stream);
    return len ? test_text(batch, text, len) : MW_SLICE_NONE;
}

static void to_log_item(test_batch *batch, size_t at, const model_log *log)
{
    mw_log_row *row = &batch->logs[at];
    char session[128];
    if (log->has_trace)
        trace_id_of(row->trace_id, log->trace);
    put_id(row->span_id, 8, log->span);
    row->time_ns = log->time;
    row->severity = (uint8_t)log->severity;
    row->service = name_of(batch, "service-", log->service);
    row->agent = name_of(batch, "agent-", log->agent);
    row->event_name = name_of(batch, "event-", log->event);
    row->origin = origin_of(batch, log);
    if (log->own_session) {
        session_name(session, log->own_session);
        row->session_id = test_text(batch, session, strlen(session));
    }
    batch->items[at].bytes = test_text(batch, log->bytes, log->len);
}

/* `base` with late ones in between. */
static uint64_t some_time(test_random *random, uint64_t base)
{
    return random_below(random, 30) == 0 ? random_below(random, base + 1) : base;
}

static void append_spans_of(mw_store *store, sent_spans *all, const shape *form,
                            test_random *random, uint64_t base)
{
    test_batch batch;
    uint64_t commit = 0;
    size_t count = 1 + random_below(random, form->batch_max);
    test_batch_init(&batch, count);
    for (size_t k = 0; k < count; k++) {
        model_span span = random_span(random, form, some_time(random, base));
        span.seq = all->count;
        span.row = (uint32_t)k;
        to_item(&batch, k, &span);
        all->spans[all->count++] = span;
    }
    assert_int_equal(append_wait(store, &batch.batch, &commit), MW_OK);
    for (size_t k = 1; k <= count; k++)
        all->spans[all->count - k].commit = commit;
    test_batch_fini(&batch);
}

static void append_logs_of(mw_store *store, sent_spans *all, const shape *form, test_random *random,
                           uint64_t base)
{
    test_batch batch;
    uint64_t seq = 0;
    size_t count = 1 + random_below(random, form->logs_max);
    test_batch_init_of(&batch, MW_SIGNAL_LOGS, count);
    for (size_t k = 0; k < count; k++) {
        model_log *log = &all->logs[all->log_count + k];
        *log = random_log(random, form, some_time(random, base));
        put_record(log, all->log_count + k);
        to_log_item(&batch, k, log);
    }
    assert_int_equal(append_wait(store, &batch.batch, &seq), MW_OK);
    for (size_t k = 0; k < count; k++, all->log_count++) {
        all->logs[all->log_count].seq = seq;
        all->logs[all->log_count].row = (uint32_t)k;
    }
    test_batch_fini(&batch);
}

/* A session that only a point names is none, nor does it make a prefix ambiguous. */
#define POINT_SESSION "s00001-of-a-point"

static void append_point(mw_store *store, uint64_t base)
{
    test_batch batch;
    test_batch_init_of(&batch, MW_SIGNAL_METRICS, 1);
    test_point(&batch, 0, 1, base);
    batch.points[0].session_id = MW_SLICE(POINT_SESSION);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static void fill(mw_store *store, sent_spans *all, const shape *form)
{
    test_random random = {form->seed};
    memset(all, 0, sizeof *all);
    all->spans = calloc(form->batches * form->batch_max, sizeof *all->spans);
    all->logs = calloc(form->batches * form->logs_max + 1, sizeof *all->logs);
    all->traces = form->traces;
    all->sessions = form->sessions + (form->logs_max ? LOG_SESSIONS : 0);
    for (size_t i = 0; i < form->batches; i++) {
        uint64_t base = i * form->time_step;
        bool logs_first = random_below(&random, 3) == 0;
        if (form->logs_max && logs_first)
            append_logs_of(store, all, form, &random, base);
        append_spans_of(store, all, form, &random, base);
        if (form->logs_max && !logs_first)
            append_logs_of(store, all, form, &random, base);
        if (form->logs_max && random_below(&random, 8) == 0)
            append_point(store, base + 1000000); /* newer than all else */
    }
}

/* ---- the model's answers --------------------------------------------------------------------- */

typedef struct model_trace {
    const model_span *spans[64];
    size_t count;
} model_trace;

static model_trace trace_of(const sent_spans *all, uint64_t trace)
{
    model_trace out = {.count = 0};
    for (size_t i = 0; i < all->count; i++) {
        bool repeat = false;
        if (all->spans[i].trace != trace)
            continue;
        for (size_t k = 0; k < out.count; k++)
            repeat |= out.spans[k]->span == all->spans[i].span;
        if (!repeat) {
            assert_true(out.count < 64);
            out.spans[out.count++] = &all->spans[i];
        }
    }
    return out;
}

static const model_span *sent_parent(const model_trace *trace, const model_span *span)
{
    for (size_t i = 0; i < trace->count; i++)
        if (span->parent && trace->spans[i]->span == span->parent && trace->spans[i] != span)
            return trace->spans[i];
    return NULL;
}

/* The parent, or NULL where a cycle is cut. */
static const model_span *parent_of(const model_trace *trace, const model_span *span)
{
    const model_span *earliest = span, *up = sent_parent(trace, span);
    for (size_t steps = 0; up && up != span && steps <= trace->count; steps++) {
        if (up->start < earliest->start ||
            (up->start == earliest->start && up->span < earliest->span))
            earliest = up;
        up = sent_parent(trace, up);
    }
    bool on_cycle = up == span;
    return on_cycle && earliest == span ? NULL : sent_parent(trace, span);
}

static unsigned depth_of(const model_trace *trace, const model_span *span)
{
    const model_span *parent = parent_of(trace, span);
    return parent ? depth_of(trace, parent) + 1 : span->parent ? 1 : 0;
}

static bool nearer(const model_trace *trace, const model_span *a, const model_span *b)
{
    unsigned x = depth_of(trace, a), y = depth_of(trace, b);
    if (!b || x != y)
        return !b || x < y;
    return a->start != b->start ? a->start < b->start : a->span < b->span;
}

static int session_of(const model_trace *trace, const model_span *span)
{
    const model_span *best = NULL;
    for (const model_span *up = span; up; up = parent_of(trace, up))
        if (up->session)
            return up->session;
    for (size_t i = 0; i < trace->count; i++)
        if (trace->spans[i]->session && (!best || nearer(trace, trace->spans[i], best)))
            best = trace->spans[i];
    return best ? best->session : 0;
}

/* Own, else its span's, else that of the trace's root-most span that has one. */
static int session_of_log(const sent_spans *all, const model_trace *traces, const model_log *log)
{
    const model_span *best = NULL;
    if (log->own_session || !log->has_trace || log->trace >= all->traces)
        return log->own_session;
    const model_trace *trace = &traces[log->trace];
    for (size_t i = 0; i < trace->count; i++)
        if (log->span && trace->spans[i]->span == log->span)
            return session_of(trace, trace->spans[i]);
    for (size_t i = 0; i < trace->count; i++)
        if (trace->spans[i]->session && (!best || nearer(trace, trace->spans[i], best)))
            best = trace->spans[i];
    return best ? best->session : 0;
}

static int agent_of(const model_trace *trace, const model_span *span)
{
    if (span->agent)
        return span->agent;
    for (const model_span *up = parent_of(trace, span); up; up = parent_of(trace, up))
        if (up->kind == MW_OP_AGENT && up->agent)
            return up->agent;
    return 0;
}

static bool has_model_below(const model_trace *trace, const model_span *span)
{
    for (size_t i = 0; i < trace->count; i++) {
        if (trace->spans[i] == span || trace->spans[i]->kind != MW_OP_MODEL)
            continue;
        for (const model_span *up = parent_of(trace, trace->spans[i]); up;
             up = parent_of(trace, up))
            if (up == span)
                return true;
    }
    return false;
}

static bool counts_tokens(const model_trace *trace, const model_span *span)
{
    const model_span *outermost = NULL;
    for (size_t i = 0; i < trace->count; i++) {
        const model_span *other = trace->spans[i];
        if (other->kind == MW_OP_MODEL && !has_model_below(trace, other))
            return span->kind == MW_OP_MODEL && !has_model_below(trace, span);
        if (other->kind == MW_OP_AGENT && (other->in >= 0 || other->out >= 0) &&
            (!outermost || nearer(trace, other, outermost)))
            outermost = other;
    }
    return span == outermost;
}

static size_t calls_below(const model_trace *trace, const model_span *span)
{
    size_t calls = 0;
    for (size_t i = 0; i < trace->count; i++) {
        const model_span *other = trace->spans[i], *up = parent_of(trace, other);
        if (other->kind != MW_OP_MODEL || has_model_below(trace, other))
            continue;
        while (up && up != span)
            up = parent_of(trace, up);
        calls += up == span;
    }
    return calls;
}

/* What a span that counts adds: of a model's call what a model above it says, if no less. */
static void counted(const model_trace *trace, const model_span *span, int64_t *in, int64_t *out)
{
    *in = span->in;
    *out = span->out;
    if (span->kind != MW_OP_MODEL)
        return;
    for (const model_span *up = parent_of(trace, span); up && calls_below(trace, up) == 1;
         up = parent_of(trace, up)) {
        if (up->kind == MW_OP_AGENT || up->kind == MW_OP_WORKFLOW || up->kind == MW_OP_TOOL)
            return;
        if (up->kind != MW_OP_MODEL || up->in < *in || up->out < *out)
            continue;
        *in = up->in;
        *out = up->out;
    }
}

/* The nearest one above that is neither wire nor unknown decides. */
static bool is_within_tool(const model_trace *trace, const model_span *span)
{
    for (const model_span *up = parent_of(trace, span); up; up = parent_of(trace, up)) {
        if (up->kind == MW_OP_TOOL)
            return true;
        if (up->kind == MW_OP_AGENT || up->kind == MW_OP_WORKFLOW || up->kind == MW_OP_MODEL)
            return false;
    }
    return false;
}

static uint64_t latest_of(const model_span *span)
{
    return span->end > span->start ? span->end : span->start;
}

typedef struct model_summary {
    uint64_t id; /* trace number or session number */
    uint64_t first, last, traces, spans, logs, errors, models, tools;
    int64_t in, out;
    uint64_t root;   /* trace: span id of the root-most */
    int agent, user; /* session */
    int sessions[64];
    size_t session_count;
} model_summary;

static void add_span(model_summary *sum, const model_trace *trace, const model_span *span)
{
    if (sum->spans == 0 || span->start < sum->first)
        sum->first = span->start;
    if (latest_of(span) > sum->last)
        sum->last = latest_of(span);
    sum->spans++;
    sum->errors += span->status == 2;
    sum->models += span->kind == MW_OP_MODEL && !has_model_below(trace, span);
    sum->tools += span->kind == MW_OP_TOOL && !is_within_tool(trace, span);
    if (counts_tokens(trace, span)) {
        int64_t in, out;
        counted(trace, span, &in, &out);
        sum->in += in > 0 ? in : 0;
        sum->out += out > 0 ? out : 0;
    }
}

/* Sessions of a trace in the order of their root-most own span. */
static void list_sessions(model_summary *sum, const model_trace *trace)
{
    const model_span *used = NULL;
    for (;;) {
        const model_span *next = NULL;
        for (size_t i = 0; i < trace->count; i++) {
            const model_span *span = trace->spans[i];
            if (!span->session || (used && !nearer(trace, used, span)))
                continue;
            if (!next || nearer(trace, span, next))
                next = span;
        }
        if (!next)
            return;
        bool known = false;
        for (size_t i = 0; i < sum->session_count; i++)
            known |= sum->sessions[i] == next->session;
        if (!known)
            sum->sessions[sum->session_count++] = next->session;
        used = next;
    }
}

static model_summary summarize_trace(const sent_spans *all, const model_trace *trace)
{
    model_summary sum = {.id = trace->spans[0]->trace};
    const model_span *root = NULL;
    for (size_t i = 0; i < trace->count; i++) {
        add_span(&sum, trace, trace->spans[i]);
        if (!root || nearer(trace, trace->spans[i], root))
            root = trace->spans[i];
    }
    for (size_t i = 0; i < all->log_count; i++)
        sum.logs += all->logs[i].has_trace && all->logs[i].trace == sum.id;
    sum.root = root->span;
    list_sessions(&sum, trace);
    return sum;
}

typedef struct picked {
    int name;
    unsigned depth;
    uint64_t start, span;
} picked;

static void pick(picked *kept, int name, unsigned depth, const model_span *span)
{
    bool better =
        !kept->name || depth < kept->depth ||
        (depth == kept->depth &&
         (span->start < kept->start || (span->start == kept->start && span->span < kept->span)));
    if (name && better)
        *kept = (picked){name, depth, span->start, span->span};
}

/* The agent of the earliest record that names the session and an agent. */
static int agent_of_logs(const sent_spans *all, int session)
{
    const model_log *first = NULL;
    for (size_t i = 0; i < all->log_count; i++)
        if (all->logs[i].own_session == session && all->logs[i].agent &&
            (!first || all->logs[i].time < first->time))
            first = &all->logs[i];
    return first ? first->agent : 0;
}

static model_summary summarize_session(const sent_spans *all, const model_trace *traces,
                                       int session)
{
    model_summary sum = {.id = (uint64_t)session};
    picked agent = {0}, user = {0};
    for (uint64_t t = 0; t < all->traces; t++) {
        const model_trace *trace = &traces[t];
        uint64_t before = sum.spans;
        for (size_t i = 0; i < trace->count; i++) {
            const model_span *span = trace->spans[i];
            if (session_of(trace, span) != session)
                continue;
            add_span(&sum, trace, span);
            pick(&agent, agent_of(trace, span), depth_of(trace, span), span);
            pick(&user, span->user, depth_of(trace, span), span);
        }
        sum.traces += sum.spans > before;
    }
    for (size_t i = 0; i < all->log_count; i++) {
        const model_log *log = &all->logs[i];
        if (log->session != session)
            continue;
        if (sum.spans + sum.logs == 0 || log->time < sum.first)
            sum.first = log->time;
        if (log->time > sum.last)
            sum.last = log->time;
        sum.logs++;
    }
    sum.agent = agent.name ? agent.name : agent_of_logs(all, session);
    sum.user = user.name;
    return sum;
}

/* ---- order ----------------------------------------------------------------------------------- */

static int by_trace_order(const void *left, const void *right)
{
    const model_summary *a = left, *b = right;
    uint8_t x[16], y[16];
    if (a->first != b->first)
        return a->first > b->first ? -1 : 1;
    trace_id_of(x, a->id);
    trace_id_of(y, b->id);
    return memcmp(x, y, 16);
}

static int by_session_order(const void *left, const void *right)
{
    const model_summary *a = left, *b = right;
    char x[128], y[128];
    if (a->last != b->last)
        return a->last > b->last ? -1 : 1;
    session_name(x, (int)a->id);
    session_name(y, (int)b->id);
    /* Beyond 48 equal bytes any fixed order will do: the test compares those as a set. */
    return strncmp(x, y, 48);
}

typedef struct expected {
    sent_spans all;
    model_trace *traces; /* by number; count 0 = never came */
    model_summary *trace_list, *session_list;
    size_t trace_count, session_count;
} expected;

static void expect(expected *out)
{
    sent_spans *all = &out->all;
    out->traces = calloc(all->traces, sizeof *out->traces);
    out->trace_list = calloc(all->traces, sizeof *out->trace_list);
    out->session_list = calloc(all->sessions + 1, sizeof *out->session_list);
    out->trace_count = out->session_count = 0;
    for (uint64_t t = 0; t < all->traces; t++) {
        out->traces[t] = trace_of(all, t);
        if (out->traces[t].count)
            out->trace_list[out->trace_count++] = summarize_trace(all, &out->traces[t]);
    }
    for (size_t i = 0; i < all->log_count; i++)
        all->logs[i].session = session_of_log(all, out->traces, &all->logs[i]);
    for (uint64_t s = 1; s <= all->sessions; s++) {
        model_summary sum = summarize_session(all, out->traces, (int)s);
        if (sum.spans + sum.logs)
            out->session_list[out->session_count++] = sum;
    }
    qsort(out->trace_list, out->trace_count, sizeof *out->trace_list, by_trace_order);
    qsort(out->session_list, out->session_count, sizeof *out->session_list, by_session_order);
}

/* The merger removed a repeat: an earlier copy must have come. */
static void note_merged(void *ctx, mw_signal signal, uint64_t seq, uint32_t index)
{
    sent_spans *all = ctx;
    size_t earlier = 0;
    for (size_t i = 0; signal == MW_SIGNAL_TRACES && i < all->count; i++) {
        model_span *span = &all->spans[i];
        if (span->commit != seq || span->row != index)
            continue;
        for (size_t k = 0; k < i; k++)
            earlier += all->spans[k].trace == span->trace && all->spans[k].span == span->span;
        assert_true(earlier > 0);
        span->merged = true;
    }
}

static void forget_answers(expected *out)
{
    free(out->traces);
    free(out->trace_list);
    free(out->session_list);
}

/* Merges random runs of segments of a store at rest; what the merges removed is no longer sent. */
static void merge_model(mw_store *store, expected *out, uint64_t seed, size_t run_max)
{
    test_random random = {seed};
    sent_spans *all = &out->all;
    size_t kept = 0;
    test_merge merge = {.store = store,
                        .rows_a_block = 5 + random_below(&random, 60),
                        .packed = 2,
                        .dropped = note_merged,
                        .ctx = all};
    size_t before, after;
    free(segments_in_order(store, &before));
    merge_randomly(&merge, &random, run_max);
    free(segments_in_order(store, &after));
    assert_true(after < before || before < 3);
    for (size_t i = 0; i < all->count; i++)
        if (!all->spans[i].merged)
            all->spans[kept++] = all->spans[i];
    all->count = kept;
    forget_answers(out);
    expect(out);
}

/* The same by the program itself: nothing is left that was sent twice. Returns how many spans
 * went. */
static inline size_t merge_whole_model(mw_store *store, expected *out)
{
    sent_spans *all = &out->all;
    size_t kept = 0, before = all->count;
    merge_to_rest(store);
    for (size_t i = 0; i < all->count; i++) {
        bool sent_before = false;
        for (size_t k = 0; k < kept && !sent_before; k++)
            sent_before = all->spans[k].trace == all->spans[i].trace &&
                          all->spans[k].span == all->spans[i].span;
        if (!sent_before)
            all->spans[kept++] = all->spans[i];
    }
    all->count = kept;
    forget_answers(out);
    expect(out);
    return before - kept;
}

/* A store of which half is merged, and half is not. */
static inline mw_store *half_merged(mw_store *store, const char *directory)
{
    size_t count;
    mw_store_close(store);
    store = open_store(directory);
    mw_segment **list = segments_in_order(store, &count);
    assert_true(count >= 2);
    test_merge merge = {.store = store, .rows_a_block = 40, .packed = 2};
    merge_segments(&merge, list, count / 2, false);
    free(list);
    return store;
}

static void forget_sent(sent_spans *all)
{
    for (size_t i = 0; i < all->log_count; i++)
        free(all->logs[i].bytes);
    free(all->logs);
    free(all->spans);
}

static void forget(expected *out)
{
    forget_sent(&out->all);
    forget_answers(out);
}

/* The name that the model gives to what has that number; none is 0. */
static inline void assert_name(mw_slice got, const char *kind, int number)
{
    char text[128] = "";
    if (number && strcmp(kind, "session") == 0)
        session_name(text, number);
    else if (number)
        snprintf(text, sizeof text, "%s%d", kind, number);
    assert_int_equal(got.len, strlen(text));
    if (got.len)
        assert_memory_equal(got.data, text, got.len);
}

#endif
