/* lib/net, private: gzip request bodies, sans I/O, streaming into a bounded mw_body.
 *
 * Several members in a row are one body (RFC 1952 2.2). Anything else behind a member, a short
 * stream or a wrong checksum is MW_E_SYNTAX. The output never passes the body's max: what would
 * is MW_E_LIMIT at once, so a bomb costs at most the limit.
 */
#ifndef MW_NET_INFLATE_INT_H
#define MW_NET_INFLATE_INT_H

#include <zlib.h>

#include "lib/net/body_int.h"

typedef struct mw_inflate {
    z_stream stream;
    bool in_member; /* a member has begun and not ended */
    bool more;      /* output may wait inside zlib though the input is used up */
} mw_inflate;

/* MW_E_NOMEM. */
MW_MUST_USE mw_err mw_inflate_init(mw_inflate *gzip);
void mw_inflate_fini(mw_inflate *gzip);
/* MW_E_SYNTAX, MW_E_LIMIT, MW_E_NOMEM; not to be fed any more after one of them. MW_E_AGAIN: the
 * body may not grow now; the last stream.avail_in bytes of `in` were not taken, and are to be fed
 * again (even if there are none, while `more`). */
MW_MUST_USE mw_err mw_inflate_feed(mw_inflate *gzip, mw_slice in, mw_body *out);
/* At the end of the input: MW_E_SYNTAX when a member is not complete. */
MW_MUST_USE mw_err mw_inflate_finish(const mw_inflate *gzip);

#endif
