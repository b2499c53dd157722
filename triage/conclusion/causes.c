/* The ranking of causes. See causes.h. */
#include <math.h>
#include <stdlib.h>

#include "triage/conclusion/causes.h"
#include "triage/evidence/reach.h"

/* Services that some finding or call names. */
#define NODES_MAX 2048
#define NONE SIZE_MAX
#define MINUTE (60 * (uint64_t)1000000000)

/* Numbers of the ranking, each with its reason; others stand in thresholds.h. */
/* A caller is the cause of slow calls when calls to at least two others are slow: with one, it is
 * the other. */
#define CALLEES_MIN 2
/* Half of the changes that break something show within a quarter of an hour, nearly all within an
 * hour; a rollout takes two minutes to be recorded. */
#define CHANGE_CLOSE (15 * MINUTE)
#define CHANGE_FAR (60 * MINUTE)
#define CHANGE_LATE (2 * MINUTE)
#define CHANGE_BONUS 0.25
/* Of a service without spans that lacks processor or memory while calls wait that no span answers:
 * it comes before who waits. */
#define SILENT_LEAD 1.1
/* A share that changed as surely as this leaves no doubt. */
#define SHARE_CERTAIN 8.0
#define HINT_CONFIDENCE 0.25
#define METRIC_CERTAIN 20.0
/* Below, the answer is INCONCLUSIVE. */
#define CONFIDENCE_MIN 0.3
#define CONFIDENCE_MAX 0.95

static const char *const kind_names[] = {
#define MW_FAULT_NAME(name, code, words) [MW_FAULT_##name] = code,
    MW_FAULT_KINDS(MW_FAULT_NAME)
#undef MW_FAULT_NAME
};
static const char *const kind_words[] = {
#define MW_FAULT_WORDS(name, code, words) [MW_FAULT_##name] = words,
    MW_FAULT_KINDS(MW_FAULT_WORDS)
#undef MW_FAULT_WORDS
};

const char *mw_fault_kind_name(mw_fault_kind kind)
{
    MW_ASSERT((unsigned)kind < MW_FAULT_COUNT);
    return kind_names[kind];
}

const char *mw_fault_kind_words(mw_fault_kind kind)
{
    MW_ASSERT((unsigned)kind < MW_FAULT_COUNT);
    return kind_words[kind];
}

/* One side of a service: calls it takes, or makes. */
typedef struct side {
    double calls, slow_calls, added;
    size_t slow_edges;
} side;

typedef struct node {
    mw_slice service;
    side in, out;
    double edge_score, self, share, metric;
    double waits; /* of self: for answers that no span tells of */
    double score;
    bool by_out, victim;
} node;

/* What tells the kind of fault. */
typedef enum signal {
    BY_EDGES,
    BY_SHARES,
    BY_METRICS,
    BY_SELF,
    BY_RESOURCE,
    BY_TRAFFIC,
    SIGNALS
} signal;

typedef struct ranking {
    const mw_findings *findings;
    node *nodes; /* by name */
    size_t count;
    mw_slice entry;
    signal signal;
} ranking;

/* ---- services -------------------------------------------------------------------------------- */

static int by_name(const void *left, const void *right)
{
    return mw_slice_compare(((const node *)left)->service, ((const node *)right)->service);
}

static void add_name(ranking *r, mw_slice service)
{
    if (service.len && r->count < NODES_MAX)
        r->nodes[r->count++] = (node){.service = service};
}

static bool names_other(const mw_finding *finding)
{
    return finding->kind == MW_FOUND_WIRE;
}

static void name_nodes(ranking *r)
{
    const mw_findings *f = r->findings;
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        add_name(r, f->items[i].service);
        if (names_other(&f->items[i]))
            add_name(r, f->items[i].other);
        add_name(r, f->items[i].peer);
    }
    if (r->count > 1)
        qsort(r->nodes, r->count, sizeof *r->nodes, by_name);
    for (size_t i = 0; i < r->count; i++)
        if (!kept || !mw_slice_equal(r->nodes[kept - 1].service, r->nodes[i].service))
            r->nodes[kept++] = r->nodes[i];
    r->count = kept;
}

static node *find_node(const ranking *r, mw_slice service)
{
    const node wanted = {.service = service};
    if (!r->count)
        return NULL;
    return bsearch(&wanted, r->nodes, r->count, sizeof *r->nodes, by_name);
}

/* ---- edges ----------------------------------------------------------------------------------- */

static void add_side(side *to, double calls, double added, bool slow)
{
    to->calls += calls;
    to->added += added;
    to->slow_calls += slow ? calls : 0;
    to->slow_edges += slow;
}

static const mw_finding *wire_of(const mw_findings *f, const mw_call *call)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->items[i].kind == MW_FOUND_WIRE &&
            mw_slice_equal(f->items[i].service, call->caller) &&
            mw_slice_equal(f->items[i].other, call->callee))
            return &f->items[i];
    return NULL;
}

static double sum_edges(ranking *r)
{
    const mw_findings *f = r->findings;
    double total = 0;
    for (size_t i = 0; i < f->call_count; i++) {
        const mw_call *call = &f->calls[i];
        if (call->calls <= 0)
            continue; /* imported, or too few to be measured */
        const mw_finding *wire = wire_of(f, call);
        node *caller = find_node(r, call->caller), *callee = find_node(r, call->callee);
        double added = wire ? wire->weight : 0;
        total += added;
        if (caller)
            add_side(&caller->out, call->calls, added, wire);
        if (callee)
            add_side(&callee->in, call->calls, added, wire);
    }
    return total;
}

/* How well "this side of the service is the cause" fits: how much of all added time it explains,
 * and how many of its calls are slow; the harmonic mean of both. */
static double fit(const side *one, double total)
{
    if (one->calls <= 0 || total <= 0 || one->added <= 0)
        return 0;
    double explains = one->added / total, holds = one->slow_calls / one->calls;
    return 2 * explains * holds / (explains + holds);
}

static void score_edges(ranking *r)
{
    double total = sum_edges(r), busy = 0;
    for (size_t i = 0; i < r->count; i++) {
        node *n = &r->nodes[i];
        side both = {n->in.calls + n->out.calls, n->in.slow_calls + n->out.slow_calls,
                     n->in.added + n->out.added, n->in.slow_edges + n->out.slow_edges};
        double in = fit(&n->in, total), all = fit(&both, total);
        double out = n->out.slow_edges >= CALLEES_MIN ? fit(&n->out, total) : 0;
        if (!n->in.slow_edges && n->out.slow_edges < CALLEES_MIN)
            all *= r->findings->thresholds->victim_share;
        n->by_out = out > in || all > in;
        n->edge_score = fmax(in, fmax(out, all));
        busy += n->self;
    }
    for (size_t i = 0; i < r->count && busy > 0; i++)
        if (r->nodes[i].edge_score > 0)
            r->nodes[i].edge_score += r->findings->thresholds->self_share * r->nodes[i].self / busy;
}

/* ---- other signals --------------------------------------------------------------------------- */

static bool is_share(mw_finding_kind kind)
{
    return kind == MW_FOUND_MISSING || kind == MW_FOUND_LOGS || kind == MW_FOUND_ERRORS;
}

static bool is_request_metric(const mw_finding *finding)
{
    return finding->kind == MW_FOUND_METRIC &&
           (finding->class_of == MW_CLASS_LATENCY || finding->class_of == MW_CLASS_SUCCESS);
}

/* Who waits is not busy: whom it calls is, as far as that is known. */
static void note_self(ranking *r, node *n, const mw_finding *finding)
{
    node *peer = finding->peer.len ? find_node(r, finding->peer) : NULL;
    n = peer ? peer : n;
    n->self += finding->weight;
    n->waits += finding->waits && !peer ? finding->weight : 0;
}

/* The one without spans that its metrics point at most is what others wait for. */
static void note_silent(ranking *r)
{
    const mw_finding *found = NULL;
    double most = 0, waits = 0;
    for (size_t i = 0; i < r->count; i++) {
        most = fmax(most, r->nodes[i].self);
        waits += r->nodes[i].waits;
    }
    for (size_t i = 0; i < r->findings->count; i++) {
        const mw_finding *one = &r->findings->items[i];
        if (one->silent && (!found || one->strength > found->strength))
            found = one;
    }
    node *n = found ? find_node(r, found->service) : NULL;
    if (n && 2 * waits > most)
        n->self = SILENT_LEAD * most;
}

static void note_findings(ranking *r)
{
    for (size_t i = 0; i < r->findings->count; i++) {
        const mw_finding *finding = &r->findings->items[i];
        node *n = find_node(r, finding->service);
        if (!n)
            continue;
        if (finding->kind == MW_FOUND_SELF)
            note_self(r, n, finding);
        if (is_share(finding->kind))
            n->share = fmax(n->share, finding->strength);
        if (is_request_metric(finding))
            n->metric = fmax(n->metric, finding->weight);
    }
}

/* Does it call, over any number of steps, somebody whose share changed? Bounded by the services. */
static void mark_victims(ranking *r)
{
    const mw_findings *f = r->findings;
    bool changed = true;
    for (size_t pass = 0; changed && pass < r->count; pass++) {
        changed = false;
        for (size_t i = 0; i < f->call_count; i++) {
            node *caller = find_node(r, f->calls[i].caller);
            const node *callee = find_node(r, f->calls[i].callee);
            if (f->calls[i].message || !caller || !callee || caller == callee || caller->victim ||
                !(callee->share >= r->findings->thresholds->share_sure || callee->victim))
                continue;
            caller->victim = changed = true;
        }
    }
}

static double largest(const ranking *r, size_t member)
{
    double most = 0;
    for (size_t i = 0; i < r->count; i++)
        most = fmax(most, *(const double *)(const void *)((const char *)&r->nodes[i] + member));
    return most;
}

static bool has(const ranking *r, mw_finding_kind kind, mw_metric_class class_of)
{
    for (size_t i = 0; i < r->findings->count; i++)
        if (r->findings->items[i].kind == kind &&
            (class_of == MW_CLASS_OTHER || r->findings->items[i].class_of == class_of))
            return true;
    return false;
}

static signal choose_signal(const ranking *r)
{
    if (has(r, MW_FOUND_WIRE, MW_CLASS_OTHER))
        return BY_EDGES;
    if (largest(r, offsetof(node, share)) >= r->findings->thresholds->share_sure)
        return BY_SHARES;
    if (largest(r, offsetof(node, metric)) > 0)
        return BY_METRICS;
    if (has(r, MW_FOUND_TRAFFIC, MW_CLASS_OTHER))
        return BY_TRAFFIC;
    if (largest(r, offsetof(node, self)) > 0)
        return BY_SELF;
    if (largest(r, offsetof(node, share)) > 0)
        return BY_SHARES;
    return has(r, MW_FOUND_METRIC, MW_CLASS_CPU) || has(r, MW_FOUND_METRIC, MW_CLASS_MEMORY)
               ? BY_RESOURCE
               : SIGNALS;
}

static const mw_finding *strongest(const ranking *r, mw_slice service, mw_finding_kind kind,
                                   mw_metric_class class_of)
{
    const mw_finding *found = NULL;
    for (size_t i = 0; i < r->findings->count; i++) {
        const mw_finding *one = &r->findings->items[i];
        if (one->kind == kind && (class_of == MW_CLASS_OTHER || one->class_of == class_of) &&
            mw_slice_equal(one->service, service) && (!found || one->strength > found->strength))
            found = one;
    }
    return found;
}

/* 0 to 1, by one signal. */
static double score_by(const ranking *r, const node *n, signal by)
{
    const mw_finding *found;
    switch (by) {
    case BY_EDGES: return n->edge_score;
    case BY_SHARES:
        if (n->share <= 0)
            return 0;
        return n->share / largest(r, offsetof(node, share)) *
               (n->victim ? r->findings->thresholds->victim_share : 1);
    case BY_METRICS: return n->metric > 0 ? n->metric / largest(r, offsetof(node, metric)) : 0;
    case BY_SELF: return n->self > 0 ? n->self / largest(r, offsetof(node, self)) : 0;
    case BY_RESOURCE:
        found = strongest(r, n->service, MW_FOUND_METRIC, MW_CLASS_OTHER);
        return found ? found->strength / (found->strength + METRIC_CERTAIN) : 0;
    case BY_TRAFFIC: return strongest(r, n->service, MW_FOUND_TRAFFIC, MW_CLASS_OTHER) ? 1 : 0;
    default: return 0;
    }
}

/* ---- changes --------------------------------------------------------------------------------- */

static bool is_change(const mw_finding *finding)
{
    return finding->kind == MW_FOUND_DEPLOYMENT || finding->kind == MW_FOUND_VERSION;
}

/* The newest that came before the onset; what was recorded counts before what was seen. */
static const mw_finding *change_of(const ranking *r, mw_slice service, uint64_t onset_ns)
{
    const mw_finding *found = NULL;
    for (size_t i = 0; i < r->findings->count; i++) {
        const mw_finding *one = &r->findings->items[i];
        if (!is_change(one) || !mw_slice_equal(one->service, service))
            continue;
        if (onset_ns &&
            (one->first_ns > onset_ns + CHANGE_LATE || one->first_ns + CHANGE_FAR < onset_ns))
            continue;
        if (!found || (found->kind == MW_FOUND_VERSION && one->kind == MW_FOUND_DEPLOYMENT) ||
            (one->kind == found->kind && one->first_ns > found->first_ns))
            found = one;
    }
    return found;
}

static double change_bonus(const mw_finding *change, uint64_t onset_ns)
{
    if (!change)
        return 0;
    bool close = !onset_ns || change->first_ns + CHANGE_CLOSE >= onset_ns;
    return close ? CHANGE_BONUS : CHANGE_BONUS / 2;
}

/* ---- candidates ------------------------------------------------------------------------------ */

static mw_fault_kind kind_of(const ranking *r, const node *n)
{
    if (r->signal == BY_SHARES || (r->signal == BY_EDGES && n->edge_score <= 0 && n->share > 0)) {
        bool fails = strongest(r, n->service, MW_FOUND_LOGS, MW_CLASS_OTHER) ||
                     strongest(r, n->service, MW_FOUND_ERRORS, MW_CLASS_OTHER);
        return fails ? MW_FAULT_ERRORS : MW_FAULT_MISSING;
    }
    if (r->signal == BY_TRAFFIC)
        return MW_FAULT_TRAFFIC;
    if (strongest(r, n->service, MW_FOUND_METRIC, MW_CLASS_CPU))
        return MW_FAULT_CPU;
    if (strongest(r, n->service, MW_FOUND_METRIC, MW_CLASS_MEMORY))
        return MW_FAULT_MEMORY;
    if (strongest(r, n->service, MW_FOUND_METRIC, MW_CLASS_SUCCESS))
        return MW_FAULT_ERRORS;
    if (r->signal == BY_EDGES && !n->by_out && n->self <= 0)
        return MW_FAULT_NETWORK;
    return MW_FAULT_SLOW;
}

static bool speaks_of(const mw_finding *finding, mw_slice service)
{
    return mw_slice_equal(finding->service, service) || mw_slice_equal(finding->peer, service) ||
           (names_other(finding) && mw_slice_equal(finding->other, service));
}

/* What tells the kind comes first, then the stronger. */
static int order_of(const ranking *r, const mw_finding *finding)
{
    static const int edges[] = {
        [MW_FOUND_WIRE] = 0,       [MW_FOUND_SELF] = 1,    [MW_FOUND_METRIC] = 2,
        [MW_FOUND_DEPLOYMENT] = 3, [MW_FOUND_VERSION] = 4, [MW_FOUND_ERRORS] = 5,
        [MW_FOUND_LOGS] = 6,       [MW_FOUND_MISSING] = 7, [MW_FOUND_TRAFFIC] = 8};
    static const int shares[] = {
        [MW_FOUND_ERRORS] = 0,     [MW_FOUND_LOGS] = 1,    [MW_FOUND_MISSING] = 2,
        [MW_FOUND_DEPLOYMENT] = 3, [MW_FOUND_VERSION] = 4, [MW_FOUND_METRIC] = 5,
        [MW_FOUND_WIRE] = 6,       [MW_FOUND_SELF] = 7,    [MW_FOUND_TRAFFIC] = 8};
    return r->signal == BY_SHARES ? shares[finding->kind] : edges[finding->kind];
}

static bool goes_before(const ranking *r, const mw_finding *a, const mw_finding *b)
{
    int first = order_of(r, a), second = order_of(r, b);
    return first != second ? first < second : a->strength > b->strength;
}

static void give_reasons(const ranking *r, mw_ranked_cause *cause)
{
    for (size_t i = 0; i < r->findings->count; i++) {
        const mw_finding *finding = &r->findings->items[i];
        if (!speaks_of(finding, cause->service))
            continue;
        size_t at = cause->reason_count;
        while (at > 0 && goes_before(r, finding, cause->reasons[at - 1]))
            at--;
        if (at == MW_FAULT_REASONS_MAX)
            continue;
        if (cause->reason_count < MW_FAULT_REASONS_MAX)
            cause->reason_count++;
        memmove(&cause->reasons[at + 1], &cause->reasons[at],
                (cause->reason_count - at - 1) * sizeof cause->reasons[0]);
        cause->reasons[at] = finding;
    }
}

static int by_score(const void *left, const void *right)
{
    const node *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return mw_slice_compare(a->service, b->service);
}

/* The onset of what tells the kind: the strongest such finding's. */
static uint64_t onset_of(const ranking *r)
{
    const mw_finding *found = NULL;
    for (size_t i = 0; i < r->findings->count; i++) {
        const mw_finding *one = &r->findings->items[i];
        if (is_change(one) || !one->first_ns)
            continue;
        if (!found || goes_before(r, one, found))
            found = one;
    }
    return found ? found->first_ns : 0;
}

static void score_all(ranking *r, uint64_t onset_ns)
{
    for (size_t i = 0; i < r->count; i++) {
        node *n = &r->nodes[i];
        n->score = score_by(r, n, r->signal);
        for (signal by = BY_EDGES; by < SIGNALS; by++)
            if (by != r->signal && by != BY_RESOURCE)
                n->score += r->findings->thresholds->other_share * score_by(r, n, by);
        if (n->score > 0)
            n->score += change_bonus(change_of(r, n->service, onset_ns), onset_ns);
    }
}

/* ---- what it was not ------------------------------------------------------------------------- */

static mw_err rule_out(mw_causes *out, mw_slice service, mw_slice text)
{
    if (!text.data)
        return MW_E_NOMEM;
    if (out->ruled_out_count < MW_RULED_OUT_MAX)
        out->ruled_out[out->ruled_out_count++] = (mw_ruled_out){service, text};
    return MW_OK;
}

static bool is_candidate(const mw_causes *causes, mw_slice service)
{
    for (size_t i = 0; i < causes->count; i++)
        if (mw_slice_equal(causes->items[i].service, service))
            return true;
    return false;
}

static mw_err rule_out_changes(const ranking *r, mw_causes *out)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < r->findings->count; i++) {
        const mw_finding *one = &r->findings->items[i];
        if (is_change(one) && !is_candidate(out, one->service))
            err = rule_out(out, one->service,
                           mw_sentence(r->findings->arena,
                                       "%.*s; but nothing of it differs from before",
                                       MW_SLICE_FMT(one->text)));
    }
    return err;
}

static mw_err rule_out_victims(const ranking *r, mw_causes *out)
{
    mw_slice cause = mw_shown(r->findings->arena, out->items[0].service, 80);
    mw_reach reach;
    if (mw_slice_equal(r->entry, out->items[0].service) || !r->entry.len)
        return MW_OK;
    mw_err err = mw_reach_make(r->findings, &r->entry, 1, &reach);
    out->entry_leads = err == MW_OK && mw_reach_has(&reach, out->items[0].service);
    if (out->entry_leads)
        err = rule_out(out, r->entry,
                       mw_sentence(r->findings->arena,
                                   "the alarm speaks of it, but what it suffers begins at %.*s",
                                   MW_SLICE_FMT(cause)));
    for (size_t i = 0; err == MW_OK && i < r->count; i++)
        if (r->signal == BY_SHARES && r->nodes[i].victim && r->nodes[i].share > 0 &&
            !mw_slice_equal(r->nodes[i].service, out->items[0].service) &&
            !mw_slice_equal(r->nodes[i].service, r->entry))
            err = rule_out(out, r->nodes[i].service,
                           MW_SLICE("it fails, and calls a service that fails itself"));
    return err;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* How sure the first is: how plain its signal, and how far the second is behind. */
static double confidence_of(const ranking *r, const node *first, const node *second)
{
    double plain = 0.5;
    if (r->signal == BY_EDGES)
        plain = first->edge_score;
    else if (r->signal == BY_SHARES)
        plain = first->share < r->findings->thresholds->share_sure
                    ? HINT_CONFIDENCE
                    : fmin(1, first->share / SHARE_CERTAIN);
    else if (r->signal == BY_METRICS) {
        const mw_finding *found = strongest(r, first->service, MW_FOUND_METRIC, MW_CLASS_OTHER);
        plain = found ? fmin(1, found->strength / METRIC_CERTAIN) : 0;
    } else if (r->signal == BY_SELF && 2 * first->waits > first->self)
        plain = HINT_CONFIDENCE; /* somebody that is not seen, behind it */
    double behind = second ? second->score / first->score : 0;
    return fmin(CONFIDENCE_MAX, plain * (1 - 0.5 * behind));
}

static mw_err answer(ranking *r, mw_causes *out)
{
    if (r->count > 1)
        qsort(r->nodes, r->count, sizeof *r->nodes, by_score);
    for (size_t i = 0; i < r->count && out->count < MW_CAUSES_MAX; i++) {
        if (r->nodes[i].score <= 0)
            break;
        mw_ranked_cause *cause = &out->items[out->count++];
        *cause = (mw_ranked_cause){.service = r->nodes[i].service,
                                   .score = r->nodes[i].score,
                                   .kind = kind_of(r, &r->nodes[i]),
                                   .change = change_of(r, r->nodes[i].service, out->onset_ns)};
        give_reasons(r, cause);
    }
    if (!out->count)
        return MW_OK;
    out->confidence = confidence_of(r, &r->nodes[0], out->count > 1 ? &r->nodes[1] : NULL);
    out->probable = out->confidence >= CONFIDENCE_MIN;
    mw_err err = rule_out_victims(r, out);
    return err == MW_OK ? rule_out_changes(r, out) : err;
}

mw_err mw_causes_rank(const mw_findings *findings, mw_slice entry, mw_causes *out)
{
    ranking r = {.findings = findings, .entry = entry};
    memset(out, 0, sizeof *out);
    r.nodes = mw_arena_alloc(findings->arena, NODES_MAX * sizeof *r.nodes);
    if (!r.nodes)
        return MW_E_NOMEM;
    name_nodes(&r);
    note_findings(&r);
    note_silent(&r);
    score_edges(&r);
    mark_victims(&r);
    r.signal = choose_signal(&r);
    out->onset_ns = onset_of(&r);
    score_all(&r, out->onset_ns);
    return answer(&r, out);
}
