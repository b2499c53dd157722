/* Refusals become audit rows. See refusals.h.
 *
 * One table under a mutex, one job that is submitted when something is due and takes what it finds
 * on the writer's thread. A row keeps its place for a minute behind its last write, so that what
 * comes meanwhile is counted; then another may have it.
 */
#include <pthread.h>
#include <string.h>

#include "lib/access/refusals.h"
#include "lib/base/log.h"

/* As long as the name of a principal. */
#define TEXT_SIZE 192

typedef struct row {
    const char *action, *reason; /* action NULL = free */
    const char *route;           /* of the first that count counts; NULL = not told */
    char principal[TEXT_SIZE], address[64], subject[TEXT_SIZE], space[64];
    uint64_t count;     /* since it was written last */
    int64_t first_ns;   /* wall, of those */
    int64_t written_ns; /* monotonic; 0 = never */
} row;

struct mw_refusals {
    mw_state_job job; /* first: the job is found by its address */
    mw_state *state;
    const mw_clock *clock;
    pthread_mutex_t lock;
    bool under_way;                 /* the job is submitted */
    bool last;                      /* the end has come: whatever is counted is due */
    row rows[MW_REFUSALS_ROWS + 1]; /* the last: all that found no room */
    row due[MW_REFUSALS_ROWS + 1];  /* of the job */
    size_t due_count;
};

static void copy_text(mw_slice text, char *out, size_t size)
{
    size_t len = text.len < size ? text.len : size - 1;
    if (len)
        memcpy(out, text.data, len);
    out[len] = '\0';
}

static bool is_same(const row *known, const mw_denial *denial)
{
    return known->action && strcmp(known->action, denial->action) == 0 &&
           strcmp(known->reason, denial->reason) == 0 &&
           mw_slice_equal(mw_slice_of(known->space),
                          mw_slice_first(denial->space, sizeof known->space - 1)) &&
           mw_slice_equal(mw_slice_of(known->address),
                          mw_slice_first(denial->address, sizeof known->address - 1)) &&
           mw_slice_equal(mw_slice_of(known->principal),
                          mw_slice_first(denial->principal, TEXT_SIZE - 1)) &&
           mw_slice_equal(mw_slice_of(known->subject),
                          mw_slice_first(denial->subject, TEXT_SIZE - 1));
}

static bool is_due(const mw_refusals *refusals, const row *known, int64_t now_ns)
{
    return known->action && known->count > 0 &&
           (refusals->last || known->written_ns == 0 ||
            now_ns - known->written_ns >= MW_REFUSALS_REPEAT_NS);
}

/* Of a kind that has not come for a minute. */
static bool is_vacant(const row *known, int64_t now_ns)
{
    return !known->action ||
           (known->count == 0 && now_ns - known->written_ns >= MW_REFUSALS_REPEAT_NS);
}

/* Its own row, a free one, or the last. */
static row *place_of(mw_refusals *refusals, const mw_denial *denial)
{
    row *vacant = NULL;
    int64_t now_ns = mw_clock_mono_ns(refusals->clock);
    for (size_t i = 0; i < MW_REFUSALS_ROWS; i++) {
        row *known = &refusals->rows[i];
        if (is_same(known, denial))
            return known;
        if (!vacant && is_vacant(known, now_ns))
            vacant = known;
    }
    if (vacant) {
        *vacant = (row){.action = denial->action, .reason = denial->reason};
        copy_text(denial->principal, vacant->principal, sizeof vacant->principal);
        copy_text(denial->address, vacant->address, sizeof vacant->address);
        copy_text(denial->subject, vacant->subject, sizeof vacant->subject);
        copy_text(denial->space, vacant->space, sizeof vacant->space);
        return vacant;
    }
    row *others = &refusals->rows[MW_REFUSALS_ROWS];
    if (!others->action)
        *others = (row){.action = "access.refused", .reason = "others"};
    return others;
}

/* ---- on the writer's thread ---------------------------------------------------------------- */

static void take_due(mw_refusals *refusals)
{
    int64_t now_ns = mw_clock_mono_ns(refusals->clock);
    refusals->due_count = 0;
    pthread_mutex_lock(&refusals->lock);
    for (size_t i = 0; i <= MW_REFUSALS_ROWS; i++) {
        row *known = &refusals->rows[i];
        if (is_due(refusals, known, now_ns)) {
            refusals->due[refusals->due_count++] = *known;
            known->count = 0;
            known->written_ns = now_ns;
        }
    }
    pthread_mutex_unlock(&refusals->lock);
}

static mw_err write_row(mw_state_tx *tx, const row *known)
{
    char detail[TEXT_SIZE];
    const char *comma = known->route ? ", " : "", *route = known->route ? known->route : "";
    if (known->count == 1)
        snprintf(detail, sizeof detail, "%s%s%s", known->reason, comma, route);
    else
        snprintf(detail, sizeof detail, "%s%s%s, %llu times", known->reason, comma, route,
                 (unsigned long long)known->count);
    mw_audit_row audit = {.time_ns = known->first_ns,
                          .principal = mw_slice_of(known->principal),
                          .source_address = mw_slice_of(known->address),
                          .action = mw_slice_of(known->action),
                          .subject = mw_slice_of(known->subject),
                          .outcome = MW_SLICE("denied"),
                          .detail = mw_slice_of(detail),
                          .space = mw_slice_of(known->space)};
    return mw_state_audit_refusal(tx, &audit);
}

static mw_err run(mw_state_job *job, mw_state_tx *tx)
{
    mw_refusals *refusals = (mw_refusals *)(void *)job;
    mw_err err = MW_OK;
    take_due(refusals);
    for (size_t i = 0; i < refusals->due_count && err == MW_OK; i++)
        err = write_row(tx, &refusals->due[i]);
    return err;
}

/* What could not be written is in the log: a full disk must not be a way to hide. */
static void done(mw_state_job *job, mw_err err)
{
    mw_refusals *refusals = (mw_refusals *)(void *)job;
    for (size_t i = 0; i < refusals->due_count && err != MW_OK; i++)
        MW_LOG(MW_LOG_WARN, "access", "a refusal is not in the audit", MW_KV_ERR(err),
               MW_KV_STR("action", refusals->due[i].action),
               MW_KV_STR("reason", refusals->due[i].reason),
               MW_KV_STR("address", refusals->due[i].address),
               MW_KV_U64("times", refusals->due[i].count));
    pthread_mutex_lock(&refusals->lock);
    refusals->under_way = false;
    pthread_mutex_unlock(&refusals->lock);
    mw_refusals_tick(refusals, false);
}

/* ---- any thread ---------------------------------------------------------------------------- */

/* Under the lock: true when the job is the caller's to submit. */
static bool claim(mw_refusals *refusals)
{
    int64_t now_ns = mw_clock_mono_ns(refusals->clock);
    if (refusals->under_way)
        return false;
    for (size_t i = 0; i <= MW_REFUSALS_ROWS && !refusals->under_way; i++)
        refusals->under_way = is_due(refusals, &refusals->rows[i], now_ns);
    return refusals->under_way;
}

static void submit(mw_refusals *refusals)
{
    if (mw_state_submit(refusals->state, &refusals->job) == MW_OK)
        return;
    pthread_mutex_lock(&refusals->lock);
    refusals->under_way = false; /* the queue is full or closed: the next tick tries again */
    pthread_mutex_unlock(&refusals->lock);
}

void mw_refusals_note(mw_refusals *refusals, const mw_denial *denial)
{
    if (!refusals)
        return;
    pthread_mutex_lock(&refusals->lock);
    row *known = place_of(refusals, denial);
    if (known->count++ == 0) {
        known->first_ns = mw_clock_wall_ns(refusals->clock);
        known->route = known == &refusals->rows[MW_REFUSALS_ROWS] ? NULL : denial->route;
    }
    bool due = claim(refusals);
    pthread_mutex_unlock(&refusals->lock);
    if (due)
        submit(refusals);
}

void mw_refusals_tick(mw_refusals *refusals, bool all)
{
    pthread_mutex_lock(&refusals->lock);
    refusals->last |= all;
    bool due = claim(refusals);
    pthread_mutex_unlock(&refusals->lock);
    if (due)
        submit(refusals);
}

mw_refusals *mw_refusals_new(mw_state *state, const mw_clock *clock)
{
    mw_refusals *refusals = mw_calloc_or_die(MW_MEM_STATE, 1, sizeof *refusals);
    refusals->state = state;
    refusals->clock = clock;
    refusals->job.run = run;
    refusals->job.done = done;
    refusals->job.item.cost_bytes = sizeof refusals->due;
    if (pthread_mutex_init(&refusals->lock, NULL) != 0)
        mw_bug(__FILE__, __LINE__, "pthread initialisation failed");
    return refusals;
}

void mw_refusals_free(mw_refusals *refusals)
{
    if (!refusals)
        return;
    pthread_mutex_destroy(&refusals->lock);
    mw_free(MW_MEM_STATE, refusals);
}
