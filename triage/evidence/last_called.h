/* Whom did an operation call last before it left out the rest? Its answer may be what made the
 * caller stop. Pure. */
#ifndef MW_TRIAGE_LAST_CALLED_H
#define MW_TRIAGE_LAST_CALLED_H

#include "triage/evidence/span_table.h"

#define MW_NO_SERVICE UINT16_MAX

/* The service that most of the operation's spans since then, those with fewer children than
 * `usual`, called last; MW_NO_SERVICE when most called nobody else. One pass over the table. */
uint16_t mw_last_called(const mw_span_table *table, uint32_t operation, double usual,
                        uint64_t since_ns);

#endif
