/* Strings of bodies. See body_walk.h. */
#include "lib/store/format/body_walk.h"
#include "proto/wire.h"

#define RECORD_BODY MW_WIRE_TAG(5, MW_WIRE_BYTES)

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

static void enter(mw_body_walk *walk, size_t top, uint8_t shape, mw_slice message)
{
    if (top == MW_BODY_FRAMES_MAX || message.len == 0)
        return; /* `at` is behind it already */
    walk->top = top;
    walk->frames[top].shape = shape;
    walk->frames[top].end = mw_wire_end(message);
    walk->at = mw_wire_begin(message);
}

void mw_body_walk_begin(mw_body_walk *walk, mw_slice value)
{
    walk->at = NULL;
    enter(walk, 0, SHAPE_VALUE, value);
}

bool mw_body_walk_next(mw_body_walk *walk, mw_slice *text)
{
    while (walk->at) {
        mw_wire_field field;
        while (walk->at == walk->frames[walk->top].end) {
            if (walk->top == 0)
                return false;
            walk->top--;
        }
        walk->at = mw_wire_next(walk->at, walk->frames[walk->top].end, &field);
        if (!walk->at)
            return false;
        uint32_t number = mw_wire_number(field.tag);
        if ((field.tag & 7) != MW_WIRE_BYTES || number >= RULES_MAX)
            continue;
        const body_rule *rule = &rules[walk->frames[walk->top].shape][number];
        if (rule->step == TEXT) {
            *text = field.bytes;
            return true;
        }
        if (rule->step == ENTER)
            enter(walk, walk->top + 1, rule->child, field.bytes);
    }
    return false;
}

bool mw_record_body(mw_slice *rest, mw_slice *value)
{
    const uint8_t *at = mw_wire_begin(*rest), *end = mw_wire_end(*rest);
    while (at && at < end) {
        mw_wire_field field;
        at = mw_wire_next(at, end, &field);
        if (!at || field.tag != RECORD_BODY)
            continue;
        *value = field.bytes;
        *rest = mw_slice_bytes(at, (size_t)(end - at));
        return true;
    }
    return false;
}
