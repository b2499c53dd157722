/* Blocks from a file: reads a chunk, checks it, unpacks it, decodes it.
 *
 * The buffers (MW_MEM_QUERY) grow to the largest chunk read and are kept between blocks. What
 * a read returns points into them and is valid until the next read with the same reader. One
 * thread at a time.
 */
#ifndef MW_STORE_BLOCK_READER_H
#define MW_STORE_BLOCK_READER_H

#include "lib/store/format/zstd_frame.h"
#include "lib/store/segment/segment.h"

typedef struct mw_block_reader {
    char *stored, *raw;
    size_t stored_size, raw_size;
    char *plain; /* items out of fields, all of a chunk: for mw_read_items alone */
    size_t plain_size;
    mw_zstd zstd;
} mw_block_reader;

void mw_block_reader_init(mw_block_reader *reader);
void mw_block_reader_fini(mw_block_reader *reader);
/* Makes one of the buffers long enough; what it held is lost. False without memory. */
MW_MUST_USE bool mw_block_reader_room(char **buffer, size_t *size, size_t need);

/* MW_E_CORRUPT, MW_E_IO, MW_E_NOMEM. `header` was validated for this offset. */
MW_MUST_USE mw_err mw_read_hot(mw_block_reader *reader, int fd, uint64_t offset,
                               const mw_block_header *header, mw_hot *out);
/* The columns of the set alone, where unpacking them all takes longer. Same errors. */
MW_MUST_USE mw_err mw_read_columns(mw_block_reader *reader, int fd, uint64_t offset,
                                   const mw_block_header *header, mw_column_set columns,
                                   mw_hot *out);
/* A chunk of items, checked and unpacked to reader->raw, all at once. Same errors. */
MW_MUST_USE mw_err mw_read_items_raw(mw_block_reader *reader, int fd, uint64_t offset,
                                     const mw_block_header *header);
/* The same, all items: for verification. Questions walk (items_walk.h). `hot` are the block's
 * columns, which another reader holds. mw_items_fini when done. */
MW_MUST_USE mw_err mw_read_items(mw_block_reader *reader, int fd, uint64_t offset,
                                 const mw_block_header *header, const mw_hot *hot, mw_items *out);
/* Only whether the item chunk is as it was written; read in pieces. */
MW_MUST_USE mw_err mw_check_items(mw_block_reader *reader, int fd, uint64_t offset,
                                  const mw_block_header *header);

#endif
