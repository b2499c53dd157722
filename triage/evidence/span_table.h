/* The spans of a window, joined: who called whom, how long each was busy itself.
 *
 * One pass over the columns of the window, or of moments of it (read_plan.h). When more spans lie
 * there than the table holds, whole traces are left out by a hash of their id, so that what remains
 * is still joined and no kind of trace is preferred; `one_in` says how many are here, all told. The
 * hash is the store's: the same telemetry gives the same sample. Repeats are left out, and traces
 * that began before a moment or behind it.
 * Services and operations become numbers in the order in which they come. Memory is the arena's
 * (names, tables) and the table's (rows). One thread.
 */
#ifndef MW_TRIAGE_SPAN_TABLE_H
#define MW_TRIAGE_SPAN_TABLE_H

#include "lib/base/arena.h"
#include "lib/store/window.h"

/* 80 bytes each: with its index 24 MiB, and a third of a second to join. */
#define MW_SPAN_TABLE_ROWS ((size_t)1 << 18)
/* Services of one company; what comes beyond is left out and counted. */
#define MW_SPAN_TABLE_SERVICES 1024
/* Names of spans, which some senders make up as they go. */
#define MW_SPAN_TABLE_OPERATIONS 8192
#define MW_NO_ROW UINT32_MAX

typedef struct mw_span_fact {
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    uint64_t trace;        /* its hash: by it rows are sorted and sampled */
    uint64_t span, parent; /* ids as they lie in memory; parent 0 = root */
    uint64_t start_ns, duration_ns;
    uint64_t self_ns;   /* less what its children cover */
    uint32_t parent_at; /* MW_NO_ROW: not here */
    uint16_t service, operation;
    uint16_t peer; /* of peers; MW_NO_PEER */
    uint16_t children;
    uint8_t kind, status;
    bool exception;
} mw_span_fact;

#define MW_NO_PEER UINT16_MAX

typedef struct mw_operation_name {
    uint16_t service;
    mw_slice name;
} mw_operation_name;

typedef struct mw_span_table {
    mw_span_fact *rows; /* MW_MEM_QUERY; by trace, then start, then id */
    size_t count;
    mw_slice *services;
    size_t service_count;
    mw_operation_name *operations;
    size_t operation_count;
    mw_slice *peers; /* names that spans give to whom they call; no more of them than services */
    size_t peer_count;
    unsigned sampled;  /* times that the table was full, and half of the traces left */
    double one_in;     /* 1: all traces are here */
    uint64_t seen;     /* spans that were read, repeats included */
    uint64_t left_out; /* for want of room for their service or operation */
} mw_span_table;

/* MW_E_NOMEM and what mw_store_each_span returns; nothing is to be freed then. */
MW_MUST_USE mw_err mw_span_table_read(mw_store_view *view, const mw_store_window *window,
                                      mw_arena *arena, mw_span_table *out);
void mw_span_table_fini(mw_span_table *table);

#endif
