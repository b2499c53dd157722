/* Room-private: the table of facts.c. Constant. */
#ifndef MW_COLLECTOR_FACTS_TABLE_H
#define MW_COLLECTOR_FACTS_TABLE_H

#include "collector/facts.h"

typedef struct mw_fact_key {
    mw_slice name;
    uint8_t fact; /* mw_fact */
    uint8_t rank;
} mw_fact_key;

/* In the order of the names, by bytes: it is searched. */
extern const mw_fact_key mw_fact_keys[];
extern const size_t mw_fact_key_count;

/* Ranks that rules refer to by name. */
enum { MW_PROVIDER_AI_SDK = 4, MW_TOOL_TRACELOOP = 4 };

#endif
