/* Reading a segment's file at a place of it. Any thread. */
#ifndef MW_STORE_PREAD_ALL_H
#define MW_STORE_PREAD_ALL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

/* Exactly `len` bytes; MW_E_CORRUPT when the file is shorter, MW_E_IO. */
MW_MUST_USE mw_err mw_pread_all(int fd, void *to, size_t len, uint64_t offset);

#endif
