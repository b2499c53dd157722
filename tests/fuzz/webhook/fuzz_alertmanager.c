/* The alertmanager adapter: what it accepts holds to what is promised of an event, each event
 * stands for the alert of its number, what it refuses says why, and nothing outlives the arena.
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

static mw_slice text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return mw_slice_bytes(json_string_value(value), json_string_length(value));
}

static void check_event(const json_t *alert, const mw_alarm_event *event, bool several)
{
    bool firing = mw_slice_equal(text_of(alert, "status"), MW_SLICE("firing"));
    check(mw_slice_equal(event->action, firing ? MW_SLICE("created") : MW_SLICE("resolved")));
    check(mw_slice_starts(event->incident_id, MW_SLICE("am:")));
    check(mw_slice_contains(event->incident_id, text_of(alert, "fingerprint")));
    check(event->incident_id.len <= 256 && event->started_ns > 0);
    check(event->title.len >= 1 && event->title.len <= 512 * 4);
    check(event->service.len <= 256 * 4 && event->region.len <= 64 * 4);
    check(event->description.len <= 32768);
    check((event->body.len > 0) == several);
    json_error_t error;
    json_t *resources =
        json_loadb(event->resources_json.data, event->resources_json.len, 0, &error);
    check(json_is_array(resources));
    json_decref(resources);
}

static void check_accepted(mw_slice body, const mw_alarm_events *events)
{
    json_error_t error;
    json_t *root = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, &error);
    const json_t *alerts = json_object_get(root, "alerts");
    check(events->count >= 1 && events->count == json_array_size(alerts));
    for (size_t i = 0; i < events->count; i++)
        check_event(json_array_get(alerts, i), &events->items[i], events->count > 1);
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const mw_webhook_source *source = mw_webhook_source_find(MW_SLICE("alertmanager"));
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
        check_accepted(request.body, &events);
    else
        check((err == MW_E_SYNTAX || err == MW_E_INVALID) && detail.message[0]);
    mw_arena_reset(&arena);
    check(mw_memory_component_used(MW_MEM_JSON) == 0);
    return 0;
}
