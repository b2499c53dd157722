/* lib/store: who called whom in each minute of a window, and how that went.
 *
 * What mw_store_graph adds up, minute by minute, as numbers alone: for who compares minutes with
 * each other. Cost and errors as mw_store_red.
 */
#ifndef MW_STORE_MINUTES_H
#define MW_STORE_MINUTES_H

#include "lib/store/store.h"

/* As a cell's caller: not calls, but what entered the callee (kind SERVER or CONSUMER, or without
 * a parent), whoever called it. */
#define MW_MINUTES_ENTRY UINT32_MAX

typedef struct mw_minute_cell {
    uint32_t caller, callee; /* of names */
    uint32_t minute;         /* since 1970 */
    uint64_t calls, errors, mean_us;
} mw_minute_cell;

typedef struct mw_minutes {
    mw_slice *names; /* in order; no service twice */
    size_t name_count;
    mw_minute_cell *cells; /* by caller, callee, then minute; no empty ones */
    size_t cell_count;
    uint64_t as_of;    /* commit sequence that it includes */
    uint64_t left_out; /* spans and calls that roll-ups had no room for, of all times */
    uint64_t unread;   /* merged segments whose roll-ups are damaged, and not in it */
} mw_minutes;

/* The bounds are widened to whole minutes. `stop` may be NULL. */
MW_MUST_USE mw_err mw_store_minutes(mw_store *store, uint64_t since_ns, uint64_t until_ns,
                                    const mw_store_stop *stop, mw_arena *arena, mw_minutes *out);

#endif
