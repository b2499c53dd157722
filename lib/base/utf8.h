/* UTF-8: validation at ingest, replacement when shown, neutralising for terminals. */
#ifndef MW_BASE_UTF8_H
#define MW_BASE_UTF8_H

#include "lib/base/buffer.h"
#include "lib/base/slice.h"

/* RFC 3629: no overlong forms, no surrogates, at most U+10FFFF. NUL is a valid character. */
bool mw_utf8_valid(mw_slice text);
/* Length of the valid sequence at text.data (1 to 4), or 0 when the first byte starts none.
 * `code` may be NULL. */
size_t mw_utf8_next(mw_slice text, uint32_t *code);
/* Appends `text` for a terminal: bad bytes become U+FFFD; C0 and C1 controls, DEL and the bidi
 * controls become visible \xNN or \u{...} escapes. Newline and tab too, unless keep_newlines. */
void mw_utf8_append_visible(mw_buffer *out, mw_slice text, bool keep_newlines);
/* Columns a terminal needs for valid text (wide East Asian = 2, combining = 0). */
size_t mw_utf8_columns(mw_slice text);

#endif
