/* Where the paths to a cause begin: the services that the alarms name, and, of one that has no
 * spans of its own, those that call it.
 *
 * A database, a queue or somebody else's service is seen as the peer of other services' calls
 * alone. Nothing leads from it, and what is wrong with it, or with how it is used, shows in its
 * callers.
 * Memory is the arena's. One thread.
 */
#ifndef MW_TRIAGE_ENTRIES_H
#define MW_TRIAGE_ENTRIES_H

#include "triage/evidence/provider_int.h"

/* Callers of all that have no spans: more than anybody would look at. */
#define MW_ENTRY_CALLERS_MAX 64

/* Adds to context->begins the callers of those in it that have no spans, where others have some: by
 * the roll-ups of the window and by what was imported. The calls go to the findings, and a gap
 * tells of it. `store` is the view's. MW_E_NOMEM and what mw_store_minutes returns. */
MW_MUST_USE mw_err mw_entries_add_callers(mw_context *context, mw_store *store,
                                          const mw_store_stop *stop);

#endif
