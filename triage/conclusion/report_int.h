/* What an investigation answers, as the JSON that state keeps and the API shows (DESIGN 4.3). Pure;
 * the text lives in the arena given. */
#ifndef MW_TRIAGE_REPORT_INT_H
#define MW_TRIAGE_REPORT_INT_H

#include "triage/conclusion/causes.h"

/* [{evidence_id, kind, text, service, window, ref, query}, ...] of findings [from, count): the
 * first so many that have evidence. MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_report_evidence(const mw_findings *findings, size_t from, mw_slice *out);

/* {verdict, summary, confidence, onset, candidates, ruled_out, gaps}. MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_report_root_cause(const mw_findings *findings, const mw_causes *causes,
                                        mw_slice summary, mw_slice *out);
/* One paragraph for a person. data NULL without memory. */
mw_slice mw_report_summary(const mw_findings *findings, const mw_causes *causes, mw_slice entry);

#endif
