/* Roll-ups: cells and texts in hash tables. See rollup.h; what a trace adds is rollup_trace.c's.
 *
 * No input decides how long a look-up takes: the hashes have a random seed.
 */
#include <xxhash.h>

#include "lib/base/id.h"
#include "lib/store/rollup/rollup_int.h"

#define CELLS_AT_FIRST 64u
#define NAMES_AT_FIRST 64u
/* Names of 256 bytes each, all of them. */
#define TEXT_MAX ((size_t)MW_ROLLUP_TEXTS_MAX * MW_ROLLUP_TEXT_MAX)
/* A cell, a page of its row and its slots: what MW_ROLLUP_CELLS_MAX is reckoned with. */
#define CELL_COST (sizeof(mw_rollup_cell) + sizeof(mw_rollup_page) + 16)
#define MEMORY_SHARE 16

/* ---- latency --------------------------------------------------------------------------------- */

/* 1000 ns * 2^(i/4), in units of 2^-20 ns, rounded up. */
static const uint64_t quarter[4] = {UINT64_C(1000) << 20, 1246974040, 1482910401, 1763487600};

/* Lower edge of the quarter i of octave o, which begins at 2^o us. */
static uint64_t edge(uint32_t octave, uint32_t i)
{
    uint64_t scaled = quarter[i] << octave; /* below 2^62: octaves go to 32 */
    return (scaled + (1 << 20) - 1) >> 20;
}

uint32_t mw_latency_bucket(uint64_t duration_ns)
{
    uint64_t us = duration_ns / 1000;
    if (us == 0)
        return 0;
    if (us >> 32)
        return MW_LATENCY_BUCKETS - 1;
    uint32_t octave = 63 - (uint32_t)__builtin_clzll(us);
    return 1 + 4 * octave + (duration_ns >= edge(octave, 1)) + (duration_ns >= edge(octave, 2)) +
           (duration_ns >= edge(octave, 3));
}

uint64_t mw_latency_bound_ns(uint32_t bucket)
{
    MW_ASSERT(bucket < MW_LATENCY_BUCKETS);
    return bucket == MW_LATENCY_BUCKETS - 1 ? UINT64_MAX : edge(bucket / 4, bucket % 4);
}

uint64_t mw_latency_value_ns(uint32_t bucket)
{
    /* 2^(1/8) in units of 2^-20. */
    static const uint64_t eighth = 1143480;
    if (bucket == 0)
        return 500;
    uint64_t lower = mw_latency_bound_ns(bucket - 1);
    return bucket == MW_LATENCY_BUCKETS - 1 ? lower : lower * eighth >> 20;
}

/* ---- life ------------------------------------------------------------------------------------ */

static uint32_t cells_allowed(void)
{
    size_t fits = mw_memory_ceiling() / MEMORY_SHARE / CELL_COST;
    if (fits > MW_ROLLUP_CELLS_MAX)
        return MW_ROLLUP_CELLS_MAX;
    return fits < CELLS_AT_FIRST ? CELLS_AT_FIRST : (uint32_t)fits;
}

void mw_rollup_full(mw_rollup *rollup, bool full)
{
    uint32_t cells = rollup->cell_count > CELLS_AT_FIRST ? rollup->cell_count : CELLS_AT_FIRST;
    uint32_t names = rollup->name_count > NAMES_AT_FIRST ? rollup->name_count : NAMES_AT_FIRST;
    uint32_t most = cells_allowed();
    rollup->cells_max = full && cells < most ? cells : most;
    rollup->names_max = full ? names : MW_ROLLUP_TEXTS_MAX;
}

mw_err mw_rollup_new(mw_rollup **out)
{
    mw_rollup *rollup = mw_calloc(MW_MEM_ROLLUP, 1, sizeof *rollup);
    if (!rollup)
        return MW_E_NOMEM;
    mw_random_bytes(&rollup->seed, sizeof rollup->seed);
    rollup->keep = MW_ROLLUP_ALL;
    mw_rollup_full(rollup, false);
    if (mw_rollup_text(rollup, MW_SLICE("(other)")) != MW_ROLLUP_OTHER) {
        mw_rollup_free(rollup);
        return MW_E_NOMEM;
    }
    *out = rollup;
    return MW_OK;
}

void mw_rollup_free(mw_rollup *rollup)
{
    if (!rollup)
        return;
    mw_free(MW_MEM_ROLLUP, rollup->cells);
    mw_free(MW_MEM_ROLLUP, rollup->cell_slots);
    mw_free(MW_MEM_ROLLUP, rollup->pages);
    mw_free(MW_MEM_ROLLUP, rollup->names);
    mw_free(MW_MEM_ROLLUP, rollup->name_slots);
    mw_free(MW_MEM_ROLLUP, rollup->text);
    mw_free(MW_MEM_ROLLUP, rollup->places);
    mw_free(MW_MEM_ROLLUP, rollup);
}

size_t mw_rollup_bytes(const mw_rollup *rollup)
{
    return sizeof *rollup +
           rollup->cell_capacity * (sizeof *rollup->cells + 2 * sizeof *rollup->cell_slots) +
           rollup->page_capacity * sizeof *rollup->pages +
           rollup->name_capacity * (sizeof *rollup->names + 2 * sizeof *rollup->name_slots) +
           rollup->text_capacity + rollup->place_capacity * sizeof *rollup->places;
}

void mw_rollup_clear(mw_rollup *rollup)
{
    if (rollup->cell_count)
        memset(rollup->cell_slots, 0, rollup->cell_capacity * 2 * sizeof *rollup->cell_slots);
    rollup->cell_count = 0;
    rollup->page_count = 0;
    rollup->left_out = 0;
}

void mw_rollup_keep(mw_rollup *rollup, unsigned what)
{
    rollup->keep = what;
}

uint64_t mw_rollup_left_out(const mw_rollup *rollup)
{
    return rollup->left_out;
}

/* ---- texts ----------------------------------------------------------------------------------- */

mw_slice mw_rollup_text_of(const mw_rollup *rollup, uint32_t number)
{
    MW_ASSERT(number <= rollup->name_count);
    if (number == 0)
        return MW_SLICE_NONE;
    mw_rollup_name name = rollup->names[number - 1];
    return (mw_slice){rollup->text + name.offset, name.len};
}

static uint32_t name_slot(const mw_rollup *rollup, mw_slice text)
{
    uint32_t mask = rollup->name_capacity * 2 - 1;
    uint32_t slot = (uint32_t)XXH3_64bits_withSeed(text.data, text.len, rollup->seed) & mask;
    while (rollup->name_slots[slot] &&
           !mw_slice_equal(mw_rollup_text_of(rollup, rollup->name_slots[slot]), text))
        slot = (slot + 1) & mask;
    return slot;
}

static bool grow_names(mw_rollup *rollup)
{
    uint32_t capacity = rollup->name_capacity ? rollup->name_capacity * 2 : NAMES_AT_FIRST;
    mw_rollup_name *names = mw_realloc(MW_MEM_ROLLUP, rollup->names, capacity * sizeof *names);
    if (!names)
        return false;
    rollup->names = names;
    uint32_t *slots = mw_calloc(MW_MEM_ROLLUP, capacity * (size_t)2, sizeof *slots);
    if (!slots)
        return false;
    mw_free(MW_MEM_ROLLUP, rollup->name_slots);
    rollup->name_slots = slots;
    rollup->name_capacity = capacity;
    for (uint32_t number = 1; number <= rollup->name_count; number++)
        slots[name_slot(rollup, mw_rollup_text_of(rollup, number))] = number;
    return true;
}

static bool room_for_text(mw_rollup *rollup, size_t len)
{
    size_t need = rollup->text_len + len;
    MW_ASSERT(need <= TEXT_MAX);
    if (need <= rollup->text_capacity)
        return true;
    size_t capacity = need + need / 2 + 1024;
    char *text = mw_realloc(MW_MEM_ROLLUP, rollup->text, capacity);
    if (!text)
        return false;
    rollup->text = text;
    rollup->text_capacity = capacity;
    return true;
}

static uint32_t number_text(mw_rollup *rollup, mw_slice text, uint32_t most)
{
    if (text.len == 0)
        return 0;
    text = mw_slice_first(text, MW_ROLLUP_TEXT_MAX);
    if (rollup->name_capacity) {
        uint32_t found = rollup->name_slots[name_slot(rollup, text)];
        if (found)
            return found;
    }
    if (rollup->name_count >= most || rollup->name_count >= rollup->names_max)
        return MW_ROLLUP_OTHER;
    if (rollup->name_count == rollup->name_capacity && !grow_names(rollup))
        return UINT32_MAX;
    if (!room_for_text(rollup, text.len))
        return UINT32_MAX;
    uint32_t slot = name_slot(rollup, text);
    rollup->names[rollup->name_count] =
        (mw_rollup_name){(uint32_t)rollup->text_len, (uint32_t)text.len};
    memcpy(rollup->text + rollup->text_len, text.data, text.len);
    rollup->text_len += text.len;
    return rollup->name_slots[slot] = ++rollup->name_count;
}

uint32_t mw_rollup_text(mw_rollup *rollup, mw_slice text)
{
    return number_text(rollup, text, MW_ROLLUP_TEXTS_MAX);
}

uint32_t mw_rollup_operation(mw_rollup *rollup, mw_slice text)
{
    return number_text(rollup, text, MW_ROLLUP_OPERATIONS_MAX);
}

uint32_t mw_rollup_number(mw_rollup *into, const mw_rollup_key *key, bool right, mw_slice text,
                          uint32_t *known)
{
    bool operation = right && key->kind != MW_ROLLUP_CALL;
    if (operation && !(into->keep & MW_ROLLUP_OPERATIONS))
        return 0;
    /* A name of an operation that found no room may be a service's too. */
    if (*known == 0 || (*known == MW_ROLLUP_OTHER && !operation))
        *known = operation ? mw_rollup_operation(into, text) : mw_rollup_text(into, text);
    return *known;
}

/* ---- cells ----------------------------------------------------------------------------------- */

/* Of the key's 16 bytes. The product's halves folded together, with a secret in both factors: a
 * call of a general hash costs as much as the rest of the look-up. */
static uint32_t hash_of(uint64_t seed, const mw_rollup_key *key)
{
    uint64_t low, high;
    memcpy(&low, key, sizeof low);
    memcpy(&high, &key->left, sizeof high);
    unsigned __int128 product =
        (unsigned __int128)(low ^ seed) * (high ^ (seed * UINT64_C(0x9e3779b97f4a7c15)));
    return (uint32_t)((uint64_t)product ^ (uint64_t)(product >> 64));
}

static uint32_t cell_slot(const mw_rollup *rollup, const mw_rollup_key *key)
{
    uint32_t mask = rollup->cell_capacity * 2 - 1;
    uint32_t slot = hash_of(rollup->seed, key) & mask;
    while (rollup->cell_slots[slot] &&
           memcmp(&rollup->cells[rollup->cell_slots[slot] - 1].key, key, sizeof *key) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

static bool grow_cells(mw_rollup *rollup)
{
    uint32_t capacity = rollup->cell_capacity ? rollup->cell_capacity * 2 : CELLS_AT_FIRST;
    mw_rollup_cell *cells = mw_realloc(MW_MEM_ROLLUP, rollup->cells, capacity * sizeof *cells);
    if (!cells)
        return false;
    rollup->cells = cells;
    uint32_t *slots = mw_calloc(MW_MEM_ROLLUP, capacity * (size_t)2, sizeof *slots);
    if (!slots)
        return false;
    mw_free(MW_MEM_ROLLUP, rollup->cell_slots);
    rollup->cell_slots = slots;
    rollup->cell_capacity = capacity;
    for (uint32_t i = 0; i < rollup->cell_count; i++)
        slots[cell_slot(rollup, &cells[i].key)] = i + 1;
    return true;
}

static mw_rollup_cell *find_cell(const mw_rollup *rollup, const mw_rollup_key *key)
{
    if (rollup->cell_capacity == 0)
        return NULL;
    uint32_t found = rollup->cell_slots[cell_slot(rollup, key)];
    return found ? &rollup->cells[found - 1] : NULL;
}

/* False: the table does not want it. */
static bool narrow(const mw_rollup *rollup, mw_rollup_key *key)
{
    bool call = key->kind == MW_ROLLUP_CALL;
    if (!(rollup->keep & (call ? MW_ROLLUP_CALLS : MW_ROLLUP_SERVICES)))
        return false;
    if (!(rollup->keep & MW_ROLLUP_MINUTES))
        key->minute = 0;
    if (!call && !(rollup->keep & MW_ROLLUP_OPERATIONS))
        key->right = 0;
    return true;
}

mw_err mw_rollup_cell_of(mw_rollup *rollup, mw_rollup_key key, uint64_t weight,
                         mw_rollup_cell **out)
{
    *out = NULL;
    if (!narrow(rollup, &key))
        return MW_OK;
    *out = find_cell(rollup, &key);
    if (!*out && rollup->cell_count >= rollup->cells_max && key.kind != MW_ROLLUP_CALL &&
        key.right > MW_ROLLUP_OTHER) {
        key.right = MW_ROLLUP_OTHER;
        *out = find_cell(rollup, &key);
    }
    if (*out)
        return MW_OK;
    if (rollup->cell_count >= rollup->cells_max + rollup->cells_max / 4) {
        rollup->left_out += weight;
        return MW_OK;
    }
    if (rollup->cell_count == rollup->cell_capacity && !grow_cells(rollup))
        return MW_E_NOMEM;
    MW_ASSERT(rollup->cells);
    uint32_t slot = cell_slot(rollup, &key);
    *out = &rollup->cells[rollup->cell_count];
    **out = (mw_rollup_cell){.key = key};
    rollup->cell_slots[slot] = ++rollup->cell_count;
    return MW_OK;
}

/* ---- histograms ------------------------------------------------------------------------------ */

static mw_rollup_page *new_page(mw_rollup *rollup, uint32_t number)
{
    if (rollup->page_count == rollup->page_capacity) {
        uint32_t capacity = rollup->page_capacity + rollup->page_capacity / 2 + CELLS_AT_FIRST;
        mw_rollup_page *pages = mw_realloc(MW_MEM_ROLLUP, rollup->pages, capacity * sizeof *pages);
        if (!pages)
            return NULL;
        rollup->pages = pages;
        rollup->page_capacity = capacity;
    }
    mw_rollup_page *page = &rollup->pages[rollup->page_count++];
    *page = (mw_rollup_page){.number = number};
    return page;
}

/* The counts of a page of the cell's row; NULL without memory. Valid until the next one. */
static int64_t *page_of(mw_rollup *rollup, mw_rollup_cell *cell, uint32_t number)
{
    for (uint32_t at = cell->pages; at; at = rollup->pages[at - 1].next)
        if (rollup->pages[at - 1].number == number)
            return rollup->pages[at - 1].counts;
    mw_rollup_page *page = new_page(rollup, number);
    if (!page)
        return NULL;
    page->next = cell->pages;
    cell->pages = rollup->page_count;
    return page->counts;
}

mw_err mw_rollup_count(mw_rollup *rollup, mw_rollup_cell *cell, uint32_t place, int64_t by)
{
    MW_ASSERT(place < MW_ROLLUP_ROW);
    int64_t *counts = page_of(rollup, cell, place / MW_ROLLUP_PAGE);
    if (!counts)
        return MW_E_NOMEM;
    mw_rollup_sum(&counts[place % MW_ROLLUP_PAGE], by);
    return MW_OK;
}

void mw_rollup_row_add(const mw_rollup *rollup, const mw_rollup_cell *cell, int64_t *row)
{
    for (uint32_t at = cell->pages; at; at = rollup->pages[at - 1].next) {
        const mw_rollup_page *page = &rollup->pages[at - 1];
        for (uint32_t i = 0; i < MW_ROLLUP_PAGE; i++)
            if (page->counts[i])
                mw_rollup_sum(&row[page->number * MW_ROLLUP_PAGE + i], page->counts[i]);
    }
}

/* ---- adding ---------------------------------------------------------------------------------- */

bool mw_rollup_minute_meets(uint32_t minute, uint64_t since_ns, uint64_t until_ns)
{
    uint64_t from = minute * MW_MINUTE_NS;
    /* The last minute there is reaches beyond 2^64. */
    return minute >= since_ns / MW_MINUTE_NS && (until_ns == 0 || from < until_ns);
}

static uint64_t weight_of(const mw_rollup_counts *counts)
{
    uint64_t weight = 0;
    for (uint32_t i = 0; i < counts->place_count; i++)
        if (counts->places[i] < MW_LATENCY_BUCKETS && counts->counts[i] > 0)
            weight += (uint64_t)counts->counts[i];
    return weight;
}

mw_err mw_rollup_merge(mw_rollup *rollup, mw_rollup_key key, const mw_rollup_counts *counts)
{
    mw_rollup_cell *to;
    int64_t *page = NULL;
    uint32_t number = 0;

    mw_err err = mw_rollup_cell_of(rollup, key, weight_of(counts), &to);
    if (err != MW_OK || !to)
        return err;
    mw_rollup_sum(&to->errors, counts->errors);
    mw_rollup_sum(&to->sum_us, counts->sum_us);
    mw_rollup_sum(&to->wire_us, counts->wire_us);
    for (uint32_t i = 0; i < counts->place_count; i++) {
        uint32_t place = counts->places[i];
        if (!page || place / MW_ROLLUP_PAGE != number) {
            number = place / MW_ROLLUP_PAGE;
            page = page_of(rollup, to, number);
            if (!page)
                return MW_E_NOMEM;
        }
        mw_rollup_sum(&page[place % MW_ROLLUP_PAGE], counts->counts[i]);
    }
    return MW_OK;
}

static mw_err add_cell(mw_rollup *into, const mw_rollup *from, const mw_rollup_cell *cell,
                       mw_rollup_key key)
{
    mw_rollup_counts counts = {
        .errors = cell->errors, .sum_us = cell->sum_us, .wire_us = cell->wire_us};
    int64_t row[MW_ROLLUP_ROW] = {0};
    mw_rollup_row_add(from, cell, row);
    for (uint32_t i = 0; i < MW_ROLLUP_ROW; i++) {
        if (!row[i])
            continue;
        counts.places[counts.place_count] = i;
        counts.counts[counts.place_count++] = row[i];
    }
    return mw_rollup_merge(into, key, &counts);
}

mw_err mw_rollup_add(const mw_rollup *from, uint64_t since_ns, uint64_t until_ns, mw_rollup *into)
{
    mw_err err = MW_OK;
    uint32_t *numbers = mw_calloc(MW_MEM_ROLLUP, (size_t)from->name_count + 1, sizeof *numbers);
    if (!numbers)
        return MW_E_NOMEM;
    into->left_out += from->left_out;
    for (uint32_t i = 0; err == MW_OK && i < from->cell_count; i++) {
        const mw_rollup_cell *cell = &from->cells[i];
        mw_rollup_key key = cell->key;
        if (!mw_rollup_minute_meets(key.minute, since_ns, until_ns))
            continue;
        key.left = mw_rollup_number(into, &cell->key, false, mw_rollup_text_of(from, key.left),
                                    &numbers[key.left]);
        key.right = mw_rollup_number(into, &cell->key, true, mw_rollup_text_of(from, key.right),
                                     &numbers[key.right]);
        err = key.left == UINT32_MAX || key.right == UINT32_MAX ? MW_E_NOMEM
                                                                : add_cell(into, from, cell, key);
    }
    mw_free(MW_MEM_ROLLUP, numbers);
    return err;
}
