/* The validating pass, attributes and bodies: KeyValue and AnyValue. Contract: scan.h.
 *
 * A scalar value, which is nearly every value there is, is read by straight code. Arrays and
 * key-value lists nest as deep as a peer likes, so that they are walked with an explicit stack of
 * bounded height; a level beyond the bound is skipped by its length and marks the item.
 *
 * A frame of the stack is only an end and the kind of message it is: where a child ends is where
 * its parent goes on.
 */
#include "proto/scan_int.h"
#include "proto/value.h"

/* ---- found keys ---------------------------------------------------------------------------- */

static void remember(mw_found_list *found, int key, const mw_value *value)
{
    uint64_t bit = UINT64_C(1) << (key & 63);
    uint64_t *word = &found->seen[key >> 6];
    if (*word & bit) {
        /* The last of equal keys wins. */
        for (size_t i = 0; i < found->count; i++)
            if (found->items[i].key == key)
                found->items[i].value = *value;
        return;
    }
    if (found->count == MW_FOUND_MAX)
        return;
    *word |= bit;
    /* Member by member: a copy of the struct reads 16 bytes at once that were just written as 4
     * and 8, which stalls (measured: 8 % of the pass). */
    mw_found *item = &found->items[found->count++];
    item->key = key;
    item->value.type = value->type;
    item->value.as = value->as;
    item->value.bytes.data = value->bytes.data;
    item->value.bytes.len = value->bytes.len;
}

/* ---- nested values ------------------------------------------------------------------------- */

typedef enum value_shape {
    SHAPE_ARRAY,
    SHAPE_KVLIST,
    SHAPE_VALUE,
    SHAPE_KEY_VALUE,
    SHAPE_COUNT
} value_shape;

typedef enum walk_step {
    STEP_SKIP,    /* an unknown number */
    STEP_CHECKED, /* a scalar: its wire type says all */
    STEP_TEXT,
    STEP_ENTER /* a message of shape `child` */
} walk_step;

typedef struct field_rule {
    uint8_t step, wire_type, child;
} field_rule;

#define RULES_MAX 9

static const field_rule rules[SHAPE_COUNT][RULES_MAX] = {
    [SHAPE_ARRAY] = {[1] = {STEP_ENTER, MW_WIRE_BYTES, SHAPE_VALUE}},
    [SHAPE_KVLIST] = {[1] = {STEP_ENTER, MW_WIRE_BYTES, SHAPE_KEY_VALUE}},
    [SHAPE_KEY_VALUE] = {[1] = {STEP_TEXT, MW_WIRE_BYTES, 0},
                         [2] = {STEP_ENTER, MW_WIRE_BYTES, SHAPE_VALUE},
                         [3] = {STEP_CHECKED, MW_WIRE_VARINT, 0}},
    [SHAPE_VALUE] = {[1] = {STEP_TEXT, MW_WIRE_BYTES, 0},
                     [2] = {STEP_CHECKED, MW_WIRE_VARINT, 0},
                     [3] = {STEP_CHECKED, MW_WIRE_VARINT, 0},
                     [4] = {STEP_CHECKED, MW_WIRE_FIXED64, 0},
                     [5] = {STEP_ENTER, MW_WIRE_BYTES, SHAPE_ARRAY},
                     [6] = {STEP_ENTER, MW_WIRE_BYTES, SHAPE_KVLIST},
                     [7] = {STEP_CHECKED, MW_WIRE_BYTES, 0},
                     [8] = {STEP_CHECKED, MW_WIRE_VARINT, 0}},
};

/* A level is at most a list, a KeyValue and an AnyValue. */
#define FRAMES_MAX (3 * MW_OTLP_DEPTH_MAX)

typedef struct value_walk {
    mw_cursor cursor;
    unsigned top;
    unsigned depth; /* of arrays and lists, 1 = the outermost */
    struct {
        const uint8_t *end;
        uint8_t shape; /* value_shape */
        uint8_t parts; /* KEY_VALUE: mw_value_parts; VALUE: 1 = a member came */
    } frames[FRAMES_MAX];
} value_walk;

/* Leaves every message that ends here; *done when that was the outermost. */
static mw_err leave(mw_scanner *scan, value_walk *walk, bool *done)
{
    while (walk->cursor.at == walk->frames[walk->top].end) {
        *done = walk->top == 0;
        if (*done)
            return MW_OK;
        uint8_t shape = walk->frames[walk->top].shape;
        bool member = walk->frames[walk->top].parts != 0;
        walk->depth -= shape <= SHAPE_KVLIST;
        walk->top--;
        if (shape == SHAPE_VALUE && walk->frames[walk->top].shape == SHAPE_KEY_VALUE &&
            !mw_scan_add_part(&walk->frames[walk->top].parts, member))
            return mw_scan_broken(scan, &walk->cursor);
    }
    walk->cursor.end = walk->frames[walk->top].end;
    return MW_OK;
}

static mw_err enter(mw_scanner *scan, value_walk *walk, value_shape child, mw_slice message)
{
    if (child == SHAPE_ARRAY || child == SHAPE_KVLIST) {
        if (walk->depth == MW_OTLP_DEPTH_MAX) {
            scan->too_deep = true;
            scan->result->too_deep = true;
            return MW_OK;
        }
        walk->depth++;
    } else if (walk->frames[walk->top].shape <= SHAPE_KVLIST && mw_scan_spend(scan) != MW_OK) {
        return MW_E_LIMIT;
    }
    walk->top++;
    MW_ASSERT(walk->top < FRAMES_MAX);
    walk->frames[walk->top].shape = (uint8_t)child;
    walk->frames[walk->top].parts = 0;
    walk->frames[walk->top].end = mw_wire_end(message);
    walk->cursor.at = mw_wire_begin(message);
    return MW_OK;
}

static mw_err take_nested(mw_scanner *scan, value_walk *walk)
{
    mw_wire_field field;
    if (!mw_cursor_take(&walk->cursor, &field))
        return mw_scan_broken(scan, &walk->cursor);
    uint32_t number = mw_wire_number(field.tag);
    if (number >= RULES_MAX)
        return MW_OK;
    const field_rule *rule = &rules[walk->frames[walk->top].shape][number];
    if (rule->step == STEP_SKIP)
        return MW_OK;
    if (rule->wire_type != (field.tag & 7))
        return mw_scan_other(scan, &walk->cursor, field.tag, UINT32_MAX);
    if (walk->frames[walk->top].shape == SHAPE_VALUE)
        walk->frames[walk->top].parts = 1;
    if (rule->step == STEP_TEXT)
        mw_scan_text(scan, field.bytes);
    if (rule->step == STEP_ENTER)
        return enter(scan, walk, (value_shape)rule->child, field.bytes);
    return MW_OK;
}

/* `message` is an ArrayValue or a KeyValueList. */
static mw_err scan_nested(mw_scanner *scan, mw_slice message, value_shape outermost)
{
    value_walk walk;
    walk.cursor = mw_cursor_open(message);
    walk.top = 0;
    walk.depth = 1;
    walk.frames[0].end = walk.cursor.end;
    walk.frames[0].shape = (uint8_t)outermost;
    walk.frames[0].parts = 0;
    for (;;) {
        bool done = false;
        mw_err err = leave(scan, &walk, &done);
        if (err == MW_OK && !done)
            err = take_nested(scan, &walk);
        if (err != MW_OK || done)
            return err;
    }
}

/* ---- values and attributes ----------------------------------------------------------------- */

#define VALUE_KNOWN 0x1fe

mw_err mw_scan_value(mw_scanner *scan, mw_slice message, mw_value *value, bool *member)
{
    mw_err err = MW_OK;
    *member = false;
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        if (!mw_value_take(&field, value)) {
            err = mw_scan_other(scan, &cursor, field.tag, VALUE_KNOWN);
            continue;
        }
        *member = true;
        if (value->type == MW_VALUE_STRING)
            mw_scan_text(scan, field.bytes);
        else if (value->type == MW_VALUE_ARRAY)
            err = scan_nested(scan, field.bytes, SHAPE_ARRAY);
        else if (value->type == MW_VALUE_KVLIST)
            err = scan_nested(scan, field.bytes, SHAPE_KVLIST);
    }
    return err;
}

#define KEY_VALUE_KNOWN 0x0e

/* A KeyValue as every SDK writes it: the key, then a text or an integer, nothing else. Read by
 * straight code, without a loop over fields: nearly all attributes there are. False says only that
 * it is another one. */
static bool read_plain(mw_slice message, mw_slice *key, mw_value *value)
{
    const uint8_t *at = mw_wire_begin(message), *end = mw_wire_end(message);
    uint64_t len;
    if (end - at < 4 || *at != MW_WIRE_TAG(1, MW_WIRE_BYTES))
        return false;
    at = mw_wire_varint(at + 1, end, 5, &len);
    if (!at || len >= (uint64_t)(end - at))
        return false;
    *key = (mw_slice){(const char *)at, (size_t)len};
    at += len;
    if (*at != MW_WIRE_TAG(2, MW_WIRE_BYTES))
        return false;
    at = mw_wire_varint(at + 1, end, 5, &len);
    if (!at || len < 2 || len != (uint64_t)(end - at))
        return false;
    if (*at == MW_WIRE_TAG(1, MW_WIRE_BYTES)) {
        at = mw_wire_varint(at + 1, end, 5, &len);
        if (!at || len != (uint64_t)(end - at))
            return false;
        value->type = MW_VALUE_STRING;
        value->bytes = (mw_slice){(const char *)at, (size_t)len};
        return true;
    }
    if (*at != MW_WIRE_TAG(3, MW_WIRE_VARINT) || mw_wire_varint(at + 1, end, 10, &len) != end)
        return false;
    value->type = MW_VALUE_INT;
    value->as.i = (int64_t)len;
    return true;
}

static mw_err read_fields(mw_scanner *scan, mw_slice message, mw_slice *key, mw_value *value)
{
    uint8_t parts = MW_PARTS_NONE;
    bool member;
    mw_err err = MW_OK;
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case MW_WIRE_TAG(1, MW_WIRE_BYTES): *key = field.bytes; break;
        case MW_WIRE_TAG(2, MW_WIRE_BYTES):
            err = mw_scan_value(scan, field.bytes, value, &member);
            if (err == MW_OK && !mw_scan_add_part(&parts, member))
                err = mw_scan_broken(scan, &cursor);
            break;
        case MW_WIRE_TAG(3, MW_WIRE_VARINT): break;
        default: err = mw_scan_other(scan, &cursor, field.tag, KEY_VALUE_KNOWN);
        }
    }
    return err;
}

/* The key's id, -1 = not of the set. */
static int find_key(mw_scanner *scan, mw_slice key)
{
    unsigned at = scan->attribute++;
    mw_key_guess *guess = at < MW_SCAN_GUESSES ? &scan->guesses[at] : NULL;
    if (guess && mw_scan_short_equal(guess->key, key))
        return guess->id;
    int id = scan->keys ? mw_keyset_find(scan->keys, key) : -1;
    bool good = id >= 0 || mw_scan_is_text(key); /* a key of the set is ASCII anyway */
    scan->bad_utf8 |= !good;
    if (guess && good)
        *guess = (mw_key_guess){key, id};
    return id;
}

mw_err mw_scan_attribute(mw_scanner *scan, mw_slice message, mw_found_list *found)
{
    mw_slice key = MW_SLICE_NONE;
    mw_value value = {.type = MW_VALUE_EMPTY};
    mw_err err = mw_scan_spend(scan);
    if (err == MW_OK && read_plain(message, &key, &value)) {
        if (value.type == MW_VALUE_STRING)
            mw_scan_text(scan, value.bytes);
    } else if (err == MW_OK) {
        key = MW_SLICE_NONE; /* it may have come before what is not plain */
        err = read_fields(scan, message, &key, &value);
    }
    if (err != MW_OK)
        return err;
    if (!found) {
        mw_scan_text(scan, key);
        return MW_OK;
    }
    int id = find_key(scan, key);
    if (id >= 0)
        remember(found, id, &value);
    return MW_OK;
}
