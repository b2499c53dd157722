/* pack_only: merged blocks out of blocks of the log, in memory, with nothing around it.
 *
 *   pack_only [traces|metrics|logs] [--fresh] [--shuffle] [--blocks N] [--repeat N]
 *       makes N (8) merged blocks of 8192 items of otlp_load's requests and prints one line of
 *       JSON. Microseconds of CPU an item: read_us for reading the sources, add_us for adding their
 *       rows (columns_us of it for the columns), finish_us for packing, unpack_us for reading the
 *       merged block with all its items, again_us for reading it and adding its rows to another
 *       one; few_us, a block, for reading it with 16 items. Bytes an item: raw as sent, zstd3 what
 *       zstd 3 makes of each request, log in blocks of the log, merged (of it columns, items_bytes)
 *   --fresh    every request has texts of its own; else the load's 512 items come again and again
 *   --shuffle  traces in any order; else as they were sent
 *   --repeat N each block N times, of which the fastest counts (3)
 */
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#define PART "pack_only"
#include "tests/bench/part.h"

#include "lib/store/merge/block_pack.h"
#include "lib/store/merge/pack_columns.h"
#include "proto/scan.h"

#define SOURCES (MW_PACK_ROWS / ITEMS)

typedef struct source {
    int fd;
    mw_block_header header;
} source;

enum { READ, ADD, COLUMNS, FINISH, UNPACK, FEW, AGAIN, TIMES };

typedef struct totals {
    double us[TIMES];
    uint64_t raw, log, merged, hot, items, zstd, memory;
} totals;

typedef struct options {
    part_signal of;
    bool fresh, shuffle;
    unsigned blocks, repeat;
} options;

static const mw_block_place place = {7, 9, 0};
static mw_keyset *keys;

static source store(mw_encoded_block *encoded, uint64_t seq)
{
    source out = {.fd = memfd_create("block", 0)};
    mw_block_seal(encoded, seq, 0, &place);
    must(pwrite(out.fd, encoded->data, encoded->len, 0) == (ssize_t)encoded->len, "write");
    out.header = encoded->header;
    mw_encoded_block_fini(encoded);
    return out;
}

/* ---- requests to batches -------------------------------------------------------------------- */

/* Columns as the collector would fill them, as far as the load has them. */
enum { KEY_SERVICE, KEY_SESSION, KEY_AGENT, KEY_INPUT, KEY_OUTPUT };
static const char *const key_names[] = {"service.name", "session.id", "gen_ai.agent.name",
                                        "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"};

typedef struct request {
    mw_store_context resources[LOAD_RESOURCES], scopes[LOAD_RESOURCES];
    mw_slice heads[ITEMS], service;
    mw_store_item items[ITEMS];
    mw_span_row spans[ITEMS];
    mw_log_row logs[ITEMS];
    mw_point_row points[ITEMS];
    const mw_scan_metric *metric;
    uint32_t resource_count, scope_count, head_count, count, head;
    mw_arena arena;
} request;

static mw_slice text_of(const mw_found *found, size_t count, int key)
{
    for (size_t i = 0; i < count; i++)
        if (found[i].key == key && found[i].value.type == MW_VALUE_STRING)
            return found[i].value.bytes;
    return MW_SLICE_NONE;
}

static int64_t tokens_of(const mw_found *found, size_t count, int key)
{
    for (size_t i = 0; i < count; i++)
        if (found[i].key == key)
            return found[i].value.as.i;
    return MW_TOKENS_UNKNOWN;
}

static mw_err take_resource(void *ctx, const mw_scan_resource *resource)
{
    request *all = ctx;
    all->resources[all->resource_count++] = (mw_store_context){.bytes = resource->bytes};
    all->service = text_of(resource->found, resource->found_count, KEY_SERVICE);
    return MW_OK;
}

static mw_err take_scope(void *ctx, const mw_scan_scope *scope)
{
    request *all = ctx;
    all->scopes[all->scope_count++] = (mw_store_context){.bytes = scope->bytes};
    return MW_OK;
}

static uint32_t take_item(request *all, mw_slice bytes)
{
    all->items[all->count] =
        (mw_store_item){bytes, all->resource_count - 1, all->scope_count - 1, all->head};
    return all->count++;
}

static mw_err take_span(void *ctx, const mw_scan_span *span)
{
    request *all = ctx;
    const mw_found *found = span->found;
    mw_span_row *row = &all->spans[take_item(all, span->bytes)];
    *row = (mw_span_row){.start_ns = span->start_ns,
                         .end_ns = span->end_ns,
                         .kind = (uint8_t)span->kind,
                         .status = (uint8_t)span->status_code,
                         .name = span->name,
                         .service = all->service,
                         .session_id = text_of(found, span->found_count, KEY_SESSION),
                         .agent = text_of(found, span->found_count, KEY_AGENT),
                         .input_tokens = tokens_of(found, span->found_count, KEY_INPUT),
                         .output_tokens = tokens_of(found, span->found_count, KEY_OUTPUT)};
    memcpy(row->trace_id, span->trace_id, sizeof row->trace_id);
    memcpy(row->span_id, span->span_id, sizeof row->span_id);
    memcpy(row->parent_span_id, span->parent_span_id, sizeof row->parent_span_id);
    return MW_OK;
}

static mw_err take_log(void *ctx, const mw_scan_log *log)
{
    request *all = ctx;
    mw_log_row *row = &all->logs[take_item(all, log->bytes)];
    *row = (mw_log_row){.time_ns = log->time_ns,
                        .severity = (uint8_t)log->severity_number,
                        .service = all->service,
                        .session_id = text_of(log->found, log->found_count, KEY_SESSION),
                        .agent = text_of(log->found, log->found_count, KEY_AGENT)};
    memcpy(row->trace_id, log->trace_id, sizeof row->trace_id);
    memcpy(row->span_id, log->span_id, sizeof row->span_id);
    return MW_OK;
}

/* The load has a metric a point; their heads are made once, by the collector too. */
static mw_err take_metric(void *ctx, const mw_scan_metric *metric)
{
    request *all = ctx;
    mw_buffer head;
    uint32_t at = 0;
    mw_buffer_init(&head, MW_MEM_NET, 1 << 16);
    mw_metric_write_head(metric, &head);
    while (at < all->head_count && !mw_slice_equal(all->heads[at], mw_buffer_slice(&head)))
        at++;
    if (at == all->head_count)
        all->heads[all->head_count++] = mw_arena_copy(&all->arena, mw_buffer_slice(&head));
    mw_buffer_fini(&head);
    all->metric = metric;
    all->head = at;
    return MW_OK;
}

static mw_err take_point(void *ctx, const mw_scan_point *point)
{
    request *all = ctx;
    uint32_t at = take_item(all, point->bytes);
    all->points[at] = (mw_point_row){
        .series = load_mix(at) | 1,
        .time_ns = point->time_ns,
        .start_ns = point->start_ns,
        .value = point->value.type == MW_VALUE_DOUBLE ? point->value.as.d : point->sum,
        .count = point->count,
        .kind = (uint8_t)point->kind,
        .temporality = (uint8_t)all->metric->temporality,
        .name = all->metric->name,
        .unit = all->metric->unit,
        .service = all->service};
    return MW_OK;
}

static void scan(mw_signal signal, mw_slice body, request *all)
{
    mw_scan_result result;
    const mw_scan_sink sink = {.ctx = all,
                               .arena = &all->arena,
                               .resource = take_resource,
                               .scope = take_scope,
                               .span = take_span,
                               .log = take_log,
                               .metric = take_metric,
                               .point = take_point};
    mw_err err;
    mw_arena_init(&all->arena, MW_MEM_NET, 0);
    switch (signal) {
    case MW_SIGNAL_METRICS: err = mw_scan_metrics(body, keys, &sink, &result); break;
    case MW_SIGNAL_LOGS: err = mw_scan_logs(body, keys, &sink, &result); break;
    default: err = mw_scan_traces(body, keys, &sink, &result);
    }
    must(err == MW_OK && all->count == ITEMS && result.refused_total == 0, "reading a request");
}

static mw_store_batch batch_of(mw_signal signal, const request *all)
{
    mw_store_batch batch = {.signal = signal,
                            .resources = all->resources,
                            .resource_count = all->resource_count,
                            .scopes = all->scopes,
                            .scope_count = all->scope_count,
                            .metrics = all->heads,
                            .metric_count = all->head_count,
                            .items = all->items,
                            .item_count = all->count};
    switch (signal) {
    case MW_SIGNAL_METRICS: batch.rows.points = all->points; break;
    case MW_SIGNAL_LOGS: batch.rows.logs = all->logs; break;
    default: batch.rows.spans = all->spans;
    }
    return batch;
}

static source make_source(const options *wanted, const load_template *template, uint64_t number,
                          totals *sum)
{
    size_t len = template->body.len, room = ZSTD_compressBound(len);
    uint8_t *body = malloc(len), *packed = malloc(room);
    request *all = calloc(1, sizeof *all);
    mw_encoded_block encoded;

    must(body && packed && all, "malloc");
    memcpy(body, template->body.data, len);
    load_patch_body(template, body, SEED, number);
    scan(wanted->of.signal, mw_slice_bytes(body, len), all);
    mw_store_batch batch = batch_of(wanted->of.signal, all);
    must(mw_block_encode(&batch, 1, 1, &encoded) == MW_OK, "encoding");
    sum->raw += len;
    sum->log += encoded.len;
    sum->zstd += ZSTD_compress(packed, room, body, len, 3);
    mw_arena_reset(&all->arena);
    free(all);
    free(body);
    free(packed);
    return store(&encoded, number);
}

/* ---- packing -------------------------------------------------------------------------------- */

/* Where each row goes: whole traces in any order, or all as they came. */
static void make_places(const options *wanted, uint32_t *places)
{
    uint32_t groups = MW_PACK_ROWS / LOAD_SPANS_PER_TRACE,
             order[MW_PACK_ROWS / LOAD_SPANS_PER_TRACE];
    for (uint32_t i = 0; i < groups; i++)
        order[i] = i;
    for (uint32_t i = groups; wanted->shuffle && i > 1; i--) {
        uint32_t other = (uint32_t)(load_mix(i) % i), kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
    for (uint32_t i = 0; i < MW_PACK_ROWS; i++)
        places[i] =
            order[i / LOAD_SPANS_PER_TRACE] * LOAD_SPANS_PER_TRACE + i % LOAD_SPANS_PER_TRACE;
}

static void add_columns(const options *wanted, source *sources, const uint32_t *rows,
                        const uint32_t *places, totals *sum)
{
    mw_pack_columns columns = {0};
    mw_block_reader reader;
    must(mw_pack_columns_init(&columns, wanted->of.signal, MW_PACK_ROWS) == MW_OK, "columns");
    mw_block_reader_init(&reader);
    for (unsigned i = 0; i < SOURCES; i++) {
        mw_hot hot;
        must(mw_read_hot(&reader, sources[i].fd, 0, &sources[i].header, &hot) == MW_OK, "read");
        double begin = cpu_us();
        must(mw_pack_columns_add(&columns, &hot, rows, places + i * ITEMS, ITEMS) == MW_OK, "add");
        sum->us[COLUMNS] += cpu_us() - begin;
    }
    mw_block_reader_fini(&reader);
    mw_pack_columns_fini(&columns);
}

static source pack(const options *wanted, source *sources, const uint32_t *rows,
                   const uint32_t *places, totals *sum)
{
    static mw_block_reader hot_reader, items_reader;
    mw_block_pack *block;
    mw_encoded_block encoded;
    double begin = cpu_us();
    must(mw_block_pack_new(wanted->of.signal, MW_PACK_ROWS, &block) == MW_OK, "new");
    sum->us[ADD] += cpu_us() - begin;
    for (unsigned i = 0; i < SOURCES; i++) {
        const mw_block_header *header = &sources[i].header;
        mw_items_walk walk;
        mw_hot hot;
        begin = cpu_us();
        must(mw_read_hot(&hot_reader, sources[i].fd, 0, header, &hot) == MW_OK, "read");
        must(mw_items_walk_begin(&walk, &items_reader, sources[i].fd, 0, header, &hot) == MW_OK,
             "walk");
        double read = cpu_us();
        must(mw_block_pack_add(block, header, &hot, &walk, rows, places + i * ITEMS, ITEMS) ==
                 MW_OK,
             "add");
        sum->us[READ] += read - begin;
        sum->us[ADD] += cpu_us() - read;
        mw_items_walk_end(&walk);
    }
    begin = cpu_us();
    must(mw_block_pack_finish(block, 1, &encoded) == MW_OK, "finish");
    sum->memory = mw_block_pack_bytes(block);
    mw_block_pack_free(block);
    sum->us[FINISH] += cpu_us() - begin;
    sum->merged += encoded.len;
    sum->hot += encoded.header.hot_stored;
    sum->items += encoded.header.items_stored;
    return store(&encoded, 1);
}

static double read_rows(const source *merged, uint32_t from, uint32_t to)
{
    static mw_block_reader hot_reader, items_reader;
    static char room[1 << 20];
    mw_items_walk walk;
    mw_hot hot;
    double begin = cpu_us();
    must(mw_read_hot(&hot_reader, merged->fd, 0, &merged->header, &hot) == MW_OK, "read");
    must(mw_items_walk_begin(&walk, &items_reader, merged->fd, 0, &merged->header, &hot) == MW_OK,
         "walk");
    for (uint32_t row = from; row < to; row++)
        must(mw_items_walk_item(&walk, row, room) == MW_OK, "item");
    mw_items_walk_end(&walk);
    return cpu_us() - begin;
}

/* What is merged is merged again. */
static double pack_again(const options *wanted, const source *merged)
{
    static mw_block_reader hot_reader, items_reader;
    static uint32_t rows[MW_PACK_ROWS];
    mw_block_pack *block;
    mw_items_walk walk;
    mw_hot hot;
    for (uint32_t i = 0; i < MW_PACK_ROWS; i++)
        rows[i] = i;
    double begin = cpu_us();
    must(mw_block_pack_new(wanted->of.signal, MW_PACK_ROWS, &block) == MW_OK, "new");
    must(mw_read_hot(&hot_reader, merged->fd, 0, &merged->header, &hot) == MW_OK, "read");
    must(mw_items_walk_begin(&walk, &items_reader, merged->fd, 0, &merged->header, &hot) == MW_OK,
         "walk");
    must(mw_block_pack_add(block, &merged->header, &hot, &walk, rows, rows, MW_PACK_ROWS) == MW_OK,
         "add");
    double spent = cpu_us() - begin;
    mw_items_walk_end(&walk);
    mw_block_pack_free(block);
    return spent;
}

/* One block, the fastest of some rounds. */
static void run_block(const options *wanted, source *sources, const uint32_t *places, totals *sum)
{
    uint32_t rows[ITEMS];
    double best[TIMES];
    totals round = {0};
    for (uint32_t i = 0; i < ITEMS; i++)
        rows[i] = i;
    for (unsigned n = 0; n < wanted->repeat; n++) {
        round = (totals){0};
        source merged = pack(wanted, sources, rows, places, &round);
        add_columns(wanted, sources, rows, places, &round);
        round.us[UNPACK] = read_rows(&merged, 0, MW_PACK_ROWS);
        round.us[AGAIN] = pack_again(wanted, &merged);
        round.us[FEW] = read_rows(&merged, 4096, 4112);
        close(merged.fd);
        for (unsigned t = 0; t < TIMES; t++)
            best[t] = n && best[t] < round.us[t] ? best[t] : round.us[t];
    }
    for (unsigned t = 0; t < TIMES; t++)
        sum->us[t] += best[t];
    sum->merged += round.merged;
    sum->hot += round.hot;
    sum->items += round.items;
    sum->memory = round.memory;
}

static void run(const options *wanted, totals *sum)
{
    uint32_t places[MW_PACK_ROWS];
    load_template template;
    source sources[SOURCES];

    make_places(wanted, places);
    load_template_init(&template, wanted->of.load, ITEMS, SEED);
    for (uint64_t block = 0; block < wanted->blocks; block++) {
        for (uint64_t i = 0; i < SOURCES; i++) {
            uint64_t number = block * SOURCES + i;
            if (wanted->fresh && number) {
                load_template_fini(&template);
                load_template_init(&template, wanted->of.load, ITEMS, SEED + number * ITEMS);
            }
            sources[i] = make_source(wanted, &template, number, sum);
        }
        run_block(wanted, sources, places, sum);
        for (unsigned i = 0; i < SOURCES; i++)
            close(sources[i].fd);
    }
    load_template_fini(&template);
}

static void print(const options *wanted, const totals *sum)
{
    double items = (double)wanted->blocks * MW_PACK_ROWS;
    printf("{\"signal\":\"%s\",\"items\":%.0f,\"read_us\":%.3f,\"add_us\":%.3f,"
           "\"columns_us\":%.3f,\"finish_us\":%.3f,\"unpack_us\":%.3f,\"few_us\":%.0f,\"again_us\":"
           "%.3f,",
           mw_signal_name(wanted->of.signal), items, sum->us[READ] / items, sum->us[ADD] / items,
           sum->us[COLUMNS] / items, sum->us[FINISH] / items, sum->us[UNPACK] / items,
           sum->us[FEW] / wanted->blocks, sum->us[AGAIN] / items);
    printf("\"raw\":%.1f,\"log\":%.1f,\"zstd3\":%.1f,\"merged\":%.2f,\"columns\":%.2f,"
           "\"items_bytes\":%.2f,\"memory\":%llu}\n",
           (double)sum->raw / items, (double)sum->log / items, (double)sum->zstd / items,
           (double)sum->merged / items, (double)sum->hot / items, (double)sum->items / items,
           (unsigned long long)sum->memory);
}

int main(int argc, char **argv)
{
    options wanted = {.of = {LOAD_TRACES, MW_SIGNAL_TRACES}, .blocks = 8, .repeat = 3};
    totals sum = {0};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--fresh") == 0)
            wanted.fresh = true;
        else if (strcmp(argv[i], "--shuffle") == 0)
            wanted.shuffle = true;
        else if (strcmp(argv[i], "--blocks") == 0 && i + 1 < argc)
            wanted.blocks = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--repeat") == 0 && i + 1 < argc)
            wanted.repeat = (unsigned)strtoul(argv[++i], NULL, 10);
        else
            part_signal_of(argv[i], &wanted.of);
    }
    /* As the daemon: what is freed is kept. */
    mw_memory_init(MW_MEMORY_LIMIT_DEFAULT);
    keys = mw_keyset_new(key_names, sizeof key_names / sizeof *key_names);
    run(&wanted, &sum);
    print(&wanted, &sum);
    return 0;
}
