/* The segment file, drawn. With this page a stranger can write a reader.
 *
 * A store is a directory of files "%016x.seg" (the segment id in hex, small letters; with another
 * id in its header it is somebody's copy, or was renamed; without a header it is not of the store);
 * "*.tmp" are unfinished, "*.old" not needed any more, and both are removed at start; "*.aside-N" a
 * start has set aside, and nobody reads them. Beside them lie digest.key, 192 random bytes
 * under which digests, series and keys of texts are hashed (needed for none of what this page
 * draws), and catalogue.db, which is derived from the segments but for what it knows of lost ones.
 * All numbers are little endian,
 * without alignment. Checksums are XXH3-64.
 * A file is a segment header and then blocks, each beginning at a multiple of 8. There are two
 * kinds: the log, to which requests are appended as they come, a block each; and merged segments,
 * which are written once, from older segments that they replace, and end with a footer
 * (segment_footer.h draws it; blocks can be read without).
 *
 * Segment header, 80 bytes
 *
 *   off size
 *     0    8  magic "MWSEGMT\n"
 *     8    2  version, 4 (3: the same without codec 5; 2: logs alone). Magic, version, length, id
 *             and checksum keep their place in all versions
 *    10    2  kind: 0 = log, 1 = merged
 *    12    4  header length, 80: the first block's offset
 *    16    8  segment id, as in the file's name; never used again, never 0
 *    24    8  creation, unix ns
 *    32    8  predecessor's segment id, 0 = none; logs alone, as the next
 *    40    8  predecessor's end: its last synced offset. Nothing behind it is ever read
 *    48    8  durable end: bytes of this file that were synced before it got its name; merged: the
 *             end of the blocks, where the footer begins
 *    56    8  the first commit sequence that this file's own appends may have; merged: the lowest
 *             of all that was merged, repeats included
 *    64    8  salt: random, so that no sender can forge a block inside its own data
 *    72    8  checksum of bytes 0..71, seed = segment id
 *
 * Block = header (128 bytes), hot chunk, item chunk, zero bytes up to a multiple of 8
 *
 *   off size
 *     0    8  magic "MWBLOCK\n"
 *     8    4  header length, 128
 *    12    4  items (n), at least 1
 *    16    8  commit sequence; merged: the lowest of its items
 *    24    8  synced: the offset up to which the file was known to be durable when this was written
 *    32   16  digest of the request (DESIGN 4.6): equal ones mean that it was sent again; zero =
 *             not computed; merged: zero
 *    48    8  event time min: the earliest start, log time or point time
 *    56    8  event time max: the latest of all these, and of span ends
 *    64    8  arrival, unix ns; merged: the earliest of the blocks that its items come from
 *    72    4  hot chunk: bytes in the file         76    4  the same, unpacked
 *    80    4  item chunk: bytes in the file        84    4  the same, unpacked
 *    88    8  checksum of the hot chunk as in the file, seed 0
 *    96    8  checksum of the item chunk as in the file with the padding behind it, seed 0
 *   104    4  spans with status ERROR, log records of severity ERROR (17) or above, 255 included
 *   108    1  signal: 1 = traces (items are spans), 2 = metrics (data points), 3 = logs
 *   109    1  codec of the hot chunk: 0 = as it is, 1 = lz4 block, 3 = planes
 *   110    1  codec of the item chunk: 0, 1, or 2 = pieces, when it is longer than 1 MiB, or
 *             4 = fields, 5 = fields in the log (item_fields.h draws both)
 *   111    1  rows: 0 = item i is item i of the commit; 1 = of many commits (merged): two more
 *             wide columns
 *   112    8  zero
 *   120    8  checksum of bytes 0..119, seed = XXH3-64 of (segment id, block's offset), 16 bytes,
 *             with the segment's salt as its seed: a block that was copied, or that is left over
 *             from a recycled file, never validates
 *
 * Hot chunk, unpacked (n items, t traces, s strings, reference width w)
 *
 *   size     what
 *   4        t: trace ids, 0 for metrics
 *   4        s: strings, distinct, none of them empty
 *   4        bytes of all strings
 *   4        w: 2 or 4
 *   16 t     trace ids, ascending, distinct; a log record without one has the id of zeros
 *   8 n x    the signal's wide columns, in the order below
 *   n x      its narrow columns
 *   w n x    its references: 0 = empty, else 1 + index of the string; trace: index of the trace id
 *   4 s      strings: the end of each
 *            strings: their bytes
 *
 *            wide                        narrow                 references
 *   traces   span id, parent span id     kind                   trace, name, service,
 *            (zero = root), start - min, status                 peer service, session id,
 *            end - start (modulo 2^64),  operation kind         agent, user, model,
 *            input tokens (-1 =          flags (MW_ITEM_*,      status message, origin
 *            unknown), output tokens     MW_SPAN_*)
 *   metrics  series, time - min,         kind, temporality      name, service, session id,
 *            start (0 = unknown), value  flags (MW_ITEM_*,      unit, origin
 *            (a double), count           MW_POINT_*)
 *   logs     span id (zero = none),      severity               trace, event name, service,
 *            time - min                  flags (MW_ITEM_*)      session id, agent, origin
 *
 *            Rows of many commits have, behind the other wide columns: commit sequence - the
 *            block's, position in that commit.
 *
 *            min is the block's event time min. Ids are bytes in their order; tokens are signed.
 *            Texts are what the item, its scope and its resource say (collector/resolve.h), never
 *            what it inherits from other spans; all but origins end at 256 bytes, at the last whole
 *            character. Narrow numbers are OTLP's, 255 for one beyond those, but for
 *
 *            operation kind  0 other, 1 agent, 2 workflow, 3 model, 4 embedding, 5 tool,
 *                            6 retrieval, 7 memory, 8 guardrail, 9 eval, 10 http, 11 rpc, 12 db,
 *                            13 messaging
 *            kind of points  1 gauge, 2 sum, 3 histogram, 4 exponential histogram, 5 summary
 *            flags           1 a text is no UTF-8; spans: 2 has an event "exception"; points:
 *                            2 value sent as integer, 4 monotonic sum, 8 no recorded value
 *
 *            Value and count: of gauges and sums the value, as a double, and 0; of the others the
 *            sum of what was observed and its count. A NaN where there is no value. Series: a keyed
 *            hash of all that tells one series from another (collector/series.h). Origin: AWS
 *            request headers, "name=value", one a line.
 *
 * Planes: a byte, then zstd frames, one behind the other; what they unpack to, together, is the hot
 * chunk (as long as the header says, the byte not counted) with some columns written differently,
 * at the same places and as long:
 *
 *            a column of 8 bytes a row, and a reference, stands as planes: the first bytes of all
 *            rows, then the second ones, and so on. Span ids, of spans and of log records, do not
 *            (parent span ids do), nor columns of a byte, nor what stands before or behind the
 *            columns
 *            before that the event time (start - min, time - min), series, start of a point,
 *            value (its bits), count, commit sequence and position became steps: the difference d
 *            to the row above (to 0 in the first), modulo 2^64, as the number 2 d, or for a
 *            negative d as -2 d - 1
 *            before that, if the byte is 1 (it is 0 else), a parent that is the span id of row p in
 *            the block became, in row i, the number 1 + (the step i - p, likewise written). No
 *            parent is then an id of 1 to 2^32 - 1, read as a number; those of other blocks stay
 *
 * Item chunk, unpacked (r resources, c scopes, m metric heads; m is 0 but for metrics)
 *
 *   4, 4, 4  r, c, m
 *   8 (r+c+m) length of the message, length of its schema URL (metric heads: 0): resources, then
 *            scopes, then heads
 *   4 n      length of each item
 *   4 n      its resource
 *   4 n      its scope
 *   4 n      its metric head (metrics alone)
 *            bytes: message and schema URL of each resource, scope and head, then the items
 *
 *            An item is the OTLP message Span, LogRecord or of its kind of data point, byte for
 *            byte as it was received (from JSON: as protobuf); resources and scopes are Resource
 *            and InstrumentationScope, likewise, empty when there was none. A head is a Metric
 *            message without its points: name, description, unit, metadata, and data of its kind
 *            that holds temporality and monotonic alone.
 *
 * Pieces: for each 1 MiB of the unpacked chunk, of which the last is shorter, 4 bytes length in the
 * file and then that many bytes: an lz4 block, or the piece as it is when the length is its own.
 *
 * Order in merged segments. Spans stand by the first start of their trace, then by trace, a trace's
 * together: no trace of a block starts behind the next block of spans. Points stand by series, time
 * and start, log records as they were committed. The blocks of a signal stand together.
 *
 * Which blocks count. None of a segment that a merged one of the directory names as replaced
 * (segment_footer.h), though its file may still lie there. A merged segment has blocks up to its
 * durable end. Of segments of the log, one whose end somebody wrote down ends there: it stands in
 * the header of the segment whose predecessor it is, also when that is replaced, or in a footer.
 * Otherwise, the newest that is not replaced ends before its torn tail, and so does one of which
 * the next of the log names a later predecessor: the one that knew its end is lost. Any other ends
 * at its own durable end: its creator never acknowledged anything in it.
 *
 * The torn tail begins at the first block of which header or chunks do not validate, behind all
 * that was durable: its durable end, what a valid header in it names as synced, and, where there is
 * a catalogue, the bytes of its row. Before that, and in every other segment, such a block is
 * damage. It is left out alone; behind a header that does not validate, the next block begins at
 * the next multiple of 8 where one does.
 *
 * Where the newest ends in order, the file ends, or eight zero bytes stand behind the last block
 * (as many as there are before the file's end). What follows them is left over from another
 * segment, whose file was used again: none of its blocks validates here. Anything else there is a
 * torn tail, or damage of a block that nothing behind it proves.
 *
 * Which rows count. A span is known by trace id and span id, a point by series, time and start. Of
 * rows that are equal in that, the first by commit sequence and position counts; a merge drops the
 * others of its inputs, and copies in different segments stay until they meet. Log records all
 * count.
 */
#ifndef MW_STORE_SEGMENT_FORMAT_H
#define MW_STORE_SEGMENT_FORMAT_H

#include <endian.h>

#include "lib/store/store.h"

#define MW_SEGMENT_MAGIC "MWSEGMT\n"
/* 3: without codec 5; 2: logs alone; 1 held spans alone, without origin */
#define MW_SEGMENT_VERSION 4u
#define MW_SEGMENT_VERSION_LEAST 2u /* the oldest that is read */
#define MW_SEGMENT_HEADER_SIZE 80u
#define MW_BLOCK_MAGIC "MWBLOCK\n"
#define MW_BLOCK_HEADER_SIZE 128u
#define MW_BLOCK_ALIGN 8u
#define MW_END_MARK_SIZE 8u /* zeros, where something follows the last block */
#define MW_CODEC_PLAIN 0u
#define MW_CODEC_LZ4 1u
#define MW_CODEC_PIECES 2u
#define MW_CODEC_PLANES 3u
#define MW_CODEC_FIELDS 4u
#define MW_CODEC_LOG_FIELDS 5u
#define MW_PIECE_SIZE ((uint32_t)1 << 20)

/* Both chunks unpacked, together. Four times the largest request: columns and tables have room. */
#define MW_BLOCK_RAW_MAX ((uint64_t)256 << 20)
/* lz4 cannot pack tighter than this: a longer claim is a bomb or damage. */
#define MW_LZ4_RATIO_MAX 255u

#define MW_HOT_PREFIX 16u   /* the four numbers in front of the columns */
#define MW_ITEMS_PREFIX 12u /* the three counts */
#define MW_ITEMS_CONTEXT 8u /* the two lengths of a resource, scope or head */

_Static_assert(MW_SEGMENT_HEADER_SIZE % MW_BLOCK_ALIGN == 0, "the first block is aligned");
_Static_assert(MW_BLOCK_HEADER_SIZE % MW_BLOCK_ALIGN == 0, "a block header keeps the alignment");
_Static_assert(sizeof MW_SEGMENT_MAGIC - 1 == 8 && sizeof MW_BLOCK_MAGIC - 1 == 8, "magic");
_Static_assert(MW_TRACE_ID_SIZE == 16 && MW_SPAN_ID_SIZE == 8, "the columns' widths");
_Static_assert(MW_BLOCK_RAW_MAX < INT32_MAX, "lz4 takes int");
_Static_assert(MW_OP_COUNT <= 255 && MW_OP_MESSAGING == 13, "stored as a byte, only appended to");

typedef enum mw_segment_kind { MW_SEGMENT_LOG = 0, MW_SEGMENT_MERGED = 1 } mw_segment_kind;

typedef struct mw_segment_header {
    uint64_t id;
    uint64_t created_ns;
    uint64_t predecessor_id;
    uint64_t predecessor_end;
    uint64_t durable_end;
    uint64_t first_seq;
    uint64_t salt;
    mw_segment_kind kind;
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
    mw_signal signal;
    uint8_t hot_codec, items_codec;
    bool many_commits; /* rows carry their commit sequence and position */
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

/* Does an item chunk hold items in fields (item_fields.h)? */
static inline bool mw_codec_in_fields(uint8_t codec)
{
    return codec == MW_CODEC_FIELDS || codec == MW_CODEC_LOG_FIELDS;
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
 * the write of the same place; what they accept has lengths within the bounds above and names a
 * signal. MW_E_UNSUPPORTED: a whole segment header, but of another version of this format. Any
 * thread. */
void mw_segment_header_write(const mw_segment_header *header,
                             unsigned char out[MW_SEGMENT_HEADER_SIZE]);
MW_MUST_USE mw_err mw_segment_header_read(const unsigned char in[MW_SEGMENT_HEADER_SIZE],
                                          mw_segment_header *header);
void mw_block_header_write(const mw_block_header *header, const mw_block_place *place,
                           unsigned char out[MW_BLOCK_HEADER_SIZE]);
MW_MUST_USE mw_err mw_block_header_read(const unsigned char in[MW_BLOCK_HEADER_SIZE],
                                        const mw_block_place *place, mw_block_header *header);
/* The seed of what lies at that place: of a block's header, of a part of a footer. */
uint64_t mw_place_seed(const mw_block_place *place);
/* Checksum of a chunk as it lies in the file. */
uint64_t mw_chunk_checksum(const void *bytes, size_t len);

#endif
