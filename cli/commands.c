/* The table of commands: dispatch, help and completion all read it. */
#include "cli/cli_int.h"

const mw_noun mw_nouns[] = {
    {"serve", "", "run the daemon in the foreground"},
    {"check", "", "validate the configuration and verify the store"},
    {"status", "", "what the daemon holds and does"},
    {"doctor", "", "who sends, what was understood, what is wrong and what helps"},
    {"session", "", "conversations of agents"},
    {"agent", "", "agents: sessions, calls, tokens, errors"},
    {"trace", "", "traces and their spans"},
    {"span", "", "spans by what they carry"},
    {"log", "", "log records and events"},
    {"metric", "", "metrics and their points"},
    {"service", "", "services: rate, errors, duration"},
    {"topology", "", "who calls whom, and how that goes"},
    {"alarm", "", "alarms and what was decided about them"},
    {"investigation", "inv", "investigations: journal, evidence, root cause"},
    {"plan", "", "what to do about it; a person approves"},
    {"deployment", "", "what was deployed, where and when"},
    {"triage", "", "decisions taken again"},
    {"webhook", "", "doors for alarms"},
    {"token", "", "who may send, read and operate from elsewhere"},
    {"space", "", "separate stores of telemetry"},
    {"audit", "", "who changed what"},
    {"export", "", "what is stored, as OTLP/JSON lines"},
    {"import", "", "OTLP/JSON from files, as an exporter would send it"},
    {"demo", "", "a support agent's last half hour, to look around in"},
    {"completion", "", "completion for a shell"},
    /* Named by the design, served by a later version. */
    {"skill", "", NULL},
};
const size_t mw_noun_count = sizeof mw_nouns / sizeof mw_nouns[0];

const mw_command mw_commands[] = {
    {"session", "list", "", "newest first, by last seen",
     MW_TAKES_PAGE | MW_TAKES_WHERE | MW_TAKES_SPACE | MW_TAKES_WATCH, mw_cmd_session_list},
    {"session", "show", "ID", "one session as its conversation", MW_TAKES_PAGE | MW_TAKES_SPACE,
     mw_cmd_session_show},
    {"agent", "list", "", "newest first, over the newest 30 minutes that hold spans",
     MW_TAKES_WINDOW | MW_TAKES_SPACE, mw_cmd_agent_list},
    {"agent", "show", "NAME", "one agent, by its whole name", MW_TAKES_WINDOW | MW_TAKES_SPACE,
     mw_cmd_agent_show},
    {"trace", "list", "", "newest first, by start", MW_TAKES_PAGE | MW_TAKES_WHERE | MW_TAKES_SPACE,
     mw_cmd_trace_list},
    {"trace", "show", "ID", "one trace as a tree of spans",
     MW_TAKES_TREE | MW_TAKES_SPACE | MW_TAKES_FORMAT, mw_cmd_trace_show},
    {"span", "list", "", "newest first, by start",
     MW_TAKES_PAGE | MW_TAKES_SOURCE | MW_TAKES_SPAN | MW_TAKES_ITEM | MW_TAKES_NAME |
         MW_TAKES_SPACE | MW_TAKES_FORMAT,
     mw_cmd_span_list},
    {"log", "list", "", "newest first, or as they come",
     MW_TAKES_PAGE | MW_TAKES_SOURCE | MW_TAKES_LOG | MW_TAKES_ITEM | MW_TAKES_FOLLOW |
         MW_TAKES_SPACE | MW_TAKES_FORMAT,
     mw_cmd_log_list},
    {"metric", "list", "", "by name",
     MW_TAKES_PAGE | MW_TAKES_SOURCE | MW_TAKES_METRIC | MW_TAKES_SPACE, mw_cmd_metric_list},
    {"metric", "show", "NAME", "its newest points, by series",
     MW_TAKES_PAGE | MW_TAKES_SOURCE | MW_TAKES_METRIC | MW_TAKES_SPACE | MW_TAKES_FORMAT,
     mw_cmd_metric_show},
    {"service", "list", "", "by name, over the newest 30 minutes that hold spans",
     MW_TAKES_WINDOW | MW_TAKES_SPACE, mw_cmd_service_list},
    {"service", "show", "NAME", "its operations, callers and callees",
     MW_TAKES_WINDOW | MW_TAKES_SPACE, mw_cmd_service_show},
    {"topology", "show", "", "calls between services, the worst first",
     MW_TAKES_WINDOW | MW_TAKES_SPACE, mw_cmd_topology_show},
    {"alarm", "list", "", "newest first, by start", MW_TAKES_PAGE, mw_cmd_alarm_list},
    {"alarm", "show", "ID", "one alarm with its decision", 0, mw_cmd_alarm_show},
    {"alarm", "explain", "ID", "why it was linked, skipped or given an investigation", 0,
     mw_cmd_alarm_explain},
    {"alarm", "link", "ID INVESTIGATION", "puts it into that incident", MW_TAKES_WHY,
     mw_cmd_alarm_link},
    {"alarm", "unlink", "ID", "takes it out, into an investigation of its own", MW_TAKES_WHY,
     mw_cmd_alarm_unlink},
    {"alarm", "proceed", "ID", "gives it an investigation", MW_TAKES_WHY, mw_cmd_alarm_proceed},
    {"alarm", "skip", "ID", "sets it aside", MW_TAKES_WHY, mw_cmd_alarm_skip},
    {"investigation", "merge", "ID INTO", "moves its alarms into another and ends it", MW_TAKES_WHY,
     mw_cmd_investigation_merge},
    {"investigation", "split", "ID ALARM...", "moves some of its alarms into a new one",
     MW_TAKES_WHY, mw_cmd_investigation_split},
    {"investigation", "claim", "ID", "says that it is yours", MW_TAKES_WHY,
     mw_cmd_investigation_claim},
    {"investigation", "comment", "ID TEXT...", "puts it into the journal", 0,
     mw_cmd_investigation_comment},
    {"investigation", "close", "ID", "ends the incident", MW_TAKES_WHY, mw_cmd_investigation_close},
    {"triage", "replay", "", "takes decisions again from what they stored; 1 when one differs",
     MW_TAKES_WINDOW | MW_TAKES_REPLAY, mw_cmd_triage_replay},
    {"topology", "import", "FILE", "calls that telemetry does not show", 0, mw_cmd_topology_import},
    {"investigation", "list", "", "newest first, by creation", MW_TAKES_PAGE | MW_TAKES_STATUS,
     mw_cmd_investigation_list},
    {"investigation", "show", "ID", "root cause, gaps, plan, alarms, journal", MW_TAKES_FORMAT,
     mw_cmd_investigation_show},
    {"investigation", "create", "", "start one by hand", MW_TAKES_INVESTIGATE,
     mw_cmd_investigation_create},
    {"investigation", "cancel", "ID", "stop one that has not ended", 0,
     mw_cmd_investigation_cancel},
    {"plan", "show", "ID", "the plan of an investigation, by its id", 0, mw_cmd_plan_show},
    {"plan", "approve", "ID", "the plan with the hash that you have read", MW_TAKES_JUDGE,
     mw_cmd_plan_approve},
    {"plan", "reject", "ID", "likewise", MW_TAKES_JUDGE, mw_cmd_plan_reject},
    {"deployment", "record", "", "tell of one, from a pipeline or by hand", MW_TAKES_RECORD,
     mw_cmd_deployment_record},
    {"deployment", "list", "", "newest first", MW_TAKES_PAGE | MW_TAKES_DEPLOYED,
     mw_cmd_deployment_list},
    {"deployment", "show", "ID", "one, and the version before it", 0, mw_cmd_deployment_show},
    {"webhook", "create", "", "a new door; shows its secret this once",
     MW_TAKES_DOOR | MW_TAKES_ALLOW | MW_TAKES_NAME, mw_cmd_webhook_create},
    {"webhook", "list", "", "all doors, without secrets", MW_TAKES_PAGE, mw_cmd_webhook_list},
    {"webhook", "show", "ID", "one door, without its secret", 0, mw_cmd_webhook_show},
    {"webhook", "rotate", "ID", "a new secret, shown this once", MW_TAKES_GRACE,
     mw_cmd_webhook_rotate},
    {"webhook", "enable", "ID", "open it again", 0, mw_cmd_webhook_enable},
    {"webhook", "disable", "ID", "close it: it answers like an unknown one", 0,
     mw_cmd_webhook_disable},
    {"webhook", "delete", "ID", "for ever; its alarms stay", MW_TAKES_YES, mw_cmd_webhook_delete},
    {"webhook", "test", "ID", "a signed test alarm through credentials and schema", MW_TAKES_TRIAL,
     mw_cmd_webhook_test},
    {"webhook", "send", "ID FILE", "signs a JSON file and posts it, as a vendor would; - is stdin",
     MW_TAKES_SECRET, mw_cmd_webhook_send},
    {"token", "create", "", "a new one; shows its value this once",
     MW_TAKES_TOKEN | MW_TAKES_ALLOW | MW_TAKES_NAME | MW_TAKES_SPACE, mw_cmd_token_create},
    {"token", "list", "", "newest first, without values", MW_TAKES_PAGE, mw_cmd_token_list},
    {"token", "show", "ID", "one token, without its value", 0, mw_cmd_token_show},
    {"token", "rotate", "ID", "a new value, shown this once; the old one is dead at once", 0,
     mw_cmd_token_rotate},
    {"token", "revoke", "ID", "for ever", 0, mw_cmd_token_revoke},
    {"space", "list", "", "all of them, with what they hold", 0, mw_cmd_space_list},
    {"space", "create", "NAME", "a new one, empty", 0, mw_cmd_space_create},
    {"space", "delete", "NAME", "with all it holds; asks for the name again", MW_TAKES_YES,
     mw_cmd_space_delete},
    {"space", "token-access", "on|off", "may tokens of the space read and operate", MW_TAKES_SPACE,
     mw_cmd_space_token_access},
    {"audit", "list", "", "newest first", MW_TAKES_PAGE, mw_cmd_audit_list},
    {"status", "", "", "what the daemon holds and does", 0, mw_cmd_status},
    {"doctor", "", "", "exit status 1 when something is wrong", 0, mw_cmd_doctor},
    {"export", "", "", "spans, log records and points, newest first, up to 1000 a line",
     MW_TAKES_WINDOW | MW_TAKES_SPACE | MW_TAKES_EXPORT, mw_cmd_export},
    {"import", "", "FILE...", "JSON lines or one document, gzip too; - is standard input",
     MW_TAKES_SPACE | MW_TAKES_OTLP, mw_cmd_import},
    {"demo", "", "", "sends it to the OTLP port, and says what to look at",
     MW_TAKES_SPACE | MW_TAKES_OTLP | MW_TAKES_STORY, mw_cmd_demo},
    {"completion", "", "SHELL", "print the script for bash, zsh or fish", 0, mw_cmd_completion},
};
const size_t mw_command_count = sizeof mw_commands / sizeof mw_commands[0];

const mw_noun *mw_noun_find(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < mw_noun_count; i++) {
        const mw_noun *noun = &mw_nouns[i];
        size_t own = strlen(noun->name);
        bool plural = len == own + 1 && text[own] == 's' && strncmp(text, noun->name, own) == 0;
        if (plural || strcmp(text, noun->name) == 0 ||
            (noun->alias[0] && strcmp(text, noun->alias) == 0))
            return noun;
    }
    return NULL;
}

const mw_command *mw_command_find(const char *noun, const char *verb)
{
    for (size_t i = 0; i < mw_command_count; i++)
        if (strcmp(mw_commands[i].noun, noun) == 0 && strcmp(mw_commands[i].verb, verb) == 0)
            return &mw_commands[i];
    return NULL;
}

#define HEAD_SIZE 40

/* "-f, --follow", "--limit N"; its length. */
static size_t option_head(const mw_cli_option *option, char out[HEAD_SIZE])
{
    char letter[8] = "";
    if (mw_cli_option_letter(option))
        snprintf(letter, sizeof letter, "-%c, ", mw_cli_option_letter(option));
    int len = snprintf(out, HEAD_SIZE, "%s--%s%s%s", letter, option->name,
                       option->value_name ? " " : "", option->value_name ? option->value_name : "");
    MW_ASSERT(len > 0 && len < HEAD_SIZE);
    return (size_t)len;
}

/* Options that any of the noun's commands takes, their help beneath each other. */
static void append_options(mw_buffer *out, uint64_t takes)
{
    char head[HEAD_SIZE];
    size_t width = 0;
    for (int shown = 0; shown < 2; shown++)
        for (size_t i = 0; i < mw_cli_option_count; i++) {
            const mw_cli_option *option = &mw_cli_options[i];
            if (option->takes && !(option->takes & takes))
                continue;
            size_t len = option_head(option, head);
            width = len > width ? len : width;
            if (shown)
                mw_buffer_appendf(out, "  %-*s  %s\n", (int)width, head, option->help);
        }
}

/* False for serve and check, which are not of this room. */
static bool has_commands(const mw_noun *noun)
{
    for (size_t i = 0; i < mw_command_count; i++)
        if (strcmp(mw_commands[i].noun, noun->name) == 0)
            return true;
    return false;
}

void mw_help_noun(mw_buffer *out, const mw_noun *noun)
{
    uint64_t takes = 0;
    bool ids = false;
    mw_buffer_appendf(out, "midwatch %s: %s\n\n", noun->name, noun->summary);
    for (size_t i = 0; i < mw_command_count; i++) {
        const mw_command *command = &mw_commands[i];
        char line[96];
        if (strcmp(command->noun, noun->name) != 0)
            continue;
        takes |= command->takes;
        ids |= strncmp(command->args, "ID", 2) == 0;
        snprintf(line, sizeof line, "midwatch %s%s%s%s%s", command->noun,
                 command->verb[0] ? " " : "", command->verb, command->args[0] ? " " : "",
                 command->args);
        mw_buffer_appendf(out, "  %-38s %s\n", line, command->summary);
    }
    if (!has_commands(noun)) {
        mw_buffer_appendf(out, "  midwatch %s --help tells its options\n", noun->name);
        return;
    }
    mw_buffer_appendf(out, "\nOptions:\n");
    append_options(out, takes);
    if (ids)
        mw_buffer_appendf(out, "\nAn ID may be cut to a prefix of at least 6 characters.\n");
}

size_t mw_append_verbs(mw_buffer *out, const mw_noun *noun)
{
    size_t before = out->len;
    for (size_t i = 0; i < mw_command_count; i++)
        if (strcmp(mw_commands[i].noun, noun->name) == 0 && mw_commands[i].verb[0])
            mw_buffer_appendf(out, "%s%s", out->len > before ? ", " : "", mw_commands[i].verb);
    return out->len - before;
}

/* What this version serves, a noun a line. */
static void append_nouns(mw_buffer *out)
{
    mw_buffer verbs;
    size_t width = 0;
    mw_buffer_init(&verbs, MW_MEM_BASE, 1024);
    for (size_t i = 0; i < mw_noun_count; i++) {
        size_t len = mw_append_verbs(&verbs, &mw_nouns[i]);
        width = len > width ? len : width;
    }
    for (size_t i = 0; i < mw_noun_count; i++) {
        if (!mw_nouns[i].summary)
            continue;
        mw_buffer_clear(&verbs);
        mw_append_verbs(&verbs, &mw_nouns[i]);
        mw_buffer_appendf(out, "  %-13s  %-*.*s  %s\n", mw_nouns[i].name, (int)width,
                          MW_SLICE_FMT(mw_buffer_slice(&verbs)), mw_nouns[i].summary);
    }
    mw_buffer_fini(&verbs);
}

void mw_help_all(mw_buffer *out)
{
    mw_buffer_appendf(out,
                      "midwatch %s: the night watch over AI agents\n\n"
                      "Usage: midwatch NOUN VERB [OPTIONS]\n\n",
                      MW_VERSION);
    append_nouns(out);
    mw_buffer_appendf(
        out,
        "\nmidwatch help NOUN tells more; midwatch --version the version.\n\n"
        "Where it connects, the first that is given: --server (with MIDWATCH_TOKEN), the socket\n"
        "in --data, MIDWATCH_SERVER, the socket in MIDWATCH_DATA, in your own data directory, in\n"
        "/var/lib/midwatch, then http://127.0.0.1:4319. For https, MIDWATCH_CA_FILE names the\n"
        "file of the CA; without it the system's CAs count.\n\n"
        "Exit status: 0 done, 1 failed, 2 usage, 4 not allowed, 5 not found, 6 conflict,\n"
        "7 unreachable or timed out.\n");
}
