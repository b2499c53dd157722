/* Items out of their fields. See item_fields.h, which draws what is read here.
 *
 * The bytes come from disk and may be anything. Opening a chunk reads all tokens once, checks them
 * and keeps the list of fields of each item, so that any item is then a few copies. What that costs
 * in memory is bounded by the tokens: at most 4 bytes for each.
 */
#include "lib/store/format/item_fields.h"
#include "lib/store/format/hot_layout.h"
#include "lib/store/format/zstd_frame.h"
#include "proto/wire.h"

/* ---- fields that columns tell ---------------------------------------------------------------- */

typedef enum row_source {
    FROM_TRACE_ID,
    FROM_SPAN_ID,
    FROM_PARENT,
    FROM_TIME,
    FROM_END,
    FROM_START,
    FROM_VALUE,
    FROM_INTEGER,
    FROM_COUNT
} row_source;

typedef struct row_field {
    uint8_t head[2]; /* tag, and length where there is one */
    uint8_t head_len;
    uint8_t source;
} row_field;

static const row_field row_fields[MW_SIGNAL_END][MW_ROW_FIELDS_MAX] = {
    [MW_SIGNAL_TRACES] = {{{0x0a, 16}, 2, FROM_TRACE_ID},
                          {{0x12, 8}, 2, FROM_SPAN_ID},
                          {{0x22, 8}, 2, FROM_PARENT},
                          {{0x39}, 1, FROM_TIME},
                          {{0x41}, 1, FROM_END}},
    [MW_SIGNAL_METRICS] = {{{0x11}, 1, FROM_START},
                           {{0x19}, 1, FROM_TIME},
                           {{0x21}, 1, FROM_VALUE},
                           {{0x21}, 1, FROM_COUNT},
                           {{0x29}, 1, FROM_VALUE},
                           {{0x31}, 1, FROM_INTEGER}},
    [MW_SIGNAL_LOGS] = {{{0x09}, 1, FROM_TIME},
                        {{0x4a, 16}, 2, FROM_TRACE_ID},
                        {{0x52, 8}, 2, FROM_SPAN_ID},
                        {{0x59}, 1, FROM_TIME}},
};

static const uint8_t row_field_counts[MW_SIGNAL_END] = {
    [MW_SIGNAL_TRACES] = 5, [MW_SIGNAL_METRICS] = 6, [MW_SIGNAL_LOGS] = 4};

unsigned mw_row_field_count(mw_signal signal)
{
    MW_ASSERT(signal >= 1 && signal < MW_SIGNAL_END);
    return row_field_counts[signal];
}

/* The first double beyond; NaN fails both comparisons. */
#define TWO_TO_63 9223372036854775808.0
static uint64_t integer_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value >= -TWO_TO_63 && value < TWO_TO_63 ? (uint64_t)(int64_t)value : 0;
}

static uint64_t number_of(const mw_hot *hot, uint32_t row, row_source source)
{
    switch (source) {
    case FROM_TIME: return mw_hot_time(hot, row);
    case FROM_END: return mw_hot_time(hot, row) + mw_hot_u64(hot, MW_WIDE_DURATION, row);
    case FROM_START: return mw_hot_u64(hot, MW_WIDE_START, row);
    case FROM_VALUE: return mw_hot_u64(hot, MW_WIDE_VALUE, row);
    case FROM_INTEGER: return integer_of(mw_hot_u64(hot, MW_WIDE_VALUE, row));
    default: return mw_hot_u64(hot, MW_WIDE_COUNT, row);
    }
}

static unsigned char *put_source(const mw_hot *hot, uint32_t row, row_source source,
                                 unsigned char *at)
{
    switch (source) {
    case FROM_TRACE_ID:
        memcpy(at, mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row)), MW_TRACE_ID_SIZE);
        return at + MW_TRACE_ID_SIZE;
    case FROM_SPAN_ID: memcpy(at, hot->wide[MW_WIDE_SPAN_ID] + 8 * (size_t)row, 8); break;
    case FROM_PARENT: memcpy(at, hot->wide[MW_WIDE_PARENT] + 8 * (size_t)row, 8); break;
    default: mw_put_u64(at, number_of(hot, row, source));
    }
    return at + 8;
}

void mw_row_fields_make(const mw_hot *hot, uint32_t row, mw_row_fields *out)
{
    const row_field *table = row_fields[hot->signal];
    unsigned char *at = out->bytes;
    for (unsigned i = 0; i < row_field_counts[hot->signal]; i++) {
        for (unsigned b = 0; b < table[i].head_len; b++)
            *at++ = table[i].head[b];
        at = put_source(hot, row, (row_source)table[i].source, at);
        out->ends[i] = (uint8_t)(at - out->bytes);
    }
}

/* ---- front ----------------------------------------------------------------------------------- */

typedef struct fields_reader {
    mw_fields *fields;
    const uint8_t *token, *token_end;
    const uint8_t *dictionary, *dictionary_next, *dictionary_end;
    uint32_t *next; /* by field: the one that followed it last */
    uint32_t known; /* fields that may be named */
    uint32_t room;  /* of entries and next */
    uint32_t listed;
} fields_reader;

static uint32_t get_narrow(const unsigned char *column, size_t row, unsigned width)
{
    if (width == 1)
        return column[row];
    return width == 2 ? mw_get_u16(column + 2 * row) : mw_get_u32(column + 4 * row);
}

/* A column of references of `width` bytes to one of four; false when one is not below `limit`. */
static bool widen(const unsigned char *from, unsigned width, size_t rows, uint32_t limit,
                  unsigned char *to)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < rows; i++) {
        uint32_t value = get_narrow(from, i, width);
        highest = value > highest ? value : highest;
        mw_put_u32(to + 4 * i, value);
    }
    return highest < limit;
}

/* The tables of the plain chunk; the items' lengths are put in later. *bytes: of all contexts. */
static bool fill_tables(mw_fields *fields, const unsigned char *at, unsigned width, uint64_t *bytes)
{
    size_t contexts = (size_t)fields->resources + fields->scopes + fields->metrics;
    size_t heads = (size_t)fields->resources + fields->scopes, rows = fields->count;
    unsigned char *to = fields->tables + MW_ITEMS_CONTEXT * contexts + 4 * rows;

    memcpy(fields->tables, at, MW_ITEMS_CONTEXT * contexts);
    *bytes = 0;
    for (size_t i = 0; i < contexts; i++) {
        uint32_t url = mw_get_u32(at + MW_ITEMS_CONTEXT * i + 4);
        *bytes += (uint64_t)mw_get_u32(at + MW_ITEMS_CONTEXT * i) + url;
        if (i >= heads && url)
            return false;
    }
    at += MW_ITEMS_CONTEXT * contexts;
    if (!widen(at, width, rows, fields->resources, to) ||
        !widen(at + width * rows, width, rows, fields->scopes, to + 4 * rows))
        return false;
    return fields->hot->signal != MW_SIGNAL_METRICS ||
           widen(at + 2 * width * rows, width, rows, fields->metrics, to + 8 * rows);
}

/* Counts, tables and contexts; what follows them becomes the reader's. */
static mw_err read_front(fields_reader *reader, mw_slice raw)
{
    mw_fields *fields = reader->fields;
    const unsigned char *bytes = (const unsigned char *)raw.data;
    bool metrics = fields->hot->signal == MW_SIGNAL_METRICS;
    uint64_t context_bytes;

    if (raw.len < MW_FIELDS_PREFIX)
        return MW_E_CORRUPT;
    fields->resources = mw_get_u32(bytes);
    fields->scopes = mw_get_u32(bytes + 4);
    fields->metrics = mw_get_u32(bytes + 8);
    uint32_t tokens = mw_get_u32(bytes + 12), width = mw_get_u32(bytes + 16);
    if ((width != 1 && width != 2 && width != 4) || (fields->metrics && !metrics))
        return MW_E_CORRUPT;
    uint64_t contexts = (uint64_t)fields->resources + fields->scopes + fields->metrics;
    uint64_t tables =
        contexts * MW_ITEMS_CONTEXT + (uint64_t)fields->count * width * (metrics ? 3 : 2);
    if (tables + tokens > raw.len - MW_FIELDS_PREFIX)
        return MW_E_CORRUPT;
    fields->tables_len = (size_t)(contexts * MW_ITEMS_CONTEXT) +
                         (size_t)fields->count * mw_items_fixed(fields->hot->signal);
    fields->tables = mw_alloc(MW_MEM_QUERY, fields->tables_len);
    if (!fields->tables)
        return MW_E_NOMEM;
    if (!fill_tables(fields, bytes + MW_FIELDS_PREFIX, width, &context_bytes) ||
        context_bytes > raw.len - MW_FIELDS_PREFIX - tables - tokens)
        return MW_E_CORRUPT;
    fields->contexts = raw.data + MW_FIELDS_PREFIX + tables;
    fields->contexts_len = (size_t)context_bytes;
    reader->token = (const uint8_t *)fields->contexts + context_bytes;
    reader->token_end = reader->token + tokens;
    reader->dictionary = reader->dictionary_next = reader->token_end;
    reader->dictionary_end = (const uint8_t *)raw.data + raw.len;
    fields->dictionary = (const char *)reader->dictionary;
    return MW_OK;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* Room for one more field of the dictionary. */
static bool grow_entries(fields_reader *reader)
{
    mw_fields *fields = reader->fields;
    uint32_t room = reader->room * 2;
    mw_fields_entry *entries =
        mw_realloc(MW_MEM_QUERY, fields->entries, room * sizeof *fields->entries);
    if (!entries)
        return false;
    fields->entries = entries;
    uint32_t *next = mw_realloc(MW_MEM_QUERY, reader->next, room * sizeof *reader->next);
    if (!next)
        return false;
    reader->next = next;
    reader->room = room;
    return true;
}

/* The dictionary's next: `len` bytes, or with 0 a protobuf field. */
static mw_err new_field(fields_reader *reader, uint64_t len, uint32_t *field)
{
    mw_fields *fields = reader->fields;
    const uint8_t *from = reader->dictionary_next;
    mw_wire_field parsed;

    if (from == reader->dictionary_end || len > (uint64_t)(reader->dictionary_end - from))
        return MW_E_CORRUPT;
    const uint8_t *to = len ? from + len : mw_wire_next(from, reader->dictionary_end, &parsed);
    if (!to)
        return MW_E_CORRUPT;
    if (reader->known == reader->room && !grow_entries(reader))
        return MW_E_NOMEM;
    *field = reader->known++;
    fields->entries[*field] =
        (mw_fields_entry){(uint32_t)(from - reader->dictionary), (uint32_t)(to - from)};
    reader->dictionary_next = to;
    return MW_OK;
}

/* A token that is not a plain "expected" (which may also be written with more bytes). */
static mw_err read_named(fields_reader *reader, uint64_t token, uint32_t guess, uint32_t *field)
{
    uint64_t len = 0;
    if (token == MW_TOKEN_EXPECTED) {
        *field = guess;
        return MW_OK;
    }
    if (token >= MW_TOKEN_FIELD) {
        if (token - MW_TOKEN_FIELD >= reader->known)
            return MW_E_CORRUPT;
        *field = (uint32_t)(token - MW_TOKEN_FIELD);
        return MW_OK;
    }
    if (token == MW_TOKEN_NEW_BYTES) {
        reader->token = mw_wire_varint(reader->token, reader->token_end, 5, &len);
        if (!reader->token || len == 0)
            return MW_E_CORRUPT;
    }
    mw_err err = new_field(reader, len, field);
    if (err == MW_OK)
        reader->next[*field] = reader->next[guess];
    return err;
}

/* A token that is more than "expected" in one byte: what it names is `*field`. */
static mw_err read_other(fields_reader *reader, uint32_t before, uint32_t *field)
{
    uint64_t token;
    uint32_t guess = reader->next[before];
    reader->token = mw_wire_varint(reader->token, reader->token_end, 5, &token);
    if (!reader->token)
        return MW_E_CORRUPT;
    mw_err err = read_named(reader, token, guess, field);
    if (err == MW_OK)
        reader->next[before] = *field;
    return err;
}

/* One token after the other; most are of a byte and say that what was expected is there. */
static mw_err read_item(fields_reader *reader, uint64_t *bytes)
{
    uint32_t *list = reader->fields->list + reader->listed;
    uint32_t before = 0, field = 0;
    uint64_t sum = 0;
    do {
        const uint8_t *token = reader->token;
        if (token < reader->token_end && *token == MW_TOKEN_EXPECTED) {
            reader->token = token + 1;
            field = reader->next[before];
        } else {
            mw_err err = read_other(reader, before, &field);
            if (err != MW_OK)
                return err;
        }
        sum += reader->fields->entries[field].len;
        *list++ = before = field;
    } while (field);
    reader->listed = (uint32_t)(list - reader->fields->list) - 1;
    *bytes = sum;
    return MW_OK;
}

static mw_err read_items(fields_reader *reader)
{
    mw_fields *fields = reader->fields;
    size_t contexts = (size_t)fields->resources + fields->scopes + fields->metrics;
    unsigned char *lengths = fields->tables + MW_ITEMS_CONTEXT * contexts;

    for (uint32_t row = 0; row < fields->count; row++) {
        uint64_t bytes = 0;
        mw_err err = read_item(reader, &bytes);
        if (err != MW_OK)
            return err;
        fields->bytes += bytes;
        if (fields->bytes > MW_FIELDS_ITEMS_MAX)
            return MW_E_CORRUPT;
        mw_put_u32(lengths + 4 * (size_t)row, (uint32_t)bytes);
        fields->ends[row] = reader->listed;
    }
    bool all =
        reader->token == reader->token_end && reader->dictionary_next == reader->dictionary_end;
    return all ? MW_OK : MW_E_CORRUPT;
}

/* Lengths of the end and of the fields that columns tell: the same for all rows. */
static void measure_row_fields(mw_fields *fields)
{
    mw_row_fields row = {0};
    mw_row_fields_make(fields->hot, 0, &row);
    fields->entries[0] = (mw_fields_entry){0, 0};
    for (unsigned i = 1; i <= fields->row_fields; i++)
        fields->entries[i] = (mw_fields_entry){0, (uint32_t)mw_row_field(&row, i).len};
}

#define ENTRIES_AT_FIRST 1024u

static mw_err make_room(fields_reader *reader)
{
    mw_fields *fields = reader->fields;
    size_t tokens = (size_t)(reader->token_end - reader->token);
    reader->room = ENTRIES_AT_FIRST;
    reader->known = fields->row_fields + 1;
    fields->entries = mw_alloc(MW_MEM_QUERY, reader->room * sizeof *fields->entries);
    fields->list = mw_alloc(MW_MEM_QUERY, (tokens + 1) * sizeof *fields->list);
    fields->ends = mw_alloc(MW_MEM_QUERY, fields->count * sizeof *fields->ends);
    reader->next = mw_calloc(MW_MEM_QUERY, reader->room, sizeof *reader->next);
    if (!fields->entries || !fields->list || !fields->ends || !reader->next)
        return MW_E_NOMEM;
    measure_row_fields(fields);
    return MW_OK;
}

/* Does the log say the lengths that the fields make? */
static bool lengths_are(const mw_fields *fields, mw_slice said)
{
    size_t contexts = (size_t)fields->resources + fields->scopes + fields->metrics;
    return said.len == 4 * (size_t)fields->count &&
           memcmp(said.data, fields->tables + MW_ITEMS_CONTEXT * contexts, said.len) == 0;
}

/* ---- public ---------------------------------------------------------------------------------- */

mw_err mw_fields_open(const mw_block_header *header, const mw_hot *hot, mw_slice raw,
                      mw_fields *out)
{
    fields_reader reader = {.fields = out};

    *out = (mw_fields){.hot = hot, .count = header->item_count};
    MW_ASSERT(hot->count == header->item_count && hot->signal == header->signal);
    out->row_fields = mw_row_field_count(hot->signal);
    if (raw.len > MW_ZSTD_RAW_MAX)
        return MW_E_CORRUPT;
    mw_slice said = MW_SLICE_NONE; /* the lengths, in the log */
    if (header->items_codec == MW_CODEC_LOG_FIELDS) {
        said = mw_slice_first(raw, 4 * (size_t)out->count);
        raw = mw_slice_from(raw, said.len);
    }
    mw_err err = read_front(&reader, raw);
    if (err == MW_OK)
        err = make_room(&reader);
    if (err == MW_OK)
        err = read_items(&reader);
    if (err == MW_OK && said.len && !lengths_are(out, said))
        err = MW_E_CORRUPT;
    out->entry_count = reader.known;
    mw_free(MW_MEM_QUERY, reader.next);
    if (err != MW_OK)
        mw_fields_close(out);
    return err;
}

void mw_fields_close(mw_fields *fields)
{
    mw_free(MW_MEM_QUERY, fields->tables);
    mw_free(MW_MEM_QUERY, fields->entries);
    mw_free(MW_MEM_QUERY, fields->list);
    mw_free(MW_MEM_QUERY, fields->ends);
    memset(fields, 0, sizeof *fields);
}

void mw_fields_item(const mw_fields *fields, uint32_t row, char *out)
{
    mw_row_fields told;
    uint32_t from = row ? fields->ends[row - 1] : 0;

    mw_row_fields_make(fields->hot, row, &told);
    for (uint32_t i = from; i < fields->ends[row]; i++) {
        uint32_t field = fields->list[i];
        mw_slice bytes;
        if (field <= fields->row_fields)
            bytes = mw_row_field(&told, field);
        else
            bytes = (mw_slice){fields->dictionary + fields->entries[field].at,
                               fields->entries[field].len};
        memcpy(out, bytes.data, bytes.len);
        out += bytes.len;
    }
}

uint64_t mw_fields_plain_length(const mw_fields *fields)
{
    return MW_ITEMS_PREFIX + (uint64_t)fields->tables_len + fields->contexts_len + fields->bytes;
}

void mw_fields_plain(const mw_fields *fields, char *out)
{
    mw_put_u32(out, fields->resources);
    mw_put_u32(out + 4, fields->scopes);
    mw_put_u32(out + 8, fields->metrics);
    out += MW_ITEMS_PREFIX;
    memcpy(out, fields->tables, fields->tables_len);
    out += fields->tables_len;
    memcpy(out, fields->contexts, fields->contexts_len);
    out += fields->contexts_len;
    for (uint32_t row = 0; row < fields->count; row++) {
        mw_fields_item(fields, row, out);
        out += mw_fields_length(fields, row);
    }
}
