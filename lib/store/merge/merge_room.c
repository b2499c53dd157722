/* Room for merges. See merge_room.h. Pure: any thread; the keeper is its caller. */
#include "lib/store/merge/merge_room.h"

void mw_merge_room_init(mw_merge_room *room)
{
    *room = (mw_merge_room){.free_bytes = UINT64_MAX,
                            .most = UINT64_MAX,
                            .log_in = MW_MERGE_ROOM_PRIOR,
                            .log_out = MW_MERGE_ROOM_PRIOR / 2};
}

bool mw_merge_room_is_tight(const mw_merge_room *room)
{
    return mw_merge_room_bytes(room) < MW_MERGE_ROOM_TIGHT;
}

uint64_t mw_merge_room_bytes(const mw_merge_room *room)
{
    return room->most < room->free_bytes ? room->most : room->free_bytes;
}

void mw_merge_room_failed(mw_merge_room *room, uint64_t needed)
{
    room->most = needed / 2;
}

void mw_merge_room_succeeded(mw_merge_room *room)
{
    room->most = UINT64_MAX;
}

void mw_merge_room_learn(mw_merge_room *room, uint64_t log_in, uint64_t log_out)
{
    room->log_in += log_in;
    room->log_out += log_out;
    while (room->log_in > MW_MERGE_ROOM_MEMORY) {
        room->log_in /= 2;
        room->log_out /= 2;
    }
}

unsigned mw_merge_room_packed(const mw_merge_room *room)
{
    uint64_t per_mille = room->log_out * 1000 / room->log_in;
    if (per_mille == 0)
        return 1;
    return per_mille < 1000 ? (unsigned)per_mille : 1000;
}
