/* lib/net, private: HTTP/1.1 framing, sans I/O: bytes to requests, responses to bytes.
 *
 * Strict (RFC 9112) where leniency would let two parsers see two requests: CRLF only, no folded
 * headers, no blank before the colon, Content-Length or "chunked" but not both and not twice.
 * The outcome does not depend on where the input was split.
 *
 *     mw_http1_next  MORE          feed more bytes
 *                    HEAD  text    call mw_http1_parse_head with it before anything else
 *                    DATA  slice   part of the body, chunk framing taken off
 *                    END           the request is over; the next begins
 *                    BAD           http1.status and http1.reason; nothing more is read
 */
#ifndef MW_NET_HTTP1_INT_H
#define MW_NET_HTTP1_INT_H

#include "lib/base/buffer.h"
#include "lib/base/clock.h"
#include "lib/net/out_queue_int.h"
#include "lib/net/request.h"

/* Chunk size line: 16 digits and an extension nobody uses; the sum keeps one-byte chunks with
 * long extensions from being a way to send for ever. */
#define MW_HTTP1_CHUNK_LINE_MAX 256
#define MW_HTTP1_EXTENSIONS_MAX ((size_t)16 << 10)
/* Trailers are checked and dropped. */
#define MW_HTTP1_TRAILERS_MAX ((size_t)8 << 10)

typedef enum mw_http1_step {
    MW_HTTP1_MORE,
    MW_HTTP1_HEAD,
    MW_HTTP1_DATA,
    MW_HTTP1_END,
    MW_HTTP1_BAD
} mw_http1_step;

typedef struct mw_http1 {
    int state;      /* see http1.c */
    mw_buffer line; /* a head or trailer that came in pieces */
    size_t scanned; /* no line end before this offset of the head */
    size_t line_start;
    uint64_t left;      /* bytes of the body or of the chunk still to come */
    unsigned digits;    /* of the chunk size so far */
    size_t line_length; /* of the chunk size line so far */
    size_t extensions;  /* bytes of chunk extensions in this request */
    size_t trailers;    /* bytes of trailers in this request */
    unsigned status;    /* with MW_HTTP1_BAD */
    const char *reason;
} mw_http1;

typedef struct mw_http1_head {
    unsigned minor; /* HTTP/1.minor */
    mw_slice method;
    mw_slice target;
    mw_slice host; /* data NULL when absent */
    const mw_header *headers;
    size_t header_count;
    bool chunked;
    bool has_length;
    uint64_t length;
    bool keep_alive;
    bool expect_continue;
} mw_http1_head;

void mw_http1_init(mw_http1 *http1);
void mw_http1_fini(mw_http1 *http1);
/* Takes from the front of *in. `out` is valid until the next call and while the input is. */
mw_http1_step mw_http1_next(mw_http1 *http1, mw_slice *in, mw_slice *out);
/* Bytes of a body with Content-Length that are still to come, 0 = what comes next is anything else.
 * _skip: so many of them went straight to where the body is; END is due behind the last. */
uint64_t mw_http1_length_left(const mw_http1 *http1);
void mw_http1_skip(mw_http1 *http1, size_t len);
/* Parses what HEAD gave into the arena; false: as MW_HTTP1_BAD (status 503 = no memory). */
MW_MUST_USE bool mw_http1_parse_head(mw_http1 *http1, mw_slice text, mw_arena *arena,
                                     mw_http1_head *head);
/* True between requests: no byte of the next head was seen. */
bool mw_http1_idle(const mw_http1 *http1);

/* Splits "/path?query" or "http://host/path?query" into the request's fields; an authority in
 * the target replaces the one of Host. False when it is neither, or holds bytes outside
 * 0x21-0x7e or a fragment. Used for h2's :path too. */
MW_MUST_USE bool mw_request_set_target(mw_request *request, mw_slice target);

/* "Sun, 06 Nov 1994 08:49:37 GMT", formatted once a second. One a loop. */
#define MW_HTTP_DATE_SIZE 30
typedef struct mw_http_date {
    int64_t second;
    char text[MW_HTTP_DATE_SIZE];
} mw_http_date;
mw_slice mw_http_date_now(mw_http_date *date, int64_t wall_ns);

const char *mw_http_status_text(unsigned status);

/* How the end of a body is told (RFC 9112 6.3). */
typedef enum mw_http1_framing {
    MW_HTTP1_LENGTH,
    MW_HTTP1_CHUNKED,
    MW_HTTP1_UNTIL_CLOSE /* for HTTP/1.0, which knows no chunks */
} mw_http1_framing;

typedef struct mw_http1_answer {
    const mw_response *response;
    mw_slice date; /* empty = none */
    mw_http1_framing framing;
    bool close;
} mw_http1_answer;
/* Status line, headers and the empty line; the body is the caller's. Errors are the queue's. */
void mw_http1_write_head(mw_out_queue *out, const mw_http1_answer *answer);
/* The size line of a chunk; its data and "\r\n" are the caller's. */
void mw_http1_write_chunk_size(mw_out_queue *out, size_t len);

#endif
