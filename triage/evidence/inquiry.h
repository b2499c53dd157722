/* What an investigation asks, without its records: telemetry into tables, then one provider after
 * the other, in the order of the journal. Pure but for the store; one thread.
 */
#ifndef MW_TRIAGE_INQUIRY_H
#define MW_TRIAGE_INQUIRY_H

#include "triage/evidence/provider_int.h"

/* The edges come first: they tell the onset best. */
extern const mw_provider *const mw_providers[];
extern const size_t mw_provider_count;

/* What the title of an alarm speaks of: a hint where telemetry leaves both open. */
void mw_inquiry_read_title(mw_context *context, mw_slice title);
/* The plan and the three tables; again after an error. mw_inquiry_fini frees them. `store` is the
 * view's. MW_E_NOMEM and what reading returns. */
MW_MUST_USE mw_err mw_inquiry_read(mw_context *context, mw_store *store, const mw_store_stop *stop);
void mw_inquiry_fini(mw_context *context);
/* Before the first provider. What comes with `context->imported` is put behind the calls that
 * telemetry shows as soon as those are known. */
MW_MUST_USE mw_err mw_inquiry_ask(mw_context *context, const mw_provider *provider);

#endif
