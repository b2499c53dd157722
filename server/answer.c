/* Bodies of answers: the one error shape of the API and the way of a buffer into a response. */
#include "lib/base/json_writer.h"
#include "server/server_int.h"

/* An error text is a few hundred bytes, but each may become a \u escape. */
#define PROBLEM_MAX_BYTES 8192

bool mw_answer_body(mw_buffer *text, mw_response *response)
{
    if (text->err) {
        mw_buffer_fini(text);
        *response = (mw_response){.status = 503};
        mw_response_header(response, MW_SLICE("retry-after"), MW_SLICE("1"));
        return false;
    }
    mw_response_give(response, text);
    return true;
}

void mw_answer_problem(const mw_problem *problem, mw_response *response)
{
    mw_buffer text;
    mw_json json;
    /* Not of the questions' share: it may be what tells that this is used up. */
    mw_buffer_init(&text, MW_MEM_NET, PROBLEM_MAX_BYTES);
    mw_json_init(&json, &text);
    mw_json_object_begin(&json);
    mw_json_key(&json, MW_SLICE("error"));
    mw_json_object_begin(&json);
    mw_json_kv(&json, "code", mw_slice_of(problem->code));
    mw_json_kv(&json, "message", problem->message);
    mw_json_kv_or_null(&json, "field", problem->field);
    mw_json_kv_or_null(&json, "hint", problem->hint);
    mw_json_object_end(&json);
    mw_json_object_end(&json);
    mw_buffer_append_byte(&text, '\n');
    response->status = problem->status;
    response->content_type = MW_JSON_TYPE;
    mw_answer_body(&text, response);
}

bool mw_server_base_url(mw_server *server, char *out, size_t size)
{
    const char *given = server->settings.values.public_url;
    mw_net *net = atomic_load(&server->net);
    int len = -1;
    if (given[0])
        len = snprintf(out, size, "%s", given);
    else if (net)
        len = snprintf(out, size, "%s://%s", mw_net_tls_on(net) ? "https" : "http",
                       mw_net_endpoint(net, MW_PORT_WEB));
    if (len < 0 || (size_t)len >= size)
        return false;
    while (len > 0 && out[len - 1] == '/')
        out[--len] = '\0';
    return true;
}
