/* What a store's directory holds: its segments in order, where each ends, and their blocks.
 *
 * Shared by recovery and by offline verification. Reads only. Memory is MW_MEM_STORE.
 */
#ifndef MW_STORE_SEGMENT_WALK_H
#define MW_STORE_SEGMENT_WALK_H

#include "lib/store/segment/known.h"
#include "lib/store/segment/segment_footer.h"

typedef struct mw_segment_file {
    uint64_t id; /* by its name */
    char *path;
    int fd;
    uint64_t size, inode;
    /* MW_E_CORRUPT (no header, an empty file, no file), MW_E_UNSUPPORTED: `header` is not to be
     * believed. MW_E_CONFLICT: it is whole, but that of another segment, of which this file is a
     * copy, or which somebody renamed. MW_E_DENIED: whole, but of another store. */
    mw_err header_err;
    mw_segment_header header;
    /* A byte of it is damaged in the file; `header`, and these bytes, are as it was written. */
    bool header_mended;
    unsigned char mended[MW_SEGMENT_HEADER_SIZE];
    uint64_t limit;     /* nothing at or behind this offset counts */
    uint64_t known_end; /* of the log: the catalogue remembers as much as durable; 0 = nothing */
    bool salt_differs;  /* from what is remembered; by all else it is that segment */
    bool found;         /* of the log: its end is found, not recorded */
    bool newest;        /* and the next append goes on behind it */
    bool recorded;      /* somebody wrote down where it ends */
    /* Merged: what it took the place of; MW_E_CORRUPT when no copy of that is whole. */
    mw_footer_replaced replaced;
    mw_err replaced_err;
    bool superseded; /* a merged segment of the directory replaced it: it is to be removed */
} mw_segment_file;

typedef struct mw_segment_files {
    mw_segment_file *items; /* ascending by id */
    size_t count;
} mw_segment_files;

/* MW_E_NOT_FOUND (no directory), MW_E_IO, MW_E_NOMEM. A header that is damaged or
 * of another version is no error here. Also beside a daemon: what goes meanwhile is not in it. */
MW_MUST_USE mw_err mw_segment_files_load(const char *directory, mw_segment_files *out);
/* Takes what the catalogue remembers into account: how much of each segment of the log was durable,
 * and which files are another store's: one that has another header than is remembered, and a merged
 * one that is not remembered and was made with another digest.key. Where only the salt differs, and
 * the blocks are those that are remembered, the memory is damaged: `salt_differs`. Of a segment of
 * the log that nobody remembers it cannot be told; nor of any, where the catalogue is empty.
 * `key_seed` NULL: the key is not known. */
void mw_segment_files_recall(mw_segment_files *files, const mw_known_segments *known,
                             const uint64_t *key_seed);
/* Which of them count and where they end, once more: a header_err has changed. */
void mw_segment_files_settle(mw_segment_files *files);
/* Is the file at that place a segment of this store that was given another name? Its own is free,
 * nothing replaced it, and the catalogue remembers it; where that is empty, a merged one shows it
 * by its key. What is neither remembered nor replaced was retired: months old ones must not come
 * back. */
bool mw_segment_file_belongs(const mw_segment_files *files, size_t at,
                             const mw_known_segments *known, const uint64_t *key_seed);
/* The size of one whose end is found, as it is now; its walk begins anew. MW_E_IO. */
MW_MUST_USE mw_err mw_segment_file_look_again(mw_segment_file *file);
/* Does the name still mean that file? Beside a daemon a file that was merged may hold another
 * segment by now. */
bool mw_segment_file_is_there(const mw_segment_file *file);
void mw_segment_files_fini(mw_segment_files *files);

typedef struct mw_walked_block {
    uint64_t offset;
    mw_block_header header;
} mw_walked_block;

typedef struct mw_walk_gap {
    uint64_t from, to;
} mw_walk_gap;

/* The blocks of a segment whose headers validate and fit below the limit (of a merged one: where
 * the footer begins). */
typedef struct mw_walk {
    mw_walked_block *blocks;
    size_t block_count, block_capacity;
    mw_walk_gap *gaps; /* stretches between that hold no valid header: damage */
    size_t gap_count, gap_capacity;
    uint64_t end;    /* behind the last block */
    uint64_t synced; /* known to have been durable up to here */
} mw_walk;

/* A damaged header is stepped over when a later block proves that it once was durable; where
 * the end is found, bytes that nothing proves are a torn tail and no gap. MW_E_IO, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_segment_walk(const mw_segment_file *file, mw_walk *out);
void mw_walk_fini(mw_walk *walk);
/* Do the blocks of the newest segment end there in order, with the file or the mark of the end? */
bool mw_segment_ends_at(const mw_segment_file *file, uint64_t offset);

#endif
