/* A disk that fills up: merging makes room by itself, in steps that fit; the reserve is given up
 * for a merge and for nothing else; a merge without room leaves nothing behind and does not spin.
 *
 * The disk is the store's directory with a capacity: what would lie beyond is refused. SQLite's
 * files do not count.
 */
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "tests/unit/lib-store/quick_disk.h"
#include "tests/unit/lib-store/store_test.h"

#include "lib/base/log.h"
#include "lib/store/merge/merge_room.h"

#define MIB ((uint64_t)1 << 20)
#define HOUR_NS (3600 * MW_NS_PER_S)
enum { REQUEST = 32 << 10 };

static struct {
    const char *directory;
    _Atomic uint64_t capacity, reserve; /* the latter lies on it, too */
    atomic_uint releases, refused_merges;
    atomic_bool no_merges; /* as a quota has it: the file system tells nothing */
} disk;

static bool is_counted(const char *name)
{
    return strncmp(name, "00", 2) == 0;
}

static uint64_t lies_there(void)
{
    uint64_t bytes = atomic_load(&disk.reserve);
    char path[512];
    struct stat status;
    DIR *entries = opendir(disk.directory);
    for (struct dirent *entry; entries && (entry = readdir(entries)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", disk.directory, entry->d_name);
        if (is_counted(entry->d_name) && stat(path, &status) == 0)
            bytes += (uint64_t)status.st_size;
    }
    if (entries)
        closedir(entries);
    return bytes;
}

static mw_err small_disk(const char *path, mw_disk *out)
{
    uint64_t used = lies_there();
    (void)path;
    out->bytes = atomic_load(&disk.capacity);
    out->free_bytes = out->bytes > used ? out->bytes - used : 0;
    return MW_OK;
}

/* Of the file that a descriptor is of; empty when it is none of the directory. */
static void name_of(int fd, char *name, size_t size)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    const char *slash = strrchr(path, '/');
    snprintf(name, size, "%s", slash && is_counted(slash + 1) ? slash + 1 : "");
}

static bool refuses(int fd, const struct iovec *iov, int count, off_t offset)
{
    char name[256];
    struct stat status;
    uint64_t end = (uint64_t)offset;
    name_of(fd, name, sizeof name);
    if (!name[0] || fstat(fd, &status) != 0)
        return false;
    bool merges = strstr(name, ".tmp") && offset > 0;
    if (merges && atomic_load(&disk.no_merges)) {
        atomic_fetch_add(&disk.refused_merges, 1);
        return true;
    }
    for (int i = 0; i < count; i++)
        end += iov[i].iov_len;
    uint64_t grows = end > (uint64_t)status.st_size ? end - (uint64_t)status.st_size : 0;
    bool refused = grows && lies_there() + grows > atomic_load(&disk.capacity);
    atomic_fetch_add(&disk.refused_merges, refused && merges);
    return refused;
}

static ssize_t small_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    if (!refuses(fd, iov, count, offset))
        return mw_io_system()->pwritev(fd, iov, count, offset);
    errno = ENOSPC;
    return -1;
}

static bool give_reserve(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&disk.releases, 1);
    return atomic_exchange(&disk.reserve, 0) != 0;
}

/* ---- a store on it --------------------------------------------------------------------------- */

typedef struct house {
    test_dir dir;
    mw_store *store;
    test_random random;
    uint64_t appended;
    mw_io io;
    const mw_io *before;
} house;

static void house_init(house *all, uint64_t capacity, uint64_t reserve, int64_t merge_after_ns)
{
    memset(all, 0, sizeof *all);
    all->random.state = 11;
    test_dir_init(&all->dir);
    memset(&disk, 0, sizeof disk);
    disk.directory = all->dir.store;
    atomic_store(&disk.capacity, capacity);
    atomic_store(&disk.reserve, reserve);
    all->before = mw_io_current();
    all->io = *all->before;
    all->io.pwritev = small_pwritev;
    mw_io_use(&all->io);
    mw_io_use_disk(small_disk);
    mw_store_config config = {.directory = all->dir.store,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT,
                              .merge_after_ns = merge_after_ns,
                              .merge = true,
                              .reserve = {.bytes = reserve, .release = give_reserve}};
    assert_int_equal(mw_store_open(&config, &all->store, NULL), MW_OK);
}

static void house_fini(house *all)
{
    mw_store_stats stats;
    mw_store_stats_read(all->store, &stats);
    assert_int_equal(stats.spans, all->appended);
    for (uint64_t i = 1; i <= all->appended; i += 1 + all->appended / 50)
        assert_int_equal(count_spans(all->store, i), 1);
    mw_store_close(all->store);
    mw_io_use(all->before);
    mw_io_use_disk(NULL);
    mw_store_verified verified;
    assert_int_equal(mw_store_verify(all->dir.store, NULL, NULL, &verified), MW_OK);
    assert_int_equal(verified.spans, all->appended);
    test_dir_fini(&all->dir);
}

static mw_store_stats stats_of(const house *all)
{
    mw_store_stats stats;
    mw_store_stats_read(all->store, &stats);
    return stats;
}

/* A span of text that merging halves, and that packs badly in the log. */
static mw_err append(house *all)
{
    static const char digits[] = "0123456789abcdef";
    test_batch batch;
    char *text = malloc(REQUEST);
    test_batch_init(&batch, 1);
    test_span(&batch, 0, all->appended + 1, all->appended + 1, 0);
    for (size_t i = 0; i < REQUEST; i++)
        text[i] = digits[random_next(&all->random) % 16];
    batch.items[0].bytes = test_text(&batch, text, REQUEST);
    mw_err err = append_wait(all->store, &batch.batch, NULL);
    all->appended += err == MW_OK;
    test_batch_fini(&batch);
    free(text);
    return err;
}

/* Until it is taken, or for so long. */
static bool append_patiently(house *all, int seconds)
{
    for (int tries = 0; tries < seconds * 50; tries++) {
        mw_err err = append(all);
        if (err == MW_OK)
            return true;
        assert_true(err == MW_E_NO_SPACE || err == MW_E_BUSY);
        usleep(20000);
    }
    return false;
}

#define wait_until(condition)                                                                      \
    for (int tries = 0; !(condition); tries++) {                                                   \
        assert_true(tries < 3000);                                                                 \
        usleep(10000);                                                                             \
    }

/* ---- the tests ------------------------------------------------------------------------------- */

/* Nobody does anything: the disk takes nearly what it would take if all were merged. */
static void test_fills_with_merged(void **state)
{
    house all;
    (void)state;
    house_init(&all, 16 * MIB, 4 * MIB, HOUR_NS);
    while (append_patiently(&all, 4))
        ;
    mw_store_stats stats = stats_of(&all);
    print_message("16 MiB, 4 of them a reserve: %llu KiB of log taken, %llu KiB merged\n",
                  (unsigned long long)(all.appended * REQUEST >> 10),
                  (unsigned long long)(stats.merged_bytes >> 10));
    assert_true(all.appended * REQUEST > 26 * MIB);
    assert_true(stats.merges > 4);
    assert_int_equal(count_files(all.dir.store, ".tmp"), 0);
    assert_int_equal(count_files(all.dir.store, ".old"), 0);
    assert_true(mw_store_disk_free(all.store) < 2 * MIB);
    house_fini(&all);
}

/* Others fill it, all at once: what waits is merged in the reserve's place, and there is room. */
static void test_filled_by_others(void **state)
{
    house all;
    (void)state;
    house_init(&all, 32 * MIB, 4 * MIB, HOUR_NS);
    while (all.appended * REQUEST < 4 * MIB)
        assert_int_equal(append(&all), MW_OK);
    assert_int_equal(stats_of(&all).merges, 0);
    atomic_store(&disk.capacity, lies_there());
    assert_int_equal(append(&all), MW_E_NO_SPACE);
    assert_true(append_patiently(&all, 10));
    mw_store_stats stats = stats_of(&all);
    assert_true(stats.merges > 0);
    assert_false(stats.merging_fails);
    assert_int_equal(atomic_load(&disk.refused_merges), 0);
    assert_true(atomic_load(&disk.releases) > 0);
    wait_until(mw_store_disk_free(all.store) > 5 * MIB);
    house_fini(&all);
}

/* What does not fit in the reserve either costs nobody the reserve. */
static void test_reserve_is_kept(void **state)
{
    house all;
    (void)state;
    house_init(&all, 256 * MIB, MIB / 2, HOUR_NS);
    while (all.appended * REQUEST < 6 * MIB)
        assert_int_equal(append(&all), MW_OK);
    atomic_store(&disk.capacity, lies_there());
    assert_int_equal(append(&all), MW_E_NO_SPACE);
    assert_false(append_patiently(&all, 3));
    assert_int_equal(atomic_load(&disk.releases), 0);
    assert_int_equal(stats_of(&all).merges, 0);
    assert_int_equal(stats_of(&all).merge_failures, 0);
    atomic_store(&disk.capacity, 256 * MIB);
    assert_true(append_patiently(&all, 5));
    house_fini(&all);
}

/* The file system says that there is room, and there is none: tried again, in smaller steps, with
 * pauses; nothing is left of an attempt. */
static void test_quota(void **state)
{
    house all;
    (void)state;
    house_init(&all, 1024 * MIB, 0, 1);
    atomic_store(&disk.no_merges, true);
    while (all.appended * REQUEST < 3 * MIB)
        assert_int_equal(append(&all), MW_OK); /* what can be written is taken */
    wait_until(atomic_load(&disk.refused_merges) > 0);
    usleep(1000000);
    assert_in_range(atomic_load(&disk.refused_merges), 1, 2);
    wait_until(stats_of(&all).merging_fails);
    assert_int_equal(count_files(all.dir.store, ".tmp"), 0);
    assert_int_equal(append(&all), MW_OK);
    atomic_store(&disk.no_merges, false);
    wait_until(!stats_of(&all).merging_fails);
    assert_true(stats_of(&all).merges > 0);
    house_fini(&all);
}

static void test_room(void **state)
{
    mw_merge_room room;
    (void)state;
    mw_merge_room_init(&room);
    assert_false(mw_merge_room_is_tight(&room));
    assert_int_equal(mw_merge_room_packed(&room), 500);
    room.free_bytes = MW_MERGE_ROOM_TIGHT;
    assert_false(mw_merge_room_is_tight(&room));
    room.free_bytes--;
    assert_true(mw_merge_room_is_tight(&room));
    room.free_bytes = 1024 * MIB;
    mw_merge_room_failed(&room, 100 * MIB);
    assert_true(mw_merge_room_is_tight(&room));
    assert_int_equal(mw_merge_room_bytes(&room), 50 * MIB);
    mw_merge_room_succeeded(&room);
    assert_int_equal(mw_merge_room_bytes(&room), 1024 * MIB);
    /* What was seen counts more and more, and what is seen now more than what was. */
    mw_merge_room_learn(&room, 9 * MIB, 900 << 10);
    assert_in_range(mw_merge_room_packed(&room), 130, 140);
    for (int i = 0; i < 100; i++)
        mw_merge_room_learn(&room, 64 * MIB, 64 * MIB);
    assert_in_range(mw_merge_room_packed(&room), 990, 1000);
    mw_merge_room_learn(&room, 1, 4096 * MIB);
    assert_int_equal(mw_merge_room_packed(&room), 1000);
    mw_merge_room_init(&room);
    for (int i = 0; i < 100; i++)
        mw_merge_room_learn(&room, 500 * MIB, 0);
    assert_int_equal(mw_merge_room_packed(&room), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_fills_with_merged),
        cmocka_unit_test(test_filled_by_others),
        cmocka_unit_test(test_reserve_is_kept),
        cmocka_unit_test(test_quota),
    };
    mw_log_set_level(MW_LOG_ERROR);
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
