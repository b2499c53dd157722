/* GET /api/v1/logs?follow=true: log records as they are committed, as server-sent events.
 *
 *     id: 41              first of all: where it begins, and when the client shall come back
 *     retry: 1000
 *
 *     id: 42.0            commit 42, record 0; "42" alone is behind the whole commit
 *     event: log
 *     data: {...}         the record as the list has it
 *
 *     event: skipped      with the id of a record that cannot be shown; data: {"reason": ...}
 *     event: warning      what is left out of the list from here on, as in the warnings of lists;
 *                         data: {"code": ..., "message": ...}
 *     event: problem      the last one: data is the body of an error
 *
 * An event with an id alone moves the client's place along when nothing matches for long. The store
 * is the queue: a follower holds its place and no records, but for the rest of an event that is
 * larger than a piece.
 */
#ifndef MW_SERVER_API_LOG_FOLLOWER_H
#define MW_SERVER_API_LOG_FOLLOWER_H

#include "server/api/api_int.h"

typedef struct mw_log_following {
    mw_log_query query; /* texts in the request's arena */
    mw_log_position after;
    uint64_t since_ns;
} mw_log_following;

/* Makes the request a stream when the call's run returns MW_OK. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_log_follower_prepare(mw_api_call *call, const mw_log_following *following);

/* "42.0", "42". */
#define MW_LOG_POSITION_SIZE 32
void mw_log_position_text(mw_log_position position, char out[MW_LOG_POSITION_SIZE]);
/* MW_E_SYNTAX. Pure. */
MW_MUST_USE mw_err mw_log_position_parse(mw_slice text, mw_log_position *out);

#endif
