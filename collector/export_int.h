/* Room-private: one trace export, from its bytes to the store's batch and to the client's answer.
 *
 * Both halves are pure (no store, no sockets): trace_service.c puts them between net and store.
 */
#ifndef MW_COLLECTOR_EXPORT_INT_H
#define MW_COLLECTOR_EXPORT_INT_H

#include "collector/status_body.h"
#include "lib/base/buffer.h"
#include "lib/store/store.h"
#include "proto/scan.h"

/* Part of the digest, so that equal bytes of two signals stay two requests. */
typedef enum mw_signal {
    MW_SIGNAL_TRACES = 1,
    MW_SIGNAL_METRICS = 2,
    MW_SIGNAL_LOGS = 3
} mw_signal;

/* ---- export_batch.c ------------------------------------------------------------------------- */

typedef struct mw_context_set {
    mw_store_context *items;
    uint32_t *slots; /* index + 1; 0 = free */
    size_t count, capacity, slot_count;
} mw_context_set;

/* Tables of its own (freed by _fini); slices point into the body and the arena. */
typedef struct mw_export_batch {
    mw_store_item *items;
    size_t count, capacity;
    mw_context_set resources, scopes;
    mw_scan_result scan;
    uint8_t digest[16];
} mw_export_batch;

/* What a collector holds for all its exports. */
typedef struct mw_export_keys {
    mw_keyset *attributes;
    const uint8_t *digest; /* MW_DIGEST_KEY_SIZE bytes */
} mw_export_keys;

/* Scans `body`, resolves every span, makes resources and scopes distinct. `batch` is initialised
 * here and needs _fini whatever comes back. MW_E_SYNTAX, MW_E_LIMIT, MW_E_NOMEM: scan.h. */
MW_MUST_USE mw_err mw_export_batch_read(mw_export_batch *batch, mw_slice body,
                                        const mw_export_keys *keys, mw_arena *arena);
void mw_export_batch_fini(mw_export_batch *batch);
/* The same as the store wants it; lives as long as `batch`. */
mw_store_batch mw_export_batch_view(const mw_export_batch *batch);

/* ---- export_answer.c, and mw_export_json in export_json.c ----------------------------------- */

typedef struct mw_export_outcome {
    /* MW_OK: done, whatever was refused by item. MW_E_TIMEOUT: the client's deadline passed before
     * anything was kept. Else what the scan (MW_E_SYNTAX, MW_E_LIMIT, MW_E_NOMEM) or the store
     * said. */
    mw_err err;
    bool at_store;    /* it was the store that said it */
    bool repeat;      /* acknowledged before: nothing more was stored */
    mw_slice problem; /* what the JSON reader found wrong, and where; empty = ask the scan */
    mw_slice field;
    mw_slice warning; /* what the JSON reader took although it need not; empty = nothing */
    mw_scan_result scan;
} mw_export_outcome;

/* True when the request held items and every one of them was refused: nothing to store. */
bool mw_export_all_refused(const mw_scan_result *scan);
/* OTLP's answer: success, partial success or a Status. */
void mw_export_answer(const mw_export_outcome *outcome, mw_answer_form form, mw_arena *arena,
                      mw_response *response);
/* Turns an OTLP/JSON body into wire bytes in `wire` (initialised here, freed by the caller in any
 * case) and notes in the outcome what a person should know. MW_E_SYNTAX, MW_E_INVALID, MW_E_LIMIT
 * (more than max_bytes), MW_E_NOMEM. */
MW_MUST_USE mw_err mw_export_json(mw_slice body, size_t max_bytes, mw_arena *arena, mw_buffer *wire,
                                  mw_export_outcome *outcome);
/* The counters that go with the answer; call once, with it. */
void mw_export_count(const mw_export_outcome *outcome);

#endif
