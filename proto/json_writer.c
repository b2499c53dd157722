/* Stored items as one OTLP/JSON request. Contract: json.h, "the way back".
 *
 * What is stored is what was sent, so that each item is one pass over its own bytes (json_print.c);
 * what is put together here are the levels above: the same names and numbers for all signals, taken
 * from the reader's table, and of metrics one level more.
 */
#include "proto/json_int.h"
#include "proto/wire.h"

/* Fields of the levels, by number, in all signals. */
enum { FIELD_CONTEXT = 1, FIELD_ITEMS = 2, FIELD_URL = 3 };
enum { FIELD_POINTS = 1 };

typedef enum level { LEVEL_NONE, LEVEL_RESOURCE, LEVEL_SCOPE, LEVEL_METRIC } level;

static const mw_json_field *field_of(const mw_json_message *message, uint32_t number)
{
    const mw_json_field *field = message->fields;
    while (field->name && field->number != number)
        field++;
    MW_ASSERT(field->name);
    return field;
}

/* ResourceSpans and the like. */
static const mw_json_field *resources_of(const mw_json_writer *writer)
{
    return &mw_json_request(writer->kind)->fields[0];
}

/* ScopeSpans and the like. */
static const mw_json_field *scopes_of(const mw_json_writer *writer)
{
    return field_of(resources_of(writer)->message, FIELD_ITEMS);
}

static const mw_json_field *items_of(const mw_json_writer *writer)
{
    return field_of(scopes_of(writer)->message, FIELD_ITEMS);
}

static const mw_json_field *points_of(mw_metric_kind kind)
{
    return field_of(mw_json_metric_data(kind)->message, FIELD_POINTS);
}

static void begin_list(mw_json *json, const mw_json_field *field)
{
    mw_json_key(json, mw_slice_of(field->name));
    mw_json_array_begin(json);
}

/* ---- levels -------------------------------------------------------------------------------- */

/* The object of a resource or scope, up to the list of what it holds. */
static mw_err open_context(mw_json_writer *writer, const mw_json_message *message, mw_slice bytes,
                           mw_slice url)
{
    mw_json *json = &writer->json;
    const mw_json_field *context = field_of(message, FIELD_CONTEXT);
    mw_json_object_begin(json);
    mw_json_key(json, mw_slice_of(context->name));
    mw_err err = mw_json_print(json, context->message, bytes, &writer->scratch);
    if (err)
        return err;
    if (url.len)
        mw_json_kv(json, field_of(message, FIELD_URL)->name, url);
    begin_list(json, field_of(message, FIELD_ITEMS));
    return MW_OK;
}

/* The data of a head: kind's own message, in which the points are to stand. */
static mw_err find_data(mw_slice head, const mw_json_field *field, mw_slice *data)
{
    const uint8_t *at = mw_wire_begin(head), *end = mw_wire_end(head);
    while (at < end) {
        mw_wire_field found;
        at = mw_wire_next(at, end, &found);
        if (!at)
            return MW_E_SYNTAX;
        if (found.tag != MW_WIRE_TAG(field->number, MW_WIRE_BYTES))
            continue;
        *data = found.bytes;
        return MW_OK;
    }
    return MW_E_SYNTAX;
}

static mw_err open_metric(mw_json_writer *writer, const mw_json_item *item)
{
    mw_json *json = &writer->json;
    const mw_json_message *metric = mw_json_message_of(MW_JSON_METRIC);
    const mw_json_field *field = mw_json_metric_data(item->kind);
    mw_slice data = MW_SLICE_NONE;
    mw_err err = find_data(item->metric, field, &data);
    mw_json_object_begin(json);
    if (!err)
        err = mw_json_print_members(json, metric, item->metric, metric->choice, &writer->scratch);
    if (err)
        return err;
    mw_json_key(json, mw_slice_of(field->name));
    mw_json_object_begin(json);
    err = mw_json_print_members(json, field->message, data, UINT32_C(1) << FIELD_POINTS,
                                &writer->scratch);
    if (!err)
        begin_list(json, points_of(item->kind));
    return err;
}

static void close_to(mw_json_writer *writer, level wanted)
{
    for (; writer->open > wanted; writer->open--) {
        mw_json_array_end(&writer->json);
        mw_json_object_end(&writer->json);
        if (writer->open == LEVEL_METRIC)
            mw_json_object_end(&writer->json);
    }
}

static bool same(mw_slice a, mw_slice b)
{
    return a.len == b.len && (a.data == b.data || mw_slice_equal(a, b));
}

/* How many levels the item shares with the one before. */
static level shared(const mw_json_writer *writer, const mw_json_item *item)
{
    const mw_json_item *last = &writer->last;
    if (writer->open < LEVEL_RESOURCE || !same(last->resource, item->resource) ||
        !same(last->resource_url, item->resource_url))
        return LEVEL_NONE;
    if (writer->open < LEVEL_SCOPE || !same(last->scope, item->scope) ||
        !same(last->scope_url, item->scope_url))
        return LEVEL_RESOURCE;
    if (writer->open < LEVEL_METRIC || last->kind != item->kind ||
        !same(last->metric, item->metric))
        return LEVEL_SCOPE;
    return LEVEL_METRIC;
}

static mw_err open_levels(mw_json_writer *writer, const mw_json_item *item)
{
    mw_err err = MW_OK;
    close_to(writer, shared(writer, item));
    if (writer->open < LEVEL_RESOURCE) {
        err =
            open_context(writer, resources_of(writer)->message, item->resource, item->resource_url);
        writer->open = LEVEL_RESOURCE;
    }
    if (!err && writer->open < LEVEL_SCOPE) {
        err = open_context(writer, scopes_of(writer)->message, item->scope, item->scope_url);
        writer->open = LEVEL_SCOPE;
    }
    if (!err && writer->kind == MW_JSON_METRICS && writer->open < LEVEL_METRIC) {
        err = open_metric(writer, item);
        writer->open = LEVEL_METRIC;
    }
    return err;
}

/* ---- items --------------------------------------------------------------------------------- */

static mw_err write_item(mw_json_writer *writer, const mw_json_item *item)
{
    const mw_json_field *items =
        writer->kind == MW_JSON_METRICS ? points_of(item->kind) : items_of(writer);
    mw_err err = open_levels(writer, item);
    if (!err)
        err = mw_json_print(&writer->json, items->message, item->bytes, &writer->scratch);
    writer->last = *item;
    return err;
}

void mw_json_writer_init(mw_json_writer *writer, mw_json_kind kind, mw_component component,
                         mw_buffer *out)
{
    writer->kind = kind;
    writer->open = LEVEL_NONE;
    writer->last = (mw_json_item){.kind = MW_METRIC_NONE};
    mw_arena_init(&writer->scratch, component, MW_JSON_SCRATCH_MAX);
    mw_json_init(&writer->json, out);
    mw_json_object_begin(&writer->json);
    begin_list(&writer->json, resources_of(writer));
}

mw_err mw_json_writer_item(mw_json_writer *writer, const mw_json_item *item)
{
    mw_buffer *out = writer->json.out;
    const mw_json before = writer->json;
    const mw_json_item last = writer->last;
    unsigned open = writer->open;
    size_t len = out->len;
    mw_err err = write_item(writer, item);
    mw_arena_reset(&writer->scratch);
    if (err == MW_E_LIMIT && !out->err) {
        writer->json = before;
        writer->last = last;
        writer->open = open;
        out->len = len;
    }
    return out->err ? out->err : err;
}

mw_err mw_json_writer_end(mw_json_writer *writer)
{
    close_to(writer, LEVEL_NONE);
    mw_json_array_end(&writer->json);
    mw_json_object_end(&writer->json);
    mw_arena_reset(&writer->scratch);
    return writer->json.out->err;
}

void mw_json_writer_abandon(mw_json_writer *writer)
{
    mw_arena_reset(&writer->scratch);
}
