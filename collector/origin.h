/* The AWS request headers that say where an export belongs: into the rows' `origin`.
 *
 * Set by agents that were configured for CloudWatch's OTLP endpoint (x-aws-log-group and its kin);
 * HTTP headers and gRPC metadata alike. Pure; the text is in the request's arena.
 */
#ifndef MW_COLLECTOR_ORIGIN_H
#define MW_COLLECTOR_ORIGIN_H

#include "lib/net/request.h"
#include "lib/store/store.h"

/* CloudWatch's own limit for names of log groups and log streams; namespaces are shorter. */
#define MW_ORIGIN_VALUE_MAX 512

/* *origin is the rows' text (see mw_origin in lib/store/store.h); empty when no header is there.
 * *warning names the headers that were left out, each counted: sent twice, longer than
 * MW_ORIGIN_VALUE_MAX, or holding anything but printable ASCII; empty when none was. Empty headers
 * say nothing. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_origin_read(mw_request *request, mw_slice *origin, mw_slice *warning);

#endif
