/* The judgement of failures, table by table. Contract: error_class.h. */
#include "collector/error_class.h"

typedef struct word_rule {
    mw_slice word; /* lower case */
    mw_error_class class;
} word_rule;

/* Found anywhere in the type's name, in any case, first rule first: "ThrottlingException",
 * "InvocationError.ServiceQuota", "RateLimitError", "botocore.errorfactory.ResourceNotFound". */
static const word_rule words[] = {
    {MW_SLICE_INIT("throttl"), MW_ERROR_THROTTLE},
    {MW_SLICE_INIT("toomanyrequests"), MW_ERROR_THROTTLE},
    {MW_SLICE_INIT("requestlimitexceeded"), MW_ERROR_THROTTLE},
    {MW_SLICE_INIT("slowdown"), MW_ERROR_THROTTLE},
    {MW_SLICE_INIT("servicequota"), MW_ERROR_THROTTLE},
    {MW_SLICE_INIT("ratelimit"), MW_ERROR_THROTTLE},
    {MW_SLICE_INIT("rate_limit"), MW_ERROR_THROTTLE},
    {MW_SLICE_INIT("overloaded"), MW_ERROR_THROTTLE},
    {MW_SLICE_INIT("validation"), MW_ERROR_USER},
    {MW_SLICE_INIT("badrequest"), MW_ERROR_USER},
    {MW_SLICE_INIT("invalidargument"), MW_ERROR_USER},
    {MW_SLICE_INIT("notfound"), MW_ERROR_USER},
    {MW_SLICE_INIT("accessdenied"), MW_ERROR_USER},
    {MW_SLICE_INIT("unauthorized"), MW_ERROR_USER},
    {MW_SLICE_INIT("forbidden"), MW_ERROR_USER},
    {MW_SLICE_INIT("conflict"), MW_ERROR_USER},
    {MW_SLICE_INIT("alreadyexists"), MW_ERROR_USER},
    {MW_SLICE_INIT("tool_error"), MW_ERROR_USER}, /* the tool answered, and said no */
    {MW_SLICE_INIT("internal"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("serviceunavailable"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("timeout"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("timedout"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("econn"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("connection reset"), MW_ERROR_SYSTEM},
};

/* Longer types are messages; what matters stands at the front. */
#define TYPE_MAX 256

static mw_slice lower(mw_slice text, char out[TYPE_MAX])
{
    size_t len = text.len < TYPE_MAX ? text.len : TYPE_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = text.data[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return (mw_slice){out, len};
}

static mw_error_class of_words(mw_slice type)
{
    char folded[TYPE_MAX];
    mw_slice text = lower(type, folded);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (mw_slice_contains(text, words[i].word))
            return words[i].class;
    return MW_ERROR_NONE;
}

/* ---- codes ---------------------------------------------------------------------------------- */

static mw_error_class of_http(int64_t status, mw_slice message)
{
    char folded[TYPE_MAX];
    if (status == 429 || status == 529)
        return MW_ERROR_THROTTLE;
    if (status == 402 && mw_slice_contains(lower(message, folded), MW_SLICE("quota")))
        return MW_ERROR_THROTTLE;
    if (status >= 400 && status < 500)
        return MW_ERROR_USER;
    return status >= 500 && status < 600 ? MW_ERROR_SYSTEM : MW_ERROR_NONE;
}

/* By code, 0 to 16. */
static const struct {
    mw_slice name;
    mw_error_class class;
} grpc[] = {
    {MW_SLICE_INIT("OK"), MW_ERROR_NONE},
    {MW_SLICE_INIT("CANCELLED"), MW_ERROR_USER},
    {MW_SLICE_INIT("UNKNOWN"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("INVALID_ARGUMENT"), MW_ERROR_USER},
    {MW_SLICE_INIT("DEADLINE_EXCEEDED"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("NOT_FOUND"), MW_ERROR_USER},
    {MW_SLICE_INIT("ALREADY_EXISTS"), MW_ERROR_USER},
    {MW_SLICE_INIT("PERMISSION_DENIED"), MW_ERROR_USER},
    {MW_SLICE_INIT("RESOURCE_EXHAUSTED"), MW_ERROR_THROTTLE},
    {MW_SLICE_INIT("FAILED_PRECONDITION"), MW_ERROR_USER},
    {MW_SLICE_INIT("ABORTED"), MW_ERROR_USER},
    {MW_SLICE_INIT("OUT_OF_RANGE"), MW_ERROR_USER},
    {MW_SLICE_INIT("UNIMPLEMENTED"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("INTERNAL"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("UNAVAILABLE"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("DATA_LOSS"), MW_ERROR_SYSTEM},
    {MW_SLICE_INIT("UNAUTHENTICATED"), MW_ERROR_USER},
};
#define GRPC_COUNT ((int64_t)(sizeof grpc / sizeof grpc[0]))

static mw_error_class of_grpc_name(mw_slice name)
{
    for (size_t i = 0; i < (size_t)GRPC_COUNT; i++)
        if (mw_slice_equal_nocase(name, grpc[i].name))
            return grpc[i].class;
    return MW_ERROR_NONE;
}

/* JSON-RPC's codes are below zero, gRPC's are not. */
static mw_error_class of_rpc_code(int64_t code)
{
    if (code >= 0)
        return code < GRPC_COUNT ? grpc[code].class : MW_ERROR_NONE;
    if (code == -32700 || (code <= -32600 && code >= -32602))
        return MW_ERROR_USER;
    return code == -32603 || (code <= -32000 && code >= -32099) ? MW_ERROR_SYSTEM : MW_ERROR_NONE;
}

/* ---- the order ------------------------------------------------------------------------------ */

static mw_error_class of_switches(const mw_error_evidence *evidence)
{
    if (evidence->throttled)
        return MW_ERROR_THROTTLE;
    if (evidence->fault)
        return MW_ERROR_SYSTEM;
    return evidence->error && evidence->has_fault ? MW_ERROR_USER : MW_ERROR_NONE;
}

/* AgentCore's error_type is the class itself. */
static mw_error_class of_class_name(mw_slice type)
{
    if (mw_slice_equal_nocase(type, MW_SLICE("user")))
        return MW_ERROR_USER;
    return mw_slice_equal_nocase(type, MW_SLICE("system")) ? MW_ERROR_SYSTEM : MW_ERROR_NONE;
}

/* The type of an error may be the status code as text. */
static mw_error_class of_type(const mw_error_evidence *evidence)
{
    int64_t code;
    mw_error_class class = of_words(evidence->type);
    if (class == MW_ERROR_NONE)
        class = of_class_name(evidence->type);
    if (class == MW_ERROR_NONE && mw_slice_i64(evidence->type, &code) == MW_OK)
        class = code < 0 ? of_rpc_code(code) : of_http(code, evidence->message);
    return class == MW_ERROR_NONE ? of_grpc_name(evidence->type) : class;
}

static mw_error_class of_rpc(mw_slice status)
{
    int64_t code;
    return mw_slice_i64(status, &code) == MW_OK ? of_rpc_code(code) : of_grpc_name(status);
}

mw_error_class mw_error_judge(const mw_error_evidence *evidence)
{
    mw_error_class class = of_switches(evidence);
    if (class == MW_ERROR_NONE)
        class = of_type(evidence);
    if (class == MW_ERROR_NONE && evidence->http_status != MW_NO_CODE)
        class = of_http(evidence->http_status, evidence->message);
    if (class == MW_ERROR_NONE)
        class = of_rpc(evidence->rpc_status);
    if (class != MW_ERROR_NONE)
        return class;
    if (evidence->unsuccessful && evidence->tool)
        return MW_ERROR_USER;
    bool any = evidence->failed || evidence->error || evidence->type.len || evidence->unsuccessful;
    return any ? MW_ERROR_SYSTEM : MW_ERROR_NONE;
}

const char *mw_error_class_name(mw_error_class class)
{
    static const char *const names[] = {NULL, "user", "system", "throttle"};
    MW_ASSERT((size_t) class < sizeof names / sizeof names[0]);
    return names[class];
}
