/* GET /api/v1/senders: who has sent since the start, what was understood of it, who was refused. */
#include "server/api/api_int.h"

/* The ports as `endpoints` of the status names them. */
static const char *port_name(mw_port port)
{
    switch (port) {
    case MW_PORT_GRPC: return "grpc";
    case MW_PORT_HTTP: return "http";
    case MW_PORT_WEB: return "web";
    case MW_PORT_SOCKET: return "socket";
    }
    return "unknown";
}

static void write_text(mw_json *json, const char *key, const char *text)
{
    mw_json_kv_or_null(json, key, mw_slice_of(text));
}

/* {"items":n,"keys":[...]}: tokens' keys are those of the input count. */
static void write_understood(mw_json *json, const mw_sender_row *row)
{
    for (int what = 0; what < MW_UNDERSTOOD_COUNT; what++) {
        const mw_understood *found = &row->understood[what];
        mw_json_key(json, mw_slice_of(mw_understood_name((mw_understood_what)what)));
        mw_json_object_begin(json);
        mw_json_kv_u64(json, "items", found->items);
        mw_json_key(json, MW_SLICE("keys"));
        mw_json_array_begin(json);
        for (unsigned rank = 0; rank < 32; rank++) {
            const char *name =
                found->ranks >> rank & 1u
                    ? mw_resolve_key_name(mw_understood_field((mw_understood_what)what), rank)
                    : NULL;
            if (name)
                mw_json_string(json, mw_slice_of(name));
        }
        mw_json_array_end(json);
        mw_json_object_end(json);
    }
}

static void write_refused(mw_json *json, const mw_sender_row *row)
{
    uint64_t sum = 0;
    for (int reason = 0; reason < MW_REFUSE_COUNT; reason++)
        sum += row->refused[reason];
    mw_json_kv_u64(json, "refused", sum);
    mw_json_key(json, MW_SLICE("refused_reasons"));
    mw_json_object_begin(json);
    for (int reason = 0; reason < MW_REFUSE_COUNT; reason++) {
        if (!row->refused[reason])
            continue;
        mw_json_key(json, mw_slice_of(mw_refusal_text((mw_refusal)reason)));
        mw_json_u64(json, row->refused[reason]);
    }
    mw_json_object_end(json);
}

static void write_sender(mw_json *json, const mw_sender_row *row)
{
    mw_json_object_begin(json);
    write_text(json, "service", row->service);
    write_text(json, "sdk_language", row->language);
    write_text(json, "sdk_version", row->version);
    write_text(json, "scope", row->scope);
    write_text(json, "user_agent", row->user_agent);
    mw_json_kv(json, "space", row->space[0] ? mw_slice_of(row->space) : MW_DEFAULT_SPACE);
    mw_json_kv(json, "signal", mw_slice_of(mw_signal_name(row->signal)));
    mw_json_kv(json, "protocol", mw_slice_of(mw_sender_transport_name(row->transport)));
    write_text(json, "compression", row->compression);
    mw_json_kv_time(json, "first_seen", row->first_ns);
    mw_json_kv_time(json, "last_seen", row->last_ns);
    mw_json_kv_u64(json, "requests", row->requests);
    mw_json_kv_u64(json, "retried", row->repeats);
    mw_json_kv_u64(json, "items", row->items);
    mw_json_kv_u64(json, "bytes", row->bytes);
    write_refused(json, row);
    mw_json_kv_u64(json, "odd_times", row->odd_times);
    mw_json_kv_u64(json, "gen_ai_spans", row->gen_ai);
    mw_json_kv_u64(json, "model_calls", row->model_calls);
    write_understood(json, row);
    mw_json_object_end(json);
}

static void write_refusal(mw_json *json, const mw_refusal_row *row)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "port", mw_slice_of(port_name(row->port)));
    mw_json_kv_bool(json, "grpc", row->grpc);
    mw_json_kv_u64(json, "status", row->status);
    write_text(json, "path", row->path);
    write_text(json, "user_agent", row->user_agent);
    write_text(json, "content_type", row->content_type);
    write_text(json, "encoding", row->encoding);
    write_text(json, "peer", row->peer);
    write_text(json, "message", row->message);
    mw_json_kv_time(json, "first_seen", row->first_ns);
    mw_json_kv_time(json, "last_seen", row->last_ns);
    mw_json_kv_u64(json, "requests", row->requests);
    mw_json_object_end(json);
}

static int newest_sender(const void *left, const void *right)
{
    const mw_sender_row *a = left, *b = right;
    return (a->last_ns < b->last_ns) - (a->last_ns > b->last_ns);
}

static int newest_refusal(const void *left, const void *right)
{
    const mw_refusal_row *a = left, *b = right;
    return (a->last_ns < b->last_ns) - (a->last_ns > b->last_ns);
}

bool mw_api_sender_is_own(const mw_api_call *call, const mw_sender_row *row)
{
    mw_slice space = row->space[0] ? mw_slice_of(row->space) : MW_DEFAULT_SPACE;
    return !call->bound[0] || mw_slice_equal(space, mw_slice_of(call->bound));
}

/* What is of no space, or of all, is not for a token: whoever was refused may have named any. */
static void write_number(mw_api_call *call, const char *key, uint64_t number)
{
    if (call->bound[0])
        mw_json_kv_null(&call->json, key);
    else
        mw_json_kv_u64(&call->json, key, number);
}

static void write_view(mw_api_call *call, const mw_senders_view *view)
{
    int64_t total = 0;
    size_t refusals = call->bound[0] ? 0 : view->refusal_count;
    mw_api_list_begin(call);
    for (size_t i = 0; i < view->count; i++) {
        if (!mw_api_sender_is_own(call, &view->rows[i]))
            continue;
        write_sender(&call->json, &view->rows[i]);
        total++;
    }
    mw_api_items_end(call);
    mw_json_key(&call->json, MW_SLICE("refusals"));
    mw_json_array_begin(&call->json);
    for (size_t i = 0; i < refusals; i++)
        write_refusal(&call->json, &view->refusals[i]);
    mw_json_array_end(&call->json);
    write_number(call, "forgotten", view->forgotten);
    write_number(call, "refusals_forgotten", view->refusals_forgotten);
    write_number(call, "unlisted_items", view->unlisted);
    mw_api_list_close(call, MW_SLICE_NONE, total);
}

mw_err mw_api_sender_list(mw_api_call *call)
{
    mw_err err = mw_api_no_parameters(call);
    if (err)
        return err;
    mw_senders_view *view = mw_collector_senders(call->server->collector);
    if (!view)
        return MW_E_NOMEM;
    qsort(view->rows, view->count, sizeof *view->rows, newest_sender);
    qsort(view->refusals, view->refusal_count, sizeof *view->refusals, newest_refusal);
    write_view(call, view);
    mw_senders_view_free(view);
    return MW_OK;
}
