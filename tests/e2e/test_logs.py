#!/usr/bin/env python3
"""Log records found again: what clients sent, filters, pages, the trace they belong to."""
import json
import re
import subprocess
import unittest

import otlp
import signals
from harness import BINARY, SLOWNESS, Case, Daemon, DaemonCase, same_json

BASE = 1_700_000_000_000_000_000
SECOND = 10 ** 9
TRACE = bytes.fromhex("abcdef00000000000000000000000001")
LONELY = bytes.fromhex("fedcba00000000000000000000000002")
SPAN, CHILD = bytes.fromhex("1111111111111111"), bytes.fromhex("2222222222222222")
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
HOSTILE = "red\x1b[31m\x07 \u202eback\x9b2J\nsecond line"
MEMBERS = ["time", "time_unix_nano", "observed_time", "observed_time_unix_nano", "flags",
           "dropped_attributes_count", "resource", "scope", "severity", "severity_text", "body",
           "service", "trace_id", "span_id", "session_id", "attributes", "event_name", "log_group",
           "log_stream", "oversized_bytes", "resource_oversized_bytes", "error_class", "error_type"]


class CaptureTest(Case):
    def check(self, daemon, capture):
        expected = capture["expected"]
        items = daemon.api("logs?limit=1000")["items"]
        self.assertEqual(len(items), expected["log_records"])
        times = [int(item["time_unix_nano"]) for item in items]
        self.assertEqual(times, sorted(times, reverse=True))
        (resource,) = expected["resources"]
        for record in expected["log_list"]:
            wanted = signals.expected_log(record, resource)
            fitting = [item for item in items if item["scope"]["name"] == record["scope"] and
                       same_json(signals.part_of(item, wanted), wanted)]
            self.assertEqual(len(fitting), 1, f"{wanted}\nnot once in\n{items}")
            self.assertEqual(fitting[0]["service"], wanted["resource"]["service.name"])
            session = wanted["attributes"].get("session.id")
            if session:
                self.assertEqual(fitting[0]["session_id"], session)
            self.assertEqual([key for key in MEMBERS if key not in fitting[0]], [])
        return items

    def test_what_was_sent_comes_back(self):
        """Each capture twice: the second time nothing changes."""
        found = signals.captures("logs")
        self.assertGreaterEqual(len(found), 20)
        for capture in found:
            with self.subTest(capture=capture["case"]), Daemon() as daemon:
                signals.send(daemon, capture)
                first = self.check(daemon, capture)
                signals.send(daemon, capture)
                self.assert_json(self.check(daemon, capture), first)
                status = daemon.api("status")
                self.assertEqual(status["stored"]["logs"], capture["expected"]["log_records"])
                self.assertEqual(status["retried"], 1)

    def test_after_a_restart(self):
        capture = [c for c in signals.captures("logs") if "many_120" in c["case"]][0]
        with Daemon() as daemon:
            signals.send(daemon, capture)
            first = self.check(daemon, capture)
            daemon.restart()
            self.assert_json(self.check(daemon, capture), first)
            self.assertIn("120 logs", daemon.cli("check"))


class LogTest(DaemonCase):
    @classmethod
    def prepare(cls):
        spans = [otlp.span(TRACE, SPAN, name="root", start=BASE,
                           attributes=[("session.id", "sess-1"), ("gen_ai.agent.name", "clerk")]),
                 otlp.span(TRACE, CHILD, SPAN, name="child", start=BASE + 2_000_000)]
        kvlist = otlp.length_field(6, otlp.length_field(1, otlp.attribute("role", "user")))
        logs = [
            signals.log(BASE + 1_000_000, "before the child", 9, trace_id=TRACE, span_id=SPAN),
            signals.log(BASE + 3_000_000, HOSTILE, 17, trace_id=TRACE, span_id=CHILD),
            signals.log(BASE + 4_000_000, "of the trace alone", 13, trace_id=TRACE),
            signals.log(BASE + 5_000_000, kvlist, 9, event="gen_ai.choice"),
            signals.log(BASE + SECOND, "Lonely Words", 5, trace_id=LONELY),
            signals.log(0, "observed only", observed=BASE + 2 * SECOND),
            signals.log(BASE + 3 * SECOND, None, 24),
        ]
        headers = {"x-amzn-trace-id": "ignored", "x-aws-log-group": "/aws/agents/x",
                   "x-aws-log-stream": "stream-1"}
        answers = [cls.daemon.post_traces(otlp.request(spans, service="shop")),
                   signals.post(cls.daemon, "/v1/logs", signals.request(logs, service="shop")),
                   signals.post(cls.daemon, "/v1/logs", signals.request(
                       [signals.log(BASE + 4 * SECOND, "from aws", 9,
                                    attributes=[("session.id", "sess-2"),
                                                ("gen_ai.agent.name", "other")])],
                       service="bank"), headers=headers)]
        assert all(a.status == 200 and a.body == b"" for a in answers), answers

    def bodies(self, query=""):
        return [item["body"] for item in self.daemon.api("logs" + query)["items"]]

    def test_newest_first(self):
        listed = self.daemon.api("logs")
        self.assertEqual(sorted(listed), ["items", "next_cursor", "total"])
        self.assertEqual([item["body"] for item in listed["items"]],
                         ["from aws", None, "observed only", "Lonely Words", {"role": "user"},
                          "of the trace alone", HOSTILE, "before the child"])
        observed = listed["items"][2]
        self.assertEqual(observed["time_unix_nano"], str(BASE + 2 * SECOND))
        self.assertEqual(observed["observed_time_unix_nano"], observed["time_unix_nano"])
        self.assertEqual((observed["severity"], observed["severity_text"], observed["log_group"]),
                         (0, None, None))
        self.assertEqual(listed["items"][0]["log_group"], "/aws/agents/x")
        self.assertEqual(listed["items"][0]["log_stream"], "stream-1")

    def test_filters(self):
        rows = {
            "?service=bank": ["from aws"],
            "?service=none": [],
            "?session=sess-2": ["from aws"],
            # Of its span, else of its trace.
            "?session=sess-1": ["of the trace alone", HOSTILE, "before the child"],
            "?trace=" + TRACE.hex(): ["of the trace alone", HOSTILE, "before the child"],
            "?trace=abcdef": ["of the trace alone", HOSTILE, "before the child"],
            "?trace=" + LONELY.hex(): ["Lonely Words"],
            "?span=" + SPAN.hex(): ["before the child"],
            "?severity=ERROR": [None, HOSTILE],
            "?severity=17": [None, HOSTILE],
            "?severity=warn": [None, "of the trace alone", HOSTILE],
            "?text=lonely+words": ["Lonely Words"],
            "?text=user": [{"role": "user"}],
            "?event=gen_ai.choice": [{"role": "user"}],
            "?agent=other": ["from aws"],
            "?log_group=/aws/agents/x": ["from aws"],
            "?log_stream=stream-1&service=bank": ["from aws"],
            "?log_stream=stream-2": [],
            f"?since={BASE + 3 * SECOND}": ["from aws", None],
            f"?until={BASE + 2_000_000}": ["before the child"],
            "?since=2023-11-15": [],
            "?until=2023-11-14": [],
            "?since=2023-11-14&severity=5&trace=" + LONELY.hex(): ["Lonely Words"],
        }
        for query, wanted in rows.items():
            with self.subTest(query=query):
                self.assertEqual(self.bodies(query), wanted)

    def test_refusals(self):
        rows = {"?nope=1": "nope", "?service=a&service=b": "service", "?service=": "service",
                "?severity=LOUD": "severity", "?severity=25": "severity", "?span=12": "span",
                "?span=" + "0" * 16: "span", "?trace=xyz": "trace", "?trace=" + "0" * 32: "trace",
                "?limit=1&limit=1": "limit", "?since=soon": "since", "?cursor=zzz": "cursor"}
        for query, field in rows.items():
            with self.subTest(query=query):
                answer = self.daemon.get("/api/v1/logs" + query)
                self.assertEqual(answer.status, 400, answer.body)
                self.assertEqual(answer.json()["error"]["field"], field)
        answer = self.daemon.get("/api/v1/logs?trace=123456")
        self.assertEqual((answer.status, answer.json()["error"]["field"]), (404, "trace"))
        for path in ("traces?limit=1&limit=2", "sessions?since=1h&since=2h",
                     "investigations?status=COMPLETED&status=FAILED", "webhooks?cursor=a&cursor=a"):
            self.assertEqual(self.daemon.get("/api/v1/" + path).status, 400, path)

    def test_pages(self):
        seen, cursor = [], ""
        for _ in range(20):
            page = self.daemon.api("logs?limit=3" + cursor)
            seen += page["items"]
            if not page["next_cursor"]:
                break
            cursor = "&cursor=" + page["next_cursor"]
        self.assert_json(seen, self.daemon.api("logs")["items"])

    def test_trace_shows_its_logs(self):
        shown = self.daemon.api("traces/" + TRACE.hex())
        self.assertEqual(shown["log_count"], 3)
        self.assertEqual([log["body"] for log in shown["logs"]],
                         ["before the child", HOSTILE, "of the trace alone"])
        listed = {log["time_unix_nano"]: log for log in self.daemon.api("logs")["items"]}
        for log in shown["logs"]:
            self.assert_json(log, listed[log["time_unix_nano"]])
        (trace,) = self.daemon.api("traces")["items"]
        self.assertEqual(trace["logs"], 3)
        sessions = {s["session_id"]: s for s in self.daemon.api("sessions")["items"]}
        self.assertEqual(sessions["sess-1"]["logs"], 3)

    def test_tree(self):
        text = self.daemon.cli("trace", "show", TRACE.hex())
        tree = [line for line in text.splitlines() if "+" in line]
        starts = ["*root ", "\u251c - before the child ", "\u2514 *child ", "  \u2514 - red\\x1b[31m",
                  "- of the trace"]
        self.assertEqual(len(tree), len(starts), text)
        for line, start in zip(tree, starts):
            self.assertTrue(line.startswith(start), f"{start!r} in\n{text}")
        self.assertIn("ERROR", tree[3])
        self.assertIn("WARN", tree[4])
        self.assertNotIn("second line", text)
        self.assertIsNone(CONTROL.search(text), repr(text))

    def test_table(self):
        for columns in (40, 80, 120, 0):
            with self.subTest(columns=columns):
                text = self.daemon.cli("log", "list", env={"COLUMNS": str(columns)} if columns else {})
                self.assertIsNone(CONTROL.search(text), repr(text))
                self.assertEqual(len(text.splitlines()), 9)
                if columns:
                    self.assertLessEqual(max(map(len, text.splitlines())), columns)
        self.assertIn("red\\x1b[31m\\x07", text)
        self.assertIn('gen_ai.choice {"role":"user"}', text)
        self.assertRegex(text, r"FATAL4")
        self.assertIn("sess-2", text)

    def test_command_line(self):
        for noun in ("log", "logs"):
            self.assert_json(self.daemon.cli_json(noun, "list"), self.daemon.api("logs"))
        found = self.daemon.cli_json("log", "list", "--log-group", "/aws/agents/x", "--severity",
                                     "INFO", "--text", "AWS", "--since", "2023-11-14")["items"]
        self.assertEqual([log["body"] for log in found], ["from aws"])
        done = self.daemon.cli_raw("log", "list", "--session", "none")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("no log records within", done.stderr)
        self.daemon.cli("log", "list", "--severity", "LOUD", code=2)
        self.daemon.cli("log", "list", "--trace", "123456", code=5)
        done = self.daemon.cli_raw("log", "list", "--limit", "2")
        self.assertIn("--cursor", done.stderr)

    def test_ages(self):
        """Durations count back from now; a date begins at 00:00 UTC."""
        for since in ("15m", "2h", "3d", "2026-11-21", "2026-11-21T00:00:00Z"):
            self.assertEqual(self.daemon.cli_json("log", "list", "--since", since)["items"], [])
            self.assertEqual(len(self.daemon.cli_json("trace", "list", "--until", since)["items"]), 1)

    def test_help(self):
        done = subprocess.run([BINARY, "help", "log"], capture_output=True, text=True, check=True,
                              timeout=60 * SLOWNESS)
        for option in ("--service", "--session", "--trace", "--span", "--severity", "--text",
                       "--event", "--agent", "--log-group", "--log-stream", "--since", "--limit"):
            self.assertIn(option, done.stdout)
        done = subprocess.run([BINARY, "completion", "bash"], capture_output=True, text=True,
                              check=True, timeout=60 * SLOWNESS)
        self.assertRegex(done.stdout, r'log\) words="list .*--severity')
        self.assertRegex(done.stdout, r'metric\) words="list show .*--namespace')


class OddTest(Case):
    def test_large_and_odd_bodies(self):
        bodies = ["x" * 1_000_000, "nul\0inside", "\ufeff", "日本" * 500, "a\r\nb\tc"]
        with Daemon() as daemon:
            logs = [signals.log(BASE + n, body, 9) for n, body in enumerate(bodies)]
            self.assertEqual(signals.post(daemon, "/v1/logs", signals.request(logs)).status, 200)
            listed = daemon.api("logs")["items"]
            self.assertEqual([log["body"] for log in listed], bodies[::-1])
            text = daemon.cli("log", "list")
            self.assertLess(len(text), 10_000)
            self.assertIsNone(CONTROL.search(text))
            self.assertEqual(json.loads(daemon.cli("log", "list", "--json"))["items"][-1]["body"],
                             bodies[0])

    def test_a_page_that_fits_no_answer_is_cut(self):
        """Three megabytes of JSON a record: more than an answer holds, but no refusal."""
        with Daemon() as daemon:
            for n in range(25):
                record = signals.log(BASE + n, "%02d" % n + "<" * 500_000, 9, trace_id=TRACE)
                self.assertEqual(signals.post(daemon, "/v1/logs", signals.request([record])).status,
                                 200)
            seen, pages, cursor = [], 0, ""
            while True:
                page = daemon.api("logs?limit=1000" + cursor)
                seen += [item["body"][:2] for item in page["items"]]
                pages += 1
                if not page["next_cursor"]:
                    break
                cursor = "&cursor=" + page["next_cursor"]
            self.assertEqual(seen, ["%02d" % n for n in range(24, -1, -1)])
            self.assertEqual(pages, 2)
            # A trace is shown without logs that do not fit.
            daemon.post_traces(otlp.request([otlp.span(TRACE, SPAN, name="large")]))
            shown = daemon.api("traces/" + TRACE.hex())
            self.assertEqual((shown["logs"], shown["log_count"], len(shown["spans"])), (None, 25, 1))
            # The tree shows how they begin.
            text = daemon.cli("trace", "show", TRACE.hex())
            self.assertRegex(text, r"(?m)^\u251c? ?- 00.* INFO$")
            self.assertRegex(text, r"(?m)^\u2514? ?- 24.* INFO$")

    def test_a_trace_with_many_logs(self):
        """More than one page of the store's."""
        with Daemon() as daemon:
            daemon.post_traces(otlp.request([otlp.span(TRACE, SPAN)]))
            for part in range(5):
                logs = [signals.log(BASE + 500 * part + n, f"n{500 * part + n}", 9, trace_id=TRACE,
                                    span_id=SPAN) for n in range(500)]
                self.assertEqual(signals.post(daemon, "/v1/logs", signals.request(logs)).status, 200)
            shown = daemon.api("traces/" + TRACE.hex())
            self.assertEqual([log["body"] for log in shown["logs"]], [f"n{n}" for n in range(2500)])
            self.assertEqual(shown["log_count"], 2500)
            # The tree leaves out what is no warning.
            tree = daemon.api(f"traces/{TRACE.hex()}/tree")
            self.assertEqual((len(tree["rows"]), tree["logs_left_out"]), (1, 2500))
            text = daemon.cli("trace", "show", TRACE.hex())
            self.assertIn("2500 log records are not shown", text)
            self.assertIn("log list --trace " + TRACE.hex(), text)


if __name__ == "__main__":
    unittest.main()
