/* grid: what an investigation would answer with other thresholds (tests/accuracy/run.py asks).
 *
 *     grid STORE SERVICE AT_NS TITLE [CALLER CALLEE]...
 *
 * STORE is the store of a case that a daemon has left. Reads its telemetry once, asks the same
 * providers as an investigation at every point of a small grid around the default, and prints a
 * line of JSON for each: the point, and the services in order. The default's is first; it must be
 * what the daemon answered.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "triage/conclusion/causes.h"
#include "triage/evidence/entries.h"
#include "triage/evidence/inquiry.h"
#include "triage/triage_int.h"

/* Multiples of the default, which is among them: four thresholds of spans with each other, then the
 * two of metrics, which are asked where there are no spans. */
static const double steps[] = {1.0, 0.7, 1.4};
#define STEPS (sizeof steps / sizeof steps[0])
#define SPAN_POINTS (STEPS * STEPS * STEPS * STEPS)
#define METRIC_POINTS (STEPS * STEPS)
#define SHOWN 10

typedef struct grid {
    mw_store *store;
    mw_store_view *view;
    mw_arena tables; /* what is read once */
    mw_context context;
    mw_slice entry;
} grid;

static void check(mw_err err, const char *what)
{
    if (err == MW_OK)
        return;
    fprintf(stderr, "grid: %s: %s\n", what, mw_err_text(err));
    exit(1);
}

static mw_slice text_of(const char *text)
{
    return mw_slice_of(text);
}

/* As triage/investigation.c begins. */
static void begin(grid *g, char **argv)
{
    int64_t at = (int64_t)strtoull(argv[3], NULL, 10), since, until;
    mw_investigation_window(at, &since, &until);
    g->entry = text_of(argv[2]);
    g->context = (mw_context){.arena = &g->tables,
                              .view = g->view,
                              .entry = g->entry,
                              .at_ns = (uint64_t)at,
                              .since_ns = (uint64_t)since,
                              .until_ns = (uint64_t)until + 1};
    mw_inquiry_read_title(&g->context, text_of(argv[4]));
}

static void read_edges(grid *g, int argc, char **argv)
{
    size_t count = (size_t)(argc - 5) / 2;
    mw_edge_row *edges = mw_arena_zalloc(&g->tables, count + 1, sizeof *edges);
    if (!edges)
        check(MW_E_NOMEM, "edges");
    for (size_t i = 0; i < count; i++) {
        edges[i].caller = text_of(argv[5 + 2 * i]);
        edges[i].callee = text_of(argv[6 + 2 * i]);
    }
    g->context.imported = edges;
    g->context.imported_count = count;
}

static void print(const mw_thresholds *t, const mw_causes *causes)
{
    printf("{\"point\":[%g,%g,%g,%g,%g,%g],\"services\":[", t->effect_sure, t->share_sure,
           t->far_trust, t->victim_share, t->added_sure, t->explained_share);
    for (size_t i = 0; i < causes->count && i < SHOWN; i++)
        printf("%s\"%.*s\"", i ? "," : "", MW_SLICE_FMT(causes->items[i].service));
    printf("]}\n");
}

static void answer(const grid *g, const mw_thresholds *thresholds)
{
    mw_arena arena;
    mw_causes causes;
    mw_context context = g->context;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    context.arena = &arena;
    context.findings = mw_findings_new(&arena);
    if (!context.findings)
        check(MW_E_NOMEM, "findings");
    context.findings->thresholds = thresholds;
    context.begins = &g->entry;
    context.begin_count = 1;
    check(mw_entries_add_callers(&context, g->store, NULL), "callers");
    for (size_t i = 0; i < mw_provider_count; i++)
        check(mw_inquiry_ask(&context, mw_providers[i]), mw_providers[i]->name);
    const mw_alarmed alarmed = {g->entry, context.begins, context.begin_count};
    check(mw_causes_of_alarm(context.findings, &alarmed, &causes), "causes");
    print(thresholds, &causes);
    mw_arena_reset(&arena);
}

static mw_thresholds point_of(size_t number)
{
    mw_thresholds t = mw_thresholds_default;
    if (number < SPAN_POINTS) {
        t.effect_sure *= steps[number % STEPS];
        t.share_sure *= steps[number / STEPS % STEPS];
        t.far_trust = fmin(1, t.far_trust * steps[number / STEPS / STEPS % STEPS]);
        t.victim_share *= steps[number / STEPS / STEPS / STEPS];
    } else {
        number = number - SPAN_POINTS + 1; /* the default was there */
        t.added_sure *= steps[number % STEPS];
        t.explained_share *= steps[number / STEPS % STEPS];
    }
    return t;
}

int main(int argc, char **argv)
{
    grid g = {.store = NULL};
    mw_detail detail = {0};
    mw_fake_clock clock;
    if (argc < 5) {
        fprintf(stderr, "usage: grid STORE SERVICE AT_NS TITLE [CALLER CALLEE]...\n");
        return 2;
    }
    mw_fake_clock_init(&clock, (int64_t)strtoull(argv[3], NULL, 10));
    mw_store_config config = {.directory = argv[1],
                              .clock = &clock.clock,
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT};
    mw_arena_init(&g.tables, MW_MEM_QUERY, 0);
    check(mw_store_open(&config, &g.store, &detail), "open");
    check(mw_store_view_open(g.store, &g.view), "view");
    begin(&g, argv);
    read_edges(&g, argc, argv);
    check(mw_inquiry_read(&g.context, g.store, NULL), "read");
    for (size_t i = 0; i < SPAN_POINTS + METRIC_POINTS - 1; i++) {
        const mw_thresholds t = point_of(i);
        answer(&g, &t);
    }
    mw_inquiry_fini(&g.context);
    mw_store_view_close(g.view);
    mw_store_close(g.store);
    mw_arena_reset(&g.tables);
    return 0;
}
