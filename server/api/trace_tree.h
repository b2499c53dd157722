/* The tree of a trace as a person reads it: parents before children, siblings that are alike folded
 * into one row, log records under their span, the critical path marked, and no more rows than asked
 * for, the telling ones first.
 *
 * Pure: items in, rows out; no text, no store. Items come by time. Spans whose parent is not there
 * are roots, and so is the earliest span of a cycle, where the cycle is cut. No recursion: a chain
 * may be as long as a trace. O(n log n) in time, some 150 bytes an item (MW_MEM_QUERY).
 *
 * Alike are siblings of the same signature (what they are) and shape (which signatures are beneath,
 * whatever their number); MW_TREE_FOLD_MIN of them become one row, and what is beneath them is
 * folded with them. Log records are no part of a shape.
 *
 * The critical path is what the trace's duration is made of: from the end back, each moment belongs
 * to the child that ended last before it, and what no child covers to the span itself. A span that
 * outlives its parent is asked beside the roots: the trace may end with it.
 */
#ifndef MW_SERVER_API_TRACE_TREE_H
#define MW_SERVER_API_TRACE_TREE_H

#include "lib/base/memory.h"
#include "lib/store/store.h"

#define MW_TREE_NONE UINT32_MAX
/* Three alike are read as quickly as one line about them. */
#define MW_TREE_FOLD_MIN 4u
/* What most of the time went into, in so many lines: more nobody reads at once. */
#define MW_TREE_TOP_MAX 10u
/* Failed spans of a folded row that are named. */
#define MW_TREE_FAILED_MAX 3u

typedef struct mw_tree_item {
    uint64_t id;        /* 0: a log record */
    uint64_t parent_id; /* 0 = none; of a record its span */
    uint64_t start_ns, end_ns;
    uint64_t signature;
    int64_t input_tokens, output_tokens; /* negative = unknown */
    bool failed;
} mw_tree_item;

enum { MW_TREE_ORPHAN = 1, MW_TREE_CYCLE = 2 };

typedef struct mw_tree_counts {
    uint64_t spans, errors, logs;
} mw_tree_counts;

typedef struct mw_tree_row {
    uint32_t first; /* index of the item; folded: of the earliest */
    uint32_t count; /* folded items; 1 = none */
    uint32_t depth;
    uint32_t errors;  /* failed among them */
    uint32_t longest; /* index of the longest */
    uint8_t note;     /* MW_TREE_* of `first` */
    uint32_t failed[MW_TREE_FAILED_MAX];
    uint32_t failed_count;
    uint64_t end_ns;                            /* the latest */
    uint64_t total_ns, shortest_ns, longest_ns; /* durations */
    uint64_t critical_ns;                       /* of the critical path, their own share */
    int64_t input_tokens, output_tokens;        /* sums; negative = all unknown */
    mw_tree_counts hidden;                      /* beneath, without rows of their own */
} mw_tree_row;

/* What spans of one signature have of the critical path, all of the trace's together, whether they
 * have a row or not. */
typedef struct mw_tree_share {
    uint32_t most;  /* index of the one that has most of it; of equal ones the first */
    uint32_t count; /* those that have some */
    uint64_t critical_ns;
} mw_tree_share;

typedef struct mw_tree {
    mw_tree_row *rows; /* MW_MEM_QUERY */
    size_t count;
    mw_tree_counts hidden;              /* at the top */
    uint64_t critical_ns;               /* covered by spans: the trace's duration less its gaps */
    mw_tree_share top[MW_TREE_TOP_MAX]; /* the largest, largest first; of equal ones the earliest */
    size_t top_count;
} mw_tree;

/* At most `limit` rows (0 = all). MW_E_NOMEM, MW_E_LIMIT (2^31 items). */
MW_MUST_USE mw_err mw_tree_build(const mw_tree_item *items, size_t count, size_t limit, bool fold,
                                 mw_tree *out);
void mw_tree_fini(mw_tree *tree);

/* ---- between the parts ---------------------------------------------------------------------- */

/* Who is whose child; the trace itself is the parent of the roots, at index `count`. */
typedef struct mw_tree_links {
    const mw_tree_item *items;
    uint32_t count;
    uint32_t *parent; /* index; `count` for roots */
    uint32_t *first_child, *next_sibling;
    uint32_t *order; /* spans and records, parents before children */
    uint8_t *notes;
    uint64_t *critical_ns;
    uint64_t *shapes;
} mw_tree_links;

/* The spans' end, never before the start. */
static inline uint64_t mw_tree_end(const mw_tree_item *item)
{
    return item->end_ns > item->start_ns ? item->end_ns : item->start_ns;
}

/* trace_links.c: everything but critical_ns. */
MW_MUST_USE mw_err mw_tree_links_init(mw_tree_links *links, const mw_tree_item *items,
                                      size_t count);
void mw_tree_links_fini(mw_tree_links *links);
/* trace_path.c: fills critical_ns. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_tree_critical_path(mw_tree_links *links);
/* Then: out->critical_ns and out->top. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_tree_critical_top(const mw_tree_links *links, mw_tree *out);

#endif
