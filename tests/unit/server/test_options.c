/* The daemon's options: defaults, precedence, and the rules that join options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/options.h"

static mw_err load(mw_server_settings *settings, mw_detail *detail, const char *const *flags)
{
    char *argv[16];
    int argc = 0;
    for (; flags[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)flags[argc];
    memset(detail, 0, sizeof *detail);
    return mw_server_options_load(settings, argc, argv, detail);
}
#define LOAD(settings, detail, ...) load(settings, detail, (const char *const[]){__VA_ARGS__, NULL})

static int clean_environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < MW_SERVER_OPTION_COUNT; i++) {
        char name[64] = "MIDWATCH_";
        for (size_t c = 0; mw_server_option_table[i].name[c]; c++) {
            char letter = mw_server_option_table[i].name[c];
            name[9 + c] = letter == '_' ? '_' : (char)(letter - 32);
            name[10 + c] = '\0';
        }
        unsetenv(name);
    }
    return 0;
}

static void test_defaults(void **state)
{
    (void)state;
    mw_server_settings settings;
    mw_detail detail;
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x/"), MW_OK);
    assert_string_equal(settings.values.grpc, "127.0.0.1:4317,[::1]:4317");
    assert_string_equal(settings.values.http, "127.0.0.1:4318,[::1]:4318");
    assert_string_equal(settings.values.web, "127.0.0.1:4319,[::1]:4319");
    assert_int_equal(settings.values.memory_limit, 512u << 20);
    assert_int_equal(settings.values.max_request, 64u << 20);
    assert_string_equal(settings.values.data, "/tmp/x");
    assert_int_equal(settings.origins[0], MW_ORIGIN_DEFAULT);
    assert_int_equal(settings.origins[1], MW_ORIGIN_FLAG);
}

static void test_tls(void **state)
{
    (void)state;
    mw_server_settings settings;
    mw_detail detail;
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--tls-cert", "/c", "--tls-key",
                          "/k", "--tls-client-ca", "/a"),
                     MW_OK);
    assert_string_equal(settings.values.tls_cert, "/c");
    assert_string_equal(settings.values.tls_key, "/k");
    assert_string_equal(settings.values.tls_client_ca, "/a");
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--tls-cert", "/c"),
                     MW_E_INVALID);
    assert_string_equal(detail.field, "tls_key");
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--tls-key", "/k"), MW_E_INVALID);
    assert_string_equal(detail.field, "tls_cert");
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--tls-client-ca", "/a"),
                     MW_E_INVALID);
    /* Others need a token then, and it crosses the network hidden. */
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--tls-cert", "/c", "--tls-key",
                          "/k", "--http", "0.0.0.0:4318"),
                     MW_OK);
}

static void test_precedence(void **state)
{
    (void)state;
    char path[] = "/tmp/midwatch-test-XXXXXX";
    int fd = mkstemp(path);
    const char text[] = "http: 127.0.0.1:1\nweb: 127.0.0.1:2\ngrpc: 127.0.0.1:3\n";
    mw_server_settings settings;
    mw_detail detail;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    setenv("MIDWATCH_WEB", "127.0.0.1:20", 1);
    setenv("MIDWATCH_GRPC", "127.0.0.1:30", 1);
    setenv("MIDWATCH_CONFIG", path, 1);
    mw_err err = LOAD(&settings, &detail, "--grpc=127.0.0.1:300", "--data", "/tmp/x");
    unlink(path);
    assert_int_equal(err, MW_OK);
    assert_string_equal(settings.values.http, "127.0.0.1:1");
    assert_string_equal(settings.values.web, "127.0.0.1:20");
    assert_string_equal(settings.values.grpc, "127.0.0.1:300");
    assert_int_equal(settings.origins[2], MW_ORIGIN_FLAG);
    assert_int_equal(settings.origins[3], MW_ORIGIN_FILE);
    assert_int_equal(settings.origins[4], MW_ORIGIN_ENVIRONMENT);
}

static void test_loopback_addresses(void **state)
{
    (void)state;
    mw_slice offender = MW_SLICE_NONE;
    assert_true(mw_addresses_loopback(MW_SLICE("127.0.0.1:1,[::1]:2, localhost:3"), &offender));
    assert_true(mw_addresses_loopback(MW_SLICE("127.9.8.7:0"), &offender));
    static const char *const others[] = {"0.0.0.0:4318",     "[::]:4318",          ":4318",
                                         "10.0.0.1:1",       "example.com:1",      "128.0.0.1:1",
                                         "127.0.0.1.evil:1", "[::ffff:10.0.0.1]:1"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(mw_addresses_loopback(mw_slice_of(others[i]), &offender));
    assert_false(mw_addresses_loopback(MW_SLICE("127.0.0.1:1,0.0.0.0:2"), &offender));
    assert_true(mw_slice_equal(offender, MW_SLICE("0.0.0.0:2")));
}

static void test_open_address_needs_the_switch(void **state)
{
    (void)state;
    mw_server_settings settings;
    mw_detail detail;
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--http", "0.0.0.0:4318"),
                     MW_E_DENIED);
    assert_string_equal(detail.field, "http");
    assert_non_null(strstr(detail.message, "0.0.0.0:4318"));
    assert_non_null(strstr(detail.hint, "--insecure-listen"));
    assert_int_equal(
        LOAD(&settings, &detail, "--data", "/tmp/x", "--http", "0.0.0.0:4318", "--insecure-listen"),
        MW_OK);
}

/* What is no address is not called one that is open to others. */
static void test_malformed_address(void **state)
{
    (void)state;
    mw_server_settings settings;
    mw_detail detail;
    static const char *const bad[] = {"nope", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:1,",
                                      ":1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--grpc", bad[i]),
                         MW_E_INVALID);
        assert_string_equal(detail.field, "grpc");
        assert_null(strstr(detail.message, "loopback"));
    }
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--memory-limit", "1"),
                     MW_E_LIMIT);
    assert_string_equal(detail.field, "memory_limit");
    assert_null(strstr(detail.message, "memory_limit"));
}

static void test_connections(void **state)
{
    (void)state;
    mw_server_settings settings;
    mw_detail detail;
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x"), MW_OK);
    assert_int_equal(settings.values.max_connections, 1024);
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--max-connections", "64"),
                     MW_OK);
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--max-connections", "63"),
                     MW_E_LIMIT);
    assert_string_equal(detail.field, "max_connections");
}

static void test_sizes_are_joined(void **state)
{
    (void)state;
    mw_server_settings settings;
    mw_detail detail;
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--memory-limit", "32MiB"),
                     MW_OK);
    assert_int_equal(settings.values.max_request, 8u << 20);
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--memory-limit", "32MiB",
                          "--max-request", "16MiB"),
                     MW_E_LIMIT);
    assert_string_equal(detail.field, "max_request");
    assert_int_not_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--memory-limit", "31MiB"),
                         MW_OK);
}

static void test_bad_words(void **state)
{
    (void)state;
    mw_server_settings settings;
    mw_detail detail;
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--log-level", "loud"),
                     MW_E_INVALID);
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--log-format", "xml"),
                     MW_E_INVALID);
    assert_int_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--public-url", "ftp://x"),
                     MW_E_INVALID);
    assert_int_not_equal(LOAD(&settings, &detail, "--data", "/tmp/x", "--no-such", "1"), MW_OK);
}

static void test_data_directory_is_bounded(void **state)
{
    (void)state;
    mw_server_settings settings;
    mw_detail detail;
    char path[200] = "/";
    memset(path + 1, 'd', MW_DATA_PATH_SIZE - 1);
    assert_int_equal(LOAD(&settings, &detail, "--data", path), MW_E_LIMIT);
    path[MW_DATA_PATH_SIZE - 1] = '\0';
    assert_int_equal(LOAD(&settings, &detail, "--data", path), MW_OK);
}

static void test_log_format(void **state)
{
    (void)state;
    mw_server_options options = {.log_format = "auto", .log_level = "warn"};
    assert_int_equal(mw_server_log_format(&options, true), MW_LOG_LOGFMT);
    assert_int_equal(mw_server_log_format(&options, false), MW_LOG_JSON);
    assert_int_equal(mw_server_log_level(&options), MW_LOG_WARN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, clean_environment),
        cmocka_unit_test_setup_teardown(test_tls, clean_environment, clean_environment),
        cmocka_unit_test_setup_teardown(test_precedence, clean_environment, clean_environment),
        cmocka_unit_test(test_loopback_addresses),
        cmocka_unit_test_setup(test_open_address_needs_the_switch, clean_environment),
        cmocka_unit_test_setup(test_malformed_address, clean_environment),
        cmocka_unit_test_setup(test_connections, clean_environment),
        cmocka_unit_test_setup(test_sizes_are_joined, clean_environment),
        cmocka_unit_test_setup(test_bad_words, clean_environment),
        cmocka_unit_test_setup(test_data_directory_is_bounded, clean_environment),
        cmocka_unit_test(test_log_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
