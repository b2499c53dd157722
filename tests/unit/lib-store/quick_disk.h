/* A disk that does not wait: for tests in which nothing loses power, so that syncs only cost time.
 * Group set-up and tear-down for cmocka.
 */
#ifndef MW_TEST_QUICK_DISK_H
#define MW_TEST_QUICK_DISK_H

#include "lib/base/io.h"

static inline int quick_disk_sync(int fd)
{
    (void)fd;
    return 0;
}

static inline int quick_disk_begin(void **state)
{
    static mw_io io;
    (void)state;
    io = *mw_io_system();
    io.fdatasync = quick_disk_sync;
    io.fsync = quick_disk_sync;
    mw_io_use(&io);
    return 0;
}

static inline int quick_disk_end(void **state)
{
    (void)state;
    mw_io_use(NULL);
    return 0;
}

#endif
