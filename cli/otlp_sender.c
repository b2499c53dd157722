/* OTLP/HTTP requests on their way. See otlp_sender.h. */
#include <time.h>

#include "cli/client_int.h"
#include "cli/otlp_sender.h"

/* A maximal request on a busy machine. */
#define SEND_TIMEOUT_S 120L
/* Of the daemon's words: a status or a partial success is a few kilobytes. */
#define REPLY_MAX ((size_t)1 << 20)
/* Pauses between tries: first, longest, all together. */
#define PAUSE_MS 500
#define PAUSE_MAX_MS 30000
#define PATIENCE_MS 120000

struct mw_otlp_sender {
    mw_target to;
    CURL *curl;
    struct curl_slist *headers;
    mw_buffer reply;
    bool reached; /* it has answered once */
};

/* ---- where to ------------------------------------------------------------------------------ */

/* "[::1]:4318": the colon before the port. */
static const char *port_of(const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    return colon && colon[1] && !strchr(colon, ']') ? colon : NULL;
}

static bool is_any_address(const char *endpoint)
{
    return strncmp(endpoint, "0.0.0.0:", 8) == 0 || strncmp(endpoint, "[::]:", 5) == 0;
}

bool mw_otlp_url(const char *api, bool local, const char *endpoint, char *out, size_t size)
{
    const char *port = port_of(endpoint);
    const char *host = strstr(api, "://");
    int len;
    if (!port || !host)
        return false;
    host += 3;
    size_t host_len = strcspn(host, "/");
    for (size_t i = host_len; i-- > 0 && host[i] != ']';)
        if (host[i] == ':')
            host_len = i;
    if (!local)
        len = snprintf(out, size, "%.*s%s", (int)(host + host_len - api), api, port);
    else if (is_any_address(endpoint))
        len = snprintf(out, size, "http://127.0.0.1%s", port);
    else
        len = snprintf(out, size, "http://%s", endpoint);
    return len > 0 && (size_t)len < size;
}

static int ask_daemon(mw_cli *cli, mw_target *to)
{
    mw_target api;
    mw_answer answer;
    char url[MW_CLI_PATH_MAX], endpoint[128] = "";
    int status = mw_target_choose(cli, &api);
    if (status)
        return status;
    /* Not the status: a token that may only ingest may not ask for it. A daemon that is not ready
     * names its ports all the same. */
    status = mw_client_fetch(cli, "/readyz", &answer);
    if (status) {
        mw_answer_free(&answer);
        return status;
    }
    if (!answer.root)
        answer.root = mw_parse_answer(mw_buffer_slice(&answer.body));
    mw_slice http = mw_text(json_object_get(answer.root, "endpoints"), "http");
    bool known = http.len && mw_slice_to_cstr(http, endpoint, sizeof endpoint) &&
                 mw_otlp_url(api.base, api.loopback, endpoint, url, sizeof url);
    mw_answer_free(&answer);
    if (!known)
        return mw_complain(MW_EXIT_FAILED, api.socket[0] ? api.socket : api.base,
                           "it names no OTLP/HTTP port",
                           "is that a midwatch's web port? else name the OTLP port with --otlp");
    return mw_target_use_url(to, "--otlp", url);
}

int mw_otlp_sender_open(mw_cli *cli, mw_otlp_sender **out)
{
    char line[256];
    mw_otlp_sender *sender = mw_calloc_or_die(MW_MEM_BASE, 1, sizeof *sender);
    int status = cli->otlp ? mw_target_use_url(&sender->to, "--otlp", cli->otlp)
                           : ask_daemon(cli, &sender->to);
    *out = NULL;
    mw_buffer_init(&sender->reply, MW_MEM_BASE, REPLY_MAX);
    sender->curl = status ? NULL : curl_easy_init();
    if (!status && !sender->curl)
        status = mw_complain(MW_EXIT_FAILED, "libcurl", "cannot be initialised", "");
    if (status) {
        mw_otlp_sender_close(sender);
        return status;
    }
    sender->headers = mw_target_headers("application/json");
    sender->headers = curl_slist_append(sender->headers, "Content-Type: application/json");
    /* No question whether a large body is welcome: the daemon says so when it is not. */
    sender->headers = curl_slist_append(sender->headers, "Expect:");
    snprintf(line, sizeof line, "x-midwatch-space: %s", cli->space ? cli->space : "");
    if (cli->space)
        sender->headers = curl_slist_append(sender->headers, line);
    *out = sender;
    return MW_EXIT_DONE;
}

void mw_otlp_sender_close(mw_otlp_sender *sender)
{
    if (sender->curl)
        curl_easy_cleanup(sender->curl);
    curl_slist_free_all(sender->headers);
    mw_buffer_fini(&sender->reply);
    mw_free(MW_MEM_BASE, sender);
}

const char *mw_otlp_sender_url(const mw_otlp_sender *sender)
{
    return sender->to.base;
}

/* ---- one try ------------------------------------------------------------------------------- */

static size_t receive(char *data, size_t size, size_t count, void *ctx)
{
    mw_buffer *reply = ctx;
    mw_buffer_append(reply, data, size * count);
    return reply->err ? 0 : size * count;
}

static CURLcode perform(mw_otlp_sender *sender, const char *path, mw_slice body, long *http)
{
    char url[MW_CLI_PATH_MAX + 16];
    snprintf(url, sizeof url, "%s%s", sender->to.base, path);
    mw_buffer_clear(&sender->reply);
    curl_easy_reset(sender->curl);
    mw_target_prepare(&sender->to, sender->curl);
    curl_easy_setopt(sender->curl, CURLOPT_TIMEOUT, SEND_TIMEOUT_S);
    curl_easy_setopt(sender->curl, CURLOPT_URL, url);
    curl_easy_setopt(sender->curl, CURLOPT_HTTPHEADER, sender->headers);
    curl_easy_setopt(sender->curl, CURLOPT_POSTFIELDS, body.data);
    curl_easy_setopt(sender->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    curl_easy_setopt(sender->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(sender->curl, CURLOPT_WRITEDATA, &sender->reply);
    CURLcode code = curl_easy_perform(sender->curl);
    *http = 0;
    curl_easy_getinfo(sender->curl, CURLINFO_RESPONSE_CODE, http);
    return code;
}

/* Nobody there now, who may be again; or an answer that asks for another try. */
static bool may_try_again(CURLcode code, long http)
{
    if (code == CURLE_OK)
        return http == 429 || http == 502 || http == 503 || http == 504;
    return code == CURLE_COULDNT_CONNECT || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
           code == CURLE_GOT_NOTHING || code == CURLE_PARTIAL_FILE;
}

static long pause_ms(mw_otlp_sender *sender, unsigned tries)
{
    curl_off_t seconds = 0;
    curl_easy_getinfo(sender->curl, CURLINFO_RETRY_AFTER, &seconds);
    if (seconds > 0)
        return seconds < PAUSE_MAX_MS / 1000 ? (long)seconds * 1000 : PAUSE_MAX_MS;
    long pause = tries < 6 ? PAUSE_MS << tries : PAUSE_MAX_MS;
    return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

static void wait_ms(long ms)
{
    struct timespec rest = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&rest, NULL);
}

/* ---- what it says -------------------------------------------------------------------------- */

static void copy_text(mw_slice text, char *out, size_t size)
{
    (void)mw_slice_to_cstr(mw_slice_first(text, size - 1), out, size);
}

/* Export*PartialSuccess: what was rejected, under the name of the signal, as text or number. */
static void read_success(const json_t *root, mw_sent *out)
{
    static const char *const names[] = {"rejectedSpans", "rejectedLogRecords",
                                        "rejectedDataPoints"};
    const json_t *partial = json_object_get(root, "partialSuccess");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        out->rejected += (uint64_t)mw_integer(partial, names[i]);
    copy_text(mw_text(partial, "errorMessage"), out->message, sizeof out->message);
}

/* google.rpc.Status, or the error of a proxy that is none. */
static void read_refusal(const json_t *root, long http, mw_sent *out)
{
    const json_t *details = json_object_get(root, "details");
    mw_slice message = mw_text(root, "message");
    out->status = mw_exit_of_status(http);
    if (out->status == MW_EXIT_USAGE)
        out->status = MW_EXIT_FAILED;
    if (message.len)
        copy_text(message, out->message, sizeof out->message);
    else
        snprintf(out->message, sizeof out->message, "answered with %ld", http);
    for (size_t i = 0; i < json_array_size(details); i++) {
        const json_t *list = json_object_get(json_array_get(details, i), "fieldViolations");
        mw_slice field = mw_text(json_array_get(list, 0), "field");
        if (field.len)
            copy_text(field, out->field, sizeof out->field);
    }
}

static void read_reply(mw_otlp_sender *sender, long http, mw_sent *out)
{
    json_t *root = mw_parse_answer(mw_buffer_slice(&sender->reply));
    *out = (mw_sent){.status = MW_EXIT_DONE};
    if (http >= 200 && http < 300)
        read_success(root, out);
    else
        read_refusal(root, http, out);
    json_decref(root);
}

/* ---- sending ------------------------------------------------------------------------------- */

static const char *path_of(unsigned signal)
{
    return signal == MW_SENDS_TRACES ? "/v1/traces"
           : signal == MW_SENDS_LOGS ? "/v1/logs"
                                     : "/v1/metrics";
}

int mw_otlp_send(mw_otlp_sender *sender, unsigned signal, mw_slice body, mw_sent *out)
{
    long http, waited = 0;
    CURLcode code;
    for (unsigned tries = 0;; tries++) {
        code = perform(sender, path_of(signal), body, &http);
        if (!may_try_again(code, http) || waited >= PATIENCE_MS)
            break;
        /* A port where nobody ever was is a mistake, and no reason to wait. */
        if (code == CURLE_COULDNT_CONNECT && tries == 0 && !sender->reached)
            break;
        long pause = pause_ms(sender, tries);
        wait_ms(pause);
        waited += pause;
    }
    if (code != CURLE_OK) {
        *out = (mw_sent){.status = MW_EXIT_UNREACHABLE};
        return mw_target_complain(sender->curl, &sender->to, code, "");
    }
    sender->reached = true;
    read_reply(sender, http, out);
    /* Patience is at its end, and would be with the next one. */
    if (may_try_again(code, http))
        out->status = MW_EXIT_UNREACHABLE;
    return out->status;
}
