/* Reading the inputs of a merge. See merge_int.h. The keeper's thread. */
#include "lib/store/merge/merge_int.h"

mw_err mw_merge_note(mw_merging *merging, const mw_index_block *block, mw_err err)
{
    if (err == MW_E_CORRUPT || err == MW_E_IO)
        merging->result->damaged = block->segment;
    return err;
}

mw_err mw_merge_hot(mw_merging *merging, const mw_index_block *block, mw_hot *out)
{
    return mw_merge_note(merging, block, mw_view_hot(merging->job->view, block, out));
}

mw_err mw_merge_items(mw_merging *merging, const mw_index_block *block, const mw_hot *hot,
                      mw_items_walk *walk)
{
    return mw_merge_note(merging, block, mw_view_items(merging->job->view, block, hot, walk));
}
