/* Questions to a loaded footer: pages of its directories and texts, its opaque sections. See
 * segment_footer.h. Any thread; nothing is kept between calls.
 */
#include <xxhash.h>

#include "lib/store/format/zstd_frame.h"
#include "lib/store/segment/pread_all.h"
#include "lib/store/segment/segment_footer_int.h"

static bool checks(const mw_footer *footer, const void *bytes, size_t len, uint64_t offset,
                   uint64_t checksum)
{
    uint64_t seed = mw_footer_seed(footer->salt, footer->segment_id, offset);
    return XXH3_64bits_withSeed(bytes, len, seed) == checksum;
}

/* ---- directories ----------------------------------------------------------------------------- */

#define NO_PAGE SIZE_MAX

/* One page of a directory at a time. */
typedef struct directory_walk {
    const mw_footer *footer;
    const mw_footer_directory *directory;
    int fd;
    size_t page, count; /* of the pairs below; NO_PAGE = none yet */
    unsigned char bytes[MW_FOOTER_PAGE_SIZE];
} directory_walk;

static void walk_begin(directory_walk *walk, const mw_footer *footer, int fd, mw_key_kind kind)
{
    walk->footer = footer;
    walk->directory = &footer->directories[kind];
    walk->fd = fd;
    walk->page = NO_PAGE;
    walk->count = 0;
}

static uint64_t pair_key(const directory_walk *walk, size_t pair)
{
    return mw_get_u64(walk->bytes + pair * MW_FOOTER_PAIR_SIZE);
}

static uint32_t pair_block(const directory_walk *walk, size_t pair)
{
    return mw_get_u32(walk->bytes + pair * MW_FOOTER_PAIR_SIZE + 8);
}

/* Ascending, from its fence to the next one. */
static bool page_is_sane(const directory_walk *walk, size_t page)
{
    const mw_footer_directory *directory = walk->directory;
    const mw_footer_fence *fence = &directory->fences[page];
    if (pair_key(walk, 0) != fence->first_key ||
        (page + 1 < directory->page_count && pair_key(walk, walk->count - 1) > fence[1].first_key))
        return false;
    for (size_t i = 0; i < walk->count; i++) {
        if (pair_block(walk, i) >= walk->footer->block_count)
            return false;
        if (i == 0)
            continue;
        uint64_t before = pair_key(walk, i - 1), key = pair_key(walk, i);
        if (before > key || (before == key && pair_block(walk, i - 1) >= pair_block(walk, i)))
            return false;
    }
    return true;
}

static mw_err walk_page(directory_walk *walk, size_t page)
{
    const mw_footer_directory *directory = walk->directory;
    const mw_footer_fence *fence = &directory->fences[page];

    if (walk->page == page)
        return MW_OK;
    uint64_t first = (uint64_t)page * MW_FOOTER_PAGE_PAIRS;
    uint64_t left = directory->pair_count - first;
    uint64_t offset = directory->offset + first * MW_FOOTER_PAIR_SIZE;
    walk->page = NO_PAGE;
    walk->count = left < MW_FOOTER_PAGE_PAIRS ? (size_t)left : MW_FOOTER_PAGE_PAIRS;
    size_t len = walk->count * MW_FOOTER_PAIR_SIZE;
    mw_err err = mw_pread_all(walk->fd, walk->bytes, len, offset);
    if (err != MW_OK)
        return err;
    if (!checks(walk->footer, walk->bytes, len, offset, fence->checksum) ||
        !page_is_sane(walk, page))
        return MW_E_CORRUPT;
    walk->page = page;
    return MW_OK;
}

/* The first page, not before `from`, that may hold the key: the one before the first fence that is
 * not below it, for the key may begin at that one's end. */
static size_t page_of(const mw_footer_directory *directory, size_t from, uint64_t key)
{
    size_t low = from, high = directory->page_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (directory->fences[middle].first_key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low > from ? low - 1 : low;
}

/* The first pair of the present page whose key is not below. */
static size_t pair_of(const directory_walk *walk, uint64_t key)
{
    size_t low = 0, high = walk->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pair_key(walk, middle) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The blocks of one key, from page *page on, which is left at the last one looked at. */
static mw_err find_key(directory_walk *walk, uint64_t key, size_t *page,
                       void (*found)(void *ctx, uint32_t block), void *ctx)
{
    const mw_footer_directory *directory = walk->directory;
    size_t at = page_of(directory, *page, key);
    /* The present page may reach beyond the key: then no later one holds it. */
    for (; at < directory->page_count && directory->fences[at].first_key <= key; at++) {
        *page = at;
        mw_err err = walk_page(walk, at);
        if (err != MW_OK)
            return err;
        size_t pair = pair_of(walk, key);
        for (; pair < walk->count && pair_key(walk, pair) == key; pair++)
            found(ctx, pair_block(walk, pair));
        if (pair < walk->count)
            break;
    }
    return MW_OK;
}

mw_err mw_footer_find(const mw_footer *footer, int fd, mw_key_kind kind, const uint64_t *keys,
                      size_t count, void (*found)(void *ctx, uint32_t block), void *ctx)
{
    directory_walk walk;
    size_t page = 0;
    mw_err err = MW_OK;

    walk_begin(&walk, footer, fd, kind);
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        MW_ASSERT(i == 0 || keys[i - 1] <= keys[i]);
        err = find_key(&walk, keys[i], &page, found, ctx);
    }
    return err;
}

mw_err mw_footer_each_between(const mw_footer *footer, int fd, mw_key_kind kind, uint64_t low,
                              uint64_t high, mw_err (*key)(void *ctx, uint64_t key, uint32_t block),
                              void *ctx)
{
    directory_walk walk;
    mw_err err = MW_OK;

    walk_begin(&walk, footer, fd, kind);
    size_t page = page_of(walk.directory, 0, low);
    for (; err == MW_OK && page < walk.directory->page_count &&
           walk.directory->fences[page].first_key <= high;
         page++) {
        err = walk_page(&walk, page);
        if (err != MW_OK)
            return err;
        for (size_t i = pair_of(&walk, low);
             err == MW_OK && i < walk.count && pair_key(&walk, i) <= high; i++)
            err = key(ctx, pair_key(&walk, i), pair_block(&walk, i));
    }
    return err;
}

mw_err mw_footer_each_key(const mw_footer *footer, int fd, mw_key_kind kind,
                          mw_err (*key)(void *ctx, uint64_t key, uint32_t block), void *ctx)
{
    return mw_footer_each_between(footer, fd, kind, 0, UINT64_MAX, key, ctx);
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* The last page whose first text is certainly below the prefix: what begins with it may stand at
 * that page's end. */
static size_t text_page_of(const mw_footer *footer, mw_slice prefix)
{
    size_t low = 0, high = footer->text_page_count;
    mw_slice cut = mw_slice_first(prefix, MW_FOOTER_FIRST_MAX);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mw_slice_compare(footer->text_pages[middle].first, cut) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? low - 1 : 0;
}

/* A page, unpacked, into `raw`; `stored` is room for its bytes in the file. */
static mw_err read_text_page(const mw_footer *footer, int fd, const mw_footer_text_page *page,
                             mw_zstd *zstd, char *stored, char *raw)
{
    mw_err err = mw_pread_all(fd, stored, page->stored, page->offset);
    if (err == MW_OK && !checks(footer, stored, page->stored, page->offset, page->checksum))
        err = MW_E_CORRUPT;
    if (err != MW_OK)
        return err;
    if (page->packed)
        return mw_zstd_unpack(zstd, mw_slice_bytes(stored, page->stored), raw, page->raw);
    memcpy(raw, stored, page->raw);
    return MW_OK;
}

typedef struct text_search {
    mw_slice prefix;
    size_t left; /* calls */
    bool ended;  /* a text behind all that begin with the prefix was met */
    void (*text)(void *ctx, mw_slice text);
    void *ctx;
} text_search;

static mw_err search_page(text_search *search, mw_slice rest)
{
    while (rest.len > 0 && search->left > 0) {
        if (rest.len < 2)
            return MW_E_CORRUPT;
        size_t len = mw_get_u16(rest.data);
        if (len > rest.len - 2)
            return MW_E_CORRUPT;
        mw_slice text = mw_slice_bytes(rest.data + 2, len);
        rest = mw_slice_from(rest, 2 + len);
        if (mw_slice_starts(text, search->prefix)) {
            search->text(search->ctx, text);
            search->left--;
        } else if (mw_slice_compare(text, search->prefix) > 0) {
            search->ended = true;
            return MW_OK;
        }
    }
    return MW_OK;
}

mw_err mw_footer_session_texts(const mw_footer *footer, int fd, mw_slice prefix, size_t max,
                               void (*text)(void *ctx, mw_slice text), void *ctx)
{
    text_search search = {prefix, max, false, text, ctx};
    const size_t room = MW_FOOTER_TEXT_PAGE + MW_FOOTER_TEXT_MAX + 2;
    mw_zstd zstd = {0};
    mw_err err = MW_OK;

    if (footer->text_page_count == 0)
        return MW_OK;
    char *buffers = mw_alloc(MW_MEM_QUERY, 2 * room);
    if (!buffers)
        return MW_E_NOMEM;
    for (size_t i = text_page_of(footer, prefix);
         err == MW_OK && i < footer->text_page_count && search.left > 0 && !search.ended; i++) {
        err = read_text_page(footer, fd, &footer->text_pages[i], &zstd, buffers, buffers + room);
        if (err == MW_OK)
            err = search_page(&search, mw_slice_bytes(buffers + room, footer->text_pages[i].raw));
    }
    mw_zstd_fini(&zstd);
    mw_free(MW_MEM_QUERY, buffers);
    return err;
}

/* ---- opaque sections ------------------------------------------------------------------------- */

static mw_err read_opaque(const mw_footer *footer, int fd, uint64_t offset, uint64_t len,
                          uint64_t checksum, char **data)
{
    char *bytes = mw_alloc(MW_MEM_QUERY, (size_t)len + 1);
    if (!bytes)
        return MW_E_NOMEM;
    mw_err err = mw_pread_all(fd, bytes, (size_t)len, offset);
    if (err == MW_OK && !checks(footer, bytes, (size_t)len, offset, checksum))
        err = MW_E_CORRUPT;
    if (err != MW_OK) {
        mw_free(MW_MEM_QUERY, bytes);
        return err;
    }
    *data = bytes;
    return MW_OK;
}

mw_err mw_footer_filter(const mw_footer *footer, int fd, uint32_t block, char **data, size_t *len)
{
    MW_ASSERT(block < footer->block_count);
    const mw_footer_filter_place *place = &footer->filters[block];
    *data = NULL;
    *len = place->len;
    if (place->len == 0)
        return MW_OK;
    return read_opaque(footer, fd, place->offset, place->len, place->checksum, data);
}

mw_err mw_footer_rollups(const mw_footer *footer, int fd, char **data, size_t *len)
{
    const mw_footer_section *place = &footer->sections[MW_FOOTER_ROLLUPS];
    *data = NULL;
    *len = (size_t)place->length;
    if (place->length == 0)
        return MW_OK;
    return read_opaque(footer, fd, place->offset, place->length, place->checksum, data);
}

mw_err mw_footer_check_section(const mw_footer *footer, int fd, unsigned section)
{
    MW_ASSERT(section < MW_FOOTER_SECTIONS);
    const mw_footer_section *place = &footer->sections[section];
    char *data = NULL;
    mw_err err = read_opaque(footer, fd, place->offset, place->length, place->checksum, &data);
    mw_free(MW_MEM_QUERY, data);
    return err;
}

const char *mw_footer_section_name(unsigned section)
{
    static const char *const names[MW_FOOTER_SECTIONS] = {
        [MW_FOOTER_REPLACED_FRONT] = "the first list of replaced segments",
        [MW_FOOTER_TRACES] = "the directory of traces",
        [MW_FOOTER_SESSIONS] = "the directory of sessions",
        [MW_FOOTER_TEXTS] = "the texts of the sessions",
        [MW_FOOTER_FILTERS] = "the filters",
        [MW_FOOTER_ROLLUPS] = "the roll-ups",
        [MW_FOOTER_REPLACED] = "the second list of replaced segments",
        [MW_FOOTER_REQUESTS] = "the list of requests",
        [MW_FOOTER_BLOCKS] = "the list of blocks",
        [MW_FOOTER_TRACE_FENCES] = "the fences of traces",
        [MW_FOOTER_SESSION_FENCES] = "the fences of sessions",
        [MW_FOOTER_TEXT_FENCES] = "the fences of texts",
    };
    MW_ASSERT(section < MW_FOOTER_SECTIONS);
    return names[section];
}
