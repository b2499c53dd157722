/* What a decision knows of the services around an alarm: who calls whom, and what changed.
 *
 * Pure. Built from the minutes up to the alarm's own (lib/store/minutes.h) and from imported edges;
 * lives in one arena, belongs to one thread at a time (answers about a service are worked out when
 * they are first asked for, and kept). Doubles are compared and never summed in an order that could
 * differ, so that the same cells give the same answer on every run.
 *
 * A signal is one series of minutes: the calls of an edge, or what entered a service. The last
 * MW_TOPOLOGY_CURRENT minutes are compared with those before. What is usual is taken from the
 * better quarter of those, so that a fault that has lasted for most of the window still shows.
 *
 * A suspect of a service is where its trouble ends: from the service on along calls that changed
 * for the worse, to a service none of whose own calls did. Two alarms behind one entry service
 * have the same cause when their suspects are the same, and different ones when they are not.
 */
#ifndef MW_TRIAGE_TOPOLOGY_H
#define MW_TRIAGE_TOPOLOGY_H

#include "lib/store/minutes.h"

/* Minutes that are looked at, the alarm's own included: the look-back of 20 minutes and ten before
 * it, so that what is usual is known also when the fault began with the look-back. */
#define MW_TOPOLOGY_MINUTES 30u
/* Alarms fire one to three evaluation periods (mostly of a minute) behind what they tell of. */
#define MW_TOPOLOGY_CURRENT 3u
/* Calls are followed that far: the deepest chains that people draw. */
#define MW_TOPOLOGY_FAR 6u
/* A fault has one place, two faults at once have two: more are noise. */
#define MW_SUSPECTS_MAX 8u

typedef enum mw_signal_state {
    MW_SIGNAL_UNKNOWN, /* too little to say */
    MW_SIGNAL_USUAL,
    MW_SIGNAL_ERRORS, /* more of the calls fail */
    MW_SIGNAL_SLOW    /* they take longer */
} mw_signal_state;

typedef struct mw_change {
    mw_signal_state state;
    bool strong;            /* plain in a single minute, and not in the sum of three alone */
    uint32_t onset;         /* the minute in which it began, since 1970 */
    uint64_t calls, errors; /* of the current minutes */
    double error_rate, usual_error_rate;
    double mean_ms, usual_ms;
} mw_change;

typedef enum mw_relation {
    MW_RELATION_NONE,
    MW_RELATION_SAME,    /* the same service */
    MW_RELATION_CALLER,  /* it calls the alarm's, over `distance` calls */
    MW_RELATION_CALLEE,  /* the alarm's calls it */
    MW_RELATION_SHARED,  /* both call the same service */
    MW_RELATION_RESOURCE /* no call known, but the alarms name the same resource */
} mw_relation;

typedef struct mw_near {
    uint32_t node;
    mw_relation relation;
    uint32_t distance;
} mw_near;

typedef struct mw_suspect {
    uint32_t node;
    uint32_t onset;
    bool strong;
    mw_change change; /* of the calls, or entries, that gave it away */
    uint32_t caller;  /* of those calls; MW_MINUTES_ENTRY = its entries */
} mw_suspect;

/* What is known of one service. */
typedef struct mw_standing {
    bool known;    /* there are calls enough to say whether something changed */
    mw_near *near; /* itself first, then by distance */
    size_t near_count;
    mw_suspect suspects[MW_SUSPECTS_MAX]; /* by name */
    size_t suspect_count;
    uint32_t *before; /* services from which changed calls lead to a suspect */
    size_t before_count;
} mw_standing;

typedef struct mw_topology mw_topology;

typedef struct mw_call_edge {
    mw_slice caller, callee;
} mw_call_edge;

/* `minute` is the alarm's; cells of other minutes than the window's are passed over. `minutes` may
 * be NULL (no telemetry). Names are borrowed and must live as long. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_topology_build(const mw_minutes *minutes, const mw_call_edge *imported,
                                     size_t imported_count, uint32_t minute, mw_arena *arena,
                                     mw_topology **out);
size_t mw_topology_nodes(const mw_topology *topology);
mw_slice mw_topology_name(const mw_topology *topology, uint32_t node);
/* False when no such service is known. */
bool mw_topology_find(const mw_topology *topology, mw_slice name, uint32_t *node);
/* NULL without memory. */
const mw_standing *mw_topology_standing(mw_topology *topology, uint32_t node);
/* A number a node for who looks names up again and again: zeros at first, and whenever `key` is
 * another one than before. NULL without memory. */
uint64_t *mw_topology_tags(mw_topology *topology, uint64_t key);
/* Those suspects of a standing that began last, and together: of two faults the one that an alarm
 * of now is of. Plain ones alone, if there are any. Fills `out`, which has MW_SUSPECTS_MAX; how
 * many. */
size_t mw_topology_newest(const mw_standing *standing, const mw_suspect **out);

#endif
