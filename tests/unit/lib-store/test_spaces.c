/* Spaces: names, life, deletion with users, what kills leave, and that nothing crosses. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/base/log.h"
#include "lib/store/format/segment_format.h"
#include "lib/store/spaces.h"
#include "quick_disk.h"
#include "store_test.h"

typedef struct house {
    test_dir dir;
    char spaces_directory[96];
    mw_spaces *spaces;
    int opened;
} house;

static void count_opened(void *ctx, mw_store *store)
{
    house *all = ctx;
    assert_non_null(store);
    all->opened++;
}

static mw_err try_open(house *all, mw_detail *detail)
{
    mw_spaces_config config = {.default_directory = all->dir.store,
                               .directory = all->spaces_directory,
                               .store = {.clock = mw_clock_system(),
                                         .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                                         .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT,
                                         .merge = true},
                               .opened = count_opened,
                               .ctx = all};
    all->spaces = NULL;
    all->opened = 0;
    return mw_spaces_open(&config, &all->spaces, detail);
}

static void house_open(house *all)
{
    mw_detail detail = {.message = ""};
    if (try_open(all, &detail) != MW_OK)
        fail_msg("cannot open: %s", detail.message);
}

static void house_init(house *all)
{
    test_dir_init(&all->dir);
    snprintf(all->spaces_directory, sizeof all->spaces_directory, "%s/spaces", all->dir.root);
    house_open(all);
}

static void house_restart(house *all)
{
    mw_spaces_close(all->spaces);
    house_open(all);
}

static void house_fini(house *all)
{
    mw_spaces_close(all->spaces);
    test_dir_fini(&all->dir);
}

static mw_err create(house *all, const char *name)
{
    mw_detail detail = {.message = ""};
    mw_err err = mw_spaces_create(all->spaces, mw_slice_of(name), &detail);
    assert_true(err == MW_OK || detail.message[0]);
    return err;
}

static mw_err remove_space(house *all, const char *name)
{
    mw_detail detail = {.message = ""};
    mw_err err = mw_spaces_delete(all->spaces, mw_slice_of(name), &detail);
    assert_true(err == MW_OK || detail.message[0]);
    return err;
}

static void append_name(void *ctx, const char *name, mw_store *store)
{
    char *text = ctx;
    size_t len = strlen(text);
    assert_non_null(store);
    snprintf(text + len, 1024 - len, "%s ", name);
}

static const char *names_of(house *all)
{
    static char text[1024];
    text[0] = '\0';
    mw_spaces_each(all->spaces, append_name, text);
    return text;
}

/* Spans of that trace in that space; -1 when there is no such space. */
static int spans_in(house *all, const char *name, uint64_t trace)
{
    mw_space *space;
    if (mw_spaces_get(all->spaces, mw_slice_of(name), &space) != MW_OK)
        return -1;
    int count = (int)count_spans(mw_space_store(space), trace);
    mw_space_release(space);
    return count;
}

static mw_err append_in(house *all, const char *name, uint64_t trace, size_t count)
{
    mw_space *space;
    mw_err err = mw_spaces_get(all->spaces, mw_slice_of(name), &space);
    if (err == MW_OK) {
        assert_string_equal(mw_space_name(space), name);
        err = append_spans(mw_space_store(space), trace, 1, count);
        mw_space_release(space);
    }
    return err;
}

static bool is_there(const house *all, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", all->spaces_directory, name);
    return access(path, F_OK) == 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

static void test_names(void **state)
{
    (void)state;
    static const char longest[] = "123456789012345678901234567890123456789012345678901234567890123";
    static const char *const good[] = {"a", "9", "-", "team-7", "default", longest};
    static const char *const bad[] = {"",    "A",        "a b", "a_b", "a.b",  "..",
                                      "a/b", "\xc3\xa4", ".",   "a\n", "Team", "%61"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(mw_space_name_valid(mw_slice_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(mw_space_name_valid(mw_slice_of(bad[i])));
    assert_int_equal(strlen(longest), MW_SPACE_NAME_MAX);
    assert_false(mw_space_name_valid(
        MW_SLICE("1234567890123456789012345678901234567890123456789012345678901234")));
    assert_false(mw_space_name_valid(mw_slice_bytes("a\0b", 3)));
}

static void test_create(void **state)
{
    (void)state;
    house all;
    house_init(&all);
    assert_false(is_there(&all, "")); /* made with the first space */
    assert_string_equal(names_of(&all), "default ");
    assert_int_equal(all.opened, 1);
    assert_int_equal(create(&all, "team-b"), MW_OK);
    assert_int_equal(create(&all, "team-a"), MW_OK);
    assert_int_equal(create(&all, "0"), MW_OK);
    assert_int_equal(all.opened, 4);
    assert_string_equal(names_of(&all), "default 0 team-a team-b ");
    assert_int_equal(create(&all, "team-a"), MW_E_CONFLICT);
    assert_int_equal(create(&all, "default"), MW_E_CONFLICT);
    assert_int_equal(create(&all, "../x"), MW_E_INVALID);
    assert_int_equal(create(&all, ""), MW_E_INVALID);
    struct stat status;
    char path[256];
    snprintf(path, sizeof path, "%s/team-a", all.spaces_directory);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    house_restart(&all);
    assert_int_equal(all.opened, 4);
    assert_string_equal(names_of(&all), "default 0 team-a team-b ");
    house_fini(&all);
    assert_int_equal(mw_memory_component_used(MW_MEM_STORE), 0);
}

/* The same traces in two spaces: each shows its own spans, also after a start. */
static void test_nothing_crosses(void **state)
{
    (void)state;
    house all;
    house_init(&all);
    assert_int_equal(create(&all, "other"), MW_OK);
    assert_int_equal(append_in(&all, "default", 7, 2), MW_OK);
    assert_int_equal(append_in(&all, "other", 7, 5), MW_OK);
    assert_int_equal(append_in(&all, "other", 8, 1), MW_OK);
    assert_int_equal(append_in(&all, "third", 7, 1), MW_E_NOT_FOUND);
    assert_int_equal(count_spans(mw_spaces_default(all.spaces), 7), 2);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(spans_in(&all, "default", 7), 2);
        assert_int_equal(spans_in(&all, "default", 8), 0);
        assert_int_equal(spans_in(&all, "other", 7), 5);
        assert_int_equal(spans_in(&all, "other", 8), 1);
        assert_int_equal(spans_in(&all, "third", 7), -1);
        if (round == 0)
            house_restart(&all);
    }
    /* Their secrets differ: the digest of one request is not the same in both. */
    mw_space *space;
    assert_int_equal(mw_spaces_get(all.spaces, MW_SLICE("other"), &space), MW_OK);
    assert_memory_not_equal(mw_store_digest_key(mw_space_store(space)),
                            mw_store_digest_key(mw_spaces_default(all.spaces)), 64);
    mw_space_release(space);
    house_fini(&all);
}

static void test_limit(void **state)
{
    (void)state;
    house all;
    house_init(&all);
    for (int i = 1; i < MW_SPACES_MAX; i++) {
        char name[24];
        snprintf(name, sizeof name, "space-%d", i);
        assert_int_equal(create(&all, name), MW_OK);
    }
    assert_int_equal(create(&all, "one-more"), MW_E_CONFLICT);
    assert_false(is_there(&all, "one-more"));
    house_restart(&all);
    assert_int_equal(all.opened, MW_SPACES_MAX);
    /* Somebody put one there by hand. */
    char path[256];
    mw_detail detail = {.message = ""};
    mw_spaces_close(all.spaces);
    snprintf(path, sizeof path, "%s/by-hand", all.spaces_directory);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(try_open(&all, &detail), MW_E_LIMIT);
    assert_non_null(strstr(detail.message, "spaces"));
    remove_tree(path);
    house_open(&all);
    house_fini(&all);
    assert_int_equal(mw_memory_component_used(MW_MEM_STORE), 0);
}

/* ---- delete ---------------------------------------------------------------------------------- */

static void test_delete(void **state)
{
    (void)state;
    house all;
    house_init(&all);
    assert_int_equal(create(&all, "a"), MW_OK);
    assert_int_equal(create(&all, "b"), MW_OK);
    assert_int_equal(append_in(&all, "a", 1, 3), MW_OK);
    assert_int_equal(append_in(&all, "b", 1, 4), MW_OK);
    assert_int_equal(remove_space(&all, "default"), MW_E_DENIED);
    assert_int_equal(remove_space(&all, "c"), MW_E_NOT_FOUND);
    assert_int_equal(remove_space(&all, "a"), MW_OK);
    assert_string_equal(names_of(&all), "default b ");
    assert_int_equal(spans_in(&all, "a", 1), -1);
    assert_int_equal(remove_space(&all, "a"), MW_E_NOT_FOUND);
    DIR *dir = opendir(all.spaces_directory);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        assert_true(entry->d_name[0] == 'b' || strlen(entry->d_name) <= 2);
    closedir(dir);
    /* A new one of that name is empty. */
    assert_int_equal(create(&all, "a"), MW_OK);
    assert_int_equal(spans_in(&all, "a", 1), 0);
    assert_int_equal(spans_in(&all, "b", 1), 4);
    house_fini(&all);
}

typedef struct deletion {
    house *all;
    pthread_t thread;
    atomic_bool done;
    mw_err err;
} deletion;

static void *run_deletion(void *ctx)
{
    deletion *work = ctx;
    work->err = mw_spaces_delete(work->all->spaces, MW_SLICE("a"), NULL);
    atomic_store(&work->done, true);
    return NULL;
}

/* It waits for who is inside, lets nobody in, and tells who is inside. */
static void test_delete_waits_for_users(void **state)
{
    (void)state;
    house all;
    mw_space *inside, *late;
    house_init(&all);
    assert_int_equal(create(&all, "a"), MW_OK);
    assert_int_equal(mw_spaces_get(all.spaces, MW_SLICE("a"), &inside), MW_OK);
    assert_false(mw_space_is_closing(inside));
    deletion work = {.all = &all};
    assert_int_equal(pthread_create(&work.thread, NULL, run_deletion, &work), 0);
    while (!mw_space_is_closing(inside))
        usleep(1000);
    assert_int_equal(mw_spaces_get(all.spaces, MW_SLICE("a"), &late), MW_E_NOT_FOUND);
    assert_string_equal(names_of(&all), "default ");
    usleep(20000);
    assert_false(atomic_load(&work.done));
    assert_int_equal(append_spans(mw_space_store(inside), 1, 1, 2), MW_OK);
    assert_int_equal(count_spans(mw_space_store(inside), 1), 2);
    mw_space_release(inside);
    pthread_join(work.thread, NULL);
    assert_int_equal(work.err, MW_OK);
    assert_false(is_there(&all, "a"));
    house_fini(&all);
}

static atomic_bool stop_appending;

static void *append_until_gone(void *ctx)
{
    house *all = ctx;
    uint64_t trace = 1;
    while (!atomic_load(&stop_appending)) {
        mw_err err = append_in(all, "a", trace++, 1);
        assert_true(err == MW_OK || err == MW_E_NOT_FOUND);
        spans_in(all, "a", trace - 1);
    }
    return NULL;
}

static void test_come_and_go_under_load(void **state)
{
    (void)state;
    enum { THREADS = 3, ROUNDS = 8 };
    house all;
    pthread_t threads[THREADS];
    house_init(&all);
    atomic_store(&stop_appending, false);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_until_gone, &all), 0);
    for (int round = 0; round < ROUNDS; round++) {
        assert_int_equal(create(&all, "a"), MW_OK);
        usleep(5000);
        assert_int_equal(remove_space(&all, "a"), MW_OK);
    }
    atomic_store(&stop_appending, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_string_equal(names_of(&all), "default ");
    house_fini(&all);
    assert_int_equal(mw_memory_component_used(MW_MEM_STORE), 0);
}

/* ---- what kills and strangers leave ---------------------------------------------------------- */

/* A segment of a version of the format that this program cannot read. */
static void put_newer(const house *all, const char *name)
{
    unsigned char bytes[MW_SEGMENT_HEADER_SIZE];
    mw_segment_header header = {.id = 1, .durable_end = MW_SEGMENT_HEADER_SIZE, .first_seq = 1};
    char path[256];
    mw_segment_header_write(&header, bytes);
    mw_put_u32(bytes + 8, MW_SEGMENT_VERSION + 1);
    mw_put_u64(bytes + 72, XXH3_64bits_withSeed(bytes, 72, header.id));
    snprintf(path, sizeof path, "%s/%s", all->spaces_directory, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    close(fd);
}

static void put_file(const house *all, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", all->spaces_directory, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void test_leftovers(void **state)
{
    (void)state;
    house all;
    char from[256], to[256];
    house_init(&all);
    assert_int_equal(create(&all, "a"), MW_OK);
    assert_int_equal(create(&all, "b"), MW_OK);
    assert_int_equal(append_in(&all, "a", 1, 3), MW_OK);
    mw_spaces_close(all.spaces);
    /* Killed between the rename and the removal. */
    snprintf(from, sizeof from, "%s/a", all.spaces_directory);
    snprintf(to, sizeof to, "%s/.deleted-a-0123", all.spaces_directory);
    assert_int_equal(rename(from, to), 0);
    /* Killed while it was created. */
    snprintf(from, sizeof from, "%s/new", all.spaces_directory);
    assert_int_equal(mkdir(from, 0700), 0);
    /* What is no space. */
    put_file(&all, "notes");
    snprintf(from, sizeof from, "%s/Lost+Found", all.spaces_directory);
    assert_int_equal(mkdir(from, 0700), 0);
    snprintf(from, sizeof from, "%s/default", all.spaces_directory);
    assert_int_equal(mkdir(from, 0700), 0);
    house_open(&all);
    assert_string_equal(names_of(&all), "default b new ");
    assert_false(is_there(&all, ".deleted-a-0123"));
    assert_true(is_there(&all, "notes"));
    assert_true(is_there(&all, "Lost+Found"));
    assert_int_equal(create(&all, "notes"), MW_E_CONFLICT);
    assert_true(is_there(&all, "notes"));
    house_fini(&all);
}

/* A space that cannot be opened is no reason to serve without it. */
static void test_damaged_space(void **state)
{
    (void)state;
    house all;
    mw_detail detail = {.message = ""};
    house_init(&all);
    assert_int_equal(create(&all, "a"), MW_OK);
    mw_spaces_close(all.spaces);
    put_newer(&all, "a/store/0000000000000001.seg");
    assert_int_equal(try_open(&all, &detail), MW_E_UNSUPPORTED);
    assert_non_null(strstr(detail.message, "a/store/"));
    assert_null(all.spaces);
    test_dir_fini(&all.dir);
    assert_int_equal(mw_memory_component_used(MW_MEM_STORE), 0);
}

/* ---- disks that refuse ----------------------------------------------------------------------- */

static mw_io quick, broken;
static int fail_rename_of_directory, fail_sync, fail_open;

static int rename_or_fail(const char *from, const char *to)
{
    if (fail_rename_of_directory && strstr(to, ".deleted-")) {
        errno = EROFS;
        return -1;
    }
    return quick.rename(from, to);
}

static int fsync_or_fail(int fd)
{
    if (fail_sync > 0 && --fail_sync == 0) {
        errno = EIO;
        return -1;
    }
    return quick.fsync(fd);
}

static int open_or_fail(const char *path, int flags, mode_t mode)
{
    if (fail_open) {
        errno = ENOSPC;
        return -1;
    }
    return quick.open(path, flags, mode);
}

static void test_disk_refuses(void **state)
{
    (void)state;
    house all;
    house_init(&all);
    quick = broken = *mw_io_current();
    broken.rename = rename_or_fail;
    broken.fsync = fsync_or_fail;
    broken.open = open_or_fail;
    mw_io_use(&broken);
    /* Whatever fails of a creation, nothing is left of it. */
    fail_open = 1;
    assert_int_equal(create(&all, "a"), MW_E_NO_SPACE);
    fail_open = 0;
    assert_false(is_there(&all, "a"));
    for (int n = 1; n <= 2; n++) {
        fail_sync = n;
        assert_int_equal(create(&all, "a"), MW_E_IO);
        assert_false(is_there(&all, "a"));
    }
    fail_sync = 0;
    assert_int_equal(create(&all, "a"), MW_OK);
    assert_int_equal(append_in(&all, "a", 1, 3), MW_OK);
    /* A deletion that cannot be: all is as before. */
    fail_rename_of_directory = 1;
    assert_int_equal(remove_space(&all, "a"), MW_E_NO_SPACE);
    assert_int_equal(spans_in(&all, "a", 1), 3);
    fail_rename_of_directory = 0;
    assert_int_equal(remove_space(&all, "a"), MW_OK);
    assert_string_equal(names_of(&all), "default ");
    mw_io_use(&quick);
    house_fini(&all);
}

/* The n-th allocation fails, wherever: a thread of another store may be the one that meets it, and
 * then it is tried again. */
static void create_without_memory(house *all, uint64_t n)
{
    for (int tries = 0; tries < 100; tries++) {
        mw_memory_fail_at(n);
        mw_err err = create(all, "a");
        mw_memory_fail_at(0);
        assert_int_equal(is_there(all, "a"), err == MW_OK);
        if (err == MW_E_NOMEM)
            return;
        assert_int_equal(remove_space(all, "a"), MW_OK);
    }
    fail_msg("allocation %llu never failed", (unsigned long long)n);
}

static void test_without_memory(void **state)
{
    (void)state;
    house all;
    mw_detail detail = {.message = ""};
    house_init(&all);
    for (uint64_t n = 1; n <= 3; n++)
        create_without_memory(&all, n);
    mw_spaces_close(all.spaces);
    for (uint64_t n = 1; n <= 4; n++) {
        mw_memory_fail_at(n);
        assert_int_equal(try_open(&all, &detail), MW_E_NOMEM);
    }
    mw_memory_fail_at(0);
    test_dir_fini(&all.dir);
    assert_int_equal(mw_memory_component_used(MW_MEM_STORE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_nothing_crosses),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_delete_waits_for_users),
        cmocka_unit_test(test_come_and_go_under_load),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_damaged_space),
        cmocka_unit_test(test_disk_refuses),
        cmocka_unit_test(test_without_memory),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
