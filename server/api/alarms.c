/* GET /api/v1/alarms and /{id}, and the alarm's shape, which investigations show too. */
#include "lib/state/incidents.h"
#include "lib/state/looks.h"
#include "server/api/api_int.h"

/* All that the decision ever was, the first one included; one entry when it never changed. */
static void write_history(mw_json *json, const mw_decision_row *row, const mw_decision_step *steps,
                          size_t count)
{
    mw_decision_step first = {row->decided_ns, row->verdict,          row->reason_code,
                              row->reason,     row->investigation_id, MW_SLICE("midwatch")};
    if (!count) {
        steps = &first;
        count = 1;
    }
    mw_json_key(json, MW_SLICE("history"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < count; i++) {
        mw_json_object_begin(json);
        mw_json_kv_time(json, "time", (uint64_t)steps[i].time_ns);
        mw_json_kv(json, "verdict", steps[i].verdict);
        mw_json_kv(json, "reason_code", steps[i].reason_code);
        mw_json_kv(json, "reason", steps[i].reason);
        mw_json_kv_or_null(json, "investigation_id", steps[i].investigation_id);
        mw_json_kv(json, "who", steps[i].who);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

/* All that was read of one decision. */
typedef struct decided {
    mw_decision_row row;
    mw_decision_step *steps;
    mw_look_row *looks;
    size_t step_count, look_count;
} decided;

static mw_err read_decided(mw_state_tx *tx, mw_slice alarm_id, mw_arena *arena, decided *out)
{
    mw_err err = mw_state_decision_get(tx, alarm_id, arena, &out->row);
    if (!err)
        err = mw_state_decision_steps(tx, alarm_id, arena, &out->steps, &out->step_count);
    if (!err)
        err = mw_state_looks(tx, alarm_id, arena, &out->looks, &out->look_count);
    return err;
}

static void write_score(mw_json *json, bool scored, double score, double threshold)
{
    if (scored) {
        mw_json_kv_double(json, "score", score);
        mw_json_kv_double(json, "threshold", threshold);
    } else {
        mw_json_kv_null(json, "score");
        mw_json_kv_null(json, "threshold");
    }
}

static void write_detail(mw_json *json, mw_slice detail_json)
{
    mw_api_raw(json, "parts", mw_api_json_member(detail_json, MW_SLICE("parts")), "{}");
    mw_api_raw(json, "candidates", mw_api_json_member(detail_json, MW_SLICE("candidates")), "[]");
    mw_api_raw(json, "telemetry", mw_api_json_member(detail_json, MW_SLICE("telemetry")), "null");
}

/* What telemetry that came later than the decision told, and what became of it. */
static void write_looks(mw_json *json, const mw_look_row *looks, size_t count)
{
    mw_json_key(json, MW_SLICE("looks"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < count; i++) {
        const mw_look_row *look = &looks[i];
        mw_json_object_begin(json);
        mw_json_kv_time(json, "time", (uint64_t)look->time_ns);
        mw_json_kv(json, "look", look->look);
        mw_json_kv(json, "from", look->own_id);
        mw_json_kv_or_null(json, "into", look->into_id);
        mw_json_kv(json, "verdict", look->verdict);
        mw_json_kv(json, "reason_code", look->reason_code);
        mw_json_kv(json, "reason", look->reason);
        write_score(json, look->scored, look->score, look->threshold);
        mw_json_kv_u64(json, "as_of", look->as_of);
        write_detail(json, look->detail_json);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_decision(mw_json *json, const decided *of)
{
    char version[MW_VERSION_SIZE];
    const mw_decision_row *row = &of->row;
    mw_json_object_begin(json);
    mw_json_kv(json, "verdict", row->verdict);
    mw_json_kv(json, "reason_code", row->reason_code);
    mw_json_kv(json, "reason", row->reason);
    mw_json_kv_or_null(json, "investigation_id", row->investigation_id);
    write_score(json, row->scored, row->score, row->threshold);
    write_detail(json, row->detail_json);
    mw_json_kv_u64(json, "as_of", row->as_of);
    mw_json_kv_time(json, "decided_at", (uint64_t)row->decided_ns);
    mw_json_kv_i64(json, "decided_in_us", row->decided_in_us);
    write_history(json, row, of->steps, of->step_count);
    mw_version_of_alarm(row, of->step_count, version);
    mw_json_kv(json, "version", mw_slice_of(version));
    write_looks(json, of->looks, of->look_count);
    mw_json_object_end(json);
}

static void write_events(mw_json *json, const mw_alarm_event_row *events, size_t count)
{
    mw_json_key(json, MW_SLICE("events"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < count; i++) {
        mw_json_object_begin(json);
        mw_json_kv_time(json, "time", (uint64_t)events[i].time_ns);
        mw_json_kv(json, "action", events[i].action);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_head(mw_json *json, const mw_alarm_row *row)
{
    mw_json_kv(json, "alarm_id", row->id);
    mw_json_kv(json, "space", row->space);
    mw_json_kv(json, "source", row->source);
    mw_json_kv_or_null(json, "webhook_id", row->webhook_id);
    mw_json_kv(json, "incident_id", row->incident_id);
    mw_json_kv(json, "action", row->action);
    mw_json_kv_or_null(json, "priority", row->priority);
    mw_json_kv_or_null(json, "title", row->title);
    mw_json_kv_or_null(json, "description", row->description);
    mw_json_kv_or_null(json, "service", row->service);
    mw_json_kv_or_null(json, "region", row->region);
    mw_api_raw(json, "resources", row->resources_json, "[]");
    mw_json_kv_time(json, "started_at", (uint64_t)row->started_ns);
    mw_json_kv_time(json, "received_at", (uint64_t)row->received_ns);
    mw_json_kv_time(json, "claimed_at", (uint64_t)row->claimed_ns);
}

static bool is_end(mw_slice action)
{
    return mw_slice_equal(action, MW_SLICE("resolved")) ||
           mw_slice_equal(action, MW_SLICE("closed"));
}

/* How it stands: by what came of it last, else by itself. Null: what is SKIPPED stands for nothing,
 * its incident is told by the alarm that counts. */
static mw_slice state_of(const mw_alarm_row *row, const mw_alarm_event_row *events, size_t count,
                         const mw_decision_row *decision)
{
    for (size_t i = count; i-- > 0;)
        if (is_end(events[i].action))
            return events[i].action;
    if (is_end(row->action))
        return row->action;
    bool skipped = decision && mw_slice_equal(decision->verdict, MW_SLICE("SKIPPED"));
    return skipped ? MW_SLICE_NONE : MW_SLICE("open");
}

mw_err mw_shape_alarm(mw_json *json, mw_state_tx *tx, const mw_alarm_row *row, mw_arena *arena)
{
    mw_alarm_event_row *events = NULL;
    size_t count = 0;
    decided of = {.steps = NULL};
    mw_err err = mw_state_alarm_events(tx, row->id, arena, &events, &count);
    if (err)
        return err;
    err = read_decided(tx, row->id, arena, &of);
    if (err && err != MW_E_NOT_FOUND)
        return err;
    mw_json_object_begin(json);
    write_head(json, row);
    mw_json_kv_or_null(json, "state", state_of(row, events, count, err ? NULL : &of.row));
    write_events(json, events, count);
    mw_json_key(json, MW_SLICE("decision"));
    if (!err)
        write_decision(json, &of);
    else
        mw_json_null(json);
    mw_json_object_end(json);
    return MW_OK;
}

static mw_err list_in(mw_api_call *call, mw_state_tx *tx, const mw_state_page *page)
{
    mw_alarm_row *rows = NULL;
    size_t count = 0;
    uint64_t total = 0;
    mw_slice next = MW_SLICE_NONE;
    mw_err err = mw_state_alarm_list(tx, page, &call->arena, &rows, &count, &next, &total);
    if (err)
        return mw_api_cursor_error(call, err);
    mw_api_list_begin(call);
    for (size_t i = 0; i < count && !err; i++)
        err = mw_shape_alarm(&call->json, tx, &rows[i], &call->arena);
    if (!err)
        mw_api_list_end(call, next, (int64_t)total);
    return err;
}

mw_err mw_api_alarm_list(mw_api_call *call)
{
    mw_api_page page;
    mw_state_tx *tx;
    mw_err err = mw_api_page_read(call, NULL, &page);
    if (!err)
        err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    mw_state_page bounds = {page.since_ns, page.until_ns, page.limit, page.cursor};
    err = list_in(call, tx, &bounds);
    mw_state_read_end(tx);
    return err;
}

mw_err mw_api_alarm_show(mw_api_call *call)
{
    mw_slice id;
    mw_state_tx *tx;
    mw_alarm_row row;
    mw_err err = mw_api_no_parameters(call);
    if (!err)
        err = mw_api_hex_id(call, call->request->params[0], &id);
    if (!err)
        err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_alarm_get(tx, id, &call->arena, &row);
    if (!err)
        err = mw_shape_alarm(&call->json, tx, &row, &call->arena);
    mw_state_read_end(tx);
    return err;
}
