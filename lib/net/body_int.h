/* lib/net, private: the body of one request, one contiguous buffer under MW_MEM_NET.
 *
 * Grows by doubling. What the peer announced saves the copies of growing, but is not believed
 * beyond twice what has arrived (or MW_BODY_TRUST), and not before the first byte. While memory
 * is not plentiful a body gets what it needs and an eighth. Growth asks `admit` first
 * (admission_int.h), so that bodies on their way in leave enough to requests that are being worked
 * on.
 */
#ifndef MW_NET_BODY_INT_H
#define MW_NET_BODY_INT_H

#include "lib/base/memory.h"
#include "lib/base/slice.h"

/* An announced length is believed up to here at once: an export of 512 spans has 380 KB, and
 * growing to that by doubling costs as much as receiving it. */
#define MW_BODY_TRUST ((size_t)512 << 10)

typedef struct mw_body {
    char *data;
    size_t len;
    size_t capacity;
    size_t max;      /* the route's limit */
    size_t expected; /* announced; 0 = unknown */
    /* May it grow by so many bytes? NULL = mw_memory_admits. */
    bool (*admit)(void *ctx, size_t more);
    void *ctx;
} mw_body;

void mw_body_init(mw_body *body, size_t max);
void mw_body_fini(mw_body *body);
/* Room for `more` bytes behind len. MW_E_LIMIT (over max), MW_E_AGAIN (not admitted now, nothing
 * has changed), MW_E_NOMEM. */
MW_MUST_USE mw_err mw_body_reserve(mw_body *body, size_t more);
MW_MUST_USE mw_err mw_body_append(mw_body *body, mw_slice bytes);

#endif
