/* How the disk fills. See disk_use.h. */
#include "server/disk_use.h"

#include <string.h>

void mw_pace_init(mw_pace *pace)
{
    memset(pace, 0, sizeof *pace);
    pthread_mutex_init(&pace->lock, NULL);
}

void mw_pace_fini(mw_pace *pace)
{
    pthread_mutex_destroy(&pace->lock);
}

void mw_pace_note(mw_pace *pace, int64_t mono_ns, uint64_t bytes)
{
    pthread_mutex_lock(&pace->lock);
    size_t last = (pace->next + MW_PACE_MARKS - 1) % MW_PACE_MARKS;
    if (pace->count == 0 || mono_ns - pace->marks[last].at_ns >= MW_PACE_MARK_NS) {
        pace->marks[pace->next].at_ns = mono_ns;
        pace->marks[pace->next].bytes = bytes;
        pace->next = (pace->next + 1) % MW_PACE_MARKS;
        pace->count += pace->count < MW_PACE_MARKS;
    }
    pthread_mutex_unlock(&pace->lock);
}

bool mw_pace_read(mw_pace *pace, int64_t mono_ns, uint64_t bytes, double *per_hour)
{
    pthread_mutex_lock(&pace->lock);
    size_t oldest = pace->count < MW_PACE_MARKS ? 0 : pace->next;
    int64_t passed_ns = pace->count ? mono_ns - pace->marks[oldest].at_ns : 0;
    uint64_t written = pace->count ? bytes - pace->marks[oldest].bytes : 0;
    pthread_mutex_unlock(&pace->lock);
    if (passed_ns < MW_PACE_MARK_NS)
        return false;
    *per_hour = (double)written * 3600.0 * (double)MW_NS_PER_S / (double)passed_ns;
    return true;
}

/* ---- what comes ------------------------------------------------------------------------------ */

static double by_age(const mw_disk_facts *facts)
{
    if (facts->retention_ns <= 0 || facts->oldest_ns == 0)
        return MW_DISK_NEVER;
    double left_ns = (double)facts->oldest_ns + (double)facts->retention_ns - (double)facts->now_ns;
    return left_ns > 0 ? left_ns / (double)MW_NS_PER_S : 0;
}

static double seconds_to(const mw_disk_facts *facts, uint64_t bytes)
{
    if (!facts->paced || facts->per_hour <= 0)
        return MW_DISK_NEVER;
    return (double)bytes / facts->per_hour * 3600.0;
}

static double by_size(const mw_disk_facts *facts)
{
    if (facts->retention_bytes == 0)
        return MW_DISK_NEVER;
    if (facts->counted_bytes >= facts->retention_bytes)
        return 0;
    return seconds_to(facts, facts->retention_bytes - facts->counted_bytes);
}

mw_disk_outlook mw_disk_look_ahead(const mw_disk_facts *facts)
{
    double age = by_age(facts), size = by_size(facts);
    mw_disk_outlook out = {.full_in_s = seconds_to(facts, facts->free_bytes),
                           .retention_in_s = MW_DISK_NEVER};
    if (age >= 0 && (size < 0 || age <= size)) {
        out.retention_in_s = age;
        out.retention_by = "age";
    } else if (size >= 0) {
        out.retention_in_s = size;
        out.retention_by = "size";
    }
    return out;
}
