/* The open incidents that an alarm may belong to, in memory, and the facts of the few that are
 * near.
 *
 * What is kept of an incident: the services of its members, the suspects behind them, their
 * regions, times and resources. All of it is derived from state and can be made again (triage.c
 * does so at start, and when a commit failed). Found by service, by suspect and by resource, so
 * that the cost of a look does not grow with the number of alarms, only with that of incidents
 * around the same services. Owned by one thread at a time: the state writer's, inside a job.
 */
#ifndef MW_TRIAGE_CANDIDATES_H
#define MW_TRIAGE_CANDIDATES_H

#include "lib/base/id.h"
#include "triage/decision/decision.h"

typedef struct mw_candidates mw_candidates;

/* Incidents that nobody closes stay open for ever; of more than this the longest quiet are
 * forgotten here (an alarm opens a new one then). A few hundred bytes each, and eight bytes a
 * member. */
#define MW_CANDIDATES_INCIDENTS_MAX 16384
#define MW_CANDIDATES_MEMBERS_MAX ((size_t)4 << 20)
/* Different things that one incident is found by; more add nothing. */
#define MW_CANDIDATES_SERVICES_MAX 64
#define MW_CANDIDATES_SUSPECTS_MAX 16
#define MW_CANDIDATES_RESOURCES_MAX 64
#define MW_CANDIDATES_REGIONS_MAX 8
#define MW_CANDIDATES_TITLES_MAX 32

typedef struct mw_member_suspect {
    mw_slice service;
    uint32_t onset; /* minutes since 1970 */
} mw_member_suspect;

/* An alarm, as far as being near to another goes. Text is copied where it is kept. */
typedef struct mw_member {
    mw_slice service, region, title;
    int64_t started_ns;
    const mw_slice *resources;
    size_t resource_count;
    const mw_member_suspect *suspects; /* newest ones (mw_topology_newest) */
    size_t suspect_count;
    bool known; /* its telemetry says whether something changed */
} mw_member;

MW_MUST_USE mw_candidates *mw_candidates_new(void); /* NULL without memory; MW_MEM_STATE */
void mw_candidates_free(mw_candidates *set);
size_t mw_candidates_count(const mw_candidates *set);
/* Adds a member; an investigation that is not known yet begins with it. MW_E_NOMEM: the set misses
 * it, and is to be made again. */
MW_MUST_USE mw_err mw_candidates_add(mw_candidates *set, mw_slice investigation_id,
                                     const mw_member *member);
/* A number an incident for who looks it up again and again: zero at first. NULL: not known. */
uint64_t *mw_candidates_note(mw_candidates *set, mw_slice investigation_id);
/* Closed, merged or about to be added again. Unknown ones are passed over. */
void mw_candidates_remove(mw_candidates *set, mw_slice investigation_id);
/* The best few that are near in time and related in any way, best first; at most `max`
 * (MW_CANDIDATES_MAX). `topology` and `standing` may be NULL. Slices point into the set and are
 * valid until it changes. */
size_t mw_candidates_find(mw_candidates *set, const mw_member *alarm, mw_topology *topology,
                          const mw_standing *standing, mw_candidate *out, size_t max);

#endif
