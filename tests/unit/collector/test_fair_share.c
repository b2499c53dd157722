/* Shares of recent bytes under a simulated clock. */
#include "collector/fair_share.h"
#include "tests/check.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

static mw_fair_share fair;
static int64_t now_ns;

static int reset(void **state)
{
    (void)state;
    mw_fair_share_init(&fair, 42);
    now_ns = 1000 * MW_NS_PER_S;
    return 0;
}

static mw_flow flow(const char *service, const char *session)
{
    return mw_fair_share_flow(&fair, mw_slice_of(service), mw_slice_of(session));
}

static void use(const char *service, const char *session, uint64_t bytes)
{
    mw_fair_share_use(&fair, flow(service, session), bytes, now_ns);
}

static bool waits(const char *service, const char *session)
{
    return mw_fair_share_waits(&fair, flow(service, session), 0, now_ns);
}

static void test_alone(void **state)
{
    (void)state;
    assert_false(waits("a", "s"));
    use("a", "s", 100 * MIB);
    assert_false(waits("a", "s"));
    assert_false(waits("b", "new"));
}

/* One service sends nine tenths: it waits, the others do not, whether known or new. */
static void test_services(void **state)
{
    (void)state;
    use("runaway", "r", 90 * MIB);
    use("quiet", "q", 5 * MIB);
    use("calm", "c", 5 * MIB);
    assert_true(waits("runaway", "r"));
    assert_false(waits("quiet", "q"));
    assert_false(waits("calm", "c"));
    assert_false(waits("new", "n"));
}

/* Equals go on, whatever they send. */
static void test_equals(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        use("a", "s", 10 * MIB);
        use("b", "t", 11 * MIB);
    }
    assert_false(waits("a", "s"));
    assert_false(waits("b", "t"));
}

/* Within one service the same holds for its sessions. */
static void test_sessions(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "calm-%d", i);
        use("a", name, 100 * KIB);
    }
    use("a", "runaway", 50 * MIB);
    assert_true(waits("a", "runaway"));
    assert_false(waits("a", "calm-7"));
    assert_false(waits("a", "new"));
}

/* A heavy service waits, but not for its light sessions. */
static void test_light_session_of_heavy_service(void **state)
{
    (void)state;
    use("heavy", "runaway", 80 * MIB);
    use("heavy", "light", MIB);
    use("other", "o", 10 * MIB);
    assert_true(waits("heavy", "runaway"));
    assert_false(waits("heavy", "light"));
    assert_false(waits("other", "o"));
}

static void test_forgets(void **state)
{
    (void)state;
    use("runaway", "r", 64 * MIB);
    use("quiet", "q", MIB);
    assert_true(waits("runaway", "r"));
    for (int i = 0; i < 10; i++) {
        now_ns += MW_FAIR_EPOCH_NS;
        use("quiet", "q", MIB);
    }
    /* 64 MiB ten half-lives ago are 64 KiB. */
    assert_false(waits("runaway", "r"));
    now_ns += 3600 * MW_NS_PER_S;
    assert_false(waits("quiet", "q"));
}

static void test_floor(void **state)
{
    (void)state;
    use("runaway", "r", 9 * MIB);
    use("quiet", "q", MIB);
    assert_true(mw_fair_share_waits(&fair, flow("runaway", "r"), 9 * MIB, now_ns));
    assert_false(mw_fair_share_waits(&fair, flow("runaway", "r"), 9 * MIB + 1, now_ns));
}

/* Epochs wrap and writers may be one ahead of readers; nothing is lost to it. */
static void test_time(void **state)
{
    (void)state;
    now_ns = (INT64_C(1) << 24) * MW_FAIR_EPOCH_NS - 1;
    use("runaway", "r", 64 * MIB);
    use("quiet", "q", MIB);
    now_ns += 1;
    assert_true(waits("runaway", "r"));
    use("runaway", "r", 64 * MIB);
    now_ns -= 1;
    assert_true(waits("runaway", "r"));
}

/* A simulation: two agents behind a bottleneck of 10 MB/s that is shared by turns; under pressure
 * who waits does not send. The quiet one gets all it asks for. */
static void test_runaway_does_not_starve(void **state)
{
    (void)state;
    uint64_t sent_quiet = 0, asked_quiet = 0, sent_runaway = 0;
    for (int ms = 0; ms < 20000; ms += 10) {
        int64_t left = 100 * 1000;
        now_ns += 10 * MW_NS_PER_MS;
        if (ms % 100 == 0) {
            asked_quiet += 50 * 1000;
            if (!waits("quiet", "q")) {
                use("quiet", "q", 50 * 1000);
                sent_quiet += 50 * 1000;
                left -= 50 * 1000;
            }
        }
        while (left > 0 && !waits("runaway", "r")) {
            use("runaway", "r", 10 * 1000);
            sent_runaway += 10 * 1000;
            left -= 10 * 1000;
        }
    }
    assert_true(sent_quiet == asked_quiet);
    /* While it is pressed for good it gets about its own share; not nothing. */
    assert_true(sent_runaway >= sent_quiet / 2);
}

/* The table stays as it is whatever names come. */
static void test_many_names(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 200000; i++) {
        snprintf(name, sizeof name, "session-%d", i);
        use("a", name, 500);
    }
    use("a", "runaway", 500 * MIB);
    assert_true(waits("a", "runaway"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_alone, reset),
        cmocka_unit_test_setup(test_services, reset),
        cmocka_unit_test_setup(test_equals, reset),
        cmocka_unit_test_setup(test_sessions, reset),
        cmocka_unit_test_setup(test_light_session_of_heavy_service, reset),
        cmocka_unit_test_setup(test_forgets, reset),
        cmocka_unit_test_setup(test_floor, reset),
        cmocka_unit_test_setup(test_time, reset),
        cmocka_unit_test_setup(test_runaway_does_not_starve, reset),
        cmocka_unit_test_setup(test_many_names, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
