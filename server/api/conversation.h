/* What the user asked and what was answered, as far as the conventions carry it.
 *
 * Frameworks put a conversation's texts into attributes of agent and model spans, into events of
 * theirs, or into log records; as plain text, as JSON in a string, as structured values, or as one
 * attribute a message with its index in the key. One table (conversation.c) names the places, the
 * best first. Of a list of messages the question is the last of the user's, the answer the last of
 * the assistant's; parts that are no text (tool calls, images) are passed over.
 *
 * Pure but for memory: unpacked items in, texts out, cut to MW_SAID_MAX bytes at a character, in
 * the caller's arena. Text is the sender's: the API escapes it, the command line neutralises it.
 */
#ifndef MW_SERVER_API_CONVERSATION_H
#define MW_SERVER_API_CONVERSATION_H

#include "lib/base/arena.h"
#include "proto/unpack.h"

/* Of a text that is shown: a screen. */
#define MW_SAID_MAX 4096

typedef struct mw_said_text {
    mw_slice text;
    bool cut;
    unsigned rank;    /* of the place it comes from; lower is better */
    uint64_t time_ns; /* of equal ranks the question is the earliest, the answer the latest */
} mw_said_text;

typedef struct mw_said {
    mw_said_text asked, answered; /* text empty = not found */
    mw_arena *arena;
} mw_said;

void mw_said_init(mw_said *said, mw_arena *arena);
/* Where it stands: an agent's own span (0) tells better than a model's call (1), that better than a
 * log record (2). MW_E_NOMEM. */
MW_MUST_USE mw_err mw_said_by_span(mw_said *said, unsigned place, const mw_otlp_span *span);
MW_MUST_USE mw_err mw_said_by_log(mw_said *said, unsigned place, mw_slice event_name,
                                  uint64_t time_ns, const mw_otlp_log *log);

#endif
