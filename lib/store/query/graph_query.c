/* The call graph of a window. See store.h; what an edge is stands in rollup.h. Any thread. */
#include "lib/store/rollup/rollup_red.h"
#include "lib/store/rollup/rollup_tail.h"

typedef struct graph_question {
    mw_arena *arena;
    mw_rollup *rollup; /* of services and calls, without minutes and operations */
    uint32_t *order;   /* of its cells */
    mw_slice *names;   /* copies, by text; data NULL = not yet asked for */
    uint8_t *seen;     /* by text: has a row of its own */
    mw_graph *out;
} graph_question;

static const mw_rollup_cell *cell_at(const graph_question *work, uint32_t at)
{
    return &work->rollup->cells[work->order[at]];
}

static mw_err name_of(graph_question *work, uint32_t number, mw_slice *out)
{
    if (!work->names[number].data)
        work->names[number] = mw_arena_copy(work->arena, mw_rollup_text_of(work->rollup, number));
    *out = work->names[number];
    return out->data ? MW_OK : MW_E_NOMEM;
}

static mw_err prepare(graph_question *work)
{
    size_t names = (size_t)work->rollup->name_count + 1, cells = work->rollup->cell_count;
    work->order = mw_rollup_sorted(work->rollup);
    work->names = mw_arena_zalloc(work->arena, names, sizeof *work->names);
    work->seen = mw_arena_zalloc(work->arena, names, 1);
    work->out->edges = mw_arena_zalloc(work->arena, cells + 1, sizeof *work->out->edges);
    work->out->services = mw_arena_zalloc(work->arena, cells + names, sizeof *work->out->services);
    bool all = work->order && work->names && work->seen && work->out->edges && work->out->services;
    return all ? MW_OK : MW_E_NOMEM;
}

static mw_err add_service(graph_question *work, uint32_t number, mw_red_row **out)
{
    mw_red_row *row = &work->out->services[work->out->service_count++];
    *out = row;
    work->seen[number] = 1;
    return name_of(work, number, &row->service);
}

/* Cells [from, to) of one service. */
static mw_err put_service(graph_question *work, uint32_t from, uint32_t to)
{
    mw_red_sum all = {.errors = 0}, entry = {.errors = 0};
    mw_red_row *row;
    for (uint32_t i = from; i < to; i++) {
        mw_red_sum_add(&all, work->rollup, cell_at(work, i));
        if (cell_at(work, i)->key.kind == MW_ROLLUP_ENTRY)
            mw_red_sum_add(&entry, work->rollup, cell_at(work, i));
    }
    mw_err err = add_service(work, cell_at(work, from)->key.left, &row);
    if (err == MW_OK) {
        row->red = mw_red_of(&all);
        row->entry = mw_red_of(&entry);
    }
    return err;
}

static mw_err put_edge(graph_question *work, const mw_rollup_cell *cell)
{
    mw_red_sum sum = {.errors = 0};
    mw_graph_edge *edge = &work->out->edges[work->out->edge_count];
    const uint32_t ends[] = {cell->key.left, cell->key.right};
    mw_red_row *row;
    mw_err err = MW_OK;

    mw_red_sum_add(&sum, work->rollup, cell);
    edge->red = mw_red_of(&sum);
    edge->wire = mw_red_of_wire(&sum);
    if (edge->red.count == 0)
        return MW_OK; /* all of it was taken back */
    for (size_t i = 0; err == MW_OK && i < 2; i++)
        if (!work->seen[ends[i]])
            err = add_service(work, ends[i], &row);
    if (err == MW_OK)
        err = name_of(work, ends[0], &edge->caller);
    if (err == MW_OK)
        err = name_of(work, ends[1], &edge->callee);
    work->out->edge_count++;
    return err;
}

static int by_service(const void *left, const void *right)
{
    const mw_red_row *a = left, *b = right;
    return mw_slice_compare(a->service, b->service);
}

static mw_err put_graph(graph_question *work)
{
    uint32_t cells = work->rollup->cell_count;
    mw_err err = prepare(work);
    for (uint32_t i = 0; err == MW_OK && i < cells;) {
        const mw_rollup_cell *cell = cell_at(work, i);
        uint32_t end = i + 1;
        if (cell->key.kind == MW_ROLLUP_CALL) {
            err = put_edge(work, cell);
        } else {
            while (end < cells && cell_at(work, end)->key.kind != MW_ROLLUP_CALL &&
                   cell_at(work, end)->key.left == cell->key.left)
                end++;
            if (cell->key.left)
                err = put_service(work, i, end);
        }
        i = end;
    }
    if (err == MW_OK && work->out->service_count > 1)
        qsort(work->out->services, work->out->service_count, sizeof *work->out->services,
              by_service);
    return err;
}

mw_err mw_store_graph(mw_store *store, uint64_t since_ns, uint64_t until_ns,
                      const mw_store_stop *stop, mw_arena *arena, mw_graph *out)
{
    graph_question work = {.arena = arena, .out = out};
    int64_t now_ns = mw_clock_wall_ns(store->writer.clock);

    *out = (mw_graph){.since_ns = since_ns, .until_ns = until_ns};
    mw_red_window(now_ns > 0 ? (uint64_t)now_ns : 0, &out->since_ns, &out->until_ns);
    mw_err err = mw_rollup_new(&work.rollup);
    if (err != MW_OK)
        return err;
    mw_rollup_keep(work.rollup, MW_ROLLUP_SERVICES | MW_ROLLUP_CALLS);
    if (out->until_ns > out->since_ns)
        err = mw_rollup_window(store, out->since_ns, out->until_ns, stop, work.rollup, &out->as_of);
    if (err == MW_OK)
        err = put_graph(&work);
    out->left_out = mw_rollup_left_out(work.rollup);
    out->unread = work.rollup->unread;
    mw_free(MW_MEM_ROLLUP, work.order);
    mw_rollup_free(work.rollup);
    return err;
}
