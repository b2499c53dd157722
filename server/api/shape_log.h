/* One log record as JSON (DESIGN 4.3): in lists, and inside the trace it belongs to.
 *
 * One writer serves one answer on one thread.
 */
#ifndef MW_SERVER_API_SHAPE_LOG_H
#define MW_SERVER_API_SHAPE_LOG_H

#include "server/api/shape_context.h"

typedef struct mw_record_writer {
    mw_json *json;
    mw_arena scratch; /* reset after each record */
    mw_contexts contexts;
} mw_record_writer;

void mw_record_writer_init(mw_record_writer *writer, mw_json *json);
void mw_record_writer_fini(mw_record_writer *writer);
/* MW_E_NOMEM; MW_E_CORRUPT when the stored bytes are not a log record. */
MW_MUST_USE mw_err mw_record_write(mw_record_writer *writer, const mw_log_record *record);

/* A SeverityNumber: 0 to 24 in digits, or a name of OTLP's without its prefix, in either case
 * ("WARN", "error2"). False when it is neither. Pure. */
bool mw_severity_parse(mw_slice text, uint8_t *out);

#endif
