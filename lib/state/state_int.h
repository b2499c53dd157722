/* lib/state, inside: the state, its connections, and the parts of the room that state.c wires.
 *
 * The writer's connection belongs to the writer thread from start to close; a reader's belongs to
 * the thread that holds it between mw_state_read_begin and mw_state_read_end.
 */
#ifndef MW_STATE_STATE_INT_H
#define MW_STATE_STATE_INT_H

#include <pthread.h>
#include <sqlite3.h>

#include "lib/state/seal_int.h"
#include "lib/state/state.h"

/* Every SQL text of the room is prepared at most once a connection; there are somewhat above
 * a hundred. */
#define MW_STATE_STATEMENTS_MAX 256

typedef struct mw_statement {
    const char *sql; /* address of the text: the key */
    sqlite3_stmt *prepared;
} mw_statement;

struct mw_state_tx {
    mw_state *state;
    sqlite3 *db;
    mw_statement statements[MW_STATE_STATEMENTS_MAX];
    unsigned statement_count;
    struct mw_state_tx *next_free; /* readers only */
};

struct mw_state {
    const mw_clock *clock;
    uint8_t key[MW_SEAL_KEY_SIZE];
    mw_state_tx writer, checkpoints;
    mw_queue queue;
    pthread_t writer_thread;
    bool writable;     /* atomic: the writer sets, anyone reads */
    uint64_t undone;   /* transactions that were not committed; the writer's thread */
    uint64_t closings; /* incidents that were closed; the writer's thread */

    int log_pages; /* from which on there is a checkpoint */
    pthread_t checkpoint_thread;
    pthread_mutex_t checkpoint_lock;
    pthread_cond_t checkpoint_wanted;
    bool checkpoint_due, checkpoint_done, checkpoint_end; /* under the lock */

    pthread_mutex_t readers_lock;
    pthread_cond_t reader_returned;
    mw_state_tx *readers; /* array */
    mw_state_tx *free_readers;
    unsigned reader_count, readers_out;
};

/* writer.c */
void mw_state_writer_start(mw_state *state);
/* Runs what waits, joins. */
void mw_state_writer_stop(mw_state *state);

/* checkpoint.c */
void mw_state_checkpoints_start(mw_state *state, unsigned log_pages);
void mw_state_checkpoints_stop(mw_state *state);

/* schema.c. Checks that the file is ours (before anything writes to it): MW_E_CORRUPT, MW_E_IO. */
MW_MUST_USE mw_err mw_schema_identify(mw_state_tx *tx, mw_detail *detail);
/* The version is one that this program can open. MW_E_UNSUPPORTED, MW_E_CORRUPT (no table of
 * versions), MW_E_IO. Changes nothing. *filled: there are tables; a first start may have been cut
 * off before. */
MW_MUST_USE mw_err mw_schema_known(mw_state_tx *tx, bool *filled, mw_detail *detail);
/* Brings the schema to the newest version: MW_E_UNSUPPORTED, MW_E_IO, MW_E_NO_SPACE. */
MW_MUST_USE mw_err mw_schema_migrate(mw_state_tx *tx, int64_t now_ns, mw_detail *detail);

#endif
