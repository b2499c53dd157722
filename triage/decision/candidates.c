/* Open incidents in memory. See candidates.h.
 *
 * Names (services, suspects and resources share one table, with a letter before them that says
 * which) are counted once and hashed with a random seed, so that no sender can make them pile up.
 * Each has a list of the incidents it stands for. Lists are cleaned of incidents that are gone
 * when they are walked; an incident is a place in an array with a generation, so that a stale
 * entry is told from the incident that took its place.
 */
#include "triage/decision/candidates.h"

#include <stdlib.h>
#include <xxhash.h>

/* Suspects that began within so many minutes of each other began together (topology.c). */
#define TOGETHER_MINUTES 2u
/* Services on the way to an alarm's suspects that are looked for: a path of six calls, several
 * times. */
#define BEFORE_MAX 64
/* A suspect whose trouble began so much later than before had recovered in between. */
#define AGAIN_MINUTES 5u
/* The current minutes of a window and two more. */
#define MOMENT_NS (UINT64_C(5) * 60 * 1000000000)

typedef struct entry {
    uint32_t incident, generation;
} entry;

typedef struct name {
    uint64_t hash; /* 64 bits of a keyed hash stand for the text */
    entry *entries;
    size_t entry_count, entry_capacity;
    mw_slice text; /* MW_MEM_STATE; of services and suspects */
    bool used;
} name;

typedef struct kept_suspect {
    mw_slice service; /* a name's text */
    uint64_t hash;
    uint32_t onset;
} kept_suspect;

/* What every meeting reads stands first, in one line of the cache. */
typedef struct incident {
    uint32_t generation; /* even: free */
    uint32_t best;       /* where its candidate is, in the look that met it last */
    uint64_t mark;       /* of that look */
    int64_t *times;      /* sorted */
    size_t time_count, time_capacity;
    uint64_t services[MW_CANDIDATES_SERVICES_MAX];
    uint64_t regions[MW_CANDIDATES_REGIONS_MAX];
    uint64_t titles[MW_CANDIDATES_TITLES_MAX];
    uint64_t resources[MW_CANDIDATES_RESOURCES_MAX];
    kept_suspect suspects[MW_CANDIDATES_SUSPECTS_MAX];
    uint32_t service_count, region_count, title_count, resource_count, suspect_count;
    bool known; /* some member's telemetry was enough to tell */
    uint64_t note;
    size_t id_len;
    char id[MW_ID_TEXT_SIZE];
} incident;

/* An incident that a look met, and the way that says most. */
typedef struct found {
    uint32_t incident;
    mw_relation relation;
    uint32_t distance;
    double component; /* what that is worth */
    mw_slice service;
} found;

struct mw_candidates {
    uint64_t seed;
    incident *incidents;
    size_t incident_count, incident_capacity; /* places, free ones included */
    uint32_t *free_places;
    size_t free_count, free_capacity;
    size_t open_count, member_count;
    name *names; /* open addressing; a power of two */
    size_t name_count, name_capacity;
    name *ids; /* investigation ids, the same way; one entry each */
    size_t id_count, id_capacity;
    uint64_t mark;
    found *found; /* of one look */
    size_t found_capacity;
};

/* ---- names ----------------------------------------------------------------------------------- */

enum { KIND_SERVICE = 1, KIND_SUSPECT, KIND_RESOURCE, KIND_REGION, KIND_TITLE, KIND_ID };

static uint64_t hash_of(const mw_candidates *set, int kind, mw_slice text)
{
    return XXH3_64bits_withSeed(text.len ? text.data : "", text.len,
                                set->seed ^ (uint64_t)kind * UINT64_C(0x9e3779b97f4a7c15));
}

static name *slot_of(name *table, size_t capacity, uint64_t hash)
{
    size_t at = (size_t)hash & (capacity - 1);
    while (table[at].used && table[at].hash != hash)
        at = (at + 1) & (capacity - 1);
    return &table[at];
}

static name *find_name(name *table, size_t capacity, uint64_t hash)
{
    if (!capacity)
        return NULL;
    name *slot = slot_of(table, capacity, hash);
    return slot->used ? slot : NULL;
}

static bool grow_names(name **table, size_t *capacity)
{
    size_t bigger = *capacity ? *capacity * 2 : 256;
    name *grown = mw_calloc(MW_MEM_STATE, bigger, sizeof *grown);
    if (!grown)
        return false;
    for (size_t i = 0; i < *capacity; i++)
        if ((*table)[i].used)
            *slot_of(grown, bigger, (*table)[i].hash) = (*table)[i];
    mw_free(MW_MEM_STATE, *table);
    *table = grown;
    *capacity = bigger;
    return true;
}

static bool copy_text(mw_slice text, mw_slice *out)
{
    char *data = mw_alloc(MW_MEM_STATE, text.len + 1);
    if (!data)
        return false;
    if (text.len)
        memcpy(data, text.data, text.len);
    data[text.len] = '\0';
    *out = (mw_slice){data, text.len};
    return true;
}

/* The name, new or old; NULL without memory. */
static name *name_of(name **table, size_t *count, size_t *capacity, uint64_t hash, mw_slice text)
{
    name *known = find_name(*table, *capacity, hash);
    if (known)
        return known;
    if ((*count + 1) * 2 > *capacity && !grow_names(table, capacity))
        return NULL;
    name *slot = slot_of(*table, *capacity, hash);
    if (!copy_text(text, &slot->text))
        return NULL;
    slot->used = true;
    slot->hash = hash;
    (*count)++;
    return slot;
}

static void free_names(name *table, size_t capacity)
{
    for (size_t i = 0; i < capacity; i++) {
        mw_free(MW_MEM_STATE, table[i].entries);
        mw_free(MW_MEM_STATE, (char *)(uintptr_t)table[i].text.data);
    }
    mw_free(MW_MEM_STATE, table);
}

static bool add_entry(name *n, entry e)
{
    if (!mw_have_room(MW_MEM_STATE, &n->entries, &n->entry_capacity, n->entry_count + 1,
                      sizeof *n->entries))
        return false;
    n->entries[n->entry_count++] = e;
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

mw_candidates *mw_candidates_new(void)
{
    mw_candidates *set = mw_calloc(MW_MEM_STATE, 1, sizeof *set);
    if (set)
        mw_random_bytes(&set->seed, sizeof set->seed);
    return set;
}

void mw_candidates_free(mw_candidates *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->incident_count; i++)
        mw_free(MW_MEM_STATE, set->incidents[i].times);
    free_names(set->names, set->name_capacity);
    free_names(set->ids, set->id_capacity);
    mw_free(MW_MEM_STATE, set->incidents);
    mw_free(MW_MEM_STATE, set->free_places);
    mw_free(MW_MEM_STATE, set->found);
    mw_free(MW_MEM_STATE, set);
}

size_t mw_candidates_count(const mw_candidates *set)
{
    return set->open_count;
}

static bool is_open(const mw_candidates *set, entry e)
{
    return set->incidents[e.incident].generation == e.generation;
}

static incident *find_incident(mw_candidates *set, mw_slice id)
{
    name *n = find_name(set->ids, set->id_capacity, hash_of(set, KIND_ID, id));
    if (!n || !n->entry_count || !is_open(set, n->entries[0]))
        return NULL;
    return &set->incidents[n->entries[0].incident];
}

static void release(mw_candidates *set, incident *i)
{
    set->open_count--;
    set->member_count -= i->time_count;
    i->generation++;
    i->time_count = 0;
    /* Room was made when the place was taken. */
    set->free_places[set->free_count++] = (uint32_t)(i - set->incidents);
}

void mw_candidates_remove(mw_candidates *set, mw_slice investigation_id)
{
    incident *i = find_incident(set, investigation_id);
    if (i)
        release(set, i);
}

uint64_t *mw_candidates_note(mw_candidates *set, mw_slice investigation_id)
{
    incident *i = find_incident(set, investigation_id);
    return i ? &i->note : NULL;
}

static int by_time(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Forgets the quarter that was quiet longest. */
static void forget_quiet(mw_candidates *set)
{
    int64_t *last = mw_alloc(MW_MEM_STATE, (set->open_count + 1) * sizeof *last);
    size_t count = 0;
    if (!last)
        return;
    for (size_t i = 0; i < set->incident_count; i++)
        if (set->incidents[i].generation % 2)
            last[count++] = set->incidents[i].times[set->incidents[i].time_count - 1];
    qsort(last, count, sizeof *last, by_time);
    int64_t limit = last[count / 4];
    mw_free(MW_MEM_STATE, last);
    for (size_t i = 0; i < set->incident_count && set->open_count * 4 > count * 3; i++) {
        incident *one = &set->incidents[i];
        if (one->generation % 2 && one->times[one->time_count - 1] <= limit)
            release(set, one);
    }
}

static incident *begin_incident(mw_candidates *set, mw_slice id)
{
    if (set->open_count >= MW_CANDIDATES_INCIDENTS_MAX)
        forget_quiet(set);
    name *n = name_of(&set->ids, &set->id_count, &set->id_capacity, hash_of(set, KIND_ID, id), id);
    if (!n)
        return NULL;
    if (!set->free_count) {
        if (!mw_have_room(MW_MEM_STATE, &set->incidents, &set->incident_capacity,
                          set->incident_count + 1, sizeof *set->incidents) ||
            !mw_have_room(MW_MEM_STATE, &set->free_places, &set->free_capacity,
                          set->incident_count + 1, sizeof *set->free_places))
            return NULL;
        set->incidents[set->incident_count] = (incident){.generation = 0};
        set->free_places[set->free_count++] = (uint32_t)set->incident_count++;
    }
    uint32_t place = set->free_places[set->free_count - 1];
    incident *i = &set->incidents[place];
    entry e = {place, i->generation + 1};
    n->entry_count = 0;
    if (!add_entry(n, e) || !mw_slice_to_cstr(id, i->id, sizeof i->id))
        return NULL;
    set->free_count--;
    incident fresh = {
        .generation = e.generation, .times = i->times, .time_capacity = i->time_capacity};
    memcpy(fresh.id, i->id, sizeof fresh.id);
    fresh.id_len = id.len;
    *i = fresh;
    set->open_count++;
    return i;
}

/* ---- members --------------------------------------------------------------------------------- */

static bool is_among(const uint64_t *hashes, uint32_t count, uint64_t hash)
{
    for (uint32_t i = 0; i < count; i++)
        if (hashes[i] == hash)
            return true;
    return false;
}

static void note(uint64_t *hashes, uint32_t *count, uint32_t max, uint64_t hash)
{
    if (*count < max && !is_among(hashes, *count, hash))
        hashes[(*count)++] = hash;
}

/* Makes the incident be found by that name; `out` gets its kept text. */
static bool file_under(mw_candidates *set, incident *i, uint64_t hash, mw_slice text, mw_slice *out)
{
    name *n = name_of(&set->names, &set->name_count, &set->name_capacity, hash, text);
    if (!n)
        return false;
    *out = n->text;
    return add_entry(n, (entry){(uint32_t)(i - set->incidents), i->generation});
}

static bool add_time(mw_candidates *set, incident *i, int64_t time_ns)
{
    if (!mw_have_room(MW_MEM_STATE, &i->times, &i->time_capacity, i->time_count + 1,
                      sizeof *i->times))
        return false;
    size_t at = i->time_count++;
    for (; at > 0 && i->times[at - 1] > time_ns; at--)
        i->times[at] = i->times[at - 1];
    i->times[at] = time_ns;
    set->member_count++;
    return true;
}

static bool add_named(mw_candidates *set, incident *i, const mw_member *member)
{
    mw_slice text;
    uint64_t hash = hash_of(set, KIND_SERVICE, member->service);
    if (member->service.len && i->service_count < MW_CANDIDATES_SERVICES_MAX &&
        !is_among(i->services, i->service_count, hash)) {
        i->services[i->service_count++] = hash;
        if (!file_under(set, i, hash, member->service, &text))
            return false;
    }
    for (size_t k = 0; k < member->resource_count; k++) {
        hash = hash_of(set, KIND_RESOURCE, member->resources[k]);
        if (i->resource_count == MW_CANDIDATES_RESOURCES_MAX ||
            is_among(i->resources, i->resource_count, hash))
            continue;
        i->resources[i->resource_count++] = hash;
        if (!file_under(set, i, hash, MW_SLICE(""), &text))
            return false;
    }
    return true;
}

static bool add_suspects(mw_candidates *set, incident *i, const mw_member *member)
{
    for (size_t k = 0; k < member->suspect_count; k++) {
        const mw_member_suspect *suspect = &member->suspects[k];
        uint64_t hash = hash_of(set, KIND_SUSPECT, suspect->service);
        uint32_t at = 0;
        while (at < i->suspect_count && i->suspects[at].hash != hash)
            at++;
        if (at < i->suspect_count || at == MW_CANDIDATES_SUSPECTS_MAX)
            continue;
        kept_suspect *kept = &i->suspects[at];
        *kept = (kept_suspect){.hash = hash, .onset = suspect->onset};
        if (!file_under(set, i, hash, suspect->service, &kept->service))
            return false;
        i->suspect_count++;
    }
    return true;
}

mw_err mw_candidates_add(mw_candidates *set, mw_slice investigation_id, const mw_member *member)
{
    if (set->member_count >= MW_CANDIDATES_MEMBERS_MAX)
        forget_quiet(set);
    incident *i = find_incident(set, investigation_id);
    bool fresh = !i;
    if (fresh)
        i = begin_incident(set, investigation_id);
    if (!i)
        return MW_E_NOMEM;
    if (!add_time(set, i, member->started_ns)) {
        if (fresh)
            release(set, i);
        return MW_E_NOMEM;
    }
    if (member->region.len)
        note(i->regions, &i->region_count, MW_CANDIDATES_REGIONS_MAX,
             hash_of(set, KIND_REGION, member->region));
    note(i->titles, &i->title_count, MW_CANDIDATES_TITLES_MAX,
         hash_of(set, KIND_TITLE, member->title));
    i->known |= member->known;
    return add_named(set, i, member) && add_suspects(set, i, member) ? MW_OK : MW_E_NOMEM;
}

/* ---- one look -------------------------------------------------------------------------------- */

/* Hashes of what the alarm has are made once a look. */
typedef struct look {
    mw_candidates *set;
    const mw_member *alarm;
    mw_topology *topology;
    const mw_standing *standing;
    size_t count; /* of set->found */
    uint64_t service, region, title;
    uint64_t suspects[MW_SUSPECTS_MAX];
    uint64_t resources[MW_CANDIDATES_RESOURCES_MAX];
    size_t resource_count;
    uint64_t before[BEFORE_MAX]; /* services on the way to the suspects */
    uint32_t before_count;
} look;

static void begin_look(look *l)
{
    const mw_member *alarm = l->alarm;
    l->service = hash_of(l->set, KIND_SERVICE, alarm->service);
    l->region = hash_of(l->set, KIND_REGION, alarm->region);
    l->title = hash_of(l->set, KIND_TITLE, alarm->title);
    for (size_t i = 0; i < alarm->suspect_count; i++)
        l->suspects[i] = hash_of(l->set, KIND_SUSPECT, alarm->suspects[i].service);
    for (size_t i = 0; i < alarm->resource_count && i < MW_CANDIDATES_RESOURCES_MAX; i++)
        l->resources[l->resource_count++] = hash_of(l->set, KIND_RESOURCE, alarm->resources[i]);
    for (size_t i = 0; l->standing && i < l->standing->before_count && i < BEFORE_MAX; i++)
        l->before[l->before_count++] =
            hash_of(l->set, KIND_SUSPECT, mw_topology_name(l->topology, l->standing->before[i]));
}

static uint64_t apart(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

/* To the nearest member. */
static uint64_t nearest(const incident *i, int64_t time_ns)
{
    size_t from = 0, to = i->time_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (i->times[middle] < time_ns)
            from = middle + 1;
        else
            to = middle;
    }
    uint64_t best = UINT64_MAX;
    if (from < i->time_count)
        best = apart(i->times[from], time_ns);
    if (from > 0 && apart(i->times[from - 1], time_ns) < best)
        best = apart(i->times[from - 1], time_ns);
    return best;
}

static mw_region_match region_of(const look *l, const incident *i)
{
    if (!l->alarm->region.len || !i->region_count)
        return MW_REGION_UNKNOWN;
    return is_among(i->regions, i->region_count, l->region) ? MW_REGION_SAME : MW_REGION_OTHER;
}

static bool shares_resource(const look *l, const incident *i)
{
    for (size_t k = 0; k < l->resource_count && i->resource_count; k++)
        if (is_among(i->resources, i->resource_count, l->resources[k]))
            return true;
    return false;
}

/* How one suspect of the alarm stands to one of the incident. */
static mw_cause compare(const look *l, size_t mine, const kept_suspect *its)
{
    uint32_t onset = l->alarm->suspects[mine].onset;
    uint32_t between = onset > its->onset ? onset - its->onset : its->onset - onset;
    if (l->suspects[mine] == its->hash)
        return between > AGAIN_MINUTES && onset > its->onset ? MW_CAUSE_OTHER : MW_CAUSE_SAME;
    if (between > TOGETHER_MINUTES)
        return MW_CAUSE_OTHER;
    return is_among(l->before, l->before_count, its->hash) ? MW_CAUSE_RELATED : MW_CAUSE_TOGETHER;
}

/* The strongest thing that any pair says: the same, then related, then together. */
static mw_cause compare_all(const look *l, const incident *i, mw_slice *service)
{
    static const int rank[MW_CAUSE_COUNT] = {
        [MW_CAUSE_SAME] = 4, [MW_CAUSE_RELATED] = 3, [MW_CAUSE_TOGETHER] = 2, [MW_CAUSE_OTHER] = 1};
    mw_cause best = MW_CAUSE_UNKNOWN;
    for (size_t a = 0; a < l->alarm->suspect_count; a++) {
        for (uint32_t b = 0; b < i->suspect_count; b++) {
            mw_cause cause = compare(l, a, &i->suspects[b]);
            if (rank[cause] <= rank[best])
                continue;
            best = cause;
            *service = i->suspects[b].service;
        }
    }
    return best;
}

/* Is the alarm's own service one that the incident's trouble ended at, a moment ago? With few calls
 * a fault shows in one minute and not in the next. */
static bool was_suspect(const look *l, const incident *i)
{
    uint64_t hash = hash_of(l->set, KIND_SUSPECT, l->alarm->service);
    MW_ASSERT(i->suspect_count <= MW_CANDIDATES_SUSPECTS_MAX);
    for (uint32_t k = 0; k < i->suspect_count; k++)
        if (i->suspects[k].hash == hash)
            return nearest(i, l->alarm->started_ns) <= MOMENT_NS;
    return false;
}

static mw_cause cause_of(const look *l, const incident *i, mw_slice *service)
{
    *service = MW_SLICE("");
    if (!l->alarm->known)
        return MW_CAUSE_UNKNOWN;
    if (!i->suspect_count)
        return i->known ? MW_CAUSE_QUIET : MW_CAUSE_UNKNOWN;
    if (!l->alarm->suspect_count) {
        *service = i->suspects[0].service;
        return was_suspect(l, i) ? MW_CAUSE_UNKNOWN : MW_CAUSE_UNAFFECTED;
    }
    return compare_all(l, i, service);
}

/* All facts but the time, as if it were the same moment. */
static void fill_candidate(const look *l, const incident *i, mw_candidate *out)
{
    out->investigation_id = (mw_slice){i->id, i->id_len};
    out->apart_ns = 0;
    out->region = region_of(l, i);
    out->shared_resource = shares_resource(l, i);
    out->same_title = is_among(i->titles, i->title_count, l->title);
    out->members = (uint32_t)i->time_count;
    out->cause = cause_of(l, i, &out->cause_service);
}

/* Some member may be within the look-back. */
static bool may_be_near(const incident *i, int64_t time_ns)
{
    int64_t first = i->times[0], last = i->times[i->time_count - 1];
    return (time_ns >= first || apart(first, time_ns) <= (uint64_t)MW_LOOK_BACK_NS) &&
           (time_ns <= last || apart(last, time_ns) <= (uint64_t)MW_LOOK_BACK_NS);
}

/* One incident, met by one way: keeps the way that says most. */
static bool meet(look *l, entry e, const found *way)
{
    mw_candidates *set = l->set;
    incident *i = &set->incidents[e.incident];
    if (i->mark != set->mark) {
        if (!mw_have_room(MW_MEM_STATE, &set->found, &set->found_capacity, l->count + 1,
                          sizeof *set->found))
            return false;
        i->mark = set->mark;
        i->best = UINT32_MAX;
        if (may_be_near(i, l->alarm->started_ns)) {
            i->best = (uint32_t)l->count++;
            set->found[i->best] = *way;
            set->found[i->best].incident = e.incident;
        }
    }
    if (i->best == UINT32_MAX)
        return true;
    found *c = &set->found[i->best];
    if (way->component > c->component) {
        *c = *way;
        c->incident = e.incident;
    }
    return true;
}

/* All incidents of a name; those that are gone leave its list. */
static bool meet_all(look *l, uint64_t hash, mw_relation relation, uint32_t distance)
{
    name *n = find_name(l->set->names, l->set->name_capacity, hash);
    found way = {.relation = relation,
                 .distance = distance,
                 .component = mw_decision_component(relation, distance)};
    if (n)
        way.service = n->text;
    for (size_t i = 0; n && i < n->entry_count;) {
        if (!is_open(l->set, n->entries[i]))
            n->entries[i] = n->entries[--n->entry_count];
        else if (!meet(l, n->entries[i++], &way))
            return false;
    }
    return true;
}

/* Sums of weights that are compared as if they were exact. */
#define ROUNDING 1e-9
/* Fewer are met to the end: asking costs as much as meeting them. */
#define ENOUGH_MIN 128

typedef struct best {
    mw_candidate *items; /* `max` at most, best first */
    mw_weighed weighed[MW_CANDIDATES_MAX];
    size_t count, max;
} best;

static bool is_among_best(const best *b, const mw_candidate *c, const mw_weighed *weighed)
{
    return b->count < b->max ||
           mw_weighed_compare(c, weighed, &b->items[b->count - 1], &b->weighed[b->count - 1]) < 0;
}

/* May one whose service is worth so much be among them? */
static bool may_be_among(const look *l, const best *b, double component)
{
    const mw_weighed *last = &b->weighed[b->max - 1];
    double rest = mw_decision_rest(l->alarm->suspect_count > 0, l->resource_count > 0);
    return b->count < b->max || !last->fits || last->score <= component + rest + ROUNDING;
}

static void put_among(best *b, const mw_candidate *c, const mw_weighed *weighed)
{
    size_t at = b->count < b->max ? b->count++ : b->count - 1;
    for (; at > 0 && mw_weighed_compare(c, weighed, &b->items[at - 1], &b->weighed[at - 1]) < 0;
         at--) {
        b->items[at] = b->items[at - 1];
        b->weighed[at] = b->weighed[at - 1];
    }
    b->items[at] = *c;
    b->weighed[at] = *weighed;
}

/* The best few of all. How near in time an incident is costs a search among its members: one that
 * would not be among them at the very same moment is passed over. */
static void choose(const look *l, best *b)
{
    for (size_t i = 0; i < l->count; i++) {
        const found *from = &l->set->found[i];
        const incident *of = &l->set->incidents[from->incident];
        if (!may_be_among(l, b, from->component))
            continue;
        mw_candidate c = {
            .relation = from->relation, .distance = from->distance, .service = from->service};
        fill_candidate(l, of, &c);
        mw_weighed weighed = mw_decision_weigh(&c);
        if (!is_among_best(b, &c, &weighed))
            continue;
        c.apart_ns = nearest(of, l->alarm->started_ns);
        if (c.apart_ns > (uint64_t)MW_LOOK_BACK_NS)
            continue;
        weighed = mw_decision_weigh(&c);
        if (is_among_best(b, &c, &weighed))
            put_among(b, &c, &weighed);
    }
}

/* Can nothing that is this far away or farther be among the best any more? Parts are bounded, and
 * services come by distance: then whatever is behind need not be met. What is among the best keeps
 * the way that it was met by, since a farther one says less. */
static bool is_enough(const look *l, uint32_t distance, size_t max)
{
    mw_candidate items[MW_CANDIDATES_MAX];
    best b = {.items = items, .max = max};
    if (l->count < ENOUGH_MIN)
        return false;
    choose(l, &b);
    return !may_be_among(l, &b, mw_decision_component(MW_RELATION_CALLEE, distance));
}

static bool meet_near(look *l, size_t max)
{
    const mw_standing *standing = l->standing;
    if (!standing) {
        return !l->alarm->service.len || meet_all(l, l->service, MW_RELATION_SAME, 0);
    }
    uint64_t *tags = mw_topology_tags(l->topology, l->set->seed);
    for (size_t i = 0; tags && i < standing->near_count; i++) {
        const mw_near *near = &standing->near[i];
        bool farther = i > 0 && near->distance > standing->near[i - 1].distance;
        if (farther && is_enough(l, near->distance, max))
            break;
        uint64_t *tag = &tags[near->node];
        if (!*tag)
            *tag = hash_of(l->set, KIND_SERVICE, mw_topology_name(l->topology, near->node));
        if (!meet_all(l, *tag, near->relation, near->distance))
            return false;
    }
    return tags != NULL;
}

size_t mw_candidates_find(mw_candidates *set, const mw_member *alarm, mw_topology *topology,
                          const mw_standing *standing, mw_candidate *out, size_t max)
{
    look l = {.set = set, .alarm = alarm, .topology = topology, .standing = standing};
    MW_ASSERT(max > 0 && max <= MW_CANDIDATES_MAX && alarm->suspect_count <= MW_SUSPECTS_MAX);
    set->mark++;
    begin_look(&l);
    bool all = meet_near(&l, max);
    for (size_t i = 0; all && i < alarm->suspect_count; i++)
        all = meet_all(&l, l.suspects[i], MW_RELATION_SHARED, MW_TOPOLOGY_FAR);
    for (size_t i = 0; all && i < l.resource_count; i++)
        all = meet_all(&l, l.resources[i], MW_RELATION_RESOURCE, 0);
    best b = {.items = out, .max = max};
    choose(&l, &b);
    return b.count;
}
