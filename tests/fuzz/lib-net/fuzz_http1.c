/* HTTP/1 parser. Oracle: the same bytes in one piece and cut anywhere give the same requests, the
 * same bodies and the same refusal; nothing is leaked. The first byte chooses the cuts. */
#include "lib/net/http1_int.h"
#include "lib/net/net_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void record(mw_buffer *log, const mw_http1_head *head)
{
    mw_buffer_appendf(log, "[%u %d %d %d %d %llu", head->minor, head->chunked, head->has_length,
                      head->keep_alive, head->expect_continue, (unsigned long long)head->length);
    mw_buffer_append_slice(log, head->method);
    mw_buffer_append_slice(log, head->target);
    for (size_t i = 0; i < head->header_count; i++) {
        mw_buffer_append_slice(log, head->headers[i].name);
        mw_buffer_append_slice(log, head->headers[i].value);
    }
    mw_buffer_append_byte(log, ']');
    MW_ASSERT(!(head->chunked && head->has_length));
    MW_ASSERT(head->header_count <= MW_NET_HEADERS_MAX);
}

static bool take_head(mw_http1 *parser, mw_slice text, mw_buffer *log)
{
    mw_arena arena;
    mw_http1_head head;
    mw_request request = {.http_version = 1};
    mw_arena_init(&arena, MW_MEM_NET, 0);
    bool good = mw_http1_parse_head(parser, text, &arena, &head);
    if (good) {
        record(log, &head);
        request.method = head.method;
        mw_buffer_append_byte(log, mw_request_set_target(&request, head.target) ? 'y' : 'n');
    }
    mw_arena_reset(&arena);
    return good;
}

/* False once the parser has refused. */
static bool feed(mw_http1 *parser, mw_slice in, mw_buffer *log)
{
    for (;;) {
        mw_slice part;
        switch (mw_http1_next(parser, &in, &part)) {
        case MW_HTTP1_MORE: MW_ASSERT(in.len == 0); return true;
        case MW_HTTP1_HEAD:
            if (!take_head(parser, part, log))
                return false;
            break;
        case MW_HTTP1_DATA: mw_buffer_append_slice(log, part); break;
        case MW_HTTP1_END: mw_buffer_append_byte(log, '|'); break;
        case MW_HTTP1_BAD: return false;
        }
    }
}

static unsigned parse(mw_slice text, size_t step, mw_buffer *log)
{
    mw_http1 parser;
    mw_http1_init(&parser);
    bool going = true;
    for (size_t at = 0; at < text.len && going; at += step) {
        mw_slice part = mw_slice_first(mw_slice_from(text, at), step);
        char *copy = malloc(part.len);
        MW_ASSERT(copy);
        memcpy(copy, part.data, part.len);
        going = feed(&parser, (mw_slice){copy, part.len}, log);
        free(copy);
    }
    unsigned status = going ? 0 : parser.status;
    MW_ASSERT(going || (status >= 400 && status <= 599 && parser.reason));
    mw_http1_fini(&parser);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    mw_buffer whole;
    mw_buffer cut;
    mw_slice text = mw_slice_bytes(data + 1, size - 1);
    mw_buffer_init(&whole, MW_MEM_BASE, SIZE_MAX / 2);
    mw_buffer_init(&cut, MW_MEM_BASE, SIZE_MAX / 2);
    unsigned first = parse(text, text.len, &whole);
    unsigned second = parse(text, (size_t)data[0] + 1, &cut);
    MW_ASSERT(first == second);
    MW_ASSERT(mw_slice_equal(mw_buffer_slice(&whole), mw_buffer_slice(&cut)));
    mw_buffer_fini(&whole);
    mw_buffer_fini(&cut);
    MW_ASSERT(mw_memory_component_used(MW_MEM_NET) == 0);
    return 0;
}
