/* A store's content of which the last span of each trace comes a batch later than the others, so
 * that what a trace or session comes to is never in one place. */
#ifndef MW_TESTS_LATE_SPANS_H
#define MW_TESTS_LATE_SPANS_H

#include "tests/unit/lib-store/store_test.h"

typedef struct late_spans {
    uint64_t batches, traces, spans; /* traces in a batch, spans in a trace, counted from 1 */
    void (*make)(test_batch *batch, size_t at, uint64_t trace, uint64_t span);
} late_spans;

static inline void append_late(mw_store *store, const late_spans *all)
{
    uint64_t early = all->spans - 1;
    for (uint64_t number = 0; number <= all->batches; number++) {
        test_batch batch;
        size_t at = 0;
        size_t own = number < all->batches ? all->traces * early : 0;
        size_t late = number ? all->traces : 0;
        test_batch_init(&batch, own + late);
        for (uint64_t i = 0; i < own; i++)
            all->make(&batch, at++, number * all->traces + i / early, 1 + i % early);
        for (uint64_t i = 0; i < late; i++)
            all->make(&batch, at++, (number - 1) * all->traces + i, all->spans);
        assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
        test_batch_fini(&batch);
    }
}

#endif
