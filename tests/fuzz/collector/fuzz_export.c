/* Any bytes as an export of any signal: what reaches the store is whole, and every answer is made.
 *
 * The first byte chooses the signal (its low two bits) and whether the rest is OTLP/JSON (bit 2).
 * Oracles: a row for each kept item, indices inside the tables, slices that can be read to their
 * last byte (under AddressSanitizer), series that are never 0, the same result the second time, and
 * an answer of the right status in each form. Facts of spans are read from kept ones and from any
 * bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/export_int.h"
#include "collector/facts.h"
#include "collector/resolve.h"
#include "proto/attribute_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : abort())
#define RECEIVED_NS UINT64_C(1795246400000000000)

static uint8_t digest_key[MW_DIGEST_KEY_SIZE] = {9};
static mw_export_keys keys = {.digest = digest_key};
static mw_arena arena;
static volatile unsigned touched;

static void touch(mw_slice text)
{
    unsigned sum = 0;
    for (size_t i = 0; i < text.len; i++)
        sum += (unsigned char)text.data[i];
    touched += sum;
}

static void check_row(const mw_store_batch *view, size_t i)
{
    if (view->signal == MW_SIGNAL_TRACES) {
        const mw_span_row *row = &view->rows.spans[i];
        CHECK(!mw_id_is_zero(row->trace_id, 16) && !mw_id_is_zero(row->span_id, 8));
        CHECK(row->service.len > 0 && row->name.len <= MW_RESOLVED_TEXT_MAX);
        touch(row->session_id);
        touch(row->agent);
    } else if (view->signal == MW_SIGNAL_METRICS) {
        const mw_point_row *row = &view->rows.points[i];
        CHECK(row->series != 0 && row->time_ns != 0 && row->name.len > 0 && row->service.len > 0);
        CHECK(row->kind > MW_METRIC_NONE && row->kind < MW_METRIC_KINDS);
        touch(row->session_id);
        touch(row->unit);
    } else {
        const mw_log_row *row = &view->rows.logs[i];
        CHECK(row->time_ns != 0 && row->service.len > 0);
        CHECK(row->severity <= 24 || row->severity == 255);
        touch(row->session_id);
        touch(row->agent);
        touch(row->event_name);
    }
}

/* What is read from a stored span when it is shown. */
static void check_facts(mw_slice span, mw_slice resource, const mw_span_row *row)
{
    mw_facts_place around;
    mw_span_facts facts;
    mw_facts_read(&around, resource, MW_ATTRIBUTES_OF_RESOURCE);
    mw_facts_of_span(span, &around, NULL, row, &arena, &facts);
    const mw_slice texts[] = {facts.provider,     facts.request_model,   facts.response_model,
                              facts.agent_id,     facts.conversation_id, facts.endpoint,
                              facts.environment,  facts.region,          facts.tool,
                              facts.tool_call_id, facts.error_type};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        touch(texts[i]);
    CHECK(facts.error_class <= MW_ERROR_THROTTLE);
    CHECK(facts.cache_read_tokens >= MW_TOKENS_UNKNOWN);
}

static void check_batch(const mw_export_batch *batch)
{
    mw_store_batch view = mw_export_batch_view(batch);
    CHECK(view.item_count == batch->scan.items - batch->scan.refused_total);
    CHECK(batch->odd.mistakes <= batch->odd.count && batch->odd.count <= view.item_count);
    CHECK((batch->odd.mistakes != 0) == (batch->odd.first_path[0] != '\0'));
    for (size_t i = 0; i < view.item_count; i++) {
        const mw_store_item *item = &view.items[i];
        CHECK(item->resource < view.resource_count && item->scope < view.scope_count);
        CHECK(item->metric < view.metric_count ||
              (view.signal != MW_SIGNAL_METRICS && item->metric == 0));
        touch(item->bytes);
        check_row(&view, i);
        if (view.signal == MW_SIGNAL_TRACES)
            check_facts(item->bytes, view.resources[item->resource].bytes, &view.rows.spans[i]);
    }
    for (size_t i = 0; i < view.metric_count; i++)
        touch(view.metrics[i]);
}

static void check_answers(const mw_export_outcome *outcome)
{
    bool good = outcome->err == MW_OK && !mw_export_all_refused(&outcome->scan);
    for (int form = MW_FORM_GRPC; form <= MW_FORM_JSON; form++) {
        mw_response response;
        mw_export_answer(outcome, (mw_answer_form)form, &arena, &response);
        CHECK((response.status == 200) == good && (response.rpc_code == MW_RPC_OK) == good);
        touch(response.body);
        touch(response.rpc_message);
        touch(response.rpc_details);
    }
    mw_export_count(outcome);
}

static void read_twice(mw_export_outcome *outcome, mw_slice body)
{
    mw_export_batch one, two;
    const mw_export_input input = {.signal = outcome->signal,
                                   .body = body,
                                   .keys = &keys,
                                   .received_ns = RECEIVED_NS,
                                   .arena = &arena};
    outcome->err = mw_export_batch_read(&one, &input);
    outcome->scan = one.scan;
    outcome->odd = one.odd;
    if (outcome->err == MW_OK) {
        check_batch(&one);
        CHECK(mw_export_batch_read(&two, &input) == MW_OK);
        CHECK(two.count == one.count && memcmp(one.digest, two.digest, 16) == 0);
        CHECK(two.metrics.count == one.metrics.count);
        mw_export_batch_fini(&two);
    }
    mw_export_batch_fini(&one);
    if (outcome->err != MW_OK || mw_export_all_refused(&outcome->scan))
        outcome->looks_like = mw_export_looks_like(outcome->signal->signal, body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!keys.attributes) {
        keys.attributes = mw_resolve_keyset_new();
        mw_arena_init(&arena, MW_MEM_INGEST, 0);
    }
    if (size == 0)
        return 0;
    mw_signal signal = (mw_signal)(MW_SIGNAL_TRACES + (data[0] & 3) % 3);
    mw_slice body = {(const char *)data + 1, size - 1};
    /* Damage can give it anything. */
    const mw_span_row failed = {.status = 2, .flags = MW_SPAN_EXCEPTION};
    check_facts(body, body, &failed);
    mw_export_outcome outcome = {.signal = mw_export_signal_of(signal)};
    mw_buffer wire = {.data = NULL};
    if (data[0] & 4) {
        outcome.err = mw_export_json(body, 1 << 20, &arena, &wire, &outcome);
        body = mw_buffer_slice(&wire);
    }
    if (outcome.err == MW_OK)
        read_twice(&outcome, body);
    check_answers(&outcome);
    if (data[0] & 4)
        mw_buffer_fini(&wire);
    mw_arena_reset(&arena);
    return 0;
}
