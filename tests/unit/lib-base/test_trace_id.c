/* Every form of a trace's id, and what is near to one. */
#include "lib/base/trace_id.h"
#include "tests/check.h"

#define WHOLE "5759e988bd862e3fe1be46a994272793"
#define XRAY "1-5759e988-bd862e3fe1be46a994272793"

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text, *digits;
    } rows[] = {
        {WHOLE, WHOLE},
        {" 5759e9 ", "5759e9"},
        {"00-" WHOLE "-b7ad6b7169203331-01", WHOLE},
        {"01-" WHOLE "-b7ad6b7169203331-01-more", WHOLE},
        {XRAY, WHOLE},
        {"1-5759e988", "5759e988"},
        {"1-5759e988-", "5759e988"},
        {"1-5759e988-bd86", "5759e988bd86"},
        {"Root=" XRAY ";Parent=53995c3f42cd8ad8;Sampled=1", WHOLE},
        {"Self=1-67891234-12456789abcdef012345678; root=" XRAY, WHOLE},
        /* No such form: as it is. */
        {"", ""},
        {"1-5759e98-bd862e3fe1be46a994272793", "1-5759e98-bd862e3fe1be46a994272793"},
        {"2-5759e988-bd86", "2-5759e988-bd86"},
        {"1-5759e988-bd86-1", "1-5759e988-bd86-1"},
        {"1-5759e988-bd862e3fe1be46a9942727931", "1-5759e988-bd862e3fe1be46a9942727931"},
        {"1-5759e988-xyz", "1-5759e988-xyz"},
        {"00-" WHOLE "-b7ad6b7169203331", "00-" WHOLE "-b7ad6b7169203331"},
        {"Parent=53995c3f42cd8ad8", "Parent=53995c3f42cd8ad8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[MW_ID_TEXT_SIZE];
        assert_slice(mw_trace_id_digits(mw_slice_of(rows[i].text), out), rows[i].digits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
