/* The numbers that decide what is a change and what a cause: one table, each with its reason.
 *
 * A value, so that it can be asked how much an answer owes to one of them (tests/accuracy/grid.c);
 * the program itself knows the default alone. Chosen as round numbers while looking at the
 * development cases of docs/investigation.md.
 */
#ifndef MW_TRIAGE_THRESHOLDS_H
#define MW_TRIAGE_THRESHOLDS_H

typedef struct mw_thresholds {
    /* Of latencies. One in a hundred by chance: the rank sum of what came after. */
    double z_sure;
    /* Eight spreads away: what queues and caches do by themselves stays below five in the data that
     * we know, faults begin at fifteen. */
    double effect_sure;
    /* Part of the picture, once something is sure. */
    double z_part, effect_part;
    /* Of shares: below 3.5 in ten thousand by chance, and some hundred operations are asked. Less
     * sure is no more than a hint, which ranks when nothing else does. */
    double share_sure;
    /* Told, and ranked when nothing is sure: one in twenty by chance. */
    double share_part;
    /* Of moments long before the alarm: they must show a third more to be preferred, since more
     * telemetry before and after them makes everything look surer. */
    double far_trust;
    /* Of what is added to each request, by metrics: three spreads, as the sum of a few periods is
     * steadier than a point. */
    double added_sure;
    /* A service all of whose added time its callees explain keeps this share of it: it may be the
     * cause after all, but comes behind them. */
    double explained_share;
    /* Time of its own decides between two that explain the edges alike, and nothing else. */
    double self_share;
    /* Who fails and calls somebody who fails passes it on; so does who waits for one other. */
    double victim_share;
    /* Other signals than the one that tells the kind bring candidates, behind its own. */
    double other_share;
} mw_thresholds;

extern const mw_thresholds mw_thresholds_default;

#endif
