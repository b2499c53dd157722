/* demo: a small story through the real OTLP port, and what to look at then. */
#include "cli/demo.h"
#include "cli/otlp_sender.h"

/* One service's spans of all turns are some ten kilobytes. */
#define REQUEST_MAX ((size_t)1 << 20)

typedef struct demo_request {
    unsigned signal;
    void (*write)(mw_demo_run *run, size_t service, mw_buffer *out);
} demo_request;

/* In this order: points count what spans were written. */
static const demo_request requests[] = {{MW_SENDS_TRACES, mw_demo_write_spans},
                                        {MW_SENDS_LOGS, mw_demo_write_logs},
                                        {MW_SENDS_METRICS, mw_demo_write_points}};
#define REQUEST_COUNT (sizeof requests / sizeof requests[0])

static int send_request(mw_otlp_sender *sender, mw_demo_run *run, const demo_request *request,
                        size_t service)
{
    mw_buffer text;
    mw_sent sent;
    mw_buffer_init(&text, MW_MEM_BASE, REQUEST_MAX);
    request->write(run, service, &text);
    MW_ASSERT(!text.err);
    int status = mw_otlp_send(sender, request->signal, mw_buffer_slice(&text), &sent);
    mw_buffer_fini(&text);
    if (status && sent.message[0])
        return mw_complain(status, mw_otlp_sender_url(sender), sent.message, "");
    if (!status && sent.rejected)
        return mw_complain(MW_EXIT_FAILED, mw_otlp_sender_url(sender), sent.message, "");
    return status;
}

static void write_hints(const mw_cli *cli, const mw_demo_run *run, mw_buffer *out)
{
    char session[MW_CELL_SIZE], trace[2 * MW_TRACE_ID_SIZE + 1], command[160];
    mw_demo_session_id(run, 0, session);
    mw_hex_encode(run->trace_ids[2], MW_TRACE_ID_SIZE, trace);
    mw_buffer_appendf(
        out,
        "A support agent and its two services, the last half hour: %d sessions, %d traces,\n"
        "%llu spans, %llu log records, %llu points. Look at\n\n",
        MW_DEMO_SESSIONS, MW_DEMO_TURNS, (unsigned long long)run->spans,
        (unsigned long long)run->logs, (unsigned long long)run->points);
    mw_append_command(cli, out, "session list");
    snprintf(command, sizeof command, "session show %s", session);
    mw_append_command(cli, out, command);
    snprintf(command, sizeof command, "trace show %.12s", trace);
    mw_append_command(cli, out, command);
    mw_append_command(cli, out, "span list --errors");
    mw_append_command(cli, out, "log list --severity WARN");
    mw_append_command(cli, out, "topology show");
    mw_append_command(cli, out, "metric show orders.refunds.waiting");
}

static void write_json(const mw_demo_run *run, mw_buffer *out)
{
    mw_buffer_appendf(out,
                      "{\"sessions\":%d,\"traces\":%d,\"spans\":%llu,\"logs\":%llu,"
                      "\"points\":%llu,\"session_ids\":[",
                      MW_DEMO_SESSIONS, MW_DEMO_TURNS, (unsigned long long)run->spans,
                      (unsigned long long)run->logs, (unsigned long long)run->points);
    for (size_t i = 0; i < MW_DEMO_SESSIONS; i++) {
        char session[MW_CELL_SIZE];
        mw_demo_session_id(run, i, session);
        mw_buffer_appendf(out, "%s\"%s\"", i ? "," : "", session);
    }
    mw_buffer_appendf(out, "]}\n");
}

int mw_cmd_demo(mw_cli *cli)
{
    mw_otlp_sender *sender;
    mw_demo_run run;
    mw_buffer text;
    if (cli->incident && cli->space && strcmp(cli->space, "default") != 0)
        return mw_complain(MW_EXIT_USAGE, "--space",
                           "alarms and investigations are of the space default alone",
                           "leave --space out with --incident");
    if (cli->incident)
        return mw_demo_incident(cli);
    int status = mw_otlp_sender_open(cli, &sender);
    if (status)
        return status;
    mw_demo_run_init(&run, cli->now_ns);
    for (size_t i = 0; i < REQUEST_COUNT && !status; i++)
        for (size_t service = 0; service < MW_DEMO_SERVICES && !status; service++)
            status = send_request(sender, &run, &requests[i], service);
    mw_otlp_sender_close(sender);
    if (status)
        return status;
    mw_buffer_init(&text, MW_MEM_BASE, REQUEST_MAX);
    if (cli->json)
        write_json(&run, &text);
    else
        write_hints(cli, &run, &text);
    status = mw_print(&text);
    mw_buffer_fini(&text);
    return status;
}
