/* doctor: is the daemon well, who sends, what was understood, what is wrong and what helps. */
#include "cli/doctor_int.h"

/* 256 senders with some findings each. */
#define TEXT_MAX ((size_t)16 << 20)

static const mw_column columns[] = {
    {"SENDER", MW_COLUMN_SHRINK | MW_COLUMN_MOST(48)},
    {"SIGNAL", 0},
    {"PROTOCOL", MW_COLUMN_DROP(3)},
    {"SPACE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(5)},
    {"ITEMS", MW_COLUMN_RIGHT},
    {"REFUSED", MW_COLUMN_RIGHT | MW_COLUMN_DROP(2)},
    {"SESSION BY", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(16)},
    {"AGENT BY", MW_COLUMN_SHRINK | MW_COLUMN_DROP(4)},
    {"TOKENS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(6)},
    {"LAST", MW_COLUMN_DROP(1)},
};

/* The keys that told; "body or name" where the item told without one. */
static void keys_cell(mw_table *table, const json_t *sender, const char *what)
{
    mw_buffer text;
    const json_t *found = json_object_get(sender, what);
    const json_t *keys = json_object_get(found, "keys");
    mw_buffer_init(&text, MW_MEM_BASE, 4096);
    for (size_t i = 0; i < json_array_size(keys); i++)
        mw_buffer_appendf(&text, "%s%s", i ? ", " : "", json_string_value(json_array_get(keys, i)));
    if (!mw_integer(found, "items"))
        mw_buffer_appendf(&text, "-");
    else if (!text.len)
        mw_buffer_appendf(&text, "(no attribute)");
    mw_table_cell(table, mw_buffer_slice(&text));
    mw_buffer_fini(&text);
}

static void add_row(mw_cli *cli, mw_table *table, const json_t *sender)
{
    char last[MW_CELL_SIZE];
    mw_buffer who;
    mw_buffer_init(&who, MW_MEM_BASE, 4096);
    mw_doctor_who(&who, sender);
    mw_table_cell(table, mw_buffer_slice(&who));
    mw_buffer_fini(&who);
    mw_table_cell(table, mw_text(sender, "signal"));
    mw_table_cell(table, mw_text(sender, "protocol"));
    mw_table_cell(table, mw_text(sender, "space"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(sender, "items"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(sender, "refused"));
    keys_cell(table, sender, "session");
    keys_cell(table, sender, "agent");
    mw_table_cellf(table, "%lld",
                   (long long)mw_integer(json_object_get(sender, "tokens"), "items"));
    mw_time_text(cli, sender, "last_seen", last);
    mw_table_cell(table, mw_slice_of(last));
}

/* ---- the text ------------------------------------------------------------------------------ */

static void render_daemon(const json_t *status, mw_buffer *out)
{
    const json_t *ports = json_object_get(status, "endpoints");
    const json_t *store = json_object_get(status, "store");
    bool writable = json_is_true(json_object_get(store, "writable")) &&
                    json_is_true(json_object_get(status, "state_writable"));
    mw_buffer_appendf(out, "midwatch ");
    mw_visible(out, mw_text(status, "version"));
    mw_buffer_appendf(out, "%s\n",
                      json_is_true(json_object_get(status, "ready")) ? " ready" : " NOT READY");
    mw_field(out, "OTLP/gRPC", mw_text(ports, "grpc"));
    mw_field(out, "OTLP/HTTP", mw_text(ports, "http"));
    mw_field(out, "API", mw_text(ports, "web"));
    mw_field(out, "data", mw_text(status, "data"));
    mw_field(out, "store", writable ? MW_SLICE("writable") : MW_SLICE("NOT WRITABLE"));
    mw_disk_render(status, out);
    mw_field(out, "merging",
             json_is_true(json_object_get(store, "merging_fails")) ? MW_SLICE("FAILS")
                                                                   : MW_SLICE("in order"));
    mw_buffer_appendf(out, "  %-13s %lld blocks\n", "damaged",
                      (long long)mw_integer(store, "damaged_blocks"));
    if (mw_integer(store, "losses") > 0)
        mw_buffer_appendf(out, "  %-13s %lld segments or ends of some\n", "LOST",
                          (long long)mw_integer(store, "losses"));
}

static void render_findings(const json_t *findings, mw_buffer *out)
{
    if (json_array_size(findings) == 0)
        mw_buffer_appendf(out, "\nnothing is wrong\n");
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *finding = json_array_get(findings, i);
        mw_buffer_appendf(out, "\n%.*s: ", MW_SLICE_FMT(mw_text(finding, "severity")));
        mw_visible(out, mw_text(finding, "seen"));
        mw_buffer_appendf(out, "\n  fix: ");
        mw_visible(out, mw_text(finding, "fix"));
        mw_buffer_append_byte(out, '\n');
    }
}

static int print_text(mw_cli *cli, const json_t *status, const json_t *senders,
                      const json_t *findings)
{
    mw_buffer out;
    const json_t *items = json_object_get(senders, "items");
    mw_buffer_init(&out, MW_MEM_BASE, TEXT_MAX);
    render_daemon(status, &out);
    if (json_array_size(items)) {
        mw_buffer_append_byte(&out, '\n');
        mw_item_table(cli, columns, sizeof columns / sizeof columns[0], items, add_row, &out);
    }
    render_findings(findings, &out);
    int done = mw_print_fitting(cli, &out);
    mw_buffer_fini(&out);
    return done;
}

static int print_json(json_t *status, json_t *senders, json_t *findings)
{
    mw_buffer out;
    json_t *root =
        json_pack("{s:O, s:O, s:O}", "status", status, "senders", senders, "findings", findings);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text)
        return mw_complain(MW_EXIT_FAILED, "doctor", "memory is short", "");
    mw_buffer_init(&out, MW_MEM_BASE, TEXT_MAX);
    mw_buffer_appendf(&out, "%s\n", text);
    free(text);
    int done = mw_print(&out);
    mw_buffer_fini(&out);
    return done;
}

/* The worst comes first. */
static bool has_error(const json_t *findings)
{
    return mw_slice_equal(mw_text(json_array_get(findings, 0), "severity"), MW_SLICE("error"));
}

static int report(mw_cli *cli, json_t *status, json_t *senders)
{
    json_t *findings = mw_doctor_findings(status, senders, cli->now_ns);
    if (!findings)
        return mw_complain(MW_EXIT_FAILED, "doctor", "memory is short", "");
    int done = cli->json ? print_json(status, senders, findings)
                         : print_text(cli, status, senders, findings);
    if (!done && has_error(findings))
        done = MW_EXIT_FAILED;
    json_decref(findings);
    return done;
}

int mw_cmd_doctor(mw_cli *cli)
{
    mw_answer status, senders;
    int done = mw_client_call(cli, "/api/v1/status", NULL, &status);
    if (!done) {
        done = mw_client_call(cli, "/api/v1/senders", NULL, &senders);
        if (!done)
            done = report(cli, status.root, senders.root);
        mw_answer_free(&senders);
    }
    mw_answer_free(&status);
    return done;
}
