/* What is asked of items themselves, when their columns let them pass: attributes, and of log
 * records a text and a pattern in the body.
 *
 * A merged block is first asked by its filter, which spares reading it. Of a block that is read the
 * items are unpacked when the first row comes up, resources and scopes are judged once, and items
 * are copied one by one. Oversized items (store.h) are not searched, nor are oversized resources
 * and scopes: they would have to be held as a whole. One thread: the view's; memory is
 * MW_MEM_QUERY.
 */
#ifndef MW_STORE_ITEM_SEARCH_H
#define MW_STORE_ITEM_SEARCH_H

#include "lib/store/format/attribute_match.h"
#include "lib/store/query/log_pattern.h"
#include "lib/store/store_int.h"

typedef struct mw_item_search {
    mw_store_view *view;
    uint32_t field; /* the number of the item's attributes */
    mw_attribute_wanted wanted[MW_ATTRIBUTE_QUERIES_MAX];
    size_t wanted_count;
    mw_slice text;
    mw_log_pattern *pattern; /* NULL = none */
    uint64_t undecided;      /* records on which the pattern reached a limit */
    /* the pattern's budget: what it took, of the clock and less what others had of the processor */
    int64_t pattern_ns, entered_ns, cpu_before_ns;
    uint64_t pattern_bytes;
    bool given_up; /* it is spent */
    /* of the present block */
    const mw_index_block *block;
    mw_items_walk walk;
    bool open;     /* there is a walk */
    uint8_t *held; /* by context: bit i = it holds wanted[i] */
    size_t held_size;
    char *item; /* what is being judged */
    size_t item_size;
    uint32_t item_row, item_len; /* whose item it is; UINT32_MAX = nobody's */
} mw_item_search;

/* Asks nothing yet. `field` is MW_SPAN_ATTRIBUTES or MW_LOG_ATTRIBUTES. */
void mw_item_search_init(mw_item_search *search, mw_store_view *view, uint32_t field);
void mw_item_search_fini(mw_item_search *search);
/* At most MW_ATTRIBUTE_QUERIES_MAX; their texts must outlive the search. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_item_search_attributes(mw_item_search *search,
                                             const mw_attribute_query *attributes, size_t count);
/* Both may be empty. MW_E_SYNTAX (the pattern does not compile), MW_E_NOMEM. */
MW_MUST_USE mw_err mw_item_search_bodies(mw_item_search *search, mw_slice text, mw_slice pattern);

/* Before the rows of a block: *may is false when its filter says that none fits. MW_E_IO,
 * MW_E_NOMEM. A filter that cannot be read lets all pass, and is logged. */
MW_MUST_USE mw_err mw_item_search_block(mw_item_search *search, const mw_index_block *block,
                                        bool *may);
/* Does the item of a row fit? Rows of a block in ascending order. MW_E_CORRUPT, MW_E_IO,
 * MW_E_NOMEM, MW_E_TIMEOUT (the view's stop, or search->given_up). */
MW_MUST_USE mw_err mw_item_search_fits(mw_item_search *search, const mw_hot *hot, uint32_t row,
                                       bool *fits);
/* A block's filter (block_filter.h) into MW_MEM_QUERY memory that the caller frees. Empty, which
 * lets all pass, for a block of the log, and for one that is damaged, which is logged: filters are
 * derived, so that costs the block's reading, no answer. MW_E_IO, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_block_filter_read(const mw_index_block *block, char **data, size_t *len);
/* Before the rows of a block, whatever its filter says. */
void mw_item_search_begin(mw_item_search *search, const mw_index_block *block);
/* By attribute: bit i of the answer is the i-th. Which of `asked` the item of a row has. Errors as
 * mw_item_search_fits. */
MW_MUST_USE mw_err mw_item_search_held(mw_item_search *search, const mw_hot *hot, uint32_t row,
                                       uint32_t asked, uint32_t *held);
/* The item of a row of the block that was entered, until the next call; empty when it is oversized.
 * Rows in ascending order. Errors as mw_item_search_fits. */
MW_MUST_USE mw_err mw_item_search_item(mw_item_search *search, const mw_hot *hot, uint32_t row,
                                       mw_slice *item);
/* By a filter that was read: the attributes that a row of its block may have. */
uint32_t mw_item_search_may(const mw_item_search *search, mw_slice filter);
/* Behind the rows of a block: what reads items next may use the view's buffers. */
void mw_item_search_leave(mw_item_search *search);

#endif
