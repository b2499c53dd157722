/* The write shim: short writes resumed, errors told apart, files replaced whole. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/io.h"
#include "lib/base/memory.h"
#include "tests/check.h"

static char directory[64];
static char path[128];
static int fail_errno;
static int rename_fails;

static int setup(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/midwatch-test-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
    fail_errno = 0;
    rename_fails = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mw_io_use(NULL);
    unlink(path);
    return rmdir(directory);
}

/* At most three bytes of one vector a call. */
static ssize_t dribble(int fd, const struct iovec *iov, int count, off_t offset)
{
    (void)count;
    if (fail_errno) {
        errno = fail_errno;
        return -1;
    }
    return pwrite(fd, iov->iov_base, iov->iov_len < 3 ? iov->iov_len : 3, offset);
}

static int refuse_rename(const char *from, const char *to)
{
    (void)from;
    (void)to;
    errno = EIO;
    return -1;
}

static mw_err write_text(void)
{
    char a[] = "hello ", b[] = "", c[] = "world";
    struct iovec iov[] = {{a, 6}, {b, 0}, {c, 5}};
    int fd = mw_io_current()->open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    mw_err err = mw_io_write_all(fd, iov, 3, 2);
    close(fd);
    return err;
}

static void test_write_all(void **state)
{
    (void)state;
    mw_io broken = *mw_io_system();
    broken.pwritev = dribble;
    mw_io_use(&broken);
    assert_int_equal(write_text(), MW_OK);
    char *data;
    size_t len;
    assert_int_equal(mw_io_read_file(path, 100, &data, &len), MW_OK);
    assert_int_equal(len, 13);
    assert_memory_equal(data, "\0\0hello world", 13);
    mw_free(MW_MEM_BASE, data);
    fail_errno = ENOSPC;
    assert_int_equal(write_text(), MW_E_NO_SPACE);
    fail_errno = EIO;
    assert_int_equal(write_text(), MW_E_IO);
}

static void test_replace(void **state)
{
    (void)state;
    char *data;
    size_t len;
    assert_int_equal(mw_io_replace_file(path, MW_SLICE("one"), 0600), MW_OK);
    assert_int_equal(mw_io_replace_file(path, MW_SLICE("three"), 0600), MW_OK);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    mw_io broken = *mw_io_system();
    broken.rename = refuse_rename;
    mw_io_use(&broken);
    assert_int_equal(mw_io_replace_file(path, MW_SLICE("never"), 0600), MW_E_IO);
    mw_io_use(NULL);
    assert_int_equal(mw_io_read_file(path, 100, &data, &len), MW_OK);
    assert_string_equal(data, "three");
    mw_free(MW_MEM_BASE, data);
    assert_int_equal(mw_io_read_file(path, 4, &data, &len), MW_E_LIMIT);
    assert_int_equal(mw_io_read_file("/tmp/midwatch-no-such-file", 4, &data, &len), MW_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
