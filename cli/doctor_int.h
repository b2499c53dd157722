/* doctor: what is wrong with what two answers of the daemon tell, and the setting that helps.
 * Private to the room; one thread. Trees are jansson's, owned as said. */
#ifndef MW_CLI_DOCTOR_INT_H
#define MW_CLI_DOCTOR_INT_H

#include "cli/cli_int.h"

/* A refusal or a bad item is an error while it goes on; what has not been seen for this long has
 * probably been put right and is a warning. */
#define MW_DOCTOR_RECENT_NS (INT64_C(15) * 60 * 1000000000)

/* A new array of {severity: error|warning|note, code, seen, fix}, the worst first, from the bodies
 * of /api/v1/status and /api/v1/senders. NULL: no memory. Pure. */
json_t *mw_doctor_findings(const json_t *status, const json_t *senders, int64_t now_ns);

/* "orders (python 1.45.2)"; not neutralised. */
void mw_doctor_who(mw_buffer *out, const json_t *sender);

#endif
