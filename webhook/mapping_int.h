/* A mapping: where a generic sender's body holds what an alarm needs. Private to the room.
 *
 *     {"events": "/alerts",                        optional: an array, one event an element; the
 *                                                  pointers below then start at the element
 *      "fields": {"incident_id": "/id",            required
 *                 "title": "/title",               required
 *                 "action": "/state", "priority": "/sev", "description": "/text",
 *                 "service": "/tags/service", "region": "/tags/region", "started_at": "/since"},
 *      "values": {"action": {"Triggered": "created", "Recovered": "resolved"},
 *                 "priority": {"P1": "CRITICAL"}},
 *      "defaults": {"action": "created", "priority": "HIGH", "service": "checkout"}}
 *
 * Pointers are RFC 6901. A value that the body has goes before a default; without both the action
 * is created and the priority MEDIUM. A word that is none of ours and not in `values` is refused
 * with its field named: a state that nobody thought of must not pass for another one. Everything
 * is bounded, since it is read for each delivery. Pure; a mapping lives in an arena.
 */
#ifndef MW_WEBHOOK_MAPPING_INT_H
#define MW_WEBHOOK_MAPPING_INT_H

#include <jansson.h>

#include "webhook/source.h"

#define MW_MAPPING_TEXT_MAX 8192
#define MW_POINTER_MAX 256
/* As deep as a body may be. */
#define MW_POINTER_TOKENS 32
/* Of one table of values. */
#define MW_MAPPING_VALUES_MAX 64

typedef enum mw_mapped_field {
    MW_MAPPED_INCIDENT_ID,
    MW_MAPPED_TITLE,
    MW_MAPPED_ACTION,
    MW_MAPPED_PRIORITY,
    MW_MAPPED_DESCRIPTION,
    MW_MAPPED_SERVICE,
    MW_MAPPED_REGION,
    MW_MAPPED_STARTED_AT,
    MW_MAPPED_FIELDS
} mw_mapped_field;
/* "incident_id". */
const char *mw_mapped_field_name(mw_mapped_field field);

/* Tokens are decoded and NUL-terminated behind their length. */
typedef struct mw_pointer {
    mw_slice tokens[MW_POINTER_TOKENS];
    size_t count; /* 0 = the whole */
    bool given;
} mw_pointer;

typedef struct mw_mapped_value {
    mw_slice theirs, ours;
} mw_mapped_value;

typedef struct mw_value_table {
    mw_mapped_value *items;
    size_t count;
} mw_value_table;

typedef struct mw_mapping {
    mw_pointer events;
    mw_pointer fields[MW_MAPPED_FIELDS];
    mw_slice defaults[MW_MAPPED_FIELDS]; /* data NULL = none */
    mw_value_table actions, priorities;
} mw_mapping;

/* MW_E_INVALID (detail: "mapping.fields.title"), MW_E_SYNTAX, MW_E_LIMIT, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_mapping_parse(mw_slice json, mw_arena *arena, mw_mapping *out,
                                    mw_detail *detail);
/* RFC 6901: empty, or "/" and tokens with ~0 and ~1. MW_E_SYNTAX, MW_E_LIMIT, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_pointer_parse(mw_slice text, mw_arena *arena, mw_pointer *out);
/* NULL when the document has no such place. */
const json_t *mw_pointer_find(const mw_pointer *pointer, const json_t *document);

#endif
