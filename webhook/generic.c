/* Source "generic": any JSON, read through the endpoint's mapping (mapping_int.h).
 *
 * Numbers and booleans are taken as text where text is asked for, since vendors number their
 * alarms. A time is RFC 3339, or a Unix time in seconds, milliseconds, microseconds or nanoseconds,
 * told apart by its size. Pure; on the network loop's thread; results live in the request's arena.
 */
#include "lib/base/clock.h"
#include "webhook/body_int.h"
#include "webhook/mapping_int.h"
#include "webhook/source_int.h"

/* A number as text. */
#define NUMBER_SIZE 40

typedef struct reader {
    const mw_mapping *mapping;
    const json_t *element;
    mw_arena *arena;
    mw_detail *detail;
} reader;

static mw_err refuse(const reader *read, mw_mapped_field field, const char *why)
{
    const char *name = mw_mapped_field_name(field);
    return mw_detail_set(read->detail, MW_E_INVALID, name, NULL, "%s %s", name, why);
}

static const char *number_text(const json_t *value, char out[NUMBER_SIZE])
{
    if (json_is_integer(value))
        snprintf(out, NUMBER_SIZE, "%lld", (long long)json_integer_value(value));
    else
        snprintf(out, NUMBER_SIZE, "%.17g", json_real_value(value));
    return out;
}

/* The text of a scalar; data NULL when there is none. */
static mw_err read_scalar(const reader *read, mw_mapped_field field, mw_slice *out)
{
    char number[NUMBER_SIZE];
    const mw_pointer *pointer = &read->mapping->fields[field];
    const json_t *value = pointer->given ? mw_pointer_find(pointer, read->element) : NULL;
    *out = read->mapping->defaults[field];
    if (!value || json_is_null(value))
        return MW_OK;
    if (json_is_object(value) || json_is_array(value))
        return refuse(read, field, "points to an object or an array");
    if (json_is_string(value))
        *out = mw_body_text_of(value);
    else if (json_is_number(value))
        *out = mw_arena_copy(read->arena, mw_slice_of(number_text(value, number)));
    else
        *out = json_is_true(value) ? MW_SLICE("true") : MW_SLICE("false");
    return out->data ? MW_OK : MW_E_NOMEM;
}

static mw_err read_text(const reader *read, mw_mapped_field field, const mw_text_rule *rule,
                        mw_slice *out)
{
    mw_slice text;
    mw_err err = read_scalar(read, field, &text);
    return err == MW_OK ? mw_body_check_text(text, rule, read->arena, out, read->detail) : err;
}

static mw_slice translate(const mw_value_table *table, const char *const *words, mw_slice text)
{
    for (size_t i = 0; i < table->count; i++)
        if (mw_slice_equal(table->items[i].theirs, text))
            return table->items[i].ours;
    return mw_body_word(words, text);
}

static mw_err read_word(const reader *read, mw_mapped_field field, const mw_value_table *table,
                        const char *const *words, mw_slice *out)
{
    mw_slice text;
    mw_err err = read_scalar(read, field, &text);
    if (err != MW_OK)
        return err;
    if (!text.data) {
        *out = field == MW_MAPPED_ACTION ? MW_SLICE("created") : MW_SLICE("MEDIUM");
        return MW_OK;
    }
    *out = translate(table, words, text);
    return out->data ? MW_OK : refuse(read, field, "is a word that the mapping does not know");
}

/* 10^11 seconds is the year 5138, as milliseconds 1973: the sizes do not meet. */
static bool unix_time(mw_slice text, int64_t *ns)
{
    uint64_t value;
    int64_t unit = MW_NS_PER_S;
    size_t dot = mw_slice_find_byte(text, '.');
    if (mw_slice_u64(mw_slice_first(text, dot), &value) != MW_OK)
        return false;
    for (uint64_t limit = 100000000000; unit > 1 && value >= limit; limit *= 1000)
        unit /= 1000;
    if (value == 0 || value > (uint64_t)(INT64_MAX / unit))
        return false;
    *ns = (int64_t)value * unit;
    return true;
}

static mw_err read_started(const reader *read, mw_alarm_event *out)
{
    mw_slice text;
    mw_err err = read_scalar(read, MW_MAPPED_STARTED_AT, &text);
    out->started_ns = 0;
    if (err != MW_OK || !text.len)
        return err;
    if (mw_time_parse(text, &out->started_ns) == MW_OK || unix_time(text, &out->started_ns))
        return MW_OK;
    return refuse(read, MW_MAPPED_STARTED_AT, "must be RFC 3339 or a Unix time");
}

static mw_err read_texts(const reader *read, mw_alarm_event *out)
{
    static const mw_text_rule id = {"", "incident_id", true, MW_INCIDENT_ID_MAX, 0};
    static const mw_text_rule title = {"", "title", true, MW_TITLE_MAX, 0};
    static const mw_text_rule description = {"", "description", false, 0, MW_DESCRIPTION_MAX};
    static const mw_text_rule service = {"", "service", false, MW_SERVICE_MAX, 0};
    static const mw_text_rule region = {"", "region", false, 0, MW_REGION_MAX};
    mw_err err = read_text(read, MW_MAPPED_INCIDENT_ID, &id, &out->incident_id);
    if (err == MW_OK)
        err = read_text(read, MW_MAPPED_TITLE, &title, &out->title);
    if (err == MW_OK)
        err = read_text(read, MW_MAPPED_DESCRIPTION, &description, &out->description);
    if (err == MW_OK)
        err = read_text(read, MW_MAPPED_SERVICE, &service, &out->service);
    if (err == MW_OK)
        err = read_text(read, MW_MAPPED_REGION, &region, &out->region);
    return err;
}

static mw_err read_event(const reader *read, bool several, mw_alarm_event *out)
{
    const mw_mapping *mapping = read->mapping;
    mw_err err = read_texts(read, out);
    if (err == MW_OK)
        err = read_word(read, MW_MAPPED_ACTION, &mapping->actions, mw_action_words, &out->action);
    if (err == MW_OK)
        err = read_word(read, MW_MAPPED_PRIORITY, &mapping->priorities, mw_priority_words,
                        &out->priority);
    if (err == MW_OK)
        err = read_started(read, out);
    if (err == MW_OK && several)
        err = mw_body_dump(read->element, read->arena, &out->body);
    out->resources_json = MW_SLICE("[]");
    if (err == MW_OK)
        mw_event_settle(out);
    return err;
}

static mw_err read_events(reader *read, const json_t *root, mw_alarm_events *out)
{
    const mw_pointer *pointer = &read->mapping->events;
    const json_t *array = pointer->given ? mw_pointer_find(pointer, root) : NULL;
    size_t count = pointer->given ? json_array_size(array) : 1;
    if (count < 1 || count > MW_DELIVERY_EVENTS_MAX)
        return mw_detail_set(read->detail, MW_E_INVALID, "events", NULL,
                             "events must point to an array of 1 to %d elements",
                             MW_DELIVERY_EVENTS_MAX);
    mw_err err = mw_alarm_events_make(read->arena, count, out);
    for (size_t i = 0; i < count && err == MW_OK; i++) {
        read->element = pointer->given ? json_array_get(array, i) : root;
        err = read_event(read, count > 1, &out->items[i]);
    }
    return err;
}

static mw_err parse(const mw_delivery *delivery, mw_arena *arena, mw_alarm_events *out,
                    mw_detail *detail)
{
    json_t *root;
    reader read = {delivery->mapping, NULL, arena, detail};
    MW_ASSERT(delivery->mapping);
    *out = (mw_alarm_events){.count = 0};
    mw_err err = mw_body_load(delivery, &root, detail);
    if (err != MW_OK)
        return err;
    err = read_events(&read, root, out);
    json_decref(root);
    return err;
}

/* ---- a body that fits a mapping ------------------------------------------------------------ */

/* Makes the objects on the way; a number in a pointer is a member's name here, as RFC 6901 lets it
 * be. False when there is no memory, or a way leads through a value. */
static bool place(json_t *root, const mw_pointer *pointer, const char *text)
{
    json_t *at = root;
    for (size_t i = 0; i + 1 < pointer->count; i++) {
        mw_slice token = pointer->tokens[i];
        json_t *next = json_object_getn(at, token.data, token.len);
        if (!next) {
            next = json_object();
            if (json_object_setn_new(at, token.data, token.len, next) != 0)
                return false;
        }
        at = next;
    }
    if (pointer->count == 0)
        return false;
    mw_slice last = pointer->tokens[pointer->count - 1];
    return json_object_setn_new(at, last.data, last.len, json_string(text)) == 0;
}

/* The sender's word for one of ours: its own, where the table has one. */
static const char *their_word(const mw_value_table *table, mw_slice ours)
{
    for (size_t i = 0; i < table->count; i++)
        if (mw_slice_equal(table->items[i].ours, ours))
            return table->items[i].theirs.data;
    return ours.data;
}

static bool place_fields(const mw_test_event *event, json_t *element)
{
    const mw_mapping *mapping = event->mapping;
    char time[MW_TIME_TEXT_SIZE];
    mw_time_format((uint64_t)event->now_ns, time);
    const char *texts[MW_MAPPED_FIELDS] = {
        [MW_MAPPED_INCIDENT_ID] = event->incident_id,
        [MW_MAPPED_TITLE] = MW_TEST_TITLE,
        [MW_MAPPED_ACTION] = their_word(&mapping->actions, MW_SLICE("created")),
        [MW_MAPPED_PRIORITY] = their_word(&mapping->priorities, MW_SLICE("MINIMAL")),
        [MW_MAPPED_DESCRIPTION] = MW_TEST_WORDS,
        [MW_MAPPED_STARTED_AT] = time};
    bool placed = true;
    for (int i = 0; i < MW_MAPPED_FIELDS; i++)
        if (texts[i] && mapping->fields[i].given)
            placed = place(element, &mapping->fields[i], texts[i]) && placed;
    return placed;
}

static bool place_events(const mw_pointer *events, json_t *root, json_t *element)
{
    json_t *array = json_array(), *holder;
    if (json_array_append(array, element) != 0 || events->count == 0) {
        json_decref(array);
        return false;
    }
    if (!place(root, events, "")) {
        json_decref(array);
        return false;
    }
    mw_pointer above = *events;
    above.count--;
    holder = (json_t *)(uintptr_t)mw_pointer_find(&above, root);
    mw_slice last = events->tokens[events->count - 1];
    return json_object_setn_new(holder, last.data, last.len, array) == 0;
}

static mw_err sample(const mw_test_event *event, mw_arena *arena, mw_slice *body)
{
    json_t *element = json_object(), *root = json_object();
    const json_t *whole = event->mapping->events.given ? root : element;
    bool placed = element && root && place_fields(event, element);
    if (placed && event->mapping->events.given)
        placed = place_events(&event->mapping->events, root, element);
    mw_err err = placed ? mw_body_dump(whole, arena, body) : MW_E_INVALID;
    json_decref(element);
    json_decref(root);
    return err;
}

const mw_webhook_source mw_source_generic = {
    .name = "generic",
    .max_body = MW_BODY_MAX,
    .auths = MW_AUTH_HMAC | MW_AUTH_BEARER,
    .auth = MW_AUTH_BEARER,
    .overload_status = 503,
    .mapped = true,
    .parse = parse,
    .sample = sample,
};
