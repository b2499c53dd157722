/* Which tools a span's name may mean. See tool_name.h. Pure; any thread. */
#include "lib/store/format/tool_name.h"

#include "lib/base/error.h"

size_t mw_tools_named(mw_slice name, mw_slice tools[MW_TOOL_NAMES_MAX])
{
    static const mw_slice prefixes[] = {MW_SLICE_INIT("execute_tool "),
                                        MW_SLICE_INIT("tools/call ")};
    const mw_slice suffix = MW_SLICE(".tool");
    size_t count = 0;

    tools[count++] = name;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (mw_slice_starts(name, prefixes[i]))
            tools[count++] = mw_slice_from(name, prefixes[i].len);
    if (mw_slice_ends(name, suffix))
        tools[count++] = mw_slice_bytes(name.data, name.len - suffix.len);
    MW_ASSERT(count <= MW_TOOL_NAMES_MAX);
    return count;
}

bool mw_names_tool(mw_slice name, mw_slice tool)
{
    mw_slice tools[MW_TOOL_NAMES_MAX];
    size_t count = mw_tools_named(name, tools);
    for (size_t i = 0; i < count; i++)
        if (mw_slice_equal(tools[i], tool))
            return true;
    return false;
}
