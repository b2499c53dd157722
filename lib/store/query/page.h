/* Lists: the order of their items, the cursor between pages, the newest N, the window of blocks
 * that can hold them, the order in which blocks hold the newest rows.
 *
 * Items are ordered by time, newest first, then by id, ascending. A cursor is the last item of a
 * page as text: what comes behind it in that order does not change when newer items arrive.
 */
#ifndef MW_STORE_PAGE_H
#define MW_STORE_PAGE_H

#include "lib/store/store_int.h"

/* Bytes of an id that order items of the same time; longer ids (sessions, which a sender can make
 * any length) are told apart by a hash behind them. */
#define MW_PAGE_ID_MAX 48u

typedef struct mw_page_key {
    uint64_t time_ns;
    uint64_t hash; /* of the whole id when it is longer, else 0; the same in every process */
    uint8_t id_len;
    uint8_t id[MW_PAGE_ID_MAX];
} mw_page_key;

void mw_page_key_set(mw_page_key *key, uint64_t time_ns, mw_slice id);
/* Negative when a stands before b in a list. */
int mw_page_key_compare(const mw_page_key *a, const mw_page_key *b);

/* A page that was asked for, its cursor read. `kind` tells cursors of different lists apart. */
typedef struct mw_page_bounds {
    uint64_t since_ns, until_ns; /* until 0 = unbounded */
    size_t limit;
    bool has_cursor;
    mw_page_key cursor;
    char kind;
} mw_page_bounds;

/* MW_E_SYNTAX: the cursor is not one of this list's. */
MW_MUST_USE mw_err mw_page_bounds_read(const mw_store_page *page, char kind, mw_page_bounds *out);
/* Does an item belong to this page or a later one? */
bool mw_page_admits(const mw_page_bounds *bounds, const mw_page_key *key);
/* May an item of this time? Cheaper, for rows of which most do not. */
bool mw_page_admits_time(const mw_page_bounds *bounds, uint64_t time_ns);
/* Cursor text in the arena; MW_E_NOMEM. */
MW_MUST_USE mw_err mw_page_cursor(mw_arena *arena, char kind, const mw_page_key *last,
                                  mw_slice *out);

/* The first limit + 1 of what is offered, in the list's order: a heap with the last on top. The one
 * more tells whether a next page exists. */
typedef struct mw_top_item {
    mw_page_key key;
    uint64_t value; /* the caller's */
} mw_top_item;

typedef struct mw_top {
    mw_top_item *items; /* MW_MEM_QUERY */
    size_t count, capacity;
} mw_top;

MW_MUST_USE mw_err mw_top_init(mw_top *top, size_t limit); /* MW_E_NOMEM */
void mw_top_fini(mw_top *top);
void mw_top_offer(mw_top *top, const mw_page_key *key, uint64_t value);
/* Ends the offering: items in the list's order; returns how many belong to the page and sets
 * *more when there is another behind it. */
size_t mw_top_finish(mw_top *top, bool *more);

/* Stretches of time, from the newest down, for items that are joined from many rows (traces,
 * sessions): an item whose time is that of one of its rows is found by the rows of the stretch, and
 * then joined from all of its rows. A stretch is as long as so many blocks reach that they may well
 * hold what the page wants; when they do not, the next one is longer. Any number of rows may be
 * stored: a page costs a few blocks wherever it begins. */
typedef enum mw_window_kind {
    MW_WINDOW_TRACES,  /* by the start of spans */
    MW_WINDOW_SESSIONS /* by the latest of spans and log records */
} mw_window_kind;

typedef struct mw_window_block {
    uint64_t max_ns; /* no row's time is later */
    uint32_t items;  /* traces or sessions in it; of a session every block may tell */
} mw_window_block;

typedef struct mw_window {
    mw_window_block *blocks; /* by max_ns, descending; MW_MEM_QUERY */
    size_t count, taken;
    size_t more_blocks, more_items; /* of the next stretch */
    uint64_t since_ns, next_to_ns;
    bool ended;
} mw_window;

/* Stretches that a filtered list goes through before it looks for what meets a condition by itself:
 * what many meet fills the page in them. */
#define MW_WINDOWS_BEFORE_MATCH 2

/* MW_E_NOMEM. */
MW_MUST_USE mw_err mw_window_init(mw_window *window, const mw_store_view *view, mw_window_kind kind,
                                  const mw_page_bounds *bounds);
void mw_window_fini(mw_window *window);
/* The next stretch, both ends included; false when there is nothing older that the page may
 * hold. */
bool mw_window_next(mw_window *window, uint64_t *from_ns, uint64_t *to_ns);

/* Blocks of one signal that can hold rows within the bounds, by event time max, newest first: for
 * lists whose items are single rows. Such a list is full when the next block is older than its last
 * row; nothing is read twice. */
typedef struct mw_newest_block {
    uint64_t max_ns;
    uint32_t block;
} mw_newest_block;

typedef struct mw_newest {
    mw_newest_block *items; /* MW_MEM_QUERY */
    size_t count;
} mw_newest;

MW_MUST_USE mw_err mw_newest_init(mw_newest *newest, const mw_store_view *view, mw_signal signal,
                                  const mw_page_bounds *bounds); /* MW_E_NOMEM */
void mw_newest_fini(mw_newest *newest);

#endif
