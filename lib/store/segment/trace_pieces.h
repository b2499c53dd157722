/* Pieces: of each trace in a segment when it begins and ends, how many tokens its spans report, and
 * which sessions they name. What lists are filtered by sums of (list_bounds.h) without a join.
 *
 * Of a merged segment the pieces are made when a question first needs them, and kept with the
 * segment as long as all that are kept have room: 40 bytes a trace, where its columns have some
 * 80 a span and cost a hundred times as much to unpack. What has no room, and blocks of the log,
 * are read each time. Nothing is given up for another: questions go through all segments, and
 * what was used longest ago would be what is needed next.
 *
 * Any thread: the list of a segment is immutable once published, by one atomic step; of two who
 * make it at once one throws his away. MW_MEM_STORE, freed with the segment.
 */
#ifndef MW_STORE_TRACE_PIECES_H
#define MW_STORE_TRACE_PIECES_H

#include "lib/base/id.h"
#include "lib/store/store_int.h"

/* Of all segments together; 25 million spans, 16 to a trace. Less where the memory limit is small:
 * an eighth of its ceiling. */
#define MW_TRACE_PIECES_MAX ((size_t)64 << 20)

/* Lengths count in steps of 65.5 us, rounded up; 78 hours are the most. */
#define MW_PIECE_STEP_SHIFT 16
#define MW_PIECE_UNKNOWN UINT32_MAX

/* Of spans: a run of rows of one trace. The first session that they name stands with their sums,
 * each further one in a piece of its own behind, without any (low_ns UINT64_MAX). Of log records: a
 * run of one trace, whose sessions they inherit, or, with the trace's id zero, of one session. */
typedef struct mw_trace_piece {
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    uint64_t session; /* mw_text_key, 0 = none */
    uint64_t low_ns;  /* the first start or time */
    uint32_t length;  /* to the latest end or time, in steps; MW_PIECE_UNKNOWN = longer */
    uint32_t tokens;  /* of agents and calls of models, repeats included; likewise */
} mw_trace_piece;

typedef enum mw_piece_kind {
    MW_PIECES_WHOLE, /* of spans of a merged segment: no span of such a piece is a repeat of another
                        in it */
    MW_PIECES_LOOSE, /* of spans of a block of the log */
    MW_PIECES_LOGS
} mw_piece_kind;

/* Pieces come in no order, those of one run of rows together, and only during the call. */
typedef mw_err (*mw_pieces_seen)(void *ctx, const mw_trace_piece *pieces, size_t count,
                                 mw_piece_kind kind);
/* All pieces of the view but those of segments and blocks that end before since_ns; of log records
 * only when `logs`. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, MW_E_TIMEOUT (the view's stop), or what the
 * callback returned, which ends it. */
MW_MUST_USE mw_err mw_trace_pieces_each(mw_store_view *view, uint64_t since_ns, bool logs,
                                        mw_pieces_seen seen, void *ctx);
/* Where the piece ends, at the latest; and how long it is at least. */
uint64_t mw_piece_high(const mw_trace_piece *piece);
uint64_t mw_piece_length_min(const mw_trace_piece *piece);

#endif
