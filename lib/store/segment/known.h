/* What the catalogue remembers of segments, for who reads the directory: which there ought to be,
 * and how much of each is known to have been durable.
 *
 * The catalogue fills it (catalogue.h), one thread at a time uses it. Memory is MW_MEM_STORE.
 */
#ifndef MW_STORE_SEGMENT_KNOWN_H
#define MW_STORE_SEGMENT_KNOWN_H

#include "lib/store/format/segment_format.h"

typedef struct mw_known_segment {
    uint64_t id, kind; /* mw_segment_kind */
    uint64_t bytes;    /* durable at least; of a merged one all of it */
    uint64_t blocks, first_seq, last_seq;
    uint64_t arrival_min_ns, arrival_max_ns, event_min_ns, event_max_ns;
    uint64_t salt; /* of its header; 0 = not remembered */
    bool lost;     /* it was missing at a start, or could not be read: it may come back */
} mw_known_segment;

typedef struct mw_known_segments {
    mw_known_segment *items; /* ascending by id, one each */
    size_t count, capacity;
} mw_known_segments;

/* Adds one in any order; of those with the same id, one that is not lost counts. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_known_add(mw_known_segments *known, const mw_known_segment *segment);
/* NULL: nothing is known of it. `known` may be NULL. */
const mw_known_segment *mw_known_find(const mw_known_segments *known, uint64_t id);
/* Is the header that of this segment, as far as anybody remembers? */
bool mw_known_fits(const mw_known_segment *segment, const mw_segment_header *header);
void mw_known_fini(mw_known_segments *known);

#endif
