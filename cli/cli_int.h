/* cli: what the parts of this room share. Private to the room. One thread, one short-lived
 * process: memory is freed where that is easy and given back by exit where it is not. */
#ifndef MW_CLI_CLI_INT_H
#define MW_CLI_CLI_INT_H

#include <jansson.h>

#include "cli/cli.h"
#include "cli/fit.h"
#include "cli/table.h"
#include "lib/base/buffer.h"

/* Files of an import, as a shell expands them. */
#define MW_CLI_ARGS_MAX 1024
#define MW_CLI_PATH_MAX 1024
/* Cursors are some dozens of bytes. */
#define MW_CLI_CURSOR_SIZE 512
/* As the API takes. */
#define MW_CLI_ATTRIBUTES_MAX 8

/* Options a command takes, as a mask. Every command takes json, data, server and help. */
enum {
    MW_TAKES_PAGE = 1, /* limit, cursor, since, until */
    MW_TAKES_STATUS = 2,
    MW_TAKES_SOURCE = 8,     /* service, session: where telemetry comes from */
    MW_TAKES_LOG = 16,       /* trace, span, severity, text, pattern, event, log group and stream */
    MW_TAKES_METRIC = 32,    /* namespace */
    MW_TAKES_FOLLOW = 64,    /* follow */
    MW_TAKES_SPAN = 128,     /* what one span has */
    MW_TAKES_ITEM = 256,     /* agent, attribute: what spans and log records have */
    MW_TAKES_NAME = 512,     /* name */
    MW_TAKES_WINDOW = 1024,  /* since, until alone */
    MW_TAKES_SPACE = 4096,   /* space: of telemetry */
    MW_TAKES_YES = 8192,     /* yes */
    MW_TAKES_FORMAT = 16384, /* format: what can be shown as it was sent */
    MW_TAKES_EXPORT = 32768, /* output, signal */
    MW_TAKES_OTLP = 65536,   /* otlp: where to send to */
    MW_TAKES_TREE = 131072,  /* rows, unfold */
    MW_TAKES_WHERE =
        262144, /* service, agent, model, tool, user, text, errors, attribute, bounds */
    MW_TAKES_RECORD = 1 << 30,      /* service, version, region, time, commit */
    MW_TAKES_INVESTIGATE = 1 << 20, /* service, at, title */
    MW_TAKES_JUDGE = 1 << 21,       /* hash, comment */
    MW_TAKES_STORY = 1 << 2,        /* incident */
    MW_TAKES_DEPLOYED = 1 << 11,    /* service: whose deployments */
    MW_TAKES_WHY = 1 << 22,         /* why, version-seen: of what people do */
    MW_TAKES_REPLAY = 1 << 23,      /* alarm */
    MW_TAKES_DOOR = 1 << 24,        /* source, auth, rate-limit, mapping: what a webhook is */
    MW_TAKES_ALLOW = 1 << 25,       /* allow: who may come to a webhook, or with a token */
    MW_TAKES_TOKEN = 1 << 26,       /* scope, expires */
    MW_TAKES_GRACE = 1 << 27,       /* grace */
    MW_TAKES_TRIAL = 1 << 28,       /* investigate */
    MW_TAKES_SECRET = 1 << 29,      /* secret-file */
};
/* Behind the thirty-first bit: more than an int has room for. */
#define MW_TAKES_WATCH (UINT64_C(1) << 31) /* watch */

struct mw_cli;

/* One row of the table that drives dispatch, help and completion. */
typedef struct mw_command {
    const char *noun, *verb; /* verb "" = the noun alone */
    const char *args;        /* "", "ID", "ID FILE"; "FILE..." = one or more */
    const char *summary;
    uint64_t takes;
    int (*run)(struct mw_cli *cli);
} mw_command;

typedef struct mw_noun {
    const char *name;
    const char *alias;   /* beside the plural; "" = none */
    const char *summary; /* NULL: known, but not served by this version */
} mw_noun;

typedef struct mw_cli {
    const mw_command *command;
    const char *data, *server, *name, *source;
    const char *limit, *cursor, *since, *until;
    const char *status, *service, *session, *trace, *span, *severity, *text, *event, *agent;
    const char *log_group, *log_stream, *name_space, *pattern, *duration_min_ms;
    const char *duration_max_ms, *tokens_min, *model, *tool, *user;
    const char *attributes[MW_CLI_ATTRIBUTES_MAX + 1]; /* NULL behind the last */
    const char *space, *format, *output, *signal, *otlp, *rows;
    const char *version, *region, *time, *commit, *at, *title, *hash, *comment;
    const char *why, *version_seen, *alarm;
    const char *auth, *allow, *rate_limit, *mapping, *grace, *secret_file, *scope, *expires;
    bool yes, investigate, force;
    bool json, help, follow, watch, errors, unfold, markdown, incident;
    const char *args[MW_CLI_ARGS_MAX];
    size_t arg_count;
    bool terminal; /* stdout is one */
    bool color;
    size_t width; /* columns, 0 = unbounded */
    int64_t now_ns;
    size_t turned_back; /* durations shown as "-" */
} mw_cli;

/* ---- commands.c ---------------------------------------------------------------------------- */

extern const mw_command mw_commands[];
extern const size_t mw_command_count;
extern const mw_noun mw_nouns[];
extern const size_t mw_noun_count;

/* By name, plural or alias; NULL when there is none. Pure. */
const mw_noun *mw_noun_find(const char *text);
const mw_command *mw_command_find(const char *noun, const char *verb);
/* "list, show"; the length of what it wrote. */
size_t mw_append_verbs(mw_buffer *out, const mw_noun *noun);
void mw_help_all(mw_buffer *out);
void mw_help_noun(mw_buffer *out, const mw_noun *noun);

/* ---- option_table.c ------------------------------------------------------------------------ */

typedef struct mw_cli_option {
    const char *name;       /* long name without dashes */
    const char *value_name; /* NULL = a switch */
    size_t offset;          /* in mw_cli: const char *, bool, or the attributes */
    uint64_t takes;         /* 0 = every command */
    const char *help;
    const char *parameter; /* of the API's query; NULL = none */
} mw_cli_option;
extern const mw_cli_option mw_cli_options[];
extern const size_t mw_cli_option_count;
/* May be given more than once; the values lie one behind the other. */
bool mw_cli_option_repeats(const mw_cli_option *option);
/* Of the short form, '\0' when there is none. */
char mw_cli_option_letter(const mw_cli_option *option);

/* ---- args.c -------------------------------------------------------------------------------- */

/* Fills cli from argv (program name first). MW_EXIT_DONE, or MW_EXIT_USAGE with one line in
 * `error`. command is NULL when only help was asked for; *noun is set when one was named. Pure:
 * looks at nothing but its arguments. */
int mw_cli_parse(mw_cli *cli, int argc, char **argv, const mw_noun **noun, mw_buffer *error);

/* ---- client.c ------------------------------------------------------------------------------ */

typedef struct mw_answer {
    long status;
    mw_buffer body;
    json_t *root; /* NULL when the body is not JSON, or was not to be read */
    /* What is told beside a body that is OTLP. */
    char next_cursor[MW_CLI_CURSOR_SIZE]; /* empty = none */
    uint64_t items, left_out, undecided, damaged, lost;
} mw_answer;

/* Asks and parses. A refusal or a failure is printed on stderr in one line. Returns the exit
 * status; the answer is valid, and to be freed, whatever it is. body NULL = GET. */
int mw_client_call(mw_cli *cli, const char *path, const char *body, mw_answer *out);
/* The same with a body of one member or more, which it takes; NULL (text that is not UTF-8) is told
 * as the name of `what`. */
int mw_client_post(mw_cli *cli, const char *path, json_t *body, const char *what, mw_answer *out);
/* POST to "/api/v1/NOUN/args[0]VERB" ("/rotate"), DELETE without a verb. `body` is taken; NULL
 * is {} (NULL for DELETE). As mw_client_post. */
int mw_client_verb(mw_cli *cli, const char *noun, const char *verb, json_t *body, mw_answer *out);
/* Asks; MW_EXIT_DONE whatever the answer's status is, and the body of a success is not parsed. */
int mw_client_fetch(mw_cli *cli, const char *path, mw_answer *out);
/* The refusal that was fetched, in one line on stderr. The exit status. */
int mw_fetch_complain(const mw_cli *cli, const mw_answer *answer);
/* The same with DELETE. */
int mw_client_delete(mw_cli *cli, const char *path, mw_answer *out);
void mw_answer_free(mw_answer *answer);
/* Why a request got no answer, and what helps. */
typedef struct mw_silence {
    char why[384];
    const char *hint;
} mw_silence;
/* `code` is libcurl's, `text` its own words; connect_s is 0 when there was no connection. Tells a
 * daemon that is not there from one that does not answer: starting a second one is no help then.
 * Pure. */
void mw_client_explain(int code, double connect_s, double total_s, const char *text,
                       mw_silence *out);
/* DESIGN 4.2. Pure. */
int mw_exit_of_status(long status);
/* Text as part of a path or query: all but unreserved characters become %XX. Pure. */
void mw_url_append(mw_buffer *out, const char *text);
/* The daemon, chosen once, for answers that are read as they come. _open complains itself. */
typedef struct mw_client mw_client;
int mw_client_open(const mw_cli *cli, mw_client **out);
void mw_client_close(mw_client *client);
/* Asks; `take` gets the body of a 200, and false from it ends the reading. last_id "" = none.
 * Prints nothing. Returns why it ended, "" when it did in order; out->status 0: nobody answered.
 * The answer is to be freed. */
const char *mw_client_read(mw_client *client, const char *path, const char *last_id,
                           bool (*take)(void *ctx, mw_slice bytes), void *ctx, mw_answer *out);
/* A refusal, and nobody there, in one line on stderr. The exit status. */
int mw_client_complain(const mw_client *client, const char *noun, const mw_answer *answer);
int mw_client_unreachable(const mw_client *client);
/* "/api/v1/NOUN" and "/api/v1/NOUN/args[0]" and what follows it ("" or "/turns"), with the options
 * that are parameters as the query. */
void mw_list_path(const mw_cli *cli, const char *noun, mw_buffer *out);
void mw_show_path(const mw_cli *cli, const char *noun, const char *part, mw_buffer *out);
/* The same for a name from an answer, as it is: it may hold any byte, NUL too. */
void mw_named_path(const mw_cli *cli, const char *noun, mw_slice name, mw_buffer *out);
/* A comma-separated option as an array of its trimmed parts; NULL without memory. */
json_t *mw_parts_array(const char *text);
/* A number of seconds or, with a unit, "24h", "7d", in units of `unit_s`; -1 for other texts. */
int64_t mw_duration_in(const char *text, int64_t unit_s);
/* True when an option was given that leaves things out of a list. */
bool mw_is_narrowed(const mw_cli *cli);

/* ---- say.c --------------------------------------------------------------------------------- */

/* One line on stderr: "midwatch: what: why; hint" (hint may be empty). Returns `status`. */
int mw_complain(int status, const char *what, const char *why, const char *hint);
/* Writes to stdout. MW_EXIT_FAILED when that fails. */
int mw_print(const mw_buffer *text);

/* ---- members.c ----------------------------------------------------------------------------- */

/* The tree of an answer's body; NULL when it is not JSON. A NUL that telemetry holds stays in
 * values and becomes U+FFFD in keys, where jansson takes none. Pure. */
json_t *mw_parse_answer(mw_slice body);

/* Members of an answer; empty or 0 when absent or null. Slices live as long as the tree. */
mw_slice mw_text(const json_t *object, const char *key);
int64_t mw_integer(const json_t *object, const char *key);
double mw_number(const json_t *object, const char *key);
bool mw_is_null(const json_t *object, const char *key);

/* "412ms", "1.25s", "2m03s", "1h02m". Pure. */
void mw_duration_text(double ms, char *out, size_t size);

/* disk_words.c: "1.2 GiB"; "5 hours", "a minute", without more than the figure is worth. */
void mw_bytes_text(int64_t bytes, char *out, size_t size);
void mw_while_text(double seconds, char *out, size_t size);
/* Two lines of what /api/v1/status says of the disk; nothing where it says nothing. */
void mw_disk_render(const json_t *status, mw_buffer *out);
#define MW_CELL_SIZE 48
/* The duration_ms of a span or a trace; "-" where the end was sent as before the start, which is
 * counted and told behind the answer. */
void mw_taken_text(mw_cli *cli, const json_t *object, char out[MW_CELL_SIZE]);
/* The name of a SeverityNumber: "WARN", "ERROR2"; empty for 0, digits beyond 24. Pure. */
void mw_severity_text(int64_t severity, char out[MW_CELL_SIZE]);
mw_style mw_severity_style(int64_t severity);
/* Any value of an answer on one line: text as it is, all else as compact JSON, at most `columns`
 * wide when not 0. Not neutralised but for the cut: a cell of a table is. */
void mw_value_text(const json_t *value, size_t columns, mw_buffer *out);
/* A time of an answer: an age on a terminal when it is less than 30 days old, else RFC 3339 with
 * seconds. Empty for null. */
void mw_time_text(const mw_cli *cli, const json_t *object, const char *key, char out[MW_CELL_SIZE]);
/* Always RFC 3339 with seconds. */
void mw_instant_text(const json_t *object, const char *key, char out[MW_CELL_SIZE]);

/* ---- render.c ------------------------------------------------------------------------------ */

/* "  title       text\n", neutralised; nothing when the text is empty. */
void mw_field(mw_buffer *out, const char *title, mw_slice text);
/* The strings of an array, with commas between; as one such line, when there are any; and a time's,
 * when there is one. */
void mw_append_parts(mw_buffer *out, const json_t *array);
void mw_field_list(mw_buffer *out, const char *title, const json_t *array);
void mw_field_time(struct mw_cli *cli, const json_t *object, const char *title, const char *key,
                   mw_buffer *out);
/* Peer text, neutralised. */
void mw_visible(mw_buffer *out, mw_slice text);
/* Peer text, neutralised, in a column of that width with two blanks behind it: of a line that
 * cannot wait for the others. */
void mw_append_padded(mw_buffer *out, mw_slice text, size_t width);
/* What the calls of an agent, a session or a trace came to: fields, and four cells. */
void mw_field_usage(mw_buffer *out, const json_t *object);
void mw_usage_cells(mw_table *table, const json_t *object);
/* One word for a shell, in quotes where it needs them. Not neutralised. Pure. */
void mw_shell_word(mw_buffer *out, mw_slice text);
/* "  midwatch COMMAND", with the options that chose the daemon. */
void mw_append_command(const mw_cli *cli, mw_buffer *out, const char *command);

/* What a person reads: mw_print with no line wider than the terminal (fit.h). */
int mw_print_fitting(const mw_cli *cli, const mw_buffer *text);
/* A table with what `add` puts into it for each item. */
void mw_item_table(mw_cli *cli, const mw_column *columns, size_t column_count, const json_t *items,
                   void (*add)(mw_cli *cli, mw_table *table, const json_t *item), mw_buffer *out);

/* The whole of a command that shows what an answer holds: calls, prints the body itself with
 * --json, else hands the tree to `render` and prints what it wrote. */
int mw_show(mw_cli *cli, const char *path, void (*render)(mw_cli *, json_t *, mw_buffer *));
/* The same for /api/v1/NOUN/args[0]; a further page is told on stderr. */
/* The same for the answer to a change: posts `body`, which it takes (NULL: text that is not
 * UTF-8). */
int mw_show_change(mw_cli *cli, const char *path, json_t *body, const char *what,
                   void (*render)(mw_cli *, json_t *, mw_buffer *));
int mw_show_id(mw_cli *cli, const char *noun, void (*render)(mw_cli *, json_t *, mw_buffer *));
/* The same for what is below it, without a word about pages. */
int mw_show_part(mw_cli *cli, const char *noun, const char *part,
                 void (*render)(mw_cli *, json_t *, mw_buffer *));
/* The same for a list; an empty one is told on stderr with the plural `what`, and a further page
 * with the option that gets it. */
int mw_list(mw_cli *cli, const char *noun, const char *what,
            void (*render)(mw_cli *, json_t *, mw_buffer *));

/* True with --format otlp. */
bool mw_wants_otlp(const mw_cli *cli);
/* What an answer in OTLP says beside its body, on stderr; `cursor` too. */
void mw_tell_otlp(const mw_answer *answer, bool cursor);

/* ---- follow.c ------------------------------------------------------------------------------ */

/* What is done with the items of a list that is followed. */
typedef struct mw_followed {
    const char *noun; /* in the API's path */
    /* Writes an item as a line. */
    void (*row)(mw_cli *cli, const json_t *item, mw_buffer *out);
    /* Not NULL: takes an item, whose reference it gets, instead; and writes what is shown whenever
     * the daemon has told all that there is. */
    void (*keep)(void *ctx, json_t *item);
    void (*draw)(void *ctx, mw_cli *cli, mw_buffer *out);
    void *ctx;
} mw_followed;

/* The whole of such a list: prints each item (with --json as it came, a line each) until Ctrl-C,
 * which is no failure. */
int mw_follow(mw_cli *cli, const mw_followed *followed);

/* ---- commands ------------------------------------------------------------------------------ */

int mw_cmd_session_list(mw_cli *cli);
/* What --watch shows of sessions (watch_sessions.c); `render` is the list's. */
int mw_watch_sessions(mw_cli *cli, void (*render)(mw_cli *cli, json_t *root, mw_buffer *out));
int mw_cmd_session_show(mw_cli *cli);
int mw_cmd_agent_list(mw_cli *cli);
int mw_cmd_agent_show(mw_cli *cli);
int mw_cmd_trace_list(mw_cli *cli);
int mw_cmd_trace_show(mw_cli *cli);
int mw_cmd_span_list(mw_cli *cli);
int mw_cmd_log_list(mw_cli *cli);
int mw_cmd_metric_list(mw_cli *cli);
int mw_cmd_metric_show(mw_cli *cli);
int mw_cmd_service_list(mw_cli *cli);
int mw_cmd_service_show(mw_cli *cli);
int mw_cmd_topology_show(mw_cli *cli);
int mw_cmd_alarm_list(mw_cli *cli);
int mw_cmd_alarm_show(mw_cli *cli);
int mw_cmd_alarm_explain(mw_cli *cli);
int mw_cmd_alarm_link(mw_cli *cli);
int mw_cmd_alarm_unlink(mw_cli *cli);
int mw_cmd_alarm_proceed(mw_cli *cli);
int mw_cmd_alarm_skip(mw_cli *cli);
int mw_cmd_investigation_merge(mw_cli *cli);
int mw_cmd_investigation_split(mw_cli *cli);
int mw_cmd_investigation_claim(mw_cli *cli);
int mw_cmd_investigation_comment(mw_cli *cli);
int mw_cmd_investigation_close(mw_cli *cli);
int mw_cmd_triage_replay(mw_cli *cli);
int mw_cmd_topology_import(mw_cli *cli);
int mw_cmd_investigation_list(mw_cli *cli);
int mw_cmd_investigation_show(mw_cli *cli);
int mw_cmd_investigation_create(mw_cli *cli);
int mw_cmd_investigation_cancel(mw_cli *cli);
int mw_cmd_plan_show(mw_cli *cli);
int mw_cmd_plan_approve(mw_cli *cli);
int mw_cmd_plan_reject(mw_cli *cli);
int mw_cmd_deployment_list(mw_cli *cli);
int mw_cmd_deployment_show(mw_cli *cli);
int mw_cmd_deployment_record(mw_cli *cli);
int mw_cmd_webhook_create(mw_cli *cli);
int mw_cmd_webhook_list(mw_cli *cli);
int mw_cmd_webhook_show(mw_cli *cli);
int mw_cmd_webhook_rotate(mw_cli *cli);
int mw_cmd_webhook_enable(mw_cli *cli);
int mw_cmd_webhook_disable(mw_cli *cli);
int mw_cmd_webhook_delete(mw_cli *cli);
int mw_cmd_webhook_test(mw_cli *cli);
int mw_cmd_webhook_send(mw_cli *cli);
int mw_cmd_token_create(mw_cli *cli);
int mw_cmd_token_list(mw_cli *cli);
int mw_cmd_token_show(mw_cli *cli);
int mw_cmd_token_rotate(mw_cli *cli);
int mw_cmd_token_revoke(mw_cli *cli);
int mw_cmd_space_token_access(mw_cli *cli);
int mw_cmd_space_list(mw_cli *cli);
int mw_cmd_space_create(mw_cli *cli);
int mw_cmd_space_delete(mw_cli *cli);
int mw_cmd_audit_list(mw_cli *cli);
int mw_cmd_status(mw_cli *cli);
int mw_cmd_doctor(mw_cli *cli);
int mw_cmd_import(mw_cli *cli);
int mw_cmd_export(mw_cli *cli);
int mw_cmd_demo(mw_cli *cli);
int mw_cmd_completion(mw_cli *cli);

/* A log record's event name and body on one line, cut at `columns` unless 0; not neutralised. */
void mw_log_line(const json_t *log, size_t columns, mw_buffer *out);
/* Its severity by name, else its text, coloured. */
void mw_severity_cell(mw_table *table, const json_t *log);
/* The rows of a trace list, which a session shows too. */
void mw_trace_table(mw_cli *cli, const json_t *items, mw_buffer *out);
/* Signs a body with the secret and posts it to a webhook (an answer of the API). Complains itself;
 * says nothing of a delivery that was taken. */
int mw_webhook_deliver(mw_cli *cli, const json_t *hook, const char *secret, mw_slice body);
/* A whole plan. */
void mw_render_plan(const json_t *plan, mw_buffer *out);
/* An investigation as a document. */
void mw_render_markdown(mw_cli *cli, json_t *root, mw_buffer *out);
/* What the alarm said of its time, where that cannot be; else nothing. */
void mw_alarm_claim(const json_t *alarm, mw_buffer *out);
/* The rows of an alarm list, which an investigation shows too. */
void mw_alarm_table(mw_cli *cli, const json_t *items, mw_buffer *out);

#endif
