/* Mappings and the generic adapter. Input: a mapping, NUL, a body.
 *
 * A mapping that is taken holds to its bounds; a body read through it gives events of closed words
 * and bounded texts, or a refusal that says why; the sample that the adapter makes of a mapping is
 * one that it takes itself. Pointers agree with a second reading of RFC 6901.
 */
#include <jansson.h>
#include <string.h>

#include "lib/base/memory.h"
#include "webhook/mapping_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static bool is_one_of(mw_slice text, const char *list)
{
    mw_slice rest = mw_slice_of(list), word;
    while (mw_slice_split(&rest, ' ', &word))
        if (mw_slice_equal(word, text))
            return true;
    return false;
}

static void check_events(const mw_alarm_events *events)
{
    check(events->count >= 1 && events->count <= MW_DELIVERY_EVENTS_MAX);
    for (size_t i = 0; i < events->count; i++) {
        const mw_alarm_event *event = &events->items[i];
        check(is_one_of(event->action, "created updated closed resolved"));
        check(is_one_of(event->priority, "CRITICAL HIGH MEDIUM LOW MINIMAL"));
        check(event->incident_id.len >= 1 && event->incident_id.len <= 256 * 4);
        check(event->title.len >= 1 && event->title.len <= 512 * 4);
        check(event->description.len <= 32768 && event->service.len <= 256 * 4);
        check(event->region.len <= 64 * 4 && event->started_ns >= 0);
    }
}

static mw_err parse(const mw_mapping *mapping, mw_slice body, mw_arena *arena)
{
    const mw_webhook_source *source = mw_webhook_source_find(MW_SLICE("generic"));
    mw_header type = {MW_SLICE("content-type"), MW_SLICE("application/json")};
    mw_request request = {.headers = &type, .header_count = 1, .body = body};
    mw_delivery delivery = {.request = &request, .mapping = mapping};
    mw_alarm_events events = {.count = 0};
    mw_detail detail = {0};
    mw_err err = source->parse(&delivery, arena, &events, &detail);
    if (err == MW_OK)
        check_events(&events);
    else
        check((err == MW_E_SYNTAX || err == MW_E_INVALID) && detail.message[0]);
    return err;
}

/* Two pointers to one place cannot both have their text, and then the body is refused. */
static void check_sample(const mw_mapping *mapping, mw_arena *arena)
{
    const mw_webhook_source *source = mw_webhook_source_find(MW_SLICE("generic"));
    const mw_test_event event = {"midwatch-test-1", INT64_C(1773480413000000000), mapping};
    mw_slice body = MW_SLICE_NONE;
    mw_err err = source->sample(&event, arena, &body);
    check(err == MW_OK || err == MW_E_INVALID);
    if (err == MW_OK)
        (void)parse(mapping, body, arena);
}

/* Walks the text of a pointer, decoding as it goes. */
static const json_t *reference_find(mw_slice text, const json_t *at)
{
    while (at && text.len) {
        char token[MW_POINTER_MAX + 1];
        size_t len = 0, i = 1;
        for (; i < text.len && text.data[i] != '/'; i++) {
            char c = text.data[i];
            if (c == '~')
                c = text.data[++i] == '1' ? '/' : '~';
            token[len++] = c;
        }
        token[len] = '\0';
        text = mw_slice_from(text, i);
        if (json_is_array(at)) {
            bool number = len > 0 && strspn(token, "0123456789") == len && len < 10 &&
                          (len == 1 || token[0] != '0');
            at = number ? json_array_get(at, strtoul(token, NULL, 10)) : NULL;
        } else {
            at = json_object_getn(at, token, len);
        }
    }
    return at;
}

static void check_pointer(mw_slice text, mw_slice body)
{
    mw_arena arena;
    mw_pointer pointer;
    json_error_t error;
    mw_arena_init(&arena, MW_MEM_JSON, 0);
    text = mw_slice_first(text, mw_slice_find_byte(text, '\n'));
    json_t *root = json_loadb(body.len ? body.data : "", body.len, JSON_REJECT_DUPLICATES, &error);
    if (root && mw_pointer_parse(text, &arena, &pointer) == MW_OK)
        check(mw_pointer_find(&pointer, root) == reference_find(text, root));
    json_decref(root);
    mw_arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mw_slice all = mw_slice_bytes(data, size);
    size_t cut = mw_slice_find_byte(all, '\0');
    mw_slice json = mw_slice_first(all, cut), body = mw_slice_from(all, cut + 1);
    mw_mapping mapping;
    mw_detail detail = {0};
    mw_arena arena;
    if (size > (64 << 10))
        return 0;
    mw_arena_init(&arena, MW_MEM_JSON, 0);
    mw_err err = mw_mapping_parse(json, &arena, &mapping, &detail);
    if (err == MW_OK) {
        check(json.len <= MW_MAPPING_TEXT_MAX && mapping.fields[MW_MAPPED_TITLE].given);
        (void)parse(&mapping, body, &arena);
        check_sample(&mapping, &arena);
    } else {
        check((err == MW_E_INVALID || err == MW_E_SYNTAX || err == MW_E_LIMIT) &&
              detail.message[0] && detail.field[0]);
        check_pointer(json, body);
    }
    mw_arena_reset(&arena);
    check(mw_memory_component_used(MW_MEM_JSON) == 0);
    return 0;
}
