/* The daemon's options: one table behind file, environment, flags, `check` and help.
 *
 * Values are plain text and numbers in one struct; nobody but serve.c and check.c sees it whole.
 * Loading has no side effects but reading the file, the environment and the clock-free rest of
 * the world; it runs on the main thread before any other exists. Neighbours: lib/base/option.h
 * (parsing), cli/cli.h (the rule for the default data directory).
 */
#ifndef MW_SERVER_OPTIONS_H
#define MW_SERVER_OPTIONS_H

#include "lib/base/log.h"
#include "lib/base/option.h"

/* Longest path of the data directory: DATA/midwatch.sock must fit sockaddr_un (108 bytes). */
#define MW_DATA_PATH_SIZE 90
#define MW_PATH_SIZE 1024
#define MW_ADDRESS_LIST_SIZE 512

/* The smallest memory_limit that still takes one maximal request beside SQLite and TLS. */
#define MW_MEMORY_LIMIT_MIN ((uint64_t)32 << 20)
/* DESIGN 3.3: no request is larger than this after decompression. */
#define MW_MAX_REQUEST_CEILING ((uint64_t)64 << 20)
/* Below 64 the shares of the ports mean little; a million is more than memory for
 * their buffers and the kernel's ports allow. */
#define MW_MAX_CONNECTIONS_LEAST 64
#define MW_MAX_CONNECTIONS_MOST 1000000

typedef struct mw_server_options {
    char config[MW_PATH_SIZE];
    char data[MW_PATH_SIZE];
    char grpc[MW_ADDRESS_LIST_SIZE];
    char http[MW_ADDRESS_LIST_SIZE];
    char web[MW_ADDRESS_LIST_SIZE];
    uint64_t memory_limit;
    uint64_t max_request;
    uint64_t max_connections;
    uint64_t loops;   /* 0 = one a processor, at most 8 */
    uint64_t readers; /* 0 = one a processor, at least 4 */
    int64_t merge_after_ns;
    int64_t retention_ns;     /* 0 = for ever */
    uint64_t retention_bytes; /* 0 = none */
    char allowed_hosts[MW_PATH_SIZE];
    char allowed_origins[MW_PATH_SIZE];
    bool insecure_listen;
    char tls_cert[MW_PATH_SIZE];
    char tls_key[MW_PATH_SIZE];
    char tls_client_ca[MW_PATH_SIZE];
    char public_url[MW_ADDRESS_LIST_SIZE];
    char log_level[16];
    char log_format[16];
} mw_server_options;

#define MW_SERVER_OPTION_COUNT 22
extern const mw_option mw_server_option_table[MW_SERVER_OPTION_COUNT];

typedef struct mw_server_settings {
    mw_server_options values;
    mw_option_origin origins[MW_SERVER_OPTION_COUNT];
} mw_server_settings;

/* Defaults, then file, environment and flags, each stronger than the one before; then the rules
 * that join options. argv holds flags only. Fills values.data by the rule of DESIGN 4.1 when
 * nobody gave it. MW_E_INVALID, MW_E_LIMIT, MW_E_NOT_FOUND, MW_E_SYNTAX, MW_E_IO, MW_E_DENIED
 * (an address that is not loopback without insecure_listen), with detail. */
MW_MUST_USE mw_err mw_server_options_load(mw_server_settings *settings, int argc, char **argv,
                                          mw_detail *detail);

/* True when every "host:port" of the comma-separated list names loopback (localhost, 127.0.0.0/8,
 * [::1]); else *offender is the first that does not. Pure. */
bool mw_addresses_loopback(mw_slice list, mw_slice *offender);

/* As checked by load. log_format "auto" is logfmt on a terminal and JSON otherwise. */
mw_log_level mw_server_log_level(const mw_server_options *options);
mw_log_format mw_server_log_format(const mw_server_options *options, bool terminal);

/* DATA/name into out; the data path is bounded so that this always fits. */
void mw_data_path(const mw_server_options *options, const char *name, char out[MW_PATH_SIZE]);

const char *mw_option_origin_name(mw_option_origin origin);

#endif
