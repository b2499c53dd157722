/* lib/store: the rows of a window, one by one, and how they come to figures is the asker's.
 *
 * For questions whose answer is no list: what changed between two stretches of time, say. Rows come
 * in the order of the blocks, not of time, and a repeat that merging has not removed comes again:
 * who counts spans knows them by their ids. What a row refers to is valid during its call alone.
 * Costs the columns of all blocks of the signal that meet the window (log records: their items
 * too), in the memory of a few blocks. An error of `take` ends the walk and is returned; otherwise
 * MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, MW_E_TIMEOUT (the view's stop).
 *
 * A window may be too large to be read as a whole: mw_store_window_count says how much it holds
 * before anything is read, and with a period only moments of it are looked at, so that most blocks
 * are not even opened. Moments are the same whenever they are asked for, and however far merging
 * has come.
 */
#ifndef MW_STORE_WINDOW_H
#define MW_STORE_WINDOW_H

#include "lib/store/store.h"

/* `since` inclusive, `until` exclusive, on the row's start or time. With a period, of each period
 * of the unix clock one moment of `share_ns` alone, at a place that differs from period to period
 * and that no sender can know:
 *   spans    the traces that begin in it, as a whole where merging has put them together; what is
 *            not merged yet comes by the start of each span, with half a second before and after
 *            (MW_WINDOW_MARGIN_NS), so that the asker can tell which traces began in the moment;
 *   records  those of the moment that lie in blocks with one of severity ERROR at least;
 *   points   no moments, since a series has one in a while, but as large a share of the blocks.
 * With services, what none of them has part in is left out, and blocks without them are not opened:
 *   spans    in merged blocks whole traces, if one of their spans is of such a service; else
 *            spans of the services;
 *   records, points   those of the services. */
typedef struct mw_store_window {
    uint64_t since_ns, until_ns;
    uint64_t period_ns, share_ns; /* period 0: all of the window; else 0 < share <= period */
    const mw_slice *services;
    size_t service_count; /* 0 = all */
} mw_store_window;
#define MW_WINDOW_MARGIN_NS ((uint64_t)MW_NS_PER_S / 2)

typedef struct mw_store_window_rows {
    uint64_t rows;        /* of a block that lies in the window in part, as large a part */
    uint64_t with_errors; /* those in blocks with some failed span, or record of severity ERROR */
} mw_store_window_rows;

/* Of the blocks that have some of the services. From the index alone, period aside, with repeats.
 * Reads nothing. */
mw_store_window_rows mw_store_window_count(const mw_store_view *view, const mw_store_window *window,
                                           mw_signal signal);
/* Is there anything of that service in the window, moments or not? Of signals whose bit 1 <<
 * mw_signal is set. From the index alone: a block that reaches into the window may have it
 * elsewhere. */
bool mw_store_window_names(const mw_store_view *view, const mw_store_window *window,
                           unsigned signals, mw_slice service);
/* Does the time lie in the window, and in a moment of it? */
bool mw_store_window_holds(const mw_store_view *view, const mw_store_window *window,
                           uint64_t time_ns);
/* Of how many moments as long as a share one is looked at: 1 = of all. */
static inline double mw_store_window_one_in(const mw_store_window *window)
{
    return window->period_ns ? (double)window->period_ns / (double)window->share_ns : 1;
}
/* A number that is the store's secret: for hashes that no sender can aim at, and that are the same
 * each time. */
uint64_t mw_store_view_seed(const mw_store_view *view);

MW_MUST_USE mw_err mw_store_each_span(mw_store_view *view, const mw_store_window *window,
                                      mw_err (*take)(void *ctx, const mw_span_row *row), void *ctx);
MW_MUST_USE mw_err mw_store_each_point(mw_store_view *view, const mw_store_window *window,
                                       mw_err (*take)(void *ctx, const mw_point_row *row),
                                       void *ctx);

/* Enough of a record's body to tell what kind of message it is. */
#define MW_LOG_WORDS_MAX 512
/* `text`: the strings of the body in their order, a blank between two, cut at MW_LOG_WORDS_MAX
 * bytes; empty for a body without strings, and of a record longer than mw_store_shown_max(). */
MW_MUST_USE mw_err mw_store_each_log(mw_store_view *view, const mw_store_window *window,
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
 * the columns and the front of the items' chunks of the spans' blocks; with a period, of those that
 * meet a moment, and then of all their rows. */
MW_MUST_USE mw_err mw_store_each_resource(mw_store_view *view, const mw_store_window *window,
                                          const mw_slice *keys, size_t key_count,
                                          mw_err (*take)(void *ctx, const mw_resource_seen *seen),
                                          void *ctx);

#endif
