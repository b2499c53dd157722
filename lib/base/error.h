/* One error space for the whole program.
 *
 * Every function that can fail for a reason its caller must tell apart returns mw_err; prototypes
 * list the codes they return. A bug aborts (mw_bug), a fatal condition at start ends the process
 * from server/, an expected outcome is a value and not an error. mw_detail carries the words for
 * a person: which field, what was wrong, how to fix it.
 */
#ifndef MW_BASE_ERROR_H
#define MW_BASE_ERROR_H

#include "lib/base/banned.h"

#define MW_MUST_USE __attribute__((warn_unused_result))
#define MW_PRINTF(format_index, args_index)                                                        \
    __attribute__((format(printf, format_index, args_index)))

typedef enum mw_err {
    MW_OK = 0,
    MW_E_NOMEM,           /* the memory account or the arena is exhausted: retryable */
    MW_E_LIMIT,           /* larger than a named bound: not retryable */
    MW_E_BUSY,            /* a queue's byte budget is full: retryable */
    MW_E_SYNTAX,          /* bytes that are not of the format */
    MW_E_INVALID,         /* well formed, but a value breaks a rule */
    MW_E_NOT_FOUND,       /* no such thing */
    MW_E_AMBIGUOUS,       /* an id prefix that fits more than one */
    MW_E_CONFLICT,        /* the thing changed or exists already */
    MW_E_DENIED,          /* known, but not allowed */
    MW_E_UNAUTHENTICATED, /* credentials absent, unknown or stale */
    MW_E_UNSUPPORTED,     /* an encoding, version or feature that is not understood */
    MW_E_IO,              /* the operating system refused; durable state is unknown */
    MW_E_NO_SPACE,        /* disk full or read-only: retryable after a person acts */
    MW_E_CORRUPT,         /* stored bytes fail their checksum */
    MW_E_CLOSED,          /* shutting down */
    MW_E_TIMEOUT,         /* a deadline passed */
    MW_E_AGAIN,           /* more input is needed */
    MW_E_COUNT
} mw_err;

/* A short English phrase, never NULL. Any thread. */
const char *mw_err_text(mw_err err);

/* What a person needs to mend bad input. All three are NUL-terminated and safe to copy; text from
 * a peer must go through mw_detail_set, which neutralises control characters. */
typedef struct mw_detail {
    char field[96];
    char message[256];
    char hint[192];
} mw_detail;

/* Fills `detail` (NULL is ignored) and returns `err`, so that a refusal is one line. */
mw_err mw_detail_set(mw_detail *detail, mw_err err, const char *field, const char *hint,
                     const char *format, ...) MW_PRINTF(5, 6);

/* A broken invariant: prints file, line and text and aborts. Stays on in release builds. */
_Noreturn void mw_bug(const char *file, int line, const char *text);
#define MW_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : mw_bug(__FILE__, __LINE__, "assertion failed: " #condition))

#endif
