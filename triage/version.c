/* Versions of alarms and incidents. See triage.h. Pure; any thread. */
#include "triage/triage.h"

#include <stdio.h>
#include <xxhash.h>

static uint64_t add(uint64_t hash, mw_slice text)
{
    return XXH3_64bits_withSeed(text.len ? text.data : "", text.len, hash);
}

static void write_word(uint64_t hash, char out[MW_VERSION_SIZE])
{
    snprintf(out, MW_VERSION_SIZE, "%016llx", (unsigned long long)hash);
}

void mw_version_of_alarm(const mw_decision_row *decision, size_t changes, char out[MW_VERSION_SIZE])
{
    uint64_t hash = add(changes, decision->verdict);
    write_word(add(hash, decision->investigation_id), out);
}

void mw_version_of_incident(const mw_incident_row *incident, const mw_alarm_row *alarms,
                            size_t count, char out[MW_VERSION_SIZE])
{
    uint64_t hash = add(incident->open, incident->owner);
    hash = add(hash, incident->merged_into);
    for (size_t i = 0; i < count; i++)
        hash = add(hash, alarms[i].id);
    write_word(hash, out);
}
