#!/usr/bin/env python3
"""Logs and metrics on their way in, beside traces: what is refused by item and in which words,
another signal's body, odd times, AWS request headers, counters. Over HTTP and gRPC alike."""
import json
import os
import subprocess
import tempfile
import time
import unittest

import otlp
import signals
from harness import SLOWNESS, Case, Daemon, DaemonCase

GRPC = {"traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export"}
INVALID_ARGUMENT = 3
NOW = time.time_ns()


def deep_log():
    return signals.log(NOW, "deep", attributes=[("nested", otlp.nested_value(65))])


def double(field, value):
    return otlp.varint(field << 3 | 1) + bytes.fromhex({0.5: "000000000000e03f", 2: "0000000000000040",
                                                        1: "000000000000f03f"}[value])


def point(*parts, when=None):
    return otlp.length_field(1, otlp.fixed64_field(3, NOW if when is None else when) + b"".join(parts))


def metric(kind, data, name="bad"):
    return otlp.length_field(1, name) + otlp.length_field(kind, data)


AS_INT = otlp.fixed64_field(6, 7)
GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY = 5, 7, 9, 10, 11
DELTA = otlp.varint_field(2, 1)
# One metric of one point for each reason: (reason of the counter, end of the path, metric).
REFUSED = [
    ("name", "name", metric(GAUGE, point(AS_INT), name="")),
    ("kind", "sum.data_points[0]",
     metric(SUM, point(AS_INT) + DELTA) + otlp.length_field(GAUGE, b"")),
    ("temporality", "sum.aggregation_temporality", metric(SUM, point(AS_INT))),
    ("time", "gauge.data_points[0].time_unix_nano", metric(GAUGE, point(AS_INT, when=0))),
    ("value", "gauge.data_points[0].value", metric(GAUGE, point())),
    ("buckets", "histogram.data_points[0].bucket_counts",
     metric(HISTOGRAM, point(otlp.fixed64_field(6, 1), otlp.fixed64_field(4, 1), double(7, 1)) +
            DELTA)),
    ("bounds", "histogram.data_points[0].explicit_bounds",
     metric(HISTOGRAM, point(*[otlp.fixed64_field(6, 0)] * 3, double(7, 2), double(7, 1)) + DELTA)),
    ("count", "histogram.data_points[0].count",
     metric(HISTOGRAM, point(otlp.fixed64_field(6, 1), otlp.fixed64_field(4, 9)) + DELTA)),
    ("scale", "exponential_histogram.data_points[0].scale",
     metric(EXPONENTIAL, point(otlp.varint_field(6, 2 * (2 ** 31 - 1))) + DELTA)),
    ("quantile", "summary.data_points[0].quantile_values",
     metric(SUMMARY, point(otlp.length_field(6, double(1, 2))))),
    ("depth", "gauge.data_points[0].attributes",
     metric(GAUGE, point(AS_INT, otlp.length_field(7, otlp.attribute("n", otlp.nested_value(65)))))),
]


class SignalsTest(DaemonCase):
    def counters(self):
        """{'metric{labels}': value} of /metrics."""
        lines = self.daemon.get("/metrics").body.decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in lines if not line.startswith("#")}

    def grown(self, before):
        after = self.counters()
        return {key: int(after[key] - before[key]) for key in after
                if key.startswith("midwatch_items_") and after[key] != before.get(key, 0)}

    def both(self, signal, make_body):
        """Sends what make_body makes over HTTP and over gRPC, as tuples (good, code, body or words):
        an answered body, or the message of a refusal."""
        http = signals.post(self.daemon, signals.PATHS[signal], make_body())
        grpc = self.daemon.grpc(make_body(), path=GRPC[signal])
        self.assertEqual(http.headers["content-type"], signals.PROTOBUF)
        if http.status == 200:
            self.assertEqual(grpc["grpc_status"], 0, grpc)
            return [http.body, grpc["body"][5:]]
        code, message = otlp.status_message(http.body)
        self.assertEqual((http.status, code, grpc["grpc_status"]),
                         (400, INVALID_ARGUMENT, INVALID_ARGUMENT))
        return [message, grpc["grpc_message"]]

    # ---- items refused -------------------------------------------------------------------------

    def test_one_bad_record(self):
        before = self.counters()
        text = os.urandom(8).hex()
        for body in self.both("logs", lambda: signals.request(
                [signals.log(NOW, text), deep_log(), signals.log(NOW, os.urandom(8).hex())])):
            count, message = otlp.partial_success(body)
            self.assertEqual(count, 1)
            self.assertIn("1 of 3 log records refused: 1 attribute nested deeper than 64", message)
            self.assertIn("resource_logs[0].scope_logs[0].log_records[1].attributes", message)
        self.assertEqual(self.grown(before), {
            'midwatch_items_accepted_total{signal="logs"}': 4,
            'midwatch_items_refused_total{signal="logs",reason="depth"}': 2})
        self.assertEqual(len(self.daemon.api("logs?text=" + text)["items"]), 2)

    def test_only_bad_records(self):
        for message in self.both("logs", lambda: signals.request([deep_log(), deep_log()])):
            self.assertIn("2 of 2 log records refused", message)

    def test_bad_points(self):
        for reason, path, bad in REFUSED:
            with self.subTest(reason=reason):
                good = signals.gauge("good." + reason, [(NOW, 3, [])])
                before = self.counters()
                for body in self.both("metrics", lambda: signals.request([good, bad] + [
                        signals.gauge(os.urandom(8).hex(), [(NOW, 1, [])])])):
                    count, message = otlp.partial_success(body)
                    self.assertEqual(count, 1, message)
                    self.assertIn("1 of 3 data points refused: 1 ", message)
                    self.assertTrue(message.endswith(
                        "first: resource_metrics[0].scope_metrics[0].metrics[1]." + path), message)
                self.assertEqual(self.grown(before), {
                    'midwatch_items_accepted_total{signal="metrics"}': 4,
                    f'midwatch_items_refused_total{{signal="metrics",reason="{reason}"}}': 2})
                shown = self.daemon.api("metrics/good." + reason)
                self.assertEqual(shown["series"][0]["points"][0]["value"], 3)
        self.assertEqual(self.daemon.get("/api/v1/metrics/bad").status, 404)

    def test_only_bad_points(self):
        for message in self.both("metrics", lambda: signals.request([REFUSED[4][2]])):
            self.assertIn("1 of 1 data points refused: 1 data point without a value", message)

    def test_bad_text(self):
        latin = "caf\u00e9".encode("latin-1")
        before = self.counters()
        for body in self.both("logs", lambda: signals.request(
                [signals.log(NOW, otlp.length_field(1, latin + os.urandom(4).hex().encode()))])):
            self.assertEqual(otlp.partial_success(body),
                             (0, "1 log records hold text that is not UTF-8; kept as sent"))
        for body in self.both("metrics", lambda: signals.request(
                [signals.gauge(latin + os.urandom(4).hex().encode(), [(NOW, 1, [])])])):
            self.assertEqual(otlp.partial_success(body),
                             (0, "1 data points hold text that is not UTF-8; kept as sent"))
        grown = self.grown(before)
        self.assertEqual(grown['midwatch_items_bad_utf8_total{signal="logs"}'], 2)
        self.assertEqual(grown['midwatch_items_bad_utf8_total{signal="metrics"}'], 2)

    # ---- bodies --------------------------------------------------------------------------------

    def test_empty_and_broken(self):
        for signal in signals.PATHS:
            self.assertEqual(self.both(signal, lambda: b""), [b"", b""])
            self.assertEqual(self.both(signal, lambda: signals.request([])), [b"", b""])
            for message in self.both(signal, lambda: b"\xff" * 40):
                self.assertIn("malformed Export", message)
            answer = signals.post(self.daemon, signals.PATHS[signal], b"{}", "application/json")
            self.assertEqual((answer.status, answer.body), (200, b"{}"))
            answer = signals.post(self.daemon, signals.PATHS[signal], b"", "text/plain")
            self.assertEqual(answer.status, 415)

    def test_another_signals_body(self):
        bodies = {"traces": otlp.request([otlp.span()]),
                  "metrics": signals.request([signals.gauge("m", [(NOW, 1, [])])]),
                  "logs": signals.request([signals.log(NOW, "text", 9)])}
        texts = {"traces": {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "x"}]}]}]},
                 "metrics": {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "x"}]}]}]},
                 "logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [{}]}]}]}}
        for is_one in bodies:
            for sent_as in bodies:
                if is_one == sent_as:
                    continue
                with self.subTest(body=is_one, sent_as=sent_as):
                    message, words = self.both(sent_as, lambda: bodies[is_one])
                    question = f"is this a {is_one} request?"
                    self.assertIn(question, message)
                    self.assertIn(question, words)
                    self.assertIn(f"{is_one} go to {signals.PATHS[is_one]}", message)
                    self.assertIn(GRPC[is_one], words)
                    answer = signals.post(self.daemon, signals.PATHS[sent_as],
                                          json.dumps(texts[is_one]).encode(), "application/json")
                    self.assertEqual(answer.status, 400)
                    self.assertIn(question, answer.json()["message"])

    # ---- times ---------------------------------------------------------------------------------

    def test_odd_times(self):
        year_2010 = 1_262_304_000 * 10 ** 9
        rows = [  # signal, items, odd, words (None = nothing is said)
            ("logs", [signals.log(year_2010, "old")], 0, None),
            ("logs", [signals.log(0, "no time")], 0, None),
            ("logs", [signals.log(NOW, "good"), signals.log(NOW // 10 ** 6, "ms")], 1,
             "1 log records have times that cannot be meant; kept as sent; first: resource_logs[0]."
             "scope_logs[0].log_records[1].time_unix_nano is seconds, milliseconds or microseconds"),
            ("logs", [signals.log(NOW + 3 * 86400 * 10 ** 9, "ahead")], 1, None),
            ("logs", [signals.log(500_000_000 * 10 ** 9, "1985")], 1, None),
            ("metrics", [signals.gauge("odd", [(NOW // 10 ** 3, 1, [])])], 1,
             "metrics[0].gauge.data_points[0].time_unix_nano is seconds"),
            ("traces", [otlp.span(start=year_2010)], 0, None),
            ("traces", [otlp.span(start=0)], 1, "spans[0].start_time_unix_nano is 0"),
            ("traces", [otlp.span() + otlp.fixed64_field(8, 1_600_000_000 * 10 ** 9)], 1,
             "spans[0].end_time_unix_nano lies before the start"),
        ]
        for signal, items, odd, words in rows:
            with self.subTest(signal=signal, words=words):
                before = self.counters()
                fresh = otlp.request(items, service=os.urandom(8).hex())
                answer = signals.post(self.daemon, signals.PATHS[signal], fresh)
                self.assertEqual(answer.status, 200)
                count, message = otlp.partial_success(answer.body)
                self.assertEqual(count, 0)
                if words:
                    self.assertIn(words, message)
                else:
                    self.assertEqual(message, "")
                grown = self.grown(before)
                self.assertEqual(
                    grown.get(f'midwatch_items_odd_time_total{{signal="{signal}"}}', 0), odd)
                self.assertEqual(grown[f'midwatch_items_accepted_total{{signal="{signal}"}}'],
                                 len(items))

    # ---- AWS request headers -------------------------------------------------------------------

    def grpc_with_headers(self, path, body, headers):
        """curl speaks the framing of gRPC well enough: one message, metadata as headers."""
        with tempfile.NamedTemporaryFile(prefix="midwatch-test-") as file:
            file.write(b"\0" + len(body).to_bytes(4, "big") + body)
            file.flush()
            argv = ["curl", "-sS", "--http2-prior-knowledge", "--max-time", str(int(30 * SLOWNESS)),
                    "-H", "content-type: application/grpc", "-H", "te: trailers"]
            for name, value in headers.items():
                argv += ["-H", f"{name}: {value}"]
            argv += ["--data-binary", "@" + file.name, "-o", "/dev/null", "-D", "-",
                     f"http://127.0.0.1:{self.daemon.port('grpc')}{path}"]
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
        self.assertIn("grpc-status: 0", done.stdout.replace("\r", ""))

    def test_origin(self):
        headers = {"x-aws-log-group": "/aws/bedrock-agentcore/runtimes/triage-DEFAULT",
                   "x-aws-log-stream": "runtime-logs", "x-aws-metric-namespace": "My agents"}
        body = signals.request([signals.log(NOW, "from a group")])
        self.assertEqual(signals.post(self.daemon, "/v1/logs", body, headers=headers).body, b"")
        over_grpc = {**headers, "x-aws-log-group": "/aws/other/group-2"}
        # The same bytes from another group are no retry.
        self.grpc_with_headers(GRPC["logs"], body, over_grpc)
        for group, agent in ((headers["x-aws-log-group"], "triage-DEFAULT"),
                             (over_grpc["x-aws-log-group"], "group-2")):
            found = self.daemon.api("logs?log_group=" + group)["items"]
            self.assertEqual([(i["body"], i["log_group"], i["log_stream"]) for i in found],
                             [("from a group", group, "runtime-logs")])
            self.assertEqual(len(self.daemon.api("logs?agent=" + agent)["items"]), 1)
        retried = self.daemon.api("status")["retried"]
        self.assertEqual(signals.post(self.daemon, "/v1/logs", body, headers=headers).status, 200)
        self.assertEqual(self.daemon.api("status")["retried"], retried + 1)
        points = signals.request([signals.gauge("of.namespace", [(NOW, 1, [])])])
        signals.post(self.daemon, "/v1/metrics", points, headers=headers)
        found = self.daemon.api("metrics?namespace=My+agents")["items"]
        self.assertEqual([item["name"] for item in found], ["of.namespace"])
        # A span of an agent without a name takes the group's.
        span = otlp.span(attributes=[("gen_ai.operation.name", "invoke_agent"),
                                     ("session.id", "sess-origin")])
        signals.post(self.daemon, "/v1/traces", otlp.request([span]), headers=headers)
        self.assertEqual(self.daemon.api("sessions/sess-origin")["agent"], "triage-DEFAULT")

    def test_bad_origin(self):
        before = self.counters()["midwatch_export_headers_ignored_total"]
        for bad in ("x" * 513, "caf\u00e9", "a\tb"):
            body = signals.request([signals.log(NOW, os.urandom(8).hex())])
            answer = signals.post(self.daemon, "/v1/logs", body,
                                  headers={"x-aws-log-group": bad, "x-aws-log-stream": "stays"})
            self.assertEqual(answer.status, 200)
            count, message = otlp.partial_success(answer.body)
            self.assertEqual(count, 0)
            self.assertIn("header left out: x-aws-log-group (", message)
        self.assertEqual(self.counters()["midwatch_export_headers_ignored_total"], before + 3)
        self.assertEqual(len(self.daemon.api("logs?log_stream=stays")["items"]), 3)


class CaptureCountTest(Case):
    def test_all_captures_count(self):
        """What clients of each transport sent is stored, and a repeat of it is not."""
        with Daemon() as daemon:
            items = {"logs": "log_records", "metrics": "data_points", "traces": "spans"}
            stored, sent = dict.fromkeys(items, 0), 0
            for signal, key in items.items():
                for capture in signals.captures({"traces": "trace"}.get(signal, signal)):
                    if "unknown_group" in capture["case"]:
                        continue
                    signals.send(daemon, capture)
                    stored[signal] += capture["expected"][key]
                    sent += 1
                    signals.send(daemon, capture)
            self.assertGreaterEqual(sent, 60)
            status = daemon.api("status")
            self.assertEqual(status["stored"], {"spans": stored["traces"], "logs": stored["logs"],
                                                "points": stored["metrics"]})
            self.assertEqual(status["retried"], sent)
            daemon.kill()
            daemon.start()
            self.assertEqual(daemon.api("status")["stored"], status["stored"])


if __name__ == "__main__":
    unittest.main()
