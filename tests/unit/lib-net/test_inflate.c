/* gzip bodies: split anywhere, members, damage, bombs, memory; and the growth of a body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/inflate_int.h"

/* gzip of `len` bytes appended at out + *used. */
static void pack(const void *bytes, size_t len, char *out, size_t size, size_t *used)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)out + *used;
    z.avail_out = (uInt)(size - *used);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *used += z.total_out;
    deflateEnd(&z);
}

static mw_err unpack(mw_slice in, size_t cut, mw_body *body)
{
    mw_inflate gzip;
    assert_int_equal(mw_inflate_init(&gzip), MW_OK);
    mw_err err = MW_OK;
    for (size_t at = 0; at < in.len && err == MW_OK; at += cut) {
        mw_slice part = mw_slice_first(mw_slice_from(in, at), cut);
        char *copy = malloc(part.len);
        assert_non_null(copy);
        memcpy(copy, part.data, part.len);
        err = mw_inflate_feed(&gzip, (mw_slice){copy, part.len}, body);
        free(copy);
    }
    if (err == MW_OK)
        err = mw_inflate_finish(&gzip);
    mw_inflate_fini(&gzip);
    return err;
}

static void expect(mw_slice in, size_t max, mw_err err, const char *text)
{
    for (size_t cut = 1; cut <= in.len; cut++) {
        mw_body body;
        mw_body_init(&body, max);
        assert_int_equal(unpack(in, cut, &body), err);
        assert_true(body.len <= max);
        if (text)
            assert_true(mw_slice_equal((mw_slice){body.data, body.len}, mw_slice_of(text)));
        mw_body_fini(&body);
    }
    assert_int_equal(mw_memory_component_used(MW_MEM_NET), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_CODEC), 0);
}

static void test_members(void **state)
{
    (void)state;
    char data[256];
    size_t used = 0;
    pack("hello ", 6, data, sizeof data, &used);
    size_t first = used;
    expect((mw_slice){data, used}, 100, MW_OK, "hello ");
    expect((mw_slice){data, used}, 6, MW_OK, "hello ");
    expect((mw_slice){data, used}, 5, MW_E_LIMIT, NULL);
    pack("world", 5, data, sizeof data, &used);
    expect((mw_slice){data, used}, 100, MW_OK, "hello world");
    expect((mw_slice){data, used}, 11, MW_OK, "hello world");
    expect((mw_slice){data, used}, 10, MW_E_LIMIT, NULL);
    pack("", 0, data, sizeof data, &used);
    expect((mw_slice){data, used}, 11, MW_OK, "hello world");
    for (size_t len = 1; len < first; len++)
        expect((mw_slice){data, len}, 100, MW_E_SYNTAX, NULL);
}

static void test_damage(void **state)
{
    (void)state;
    char data[256];
    size_t used = 0;
    pack("hello hello hello", 17, data, sizeof data, &used);
    data[used] = 'x';
    expect((mw_slice){data, used + 1}, 100, MW_E_SYNTAX, NULL);
    data[used] = '\0';
    expect((mw_slice){data, used + 1}, 100, MW_E_SYNTAX, NULL);
    for (size_t i = 1; i <= 8; i++) { /* CRC and length */
        data[used - i] ^= 1;
        expect((mw_slice){data, used}, 100, MW_E_SYNTAX, NULL);
        data[used - i] ^= 1;
    }
    expect((mw_slice){data, used}, 100, MW_OK, "hello hello hello");
    expect(MW_SLICE("hello"), 100, MW_E_SYNTAX, NULL);
    expect(MW_SLICE("\x78\x9c\x03\x00\x00\x00\x00\x01"), 100, MW_E_SYNTAX, NULL); /* zlib */
}

/* 16 MiB of zeros in some 16 KiB: the body never grows past its limit. */
static void test_bomb(void **state)
{
    (void)state;
    const size_t plain = (size_t)16 << 20;
    const size_t limit = (size_t)1 << 20;
    static char data[1 << 16];
    char *zeros = calloc(1, plain);
    size_t used = 0;
    assert_non_null(zeros);
    pack(zeros, plain, data, sizeof data, &used);
    free(zeros);
    mw_body body;
    mw_body_init(&body, limit);
    assert_int_equal(unpack((mw_slice){data, used}, 4096, &body), MW_E_LIMIT);
    assert_true(body.capacity <= limit);
    mw_body_fini(&body);
    mw_body_init(&body, plain);
    assert_int_equal(unpack((mw_slice){data, used}, used, &body), MW_OK);
    assert_int_equal(body.len, plain);
    mw_body_fini(&body);
}

/* Every allocation fails in turn: an error each time, and nothing is leaked. */
static void test_no_memory(void **state)
{
    (void)state;
    char data[256];
    size_t used = 0;
    unsigned failures = 0;
    pack("hello hello hello", 17, data, sizeof data, &used);
    for (uint64_t n = 1;; n++) {
        mw_inflate gzip;
        mw_body body;
        mw_body_init(&body, 100);
        mw_memory_fail_at(n);
        mw_err err = mw_inflate_init(&gzip);
        if (err == MW_OK) {
            err = mw_inflate_feed(&gzip, (mw_slice){data, used}, &body);
            mw_inflate_fini(&gzip);
        }
        mw_memory_fail_at(0);
        mw_body_fini(&body);
        assert_int_equal(mw_memory_component_used(MW_MEM_CODEC), 0);
        if (err == MW_OK)
            break;
        assert_int_equal(err, MW_E_NOMEM);
        failures++;
    }
    assert_true(failures >= 2);
}

static bool admit_one_in_three(void *ctx, size_t more)
{
    unsigned *asked = ctx;
    (void)more;
    return ++*asked % 3 == 0;
}

/* The body may not grow now: what was not taken is fed again, and nothing is lost or doubled. */
static void test_pauses(void **state)
{
    (void)state;
    static char plain[1 << 20], data[1 << 16];
    size_t used = 0;
    unsigned asked = 0, pauses = 0;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (char)(i >> 12);
    pack(plain, sizeof plain, data, sizeof data, &used);
    mw_inflate gzip;
    mw_body body;
    mw_body_init(&body, sizeof plain);
    body.admit = admit_one_in_three;
    body.ctx = &asked;
    assert_int_equal(mw_inflate_init(&gzip), MW_OK);
    mw_slice rest = {data, used};
    for (;;) {
        mw_err err = mw_inflate_feed(&gzip, rest, &body);
        if (err == MW_OK)
            break;
        assert_int_equal(err, MW_E_AGAIN);
        rest = mw_slice_from(rest, rest.len - gzip.stream.avail_in);
        pauses++;
    }
    assert_in_range(pauses, 10, 200);
    assert_int_equal(mw_inflate_finish(&gzip), MW_OK);
    assert_int_equal(body.len, sizeof plain);
    assert_memory_equal(body.data, plain, sizeof plain);
    mw_inflate_fini(&gzip);
    mw_body_fini(&body);
}

static void test_body_growth(void **state)
{
    (void)state;
    static char block[100000];
    mw_body body;
    mw_body_init(&body, 1 << 20);
    /* An announced length is believed at once, but only so far. */
    body.expected = 150000;
    assert_int_equal(mw_body_append(&body, (mw_slice){block, sizeof block}), MW_OK);
    assert_int_equal(body.capacity, 150000);
    mw_body_fini(&body);
    body.expected = 1 << 20;
    assert_int_equal(mw_body_append(&body, MW_SLICE("x")), MW_OK);
    assert_int_equal(body.capacity, MW_BODY_TRUST);
    mw_body_fini(&body);
    /* One that was announced too small, or not at all, grows by doubling. */
    body.expected = 10;
    assert_int_equal(mw_body_append(&body, (mw_slice){block, 1000}), MW_OK);
    assert_int_equal(body.capacity, 2000);
    body.expected = 0;
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(mw_body_append(&body, (mw_slice){block, sizeof block}), MW_OK);
    assert_int_equal(mw_body_append(&body, (mw_slice){block, sizeof block}), MW_E_LIMIT);
    assert_int_equal(body.len, 1000 + 10 * sizeof block);
    assert_true(body.capacity <= 1 << 20);
    mw_body_fini(&body);
    /* Beyond the share for new work it has to wait, though malloc would still give. */
    mw_memory_init(mw_memory_used() + 100000);
    assert_int_equal(mw_body_append(&body, (mw_slice){block, sizeof block}), MW_E_AGAIN);
    assert_int_equal(body.len, 0);
    mw_memory_init(0);
    mw_body_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),     cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bomb),        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_body_growth), cmocka_unit_test(test_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
