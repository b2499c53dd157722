/* Questions about log records in the words of the naive model (query_model.h): random ones, which
 * records match, how an answer compares. Used by test_log_queries.c and test_log_follow.c.
 */
#ifndef MW_TEST_LOG_MODEL_H
#define MW_TEST_LOG_MODEL_H

#include "tests/unit/lib-store/query_model.h"

/* A question in the model's words: 0 and "" match all. */
typedef struct model_query {
    int service, session, agent, event, group, stream, severity;
    const model_log *trace_like, *span_like; /* the ids of these */
    const char *text;
    mw_store_page page;
} model_query;

static bool log_matches(const model_log *log, const model_query *query)
{
    const model_log *like = query->trace_like;
    if (log->time < query->page.since_ns ||
        (query->page.until_ns && log->time >= query->page.until_ns))
        return false;
    if (like && (!log->has_trace || log->trace != like->trace))
        return false;
    if (query->span_like && log->span != query->span_like->span)
        return false;
    if (query->text && !strcasestr(log->text, query->text))
        return false;
    return (!query->service || log->service == query->service) &&
           (!query->session || log->session == query->session) &&
           (!query->agent || log->agent == query->agent) &&
           (!query->event || log->event == query->event) &&
           (!query->group || log->group == query->group) &&
           (!query->stream || log->stream == query->stream) && log->severity >= query->severity;
}

static void assert_log(const mw_log_record *got, const model_log *want)
{
    uint8_t id[16] = {0}, span[8];
    if (want->has_trace)
        trace_id_of(id, want->trace);
    put_id(span, 8, want->span);
    assert_int_equal(got->commit_seq, want->seq);
    assert_int_equal(got->row.time_ns, want->time);
    assert_int_equal(got->bytes.len, want->len);
    assert_memory_equal(got->bytes.data, want->bytes, want->len);
    assert_memory_equal(got->row.trace_id, id, 16);
    assert_memory_equal(got->row.span_id, span, 8);
    assert_int_equal(got->row.severity, want->severity);
    assert_name(got->row.service, "service-", want->service);
    assert_name(got->row.agent, "agent-", want->agent);
    assert_name(got->row.event_name, "event-", want->event);
    assert_name(got->row.session_id, "session", want->session);
    assert_name(mw_origin_member(got->row.origin, MW_ORIGIN_LOG_GROUP), "group-", want->group);
    assert_name(mw_origin_member(got->row.origin, MW_ORIGIN_LOG_STREAM), "stream-", want->stream);
    assert_int_equal(got->resource.bytes.len, strlen("resource"));
    assert_int_equal(got->scope.bytes.len, strlen("scope"));
    assert_int_equal(got->scope.schema_url.len, strlen("https://example.com/1"));
}

static mw_slice number_text(char out[128], const char *kind, int number)
{
    if (number == 0)
        return MW_SLICE_NONE;
    if (strcmp(kind, "session") == 0)
        session_name(out, number);
    else
        snprintf(out, 128, "%s%d", kind, number);
    return mw_slice_of(out);
}

typedef struct asked_texts {
    char texts[6][128];
} asked_texts;

/* The same question in the store's words. */
static mw_log_query asked_of(const model_query *query, asked_texts *texts)
{
    mw_log_query asked = {
        .service = number_text(texts->texts[0], "service-", query->service),
        .session_id = number_text(texts->texts[1], "session", query->session),
        .agent = number_text(texts->texts[2], "agent-", query->agent),
        .event_name = number_text(texts->texts[3], "event-", query->event),
        .severity_min = (uint8_t)query->severity,
    };
    asked.origin[MW_ORIGIN_LOG_GROUP] = number_text(texts->texts[4], "group-", query->group);
    asked.origin[MW_ORIGIN_LOG_STREAM] = number_text(texts->texts[5], "stream-", query->stream);
    if (query->text)
        asked.text = mw_slice_of(query->text);
    if (query->trace_like)
        trace_id_of(asked.trace_id, query->trace_like->trace);
    if (query->span_like)
        put_id(asked.span_id, 8, query->span_like->span);
    return asked;
}

static int sometimes(test_random *random, uint64_t rarity, uint64_t bound)
{
    return random_below(random, rarity) ? 0 : (int)(1 + random_below(random, bound));
}

static model_query random_query(test_random *random, const sent_spans *all)
{
    static const char *const needles[] = {"ALPHA",   "reached 1", "alphabet reached", "decoy",
                                          "gamma r", "KEY OF",    "nowhere",          "2"};
    static const size_t limits[] = {1000, 3, 7, 50, 1000, 17};
    uint64_t newest = 0;
    model_query query = {
        .service = sometimes(random, 4, 4),
        .session = sometimes(random, 2, all->sessions),
        .agent = sometimes(random, 8, 5),
        .event = sometimes(random, 8, 4),
        .group = sometimes(random, 8, 3),
        .stream = sometimes(random, 8, 3),
        .severity = sometimes(random, 4, 25),
    };
    if (random_below(random, 6) == 0)
        query.trace_like = &all->logs[random_below(random, all->log_count)];
    const model_log *like = &all->logs[random_below(random, all->log_count)];
    if (random_below(random, 6) == 0 && like->span)
        query.span_like = like;
    /* In the lists' keys nothing is searched by the model. */
    if (random_below(random, 3) == 0)
        query.text = needles[random_below(random, 5)];
    for (size_t i = 0; i < all->log_count; i++)
        newest = all->logs[i].time > newest ? all->logs[i].time : newest;
    query.page.limit = limits[random_below(random, 6)];
    if (random_below(random, 3) == 0)
        query.page.since_ns = 1000 + random_below(random, newest - 1000);
    if (random_below(random, 3) == 0)
        query.page.until_ns = 1000 + random_below(random, newest);
    return query;
}

/* Compares with the model; how many records were found. */
typedef size_t check_logs_of(mw_store *store, const expected *model, size_t budget, uint64_t seed);

/* Over the life of a store: filled (more than `least` are found), started again, merged in part,
 * merged again and started. */
static void check_life(const shape *form, check_logs_of *check, size_t least)
{
    test_dir dir;
    expected model;
    test_dir_init(&dir);
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 8 * 1024);
    fill(store, &model.all, form);
    expect(&model);
    assert_true(check(store, &model, MW_QUERY_BUDGET, form->seed) > least);
    check(store, &model, 6000, form->seed + 1);
    mw_store_close(store);
    store = open_store(dir.store);
    check(store, &model, MW_QUERY_BUDGET, form->seed + 2);
    merge_model(store, &model, form->seed, 4);
    check(store, &model, 6000, form->seed + 3);
    merge_model(store, &model, form->seed + 1, 9);
    mw_store_close(store);
    store = open_store(dir.store);
    check(store, &model, MW_QUERY_BUDGET, form->seed + 4);
    mw_store_close(store);
    forget(&model);
    test_dir_fini(&dir);
}

#endif
