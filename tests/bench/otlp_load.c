/* otlp_load: an OTLP client for tests and benchmarks, loopback only.
 *
 *   otlp_load send --transport http|grpc --port P --file F [--path P] [--content-type T]
 *                  [--encoding gzip] [--framed]
 *       sends one body and prints the answer as JSON (--framed: F holds the gRPC prefix already)
 *   otlp_load load --transport http|grpc --port P [--signal traces|metrics|logs] [--in-flight N]
 *                  [--requests N] [--seconds S] [--spans N] [--rate SPANS_PER_S] [--seed N]
 *                  [--templates N] [--split D] [--mixed] [--acked FILE]
 *       generates load and prints rate and acknowledgement times as JSON, in which "spans" are
 *       items of the signal; FILE gets one line "trace-id span-id" for every span of every
 *       acknowledged request; --split D (traces): every other request brings the callees of the
 *       calls of one D requests away, before or behind it in turns; --mixed (traces): spans that
 *       differ, for questions
 *   otlp_load body [--signal S] [--spans N] [--seed N]      one request's bytes on stdout
 *
 * One thread, poll(2). Over HTTP/1.1 a connection carries one request at a time; over gRPC at
 * most LOAD_CONNECTIONS connections share the requests in flight. A lost connection is not opened
 * again: what was in flight counts as an error. Bounded: without --requests or --seconds it ends
 * after 10 s. Exit 0 when an answer came (send) or a request was acknowledged (load).
 */
#include <stdbool.h>
#include <unistd.h>

#include "tests/bench/load_client.h"

#define LOAD_CONNECTIONS 4u
/* As many as the measurements behind the bars had; 76 MiB. */
#define LOAD_TEMPLATES 200u
/* Longest wait for the network before the clock is looked at again. */
#define LOAD_TURN_MS 50
/* How long an answer may take before it counts as lost. */
#define LOAD_PATIENCE_NS INT64_C(30000000000)

static const char *const load_names[] = {"traces", "metrics", "logs"}; /* by load_signal */

/* ---- send ----------------------------------------------------------------------------------- */

static void load_print_text(const char *key, const char *text)
{
    printf(",\"%s\":\"", key);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if ((unsigned char)*text < 0x20)
            printf("\\u%04x", (unsigned)(unsigned char)*text);
        else
            putchar(*text);
    }
    putchar('"');
}

static void load_print_answer(const load_answer *answer, bool answered)
{
    printf("{\"answered\":%s,\"status\":%d,\"grpc_status\":%d", answered ? "true" : "false",
           answer->status, answer->grpc_status);
    load_print_text("grpc_message", answer->grpc_message);
    load_print_text("details", answer->details);
    load_print_text("content_type", answer->content_type);
    load_print_text("retry_after", answer->retry_after);
    load_print_text("allow", answer->allow);
    printf(",\"body_hex\":\"");
    for (size_t i = 0; i < answer->body.len; i++)
        printf("%02x", answer->body.data[i]);
    printf("\"}\n");
}

static void load_read_file(const char *path, load_bytes *out)
{
    uint8_t chunk[4096];
    FILE *file = fopen(path, "rb");
    if (!file)
        load_fail(path);
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;)
        load_put(out, chunk, got);
    fclose(file);
}

static void load_prefix(load_bytes *out, bool compressed, size_t len)
{
    uint8_t prefix[5] = {compressed, (uint8_t)(len >> 24), (uint8_t)(len >> 16),
                         (uint8_t)(len >> 8), (uint8_t)len};
    load_put(out, prefix, sizeof prefix);
}

static int load_send_one(load_options *options)
{
    load_connection connection;
    load_slot slot = {0};
    load_bytes body = {0};
    load_read_file(options->file, &body);
    if (!options->grpc)
        load_http_head(&slot.message, options, body.len);
    else if (!options->framed)
        load_prefix(&slot.message, options->encoding != NULL, body.len);
    load_put(&slot.message, body.data, body.len);
    free(body.data);
    options->in_flight = 1;
    load_open_all(&connection, &slot, 1, options);
    load_start(&slot, options);
    int64_t until = load_now() + LOAD_PATIENCE_NS;
    while (!slot.done && !connection.broken && load_now() < until)
        load_turn(&connection, 1, 100);
    load_print_answer(&slot.answer, slot.done);
    bool done = slot.done;
    load_close_all(&connection, 1, &slot, 1);
    return done ? 0 : 1;
}

/* ---- load ----------------------------------------------------------------------------------- */

typedef struct load_run {
    const load_options *options;
    load_template *templates; /* options->templates; with --split the callees' behind them */
    load_connection connections[LOAD_IN_FLIGHT_MAX];
    load_slot slots[LOAD_IN_FLIGHT_MAX];
    unsigned connection_count;
    uint64_t started, acknowledged, refused, lost, items, items_sent;
    double *times_ms;
    size_t time_count, time_capacity;
    int64_t begin_ns, stop_ns; /* no request starts after stop_ns */
    FILE *acked;
} load_run;

/* What a request holds: a template, filled for request `number` of its kind. */
typedef struct load_part {
    const load_template *template;
    uint64_t number;
} load_part;

/* Made when first used: short runs need few. */
static load_part load_part_at(const load_run *run, bool callees, uint64_t number)
{
    const load_options *options = run->options;
    size_t at = number % options->templates;
    load_template *template = &run->templates[at + (callees ? options->templates : 0)];
    if (template->spans == 0)
        load_template_init(template,
                           callees          ? LOAD_CALLEES
                           : options->mixed ? LOAD_MIXED
                                            : options->signal,
                           options->spans, options->seed + at * options->spans);
    return (load_part){template, number};
}

/* With --split D, of 2 D requests the first half and the second half are the two sides of the same
 * calls; in every other pair the callees come first. */
static load_part load_part_of(const load_run *run, uint64_t number)
{
    const load_options *options = run->options;
    uint64_t distance = options->split;
    if (distance == 0)
        return load_part_at(run, false, number);
    uint64_t pair = number / (2 * distance) * distance + number % distance;
    return load_part_at(run, (number / distance + pair) % 2, pair);
}

static void load_record(load_run *run, const load_slot *slot)
{
    const load_answer *answer = &slot->answer;
    bool good = answer->status == 200 && (!run->options->grpc || answer->grpc_status == 0);
    if (!good) {
        run->refused++;
        return;
    }
    run->acknowledged++;
    run->items += load_part_of(run, slot->number).template->spans;
    if (run->time_count == run->time_capacity) {
        run->time_capacity = run->time_capacity * 2 + 1024;
        run->times_ms = realloc(run->times_ms, run->time_capacity * sizeof *run->times_ms);
        if (!run->times_ms)
            abort();
    }
    run->times_ms[run->time_count++] = (double)(load_now() - slot->due_ns) / 1e6;
    for (unsigned i = 0; run->acked && i < run->options->spans; i++) {
        uint8_t ids[24];
        load_trace_id(run->options->seed, slot->number, i / LOAD_SPANS_PER_TRACE, ids);
        load_span_id(ids, i % LOAD_SPANS_PER_TRACE, ids + 16);
        for (unsigned b = 0; b < sizeof ids; b++)
            fprintf(run->acked, b == 16 ? " %02x" : "%02x", ids[b]);
        fputc('\n', run->acked);
    }
}

/* The next request's time: now, or by the fixed rate. */
static int64_t load_next_due(const load_run *run)
{
    const load_options *options = run->options;
    if (options->rate <= 0)
        return 0;
    return run->begin_ns + (int64_t)((double)run->started * options->spans / options->rate * 1e9);
}

static void load_refill(load_run *run, load_slot *slot)
{
    const load_options *options = run->options;
    int64_t now = load_now(), due = load_next_due(run);
    bool more = now < run->stop_ns && (!options->requests || run->started < options->requests);
    if (slot->busy || slot->connection->broken || !more || due > now)
        return;
    slot->number = run->started++;
    slot->message.len = 0;
    load_part part = load_part_of(run, slot->number);
    if (options->grpc)
        load_prefix(&slot->message, false, part.template->body.len);
    else
        load_http_head(&slot->message, options, part.template->body.len);
    size_t head = slot->message.len;
    load_put(&slot->message, part.template->body.data, part.template->body.len);
    load_patch_body(part.template, slot->message.data + head, options->seed, part.number);
    run->items_sent += part.template->spans;
    /* At a fixed rate the wait for a free slot counts: what a client would see. */
    slot->due_ns = due ? due : load_now();
    load_start(slot, options);
}

/* Takes answers off and fills idle slots; the number of requests under way. */
static unsigned load_service(load_run *run)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < run->options->in_flight; i++) {
        load_slot *slot = &run->slots[i];
        if (slot->busy && slot->done) {
            load_record(run, slot);
            slot->busy = false;
        } else if (slot->busy && slot->connection->broken) {
            run->lost++;
            slot->busy = false;
        }
        load_refill(run, slot);
        busy += slot->busy;
    }
    return busy;
}

static int load_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double load_quantile(const load_run *run, double q)
{
    if (run->time_count == 0)
        return 0;
    return run->times_ms[(size_t)(q * (double)(run->time_count - 1))];
}

static void load_print_run(load_run *run, double seconds)
{
    double spans = (double)run->items;
    if (run->time_count > 0)
        qsort(run->times_ms, run->time_count, sizeof *run->times_ms, load_compare);
    printf("{\"requests\":%llu,\"acknowledged\":%llu,\"refused\":%llu,\"lost\":%llu,"
           "\"spans_sent\":%llu,\"spans_acknowledged\":%.0f,\"seconds\":%.3f,"
           "\"spans_per_s\":%.0f,\"bytes_per_span\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
           "\"max_ms\":%.3f}\n",
           (unsigned long long)run->started, (unsigned long long)run->acknowledged,
           (unsigned long long)run->refused, (unsigned long long)run->lost,
           (unsigned long long)run->items_sent, spans, seconds, spans / seconds,
           (double)run->templates[0].body.len / run->templates[0].spans, load_quantile(run, 0.5),
           load_quantile(run, 0.99), load_quantile(run, 1));
}

static bool load_all_broken(const load_run *run)
{
    for (unsigned i = 0; i < run->connection_count; i++)
        if (!run->connections[i].broken)
            return false;
    return true;
}

static int load_generate(const load_options *options)
{
    static load_run run;
    run.options = options;
    run.connection_count = options->in_flight;
    if (options->grpc && run.connection_count > LOAD_CONNECTIONS)
        run.connection_count = LOAD_CONNECTIONS;
    if (options->acked && !(run.acked = fopen(options->acked, "w")))
        load_fail(options->acked);
    run.templates = calloc(2 * (size_t)options->templates, sizeof *run.templates);
    if (!run.templates)
        abort();
    load_open_all(run.connections, run.slots, run.connection_count, options);
    run.begin_ns = load_now();
    run.stop_ns = run.begin_ns + (int64_t)(options->seconds * 1e9);
    while (!load_all_broken(&run)) {
        unsigned busy = load_service(&run);
        int64_t now = load_now(), due = load_next_due(&run);
        bool ended = now >= run.stop_ns || (options->requests && run.started >= options->requests);
        if ((ended && busy == 0) || now > run.stop_ns + LOAD_PATIENCE_NS)
            break;
        int64_t wait_ms = LOAD_TURN_MS;
        if (!ended && busy < options->in_flight)
            wait_ms = due > now ? (due - now) / 1000000 : 1;
        load_turn(run.connections, run.connection_count,
                  (int)(wait_ms < LOAD_TURN_MS ? wait_ms : LOAD_TURN_MS));
    }
    load_service(&run);
    load_print_run(&run, (double)(load_now() - run.begin_ns) / 1e9);
    if (run.acked && fclose(run.acked) != 0)
        load_fail(options->acked);
    load_close_all(run.connections, run.connection_count, run.slots, options->in_flight);
    for (size_t i = 0; i < 2 * (size_t)options->templates; i++)
        load_template_fini(&run.templates[i]);
    free(run.templates);
    free(run.times_ms);
    return run.acknowledged > 0 ? 0 : 1;
}

/* ---- command line --------------------------------------------------------------------------- */

static int load_print_body(const load_options *options)
{
    load_template template;
    load_template_init(&template, options->signal, options->spans, options->seed);
    load_patch_body(&template, template.body.data, options->seed, 0);
    bool good = fwrite(template.body.data, 1, template.body.len, stdout) == template.body.len;
    load_template_fini(&template);
    return good ? 0 : 1;
}

static int load_usage(void)
{
    fprintf(stderr,
            "usage: otlp_load send|load|body --transport http|grpc --port P ...\n"
            "       --spans is a multiple of %d\n",
            LOAD_RESOURCES * LOAD_SPANS_PER_TRACE);
    return 2;
}

static bool load_set_signal(load_options *options, const char *value)
{
    for (unsigned i = 0; i < sizeof load_names / sizeof *load_names; i++)
        if (strcmp(value, load_names[i]) == 0) {
            options->signal = (load_signal)i;
            return true;
        }
    return false;
}

static bool load_set(load_options *options, const char *name, const char *value)
{
    struct {
        const char *name;
        const char **out;
    } const texts[] = {{"--file", &options->file},
                       {"--path", &options->path},
                       {"--content-type", &options->content_type},
                       {"--encoding", &options->encoding},
                       {"--acked", &options->acked}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].out = value;
            return true;
        }
    if (strcmp(name, "--signal") == 0)
        return load_set_signal(options, value);
    if (strcmp(name, "--transport") == 0)
        options->grpc = strcmp(value, "grpc") == 0;
    else if (strcmp(name, "--port") == 0)
        options->port = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--in-flight") == 0)
        options->in_flight = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--spans") == 0)
        options->spans = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--templates") == 0)
        options->templates = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--split") == 0)
        options->split = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--requests") == 0)
        options->requests = strtoull(value, NULL, 10);
    else if (strcmp(name, "--seed") == 0)
        options->seed = strtoull(value, NULL, 10);
    else if (strcmp(name, "--seconds") == 0)
        options->seconds = strtod(value, NULL);
    else if (strcmp(name, "--rate") == 0)
        options->rate = strtod(value, NULL);
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    load_options options = {
        .in_flight = 1, .spans = 512, .templates = LOAD_TEMPLATES, .seconds = 10};
    options.seed =
        load_mix((uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)getpid());
    if (argc < 2)
        return load_usage();
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--framed") == 0)
            options.framed = true;
        else if (strcmp(argv[i], "--mixed") == 0)
            options.mixed = true;
        else if (i + 1 >= argc || !load_set(&options, argv[i], argv[i + 1]))
            return load_usage();
        else
            i++;
    }
    unsigned unit = LOAD_RESOURCES * LOAD_SPANS_PER_TRACE;
    if (options.spans == 0 || options.spans % unit || options.in_flight == 0 ||
        options.in_flight > LOAD_IN_FLIGHT_MAX || options.templates == 0 ||
        ((options.split || options.mixed) && options.signal != LOAD_TRACES))
        return load_usage();
    if (options.requests && options.seconds <= 10)
        options.seconds = 60;
    if (strcmp(argv[1], "body") == 0)
        return load_print_body(&options);
    if (strcmp(argv[1], "load") == 0 && options.port)
        return load_generate(&options);
    if (strcmp(argv[1], "send") == 0 && options.port && options.file)
        return load_send_one(&options);
    return load_usage();
}
