/* path_only: what a request costs between its body and its block, with no sockets.
 *
 *   path_only [traces|metrics|logs] [--bodies N] [--repeat N]
 *       reads N (32) requests of otlp_load, each of a template of its own, and prints one line of
 *       JSON. Microseconds of this thread's CPU an item: scan_us for the validating pass alone,
 *       with the collector's keys and a sink that does nothing; read_us for all of the collector's
 *       part, the pass included; append_us for the store's, which is the block's encoding (the
 *       writer has a thread of its own). Bytes an item: body, and stored for what lies in the log.
 *   --repeat N  all bodies N (20) times in turn, of which the fastest round counts
 *
 * Many bodies, because one alone stays in the caches and its branches are learnt by heart. The
 * store is in a temporary directory; from the second round on it knows the requests and writes
 * nothing.
 */
#include <dirent.h>
#include <semaphore.h>
#include <unistd.h>

#define PART "path_only"
#include "tests/bench/part.h"

#include "collector/export_int.h"
#include "collector/resolve.h"

#define BODIES_MAX 256u

enum { SCAN, READ, APPEND, TIMES };

typedef struct totals {
    double us[TIMES];
    uint64_t items, body;
} totals;

typedef struct options {
    part_signal of;
    unsigned bodies, repeat;
} options;

/* ---- a sink that does nothing --------------------------------------------------------------- */

static mw_err skip_resource(void *ctx, const mw_scan_resource *resource)
{
    (void)ctx, (void)resource;
    return MW_OK;
}

static mw_err skip_scope(void *ctx, const mw_scan_scope *scope)
{
    (void)ctx, (void)scope;
    return MW_OK;
}

static mw_err skip_span(void *ctx, const mw_scan_span *span)
{
    *(uint64_t *)ctx += span->found_count;
    return MW_OK;
}

static mw_err skip_log(void *ctx, const mw_scan_log *log)
{
    *(uint64_t *)ctx += log->found_count;
    return MW_OK;
}

static mw_err skip_metric(void *ctx, const mw_scan_metric *metric)
{
    *(uint64_t *)ctx += metric->name.len;
    return MW_OK;
}

static mw_err skip_point(void *ctx, const mw_scan_point *point)
{
    *(uint64_t *)ctx += point->found_count;
    return MW_OK;
}

static double scan(const options *wanted, mw_slice body, const mw_keyset *keys)
{
    uint64_t seen = 0;
    mw_scan_result result;
    const mw_scan_sink sink = {.ctx = &seen,
                               .resource = skip_resource,
                               .scope = skip_scope,
                               .span = skip_span,
                               .log = skip_log,
                               .metric = skip_metric,
                               .point = skip_point};
    double begin = cpu_us();
    must(mw_export_signal_of(wanted->of.signal)->scan(body, keys, &sink, &result) == MW_OK, "scan");
    double spent = cpu_us() - begin;
    must(result.items == ITEMS && seen > 0, "seeing all items");
    return spent;
}

/* ---- the path ------------------------------------------------------------------------------- */

typedef struct path {
    const options *wanted;
    mw_export_keys keys;
    mw_store *store;
    sem_t stored;
} path;

static void on_stored(void *ctx, mw_err err, uint64_t commit_seq)
{
    path *all = ctx;
    (void)commit_seq;
    must(err == MW_OK, "storing");
    sem_post(&all->stored);
}

static void append(path *all, const mw_export_batch *batch)
{
    const mw_store_batch view = mw_export_batch_view(batch);
    must(mw_store_append(all->store, &view, on_stored, all) == MW_OK, "appending");
}

/* The body is copied first, as it is when it arrives: where it then lies in the caches counts. */
static void run_body(path *all, mw_slice sent, totals *sum)
{
    static char arrived[1 << 20];
    const mw_slice body = {arrived, sent.len};
    mw_arena arena;
    mw_export_batch batch;
    must(sent.len <= sizeof arrived, "a short body");
    mw_arena_init(&arena, MW_MEM_NET, 0);
    const mw_export_input input = {.signal = mw_export_signal_of(all->wanted->of.signal),
                                   .body = body,
                                   .keys = &all->keys,
                                   .received_ns = (uint64_t)mw_clock_wall_ns(mw_clock_system()),
                                   .arena = &arena};
    memcpy(arrived, sent.data, sent.len);
    sum->us[SCAN] += scan(all->wanted, body, all->keys.attributes);
    memcpy(arrived, sent.data, sent.len);
    double begin = cpu_us();
    must(mw_export_batch_read(&batch, &input) == MW_OK, "reading a request");
    double read = cpu_us();
    append(all, &batch);
    sum->us[READ] += read - begin;
    sum->us[APPEND] += cpu_us() - read;
    sum->items += batch.count;
    sum->body += body.len;
    sem_wait(&all->stored);
    mw_export_batch_fini(&batch);
    mw_arena_reset(&arena);
}

static void run(path *all, totals *sum)
{
    static load_template templates[BODIES_MAX];
    const options *wanted = all->wanted;
    double best[TIMES] = {0};

    for (unsigned i = 0; i < wanted->bodies; i++) {
        load_template_init(&templates[i], wanted->of.load, ITEMS, SEED + i * ITEMS);
        load_patch_body(&templates[i], templates[i].body.data, SEED, i);
    }
    for (unsigned round = 0; round < wanted->repeat; round++) {
        *sum = (totals){0};
        for (unsigned i = 0; i < wanted->bodies; i++) {
            const load_bytes *body = &templates[i].body;
            run_body(all, mw_slice_bytes(body->data, body->len), sum);
        }
        for (unsigned t = 0; t < TIMES; t++)
            best[t] = round && best[t] < sum->us[t] ? best[t] : sum->us[t];
    }
    memcpy(sum->us, best, sizeof best);
    for (unsigned i = 0; i < wanted->bodies; i++)
        load_template_fini(&templates[i]);
}

/* ---- the store ------------------------------------------------------------------------------ */

static void open_store(path *all, char *directory)
{
    mw_detail detail = {.message = ""};
    must(mkdtemp(directory), "a temporary directory");
    const mw_store_config config = {.directory = directory,
                                    .clock = mw_clock_system(),
                                    .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                                    .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT};
    must(mw_store_open(&config, &all->store, &detail) == MW_OK, "opening a store");
    all->keys = (mw_export_keys){mw_resolve_keyset_new(), mw_store_digest_key(all->store)};
    sem_init(&all->stored, 0, 0);
}

static void close_store(path *all, const char *directory)
{
    mw_store_close(all->store);
    mw_keyset_free(all->keys.attributes);
    sem_destroy(&all->stored);
    DIR *files = opendir(directory);
    must(files, "the directory again");
    for (struct dirent *file; (file = readdir(files));)
        if (file->d_name[0] != '.')
            unlinkat(dirfd(files), file->d_name, 0);
    closedir(files);
    must(rmdir(directory) == 0, "removing the directory");
}

static void print_totals(path *all, const totals *sum)
{
    double items = (double)sum->items;
    mw_store_stats stats;
    mw_store_stats_read(all->store, &stats);
    printf("{\"scan_us\":%.3f,\"read_us\":%.3f,\"append_us\":%.3f,\"body\":%.1f,"
           "\"stored\":%.1f}\n",
           sum->us[SCAN] / items, sum->us[READ] / items, sum->us[APPEND] / items,
           (double)sum->body / items, (double)stats.bytes / items);
}

static bool parse(int argc, char **argv, options *wanted)
{
    for (int i = 1; i < argc; i++) {
        if (part_signal_of(argv[i], &wanted->of))
            continue;
        if (strcmp(argv[i], "--bodies") == 0 && i + 1 < argc)
            wanted->bodies = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--repeat") == 0 && i + 1 < argc)
            wanted->repeat = (unsigned)strtoul(argv[++i], NULL, 10);
        else
            return false;
    }
    return wanted->bodies > 0 && wanted->bodies <= BODIES_MAX && wanted->repeat > 0;
}

int main(int argc, char **argv)
{
    options wanted = {{LOAD_TRACES, MW_SIGNAL_TRACES}, 32, 20};
    char directory[] = "/tmp/midwatch-path-XXXXXX";
    path all = {.wanted = &wanted};
    totals sum = {0};
    if (!parse(argc, argv, &wanted)) {
        fprintf(stderr, "usage: path_only [traces|metrics|logs] [--bodies N] [--repeat N]\n");
        return 2;
    }
    /* The daemon's limit: it also tells malloc to keep large blocks. */
    mw_memory_init(MW_MEMORY_LIMIT_DEFAULT);
    open_store(&all, directory);
    run(&all, &sum);
    print_totals(&all, &sum);
    close_store(&all, directory);
    return 0;
}
