/* Source "devops-agent": the AWS DevOps Agent's generic webhook (facts: webhooks 2).
 *
 * The incident schema, strict about what it names and blind to the rest: unknown members are
 * ignored. Text is kept as data, control characters included; jansson refuses NUL and bad UTF-8.
 * Pure; runs on the network loop's thread; results live in the request's arena.
 */
#include "lib/base/clock.h"
#include "webhook/body_int.h"
#include "webhook/source_int.h"

/* A required member whose value is one of a closed list. */
typedef struct word_rule {
    const char *name;
    const char *message;
    const char *const *words;
} word_rule;

static mw_err read_word(const json_t *object, const word_rule *rule, mw_slice *out,
                        mw_detail *detail)
{
    const json_t *value = json_object_get(object, rule->name);
    if (!value)
        return mw_detail_set(detail, MW_E_INVALID, rule->name, NULL, "%s is missing", rule->name);
    *out = mw_body_word(rule->words, mw_body_text_of(value));
    if (json_is_string(value) && out->data)
        return MW_OK;
    return mw_detail_set(detail, MW_E_INVALID, rule->name, NULL, "%s", rule->message);
}

static mw_err read_words(const json_t *root, mw_alarm_event *out, mw_detail *detail)
{
    static const char *const incident[] = {"incident", NULL};
    static const word_rule event_type = {"eventType", "eventType must be \"incident\"", incident};
    static const word_rule action = {
        "action", "action must be created, updated, closed or resolved", mw_action_words};
    static const word_rule priority = {
        "priority", "priority must be CRITICAL, HIGH, MEDIUM, LOW or MINIMAL", mw_priority_words};
    mw_slice ignored;
    mw_err err = read_word(root, &event_type, &ignored, detail);
    if (err == MW_OK)
        err = read_word(root, &action, &out->action, detail);
    if (err == MW_OK)
        err = read_word(root, &priority, &out->priority, detail);
    return err;
}

static mw_err read_texts(const json_t *root, mw_arena *arena, mw_alarm_event *out,
                         mw_detail *detail)
{
    static const mw_text_rule incident_id = {"incidentId", "incidentId", true, MW_INCIDENT_ID_MAX,
                                             0};
    static const mw_text_rule title = {"title", "title", true, MW_TITLE_MAX, 0};
    static const mw_text_rule description = {"description", "description", false, 0,
                                             MW_DESCRIPTION_MAX};
    static const mw_text_rule service = {"service", "service", false, MW_SERVICE_MAX, 0};
    mw_err err = mw_body_text(root, &incident_id, arena, &out->incident_id, detail);
    if (err == MW_OK)
        err = mw_body_text(root, &title, arena, &out->title, detail);
    if (err == MW_OK)
        err = mw_body_text(root, &description, arena, &out->description, detail);
    if (err == MW_OK)
        err = mw_body_text(root, &service, arena, &out->service, detail);
    return err;
}

static mw_err read_timestamp(const json_t *root, mw_alarm_event *out, mw_detail *detail)
{
    const json_t *value = json_object_get(root, "timestamp");
    out->started_ns = 0;
    if (!value || json_is_null(value))
        return MW_OK;
    if (!json_is_string(value) || mw_time_parse(mw_body_text_of(value), &out->started_ns) != MW_OK)
        return mw_detail_set(detail, MW_E_INVALID, "timestamp", NULL,
                             "timestamp must be a time such as 2026-03-14T09:26:53.000Z");
    return MW_OK;
}

/* data.metadata.region is the sender's own event: another type there is no error, just no
 * region. */
static mw_err read_region(const json_t *root, mw_arena *arena, mw_alarm_event *out)
{
    const json_t *metadata = json_object_get(json_object_get(root, "data"), "metadata");
    mw_slice region = mw_body_text_of(json_object_get(metadata, "region"));
    out->region = MW_SLICE("");
    if (!region.len || region.len > MW_REGION_MAX)
        return MW_OK;
    out->region = mw_arena_copy(arena, region);
    return out->region.data ? MW_OK : MW_E_NOMEM;
}

/* At the top level or, where senders put their own things, under data. */
static mw_err read_resources(const json_t *root, mw_arena *arena, mw_alarm_event *out,
                             mw_detail *detail)
{
    const char *field = "affectedResources";
    const json_t *array = json_object_get(root, field);
    if (!array || json_is_null(array)) {
        array = json_object_get(json_object_get(root, "data"), field);
        field = "data.affectedResources";
    }
    out->resources_json = MW_SLICE("[]");
    if (!array || json_is_null(array))
        return MW_OK;
    if (!json_is_array(array))
        return mw_detail_set(detail, MW_E_INVALID, field, NULL, "%s must be an array of strings",
                             field);
    return mw_body_strings(array, field, arena, &out->resources_json, detail);
}

static mw_err read_incident(const json_t *root, mw_arena *arena, mw_alarm_event *out,
                            mw_detail *detail)
{
    const json_t *data = json_object_get(root, "data");
    mw_err err = read_words(root, out, detail);
    if (err == MW_OK)
        err = read_texts(root, arena, out, detail);
    if (err == MW_OK)
        err = read_timestamp(root, out, detail);
    if (err == MW_OK && data && !json_is_object(data) && !json_is_null(data))
        err = mw_detail_set(detail, MW_E_INVALID, "data", NULL, "data must be an object");
    if (err == MW_OK)
        err = read_region(root, arena, out);
    if (err == MW_OK)
        err = read_resources(root, arena, out, detail);
    if (err == MW_OK)
        mw_event_settle(out);
    return err;
}

static mw_err parse(const mw_delivery *delivery, mw_arena *arena, mw_alarm_events *out,
                    mw_detail *detail)
{
    json_t *root;
    mw_err err = mw_alarm_events_make(arena, 1, out);
    if (err == MW_OK)
        err = mw_body_load(delivery, &root, detail);
    if (err != MW_OK)
        return err;
    err = read_incident(root, arena, &out->items[0], detail);
    json_decref(root);
    return err;
}

static mw_err sample(const mw_test_event *event, mw_arena *arena, mw_slice *body)
{
    char time[MW_TIME_TEXT_SIZE];
    mw_time_format((uint64_t)event->now_ns, time);
    const char *text =
        mw_arena_printf(arena,
                        "{\"eventType\":\"incident\",\"incidentId\":\"%s\",\"action\":\"created\","
                        "\"priority\":\"MINIMAL\",\"title\":\"" MW_TEST_TITLE "\","
                        "\"description\":\"" MW_TEST_WORDS "\",\"timestamp\":\"%s\"}",
                        event->incident_id, time);
    *body = text ? mw_slice_of(text) : MW_SLICE_NONE;
    return text ? MW_OK : MW_E_NOMEM;
}

const mw_webhook_source mw_source_devops_agent = {
    .name = "devops-agent",
    .max_body = MW_BODY_MAX,
    .auths = MW_AUTH_HMAC | MW_AUTH_BEARER,
    .auth = MW_AUTH_HMAC,
    .overload_status = 429,
    .parse = parse,
    .sample = sample,
};
