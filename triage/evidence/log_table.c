/* Log records by kind of message. See log_table.h. */
#include <xxhash.h>

#include "triage/evidence/log_table.h"

#define SLOTS ((size_t)4 * MW_LOG_TABLE_KINDS)
/* Kept free for the rest of services, a kind each. */
#define RESERVED 512
#define SEVERITY_WARN 13
#define SEVERITY_ERROR 17

typedef struct builder {
    mw_log_table *table;
    mw_arena *arena;
    uint64_t seed, keys[SLOTS];
    uint16_t slots[SLOTS]; /* 1 + number */
} builder;

/* ---- templates ------------------------------------------------------------------------------ */

static bool is_separator(char c)
{
    return (unsigned char)c <= ' ' || (c && strchr("[](){}<>,;=\"'|", c));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_of_id(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '-' || c == ':';
}

/* A quarter of digits, or hex digits alone: a number, a time, an id. "Handler#129" is none: it
 * tells a place in a program. */
static bool varies(mw_slice word)
{
    size_t digits = 0, hex = 0;
    for (size_t i = 0; i < word.len; i++) {
        digits += is_digit(word.data[i]);
        hex += is_of_id(word.data[i]);
    }
    return digits && (4 * digits >= word.len || hex == word.len);
}

static bool next_word(mw_slice *rest, mw_slice *word)
{
    while (rest->len && is_separator(rest->data[0]))
        *rest = mw_slice_from(*rest, 1);
    size_t len = 0;
    while (len < rest->len && !is_separator(rest->data[len]))
        len++;
    *word = mw_slice_first(*rest, len);
    *rest = mw_slice_from(*rest, len);
    return len > 0;
}

size_t mw_log_template(mw_slice body, char out[MW_TEMPLATE_MAX])
{
    mw_slice word;
    size_t len = 0;
    for (int words = 0; words < MW_TEMPLATE_WORDS && next_word(&body, &word); words++) {
        mw_slice shown = varies(word) ? MW_SLICE("*") : word;
        if (len + shown.len + 1 > MW_TEMPLATE_MAX)
            break;
        if (len)
            out[len++] = ' ';
        memcpy(out + len, shown.data, shown.len);
        len += shown.len;
    }
    return len;
}

/* ---- kinds ---------------------------------------------------------------------------------- */

static mw_severity_class class_of(uint8_t severity)
{
    if (severity == 255 || severity < SEVERITY_WARN)
        return MW_SEVERITY_OTHER;
    return severity < SEVERITY_ERROR ? MW_SEVERITY_WARN : MW_SEVERITY_ERROR;
}

static uint64_t key_of(const builder *b, mw_slice service, mw_severity_class severity,
                       mw_slice text)
{
    uint64_t key = XXH3_64bits_withSeed(service.data, service.len, b->seed + severity);
    return XXH3_64bits_withSeed(text.data ? text.data : "", text.len, key);
}

static mw_err add_kind(builder *b, size_t slot, mw_slice service, mw_slice text, mw_log_kind **out)
{
    mw_log_table *table = b->table;
    mw_log_kind *kind = &table->kinds[table->count];
    kind->service = mw_arena_copy(b->arena, service);
    kind->text = mw_arena_copy(b->arena, text);
    if (!kind->service.data || !kind->text.data)
        return MW_E_NOMEM;
    b->slots[slot] = (uint16_t)++table->count;
    *out = kind;
    return MW_OK;
}

/* NULL: there is no room, not even for the service's rest. */
static mw_err find_kind(builder *b, const mw_log_row *row, mw_slice text, mw_log_kind **out)
{
    mw_log_table *table = b->table;
    mw_severity_class severity = class_of(row->severity);
    uint64_t key = key_of(b, row->service, severity, text);
    size_t slot = key & (SLOTS - 1), most = MW_LOG_TABLE_KINDS - (text.len ? RESERVED : 0);
    *out = NULL;
    while (b->slots[slot] && b->keys[slot] != key)
        slot = (slot + 1) & (SLOTS - 1);
    if (b->slots[slot]) {
        *out = &table->kinds[b->slots[slot] - 1];
        return MW_OK;
    }
    if (table->count >= most)
        return MW_OK;
    b->keys[slot] = key;
    mw_err err = add_kind(b, slot, row->service, text, out);
    if (err == MW_OK) {
        (*out)->severity = severity;
        (*out)->first_ns = row->time_ns;
    }
    return err;
}

static mw_err take_record(void *ctx, const mw_log_row *row, mw_slice text)
{
    builder *b = ctx;
    mw_log_table *table = b->table;
    char template[MW_TEMPLATE_MAX];
    mw_log_kind *kind;
    if (!row->service.len)
        return MW_OK;
    table->records++;
    size_t len = mw_log_template(text, template);
    mw_slice words = len ? mw_slice_bytes(template, len) : row->event_name;
    words = mw_slice_first(words, MW_TEMPLATE_MAX);
    mw_err err = find_kind(b, row, words, &kind);
    if (err == MW_OK && !kind)
        err = find_kind(b, row, MW_SLICE(""), &kind);
    if (err != MW_OK || !kind)
        return err;
    size_t slot = (size_t)((row->time_ns - table->since_ns) / table->slot_ns);
    kind->counts[slot < MW_LOG_TABLE_SLOTS ? slot : MW_LOG_TABLE_SLOTS - 1]++;
    kind->first_ns = row->time_ns < kind->first_ns ? row->time_ns : kind->first_ns;
    if (kind->severity == MW_SEVERITY_ERROR && table->error_count < MW_LOG_TABLE_ERRORS)
        table->errors[table->error_count++] =
            (mw_log_error){(uint32_t)(kind - table->kinds), row->time_ns};
    return MW_OK;
}

mw_err mw_log_table_read(mw_store_view *view, const mw_store_window *window, mw_arena *arena,
                         mw_log_table *out)
{
    uint64_t length = window->until_ns - window->since_ns;
    *out = (mw_log_table){.since_ns = window->since_ns,
                          .slot_ns = length / MW_LOG_TABLE_SLOTS + 1,
                          .one_in = mw_store_window_one_in(window)};
    builder *b = mw_calloc(MW_MEM_QUERY, 1, sizeof *b);
    out->kinds = mw_arena_zalloc(arena, MW_LOG_TABLE_KINDS, sizeof *out->kinds);
    out->errors = mw_arena_alloc(arena, MW_LOG_TABLE_ERRORS * sizeof *out->errors);
    if (!b || !out->kinds || !out->errors) {
        mw_free(MW_MEM_QUERY, b);
        return MW_E_NOMEM;
    }
    b->table = out;
    b->arena = arena;
    b->seed = mw_store_view_seed(view);
    mw_err err = mw_store_each_log(view, window, take_record, b);
    mw_free(MW_MEM_QUERY, b);
    return err;
}

uint64_t mw_log_kind_count(const mw_log_table *table, const mw_log_kind *kind, uint64_t since_ns,
                           uint64_t until_ns)
{
    uint64_t count = 0;
    for (size_t i = 0; i < MW_LOG_TABLE_SLOTS; i++) {
        uint64_t middle = table->since_ns + i * table->slot_ns + table->slot_ns / 2;
        count += middle >= since_ns && middle < until_ns ? kind->counts[i] : 0;
    }
    return count;
}
