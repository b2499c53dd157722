#!/usr/bin/env python3
"""The traps of the GenAI conventions that take several items, requests or signals, by number, through the
real program. Those that one span can hold are in tests/unit/collector/test_traps.c."""
import json
import unittest

import otlp
from harness import DaemonCase

BASE = 1_700_000_000_000_000_000
MS = 10 ** 6


def number(value):
    return otlp.varint_field(3, value)


def trace(n):
    return bytes([0xab] * 15 + [n])


def own(n):
    return n.to_bytes(8, "big")


def genai(operation, tokens=None, **more):
    """Attributes of one operation; tokens is (input, output)."""
    found = [("gen_ai.operation.name", operation), *more.items()]
    if tokens:
        found += [("gen_ai.usage.input_tokens", number(tokens[0])),
                  ("gen_ai.usage.output_tokens", number(tokens[1]))]
    return found


class TrapTest(DaemonCase):
    def send(self, trace_id, spans):
        """spans: (number, parent's number or 0, name, attributes); one request."""
        body = otlp.request([
            otlp.span(trace_id, own(n), own(parent) if parent else b"", name,
                      start=BASE + n * MS, attributes=attributes)
            for n, parent, name, attributes in spans])
        self.assertEqual(self.daemon.post_traces(body).status, 200)

    def post(self, path, body):
        answer = self.daemon.request("POST", path, body, {"content-type": "application/x-protobuf"},
                                     port="http")
        self.assertEqual((answer.status, otlp.partial_success(answer.body)), (200, (0, "")))

    def show(self, trace_id):
        return self.daemon.cli_json("trace", "show", trace_id.hex())

    def session(self, name):
        return self.daemon.cli_json("session", "show", name)

    def spans(self, trace_id):
        return {span["name"]: span for span in self.show(trace_id)["spans"]}

    def test_trap_02_usage_of_an_agent_repeats_its_calls(self):
        self.send(trace(2), [
            (1, 0, "invoke_agent a", genai("invoke_agent", (300, 50)) + [("session.id", "trap-2")]),
            (2, 1, "chat m", genai("chat", (100, 20))), (3, 1, "chat n", genai("chat", (200, 30)))])
        for shown in (self.session("trap-2"), self.show(trace(2))):
            self.assertEqual((shown["input_tokens"], shown["output_tokens"]), (300, 50))

    def test_trap_02_usage_of_an_agent_stands_in_for_calls_that_tell_none(self):
        self.send(trace(22), [
            (1, 0, "invoke_agent a", genai("invoke_agent", (300, 50)) + [("session.id", "trap-22")]),
            (2, 1, "work", [])])
        self.assertEqual(self.session("trap-22")["input_tokens"], 300)

    def test_trap_04_milliseconds_stay_what_they_are(self):
        """Strands' attribute is in milliseconds, the metric of that name in seconds: neither is
        turned into the other."""
        self.send(trace(4), [(1, 0, "chat", genai("chat") + [
            ("gen_ai.server.time_to_first_token", number(17))])])
        points = [otlp.number_point(0.017)]
        self.post("/v1/metrics", otlp.metrics_request([
            otlp.metric(points, name="gen_ai.server.time_to_first_token")]))
        self.assertEqual(self.spans(trace(4))["chat"]["attributes"]
                         ["gen_ai.server.time_to_first_token"], 17)
        shown = self.daemon.cli_json("metric", "show", "gen_ai.server.time_to_first_token")
        self.assertEqual(shown["series"][0]["points"][0]["value"], 0.017)

    def test_trap_05_messages_in_four_forms(self):
        text = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}])
        self.send(trace(5), [
            (1, 0, "as text", genai("chat") + [("gen_ai.input.messages", text)]),
            (2, 1, "as value", genai("chat") + [("gen_ai.input.messages", otlp.nested_value(1))]),
            (3, 1, "as keys", genai("chat") + [("gen_ai.prompt.0.role", "user"),
                                               ("gen_ai.prompt.0.content", "hi")]),
            (4, 1, "as a record", genai("chat") + [("session.id", "trap-5")])])
        message = otlp.length_field(6, otlp.length_field(1, otlp.attribute("input", "hi")))
        self.post("/v1/logs", otlp.logs_request([otlp.log_record(
            message, trace_id=trace(5), span_id=own(4), attributes=[("event.name", "a.scope")])]))
        spans = self.spans(trace(5))
        self.assertEqual(spans["as text"]["attributes"]["gen_ai.input.messages"], text)
        self.assertEqual(spans["as value"]["attributes"]["gen_ai.input.messages"], ["deep"])
        self.assertEqual(spans["as keys"]["attributes"]["gen_ai.prompt.0.content"], "hi")
        logs = self.daemon.cli_json("log", "list", "--span", own(4).hex())["items"]
        self.assertEqual([(log["body"], log["session_id"], log["trace_id"], log["event_name"])
                          for log in logs],
                         [({"input": "hi"}, "trap-5", trace(5).hex(), "a.scope")])

    def test_trap_06_delta_and_cumulative_are_two_series(self):
        name = "gen_ai.client.token.usage.six"
        self.post("/v1/metrics", otlp.metrics_request([
            otlp.metric([otlp.number_point(5)], otlp.SUM, name, otlp.DELTA),
            otlp.metric([otlp.number_point(7)], otlp.SUM, name, otlp.CUMULATIVE),
            otlp.metric([otlp.exponential_point()], otlp.EXPONENTIAL_HISTOGRAM, name,
                        otlp.DELTA)]))
        series = self.daemon.cli_json("metric", "show", name)["series"]
        self.assertEqual(sorted((one["kind"], one["temporality"]) for one in series),
                         [("exponential_histogram", "delta"), ("sum", "cumulative"),
                          ("sum", "delta")])

    def test_trap_10_one_exception_as_event_and_as_record(self):
        """The span failed once, whoever else speaks of it."""
        told = [("exception.type", "ThrottlingException"), ("exception.message", "slow down")]
        event = otlp.fixed64_field(1, BASE) + otlp.length_field(2, "exception") + b"".join(
            otlp.length_field(3, otlp.attribute(*pair)) for pair in told)
        span = otlp.span(trace(10), own(1), name="chat", status=2, start=BASE,
                         attributes=genai("chat") + [("session.id", "trap-10")])
        self.assertEqual(self.daemon.post_traces(otlp.request([
            span + otlp.length_field(11, event)])).status, 200)
        self.post("/v1/logs", otlp.logs_request([otlp.log_record(
            "slow down", trace_id=trace(10), span_id=own(1), attributes=told, severity=13)]))
        shown = self.session("trap-10")
        self.assertEqual((shown["errors"], shown["logs"]), (1, 1))
        chat = self.spans(trace(10))["chat"]
        self.assertEqual((chat["error_class"], chat["error_type"]),
                         ("throttle", "ThrottlingException"))

    def test_trap_12_session_on_a_late_child_only(self):
        self.send(trace(12), [(1, 0, "root", []), (2, 1, "chat m", genai("chat", (10, 2)))])
        self.assertEqual(self.show(trace(12))["session_ids"], [])
        self.daemon.restart()
        self.post("/v1/logs", otlp.logs_request([otlp.log_record(trace_id=trace(12))]))
        self.send(trace(12), [(3, 1, "late", [("session.id", "trap-12")])])
        shown = self.session("trap-12")
        self.assertEqual((shown["spans"], shown["logs"], shown["input_tokens"]), (3, 1, 10))
        self.assertEqual({span["session_id"] for span in self.show(trace(12))["spans"]},
                         {"trap-12"})

    def test_trap_13_two_sessions_in_one_trace(self):
        self.send(trace(13), [
            (1, 0, "root", [("session.id", "trap-13a")]),
            (2, 1, "chat a", genai("chat", (10, 1))),
            (3, 1, "other", [("session.id", "trap-13b")]),
            (4, 3, "chat b", genai("chat", (20, 2)))])
        found = {name: span["session_id"] for name, span in self.spans(trace(13)).items()}
        self.assertEqual(found, {"root": "trap-13a", "chat a": "trap-13a", "other": "trap-13b",
                                 "chat b": "trap-13b"})
        self.assertEqual([self.session(name)["input_tokens"] for name in ("trap-13a", "trap-13b")],
                         [10, 20])

    def test_trap_17_content_that_is_long_or_no_utf8(self):
        long = "x" * 70_000
        bad = otlp.length_field(1, b"caf\xe9")
        self.send(trace(17), [(1, 0, "chat", genai("chat", (5, 1)) + [
            ("gen_ai.input.messages", long), ("gen_ai.output.messages", bad),
            ("session.id", "trap-17")])])
        attributes = self.spans(trace(17))["chat"]["attributes"]
        self.assertEqual(attributes["gen_ai.input.messages"], long)
        self.assertEqual(attributes["gen_ai.output.messages"], "caf\ufffd")
        self.assertEqual(self.session("trap-17")["input_tokens"], 5)

    def test_trap_19_both_generations_of_the_token_metric(self):
        """Each keeps its name, and neither is added to what the spans say."""
        self.send(trace(19), [(1, 0, "chat", genai("chat", (100, 20)) +
                               [("session.id", "trap-19")])])
        session = [("session.id", "trap-19")]
        self.post("/v1/metrics", otlp.metrics_request([
            otlp.metric([otlp.number_point(100, attributes=session)], otlp.SUM, name)
            for name in ("gen_ai.client.token.usage",
                         "gen_ai.client.inference.usage.input_tokens")]))
        listed = self.daemon.cli_json("metric", "list", "--session", "trap-19")["items"]
        self.assertEqual(sorted(item["name"] for item in listed),
                         ["gen_ai.client.inference.usage.input_tokens",
                          "gen_ai.client.token.usage"])
        self.assertEqual(self.session("trap-19")["input_tokens"], 100)

    def test_trap_20_ids_in_upper_case(self):
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [{
            "traceId": "ABCDEF0123456789ABCDEF0123456720", "spanId": "ABCDEF0123456720",
            "name": "chat", "startTimeUnixNano": str(BASE), "endTimeUnixNano": str(BASE + 1)}]}]}]}
        answer = self.daemon.post_traces(json.dumps(body).encode(), content_type="application/json")
        self.assertEqual(answer.status, 200)
        shown = self.daemon.cli_json("trace", "show", "abcdef0123456789abcdef0123456720")
        self.assertEqual(shown["spans"][0]["span_id"], "abcdef0123456720")
        again = self.daemon.cli_json("trace", "show", "ABCDEF0123456789ABCDEF0123456720")
        self.assertEqual(again["trace_id"], shown["trace_id"])

    def test_facts_are_always_there(self):
        """The members that DESIGN 4.3 lists are null where nothing is known, also of a span that is
        too long to be shown."""
        names = ("user", "agent_id", "endpoint", "conversation_id", "request_model", "response_model",
                 "provider", "tool", "tool_call_id", "target", "cache_read_tokens", "cache_write_tokens",
                 "reasoning_tokens", "error_class", "error_type", "environment", "region")
        self.send(trace(98), [(1, 0, "short", []), (2, 1, "long", [("text", "x" * (5 << 20))])])
        for span in self.spans(trace(98)).values():
            self.assertEqual([span[name] for name in names], [None] * len(names))

    def test_facts(self):
        told = [("gen_ai.system", "Anthropic"), ("gen_ai.request.model", "asked"),
                ("gen_ai.response.model", "served"), ("gen_ai.conversation.id", "talk"),
                ("gen_ai.usage.cache_read.input_tokens", number(3)), ("user.id", "ann"),
                ("gen_ai.usage.reasoning.output_tokens", number(2)), ("error.type", "429")]
        self.send(trace(97), [(1, 0, "chat", genai("chat", (9, 4)) + told)])
        chat = self.spans(trace(97))["chat"]
        self.assert_json({name: chat[name] for name in (
            "provider", "request_model", "response_model", "model", "conversation_id", "session_id",
            "user", "cache_read_tokens", "reasoning_tokens", "error_class", "error_type")}, {
                "provider": "anthropic", "request_model": "asked", "response_model": "served",
                "model": "served", "conversation_id": "talk", "session_id": "talk", "user": "ann",
                "cache_read_tokens": 3, "reasoning_tokens": 2, "error_class": "throttle",
                "error_type": "429"})

    def test_ids_in_the_forms_that_people_paste(self):
        self.send(trace(99), [(1, 0, "root", [])])
        self.post("/v1/logs", otlp.logs_request([otlp.log_record(trace_id=trace(99))]))
        whole = trace(99).hex()
        xray = f"1-{whole[:8]}-{whole[8:]}"
        for form in (xray, f"Root={xray};Parent=53995c3f42cd8ad8;Sampled=1",
                     f"00-{whole}-b7ad6b7169203331-01", whole.upper()):
            self.assertEqual(self.daemon.cli_json("trace", "show", form)["trace_id"], whole)
            logs = self.daemon.cli_json("log", "list", "--trace", form)["items"]
            self.assertEqual([log["trace_id"] for log in logs], [whole])


if __name__ == "__main__":
    unittest.main()
