/* The footer of a merged segment: what is found in it without reading its blocks.
 *
 * Built in memory by the merger, written behind the blocks, read at start and by questions: a part
 * of it (blocks, fences of the directories) stays in memory with the segment, the rest is read a
 * page at a time. Everything in it can be made again from the blocks (`midwatch check --rebuild`),
 * but for the list of what the segment replaced, which is kept twice.
 *
 * OWNER DRAWS the format here: sections and their checksums, one by one:
 *   replaced   ids of the segments that this one replaces (also of those that they replaced and
 *              that may still lie in the directory)
 *   requests   (digest, arrival) of the commits of the retry window, so that a start knows them
 *   blocks     offset and header of each, keys of its services and metric names, where its filter is
 *   traces     (trace key, block), ascending: pages with a checksum each, and the first key of each
 *   sessions   the same of own session ids; and their texts, ascending, for prefixes
 *   filters    per block, opaque here (block_filter.h)
 *   rollups    opaque here (rollup.h)
 *   trailer    at the very end of the file: magic, where the sections are, checksum
 */
#ifndef MW_STORE_SEGMENT_FOOTER_H
#define MW_STORE_SEGMENT_FOOTER_H

#include "lib/store/segment.h"

/* ---- writing (the merger's thread; MW_MEM_MERGE) --------------------------------------------- */

typedef struct mw_footer_writer mw_footer_writer;

typedef struct mw_footer_request {
    uint8_t digest[16];
    uint64_t arrival_ns;
} mw_footer_request;

MW_MUST_USE mw_err mw_footer_writer_new(mw_footer_writer **out); /* MW_E_NOMEM */
void mw_footer_writer_free(mw_footer_writer *writer);            /* NULL is ignored */
/* In the order of the file. The entry is complete (header, offset, all keys); `hot` are its
 * columns, for the sessions' texts; `filter` may be empty. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_footer_writer_block(mw_footer_writer *writer, const mw_index_block *entry,
                                          const mw_hot *hot, mw_slice filter);
/* What stands in the lists is copied. `arrival_max_ns`: the latest arrival of all items. */
typedef struct mw_footer_facts {
    const uint64_t *replaced;
    size_t replaced_count;
    const mw_footer_request *requests;
    size_t request_count;
    mw_slice rollups;
    uint64_t arrival_max_ns;
    uint64_t last_seq; /* the highest commit sequence of the items */
} mw_footer_facts;
/* The bytes that belong at `offset` (the end of the blocks), the writer's until it is freed.
 * MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_footer_writer_finish(mw_footer_writer *writer,
                                           const mw_segment_header *header, uint64_t offset,
                                           const mw_footer_facts *facts, mw_slice *out);

/* ---- reading (any thread; immutable once loaded) ---------------------------------------------- */

typedef struct mw_footer {
    uint64_t *replaced;
    size_t replaced_count;
    mw_footer_request *requests; /* freed by mw_footer_forget_requests once taken over */
    size_t request_count;
    uint64_t arrival_max_ns, last_seq;
    /* the rest is the owner's to add: places of sections, fences */
} mw_footer;

/* Reads the resident part from an open merged segment file of `size` bytes and makes the entries of
 * its blocks (without keys of traces and sessions: those stay in the file). *blocks in the order of
 * the file, MW_MEM_STORE, their segment not yet set. MW_E_CORRUPT (the footer is damaged: rebuild),
 * MW_E_IO, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_footer_load(int fd, uint64_t size, const mw_segment_header *header,
                                  mw_footer **out, mw_index_block ***blocks, size_t *block_count);
void mw_footer_free(mw_footer *footer); /* NULL is ignored */
void mw_footer_forget_requests(mw_footer *footer);

typedef enum mw_key_kind { MW_KEYS_TRACES, MW_KEYS_SESSIONS, MW_KEY_KINDS } mw_key_kind;

/* Calls with the number of each block (in the file's order; the same one perhaps more than once)
 * that holds one of the ascending keys. Few keys cost a page each; many, one pass over the
 * directory. MW_E_IO, MW_E_CORRUPT, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_footer_find(const mw_footer *footer, int fd, mw_key_kind kind,
                                  const uint64_t *keys, size_t count,
                                  void (*found)(void *ctx, uint32_t block), void *ctx);
/* All keys of the directory in order, a page at a time. */
MW_MUST_USE mw_err mw_footer_each_key(const mw_footer *footer, int fd, mw_key_kind kind,
                                      mw_err (*key)(void *ctx, uint64_t key, uint32_t block),
                                      void *ctx);
/* Session texts that begin with `prefix`, at most `max` calls. Errors as above. */
MW_MUST_USE mw_err mw_footer_session_texts(const mw_footer *footer, int fd, mw_slice prefix,
                                           size_t max, void (*text)(void *ctx, mw_slice text),
                                           void *ctx);
/* Opaque sections, into MW_MEM_QUERY memory that the caller frees. Empty ones come as NULL, 0. */
MW_MUST_USE mw_err mw_footer_filter(const mw_footer *footer, int fd, uint32_t block, char **data,
                                    size_t *len);
MW_MUST_USE mw_err mw_footer_rollups(const mw_footer *footer, int fd, char **data, size_t *len);

#endif
