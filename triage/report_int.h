/* Findings as the JSON that state keeps and the API shows (DESIGN 4.3). Pure; the text lives in
 * the arena given. */
#ifndef MW_TRIAGE_REPORT_INT_H
#define MW_TRIAGE_REPORT_INT_H

#include "triage/provider_int.h"

/* [{evidence_id, kind, text, service, window, ref, query}, ...]. MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_report_evidence(const mw_findings *findings, mw_slice *out);

/* {verdict, summary, confidence, onset, candidates, ruled_out, gaps}, always INCONCLUSIVE: causes
 * are not ranked yet, and an answer says so (promise 5). MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_report_root_cause(mw_arena *arena, mw_slice summary, const mw_gap *gaps,
                                        size_t gap_count, mw_slice *out);

#endif
