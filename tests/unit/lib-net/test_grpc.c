/* gRPC de-framing, split anywhere, and the headers around it; one real client's message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/net/grpc_int.h"

#define LIMIT ((size_t)1000)

typedef struct outcome {
    char message[4096];
    size_t len;
    mw_grpc_fault fault;
    bool compressed;
} outcome;

static outcome deframe(mw_slice in, mw_grpc_encoding encoding, size_t cut)
{
    outcome out = {.len = 0};
    mw_grpc_reader reader;
    mw_slice part;
    mw_grpc_reader_init(&reader, encoding, LIMIT);
    for (size_t at = 0; at < in.len && out.fault == MW_GRPC_OK; at += cut) {
        out.fault = mw_grpc_feed(&reader, mw_slice_first(mw_slice_from(in, at), cut), &part);
        if (part.len)
            memcpy(out.message + out.len, part.data, part.len);
        out.len += part.len;
    }
    if (out.fault == MW_GRPC_OK)
        out.fault = mw_grpc_finish(&reader);
    out.compressed = reader.compressed;
    return out;
}

typedef struct row {
    mw_slice in;
    mw_grpc_encoding encoding;
    mw_grpc_fault fault;
    const char *message;
} row;

static const row rows[] = {
    {MW_SLICE_INIT("\0\0\0\0\0"), MW_GRPC_IDENTITY, MW_GRPC_OK, ""},
    {MW_SLICE_INIT("\0\0\0\0\3abc"), MW_GRPC_IDENTITY, MW_GRPC_OK, "abc"},
    {MW_SLICE_INIT("\0\0\0\0\3abc"), MW_GRPC_GZIP, MW_GRPC_OK, "abc"},
    {MW_SLICE_INIT("\1\0\0\0\3abc"), MW_GRPC_GZIP, MW_GRPC_OK, "abc"},
    {MW_SLICE_INIT("\1\0\0\0\3abc"), MW_GRPC_IDENTITY, MW_GRPC_NOT_ENCODED, ""},
    {MW_SLICE_INIT("\7\0\0\0\3abc"), MW_GRPC_GZIP, MW_GRPC_BAD_FLAG, ""},
    {MW_SLICE_INIT("\0\0\0\3\350"), MW_GRPC_IDENTITY, MW_GRPC_SHORT, ""},
    {MW_SLICE_INIT("\0\0\0\3\351"), MW_GRPC_IDENTITY, MW_GRPC_TOO_LARGE, ""},
    {MW_SLICE_INIT("\0\377\377\377\377"), MW_GRPC_IDENTITY, MW_GRPC_TOO_LARGE, ""},
    {MW_SLICE_INIT(""), MW_GRPC_IDENTITY, MW_GRPC_SHORT, ""},
    {MW_SLICE_INIT("\0\0\0\0"), MW_GRPC_IDENTITY, MW_GRPC_SHORT, ""},
    {MW_SLICE_INIT("\0\0\0\0\3ab"), MW_GRPC_IDENTITY, MW_GRPC_SHORT, "ab"},
    {MW_SLICE_INIT("\0\0\0\0\3abc\0"), MW_GRPC_IDENTITY, MW_GRPC_EXTRA, NULL},
    {MW_SLICE_INIT("\0\0\0\0\0\0\0\0\0\0"), MW_GRPC_IDENTITY, MW_GRPC_EXTRA, NULL},
    {MW_SLICE_INIT("\0\0\0\0\1a\0\0\0\0\1b"), MW_GRPC_IDENTITY, MW_GRPC_EXTRA, NULL},
};

static void test_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t cut = 1; cut <= rows[i].in.len + 1; cut++) {
            outcome out = deframe(rows[i].in, rows[i].encoding, cut);
            assert_int_equal(out.fault, rows[i].fault);
            if (rows[i].message)
                assert_true(
                    mw_slice_equal((mw_slice){out.message, out.len}, mw_slice_of(rows[i].message)));
        }
    }
}

static void test_codes(void **state)
{
    (void)state;
    assert_int_equal(mw_grpc_fault_code(MW_GRPC_TOO_LARGE), MW_RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(mw_grpc_fault_code(MW_GRPC_NOT_ENCODED), MW_RPC_INTERNAL);
    assert_int_equal(mw_grpc_fault_code(MW_GRPC_BAD_FLAG), MW_RPC_INTERNAL);
    assert_int_equal(mw_grpc_fault_code(MW_GRPC_EXTRA), MW_RPC_INTERNAL);
    assert_int_equal(mw_grpc_fault_code(MW_GRPC_SHORT), MW_RPC_INVALID_ARGUMENT);
    unsigned char prefix[MW_GRPC_PREFIX_SIZE];
    mw_grpc_prefix(0x01020304, prefix);
    assert_memory_equal(prefix, "\0\1\2\3\4", 5);
}

/* DATA of a real client (grpc-js): the prefix must describe exactly what follows. */
static void test_capture(void **state)
{
    (void)state;
    FILE *file = fopen("tests/data/otlp-captures/logs-basic-grpc-none.bin", "rb");
    assert_non_null(file);
    char data[2048];
    size_t len = fread(data, 1, sizeof data, file);
    fclose(file);
    assert_int_equal(len, 647);
    outcome out = deframe((mw_slice){data, len}, MW_GRPC_IDENTITY, 100);
    assert_int_equal(out.fault, MW_GRPC_OK);
    assert_int_equal(out.len, 642);
    assert_false(out.compressed);
}

static void test_headers(void **state)
{
    (void)state;
    assert_true(mw_grpc_content_type(MW_SLICE("application/grpc")));
    assert_true(mw_grpc_content_type(MW_SLICE("Application/gRPC+proto")));
    assert_true(mw_grpc_content_type(MW_SLICE("application/grpc;charset=utf-8")));
    assert_false(mw_grpc_content_type(MW_SLICE("application/grpc-web")));
    assert_false(mw_grpc_content_type(MW_SLICE("application/grpcx")));
    assert_false(mw_grpc_content_type(MW_SLICE("application/json")));
    assert_false(mw_grpc_content_type(MW_SLICE_NONE));
    assert_true(mw_grpc_web_content_type(MW_SLICE("application/grpc-web+proto")));
    assert_true(mw_grpc_web_content_type(MW_SLICE("application/grpc-web-text")));
    assert_false(mw_grpc_web_content_type(MW_SLICE("application/grpc")));
    assert_int_equal(mw_grpc_encoding_of(MW_SLICE_NONE), MW_GRPC_IDENTITY);
    assert_int_equal(mw_grpc_encoding_of(MW_SLICE("GZIP")), MW_GRPC_GZIP);
    assert_int_equal(mw_grpc_encoding_of(MW_SLICE("snappy")), MW_GRPC_UNKNOWN_ENCODING);
    assert_int_equal(mw_grpc_encoding_of(MW_SLICE("gzip,identity")), MW_GRPC_UNKNOWN_ENCODING);
}

static void test_timeout(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mw_err err;
        int64_t ns;
    } cases[] = {
        {"1H", MW_OK, 3600 * MW_NS_PER_S},
        {"2M", MW_OK, 120 * MW_NS_PER_S},
        {"3S", MW_OK, 3 * MW_NS_PER_S},
        {"9998m", MW_OK, 9998 * MW_NS_PER_MS},
        {"5u", MW_OK, 5000},
        {"0n", MW_OK, 0},
        {"99999999H", MW_OK, INT64_MAX},
        {"123456789S", MW_E_SYNTAX, 0},
        {"S", MW_E_SYNTAX, 0},
        {"", MW_E_SYNTAX, 0},
        {"10", MW_E_SYNTAX, 0},
        {"-1S", MW_E_SYNTAX, 0},
        {"1s", MW_E_SYNTAX, 0},
        {"1.5S", MW_E_SYNTAX, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ns = -1;
        assert_int_equal(mw_grpc_timeout(mw_slice_of(cases[i].text), &ns), cases[i].err);
        if (cases[i].err == MW_OK)
            assert_int_equal(ns, cases[i].ns);
    }
}

static void test_encoding(void **state)
{
    (void)state;
    static char many[3 * MW_GRPC_MESSAGE_MAX];
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_NET, 0);
    assert_true(mw_slice_equal(mw_grpc_encode_message(&arena, MW_SLICE("a b%\n\xc3\xa4~")),
                               MW_SLICE("a b%25%0A%C3%A4~")));
    memset(many, '%', sizeof many);
    mw_slice cut = mw_grpc_encode_message(&arena, (mw_slice){many, sizeof many});
    assert_in_range(cut.len, MW_GRPC_MESSAGE_MAX - 3, MW_GRPC_MESSAGE_MAX);
    assert_true(mw_slice_ends(cut, MW_SLICE("%25")));
    assert_true(
        mw_slice_equal(mw_grpc_encode_details(&arena, MW_SLICE("\x08\x03")), MW_SLICE("CAM")));
    assert_true(mw_slice_equal(mw_grpc_encode_details(&arena, MW_SLICE("abc")), MW_SLICE("YWJj")));
    assert_int_equal(mw_grpc_encode_details(&arena, MW_SLICE("")).len, 0);
    assert_int_equal(mw_grpc_encode_details(&arena, (mw_slice){many, MW_GRPC_DETAILS_MAX + 1}).len,
                     0);
    mw_arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),  cmocka_unit_test(test_codes),
        cmocka_unit_test(test_capture), cmocka_unit_test(test_headers),
        cmocka_unit_test(test_timeout), cmocka_unit_test(test_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
