/* Whose fault a failure was: the caller's, the system's, or too much was asked at once.
 *
 * AWS counts invocations that way (UserErrors, SystemErrors, Throttles), and a person asks for it
 * first. Evidence is judged in a fixed order; the first that says something decides. Success has
 * no class. Pure; any thread. Sources: AgentCore's error codes, the semantic conventions for HTTP,
 * RPC and MCP, Claude Code's documentation.
 */
#ifndef MW_COLLECTOR_ERROR_CLASS_H
#define MW_COLLECTOR_ERROR_CLASS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/slice.h"

typedef enum mw_error_class {
    MW_ERROR_NONE,
    MW_ERROR_USER,
    MW_ERROR_SYSTEM,
    MW_ERROR_THROTTLE
} mw_error_class;
/* "user", "system", "throttle"; NULL for none. */
const char *mw_error_class_name(mw_error_class class);

#define MW_NO_CODE INT64_MIN

typedef struct mw_error_evidence {
    /* AgentCore's three switches. `error` alone is an old way to say "failed" and names nobody. */
    bool throttled, fault, error, has_fault;
    mw_slice type;       /* error.type, exception.type, an AWS error code; empty = none */
    mw_slice message;    /* of the status */
    int64_t http_status; /* MW_NO_CODE = none */
    mw_slice rpc_status; /* gRPC or JSON-RPC, a number or gRPC's name; empty = none */
    bool failed;         /* the span's status is ERROR; of a record, its severity */
    bool unsuccessful;   /* Claude Code's success = "false" */
    bool tool;           /* it is about a tool call */
} mw_error_evidence;

mw_error_class mw_error_judge(const mw_error_evidence *evidence);

#endif
