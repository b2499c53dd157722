/* A kill at every step: two alarms are decided, their investigation runs to its end, and the
 * database's log of writes is kept. Then the daemon starts again on each prefix of that log that
 * ends with a commit, which is what a kill between any two steps leaves. Whatever the step was, the
 * alarms are decided once, the investigation comes to the same cause, and there is one plan. */
#include <sqlite3.h>

#include "lib/state/plans.h"
#include "tests/unit/triage/fixture.h"

#define FRAME_HEAD 24
#define WAL_HEAD 32
#define FILE_MAX ((size_t)16 << 20)

static unsigned char *base, *wal;
static size_t base_size, wal_size;

/* ---- files ----------------------------------------------------------------------------------- */

static size_t read_file(const char *path, unsigned char *out)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t got = fread(out, 1, FILE_MAX, file);
    assert_true(got < FILE_MAX);
    fclose(file);
    return got;
}

static void write_file(const char *path, const unsigned char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static uint32_t number_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The end of the first commit behind `at`; 0 at the end. A frame says so by the size of the file
 * that it leaves. */
static size_t next_commit(size_t at)
{
    size_t frame = FRAME_HEAD + number_at(wal + 8);
    for (at = at ? at : WAL_HEAD; at + frame <= wal_size; at += frame)
        if (number_at(wal + at + 4))
            return at + frame;
    return 0;
}

static void place_state(size_t wal_end)
{
    char path[128];
    write_file(state_path, base, base_size);
    snprintf(path, sizeof path, "%s-shm", state_path);
    unlink(path);
    snprintf(path, sizeof path, "%s-wal", state_path);
    write_file(path, wal, wal_end);
}

/* ---- the night ------------------------------------------------------------------------------- */

/* shop fails from T0 - 2 minutes on, of itself. */
static void send_telemetry(void)
{
    for (int64_t minute = 25; minute > 0; minute--) {
        span_spec spans[12];
        for (size_t i = 0; i < 12; i++)
            spans[i] = (span_spec){"shop", "POST /pay", "no connection to the ledger",
                                   T0 - minute * MINUTE + (int64_t)i * 4 * MW_NS_PER_S,
                                   minute <= 2 && i % 4 != 0};
        append_spans(spans, 12);
    }
}

static void record_night(mw_slice alarms[2])
{
    char path[128];
    send_telemetry();
    alarms[0] = arrive_at("inc-1", "created", "shop", T0);
    alarms[1] = arrive_at("inc-2", "created", "shop", T0 + MINUTE);
    close_all(); /* what was written so far goes into the file itself */
    base_size = read_file(state_path, base);
    open_all();
    start();
    settle();
    snprintf(path, sizeof path, "%s-wal", state_path);
    wal_size = read_file(path, wal);
    close_all();
}

static int64_t count_of(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(state_path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return count;
}

static void check_plan(mw_slice id)
{
    mw_plan_row plan;
    mw_state_tx *tx;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_plan_get(tx, id, &arena, &plan), MW_OK);
    mw_state_read_end(tx);
    assert_slice(plan.status, "PROPOSED");
}

/* What was cut off stays in the journal; behind it a whole run, from its plan to its end. */
static void check_journal(mw_slice id)
{
    size_t count, planned = 0, ended = 0;
    const mw_journal_row *records = journal(id, &count);
    for (size_t i = 0; i < count; i++) {
        planned += mw_slice_equal(records[i].type, MW_SLICE("PLANNING"));
        ended += mw_slice_equal(records[i].type, MW_SLICE("SUMMARY"));
    }
    assert_true(ended >= 1 && planned >= ended);
    assert_slice(records[count - 1].type, "SUMMARY");
}

static void check_night(const mw_slice alarms[2])
{
    mw_slice id = decided(alarms[0]).investigation_id;
    assert_slice(decided(alarms[0]).verdict, "PROCEED");
    assert_slice(decided(alarms[1]).verdict, "LINKED");
    assert_true(mw_slice_equal(id, decided(alarms[1]).investigation_id));
    mw_investigation_row row = investigation(id);
    assert_slice(row.status, "COMPLETED");
    assert_true(mw_slice_contains(row.root_cause_json, MW_SLICE("PROBABLE")));
    check_journal(id);
    check_plan(id);
    for (size_t i = 0; i < 2; i++) {
        mw_replayed done;
        mw_detail detail = {0};
        assert_int_equal(mw_triage_replay(triage, alarms[i], &arena, &done, &detail), MW_OK);
        assert_true(done.same);
    }
}

static void test_a_kill_at_every_step(void **unused)
{
    (void)unused;
    mw_slice alarms[2];
    unsigned steps = 0;
    base = malloc(FILE_MAX);
    wal = malloc(FILE_MAX);
    assert_true(base && wal);
    record_night(alarms);
    for (size_t end = next_commit(0); end; end = next_commit(end), steps++) {
        place_state(end);
        open_all();
        start();
        settle();
        check_night(alarms);
        close_all();
        assert_int_equal(count_of("SELECT count(*) FROM decision"), 2);
        assert_int_equal(count_of("SELECT count(*) FROM investigation"), 1);
        assert_int_equal(count_of("SELECT count(*) FROM plan WHERE status <> 'SUPERSEDED'"), 1);
    }
    open_all(); /* for the end of the test */
    /* The decisions, the claim, a record each of eight providers and more, the end. */
    print_message("killed behind %u commits\n", steps);
    assert_true(steps >= 12);
    free(base);
    free(wal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_TRIAGE(test_a_kill_at_every_step)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
