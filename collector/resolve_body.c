/* The session that a log record's body names. Contract: resolve_int.h.
 *
 * AgentCore's memory service and some agents write their records as one object and have no
 * attributes; the ids are members of the body then. The validating pass has been over the bytes:
 * nothing here can be broken, and of members in parts the last part is read. One walk over the
 * members, no recursion, nothing kept.
 */
#include "collector/resolve_int.h"
#include "proto/wire.h"

typedef struct member {
    mw_slice key;
    mw_slice value; /* AnyValue */
} member;

/* The content of the last field with that tag; empty when there is none. */
static mw_slice last_field(mw_slice message, uint32_t tag)
{
    mw_slice found = MW_SLICE_NONE;
    mw_wire_field field;
    const uint8_t *end = mw_wire_end(message);
    for (const uint8_t *at = mw_wire_begin(message); at && at < end;) {
        at = mw_wire_next(at, end, &field);
        if (at && field.tag == tag)
            found = field.bytes;
    }
    return found;
}

static member read_member(mw_slice pair)
{
    return (member){last_field(pair, MW_WIRE_TAG(1, MW_WIRE_BYTES)),
                    last_field(pair, MW_WIRE_TAG(2, MW_WIRE_BYTES))};
}

static mw_slice text_of_value(mw_slice any_value)
{
    return mw_slice_trim(last_field(any_value, MW_WIRE_TAG(1, MW_WIRE_BYTES)));
}

/* The text of the first member of a KeyValueList with that key that is a text. */
static mw_slice text_member(mw_slice list, mw_slice key)
{
    mw_wire_field field;
    const uint8_t *end = mw_wire_end(list);
    for (const uint8_t *at = mw_wire_begin(list); at && at < end;) {
        at = mw_wire_next(at, end, &field);
        if (!at || field.tag != MW_WIRE_TAG(1, MW_WIRE_BYTES))
            continue;
        member pair = read_member(field.bytes);
        mw_slice text = mw_slice_equal(pair.key, key) ? text_of_value(pair.value) : MW_SLICE_NONE;
        if (text.len)
            return text;
    }
    return MW_SLICE_NONE;
}

mw_slice mw_resolve_body_session(const mw_value *body)
{
    mw_slice nested = MW_SLICE_NONE;
    mw_wire_field field;
    const uint8_t *end = mw_wire_end(body->bytes);
    for (const uint8_t *at = mw_wire_begin(body->bytes); at && at < end;) {
        at = mw_wire_next(at, end, &field);
        if (!at || field.tag != MW_WIRE_TAG(1, MW_WIRE_BYTES))
            continue;
        member pair = read_member(field.bytes);
        bool named = mw_slice_equal(pair.key, MW_SLICE("session_id")) ||
                     mw_slice_equal(pair.key, MW_SLICE("sessionId"));
        mw_slice text = named ? text_of_value(pair.value) : MW_SLICE_NONE;
        if (text.len)
            return text;
        if (mw_slice_equal(pair.key, MW_SLICE("attributes")))
            nested = last_field(pair.value, MW_WIRE_TAG(6, MW_WIRE_BYTES));
    }
    return text_member(nested, MW_SLICE("session.id"));
}
