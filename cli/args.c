/* The command line: NOUN VERB, options in any place after the noun, "--" ends them. */
#include <stddef.h>

#include "cli/cli_int.h"

#define FIELD(member) offsetof(mw_cli, member)

const mw_cli_option mw_cli_options[] = {
    {"limit", "N", FIELD(limit), MW_TAKES_PAGE, "rows, 1 to 1000 (100)", "limit"},
    {"cursor", "CURSOR", FIELD(cursor), MW_TAKES_PAGE,
     "the page after the one that gave this cursor", "cursor"},
    {"since", "TIME", FIELD(since), MW_TAKES_PAGE | MW_TAKES_WINDOW,
     "from this time on: RFC 3339, a date (UTC), an age (15m, 2h, 3d), or unix time in s, ms or ns",
     "since"},
    {"until", "TIME", FIELD(until), MW_TAKES_PAGE | MW_TAKES_WINDOW, "before this time", "until"},
    {"status", "STATUS", FIELD(status), MW_TAKES_STATUS, "of this status only", "status"},
    {"service", "NAME", FIELD(service),
     MW_TAKES_SOURCE | MW_TAKES_WHERE | MW_TAKES_RECORD | MW_TAKES_INVESTIGATE | MW_TAKES_DEPLOYED,
     "of this service only", "service"},
    {"session", "ID", FIELD(session), MW_TAKES_SOURCE, "of this session only, by its whole id",
     "session"},
    {"trace", "ID", FIELD(trace), MW_TAKES_LOG, "of this trace only; a prefix of 6 digits will do",
     "trace"},
    {"span", "ID", FIELD(span), MW_TAKES_LOG, "of this span only, all 16 digits", "span"},
    {"severity", "LEVEL", FIELD(severity), MW_TAKES_LOG,
     "at least this: TRACE, DEBUG, INFO, WARN, ERROR, FATAL or 0 to 24", "severity"},
    {"text", "TEXT", FIELD(text), MW_TAKES_LOG | MW_TAKES_WHERE,
     "with this in the body, or a span's name; only A to Z match in either case", "text"},
    {"pattern", "RE", FIELD(pattern), MW_TAKES_LOG,
     "with a match of this PCRE2 in the body; (?i) in front: in either case", "pattern"},
    {"event", "NAME", FIELD(event), MW_TAKES_LOG, "events of this name only", "event"},
    {"agent", "NAME", FIELD(agent), MW_TAKES_ITEM | MW_TAKES_WHERE, "of this agent only", "agent"},
    {"model", "NAME", FIELD(model), MW_TAKES_SPAN | MW_TAKES_WHERE, "with a call of this model",
     "model"},
    {"tool", "NAME", FIELD(tool), MW_TAKES_SPAN | MW_TAKES_WHERE, "with a call of this tool",
     "tool"},
    {"user", "ID", FIELD(user), MW_TAKES_SPAN | MW_TAKES_WHERE, "of this user only", "user"},
    {"attribute", "KEY=VALUE", FIELD(attributes), MW_TAKES_ITEM | MW_TAKES_WHERE,
     "with this attribute, its own or its resource's or scope's; up to 8 times", "attribute"},
    {"errors", NULL, FIELD(errors), MW_TAKES_SPAN | MW_TAKES_WHERE, "failed ones only", "errors"},
    {"duration-min-ms", "MS", FIELD(duration_min_ms), MW_TAKES_SPAN | MW_TAKES_WHERE,
     "at least this long", "duration_min_ms"},
    {"duration-max-ms", "MS", FIELD(duration_max_ms), MW_TAKES_SPAN | MW_TAKES_WHERE,
     "at most this long", "duration_max_ms"},
    {"tokens-min", "N", FIELD(tokens_min), MW_TAKES_WHERE, "at least so many tokens in and out",
     "tokens_min"},
    {"log-group", "NAME", FIELD(log_group), MW_TAKES_LOG, "sent for this CloudWatch log group",
     "log_group"},
    {"log-stream", "NAME", FIELD(log_stream), MW_TAKES_LOG, "sent for this CloudWatch log stream",
     "log_stream"},
    {"namespace", "NAME", FIELD(name_space), MW_TAKES_METRIC, "sent for this CloudWatch namespace",
     "namespace"},
    {"follow", NULL, FIELD(follow), MW_TAKES_FOLLOW,
     "print what comes from now on (with --since: from then on), until Ctrl-C", NULL},
    {"watch", NULL, FIELD(watch), MW_TAKES_WATCH,
     "the newest, then each that is new or changes, until Ctrl-C", NULL},
    {"name", "NAME", FIELD(name), MW_TAKES_NAME, "what people call it; spans: of this name only",
     "name"},
    {"source", "SOURCE", FIELD(source), MW_TAKES_DOOR,
     "who sends: devops-agent, alertmanager, generic", NULL},
    {"auth", "KIND", FIELD(auth), MW_TAKES_DOOR,
     "how it proves who it is: hmac or bearer (what the source can do)", NULL},
    {"mapping", "FILE", FIELD(mapping), MW_TAKES_DOOR,
     "where a generic sender's body holds what an alarm needs, as JSON", NULL},
    {"rate-limit", "N", FIELD(rate_limit), MW_TAKES_DOOR,
     "deliveries a minute that are taken (unlimited)", NULL},
    {"allow", "CIDR,...", FIELD(allow), MW_TAKES_ALLOW,
     "only from these addresses: 192.0.2.0/24,2001:db8::/32 (from everywhere)", NULL},
    {"grace", "DURATION", FIELD(grace), MW_TAKES_GRACE,
     "how long the old secret stays good, to 24h (0)", NULL},
    {"investigate", NULL, FIELD(investigate), MW_TAKES_TRIAL,
     "make it a real alarm, that triage decides and may investigate", NULL},
    {"secret-file", "FILE", FIELD(secret_file), MW_TAKES_SECRET,
     "the webhook's secret (else MIDWATCH_WEBHOOK_SECRET)", NULL},
    {"scope", "SCOPE,...", FIELD(scope), MW_TAKES_TOKEN, "ingest, read, operate (holds read)",
     NULL},
    {"expires", "DAYS", FIELD(expires), MW_TAKES_TOKEN,
     "1 to 60, as 30 or 30d; a token for ingest alone may do without", NULL},
    {"version", "VERSION", FIELD(version), MW_TAKES_RECORD, "what was deployed", NULL},
    {"region", "REGION", FIELD(region), MW_TAKES_RECORD, "where", NULL},
    {"time", "TIME", FIELD(time), MW_TAKES_RECORD, "when, as for --since (now)", NULL},
    {"commit", "COMMIT", FIELD(commit), MW_TAKES_RECORD, "of the source", NULL},
    {"at", "TIME", FIELD(at), MW_TAKES_INVESTIGATE, "what time to look at, as for --since (now)",
     NULL},
    {"title", "TEXT", FIELD(title), MW_TAKES_INVESTIGATE, "what people call it", NULL},
    {"hash", "HASH", FIELD(hash), MW_TAKES_JUDGE, "of the plan that you have read", NULL},
    {"comment", "TEXT", FIELD(comment), MW_TAKES_JUDGE, "kept with the judgement", NULL},
    {"incident", NULL, FIELD(incident), MW_TAKES_STORY,
     "a deployment, its failures and three alarms instead", NULL},
    {"format", "FORMAT", FIELD(format), MW_TAKES_FORMAT,
     "otlp: as it was sent, in OTLP/JSON; json: as --json; markdown: as a document", "format"},
    {"signal", "SIGNAL", FIELD(signal), MW_TAKES_EXPORT, "traces, logs or metrics alone", NULL},
    {"output", "FILE", FIELD(output), MW_TAKES_EXPORT,
     "write here, gzip when it ends in .gz (standard output)", NULL},
    {"force", NULL, FIELD(force), MW_TAKES_EXPORT, "write over a file that is there", NULL},
    {"otlp", "URL", FIELD(otlp), MW_TAKES_OTLP,
     "send to this OTLP/HTTP port (the one of the daemon that answers)", NULL},
    {"space", "NAME", FIELD(space), MW_TAKES_SPACE, "of this space (default)", "space"},
    {"rows", "N", FIELD(rows), MW_TAKES_TREE, "lines of the tree, 1 to 10000 (1000)", "rows"},
    {"unfold", NULL, FIELD(unfold), MW_TAKES_TREE, "each of the spans that are alike by itself",
     "unfold"},
    {"yes", NULL, FIELD(yes), MW_TAKES_YES, "delete without asking", NULL},
    {"why", "TEXT", FIELD(why), MW_TAKES_WHY, "kept with the change", NULL},
    {"version-seen", "VERSION", FIELD(version_seen), MW_TAKES_WHY,
     "only if it is still as it was: its version in --json", NULL},
    {"alarm", "ID", FIELD(alarm), MW_TAKES_REPLAY, "of this alarm only", NULL},
    {"json", NULL, FIELD(json), 0, "print the API's answer as it is", NULL},
    {"data", "DIR", FIELD(data), 0, "data directory of the daemon to ask", NULL},
    {"server", "URL", FIELD(server), 0, "daemon to ask, with MIDWATCH_TOKEN if set", NULL},
    {"help", NULL, FIELD(help), 0, "this help", NULL},
};
const size_t mw_cli_option_count = sizeof mw_cli_options / sizeof mw_cli_options[0];

typedef struct scanner {
    mw_cli *cli;
    int argc, next;
    char **argv;
    mw_buffer *error;
} scanner;

static int usage(scanner *scan, const char *what, const char *why, const char *hint)
{
    mw_buffer_appendf(scan->error, "%s%s%s; %s", what, what[0] ? ": " : "", why, hint);
    return MW_EXIT_USAGE;
}

static const mw_cli_option *find_option(mw_slice name)
{
    for (size_t i = 0; i < mw_cli_option_count; i++)
        if (mw_slice_equal(name, mw_slice_of(mw_cli_options[i].name)))
            return &mw_cli_options[i];
    return NULL;
}

bool mw_cli_option_repeats(const mw_cli_option *option)
{
    return option->offset == FIELD(attributes);
}

char mw_cli_option_letter(const mw_cli_option *option)
{
    static const char *const names[] = {"follow", "help", "output", "watch"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(option->name, names[i]) == 0)
            return names[i][0];
    return '\0';
}

/* "-f" is "--follow"; NULL when no option has that letter. */
static const mw_cli_option *find_letter(const char *arg)
{
    for (size_t i = 0; i < mw_cli_option_count; i++)
        if (arg[1] && !arg[2] && arg[1] == mw_cli_option_letter(&mw_cli_options[i]))
            return &mw_cli_options[i];
    return NULL;
}

static uint64_t bit_of(const mw_cli_option *option)
{
    _Static_assert(sizeof mw_cli_options / sizeof mw_cli_options[0] <= 64, "one bit an option");
    return UINT64_C(1) << (option - mw_cli_options);
}

/* An option may belong to several groups; a command takes it that has one of them. */
static int check_options(scanner *scan, const mw_noun *noun, uint64_t used)
{
    const mw_command *command = scan->cli->command;
    for (size_t i = 0; i < mw_cli_option_count; i++) {
        const mw_cli_option *option = &mw_cli_options[i];
        if (!(used >> i & 1) || !option->takes || option->takes & command->takes)
            continue;
        mw_buffer_appendf(scan->error, "--%s: not an option of %s%s%s; see midwatch help %s",
                          option->name, command->noun, command->verb[0] ? " " : "", command->verb,
                          noun->name);
        return MW_EXIT_USAGE;
    }
    return MW_EXIT_DONE;
}

static int take_attribute(scanner *scan, const char *value)
{
    const char **attributes = scan->cli->attributes;
    size_t count = 0;
    while (attributes[count])
        count++;
    if (!strchr(value, '=') || value[0] == '=')
        return usage(scan, "--attribute", "not a key and a value with = between them",
                     "for example --attribute http.route=/orders");
    if (count == MW_CLI_ATTRIBUTES_MAX)
        return usage(scan, "--attribute", "given too often", "give at most 8");
    attributes[count] = value;
    return MW_EXIT_DONE;
}

static int take_value(scanner *scan, const mw_cli_option *option, const char *arg,
                      const char *value)
{
    if (!value && scan->next < scan->argc)
        value = scan->argv[scan->next++];
    if (!value || !value[0])
        return usage(scan, arg, "a value is missing", "give it after a blank or =");
    if (mw_cli_option_repeats(option))
        return take_attribute(scan, value);
    *(const char **)(void *)((char *)scan->cli + option->offset) = value;
    return MW_EXIT_DONE;
}

static int take_letter(scanner *scan, const char *arg, uint64_t *used)
{
    const mw_cli_option *option = find_letter(arg);
    if (!option)
        return usage(scan, arg, "no such option",
                     "see midwatch help; -- before it makes it an argument");
    *used |= bit_of(option);
    if (option->value_name)
        return take_value(scan, option, arg, NULL);
    *(bool *)(void *)((char *)scan->cli + option->offset) = true;
    return MW_EXIT_DONE;
}

/* Whether the command takes the option is asked at the end: it may stand before the verb. */
static int take_option(scanner *scan, const char *arg, uint64_t *used)
{
    mw_slice text = mw_slice_of(arg + 2);
    size_t equals = mw_slice_find_byte(text, '=');
    const mw_cli_option *option = find_option(mw_slice_first(text, equals));
    if (!option)
        return usage(scan, arg, "no such option", "see midwatch help");
    *used |= bit_of(option);
    if (option->value_name)
        return take_value(scan, option, arg, equals < text.len ? arg + 2 + equals + 1 : NULL);
    if (equals < text.len)
        return usage(scan, arg, "takes no value", "leave out what follows the =");
    *(bool *)(void *)((char *)scan->cli + option->offset) = true;
    return MW_EXIT_DONE;
}

static int take_word(scanner *scan, const char *arg)
{
    if (scan->cli->arg_count == MW_CLI_ARGS_MAX)
        return usage(scan, arg, "too many arguments", "see midwatch help");
    if (!arg[0])
        return usage(scan, "''", "an empty argument", "is a variable unset?");
    scan->cli->args[scan->cli->arg_count++] = arg;
    return MW_EXIT_DONE;
}

static int scan_all(scanner *scan, uint64_t *used)
{
    bool words_only = false;
    while (scan->next < scan->argc) {
        const char *arg = scan->argv[scan->next++];
        int status;
        if (!words_only && strcmp(arg, "--") == 0) {
            words_only = true;
            continue;
        }
        if (!words_only && arg[0] == '-' && arg[1] == '-')
            status = take_option(scan, arg, used);
        else if (!words_only && arg[0] == '-' && arg[1])
            status = take_letter(scan, arg, used);
        else
            status = take_word(scan, arg);
        if (status)
            return status;
    }
    return MW_EXIT_DONE;
}

/* Takes the first `count` words off. */
static void drop_words(mw_cli *cli, size_t count)
{
    MW_ASSERT(count <= cli->arg_count);
    cli->arg_count -= count;
    memmove(cli->args, cli->args + count, cli->arg_count * sizeof cli->args[0]);
}

static int choose_command(scanner *scan, const mw_noun *noun)
{
    mw_cli *cli = scan->cli;
    const mw_command *alone = mw_command_find(noun->name, "");
    if (alone) {
        cli->command = alone;
        drop_words(cli, 1);
        return MW_EXIT_DONE;
    }
    if (cli->help)
        return MW_EXIT_DONE;
    cli->command = cli->arg_count < 2 ? NULL : mw_command_find(noun->name, cli->args[1]);
    if (!cli->command) {
        mw_buffer_appendf(scan->error, "%s%s%s: %s; it has ", noun->name,
                          cli->arg_count < 2 ? "" : " ", cli->arg_count < 2 ? "" : cli->args[1],
                          cli->arg_count < 2 ? "say what to do" : "no such verb");
        mw_append_verbs(scan->error, noun);
        mw_buffer_appendf(scan->error, ", see midwatch help %s", noun->name);
        return MW_EXIT_USAGE;
    }
    drop_words(cli, 2);
    return MW_EXIT_DONE;
}

/* Blanks separate them. */
static size_t count_words(const char *args)
{
    size_t count = args[0] != '\0';
    for (; *args; args++)
        count += *args == ' ';
    return count;
}

static int check_words(scanner *scan)
{
    const mw_cli *cli = scan->cli;
    const mw_command *command = cli->command;
    size_t wanted = count_words(command->args);
    bool many = mw_slice_ends(mw_slice_of(command->args), MW_SLICE("..."));
    if (cli->arg_count < wanted) {
        mw_buffer_appendf(scan->error, "%s%s%s: an argument is missing; midwatch %s%s%s %s",
                          command->noun, command->verb[0] ? " " : "", command->verb, command->noun,
                          command->verb[0] ? " " : "", command->verb, command->args);
        return MW_EXIT_USAGE;
    }
    if (cli->arg_count > wanted && !many)
        return usage(scan, cli->args[wanted], "not expected here", "see midwatch help");
    return MW_EXIT_DONE;
}

/* What is shown as a document is never asked of the API in another form. */
static int check_document(scanner *scan)
{
    mw_cli *cli = scan->cli;
    const char *format = cli->format;
    cli->format = NULL;
    cli->markdown = format && strcmp(format, "markdown") == 0;
    if (format && !cli->markdown && strcmp(format, "json") != 0)
        return usage(scan, format, "no such format", "--format takes markdown or json");
    if (cli->markdown && cli->json)
        return usage(scan, "--format markdown", "not together with --json",
                     "leave one of them out");
    cli->json |= format && !cli->markdown;
    return MW_EXIT_DONE;
}

/* Each of the two says what is printed. */
static int check_format(scanner *scan)
{
    mw_cli *cli = scan->cli;
    if (cli->command->run == mw_cmd_investigation_show)
        return check_document(scan);
    bool otlp = cli->format && strcmp(cli->format, "otlp") == 0;
    if (cli->format && !otlp && strcmp(cli->format, "json") != 0)
        return usage(scan, cli->format, "no such format", "--format takes otlp or json");
    if (otlp && (cli->json || cli->follow))
        return usage(scan, "--format otlp", "not together with --json or --follow",
                     "leave one of them out");
    cli->json |= cli->format && !otlp;
    return MW_EXIT_DONE;
}

static const mw_noun *noun_of(scanner *scan)
{
    mw_cli *cli = scan->cli;
    if (cli->arg_count && strcmp(cli->args[0], "help") == 0) {
        cli->help = true;
        drop_words(cli, 1);
    }
    return cli->arg_count ? mw_noun_find(cli->args[0]) : NULL;
}

int mw_cli_parse(mw_cli *cli, int argc, char **argv, const mw_noun **noun, mw_buffer *error)
{
    scanner scan = {cli, argc, 1, argv, error};
    uint64_t used = 0;
    int status = scan_all(&scan, &used);
    *noun = NULL;
    if (status)
        return status;
    *noun = noun_of(&scan);
    if (!*noun && cli->arg_count)
        return usage(&scan, cli->args[0], "no such command", "see midwatch help");
    if (!*noun)
        return cli->help ? MW_EXIT_DONE : usage(&scan, "", "say what to do", "see midwatch help");
    if (!(*noun)->summary)
        return usage(&scan, (*noun)->name, "not available in this version",
                     "see midwatch help for what is");
    status = choose_command(&scan, *noun);
    if (status || cli->help)
        return status;
    status = check_words(&scan);
    if (!status)
        status = check_options(&scan, *noun, used);
    return status ? status : check_format(&scan);
}
