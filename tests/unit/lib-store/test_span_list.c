/* Lists of spans by what they carry, against a naive model (item_model.h).
 *
 * Random spans with a fixed seed, repeats among them; random filters, bounds and page sizes,
 * cursors walked to the end; again after a restart, and after merging.
 */
#include <fcntl.h>

#include "lib/store/segment/segment_footer.h"
#include "tests/unit/lib-store/item_model.h"
#include "tests/unit/lib-store/quick_disk.h"

typedef struct span_question {
    int service, session, name, agent;
    bool errors;
    uint64_t duration;
    model_wanted wanted;
    mw_store_page page;
} span_question;

static span_question random_question(const model_items *all, test_random *random)
{
    span_question question = {.service = model_sometimes(random, 4, 4),
                              .session = model_sometimes(random, 4, 6),
                              .name = model_sometimes(random, 6, 5),
                              .agent = model_sometimes(random, 6, 3),
                              .errors = random_below(random, 4) == 0,
                              .page = model_page(all, random)};
    if (random_below(random, 4) == 0)
        question.duration = 1 + random_below(random, 100);
    model_want(all, &question.wanted, random);
    return question;
}

static bool matches(const model_item *item, const span_question *question)
{
    return model_in_page(item, &question->page) &&
           (!question->service || item->service == question->service) &&
           (!question->session || item->session == question->session) &&
           (!question->name || item->name == question->name) &&
           (!question->agent || item->agent == question->agent) &&
           (!question->errors || item->status == 2) &&
           (!question->duration ||
            (item->duration < 1000 && item->duration >= question->duration)) &&
           model_fits(item, &question->wanted);
}

/* Newest first, then by id, then by order of commit. */
static int in_order(const void *left, const void *right)
{
    const model_item *a = *(const model_item *const *)left, *b = *(const model_item *const *)right;
    uint8_t x[24], y[24];
    if (a->start != b->start)
        return a->start > b->start ? -1 : 1;
    trace_id_of(x, a->trace), put_id(x + 16, 8, a->span);
    trace_id_of(y, b->trace), put_id(y + 16, 8, b->span);
    int order = memcmp(x, y, sizeof x);
    if (order)
        return order;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static bool same_span(const model_item *a, const model_item *b)
{
    return a->trace == b->trace && a->span == b->span && a->start == b->start;
}

static const model_item **expected_of(const model_items *all, const span_question *question,
                                      size_t *count)
{
    const model_item **found = calloc(all->count + 1, sizeof *found);
    size_t kept = 0;
    *count = 0;
    for (size_t i = 0; i < all->count; i++)
        if (matches(&all->items[i], question))
            found[(*count)++] = &all->items[i];
    qsort(found, *count, sizeof *found, in_order);
    for (size_t i = 0; i < *count; i++)
        if (i == 0 || !same_span(found[kept - 1], found[i]))
            found[kept++] = found[i];
    *count = kept;
    return found;
}

static void assert_bytes(mw_slice got, mw_slice want)
{
    assert_int_equal(got.len, want.len);
    if (want.len)
        assert_memory_equal(got.data, want.data, want.len);
}

static void assert_span(const mw_trace_span *got, const model_item *want)
{
    char text[32];
    uint8_t id[16], span[8];
    trace_id_of(id, want->trace);
    put_id(span, 8, want->span);
    assert_memory_equal(got->row.trace_id, id, 16);
    assert_memory_equal(got->row.span_id, span, 8);
    assert_int_equal(got->row.start_ns, want->start);
    assert_int_equal(got->row.end_ns, want->start + want->duration);
    assert_int_equal(got->row.status, want->status);
    assert_int_equal(got->commit_seq, want->seq);
    assert_bytes(got->row.service, model_number_text(text, "service-", want->service));
    assert_bytes(got->row.session_id, model_number_text(text, "session-", want->session));
    assert_bytes(got->own_session_id, model_number_text(text, "session-", want->session));
    assert_bytes(got->row.name, model_number_text(text, "name-", want->name));
    assert_bytes(got->row.agent, model_number_text(text, "agent-", want->agent));
    assert_bytes(got->bytes, model_message(&want->own));
    assert_bytes(got->resource.bytes, model_message(want->resource));
    assert_bytes(got->scope.bytes, model_message(want->scope));
}

/* Walks the pages to the end; returns how many spans there were. */
static size_t check_question(mw_store_view *view, const model_items *all,
                             const span_question *question)
{
    char texts[4][32];
    size_t count, at = 0;
    const model_item **expected = expected_of(all, question, &count);
    mw_store_page page = question->page;
    mw_arena arena;
    const mw_span_filter filter = {
        .service = model_number_text(texts[0], "service-", question->service),
        .session_id = model_number_text(texts[1], "session-", question->session),
        .name = model_number_text(texts[2], "name-", question->name),
        .agent = model_number_text(texts[3], "agent-", question->agent),
        .errors_only = question->errors,
        .duration_min_ns = question->duration,
        .attributes = question->wanted.queries,
        .attribute_count = question->wanted.count};

    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (bool more = true; more;) {
        mw_span_page list;
        assert_int_equal(mw_store_span_list(view, &page, &filter, &arena, &list), MW_OK);
        assert_true(list.count <= page.limit);
        assert_true(at + list.count <= count);
        for (size_t i = 0; i < list.count; i++, at++)
            assert_span(&list.items[i], expected[at]);
        more = list.next_cursor.len > 0;
        assert_true(!more || list.count == page.limit);
        page.cursor = list.next_cursor;
    }
    assert_int_equal(at, count);
    mw_arena_reset(&arena);
    free(expected);
    return count;
}

static size_t check_all(mw_store *store, const model_items *all, uint64_t seed)
{
    test_random random = {seed};
    mw_store_view *view;
    size_t found = 0, before = mw_memory_component_used(MW_MEM_QUERY);
    const span_question everything = {.page = {.limit = 13}};
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    check_question(view, all, &everything);
    for (size_t i = 0; i < 150; i++) {
        const span_question question = random_question(all, &random);
        found += check_question(view, all, &question);
    }
    mw_store_view_close(view);
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), before);
    return found;
}

/* What merging makes of it: of each span the first acknowledged copy. */
static void remove_repeats(model_items *all)
{
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        bool repeat = false;
        for (size_t j = 0; j < kept && !repeat; j++)
            repeat = same_span(&all->items[i], &all->items[j]);
        if (repeat)
            free(all->items[i].own.message.data);
        else
            all->items[kept++] = all->items[i];
    }
    all->count = kept;
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        test_dir dir;
        model_items all;
        test_random random = {seed};
        test_dir_init(&dir);
        mw_store *store =
            open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 32 * 1024);
        model_fill(store, &all, MW_SIGNAL_TRACES, 100, seed % 2 ? 5 : 0, &random);
        assert_true(check_all(store, &all, seed) > 500);
        mw_store_close(store);
        store = open_store(dir.store);
        check_all(store, &all, seed + 100);
        remove_repeats(&all);
        assert_int_equal(mw_store_merge_all(store, 60 * MW_NS_PER_S), MW_OK);
        assert_true(check_all(store, &all, seed + 200) > 500);
        model_append(store, &all, 10, 2000, 0, &random); /* merged and not, side by side */
        check_all(store, &all, seed + 300);
        mw_store_close(store);
        model_forget(&all);
        test_dir_fini(&dir);
    }
}

/* ---- edges ----------------------------------------------------------------------------------- */

/* A copy with another start: within a page the first acknowledged one stands for both. */
static void test_conflicting_copy(void **state)
{
    test_dir dir;
    test_batch batch;
    mw_store_view *view;
    mw_arena arena;
    mw_span_page list;
    mw_store_page page = {.limit = 10};
    mw_span_filter filter = {.errors_only = false};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    assert_int_equal(append_spans(store, 1, 7, 1), MW_OK);
    test_batch_init(&batch, 1);
    test_span(&batch, 0, 1, 7, 0);
    batch.spans[0].start_ns += 100;
    batch.spans[0].name = MW_SLICE("later copy");
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_int_equal(mw_store_span_list(view, &page, &filter, &arena, &list), MW_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].row.start_ns, 1007);
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    mw_store_close(store);
    test_dir_fini(&dir);
}

static void test_empty_and_cursors(void **state)
{
    static const char *const bad[] = {"x", "n", "n00", "l0", "nzz", "t00000000000000000000000000"};
    test_dir dir;
    mw_store_view *view;
    mw_arena arena;
    mw_span_page list;
    mw_span_filter filter = {.errors_only = false};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mw_store_page wrong = {.limit = 2, .cursor = mw_slice_of(bad[i])};
        assert_int_equal(mw_store_span_list(view, &wrong, &filter, &arena, &list), MW_E_SYNTAX);
    }
    const mw_store_page page = {.limit = 2};
    assert_int_equal(mw_store_span_list(view, &page, &filter, &arena, &list), MW_OK);
    assert_int_equal(list.count, 0);
    assert_int_equal(list.next_cursor.len, 0);
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* So many spans that there are several merged blocks, each span with a number of its own. */
#define MANY 20000u

static void append_numbered(mw_store *store)
{
    for (uint32_t first = 0; first < MANY; first += 500) {
        test_batch batch;
        test_batch_init(&batch, 500);
        for (uint32_t i = 0; i < 500; i++) {
            otlp_writer value = {0}, pair = {0}, message = {0};
            test_span(&batch, i, 1 + (first + i) / 16, 1 + first + i, 0);
            put_number(&value, 3, first + i);
            put_text(&pair, 1, "number");
            put_bytes(&pair, 2, value.data, value.len);
            put_bytes(&message, 9, pair.data, pair.len);
            batch.items[i].bytes = test_text(&batch, (const char *)message.data, message.len);
            free(value.data), free(pair.data), free(message.data);
        }
        assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
        test_batch_fini(&batch);
    }
}

static mw_err ask_number(mw_store_view *view, unsigned number, size_t *count)
{
    char text[16];
    mw_arena arena;
    mw_span_page list;
    snprintf(text, sizeof text, "%u", number);
    mw_attribute_query wanted = {MW_SLICE("number"), mw_slice_of(text)};
    const mw_span_filter filter = {.attributes = &wanted, .attribute_count = 1};
    const mw_store_page page = {.limit = 10};
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    mw_err err = mw_store_span_list(view, &page, &filter, &arena, &list);
    *count = list.count;
    mw_arena_reset(&arena);
    return err;
}

static void damage(const mw_segment *segment, uint64_t offset)
{
    int fd = open(segment->path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damaged!", 8, (off_t)offset), 8);
    close(fd);
}

/* A block that its filter rules out is not read, though it be damaged; a damaged filter costs the
 * reading of its block and no answer. */
static void test_filters_spare_blocks(void **state)
{
    test_dir dir;
    mw_store_view *view;
    size_t count, spared = 0;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    append_numbered(store);
    assert_int_equal(mw_store_merge_all(store, 60 * MW_NS_PER_S), MW_OK);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_true(mw_view_count(view) >= 3);
    const mw_index_block *first = mw_view_block(view, 0);
    assert_non_null(first->segment->footer);
    damage(first->segment, first->segment->footer->filters[first->number].offset);
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(ask_number(view, i * 600, &count), MW_OK);
        assert_int_equal(count, 1);
        assert_int_equal(ask_number(view, MANY + i, &count), MW_OK);
        assert_int_equal(count, 0);
    }
    for (size_t i = 1; i < mw_view_count(view); i++)
        damage(mw_view_block(view, i)->segment,
               mw_view_block(view, i)->offset + MW_BLOCK_HEADER_SIZE);
    mw_store_view_close(view); /* it may have kept columns */
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_int_equal(ask_number(view, MANY - 1, &count), MW_E_CORRUPT);
    for (unsigned i = 0; i < 100; i++)
        spared += ask_number(view, MANY + i, &count) == MW_OK;
    assert_true(spared >= 80);
    mw_store_view_close(view);
    mw_store_close(store);
    test_dir_fini(&dir);
}

static bool at_the_nth(void *ctx)
{
    unsigned *left = ctx;
    return *left == 0 || --*left == 0;
}

/* Stopped before whichever block, or without memory wherever it runs out, a question leaves
 * nothing. */
static void test_stops_and_memory(void **state)
{
    test_dir dir;
    model_items all;
    test_random random = {9};
    mw_attribute_query wanted = {MW_SLICE("a"), MW_SLICE("5.0")};
    const mw_span_filter filter = {
        .session_id = MW_SLICE("session-1"), .attributes = &wanted, .attribute_count = 1};
    const mw_store_page page = {.limit = 1000};
    size_t failed = 0;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    model_fill(store, &all, MW_SIGNAL_TRACES, 20, 0, &random);
    size_t used = mw_memory_used();
    for (int how = 0; how < 2; how++) {
        mw_err err = MW_E_TIMEOUT;
        for (unsigned n = 1; err != MW_OK; n++) {
            mw_store_view *view;
            mw_arena arena;
            mw_span_page list;
            unsigned left = n;
            mw_arena_init(&arena, MW_MEM_QUERY, 0);
            assert_int_equal(mw_store_view_open(store, &view), MW_OK);
            if (how == 0)
                mw_store_view_stop(view, at_the_nth, &left);
            else
                mw_memory_fail_at(n);
            err = mw_store_span_list(view, &page, &filter, &arena, &list);
            mw_memory_fail_at(0);
            assert_true(err == MW_OK || err == (how ? MW_E_NOMEM : MW_E_TIMEOUT));
            assert_true(err == MW_OK ? list.count > 0 : list.count == 0);
            failed += err != MW_OK;
            mw_store_view_close(view);
            mw_arena_reset(&arena);
            assert_int_equal(mw_memory_used(), used);
        }
    }
    assert_true(failed > 30);
    mw_store_close(store);
    model_forget(&all);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_conflicting_copy),
        cmocka_unit_test(test_empty_and_cursors),
        cmocka_unit_test(test_filters_spare_blocks),
        cmocka_unit_test(test_stops_and_memory),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
