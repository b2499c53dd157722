/* What the stores of a process hold in memory of roll-ups, together.
 *
 * Spaces are stores, and there may be 64: each keeps its tail in step (rollup_tail.h), roll-ups of
 * merged segments (rollup_cache.h), filters of their traces (trace_filters.h) and sums over them
 * (trace_pieces.h). Of each kind all hold as much as a single one may, and each a 64th of that
 * in any case: whoever holds more than that grows into what the others leave. So no number of
 * spaces takes more than twice what one does. All that is held here can be had again from the
 * segments.
 *
 * Any thread; relaxed counters, so that two who grow at once may be over by what they add.
 */
#ifndef MW_STORE_TAIL_SHARE_H
#define MW_STORE_TAIL_SHARE_H

#include <stdbool.h>
#include <stddef.h>

/* As many spaces as there may be (spaces.h). */
#define MW_SHARE_PARTS 64u

typedef enum mw_share {
    MW_SHARE_TAILS,
    MW_SHARE_CACHES,
    MW_SHARE_FILTERS,
    MW_SHARE_PIECES,
    MW_SHARES
} mw_share;

/* A holder's bytes change from `before` to `now`. */
void mw_share_note(mw_share share, size_t before, size_t now);
/* May one that would have `own` bytes, `more` of them new, have them? `most`: of all together. */
bool mw_share_admits(mw_share share, size_t own, size_t more, size_t most);
/* Is little left for those that want to grow? */
bool mw_share_is_short(mw_share share, size_t most);
size_t mw_share_held(mw_share share);
/* Tests: the budget of all, in place of `most`; 0 = as the program does. */
void mw_share_limit(mw_share share, size_t bytes);

#endif
