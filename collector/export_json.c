/* An OTLP/JSON body on its way to the validating pass: wire bytes, and words for the sender.
 *
 * On the network loop's thread; texts live in the request's arena, the bytes in a buffer that the
 * caller frees once the store has its copy.
 */
#include "collector/export_int.h"

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
        outcome->json_warning = mw_slice_of(text);
}

/* Keys of another signal are unknown keys, which are ignored: all of it would be lost while the
 * sender hears that it was accepted. */
static mw_err refuse_other_signal(mw_slice body, size_t max_bytes, mw_arena *arena,
                                  mw_export_outcome *outcome)
{
    outcome->looks_like = mw_export_json_looks_like(outcome->signal->signal, body, max_bytes);
    if (!outcome->looks_like)
        return MW_OK;
    const char *name = mw_signal_name(outcome->looks_like);
    const char *text = mw_arena_printf(
        arena, "no %s in the request; is this a %s request? %s go to %s", outcome->signal->items,
        name, name, mw_export_signal_of(outcome->looks_like)->http_path);
    outcome->problem = text ? mw_slice_of(text) : MW_SLICE("the request of another signal");
    outcome->field = MW_SLICE("body");
    return MW_E_INVALID;
}

mw_err mw_export_json(mw_slice body, size_t max_bytes, mw_arena *arena, mw_buffer *wire,
                      mw_export_outcome *outcome)
{
    mw_json_notes notes;
    mw_detail detail = {.message = ""};
    mw_buffer_init(wire, MW_MEM_INGEST, max_bytes);
    mw_err err = mw_json_to_wire(body, outcome->signal->json, wire, &notes, &detail);
    if (err == MW_OK && wire->len == 0)
        err = refuse_other_signal(body, max_bytes, arena, outcome);
    if (err == MW_OK) {
        warn(outcome, &notes, arena);
    } else if (err == MW_E_LIMIT) {
        outcome->problem =
            MW_SLICE("the request is larger than max_request; export smaller batches");
    } else if (err != MW_E_NOMEM && outcome->problem.len == 0) {
        outcome->problem = arena_text(arena, detail.message);
        outcome->field = arena_text(arena, detail.field[0] ? detail.field : "body");
    }
    return err;
}
