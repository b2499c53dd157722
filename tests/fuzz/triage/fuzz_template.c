/* Templates of log lines: bounded, the same for the same text, stable (a template is its own
 * template), without a control character of the sender's, and no digit-heavy word left in. */
#include <stdlib.h>
#include <string.h>

#include "triage/evidence/log_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char first[MW_TEMPLATE_MAX], again[MW_TEMPLATE_MAX];
    mw_slice body = mw_slice_bytes(data, size);
    size_t len = mw_log_template(body, first);
    size_t words = len > 0;
    check(len <= MW_TEMPLATE_MAX);
    for (size_t i = 0; i < len; i++) {
        check((unsigned char)first[i] >= ' ');
        words += first[i] == ' ';
    }
    check(words <= MW_TEMPLATE_WORDS);
    check(mw_log_template(mw_slice_bytes(first, len), again) == len);
    check(memcmp(first, again, len) == 0);
    return 0;
}
