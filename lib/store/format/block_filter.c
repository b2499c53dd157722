/* Filters of merged blocks, made and asked. Drawn in block_filter.h.
 *
 * A writer first gathers the elements, since the filter's size follows from their number.
 * Attributes are hashes in a list: fields come but once, so few are equal, and a table of them took
 * as long as all else. Equal ones are told apart by sorting, and only where they may be many.
 * Trigrams are in a map of all 16 million, of which a list keeps those that are set, so that
 * beginning anew costs what was noted.
 */
#include <xxhash.h>

#include "lib/store/format/block_filter.h"
#include "lib/store/format/body_walk.h"
#include "lib/store/format/segment_format.h"
#include "lib/store/format/tool_name.h"
#include "proto/wire.h"

#define VERSION 2u
#define NO_ATTRIBUTES 1u
#define NO_TRIGRAMS 2u
#define PREFIX 24u
#define CELL 64u
#define CELL_BITS (8 * CELL)
#define BITS_PER_ELEMENT 9u
#define PROBES 6u

#define TRIGRAM_WORDS ((size_t)1 << 18) /* 2^24 bits */
#define ELEMENTS_AT_FIRST ((size_t)1 << 12)
/* Before they are told apart. */
#define ELEMENTS_MAX (2 * MW_FILTER_ATTRIBUTES_MAX)
/* The attributes of contexts, which often are the same ones, may make the filter longer by so large
 * a part. */
#define CONTEXTS_PART 16u

_Static_assert(MW_FILTER_TRIGRAMS_MAX *BITS_PER_ELEMENT / CELL_BITS < UINT32_MAX, "cells");

/* ---- elements -------------------------------------------------------------------------------- */

static uint64_t text_element(uint64_t seed, mw_slice key, mw_slice text)
{
    return XXH3_64bits_withSeed(text.data, text.len, XXH3_64bits_withSeed(key.data, key.len, seed));
}

static uint64_t double_element(uint64_t seed, mw_slice key, uint64_t double_bits)
{
    unsigned char bytes[8];
    mw_put_u64(bytes, double_bits);
    return XXH3_64bits_withSeed(bytes, sizeof bytes,
                                ~XXH3_64bits_withSeed(key.data, key.len, seed));
}

/* printf takes as long as all else together. */
static uint64_t integer_element(uint64_t seed, mw_slice key, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        digits[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0)
        digits[--at] = '-';
    return text_element(seed, key, mw_slice_bytes(digits + at, sizeof digits - at));
}

static uint64_t trigram_element(uint64_t seed, uint32_t trigram)
{
    uint64_t mixed = seed + trigram;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

static uint32_t folded(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20u : byte;
}

/* ---- cells ----------------------------------------------------------------------------------- */

static size_t cell_of(uint64_t element, uint32_t cells)
{
    return CELL * (size_t)((element >> 32) * cells >> 32);
}

static void set_element(unsigned char *filter, uint32_t cells, uint64_t element)
{
    unsigned char *cell = filter + cell_of(element, cells);
    uint64_t bits = element * UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < PROBES; i++, bits <<= 9)
        cell[bits >> 58] |= (unsigned char)(1u << (bits >> 55 & 7));
}

static bool has_element(const unsigned char *filter, uint32_t cells, uint64_t element)
{
    if (cells == 0)
        return false;
    const unsigned char *cell = filter + cell_of(element, cells);
    uint64_t bits = element * UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < PROBES; i++, bits <<= 9)
        if (!(cell[bits >> 58] >> (bits >> 55 & 7) & 1))
            return false;
    return true;
}

static uint32_t cells_for(size_t elements)
{
    return (uint32_t)((elements * BITS_PER_ELEMENT + CELL_BITS - 1) / CELL_BITS);
}

/* ---- gathering ------------------------------------------------------------------------------- */

struct mw_filter_writer {
    uint64_t seed;
    uint64_t *elements; /* of attributes */
    size_t elements_room, attributes;
    size_t of_contexts; /* so many of them */
    /* trigrams: made when the first body comes */
    uint64_t *map;
    uint32_t *list;
    size_t trigrams;
    bool no_attributes, no_trigrams;
    unsigned char *seen; /* a bit by reference: noted already; of one column or of the names */
    size_t seen_size;
    unsigned char *out;
    size_t out_size;
};

mw_err mw_filter_writer_new(mw_filter_writer **out)
{
    mw_filter_writer *writer = mw_calloc(MW_MEM_MERGE, 1, sizeof *writer);
    if (!writer)
        return MW_E_NOMEM;
    mw_random_bytes(&writer->seed, sizeof writer->seed);
    *out = writer;
    return MW_OK;
}

void mw_filter_writer_free(mw_filter_writer *writer)
{
    if (!writer)
        return;
    mw_free(MW_MEM_MERGE, writer->elements);
    mw_free(MW_MEM_MERGE, writer->map);
    mw_free(MW_MEM_MERGE, writer->list);
    mw_free(MW_MEM_MERGE, writer->seen);
    mw_free(MW_MEM_MERGE, writer->out);
    mw_free(MW_MEM_MERGE, writer);
}

static int element_compare(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return a < b ? -1 : a > b;
}

static void tell_apart(mw_filter_writer *writer)
{
    size_t kept = 0;
    if (writer->attributes > 1)
        qsort(writer->elements, writer->attributes, sizeof *writer->elements, element_compare);
    for (size_t i = 0; i < writer->attributes; i++)
        if (i == 0 || writer->elements[i] != writer->elements[i - 1])
            writer->elements[kept++] = writer->elements[i];
    writer->attributes = kept;
    writer->of_contexts = 0;
}

/* Sorting again comes after as many new ones, at least, as there may be distinct ones. */
static bool make_room(mw_filter_writer *writer)
{
    if (writer->attributes < writer->elements_room)
        return true;
    if (writer->elements_room == ELEMENTS_MAX) {
        tell_apart(writer);
        return writer->attributes <= MW_FILTER_ATTRIBUTES_MAX;
    }
    size_t room = writer->elements_room ? 2 * writer->elements_room : ELEMENTS_AT_FIRST;
    uint64_t *elements = mw_realloc(MW_MEM_MERGE, writer->elements, room * sizeof *elements);
    if (!elements)
        return false;
    writer->elements = elements;
    writer->elements_room = room;
    return true;
}

static void note_attribute(mw_filter_writer *writer, uint64_t element)
{
    element += element == 0;
    if (writer->attributes && writer->elements[writer->attributes - 1] == element)
        return;
    if (make_room(writer))
        writer->elements[writer->attributes++] = element;
    else
        writer->no_attributes = true;
}

static void add_other(mw_filter_writer *writer, mw_slice key_value)
{
    mw_slice key;
    mw_value value;
    uint64_t element, seed = writer->seed;

    if (!mw_attribute_read(key_value, &key, &value))
        return;
    switch (value.type) {
    case MW_VALUE_STRING:
        if (value.bytes.len > MW_FILTER_VALUE_MAX)
            return;
        element = text_element(seed, key, value.bytes);
        break;
    case MW_VALUE_BOOL:
        element = text_element(seed, key, value.as.b ? MW_SLICE("true") : MW_SLICE("false"));
        break;
    case MW_VALUE_INT: element = integer_element(seed, key, value.as.i); break;
    case MW_VALUE_DOUBLE: element = double_element(seed, key, mw_double_bits(value.as.d)); break;
    default: return;
    }
    note_attribute(writer, element);
}

static void add_attribute(mw_filter_writer *writer, mw_slice key_value)
{
    mw_slice key, text;
    if (writer->no_attributes)
        return;
    if (!mw_attribute_text(key_value, &key, &text))
        add_other(writer, key_value);
    else if (text.len <= MW_FILTER_VALUE_MAX)
        note_attribute(writer, text_element(writer->seed, key, text));
}

static bool has_map(mw_filter_writer *writer)
{
    if (!writer->map)
        writer->map = mw_calloc(MW_MEM_MERGE, TRIGRAM_WORDS, sizeof *writer->map);
    if (!writer->list)
        writer->list = mw_alloc(MW_MEM_MERGE, MW_FILTER_TRIGRAMS_MAX * sizeof *writer->list);
    return writer->map && writer->list;
}

static void add_text(mw_filter_writer *writer, mw_slice text)
{
    uint32_t trigram = text.len < 3 ? 0 : folded(text.data[0]) << 8 | folded(text.data[1]);
    for (size_t i = 2; i < text.len && !writer->no_trigrams; i++) {
        trigram = (trigram << 8 | folded(text.data[i])) & 0xffffff;
        uint64_t bit = UINT64_C(1) << (trigram & 63);
        if (writer->map[trigram >> 6] & bit)
            continue;
        if (writer->trigrams == MW_FILTER_TRIGRAMS_MAX) {
            writer->no_trigrams = true;
            return;
        }
        writer->map[trigram >> 6] |= bit;
        writer->list[writer->trigrams++] = trigram;
    }
}

static void add_body(mw_filter_writer *writer, mw_slice value)
{
    mw_body_walk walk;
    mw_slice text;
    if (!writer->no_trigrams && !has_map(writer))
        writer->no_trigrams = true;
    mw_body_walk_begin(&walk, value);
    while (!writer->no_trigrams && mw_body_walk_next(&walk, &text))
        add_text(writer, text);
}

/* Attributes of data points have the numbers 7 (of numbers and summaries), 9 (histograms) and 1
 * (exponential ones). The kind is not known here; another field of that number that reads as an
 * attribute only sets a few bits too many. */
static bool is_attribute(unsigned signal, uint32_t tag)
{
    switch (signal) {
    case MW_SIGNAL_TRACES: return tag == MW_WIRE_TAG(MW_SPAN_ATTRIBUTES, MW_WIRE_BYTES);
    case MW_SIGNAL_LOGS: return tag == MW_WIRE_TAG(MW_LOG_ATTRIBUTES, MW_WIRE_BYTES);
    default:
        return tag == MW_WIRE_TAG(1, MW_WIRE_BYTES) || tag == MW_WIRE_TAG(7, MW_WIRE_BYTES) ||
               tag == MW_WIRE_TAG(9, MW_WIRE_BYTES);
    }
}

void mw_filter_add_field(mw_filter_writer *writer, unsigned signal, mw_slice field)
{
    mw_wire_field read;
    mw_slice rest = field, body;

    if (field.len == 0 || !mw_wire_next(mw_wire_begin(field), mw_wire_end(field), &read))
        return;
    if (is_attribute(signal, read.tag))
        add_attribute(writer, read.bytes);
    else if (signal == MW_SIGNAL_LOGS && mw_record_body(&rest, &body))
        add_body(writer, body);
}

/* Of both messages at once: field 1 of a scope is its name, field 3 of a resource speaks of
 * entities; what of it reads as an attribute does no harm. */
void mw_filter_add_context(mw_filter_writer *writer, mw_slice message)
{
    const uint8_t *at = mw_wire_begin(message), *end = mw_wire_end(message);
    size_t before = writer->attributes;
    while (at && at < end) {
        mw_wire_field field;
        at = mw_wire_next(at, end, &field);
        if (at && (field.tag == MW_WIRE_TAG(MW_RESOURCE_ATTRIBUTES, MW_WIRE_BYTES) ||
                   field.tag == MW_WIRE_TAG(MW_SCOPE_ATTRIBUTES, MW_WIRE_BYTES)))
            add_attribute(writer, field.bytes);
    }
    if (writer->attributes > before)
        writer->of_contexts += writer->attributes - before;
}

/* ---- columns --------------------------------------------------------------------------------- */

static mw_slice name_key(mw_filter_name column)
{
    static const struct {
        char key[8];
        size_t len;
    } keys[] = {[MW_FILTER_AGENT] = {"\0agent", 6},
                [MW_FILTER_USER] = {"\0user", 5},
                [MW_FILTER_MODEL] = {"\0model", 6},
                [MW_FILTER_TOOL] = {"\0tool", 5}};
    return mw_slice_bytes(keys[column].key, keys[column].len);
}

static void add_name(mw_filter_writer *writer, mw_filter_name column, mw_slice name)
{
    if (name.len && name.len <= MW_FILTER_VALUE_MAX && !writer->no_attributes)
        note_attribute(writer, text_element(writer->seed, name_key(column), name));
}

static void add_tools(mw_filter_writer *writer, mw_slice name)
{
    mw_slice tools[MW_TOOL_NAMES_MAX];
    size_t count = mw_tools_named(name, tools);
    for (size_t i = 0; i < count; i++)
        add_name(writer, MW_FILTER_TOOL, tools[i]);
}

/* Forgets what was seen of another column. */
static bool begin_column(mw_filter_writer *writer, const mw_hot *hot)
{
    size_t need = (size_t)hot->strings / 8 + 1;
    if (need > writer->seen_size) {
        mw_free(MW_MEM_MERGE, writer->seen);
        writer->seen = mw_alloc(MW_MEM_MERGE, need);
        writer->seen_size = writer->seen ? need : 0;
    }
    if (writer->seen)
        memset(writer->seen, 0, need);
    return writer->seen != NULL;
}

static bool is_new(mw_filter_writer *writer, uint32_t ref)
{
    unsigned bit = 1u << (ref & 7);
    bool is = ref && !(writer->seen[ref >> 3] & bit);
    writer->seen[ref >> 3] |= (unsigned char)bit;
    return is;
}

static void add_column(mw_filter_writer *writer, const mw_hot *hot, mw_hot_column from,
                       mw_filter_name column)
{
    if (!begin_column(writer, hot)) {
        writer->no_attributes = true;
        return;
    }
    for (uint32_t row = 0; row < hot->count; row++) {
        uint32_t ref = mw_hot_ref(hot, from, row);
        if (is_new(writer, ref))
            add_name(writer, column, mw_hot_string(hot, ref));
    }
}

/* Tools are noted of all spans, whatever their kind: few other names are like one. */
static void add_names(mw_filter_writer *writer, const mw_hot *hot)
{
    if (!has_map(writer))
        writer->no_trigrams = true;
    if (!begin_column(writer, hot)) {
        writer->no_attributes = writer->no_trigrams = true;
        return;
    }
    for (uint32_t row = 0; row < hot->count; row++) {
        uint32_t ref = mw_hot_ref(hot, MW_HOT_NAME, row);
        if (!is_new(writer, ref))
            continue;
        add_text(writer, mw_hot_string(hot, ref));
        add_tools(writer, mw_hot_string(hot, ref));
    }
}

void mw_filter_add_columns(mw_filter_writer *writer, const mw_hot *hot)
{
    if (hot->signal != MW_SIGNAL_TRACES)
        return;
    add_column(writer, hot, MW_HOT_AGENT, MW_FILTER_AGENT);
    add_column(writer, hot, MW_HOT_USER, MW_FILTER_USER);
    add_column(writer, hot, MW_HOT_MODEL, MW_FILTER_MODEL);
    add_names(writer, hot);
}

/* ---- the bytes ------------------------------------------------------------------------------- */

static bool make_out(mw_filter_writer *writer, size_t size)
{
    if (size > writer->out_size) {
        mw_free(MW_MEM_MERGE, writer->out);
        writer->out = mw_alloc(MW_MEM_MERGE, size);
        writer->out_size = writer->out ? size : 0;
    }
    return writer->out != NULL;
}

static mw_slice write_out(mw_filter_writer *writer)
{
    if (writer->attributes > MW_FILTER_ATTRIBUTES_MAX ||
        writer->of_contexts > writer->attributes / CONTEXTS_PART)
        tell_apart(writer);
    if (writer->attributes > MW_FILTER_ATTRIBUTES_MAX)
        writer->no_attributes = true;
    uint32_t attributes = writer->no_attributes ? 0 : cells_for(writer->attributes);
    uint32_t trigrams = writer->no_trigrams ? 0 : cells_for(writer->trigrams);
    size_t size = PREFIX + CELL * ((size_t)attributes + trigrams);

    if ((writer->no_attributes && writer->no_trigrams) || !make_out(writer, size))
        return MW_SLICE_NONE;
    unsigned char *out = writer->out;
    memset(out, 0, size);
    out[0] = VERSION;
    out[1] = (unsigned char)((writer->no_attributes ? NO_ATTRIBUTES : 0) |
                             (writer->no_trigrams ? NO_TRIGRAMS : 0));
    mw_put_u32(out + 4, attributes);
    mw_put_u32(out + 8, trigrams);
    mw_put_u64(out + 16, writer->seed);
    for (size_t i = 0; attributes && i < writer->attributes; i++)
        set_element(out + PREFIX, attributes, writer->elements[i]);
    for (size_t i = 0; trigrams && i < writer->trigrams; i++)
        set_element(out + PREFIX + CELL * (size_t)attributes, trigrams,
                    trigram_element(writer->seed, writer->list[i]));
    return mw_slice_bytes(out, size);
}

static void begin_anew(mw_filter_writer *writer)
{
    for (size_t i = 0; i < writer->trigrams; i++)
        writer->map[writer->list[i] >> 6] = 0;
    writer->attributes = 0;
    writer->of_contexts = 0;
    writer->trigrams = 0;
    writer->no_attributes = false;
    writer->no_trigrams = false;
    mw_random_bytes(&writer->seed, sizeof writer->seed);
}

mw_slice mw_filter_writer_finish(mw_filter_writer *writer)
{
    mw_slice bytes = write_out(writer);
    begin_anew(writer);
    return bytes;
}

/* ---- asking ---------------------------------------------------------------------------------- */

typedef struct filter_parts {
    uint64_t seed;
    unsigned flags;
    uint32_t attributes, trigrams; /* cells */
    const unsigned char *attribute_cells, *trigram_cells;
} filter_parts;

/* False: nothing can be said. */
static bool read_parts(mw_slice filter, filter_parts *out)
{
    const unsigned char *bytes = (const unsigned char *)filter.data;
    if (filter.len < PREFIX || bytes[0] != VERSION)
        return false;
    out->flags = bytes[1];
    out->attributes = mw_get_u32(bytes + 4);
    out->trigrams = mw_get_u32(bytes + 8);
    out->seed = mw_get_u64(bytes + 16);
    out->attribute_cells = bytes + PREFIX;
    uint64_t cells = (uint64_t)out->attributes + out->trigrams;
    if (filter.len - PREFIX != CELL * cells)
        return false;
    out->trigram_cells = out->attribute_cells + CELL * (size_t)out->attributes;
    return true;
}

bool mw_filter_may_have(mw_slice filter, const mw_attribute_wanted *wanted)
{
    filter_parts parts;
    if (!read_parts(filter, &parts) || (parts.flags & NO_ATTRIBUTES) ||
        wanted->value.len > MW_FILTER_VALUE_MAX)
        return true;
    uint64_t text = text_element(parts.seed, wanted->key, wanted->value);
    if (has_element(parts.attribute_cells, parts.attributes, text + (text == 0)))
        return true;
    if (!wanted->is_double)
        return false;
    uint64_t number = double_element(parts.seed, wanted->key, wanted->double_bits);
    return has_element(parts.attribute_cells, parts.attributes, number + (number == 0));
}

bool mw_filter_may_name(mw_slice filter, mw_filter_name column, mw_slice name)
{
    filter_parts parts;
    if (!read_parts(filter, &parts) || (parts.flags & NO_ATTRIBUTES) ||
        name.len > MW_FILTER_VALUE_MAX)
        return true;
    uint64_t element = text_element(parts.seed, name_key(column), name);
    return has_element(parts.attribute_cells, parts.attributes, element + (element == 0));
}

bool mw_filter_may_contain(mw_slice filter, mw_slice text)
{
    filter_parts parts;
    if (text.len < 3 || !read_parts(filter, &parts) || (parts.flags & NO_TRIGRAMS))
        return true;
    uint32_t trigram = folded(text.data[0]) << 8 | folded(text.data[1]);
    for (size_t i = 2; i < text.len; i++) {
        trigram = (trigram << 8 | folded(text.data[i])) & 0xffffff;
        if (!has_element(parts.trigram_cells, parts.trigrams, trigram_element(parts.seed, trigram)))
            return false;
    }
    return true;
}
