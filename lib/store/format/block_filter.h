/* Filters of merged blocks: which attributes, names and words a block cannot hold.
 *
 * Two Bloom filters a block: of its items' (key, value) pairs at the top level of attributes,
 * resource and scope attributes among them, and of trigrams (ASCII lower case): for log records
 * those of all strings of the bodies, for spans those of the names. A question skips a block whose
 * filter lacks what it wants. Values are noted as they are compared (attribute_match.h); those that
 * equal nothing are not in it, and neither are texts of more than 128 bytes. Of spans the first one
 * also has agents, users and models as the columns tell them, and the tools that a name may call
 * (tool_name.h), under keys that stand for the column. Pure; the bytes lie in the footer, which
 * checks them. Blocks of the log have none and are read.
 *
 *   off size
 *     0    1  version, 2; of any other version, as of anything broken, all may pass
 *     1    1  1 = no attributes were noted: there were too many; 2 = no trigrams were
 *     2    2  zero
 *     4    4  a: cells of the attributes' filter
 *     8    4  t: cells of the trigrams' filter
 *    12    4  zero
 *    16    8  seed: random, so that no sender can choose values that meet
 *    24       a cells, then t cells, of 64 bytes
 *
 * An element is 64 bits, h. Its cell is ((h >> 32) * cells) >> 32; its bits in the cell are the six
 * groups of nine bits of h * 0x9e3779b97f4a7c15, from the highest down. Bit n of a cell is bit
 * n % 8 of its byte n / 8. With 9 bits to an element a cell is about half full. h of
 *
 *   an attribute        XXH3-64 of its value's text, seeded with XXH3-64 of its key, seeded with
 *                       the filter's seed
 *   one with a double   the same of the eight bytes of its bits (every NaN as the positive quiet
 *                       one), and seeded with the complement of what texts are: merging a
 *                       double costs no printing of it
 *   an agent, a user,   as an attribute's with the key "\0agent", "\0user", "\0model" or "\0tool",
 *   a model, a tool     which no framework sends; one that did would only be looked for in vain
 *   a trigram           (seed + its three bytes as a number, the first one highest) through the
 *                       finisher of splitmix64
 */
#ifndef MW_STORE_BLOCK_FILTER_H
#define MW_STORE_BLOCK_FILTER_H

#include "lib/store/format/attribute_match.h"
#include "lib/store/format/block.h"

/* Distinct elements of one block; with more of them that filter lets all pass. A block of 8,192
 * spans with sixteen attributes of their own each still fits; of trigrams, base64 without end does,
 * as 38 letters and digits make 54,872. They bound a filter at 222 KiB. */
#define MW_FILTER_ATTRIBUTES_MAX ((size_t)1 << 17)
#define MW_FILTER_TRIGRAMS_MAX ((size_t)1 << 16)
/* A longer value is a text that nobody asks for whole, and nearly always one of its own: noting
 * those would make most filters twice as long. Who asks for one all the same has blocks read. */
#define MW_FILTER_VALUE_MAX ((size_t)128)

/* What of a span's columns is noted whole. */
typedef enum mw_filter_name {
    MW_FILTER_AGENT,
    MW_FILTER_USER,
    MW_FILTER_MODEL,
    MW_FILTER_TOOL
} mw_filter_name;

typedef struct mw_filter_writer mw_filter_writer;

MW_MUST_USE mw_err mw_filter_writer_new(mw_filter_writer **out); /* MW_E_NOMEM; MW_MEM_MERGE */
void mw_filter_writer_free(mw_filter_writer *writer);            /* NULL is ignored */
/* A field of a Span, LogRecord or data point, tag included; others than attributes and bodies are
 * ignored. `signal` as in store.h. Equal ones should be given but once, or the filter may become
 * longer. Never fails: what cannot be noted makes the filter let all pass. */
void mw_filter_add_field(mw_filter_writer *writer, unsigned signal, mw_slice field);
/* A Resource or InstrumentationScope message. */
void mw_filter_add_context(mw_filter_writer *writer, mw_slice message);
/* Agents, users, models, tools and names of a block of spans; of other signals nothing. */
void mw_filter_add_columns(mw_filter_writer *writer, const mw_hot *hot);
/* The bytes, the writer's until it is used again; begins anew. Empty = lets all pass. */
mw_slice mw_filter_writer_finish(mw_filter_writer *writer);

/* May the block hold an item with it? Any thread. */
bool mw_filter_may_have(mw_slice filter, const mw_attribute_wanted *wanted);
/* May a span of the block have the name in the column? */
bool mw_filter_may_name(mw_slice filter, mw_filter_name column, mw_slice name);
/* May a body (of spans: a name) of the block contain the text, ASCII case ignored? Texts under
 * three bytes: always. */
bool mw_filter_may_contain(mw_slice filter, mw_slice text);

#endif
