/* Columns of a merged block. See pack_columns.h. */
#include "lib/store/merge/pack_columns.h"

/* SeverityNumber's first ERROR (OpenTelemetry logs data model): what counts as an error. */
#define SEVERITY_ERROR 17
#define STATUS_ERROR 2

#define STRINGS_AT_FIRST 1024u
#define STRING_BYTES_AT_FIRST ((size_t)32 << 10)
#define TRACES_AT_FIRST 1024u

/* ---- life ------------------------------------------------------------------------------------ */

static size_t cell_bytes(const mw_hot_layout *layout)
{
    return mw_hot_fixed(layout, true) + sizeof(uint32_t) * layout->ref_count;
}

/* Widest first: each column is aligned. */
static void place_columns(mw_pack_columns *columns)
{
    const mw_hot_layout *layout = columns->layout;
    unsigned char *at = columns->cells;
    size_t rows = columns->rows;

    for (size_t i = 0; i < layout->wide_count; i++, at += 8 * rows)
        columns->wide[layout->wide[i]] = (uint64_t *)(void *)at;
    columns->wide[MW_WIDE_SEQ] = (uint64_t *)(void *)at;
    at += 8 * rows;
    columns->wide[MW_WIDE_INDEX] = (uint64_t *)(void *)at;
    at += 8 * rows;
    for (size_t i = 0; i < layout->ref_count; i++, at += sizeof(uint32_t) * rows)
        columns->refs[layout->refs[i]] = (uint32_t *)(void *)at;
    for (size_t i = 0; i < layout->narrow_count; i++, at += rows)
        columns->narrow[layout->narrow[i]] = at;
}

static bool have_cells(mw_pack_columns *columns, uint32_t rows)
{
    size_t need = cell_bytes(columns->layout) * rows;
    if (need > columns->cells_room) {
        mw_free(MW_MEM_MERGE, columns->cells);
        columns->cells = mw_alloc(MW_MEM_MERGE, need);
        columns->cells_room = columns->cells ? need : 0;
    }
    columns->rows = rows;
    if (columns->cells)
        place_columns(columns);
    return columns->cells != NULL;
}

mw_err mw_pack_columns_init(mw_pack_columns *columns, mw_signal signal, uint32_t rows)
{
    columns->layout = mw_hot_layout_of(signal);
    MW_ASSERT(columns->layout && rows > 0);
    columns->signal = signal;
    if (!have_cells(columns, rows))
        return MW_E_NOMEM;
    mw_err err = mw_byte_table_init(&columns->strings, STRINGS_AT_FIRST, STRING_BYTES_AT_FIRST);
    if (err == MW_OK && mw_hot_has_traces(columns->layout))
        err = mw_byte_table_init(&columns->traces, TRACES_AT_FIRST,
                                 (size_t)TRACES_AT_FIRST * MW_TRACE_ID_SIZE);
    return err;
}

mw_err mw_pack_columns_again(mw_pack_columns *columns, uint32_t rows)
{
    mw_byte_table_clear(&columns->strings);
    mw_byte_table_clear(&columns->traces);
    return have_cells(columns, rows) ? MW_OK : MW_E_NOMEM;
}

void mw_pack_columns_fini(mw_pack_columns *columns)
{
    mw_free(MW_MEM_MERGE, columns->cells);
    mw_byte_table_fini(&columns->strings);
    mw_byte_table_fini(&columns->traces);
    mw_free(MW_MEM_MERGE, columns->string_map);
    mw_free(MW_MEM_MERGE, columns->trace_map);
    mw_sort_scratch_fini(&columns->sort);
    memset(columns, 0, sizeof *columns);
}

size_t mw_pack_columns_size(const mw_pack_columns *columns)
{
    return columns->cells_room + mw_byte_table_size(&columns->strings) +
           mw_byte_table_size(&columns->traces) +
           sizeof(uint32_t) * ((size_t)columns->string_map_room + columns->trace_map_room) +
           2 * sizeof(mw_sort_pair) * columns->sort.capacity;
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* A map of `need` references, all not met. */
static bool begin_map(uint32_t **map, uint32_t *room, uint32_t need)
{
    if (need > *room) {
        mw_free(MW_MEM_MERGE, *map);
        *room = need + need / 4 + 64;
        *map = mw_alloc(MW_MEM_MERGE, *room * sizeof **map);
        if (!*map) {
            *room = 0;
            return false;
        }
    }
    if (need)
        memset(*map, 0, need * sizeof **map);
    return true;
}

typedef struct row_move {
    const mw_hot *hot;
    const uint32_t *rows, *places;
    size_t count;
} row_move;

static void add_wide(mw_pack_columns *columns, const row_move *move, mw_wide_column column)
{
    uint64_t *to = columns->wide[column];
    const unsigned char *from = move->hot->wide[column];
    uint64_t base = column == MW_WIDE_TIME ? move->hot->base_ns : 0;

    if (column == MW_WIDE_SPAN_ID || column == MW_WIDE_PARENT)
        for (size_t i = 0; i < move->count; i++)
            memcpy(&to[move->places[i]], from + 8 * (size_t)move->rows[i], 8);
    else
        for (size_t i = 0; i < move->count; i++)
            to[move->places[i]] = base + mw_get_u64(from + 8 * (size_t)move->rows[i]);
}

static void add_commits(mw_pack_columns *columns, const row_move *move)
{
    uint64_t *seqs = columns->wide[MW_WIDE_SEQ], *indexes = columns->wide[MW_WIDE_INDEX];
    for (size_t i = 0; i < move->count; i++) {
        seqs[move->places[i]] = mw_hot_seq(move->hot, move->rows[i]);
        indexes[move->places[i]] = mw_hot_index(move->hot, move->rows[i]);
    }
}

static mw_err add_strings(mw_pack_columns *columns, const row_move *move, mw_hot_column column)
{
    uint32_t *to = columns->refs[column], *map = columns->string_map;
    for (size_t i = 0; i < move->count; i++) {
        uint32_t ref = mw_hot_ref(move->hot, column, move->rows[i]), number;
        if (ref && !map[ref - 1]) {
            mw_err err =
                mw_byte_table_put(&columns->strings, mw_hot_string(move->hot, ref), &number);
            if (err != MW_OK)
                return err;
            map[ref - 1] = number + 1;
        }
        to[move->places[i]] = ref ? map[ref - 1] : 0;
    }
    return MW_OK;
}

static mw_err add_traces(mw_pack_columns *columns, const row_move *move)
{
    uint32_t *to = columns->refs[MW_HOT_TRACE], *map = columns->trace_map;
    for (size_t i = 0; i < move->count; i++) {
        uint32_t ref = mw_hot_ref(move->hot, MW_HOT_TRACE, move->rows[i]), number;
        if (!map[ref]) {
            mw_slice id = mw_slice_bytes(mw_hot_trace_id(move->hot, ref), MW_TRACE_ID_SIZE);
            mw_err err = mw_byte_table_put(&columns->traces, id, &number);
            if (err != MW_OK)
                return err;
            map[ref] = number + 1;
        }
        to[move->places[i]] = map[ref] - 1;
    }
    return MW_OK;
}

mw_err mw_pack_columns_add(mw_pack_columns *columns, const mw_hot *hot, const uint32_t *rows,
                           const uint32_t *places, size_t count)
{
    const mw_hot_layout *layout = columns->layout;
    const row_move move = {hot, rows, places, count};
    mw_err err = MW_OK;

    MW_ASSERT(hot->signal == columns->signal);
    if (!begin_map(&columns->string_map, &columns->string_map_room, hot->strings) ||
        !begin_map(&columns->trace_map, &columns->trace_map_room, hot->traces))
        return MW_E_NOMEM;
    for (size_t i = 0; i < layout->wide_count; i++)
        add_wide(columns, &move, (mw_wide_column)layout->wide[i]);
    add_commits(columns, &move);
    for (size_t i = 0; i < layout->narrow_count; i++)
        for (size_t r = 0; r < count; r++)
            columns->narrow[layout->narrow[i]][places[r]] = hot->narrow[layout->narrow[i]][rows[r]];
    for (size_t i = 0; err == MW_OK && i < layout->ref_count; i++)
        err = layout->refs[i] == MW_HOT_TRACE
                  ? add_traces(columns, &move)
                  : add_strings(columns, &move, (mw_hot_column)layout->refs[i]);
    return err;
}

/* ---- the whole ------------------------------------------------------------------------------- */

void mw_pack_columns_summarize(const mw_pack_columns *columns, mw_block_header *header)
{
    const uint64_t *times = columns->wide[MW_WIDE_TIME], *seqs = columns->wide[MW_WIDE_SEQ];
    const uint64_t *durations = columns->wide[MW_WIDE_DURATION];

    header->event_min_ns = header->seq = UINT64_MAX;
    header->event_max_ns = 0;
    for (size_t i = 0; i < columns->rows; i++) {
        uint64_t end = times[i] + (durations ? durations[i] : 0);
        end = end > times[i] ? end : times[i];
        header->event_min_ns = times[i] < header->event_min_ns ? times[i] : header->event_min_ns;
        header->event_max_ns = end > header->event_max_ns ? end : header->event_max_ns;
        header->seq = seqs[i] < header->seq ? seqs[i] : header->seq;
        if (columns->signal == MW_SIGNAL_TRACES)
            header->error_count += columns->narrow[MW_NARROW_STATUS][i] == STATUS_ERROR;
        else if (columns->signal == MW_SIGNAL_LOGS)
            header->error_count += columns->narrow[MW_NARROW_SEVERITY][i] >= SEVERITY_ERROR;
    }
}

/* By eight bytes of the ids, from `offset` on; those that have the same stay as they stood. *tied
 * says whether some have. */
static mw_err order_traces(mw_pack_columns *columns, uint32_t *order, size_t offset, bool *tied)
{
    uint32_t count = columns->traces.count;
    uint64_t *keys = mw_alloc(MW_MEM_MERGE, count * sizeof *keys);
    if (!keys)
        return MW_E_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        keys[i] = mw_trace_key(mw_byte_table_get(&columns->traces, i).data + offset);
    mw_err err = mw_number_sort(&columns->sort, order, count, keys);
    *tied = false;
    for (uint32_t i = 1; err == MW_OK && i < count; i++)
        *tied = *tied || keys[order[i]] == keys[order[i - 1]];
    mw_free(MW_MEM_MERGE, keys);
    return err;
}

/* Random ids differ in their first half, ids of 64 bits only in the second. */
static mw_err sort_traces(mw_pack_columns *columns, uint32_t *order)
{
    bool tied;
    for (uint32_t i = 0; i < columns->traces.count; i++)
        order[i] = i;
    mw_err err = order_traces(columns, order, 0, &tied);
    if (err != MW_OK || !tied)
        return err;
    err = order_traces(columns, order, MW_TRACE_ID_SIZE / 2, &tied);
    return err == MW_OK ? order_traces(columns, order, 0, &tied) : err;
}

/* The ids in order to `at`; the rows' references become positions in it. MW_E_NOMEM. */
static mw_err put_traces(mw_pack_columns *columns, unsigned char *at)
{
    uint32_t count = columns->traces.count, *refs = columns->refs[MW_HOT_TRACE];
    uint32_t *order = mw_alloc(MW_MEM_MERGE, 2 * (size_t)count * sizeof *order);
    if (!order)
        return MW_E_NOMEM;
    uint32_t *position = order + count;
    mw_err err = sort_traces(columns, order);
    if (err != MW_OK) {
        mw_free(MW_MEM_MERGE, order);
        return err;
    }
    for (uint32_t i = 0; i < count; i++) {
        position[order[i]] = i;
        memcpy(at + MW_TRACE_ID_SIZE * (size_t)i,
               mw_byte_table_get(&columns->traces, order[i]).data, MW_TRACE_ID_SIZE);
    }
    for (size_t i = 0; i < columns->rows; i++)
        refs[i] = position[refs[i]];
    mw_free(MW_MEM_MERGE, order);
    return MW_OK;
}

static unsigned char *put_wide(const mw_pack_columns *columns, mw_wide_column column, uint64_t base,
                               unsigned char *at)
{
    const uint64_t *from = columns->wide[column];
    size_t rows = columns->rows;
    if (column == MW_WIDE_SPAN_ID || column == MW_WIDE_PARENT)
        memcpy(at, from, 8 * rows);
    else
        for (size_t i = 0; i < rows; i++)
            mw_put_u64(at + 8 * i, from[i] - base);
    return at + 8 * rows;
}

static unsigned char *put_refs(const mw_pack_columns *columns, mw_hot_column column, uint32_t width,
                               unsigned char *at)
{
    const uint32_t *from = columns->refs[column];
    size_t rows = columns->rows;
    if (width == 2)
        for (size_t i = 0; i < rows; i++)
            mw_put_u16(at + 2 * i, (uint16_t)from[i]);
    else
        for (size_t i = 0; i < rows; i++)
            mw_put_u32(at + 4 * i, from[i]);
    return at + width * rows;
}

static void put_strings(const mw_byte_table *strings, unsigned char *at)
{
    for (uint32_t i = 0; i < strings->count; i++)
        mw_put_u32(at + 4 * (size_t)i, strings->entries[i].at + strings->entries[i].len);
    memcpy(at + 4 * (size_t)strings->count, strings->area.bytes, strings->area.used);
}

static void put_columns(const mw_pack_columns *columns, const mw_block_header *header,
                        uint32_t width, unsigned char *at)
{
    const mw_hot_layout *layout = columns->layout;
    for (size_t i = 0; i < layout->wide_count; i++)
        at = put_wide(columns, (mw_wide_column)layout->wide[i],
                      layout->wide[i] == MW_WIDE_TIME ? header->event_min_ns : 0, at);
    at = put_wide(columns, MW_WIDE_SEQ, header->seq, at);
    at = put_wide(columns, MW_WIDE_INDEX, 0, at);
    for (size_t i = 0; i < layout->narrow_count; i++, at += columns->rows)
        memcpy(at, columns->narrow[layout->narrow[i]], columns->rows);
    for (size_t i = 0; i < layout->ref_count; i++)
        at = put_refs(columns, (mw_hot_column)layout->refs[i], width, at);
    put_strings(&columns->strings, at);
}

mw_err mw_pack_columns_lay_out(mw_pack_columns *columns, mw_block_header *header,
                               unsigned char **raw)
{
    const mw_byte_table *strings = &columns->strings;
    uint32_t traces = columns->traces.count;
    uint32_t width = traces <= 65536 && strings->count <= 65535 ? 2 : 4;
    uint64_t len = MW_HOT_PREFIX + (uint64_t)traces * MW_TRACE_ID_SIZE +
                   (uint64_t)columns->rows *
                       (mw_hot_fixed(columns->layout, true) + columns->layout->ref_count * width) +
                   (uint64_t)strings->count * 4 + strings->area.used;
    mw_err err = MW_OK;

    if (len > MW_BLOCK_RAW_MAX)
        return MW_E_LIMIT;
    unsigned char *at = mw_alloc(MW_MEM_MERGE, len);
    if (!at)
        return MW_E_NOMEM;
    mw_put_u32(at, traces);
    mw_put_u32(at + 4, strings->count);
    mw_put_u32(at + 8, (uint32_t)strings->area.used);
    mw_put_u32(at + 12, width);
    if (traces)
        err = put_traces(columns, at + MW_HOT_PREFIX);
    if (err != MW_OK) {
        mw_free(MW_MEM_MERGE, at);
        return err;
    }
    put_columns(columns, header, width, at + MW_HOT_PREFIX + MW_TRACE_ID_SIZE * (size_t)traces);
    header->hot_raw = (uint32_t)len;
    *raw = at;
    return MW_OK;
}
