/* The file of a merged segment while it is written.
 *
 * A temporary name until all is there and synced; pieces of at most MW_MERGE_PIECE between syncs;
 * the header last, so that a file that was left half-way is no segment under any name. Before it
 * gets its name its footer is read back. The keeper's thread; memory MW_MEM_STORE.
 */
#ifndef MW_STORE_MERGE_FILE_H
#define MW_STORE_MERGE_FILE_H

#include "lib/store/segment/segment.h"

typedef struct mw_merge_file {
    mw_segment_header header; /* durable_end and first_seq are set at the end */
    char *temporary, *path;
    int fd;
    uint64_t offset; /* the end of what was written */
    uint64_t synced; /* the end of what is durable */
} mw_merge_file;

/* Makes the temporary file; draws the salt. MW_E_IO, MW_E_NO_SPACE, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_merge_file_open(mw_merge_file *file, const char *directory, uint64_t id,
                                      uint64_t created_ns);
/* At the end of the file. MW_E_IO, MW_E_NO_SPACE: the file is to be discarded. */
MW_MUST_USE mw_err mw_merge_file_write(mw_merge_file *file, const void *bytes, size_t len);
/* Blocks and footer are written; the blocks end at `blocks_end`. Names the file and opens it as a
 * segment: one reference. MW_E_IO, MW_E_NO_SPACE, MW_E_NOMEM, MW_E_CORRUPT (the footer cannot be
 * read back): the file is to be discarded. */
MW_MUST_USE mw_err mw_merge_file_name(mw_merge_file *file, uint64_t blocks_end, uint64_t first_seq,
                                      mw_segment **out);
/* Removes what there is of it, unless it was named; frees. After any of the above. */
void mw_merge_file_end(mw_merge_file *file);

#endif
