/* All segments of a store at one moment, as the rules want them (merge_policy.h, retention.h).
 *
 * They are in the order of their sequences and pinned by a view. The keeper's thread; MW_MEM_MERGE.
 */
#ifndef MW_STORE_MERGE_SURVEY_H
#define MW_STORE_MERGE_SURVEY_H

#include "lib/store/merge/merge_policy.h"
#include "lib/store/store_int.h"

typedef struct mw_survey {
    mw_store_view *view;
    mw_segment **segments;
    mw_policy_segment *facts; /* of each */
    size_t count;
    bool waits; /* a segment of the log that can be merged holds commits up to the target */
} mw_survey;

/* MW_E_NOMEM: nothing is held. */
MW_MUST_USE mw_err mw_survey_begin(mw_store *store, uint64_t target_seq, mw_survey *all);
void mw_survey_end(mw_survey *all);

#endif
