/* What a person saw of an alarm or of an incident, as a word that is another one once it has changed
 * in what acts are about: where the alarm is, which alarms the incident has, whose and whether it is
 * open. An act that carries the word is refused when somebody else was first. Pure. */
#ifndef MW_TRIAGE_VERSION_H
#define MW_TRIAGE_VERSION_H

#include "lib/state/incidents.h"

#define MW_VERSION_SIZE 17 /* 16 hex digits and the end */

/* `changes`: steps of its decision. */
void mw_version_of_alarm(const mw_decision_row *decision, size_t changes,
                         char out[MW_VERSION_SIZE]);
void mw_version_of_incident(const mw_incident_row *incident, const mw_alarm_row *alarms,
                            size_t count, char out[MW_VERSION_SIZE]);

#endif
