/* Calls and entries, minute by minute. See minutes.h; what a call is stands in rollup.h. Any
 * thread. */
#include "lib/store/minutes.h"

#include "lib/store/rollup/rollup_red.h"
#include "lib/store/rollup/rollup_tail.h"

typedef struct minutes_question {
    mw_arena *arena;
    mw_rollup *rollup;
    uint32_t *numbers; /* by text of the roll-up: its place in names */
    mw_minutes *out;
} minutes_question;

static bool is_kept(const mw_rollup_cell *cell)
{
    return cell->key.kind == MW_ROLLUP_CALL ||
           (cell->key.kind == MW_ROLLUP_ENTRY && cell->key.left);
}

/* ---- names ----------------------------------------------------------------------------------- */

typedef struct numbered {
    mw_slice text;
    uint32_t number;
} numbered;

static int by_text(const void *left, const void *right)
{
    return mw_slice_compare(((const numbered *)left)->text, ((const numbered *)right)->text);
}

static void note(numbered *used, uint32_t *places, size_t *count, const mw_rollup *rollup,
                 uint32_t number)
{
    if (places[number])
        return;
    used[(*count)++] = (numbered){mw_rollup_text_of(rollup, number), number};
    places[number] = (uint32_t)*count;
}

/* The texts that cells name, in order, and where each went. */
static mw_err put_names(minutes_question *work)
{
    const mw_rollup *rollup = work->rollup;
    size_t texts = (size_t)rollup->name_count + 1, count = 0;
    numbered *used = mw_arena_zalloc(work->arena, texts, sizeof *used);
    work->numbers = mw_arena_zalloc(work->arena, texts, sizeof *work->numbers);
    work->out->names = mw_arena_zalloc(work->arena, texts, sizeof *work->out->names);
    if (!used || !work->numbers || !work->out->names)
        return MW_E_NOMEM;
    for (uint32_t i = 0; i < rollup->cell_count; i++) {
        const mw_rollup_cell *cell = &rollup->cells[i];
        if (!is_kept(cell))
            continue;
        note(used, work->numbers, &count, rollup, cell->key.left);
        if (cell->key.kind == MW_ROLLUP_CALL)
            note(used, work->numbers, &count, rollup, cell->key.right);
    }
    qsort(used, count, sizeof *used, by_text);
    for (size_t i = 0; i < count; i++) {
        work->numbers[used[i].number] = (uint32_t)i;
        work->out->names[i] = mw_arena_copy(work->arena, used[i].text);
        if (!work->out->names[i].data)
            return MW_E_NOMEM;
    }
    work->out->name_count = count;
    return MW_OK;
}

/* ---- cells ----------------------------------------------------------------------------------- */

static mw_minute_cell cell_of(const minutes_question *work, const mw_rollup_cell *cell)
{
    mw_red_sum sum = {.errors = 0};
    mw_red_sum_add(&sum, work->rollup, cell);
    mw_red red = mw_red_of(&sum);
    bool call = cell->key.kind == MW_ROLLUP_CALL;
    uint32_t left = work->numbers[cell->key.left];
    return (mw_minute_cell){.caller = call ? left : MW_MINUTES_ENTRY,
                            .callee = call ? work->numbers[cell->key.right] : left,
                            .minute = cell->key.minute,
                            .calls = red.count,
                            .errors = red.errors,
                            .mean_us = red.mean_ns / 1000};
}

static int by_place(const void *left, const void *right)
{
    const mw_minute_cell *a = left, *b = right;
    if (a->caller != b->caller)
        return a->caller < b->caller ? -1 : 1;
    if (a->callee != b->callee)
        return a->callee < b->callee ? -1 : 1;
    return (a->minute > b->minute) - (a->minute < b->minute);
}

static mw_err put_cells(minutes_question *work)
{
    const mw_rollup *rollup = work->rollup;
    mw_minutes *out = work->out;
    out->cells = mw_arena_zalloc(work->arena, (size_t)rollup->cell_count + 1, sizeof *out->cells);
    if (!out->cells)
        return MW_E_NOMEM;
    for (uint32_t i = 0; i < rollup->cell_count; i++) {
        if (!is_kept(&rollup->cells[i]))
            continue;
        mw_minute_cell cell = cell_of(work, &rollup->cells[i]);
        if (cell.calls) /* else all of it was taken back */
            out->cells[out->cell_count++] = cell;
    }
    qsort(out->cells, out->cell_count, sizeof *out->cells, by_place);
    return MW_OK;
}

mw_err mw_store_minutes(mw_store *store, uint64_t since_ns, uint64_t until_ns,
                        const mw_store_stop *stop, mw_arena *arena, mw_minutes *out)
{
    minutes_question work = {.arena = arena, .out = out};
    int64_t now_ns = mw_clock_wall_ns(store->writer.clock);

    *out = (mw_minutes){.as_of = 0};
    mw_red_window(now_ns > 0 ? (uint64_t)now_ns : 0, &since_ns, &until_ns);
    mw_err err = mw_rollup_new(&work.rollup);
    if (err != MW_OK)
        return err;
    mw_rollup_keep(work.rollup, MW_ROLLUP_SERVICES | MW_ROLLUP_CALLS | MW_ROLLUP_MINUTES);
    if (until_ns > since_ns)
        err = mw_rollup_window(store, since_ns, until_ns, stop, work.rollup, &out->as_of);
    if (err == MW_OK)
        err = put_names(&work);
    if (err == MW_OK)
        err = put_cells(&work);
    out->left_out = mw_rollup_left_out(work.rollup);
    out->unread = work.rollup->unread;
    mw_rollup_free(work.rollup);
    return err;
}
