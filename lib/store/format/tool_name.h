/* Names of spans that call a tool: which tools a name may mean.
 *
 * Conventions name calls of tool X "execute_tool X", "tools/call X", "X.tool" or X itself. One
 * table for the questions (span_match.h, span_list.c) and for the filters of merged blocks
 * (block_filter.h), which must agree. Pure; what is returned points into the name.
 */
#ifndef MW_STORE_TOOL_NAME_H
#define MW_STORE_TOOL_NAME_H

#include "lib/base/slice.h"

#define MW_TOOL_NAMES_MAX 4u

/* Every tool that the name may mean, the whole name first; returns how many. */
size_t mw_tools_named(mw_slice name, mw_slice tools[MW_TOOL_NAMES_MAX]);
/* Is `tool` one of them? */
bool mw_names_tool(mw_slice name, mw_slice tool);

#endif
