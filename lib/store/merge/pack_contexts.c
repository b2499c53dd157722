/* Contexts of a merged block. See pack_contexts.h. */
#include "lib/store/merge/pack_contexts.h"

#define HEAD 4u /* of an entry: the message's length */
#define CONTEXTS_AT_FIRST 64u
#define BYTES_AT_FIRST ((size_t)8 << 10)

mw_err mw_pack_contexts_init(mw_pack_contexts *contexts, mw_signal signal, uint32_t rows)
{
    mw_err err = MW_OK;
    contexts->kinds = signal == MW_SIGNAL_METRICS ? 3 : 2;
    contexts->rows = contexts->rows_room = rows;
    for (unsigned kind = 0; err == MW_OK && kind < contexts->kinds; kind++) {
        err = mw_byte_table_init(&contexts->tables[kind], CONTEXTS_AT_FIRST, BYTES_AT_FIRST);
        contexts->refs[kind] = mw_alloc(MW_MEM_MERGE, rows * sizeof *contexts->refs[kind]);
        if (!contexts->refs[kind])
            err = MW_E_NOMEM;
    }
    return err;
}

mw_err mw_pack_contexts_again(mw_pack_contexts *contexts, uint32_t rows)
{
    contexts->rows = rows;
    for (unsigned kind = 0; kind < contexts->kinds; kind++)
        mw_byte_table_clear(&contexts->tables[kind]);
    if (rows <= contexts->rows_room)
        return MW_OK;
    contexts->rows_room = 0;
    for (unsigned kind = 0; kind < contexts->kinds; kind++) {
        mw_free(MW_MEM_MERGE, contexts->refs[kind]);
        contexts->refs[kind] = mw_alloc(MW_MEM_MERGE, rows * sizeof *contexts->refs[kind]);
        if (!contexts->refs[kind])
            return MW_E_NOMEM;
    }
    contexts->rows_room = rows;
    return MW_OK;
}

void mw_pack_contexts_fini(mw_pack_contexts *contexts)
{
    for (unsigned kind = 0; kind < contexts->kinds; kind++) {
        mw_byte_table_fini(&contexts->tables[kind]);
        mw_free(MW_MEM_MERGE, contexts->refs[kind]);
    }
    mw_free(MW_MEM_MERGE, contexts->map);
    mw_free(MW_MEM_MERGE, contexts->scratch);
    memset(contexts, 0, sizeof *contexts);
}

size_t mw_pack_contexts_size(const mw_pack_contexts *contexts)
{
    size_t size = contexts->map_room * sizeof *contexts->map + contexts->scratch_room;
    for (unsigned kind = 0; kind < contexts->kinds; kind++)
        size += mw_byte_table_size(&contexts->tables[kind]) +
                contexts->rows_room * sizeof *contexts->refs[kind];
    return size;
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* First context of each kind in the walk's numbering; [kinds] = all of them. */
static void firsts_of(const mw_items_walk *walk, uint32_t firsts[MW_CONTEXT_KINDS + 1])
{
    firsts[MW_CONTEXT_RESOURCE] = 0;
    firsts[MW_CONTEXT_SCOPE] = walk->resources;
    firsts[MW_CONTEXT_HEAD] = walk->resources + walk->scopes;
    firsts[MW_CONTEXT_KINDS] = walk->resources + walk->scopes + walk->metrics;
}

static uint32_t ref_of(const mw_items_walk *walk, unsigned kind, uint32_t row)
{
    switch (kind) {
    case MW_CONTEXT_RESOURCE: return mw_items_walk_resource(walk, row);
    case MW_CONTEXT_SCOPE: return mw_items_walk_scope(walk, row);
    default: return mw_items_walk_metric(walk, row);
    }
}

static bool begin_map(mw_pack_contexts *contexts, uint32_t need)
{
    if (need > contexts->map_room) {
        mw_free(MW_MEM_MERGE, contexts->map);
        contexts->map = mw_alloc(MW_MEM_MERGE, need * sizeof *contexts->map);
        contexts->map_room = contexts->map ? need : 0;
    }
    if (need && contexts->map)
        memset(contexts->map, 0, need * sizeof *contexts->map);
    return contexts->map != NULL;
}

static bool begin_scratch(mw_pack_contexts *contexts, size_t need)
{
    if (need <= contexts->scratch_room)
        return true;
    mw_free(MW_MEM_MERGE, contexts->scratch);
    contexts->scratch = mw_alloc(MW_MEM_MERGE, need);
    contexts->scratch_room = contexts->scratch ? need : 0;
    return contexts->scratch != NULL;
}

/* One context of the source becomes one of the block. */
static mw_err read_context(mw_pack_contexts *contexts, mw_items_walk *walk, unsigned kind,
                           uint32_t context)
{
    uint32_t message = mw_items_walk_message_length(walk, context), number;
    size_t len = (size_t)message + mw_items_walk_url_length(walk, context);

    if (!begin_scratch(contexts, HEAD + len))
        return MW_E_NOMEM;
    mw_put_u32(contexts->scratch, message);
    mw_err err = mw_items_walk_context(walk, context, contexts->scratch + HEAD);
    if (err == MW_OK)
        err = mw_byte_table_put(&contexts->tables[kind],
                                mw_slice_bytes(contexts->scratch, HEAD + len), &number);
    if (err == MW_OK)
        contexts->map[context] = number + 1;
    return err;
}

mw_err mw_pack_contexts_add(mw_pack_contexts *contexts, mw_items_walk *walk, const uint32_t *rows,
                            const uint32_t *places, size_t count)
{
    uint32_t firsts[MW_CONTEXT_KINDS + 1];
    mw_err err = MW_OK;

    firsts_of(walk, firsts);
    if (!begin_map(contexts, firsts[MW_CONTEXT_KINDS]))
        return MW_E_NOMEM;
    for (unsigned kind = 0; kind < contexts->kinds; kind++)
        for (size_t i = 0; i < count; i++)
            contexts->map[firsts[kind] + ref_of(walk, kind, rows[i])] = UINT32_MAX;
    for (unsigned kind = 0; kind < contexts->kinds; kind++)
        for (uint32_t i = firsts[kind]; err == MW_OK && i < firsts[kind + 1]; i++)
            if (contexts->map[i])
                err = read_context(contexts, walk, kind, i);
    for (unsigned kind = 0; err == MW_OK && kind < contexts->kinds; kind++)
        for (size_t i = 0; i < count; i++)
            contexts->refs[kind][places[i]] =
                contexts->map[firsts[kind] + ref_of(walk, kind, rows[i])] - 1;
    return err;
}

mw_slice mw_pack_contexts_message(const mw_pack_contexts *contexts, unsigned kind, uint32_t number)
{
    mw_slice entry = mw_byte_table_get(&contexts->tables[kind], number);
    return mw_slice_first(mw_slice_from(entry, HEAD), mw_get_u32(entry.data));
}

/* ---- the whole ------------------------------------------------------------------------------- */

uint64_t mw_pack_contexts_lengths(const mw_pack_contexts *contexts)
{
    uint64_t count = 0;
    for (unsigned kind = 0; kind < contexts->kinds; kind++)
        count += contexts->tables[kind].count;
    return MW_ITEMS_CONTEXT * count;
}

uint64_t mw_pack_contexts_bytes(const mw_pack_contexts *contexts)
{
    uint64_t bytes = 0;
    for (unsigned kind = 0; kind < contexts->kinds; kind++)
        bytes += mw_byte_table_used(&contexts->tables[kind]) -
                 HEAD * (uint64_t)contexts->tables[kind].count;
    return bytes;
}

unsigned char *mw_pack_contexts_put_lengths(const mw_pack_contexts *contexts, unsigned char *at)
{
    for (unsigned kind = 0; kind < contexts->kinds; kind++) {
        const mw_byte_table *table = &contexts->tables[kind];
        for (uint32_t i = 0; i < table->count; i++, at += MW_ITEMS_CONTEXT) {
            mw_slice entry = mw_byte_table_get(table, i);
            uint32_t message = mw_get_u32(entry.data);
            mw_put_u32(at, message);
            mw_put_u32(at + 4, (uint32_t)(entry.len - HEAD) - message);
        }
    }
    return at;
}

unsigned char *mw_pack_contexts_put_bytes(const mw_pack_contexts *contexts, unsigned char *at)
{
    for (unsigned kind = 0; kind < contexts->kinds; kind++) {
        const mw_byte_table *table = &contexts->tables[kind];
        for (uint32_t i = 0; i < table->count; i++) {
            mw_slice entry = mw_byte_table_get(table, i);
            memcpy(at, entry.data + HEAD, entry.len - HEAD);
            at += entry.len - HEAD;
        }
    }
    return at;
}
