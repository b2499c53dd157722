/* Questions about metrics against a naive model: all points in one array, repeats found by search.
 *
 * Random points with a fixed seed: several metrics of one name, repeats with other content and
 * another origin, times out of order, starts that differ. With a large and a tiny query budget, so
 * that series and doubtful points are counted in parts; again after a restart.
 */
#include <fcntl.h>

#include "tests/unit/lib-store/quick_disk.h"
#include "tests/unit/lib-store/test_merger.h"

typedef struct model_point {
    uint64_t series, time, start, number;
    int name, kind, unit, service, session; /* of the series; 0 = none, but for the name */
    int namespace;
    uint64_t commit;
    uint32_t row;
    bool merged; /* away, because it is a repeat */
} model_point;

typedef struct shape {
    uint64_t seed;
    size_t batches, batch_max;
    uint64_t series, names, times;
    uint64_t disorder; /* one of so many points has any time */
} shape;

typedef struct model {
    model_point *points; /* as appended */
    size_t count;
    const shape *form;
} model;

typedef struct model_query {
    int service, session, namespace;
    mw_store_page page;
} model_query;

/* ---- data ------------------------------------------------------------------------------------ */

/* The last name is longer than what orders a page. */
static void metric_name(char out[512], int name, const shape *form)
{
    size_t len = (size_t)snprintf(out, 512, "metric.%c.%d", 'a' + (name * 7) % 26, name);
    if ((uint64_t)name == form->names - 1) {
        memset(out + len, 'x', 400 - len);
        out[400] = '\0';
    }
}

static void number_text(char out[64], const char *kind, int number)
{
    out[0] = '\0';
    if (number)
        snprintf(out, 64, "%s-%d", kind, number);
}

static mw_slice text_of(test_batch *batch, const char *kind, int number)
{
    char text[64];
    number_text(text, kind, number);
    return number ? test_text(batch, text, strlen(text)) : MW_SLICE_NONE;
}

static model_point random_point(test_random *random, const shape *form, uint64_t now)
{
    model_point point = {.series = 1 + random_below(random, form->series)};
    test_random of_series = {point.series};
    point.name = (int)random_below(&of_series, form->names);
    point.kind = (int)(1 + random_below(&of_series, 3));
    point.unit = (int)random_below(&of_series, 3);
    point.service = (int)random_below(&of_series, 5);
    point.session = random_below(&of_series, 3) ? 0 : (int)(1 + random_below(&of_series, 4));
    /* As hashes are: anywhere. The same for all points of it. */
    point.series = random_next(&of_series) | 1;
    point.time = 1000 + now;
    if (random_below(random, form->disorder) == 0)
        point.time = 1000 + random_below(random, form->times);
    point.start = random_below(random, 8) ? 500 : random_below(random, 2);
    point.namespace = (int)random_below(random, 3);
    return point;
}

static void to_item(test_batch *batch, size_t at, const model_point *point, const shape *form)
{
    mw_point_row *row = &batch->points[at];
    char name[512];
    metric_name(name, point->name, form);
    row->series = point->series;
    row->time_ns = point->time;
    row->start_ns = point->start;
    row->value = (double)point->number;
    row->kind = (uint8_t)point->kind;
    row->name = test_text(batch, name, strlen(name));
    row->unit = text_of(batch, "unit", point->unit);
    row->service = text_of(batch, "service", point->service);
    row->session_id = text_of(batch, "session", point->session);
    if (point->namespace)
        row->origin = test_format(batch, "x-aws-log-group=g\nx-aws-metric-namespace=space-",
                                  (uint64_t)point->namespace);
    batch->items[at].bytes = test_format(batch, "point ", point->number);
    batch->items[at].metric = (uint32_t)point->name;
}

/* A head for each name, in the order of their numbers. */
static void set_heads(test_batch *batch, const shape *form)
{
    free(batch->metrics);
    batch->metrics = calloc(form->names, sizeof *batch->metrics);
    for (uint64_t i = 0; i < form->names; i++)
        batch->metrics[i] = test_format(batch, "head ", i);
    batch->batch.metrics = batch->metrics;
    batch->batch.metric_count = form->names;
}

static void fill(mw_store *store, model *all, const shape *form)
{
    test_random random = {form->seed};
    *all = (model){calloc(form->batches * form->batch_max, sizeof *all->points), 0, form};
    for (size_t i = 0; i < form->batches; i++) {
        test_batch batch;
        uint64_t commit = 0;
        size_t count = 1 + random_below(&random, form->batch_max);
        test_batch_init_of(&batch, MW_SIGNAL_METRICS, count);
        set_heads(&batch, form);
        for (size_t k = 0; k < count; k++, all->count++) {
            model_point *point = &all->points[all->count];
            *point = random_point(&random, form, i * form->times / form->batches);
            point->number = all->count;
            point->row = (uint32_t)k;
            to_item(&batch, k, point, form);
        }
        assert_int_equal(append_wait(store, &batch.batch, &commit), MW_OK);
        for (size_t k = 1; k <= count; k++)
            all->points[all->count - k].commit = commit;
        test_batch_fini(&batch);
        /* Others between them, which must not matter. */
        if (i % 7 == 0)
            assert_int_equal(append_spans(store, 1 + i, 1, 2), MW_OK);
    }
}

/* ---- the model's answers --------------------------------------------------------------------- */

static bool point_matches(const model_point *point, const model_query *query)
{
    return point->time >= query->page.since_ns &&
           (!query->page.until_ns || point->time < query->page.until_ns) &&
           (!query->service || point->service == query->service) &&
           (!query->session || point->session == query->session) &&
           (!query->namespace || point->namespace == query->namespace);
}

static int by_identity(const void *left, const void *right)
{
    const model_point *a = *(const model_point *const *)left;
    const model_point *b = *(const model_point *const *)right;
    if (a->time != b->time)
        return a->time > b->time ? -1 : 1;
    if (a->series != b->series)
        return a->series < b->series ? -1 : 1;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* The distinct points that match, in the order of a list; name -1 = of all names. */
static const model_point **matches_of(const model *all, const model_query *query, int name,
                                      size_t *count)
{
    const model_point **points = calloc(all->count + 1, sizeof *points);
    size_t found = 0;
    for (size_t i = 0; i < all->count; i++)
        if (point_matches(&all->points[i], query) && (name < 0 || all->points[i].name == name))
            points[found++] = &all->points[i];
    qsort(points, found, sizeof *points, by_identity);
    *count = 0;
    for (size_t i = 0; i < found; i++) {
        const model_point *last = *count ? points[*count - 1] : NULL;
        if (!last || last->series != points[i]->series || last->time != points[i]->time ||
            last->start != points[i]->start)
            points[(*count)++] = points[i];
    }
    return points;
}

typedef struct model_metric {
    char name[512], unit[64];
    int kind;
    uint64_t series, points, first, last;
    bool services[8];
    size_t service_count;
} model_metric;

static int metric_order(const void *left, const void *right)
{
    const model_metric *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    if (order == 0)
        order = a->kind - b->kind;
    return order ? order : strcmp(a->unit, b->unit);
}

static bool series_known(const model_point *const *points, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (points[i]->series == points[at]->series)
            return true;
    return false;
}

static model_metric *metrics_of(const model *all, const model_query *query, size_t *count)
{
    size_t found;
    const model_point **points = matches_of(all, query, -1, &found);
    model_metric *metrics = calloc(found + 1, sizeof *metrics);
    *count = 0;
    for (size_t i = 0; i < found; i++) {
        const model_point *point = points[i];
        model_metric wanted = {.kind = point->kind}, *metric = NULL;
        metric_name(wanted.name, point->name, all->form);
        number_text(wanted.unit, "unit", point->unit);
        for (size_t k = 0; k < *count && !metric; k++)
            if (metric_order(&metrics[k], &wanted) == 0)
                metric = &metrics[k];
        if (!metric) {
            metric = &metrics[(*count)++];
            *metric = wanted;
            metric->first = UINT64_MAX;
        }
        metric->points++;
        metric->series += !series_known(points, i);
        metric->first = point->time < metric->first ? point->time : metric->first;
        metric->last = point->time > metric->last ? point->time : metric->last;
        metric->service_count += point->service && !metric->services[point->service];
        metric->services[point->service] = true;
    }
    qsort(metrics, *count, sizeof *metrics, metric_order);
    free(points);
    return metrics;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void assert_text(mw_slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    if (got.len)
        assert_memory_equal(got.data, want, got.len);
}

typedef struct asked_texts {
    char service[64], session[64], namespace[64];
} asked_texts;

static mw_metric_query ask(const model_query *query, asked_texts *texts)
{
    mw_metric_query asked = {0};
    number_text(texts->service, "service", query->service);
    number_text(texts->session, "session", query->session);
    number_text(texts->namespace, "space", query->namespace);
    asked.service = mw_slice_of(texts->service);
    asked.session_id = mw_slice_of(texts->session);
    asked.origin[MW_ORIGIN_METRIC_NAMESPACE] = mw_slice_of(texts->namespace);
    return asked;
}

static void assert_metric(const mw_metric_summary *got, const model_metric *want)
{
    size_t at = 0;
    assert_text(got->name, want->name);
    assert_text(got->unit, want->unit);
    assert_int_equal(got->kind, want->kind);
    assert_int_equal(got->series, want->series);
    assert_int_equal(got->points, want->points);
    assert_int_equal(got->first_ns, want->first);
    assert_int_equal(got->last_ns, want->last);
    for (int service = 1; service < 8; service++) {
        char text[64];
        number_text(text, "service", service);
        if (want->services[service])
            assert_text(got->services[at++], text);
    }
    assert_int_equal(got->service_count, at);
}

static size_t check_list(mw_store_view *view, const model *all, const model_query *query)
{
    size_t count, at = 0;
    asked_texts texts;
    model_metric *metrics = metrics_of(all, query, &count);
    mw_metric_query asked = ask(query, &texts);
    mw_store_page page = query->page;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (bool more = true; more;) {
        mw_metric_list list;
        assert_int_equal(mw_store_metric_list(view, &page, &asked, &arena, &list), MW_OK);
        assert_true(list.count <= page.limit && at + list.count <= count);
        for (size_t i = 0; i < list.count; i++, at++)
            assert_metric(&list.items[i], &metrics[at]);
        more = list.next_cursor.len > 0;
        assert_true(!more || list.count == page.limit);
        page.cursor = list.next_cursor;
    }
    assert_int_equal(at, count);
    mw_arena_reset(&arena);
    free(metrics);
    return count;
}

static const model_point *expected_point(const model_point *const *points, size_t count,
                                         const mw_point_row *row)
{
    for (size_t i = 0; i < count; i++)
        if (points[i]->series == row->series && points[i]->time == row->time_ns &&
            points[i]->start == row->start_ns)
            return points[i];
    fail_msg("a point that does not belong on this page");
    return NULL;
}

static void assert_point(const mw_series_point *got, const model_point *want)
{
    char text[64];
    snprintf(text, sizeof text, "point %llu", (unsigned long long)want->number);
    assert_text(got->bytes, text);
    assert_true(got->row.value == (double)want->number);
    assert_int_equal(got->row.kind, want->kind);
    number_text(text, "unit", want->unit);
    assert_text(got->row.unit, text);
    number_text(text, "service", want->service);
    assert_text(got->row.service, text);
    number_text(text, "session", want->session);
    assert_text(got->row.session_id, text);
    number_text(text, "space", want->namespace);
    assert_text(mw_origin_member(got->row.origin, MW_ORIGIN_METRIC_NAMESPACE), text);
    assert_true(got->commit_seq > 0);
}

/* One page: the points points[0..count), by series. */
static void assert_page(const mw_metric *got, const model_point *const *points, size_t count,
                        int name)
{
    size_t found = 0;
    char head[64];
    snprintf(head, sizeof head, "head %d", name);
    for (size_t s = 0; s < got->series_count; s++) {
        const mw_series *series = &got->series[s];
        assert_true(series->point_count > 0);
        assert_text(series->head, head);
        assert_text(series->resource.bytes, "resource");
        assert_text(series->scope.bytes, "scope");
        if (s > 0) {
            int order = mw_slice_compare(got->series[s - 1].points[0].row.service,
                                         series->points[0].row.service);
            assert_true(order < 0 || (order == 0 && got->series[s - 1].series < series->series));
        }
        for (size_t i = 0; i < series->point_count; i++, found++) {
            const mw_point_row *row = &series->points[i].row;
            assert_int_equal(row->series, series->series);
            assert_point(&series->points[i], expected_point(points, count, row));
            if (i > 0) {
                const mw_point_row *newer = &series->points[i - 1].row;
                assert_true(newer->time_ns > row->time_ns ||
                            (newer->time_ns == row->time_ns && newer->start_ns < row->start_ns));
            }
        }
    }
    assert_int_equal(found, count);
}

static bool name_is_stored(const model *all, int name)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->points[i].name == name)
            return true;
    return false;
}

static size_t check_read(mw_store_view *view, const model *all, const model_query *query, int name)
{
    size_t count, at = 0;
    asked_texts texts;
    char text[512];
    const model_point **points = matches_of(all, query, name, &count);
    mw_metric_query asked = ask(query, &texts);
    mw_store_page page = query->page;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    metric_name(text, name, all->form);
    for (bool more = true; more;) {
        mw_metric metric;
        mw_err err = mw_store_metric_read(view, mw_slice_of(text), &page, &asked, &arena, &metric);
        assert_int_equal(err, name_is_stored(all, name) ? MW_OK : MW_E_NOT_FOUND);
        if (err != MW_OK)
            break;
        more = metric.next_cursor.len > 0;
        size_t on_page = more ? page.limit : count - at;
        assert_true(on_page <= page.limit && at + on_page <= count);
        assert_page(&metric, points + at, on_page, name);
        at += on_page;
        assert_true(!more || at < count);
        page.cursor = metric.next_cursor;
    }
    assert_int_equal(at, count);
    mw_arena_reset(&arena);
    free(points);
    return count;
}

static model_query random_query(test_random *random, const shape *form)
{
    static const size_t limits[] = {1000, 2, 7, 40, 1000, 13};
    model_query query = {.page = {.limit = limits[random_below(random, 6)]}};
    if (random_below(random, 4) == 0)
        query.service = (int)(1 + random_below(random, 5));
    if (random_below(random, 6) == 0)
        query.session = (int)(1 + random_below(random, 5));
    if (random_below(random, 4) == 0)
        query.namespace = (int)(1 + random_below(random, 2));
    if (random_below(random, 3) == 0)
        query.page.since_ns = 1000 + random_below(random, form->times);
    if (random_below(random, 3) == 0)
        query.page.until_ns = 1000 + random_below(random, form->times);
    return query;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void check_metrics(mw_store *store, const model *all, size_t budget, uint64_t seed)
{
    test_random random = {seed};
    mw_store_view *view;
    size_t found = 0, before = mw_memory_component_used(MW_MEM_QUERY);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    view->query_budget = budget;
    for (size_t i = 0; i < 3; i++) {
        const model_query everything = {.page = {.limit = i == 0 ? 1000 : i == 1 ? 3 : 30}};
        found += check_list(view, all, &everything);
        for (int name = 0; name < (int)all->form->names; name++)
            found += check_read(view, all, &everything, name);
    }
    assert_true(found > 100);
    for (size_t i = 0; i < 25; i++) {
        const model_query query = random_query(&random, all->form);
        check_list(view, all, &query);
        check_read(view, all, &query, (int)random_below(&random, all->form->names));
    }
    mw_store_view_close(view);
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), before);
}

/* The merger removed a repeat: an earlier copy must have come. */
static void note_merged(void *ctx, mw_signal signal, uint64_t seq, uint32_t index)
{
    model *all = ctx;
    size_t earlier = 0;
    for (size_t i = 0; signal == MW_SIGNAL_METRICS && i < all->count; i++) {
        model_point *point = &all->points[i];
        if (point->commit != seq || point->row != index)
            continue;
        for (size_t k = 0; k < i; k++)
            earlier += all->points[k].series == point->series &&
                       all->points[k].time == point->time && all->points[k].start == point->start;
        assert_true(earlier > 0);
        point->merged = true;
    }
}

static void merge_model(mw_store *store, model *all, uint64_t seed, size_t run_max)
{
    test_random random = {seed};
    size_t kept = 0;
    test_merge merge = {.store = store,
                        .rows_a_block = 5 + random_below(&random, 60),
                        .packed = 2,
                        .dropped = note_merged,
                        .ctx = all};
    merge_randomly(&merge, &random, run_max);
    for (size_t i = 0; i < all->count; i++)
        if (!all->points[i].merged)
            all->points[kept++] = all->points[i];
    all->count = kept;
}

static void run_shape(const shape *form)
{
    test_dir dir;
    model all;
    test_dir_init(&dir);
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 16 * 1024);
    fill(store, &all, form);
    check_metrics(store, &all, MW_QUERY_BUDGET, form->seed);
    check_metrics(store, &all, 6000, form->seed + 1);
    mw_store_close(store);
    store = open_store(dir.store);
    check_metrics(store, &all, MW_QUERY_BUDGET, form->seed + 2);
    merge_model(store, &all, form->seed, 4);
    check_metrics(store, &all, 6000, form->seed + 3);
    merge_model(store, &all, form->seed + 1, 9);
    mw_store_close(store);
    store = open_store(dir.store);
    check_metrics(store, &all, MW_QUERY_BUDGET, form->seed + 4);
    mw_store_close(store);
    free(all.points);
    test_dir_fini(&dir);
}

/* Mostly in order, as exporters send them. */
static void test_in_order(void **state)
{
    const shape form = {1, 80, 30, 12, 9, 5000, 20};
    (void)state;
    run_shape(&form);
}

/* Few moments: repeats everywhere. */
static void test_repeats(void **state)
{
    (void)state;
    for (uint64_t seed = 2; seed < 5; seed++) {
        const shape form = {seed, 40, 40, 10, 5, 30, 2};
        run_shape(&form);
    }
}

/* More series and more doubtful points than a tiny budget holds. */
static void test_many_series(void **state)
{
    const shape form = {5, 60, 80, 900, 7, 4, 2};
    (void)state;
    run_shape(&form);
}

/* ---- edges ----------------------------------------------------------------------------------- */

static void append_named(mw_store *store, mw_slice name, uint64_t series, uint64_t number)
{
    test_batch batch;
    test_batch_init_of(&batch, MW_SIGNAL_METRICS, 1);
    test_point(&batch, 0, series, number);
    batch.points[0].name = name;
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

/* Two names that differ behind what a cursor holds are both listed, once, page by page. */
static void test_long_names(void **state)
{
    test_dir dir;
    char names[3][600];
    mw_store_view *view;
    mw_arena arena;
    mw_store_page page = {.limit = 1};
    const mw_metric_query any = {0};
    bool seen[3] = {false};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (size_t i = 0; i < 3; i++) {
        memset(names[i], 'n', sizeof names[i]);
        names[i][i == 2 ? 255 : 599] = '\0';
        names[i][500] = (char)(i == 2 ? 'n' : 'a' + (int)i);
        append_named(store, mw_slice_of(names[i]), 1 + i, 1);
    }
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    for (size_t count = 0; count < 3; count++) {
        mw_metric_list list;
        assert_int_equal(mw_store_metric_list(view, &page, &any, &arena, &list), MW_OK);
        assert_int_equal(list.count, 1);
        assert_int_equal(list.items[0].points, 1);
        for (size_t i = 0; i < 3; i++) {
            if (!mw_slice_equal(list.items[0].name, mw_slice_of(names[i])))
                continue;
            assert_false(seen[i]);
            seen[i] = true;
        }
        page.cursor = list.next_cursor;
        assert_int_equal(page.cursor.len > 0, count < 2);
        assert_true(page.cursor.len < 700);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    mw_store_close(store);
    test_dir_fini(&dir);
}

static void test_not_found_and_cursors(void **state)
{
    static const char *const bad[] = {"x",
                                      "m",
                                      "m00",
                                      "p00",
                                      "t0",
                                      "mzz",
                                      "l00000000000000000000",
                                      "m00000000000000000000000000000000ff00",
                                      "p00000000000000000000000000000000"};
    test_dir dir;
    mw_store_view *view;
    mw_arena arena;
    mw_metric_list list;
    mw_metric metric;
    mw_metric_query any = {0};
    mw_store_page page = {.limit = 2};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    /* A span's and a session's text are no metric. */
    assert_int_equal(append_spans(store, 1, 1, 2), MW_OK);
    for (uint64_t i = 0; i < 3; i++)
        append_named(store, MW_SLICE("name"), 7, i);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mw_store_page wrong = {.limit = 2, .cursor = mw_slice_of(bad[i])};
        assert_int_equal(mw_store_metric_list(view, &wrong, &any, &arena, &list), MW_E_SYNTAX);
        assert_int_equal(
            mw_store_metric_read(view, MW_SLICE("name"), &wrong, &any, &arena, &metric),
            MW_E_SYNTAX);
    }
    assert_int_equal(mw_store_metric_read(view, MW_SLICE("nam"), &page, &any, &arena, &metric),
                     MW_E_NOT_FOUND);
    assert_int_equal(mw_store_metric_read(view, MW_SLICE("span 1"), &page, &any, &arena, &metric),
                     MW_E_NOT_FOUND);
    assert_int_equal(mw_store_metric_read(view, MW_SLICE_NONE, &page, &any, &arena, &metric),
                     MW_E_NOT_FOUND);
    /* Stored, but not in the window, or not of that service: an empty answer. */
    page.since_ns = 5000;
    assert_int_equal(mw_store_metric_read(view, MW_SLICE("name"), &page, &any, &arena, &metric),
                     MW_OK);
    assert_int_equal(metric.series_count, 0);
    assert_int_equal(mw_store_metric_list(view, &page, &any, &arena, &list), MW_OK);
    assert_int_equal(list.count, 0);
    page.since_ns = 0;
    any.service = MW_SLICE("nobody");
    assert_int_equal(mw_store_metric_read(view, MW_SLICE("name"), &page, &any, &arena, &metric),
                     MW_OK);
    assert_int_equal(metric.series_count, 0);
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* The newest page costs the newest blocks: what is behind may even be damaged. */
static void test_reads_few_blocks(void **state)
{
    test_dir dir;
    mw_store_view *view;
    mw_arena arena;
    mw_metric metric;
    const mw_metric_query any = {0};
    mw_store_page page = {.limit = 12};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (uint64_t i = 0; i < 40; i++)
        append_named(store, i % 2 ? MW_SLICE("one") : MW_SLICE("other"), 7, i);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    /* Overwrites the columns of the two oldest blocks. */
    for (size_t i = 0; i < 2; i++) {
        const mw_index_block *block = mw_view_block(view, i);
        int fd = open(block->segment->path, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, "damaged!", 8, (off_t)block->offset + MW_BLOCK_HEADER_SIZE), 8);
        close(fd);
    }
    assert_int_equal(mw_store_metric_read(view, MW_SLICE("one"), &page, &any, &arena, &metric),
                     MW_OK);
    assert_int_equal(metric.series_count, 1);
    assert_int_equal(metric.series[0].point_count, 12);
    assert_int_equal(metric.series[0].points[0].row.time_ns, 1700 + 39);
    page.limit = 1000;
    assert_int_equal(mw_store_metric_read(view, MW_SLICE("one"), &page, &any, &arena, &metric),
                     MW_E_CORRUPT);
    page.since_ns = 1702;
    assert_int_equal(mw_store_metric_read(view, MW_SLICE("one"), &page, &any, &arena, &metric),
                     MW_OK);
    assert_int_equal(metric.series[0].point_count, 19);
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Without memory a question fails cleanly, wherever it runs out. */
static void test_without_memory(void **state)
{
    const shape form = {9, 10, 12, 6, 4, 40, 3};
    test_dir dir;
    model all;
    char name[512];
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    fill(store, &all, &form);
    metric_name(name, all.points[0].name, &form);
    for (int question = 0; question < 2; question++) {
        size_t before = mw_memory_used();
        bool done = false;
        for (uint64_t at = 1; !done; at++) {
            mw_store_page page = {.limit = 3};
            mw_metric_query query = {0};
            mw_store_view *view;
            mw_arena arena;
            mw_metric_list list = {0};
            mw_metric metric = {0};
            mw_arena_init(&arena, MW_MEM_QUERY, 0);
            assert_int_equal(mw_store_view_open(store, &view), MW_OK);
            mw_memory_fail_at(at);
            mw_err err = question == 0 ? mw_store_metric_list(view, &page, &query, &arena, &list)
                                       : mw_store_metric_read(view, mw_slice_of(name), &page,
                                                              &query, &arena, &metric);
            mw_memory_fail_at(0);
            done = err == MW_OK;
            assert_true(done || err == MW_E_NOMEM);
            assert_int_equal(list.count + metric.series_count > 0, done);
            mw_store_view_close(view);
            mw_arena_reset(&arena);
            assert_int_equal(mw_memory_used(), before);
        }
    }
    mw_store_close(store);
    free(all.points);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),         cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_many_series),      cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_reads_few_blocks), cmocka_unit_test(test_not_found_and_cursors),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
