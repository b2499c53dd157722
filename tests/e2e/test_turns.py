#!/usr/bin/env python3
"""A session as its conversation: what was asked and answered in every convention, tools, failures,
pages; a session of a hundred thousand spans."""
import hashlib
import json
import re
import time
import unittest

import otlp
import signals
from harness import SLOWNESS, DaemonCase, Merged

BASE = 1_700_000_000_000_000_000
MS = 10 ** 6
SESSION = "sess-turns"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MANY = 5000


def number(value):
    return otlp.varint_field(3, value)


def trace_id(n):
    return hashlib.md5(b"turn %d" % n).digest()


def span_id(n):
    return n.to_bytes(8, "big")


def messages(*pairs):
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}
                       for role, text in pairs])


def kvlist(*pairs):
    return otlp.length_field(6, b"".join(otlp.length_field(1, otlp.attribute(*p)) for p in pairs))


def array(*values):
    return otlp.length_field(5, b"".join(otlp.length_field(1, value) for value in values))


def event(name, at, *attributes):
    out = otlp.fixed64_field(1, at) + otlp.length_field(2, name)
    return otlp.length_field(11, out + b"".join(otlp.length_field(3, otlp.attribute(*a))
                                                for a in attributes))


class Conversation:
    """Spans and records of turns, one a second."""

    def __init__(self):
        self.spans, self.logs, self.wanted = [], [], []

    def turn(self, asked, answered):
        self.wanted.append((asked, answered))
        return len(self.wanted)

    def span(self, n, own, parent, name, attributes=(), events=b"", status=0):
        start = BASE + n * 1000 * MS + own * MS
        self.spans.append(otlp.span(trace_id(n), span_id(own), span_id(parent) if parent else b"",
                                    name, start, [("session.id", SESSION), *attributes],
                                    end=start + (100 - own) * MS, status=status) + events)

    def agent(self, n, attributes=(), events=b""):
        self.span(n, 1, 0, "invoke_agent clerk", [("gen_ai.operation.name", "invoke_agent"),
                                                  ("gen_ai.agent.name", "clerk"), *attributes], events)

    def model(self, n, own, attributes=(), events=b""):
        self.span(n, own, 1, "chat m", [("gen_ai.operation.name", "chat"),
                                        ("gen_ai.response.model", "model-m"),
                                        ("gen_ai.usage.input_tokens", number(100)),
                                        ("gen_ai.usage.output_tokens", number(10)), *attributes], events)


def conversation():
    talk = Conversation()
    n = talk.turn("two", "three")  # OpenTelemetry, on the agent's span
    talk.agent(n, [("gen_ai.input.messages", messages(("user", "one"), ("user", "two"))),
                   ("gen_ai.output.messages", messages(("assistant", "three")))])
    talk.model(n, 2, [("gen_ai.input.messages", messages(("user", "not this")))])
    n = talk.turn("asked first", "answered last")  # on models' calls alone, structured values
    talk.agent(n)
    for own, asked, answered in ((2, "asked first", "thinking"), (3, "later", "answered last")):
        talk.model(n, own, [
            ("gen_ai.input.messages", array(kvlist(("role", "user"), ("content", asked)))),
            ("gen_ai.output.messages", array(kvlist(("role", "assistant"), ("content", answered))))])
    n = talk.turn("strands asks", "strands answers")  # events of the agent's span
    talk.agent(n, events=event("gen_ai.user.message", 1, ("content", '[{"text":"strands asks"}]')) +
               event("gen_ai.choice", 2, ("message", '[{"text":"strands answers"}]')))
    n = talk.turn("in open", "inference")  # OpenInference, with an index in the key
    talk.agent(n)
    talk.span(n, 2, 1, "ChatOpenAI", [
        ("openinference.span.kind", "LLM"),
        ("llm.input_messages.0.message.role", "system"), ("llm.input_messages.0.message.content", "s"),
        ("llm.input_messages.10.message.role", "user"), ("llm.input_messages.10.message.content", "in open"),
        ("llm.input_messages.9.message.role", "user"), ("llm.input_messages.9.message.content", "old"),
        ("llm.output_messages.0.message.role", "assistant"),
        ("llm.output_messages.0.message.content", "inference"), ("input.value", "not this")])
    n = talk.turn("input value", "output value")  # OpenInference, of a chain
    talk.span(n, 1, 0, "chain", [("openinference.span.kind", "CHAIN"), ("input.value", "input value"),
                                 ("output.value", '{"output":"output value"}')])
    n = talk.turn("loop in", "loop out")  # OpenLLMetry
    talk.span(n, 1, 0, "flow.workflow", [
        ("traceloop.span.kind", "workflow"), ("traceloop.entity.input", '{"inputs":{"question":"loop in"}}'),
        ("traceloop.entity.output", '"loop out"')])
    n = talk.turn("prompt zero", "completion zero")
    talk.agent(n)
    talk.model(n, 2, [("gen_ai.prompt.0.role", "user"), ("gen_ai.prompt.0.content", "prompt zero"),
                      ("gen_ai.completion.0.role", "assistant"),
                      ("gen_ai.completion.0.content", "completion zero")])
    n = talk.turn("logged question", "logged answer")  # events as log records
    talk.agent(n)
    talk.logs.append(signals.log(BASE + n * 1000 * MS + 5 * MS, kvlist(("content", "logged question")), 9,
                                 (), trace_id(n), span_id(1), event="gen_ai.user.message"))
    talk.logs.append(signals.log(
        BASE + n * 1000 * MS + 6 * MS,
        kvlist(("message", kvlist(("role", "assistant"), ("content", "logged answer")))), 9, (),
        trace_id(n), span_id(1), event="gen_ai.choice"))
    n = talk.turn("moved in", "moved out")  # large content moved off the spans
    talk.agent(n)
    side = lambda role, text: kvlist(("messages", array(kvlist(("role", role), ("content", text)))))
    talk.logs.append(signals.log(
        BASE + n * 1000 * MS + 5 * MS,
        kvlist(("input", side("user", "moved in")), ("output", side("assistant", "moved out"))), 9,
        [("session.id", SESSION)], trace_id(n), span_id(1), event="strands.telemetry.tracer"))
    n = talk.turn(None, None)  # nothing is told; tools, and what failed
    talk.agent(n)
    for own in (2, 3, 4):
        talk.span(n, own, 1, "execute_tool search", [("gen_ai.operation.name", "execute_tool")],
                  otlp.length_field(15, otlp.length_field(2, "no\x1b[2J index") + otlp.varint_field(3, 2))
                  if own == 3 else b"")
    talk.span(n, 5, 1, "fetch.tool", [("traceloop.span.kind", "tool")])
    n = talk.turn("hostile\x1b[31m\u202e\nsecond line", "x" * 4095)  # cut at a character
    talk.agent(n, [("gen_ai.input.messages", messages(("user", talk.wanted[-1][0]))),
                   ("gen_ai.output.messages", messages(("assistant", "x" * 4095 + "\u00e4" * 10)))])
    return talk


def many():
    for n in range(MANY):
        for own in range(20):
            start = BASE + (n * 20 + own) * MS
            pairs = [("session.id", "sess-many"), ("gen_ai.operation.name", "chat" if own else "invoke_agent"),
                     ("gen_ai.input.messages", messages(("user", f"question {n}"))),
                     ("gen_ai.output.messages", messages(("assistant", f"answer {n}")))]
            yield otlp.span(hashlib.md5(b"many %d" % n).digest(), span_id(own + 1),
                            span_id(1) if own else b"", "chat" if own else "agent", start, pairs,
                            end=start + MS)


class TurnsTest(DaemonCase):
    @classmethod
    def prepare(cls):
        cls.talk = conversation()
        spans = list(many())
        bodies = [otlp.request(cls.talk.spans)]
        bodies += [otlp.request(spans[i:i + 10000]) for i in range(0, len(spans), 10000)]
        for body in bodies:
            answer = cls.daemon.post_traces(body)
            assert answer.status == 200, answer.body
        answer = signals.post(cls.daemon, "/v1/logs", signals.request(cls.talk.logs, service="shop"))
        assert answer.status == 200, answer.body

    def turns(self, query="", session=SESSION):
        return self.daemon.api(f"sessions/{session}/turns{query}")

    def test_what_was_said(self):
        turns = self.turns()["items"]
        self.assertEqual([turn["number"] for turn in turns], list(range(len(turns), 0, -1)))
        for turn, wanted in zip(reversed(turns), self.talk.wanted):
            with self.subTest(wanted=wanted):
                self.assertEqual((turn["asked"], turn["answered"]), wanted)
        self.assertEqual([turn["answered_cut"] for turn in turns], [True] + [False] * (len(turns) - 1))

    def test_figures(self):
        answer = self.turns()
        turns = {turn["number"]: turn for turn in answer["items"]}
        tools = turns[10]
        self.assertEqual((tools["tool_calls"], tools["errors"], tools["agent"]), (4, 1, "clerk"))
        self.assertEqual(tools["tools"], [{"name": "search", "calls": 3, "errors": 1},
                                          {"name": "fetch", "calls": 1, "errors": 0}])
        self.assertEqual(tools["failed"], [{"span_id": span_id(3).hex(), "name": "execute_tool search",
                                            "status_message": "no\x1b[2J index"}])
        self.assertEqual(turns[2]["models"], [{"name": "model-m", "calls": 2, "errors": 0}])
        # All turns add up to the session.
        for key in ("spans", "errors", "model_calls", "tool_calls", "input_tokens", "output_tokens"):
            self.assertEqual(sum(turn[key] for turn in turns.values()), answer[key], key)
        shown = self.daemon.api("sessions/" + SESSION)
        for key in set(shown) - {"trace_list"}:
            self.assert_json(answer[key], shown[key], key)

    def test_pages(self):
        whole = self.turns()
        self.assertEqual((whole["total"], whole["next_cursor"]), (11, None))
        seen, cursor = [], ""
        while True:
            page = self.turns("?limit=4" + cursor)
            seen += page["items"]
            if not page["next_cursor"]:
                break
            cursor = "&cursor=" + page["next_cursor"]
        self.assert_json(seen, whole["items"])
        bounds = f"?since={BASE + 3000 * MS}&until={BASE + 6000 * MS}"
        numbers = [turn["number"] for turn in self.turns(bounds)["items"]]
        self.assertEqual(numbers, [5, 4, 3])
        for query, field in (("?cursor=00", "cursor"), ("?limit=0", "limit"), ("?nope=1", "nope")):
            answer = self.daemon.get(f"/api/v1/sessions/{SESSION}/turns{query}")
            self.assertEqual((answer.status, answer.json()["error"]["field"]), (400, field))
        self.assertEqual(self.daemon.get("/api/v1/sessions/nobody/turns").status, 404)

    def test_text(self):
        for width in ("40", "100"):
            text = self.daemon.cli("session", "show", SESSION, env={"COLUMNS": width})
            self.assertIsNone(CONTROL.search(text))
            body = text[text.index("\nturn 1 "):]
            lines = [line for line in body.splitlines() if not line.startswith("turn")]
            self.assertLessEqual(max(map(len, lines)), int(width))
        self.assertRegex(text, r"(?m)^turn 1  2023-11-14T22:13:21Z  99ms  trace [0-9a-f]{12}\u2026$")
        self.assertRegex(text, r"(?m)^  user:    two$\n  agent:   three$\n  by:      clerk$\n"
                               r"  models:  model-m$\n  tokens:  100 in, 10 out$")
        self.assertRegex(text, r"(?m)^  tools:   search \u00d73 \(1 error\), fetch$\n"
                               r"  !:       execute_tool search: no\\x1b\[2J index$")
        self.assertRegex(text, r"(?m)^  user:    hostile\\x1b\[31m\\u\{202e\}$\n           second line$")
        self.assertLess(text.index("turn 1 "), text.index("turn 2 "))
        listed = self.daemon.cli_json("session", "show", SESSION)
        self.assertEqual(len(listed["trace_list"]), 11)
        self.assertEqual(len(self.daemon.cli_json("session", "show", SESSION, "--limit", "2")["items"]), 2)

    def test_a_hundred_thousand(self):
        started = time.monotonic()
        text = self.daemon.cli("session", "show", "sess-many")
        # A second on a machine that has nothing else to do.
        self.assertLess(time.monotonic() - started, 6 * SLOWNESS)
        self.assertRegex(text, r"(?m)^  holds +5000 traces, 100000 spans,")
        self.assertIn("100 of 5000 turns", text)
        self.assertRegex(text, r"(?m)^turn 5000 .*\n  user:    question 4999$\n  agent:   answer 4999$")


class MergedTurnsTest(Merged, TurnsTest):
    """The same of merged segments."""


if __name__ == "__main__":
    unittest.main()
