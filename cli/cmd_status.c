/* status. */
#include "cli/cli_int.h"

/* The members that are not 0, or one word. */
static void render_counts(const char *title, json_t *counts, mw_buffer *out)
{
    const char *key;
    json_t *value;
    bool any = false;
    mw_buffer_appendf(out, "  %-13s ", title);
    json_object_foreach(counts, key, value)
    {
        if (json_integer_value(value) == 0)
            continue;
        mw_buffer_appendf(out, any ? ", " : "");
        mw_visible(out, mw_slice_of(key));
        mw_buffer_appendf(out, " %lld", (long long)json_integer_value(value));
        any = true;
    }
    mw_buffer_appendf(out, any ? "\n" : "none\n");
}

/* Of merges that failed: whether they still do, and when the last was. */
static void render_failures(const json_t *store, mw_buffer *out)
{
    char last[MW_CELL_SIZE];
    long long failures = (long long)mw_integer(store, "merge_failures");
    if (!failures)
        return;
    bool fails = json_is_true(json_object_get(store, "merging_fails"));
    mw_instant_text(store, "last_merge_failure", last);
    mw_buffer_appendf(out, "  %-13s %s, %lld since the start, the last at %s%s\n",
                      fails ? "MERGING FAILS" : "merging",
                      fails ? "tried again and again" : "works again after failures", failures,
                      last, fails ? "; the daemon's log says why" : "");
}

static void render_merging(const json_t *store, mw_buffer *out)
{
    char merged[MW_CELL_SIZE], waiting[MW_CELL_SIZE];
    mw_bytes_text(mw_integer(store, "merged_bytes"), merged, sizeof merged);
    mw_bytes_text(mw_integer(store, "unmerged_bytes"), waiting, sizeof waiting);
    mw_buffer_appendf(out, "  %-13s %s in %lld segments, %s waiting; %lld repeats removed",
                      "merged", merged, (long long)mw_integer(store, "merged_segments"), waiting,
                      (long long)mw_integer(store, "repeats"));
    if (mw_integer(store, "conflicting"))
        mw_buffer_appendf(out, " (%lld conflicting)", (long long)mw_integer(store, "conflicting"));
    mw_buffer_append_byte(out, '\n');
    render_failures(store, out);
    mw_buffer_appendf(out, "  %-13s %lld items in %lld segments since the start; oldest arrival ",
                      "retired", (long long)mw_integer(store, "retired_items"),
                      (long long)mw_integer(store, "retired_segments"));
    mw_slice oldest = mw_text(store, "oldest_arrival");
    mw_visible(out, oldest.len ? oldest : MW_SLICE("none"));
    mw_buffer_appendf(out, "\n");
}

static void render_losses(const json_t *store, mw_buffer *out)
{
    char last[MW_CELL_SIZE];
    long long count = (long long)mw_integer(store, "losses");
    if (!count)
        return;
    mw_instant_text(store, "last_loss", last);
    mw_buffer_appendf(out,
                      "  %-13s %lld segments or ends of some are gone, with at least %lld spans, "
                      "%lld logs, %lld points; noticed %s; `midwatch check` names them\n",
                      "LOST", count, (long long)mw_integer(store, "lost_spans"),
                      (long long)mw_integer(store, "lost_logs"),
                      (long long)mw_integer(store, "lost_points"), last);
}

static void render_catalogue(const json_t *store, mw_buffer *out)
{
    char made[MW_CELL_SIZE];
    if (!mw_text(store, "catalogue_made_anew").len)
        return;
    mw_instant_text(store, "catalogue_made_anew", made);
    mw_buffer_appendf(out,
                      "  %-13s missing or unreadable, made anew %s: segments that vanished before "
                      "cannot be told; `midwatch check --rebuild` accepts that\n",
                      "catalogue", made);
}

static void render_key(const json_t *store, mw_buffer *out)
{
    long long segments = (long long)mw_integer(store, "other_key_segments");
    bool made = json_is_true(json_object_get(store, "digest_key_made_anew"));
    if (made || segments)
        mw_buffer_appendf(out,
                          "  %-13s digest.key %s; %lld merged segments are of the former one; "
                          "`midwatch doctor` says what helps\n",
                          "KEY", made ? "was missing, and was made anew" : "is another", segments);
}

static void render_store(const json_t *root, mw_buffer *out)
{
    char text[MW_CELL_SIZE];
    const json_t *stored = json_object_get(root, "stored"), *store = json_object_get(root, "store");
    mw_buffer_appendf(
        out, "  %-13s %lld spans, %lld logs, %lld points (repeats count until merged together)\n",
        "stored", (long long)mw_integer(stored, "spans"), (long long)mw_integer(stored, "logs"),
        (long long)mw_integer(stored, "points"));
    mw_bytes_text(mw_integer(store, "bytes"), text, sizeof text);
    mw_buffer_appendf(out, "  %-13s %s in %lld segments, %lld blocks, commit %lld\n", "store", text,
                      (long long)mw_integer(store, "segments"),
                      (long long)mw_integer(store, "blocks"),
                      (long long)mw_integer(store, "commit_seq"));
    render_merging(store, out);
    mw_disk_render(root, out);
    if (mw_integer(store, "damaged_blocks") > 0)
        mw_buffer_appendf(out,
                          "  %-13s %lld blocks, left out of answers; `midwatch check` names them\n",
                          "DAMAGED", (long long)mw_integer(store, "damaged_blocks"));
    render_losses(store, out);
    render_catalogue(store, out);
    render_key(store, out);
    if (!json_is_true(json_object_get(store, "writable")))
        mw_field(out, "NOT WRITABLE", mw_text(store, "last_error"));
    if (!json_is_true(json_object_get(root, "state_writable")))
        mw_buffer_appendf(out, "  %-13s the last commit of state failed\n", "NOT WRITABLE");
}

static void render_senders(const json_t *senders, mw_buffer *out)
{
    char last[MW_CELL_SIZE];
    long long count = (long long)mw_integer(senders, "count");
    mw_buffer_appendf(out, "  %-13s %lld since the start", "senders", count);
    mw_instant_text(senders, "last_seen", last);
    if (count)
        mw_buffer_appendf(out, ", the last at %s", last);
    mw_buffer_appendf(out, "; `midwatch doctor` says who, and what is wrong\n");
}

static void render(mw_cli *cli, json_t *root, mw_buffer *out)
{
    (void)cli;
    char used[MW_CELL_SIZE], limit[MW_CELL_SIZE], uptime[MW_CELL_SIZE];
    const json_t *memory = json_object_get(root, "memory"),
                 *ports = json_object_get(root, "endpoints");
    mw_buffer_appendf(out, "midwatch ");
    mw_visible(out, mw_text(root, "version"));
    mw_buffer_appendf(out, "%s\n",
                      json_is_true(json_object_get(root, "ready")) ? " ready" : " NOT READY");
    mw_duration_text(mw_number(root, "uptime") * 1e3, uptime, sizeof uptime);
    mw_field(out, "uptime", mw_slice_of(uptime));
    mw_field(out, "data", mw_text(root, "data"));
    mw_field(out, "OTLP/gRPC", mw_text(ports, "grpc"));
    mw_field(out, "OTLP/HTTP", mw_text(ports, "http"));
    mw_field(out, "API", mw_text(ports, "web"));
    render_store(root, out);
    render_senders(json_object_get(root, "senders"), out);
    mw_buffer_appendf(out, "  %-13s %lld\n", "retried", (long long)mw_integer(root, "retried"));
    render_counts("refused", json_object_get(root, "refused"), out);
    render_counts("turned away", json_object_get(root, "refused_requests"), out);
    mw_buffer_appendf(out, "  %-13s %lld under way\n", "triage",
                      (long long)mw_integer(root, "triage_active"));
    mw_bytes_text(mw_integer(memory, "used"), used, sizeof used);
    mw_bytes_text(mw_integer(memory, "limit"), limit, sizeof limit);
    mw_buffer_appendf(out, "  %-13s %s of %s\n", "memory", used, limit);
}

int mw_cmd_status(mw_cli *cli)
{
    return mw_show(cli, "/api/v1/status", render);
}
