/* The story that `midwatch demo` loads: a support agent and the two services that it calls.
 *
 * Data alone (demo_story.c): turns of conversations, each with the shape of its trace; demo_write.c
 * makes OTLP/JSON of it (demo_otlp.h), cmd_demo.c sends that. Times are relative, so that a demo is
 * always news. Private to the room.
 */
#ifndef MW_CLI_DEMO_H
#define MW_CLI_DEMO_H

#include "cli/cli_int.h"
#include "lib/base/id.h"

/* Attributes are text: "key=text;key:=number", and values that stand for the turn's own: $session,
 * $user, $question, $answer. Values hold no ";". */
typedef struct mw_demo_span {
    uint8_t id, parent; /* within the trace, from 1; 0 = root */
    uint8_t service;    /* in mw_demo_services */
    uint8_t kind;       /* SpanKind */
    const char *name;
    int32_t after_ms, took_ms; /* since the turn began */
    const char *attributes;
    const char *error; /* NULL = none; else the status message and an exception */
} mw_demo_span;

typedef struct mw_demo_log {
    uint8_t span; /* of the same shape */
    uint8_t severity;
    int32_t after_ms;  /* since the turn began */
    const char *event; /* NULL = a plain record */
    const char *body;
    const char *attributes;
} mw_demo_log;

typedef struct mw_demo_shape {
    const mw_demo_span *spans; /* ends with id 0 */
    const mw_demo_log *logs;   /* ends with a body of NULL */
} mw_demo_shape;

typedef struct mw_demo_turn {
    uint8_t session;  /* in mw_demo_sessions */
    uint8_t shape;    /* in mw_demo_shapes */
    int32_t before_s; /* before now */
    const char *question, *answer;
} mw_demo_turn;

typedef struct mw_demo_session {
    const char *suffix, *user;
} mw_demo_session;

typedef struct mw_demo_service {
    const char *name, *resource; /* attributes */
} mw_demo_service;

/* A number a service reports, oldest first, the last one now. */
typedef struct mw_demo_series {
    uint8_t service;
    bool is_sum; /* cumulative and monotonic; else a gauge */
    const char *name, *unit, *description;
    int32_t every_s;
    const int64_t *values;
    size_t count;
} mw_demo_series;

#define MW_DEMO_SERVICES 3
#define MW_DEMO_SESSIONS 3
#define MW_DEMO_TURNS 9
#define MW_DEMO_SERIES 2
extern const mw_demo_service mw_demo_services[MW_DEMO_SERVICES];
extern const mw_demo_session mw_demo_sessions[MW_DEMO_SESSIONS];
extern const mw_demo_shape mw_demo_shapes[];
extern const mw_demo_turn mw_demo_turns[MW_DEMO_TURNS];
extern const mw_demo_series mw_demo_series_list[MW_DEMO_SERIES];
/* Of the service that has the agent. */
#define MW_DEMO_AGENT_SERVICE 0

/* What makes one demo differ from another: ids and times. */
typedef struct mw_demo_run {
    char name[7]; /* of its sessions: "demo-4f2a91-1" */
    uint8_t trace_ids[MW_DEMO_TURNS][MW_TRACE_ID_SIZE];
    uint8_t span_ids[MW_DEMO_TURNS]
                    [MW_SPAN_ID_SIZE]; /* the span's own number goes into the last byte */
    int64_t now_ns;
    /* counted while spans are written; tokens: in, out */
    uint64_t spans, logs, points;
    uint64_t calls, tokens[2], buckets[2][4];
} mw_demo_run;

void mw_demo_run_init(mw_demo_run *run, int64_t now_ns);
void mw_demo_session_id(const mw_demo_run *run, size_t session, char out[MW_CELL_SIZE]);
/* One Export*ServiceRequest each; spans of all services come before the points, which count
 * them. */
void mw_demo_write_spans(mw_demo_run *run, size_t service, mw_buffer *out);
void mw_demo_write_logs(mw_demo_run *run, size_t service, mw_buffer *out);
void mw_demo_write_points(mw_demo_run *run, size_t service, mw_buffer *out);

/* demo_incident.c: a deployment, its failures and three alarms. The exit status. */
int mw_demo_incident(mw_cli *cli);

#endif
