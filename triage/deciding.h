/* One alarm under decision, on the state writer's thread: what is known of it, what mw_decide says,
 * and what that does to incidents. Used by the first decision (engine.c) and by second looks
 * (looks.c). Memory is the arena of `steps`. */
#ifndef MW_TRIAGE_DECIDING_H
#define MW_TRIAGE_DECIDING_H

#include "triage/steps.h"

typedef struct mw_deciding {
    mw_steps steps;
    const mw_alarm_row *alarm;
    mw_window *window;           /* NULL: none could be had */
    int64_t begun_mono_ns;       /* of the decision */
    bool fresh;                  /* nobody can have sent an event for the alarm yet */
    bool wakes;                  /* an investigation has something to run */
    char id[MW_ID_TEXT_SIZE];    /* of the investigation that it opens */
    const mw_standing *standing; /* NULL: its service is not in the window */
    mw_slice service;            /* its own, or found in the title */
    mw_incident_facts facts;
    mw_member member;
    mw_decision_record record;
    mw_decision decision;
} mw_deciding;

/* gather.c. The telemetry of the alarm's window: standing, service, record.seen. Needs `alarm` and
 * `window` alone, so that it may run on the window's thread too. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_deciding_see(mw_deciding *d);
/* What was seen, as a member of an incident. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_deciding_member(mw_deciding *d);
/* The incidents that are near, best first, for record.input. */
MW_MUST_USE mw_err mw_deciding_find(mw_deciding *d);
/* All of them and the incident that the sender names: record.input is ready for mw_decide. */
MW_MUST_USE mw_err mw_deciding_gather(mw_deciding *d);

/* outcomes.c, on decision.investigation_id. The incident is about the alarm's service from now. */
MW_MUST_USE mw_err mw_deciding_center(mw_deciding *d);
/* The incidents that decision.joins names become part of it. */
MW_MUST_USE mw_err mw_deciding_merge(mw_deciding *d);
/* Of two that are one, which goes on (`into`): the one in a person's hands, else the larger, else
 * the older. */
MW_MUST_USE mw_err mw_deciding_order(mw_deciding *d, mw_slice one, mw_slice other, mw_slice *from,
                                     mw_slice *into);
/* `other` may be one with it: people are asked, once a pair. */
MW_MUST_USE mw_err mw_deciding_propose(mw_deciding *d, mw_slice other);

#endif
