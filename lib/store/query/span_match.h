/* What is asked of a trace's or a session's spans (mw_list_filter): each condition is a bit, met by
 * some span, not all by the same one.
 *
 * Columns are asked first, items (for attributes) of those blocks alone whose filter may have one.
 * One thread: the view's; MW_MEM_QUERY.
 */
#ifndef MW_STORE_SPAN_MATCH_H
#define MW_STORE_SPAN_MATCH_H

#include "lib/store/format/trace_set.h"
#include "lib/store/query/item_search.h"

typedef struct mw_span_match {
    mw_store_view *view;
    const mw_list_filter *filter;
    uint32_t all;   /* the conditions that there are; 0 = none is asked of spans */
    uint32_t asked; /* those that are looked at: all, or the one by which traces are collected */
    uint64_t service_key;
    mw_item_search search;
    /* of the present block */
    uint32_t possible;                    /* conditions that a row may meet */
    bool tool_in_items;                   /* an attribute may name the tool */
    uint32_t service, agent, user, model; /* references */
    uint8_t *verdicts;                    /* of names, by reference */
    size_t verdict_capacity;
} mw_span_match;

/* `filter` must outlive it; NULL asks nothing. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_span_match_init(mw_span_match *match, mw_store_view *view,
                                      const mw_list_filter *filter);
void mw_span_match_fini(mw_span_match *match);
/* Before the rows of a block. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_span_match_block(mw_span_match *match, const mw_index_block *block,
                                       const mw_hot *hot);
/* The conditions that the row meets. Rows in ascending order. Errors as mw_store_span_list. */
MW_MUST_USE mw_err mw_span_match_row(mw_span_match *match, const mw_hot *hot, uint32_t row,
                                     uint32_t *met);
/* Behind the rows: other items may be read. */
void mw_span_match_leave(mw_span_match *match);
/* Does what the spans of a trace or session met, and what they add up to, fit? */
bool mw_span_match_fits(const mw_span_match *match, uint32_t met, uint64_t duration_ns,
                        int64_t input_tokens, int64_t output_tokens);
/* Adds the traces with a span that meets the condition which the fewest spans may meet, as far as
 * the index tells; spans that end before since_ns left out. At least one condition is asked.
 * MW_E_LIMIT when the set exceeds max_bytes; as above. */
MW_MUST_USE mw_err mw_span_match_collect(mw_span_match *match, uint64_t since_ns, size_t max_bytes,
                                         mw_trace_set *set);
/* What some blocks of spans, evenly among all that end since then, have of that condition. */
typedef struct mw_span_sample {
    uint64_t all_blocks, blocks; /* that there are, and that were looked at */
    uint64_t traces, sessions;   /* in these */
    uint64_t met;                /* traces that meet it */
    bool reads_items;            /* columns alone do not tell */
} mw_span_sample;
/* Errors as above. */
MW_MUST_USE mw_err mw_span_match_sample(mw_span_match *match, uint64_t since_ns, uint64_t most,
                                        mw_span_sample *out);

#endif
