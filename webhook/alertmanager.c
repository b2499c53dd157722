/* Source "alertmanager": Prometheus Alertmanager's webhook, version 4 (facts: webhooks 5).
 *
 * One delivery is a group of alerts, firing and resolved mixed, and is sent again as long as it
 * fires: each alert is one event, and one that says what is known already makes nothing. An
 * incident is a fingerprint since one start, so that an alert which fires anew is a new incident
 * even when its end was never sent. Alertmanager drops what is answered with 4xx, so what is only
 * too long is cut and not refused. Pure; on the network loop's thread.
 */
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "webhook/body_int.h"
#include "webhook/source_int.h"

#define FINGERPRINT_MAX 64
/* What labels people use for the same thing, the most exact first. */
static const char *const service_labels[] = {"service", "service_name", "app", "job", NULL};
static const char *const region_labels[] = {"region", "cloud_region", "aws_region", NULL};
static const char *const severity_labels[] = {"severity", "priority", "level", NULL};
static const char *const resource_labels[] = {"instance", "pod", "node", "container", NULL};
static const char *const title_annotations[] = {"summary", "title", NULL};
static const char *const text_annotations[] = {"description", "message", NULL};

static const struct {
    const char *word, *priority;
} severities[] = {
    {"critical", "CRITICAL"}, {"page", "CRITICAL"}, {"emergency", "CRITICAL"}, {"p1", "CRITICAL"},
    {"error", "HIGH"},        {"high", "HIGH"},     {"major", "HIGH"},         {"p2", "HIGH"},
    {"warning", "MEDIUM"},    {"warn", "MEDIUM"},   {"medium", "MEDIUM"},      {"p3", "MEDIUM"},
    {"info", "LOW"},          {"low", "LOW"},       {"minor", "LOW"},          {"p4", "LOW"},
    {"none", "MINIMAL"},      {"debug", "MINIMAL"}, {"p5", "MINIMAL"},
};

/* Where one alert is read, for refusals: "alerts[3].startsAt". */
typedef struct alert {
    const json_t *object, *labels, *annotations;
    size_t index;
} alert;

static mw_err refuse(const alert *one, const char *member, const char *why, mw_detail *detail)
{
    char field[64];
    snprintf(field, sizeof field, "alerts[%zu].%s", one->index, member);
    return mw_detail_set(detail, MW_E_INVALID, field, NULL, "%s %s", field, why);
}

/* The first of the names that is a text with something in it. */
static mw_slice first_of(const json_t *object, const char *const *names)
{
    for (; *names; names++) {
        mw_slice text = mw_body_text_of(json_object_get(object, *names));
        if (text.len)
            return text;
    }
    return MW_SLICE("");
}

/* "0001-01-01T00:00:00Z" says that there is none. */
static bool read_time(const json_t *object, const char *name, int64_t *ns)
{
    return mw_time_parse(mw_body_text_of(json_object_get(object, name)), ns) == MW_OK && *ns > 0;
}

static mw_slice priority_of(mw_slice severity)
{
    for (size_t i = 0; i < sizeof severities / sizeof severities[0]; i++)
        if (mw_slice_equal_nocase(severity, mw_slice_of(severities[i].word)))
            return mw_slice_of(severities[i].priority);
    return MW_SLICE("MEDIUM");
}

static mw_err read_identity(const alert *one, mw_arena *arena, mw_alarm_event *out,
                            mw_detail *detail)
{
    int64_t starts_ns, ends_ns;
    mw_slice status = mw_body_text_of(json_object_get(one->object, "status"));
    mw_slice fingerprint = mw_body_text_of(json_object_get(one->object, "fingerprint"));
    bool firing = mw_slice_equal(status, MW_SLICE("firing"));
    if (!firing && !mw_slice_equal(status, MW_SLICE("resolved")))
        return refuse(one, "status", "must be firing or resolved", detail);
    if (!mw_is_hex(fingerprint) || fingerprint.len > FINGERPRINT_MAX)
        return refuse(one, "fingerprint", "must be hex digits", detail);
    if (!read_time(one->object, "startsAt", &starts_ns))
        return refuse(one, "startsAt", "must be a time such as 2026-03-14T09:26:00Z", detail);
    const char *id = mw_arena_printf(arena, "am:%.*s:%lld", MW_SLICE_FMT(fingerprint),
                                     (long long)(starts_ns / MW_NS_PER_S));
    if (!id)
        return MW_E_NOMEM;
    out->incident_id = mw_slice_of(id);
    out->action = firing ? MW_SLICE("created") : MW_SLICE("resolved");
    out->started_ns = !firing && read_time(one->object, "endsAt", &ends_ns) ? ends_ns : starts_ns;
    return MW_OK;
}

static mw_err copy(mw_slice text, size_t characters, mw_arena *arena, mw_slice *out)
{
    *out = mw_arena_copy(arena, mw_body_cut(text, characters));
    return out->data ? MW_OK : MW_E_NOMEM;
}

static mw_slice title_of(const alert *one)
{
    mw_slice title = first_of(one->annotations, title_annotations);
    if (!title.len)
        title = mw_body_text_of(json_object_get(one->labels, "alertname"));
    return title.len ? title : MW_SLICE("alert without a name");
}

static mw_err read_texts(const alert *one, mw_arena *arena, mw_alarm_event *out)
{
    mw_slice region = first_of(one->labels, region_labels);
    out->priority = priority_of(first_of(one->labels, severity_labels));
    mw_err err = copy(title_of(one), MW_TITLE_MAX, arena, &out->title);
    if (err == MW_OK)
        err = copy(first_of(one->annotations, text_annotations), MW_DESCRIPTION_MAX / 4, arena,
                   &out->description);
    if (err == MW_OK)
        err = copy(first_of(one->labels, service_labels), MW_SERVICE_MAX, arena, &out->service);
    if (err == MW_OK)
        err = copy(region.len > MW_REGION_MAX ? MW_SLICE("") : region, MW_REGION_MAX, arena,
                   &out->region);
    return err;
}

static mw_err read_resources(const alert *one, mw_arena *arena, mw_alarm_event *out)
{
    json_t *list = json_array();
    if (!list)
        return MW_E_NOMEM;
    mw_err err = MW_OK;
    for (const char *const *name = resource_labels; *name && err == MW_OK; name++) {
        json_t *value = json_object_get(one->labels, *name);
        if (json_string_length(value) && json_array_append(list, value) != 0)
            err = MW_E_NOMEM;
    }
    if (err == MW_OK)
        err = mw_body_strings(list, "labels", arena, &out->resources_json, NULL);
    json_decref(list);
    return err;
}

/* Each alert is stored with its own part of the group: a group of a thousand is not kept a thousand
 * times. */
static mw_err read_alert(const alert *one, size_t alerts, mw_arena *arena, mw_alarm_event *out,
                         mw_detail *detail)
{
    if (!json_is_object(one->object))
        return refuse(one, "status", "is missing", detail);
    mw_err err = read_identity(one, arena, out, detail);
    if (err == MW_OK)
        err = read_texts(one, arena, out);
    if (err == MW_OK)
        err = read_resources(one, arena, out);
    if (err == MW_OK && alerts > 1)
        err = mw_body_dump(one->object, arena, &out->body);
    if (err == MW_OK)
        mw_event_settle(out);
    return err;
}

static mw_err read_alerts(const json_t *alerts, mw_arena *arena, mw_alarm_events *out,
                          mw_detail *detail)
{
    size_t count = json_array_size(alerts);
    if (count < 1)
        return mw_detail_set(detail, MW_E_INVALID, "alerts", NULL,
                             "alerts must be an array with at least one alert");
    if (count > MW_DELIVERY_EVENTS_MAX)
        return mw_detail_set(detail, MW_E_INVALID, "alerts", NULL,
                             "alerts has more than %d; set max_alerts in webhook_configs",
                             MW_DELIVERY_EVENTS_MAX);
    mw_err err = mw_alarm_events_make(arena, count, out);
    for (size_t i = 0; i < count && err == MW_OK; i++) {
        const json_t *object = json_array_get(alerts, i);
        const alert one = {object, json_object_get(object, "labels"),
                           json_object_get(object, "annotations"), i};
        err = read_alert(&one, count, arena, &out->items[i], detail);
    }
    return err;
}

/* With max_alerts the sender leaves out what is beyond it: nothing is lost silently. */
static mw_err read_left_out(const json_t *root, uint64_t *out, mw_detail *detail)
{
    const json_t *value = json_object_get(root, "truncatedAlerts");
    *out = 0;
    if (!value || json_is_null(value))
        return MW_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return mw_detail_set(detail, MW_E_INVALID, "truncatedAlerts", NULL,
                             "truncatedAlerts must be a number of alerts");
    *out = (uint64_t)json_integer_value(value);
    return MW_OK;
}

static mw_err parse(const mw_delivery *delivery, mw_arena *arena, mw_alarm_events *out,
                    mw_detail *detail)
{
    json_t *root;
    *out = (mw_alarm_events){.count = 0};
    mw_err err = mw_body_load(delivery, &root, detail);
    if (err != MW_OK)
        return err;
    mw_slice version = mw_body_text_of(json_object_get(root, "version"));
    if (!mw_slice_equal(version, MW_SLICE("4")))
        err = mw_detail_set(detail, MW_E_INVALID, "version", NULL, "version must be \"4\"");
    else
        err = read_alerts(json_object_get(root, "alerts"), arena, out, detail);
    if (err == MW_OK)
        err = read_left_out(root, &out->left_out, detail);
    json_decref(root);
    return err;
}

/* A fingerprint is 16 hex digits; the incident's own name is in the labels. */
static mw_err sample(const mw_test_event *event, mw_arena *arena, mw_slice *body)
{
    char time[MW_TIME_TEXT_SIZE];
    mw_time_format((uint64_t)event->now_ns, time);
    const char *text = mw_arena_printf(
        arena,
        "{\"version\":\"4\",\"status\":\"firing\",\"receiver\":\"midwatch\",\"alerts\":[{"
        "\"status\":\"firing\",\"fingerprint\":\"%016llx\",\"startsAt\":\"%s\","
        "\"labels\":{\"alertname\":\"%s\",\"severity\":\"none\"},\"annotations\":{\"summary\":"
        "\"" MW_TEST_TITLE "\",\"description\":\"" MW_TEST_WORDS "\"}}],\"truncatedAlerts\":0}",
        (unsigned long long)event->now_ns, time, event->incident_id);
    *body = text ? mw_slice_of(text) : MW_SLICE_NONE;
    return text ? MW_OK : MW_E_NOMEM;
}

const mw_webhook_source mw_source_alertmanager = {
    .name = "alertmanager",
    .max_body = MW_ALERTS_BODY_MAX,
    .auths = MW_AUTH_BEARER,
    .auth = MW_AUTH_BEARER,
    .overload_status = 503, /* 429 would be the end of it: facts webhooks 1.5 */
    .repeats = true,
    .parse = parse,
    .sample = sample,
};
