/* The keeper. See keeper.h. Its decisions are made in merge_policy.c and retention.c. */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/store/merge/catalogue_log.h"
#include "lib/store/merge/merge.h"
#include "lib/store/merge/survey.h"
#include "lib/store/rollup/rollup_tail.h"

#define ROUND_NS MW_NS_PER_S
/* How long a merge waits for what the writer is about to leave. */
#define LEAVE_NS MW_NS_PER_S

/* Spaces are stores, and a process has many: their merges' memory is that of one. */
static pthread_mutex_t one_merge = PTHREAD_MUTEX_INITIALIZER;

static int64_t mono_ns(const mw_store *store)
{
    return mw_clock_mono_ns(store->writer.clock);
}

static bool is_stopping(void *ctx)
{
    mw_store *store = ctx;
    return atomic_load(&store->keeper.stopping);
}

/* ---- merging --------------------------------------------------------------------------------- */

static void say_behind(mw_err err)
{
    MW_LOG(MW_LOG_WARN, "store", "the catalogue is behind", MW_KV_ERR(err));
}

/* Rows go before files do: a row without its file is told as a loss. What cannot lose its row keeps
 * its file until that works. */
static mw_err remove_rows(mw_store *store, mw_segment *const *segments, size_t count)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = mw_catalogue_remove(store->catalogue, segments[i]->header.id);
    if (err != MW_OK)
        say_behind(err);
    return err;
}

static void remove_file(const mw_segment *segment)
{
    if (mw_io_current()->unlink(segment->path) != 0)
        MW_LOG(MW_LOG_WARN, "store", "a segment that is not needed any more cannot be removed",
               MW_KV_STR("file", segment->path), MW_KV_STR("why", strerror(errno)));
}

static uint64_t log_bytes(const mw_survey *all, mw_policy_choice choice)
{
    uint64_t bytes = 0;
    for (size_t i = choice.first; i < choice.first + choice.count; i++)
        bytes += all->facts[i].merged ? 0 : all->facts[i].bytes;
    return bytes;
}

/* Rows of what it replaced may stay: its footer names them. */
static void note_in_catalogue(mw_store *store, const mw_segment *merged)
{
    mw_err err = store->catalogue ? mw_catalogue_put_segment(store->catalogue, merged) : MW_OK;
    if (err != MW_OK)
        say_behind(err);
}

static void count_merge(mw_store *store, const mw_merge_result *result)
{
    atomic_fetch_add(&store->merge_count, 1);
    atomic_fetch_add(&store->repeats, result->repeats);
    atomic_fetch_add(&store->conflicting, result->conflicting);
    MW_LOG(MW_LOG_DEBUG, "store", "merged", MW_KV_U64("items_in", result->items_in),
           MW_KV_U64("items_out", result->items_out), MW_KV_U64("bytes_in", result->bytes_in),
           MW_KV_U64("bytes_out", result->bytes_out), MW_KV_U64("repeats", result->repeats),
           MW_KV_U64("conflicting", result->conflicting));
}

/* How hard the log packs. */
static void learn(mw_store *store, const mw_survey *all, mw_policy_choice choice,
                  const mw_merge_result *result)
{
    mw_merge_room *room = &store->keeper.room;
    if (all->facts[choice.first].merged)
        return;
    mw_merge_room_learn(room, log_bytes(all, choice), result->bytes_out);
    atomic_store(&store->packed_per_mille, mw_merge_room_packed(room));
}

/* Into the index in one step, then the catalogue, then the old files go. Without a segment in their
 * place (all they held is in another one) their rows go first. */
static mw_err publish(mw_store *store, const mw_survey *all, mw_policy_choice choice,
                      const mw_merge_result *result, mw_segment *merged)
{
    mw_segment *const *inputs = all->segments + choice.first;
    mw_err err = merged ? MW_OK : remove_rows(store, inputs, choice.count);
    if (err == MW_OK)
        err = mw_index_replace(&store->index, merged, inputs, choice.count);
    if (err != MW_OK) {
        if (merged)
            remove_file(merged);
        return err;
    }
    count_merge(store, result);
    atomic_fetch_sub(&store->unmerged_bytes, log_bytes(all, choice));
    learn(store, all, choice, result);
    if (merged)
        note_in_catalogue(store, merged);
    bool tight = mw_merge_room_is_tight(&store->keeper.room);
    for (size_t i = 0; i < choice.count; i++)
        if (tight || !mw_spare_offer(&store->spare, inputs[i]))
            remove_file(inputs[i]);
    return MW_OK;
}

static void set_aside(mw_store *store, const mw_survey *all, size_t at)
{
    if (!all->facts[at].merged)
        atomic_fetch_sub(&store->unmerged_bytes, all->facts[at].bytes);
    all->segments[at]->aside = true;
}

static void set_damaged_aside(mw_store *store, const mw_survey *all, mw_segment *damaged,
                              mw_err err)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->segments[i] == damaged)
            set_aside(store, all, i);
    MW_LOG(MW_LOG_ERROR, "store", "a segment cannot be read whole and is not merged",
           MW_KV_STR("file", damaged->path), MW_KV_ERR(err));
}

/* MW_E_AGAIN: a damaged segment was set aside, there may be another choice. */
static mw_err merge_chosen(mw_store *store, const mw_survey *all, mw_policy_choice choice)
{
    mw_segment *merged = NULL;
    mw_merge_result result;
    mw_merge_job job = {
        .store = store,
        .view = all->view,
        .inputs = all->segments + choice.first,
        .input_count = choice.count,
        .id = mw_writer_take_id(&store->writer),
        .stop = is_stopping,
        .stop_ctx = store,
    };
    pthread_mutex_lock(&one_merge);
    mw_err err = mw_merge_run(&job, &result, &merged);
    pthread_mutex_unlock(&one_merge);
    if (err != MW_OK && result.damaged) {
        set_damaged_aside(store, all, result.damaged, err);
        return MW_E_AGAIN;
    }
    if (err != MW_OK)
        return err;
    if (result.needed) {
        for (size_t i = choice.first; i < choice.first + choice.count; i++)
            set_aside(store, all, i);
        return MW_E_AGAIN;
    }
    err = publish(store, all, choice, &result, merged);
    mw_segment_unref(merged);
    return err;
}

static void note_failure(mw_store *store, mw_err err)
{
    mw_keeper *keeper = &store->keeper;
    atomic_fetch_add(&store->merge_failures, 1);
    if (err != MW_E_NO_SPACE)
        atomic_store(&store->writer.kept_free, 0); /* room is not what it lacks */
    atomic_store(&store->merge_failed_ns, (uint64_t)mw_clock_wall_ns(store->writer.clock));
    if (!atomic_exchange(&keeper->failing, true)) {
        keeper->pause_ns = MW_KEEPER_PAUSE_MIN_NS;
        keeper->retention_at_ns = 0; /* what waits counts in full from now on */
        MW_LOG(MW_LOG_ERROR, "store", "merging failed and is tried again; new data is still taken",
               MW_KV_ERR(err), MW_KV_STR("directory", store->directory));
    } else if (keeper->pause_ns < MW_KEEPER_PAUSE_MAX_NS) {
        keeper->pause_ns *= 2;
    }
    keeper->retry_at_ns = mono_ns(store) + keeper->pause_ns;
}

static void note_success(mw_store *store)
{
    if (atomic_exchange(&store->keeper.failing, false))
        MW_LOG(MW_LOG_INFO, "store", "merging works again",
               MW_KV_STR("directory", store->directory));
}

/* A plan needs 40 bytes an item and what is copied as much again: an eighth of what a small limit
 * leaves beside the largest request. */
static uint64_t items_max(void)
{
    uint64_t fits = mw_memory_ceiling() / 8 / 40;
    if (fits > MW_MERGE_ITEMS_MAX)
        return MW_MERGE_ITEMS_MAX;
    return fits > 1024 ? fits : 1024;
}

static uint64_t bytes_of(const mw_survey *all)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < all->count; i++)
        bytes += all->facts[i].bytes;
    return bytes;
}

static mw_policy_limits limits_now(mw_store *store, const mw_survey *there, bool all)
{
    const mw_merge_room *room = &store->keeper.room;
    int64_t now_ns = mw_clock_wall_ns(store->writer.clock);
    return (mw_policy_limits){
        .items_max = items_max(),
        .bytes_max = mw_retention_merge_max(&store->limits, MW_MERGE_INPUT_MAX),
        .merge_after_ns = (uint64_t)store->merge_after_ns,
        .now_ns = now_ns > 0 ? (uint64_t)now_ns : 0,
        /* What keeps appends waiting is due, however young it is. */
        .all = all || mw_keeper_is_behind(store),
        .closed = mw_retention_presses(&store->limits, bytes_of(there)),
        .tight = mw_merge_room_is_tight(room),
        .room = mw_merge_room_bytes(room),
        .packed_per_mille = mw_merge_room_packed(room),
    };
}

static int64_t real_mono_ns(void)
{
    return mw_clock_mono_ns(mw_clock_system());
}

/* Asks the writer to leave its segment if that is due. True when merging should wait for it: what
 * it leaves, of which it tells at once, belongs into the same merge. But a segment that is not left
 * soon holds nothing up, nor does its successor. */
static bool leave_if_due(mw_store *store, const mw_survey *all, const mw_policy_limits *limits)
{
    mw_keeper *keeper = &store->keeper;
    uint64_t current = 0;
    for (size_t i = 0; i < all->count; i++)
        if (all->facts[i].current && mw_merge_policy_leave(&all->facts[i], limits))
            current = all->segments[i]->header.id;
    if (current) {
        mw_writer_leave(&store->writer);
        if (!keeper->leaves_id) {
            keeper->leaves_id = current;
            keeper->leaves_at_ns = real_mono_ns();
        }
        if (keeper->leaves_id == current && real_mono_ns() - keeper->leaves_at_ns < LEAVE_NS)
            return true;
    }
    keeper->leaves_id = 0;
    return false;
}

/* ---- room on the disk ------------------------------------------------------------------------ */

static uint64_t needs_of(const mw_survey *all, mw_policy_choice choice, unsigned packed_per_mille)
{
    uint64_t log = log_bytes(all, choice), merged = 0;
    for (size_t i = choice.first; i < choice.first + choice.count; i++)
        merged += all->facts[i].merged ? all->facts[i].bytes : 0;
    return mw_merge_policy_needs(log, merged, packed_per_mille);
}

/* Where the disk is nearly full no file is kept for later. */
static void look_at_disk(mw_store *store)
{
    mw_merge_room *room = &store->keeper.room;
    room->free_bytes = mw_writer_look_at_disk(&store->writer);
    if (mw_merge_room_is_tight(room) && mw_spare_drop(&store->spare))
        room->free_bytes = mw_writer_look_at_disk(&store->writer);
}

static void keep_room(mw_store *store, int64_t until_ns)
{
    atomic_store(&store->keeper.room_kept_until_ns, until_ns);
}

/* On a disk that is nearly full appends leave the room that the next merge needs, or they would eat
 * it, and what was only written down would have the place of what could be merged. Before there is
 * a choice that is the least of what waits; what does not fit even with the reserve is not waited
 * for. */
static void keep_free(mw_store *store, const mw_survey *all, const mw_policy_limits *limits,
                      mw_policy_choice choice)
{
    uint64_t least = 0, most = limits->room;
    if (most <= UINT64_MAX - store->reserve.bytes)
        most += store->reserve.bytes;
    for (size_t i = 0; limits->tight && i < all->count; i++) {
        const mw_policy_segment *facts = &all->facts[i];
        uint64_t needs = mw_merge_policy_needs(facts->bytes, 0, limits->packed_per_mille);
        if (!facts->merged && !facts->current && !facts->aside && needs <= most &&
            (least == 0 || needs < least))
            least = needs;
    }
    if (limits->tight && choice.count)
        least = needs_of(all, choice, limits->packed_per_mille);
    atomic_store(&store->writer.kept_free, least);
}

/* Would a segment of the log fit, or the newest be left, with so much room? */
static bool would_help(mw_store *store, const mw_survey *all, const mw_policy_limits *limits)
{
    mw_policy_choice choice = mw_merge_policy(all->facts, all->count, limits);
    if (choice.count && !all->facts[choice.first].merged)
        return true;
    for (size_t i = 0; i < all->count; i++)
        if (all->facts[i].current && mw_merge_policy_leave(&all->facts[i], limits))
            return !atomic_load(&store->writer.writable);
    return false;
}

/* Nothing fits. True when there may be another choice now. */
static bool give_reserve(mw_store *store, const mw_survey *all, const mw_policy_limits *limits)
{
    const mw_store_reserve *reserve = &store->reserve;
    mw_merge_room *room = &store->keeper.room;
    mw_policy_limits more = *limits;
    if (room->most < room->free_bytes) {
        mw_merge_room_succeeded(room); /* nothing is so small: from the beginning */
        return true;
    }
    if (reserve->bytes == 0 || limits->room > UINT64_MAX - reserve->bytes)
        return false;
    more.room += reserve->bytes;
    if (!would_help(store, all, &more))
        return false;
    int64_t before =
        atomic_exchange(&store->keeper.room_kept_until_ns, mono_ns(store) + MW_KEEPER_RESERVE_NS);
    bool given = reserve->release(reserve->ctx);
    if (!given)
        keep_room(store, before);
    return given;
}

/* A merge that takes most of what is free has it to itself. */
static mw_err merge_in_room(mw_store *store, const mw_survey *all, mw_policy_choice choice,
                            const mw_policy_limits *limits)
{
    mw_merge_room *room = &store->keeper.room;
    uint64_t needs = needs_of(all, choice, limits->packed_per_mille);
    if (limits->tight && needs > room->free_bytes / 2)
        keep_room(store, INT64_MAX);
    mw_err err = merge_chosen(store, all, choice);
    keep_room(store, 0);
    if (err == MW_E_NO_SPACE)
        mw_merge_room_failed(room, needs);
    else if (err == MW_OK)
        mw_merge_room_succeeded(room);
    return err;
}

/* One merge at most. *more: there may be another one. *rest: nothing up to the target waits. */
static mw_err merge_next(mw_store *store, bool for_all, uint64_t target_seq, bool *more, bool *rest)
{
    mw_survey all;
    *more = false;
    look_at_disk(store);
    mw_err err = mw_survey_begin(store, target_seq, &all);
    if (err != MW_OK)
        return err;
    mw_policy_limits limits = limits_now(store, &all, for_all);
    mw_policy_choice choice = mw_merge_policy(all.facts, all.count, &limits);
    bool wait = leave_if_due(store, &all, &limits);
    keep_free(store, &all, &limits, choice);
    *rest = !all.waits;
    if (choice.count && !wait) {
        err = merge_in_room(store, &all, choice, &limits);
        *more = err == MW_OK || err == MW_E_AGAIN;
        if (err == MW_OK)
            note_success(store);
        else if (err == MW_E_AGAIN)
            err = MW_OK;
    } else if (limits.tight && !wait) {
        *more = give_reserve(store, &all, &limits);
        if (!*more && for_all && all.waits)
            err = MW_E_NO_SPACE;
    }
    mw_survey_end(&all);
    return err;
}

/* ---- retention ------------------------------------------------------------------------------- */

/* Files that this one replaced and that could not be removed then: they must not come back. */
static void remove_remnants(mw_store *store, const mw_segment *segment)
{
    bool removed = false;
    for (size_t i = 0; segment->footer && i < segment->footer->replaced.count; i++) {
        char *path = mw_segment_path(store->directory, segment->footer->replaced.ids[i]);
        removed |= path && access(path, F_OK) == 0 && mw_io_current()->unlink(path) == 0;
        mw_free(MW_MEM_STORE, path);
    }
    if (removed && mw_io_sync_parent(segment->path) != MW_OK)
        MW_LOG(MW_LOG_WARN, "store", "the directory cannot be synced",
               MW_KV_STR("directory", store->directory));
}

/* What cannot be done now (the catalogue cannot be written, no memory) is tried again in the next
 * round. */
static void retire(mw_store *store, mw_segment *segment, const mw_policy_segment *facts)
{
    if (remove_rows(store, &segment, 1) != MW_OK)
        return;
    if (mw_index_replace(&store->index, NULL, &segment, 1) != MW_OK)
        return;
    remove_remnants(store, segment);
    remove_file(segment);
    if (!facts->merged && !facts->aside)
        atomic_fetch_sub(&store->unmerged_bytes, facts->bytes);
    atomic_fetch_add(&store->retired_segments, 1);
    atomic_fetch_add(&store->retired_items, facts->items);
    MW_LOG(MW_LOG_INFO, "store", "retired", MW_KV_STR("file", segment->path),
           MW_KV_U64("items", facts->items), MW_KV_U64("bytes", facts->bytes));
}

/* A segment of a survey. */
typedef struct candidate {
    mw_retention_segment facts;
    size_t at;
} candidate;

static int by_arrival(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    if (a->facts.arrival_max_ns != b->facts.arrival_max_ns)
        return a->facts.arrival_max_ns < b->facts.arrival_max_ns ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* What is to be weighed, by arrival. */
static void list_candidates(const mw_survey *all, uint64_t now_ns, mw_retention_segment *segments,
                            candidate *order)
{
    for (size_t i = 0; i < all->count; i++) {
        const mw_policy_segment *facts = &all->facts[i];
        /* What has damage will never be merged; it goes when its time has come. */
        segments[i] = (mw_retention_segment){.arrival_max_ns = facts->arrival_max_ns,
                                             .bytes = facts->bytes,
                                             .merged = facts->merged || facts->aside,
                                             .left = true};
        if (facts->current)
            segments[i].merged = segments[i].left = false;
    }
    mw_retention_settle(segments, all->count, now_ns);
    for (size_t i = 0; i < all->count; i++)
        order[i] = (candidate){segments[i], i};
    if (all->count > 1)
        qsort(order, all->count, sizeof *order, by_arrival);
    for (size_t i = 0; i < all->count; i++)
        segments[i] = order[i].facts;
}

/* On disk, and no telemetry that counts: the file that is kept for the next segment, and what the
 * one at hand has of such a file behind its end. */
static uint64_t idle_bytes(mw_store *store, const mw_survey *all)
{
    uint64_t bytes = mw_spare_bytes(&store->spare);
    struct stat status;
    for (size_t i = 0; i < all->count; i++)
        if (all->facts[i].current && fstat(all->segments[i]->fd, &status) == 0 &&
            (uint64_t)status.st_size > all->facts[i].bytes + MW_SEGMENT_HEADER_SIZE)
            bytes += (uint64_t)status.st_size - all->facts[i].bytes - MW_SEGMENT_HEADER_SIZE;
    return bytes;
}

static void retire_chosen(mw_store *store, const mw_survey *all, candidate *order,
                          mw_retention_segment *segments, bool *goes)
{
    int64_t wall_ns = mw_retention_now(&store->keeper.clock, mw_clock_wall_ns(store->writer.clock),
                                       mono_ns(store));
    uint64_t now_ns = wall_ns > 0 ? (uint64_t)wall_ns : 0;
    list_candidates(all, now_ns, segments, order);
    mw_retention_limits limits = mw_retention_less(&store->limits, idle_bytes(store, all));
    if (!atomic_load(&store->keeper.failing))
        limits.packed_per_mille = mw_merge_room_packed(&store->keeper.room);
    if (mw_retention_choose(segments, all->count, &limits, now_ns, goes) == 0)
        return;
    for (size_t i = 0; i < all->count && !is_stopping(store); i++)
        if (goes[i])
            retire(store, all->segments[order[i].at], &all->facts[order[i].at]);
}

static void retire_old(mw_store *store)
{
    mw_survey all;
    if (store->limits.age_ns == 0 && store->limits.size_bytes == 0)
        return;
    mw_err err = mw_survey_begin(store, 0, &all);
    if (err != MW_OK)
        return;
    candidate *order = mw_alloc(MW_MEM_MERGE, (all.count + 1) * sizeof *order);
    mw_retention_segment *segments = mw_alloc(MW_MEM_MERGE, (all.count + 1) * sizeof *segments);
    bool *goes = mw_calloc(MW_MEM_MERGE, all.count + 1, sizeof *goes);
    if (order && segments && goes)
        retire_chosen(store, &all, order, segments, goes);
    else
        err = MW_E_NOMEM;
    mw_free(MW_MEM_MERGE, order);
    mw_free(MW_MEM_MERGE, segments);
    mw_free(MW_MEM_MERGE, goes);
    mw_survey_end(&all);
    if (err != MW_OK)
        MW_LOG(MW_LOG_DEBUG, "store", "retention waits", MW_KV_ERR(err));
}

/* ---- all that is due ------------------------------------------------------------------------- */

/* MW_E_TIMEOUT: the store is being closed. Where there is a bound on the size, room is made between
 * merges: under load there is always another one. */
static mw_err merge_due(mw_store *store, bool for_all, uint64_t target_seq, bool *rest)
{
    mw_keeper *keeper = &store->keeper;
    mw_err err = MW_OK;
    bool more = true;
    *rest = false;
    if (atomic_load(&keeper->failing) && !for_all && mono_ns(store) < keeper->retry_at_ns) {
        look_at_disk(store);
        return MW_OK;
    }
    while (err == MW_OK && more) {
        mw_catalogue_note_log(store, false);
        err =
            is_stopping(store) ? MW_E_TIMEOUT : merge_next(store, for_all, target_seq, &more, rest);
        if (more && store->limits.size_bytes)
            retire_old(store);
    }
    if (err != MW_OK && err != MW_E_TIMEOUT)
        note_failure(store, err);
    return err;
}

/* ---- the catalogue --------------------------------------------------------------------------- */

/* A row could not be written (a full disk, somebody who reads at length): all are compared again.
 * */
static void catch_up_catalogue(mw_store *store)
{
    mw_survey all;
    if (!mw_catalogue_is_behind(store->catalogue))
        return;
    mw_err err = mw_survey_begin(store, 0, &all);
    if (err == MW_OK) {
        for (size_t i = 0; i < all.count; i++)
            all.segments[i]->row_blocks = 0; /* put again in the next round */
        err = mw_catalogue_reconcile(store->catalogue, (const mw_segment *const *)all.segments,
                                     all.count, NULL, NULL, NULL);
        mw_survey_end(&all);
    }
    if (err == MW_OK)
        MW_LOG(MW_LOG_INFO, "store", "the catalogue has caught up",
               MW_KV_STR("directory", store->directory));
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void update_tail(mw_store *store)
{
    const mw_store_stop stop = {is_stopping, store};
    mw_err err = store->tail ? mw_rollup_tail_update(store->tail, &stop) : MW_OK;
    if (err != MW_OK)
        MW_LOG(MW_LOG_DEBUG, "store", "the newest roll-ups are behind", MW_KV_ERR(err));
}

static mw_err run_round(mw_store *store, bool for_all, uint64_t target_seq, bool *rest)
{
    mw_keeper *keeper = &store->keeper;
    mw_catalogue_note_log(store, false);
    mw_err err = merge_due(store, for_all, target_seq, rest);
    update_tail(store); /* of what is left: what was merged has its roll-up in the segment */
    if (mono_ns(store) >= keeper->retention_at_ns) {
        keeper->retention_at_ns = mono_ns(store) + ROUND_NS;
        retire_old(store);
        catch_up_catalogue(store);
        mw_spare_expire(&store->spare);
    }
    return err;
}

static struct timespec from_now(int64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += until.tv_nsec;
    until.tv_sec += ns / MW_NS_PER_S;
    until.tv_nsec = (long)(ns % MW_NS_PER_S);
    return until;
}

/* Until something happens or a round is due. Under the lock. */
static void wait_for_work(mw_keeper *keeper)
{
    struct timespec until = from_now(ROUND_NS);
    while (!keeper->urgent && !atomic_load(&keeper->stopping))
        if (pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until) == ETIMEDOUT)
            return;
}

static void *keeper_main(void *argument)
{
    mw_store *store = argument;
    mw_keeper *keeper = &store->keeper;
    pthread_mutex_lock(&keeper->lock);
    while (!atomic_load(&keeper->stopping)) {
        uint64_t asked = keeper->asked, target_seq = keeper->target_seq;
        bool for_all = asked > keeper->at_rest, rest;
        keeper->urgent = false;
        pthread_mutex_unlock(&keeper->lock);
        mw_err err = run_round(store, for_all, for_all ? target_seq : 0, &rest);
        pthread_mutex_lock(&keeper->lock);
        if (for_all && (rest || err != MW_OK)) {
            keeper->at_rest = asked;
            keeper->rest_err = err;
            pthread_cond_broadcast(&keeper->answer);
        }
        wait_for_work(keeper);
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

/* ---- public ---------------------------------------------------------------------------------- */

void mw_keeper_wake(mw_store *store)
{
    mw_keeper *keeper = &store->keeper;
    pthread_mutex_lock(&keeper->lock);
    keeper->urgent = true;
    pthread_cond_signal(&keeper->wake);
    pthread_mutex_unlock(&keeper->lock);
}

bool mw_keeper_is_behind(mw_store *store)
{
    return atomic_load_explicit(&store->unmerged_bytes, memory_order_relaxed) >
               MW_MERGE_BACKLOG_MAX &&
           store->keeper.started && !atomic_load(&store->keeper.failing);
}

mw_err mw_keeper_refusal(mw_store *store)
{
    const mw_keeper *keeper = &store->keeper;
    const mw_writer *writer = &store->writer;
    uint64_t kept = atomic_load_explicit(&writer->kept_free, memory_order_relaxed);
    int64_t until_ns = atomic_load_explicit(&keeper->room_kept_until_ns, memory_order_relaxed);
    bool kept_now = until_ns != 0 && mono_ns(store) < until_ns;
    if (!kept_now &&
        (kept == 0 || atomic_load_explicit(&writer->disk_free, memory_order_relaxed) >= kept))
        return MW_OK;
    return atomic_load(&keeper->failing) ? MW_E_NO_SPACE : MW_E_BUSY;
}

void mw_keeper_init(mw_store *store)
{
    mw_keeper *keeper = &store->keeper;
    pthread_condattr_t attributes;
    mw_merge_room_init(&keeper->room);
    atomic_init(&store->packed_per_mille, mw_merge_room_packed(&keeper->room));
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->wake, &attributes);
    pthread_cond_init(&keeper->answer, &attributes);
    pthread_condattr_destroy(&attributes);
}

void mw_keeper_fini(mw_store *store)
{
    mw_keeper *keeper = &store->keeper;
    pthread_cond_destroy(&keeper->answer);
    pthread_cond_destroy(&keeper->wake);
    pthread_mutex_destroy(&keeper->lock);
}

mw_err mw_keeper_start(mw_store *store)
{
    mw_keeper *keeper = &store->keeper;
    sigset_t all, before;
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&keeper->thread, NULL, keeper_main, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return MW_E_NOMEM;
    pthread_setname_np(keeper->thread, "mw-keeper");
    keeper->started = true;
    return MW_OK;
}

void mw_keeper_stop(mw_store *store)
{
    mw_keeper *keeper = &store->keeper;
    if (!keeper->started)
        return;
    pthread_mutex_lock(&keeper->lock);
    atomic_store(&keeper->stopping, true);
    pthread_cond_signal(&keeper->wake);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    keeper->started = false;
}

/* The thread does it, and says when it is done. */
static mw_err ask_thread(mw_store *store, const struct timespec *until)
{
    mw_keeper *keeper = &store->keeper;
    mw_err err = MW_OK;
    uint64_t target_seq = mw_index_seq(&store->index);
    pthread_mutex_lock(&keeper->lock);
    uint64_t mine = ++keeper->asked;
    keeper->target_seq = target_seq;
    keeper->urgent = true;
    pthread_cond_signal(&keeper->wake);
    while (err == MW_OK && keeper->at_rest < mine)
        if (pthread_cond_timedwait(&keeper->answer, &keeper->lock, until) == ETIMEDOUT)
            err = MW_E_TIMEOUT;
    if (err == MW_OK)
        err = keeper->rest_err;
    pthread_mutex_unlock(&keeper->lock);
    return err;
}

/* Rounds on this thread; between them the writer leaves its segment and wakes it. */
static mw_err run_here(mw_store *store, const struct timespec *until, uint64_t target_seq)
{
    mw_keeper *keeper = &store->keeper;
    mw_err err = MW_OK;
    bool rest = false;
    while (err == MW_OK && !rest) {
        err = run_round(store, true, target_seq, &rest);
        pthread_mutex_lock(&keeper->lock);
        while (err == MW_OK && !rest && !keeper->urgent)
            if (pthread_cond_timedwait(&keeper->wake, &keeper->lock, until) == ETIMEDOUT)
                err = MW_E_TIMEOUT;
        keeper->urgent = false;
        pthread_mutex_unlock(&keeper->lock);
    }
    return err;
}

mw_err mw_store_merge_all(mw_store *store, int64_t timeout_ns)
{
    struct timespec until = from_now(timeout_ns);
    if (store->keeper.started)
        return ask_thread(store, &until);
    return run_here(store, &until, mw_index_seq(&store->index));
}
