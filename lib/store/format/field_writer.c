/* Items into their fields. See field_writer.h; drawn in item_fields.h.
 *
 * Most items are like one before them, so the field that followed last time is compared first:
 * where it stands again, nothing is parsed and nothing is hashed (fields are self-delimiting, so
 * equal bytes are an equal field). The expectation that tokens use is made anew in finishing, in
 * the order of the places.
 */
#include "lib/store/format/field_writer.h"
#include "proto/wire.h"

/* Distinct fields of a block; what comes beyond is kept as it is, an item's rest at once. At about
 * 25 bytes each for tables this bounds what senders of nothing but new fields can make of it. */
#define DISTINCT_MAX (UINT32_C(1) << 18)

#define DISTINCT_AT_FIRST 4096u
#define BYTES_AT_FIRST ((size_t)256 << 10)
#define FIELDS_A_ROW 16u
/* Longer fields, texts mostly, lie apart from those that are met again and again. */
#define SHORT_MAX 64u

mw_err mw_field_writer_init(mw_field_writer *writer, mw_signal signal, uint32_t rows)
{
    writer->row_fields = mw_row_field_count(signal);
    writer->rows = writer->rows_room = rows;
    writer->next_room = DISTINCT_AT_FIRST;
    writer->list_room = (size_t)rows * FIELDS_A_ROW;
    mw_err err = mw_byte_table_init(&writer->table, DISTINCT_AT_FIRST, BYTES_AT_FIRST);
    writer->table.apart_from = SHORT_MAX + 1;
    writer->next = mw_calloc(MW_MEM_MERGE, writer->next_room, sizeof *writer->next);
    writer->list = mw_alloc(MW_MEM_MERGE, writer->list_room * sizeof *writer->list);
    writer->from = mw_alloc(MW_MEM_MERGE, rows * sizeof *writer->from);
    return err == MW_OK && writer->next && writer->list && writer->from ? MW_OK : MW_E_NOMEM;
}

mw_err mw_field_writer_again(mw_field_writer *writer, uint32_t rows)
{
    mw_byte_table_clear(&writer->table);
    mw_free(MW_MEM_MERGE, writer->numbers);
    writer->numbers = NULL;
    memset(writer->next, 0, writer->next_room * sizeof *writer->next);
    memset(writer->recent, 0, sizeof writer->recent);
    writer->listed = 0;
    writer->raw_count = 0;
    writer->bytes = 0;
    writer->rows = rows;
    if (rows <= writer->rows_room)
        return MW_OK;
    mw_free(MW_MEM_MERGE, writer->from);
    writer->from = mw_alloc(MW_MEM_MERGE, rows * sizeof *writer->from);
    writer->rows_room = writer->from ? rows : 0;
    return writer->from ? MW_OK : MW_E_NOMEM;
}

void mw_field_writer_fini(mw_field_writer *writer)
{
    mw_byte_table_fini(&writer->table);
    mw_free(MW_MEM_MERGE, writer->next);
    mw_free(MW_MEM_MERGE, writer->numbers);
    mw_free(MW_MEM_MERGE, writer->list);
    mw_free(MW_MEM_MERGE, writer->from);
    mw_free(MW_MEM_MERGE, writer->raw);
    mw_free(MW_MEM_MERGE, writer->cut);
    memset(writer, 0, sizeof *writer);
}

size_t mw_field_writer_size(const mw_field_writer *writer)
{
    return mw_byte_table_size(&writer->table) +
           sizeof(uint32_t) *
               (writer->next_room + writer->list_room + writer->rows_room + writer->raw_room);
}

/* ---- cutting --------------------------------------------------------------------------------- */

static inline bool same_eight(const uint8_t *a, const uint8_t *b)
{
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return x == y;
}

/* Short and often equal: a call would cost more than the comparison. Those that differ have the
 * same key, mostly, and another value: the end is compared first. */
static inline bool same_bytes(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (len < 8)
        return memcmp(a, b, len) == 0;
    if (!same_eight(a + len - 8, b + len - 8))
        return false;
    for (size_t i = 0; i + 8 < len; i += 8)
        if (!same_eight(a + i, b + i))
            return false;
    return true;
}

static inline mw_slice bytes_of(const mw_field_writer *writer, const mw_row_fields *told,
                                uint32_t field)
{
    if (field <= writer->row_fields)
        return mw_row_field(told, field);
    return mw_byte_table_get(&writer->table, field - writer->row_fields - 1);
}

static inline bool stands_here(mw_slice field, const uint8_t *at, const uint8_t *end)
{
    return field.len <= (size_t)(end - at) &&
           same_bytes(at, (const uint8_t *)field.data, field.len);
}

/* The rest of an item, unparsed. */
static mw_err add_rest(mw_field_writer *writer, mw_slice rest, uint32_t *number)
{
    if (writer->raw_count == writer->raw_room) {
        uint32_t room = writer->raw_room ? writer->raw_room * 2 : 64;
        uint32_t *raw = mw_realloc(MW_MEM_MERGE, writer->raw, room * sizeof *raw);
        if (!raw)
            return MW_E_NOMEM;
        writer->raw = raw;
        writer->raw_room = room;
    }
    mw_err err = mw_byte_table_add(&writer->table, rest, number);
    if (err == MW_OK)
        writer->raw[writer->raw_count++] = *number;
    return err;
}

/* Where a short field of bytes is kept when it was looked up; NULL for all others. Its last bytes
 * and its length tell most such fields apart, and what meets in a place is only looked up again. */
static mw_field_recent *recent_of(mw_field_writer *writer, const uint8_t *at, const uint8_t *end)
{
    uint64_t tail;
    if (end - at < 2 || (at[0] & 0x87) != MW_WIRE_BYTES || at[1] >= 0x80 || at[1] < sizeof tail ||
        at[1] > end - at - 2)
        return NULL;
    memcpy(&tail, at + 2 + at[1] - sizeof tail, sizeof tail);
    uint64_t hash = (tail ^ at[1]) * UINT64_C(0x9e3779b97f4a7c15);
    return &writer->recent[hash >> (64 - MW_FIELDS_RECENT_BITS)];
}

/* The row's field that stands here, 0 = none. */
static uint32_t told_here(const mw_field_writer *writer, const mw_row_fields *told,
                          const uint8_t *at, const uint8_t *end)
{
    for (uint32_t i = 1; i <= writer->row_fields; i++) {
        mw_slice bytes = mw_row_field(told, i);
        if ((uint8_t)bytes.data[0] == *at && stands_here(bytes, at, end))
            return i;
    }
    return 0;
}

/* The field that begins here, from the table; what is no field is an item's rest. */
static mw_err number_of(mw_field_writer *writer, const uint8_t *at, const uint8_t *end,
                        mw_field_recent *recent, uint32_t *field)
{
    mw_wire_field parsed;
    uint32_t number;
    const uint8_t *behind =
        writer->table.count < DISTINCT_MAX ? mw_wire_next(at, end, &parsed) : NULL;
    mw_err err = behind ? mw_byte_table_put(&writer->table,
                                            mw_slice_bytes(at, (size_t)(behind - at)), &number)
                        : add_rest(writer, mw_slice_bytes(at, (size_t)(end - at)), &number);
    if (err != MW_OK)
        return err;
    *field = number + writer->row_fields + 1;
    if (behind && recent)
        *recent = (mw_field_recent){*field, writer->table.entries[number]};
    return MW_OK;
}

/* The field's number from its bytes; *at moves behind it. */
static mw_err look_up(mw_field_writer *writer, const mw_row_fields *told, const uint8_t **at,
                      const uint8_t *end, uint32_t *field)
{
    mw_field_recent *recent = recent_of(writer, *at, end);
    mw_err err = MW_OK;

    if (recent && recent->field &&
        stands_here(mw_byte_table_at(&writer->table, recent->entry), *at, end)) {
        *field = recent->field;
        *at += recent->entry.len;
        return MW_OK;
    }
    *field = told_here(writer, told, *at, end);
    if (*field == 0)
        err = number_of(writer, *at, end, recent, field);
    if (err == MW_OK)
        *at += bytes_of(writer, told, *field).len;
    return err;
}

/* Room in `next` for all fields that there are. */
static mw_err grow_next(mw_field_writer *writer)
{
    uint32_t room = writer->next_room * 2;
    uint32_t *next = mw_realloc(MW_MEM_MERGE, writer->next, room * sizeof *next);
    if (!next)
        return MW_E_NOMEM;
    memset(next + writer->next_room, 0, (room - writer->next_room) * sizeof *next);
    writer->next = next;
    writer->next_room = room;
    return MW_OK;
}

/* Room for `more` fields of an item, and its end. */
static mw_err grow_list(mw_field_writer *writer, size_t more)
{
    if (writer->list_room - writer->listed > more)
        return MW_OK;
    size_t room = writer->list_room * 2 + more;
    if (room > UINT32_MAX)
        return MW_E_LIMIT;
    uint32_t *list = mw_realloc(MW_MEM_MERGE, writer->list, room * sizeof *list);
    if (!list)
        return MW_E_NOMEM;
    writer->list = list;
    writer->list_room = room;
    return MW_OK;
}

/* A field that is not the expected one. */
static mw_err learn(mw_field_writer *writer, const mw_row_fields *told, const uint8_t **at,
                    const uint8_t *end, uint32_t guess, uint32_t *field)
{
    uint32_t known = writer->table.count + writer->row_fields + 1;
    mw_err err = look_up(writer, told, at, end, field);
    if (err == MW_OK && *field >= writer->next_room)
        err = grow_next(writer);
    if (err == MW_OK && *field >= known)
        writer->next[*field] = writer->next[guess];
    return err;
}

mw_err mw_field_writer_add(mw_field_writer *writer, uint32_t place, const mw_row_fields *told,
                           mw_slice item)
{
    const uint8_t *at = mw_wire_begin(item), *end = mw_wire_end(item);
    uint32_t before = 0;
    /* A field has two bytes or more; a rest that is none may have one. */
    mw_err err = grow_list(writer, item.len / 2 + 1);

    if (err != MW_OK)
        return err;
    writer->from[place] = (uint32_t)writer->listed;
    writer->bytes += item.len;
    uint32_t *list = writer->list + writer->listed;
    while (err == MW_OK && at < end) {
        uint32_t guess = writer->next[before], field = guess;
        mw_slice expected = guess ? bytes_of(writer, told, guess) : MW_SLICE_NONE;
        if (guess && stands_here(expected, at, end)) {
            at += expected.len;
        } else {
            err = learn(writer, told, &at, end, guess, &field);
            writer->next[before] = field;
        }
        *list++ = field;
        before = field;
    }
    *list++ = 0;
    writer->listed = (size_t)(list - writer->list);
    return err;
}

/* ---- cut already ----------------------------------------------------------------------------- */

mw_err mw_field_writer_begin_cut(mw_field_writer *writer, const mw_fields *source)
{
    if (source->entry_count > writer->cut_room) {
        mw_free(MW_MEM_MERGE, writer->cut);
        writer->cut = mw_alloc(MW_MEM_MERGE, source->entry_count * sizeof *writer->cut);
        writer->cut_room = writer->cut ? source->entry_count : 0;
    }
    if (!writer->cut)
        return MW_E_NOMEM;
    memset(writer->cut, 0, source->entry_count * sizeof *writer->cut);
    for (uint32_t field = 1; field <= source->row_fields; field++)
        writer->cut[field] = field;
    return MW_OK;
}

bool mw_field_writer_takes_cut(const mw_field_writer *writer)
{
    return writer->table.count < DISTINCT_MAX;
}

/* A field of the source that was not met yet. */
static mw_err take_cut(mw_field_writer *writer, const mw_fields *source, uint32_t from)
{
    mw_slice bytes =
        mw_slice_bytes(source->dictionary + source->entries[from].at, source->entries[from].len);
    const uint8_t *end = mw_wire_end(bytes);
    mw_wire_field parsed;
    uint32_t number;
    mw_err err = mw_wire_next(mw_wire_begin(bytes), end, &parsed) == end
                     ? mw_byte_table_put(&writer->table, bytes, &number)
                     : add_rest(writer, bytes, &number);
    if (err == MW_OK)
        writer->cut[from] = number + writer->row_fields + 1;
    if (err == MW_OK && writer->cut[from] >= writer->next_room)
        err = grow_next(writer);
    return err;
}

mw_err mw_field_writer_add_cut(mw_field_writer *writer, uint32_t place, const mw_fields *source,
                               uint32_t row)
{
    uint32_t from = row ? source->ends[row - 1] : 0, to = source->ends[row];
    mw_err err = grow_list(writer, to - from);

    if (err != MW_OK)
        return err;
    writer->from[place] = (uint32_t)writer->listed;
    writer->bytes += mw_fields_length(source, row);
    uint32_t *list = writer->list + writer->listed;
    for (uint32_t i = from; err == MW_OK && i < to; i++) {
        uint32_t field = source->list[i];
        if (!writer->cut[field])
            err = take_cut(writer, source, field);
        *list++ = writer->cut[field];
    }
    *list++ = 0;
    writer->listed = (size_t)(list - writer->list);
    return err;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* A number below 2^28 is a token of four bytes at most; the rest of an item has a length too. */
size_t mw_field_writer_token_room(const mw_field_writer *writer)
{
    return 4 * writer->listed + 6 * (size_t)writer->raw_count;
}

size_t mw_field_writer_dictionary(const mw_field_writer *writer)
{
    return mw_byte_table_used(&writer->table);
}

static unsigned char *put_varint(unsigned char *to, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (unsigned char)(value | 0x80);
    *to++ = (unsigned char)value;
    return to;
}

static bool is_raw(const mw_field_writer *writer, uint32_t number)
{
    uint32_t low = 0, high = writer->raw_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (writer->raw[middle] == number)
            return true;
        if (writer->raw[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

typedef struct token_writer {
    mw_field_writer *writer;
    unsigned char *token, *dictionary;
    uint32_t known; /* numbers given */
} token_writer;

/* The dictionary is larger than a core's cache. Its fields are read in about the order in which
 * they came, but their lengths differ, so that the processor does not see what comes next. */
#define FETCH_AHEAD 4u
#define FETCH_MAX ((size_t)256)
#define CACHE_LINE 64u

static inline void fetch_ahead(const mw_byte_table *table, uint32_t number, size_t most)
{
    if (number + FETCH_AHEAD >= table->count)
        return;
    mw_slice bytes = mw_byte_table_get(table, number + FETCH_AHEAD);
    for (size_t i = 0; i < bytes.len && i < most; i += CACHE_LINE)
        __builtin_prefetch(bytes.data + i);
}

/* A field that no token named yet: the dictionary's next. */
static uint32_t put_new(token_writer *out, uint32_t field)
{
    mw_field_writer *writer = out->writer;
    uint32_t number = field - writer->row_fields - 1;
    mw_slice bytes = mw_byte_table_get(&writer->table, number);

    fetch_ahead(&writer->table, number, FETCH_MAX);
    if (is_raw(writer, number)) {
        *out->token++ = MW_TOKEN_NEW_BYTES;
        out->token = put_varint(out->token, (uint32_t)bytes.len);
    } else {
        *out->token++ = MW_TOKEN_NEW;
    }
    memcpy(out->dictionary, bytes.data, bytes.len);
    out->dictionary += bytes.len;
    writer->numbers[field] = out->known;
    return out->known++;
}

/* `next` is by numbers of the chunk from here on. The tokens are bytes, which might be anything's:
 * in locals, what they are made from is not read again behind each of them. */
static void put_item(token_writer *out, const uint32_t *field)
{
    const uint32_t *numbers = out->writer->numbers;
    uint32_t *next = out->writer->next;
    unsigned char *token = out->token;
    uint32_t before = 0, number;
    do {
        uint32_t guess = next[before];
        number = numbers[*field];
        if (!number && *field) {
            out->token = token;
            number = put_new(out, *field);
            token = out->token;
            next[number] = next[guess];
            next[before] = number;
        } else if (number == guess) {
            *token++ = MW_TOKEN_EXPECTED;
        } else {
            token = put_varint(token, MW_TOKEN_FIELD + number);
            next[before] = number;
        }
        before = number;
        field++;
    } while (number);
    out->token = token;
}

mw_err mw_field_writer_finish(mw_field_writer *writer, unsigned char *tokens, size_t *len,
                              unsigned char *dictionary)
{
    token_writer out = {writer, tokens, dictionary, writer->row_fields + 1};
    size_t fields = (size_t)writer->table.count + writer->row_fields + 1;

    writer->numbers = mw_calloc(MW_MEM_MERGE, fields, sizeof *writer->numbers);
    if (!writer->numbers)
        return MW_E_NOMEM;
    for (uint32_t field = 1; field <= writer->row_fields; field++)
        writer->numbers[field] = field;
    memset(writer->next, 0, writer->next_room * sizeof *writer->next);
    for (uint32_t place = 0; place < writer->rows; place++)
        put_item(&out, writer->list + writer->from[place]);
    *len = (size_t)(out.token - tokens);
    MW_ASSERT(*len <= mw_field_writer_token_room(writer) && out.known == fields);
    MW_ASSERT((size_t)(out.dictionary - dictionary) == mw_byte_table_used(&writer->table));
    return MW_OK;
}

void mw_field_writer_each(const mw_field_writer *writer, void (*field)(void *ctx, mw_slice bytes),
                          void *ctx)
{
    for (uint32_t i = 0; i < writer->table.count; i++) {
        fetch_ahead(&writer->table, i, 1);
        if (!is_raw(writer, i))
            field(ctx, mw_byte_table_get(&writer->table, i));
    }
}

void mw_field_writer_item(const mw_field_writer *writer, uint32_t place, const mw_row_fields *told,
                          void (*put)(void *ctx, mw_slice bytes), void *ctx)
{
    for (const uint32_t *field = writer->list + writer->from[place]; *field; field++)
        put(ctx, bytes_of(writer, told, *field));
}
