/* A roll-up from inside: cells, their histograms, texts. For rollup*.c and the questions. */
#ifndef MW_STORE_ROLLUP_INT_H
#define MW_STORE_ROLLUP_INT_H

#include "lib/store/rollup/rollup.h"

typedef enum mw_rollup_kind {
    MW_ROLLUP_INSIDE, /* spans by service and operation: those that are no entry */
    MW_ROLLUP_ENTRY,  /* and those that are */
    MW_ROLLUP_CALL,   /* calls by caller and callee */
    MW_ROLLUP_KINDS
} mw_rollup_kind;

typedef struct mw_rollup_key {
    uint32_t kind, minute; /* since 1970 */
    uint32_t left, right;  /* texts: service, operation; caller, callee */
} mw_rollup_key;

/* Two histograms share one row of numbers: durations from 0 on, time on the wire from
 * MW_ROLLUP_WIRE on. The row is kept in pages of eight octaves, of which a cell has those that
 * it needs: mostly one, so that a span costs no walk (pages of two octaves: twice the time).
 * Dropped on paper: one hash of (cell, bucket), which costs one more miss a span; a whole row a
 * cell, 2 KB. */
#define MW_ROLLUP_PAGE 32u
#define MW_ROLLUP_WIRE 160u
#define MW_ROLLUP_ROW (MW_ROLLUP_WIRE + MW_LATENCY_BUCKETS)

typedef struct mw_rollup_page {
    uint32_t next; /* 1 + index, 0 = none */
    uint32_t number;
    int64_t counts[MW_ROLLUP_PAGE];
} mw_rollup_page;

typedef struct mw_rollup_cell {
    mw_rollup_key key;
    uint32_t pages; /* 1 + index of the first */
    int64_t errors;
    int64_t sum_us, wire_us; /* of the durations, each cut at 2^32 us; of the times on the wire */
} mw_rollup_cell;

typedef struct mw_rollup_name {
    uint32_t offset, len;
} mw_rollup_name;

struct mw_rollup {
    uint64_t seed; /* of the hashes: random, so that no sender can make cells or texts pile up */
    unsigned keep;
    uint32_t cells_max, names_max;
    uint64_t left_out;
    uint64_t unread; /* tables of segments that could not be added to it */
    mw_rollup_cell *cells;
    uint32_t cell_count, cell_capacity;
    uint32_t *cell_slots; /* 1 + index; twice the capacity, a power of two */
    mw_rollup_page *pages;
    uint32_t page_count, page_capacity;
    mw_rollup_name *names; /* of text i + 1 */
    uint32_t name_count, name_capacity;
    uint32_t *name_slots;
    char *text;
    size_t text_len, text_capacity;
    /* of one trace, reused */
    uint32_t *places;
    size_t place_capacity;
};

/* The text "(other)": the first of every table. */
#define MW_ROLLUP_OTHER 1u

/* The number that a key's text (the left or the right one) of another table has in `into`; *known
 * keeps it, 0 at first. 0 for one that `into` does not want, UINT32_MAX without memory. */
uint32_t mw_rollup_number(mw_rollup *into, const mw_rollup_key *key, bool right, mw_slice text,
                          uint32_t *known);

/* The cell of a key as the table keeps it, new or old; *out NULL when it is left out, by choice or
 * for want of room (then `weight` is added to left_out). Valid until the next call. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_rollup_cell_of(mw_rollup *rollup, mw_rollup_key key, uint64_t weight,
                                     mw_rollup_cell **out);
/* Adds to a place of the cell's row. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_rollup_count(mw_rollup *rollup, mw_rollup_cell *cell, uint32_t place,
                                   int64_t by);
/* What one table knows of a cell, added to another's: what it counts beside its key. */
typedef struct mw_rollup_counts {
    int64_t errors, sum_us, wire_us;
    uint32_t place_count;
    uint32_t places[MW_ROLLUP_ROW]; /* ascending */
    int64_t counts[MW_ROLLUP_ROW];
} mw_rollup_counts;
MW_MUST_USE mw_err mw_rollup_merge(mw_rollup *rollup, mw_rollup_key key,
                                   const mw_rollup_counts *counts);
/* Adds the cell's row to `row`, which has MW_ROLLUP_ROW numbers. */
void mw_rollup_row_add(const mw_rollup *rollup, const mw_rollup_cell *cell, int64_t *row);
/* rollup_trace.c: a span that is new; the edge between two of a trace, of which one is new, or a
 * mark on the parent that there was one before; when all edges are counted, the call by the peer's
 * name, of a new span or of an earlier one to which new children came. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_rollup_count_span(mw_rollup *rollup, const mw_rollup_span *span);
MW_MUST_USE mw_err mw_rollup_count_edge(mw_rollup *rollup, mw_rollup_span *parent,
                                        const mw_rollup_span *child);
MW_MUST_USE mw_err mw_rollup_count_peer(mw_rollup *rollup, const mw_rollup_span *span);

/* Does the minute meet [since, until)? until 0 = unbounded. */
bool mw_rollup_minute_meets(uint32_t minute, uint64_t since_ns, uint64_t until_ns);

/* Stays at the ends instead of wrapping: damaged or hostile numbers cannot do more harm. */
static inline void mw_rollup_sum(int64_t *to, int64_t by)
{
    if (__builtin_add_overflow(*to, by, to))
        *to = by > 0 ? INT64_MAX : INT64_MIN;
}

#endif
