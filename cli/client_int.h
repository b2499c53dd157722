/* What the two clients of this room share: the one of the API (client.c) and the one that sends
 * OTLP (otlp_sender.c). Private to them.
 */
#ifndef MW_CLI_CLIENT_INT_H
#define MW_CLI_CLIENT_INT_H

#include <curl/curl.h>
#include <sys/un.h>

#include "cli/cli_int.h"

typedef struct mw_target {
    char base[MW_CLI_PATH_MAX];
    char socket[sizeof((struct sockaddr_un *)0)->sun_path]; /* empty = TCP */
    bool loopback;
} mw_target;

/* The daemon to ask (DESIGN 4.2's order). The exit status; complains itself. */
int mw_target_choose(const mw_cli *cli, mw_target *to);
/* A URL that somebody gave; `what` names the option. Likewise. */
int mw_target_use_url(mw_target *to, const char *what, const char *url);
/* What every request has: time-outs but for the whole, certificates, the way to the target. */
void mw_target_prepare(const mw_target *to, CURL *curl);
/* Accept and, where it is set, MIDWATCH_TOKEN. The caller's to free. */
struct curl_slist *mw_target_headers(const char *accept);
/* Why a request got no answer: one line on stderr, MW_EXIT_UNREACHABLE. */
int mw_target_complain(CURL *curl, const mw_target *to, CURLcode code, const char *text);

#endif
