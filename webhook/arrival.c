/* From the events of a delivery to rows: DESIGN 4.4. See arrival_int.h.
 *
 * One savepoint holds the replay cache and all events, so that a group of alerts is there as a
 * whole or comes again as a whole.
 */
#include <openssl/evp.h>

#include "lib/base/counter.h"
#include "webhook/arrival_int.h"

mw_err mw_arrival_name(mw_arrival *arrival)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    if (arrival->auth != MW_AUTH_HMAC) {
        mw_id_new(arrival->delivery_id);
        return MW_OK;
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool done = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(ctx, arrival->webhook_id.data, arrival->webhook_id.len) == 1 &&
                EVP_DigestUpdate(ctx, arrival->replay_key, sizeof arrival->replay_key) == 1 &&
                EVP_DigestFinal_ex(ctx, hash, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    if (!done)
        return MW_E_NOMEM;
    mw_hex_encode(hash, (sizeof arrival->delivery_id - 1) / 2, arrival->delivery_id);
    return MW_OK;
}

/* What has happened has not happened tomorrow: such a time would stand on top of lists until it
 * comes, and open windows in which nothing lies. */
static bool is_ahead(const mw_arrival *arrival, const mw_alarm_event *event)
{
    return event->started_ns > arrival->received_ns &&
           event->started_ns - arrival->received_ns > MW_ALARM_AHEAD_NS;
}

static int64_t event_time(const mw_arrival *arrival, const mw_alarm_event *event)
{
    return event->started_ns && !is_ahead(arrival, event) ? event->started_ns
                                                          : arrival->received_ns;
}

/* The first alarm of a delivery carries the delivery's id. */
static mw_slice name_alarm(mw_arrival *arrival, char id[MW_ID_TEXT_SIZE])
{
    if (arrival->alarms == 0)
        return mw_slice_of(arrival->delivery_id);
    mw_id_new(id);
    return mw_slice_of(id);
}

static mw_err insert_alarm(mw_arrival *arrival, const mw_alarm_event *event, mw_state_tx *tx)
{
    char id[MW_ID_TEXT_SIZE];
    mw_alarm_row *row = &arrival->rows[arrival->alarms];
    mw_slice name = name_alarm(arrival, id);
    *row = (mw_alarm_row){.id = name,
                          .space = arrival->space,
                          .webhook_id = arrival->webhook_id,
                          .source = mw_slice_of(arrival->source->name),
                          .incident_id = event->incident_id,
                          .action = event->action,
                          .priority = event->priority,
                          .title = event->title,
                          .description = event->description,
                          .service = event->service,
                          .region = event->region,
                          .resources_json = event->resources_json,
                          .body = event->body.len ? event->body : arrival->body,
                          .started_ns = event_time(arrival, event),
                          .received_ns = arrival->received_ns,
                          .claimed_ns = is_ahead(arrival, event) ? event->started_ns : 0};
    mw_err err = mw_state_alarm_put(tx, row);
    if (err != MW_OK)
        return err;
    row->id = mw_arena_copy(arrival->arena, name);
    arrival->alarms++;
    return row->id.data ? MW_OK : MW_E_NOMEM;
}

/* An update or closing belongs to the incident's newest alarm that is not SKIPPED. */
static mw_err insert_change(mw_arrival *arrival, const mw_alarm_event *event,
                            const mw_incident_facts *facts, mw_state_tx *tx)
{
    mw_err err = mw_state_alarm_event_insert(tx, facts->newest_alarm_id, event_time(arrival, event),
                                             event->action);
    if (err == MW_OK && facts->investigation_id.len &&
        !mw_slice_equal(event->action, MW_SLICE("updated")))
        err = mw_state_investigation_settle(tx, facts->investigation_id, arrival->received_ns);
    if (err == MW_OK)
        arrival->changes++;
    return err;
}

/* It says what is known: an alarm that is open already, an end of what has ended. */
static bool says_nothing_new(const mw_alarm_event *event, const mw_incident_facts *facts)
{
    if (mw_slice_equal(event->action, MW_SLICE("updated")))
        return true;
    bool created = mw_slice_equal(event->action, MW_SLICE("created"));
    return facts->known && (created ? facts->open : !facts->unresolved);
}

/* Without an alarm that it belongs to, an update or closing becomes one that triage will decide
 * SKIPPED (unknown_incident). */
static mw_err insert_event(mw_arrival *arrival, const mw_alarm_event *event, bool repeated,
                           mw_state_tx *tx)
{
    mw_incident_facts facts = {.known = false};
    bool created = mw_slice_equal(event->action, MW_SLICE("created"));
    if (created && !repeated)
        return insert_alarm(arrival, event, tx);
    mw_err err = mw_state_incident_facts(tx, arrival->webhook_id, event->incident_id, 0,
                                         arrival->arena, &facts);
    if (err != MW_OK)
        return err;
    if (repeated && says_nothing_new(event, &facts)) {
        arrival->repeats++;
        return MW_OK;
    }
    return created || !facts.known ? insert_alarm(arrival, event, tx)
                                   : insert_change(arrival, event, &facts, tx);
}

static mw_err make_room(mw_arrival *arrival)
{
    size_t count = arrival->events.count;
    arrival->rows = mw_arena_zalloc(arrival->arena, count + 1, sizeof *arrival->rows);
    arrival->outcomes = mw_arena_zalloc(arrival->arena, count + 1, sizeof *arrival->outcomes);
    return arrival->rows && arrival->outcomes ? MW_OK : MW_E_NOMEM;
}

/* With the alarms where that can be: a delivery that opens and closes is left to the engine. */
static mw_err decide(mw_arrival *arrival, mw_state_tx *tx)
{
    mw_err err = MW_OK;
    if (!arrival->changes)
        err = mw_triage_decide_now(arrival->triage, tx, arrival->rows, arrival->alarms,
                                   arrival->outcomes, &arrival->decided);
    for (size_t i = 0; err == MW_OK && !arrival->decided && i < arrival->alarms; i++)
        err = mw_state_alarm_wait(tx, arrival->rows[i].seq);
    return err;
}

mw_err mw_arrival_commit(mw_arrival *arrival, mw_state_tx *tx)
{
    mw_err room = make_room(arrival);
    if (room != MW_OK)
        return room;
    mw_err seen =
        mw_state_replay_insert(tx, arrival->webhook_id, arrival->replay_key, arrival->received_ns,
                               arrival->received_ns + MW_WEBHOOK_REPLAY_NS);
    /* A signature holds its time, so the same one is the same delivery. The same bytes under a
     * bearer token are one as well, unless what they say is news again: an alarm that was closed
     * meanwhile, or whose incident a person closed. */
    if (seen != MW_OK && (seen != MW_E_CONFLICT || arrival->auth == MW_AUTH_HMAC))
        return seen;
    bool repeated = seen == MW_E_CONFLICT || arrival->source->repeats;
    mw_err err = MW_OK;
    for (size_t i = 0; i < arrival->events.count && err == MW_OK; i++)
        err = insert_event(arrival, &arrival->events.items[i], repeated, tx);
    if (err == MW_OK && seen == MW_E_CONFLICT && arrival->repeats == arrival->events.count)
        return MW_E_CONFLICT;
    return err == MW_OK ? decide(arrival, tx) : err;
}

void mw_arrival_committed(const mw_arrival *arrival)
{
    mw_count(MW_COUNT_ALARMS_RECEIVED, arrival->alarms);
    mw_count(MW_COUNT_ALARM_EVENTS, arrival->changes);
    mw_count(MW_COUNT_ALARMS_REPEATED, arrival->repeats);
    if (arrival->decided)
        mw_triage_decided(arrival->triage, arrival->outcomes, arrival->alarms);
    else if (arrival->alarms)
        mw_triage_wake(arrival->triage);
}
