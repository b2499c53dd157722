#!/usr/bin/env python3
"""--format otlp: each capture of a real client, sent twice into a fresh space, comes back field by
field, in the order in which it was sent, and the second time changes nothing.

MIDWATCH_CAPTURES names another directory of captures (tests/data/otlp-captures/README.md).
"""
import gzip
import json
import os
import unittest
from urllib.parse import quote

import otlp_decode
from captures import is_grpc, load_capture, send_capture
from harness import CAPTURES, DaemonCase, any_value

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


class EachCaptureTest(DaemonCase):
    def by_cli(self, noun, name):
        words = ["show", name] if name else ["list"]
        words += [] if noun == "trace" else ["--limit", "1000"]
        return self.daemon.cli(noun, *words, "--format", "otlp", "--space", self.space)

    def by_api(self, noun, name):
        path = f"/api/v1/{noun}s" + (f"/{quote(name, safe='')}" if name else "")
        limit = "" if noun == "trace" else "&limit=1000"
        answer = self.daemon.get(f"{path}?format=otlp&space={self.space}{limit}")
        self.assertEqual(answer.status, 200)
        return answer.body

    def otlp(self, ask, noun, name=None):
        signal = {"trace": "traces", "span": "traces", "log": "logs", "metric": "metrics"}[noun]
        text = ask(noun, name)
        self.assertEqual(json.loads(text).keys(), {LEVELS[signal][0]})
        return otlp_decode.request(signal, text, True)

    def check_traces(self, ask, sent):
        self.assert_json(self.otlp(ask, "span"), sent)
        for trace in {span["traceId"] for span in items_of("traces", sent)}:
            self.assert_json(self.otlp(ask, "trace", trace),
                             only("traces", sent, lambda span: span["traceId"] == trace))

    def check_logs(self, ask, sent):
        self.assert_json(self.otlp(ask, "log"), sent)

    def check_metrics(self, ask, sent):
        for name in {metric["name"] for metric in items_of("metrics", sent)}:
            self.assert_json(self.otlp(ask, "metric", name),
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

    def counts(self):
        """Of all spaces by name."""
        return {space["name"]: [space[kind] for kind in ("spans", "logs", "points", "commit_seq")]
                for space in self.daemon.api("spaces")["items"]}

    def send(self, capture):
        there = [*capture["headers"], ["x-midwatch-space", self.space]]
        send_capture(self.daemon, {**capture, "headers": there})

    def check(self, capture):
        sent = sent_request(capture)
        self.check_expected(capture, sent)
        before = self.counts()
        self.send(capture)
        stored = self.counts()
        self.assertEqual([name for name in stored if stored[name] != before[name]], [self.space])
        for ask in (self.by_cli, self.by_api):
            getattr(self, "check_" + capture["signal"])(ask, sent)
            self.send(capture)
            self.assertEqual(self.counts(), stored)

    def test_each(self):
        captures = [c for c in all_captures() if c["case"] != "trace-unknown_group-protobuf"]
        self.assertGreaterEqual(len(captures), 60)
        for number, capture in enumerate(captures):
            self.space = f"capture-{number}"
            created = self.daemon.request("POST", "/api/v1/spaces",
                                          json.dumps({"name": self.space}),
                                          {"content-type": "application/json"}, port="socket")
            self.assertEqual(created.status, 201)
            with self.subTest(capture=capture["case"]):
                self.check(capture)
            self.daemon.request("DELETE", f"/api/v1/spaces/{self.space}", port="socket")


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
