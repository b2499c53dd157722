/* shop_load: the telemetry of shops over one window, with a fault that is known; loopback only.
 *
 *   shop_load --port P --signal traces|logs --count N --since S --seconds S [--seed N]
 *             [--onset S] [--fault SHOP:slow|errors|network|missing[:PER_MILLE]]...
 *       sends N spans (or records) that lie evenly over the seconds after `since` (unix time), over
 *       OTLP/HTTP, a request after the other, and prints how many
 *
 * Twelve shops, each asked half as often as the one before it, of six services: gateway -> catalog,
 * orders, ads; orders -> payments, stock; catalog, payments and stock ask a database that sends no
 * spans. 16 spans a trace, those of the services behind `orders` in a request that comes later, as
 * if from other exporters. Faults begin `onset` seconds after `since` in the payments of a shop,
 * for so many of a thousand of its requests (all). One span of a thousand fails anyhow. Log
 * records: one a trace, of payments; ERROR where payments fails.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHOPS 12u
#define TRACE_SPANS 16u
/* Traces of a request; 2,048 spans in two halves. */
#define TRACES 128u
/* How many batches later the other half comes. */
#define LATE 4u
#define MS UINT64_C(1000000)
#define BODY_MAX ((size_t)4 << 20)

typedef enum service { GATEWAY, CATALOG, ORDERS, ADS, PAYMENTS, STOCK, SERVICES } service;
static const char *const service_names[] = {"gateway", "catalog",  "orders",
                                            "ads",     "payments", "stock"};

typedef enum fault { NO_FAULT, SLOW, ERRORS, NETWORK, MISSING, FAULTS } fault;
static const char *const fault_names[] = {"none", "slow", "errors", "network", "missing"};

typedef struct options {
    const char *port, *signal;
    uint64_t count, since_ns, length_ns, onset_ns, seed;
    struct {
        unsigned kind, share;
    } faults[SHOPS];
} options;

typedef struct bytes {
    uint8_t *data;
    size_t len;
} bytes;

/* A span of the shop's one way to serve a request: kinds are OTLP's. */
typedef struct role {
    service of;
    int parent; /* -1: the root */
    unsigned kind;
    const char *name;
} role;
static const role roles[TRACE_SPANS] = {{GATEWAY, -1, 2, "POST /checkout"},
                                        {GATEWAY, 0, 3, "catalog.List"},
                                        {CATALOG, 1, 2, "catalog.List"},
                                        {CATALOG, 2, 3, "SELECT items"},
                                        {GATEWAY, 0, 3, "orders.Create"},
                                        {ORDERS, 4, 2, "orders.Create"},
                                        {ORDERS, 5, 1, "validate"},
                                        {ORDERS, 5, 3, "payments.Charge"},
                                        {PAYMENTS, 7, 2, "payments.Charge"},
                                        {PAYMENTS, 8, 3, "INSERT charges"},
                                        {ORDERS, 5, 3, "stock.Reserve"},
                                        {STOCK, 10, 2, "stock.Reserve"},
                                        {STOCK, 11, 1, "lock"},
                                        {STOCK, 11, 3, "UPDATE stock"},
                                        {GATEWAY, 0, 3, "ads.Get"},
                                        {ADS, 14, 2, "ads.Get"}};

typedef struct fact {
    uint64_t start_ns, end_ns;
    bool there, failed;
} fact;

typedef struct trace {
    uint64_t number;
    unsigned shop;
    unsigned hit; /* by this fault */
    fact spans[TRACE_SPANS];
} trace;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* ---- what happens in a trace ----------------------------------------------------------------- */

static uint64_t jitter(const trace *one, unsigned at, uint64_t most_ns)
{
    return mix(one->number * 64 + at) % most_ns;
}

/* What the span is busy with besides its children. */
static uint64_t own_ns(const trace *one, unsigned at)
{
    uint64_t own = MS / 2 + jitter(one, at, 2 * MS);
    if (one->hit == SLOW && at == 8)
        own += 400 * MS;
    return own;
}

/* Between a call's client span and its server's, one way. */
static uint64_t wire_ns(const trace *one, unsigned at)
{
    uint64_t wire = MS / 5 + jitter(one, at + 32, MS / 2);
    return one->hit == NETWORK && at == 8 ? wire + 100 * MS : wire;
}

/* Children one after the other; roles stand parents first, so that ends are known from behind. */
static void time_spans(trace *one, uint64_t start_ns)
{
    uint64_t length[TRACE_SPANS], next[TRACE_SPANS];
    for (int i = TRACE_SPANS - 1; i >= 0; i--) {
        bool crosses = roles[i].parent >= 0 && roles[roles[i].parent].of != roles[i].of;
        length[i] = own_ns(one, (unsigned)i);
        for (unsigned k = (unsigned)i + 1; k < TRACE_SPANS; k++)
            if (roles[k].parent == i && one->spans[k].there)
                length[i] += length[k];
        next[i] = crosses ? wire_ns(one, (unsigned)i) : 0;
        if (crosses) /* the client's span waits for both ways */
            length[i] += 2 * next[i];
    }
    for (int i = 0; i < (int)TRACE_SPANS; i++) {
        fact *span = &one->spans[i];
        uint64_t wire = next[i];
        uint64_t from = roles[i].parent < 0 ? start_ns : next[roles[i].parent];
        span->start_ns = from + wire;
        span->end_ns = from + length[i] - wire;
        if (roles[i].parent >= 0)
            next[roles[i].parent] = from + length[i];
        next[i] = span->start_ns + MS / 10;
    }
}

static void fail_up(trace *one, int at)
{
    for (; at >= 0; at = roles[at].parent)
        one->spans[at].failed = true;
}

static void make_trace(const options *o, uint64_t number, uint64_t traces, trace *out)
{
    uint64_t random = mix(o->seed + number);
    uint64_t start =
        o->since_ns + (uint64_t)((double)o->length_ns / (double)traces * (double)number);
    *out = (trace){.number = number};
    while (out->shop < SHOPS - 1 && random >> out->shop & 1)
        out->shop++;
    if (start >= o->onset_ns && (random >> 16) % 1000 < o->faults[out->shop].share)
        out->hit = o->faults[out->shop].kind;
    for (unsigned i = 0; i < TRACE_SPANS; i++)
        out->spans[i].there = !(out->hit == MISSING && i == 9);
    time_spans(out, start);
    for (unsigned i = 0; i < TRACE_SPANS; i++)
        if (mix(random + i) % 16000 == 0)
            fail_up(out, (int)i);
    if (out->hit == ERRORS)
        fail_up(out, 8);
}

/* ---- protobuf -------------------------------------------------------------------------------- */

static void put(bytes *out, const void *data, size_t len)
{
    if (out->len + len > BODY_MAX)
        abort();
    memcpy(out->data + out->len, data, len);
    out->len += len;
}

static void put_byte(bytes *out, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    put(out, &byte, 1);
}

static void put_u64(bytes *out, unsigned tag, uint64_t value)
{
    put_byte(out, tag);
    put(out, &value, sizeof value); /* as on the wire: little endian */
}

static void put_text(bytes *out, unsigned tag, const char *text)
{
    put_byte(out, tag);
    put_byte(out, (unsigned)strlen(text));
    put(out, text, strlen(text));
}

/* Room for the length of a message; three bytes are always enough. */
static size_t begin(bytes *out, unsigned tag)
{
    put_byte(out, tag);
    put(out, "\0\0\0", 3);
    return out->len;
}

static void end(bytes *out, size_t begun)
{
    size_t len = out->len - begun;
    uint8_t *at = out->data + begun - 3;
    at[0] = (uint8_t)(len | 0x80);
    at[1] = (uint8_t)(len >> 7 | 0x80);
    at[2] = (uint8_t)(len >> 14);
}

static void put_attribute(bytes *out, unsigned tag, const char *key, const char *value)
{
    size_t pair = begin(out, tag);
    put_text(out, 0x0a, key);
    size_t text = begin(out, 0x12);
    put_text(out, 0x0a, value);
    end(out, text);
    end(out, pair);
}

static void put_ids(bytes *out, const options *o, const trace *one, unsigned at, bool parent)
{
    uint64_t trace_id[2] = {mix(o->seed ^ one->number), mix(one->number + 7)};
    uint64_t span_id = mix(trace_id[0] + at + 1);
    put_byte(out, 0x0a);
    put_byte(out, 16);
    put(out, trace_id, 16);
    put_byte(out, 0x12);
    put_byte(out, 8);
    put(out, &span_id, 8);
    if (!parent)
        return;
    span_id = mix(trace_id[0] + (unsigned)roles[at].parent + 1);
    put_byte(out, 0x22);
    put_byte(out, 8);
    put(out, &span_id, 8);
}

static void put_span(bytes *out, const options *o, const trace *one, unsigned at)
{
    const fact *span = &one->spans[at];
    size_t message = begin(out, 0x12);
    put_ids(out, o, one, at, roles[at].parent >= 0);
    put_text(out, 0x2a, roles[at].name);
    put_byte(out, 0x30);
    put_byte(out, roles[at].kind);
    put_u64(out, 0x39, span->start_ns);
    put_u64(out, 0x41, span->end_ns);
    put_attribute(out, 0x4a, "app.tier", one->number % 3 ? "standard" : "gold");
    if (span->failed)
        put(out, "\x7a\x02\x18\x02", 4);
    end(out, message);
}

static void put_resource(bytes *out, service of, unsigned shop)
{
    char name[32];
    snprintf(name, sizeof name, "%s-%u", service_names[of], shop);
    size_t resource = begin(out, 0x0a);
    put_attribute(out, 0x0a, "service.name", name);
    put_attribute(out, 0x0a, "service.version", "1.0");
    end(out, resource);
}

static bool is_behind(service of)
{
    return of == PAYMENTS || of == STOCK;
}

/* The spans of the batch that one of the two exporters sends. */
static void put_spans(bytes *out, const options *o, const trace *traces, bool behind)
{
    for (unsigned shop = 0; shop < SHOPS; shop++)
        for (unsigned s = 0; s < SERVICES; s++) {
            if (is_behind((service)s) != behind)
                continue;
            size_t resource = begin(out, 0x0a);
            put_resource(out, (service)s, shop);
            size_t scope = begin(out, 0x12);
            for (unsigned t = 0; t < TRACES; t++)
                for (unsigned i = 0; traces[t].shop == shop && i < TRACE_SPANS; i++)
                    if (roles[i].of == (service)s && traces[t].spans[i].there)
                        put_span(out, o, &traces[t], i);
            end(out, scope);
            end(out, resource);
        }
}

static void put_record(bytes *out, const options *o, const trace *one)
{
    char text[96];
    bool failed = one->spans[8].failed;
    size_t record = begin(out, 0x12);
    put_u64(out, 0x09, one->spans[8].end_ns);
    put_byte(out, 0x10);
    put_byte(out, failed ? 17 : 9);
    snprintf(text, sizeof text,
             failed ? "charge %llu: no free connection to ledger" : "charge %llu is done",
             (unsigned long long)one->number);
    size_t body = begin(out, 0x2a);
    put_text(out, 0x0a, text);
    end(out, body);
    uint64_t trace_id[2] = {mix(o->seed ^ one->number), mix(one->number + 7)};
    put_byte(out, 0x4a);
    put_byte(out, 16);
    put(out, trace_id, 16);
    end(out, record);
}

static void put_records(bytes *out, const options *o, const trace *traces)
{
    for (unsigned shop = 0; shop < SHOPS; shop++) {
        size_t resource = begin(out, 0x0a);
        put_resource(out, PAYMENTS, shop);
        size_t scope = begin(out, 0x12);
        for (unsigned t = 0; t < TRACES; t++)
            if (traces[t].shop == shop)
                put_record(out, o, &traces[t]);
        end(out, scope);
        end(out, resource);
    }
}

/* ---- the port -------------------------------------------------------------------------------- */

static int connect_to(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
    for (const char *at = data; len;) {
        ssize_t sent = send(fd, at, len, 0);
        if (sent <= 0)
            fail("send");
        at += sent;
        len -= (size_t)sent;
    }
}

/* True when it was taken. Answers are short: head and body come at once. */
static bool post(int fd, const char *path, const bytes *body)
{
    char head[256], answer[2048];
    int len = snprintf(head, sizeof head,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                       "application/x-protobuf\r\nContent-Length: %zu\r\n\r\n",
                       path, body->len);
    send_all(fd, head, (size_t)len);
    send_all(fd, body->data, body->len);
    ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
    if (got <= 0)
        fail("recv");
    answer[got] = '\0';
    if (strncmp(answer, "HTTP/1.1 200", 12) == 0)
        return true;
    if (strncmp(answer, "HTTP/1.1 503", 12) != 0 && strncmp(answer, "HTTP/1.1 429", 12) != 0) {
        fprintf(stderr, "%s\n", answer);
        exit(1);
    }
    usleep(100000);
    return false;
}

/* ---- the load -------------------------------------------------------------------------------- */

static void make_batch(const options *o, uint64_t batch, uint64_t traces, trace *out)
{
    for (unsigned t = 0; t < TRACES; t++)
        make_trace(o, batch * TRACES + t, traces, &out[t]);
}

static uint64_t send_batches(const options *o, int fd)
{
    static trace batch[TRACES];
    bool logs = strcmp(o->signal, "logs") == 0;
    uint64_t traces = o->count / (logs ? 1 : TRACE_SPANS), batches = traces / TRACES;
    bytes body = {.data = malloc(BODY_MAX)};
    if (!body.data)
        fail("malloc");
    for (uint64_t n = 0; n < batches + (logs ? 0 : LATE); n++)
        for (int half = 0; half < (logs ? 1 : 2); half++) {
            if (half ? n < LATE : n >= batches)
                continue;
            make_batch(o, half ? n - LATE : n, batches * TRACES, batch);
            body.len = 0;
            if (logs)
                put_records(&body, o, batch);
            else
                put_spans(&body, o, batch, half == 1);
            while (!post(fd, logs ? "/v1/logs" : "/v1/traces", &body))
                ;
        }
    free(body.data);
    return batches * TRACES * (logs ? 1 : TRACE_SPANS);
}

static void read_fault(options *o, const char *text)
{
    unsigned shop, share = 1000, kind = 0;
    char name[16] = "";
    if (sscanf(text, "%u:%15[a-z]:%u", &shop, name, &share) >= 2 && shop < SHOPS)
        while (kind < FAULTS && strcmp(name, fault_names[kind]) != 0)
            kind++;
    if (!name[0] || kind == FAULTS) {
        fprintf(stderr, "no fault: %s\n", text);
        exit(2);
    }
    o->faults[shop].kind = kind;
    o->faults[shop].share = share;
}

static void read_option(options *o, const char *name, const char *value)
{
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(name, "--port") == 0)
        o->port = value;
    else if (strcmp(name, "--signal") == 0)
        o->signal = value;
    else if (strcmp(name, "--fault") == 0)
        read_fault(o, value);
    else if (strcmp(name, "--count") == 0)
        o->count = number;
    else if (strcmp(name, "--since") == 0)
        o->since_ns = number * 1000 * MS;
    else if (strcmp(name, "--seconds") == 0)
        o->length_ns = number * 1000 * MS;
    else if (strcmp(name, "--onset") == 0)
        o->onset_ns = number * 1000 * MS;
    else if (strcmp(name, "--seed") == 0)
        o->seed = number;
}

int main(int argc, char **argv)
{
    options o = {.signal = "traces", .seed = 1};
    for (int i = 1; i + 1 < argc; i += 2)
        read_option(&o, argv[i], argv[i + 1]);
    if (!o.port || !o.count || !o.length_ns) {
        fprintf(stderr, "usage: shop_load --port P --count N --since S --seconds S ...\n");
        return 2;
    }
    o.onset_ns += o.since_ns;
    int fd = connect_to(o.port);
    printf("{\"sent\":%llu}\n", (unsigned long long)send_batches(&o, fd));
    close(fd);
    return 0;
}
