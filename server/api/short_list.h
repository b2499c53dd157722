/* A page of rows that are all in memory, oldest first: tokens, webhooks. There are few of them, so
 * the page is cut here, newest first. The cursor is the id of the last row shown; the next page
 * begins behind it.
 *
 *     mw_api_short_list list = mw_api_short_list_begin(call, &page);
 *     for (size_t i = count; i-- > 0;)
 *         if (mw_api_short_list_shows(&list, rows[i].id, rows[i].created_ns))
 *             write_row(call, &rows[i]);
 *     return mw_api_short_list_end(&list);
 *
 * Ids are borrowed until the end. */
#ifndef MW_SERVER_API_SHORT_LIST_H
#define MW_SERVER_API_SHORT_LIST_H

#include "server/api/api_int.h"

typedef struct mw_api_short_list {
    mw_api_call *call;
    const mw_api_page *page;
    size_t shown, total;
    bool started, more; /* is the cursor's row behind us; are there rows behind the page */
    mw_slice last;      /* id of the last row shown */
} mw_api_short_list;

mw_api_short_list mw_api_short_list_begin(mw_api_call *call, const mw_api_page *page);
/* Asked of each row once: is it on the page, to be written as an object now? */
bool mw_api_short_list_shows(mw_api_short_list *list, mw_slice id, int64_t created_ns);
/* MW_E_INVALID when no row has the cursor's id. */
MW_MUST_USE mw_err mw_api_short_list_end(mw_api_short_list *list);

#endif
