/* OTLP/JSON reader. Oracle: what it accepts is wire format that the validating pass and protobuf-c
 * read; unpacked, it is the record that an independent reader of JSON sees, field by field. First
 * byte chooses the signal. */
#include "tests/fuzz/proto/json_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX ((size_t)1 << 20)

static void check_scan(mw_slice wire, mw_json_kind kind, mw_arena *arena)
{
    mw_scan_result result;
    mw_err err = scan_any(wire, kind, arena, &result);
    MW_ASSERT(err == MW_OK || err == MW_E_LIMIT);
}

/* jansson refuses what it cannot hold (large integers, deep nesting): only a syntax error of its
 * own speaks against us. */
static void check_syntax(mw_slice text)
{
    json_error_t error;
    json_t *root =
        json_loadb(text.data, text.len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    if (!root) {
        enum json_error_code code = json_error_code(&error);
        MW_ASSERT(code == json_error_numeric_overflow || code == json_error_stack_overflow ||
                  code == json_error_null_byte_in_key || code == json_error_out_of_memory);
    }
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > BODY_MAX)
        return 0;
    mw_json_kind kind = (mw_json_kind)(data[0] % 3);
    mw_slice text = mw_slice_bytes(data + 1, size - 1);
    mw_buffer wire;
    mw_json_notes notes;
    mw_detail detail = {.message = ""};
    mw_arena arena;
    mw_buffer_init(&wire, MW_MEM_INGEST, BODY_MAX);
    mw_arena_init(&arena, MW_MEM_INGEST, (size_t)256 << 20);
    mw_err err = mw_json_to_wire(text, kind, &wire, &notes, &detail);
    if (err == MW_OK) {
        check_scan(mw_buffer_slice(&wire), kind, &arena);
        check_record(text, mw_buffer_slice(&wire), kind, &arena);
        check_syntax(text);
    } else if (err != MW_E_LIMIT) {
        MW_ASSERT(detail.message[0] != '\0');
    }
    mw_buffer_fini(&wire);
    mw_arena_reset(&arena);
    return 0;
}
