/* Answers with ?format=otlp: the items of a page as one Export*ServiceRequest in OTLP/JSON.
 *
 * Items come back as they were sent, in the order in which they were sent, beneath the resources,
 * scopes and metrics they were sent under; what shares these stands together, whichever requests it
 * came in. The body is the request and nothing else, so what a list tells beside its items is told
 * in headers: x-midwatch-items (how many), x-midwatch-next-cursor, x-midwatch-left-out (items of
 * the page that are too long to be shown, or whose resource, scope or metric is),
 * x-midwatch-damaged-blocks and x-midwatch-pattern-undecided; all but the first are absent when
 * there is nothing to tell. Pool threads.
 */
#ifndef MW_SERVER_API_OTLP_ANSWER_H
#define MW_SERVER_API_OTLP_ANSWER_H

#include "proto/json.h"
#include "server/api/api_int.h"

/* The values of "format": otlp, or json, which is the same as none. MW_E_INVALID, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_format(mw_api_call *call, bool *otlp);

typedef struct mw_otlp_entry {
    mw_json_item item;
    uint64_t commit_seq;
    uint32_t index;
    uint32_t place, resource, scope, metric; /* own; of the first that shares these */
} mw_otlp_entry;

typedef struct mw_otlp_answer {
    mw_api_call *call;
    mw_json_kind kind;
    mw_otlp_entry *entries; /* in the call's arena */
    size_t count;
    uint64_t left_out;
} mw_otlp_answer;

/* Room for `count` items. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_otlp_answer_init(mw_otlp_answer *answer, mw_api_call *call, mw_json_kind kind,
                                       size_t count);
void mw_otlp_answer_span(mw_otlp_answer *answer, const mw_trace_span *span);
void mw_otlp_answer_log(mw_otlp_answer *answer, const mw_log_record *record);
void mw_otlp_answer_point(mw_otlp_answer *answer, const mw_series_point *point);
/* Writes the body and the headers; next_cursor empty = none. MW_E_LIMIT, MW_E_NOMEM,
 * MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_otlp_answer_write(mw_otlp_answer *answer, mw_slice next_cursor);

#endif
