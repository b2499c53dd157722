/* pack_only: merged blocks out of blocks of the log, in memory, with nothing around it.
 *
 *   pack_only [traces|metrics|logs] [--fresh] [--shuffle] [--blocks N]
 *       makes N (8) merged blocks of 8192 items of otlp_load's requests and prints one line of
 *       JSON: microseconds of CPU an item for reading the sources (read_us), for adding their rows
 *       (add_us; of it columns_us the columns alone), for packing (finish_us), for reading the
 *       merged block with all its items (unpack_us) and with 16 of them (few_us, a block), for
 *       reading it and adding its rows to another one (again_us); bytes an item as sent, in blocks of the log, merged (of it columns, items), and what zstd 3 makes of
 *       each request
 *   --fresh    every request has texts of its own; else the load's 512 items come again and again
 *   --shuffle  traces in any order; else as they were sent
 *   --repeat N each block N times, of which the fastest counts (3)
 */
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "tests/bench/load_body.h"

#include "collector/export_int.h"
#include "collector/resolve.h"
#include "lib/store/block_pack.h"
#include "lib/store/pack_columns.h"

#define ITEMS 512u
#define SOURCES (MW_PACK_ROWS / ITEMS)
#define SEED 7u

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
    load_signal load;
    mw_signal signal;
    bool fresh, shuffle;
    unsigned blocks, repeat;
} options;

static const mw_block_place place = {7, 9, 0};
static mw_export_keys keys;

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "pack_only: %s failed\n", what);
    exit(1);
}

static source store(mw_encoded_block *encoded, uint64_t seq)
{
    source out = {.fd = memfd_create("block", 0)};
    mw_block_seal(encoded, seq, 0, &place);
    must(pwrite(out.fd, encoded->data, encoded->len, 0) == (ssize_t)encoded->len, "write");
    out.header = encoded->header;
    mw_encoded_block_fini(encoded);
    return out;
}

static source make_source(const options *wanted, const load_template *template, uint64_t number,
                          totals *sum)
{
    uint8_t *body = malloc(template->body.len),
            *packed = malloc(ZSTD_compressBound(template->body.len));
    mw_export_batch batch;
    mw_arena arena;
    mw_encoded_block encoded;

    memcpy(body, template->body.data, template->body.len);
    load_patch_body(template, body, SEED, number);
    mw_arena_init(&arena, MW_MEM_NET, 0);
    mw_export_input input = {.signal = mw_export_signal_of(wanted->signal),
                             .body = mw_slice_bytes(body, template->body.len),
                             .keys = &keys,
                             .received_ns = 1,
                             .arena = &arena};
    must(mw_export_batch_read(&batch, &input) == MW_OK, "reading a request");
    mw_store_batch view = mw_export_batch_view(&batch);
    must(mw_block_encode(&view, 1, 1, &encoded) == MW_OK, "encoding");
    sum->raw += template->body.len;
    sum->log += encoded.len;
    sum->zstd +=
        ZSTD_compress(packed, ZSTD_compressBound(template->body.len), body, template->body.len, 3);
    mw_export_batch_fini(&batch);
    mw_arena_reset(&arena);
    free(body);
    free(packed);
    return store(&encoded, number);
}

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
    must(mw_pack_columns_init(&columns, wanted->signal, MW_PACK_ROWS) == MW_OK, "columns");
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
    must(mw_block_pack_new(wanted->signal, MW_PACK_ROWS, &block) == MW_OK, "new");
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
    must(mw_block_pack_new(wanted->signal, MW_PACK_ROWS, &block) == MW_OK, "new");
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
    load_template_init(&template, wanted->load, ITEMS, SEED);
    for (uint64_t block = 0; block < wanted->blocks; block++) {
        for (uint64_t i = 0; i < SOURCES; i++) {
            uint64_t number = block * SOURCES + i;
            if (wanted->fresh && number) {
                load_template_fini(&template);
                load_template_init(&template, wanted->load, ITEMS, SEED + number * ITEMS);
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
           mw_signal_name(wanted->signal), items, sum->us[READ] / items, sum->us[ADD] / items,
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
    static const uint8_t digest[MW_DIGEST_KEY_SIZE];
    static const mw_signal signals[] = {MW_SIGNAL_TRACES, MW_SIGNAL_METRICS, MW_SIGNAL_LOGS};
    options wanted = {.blocks = 8, .repeat = 3};
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
        else if (strcmp(argv[i], "metrics") == 0)
            wanted.load = LOAD_METRICS;
        else if (strcmp(argv[i], "logs") == 0)
            wanted.load = LOAD_LOGS;
    }
    wanted.signal = signals[wanted.load];
    /* As the daemon: what is freed is kept. */
    mw_memory_init(MW_MEMORY_LIMIT_DEFAULT);
    keys = (mw_export_keys){mw_resolve_keyset_new(), digest};
    run(&wanted, &sum);
    print(&wanted, &sum);
    return 0;
}
