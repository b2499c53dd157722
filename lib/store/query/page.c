/* Order, cursors, the newest N, windows. See page.h. Pure but for the allocations. */
#include <xxhash.h>

#include "lib/store/query/page.h"

/* ---- order ----------------------------------------------------------------------------------- */

void mw_page_key_set(mw_page_key *key, uint64_t time_ns, mw_slice id)
{
    memset(key, 0, sizeof *key);
    key->time_ns = time_ns;
    key->id_len = (uint8_t)(id.len < MW_PAGE_ID_MAX ? id.len : MW_PAGE_ID_MAX);
    if (key->id_len)
        memcpy(key->id, id.data, key->id_len);
    if (id.len > MW_PAGE_ID_MAX)
        key->hash = XXH3_64bits(id.data, id.len);
}

int mw_page_key_compare(const mw_page_key *a, const mw_page_key *b)
{
    if (a->time_ns != b->time_ns)
        return a->time_ns > b->time_ns ? -1 : 1;
    int order =
        mw_slice_compare(mw_slice_bytes(a->id, a->id_len), mw_slice_bytes(b->id, b->id_len));
    if (order != 0)
        return order;
    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

/* ---- cursors: kind, then hex of time (8), hash (8), id --------------------------------------- */

mw_err mw_page_cursor(mw_arena *arena, char kind, const mw_page_key *last, mw_slice *out)
{
    unsigned char bytes[16 + MW_PAGE_ID_MAX];
    size_t len = 16 + (size_t)last->id_len;
    char *text = mw_arena_alloc(arena, 2 + 2 * len);
    if (!text)
        return MW_E_NOMEM;
    mw_put_u64(bytes, last->time_ns);
    mw_put_u64(bytes + 8, last->hash);
    memcpy(bytes + 16, last->id, last->id_len);
    text[0] = kind;
    mw_hex_encode(bytes, len, text + 1);
    *out = mw_slice_bytes(text, 1 + 2 * len);
    return MW_OK;
}

static mw_err read_cursor(mw_slice text, char kind, mw_page_key *out)
{
    unsigned char bytes[16 + MW_PAGE_ID_MAX];
    size_t len = (text.len - 1) / 2;

    if (text.data[0] != kind || text.len % 2 == 0 || len < 16 || len > sizeof bytes)
        return MW_E_SYNTAX;
    if (mw_hex_decode(mw_slice_from(text, 1), bytes, len) != MW_OK)
        return MW_E_SYNTAX;
    memset(out, 0, sizeof *out);
    out->time_ns = mw_get_u64(bytes);
    out->hash = mw_get_u64(bytes + 8);
    out->id_len = (uint8_t)(len - 16);
    memcpy(out->id, bytes + 16, out->id_len);
    return MW_OK;
}

mw_err mw_page_bounds_read(const mw_store_page *page, char kind, mw_page_bounds *out)
{
    memset(out, 0, sizeof *out);
    out->since_ns = page->since_ns;
    out->until_ns = page->until_ns;
    out->limit = page->limit < 1 ? 1 : page->limit > 1000 ? 1000 : page->limit;
    out->kind = kind;
    out->has_cursor = page->cursor.len > 0;
    return out->has_cursor ? read_cursor(page->cursor, kind, &out->cursor) : MW_OK;
}

bool mw_page_admits_time(const mw_page_bounds *bounds, uint64_t time_ns)
{
    if (time_ns < bounds->since_ns || (bounds->until_ns && time_ns >= bounds->until_ns))
        return false;
    return !bounds->has_cursor || time_ns <= bounds->cursor.time_ns;
}

bool mw_page_admits(const mw_page_bounds *bounds, const mw_page_key *key)
{
    return mw_page_admits_time(bounds, key->time_ns) &&
           (!bounds->has_cursor || mw_page_key_compare(key, &bounds->cursor) > 0);
}

/* ---- the newest N ---------------------------------------------------------------------------- */

mw_err mw_top_init(mw_top *top, size_t limit)
{
    *top = (mw_top){.capacity = limit + 1};
    top->items = mw_alloc(MW_MEM_QUERY, top->capacity * sizeof *top->items);
    return top->items ? MW_OK : MW_E_NOMEM;
}

void mw_top_fini(mw_top *top)
{
    mw_free(MW_MEM_QUERY, top->items);
    *top = (mw_top){0};
}

static void swap_items(mw_top *top, size_t a, size_t b)
{
    mw_top_item kept = top->items[a];
    top->items[a] = top->items[b];
    top->items[b] = kept;
}

/* Is item a behind item b in the list? */
static bool behind(const mw_top *top, size_t a, size_t b)
{
    return mw_page_key_compare(&top->items[a].key, &top->items[b].key) > 0;
}

static void sift_up(mw_top *top, size_t at)
{
    while (at > 0 && behind(top, at, (at - 1) / 2)) {
        swap_items(top, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void sift_down(mw_top *top)
{
    size_t at = 0;
    for (;;) {
        size_t last = at, left = 2 * at + 1, right = left + 1;
        if (left < top->count && behind(top, left, last))
            last = left;
        if (right < top->count && behind(top, right, last))
            last = right;
        if (last == at)
            return;
        swap_items(top, at, last);
        at = last;
    }
}

void mw_top_offer(mw_top *top, const mw_page_key *key, uint64_t value)
{
    mw_top_item item = {*key, value};
    if (top->count < top->capacity) {
        top->items[top->count++] = item;
        sift_up(top, top->count - 1);
    } else if (mw_page_key_compare(key, &top->items[0].key) < 0) {
        top->items[0] = item;
        sift_down(top);
    }
}

static int top_compare(const void *left, const void *right)
{
    const mw_top_item *a = left, *b = right;
    return mw_page_key_compare(&a->key, &b->key);
}

size_t mw_top_finish(mw_top *top, bool *more)
{
    if (top->count > 1)
        qsort(top->items, top->count, sizeof *top->items, top_compare);
    *more = top->count == top->capacity;
    return *more ? top->count - 1 : top->count;
}

/* ---- windows --------------------------------------------------------------------------------- */

/* Blocks of the first stretch, at most; each further one is four times longer. */
#define WINDOW_AT_FIRST 16u
#define WINDOW_GROWTH 4u

static int window_compare(const void *left, const void *right)
{
    const mw_window_block *a = left, *b = right;
    return a->max_ns > b->max_ns ? -1 : a->max_ns < b->max_ns;
}

/* Spans of a merged segment stand by the start of their traces: hardly one of a block's traces
 * starts behind the next block of spans. Its own maximum says when the longest span ends. */
static uint64_t trace_start_max(const mw_store_view *view, size_t at)
{
    const mw_index_block *block = mw_view_block(view, at);
    uint64_t max_ns = mw_index_start_max(block);
    if (block->segment->header.kind != MW_SEGMENT_MERGED || at + 1 == mw_view_count(view))
        return max_ns;
    const mw_index_block *next = mw_view_block(view, at + 1);
    if (next->segment != block->segment || !mw_block_holds(next, MW_SIGNAL_TRACES))
        return max_ns;
    return next->header.event_min_ns < max_ns ? next->header.event_min_ns : max_ns;
}

static bool window_holds(const mw_index_block *block, mw_window_kind kind)
{
    return mw_block_holds(block, MW_SIGNAL_TRACES) ||
           (kind == MW_WINDOW_SESSIONS && mw_block_holds(block, MW_SIGNAL_LOGS));
}

static uint64_t latest_of(const mw_page_bounds *bounds)
{
    uint64_t latest = bounds->has_cursor ? bounds->cursor.time_ns : UINT64_MAX;
    return bounds->until_ns && bounds->until_ns - 1 < latest ? bounds->until_ns - 1 : latest;
}

mw_err mw_window_init(mw_window *window, const mw_store_view *view, mw_window_kind kind,
                      const mw_page_bounds *bounds)
{
    *window = (mw_window){.since_ns = bounds->since_ns,
                          .next_to_ns = latest_of(bounds),
                          .more_blocks = WINDOW_AT_FIRST,
                          .more_items = bounds->limit + 1};
    window->blocks = mw_alloc(MW_MEM_QUERY, (mw_view_count(view) + 1) * sizeof *window->blocks);
    if (!window->blocks)
        return MW_E_NOMEM;
    for (size_t i = 0; i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        if (!window_holds(block, kind) || block->header.event_min_ns > window->next_to_ns)
            continue;
        bool traces = kind == MW_WINDOW_TRACES;
        window->blocks[window->count++] =
            (mw_window_block){traces ? trace_start_max(view, i) : block->header.event_max_ns,
                              traces ? block->all_traces : block->all_sessions};
    }
    if (window->count > 1)
        qsort(window->blocks, window->count, sizeof *window->blocks, window_compare);
    window->ended = window->next_to_ns < window->since_ns;
    return MW_OK;
}

void mw_window_fini(mw_window *window)
{
    mw_free(MW_MEM_QUERY, window->blocks);
    window->blocks = NULL;
}

bool mw_window_next(mw_window *window, uint64_t *from_ns, uint64_t *to_ns)
{
    size_t blocks = 0, items = 0;
    if (window->ended)
        return false;
    *to_ns = window->next_to_ns;
    for (; window->taken < window->count; window->taken++) {
        const mw_window_block *block = &window->blocks[window->taken];
        /* What reaches beyond the stretch's end does not tell how much is in it. */
        if (block->max_ns >= *to_ns)
            continue;
        if (blocks == window->more_blocks || items >= window->more_items)
            break;
        blocks++;
        items += block->items;
    }
    window->more_blocks *= WINDOW_GROWTH;
    window->more_items *= WINDOW_GROWTH;
    /* Up to the newest row of the blocks that were not taken all is seen. */
    *from_ns = window->taken < window->count ? window->blocks[window->taken].max_ns + 1 : 0;
    if (*from_ns <= window->since_ns) {
        *from_ns = window->since_ns;
        window->ended = true;
    } else {
        window->next_to_ns = *from_ns - 1;
    }
    return true;
}

/* ---- blocks by their newest row -------------------------------------------------------------- */

static int newest_compare(const void *left, const void *right)
{
    const mw_newest_block *a = left, *b = right;
    if (a->max_ns != b->max_ns)
        return a->max_ns > b->max_ns ? -1 : 1;
    return a->block < b->block ? -1 : a->block > b->block;
}

mw_err mw_newest_init(mw_newest *newest, const mw_store_view *view, mw_signal signal,
                      const mw_page_bounds *bounds)
{
    *newest = (mw_newest){0};
    newest->items = mw_alloc(MW_MEM_QUERY, (mw_view_count(view) + 1) * sizeof *newest->items);
    if (!newest->items)
        return MW_E_NOMEM;
    for (uint32_t i = 0; i < mw_view_count(view); i++) {
        const mw_block_header *header = &mw_view_block(view, i)->header;
        if (header->signal != signal || header->event_max_ns < bounds->since_ns)
            continue;
        if (bounds->until_ns && header->event_min_ns >= bounds->until_ns)
            continue;
        if (bounds->has_cursor && header->event_min_ns > bounds->cursor.time_ns)
            continue;
        newest->items[newest->count++] = (mw_newest_block){header->event_max_ns, i};
    }
    if (newest->count > 1)
        qsort(newest->items, newest->count, sizeof *newest->items, newest_compare);
    return MW_OK;
}

void mw_newest_fini(mw_newest *newest)
{
    mw_free(MW_MEM_QUERY, newest->items);
    *newest = (mw_newest){0};
}
