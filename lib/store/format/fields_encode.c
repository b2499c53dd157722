/* The items of a request in fields. See fields_encode.h; drawn in item_fields.h.
 *
 * One pass: the rows stand in their order, so tokens and dictionary are written as fields come. A
 * field is compared with the one that followed last time, then with what ended alike lately; it is
 * not looked for among all, which is the merge's work. So equal fields may stand twice in the
 * dictionary.
 */
#include "lib/store/format/fields_encode.h"
#include "lib/store/format/hot_layout.h"
#include "proto/wire.h"

/* Fields of the dictionary; of items that have more the chunk stays plain. A number then takes
 * three bytes as a token at most. */
#define FIELDS_MAX (UINT32_C(1) << 14)
/* Bytes of tokens that an item may need: each field has two bytes or more and takes a token of
 * three at most; the rest of an item that is no field has a length of three, and there is the end.
 */
#define TOKENS_FOR(len) ((len) + (len) / 2 + 8)
/* Where less than a quarter is saved after so many items, as it would be by lz4 alone. */
#define TRIED_ITEMS 64u
#define RECENT_BITS 11u
#define RECENT_LEN_MAX 64u

/* A field as it is met again: where its bytes are, and what followed it last. */
typedef struct known_field {
    const uint8_t *bytes; /* of the row's fields in `told` */
    uint32_t len;
    uint32_t next;
} known_field;

typedef struct encoder {
    unsigned char *tokens, *tokens_end; /* the next one; where their room ends */
    unsigned char *dictionary, *added;  /* its begin; the next field's place */
    uint32_t row_fields, known;         /* numbers given, with those of the columns and the end */
    mw_row_fields told;
    uint32_t recent[1u << RECENT_BITS]; /* fields, 0 = none */
    known_field fields[FIELDS_MAX];
} encoder;

/* ---- comparing ------------------------------------------------------------------------------- */

static inline uint64_t get_eight(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Short and often equal; those that differ mostly do at their end. */
static inline bool same_bytes(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (len < 8) {
        size_t i = 0;
        while (i < len && a[i] == b[i])
            i++;
        return i == len;
    }
    if (get_eight(a + len - 8) != get_eight(b + len - 8))
        return false;
    for (size_t i = 0; i + 8 < len; i += 8)
        if (get_eight(a + i) != get_eight(b + i))
            return false;
    return true;
}

static inline bool stands_here(const known_field *field, const uint8_t *at, const uint8_t *end)
{
    return field->len <= (size_t)(end - at) && same_bytes(at, field->bytes, field->len);
}

/* Where a field is kept when it came: its ends and its length tell most apart. */
static inline uint32_t *recent_of(encoder *to, const uint8_t *at, size_t len)
{
    uint64_t ends = len;
    if (len >= 8)
        ends ^= get_eight(at) * UINT64_C(0xbf58476d1ce4e5b9) ^ get_eight(at + len - 8);
    else
        for (size_t i = 0; i < len; i++)
            ends = ends << 8 | at[i];
    return &to->recent[ends * UINT64_C(0x9e3779b97f4a7c15) >> (64 - RECENT_BITS)];
}

/* The row's field that stands here, 0 = none. */
static uint32_t told_here(const encoder *to, const uint8_t *at, const uint8_t *end)
{
    for (uint32_t i = 1; i <= to->row_fields; i++)
        if (*to->fields[i].bytes == *at && stands_here(&to->fields[i], at, end))
            return i;
    return 0;
}

/* Of a row: its fields lie in other places, and are as long as any other row's. */
static void tell_row(encoder *to, const mw_hot *hot, uint32_t row)
{
    const uint8_t *bytes = to->told.bytes;
    mw_row_fields_make(hot, row, &to->told);
    for (uint32_t i = 1; i <= to->row_fields; i++) {
        const uint8_t *end = to->told.bytes + to->told.ends[i - 1];
        to->fields[i].bytes = bytes;
        to->fields[i].len = (uint32_t)(end - bytes);
        bytes = end;
    }
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static inline unsigned char *put_varint(unsigned char *to, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (unsigned char)(value | 0x80);
    *to++ = (unsigned char)value;
    return to;
}

/* The number of a field that came before: of the row, or lately; 0 = none. *recent is where it
 * belongs when it is new. */
static inline uint32_t find_field(encoder *to, const uint8_t *at, const uint8_t *end, size_t len,
                                  uint32_t **recent)
{
    *recent = NULL;
    if (len <= RECENT_LEN_MAX) {
        *recent = recent_of(to, at, len);
        const known_field *known = &to->fields[**recent];
        if (**recent && known->len == len && same_bytes(at, known->bytes, len))
            return **recent;
    }
    return told_here(to, at, end);
}

static uint32_t add_field(encoder *to, const uint8_t *at, size_t len, bool whole)
{
    *to->tokens++ = whole ? MW_TOKEN_NEW : MW_TOKEN_NEW_BYTES;
    if (!whole)
        to->tokens = put_varint(to->tokens, (uint32_t)len);
    to->fields[to->known].bytes = memcpy(to->added, at, len);
    to->fields[to->known].len = (uint32_t)len;
    to->added += len;
    return to->known++;
}

/* A field that is not the expected one. *at moves behind it. False: there are too many. */
static bool put_field(encoder *to, const uint8_t **at, const uint8_t *end, uint32_t *before)
{
    mw_wire_field parsed;
    uint32_t field = 0, *recent = NULL, guess = to->fields[*before].next;
    const uint8_t *behind = mw_wire_next(*at, end, &parsed);
    size_t len = (size_t)((behind ? behind : end) - *at);

    if (behind)
        field = find_field(to, *at, end, len, &recent);
    if (field) {
        to->tokens = put_varint(to->tokens, MW_TOKEN_FIELD + field);
    } else {
        if (to->known == FIELDS_MAX)
            return false;
        field = add_field(to, *at, len, behind != NULL);
        to->fields[field].next = to->fields[guess].next;
        if (recent)
            *recent = field;
    }
    to->fields[*before].next = field;
    *before = field;
    *at += len;
    return true;
}

static bool put_item(encoder *to, mw_slice item)
{
    const uint8_t *at = mw_wire_begin(item), *end = mw_wire_end(item);
    uint32_t before = 0;
    if ((size_t)(to->tokens_end - to->tokens) < TOKENS_FOR(item.len))
        return false;
    while (at < end) {
        uint32_t guess = to->fields[before].next;
        const known_field *expected = &to->fields[guess];
        if (guess && stands_here(expected, at, end)) {
            *to->tokens++ = MW_TOKEN_EXPECTED;
            at += expected->len;
            before = guess;
        } else if (!put_field(to, &at, end, &before)) {
            return false;
        }
    }
    *to->tokens++ = to->fields[before].next ? MW_TOKEN_FIELD : MW_TOKEN_EXPECTED;
    to->fields[before].next = 0;
    return true;
}

/* False: it does not pay, or does not fit. */
static bool put_items(encoder *to, const mw_store_batch *batch, const mw_hot *hot)
{
    size_t bytes = 0;
    for (uint32_t row = 0; row < batch->item_count; row++) {
        bytes += batch->items[row].bytes.len;
        tell_row(to, hot, row);
        if (!put_item(to, batch->items[row].bytes))
            return false;
        if (row + 1 == TRIED_ITEMS && (size_t)(to->added - to->dictionary) > bytes - bytes / 4)
            return false;
    }
    return true;
}

/* ---- the front ------------------------------------------------------------------------------- */

static size_t context_bytes(const mw_store_context *contexts, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += contexts[i].bytes.len + contexts[i].schema_url.len;
    return bytes;
}

static size_t most_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What stands in front of the tokens: sizes, and how wide a reference is. */
typedef struct front {
    size_t resources, scopes, heads, kinds, width, len;
} front;

static front measure(const mw_store_batch *batch)
{
    front out = {.resources = batch->resource_count, .scopes = batch->scope_count, .kinds = 2};
    size_t bytes =
        context_bytes(batch->resources, out.resources) + context_bytes(batch->scopes, out.scopes);
    if (batch->signal == MW_SIGNAL_METRICS) {
        out.heads = batch->metric_count;
        out.kinds = 3;
    }
    for (size_t i = 0; i < out.heads; i++)
        bytes += batch->metrics[i].len;
    size_t most = most_of(most_of(out.resources, out.scopes), out.heads);
    out.width = most <= 256 ? 1 : most <= 65536 ? 2 : 4;
    out.len = 4 * batch->item_count + MW_FIELDS_PREFIX +
              MW_ITEMS_CONTEXT * (out.resources + out.scopes + out.heads) +
              out.kinds * out.width * batch->item_count + bytes;
    return out;
}

static unsigned char *put_lengths(const mw_store_context *contexts, size_t count, unsigned char *at)
{
    for (size_t i = 0; i < count; i++, at += MW_ITEMS_CONTEXT) {
        mw_put_u32(at, (uint32_t)contexts[i].bytes.len);
        mw_put_u32(at + 4, (uint32_t)contexts[i].schema_url.len);
    }
    return at;
}

static unsigned char *put_slice(mw_slice bytes, unsigned char *at)
{
    if (bytes.len)
        memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

static unsigned char *put_contexts(const mw_store_context *contexts, size_t count,
                                   unsigned char *at)
{
    for (size_t i = 0; i < count; i++)
        at = put_slice(contexts[i].schema_url, put_slice(contexts[i].bytes, at));
    return at;
}

static unsigned char *put_reference(uint32_t value, size_t limit, size_t width, unsigned char *at)
{
    MW_ASSERT(value < limit);
    for (size_t i = 0; i < width; i++, value >>= 8)
        *at++ = (unsigned char)value;
    return at;
}

static unsigned char *put_references(const mw_store_batch *batch, const front *sizes,
                                     unsigned char *at)
{
    for (size_t i = 0; i < batch->item_count; i++)
        at = put_reference(batch->items[i].resource, sizes->resources, sizes->width, at);
    for (size_t i = 0; i < batch->item_count; i++)
        at = put_reference(batch->items[i].scope, sizes->scopes, sizes->width, at);
    for (size_t i = 0; sizes->kinds == 3 && i < batch->item_count; i++)
        at = put_reference(batch->items[i].metric, sizes->heads, sizes->width, at);
    return at;
}

static void put_front(const mw_store_batch *batch, const front *sizes, size_t tokens,
                      unsigned char *at)
{
    const unsigned char *end = at + sizes->len;
    for (size_t i = 0; i < batch->item_count; i++, at += 4)
        mw_put_u32(at, (uint32_t)batch->items[i].bytes.len);
    mw_put_u32(at, (uint32_t)sizes->resources);
    mw_put_u32(at + 4, (uint32_t)sizes->scopes);
    mw_put_u32(at + 8, (uint32_t)sizes->heads);
    mw_put_u32(at + 12, (uint32_t)tokens);
    mw_put_u32(at + 16, (uint32_t)sizes->width);
    at = put_lengths(batch->resources, sizes->resources, at + MW_FIELDS_PREFIX);
    at = put_lengths(batch->scopes, sizes->scopes, at);
    for (size_t i = 0; i < sizes->heads; i++, at += MW_ITEMS_CONTEXT) {
        mw_put_u32(at, (uint32_t)batch->metrics[i].len);
        mw_put_u32(at + 4, 0);
    }
    at = put_references(batch, sizes, at);
    at = put_contexts(batch->resources, sizes->resources, at);
    at = put_contexts(batch->scopes, sizes->scopes, at);
    for (size_t i = 0; i < sizes->heads; i++)
        at = put_slice(batch->metrics[i], at);
    MW_ASSERT(at == end);
}

/* ---- the chunk ------------------------------------------------------------------------------- */

static mw_err pack(const unsigned char *raw, size_t len, mw_block_buffer *to,
                   mw_block_header *header, bool *done)
{
    size_t from = to->used;
    uint32_t stored;
    uint8_t codec;
    mw_err err = mw_chunk_pack_fields(to, raw, (uint32_t)len, &stored, &codec);
    *done = err == MW_OK && codec == MW_CODEC_LZ4;
    if (!*done) {
        to->used = from;
        return err;
    }
    header->items_raw = (uint32_t)len;
    header->items_stored = stored;
    header->items_codec = MW_CODEC_LOG_FIELDS;
    return MW_OK;
}

/* The front and the tokens are laid side by side with the dictionary, which is much longer. */
static mw_err encode(const mw_store_batch *batch, const mw_hot *hot, encoder *work,
                     mw_block_buffer *to, mw_block_header *header, bool *done)
{
    front sizes = measure(batch);
    size_t bytes = 0, room;
    for (size_t i = 0; i < batch->item_count; i++)
        bytes += batch->items[i].bytes.len;
    room = bytes / 2 + TOKENS_FOR(header->items_raw / 16);
    unsigned char *raw = mw_alloc(MW_MEM_INGEST, sizes.len + room + bytes);
    if (!raw)
        return MW_E_NOMEM;
    unsigned char *tokens = raw + sizes.len;
    work->tokens = tokens;
    work->tokens_end = work->dictionary = work->added = tokens + room;
    mw_err err = MW_OK;
    if (put_items(work, batch, hot)) {
        size_t front_len = sizes.len + (size_t)(work->tokens - tokens);
        unsigned char *begin = work->dictionary - front_len;
        memmove(begin + sizes.len, tokens, front_len - sizes.len);
        put_front(batch, &sizes, front_len - sizes.len, begin);
        err = pack(begin, (size_t)(work->added - begin), to, header, done);
    }
    mw_free(MW_MEM_INGEST, raw);
    return err;
}

mw_err mw_fields_encode(const mw_store_batch *batch, const mw_hot *hot, mw_block_buffer *to,
                        mw_block_header *header, bool *done)
{
    encoder *work = mw_alloc(MW_MEM_INGEST, sizeof *work);
    *done = false;
    if (!work)
        return MW_E_NOMEM;
    work->row_fields = mw_row_field_count(batch->signal);
    work->known = work->row_fields + 1;
    memset(work->fields, 0, work->known * sizeof *work->fields);
    memset(work->recent, 0, sizeof work->recent);
    mw_err err = encode(batch, hot, work, to, header, done);
    mw_free(MW_MEM_INGEST, work);
    return err;
}
