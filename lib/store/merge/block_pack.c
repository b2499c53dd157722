/* Merged blocks. See block_pack.h.
 *
 * Three gatherings of the rows (columns, contexts, fields of the items) are made as they come;
 * here they become one block. A block whose items are too long for the codec "fields", a single
 * huge row, has its items put together again and packed in pieces, as in the log.
 */
#include "lib/store/merge/block_pack.h"
#include "lib/store/format/field_writer.h"
#include "lib/store/format/hot_planes.h"
#include "lib/store/merge/pack_columns.h"
#include "lib/store/merge/pack_contexts.h"

/* Tables are packed best by the fastest level, tokens too where they repeat. The dictionary is
 * text: at level 1 and 2 it was 5 and 9 % longer and took as long (tests/bench/pack_only, with and
 * without --fresh). */
#define TABLES_LEVEL 1
#define TOKENS_LEVEL 1
#define DICTIONARY_LEVEL 3
/* Of the tokens of every eighth block; of fewer than so many there is none, which would take as
 * long as it could save. */
#define SAMPLE ((size_t)8 << 10)
#define SAMPLED_FROM (8 * SAMPLE)
#define SAMPLE_EVERY 8u

struct mw_block_pack {
    mw_signal signal;
    uint32_t rows, added;
    uint64_t arrival_ns;
    mw_pack_columns columns;
    mw_pack_contexts contexts;
    mw_field_writer fields;
    mw_zstd zstd;
    int tokens_level;   /* by the last sample */
    unsigned unsampled; /* blocks until the next one */
    unsigned char *raw; /* the finished columns, and the same decoded */
    mw_hot hot;
    char *item; /* the present one */
    size_t item_room;
};

/* ---- life ------------------------------------------------------------------------------------ */

mw_err mw_block_pack_new(mw_signal signal, uint32_t rows, mw_block_pack **out)
{
    mw_block_pack *pack = mw_calloc(MW_MEM_MERGE, 1, sizeof *pack);
    MW_ASSERT(rows > 0);
    if (!pack)
        return MW_E_NOMEM;
    pack->signal = signal;
    pack->rows = rows;
    pack->arrival_ns = UINT64_MAX;
    mw_err err = mw_pack_columns_init(&pack->columns, signal, rows);
    if (err == MW_OK)
        err = mw_pack_contexts_init(&pack->contexts, signal, rows);
    if (err == MW_OK)
        err = mw_field_writer_init(&pack->fields, signal, rows);
    if (err != MW_OK) {
        mw_block_pack_free(pack);
        return err;
    }
    *out = pack;
    return MW_OK;
}

mw_err mw_block_pack_again(mw_block_pack *pack, uint32_t rows)
{
    MW_ASSERT(rows > 0 && pack->raw);
    mw_free(MW_MEM_MERGE, pack->raw);
    pack->raw = NULL;
    pack->rows = rows;
    pack->added = 0;
    pack->arrival_ns = UINT64_MAX;
    mw_err err = mw_pack_columns_again(&pack->columns, rows);
    if (err == MW_OK)
        err = mw_pack_contexts_again(&pack->contexts, rows);
    return err == MW_OK ? mw_field_writer_again(&pack->fields, rows) : err;
}

void mw_block_pack_free(mw_block_pack *pack)
{
    if (!pack)
        return;
    mw_pack_columns_fini(&pack->columns);
    mw_pack_contexts_fini(&pack->contexts);
    mw_field_writer_fini(&pack->fields);
    mw_zstd_fini(&pack->zstd);
    mw_free(MW_MEM_MERGE, pack->item);
    mw_free(MW_MEM_MERGE, pack->raw);
    mw_free(MW_MEM_MERGE, pack);
}

size_t mw_block_pack_bytes(const mw_block_pack *pack)
{
    return sizeof *pack + pack->item_room + mw_pack_columns_size(&pack->columns) +
           mw_pack_contexts_size(&pack->contexts) + mw_field_writer_size(&pack->fields);
}

/* ---- adding ---------------------------------------------------------------------------------- */

static bool item_room(mw_block_pack *pack, size_t need)
{
    if (need <= pack->item_room)
        return true;
    mw_free(MW_MEM_MERGE, pack->item);
    pack->item = mw_alloc(MW_MEM_MERGE, need + need / 4 + 64);
    pack->item_room = pack->item ? need + need / 4 + 64 : 0;
    return pack->item != NULL;
}

/* Where it lies, or a copy. */
static mw_err find_item(mw_block_pack *pack, mw_items_walk *walk, uint32_t row, mw_slice *item)
{
    uint32_t len = mw_items_walk_item_length(walk, row);
    *item = mw_items_walk_peek(walk, row);
    if (item->data)
        return MW_OK;
    if (!item_room(pack, len))
        return MW_E_NOMEM;
    *item = mw_slice_bytes(pack->item, len);
    return mw_items_walk_item(walk, row, pack->item);
}

static mw_err add_item(mw_block_pack *pack, const mw_hot *hot, mw_items_walk *walk, uint32_t row,
                       uint32_t place)
{
    mw_row_fields told;
    mw_slice item;
    if (walk->in_fields && mw_field_writer_takes_cut(&pack->fields))
        return mw_field_writer_add_cut(&pack->fields, place, &walk->fields, row);
    mw_err err = find_item(pack, walk, row, &item);
    if (err != MW_OK)
        return err;
    mw_row_fields_make(hot, row, &told);
    return mw_field_writer_add(&pack->fields, place, &told, item);
}

mw_err mw_block_pack_add(mw_block_pack *pack, const mw_block_header *header, const mw_hot *hot,
                         mw_items_walk *walk, const uint32_t *rows, const uint32_t *places,
                         size_t count)
{
    MW_ASSERT(count <= pack->rows - pack->added);
    mw_err err = mw_pack_columns_add(&pack->columns, hot, rows, places, count);
    if (err == MW_OK)
        err = mw_pack_contexts_add(&pack->contexts, walk, rows, places, count);
    if (err == MW_OK && walk->in_fields)
        err = mw_field_writer_begin_cut(&pack->fields, &walk->fields);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = add_item(pack, hot, walk, rows[i], places[i]);
    pack->added += (uint32_t)count;
    if (header->arrival_ns < pack->arrival_ns)
        pack->arrival_ns = header->arrival_ns;
    return err;
}

/* ---- items, in fields ------------------------------------------------------------------------ */

/* The unpacked chunk, its three parts; the tokens are shorter than their room. */
typedef struct fields_chunk {
    unsigned char *front, *tokens, *dictionary;
    size_t front_len, tokens_len, dictionary_len;
} fields_chunk;

static uint32_t reference_width(const mw_pack_contexts *contexts)
{
    uint32_t most = 0;
    for (unsigned kind = 0; kind < contexts->kinds; kind++)
        if (mw_pack_contexts_count(contexts, kind) > most)
            most = mw_pack_contexts_count(contexts, kind);
    if (most <= 256)
        return 1;
    return most <= 65536 ? 2 : 4;
}

static unsigned char *put_narrow(const uint32_t *refs, size_t rows, uint32_t width,
                                 unsigned char *at)
{
    switch (width) {
    case 1:
        for (size_t i = 0; i < rows; i++)
            at[i] = (unsigned char)refs[i];
        break;
    case 2:
        for (size_t i = 0; i < rows; i++)
            mw_put_u16(at + 2 * i, (uint16_t)refs[i]);
        break;
    default:
        for (size_t i = 0; i < rows; i++)
            mw_put_u32(at + 4 * i, refs[i]);
    }
    return at + width * rows;
}

static uint64_t front_length(const mw_block_pack *pack)
{
    const mw_pack_contexts *contexts = &pack->contexts;
    return MW_FIELDS_PREFIX + mw_pack_contexts_lengths(contexts) +
           (uint64_t)reference_width(contexts) * pack->rows * contexts->kinds +
           mw_pack_contexts_bytes(contexts);
}

static void put_counts(const mw_pack_contexts *contexts, unsigned char *at)
{
    mw_put_u32(at, mw_pack_contexts_count(contexts, MW_CONTEXT_RESOURCE));
    mw_put_u32(at + 4, mw_pack_contexts_count(contexts, MW_CONTEXT_SCOPE));
    mw_put_u32(at + 8, mw_pack_contexts_count(contexts, MW_CONTEXT_HEAD));
}

static void put_front(const mw_block_pack *pack, const fields_chunk *chunk)
{
    const mw_pack_contexts *contexts = &pack->contexts;
    uint32_t width = reference_width(contexts);
    unsigned char *at = chunk->front;

    put_counts(contexts, at);
    mw_put_u32(at + 12, (uint32_t)chunk->tokens_len);
    mw_put_u32(at + 16, width);
    at = mw_pack_contexts_put_lengths(contexts, at + MW_FIELDS_PREFIX);
    for (unsigned kind = 0; kind < contexts->kinds; kind++)
        at = put_narrow(contexts->refs[kind], pack->rows, width, at);
    at = mw_pack_contexts_put_bytes(contexts, at);
    MW_ASSERT(at == chunk->front + chunk->front_len);
}

/* Behind what `to` has, without taking it up. */
static mw_err try_frame(mw_block_pack *pack, int level, const unsigned char *raw, size_t len,
                        mw_block_buffer *to, size_t *packed)
{
    if (!mw_block_buffer_reserve(to, mw_zstd_room(len)))
        return MW_E_NOMEM;
    return mw_zstd_pack(&pack->zstd, level, raw, len, to->data + to->used, packed);
}

static mw_err put_frame(mw_block_pack *pack, int level, const unsigned char *raw, size_t len,
                        mw_block_buffer *to)
{
    size_t packed;
    if (len == 0)
        return MW_OK;
    mw_err err = try_frame(pack, level, raw, len, to, &packed);
    if (err == MW_OK)
        to->used += packed;
    return err;
}

/* Which level is worth its time, by a sample out of the middle. Most tokens say that what was
 * expected is there, and codes alone make less than two bits of them; to look for what repeats
 * beyond that takes nearly twice as long again. In all of the tokens more repeats than in the
 * sample. */
static mw_err choose_level(mw_block_pack *pack, const unsigned char *tokens, size_t len,
                           mw_block_buffer *to)
{
    size_t searched, coded;
    const unsigned char *sample = tokens + (len - SAMPLE) / 2;
    mw_err err = try_frame(pack, TOKENS_LEVEL, sample, SAMPLE, to, &searched);
    if (err == MW_OK)
        err = try_frame(pack, MW_ZSTD_CODES, sample, SAMPLE, to, &coded);
    if (err == MW_OK)
        pack->tokens_level = searched < coded - coded / 5 ? TOKENS_LEVEL : MW_ZSTD_CODES;
    return err;
}

/* Blocks of a merge are much alike. */
static mw_err put_tokens(mw_block_pack *pack, const unsigned char *tokens, size_t len,
                         mw_block_buffer *to)
{
    mw_err err = MW_OK;
    if (len < SAMPLED_FROM)
        return put_frame(pack, TOKENS_LEVEL, tokens, len, to);
    if (pack->unsampled == 0) {
        err = choose_level(pack, tokens, len, to);
        pack->unsampled = SAMPLE_EVERY;
    }
    pack->unsampled--;
    return err == MW_OK ? put_frame(pack, pack->tokens_level, tokens, len, to) : err;
}

/* Can the items be packed as fields at all? */
static bool fields_fit(const mw_block_pack *pack)
{
    return pack->fields.bytes <= MW_FIELDS_ITEMS_MAX &&
           front_length(pack) + mw_field_writer_token_room(&pack->fields) +
                   mw_field_writer_dictionary(&pack->fields) <=
               MW_ZSTD_RAW_MAX;
}

static mw_err pack_fields(mw_block_pack *pack, mw_block_buffer *to, mw_block_header *header)
{
    size_t from = to->used, room = mw_field_writer_token_room(&pack->fields);
    fields_chunk chunk = {.front_len = (size_t)front_length(pack),
                          .dictionary_len = mw_field_writer_dictionary(&pack->fields)};

    chunk.front = mw_alloc(MW_MEM_MERGE, chunk.front_len + room + chunk.dictionary_len);
    if (!chunk.front)
        return MW_E_NOMEM;
    chunk.tokens = chunk.front + chunk.front_len;
    chunk.dictionary = chunk.tokens + room;
    mw_err err =
        mw_field_writer_finish(&pack->fields, chunk.tokens, &chunk.tokens_len, chunk.dictionary);
    if (err == MW_OK) {
        put_front(pack, &chunk);
        err = put_frame(pack, TABLES_LEVEL, chunk.front, chunk.front_len, to);
    }
    if (err == MW_OK)
        err = put_tokens(pack, chunk.tokens, chunk.tokens_len, to);
    if (err == MW_OK)
        err = put_frame(pack, DICTIONARY_LEVEL, chunk.dictionary, chunk.dictionary_len, to);
    mw_free(MW_MEM_MERGE, chunk.front);
    header->items_codec = MW_CODEC_FIELDS;
    header->items_raw = (uint32_t)(chunk.front_len + chunk.tokens_len + chunk.dictionary_len);
    header->items_stored = (uint32_t)(to->used - from);
    return err;
}

/* ---- items, as they are ---------------------------------------------------------------------- */

static void count_bytes(void *ctx, mw_slice bytes)
{
    *(uint32_t *)ctx += (uint32_t)bytes.len;
}

static void put_bytes(void *ctx, mw_slice bytes)
{
    mw_chunk_put(ctx, bytes.data, bytes.len);
}

static mw_err put_contexts(const mw_pack_contexts *contexts, mw_chunk_writer *to)
{
    size_t lengths = (size_t)mw_pack_contexts_lengths(contexts);
    unsigned char counts[MW_ITEMS_PREFIX];
    unsigned char *at = mw_alloc(MW_MEM_MERGE, lengths + 1);
    if (!at)
        return MW_E_NOMEM;
    put_counts(contexts, counts);
    mw_pack_contexts_put_lengths(contexts, at);
    mw_chunk_put(to, counts, sizeof counts);
    mw_chunk_put(to, at, lengths);
    mw_free(MW_MEM_MERGE, at);
    return MW_OK;
}

static mw_err put_context_bytes(const mw_pack_contexts *contexts, mw_chunk_writer *to)
{
    size_t len = (size_t)mw_pack_contexts_bytes(contexts);
    unsigned char *bytes = mw_alloc(MW_MEM_MERGE, len + 1);
    if (!bytes)
        return MW_E_NOMEM;
    mw_pack_contexts_put_bytes(contexts, bytes);
    mw_chunk_put(to, bytes, len);
    mw_free(MW_MEM_MERGE, bytes);
    return MW_OK;
}

static void put_plain_items(const mw_block_pack *pack, const mw_hot *hot, mw_chunk_writer *to)
{
    for (uint32_t row = 0; row < pack->rows; row++) {
        mw_row_fields told;
        mw_row_fields_make(hot, row, &told);
        mw_field_writer_item(&pack->fields, row, &told, put_bytes, to);
    }
}

static void put_plain_tables(const mw_block_pack *pack, const mw_hot *hot, mw_chunk_writer *to)
{
    for (uint32_t row = 0; row < pack->rows; row++) {
        mw_row_fields told;
        uint32_t len = 0;
        mw_row_fields_make(hot, row, &told);
        mw_field_writer_item(&pack->fields, row, &told, count_bytes, &len);
        mw_chunk_put_u32(to, len);
    }
    for (unsigned kind = 0; kind < pack->contexts.kinds; kind++)
        for (uint32_t row = 0; row < pack->rows; row++)
            mw_chunk_put_u32(to, pack->contexts.refs[kind][row]);
}

/* The chunk of the log: one lz4 block or pieces. */
static mw_err pack_plain(mw_block_pack *pack, const mw_hot *hot, mw_block_buffer *to,
                         mw_block_header *header)
{
    mw_chunk_writer writer;
    uint64_t len = MW_ITEMS_PREFIX + mw_pack_contexts_lengths(&pack->contexts) +
                   (uint64_t)pack->rows * mw_items_fixed(pack->signal) +
                   mw_pack_contexts_bytes(&pack->contexts) + pack->fields.bytes;
    if (len > MW_BLOCK_RAW_MAX)
        return MW_E_LIMIT;
    header->items_raw = (uint32_t)len;
    mw_chunk_begin(&writer, to, header->items_raw);
    mw_err err = put_contexts(&pack->contexts, &writer);
    if (err == MW_OK) {
        put_plain_tables(pack, hot, &writer);
        err = put_context_bytes(&pack->contexts, &writer);
    }
    if (err == MW_OK)
        put_plain_items(pack, hot, &writer);
    if (err != MW_OK && writer.err == MW_OK)
        writer.err = err;
    return mw_chunk_end(&writer, &header->items_stored, &header->items_codec);
}

/* ---- the block ------------------------------------------------------------------------------- */

/* Zstd or, where that does not shrink them, as in the log. */
static mw_err pack_hot(mw_block_pack *pack, const mw_hot *hot, const unsigned char *raw,
                       mw_block_buffer *to, mw_block_header *header)
{
    size_t from = to->used;
    mw_err err = MW_OK;
    header->hot_codec = MW_CODEC_PLANES;
    if (header->hot_raw <= MW_ZSTD_RAW_MAX)
        err = mw_planes_pack(&pack->zstd, hot, raw, header->hot_raw, to, &header->hot_stored);
    if (err == MW_OK &&
        (header->hot_raw > MW_ZSTD_RAW_MAX || header->hot_stored > header->hot_raw)) {
        to->used = from;
        err = mw_chunk_pack(to, raw, header->hot_raw, &header->hot_stored, &header->hot_codec);
    }
    if (err == MW_OK)
        header->hot_checksum = mw_chunk_checksum(to->data + from, header->hot_stored);
    return err;
}

static mw_err pack_items(mw_block_pack *pack, const mw_hot *hot, mw_block_buffer *to,
                         mw_block_header *header)
{
    size_t from = to->used;
    mw_err err = MW_OK;
    bool fits = fields_fit(pack);

    if (fits)
        err = pack_fields(pack, to, header);
    if (err == MW_OK && (!fits || header->items_stored > header->items_raw)) {
        to->used = from;
        err = pack_plain(pack, hot, to, header);
    }
    return err == MW_OK ? mw_chunk_pad_items(to, from, header) : err;
}

/* As much as nearly all blocks need, so that what is written already is not moved. */
static size_t room_at_first(const mw_block_pack *pack, const mw_block_header *header)
{
    size_t room = mw_chunk_room(header->hot_raw);
    if (fields_fit(pack))
        room +=
            (size_t)front_length(pack) + mw_zstd_room(mw_field_writer_dictionary(&pack->fields));
    return room;
}

static mw_err pack_chunks(mw_block_pack *pack, uint64_t key_seed, mw_block_buffer *to,
                          mw_encoded_block *out)
{
    mw_block_header *header = &out->header;
    const unsigned char *raw = pack->raw;
    const mw_hot *hot = &pack->hot;

    mw_err whole = mw_hot_decode(header, mw_slice_bytes(raw, header->hot_raw), &pack->hot);
    MW_ASSERT(whole == MW_OK);
    out->entry = mw_index_block_new(hot, header, key_seed);
    if (!out->entry)
        return MW_E_NOMEM;
    if (!mw_block_buffer_reserve(to, room_at_first(pack, header)))
        return MW_E_NOMEM;
    mw_err err = pack_hot(pack, hot, raw, to, header);
    if (err == MW_OK)
        err = pack_items(pack, hot, to, header);
    if (err == MW_OK && (uint64_t)header->hot_raw + header->items_raw > MW_BLOCK_RAW_MAX)
        err = MW_E_LIMIT;
    return err;
}

mw_err mw_block_pack_finish(mw_block_pack *pack, uint64_t key_seed, mw_encoded_block *out)
{
    mw_block_buffer to = {.used = MW_BLOCK_HEADER_SIZE};

    MW_ASSERT(pack->added == pack->rows && !pack->raw);
    memset(out, 0, sizeof *out);
    out->header.signal = pack->signal;
    out->header.item_count = pack->rows;
    out->header.arrival_ns = pack->arrival_ns;
    out->header.many_commits = true;
    mw_pack_columns_summarize(&pack->columns, &out->header);
    mw_err err = mw_pack_columns_lay_out(&pack->columns, &out->header, &pack->raw);
    if (err == MW_OK)
        err = pack_chunks(pack, key_seed, &to, out);
    if (err != MW_OK) {
        mw_free(MW_MEM_INGEST, to.data);
        mw_encoded_block_fini(out);
        return err;
    }
    out->len = to.used;
    MW_ASSERT(out->len == mw_block_size(&out->header));
    unsigned char *fitted = mw_realloc(MW_MEM_INGEST, to.data, out->len);
    out->data = fitted ? fitted : to.data;
    return MW_OK;
}

void mw_block_pack_each_field(const mw_block_pack *pack, void (*field)(void *ctx, mw_slice bytes),
                              void *ctx)
{
    mw_field_writer_each(&pack->fields, field, ctx);
}

void mw_block_pack_each_context(const mw_block_pack *pack,
                                void (*context)(void *ctx, mw_slice message), void *ctx)
{
    for (unsigned kind = 0; kind <= MW_CONTEXT_SCOPE; kind++)
        for (uint32_t i = 0; i < mw_pack_contexts_count(&pack->contexts, kind); i++)
            context(ctx, mw_pack_contexts_message(&pack->contexts, kind, i));
}

const mw_hot *mw_block_pack_hot(const mw_block_pack *pack)
{
    MW_ASSERT(pack->raw);
    return &pack->hot;
}
