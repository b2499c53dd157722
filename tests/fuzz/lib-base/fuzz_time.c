/* Times and numbers from text: what is read, written and read again is the same value. */
#include "lib/base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mw_slice text = mw_slice_bytes(data, size);
    int64_t ns, again, number;
    char out[MW_TIME_TEXT_SIZE];
    if (mw_time_parse(text, &ns) == MW_OK) {
        MW_ASSERT(ns >= 0);
        mw_time_format((uint64_t)ns, out);
        MW_ASSERT(mw_time_parse(mw_slice_of(out), &again) == MW_OK && again == ns);
    }
    if (mw_duration_parse(text, &ns) == MW_OK)
        MW_ASSERT(ns >= 0);
    if (mw_time_point_parse(text, INT64_C(1773480413000000000), &ns) == MW_OK)
        MW_ASSERT(ns >= 0);
    if (mw_slice_i64(text, &number) == MW_OK) {
        char digits[24];
        snprintf(digits, sizeof digits, "%lld", (long long)number);
        MW_ASSERT(mw_slice_i64(mw_slice_of(digits), &again) == MW_OK && again == number);
    }
    return 0;
}
