/* Messages to text. See messages.h. No recursion: each step goes one level down, at most
 * LEVELS_MAX times. */
#include <jansson.h>
#include <string.h>

#include "server/api/messages.h"

/* {"messages":[[{"kwargs":{"content":[{"text":"..."}]}}]]} has eight. */
#define LEVELS_MAX 12

static mw_slice text_of(const json_t *value)
{
    if (!json_is_string(value))
        return MW_SLICE_NONE;
    return (mw_slice){json_string_value(value), json_string_length(value)};
}

bool mw_role_is(mw_slice role, mw_speaker speaker)
{
    static const char *const users[] = {"user", "human", NULL};
    static const char *const assistants[] = {"assistant", "ai", "model", NULL};
    const char *const *names = speaker == MW_SPEAKER_USER ? users : assistants;
    for (; *names; names++)
        if (mw_slice_equal_nocase(role, mw_slice_of(*names)))
            return true;
    return false;
}

/* The role that a message names; empty when it names none. LangChain's lie in "kwargs", or are
 * pairs of role and text. */
static mw_slice role_of(const json_t *message)
{
    if (json_is_array(message) && json_array_size(message) == 2 &&
        json_is_string(json_array_get(message, 1)))
        return text_of(json_array_get(message, 0));
    const json_t *inner = json_object_get(message, "kwargs");
    const json_t *from = json_is_object(inner) ? inner : message;
    mw_slice role = text_of(json_object_get(from, "role"));
    if (role.len)
        return role;
    role = text_of(json_object_get(from, "type"));
    bool known = mw_role_is(role, MW_SPEAKER_USER) || mw_role_is(role, MW_SPEAKER_ASSISTANT);
    return known ? role : MW_SLICE_NONE;
}

/* The text of a part of a message; parts of another type than text have none that was said. */
static mw_slice part_text(const json_t *part)
{
    mw_slice type = text_of(json_object_get(part, "type"));
    if (json_is_string(part))
        return text_of(part);
    if (type.len && !mw_slice_equal(type, MW_SLICE("text")) &&
        !mw_slice_equal(type, MW_SLICE("input_text")) &&
        !mw_slice_equal(type, MW_SLICE("output_text")))
        return MW_SLICE_NONE;
    mw_slice text = text_of(json_object_get(part, "text"));
    return text.len ? text : text_of(json_object_get(part, "content"));
}

static bool append_parts(const json_t *parts, mw_buffer *out)
{
    bool any = false;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        mw_slice text = part_text(json_array_get(parts, i));
        if (!text.len)
            continue;
        if (any)
            mw_buffer_append_byte(out, '\n');
        mw_buffer_append_slice(out, text);
        any = true;
    }
    return any;
}

/* The last message of the speaker; when no message names a role, NULL. */
static const json_t *last_of(const json_t *messages, mw_speaker speaker, bool *roles)
{
    const json_t *found = NULL;
    *roles = false;
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i);
        mw_slice role = role_of(message);
        *roles |= role.len > 0;
        if (mw_role_is(role, speaker))
            found = message;
    }
    return found;
}

/* The member that leads on to the text. */
static const json_t *next_member(const json_t *object, mw_speaker speaker)
{
    static const char *const asked[] = {"messages", "kwargs",   "input",    "inputs",  "prompt",
                                        "query",    "question", "contents", "message", "content",
                                        "parts",    "text",     NULL};
    static const char *const answered[] = {"messages",   "kwargs",     "output",   "outputs",
                                           "choices",    "candidates", "message",  "content",
                                           "parts",      "text",       "response", "result",
                                           "completion", "answer",     NULL};
    const char *const *names = speaker == MW_SPEAKER_USER ? asked : answered;
    for (; *names; names++) {
        const json_t *member = json_object_get(object, *names);
        if (member && !json_is_null(member))
            return member;
    }
    return NULL;
}

static const json_t *next_of_array(const json_t *array, mw_speaker speaker, mw_buffer *out)
{
    bool roles;
    const json_t *message = last_of(array, speaker, &roles);
    if (message && json_is_array(message))
        return json_array_get(message, 1);
    if (message)
        return message;
    if (roles || append_parts(array, out))
        return NULL;
    /* Lists in lists, choices, candidates: the last speaks. */
    size_t count = json_array_size(array);
    return count ? json_array_get(array, count - 1) : NULL;
}

static void append_tree(const json_t *root, mw_speaker speaker, mw_buffer *out)
{
    const json_t *at = root;
    for (int level = 0; at && level < LEVELS_MAX; level++) {
        if (json_is_string(at)) {
            mw_buffer_append_slice(out, text_of(at));
            return;
        }
        at = json_is_array(at)    ? next_of_array(at, speaker, out)
             : json_is_object(at) ? next_member(at, speaker)
                                  : NULL;
    }
}

void mw_message_text(mw_slice value, mw_speaker speaker, mw_buffer *out)
{
    mw_slice text = mw_slice_trim(value);
    bool json = text.len && strchr("[{\"", text.data[0]) && text.len <= MW_MESSAGES_JSON_MAX;
    json_t *root =
        json ? json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    if (root)
        append_tree(root, speaker, out);
    else
        mw_buffer_append_slice(out, text);
    json_decref(root);
}
