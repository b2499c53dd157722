/* Items against what is asked of them. See item_search.h. */
#include "lib/store/query/item_search.h"
#include "lib/base/log.h"

#include "lib/store/format/block_filter.h"
#include "lib/store/query/log_text.h"
#include "lib/store/segment/segment_footer.h"

_Static_assert(MW_ATTRIBUTE_QUERIES_MAX <= 8, "a byte a context");

/* What one question may spend on its pattern: a time, and more by what was searched. Patterns in
 * use get through tens of MiB a second and may go on for as long as any question; one that goes
 * back and forth within each text gets through a few at most, and would only keep a thread
 * from others: at r MiB a second it is given up after 2 / (1 - r / 32) seconds. */
#define PATTERN_NS (2 * MW_NS_PER_S)
#define PATTERN_BYTES_PER_S (32 << 20)

/* ---- life ------------------------------------------------------------------------------------ */

void mw_item_search_init(mw_item_search *search, mw_store_view *view, uint32_t field)
{
    memset(search, 0, sizeof *search);
    search->view = view;
    search->field = field;
}

void mw_item_search_fini(mw_item_search *search)
{
    mw_item_search_leave(search);
    mw_log_pattern_free(search->pattern);
    mw_free(MW_MEM_QUERY, search->held);
    mw_free(MW_MEM_QUERY, search->item);
    memset(search, 0, sizeof *search);
}

mw_err mw_item_search_attributes(mw_item_search *search, const mw_attribute_query *attributes,
                                 size_t count)
{
    mw_err err = MW_OK;
    MW_ASSERT(count <= MW_ATTRIBUTE_QUERIES_MAX);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = mw_attribute_want(&attributes[i], &search->wanted[i]);
    search->wanted_count = err == MW_OK ? count : 0;
    return err;
}

mw_err mw_item_search_bodies(mw_item_search *search, mw_slice text, mw_slice pattern)
{
    search->text = text;
    if (!pattern.len)
        return MW_OK;
    search->cpu_before_ns = mw_clock_thread_cpu_ns(search->view->store->writer.clock);
    return mw_log_pattern_new(pattern, &search->pattern, NULL);
}

static bool asks_anything(const mw_item_search *search)
{
    return search->wanted_count || search->text.len || search->pattern;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool filter_admits(const mw_item_search *search, mw_slice filter)
{
    for (size_t i = 0; i < search->wanted_count; i++)
        if (!mw_filter_may_have(filter, &search->wanted[i]))
            return false;
    return mw_filter_may_contain(filter, search->text);
}

mw_err mw_block_filter_read(const mw_index_block *block, char **data, size_t *len)
{
    const mw_segment *segment = block->segment;
    *data = NULL;
    *len = 0;
    if (!segment->footer)
        return MW_OK;
    mw_err err = mw_footer_filter(segment->footer, segment->fd, block->number, data, len);
    if (err != MW_E_CORRUPT)
        return err;
    *data = NULL;
    *len = 0;
    MW_LOG(MW_LOG_WARN, "store", "a block's filter is damaged; the block is read instead",
           MW_KV_STR("file", segment->path), MW_KV_U64("offset", block->offset));
    return MW_OK;
}

static mw_err ask_filter(const mw_item_search *search, const mw_index_block *block, bool *may)
{
    char *data;
    size_t len;
    mw_err err = mw_block_filter_read(block, &data, &len);
    if (err == MW_OK)
        *may = filter_admits(search, mw_slice_bytes(data, len));
    mw_free(MW_MEM_QUERY, data);
    return err;
}

mw_err mw_item_search_block(mw_item_search *search, const mw_index_block *block, bool *may)
{
    mw_item_search_leave(search);
    search->block = block;
    *may = true;
    if (!block->segment->footer || !(search->wanted_count || search->text.len))
        return MW_OK;
    return ask_filter(search, block, may);
}

void mw_item_search_leave(mw_item_search *search)
{
    if (search->open)
        mw_items_walk_end(&search->walk);
    search->open = false;
    search->block = NULL;
}

static mw_err judge_context(mw_item_search *search, size_t at)
{
    mw_items_walk *walk = &search->walk;
    uint32_t message = mw_items_walk_message_length(walk, at);
    uint64_t len = (uint64_t)message + mw_items_walk_url_length(walk, at);

    search->held[at] = 0;
    if (message == 0 || mw_is_oversized(len))
        return MW_OK;
    if (!mw_block_reader_room(&search->item, &search->item_size, (size_t)len))
        return MW_E_NOMEM;
    mw_err err = mw_items_walk_context(walk, at, search->item);
    if (err == MW_OK)
        search->held[at] = (uint8_t)mw_attributes_held(mw_slice_bytes(search->item, message),
                                                       at < walk->resources ? MW_RESOURCE_ATTRIBUTES
                                                                            : MW_SCOPE_ATTRIBUTES,
                                                       search->wanted, search->wanted_count);
    return err;
}

static mw_err judge_contexts(mw_item_search *search)
{
    size_t count = (size_t)search->walk.resources + search->walk.scopes;
    mw_err err = MW_OK;

    if (count > search->held_size) {
        mw_free(MW_MEM_QUERY, search->held);
        search->held = mw_alloc(MW_MEM_QUERY, count);
        search->held_size = search->held ? count : 0;
        if (!search->held)
            return MW_E_NOMEM;
    }
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = judge_context(search, i);
    return err;
}

static mw_err open_block(mw_item_search *search, const mw_hot *hot)
{
    mw_err err = mw_view_items(search->view, search->block, hot, &search->walk);
    if (err != MW_OK)
        return err;
    search->open = true;
    search->item_row = UINT32_MAX;
    return search->wanted_count ? judge_contexts(search) : MW_OK;
}

/* ---- items ----------------------------------------------------------------------------------- */

/* The wanted attributes that neither resource nor scope of the row holds. */
static uint32_t missing_of(const mw_item_search *search, uint32_t row)
{
    const mw_items_walk *walk = &search->walk;
    uint32_t all = (UINT32_C(1) << search->wanted_count) - 1;
    if (!all)
        return 0;
    return all & ~(uint32_t)(search->held[mw_items_walk_resource(walk, row)] |
                             search->held[walk->resources + mw_items_walk_scope(walk, row)]);
}

/* The thread's own time is asked for when the clock's says too much: on a machine with much else to
 * do, a pattern is not given up for the others. */
static bool is_spent(mw_item_search *search)
{
    const mw_clock *clock = search->view->store->writer.clock;
    int64_t now_ns = mw_clock_mono_ns(clock);
    int64_t allowed_ns =
        PATTERN_NS + (int64_t)(search->pattern_bytes * MW_NS_PER_S / PATTERN_BYTES_PER_S);

    search->pattern_ns += now_ns - search->entered_ns;
    search->entered_ns = now_ns;
    if (search->pattern_ns <= allowed_ns)
        return false;
    int64_t worked_ns = mw_clock_thread_cpu_ns(clock) - search->cpu_before_ns;
    if (worked_ns < search->pattern_ns)
        search->pattern_ns = worked_ns;
    search->given_up = search->pattern_ns > allowed_ns;
    return search->given_up;
}

/* Asked by the pattern after each step of text. */
static bool is_over(void *ctx)
{
    mw_item_search *search = ctx;
    const mw_store_view *view = search->view;
    search->pattern_bytes += MW_LOG_PATTERN_STEP;
    return is_spent(search) || (view->stop && view->stop(view->stop_ctx));
}

static mw_err search_pattern(mw_item_search *search, mw_slice item, mw_pattern_verdict *verdict)
{
    const mw_clock *clock = search->view->store->writer.clock;
    search->entered_ns = mw_clock_mono_ns(clock);
    mw_err err = mw_log_pattern_search(search->pattern, item, is_over, search, verdict);
    search->pattern_ns += mw_clock_mono_ns(clock) - search->entered_ns;
    return err;
}

static mw_err body_fits(mw_item_search *search, mw_slice item, bool *fits)
{
    mw_pattern_verdict verdict;

    *fits = mw_log_body_contains(item, search->text);
    if (!*fits || !search->pattern)
        return MW_OK;
    mw_err err = search_pattern(search, item, &verdict);
    *fits = err == MW_OK && verdict == MW_PATTERN_FOUND;
    search->undecided += err == MW_OK && verdict == MW_PATTERN_UNDECIDED;
    return err;
}

/* The walk goes forward alone, and a row may be asked for several things. */
static mw_err read_item(mw_item_search *search, uint32_t row, mw_slice *item)
{
    uint32_t len = mw_items_walk_item_length(&search->walk, row);

    *item = MW_SLICE_NONE;
    if (mw_is_oversized(len))
        return MW_OK;
    if (search->item_row != row) {
        search->item_row = UINT32_MAX;
        if (!mw_block_reader_room(&search->item, &search->item_size, len))
            return MW_E_NOMEM;
        mw_err err = mw_items_walk_item(&search->walk, row, search->item);
        if (err != MW_OK)
            return err;
        search->item_row = row;
        search->item_len = len;
    }
    *item = mw_slice_bytes(search->item, search->item_len);
    return MW_OK;
}

static mw_err item_fits(mw_item_search *search, uint32_t row, uint32_t missing, bool *fits)
{
    mw_slice item;
    if (mw_is_oversized(mw_items_walk_item_length(&search->walk, row)))
        return MW_OK;
    mw_err err = read_item(search, row, &item);
    if (err != MW_OK)
        return err;
    if (missing)
        missing &= ~mw_attributes_held(item, search->field, search->wanted, search->wanted_count);
    return missing ? MW_OK : body_fits(search, item, fits);
}

mw_err mw_item_search_fits(mw_item_search *search, const mw_hot *hot, uint32_t row, bool *fits)
{
    mw_err err = MW_OK;

    MW_ASSERT(search->block);
    *fits = !asks_anything(search);
    if (*fits)
        return MW_OK;
    if (!search->open)
        err = open_block(search, hot);
    if (err != MW_OK)
        return err;
    uint32_t missing = missing_of(search, row);
    *fits = !missing && !search->text.len && !search->pattern;
    return *fits ? MW_OK : item_fits(search, row, missing, fits);
}

/* ---- by attribute --------------------------------------------------------------------------- */

uint32_t mw_item_search_may(const mw_item_search *search, mw_slice filter)
{
    uint32_t may = 0;
    for (size_t i = 0; i < search->wanted_count; i++)
        may |= mw_filter_may_have(filter, &search->wanted[i]) ? UINT32_C(1) << i : 0;
    return may;
}

void mw_item_search_begin(mw_item_search *search, const mw_index_block *block)
{
    mw_item_search_leave(search);
    search->block = block;
}

mw_err mw_item_search_held(mw_item_search *search, const mw_hot *hot, uint32_t row, uint32_t asked,
                           uint32_t *held)
{
    mw_err err = MW_OK;
    MW_ASSERT(search->block);
    *held = 0;
    if (!search->open)
        err = open_block(search, hot);
    if (err != MW_OK)
        return err;
    *held = asked & ~missing_of(search, row);
    mw_slice item = MW_SLICE_NONE;
    if (*held != asked)
        err = read_item(search, row, &item);
    if (err == MW_OK && item.len)
        *held |=
            asked & mw_attributes_held(item, search->field, search->wanted, search->wanted_count);
    return err;
}

mw_err mw_item_search_item(mw_item_search *search, const mw_hot *hot, uint32_t row, mw_slice *item)
{
    mw_err err = MW_OK;
    MW_ASSERT(search->block);
    *item = MW_SLICE_NONE;
    if (!search->open)
        err = open_block(search, hot);
    return err == MW_OK ? read_item(search, row, item) : err;
}
