/* The tables of senders and refusals: what makes a row, who is forgotten, many threads at once. */
#include "collector/senders.h"
#include "tests/check.h"
#include "tests/otlp_writer.h"

#define THREADS 4
#define ROUNDS 2000

static mw_senders senders;
static const mw_scan_result nothing_refused;

static int set_up(void **state)
{
    (void)state;
    mw_senders_init(&senders, 42);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mw_senders_fini(&senders);
    return 0;
}

static mw_sender_request at(uint64_t now_ns)
{
    return (mw_sender_request){
        .transport = MW_SENDER_GRPC,
        .signal = MW_SIGNAL_TRACES,
        .scan = &nothing_refused,
        .now_ns = now_ns,
    };
}

static mw_sender_tallies one(const char *service)
{
    return (mw_sender_tallies){.list = {{.service = mw_slice_of(service), .items = 3, .bytes = 30}},
                               .count = 1};
}

static void note(const char *service, uint64_t now_ns)
{
    mw_sender_tallies tallies = one(service);
    mw_sender_request request = at(now_ns);
    mw_senders_note(&senders, &tallies, &request);
}

static const mw_sender_row *row_of(const mw_senders_view *view, const char *service)
{
    for (size_t i = 0; i < view->count; i++)
        if (strcmp(view->rows[i].service, service) == 0)
            return &view->rows[i];
    return NULL;
}

static void test_sums(void **state)
{
    (void)state;
    note("a", 10);
    note("b", 11);
    note("a", 12);
    mw_senders_view *view = mw_senders_read(&senders);
    const mw_sender_row *row = row_of(view, "a");
    assert_int_equal(view->count, 2);
    assert_int_equal(row->requests, 2);
    assert_int_equal(row->items, 6);
    assert_int_equal(row->bytes, 60);
    assert_int_equal(row->first_ns, 10);
    assert_int_equal(row->last_ns, 12);
    mw_senders_view_free(view);
}

static void test_repeat_counts_no_items(void **state)
{
    (void)state;
    mw_sender_tallies tallies = one("a");
    mw_sender_request request = at(1);
    request.repeat = true;
    mw_senders_note(&senders, &tallies, &request);
    mw_senders_view *view = mw_senders_read(&senders);
    assert_int_equal(view->rows[0].repeats, 1);
    assert_int_equal(view->rows[0].items, 0);
    mw_senders_view_free(view);
}

/* What a row stands for: each of these is a sender of its own. */
static void test_identity(void **state)
{
    (void)state;
    mw_sender_tallies tallies = one("a");
    mw_sender_request request = at(1);
    mw_senders_note(&senders, &tallies, &request);
    tallies.list[0].language = MW_SLICE("go");
    mw_senders_note(&senders, &tallies, &request);
    tallies.list[0].version = MW_SLICE("1");
    mw_senders_note(&senders, &tallies, &request);
    request.space = MW_SLICE("other");
    mw_senders_note(&senders, &tallies, &request);
    request.signal = MW_SIGNAL_LOGS;
    mw_senders_note(&senders, &tallies, &request);
    request.transport = MW_SENDER_HTTP_JSON;
    mw_senders_note(&senders, &tallies, &request);
    mw_senders_note(&senders, &tallies, &request);
    mw_senders_view *view = mw_senders_read(&senders);
    assert_int_equal(view->count, 6);
    mw_senders_view_free(view);
}

/* Refusals name no resource: with two senders they are nobody's. */
static void test_refused_items(void **state)
{
    (void)state;
    mw_scan_result scan = {.items = 2, .refused_total = 1, .refused = {[MW_REFUSE_SPAN_ID] = 1}};
    mw_sender_tallies tallies = one("a");
    mw_sender_request request = at(1);
    request.scan = &scan;
    mw_senders_note(&senders, &tallies, &request);
    tallies.list[tallies.count++].service = MW_SLICE("b");
    mw_senders_note(&senders, &tallies, &request);
    mw_senders_view *view = mw_senders_read(&senders);
    assert_int_equal(row_of(view, "a")->refused[MW_REFUSE_SPAN_ID], 1);
    assert_int_equal(row_of(view, "b")->refused[MW_REFUSE_SPAN_ID], 0);
    mw_senders_view_free(view);
}

static void test_least_recent_is_forgotten(void **state)
{
    (void)state;
    char name[16];
    for (unsigned i = 0; i < MW_SENDERS_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        note(name, 100 + i);
    }
    note("s0", 1000);
    note("new", 1001);
    mw_senders_view *view = mw_senders_read(&senders);
    assert_int_equal(view->count, MW_SENDERS_MAX);
    assert_int_equal(view->forgotten, 1);
    assert_non_null(row_of(view, "s0"));
    assert_null(row_of(view, "s1"));
    assert_int_equal(row_of(view, "new")->first_ns, 1001);
    mw_senders_view_free(view);
}

static void test_long_text_is_cut_at_a_character(void **state)
{
    (void)state;
    char text[4 * MW_SENDER_TEXT_SIZE];
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    mw_sender_tallies tallies = {.list = {{.items = 1}}, .count = 1};
    tallies.list[0].service = mw_slice_bytes(text, sizeof text);
    mw_sender_request request = at(1);
    mw_senders_note(&senders, &tallies, &request);
    mw_senders_view *view = mw_senders_read(&senders);
    assert_int_equal(strlen(view->rows[0].service), MW_SENDER_TEXT_SIZE - 2);
    mw_senders_view_free(view);
}

static mw_request refused_at(const char *path)
{
    return (mw_request){.port = MW_PORT_HTTP, .path = mw_slice_of(path)};
}

static void test_refusals(void **state)
{
    (void)state;
    char path[32];
    mw_request request = refused_at("/first");
    mw_senders_note_refusal(&senders, &request, 404, MW_SLICE("one"), 1);
    mw_senders_note_refusal(&senders, &request, 404, MW_SLICE("two"), 2);
    mw_senders_note_refusal(&senders, &request, 415, MW_SLICE("other"), 3);
    mw_senders_view *view = mw_senders_read(&senders);
    assert_int_equal(view->refusal_count, 2);
    assert_int_equal(view->refusals[0].requests, 2);
    assert_int_equal(view->refusals[0].first_ns, 1);
    assert_int_equal(view->refusals[0].last_ns, 2);
    assert_string_equal(view->refusals[0].message, "two");
    mw_senders_view_free(view);
    for (unsigned i = 0; i < 2 * MW_REFUSALS_MAX; i++) {
        snprintf(path, sizeof path, "/%u", i);
        request = refused_at(path);
        mw_senders_note_refusal(&senders, &request, 404, MW_SLICE("x"), 10 + i);
    }
    view = mw_senders_read(&senders);
    assert_int_equal(view->refusal_count, MW_REFUSALS_MAX);
    assert_int_equal(view->refusals_forgotten, 2 + MW_REFUSALS_MAX);
    mw_senders_view_free(view);
}

/* ---- tallies ------------------------------------------------------------------------------- */

static otlp_writer resource_of(const char *service)
{
    otlp_writer resource = {0};
    put_text_attribute(&resource, 1, "service.name", service);
    return resource;
}

static void test_tallies_are_bounded(void **state)
{
    (void)state;
    mw_sender_tallies tallies = {.count = 0};
    otlp_writer resources[2 * MW_TALLIES_MAX]; /* tallies point into them */
    char name[16];
    for (unsigned i = 0; i < 2 * MW_TALLIES_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        resources[i] = resource_of(name);
        const mw_sender_tally *tally = mw_sender_tally_of(&tallies, written(&resources[i]));
        assert_true((tally != NULL) == (i < MW_TALLIES_MAX));
    }
    for (size_t looks = tallies.looks; looks < MW_TALLY_LOOKS_MAX; looks++)
        assert_ptr_equal(mw_sender_tally_of(&tallies, written(&resources[0])), &tallies.list[0]);
    assert_null(mw_sender_tally_of(&tallies, written(&resources[0])));
    assert_int_equal(tallies.count, MW_TALLIES_MAX);
    for (unsigned i = 0; i < 2 * MW_TALLIES_MAX; i++)
        free(resources[i].data);
}

/* ---- threads ------------------------------------------------------------------------------- */

static void *send_many(void *ctx)
{
    const char *name = ctx;
    mw_request request = refused_at("/nowhere");
    for (unsigned i = 0; i < ROUNDS; i++) {
        note(name, i);
        note("shared", i);
        mw_senders_note_refusal(&senders, &request, 404, mw_slice_of(name), i);
        if (i % 64 == 0)
            mw_senders_view_free(mw_senders_read(&senders));
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static char names[THREADS][8];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        snprintf(names[i], sizeof names[i], "t%u", i);
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, names[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mw_senders_view *view = mw_senders_read(&senders);
    assert_int_equal(view->count, THREADS + 1);
    assert_int_equal(row_of(view, "shared")->requests, THREADS * ROUNDS);
    assert_int_equal(row_of(view, "t0")->items, 3 * ROUNDS);
    assert_int_equal(view->refusals[0].requests, THREADS * ROUNDS);
    mw_senders_view_free(view);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_sums),
        TEST(test_repeat_counts_no_items),
        TEST(test_identity),
        TEST(test_refused_items),
        TEST(test_least_recent_is_forgotten),
        TEST(test_long_text_is_cut_at_a_character),
        TEST(test_refusals),
        TEST(test_tallies_are_bounded),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
