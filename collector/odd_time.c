/* Times that can hardly be meant. Contract: odd_time.h. */
#include "collector/odd_time.h"

typedef enum verdict { FINE, FAR_AWAY, MISTAKE } verdict;

void mw_odd_times_init(mw_odd_times *odd, uint64_t received_ns)
{
    uint64_t room = UINT64_MAX - received_ns;
    *odd = (mw_odd_times){.newest_ns =
                              received_ns + (room < MW_TIME_AHEAD_NS ? room : MW_TIME_AHEAD_NS)};
}

static verdict judge(const mw_odd_times *odd, const mw_timed_field *field, const char **problem)
{
    if (field->ns == 0 && !field->required)
        return FINE;
    if (field->ns == 0 && field->start_ns == 0) {
        *problem = "is 0";
        return MISTAKE;
    }
    if (field->ns < field->start_ns) {
        *problem = "lies before the start";
        return MISTAKE;
    }
    if (field->ns < MW_TIME_NANOSECONDS_MIN) {
        *problem = "is seconds, milliseconds or microseconds, not nanoseconds";
        return MISTAKE;
    }
    if (field->ns > MW_TIME_NANOSECONDS_MAX) {
        *problem = "lies beyond the year 2262";
        return MISTAKE;
    }
    bool near = field->ns >= MW_TIME_OLDEST_NS && field->ns <= odd->newest_ns;
    return near ? FINE : FAR_AWAY;
}

static void write_path(mw_odd_times *odd, const mw_timed_item *item, const char *field)
{
    const mw_scan_place *at = &item->place;
    char point[48] = "";
    if (item->kind)
        snprintf(point, sizeof point, "%s.data_points[%u].", item->kind, at->point);
    snprintf(odd->first_path, sizeof odd->first_path, "%s[%u].%s[%u].%s[%u].%s%s", item->levels[0],
             at->resource, item->levels[1], at->scope, item->levels[2], at->item, point, field);
}

void mw_odd_times_judge(mw_odd_times *odd, const mw_timed_item *item, const mw_timed_field *fields,
                        size_t count)
{
    verdict worst = FINE;
    for (size_t i = 0; i < count && worst != MISTAKE; i++) {
        const char *problem = NULL;
        verdict found = judge(odd, &fields[i], &problem);
        if (found == MISTAKE && !odd->first_problem) {
            odd->first_problem = problem;
            write_path(odd, item, fields[i].name);
        }
        worst = found > worst ? found : worst;
    }
    odd->count += worst != FINE;
    odd->mistakes += worst == MISTAKE;
}
