/* RED of a window: rate, errors, duration by service and operation. See store.h.
 *
 * The window's roll-ups are added up in one table that keeps no more than the answer shows, so that
 * a long window costs time and no memory; its cells in order are the answer's rows. Any thread.
 */
#include "lib/store/rollup/rollup_red.h"
#include "lib/store/rollup/rollup_tail.h"

/* A table, and its cells in order: by service, then operation, then minute. */
typedef struct red_table {
    mw_rollup *rollup;
    uint32_t *order;
    uint32_t count;
} red_table;

typedef struct red_question {
    const mw_red_query *query;
    mw_arena *arena;
    red_table services;   /* without operations */
    red_table operations; /* when they are asked for */
    uint64_t since_ns;
    size_t minutes; /* of each row; 0 = not asked for */
    mw_red_list *out;
} red_question;

static mw_err check_window(red_question *work, const mw_red_list *out)
{
    uint64_t length = out->until_ns > out->since_ns ? out->until_ns - out->since_ns : 0;
    if (!work->query->by_minute)
        return MW_OK;
    uint64_t minutes = length / MW_MINUTE_NS + (length % MW_MINUTE_NS != 0);
    if (minutes > MW_RED_MINUTES_MAX)
        return MW_E_LIMIT;
    work->minutes = (size_t)minutes;
    return MW_OK;
}

static const mw_rollup_cell *cell_at(const red_table *table, uint32_t at)
{
    return &table->rollup->cells[table->order[at]];
}

static bool is_wanted(const red_question *work, const red_table *table, uint32_t at)
{
    mw_slice service = mw_rollup_text_of(table->rollup, cell_at(table, at)->key.left);
    return work->query->service.len == 0 || mw_slice_equal(work->query->service, service);
}

/* The end of the cells of the service, or of its operation, that begin at `from`. */
static uint32_t end_of(const red_table *table, uint32_t from, bool operation)
{
    const mw_rollup_key *first = &cell_at(table, from)->key;
    uint32_t end = from + 1;
    while (end < table->count && cell_at(table, end)->key.left == first->left &&
           (!operation || cell_at(table, end)->key.right == first->right))
        end++;
    return end;
}

static size_t count_rows(const red_question *work, const red_table *table)
{
    size_t rows = 0;
    for (uint32_t i = 0; i < table->count; i = end_of(table, i, true))
        rows += is_wanted(work, table, i);
    return rows;
}

static mw_err copy_name(const red_question *work, const red_table *table, uint32_t number,
                        mw_slice *out)
{
    *out = mw_rollup_text_of(table->rollup, number);
    if (out->len == 0)
        return MW_OK;
    *out = mw_arena_copy(work->arena, *out);
    return out->data ? MW_OK : MW_E_NOMEM;
}

static mw_err new_row(red_question *work, const red_table *table, const mw_rollup_key *key,
                      mw_red_row **out)
{
    bool operation = table == &work->operations;
    mw_red_row *row = &work->out->items[work->out->count++];
    *row = (mw_red_row){.operation = MW_SLICE_NONE};
    *out = row;
    mw_err err = copy_name(work, table, key->left, &row->service);
    if (err == MW_OK && operation)
        err = copy_name(work, table, key->right, &row->operation);
    if (operation && row->operation.len == 0)
        row->operation = MW_SLICE("(unnamed)");
    if (err == MW_OK && work->minutes) {
        row->minutes = mw_arena_zalloc(work->arena, work->minutes, sizeof *row->minutes);
        err = row->minutes ? MW_OK : MW_E_NOMEM;
    }
    return err;
}

/* Cells of one minute stand together: what enters, and what does not. */
static void put_minutes(const red_question *work, const red_table *table, uint32_t from,
                        uint32_t to, mw_red_row *row)
{
    uint64_t first = work->since_ns / MW_MINUTE_NS;
    while (from < to) {
        uint32_t minute = cell_at(table, from)->key.minute;
        mw_red_sum sum = {.errors = 0};
        for (; from < to && cell_at(table, from)->key.minute == minute; from++)
            mw_red_sum_add(&sum, table->rollup, cell_at(table, from));
        MW_ASSERT(minute >= first && minute - first < work->minutes);
        row->minutes[minute - first] = mw_red_of(&sum);
    }
}

/* Cells [from, to) are those of a row. */
static mw_err put_row(red_question *work, const red_table *table, uint32_t from, uint32_t to)
{
    mw_red_sum all = {.errors = 0}, entry = {.errors = 0};
    mw_red_row *row;
    mw_err err = new_row(work, table, &cell_at(table, from)->key, &row);
    if (err != MW_OK)
        return err;
    for (uint32_t i = from; i < to; i++) {
        const mw_rollup_cell *cell = cell_at(table, i);
        mw_red_sum_add(&all, table->rollup, cell);
        if (cell->key.kind == MW_ROLLUP_ENTRY)
            mw_red_sum_add(&entry, table->rollup, cell);
    }
    row->red = mw_red_of(&all);
    row->entry = mw_red_of(&entry);
    if (row->minutes)
        put_minutes(work, table, from, to, row);
    return MW_OK;
}

static mw_slice service_at(const red_table *table, uint32_t at)
{
    return mw_rollup_text_of(table->rollup, cell_at(table, at)->key.left);
}

/* The operations of a service, from *from on, which is moved behind them. Services that the coarser
 * table had no room for are passed over. */
static mw_err put_operations(red_question *work, mw_slice service, uint32_t *from)
{
    const red_table *table = &work->operations;
    mw_err err = MW_OK;
    while (err == MW_OK && *from < table->count) {
        int order = mw_slice_compare(service_at(table, *from), service);
        uint32_t next = end_of(table, *from, true);
        if (order > 0)
            break;
        if (order == 0 && is_wanted(work, table, *from))
            err = put_row(work, table, *from, next);
        *from = next;
    }
    return err;
}

/* Both tables are in the order of services. */
static mw_err put_rows(red_question *work)
{
    const red_table *table = &work->services;
    uint32_t operation = 0;
    mw_err err = MW_OK;
    size_t rows = count_rows(work, table) + count_rows(work, &work->operations);
    if (work->minutes && rows > MW_RED_CELLS_MAX / work->minutes)
        return MW_E_LIMIT;
    work->out->items = mw_arena_zalloc(work->arena, rows + 1, sizeof *work->out->items);
    if (!work->out->items)
        return MW_E_NOMEM;
    for (uint32_t i = 0; err == MW_OK && i < table->count;) {
        uint32_t end = end_of(table, i, false);
        if (is_wanted(work, table, i))
            err = put_row(work, table, i, end);
        if (err == MW_OK && work->query->by_operation)
            err = put_operations(work, service_at(table, i), &operation);
        i = end;
    }
    MW_ASSERT(err != MW_OK || work->out->count <= rows);
    return err;
}

static mw_err table_new(red_table *table, unsigned keep)
{
    mw_err err = mw_rollup_new(&table->rollup);
    if (err == MW_OK)
        mw_rollup_keep(table->rollup, MW_ROLLUP_SERVICES | keep);
    return err;
}

static mw_err table_sort(red_table *table)
{
    table->order = mw_rollup_sorted(table->rollup);
    table->count = table->rollup->cell_count;
    return table->order ? MW_OK : MW_E_NOMEM;
}

static void table_free(red_table *table)
{
    mw_free(MW_MEM_ROLLUP, table->order);
    mw_rollup_free(table->rollup);
}

/* The window into the finest table that is needed, and that into the other. */
static mw_err read_tables(red_question *work, mw_store *store)
{
    mw_red_list *out = work->out;
    bool by_operation = work->query->by_operation;
    unsigned minutes = work->query->by_minute ? MW_ROLLUP_MINUTES : 0;
    red_table *finest = by_operation ? &work->operations : &work->services;
    mw_err err = table_new(&work->services, minutes);
    if (err == MW_OK && by_operation)
        err = table_new(&work->operations, minutes | MW_ROLLUP_OPERATIONS);
    if (err == MW_OK && out->until_ns > out->since_ns)
        err = mw_rollup_window(store, out->since_ns, out->until_ns, &work->query->stop,
                               finest->rollup, &out->as_of);
    if (err == MW_OK)
        *out = (mw_red_list){.since_ns = out->since_ns,
                             .until_ns = out->until_ns,
                             .as_of = out->as_of,
                             .left_out = mw_rollup_left_out(finest->rollup),
                             .unread = finest->rollup->unread};
    if (err == MW_OK && by_operation)
        err = mw_rollup_add(work->operations.rollup, 0, 0, work->services.rollup);
    if (err == MW_OK && by_operation)
        err = table_sort(&work->operations);
    return err == MW_OK ? table_sort(&work->services) : err;
}

mw_err mw_store_red(mw_store *store, const mw_red_query *query, mw_arena *arena, mw_red_list *out)
{
    red_question work = {.query = query, .arena = arena, .out = out};
    int64_t now_ns = mw_clock_wall_ns(store->writer.clock);

    *out = (mw_red_list){.since_ns = query->since_ns, .until_ns = query->until_ns};
    mw_red_window(now_ns > 0 ? (uint64_t)now_ns : 0, &out->since_ns, &out->until_ns);
    work.since_ns = out->since_ns;
    mw_err err = check_window(&work, out);
    if (err == MW_OK)
        err = read_tables(&work, store);
    if (err == MW_OK)
        err = put_rows(&work);
    table_free(&work.services);
    table_free(&work.operations);
    return err;
}
