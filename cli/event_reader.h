/* A reader of server-sent events (HTML standard, "Interpreting an event stream"), fed with bytes as
 * they come. Pure but for memory; one thread. Buffers are MW_MEM_BASE until _fini.
 *
 * What an event says is handed on when its blank line has come; so is the id to come back with. An
 * event that is cut short leaves no trace, and is sent again.
 */
#ifndef MW_CLI_EVENT_READER_H
#define MW_CLI_EVENT_READER_H

#include "lib/base/buffer.h"

/* The daemon's records are at most 64 MiB of JSON. */
#define MW_EVENT_MAX ((size_t)96 << 20)
#define MW_EVENT_ID_MAX 1024

typedef struct mw_event {
    mw_slice id, name, data; /* name empty: "message". Valid during the call */
} mw_event;

typedef struct mw_event_reader {
    mw_buffer line; /* what has come of it */
    mw_buffer name, data, id;
    mw_buffer last_id;
    bool has_data, after_cr, first_line;
    uint32_t retry_ms; /* 0: not said */
} mw_event_reader;

void mw_event_reader_init(mw_event_reader *reader);
void mw_event_reader_fini(mw_event_reader *reader);
/* Before a new connection: what was cut short is dropped; the last id and the retry stay. */
void mw_event_reader_restart(mw_event_reader *reader);
/* Calls `take` for each event that `bytes` complete; false ends the reading, MW_E_CLOSED. Events
 * without data are told too if they move the id. MW_E_LIMIT, MW_E_NOMEM: the reader is of no more
 * use. */
MW_MUST_USE mw_err mw_event_reader_feed(mw_event_reader *reader, mw_slice bytes,
                                        bool (*take)(void *ctx, const mw_event *event), void *ctx);
/* Empty: none yet. */
mw_slice mw_event_reader_last_id(const mw_event_reader *reader);

#endif
