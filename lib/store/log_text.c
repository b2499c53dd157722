/* Text search in log bodies. See log_text.h.
 *
 * A body nests as deep as a sender liked, so that it is walked with a stack of bounded height, as
 * in proto/scan_value.c: a frame is the end of a message and its shape. Records are stored with at
 * most MW_OTLP_DEPTH_MAX levels; deeper ones are passed over. Most records do not hold the needle
 * at all, which their raw bytes tell at once.
 */
#include "lib/store/log_text.h"
#include "proto/scan.h"
#include "proto/wire.h"

#define RECORD_BODY MW_WIRE_TAG(5, MW_WIRE_BYTES)

/* ---- one text -------------------------------------------------------------------------------- */

static unsigned char fold(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + ('a' - 'A')) : byte;
}

static bool starts_with(const char *text, mw_slice needle)
{
    for (size_t i = 0; i < needle.len; i++)
        if (fold(text[i]) != fold(needle.data[i]))
            return false;
    return true;
}

bool mw_text_contains(mw_slice text, mw_slice needle)
{
    if (needle.len == 0)
        return true;
    unsigned char first = fold(needle.data[0]);
    for (size_t at = 0; at + needle.len <= text.len; at++)
        if (fold(text.data[at]) == first && starts_with(text.data + at, needle))
            return true;
    return false;
}

/* ---- strings of a value ---------------------------------------------------------------------- */

typedef enum body_shape {
    SHAPE_VALUE,
    SHAPE_ARRAY,
    SHAPE_LIST,
    SHAPE_KEY_VALUE,
    SHAPE_COUNT
} body_shape;

enum { SKIP, TEXT, ENTER };

/* What fields 1 to 6 of a message are; those that matter are of wire type 2. */
#define RULES_MAX 7
typedef struct body_rule {
    uint8_t step, child;
} body_rule;

static const body_rule rules[SHAPE_COUNT][RULES_MAX] = {
    [SHAPE_VALUE] = {[1] = {TEXT, 0}, [5] = {ENTER, SHAPE_ARRAY}, [6] = {ENTER, SHAPE_LIST}},
    [SHAPE_ARRAY] = {[1] = {ENTER, SHAPE_VALUE}},
    [SHAPE_LIST] = {[1] = {ENTER, SHAPE_KEY_VALUE}},
    [SHAPE_KEY_VALUE] = {[1] = {TEXT, 0}, [2] = {ENTER, SHAPE_VALUE}},
};

/* A level is at most a list, a KeyValue and an AnyValue; the outermost is an AnyValue alone. */
#define FRAMES_MAX (3 * MW_OTLP_DEPTH_MAX + 1)

typedef struct body_walk {
    const uint8_t *at;
    size_t top;
    struct {
        const uint8_t *end;
        uint8_t shape;
    } frames[FRAMES_MAX];
} body_walk;

static void enter(body_walk *walk, size_t top, uint8_t shape, mw_slice message)
{
    if (top == FRAMES_MAX || message.len == 0)
        return; /* `at` is behind it already */
    walk->top = top;
    walk->frames[top].shape = shape;
    walk->frames[top].end = mw_wire_end(message);
    walk->at = mw_wire_begin(message);
}

static bool value_contains(mw_slice value, mw_slice needle)
{
    body_walk walk;
    if (value.len == 0)
        return false;
    enter(&walk, 0, SHAPE_VALUE, value);
    for (;;) {
        while (walk.at == walk.frames[walk.top].end) {
            if (walk.top == 0)
                return false;
            walk.top--;
        }
        mw_wire_field field;
        walk.at = mw_wire_next(walk.at, walk.frames[walk.top].end, &field);
        if (!walk.at)
            return false;
        uint32_t number = mw_wire_number(field.tag);
        if ((field.tag & 7) != MW_WIRE_BYTES || number >= RULES_MAX)
            continue;
        const body_rule *rule = &rules[walk.frames[walk.top].shape][number];
        if (rule->step == TEXT && mw_text_contains(field.bytes, needle))
            return true;
        if (rule->step == ENTER)
            enter(&walk, walk.top + 1, rule->child, field.bytes);
    }
}

bool mw_log_body_contains(mw_slice record, mw_slice needle)
{
    const uint8_t *at = mw_wire_begin(record), *end = mw_wire_end(record);

    if (needle.len == 0)
        return true;
    if (!mw_text_contains(record, needle))
        return false;
    while (at && at < end) {
        mw_wire_field field;
        at = mw_wire_next(at, end, &field);
        if (at && field.tag == RECORD_BODY && value_contains(field.bytes, needle))
            return true;
    }
    return false;
}
