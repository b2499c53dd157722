/* What people do to alarms and incidents, imported calls, and replays of decisions. The changes
 * need the scope operate; who did it is the request's principal. Pool threads of the desk, but for
 * a replay, which reads telemetry. */
#include <jansson.h>

#include "server/api/api_int.h"

/* What a body may hold; the rest is refused by name, so that a slip of the pen does nothing. */
typedef struct act_body {
    mw_slice other, text, version;
    mw_slice *alarms;
    size_t alarm_count;
} act_body;

static mw_slice text_of(const json_t *value)
{
    return (mw_slice){json_string_value(value), json_string_length(value)};
}

static mw_err read_text(mw_api_call *call, const char *key, const json_t *value, mw_slice *out)
{
    if (!json_is_string(value))
        return mw_detail_set(&call->detail, MW_E_INVALID, key, "give it as a JSON string",
                             "not a string");
    *out = text_of(value);
    return MW_OK;
}

static mw_err read_alarms(mw_api_call *call, const json_t *value, act_body *out)
{
    size_t count = json_array_size(value);
    out->alarms = mw_arena_zalloc(&call->arena, count + 1, sizeof *out->alarms);
    if (!out->alarms)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        if (json_is_string(json_array_get(value, i)))
            out->alarms[out->alarm_count++] = text_of(json_array_get(value, i));
    if (json_is_array(value) && count && out->alarm_count == count)
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "alarms", "[\"id\", ...]",
                         "not a list of alarm ids");
}

/* `other` is the member's name for the second id, NULL when the verb takes none. */
static mw_err read_body(mw_api_call *call, json_t *root, const char *other, mw_verb verb,
                        act_body *out)
{
    const char *key;
    json_t *value;
    mw_err err = MW_OK;
    *out = (act_body){.other = MW_SLICE(""), .text = MW_SLICE(""), .version = MW_SLICE("")};
    if (!json_is_object(root))
        return mw_detail_set(&call->detail, MW_E_INVALID, "body", "send {}", "not a JSON object");
    json_object_foreach(root, key, value)
    {
        if (err)
            break;
        if (other && strcmp(key, other) == 0)
            err = read_text(call, key, value, &out->other);
        else if (strcmp(key, "text") == 0)
            err = read_text(call, key, value, &out->text);
        else if (strcmp(key, "version") == 0)
            err = read_text(call, key, value, &out->version);
        else if (verb == MW_VERB_SPLIT && strcmp(key, "alarms") == 0)
            err = read_alarms(call, value, out);
        else
            err = mw_detail_set(&call->detail, MW_E_INVALID, "body", "see the API's index",
                                "unknown member %s", key);
    }
    if (!err && other && !out->other.len)
        err = mw_detail_set(&call->detail, MW_E_INVALID, other, "name an investigation", "missing");
    if (!err && verb == MW_VERB_COMMENT && !out->text.len)
        err = mw_detail_set(&call->detail, MW_E_INVALID, "text", "say something", "missing");
    return err;
}

static mw_err act(mw_api_call *call, json_t *root, mw_verb verb, const char *other)
{
    act_body body;
    mw_acted done;
    const mw_principal *who;
    mw_err err = read_body(call, root, other, verb, &body);
    if (!err)
        err = mw_api_principal(call, &who);
    if (err)
        return err;
    mw_act wanted = {.verb = verb,
                     .subject = call->request->params[0],
                     .other = body.other,
                     .alarms = body.alarms,
                     .alarm_count = body.alarm_count,
                     .text = body.text,
                     .version = body.version,
                     .who = mw_slice_of(who->name),
                     .address = mw_slice_of(call->request->peer->address)};
    err = mw_triage_act(call->server->triage, &wanted, &call->arena, &done, &call->detail);
    if (err)
        return err;
    mw_json_object_begin(&call->json);
    mw_json_kv_or_null(&call->json, "alarm_id", done.alarm_id);
    mw_json_kv_or_null(&call->json, "investigation_id", done.investigation_id);
    mw_json_object_end(&call->json);
    return MW_OK;
}

#define ACT(name, verb, other)                                                                     \
    static mw_err name##_from(mw_api_call *call, json_t *root)                                     \
    {                                                                                              \
        return act(call, root, verb, other);                                                       \
    }                                                                                              \
    mw_err mw_api_##name(mw_api_call *call)                                                        \
    {                                                                                              \
        return mw_api_change(call, name##_from);                                                   \
    }

ACT(alarm_link, MW_VERB_LINK, "investigation_id")
ACT(alarm_unlink, MW_VERB_UNLINK, NULL)
ACT(alarm_proceed, MW_VERB_PROCEED, NULL)
ACT(alarm_skip, MW_VERB_SKIP, NULL)
ACT(investigation_merge, MW_VERB_MERGE, "into")
ACT(investigation_split, MW_VERB_SPLIT, NULL)
ACT(investigation_claim, MW_VERB_CLAIM, NULL)
ACT(investigation_comment, MW_VERB_COMMENT, NULL)
ACT(investigation_close, MW_VERB_CLOSE, NULL)

/* ---- imported calls -------------------------------------------------------------------------- */

static mw_err read_edge(mw_api_call *call, const json_t *pair, mw_call_edge *out)
{
    const json_t *caller = json_array_get(pair, 0), *callee = json_array_get(pair, 1);
    out->caller = json_is_string(caller) ? text_of(caller) : MW_SLICE("");
    out->callee = json_is_string(callee) ? text_of(callee) : MW_SLICE("");
    if (json_array_size(pair) == 2 && out->caller.len && out->callee.len)
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "edges",
                         "{\"edges\": [[\"caller\", \"callee\"], ...]}",
                         "an edge is not two names");
}

static int by_ends(const void *left, const void *right)
{
    const mw_call_edge *a = left, *b = right;
    int order = mw_slice_compare(a->caller, b->caller);
    return order ? order : mw_slice_compare(a->callee, b->callee);
}

/* Sorted, those that are named twice once. */
static size_t tidy(mw_call_edge *edges, size_t count)
{
    size_t kept = 0;
    qsort(edges, count, sizeof *edges, by_ends);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || by_ends(&edges[kept - 1], &edges[i]) != 0)
            edges[kept++] = edges[i];
    return kept;
}

static mw_err import_from(mw_api_call *call, json_t *root)
{
    const json_t *list = json_object_get(root, "edges");
    size_t count = json_array_size(list);
    const mw_principal *who;
    mw_call_edge *edges = mw_arena_zalloc(&call->arena, count + 1, sizeof *edges);
    mw_err err = edges ? MW_OK : MW_E_NOMEM;
    if (!err && !json_is_array(list))
        err = mw_detail_set(&call->detail, MW_E_INVALID, "edges",
                            "{\"edges\": [[\"caller\", \"callee\"], ...]}", "not a list");
    for (size_t i = 0; !err && i < count; i++)
        err = read_edge(call, json_array_get(list, i), &edges[i]);
    if (!err)
        err = mw_api_principal(call, &who);
    if (err)
        return err;
    count = tidy(edges, count);
    err = mw_triage_import(call->server->triage, edges, count, mw_slice_of(who->name),
                           mw_slice_of(call->request->peer->address));
    if (err)
        return err;
    mw_json_object_begin(&call->json);
    mw_json_kv_u64(&call->json, "edges", count);
    mw_json_object_end(&call->json);
    return MW_OK;
}

mw_err mw_api_topology_import(mw_api_call *call)
{
    return mw_api_change(call, import_from);
}

/* ---- replay ---------------------------------------------------------------------------------- */

mw_err mw_api_alarm_replay(mw_api_call *call)
{
    mw_slice id = MW_SLICE_NONE;
    mw_replayed done;
    mw_json *json = &call->json;
    mw_err err = mw_api_no_parameters(call);
    if (!err)
        err = mw_api_hex_id(call, call->request->params[0], &id);
    if (!err)
        err = mw_triage_replay(call->server->triage, id, &call->arena, &done, &call->detail);
    if (err)
        return err;
    mw_json_object_begin(json);
    mw_json_kv_bool(json, "same", done.same);
    mw_json_kv_or_null(json, "difference", done.difference);
    mw_json_key(json, MW_SLICE("drifts"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < done.drift_count; i++)
        mw_json_string(json, done.drifts[i]);
    mw_json_array_end(json);
    mw_json_kv_u64(json, "as_of_then", done.as_of_then);
    mw_json_kv_u64(json, "as_of_now", done.as_of_now);
    mw_json_object_end(json);
    return MW_OK;
}
