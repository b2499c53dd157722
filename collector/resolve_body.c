/* The session that a log record's body names. Contract: resolve_int.h.
 *
 * AgentCore's memory service and some agents write their records as one object and have no
 * attributes; the ids are members of the body then. One walk over the members, no recursion,
 * nothing kept.
 */
#include "collector/resolve_int.h"
#include "proto/attribute_walk.h"

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

static bool names_session(mw_slice key)
{
    return mw_slice_equal(key, MW_SLICE("session_id")) ||
           mw_slice_equal(key, MW_SLICE("sessionId")) ||
           mw_slice_equal(key, MW_SLICE("session.id"));
}

/* A browser's or code interpreter's session is not the agent's. */
static bool is_tool(mw_slice arn)
{
    return mw_slice_contains(arn, MW_SLICE(":bedrock-agentcore:")) &&
           (mw_slice_contains(arn, MW_SLICE(":browser")) ||
            mw_slice_contains(arn, MW_SLICE(":code-interpreter")));
}

mw_slice mw_resolve_body_session(const mw_value *body)
{
    mw_attribute_walk walk;
    mw_slice key, nested = MW_SLICE_NONE, session = MW_SLICE_NONE;
    mw_value value;
    mw_attribute_walk_init(&walk, body->bytes, MW_ATTRIBUTES_OF_LIST);
    while (mw_attribute_next(&walk, &key, &value)) {
        if (session.len == 0 && names_session(key))
            session = text_of(&value);
        if (mw_slice_equal(key, MW_SLICE("resource_arn")) && is_tool(text_of(&value)))
            return MW_SLICE_NONE;
        if (value.type == MW_VALUE_KVLIST && mw_slice_equal(key, MW_SLICE("attributes")))
            nested = value.bytes;
    }
    return session.len ? session : text_member(nested, MW_SLICE("session.id"));
}
