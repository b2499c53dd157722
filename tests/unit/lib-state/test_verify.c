/* Offline verification: whole files, files beside a writer, and files that are no good. */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "lib/base/log.h"
#include "tests/unit/lib-state/fixture.h"

static mw_detail seen;

static mw_err verify(void)
{
    memset(&seen, 0, sizeof seen);
    return mw_state_verify(db_path, key_path, &seen);
}

static bool is_file(const char *suffix)
{
    char path[128];
    snprintf(path, sizeof path, "%s%s", db_path, suffix);
    return access(path, F_OK) == 0;
}

static void exec_on_file(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_whole(void **state)
{
    (void)state;
    add_alarm(1, "inc", "created");
    assert_int_equal(verify(), MW_OK); /* beside the writer */
    close_state();
    assert_false(is_file("-wal"));
    assert_int_equal(verify(), MW_OK);
    /* It left nothing behind. */
    assert_false(is_file("-wal"));
    assert_false(is_file("-shm"));
    must_open();
}

static void test_odd_path(void **state)
{
    (void)state;
    char odd[128];
    close_state();
    snprintf(odd, sizeof odd, "%s/a %%41?b#c.db", directory);
    assert_int_equal(rename(db_path, odd), 0);
    assert_int_equal(mw_state_verify(odd, key_path, &seen), MW_OK);
    assert_int_equal(rename(odd, db_path), 0);
    must_open();
}

/* Without its key a daemon would not start: the secrets stay shut. */
static void test_key(void **state)
{
    (void)state;
    char aside[128];
    close_state();
    snprintf(aside, sizeof aside, "%s.aside", key_path);
    assert_int_equal(rename(key_path, aside), 0);
    assert_int_equal(verify(), MW_E_CORRUPT);
    assert_non_null(strstr(seen.message, "is missing"));
    int fd = open(key_path, O_WRONLY | O_CREAT, 0600);
    char other[65];
    memset(other, 'a', 64);
    other[64] = '\n';
    assert_int_equal(write(fd, other, sizeof other), sizeof other);
    close(fd);
    assert_int_equal(verify(), MW_E_CORRUPT);
    assert_non_null(strstr(seen.message, "does not fit"));
    assert_int_equal(rename(aside, key_path), 0);
    assert_int_equal(verify(), MW_OK);
    must_open();
}

static mw_err insert_token(mw_state_tx *tx, void *row)
{
    return mw_state_token_insert(tx, row);
}

static void test_secrets_and_digests(void **state)
{
    (void)state;
    mw_webhook_row hook = {.id = id_of(1), .name = MW_SLICE("a"), .secret = MW_SLICE("whsec_x")};
    mw_token_row token = {.id = id_of(2),
                          .scopes = MW_SLICE("read"),
                          .digest = MW_SLICE("0123456789abcdef0123456789abcdef")};
    assert_int_equal(change(insert_webhook, &hook), MW_OK);
    assert_int_equal(change(insert_token, &token), MW_OK);
    assert_int_equal(verify(), MW_OK);
    close_state();
    exec_on_file("UPDATE webhook SET secret_sealed = substr(secret_sealed, 1, 20)");
    assert_int_equal(verify(), MW_E_CORRUPT);
    assert_non_null(strstr(seen.message, "webhook"));
    exec_on_file("DELETE FROM webhook; UPDATE token SET digest = x'00'");
    assert_int_equal(verify(), MW_E_CORRUPT);
    assert_non_null(strstr(seen.message, "token"));
    remove_files();
    must_open();
}

static void test_none(void **state)
{
    (void)state;
    close_state();
    remove_files();
    assert_int_equal(verify(), MW_E_NOT_FOUND);
    assert_false(is_file(""));
    /* A first start that was cut off before it wrote anything. */
    close(open(db_path, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(verify(), MW_OK);
    remove_files();
    must_open();
}

static void test_foreign_and_newer(void **state)
{
    (void)state;
    close_state();
    exec_on_file("INSERT INTO schema_version VALUES (1000, 0)");
    assert_int_equal(verify(), MW_E_UNSUPPORTED);
    assert_non_null(strstr(seen.message, "1000"));
    remove_files();
    exec_on_file("CREATE TABLE theirs(x)");
    assert_int_equal(verify(), MW_E_CORRUPT);
    assert_true(seen.message[0] && seen.hint[0]);
    remove_files();
    must_open();
}

static void test_dangling_reference(void **state)
{
    (void)state;
    close_state();
    exec_on_file("PRAGMA foreign_keys = OFF;"
                 "INSERT INTO alarm_event(alarm_id, position, time_ns, action)"
                 " VALUES ('00000000000000000000000000000000', 1, 1, 'updated')");
    assert_int_equal(verify(), MW_E_CORRUPT);
    assert_non_null(strstr(seen.message, "refers"));
    remove_files();
    must_open();
}

/* Junk over one page after the other: what SQLite could stumble over is told. */
static void test_damage(void **state)
{
    (void)state;
    struct stat status;
    unsigned told = 0, pages = 0;
    for (unsigned i = 0; i < 50; i++) {
        char incident[32];
        snprintf(incident, sizeof incident, "incident-%u", i);
        add_alarm(i + 1, incident, "created");
    }
    close_state();
    assert_int_equal(stat(db_path, &status), 0);
    for (off_t at = 0; at < status.st_size; at += 4096, pages++) {
        char kept[4096], junk[4096];
        int fd = open(db_path, O_RDWR);
        assert_int_equal(pread(fd, kept, sizeof kept, at), sizeof kept);
        memset(junk, 0xa5, sizeof junk);
        assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
        mw_err err = verify();
        told += err == MW_E_CORRUPT && seen.message[0];
        assert_int_equal(pwrite(fd, kept, sizeof kept, at), sizeof kept);
        close(fd);
    }
    assert_true(pages > 10);
    assert_int_equal(told, pages);
    assert_int_equal(verify(), MW_OK);
    must_open();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STATE(test_whole),
        WITH_STATE(test_odd_path),
        WITH_STATE(test_key),
        WITH_STATE(test_secrets_and_digests),
        WITH_STATE(test_none),
        WITH_STATE(test_foreign_and_newer),
        WITH_STATE(test_dangling_reference),
        WITH_STATE(test_damage),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
