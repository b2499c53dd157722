/* What a list of traces or sessions is asked for. Pool threads. */
#include "server/api/api_int.h"

#define FILTERS                                                                                    \
    "service", "agent", "model", "tool", "user", "text", "errors", "duration_min_ms",              \
        "duration_max_ms", "tokens_min", "attribute"

const char *const mw_api_list_filters[] = {FILTERS, NULL};
const char *const mw_api_session_filters[] = {FILTERS, "follow", NULL};

/* Longer than any trace; what a double holds exactly in nanoseconds. */
#define DURATION_MAX_MS 9e9

mw_err mw_api_milliseconds(mw_api_call *call, const char *name, uint64_t *ns)
{
    mw_slice text;
    char digits[32], *end;
    *ns = 0;
    mw_err err = mw_api_filter(call, name, &text);
    if (err || !text.data)
        return err;
    bool plain = mw_slice_to_cstr(text, digits, sizeof digits) &&
                 strspn(digits, "0123456789.") == text.len && digits[0] != '.';
    double value = plain ? strtod(digits, &end) : -1;
    if (plain && !*end && value > DURATION_MAX_MS)
        return mw_detail_set(&call->detail, MW_E_INVALID, name,
                             "milliseconds, at most 9000000000 (104 days)",
                             "longer than can be asked for");
    if (!plain || *end)
        return mw_detail_set(&call->detail, MW_E_INVALID, name,
                             "milliseconds, for example 250 or 0.5", "not a duration");
    *ns = (uint64_t)(value * 1e6 + 0.5);
    return MW_OK;
}

static mw_err read_tokens(mw_api_call *call, uint64_t *out)
{
    mw_slice text;
    mw_err err = mw_api_filter(call, "tokens_min", &text);
    if (err || !text.data)
        return err;
    if (mw_slice_u64(text, out))
        return mw_detail_set(&call->detail, MW_E_INVALID, "tokens_min", "for example 10000",
                             "not a number of tokens");
    return MW_OK;
}

mw_err mw_api_durations(mw_api_call *call, uint64_t *min_ns, uint64_t *max_ns)
{
    mw_err err = mw_api_milliseconds(call, "duration_min_ms", min_ns);
    if (!err)
        err = mw_api_milliseconds(call, "duration_max_ms", max_ns);
    /* 0 stands for no bound; a nanosecond is as good. */
    if (!err && !*max_ns && mw_request_query(call->request, MW_SLICE("duration_max_ms")).data)
        *max_ns = 1;
    if (!err && *max_ns && *max_ns < *min_ns)
        return mw_detail_set(&call->detail, MW_E_INVALID, "duration_max_ms",
                             "give a longer duration_max_ms or a shorter duration_min_ms",
                             "shorter than duration_min_ms, so nothing can be between them");
    return err;
}

mw_err mw_api_list_filter(mw_api_call *call, mw_list_filter *out)
{
    *out = (mw_list_filter){.errors_only = false};
    const struct {
        const char *name;
        mw_slice *value;
    } texts[] = {{"service", &out->service}, {"agent", &out->agent}, {"model", &out->model},
                 {"tool", &out->tool},       {"user", &out->user},   {"text", &out->text}};
    mw_err err = MW_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && !err; i++)
        err = mw_api_filter(call, texts[i].name, texts[i].value);
    if (!err)
        err = mw_api_switch(call, "errors", &out->errors_only);
    if (!err)
        err = mw_api_durations(call, &out->duration_min_ns, &out->duration_max_ns);
    if (!err)
        err = read_tokens(call, &out->tokens_min);
    if (!err)
        err = mw_api_attributes(call, &out->attributes, &out->attribute_count);
    return err;
}
