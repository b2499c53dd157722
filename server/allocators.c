/* Hooks of SQLite, OpenSSL, jansson, libevent and libcurl into lib/base/memory. All functions are
 * called from any thread; the account is atomic. sqlite3.h is included for its memory methods
 * only: no statement is made here. */
#include <curl/curl.h>
#include <event2/event.h>
#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <sqlite3.h>

#include "lib/base/memory.h"
#include "server/allocators.h"

/* The three functions that most libraries ask for, under one component. */
#define DEFINE_HOOKS(prefix, component)                                                            \
    static void *prefix##_malloc(size_t size)                                                      \
    {                                                                                              \
        return mw_alloc(component, size);                                                          \
    }                                                                                              \
    static void prefix##_free(void *pointer)                                                       \
    {                                                                                              \
        mw_free(component, pointer);                                                               \
    }
#define DEFINE_REALLOC(prefix, component)                                                          \
    static void *prefix##_realloc(void *pointer, size_t size)                                      \
    {                                                                                              \
        if (size == 0 && pointer) {                                                                \
            mw_free(component, pointer);                                                           \
            return NULL;                                                                           \
        }                                                                                          \
        return mw_realloc(component, pointer, size);                                               \
    }

DEFINE_HOOKS(json_hook, MW_MEM_JSON)
DEFINE_HOOKS(event_hook, MW_MEM_EVENT)
DEFINE_REALLOC(event_hook, MW_MEM_EVENT)
DEFINE_HOOKS(curl_hook, MW_MEM_CURL)
DEFINE_REALLOC(curl_hook, MW_MEM_CURL)

static void *curl_hook_calloc(size_t count, size_t size)
{
    return mw_calloc(MW_MEM_CURL, count, size);
}

static char *curl_hook_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mw_alloc(MW_MEM_CURL, size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

/* OpenSSL passes the place of the call, which the account has no use for. */
static void *tls_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return size ? mw_alloc(MW_MEM_TLS, size) : NULL;
}

static void *tls_realloc(void *pointer, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    if (size == 0) {
        mw_free(MW_MEM_TLS, pointer);
        return NULL;
    }
    return mw_realloc(MW_MEM_TLS, pointer, size);
}

static void tls_free(void *pointer, const char *file, int line)
{
    (void)file, (void)line;
    mw_free(MW_MEM_TLS, pointer);
}

static void *sqlite_malloc(int size)
{
    return size > 0 ? mw_alloc(MW_MEM_SQLITE, (size_t)size) : NULL;
}

static void sqlite_free(void *pointer)
{
    mw_free(MW_MEM_SQLITE, pointer);
}

static void *sqlite_realloc(void *pointer, int size)
{
    return size > 0 ? mw_realloc(MW_MEM_SQLITE, pointer, (size_t)size) : NULL;
}

static int sqlite_size(void *pointer)
{
    return (int)malloc_usable_size(pointer);
}

/* SQLite wants a multiple of eight; malloc rounds further by itself. */
static int sqlite_roundup(int size)
{
    return (size + 7) & ~7;
}

static int sqlite_init(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static void sqlite_shutdown(void *ctx)
{
    (void)ctx;
}

static void require(bool done, const char *text)
{
    if (!done)
        mw_bug(__FILE__, __LINE__, text);
}

void mw_server_allocators_install(void)
{
    sqlite3_mem_methods methods = {sqlite_malloc,  sqlite_free, sqlite_realloc,  sqlite_size,
                                   sqlite_roundup, sqlite_init, sqlite_shutdown, NULL};
    require(CRYPTO_set_mem_functions(tls_malloc, tls_realloc, tls_free) == 1,
            "OpenSSL was used before its allocator was set");
    require(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK,
            "SQLite was used before its allocator was set");
    /* Its own count of memory costs a global lock an allocation, and we count already. */
    require(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK, "sqlite3_config failed");
    json_set_alloc_funcs(json_hook_malloc, json_hook_free);
    event_set_mem_functions(event_hook_malloc, event_hook_realloc, event_hook_free);
    require(curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_hook_malloc, curl_hook_free,
                                 curl_hook_realloc, curl_hook_strdup, curl_hook_calloc) == CURLE_OK,
            "libcurl cannot be initialised");
}
