/* Reading mappings and following pointers. See mapping_int.h. No recursion; pure. */
#include "webhook/body_int.h"
#include "webhook/mapping_int.h"

static const char *const field_names[MW_MAPPED_FIELDS] = {
    "incident_id", "title", "action", "priority", "description", "service", "region", "started_at"};

const char *mw_mapped_field_name(mw_mapped_field field)
{
    MW_ASSERT(field < MW_MAPPED_FIELDS);
    return field_names[field];
}

/* ---- pointers ------------------------------------------------------------------------------ */

/* ~1 is "/", ~0 is "~"; another ~ is an error. */
static mw_err decode_token(mw_slice text, mw_arena *arena, mw_slice *out)
{
    char *copy = mw_arena_alloc(arena, text.len + 1);
    size_t len = 0;
    if (!copy)
        return MW_E_NOMEM;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '\0')
            return MW_E_SYNTAX;
        if (c == '~') {
            char next = i + 1 < text.len ? text.data[++i] : '\0';
            if (next != '0' && next != '1')
                return MW_E_SYNTAX;
            c = next == '0' ? '~' : '/';
        }
        copy[len++] = c;
    }
    copy[len] = '\0';
    *out = mw_slice_bytes(copy, len);
    return MW_OK;
}

mw_err mw_pointer_parse(mw_slice text, mw_arena *arena, mw_pointer *out)
{
    *out = (mw_pointer){.given = true};
    if (text.len > MW_POINTER_MAX)
        return MW_E_LIMIT;
    while (text.len) {
        if (text.data[0] != '/')
            return MW_E_SYNTAX;
        text = mw_slice_from(text, 1);
        size_t len = mw_slice_find_byte(text, '/');
        if (out->count == MW_POINTER_TOKENS)
            return MW_E_LIMIT;
        mw_err err = decode_token(mw_slice_first(text, len), arena, &out->tokens[out->count++]);
        if (err != MW_OK)
            return err;
        text = mw_slice_from(text, len);
    }
    return MW_OK;
}

/* "0", or digits that do not begin with it. */
static const json_t *element(const json_t *array, mw_slice token)
{
    uint64_t index;
    bool leading_zero = token.len > 1 && token.data[0] == '0';
    if (leading_zero || mw_slice_u64(token, &index) != MW_OK || index >= json_array_size(array))
        return NULL;
    return json_array_get(array, (size_t)index);
}

const json_t *mw_pointer_find(const mw_pointer *pointer, const json_t *document)
{
    for (size_t i = 0; i < pointer->count && document; i++) {
        mw_slice token = pointer->tokens[i];
        document = json_is_array(document) ? element(document, token)
                                           : json_object_getn(document, token.data, token.len);
    }
    return document;
}

/* ---- the parts of a mapping ---------------------------------------------------------------- */

static mw_err refuse(mw_err err, const char *part, const char *member, const char *why,
                     mw_detail *detail)
{
    char field[96];
    snprintf(field, sizeof field, "mapping%s%s%s%.40s", part[0] ? "." : "", part,
             member[0] ? "." : "", member);
    return mw_detail_set(detail, err, field, "see docs/WEBHOOKS.md", "%s", why);
}

static int field_of(const char *name)
{
    for (int i = 0; i < MW_MAPPED_FIELDS; i++)
        if (strcmp(name, field_names[i]) == 0)
            return i;
    return -1;
}

static mw_err read_pointer(const json_t *value, mw_arena *arena, mw_pointer *out)
{
    return json_is_string(value) ? mw_pointer_parse(mw_body_text_of(value), arena, out)
                                 : MW_E_SYNTAX;
}

static mw_err read_fields(json_t *object, mw_arena *arena, mw_mapping *out, mw_detail *detail)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return refuse(MW_E_INVALID, "fields", "", "must be an object of JSON pointers", detail);
    json_object_foreach(object, key, value)
    {
        int field = field_of(key);
        if (field < 0)
            return refuse(MW_E_INVALID, "fields", key, "there is no such field", detail);
        mw_err err = read_pointer(value, arena, &out->fields[field]);
        if (err == MW_E_NOMEM)
            return err;
        if (err != MW_OK)
            return refuse(MW_E_INVALID, "fields", key, "must be a JSON pointer such as /alert/id",
                          detail);
    }
    if (!out->fields[MW_MAPPED_INCIDENT_ID].given)
        return refuse(MW_E_INVALID, "fields", "incident_id", "is missing", detail);
    if (!out->fields[MW_MAPPED_TITLE].given)
        return refuse(MW_E_INVALID, "fields", "title", "is missing", detail);
    return MW_OK;
}

static mw_err read_table(json_t *object, const char *part, const char *const *words,
                         mw_arena *arena, mw_value_table *out, mw_detail *detail)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object) || json_object_size(object) > MW_MAPPING_VALUES_MAX)
        return refuse(MW_E_INVALID, part, "", "must be an object of at most 64 words", detail);
    out->items = mw_arena_zalloc(arena, json_object_size(object) + 1, sizeof *out->items);
    if (!out->items)
        return MW_E_NOMEM;
    json_object_foreach(object, key, value)
    {
        mw_mapped_value *item = &out->items[out->count++];
        item->theirs = mw_arena_copy(arena, mw_slice_of(key));
        item->ours = mw_body_word(words, mw_body_text_of(value));
        if (!item->theirs.data)
            return MW_E_NOMEM;
        if (!item->ours.data)
            return refuse(MW_E_INVALID, part, key, "is not one of the words of an alarm", detail);
    }
    return MW_OK;
}

static mw_err read_values(json_t *object, mw_arena *arena, mw_mapping *out, mw_detail *detail)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return refuse(MW_E_INVALID, "values", "", "must be an object", detail);
    json_object_foreach(object, key, value)
    {
        mw_err err = MW_E_INVALID;
        if (strcmp(key, "action") == 0)
            err = read_table(value, "values.action", mw_action_words, arena, &out->actions, detail);
        else if (strcmp(key, "priority") == 0)
            err = read_table(value, "values.priority", mw_priority_words, arena, &out->priorities,
                             detail);
        else
            err = refuse(err, "values", key, "only action and priority have words", detail);
        if (err != MW_OK)
            return err;
    }
    return MW_OK;
}

static bool is_default(int field, mw_slice text)
{
    switch (field) {
    case MW_MAPPED_ACTION: return mw_body_word(mw_action_words, text).data != NULL;
    case MW_MAPPED_PRIORITY: return mw_body_word(mw_priority_words, text).data != NULL;
    case MW_MAPPED_DESCRIPTION:
    case MW_MAPPED_SERVICE: return text.len && mw_body_characters(text) <= MW_SERVICE_MAX;
    case MW_MAPPED_REGION: return text.len && text.len <= MW_REGION_MAX;
    default: return false; /* what tells alarms apart must come from the sender */
    }
}

static mw_err read_defaults(json_t *object, mw_arena *arena, mw_mapping *out, mw_detail *detail)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return refuse(MW_E_INVALID, "defaults", "", "must be an object of strings", detail);
    json_object_foreach(object, key, value)
    {
        int field = field_of(key);
        if (field < 0 || !json_is_string(value) || !is_default(field, mw_body_text_of(value)))
            return refuse(MW_E_INVALID, "defaults", key, "is no default that this field can have",
                          detail);
        out->defaults[field] = mw_arena_copy(arena, mw_body_text_of(value));
        if (!out->defaults[field].data)
            return MW_E_NOMEM;
    }
    return MW_OK;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static mw_err read_part(const char *key, json_t *value, mw_arena *arena, mw_mapping *out,
                        mw_detail *detail)
{
    if (strcmp(key, "fields") == 0)
        return read_fields(value, arena, out, detail);
    if (strcmp(key, "values") == 0)
        return read_values(value, arena, out, detail);
    if (strcmp(key, "defaults") == 0)
        return read_defaults(value, arena, out, detail);
    if (strcmp(key, "events") != 0)
        return refuse(MW_E_INVALID, "", key, "there is no such part", detail);
    mw_err err = read_pointer(value, arena, &out->events);
    return err == MW_OK || err == MW_E_NOMEM
               ? err
               : refuse(MW_E_INVALID, "events", "", "must be a JSON pointer such as /alerts",
                        detail);
}

static mw_err read_parts(json_t *root, mw_arena *arena, mw_mapping *out, mw_detail *detail)
{
    const char *key;
    json_t *value;
    if (!json_is_object(root))
        return refuse(MW_E_INVALID, "", "", "must be a JSON object", detail);
    json_object_foreach(root, key, value)
    {
        mw_err err = read_part(key, value, arena, out, detail);
        if (err != MW_OK)
            return err;
    }
    if (!out->fields[MW_MAPPED_INCIDENT_ID].given)
        return refuse(MW_E_INVALID, "fields", "", "is missing", detail);
    return MW_OK;
}

mw_err mw_mapping_parse(mw_slice json, mw_arena *arena, mw_mapping *out, mw_detail *detail)
{
    json_error_t error;
    memset(out, 0, sizeof *out);
    if (json.len > MW_MAPPING_TEXT_MAX)
        return refuse(MW_E_LIMIT, "", "", "is longer than 8192 bytes", detail);
    json_t *root = mw_body_is_shallow(json) ? json_loadb(json.len ? json.data : "", json.len,
                                                         JSON_REJECT_DUPLICATES, &error)
                                            : NULL;
    if (!root)
        return refuse(MW_E_SYNTAX, "", "", "is not JSON", detail);
    mw_err err = read_parts(root, arena, out, detail);
    json_decref(root);
    return err;
}
