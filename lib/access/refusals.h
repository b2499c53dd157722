/* lib/access: refusals on their way into the audit, bounded.
 *
 * A refusal is noted by who, what and why; those that are alike within a minute become one row with
 * their number, and of different ones so many are told apart at a time. So a flood of them costs
 * the disk a few rows a minute (lib/state keeps the newest MW_AUDIT_REFUSALS_MAX), and a single
 * one is written at once. Noting does not block: the state writer comes for what is due.
 */
#ifndef MW_ACCESS_REFUSALS_H
#define MW_ACCESS_REFUSALS_H

#include "lib/state/tokens.h"

/* Kinds told apart at a time; further ones are counted together. */
#define MW_REFUSALS_ROWS 64
#define MW_REFUSALS_REPEAT_NS (60 * MW_NS_PER_S)

typedef struct mw_refusals mw_refusals;

typedef struct mw_denial {
    const char *action; /* "webhook.deliver", "api.read": a literal */
    const char *reason; /* "expired": a literal */
    /* A literal, or NULL: goes into the detail. It tells no kinds apart, so that whoever asks along
     * all routes fills one row and not the table: the first that is counted is told. */
    const char *route;
    mw_slice principal, address;
    mw_slice subject; /* id of what was asked for, as far as it is known */
    mw_slice space;   /* whose token or endpoint it was; empty = of no space */
} mw_denial;

mw_refusals *mw_refusals_new(mw_state *state, const mw_clock *clock);
/* When the state's writer has stopped; nothing is noted any more. */
void mw_refusals_free(mw_refusals *refusals);
/* Any thread; does not block. NULL is ignored. */
void mw_refusals_note(mw_refusals *refusals, const mw_denial *denial);
/* Writes what has become due since: now and then, from any thread. `all`: the end has come, and
 * whatever is counted is due from here on. */
void mw_refusals_tick(mw_refusals *refusals, bool all);

#endif
