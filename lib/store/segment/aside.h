/* Files that a start set aside: "….seg.aside-N" beside the segments. No reader looks at them, and
 * nothing removes them but a person.
 */
#ifndef MW_STORE_SEGMENT_ASIDE_H
#define MW_STORE_SEGMENT_ASIDE_H

#include "lib/store/segment/segment_walk.h"

#define MW_ASIDE_PATH_SIZE 4096u

/* A name for the file that nobody has yet; false when all are taken. */
bool mw_aside_name(const char *path, char out[MW_ASIDE_PATH_SIZE]);

typedef struct mw_aside_file {
    char path[MW_ASIDE_PATH_SIZE];
    uint64_t size;
    mw_err header_err; /* MW_OK: it has the header of a segment; else that is zero */
    mw_segment_header header;
} mw_aside_file;

/* Each of a directory, in no order, until the callback ends it with an error, which is returned.
 * MW_E_NOT_FOUND (no directory), MW_E_IO. */
MW_MUST_USE mw_err mw_aside_each(const char *directory,
                                 mw_err (*call)(void *ctx, const mw_aside_file *file), void *ctx);

#endif
