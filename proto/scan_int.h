/* Room-private: what scan.c (messages) and scan_value.c (attributes) share.
 *
 * The scanner lives on the stack of one call; everything here runs on the caller's thread.
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

typedef struct mw_scanner {
    const mw_keyset *keys;
    const mw_scan_sink *sink;
    mw_scan_result *result;
    const uint8_t *body;
    uint64_t spent; /* of MW_OTLP_ITEMS_MAX */
    /* Where we are, for the first offender's path. */
    uint32_t resource_index, scope_index, span_index;
    /* Of the message being read, and of the levels above it. */
    bool bad_utf8, too_deep;
    bool resource_bad_utf8, resource_too_deep;
    bool scope_bad_utf8, scope_too_deep;
    mw_found_list found; /* of the resource, scope or span being read */
} mw_scanner;

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

static inline void mw_scan_text(mw_scanner *scan, mw_slice text)
{
    if (!mw_scan_short_ascii(text) && !mw_utf8_valid(text))
        scan->bad_utf8 = true;
}

/* Before each resource, scope and span. */
static inline void mw_scan_reset(mw_scanner *scan)
{
    scan->bad_utf8 = false;
    scan->too_deep = false;
    scan->found.count = 0;
    memset(scan->found.seen, 0, sizeof scan->found.seen);
}

/* ---- scan_value.c --------------------------------------------------------------------------- */

/* One KeyValue. Values of the keyset go to `found`; NULL = only check. MW_E_SYNTAX, MW_E_LIMIT;
 * too deep sets scan->too_deep. */
MW_MUST_USE mw_err mw_scan_attribute(mw_scanner *scan, mw_slice message, mw_found_list *found);

#endif
