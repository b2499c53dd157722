/* From cells to figures. See rollup_red.h. */
#include "lib/store/rollup/rollup_red.h"

void mw_red_sum_add(mw_red_sum *sum, const mw_rollup *rollup, const mw_rollup_cell *cell)
{
    mw_rollup_row_add(rollup, cell, sum->row);
    mw_rollup_sum(&sum->errors, cell->errors);
    mw_rollup_sum(&sum->sum_us, cell->sum_us);
    mw_rollup_sum(&sum->wire_us, cell->wire_us);
}

static uint64_t quantile(const int64_t *counts, uint64_t total, unsigned percent)
{
    uint64_t wanted = (total / 100) * percent + ((total % 100) * percent + 99) / 100, passed = 0;
    for (uint32_t bucket = 0; bucket < MW_LATENCY_BUCKETS; bucket++) {
        passed += counts[bucket] > 0 ? (uint64_t)counts[bucket] : 0;
        if (passed >= wanted)
            return mw_latency_value_ns(bucket);
    }
    return 0;
}

static mw_red figures(const int64_t *counts, int64_t errors, int64_t sum_us)
{
    mw_red red = {0};
    int64_t net = 0, total = 0;
    for (uint32_t bucket = 0; bucket < MW_LATENCY_BUCKETS; bucket++) {
        mw_rollup_sum(&net, counts[bucket]);
        mw_rollup_sum(&total, counts[bucket] > 0 ? counts[bucket] : 0);
    }
    if (net <= 0)
        return red;
    red.count = (uint64_t)net;
    red.errors = errors > 0 ? (uint64_t)errors : 0;
    if (red.errors > red.count)
        red.errors = red.count;
    red.mean_ns = sum_us > 0 ? (uint64_t)((double)sum_us * 1000.0 / (double)net) : 0;
    red.p50_ns = quantile(counts, (uint64_t)total, 50);
    red.p90_ns = quantile(counts, (uint64_t)total, 90);
    red.p99_ns = quantile(counts, (uint64_t)total, 99);
    return red;
}

mw_red mw_red_of(const mw_red_sum *sum)
{
    return figures(sum->row, sum->errors, sum->sum_us);
}

mw_red mw_red_of_wire(const mw_red_sum *sum)
{
    return figures(sum->row + MW_ROLLUP_WIRE, 0, sum->wire_us);
}

static int by_texts(const void *left, const void *right, void *ctx)
{
    const mw_rollup *rollup = ctx;
    const mw_rollup_key *a = &rollup->cells[*(const uint32_t *)left].key;
    const mw_rollup_key *b = &rollup->cells[*(const uint32_t *)right].key;
    int order = (a->kind == MW_ROLLUP_CALL) - (b->kind == MW_ROLLUP_CALL);
    if (order == 0 && a->left != b->left)
        order = mw_slice_compare(mw_rollup_text_of(rollup, a->left),
                                 mw_rollup_text_of(rollup, b->left));
    if (order == 0 && a->right != b->right)
        order = mw_slice_compare(mw_rollup_text_of(rollup, a->right),
                                 mw_rollup_text_of(rollup, b->right));
    if (order == 0)
        order = a->minute < b->minute ? -1 : a->minute > b->minute;
    return order ? order : (int)a->kind - (int)b->kind;
}

uint32_t *mw_rollup_sorted(const mw_rollup *rollup)
{
    uint32_t *order = mw_alloc(MW_MEM_ROLLUP, ((size_t)rollup->cell_count + 1) * sizeof *order);
    if (!order)
        return NULL;
    for (uint32_t i = 0; i < rollup->cell_count; i++)
        order[i] = i;
    if (rollup->cell_count > 1)
        qsort_r(order, rollup->cell_count, sizeof *order, by_texts, (void *)rollup);
    return order;
}

void mw_red_window(uint64_t now_ns, uint64_t *since_ns, uint64_t *until_ns)
{
    uint64_t until = *until_ns ? *until_ns : now_ns + 1, over = until % MW_MINUTE_NS;
    *since_ns -= *since_ns % MW_MINUTE_NS;
    /* The last minute that there is has no end. */
    if (over && until <= UINT64_MAX - MW_MINUTE_NS)
        until += MW_MINUTE_NS - over;
    *until_ns = until;
}
