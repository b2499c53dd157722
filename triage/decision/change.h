/* One series of minutes: did it change for the worse, and since when? Pure. See topology.h. */
#ifndef MW_TRIAGE_CHANGE_H
#define MW_TRIAGE_CHANGE_H

#include "triage/decision/topology.h"

typedef struct mw_series_minute {
    uint64_t calls, errors, mean_us;
} mw_series_minute;

/* minutes[MW_TOPOLOGY_MINUTES], the last one is `last` (since 1970); without calls: all zero. */
mw_change mw_change_judge(const mw_series_minute *minutes, uint32_t last);

#endif
