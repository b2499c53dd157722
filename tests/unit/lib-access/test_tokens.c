/* The table of tokens over a real state: the order of refusals, reload beside look-ups, principals,
 * and refusals that become audit rows. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "lib/access/access.h"
#include "lib/access/refusals.h"
#include "lib/base/log.h"
#include "tests/check.h"
#include "tests/unit/trees.h"

#define T0 (INT64_C(1773480413) * MW_NS_PER_S)
#define DAY (24 * 3600 * MW_NS_PER_S)

static char directory[64];
static mw_fake_clock fake;
static mw_state *state_db;
static mw_tokens *tokens;
static mw_arena arena;

static int set_up(void **unused)
{
    (void)unused;
    char path[96], key_path[96];
    mw_detail detail = {.message = ""};
    snprintf(directory, sizeof directory, "/tmp/midwatch-test-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/state.db", directory);
    snprintf(key_path, sizeof key_path, "%s/key", directory);
    mw_log_init(MW_LOG_ERROR + 1, MW_LOG_LOGFMT, STDERR_FILENO);
    mw_fake_clock_init(&fake, T0);
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    mw_state_config config = {.path = path,
                              .key_path = key_path,
                              .clock = &fake.clock,
                              .queue_budget_bytes = 1 << 20,
                              .readers = 2};
    if (mw_state_open(&config, &state_db, &detail) != MW_OK)
        return -1;
    return mw_tokens_start(state_db, &tokens) == MW_OK ? 0 : -1;
}

static int tear_down(void **unused)
{
    (void)unused;
    mw_state_close(state_db);
    mw_tokens_free(tokens);
    mw_arena_reset(&arena);
    return remove_tree(directory);
}

/* ---- rows ---------------------------------------------------------------------------------- */

typedef struct change_job {
    mw_state_job job;
    mw_err (*change)(mw_state_tx *tx, void *ctx);
    void *ctx;
} change_job;

static mw_err run_change(mw_state_job *job, mw_state_tx *tx)
{
    change_job *change = (change_job *)(void *)job;
    return change->change(tx, change->ctx);
}

static mw_err change(mw_err (*what)(mw_state_tx *tx, void *ctx), const void *ctx)
{
    change_job job = {.job.run = run_change, .change = what, .ctx = (void *)(uintptr_t)ctx};
    return mw_state_submit_wait(state_db, &job.job);
}

static mw_err insert(mw_state_tx *tx, void *row)
{
    return mw_state_token_insert(tx, row);
}

static mw_err rotate(mw_state_tx *tx, void *row)
{
    return mw_state_token_rotate(tx, row);
}

static mw_err end_it(mw_state_tx *tx, void *row)
{
    return mw_state_token_revoke(tx, ((mw_token_row *)row)->id, T0);
}

static mw_err switch_on(mw_state_tx *tx, void *space)
{
    return mw_state_token_access_set(tx, mw_slice_of(space), true, T0);
}

static mw_err switch_off(mw_state_tx *tx, void *space)
{
    return mw_state_token_access_set(tx, mw_slice_of(space), false, T0);
}

static mw_err forget(mw_state_tx *tx, void *space)
{
    return mw_state_token_forget_space(tx, mw_slice_of(space));
}

typedef struct made {
    mw_token_row row;
    char id[MW_ID_TEXT_SIZE], token[MW_TOKEN_LEN + 1], header[64];
    uint8_t digest[MW_TOKEN_DIGEST_SIZE];
} made;

static void value_of(made *out)
{
    mw_token_new(MW_TOKEN_PREFIX, out->token);
    snprintf(out->header, sizeof out->header, "Bearer %s", out->token);
    assert_int_equal(mw_tokens_digest(tokens, mw_slice_of(out->token), out->digest), MW_OK);
    out->row.digest = mw_slice_bytes(out->digest, sizeof out->digest);
}

static void make(const char *scopes, const char *addresses, made *out)
{
    memset(out, 0, sizeof *out);
    mw_id_new(out->id);
    out->row = (mw_token_row){.id = mw_slice_of(out->id),
                              .space = MW_SLICE("default"),
                              .name = MW_SLICE("night"),
                              .scopes = mw_slice_of(scopes),
                              .allowed_addresses = mw_slice_of(addresses),
                              .created_ns = T0,
                              .expires_ns = T0 + DAY,
                              .days = 1};
    value_of(out);
    assert_int_equal(change(insert, &out->row), MW_OK);
    assert_int_equal(mw_tokens_reload(tokens), MW_OK);
}

static mw_token_refusal ask(const char *header, unsigned wanted, int64_t wall_ns,
                            mw_token_answer *out)
{
    mw_token_answer unused;
    mw_token_question question = {.credentials = mw_slice_of(header),
                                  .address = MW_SLICE("127.0.0.1"),
                                  .wanted = wanted,
                                  .governed = wanted != MW_TOKEN_INGEST,
                                  .wall_ns = wall_ns,
                                  .mono_ns = 1};
    out = out ? out : &unused;
    mw_tokens_judge(tokens, &question, out);
    return out->refusal;
}

/* ---- judgement ----------------------------------------------------------------------------- */

static void test_order_of_refusals(void **unused)
{
    (void)unused;
    made read, away;
    mw_token_answer answer;
    const unsigned reads = MW_TOKEN_READ | MW_TOKEN_OPERATE;
    make("read", "", &read);
    /* Off everywhere: whatever is shown. */
    assert_int_equal(ask("nonsense", reads, T0, NULL), MW_TOKEN_SWITCHED_OFF);
    assert_int_equal(ask("nonsense", MW_TOKEN_INGEST, T0, NULL), MW_TOKEN_MALFORMED);
    assert_int_equal(change(switch_on, "other"), MW_OK);
    assert_int_equal(mw_tokens_reload(tokens), MW_OK);
    /* On elsewhere: as soon as it is known whose it is. */
    assert_int_equal(ask("nonsense", reads, T0, NULL), MW_TOKEN_MALFORMED);
    assert_int_equal(ask(read.header, reads, T0 + DAY, NULL), MW_TOKEN_SWITCHED_OFF);
    assert_int_equal(change(switch_on, "default"), MW_OK);
    assert_int_equal(mw_tokens_reload(tokens), MW_OK);
    assert_int_equal(ask("Bearer mwat_abcdefghijklmnopqrstuvwxyzABCD4dNndV", reads, T0, NULL),
                     MW_TOKEN_BAD_CHECKSUM);
    assert_int_equal(ask("Bearer mwat_abcdefghijklmnopqrstuvwxyzABCD4dNndU", reads, T0, NULL),
                     MW_TOKEN_UNKNOWN);
    assert_int_equal(ask(read.header, reads, T0, &answer), MW_TOKEN_GOOD);
    assert_string_equal(answer.id, read.id);
    assert_string_equal(answer.space, "default");
    assert_int_equal(ask(read.header, reads, T0 + DAY - 1, NULL), MW_TOKEN_GOOD);
    assert_int_equal(ask(read.header, reads, T0 + DAY, NULL), MW_TOKEN_EXPIRED);
    assert_int_equal(ask(read.header, MW_TOKEN_OPERATE, T0, NULL), MW_TOKEN_LACKS_SCOPE);
    make("operate", "192.0.2.0/24", &away);
    assert_int_equal(ask(away.header, MW_TOKEN_INGEST, T0, NULL), MW_TOKEN_FOREIGN_ADDRESS);
    assert_int_equal(change(end_it, &read.row), MW_OK);
    assert_int_equal(change(end_it, &read.row), MW_E_CONFLICT);
    assert_int_equal(mw_tokens_reload(tokens), MW_OK);
    assert_int_equal(ask(read.header, reads, T0 + DAY, NULL), MW_TOKEN_REVOKED);
    assert_int_equal(change(switch_off, "default"), MW_OK);
    assert_int_equal(mw_tokens_reload(tokens), MW_OK);
    assert_int_equal(ask(read.header, reads, T0, NULL), MW_TOKEN_SWITCHED_OFF);
}

static void test_rotation_and_spaces(void **unused)
{
    (void)unused;
    made one;
    char old[64];
    make("ingest", "", &one);
    memcpy(old, one.header, sizeof old);
    value_of(&one);
    one.row.expires_ns = 0;
    assert_int_equal(change(rotate, &one.row), MW_OK);
    assert_int_equal(mw_tokens_reload(tokens), MW_OK);
    assert_int_equal(ask(old, MW_TOKEN_INGEST, T0, NULL), MW_TOKEN_UNKNOWN);
    assert_int_equal(ask(one.header, MW_TOKEN_INGEST, T0 + 1000 * DAY, NULL), MW_TOKEN_GOOD);
    assert_int_equal(change(forget, "default"), MW_OK);
    assert_int_equal(mw_tokens_reload(tokens), MW_OK);
    assert_int_equal(ask(one.header, MW_TOKEN_INGEST, T0, NULL), MW_TOKEN_UNKNOWN);
    assert_int_equal(change(rotate, &one.row), MW_E_NOT_FOUND);
}

static void test_rate_of_a_token(void **unused)
{
    (void)unused;
    made one;
    mw_token_answer answer;
    make("read,ingest", "", &one);
    assert_int_equal(change(switch_on, "default"), MW_OK);
    assert_int_equal(mw_tokens_reload(tokens), MW_OK);
    for (int i = 0; i < 120; i++)
        assert_int_equal(ask(one.header, MW_TOKEN_READ, T0, NULL), MW_TOKEN_GOOD);
    assert_int_equal(ask(one.header, MW_TOKEN_READ, T0, &answer), MW_TOKEN_TOO_OFTEN);
    assert_int_equal(answer.retry_after_s, 1);
    assert_int_equal(mw_tokens_reload(tokens), MW_OK); /* forgets nothing */
    assert_int_equal(ask(one.header, MW_TOKEN_READ, T0, NULL), MW_TOKEN_TOO_OFTEN);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ask(one.header, MW_TOKEN_INGEST, T0, NULL), MW_TOKEN_GOOD);
}

static void *reload_often(void *stop)
{
    while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED))
        if (mw_tokens_reload(tokens) != MW_OK)
            abort();
    return NULL;
}

static void test_look_ups_beside_reloads(void **unused)
{
    (void)unused;
    pthread_t threads[2];
    int stop = 0, good = 0;
    made one;
    make("ingest", "", &one);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reload_often, &stop), 0);
    for (int i = 0; i < 20000; i++)
        good += ask(one.header, MW_TOKEN_INGEST, T0, NULL) == MW_TOKEN_GOOD;
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(good, 20000);
}

/* ---- principals ---------------------------------------------------------------------------- */

static mw_err check(const mw_access_facts *facts, mw_scope wanted, mw_principal *who)
{
    mw_detail detail = {.message = ""};
    mw_access_policy policy = {.tokens = tokens};
    return mw_access_check(&policy, facts, wanted, who, &detail);
}

static void test_other_machines(void **unused)
{
    (void)unused;
    made one;
    mw_principal who;
    make("operate", "", &one);
    assert_int_equal(change(switch_on, "default"), MW_OK);
    assert_int_equal(mw_tokens_reload(tokens), MW_OK);
    mw_access_facts facts = {.address = MW_SLICE("192.0.2.7"),
                             .credentials = mw_slice_of(one.header),
                             .credentials_count = 1,
                             .wall_ns = T0};
    assert_int_equal(check(&facts, MW_SCOPE_READ, &who), MW_E_DENIED); /* not in clear text */
    facts.tls = true;
    assert_int_equal(check(&facts, MW_SCOPE_READ, &who), MW_OK);
    assert_string_equal(who.space, "default");
    assert_true(strncmp(who.name, "token:", 6) == 0 && strstr(who.name, "night"));
    assert_int_equal(check(&facts, MW_SCOPE_OPERATE, &who), MW_OK);
    assert_int_equal(check(&facts, MW_SCOPE_INGEST, &who), MW_E_DENIED);
    assert_int_equal(check(&facts, MW_SCOPE_ADMINISTER, &who), MW_E_DENIED);
    facts.credentials_count = 2;
    assert_int_equal(check(&facts, MW_SCOPE_READ, &who), MW_E_INVALID);
    facts.credentials_count = 0;
    assert_int_equal(check(&facts, MW_SCOPE_READ, &who), MW_E_UNAUTHENTICATED);
    assert_int_equal(check(&facts, MW_SCOPE_INGEST, &who), MW_E_UNAUTHENTICATED);
    assert_int_equal(check(&facts, MW_SCOPE_WEBHOOK, &who), MW_OK); /* its signature is its own */
    assert_int_equal(check(&facts, MW_SCOPE_NONE, &who), MW_OK);
}

/* ---- refusals ------------------------------------------------------------------------------ */

static size_t audit(mw_audit_row **rows)
{
    mw_state_tx *tx;
    size_t count;
    mw_slice next;
    mw_state_page page = {.limit = 1000};
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_audit_list(tx, &page, MW_SLICE(""), &arena, rows, &count, &next),
                     MW_OK);
    mw_state_read_end(tx);
    return count;
}

static mw_err do_nothing(mw_state_tx *tx, void *ctx)
{
    (void)tx, (void)ctx;
    return MW_OK;
}

static void test_refusals_are_counted_together(void **unused)
{
    (void)unused;
    mw_audit_row *rows;
    mw_refusals *refusals = mw_refusals_new(state_db, &fake.clock);
    mw_denial denial = {.action = "access.read",
                        .reason = "expired",
                        .principal = MW_SLICE("loopback"),
                        .address = MW_SLICE("127.0.0.1"),
                        .subject = MW_SLICE("id"),
                        .space = MW_SLICE("team-a")};
    fake.mono_ns = 1000 * MW_NS_PER_S;
    for (int i = 0; i < 1000; i++)
        mw_refusals_note(refusals, &denial);
    assert_int_equal(change(do_nothing, NULL), MW_OK);
    size_t first = audit(&rows);
    assert_int_equal(first, 1);
    assert_slice(rows[0].outcome, "denied");
    assert_true(mw_slice_starts(rows[0].detail, MW_SLICE("expired")));
    /* A minute later, what came meanwhile; then nothing more. */
    fake.mono_ns += 61 * MW_NS_PER_S;
    for (int i = 0; i < 3; i++) {
        mw_refusals_tick(refusals, false);
        assert_int_equal(change(do_nothing, NULL), MW_OK);
    }
    assert_in_range(audit(&rows), 1, 2);
    /* Many different ones at once. */
    for (int i = 0; i < 10000; i++) {
        char id[16];
        denial.subject = mw_slice_bytes(id, (size_t)snprintf(id, sizeof id, "%d", i));
        mw_refusals_note(refusals, &denial);
    }
    mw_refusals_tick(refusals, true);
    assert_int_equal(change(do_nothing, NULL), MW_OK);
    mw_refusals_tick(refusals, true);
    assert_int_equal(change(do_nothing, NULL), MW_OK);
    assert_in_range(audit(&rows), MW_REFUSALS_ROWS, 2 * MW_REFUSALS_ROWS);
    mw_refusals_note(NULL, &denial);
    mw_state_close(state_db);
    mw_refusals_free(refusals);
    mw_tokens_free(tokens);
    mw_arena_reset(&arena);
    assert_int_equal(remove_tree(directory), 0);
    assert_int_equal(set_up(NULL), 0); /* for tear_down */
}

static mw_err refuse_many(mw_state_tx *tx, void *ctx)
{
    mw_err err = MW_OK;
    (void)ctx;
    for (int64_t i = 0; i < MW_AUDIT_REFUSALS_MAX / 20 && err == MW_OK; i++) {
        mw_audit_row row = {.time_ns = i + 1, .outcome = MW_SLICE("denied")};
        err = mw_state_audit_insert(tx, &row);
    }
    return err;
}

static mw_err refuse_one(mw_state_tx *tx, void *ctx)
{
    mw_audit_row row = {.time_ns = 1, .outcome = MW_SLICE("denied")};
    (void)ctx;
    return mw_state_audit_refusal(tx, &row);
}

static mw_err change_one(mw_state_tx *tx, void *ctx)
{
    mw_audit_row row = {.time_ns = 1, .action = MW_SLICE("kept"), .outcome = MW_SLICE("ok")};
    (void)ctx;
    return mw_state_audit_insert(tx, &row);
}

static size_t count_all(void)
{
    mw_audit_row *rows;
    size_t total = 0, count;
    mw_slice next = MW_SLICE("");
    do {
        mw_state_tx *tx;
        mw_state_page page = {.limit = 1000, .cursor = next};
        assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
        assert_int_equal(mw_state_audit_list(tx, &page, MW_SLICE(""), &arena, &rows, &count, &next),
                         MW_OK);
        mw_state_read_end(tx);
        total += count;
    } while (next.len);
    return total;
}

static void test_refusals_do_not_fill_the_disk(void **unused)
{
    (void)unused;
    assert_int_equal(change(change_one, NULL), MW_OK);
    for (int i = 0; i < 22; i++)
        assert_int_equal(change(refuse_many, NULL), MW_OK);
    assert_int_equal(change(refuse_one, NULL), MW_OK);
    assert_int_equal(count_all(), MW_AUDIT_REFUSALS_MAX + 1); /* and the change */
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_order_of_refusals),
        WITH(test_rotation_and_spaces),
        WITH(test_rate_of_a_token),
        WITH(test_look_ups_beside_reloads),
        WITH(test_other_machines),
        WITH(test_refusals_are_counted_together),
        WITH(test_refusals_do_not_fill_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
