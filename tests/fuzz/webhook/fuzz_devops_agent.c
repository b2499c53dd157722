/* The devops-agent adapter: what it accepts holds to the schema as read a second time, what it
 * refuses says why, and nothing of a delivery outlives its arena.
 */
#include <jansson.h>
#include <string.h>

#include "lib/base/memory.h"
#include "webhook/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static bool is_member(const json_t *root, const char *name, mw_slice text)
{
    const json_t *value = json_object_get(root, name);
    return json_is_string(value) && mw_slice_equal(text, mw_slice_bytes(json_string_value(value),
                                                                        json_string_length(value)));
}

static bool is_one_of(mw_slice text, const char *list)
{
    mw_slice rest = mw_slice_of(list), word;
    while (mw_slice_split(&rest, ' ', &word))
        if (mw_slice_equal(word, text))
            return true;
    return false;
}

/* Levels of a value that was parsed; without recursion: the parser's own limit is far above. */
static unsigned depth_of(mw_slice body)
{
    unsigned depth = 0, deepest = 0;
    bool quoted = false, escaped = false;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.data[i];
        if (!quoted && (c == '{' || c == '['))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!quoted && (c == '}' || c == ']'))
            depth--;
        bool quote = c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        quoted = quote ? !quoted : quoted;
    }
    return deepest;
}

static void check_accepted(mw_slice body, const mw_alarm_event *event)
{
    json_error_t error;
    json_t *root = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, &error);
    check(json_is_object(root));
    check(depth_of(body) <= 32);
    check(is_member(root, "eventType", MW_SLICE("incident")));
    check(is_member(root, "incidentId", event->incident_id) && event->incident_id.len >= 1 &&
          event->incident_id.len <= 256 * 4);
    check(is_member(root, "title", event->title) && event->title.len >= 1 &&
          event->title.len <= 512 * 4);
    check(is_member(root, "action", event->action));
    check(is_one_of(event->action, "created updated closed resolved"));
    check(is_member(root, "priority", event->priority));
    check(is_one_of(event->priority, "CRITICAL HIGH MEDIUM LOW MINIMAL"));
    check(!event->service.len || is_member(root, "service", event->service));
    check(!event->description.len || is_member(root, "description", event->description));
    check(event->description.len <= 32768 && event->service.len <= 256 * 4);
    check(event->region.len <= 64);
    check(event->started_ns >= 0);
    json_t *resources =
        json_loadb(event->resources_json.data, event->resources_json.len, 0, &error);
    check(json_is_array(resources));
    for (size_t i = 0; i < json_array_size(resources); i++)
        check(json_is_string(json_array_get(resources, i)));
    json_decref(resources);
    json_decref(root);
}

static void check_refused(mw_err err, const mw_detail *detail)
{
    check(err == MW_E_SYNTAX || err == MW_E_INVALID);
    check(detail->message[0] != '\0');
    for (const char *c = detail->message; *c; c++)
        check((unsigned char)*c >= 0x20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const mw_webhook_source *source = mw_webhook_source_find(MW_SLICE("devops-agent"));
    if (size > source->max_body)
        return 0;
    mw_header type = {MW_SLICE("content-type"), MW_SLICE("application/json")};
    mw_request request = {.headers = &type, .header_count = 1, .body = mw_slice_bytes(data, size)};
    mw_delivery delivery = {.request = &request};
    mw_alarm_events events = {.count = 0};
    mw_detail detail = {0};
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_JSON, 0);
    mw_err err = source->parse(&delivery, &arena, &events, &detail);
    if (err == MW_OK)
        check_accepted(request.body, &events.items[0]);
    else
        check_refused(err, &detail);
    check(err != MW_OK || events.count == 1);
    mw_arena_reset(&arena);
    check(mw_memory_component_used(MW_MEM_JSON) == 0);
    return 0;
}
