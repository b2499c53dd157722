/* Bodies of deliveries. See body_int.h. */
#include "lib/base/json_writer.h"
#include "webhook/body_int.h"

/* Real deliveries nest 4 levels; the vendor's own event under `data` a few more. Before parsing,
 * so that a million brackets cost one pass and no stack. */
#define DEPTH_MAX 32

const char *const mw_action_words[] = {"created", "updated", "closed", "resolved", NULL};
const char *const mw_priority_words[] = {"CRITICAL", "HIGH", "MEDIUM", "LOW", "MINIMAL", NULL};

/* ---- before the parser --------------------------------------------------------------------- */

static bool is_json_type(const mw_request *request)
{
    size_t count;
    mw_slice type = mw_request_header(request, MW_SLICE("content-type"), &count);
    type = mw_slice_trim(mw_slice_first(type, mw_slice_find_byte(type, ';')));
    if (count != 1)
        return false;
    if (mw_slice_equal_nocase(type, MW_SLICE("application/json")))
        return true;
    static const mw_slice prefix = MW_SLICE_INIT("application/"), suffix = MW_SLICE_INIT("+json");
    return type.len > prefix.len + suffix.len &&
           mw_slice_equal_nocase(mw_slice_first(type, prefix.len), prefix) &&
           mw_slice_equal_nocase(mw_slice_from(type, type.len - suffix.len), suffix);
}

/* Counts brackets outside of strings; whether they match is the parser's business. */
bool mw_body_is_shallow(mw_slice text)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > DEPTH_MAX)
                return false;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

static mw_err syntax_error(const json_error_t *error, mw_detail *detail)
{
    switch (json_error_code(error)) {
    case json_error_out_of_memory: return MW_E_NOMEM;
    case json_error_duplicate_key:
        return mw_detail_set(detail, MW_E_INVALID, "", NULL,
                             "an object names a member twice (line %d, column %d)", error->line,
                             error->column);
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return mw_detail_set(detail, MW_E_INVALID, "", NULL,
                             "a string holds U+0000 (line %d, column %d)", error->line,
                             error->column);
    default:
        return mw_detail_set(detail, MW_E_SYNTAX, "", NULL,
                             "the body is not JSON (line %d, column %d)", error->line,
                             error->column);
    }
}

mw_err mw_body_load(const mw_delivery *delivery, json_t **root, mw_detail *detail)
{
    json_error_t error;
    mw_slice body = delivery->request->body;
    *root = NULL;
    if (!is_json_type(delivery->request))
        return mw_detail_set(detail, MW_E_UNSUPPORTED, "content-type", NULL,
                             "the content type must be application/json");
    if (!mw_body_is_shallow(body))
        return mw_detail_set(detail, MW_E_INVALID, "", NULL, "nested deeper than %d levels",
                             DEPTH_MAX);
    *root = json_loadb(body.len ? body.data : "", body.len, JSON_REJECT_DUPLICATES, &error);
    if (!*root)
        return syntax_error(&error, detail);
    if (json_is_object(*root))
        return MW_OK;
    json_decref(*root);
    *root = NULL;
    return mw_detail_set(detail, MW_E_INVALID, "", NULL, "the body must be a JSON object");
}

/* ---- members ------------------------------------------------------------------------------- */

size_t mw_body_characters(mw_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

mw_slice mw_body_cut(mw_slice text, size_t characters)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
        if (count > characters)
            return mw_slice_first(text, i);
    }
    return text;
}

mw_slice mw_body_text_of(const json_t *value)
{
    return mw_slice_bytes(json_string_value(value), json_string_length(value));
}

mw_err mw_body_check_text(mw_slice text, const mw_text_rule *rule, mw_arena *arena, mw_slice *out,
                          mw_detail *detail)
{
    *out = MW_SLICE("");
    if (!text.data && rule->required)
        return mw_detail_set(detail, MW_E_INVALID, rule->field, NULL, "%s is missing", rule->field);
    if (!text.data)
        return MW_OK;
    if (rule->required && !text.len)
        return mw_detail_set(detail, MW_E_INVALID, rule->field, NULL, "%s is empty", rule->field);
    if (rule->max_bytes && text.len > rule->max_bytes)
        return mw_detail_set(detail, MW_E_INVALID, rule->field, NULL, "%s is longer than %zu bytes",
                             rule->field, rule->max_bytes);
    if (rule->max_characters && mw_body_characters(text) > rule->max_characters)
        return mw_detail_set(detail, MW_E_INVALID, rule->field, NULL,
                             "%s is longer than %zu characters", rule->field, rule->max_characters);
    *out = mw_arena_copy(arena, text);
    return out->data ? MW_OK : MW_E_NOMEM;
}

mw_err mw_body_text(const json_t *object, const mw_text_rule *rule, mw_arena *arena, mw_slice *out,
                    mw_detail *detail)
{
    const json_t *value = json_object_get(object, rule->name);
    bool absent = !value || json_is_null(value);
    *out = MW_SLICE("");
    if (!absent && !json_is_string(value))
        return mw_detail_set(detail, MW_E_INVALID, rule->field, NULL, "%s must be a string",
                             rule->field);
    return mw_body_check_text(absent ? MW_SLICE_NONE : mw_body_text_of(value), rule, arena, out,
                              detail);
}

mw_slice mw_body_word(const char *const *words, mw_slice text)
{
    for (; *words; words++)
        if (mw_slice_equal(text, mw_slice_of(*words)))
            return mw_slice_of(*words);
    return MW_SLICE_NONE;
}

mw_err mw_body_strings(const json_t *array, const char *field, mw_arena *arena, mw_slice *out,
                       mw_detail *detail)
{
    mw_buffer buffer;
    mw_json json;
    /* An escape makes six bytes of one; a body has at most MW_ALERTS_BODY_MAX. */
    mw_buffer_init(&buffer, MW_MEM_JSON, MW_ALERTS_BODY_MAX * 6 + 16);
    mw_json_init(&json, &buffer);
    mw_json_array_begin(&json);
    bool strings = true;
    for (size_t i = 0; i < json_array_size(array) && strings; i++) {
        const json_t *value = json_array_get(array, i);
        strings = json_is_string(value);
        if (strings)
            mw_json_string(&json, mw_body_text_of(value));
    }
    mw_json_array_end(&json);
    mw_err err = buffer.err;
    if (!strings)
        err = mw_detail_set(detail, MW_E_INVALID, field, NULL, "%s must be an array of strings",
                            field);
    if (err == MW_OK) {
        *out = mw_arena_copy(arena, mw_buffer_slice(&buffer));
        err = out->data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(&buffer);
    return err;
}

static int append_dump(const char *text, size_t len, void *ctx)
{
    mw_buffer *buffer = ctx;
    mw_buffer_append(buffer, text, len);
    return buffer->err == MW_OK ? 0 : -1;
}

mw_err mw_body_dump(const json_t *value, mw_arena *arena, mw_slice *out)
{
    mw_buffer buffer;
    mw_buffer_init(&buffer, MW_MEM_JSON, MW_ALERTS_BODY_MAX * 6 + 16);
    mw_err err = MW_E_NOMEM;
    if (json_dump_callback(value, append_dump, &buffer, JSON_COMPACT) == 0) {
        *out = mw_arena_copy(arena, mw_buffer_slice(&buffer));
        err = out->data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(&buffer);
    return err;
}

mw_err mw_alarm_events_make(mw_arena *arena, size_t count, mw_alarm_events *out)
{
    MW_ASSERT(count >= 1 && count <= MW_DELIVERY_EVENTS_MAX);
    out->items = mw_arena_zalloc(arena, count, sizeof *out->items);
    out->count = count;
    return out->items ? MW_OK : MW_E_NOMEM;
}
