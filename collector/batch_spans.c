/* Rows of spans. One of the three signals of batch_int.h; runs on the network loop's thread. */
#include "collector/batch_int.h"

static void judge_times(mw_batch_reader *reader, const mw_scan_span *span)
{
    if (mw_times_fine(&reader->batch->odd, span->start_ns, span->end_ns))
        return;
    const mw_timed_item item = {reader->input->signal->levels, span->place, NULL};
    const mw_timed_field fields[] = {
        {"start_time_unix_nano", span->start_ns, 0, true},
        {"end_time_unix_nano", span->end_ns, span->start_ns, true},
    };
    mw_odd_times_judge(&reader->batch->odd, &item, fields, 2);
}

static void fill_row(mw_span_row *row, const mw_scan_span *span, mw_slice origin)
{
    *row = (mw_span_row){.start_ns = span->start_ns,
                         .end_ns = span->end_ns,
                         .kind = mw_byte_or_beyond(span->kind, 5),
                         .status = mw_byte_or_beyond(span->status_code, 2),
                         .name = span->name,
                         .status_message = span->status_message,
                         .origin = origin};
    memcpy(row->trace_id, span->trace_id, MW_TRACE_ID_SIZE);
    memcpy(row->span_id, span->span_id, MW_SPAN_ID_SIZE);
    memcpy(row->parent_span_id, span->parent_span_id, MW_SPAN_ID_SIZE);
    row->flags = (uint8_t)((span->bad_utf8 ? MW_ITEM_BAD_UTF8 : 0) |
                           (span->has_exception_event ? MW_SPAN_EXCEPTION : 0));
}

/* Spans of agents, models, tools and what they look things up in; others' have no model. */
static void note_understood(mw_batch_reader *reader, const mw_resolve_place *place,
                            const mw_span_row *row)
{
    bool tokens = row->input_tokens >= 0 || row->output_tokens >= 0;
    reader->tally->gen_ai +=
        row->operation_kind >= MW_OP_AGENT && row->operation_kind <= MW_OP_EVAL;
    reader->tally->model_calls += row->operation_kind == MW_OP_MODEL;
    mw_batch_understood(reader, place, MW_UNDERSTOOD_SESSION, row->session_id.len > 0);
    mw_batch_understood(reader, place, MW_UNDERSTOOD_AGENT, row->agent.len > 0);
    mw_batch_understood(reader, place, MW_UNDERSTOOD_MODEL, row->model.len > 0);
    mw_batch_understood(reader, place, MW_UNDERSTOOD_TOKENS, tokens);
}

mw_err mw_batch_take_span(void *ctx, const mw_scan_span *span)
{
    mw_batch_reader *reader = ctx;
    mw_store_item *item;
    void *row;
    mw_err err = mw_batch_next(reader, span->bytes, &item, &row);
    if (err != MW_OK)
        return err;
    mw_resolve_place place;
    bool root = mw_id_is_zero(span->parent_span_id, MW_SPAN_ID_SIZE);
    mw_resolve_place_read(&place, span->found, span->found_count, root);
    fill_row(row, span, reader->input->origin);
    mw_resolve_span(&place, &reader->around, row);
    note_understood(reader, &place, row);
    judge_times(reader, span);
    return MW_OK;
}
