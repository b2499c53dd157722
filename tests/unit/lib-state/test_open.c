/* Opening: modes of the files, settings of connections, keys, schemas and files that do not fit. */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "tests/unit/lib-state/fixture.h"

/* ---- files --------------------------------------------------------------------------------- */

static void test_file_modes(void **state)
{
    (void)state;
    struct stat status;
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    add_alarm(1, "inc", "created");
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", db_path, suffixes[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
    }
    close_state();
    assert_int_equal(chmod(db_path, 0644), 0);
    must_open();
    assert_int_equal(stat(db_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static mw_err read_settings(mw_state_tx *tx, void *argument)
{
    static const char sql_sync[] = "PRAGMA synchronous";
    static const char sql_keys[] = "PRAGMA foreign_keys";
    int64_t *out = argument;
    mw_sql sync = mw_sql_prepare(tx, sql_sync);
    while (mw_sql_step(&sync))
        out[0] = mw_sql_take_i64(&sync);
    mw_sql keys = mw_sql_prepare(tx, sql_keys);
    while (mw_sql_step(&keys))
        out[1] = mw_sql_take_i64(&keys);
    int value = -1;
    sqlite3_db_config(tx->db, SQLITE_DBCONFIG_DEFENSIVE, -1, &value);
    out[2] = value;
    sqlite3_db_config(tx->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1, &value);
    out[3] = value;
    sqlite3_db_config(tx->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, -1, &value);
    out[4] = value;
    mw_err err = mw_sql_end(&sync);
    return err == MW_OK ? mw_sql_end(&keys) : err;
}

static void test_connection_settings(void **state)
{
    (void)state;
    int64_t writer[5], reader[5];
    static const int64_t expected[5] = {2 /* FULL */, 1, 1, 0, 0};
    assert_int_equal(change(read_settings, writer), MW_OK);
    mw_state_tx *tx = begin();
    assert_int_equal(read_settings(tx, reader), MW_OK);
    static const char sql_write[] = "DELETE FROM alarm";
    assert_int_not_equal(mw_sql_simple(tx, sql_write), MW_OK);
    mw_state_read_end(tx);
    assert_memory_equal(writer, expected, sizeof expected);
    assert_memory_equal(reader, expected, sizeof expected);
}

static void test_missing_or_foreign_key_is_refused(void **state)
{
    (void)state;
    mw_detail detail = {0};
    char kept[128];
    snprintf(kept, sizeof kept, "%s/kept", directory);
    close_state();
    assert_int_equal(rename(key_path, kept), 0);
    assert_int_equal(open_state(&detail), MW_E_CORRUPT);
    assert_int_not_equal(access(key_path, F_OK), 0); /* no new key is made for an old database */
    assert_int_equal(mw_seal_key_create(key_path, &detail), MW_OK);
    assert_int_equal(open_state(&detail), MW_E_CORRUPT);
    assert_int_equal(rename(kept, key_path), 0);
    assert_int_equal(chmod(key_path, 0640), 0);
    assert_int_equal(open_state(&detail), MW_E_DENIED);
    assert_int_equal(chmod(key_path, 0600), 0);
    must_open();
}

static void exec_on_file(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_newer_schema_is_refused(void **state)
{
    (void)state;
    mw_detail detail = {0};
    close_state();
    exec_on_file("INSERT INTO schema_version VALUES (1000, 0)");
    assert_int_equal(open_state(&detail), MW_E_UNSUPPORTED);
    assert_non_null(strstr(detail.message, "1000"));
    exec_on_file("DELETE FROM schema_version WHERE version = 1000");
    must_open();
}

static void test_foreign_files_are_refused(void **state)
{
    (void)state;
    mw_detail detail = {0};
    close_state();
    remove_files();
    exec_on_file("CREATE TABLE theirs(x)");
    assert_int_equal(open_state(&detail), MW_E_CORRUPT);
    remove_files();
    int fd = open(db_path, O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < 100; i++)
        assert_int_equal(write(fd, "this is not a database at all, just text\n", 41), 41);
    close(fd);
    assert_int_equal(open_state(&detail), MW_E_CORRUPT);
    remove_files();
    must_open();
}

static void test_unwritable_directory(void **state)
{
    (void)state;
    mw_detail detail = {0};
    mw_state *none = NULL;
    mw_state_config config = {.path = "/nonexistent-directory/state.db",
                              .key_path = key_path,
                              .clock = &fake.clock,
                              .readers = 1};
    assert_int_equal(mw_state_open(&config, &none, &detail), MW_E_IO);
    assert_null(none);
    assert_non_null(strstr(detail.message, "/nonexistent-directory"));
}

/* As a version 1 left it, with the secret that it showed: what is there is read on. */
static void test_an_old_file_is_migrated(void **state)
{
    (void)state;
    static char script[16384];
    static const char key[] = "f24b72dbd92cb48f2a1686d14f579295c8510c9b0f055d908132064d3ec13c2a\n";
    close_state();
    remove_files();
    int fd = open("tests/data/state-version-1.sql", O_RDONLY);
    ssize_t len = read(fd, script, sizeof script - 1);
    close(fd);
    assert_in_range(len, 1000, sizeof script - 2);
    exec_on_file(script);
    /* One whose time lies a day behind its receipt, and a nanosecond: that cannot be. */
    exec_on_file("INSERT INTO alarm VALUES"
                 " (1, '11111111111111111111111111111111', 'default', 'w', 'generic', 'i',"
                 " 'created', 'HIGH', 't', 's', '', 86400000000100, 100, '[]', '', x'7b7d'),"
                 " (2, '22222222222222222222222222222222', 'default', 'w', 'generic', 'j',"
                 " 'created', 'HIGH', 't', 's', '', 86400000000101, 100, '[]', '', x'7b7d')");
    fd = open(key_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, key, sizeof key - 1), sizeof key - 1);
    close(fd);
    mw_detail detail = {0};
    assert_int_equal(mw_state_verify(db_path, key_path, &detail), MW_OK); /* before and after */
    must_open();
    mw_webhook_row *rows;
    size_t count;
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_webhook_all(tx, &arena, &rows, &count), MW_OK);
    mw_alarm_row kept, odd;
    assert_int_equal(mw_state_alarm_get(tx, MW_SLICE("111111"), &arena, &kept), MW_OK);
    assert_int_equal(mw_state_alarm_get(tx, MW_SLICE("222222"), &arena, &odd), MW_OK);
    mw_state_read_end(tx);
    assert_int_equal(kept.started_ns, 86400000000100);
    assert_int_equal(kept.claimed_ns, 0);
    assert_int_equal(odd.started_ns, 100);
    assert_int_equal(odd.claimed_ns, 86400000000101);
    assert_int_equal(count, 1);
    assert_slice(rows[0].name, "made by version 1");
    assert_slice(rows[0].auth, "hmac");
    assert_slice(rows[0].secret, "whsec_UK2K37JYwCL6DLrdr35tPrVMbU9A8J7t6XBF2YIYvyk=");
    assert_slice(rows[0].previous_secret, "");
    assert_int_equal(rows[0].rate_limit, 0);
    assert_int_equal(mw_state_verify(db_path, key_path, &detail), MW_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STATE(test_file_modes),
        WITH_STATE(test_connection_settings),
        WITH_STATE(test_missing_or_foreign_key_is_refused),
        WITH_STATE(test_newer_schema_is_refused),
        WITH_STATE(test_foreign_files_are_refused),
        WITH_STATE(test_unwritable_directory),
        WITH_STATE(test_an_old_file_is_migrated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
