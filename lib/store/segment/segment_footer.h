/* The footer of a merged segment: what is found in it without reading its blocks.
 *
 * Built in memory by the merger, written behind the blocks, read at start and by questions: a part
 * of it (blocks, fences of the directories) stays in memory with the segment, the rest is read a
 * page at a time. Everything in it can be made again from the blocks (`midwatch check --rebuild`),
 * but for the list of what the segment replaced, which is kept twice.
 *
 * The format, drawn. Numbers are little endian, without alignment. The footer begins where the
 * blocks end (durable end of the segment header) and ends with the file. Its sections follow one
 * another without a gap, in this order, and behind the last stands the trailer:
 *
 *    0  replaced, first copy
 *    1  traces          directory
 *    2  sessions        directory
 *    3  texts           of the sessions
 *    4  filters         one a block, opaque here (block_filter.h)
 *    5  rollups         opaque here (rollup.h)
 *    6  replaced, second copy: from here on all is read at start
 *    7  requests
 *    8  blocks
 *    9  trace fences
 *   10  session fences
 *   11  text fences
 *
 * Checksums are XXH3-64. Their seed is that of a block at the place in the file where the checked
 * bytes begin (segment_format.h: of segment id and offset, with the segment's salt): a section, the
 * trailer, a page, a filter. Only the checksum inside of "replaced" has another one.
 *
 * The key of a text is XXH3-64 of it, or 1 where that is 0. The seed is XXH3-64 of all of
 * digest.key, and the seed of that is XXH3-64, with seed 0, of the ten bytes "text keys\0". An
 * empty text has no key. The key of a trace is the first 8 bytes of its id as a big-endian number,
 * which sorts as ids do.
 *
 * Trailer, 384 bytes, the last of the file
 *
 *   off size
 *     0    8  magic "MWFOOTR\n"
 *     8    4  version, 1
 *    12    4  sections, 12
 *    16    8  segment id
 *    24    8  where the footer begins
 *    32    8  the latest arrival of all that was merged, repeats included, unix ns
 *    40    8  the highest commit sequence, likewise
 *    48    8  blocks
 *    56    8  pairs of "traces"
 *    64    8  pairs of "sessions"
 *    72    8  pages of "texts"
 *    80  288  of each section: offset in the file (8), length (8), checksum (8)
 *   368    8  which seed the keys of texts were made with: checksum of "key check\0", seed = that
 *             seed (segment_format.h); keys made with another find nothing
 *   376    8  checksum of bytes 0..375
 *
 * Replaced: ids of the segments that this one replaces, and of those that they replaced: their
 * blocks count no more; and where segments of the log end that may still lie in the directory while
 * the one whose header said so (segment_format.h: predecessor's end) is among the replaced. Checked
 * for itself, so that it can be read when the rest is damaged
 *
 *   8     magic "MWREPLD\n"
 *   8     ids (n)
 *   8     ends (m)
 *   8 n   ids
 *   16 m  id of a segment of the log, its end
 *   8     checksum of all before, seed = the segment's id
 *
 * Requests: 24 bytes each, digest (16) and arrival (8) of each commit that a start shall recognise
 * when it is sent again; in order of arrival. As many as fill the section.
 *
 * Blocks: one record each, in the order of the file
 *
 *   off size
 *     0    8  offset in the file
 *     8  128  the block's header, as it stands there
 *   136    4  distinct keys of services (s)
 *   140    4  distinct keys of metric names (m); 0 but for metrics
 *   144    4  pairs of "traces" that name the block
 *   148    4  pairs of "sessions" that name the block
 *   152    8  its filter's offset in "filters", from where that begins
 *   160    8  its filter's length, 0 = none
 *   168    8  its filter's checksum
 *   176  8 s  keys of services, ascending
 *        8 m  keys of metric names, ascending
 *
 * Directory: pairs of 12 bytes, key (8) and number of the block (4), ascending, distinct; a block
 * is numbered by its place in the file, from 0. Keys of "traces" are those of the trace ids of
 * spans and log records (0 = those without a trace, or an id that begins so), of "sessions" those
 * of the texts in the column session id, of all signals. Pages of 512 pairs (6144 bytes), of which
 * the last is shorter. Fences: of each page its first key (8) and its checksum (8).
 *
 * Texts: distinct session ids of that column, of spans and log records, ascending by bytes, those
 * longer than 4096 bytes left out; each 2 bytes length and the text. Pages of 32 KiB or the last
 * text more, each packed for itself. Text fences: of each page
 *
 *   4    bytes in the file       4    the same, unpacked
 *   8    checksum as in the file
 *   1    0 = as it is, 1 = a zstd frame
 *   1    length of what follows (l), at most 64
 *   l    its first text, or the first 64 bytes of it
 */
#ifndef MW_STORE_SEGMENT_FOOTER_H
#define MW_STORE_SEGMENT_FOOTER_H

#include "lib/store/segment/segment.h"

/* Longer session ids are found whole only, not by a prefix: a page of texts stays small. */
#define MW_FOOTER_TEXT_MAX 4096u

typedef struct mw_footer_request {
    uint8_t digest[16];
    uint64_t arrival_ns;
} mw_footer_request;

/* Where a segment of the log ends: what its successor's header says, kept when that one goes. */
typedef struct mw_footer_end {
    uint64_t segment_id, end;
} mw_footer_end;

typedef enum mw_key_kind { MW_KEYS_TRACES, MW_KEYS_SESSIONS, MW_KEY_KINDS } mw_key_kind;

/* ---- writing (the merger's thread; MW_MEM_MERGE) --------------------------------------------- */

typedef struct mw_footer_writer mw_footer_writer;

MW_MUST_USE mw_err mw_footer_writer_new(mw_footer_writer **out); /* MW_E_NOMEM */
void mw_footer_writer_free(mw_footer_writer *writer);            /* NULL is ignored */
/* In the order of the file. The entry is complete (header, offset, all keys); `hot` are its
 * columns, for the sessions' texts; `filter` may be empty. MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_footer_writer_block(mw_footer_writer *writer, const mw_index_block *entry,
                                          const mw_hot *hot, mw_slice filter);
/* Bytes of memory that the writer holds by now. */
size_t mw_footer_writer_bytes(const mw_footer_writer *writer);

/* What stands in the lists is copied. `arrival_max_ns`: the latest arrival of all items. */
typedef struct mw_footer_facts {
    const uint64_t *replaced;
    size_t replaced_count;
    /* Of each input that is a segment of the log with a predecessor: that one's id and end; of each
     * that is merged: its footer's. Those of segments that are replaced may be left out. */
    const mw_footer_end *ends;
    size_t end_count;
    const mw_footer_request *requests; /* in order of arrival */
    size_t request_count;
    mw_slice rollups;
    uint64_t arrival_max_ns;
    uint64_t last_seq;  /* the highest commit sequence of the items */
    uint64_t key_check; /* mw_key_check */
} mw_footer_facts;
/* The bytes that belong at `offset` (the end of the blocks), the writer's until it is freed. Of
 * `header` id and salt are used. Once only. MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_footer_writer_finish(mw_footer_writer *writer,
                                           const mw_segment_header *header, uint64_t offset,
                                           const mw_footer_facts *facts, mw_slice *out);

/* ---- reading (any thread; immutable once loaded) --------------------------------------------- */

#define MW_FOOTER_SECTIONS 12u

typedef struct mw_footer_section {
    uint64_t offset, length, checksum;
} mw_footer_section;

typedef struct mw_footer_fence {
    uint64_t first_key, checksum;
} mw_footer_fence;

typedef struct mw_footer_directory {
    uint64_t offset, pair_count;
    mw_footer_fence *fences; /* one a page */
    size_t page_count;
} mw_footer_directory;

typedef struct mw_footer_text_page {
    uint64_t offset, checksum; /* in the file */
    uint32_t stored, raw;
    bool packed;
    mw_slice first; /* perhaps cut */
} mw_footer_text_page;

typedef struct mw_footer_filter_place {
    uint64_t offset, checksum; /* in the file */
    size_t len;
} mw_footer_filter_place;

/* What a segment took the place of. */
typedef struct mw_footer_replaced {
    uint64_t *ids; /* MW_MEM_STORE, as the next */
    size_t count;
    mw_footer_end *ends;
    size_t end_count;
} mw_footer_replaced;

/* MW_MEM_STORE, as all it holds. */
typedef struct mw_footer {
    mw_footer_replaced replaced;
    mw_footer_request *requests; /* freed by mw_footer_forget_requests once taken over */
    size_t request_count;
    uint64_t arrival_max_ns, last_seq;
    uint64_t key_check; /* another than mw_key_check's: the keys of texts are of no use */
    uint64_t segment_id, salt;
    mw_footer_section sections[MW_FOOTER_SECTIONS];
    mw_footer_directory directories[MW_KEY_KINDS];
    mw_footer_text_page *text_pages;
    size_t text_page_count;
    char *text_firsts;               /* what text_pages[].first point into */
    mw_footer_filter_place *filters; /* by block */
    size_t block_count;
} mw_footer;

/* Reads the resident part from an open merged segment file of `size` bytes and makes the entries of
 * its blocks (without keys of traces and sessions: those stay in the file). *blocks in the order of
 * the file, MW_MEM_STORE like the array, their segment not yet set; the caller frees both
 * (mw_segment_open does all that). MW_E_CORRUPT (the footer is damaged: rebuild), MW_E_IO,
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_footer_load(int fd, uint64_t size, const mw_segment_header *header,
                                  mw_footer **out, mw_index_block ***blocks, size_t *block_count);
void mw_footer_free(mw_footer *footer); /* NULL is ignored */
void mw_footer_forget_requests(mw_footer *footer);
/* Reads them again, for a merge of merged segments. *requests is MW_MEM_STORE and the caller's.
 * MW_E_CORRUPT, MW_E_IO, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_footer_read_requests(const mw_footer *footer, int fd,
                                           mw_footer_request **requests, size_t *count);

/* Only what the segment replaced, also from a footer that is damaged: whichever copy is whole.
 * MW_E_CORRUPT (both are gone), MW_E_IO, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_footer_read_replaced(int fd, uint64_t size, const mw_segment_header *header,
                                           mw_footer_replaced *out);
void mw_footer_replaced_fini(mw_footer_replaced *replaced);

/* Calls with the number of each block (in no order, the same one perhaps more than once) that holds
 * one of the ascending keys. Few keys cost a page each; many, one pass over the directory. MW_E_IO,
 * MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_footer_find(const mw_footer *footer, int fd, mw_key_kind kind,
                                  const uint64_t *keys, size_t count,
                                  void (*found)(void *ctx, uint32_t block), void *ctx);
/* Pairs of the directory whose keys are from `low` to `high`, in order, a page at a time. MW_E_IO,
 * MW_E_CORRUPT, or what the callback returned, which ends it. */
MW_MUST_USE mw_err mw_footer_each_between(const mw_footer *footer, int fd, mw_key_kind kind,
                                          uint64_t low, uint64_t high,
                                          mw_err (*key)(void *ctx, uint64_t key, uint32_t block),
                                          void *ctx);
/* All of them. */
MW_MUST_USE mw_err mw_footer_each_key(const mw_footer *footer, int fd, mw_key_kind kind,
                                      mw_err (*key)(void *ctx, uint64_t key, uint32_t block),
                                      void *ctx);
/* Session texts that begin with `prefix`, in order, at most `max` calls. MW_E_IO, MW_E_CORRUPT,
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_footer_session_texts(const mw_footer *footer, int fd, mw_slice prefix,
                                           size_t max, void (*text)(void *ctx, mw_slice text),
                                           void *ctx);
/* Opaque sections, into MW_MEM_QUERY memory that the caller frees. Empty ones come as NULL, 0.
 * MW_E_IO, MW_E_CORRUPT, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_footer_filter(const mw_footer *footer, int fd, uint32_t block, char **data,
                                    size_t *len);
MW_MUST_USE mw_err mw_footer_rollups(const mw_footer *footer, int fd, char **data, size_t *len);
/* Does a section have the checksum that the trailer says? Read in pieces. MW_E_IO, MW_E_CORRUPT,
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_footer_check_section(const mw_footer *footer, int fd, unsigned section);
/* "the directory of traces", ... */
const char *mw_footer_section_name(unsigned section);

#endif
