/* Log records, newest first.
 *
 * Blocks are taken by their newest record, from the top: once the page is full and the next block
 * is older than the page's last record, nothing behind can matter. One thread: the view's.
 */
#include "lib/store/query/log_scan.h"

#define CURSOR_KIND 'l'

static mw_err show_page(mw_log_scan *scan, mw_log_list *out)
{
    bool more;
    size_t count = mw_top_finish(&scan->top, &more);
    mw_err err = mw_log_scan_fill(scan, count);

    if (err == MW_OK && more)
        err = mw_page_cursor(scan->arena, CURSOR_KIND, &scan->top.items[count - 1].key,
                             &out->next_cursor);
    if (err == MW_OK) {
        out->items = scan->records;
        out->count = count;
        out->undecided = scan->search.undecided;
    }
    return err;
}

mw_err mw_store_log_list(mw_store_view *view, const mw_store_page *page, const mw_log_query *query,
                         mw_arena *arena, mw_log_list *out)
{
    mw_page_bounds bounds;
    mw_log_scan scan;

    memset(out, 0, sizeof *out);
    mw_err err = mw_page_bounds_read(page, CURSOR_KIND, &bounds);
    if (err == MW_OK && bounds.has_cursor && bounds.cursor.id_len != MW_LOG_TIE_SIZE)
        err = MW_E_SYNTAX;
    if (err != MW_OK)
        return err;
    err = mw_log_scan_init(&scan, view, query, bounds.limit, arena);
    scan.bounds = bounds;
    if (err == MW_OK)
        err = mw_newest_init(&scan.blocks, view, MW_SIGNAL_LOGS, &bounds);
    if (err == MW_OK)
        err = mw_log_scan_find(&scan);
    if (err == MW_OK)
        err = show_page(&scan, out);
    out->given_up = scan.search.given_up;
    mw_log_scan_fini(&scan);
    return err;
}
