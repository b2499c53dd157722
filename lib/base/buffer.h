/* mw_buffer: growable bytes with a maximum fixed at init and a sticky error.
 *
 * Append as often as you like and check `err` once at the end: after a failure further appends
 * do nothing. Owned by one thread at a time.
 */
#ifndef MW_BASE_BUFFER_H
#define MW_BASE_BUFFER_H

#include <stdarg.h>

#include "lib/base/memory.h"
#include "lib/base/slice.h"

typedef struct mw_buffer {
    char *data;
    size_t len;
    size_t capacity;
    size_t max;
    mw_component component;
    mw_err err; /* MW_OK, MW_E_LIMIT or MW_E_NOMEM */
} mw_buffer;

void mw_buffer_init(mw_buffer *buffer, mw_component component, size_t max_bytes);
void mw_buffer_fini(mw_buffer *buffer);
/* Forgets content and error, keeps the memory. */
void mw_buffer_clear(mw_buffer *buffer);
/* Room for `more` bytes behind len, not yet counted; NULL on failure. */
MW_MUST_USE char *mw_buffer_reserve(mw_buffer *buffer, size_t more);
void mw_buffer_append(mw_buffer *buffer, const void *data, size_t len);
void mw_buffer_append_slice(mw_buffer *buffer, mw_slice text);
void mw_buffer_append_byte(mw_buffer *buffer, char byte);
void mw_buffer_appendf(mw_buffer *buffer, const char *format, ...) MW_PRINTF(2, 3);
/* Drops `len` bytes from the front (a move: for small remainders). */
void mw_buffer_consume(mw_buffer *buffer, size_t len);
mw_slice mw_buffer_slice(const mw_buffer *buffer);
/* Hands the memory over to the caller (mw_free with the same component); the buffer is empty. */
char *mw_buffer_take(mw_buffer *buffer, size_t *len);

#endif
