/* Verification of what lies in a store's directory, beside a daemon or without one. Reads only,
 * takes no lock. Memory is MW_MEM_STORE; any one thread.
 */
#ifndef MW_STORE_SEGMENT_VERIFY_H
#define MW_STORE_SEGMENT_VERIFY_H

#include "lib/store/segment/segment_walk.h"

/* As mw_store_verify (store.h), by what the catalogue remembered before the directory is read
 * (`known`; may be empty). May take some seconds longer where the log does not end in order. */
MW_MUST_USE mw_err mw_verify_segments(const char *directory, const mw_known_segments *known,
                                      void (*report)(void *ctx, const mw_store_damage *damage),
                                      void *ctx, mw_store_verified *out);

#endif
