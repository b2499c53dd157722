/* mw_slice: pointer and length by value, the one type for text and bytes from outside.
 *
 * A slice never owns. It is not NUL-terminated and may hold NUL; strlen on input is a bug. An
 * empty slice may have any pointer, NULL included.
 */
#ifndef MW_BASE_SLICE_H
#define MW_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

typedef struct mw_slice {
    const char *data;
    size_t len;
} mw_slice;

#define MW_SLICE(literal) ((mw_slice){"" literal, sizeof(literal) - 1})
#define MW_SLICE_INIT(literal)                                                                     \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#define MW_SLICE_NONE ((mw_slice){NULL, 0})
/* For printf("%.*s"): only for text that may be shown as it is. */
#define MW_SLICE_FMT(slice) (int)(slice).len, (slice).data

mw_slice mw_slice_of(const char *c_string);
mw_slice mw_slice_bytes(const void *data, size_t len);
bool mw_slice_equal(mw_slice a, mw_slice b);
/* ASCII case only: header names and schemes. */
bool mw_slice_equal_nocase(mw_slice a, mw_slice b);
bool mw_slice_starts(mw_slice text, mw_slice prefix);
bool mw_slice_ends(mw_slice text, mw_slice suffix);
/* -1, 0, 1 by bytes, shorter first when one is a prefix of the other. */
int mw_slice_compare(mw_slice a, mw_slice b);
/* Clamped to the slice. */
mw_slice mw_slice_from(mw_slice text, size_t offset);
mw_slice mw_slice_first(mw_slice text, size_t len);
/* Blanks and tabs off both ends. */
mw_slice mw_slice_trim(mw_slice text);
/* Index of the first `byte`, or text.len. */
size_t mw_slice_find_byte(mw_slice text, char byte);
bool mw_slice_contains(mw_slice text, mw_slice needle);
/* Cuts up to `separator` off the front of *rest into *head; false when *rest was empty. */
bool mw_slice_split(mw_slice *rest, char separator, mw_slice *head);

/* Whole-slice decimal integers: MW_E_SYNTAX on anything but digits (and one leading minus for
 * i64), MW_E_LIMIT on overflow. */
MW_MUST_USE mw_err mw_slice_u64(mw_slice text, uint64_t *out);
MW_MUST_USE mw_err mw_slice_i64(mw_slice text, int64_t *out);

/* Copies at most size-1 bytes and terminates; for names that are bounded and known to be text.
 * Returns false when it had to cut or the text holds NUL. */
bool mw_slice_to_cstr(mw_slice text, char *out, size_t size);

#endif
