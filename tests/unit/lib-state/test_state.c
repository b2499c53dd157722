/* State: every table there and back, id prefixes, pages, and what is known of an incident. */
#include <fcntl.h>

#include "lib/state/incidents.h"
#include "tests/unit/lib-state/fixture.h"

/* ---- webhooks and replays ------------------------------------------------------------------ */

static void test_webhooks(void **state)
{
    (void)state;
    mw_webhook_row one = {.id = id_of(1),
                          .space = MW_SLICE("default"),
                          .name = MW_SLICE("Ünï"),
                          .source = MW_SLICE("devops-agent"),
                          .secret = MW_SLICE("whsec_planted_marker"),
                          .created_ns = 20,
                          .enabled = true};
    mw_webhook_row two = one;
    two.id = id_of(2);
    two.created_ns = 10;
    two.enabled = false;
    two.secret = MW_SLICE("");
    assert_int_equal(change(insert_webhook, &one), MW_OK);
    assert_int_equal(change(insert_webhook, &two), MW_OK);
    assert_int_equal(change(insert_webhook, &one), MW_E_CONFLICT);
    mw_webhook_row *rows;
    size_t count;
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_webhook_all(tx, &arena, &rows, &count), MW_OK);
    mw_state_read_end(tx);
    assert_int_equal(count, 2);
    assert_true(mw_slice_equal(rows[0].id, two.id)); /* oldest first */
    assert_false(rows[0].enabled);
    assert_slice(rows[0].secret, "");
    assert_true(mw_slice_equal(rows[1].id, one.id));
    assert_slice(rows[1].name, "Ünï");
    assert_slice(rows[1].space, "default");
    assert_slice(rows[1].source, "devops-agent");
    assert_slice(rows[1].secret, "whsec_planted_marker");
    assert_int_equal(rows[1].created_ns, 20);
    assert_true(rows[1].enabled);
}

static mw_err rotate_webhook(mw_state_tx *tx, void *row)
{
    return mw_state_webhook_rotate(tx, row);
}

static mw_err disable_webhook(mw_state_tx *tx, void *row)
{
    return mw_state_webhook_enable(tx, ((mw_webhook_row *)row)->id, false);
}

static mw_err delete_webhook(mw_state_tx *tx, void *row)
{
    return mw_state_webhook_delete(tx, ((mw_webhook_row *)row)->id);
}

static void test_changes_of_webhooks(void **state)
{
    (void)state;
    mw_webhook_row row = {.id = id_of(1),
                          .space = MW_SLICE("default"),
                          .name = MW_SLICE("n"),
                          .source = MW_SLICE("generic"),
                          .auth = MW_SLICE("bearer"),
                          .secret = MW_SLICE("first"),
                          .allowed_addresses = MW_SLICE("10.0.0.0/8"),
                          .mapping_json = MW_SLICE("{}"),
                          .rate_limit = 7,
                          .enabled = true};
    mw_webhook_row out, none = {.id = id_of(2), .secret = MW_SLICE("x")};
    assert_int_equal(change(insert_webhook, &row), MW_OK);
    row.previous_secret = row.secret;
    row.secret = MW_SLICE("second");
    row.previous_until_ns = 50;
    row.rotated_ns = 40;
    assert_int_equal(change(rotate_webhook, &row), MW_OK);
    assert_int_equal(change(disable_webhook, &row), MW_OK);
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_webhook_get(tx, mw_slice_first(row.id, 8), &arena, &out), MW_OK);
    mw_state_read_end(tx);
    assert_slice(out.secret, "second");
    assert_slice(out.previous_secret, "first");
    assert_slice(out.auth, "bearer");
    assert_slice(out.allowed_addresses, "10.0.0.0/8");
    assert_slice(out.mapping_json, "{}");
    assert_int_equal(out.rate_limit, 7);
    assert_int_equal(out.previous_until_ns, 50);
    assert_int_equal(out.rotated_ns, 40);
    assert_false(out.enabled);
    assert_int_equal(change(rotate_webhook, &none), MW_E_NOT_FOUND);
    assert_int_equal(change(disable_webhook, &none), MW_E_NOT_FOUND);
    assert_int_equal(change(delete_webhook, &row), MW_OK);
    assert_int_equal(change(delete_webhook, &row), MW_E_NOT_FOUND);
}

static mw_err insert_all_webhooks(mw_state_tx *tx, void *unused)
{
    mw_err err = MW_OK;
    (void)unused;
    for (int i = 0; i < MW_WEBHOOKS_MAX && err == MW_OK; i++) {
        char id[MW_ID_TEXT_SIZE];
        mw_id_new(id);
        mw_webhook_row row = {.id = mw_slice_of(id), .secret = MW_SLICE("x")};
        err = mw_state_webhook_insert(tx, &row);
    }
    return err;
}

static void test_there_is_an_end_to_webhooks(void **state)
{
    (void)state;
    mw_webhook_row more = {.id = id_of(1), .secret = MW_SLICE("x")};
    assert_int_equal(change(insert_all_webhooks, NULL), MW_OK);
    assert_int_equal(change(insert_webhook, &more), MW_E_LIMIT);
}

static bool file_contains(const char *path, const char *needle)
{
    static char data[4 << 20];
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, data, sizeof data);
    close(fd);
    return len > 0 && mw_slice_contains(mw_slice_bytes(data, (size_t)len), mw_slice_of(needle));
}

static void test_secret_is_nowhere_in_the_files(void **state)
{
    (void)state;
    mw_webhook_row row = {.id = id_of(1),
                          .name = MW_SLICE("visible_marker"),
                          .secret = MW_SLICE("whsec_planted_marker")};
    assert_int_equal(change(insert_webhook, &row), MW_OK);
    char wal[128];
    snprintf(wal, sizeof wal, "%s-wal", db_path);
    assert_true(file_contains(wal, "visible_marker"));
    assert_false(file_contains(wal, "planted_marker"));
    close_state();
    assert_true(file_contains(db_path, "visible_marker"));
    assert_false(file_contains(db_path, "planted_marker"));
    must_open();
}

typedef struct replay {
    const char *webhook;
    uint8_t digest[32];
    int64_t now, expires;
} replay;

static mw_err insert_replay(mw_state_tx *tx, void *argument)
{
    const replay *r = argument;
    return mw_state_replay_insert(tx, mw_slice_of(r->webhook), r->digest, r->now, r->expires);
}

static mw_err see(const char *webhook, uint8_t digest, int64_t now, int64_t expires)
{
    replay r = {webhook, {digest}, now, expires};
    return change(insert_replay, &r);
}

static void test_replays(void **state)
{
    (void)state;
    assert_int_equal(see("w1", 1, 100, 200), MW_OK);
    assert_int_equal(see("w1", 1, 150, 250), MW_E_CONFLICT);
    assert_int_equal(see("w2", 1, 150, 250), MW_OK); /* another endpoint */
    assert_int_equal(see("w1", 2, 150, 250), MW_OK);
    assert_int_equal(see("w1", 1, 199, 299), MW_E_CONFLICT);
    close_state(); /* a restart opens no hole */
    must_open();
    assert_int_equal(see("w1", 1, 199, 299), MW_E_CONFLICT);
    assert_int_equal(see("w1", 1, 200, 300), MW_OK); /* expired */
    assert_int_equal(see("w1", 1, 299, 400), MW_E_CONFLICT);
}

static void test_expired_replays_are_removed(void **state)
{
    (void)state;
    static const char sql_count[] = "SELECT count(*) FROM replay";
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(see("w1", (uint8_t)i, 0, 100), MW_OK);
    assert_int_equal(count_rows(sql_count), 100);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(see("w2", (uint8_t)i, 1000, 2000), MW_OK);
    assert_int_equal(count_rows(sql_count), 20);
}

/* ---- alarms -------------------------------------------------------------------------------- */

static void test_alarm_round_trip(void **state)
{
    (void)state;
    mw_alarm_row in = add_alarm(7, "inc-1", "created"), out;
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_alarm_get(tx, in.id, &arena, &out), MW_OK);
    mw_state_read_end(tx);
    assert_int_equal(out.seq, in.seq);
    assert_true(mw_slice_equal(out.id, in.id));
    assert_true(mw_slice_equal(out.space, in.space));
    assert_true(mw_slice_equal(out.webhook_id, in.webhook_id));
    assert_true(mw_slice_equal(out.source, in.source));
    assert_true(mw_slice_equal(out.incident_id, in.incident_id));
    assert_true(mw_slice_equal(out.action, in.action));
    assert_true(mw_slice_equal(out.priority, in.priority));
    assert_true(mw_slice_equal(out.title, in.title));
    assert_true(mw_slice_equal(out.description, in.description));
    assert_true(mw_slice_equal(out.service, in.service));
    assert_slice(out.region, "");
    assert_slice(out.resources_json, "[]");
    assert_true(mw_slice_equal(out.body, in.body));
    assert_int_equal(out.started_ns, in.started_ns);
    assert_int_equal(out.received_ns, in.received_ns);
    assert_int_equal(change(insert_alarm, &in), MW_E_CONFLICT);
}

static mw_err insert_raw_alarm(const char *id)
{
    mw_alarm_row row = alarm_row(1, "inc", "created");
    row.id = mw_slice_of(id);
    return change(insert_alarm, &row);
}

static void test_prefixes(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        mw_err expected;
    } rows[] = {
        {"abcdef", MW_E_AMBIGUOUS},  {"abcdef0", MW_OK},
        {"ABCDEF0", MW_OK},          {"abcdef00000000000000000000000000", MW_OK},
        {"abcdeff", MW_OK},          {"abcde", MW_E_NOT_FOUND}, /* too short to name anything */
        {"", MW_E_NOT_FOUND},        {"abcdee", MW_E_NOT_FOUND},
        {"abcdef1", MW_E_NOT_FOUND}, {"abcdeg", MW_E_NOT_FOUND},
        {"abcdef%", MW_E_NOT_FOUND}, {"abcdef000000000000000000000000000", MW_E_NOT_FOUND}, /* 33 */
        {"ffffff", MW_OK},
    };
    assert_int_equal(insert_raw_alarm("abcdef00000000000000000000000000"), MW_OK);
    assert_int_equal(insert_raw_alarm("abcdefff000000000000000000000000"), MW_OK);
    assert_int_equal(insert_raw_alarm("ffffffffffffffffffffffffffffffff"), MW_OK);
    mw_state_tx *tx = begin();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_alarm_row out;
        mw_err err = mw_state_alarm_get(tx, mw_slice_of(rows[i].prefix), &arena, &out);
        if (err != rows[i].expected)
            fail_msg("prefix \"%s\": got %d, expected %d", rows[i].prefix, err, rows[i].expected);
    }
    mw_state_read_end(tx);
}

static void test_alarm_pages(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        mw_alarm_row row = alarm_row(i, "inc", "created");
        row.started_ns = 1000 + (int64_t)(i / 2); /* pairs share a time: the id breaks the tie */
        assert_int_equal(change(insert_alarm, &row), MW_OK);
    }
    mw_state_tx *tx = begin();
    mw_state_page page = {.limit = 3};
    size_t seen = 0;
    int64_t last_time = INT64_MAX;
    mw_slice last_id = MW_SLICE("");
    for (int pages = 1;; pages++) {
        mw_alarm_row *rows;
        size_t count;
        uint64_t total;
        mw_slice next;
        assert_int_equal(mw_state_alarm_list(tx, &page, &arena, &rows, &count, &next, &total),
                         MW_OK);
        assert_int_equal(total, 10);
        for (size_t i = 0; i < count; i++, seen++) {
            assert_true(
                rows[i].started_ns < last_time ||
                (rows[i].started_ns == last_time && mw_slice_compare(rows[i].id, last_id) < 0));
            assert_slice(rows[i].body, ""); /* lists carry no bodies */
            last_time = rows[i].started_ns;
            last_id = rows[i].id;
        }
        page.cursor = next;
        if (!next.len) {
            assert_int_equal(pages, 4);
            break;
        }
    }
    assert_int_equal(seen, 10);
    mw_state_read_end(tx);
}

static void check_bounds(mw_state_tx *tx, uint64_t since, uint64_t until, size_t expected)
{
    mw_state_page page = {.since_ns = since, .until_ns = until, .limit = 1000};
    mw_alarm_row *rows;
    size_t count;
    uint64_t total;
    mw_slice next;
    assert_int_equal(mw_state_alarm_list(tx, &page, &arena, &rows, &count, &next, &total), MW_OK);
    assert_int_equal(count, expected);
    assert_int_equal(total, expected);
    assert_int_equal(next.len, 0);
}

static void test_alarm_bounds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        add_alarm(i, "inc", "created"); /* started at 1000 to 1003 */
    mw_state_tx *tx = begin();
    check_bounds(tx, 0, 0, 4);
    check_bounds(tx, 1001, 0, 3); /* since is inclusive */
    check_bounds(tx, 0, 1003, 3); /* until is exclusive */
    check_bounds(tx, 1001, 1003, 2);
    check_bounds(tx, 1001, 1001, 0);
    check_bounds(tx, UINT64_MAX, 0, 0);
    check_bounds(tx, 0, UINT64_MAX, 4);
    static const char *const bad[] = {"x", "zzzz", "0000000000000001",
                                      "ffffffffffffffff00000000000000000000000000000000",
                                      "000000000000000100000000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mw_state_page page = {.limit = 10, .cursor = mw_slice_of(bad[i])};
        mw_alarm_row *rows;
        size_t count;
        uint64_t total;
        mw_slice next;
        assert_int_equal(mw_state_alarm_list(tx, &page, &arena, &rows, &count, &next, &total),
                         MW_E_SYNTAX);
    }
    mw_state_read_end(tx);
}

/* ---- incidents ----------------------------------------------------------------------------- */

typedef struct event {
    mw_slice alarm_id;
    const char *action;
} event;

static mw_err insert_event(mw_state_tx *tx, void *argument)
{
    const event *e = argument;
    return mw_state_alarm_event_insert(tx, e->alarm_id, 77, mw_slice_of(e->action));
}

static mw_err add_event(mw_slice alarm_id, const char *action)
{
    event e = {alarm_id, action};
    return change(insert_event, &e);
}

static mw_incident_facts facts_of(const char *incident, uint64_t before_seq)
{
    mw_incident_facts facts;
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_incident_facts(tx, MW_SLICE("w1"), mw_slice_of(incident), before_seq,
                                             &arena, &facts),
                     MW_OK);
    mw_state_read_end(tx);
    return facts;
}

static mw_err end_investigation(mw_state_tx *tx, void *argument)
{
    const mw_slice *id = argument;
    return mw_state_investigation_end(tx, *id, MW_SLICE(""), 88);
}

static void test_incident_facts(void **state)
{
    (void)state;
    assert_false(facts_of("inc", 0).known);
    mw_investigation_row investigation = add_investigation(50);
    mw_alarm_row first = add_alarm(1, "inc", "created");
    mw_incident_facts facts = facts_of("inc", 0);
    assert_true(facts.known && facts.unresolved && facts.open); /* undecided `created` counts */
    assert_int_equal(facts.investigation_id.len, 0);
    assert_false(facts_of("inc", first.seq).known); /* nothing before itself */
    assert_false(facts_of("other", 0).known);

    assert_int_equal(decide(first.id, "PROCEED", investigation.id), MW_OK);
    mw_alarm_row repeat = add_alarm(2, "inc", "created");
    assert_true(mw_slice_equal(facts_of("inc", 0).newest_alarm_id, repeat.id));
    facts = facts_of("inc", repeat.seq);
    assert_true(mw_slice_equal(facts.newest_alarm_id, first.id));
    assert_true(mw_slice_equal(facts.investigation_id, investigation.id));
    assert_int_equal(decide(repeat.id, "SKIPPED", investigation.id), MW_OK);
    assert_true(mw_slice_equal(facts_of("inc", 0).newest_alarm_id, first.id));

    assert_int_equal(add_event(first.id, "updated"), MW_OK);
    assert_true(facts_of("inc", 0).unresolved);
    assert_int_equal(add_event(first.id, "resolved"), MW_OK);
    assert_false(facts_of("inc", 0).unresolved);
    assert_true(facts_of("inc", repeat.seq).unresolved); /* as it was for the repeat */
    mw_alarm_row later = add_alarm(3, "inc", "created");
    assert_false(facts_of("inc", later.seq).unresolved || facts_of("inc", later.seq).open);
    assert_true(facts_of("inc", 0).unresolved);

    /* A person's close ends what is open, and leaves what the sender has to resolve. */
    assert_int_equal(decide(later.id, "PROCEED", investigation.id), MW_OK);
    assert_true(facts_of("inc", 0).open);
    assert_int_equal(change(end_investigation, &investigation.id), MW_OK);
    assert_true(facts_of("inc", 0).unresolved && !facts_of("inc", 0).open);
}

static void test_alarms_other_than_created_are_no_members(void **state)
{
    (void)state;
    mw_alarm_row row = add_alarm(1, "inc", "updated");
    assert_false(facts_of("inc", 0).known);
    assert_int_equal(decide(row.id, "SKIPPED", MW_SLICE("")), MW_OK);
    assert_false(facts_of("inc", 0).known);
}

static void test_incidents_are_keyed_by_endpoint(void **state)
{
    (void)state;
    mw_alarm_row row = alarm_row(1, "inc", "created");
    row.webhook_id = MW_SLICE("w2");
    assert_int_equal(change(insert_alarm, &row), MW_OK);
    assert_false(facts_of("inc", 0).known);
}

static mw_err move_events(mw_state_tx *tx, void *argument)
{
    const mw_slice *ids = argument;
    return mw_state_alarm_events_move(tx, ids[0], ids[1]);
}

static void test_events(void **state)
{
    (void)state;
    mw_alarm_row one = add_alarm(1, "inc", "created"), two = add_alarm(2, "inc", "created");
    assert_int_equal(add_event(one.id, "updated"), MW_OK);
    assert_int_equal(add_event(two.id, "closed"), MW_OK);
    assert_int_equal(add_event(id_of(9), "closed"), MW_E_NOT_FOUND);
    mw_slice ids[] = {two.id, one.id};
    assert_int_equal(change(move_events, ids), MW_OK);
    mw_alarm_event_row *rows;
    size_t count;
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_alarm_events(tx, one.id, &arena, &rows, &count), MW_OK);
    assert_int_equal(count, 2);
    assert_slice(rows[0].action, "updated");
    assert_slice(rows[1].action, "closed");
    assert_int_equal(rows[1].time_ns, 77);
    assert_int_equal(mw_state_alarm_events(tx, two.id, &arena, &rows, &count), MW_OK);
    assert_int_equal(count, 0);
    mw_state_read_end(tx);
}

/* ---- decisions ----------------------------------------------------------------------------- */

static mw_err undecided(mw_alarm_row *out)
{
    mw_state_tx *tx = begin();
    mw_err err = mw_state_alarm_undecided(tx, &arena, out);
    mw_state_read_end(tx);
    return err;
}

static void test_decisions(void **state)
{
    (void)state;
    mw_alarm_row out, one = add_alarm(1, "a", "created"), two = add_alarm(2, "b", "created");
    mw_investigation_row investigation = add_investigation(50);
    assert_int_equal(undecided(&out), MW_OK);
    assert_int_equal(out.seq, one.seq);
    mw_decision_row in = {.alarm_id = one.id,
                          .verdict = MW_SLICE("LINKED"),
                          .reason_code = MW_SLICE("code"),
                          .reason = MW_SLICE("why"),
                          .investigation_id = investigation.id,
                          .score = 0.75,
                          .threshold = 0.5,
                          .scored = true,
                          .detail_json = MW_SLICE("{\"inputs\":{}}"),
                          .as_of = 42,
                          .decided_ns = 43,
                          .decided_in_us = 44};
    mw_decision_row back;
    assert_int_equal(change(insert_decision, &in), MW_OK);
    assert_int_equal(change(insert_decision, &in), MW_E_CONFLICT);
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_decision_get(tx, one.id, &arena, &back), MW_OK);
    assert_int_equal(mw_state_decision_get(tx, two.id, &arena, &in), MW_E_NOT_FOUND);
    mw_state_read_end(tx);
    assert_slice(back.verdict, "LINKED");
    assert_slice(back.reason_code, "code");
    assert_slice(back.reason, "why");
    assert_true(mw_slice_equal(back.alarm_id, one.id));
    assert_true(mw_slice_equal(back.investigation_id, investigation.id));
    assert_true(back.scored && back.score == 0.75 && back.threshold == 0.5);
    assert_slice(back.detail_json, "{\"inputs\":{}}");
    assert_int_equal(back.as_of, 42);
    assert_int_equal(back.decided_ns, 43);
    assert_int_equal(back.decided_in_us, 44);

    assert_int_equal(undecided(&out), MW_OK);
    assert_int_equal(out.seq, two.seq);
    assert_int_equal(decide(two.id, "SKIPPED", MW_SLICE("")), MW_OK);
    assert_int_equal(undecided(&out), MW_E_NOT_FOUND);
    tx = begin();
    assert_int_equal(mw_state_decision_get(tx, two.id, &arena, &back), MW_OK);
    mw_state_read_end(tx);
    assert_false(back.scored);
    assert_int_equal(back.investigation_id.len, 0);
    assert_int_equal(decide(id_of(99), "SKIPPED", MW_SLICE("")), MW_E_NOT_FOUND);
}

/* ---- investigations ------------------------------------------------------------------------ */

static void test_investigation_round_trip(void **state)
{
    (void)state;
    mw_investigation_row in = add_investigation(1), out;
    assert_int_equal(change(insert_investigation, &in), MW_E_CONFLICT);
    in.status = MW_SLICE("COMPLETED");
    in.root_cause_json = MW_SLICE("{\"verdict\":\"INCONCLUSIVE\"}");
    in.window_start_ns = 11;
    in.window_end_ns = 12;
    in.title = MW_SLICE("not updated");
    in.incident_state = MW_SLICE("closed"); /* not updated either */
    assert_int_equal(change(update_investigation, &in), MW_OK);
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_investigation_get(tx, mw_slice_first(in.id, 6), &arena, &out), MW_OK);
    mw_state_read_end(tx);
    assert_true(mw_slice_equal(out.id, in.id));
    assert_slice(out.space, "default");
    assert_slice(out.title, "t");
    assert_slice(out.status, "COMPLETED");
    assert_slice(out.incident_state, "open");
    assert_slice(out.priority, "LOW");
    assert_int_equal(out.created_ns, 101);
    assert_int_equal(out.closed_ns, 0);
    assert_int_equal(out.window_start_ns, 1); /* it only grows */
    assert_int_equal(out.window_end_ns, 12);
    assert_slice(out.root_cause_json, "{\"verdict\":\"INCONCLUSIVE\"}");
    in.id = id_of(99);
    assert_int_equal(change(update_investigation, &in), MW_E_NOT_FOUND);
}

static mw_err claim(mw_state_tx *tx, void *out)
{
    return mw_state_investigation_claim(tx, &arena, out);
}

static mw_err requeue(mw_state_tx *tx, void *unused)
{
    (void)unused;
    return mw_state_investigation_requeue(tx);
}

static void test_claim_takes_each_once_oldest_first(void **state)
{
    (void)state;
    mw_investigation_row out, two = add_investigation(2), one = add_investigation(1);
    assert_int_equal(change(claim, &out), MW_OK);
    assert_true(mw_slice_equal(out.id, one.id));
    assert_slice(out.status, "IN_PROGRESS");
    assert_int_equal(change(claim, &out), MW_OK);
    assert_true(mw_slice_equal(out.id, two.id));
    assert_int_equal(change(claim, &out), MW_E_NOT_FOUND);
    one.status = MW_SLICE("COMPLETED");
    assert_int_equal(change(update_investigation, &one), MW_OK);
    assert_int_equal(change(requeue, NULL), MW_OK);
    assert_int_equal(change(claim, &out), MW_OK);
    assert_true(mw_slice_equal(out.id, two.id));
    assert_int_equal(change(claim, &out), MW_E_NOT_FOUND);
}

static void check_list(mw_state_tx *tx, const char *status, size_t limit, size_t expected,
                       uint64_t expected_total)
{
    mw_state_page page = {.limit = limit};
    mw_investigation_row *rows;
    size_t count, all = 0;
    uint64_t total;
    int64_t before = INT64_MAX;
    do {
        assert_int_equal(mw_state_investigation_list(tx, &page, mw_slice_of(status), &arena, &rows,
                                                     &count, &page.cursor, &total),
                         MW_OK);
        assert_int_equal(total, expected_total);
        assert_true(count <= limit);
        for (size_t i = 0; i < count; i++, all++) {
            assert_true(rows[i].created_ns < before);
            before = rows[i].created_ns;
            if (*status)
                assert_slice(rows[i].status, status);
        }
    } while (page.cursor.len);
    assert_int_equal(all, expected);
}

static void test_investigation_list(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 7; i++) {
        mw_investigation_row row = add_investigation(i);
        row.status = i % 2 ? MW_SLICE("COMPLETED") : MW_SLICE("FAILED");
        assert_int_equal(change(update_investigation, &row), MW_OK);
    }
    mw_state_tx *tx = begin();
    check_list(tx, "", 2, 7, 7);
    check_list(tx, "", 1000, 7, 7);
    check_list(tx, "COMPLETED", 2, 3, 3);
    check_list(tx, "FAILED", 4, 4, 4);
    check_list(tx, "CANCELED", 4, 0, 0);
    mw_state_read_end(tx);
}

static mw_err settle(mw_state_tx *tx, void *argument)
{
    return mw_state_investigation_settle(tx, *(const mw_slice *)argument, 4711);
}

static const char *incident_state(mw_slice id, int64_t *closed_ns)
{
    mw_investigation_row out;
    assert_int_equal(change(settle, &id), MW_OK);
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_investigation_get(tx, id, &arena, &out), MW_OK);
    mw_state_read_end(tx);
    *closed_ns = out.closed_ns;
    return out.incident_state.data;
}

static void test_incident_closes_with_its_last_member(void **state)
{
    (void)state;
    int64_t closed;
    mw_investigation_row investigation = add_investigation(50);
    mw_alarm_row one = add_alarm(1, "a", "created"), two = add_alarm(2, "b", "created"),
                 skipped = add_alarm(3, "a", "created");
    assert_string_equal(incident_state(investigation.id, &closed), "open"); /* no member yet */
    assert_int_equal(decide(one.id, "PROCEED", investigation.id), MW_OK);
    assert_int_equal(decide(two.id, "LINKED", investigation.id), MW_OK);
    assert_int_equal(decide(skipped.id, "SKIPPED", investigation.id), MW_OK);
    assert_int_equal(add_event(one.id, "resolved"), MW_OK);
    assert_int_equal(add_event(two.id, "updated"), MW_OK);
    assert_string_equal(incident_state(investigation.id, &closed), "open");
    assert_int_equal(closed, 0);
    assert_int_equal(add_event(two.id, "closed"), MW_OK);
    assert_string_equal(incident_state(investigation.id, &closed), "closed");
    assert_int_equal(closed, 4711);
    mw_alarm_row *rows;
    size_t count;
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_alarm_of_investigation(tx, investigation.id, &arena, &rows, &count),
                     MW_OK);
    mw_state_read_end(tx);
    assert_int_equal(count, 2); /* the skipped one is no member */
    assert_true(mw_slice_equal(rows[0].id, one.id));
    assert_true(mw_slice_equal(rows[1].id, two.id));
}

typedef struct record {
    mw_slice investigation_id;
    mw_journal_row row;
} record;

static mw_err insert_record(mw_state_tx *tx, void *argument)
{
    const record *r = argument;
    return mw_state_journal_insert(tx, r->investigation_id, &r->row);
}

static void test_journal(void **state)
{
    (void)state;
    mw_investigation_row investigation = add_investigation(1);
    record r = {
        investigation.id,
        {.type = MW_SLICE("FINDING"), .text = MW_SLICE("t"), .evidence_json = MW_SLICE("[]")}};
    for (unsigned i = 0; i < 20; i++) {
        r.row.record_id = id_of(100 + i);
        r.row.time_ns = 1000 - (int64_t)i; /* order is that of insertion, not of time */
        assert_int_equal(change(insert_record, &r), MW_OK);
    }
    assert_int_equal(change(insert_record, &r), MW_E_CONFLICT);
    r.investigation_id = id_of(2);
    r.row.record_id = id_of(200);
    assert_int_equal(change(insert_record, &r), MW_E_NOT_FOUND);
    mw_journal_row *rows;
    size_t count;
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_journal_list(tx, investigation.id, &arena, &rows, &count), MW_OK);
    mw_state_read_end(tx);
    assert_int_equal(count, 20);
    for (unsigned i = 0; i < 20; i++)
        assert_true(mw_slice_equal(rows[i].record_id, id_of(100 + i)));
    assert_int_equal(rows[19].time_ns, 981);
    assert_slice(rows[19].type, "FINDING");
    assert_slice(rows[19].text, "t");
    assert_slice(rows[19].evidence_json, "[]");
}

static void test_audit(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        mw_audit_row row = {.time_ns = 10 + (int64_t)(i / 2),
                            .principal = MW_SLICE("local:alice"),
                            .source_address = MW_SLICE("unix"),
                            .action = MW_SLICE("webhook.create"),
                            .subject = id_of(i),
                            .outcome = MW_SLICE("ok"),
                            .detail = MW_SLICE("d\r\nforged"),
                            .space = i % 2 ? MW_SLICE("") : MW_SLICE("team-a")};
        assert_int_equal(change(insert_audit, &row), MW_OK);
    }
    mw_state_tx *tx = begin();
    mw_state_page page = {.limit = 2};
    unsigned expected = 5;
    do {
        mw_audit_row *rows;
        size_t count;
        assert_int_equal(
            mw_state_audit_list(tx, &page, MW_SLICE(""), &arena, &rows, &count, &page.cursor),
            MW_OK);
        for (size_t i = 0; i < count; i++) {
            assert_true(mw_slice_equal(rows[i].subject, id_of(--expected)));
            assert_slice(rows[i].principal, "local:alice");
            assert_slice(rows[i].source_address, "unix");
            assert_slice(rows[i].action, "webhook.create");
            assert_slice(rows[i].outcome, "ok");
            assert_slice(rows[i].detail, "d\r\nforged");
        }
    } while (page.cursor.len);
    assert_int_equal(expected, 0);
    mw_audit_row *rows;
    size_t count;
    /* Those of a space: every second one, page by page, and no other's. */
    for (unsigned seen = 0; seen < 3 || page.cursor.len; seen += (unsigned)count) {
        assert_int_equal(
            mw_state_audit_list(tx, &page, MW_SLICE("team-a"), &arena, &rows, &count, &page.cursor),
            MW_OK);
        assert_in_range(count, 1, 2);
        for (size_t i = 0; i < count; i++) {
            assert_slice(rows[i].space, "team-a");
            assert_true(mw_slice_equal(rows[i].subject, id_of(4 - 2 * (seen + (unsigned)i))));
        }
    }
    assert_int_equal(
        mw_state_audit_list(tx, &page, MW_SLICE("team"), &arena, &rows, &count, &page.cursor),
        MW_OK);
    assert_int_equal(count, 0);
    mw_state_page bad = {.limit = 2, .cursor = MW_SLICE("00000000000000010001")};
    assert_int_equal(
        mw_state_audit_list(tx, &bad, MW_SLICE(""), &arena, &rows, &count, &page.cursor),
        MW_E_SYNTAX);
    mw_state_read_end(tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STATE(test_webhooks),
        WITH_STATE(test_changes_of_webhooks),
        WITH_STATE(test_there_is_an_end_to_webhooks),
        WITH_STATE(test_secret_is_nowhere_in_the_files),
        WITH_STATE(test_replays),
        WITH_STATE(test_expired_replays_are_removed),
        WITH_STATE(test_alarm_round_trip),
        WITH_STATE(test_prefixes),
        WITH_STATE(test_alarm_pages),
        WITH_STATE(test_alarm_bounds),
        WITH_STATE(test_incident_facts),
        WITH_STATE(test_alarms_other_than_created_are_no_members),
        WITH_STATE(test_incidents_are_keyed_by_endpoint),
        WITH_STATE(test_events),
        WITH_STATE(test_decisions),
        WITH_STATE(test_investigation_round_trip),
        WITH_STATE(test_claim_takes_each_once_oldest_first),
        WITH_STATE(test_investigation_list),
        WITH_STATE(test_incident_closes_with_its_last_member),
        WITH_STATE(test_journal),
        WITH_STATE(test_audit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
