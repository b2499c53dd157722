/* Query parameters of the API: which a route takes, pages, filters, ids. Pool threads. */
#include "server/api/api_int.h"

/* The page's own four, the filters of the route with the most, and the space. */
#define PARAMETERS_MAX 24
/* The one parameter that may be given more than once: each narrows further. */
#define ATTRIBUTE MW_SLICE("attribute")

const char *const mw_api_page_names[] = {"limit", "cursor", "since", "until", NULL};

static size_t occurrences(mw_slice query, mw_slice name)
{
    size_t count = 0;
    mw_slice pair;
    while (mw_slice_split(&query, '&', &pair))
        count +=
            pair.len && mw_slice_equal(mw_slice_first(pair, mw_slice_find_byte(pair, '=')), name);
    return count;
}

static mw_err refuse_unknown(mw_api_call *call, mw_slice unknown, const mw_slice *names,
                             size_t count)
{
    char field[sizeof call->detail.field], hint[sizeof call->detail.hint];
    size_t used = (size_t)snprintf(hint, sizeof hint, count ? "it takes" : "this path takes none");
    for (size_t i = 0; i < count && used < sizeof hint; i++)
        used += (size_t)snprintf(hint + used, sizeof hint - used, "%s %.*s", i ? "," : "",
                                 MW_SLICE_FMT(names[i]));
    mw_slice_to_cstr(mw_slice_first(unknown, sizeof field - 1), field, sizeof field);
    return mw_detail_set(&call->detail, MW_E_INVALID, field, hint,
                         "there is no parameter of that name");
}

/* An escape that is none would be searched for as it stands, which nobody means. The names are
 * known: they hold no escapes. */
static mw_err check_escapes(mw_api_call *call)
{
    mw_slice rest = call->request->query, pair;
    while (mw_slice_split(&rest, '&', &pair))
        for (size_t i = 0; i < pair.len; i++) {
            char field[sizeof call->detail.field];
            if (pair.data[i] != '%')
                continue;
            if (pair.len - i > 2 && mw_is_hex((mw_slice){pair.data + i + 1, 2})) {
                i += 2;
                continue;
            }
            mw_slice name = mw_slice_first(pair, mw_slice_find_byte(pair, '='));
            mw_slice_to_cstr(name, field, sizeof field);
            return mw_detail_set(&call->detail, MW_E_INVALID, field,
                                 "write a percent sign itself as %25",
                                 "a %% is not followed by two hexadecimal digits");
        }
    return MW_OK;
}

/* Of two values one would be passed over in silence, so a repeated name is refused too, but where
 * all of them count. */
static mw_err check_names(mw_api_call *call, const mw_slice *names, size_t count)
{
    mw_slice unknown = MW_SLICE_NONE;
    if (!mw_request_query_known(call->request, names, count, &unknown))
        return refuse_unknown(call, unknown, names, count);
    for (size_t i = 0; i < count; i++) {
        char field[sizeof call->detail.field];
        if (occurrences(call->request->query, names[i]) < 2 || mw_slice_equal(names[i], ATTRIBUTE))
            continue;
        mw_slice_to_cstr(names[i], field, sizeof field);
        return mw_detail_set(&call->detail, MW_E_INVALID, field, "give it once",
                             "given more than once");
    }
    return check_escapes(call);
}

/* Names that the call may have: `count` of them are there already. */
static size_t add_names(const mw_api_call *call, const char *const *more, mw_slice *names,
                        size_t count)
{
    for (; more && *more; more++) {
        MW_ASSERT(count < PARAMETERS_MAX);
        names[count++] = mw_slice_of(*more);
    }
    if (call->entry->scans) {
        MW_ASSERT(count < PARAMETERS_MAX);
        names[count++] = MW_SLICE(MW_SPACE_PARAMETER);
    }
    return count;
}

mw_err mw_api_no_parameters(mw_api_call *call)
{
    const mw_slice space = MW_SLICE(MW_SPACE_PARAMETER);
    return check_names(call, &space, call->entry->scans ? 1 : 0);
}

mw_err mw_api_check_filters(mw_api_call *call)
{
    mw_slice names[PARAMETERS_MAX];
    return check_names(call, names, add_names(call, call->entry->filters, names, 0));
}

/* data NULL when absent. */
static mw_err read_value(mw_api_call *call, const char *name, mw_slice *out)
{
    *out = mw_request_query(call->request, mw_slice_of(name));
    /* A filter that is lost for want of memory would answer another question. */
    if (!out->data && occurrences(call->request->query, mw_slice_of(name)))
        return MW_E_NOMEM;
    return MW_OK;
}

mw_err mw_api_filter(mw_api_call *call, const char *name, mw_slice *out)
{
    mw_err err = read_value(call, name, out);
    if (!err && out->data && out->len == 0)
        return mw_detail_set(&call->detail, MW_E_INVALID, name,
                             strcmp(name, MW_SPACE_PARAMETER)
                                 ? "leave it out to match all"
                                 : "leave it out to ask " MW_SPACE_DEFAULT,
                             "empty");
    return err;
}

bool mw_api_asks_pattern(const mw_api_call *call)
{
    return occurrences(call->request->query, MW_SLICE("pattern")) > 0;
}

mw_err mw_api_switch(mw_api_call *call, const char *name, bool *out)
{
    mw_slice text;
    mw_err err = mw_api_filter(call, name, &text);
    *out = mw_slice_equal(text, MW_SLICE("true"));
    if (err || !text.data || *out || mw_slice_equal(text, MW_SLICE("false")))
        return err;
    return mw_detail_set(&call->detail, MW_E_INVALID, name, "use true, or leave it out",
                         "neither true nor false");
}

/* "key=value"; the value may be empty, and hold "=" itself. */
static mw_err split_attribute(mw_api_call *call, mw_slice text, mw_attribute_query *out)
{
    size_t equals = mw_slice_find_byte(text, '=');
    if (equals == 0 || equals == text.len)
        return mw_detail_set(&call->detail, MW_E_INVALID, "attribute",
                             "for example attribute=http.route=/orders",
                             "not a key and a value with = between them");
    *out = (mw_attribute_query){mw_slice_first(text, equals), mw_slice_from(text, equals + 1)};
    return MW_OK;
}

/* The query is shown to lib/net one pair at a time: it decodes the first of a name. */
mw_err mw_api_attributes(mw_api_call *call, const mw_attribute_query **out, size_t *count)
{
    mw_request *request = call->request;
    mw_slice whole = request->query, rest = whole, pair;
    mw_err err = MW_OK;

    *count = 0;
    if (occurrences(whole, ATTRIBUTE) > MW_ATTRIBUTE_QUERIES_MAX)
        return mw_detail_set(&call->detail, MW_E_INVALID, "attribute", "give fewer",
                             "given more than %d times", MW_ATTRIBUTE_QUERIES_MAX);
    mw_attribute_query *queries =
        mw_arena_zalloc(&request->arena, MW_ATTRIBUTE_QUERIES_MAX, sizeof *queries);
    if (!queries)
        return MW_E_NOMEM;
    while (!err && mw_slice_split(&rest, '&', &pair)) {
        mw_slice text;
        request->query = pair;
        err = read_value(call, "attribute", &text);
        if (!err && text.data)
            err = split_attribute(call, text, &queries[(*count)++]);
    }
    request->query = whole;
    *out = queries;
    return err;
}

static mw_err read_limit(mw_api_call *call, size_t *limit)
{
    mw_slice text;
    uint64_t value = MW_API_LIMIT_DEFAULT;
    mw_err err = read_value(call, "limit", &text);
    if (err)
        return err;
    if (text.data && (mw_slice_u64(text, &value) || value < 1 || value > MW_API_LIMIT_MAX))
        return mw_detail_set(&call->detail, MW_E_INVALID, "limit", "use 1 to 1000",
                             "not a number from 1 to %d", MW_API_LIMIT_MAX);
    *limit = (size_t)value;
    return MW_OK;
}

static mw_err read_time(mw_api_call *call, const char *name, uint64_t *out)
{
    mw_slice text;
    int64_t ns = 0;
    mw_err err = read_value(call, name, &text);
    if (err || !text.data)
        return err;
    if (mw_time_point_parse(text, mw_clock_wall_ns(call->server->clock), &ns))
        return mw_detail_set(&call->detail, MW_E_INVALID, name,
                             "for example 2026-03-14T09:26:53Z, 2026-03-14, an age such as 15m, 2h "
                             "or 3d, or unix time: 1773480413 (s), 1773480413000 (ms), "
                             "1773480413000000000 (ns)",
                             "not a point in time");
    /* 0 means unbounded; the first nanosecond of 1970 is as good. */
    *out = ns ? (uint64_t)ns : 1;
    return MW_OK;
}

static mw_err check_order(mw_api_call *call, uint64_t since_ns, uint64_t until_ns)
{
    if (!since_ns || !until_ns || since_ns <= until_ns)
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "since",
                         "give an earlier since or a later until",
                         "since is later than until, so nothing can be between them");
}

mw_err mw_api_window_read(mw_api_call *call, uint64_t *since_ns, uint64_t *until_ns)
{
    *since_ns = *until_ns = 0;
    mw_err err = mw_api_check_filters(call);
    if (!err)
        err = read_time(call, "since", since_ns);
    if (!err)
        err = read_time(call, "until", until_ns);
    return err ? err : check_order(call, *since_ns, *until_ns);
}

mw_err mw_api_page_read(mw_api_call *call, const char *const *filters, mw_api_page *out)
{
    mw_slice names[PARAMETERS_MAX];
    size_t count = 0;
    *out = (mw_api_page){.cursor = MW_SLICE_NONE};
    for (; mw_api_page_names[count]; count++)
        names[count] = mw_slice_of(mw_api_page_names[count]);
    count = add_names(call, filters, names, count);
    mw_err err = check_names(call, names, count);
    if (!err)
        err = read_value(call, "cursor", &out->cursor);
    if (!err)
        err = read_limit(call, &out->limit);
    if (!err)
        err = read_time(call, "since", &out->since_ns);
    if (!err)
        err = read_time(call, "until", &out->until_ns);
    return err ? err : check_order(call, out->since_ns, out->until_ns);
}

mw_err mw_api_hex_id(mw_api_call *call, mw_slice text, mw_slice *id)
{
    *id = text;
    if (id->len >= MW_ID_PREFIX_MIN && id->len <= MW_ID_TEXT_SIZE - 1 && mw_is_hex(*id))
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "id",
                         "give the id, or at least its first 6 digits",
                         "an id is 6 to 32 hexadecimal digits");
}

mw_err mw_api_cursor_error(mw_api_call *call, mw_err err)
{
    if (err != MW_E_SYNTAX)
        return err;
    return mw_detail_set(&call->detail, MW_E_INVALID, "cursor",
                         "use next_cursor of the page before, with the same bounds and filters",
                         "not a cursor of this list");
}
