/* The columns of each signal. See hot_layout.h; drawn in segment_format.h.
 *
 * A new column is one more entry here and one more line of the drawing: then the version of the
 * format changes, because the order is the file's.
 */
#include <stddef.h>

#include "lib/store/format/hot_layout.h"

static const mw_row_layout layouts[MW_SIGNAL_END] =
    {
        [MW_SIGNAL_TRACES] =
            {
                .columns = {.wide_count = 6,
                            .narrow_count = 4,
                            .ref_count = 10,
                            .wide = {MW_WIDE_SPAN_ID, MW_WIDE_PARENT, MW_WIDE_TIME,
                                     MW_WIDE_DURATION, MW_WIDE_INPUT_TOKENS, MW_WIDE_OUTPUT_TOKENS},
                            .narrow = {MW_NARROW_KIND, MW_NARROW_STATUS, MW_NARROW_OPERATION,
                                       MW_NARROW_FLAGS},
                            .refs = {MW_HOT_TRACE, MW_HOT_NAME, MW_HOT_SERVICE, MW_HOT_PEER_SERVICE,
                                     MW_HOT_SESSION, MW_HOT_AGENT, MW_HOT_USER, MW_HOT_MODEL,
                                     MW_HOT_STATUS_MESSAGE, MW_HOT_ORIGIN}},
                .row_size = sizeof(mw_span_row),
                .wide = {[MW_WIDE_SPAN_ID] = offsetof(mw_span_row, span_id),
                         [MW_WIDE_PARENT] = offsetof(mw_span_row, parent_span_id),
                         [MW_WIDE_TIME] = offsetof(mw_span_row, start_ns),
                         [MW_WIDE_DURATION] = offsetof(mw_span_row, end_ns),
                         [MW_WIDE_INPUT_TOKENS] = offsetof(mw_span_row, input_tokens),
                         [MW_WIDE_OUTPUT_TOKENS] = offsetof(mw_span_row, output_tokens)},
                .narrow = {[MW_NARROW_KIND] = offsetof(mw_span_row, kind),
                           [MW_NARROW_STATUS] = offsetof(mw_span_row, status),
                           [MW_NARROW_OPERATION] = offsetof(mw_span_row, operation_kind),
                           [MW_NARROW_FLAGS] = offsetof(mw_span_row, flags)},
                .refs = {[MW_HOT_TRACE] = offsetof(mw_span_row, trace_id),
                         [MW_HOT_NAME] = offsetof(mw_span_row, name),
                         [MW_HOT_SERVICE] = offsetof(mw_span_row, service),
                         [MW_HOT_PEER_SERVICE] = offsetof(mw_span_row, peer_service),
                         [MW_HOT_SESSION] = offsetof(mw_span_row, session_id),
                         [MW_HOT_AGENT] = offsetof(mw_span_row, agent),
                         [MW_HOT_USER] = offsetof(mw_span_row, user),
                         [MW_HOT_MODEL] = offsetof(mw_span_row, model),
                         [MW_HOT_STATUS_MESSAGE] = offsetof(mw_span_row, status_message),
                         [MW_HOT_ORIGIN] = offsetof(mw_span_row, origin)},
            },
        [MW_SIGNAL_METRICS] =
            {
                .columns = {.wide_count = 5,
                            .narrow_count = 3,
                            .ref_count = 5,
                            .wide = {MW_WIDE_SERIES, MW_WIDE_TIME, MW_WIDE_START, MW_WIDE_VALUE,
                                     MW_WIDE_COUNT},
                            .narrow = {MW_NARROW_KIND, MW_NARROW_TEMPORALITY, MW_NARROW_FLAGS},
                            .refs = {MW_HOT_NAME, MW_HOT_SERVICE, MW_HOT_SESSION, MW_HOT_UNIT,
                                     MW_HOT_ORIGIN}},
                .row_size = sizeof(mw_point_row),
                .wide = {[MW_WIDE_SERIES] = offsetof(mw_point_row, series),
                         [MW_WIDE_TIME] = offsetof(mw_point_row, time_ns),
                         [MW_WIDE_START] = offsetof(mw_point_row, start_ns),
                         [MW_WIDE_VALUE] = offsetof(mw_point_row, value),
                         [MW_WIDE_COUNT] = offsetof(mw_point_row, count)},
                .narrow = {[MW_NARROW_KIND] = offsetof(mw_point_row, kind),
                           [MW_NARROW_TEMPORALITY] = offsetof(mw_point_row, temporality),
                           [MW_NARROW_FLAGS] = offsetof(mw_point_row, flags)},
                .refs = {[MW_HOT_NAME] = offsetof(mw_point_row, name),
                         [MW_HOT_SERVICE] = offsetof(mw_point_row, service),
                         [MW_HOT_SESSION] = offsetof(mw_point_row, session_id),
                         [MW_HOT_UNIT] = offsetof(mw_point_row, unit),
                         [MW_HOT_ORIGIN] = offsetof(mw_point_row, origin)},
            },
        [MW_SIGNAL_LOGS] =
            {
                .columns = {.wide_count = 2,
                            .narrow_count = 2,
                            .ref_count = 6,
                            .wide = {MW_WIDE_SPAN_ID, MW_WIDE_TIME},
                            .narrow = {MW_NARROW_SEVERITY, MW_NARROW_FLAGS},
                            .refs = {MW_HOT_TRACE, MW_HOT_NAME, MW_HOT_SERVICE, MW_HOT_SESSION,
                                     MW_HOT_AGENT, MW_HOT_ORIGIN}},
                .row_size = sizeof(mw_log_row),
                .wide = {[MW_WIDE_SPAN_ID] = offsetof(mw_log_row, span_id),
                         [MW_WIDE_TIME] = offsetof(mw_log_row, time_ns)},
                .narrow = {[MW_NARROW_SEVERITY] = offsetof(mw_log_row, severity),
                           [MW_NARROW_FLAGS] = offsetof(mw_log_row, flags)},
                .refs = {[MW_HOT_TRACE] = offsetof(mw_log_row, trace_id),
                         [MW_HOT_NAME] = offsetof(mw_log_row, event_name),
                         [MW_HOT_SERVICE] = offsetof(mw_log_row, service),
                         [MW_HOT_SESSION] = offsetof(mw_log_row, session_id),
                         [MW_HOT_AGENT] = offsetof(mw_log_row, agent),
                         [MW_HOT_ORIGIN] = offsetof(mw_log_row, origin)},
            },
};

const mw_row_layout *mw_row_layout_of(unsigned signal)
{
    return signal >= 1 && signal < MW_SIGNAL_END ? &layouts[signal] : NULL;
}

const mw_hot_layout *mw_hot_layout_of(unsigned signal)
{
    const mw_row_layout *layout = mw_row_layout_of(signal);
    return layout ? &layout->columns : NULL;
}
