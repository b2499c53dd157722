/* The body of a request that changes something: one JSON object, its members; and who changes it,
 * for the audit. Pool threads. */
#include "server/api/api_int.h"

static mw_err check_type(mw_api_call *call)
{
    mw_slice type = mw_request_header(call->request, MW_SLICE("content-type"), NULL);
    type = mw_slice_trim(mw_slice_first(type, mw_slice_find_byte(type, ';')));
    if (mw_slice_equal_nocase(type, MW_JSON_TYPE))
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_UNSUPPORTED, "content-type", "send application/json",
                         "the body's type is not JSON");
}

static mw_err read_body(mw_api_call *call, json_t **root)
{
    json_error_t error;
    mw_err err = check_type(call);
    if (err)
        return err;
    *root = json_loadb(call->request->body.data, call->request->body.len, JSON_REJECT_DUPLICATES,
                       &error);
    if (*root)
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "body", "send one JSON object",
                         "not JSON: %s", error.text);
}

mw_err mw_api_change(mw_api_call *call, mw_err (*change)(mw_api_call *call, json_t *root))
{
    json_t *root = NULL;
    mw_err err = mw_api_no_parameters(call);
    if (!err)
        err = read_body(call, &root);
    if (!err)
        err = change(call, root);
    json_decref(root);
    return err;
}

/* ---- members ------------------------------------------------------------------------------- */

static bool is_named(const char *const *names, const char *key)
{
    for (; *names; names++)
        if (strcmp(*names, key) == 0)
            return true;
    return false;
}

mw_err mw_api_members_check(mw_api_call *call, const json_t *root, const char *const *names,
                            const char *example)
{
    const char *key;
    json_t *value;
    if (!json_is_object(root))
        return mw_detail_set(&call->detail, MW_E_INVALID, "body", example, "not a JSON object");
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        if (!is_named(names, key))
            return mw_detail_set(&call->detail, MW_E_INVALID, "body", example, "unknown member %s",
                                 key);
    }
    return MW_OK;
}

static bool is_absent(const json_t *value)
{
    return !value || json_is_null(value);
}

mw_err mw_api_member_text(mw_api_call *call, const json_t *root, const char *name, bool required,
                          mw_slice *out)
{
    const json_t *value = json_object_get(root, name);
    *out = MW_SLICE_NONE;
    if (is_absent(value) && !required)
        return MW_OK;
    if (!json_is_string(value))
        return mw_detail_set(&call->detail, MW_E_INVALID, name, "give it as a JSON string",
                             value ? "not a string" : "missing");
    *out = (mw_slice){json_string_value(value), json_string_length(value)};
    return MW_OK;
}

mw_err mw_api_member_number(mw_api_call *call, const json_t *root, const char *name,
                            mw_api_bounds bounds, int64_t *out)
{
    const json_t *value = json_object_get(root, name);
    char hint[64];
    *out = bounds.otherwise;
    if (is_absent(value))
        return MW_OK;
    *out = json_integer_value(value);
    if (json_is_integer(value) && *out >= bounds.least && *out <= bounds.most)
        return MW_OK;
    snprintf(hint, sizeof hint, "a whole number of %lld to %lld", (long long)bounds.least,
             (long long)bounds.most);
    return mw_detail_set(&call->detail, MW_E_INVALID, name, hint, "out of bounds or no number");
}

mw_err mw_api_member_switch(mw_api_call *call, const json_t *root, const char *name, bool *out)
{
    const json_t *value = json_object_get(root, name);
    *out = json_is_true(value);
    if (is_absent(value) || json_is_boolean(value))
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, name, "give true or false",
                         "neither true nor false");
}

static mw_err join(mw_api_call *call, const json_t *array, const char *name, mw_buffer *text)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_string(value))
            return mw_detail_set(&call->detail, MW_E_INVALID, name, "give strings",
                                 "entry %zu is not a string", i + 1);
        if (i > 0)
            mw_buffer_append_slice(text, MW_SLICE(", "));
        mw_buffer_append_slice(text,
                               (mw_slice){json_string_value(value), json_string_length(value)});
    }
    return text->err;
}

mw_err mw_api_member_list(mw_api_call *call, const json_t *root, const char *name, mw_slice *out)
{
    const json_t *value = json_object_get(root, name);
    mw_buffer text;
    *out = MW_SLICE("");
    if (is_absent(value))
        return MW_OK;
    if (json_is_string(value))
        return mw_api_member_text(call, root, name, true, out);
    if (!json_is_array(value))
        return mw_detail_set(&call->detail, MW_E_INVALID, name, "give an array of strings",
                             "not an array");
    mw_buffer_init(&text, MW_MEM_QUERY, call->request->body.len * 2 + 64);
    mw_err err = join(call, value, name, &text);
    if (!err) {
        *out = mw_arena_copy(&call->arena, mw_buffer_slice(&text));
        err = out->data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(&text);
    return err;
}

void mw_api_list_member(mw_json *json, const char *name, mw_slice list)
{
    mw_slice part;
    mw_json_key(json, mw_slice_of(name));
    mw_json_array_begin(json);
    while (mw_slice_split(&list, ',', &part))
        mw_json_string(json, mw_slice_trim(part));
    mw_json_array_end(json);
}

/* ---- who ----------------------------------------------------------------------------------- */

mw_err mw_api_principal(mw_api_call *call, const mw_principal **out)
{
    mw_principal *who = mw_arena_zalloc(&call->arena, 1, sizeof *who);
    *out = who;
    if (!who)
        return MW_E_NOMEM;
    if (mw_gate_principal(&call->server->gate, call->request, who) == MW_OK)
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_DENIED, "authorization", "see midwatch token list",
                         "this token is not good any more");
}
