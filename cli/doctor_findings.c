/* What is wrong, and the setting that helps. Contract: doctor_int.h.
 *
 * Settings are the names of OpenTelemetry's SDK environment, which all languages share. */
#include "cli/doctor_int.h"

/* All that one finding says; names are cut by the daemon. */
#define TEXT_MAX 4096

typedef enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE, SEVERITIES } severity;

typedef struct findings {
    json_t *by_severity[SEVERITIES];
    const json_t *status, *senders;
    int64_t now_ns;
} findings;

/* ---- words --------------------------------------------------------------------------------- */

static void add(findings *all, severity how, const char *code, mw_buffer *seen, const char *fix)
{
    static const char *const names[SEVERITIES] = {"error", "warning", "note"};
    json_t *text = json_stringn(seen->data ? (const char *)seen->data : "", seen->len);
    json_t *finding = text ? json_pack("{s:s, s:s, s:o, s:s}", "severity", names[how], "code", code,
                                       "seen", text, "fix", fix)
                           : NULL;
    if (finding)
        json_array_append_new(all->by_severity[how], finding);
    mw_buffer_fini(seen);
}

static void begin(mw_buffer *seen)
{
    mw_buffer_init(seen, MW_MEM_BASE, TEXT_MAX);
}

static void add_plain(findings *all, severity how, const char *code, const char *what,
                      const char *fix)
{
    mw_buffer seen;
    begin(&seen);
    mw_buffer_appendf(&seen, "%s", what);
    add(all, how, code, &seen, fix);
}

void mw_doctor_who(mw_buffer *out, const json_t *sender)
{
    mw_slice service = mw_text(sender, "service"), language = mw_text(sender, "sdk_language");
    mw_slice version = mw_text(sender, "sdk_version");
    mw_buffer_append_slice(out, service.len ? service : MW_SLICE("a sender without service.name"));
    if (!language.len && !version.len)
        return;
    mw_buffer_appendf(out, " (");
    mw_buffer_append_slice(out, language);
    mw_buffer_appendf(out, language.len && version.len ? " " : "");
    mw_buffer_append_slice(out, version);
    mw_buffer_appendf(out, ")");
}

static const char *items_name(const json_t *sender)
{
    mw_slice signal = mw_text(sender, "signal");
    if (mw_slice_equal(signal, MW_SLICE("traces")))
        return "spans";
    return mw_slice_equal(signal, MW_SLICE("logs")) ? "log records" : "data points";
}

static long long count_of(const json_t *object, const char *key)
{
    return (long long)mw_integer(object, key);
}

static long long understood(const json_t *sender, const char *what)
{
    return count_of(json_object_get(sender, what), "items");
}

static bool is_recent(const findings *all, const json_t *row)
{
    int64_t last = 0;
    return mw_slice_i64(mw_text(row, "last_seen_unix_nano"), &last) == MW_OK &&
           all->now_ns - last < MW_DOCTOR_RECENT_NS;
}

/* ---- the daemon ---------------------------------------------------------------------------- */

static bool is_on(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* A daemon that is up for less tells a pace that its start may have made. */
#define PACED_AFTER_S 600
#define SOON_S 86400.0
/* The same figures as the daemon's: below the first a disk that refuses is full; below the second
 * merges take small steps (lib/store/merge/merge_room.h). */
#define FULL_BYTES (INT64_C(128) << 20)
#define SHORT_BYTES (INT64_C(256) << 20)

/* Will the disk be full soon, and before retention begins? */
static bool fills_soon(const findings *all, const json_t *disk)
{
    double full = mw_number(disk, "full_in_seconds");
    double retention = mw_number(disk, "retention_in_seconds");
    if (!json_is_number(json_object_get(disk, "full_in_seconds")) ||
        mw_number(all->status, "uptime") < PACED_AFTER_S || full > SOON_S)
        return false;
    return !json_is_number(json_object_get(disk, "retention_in_seconds")) || retention > full;
}

static void add_disk(findings *all, const json_t *disk, bool full, bool soon)
{
    char free_text[MW_CELL_SIZE], used[MW_CELL_SIZE], lasts[MW_CELL_SIZE], fix[512];
    mw_buffer seen;
    mw_bytes_text(mw_integer(disk, "free_bytes"), free_text, sizeof free_text);
    mw_bytes_text(mw_integer(disk, "used_bytes"), used, sizeof used);
    mw_while_text(mw_number(disk, "full_in_seconds"), lasts, sizeof lasts);
    begin(&seen);
    mw_buffer_appendf(&seen, "the disk of ");
    mw_buffer_append_slice(&seen, mw_text(all->status, "data"));
    mw_buffer_appendf(&seen,
                      full ? " is full, and exports are refused: %s free, %s are midwatch's"
                           : " has %s free, and %s are midwatch's",
                      free_text, used);
    if (soon)
        mw_buffer_appendf(&seen, "; at the pace of the last hour that lasts %s", lasts);
    snprintf(
        fix, sizeof fix,
        "free space on that disk; so that it stays free, bound what is kept: --retention-bytes "
        "N (of a space, on disk), or --retention with less than now");
    add(all, full ? SEVERITY_ERROR : SEVERITY_WARNING, full ? "disk_full" : "disk_short", &seen,
        fix);
}

/* True when a full disk is why nothing can be written. */
static bool judge_disk(findings *all)
{
    const json_t *disk = json_object_get(all->status, "disk");
    if (!json_is_object(disk))
        return false;
    int64_t free_bytes = mw_integer(disk, "free_bytes");
    bool writable = is_on(json_object_get(all->status, "store"), "writable");
    bool full = !writable && free_bytes < FULL_BYTES;
    bool soon = writable && fills_soon(all, disk);
    if (full || soon || free_bytes < SHORT_BYTES)
        add_disk(all, disk, full, soon);
    return full;
}

/* Segments that are gone: the daemon names them until somebody accepts it. */
static void judge_losses(findings *all, const json_t *store)
{
    char last[MW_CELL_SIZE];
    mw_buffer seen;
    if (!count_of(store, "losses"))
        return;
    mw_instant_text(store, "last_loss", last);
    begin(&seen);
    mw_buffer_appendf(&seen,
                      "%lld segments or ends of some are gone, with at least %lld spans, %lld logs "
                      "and %lld points; the last was noticed %s",
                      count_of(store, "losses"), count_of(store, "lost_spans"),
                      count_of(store, "lost_logs"), count_of(store, "lost_points"), last);
    add(all, SEVERITY_ERROR, "losses", &seen,
        "midwatch check names them: put them back into the store's directory and start again, or, "
        "with the daemon stopped, accept it with midwatch check --rebuild");
}

/* What vanished before that nobody can tell. */
static void judge_catalogue(findings *all, const json_t *store)
{
    char made[MW_CELL_SIZE];
    mw_buffer seen;
    if (!mw_text(store, "catalogue_made_anew").len)
        return;
    mw_instant_text(store, "catalogue_made_anew", made);
    begin(&seen);
    mw_buffer_appendf(&seen,
                      "the catalogue was missing or unreadable and was made anew %s: whether "
                      "segments vanished before that cannot be told",
                      made);
    add(all, SEVERITY_WARNING, "catalogue_made_anew", &seen,
        "find out what removed it; when nothing is missing, accept it with the daemon stopped: "
        "midwatch check --rebuild");
}

/* Without the former digest.key nothing is lost, and much is made again at each start. */
static void judge_key(findings *all, const json_t *store)
{
    mw_buffer seen;
    bool made = is_on(store, "digest_key_made_anew");
    if (!made && !count_of(store, "other_key_segments"))
        return;
    begin(&seen);
    mw_buffer_appendf(&seen, "digest.key %s: ",
                      made ? "was missing at the start, which made another" : "is another one");
    mw_buffer_appendf(&seen,
                      "%lld merged segments are of the former one, requests of before are not "
                      "recognised when they come again, and series of metrics began anew",
                      count_of(store, "other_key_segments"));
    add(all, SEVERITY_ERROR, "digest_key", &seen,
        "stop the daemon and put the former file back from a backup, or accept it with midwatch "
        "check --rebuild");
}

static void judge_daemon(findings *all)
{
    const json_t *store = json_object_get(all->status, "store");
    const json_t *turned_away = json_object_get(all->status, "refused_requests");
    if (!is_on(all->status, "ready"))
        add_plain(all, SEVERITY_ERROR, "not_ready", "the daemon is not ready",
                  "wait for it to start or drain; its log says what it does");
    bool full = judge_disk(all);
    if (!is_on(store, "writable") && !full)
        add_plain(all, SEVERITY_ERROR, "not_writable", "the store cannot be written",
                  "free space on the disk of the data directory, and check its permissions");
    if (!is_on(all->status, "state_writable"))
        add_plain(all, SEVERITY_ERROR, "state_not_writable", "the last commit of state failed",
                  "free space on the disk of the data directory, and check its permissions");
    if (is_on(store, "merging_fails"))
        add_plain(all, SEVERITY_ERROR, "merging_fails", "segments cannot be merged",
                  "the daemon's log says why; free space is needed for a second copy");
    if (count_of(store, "damaged_blocks"))
        add_plain(all, SEVERITY_ERROR, "damaged",
                  "stored blocks are damaged, answers leave them out",
                  "midwatch check names them; look at the disk");
    judge_losses(all, store);
    judge_catalogue(all, store);
    judge_key(all, store);
    if (count_of(turned_away, "tls_on_clear_text"))
        add_plain(all, SEVERITY_WARNING, "tls_on_clear_text",
                  "a client spoke TLS to a port without TLS",
                  "OTEL_EXPORTER_OTLP_ENDPOINT with http://, OTEL_EXPORTER_OTLP_INSECURE=true for "
                  "gRPC; or give the daemon a certificate");
}

/* ---- refusals ------------------------------------------------------------------------------ */

static mw_slice endpoint_of(const findings *all, const char *port)
{
    return mw_text(json_object_get(all->status, "endpoints"), port);
}

/* A daemon with TLS takes clear text from its own machine alone. */
static const char *scheme_of(const findings *all)
{
    return is_on(all->status, "tls") ? "https" : "http";
}

static bool is_compressed_otherwise(const json_t *refusal)
{
    mw_slice encoding = mw_text(refusal, "encoding");
    return encoding.len && !mw_slice_equal_nocase(encoding, MW_SLICE("gzip")) &&
           !mw_slice_equal_nocase(encoding, MW_SLICE("identity"));
}

/* There is no such path, on a port of exporters: the port and what was spoken tell why. */
static void write_address_fix(const findings *all, const json_t *refusal, char *fix, size_t size)
{
    mw_slice http = endpoint_of(all, "http"), grpc = endpoint_of(all, "grpc");
    const char *scheme = scheme_of(all);
    if (is_on(refusal, "grpc"))
        snprintf(fix, size,
                 "OTEL_EXPORTER_OTLP_ENDPOINT=%s://%.*s for gRPC, or "
                 "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                 scheme, MW_SLICE_FMT(grpc));
    else if (mw_slice_equal(mw_text(refusal, "port"), MW_SLICE("http")))
        snprintf(fix, size,
                 "OTEL_EXPORTER_OTLP_ENDPOINT=%s://%.*s (without a path), or "
                 "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=%s://%.*s/v1/traces",
                 scheme, MW_SLICE_FMT(http), scheme, MW_SLICE_FMT(http));
    else
        snprintf(fix, size,
                 "OTEL_EXPORTER_OTLP_ENDPOINT=%s://%.*s with "
                 "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                 scheme, MW_SLICE_FMT(http));
}

static const char *fix_of_status(int64_t status)
{
    switch (status) {
    case 400:
        return "the message says what is wrong with the body; take proxies out of the way, and try "
               "the exporter of OpenTelemetry's SDK with OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf";
    case 401:
    case 403: return "allow the sender in the daemon's options, or send from the daemon's machine";
    case 413: return "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=256, OTEL_BLRP_MAX_EXPORT_BATCH_SIZE=256";
    case 415: return "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf";
    case 503: return "midwatch status: raise memory_limit, or free the disk; exporters try again";
    default: return "the message says what helps";
    }
}

static void judge_refusal(findings *all, const json_t *refusal)
{
    char fix[512];
    mw_buffer seen;
    int64_t status = mw_integer(refusal, "status");
    bool compressed = is_compressed_otherwise(refusal) && (status == 415 || status == 501);
    begin(&seen);
    long long requests = count_of(refusal, "requests");
    mw_buffer_appendf(&seen, "refused %lld request%s to ", requests, requests == 1 ? "" : "s");
    mw_buffer_append_slice(&seen, mw_text(refusal, "path"));
    mw_buffer_appendf(&seen, " on the %.*s port%s from ", MW_SLICE_FMT(mw_text(refusal, "port")),
                      is_on(refusal, "grpc") ? " (gRPC)" : "");
    mw_slice agent = mw_text(refusal, "user_agent");
    mw_buffer_append_slice(&seen, agent.len ? agent : mw_text(refusal, "peer"));
    if (compressed) {
        mw_buffer_appendf(&seen, ": compressed with ");
        mw_buffer_append_slice(&seen, mw_text(refusal, "encoding"));
    }
    mw_buffer_appendf(&seen, ": %lld ", (long long)status);
    mw_buffer_append_slice(&seen, mw_text(refusal, "message"));
    if (status == 404)
        write_address_fix(all, refusal, fix, sizeof fix);
    else
        snprintf(fix, sizeof fix, "%s",
                 compressed ? "OTEL_EXPORTER_OTLP_COMPRESSION=gzip" : fix_of_status(status));
    add(all, is_recent(all, refusal) ? SEVERITY_ERROR : SEVERITY_WARNING, "refused", &seen, fix);
}

/* ---- senders ------------------------------------------------------------------------------- */

static void add_of(findings *all, severity how, const char *code, const json_t *sender,
                   const char *what, const char *fix)
{
    mw_buffer seen;
    begin(&seen);
    mw_doctor_who(&seen, sender);
    mw_buffer_appendf(&seen, ": %lld %s, %s", count_of(sender, "items"), items_name(sender), what);
    add(all, how, code, &seen, fix);
}

static void judge_name(findings *all, const json_t *sender)
{
    mw_slice service = mw_text(sender, "service");
    if (service.len && !mw_slice_starts(service, MW_SLICE("unknown_service")))
        return;
    mw_buffer seen;
    begin(&seen);
    mw_buffer_appendf(&seen, service.len ? "service.name is " : "service.name is missing");
    mw_buffer_append_slice(&seen, service);
    mw_buffer_appendf(&seen, " on %lld %s from ", count_of(sender, "items"), items_name(sender));
    mw_slice agent = mw_text(sender, "user_agent");
    mw_buffer_append_slice(&seen, agent.len ? agent : MW_SLICE("a client without user-agent"));
    add(all, SEVERITY_WARNING, "no_service_name", &seen, "OTEL_SERVICE_NAME=NAME");
}

static bool sends(const findings *all, const json_t *sender, mw_slice signal)
{
    size_t i;
    json_t *other;
    json_array_foreach(json_object_get(all->senders, "items"), i, other)
    {
        if (mw_slice_equal(mw_text(other, "service"), mw_text(sender, "service")) &&
            mw_slice_equal(mw_text(other, "space"), mw_text(sender, "space")) &&
            mw_slice_equal(mw_text(other, "signal"), signal))
            return true;
    }
    return false;
}

/* A span without a session gets its trace's: only of spans of agents and models it is likely to be
 * forgotten. */
static void judge_spans(findings *all, const json_t *sender)
{
    long long gen_ai = count_of(sender, "gen_ai_spans"), calls = count_of(sender, "model_calls");
    if (!understood(sender, "session"))
        add_of(all, gen_ai ? SEVERITY_WARNING : SEVERITY_NOTE, "no_session", sender,
               "none with a session id",
               "set gen_ai.conversation.id or session.id on the root span, or "
               "OTEL_RESOURCE_ATTRIBUTES=session.id=ID where a process is a session");
    if (gen_ai && !understood(sender, "agent"))
        add_of(all, SEVERITY_NOTE, "no_agent", sender, "none with an agent",
               "set gen_ai.agent.name on the agent's span");
    if (calls && !understood(sender, "model"))
        add_of(all, SEVERITY_WARNING, "no_model", sender, "calls of models without a model",
               "set gen_ai.request.model and gen_ai.response.model on spans of model calls");
    if (calls && !understood(sender, "tokens"))
        add_of(all, SEVERITY_WARNING, "no_tokens", sender, "calls of models without tokens",
               "set gen_ai.usage.input_tokens and gen_ai.usage.output_tokens on spans of model "
               "calls");
    if (!sends(all, sender, MW_SLICE("logs")))
        add_of(all, SEVERITY_NOTE, "no_logs", sender, "and no logs",
               "OTEL_LOGS_EXPORTER=otlp, where its log records are wanted");
}

static void judge_refused_items(findings *all, const json_t *sender)
{
    const char *reason;
    json_t *count;
    json_object_foreach(json_object_get(sender, "refused_reasons"), reason, count)
    {
        mw_buffer seen;
        begin(&seen);
        mw_doctor_who(&seen, sender);
        mw_buffer_appendf(&seen, ": %lld %s refused: %s", (long long)json_integer_value(count),
                          items_name(sender), reason);
        add(all, is_recent(all, sender) ? SEVERITY_ERROR : SEVERITY_WARNING, "items_refused", &seen,
            "update the SDK or exporter that makes these; what else the request held was kept");
    }
}

static void judge_sender(findings *all, const json_t *sender)
{
    char text[96];
    judge_name(all, sender);
    if (mw_slice_equal(mw_text(sender, "signal"), MW_SLICE("traces")) && count_of(sender, "items"))
        judge_spans(all, sender);
    judge_refused_items(all, sender);
    if (count_of(sender, "odd_times")) {
        snprintf(text, sizeof text, "%lld with times that can hardly be meant",
                 count_of(sender, "odd_times"));
        add_of(all, SEVERITY_WARNING, "odd_times", sender, text,
               "set the clock of the sender's machine (NTP); times are nanoseconds since 1970, and "
               "an end is not before its start");
    }
}

static void judge_silence(findings *all, size_t senders, size_t refusals)
{
    char fix[256];
    mw_slice http = endpoint_of(all, "http");
    if (senders || refusals)
        return;
    snprintf(fix, sizeof fix,
             "OTEL_EXPORTER_OTLP_ENDPOINT=%s://%.*s OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
             scheme_of(all), MW_SLICE_FMT(http));
    add_plain(all, SEVERITY_WARNING, "nothing_arrived",
              "nothing has arrived since the daemon started", fix);
}

/* ---- public -------------------------------------------------------------------------------- */

json_t *mw_doctor_findings(const json_t *status, const json_t *senders, int64_t now_ns)
{
    findings all = {{json_array(), json_array(), json_array()}, status, senders, now_ns};
    const json_t *items = json_object_get(senders, "items");
    const json_t *refusals = json_object_get(senders, "refusals");
    judge_daemon(&all);
    for (size_t i = 0; i < json_array_size(refusals); i++)
        judge_refusal(&all, json_array_get(refusals, i));
    for (size_t i = 0; i < json_array_size(items); i++)
        judge_sender(&all, json_array_get(items, i));
    judge_silence(&all, json_array_size(items), json_array_size(refusals));
    if (count_of(senders, "forgotten"))
        add_plain(&all, SEVERITY_NOTE, "forgotten",
                  "more senders than the list keeps: those that were silent longest are left out",
                  "put what differs from run to run into attributes, not into service.name");
    for (int how = 1; how < SEVERITIES; how++) {
        json_array_extend(all.by_severity[0], all.by_severity[how]);
        json_decref(all.by_severity[how]);
    }
    return all.by_severity[0];
}
