/* What a group of the log costs until it is durable, by how its file came to its space.
 *
 *   sync_cost DIRECTORY [ROUNDS [BYTES...]]    on the disk to be measured; 5 rounds, 4096 409600
 *
 * One thread writes a group of BYTES behind the other with pwrite and syncs each with fdatasync, as
 * the store's writer does (lib/store/segment/segment.c), into a file that
 *
 *   append     grows with each write, which is what the store does
 *   keep-size  has blocks 16 MiB ahead of its end (fallocate, KEEP_SIZE) and grows into them
 *   extended   is 16 MiB longer than what is written (fallocate), its blocks never written
 *   zeroed     is 16 MiB longer, of zeros that were written and synced ahead (in the figures)
 *   recycled   was written to its end before, as one that was merged and is used again
 *
 * All ways in turn, ROUNDS times, since neighbours on the disk come and go; the best of the rounds
 * is shown too. Time is of write and sync together, CPU of the whole thread, per group.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AHEAD ((off_t)16 << 20)
#define GROUP_MAX ((size_t)4 << 20)
#define ROUNDS_MAX 50
/* A round of one way: so many groups, or so many bytes. */
#define GROUPS_MAX 400
#define ROUND_BYTES ((size_t)48 << 20)

typedef enum way { APPEND, KEEP_SIZE, EXTENDED, ZEROED, RECYCLED, WAYS } way;
static const char *const names[WAYS] = {"append", "keep-size", "extended", "zeroed", "recycled"};

typedef struct round_result {
    double p50_us, p99_us, mean_us, cpu_us;
} round_result;

static char group[GROUP_MAX], zeros[1 << 20];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void write_all(int fd, const char *data, size_t len, off_t at)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, data + done, len - done, at + (off_t)done);
        if (n <= 0)
            die("write");
        done += (size_t)n;
    }
}

static void sync_file(int fd)
{
    if (fdatasync(fd) != 0)
        die("fdatasync");
}

static void write_zeros(int fd, off_t from, off_t to)
{
    for (off_t at = from; at < to; at += (off_t)sizeof zeros)
        write_all(fd, zeros, sizeof zeros, at);
    sync_file(fd);
}

/* Makes room behind `*ready` when the next group would not fit. */
static void have_room(int fd, way how, off_t need, off_t *ready)
{
    if (how == APPEND || how == RECYCLED || need <= *ready)
        return;
    off_t from = *ready;
    *ready = need + AHEAD;
    if (how == ZEROED)
        write_zeros(fd, from, *ready);
    else if (fallocate(fd, how == KEEP_SIZE ? FALLOC_FL_KEEP_SIZE : 0, from, *ready - from) != 0)
        die("fallocate");
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static round_result run_round(const char *directory, way how, size_t bytes)
{
    static double times[GROUPS_MAX];
    char path[4096];
    off_t at = 0, ready = 0;
    size_t count = ROUND_BYTES / bytes < GROUPS_MAX ? ROUND_BYTES / bytes : GROUPS_MAX;
    snprintf(path, sizeof path, "%s/midwatch-sync-cost", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        die(path);
    if (how == RECYCLED)
        write_zeros(fd, 0, (off_t)(count * bytes));
    if (fsync(fd) != 0)
        die("fsync");
    double cpu = now_us(CLOCK_THREAD_CPUTIME_ID), sum = 0;
    for (size_t i = 0; i < count; i++) {
        double begun = now_us(CLOCK_MONOTONIC);
        have_room(fd, how, at + (off_t)bytes, &ready);
        memcpy(group, &i, sizeof i);
        write_all(fd, group, bytes, at);
        sync_file(fd);
        at += (off_t)bytes;
        times[i] = now_us(CLOCK_MONOTONIC) - begun;
        sum += times[i];
    }
    cpu = now_us(CLOCK_THREAD_CPUTIME_ID) - cpu;
    close(fd);
    unlink(path);
    qsort(times, count, sizeof *times, compare);
    return (round_result){times[count / 2], times[count * 99 / 100], sum / (double)count,
                          cpu / (double)count};
}

static double median(const round_result *rounds, size_t count, size_t member, double *least)
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < count; i++)
        memcpy(&values[i], (const char *)&rounds[i] + member, sizeof values[i]);
    qsort(values, count, sizeof *values, compare);
    *least = values[0];
    return values[count / 2];
}

static void measure(const char *directory, size_t rounds, size_t bytes)
{
    static round_result results[WAYS][ROUNDS_MAX];
    double least, unused;
    for (size_t i = 0; i < rounds; i++)
        for (int how = 0; how < WAYS; how++)
            results[how][i] = run_round(directory, (way)how, bytes);
    printf("groups of %zu bytes\n%-10s %9s %9s %9s %9s %9s\n", bytes, "way", "p50 us", "least p50",
           "p99 us", "mean us", "cpu us");
    for (int how = 0; how < WAYS; how++) {
        double p50 = median(results[how], rounds, offsetof(round_result, p50_us), &least);
        printf("%-10s %9.0f %9.0f %9.0f %9.0f %9.1f\n", names[how], p50, least,
               median(results[how], rounds, offsetof(round_result, p99_us), &unused),
               median(results[how], rounds, offsetof(round_result, mean_us), &unused),
               median(results[how], rounds, offsetof(round_result, cpu_us), &unused));
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 5;
    if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: sync_cost DIRECTORY [ROUNDS [BYTES...]]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof group; i++)
        group[i] = (char)(rand() >> 8); /* no two pages alike, for a disk that would notice */
    if (argc <= 3) {
        measure(argv[1], rounds, 4096);
        measure(argv[1], rounds, 409600);
    }
    for (int i = 3; i < argc; i++) {
        size_t bytes = strtoul(argv[i], NULL, 10);
        if (bytes < sizeof(size_t) || bytes > GROUP_MAX)
            die(argv[i]);
        measure(argv[1], rounds, bytes);
    }
    return 0;
}
