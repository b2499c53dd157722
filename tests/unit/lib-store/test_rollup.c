/* Roll-ups: what a trace adds to a table, in whatever order its spans come to how many tables; the
 * bytes of a table and back.
 *
 * The model adds up all spans at once, cell by cell, from the definition alone. Tables are compared
 * by their bytes: the same counts are always the same bytes.
 */
#include "tests/unit/lib-store/store_test.h"

#include "lib/store/rollup/rollup_int.h"

enum { INTERNAL = 1, SERVER, CLIENT, PRODUCER, CONSUMER };
#define SPANS_MAX 40
#define MINUTE(m) ((m)*MW_MINUTE_NS)

/* A span by words: what the table's numbers stand for. */
typedef struct word_span {
    uint64_t id, parent, start, duration;
    const char *service, *operation, *peer;
    uint8_t kind, status;
} word_span;

static mw_rollup *table_new(void)
{
    mw_rollup *rollup;
    assert_int_equal(mw_rollup_new(&rollup), MW_OK);
    return rollup;
}

static mw_rollup_span span_of(mw_rollup *rollup, const word_span *span, bool earlier)
{
    return (mw_rollup_span){
        .span_id = span->id,
        .parent_id = span->parent,
        .start_ns = span->start,
        .duration_ns = span->duration,
        .service = mw_rollup_text(rollup, mw_slice_of(span->service)),
        .operation = mw_rollup_text(rollup, mw_slice_of(span->operation)),
        .peer = mw_rollup_text(rollup, mw_slice_of(span->peer)),
        .kind = span->kind,
        .status = span->status,
        .earlier = earlier,
        .marks = 0xff,
    };
}

/* Spans whose part is `part` are new, those of parts before it are earlier, others unknown. */
static void add_part(mw_rollup *rollup, const word_span *spans, const unsigned *parts, size_t count,
                     unsigned part)
{
    mw_rollup_span in[SPANS_MAX];
    size_t used = 0;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (parts[i] > part)
            continue;
        any |= parts[i] == part;
        in[used++] = span_of(rollup, &spans[i], parts[i] < part);
    }
    if (any)
        assert_int_equal(mw_rollup_trace(rollup, in, used), MW_OK);
}

static mw_slice bytes_of(const mw_rollup *rollup)
{
    char *data;
    size_t len;
    assert_int_equal(mw_rollup_write(rollup, &data, &len), MW_OK);
    return (mw_slice){data, len};
}

static void assert_same(const mw_rollup *a, const mw_rollup *b)
{
    mw_slice left = bytes_of(a), right = bytes_of(b);
    assert_int_equal(left.len, right.len);
    if (left.len)
        assert_memory_equal(left.data, right.data, left.len);
    mw_free(MW_MEM_MERGE, (char *)left.data);
    mw_free(MW_MEM_MERGE, (char *)right.data);
}

/* ---- the model ------------------------------------------------------------------------------- */

static int64_t whole_us(uint64_t ns)
{
    return ns / 1000 < UINT64_C(1) << 32 ? (int64_t)(ns / 1000) : INT64_C(1) << 32;
}

static void model_add(mw_rollup *model, mw_rollup_key key, const word_span *span,
                      const word_span *wire)
{
    mw_rollup_cell *cell;
    assert_int_equal(mw_rollup_cell_of(model, key, 1, &cell), MW_OK);
    cell->errors += span->status == 2;
    cell->sum_us += whole_us(span->duration);
    assert_int_equal(mw_rollup_count(model, cell, mw_latency_bucket(span->duration), 1), MW_OK);
    if (!wire)
        return;
    uint64_t time = wire->duration > span->duration ? wire->duration - span->duration : 0;
    cell->wire_us += whole_us(time);
    assert_int_equal(mw_rollup_count(model, cell, MW_ROLLUP_WIRE + mw_latency_bucket(time), 1),
                     MW_OK);
}

static bool is_edge(const word_span *parent, const word_span *child)
{
    return child->parent == parent->id && child->parent != 0 && *parent->service &&
           *child->service && strcmp(parent->service, child->service) != 0;
}

static mw_rollup *model_of(const word_span *spans, size_t count)
{
    mw_rollup *model = table_new();
    for (size_t i = 0; i < count; i++) {
        const word_span *span = &spans[i];
        uint32_t minute = (uint32_t)(span->start / MW_MINUTE_NS);
        uint32_t service = mw_rollup_text(model, mw_slice_of(span->service));
        bool entry = span->kind == SERVER || span->kind == CONSUMER || !span->parent,
             resolved = false;
        model_add(model,
                  (mw_rollup_key){entry ? MW_ROLLUP_ENTRY : MW_ROLLUP_INSIDE, minute, service,
                                  mw_rollup_text(model, mw_slice_of(span->operation))},
                  span, NULL);
        for (size_t j = 0; j < count; j++) {
            resolved |= is_edge(span, &spans[j]);
            if (is_edge(&spans[j], span))
                model_add(model,
                          (mw_rollup_key){MW_ROLLUP_CALL, minute,
                                          mw_rollup_text(model, mw_slice_of(spans[j].service)),
                                          service},
                          span, spans[j].kind == CLIENT && span->kind == SERVER ? &spans[j] : NULL);
        }
        bool calls = span->kind == CLIENT || span->kind == PRODUCER;
        if (calls && !resolved && *span->service && *span->peer &&
            strcmp(span->peer, span->service) != 0)
            model_add(model,
                      (mw_rollup_key){MW_ROLLUP_CALL, minute, service,
                                      mw_rollup_text(model, mw_slice_of(span->peer))},
                      span, NULL);
    }
    return model;
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void check_split(const word_span *spans, const unsigned *parts, size_t count,
                        unsigned part_count)
{
    mw_rollup *model = model_of(spans, count), *sum = table_new();
    for (unsigned part = 0; part < part_count; part++) {
        mw_rollup *table = table_new();
        add_part(table, spans, parts, count, part);
        /* One by way of bytes, as footers do, the other as it is. */
        if (part % 2) {
            mw_slice data = bytes_of(table);
            assert_int_equal(mw_rollup_read(data, 0, 0, sum), MW_OK);
            mw_free(MW_MEM_MERGE, (char *)data.data);
        } else {
            assert_int_equal(mw_rollup_add(table, 0, 0, sum), MW_OK);
        }
        mw_rollup_free(table);
    }
    assert_same(sum, model);
    mw_rollup_free(sum);
    mw_rollup_free(model);
}

/* 1 calls 2 (which the peer's name says, right or wrong), 2 calls a database, 4 is a root of the
 * same trace in a service that 1 calls too, 5 calls its own service by name. */
static const word_span family[] = {
    {1, 0, MINUTE(7), 5000000, "shop", "GET /", "", SERVER, 0},
    {2, 1, MINUTE(7) + 1000, 4000000, "shop", "GET", "cart", CLIENT, 2},
    {3, 2, MINUTE(8), 3000000, "cart", "POST /add", "", SERVER, 2},
    {4, 3, MINUTE(8) + 5, 2000000, "cart", "INSERT", "postgresql", CLIENT, 0},
    {5, 3, MINUTE(8) + 6, 1000000, "cart", "self", "cart", CLIENT, 0},
};
#define FAMILY (sizeof family / sizeof family[0])

static void test_every_order(void **state)
{
    (void)state;
    /* Each span into one of three tables, all 243 ways, which holds every order of two as well. */
    for (unsigned code = 0; code < 243; code++) {
        unsigned parts[FAMILY], rest = code;
        for (size_t i = 0; i < FAMILY; i++, rest /= 3)
            parts[i] = rest % 3;
        check_split(family, parts, FAMILY, 3);
    }
}

static int64_t count_of(const mw_rollup *rollup, mw_rollup_kind kind, uint32_t minute,
                        const char *left, const char *right, int64_t *errors)
{
    int64_t count = 0;
    *errors = 0;
    for (uint32_t i = 0; i < rollup->cell_count; i++) {
        const mw_rollup_cell *cell = &rollup->cells[i];
        int64_t row[MW_ROLLUP_ROW] = {0};
        if (cell->key.kind != (uint32_t)kind || cell->key.minute != minute ||
            !mw_slice_equal(mw_rollup_text_of(rollup, cell->key.left), mw_slice_of(left)) ||
            !mw_slice_equal(mw_rollup_text_of(rollup, cell->key.right), mw_slice_of(right)))
            continue;
        mw_rollup_row_add(rollup, cell, row);
        for (uint32_t place = 0; place < MW_LATENCY_BUCKETS; place++)
            count += row[place];
        *errors += cell->errors;
    }
    return count;
}

static void assert_count(const mw_rollup *rollup, mw_rollup_kind kind, uint32_t minute,
                         const char *left, const char *right, int64_t count, int64_t errors)
{
    int64_t found;
    assert_int_equal(count_of(rollup, kind, minute, left, right, &found), count);
    assert_int_equal(found, errors);
}

/* The rule in figures, so that model and table are not wrong together. */
static void test_by_hand(void **state)
{
    (void)state;
    static const unsigned first[FAMILY] = {0, 0, 1, 0, 1};
    mw_rollup *callers = table_new(), *callees = table_new();
    add_part(callers, family, first, FAMILY, 0);
    /* 2 is counted by its peer's name in its own minute; 4 by the database's. */
    assert_count(callers, MW_ROLLUP_CALL, 7, "shop", "cart", 1, 1);
    assert_count(callers, MW_ROLLUP_CALL, 8, "cart", "postgresql", 1, 0);
    assert_count(callers, MW_ROLLUP_ENTRY, 7, "shop", "GET /", 1, 0);
    assert_count(callers, MW_ROLLUP_INSIDE, 7, "shop", "GET", 1, 1);
    assert_count(callers, MW_ROLLUP_ENTRY, 8, "cart", "POST /add", 0, 0);
    add_part(callees, family, first, FAMILY, 1);
    /* 3 resolves it: taken back there, counted in the child's minute here. */
    assert_count(callees, MW_ROLLUP_CALL, 7, "shop", "cart", -1, -1);
    assert_count(callees, MW_ROLLUP_CALL, 8, "shop", "cart", 1, 1);
    assert_count(callees, MW_ROLLUP_CALL, 8, "cart", "postgresql", 0, 0);
    assert_count(callees, MW_ROLLUP_CALL, 8, "cart", "cart", 0, 0);
    assert_count(callees, MW_ROLLUP_ENTRY, 8, "cart", "POST /add", 1, 1);
    assert_int_equal(mw_rollup_add(callees, 0, 0, callers), MW_OK);
    assert_count(callers, MW_ROLLUP_CALL, 7, "shop", "cart", 0, 0);
    assert_count(callers, MW_ROLLUP_CALL, 8, "shop", "cart", 1, 1);
    mw_rollup_free(callers);
    mw_rollup_free(callees);
}

/* Time on the wire is the client's duration less the server's. */
static void test_wire(void **state)
{
    (void)state;
    mw_rollup *table = table_new();
    static const unsigned parts[FAMILY] = {0};
    int64_t row[MW_ROLLUP_ROW] = {0}, total = 0;
    add_part(table, family, parts, FAMILY, 0);
    for (uint32_t i = 0; i < table->cell_count; i++)
        mw_rollup_row_add(table, &table->cells[i], row);
    for (uint32_t i = 0; i < MW_LATENCY_BUCKETS; i++)
        total += row[MW_ROLLUP_WIRE + i];
    assert_int_equal(total, 1);
    assert_int_equal(row[MW_ROLLUP_WIRE + mw_latency_bucket(1000000)], 1);
    mw_rollup_free(table);
}

static const char *const services[] = {"", "a", "b", "c", "d"};
static const char *const operations[] = {"", "GET /", "query", "b", "publish"};

static void random_trace(word_span *spans, size_t count, unsigned *seed)
{
    for (size_t i = 0; i < count; i++) {
        unsigned r = (unsigned)rand_r(seed);
        spans[i] = (word_span){
            .id = i + 1,
            /* any parent, also itself, one that never comes, none; cycles too */
            .parent = (uint64_t)rand_r(seed) % (count + 2),
            .start = MINUTE(3) + (uint64_t)(rand_r(seed) % 4) * MINUTE(1) / 2,
            .duration = (uint64_t)rand_r(seed) << (r % 12),
            .service = services[rand_r(seed) % 5],
            .operation = operations[rand_r(seed) % 5],
            .peer = services[rand_r(seed) % 5],
            .kind = (uint8_t)(rand_r(seed) % 6),
            .status = (uint8_t)(rand_r(seed) % 3),
        };
    }
}

static void test_random_splits(void **state)
{
    (void)state;
    unsigned seed = 20261121;
    for (int round = 0; round < 20000; round++) {
        word_span spans[SPANS_MAX];
        unsigned parts[SPANS_MAX], tables = 1 + (unsigned)rand_r(&seed) % 5;
        size_t count = 1 + (size_t)rand_r(&seed) % (round % 10 ? 8 : SPANS_MAX);
        random_trace(spans, count, &seed);
        for (size_t i = 0; i < count; i++)
            parts[i] = (unsigned)rand_r(&seed) % tables;
        check_split(spans, parts, count, tables);
    }
}

/* Beyond a number of spans they are found another way: the same must come of it. */
static void test_large_trace(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    mw_rollup *table = table_new();
    mw_rollup_span *spans = calloc(COUNT, sizeof *spans);
    uint32_t names[2] = {mw_rollup_text(table, MW_SLICE("even")),
                         mw_rollup_text(table, MW_SLICE("odd"))};
    for (uint64_t i = 0; i < COUNT; i++)
        spans[i] = (mw_rollup_span){.span_id = (i * 7919) % COUNT + 1,
                                    .parent_id = (i * 7919) % COUNT,
                                    .service = names[(i * 7919) % COUNT % 2],
                                    .kind = INTERNAL};
    assert_int_equal(mw_rollup_trace(table, spans, COUNT), MW_OK);
    assert_count(table, MW_ROLLUP_CALL, 0, "even", "odd", COUNT / 2, 0);
    assert_count(table, MW_ROLLUP_CALL, 0, "odd", "even", COUNT / 2 - 1, 0);
    free(spans);
    mw_rollup_free(table);
}

/* The first copy counts, however many spans there are; who repeats is told. */
static void test_repeats(void **state)
{
    (void)state;
    static const size_t sizes[] = {4, 300};
    for (size_t round = 0; round < 2; round++) {
        size_t count = sizes[round];
        mw_rollup *table = table_new();
        mw_rollup_span *spans = calloc(count, sizeof *spans);
        uint32_t names[] = {mw_rollup_text(table, MW_SLICE("a")),
                            mw_rollup_text(table, MW_SLICE("b"))};
        /* The earlier copy of 1, then 2 to n, then 1 again as of another service. */
        for (size_t i = 0; i < count; i++)
            spans[i] = (mw_rollup_span){.span_id = i + 1, .parent_id = i, .service = names[0]};
        spans[0].earlier = true;
        spans[count - 1] =
            (mw_rollup_span){.span_id = 1, .service = names[1], .peer = names[0], .kind = CLIENT};
        assert_int_equal(mw_rollup_trace(table, spans, count), MW_OK);
        assert_int_equal(spans[count - 1].marks, MW_ROLLUP_REPEAT);
        assert_int_equal(spans[0].marks & MW_ROLLUP_REPEAT, 0);
        assert_count(table, MW_ROLLUP_INSIDE, 0, "a", "", (int64_t)count - 2, 0);
        assert_count(table, MW_ROLLUP_ENTRY, 0, "a", "", 0, 0);
        assert_count(table, MW_ROLLUP_ENTRY, 0, "b", "", 0, 0);
        assert_count(table, MW_ROLLUP_CALL, 0, "b", "a", 0, 0);
        free(spans);
        mw_rollup_free(table);
    }
}

/* ---- latency --------------------------------------------------------------------------------- */

static void test_latency(void **state)
{
    (void)state;
    uint64_t lower = 0;
    assert_int_equal(mw_latency_bound_ns(0), 1000);
    assert_int_equal(mw_latency_bound_ns(4), 2000);
    assert_int_equal(mw_latency_bound_ns(MW_LATENCY_BUCKETS - 2), UINT64_C(4294967296000));
    assert_int_equal(mw_latency_bound_ns(MW_LATENCY_BUCKETS - 1), UINT64_MAX);
    for (uint32_t bucket = 0; bucket < MW_LATENCY_BUCKETS; bucket++) {
        uint64_t upper = mw_latency_bound_ns(bucket), value = mw_latency_value_ns(bucket);
        assert_int_equal(mw_latency_bucket(lower), bucket);
        assert_int_equal(mw_latency_bucket(upper - 1), bucket);
        assert_true(value >= lower && value < upper);
        if (bucket > 0 && bucket < MW_LATENCY_BUCKETS - 1) {
            assert_true((double)upper / (double)lower <= 1.19);
            /* off by at most 9.1 % of the true value, wherever that lies in the bucket */
            assert_true((double)value <= 1.091 * (double)lower);
            assert_true((double)value >= 0.909 * (double)(upper - 1));
        }
        lower = upper;
    }
    assert_int_equal(mw_latency_bucket(UINT64_MAX), MW_LATENCY_BUCKETS - 1);
    assert_int_equal(mw_rollup_duration(5), 5);
    assert_int_equal(mw_rollup_duration((uint64_t)-5), 0);
}

/* ---- windows, bounds ------------------------------------------------------------------------- */

static mw_rollup *one_a_minute(uint32_t minutes)
{
    mw_rollup *table = table_new();
    for (uint32_t i = 0; i < minutes; i++) {
        mw_rollup_span span = {.span_id = i + 1,
                               .start_ns = MINUTE(100 + i),
                               .service = mw_rollup_text(table, MW_SLICE("a")),
                               .operation = mw_rollup_text(table, MW_SLICE("b"))};
        assert_int_equal(mw_rollup_trace(table, &span, 1), MW_OK);
    }
    return table;
}

static void test_window(void **state)
{
    (void)state;
    mw_rollup *table = one_a_minute(10);
    mw_slice data = bytes_of(table);
    static const struct {
        uint64_t since, until;
        int count;
    } windows[] = {
        {0, 0, 10},
        {MINUTE(103), 0, 7},
        {MINUTE(104) - 1, 0, 7},
        {0, MINUTE(103), 3},
        {0, MINUTE(103) + 1, 4},
        {MINUTE(102), MINUTE(104), 2},
        {MINUTE(102) + 7, MINUTE(102) + 8, 1},
        {MINUTE(200), 0, 0},
        {0, 1, 0},
    };
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        int64_t errors;
        mw_rollup *read = table_new(), *added = table_new();
        mw_rollup_keep(read, MW_ROLLUP_SERVICES);
        mw_rollup_keep(added, MW_ROLLUP_SERVICES | MW_ROLLUP_OPERATIONS);
        assert_int_equal(mw_rollup_read(data, windows[i].since, windows[i].until, read), MW_OK);
        assert_int_equal(mw_rollup_add(table, windows[i].since, windows[i].until, added), MW_OK);
        assert_int_equal(count_of(read, MW_ROLLUP_ENTRY, 0, "a", "", &errors), windows[i].count);
        assert_int_equal(count_of(added, MW_ROLLUP_ENTRY, 0, "a", "b", &errors), windows[i].count);
        mw_rollup_free(read);
        mw_rollup_free(added);
    }
    mw_free(MW_MEM_MERGE, (char *)data.data);
    mw_rollup_free(table);
}

static void test_minutes(void **state)
{
    (void)state;
    mw_rollup *table = one_a_minute(10);
    mw_rollup_cell *cell;
    mw_rollup_range range;
    /* What was taken back in a minute without spans is of the range, but no newest minute. */
    mw_rollup_key call = {MW_ROLLUP_CALL, 150, 2, 3};
    assert_int_equal(mw_rollup_cell_of(table, call, 1, &cell), MW_OK);
    cell->errors = -1;
    mw_slice data = bytes_of(table);
    assert_int_equal(mw_rollup_range_read(data, UINT32_MAX, &range), MW_OK);
    assert_false(range.empty);
    assert_int_equal(range.first, 100);
    assert_int_equal(range.last, 150);
    assert_int_equal(range.newest, 109);
    assert_int_equal(mw_rollup_range_read(data, 104, &range), MW_OK);
    assert_true(range.has_newest);
    assert_int_equal(range.newest, 104);
    assert_int_equal(mw_rollup_range_read(data, 99, &range), MW_OK);
    assert_false(range.has_newest);
    assert_int_equal(mw_rollup_range_read(mw_slice_first(data, data.len - 1), 200, &range),
                     MW_E_CORRUPT);
    assert_int_equal(mw_rollup_range_read(MW_SLICE_NONE, 200, &range), MW_OK);
    assert_true(range.empty);
    mw_free(MW_MEM_MERGE, (char *)data.data);
    mw_rollup_free(table);
}

/* The latest minute that a time can name is found like any other. */
static void test_last_minute(void **state)
{
    (void)state;
    mw_rollup *table = table_new(), *read = table_new();
    mw_rollup_span span = {
        .span_id = 1, .start_ns = UINT64_MAX, .service = mw_rollup_text(table, MW_SLICE("a"))};
    assert_int_equal(mw_rollup_trace(table, &span, 1), MW_OK);
    mw_slice data = bytes_of(table);
    assert_int_equal(mw_rollup_read(data, UINT64_MAX - 1, 0, read), MW_OK);
    assert_count(read, MW_ROLLUP_ENTRY, (uint32_t)(UINT64_MAX / MW_MINUTE_NS), "a", "", 1, 0);
    mw_free(MW_MEM_MERGE, (char *)data.data);
    mw_rollup_free(table);
    mw_rollup_free(read);
}

static void test_texts_are_bounded(void **state)
{
    (void)state;
    mw_rollup *table = table_new();
    char text[400];
    memset(text, 'x', sizeof text);
    assert_int_equal(mw_rollup_text(table, (mw_slice){text, 256}),
                     mw_rollup_text(table, (mw_slice){text, 400}));
    assert_int_equal(mw_rollup_text(table, MW_SLICE_NONE), 0);
    for (unsigned i = 0; i < MW_ROLLUP_TEXTS_MAX + 10; i++) {
        int len = snprintf(text, sizeof text, "name %u", i);
        uint32_t number = mw_rollup_text(table, (mw_slice){text, (size_t)len});
        assert_true(number > 0 && number <= MW_ROLLUP_TEXTS_MAX);
    }
    assert_int_equal(mw_rollup_text(table, MW_SLICE("one too many")), MW_ROLLUP_OTHER);
    assert_true(mw_slice_equal(mw_rollup_text_of(table, MW_ROLLUP_OTHER), MW_SLICE("(other)")));
    mw_rollup_free(table);
}

static void test_cells_are_bounded(void **state)
{
    (void)state;
    mw_rollup *table = table_new();
    int64_t total = 0;
    uint64_t left_out = 0, spans = 0;
    table->cells_max = 160;
    char text[32];
    uint32_t service = mw_rollup_text(table, MW_SLICE("a"));
    for (uint32_t minute = 0; minute < 150; minute++) {
        for (int i = 0; i < 4; i++, spans++) {
            int len = snprintf(text, sizeof text, "operation %u %d", minute, i);
            mw_rollup_span span = {.span_id = 1,
                                   .start_ns = MINUTE(minute),
                                   .service = service,
                                   .operation =
                                       mw_rollup_text(table, (mw_slice){text, (size_t)len})};
            assert_int_equal(mw_rollup_trace(table, &span, 1), MW_OK);
        }
    }
    assert_int_equal(table->cell_count, 200);
    left_out = mw_rollup_left_out(table);
    for (uint32_t i = 0; i < table->cell_count; i++) {
        int64_t row[MW_ROLLUP_ROW] = {0};
        mw_rollup_row_add(table, &table->cells[i], row);
        for (uint32_t place = 0; place < MW_LATENCY_BUCKETS; place++)
            total += row[place];
    }
    assert_int_equal((uint64_t)total + left_out, spans);
    /* 40 minutes of four operations, 40 of "(other)", and then no more. */
    assert_int_equal(left_out, 4 * 70);
    assert_count(table, MW_ROLLUP_ENTRY, 50, "a", "(other)", 4, 0);
    mw_slice data = bytes_of(table);
    mw_rollup *read = table_new();
    assert_int_equal(mw_rollup_read(data, 0, 0, read), MW_OK);
    assert_int_equal(mw_rollup_left_out(read), left_out);
    mw_free(MW_MEM_MERGE, (char *)data.data);
    mw_rollup_free(read);
    mw_rollup_free(table);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void test_empty(void **state)
{
    (void)state;
    mw_rollup *table = table_new();
    char *data;
    size_t len;
    assert_int_equal(mw_rollup_write(table, &data, &len), MW_OK);
    assert_null(data);
    assert_int_equal(len, 0);
    assert_int_equal(mw_rollup_read(MW_SLICE_NONE, 0, 0, table), MW_OK);
    mw_rollup_free(table);
    mw_rollup_free(NULL);
}

/* No piece of a table is a table, and no flipped bit leaves it unreadable in a worse way than
 * MW_E_CORRUPT. */
static void test_damage(void **state)
{
    (void)state;
    mw_rollup *table = table_new();
    static const unsigned parts[FAMILY] = {0};
    add_part(table, family, parts, FAMILY, 0);
    mw_slice data = bytes_of(table);
    char *copy = malloc(data.len);
    for (size_t len = 1; len < data.len; len++) {
        mw_rollup *read = table_new();
        memcpy(copy, data.data, len);
        assert_int_equal(mw_rollup_read((mw_slice){copy, len}, 0, 0, read), MW_E_CORRUPT);
        mw_rollup_free(read);
    }
    for (size_t bit = 0; bit < 8 * data.len; bit++) {
        mw_rollup *read = table_new();
        memcpy(copy, data.data, data.len);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        mw_err err = mw_rollup_read((mw_slice){copy, data.len}, 0, 0, read);
        assert_true(err == MW_OK || err == MW_E_CORRUPT);
        mw_rollup_free(read);
    }
    free(copy);
    mw_free(MW_MEM_MERGE, (char *)data.data);
    mw_rollup_free(table);
}

/* Tables that were made from the drawing alone are what the reader takes. */
static void test_corpus(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        mw_err err;
    } files[] = {{"left_out", MW_OK},
                 {"one_span", MW_OK},
                 {"calls", MW_OK},
                 {"ends", MW_OK},
                 {"damaged", MW_E_CORRUPT}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[96], bytes[1024];
        snprintf(path, sizeof path, "tests/fuzz/corpus/rollup/%s", files[i].name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t len = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        mw_rollup *table = table_new();
        assert_int_equal(mw_rollup_read((mw_slice){bytes, len}, 0, 0, table), files[i].err);
        if (strcmp(files[i].name, "calls") == 0)
            assert_count(table, MW_ROLLUP_CALL, 28333334, "shop", "cart", 6, 2);
        mw_rollup_free(table);
    }
}

/* Each allocation fails once: an error, and nothing is lost or freed twice. */
static void test_no_memory(void **state)
{
    (void)state;
    static const unsigned parts[FAMILY] = {0};
    size_t before = mw_memory_component_used(MW_MEM_ROLLUP);
    int refused = 0;
    for (uint64_t at = 1; at < 60; at++) {
        mw_rollup *table = NULL, *read = NULL;
        mw_rollup_span in[FAMILY];
        char *data = NULL;
        size_t len = 0;
        mw_memory_fail_at(at);
        mw_err err = mw_rollup_new(&table);
        for (size_t i = 0; err == MW_OK && i < FAMILY; i++) {
            in[i] = span_of(table, &family[i], parts[i] != 0);
            if (in[i].service == UINT32_MAX || in[i].operation == UINT32_MAX ||
                in[i].peer == UINT32_MAX)
                err = MW_E_NOMEM;
        }
        if (err == MW_OK)
            err = mw_rollup_trace(table, in, FAMILY);
        if (err == MW_OK)
            err = mw_rollup_write(table, &data, &len);
        if (err == MW_OK)
            err = mw_rollup_new(&read);
        if (err == MW_OK)
            err = mw_rollup_read((mw_slice){data, len}, 0, 0, read);
        if (err == MW_OK)
            err = mw_rollup_add(table, 0, 0, read);
        mw_memory_fail_at(0);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        refused += err == MW_E_NOMEM;
        mw_free(MW_MEM_MERGE, data);
        mw_rollup_free(table);
        mw_rollup_free(read);
    }
    assert_true(refused > 15);
    assert_int_equal(mw_memory_component_used(MW_MEM_ROLLUP), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_order),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_wire),
        cmocka_unit_test(test_random_splits),
        cmocka_unit_test(test_large_trace),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_minutes),
        cmocka_unit_test(test_last_minute),
        cmocka_unit_test(test_texts_are_bounded),
        cmocka_unit_test(test_cells_are_bounded),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_corpus),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
