/* The table of options: the command line is read by it (args.c), and help, completion and the
 * questions to the API are written from it. */
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
_Static_assert(sizeof mw_cli_options / sizeof mw_cli_options[0] <= 64, "args.c: a bit each");

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
