/* Which space a request speaks of: the one place where that is decided.
 *
 * A token is bound to a space, and that is the one; any other that is named is not there for it.
 * Without a token an export names it in the header x-midwatch-space, a question in the parameter
 * `space`; without either it is "default". What a token asks for outside of its space goes to the
 * audit, whether it is denied or said not to be there. Any thread; memory is the spaces' and the
 * request's arena.
 */
#ifndef MW_SERVER_SPACE_OF_H
#define MW_SERVER_SPACE_OF_H

#include "collector/collector.h"
#include "lib/access/access.h"
#include "lib/store/spaces.h"

struct mw_server;

#define MW_SPACE_HEADER MW_SLICE("x-midwatch-space")
#define MW_SPACE_PARAMETER "space"

/* The space that the request's token is bound to, in `out`; empty without a token. MW_E_DENIED when
 * the token is not good any more. */
MW_MUST_USE mw_err mw_space_bound(struct mw_server *server, const mw_request *request,
                                  char out[MW_TOKEN_SPACE_SIZE], mw_detail *detail);
/* For mw_collector_spaces; ctx is the mw_server. MW_E_NOT_FOUND, MW_E_INVALID (sent twice, no name
 * of a space), with detail. */
MW_MUST_USE mw_err mw_space_of_export(void *ctx, const mw_request *request, mw_export_target *out,
                                      mw_detail *detail);
void mw_space_leave(void *held);
/* A reference. `asked` is the parameter's value, data NULL when it is absent. Errors as above, and
 * MW_E_DENIED when the token is not good any more. */
MW_MUST_USE mw_err mw_space_of_question(struct mw_server *server, const mw_request *request,
                                        mw_slice asked, mw_space **out, mw_detail *detail);
/* Alarms, investigations, deployments and webhooks lie in the default space. For the token of
 * another one what is asked for by id is not there (MW_E_NOT_FOUND), all else is not allowed
 * (MW_E_DENIED): an empty list would say that all is quiet. `bound` is of mw_space_bound. */
MW_MUST_USE mw_err mw_space_of_state(struct mw_server *server, const mw_request *request,
                                     const char *bound, mw_detail *detail);

/* The numbers of all spaces together; the commit sequence is that of "default". */
typedef struct mw_space_totals {
    mw_store_stats stats;
    size_t spaces;
    uint64_t counted_most; /* what retention by size counts of the space that has most */
} mw_space_totals;
void mw_space_totals_read(struct mw_server *server, mw_space_totals *out);

#endif
