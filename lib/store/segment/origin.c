/* Names of signals and of the members of an origin, and its reading. Pure; any thread. */
#include "lib/store/store.h"

const char *mw_signal_name(mw_signal signal)
{
    static const char *const names[MW_SIGNAL_END] = {
        [MW_SIGNAL_TRACES] = "traces", [MW_SIGNAL_METRICS] = "metrics", [MW_SIGNAL_LOGS] = "logs"};
    return signal >= MW_SIGNAL_TRACES && signal < MW_SIGNAL_END ? names[signal] : "unknown";
}

const char *mw_origin_name(mw_origin member)
{
    static const char *const names[MW_ORIGIN_COUNT] = {[MW_ORIGIN_LOG_GROUP] = "x-aws-log-group",
                                                       [MW_ORIGIN_LOG_STREAM] = "x-aws-log-stream",
                                                       [MW_ORIGIN_METRIC_NAMESPACE] =
                                                           "x-aws-metric-namespace"};
    MW_ASSERT((unsigned)member < MW_ORIGIN_COUNT);
    return names[member];
}

mw_slice mw_origin_member(mw_slice origin, mw_origin member)
{
    mw_slice name = mw_slice_of(mw_origin_name(member)), line;

    while (mw_slice_split(&origin, '\n', &line))
        if (mw_slice_starts(line, name) && line.len > name.len && line.data[name.len] == '=')
            return mw_slice_from(line, name.len + 1);
    return MW_SLICE_NONE;
}
