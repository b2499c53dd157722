/* Patterns (PCRE2) in the bodies of log records: compiled once a question, searched in the strings
 * that body_walk.h names.
 *
 * A pattern is a person's, a body is anybody's: neither may hang a reader. So a search has limits;
 * a record on which one is reached is "undecided", which counts as no match and is told; and what a
 * question spends on its pattern has a budget, which is its caller's (item_search.c). The
 * program of a pattern, and what a match needs, is MW_MEM_QUERY; machine code, where there is a
 * compiler for it (JIT), lies outside of the account, some tens of KiB a pattern. UTF-8; bytes that
 * are not UTF-8 match nothing, what stands around them can. Nothing is known of a pattern's literal
 * parts: the filters of blocks do not help it, so it costs the bodies of all records that pass the
 * question's other filters (add `text` where a word is sure). One thread at a time.
 */
#ifndef MW_STORE_LOG_PATTERN_H
#define MW_STORE_LOG_PATTERN_H

#include "lib/store/store.h"

/* Bytes. Longer patterns are refused: people's are shorter, and the work of the worst grows with
 * it. */
#define MW_LOG_PATTERN_MAX 1024u
/* The worst pattern looks at all that follows, from every place. So a string is searched in steps:
 * matches that begin within so many bytes, of what ends so many bytes behind the step's begin. A
 * match of up to their difference is found wherever it stands. What looks behind sees the whole
 * string; what looks ahead sees no further than this. "$" matches at the string's end alone, "\z"
 * and "not followed by" also where a step ends. Between two steps a question can be given up. */
#define MW_LOG_PATTERN_STEP ((size_t)2 << 10)
#define MW_LOG_PATTERN_REACH ((size_t)32 << 10)

typedef struct mw_log_pattern mw_log_pattern;

typedef enum mw_pattern_verdict {
    MW_PATTERN_ABSENT,
    MW_PATTERN_FOUND,
    MW_PATTERN_UNDECIDED
} mw_pattern_verdict;

/* MW_E_SYNTAX: `detail` (may be NULL) says where and why. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_log_pattern_new(mw_slice text, mw_log_pattern **out, mw_detail *detail);
void mw_log_pattern_free(mw_log_pattern *pattern); /* NULL is ignored */
/* In the body of a LogRecord message. `stop`, which may be NULL, is asked from time to time:
 * MW_E_TIMEOUT. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_log_pattern_search(mw_log_pattern *pattern, mw_slice record,
                                         bool (*stop)(void *ctx), void *stop_ctx,
                                         mw_pattern_verdict *verdict);

#endif
