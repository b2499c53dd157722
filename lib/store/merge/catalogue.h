/* The catalogue: one row a segment, and one a block of a merged one, in SQLite beside the segments
 * (catalogue.db).
 *
 * Derived: segments are the truth, and a catalogue that is missing, foreign, damaged or behind is
 * made again from them at start or by `midwatch check --rebuild`. A start does not need it: footers
 * are read as fast (DECISIONS.md has figures). It is the second opinion on the directory: which
 * segments ought to be there, how large and from when, so that a file that vanished or was cut
 * short is told, by a start and by `midwatch check`, and not just absent from answers; and it is
 * what a person's sqlite3 can ask.
 *
 * So its commits are durable (journal kept, so that a full disk has room for it, synchronous=FULL;
 * a few small syncs a merge, which no answer waits for), and rows go before files do: the keeper
 * removes a segment's row, then the segment. A failed write costs nothing but the row: the
 * catalogue is `behind` until the keeper reconciles it.
 *
 * A segment of the log has a row from its first commits on (catalogue_log.h), which says which
 * commits it is known to hold. Its successor's header would tell that it is gone, too, but not of
 * the newest one, nor from commits that failed and left a gap of sequences with nothing in it.
 *
 * What is found missing at a start is a loss, and has a row of its own from then on: which segment,
 * or end of one, how much at least, and when it was noticed. It stays, whatever becomes of the
 * segment's other rows, until the segment is there again or a person accepts it with `midwatch
 * check --rebuild`. Losses are the one thing here that the segments do not know; a catalogue that
 * is damaged passes on those that can be read.
 *
 * That it was missing or unreadable beside segments is remembered as well, for as long: what was in
 * it is the knowledge of which segments ought to be there, and nothing else has that.
 *
 * Functions for which that makes sense take NULL for a catalogue that could not be opened and then
 * do nothing: the store works without.
 *
 * The keeper's thread alone writes it (at start, the opening thread; the rebuild); it holds a
 * connection of its own. SQL of this room is in catalogue.c alone.
 */
#ifndef MW_STORE_CATALOGUE_H
#define MW_STORE_CATALOGUE_H

#include "lib/base/clock.h"
#include "lib/store/segment/known.h"
#include "lib/store/segment/segment_footer.h"

#define MW_CATALOGUE_NAME "catalogue.db"

typedef struct mw_catalogue mw_catalogue;

typedef struct mw_catalogue_segment {
    uint64_t kind; /* mw_segment_kind; of the log: of no blocks there is a row, and what it says is
                    * the least that the segment holds */
    uint64_t id, bytes, blocks;
    uint64_t items[MW_SIGNAL_END];
    uint64_t first_seq, last_seq;
    uint64_t arrival_min_ns, arrival_max_ns, event_min_ns, event_max_ns;
    uint64_t salt; /* of its header: tells it from another store's; 0 = not remembered */
} mw_catalogue_segment;

/* Stored: only ever append. */
typedef enum mw_loss_part { MW_LOSS_WHOLE = 1, MW_LOSS_END = 2 } mw_loss_part;

typedef struct mw_catalogue_loss {
    mw_catalogue_segment of; /* as much of it as is known to be lost */
    mw_loss_part part;
    uint64_t noticed_ns;
} mw_catalogue_loss;

/* Opens or makes it; one that is not ours or damaged is replaced by an empty one. MW_E_IO,
 * MW_E_NO_SPACE, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_catalogue_open(const char *directory, mw_catalogue **out);
/* To read beside a daemon; changes nothing. MW_E_NOT_FOUND (there is none), MW_E_CORRUPT (damaged,
 * or not ours), MW_E_AGAIN (a kill cut a change off, which the next start undoes), MW_E_IO,
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_catalogue_open_reader(const char *directory, mw_catalogue **out);
void mw_catalogue_close(mw_catalogue *catalogue); /* NULL is ignored */
/* Removes the file and what SQLite may have left beside it; nobody has it open. */
void mw_catalogue_discard(const char *directory);

/* One transaction: the merged segment with its blocks in, what it replaced out. Also MW_E_BUSY
 * (somebody reads it at length). After an error it is behind. */
MW_MUST_USE mw_err mw_catalogue_put(mw_catalogue *catalogue, const mw_catalogue_segment *segment,
                                    mw_index_block *const *blocks, size_t count,
                                    const uint64_t *replaced, size_t replaced_count);
/* The same of a merged segment; what it replaced stands in its footer. */
MW_MUST_USE mw_err mw_catalogue_put_segment(mw_catalogue *catalogue, const mw_segment *merged);
/* One transaction: rows of segments of the log, in place of those that are there. */
MW_MUST_USE mw_err mw_catalogue_put_logs(mw_catalogue *catalogue, const mw_catalogue_segment *rows,
                                         size_t count);
/* No such row is no error. */
MW_MUST_USE mw_err mw_catalogue_remove(mw_catalogue *catalogue, uint64_t id);
/* A write failed since it was opened or reconciled. */
bool mw_catalogue_is_behind(const mw_catalogue *catalogue);
/* When it was made anew beside segments: what vanished before that it cannot tell. 0: it was not,
 * or that is accepted. A new one is MW_CATALOGUE_JUST_MADE, also after a kill, until it is judged:
 * with the time, or with 0 when there was nothing to know. Errors as _each, and as _put. */
#define MW_CATALOGUE_JUST_MADE UINT64_MAX
MW_MUST_USE mw_err mw_catalogue_made_at(mw_catalogue *catalogue, uint64_t *at_ns);
MW_MUST_USE mw_err mw_catalogue_judge_made(mw_catalogue *catalogue, uint64_t at_ns);

typedef struct mw_catalogue_changes {
    size_t kept, added, removed;
    size_t missing; /* losses: rows removed whose segment nobody replaced, and lost ends */
} mw_catalogue_changes;

/* Makes the rows those of `segments`, all there are, the merged ones with their entries; rows of
 * those of the log stay as they are, or are put later. Rows of merged ones whose size and blocks
 * match are taken over. At a start `missing` is called for each row whose segment is not there and
 * was not replaced, and for each segment of the log that is shorter than its row says, while what
 * it lacks is in no other one: it returns when that was noticed, and it is a loss. NULL: whoever
 * removed the segment removes its row. Losses whose segment is there again go. A damaged catalogue
 * begins anew. Errors as _put; losses that could not be written are with the next call. */
MW_MUST_USE mw_err mw_catalogue_reconcile(mw_catalogue *catalogue,
                                          const mw_segment *const *segments, size_t count,
                                          uint64_t (*missing)(void *ctx,
                                                              const mw_catalogue_loss *loss),
                                          void *ctx, mw_catalogue_changes *changes);

/* Ascending by id. MW_E_IO, MW_E_CORRUPT (make it again), or what the callback returned. */
MW_MUST_USE mw_err mw_catalogue_each(mw_catalogue *catalogue,
                                     mw_err (*segment)(void *ctx,
                                                       const mw_catalogue_segment *segment),
                                     void *ctx);
/* Losses, by segment; also those that are not written yet. */
MW_MUST_USE mw_err mw_catalogue_each_loss(mw_catalogue *catalogue,
                                          mw_err (*loss)(void *ctx, const mw_catalogue_loss *loss),
                                          void *ctx);
/* Adds what the rows say of segments, and of those that are lost. Errors as _each; MW_E_NOMEM. */
MW_MUST_USE mw_err mw_catalogue_remember(mw_catalogue *catalogue, mw_known_segments *out);
/* Reads all of it: MW_E_CORRUPT when a page or a row is no good. */
MW_MUST_USE mw_err mw_catalogue_verify(mw_catalogue *catalogue);

/* What is lost with a segment that is gone, in words: commits, how much of each signal, and of
 * which time. */
#define MW_CATALOGUE_LOST_SIZE 384
void mw_catalogue_lost_text(const mw_catalogue_segment *row, char out[MW_CATALOGUE_LOST_SIZE]);

/* Adds a block to what a row says. */
void mw_catalogue_add_block(mw_catalogue_segment *row, const mw_block_header *header);
/* What its row says of a merged segment. Without a footer (it is damaged) the time of the merge
 * stands for the latest arrival. */
void mw_catalogue_describe(const mw_segment *merged, mw_catalogue_segment *out);

#endif
