/* Blocks: a batch to bytes, bytes to columns and items. The layout is in segment_format.h.
 *
 * Encoding runs on the thread that appends; the result (MW_MEM_INGEST, its index entry
 * MW_MEM_STORE) travels to the writer, which alone knows sequence and offset and seals the header
 * with them. Decoding reads bytes that nobody vouches for: after mw_hot_decode / mw_items_decode
 * succeeded, every index that the columns hold is in range; before, nothing is believed.
 */
#ifndef MW_STORE_BLOCK_H
#define MW_STORE_BLOCK_H

#include <stdatomic.h>

#include "lib/store/format/segment_format.h"

struct mw_segment;

/* What the index keeps of a block: enough to know which questions it can help to answer. Immutable
 * once published; owned by its segment. About 0.6 bytes a span at 16 spans a trace. */
typedef struct mw_index_block {
    struct mw_index_block *next_in_segment;
    struct mw_segment *segment;
    uint64_t offset;
    mw_block_header header;
    uint32_t number;                   /* merged: its position among the blocks of its segment */
    bool has_sessions;                 /* some row names a session of its own */
    uint32_t all_traces, all_sessions; /* keys, wherever they are */
    bool keys_in_footer; /* keys of traces and sessions are not here, but in the segment's footer */
    uint32_t trace_count, session_count, service_count, name_count;
    /* Of spans, the latest start; 0 = not known yet. Spans end long after they start: the header's
     * maximum would let a list of the newest traces read all blocks of as long a time. The first
     * who reads the columns notes it; all would note the same. */
    _Atomic uint64_t start_max_ns;
    /* Ascending, one run after the other: mw_trace_key of the traces (a value may stand twice, for
     * two ids that begin alike; records without a trace have the key 0), mw_text_key of the own
     * session ids, of the services, and, for metrics alone, of the names. */
    uint64_t keys[];
} mw_index_block;

/* None of the block's spans starts later. */
static inline uint64_t mw_index_start_max(const mw_index_block *block)
{
    uint64_t known = atomic_load_explicit(&block->start_max_ns, memory_order_relaxed);
    return known ? known : block->header.event_max_ns;
}

static inline const uint64_t *mw_index_traces(const mw_index_block *block)
{
    return block->keys;
}

static inline const uint64_t *mw_index_sessions(const mw_index_block *block)
{
    return block->keys + block->trace_count;
}

static inline const uint64_t *mw_index_services(const mw_index_block *block)
{
    return block->keys + block->trace_count + block->session_count;
}

static inline const uint64_t *mw_index_names(const mw_index_block *block)
{
    return mw_index_services(block) + block->service_count;
}

/* First position in an ascending run whose value is not below `key`. */
size_t mw_keys_lower_bound(const uint64_t *keys, size_t count, uint64_t key);
bool mw_keys_contain(const uint64_t *keys, size_t count, uint64_t key);

/* A text as 64 bits. The seed is the store's secret (mw_key_seed), so that no sender can make two
 * texts meet; never 0, which stands for "none". Stored in footers. */
uint64_t mw_text_key(uint64_t seed, mw_slice text);

typedef struct mw_encoded_block {
    mw_block_header header;
    unsigned char *data; /* header, chunks, padding: as it will lie in the file */
    size_t len;
    mw_index_block *entry;
} mw_encoded_block;

/* MW_E_NOMEM, MW_E_LIMIT (over MW_BLOCK_RAW_MAX). The header's bytes are filled by _seal. */
MW_MUST_USE mw_err mw_block_encode(const mw_store_batch *batch, uint64_t key_seed,
                                   uint64_t arrival_ns, mw_encoded_block *out);
/* Sequence and place are known: writes the header's bytes and completes the index entry. */
void mw_block_seal(mw_encoded_block *block, uint64_t seq, uint64_t synced,
                   const mw_block_place *place);
void mw_encoded_block_fini(mw_encoded_block *block);

/* ---- columns --------------------------------------------------------------------------------- */

/* The columns of all signals. Which of them a signal's chunk holds, and in which order, is one
 * table (mw_hot_layout_of), drawn in segment_format.h. Numbers of eight bytes: */
typedef enum mw_wide_column {
    MW_WIDE_SPAN_ID, /* bytes, not a number */
    MW_WIDE_PARENT,  /* likewise */
    MW_WIDE_TIME,    /* event time (span start, log time, point time) - the block's minimum */
    MW_WIDE_DURATION,
    MW_WIDE_INPUT_TOKENS,
    MW_WIDE_OUTPUT_TOKENS,
    MW_WIDE_SERIES,
    MW_WIDE_START, /* a point's start time, 0 = unknown */
    MW_WIDE_VALUE, /* a double's bits */
    MW_WIDE_COUNT,
    MW_WIDE_SEQ,   /* commit sequence - the block's; with _INDEX in rows of many commits alone */
    MW_WIDE_INDEX, /* position in that commit */
    MW_WIDE_COLUMNS
} mw_wide_column;

/* Of one byte: */
typedef enum mw_narrow_column {
    MW_NARROW_KIND, /* SpanKind, or the metric's kind */
    MW_NARROW_STATUS,
    MW_NARROW_OPERATION,
    MW_NARROW_SEVERITY,
    MW_NARROW_TEMPORALITY,
    MW_NARROW_FLAGS,
    MW_NARROW_COLUMNS
} mw_narrow_column;

/* References, 0 = empty, else 1 + index of the string; the trace: index of the trace id. */
typedef enum mw_hot_column {
    MW_HOT_TRACE,
    MW_HOT_NAME, /* of the span, the event or the metric */
    MW_HOT_SERVICE,
    MW_HOT_PEER_SERVICE,
    MW_HOT_SESSION,
    MW_HOT_AGENT,
    MW_HOT_USER,
    MW_HOT_MODEL,
    MW_HOT_STATUS_MESSAGE,
    MW_HOT_UNIT,
    MW_HOT_ORIGIN,
    MW_HOT_COLUMNS
} mw_hot_column;

/* Some of the columns, a bit each. Trace ids and strings belong to any set, and _INDEX to _SEQ. */
typedef uint32_t mw_column_set;
#define MW_COLUMNS_ALL UINT32_MAX
_Static_assert(MW_WIDE_COLUMNS + MW_NARROW_COLUMNS + MW_HOT_COLUMNS <= 32, "a bit each");

static inline mw_column_set mw_column_wide(mw_wide_column column)
{
    return UINT32_C(1) << column;
}

static inline mw_column_set mw_column_narrow(mw_narrow_column column)
{
    return UINT32_C(1) << (MW_WIDE_COLUMNS + column);
}

static inline mw_column_set mw_column_ref(mw_hot_column column)
{
    return UINT32_C(1) << (MW_WIDE_COLUMNS + MW_NARROW_COLUMNS + column);
}

typedef struct mw_hot_layout {
    uint8_t wide_count, narrow_count, ref_count;
    uint8_t wide[MW_WIDE_COLUMNS]; /* mw_wide_column, in the order of the file */
    uint8_t narrow[MW_NARROW_COLUMNS];
    uint8_t refs[MW_HOT_COLUMNS];
} mw_hot_layout;

/* NULL for a number that is no signal. Constant. The columns of _SEQ and _INDEX are not in it: in
 * rows of many commits they follow the other wide ones. */
const mw_hot_layout *mw_hot_layout_of(unsigned signal);

/* Pointers into an unpacked hot chunk, which stays the caller's. A column that the signal does not
 * have is NULL, and so is one that was not asked for. */
typedef struct mw_hot {
    mw_signal signal;
    bool commits_left_out; /* of many, and not asked for */
    uint32_t count, traces, strings, width;
    uint64_t base_ns, seq;
    const unsigned char *trace_ids;
    const unsigned char *wide[MW_WIDE_COLUMNS];
    const unsigned char *narrow[MW_NARROW_COLUMNS];
    const unsigned char *refs[MW_HOT_COLUMNS];
    const unsigned char *string_ends;
    const char *string_bytes;
} mw_hot;

/* MW_E_CORRUPT. `raw` must outlive *out. */
MW_MUST_USE mw_err mw_hot_decode(const mw_block_header *header, mw_slice raw, mw_hot *out);
/* The columns of the set alone: of others nothing is looked at. */
MW_MUST_USE mw_err mw_hot_decode_some(const mw_block_header *header, mw_slice raw,
                                      mw_column_set columns, mw_hot *out);
/* The string behind a reference, 0 = empty. */
mw_slice mw_hot_string(const mw_hot *hot, uint32_t ref);
/* Rows; the chunk must be of that signal. Slices of *out point into the chunk. An operation kind
 * of a newer version reads as OTHER. */
void mw_hot_span(const mw_hot *hot, uint32_t row, mw_span_row *out);
void mw_hot_log(const mw_hot *hot, uint32_t row, mw_log_row *out);
void mw_hot_point(const mw_hot *hot, uint32_t row, mw_point_row *out);
/* Index entry for a decoded block (MW_MEM_STORE), NULL without memory. */
MW_MUST_USE mw_index_block *mw_index_block_new(const mw_hot *hot, const mw_block_header *header,
                                               uint64_t key_seed);

static inline uint32_t mw_hot_ref(const mw_hot *hot, mw_hot_column column, uint32_t row)
{
    const unsigned char *refs = hot->refs[column];
    return hot->width == 2 ? mw_get_u16(refs + 2 * (size_t)row)
                           : mw_get_u32(refs + 4 * (size_t)row);
}

static inline uint64_t mw_hot_u64(const mw_hot *hot, mw_wide_column column, uint32_t row)
{
    return mw_get_u64(hot->wide[column] + 8 * (size_t)row);
}

static inline uint64_t mw_hot_time(const mw_hot *hot, uint32_t row)
{
    return hot->base_ns + mw_hot_u64(hot, MW_WIDE_TIME, row);
}

/* What commit a row came with, and its position there. */
static inline uint64_t mw_hot_seq(const mw_hot *hot, uint32_t row)
{
    MW_ASSERT(!hot->commits_left_out);
    return hot->wide[MW_WIDE_SEQ] ? hot->seq + mw_hot_u64(hot, MW_WIDE_SEQ, row) : hot->seq;
}

static inline uint32_t mw_hot_index(const mw_hot *hot, uint32_t row)
{
    MW_ASSERT(!hot->commits_left_out);
    return hot->wide[MW_WIDE_INDEX] ? (uint32_t)mw_hot_u64(hot, MW_WIDE_INDEX, row) : row;
}

static inline const unsigned char *mw_hot_trace_id(const mw_hot *hot, uint32_t trace)
{
    return hot->trace_ids + MW_TRACE_ID_SIZE * (size_t)trace;
}

/* ---- items ----------------------------------------------------------------------------------- */

typedef struct mw_items {
    uint32_t count, resources, scopes, metrics;
    const unsigned char *lengths, *resource_refs, *scope_refs;
    const unsigned char *metric_refs; /* metrics' blocks alone; else NULL */
    mw_store_context *contexts; /* resources, then scopes, then metrics' heads (no schema URL);
                                 * slices into the chunk */
    mw_slice *items;            /* slices into the chunk */
} mw_items;

/* MW_E_CORRUPT, MW_E_NOMEM. The two arrays are MW_MEM_QUERY and freed by _fini; the slices point
 * into `raw`. */
MW_MUST_USE mw_err mw_items_decode(const mw_block_header *header, mw_slice raw, mw_items *out);
void mw_items_fini(mw_items *items);

static inline uint32_t mw_items_resource(const mw_items *items, uint32_t row)
{
    return mw_get_u32(items->resource_refs + 4 * (size_t)row);
}

static inline uint32_t mw_items_scope(const mw_items *items, uint32_t row)
{
    return mw_get_u32(items->scope_refs + 4 * (size_t)row);
}

static inline uint32_t mw_items_metric(const mw_items *items, uint32_t row)
{
    return mw_get_u32(items->metric_refs + 4 * (size_t)row);
}

/* Unpacks a chunk into `out`, which has room for raw_len bytes; the codecs of the log alone
 * (planes: hot_planes.h; fields: zstd_frame.h, then item_fields.h). MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_chunk_unpack(uint8_t codec, mw_slice stored, void *out, uint32_t raw_len);

#endif
