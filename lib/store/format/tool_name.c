/* Which tools a span may mean. See tool_name.h. Pure; any thread. */
#include "lib/store/format/tool_name.h"

#include "lib/base/error.h"
#include "proto/wire.h"

/* Of any kind of span; a tool's alone when traceloop.span.kind says so. */
#define TRACELOOP 4u

const mw_slice mw_tool_keys[MW_TOOL_KEYS] = {
    MW_SLICE_INIT("gen_ai.tool.name"),
    MW_SLICE_INIT("tool.name"),
    MW_SLICE_INIT("ai.toolCall.name"),
    MW_SLICE_INIT("tool_name"),
    [TRACELOOP] = MW_SLICE_INIT("traceloop.entity.name"),
    MW_SLICE_INIT("gen_ai.code_interpreter.id"),
    MW_SLICE_INIT("gen_ai.browser.id"),
};

static const mw_slice prefixes[] = {MW_SLICE_INIT("execute_tool "), MW_SLICE_INIT("tools/call ")};
static const mw_slice suffix = MW_SLICE_INIT(".tool");

#define PREFIXES (sizeof prefixes / sizeof prefixes[0])

/* ---- by name --------------------------------------------------------------------------------- */

size_t mw_tools_named(mw_slice name, mw_slice tools[MW_TOOL_NAMES_MAX])
{
    size_t count = 0;

    tools[count++] = name;
    for (size_t i = 0; i < PREFIXES; i++)
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

/* Google's ADK calls the span around parallel calls by this name. */
static bool is_several(mw_slice tool)
{
    return mw_slice_equal(tool, MW_SLICE("(merged tools)"));
}

mw_slice mw_tool_of_name(mw_slice name, bool *certain)
{
    mw_slice tool = name;
    *certain = false;
    for (size_t i = 0; i < PREFIXES && !*certain; i++)
        if (mw_slice_starts(name, prefixes[i]) && name.len > prefixes[i].len) {
            tool = mw_slice_from(name, prefixes[i].len);
            *certain = !is_several(tool);
        }
    if (!*certain && mw_slice_ends(name, suffix) && name.len > suffix.len)
        tool = mw_slice_first(name, name.len - suffix.len);
    return is_several(tool) ? MW_SLICE_NONE : tool;
}

/* ---- by attributes --------------------------------------------------------------------------- */

typedef struct tool_reading {
    mw_slice texts[MW_TOOL_KEYS]; /* empty = none; of equal keys the last one counts */
    bool traceloop_tool;
} tool_reading;

static bool is_text(const mw_value *value)
{
    return value->type == MW_VALUE_STRING && !is_several(value->bytes);
}

static void read_attribute(tool_reading *reading, mw_slice key_value)
{
    mw_slice key;
    mw_value value;
    if (!mw_attribute_read(key_value, &key, &value))
        return;
    for (size_t i = 0; i < MW_TOOL_KEYS; i++)
        if (mw_slice_equal(key, mw_tool_keys[i]))
            reading->texts[i] = is_text(&value) ? value.bytes : MW_SLICE_NONE;
    if (mw_slice_equal(key, MW_SLICE("traceloop.span.kind")))
        reading->traceloop_tool =
            value.type == MW_VALUE_STRING && mw_slice_equal_nocase(value.bytes, MW_SLICE("tool"));
}

mw_slice mw_tool_of_attributes(mw_slice span)
{
    const uint8_t *at = mw_wire_begin(span), *end = mw_wire_end(span);
    tool_reading reading = {.traceloop_tool = false};
    while (at && at < end) {
        mw_wire_field field;
        at = mw_wire_next(at, end, &field);
        if (at && field.tag == MW_WIRE_TAG(MW_SPAN_ATTRIBUTES, MW_WIRE_BYTES))
            read_attribute(&reading, field.bytes);
    }
    for (size_t i = 0; i < MW_TOOL_KEYS; i++)
        if (reading.texts[i].len)
            return i == TRACELOOP && !reading.traceloop_tool ? MW_SLICE_NONE : reading.texts[i];
    return MW_SLICE_NONE;
}
