/* What is remembered of segments. See known.h. */
#include "lib/store/segment/known.h"
#include "lib/base/memory.h"

/* Where it stands, or ought to. */
static size_t place_of(const mw_known_segments *known, uint64_t id)
{
    size_t low = 0, high = known->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (known->items[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

mw_err mw_known_add(mw_known_segments *known, const mw_known_segment *segment)
{
    size_t at = place_of(known, segment->id);
    if (at < known->count && known->items[at].id == segment->id) {
        if (known->items[at].lost)
            known->items[at] = *segment;
        return MW_OK;
    }
    if (!mw_have_room(MW_MEM_STORE, &known->items, &known->capacity, known->count + 1,
                      sizeof *known->items))
        return MW_E_NOMEM;
    memmove(&known->items[at + 1], &known->items[at], (known->count - at) * sizeof *known->items);
    known->items[at] = *segment;
    known->count++;
    return MW_OK;
}

const mw_known_segment *mw_known_find(const mw_known_segments *known, uint64_t id)
{
    if (!known)
        return NULL;
    size_t at = place_of(known, id);
    return at < known->count && known->items[at].id == id ? &known->items[at] : NULL;
}

bool mw_known_fits(const mw_known_segment *segment, const mw_segment_header *header)
{
    return segment->id == header->id && segment->kind == (uint64_t)header->kind &&
           (segment->salt == 0 || segment->salt == header->salt);
}

void mw_known_fini(mw_known_segments *known)
{
    mw_free(MW_MEM_STORE, known->items);
    *known = (mw_known_segments){.items = NULL};
}
