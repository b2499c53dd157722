/* Footers, written. See segment_footer.h for the drawing. The merger's thread; MW_MEM_MERGE.
 *
 * Keys and texts of all blocks are collected first and sorted at the end: the blocks come in the
 * order of the file, the directories are in the order of the keys.
 */
#include <xxhash.h>

#include "lib/base/arena.h"
#include "lib/base/buffer.h"
#include "lib/base/id.h"
#include "lib/store/format/zstd_frame.h"
#include "lib/store/segment/segment_footer_int.h"

#define SLOTS_AT_FIRST 256u
#define TEXT_LEVEL 3

/* A pair of a directory; the key in halves, so that it takes 12 bytes. */
typedef struct key_pair {
    uint32_t high, low, block;
} key_pair;

typedef struct pair_list {
    key_pair *items;
    size_t count, capacity;
} pair_list;

/* Distinct texts. Open addressing with a random seed; slots hold 1 + index. */
typedef struct text_set {
    mw_arena arena;
    mw_slice *items;
    size_t count, capacity;
    uint32_t *slots; /* twice the capacity */
    uint64_t seed;
} text_set;

struct mw_footer_writer {
    mw_buffer records, filters, text_fences, out;
    pair_list pairs[MW_KEY_KINDS];
    text_set texts;
    uint32_t block_count;
    size_t text_pages;
    /* while it is put together */
    const mw_segment_header *header;
    uint64_t offset;
    mw_footer_section sections[MW_FOOTER_SECTIONS];
};

mw_err mw_footer_writer_new(mw_footer_writer **out)
{
    mw_footer_writer *writer = mw_calloc(MW_MEM_MERGE, 1, sizeof *writer);
    if (!writer)
        return MW_E_NOMEM;
    mw_buffer_init(&writer->records, MW_MEM_MERGE, MW_FOOTER_MAX);
    mw_buffer_init(&writer->filters, MW_MEM_MERGE, MW_FOOTER_MAX);
    mw_buffer_init(&writer->text_fences, MW_MEM_MERGE, MW_FOOTER_MAX);
    mw_buffer_init(&writer->out, MW_MEM_MERGE, MW_FOOTER_MAX);
    mw_arena_init(&writer->texts.arena, MW_MEM_MERGE, 0);
    mw_random_bytes(&writer->texts.seed, sizeof writer->texts.seed);
    *out = writer;
    return MW_OK;
}

void mw_footer_writer_free(mw_footer_writer *writer)
{
    if (!writer)
        return;
    mw_buffer_fini(&writer->records);
    mw_buffer_fini(&writer->filters);
    mw_buffer_fini(&writer->text_fences);
    mw_buffer_fini(&writer->out);
    for (int i = 0; i < MW_KEY_KINDS; i++)
        mw_free(MW_MEM_MERGE, writer->pairs[i].items);
    mw_arena_reset(&writer->texts.arena);
    mw_free(MW_MEM_MERGE, writer->texts.items);
    mw_free(MW_MEM_MERGE, writer->texts.slots);
    mw_free(MW_MEM_MERGE, writer);
}

size_t mw_footer_writer_bytes(const mw_footer_writer *writer)
{
    size_t bytes = writer->records.capacity + writer->filters.capacity + writer->out.capacity +
                   writer->texts.arena.used +
                   writer->texts.capacity * (sizeof(mw_slice) + 2 * sizeof(uint32_t));
    for (int i = 0; i < MW_KEY_KINDS; i++)
        bytes += writer->pairs[i].capacity * sizeof(key_pair);
    return bytes;
}

static void put_u32(mw_buffer *to, uint32_t value)
{
    unsigned char bytes[sizeof value];
    mw_put_u32(bytes, value);
    mw_buffer_append(to, bytes, sizeof bytes);
}

static void put_u64(mw_buffer *to, uint64_t value)
{
    unsigned char bytes[sizeof value];
    mw_put_u64(bytes, value);
    mw_buffer_append(to, bytes, sizeof bytes);
}

/* ---- a block's share ------------------------------------------------------------------------- */

/* The keys ascend; ids that begin alike have the same one. *added counts the distinct ones. */
static mw_err add_pairs(pair_list *list, const uint64_t *keys, size_t count, uint32_t block,
                        uint32_t *added)
{
    if (list->count + count > list->capacity) {
        size_t capacity = list->count + count + list->capacity / 2 + 64;
        key_pair *grown = mw_realloc(MW_MEM_MERGE, list->items, capacity * sizeof *grown);
        if (!grown)
            return MW_E_NOMEM;
        list->items = grown;
        list->capacity = capacity;
    }
    *added = 0;
    for (size_t i = 0; i < count; i++) {
        MW_ASSERT(i == 0 || keys[i - 1] <= keys[i]);
        if (i > 0 && keys[i - 1] == keys[i])
            continue;
        list->items[list->count++] =
            (key_pair){(uint32_t)(keys[i] >> 32), (uint32_t)keys[i], block};
        (*added)++;
    }
    return MW_OK;
}

static size_t text_slot(const text_set *set, mw_slice text)
{
    size_t mask = set->capacity * 2 - 1;
    size_t slot = XXH3_64bits_withSeed(text.data, text.len, set->seed) & mask;
    while (set->slots[slot] && !mw_slice_equal(set->items[set->slots[slot] - 1], text))
        slot = (slot + 1) & mask;
    return slot;
}

static mw_err grow_texts(text_set *set)
{
    size_t capacity = set->capacity ? set->capacity * 2 : SLOTS_AT_FIRST;
    mw_slice *items = mw_realloc(MW_MEM_MERGE, set->items, capacity * sizeof *items);
    if (items)
        set->items = items;
    uint32_t *slots = mw_calloc(MW_MEM_MERGE, capacity * 2, sizeof *slots);
    if (!items || !slots) {
        mw_free(MW_MEM_MERGE, slots);
        return MW_E_NOMEM;
    }
    mw_free(MW_MEM_MERGE, set->slots);
    set->slots = slots;
    set->capacity = capacity;
    for (size_t i = 0; i < set->count; i++)
        slots[text_slot(set, items[i])] = (uint32_t)i + 1;
    return MW_OK;
}

static mw_err add_text(text_set *set, mw_slice text)
{
    if (set->count == set->capacity) {
        mw_err err = grow_texts(set);
        if (err != MW_OK)
            return err;
    }
    size_t slot = text_slot(set, text);
    if (set->slots[slot])
        return MW_OK;
    mw_slice copy = mw_arena_copy(&set->arena, text);
    if (!copy.data)
        return MW_E_NOMEM;
    set->items[set->count] = copy;
    set->slots[slot] = (uint32_t)++set->count;
    return MW_OK;
}

/* Points carry session ids too, but make no session that one could look for. */
static mw_err add_texts(text_set *set, const mw_hot *hot)
{
    mw_err err = MW_OK;
    uint32_t last = 0;
    if (hot->signal == MW_SIGNAL_METRICS)
        return MW_OK;
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++) {
        uint32_t ref = mw_hot_ref(hot, MW_HOT_SESSION, row);
        if (ref == 0 || ref == last)
            continue;
        last = ref;
        mw_slice text = mw_hot_string(hot, ref);
        if (text.len > 0 && text.len <= MW_FOOTER_TEXT_MAX)
            err = add_text(set, text);
    }
    return err;
}

/* Header and filter are sealed at the end, when segment and place are known. */
static void put_record(mw_footer_writer *writer, const mw_index_block *entry,
                       const uint32_t pair_counts[MW_KEY_KINDS], mw_slice filter)
{
    static const mw_block_place nowhere;
    unsigned char header[MW_BLOCK_HEADER_SIZE];
    const uint64_t *services = mw_index_services(entry), *names = mw_index_names(entry);
    mw_buffer *to = &writer->records;

    mw_block_header_write(&entry->header, &nowhere, header);
    put_u64(to, entry->offset);
    mw_buffer_append(to, header, sizeof header);
    put_u32(to, entry->service_count);
    put_u32(to, entry->name_count);
    put_u32(to, pair_counts[MW_KEYS_TRACES]);
    put_u32(to, pair_counts[MW_KEYS_SESSIONS]);
    put_u64(to, writer->filters.len);
    put_u64(to, filter.len);
    put_u64(to, 0);
    for (uint32_t i = 0; i < entry->service_count; i++)
        put_u64(to, services[i]);
    for (uint32_t i = 0; i < entry->name_count; i++)
        put_u64(to, names[i]);
}

mw_err mw_footer_writer_block(mw_footer_writer *writer, const mw_index_block *entry,
                              const mw_hot *hot, mw_slice filter)
{
    uint32_t pair_counts[MW_KEY_KINDS];
    uint32_t number = writer->block_count;

    MW_ASSERT(!entry->keys_in_footer && hot->count == entry->header.item_count);
    if (number == UINT32_MAX)
        return MW_E_LIMIT;
    mw_err err = add_pairs(&writer->pairs[MW_KEYS_TRACES], mw_index_traces(entry),
                           entry->trace_count, number, &pair_counts[MW_KEYS_TRACES]);
    if (err == MW_OK)
        err = add_pairs(&writer->pairs[MW_KEYS_SESSIONS], mw_index_sessions(entry),
                        entry->session_count, number, &pair_counts[MW_KEYS_SESSIONS]);
    if (err == MW_OK)
        err = add_texts(&writer->texts, hot);
    if (err != MW_OK)
        return err;
    put_record(writer, entry, pair_counts, filter);
    mw_buffer_append_slice(&writer->filters, filter);
    writer->block_count++;
    return writer->records.err != MW_OK ? writer->records.err : writer->filters.err;
}

/* ---- sections -------------------------------------------------------------------------------- */

/* Where the next byte will lie in the file. */
static uint64_t place_now(const mw_footer_writer *writer)
{
    return writer->offset + writer->out.len;
}

static uint64_t checksum_at(const mw_footer_writer *writer, const void *bytes, size_t len,
                            uint64_t offset)
{
    return XXH3_64bits_withSeed(bytes, len,
                                mw_footer_seed(writer->header->salt, writer->header->id, offset));
}

static void begin_section(mw_footer_writer *writer, unsigned section)
{
    writer->sections[section].offset = place_now(writer);
}

static void end_section(mw_footer_writer *writer, unsigned section)
{
    mw_footer_section *ended = &writer->sections[section];
    ended->length = place_now(writer) - ended->offset;
    if (writer->out.err == MW_OK && ended->length > 0)
        ended->checksum = checksum_at(writer, writer->out.data + (ended->offset - writer->offset),
                                      (size_t)ended->length, ended->offset);
    else
        ended->checksum = checksum_at(writer, "", 0, ended->offset);
}

static void put_section(mw_footer_writer *writer, unsigned section, mw_slice bytes)
{
    begin_section(writer, section);
    mw_buffer_append_slice(&writer->out, bytes);
    end_section(writer, section);
}

static void put_replaced(mw_footer_writer *writer, unsigned section, const mw_footer_facts *facts)
{
    mw_buffer *out = &writer->out;
    begin_section(writer, section);
    size_t from = out->len;
    mw_buffer_append(out, MW_REPLACED_MAGIC, 8);
    put_u64(out, facts->replaced_count);
    put_u64(out, facts->end_count);
    for (size_t i = 0; i < facts->replaced_count; i++)
        put_u64(out, facts->replaced[i]);
    for (size_t i = 0; i < facts->end_count; i++) {
        put_u64(out, facts->ends[i].segment_id);
        put_u64(out, facts->ends[i].end);
    }
    if (out->err == MW_OK)
        put_u64(out, XXH3_64bits_withSeed(out->data + from, out->len - from, writer->header->id));
    end_section(writer, section);
}

static void put_requests(mw_footer_writer *writer, const mw_footer_facts *facts)
{
    begin_section(writer, MW_FOOTER_REQUESTS);
    for (size_t i = 0; i < facts->request_count; i++) {
        mw_buffer_append(&writer->out, facts->requests[i].digest, 16);
        put_u64(&writer->out, facts->requests[i].arrival_ns);
    }
    end_section(writer, MW_FOOTER_REQUESTS);
}

/* ---- directories ----------------------------------------------------------------------------- */

static uint64_t key_of(const key_pair *pair)
{
    return (uint64_t)pair->high << 32 | pair->low;
}

static int pair_compare(const void *left, const void *right)
{
    const key_pair *a = left, *b = right;
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    if (a->low != b->low)
        return a->low < b->low ? -1 : 1;
    return a->block < b->block ? -1 : a->block > b->block;
}

static void put_page(mw_footer_writer *writer, const key_pair *pairs, size_t count)
{
    unsigned char *at =
        (unsigned char *)mw_buffer_reserve(&writer->out, count * MW_FOOTER_PAIR_SIZE);
    if (!at)
        return;
    for (size_t i = 0; i < count; i++, at += MW_FOOTER_PAIR_SIZE) {
        mw_put_u64(at, key_of(&pairs[i]));
        mw_put_u32(at + 8, pairs[i].block);
    }
    writer->out.len += count * MW_FOOTER_PAIR_SIZE;
}

static void put_directory(mw_footer_writer *writer, unsigned section, mw_key_kind kind)
{
    pair_list *list = &writer->pairs[kind];
    begin_section(writer, section);
    if (list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, pair_compare);
    for (size_t i = 0; i < list->count; i += MW_FOOTER_PAGE_PAIRS) {
        size_t left = list->count - i;
        put_page(writer, list->items + i,
                 left < MW_FOOTER_PAGE_PAIRS ? left : MW_FOOTER_PAGE_PAIRS);
    }
    end_section(writer, section);
}

static void put_fences(mw_footer_writer *writer, unsigned section, unsigned directory,
                       mw_key_kind kind)
{
    const pair_list *list = &writer->pairs[kind];
    uint64_t offset = writer->sections[directory].offset;
    begin_section(writer, section);
    for (size_t i = 0; i < list->count && writer->out.err == MW_OK; i += MW_FOOTER_PAGE_PAIRS) {
        size_t left = list->count - i;
        size_t len =
            (left < MW_FOOTER_PAGE_PAIRS ? left : MW_FOOTER_PAGE_PAIRS) * MW_FOOTER_PAIR_SIZE;
        uint64_t checksum =
            checksum_at(writer, writer->out.data + (offset - writer->offset), len, offset);
        put_u64(&writer->out, key_of(&list->items[i]));
        put_u64(&writer->out, checksum);
        offset += len;
    }
    end_section(writer, section);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static int text_compare(const void *left, const void *right)
{
    return mw_slice_compare(*(const mw_slice *)left, *(const mw_slice *)right);
}

/* One that does not shrink stays as it is. */
static mw_err put_text_page(mw_footer_writer *writer, mw_zstd *zstd, const mw_buffer *page,
                            mw_slice first)
{
    uint64_t offset = place_now(writer);
    mw_buffer *fences = &writer->text_fences, *out = &writer->out;
    size_t shown = first.len < MW_FOOTER_FIRST_MAX ? first.len : MW_FOOTER_FIRST_MAX;
    size_t stored = 0;
    char *at = mw_buffer_reserve(out, mw_zstd_room(page->len));

    if (page->err != MW_OK || !at)
        return page->err != MW_OK ? page->err : out->err;
    mw_err err = mw_zstd_pack(zstd, TEXT_LEVEL, page->data, page->len, at, &stored);
    if (err != MW_OK)
        return err;
    bool packed = stored < page->len;
    if (!packed) {
        memcpy(at, page->data, page->len);
        stored = page->len;
    }
    put_u32(fences, (uint32_t)stored);
    put_u32(fences, (uint32_t)page->len);
    put_u64(fences, checksum_at(writer, at, stored, offset));
    mw_buffer_append_byte(fences, (char)packed);
    mw_buffer_append_byte(fences, (char)shown);
    out->len += stored;
    mw_buffer_append(fences, first.data, shown);
    writer->text_pages++;
    return fences->err;
}

static mw_err put_texts(mw_footer_writer *writer)
{
    text_set *set = &writer->texts;
    mw_zstd zstd = {0};
    mw_buffer page;
    size_t first = 0;
    mw_err err = MW_OK;

    mw_buffer_init(&page, MW_MEM_MERGE, MW_FOOTER_TEXT_PAGE + MW_FOOTER_TEXT_MAX + 2);
    if (set->count > 1)
        qsort(set->items, set->count, sizeof *set->items, text_compare);
    begin_section(writer, MW_FOOTER_TEXTS);
    for (size_t i = 0; err == MW_OK && i < set->count; i++) {
        unsigned char len[2];
        mw_put_u16(len, (uint16_t)set->items[i].len);
        mw_buffer_append(&page, len, sizeof len);
        mw_buffer_append_slice(&page, set->items[i]);
        if (page.len < MW_FOOTER_TEXT_PAGE && page.err == MW_OK && i + 1 < set->count)
            continue;
        err = put_text_page(writer, &zstd, &page, set->items[first]);
        mw_buffer_clear(&page);
        first = i + 1;
    }
    mw_buffer_fini(&page);
    mw_zstd_fini(&zstd);
    end_section(writer, MW_FOOTER_TEXTS);
    return err;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Headers and filters get the checksums of their places. */
static void seal_records(mw_footer_writer *writer)
{
    static const mw_block_place nowhere;
    const mw_segment_header *segment = writer->header;
    const uint64_t filters = writer->sections[MW_FOOTER_FILTERS].offset;
    unsigned char *at = (unsigned char *)writer->records.data;
    unsigned char *end = at + writer->records.len;

    while (at < end) {
        mw_block_header header;
        const mw_block_place place = {segment->salt, segment->id, mw_get_u64(at)};
        uint64_t filter = mw_get_u64(at + 152), len = mw_get_u64(at + 160);
        const char *bytes = len ? writer->filters.data + filter : "";
        mw_err whole = mw_block_header_read(at + 8, &nowhere, &header);
        MW_ASSERT(whole == MW_OK);
        mw_block_header_write(&header, &place, at + 8);
        mw_put_u64(at + 168, checksum_at(writer, bytes, (size_t)len, filters + filter));
        at += MW_FOOTER_RECORD_SIZE + 8 * ((size_t)mw_get_u32(at + 136) + mw_get_u32(at + 140));
    }
}

static void put_trailer(mw_footer_writer *writer, const mw_footer_facts *facts)
{
    unsigned char trailer[MW_FOOTER_TRAILER_SIZE] = {0};
    memcpy(trailer, MW_FOOTER_MAGIC, 8);
    mw_put_u32(trailer + 8, MW_FOOTER_VERSION);
    mw_put_u32(trailer + 12, MW_FOOTER_SECTIONS);
    mw_put_u64(trailer + 16, writer->header->id);
    mw_put_u64(trailer + 24, writer->offset);
    mw_put_u64(trailer + 32, facts->arrival_max_ns);
    mw_put_u64(trailer + 40, facts->last_seq);
    mw_put_u64(trailer + 48, writer->block_count);
    mw_put_u64(trailer + 56, writer->pairs[MW_KEYS_TRACES].count);
    mw_put_u64(trailer + 64, writer->pairs[MW_KEYS_SESSIONS].count);
    mw_put_u64(trailer + 72, writer->text_pages);
    unsigned char *at = trailer + MW_FOOTER_SECTION_TABLE;
    for (size_t i = 0; i < MW_FOOTER_SECTIONS; i++, at += MW_FOOTER_SECTION_SIZE) {
        mw_put_u64(at, writer->sections[i].offset);
        mw_put_u64(at + 8, writer->sections[i].length);
        mw_put_u64(at + 16, writer->sections[i].checksum);
    }
    mw_put_u64(trailer + 368, facts->key_check);
    const size_t checked = sizeof trailer - 8;
    mw_put_u64(trailer + checked, checksum_at(writer, trailer, checked, place_now(writer)));
    mw_buffer_append(&writer->out, trailer, sizeof trailer);
}

mw_err mw_footer_writer_finish(mw_footer_writer *writer, const mw_segment_header *header,
                               uint64_t offset, const mw_footer_facts *facts, mw_slice *out)
{
    MW_ASSERT(writer->out.len == 0 && writer->block_count > 0);
    writer->header = header;
    writer->offset = offset;
    put_replaced(writer, MW_FOOTER_REPLACED_FRONT, facts);
    put_directory(writer, MW_FOOTER_TRACES, MW_KEYS_TRACES);
    put_directory(writer, MW_FOOTER_SESSIONS, MW_KEYS_SESSIONS);
    mw_err err = put_texts(writer);
    if (err != MW_OK)
        return err;
    put_section(writer, MW_FOOTER_FILTERS, mw_buffer_slice(&writer->filters));
    put_section(writer, MW_FOOTER_ROLLUPS, facts->rollups);
    put_replaced(writer, MW_FOOTER_REPLACED, facts);
    put_requests(writer, facts);
    seal_records(writer);
    put_section(writer, MW_FOOTER_BLOCKS, mw_buffer_slice(&writer->records));
    put_fences(writer, MW_FOOTER_TRACE_FENCES, MW_FOOTER_TRACES, MW_KEYS_TRACES);
    put_fences(writer, MW_FOOTER_SESSION_FENCES, MW_FOOTER_SESSIONS, MW_KEYS_SESSIONS);
    put_section(writer, MW_FOOTER_TEXT_FENCES, mw_buffer_slice(&writer->text_fences));
    put_trailer(writer, facts);
    *out = mw_buffer_slice(&writer->out);
    return writer->out.err;
}
