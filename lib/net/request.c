/* The accessors of request.h, for handlers on any thread, and the reply. */
#include "lib/net/exchange_int.h"

mw_slice mw_request_header(const mw_request *request, mw_slice name, size_t *count)
{
    mw_slice first = MW_SLICE_NONE;
    size_t found = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const mw_header *header = &request->headers[i];
        if (!mw_slice_equal(header->name, name))
            continue;
        /* Present but empty is not absent. */
        if (found++ == 0)
            first = header->value.data ? header->value : MW_SLICE("");
        if (!count)
            break;
    }
    if (count)
        *count = found;
    return first;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Lenient, as forms are: an escape that is none stays as it is. */
static mw_slice decode_query(mw_arena *arena, mw_slice raw)
{
    char *text = mw_arena_alloc(arena, raw.len + 1);
    if (!text)
        return MW_SLICE_NONE;
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.data[i] == '+' ? ' ' : raw.data[i];
        int high = c == '%' && i + 2 < raw.len ? hex_value(raw.data[i + 1]) : -1;
        int low = high >= 0 ? hex_value(raw.data[i + 2]) : -1;
        if (low >= 0) {
            c = (char)(high << 4 | low);
            i += 2;
        }
        text[len++] = c;
    }
    text[len] = '\0';
    return (mw_slice){text, len};
}

/* Takes "name=value" off the front; empty pieces ("a=1&&b=2") are skipped. */
static bool next_pair(mw_slice *rest, mw_slice *name, mw_slice *value)
{
    mw_slice pair;
    while (mw_slice_split(rest, '&', &pair)) {
        if (pair.len == 0)
            continue;
        size_t equals = mw_slice_find_byte(pair, '=');
        *name = mw_slice_first(pair, equals);
        *value = mw_slice_from(pair, equals + 1);
        return true;
    }
    return false;
}

mw_slice mw_request_query(mw_request *request, mw_slice name)
{
    mw_slice rest = request->query;
    mw_slice key;
    mw_slice value;
    while (next_pair(&rest, &key, &value))
        if (mw_slice_equal(key, name))
            return decode_query(&request->arena, value);
    return MW_SLICE_NONE;
}

bool mw_request_query_known(const mw_request *request, const mw_slice *allowed, size_t n,
                            mw_slice *unknown)
{
    mw_slice rest = request->query;
    mw_slice key;
    mw_slice value;
    while (next_pair(&rest, &key, &value)) {
        size_t i = 0;
        while (i < n && !mw_slice_equal(key, allowed[i]))
            i++;
        if (i == n) {
            *unknown = key;
            return false;
        }
    }
    return true;
}

void mw_response_header(mw_response *response, mw_slice name, mw_slice value)
{
    MW_ASSERT(response->header_count < MW_RESPONSE_HEADERS_MAX);
    response->headers[response->header_count++] = (mw_header){name, value};
}

mw_client_state mw_request_client(const mw_request *request)
{
    const mw_exchange *exchange = request->internal;
    return (mw_client_state)atomic_load_explicit(&exchange->client, memory_order_relaxed);
}

/* A buffer grows ahead of its content, and what it has too much would be held for as long as the
 * peer takes. Giving back a part cannot fail where it matters: then all of it is kept. */
static char *fit(mw_component component, char *data, size_t len)
{
    char *fitting = mw_realloc(component, data, len);
    return fitting ? fitting : data;
}

void mw_response_give(mw_response *response, mw_buffer *buffer)
{
    size_t len = 0;
    MW_ASSERT(!response->given && buffer->err == MW_OK);
    response->given_component = buffer->component;
    char *data = mw_buffer_take(buffer, &len);
    response->given = data ? fit(response->given_component, data, len) : NULL;
    response->body = (mw_slice){response->given ? response->given : "", len};
}

void mw_request_reply(mw_request *request, const mw_response *response)
{
    mw_exchange *exchange = request->internal;
    MW_ASSERT(exchange && &exchange->request == request && !exchange->offered);
    MW_ASSERT(request->framing == MW_FRAMING_GRPC ||
              (response->status >= 200 && response->status <= 599));
    exchange->response = *response;
    exchange->post(exchange->post_ctx, exchange);
}

bool mw_request_defer(mw_request *request, int64_t now_ns, unsigned delay_ms)
{
    mw_exchange *exchange = request->internal;
    MW_ASSERT(exchange && &exchange->request == request);
    int64_t until_ns = request->received_ns + MW_REQUEST_WAIT_NS;
    int64_t due_ns = now_ns + (int64_t)delay_ms * MW_NS_PER_MS;
    if (request->deadline_ns != 0) {
        int64_t half = request->received_ns + (request->deadline_ns - request->received_ns) / 2;
        until_ns = half < until_ns ? half : until_ns;
    }
    if (now_ns >= until_ns || !exchange->may_defer)
        return false;
    mw_count(MW_COUNT_NET_WAITED_HANDLER, exchange->wait.due_ns == 0);
    exchange->wait.since_ns = now_ns;
    exchange->wait.until_ns = until_ns;
    exchange->wait.due_ns = due_ns < until_ns ? due_ns : until_ns;
    exchange->deferred = true;
    exchange->post(exchange->post_ctx, exchange);
    return true;
}
