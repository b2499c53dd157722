/* One segment file: create, append, read; reference counted.
 *
 * The index and the writer hold references; the last one closes the file and frees the index
 * entries of its blocks. Appending is the writer's alone, reading is anybody's (pread). All writes
 * go through lib/base/io.h's table.
 */
#ifndef MW_STORE_SEGMENT_H
#define MW_STORE_SEGMENT_H

#include <stdatomic.h>

#include "lib/base/io.h"
#include "lib/store/format/block.h"

typedef struct mw_segment {
    atomic_uint refs;
    mw_segment_header header;
    int fd;
    char *path;   /* MW_MEM_STORE */
    uint64_t end; /* writer's thread: behind the last synced block; merged: the file's end */
    mw_index_block *blocks;   /* under the index's lock; owned; of the log the newest first, merged:
                               * in the order of the file, and then immutable once published */
    size_t block_count;       /* likewise */
    struct mw_footer *footer; /* merged: owned, immutable; else NULL */
    _Atomic(struct mw_piece_list *) pieces; /* merged: owned, once a question made it; else NULL */
    uint64_t size; /* writer's thread: of the file; more than `end` in what was a spare one */
    atomic_bool reusable;   /* this process made it for the log, and no write failed in it */
    struct mw_spare *spare; /* the keeper's, until it lets go; the last reference hands over */
    char *spare_path;       /* to it. MW_MEM_STORE, NULL = not */
    bool aside;             /* recovery, then the keeper's thread: has damage, is not merged */
    size_t row_blocks; /* likewise; of the log: blocks that its row in the catalogue speaks of */
} mw_segment;

/* "DIRECTORY/%016x.seg" in MW_MEM_STORE; NULL without memory. */
MW_MUST_USE char *mw_segment_path(const char *directory, uint64_t id);

/* Makes the file under a temporary name, of a spare one if there is one (`spare` may be NULL), with
 * `carried` bytes of blocks behind the header, syncs it, gives it its name and syncs the directory:
 * a named segment is whole. header->durable_end is set here. One reference, the caller's. MW_E_IO,
 * MW_E_NO_SPACE, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_segment_create(const char *directory, mw_segment_header *header,
                                     mw_slice carried, struct mw_spare *spare, mw_segment **out);
/* An existing file for reading; takes the descriptor. NULL without memory (fd stays). */
MW_MUST_USE mw_segment *mw_segment_adopt(const char *path, int fd, const mw_segment_header *header,
                                         uint64_t end);

/* An existing merged file of `size` bytes, with its footer and the entries of its blocks; takes the
 * descriptor. One reference, the caller's. MW_E_CORRUPT (the footer is damaged), MW_E_IO,
 * MW_E_NOMEM: the descriptor stays the caller's. */
MW_MUST_USE mw_err mw_segment_open_merged(const char *path, int fd, const mw_segment_header *header,
                                          uint64_t size, mw_segment **out);
/* Gives a merged segment that has none its blocks' entries, in the order of the file. They become
 * the segment's; the array does not. */
void mw_segment_give_blocks(mw_segment *segment, mw_index_block *const *blocks, size_t count);

/* Writes at the end and syncs; `iov` is used up, and has room for one more behind `count`. After an
 * error the file must not be written or synced again: the kernel may have dropped the pages and
 * would call the next sync a success; what a full disk took of a group is cut off here. MW_E_IO,
 * MW_E_NO_SPACE. */
MW_MUST_USE mw_err mw_segment_append(mw_segment *segment, struct iovec *iov, size_t count);
/* Cuts off what a spare file held behind the end: nothing more is appended. If that fails it stays,
 * and nobody reads it. */
void mw_segment_trim(mw_segment *segment);
/* Where the next block would lie. */
mw_block_place mw_segment_place(const mw_segment *segment, uint64_t offset);

void mw_segment_ref(mw_segment *segment);
void mw_segment_unref(mw_segment *segment); /* NULL is ignored */

#endif
