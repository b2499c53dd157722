/* Room-private: what the files of the validating pass share.
 *
 * scan_common.c has the levels above the items, which are the same in all signals; scan_traces.c,
 * scan_logs.c and scan_metrics.c have the items, scan_point.c a metric's points, scan_value.c
 * attributes and bodies. The scanner lives on the stack of one call; everything here runs on the
 * caller's thread.
 */
#ifndef MW_PROTO_SCAN_INT_H
#define MW_PROTO_SCAN_INT_H

#include "lib/base/utf8.h"
#include "proto/scan.h"
#include "proto/wire.h"

typedef struct mw_found_list {
    size_t count;
    uint64_t seen[4]; /* a bit a key id: most keys come once, so that no search is needed */
    mw_found items[MW_FOUND_MAX];
} mw_found_list;

/* The keys of the item before, by position: items of one sender name their attributes in the same
 * order, and comparing a key is faster than looking it up. Further ones are looked up. */
#define MW_SCAN_GUESSES 24

typedef struct mw_key_guess {
    mw_slice key; /* text without fault */
    int id;       /* as mw_keyset_find has it */
} mw_key_guess;

typedef struct mw_scanner mw_scanner;
typedef mw_err (*mw_scan_reader)(mw_scanner *scan, mw_slice message);

/* What tells the signals apart above their items: the numbers are the same. */
typedef struct mw_scan_signal {
    mw_scan_reader item;                    /* reads a Span, LogRecord or Metric */
    const char *resources, *scopes, *items; /* the fields' names, for paths */
} mw_scan_signal;

struct mw_scanner {
    const mw_scan_signal *signal;
    const mw_keyset *keys;
    const mw_scan_sink *sink;
    mw_scan_result *result;
    const uint8_t *body;
    uint64_t spent; /* of MW_OTLP_ITEMS_MAX */
    /* Where we are, for the first offender's path. */
    uint32_t resource_index, scope_index, item_index;
    /* Of the message being read, and of the levels above it. */
    bool bad_utf8, too_deep;
    bool resource_bad_utf8, resource_too_deep;
    bool scope_bad_utf8, scope_too_deep;
    mw_found_list found; /* of the resource, scope or item being read */
    unsigned attribute;  /* of these, the position of the next */
    mw_key_guess guesses[MW_SCAN_GUESSES];
};

/* ---- cursor: one message being read, with the start of the current field for errors --------- */

typedef struct mw_cursor {
    const uint8_t *at, *end, *begin;
} mw_cursor;

static inline mw_cursor mw_cursor_open(mw_slice message)
{
    const uint8_t *at = mw_wire_begin(message);
    return (mw_cursor){at, mw_wire_end(message), at};
}

static inline bool mw_cursor_more(const mw_cursor *cursor)
{
    return cursor->at < cursor->end;
}

static inline bool mw_cursor_take(mw_cursor *cursor, mw_wire_field *field)
{
    cursor->begin = cursor->at;
    cursor->at = mw_wire_next(cursor->at, cursor->end, field);
    return cursor->at != NULL;
}

/* ---- verdicts ------------------------------------------------------------------------------- */

static inline mw_err mw_scan_broken(mw_scanner *scan, const mw_cursor *cursor)
{
    scan->result->error_offset = (size_t)(cursor->begin - scan->body);
    return MW_E_SYNTAX;
}

/* A tag that no case took: an unknown number is skipped, a known one has the wrong wire type. */
static inline mw_err mw_scan_other(mw_scanner *scan, const mw_cursor *cursor, uint32_t tag,
                                   uint32_t known)
{
    uint32_t number = mw_wire_number(tag);
    if (number >= 32 || !(known >> number & 1))
        return MW_OK;
    scan->result->wrong_type = true;
    return mw_scan_broken(scan, cursor);
}

static inline mw_err mw_scan_spend(mw_scanner *scan)
{
    return ++scan->spent > MW_OTLP_ITEMS_MAX ? MW_E_LIMIT : MW_OK;
}

static inline uint64_t mw_scan_word(const char *at, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, at, size);
    return word;
}

/* Short and equal, without a loop or a call: the same loads. False also of longer texts. */
static inline bool mw_scan_short_equal(mw_slice a, mw_slice b)
{
    size_t len = a.len;
    uint64_t bits = 0;
    if (len != b.len || len > 32 || len < 4)
        return false;
    if (len >= 8) {
        bits = mw_scan_word(a.data, 8) ^ mw_scan_word(b.data, 8);
        bits |= mw_scan_word(a.data + len - 8, 8) ^ mw_scan_word(b.data + len - 8, 8);
    } else {
        bits = mw_scan_word(a.data, 4) ^ mw_scan_word(b.data, 4);
        bits |= mw_scan_word(a.data + len - 4, 4) ^ mw_scan_word(b.data + len - 4, 4);
    }
    if (len > 16) {
        bits |= mw_scan_word(a.data + 8, 8) ^ mw_scan_word(b.data + 8, 8);
        bits |= mw_scan_word(a.data + len - 16, 8) ^ mw_scan_word(b.data + len - 16, 8);
    }
    return bits == 0;
}

/* Short ASCII without a loop or a call: nearly all keys and values. Overlapping loads from both
 * ends see every byte. */
static inline bool mw_scan_short_ascii(mw_slice text)
{
    const char *at = text.data;
    size_t len = text.len;
    uint64_t bits = 0;
    if (len > 32)
        return false;
    if (len > 16)
        bits = mw_scan_word(at, 8) | mw_scan_word(at + 8, 8) | mw_scan_word(at + len - 16, 8) |
               mw_scan_word(at + len - 8, 8);
    else if (len >= 8)
        bits = mw_scan_word(at, 8) | mw_scan_word(at + len - 8, 8);
    else if (len >= 4)
        bits = mw_scan_word(at, 4) | mw_scan_word(at + len - 4, 4);
    else if (len > 0)
        bits = mw_scan_word(at, 1) | mw_scan_word(at + len / 2, 1) | mw_scan_word(at + len - 1, 1);
    return (bits & UINT64_C(0x8080808080808080)) == 0;
}

static inline bool mw_scan_is_text(mw_slice text)
{
    return mw_scan_short_ascii(text) || mw_utf8_valid(text);
}

static inline void mw_scan_text(mw_scanner *scan, mw_slice text)
{
    if (!mw_scan_is_text(text))
        scan->bad_utf8 = true;
}

/* True when `id` is `size` bytes and not all zero; copied then. */
static inline bool mw_scan_take_id(mw_slice id, size_t size, uint8_t *out)
{
    if (id.len != size || mw_id_is_zero(id.data, size))
        return false;
    memcpy(out, id.data, size);
    return true;
}

/* Before each resource, scope, metric, point and other item. */
static inline void mw_scan_reset(mw_scanner *scan)
{
    scan->bad_utf8 = false;
    scan->too_deep = false;
    scan->attribute = 0;
    scan->found.count = 0;
    memset(scan->found.seen, 0, sizeof scan->found.seen);
}

static inline mw_scan_place mw_scan_here(const mw_scanner *scan)
{
    return (mw_scan_place){scan->resource_index, scan->scope_index, scan->item_index, 0};
}

/* Everything above the item says that it is nested too deep. */
static inline bool mw_scan_context_too_deep(const mw_scanner *scan)
{
    return scan->resource_too_deep || scan->scope_too_deep;
}

/* ---- values in parts ------------------------------------------------------------------------ */

/* A message may hold its AnyValue in several parts, which merge. protobuf-c 1.4 cannot merge two
 * parts of which neither has a member and fails the whole message (found by fuzz_scan), so that
 * this one combination, which no client sends, is refused here as broken. */
typedef enum mw_value_parts { MW_PARTS_NONE, MW_PARTS_EMPTY, MW_PARTS_MEMBER } mw_value_parts;

/* False for the combination that is refused. */
static inline bool mw_scan_add_part(uint8_t *parts, bool member)
{
    if (member)
        *parts = MW_PARTS_MEMBER;
    else if (*parts == MW_PARTS_EMPTY)
        return false;
    else if (*parts == MW_PARTS_NONE)
        *parts = MW_PARTS_EMPTY;
    return true;
}

/* ---- scan_common.c -------------------------------------------------------------------------- */

/* The whole pass over one request: levels, resources and scopes; items go to signal->item. */
MW_MUST_USE mw_err mw_scan_request(const mw_scan_signal *signal, mw_slice body,
                                   const mw_keyset *keys, const mw_scan_sink *sink,
                                   mw_scan_result *result);
/* Counts a refused item, the first one with its path. `field` is the fault's place below
 * "resource_spans[0].scope_spans[0].spans[0]"; empty = the item as a whole. A resource or scope
 * that is too deep is named instead of the item when `refusal` is for depth. */
void mw_scan_refuse(mw_scanner *scan, mw_refusal refusal, const char *field);

/* ---- scan_value.c --------------------------------------------------------------------------- */

/* One KeyValue. Values of the keyset go to `found`; NULL = only check. MW_E_SYNTAX, MW_E_LIMIT;
 * too deep sets scan->too_deep. */
MW_MUST_USE mw_err mw_scan_attribute(mw_scanner *scan, mw_slice message, mw_found_list *found);
/* One AnyValue: the last member that comes is the value; `member` = one came. Errors as above. */
MW_MUST_USE mw_err mw_scan_value(mw_scanner *scan, mw_slice message, mw_value *value, bool *member);

/* ---- scan_point.c --------------------------------------------------------------------------- */

/* The metric whose points are being read. */
typedef struct mw_metric_head {
    mw_scan_metric metric;
    bool too_deep;
    /* By the kind of the part of the data: what it said, and the index of its next point. */
    bool monotonic;
    uint32_t temporality[MW_METRIC_KINDS];
    uint32_t next_index[MW_METRIC_KINDS];
} mw_metric_head;

static inline bool mw_metric_lacks_temporality(const mw_scan_metric *metric)
{
    return metric->temporality == 0 && metric->kind >= MW_METRIC_SUM &&
           metric->kind <= MW_METRIC_EXPONENTIAL_HISTOGRAM;
}

/* One data point in a part of that kind: checked, then refused or given to the sink. */
MW_MUST_USE mw_err mw_scan_data_point(mw_scanner *scan, mw_metric_head *head, mw_metric_kind kind,
                                      mw_slice message);

#endif
