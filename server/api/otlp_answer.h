/* Answers with ?format=otlp: the items of a page as one Export*ServiceRequest in OTLP/JSON.
 *
 * Items come back as they were sent, in the order in which they were sent, beneath the resources,
 * scopes and metrics they were sent under; what shares these stands together, whichever requests it
 * came in. The body is the request and nothing else, so what a list tells beside its items is told
 * in headers: x-midwatch-items (how many), x-midwatch-next-cursor, x-midwatch-left-out (items of
 * the page that are too long to be shown, or whose resource, scope or metric is),
 * x-midwatch-damaged-blocks, x-midwatch-lost-segments and
 * x-midwatch-pattern-undecided; all but the first are absent when
 * there is nothing to tell. Pool threads.
 *
 * An item that is too long to be shown beside others (store.h) is a page of its own: it is given as
 * long as it and its text fit the memory that questions have, and is left out otherwise.
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
    size_t before_large;  /* items before the first one that is too long */
    uint64_t large_bytes; /* of all that are: items, and what they stand under */
    uint64_t undecided;   /* of a pattern */
    mw_slice next_cursor; /* empty = none */
} mw_otlp_answer;

/* Where the items of a page come from. */
typedef struct mw_otlp_source {
    /* Begins the answer, adds the page's items, newest first, and sets undecided and next_cursor.
     * Errors are the question's, explained. */
    mw_err (*read)(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                   const void *query, mw_otlp_answer *answer);
    const void *query;
    bool indivisible; /* a page cannot be smaller */
} mw_otlp_source;

/* The answer to a page: no more items than bounds->limit, and perhaps fewer. *smaller is a limit to
 * try when the error is MW_E_LIMIT. Errors as of `read`, MW_E_LIMIT, MW_E_NOMEM, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_otlp_page(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                                const mw_otlp_source *source, size_t *smaller);

/* Room for `count` items. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_otlp_answer_init(mw_otlp_answer *answer, mw_api_call *call, mw_json_kind kind,
                                       size_t count);
void mw_otlp_answer_span(mw_otlp_answer *answer, const mw_trace_span *span);
void mw_otlp_answer_log(mw_otlp_answer *answer, const mw_log_record *record);
void mw_otlp_answer_point(mw_otlp_answer *answer, const mw_series_point *point);
#endif
