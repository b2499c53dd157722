/* Cutting a page out of rows in memory. See short_list.h. Runs on a desk thread. */
#include "server/api/short_list.h"

mw_api_short_list mw_api_short_list_begin(mw_api_call *call, const mw_api_page *page)
{
    mw_api_list_begin(call);
    return (mw_api_short_list){.call = call, .page = page, .started = page->cursor.len == 0};
}

bool mw_api_short_list_shows(mw_api_short_list *list, mw_slice id, int64_t created_ns)
{
    const mw_api_page *page = list->page;
    uint64_t created = (uint64_t)created_ns;
    if (created < page->since_ns || (page->until_ns && created >= page->until_ns))
        return false;
    list->total++;
    if (!list->started) {
        list->started = mw_slice_equal(id, page->cursor);
        return false;
    }
    if (list->shown == page->limit) {
        list->more = true;
        return false;
    }
    list->shown++;
    list->last = id;
    return true;
}

mw_err mw_api_short_list_end(mw_api_short_list *list)
{
    if (!list->started)
        return mw_api_cursor_error(list->call, MW_E_SYNTAX);
    mw_api_list_end(list->call, list->more ? list->last : MW_SLICE_NONE, (int64_t)list->total);
    return MW_OK;
}
