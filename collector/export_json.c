/* An OTLP/JSON body on its way to the validating pass: wire bytes, and words for the sender.
 *
 * On the network loop's thread; texts live in the request's arena, the bytes in a buffer that the
 * caller frees once the store has its copy.
 */
#include "collector/export_int.h"
#include "proto/json.h"

static mw_slice arena_text(mw_arena *arena, const char *text)
{
    return mw_arena_copy(arena, mw_slice_of(text));
}

static void warn(mw_export_outcome *outcome, const mw_json_notes *notes, mw_arena *arena)
{
    if (!notes->first[0])
        return;
    const char *text = mw_arena_printf(
        arena,
        "%llu snake_case keys and %llu enum names were accepted; OTLP/JSON uses lowerCamelCase "
        "keys and enum numbers; first: %s",
        (unsigned long long)notes->snake_case_keys, (unsigned long long)notes->enum_names,
        notes->first);
    if (text)
        outcome->warning = mw_slice_of(text);
}

mw_err mw_export_json(mw_slice body, size_t max_bytes, mw_arena *arena, mw_buffer *wire,
                      mw_export_outcome *outcome)
{
    mw_json_notes notes;
    mw_detail detail = {.message = ""};
    mw_buffer_init(wire, MW_MEM_INGEST, max_bytes);
    mw_err err = mw_json_to_wire(body, MW_JSON_TRACES, wire, &notes, &detail);
    if (err == MW_OK) {
        warn(outcome, &notes, arena);
    } else if (err == MW_E_LIMIT) {
        outcome->problem =
            MW_SLICE("the request is larger than max_request; export smaller batches");
    } else if (err != MW_E_NOMEM) {
        outcome->problem = arena_text(arena, detail.message);
        outcome->field = arena_text(arena, detail.field[0] ? detail.field : "body");
    }
    return err;
}
