/* The adapters, one line each. */
#ifndef MW_WEBHOOK_SOURCE_INT_H
#define MW_WEBHOOK_SOURCE_INT_H

#include "webhook/source.h"

extern const mw_webhook_source mw_source_devops_agent; /* devops_agent.c */
extern const mw_webhook_source mw_source_alertmanager; /* alertmanager.c */
extern const mw_webhook_source mw_source_generic;      /* generic.c */

#endif
