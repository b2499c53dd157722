/* The text of one message out of what frameworks send as messages. See conversation.h. */
#ifndef MW_SERVER_API_MESSAGES_H
#define MW_SERVER_API_MESSAGES_H

#include "lib/base/buffer.h"
#include "lib/base/slice.h"

typedef enum mw_speaker { MW_SPEAKER_USER, MW_SPEAKER_ASSISTANT } mw_speaker;

/* Longer JSON is not looked through: it would be held as a tree. */
#define MW_MESSAGES_JSON_MAX ((size_t)1 << 20)

/* Appends what the speaker said last: of JSON (an object, an array, a string) the text in it, of
 * anything else the text itself. Appends nothing when there is none. Pure but for memory; errors
 * are the buffer's. */
void mw_message_text(mw_slice value, mw_speaker speaker, mw_buffer *out);
/* Is it a name of the speaker's role ("user", "human"; "assistant", "ai", "model")? */
bool mw_role_is(mw_slice role, mw_speaker speaker);

#endif
