/* The spans of a window, joined. See span_table.h. */
#include <xxhash.h>

#include "triage/evidence/span_table.h"

/* Powers of two, at least twice what they index. */
#define NAME_SLOTS ((size_t)4 * MW_SPAN_TABLE_OPERATIONS)
#define ROW_SLOTS (2 * MW_SPAN_TABLE_ROWS)
#define NONE UINT16_MAX

_Static_assert(MW_SPAN_TABLE_OPERATIONS < NONE && MW_SPAN_TABLE_SERVICES < NONE, "16 bits");

typedef struct builder {
    mw_span_table *table;
    mw_arena *arena;
    uint64_t seed;        /* the store's: no sender can make names or ids meet */
    uint64_t mask;        /* traces whose hash has none of these bits are kept */
    uint16_t *name_slots; /* 1 + number; services and operations share it */
    uint64_t *name_keys;  /* by slot */
    uint16_t last_service;
} builder;

/* ---- names ---------------------------------------------------------------------------------- */

static size_t find_name(const builder *b, uint64_t key)
{
    size_t slot = key & (NAME_SLOTS - 1);
    while (b->name_slots[slot] && b->name_keys[slot] != key)
        slot = (slot + 1) & (NAME_SLOTS - 1);
    return slot;
}

static void put_name(builder *b, size_t slot, uint64_t key, size_t number)
{
    b->name_keys[slot] = key;
    b->name_slots[slot] = (uint16_t)(number + 1);
}

static mw_err service_number(builder *b, mw_slice name, uint16_t *out)
{
    mw_span_table *table = b->table;
    uint64_t key = XXH3_64bits_withSeed(name.data, name.len, b->seed);
    size_t slot = find_name(b, key);
    *out = (uint16_t)(b->name_slots[slot] - 1);
    if (b->name_slots[slot])
        return MW_OK;
    if (table->service_count == MW_SPAN_TABLE_SERVICES) {
        *out = NONE;
        return MW_OK;
    }
    table->services[table->service_count] = mw_arena_copy(b->arena, name);
    if (!table->services[table->service_count].data)
        return MW_E_NOMEM;
    *out = (uint16_t)table->service_count;
    put_name(b, slot, key, table->service_count++);
    return MW_OK;
}

static mw_err operation_number(builder *b, uint16_t service, mw_slice name, uint16_t *out)
{
    mw_span_table *table = b->table;
    uint64_t key = XXH3_64bits_withSeed(name.data, name.len, b->seed + 1 + service);
    size_t slot = find_name(b, key);
    *out = (uint16_t)(b->name_slots[slot] - 1);
    if (b->name_slots[slot])
        return MW_OK;
    if (table->operation_count == MW_SPAN_TABLE_OPERATIONS) {
        *out = NONE;
        return MW_OK;
    }
    mw_operation_name *operation = &table->operations[table->operation_count];
    *operation = (mw_operation_name){service, mw_arena_copy(b->arena, name)};
    if (!operation->name.data)
        return MW_E_NOMEM;
    *out = (uint16_t)table->operation_count;
    put_name(b, slot, key, table->operation_count++);
    return MW_OK;
}

/* Without room the name is not known; who is called can still be told by his own spans. */
static mw_err peer_number(builder *b, mw_slice name, uint16_t *out)
{
    mw_span_table *table = b->table;
    uint64_t key = XXH3_64bits_withSeed(name.data, name.len, ~b->seed);
    size_t slot = find_name(b, key);
    *out = (uint16_t)(b->name_slots[slot] - 1);
    if (b->name_slots[slot] || table->peer_count == MW_SPAN_TABLE_SERVICES)
        return MW_OK;
    table->peers[table->peer_count] = mw_arena_copy(b->arena, name);
    if (!table->peers[table->peer_count].data)
        return MW_E_NOMEM;
    *out = (uint16_t)table->peer_count;
    put_name(b, slot, key, table->peer_count++);
    return MW_OK;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static uint64_t read_id(const uint8_t *id)
{
    uint64_t value;
    memcpy(&value, id, sizeof value);
    return value;
}

static uint64_t trace_key(const builder *b, const uint8_t *trace_id)
{
    return XXH3_64bits_withSeed(trace_id, MW_TRACE_ID_SIZE, b->seed);
}

/* The table is full: half of the traces go. */
static void thin(builder *b)
{
    mw_span_table *table = b->table;
    size_t kept = 0;
    b->mask = b->mask << 1 | 1;
    table->sampled++;
    for (size_t i = 0; i < table->count; i++)
        if (!(table->rows[i].trace & b->mask))
            table->rows[kept++] = table->rows[i];
    table->count = kept;
}

static mw_err number_names(builder *b, const mw_span_row *row, mw_span_fact *fact)
{
    mw_err err = service_number(b, row->service, &fact->service);
    if (err == MW_OK && row->peer_service.len)
        err = peer_number(b, row->peer_service, &fact->peer);
    if (err != MW_OK || fact->service == NONE)
        return err;
    return operation_number(b, fact->service, row->name, &fact->operation);
}

static mw_err take_span(void *ctx, const mw_span_row *row)
{
    builder *b = ctx;
    mw_span_table *table = b->table;
    uint64_t trace = trace_key(b, row->trace_id);
    table->seen++;
    if (trace & b->mask || row->service.len == 0)
        return MW_OK;
    /* All of one trace cannot be halved; more such traces than rows do not exist. */
    for (int i = 0; table->count == MW_SPAN_TABLE_ROWS && i < 32; i++)
        thin(b);
    if (trace & b->mask || table->count == MW_SPAN_TABLE_ROWS)
        return MW_OK;
    mw_span_fact fact = {.trace = trace,
                         .span = read_id(row->span_id),
                         .parent = read_id(row->parent_span_id),
                         .start_ns = row->start_ns,
                         .duration_ns =
                             row->end_ns > row->start_ns ? row->end_ns - row->start_ns : 0,
                         .parent_at = MW_NO_ROW,
                         .operation = NONE,
                         .peer = MW_NO_PEER,
                         .kind = row->kind,
                         .status = row->status,
                         .exception = row->flags & MW_SPAN_EXCEPTION};
    memcpy(fact.trace_id, row->trace_id, MW_TRACE_ID_SIZE);
    mw_err err = number_names(b, row, &fact);
    if (err != MW_OK)
        return err;
    if (fact.operation == NONE)
        table->left_out++;
    else
        table->rows[table->count++] = fact;
    return MW_OK;
}

/* ---- the join ------------------------------------------------------------------------------- */

static int by_identity(const void *left, const void *right)
{
    const mw_span_fact *a = left, *b = right;
    if (a->trace != b->trace)
        return a->trace < b->trace ? -1 : 1;
    if (a->start_ns != b->start_ns)
        return a->start_ns < b->start_ns ? -1 : 1;
    return a->span < b->span ? -1 : a->span > b->span;
}

/* The trace's hash has the secret seed, but a sender may put all spans into one trace: the mix lets
 * ids that are alike in some bits fall apart. */
static size_t slot_of(uint64_t trace, uint64_t span)
{
    const uint64_t ids[2] = {trace, span};
    return XXH3_64bits_withSeed(ids, sizeof ids, trace) & (ROW_SLOTS - 1);
}

static uint32_t find_row(const mw_span_table *table, const uint32_t *slots, uint64_t trace,
                         uint64_t span)
{
    size_t slot = slot_of(trace, span);
    for (; slots[slot]; slot = (slot + 1) & (ROW_SLOTS - 1)) {
        const mw_span_fact *row = &table->rows[slots[slot] - 1];
        if (row->trace == trace && row->span == span)
            return slots[slot] - 1;
    }
    return MW_NO_ROW;
}

/* Of copies the first by start stays. */
static void index_rows(mw_span_table *table, uint32_t *slots)
{
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        const mw_span_fact row = table->rows[i];
        if (find_row(table, slots, row.trace, row.span) != MW_NO_ROW)
            continue;
        table->rows[kept++] = row;
        size_t slot = slot_of(row.trace, row.span);
        while (slots[slot])
            slot = (slot + 1) & (ROW_SLOTS - 1);
        slots[slot] = (uint32_t)kept;
    }
    table->count = kept;
}

/* Rows come by start within a trace, and so do the children of each: what they cover is the union
 * of intervals that begin in order, cut to the parent's own. `covered` is its end so far. */
static void cover(mw_span_fact *parent, uint64_t *covered_ns, const mw_span_fact *child)
{
    uint64_t end = parent->start_ns + parent->duration_ns;
    uint64_t from = child->start_ns > *covered_ns ? child->start_ns : *covered_ns;
    uint64_t to = child->start_ns + child->duration_ns;
    from = from > parent->start_ns ? from : parent->start_ns;
    to = to < end ? to : end;
    if (to <= from)
        return;
    parent->self_ns -= to - from;
    *covered_ns = to;
}

/* Rows of a trace lie together, the first by start before the others. */
static void drop_cut(mw_span_table *table, const mw_store_view *view, const mw_store_window *window)
{
    size_t kept = 0;
    uint64_t trace = 0;
    bool holds = false;
    for (size_t i = 0; i < table->count; i++) {
        if (i == 0 || table->rows[i].trace != trace)
            holds = mw_store_window_holds(view, window, table->rows[i].start_ns);
        trace = table->rows[i].trace;
        if (holds)
            table->rows[kept++] = table->rows[i];
    }
    table->count = kept;
}

static mw_err join(mw_span_table *table, const mw_store_view *view, const mw_store_window *window)
{
    uint32_t *slots = mw_calloc(MW_MEM_QUERY, ROW_SLOTS, sizeof *slots);
    uint64_t *covered = mw_calloc(MW_MEM_QUERY, table->count + 1, sizeof *covered);
    if (!slots || !covered) {
        mw_free(MW_MEM_QUERY, slots);
        mw_free(MW_MEM_QUERY, covered);
        return MW_E_NOMEM;
    }
    if (table->count > 1)
        qsort(table->rows, table->count, sizeof *table->rows, by_identity);
    if (window->period_ns)
        drop_cut(table, view, window);
    index_rows(table, slots);
    for (size_t i = 0; i < table->count; i++)
        table->rows[i].self_ns = table->rows[i].duration_ns;
    for (size_t i = 0; i < table->count; i++) {
        mw_span_fact *row = &table->rows[i];
        uint32_t at = row->parent ? find_row(table, slots, row->trace, row->parent) : MW_NO_ROW;
        if (at == MW_NO_ROW || at == i)
            continue;
        row->parent_at = at;
        if (table->rows[at].children < UINT16_MAX)
            table->rows[at].children++;
        cover(&table->rows[at], &covered[at], row);
    }
    mw_free(MW_MEM_QUERY, covered);
    mw_free(MW_MEM_QUERY, slots);
    return MW_OK;
}

static mw_err make_room(builder *b)
{
    mw_span_table *table = b->table;
    table->rows = mw_alloc(MW_MEM_QUERY, MW_SPAN_TABLE_ROWS * sizeof *table->rows);
    table->services = mw_arena_zalloc(b->arena, MW_SPAN_TABLE_SERVICES, sizeof *table->services);
    table->operations =
        mw_arena_zalloc(b->arena, MW_SPAN_TABLE_OPERATIONS, sizeof *table->operations);
    table->peers = mw_arena_zalloc(b->arena, MW_SPAN_TABLE_SERVICES, sizeof *table->peers);
    b->name_slots = mw_calloc(MW_MEM_QUERY, NAME_SLOTS, sizeof *b->name_slots);
    b->name_keys = mw_calloc(MW_MEM_QUERY, NAME_SLOTS, sizeof *b->name_keys);
    bool there = table->rows && table->services && table->operations && table->peers &&
                 b->name_slots && b->name_keys;
    return there ? MW_OK : MW_E_NOMEM;
}

mw_err mw_span_table_read(mw_store_view *view, const mw_store_window *window, mw_arena *arena,
                          mw_span_table *out)
{
    builder b = {.table = out, .arena = arena, .seed = mw_store_view_seed(view)};
    memset(out, 0, sizeof *out);
    mw_err err = make_room(&b);
    if (err == MW_OK)
        err = mw_store_each_span(view, window, take_span, &b);
    if (err == MW_OK)
        err = join(out, view, window);
    out->one_in = mw_store_window_one_in(window) * (double)(UINT64_C(1) << out->sampled);
    mw_free(MW_MEM_QUERY, b.name_slots);
    mw_free(MW_MEM_QUERY, b.name_keys);
    if (err != MW_OK)
        mw_span_table_fini(out);
    return err;
}

void mw_span_table_fini(mw_span_table *table)
{
    mw_free(MW_MEM_QUERY, table->rows);
    table->rows = NULL;
    table->count = 0;
}
