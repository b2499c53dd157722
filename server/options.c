/* The option table of the daemon and the rules that join options. Main thread, start-up only. */
#include <arpa/inet.h>
#include <stddef.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/access/origin.h"
#include "lib/base/clock.h"
#include "lib/net/net.h"
#include "server/options.h"

#define TEXT_FIELD(field) offsetof(mw_server_options, field), sizeof((mw_server_options *)0)->field
/* What waits longer costs a start the time to read it. */
#define MW_MERGE_AFTER_MOST (3600 * MW_NS_PER_S)
#define FIELD(field) offsetof(mw_server_options, field), 0

const mw_option mw_server_option_table[MW_SERVER_OPTION_COUNT] = {
    {"config", MW_OPTION_TEXT, TEXT_FIELD(config), "", 0, 0, false, "FILE",
     "YAML file with any of these options."},
    {"data", MW_OPTION_TEXT, TEXT_FIELD(data), "", 0, 0, false, "DIR",
     "Data directory; by default /var/lib/midwatch as root, else $XDG_STATE_HOME/midwatch."},
    {"grpc", MW_OPTION_LIST, TEXT_FIELD(grpc), "127.0.0.1:4317,[::1]:4317", 0, 0, false, "ADDR",
     "Where OTLP/gRPC listens; port 0 picks a free one."},
    {"http", MW_OPTION_LIST, TEXT_FIELD(http), "127.0.0.1:4318,[::1]:4318", 0, 0, false, "ADDR",
     "Where OTLP/HTTP listens (protobuf and JSON)."},
    {"web", MW_OPTION_LIST, TEXT_FIELD(web), "127.0.0.1:4319,[::1]:4319", 0, 0, false, "ADDR",
     "Where the API, webhooks, health and metrics listen."},
    {"memory_limit", MW_OPTION_BYTES, FIELD(memory_limit), "512MiB", MW_MEMORY_LIMIT_MIN,
     (uint64_t)1 << 40, false, "BYTES", "Bounds the memory of all parts together."},
    {"max_request", MW_OPTION_BYTES, FIELD(max_request), "64MiB", 1024, MW_MAX_REQUEST_CEILING,
     false, "BYTES", "Largest request after decompression; never over a quarter of memory_limit."},
    {"max_connections", MW_OPTION_COUNT, FIELD(max_connections), "1024", MW_MAX_CONNECTIONS_LEAST,
     MW_MAX_CONNECTIONS_MOST, false, "N",
     "Connections of all TCP ports together; the web port keeps 16 and gets at most half, the "
     "local socket has 16 of its own."},
    {"loops", MW_OPTION_COUNT, FIELD(loops), "0", 0, 64, false, "N",
     "Network threads; 0 is one a processor, at most 8."},
    {"readers", MW_OPTION_COUNT, FIELD(readers), "0", 0, 64, false, "N",
     "Threads for queries and investigations; 0 is one a processor, at least 4."},
    {"merge_after", MW_OPTION_DURATION, FIELD(merge_after_ns), "5m", (uint64_t)MW_NS_PER_S,
     (uint64_t)MW_MERGE_AFTER_MOST, false, "DURATION",
     "Telemetry is merged (sorted, repeats removed, packed harder) when it has waited this long, "
     "or "
     "earlier when there is much of it."},
    {"retention", MW_OPTION_DURATION, FIELD(retention_ns), "30d", 0, 0, false, "DURATION",
     "Telemetry is deleted when it arrived this long ago, at most a day later and by the time that "
     "midwatch was off; 0 keeps it for ever."},
    {"retention_bytes", MW_OPTION_BYTES, FIELD(retention_bytes), "0", 0, 0, false, "BYTES",
     "The oldest telemetry of a space is deleted when that has more than this on disk, what is not "
     "merged yet counted at what merging makes of it; meanwhile a space has up to half as much "
     "again. 0 is no bound."},
    {"allowed_hosts", MW_OPTION_LIST, TEXT_FIELD(allowed_hosts), "", 0, 0, true, "HOSTS",
     "Host names accepted in Host and Origin beside localhost and loopback addresses."},
    {"allowed_origins", MW_OPTION_LIST, TEXT_FIELD(allowed_origins), "", 0, 0, true, "ORIGINS",
     "Web pages (scheme://host:port) whose scripts may call midwatch from a browser."},
    {"insecure_listen", MW_OPTION_BOOL, FIELD(insecure_listen), "false", 0, 0, false, "",
     "Listen without tokens on addresses that are not loopback; in clear text unless tls_cert is "
     "given."},
    {"tls_cert", MW_OPTION_TEXT, TEXT_FIELD(tls_cert), "", 0, 0, true, "FILE",
     "Certificate and its chain (PEM): every TCP port then takes TLS, and clear text from this "
     "machine only."},
    {"tls_key", MW_OPTION_TEXT, TEXT_FIELD(tls_key), "", 0, 0, true, "FILE",
     "Key of tls_cert (PEM, no passphrase, mode 0600)."},
    {"tls_client_ca", MW_OPTION_TEXT, TEXT_FIELD(tls_client_ca), "", 0, 0, true, "FILE",
     "CAs (PEM): TLS clients must then show a certificate from one of them."},
    {"public_url", MW_OPTION_TEXT, TEXT_FIELD(public_url), "", 0, 0, false, "URL",
     "Base of the links midwatch gives out, when it is reached through another name."},
    {"log_level", MW_OPTION_TEXT, TEXT_FIELD(log_level), "info", 0, 0, true, "LEVEL",
     "Least level that is logged: debug, info, warn or error."},
    {"log_format", MW_OPTION_TEXT, TEXT_FIELD(log_format), "auto", 0, 0, false, "FORMAT",
     "logfmt, json, or auto (logfmt on a terminal, json otherwise)."},
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"logfmt", "json", "auto"};

/* -1 when `text` is none of `names`. */
static int name_index(const char *text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return (int)i;
    return -1;
}

static size_t option_index(const char *name)
{
    for (size_t i = 0; i < MW_SERVER_OPTION_COUNT; i++)
        if (strcmp(mw_server_option_table[i].name, name) == 0)
            return i;
    mw_bug(__FILE__, __LINE__, "no such option");
}

static bool host_is_loopback(mw_slice host)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct in_addr v4;
    struct in6_addr v6;
    if (mw_slice_equal_nocase(host, MW_SLICE("localhost")))
        return true;
    if (!mw_slice_to_cstr(host, text, sizeof text))
        return false;
    if (inet_pton(AF_INET, text, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* "[::1]:4317" -> "::1", "127.0.0.1:4317" -> "127.0.0.1"; what is no address at all comes back
 * as it is and is refused when it is bound. */
static mw_slice address_host(mw_slice address)
{
    if (address.len && address.data[0] == '[') {
        mw_slice inner = mw_slice_from(address, 1);
        return mw_slice_first(inner, mw_slice_find_byte(inner, ']'));
    }
    size_t colon = address.len;
    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    return colon ? mw_slice_first(address, colon - 1) : address;
}

bool mw_addresses_loopback(mw_slice list, mw_slice *offender)
{
    mw_slice address;
    while (mw_slice_split(&list, ',', &address)) {
        address = mw_slice_trim(address);
        if (!host_is_loopback(address_host(address))) {
            *offender = address;
            return false;
        }
    }
    return true;
}

static mw_err check_listen(const mw_server_options *options, mw_detail *detail)
{
    const struct {
        const char *name, *value;
    } lists[] = {{"grpc", options->grpc}, {"http", options->http}, {"web", options->web}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        mw_slice offender = MW_SLICE_NONE;
        if (!lists[i].value[0])
            return mw_detail_set(detail, MW_E_INVALID, lists[i].name,
                                 "give host:port; port 0 picks a free port",
                                 "the address is empty");
        /* What is no address is not judged as one that is open to others. */
        mw_err err = mw_net_addresses_check(lists[i].value, lists[i].name, detail);
        if (err)
            return err;
        if (options->insecure_listen ||
            mw_addresses_loopback(mw_slice_of(lists[i].value), &offender))
            continue;
        return mw_detail_set(detail, MW_E_DENIED, lists[i].name,
                             "use 127.0.0.1 or [::1], or pass --insecure-listen if every host "
                             "that can reach this address may read and write all telemetry",
                             "%.*s is not a loopback address, and this version has no tokens to "
                             "guard it%s",
                             MW_SLICE_FMT(mw_slice_first(offender, 80)),
                             options->tls_cert[0] ? " (TLS does not say who may write)" : "");
    }
    return MW_OK;
}

static mw_err check_words(const mw_server_options *options, mw_detail *detail)
{
    if (name_index(options->log_level, level_names, 4) < 0)
        return mw_detail_set(detail, MW_E_INVALID, "log_level", "use debug, info, warn or error",
                             "no such level");
    if (name_index(options->log_format, format_names, 3) < 0)
        return mw_detail_set(detail, MW_E_INVALID, "log_format", "use logfmt, json or auto",
                             "no such format");
    mw_slice url = mw_slice_of(options->public_url);
    bool http =
        mw_slice_starts(url, MW_SLICE("http://")) || mw_slice_starts(url, MW_SLICE("https://"));
    if (url.len && !http)
        return mw_detail_set(detail, MW_E_INVALID, "public_url",
                             "for example https://midwatch.example", "not an http or https URL");
    return MW_OK;
}

/* The files themselves are net's to read. */
static mw_err check_tls(const mw_server_options *options, mw_detail *detail)
{
    if (options->tls_cert[0] && !options->tls_key[0])
        return mw_detail_set(detail, MW_E_INVALID, "tls_key", "give the key of tls_cert",
                             "the key's file is missing");
    if (!options->tls_cert[0] && (options->tls_key[0] || options->tls_client_ca[0]))
        return mw_detail_set(detail, MW_E_INVALID, "tls_cert", "give the certificate's file",
                             "tls_key or tls_client_ca is given without it");
    return MW_OK;
}

/* A default that is too large for a small memory_limit shrinks; a value somebody asked for is
 * refused instead, so that nobody is given less than was promised. */
static mw_err check_sizes(mw_server_settings *settings, mw_detail *detail)
{
    mw_server_options *options = &settings->values;
    uint64_t quarter = options->memory_limit / 4;
    if (options->max_request <= quarter)
        return MW_OK;
    if (settings->origins[option_index("max_request")] != MW_ORIGIN_DEFAULT)
        return mw_detail_set(detail, MW_E_LIMIT, "max_request",
                             "raise memory_limit or lower max_request",
                             "larger than a quarter of memory_limit");
    options->max_request = quarter;
    return MW_OK;
}

static mw_err settle_data(mw_server_options *options, mw_detail *detail)
{
    if (!options->data[0] && !mw_cli_default_data_dir(options->data, sizeof options->data))
        return mw_detail_set(detail, MW_E_INVALID, "data", "pass --data DIR or set MIDWATCH_DATA",
                             "neither XDG_STATE_HOME nor HOME is set");
    size_t len = strlen(options->data);
    while (len > 1 && options->data[len - 1] == '/')
        options->data[--len] = '\0';
    if (len >= MW_DATA_PATH_SIZE)
        return mw_detail_set(detail, MW_E_LIMIT, "data",
                             "the path of its socket must fit 107 bytes; choose a shorter one",
                             "the path has %zu bytes, more than %d", len, MW_DATA_PATH_SIZE - 1);
    return MW_OK;
}

/* The file's name can come from a flag or the environment, so both are read once before it, into
 * a copy, and again after it. */
static mw_err load_file(mw_server_settings *settings, int argc, char **argv, mw_detail *detail)
{
    mw_server_settings first = *settings;
    mw_err err = mw_options_environment(mw_server_option_table, MW_SERVER_OPTION_COUNT,
                                        &first.values, first.origins, detail);
    if (!err)
        err = mw_options_flags(mw_server_option_table, MW_SERVER_OPTION_COUNT, &first.values,
                               first.origins, argc, argv, detail);
    if (err || !first.values.config[0])
        return err;
    err = mw_options_file(mw_server_option_table, MW_SERVER_OPTION_COUNT, &settings->values,
                          settings->origins, first.values.config, detail);
    if (!err && settings->origins[option_index("config")] == MW_ORIGIN_FILE)
        return mw_detail_set(detail, MW_E_INVALID, "config", "take it out of the file",
                             "a configuration file cannot name another one");
    return err;
}

mw_err mw_server_options_load(mw_server_settings *settings, int argc, char **argv,
                              mw_detail *detail)
{
    memset(settings, 0, sizeof *settings);
    mw_options_defaults(mw_server_option_table, MW_SERVER_OPTION_COUNT, &settings->values,
                        settings->origins);
    mw_err err = load_file(settings, argc, argv, detail);
    if (!err)
        err = mw_options_environment(mw_server_option_table, MW_SERVER_OPTION_COUNT,
                                     &settings->values, settings->origins, detail);
    if (!err)
        err = mw_options_flags(mw_server_option_table, MW_SERVER_OPTION_COUNT, &settings->values,
                               settings->origins, argc, argv, detail);
    if (!err)
        err = check_listen(&settings->values, detail);
    if (!err)
        err = check_tls(&settings->values, detail);
    if (!err)
        err = mw_origins_check(mw_slice_of(settings->values.allowed_origins), detail);
    if (!err)
        err = check_words(&settings->values, detail);
    if (!err)
        err = check_sizes(settings, detail);
    if (!err)
        err = settle_data(&settings->values, detail);
    return err;
}

mw_log_level mw_server_log_level(const mw_server_options *options)
{
    int index = name_index(options->log_level, level_names, 4);
    return index < 0 ? MW_LOG_INFO : (mw_log_level)index;
}

mw_log_format mw_server_log_format(const mw_server_options *options, bool terminal)
{
    if (strcmp(options->log_format, "json") == 0)
        return MW_LOG_JSON;
    if (strcmp(options->log_format, "logfmt") == 0 || terminal)
        return MW_LOG_LOGFMT;
    return MW_LOG_JSON;
}

void mw_data_path(const mw_server_options *options, const char *name, char out[MW_PATH_SIZE])
{
    int len = snprintf(out, MW_PATH_SIZE, "%s/%s", options->data, name);
    MW_ASSERT(len > 0 && len < MW_PATH_SIZE);
}

const char *mw_option_origin_name(mw_option_origin origin)
{
    static const char *const names[] = {"default", "file", "environment", "flag"};
    MW_ASSERT((size_t)origin < sizeof names / sizeof names[0]);
    return names[origin];
}
