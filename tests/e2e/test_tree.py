#!/usr/bin/env python3
"""A trace as a person reads it: repeats folded, the critical path, failures and log records in
place, in as many columns as there are, also of a hundred thousand spans."""
import re
import time
import unittest

import otlp
import signals
from harness import SLOWNESS, DaemonCase, Merged

BASE = 1_700_000_000_000_000_000
MS = 10 ** 6
TRACE = bytes.fromhex("aaaa0000000000000000000000000001")
ODD = bytes.fromhex("bbbb0000000000000000000000000002")
LARGE = bytes.fromhex("cccc0000000000000000000000000003")
WIDE = bytes.fromhex("dddd0000000000000000000000000004")
DEEP = bytes.fromhex("eeee0000000000000000000000000005")
HOSTILE = "evil\x1b[31m\r\n\u202e" + "x" * 150
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LARGE_COUNT = 100_000
# More than the rows of an answer, and nobody folds a chain.
DEEP_COUNT = 1500


def span_id(n):
    return n.to_bytes(8, "big")


def number(value):
    return otlp.varint_field(3, value)


def failed(message):
    return otlp.length_field(15, otlp.length_field(2, message) + otlp.varint_field(3, 2))


def span(n, parent, name, start, end, trace=TRACE, attributes=(), message=None):
    out = otlp.span(trace, span_id(n), span_id(parent) if parent else b"", name, BASE + start * MS,
                    attributes, end=BASE + end * MS)
    return out + (failed(message) if message is not None else b"")


def operation(name, *more):
    return [("gen_ai.operation.name", name), *more]


def agent_trace():
    spans = [span(1, 0, "invoke_agent clerk", 0, 1000, attributes=operation(
        "invoke_agent", ("gen_ai.agent.name", "clerk"), ("session.id", "sess-tree")))]
    spans.append(span(2, 1, "chat gpt-x", 10, 310, attributes=operation(
        "chat", ("gen_ai.response.model", "gpt-x"), ("gen_ai.usage.input_tokens", number(900)),
        ("gen_ai.usage.output_tokens", number(80)))))
    for n in range(40):
        spans.append(span(100 + n, 1, "execute_tool get_weather", 320 + n * 10, 325 + n * 10,
                          attributes=operation("execute_tool"),
                          message="timed out" if n in (7, 30) else None))
    spans.append(span(3, 1, "execute_tool " + HOSTILE, 730, 740, attributes=operation("execute_tool"),
                      message="no\x1b[2Jsuch tool"))
    return spans


def deep():
    """A chain: each waits for the next, and the last does the work."""
    last = DEEP_COUNT - 1
    return [span(n + 1, n, "the work" if n == last else f"hop {n}", n, 30_000 - n, DEEP)
            for n in range(DEEP_COUNT)]


def records():
    return [signals.log(BASE + 20 * MS, "asking the model", 9, (), TRACE, span_id(2)),
            signals.log(BASE + 735 * MS, "tool\x1b[31m missing\nsecond line", 17, (), TRACE, span_id(3)),
            signals.log(BASE + 990 * MS, "of no span", 13, (), TRACE)]


def large(trace, name, count=LARGE_COUNT):
    pad = [("pad", "x" * 200)]
    yield span(1, 0, "root", 0, count, trace)
    for n in range(2, count + 1):
        yield span(n, 1, name(n), n - 2, n - 1, trace, pad, "late" if n % 1000 == 0 else None)


class TreeTest(DaemonCase):
    @classmethod
    def prepare(cls):
        odd = [span(1, 99, "orphan", 0, 10, ODD), span(2, 3, "circle a", 1, 2, ODD),
               span(3, 2, "circle b", 2, 3, ODD), span(4, 4, "itself", 3, 4, ODD)]
        bodies = [otlp.request(agent_trace()), otlp.request(odd), otlp.request(deep())]
        for trace, name in ((LARGE, lambda n: "step"), (WIDE, lambda n: f"step {n}")):
            spans = list(large(trace, name))
            bodies += [otlp.request(spans[i:i + 10000]) for i in range(0, len(spans), 10000)]
        for body in bodies:
            answer = cls.daemon.post_traces(body)
            assert answer.status == 200, answer.body
        answer = signals.post(cls.daemon, "/v1/logs", signals.request(records(), service="shop"))
        assert answer.status == 200, answer.body

    def tree(self, trace, query=""):
        return self.daemon.api(f"traces/{trace.hex()}/tree{query}")

    def rows(self, trace, query=""):
        return [(row["depth"], row.get("name", row.get("text")), row["count"])
                for row in self.tree(trace, query)["rows"]]

    def test_rows(self):
        rows = self.rows(TRACE)
        self.assertEqual(rows, [
            (0, "invoke_agent clerk", 1), (1, "chat gpt-x", 1), (2, "asking the model", 1),
            (1, "execute_tool get_weather", 40), (1, "execute_tool " + HOSTILE, 1),
            (2, "tool\x1b[31m missing\nsecond line", 1), (0, "of no span", 1)])

    def test_numbers(self):
        tree = self.tree(TRACE)
        by_name = {row.get("name"): row for row in tree["rows"]}
        folded = by_name["execute_tool get_weather"]
        self.assertEqual((folded["errors"], folded["tool"], folded["operation_kind"]),
                         (2, "get_weather", "tool"))
        self.assertEqual([f["status_message"] for f in folded["failed"]], ["timed out"] * 2)
        self.assertEqual([f["span_id"] for f in folded["failed"]],
                         [span_id(107).hex(), span_id(130).hex()])
        self.assert_json((folded["duration_ms"], folded["shortest_ms"], folded["longest_ms"]),
                         (200.0, 5.0, 5.0))
        model = by_name["chat gpt-x"]
        self.assertEqual((model["input_tokens"], model["output_tokens"], model["model"],
                          model["agent"]), (900, 80, "gpt-x", "clerk"))
        # Each moment of the trace belongs to one span.
        self.assert_json(sum(row.get("critical_ms", 0) for row in tree["rows"]), 1000.0)
        self.assert_json((model["critical_ms"], folded["critical_ms"]), (300.0, 200.0))

    def test_critical_top(self):
        tree = self.tree(TRACE)
        self.assertEqual([(top["name"], top["count"]) for top in tree["critical_top"]],
                         [("invoke_agent clerk", 1), ("chat gpt-x", 1),
                          ("execute_tool get_weather", 40), ("execute_tool " + HOSTILE, 1)])
        self.assertEqual([top["span_id"] for top in tree["critical_top"][:2]],
                         [span_id(1).hex(), span_id(2).hex()])
        self.assert_json([top["critical_ms"] for top in tree["critical_top"]],
                         [490.0, 300.0, 200.0, 10.0])

    def test_what_took_longest_has_no_row(self):
        for rows in (10, 1000):
            tree = self.tree(DEEP, f"?rows={rows}")
            self.assertNotIn("the work", [row["name"] for row in tree["rows"]])
            top = tree["critical_top"]
            self.assertEqual(len(top), 10)
            self.assert_json((top[0]["name"], top[0]["critical_ms"]), ("the work", 27002.0))
        text = self.daemon.cli("trace", "show", DEEP.hex(), env={"COLUMNS": "160"})
        self.assertRegex(text, r"(?m)^  critical +the work 27.00s \(90 %\), hop 0 2.00ms \(0 %\), ")

    def test_head_agrees_with_the_trace(self):
        for trace in (TRACE, ODD):
            tree, shown = self.tree(trace), self.daemon.api("traces/" + trace.hex())
            for key in set(shown) - {"spans", "logs"}:
                self.assert_json(tree[key], shown[key], key)

    def test_odd_parents(self):
        tree = self.tree(ODD)
        self.assertEqual([(row["depth"], row["name"], row["note"]) for row in tree["rows"]],
                         [(0, "orphan", "orphan"), (0, "circle a", "cycle"), (1, "circle b", None),
                          (0, "itself", "cycle")])
        text = self.daemon.cli("trace", "show", ODD.hex())
        self.assertIn("(parent not stored)", text)
        self.assertIn("(its own ancestor)", text)

    def test_parameters(self):
        self.assertEqual(len(self.rows(TRACE, "?unfold=true")), 46)
        few = self.tree(TRACE, "?rows=2")
        self.assertEqual([row["name"] for row in few["rows"]],
                         ["invoke_agent clerk", "execute_tool get_weather"])
        self.assertEqual(few["rows"][0]["hidden"], {"spans": 2, "errors": 1, "logs": 2})
        self.assertEqual(few["hidden"], {"spans": 0, "errors": 0, "logs": 1})
        for query, field in (("rows=0", "rows"), ("rows=10001", "rows"), ("rows=x", "rows"),
                             ("unfold=1", "unfold"), ("limit=1", "limit"), ("rows=", "rows")):
            answer = self.daemon.get(f"/api/v1/traces/{TRACE.hex()}/tree?{query}")
            self.assertEqual((answer.status, answer.json()["error"]["field"]), (400, field))
        self.assertEqual(self.daemon.get("/api/v1/traces/abcdefabcdef/tree").status, 404)

    def test_text(self):
        text = self.daemon.cli("trace", "show", "aaaa0000", env={"COLUMNS": "160"})
        self.assertRegex(text, r"(?m)^  critical +invoke_agent clerk 490ms \(49 %\), chat gpt-x 300ms"
                               r" \(30 %\), \u00d740 execute_tool get_weather 200ms \(20 %\)$")
        self.assertRegex(text, r"(?m)^\*invoke_agent clerk +\u2588{20}  agent ")
        self.assertRegex(text, r"(?m)^\u251c \*chat gpt-x +\u2588{7} +model .* 900 +80  gpt-x ")
        self.assertRegex(text, r"(?m)^\u2502 \u2514 - asking the model .* INFO$")
        self.assertRegex(text, r"(?m)^\u251c \*\u00d740 execute_tool get_weather: 38 ok, 2 errors")
        self.assertRegex(text, r"(?m)^\u2502 \u251c ! timed out .* 000000000000006b$")
        self.assertRegex(text, r"(?m)^  \u2514 - tool\\x1b\[31m missing ")
        self.assertNotIn("second line", text)
        self.assertIsNone(CONTROL.search(text))
        text = self.daemon.cli("trace", "show", "aaaa0000", "--unfold", "--rows", "3",
                               env={"COLUMNS": "100"})
        self.assertRegex(text, r"(?m)^\u2514 \u2026 40 more spans")

    def test_fits(self):
        for columns in (40, 60, 80, 100, 132, 200):
            for trace in (TRACE, ODD, WIDE, DEEP):
                text = self.daemon.cli("trace", "show", trace.hex(), env={"COLUMNS": str(columns)})
                table = text[text.index("\nSPAN"):]
                self.assertLessEqual(max(map(len, table.splitlines())), columns)

    def test_json(self):
        shown = self.daemon.cli_json("trace", "show", TRACE.hex())
        self.assertEqual(len(shown["spans"]), 43)
        few = self.daemon.cli_json("trace", "show", TRACE.hex(), "--rows", "2")
        self.assertEqual(len(few["rows"]), 2)

    def test_a_hundred_thousand(self):
        for trace in (LARGE, WIDE):
            started = time.monotonic()
            text = self.daemon.cli("trace", "show", trace.hex(), env={"COLUMNS": "120"})
            # A second on a machine that has nothing else to do.
            self.assertLess(time.monotonic() - started, 6 * SLOWNESS)
            self.assertRegex(text, r"(?m)^  holds +100000 spans, 0 logs, 100 errors$")
            self.assertLess(len(text.splitlines()), 1120)
        folded = self.tree(LARGE)["rows"]
        self.assertEqual([(row["name"], row["count"]) for row in folded],
                         [("root", 1), ("step", LARGE_COUNT - 1)])
        rows = self.tree(WIDE)["rows"]
        self.assertEqual(len(rows), 1000)
        # The failures are all there, and what is left out is counted.
        self.assertEqual(sum(row["errors"] for row in rows), 100)
        self.assertEqual(rows[0]["hidden"]["spans"], LARGE_COUNT - 1000)


class MergedTreeTest(Merged, TreeTest):
    """The same of merged segments."""


if __name__ == "__main__":
    unittest.main()
