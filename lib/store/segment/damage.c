/* Blocks that were found damaged. See damage.h. */
#include "lib/store/segment/damage.h"
#include "lib/base/counter.h"
#include "lib/base/memory.h"

void mw_damage_init(mw_damage *damage)
{
    memset(damage, 0, sizeof *damage);
    pthread_mutex_init(&damage->lock, NULL);
}

void mw_damage_fini(mw_damage *damage)
{
    mw_free(MW_MEM_STORE, damage->places);
    pthread_mutex_destroy(&damage->lock);
}

static bool is_known(const mw_damage *damage, uint64_t segment_id, uint64_t offset)
{
    for (size_t i = 0; i < damage->count; i++)
        if (damage->places[i].segment_id == segment_id && damage->places[i].offset == offset)
            return true;
    return false;
}

static bool have_place(mw_damage *damage)
{
    return damage->count < MW_DAMAGE_MAX &&
           mw_have_room(MW_MEM_STORE, &damage->places, &damage->capacity, damage->count + 1,
                        sizeof *damage->places);
}

bool mw_damage_note(mw_damage *damage, uint64_t segment_id, uint64_t offset)
{
    pthread_mutex_lock(&damage->lock);
    bool fresh = !is_known(damage, segment_id, offset) && have_place(damage);
    if (fresh)
        damage->places[damage->count++] = (mw_damaged_place){segment_id, offset};
    pthread_mutex_unlock(&damage->lock);
    if (fresh)
        mw_count(MW_COUNT_STORE_DAMAGED, 1);
    return fresh;
}

mw_err mw_damage_copy(mw_damage *damage, mw_damaged_place **places, size_t *count)
{
    mw_err err = MW_OK;
    *places = NULL;
    *count = 0;
    pthread_mutex_lock(&damage->lock);
    if (damage->count) {
        *places = mw_alloc(MW_MEM_QUERY, damage->count * sizeof **places);
        if (*places) {
            memcpy(*places, damage->places, damage->count * sizeof **places);
            *count = damage->count;
        } else {
            err = MW_E_NOMEM;
        }
    }
    pthread_mutex_unlock(&damage->lock);
    return err;
}
