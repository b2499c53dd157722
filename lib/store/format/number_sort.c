/* Numbers sorted by keys. See number_sort.h. */
#include "lib/store/format/number_sort.h"

#define DIGIT_BITS 11u
#define DIGITS ((64u + DIGIT_BITS - 1) / DIGIT_BITS)
#define DIGIT_VALUES ((size_t)1 << DIGIT_BITS)
/* Below this the counters cost more than moving elements. */
#define INSERTION_MAX 48u

void mw_sort_scratch_fini(mw_sort_scratch *scratch)
{
    mw_free(MW_MEM_MERGE, scratch->from);
    mw_free(MW_MEM_MERGE, scratch->to);
    *scratch = (mw_sort_scratch){.capacity = 0};
}

static mw_err have_scratch(mw_sort_scratch *scratch, size_t count)
{
    if (scratch->capacity >= count)
        return MW_OK;
    mw_sort_scratch_fini(scratch);
    scratch->from = mw_alloc(MW_MEM_MERGE, count * sizeof *scratch->from);
    scratch->to = mw_alloc(MW_MEM_MERGE, count * sizeof *scratch->to);
    if (!scratch->from || !scratch->to) {
        mw_sort_scratch_fini(scratch);
        return MW_E_NOMEM;
    }
    scratch->capacity = count;
    return MW_OK;
}

static void insertion_sort(uint32_t *numbers, size_t count, const uint64_t *keys)
{
    for (size_t i = 1; i < count; i++) {
        uint32_t number = numbers[i];
        size_t at = i;
        for (; at > 0 && keys[numbers[at - 1]] > keys[number]; at--)
            numbers[at] = numbers[at - 1];
        numbers[at] = number;
    }
}

/* One digit of all pairs, from one array to the other. `counts` are of that digit. */
static void scatter(const mw_sort_pair *from, mw_sort_pair *to, size_t count, unsigned shift,
                    const uint32_t *counts)
{
    uint32_t places[DIGIT_VALUES];
    uint32_t place = 0;
    for (size_t i = 0; i < DIGIT_VALUES; i++) {
        places[i] = place;
        place += counts[i];
    }
    for (size_t i = 0; i < count; i++)
        to[places[from[i].key >> shift & (DIGIT_VALUES - 1)]++] = from[i];
}

/* All keys share the digit when one value has the whole count. */
static bool is_shared(const uint32_t *counts, const mw_sort_pair *pairs, unsigned shift,
                      size_t count)
{
    return counts[pairs[0].key >> shift & (DIGIT_VALUES - 1)] == count;
}

static void radix_sort(mw_sort_scratch *scratch, size_t count, uint32_t (*counts)[DIGIT_VALUES])
{
    memset(counts, 0, DIGITS * sizeof *counts);
    for (size_t i = 0; i < count; i++)
        for (unsigned digit = 0; digit < DIGITS; digit++)
            counts[digit][scratch->from[i].key >> (digit * DIGIT_BITS) & (DIGIT_VALUES - 1)]++;
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        unsigned shift = digit * DIGIT_BITS;
        if (is_shared(counts[digit], scratch->from, shift, count))
            continue;
        scatter(scratch->from, scratch->to, count, shift, counts[digit]);
        mw_sort_pair *swapped = scratch->from;
        scratch->from = scratch->to;
        scratch->to = swapped;
    }
}

mw_err mw_number_sort(mw_sort_scratch *scratch, uint32_t *numbers, size_t count,
                      const uint64_t *keys)
{
    uint64_t least = UINT64_MAX;
    if (count <= INSERTION_MAX) {
        insertion_sort(numbers, count, keys);
        return MW_OK;
    }
    uint32_t(*counts)[DIGIT_VALUES] = mw_alloc(MW_MEM_MERGE, DIGITS * sizeof *counts);
    mw_err err = counts ? have_scratch(scratch, count) : MW_E_NOMEM;
    if (err == MW_OK) {
        for (size_t i = 0; i < count; i++)
            least = keys[numbers[i]] < least ? keys[numbers[i]] : least;
        /* Distances have fewer digits than times. */
        for (size_t i = 0; i < count; i++)
            scratch->from[i] = (mw_sort_pair){keys[numbers[i]] - least, numbers[i]};
        radix_sort(scratch, count, counts);
        for (size_t i = 0; i < count; i++)
            numbers[i] = scratch->from[i].number;
    }
    mw_free(MW_MEM_MERGE, counts);
    return err;
}
