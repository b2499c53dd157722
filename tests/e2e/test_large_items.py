#!/usr/bin/env python3
"""Items that no answer can hold: what was accepted once must not end a list for good. They are shown
from their columns and say how many bytes were left out; their neighbours are shown whole."""
import base64
import json
import os
import threading
import unittest

import otlp
import signals
from harness import Case, Daemon

MIB = 1 << 20
BASE = 1_700_000_000_000_000_000
TRACE = bytes.fromhex("abcdef00000000000000000000000001")
SPAN, CHILD = bytes.fromhex("1111111111111111"), bytes.fromhex("2222222222222222")


def text_of(size):
    """Hardly packs: base64 of random bytes."""
    return base64.b64encode(os.urandom(size * 3 // 4)).decode()


def json_log(time, body):
    record = {"timeUnixNano": str(time), "severityNumber": 17, "body": {"stringValue": body},
              "traceId": TRACE.hex(), "spanId": SPAN.hex(), "eventName": "dump"}
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}], "resource": {
        "attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}}]})


class LargeItems(Case):
    def send(self, daemon, path, body):
        answer = signals.post(daemon, path, body)
        self.assertEqual(answer.status, 200, answer.body)

    def send_logs(self, daemon, *logs):
        self.send(daemon, "/v1/logs", signals.request(list(logs), service="shop"))

    def bodies(self, daemon, query=""):
        return [item["body"] for item in daemon.api("logs" + query)["items"]]

    def page_through(self, daemon):
        seen, cursor = [], ""
        while True:
            page = daemon.api("logs?limit=1" + cursor)
            seen += page["items"]
            if not page["next_cursor"]:
                return seen
            cursor = "&cursor=" + page["next_cursor"]

    def check_logs(self, daemon, size):
        """`size` bytes of body between two small records, and one in the large one's request."""
        self.send_logs(daemon, signals.log(BASE, "first", 9))
        answer = signals.post(daemon, "/v1/logs", json_log(BASE + 2, text_of(size)),
                              "application/json")
        self.assertEqual(answer.status, 200, answer.body)
        self.send_logs(daemon, signals.log(BASE + 1, "beside", 9), signals.log(
            BASE + 3, text_of(size), 9, attributes=[("session.id", "sess-1")]), signals.log(
                BASE + 4, "behind", 9))
        self.send_logs(daemon, signals.log(BASE + 5, "last", 9))
        wanted = ["last", "behind", None, None, "beside", "first"]
        self.assertEqual(self.bodies(daemon), wanted)
        self.assertEqual(self.bodies(daemon, "?limit=1"), wanted[:1])
        paged = self.page_through(daemon)
        self.assertEqual([item["body"] for item in paged], wanted)
        large = paged[3]
        self.assertEqual((large["severity"], large["service"], large["trace_id"], large["span_id"],
                          large["event_name"], large["time_unix_nano"], large["attributes"]),
                         (17, "shop", TRACE.hex(), SPAN.hex(), "dump", str(BASE + 2), {}))
        self.assertEqual(large["resource"], {"service.name": "shop"})
        self.assertEqual(paged[2]["session_id"], "sess-1")
        for item in paged[2:4]:
            self.assertTrue(size <= item["oversized_bytes"] < size + 1000, item)
        self.assertEqual([item["oversized_bytes"] for item in paged if item["body"]], [None] * 4)
        self.assertEqual(self.bodies(daemon, "?text=beside"), ["beside"])
        self.assertEqual(self.bodies(daemon, "?text=no+such+words"), [])
        text = daemon.cli("log", "list")
        self.assertIn("MiB, not shown)", text)
        self.assertEqual(text.count("not shown"), 2)

    def check_trace(self, daemon, size):
        self.send(daemon, "/v1/traces", otlp.request(
            [otlp.span(TRACE, SPAN, name="root", start=BASE, attributes=[
                ("session.id", "sess-2"), ("dump", text_of(size))], status=2)], service="shop"))
        self.send(daemon, "/v1/traces", otlp.request(
            [otlp.span(TRACE, CHILD, SPAN, name="child", start=BASE + 5,
                       attributes=[("k", "v")])], service="shop"))
        shown = daemon.api("traces/" + TRACE.hex())
        root, child = shown["spans"]
        self.assertEqual((root["name"], root["kind"], root["status"], root["span_id"],
                          root["attributes"], root["events"], root["links"], root["service"]),
                         ("root", "INTERNAL", "ERROR", SPAN.hex(), {}, [], [], "shop"))
        self.assertTrue(size <= root["oversized_bytes"] < size + 1000)
        self.assertEqual((child["attributes"], child["oversized_bytes"], child["session_id"]),
                         ({"k": "v"}, None, "sess-2"))
        self.assertIn("root", daemon.cli("trace", "show", TRACE.hex()))

    def check_metric(self, daemon, size):
        for attributes in ([("k", text_of(size))], [("k", "v")]):
            self.send(daemon, "/v1/metrics", signals.request(
                [signals.gauge("queue", [(BASE, 7, attributes)], "1")], service="shop"))
        large, small = sorted(daemon.api("metrics/queue")["series"],
                              key=lambda series: len(series["attributes"]))
        self.assertEqual((large["attributes"], large["unit"], large["kind"]), ({}, "1", "gauge"))
        self.assertEqual(large["points"][0]["value"], 7)
        self.assertTrue(size <= large["points"][0]["oversized_bytes"] < size + 1000)
        self.assertEqual((small["attributes"], small["points"][0]["oversized_bytes"]),
                         ({"k": "v"}, None))
        self.assertIn("7", daemon.cli("metric", "show", "queue"))

    def check_resource(self, daemon, size):
        scope = otlp.length_field(2, signals.log(BASE + 100, "of a large resource", 9))
        resource = otlp.length_field(1, otlp.attribute("dump", text_of(size)))
        self.send(daemon, "/v1/logs", otlp.length_field(
            1, otlp.length_field(1, resource) + otlp.length_field(2, scope)))
        newest = daemon.api("logs?limit=1")["items"][0]
        self.assertEqual((newest["body"], newest["resource"]), ("of a large resource", {}))
        self.assertTrue(size <= newest["resource_oversized_bytes"] < size + 1000)

    def check_all(self, size, arguments=()):
        with Daemon(arguments=arguments) as daemon:
            for check in (self.check_logs, self.check_trace, self.check_metric,
                          self.check_resource):
                with self.subTest(check=check.__name__):
                    check(daemon, size)
            daemon.restart()
            self.assertEqual(len(self.page_through(daemon)), 7)

    def test_at_the_defaults(self):
        self.check_all(60 * MIB)

    def test_at_a_small_limit(self):
        self.check_all(15 * MIB, ["--memory-limit", "64MiB"])

    def test_asked_by_many_at_once(self):
        """No question takes the others' memory: reading a large block costs a few pieces of it."""
        with Daemon() as daemon:
            self.send_logs(daemon, signals.log(BASE, text_of(60 * MIB), 9))
            self.send_logs(daemon, signals.log(BASE + 1, "small", 9))
            found = []
            askers = [threading.Thread(target=lambda: found.append(daemon.get("/api/v1/logs")))
                      for _ in range(8)]
            for asker in askers:
                asker.start()
            for asker in askers:
                asker.join()
            self.assertEqual([answer.status for answer in found], [200] * 8)

    def test_what_fits_is_shown_whole(self):
        """Just below the bound, and of characters that JSON needs six bytes for."""
        for arguments, size in (([], 4 * MIB - 100), (["--memory-limit", "64MiB"], 256 * 1024)):
            with self.subTest(arguments=arguments), Daemon(arguments=arguments) as daemon:
                for n in range(4):
                    self.send_logs(daemon, signals.log(BASE + n, "<" * size, 9))
                seen = self.page_through(daemon)
                self.assertEqual([item["oversized_bytes"] for item in seen], [None] * 4)
                self.assertEqual({item["body"] for item in seen}, {"<" * size})
                self.assertGreater(len(daemon.api("logs")["items"]), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
