/* Rows of log records. One of the three signals of batch_int.h; on the network loop's thread. */
#include "collector/batch_int.h"

/* SeverityNumber FATAL4. */
#define SEVERITY_LARGEST 24

/* Neither time is required: a record read from a file may have none, and is of now then. */
static void judge_times(mw_batch_reader *reader, const mw_scan_log *log)
{
    uint64_t time_ns = log->time_ns ? log->time_ns : log->observed_ns;
    if (time_ns == 0 || mw_times_fine(&reader->batch->odd, time_ns, time_ns))
        return;
    const mw_timed_item item = {reader->input->signal->levels, log->place, NULL};
    const mw_timed_field field = {log->time_ns ? "time_unix_nano" : "observed_time_unix_nano",
                                  time_ns, 0, false};
    mw_odd_times_judge(&reader->batch->odd, &item, &field, 1);
}

static uint64_t event_time(const mw_scan_log *log, uint64_t received_ns)
{
    if (log->time_ns)
        return log->time_ns;
    return log->observed_ns ? log->observed_ns : received_ns;
}

static void fill_row(mw_log_row *row, const mw_scan_log *log, const mw_export_input *input)
{
    *row = (mw_log_row){.time_ns = event_time(log, input->received_ns),
                        .severity = mw_byte_or_beyond(log->severity_number, SEVERITY_LARGEST),
                        .flags = log->bad_utf8 ? MW_ITEM_BAD_UTF8 : 0,
                        .event_name = log->event_name,
                        .origin = input->origin};
    memcpy(row->trace_id, log->trace_id, MW_TRACE_ID_SIZE);
    memcpy(row->span_id, log->span_id, MW_SPAN_ID_SIZE);
}

mw_err mw_batch_take_log(void *ctx, const mw_scan_log *log)
{
    mw_batch_reader *reader = ctx;
    mw_store_item *item;
    void *row;
    mw_err err = mw_batch_next(reader, log->bytes, &item, &row);
    if (err != MW_OK)
        return err;
    mw_resolve_place place;
    mw_resolve_place_read(&place, log->found, log->found_count, false);
    fill_row(row, log, reader->input);
    mw_resolve_log(&place, &log->body, &reader->around, row);
    const mw_log_row *done = row;
    mw_batch_understood(reader, &place, MW_UNDERSTOOD_SESSION, done->session_id.len > 0);
    mw_batch_understood(reader, &place, MW_UNDERSTOOD_AGENT, done->agent.len > 0);
    judge_times(reader, log);
    if (__builtin_expect(!mw_emf_likely(&log->body), 1))
        return MW_OK;
    return mw_emf_take(&reader->batch->emf, &log->body, log->time_ns);
}
