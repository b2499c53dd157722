/* What is known of an alarm before it is decided: of its incident, of the telemetry around its
 * service, and of the open incidents near it. See deciding.h. On the state writer's thread. */
#include "triage/deciding.h"

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool names_service(mw_slice title, mw_slice name)
{
    for (size_t at = 0; name.len && at + name.len <= title.len; at++) {
        if (memcmp(title.data + at, name.data, name.len) != 0)
            continue;
        bool before = at == 0 || !is_word_byte(title.data[at - 1]);
        size_t end = at + name.len;
        if (before && (end == title.len || !is_word_byte(title.data[end])))
            return true;
    }
    return false;
}

/* DESIGN 4.4: a missing service is looked for in the title among known names; the longest. */
static mw_slice service_in_title(const mw_topology *topology, mw_slice title)
{
    mw_slice best = MW_SLICE("");
    for (size_t i = 0; i < mw_topology_nodes(topology); i++) {
        mw_slice name = mw_topology_name(topology, (uint32_t)i);
        if (name.len > best.len && names_service(title, name))
            best = name;
    }
    return best;
}

mw_err mw_deciding_see(mw_deciding *d)
{
    uint32_t node;
    mw_window *window = d->window;
    d->service = d->alarm->service;
    if (!window)
        return MW_OK;
    if (!d->service.len)
        d->service = service_in_title(window->topology, d->alarm->title);
    d->record.seen.read = window->read;
    d->record.seen.as_of = window->as_of;
    d->record.seen.left_out = window->left_out;
    if (!d->service.len || !mw_topology_find(window->topology, d->service, &node))
        return MW_OK;
    d->standing = mw_topology_standing(window->topology, node);
    if (!d->standing)
        return MW_E_NOMEM;
    mw_telemetry_see(window->topology, d->standing, &d->record.seen);
    return MW_OK;
}

mw_err mw_deciding_member(mw_deciding *d)
{
    d->member = (mw_member){.service = d->service,
                            .region = d->alarm->region,
                            .title = d->alarm->title,
                            .started_ns = d->alarm->started_ns};
    return mw_steps_member(d->steps.arena, &d->record.seen, d->alarm->resources_json, &d->member);
}

/* Closings go past the set in memory: what they closed leaves it here. An incident is asked for
 * once after each. */
static mw_err drop_closed(mw_deciding *d, size_t count, bool *dropped)
{
    uint64_t closings = mw_state_closings(d->steps.tx) + 1;
    *dropped = false;
    for (size_t i = 0; i < count; i++) {
        mw_incident_row row;
        mw_slice id = d->record.candidates[i].investigation_id;
        uint64_t *asked = mw_candidates_note(d->steps.triage->open, id);
        MW_ASSERT(asked);
        if (*asked == closings)
            continue;
        *asked = closings;
        mw_err err = mw_state_incident_get(d->steps.tx, id, d->steps.arena, &row);
        if (err != MW_OK)
            return err == MW_E_NOT_FOUND ? MW_E_CORRUPT : err;
        if (row.open)
            continue;
        *dropped = true;
        mw_candidates_remove(d->steps.triage->open, id);
    }
    return MW_OK;
}

/* The set gives slices into itself: a decision's are its own. */
static mw_err keep_texts(mw_deciding *d, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mw_candidate *c = &d->record.candidates[i];
        c->investigation_id = mw_arena_copy(d->steps.arena, c->investigation_id);
        c->service = mw_arena_copy(d->steps.arena, c->service);
        c->cause_service = mw_arena_copy(d->steps.arena, c->cause_service);
        if (!c->investigation_id.data || !c->service.data || !c->cause_service.data)
            return MW_E_NOMEM;
    }
    return MW_OK;
}

mw_err mw_deciding_find(mw_deciding *d)
{
    size_t count;
    bool dropped;
    mw_err err;
    do {
        count = mw_candidates_find(d->steps.triage->open, &d->member,
                                   d->window ? d->window->topology : NULL, d->standing,
                                   d->record.candidates, MW_CANDIDATES_MAX);
        err = drop_closed(d, count, &dropped);
    } while (err == MW_OK && dropped);
    d->record.input.candidates = d->record.candidates;
    d->record.input.candidate_count = count;
    return err == MW_OK ? keep_texts(d, count) : err;
}

/* All but the candidates. */
static void fill_input(mw_deciding *d)
{
    const mw_alarm_row *alarm = d->alarm;
    mw_slice suspect = d->member.suspect_count ? d->member.suspects[0].service : MW_SLICE("");
    bool is_suspect = false;
    for (size_t i = 0; i < d->member.suspect_count; i++)
        is_suspect |= mw_slice_equal(d->member.suspects[i].service, d->service);
    d->record.known_alarm_id = d->facts.newest_alarm_id;
    d->record.input = (mw_decision_input){.action = alarm->action,
                                          .incident_id = alarm->incident_id,
                                          .incident_known = d->facts.known,
                                          .incident_unresolved = d->facts.open,
                                          .known_investigation_id = d->facts.investigation_id,
                                          .service = d->service,
                                          .suspect = is_suspect ? d->service : suspect,
                                          .is_suspect = is_suspect};
}

mw_err mw_deciding_gather(mw_deciding *d)
{
    const mw_alarm_row *alarm = d->alarm;
    mw_err err = mw_state_incident_facts(d->steps.tx, alarm->webhook_id, alarm->incident_id,
                                         alarm->seq, d->steps.arena, &d->facts);
    if (err == MW_OK)
        err = mw_deciding_see(d);
    if (err == MW_OK)
        err = mw_deciding_member(d);
    if (err != MW_OK)
        return err;
    fill_input(d);
    bool created = mw_slice_equal(alarm->action, MW_SLICE("created"));
    bool repeat = d->facts.known && d->facts.open;
    return created && !repeat ? mw_deciding_find(d) : MW_OK;
}
