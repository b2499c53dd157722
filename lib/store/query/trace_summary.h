/* From a join to the answer: summaries of traces, and the texts that they name.
 *
 * A join knows only where a text is (block, row, column). Requests collect these places together
 * with the slices to fill; one fetch then reads each block once. Texts are copied to the arena of
 * the question.
 */
#ifndef MW_STORE_TRACE_SUMMARY_H
#define MW_STORE_TRACE_SUMMARY_H

#include "lib/store/query/gather.h"

typedef struct mw_text_request {
    uint32_t block, row;
    mw_hot_column column;
    mw_slice *target;
} mw_text_request;

typedef struct mw_text_requests {
    mw_text_request *items; /* MW_MEM_QUERY */
    size_t count, capacity;
} mw_text_requests;

void mw_text_requests_init(mw_text_requests *requests);
void mw_text_requests_fini(mw_text_requests *requests);
/* `target` must stay where it is until the fetch. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_text_request_add(mw_text_requests *requests, uint32_t block, uint32_t row,
                                       mw_hot_column column, mw_slice *target);
/* Fills every target. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_text_fetch(mw_store_view *view, mw_text_requests *requests, mw_arena *arena);

/* Numbers of the summary (of logs, when the gathering counted them); its list of sessions is
 * allocated and left empty, as are the texts. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_trace_summary_numbers(const uint8_t *trace_id, const mw_join *join,
                                            mw_arena *arena, mw_trace_summary *out);
/* The same, and requests its texts: *out must stay where it is. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_trace_summary_request(const uint8_t *trace_id, const mw_join *join,
                                            mw_arena *arena, mw_text_requests *requests,
                                            mw_trace_summary *out);

#endif
