/* Who sends, and what was understood of it; who was refused, and why: for `midwatch doctor`.
 *
 * Two tables of fixed size. A sender is a service with its SDK, on one transport, for one signal,
 * into one space. A refusal is told by where it was sent, by whom (user-agent) and with which
 * status; whose telemetry it held cannot be told of bytes that were not read. When a table is full
 * the row that was silent longest makes room, and is counted as forgotten. Nothing is kept over a
 * restart.
 *
 * A tally is what one request says of its senders, taken while it is read; it goes into the table
 * once, with the answer. Any thread: one lock, held for some hundred nanoseconds a request and for
 * a copy of the table by the one who asks. Texts are peers', cut at a character.
 */
#ifndef MW_COLLECTOR_SENDERS_H
#define MW_COLLECTOR_SENDERS_H

#include <pthread.h>

#include "collector/resolve.h"
#include "collector/status_body.h"
#include "lib/net/net.h"

/* A fleet that a person sets up by hand has some dozens; both tables together stay below 300 KiB.
 */
#define MW_SENDERS_MAX 256u
#define MW_REFUSALS_MAX 64u
/* Senders told apart in one request: collectors batch a handful of services. */
#define MW_TALLIES_MAX 8u
/* Resources of one request that are looked at; a request of a hundred thousand would pay for it. */
#define MW_TALLY_LOOKS_MAX 64u

typedef enum mw_sender_transport {
    MW_SENDER_GRPC,
    MW_SENDER_HTTP_PROTOBUF,
    MW_SENDER_HTTP_JSON
} mw_sender_transport;
/* "grpc", "http/protobuf", "http/json": as OTEL_EXPORTER_OTLP_PROTOCOL has them. */
const char *mw_sender_transport_name(mw_sender_transport transport);

/* What was understood of one thing: items that have it, and the ranks of the keys that won. */
typedef struct mw_understood {
    uint64_t items;
    uint32_t ranks; /* bit per rank */
} mw_understood;

typedef enum mw_understood_what {
    MW_UNDERSTOOD_SESSION,
    MW_UNDERSTOOD_AGENT,
    MW_UNDERSTOOD_MODEL,  /* spans alone */
    MW_UNDERSTOOD_TOKENS, /* spans alone */
    MW_UNDERSTOOD_COUNT
} mw_understood_what;
/* "session", "agent", "model", "tokens". */
const char *mw_understood_name(mw_understood_what what);
static inline mw_resolve_field mw_understood_field(mw_understood_what what)
{
    static const uint8_t fields[] = {MW_RESOLVE_SESSION, MW_RESOLVE_AGENT, MW_RESOLVE_MODEL,
                                     MW_RESOLVE_INPUT};
    return (mw_resolve_field)fields[what];
}

/* The slices point into the request. */
typedef struct mw_sender_tally {
    mw_slice service;  /* service.name as sent; empty = none */
    mw_slice language; /* telemetry.sdk.language */
    mw_slice version;  /* telemetry.sdk.version */
    mw_slice scope;    /* name of the first scope with an item */
    uint64_t items, bytes;
    uint64_t odd_times;
    uint64_t gen_ai, model_calls; /* spans of agents, models, tools; of these, of models */
    mw_understood understood[MW_UNDERSTOOD_COUNT];
} mw_sender_tally;

typedef struct mw_sender_tallies {
    mw_sender_tally list[MW_TALLIES_MAX];
    size_t count;
    size_t looks;
    uint64_t unlisted; /* items of further senders */
} mw_sender_tallies;

/* The tally of items below this resource; NULL when the request has shown too many. */
mw_sender_tally *mw_sender_tally_of(mw_sender_tallies *tallies, mw_slice resource);
/* The name of a scope. Pure. */
mw_slice mw_sender_scope_name(mw_slice scope);
/* Copies what the tallies point to. NULL when memory is short: then nothing is told of this one. */
mw_sender_tallies *mw_sender_tallies_keep(const mw_sender_tallies *tallies, mw_arena *arena);

#define MW_SENDER_TEXT_SIZE 128
#define MW_SENDER_SHORT_SIZE 64
#define MW_REFUSAL_TEXT_SIZE 256

typedef struct mw_sender_row {
    char service[MW_SENDER_TEXT_SIZE];
    char language[MW_SENDER_SHORT_SIZE], version[MW_SENDER_SHORT_SIZE];
    char space[MW_SENDER_SHORT_SIZE];
    char scope[MW_SENDER_TEXT_SIZE];      /* the last one */
    char user_agent[MW_SENDER_TEXT_SIZE]; /* the last one */
    char compression[16];                 /* the last one; empty = none */
    mw_sender_transport transport;
    mw_signal signal;
    uint64_t first_ns, last_ns; /* wall clock */
    uint64_t requests, repeats, items, bytes, odd_times, gen_ai, model_calls;
    uint64_t refused[MW_REFUSE_COUNT];
    mw_understood understood[MW_UNDERSTOOD_COUNT];
} mw_sender_row;

typedef struct mw_refusal_row {
    char user_agent[MW_SENDER_TEXT_SIZE], path[MW_SENDER_TEXT_SIZE];
    char content_type[MW_SENDER_SHORT_SIZE], encoding[MW_SENDER_SHORT_SIZE]; /* the last one's */
    char message[MW_REFUSAL_TEXT_SIZE];                                      /* the last one's */
    char peer[MW_SENDER_SHORT_SIZE];                                         /* the last one's */
    mw_port port;
    bool grpc;
    unsigned status; /* of HTTP */
    uint64_t first_ns, last_ns, requests;
} mw_refusal_row;

typedef struct mw_senders {
    pthread_mutex_t lock;
    uint64_t hashes[MW_SENDERS_MAX], refusal_hashes[MW_REFUSALS_MAX];
    mw_sender_row rows[MW_SENDERS_MAX];
    mw_refusal_row refusals[MW_REFUSALS_MAX];
    uint64_t seed;
    size_t count, refusal_count;
    uint64_t forgotten, refusals_forgotten, unlisted;
} mw_senders;

void mw_senders_init(mw_senders *senders, uint64_t seed);
void mw_senders_fini(mw_senders *senders);

/* What stands around a request's tallies. */
typedef struct mw_sender_request {
    mw_slice space, user_agent, compression;
    mw_sender_transport transport;
    mw_signal signal;
    bool repeat;                /* nothing more was stored */
    const mw_scan_result *scan; /* told of a request with one sender: refusals name no resource */
    uint64_t now_ns;
} mw_sender_request;

void mw_senders_note(mw_senders *senders, const mw_sender_tallies *tallies,
                     const mw_sender_request *request);
void mw_senders_note_refusal(mw_senders *senders, const mw_request *request, unsigned status,
                             mw_slice message, uint64_t now_ns);

/* Both tables as they are now, without its lock's being part of it; to be freed. NULL: no memory.
 */
typedef struct mw_senders_view {
    size_t count, refusal_count;
    uint64_t forgotten, refusals_forgotten, unlisted;
    mw_sender_row rows[MW_SENDERS_MAX];
    mw_refusal_row refusals[MW_REFUSALS_MAX];
} mw_senders_view;
mw_senders_view *mw_senders_read(mw_senders *senders);
void mw_senders_view_free(mw_senders_view *view);

#endif
