/* Spans for a roll-up out of a block's columns. See rollup_rows.h. */
#include "lib/store/rollup/rollup_rows.h"
#include "lib/store/rollup/rollup_int.h"

void mw_rollup_rows_init(mw_rollup_rows *rows, mw_rollup *rollup)
{
    *rows = (mw_rollup_rows){.rollup = rollup};
}

void mw_rollup_rows_fini(mw_rollup_rows *rows)
{
    mw_free(MW_MEM_ROLLUP, rows->numbers);
    memset(rows, 0, sizeof *rows);
}

mw_err mw_rollup_rows_begin(mw_rollup_rows *rows, const mw_hot *hot)
{
    size_t need = (size_t)hot->strings + 1;
    MW_ASSERT(hot->signal == MW_SIGNAL_TRACES);
    if (need > rows->capacity) {
        mw_free(MW_MEM_ROLLUP, rows->numbers);
        rows->capacity = 0;
        rows->numbers = mw_alloc(MW_MEM_ROLLUP, (need + need / 2) * sizeof *rows->numbers);
        if (!rows->numbers)
            return MW_E_NOMEM;
        rows->capacity = need + need / 2;
    }
    memset(rows->numbers, 0, need * sizeof *rows->numbers);
    rows->hot = hot;
    return MW_OK;
}

/* UINT32_MAX without memory. */
static uint32_t number_of(mw_rollup_rows *rows, mw_hot_column column, uint32_t row)
{
    uint32_t ref = mw_hot_ref(rows->hot, column, row);
    if (ref == 0)
        return 0;
    bool operation = column == MW_HOT_NAME;
    /* A name of an operation that found no room may be a service's too. */
    if (rows->numbers[ref] == 0 || (rows->numbers[ref] == MW_ROLLUP_OTHER + 1 && !operation)) {
        mw_slice text = mw_hot_string(rows->hot, ref);
        uint32_t number = operation ? mw_rollup_operation(rows->rollup, text)
                                    : mw_rollup_text(rows->rollup, text);
        if (number == UINT32_MAX)
            return number;
        rows->numbers[ref] = number + 1;
    }
    return rows->numbers[ref] - 1;
}

mw_err mw_rollup_rows_span(mw_rollup_rows *rows, uint32_t row, mw_rollup_span *out)
{
    const mw_hot *hot = rows->hot;
    *out = (mw_rollup_span){
        .span_id = mw_trace_key(hot->wide[MW_WIDE_SPAN_ID] + MW_SPAN_ID_SIZE * (size_t)row),
        .parent_id = mw_trace_key(hot->wide[MW_WIDE_PARENT] + MW_SPAN_ID_SIZE * (size_t)row),
        .start_ns = mw_hot_time(hot, row),
        .duration_ns = mw_rollup_duration(mw_hot_u64(hot, MW_WIDE_DURATION, row)),
        .service = number_of(rows, MW_HOT_SERVICE, row),
        .operation = number_of(rows, MW_HOT_NAME, row),
        .peer = number_of(rows, MW_HOT_PEER_SERVICE, row),
        .kind = hot->narrow[MW_NARROW_KIND][row],
        .status = hot->narrow[MW_NARROW_STATUS][row],
    };
    bool all =
        out->service != UINT32_MAX && out->operation != UINT32_MAX && out->peer != UINT32_MAX;
    return all ? MW_OK : MW_E_NOMEM;
}
