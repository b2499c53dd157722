/* Promise 1 when the power fails: a run of appends, failures, retries and restarts is recorded
 * call by call, and at every point of it the directory is opened as a disk may show it then. What
 * was acknowledged is there, with its commit sequence, and not twice; a batch is there whole or
 * not at all; verification finds nothing worse than a torn tail; and life goes on.
 *
 * POWER_LOSS_SEEDS in the environment is how many random runs are sampled (make soak: many); with
 * it every run is looked at in full, without it (make test) as far as some seconds allow.
 */
#include "tests/unit/lib-store/store_test.h"
#include "tests/unit/power_disk.h"

#include "lib/base/log.h"

enum { BATCHES_MAX = 96, ITEMS = 3, SEGMENT_BYTES = 16 << 10 };
/* Of every third batch, so that there are writes of many pages; nothing makes it smaller. */
enum { LONG_ITEM = 9000 };

/* ---- what is sent ---------------------------------------------------------------------------- */

/* Batch i is of signal 1 + i % 3 and has a digest of its own; its items are told by their times. */
static uint64_t number_of(size_t batch, size_t item)
{
    return batch * 10 + item;
}

static mw_slice long_text(test_batch *batch, size_t i)
{
    char text[LONG_ITEM];
    test_random random = {i};
    for (size_t k = 0; k < sizeof text; k++)
        text[k] = (char)random_next(&random);
    return test_text(batch, text, sizeof text);
}

static void make_batch(test_batch *batch, size_t i)
{
    mw_signal signal = (mw_signal)(1 + i % 3);
    test_batch_init_of(batch, signal, ITEMS);
    memset(batch->batch.digest, 0xd1, sizeof batch->batch.digest);
    batch->batch.digest[0] = (uint8_t)(i + 1);
    for (size_t k = 0; k < ITEMS; k++) {
        if (signal == MW_SIGNAL_TRACES)
            test_span(batch, k, i + 1, number_of(i, k), 0);
        else if (signal == MW_SIGNAL_METRICS)
            test_point(batch, k, i + 1, number_of(i, k));
        else
            test_log(batch, k, 0, number_of(i, k));
    }
    if (i / 2 % 3 == 0)
        batch->items[1].bytes = long_text(batch, i);
}

/* ---- what is there --------------------------------------------------------------------------- */

/* Commit sequence of each item, 0 = not there. */
typedef struct findings {
    uint64_t seqs[BATCHES_MAX][ITEMS];
    mw_store_stats stats;
} findings;

static void note(findings *found, uint64_t number, uint64_t seq)
{
    assert_true(number / 10 < BATCHES_MAX && number % 10 < ITEMS);
    uint64_t *known = &found->seqs[number / 10][number % 10];
    assert_int_equal(*known, 0); /* nothing twice */
    *known = seq;
}

static void find_spans(mw_store_view *view, size_t batch, mw_arena *arena, findings *found)
{
    uint8_t id[MW_TRACE_ID_SIZE];
    mw_trace trace;
    trace_id_of(id, batch + 1);
    mw_err err = mw_store_trace_read(view, id, arena, &trace);
    if (err == MW_E_NOT_FOUND)
        return;
    assert_int_equal(err, MW_OK);
    for (size_t i = 0; i < trace.span_count; i++)
        note(found, trace.spans[i].row.start_ns - 1000, trace.spans[i].commit_seq);
}

static void find_points(mw_store_view *view, mw_arena *arena, findings *found)
{
    mw_store_page page = {.limit = 1000};
    mw_metric_query query = {.service = MW_SLICE_NONE};
    mw_metric metric;
    mw_err err = mw_store_metric_read(view, MW_SLICE("requests"), &page, &query, arena, &metric);
    if (err == MW_E_NOT_FOUND)
        return;
    assert_int_equal(err, MW_OK);
    for (size_t i = 0; i < metric.series_count; i++)
        for (size_t k = 0; k < metric.series[i].point_count; k++) {
            const mw_series_point *point = &metric.series[i].points[k];
            note(found, point->row.time_ns - 1700, point->commit_seq);
        }
}

static void find_logs(mw_store_view *view, mw_arena *arena, findings *found)
{
    mw_log_follow follow = {.limit = 1000};
    mw_log_query query = {.service = MW_SLICE_NONE};
    mw_log_tail tail = {.more = true};
    while (tail.more) {
        assert_int_equal(mw_store_log_follow(view, &follow, &query, arena, &tail), MW_OK);
        for (size_t i = 0; i < tail.count; i++)
            note(found, tail.items[i].row.time_ns - 1500, tail.items[i].commit_seq);
        follow.after = tail.position;
    }
}

static void look(mw_store *store, findings *found)
{
    mw_store_view *view;
    mw_arena arena;
    memset(found, 0, sizeof *found);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    for (size_t i = 0; i < BATCHES_MAX; i += 3)
        find_spans(view, i, &arena, found);
    find_points(view, &arena, found);
    find_logs(view, &arena, found);
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    mw_store_stats_read(store, &found->stats);
    /* Whatever was cut off was promised to nobody, and a start knows that. */
    assert_int_equal(found->stats.losses.count, 0);
}

/* Batches are whole, acknowledged ones are there as they were acknowledged, the counts are exact.
 * `may_miss` (or NULL) are those that retention removes. */
static void check_findings(const findings *found, const uint64_t *acknowledged,
                           const bool *may_miss)
{
    uint64_t items[MW_SIGNAL_END] = {0};
    for (size_t i = 0; i < BATCHES_MAX; i++) {
        for (size_t k = 1; k < ITEMS; k++)
            assert_int_equal(found->seqs[i][k], found->seqs[i][0]);
        if (acknowledged[i] && (found->seqs[i][0] || !may_miss || !may_miss[i]))
            assert_int_equal(found->seqs[i][0], acknowledged[i]);
        if (found->seqs[i][0])
            items[1 + i % 3] += ITEMS;
    }
    assert_int_equal(found->stats.spans, items[MW_SIGNAL_TRACES]);
    assert_int_equal(found->stats.points, items[MW_SIGNAL_METRICS]);
    assert_int_equal(found->stats.logs, items[MW_SIGNAL_LOGS]);
}

/* ---- the run that is recorded ---------------------------------------------------------------- */

typedef struct run {
    test_dir dir;
    mw_fake_clock clock;
    power_log log;
    size_t batches;
    uint64_t random;
    mw_store *store;
    bool merges;              /* now and then, all that there is */
    uint64_t retention_bytes; /* 0 = no retention */
    /* Event from which on a batch may be missing, since retention removed it; 0 = never. */
    size_t gone[BATCHES_MAX];
} run;

/* A batch on its way; a mark is batch << 32 | sequence. */
typedef struct sending {
    run *run;
    size_t batch;
    test_ticket ticket;
} sending;

static void sent(void *ctx, mw_err err, uint64_t seq)
{
    sending *one = ctx;
    /* A repeat (0) was acknowledged before, when the first answer came too late for the sender. */
    if (err == MW_OK && seq)
        power_mark(&one->run->log, (uint64_t)one->batch << 32 | seq);
    ticket_done(&one->ticket, err, seq);
}

static mw_store *open_run(run *self)
{
    mw_store_config config = {.directory = self->dir.store,
                              .clock = &self->clock.clock,
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = SEGMENT_BYTES,
                              .retention_bytes = self->retention_bytes};
    mw_detail detail = {0};
    mw_store *store = NULL;
    mw_err err = mw_store_open(&config, &store, &detail);
    if (err != MW_OK)
        assert_true(self->log.faults.one_in || self->log.failures);
    return store;
}

/* Appends [first, first + count) at once, so that they may share a group. False: not all. */
static bool send_some(run *self, size_t first, size_t count, bool *answered)
{
    sending all[8];
    mw_err errors[8];
    bool whole = true;
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++) {
        test_batch batch;
        all[i] = (sending){.run = self, .batch = first + i};
        ticket_init(&all[i].ticket);
        errors[i] = MW_OK;
        if (answered[i])
            continue;
        make_batch(&batch, first + i);
        errors[i] = mw_store_append(self->store, &batch.batch, sent, &all[i]);
        test_batch_fini(&batch);
    }
    for (size_t i = 0; i < count; i++) {
        if (!answered[i] && errors[i] == MW_OK)
            errors[i] = ticket_wait(&all[i].ticket, NULL);
        answered[i] = errors[i] == MW_OK;
        whole = whole && answered[i];
    }
    return whole;
}

/* Merges what there is, here and now, then retires. It may fail as the calls do. */
static void merge_now(run *self)
{
    findings before, after;
    look(self->store, &before);
    size_t at = self->log.count;
    mw_fake_clock_advance(&self->clock, 2 * MW_NS_PER_S); /* retention looks once a second */
    mw_err err = mw_store_merge_all(self->store, 10 * MW_NS_PER_S);
    assert_true(err == MW_OK || self->log.failures);
    look(self->store, &after);
    for (size_t i = 0; i < BATCHES_MAX; i++)
        if (before.seqs[i][0] && !after.seqs[i][0])
            self->gone[i] = at + 1;
    if (!self->retention_bytes)
        for (size_t i = 0; i < BATCHES_MAX; i++)
            for (size_t k = 0; k < ITEMS; k++)
                if (before.seqs[i][k] != after.seqs[i][k])
                    print_error("batch %zu item %zu: %llu before, %llu after the merge (%s)\n", i,
                                k, (unsigned long long)before.seqs[i][k],
                                (unsigned long long)after.seqs[i][k], mw_err_text(err));
    assert_true(self->retention_bytes || memcmp(before.seqs, after.seqs, sizeof before.seqs) == 0);
}

static void restart(run *self)
{
    mw_store_close(self->store);
    for (self->store = NULL; !self->store; self->store = open_run(self))
        mw_fake_clock_advance(&self->clock, 2 * MW_NS_PER_S);
}

/* Some batches are tried again after a failure, some are given up. */
static void send_all(run *self, bool restarts)
{
    for (size_t i = 0; i < self->batches;) {
        size_t count = 1 + power_below(&self->random, 4);
        bool answered[8] = {false};
        if (count > self->batches - i)
            count = self->batches - i;
        for (int attempt = 0; attempt < 4; attempt++) {
            if (send_some(self, i, count, answered))
                break;
            mw_fake_clock_advance(&self->clock, 2 * MW_NS_PER_S);
        }
        i += count;
        if (restarts && power_below(&self->random, 6) == 0)
            restart(self);
        if (self->merges && power_below(&self->random, 4) == 0)
            merge_now(self);
    }
}

static void begin_run(run *self, uint64_t seed, size_t batches)
{
    bool merges = self->merges;
    uint64_t retention_bytes = self->retention_bytes;
    memset(self, 0, sizeof *self);
    self->merges = merges;
    self->retention_bytes = retention_bytes;
    self->batches = batches;
    self->random = seed;
    test_dir_init(&self->dir);
    assert_int_equal(mkdir(self->dir.store, 0700), 0);
    mw_fake_clock_init(&self->clock, INT64_C(1773480413) * MW_NS_PER_S);
    power_record(&self->log, self->dir.store);
    self->store = open_run(self);
    assert_non_null(self->store);
}

static void end_run(run *self)
{
    mw_store_close(self->store);
    self->log.faults = (power_faults){0};
    power_stop();
}

static void record(run *self, uint64_t seed, size_t batches, bool restarts,
                   const power_faults *faults)
{
    begin_run(self, seed, batches);
    self->log.faults = *faults;
    send_all(self, restarts);
    end_run(self);
}

static void forget(run *self)
{
    power_log_fini(&self->log);
    test_dir_fini(&self->dir);
}

/* ---- opening what is left -------------------------------------------------------------------- */

typedef struct losses {
    size_t events, images, continued, recoveries;
    uint64_t highest; /* sequence acknowledged */
    uint64_t acknowledged[BATCHES_MAX];
    bool may_miss[BATCHES_MAX];
} losses;

static void only_torn(void *ctx, const mw_store_damage *damage)
{
    (void)ctx;
    /* An ordinary loss of power is no damage. */
    if (!damage->note || strncmp(damage->what, "a torn tail", 11) != 0)
        fail_msg("%s at %llu: %s", damage->file, (unsigned long long)damage->offset, damage->what);
}

static void verify(const char *directory)
{
    assert_int_equal(mw_store_verify(directory, only_torn, NULL, NULL), MW_OK);
}

/* Everything that is not acknowledged is sent again; the answer is the truth. */
static void go_on(run *self, const char *directory, losses *all, const findings *before)
{
    findings found;
    uint64_t acknowledged[BATCHES_MAX];
    test_ticket tickets[BATCHES_MAX];
    memcpy(acknowledged, all->acknowledged, sizeof acknowledged);
    mw_store *store =
        open_with(directory, &self->clock.clock, MW_STORE_QUEUE_DEFAULT, SEGMENT_BYTES);
    for (size_t i = 0; i < self->batches; i++) {
        test_batch batch;
        make_batch(&batch, i);
        ticket_init(&tickets[i]);
        assert_int_equal(mw_store_append(store, &batch.batch, ticket_done, &tickets[i]), MW_OK);
        test_batch_fini(&batch);
    }
    for (size_t i = 0; i < self->batches; i++) {
        uint64_t seq = 0;
        assert_int_equal(ticket_wait(&tickets[i], &seq), MW_OK);
        /* What is there is recognised (and what retention removed may be), what is not gets a
         * sequence above all that was told. */
        if (before->seqs[i][0] || !all->may_miss[i])
            assert_int_equal(seq == 0, before->seqs[i][0] != 0);
        if (seq)
            assert_true(seq > all->highest);
        acknowledged[i] = seq ? seq : before->seqs[i][0];
    }
    if (self->merges)
        assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    for (int again = 0; again < 2; again++) {
        look(store, &found);
        check_findings(&found, acknowledged, NULL);
        mw_store_close(store);
        assert_int_equal(mw_store_verify(directory, NULL, NULL, NULL), MW_OK);
        store = open_with(directory, &self->clock.clock, MW_STORE_QUEUE_DEFAULT, SEGMENT_BYTES);
    }
    mw_store_close(store);
    all->continued++;
}

static void check_image(run *self, const char *directory, losses *all, bool continues)
{
    findings first, second;
    power_unsynced();
    verify(directory);
    mw_store *store =
        open_with(directory, &self->clock.clock, MW_STORE_QUEUE_DEFAULT, SEGMENT_BYTES);
    look(store, &first);
    check_findings(&first, all->acknowledged, all->may_miss);
    assert_true(first.stats.commit_seq >= all->highest);
    mw_store_close(store);
    verify(directory);
    store = open_with(directory, &self->clock.clock, MW_STORE_QUEUE_DEFAULT, SEGMENT_BYTES);
    look(store, &second);
    assert_memory_equal(first.seqs, second.seqs, sizeof first.seqs);
    check_findings(&second, all->acknowledged, all->may_miss);
    mw_store_close(store);
    if (continues)
        go_on(self, directory, all, &first);
    mw_io_use(NULL);
    all->images++;
}

static void note_mark(const power_log *log, size_t at, losses *all)
{
    const power_event *event = &log->events[at];
    if (event->kind != POWER_MARK)
        return;
    uint64_t seq = event->mark & UINT32_MAX;
    all->acknowledged[event->mark >> 32] = seq;
    if (seq > all->highest)
        all->highest = seq;
}

/* The power fails again while the image is recovered, behind every call of that. */
static void lose_recovery(run *self, const char *image, losses *all)
{
    power_log log;
    power_disk disk;
    findings found;
    char again[96];
    snprintf(again, sizeof again, "%s/again", self->dir.root);
    power_record(&log, image);
    mw_store *store = open_with(image, &self->clock.clock, MW_STORE_QUEUE_DEFAULT, SEGMENT_BYTES);
    look(store, &found);
    mw_store_close(store);
    power_stop();
    power_disk_init(&disk, &log);
    while (power_disk_step(&disk))
        for (size_t variant = 0; variant < POWER_VARIANTS; variant++)
            if (power_disk_image(&disk, variant, 1, again))
                check_image(self, again, all, variant == 0);
    all->recoveries += log.count > 0;
    power_disk_fini(&disk);
    power_log_fini(&log);
}

/* 0: the short form. */
static unsigned long seeds_wanted(void)
{
    const char *text = getenv("POWER_LOSS_SEEDS");
    return text ? strtoul(text, NULL, 10) : 0;
}

static size_t stride_of(size_t in_short)
{
    return seeds_wanted() ? 1 : in_short;
}

static void try_image(run *self, power_disk *disk, size_t variant, uint64_t seed, losses *all)
{
    char image[96];
    snprintf(image, sizeof image, "%s/image", self->dir.root);
    if (!power_disk_image(disk, variant, seed, image))
        return;
    check_image(self, image, all, all->images % (seeds_wanted() ? 4 : 12) == 0);
    /* The image was changed by that: the first one of its kind is made again. */
    if (all->images % (seeds_wanted() ? 8 : 60) == 0) {
        disk->seen_count = 0;
        power_disk_image(disk, variant, seed, image);
        lose_recovery(self, image, all);
    }
}

/* The power fails behind every event (stride 1), or behind one in so many. */
static void lose_power(run *self, size_t stride, size_t seeds, losses *all)
{
    power_disk disk;
    uint64_t random = self->random;
    memset(all, 0, sizeof *all);
    power_disk_init(&disk, &self->log);
    while (power_disk_step(&disk)) {
        note_mark(&self->log, disk.at - 1, all);
        for (size_t i = 0; i < BATCHES_MAX; i++)
            all->may_miss[i] = self->gone[i] && disk.at >= self->gone[i];
        all->events++;
        if (stride > 1 && power_below(&random, stride) != 0)
            continue;
        for (size_t variant = 0; variant < POWER_VARIANTS; variant++)
            for (size_t seed = 0; seed < seeds; seed++)
                try_image(self, &disk, variant, seed, all);
    }
    power_disk_fini(&disk);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void print_losses(const char *what, const run *self, const losses *all)
{
    size_t answered = 0;
    for (size_t i = 0; i < BATCHES_MAX; i++)
        answered += all->acknowledged[i] != 0;
    print_message("%s: %zu events, %u failures, %zu of %zu batches acknowledged, %zu images, "
                  "%zu continued, %zu with the power lost in recovery\n",
                  what, all->events, self->log.failures, answered, self->batches, all->images,
                  all->continued, all->recoveries);
}

/* A healthy disk: every prefix, three seeds of the random variants. */
static void test_every_prefix(void **state)
{
    static run self;
    static losses all;
    (void)state;
    record(&self, 1, 12, true, &(power_faults){0});
    lose_power(&self, 1, seeds_wanted() ? 3 : 1, &all);
    print_losses("every prefix", &self, &all);
    for (size_t i = 0; i < self.batches; i++)
        assert_true(all.acknowledged[i] > 0);
    assert_true(all.images > all.events);
    forget(&self);
}

/* A disk on which calls fail now and then, whole or half done. */
static void test_with_failures(void **state)
{
    static run self;
    static losses all;
    (void)state;
    const power_faults faults = {.one_in = 8, .random = 5, .partial = true};
    record(&self, 2, 12, true, &faults);
    lose_power(&self, stride_of(2), seeds_wanted() ? 2 : 1, &all);
    print_losses("with failures", &self, &all);
    assert_true(self.log.failures > 0);
    forget(&self);
}

/* A segment got its name, the sync of that failed, it was removed; the process ended and the next
 * one carried on. The removed file must not come back and say otherwise. */
static void test_removed_name(void **state)
{
    static run self;
    static losses all;
    bool answered[8] = {false};
    (void)state;
    begin_run(&self, 3, 4);
    assert_true(send_some(&self, 0, 1, answered));
    self.log.faults.nth[POWER_SYNC_NAMES] = self.log.calls[POWER_SYNC_NAMES] + 1;
    self.log.faults.last[POWER_SYNC_NAMES] = self.log.faults.nth[POWER_SYNC_NAMES] + 1;
    for (int attempt = 0; attempt < 2;
         attempt++) { /* the next process uses the first number again */
        answered[0] = false;
        assert_false(send_some(&self, 1, 1, answered));
        mw_fake_clock_advance(&self.clock, 2 * MW_NS_PER_S);
    }
    restart(&self);
    assert_true(send_some(&self, 1, 3, answered));
    end_run(&self);
    lose_power(&self, 1, seeds_wanted() ? 12 : 3, &all);
    assert_int_equal(self.log.failures, 2);
    print_losses("removed name", &self, &all);
    forget(&self);
}

/* Log segments become merged ones: before, while and after each is written, named, published, and
 * what it replaces removed. */
static void test_merging(void **state)
{
    static run self;
    static losses all;
    (void)state;
    self.merges = true;
    record(&self, 5, 10, true, &(power_faults){0});
    lose_power(&self, 1, seeds_wanted() ? 2 : 1, &all);
    print_losses("merging", &self, &all);
    for (size_t i = 0; i < self.batches; i++)
        assert_true(all.acknowledged[i] > 0);
    forget(&self);
}

/* The same on a disk on which calls fail. */
static void test_merging_with_failures(void **state)
{
    static run self;
    static losses all;
    (void)state;
    const power_faults faults = {.one_in = 25, .random = 9, .partial = true};
    self.merges = true;
    record(&self, 6, 24, true, &faults);
    lose_power(&self, stride_of(12), 1, &all);
    print_losses("merging with failures", &self, &all);
    assert_true(self.log.failures > 0);
    forget(&self);
}

/* Whole merged segments are removed, the oldest first. */
static void test_retention(void **state)
{
    static run self;
    static losses all;
    size_t gone = 0;
    (void)state;
    self.merges = true;
    self.retention_bytes = 40000;
    record(&self, 7, 36, true, &(power_faults){0});
    lose_power(&self, stride_of(16), 1, &all);
    print_losses("retention", &self, &all);
    for (size_t i = 0; i < self.batches; i++)
        gone += self.gone[i] != 0;
    assert_true(gone > 0 && gone < self.batches);
    forget(&self);
}

/* Long runs of many kinds, sampled. */
static void test_samples(void **state)
{
    static run self;
    static losses all;
    (void)state;
    for (uint64_t seed = 1; seed <= (seeds_wanted() ? seeds_wanted() : 2); seed++) {
        uint64_t random = seed;
        power_faults faults = {.random = power_random(&random), .partial = seed % 2 == 0};
        faults.one_in = seed % 4 == 0 ? 0 : 5 + (unsigned)power_below(&random, 40);
        faults.error = seed % 3 == 0 ? ENOSPC : EIO;
        self.merges = seed % 2 == 0;
        self.retention_bytes = seed % 8 == 0 ? 100000 : 0;
        record(&self, random, BATCHES_MAX, seed % 5 != 0, &faults);
        lose_power(&self, seeds_wanted() ? 16 : 80, 1, &all);
        print_losses("sample", &self, &all);
        forget(&self);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_with_failures),
        cmocka_unit_test(test_removed_name),
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_merging_with_failures),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_samples),
    };
    /* Thousands of provoked failures would drown the output. */
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
