/* States of a run and of an incident: the table of what each event makes of each, every pair played
 * against the real one. */
#include "lib/state/plans.h"
#include "tests/unit/triage/fixture.h"

typedef enum event {
    CLAIMED,        /* a runner takes the oldest that waits */
    RESTARTED,      /* the daemon ended and started */
    JOINED,         /* an alarm joined */
    INCIDENT_ENDED, /* a person closed or merged it */
    TAKEN_AWAY,     /* a person canceled the run */
    EVENTS
} event;

/* "" = as it was, "!" = refused as a conflict, and as it was. What a run itself ends with it
 * writes from IN_PROGRESS alone (the last table). */
static const struct {
    const char *status;
    const char *next[EVENTS];
} table[] = {
    {"PENDING_TRIAGE", {"", "", "", "CANCELED", "!"}},
    {"PENDING_START", {"IN_PROGRESS", "", "", "CANCELED", "CANCELED"}},
    {"IN_PROGRESS", {"", "PENDING_START", "", "", "CANCELED"}},
    {"PENDING_CUSTOMER_APPROVAL", {"", "", "", "", "!"}},
    {"COMPLETED", {"", "", "PENDING_START", "", "!"}},
    {"FAILED", {"", "", "PENDING_START", "", "!"}},
    {"TIMED_OUT", {"", "", "PENDING_START", "", "!"}},
    {"CANCELED", {"", "", "", "", "!"}},
};
#define STATUSES (sizeof table / sizeof table[0])

typedef struct step {
    mw_state_job job;
    mw_slice id;
    const char *status, *incident_state;
    event what;
    bool joined;
    int64_t repeat_ns;
} step;

static mw_err run_insert(mw_state_job *job, mw_state_tx *tx)
{
    const step *s = (const step *)(void *)job;
    mw_investigation_row row = {.id = s->id,
                                .space = MW_SLICE("default"),
                                .status = mw_slice_of(s->status),
                                .incident_state = mw_slice_of(s->incident_state),
                                .window_start_ns = T0,
                                .window_end_ns = T0};
    return mw_state_investigation_insert(tx, &row);
}

static mw_err run_event(mw_state_job *job, mw_state_tx *tx)
{
    const step *s = (const step *)(void *)job;
    mw_investigation_row row;
    mw_err err = MW_OK;
    switch (s->what) {
    case CLAIMED:
        err = mw_state_investigation_claim(tx, &arena, &row);
        return err == MW_E_NOT_FOUND ? MW_OK : err;
    case RESTARTED: return mw_state_investigation_requeue(tx);
    case JOINED:
        return mw_state_investigation_join(tx, s->id, T0 - 5, T0 + 5, MW_SLICE("HIGH"),
                                           s->repeat_ns, NULL);
    case TAKEN_AWAY: return mw_state_investigation_cancel(tx, s->id);
    default: return mw_state_investigation_end(tx, s->id, MW_SLICE(""), T0);
    }
}

static mw_slice insert(const char *status, const char *incident_state)
{
    static unsigned number;
    char id[MW_ID_TEXT_SIZE];
    snprintf(id, sizeof id, "%032u", ++number);
    step s = {.job = {.run = run_insert},
              .id = mw_arena_copy(&arena, mw_slice_of(id)),
              .status = status,
              .incident_state = incident_state};
    assert_int_equal(mw_state_submit_wait(state_db, &s.job), MW_OK);
    return s.id;
}

static mw_err try_event(mw_slice id, event what)
{
    step s = {.job = {.run = run_event}, .id = id, .what = what};
    return mw_state_submit_wait(state_db, &s.job);
}

static void happen(mw_slice id, event what)
{
    assert_int_equal(try_event(id, what), MW_OK);
}

static void test_every_pair_of_status_and_event(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < STATUSES; i++)
        for (unsigned e = 0; e < EVENTS; e++) {
            mw_slice id = insert(table[i].status, "open");
            bool refused = strcmp(table[i].next[e], "!") == 0;
            assert_int_equal(try_event(id, (event)e), refused ? MW_E_CONFLICT : MW_OK);
            mw_investigation_row row = investigation(id);
            bool same = refused || !*table[i].next[e];
            const char *wanted = same ? table[i].status : table[i].next[e];
            if (!mw_slice_equal(row.status, mw_slice_of(wanted)))
                fail_msg("%s, event %u: %.*s", table[i].status, e, MW_SLICE_FMT(row.status));
            assert_slice(row.incident_state, e == INCIDENT_ENDED ? "closed" : "open");
            if (e == JOINED) {
                assert_int_equal(row.window_start_ns, T0 - 5);
                assert_int_equal(row.window_end_ns, T0 + 5);
                assert_slice(row.priority, "HIGH");
            }
            happen(id, INCIDENT_ENDED); /* nothing is left to be claimed by the next */
            if (mw_slice_equal(investigation(id).status, MW_SLICE("IN_PROGRESS")))
                happen(id, RESTARTED), happen(id, INCIDENT_ENDED);
        }
}

/* A join that raises the priority, and then a run that ends. */
static mw_slice raised;

static mw_err run_raise(mw_state_job *job, mw_state_tx *tx)
{
    (void)job;
    mw_investigation_row row = {
        .id = raised, .status = MW_SLICE("COMPLETED"), .window_start_ns = T0, .window_end_ns = T0};
    mw_err err = mw_state_investigation_join(tx, raised, T0, T0, MW_SLICE("HIGH"), 0, NULL);
    return err == MW_OK ? mw_state_investigation_update(tx, &row) : err;
}

/* ---- the end of a run ------------------------------------------------------------------------ */

static mw_err run_finish(mw_state_job *job, mw_state_tx *tx)
{
    const step *s = (const step *)(void *)job;
    mw_investigation_row row = {
        .id = s->id, .status = mw_slice_of(s->status), .window_start_ns = T0, .window_end_ns = T0};
    mw_err err = MW_OK;
    if (s->joined)
        err = mw_state_investigation_join(tx, s->id, T0 - 9, T0 + 9, MW_SLICE(""), 0, NULL);
    return err == MW_OK ? mw_state_investigation_update(tx, &row) : err;
}

static void test_the_end_of_a_run(void **unused)
{
    (void)unused;
    static const char *const ends[] = {"COMPLETED", "FAILED", "TIMED_OUT", "CANCELED"};
    for (size_t i = 0; i < 4; i++)
        for (int joined = 0; joined < 2; joined++) {
            mw_slice id = insert("IN_PROGRESS", "open");
            step s = {.job = {.run = run_finish}, .id = id, .status = ends[i], .joined = joined};
            assert_int_equal(mw_state_submit_wait(state_db, &s.job), MW_OK);
            mw_investigation_row row = investigation(id);
            assert_slice(row.status, joined && i < 3 ? "PENDING_START" : ends[i]);
            /* What it read is no reason to forget what joined meanwhile. */
            assert_int_equal(row.window_start_ns, joined ? T0 - 9 : T0);
        }
}

/* ---- the incident ---------------------------------------------------------------------------- */

static void test_a_closed_incident_stays_closed(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < STATUSES; i++) {
        mw_slice id = insert(table[i].status, "closed");
        for (unsigned e = 0; e < EVENTS; e++) {
            mw_err err = try_event(id, (event)e);
            assert_true(err == MW_OK || (e == TAKEN_AWAY && err == MW_E_CONFLICT));
            assert_slice(investigation(id).incident_state, "closed");
        }
    }
}

/* Of a service that is known: within the window it starts nothing, outside it does. */
static void test_a_repeat_starts_nothing(void **unused)
{
    (void)unused;
    static const struct {
        int64_t at_ns;
        const char *status;
    } rows[] = {{T0, "COMPLETED"}, {T0 + 1, "PENDING_START"}, {T0 - 1, "PENDING_START"}};
    for (size_t i = 0; i < 3; i++) {
        mw_slice id = insert("COMPLETED", "open");
        /* as urgent as it is already */
        step s = {.job = {.run = run_event}, .id = id, .what = JOINED, .repeat_ns = rows[i].at_ns};
        mw_state_job first = {.run = run_raise};
        raised = id;
        assert_int_equal(mw_state_submit_wait(state_db, &first), MW_OK);
        assert_int_equal(mw_state_submit_wait(state_db, &s.job), MW_OK);
        assert_slice(investigation(id).status, rows[i].status);
    }
}

static void test_settling_needs_every_member(void **unused)
{
    (void)unused;
    start();
    mw_slice one = arrive_at("inc-1", "created", "shop", T0);
    mw_slice two = arrive_at("inc-2", "created", "shop", T0 + MINUTE);
    settle();
    mw_slice id = decided(one).investigation_id;
    assert_true(mw_slice_equal(id, decided(two).investigation_id));
    arrive_at("inc-1", "resolved", "shop", T0 + MINUTE);
    assert_slice(investigation(id).incident_state, "open");
    arrive_at("inc-2", "closed", "shop", T0 + MINUTE);
    assert_slice(investigation(id).incident_state, "closed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TRIAGE(test_every_pair_of_status_and_event), WITH_TRIAGE(test_the_end_of_a_run),
        WITH_TRIAGE(test_a_closed_incident_stays_closed), WITH_TRIAGE(test_a_repeat_starts_nothing),
        WITH_TRIAGE(test_settling_needs_every_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
