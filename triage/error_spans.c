/* Provider "error spans": the newest failed spans of the alarm's service in the window.
 *
 * Two questions at most to the store's hot columns; pure otherwise. Text of spans is data from
 * outside: cut here, escaped where it is written.
 */
#include "lib/base/buffer.h"
#include "triage/provider_int.h"

/* Newest error spans that are counted by name; beyond it the count by name is of these. */
#define SPANS_READ 200
/* Names in the sentence: the most frequent. */
#define TOP_NAMES 3
/* Bytes of a name or status message in a sentence. */
#define TEXT_SHOWN 160

typedef struct name_count {
    mw_slice name;
    size_t count;
} name_count;

/* At most `max` bytes, whole characters. */
static mw_slice cut(mw_slice text, size_t max)
{
    if (text.len <= max)
        return text;
    while (max > 0 && ((unsigned char)text.data[max] & 0xc0) == 0x80)
        max--;
    return mw_slice_first(text, max);
}

/* At most TEXT_SHOWN bytes of a sender's text for a sentence. printf would end at a NUL and hide
 * what stands behind it: each becomes a blank. Without memory the text is left out. */
static mw_slice shown(mw_findings *out, mw_slice text)
{
    mw_slice part = cut(text, TEXT_SHOWN);
    if (mw_slice_find_byte(part, '\0') == part.len)
        return part;
    char *copy = mw_arena_alloc(out->arena, part.len);
    for (size_t i = 0; copy && i < part.len; i++)
        copy[i] = part.data[i] ? part.data[i] : ' ';
    return (mw_slice){copy, copy ? part.len : 0};
}

/* Without linking an investigation has one alarm; with it the oldest that names a service is the
 * one that opened it. */
static mw_slice service_of(const mw_question *question)
{
    for (size_t i = 0; i < question->alarm_count; i++)
        if (question->alarms[i].service.len)
            return question->alarms[i].service;
    return MW_SLICE("");
}

static mw_span_query query_of(const mw_question *question, mw_slice service)
{
    const mw_investigation_row *row = question->investigation;
    /* `until` is exclusive and the window's end is not. */
    return (mw_span_query){.service = service,
                           .errors_only = true,
                           .since_ns = (uint64_t)row->window_start_ns,
                           .until_ns = (uint64_t)row->window_end_ns + 1,
                           .limit = SPANS_READ};
}

static mw_err add_span(mw_findings *out, const mw_span_row *span)
{
    char trace_id[2 * MW_TRACE_ID_SIZE + 1], span_id[2 * MW_SPAN_ID_SIZE + 1];
    mw_hex_encode(span->trace_id, MW_TRACE_ID_SIZE, trace_id);
    mw_hex_encode(span->span_id, MW_SPAN_ID_SIZE, span_id);
    mw_slice name = shown(out, span->name);
    mw_slice message = shown(out, span->status_message);
    uint64_t took_ns = span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0;
    char *text = mw_arena_printf(out->arena, "%.*s failed after %llu.%03llu ms%s%.*s",
                                 MW_SLICE_FMT(name), (unsigned long long)(took_ns / 1000000),
                                 (unsigned long long)(took_ns / 1000 % 1000),
                                 message.len ? ": " : "", MW_SLICE_FMT(message));
    char *query = mw_arena_printf(out->arena, "midwatch trace show %s", trace_id);
    mw_evidence *evidence = &out->evidence[out->evidence_count];
    *evidence = (mw_evidence){.kind = "span",
                              .service = span->service,
                              .start_ns = span->start_ns,
                              .end_ns = span->end_ns,
                              .trace_id = mw_arena_copy(out->arena, mw_slice_of(trace_id)),
                              .span_id = mw_arena_copy(out->arena, mw_slice_of(span_id))};
    if (!text || !query || !evidence->trace_id.data || !evidence->span_id.data)
        return MW_E_NOMEM;
    evidence->text = mw_slice_of(text);
    evidence->query = mw_slice_of(query);
    out->evidence_count++;
    return MW_OK;
}

/* Counts by name; at most SPANS_READ entries. */
static size_t count_names(const mw_span_list *list, name_count *counts)
{
    size_t known = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t at = 0;
        while (at < known && !mw_slice_equal(counts[at].name, list->items[i].name))
            at++;
        if (at == known)
            counts[known++] = (name_count){list->items[i].name, 0};
        counts[at].count++;
    }
    return known;
}

static int by_count(const void *a, const void *b)
{
    const name_count *left = a, *right = b;
    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return mw_slice_compare(left->name, right->name); /* the same text on every run */
}

static mw_err write_sentence(mw_findings *out, mw_slice service, const mw_span_list *list)
{
    name_count counts[SPANS_READ];
    mw_buffer buffer;
    size_t known = count_names(list, counts);
    qsort(counts, known, sizeof counts[0], by_count);
    mw_buffer_init(&buffer, MW_MEM_QUERY, 4096);
    mw_slice whose = shown(out, service);
    mw_buffer_appendf(&buffer, "%llu error span%s of %.*s in the window",
                      (unsigned long long)list->matched, list->matched == 1 ? "" : "s",
                      MW_SLICE_FMT(whose));
    if (list->matched > list->count)
        mw_buffer_appendf(&buffer, " (names of the newest %zu)", list->count);
    for (size_t i = 0; i < known && i < TOP_NAMES; i++) {
        mw_slice name = shown(out, counts[i].name);
        mw_buffer_appendf(&buffer, "%s %.*s (%zu)", i ? "," : ":", MW_SLICE_FMT(name),
                          counts[i].count);
    }
    if (known > TOP_NAMES)
        mw_buffer_appendf(&buffer, ", and %zu more names", known - TOP_NAMES);
    mw_err err = buffer.err;
    if (err == MW_OK) {
        out->text = mw_arena_copy(out->arena, mw_buffer_slice(&buffer));
        err = out->text.data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(&buffer);
    return err;
}

/* Nothing failed: was there anything at all? */
static mw_err explain_nothing(mw_store_view *view, mw_span_query query, mw_findings *out)
{
    mw_span_list list;
    mw_slice whose = shown(out, query.service);
    query.errors_only = false;
    query.limit = 1;
    mw_err err = mw_store_span_search(view, &query, out->arena, &list);
    if (err != MW_OK)
        return err;
    if (list.matched == 0)
        return mw_findings_gap(out, MW_GAP_NO_TELEMETRY, "no span of %.*s lies in the window",
                               MW_SLICE_FMT(whose));
    return mw_findings_gap(out, MW_GAP_NO_ERRORS,
                           "%llu spans of %.*s lie in the window and none has failed",
                           (unsigned long long)list.matched, MW_SLICE_FMT(whose));
}

static mw_err collect(mw_store_view *view, const mw_question *question, mw_findings *out)
{
    mw_span_list list;
    mw_slice service = service_of(question);
    if (!service.len)
        return mw_findings_gap(out, MW_GAP_NO_SERVICE,
                               "the alarm names no service, so no spans could be chosen");
    mw_span_query query = query_of(question, service);
    mw_err err = mw_store_span_search(view, &query, out->arena, &list);
    if (err != MW_OK)
        return err;
    if (list.count == 0)
        return explain_nothing(view, query, out);
    MW_ASSERT(list.count <= SPANS_READ);
    for (size_t i = 0; i < list.count && i < MW_EVIDENCE_MAX && err == MW_OK; i++)
        err = add_span(out, &list.items[i]);
    return err == MW_OK ? write_sentence(out, service, &list) : err;
}

const mw_provider mw_provider_error_spans = {.name = "error_spans", .collect = collect};
