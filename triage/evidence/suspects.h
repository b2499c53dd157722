/* Whose telemetry an answer can need: what known calls lead to from the alarm's services, and who
 * calls those. By the roll-ups, before anything else is read.
 *
 * What stands behind no call from the alarm is never its probable cause (alarm_causes.c); where all
 * of a window cannot be read, it is left out first. Memory is the context's arena. One thread.
 */
#ifndef MW_TRIAGE_SUSPECTS_H
#define MW_TRIAGE_SUSPECTS_H

#include "triage/evidence/provider_int.h"

typedef struct mw_suspects {
    const mw_slice *services; /* none: all are */
    size_t count;
    uint64_t spans; /* of the window, as the roll-ups have them: those of the suspects */
} mw_suspects;

/* MW_E_NOMEM and what mw_store_graph returns. */
MW_MUST_USE mw_err mw_suspects_find(const mw_context *context, mw_store *store,
                                    const mw_store_stop *stop, mw_suspects *out);

#endif
