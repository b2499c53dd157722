/* Pages of items as OTLP/JSON. See otlp_answer.h. */
#include "server/api/otlp_answer.h"

mw_err mw_api_format(mw_api_call *call, bool *otlp)
{
    mw_slice text;
    mw_err err = mw_api_filter(call, "format", &text);
    *otlp = mw_slice_equal(text, MW_SLICE("otlp"));
    if (err || !text.data || *otlp || mw_slice_equal(text, MW_SLICE("json")))
        return err;
    return mw_detail_set(&call->detail, MW_E_INVALID, "format", "use otlp, or leave it out",
                         "neither otlp nor json");
}

/* ---- items --------------------------------------------------------------------------------- */

mw_err mw_otlp_answer_init(mw_otlp_answer *answer, mw_api_call *call, mw_json_kind kind,
                           size_t count)
{
    *answer = (mw_otlp_answer){.call = call, .kind = kind};
    MW_ASSERT(count < UINT32_MAX);
    answer->entries = mw_arena_alloc(&call->arena, (count + 1) * sizeof *answer->entries);
    return answer->entries ? MW_OK : MW_E_NOMEM;
}

/* An item without its bytes or what it stands under is not what was sent. `missing` is how many
 * bytes that are. */
static void add(mw_otlp_answer *answer, const mw_otlp_entry *entry, uint64_t missing)
{
    if (!missing) {
        answer->entries[answer->count++] = *entry;
        return;
    }
    if (!answer->left_out++)
        answer->before_large = answer->count;
    answer->large_bytes += missing;
}

static mw_json_item item_under(const mw_store_context *resource, const mw_store_context *scope,
                               mw_slice bytes)
{
    return (mw_json_item){.resource = resource->bytes,
                          .resource_url = resource->schema_url,
                          .scope = scope->bytes,
                          .scope_url = scope->schema_url,
                          .bytes = bytes};
}

static uint64_t missing_of(const mw_store_context *resource, const mw_store_context *scope)
{
    return (uint64_t)resource->oversized + scope->oversized;
}

void mw_otlp_answer_span(mw_otlp_answer *answer, const mw_trace_span *span)
{
    const mw_otlp_entry entry = {.item = item_under(&span->resource, &span->scope, span->bytes),
                                 .commit_seq = span->commit_seq,
                                 .index = span->index};
    add(answer, &entry, span->oversized + missing_of(&span->resource, &span->scope));
}

void mw_otlp_answer_log(mw_otlp_answer *answer, const mw_log_record *record)
{
    const mw_otlp_entry entry = {.item =
                                     item_under(&record->resource, &record->scope, record->bytes),
                                 .commit_seq = record->commit_seq,
                                 .index = record->index};
    add(answer, &entry, record->oversized + missing_of(&record->resource, &record->scope));
}

void mw_otlp_answer_point(mw_otlp_answer *answer, const mw_series_point *point)
{
    mw_otlp_entry entry = {.item = item_under(&point->resource, &point->scope, point->bytes),
                           .commit_seq = point->commit_seq,
                           .index = point->index};
    entry.item.metric = point->head;
    entry.item.kind = (mw_metric_kind)point->row.kind;
    add(answer, &entry,
        (uint64_t)point->oversized + point->head_oversized +
            missing_of(&point->resource, &point->scope));
}

/* ---- order --------------------------------------------------------------------------------- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int as_sent(const void *left, const void *right)
{
    const mw_otlp_entry *a = left, *b = right;
    int order = compare_numbers(a->commit_seq, b->commit_seq);
    return order ? order : compare_numbers(a->index, b->index);
}

/* Of one block they lie at the same place. */
static int compare_bytes(mw_slice a, mw_slice b)
{
    if (a.len == b.len && a.data == b.data)
        return 0;
    return mw_slice_compare(a, b);
}

static int compare_resources(const mw_json_item *a, const mw_json_item *b)
{
    int order = compare_bytes(a->resource, b->resource);
    return order ? order : compare_bytes(a->resource_url, b->resource_url);
}

static int compare_scopes(const mw_json_item *a, const mw_json_item *b)
{
    int order = compare_bytes(a->scope, b->scope);
    return order ? order : compare_bytes(a->scope_url, b->scope_url);
}

static int compare_metrics(const mw_json_item *a, const mw_json_item *b)
{
    int order = compare_numbers(a->kind, b->kind);
    return order ? order : compare_bytes(a->metric, b->metric);
}

/* What shares resource, scope and metric side by side. */
static int by_content(const void *left, const void *right)
{
    const mw_otlp_entry *a = left, *b = right;
    int order = compare_resources(&a->item, &b->item);
    if (!order)
        order = compare_scopes(&a->item, &b->item);
    if (!order)
        order = compare_metrics(&a->item, &b->item);
    return order ? order : compare_numbers(a->place, b->place);
}

static int by_groups(const void *left, const void *right)
{
    const mw_otlp_entry *a = left, *b = right;
    int order = compare_numbers(a->resource, b->resource);
    if (!order)
        order = compare_numbers(a->scope, b->scope);
    if (!order)
        order = compare_numbers(a->metric, b->metric);
    return order ? order : compare_numbers(a->place, b->place);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Each group takes the place of its first: entries lie by content, so that groups are runs, seen
 * once from each end. */
static void number_groups(mw_otlp_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mw_otlp_entry *entry = &entries[i], *last = i ? &entries[i - 1] : NULL;
        bool resource = last && compare_resources(&last->item, &entry->item) == 0;
        bool scope = resource && compare_scopes(&last->item, &entry->item) == 0;
        bool metric = scope && compare_metrics(&last->item, &entry->item) == 0;
        entry->resource = resource ? least(last->resource, entry->place) : entry->place;
        entry->scope = scope ? least(last->scope, entry->place) : entry->place;
        entry->metric = metric ? last->metric : entry->place;
    }
    for (size_t i = count; i-- > 1;) {
        mw_otlp_entry *entry = &entries[i], *last = &entries[i - 1];
        if (compare_resources(&last->item, &entry->item) != 0)
            continue;
        last->resource = entry->resource;
        if (compare_scopes(&last->item, &entry->item) == 0)
            last->scope = entry->scope;
    }
}

static void arrange(mw_otlp_answer *answer)
{
    mw_otlp_entry *entries = answer->entries;
    if (answer->count < 2)
        return;
    qsort(entries, answer->count, sizeof *entries, as_sent);
    for (size_t i = 0; i < answer->count; i++)
        entries[i].place = (uint32_t)i;
    qsort(entries, answer->count, sizeof *entries, by_content);
    number_groups(entries, answer->count);
    qsort(entries, answer->count, sizeof *entries, by_groups);
}

/* ---- the answer ---------------------------------------------------------------------------- */

static mw_err write_items(mw_otlp_answer *answer)
{
    mw_json_writer writer;
    mw_err err = MW_OK;
    mw_json_writer_init(&writer, answer->kind, MW_MEM_QUERY, &answer->call->text);
    for (size_t i = 0; i < answer->count && !err; i++) {
        err = mw_json_writer_item(&writer, &answer->entries[i].item);
        if (err != MW_E_LIMIT || answer->call->text.err)
            continue;
        answer->left_out++;
        err = MW_OK;
    }
    if (!err)
        return mw_json_writer_end(&writer);
    mw_json_writer_abandon(&writer);
    /* It was let in as what it is no more. */
    return err == MW_E_INVALID ? MW_E_CORRUPT : mw_stored_error(err);
}

static mw_err write_answer(mw_otlp_answer *answer)
{
    mw_api_call *call = answer->call;
    arrange(answer);
    uint64_t items = answer->count + answer->left_out;
    mw_err err = write_items(answer);
    if (!err)
        err = mw_api_header_u64(call, MW_SLICE("x-midwatch-items"), items - answer->left_out);
    if (!err && answer->next_cursor.len)
        err = mw_api_header(call, MW_SLICE("x-midwatch-next-cursor"), answer->next_cursor);
    if (!err && answer->left_out)
        err = mw_api_header_u64(call, MW_SLICE("x-midwatch-left-out"), answer->left_out);
    if (!err && call->damaged)
        err = mw_api_header_u64(call, MW_SLICE("x-midwatch-damaged-blocks"), call->damaged);
    if (!err && mw_api_lost_segments(call))
        err = mw_api_header_u64(call, MW_SLICE("x-midwatch-lost-segments"),
                                mw_api_lost_segments(call));
    if (!err && answer->undecided)
        err = mw_api_header_u64(call, MW_SLICE("x-midwatch-pattern-undecided"), answer->undecided);
    return err;
}

/* ---- pages --------------------------------------------------------------------------------- */

/* A request has at most 64 MiB, of which JSON may need six times as many bytes; the memory that
 * questions have is the narrower bound. */
#define LARGE_TEXT_MAX ((size_t)400 << 20)

/* Is it the item that is too large for this daemon, and not others that had the memory (`before`
 * bytes of it) already? Who is told to come back finds them gone. */
static bool is_too_large(mw_err err, size_t before)
{
    return err == MW_E_LIMIT || (err == MW_E_NOMEM && before < mw_memory_query_share() / 2);
}

/* With a text of its own: the usual one is bounded for many answers at a time. */
static mw_err try_whole(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                        const mw_otlp_source *source)
{
    mw_otlp_answer answer;
    call->text.max = LARGE_TEXT_MAX;
    mw_store_view_whole(view, true);
    mw_err err = source->read(call, view, bounds, source->query, &answer);
    mw_store_view_whole(view, false);
    return err ? err : write_answer(&answer);
}

/* What is too long by itself, as long as there is room for it and its text. */
static mw_err write_large(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                          const mw_otlp_source *source, uint64_t large_bytes)
{
    mw_otlp_answer answer;
    size_t max = call->text.max;
    mw_err err = MW_E_LIMIT;
    mw_api_try_again(call);
    size_t before = mw_memory_component_used(MW_MEM_QUERY);
    if (large_bytes < mw_memory_query_share() / 2)
        err = try_whole(call, view, bounds, source);
    if (!err)
        return MW_OK;
    mw_buffer_fini(&call->text);
    call->text.max = max;
    if (!is_too_large(err, before))
        return err;
    mw_api_try_again(call);
    err = source->read(call, view, bounds, source->query, &answer);
    return err ? err : write_answer(&answer);
}

mw_err mw_otlp_page(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                    const mw_otlp_source *source, size_t *smaller)
{
    mw_store_page page = *bounds;
    mw_otlp_answer answer;
    for (;;) {
        *smaller = page.limit / 2;
        mw_err err = source->read(call, view, &page, source->query, &answer);
        if (err)
            return err;
        if (!answer.left_out)
            return write_answer(&answer);
        if (page.limit == 1 || source->indivisible)
            return write_large(call, view, &page, source, answer.large_bytes);
        /* Those before it are a page; then it comes first, and is one. */
        page.limit = answer.before_large ? answer.before_large : 1;
        mw_api_try_again(call);
    }
}
