/* Filters of rows by text. See hot_filter.h. One thread: the view's. */
#include "lib/store/query/hot_filter.h"

enum { NOT_READ = 0, FITS = 1, DOES_NOT_FIT = 2 };

uint32_t mw_hot_find(const mw_hot *hot, mw_slice text)
{
    if (text.len == 0)
        return MW_REF_ANY;
    for (uint32_t ref = 1; ref <= hot->strings; ref++)
        if (mw_slice_equal(mw_hot_string(hot, ref), text))
            return ref;
    return MW_REF_ABSENT;
}

void mw_origin_filter_init(mw_origin_filter *filter, const mw_slice wanted[MW_ORIGIN_COUNT])
{
    *filter = (mw_origin_filter){.wanted = wanted, .any = true};
    for (int i = 0; i < MW_ORIGIN_COUNT; i++)
        filter->any &= wanted[i].len == 0;
}

void mw_origin_filter_fini(mw_origin_filter *filter)
{
    mw_free(MW_MEM_QUERY, filter->verdicts);
    filter->verdicts = NULL;
}

mw_err mw_origin_filter_begin(mw_origin_filter *filter, const mw_hot *hot)
{
    size_t need = (size_t)hot->strings + 1;
    if (filter->any)
        return MW_OK;
    if (need > filter->capacity) {
        mw_free(MW_MEM_QUERY, filter->verdicts);
        filter->capacity = 0;
        filter->verdicts = mw_alloc(MW_MEM_QUERY, need + need / 2);
        if (!filter->verdicts)
            return MW_E_NOMEM;
        filter->capacity = need + need / 2;
    }
    memset(filter->verdicts, NOT_READ, need);
    return MW_OK;
}

bool mw_origin_filter_fits(const mw_origin_filter *filter, const mw_hot *hot, uint32_t row)
{
    if (filter->any)
        return true;
    uint32_t ref = mw_hot_ref(hot, MW_HOT_ORIGIN, row);
    if (filter->verdicts[ref] != NOT_READ)
        return filter->verdicts[ref] == FITS;
    mw_slice origin = mw_hot_string(hot, ref);
    bool fits = true;
    for (int i = 0; fits && i < MW_ORIGIN_COUNT; i++)
        fits = filter->wanted[i].len == 0 ||
               mw_slice_equal(mw_origin_member(origin, (mw_origin)i), filter->wanted[i]);
    filter->verdicts[ref] = fits ? FITS : DOES_NOT_FIT;
    return fits;
}
