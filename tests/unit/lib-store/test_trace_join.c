/* The join of one trace, as a table: spans in, what each resolves to and what they add up to. */
#include "tests/unit/lib-store/store_test.h"

#include "lib/store/query/trace_join.h"

#define SPANS_MAX 12
#define NONE MW_JOIN_NONE
#define OWN_AGENT 1

/* Span ids are 1, 2, ...; 0 ends a list. Expectations name span ids too. */
typedef struct in_span {
    uint64_t id, parent, start, end, seq;
    uint64_t session;
    int agent; /* OWN_AGENT: names one */
    mw_operation_kind kind;
    int status;
    int64_t in, out;
} in_span;

typedef struct expectation {
    const char *name;
    in_span spans[SPANS_MAX];
    size_t count; /* distinct */
    uint64_t root;
    uint64_t owner_of[SPANS_MAX + 1]; /* by id: whose session; 0 = none */
    uint64_t agent_of[SPANS_MAX + 1]; /* by id: whose agent */
    uint64_t sessions[4];             /* owners, root-most first */
    uint64_t errors, models, tools;
    int64_t input, output;
} expectation;

/* Ten long; tokens are unknown unless given. */
#define SPAN(id_, parent_, start_, ...)                                                            \
    {                                                                                              \
        .id = id_, .parent = parent_, .start = start_, .end = start_ + 10, __VA_ARGS__             \
    }
static const expectation table[] = {
    {
        .name = "one span",
        .spans = {SPAN(1, 0, 5, .session = 7)},
        .count = 1,
        .root = 1,
        .owner_of = {0, 1},
        .sessions = {1},
    },
    {
        .name = "nothing known",
        .spans = {SPAN(1, 0, 5, .status = 2), SPAN(2, 1, 6, .status = 1)},
        .count = 2,
        .root = 1,
        .errors = 1,
    },
    {
        .name = "the session comes late, on a grandchild: it is the trace's",
        .spans = {SPAN(3, 2, 30, .session = 7), SPAN(1, 0, 10), SPAN(2, 1, 20), SPAN(4, 1, 25)},
        .count = 4,
        .root = 1,
        .owner_of = {0, 3, 3, 3, 3},
        .sessions = {3},
    },
    {
        .name = "two sessions in one trace: own, then nearest ancestor, then root-most",
        .spans = {SPAN(1, 0, 10), SPAN(2, 1, 20, .session = 7), SPAN(3, 1, 15, .session = 8),
                  SPAN(4, 2, 21), SPAN(5, 3, 16), SPAN(6, 5, 17), SPAN(7, 6, 18, .session = 7)},
        .count = 7,
        .root = 1,
        .owner_of = {0, 3, 2, 3, 2, 3, 3, 7},
        .sessions = {3, 2},
    },
    {
        .name = "the same depth and start: the lower span id",
        .spans = {SPAN(9, 1, 20, .session = 9), SPAN(8, 1, 20, .session = 8), SPAN(1, 0, 10)},
        .count = 3,
        .root = 1,
        .owner_of = {0, 8, 0, 0, 0, 0, 0, 0, 8, 9},
        .sessions = {8, 9},
    },
    {
        .name = "repeats: the first acknowledged copy, whatever the order of arrival here",
        .spans = {SPAN(1, 0, 99, .seq = 5, .session = 8, .status = 2),
                  SPAN(1, 0, 10, .seq = 2, .session = 7), SPAN(1, 0, 50, .seq = 9),
                  SPAN(2, 1, 11, .seq = 4)},
        .count = 2,
        .root = 1,
        .owner_of = {0, 1, 1},
        .sessions = {1},
    },
    {
        .name = "a parent that never came: below a true root, beside its children",
        .spans = {SPAN(5, 77, 1, .session = 5), SPAN(1, 0, 50), SPAN(6, 5, 2)},
        .count = 3,
        .root = 1,
        .owner_of = {0, 5, 0, 0, 0, 5, 5},
        .sessions = {5},
    },
    {
        .name = "only orphans: the earliest is root-most",
        .spans = {SPAN(2, 77, 9), SPAN(3, 78, 4), SPAN(4, 77, 4)},
        .count = 3,
        .root = 3,
    },
    {
        .name = "its own parent",
        .spans = {SPAN(1, 1, 9, .session = 4), SPAN(2, 1, 10)},
        .count = 2,
        .root = 1,
        .owner_of = {0, 1, 1},
        .sessions = {1},
    },
    {
        .name = "a cycle with a tail: cut at its earliest span",
        .spans = {SPAN(1, 3, 30, .session = 1), SPAN(2, 1, 20), SPAN(3, 2, 25), SPAN(4, 3, 5),
                  SPAN(5, 4, 6, .session = 5)},
        .count = 5,
        .root = 2,
        /* 2 -> 3 -> 1 and 2 -> 3 -> 4 -> 5 */
        .owner_of = {0, 1, 1, 1, 1, 5},
        .sessions = {1, 5},
    },
    {
        .name = "two cycles beside a root",
        .spans = {SPAN(1, 2, 30), SPAN(2, 1, 20), SPAN(3, 4, 1), SPAN(4, 3, 2), SPAN(5, 0, 90)},
        .count = 5,
        .root = 5,
    },
    {
        .name = "agent: own, else the nearest ancestor of kind agent that names one",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_AGENT, .agent = OWN_AGENT), SPAN(2, 1, 2),
                  SPAN(3, 2, 3, .agent = OWN_AGENT), SPAN(4, 3, 4),
                  SPAN(5, 2, 5, .kind = MW_OP_AGENT), SPAN(6, 5, 6),
                  SPAN(7, 6, 7, .kind = MW_OP_AGENT, .agent = OWN_AGENT), SPAN(8, 7, 8)},
        .count = 8,
        .root = 1,
        .agent_of = {0, 1, 1, 3, 1, 1, 1, 7, 7},
    },
    {
        .name = "tokens of leaf models only",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_AGENT, .in = 1000, .out = 1000),
                  SPAN(2, 1, 2, .kind = MW_OP_MODEL, .in = 100, .out = 50),
                  SPAN(3, 2, 3, .kind = MW_OP_TOOL, .in = 5000),
                  SPAN(4, 3, 4, .kind = MW_OP_MODEL, .in = 10, .out = 5),
                  SPAN(5, 1, 5, .kind = MW_OP_MODEL, .in = 3)},
        .count = 5,
        .root = 1,
        .models = 2,
        .tools = 1,
        .input = 13,
        .output = 5,
    },
    {
        .name = "no model at all: the outermost agent that reports tokens",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_WORKFLOW, .in = 9, .out = 9),
                  SPAN(2, 1, 2, .kind = MW_OP_AGENT),
                  SPAN(3, 2, 3, .kind = MW_OP_AGENT, .in = 20, .out = 30),
                  SPAN(4, 3, 4, .kind = MW_OP_AGENT, .in = 1, .out = 1)},
        .count = 4,
        .root = 1,
        .input = 20,
        .output = 30,
    },
    {
        .name = "a leaf model without numbers keeps the agents' out",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_AGENT, .in = 20, .out = 30),
                  SPAN(2, 1, 2, .kind = MW_OP_MODEL)},
        .count = 2,
        .root = 1,
        .models = 1,
    },
    {
        .name = "two spans of one call of a model, three of one call of a tool",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_AGENT), SPAN(2, 1, 2, .kind = MW_OP_MODEL, .in = 100),
                  SPAN(3, 2, 3, .kind = MW_OP_MODEL, .in = 100), SPAN(4, 1, 4, .kind = MW_OP_TOOL),
                  SPAN(5, 4, 5, .kind = MW_OP_TOOL), SPAN(6, 5, 6, .kind = MW_OP_HTTP),
                  SPAN(7, 6, 7, .kind = MW_OP_TOOL)},
        .count = 7,
        .root = 1,
        .models = 1,
        .tools = 1,
        .input = 100,
    },
    {
        /* Strands under the AWS distribution: two turns of an agent, the second of which had 60 of
         * its 210 tokens from the cache; botocore's span below tells what was not cached. */
        .name = "one call counts once, with what was cached if a span above tells",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_AGENT, .in = 310, .out = 50),
                  SPAN(2, 1, 2, .kind = MW_OP_WORKFLOW),
                  SPAN(3, 2, 3, .kind = MW_OP_MODEL, .in = 100, .out = 20),
                  SPAN(4, 3, 4, .kind = MW_OP_MODEL, .in = 100, .out = 20),
                  SPAN(5, 1, 5, .kind = MW_OP_WORKFLOW),
                  SPAN(6, 5, 6, .kind = MW_OP_MODEL, .in = 210, .out = 30),
                  SPAN(7, 6, 7, .kind = MW_OP_MODEL, .in = 150, .out = 30)},
        .count = 7,
        .root = 1,
        .models = 2,
        .input = 310,
        .output = 50,
    },
    {
        .name = "what carries a call does not hide who speaks of it; a leaf may tell nothing",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_MODEL, .in = 40, .out = 9),
                  SPAN(2, 1, 2, .kind = MW_OP_HTTP), SPAN(3, 2, 3, .kind = MW_OP_MODEL)},
        .count = 3,
        .root = 1,
        .models = 1,
        .input = 40,
        .output = 9,
    },
    {
        .name = "who says less of either count speaks of something else",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_MODEL, .in = 20, .out = 2),
                  SPAN(2, 1, 2, .kind = MW_OP_MODEL, .in = 7, .out = 3)},
        .count = 2,
        .root = 1,
        .models = 1,
        .input = 7,
        .output = 3,
    },
    {
        .name = "of a model with several calls below, each call has its own",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_MODEL, .in = 500, .out = 500),
                  SPAN(2, 1, 2, .kind = MW_OP_MODEL, .in = 200),
                  SPAN(3, 1, 3, .kind = MW_OP_MODEL, .in = 10),
                  SPAN(4, 2, 4, .kind = MW_OP_MODEL, .in = 20)},
        .count = 4,
        .root = 1,
        .models = 2,
        .input = 210,
    },
    {
        .name = "a model above an agent, a workflow or a tool speaks of more than the call below",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_MODEL, .in = 500), SPAN(2, 1, 2, .kind = MW_OP_TOOL),
                  SPAN(3, 2, 3, .kind = MW_OP_AGENT), SPAN(4, 3, 4, .kind = MW_OP_MODEL, .in = 20)},
        .count = 4,
        .root = 1,
        .models = 1,
        .tools = 1,
        .input = 20,
    },
    {
        .name = "an agent within a tool calls tools of its own",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_TOOL), SPAN(2, 1, 2, .kind = MW_OP_AGENT),
                  SPAN(3, 2, 3), SPAN(4, 3, 4, .kind = MW_OP_TOOL)},
        .count = 4,
        .root = 1,
        .tools = 2,
    },
    {
        .name = "sums stop at the maximum",
        .spans = {SPAN(1, 0, 1, .kind = MW_OP_MODEL, .in = INT64_MAX, .out = 1),
                  SPAN(2, 0, 2, .kind = MW_OP_MODEL, .in = INT64_MAX, .out = 1)},
        .count = 2,
        .root = 1,
        .models = 2,
        .input = INT64_MAX,
        .output = 2,
    },
};

static size_t load(const expectation *row, mw_join_span *spans)
{
    size_t count = 0;
    for (; count < SPANS_MAX && row->spans[count].id; count++) {
        const in_span *in = &row->spans[count];
        spans[count] = (mw_join_span){.span_id = in->id,
                                      .parent_id = in->parent,
                                      .start_ns = in->start,
                                      .end_ns = in->end,
                                      .seq = in->seq,
                                      .input_tokens = in->in ? in->in : -1,
                                      .output_tokens = in->out ? in->out : -1,
                                      .session = in->session,
                                      .row = (uint32_t)count,
                                      .operation_kind = (uint8_t)in->kind,
                                      .status = (uint8_t)in->status,
                                      .has_agent = in->agent == OWN_AGENT};
    }
    return count;
}

static uint64_t id_at(const mw_join *join, uint32_t at)
{
    return at == NONE ? 0 : join->spans[at]->span_id;
}

static void check(const expectation *row, const mw_join *join)
{
    assert_int_equal(join->count, row->count);
    assert_int_equal(id_at(join, join->root), row->root);
    for (uint32_t i = 0; i < join->count; i++) {
        uint64_t id = join->spans[i]->span_id;
        assert_int_equal(id_at(join, join->session_owner[i]), row->owner_of[id]);
        /* A log record has its span's session, */
        assert_int_equal(id_at(join, mw_join_log_owner(join, id)), row->owner_of[id]);
        assert_int_equal(id_at(join, join->agent_owner[i]), row->agent_of[id]);
    }
    size_t sessions = 0;
    while (sessions < 4 && row->sessions[sessions])
        sessions++;
    assert_int_equal(join->session_count, sessions);
    for (size_t i = 0; i < sessions; i++)
        assert_int_equal(id_at(join, join->sessions[i]), row->sessions[i]);
    assert_int_equal(join->errors, row->errors);
    assert_int_equal(join->model_calls, row->models);
    assert_int_equal(join->tool_calls, row->tools);
    /* ... and without one that is there the root-most of the trace. */
    assert_int_equal(id_at(join, mw_join_log_owner(join, 0)), row->sessions[0]);
    assert_int_equal(id_at(join, mw_join_log_owner(join, 77777)), row->sessions[0]);
    assert_true(join->log_count == 0 && join->log_runs == NULL && join->log_run_count == 0);
    assert_true(join->input_tokens == row->input);
    assert_true(join->output_tokens == row->output);
}

/* Every row of the table, in the order given and in fifty others: arrival must not matter. */
static void test_table(void **state)
{
    mw_join join;
    test_random random = {6};
    (void)state;
    mw_join_init(&join);
    for (size_t at = 0; at < sizeof table / sizeof *table; at++) {
        for (int round = 0; round < 50; round++) {
            mw_join_span spans[SPANS_MAX];
            mw_join_span *pointers[SPANS_MAX];
            size_t count = load(&table[at], spans);
            for (size_t i = 0; i < count; i++)
                pointers[i] = &spans[i];
            for (size_t i = count; round > 0 && i > 1; i--) {
                size_t other = random_below(&random, i);
                mw_join_span *kept = pointers[i - 1];
                pointers[i - 1] = pointers[other];
                pointers[other] = kept;
            }
            if (round == 0)
                print_message("  %s\n", table[at].name);
            assert_int_equal(mw_join_run(&join, pointers, count), MW_OK);
            check(&table[at], &join);
        }
    }
    mw_join_fini(&join);
}

/* Times: the trace's end is never before its start, whatever clocks say. */
static void test_times(void **state)
{
    mw_join join;
    mw_join_span spans[2] = {{.span_id = 1, .start_ns = 100, .end_ns = 90},
                             {.span_id = 2, .parent_id = 1, .start_ns = 120, .end_ns = 0}};
    mw_join_span *pointers[2] = {&spans[0], &spans[1]};
    (void)state;
    mw_join_init(&join);
    assert_int_equal(mw_join_run(&join, pointers, 2), MW_OK);
    assert_int_equal(join.start_ns, 100);
    assert_int_equal(join.end_ns, 120);
    mw_join_fini(&join);
}

/* Shapes that would exhaust a recursive walk, or a quadratic one: a chain, one long cycle, a star,
 * many small cycles. */
static void test_large_shapes(void **state)
{
    enum { COUNT = 300000 };
    mw_join_span *spans = calloc(COUNT, sizeof *spans);
    mw_join_span **pointers = calloc(COUNT, sizeof *pointers);
    mw_join join;
    (void)state;
    mw_join_init(&join);
    for (int shape = 0; shape < 4; shape++) {
        for (uint64_t i = 0; i < COUNT; i++) {
            uint64_t parent[] = {i, i ? i : COUNT, i ? 1 : 0, i % 2 ? i : i + 2};
            spans[i] = (mw_join_span){.span_id = i + 1,
                                      .parent_id = parent[shape],
                                      .start_ns = 10 + i,
                                      .session = i == COUNT - 1 ? 5 : 0,
                                      .operation_kind = MW_OP_MODEL,
                                      .input_tokens = 1};
            pointers[i] = &spans[i];
        }
        assert_int_equal(mw_join_run(&join, pointers, COUNT), MW_OK);
        assert_int_equal(join.count, COUNT);
        assert_int_equal(id_at(&join, join.root), 1);
        for (uint32_t i = 0; i < join.count; i++)
            assert_int_equal(id_at(&join, join.session_owner[i]), COUNT);
        int64_t leaves[] = {1, 1, COUNT - 1, COUNT / 2};
        assert_int_equal(join.input_tokens, leaves[shape]);
    }
    mw_join_fini(&join);
    free(spans);
    free(pointers);
}

static void test_without_memory(void **state)
{
    mw_join join;
    mw_join_span span = {.span_id = 1};
    mw_join_span *pointer = &span;
    (void)state;
    mw_join_init(&join);
    mw_memory_fail_at(1);
    assert_int_equal(mw_join_run(&join, &pointer, 1), MW_E_NOMEM);
    mw_memory_fail_at(0);
    assert_int_equal(mw_join_run(&join, &pointer, 1), MW_OK);
    mw_join_fini(&join);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_large_shapes),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
