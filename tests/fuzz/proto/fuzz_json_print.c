/* Wire bytes as OTLP/JSON. First byte chooses the signal; the rest is a whole request, printed with
 * the same table and code as stored items. Oracles: what is printed is OTLP/JSON that our reader
 * takes without a note; printed again from the reader's bytes it is the same text; and where the
 * validating pass takes the bytes, protobuf-c's unpacked message is what jansson reads in the text.
 */
#include "proto/json_int.h"
#include "tests/fuzz/proto/json_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WIRE_MAX ((size_t)1 << 20)
#define TEXT_MAX ((size_t)64 << 20)
#define SCRATCH_MAX ((size_t)256 << 20)

/* True when all of the request is what the store would take. */
static bool is_valid(mw_slice wire, mw_json_kind kind, mw_arena *arena)
{
    mw_scan_result result;
    mw_err err = scan_any(wire, kind, arena, &result);
    return err == MW_OK && !result.too_deep && !result.bad_utf8;
}

/* An id of another length than ids have, which JSON cannot say: the reader makes it one zero byte.
 * Inside a string the quotes are escaped, so that these are keys. */
static bool has_odd_id(mw_slice text)
{
    static const struct {
        const char *key;
        size_t digits;
    } ids[] = {{"\"traceId\":\"", 32}, {"\"spanId\":\"", 16}, {"\"parentSpanId\":\"", 16}};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        mw_slice key = mw_slice_of(ids[i].key), rest = text;
        const char *at;
        while ((at = memmem(rest.data, rest.len, key.data, key.len)) != NULL) {
            rest = mw_slice_from(rest, (size_t)(at - rest.data) + key.len);
            size_t digits = mw_slice_find_byte(rest, '"');
            if (digits != 0 && digits != ids[i].digits)
                return true;
        }
    }
    return false;
}

static bool has_replacement(mw_slice text)
{
    return memmem(text.data, text.len, "\xef\xbf\xbd", 3) != NULL;
}

static mw_err print(mw_slice wire, mw_json_kind kind, mw_arena *scratch, mw_buffer *out)
{
    mw_json json;
    mw_json_init(&json, out);
    mw_err err = mw_json_print(&json, mw_json_request(kind), wire, scratch);
    return err ? err : out->err;
}

/* What is nested deeper than is kept our reader cuts; so many levels stand in no such text. */
static bool is_shallow(mw_slice text)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '"')
            in_string = !in_string;
        if (in_string && c == '\\')
            i++;
        if (in_string)
            continue;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest < 3 * MW_OTLP_DEPTH_MAX;
}

/* Read and printed again: the same, but for ids that JSON cannot say, which are so the next
 * time. */
static void check_again(mw_slice text, mw_json_kind kind, mw_arena *scratch, int rounds)
{
    mw_buffer wire, again;
    mw_json_notes notes;
    mw_detail detail = {.message = ""};
    mw_buffer_init(&wire, MW_MEM_INGEST, TEXT_MAX);
    mw_buffer_init(&again, MW_MEM_INGEST, TEXT_MAX);
    mw_err err = mw_json_to_wire(text, kind, &wire, &notes, &detail);
    MW_ASSERT(err == MW_OK && !notes.snake_case_keys && !notes.enum_names);
    err = print(mw_buffer_slice(&wire), kind, scratch, &again);
    MW_ASSERT(err == MW_OK);
    bool equal = mw_slice_equal(text, mw_buffer_slice(&again));
    MW_ASSERT(equal || (rounds && has_odd_id(text)));
    if (!equal)
        check_again(mw_buffer_slice(&again), kind, scratch, rounds - 1);
    mw_buffer_fini(&wire);
    mw_buffer_fini(&again);
}

/* protobuf-c's own merging of parts has faults (shape_span.c), so those are not judged. */
static void check_meaning(mw_slice text, mw_slice wire, mw_json_kind kind, mw_arena *arena)
{
    if (!has_odd_id(text) && !has_replacement(text))
        check_record(text, wire, kind, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > WIRE_MAX)
        return 0;
    mw_json_kind kind = (mw_json_kind)(data[0] % 3);
    mw_slice wire = mw_slice_bytes(data + 1, size - 1);
    mw_buffer text;
    mw_arena scratch, arena;
    mw_buffer_init(&text, MW_MEM_INGEST, TEXT_MAX);
    mw_arena_init(&scratch, MW_MEM_INGEST, SCRATCH_MAX);
    mw_arena_init(&arena, MW_MEM_INGEST, SCRATCH_MAX);
    mw_err err = print(wire, kind, &scratch, &text);
    bool in_parts = scratch.used > 0, valid = is_valid(wire, kind, &arena);
    MW_ASSERT(!valid || err == MW_OK || err == MW_E_LIMIT);
    if (!err && (valid || is_shallow(mw_buffer_slice(&text))))
        check_again(mw_buffer_slice(&text), kind, &scratch, 2);
    if (!err && valid && !in_parts)
        check_meaning(mw_buffer_slice(&text), wire, kind, &arena);
    mw_buffer_fini(&text);
    mw_arena_reset(&scratch);
    mw_arena_reset(&arena);
    return 0;
}
