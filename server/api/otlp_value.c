/* Writes AnyValue trees iteratively. */
#include <stdlib.h>

#include "server/api/otlp_value.h"

#define CASE(name) OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_##name

/* One open array or map. */
typedef struct level {
    mw_otlp_value *const *values;    /* of an array */
    mw_otlp_key_value *const *items; /* of a map */
    const uint8_t *shadowed;         /* of a map: this key comes again later; NULL = none does */
    size_t count, next;
    bool is_map;
} level;

typedef struct walk {
    mw_json *json;
    mw_arena *scratch;
    level levels[MW_VALUE_LEVELS_MAX];
    size_t depth;
} walk;

/* Attribute lists of this size are compared pair by pair; larger ones are sorted. */
#define PAIRWISE_MAX 24

static void mark_pairwise(mw_otlp_key_value *const *items, size_t count, uint8_t *shadowed)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count && !shadowed[i]; j++)
            shadowed[i] =
                mw_slice_equal(mw_unpack_slice(items[i]->key), mw_unpack_slice(items[j]->key));
}

typedef struct sort_entry {
    mw_slice key;
    size_t index;
} sort_entry;

static int compare_entries(const void *a, const void *b)
{
    const sort_entry *left = a, *right = b;
    int order = mw_slice_compare(left->key, right->key);
    if (order)
        return order;
    return left->index < right->index ? -1 : left->index > right->index;
}

static bool mark_sorted(mw_otlp_key_value *const *items, size_t count, uint8_t *shadowed,
                        mw_arena *scratch)
{
    sort_entry *entries = mw_arena_zalloc(scratch, count, sizeof *entries);
    if (!entries)
        return false;
    for (size_t i = 0; i < count; i++)
        entries[i] = (sort_entry){mw_unpack_slice(items[i]->key), i};
    qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 0; i + 1 < count; i++)
        if (mw_slice_equal(entries[i].key, entries[i + 1].key))
            shadowed[entries[i].index] = 1;
    return true;
}

/* False when there is no memory to find out. */
static bool find_shadowed(mw_otlp_key_value *const *items, size_t count, mw_arena *scratch,
                          const uint8_t **out)
{
    *out = NULL;
    if (count < 2)
        return true;
    uint8_t *shadowed = mw_arena_zalloc(scratch, count, 1);
    if (!shadowed)
        return false;
    *out = shadowed;
    if (count > PAIRWISE_MAX)
        return mark_sorted(items, count, shadowed, scratch);
    mark_pairwise(items, count, shadowed);
    return true;
}

static void open_map(walk *state, mw_otlp_key_value *const *items, size_t count)
{
    level next = {.items = items, .count = count, .is_map = true};
    if (state->depth == MW_VALUE_LEVELS_MAX) {
        mw_json_null(state->json);
        return;
    }
    if (!find_shadowed(items, count, state->scratch, &next.shadowed)) {
        state->json->out->err = MW_E_NOMEM;
        next.count = 0;
    }
    mw_json_object_begin(state->json);
    state->levels[state->depth++] = next;
}

static void open_array(walk *state, mw_otlp_value *const *values, size_t count)
{
    if (state->depth == MW_VALUE_LEVELS_MAX) {
        mw_json_null(state->json);
        return;
    }
    mw_json_array_begin(state->json);
    state->levels[state->depth++] = (level){.values = values, .count = count};
}

static void write_value(walk *state, const mw_otlp_value *value)
{
    mw_json *json = state->json;
    switch (value ? value->value_case : CASE(_NOT_SET)) {
    case CASE(STRING_VALUE): mw_json_string(json, mw_unpack_slice(value->string_value)); break;
    case CASE(BOOL_VALUE): mw_json_bool(json, value->bool_value != 0); break;
    case CASE(INT_VALUE): mw_json_i64(json, value->int_value); break;
    case CASE(DOUBLE_VALUE): mw_json_double(json, value->double_value); break;
    case CASE(ARRAY_VALUE):
        open_array(state, value->array_value ? value->array_value->values : NULL,
                   value->array_value ? value->array_value->n_values : 0);
        break;
    case CASE(KVLIST_VALUE):
        open_map(state, value->kvlist_value ? value->kvlist_value->values : NULL,
                 value->kvlist_value ? value->kvlist_value->n_values : 0);
        break;
    case CASE(BYTES_VALUE): mw_json_bytes_base64(json, mw_unpack_slice(value->bytes_value)); break;
    default: mw_json_null(json); break;
    }
}

/* Closes the top level when it is done, else writes its next member. */
static void step(walk *state)
{
    level *top = &state->levels[state->depth - 1];
    if (top->next == top->count) {
        if (top->is_map)
            mw_json_object_end(state->json);
        else
            mw_json_array_end(state->json);
        state->depth--;
        return;
    }
    size_t i = top->next++;
    if (!top->is_map) {
        write_value(state, top->values[i]);
        return;
    }
    if (top->shadowed && top->shadowed[i])
        return;
    mw_json_key(state->json, mw_unpack_slice(top->items[i]->key));
    write_value(state, top->items[i]->value);
}

void mw_json_attributes(mw_json *json, mw_otlp_key_value *const *items, size_t count,
                        mw_arena *scratch)
{
    walk state = {.json = json, .scratch = scratch};
    open_map(&state, items, count);
    while (state.depth)
        step(&state);
}

void mw_json_any_value(mw_json *json, const mw_otlp_value *value, mw_arena *scratch)
{
    walk state = {.json = json, .scratch = scratch};
    write_value(&state, value);
    while (state.depth)
        step(&state);
}
