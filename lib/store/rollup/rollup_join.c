/* A roll-up out of blocks. See rollup_join.h. */
#include "lib/store/rollup/rollup_join.h"

#define NODES_A_CHUNK 4096u
#define NO_NODE UINT32_MAX

mw_err mw_rollup_join_init(mw_rollup_join *join, uint64_t seed)
{
    memset(join, 0, sizeof *join);
    join->seed = seed;
    mw_trace_set_init(&join->traces, seed);
    mw_trace_set_init(&join->fresh, seed);
    mw_err err = mw_rollup_new(&join->rollup);
    mw_rollup_rows_init(&join->rows, join->rollup);
    return err;
}

void mw_rollup_join_fini(mw_rollup_join *join)
{
    for (size_t i = 0; i < join->chunk_count; i++)
        mw_free(MW_MEM_ROLLUP, join->chunks[i]);
    mw_free(MW_MEM_ROLLUP, join->chunks);
    mw_free(MW_MEM_ROLLUP, join->trace_nodes);
    mw_free(MW_MEM_ROLLUP, join->fresh_numbers);
    mw_free(MW_MEM_ROLLUP, join->touched);
    mw_free(MW_MEM_ROLLUP, join->numbers);
    mw_free(MW_MEM_ROLLUP, join->spans);
    mw_free(MW_MEM_ROLLUP, join->nodes);
    mw_rollup_rows_fini(&join->rows);
    mw_rollup_free(join->rollup);
    mw_trace_set_fini(&join->traces);
    mw_trace_set_fini(&join->fresh);
    memset(join, 0, sizeof *join);
}

size_t mw_rollup_join_bytes(const mw_rollup_join *join)
{
    size_t counted = join->rollup ? mw_rollup_bytes(join->rollup) : 0;
    return counted + join->chunk_count * NODES_A_CHUNK * sizeof(mw_join_node) +
           mw_trace_set_bytes(&join->traces) + mw_trace_set_bytes(&join->fresh) +
           join->trace_capacity * sizeof *join->trace_nodes +
           join->spans_capacity * sizeof *join->spans + join->node_capacity * sizeof *join->nodes;
}

size_t mw_rollup_join_growth(const mw_rollup_join *join, size_t spans)
{
    size_t chunks = (join->span_count + spans + NODES_A_CHUNK - 1) / NODES_A_CHUNK;
    return chunks > join->chunk_count
               ? (chunks - join->chunk_count) * NODES_A_CHUNK * sizeof(mw_join_node)
               : 0;
}

/* ---- spans by trace -------------------------------------------------------------------------- */

static mw_join_node *node_at(const mw_rollup_join *join, size_t at)
{
    return &join->chunks[at / NODES_A_CHUNK][at % NODES_A_CHUNK];
}

/* A place for one more span; not yet counted as taken. */
static mw_err next_node(mw_rollup_join *join, mw_join_node **out)
{
    if (join->span_count == NO_NODE)
        return MW_E_LIMIT;
    if (join->span_count == join->chunk_count * NODES_A_CHUNK) {
        if (!mw_have_room(MW_MEM_ROLLUP, &join->chunks, &join->chunk_capacity,
                          join->chunk_count + 1, sizeof *join->chunks))
            return MW_E_NOMEM;
        mw_join_node *chunk = mw_alloc(MW_MEM_ROLLUP, NODES_A_CHUNK * sizeof *chunk);
        if (!chunk)
            return MW_E_NOMEM;
        join->chunks[join->chunk_count++] = chunk;
    }
    *out = node_at(join, join->span_count);
    return MW_OK;
}

static mw_err add_row(mw_rollup_join *join, uint32_t row, uint32_t trace, bool earlier)
{
    mw_join_trace *of = &join->trace_nodes[trace];
    mw_join_node *node;
    mw_err err = next_node(join, &node);
    if (err == MW_OK)
        err = mw_rollup_rows_span(&join->rows, row, &node->span);
    if (err != MW_OK)
        return err;
    node->span.earlier = earlier;
    node->next = NO_NODE;
    uint32_t at = (uint32_t)join->span_count++;
    if (of->tail == NO_NODE)
        of->head = at;
    else
        node_at(join, of->tail)->next = at;
    of->tail = at;
    if (earlier || of->touched)
        return MW_OK;
    if (!mw_have_room(MW_MEM_ROLLUP, &join->touched, &join->touched_capacity,
                      join->touched_count + 1, sizeof *join->touched))
        return MW_E_NOMEM;
    join->touched[join->touched_count++] = trace;
    of->touched = true;
    return MW_OK;
}

static mw_err number_trace(mw_rollup_join *join, const uint8_t *id, uint32_t *number)
{
    uint32_t fresh;
    size_t before = join->traces.count;
    mw_err err = mw_trace_set_add(&join->traces, id, number);
    if (err != MW_OK || join->traces.count == before)
        return err;
    if (!mw_have_room(MW_MEM_ROLLUP, &join->trace_nodes, &join->trace_capacity, join->traces.count,
                      sizeof *join->trace_nodes) ||
        !mw_have_room(MW_MEM_ROLLUP, &join->fresh_numbers, &join->fresh_capacity,
                      join->fresh.count + 1, sizeof *join->fresh_numbers))
        return MW_E_NOMEM;
    join->trace_nodes[*number] = (mw_join_trace){.head = NO_NODE, .tail = NO_NODE};
    err = mw_trace_set_add(&join->fresh, id, &fresh);
    if (err == MW_OK)
        join->fresh_numbers[fresh] = *number;
    return err;
}

static mw_err number_room(mw_rollup_join *join, const mw_hot *hot)
{
    bool room = mw_have_room(MW_MEM_ROLLUP, &join->numbers, &join->number_capacity, hot->traces,
                             sizeof *join->numbers);
    return room ? mw_rollup_rows_begin(&join->rows, hot) : MW_E_NOMEM;
}

mw_err mw_rollup_join_block(mw_rollup_join *join, const mw_hot *hot)
{
    mw_err err = number_room(join, hot);
    for (uint32_t i = 0; err == MW_OK && i < hot->traces; i++)
        err = number_trace(join, mw_hot_trace_id(hot, i), &join->numbers[i]);
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++)
        err = add_row(join, row, join->numbers[mw_hot_ref(hot, MW_HOT_TRACE, row)], false);
    return err;
}

void mw_rollup_join_bound(mw_rollup_join *join, size_t spans)
{
    join->earlier_left = spans;
    join->left_out = 0;
}

/* ---- settling -------------------------------------------------------------------------------- */

/* `numbers`: of the block's traces among the fresh ones. */
static mw_err add_earlier(mw_rollup_join *join, const mw_hot *hot, const uint32_t *numbers)
{
    mw_err err = MW_OK;
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++) {
        uint32_t fresh = numbers[mw_hot_ref(hot, MW_HOT_TRACE, row)];
        if (fresh == MW_EARLIER_NOT_WANTED)
            continue;
        if (join->earlier_left == 0) {
            join->left_out++;
            continue;
        }
        join->earlier_left--;
        err = add_row(join, row, join->fresh_numbers[fresh], true);
    }
    return err;
}

static mw_err take_merged(void *ctx, const mw_hot *hot, const uint32_t *numbers)
{
    mw_rollup_join *join = ctx;
    mw_err err = mw_rollup_rows_begin(&join->rows, hot);
    return err == MW_OK ? add_earlier(join, hot, numbers) : err;
}

mw_err mw_rollup_join_merged(mw_rollup_join *join, mw_store_view *view, uint64_t arrival_ns)
{
    return mw_each_earlier_block(view, &join->fresh, arrival_ns, UINT64_MAX, take_merged, join);
}

bool mw_rollup_join_wants(const mw_rollup_join *join, const mw_index_block *block)
{
    const uint64_t *keys = mw_index_traces(block);
    for (uint32_t i = 0; i < block->trace_count; i++)
        if (mw_trace_set_has_key(&join->fresh, keys[i]))
            return true;
    return false;
}

mw_err mw_rollup_join_earlier(mw_rollup_join *join, const mw_hot *hot)
{
    mw_err err = number_room(join, hot);
    for (uint32_t i = 0; err == MW_OK && i < hot->traces; i++)
        if (!mw_trace_set_find(&join->fresh, mw_hot_trace_id(hot, i), &join->numbers[i]))
            join->numbers[i] = MW_EARLIER_NOT_WANTED;
    return err == MW_OK ? add_earlier(join, hot, join->numbers) : err;
}

/* Puts those of the trace's spans that are (not) earlier behind the `count` that are there. */
static mw_err put_spans(mw_rollup_join *join, uint32_t trace, bool earlier, size_t *count)
{
    for (uint32_t at = join->trace_nodes[trace].head; at != NO_NODE;) {
        const mw_join_node *node = node_at(join, at);
        if (node->span.earlier == earlier) {
            if (!mw_have_room(MW_MEM_ROLLUP, &join->spans, &join->spans_capacity, *count + 1,
                              sizeof *join->spans) ||
                !mw_have_room(MW_MEM_ROLLUP, &join->nodes, &join->node_capacity, *count + 1,
                              sizeof *join->nodes))
                return MW_E_NOMEM;
            join->spans[*count] = node->span;
            join->nodes[(*count)++] = at;
        }
        at = node->next;
    }
    return MW_OK;
}

/* From now on they are earlier ones, without the repeats. */
static void keep_spans(mw_rollup_join *join, uint32_t trace, size_t count)
{
    mw_join_trace *of = &join->trace_nodes[trace];
    *of = (mw_join_trace){.head = NO_NODE, .tail = NO_NODE};
    for (size_t i = 0; i < count; i++) {
        uint32_t at = join->nodes[i];
        mw_join_node *node = node_at(join, at);
        if (join->spans[i].marks & MW_ROLLUP_REPEAT)
            continue;
        node->span.earlier = true;
        node->next = NO_NODE;
        if (of->tail == NO_NODE)
            of->head = at;
        else
            node_at(join, of->tail)->next = at;
        of->tail = at;
    }
}

static mw_err count_trace(mw_rollup_join *join, uint32_t trace)
{
    size_t count = 0;
    mw_err err = put_spans(join, trace, true, &count);
    if (err == MW_OK)
        err = put_spans(join, trace, false, &count);
    if (err == MW_OK)
        err = mw_rollup_trace(join->rollup, join->spans, count);
    if (err == MW_OK)
        keep_spans(join, trace, count);
    return err;
}

mw_err mw_rollup_join_settle(mw_rollup_join *join)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < join->touched_count; i++)
        err = count_trace(join, join->touched[i]);
    join->touched_count = 0;
    mw_trace_set_fini(&join->fresh);
    mw_trace_set_init(&join->fresh, join->seed);
    return err;
}
