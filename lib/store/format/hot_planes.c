/* Columns by planes. See hot_planes.h; drawn in segment_format.h.
 *
 * Packing and unpacking walk the same list of columns, made from the four numbers in front of the
 * chunk: where each is, how wide, and what was done to its numbers. The bytes of one column are
 * rearranged through a scratch copy of it.
 */
#include "lib/store/format/hot_planes.h"
#include "lib/store/format/hot_layout.h"

/* What stands again in planes does so at length: level 1 was no faster, and 6 % longer. */
#define PLANES_LEVEL 3
/* Random planes of so many bytes get a frame of their own, so that they do not share a table of
 * codes with all the others. A frame costs as much as thousands of bytes that hardly change. */
#define FRAME_MIN 4096u

enum { FLAG_PARENT_ROWS = 1 };

typedef enum column_form {
    FORM_BYTES,  /* as it is */
    FORM_NUMBER, /* planes */
    FORM_STEP    /* difference to the row above, zigzag; then planes */
} column_form;

typedef struct plane_column {
    size_t at;
    mw_column_set column;
    uint8_t width;
    uint8_t form;
} plane_column;

#define COLUMNS_MAX (MW_WIDE_COLUMNS + MW_NARROW_COLUMNS + MW_HOT_COLUMNS)

typedef struct plane_map {
    plane_column columns[COLUMNS_MAX];
    unsigned count;
    size_t rows;
    size_t begin, end;   /* of all columns */
    size_t ids, parents; /* 0 = no such column */
} plane_map;

static const uint8_t wide_forms[MW_WIDE_COLUMNS] = {
    [MW_WIDE_SPAN_ID] = FORM_BYTES,
    [MW_WIDE_PARENT] = FORM_NUMBER,
    [MW_WIDE_TIME] = FORM_STEP,
    [MW_WIDE_DURATION] = FORM_NUMBER,
    [MW_WIDE_INPUT_TOKENS] = FORM_NUMBER,
    [MW_WIDE_OUTPUT_TOKENS] = FORM_NUMBER,
    [MW_WIDE_SERIES] = FORM_STEP,
    [MW_WIDE_START] = FORM_STEP,
    [MW_WIDE_VALUE] = FORM_STEP,
    [MW_WIDE_COUNT] = FORM_STEP,
    [MW_WIDE_SEQ] = FORM_STEP,
    [MW_WIDE_INDEX] = FORM_STEP,
};

/* ---- where the columns are ------------------------------------------------------------------- */

static size_t map_add(plane_map *map, size_t at, mw_column_set column, unsigned width,
                      column_form form)
{
    map->columns[map->count++] = (plane_column){at, column, (uint8_t)width, (uint8_t)form};
    return at + width * map->rows;
}

static size_t map_add_wide(plane_map *map, size_t at, unsigned column)
{
    return map_add(map, at, mw_column_wide((mw_wide_column)column), 8, wide_forms[column]);
}

/* From the bytes in front of a chunk; false when the columns would not fit it. */
static bool map_columns(const mw_hot_layout *layout, bool many_commits, size_t rows,
                        const unsigned char *raw, uint32_t raw_len, plane_map *map)
{
    memset(map, 0, sizeof *map);
    if (raw_len < MW_HOT_PREFIX)
        return false;
    uint32_t traces = mw_get_u32(raw), width = mw_get_u32(raw + 12);
    uint64_t end =
        MW_HOT_PREFIX + MW_TRACE_ID_SIZE * (uint64_t)traces +
        rows * (uint64_t)(mw_hot_fixed(layout, many_commits) + layout->ref_count * width);
    if ((width != 2 && width != 4) || end > raw_len)
        return false;
    size_t at = MW_HOT_PREFIX + MW_TRACE_ID_SIZE * (size_t)traces;
    map->rows = rows;
    map->begin = at;
    for (size_t i = 0; i < layout->wide_count; i++) {
        map->ids = layout->wide[i] == MW_WIDE_SPAN_ID ? at : map->ids;
        map->parents = layout->wide[i] == MW_WIDE_PARENT ? at : map->parents;
        at = map_add_wide(map, at, layout->wide[i]);
    }
    if (many_commits) {
        at = map_add_wide(map, at, MW_WIDE_SEQ);
        at = map_add_wide(map, at, MW_WIDE_INDEX);
    }
    for (size_t i = 0; i < layout->narrow_count; i++)
        at = map_add(map, at, mw_column_narrow((mw_narrow_column)layout->narrow[i]), 1, FORM_BYTES);
    for (size_t i = 0; i < layout->ref_count; i++)
        at = map_add(map, at, mw_column_ref((mw_hot_column)layout->refs[i]), width, FORM_NUMBER);
    map->end = at;
    MW_ASSERT(at == end);
    return true;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static uint64_t zigzag(uint64_t difference)
{
    return difference << 1 ^ (0 - (difference >> 63));
}

static uint64_t unzigzag(uint64_t value)
{
    return value >> 1 ^ (0 - (value & 1));
}

static void make_steps(unsigned char *column, size_t rows)
{
    uint64_t above = 0;
    for (size_t i = 0; i < rows; i++) {
        uint64_t value = mw_get_u64(column + 8 * i);
        mw_put_u64(column + 8 * i, zigzag(value - above));
        above = value;
    }
}

static void undo_steps(unsigned char *column, size_t rows)
{
    uint64_t value = 0;
    for (size_t i = 0; i < rows; i++) {
        value += unzigzag(mw_get_u64(column + 8 * i));
        mw_put_u64(column + 8 * i, value);
    }
}

/* ---- planes ---------------------------------------------------------------------------------- */

/* Two rows change the bytes that `mask` and `shift` name. */
static inline void trade(uint64_t *low, uint64_t *high, unsigned shift, uint64_t mask)
{
    uint64_t change = (*low >> shift ^ *high) & mask;
    *high ^= change;
    *low ^= change << shift;
}

/* An 8 by 8 matrix of bytes, a row in each number, on its side: halves, quarters, then bytes change
 * places (H. S. Warren, Hacker's Delight, 7-3, with bytes for bits). Its own inverse. */
static inline void turn(uint64_t rows[8])
{
    for (unsigned i = 0; i < 4; i++)
        trade(&rows[i], &rows[i + 4], 32, 0x00000000ffffffff);
    for (unsigned i = 0; i < 8; i += 4)
        for (unsigned k = i; k < i + 2; k++)
            trade(&rows[k], &rows[k + 2], 16, 0x0000ffff0000ffff);
    for (unsigned i = 0; i < 8; i += 2)
        trade(&rows[i], &rows[i + 1], 8, 0x00ff00ff00ff00ff);
}

static void split_eight(const unsigned char *from, unsigned char *to, size_t rows)
{
    size_t i = 0;
    for (; i + 8 <= rows; i += 8) {
        uint64_t block[8];
        for (size_t r = 0; r < 8; r++)
            block[r] = mw_get_u64(from + 8 * (i + r));
        turn(block);
        for (size_t p = 0; p < 8; p++)
            mw_put_u64(to + p * rows + i, block[p]);
    }
    for (; i < rows; i++)
        for (size_t p = 0; p < 8; p++)
            to[p * rows + i] = from[8 * i + p];
}

/* Two runs of bytes become one, by turns: of fixed lengths a compiler makes instructions on vectors
 * of it, with which columns are joined five times as fast as by numbers. */
static inline void weave(const unsigned char *restrict even, const unsigned char *restrict odd,
                         unsigned char *restrict out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = even[i];
        out[2 * i + 1] = odd[i];
    }
}

#define ABREAST 16u

/* Sixteen rows: planes four apart are woven, then those two apart, then neighbours. */
static void join_eight_abreast(const unsigned char *from, size_t rows, unsigned char *restrict to)
{
    unsigned char quarters[4][2 * ABREAST], halves[2][4 * ABREAST];
    for (size_t p = 0; p < 4; p++)
        weave(from + p * rows, from + (p + 4) * rows, quarters[p], ABREAST);
    for (size_t p = 0; p < 2; p++)
        weave(quarters[p], quarters[p + 2], halves[p], 2 * ABREAST);
    weave(halves[0], halves[1], to, 4 * ABREAST);
}

static void join_eight(const unsigned char *from, unsigned char *to, size_t rows)
{
    size_t i = 0;
    for (; i + ABREAST <= rows; i += ABREAST)
        join_eight_abreast(from + i, rows, to + 8 * i);
    for (; i < rows; i++)
        for (size_t p = 0; p < 8; p++)
            to[8 * i + p] = from[p * rows + i];
}

/* The low bytes of four numbers of two. */
static inline uint64_t gather(uint64_t numbers)
{
    numbers &= 0x00ff00ff00ff00ff;
    numbers = (numbers | numbers >> 8) & 0x0000ffff0000ffff;
    return (numbers | numbers >> 16) & 0x00000000ffffffff;
}

static void split_two(const unsigned char *from, unsigned char *to, size_t rows)
{
    size_t i = 0;
    for (; i + 4 <= rows; i += 4) {
        uint64_t numbers = mw_get_u64(from + 2 * i);
        mw_put_u32(to + i, (uint32_t)gather(numbers));
        mw_put_u32(to + rows + i, (uint32_t)gather(numbers >> 8));
    }
    for (; i < rows; i++) {
        to[i] = from[2 * i];
        to[rows + i] = from[2 * i + 1];
    }
}

static void join_two(const unsigned char *from, unsigned char *to, size_t rows)
{
    size_t i = 0;
    for (; i + ABREAST <= rows; i += ABREAST)
        weave(from + i, from + rows + i, to + 2 * i, ABREAST);
    for (; i < rows; i++) {
        to[2 * i] = from[i];
        to[2 * i + 1] = from[rows + i];
    }
}

/* Four bytes are rare: more strings or traces than two can count. */
static void split(const unsigned char *from, unsigned char *to, size_t rows, unsigned width)
{
    switch (width) {
    case 8: split_eight(from, to, rows); break;
    case 2: split_two(from, to, rows); break;
    default:
        for (size_t p = 0; p < width; p++)
            for (size_t i = 0; i < rows; i++)
                to[p * rows + i] = from[width * i + p];
    }
}

static void join(const unsigned char *from, unsigned char *to, size_t rows, unsigned width)
{
    switch (width) {
    case 8: join_eight(from, to, rows); break;
    case 2: join_two(from, to, rows); break;
    default:
        for (size_t p = 0; p < width; p++)
            for (size_t i = 0; i < rows; i++)
                to[width * i + p] = from[p * rows + i];
    }
}

/* ---- parents --------------------------------------------------------------------------------- */

/* Numbers up to here are distances to rows, zero is no parent, and all beyond are ids themselves.
 * Ids are random: one that is small is hardly ever seen, and then parents stay as they are. */
#define DISTANCE_MAX UINT64_C(0xffffffff)

static uint32_t id_slot(uint64_t id, unsigned shift)
{
    return (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> shift);
}

/* Slots hold 1 + the last row with an id. Rows that would have to be looked for long are not found:
 * nothing depends on it but the length, so nobody gains by aiming at a slot. */
#define PROBES_MAX 8u

static void note_ids(const unsigned char *ids, size_t rows, uint32_t *slots, unsigned shift)
{
    uint32_t mask = (uint32_t)(UINT64_MAX >> shift);
    for (size_t i = 0; i < rows; i++) {
        uint32_t slot = id_slot(mw_get_u64(ids + 8 * i), shift);
        for (unsigned n = 0; slots[slot & mask] && n < PROBES_MAX; n++)
            slot++;
        slots[slot & mask] = (uint32_t)i + 1;
    }
}

/* Row of the id, or UINT32_MAX. */
static uint32_t find_id(const unsigned char *ids, uint64_t id, const uint32_t *slots,
                        unsigned shift)
{
    uint32_t mask = (uint32_t)(UINT64_MAX >> shift), slot = id_slot(id, shift);
    for (unsigned n = 0; n <= PROBES_MAX && slots[slot & mask]; n++, slot++)
        if (mw_get_u64(ids + 8 * (size_t)(slots[slot & mask] - 1)) == id)
            return slots[slot & mask] - 1;
    return UINT32_MAX;
}

static bool parents_fit(const unsigned char *parents, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        uint64_t id = mw_get_u64(parents + 8 * i);
        if (id && id <= DISTANCE_MAX)
            return false;
    }
    return rows < DISTANCE_MAX / 4;
}

/* Parents become distances to their rows; *done says whether they did. MW_E_NOMEM. */
static mw_err refer_parents(const plane_map *map, unsigned char *raw, bool *done)
{
    unsigned char *parents = raw + map->parents;
    const unsigned char *ids = raw + map->ids;
    unsigned bits = 4;

    *done = map->parents && map->ids && parents_fit(parents, map->rows);
    if (!*done)
        return MW_OK;
    while (((size_t)1 << bits) < 2 * map->rows)
        bits++;
    uint32_t *slots = mw_calloc(MW_MEM_MERGE, (size_t)1 << bits, sizeof *slots);
    if (!slots)
        return MW_E_NOMEM;
    note_ids(ids, map->rows, slots, 64 - bits);
    uint64_t last = 0;
    uint32_t last_row = UINT32_MAX;
    for (size_t i = 0; i < map->rows; i++) {
        uint64_t id = mw_get_u64(parents + 8 * i);
        if (id != last)
            last_row = find_id(ids, id, slots, 64 - bits);
        last = id;
        if (id && last_row != UINT32_MAX)
            mw_put_u64(parents + 8 * i, 1 + zigzag(i - (uint64_t)last_row));
    }
    mw_free(MW_MEM_MERGE, slots);
    return MW_OK;
}

static bool resolve_parents(const plane_map *map, unsigned char *raw)
{
    unsigned char *parents = raw + map->parents;
    const unsigned char *ids = raw + map->ids;
    if (!map->parents || !map->ids)
        return false;
    for (size_t i = 0; i < map->rows; i++) {
        uint64_t value = mw_get_u64(parents + 8 * i);
        if (value == 0 || value > DISTANCE_MAX)
            continue;
        uint64_t row = i - unzigzag(value - 1);
        if (row >= map->rows)
            return false;
        memcpy(parents + 8 * i, ids + 8 * row, 8);
    }
    return true;
}

/* ---- frames ---------------------------------------------------------------------------------- */

typedef struct frame_writer {
    mw_zstd *zstd;
    mw_block_buffer *to;
    const unsigned char *raw;
    size_t done; /* bytes of raw that are in frames */
    mw_err err;
} frame_writer;

/* What is not in a frame yet, up to `end`. */
static void end_frame(frame_writer *writer, size_t end)
{
    size_t len = end - writer->done, packed = 0;
    if (writer->err || len == 0)
        return;
    if (!mw_block_buffer_reserve(writer->to, mw_zstd_room(len))) {
        writer->err = MW_E_NOMEM;
        return;
    }
    writer->err = mw_zstd_pack(writer->zstd, PLANES_LEVEL, writer->raw + writer->done, len,
                               writer->to->data + writer->to->used, &packed);
    writer->to->used += packed;
    writer->done = end;
}

/* Do the bytes seem random? So many bytes of a plane are looked at; of 256 random ones 162 values
 * are different on average. */
#define SAMPLE 256u
#define VALUES_MAX 96u
_Static_assert(SAMPLE <= FRAME_MIN, "a step is a byte at least");

static bool is_random(const unsigned char *plane, size_t len)
{
    uint64_t seen[4] = {0};
    int values = 0;
    for (size_t i = 0; i < SAMPLE; i++) {
        unsigned char byte = plane[i * (len / SAMPLE)];
        seen[byte >> 6] |= UINT64_C(1) << (byte & 63);
    }
    for (size_t i = 0; i < 4; i++)
        values += __builtin_popcountll(seen[i]);
    return values > (int)VALUES_MAX;
}

/* Planes that are random get frames of their own, one each. */
static void end_frames(frame_writer *writer, const plane_column *column, size_t rows)
{
    unsigned planes = column->form == FORM_BYTES ? 1 : column->width;
    size_t plane = rows * column->width / planes, at = column->at;
    if (plane < FRAME_MIN)
        return;
    for (unsigned p = 0; p < planes; p++, at += plane) {
        if (!is_random(writer->raw + at, plane))
            continue;
        end_frame(writer, at);
        end_frame(writer, at + plane);
    }
}

/* ---- both ways ------------------------------------------------------------------------------- */

/* What stays in its place, and parents, which are changed in theirs first. */
static void copy_rest(const plane_map *map, const unsigned char *raw, size_t raw_len,
                      unsigned char *out)
{
    memcpy(out, raw, map->begin);
    memcpy(out + map->end, raw + map->end, raw_len - map->end);
    for (unsigned c = 0; c < map->count; c++) {
        const plane_column *column = &map->columns[c];
        if (column->form == FORM_BYTES || column->at == map->parents)
            memcpy(out + column->at, raw + column->at, column->width * map->rows);
    }
}

/* From `raw` to `out`, column by column; the rest is there. */
static void lay_out(const plane_map *map, const unsigned char *raw, unsigned char *out,
                    unsigned char *scratch)
{
    for (unsigned c = 0; c < map->count; c++) {
        const plane_column *column = &map->columns[c];
        const unsigned char *from = raw + column->at;
        if (column->form == FORM_BYTES)
            continue;
        if (column->form == FORM_STEP || column->at == map->parents) {
            memcpy(scratch, column->form == FORM_STEP ? from : out + column->at, 8 * map->rows);
            from = scratch;
        }
        if (column->form == FORM_STEP)
            make_steps(scratch, map->rows);
        split(from, out + column->at, map->rows, column->width);
    }
}

static void put_frames(frame_writer *writer, const plane_map *map, uint32_t raw_len)
{
    for (unsigned c = 0; c < map->count; c++)
        end_frames(writer, &map->columns[c], map->rows);
    end_frame(writer, raw_len);
}

mw_err mw_planes_pack(mw_zstd *zstd, const mw_hot *hot, const unsigned char *raw, uint32_t raw_len,
                      mw_block_buffer *to, uint32_t *stored)
{
    frame_writer writer = {.zstd = zstd, .to = to};
    size_t from = to->used;
    plane_map map;
    bool parents = false;

    MW_ASSERT(raw_len <= MW_ZSTD_RAW_MAX);
    bool whole = map_columns(mw_hot_layout_of(hot->signal), hot->wide[MW_WIDE_SEQ] != NULL,
                             hot->count, raw, raw_len, &map);
    MW_ASSERT(whole);
    unsigned char *out = mw_alloc(MW_MEM_MERGE, raw_len + 8 * map.rows);
    if (!out || !mw_block_buffer_reserve(to, 1)) {
        mw_free(MW_MEM_MERGE, out);
        return MW_E_NOMEM;
    }
    copy_rest(&map, raw, raw_len, out);
    writer.raw = out;
    writer.err = refer_parents(&map, out, &parents);
    to->data[to->used++] = parents ? FLAG_PARENT_ROWS : 0;
    if (writer.err == MW_OK)
        lay_out(&map, raw, out, out + raw_len);
    put_frames(&writer, &map, raw_len);
    mw_free(MW_MEM_MERGE, out);
    *stored = (uint32_t)(to->used - from);
    return writer.err;
}

/* ---- unpacking ------------------------------------------------------------------------------- */

typedef struct unpacking {
    const mw_block_header *header;
    const mw_hot_layout *layout;
    mw_column_set columns; /* that are wanted */
    unsigned char *raw;
    plane_map map;
    bool mapped;
    bool broken; /* what stands before the columns says that there is no room for them */
} unpacking;

/* Once `unpacked` bytes are there, from the first on. */
static void map_when_known(unpacking *work, size_t unpacked)
{
    if (work->mapped || unpacked < MW_HOT_PREFIX)
        return;
    work->mapped = true;
    work->broken = !map_columns(work->layout, work->header->many_commits, work->header->item_count,
                                work->raw, work->header->hot_raw, &work->map);
}

/* What stands before and behind the columns is always wanted. */
static bool is_wanted(void *ctx, size_t from, size_t to)
{
    unpacking *work = ctx;
    map_when_known(work, from);
    if (!work->mapped || work->broken || from < work->map.begin || to > work->map.end)
        return true;
    for (unsigned c = 0; c < work->map.count; c++) {
        const plane_column *column = &work->map.columns[c];
        if (work->columns & column->column && from < column->at + column->width * work->map.rows &&
            to > column->at)
            return true;
    }
    return false;
}

static mw_err undo(const unpacking *work, unsigned flags)
{
    const plane_map *map = &work->map;
    unsigned char *scratch = mw_alloc(MW_MEM_CODEC, 8 * map->rows);
    if (!scratch)
        return MW_E_NOMEM;
    for (unsigned c = 0; c < map->count; c++) {
        const plane_column *column = &map->columns[c];
        unsigned char *at = work->raw + column->at;
        if (column->form == FORM_BYTES || !(work->columns & column->column))
            continue;
        memcpy(scratch, at, column->width * map->rows);
        join(scratch, at, map->rows, column->width);
        if (column->form == FORM_STEP)
            undo_steps(at, map->rows);
    }
    mw_free(MW_MEM_CODEC, scratch);
    bool parents = flags && work->columns & mw_column_wide(MW_WIDE_PARENT);
    return parents && !resolve_parents(map, work->raw) ? MW_E_CORRUPT : MW_OK;
}

mw_err mw_planes_unpack_some(mw_zstd *zstd, const mw_block_header *header, mw_slice stored,
                             mw_column_set columns, void *out)
{
    unpacking work = {.header = header,
                      .layout = mw_hot_layout_of(header->signal),
                      .columns = columns,
                      .raw = out};

    if (!work.layout || stored.len == 0 || header->hot_raw > MW_ZSTD_RAW_MAX)
        return MW_E_CORRUPT;
    unsigned flags = (unsigned char)stored.data[0];
    if (flags > FLAG_PARENT_ROWS)
        return MW_E_CORRUPT;
    if (columns & mw_column_wide(MW_WIDE_PARENT))
        work.columns |= mw_column_wide(MW_WIDE_SPAN_ID); /* of which the parents are */
    if (columns & mw_column_wide(MW_WIDE_SEQ))
        work.columns |= mw_column_wide(MW_WIDE_INDEX);
    mw_err err = mw_zstd_unpack_where(zstd, mw_slice_from(stored, 1), out, header->hot_raw,
                                      is_wanted, &work);
    if (err != MW_OK)
        return err;
    map_when_known(&work, header->hot_raw);
    if (!work.mapped || work.broken)
        return MW_E_CORRUPT;
    return undo(&work, flags);
}

mw_err mw_planes_unpack(mw_zstd *zstd, const mw_block_header *header, mw_slice stored, void *out)
{
    return mw_planes_unpack_some(zstd, header, stored, MW_COLUMNS_ALL, out);
}
