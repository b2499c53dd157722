/* The text of a message, however frameworks send it. */
#include "server/api/messages.h"
#include "tests/check.h"

#define USER MW_SPEAKER_USER
#define ASSISTANT MW_SPEAKER_ASSISTANT

static void expect(const char *value, mw_speaker speaker, const char *wanted)
{
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_QUERY, (size_t)4 << 20);
    mw_message_text(mw_slice_of(value), speaker, &out);
    assert_int_equal(out.err, MW_OK);
    assert_slice(mw_buffer_slice(&out), wanted);
    mw_buffer_fini(&out);
}

static void test_conventions(void **state)
{
    (void)state;
    /* OpenTelemetry 1.37 and newer */
    const char *otel =
        "[{\"role\":\"system\",\"parts\":[{\"type\":\"text\",\"content\":\"be kind\"}]},"
        "{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"first\"}]},"
        "{\"role\":\"assistant\",\"parts\":[{\"type\":\"tool_call\",\"name\":\"f\"}]},"
        "{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"a\"},"
        "{\"type\":\"blob\",\"content\":\"AAAA\"},{\"type\":\"text\",\"content\":\"b\"}]},"
        "{\"role\":\"assistant\",\"parts\":[{\"type\":\"text\",\"content\":\"done\"}]}]";
    expect(otel, USER, "a\nb");
    expect(otel, ASSISTANT, "done");
    /* Strands: Bedrock's parts; OpenAI's; Anthropic's; Vercel's; Vertex's */
    expect("[{\"text\":\"hi\"},{\"toolUse\":{\"name\":\"f\"}},{\"text\":\"there\"}]", ASSISTANT,
           "hi\nthere");
    expect("{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"model\":\"m\"}", USER,
           "hello");
    expect("{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"yes\"}}]}", ASSISTANT,
           "yes");
    expect("{\"content\":[{\"type\":\"text\",\"text\":\"claude\"}],\"role\":\"assistant\"}",
           ASSISTANT, "claude");
    expect("{\"prompt\":\"plain\"}", USER, "plain");
    expect("{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"gemini\"}]}]}", USER,
           "gemini");
    /* LangChain's constructors and pairs */
    expect("{\"messages\":[[{\"kwargs\":{\"content\":\"q\",\"type\":\"human\"}}]]}", USER, "q");
    expect("{\"messages\":[[\"system\",\"s\"],[\"user\",\"pair\"]]}", USER, "pair");
    expect("{\"inputs\":{\"question\":\"why?\"}}", USER, "why?");
    expect("{\"output\":\"because\"}", ASSISTANT, "because");
}

static void test_what_is_no_message(void **state)
{
    (void)state;
    expect("just text", USER, "just text");
    expect("  \"quoted\" ", USER, "quoted");
    expect("{broken", USER, "{broken");
    expect("", USER, "");
    expect("[]", USER, "");
    expect("{}", USER, "");
    expect("null", USER, "null");
    expect("{\"a\":{\"b\":1}}", USER, "");
    /* The others' words are not the user's. */
    expect("[{\"role\":\"assistant\",\"content\":\"mine\"}]", USER, "");
    expect("[{\"role\":\"USER\",\"content\":\"case\"}]", USER, "case");
    /* Deeper than any framework's. */
    char deep[2048];
    size_t used = 0;
    for (int i = 0; i < 100; i++)
        used += (size_t)snprintf(deep + used, sizeof deep - used, "{\"input\":");
    used += (size_t)snprintf(deep + used, sizeof deep - used, "\"x\"");
    for (int i = 0; i < 100; i++)
        used += (size_t)snprintf(deep + used, sizeof deep - used, "}");
    expect(deep, USER, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_conventions),
                                       cmocka_unit_test(test_what_is_no_message)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
