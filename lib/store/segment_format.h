/* The segment file, drawn. With this page a stranger can write a reader.
 *
 * A store is a directory of files "%016x.seg" (the segment id in hex); "*.tmp" are unfinished and
 * removed at start. All numbers are little endian, without alignment. Checksums are XXH3-64.
 * A file is a segment header and then blocks, each beginning at a multiple of 8.
 *
 * Segment header, 80 bytes
 *
 *   off size
 *     0    8  magic "MWSEGMT\n"
 *     8    4  version, 1
 *    12    4  header length, 80: the first block's offset
 *    16    8  segment id, as in the file's name; never used again, never 0
 *    24    8  creation, unix ns
 *    32    8  predecessor's segment id, 0 = none
 *    40    8  predecessor's end: its last synced offset. Nothing behind it is ever read
 *    48    8  durable end: bytes of this file that were synced before it got its name
 *    56    8  the first commit sequence that this file's own appends may have
 *    64    8  salt: random, so that no sender can forge a block inside its own data
 *    72    8  checksum of bytes 0..71, seed = segment id
 *
 * Block = header (128 bytes), hot chunk, item chunk, zero bytes up to a multiple of 8
 *
 *   off size
 *     0    8  magic "MWBLOCK\n"
 *     8    4  header length, 128
 *    12    4  items (n), at least 1
 *    16    8  commit sequence
 *    24    8  synced: the offset up to which the file was known to be durable when this was written
 *    32   16  digest of the request (DESIGN 4.6), zero = not computed
 *    48    8  event time min: the earliest start
 *    56    8  event time max: the latest of all starts and ends
 *    64    8  arrival, unix ns
 *    72    4  hot chunk: bytes in the file         76    4  the same, unpacked
 *    80    4  item chunk: bytes in the file        84    4  the same, unpacked
 *    88    8  checksum of the hot chunk as in the file, seed 0
 *    96    8  checksum of the item chunk as in the file with the padding behind it, seed 0
 *   104    4  items with status ERROR
 *   108    1  signal: 1 = spans
 *   109    1  codec of the hot chunk: 0 = as it is, 1 = lz4 block
 *   110    1  codec of the item chunk
 *   111    9  zero
 *   120    8  checksum of bytes 0..119, seed = XXH3-64 of (segment id, block's offset), 16 bytes,
 *             with the segment's salt as its seed: a block that was copied, or that is left over
 *             from a recycled file, never validates
 *
 * Hot chunk of spans, unpacked (t traces, s strings, reference width w)
 *
 *   size     what
 *   4        t
 *   4        s
 *   4        bytes of all strings
 *   4        w: 2 or 4
 *   16 t     trace ids, ascending, distinct
 *   8 n      span ids
 *   8 n      parent span ids, zero = root
 *   8 n      start - event time min
 *   8 n      end - start (modulo 2^64: clocks may run backwards)
 *   8 n      input tokens, -1 = unknown
 *   8 n      output tokens
 *   n        kind
 *   n        status
 *   n        operation kind (enum mw_operation_kind)
 *   n        flags (MW_SPAN_*)
 *   w n      trace: index of the trace id
 *   w n x 8  name, service, peer service, session id, agent, user, model, status message:
 *            0 = empty, else 1 + index of the string
 *   4 s      strings: the end of each
 *            strings: their bytes
 *
 * Item chunk, unpacked (r resources, c scopes)
 *
 *   4, 4     r, c
 *   8 (r+c)  length of the message, length of its schema URL: resources, then scopes
 *   4 n      length of each item
 *   4 n      its resource
 *   4 n      its scope
 *            bytes: message and schema URL of each resource and scope, then the items
 *
 * Which blocks count. A segment that another names as its predecessor ends at the offset written
 * there. Otherwise, the newest ends before the first block that does not validate (a torn tail),
 * and any other at its own durable end: its creator never acknowledged anything in it.
 */
#ifndef MW_STORE_SEGMENT_FORMAT_H
#define MW_STORE_SEGMENT_FORMAT_H

#include <endian.h>

#include "lib/store/store.h"

#define MW_SEGMENT_MAGIC "MWSEGMT\n"
#define MW_SEGMENT_VERSION 1u
#define MW_SEGMENT_HEADER_SIZE 80u
#define MW_BLOCK_MAGIC "MWBLOCK\n"
#define MW_BLOCK_HEADER_SIZE 128u
#define MW_BLOCK_ALIGN 8u
#define MW_SIGNAL_SPANS 1u
#define MW_CODEC_PLAIN 0u
#define MW_CODEC_LZ4 1u

/* Both chunks unpacked, together. Four times the largest request: columns and tables have room. */
#define MW_BLOCK_RAW_MAX ((uint64_t)256 << 20)
/* lz4 cannot pack tighter than this: a longer claim is a bomb or damage. */
#define MW_LZ4_RATIO_MAX 255u

#define MW_HOT_PREFIX 16u    /* the four numbers in front of the columns */
#define MW_HOT_FIXED 52u     /* bytes of one span in the columns that have no reference */
#define MW_HOT_REFERENCES 9u /* reference columns: the trace and eight strings */
#define MW_ITEMS_PREFIX 8u   /* the two counts */
#define MW_ITEMS_FIXED 12u   /* length, resource, scope of one item */
#define MW_ITEMS_CONTEXT 8u  /* the two lengths of a resource or scope */

_Static_assert(MW_SEGMENT_HEADER_SIZE % MW_BLOCK_ALIGN == 0, "the first block is aligned");
_Static_assert(MW_BLOCK_HEADER_SIZE % MW_BLOCK_ALIGN == 0, "a block header keeps the alignment");
_Static_assert(sizeof MW_SEGMENT_MAGIC - 1 == 8 && sizeof MW_BLOCK_MAGIC - 1 == 8, "magic");
_Static_assert(MW_TRACE_ID_SIZE == 16 && MW_SPAN_ID_SIZE == 8, "the columns' widths");
_Static_assert(MW_HOT_FIXED == 6 * 8 + 4, "six wide and four narrow columns");
_Static_assert(MW_BLOCK_RAW_MAX < INT32_MAX, "lz4 takes int");
_Static_assert(MW_OP_COUNT <= 255 && MW_OP_MESSAGING == 13, "stored as a byte, only appended to");

typedef struct mw_segment_header {
    uint64_t id;
    uint64_t created_ns;
    uint64_t predecessor_id;
    uint64_t predecessor_end;
    uint64_t durable_end;
    uint64_t first_seq;
    uint64_t salt;
} mw_segment_header;

typedef struct mw_block_header {
    uint32_t item_count;
    uint64_t seq;
    uint64_t synced;
    uint8_t digest[16];
    uint64_t event_min_ns, event_max_ns;
    uint64_t arrival_ns;
    uint32_t hot_stored, hot_raw;
    uint32_t items_stored, items_raw;
    uint64_t hot_checksum, items_checksum;
    uint32_t error_count;
    uint8_t hot_codec, items_codec;
} mw_block_header;

/* Where a block lies: what seeds its checksum. */
typedef struct mw_block_place {
    uint64_t salt;
    uint64_t segment_id;
    uint64_t offset;
} mw_block_place;

static inline uint16_t mw_get_u16(const void *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return le16toh(value);
}

static inline uint32_t mw_get_u32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return le32toh(value);
}

static inline uint64_t mw_get_u64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return le64toh(value);
}

static inline void mw_put_u16(void *to, uint16_t value)
{
    value = htole16(value);
    memcpy(to, &value, sizeof value);
}

static inline void mw_put_u32(void *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof value);
}

static inline void mw_put_u64(void *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof value);
}

/* The first eight bytes of a trace id as a number that sorts like the id. */
static inline uint64_t mw_trace_key(const void *trace_id)
{
    uint64_t value;
    memcpy(&value, trace_id, sizeof value);
    return be64toh(value);
}

/* Bytes of a block in the file, padding included. */
static inline uint64_t mw_block_size(const mw_block_header *header)
{
    uint64_t size = (uint64_t)MW_BLOCK_HEADER_SIZE + header->hot_stored + header->items_stored;
    return (size + MW_BLOCK_ALIGN - 1) & ~(uint64_t)(MW_BLOCK_ALIGN - 1);
}

/* The item chunk with the padding behind it: what the second checksum covers. */
static inline uint32_t mw_items_padded(const mw_block_header *header)
{
    return (uint32_t)(mw_block_size(header) - MW_BLOCK_HEADER_SIZE - header->hot_stored);
}

/* Headers to bytes and back. The reads return MW_E_CORRUPT for anything that was not written by
 * the write of the same place; what they accept has lengths within the bounds above. Any thread. */
void mw_segment_header_write(const mw_segment_header *header,
                             unsigned char out[MW_SEGMENT_HEADER_SIZE]);
MW_MUST_USE mw_err mw_segment_header_read(const unsigned char in[MW_SEGMENT_HEADER_SIZE],
                                          mw_segment_header *header);
void mw_block_header_write(const mw_block_header *header, const mw_block_place *place,
                           unsigned char out[MW_BLOCK_HEADER_SIZE]);
MW_MUST_USE mw_err mw_block_header_read(const unsigned char in[MW_BLOCK_HEADER_SIZE],
                                        const mw_block_place *place, mw_block_header *header);
/* Checksum of a chunk as it lies in the file. */
uint64_t mw_chunk_checksum(const void *bytes, size_t len);

#endif
