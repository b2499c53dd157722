/* Puts every library's global allocator under the memory account (DESIGN 3.3).
 *
 * nghttp2, zlib, zstd, lz4 and protobuf-c take an allocator where they are used and are not here.
 */
#ifndef MW_SERVER_ALLOCATORS_H
#define MW_SERVER_ALLOCATORS_H

/* Main thread, after mw_memory_init and before any of the libraries is used or a thread started;
 * aborts when a library refuses its hooks: without them memory_limit would not hold. */
void mw_server_allocators_install(void);

#endif
