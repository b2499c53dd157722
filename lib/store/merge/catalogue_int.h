/* Between the catalogue's files: rows in memory (catalogue_rows.c), within a transaction
 * (catalogue.c, which has the SQL), and their comparison with the segments (catalogue_reconcile.c).
 * One thread.
 */
#ifndef MW_STORE_CATALOGUE_INT_H
#define MW_STORE_CATALOGUE_INT_H

#include "lib/store/merge/catalogue.h"

typedef enum sql_number {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_PUT,
    SQL_PUT_BLOCK,
    SQL_PUT_LOSS,
    SQL_REMOVE,
    SQL_REMOVE_BLOCKS,
    SQL_REMOVE_LOSS,
    SQL_PUT_MADE,
    SQL_REMOVE_MADE,
    SQL_EACH,
    SQL_EACH_LOSS,
    SQL_COUNT
} sql_number;

struct mw_catalogue {
    char *directory, *path; /* one piece of memory */
    struct sqlite3 *db;
    struct sqlite3_stmt *prepared[SQL_COUNT];
    int version; /* of the tables as they are */
    bool behind;
    /* Losses that no transaction has taken yet: the next that reconciles does. */
    mw_catalogue_loss *pending;
    size_t pending_count, pending_capacity;
};

MW_MUST_USE mw_err mw_catalogue_begin(mw_catalogue *catalogue);
/* Commits, or after an error rolls back and returns it; then the catalogue is behind. */
MW_MUST_USE mw_err mw_catalogue_settle(mw_catalogue *catalogue, mw_err err);
/* Replaces a damaged file by an empty one; the losses it still tells wait in `pending`. */
MW_MUST_USE mw_err mw_catalogue_begin_anew(mw_catalogue *catalogue);
/* The losses that can still be read in it wait in `pending`: of them the segments know nothing. */
void mw_catalogue_keep_losses(mw_catalogue *catalogue);

/* Within a transaction; errors as mw_catalogue_put. */
MW_MUST_USE mw_err mw_catalogue_put_row(mw_catalogue *catalogue,
                                        const mw_catalogue_segment *segment);
MW_MUST_USE mw_err mw_catalogue_remove_rows(mw_catalogue *catalogue, uint64_t id);
MW_MUST_USE mw_err mw_catalogue_put_described(mw_catalogue *catalogue, const mw_segment *merged);
MW_MUST_USE mw_err mw_catalogue_put_loss(mw_catalogue *catalogue, const mw_catalogue_loss *loss);
MW_MUST_USE mw_err mw_catalogue_remove_loss(mw_catalogue *catalogue, uint64_t id,
                                            mw_loss_part part);
/* Those in the file. */
MW_MUST_USE mw_err mw_catalogue_read_losses(
    mw_catalogue *catalogue, mw_err (*loss)(void *ctx, const mw_catalogue_loss *loss), void *ctx);
/* To be written with the next reconciliation. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_catalogue_note_loss(mw_catalogue *catalogue, const mw_catalogue_loss *loss);

#endif
