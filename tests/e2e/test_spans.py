#!/usr/bin/env python3
"""Spans found by what they carry: filters, attributes of every type, pages, the table."""
import unittest
from urllib.parse import quote

import otlp
import signals
from follower import Follower
from harness import DaemonCase

BASE = 1_700_000_000_000_000_000
MS = 10 ** 6
TRACE = bytes.fromhex("abcdef00000000000000000000000001")
OTHER = bytes.fromhex("12345600000000000000000000000002")
HOSTILE = "name\x1b[31m\u202e"


def number(value):
    return otlp.varint_field(3, value % (1 << 64))


def span_id(n):
    return n.to_bytes(8, "big")


def enclosed(spans, resource, scope):
    """One resource and one scope with attributes of their own."""
    resource = b"".join(otlp.length_field(1, otlp.attribute(*pair)) for pair in resource)
    scope = otlp.length_field(1, "a.scope") + b"".join(
        otlp.length_field(3, otlp.attribute(*pair)) for pair in scope)
    content = otlp.length_field(1, scope) + b"".join(otlp.length_field(2, span) for span in spans)
    return otlp.length_field(1, otlp.length_field(1, resource) + otlp.length_field(2, content))


class SpanTest(DaemonCase):
    @classmethod
    def prepare(cls):
        attributes = {
            1: [("http.route", "/orders"), ("session.id", "sess-1"), ("http.status_code", number(200))],
            2: [("http.route", "/orders"), ("http.status_code", number(500)),
                ("ratio", otlp.double_field(4, 5.0)), ("gen_ai.agent.name", "clerk")],
            3: [("http.route", "/orders"), ("http.route", "/overridden"), ("user.id", "ann"),
                ("gen_ai.operation.name", "chat"), ("gen_ai.response.model", "model-a")],
            4: [("gen_ai.operation.name", "execute_tool"), ("retry", otlp.varint_field(2, 1)), ("odd key=?&", "a=b&c d/\u00e4"), ("empty", "")],
            5: [("list", otlp.nested_value(1)), ("number as text", "200"),
                ("large", number(9007199254740993)), ("minus", number(-1))],
        }
        spans = [otlp.span(TRACE if n < 4 else OTHER, span_id(n), name=HOSTILE if n == 5 else f"op {n % 2}",
                           start=BASE + n * MS, end=BASE + n * MS + n * 100 * MS,
                           status=2 if n == 2 else 1, attributes=pairs)
                 for n, pairs in attributes.items()]
        bodies = [enclosed(spans[:3], [("service.name", "shop"), ("region", "north")], [("tier", "web")]),
                  enclosed(spans[3:], [("service.name", "bank"), ("region", "south")], [])]
        answers = [cls.daemon.post_traces(body) for body in bodies + bodies[:1]]
        assert all(answer.status == 200 for answer in answers), answers
        assert cls.daemon.api("status")["stored"]["spans"] == 5

    def found(self, query):
        return [int(item["span_id"], 16) for item in self.daemon.api("spans" + query)["items"]]

    def test_shape(self):
        """The span as its trace shows it, and the trace's id."""
        listed = self.daemon.api("spans")
        self.assertEqual(sorted(listed), ["items", "next_cursor", "total"])
        self.assertEqual(self.found(""), [5, 4, 3, 2, 1])
        shown = {span["span_id"]: span for trace in (TRACE, OTHER)
                 for span in self.daemon.api("traces/" + trace.hex())["spans"]}
        for item in listed["items"]:
            trace_id = item.pop("trace_id")
            self.assertEqual(trace_id, (TRACE if int(item["span_id"], 16) < 4 else OTHER).hex())
            wanted = dict(shown[item["span_id"]])
            own = item["attributes"].get("session.id"), item["attributes"].get("gen_ai.agent.name")
            wanted["session_id"], wanted["agent"] = own
            self.assert_json(item, wanted)

    def test_filters(self):
        rows = {
            "?service=shop": [3, 2, 1], "?service=none": [], "?errors=true": [2],
            "?errors=false": [5, 4, 3, 2, 1], "?session=sess-1": [1], "?session=sess": [],
            "?agent=clerk": [2], "?name=op+1": [3, 1], "?name=op": [],
            "?duration_min_ms=300": [5, 4, 3], "?duration_min_ms=300.0001": [5, 4],
            f"?since={BASE + 3 * MS}": [5, 4, 3], f"?until={BASE + 3 * MS}": [2, 1],
            f"?since={BASE + 2 * MS}&until={BASE + 4 * MS}&service=shop": [3, 2],
            "?service=shop&name=op+1&duration_min_ms=200": [3],
            "?user=ann": [3], "?user=an": [], "?model=model-a": [3], "?model=model-b": [],
            "?user=ann&model=model-a&name=op+1": [3], "?user=ann&service=bank": [],
            "?tool=op+0": [4], "?tool=op+1": [], "?tool=op": [], "?tool=" + "t" * 200: [],
            "?duration_max_ms=300": [3, 2, 1], "?duration_max_ms=299.9999": [2, 1],
            "?duration_max_ms=0": [], "?duration_min_ms=200&duration_max_ms=300": [3, 2],
        }
        for query, wanted in rows.items():
            with self.subTest(query=query):
                self.assertEqual(self.found(query), wanted)

    def test_attributes(self):
        rows = {
            ("http.route=/orders",): [2, 1],  # the last of equal keys counts
            ("http.route=/overridden",): [3],
            ("http.status_code=200",): [1], ("http.status_code=500",): [2],
            ("number as text=200",): [5],
            ("ratio=5.0",): [2], ("ratio=5",): [],
            ("retry=true",): [4], ("retry=True",): [],
            ("odd key=?&=a",): [], ("empty=",): [4], ("list=",): [], ("minus=-1",): [5],
            ("large=9007199254740993",): [5], ("large=9007199254740992",): [],
            ("region=north",): [3, 2, 1], ("region=south",): [5, 4], ("tier=web",): [3, 2, 1],
            ("service.name=bank",): [5, 4],
            ("region=north", "http.route=/orders"): [2, 1],
            ("region=north", "http.route=/orders", "http.status_code=500"): [2],
            ("region=south", "tier=web"): [],
            ("http.route=/orders", "http.route=/orders"): [2, 1],
            ("HTTP.ROUTE=/orders",): [], ("http.route=/order",): [],
        }
        for wanted, ids in rows.items():
            with self.subTest(wanted=wanted):
                query = "&".join("attribute=" + quote(text) for text in wanted)
                self.assertEqual(self.found("?" + query), ids)
        # The first "=" ends the key.
        self.assertEqual(self.found("?attribute=" + quote("odd key=?&=a=b&c d/\u00e4")), [])

    def test_after_a_restart(self):
        self.daemon.restart()
        self.assertEqual(self.found("?attribute=http.status_code%3D500"), [2])

    def test_pages(self):
        for query in ("?limit=2", "?limit=1&attribute=region=north"):
            seen, cursor = [], ""
            for _ in range(10):
                page = self.daemon.api("spans" + query + cursor)
                seen += [item["span_id"] for item in page["items"]]
                if not page["next_cursor"]:
                    break
                cursor = "&cursor=" + page["next_cursor"]
            whole = self.daemon.api("spans" + query.replace("limit=", "limit=90"))["items"]
            self.assertEqual(seen, [item["span_id"] for item in whole])

    def test_refusals(self):
        nine = "&".join(["attribute=a=b"] * 9)
        rows = {"?nope=1": "nope", "?service=a&service=b": "service", "?name=": "name",
                "?errors=yes": "errors", "?duration_min_ms=-1": "duration_min_ms",
                "?duration_min_ms=1e3": "duration_min_ms", "?duration_min_ms=.": "duration_min_ms",
                "?duration_min_ms=99999999999": "duration_min_ms", "?duration_max_ms=x": "duration_max_ms",
                "?duration_min_ms=5&duration_max_ms=4": "duration_max_ms", "?tool=": "tool", "?attribute=key": "attribute",
                "?attribute==value": "attribute", "?attribute=": "attribute", "?" + nine: "attribute",
                "?cursor=l00": "cursor", "?limit=0": "limit", "?attribute=a=%zz": "attribute"}
        for query, field in rows.items():
            with self.subTest(query=query):
                answer = self.daemon.get("/api/v1/spans" + query)
                self.assertEqual(answer.status, 400, answer.body)
                self.assertEqual(answer.json()["error"]["field"], field)
        self.assertEqual(self.daemon.get("/api/v1/metrics?attribute=a=b").status, 400)
        self.assertEqual(self.daemon.get("/api/v1/logs?attribute=a").status, 400)

    def test_command(self):
        listed = self.daemon.cli_json("span", "list", "--attribute", "region=north", "--attribute",
                                      "http.route=/orders", "--errors", "--duration-min-ms", "1",
                                      "--name", "op 0", "--agent", "clerk", "--service", "shop")
        self.assertEqual([item["span_id"] for item in listed["items"]], [span_id(2).hex()])
        listed = self.daemon.cli_json("span", "list", "--user", "ann", "--model", "model-a",
                                      "--duration-max-ms", "300")
        self.assertEqual([item["span_id"] for item in listed["items"]], [span_id(3).hex()])
        listed = self.daemon.cli_json("span", "list", "--tool", "op 0")
        self.assertEqual([item["span_id"] for item in listed["items"]], [span_id(4).hex()])
        for columns in ("40", "80", "200"):
            text = self.daemon.cli("spans", "list", env={"COLUMNS": columns})
            self.assertEqual(len(text.splitlines()), 6)
            self.assertNotIn("\x1b", text)
            self.assertNotIn("\u202e", text)
        self.assertIn("no spans within these bounds",
                      self.daemon.cli_raw("span", "list", "--attribute", "a=b").stderr)
        self.assertIn("--attribute", self.daemon.cli("help", "span"))
        for wrong in (["--attribute", "a"], ["--attribute", "=a"], ["--follow"], ["--text", "a"],
                      ["--attribute", "a=b"] * 9):
            self.daemon.cli("span", "list", *wrong, code=2)


class MergedSpanTest(SpanTest):
    """The same of merged segments."""

    ARGUMENTS = ("--merge-after", "1s")

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.daemon.await_merged()


class LargeSpanTest(DaemonCase):
    """What is too long for an answer is listed by its columns, but not searched."""

    def test_oversized(self):
        prompt = "p" * ((4 << 20) + 1)
        spans = [otlp.span(TRACE, span_id(1), name="big", attributes=[("small", "yes"), ("prompt", prompt)]),
                 otlp.span(TRACE, span_id(2), name="big", attributes=[("small", "yes"), ("prompt", "p")])]
        self.assertEqual(self.daemon.post_traces(otlp.request(spans)).status, 200)
        items = self.daemon.api("spans?name=big")["items"]
        self.assertEqual(sorted(bool(item["oversized_bytes"]) for item in items), [False, True])
        found = self.daemon.api("spans?attribute=small=yes")["items"]
        self.assertEqual([item["span_id"] for item in found], [span_id(2).hex()])

    def test_a_page_shrinks(self):
        """More than an answer holds: fewer spans than asked for, and a cursor."""
        for n in range(10, 34):
            body = otlp.request([otlp.span(OTHER, span_id(n), attributes=[("text", "\x01" * (3 << 20))])])
            self.assertEqual(self.daemon.post_traces(body).status, 200)
        seen, cursor, pages = set(), "", 0
        while True:
            page = self.daemon.api("spans?limit=50&name=work" + cursor)
            seen |= {item["span_id"] for item in page["items"]}
            pages += 1
            if not page["next_cursor"]:
                break
            cursor = "&cursor=" + page["next_cursor"]
        self.assertGreater(pages, 2)
        self.assertLessEqual({span_id(n).hex() for n in range(10, 34)}, seen)


class LogSearchTest(DaemonCase):
    """What is asked of log records: attributes, patterns."""

    @classmethod
    def prepare(cls):
        nested = otlp.length_field(6, otlp.length_field(1, otlp.attribute("tool", "call refused: 42")))
        logs = [
            signals.log(BASE + 1, "Error: connection refused", 17, attributes=[("peer", "db-1")]),
            signals.log(BASE + 2, "error 42 in \u00e4\u00f6\nsecond line", 9,
                        attributes=[("peer", "db-2"), ("attempt", number(3))]),
            signals.log(BASE + 3, nested, 9),
            signals.log(BASE + 4, None, 9, attributes=[("peer", "refused")]),
            signals.log(BASE + 5, otlp.length_field(1, b"bad \xff\xfe utf refused"), 9),
            signals.log(BASE + 6, "a" * 40 + "c", 9, attributes=[("hostile", "yes")]),
        ]
        answer = signals.post(cls.daemon, "/v1/logs", signals.request(logs, service="shop"))
        assert answer.status == 200, answer.body

    def found(self, query):
        return [int(item["time_unix_nano"]) - BASE for item in self.daemon.api("logs" + query)["items"]]

    def test_patterns(self):
        rows = {
            "refused": [5, 3, 1], "^Error": [1], "(?i)^error": [2, 1], r"\d{2}": [3, 2],
            r"^second line$": [], r"(?m)^second line$": [2], "\u00e4.": [2], "tool": [3],
            r"refused$": [5, 1], r"(?<=call )refused": [3], "Refused": [], r"\xff": [],
            r"^.{2}\b": [], "peer": [], r"bad .*refused": [], r"utf refused": [5],
        }
        for pattern, wanted in rows.items():
            with self.subTest(pattern=pattern):
                self.assertEqual(self.found("?pattern=" + quote(pattern)), wanted)
        self.assertEqual(self.found("?pattern=refused&severity=ERROR"), [1])
        self.assertEqual(self.found("?pattern=refused&text=call"), [3])
        answer = self.daemon.api("logs?pattern=refused")
        self.assertEqual(answer["pattern_undecided"], 0)

    def test_attributes(self):
        rows = {"attribute=peer=db-1": [1], "attribute=attempt=3": [2],
                "attribute=service.name=shop&attribute=peer=db-2": [2],
                "attribute=peer=refused&text=refused": [], "attribute=peer=refused": [4],
                "attribute=attempt=3&pattern=42": [2], "attribute=attempt=3&pattern=43": []}
        for query, wanted in rows.items():
            with self.subTest(query=query):
                self.assertEqual(self.found("?" + query), wanted)

    def test_bad_patterns(self):
        rows = {"(": "at offset 1", "a\\": "offset 2", r"\C": "disabled", "a" * 1025: "longer",
                "(" * 120: "nested", "(((a{100}){100}){100})": "too large", "[z-a]": "range"}
        for pattern, message in rows.items():
            with self.subTest(pattern=pattern):
                answer = self.daemon.get("/api/v1/logs?pattern=" + quote(pattern))
                self.assertEqual(answer.status, 400)
                error = answer.json()["error"]
                self.assertEqual(error["field"], "pattern")
                self.assertIn(message, error["message"])
        follow = self.daemon.get("/api/v1/logs?follow=true&pattern=(")
        self.assertEqual(follow.json()["error"]["field"], "pattern")
        done = self.daemon.cli_raw("log", "list", "--pattern", "(")
        self.assertIn("closing parenthesis", done.stderr)

    def test_hostile_pattern(self):
        """Exponential on that body: it is left out, and the answer says so."""
        answer = self.daemon.api("logs?pattern=" + quote("(a+)+[BD]"))
        self.assertEqual((answer["items"], answer["pattern_undecided"]), ([], 1))
        done = self.daemon.cli_raw("log", "list", "--pattern", "(a+)+[BD]")
        self.assertIn("too long on 1 record", done.stderr)

    def test_command(self):
        listed = self.daemon.cli_json("log", "list", "--pattern", "refused", "--attribute", "peer=db-1")
        self.assertEqual(len(listed["items"]), 1)

    def test_follow(self):
        query = "logs?follow=true&since=2023-11-01&pattern=refused&attribute=peer=db-1"
        follower = Follower(self.daemon, path=query)
        self.addCleanup(follower.close)
        follower.begun().wait(1)
        self.assertEqual(follower.bodies(), ["Error: connection refused"])


class MergedLogSearchTest(LogSearchTest):
    """The same of merged segments."""

    ARGUMENTS = ("--merge-after", "1s")

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.daemon.await_merged()


if __name__ == "__main__":
    unittest.main()
