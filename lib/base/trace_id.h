/* A trace's id in the forms that people paste: from logs, headers and AWS consoles.
 *
 *     0af7651916cd43dd8448eb211c80319c                            W3C, or its first digits
 *     00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01     a traceparent
 *     1-5759e988-bd862e3fe1be46a994272793                         X-Ray: 8 and 24 of the digits
 *     Root=1-5759e988-bd862e3fe1be46a994272793;Parent=...         X-Amzn-Trace-Id, in any order
 *
 * Sources: W3C Trace Context; AWS X-Ray, tracing header. Pure; any thread.
 */
#ifndef MW_BASE_TRACE_ID_H
#define MW_BASE_TRACE_ID_H

#include "lib/base/id.h"

/* The id's digits, as many as were given: of `text` itself, or put together in `out`. A text of
 * no such form is returned as it is, for its reader to refuse. */
mw_slice mw_trace_id_digits(mw_slice text, char out[MW_ID_TEXT_SIZE]);

#endif
