/* Resolution: which session, agent, model, tokens, kind, service and peer an item belongs to.
 *
 * Instrumentations name the same thing in twenty ways. One table (resolve_table.c) gives each
 * attribute key the field it speaks for and its rank there; the present, non-empty key of the best
 * rank wins: among the item's attributes first, then the resource's, then the scope's. Exceptions:
 * service.name wins wherever it stands; tokens, kind and peer are the span's own alone; a log
 * record's body may name its session. Raw attributes stay in the stored item; inheritance between
 * items is the store's business.
 *
 * Pure functions over what the validating pass found. Slices of the result point into the body,
 * to literals, or into the arena. Any thread. Source: OpenTelemetry semantic conventions 1.41 and
 * the vendors' own.
 */
#ifndef MW_COLLECTOR_RESOLVE_H
#define MW_COLLECTOR_RESOLVE_H

#include "lib/base/arena.h"
#include "lib/store/store.h"
#include "proto/scan.h"

typedef enum mw_resolve_field {
    MW_RESOLVE_SESSION,
    MW_RESOLVE_AGENT,
    MW_RESOLVE_LOG_GROUP, /* names the agent where nothing else does */
    MW_RESOLVE_USER,
    MW_RESOLVE_MODEL,
    MW_RESOLVE_SERVICE,
    MW_RESOLVE_PEER,
    MW_RESOLVE_EVENT, /* a log record's event name, as SDKs sent it before it was a field */
    MW_RESOLVE_USAGE_JSON,
    MW_RESOLVE_METADATA_JSON, /* OpenInference's; LangChain's agent is named in there */
    MW_RESOLVE_INPUT,         /* token counts from here on */
    MW_RESOLVE_OUTPUT,
    MW_RESOLVE_CACHE_READ,
    MW_RESOLVE_CACHE_WRITE,
    MW_RESOLVE_KIND, /* not a value: evidence, see `kind` below */
    MW_RESOLVE_FIELDS
} mw_resolve_field;

#define MW_RESOLVE_NO_RANK 255

/* The best value of each field in one place: an item, a resource or a scope. */
typedef struct mw_resolve_place {
    uint8_t rank[MW_RESOLVE_FIELDS];   /* MW_RESOLVE_NO_RANK = none */
    mw_value value[MW_RESOLVE_FIELDS]; /* STRING (trimmed) or INT; tokens always INT */
    uint8_t kind;                      /* mw_operation_kind */
    bool no_tokens; /* the operation repeats tokens that were counted elsewhere */
    bool gen_ai;    /* some gen_ai.* attribute was there */
    bool step;      /* of an agent, which its parent names */
} mw_resolve_place;

/* A token count beyond this is not one: sums over a session stay far from overflow. */
#define MW_TOKENS_MAX INT64_C(1000000000000)
/* A longer text of usage_details or metadata is not read: the objects have a dozen members. */
#define MW_RESOLVED_JSON_MAX 4096

/* The longest resolved text; the rest is cut at a character. Session ids of frameworks have at most
 * 100 characters, span names of conventions fewer; webhooks bound their names alike. */
#define MW_RESOLVED_TEXT_MAX 256

/* The keys to ask the validating pass for; aborts when memory is short (start-up). */
mw_keyset *mw_resolve_keyset_new(void);

/* The key that has this rank in the field's list; NULL when none has. */
const char *mw_resolve_key_name(mw_resolve_field field, unsigned rank);

/* `root`: the place is a span without parent. */
void mw_resolve_place_read(mw_resolve_place *place, const mw_found *found, size_t count, bool root);

/* What stands around an item. */
typedef struct mw_resolve_around {
    const mw_resolve_place *resource, *scope; /* NULL = absent */
    /* Of the request's headers: names the agent as an attribute MW_RESOLVE_LOG_GROUP does, where
     * there is none. */
    mw_slice log_group;
    mw_arena *arena; /* when it is full, what was sent as a number stays unknown */
} mw_resolve_around;

/* Unknown text stays empty, but service becomes "unknown". */

/* Fills operation_kind, tokens, service, peer_service, session_id, agent, user and model of
 * `row`; row->kind and row->name must be set: the convention's span name, "chat gpt-x", names the
 * operation where the attribute is missing. */
void mw_resolve_span(const mw_resolve_place *span, const mw_resolve_around *around,
                     mw_span_row *row);
/* Fills service, session_id and agent, and event_name where it is empty. */
void mw_resolve_log(const mw_resolve_place *record, const mw_value *body,
                    const mw_resolve_around *around, mw_log_row *row);
/* Fills service and session_id; name and unit are cut as resolved texts are. */
void mw_resolve_point(const mw_resolve_place *point, const mw_resolve_around *around,
                      mw_point_row *row);

#endif
