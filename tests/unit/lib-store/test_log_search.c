/* What is asked of log records themselves, attributes, text and pattern together, against a naive
 * model (item_model.h): lists in pages, and following; before merging and after. */
#include "tests/unit/lib-store/item_model.h"
#include "tests/unit/lib-store/quick_disk.h"

/* A pattern, and the same said in C: any of the words, at the body's start or end or anywhere. */
typedef struct model_pattern {
    const char *pattern;
    const char *any[2];
    bool no_case;
    enum { ANYWHERE, AT_START, AT_END } where;
} model_pattern;

static const model_pattern patterns[] = {
    {"alpha|beta", {"alpha", "beta"}, false, ANYWHERE},
    {"(?i)alpha|BETA", {"alpha", "beta"}, true, ANYWHERE},
    {"^GAMMA", {"GAMMA", NULL}, false, AT_START},
    {"^(Alpha|alphabet) re", {"Alpha re", "alphabet re"}, false, AT_START},
    {" 1?7$", {" 7", " 17"}, false, AT_END},
    {"ref(u|x)sed(?=: 42)", {"refused: 42", NULL}, false, ANYWHERE},
    {"nowhere at all", {"nowhere at all", NULL}, false, ANYWHERE},
};

typedef struct log_question {
    int service, severity;
    const char *text;             /* NULL = any */
    const model_pattern *pattern; /* NULL = any */
    model_wanted wanted;
    mw_store_page page;
} log_question;

static log_question random_question(const model_items *all, test_random *random)
{
    static const char *const texts[] = {"ALPHA", "refused", "a", "beta R", "gamma 2", "not there"};
    log_question question = {.service = model_sometimes(random, 4, 4),
                             .severity = model_sometimes(random, 4, 20),
                             .page = model_page(all, random)};
    if (random_below(random, 3) == 0)
        question.text = texts[random_below(random, 6)];
    if (random_below(random, 2))
        question.pattern = &patterns[random_below(random, sizeof patterns / sizeof patterns[0])];
    model_want(all, &question.wanted, random);
    return question;
}

static bool stands(const char *body, const char *word, const model_pattern *pattern)
{
    size_t body_len = strlen(body), len = strlen(word);
    if (len > body_len)
        return false;
    if (pattern->where == AT_START)
        return strncmp(body, word, len) == 0;
    if (pattern->where == AT_END)
        return strcmp(body + body_len - len, word) == 0;
    return pattern->no_case ? strcasestr(body, word) : strstr(body, word);
}

static bool matches(const model_item *item, const log_question *question)
{
    const model_pattern *pattern = question->pattern;
    if (pattern && !stands(item->body, pattern->any[0], pattern) &&
        !(pattern->any[1] && stands(item->body, pattern->any[1], pattern)))
        return false;
    return model_in_page(item, &question->page) &&
           (!question->service || item->service == question->service) &&
           item->severity >= question->severity &&
           (!question->text || strcasestr(item->body, question->text)) &&
           model_fits(item, &question->wanted);
}

static int newest_first(const void *left, const void *right)
{
    const model_item *a = *(const model_item *const *)left, *b = *(const model_item *const *)right;
    if (a->start != b->start)
        return a->start > b->start ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq > b->seq ? -1 : 1;
    return a->row > b->row ? -1 : a->row < b->row;
}

static const model_item **matches_of(const model_items *all, const log_question *question,
                                     size_t *count)
{
    const model_item **found = calloc(all->count + 1, sizeof *found);
    *count = 0;
    for (size_t i = 0; i < all->count; i++)
        if (matches(&all->items[i], question))
            found[(*count)++] = &all->items[i];
    return found;
}

static void assert_record(const mw_log_record *got, const model_item *want)
{
    mw_slice bytes = model_message(&want->own);
    assert_int_equal(got->commit_seq, want->seq);
    assert_int_equal(got->index, want->row);
    assert_int_equal(got->row.time_ns, want->start);
    assert_int_equal(got->bytes.len, bytes.len);
    assert_memory_equal(got->bytes.data, bytes.data, bytes.len);
}

static mw_log_query asked_of(const log_question *question, char service[32])
{
    return (mw_log_query){.service = model_number_text(service, "service-", question->service),
                          .severity_min = (uint8_t)question->severity,
                          .text = question->text ? mw_slice_of(question->text) : MW_SLICE_NONE,
                          .pattern = question->pattern ? mw_slice_of(question->pattern->pattern)
                                                       : MW_SLICE_NONE,
                          .attributes = question->wanted.queries,
                          .attribute_count = question->wanted.count};
}

static size_t check_list(mw_store_view *view, const model_items *all, const log_question *question)
{
    char service[32];
    size_t count, at = 0;
    const model_item **found = matches_of(all, question, &count);
    mw_store_page page = question->page;
    mw_log_query asked = asked_of(question, service);
    mw_arena arena;

    qsort(found, count, sizeof *found, newest_first);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (bool more = true; more;) {
        mw_log_list list;
        assert_int_equal(mw_store_log_list(view, &page, &asked, &arena, &list), MW_OK);
        assert_true(at + list.count <= count);
        assert_int_equal(list.undecided, 0);
        for (size_t i = 0; i < list.count; i++, at++)
            assert_record(&list.items[i], found[at]);
        more = list.next_cursor.len > 0;
        page.cursor = list.next_cursor;
    }
    assert_int_equal(at, count);
    mw_arena_reset(&arena);
    free(found);
    return count;
}

/* As committed: the order of the model's array. */
static void check_follow(mw_store_view *view, const model_items *all, log_question question)
{
    char service[32];
    size_t count, at = 0;
    question.page.until_ns = 0;
    const model_item **found = matches_of(all, &question, &count);
    mw_log_query asked = asked_of(&question, service);
    mw_log_follow follow = {.since_ns = question.page.since_ns, .limit = 11};
    mw_arena arena;

    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (bool more = true; more;) {
        mw_log_tail tail;
        assert_int_equal(mw_store_log_follow(view, &follow, &asked, &arena, &tail), MW_OK);
        assert_true(at + tail.count <= count);
        for (size_t i = 0; i < tail.count; i++, at++)
            assert_record(&tail.items[i], found[at]);
        follow.after = tail.position;
        more = tail.more;
    }
    assert_int_equal(at, count);
    mw_arena_reset(&arena);
    free(found);
}

static size_t check_all(mw_store *store, const model_items *all, uint64_t seed)
{
    test_random random = {seed};
    mw_store_view *view;
    size_t found = 0, before = mw_memory_component_used(MW_MEM_QUERY);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    for (size_t i = 0; i < 200; i++) {
        const log_question question = random_question(all, &random);
        found += check_list(view, all, &question);
        check_follow(view, all, question);
    }
    mw_store_view_close(view);
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), before);
    return found;
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        test_dir dir;
        model_items all;
        test_random random = {seed};
        test_dir_init(&dir);
        mw_store *store =
            open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 32 * 1024);
        model_fill(store, &all, MW_SIGNAL_LOGS, 100, 0, &random);
        assert_true(check_all(store, &all, seed) > 500);
        mw_store_close(store);
        store = open_store(dir.store);
        check_all(store, &all, seed + 100);
        assert_int_equal(mw_store_merge_all(store, 60 * MW_NS_PER_S), MW_OK);
        assert_true(check_all(store, &all, seed + 200) > 500);
        model_append(store, &all, 10, 2000, 0, &random); /* merged and not, side by side */
        check_all(store, &all, seed + 300);
        mw_store_close(store);
        model_forget(&all);
        test_dir_fini(&dir);
    }
}

/* ---- edges ----------------------------------------------------------------------------------- */

/* *list: its counts alone. */
static mw_err ask_failing(mw_store *store, const mw_log_query *query, uint64_t fail_at,
                          mw_log_list *list)
{
    mw_store_view *view;
    mw_arena arena;
    const mw_store_page page = {.limit = 100};
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    mw_memory_fail_at(fail_at);
    mw_err err = mw_store_log_list(view, &page, query, &arena, list);
    mw_memory_fail_at(0);
    list->items = NULL;
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    return err;
}

static mw_err ask(mw_store *store, const mw_log_query *query, mw_log_list *list)
{
    return ask_failing(store, query, 0, list);
}

/* A hostile body for a hostile pattern is told, others are found; one that is none refuses. */
static void test_undecided(void **state)
{
    test_dir dir;
    model_items all = {.signal = MW_SIGNAL_LOGS};
    test_batch batch;
    otlp_writer value = {0}, record = {0};
    mw_log_list list;
    mw_log_query query = {.pattern = MW_SLICE("(a+)+[BD]")};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    test_batch_init_of(&batch, MW_SIGNAL_LOGS, 3);
    for (size_t i = 0; i < 3; i++)
        test_log(&batch, i, 0, i);
    put_text(&value, 1, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac");
    put_bytes(&record, 5, value.data, value.len);
    batch.items[1].bytes = mw_slice_bytes(record.data, record.len);
    batch.items[2].bytes = MW_SLICE("\x2a\x05\x0a\x03"
                                    "xaB");
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    assert_int_equal(ask(store, &query, &list), MW_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.undecided, 1);
    query.pattern = MW_SLICE("[");
    assert_int_equal(ask(store, &query, &list), MW_E_SYNTAX);
    query.pattern = MW_SLICE("aB");
    size_t used = mw_memory_used(), failed = 0;
    for (uint64_t at = 1;; at++) {
        mw_err err = ask_failing(store, &query, at, &list);
        assert_int_equal(mw_memory_used(), used);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        failed += err == MW_E_NOMEM;
        if (err == MW_OK && at > 40)
            break;
    }
    assert_int_equal(list.count, 1);
    assert_true(failed > 15);
    test_batch_fini(&batch);
    free(value.data), free(record.data);
    model_forget(&all);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Each look at this clock takes 50 ms: of others, where the thread's own time stands still. */
static int64_t slow_ns(void *ctx)
{
    static atomic_llong calls;
    (void)ctx;
    return atomic_fetch_add(&calls, 1) * 50 * MW_NS_PER_MS;
}

static int64_t still_ns(void *ctx)
{
    (void)ctx;
    return 0;
}

/* A pattern that gets on slowly is given up, unless it is the machine that is slow. */
static void test_budget(void **state)
{
    test_dir dir;
    test_batch batch;
    otlp_writer value = {0}, record = {0};
    mw_log_list list;
    const mw_clock *real = mw_clock_system();
    const mw_log_query query = {.pattern = MW_SLICE("[xy]z")};
    char *body = malloc(100 << 10);
    (void)state;
    memset(body, 'x', 100 << 10);
    put_bytes(&value, 1, body, 100 << 10);
    put_bytes(&record, 5, value.data, value.len);
    for (int busy = 0; busy < 2; busy++) {
        const mw_clock clock = {
            .wall_ns = real->wall_ns, .mono_ns = slow_ns, .thread_cpu_ns = busy ? still_ns : NULL};
        test_dir_init(&dir);
        mw_store *store =
            open_with(dir.store, &clock, MW_STORE_QUEUE_DEFAULT, MW_STORE_SEGMENT_DEFAULT);
        test_batch_init_of(&batch, MW_SIGNAL_LOGS, 1);
        test_log(&batch, 0, 0, 0);
        batch.items[0].bytes = mw_slice_bytes(record.data, record.len);
        assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
        assert_int_equal(ask(store, &query, &list), busy ? MW_OK : MW_E_TIMEOUT);
        assert_int_equal(list.given_up, !busy);
        test_batch_fini(&batch);
        mw_store_close(store);
        test_dir_fini(&dir);
    }
    free(value.data), free(record.data), free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_undecided),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
