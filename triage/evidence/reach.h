/* Where known calls lead from some services: over calls seen in the window and calls imported, and
 * over messages either way, since a full queue stops who sends and an empty one who takes.
 *
 * Made from an investigation's findings; memory is their arena, names are borrowed. One thread.
 */
#ifndef MW_TRIAGE_REACH_H
#define MW_TRIAGE_REACH_H

#include "triage/evidence/findings.h"

typedef struct mw_reach {
    mw_slice *names; /* sorted */
    bool *reached;
    size_t count;
} mw_reach;

/* MW_E_NOMEM. */
MW_MUST_USE mw_err mw_reach_make(const mw_findings *findings, const mw_slice *from, size_t count,
                                 mw_reach *out);
/* A service reaches itself. */
bool mw_reach_has(const mw_reach *reach, mw_slice service);

#endif
