/* Second looks: what waits for one and when, what was found, and that members of an open incident
 * are told with what the last look saw. */
#include "lib/state/incidents.h"
#include "lib/state/looks.h"
#include "tests/unit/lib-state/fixture.h"

typedef struct waiting {
    uint64_t seq;
    int64_t ns; /* due, or the gap to the next */
    unsigned looks;
    uint64_t seen;
} waiting;

static mw_err put(mw_state_tx *tx, void *ctx)
{
    const waiting *w = ctx;
    return mw_state_unsettled_insert(tx, w->seq, w->ns, w->seen);
}

static mw_err done(mw_state_tx *tx, void *ctx)
{
    const waiting *w = ctx;
    return mw_state_unsettled_done(tx, w->looks, w->seq, w->ns);
}

static mw_err insert_look(mw_state_tx *tx, void *row)
{
    return mw_state_look_insert(tx, row);
}

static mw_err change_seen(mw_state_tx *tx, void *ctx)
{
    const waiting *w = ctx;
    return mw_state_unsettled_seen(tx, w->looks, w->seq, w->seen);
}

static mw_unsettled_row *rows;

/* Numbers of those that are due, in the order told; 0 behind the last. */
static void check_due(int64_t now_ns, size_t limit, const uint64_t *wanted, unsigned looks,
                      bool waits)
{
    size_t count;
    unsigned had;
    bool some;
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_unsettled_due(tx, now_ns, limit, &arena, &rows, &count, &had, &some),
                     MW_OK);
    mw_state_read_end(tx);
    assert_int_equal(some, waits);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(rows[i].alarm_seq, wanted[i]);
    assert_int_equal(wanted[count], 0);
    if (count)
        assert_int_equal(had, looks);
}

static void test_what_is_due(void **state)
{
    (void)state;
    mw_alarm_row one = add_alarm(1, "a", "created"), two = add_alarm(2, "b", "created");
    mw_alarm_row three = add_alarm(3, "c", "created");
    const uint64_t none[] = {0};
    check_due(1000, 9, none, 0, false);
    waiting put_in[] = {{.seq = one.seq, .ns = 100, .seen = 7},
                        {.seq = two.seq, .ns = 110, .seen = UINT64_MAX},
                        {.seq = three.seq, .ns = 120}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(change(put, &put_in[i]), MW_OK);
    assert_int_equal(change(put, &put_in[0]), MW_E_CONFLICT);
    check_due(99, 9, none, 0, true);
    const uint64_t first[] = {one.seq, 0}, both[] = {one.seq, two.seq, 0};
    check_due(100, 9, first, 0, true);
    check_due(115, 9, both, 0, true);
    assert_int_equal(rows[0].seen, 7);
    assert_true(rows[1].seen == UINT64_MAX);
    assert_true(mw_slice_equal(rows[1].alarm_id, two.id));
    assert_true(mw_slice_equal(rows[1].service, two.service));
    assert_true(mw_slice_equal(rows[1].title, two.title));
    assert_int_equal(rows[1].started_ns, two.started_ns);
    check_due(999, 2, both, 0, true); /* no more than asked for */
    /* A look at the two: the next is due behind the gap, and those without any come first. */
    waiting gap = {.seq = two.seq, .ns = 50};
    assert_int_equal(change(done, &gap), MW_OK);
    const uint64_t rest[] = {three.seq, 0};
    check_due(119, 9, none, 0, true);
    check_due(120, 9, rest, 0, true);
    check_due(999, 9, rest, 0, true);
    gap.seq = three.seq;
    assert_int_equal(change(done, &gap), MW_OK);
    const uint64_t all[] = {one.seq, two.seq, three.seq, 0};
    check_due(149, 9, none, 1, true);
    check_due(160, 9, both, 1, true);
    waiting other = {.seq = one.seq, .looks = 1, .seen = 8};
    assert_int_equal(change(change_seen, &other), MW_OK);
    /* A restart forgets none. */
    close_state();
    must_open();
    check_due(170, 9, all, 1, true);
    assert_int_equal(rows[0].seen, 8);
    waiting last = {.seq = two.seq, .ns = 50, .looks = 1};
    assert_int_equal(change(done, &last), MW_OK);
    check_due(INT64_MAX, 9, rest, 1, true);
    last.seq = three.seq;
    assert_int_equal(change(done, &last), MW_OK);
    check_due(INT64_MAX, 9, none, 0, false);
    assert_int_equal(change(done, &last), MW_OK); /* of none that waits: nothing */
}

static mw_slice told; /* what the last look at the one member saw */

static mw_err take(void *ctx, const mw_open_member *member)
{
    (void)ctx;
    told = mw_arena_copy(&arena, member->detail_json);
    return MW_OK;
}

static void test_what_was_found(void **state)
{
    (void)state;
    mw_alarm_row one = add_alarm(1, "a", "created");
    mw_investigation_row own = add_investigation(50), other = add_investigation(51);
    assert_int_equal(decide(one.id, "PROCEED", own.id), MW_OK);
    mw_look_row row = {.alarm_id = one.id,
                       .time_ns = 7,
                       .look = MW_SLICE("suggests"),
                       .own_id = own.id,
                       .others = 3,
                       .in_hand = true,
                       .into_id = other.id,
                       .verdict = MW_SLICE("LINKED"),
                       .reason_code = MW_SLICE("call_path"),
                       .reason = MW_SLICE("why"),
                       .score = 0.5,
                       .threshold = 0.4,
                       .scored = true,
                       .as_of = 9,
                       .detail_json = MW_SLICE("{\"first\":1}")};
    assert_int_equal(change(insert_look, &row), MW_OK);
    mw_look_row second = row;
    second.into_id = MW_SLICE("");
    second.scored = second.in_hand = false;
    second.detail_json = MW_SLICE("{\"second\":2}");
    assert_int_equal(change(insert_look, &second), MW_OK);
    second.alarm_id = id_of(99);
    assert_int_equal(change(insert_look, &second), MW_E_NOT_FOUND);
    mw_look_row *looks;
    size_t count;
    uint64_t members;
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_looks(tx, one.id, &arena, &looks, &count), MW_OK);
    assert_int_equal(mw_state_members_count(tx, own.id, &members), MW_OK);
    assert_int_equal(mw_state_open_members(tx, own.id, take, NULL), MW_OK);
    mw_state_read_end(tx);
    assert_int_equal(count, 2);
    assert_slice(looks[0].look, "suggests");
    assert_true(mw_slice_equal(looks[0].own_id, own.id));
    assert_true(mw_slice_equal(looks[0].into_id, other.id));
    assert_true(looks[0].in_hand && looks[0].scored && looks[0].score == 0.5);
    assert_int_equal(looks[0].others, 3);
    assert_int_equal(looks[0].as_of, 9);
    assert_slice(looks[0].detail_json, "{\"first\":1}");
    assert_int_equal(looks[1].into_id.len, 0);
    assert_false(looks[1].scored || looks[1].in_hand);
    assert_int_equal(members, 1);
    assert_slice(told, "{\"second\":2}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STATE(test_what_is_due),
        WITH_STATE(test_what_was_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
