/* A trace with more earlier spans than memory is given for: what mw_rollup_trace would count, from
 * earlier spans that pass by, some of them twice for each part.
 *
 * The new spans are all there. Of the earlier ones two kinds matter: those that have a new child,
 * and those that a new span is the parent of. The first are kept while their part is at hand, since
 * their own calls may be taken back (rollup.h); the others are counted as they pass, and only their
 * ids are kept, so that copies in several segments count once. Which part a span is in is decided
 * by a hash of its id. Siblings of new spans pass as well: whether a call was resolved before is up
 * to them.
 *
 *     begin, for each part { every earlier span to _first; _turn; every earlier span to _second;
 *     _turn }, end, free
 *
 * Spans that do not matter may be left out by who offers them. Copies that name another parent than
 * the first one count as siblings of their own. One thread; MW_MEM_ROLLUP.
 */
#ifndef MW_STORE_ROLLUP_LONG_H
#define MW_STORE_ROLLUP_LONG_H

#include "lib/store/rollup/rollup.h"

typedef struct mw_rollup_long mw_rollup_long;

/* `spans`, all new and distinct, stay the caller's and in place until the end, their marks this
 * module's. MW_E_NOMEM, here and below: the table is of no more use. */
MW_MUST_USE mw_err mw_rollup_long_begin(mw_rollup *rollup, mw_rollup_span *spans, size_t count,
                                        uint32_t parts, mw_rollup_long **out);
void mw_rollup_long_free(mw_rollup_long *trace); /* NULL is ignored */
/* Is a span of that id in the part at hand? */
bool mw_rollup_long_has(const mw_rollup_long *trace, uint64_t span_id);
MW_MUST_USE mw_err mw_rollup_long_first(mw_rollup_long *trace, const mw_rollup_span *earlier);
MW_MUST_USE mw_err mw_rollup_long_second(mw_rollup_long *trace, const mw_rollup_span *earlier);
MW_MUST_USE mw_err mw_rollup_long_turn(mw_rollup_long *trace);
MW_MUST_USE mw_err mw_rollup_long_end(mw_rollup_long *trace);

#endif
