/* What a segment gives back with itself. See piece_list.h. */
#include "lib/store/segment/piece_list.h"
#include "lib/store/segment/tail_share.h"

void mw_piece_list_free(mw_piece_list *list)
{
    if (!list)
        return;
    mw_share_note(MW_SHARE_PIECES, list->bytes, 0);
    mw_free(MW_MEM_STORE, list);
}
