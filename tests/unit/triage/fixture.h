/* What the programs of this room share: triage over a real store and state in a temporary
 * directory, under a fake clock; spans and alarms to put in; rows to read back. */
#ifndef MW_TESTS_TRIAGE_FIXTURE_H
#define MW_TESTS_TRIAGE_FIXTURE_H

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "tests/check.h"
#include "tests/unit/trees.h"
#include "triage/triage_int.h"

#define T0 (INT64_C(1773480413) * MW_NS_PER_S)
#define MINUTE (INT64_C(60) * MW_NS_PER_S)

static char directory[64], store_path[96], state_path[96], key_path[96];
static mw_fake_clock fake;
static mw_store *store;
static mw_state *state_db;
static mw_pool *pool;
static mw_triage *triage;
static mw_arena arena;

/* ---- set-up -------------------------------------------------------------------------------- */

static inline void open_all(void)
{
    mw_detail detail = {0};
    mw_store_config store_config = {.directory = store_path,
                                    .clock = &fake.clock,
                                    .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                                    .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT};
    mw_state_config state_config = {.path = state_path,
                                    .key_path = key_path,
                                    .clock = &fake.clock,
                                    .queue_budget_bytes = 1 << 20,
                                    .readers = 2};
    if (mw_store_open(&store_config, &store, &detail) != MW_OK ||
        mw_state_open(&state_config, &state_db, &detail) != MW_OK)
        fail_msg("cannot open: %s", detail.message);
    pool = mw_pool_new(2, 1 << 20);
}

static inline void start(void)
{
    /* Second looks come when a test asks for them. */
    mw_triage_config config = {store, state_db, pool, &fake.clock, 3600000, NULL};
    assert_int_equal(mw_triage_start(&config, &triage), MW_OK);
}

static inline void close_all(void)
{
    mw_triage_stop(triage);
    mw_pool_free(pool);
    mw_state_close(state_db);
    mw_store_close(store);
    triage = NULL;
}

static inline int set_up(void **unused)
{
    (void)unused;
    snprintf(directory, sizeof directory, "/tmp/midwatch-test-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(store_path, sizeof store_path, "%s/store", directory);
    snprintf(state_path, sizeof state_path, "%s/state.db", directory);
    snprintf(key_path, sizeof key_path, "%s/key", directory);
    mw_log_init(MW_LOG_WARN, MW_LOG_LOGFMT, STDERR_FILENO);
    mw_fake_clock_init(&fake, T0);
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    open_all();
    return 0;
}

static inline int tear_down(void **unused)
{
    (void)unused;
    close_all();
    mw_arena_reset(&arena);
    return remove_tree(directory);
}

/* ---- telemetry ----------------------------------------------------------------------------- */

typedef struct appended {
    int done; /* atomic */
    mw_err err;
} appended;

static inline void on_appended(void *ctx, mw_err err, uint64_t commit_seq)
{
    (void)commit_seq;
    appended *a = ctx;
    a->err = err;
    __atomic_store_n(&a->done, 1, __ATOMIC_RELEASE);
}

typedef struct span_spec {
    const char *service, *name, *message;
    int64_t start_ns;
    bool error;
} span_spec;

static inline void fill_row(mw_span_row *row, const span_spec *spec, uint8_t number)
{
    *row = (mw_span_row){.start_ns = (uint64_t)spec->start_ns,
                         .end_ns = (uint64_t)spec->start_ns + 1500000,
                         .status = spec->error ? 2 : 1,
                         .input_tokens = MW_TOKENS_UNKNOWN,
                         .output_tokens = MW_TOKENS_UNKNOWN,
                         .name = mw_slice_of(spec->name),
                         .service = mw_slice_of(spec->service),
                         .status_message = mw_slice_of(spec->message)};
    memset(row->trace_id, 0xab, sizeof row->trace_id);
    row->trace_id[15] = number;
    memset(row->span_id, 0xcd, sizeof row->span_id);
    row->span_id[7] = number;
}

static inline void append_spans(const span_spec *specs, size_t count)
{
    static uint8_t number;
    mw_span_row rows[32];
    mw_store_item items[32] = {{.bytes = MW_SLICE("")}};
    mw_store_context context = {.bytes = MW_SLICE("")};
    appended result = {0};
    assert_true(count <= 32);
    for (size_t i = 0; i < count; i++)
        fill_row(&rows[i], &specs[i], ++number);
    mw_store_batch batch = {.signal = MW_SIGNAL_TRACES,
                            .resources = &context,
                            .resource_count = 1,
                            .scopes = &context,
                            .scope_count = 1,
                            .items = items,
                            .rows.spans = rows,
                            .item_count = count};
    assert_int_equal(mw_store_append(store, &batch, on_appended, &result), MW_OK);
    for (int i = 0; i < 60000 && !__atomic_load_n(&result.done, __ATOMIC_ACQUIRE); i++)
        usleep(1000);
    assert_int_equal(__atomic_load_n(&result.done, __ATOMIC_ACQUIRE), 1);
    assert_int_equal(result.err, MW_OK);
}

/* ---- alarms -------------------------------------------------------------------------------- */

typedef struct arrival {
    mw_state_job job;
    const char *incident, *action, *service;
    int64_t started_ns;
    char id[MW_ID_TEXT_SIZE];
} arrival;

/* What the webhook does in its commit. */
static inline mw_err run_arrival(mw_state_job *job, mw_state_tx *tx)
{
    arrival *a = (arrival *)(void *)job;
    mw_incident_facts facts = {0};
    mw_err err = MW_OK;
    if (strcmp(a->action, "created") != 0)
        err = mw_state_incident_facts(tx, MW_SLICE("w1"), mw_slice_of(a->incident), 0, &arena,
                                      &facts);
    if (err == MW_OK && facts.known) {
        snprintf(a->id, sizeof a->id, "%.*s", MW_SLICE_FMT(facts.newest_alarm_id));
        err = mw_state_alarm_event_insert(tx, facts.newest_alarm_id, a->started_ns,
                                          mw_slice_of(a->action));
        if (err == MW_OK && facts.investigation_id.len)
            err = mw_state_investigation_settle(tx, facts.investigation_id, a->started_ns);
        return err;
    }
    mw_id_new(a->id);
    mw_alarm_row row = {.id = mw_slice_of(a->id),
                        .space = MW_SLICE("default"),
                        .webhook_id = MW_SLICE("w1"),
                        .source = MW_SLICE("devops-agent"),
                        .incident_id = mw_slice_of(a->incident),
                        .action = mw_slice_of(a->action),
                        .priority = MW_SLICE("HIGH"),
                        .title = MW_SLICE("checkout <5xx>"),
                        .service = mw_slice_of(a->service),
                        .resources_json = MW_SLICE("[]"),
                        .started_ns = a->started_ns,
                        .received_ns = T0};
    return err == MW_OK ? mw_state_alarm_insert(tx, &row) : err;
}

/* The id of the alarm made, or of the one that took the event. */
static inline mw_slice arrive_at(const char *incident, const char *action, const char *service,
                                 int64_t started_ns)
{
    arrival a = {.job = {.run = run_arrival},
                 .incident = incident,
                 .action = action,
                 .service = service,
                 .started_ns = started_ns};
    assert_int_equal(mw_state_submit_wait(state_db, &a.job), MW_OK);
    if (triage)
        mw_triage_wake(triage);
    mw_slice id = mw_arena_copy(&arena, mw_slice_of(a.id));
    assert_non_null(id.data);
    return id;
}

/* Of a service of its own, so that it is no neighbour of any other. */
static inline mw_slice arrive(const char *incident, const char *action)
{
    return arrive_at(incident, action, incident, T0);
}

static inline void settle(void)
{
    for (int i = 0; i < 60000 && mw_triage_active(triage); i++)
        usleep(1000);
    assert_int_equal(mw_triage_active(triage), 0);
}

/* ---- reading back -------------------------------------------------------------------------- */

static inline bool decision_of(mw_slice alarm_id, mw_decision_row *out)
{
    mw_state_tx *tx;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    mw_err err = mw_state_decision_get(tx, alarm_id, &arena, out);
    mw_state_read_end(tx);
    assert_true(err == MW_OK || err == MW_E_NOT_FOUND);
    return err == MW_OK;
}

static inline mw_decision_row decided(mw_slice alarm_id)
{
    mw_decision_row row;
    if (!decision_of(alarm_id, &row))
        fail_msg("alarm %.*s is undecided", MW_SLICE_FMT(alarm_id));
    return row;
}

static inline mw_investigation_row investigation(mw_slice id)
{
    mw_investigation_row row;
    mw_state_tx *tx;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_investigation_get(tx, id, &arena, &row), MW_OK);
    mw_state_read_end(tx);
    return row;
}

static inline mw_journal_row *journal(mw_slice id, size_t *count)
{
    mw_journal_row *rows;
    mw_state_tx *tx;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_journal_list(tx, id, &arena, &rows, count), MW_OK);
    mw_state_read_end(tx);
    return rows;
}

#define WITH_TRIAGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
