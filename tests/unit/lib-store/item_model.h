/* Spans and log records with real OTLP messages, in random batches, and what a naive model knows of
 * them: columns, attributes of item, scope and resource, the body's text.
 *
 * Resources and scopes are several a batch. Used by the tests of what is asked of items.
 */
#ifndef MW_TEST_ITEM_MODEL_H
#define MW_TEST_ITEM_MODEL_H

#include "tests/unit/lib-store/attribute_model.h"

#define MODEL_ATTRIBUTES_MAX 6
#define MODEL_CONTEXTS 3

typedef struct model_holder {
    model_attribute attributes[MODEL_ATTRIBUTES_MAX];
    size_t count;
    otlp_writer message;
} model_holder;

typedef struct model_item {
    uint64_t trace, span, start, duration;
    int service, session, name, agent, status, severity; /* 0 = none, else the name's number */
    model_holder own;
    model_holder *resource, *scope; /* of its batch */
    char body[48];
    uint64_t seq;
    uint32_t row;
} model_item;

typedef struct model_items {
    mw_signal signal;
    model_item *items;
    size_t count;
    model_holder *contexts;
    size_t context_count;
} model_items;

static const char *const model_bodies[] = {"Alpha reached", "beta refused: 42", "GAMMA",
                                           "alphabet refused", "x"};

static inline void model_holder_fill(model_holder *holder, uint32_t number, test_random *random)
{
    holder->count = random_below(random, MODEL_ATTRIBUTES_MAX);
    for (size_t i = 0; i < holder->count; i++)
        model_attribute_put(&holder->message, number, random, &holder->attributes[i]);
}

static inline bool item_holds(const model_item *item, const char *key, const char *text)
{
    const model_holder *holders[] = {&item->own, item->resource, item->scope};
    for (size_t i = 0; i < 3; i++)
        if (model_holds(holders[i]->attributes, holders[i]->count, key, text))
            return true;
    return false;
}

static inline mw_slice model_message(const model_holder *holder)
{
    return mw_slice_bytes(holder->message.data, holder->message.len);
}

static inline mw_slice model_name(test_batch *batch, const char *kind, int number)
{
    return number ? test_format(batch, kind, (uint64_t)number) : MW_SLICE_NONE;
}

static inline void model_to_row(test_batch *batch, size_t at, const model_item *item)
{
    mw_slice service = model_name(batch, "service-", item->service);
    mw_slice session = model_name(batch, "session-", item->session);
    mw_slice name = model_name(batch, "name-", item->name);
    mw_slice agent = model_name(batch, "agent-", item->agent);
    if (batch->spans) {
        mw_span_row *row = &batch->spans[at];
        trace_id_of(row->trace_id, item->trace);
        put_id(row->span_id, 8, item->span);
        row->start_ns = item->start;
        row->end_ns = item->start + item->duration;
        row->status = (uint8_t)item->status;
        row->service = service, row->session_id = session;
        row->name = name, row->agent = agent;
    } else {
        mw_log_row *row = &batch->logs[at];
        row->time_ns = item->start;
        row->severity = (uint8_t)item->severity;
        row->service = service, row->session_id = session;
        row->event_name = name, row->agent = agent;
    }
    batch->items[at].bytes = model_message(&item->own);
}

static inline void model_random_item(const model_items *all, model_item *item, uint64_t base,
                                     test_random *random)
{
    otlp_writer body = {0};
    *item = (model_item){.trace = random_below(random, 40),
                         .span = 1 + random_below(random, UINT64_C(1) << 40),
                         .start = 1000 + base + random_below(random, 60),
                         .duration = random_below(random, 100),
                         .service = (int)random_below(random, 4),
                         .session = (int)random_below(random, 6),
                         .name = (int)random_below(random, 5),
                         .agent = (int)random_below(random, 3),
                         .status = (int)random_below(random, 3),
                         .severity = (int)random_below(random, 25)};
    if (random_below(random, 20) == 0)
        item->duration = UINT64_MAX - random_below(random, 500); /* ends before it starts */
    model_holder_fill(&item->own, all->signal == MW_SIGNAL_LOGS ? 6 : 9, random);
    snprintf(item->body, sizeof item->body, "%s %llu", model_bodies[random_below(random, 5)],
             (unsigned long long)random_below(random, 30));
    if (all->signal != MW_SIGNAL_LOGS)
        return;
    put_text(&body, 1, item->body);
    put_bytes(&item->own.message, 5, body.data, body.len);
    free(body.data);
}

/* A batch's contexts: so many resources, then as many scopes. */
static inline model_holder *model_add_contexts(model_items *all, test_batch *batch,
                                               test_random *random)
{
    model_holder *first = &all->contexts[all->context_count];
    free(batch->contexts);
    batch->contexts = calloc(2 * MODEL_CONTEXTS, sizeof *batch->contexts);
    for (size_t i = 0; i < 2 * MODEL_CONTEXTS; i++) {
        memset(&first[i], 0, sizeof first[i]);
        if (i >= MODEL_CONTEXTS)
            put_text(&first[i].message, 1, "a name of a scope");
        model_holder_fill(&first[i], i < MODEL_CONTEXTS ? 1 : 3, random);
        batch->contexts[i].bytes = model_message(&first[i]);
    }
    all->context_count += 2 * MODEL_CONTEXTS;
    batch->batch.resources = batch->contexts;
    batch->batch.scopes = batch->contexts + MODEL_CONTEXTS;
    batch->batch.resource_count = batch->batch.scope_count = MODEL_CONTEXTS;
    return first;
}

/* `repeats`: one in so many items has ids and start of an earlier one; 0 = none. */
static inline void model_append(mw_store *store, model_items *all, size_t count, uint64_t base,
                                uint64_t repeats, test_random *random)
{
    test_batch batch;
    uint64_t seq = 0;
    test_batch_init_of(&batch, all->signal, count);
    model_holder *contexts = model_add_contexts(all, &batch, random);
    for (size_t i = 0; i < count; i++) {
        model_item *item = &all->items[all->count + i];
        model_random_item(all, item, base, random);
        if (repeats && all->count && random_below(random, repeats) == 0) {
            const model_item *like = &all->items[random_below(random, all->count)];
            item->trace = like->trace, item->span = like->span, item->start = like->start;
        }
        batch.items[i].resource = (uint32_t)random_below(random, MODEL_CONTEXTS);
        batch.items[i].scope = (uint32_t)random_below(random, MODEL_CONTEXTS);
        item->resource = &contexts[batch.items[i].resource];
        item->scope = &contexts[MODEL_CONTEXTS + batch.items[i].scope];
        item->row = (uint32_t)i;
        model_to_row(&batch, i, item);
    }
    assert_int_equal(append_wait(store, &batch.batch, &seq), MW_OK);
    for (size_t i = 0; i < count; i++)
        all->items[all->count++].seq = seq;
    test_batch_fini(&batch);
}

static inline void model_fill(mw_store *store, model_items *all, mw_signal signal, size_t batches,
                              uint64_t repeats, test_random *random)
{
    *all = (model_items){.signal = signal};
    /* One batch more may follow. */
    all->items = calloc((batches + 1) * 16, sizeof *all->items);
    all->contexts = calloc((batches + 1) * 2 * MODEL_CONTEXTS, sizeof *all->contexts);
    for (size_t i = 0; i < batches; i++)
        model_append(store, all, 1 + random_below(random, 15), i * 20, repeats, random);
}

static inline void model_forget(model_items *all)
{
    for (size_t i = 0; i < all->count; i++)
        free(all->items[i].own.message.data);
    for (size_t i = 0; i < all->context_count; i++)
        free(all->contexts[i].message.data);
    free(all->items);
    free(all->contexts);
}

/* ---- questions ------------------------------------------------------------------------------- */

typedef struct model_wanted {
    const char *keys[3], *texts[3];
    size_t count;
    mw_attribute_query queries[3];
} model_wanted;

/* Often what some item holds, sometimes what none does. */
static inline void model_want(const model_items *all, model_wanted *wanted, test_random *random)
{
    wanted->count = random_below(random, 4);
    for (size_t i = 0; i < wanted->count; i++) {
        const model_item *item = &all->items[random_below(random, all->count)];
        const model_holder *holders[] = {&item->own, item->resource, item->scope};
        const model_holder *holder = holders[random_below(random, 3)];
        wanted->keys[i] = model_keys[random_below(random, 6)];
        wanted->texts[i] = model_texts[random_below(random, 8)];
        if (holder->count && random_below(random, 4)) {
            const model_attribute *one = &holder->attributes[random_below(random, holder->count)];
            wanted->keys[i] = one->key;
            wanted->texts[i] = one->text;
        }
        wanted->queries[i] =
            (mw_attribute_query){mw_slice_of(wanted->keys[i]), mw_slice_of(wanted->texts[i])};
    }
}

static inline bool model_fits(const model_item *item, const model_wanted *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (!item_holds(item, wanted->keys[i], wanted->texts[i]))
            return false;
    return true;
}

static inline int model_sometimes(test_random *random, uint64_t rarity, uint64_t bound)
{
    return random_below(random, rarity) ? 0 : (int)(1 + random_below(random, bound));
}

static inline mw_slice model_number_text(char out[32], const char *kind, int number)
{
    snprintf(out, 32, "%s%d", kind, number);
    return number ? mw_slice_of(out) : MW_SLICE_NONE;
}

static inline mw_store_page model_page(const model_items *all, test_random *random)
{
    static const size_t limits[] = {1000, 3, 7, 50, 1, 17};
    uint64_t newest = 0;
    for (size_t i = 0; i < all->count; i++)
        newest = all->items[i].start > newest ? all->items[i].start : newest;
    mw_store_page page = {.limit = limits[random_below(random, 6)]};
    if (random_below(random, 3) == 0)
        page.since_ns = 1000 + random_below(random, newest - 1000);
    if (random_below(random, 3) == 0)
        page.until_ns = 1000 + random_below(random, newest);
    return page;
}

static inline bool model_in_page(const model_item *item, const mw_store_page *page)
{
    return item->start >= page->since_ns && (!page->until_ns || item->start < page->until_ns);
}

#endif
