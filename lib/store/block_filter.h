/* Filters of merged blocks: which attributes, and which words of bodies, a block cannot hold.
 *
 * Two Bloom filters a block: of its items' (key, value) pairs at the top level of attributes,
 * resource and scope attributes among them, and, for log records, of the trigrams of all strings of
 * the bodies (ASCII lower case). A question skips a block whose filter lacks what it wants. Pure;
 * the bytes lie in the footer. Blocks of the log have none and are read.
 */
#ifndef MW_STORE_BLOCK_FILTER_H
#define MW_STORE_BLOCK_FILTER_H

#include "lib/store/store.h"

typedef struct mw_filter_writer mw_filter_writer;

MW_MUST_USE mw_err mw_filter_writer_new(mw_filter_writer **out); /* MW_E_NOMEM; MW_MEM_MERGE */
void mw_filter_writer_free(mw_filter_writer *writer);            /* NULL is ignored */
/* A field of a Span, LogRecord or data point, tag included; others than attributes and bodies are
 * ignored. `signal` as in store.h. Never fails: what cannot be noted makes the filter let all
 * pass. */
void mw_filter_add_field(mw_filter_writer *writer, unsigned signal, mw_slice field);
/* A Resource or InstrumentationScope message. */
void mw_filter_add_context(mw_filter_writer *writer, mw_slice message);
/* The bytes, the writer's until it is used again; begins anew. Empty = lets all pass. */
mw_slice mw_filter_writer_finish(mw_filter_writer *writer);

/* May the block hold an item with it (store.h: how values are compared)? Any thread. */
bool mw_filter_may_have(mw_slice filter, const mw_attribute_query *wanted);
/* May a body of the block contain the text, ASCII case ignored? Texts under three bytes: always. */
bool mw_filter_may_contain(mw_slice filter, mw_slice text);

#endif
