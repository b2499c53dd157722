/* lib/net, private: gRPC framing of one unary call, sans I/O.
 *
 * A message on the wire (gRPC over HTTP/2, "Length-Prefixed-Message"):
 *
 *     byte 0    flag: 0 plain, 1 compressed by grpc-encoding
 *     1 to 4    length of the message, big endian
 *     5 ...     the message
 *
 * DATA frame boundaries carry no meaning. A unary call holds exactly one message.
 */
#ifndef MW_NET_GRPC_INT_H
#define MW_NET_GRPC_INT_H

#include "lib/net/request.h"

#define MW_GRPC_PREFIX_SIZE 5u
/* grpc-message and details share the 8 KiB that clients accept as trailers. */
#define MW_GRPC_MESSAGE_MAX ((size_t)1024)
#define MW_GRPC_DETAILS_MAX ((size_t)4096)

typedef enum mw_grpc_encoding {
    MW_GRPC_IDENTITY,
    MW_GRPC_GZIP,
    MW_GRPC_UNKNOWN_ENCODING
} mw_grpc_encoding;

typedef enum mw_grpc_fault {
    MW_GRPC_OK,
    MW_GRPC_BAD_FLAG,    /* neither 0 nor 1: INTERNAL */
    MW_GRPC_NOT_ENCODED, /* flag 1 without an encoding: INTERNAL */
    MW_GRPC_TOO_LARGE,   /* announced length over the limit: RESOURCE_EXHAUSTED */
    MW_GRPC_EXTRA,       /* bytes behind the one message: INTERNAL */
    MW_GRPC_SHORT        /* the stream ended inside the message or before: INVALID_ARGUMENT */
} mw_grpc_fault;

typedef struct mw_grpc_reader {
    mw_grpc_encoding encoding;
    size_t max;    /* of the message as sent */
    unsigned have; /* bytes of the prefix */
    unsigned char prefix[MW_GRPC_PREFIX_SIZE];
    bool compressed; /* known once `have` is 5 */
    uint32_t length;
    uint32_t left;
} mw_grpc_reader;

void mw_grpc_reader_init(mw_grpc_reader *reader, mw_grpc_encoding encoding, size_t max);
/* Takes DATA bytes; *message is the part of `in` that belongs to the message (may be empty). */
MW_MUST_USE mw_grpc_fault mw_grpc_feed(mw_grpc_reader *reader, mw_slice in, mw_slice *message);
/* At END_STREAM. */
MW_MUST_USE mw_grpc_fault mw_grpc_finish(const mw_grpc_reader *reader);
mw_rpc_code mw_grpc_fault_code(mw_grpc_fault fault);
const char *mw_grpc_fault_text(mw_grpc_fault fault);
void mw_grpc_prefix(size_t length, unsigned char out[MW_GRPC_PREFIX_SIZE]);

/* Value of grpc-encoding (absent = identity). */
mw_grpc_encoding mw_grpc_encoding_of(mw_slice value);
/* "application/grpc", "application/grpc+proto", "application/grpc;..."; not grpc-web. */
bool mw_grpc_content_type(mw_slice value);
bool mw_grpc_web_content_type(mw_slice value);
/* grpc-timeout: 1 to 8 digits and one of H M S m u n. MW_E_SYNTAX. */
MW_MUST_USE mw_err mw_grpc_timeout(mw_slice value, int64_t *ns);
/* Percent-encoded for grpc-message, cut at MW_GRPC_MESSAGE_MAX. NULL data without memory. */
mw_slice mw_grpc_encode_message(mw_arena *arena, mw_slice text);
/* base64 without padding for grpc-status-details-bin; empty when over MW_GRPC_DETAILS_MAX or
 * without memory: details are optional. */
mw_slice mw_grpc_encode_details(mw_arena *arena, mw_slice bytes);

#endif
