/* Requests out of a file of OTLP/JSON: JSON lines, as the Collector's file exporter writes them, or
 * one document over many lines; plain or gzip, which its first bytes tell.
 *
 * Streaming: what is held is one request. Owned by its user; one thread.
 */
#ifndef MW_CLI_REQUEST_READER_H
#define MW_CLI_REQUEST_READER_H

#include "cli/cli_int.h"
#include "cli/packed_file.h"

/* The largest body that a daemon takes (DESIGN 3.3). */
#define MW_REQUEST_TEXT_MAX ((size_t)64 << 20)

typedef enum mw_reading {
    MW_READ_REQUEST,
    MW_READ_END,
    MW_READ_TOO_LONG, /* this one is passed over, others may follow */
    MW_READ_BROKEN    /* the file cannot be read on: reader->problem says why */
} mw_reading;

typedef struct mw_request_reader {
    mw_packed_file file;
    mw_buffer text;   /* the present request */
    mw_buffer ahead;  /* a line that was looked at to tell lines from a document */
    bool ahead_whole; /* and was not too long */
    bool has_ahead, ended, told_kind, is_document;
    size_t line;      /* where the present request begins, from 1 */
    size_t next_line; /* of the line that is read next */
    const char *problem;
    char *chunk; /* bytes read and not taken yet */
    size_t chunk_at, chunk_len;
} mw_request_reader;

/* "-" is standard input. False: errno says why. */
bool mw_request_reader_open(mw_request_reader *reader, const char *path);
void mw_request_reader_close(mw_request_reader *reader);
/* The next request; `out` lives until the next call. Blank lines are passed over. */
mw_reading mw_request_reader_next(mw_request_reader *reader, mw_slice *out);

/* Signals (MW_SENDS_*) whose member the object has at its top level, in either spelling; 0 when it
 * has none or is no object. Looks no further than brackets and strings. Pure. */
unsigned mw_request_signals(mw_slice text);

#endif
