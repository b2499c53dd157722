/* The way to the daemon: which one, one request, one answer. */
#include <curl/curl.h>
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/client_int.h"
#include "lib/base/id.h"

/* The API's own bound is 64 MiB; an item that is a page of its own may have six times as many. */
#define ANSWER_MAX ((size_t)400 << 20)
#define TIMEOUT_S 30L
#define CONNECT_TIMEOUT_S 5L
/* Of a socket whose queue had room when it was looked at. */
#define QUEUE_TRIES 3
/* The daemon takes a head of 32 KiB. */
#define URL_MAX 32768
#define FALLBACK_URL "http://127.0.0.1:4319"

/* What helps. */
#define HINT_START "start the daemon with midwatch serve, or name it with --server or --data"
#define HINT_BUSY "the daemon is there but busy or stopping: look at midwatch status, and try again"
#define HINT_ADDRESS "is the address right, and is the way to it open?"
#define HINT_QUEUE "a daemon is there but takes none: busy or halted; try again, and see its log"

/* ---- which daemon -------------------------------------------------------------------------- */

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

/* Waits for room in the socket's queue, which libcurl does not: it takes a full one for one that
 * nobody listens on. 0, or errno of why nobody answers; EAGAIN = the queue stays full. */
static int probe(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = CONNECT_TIMEOUT_S};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int reason = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(fd);
    return reason;
}

/* 0 when a daemon is there on DIR/midwatch.sock, else errno of why not. to->socket names it then,
 * and with EAGAIN. */
static int use_socket_of(mw_target *to, const char *directory)
{
    int len = snprintf(to->socket, sizeof to->socket, "%s/midwatch.sock", directory);
    int reason = len > 0 && (size_t)len < sizeof to->socket ? probe(to->socket) : ENAMETOOLONG;
    if (reason) {
        if (reason != EAGAIN)
            to->socket[0] = '\0';
        return reason;
    }
    snprintf(to->base, sizeof to->base, "http://localhost");
    to->loopback = true;
    return 0;
}

static int complain_of_queue(const char *path)
{
    char why[64];
    snprintf(why, sizeof why, "no connection within %ld s", CONNECT_TIMEOUT_S);
    return mw_complain(MW_EXIT_UNREACHABLE, path, why, HINT_QUEUE);
}

static bool is_loopback_url(const char *url)
{
    static const char *const hosts[] = {"//localhost", "//127.", "//[::1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (strstr(url, hosts[i]) == url + strcspn(url, ":") + 1)
            return true;
    return false;
}

int mw_target_use_url(mw_target *to, const char *what, const char *url)
{
    bool scheme = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    if (!scheme && strstr(url, "://"))
        return mw_complain(MW_EXIT_USAGE, url, "neither http nor https",
                           "for example http://127.0.0.1:4319");
    int len = snprintf(to->base, sizeof to->base, "%s%s", scheme ? "" : "http://", url);
    if (len < 0 || (size_t)len >= sizeof to->base)
        return mw_complain(MW_EXIT_USAGE, what, "the URL is too long", "");
    while (len > 0 && to->base[len - 1] == '/')
        to->base[--len] = '\0';
    to->socket[0] = '\0';
    to->loopback = is_loopback_url(to->base);
    return MW_EXIT_DONE;
}

/* A directory that somebody named means that daemon and no other: asking the next one would
 * answer for a different store. Only where we may not look (it is another user's) the TCP port
 * remains as a way to the same daemon. */
static int use_named_directory(mw_target *to, const char *directory)
{
    char why[MW_CLI_PATH_MAX + 64];
    int reason = use_socket_of(to, directory);
    if (reason == 0)
        return MW_EXIT_DONE;
    if (reason == EAGAIN)
        return complain_of_queue(to->socket);
    if (reason == EACCES || reason == EPERM)
        return mw_target_use_url(to, "--server", FALLBACK_URL);
    snprintf(why, sizeof why, "no daemon answers on %s/midwatch.sock (%s)", directory,
             strerror(reason));
    return mw_complain(MW_EXIT_UNREACHABLE, "cannot connect", why,
                       "start one with midwatch serve and the same --data");
}

/* DESIGN 4.2's order, each flag before the environment: a variable that some profile sets must not
 * send to another daemon what was meant for the one that was named here. */
int mw_target_choose(const mw_cli *cli, mw_target *to)
{
    char own[MW_CLI_PATH_MAX];
    bool flagged = cli->server || cli->data;
    const char *server = flagged ? cli->server : environment("MIDWATCH_SERVER");
    const char *data = flagged ? cli->data : environment("MIDWATCH_DATA");
    if (server)
        return mw_target_use_url(to, flagged ? "--server" : "MIDWATCH_SERVER", server);
    if (data)
        return use_named_directory(to, data);
    const char *const standard[] = {mw_cli_default_data_dir(own, sizeof own) ? own : NULL,
                                    "/var/lib/midwatch"};
    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++) {
        int reason = standard[i] ? use_socket_of(to, standard[i]) : ENOENT;
        if (reason == 0)
            return MW_EXIT_DONE;
        if (reason == EAGAIN)
            return complain_of_queue(to->socket);
    }
    return mw_target_use_url(to, "--server", FALLBACK_URL);
}

/* ---- one request --------------------------------------------------------------------------- */

static size_t receive(char *data, size_t size, size_t count, void *ctx)
{
    mw_buffer *body = ctx;
    mw_buffer_append(body, data, size * count);
    return body->err ? 0 : size * count;
}

static mw_slice value_of_header(mw_slice line, const char *name)
{
    mw_slice wanted = mw_slice_of(name);
    size_t colon = mw_slice_find_byte(line, ':');
    if (colon == line.len || !mw_slice_equal_nocase(mw_slice_first(line, colon), wanted))
        return MW_SLICE_NONE;
    mw_slice value = mw_slice_from(line, colon + 1);
    while (value.len && (value.data[value.len - 1] == '\r' || value.data[value.len - 1] == '\n'))
        value.len--;
    return mw_slice_trim(value);
}

/* A cursor that does not fit is none: it is ours, and far shorter. */
static size_t receive_header(char *data, size_t size, size_t count, void *ctx)
{
    mw_answer *out = ctx;
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {{"x-midwatch-items", &out->items},
                   {"x-midwatch-left-out", &out->left_out},
                   {"x-midwatch-pattern-undecided", &out->undecided},
                   {"x-midwatch-lost-segments", &out->lost},
                   {"x-midwatch-damaged-blocks", &out->damaged}};
    mw_slice line = {data, size * count};
    mw_slice cursor = value_of_header(line, "x-midwatch-next-cursor");
    if (cursor.len && !mw_slice_to_cstr(cursor, out->next_cursor, sizeof out->next_cursor))
        out->next_cursor[0] = '\0';
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uint64_t value;
        if (mw_slice_u64(value_of_header(line, numbers[i].name), &value) == MW_OK)
            *numbers[i].value = value;
    }
    return size * count;
}

struct curl_slist *mw_target_headers(const char *accept)
{
    char line[1200];
    snprintf(line, sizeof line, "Accept: %s", accept);
    struct curl_slist *headers = curl_slist_append(NULL, line);
    const char *token = environment("MIDWATCH_TOKEN");
    if (!token)
        return headers;
    int len = snprintf(line, sizeof line, "Authorization: Bearer %s", token);
    if (len > 0 && (size_t)len < sizeof line)
        headers = curl_slist_append(headers, line);
    explicit_bzero(line, sizeof line);
    return headers;
}

void mw_target_prepare(const mw_target *to, CURL *curl)
{
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "midwatch/" MW_VERSION);
    if (to->socket[0])
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, to->socket);
    if (to->loopback)
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    /* Else the system's store; the certificate is always verified. */
    const char *authorities = environment("MIDWATCH_CA_FILE");
    if (authorities)
        curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
}

static void set_options(CURL *curl, const mw_target *to, mw_answer *out)
{
    mw_target_prepare(to, curl);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &out->body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, receive_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, out);
}

/* ---- why there is no answer ----------------------------------------------------------------- */

void mw_client_explain(int code, double connect_s, double total_s, const char *text,
                       mw_silence *out)
{
    out->hint = HINT_START;
    snprintf(out->why, sizeof out->why, "%s", text);
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        snprintf(out->why, sizeof out->why, "no daemon answers (%s)", text);
        return;
    case CURLE_OPERATION_TIMEDOUT:
        snprintf(out->why, sizeof out->why, "no %s within %.0f s",
                 connect_s > 0 ? "answer" : "connection", total_s);
        out->hint = connect_s > 0 ? HINT_BUSY : HINT_ADDRESS;
        return;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        snprintf(out->why, sizeof out->why, "the connection ended without a whole answer (%s)",
                 text);
        out->hint = HINT_BUSY;
        return;
    case CURLE_COULDNT_RESOLVE_HOST: out->hint = HINT_ADDRESS; return;
    case CURLE_SSL_CONNECT_ERROR:
        out->hint = "does that port speak TLS? without it the URL begins with http://";
        return;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        out->hint = "name the file of the CA in MIDWATCH_CA_FILE";
        return;
    default: return;
    }
}

static void explain(CURL *curl, const mw_target *to, CURLcode code, const char *text,
                    mw_silence *out)
{
    curl_off_t connect_us = 0, total_us = 0;
    int reason = to->socket[0] && code == CURLE_COULDNT_CONNECT ? probe(to->socket) : 0;
    curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME_T, &connect_us);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &total_us);
    /* A queue that is full is one that somebody has. */
    if (reason == EAGAIN)
        code = CURLE_OPERATION_TIMEDOUT;
    /* libcurl names a host and a port, of which a socket has none. */
    mw_client_explain((int)code, (double)connect_us / 1e6,
                      reason == EAGAIN ? (double)CONNECT_TIMEOUT_S : (double)total_us / 1e6,
                      reason ? strerror(reason) : text, out);
    if (reason == EAGAIN)
        out->hint = HINT_QUEUE;
}

int mw_target_complain(CURL *curl, const mw_target *to, CURLcode code, const char *text)
{
    mw_silence silence;
    explain(curl, to, code, text[0] ? text : curl_easy_strerror(code), &silence);
    return mw_complain(MW_EXIT_UNREACHABLE, to->socket[0] ? to->socket : to->base, silence.why,
                       silence.hint);
}

/* ---- the request --------------------------------------------------------------------------- */

/* What is asked: body NULL and method NULL = GET. */
typedef struct question {
    const char *path, *body, *method;
    bool unread; /* the body is the caller's to read, and what to do about a refusal his */
} question;

static int perform(CURL *curl, const mw_target *to, const question *ask, mw_answer *out)
{
    char url[URL_MAX], why[CURL_ERROR_SIZE] = "";
    int len = snprintf(url, sizeof url, "%s%s", to->base, ask->path);
    if (len < 0 || (size_t)len >= sizeof url)
        return mw_complain(MW_EXIT_USAGE, "the request", "an argument is too long", "");
    struct curl_slist *headers = mw_target_headers("application/json");
    set_options(curl, to, out);
    if (ask->body) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->body);
    }
    if (ask->method)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ask->method);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    /* ".." is a session id like any other. */
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(curl);
    /* A queue that was full for a moment. */
    for (int tries = 1; code == CURLE_COULDNT_CONNECT && to->socket[0] && tries < QUEUE_TRIES;
         tries++)
        code = probe(to->socket) == 0 ? curl_easy_perform(curl) : code;
    curl_slist_free_all(headers);
    if (code == CURLE_WRITE_ERROR)
        return mw_complain(MW_EXIT_FAILED, "the answer", "too large", "ask for less with --limit");
    if (code != CURLE_OK)
        return mw_target_complain(curl, to, code, why);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
    return MW_EXIT_DONE;
}

int mw_exit_of_status(long status)
{
    if (status >= 200 && status < 300)
        return MW_EXIT_DONE;
    switch (status) {
    case 400: return MW_EXIT_USAGE;
    case 401:
    case 403: return MW_EXIT_DENIED;
    case 404: return MW_EXIT_NOT_FOUND;
    case 409: return MW_EXIT_CONFLICT;
    case 408:
    case 504: return MW_EXIT_UNREACHABLE;
    default: return MW_EXIT_FAILED;
    }
}

static int complain_of_answer(const mw_target *to, const char *noun, bool changes,
                              const mw_answer *answer)
{
    char what[128], why[512], status_text[64];
    const json_t *error = json_object_get(answer->root, "error");
    mw_slice message = mw_text(error, "message"), field = mw_text(error, "field"),
             hint = mw_text(error, "hint");
    int status = mw_exit_of_status(answer->status);
    char hint_text[512] = "";
    snprintf(status_text, sizeof status_text, "the daemon answered %ld", answer->status);
    snprintf(what, sizeof what, "%s%s%.*s", noun, field.len ? ": " : "", MW_SLICE_FMT(field));
    snprintf(why, sizeof why, "%.*s", MW_SLICE_FMT(message));
    mw_slice_to_cstr(mw_slice_first(hint, sizeof hint_text - 1), hint_text, sizeof hint_text);
    /* The daemon's own hint knows better what is missing. */
    if (status == MW_EXIT_DENIED && changes && !to->socket[0] && !hint.len)
        snprintf(hint_text, sizeof hint_text,
                 "run this as the daemon's user (and with its --data), or set MIDWATCH_TOKEN");
    return mw_complain(status, what, why[0] ? why : status_text, hint_text);
}

static int call(mw_cli *cli, const question *ask, mw_answer *out)
{
    mw_target to = {.loopback = false};
    memset(out, 0, sizeof *out);
    mw_buffer_init(&out->body, MW_MEM_BASE, ANSWER_MAX);
    int status = mw_target_choose(cli, &to);
    if (status)
        return status;
    CURL *curl = curl_easy_init();
    if (!curl)
        return mw_complain(MW_EXIT_FAILED, "libcurl", "cannot be initialised", "");
    status = perform(curl, &to, ask, out);
    curl_easy_cleanup(curl);
    if (status)
        return status;
    bool done = mw_exit_of_status(out->status) == MW_EXIT_DONE;
    if (!done || !ask->unread)
        out->root = mw_parse_answer(mw_buffer_slice(&out->body));
    if (ask->unread)
        return MW_EXIT_DONE;
    if (!done)
        return complain_of_answer(&to, cli->command->noun, ask->body || ask->method, out);
    if (!out->root)
        return mw_complain(MW_EXIT_FAILED, to.base, "the answer is not JSON",
                           "is that a midwatch?");
    return MW_EXIT_DONE;
}

int mw_client_call(mw_cli *cli, const char *path, const char *body, mw_answer *out)
{
    const question ask = {path, body, NULL, false};
    return call(cli, &ask, out);
}

int mw_client_fetch(mw_cli *cli, const char *path, mw_answer *out)
{
    const question ask = {path, NULL, NULL, true};
    return call(cli, &ask, out);
}

int mw_client_delete(mw_cli *cli, const char *path, mw_answer *out)
{
    const question ask = {path, NULL, "DELETE", false};
    return call(cli, &ask, out);
}

int mw_client_post(mw_cli *cli, const char *path, json_t *body, const char *what, mw_answer *out)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text) {
        *out = (mw_answer){.root = NULL};
        mw_buffer_init(&out->body, MW_MEM_BASE, 0);
        return mw_complain(MW_EXIT_USAGE, what, "the name is not UTF-8", "");
    }
    int status = mw_client_call(cli, path, text, out);
    free(text);
    return status;
}

int mw_client_verb(mw_cli *cli, const char *noun, const char *verb, json_t *body, mw_answer *out)
{
    mw_buffer path;
    int status;
    *out = (mw_answer){.root = NULL};
    mw_buffer_init(&out->body, MW_MEM_BASE, 0);
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 4);
    mw_buffer_appendf(&path, "/api/v1/%s/", noun);
    mw_url_append(&path, cli->args[0]);
    mw_buffer_appendf(&path, "%s", verb);
    mw_buffer_append_byte(&path, '\0');
    if (path.err) {
        json_decref(body);
        status = mw_complain(MW_EXIT_USAGE, cli->command->noun, "the id is too long", "");
    } else if (verb[0]) {
        status =
            mw_client_post(cli, path.data, body ? body : json_object(), cli->command->noun, out);
    } else {
        status = mw_client_delete(cli, path.data, out);
    }
    mw_buffer_fini(&path);
    return status;
}

void mw_answer_free(mw_answer *answer)
{
    json_decref(answer->root);
    mw_buffer_fini(&answer->body);
}

int mw_fetch_complain(const mw_cli *cli, const mw_answer *answer)
{
    const mw_target nowhere = {.loopback = false};
    return complain_of_answer(&nowhere, cli->command->noun, false, answer);
}

/* ---- an answer that is read as it comes ------------------------------------------------------ */

/* A daemon says something every 15 s; three of those missed, and it is gone. */
#define SILENCE_S 60L

struct mw_client {
    mw_target to;
    mw_silence silence; /* why the last answer ended */
};

typedef struct reading {
    CURL *curl;
    bool (*take)(void *ctx, mw_slice bytes);
    void *ctx;
    mw_answer *answer; /* its body: of a refusal alone */
} reading;

static size_t receive_piece(char *data, size_t size, size_t count, void *ctx)
{
    reading *work = ctx;
    if (!work->answer->status)
        curl_easy_getinfo(work->curl, CURLINFO_RESPONSE_CODE, &work->answer->status);
    if (work->answer->status != 200)
        return receive(data, size, count, &work->answer->body);
    return work->take(work->ctx, (mw_slice){data, size * count}) ? size * count : 0;
}

int mw_client_open(const mw_cli *cli, mw_client **out)
{
    mw_client *client = mw_calloc_or_die(MW_MEM_BASE, 1, sizeof *client);
    int status = mw_target_choose(cli, &client->to);
    *out = status ? NULL : client;
    if (status)
        mw_free(MW_MEM_BASE, client);
    return status;
}

void mw_client_close(mw_client *client)
{
    mw_free(MW_MEM_BASE, client);
}

static struct curl_slist *make_stream_headers(const char *last_id)
{
    char line[1200];
    struct curl_slist *headers = mw_target_headers("text/event-stream");
    int len = snprintf(line, sizeof line, "Last-Event-ID: %s", last_id);
    if (last_id[0] && len > 0 && (size_t)len < sizeof line)
        headers = curl_slist_append(headers, line);
    return headers;
}

static CURLcode perform_reading(reading *work, const mw_target *to, const char *path,
                                const char *last_id)
{
    char url[MW_CLI_PATH_MAX * 5];
    int len = snprintf(url, sizeof url, "%s%s", to->base, path);
    if (len < 0 || (size_t)len >= sizeof url)
        return CURLE_URL_MALFORMAT;
    struct curl_slist *headers = make_stream_headers(last_id);
    set_options(work->curl, to, work->answer);
    curl_easy_setopt(work->curl, CURLOPT_URL, url);
    curl_easy_setopt(work->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(work->curl, CURLOPT_TIMEOUT, 0L);
    curl_easy_setopt(work->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(work->curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    curl_easy_setopt(work->curl, CURLOPT_WRITEFUNCTION, receive_piece);
    curl_easy_setopt(work->curl, CURLOPT_WRITEDATA, work);
    CURLcode code = curl_easy_perform(work->curl);
    curl_easy_getinfo(work->curl, CURLINFO_RESPONSE_CODE, &work->answer->status);
    curl_slist_free_all(headers);
    return code;
}

const char *mw_client_read(mw_client *client, const char *path, const char *last_id,
                           bool (*take)(void *ctx, mw_slice bytes), void *ctx, mw_answer *out)
{
    memset(out, 0, sizeof *out);
    mw_buffer_init(&out->body, MW_MEM_BASE, ANSWER_MAX);
    reading work = {curl_easy_init(), take, ctx, out};
    CURLcode code =
        work.curl ? perform_reading(&work, &client->to, path, last_id) : CURLE_FAILED_INIT;
    if (work.curl && code)
        explain(work.curl, &client->to, code, curl_easy_strerror(code), &client->silence);
    else
        client->silence = (mw_silence){"it ended the answer before it began", HINT_BUSY};
    curl_easy_cleanup(work.curl);
    if (out->status != 200)
        out->root = mw_parse_answer(mw_buffer_slice(&out->body));
    return code == CURLE_OK ? "" : curl_easy_strerror(code);
}

int mw_client_complain(const mw_client *client, const char *noun, const mw_answer *answer)
{
    return complain_of_answer(&client->to, noun, false, answer);
}

int mw_client_unreachable(const mw_client *client)
{
    const mw_target *to = &client->to;
    return mw_complain(MW_EXIT_UNREACHABLE, to->socket[0] ? to->socket : to->base,
                       client->silence.why, client->silence.hint);
}

/* ---- paths --------------------------------------------------------------------------------- */

static void append_counted(mw_buffer *out, mw_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain)
            mw_buffer_append_byte(out, (char)c);
        else
            mw_buffer_appendf(out, "%%%02X", c);
    }
}

void mw_url_append(mw_buffer *out, const char *text)
{
    append_counted(out, mw_slice_of(text));
}

/* The n-th value of an option that is a parameter; NULL behind the last. */
static const char *value_of(const mw_cli *cli, const mw_cli_option *option, size_t n)
{
    const char *field = (const char *)cli + option->offset;
    if (!option->parameter || (n > 0 && !mw_cli_option_repeats(option)))
        return NULL;
    if (!option->value_name)
        return *(const bool *)(const void *)field ? "true" : NULL;
    return ((const char *const *)(const void *)field)[n];
}

static void append_query(const mw_cli *cli, mw_buffer *out)
{
    char separator = '?';
    for (size_t i = 0; i < mw_cli_option_count; i++) {
        const mw_cli_option *option = &mw_cli_options[i];
        const char *value;
        for (size_t n = 0; (value = value_of(cli, option, n)) != NULL; n++) {
            mw_buffer_appendf(out, "%c%s=", separator, option->parameter);
            mw_url_append(out, value);
            separator = '&';
        }
    }
}

void mw_list_path(const mw_cli *cli, const char *noun, mw_buffer *out)
{
    mw_buffer_appendf(out, "/api/v1/%s", noun);
    append_query(cli, out);
}

/* An id as a table shows it when it is cut: digits, and an ellipsis that is none of them. */
static void append_id(mw_buffer *out, const char *id)
{
    char digits[MW_ID_TEXT_SIZE];
    mw_slice text = mw_slice_of(id), mark = MW_SLICE("\xe2\x80\xa6");
    bool is_cut = mw_slice_ends(text, mark);
    mw_slice cut = mw_slice_first(text, is_cut ? text.len - mark.len : 0);
    is_cut = cut.len >= MW_ID_PREFIX_MIN && mw_is_hex(cut) &&
             mw_slice_to_cstr(cut, digits, sizeof digits);
    mw_url_append(out, is_cut ? digits : id);
}

void mw_show_path(const mw_cli *cli, const char *noun, const char *part, mw_buffer *out)
{
    mw_buffer_appendf(out, "/api/v1/%s/", noun);
    append_id(out, cli->args[0]);
    mw_buffer_appendf(out, "%s", part);
    append_query(cli, out);
}

void mw_named_path(const mw_cli *cli, const char *noun, mw_slice name, mw_buffer *out)
{
    mw_buffer_appendf(out, "/api/v1/%s/", noun);
    append_counted(out, name);
    append_query(cli, out);
}

bool mw_is_narrowed(const mw_cli *cli)
{
    for (size_t i = 0; i < mw_cli_option_count; i++)
        if (value_of(cli, &mw_cli_options[i], 0) &&
            mw_cli_options[i].offset != offsetof(mw_cli, limit) &&
            mw_cli_options[i].offset != offsetof(mw_cli, format))
            return true;
    return false;
}
