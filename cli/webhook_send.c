/* webhook send: what a vendor does. Reads a JSON file, signs its bytes as they are, and posts
 * them to the webhook's URL, over the network and not through the socket. The secret comes from
 * a file or the environment: it is in no list of processes, and the daemon does not give it out
 * again. */
#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "cli/client_int.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/io.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define SECRET_MAX 256
#define TIMEOUT_S 30L
#define ANSWER_MAX ((size_t)64 << 10)

typedef struct sending {
    char secret[SECRET_MAX];
    char *body;
    size_t body_len;
} sending;

/* ---- what is sent -------------------------------------------------------------------------- */

static int read_secret(const mw_cli *cli, sending *send)
{
    const char *given = getenv("MIDWATCH_WEBHOOK_SECRET");
    char *text = NULL;
    size_t len = 0;
    if (cli->secret_file) {
        mw_err err = mw_io_read_file(cli->secret_file, SECRET_MAX - 1, &text, &len);
        if (err)
            return mw_complain(MW_EXIT_USAGE, cli->secret_file, mw_err_text(err),
                               "a file with the secret and nothing else");
        while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
            len--;
    }
    mw_slice secret = text ? mw_slice_bytes(text, len) : mw_slice_of(given ? given : "");
    bool fits = secret.len && mw_slice_to_cstr(secret, send->secret, sizeof send->secret);
    if (text)
        explicit_bzero(text, len);
    mw_free(MW_MEM_BASE, text);
    return fits ? MW_EXIT_DONE
                : mw_complain(MW_EXIT_USAGE, "webhook send", "the secret is missing",
                              "set MIDWATCH_WEBHOOK_SECRET, or give --secret-file");
}

static int read_stdin(sending *send)
{
    mw_buffer text;
    char piece[8192];
    size_t got;
    mw_buffer_init(&text, MW_MEM_BASE, FILE_MAX_BYTES);
    while ((got = fread(piece, 1, sizeof piece, stdin)) > 0)
        mw_buffer_append(&text, piece, got);
    if (text.err || ferror(stdin)) {
        mw_buffer_fini(&text);
        return mw_complain(MW_EXIT_USAGE, "standard input", "cannot be read, or is over 1 MiB", "");
    }
    send->body = mw_buffer_take(&text, &send->body_len);
    return MW_EXIT_DONE;
}

static int read_body(const char *path, sending *send)
{
    if (strcmp(path, "-") == 0)
        return read_stdin(send);
    mw_err err = mw_io_read_file(path, FILE_MAX_BYTES, &send->body, &send->body_len);
    return err ? mw_complain(MW_EXIT_USAGE, path, mw_err_text(err), "a file of at most 1 MiB")
               : MW_EXIT_DONE;
}

/* ---- headers ------------------------------------------------------------------------------- */

/* base64(HMAC-SHA256(secret, "time:body")): docs/WEBHOOKS.md. */
static bool sign(const sending *send, const char *time, char out[45])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, FILE_MAX_BYTES + 64);
    mw_buffer_appendf(&text, "%s:", time);
    mw_buffer_append(&text, send->body, send->body_len);
    bool done = !text.err &&
                HMAC(EVP_sha256(), send->secret, (int)strlen(send->secret),
                     (const unsigned char *)text.data, text.len, digest, &digest_len) &&
                digest_len == 32;
    mw_buffer_fini(&text);
    if (done)
        mw_base64_encode(digest, digest_len, out);
    return done;
}

static struct curl_slist *make_headers(const mw_cli *cli, const sending *send, bool bearer)
{
    char line[SECRET_MAX + 64], time[MW_TIME_TEXT_SIZE], signature[45];
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    mw_time_format((uint64_t)cli->now_ns, time);
    if (bearer) {
        snprintf(line, sizeof line, "Authorization: Bearer %s", send->secret);
    } else {
        if (!sign(send, time, signature))
            return headers;
        snprintf(line, sizeof line, "x-amzn-event-signature: %s", signature);
    }
    headers = curl_slist_append(headers, line);
    explicit_bzero(line, sizeof line);
    snprintf(line, sizeof line, "x-amzn-event-timestamp: %s", time);
    return curl_slist_append(headers, line);
}

/* ---- the delivery -------------------------------------------------------------------------- */

static size_t receive(char *data, size_t size, size_t count, void *ctx)
{
    mw_buffer *body = ctx;
    mw_buffer_append(body, data, size * count);
    return body->err ? 0 : size * count;
}

static int post(const mw_target *to, struct curl_slist *headers, const sending *send,
                mw_answer *out)
{
    char why[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    if (!curl)
        return mw_complain(MW_EXIT_FAILED, "libcurl", "cannot be initialised", "");
    mw_target_prepare(to, curl);
    curl_easy_setopt(curl, CURLOPT_URL, to->base);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)send->body_len);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, send->body_len ? send->body : "");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &out->body);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(curl);
    int status = MW_EXIT_DONE;
    if (code != CURLE_OK)
        status = mw_target_complain(curl, to, code, why);
    else
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
    curl_easy_cleanup(curl);
    return status;
}

static int print_answer(const mw_cli *cli, mw_answer *answer)
{
    char why[512], what[64];
    int status = mw_exit_of_status(answer->status);
    answer->root = mw_parse_answer(mw_buffer_slice(&answer->body));
    mw_slice field = mw_text(answer->root, "field"), error = mw_text(answer->root, "error");
    if (status) {
        snprintf(what, sizeof what, "the webhook answered %ld", answer->status);
        snprintf(why, sizeof why, "%.*s%s%.*s", MW_SLICE_FMT(error), field.len ? ": " : "",
                 MW_SLICE_FMT(field));
        return mw_complain(status, what, why, "midwatch audit list says more of a refusal");
    }
    mw_buffer_append_byte(&answer->body, '\n');
    if (cli->json)
        return mw_print(&answer->body);
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, 4096);
    mw_buffer_appendf(&text, "delivery ");
    mw_visible(&text, mw_text(answer->root, "id"));
    mw_buffer_append_byte(&text, '\n');
    status = mw_print(&text);
    mw_buffer_fini(&text);
    return status;
}

/* The answer is to be freed, whatever it is. */
static int send_to(const mw_cli *cli, const json_t *hook, const sending *send, mw_answer *out)
{
    mw_target to = {.loopback = false};
    char url[MW_CLI_PATH_MAX] = "";
    mw_buffer_init(&out->body, MW_MEM_BASE, ANSWER_MAX);
    mw_slice_to_cstr(mw_text(hook, "url"), url, sizeof url);
    int status = mw_target_use_url(&to, "url", url);
    if (status)
        return status;
    struct curl_slist *headers =
        make_headers(cli, send, mw_slice_equal(mw_text(hook, "auth"), MW_SLICE("bearer")));
    status = post(&to, headers, send, out);
    curl_slist_free_all(headers);
    return status;
}

static int deliver(mw_cli *cli, const json_t *hook, const sending *send)
{
    mw_answer answer = {.root = NULL};
    int status = send_to(cli, hook, send, &answer);
    if (!status)
        status = print_answer(cli, &answer);
    mw_answer_free(&answer);
    return status;
}

int mw_webhook_deliver(mw_cli *cli, const json_t *hook, const char *secret, mw_slice body)
{
    mw_answer answer = {.root = NULL};
    sending send = {.body = (char *)(uintptr_t)body.data, .body_len = body.len};
    if (!mw_slice_to_cstr(mw_slice_of(secret), send.secret, sizeof send.secret))
        return mw_complain(MW_EXIT_FAILED, "webhook", "the secret is too long", "");
    int status = send_to(cli, hook, &send, &answer);
    if (!status && mw_exit_of_status(answer.status))
        status = print_answer(cli, &answer); /* a refusal, told as webhook send tells it */
    explicit_bzero(send.secret, sizeof send.secret);
    mw_answer_free(&answer);
    return status;
}

int mw_cmd_webhook_send(mw_cli *cli)
{
    mw_answer hook = {.root = NULL};
    sending send = {.body = NULL};
    mw_buffer path;
    int status = read_secret(cli, &send);
    if (!status)
        status = read_body(cli->args[1], &send);
    if (status)
        return status;
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 4);
    mw_show_path(cli, "webhooks", "", &path);
    mw_buffer_append_byte(&path, '\0');
    mw_buffer_init(&hook.body, MW_MEM_BASE, 0);
    status = path.err ? mw_complain(MW_EXIT_USAGE, "webhook send", "the id is too long", "")
                      : mw_client_call(cli, path.data, NULL, &hook);
    if (!status)
        status = deliver(cli, hook.root, &send);
    explicit_bzero(send.secret, sizeof send.secret);
    mw_free(MW_MEM_BASE, send.body);
    mw_buffer_fini(&path);
    mw_answer_free(&hook);
    return status;
}
