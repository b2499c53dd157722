/* Calls of a tool. See tool_match.h. */
#include "lib/store/query/tool_match.h"

#include "lib/store/format/block_filter.h"
#include "lib/store/format/tool_name.h"

bool mw_tool_match_may(mw_slice filter, mw_slice tool)
{
    for (size_t i = 0; i < MW_TOOL_KEYS; i++) {
        const mw_attribute_wanted wanted = {.key = mw_tool_keys[i], .value = tool};
        if (mw_filter_may_have(filter, &wanted))
            return true;
    }
    return false;
}

mw_err mw_tool_match_row(mw_item_search *search, const mw_hot *hot, uint32_t row, mw_slice tool,
                         bool *names)
{
    mw_slice item;
    *names = false;
    if (hot->narrow[MW_NARROW_OPERATION][row] != MW_OP_TOOL)
        return MW_OK;
    mw_err err = mw_item_search_item(search, hot, row, &item);
    if (err == MW_OK)
        *names = mw_slice_equal(mw_tool_of_attributes(item), tool);
    return err;
}
