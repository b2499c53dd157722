/* The catalogue's rows of the log: which commits a segment that is not merged yet ought to hold.
 *
 * A segment gets its row when it has its first commits, and another one in its place when the
 * writer has left it and when the store is closed. Between the first commits and the row lie some
 * milliseconds, or the merge that the keeper is at: whoever kills the program then and removes that
 * file is not found out. The segment itself is not waited for by a row, nor a row by an answer.
 *
 * The keeper's thread, or that of mw_store_merge_all and mw_store_close when there is none.
 */
#ifndef MW_STORE_CATALOGUE_LOG_H
#define MW_STORE_CATALOGUE_LOG_H

#include "lib/store/merge/catalogue.h"
#include "lib/store/store_int.h"

/* Brings the rows in step; `closing`: nobody appends any more. What fails is logged, and made good
 * when the keeper reconciles. */
void mw_catalogue_note_log(mw_store *store, bool closing);

#endif
