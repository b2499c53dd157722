/* Room-private: one export of any signal, from its bytes to the store's batch and to the client's
 * answer.
 *
 * export_signal.c has what tells the signals apart, a row each; everything else is one way for all
 * three. The halves before and behind the store are pure (no store, no sockets); export_service.c
 * puts them between net and store.
 */
#ifndef MW_COLLECTOR_EXPORT_INT_H
#define MW_COLLECTOR_EXPORT_INT_H

#include "collector/emf.h"
#include "collector/odd_time.h"
#include "collector/senders.h"
#include "collector/status_body.h"
#include "lib/base/buffer.h"
#include "lib/base/counter.h"
#include "lib/store/store.h"
#include "proto/json.h"
#include "proto/scan.h"

/* ---- export_signal.c ------------------------------------------------------------------------ */

typedef mw_err (*mw_export_scan)(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                                 mw_scan_result *result);

typedef struct mw_export_signal {
    mw_signal signal;
    mw_json_kind json;
    mw_export_scan scan;
    size_t row_size;   /* of the store's row */
    size_t item_bytes; /* an item's usual size, for the first guess of how many there are */
    const char *http_path, *grpc_path;
    const char *request;       /* "ExportTraceServiceRequest" */
    const char *items;         /* what is counted: "spans", "log records", "data points" */
    const char *rejected_json; /* the count's name in JSON: "rejectedSpans" */
    const char *levels[3];     /* the fields above an item: "resource_spans", ... */
    const char *none_valid;    /* what all being refused means, in words */
    mw_signal usual_mistake;   /* whose body it mostly is then; 0 = nobody's */
    mw_slice over_budget;      /* the answer to more than the decode budget */
    mw_counter accepted, bad_utf8, odd_time;
    mw_counter refused[MW_REFUSE_COUNT]; /* 0 = never refused for that */
} mw_export_signal;

/* Lives for ever. */
const mw_export_signal *mw_export_signal_of(mw_signal signal);

/* ---- distinct.c ----------------------------------------------------------------------------- */

/* Pairs of slices, each once, in the order they came: resources, scopes, heads of metrics. */
typedef struct mw_distinct {
    mw_store_context *items;
    uint32_t *slots; /* index + 1; 0 = free */
    size_t count, capacity, slot_count;
} mw_distinct;

/* *index is where `item` stands in set->items. `copy_into` takes a copy of the bytes of an item
 * that is new; NULL = they live long enough. `seed` is the same at all calls. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_distinct_add(mw_distinct *set, const mw_store_context *item, uint64_t seed,
                                   mw_arena *copy_into, uint32_t *index);
void mw_distinct_fini(mw_distinct *set);

/* ---- export_batch.c ------------------------------------------------------------------------- */

/* What a collector holds for all its exports. */
typedef struct mw_export_keys {
    mw_keyset *attributes;
    const uint8_t *digest; /* MW_DIGEST_KEY_SIZE bytes */
} mw_export_keys;

typedef struct mw_export_input {
    const mw_export_signal *signal;
    mw_slice body;
    const mw_export_keys *keys;
    mw_slice origin;      /* as mw_store's rows have it; lives as long as the batch */
    uint64_t received_ns; /* wall clock */
    mw_arena *arena;
} mw_export_input;

/* Tables of its own (freed by _fini); slices point into the body, the arena and `heads`. */
typedef struct mw_export_batch {
    const mw_export_signal *signal;
    mw_store_item *items;
    void *rows; /* mw_span_row, mw_point_row or mw_log_row, by signal */
    size_t count, capacity;
    mw_distinct resources, scopes, metrics;
    mw_arena heads;         /* METRICS: the bytes of `metrics` */
    mw_slice *metric_heads; /* the same as the store takes them */
    mw_scan_result scan;
    mw_odd_times odd;
    mw_sender_tallies tallies; /* slices point into the body */
    mw_emf_writer emf; /* LOGS: what records measure, as a request of metrics; mostly empty */
    uint8_t digest[16];
} mw_export_batch;

/* Scans the body, resolves every item, makes resources, scopes and metrics distinct. `batch` is
 * initialised here and needs _fini whatever comes back. MW_E_SYNTAX, MW_E_LIMIT, MW_E_NOMEM:
 * scan.h; MW_E_LIMIT also for more items than memory_limit can hold. */
MW_MUST_USE mw_err mw_export_batch_read(mw_export_batch *batch, const mw_export_input *input);
void mw_export_batch_fini(mw_export_batch *batch);
/* The same as the store wants it; lives as long as `batch`. */
mw_store_batch mw_export_batch_view(const mw_export_batch *batch);

/* ---- export_answer.c, export_json.c, export_hint.c ------------------------------------------- */

typedef struct mw_export_outcome {
    const mw_export_signal *signal;
    /* MW_OK: done, whatever was refused by item. MW_E_TIMEOUT: the client's deadline passed before
     * anything was kept. Else what the scan (MW_E_SYNTAX, MW_E_LIMIT, MW_E_NOMEM) or the store
     * said. */
    mw_err err;
    bool at_store;      /* it was the store that said it */
    bool repeat;        /* acknowledged before: nothing more was stored */
    uint64_t disk_free; /* MW_E_NO_SPACE: mw_store_disk_free */
    mw_slice problem;   /* what the JSON reader found wrong, and where; empty = ask the scan */
    mw_slice field;
    mw_slice json_warning;   /* what the JSON reader took although it need not; empty = nothing */
    mw_slice origin_warning; /* request headers that were left out; empty = none */
    mw_signal looks_like;    /* the bytes are a request of that signal; 0 = cannot be told */
    mw_scan_result scan;
    mw_odd_times odd;
} mw_export_outcome;

/* True when the request held items and every one of them was refused: nothing to store. */
bool mw_export_all_refused(const mw_scan_result *scan);
/* OTLP's answer: success, partial success or a Status. */
void mw_export_answer(const mw_export_outcome *outcome, mw_answer_form form, mw_arena *arena,
                      mw_response *response);
/* The counters that go with the answer; call once, with it. */
void mw_export_count(const mw_export_outcome *outcome);

/* Turns an OTLP/JSON body into wire bytes in `wire` (initialised here, freed by the caller in any
 * case) and notes in the outcome, whose signal is set, what a person should know. MW_E_SYNTAX,
 * MW_E_INVALID (also the body of another signal, all of which would be ignored as unknown),
 * MW_E_LIMIT (more than max_bytes), MW_E_NOMEM. */
MW_MUST_USE mw_err mw_export_json(mw_slice body, size_t max_bytes, mw_arena *arena, mw_buffer *wire,
                                  mw_export_outcome *outcome);

/* Whose request a body is that was no good as one of `sent_as`; 0 when that cannot be told. Costs
 * two more scans: for bodies that are refused anyway. */
mw_signal mw_export_looks_like(mw_signal sent_as, mw_slice body);
/* The same of an OTLP/JSON body that held nothing of `sent_as`. */
mw_signal mw_export_json_looks_like(mw_signal sent_as, mw_slice body, size_t max_bytes);

#endif
