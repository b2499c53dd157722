/* What the texts of alarms say: regions, and namespaces that are no services (DESIGN 4.4). Pure. */
#include "webhook/body_int.h"

/* Alarms of CloudWatch name a namespace where a service should stand (DESIGN 4.4). */
bool mw_is_namespace(mw_slice service)
{
    static const mw_slice names[] = {MW_SLICE_INIT("CWAgent"), MW_SLICE_INIT("ContainerInsights"),
                                     MW_SLICE_INIT("ECS/ContainerInsights"),
                                     MW_SLICE_INIT("LambdaInsights")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (mw_slice_equal(service, names[i]))
            return true;
    return mw_slice_starts(service, MW_SLICE("AWS/")) && service.len > 4;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* "eu-west-1", "us-gov-east-1", "ap-southeast-2", and with the letter of a zone behind it:
 * two letters, perhaps a partition, a direction, a digit. */
static size_t region_length(mw_slice word)
{
    static const mw_slice partitions[] = {MW_SLICE_INIT("gov-"), MW_SLICE_INIT("iso-"),
                                          MW_SLICE_INIT("isob-"), MW_SLICE_INIT("isoe-"),
                                          MW_SLICE_INIT("isof-")};
    static const mw_slice directions[] = {
        MW_SLICE_INIT("northeast-"), MW_SLICE_INIT("northwest-"), MW_SLICE_INIT("southeast-"),
        MW_SLICE_INIT("southwest-"), MW_SLICE_INIT("north-"),     MW_SLICE_INIT("south-"),
        MW_SLICE_INIT("east-"),      MW_SLICE_INIT("west-"),      MW_SLICE_INIT("central-")};
    if (word.len < 3 || word.data[0] < 'a' || word.data[0] > 'z' || word.data[1] < 'a' ||
        word.data[1] > 'z' || word.data[2] != '-')
        return 0;
    mw_slice rest = mw_slice_from(word, 3);
    for (size_t i = 0; i < sizeof partitions / sizeof partitions[0]; i++)
        if (mw_slice_starts(rest, partitions[i])) {
            rest = mw_slice_from(rest, partitions[i].len);
            break;
        }
    for (size_t i = 0; i < sizeof directions / sizeof directions[0]; i++) {
        if (!mw_slice_starts(rest, directions[i]))
            continue;
        rest = mw_slice_from(rest, directions[i].len);
        bool digit = rest.len >= 1 && rest.data[0] >= '1' && rest.data[0] <= '9';
        bool zone = rest.len == 2 && rest.data[1] >= 'a' && rest.data[1] <= 'z';
        return digit && (rest.len == 1 || zone) ? word.len - rest.len + 1 : 0;
    }
    return 0;
}

mw_slice mw_region_in(mw_slice text)
{
    for (size_t i = 0; i < text.len;) {
        size_t end = i;
        while (end < text.len && is_name_byte(text.data[end]))
            end++;
        mw_slice word = mw_slice_first(mw_slice_from(text, i), end - i);
        size_t len = region_length(word);
        if (len)
            return mw_slice_first(word, len);
        i = end + 1;
    }
    return MW_SLICE("");
}

void mw_event_settle(mw_alarm_event *event)
{
    if (mw_is_namespace(event->service))
        event->service = MW_SLICE("");
    if (!event->region.len)
        event->region = mw_region_in(event->title);
}
