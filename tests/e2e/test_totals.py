#!/usr/bin/env python3
"""Totals agree to the unit, wherever they are told: session list and show, turns, trace list, show
and tree, and what the spans and log records themselves say."""
import hashlib
import unittest

import otlp
import signals
from captures import send_capture
from harness import Case, Daemon, trace_captures, wait_for

BASE = 1_700_000_000_000_000_000
MS = 10 ** 6
COUNTS = ("spans", "errors", "model_calls", "tool_calls", "input_tokens", "output_tokens")


def number(value):
    return otlp.varint_field(3, value)


def span_id(n):
    return n.to_bytes(8, "big")


def trace_id(text):
    return hashlib.md5(text.encode()).digest()


def span(trace, own, parent=0, kind=None, session=None, tokens=None, status=0, start=None):
    attributes = [("gen_ai.operation.name", kind)] if kind else []
    attributes += [("session.id", session)] if session else []
    if tokens:
        attributes += [("gen_ai.usage.input_tokens", number(tokens[0])),
                       ("gen_ai.usage.output_tokens", number(tokens[1]))]
    start = BASE + (own if start is None else start) * MS
    return otlp.span(trace_id(trace), span_id(own), span_id(parent) if parent else b"", f"op {own}", start,
                     attributes, status, start + 50 * MS)


def log(trace, at, own=0, session=None, severity=9):
    pairs = [("session.id", session)] if session else []
    return signals.log(BASE + at * MS, "said", severity, pairs, trace_id(trace), span_id(own) if own else b"")


def late_session():
    """The only span that names the session comes last, in a request of its own."""
    yield [span("late", 1, 0, "invoke_agent"), span("late", 2, 1, "chat", None, (10, 1))], []
    yield [], [log("late", 3, 2), log("late", 4)]
    yield [span("late", 3, 2, "execute_tool", "sess-late", None, 2)], []


def split_requests():
    """A trace in as many requests as it has spans, children first, each twice."""
    spans = [span("split", 1, 0, "invoke_agent", "sess-split", (99, 9)), span("split", 2, 1, "chat", None, (20, 2)),
             span("split", 3, 2, "chat", None, (7, 3)), span("split", 4, 1, "execute_tool", None, None, 2)]
    for one in reversed(spans):
        yield [one], []
        yield [one], [log("split", 5, 4)]


def cached_tokens():
    """A framework and the SDK below it speak of the same two calls; the SDK leaves out what was
    cached, and of the second call its span comes first."""
    yield [span("cached", 1, 0, "invoke_agent", "sess-cached", (310, 50)),
           span("cached", 2, 1, "chat", None, (100, 20)), span("cached", 3, 2, "chat", None, (100, 20)),
           span("cached", 5, 4, "chat", None, (150, 30))], []
    yield [span("cached", 4, 1, "chat", None, (210, 30))], []


def two_sessions():
    """Each of its own, what is above them of the root-most."""
    yield [span("two", 1, 0, "invoke_workflow"), span("two", 2, 1, "invoke_agent", "sess-a", (1000, 100)),
           span("two", 3, 2, "chat", None, (30, 3)), span("two", 4, 1, "invoke_agent", "sess-b"),
           span("two", 5, 4, "chat", None, (40, 4)), span("two", 6, 5, "execute_tool", "sess-a", None, 2)], []
    yield [span("more", 1, 0, "invoke_agent", "sess-a", (5, 6))], [log("two", 7, 5), log("two", 8, 9, "sess-b"),
                                                                   log("none", 9, 0, "sess-a")]


def odd_trees():
    """A cycle, an orphan, a copy of a span that differs."""
    yield [span("odd", 1, 2, "chat", "sess-odd", (1, 2)), span("odd", 2, 1, "chat", None, (3, 4)),
           span("odd", 3, 99, "chat", None, (5, 6), 2), span("odd", 3, 99, "chat", "sess-odd", (50, 60))], []


CASES = [late_session, split_requests, cached_tokens, two_sessions, odd_trees]


class TotalsTest(Case):
    def send(self, daemon, part):
        spans, logs = part
        if spans:
            self.assertEqual(daemon.post_traces(otlp.request(spans)).status, 200)
        if logs:
            self.assertEqual(signals.post(daemon, "/v1/logs", signals.request(logs)).status, 200)

    def pages(self, daemon, path):
        """Everything in small pages."""
        seen, cursor, mark = [], "", "&" if "?" in path else "?"
        while True:
            page = daemon.api(f"{path}{mark}limit=7{cursor}")
            seen += page["items"]
            if not page["next_cursor"]:
                return seen
            cursor = "&cursor=" + page["next_cursor"]

    # ---- a model of the rules, from the spans as they are shown -----------------------------------

    def ancestors(self, span, by_id):
        seen, at = {span["span_id"]}, by_id.get(span["parent_span_id"])
        while at and at["span_id"] not in seen:
            seen.add(at["span_id"])
            yield at
            at = by_id.get(at["parent_span_id"])

    def model_calls(self, spans):
        """Model spans without one below."""
        by_id = {s["span_id"]: s for s in spans}
        models = [s for s in spans if s["operation_kind"] == "model"]
        above = {up["span_id"] for s in models for up in self.ancestors(s, by_id)}
        return [s for s in models if s["span_id"] not in above]

    def tool_calls(self, spans):
        """Tool spans that do not only carry out another one's call."""
        by_id = {s["span_id"]: s for s in spans}
        deciding = ("tool", "agent", "workflow", "model")
        nearest = ((s, next((up["operation_kind"] for up in self.ancestors(s, by_id)
                             if up["operation_kind"] in deciding), None)) for s in spans)
        return [s for s, kind in nearest if s["operation_kind"] == "tool" and kind != "tool"]

    def token_spans(self, spans):
        """Leaf model spans; without any the outermost agent that reports tokens."""
        by_id = {s["span_id"]: s for s in spans}
        leaves = self.model_calls(spans)
        if leaves:
            return leaves
        agents = [s for s in spans if s["operation_kind"] == "agent" and s["input_tokens"] is not None]

        def depth(s):
            steps, at = 0, by_id.get(s["parent_span_id"])
            while at and steps < len(spans):
                steps, at = steps + 1, by_id.get(at["parent_span_id"])
            return steps, int(s["start_unix_nano"]), s["span_id"]
        return sorted(agents, key=depth)[:1]

    def tokens(self, leaf, spans):
        """Of the leaf, or of a model above it that speaks of the same call and says no less."""
        by_id = {s["span_id"]: s for s in spans}
        counts = [leaf["input_tokens"] or 0, leaf["output_tokens"] or 0]
        for up in self.ancestors(leaf, by_id):
            below = [s for s in self.model_calls(spans)
                     if any(above is up for above in self.ancestors(s, by_id))]
            if leaf["operation_kind"] != "model" or len(below) != 1 or \
                    up["operation_kind"] in ("agent", "workflow", "tool"):
                break
            told = [up["input_tokens"] or 0, up["output_tokens"] or 0]
            if up["operation_kind"] == "model" and all(t >= c for t, c in zip(told, counts)):
                counts = told
        return counts

    def figures(self, spans):
        counting = [self.tokens(s, spans) for s in self.token_spans(spans)]
        return {"spans": len(spans), "errors": sum(s["status"] == "ERROR" for s in spans),
                "model_calls": len(self.model_calls(spans)),
                "tool_calls": len(self.tool_calls(spans)),
                "input_tokens": sum(counts[0] for counts in counting),
                "output_tokens": sum(counts[1] for counts in counting)}

    # ---- comparisons ------------------------------------------------------------------------------

    def check_trace(self, daemon, listed):
        shown = daemon.api("traces/" + listed["trace_id"])
        tree = daemon.api(f"traces/{listed['trace_id']}/tree?rows=3")
        for key in set(listed) - {"spans", "logs"}:
            self.assert_json(shown[key], listed[key], key)
            self.assert_json(tree[key], listed[key], key)
        for head in (shown, tree):
            self.assertEqual((head["span_count"], head["log_count"]), (listed["spans"], listed["logs"]))
        if listed["trace_id"] != trace_id("odd").hex():  # where a cycle is cut is the store's
            wanted = self.figures(shown["spans"])
            self.assertEqual({key: listed[key] for key in COUNTS}, wanted)
        self.assertEqual(len(shown["logs"]), listed["logs"])
        rows = [row for row in tree["rows"] if row["type"] == "span"]
        self.assertEqual(sum(row["count"] + row["hidden"]["spans"] for row in rows) + tree["hidden"]["spans"],
                         listed["spans"])
        self.assertEqual(sum(row["errors"] + row["hidden"]["errors"] for row in rows) +
                         tree["hidden"]["errors"], listed["errors"])
        return shown

    def check_session(self, daemon, listed, traces, logs):
        name = listed["session_id"]
        shown = daemon.api("sessions/" + name)
        for key in listed:
            self.assert_json(shown[key], listed[key], key)
        turns = self.pages(daemon, f"sessions/{name}/turns")
        self.assertEqual([t["trace_id"] for t in turns], [t["trace_id"] for t in shown["trace_list"]])
        self.assertEqual(len(turns), listed["traces"])
        for key in COUNTS:
            self.assertEqual(sum(turn[key] for turn in turns), listed[key], f"{key} of {name}")
        for trace in shown["trace_list"]:
            self.assert_json(trace, traces[trace["trace_id"]][0])
        own = [s for _, t in traces.values() for s in t["spans"] if s["session_id"] == name]
        self.assertEqual(len(own), listed["spans"])
        self.assertEqual(sum(s["status"] == "ERROR" for s in own), listed["errors"])
        self.assertEqual(sum(record["session_id"] == name for record in logs), listed["logs"])

    def check(self, daemon):
        traces = {t["trace_id"]: (t, self.check_trace(daemon, t)) for t in self.pages(daemon, "traces")}
        logs = self.pages(daemon, "logs")
        sessions = self.pages(daemon, "sessions")
        self.assertEqual([s["session_id"] for s in sessions],
                         [s["session_id"] for s in daemon.api("sessions?limit=1000")["items"]])
        for session in sessions:
            self.check_session(daemon, session, traces, logs)
        named = {s["session_id"] for _, t in traces.values() for s in t["spans"]} - {None}
        self.assertLessEqual(named, {s["session_id"] for s in sessions})
        return sessions

    def test_cases(self):
        """After each request, also where a start lies between them, and merged."""
        with Daemon(arguments=["--merge-after", "1s"]) as daemon:
            for case in CASES:
                for part in case():
                    with self.subTest(case=case.__name__):
                        self.send(daemon, part)
                        self.check(daemon)
                daemon.restart()
                self.check(daemon)
            before = self.check(daemon)
            wait_for("merging", lambda: not daemon.api("status")["store"]["unmerged_bytes"], 60)
            self.assert_json(self.check(daemon), before)
            sessions = {s["session_id"]: s for s in before}
            rows = {"sess-late": (1, 3, 2, 1, 10, 1), "sess-split": (1, 4, 1, 1, 7, 3),
                    "sess-cached": (1, 5, 0, 0, 310, 50),
                    "sess-a": (2, 5, 1, 1, 35, 9), "sess-b": (1, 2, 2, 0, 40, 4)}
            for name, wanted in rows.items():
                found = sessions[name]
                self.assertEqual((found["traces"], found["spans"], found["logs"], found["errors"],
                                  found["input_tokens"], found["output_tokens"]), wanted, name)

    def test_captures(self):
        with Daemon() as daemon:
            for capture in trace_captures():
                send_capture(daemon, capture)
            before = self.check(daemon)
            self.assertGreater(len(before), 1)
            for capture in trace_captures():
                send_capture(daemon, capture)
            self.assert_json(self.check(daemon), before)
            daemon.restart()
            self.assert_json(self.check(daemon), before)


if __name__ == "__main__":
    unittest.main()
