/* Parts of a data directory that were there once: seen by what else lies beside them. A start makes
 * both parts anew without asking, so it has to say what is gone, and `midwatch check` counts it as
 * damage until then. Reads only; no memory; any thread. For serve.c and check.c.
 */
#ifndef MW_SERVER_MISSING_H
#define MW_SERVER_MISSING_H

#include "server/options.h"

/* state.key is there, and state.db is not, or is empty. A start makes the file before the key, so
 * no kill leaves this; should one do so all the same, the next start makes the file. */
bool mw_missing_state(const mw_server_options *options);
/* state.db is there, and the directory of the space default is not, or is empty: a disk that is not
 * mounted, mostly. A start makes the store, with files in it, before state.db. */
bool mw_missing_store(const mw_server_options *options);

#define MW_MISSING_STATE                                                                           \
    "the state file is missing, though its key is there: alarms, decisions, tokens, webhooks and " \
    "the audit of before are gone"
#define MW_MISSING_STORE                                                                           \
    "the store is missing, though the state file is there: the telemetry of before is gone, or "   \
    "its disk is not mounted"

/* Before a start makes what is missing: says so in the log. */
void mw_missing_warn(const mw_server_options *options);

#endif
