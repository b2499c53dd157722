/* Reading a segment's file at a place of it. See pread_all.h. */
#include <errno.h>
#include <unistd.h>

#include "lib/store/segment/pread_all.h"

mw_err mw_pread_all(int fd, void *to, size_t len, uint64_t offset)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = pread(fd, (char *)to + got, len - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return MW_E_IO;
        if (n == 0)
            return MW_E_CORRUPT;
        got += (size_t)n;
    }
    return MW_OK;
}
