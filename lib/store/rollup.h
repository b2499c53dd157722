/* Roll-ups: per minute, service and operation how many spans, errors and how long; per minute and
 * call edge the same.
 *
 * Pure: rows in, a table out, to bytes and back. A table belongs to one merged segment (it lies in
 * its footer) or to the unmerged tail, and tables are added to answer a question; minutes are of
 * event time (a span's start). An edge is a parent and a child span of different service, counted
 * in the minute, with the error and the duration of the child; or a CLIENT or PRODUCER span with a
 * peer name whose call no child of another service resolves, counted with its own (DESIGN 5).
 *
 * Edges across tables. A trace is given to a table whole: the spans that are new, and those of
 * earlier tables (`earlier`: repeats of them were removed). New spans are counted, earlier ones are
 * not; an edge is counted when the later of its two ends is new. A call of an earlier CLIENT span
 * that was counted by its peer name and is now resolved by a new child is taken back: counts of a
 * table are signed. So tables add up to what one table of all spans would hold, whatever the order.
 */
#ifndef MW_STORE_ROLLUP_H
#define MW_STORE_ROLLUP_H

#include "lib/base/arena.h"
#include "lib/base/clock.h"

/* Latency histogram: buckets of a factor of 2^(1/4) from 1 us to 2^32 us, so that a quantile is
 * within 9.1 % of the true value; what is shorter or longer is in the first and last one. */
#define MW_LATENCY_BUCKETS 130u
uint32_t mw_latency_bucket(uint64_t duration_ns);
/* Upper edge in ns; the last one UINT64_MAX. */
uint64_t mw_latency_bound_ns(uint32_t bucket);

typedef struct mw_rollup mw_rollup;

typedef struct mw_rollup_span {
    uint64_t span_id, parent_id; /* 0 = root */
    uint64_t start_ns, duration_ns;
    uint32_t service, operation, peer; /* mw_rollup_text; 0 = unknown */
    uint8_t kind, status;
    bool earlier;
} mw_rollup_span;

MW_MUST_USE mw_err mw_rollup_new(mw_rollup **out); /* MW_E_NOMEM; MW_MEM_ROLLUP */
void mw_rollup_free(mw_rollup *rollup);            /* NULL is ignored */
size_t mw_rollup_bytes(const mw_rollup *rollup);
/* A number for a text, 0 for the empty one; UINT32_MAX without memory. Distinct operations of one
 * table are bounded (MW_ROLLUP_TEXTS_MAX): those beyond become the operation "(other)". */
#define MW_ROLLUP_TEXTS_MAX 65536u
uint32_t mw_rollup_text(mw_rollup *rollup, mw_slice text);
/* The distinct spans of one trace, in any order; sorts them. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_rollup_trace(mw_rollup *rollup, mw_rollup_span *spans, size_t count);

/* For the footer, MW_MEM_MERGE, the caller's to free; the format is drawn in rollup_format.c. */
MW_MUST_USE mw_err mw_rollup_write(const mw_rollup *rollup, char **data, size_t *len);
/* Adds those minutes of a written table that meet [since, until) to `into`. MW_E_CORRUPT,
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_rollup_read(mw_slice data, uint64_t since_ns, uint64_t until_ns,
                                  mw_rollup *into);
/* Adds minutes of one table to another. */
MW_MUST_USE mw_err mw_rollup_add(const mw_rollup *from, uint64_t since_ns, uint64_t until_ns,
                                 mw_rollup *into);

#endif
