/* What every unit test includes: cmocka behind its required headers. */
#ifndef MW_TESTS_CHECK_H
#define MW_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/slice.h"

/* Compares a slice with a C string and shows both when they differ. */
#define assert_slice(slice_, expected_)                                                            \
    do {                                                                                           \
        mw_slice got_ = (slice_);                                                                  \
        mw_slice want_ = mw_slice_of(expected_);                                                   \
        if (!mw_slice_equal(got_, want_))                                                          \
            fail_msg("got \"%.*s\", expected \"%s\"", MW_SLICE_FMT(got_), (expected_));            \
    } while (0)

#endif
