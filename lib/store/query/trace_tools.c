/* The tools that spans of a trace call, by name and attributes.
 *
 * A name such as "execute_tool search" says it; of the others the items are read, some at a time,
 * since an item may be large, and of each only the tool's name is kept. One thread: the view's.
 */
#include "lib/store/format/tool_name.h"
#include "lib/store/query/row_fetch.h"

/* A tree and a turn show some dozens; a trace with more calls than these has hardly more tools. */
#define TOOLS_READ 4096u
#define READ_AT_ONCE 256u

typedef struct tool_naming {
    mw_store_view *view;
    mw_arena *arena;
    mw_trace_span *spans[READ_AT_ONCE];
    mw_row_place places[READ_AT_ONCE];
    size_t count, from; /* how many; where those that are read begin */
    mw_slice last;      /* neighbours often call the same one */
} tool_naming;

static mw_err name_tool(void *ctx, size_t at, const mw_fetched_row *fetched)
{
    tool_naming *naming = ctx;
    mw_slice tool = mw_slice_trim(mw_tool_of_attributes(fetched->bytes));
    if (tool.len == 0)
        return MW_OK;
    if (!mw_slice_equal(tool, naming->last)) {
        naming->last = mw_arena_copy(naming->arena, tool);
        if (!naming->last.data)
            return MW_E_NOMEM;
    }
    naming->spans[naming->from + at]->tool = naming->last;
    return MW_OK;
}

static mw_err read_from(tool_naming *naming, size_t from, size_t count)
{
    mw_arena items;
    naming->from = from;
    mw_arena_init(&items, MW_MEM_QUERY, 0);
    mw_err err =
        mw_rows_fetch(naming->view, naming->places + from, count, &items, name_tool, naming);
    mw_arena_reset(&items);
    return err;
}

/* Those that are too large together are read one by one. */
static mw_err read_some(tool_naming *naming)
{
    mw_err err = read_from(naming, 0, naming->count);
    if (err == MW_E_NOMEM && naming->count > 1) {
        err = MW_OK;
        for (size_t i = 0; err == MW_OK && i < naming->count; i++)
            err = read_from(naming, i, 1);
    }
    naming->count = 0;
    return err;
}

mw_err mw_store_trace_tools(mw_store_view *view, mw_trace *outline, mw_arena *arena)
{
    tool_naming naming = {.view = view, .arena = arena};
    size_t read = 0;
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < outline->span_count; i++) {
        mw_trace_span *span = &outline->spans[i];
        bool certain;
        if (span->row.operation_kind != MW_OP_TOOL)
            continue;
        span->tool = mw_tool_of_name(span->row.name, &certain);
        if (certain || read == TOOLS_READ)
            continue;
        read++;
        naming.spans[naming.count] = span;
        naming.places[naming.count++] = span->place;
        if (naming.count == READ_AT_ONCE)
            err = read_some(&naming);
    }
    return err == MW_OK && naming.count ? read_some(&naming) : err;
}
