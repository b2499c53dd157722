/* Numbers of the footer's drawing (segment_footer.h) that writer and reader share. */
#ifndef MW_STORE_SEGMENT_FOOTER_INT_H
#define MW_STORE_SEGMENT_FOOTER_INT_H

#include "lib/store/segment/segment_footer.h"

#define MW_FOOTER_MAGIC "MWFOOTR\n"
#define MW_FOOTER_VERSION 1u
#define MW_FOOTER_TRAILER_SIZE 384u
#define MW_FOOTER_SECTION_TABLE 80u /* where it lies in the trailer */
#define MW_FOOTER_SECTION_SIZE 24u
#define MW_REPLACED_MAGIC "MWREPLD\n"
#define MW_REPLACED_FRONT 24u /* magic and the two counts */
#define MW_REPLACED_END_SIZE 16u
#define MW_FOOTER_REQUEST_SIZE 24u
#define MW_FOOTER_RECORD_SIZE 176u
#define MW_FOOTER_PAIR_SIZE 12u
#define MW_FOOTER_PAGE_PAIRS 512u
#define MW_FOOTER_PAGE_SIZE (MW_FOOTER_PAGE_PAIRS * MW_FOOTER_PAIR_SIZE)
#define MW_FOOTER_FENCE_SIZE 16u
#define MW_FOOTER_TEXT_PAGE ((size_t)32 << 10)
#define MW_FOOTER_TEXT_FENCE_SIZE 18u /* without the text */
#define MW_FOOTER_FIRST_MAX 64u
/* A million log records with a trace and a session each have a footer of 100 MiB. */
#define MW_FOOTER_MAX ((size_t)1 << 30)

enum {
    MW_FOOTER_REPLACED_FRONT,
    MW_FOOTER_TRACES,
    MW_FOOTER_SESSIONS,
    MW_FOOTER_TEXTS,
    MW_FOOTER_FILTERS,
    MW_FOOTER_ROLLUPS,
    MW_FOOTER_REPLACED,
    MW_FOOTER_REQUESTS,
    MW_FOOTER_BLOCKS,
    MW_FOOTER_TRACE_FENCES,
    MW_FOOTER_SESSION_FENCES,
    MW_FOOTER_TEXT_FENCES
};

_Static_assert(MW_FOOTER_TEXT_FENCES + 1 == MW_FOOTER_SECTIONS, "as drawn");
_Static_assert(MW_FOOTER_SECTION_TABLE + MW_FOOTER_SECTIONS * MW_FOOTER_SECTION_SIZE + 16 ==
                   MW_FOOTER_TRAILER_SIZE,
               "as drawn");

static inline uint64_t mw_footer_seed(uint64_t salt, uint64_t segment_id, uint64_t offset)
{
    const mw_block_place place = {salt, segment_id, offset};
    return mw_place_seed(&place);
}

#endif
