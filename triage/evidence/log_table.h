/* Log records of a window by kind of message: how many of each in each stretch of time.
 *
 * A kind is a service, a severity class and a template: the first words of the body with what
 * varies left open. Nothing is known of anybody's log lines; a word varies when it looks like a
 * number, a time or an id. Bounded by kinds; what comes beyond is counted by service and severity
 * alone. Memory is the arena's. One thread.
 */
#ifndef MW_TRIAGE_LOG_TABLE_H
#define MW_TRIAGE_LOG_TABLE_H

#include "lib/base/arena.h"
#include "lib/store/window.h"

/* Kinds of messages of a window: some hundred a service at most. */
#define MW_LOG_TABLE_KINDS 4096
/* A window of 25 minutes by 10 s: what onsets are told to. */
#define MW_LOG_TABLE_SLOTS 160
#define MW_TEMPLATE_WORDS 10
#define MW_TEMPLATE_MAX 160

typedef enum mw_severity_class {
    MW_SEVERITY_OTHER,
    MW_SEVERITY_WARN,
    MW_SEVERITY_ERROR
} mw_severity_class;

typedef struct mw_log_kind {
    mw_slice service, text; /* text: the template; empty = the rest of that service */
    mw_severity_class severity;
    uint64_t first_ns; /* of all records */
    uint32_t counts[MW_LOG_TABLE_SLOTS];
} mw_log_kind;

/* Records of errors one by one, up to so many. */
#define MW_LOG_TABLE_ERRORS ((size_t)1 << 16)
typedef struct mw_log_error {
    uint32_t kind;
    uint64_t at_ns;
} mw_log_error;

typedef struct mw_log_table {
    mw_log_kind *kinds;
    size_t count;
    mw_log_error *errors;
    size_t error_count;
    uint64_t since_ns, slot_ns;
    uint64_t records; /* that were read */
    double one_in;    /* 1: all are here that blocks with errors have */
} mw_log_table;

/* MW_E_NOMEM and what mw_store_each_log returns. */
MW_MUST_USE mw_err mw_log_table_read(mw_store_view *view, const mw_store_window *window,
                                     mw_arena *arena, mw_log_table *out);
/* Records of the kind from `since_ns` on until `until_ns`, to the slot. */
uint64_t mw_log_kind_count(const mw_log_table *table, const mw_log_kind *kind, uint64_t since_ns,
                           uint64_t until_ns);
/* The template of a body; its length. Pure. */
size_t mw_log_template(mw_slice body, char out[MW_TEMPLATE_MAX]);

#endif
