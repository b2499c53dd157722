/* The roll-up of the unmerged tail, and of a window of the whole store. See rollup_tail.h. */
#include <pthread.h>
#include <time.h>

#include "lib/store/rollup/rollup_cache.h"
#include "lib/store/rollup/rollup_int.h"
#include "lib/store/rollup/rollup_join.h"
#include "lib/store/rollup/rollup_tail.h"
#include "lib/store/segment/tail_share.h"

#define MEMORY_SHARE 20
#define BYTES_SHARE 8
#define SPANS_LEAST ((size_t)4096)
/* How long a question waits for the lock before it asks whether it is to stop. */
#define LOCK_TURN_NS 20000000

typedef struct tail_segment {
    uint64_t id;
    size_t blocks;    /* of spans, from its beginning: those that are counted */
    size_t forgotten; /* as many of them are not known any more */
    bool live;        /* in the present snapshot */
    mw_rollup *table;
} tail_segment;

struct mw_rollup_tail {
    mw_store *store;
    pthread_mutex_t lock;
    mw_rollup_join join;
    bool begun;             /* join is there */
    uint64_t known_from_ns; /* arrival of the first block that it knows; 0 = none */
    uint64_t seq;           /* commits of the log up to here are counted */
    uint64_t seen_seq;      /* the same at the keeper's last look */
    int64_t grown_at_ns;    /* monotonic: when it last saw that move */
    tail_segment *segments; /* in the order of the index */
    size_t segment_count, segment_capacity;
    size_t spans_max, step, earlier_max;
    size_t bytes; /* what of it is noted as its share */
    mw_rollup_cache cache;
};

static size_t spans_allowed(void)
{
    size_t fits = mw_memory_ceiling() / MEMORY_SHARE / sizeof(mw_join_node);
    if (fits > MW_TAIL_SPANS_MAX)
        return MW_TAIL_SPANS_MAX;
    return fits < SPANS_LEAST ? SPANS_LEAST : fits;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t bytes_max(void)
{
    size_t share = mw_memory_ceiling() / BYTES_SHARE;
    return share < MW_TAIL_BYTES_MAX ? share : MW_TAIL_BYTES_MAX;
}

static size_t known_bytes(const mw_rollup_tail *tail)
{
    return tail->begun ? mw_rollup_join_bytes(&tail->join) : 0;
}

static void note_bytes(mw_rollup_tail *tail)
{
    size_t now = known_bytes(tail);
    for (size_t i = 0; i < tail->segment_count; i++)
        now += mw_rollup_bytes(tail->segments[i].table);
    mw_share_note(MW_SHARE_TAILS, tail->bytes, now);
    tail->bytes = now;
}

static bool has_room(const mw_rollup_tail *tail, size_t more)
{
    return mw_share_admits(MW_SHARE_TAILS, tail->bytes + more, more, bytes_max());
}

/* ---- life ------------------------------------------------------------------------------------ */

mw_err mw_rollup_tail_new(mw_store *store, mw_rollup_tail **out)
{
    mw_rollup_tail *tail = mw_calloc(MW_MEM_ROLLUP, 1, sizeof *tail);
    if (!tail)
        return MW_E_NOMEM;
    tail->store = store;
    tail->spans_max = tail->earlier_max = spans_allowed();
    tail->step = MW_TAIL_STEP;
    pthread_mutex_init(&tail->lock, NULL);
    mw_rollup_cache_init(&tail->cache);
    *out = tail;
    return MW_OK;
}

/* Spans are no longer known; what they came to stays. */
static void forget(mw_rollup_tail *tail)
{
    mw_rollup_join_fini(&tail->join);
    tail->begun = false;
    tail->known_from_ns = 0;
    for (size_t i = 0; i < tail->segment_count; i++)
        tail->segments[i].forgotten = tail->segments[i].blocks;
    note_bytes(tail);
}

static void begin_anew(mw_rollup_tail *tail)
{
    forget(tail);
    for (size_t i = 0; i < tail->segment_count; i++)
        mw_rollup_free(tail->segments[i].table);
    tail->segment_count = 0;
    tail->seq = 0;
    note_bytes(tail);
}

void mw_rollup_tail_free(mw_rollup_tail *tail)
{
    if (!tail)
        return;
    begin_anew(tail);
    mw_rollup_cache_fini(&tail->cache);
    mw_free(MW_MEM_ROLLUP, tail->segments);
    pthread_mutex_destroy(&tail->lock);
    mw_free(MW_MEM_ROLLUP, tail);
}

void mw_rollup_tail_limit(mw_rollup_tail *tail, size_t spans_max, size_t step)
{
    pthread_mutex_lock(&tail->lock);
    begin_anew(tail);
    tail->spans_max = spans_max;
    tail->step = step;
    pthread_mutex_unlock(&tail->lock);
}

void mw_rollup_tail_limit_earlier(mw_rollup_tail *tail, size_t spans)
{
    pthread_mutex_lock(&tail->lock);
    tail->earlier_max = spans;
    pthread_mutex_unlock(&tail->lock);
}

/* ---- segments -------------------------------------------------------------------------------- */

static bool is_tail(const mw_index_block *block)
{
    return !block->segment->footer && mw_block_holds(block, MW_SIGNAL_TRACES);
}

/* The entry of a segment, new or old; NULL without memory. Few, and the wanted one mostly the
 * last. */
static tail_segment *segment_of(mw_rollup_tail *tail, uint64_t id)
{
    for (size_t i = tail->segment_count; i-- > 0;)
        if (tail->segments[i].id == id)
            return &tail->segments[i];
    if (tail->segment_count == tail->segment_capacity) {
        size_t capacity = tail->segment_capacity * 2 + 8;
        tail_segment *segments =
            mw_realloc(MW_MEM_ROLLUP, tail->segments, capacity * sizeof *segments);
        if (!segments)
            return NULL;
        tail->segments = segments;
        tail->segment_capacity = capacity;
    }
    tail_segment *segment = &tail->segments[tail->segment_count];
    *segment = (tail_segment){.id = id, .live = true};
    if (mw_rollup_new(&segment->table) != MW_OK)
        return NULL;
    tail->segment_count++;
    return segment;
}

/* Have commits been merged, or gone otherwise, that were never counted here? */
static bool has_missed_some(const mw_rollup_tail *tail, mw_store_view *view)
{
    for (size_t i = 0; tail->segment_count && i < mw_view_count(view); i++) {
        const mw_footer *footer = mw_view_block(view, i)->segment->footer;
        if (footer && footer->last_seq > tail->seq)
            return true;
    }
    return false;
}

/* Tables of segments that are merged go. */
static void drop_merged(mw_rollup_tail *tail, mw_store_view *view)
{
    size_t kept = 0;
    for (size_t i = 0; i < tail->segment_count; i++)
        tail->segments[i].live = false;
    for (size_t i = 0; i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        for (size_t k = 0; is_tail(block) && k < tail->segment_count; k++)
            tail->segments[k].live |= tail->segments[k].id == block->segment->header.id;
    }
    for (size_t i = 0; i < tail->segment_count; i++) {
        if (tail->segments[i].live)
            tail->segments[kept++] = tail->segments[i];
        else
            mw_rollup_free(tail->segments[i].table);
    }
    tail->segment_count = kept;
    note_bytes(tail);
}

/* ---- in step --------------------------------------------------------------------------------- */

typedef struct tail_step {
    mw_rollup_tail *tail;
    mw_store_view *view;
    tail_segment *segment; /* whose blocks are at hand */
    /* What came and is not yet settled: blocks of `segment`, the first one's sequence. */
    size_t spans, blocks;
    uint64_t seq;
    uint64_t arrival_ns; /* the earliest of them */
    const mw_store_stop *stop;
    bool stopped; /* by it */
} tail_step;

/* Blocks of the log that were counted and forgotten, with spans of traces that are new again. */
static mw_err read_forgotten(tail_step *step)
{
    mw_rollup_tail *tail = step->tail;
    const mw_segment *last = NULL;
    const tail_segment *segment = NULL;
    size_t seen = 0;
    mw_err err = MW_OK;

    for (size_t i = 0; err == MW_OK && i < mw_view_count(step->view); i++) {
        const mw_index_block *block = mw_view_block(step->view, i);
        mw_hot hot;
        if (!is_tail(block))
            continue;
        if (block->segment != last) {
            last = block->segment;
            segment = NULL;
            seen = 0;
            for (size_t k = 0; k < tail->segment_count; k++)
                if (tail->segments[k].id == last->header.id)
                    segment = &tail->segments[k];
        }
        if (!segment || seen++ >= segment->forgotten || !mw_rollup_join_wants(&tail->join, block))
            continue;
        err = mw_view_hot(step->view, block, &hot);
        if (err == MW_OK)
            err = mw_rollup_join_earlier(&tail->join, &hot);
    }
    return err;
}

/* What came is counted in the table of its segment. */
static mw_err settle(tail_step *step)
{
    mw_rollup_join *join = &step->tail->join;
    if (step->spans == 0)
        return MW_OK;
    mw_rollup_join_bound(join, step->tail->earlier_max);
    mw_err err = mw_rollup_join_merged(join, step->view, step->arrival_ns);
    if (err == MW_OK)
        err = read_forgotten(step);
    if (err == MW_OK)
        err = mw_rollup_join_settle(join);
    if (err != MW_OK)
        return err;
    mw_rollup_full(step->segment->table, !has_room(step->tail, 0));
    join->rollup->left_out += join->left_out;
    err = mw_rollup_add(join->rollup, 0, 0, step->segment->table);
    mw_rollup_clear(join->rollup);
    step->spans = step->blocks = 0;
    step->arrival_ns = UINT64_MAX;
    note_bytes(step->tail);
    return err;
}

/* Told to stop in the middle of it: as if what is not settled had not come. What is known may have
 * a part of it, so that all is forgotten. */
static void unsettle(tail_step *step)
{
    if (step->blocks) {
        step->segment->blocks -= step->blocks;
        step->tail->seq = step->seq - 1;
    }
    forget(step->tail);
    step->stopped = true;
}

/* Is there no room to know these too? Numbers of texts are bounded as well. */
static bool is_full(const mw_rollup_tail *tail, const mw_block_header *header)
{
    const mw_rollup_join *join = &tail->join;
    return join->span_count && (join->span_count + header->item_count > tail->spans_max ||
                                !has_room(tail, mw_rollup_join_growth(join, header->item_count)) ||
                                join->rollup->name_count > MW_ROLLUP_TEXTS_MAX / 2 ||
                                header->arrival_ns > tail->known_from_ns + MW_TAIL_KNOWN_NS);
}

static mw_err take_block(tail_step *step, const mw_index_block *block)
{
    mw_rollup_tail *tail = step->tail;
    mw_hot hot;
    mw_err err = MW_OK;
    if (tail->begun && is_full(tail, &block->header)) {
        err = settle(step);
        forget(tail);
    }
    if (err == MW_OK && !tail->begun) {
        err = mw_rollup_join_init(&tail->join, tail->store->key_seed);
        tail->begun = true;
        tail->known_from_ns = block->header.arrival_ns;
    }
    if (err == MW_OK)
        err = mw_view_hot(step->view, block, &hot);
    if (err == MW_OK)
        err = mw_rollup_join_block(&tail->join, &hot);
    if (step->blocks++ == 0)
        step->seq = block->header.seq;
    step->segment->blocks++;
    step->spans += block->header.item_count;
    if (block->header.arrival_ns < step->arrival_ns)
        step->arrival_ns = block->header.arrival_ns;
    note_bytes(tail);
    return err;
}

static bool is_over(const mw_store_stop *stop)
{
    return stop && stop->ask && stop->ask(stop->ctx);
}

/* Counts blocks until there are none left, it is told to stop, or `most` spans have come. */
static mw_err count_new(tail_step *step, size_t most)
{
    mw_rollup_tail *tail = step->tail;
    const mw_segment *last = NULL;
    size_t seen = 0, came = 0;
    uint64_t seq = mw_store_view_seq(step->view);
    mw_err err = MW_OK;

    for (size_t i = 0; err == MW_OK && i < mw_view_count(step->view); i++) {
        const mw_index_block *block = mw_view_block(step->view, i);
        if (!is_tail(block))
            continue;
        if (block->segment != last || step->spans >= tail->step)
            err = settle(step);
        if (err != MW_OK)
            break;
        if (block->segment != last) {
            last = block->segment;
            seen = 0;
            step->segment = segment_of(tail, last->header.id);
        }
        if (!step->segment)
            return MW_E_NOMEM;
        if (seen++ < step->segment->blocks)
            continue;
        step->stopped = is_over(step->stop);
        if (came >= most || step->stopped) {
            seq = block->header.seq - 1;
            break;
        }
        came += block->header.item_count;
        err = take_block(step, block);
    }
    if (err == MW_OK)
        err = settle(step);
    if (err == MW_OK)
        tail->seq = seq;
    if (err != MW_E_TIMEOUT)
        return err;
    unsettle(step);
    return MW_OK;
}

/* Nothing came for a while, or since others have no room: what is known can be read again. */
static void give_way(mw_rollup_tail *tail)
{
    int64_t now_ns = mw_clock_mono_ns(tail->store->writer.clock);
    bool grew = tail->seq != tail->seen_seq;
    tail->seen_seq = tail->seq;
    if (grew)
        tail->grown_at_ns = now_ns;
    if (!tail->begun || grew)
        return;
    bool least = mw_share_admits(MW_SHARE_TAILS, tail->bytes, SIZE_MAX / 2, bytes_max());
    bool wanted = !least && mw_share_is_short(MW_SHARE_TAILS, bytes_max());
    if (wanted || now_ns - tail->grown_at_ns >= MW_TAIL_IDLE_NS)
        forget(tail);
}

/* MW_E_TIMEOUT: it is in step with a part of the view. */
static mw_err bring_up_to(mw_rollup_tail *tail, mw_store_view *view, size_t most,
                          const mw_store_stop *stop)
{
    tail_step step = {.tail = tail, .view = view, .arrival_ns = UINT64_MAX, .stop = stop};
    if (stop)
        mw_store_view_stop(view, stop->ask, stop->ctx);
    if (has_missed_some(tail, view))
        begin_anew(tail);
    drop_merged(tail, view);
    mw_err err = count_new(&step, most);
    if (err != MW_OK)
        begin_anew(tail);
    return err == MW_OK && step.stopped ? MW_E_TIMEOUT : err;
}

mw_err mw_rollup_tail_update(mw_rollup_tail *tail, const mw_store_stop *stop)
{
    mw_store_view *view;
    pthread_mutex_lock(&tail->lock);
    mw_err err = mw_store_view_open(tail->store, &view);
    if (err == MW_OK) {
        mw_store_view_tolerate(view);
        err = bring_up_to(tail, view, tail->step, stop);
        mw_store_view_close(view);
        give_way(tail);
    }
    pthread_mutex_unlock(&tail->lock);
    return err;
}

/* ---- windows --------------------------------------------------------------------------------- */

/* Waits no longer than the question may take: others hold it while they bring the tail in step. */
static mw_err lock_tail(mw_rollup_tail *tail, const mw_store_stop *stop)
{
    if (!stop || !stop->ask) {
        pthread_mutex_lock(&tail->lock);
        return MW_OK;
    }
    for (;;) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOCK_TURN_NS;
        if (until.tv_nsec >= MW_NS_PER_S) {
            until.tv_nsec -= MW_NS_PER_S;
            until.tv_sec++;
        }
        if (pthread_mutex_timedlock(&tail->lock, &until) == 0)
            return MW_OK;
        if (is_over(stop))
            return MW_E_TIMEOUT;
    }
}

/* A view with which the tail is in step, and the lock, which is to be given back; neither after an
 * error. The view is opened under the lock: the tail is never ahead of it. */
static mw_err lock_in_step(mw_rollup_tail *tail, const mw_store_stop *stop, mw_store_view **view)
{
    mw_err err = lock_tail(tail, stop);
    if (err != MW_OK)
        return err;
    err = mw_store_view_open(tail->store, view);
    if (err == MW_OK) {
        mw_store_view_tolerate(*view);
        err = bring_up_to(tail, *view, SIZE_MAX, stop);
        if (err != MW_OK)
            mw_store_view_close(*view);
    }
    if (err != MW_OK)
        pthread_mutex_unlock(&tail->lock);
    return err;
}

mw_err mw_rollup_window(mw_store *store, uint64_t since_ns, uint64_t until_ns,
                        const mw_store_stop *stop, mw_rollup *into, uint64_t *as_of)
{
    mw_rollup_tail *tail = store->tail;
    mw_store_view *view;
    mw_err err = lock_in_step(tail, stop, &view);
    if (err != MW_OK)
        return err;
    *as_of = mw_store_view_seq(view);
    for (size_t i = 0; err == MW_OK && i < tail->segment_count; i++)
        err = mw_rollup_add(tail->segments[i].table, since_ns, until_ns, into);
    pthread_mutex_unlock(&tail->lock);
    /* Merged segments stay as they are, and the view holds them. */
    if (err == MW_OK)
        err = mw_rollup_cache_add(&tail->cache, view, since_ns, until_ns, into);
    mw_store_view_close(view);
    return err;
}

/* ---- the newest minute ----------------------------------------------------------------------- */

static void newest_of_table(const mw_rollup *rollup, uint32_t limit, uint32_t *minute, bool *found)
{
    for (uint32_t i = 0; i < rollup->cell_count; i++) {
        const mw_rollup_key *key = &rollup->cells[i].key;
        if (key->kind == MW_ROLLUP_CALL || key->minute > limit ||
            (*found && key->minute <= *minute))
            continue;
        *minute = key->minute;
        *found = true;
    }
}

mw_err mw_store_newest_minute(mw_store *store, uint64_t limit_ns, const mw_store_stop *stop,
                              uint64_t *minute_ns)
{
    mw_rollup_tail *tail = store->tail;
    mw_store_view *view;
    uint32_t limit = (uint32_t)(limit_ns / MW_MINUTE_NS), minute = 0, tail_minute = 0;
    bool found = false, in_tail = false;

    mw_err err = lock_in_step(tail, stop, &view);
    if (err != MW_OK)
        return err;
    for (size_t i = 0; i < tail->segment_count; i++)
        newest_of_table(tail->segments[i].table, limit, &tail_minute, &in_tail);
    pthread_mutex_unlock(&tail->lock);
    err = mw_rollup_cache_newest(&tail->cache, view, limit, &minute, &found);
    mw_store_view_close(view);
    if (err == MW_OK && !found && !in_tail)
        return MW_E_NOT_FOUND;
    if (in_tail && (!found || tail_minute > minute))
        minute = tail_minute;
    *minute_ns = minute * MW_MINUTE_NS;
    return err;
}
