/* Fuzz target: bytes as the roll-ups of a footer.
 *
 * Oracle: nothing reads out of bounds (sanitizers); what is refused says MW_E_CORRUPT; what is
 * accepted is the same after it was written and read again, and adding its minutes one window after
 * the other comes to the same as adding all.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/rollup/rollup_int.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mw_rollup *table_new(void)
{
    mw_rollup *rollup;
    CHECK(mw_rollup_new(&rollup) == MW_OK);
    return rollup;
}

/* By the bytes that it is written as; `back` is read from them again. */
static mw_slice written(const mw_rollup *rollup)
{
    char *data;
    size_t len;
    CHECK(mw_rollup_write(rollup, &data, &len) == MW_OK);
    return mw_slice_bytes(data, len);
}

static void check_same(const mw_rollup *a, const mw_rollup *b)
{
    mw_slice left = written(a), right = written(b);
    CHECK(mw_slice_equal(left, right));
    mw_free(MW_MEM_MERGE, (void *)(uintptr_t)left.data);
    mw_free(MW_MEM_MERGE, (void *)(uintptr_t)right.data);
}

static void check_again(const mw_rollup *rollup)
{
    mw_slice bytes = written(rollup);
    mw_rollup *again = table_new();
    CHECK(mw_rollup_read(bytes, 0, 0, again) == MW_OK);
    check_same(rollup, again);
    mw_rollup_free(again);
    mw_free(MW_MEM_MERGE, (void *)(uintptr_t)bytes.data);
}

/* Cut anywhere on a minute, the two halves are the whole. */
static void check_windows(mw_slice data, const mw_rollup *whole)
{
    mw_rollup_range range;
    CHECK(mw_rollup_range_read(data, UINT32_MAX, &range) == MW_OK);
    if (range.empty || range.first == range.last)
        return;
    uint64_t cut = (range.first + (range.last - range.first + 1) / 2) * MW_MINUTE_NS;
    mw_rollup *halves = table_new();
    CHECK(mw_rollup_read(data, 0, cut, halves) == MW_OK);
    halves->left_out = 0; /* counted with each piece that is read */
    CHECK(mw_rollup_read(data, cut, 0, halves) == MW_OK);
    check_same(whole, halves);
    mw_rollup_free(halves);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mw_slice bytes = mw_slice_bytes(data, size);
    mw_rollup *rollup = table_new();
    mw_err err = mw_rollup_read(bytes, 0, 0, rollup);
    CHECK(err == MW_OK || err == MW_E_CORRUPT);
    if (err == MW_OK) {
        mw_rollup *copy = table_new();
        check_again(rollup);
        check_windows(bytes, rollup);
        CHECK(mw_rollup_add(rollup, 0, 0, copy) == MW_OK);
        check_same(rollup, copy);
        mw_rollup_free(copy);
    }
    mw_rollup_free(rollup);
    return 0;
}
