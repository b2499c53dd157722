/* Sealing: round trip, every changed byte, wrong key and context, and the key file's rules. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/state/seal_int.h"
#include "tests/check.h"

static const uint8_t key[MW_SEAL_KEY_SIZE] = {1, 2, 3};
static char directory[64], path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/midwatch-test-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/key", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void write_key_file(const char *content, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const mw_slice texts[] = {MW_SLICE_INIT(""), MW_SLICE_INIT("whsec_abc"),
                                     MW_SLICE_INIT("with\0zero")};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t sealed[128], plain[128];
        size_t len = 99;
        assert_int_equal(mw_seal(key, MW_SLICE("row"), texts[i], sealed), MW_OK);
        mw_slice whole = mw_slice_bytes(sealed, texts[i].len + MW_SEAL_OVERHEAD);
        assert_int_equal(mw_unseal(key, MW_SLICE("row"), whole, plain, &len), MW_OK);
        assert_true(mw_slice_equal(mw_slice_bytes(plain, len), texts[i]));
    }
}

static void test_sealed_text_differs_each_time_and_hides_the_plain(void **state)
{
    (void)state;
    mw_slice plain = MW_SLICE("whsec_marker");
    uint8_t one[64], two[64];
    assert_int_equal(mw_seal(key, MW_SLICE("row"), plain, one), MW_OK);
    assert_int_equal(mw_seal(key, MW_SLICE("row"), plain, two), MW_OK);
    assert_memory_not_equal(one, two, plain.len + MW_SEAL_OVERHEAD);
    assert_false(
        mw_slice_contains(mw_slice_bytes(one, plain.len + MW_SEAL_OVERHEAD), MW_SLICE("marker")));
}

static void test_any_change_is_noticed(void **state)
{
    (void)state;
    mw_slice text = MW_SLICE("secret");
    uint8_t sealed[64], plain[64], other[MW_SEAL_KEY_SIZE] = {9};
    size_t total = text.len + MW_SEAL_OVERHEAD, len;
    assert_int_equal(mw_seal(key, MW_SLICE("row"), text, sealed), MW_OK);
    for (size_t i = 0; i < total * 8; i++) {
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(
            mw_unseal(key, MW_SLICE("row"), mw_slice_bytes(sealed, total), plain, &len),
            MW_E_CORRUPT);
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t cut = 0; cut < total; cut++)
        assert_int_equal(mw_unseal(key, MW_SLICE("row"), mw_slice_bytes(sealed, cut), plain, &len),
                         MW_E_CORRUPT);
    assert_int_equal(mw_unseal(key, MW_SLICE("ro"), mw_slice_bytes(sealed, total), plain, &len),
                     MW_E_CORRUPT);
    assert_int_equal(mw_unseal(other, MW_SLICE("row"), mw_slice_bytes(sealed, total), plain, &len),
                     MW_E_CORRUPT);
    assert_int_equal(mw_unseal(key, MW_SLICE("row"), mw_slice_bytes(sealed, total), plain, &len),
                     MW_OK);
}

static void test_too_long_is_refused(void **state)
{
    (void)state;
    uint8_t out[1];
    mw_slice text = mw_slice_bytes(path, MW_SEAL_PLAIN_MAX + 1); /* never read */
    assert_int_equal(mw_seal(key, MW_SLICE(""), text, out), MW_E_LIMIT);
}

static void test_key_file(void **state)
{
    (void)state;
    uint8_t one[MW_SEAL_KEY_SIZE], two[MW_SEAL_KEY_SIZE];
    mw_detail detail = {0};
    struct stat status;
    assert_int_equal(mw_seal_key_load(path, one, &detail), MW_E_NOT_FOUND);
    assert_int_equal(mw_seal_key_create(path, &detail), MW_OK);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_size, 65);
    assert_int_equal(mw_seal_key_load(path, one, &detail), MW_OK);
    assert_int_equal(mw_seal_key_load(path, two, &detail), MW_OK);
    assert_memory_equal(one, two, sizeof one);
    assert_int_equal(mw_seal_key_create(path, &detail), MW_OK);
    assert_int_equal(mw_seal_key_load(path, two, &detail), MW_OK);
    assert_memory_not_equal(one, two, sizeof one);
}

static void test_open_key_file_is_refused(void **state)
{
    (void)state;
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0666};
    uint8_t out[MW_SEAL_KEY_SIZE];
    mw_detail detail = {0};
    assert_int_equal(mw_seal_key_create(path, &detail), MW_OK);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(mw_seal_key_load(path, out, &detail), MW_E_DENIED);
        assert_non_null(strstr(detail.message, path));
        assert_non_null(strstr(detail.hint, "chmod 600"));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(mw_seal_key_load(path, out, &detail), MW_OK);
}

static void test_damaged_key_file_is_refused(void **state)
{
    (void)state;
    static const char *const contents[] = {
        "",
        "\n",
        "00112233",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef\n",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00\n",
        "x0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"};
    uint8_t out[MW_SEAL_KEY_SIZE];
    mw_detail detail;
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        write_key_file(contents[i], 0600);
        assert_int_equal(mw_seal_key_load(path, out, &detail), MW_E_CORRUPT);
    }
    /* The line feed may be missing: editors drop it. */
    write_key_file("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 0600);
    assert_int_equal(mw_seal_key_load(path, out, &detail), MW_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_sealed_text_differs_each_time_and_hides_the_plain),
        cmocka_unit_test(test_any_change_is_noticed),
        cmocka_unit_test(test_too_long_is_refused),
        cmocka_unit_test_setup_teardown(test_key_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open_key_file_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_key_file_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
