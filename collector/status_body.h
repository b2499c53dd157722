/* google.rpc.Status: what an OTLP client gets with every refusal, in its own encoding.
 *
 * Pure: bytes are written into the arena given. On the gRPC framing the Status goes into the
 * trailers (code, message, details), on HTTP it is the body. When the arena is full the answer
 * loses its body, never its status. Any thread. Source: OTLP 1.11, "Failures"; google.rpc.
 */
#ifndef MW_COLLECTOR_STATUS_BODY_H
#define MW_COLLECTOR_STATUS_BODY_H

#include "lib/net/request.h"

/* In which form the client reads its answer. */
typedef enum mw_answer_form {
    MW_FORM_GRPC,
    MW_FORM_PROTOBUF, /* HTTP, application/x-protobuf */
    MW_FORM_JSON      /* HTTP, application/json, and whoever asks for neither */
} mw_answer_form;

/* The form of a request's answer; *known is false when it is HTTP with another content type than
 * these two. Parameters and case of the content type do not matter. */
mw_answer_form mw_answer_form_of(const mw_request *request, bool *known);

typedef struct mw_status {
    unsigned http_status;
    mw_rpc_code code;
    mw_slice message;
    unsigned retry_after_s; /* 0 = not retryable; else Retry-After and RetryInfo */
    mw_slice field;         /* where the request is wrong, for BadRequest; empty = none */
} mw_status;

/* The Status message as bytes, or as JSON; data NULL when the arena is full. */
mw_slice mw_status_protobuf(const mw_status *status, mw_arena *arena);
mw_slice mw_status_json(const mw_status *status, mw_arena *arena);

/* Fills the whole of `response`. Slices of `status` must live as long as the response. */
void mw_status_answer(const mw_status *status, mw_answer_form form, mw_arena *arena,
                      mw_response *response);
/* Fills content type, body or details, and Retry-After where it is not set yet. */
void mw_status_fill(const mw_status *status, mw_answer_form form, mw_arena *arena,
                    mw_response *response);

#endif
