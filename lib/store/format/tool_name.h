/* Spans that call a tool: which tools a span may mean, by its name and by its attributes.
 *
 * Conventions name calls of tool X "execute_tool X", "tools/call X", "X.tool" or X itself; most say
 * it in an attribute as well, some there alone, each generation under a key of its own. One table
 * for the questions (span_match.h, span_list.c, trace_tools.c) and for the filters of merged blocks
 * (block_filter.h), which must agree; its keys and ranks are those under which a span is shown
 * (collector/facts_table.c). Pure; what is returned points into the argument.
 */
#ifndef MW_STORE_TOOL_NAME_H
#define MW_STORE_TOOL_NAME_H

#include "lib/store/format/attribute_match.h"

#define MW_TOOL_NAMES_MAX 4u
#define MW_TOOL_KEYS 7u

/* The attributes that name a span's tool, the one that counts first in front. */
extern const mw_slice mw_tool_keys[MW_TOOL_KEYS];

/* Every tool that the name may mean, the whole name first; returns how many. */
size_t mw_tools_named(mw_slice name, mw_slice tools[MW_TOOL_NAMES_MAX]);
/* Is `tool` one of them? */
bool mw_names_tool(mw_slice name, mw_slice tool);
/* The one that the name most likely means: what is behind or before a convention's word, else all
 * of it; empty where it stands for several. *certain: no attribute is needed to know it. */
mw_slice mw_tool_of_name(mw_slice name, bool *certain);
/* What the attributes of a Span message name as its tool; empty when none does, or the one that
 * counts only stands for several. Bytes that break the wire format end the search. */
mw_slice mw_tool_of_attributes(mw_slice span);

#endif
