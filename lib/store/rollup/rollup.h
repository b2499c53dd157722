/* Roll-ups: per minute, service and operation how many spans, errors and how long; per minute and
 * call edge the same.
 *
 * Pure: rows in, a table out, to bytes and back. A table belongs to one merged segment (it lies in
 * its footer) or to the unmerged tail, and tables are added to answer a question; minutes are of
 * event time (a span's start). All spans count for their service and operation (the span's name),
 * and those through which work enters a service (kind SERVER or CONSUMER, or without a parent) once
 * more by themselves: what a service is asked is not mixed with what it does inside. An error is a
 * span of status ERROR.
 *
 * An edge is a parent and a child span of different service, both known, counted in the minute,
 * with the error and the duration of the child; or a CLIENT or PRODUCER span with a peer name other
 * than its own service whose call no child of another service resolves, counted with its own
 * (DESIGN 5). Where a CLIENT span has a SERVER child, the difference of their durations is the time
 * on the wire, of which edges have a histogram of their own.
 *
 * Edges across tables. A trace is given to a table whole: the spans that are new, and those of
 * earlier tables (`earlier`: repeats of them were removed). What the table counts is what all of
 * the spans come to, less what the earlier ones came to: new spans are counted, earlier ones are
 * not; an edge is counted when the later of its two ends is new. A call of an earlier CLIENT span
 * that was counted by its peer name and is now resolved by a new child is taken back: counts of a
 * table are signed. So tables add up to what one table of all spans would hold, whatever the order.
 */
#ifndef MW_STORE_ROLLUP_H
#define MW_STORE_ROLLUP_H

#include "lib/base/arena.h"
#include "lib/base/clock.h"

/* Latency histogram: buckets of a factor of 2^(1/4) from 1 us to 2^32 us; what is shorter or
 * longer is in the first and last one. The middle of a bucket is within 9.1 % of all that is in
 * it (but for those two), so that a quantile is as near to the true value. */
#define MW_LATENCY_BUCKETS 130u
uint32_t mw_latency_bucket(uint64_t duration_ns);
/* Upper edge in ns, exclusive; the last one UINT64_MAX. */
uint64_t mw_latency_bound_ns(uint32_t bucket);
/* The middle (geometric) in ns; of the first 500 ns, of the last its lower edge. */
uint64_t mw_latency_value_ns(uint32_t bucket);

#define MW_MINUTE_NS (60 * (uint64_t)MW_NS_PER_S)

typedef struct mw_rollup mw_rollup;

typedef struct mw_rollup_span {
    uint64_t span_id, parent_id; /* 0 = root */
    uint64_t start_ns, duration_ns;
    uint32_t service, operation, peer; /* mw_rollup_text; 0 = unknown */
    uint8_t kind, status;              /* as in mw_span_row */
    bool earlier;
    uint8_t marks; /* mw_rollup_trace's own, and MW_ROLLUP_REPEAT */
} mw_rollup_span;

/* Set by mw_rollup_trace: a span before it has the same id. */
#define MW_ROLLUP_REPEAT 4u

/* end - start of a row as the columns hold it: what ends before it starts took no time. */
static inline uint64_t mw_rollup_duration(uint64_t difference_ns)
{
    return difference_ns > INT64_MAX ? 0 : difference_ns;
}

MW_MUST_USE mw_err mw_rollup_new(mw_rollup **out); /* MW_E_NOMEM; MW_MEM_ROLLUP */
void mw_rollup_free(mw_rollup *rollup);            /* NULL is ignored */
size_t mw_rollup_bytes(const mw_rollup *rollup);

/* Forgets all cells; texts keep their numbers. */
void mw_rollup_clear(mw_rollup *rollup);

/* What a table keeps of what is added to it from now on; all of it by default. Left out minutes and
 * operations are added up in minute 0 and the empty operation. A question keeps what it shows, so
 * that a window of any length fits. */
enum {
    MW_ROLLUP_MINUTES = 1,
    MW_ROLLUP_OPERATIONS = 2,
    MW_ROLLUP_SERVICES = 4, /* spans by service and operation */
    MW_ROLLUP_CALLS = 8,    /* edges */
    MW_ROLLUP_ALL = 15
};
void mw_rollup_keep(mw_rollup *rollup, unsigned what);

/* A number for a text, 0 for the empty one; UINT32_MAX without memory. What is behind the first
 * MW_ROLLUP_TEXT_MAX bytes (as many as the collector resolves) does not count. Distinct texts of
 * one table are bounded, so that no sender of random names makes it grow: those beyond become
 * "(other)". */
#define MW_ROLLUP_TEXTS_MAX 65536u
#define MW_ROLLUP_TEXT_MAX 256u
uint32_t mw_rollup_text(mw_rollup *rollup, mw_slice text);
/* The same for an operation's name. These are what a sender makes many of, so that a quarter of the
 * texts is kept from them: services and peers that come later are still told apart. */
#define MW_ROLLUP_OPERATIONS_MAX (MW_ROLLUP_TEXTS_MAX / 4 * 3)
uint32_t mw_rollup_operation(mw_rollup *rollup, mw_slice text);
/* The text of a number; valid until the next text. */
mw_slice mw_rollup_text_of(const mw_rollup *rollup, uint32_t number);

/* Cells (a minute of an operation, or of an edge) of one table, of about 340 bytes each; where
 * the memory limit is small as many as fit a sixteenth of its ceiling. Beyond, spans of new cells
 * count under the operation "(other)", and beyond a quarter more spans and calls are left out, and
 * counted as that. */
#define MW_ROLLUP_CELLS_MAX ((uint32_t)1 << 17)
uint64_t mw_rollup_left_out(const mw_rollup *rollup);
/* No more cells and texts than it has now, but for those few that any table has; false: as many as
 * above. */
void mw_rollup_full(mw_rollup *rollup, bool full);

/* Spans of one trace: in any order but for repeats, of which the first counts, so that earlier ones
 * stand before new ones. The order stays. MW_E_NOMEM: the table is of no more use. */
MW_MUST_USE mw_err mw_rollup_trace(mw_rollup *rollup, mw_rollup_span *spans, size_t count);

/* For the footer, MW_MEM_MERGE, the caller's to free; NULL, 0 for an empty table. The format is
 * drawn in rollup_format.c. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_rollup_write(const mw_rollup *rollup, char **data, size_t *len);
/* Adds those minutes of a written table that meet [since, until) to `into`; until 0 = unbounded.
 * Empty data is an empty table. MW_E_CORRUPT, MW_E_NOMEM: `into` holds a part of it then. */
MW_MUST_USE mw_err mw_rollup_read(mw_slice data, uint64_t since_ns, uint64_t until_ns,
                                  mw_rollup *into);
/* The minutes of a written table, without a look at its cells. MW_E_CORRUPT. */
typedef struct mw_rollup_range {
    bool empty, has_newest;
    uint32_t first, last; /* since 1970 */
    uint32_t newest;      /* of those with spans the last that is not after `limit` */
} mw_rollup_range;
MW_MUST_USE mw_err mw_rollup_range_read(mw_slice data, uint32_t limit, mw_rollup_range *out);
/* Adds those minutes of one table to another. MW_E_NOMEM: as above. */
MW_MUST_USE mw_err mw_rollup_add(const mw_rollup *from, uint64_t since_ns, uint64_t until_ns,
                                 mw_rollup *into);

#endif
