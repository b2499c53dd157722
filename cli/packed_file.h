/* A file that is plain or gzip, which its first bytes tell, read from front to end.
 *
 * gzip as RFC 1952 has it: members one behind the other. Whatever else stands behind a member, and
 * a member that is cut off or damaged, is a problem that names the place: zlib's own gzread passes
 * such bytes over in silence, and with them what somebody thought was imported.
 *
 * A member's checksum stands at its end, and what an import has sent is there for ever: so each
 * member is read twice, once to its checksum and then for its bytes, and of a damaged one no byte
 * comes out. A pipe cannot be read twice: its packed bytes go to a file under TMPDIR that has no
 * name, MW_PACKED_KEPT of them at most. A member that is longer, or finds no room there, is read
 * once, and `unchecked` says so; its bytes before a problem stay read.
 *
 * Memory is three buffers of a fixed size, whatever the file unpacks to (some 240 KiB). Owned by
 * its user; one thread.
 */
#ifndef MW_CLI_PACKED_FILE_H
#define MW_CLI_PACKED_FILE_H

#include <zlib.h>

#include "lib/base/memory.h"

/* Packed bytes of a pipe's member: /tmp may be memory. Some 2 GiB of OTLP/JSON. */
#define MW_PACKED_KEPT ((uint64_t)256 << 20)

typedef enum mw_packing { MW_PACKING_UNKNOWN, MW_PACKING_NONE, MW_PACKING_GZIP } mw_packing;

typedef struct mw_packed_file {
    int fd;
    mw_packing packing;
    z_stream stream;
    bool has_stream;
    bool in_member;
    bool unchecked; /* the present member could not be read twice */
    bool seekable;
    bool at_end;    /* of the file: nothing is behind `input` */
    uint8_t *input; /* bytes of the file that were not taken yet: at to len */
    size_t at, len;
    uint64_t offset;   /* in the file, of input[0] */
    uint64_t member;   /* where the present one begins */
    uint64_t kept_max; /* MW_PACKED_KEPT, but in tests */
    /* The second reading: packed bytes from `again_at` to `again_end` of again_fd, then `input`. */
    int again_fd, kept_fd; /* kept_fd: what a pipe brought, -1 = none yet */
    uint64_t again_at, again_end;
    uint8_t
        *again; /* a piece of them: piece_at to piece_len; first scratch for the first reading */
    size_t piece_at, piece_len;
    char problem[256]; /* empty = none */
} mw_packed_file;

/* "-" is standard input. False: errno says why. */
MW_MUST_USE bool mw_packed_file_open(mw_packed_file *file, const char *path);
void mw_packed_file_close(mw_packed_file *file);
/* Up to `size` bytes, unpacked; 0 at the end, and when file->problem says why not. */
MW_MUST_USE size_t mw_packed_file_read(mw_packed_file *file, char *out, size_t size);

#endif
