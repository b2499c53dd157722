/* A file that is plain or gzip, which its first bytes tell, read from front to end.
 *
 * gzip as RFC 1952 has it: members one behind the other. Whatever else stands behind a member, and
 * a member that is cut off or damaged, is a problem that names the place: zlib's own gzread passes
 * such bytes over in silence, and with them what somebody thought was imported. What was read
 * before a problem stays read.
 *
 * Memory is two buffers of a fixed size, whatever the file unpacks to (some 110 KiB). Owned by its
 * user; one thread.
 */
#ifndef MW_CLI_PACKED_FILE_H
#define MW_CLI_PACKED_FILE_H

#include <zlib.h>

#include "lib/base/memory.h"

typedef enum mw_packing { MW_PACKING_UNKNOWN, MW_PACKING_NONE, MW_PACKING_GZIP } mw_packing;

typedef struct mw_packed_file {
    int fd;
    mw_packing packing;
    z_stream stream;
    bool has_stream;
    bool in_member;
    bool at_end;    /* of the file: nothing is behind `input` */
    uint8_t *input; /* bytes of the file that were not taken yet: at to len */
    size_t at, len;
    uint64_t offset;   /* in the file, of input[0] */
    uint64_t member;   /* where the present one begins */
    char problem[192]; /* empty = none */
} mw_packed_file;

/* "-" is standard input. False: errno says why. */
MW_MUST_USE bool mw_packed_file_open(mw_packed_file *file, const char *path);
void mw_packed_file_close(mw_packed_file *file);
/* Up to `size` bytes, unpacked; 0 at the end, and when file->problem says why not. */
MW_MUST_USE size_t mw_packed_file_read(mw_packed_file *file, char *out, size_t size);

#endif
