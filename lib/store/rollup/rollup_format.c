/* A roll-up as bytes: what lies in the footer of a merged segment.
 *
 * v = unsigned LEB128 number of at most 64 bits (low seven bits first); z = a signed one, as
 * v of (2 n, or -2 n - 1 for a negative n).
 *
 *   1 byte   version, 1
 *   v        spans and calls that were left out
 *   v        texts: all that cells refer to, ascending by their bytes, each
 *              v      length, 1 to 256
 *                     bytes
 *   v        minutes, ascending, each
 *              v      minutes since 1970; from the second on: since the one before
 *              v      bytes of the cells that follow
 *                     cells, ascending by kind, left and right, each
 *                       v  kind: 0 = spans that are no entry, 1 = entries, 2 = calls
 *                       v  left: service or caller, 0 = unknown, else the text's number from 1 on
 *                       v  right: operation or callee, likewise
 *                       z  errors
 *                       z  sum of the durations, us
 *                       z  calls alone: sum of the times on the wire, us
 *                       v  places in its histogram (mw_latency_bucket; calls: wire time from place
 *                          160 on), ascending, each
 *                            v  place; from the second on: less the one before
 *                            z  how many, not 0
 *
 * How many spans or calls a cell counts is the sum of its durations' places. Cells in which all is
 * 0 are not written, so that the same counts are always the same bytes. The checksum is the
 * footer's. A question reads the texts and those minutes that it asks for.
 */
#include "lib/base/buffer.h"
#include "lib/store/rollup/rollup_int.h"

#define VERSION 1
#define VARINT_MAX 10u
/* Far beyond what the largest table needs (2^19 cells): memory ends before. */
#define WRITTEN_MAX ((size_t)1 << 30)

/* ---- writing --------------------------------------------------------------------------------- */

static void put(mw_buffer *to, uint64_t value)
{
    unsigned char bytes[VARINT_MAX];
    size_t len = 0;
    for (; value >> 7; value >>= 7)
        bytes[len++] = (unsigned char)(value | 0x80);
    bytes[len++] = (unsigned char)value;
    mw_buffer_append(to, bytes, len);
}

static void put_signed(mw_buffer *to, int64_t value)
{
    put(to, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

typedef struct rollup_writing {
    const mw_rollup *rollup;
    uint32_t *cells; /* indices of those that are not all 0 */
    uint32_t cell_count;
    uint32_t *texts; /* numbers of those that they refer to, by their bytes */
    uint32_t text_count;
    uint32_t *rank; /* by the table's number: the file's */
} rollup_writing;

static bool is_empty(const mw_rollup *rollup, const mw_rollup_cell *cell)
{
    if (cell->errors || cell->sum_us || cell->wire_us)
        return false;
    for (uint32_t at = cell->pages; at; at = rollup->pages[at - 1].next)
        for (uint32_t i = 0; i < MW_ROLLUP_PAGE; i++)
            if (rollup->pages[at - 1].counts[i])
                return false;
    return true;
}

static int by_bytes(const void *left, const void *right, void *ctx)
{
    return mw_slice_compare(mw_rollup_text_of(ctx, *(const uint32_t *)left),
                            mw_rollup_text_of(ctx, *(const uint32_t *)right));
}

/* Which cells are written, and the texts that they refer to. */
static void collect(rollup_writing *work)
{
    const mw_rollup *rollup = work->rollup;
    for (uint32_t i = 0; i < rollup->cell_count; i++) {
        const mw_rollup_cell *cell = &rollup->cells[i];
        if (is_empty(rollup, cell))
            continue;
        work->cells[work->cell_count++] = i;
        work->rank[cell->key.left] = work->rank[cell->key.right] = 1;
    }
    work->rank[0] = 0;
    for (uint32_t number = 1; number <= rollup->name_count; number++)
        if (work->rank[number])
            work->texts[work->text_count++] = number;
    if (work->text_count > 1)
        qsort_r(work->texts, work->text_count, sizeof *work->texts, by_bytes, (void *)rollup);
    for (uint32_t i = 0; i < work->text_count; i++)
        work->rank[work->texts[i]] = i + 1;
}

static int by_key(const void *left, const void *right, void *ctx)
{
    const rollup_writing *work = ctx;
    const mw_rollup_key *a = &work->rollup->cells[*(const uint32_t *)left].key;
    const mw_rollup_key *b = &work->rollup->cells[*(const uint32_t *)right].key;
    if (a->minute != b->minute)
        return a->minute < b->minute ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    uint32_t x = work->rank[a->left], y = work->rank[b->left];
    if (x == y) {
        x = work->rank[a->right];
        y = work->rank[b->right];
    }
    return x < y ? -1 : x > y;
}

static void put_cell(const rollup_writing *work, const mw_rollup_cell *cell, mw_buffer *to)
{
    int64_t row[MW_ROLLUP_ROW] = {0};
    uint32_t places = 0, before = 0;

    put(to, cell->key.kind);
    put(to, work->rank[cell->key.left]);
    put(to, work->rank[cell->key.right]);
    put_signed(to, cell->errors);
    put_signed(to, cell->sum_us);
    if (cell->key.kind == MW_ROLLUP_CALL)
        put_signed(to, cell->wire_us);
    mw_rollup_row_add(work->rollup, cell, row);
    for (uint32_t i = 0; i < MW_ROLLUP_ROW; i++)
        places += row[i] != 0;
    put(to, places);
    for (uint32_t i = 0; i < MW_ROLLUP_ROW; i++) {
        if (!row[i])
            continue;
        put(to, i - before);
        put_signed(to, row[i]);
        before = i;
    }
}

static uint32_t minute_at(const rollup_writing *work, uint32_t at)
{
    return work->rollup->cells[work->cells[at]].key.minute;
}

static void put_minutes(const rollup_writing *work, mw_buffer *to)
{
    mw_buffer cells;
    uint32_t minutes = 0, before = 0;

    for (uint32_t i = 0; i < work->cell_count; i++)
        minutes += i == 0 || minute_at(work, i) != minute_at(work, i - 1);
    put(to, minutes);
    mw_buffer_init(&cells, MW_MEM_MERGE, WRITTEN_MAX);
    for (uint32_t i = 0; i < work->cell_count;) {
        uint32_t minute = minute_at(work, i);
        mw_buffer_clear(&cells);
        for (; i < work->cell_count && minute_at(work, i) == minute; i++)
            put_cell(work, &work->rollup->cells[work->cells[i]], &cells);
        put(to, minute - before);
        put(to, cells.len);
        mw_buffer_append_slice(to, mw_buffer_slice(&cells));
        before = minute;
        if (cells.err != MW_OK)
            to->err = cells.err;
    }
    mw_buffer_fini(&cells);
}

static void put_table(rollup_writing *work, mw_buffer *to)
{
    collect(work);
    if (work->cell_count == 0 && work->rollup->left_out == 0)
        return;
    if (work->cell_count > 1)
        qsort_r(work->cells, work->cell_count, sizeof *work->cells, by_key, work);
    mw_buffer_append_byte(to, VERSION);
    put(to, work->rollup->left_out);
    put(to, work->text_count);
    for (uint32_t i = 0; i < work->text_count; i++) {
        mw_slice text = mw_rollup_text_of(work->rollup, work->texts[i]);
        put(to, text.len);
        mw_buffer_append_slice(to, text);
    }
    put_minutes(work, to);
}

mw_err mw_rollup_write(const mw_rollup *rollup, char **data, size_t *len)
{
    rollup_writing work = {.rollup = rollup};
    mw_buffer to;
    size_t names = (size_t)rollup->name_count + 1;

    *data = NULL;
    *len = 0;
    mw_buffer_init(&to, MW_MEM_MERGE, WRITTEN_MAX);
    work.cells = mw_alloc(MW_MEM_MERGE, ((size_t)rollup->cell_count + 1) * sizeof *work.cells);
    work.texts = mw_alloc(MW_MEM_MERGE, names * sizeof *work.texts);
    work.rank = mw_calloc(MW_MEM_MERGE, names, sizeof *work.rank);
    if (work.cells && work.texts && work.rank)
        put_table(&work, &to);
    else
        to.err = MW_E_NOMEM;
    mw_free(MW_MEM_MERGE, work.cells);
    mw_free(MW_MEM_MERGE, work.texts);
    mw_free(MW_MEM_MERGE, work.rank);
    mw_err err = to.err;
    if (err == MW_OK && to.len)
        *data = mw_buffer_take(&to, len);
    mw_buffer_fini(&to);
    return err == MW_OK ? MW_OK : MW_E_NOMEM;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What is left to read; `ok` goes false at the first thing that cannot be and stays so. */
typedef struct rollup_reading {
    const unsigned char *at, *end;
    bool ok;
    mw_slice *texts;   /* of number i + 1 */
    uint32_t *numbers; /* of the table that is added to; 0 = not yet asked for */
    uint32_t text_count;
} rollup_reading;

static uint64_t get_long(rollup_reading *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        unsigned char byte = *in->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    in->ok = false;
    return 0;
}

static uint64_t get(rollup_reading *in)
{
    if (in->at < in->end && *in->at < 0x80)
        return *in->at++;
    return get_long(in);
}

/* At most `max`. */
static uint32_t get_below(rollup_reading *in, uint32_t max)
{
    uint64_t value = get(in);
    if (value > max)
        in->ok = false;
    return in->ok ? (uint32_t)value : 0;
}

static int64_t get_signed(rollup_reading *in)
{
    uint64_t value = get(in);
    return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

static void get_texts(rollup_reading *in)
{
    for (uint32_t i = 0; i < in->text_count && in->ok; i++) {
        uint32_t len = get_below(in, MW_ROLLUP_TEXT_MAX);
        if (len == 0 || len > (size_t)(in->end - in->at))
            in->ok = false;
        if (!in->ok)
            return;
        in->texts[i] = (mw_slice){(const char *)in->at, len};
        in->at += len;
        if (i && mw_slice_compare(in->texts[i - 1], in->texts[i]) >= 0)
            in->ok = false;
    }
}

static uint32_t number_of(rollup_reading *in, const mw_rollup_key *key, bool right, mw_rollup *into)
{
    uint32_t text = right ? key->right : key->left;
    return text ? mw_rollup_number(into, key, right, in->texts[text - 1], &in->numbers[text - 1])
                : 0;
}

static void get_places(rollup_reading *in, mw_rollup_kind kind, mw_rollup_counts *cell)
{
    uint32_t end = kind == MW_ROLLUP_CALL ? MW_ROLLUP_ROW : MW_LATENCY_BUCKETS;
    cell->place_count = get_below(in, end);
    for (uint32_t i = 0, place = 0; i < cell->place_count && in->ok; i++) {
        uint32_t step = get_below(in, MW_ROLLUP_ROW);
        place += step;
        cell->places[i] = place;
        cell->counts[i] = get_signed(in);
        bool known = place < end && (place < MW_LATENCY_BUCKETS || place >= MW_ROLLUP_WIRE);
        if (!known || (i && step == 0) || cell->counts[i] == 0)
            in->ok = false;
    }
}

static bool goes_up(const mw_rollup_key *before, const mw_rollup_key *key)
{
    if (before->kind != key->kind)
        return before->kind < key->kind;
    return before->left != key->left ? before->left < key->left : before->right < key->right;
}

/* The key with the file's numbers of texts. */
static mw_rollup_key get_cell(rollup_reading *in, uint32_t minute, mw_rollup_counts *cell)
{
    mw_rollup_key key = {.minute = minute};
    key.kind = get_below(in, MW_ROLLUP_KINDS - 1);
    key.left = get_below(in, in->text_count);
    key.right = get_below(in, in->text_count);
    cell->errors = get_signed(in);
    cell->sum_us = get_signed(in);
    cell->wire_us = key.kind == MW_ROLLUP_CALL ? get_signed(in) : 0;
    get_places(in, (mw_rollup_kind)key.kind, cell);
    return key;
}

/* The cells of one minute, of which `in` holds nothing else. */
static mw_err read_minute(rollup_reading *in, uint32_t minute, mw_rollup *into)
{
    mw_rollup_counts cell;
    mw_rollup_key before = {0};
    mw_err err = MW_OK;

    for (bool first = true; err == MW_OK && in->at < in->end; first = false) {
        mw_rollup_key key = get_cell(in, minute, &cell);
        if (!in->ok || (!first && !goes_up(&before, &key)))
            return MW_E_CORRUPT;
        before = key;
        key.left = number_of(in, &before, false, into);
        key.right = number_of(in, &before, true, into);
        err = key.left == UINT32_MAX || key.right == UINT32_MAX ? MW_E_NOMEM
                                                                : mw_rollup_merge(into, key, &cell);
    }
    return err;
}

/* The head of the next minute; false at the end and when something is wrong (in->ok). */
static bool next_minute(rollup_reading *in, uint64_t *minute, uint64_t *len, bool first)
{
    uint64_t step = get(in);
    *len = get(in);
    *minute += step;
    /* Both are small enough for their sum to be right. */
    if ((!first && step == 0) || step > UINT64_MAX / MW_MINUTE_NS ||
        *minute > UINT64_MAX / MW_MINUTE_NS || *len == 0 || *len > (size_t)(in->end - in->at))
        in->ok = false;
    return in->ok;
}

static mw_err read_minutes(rollup_reading *in, uint64_t since_ns, uint64_t until_ns,
                           mw_rollup *into)
{
    const unsigned char *end = in->end;
    uint64_t count = get(in), minute = 0, len;
    mw_err err = MW_OK;

    for (uint64_t i = 0; err == MW_OK && i < count && next_minute(in, &minute, &len, i == 0); i++) {
        in->end = in->at + len;
        if (mw_rollup_minute_meets((uint32_t)minute, since_ns, until_ns))
            err = read_minute(in, (uint32_t)minute, into);
        in->at = in->end;
        in->end = end;
    }
    if (err == MW_OK && (!in->ok || in->at != end))
        err = MW_E_CORRUPT;
    return err;
}

/* Up to the texts. */
static bool begin_reading(rollup_reading *in, mw_slice data, uint64_t *left_out)
{
    *in = (rollup_reading){.at = (const unsigned char *)data.data, .ok = true};
    in->end = in->at + data.len;
    if (data.len == 0 || *in->at++ != VERSION)
        return false;
    *left_out = get(in);
    in->text_count = get_below(in, MW_ROLLUP_TEXTS_MAX);
    return in->ok;
}

mw_err mw_rollup_read(mw_slice data, uint64_t since_ns, uint64_t until_ns, mw_rollup *into)
{
    rollup_reading in;
    uint64_t left_out;
    if (data.len == 0)
        return MW_OK;
    if (!begin_reading(&in, data, &left_out))
        return MW_E_CORRUPT;
    in.texts = mw_alloc(MW_MEM_ROLLUP, ((size_t)in.text_count + 1) * sizeof *in.texts);
    in.numbers = mw_calloc(MW_MEM_ROLLUP, (size_t)in.text_count + 1, sizeof *in.numbers);
    mw_err err = in.texts && in.numbers ? MW_OK : MW_E_NOMEM;
    if (err == MW_OK)
        get_texts(&in);
    if (err == MW_OK && !in.ok)
        err = MW_E_CORRUPT;
    if (err == MW_OK)
        err = read_minutes(&in, since_ns, until_ns, into);
    if (err == MW_OK)
        into->left_out += left_out;
    mw_free(MW_MEM_ROLLUP, in.texts);
    mw_free(MW_MEM_ROLLUP, in.numbers);
    return err;
}

static void skip_texts(rollup_reading *in)
{
    for (uint32_t i = 0; i < in->text_count && in->ok; i++) {
        uint32_t len = get_below(in, MW_ROLLUP_TEXT_MAX);
        if (len > (size_t)(in->end - in->at))
            in->ok = false;
        else
            in->at += len;
    }
}

mw_err mw_rollup_range_read(mw_slice data, uint32_t limit, mw_rollup_range *out)
{
    rollup_reading in;
    uint64_t left_out, minute = 0, len;

    *out = (mw_rollup_range){.empty = true};
    if (data.len == 0)
        return MW_OK;
    if (!begin_reading(&in, data, &left_out))
        return MW_E_CORRUPT;
    skip_texts(&in);
    uint64_t count = get(&in);
    for (uint64_t i = 0; i < count && next_minute(&in, &minute, &len, i == 0); i++) {
        out->last = (uint32_t)minute;
        out->first = out->empty ? out->last : out->first;
        out->empty = false;
        /* Cells go by kind: where no span is, calls are mostly what was taken back. */
        if (*in.at != MW_ROLLUP_CALL && minute <= limit) {
            out->newest = (uint32_t)minute;
            out->has_newest = true;
        }
        in.at += len;
    }
    return in.ok && in.at == in.end ? MW_OK : MW_E_CORRUPT;
}
