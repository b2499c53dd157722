/* What the programs of this room share: a state in a temporary directory, jobs that call a
 * function and wait, and rows to put in. Each program includes this once; the tests' threads read
 * what set_up made. */
#ifndef MW_TESTS_LIB_STATE_FIXTURE_H
#define MW_TESTS_LIB_STATE_FIXTURE_H

#include <string.h>
#include <unistd.h>

#include "lib/state/rows_int.h"
#include "lib/state/tokens.h"
#include "lib/state/webhooks.h"
#include "tests/check.h"

static char directory[64], db_path[96], key_path[96];
static mw_fake_clock fake;
static mw_state *the_state;
static unsigned log_pages; /* a program may set it */
static mw_arena arena;

/* ---- set-up -------------------------------------------------------------------------------- */

static inline mw_err open_state(mw_detail *detail)
{
    mw_state_config config = {.path = db_path,
                              .key_path = key_path,
                              .clock = &fake.clock,
                              .queue_budget_bytes = 1 << 20,
                              .readers = 2,
                              .log_pages = log_pages};
    return mw_state_open(&config, &the_state, detail);
}

static inline void must_open(void)
{
    mw_detail detail = {0};
    if (open_state(&detail) != MW_OK)
        fail_msg("cannot open: %s", detail.message);
}

static inline void close_state(void)
{
    mw_state_close(the_state);
    the_state = NULL;
}

static inline void remove_files(void)
{
    static const char *const names[] = {"state.db", "state.db-wal", "state.db-shm", "key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s/%s", directory, names[i]);
        unlink(name);
    }
}

static inline int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/midwatch-test-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(db_path, sizeof db_path, "%s/state.db", directory);
    snprintf(key_path, sizeof key_path, "%s/key", directory);
    mw_fake_clock_init(&fake, INT64_C(1773480413) * MW_NS_PER_S);
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    mw_detail detail;
    return open_state(&detail) == MW_OK ? 0 : -1;
}

static inline int tear_down(void **state)
{
    (void)state;
    close_state();
    mw_arena_reset(&arena);
    remove_files();
    return rmdir(directory);
}

/* A job that calls a function with an argument. */
typedef struct call {
    mw_state_job job;
    mw_err (*function)(mw_state_tx *tx, void *argument);
    void *argument;
    int done_count;
    mw_err done_err;
} call;

static inline mw_err run_call(mw_state_job *job, mw_state_tx *tx)
{
    call *c = (call *)(void *)job;
    return c->function(tx, c->argument);
}

static inline void done_call(mw_state_job *job, mw_err err)
{
    call *c = (call *)(void *)job;
    __atomic_store_n(&c->done_err, err, __ATOMIC_RELAXED);
    __atomic_add_fetch(&c->done_count, 1, __ATOMIC_RELEASE);
}

static inline mw_err change(mw_err (*function)(mw_state_tx *, void *), void *argument)
{
    call c = {
        .job = {.run = run_call, .done = done_call}, .function = function, .argument = argument};
    mw_err err = mw_state_submit_wait(the_state, &c.job);
    assert_int_equal(c.done_count, 1);
    assert_int_equal(c.done_err, err);
    return err;
}

static inline mw_state_tx *begin(void)
{
    mw_state_tx *tx;
    assert_int_equal(mw_state_read_begin(the_state, &tx), MW_OK);
    return tx;
}

/* "%032x"-like id of a number, unique by its first eight digits. */
static inline mw_slice id_of(unsigned n)
{
    char *text = mw_arena_printf(&arena, "%08x%024x", n * 2654435761u, n);
    assert_non_null(text);
    return mw_slice_of(text);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static inline mw_err insert_webhook(mw_state_tx *tx, void *row)
{
    return mw_state_webhook_insert(tx, row);
}
static inline mw_err insert_alarm(mw_state_tx *tx, void *row)
{
    return mw_state_alarm_insert(tx, row);
}
static inline mw_err insert_decision(mw_state_tx *tx, void *row)
{
    return mw_state_decision_insert(tx, row);
}
static inline mw_err insert_investigation(mw_state_tx *tx, void *row)
{
    return mw_state_investigation_insert(tx, row);
}
static inline mw_err update_investigation(mw_state_tx *tx, void *row)
{
    return mw_state_investigation_update(tx, row);
}
static inline mw_err insert_audit(mw_state_tx *tx, void *row)
{
    return mw_state_audit_insert(tx, row);
}

static inline mw_alarm_row alarm_row(unsigned n, const char *incident, const char *action)
{
    return (mw_alarm_row){.id = id_of(n),
                          .space = MW_SLICE("default"),
                          .webhook_id = MW_SLICE("w1"),
                          .source = MW_SLICE("devops-agent"),
                          .incident_id = mw_slice_of(incident),
                          .action = mw_slice_of(action),
                          .priority = MW_SLICE("HIGH"),
                          .title = MW_SLICE("a 'title'; DROP TABLE alarm; --"),
                          .description = MW_SLICE("line\nline\x1b[31m"),
                          .service = MW_SLICE("checkout"),
                          .region = MW_SLICE(""),
                          .resources_json = MW_SLICE("[]"),
                          .body = MW_SLICE("{\"raw\":\"b\0dy\"}"),
                          .started_ns = 1000 + (int64_t)n,
                          .received_ns = 5000 + (int64_t)n};
}

static inline mw_alarm_row add_alarm(unsigned n, const char *incident, const char *action)
{
    mw_alarm_row row = alarm_row(n, incident, action);
    assert_int_equal(change(insert_alarm, &row), MW_OK);
    assert_true(row.seq > 0);
    return row;
}

static inline mw_investigation_row add_investigation(unsigned n)
{
    mw_investigation_row row = {.id = id_of(n),
                                .space = MW_SLICE("default"),
                                .title = MW_SLICE("t"),
                                .status = MW_SLICE("PENDING_START"),
                                .incident_state = MW_SLICE("open"),
                                .priority = MW_SLICE("LOW"),
                                .created_ns = 100 + (int64_t)n,
                                .window_start_ns = 1,
                                .window_end_ns = 2};
    assert_int_equal(change(insert_investigation, &row), MW_OK);
    return row;
}

static inline mw_err decide(mw_slice alarm_id, const char *verdict, mw_slice investigation_id)
{
    mw_decision_row row = {.alarm_id = alarm_id,
                           .verdict = mw_slice_of(verdict),
                           .reason_code = MW_SLICE("code"),
                           .reason = MW_SLICE("because"),
                           .investigation_id = investigation_id,
                           .detail_json = MW_SLICE("{}")};
    return change(insert_decision, &row);
}

static inline int64_t count_rows(const char *sql_text)
{
    mw_state_tx *tx = begin();
    mw_sql sql = mw_sql_prepare(tx, sql_text);
    int64_t count = -1;
    while (mw_sql_step(&sql))
        count = mw_sql_take_i64(&sql);
    assert_int_equal(mw_sql_end(&sql), MW_OK);
    mw_state_read_end(tx);
    return count;
}

#define WITH_STATE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static inline bool has_alarm(unsigned n)
{
    mw_alarm_row out;
    mw_state_tx *tx = begin();
    mw_err err = mw_state_alarm_get(tx, id_of(n), &arena, &out);
    mw_state_read_end(tx);
    assert_true(err == MW_OK || err == MW_E_NOT_FOUND);
    return err == MW_OK;
}

#endif
