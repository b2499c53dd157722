/* Bodies of deliveries: what the adapters share. Private to the room.
 *
 * From bytes to a JSON object (depth bound before the parser, no member twice), and from its
 * members to texts in the request's arena. Refusals name the member. Pure; on the loop's thread.
 */
#ifndef MW_WEBHOOK_BODY_INT_H
#define MW_WEBHOOK_BODY_INT_H

#include <jansson.h>

#include "webhook/source.h"

/* Facts: webhooks 1.6 and 2.1. Characters; the vendor's model counts them so. */
#define MW_BODY_MAX ((size_t)256 << 10)
#define MW_INCIDENT_ID_MAX 256
#define MW_TITLE_MAX 512
#define MW_SERVICE_MAX 256
#define MW_REGION_MAX 64
/* Bytes. */
#define MW_DESCRIPTION_MAX ((size_t)32 << 10)

/* The body as an object, to be given back with json_decref. MW_E_UNSUPPORTED (content type),
 * MW_E_SYNTAX, MW_E_INVALID, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_body_load(const mw_delivery *delivery, json_t **root, mw_detail *detail);

/* No deeper than a body may be. */
bool mw_body_is_shallow(mw_slice text);

/* The text of a string value; empty for others. Borrowed from the tree. */
mw_slice mw_body_text_of(const json_t *value);
size_t mw_body_characters(mw_slice text);
/* At most that many characters of it. */
mw_slice mw_body_cut(mw_slice text, size_t characters);

/* A member that is a string. `field` is what a refusal calls it. Null counts as absent; empty text
 * is refused where a value is required. MW_E_INVALID, MW_E_NOMEM. */
typedef struct mw_text_rule {
    const char *name, *field;
    bool required;
    size_t max_characters; /* 0 = unbounded */
    size_t max_bytes;      /* likewise */
} mw_text_rule;
MW_MUST_USE mw_err mw_body_text(const json_t *object, const mw_text_rule *rule, mw_arena *arena,
                                mw_slice *out, mw_detail *detail);
/* The same rule for a text that was found another way; data NULL when absent. */
MW_MUST_USE mw_err mw_body_check_text(mw_slice text, const mw_text_rule *rule, mw_arena *arena,
                                      mw_slice *out, mw_detail *detail);

/* The words of an alarm's action and priority, NULL-terminated. */
extern const char *const mw_action_words[];
extern const char *const mw_priority_words[];
/* The word itself when it is one of the list; data NULL otherwise. */
mw_slice mw_body_word(const char *const *words, mw_slice text);

/* JSON of an array of strings, in the arena. MW_E_NOMEM; MW_E_INVALID with `field` named when
 * something else is in it. */
MW_MUST_USE mw_err mw_body_strings(const json_t *array, const char *field, mw_arena *arena,
                                   mw_slice *out, mw_detail *detail);
/* A value as JSON text, in the arena. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_body_dump(const json_t *value, mw_arena *arena, mw_slice *out);

/* `count` zeroed events in the arena. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_alarm_events_make(mw_arena *arena, size_t count, mw_alarm_events *out);

/* ---- what texts say (normalise.c) ---------------------------------------------------------- */

/* A CloudWatch namespace, which stands where a service should (DESIGN 4.4). */
bool mw_is_namespace(mw_slice service);
/* The first region in a text ("eu-west-1"), borrowed; empty when there is none. */
mw_slice mw_region_in(mw_slice text);
/* What DESIGN 4.4 says of every source: a namespace is no service, and a region that the source
 * did not give is looked for in the title. */
void mw_event_settle(mw_alarm_event *event);

#endif
