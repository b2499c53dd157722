#!/usr/bin/env python3
"""--format otlp: each capture of a real client, sent twice into a fresh data directory, comes back
field by field, in the order in which it was sent, and the second time changes nothing.

MIDWATCH_CAPTURES names another directory of captures (tests/data/otlp-captures/README.md).
"""
import gzip
import json
import os
import unittest

import otlp
import otlp_decode
import signals
from captures import is_grpc, load_capture, send_capture
from harness import CAPTURES, Case, Daemon, DaemonCase, any_value

DIRECTORY = os.environ.get("MIDWATCH_CAPTURES", CAPTURES)
LEVELS = {"traces": ("resourceSpans", "scopeSpans", "spans"),
          "logs": ("resourceLogs", "scopeLogs", "logRecords"),
          "metrics": ("resourceMetrics", "scopeMetrics", "metrics")}


def all_captures():
    folders = [DIRECTORY, os.path.join(DIRECTORY, "synthetic")]
    paths = [os.path.join(folder, name) for folder in folders if os.path.isdir(folder)
             for name in os.listdir(folder) if name.endswith(".json")]
    return [load_capture(path) for path in sorted(paths)]


def sent_request(capture):
    body = capture["body"]
    if is_grpc(capture):
        body = gzip.decompress(body[5:]) if body[0] else body[5:]
    elif capture.get("compression") == "gzip":
        body = gzip.decompress(body)
    return otlp_decode.request(capture["signal"], body, capture["encoding"] == "json")


def items_of(signal, request):
    resources, scopes, items = LEVELS[signal]
    return [item for resource in request.get(resources, []) for scope in resource.get(scopes, [])
            for item in scope.get(items, [])]


def only(signal, request, keep):
    """The request with only those items of it, and what they stand under."""
    resources, scopes, items = LEVELS[signal]
    out = []
    for resource in request[resources]:
        kept = [{**scope, items: [item for item in scope[items] if keep(item)]}
                for scope in resource[scopes]]
        kept = [scope for scope in kept if scope[items]]
        if kept:
            out.append({**resource, scopes: kept})
    return {resources: out}


class EachCaptureTest(Case):
    def otlp(self, *command):
        signal = {"trace": "traces", "span": "traces", "log": "logs", "metric": "metrics"}[command[0]]
        text = self.daemon.cli(*command, "--format", "otlp")
        self.assertEqual(json.loads(text).keys(), {LEVELS[signal][0]})
        return otlp_decode.request(signal, text, True)

    def check_traces(self, sent):
        self.assert_json(self.otlp("span", "list", "--limit", "1000"), sent)
        for trace in {span["traceId"] for span in items_of("traces", sent)}:
            self.assert_json(self.otlp("trace", "show", trace),
                             only("traces", sent, lambda span: span["traceId"] == trace))

    def check_logs(self, sent):
        self.assert_json(self.otlp("log", "list", "--limit", "1000"), sent)

    def check_metrics(self, sent):
        for name in {metric["name"] for metric in items_of("metrics", sent)}:
            self.assert_json(self.otlp("metric", "show", name, "--limit", "1000"),
                             only("metrics", sent, lambda metric: metric["name"] == name))

    def check_expected(self, capture, sent):
        """The decoder against what another one found in the same body."""
        found = items_of(capture["signal"], sent)
        if capture["signal"] == "metrics":
            self.assertEqual([metric["name"] for metric in found][:3],
                             [metric["name"] for metric in capture["expected"]["metric_list"]][:3])
            return
        listed = capture["expected"]["span_list" if capture["signal"] == "traces" else "log_list"]
        for item, expected in list(zip(found, listed))[:3]:
            self.assertEqual(item.get("spanId", ""), expected["span_id"])
            self.assert_json({a["key"]: plain_value(a.get("value", {}))
                              for a in item.get("attributes", [])},
                             {key: any_value(value) for key, value in expected["attributes"]})

    def check(self, capture):
        sent = sent_request(capture)
        self.check_expected(capture, sent)
        send_capture(self.daemon, capture)
        stored = self.daemon.cli_json("status")["stored"]
        for _ in range(2):
            getattr(self, "check_" + capture["signal"])(sent)
            send_capture(self.daemon, capture)
            self.assertEqual(self.daemon.cli_json("status")["stored"], stored)

    def test_each(self):
        captures = [c for c in all_captures() if c["case"] != "trace-unknown_group-protobuf"]
        self.assertGreaterEqual(len(captures), 60)
        for capture in captures:
            with self.subTest(capture=capture["case"]), Daemon() as self.daemon:
                self.check(capture)


def plain_value(value):
    """A value of OTLP/JSON as the API shows it."""
    (kind, content), = value.items() if value else (("empty", None),)
    if kind == "intValue":
        return int(content) if abs(int(content)) <= 2 ** 53 else content
    if kind == "doubleValue":
        return content if content in ("NaN", "inf", "-inf") else float(content)
    if kind == "arrayValue":
        return [plain_value(item) for item in content.get("values", [])]
    if kind == "kvlistValue":
        return {item["key"]: plain_value(item.get("value", {}))
                for item in content.get("values", [])}
    return content


if __name__ == "__main__":
    unittest.main()
