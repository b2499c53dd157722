/* Series and data points of a metric as JSON (DESIGN 4.3), values as they were sent.
 *
 * One writer serves one answer on one thread. Nothing is computed: what a client did not send is
 * null, and the value of a point that says it has none (NO_RECORDED_VALUE) is null too.
 */
#ifndef MW_SERVER_API_SHAPE_POINT_H
#define MW_SERVER_API_SHAPE_POINT_H

#include "server/api/shape_context.h"

typedef struct mw_series_writer {
    mw_json *json;
    mw_arena scratch; /* reset after each point */
    mw_contexts contexts;
} mw_series_writer;

void mw_series_writer_init(mw_series_writer *writer, mw_json *json);
void mw_series_writer_fini(mw_series_writer *writer);
/* A series holds at least one point. MW_E_NOMEM; MW_E_CORRUPT when the stored bytes are no points
 * of its kind. */
MW_MUST_USE mw_err mw_series_write(mw_series_writer *writer, const mw_series *series);

#endif
