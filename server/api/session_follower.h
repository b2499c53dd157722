/* GET /api/v1/sessions?follow=true: sessions as they come and change, as server-sent events.
 *
 *     event: session      one that is new or has changed, as the list has it; at first the newest,
 *     data: {...}         oldest of them first, as many as `limit` says
 *
 *     id: 42              the commit up to which all has been told; a client that comes back says
 *                         it, and is told what changed since
 *
 *     event: skipped      more changed at once than is told one by one, or the client was too far
 *                         behind: the newest follow; data: {"reason": ...}
 *     event: warning, problem: as of log records (log_follower.h)
 *
 * Looked for at most once a second: what a session adds up to is a join over all of its traces. The
 * store is the queue: a follower holds its place, and of the sessions that it told last a hash
 * each, so that one is told again only when it has changed.
 */
#ifndef MW_SERVER_API_SESSION_FOLLOWER_H
#define MW_SERVER_API_SESSION_FOLLOWER_H

#include "server/api/api_int.h"

typedef struct mw_session_following {
    mw_list_filter filter; /* texts in the request's arena */
    uint64_t since_ns;
    size_t limit; /* of the newest at first */
    bool resumes; /* commits up to `after` are known; else it begins with the newest */
    uint64_t after;
} mw_session_following;

/* Makes the request a stream when the call's run returns MW_OK. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_session_follower_prepare(mw_api_call *call,
                                               const mw_session_following *following);

#endif
