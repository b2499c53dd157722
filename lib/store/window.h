/* lib/store: the rows of a window, one by one, and how they come to figures is the asker's.
 *
 * For questions whose answer is no list: what changed between two stretches of time, say. Rows come
 * in the order of the blocks, not of time, and a repeat that merging has not removed comes again:
 * who counts spans knows them by their ids. What a row refers to is valid during its call alone.
 * Costs the columns of all blocks of the signal that meet the window (log records: their items
 * too), in the memory of a few blocks. An error of `take` ends the walk and is returned; otherwise
 * MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, MW_E_TIMEOUT (the view's stop). since inclusive, until
 * exclusive, on the row's start or time.
 */
#ifndef MW_STORE_WINDOW_H
#define MW_STORE_WINDOW_H

#include "lib/store/store.h"

MW_MUST_USE mw_err mw_store_each_span(mw_store_view *view, uint64_t since_ns, uint64_t until_ns,
                                      mw_err (*take)(void *ctx, const mw_span_row *row), void *ctx);
MW_MUST_USE mw_err mw_store_each_point(mw_store_view *view, uint64_t since_ns, uint64_t until_ns,
                                       mw_err (*take)(void *ctx, const mw_point_row *row),
                                       void *ctx);

/* Enough of a record's body to tell what kind of message it is. */
#define MW_LOG_WORDS_MAX 512
/* `text`: the strings of the body in their order, a blank between two, cut at MW_LOG_WORDS_MAX
 * bytes; empty for a body without strings, and of a record longer than mw_store_shown_max(). */
MW_MUST_USE mw_err mw_store_each_log(mw_store_view *view, uint64_t since_ns, uint64_t until_ns,
                                     mw_err (*take)(void *ctx, const mw_log_row *row,
                                                    mw_slice text),
                                     void *ctx);

/* A resource attribute of a service's spans: seen on a block's rows from first_ns to last_ns (of
 * those within the window). `value` is the attribute's string. */
typedef struct mw_resource_seen {
    mw_slice service, key, value;
    uint64_t first_ns, last_ns, spans;
} mw_resource_seen;
/* `take` is called once a block, resource and key of `keys` that has a value of type string. Costs
 * the columns and the front of the items' chunks of the spans' blocks. */
MW_MUST_USE mw_err mw_store_each_resource(mw_store_view *view, uint64_t since_ns, uint64_t until_ns,
                                          const mw_slice *keys, size_t key_count,
                                          mw_err (*take)(void *ctx, const mw_resource_seen *seen),
                                          void *ctx);

#endif
