/* lib/access: the option allowed_origins, a comma-separated list of exact web origins. Pure.
 *
 * An origin is what a browser sends in Origin: scheme://host, and the port unless it is the
 * scheme's own (RFC 6454 6.2). There are no patterns: a page that is listed reads, without a
 * token, all that a program on this machine reads, so each one is a decision.
 */
#ifndef MW_ACCESS_ORIGIN_H
#define MW_ACCESS_ORIGIN_H

#include "lib/base/slice.h"

/* MW_OK, or MW_E_INVALID with a detail for the option allowed_origins: "*", "null", no scheme, a
 * path or a slash at the end, a port that browsers leave out. */
MW_MUST_USE mw_err mw_origins_check(mw_slice list, mw_detail *detail);
/* True when `origin`, as a browser sent it, is in the list. */
bool mw_origins_hold(mw_slice list, mw_slice origin);

#endif
