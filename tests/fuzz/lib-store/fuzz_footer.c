/* Fuzz target: bytes as the footer of a merged segment.
 *
 * Input: 2 bytes, where the blocks end (in steps of 8 behind the header); then the footer, from its
 * first section to its trailer. Checksums would stop every mutation at the door, so they are put
 * right first, from the inside out: of pages, block headers, lists of replaced segments, sections,
 * trailer; the sections' places follow from their lengths, of which the last gets what is left.
 * What stands behind the checksums must hold by itself. Oracle: nothing reads out of bounds
 * (sanitizers), nothing stays allocated, a look-up of a key says what the walk through the
 * directory says, texts begin with what was asked for.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xxhash.h>

#include "lib/store/segment/segment_footer_int.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_MAX_HERE ((size_t)256 << 10)
#define PAIRS_MAX 20000u

static const mw_segment_header segment = {.id = 5, .salt = 3, .kind = MW_SEGMENT_MERGED};

typedef struct footer_bytes {
    unsigned char *data; /* of the footer */
    size_t len;
    uint64_t begin; /* in the file */
    size_t at[MW_FOOTER_SECTIONS + 1];
} footer_bytes;

/* ---- putting right --------------------------------------------------------------------------- */

static uint64_t checksum_of(const footer_bytes *bytes, size_t at, size_t len)
{
    uint64_t seed = mw_footer_seed(segment.salt, segment.id, bytes->begin + at);
    return XXH3_64bits_withSeed(bytes->data + at, len, seed);
}

static void place_sections(footer_bytes *bytes)
{
    size_t trailer = bytes->len - MW_FOOTER_TRAILER_SIZE, at = 0;
    unsigned char *table = bytes->data + trailer + MW_FOOTER_SECTION_TABLE;
    for (unsigned i = 0; i < MW_FOOTER_SECTIONS; i++, table += MW_FOOTER_SECTION_SIZE) {
        uint64_t len = mw_get_u64(table + 8);
        if (len > trailer - at || i + 1 == MW_FOOTER_SECTIONS)
            len = trailer - at;
        bytes->at[i] = at;
        mw_put_u64(table, bytes->begin + at);
        mw_put_u64(table + 8, len);
        at += (size_t)len;
    }
    bytes->at[MW_FOOTER_SECTIONS] = at;
}

static size_t section_len(const footer_bytes *bytes, unsigned section)
{
    return bytes->at[section + 1] - bytes->at[section];
}

static void mend_replaced(footer_bytes *bytes, unsigned section)
{
    size_t len = section_len(bytes, section);
    unsigned char *at = bytes->data + bytes->at[section];
    if (len >= 8)
        mw_put_u64(at + len - 8, XXH3_64bits_withSeed(at, len - 8, segment.id));
}

static void mend_fences(footer_bytes *bytes, unsigned directory, unsigned fences)
{
    size_t len = section_len(bytes, directory), page = 0;
    for (size_t i = 0; (i + 1) * MW_FOOTER_FENCE_SIZE <= section_len(bytes, fences) && page < len;
         i++, page += MW_FOOTER_PAGE_SIZE) {
        size_t left = len - page;
        mw_put_u64(bytes->data + bytes->at[fences] + i * MW_FOOTER_FENCE_SIZE + 8,
                   checksum_of(bytes, bytes->at[directory] + page,
                               left < MW_FOOTER_PAGE_SIZE ? left : MW_FOOTER_PAGE_SIZE));
    }
}

static void mend_texts(footer_bytes *bytes)
{
    size_t texts = section_len(bytes, MW_FOOTER_TEXTS), page = 0, at = 0;
    size_t fences = section_len(bytes, MW_FOOTER_TEXT_FENCES);
    while (fences - at >= MW_FOOTER_TEXT_FENCE_SIZE) {
        unsigned char *fence = bytes->data + bytes->at[MW_FOOTER_TEXT_FENCES] + at;
        size_t stored = mw_get_u32(fence), first = fence[17];
        if (stored > texts - page || first > fences - at - MW_FOOTER_TEXT_FENCE_SIZE)
            return;
        mw_put_u64(fence + 8, checksum_of(bytes, bytes->at[MW_FOOTER_TEXTS] + page, stored));
        page += stored;
        at += MW_FOOTER_TEXT_FENCE_SIZE + first;
    }
}

static void mend_blocks(footer_bytes *bytes)
{
    size_t len = section_len(bytes, MW_FOOTER_BLOCKS), at = 0;
    size_t filters = section_len(bytes, MW_FOOTER_FILTERS);
    while (len - at >= MW_FOOTER_RECORD_SIZE) {
        unsigned char *record = bytes->data + bytes->at[MW_FOOTER_BLOCKS] + at;
        const mw_block_place place = {segment.salt, segment.id, mw_get_u64(record)};
        uint64_t filter = mw_get_u64(record + 152), filter_len = mw_get_u64(record + 160);
        uint64_t keys = (uint64_t)mw_get_u32(record + 136) + mw_get_u32(record + 140);
        mw_put_u64(record + 128, XXH3_64bits_withSeed(record + 8, 120, mw_place_seed(&place)));
        if (filter <= filters && filter_len <= filters - filter)
            mw_put_u64(record + 168,
                       checksum_of(bytes, bytes->at[MW_FOOTER_FILTERS] + (size_t)filter,
                                   (size_t)filter_len));
        if (keys > (len - at - MW_FOOTER_RECORD_SIZE) / 8)
            return;
        at += MW_FOOTER_RECORD_SIZE + 8 * (size_t)keys;
    }
}

static void mend(footer_bytes *bytes)
{
    size_t trailer = bytes->len - MW_FOOTER_TRAILER_SIZE;
    unsigned char *table = bytes->data + trailer + MW_FOOTER_SECTION_TABLE;
    place_sections(bytes);
    mend_replaced(bytes, MW_FOOTER_REPLACED_FRONT);
    mend_replaced(bytes, MW_FOOTER_REPLACED);
    mend_fences(bytes, MW_FOOTER_TRACES, MW_FOOTER_TRACE_FENCES);
    mend_fences(bytes, MW_FOOTER_SESSIONS, MW_FOOTER_SESSION_FENCES);
    mend_texts(bytes);
    mend_blocks(bytes);
    for (unsigned i = 0; i < MW_FOOTER_SECTIONS; i++, table += MW_FOOTER_SECTION_SIZE)
        mw_put_u64(table + 16, checksum_of(bytes, bytes->at[i], section_len(bytes, i)));
    mw_put_u64(bytes->data + trailer + 16, segment.id);
    mw_put_u64(bytes->data + trailer + 24, bytes->begin);
    mw_put_u64(bytes->data + bytes->len - 8,
               checksum_of(bytes, trailer, MW_FOOTER_TRAILER_SIZE - 8));
}

/* ---- asking ---------------------------------------------------------------------------------- */

typedef struct pairs_seen {
    uint64_t keys[PAIRS_MAX];
    uint32_t blocks[PAIRS_MAX];
    size_t count, found;
    size_t asked; /* index of the key that is looked up */
    size_t block_count;
} pairs_seen;

static mw_err see_pair(void *ctx, uint64_t key, uint32_t block)
{
    pairs_seen *seen = ctx;
    CHECK(block < seen->block_count);
    if (seen->count == PAIRS_MAX)
        return MW_E_LIMIT;
    CHECK(seen->count == 0 || seen->keys[seen->count - 1] <= key);
    seen->keys[seen->count] = key;
    seen->blocks[seen->count++] = block;
    return MW_OK;
}

static void see_block(void *ctx, uint32_t block)
{
    pairs_seen *seen = ctx;
    bool known = false;
    for (size_t i = seen->asked; i < seen->count && seen->keys[i] == seen->keys[seen->asked]; i++)
        known |= seen->blocks[i] == block;
    CHECK(known);
    seen->found++;
}

static void ask_directory(const mw_footer *footer, int fd, mw_key_kind kind)
{
    static pairs_seen seen;
    seen.count = 0;
    seen.block_count = footer->block_count;
    mw_err err = mw_footer_each_key(footer, fd, kind, see_pair, &seen);
    CHECK(err == MW_OK || err == MW_E_CORRUPT || err == MW_E_LIMIT);
    if (err != MW_OK)
        return;
    for (size_t at = 0, run; at < seen.count; at += run) {
        for (run = 1; at + run < seen.count && seen.keys[at + run] == seen.keys[at]; run++)
            ;
        if (at % 7 != 0)
            continue;
        seen.asked = at;
        seen.found = 0;
        CHECK(mw_footer_find(footer, fd, kind, &seen.keys[at], 1, see_block, &seen) == MW_OK);
        CHECK(seen.found == run);
    }
}

static void see_text(void *ctx, mw_slice text)
{
    const mw_slice *prefix = ctx;
    CHECK(mw_slice_starts(text, *prefix));
}

static void ask_texts(const mw_footer *footer, int fd)
{
    mw_slice prefixes[] = {MW_SLICE_NONE, MW_SLICE("s"), MW_SLICE("session-1"),
                           footer->text_page_count ? footer->text_pages[0].first : MW_SLICE("x")};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        mw_err err = mw_footer_session_texts(footer, fd, prefixes[i], 1000, see_text, &prefixes[i]);
        CHECK(err == MW_OK || err == MW_E_CORRUPT);
    }
}

static void ask(mw_footer *footer, int fd)
{
    char *data;
    size_t len;
    ask_directory(footer, fd, MW_KEYS_TRACES);
    ask_directory(footer, fd, MW_KEYS_SESSIONS);
    ask_texts(footer, fd);
    for (uint32_t i = 0; i < footer->block_count; i++) {
        CHECK(mw_footer_filter(footer, fd, i, &data, &len) == MW_OK);
        mw_free(MW_MEM_QUERY, data);
    }
    CHECK(mw_footer_rollups(footer, fd, &data, &len) == MW_OK);
    mw_free(MW_MEM_QUERY, data);
    for (unsigned i = 0; i < MW_FOOTER_SECTIONS; i++)
        CHECK(mw_footer_check_section(footer, fd, i) == MW_OK);
    mw_footer_forget_requests(footer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mw_segment_header header = segment;
    mw_footer *footer = NULL;
    mw_index_block **blocks = NULL;
    mw_footer_replaced replaced;
    size_t count = 0;

    if (size < 2 + MW_FOOTER_TRAILER_SIZE || size > SIZE_MAX_HERE)
        return 0;
    header.durable_end = MW_SEGMENT_HEADER_SIZE + 8u * (uint64_t)mw_get_u16(data);
    footer_bytes bytes = {.len = size - 2, .begin = header.durable_end};
    bytes.data = malloc(bytes.len);
    memcpy(bytes.data, data + 2, bytes.len);
    mend(&bytes);
    uint64_t end = header.durable_end + bytes.len;
    int fd = memfd_create("footer", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(pwrite(fd, bytes.data, bytes.len, (off_t)header.durable_end) == (ssize_t)bytes.len);
    size_t before = mw_memory_used();
    mw_err err = mw_footer_load(fd, end, &header, &footer, &blocks, &count);
    CHECK(err == MW_OK || err == MW_E_CORRUPT);
    if (err == MW_OK) {
        CHECK(count == footer->block_count);
        ask(footer, fd);
        mw_footer_free(footer);
        for (size_t i = 0; i < count; i++)
            mw_free(MW_MEM_STORE, blocks[i]);
        mw_free(MW_MEM_STORE, blocks);
    }
    err = mw_footer_read_replaced(fd, end, &header, &replaced);
    CHECK(err == MW_OK || err == MW_E_CORRUPT);
    mw_footer_replaced_fini(&replaced);
    CHECK(mw_memory_used() == before);
    close(fd);
    free(bytes.data);
    return 0;
}
