/* The plan: what a person may do about a cause, in four phases. Pure: values in, text out.
 *
 * Steps come from a table by the kind of fault, and by whether there is a deployment to undo. A
 * command is text for a person to read and run; midwatch runs none (DESIGN, promise 6). Names that
 * telemetry brought are quoted for a shell where they stand in a command. The hash is SHA-256 over
 * the phases as they are written here, byte for byte: same input, same hash, on every run.
 */
#ifndef MW_TRIAGE_PLAN_H
#define MW_TRIAGE_PLAN_H

#include "lib/base/arena.h"
#include "triage/conclusion/causes.h"

#define MW_PLAN_HASH_SIZE 65

typedef struct mw_plan_input {
    mw_fault_kind kind;
    mw_slice service;           /* the cause */
    mw_slice entry;             /* where it was noticed; may be the same */
    mw_slice version, previous; /* of a deployment to undo; version empty = none, previous empty =
                                 * not known */
    mw_slice evidence;          /* one line: what the cause rests on */
    mw_slice investigation_id;
} mw_plan_input;

typedef struct mw_plan {
    mw_slice phases_json; /* the arena's */
    char hash[MW_PLAN_HASH_SIZE];
} mw_plan;

/* MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_plan_make(const mw_plan_input *input, mw_arena *arena, mw_plan *out);

#endif
