/* The retry window. See retry_window.h. */
#include <endian.h>

#include "lib/base/id.h"
#include "lib/base/memory.h"
#include "lib/store/segment/retry_window.h"

#define CAPACITY_FIRST 1024

void mw_retry_window_init(mw_retry_window *window)
{
    *window = (mw_retry_window){.max = MW_RETRY_DIGESTS_MAX};
}

void mw_retry_window_fini(mw_retry_window *window)
{
    mw_free(MW_MEM_STORE, window->ring);
    mw_free(MW_MEM_STORE, window->slots);
    mw_retry_window_init(window);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static size_t slot_mask(const mw_retry_window *window)
{
    return 2 * window->capacity - 1;
}

/* The digest is a keyed hash already: its first bytes spread evenly. */
static size_t home_of(const mw_retry_window *window, const uint8_t digest[16])
{
    uint64_t bits;
    memcpy(&bits, digest, sizeof bits);
    return (size_t)le64toh(bits) & slot_mask(window);
}

static const mw_retry_entry *entry_at(const mw_retry_window *window, size_t slot)
{
    return &window->ring[window->slots[slot] - 1];
}

/* The slot that holds the digest, or the free one where it belongs. */
static size_t find_slot(const mw_retry_window *window, const uint8_t digest[16])
{
    size_t slot = home_of(window, digest);
    while (window->slots[slot] && memcmp(entry_at(window, slot)->digest, digest, 16) != 0)
        slot = (slot + 1) & slot_mask(window);
    return slot;
}

/* Empties a slot and closes the gap, so that no later search ends in it too early. */
static void free_slot(mw_retry_window *window, size_t slot)
{
    size_t mask = slot_mask(window);
    size_t next = slot;
    for (;;) {
        window->slots[slot] = 0;
        size_t home;
        do {
            next = (next + 1) & mask;
            if (window->slots[next] == 0)
                return;
            home = home_of(window, entry_at(window, next)->digest);
        } while (((next - home) & mask) < ((next - slot) & mask));
        window->slots[slot] = window->slots[next];
        slot = next;
    }
}

/* ---- ring ------------------------------------------------------------------------------------ */

static size_t position(const mw_retry_window *window, size_t index)
{
    return (window->head + index) & (window->capacity - 1);
}

static void drop_oldest(mw_retry_window *window)
{
    MW_ASSERT(window->count > 0);
    free_slot(window, find_slot(window, window->ring[window->head].digest));
    window->head = position(window, 1);
    window->count--;
}

static void expire(mw_retry_window *window, uint64_t now_ns)
{
    while (window->count) {
        uint64_t arrival = window->ring[window->head].arrival_ns;
        /* A clock that was set back makes no entry older. */
        if (arrival >= now_ns || now_ns - arrival <= (uint64_t)MW_RETRY_WINDOW_NS)
            return;
        drop_oldest(window);
    }
}

static void fill_slots(mw_retry_window *window)
{
    for (size_t i = 0; i < window->count; i++) {
        size_t at = position(window, i);
        window->slots[find_slot(window, window->ring[at].digest)] = (uint32_t)at + 1;
    }
}

static mw_err grow(mw_retry_window *window)
{
    size_t capacity = window->capacity ? window->capacity * 2 : CAPACITY_FIRST;
    if (capacity > window->max)
        return MW_E_LIMIT;
    mw_retry_entry *ring = mw_alloc(MW_MEM_STORE, capacity * sizeof *ring);
    uint32_t *slots = mw_calloc(MW_MEM_STORE, 2 * capacity, sizeof *slots);
    if (!ring || !slots) {
        mw_free(MW_MEM_STORE, ring);
        mw_free(MW_MEM_STORE, slots);
        return MW_E_NOMEM;
    }
    for (size_t i = 0; i < window->count; i++)
        ring[i] = window->ring[position(window, i)];
    mw_free(MW_MEM_STORE, window->ring);
    mw_free(MW_MEM_STORE, window->slots);
    window->ring = ring;
    window->slots = slots;
    window->capacity = capacity;
    window->head = 0;
    fill_slots(window);
    return MW_OK;
}

/* ---- public ---------------------------------------------------------------------------------- */

bool mw_retry_window_has(mw_retry_window *window, const uint8_t digest[16], uint64_t now_ns)
{
    expire(window, now_ns);
    return window->count && !mw_id_is_zero(digest, 16) &&
           window->slots[find_slot(window, digest)] != 0;
}

bool mw_retry_window_add(mw_retry_window *window, const uint8_t digest[16], uint64_t arrival_ns)
{
    if (mw_id_is_zero(digest, 16) || mw_retry_window_has(window, digest, arrival_ns))
        return false;
    if (window->count == window->capacity && grow(window) != MW_OK) {
        if (window->capacity == 0)
            return false;
        drop_oldest(window);
    }
    size_t at = position(window, window->count);
    memcpy(window->ring[at].digest, digest, 16);
    window->ring[at].arrival_ns = arrival_ns;
    window->slots[find_slot(window, digest)] = (uint32_t)at + 1;
    window->count++;
    return true;
}

void mw_retry_window_undo(mw_retry_window *window, size_t count)
{
    while (count-- && window->count) {
        size_t at = position(window, window->count - 1);
        free_slot(window, find_slot(window, window->ring[at].digest));
        window->count--;
    }
}
