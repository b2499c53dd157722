/* Source "devops-agent": the AWS DevOps Agent's generic webhook (facts: webhooks 2), HMAC variant.
 *
 * authenticate: headers x-amzn-event-timestamp and x-amzn-event-signature. parse: the incident
 * schema, strict about what it names and blind to the rest: unknown members are ignored. Text is
 * kept as data, control characters included; jansson refuses NUL and bad UTF-8. Pure; runs on the
 * network loop's thread; results live in the request's arena.
 */
#include <jansson.h>
#include <openssl/evp.h>

#include "lib/base/clock.h"
#include "lib/base/json_writer.h"
#include "webhook/signature_int.h"
#include "webhook/source_int.h"

/* Facts: webhooks 1.6. */
#define BODY_MAX ((size_t)256 << 10)
/* Real deliveries nest 4 levels; the vendor's own event under `data` a few more. Before parsing,
 * so that a million brackets cost one pass and no stack. */
#define DEPTH_MAX 32
/* Facts: webhooks 2.1. Characters; the vendor's model counts them so. */
#define INCIDENT_ID_MAX 256
#define TITLE_MAX 512
#define SERVICE_MAX 256
#define REGION_MAX 64
/* Bytes. */
#define DESCRIPTION_MAX ((size_t)32 << 10)

#define HEADER_TIMESTAMP MW_SLICE("x-amzn-event-timestamp")
#define HEADER_SIGNATURE MW_SLICE("x-amzn-event-signature")

/* ---- authentication ------------------------------------------------------------------------ */

/* A replay is the same signature again: the endpoint's id stands beside it in the cache. */
static mw_err replay_key_of(const uint8_t signature[MW_SIGNATURE_SIZE], uint8_t out[32])
{
    unsigned len = 0;
    if (EVP_Digest(signature, MW_SIGNATURE_SIZE, out, &len, EVP_sha256(), NULL) != 1)
        return MW_E_UNAUTHENTICATED;
    return MW_OK;
}

static mw_err authenticate(const mw_delivery *delivery, uint8_t replay_key[32])
{
    size_t timestamps, signatures;
    uint8_t digest[MW_SIGNATURE_SIZE];
    const mw_request *request = delivery->request;
    mw_slice timestamp = mw_slice_trim(mw_request_header(request, HEADER_TIMESTAMP, &timestamps));
    mw_slice signature = mw_slice_trim(mw_request_header(request, HEADER_SIGNATURE, &signatures));
    mw_err err = mw_signature_aws(delivery->secret, timestamp, request->body, signature,
                                  delivery->now_ns, digest);
    if (timestamps > 1 || signatures > 1)
        return MW_E_INVALID;
    return err == MW_OK ? replay_key_of(digest, replay_key) : err;
}

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
static bool is_shallow(mw_slice text)
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

static mw_err load_body(mw_slice body, json_t **root, mw_detail *detail)
{
    json_error_t error;
    if (!is_shallow(body))
        return mw_detail_set(detail, MW_E_INVALID, "", NULL, "nested deeper than %d levels",
                             DEPTH_MAX);
    *root = json_loadb(body.len ? body.data : "", body.len, JSON_REJECT_DUPLICATES, &error);
    if (!*root)
        return syntax_error(&error, detail);
    if (json_is_object(*root))
        return MW_OK;
    json_decref(*root);
    return mw_detail_set(detail, MW_E_INVALID, "", NULL, "the body must be a JSON object");
}

/* ---- members ------------------------------------------------------------------------------- */

typedef struct text_rule {
    const char *name;
    bool required;
    size_t max_characters;
    size_t max_bytes;
} text_rule;

static size_t count_characters(mw_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

static mw_slice text_of(const json_t *value)
{
    return mw_slice_bytes(json_string_value(value), json_string_length(value));
}

/* Null counts as absent. Empty text is refused where a value is required. */
static mw_err read_text(const json_t *object, const text_rule *rule, mw_arena *arena, mw_slice *out,
                        mw_detail *detail)
{
    const json_t *value = json_object_get(object, rule->name);
    *out = MW_SLICE("");
    if ((!value || json_is_null(value)) && rule->required)
        return mw_detail_set(detail, MW_E_INVALID, rule->name, NULL, "%s is missing", rule->name);
    if (!value || json_is_null(value))
        return MW_OK;
    if (!json_is_string(value))
        return mw_detail_set(detail, MW_E_INVALID, rule->name, NULL, "%s must be a string",
                             rule->name);
    mw_slice text = text_of(value);
    if (rule->required && !text.len)
        return mw_detail_set(detail, MW_E_INVALID, rule->name, NULL, "%s is empty", rule->name);
    if (rule->max_bytes && text.len > rule->max_bytes)
        return mw_detail_set(detail, MW_E_INVALID, rule->name, NULL, "%s is longer than %zu bytes",
                             rule->name, rule->max_bytes);
    if (rule->max_characters && count_characters(text) > rule->max_characters)
        return mw_detail_set(detail, MW_E_INVALID, rule->name, NULL,
                             "%s is longer than %zu characters", rule->name, rule->max_characters);
    *out = mw_arena_copy(arena, text);
    return out->data ? MW_OK : MW_E_NOMEM;
}

/* A required member whose value is one of a closed list. */
typedef struct word_rule {
    const char *name;
    const char *message;
    const char *words[6];
} word_rule;

static mw_err read_word(const json_t *object, const word_rule *rule, mw_slice *out,
                        mw_detail *detail)
{
    const json_t *value = json_object_get(object, rule->name);
    if (!value)
        return mw_detail_set(detail, MW_E_INVALID, rule->name, NULL, "%s is missing", rule->name);
    for (size_t i = 0; rule->words[i]; i++)
        if (json_is_string(value) && mw_slice_equal(text_of(value), mw_slice_of(rule->words[i]))) {
            *out = mw_slice_of(rule->words[i]);
            return MW_OK;
        }
    return mw_detail_set(detail, MW_E_INVALID, rule->name, NULL, "%s", rule->message);
}

static mw_err read_words(const json_t *root, mw_alarm_event *out, mw_detail *detail)
{
    static const word_rule event_type = {
        "eventType", "eventType must be \"incident\"", {"incident", NULL}};
    static const word_rule action = {"action",
                                     "action must be created, updated, closed or resolved",
                                     {"created", "updated", "closed", "resolved", NULL}};
    static const word_rule priority = {"priority",
                                       "priority must be CRITICAL, HIGH, MEDIUM, LOW or MINIMAL",
                                       {"CRITICAL", "HIGH", "MEDIUM", "LOW", "MINIMAL", NULL}};
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
    static const text_rule incident_id = {"incidentId", true, INCIDENT_ID_MAX, 0};
    static const text_rule title = {"title", true, TITLE_MAX, 0};
    static const text_rule description = {"description", false, 0, DESCRIPTION_MAX};
    static const text_rule service = {"service", false, SERVICE_MAX, 0};
    mw_err err = read_text(root, &incident_id, arena, &out->incident_id, detail);
    if (err == MW_OK)
        err = read_text(root, &title, arena, &out->title, detail);
    if (err == MW_OK)
        err = read_text(root, &description, arena, &out->description, detail);
    if (err == MW_OK)
        err = read_text(root, &service, arena, &out->service, detail);
    return err;
}

static mw_err read_timestamp(const json_t *root, mw_alarm_event *out, mw_detail *detail)
{
    const json_t *value = json_object_get(root, "timestamp");
    out->started_ns = 0;
    if (!value || json_is_null(value))
        return MW_OK;
    if (!json_is_string(value) || mw_time_parse(text_of(value), &out->started_ns) != MW_OK)
        return mw_detail_set(detail, MW_E_INVALID, "timestamp", NULL,
                             "timestamp must be a time such as 2026-03-14T09:26:53.000Z");
    return MW_OK;
}

/* ---- service, region, resources ------------------------------------------------------------ */

/* Alarms of CloudWatch name a namespace where a service should stand (DESIGN 4.4). */
static bool is_namespace(mw_slice service)
{
    static const mw_slice names[] = {MW_SLICE_INIT("CWAgent"), MW_SLICE_INIT("ContainerInsights"),
                                     MW_SLICE_INIT("ECS/ContainerInsights"),
                                     MW_SLICE_INIT("LambdaInsights")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (mw_slice_equal(service, names[i]))
            return true;
    return mw_slice_starts(service, MW_SLICE("AWS/")) && service.len > 4;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* "eu-west-1", "us-gov-east-1", "ap-southeast-2", and with the letter of a zone behind it:
 * two letters, perhaps a partition, a direction, a digit. */
static size_t region_length(mw_slice word)
{
    static const mw_slice partitions[] = {MW_SLICE_INIT("gov-"), MW_SLICE_INIT("iso-"),
                                          MW_SLICE_INIT("isob-"), MW_SLICE_INIT("isoe-"),
                                          MW_SLICE_INIT("isof-")};
    static const mw_slice directions[] = {
        MW_SLICE_INIT("northeast-"), MW_SLICE_INIT("northwest-"), MW_SLICE_INIT("southeast-"),
        MW_SLICE_INIT("southwest-"), MW_SLICE_INIT("north-"),     MW_SLICE_INIT("south-"),
        MW_SLICE_INIT("east-"),      MW_SLICE_INIT("west-"),      MW_SLICE_INIT("central-")};
    if (word.len < 3 || word.data[0] < 'a' || word.data[0] > 'z' || word.data[1] < 'a' ||
        word.data[1] > 'z' || word.data[2] != '-')
        return 0;
    mw_slice rest = mw_slice_from(word, 3);
    for (size_t i = 0; i < sizeof partitions / sizeof partitions[0]; i++)
        if (mw_slice_starts(rest, partitions[i])) {
            rest = mw_slice_from(rest, partitions[i].len);
            break;
        }
    for (size_t i = 0; i < sizeof directions / sizeof directions[0]; i++) {
        if (!mw_slice_starts(rest, directions[i]))
            continue;
        rest = mw_slice_from(rest, directions[i].len);
        bool digit = rest.len >= 1 && rest.data[0] >= '1' && rest.data[0] <= '9';
        bool zone = rest.len == 2 && rest.data[1] >= 'a' && rest.data[1] <= 'z';
        return digit && (rest.len == 1 || zone) ? word.len - rest.len + 1 : 0;
    }
    return 0;
}

static mw_slice region_in_title(mw_slice title)
{
    for (size_t i = 0; i < title.len;) {
        size_t end = i;
        while (end < title.len && is_name_byte(title.data[end]))
            end++;
        mw_slice word = mw_slice_first(mw_slice_from(title, i), end - i);
        size_t len = region_length(word);
        if (len)
            return mw_slice_first(word, len);
        i = end + 1;
    }
    return MW_SLICE("");
}

/* data.metadata.region is the sender's own event: another type there is no error, just no
 * region. */
static mw_err read_region(const json_t *root, mw_arena *arena, mw_alarm_event *out)
{
    const json_t *metadata = json_object_get(json_object_get(root, "data"), "metadata");
    const json_t *value = json_object_get(metadata, "region");
    mw_slice region = json_is_string(value) ? text_of(value) : MW_SLICE("");
    if (!region.len || region.len > REGION_MAX) {
        out->region = region_in_title(out->title);
        return MW_OK;
    }
    out->region = mw_arena_copy(arena, region);
    return out->region.data ? MW_OK : MW_E_NOMEM;
}

static mw_err write_resources(const json_t *array, const char *field, mw_arena *arena,
                              mw_alarm_event *out, mw_detail *detail)
{
    mw_buffer buffer;
    mw_json json;
    /* An escape makes six bytes of one. */
    mw_buffer_init(&buffer, MW_MEM_JSON, BODY_MAX * 6 + 16);
    mw_json_init(&json, &buffer);
    mw_json_array_begin(&json);
    bool strings = true;
    for (size_t i = 0; i < json_array_size(array) && strings; i++) {
        const json_t *value = json_array_get(array, i);
        strings = json_is_string(value);
        if (strings)
            mw_json_string(&json, text_of(value));
    }
    mw_json_array_end(&json);
    mw_err err = buffer.err;
    if (!strings)
        err = mw_detail_set(detail, MW_E_INVALID, field, NULL, "%s must be an array of strings",
                            field);
    if (err == MW_OK) {
        out->resources_json = mw_arena_copy(arena, mw_buffer_slice(&buffer));
        err = out->resources_json.data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(&buffer);
    return err;
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
    return write_resources(array, field, arena, out, detail);
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
    if (err == MW_OK && is_namespace(out->service))
        out->service = MW_SLICE("");
    return err;
}

static mw_err parse(const mw_delivery *delivery, mw_arena *arena, mw_alarm_event *out,
                    mw_detail *detail)
{
    json_t *root = NULL;
    *out = (mw_alarm_event){0};
    if (!is_json_type(delivery->request))
        return mw_detail_set(detail, MW_E_UNSUPPORTED, "content-type", NULL,
                             "the content type must be application/json");
    mw_err err = load_body(delivery->request->body, &root, detail);
    if (err != MW_OK)
        return err;
    err = read_incident(root, arena, out, detail);
    json_decref(root);
    return err;
}

const mw_webhook_source mw_source_devops_agent = {
    .name = "devops-agent",
    .max_body = BODY_MAX,
    .authenticate = authenticate,
    .parse = parse,
};
