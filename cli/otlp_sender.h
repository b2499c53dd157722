/* Sends OTLP/JSON requests to the daemon's OTLP/HTTP port, as an exporter would.
 *
 * One connection, one request at a time. Answers that may be tried again (429, 502, 503, 504,
 * nobody there any more) are, after what Retry-After says or a growing pause, for two minutes at
 * most. Private to the room; one thread.
 */
#ifndef MW_CLI_OTLP_SENDER_H
#define MW_CLI_OTLP_SENDER_H

#include "cli/cli_int.h"

/* The three signals, as bits. */
enum { MW_SENDS_TRACES = 1, MW_SENDS_LOGS = 2, MW_SENDS_METRICS = 4 };

/* What became of a request. Texts are the daemon's, to be neutralised. */
typedef struct mw_sent {
    int status;         /* MW_EXIT_DONE: taken, all or a part */
    uint64_t rejected;  /* items of a request that was taken */
    char message[1024]; /* why, or a warning; empty = in order */
    char field[128];    /* of a refusal; empty = unknown */
} mw_sent;

typedef struct mw_otlp_sender mw_otlp_sender;

/* To --otlp, else to the port that the daemon names. Complains itself. */
int mw_otlp_sender_open(mw_cli *cli, mw_otlp_sender **out);
void mw_otlp_sender_close(mw_otlp_sender *sender);
/* Where to: "http://127.0.0.1:4318". */
const char *mw_otlp_sender_url(const mw_otlp_sender *sender);
/* Sends the body to the path of one signal. MW_EXIT_UNREACHABLE is complained of; all else is told
 * in `out` alone. Returns out->status. */
int mw_otlp_send(mw_otlp_sender *sender, unsigned signal, mw_slice body, mw_sent *out);

/* Base URL of the OTLP/HTTP port: the host that was asked for the API, with the port that it names
 * as "host:port" in its status. Of a daemon on this machine the address that it names, 127.0.0.1
 * when it listens on all. False when that is none. Pure. */
bool mw_otlp_url(const char *api, bool local, const char *endpoint, char *out, size_t size);

#endif
