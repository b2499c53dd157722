/* The session that a log record's body names. Contract: resolve_int.h.
 *
 * AgentCore's memory service and some agents write their records as one object and have no
 * attributes; the ids are members of the body then. One walk over the members, no recursion,
 * nothing kept.
 */
#include "collector/attribute_walk.h"
#include "collector/resolve_int.h"

static mw_slice text_of(const mw_value *value)
{
    return value->type == MW_VALUE_STRING ? mw_slice_trim(value->bytes) : MW_SLICE_NONE;
}

/* The text of the first member of a KeyValueList with that key that is a text. */
static mw_slice text_member(mw_slice list, mw_slice wanted)
{
    mw_attribute_walk walk;
    mw_slice key, text = MW_SLICE_NONE;
    mw_value value;
    mw_attribute_walk_init(&walk, list, MW_ATTRIBUTES_OF_LIST);
    while (text.len == 0 && mw_attribute_next(&walk, &key, &value))
        if (mw_slice_equal(key, wanted))
            text = text_of(&value);
    return text;
}

mw_slice mw_resolve_body_session(const mw_value *body)
{
    mw_attribute_walk walk;
    mw_slice key, nested = MW_SLICE_NONE;
    mw_value value;
    mw_attribute_walk_init(&walk, body->bytes, MW_ATTRIBUTES_OF_LIST);
    while (mw_attribute_next(&walk, &key, &value)) {
        bool named = mw_slice_equal(key, MW_SLICE("session_id")) ||
                     mw_slice_equal(key, MW_SLICE("sessionId"));
        mw_slice text = named ? text_of(&value) : MW_SLICE_NONE;
        if (text.len)
            return text;
        if (value.type == MW_VALUE_KVLIST && mw_slice_equal(key, MW_SLICE("attributes")))
            nested = value.bytes;
    }
    return text_member(nested, MW_SLICE("session.id"));
}
