/* Whose request is this? For bodies that arrive at another signal's path. Contract: export_int.h.
 *
 * The envelopes of the three signals have the same numbers, so that the sender's mistake shows only
 * at the items. The other signals' scans are asked: whose items the bytes are, that is the answer.
 * Pure; on the network loop's thread.
 */
#include "collector/export_int.h"

static mw_err skip_resource(void *ctx, const mw_scan_resource *resource)
{
    (void)ctx;
    (void)resource;
    return MW_OK;
}

static mw_err skip_scope(void *ctx, const mw_scan_scope *scope)
{
    (void)ctx;
    (void)scope;
    return MW_OK;
}

static mw_err skip_span(void *ctx, const mw_scan_span *span)
{
    (void)ctx;
    (void)span;
    return MW_OK;
}

static mw_err skip_log(void *ctx, const mw_scan_log *log)
{
    (void)ctx;
    (void)log;
    return MW_OK;
}

static mw_err skip_metric(void *ctx, const mw_scan_metric *metric)
{
    (void)ctx;
    (void)metric;
    return MW_OK;
}

static mw_err skip_point(void *ctx, const mw_scan_point *point)
{
    (void)ctx;
    (void)point;
    return MW_OK;
}

static bool holds_items(mw_signal signal, mw_slice body)
{
    static const mw_scan_sink sink = {.resource = skip_resource,
                                      .scope = skip_scope,
                                      .span = skip_span,
                                      .log = skip_log,
                                      .metric = skip_metric,
                                      .point = skip_point};
    mw_scan_result result;
    mw_err err = mw_export_signal_of(signal)->scan(body, NULL, &sink, &result);
    return err == MW_OK && result.items > result.refused_total;
}

mw_signal mw_export_looks_like(mw_signal sent_as, mw_slice body)
{
    mw_signal found = (mw_signal)0;
    for (mw_signal signal = MW_SIGNAL_TRACES; signal < MW_SIGNAL_END; signal++) {
        if (signal == sent_as || !holds_items(signal, body))
            continue;
        if (found)
            return (mw_signal)0;
        found = signal;
    }
    return found;
}

static bool json_holds_something(mw_signal signal, mw_slice body, size_t max_bytes)
{
    mw_buffer wire;
    mw_json_notes notes;
    mw_buffer_init(&wire, MW_MEM_INGEST, max_bytes);
    mw_err err = mw_json_to_wire(body, mw_export_signal_of(signal)->json, &wire, &notes, NULL);
    bool some = err == MW_OK && wire.len > 0;
    mw_buffer_fini(&wire);
    return some;
}

mw_signal mw_export_json_looks_like(mw_signal sent_as, mw_slice body, size_t max_bytes)
{
    for (mw_signal signal = MW_SIGNAL_TRACES; signal < MW_SIGNAL_END; signal++)
        if (signal != sent_as && json_holds_something(signal, body, max_bytes))
            return signal;
    return (mw_signal)0;
}
