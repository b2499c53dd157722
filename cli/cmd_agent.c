/* agent list, agent show. */
#include "cli/cli_int.h"

static const mw_column columns[] = {
    {"LAST SEEN", 0},
    {"AGENT", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(16)},
    {"SESSIONS", MW_COLUMN_RIGHT},
    {"TRACES", MW_COLUMN_RIGHT},
    {"ERRORS", MW_COLUMN_RIGHT},
    {"MODEL", MW_COLUMN_RIGHT | MW_COLUMN_DROP(2)},
    {"TOOL", MW_COLUMN_RIGHT | MW_COLUMN_DROP(2)},
    {"TOKENS IN", MW_COLUMN_RIGHT},
    {"OUT", MW_COLUMN_RIGHT},
    {"SERVICES", MW_COLUMN_SHRINK | MW_COLUMN_DROP(3)},
};

static void append_services(const json_t *agent, mw_buffer *out)
{
    size_t i;
    json_t *service;
    json_array_foreach(json_object_get(agent, "services"), i, service)
    {
        mw_buffer_appendf(out, i ? ", " : "");
        mw_buffer_append(out, json_string_value(service), json_string_length(service));
    }
}

static void add_row(mw_cli *cli, mw_table *table, const json_t *agent)
{
    char text[MW_CELL_SIZE];
    mw_buffer services;
    mw_time_text(cli, agent, "last_seen", text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, mw_text(agent, "agent"));
    if (mw_is_null(agent, "sessions"))
        mw_table_cell(table, MW_SLICE("many"));
    else
        mw_table_cellf(table, "%lld", (long long)mw_integer(agent, "sessions"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(agent, "traces"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(agent, "errors"));
    if (mw_integer(agent, "errors"))
        mw_table_style(table, MW_STYLE_RED);
    mw_usage_cells(table, agent);
    mw_buffer_init(&services, MW_MEM_BASE, (size_t)1 << 20);
    append_services(agent, &services);
    mw_table_cell(table, mw_buffer_slice(&services));
    mw_buffer_fini(&services);
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

int mw_cmd_agent_list(mw_cli *cli)
{
    return mw_list(cli, "agents", "agents in this window", render_list);
}

/* What a list of spans finds under its name is less: spans below an agent's do not name it. */
static void render_own(const json_t *root, mw_buffer *out)
{
    char since[MW_CELL_SIZE], until[MW_CELL_SIZE];
    mw_buffer word;
    const json_t *window = json_object_get(root, "window");
    long long spans = (long long)mw_integer(root, "own_spans");
    long long errors = (long long)mw_integer(root, "own_errors");
    mw_buffer_appendf(out, "  %-13s %lld spans, %lld errors; the others are below such spans\n",
                      "by name", spans, errors);
    if (!errors && !mw_integer(root, "errors"))
        return;
    if (!mw_slice_to_cstr(mw_text(window, "start"), since, sizeof since) ||
        !mw_slice_to_cstr(mw_text(window, "end"), until, sizeof until))
        return;
    mw_buffer_appendf(out, "  $ midwatch %s list --errors --agent ", errors ? "span" : "trace");
    mw_buffer_init(&word, MW_MEM_BASE, (size_t)1 << 20);
    mw_shell_word(&word, mw_text(root, "agent"));
    mw_visible(out, mw_buffer_slice(&word));
    mw_buffer_fini(&word);
    mw_buffer_appendf(out, " --since %s --until %s\n", since, until);
}

static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    char first[MW_CELL_SIZE], last[MW_CELL_SIZE];
    mw_buffer services;
    (void)cli;
    mw_buffer_appendf(out, "agent ");
    mw_visible(out, mw_text(root, "agent"));
    mw_buffer_append_byte(out, '\n');
    mw_buffer_init(&services, MW_MEM_BASE, (size_t)1 << 20);
    append_services(root, &services);
    mw_field(out, "services", mw_buffer_slice(&services));
    mw_buffer_fini(&services);
    mw_instant_text(root, "first_seen", first);
    mw_instant_text(root, "last_seen", last);
    mw_buffer_appendf(out, "  %-13s %s to %s\n", "seen", first, last);
    mw_buffer_appendf(out, "  %-13s %lld sessions, %lld traces, %lld spans, %lld errors\n", "holds",
                      (long long)mw_integer(root, "sessions"),
                      (long long)mw_integer(root, "traces"), (long long)mw_integer(root, "spans"),
                      (long long)mw_integer(root, "errors"));
    render_own(root, out);
    mw_field_usage(out, root);
}

int mw_cmd_agent_show(mw_cli *cli)
{
    return mw_show_id(cli, "agents", render_show);
}
