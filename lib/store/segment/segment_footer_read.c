/* Footers, loaded at start. See segment_footer.h for the drawing; segment_footer_find.c asks them.
 *
 * The bytes come from disk and may be anything: places and lengths are checked before anything is
 * allocated or read by them, in 64-bit arithmetic, and every section against its checksum before it
 * is believed. Any thread; what is made is MW_MEM_STORE.
 */
#include <xxhash.h>

#include "lib/store/segment/pread_all.h"
#include "lib/store/segment/segment_footer_int.h"

/* The resident sections, together: blocks, fences, requests. */
#define RESIDENT_MAX ((uint64_t)256 << 20)
#define RESIDENT_FIRST MW_FOOTER_REPLACED

typedef struct loading {
    int fd;
    uint64_t size; /* of the file */
    const mw_segment_header *header;
    mw_footer *footer;
    uint64_t text_page_count;
    char *resident; /* the bytes from RESIDENT_FIRST to the trailer */
    mw_index_block **blocks;
    size_t made; /* of them */
} loading;

static bool checks(const mw_footer *footer, const void *bytes, size_t len, uint64_t offset,
                   uint64_t checksum)
{
    uint64_t seed = mw_footer_seed(footer->salt, footer->segment_id, offset);
    return XXH3_64bits_withSeed(bytes, len, seed) == checksum;
}

/* ---- trailer --------------------------------------------------------------------------------- */

/* One behind the other, from the end of the blocks to the trailer. */
static bool sections_fit(const loading *load)
{
    const mw_footer *footer = load->footer;
    uint64_t at = load->header->durable_end;
    uint64_t end = load->size - MW_FOOTER_TRAILER_SIZE;

    for (size_t i = 0; i < MW_FOOTER_SECTIONS; i++) {
        const mw_footer_section *section = &footer->sections[i];
        if (section->offset != at || section->length > end - at)
            return false;
        at += section->length;
    }
    return at == end && end - footer->sections[RESIDENT_FIRST].offset <= RESIDENT_MAX;
}

static bool directory_fits(const mw_footer *footer, mw_key_kind kind, unsigned section,
                           unsigned fences)
{
    uint64_t pairs = footer->directories[kind].pair_count;
    uint64_t pages = pairs / MW_FOOTER_PAGE_PAIRS + (pairs % MW_FOOTER_PAGE_PAIRS != 0);
    return pairs <= MW_FOOTER_MAX &&
           footer->sections[section].length == pairs * MW_FOOTER_PAIR_SIZE &&
           footer->sections[fences].length == pages * MW_FOOTER_FENCE_SIZE;
}

/* Do the counts agree with the sections that hold so many? */
static bool counts_fit(const loading *load)
{
    const mw_footer *footer = load->footer;
    const mw_footer_section *sections = footer->sections;
    return footer->block_count > 0 &&
           footer->block_count <= sections[MW_FOOTER_BLOCKS].length / MW_FOOTER_RECORD_SIZE &&
           load->text_page_count <=
               sections[MW_FOOTER_TEXT_FENCES].length / MW_FOOTER_TEXT_FENCE_SIZE &&
           sections[MW_FOOTER_REQUESTS].length % MW_FOOTER_REQUEST_SIZE == 0 &&
           directory_fits(footer, MW_KEYS_TRACES, MW_FOOTER_TRACES, MW_FOOTER_TRACE_FENCES) &&
           directory_fits(footer, MW_KEYS_SESSIONS, MW_FOOTER_SESSIONS, MW_FOOTER_SESSION_FENCES);
}

static mw_err read_trailer(loading *load)
{
    unsigned char bytes[MW_FOOTER_TRAILER_SIZE];
    const size_t checked = sizeof bytes - 8;
    mw_footer *footer = load->footer;
    uint64_t least = load->header->durable_end;

    if (load->size < least || load->size - least < sizeof bytes)
        return MW_E_CORRUPT;
    uint64_t at = load->size - sizeof bytes;
    mw_err err = mw_pread_all(load->fd, bytes, sizeof bytes, at);
    if (err != MW_OK)
        return err;
    if (memcmp(bytes, MW_FOOTER_MAGIC, 8) != 0 || mw_get_u32(bytes + 8) != MW_FOOTER_VERSION ||
        mw_get_u32(bytes + 12) != MW_FOOTER_SECTIONS ||
        mw_get_u64(bytes + 16) != load->header->id || mw_get_u64(bytes + 24) != least ||
        !checks(footer, bytes, checked, at, mw_get_u64(bytes + checked)))
        return MW_E_CORRUPT;
    footer->arrival_max_ns = mw_get_u64(bytes + 32);
    footer->last_seq = mw_get_u64(bytes + 40);
    footer->key_check = mw_get_u64(bytes + 368);
    footer->block_count = mw_get_u64(bytes + 48);
    footer->directories[MW_KEYS_TRACES].pair_count = mw_get_u64(bytes + 56);
    footer->directories[MW_KEYS_SESSIONS].pair_count = mw_get_u64(bytes + 64);
    load->text_page_count = mw_get_u64(bytes + 72);
    const unsigned char *table = bytes + MW_FOOTER_SECTION_TABLE;
    for (size_t i = 0; i < MW_FOOTER_SECTIONS; i++, table += MW_FOOTER_SECTION_SIZE)
        footer->sections[i] =
            (mw_footer_section){mw_get_u64(table), mw_get_u64(table + 8), mw_get_u64(table + 16)};
    return sections_fit(load) && counts_fit(load) ? MW_OK : MW_E_CORRUPT;
}

/* ---- replaced -------------------------------------------------------------------------------- */

/* Bytes of the whole, by the two counts in front; 0 when it cannot be that much. */
static uint64_t replaced_size(const char *front, uint64_t room)
{
    uint64_t ids = mw_get_u64(front + 8), ends = mw_get_u64(front + 16);
    room = room < RESIDENT_MAX ? room : RESIDENT_MAX;
    if (memcmp(front, MW_REPLACED_MAGIC, 8) != 0 || ids > room / 8 ||
        ends > room / MW_REPLACED_END_SIZE)
        return 0;
    uint64_t size = MW_REPLACED_FRONT + 8 * ids + MW_REPLACED_END_SIZE * ends + 8;
    return size <= room ? size : 0;
}

/* `bytes` is a whole section. */
static mw_err take_replaced(mw_slice bytes, uint64_t segment_id, mw_footer_replaced *out)
{
    if (bytes.len < MW_REPLACED_FRONT || replaced_size(bytes.data, bytes.len) != bytes.len)
        return MW_E_CORRUPT;
    size_t checked = bytes.len - 8;
    if (XXH3_64bits_withSeed(bytes.data, checked, segment_id) != mw_get_u64(bytes.data + checked))
        return MW_E_CORRUPT;
    out->count = (size_t)mw_get_u64(bytes.data + 8);
    out->end_count = (size_t)mw_get_u64(bytes.data + 16);
    out->ids = mw_alloc(MW_MEM_STORE, (out->count + 1) * sizeof *out->ids);
    out->ends = mw_alloc(MW_MEM_STORE, (out->end_count + 1) * sizeof *out->ends);
    if (!out->ids || !out->ends) {
        mw_footer_replaced_fini(out);
        return MW_E_NOMEM;
    }
    const char *at = bytes.data + MW_REPLACED_FRONT;
    for (size_t i = 0; i < out->count; i++, at += 8)
        out->ids[i] = mw_get_u64(at);
    for (size_t i = 0; i < out->end_count; i++, at += MW_REPLACED_END_SIZE)
        out->ends[i] = (mw_footer_end){mw_get_u64(at), mw_get_u64(at + 8)};
    return MW_OK;
}

void mw_footer_replaced_fini(mw_footer_replaced *replaced)
{
    mw_free(MW_MEM_STORE, replaced->ids);
    mw_free(MW_MEM_STORE, replaced->ends);
    *replaced = (mw_footer_replaced){0};
}

/* The copy at `at`, which tells its own length. */
static mw_err read_copy(int fd, uint64_t size, uint64_t at, uint64_t segment_id,
                        mw_footer_replaced *out)
{
    char front[MW_REPLACED_FRONT];

    if (size < at || size - at < sizeof front)
        return MW_E_CORRUPT;
    mw_err err = mw_pread_all(fd, front, sizeof front, at);
    if (err != MW_OK)
        return err;
    size_t len = (size_t)replaced_size(front, size - at);
    if (len == 0)
        return MW_E_CORRUPT;
    char *bytes = mw_alloc(MW_MEM_STORE, len);
    if (!bytes)
        return MW_E_NOMEM;
    err = mw_pread_all(fd, bytes, len, at);
    if (err == MW_OK)
        err = take_replaced(mw_slice_bytes(bytes, len), segment_id, out);
    mw_free(MW_MEM_STORE, bytes);
    return err;
}

/* ---- resident sections ----------------------------------------------------------------------- */

/* A section of those that were read; checked. */
static mw_err resident(const loading *load, unsigned section, mw_slice *out)
{
    const mw_footer_section *place = &load->footer->sections[section];
    const char *bytes =
        load->resident + (place->offset - load->footer->sections[RESIDENT_FIRST].offset);
    *out = mw_slice_bytes(bytes, (size_t)place->length);
    return checks(load->footer, bytes, (size_t)place->length, place->offset, place->checksum)
               ? MW_OK
               : MW_E_CORRUPT;
}

static mw_err take_requests(mw_slice bytes, mw_footer_request **requests, size_t *count)
{
    size_t there = bytes.len / MW_FOOTER_REQUEST_SIZE;
    mw_footer_request *list = mw_alloc(MW_MEM_STORE, (there + 1) * sizeof *list);
    if (!list)
        return MW_E_NOMEM;
    for (size_t i = 0; i < there; i++) {
        const char *at = bytes.data + i * MW_FOOTER_REQUEST_SIZE;
        memcpy(list[i].digest, at, 16);
        list[i].arrival_ns = mw_get_u64(at + 16);
    }
    *requests = list;
    *count = there;
    return MW_OK;
}

static mw_err load_requests(loading *load)
{
    mw_slice bytes;
    mw_err err = resident(load, MW_FOOTER_REQUESTS, &bytes);
    if (err == MW_OK)
        err = take_requests(bytes, &load->footer->requests, &load->footer->request_count);
    return err;
}

static mw_err load_fences(loading *load, mw_key_kind kind, unsigned directory, unsigned section)
{
    mw_footer_directory *out = &load->footer->directories[kind];
    mw_slice bytes;
    mw_err err = resident(load, section, &bytes);
    if (err != MW_OK)
        return err;
    size_t count = bytes.len / MW_FOOTER_FENCE_SIZE;
    out->offset = load->footer->sections[directory].offset;
    out->fences = mw_alloc(MW_MEM_STORE, (count + 1) * sizeof *out->fences);
    if (!out->fences)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *at = bytes.data + i * MW_FOOTER_FENCE_SIZE;
        out->fences[i] = (mw_footer_fence){mw_get_u64(at), mw_get_u64(at + 8)};
        if (i > 0 && out->fences[i].first_key < out->fences[i - 1].first_key)
            return MW_E_CORRUPT;
    }
    out->page_count = count;
    return MW_OK;
}

/* One page's fence off the front of *bytes; its place follows from those before. */
static bool take_text_page(mw_slice *bytes, uint64_t offset, mw_footer_text_page *out)
{
    if (bytes->len < MW_FOOTER_TEXT_FENCE_SIZE)
        return false;
    const char *at = bytes->data;
    size_t first = (unsigned char)at[17];
    *out = (mw_footer_text_page){.offset = offset,
                                 .stored = mw_get_u32(at),
                                 .raw = mw_get_u32(at + 4),
                                 .checksum = mw_get_u64(at + 8),
                                 .packed = at[16] == 1};
    if (first > MW_FOOTER_FIRST_MAX || bytes->len - MW_FOOTER_TEXT_FENCE_SIZE < first)
        return false;
    out->first = mw_slice_bytes(at + MW_FOOTER_TEXT_FENCE_SIZE, first);
    *bytes = mw_slice_from(*bytes, MW_FOOTER_TEXT_FENCE_SIZE + first);
    return out->stored > 0 && out->raw <= MW_FOOTER_TEXT_PAGE + MW_FOOTER_TEXT_MAX + 2 &&
           (out->packed ? out->stored < out->raw : at[16] == 0 && out->stored == out->raw);
}

static mw_err load_text_fences(loading *load)
{
    mw_footer *footer = load->footer;
    const mw_footer_section *texts = &footer->sections[MW_FOOTER_TEXTS];
    size_t count = (size_t)load->text_page_count;
    uint64_t at = texts->offset;
    mw_slice bytes;
    mw_err err = resident(load, MW_FOOTER_TEXT_FENCES, &bytes);
    if (err != MW_OK)
        return err;
    footer->text_firsts = mw_alloc(MW_MEM_STORE, bytes.len + 1);
    footer->text_pages = mw_alloc(MW_MEM_STORE, (count + 1) * sizeof *footer->text_pages);
    if (!footer->text_firsts || !footer->text_pages)
        return MW_E_NOMEM;
    if (bytes.len)
        memcpy(footer->text_firsts, bytes.data, bytes.len);
    bytes.data = footer->text_firsts;
    for (size_t i = 0; i < count; i++) {
        mw_footer_text_page *page = &footer->text_pages[i];
        if (!take_text_page(&bytes, at, page) ||
            page->stored > texts->offset + texts->length - at ||
            (i > 0 && mw_slice_compare(page->first, page[-1].first) < 0))
            return MW_E_CORRUPT;
        at += page->stored;
    }
    footer->text_page_count = count;
    return bytes.len == 0 && at == texts->offset + texts->length ? MW_OK : MW_E_CORRUPT;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool ascends(const char *keys, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (mw_get_u64(keys + 8 * (i - 1)) > mw_get_u64(keys + 8 * i))
            return false;
    return true;
}

static bool filter_fits(const mw_footer *footer, const char *record, mw_footer_filter_place *out)
{
    const mw_footer_section *filters = &footer->sections[MW_FOOTER_FILTERS];
    uint64_t offset = mw_get_u64(record + 152), len = mw_get_u64(record + 160);
    if (offset > filters->length || len > filters->length - offset)
        return false;
    *out =
        (mw_footer_filter_place){filters->offset + offset, mw_get_u64(record + 168), (size_t)len};
    return true;
}

/* One record off the front of *bytes. Blocks stand one behind the other: *at is where this one
 * must begin, and is moved to its end. */
static mw_err take_block(const loading *load, mw_slice *bytes, uint64_t *at, mw_index_block **out,
                         mw_footer_filter_place *filter)
{
    mw_block_header header;
    const mw_block_place place = {load->header->salt, load->header->id, *at};
    const char *record = bytes->data;

    if (bytes->len < MW_FOOTER_RECORD_SIZE || mw_get_u64(record) != *at ||
        mw_block_header_read((const unsigned char *)record + 8, &place, &header) != MW_OK ||
        mw_block_size(&header) > load->header->durable_end - *at)
        return MW_E_CORRUPT;
    uint32_t services = mw_get_u32(record + 136), names = mw_get_u32(record + 140);
    uint64_t keys = (uint64_t)services + names;
    const char *first = record + MW_FOOTER_RECORD_SIZE;
    if (keys > (bytes->len - MW_FOOTER_RECORD_SIZE) / 8 || !ascends(first, services) ||
        !ascends(first + 8 * (size_t)services, names) || !filter_fits(load->footer, record, filter))
        return MW_E_CORRUPT;
    mw_index_block *block = mw_alloc(MW_MEM_STORE, sizeof *block + (size_t)keys * 8);
    if (!block)
        return MW_E_NOMEM;
    memset(block, 0, sizeof *block);
    block->offset = *at;
    block->header = header;
    block->keys_in_footer = true;
    block->all_traces = mw_get_u32(record + 144);
    block->all_sessions = mw_get_u32(record + 148);
    block->has_sessions = block->all_sessions > 0;
    block->service_count = services;
    block->name_count = names;
    for (size_t i = 0; i < keys; i++)
        block->keys[i] = mw_get_u64(first + 8 * i);
    *out = block;
    *at += mw_block_size(&header);
    *bytes = mw_slice_from(*bytes, MW_FOOTER_RECORD_SIZE + 8 * (size_t)keys);
    return MW_OK;
}

static mw_err load_blocks(loading *load)
{
    mw_footer *footer = load->footer;
    uint64_t at = MW_SEGMENT_HEADER_SIZE;
    mw_slice bytes;
    mw_err err = resident(load, MW_FOOTER_BLOCKS, &bytes);
    if (err != MW_OK)
        return err;
    load->blocks = mw_calloc(MW_MEM_STORE, footer->block_count, sizeof(mw_index_block *));
    footer->filters = mw_calloc(MW_MEM_STORE, footer->block_count, sizeof *footer->filters);
    if (!load->blocks || !footer->filters)
        return MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < footer->block_count; i++) {
        err = take_block(load, &bytes, &at, &load->blocks[i], &footer->filters[i]);
        if (err == MW_OK) {
            load->blocks[i]->number = (uint32_t)i;
            load->made++;
        }
    }
    if (err == MW_OK && (bytes.len > 0 || at != load->header->durable_end))
        err = MW_E_CORRUPT;
    return err;
}

/* ---- public ---------------------------------------------------------------------------------- */

static mw_err load_resident(loading *load)
{
    mw_footer *footer = load->footer;
    uint64_t from = footer->sections[RESIDENT_FIRST].offset;
    uint64_t len = load->size - MW_FOOTER_TRAILER_SIZE - from;
    mw_slice replaced;

    load->resident = mw_alloc(MW_MEM_STORE, (size_t)len + 1);
    if (!load->resident)
        return MW_E_NOMEM;
    mw_err err = mw_pread_all(load->fd, load->resident, (size_t)len, from);
    if (err == MW_OK)
        err = resident(load, MW_FOOTER_REPLACED, &replaced);
    if (err == MW_OK)
        err = take_replaced(replaced, footer->segment_id, &footer->replaced);
    if (err == MW_OK)
        err = load_requests(load);
    if (err == MW_OK)
        err = load_fences(load, MW_KEYS_TRACES, MW_FOOTER_TRACES, MW_FOOTER_TRACE_FENCES);
    if (err == MW_OK)
        err = load_fences(load, MW_KEYS_SESSIONS, MW_FOOTER_SESSIONS, MW_FOOTER_SESSION_FENCES);
    if (err == MW_OK)
        err = load_text_fences(load);
    if (err == MW_OK)
        err = load_blocks(load);
    return err;
}

mw_err mw_footer_load(int fd, uint64_t size, const mw_segment_header *header, mw_footer **out,
                      mw_index_block ***blocks, size_t *block_count)
{
    loading load = {.fd = fd, .size = size, .header = header};

    load.footer = mw_calloc(MW_MEM_STORE, 1, sizeof *load.footer);
    if (!load.footer)
        return MW_E_NOMEM;
    load.footer->segment_id = header->id;
    load.footer->salt = header->salt;
    mw_err err = read_trailer(&load);
    if (err == MW_OK)
        err = load_resident(&load);
    mw_free(MW_MEM_STORE, load.resident);
    if (err != MW_OK) {
        for (size_t i = 0; i < load.made; i++)
            mw_free(MW_MEM_STORE, load.blocks[i]);
        mw_free(MW_MEM_STORE, load.blocks);
        mw_footer_free(load.footer);
        return err;
    }
    *out = load.footer;
    *blocks = load.blocks;
    *block_count = load.made;
    return MW_OK;
}

void mw_footer_free(mw_footer *footer)
{
    if (!footer)
        return;
    mw_footer_replaced_fini(&footer->replaced);
    mw_free(MW_MEM_STORE, footer->requests);
    for (int i = 0; i < MW_KEY_KINDS; i++)
        mw_free(MW_MEM_STORE, footer->directories[i].fences);
    mw_free(MW_MEM_STORE, footer->text_pages);
    mw_free(MW_MEM_STORE, footer->text_firsts);
    mw_free(MW_MEM_STORE, footer->filters);
    mw_free(MW_MEM_STORE, footer);
}

void mw_footer_forget_requests(mw_footer *footer)
{
    mw_free(MW_MEM_STORE, footer->requests);
    footer->requests = NULL;
    footer->request_count = 0;
}

mw_err mw_footer_read_replaced(int fd, uint64_t size, const mw_segment_header *header,
                               mw_footer_replaced *out)
{
    mw_footer footer = {.segment_id = header->id, .salt = header->salt};
    loading load = {.fd = fd, .size = size, .header = header, .footer = &footer};

    *out = (mw_footer_replaced){0};
    /* The second copy first: it lies with what a start reads anyway. */
    mw_err err = read_trailer(&load);
    if (err == MW_OK)
        err = read_copy(fd, size, footer.sections[MW_FOOTER_REPLACED].offset, header->id, out);
    if (err == MW_E_CORRUPT)
        err = read_copy(fd, size, header->durable_end, header->id, out);
    return err;
}

mw_err mw_footer_read_requests(const mw_footer *footer, int fd, mw_footer_request **requests,
                               size_t *count)
{
    const mw_footer_section *place = &footer->sections[MW_FOOTER_REQUESTS];
    char *bytes = mw_alloc(MW_MEM_STORE, (size_t)place->length + 1);
    if (!bytes)
        return MW_E_NOMEM;
    mw_err err = mw_pread_all(fd, bytes, (size_t)place->length, place->offset);
    if (err == MW_OK &&
        !checks(footer, bytes, (size_t)place->length, place->offset, place->checksum))
        err = MW_E_CORRUPT;
    if (err == MW_OK)
        err = take_requests(mw_slice_bytes(bytes, (size_t)place->length), requests, count);
    mw_free(MW_MEM_STORE, bytes);
    return err;
}
