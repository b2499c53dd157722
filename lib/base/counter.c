/* The counters: a table of relaxed atomics, a cache line each so that threads do not share one. */
#include <stdatomic.h>

#include "lib/base/counter.h"
#include "lib/base/error.h"

typedef struct padded_counter {
    _Alignas(64) atomic_uint_fast64_t value;
} padded_counter;

static padded_counter counters[MW_COUNTER_TABLE_SIZE];

static const mw_counter_row rows[MW_COUNTER_TABLE_SIZE] = {
#define MW_COUNTER_ROW(name, metric, label, help) {metric, label, help},
    MW_COUNTERS(MW_COUNTER_ROW)
#undef MW_COUNTER_ROW
};

void mw_count(mw_counter counter, uint64_t n)
{
    atomic_fetch_add_explicit(&counters[counter].value, n, memory_order_relaxed);
}

uint64_t mw_counter_value(mw_counter counter)
{
    MW_ASSERT(counter < MW_COUNTER_TABLE_SIZE);
    return atomic_load_explicit(&counters[counter].value, memory_order_relaxed);
}

const mw_counter_row *mw_counter_describe(mw_counter counter)
{
    MW_ASSERT(counter < MW_COUNTER_TABLE_SIZE);
    return &rows[counter];
}
