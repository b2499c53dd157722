/* What `midwatch check` says: lines for a person, or one JSON object with the same in it.
 *
 * Lines go out as they are found, damage to stderr and the rest to stdout; the object is written at
 * the end. One thread; memory is MW_MEM_BASE.
 */
#ifndef MW_SERVER_CHECK_REPORT_H
#define MW_SERVER_CHECK_REPORT_H

#include "lib/base/json_writer.h"
#include "lib/store/store.h"

typedef struct mw_check_report {
    bool as_json;
    mw_buffer text; /* of the object */
    mw_json json;
    uint64_t damaged; /* in the store at hand */
} mw_check_report;

/* Text of a peer or of a path, to a terminal. */
void mw_check_print(FILE *to, const char *text);

void mw_check_begin(mw_check_report *report, bool as_json);
/* Writes the object. */
void mw_check_end(mw_check_report *report, int exit_status);

/* Between _begin and the first store. */
void mw_check_options_begin(mw_check_report *report);
void mw_check_option(mw_check_report *report, const char *name, const char *value,
                     const char *origin);
void mw_check_options_end(mw_check_report *report);

void mw_check_stores_begin(mw_check_report *report);
void mw_check_stores_end(mw_check_report *report);
/* `label` is what stands in front of the line: "store", "space team-a". */
void mw_check_store_begin(mw_check_report *report, const char *space, const char *path);
/* For mw_store_rebuild, mw_store_verify: ctx is the report. */
void mw_check_rebuilt(void *ctx, const mw_store_damage *done);
void mw_check_found(void *ctx, const mw_store_damage *found);
/* Something that kept it from being read or rebuilt. */
void mw_check_problem(mw_check_report *report, const char *what, const char *message,
                      const char *hint);
void mw_check_store_end(mw_check_report *report, const char *label, const char *path, bool exists,
                        const mw_store_verified *verified, bool whole);

/* "state", "tls": `detail` says what is wrong, NULL = nothing. */
typedef struct mw_check_part {
    const char *name;
    const char *path; /* NULL = has none */
    const char *fine; /* the line of one that is whole */
    bool exists;
    const mw_detail *detail;
} mw_check_part;
void mw_check_tell_part(mw_check_report *report, const mw_check_part *part);

#endif
