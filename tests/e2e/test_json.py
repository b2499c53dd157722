"""OTLP/JSON through the real port: exact values, items refused alone, mistakes named."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

TRACE = "5b8efff798038103d269b633813fc60c"


def span(number, **members):
    base = {"traceId": TRACE, "spanId": f"{number:016x}", "name": f"span {number}",
            "startTimeUnixNano": "1544712660000000001", "endTimeUnixNano": 1544712661000000000}
    base.update(members)
    return base


def request(*spans):
    return {"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "j"}}],
                     "schemaUrl": "https://example.com/ignored"},
        "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def nested(depth):
    return ('{"arrayValue":{"values":[' * depth) + "{}" + ("]}}" * depth)


class JsonTest(unittest.TestCase):
    def setUp(self):
        self.daemon = harness.Daemon()
        self.daemon.__enter__()
        self.addCleanup(self.daemon.__exit__, None, None, None)

    def post(self, body, status=200):
        if not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        answer = self.daemon.post_traces(body, content_type="application/json; charset=utf-8")
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers.get("content-type"), "application/json")
        return answer.json()

    def attributes(self, number):
        spans = self.daemon.cli_json("trace", "show", TRACE)["spans"]
        return next(s for s in spans if s["span_id"] == f"{number:016x}")["attributes"]

    def test_values(self):
        values = {
            "string": {"stringValue": "é\u0000\U0001f600"}, "int text": {"intValue": "9007199254740993"},
            "int": {"intValue": 12}, "exponent": {"intValue": 12e2}, "double": {"doubleValue": 5},
            "nan": {"doubleValue": "NaN"}, "null": {"doubleValue": None}, "bytes": {"bytesValue": "Zm9v"},
            "list": {"arrayValue": {"values": [{"intValue": 1}, {}, {"boolValue": False}]}},
            "nul\u0000key": {"boolValue": True},
            "map": {"kvlistValue": {"values": [{"key": "a", "value": {"stringValue": "b"}}]}},
        }
        pairs = [{"key": k, "value": v} for k, v in values.items()]
        self.assertEqual(self.post(request(span(1, attributes=pairs, unknown=[{"x": [None]}]))), {})
        self.assertEqual(self.attributes(1), {
            "string": "é\u0000\U0001f600", "int text": "9007199254740993", "int": 12, "exponent": 1200,
            "double": 5.0, "nan": "NaN", "null": None, "bytes": "Zm9v", "list": [1, None, False],
            "nul\u0000key": True, "map": {"a": "b"}})
        self.assertIn("span 1", self.daemon.cli("trace", "show", TRACE))
        self.assertIn('"double":5.0', self.daemon.cli("trace", "show", TRACE, "--json"))

    def test_empty(self):
        self.assertEqual(self.post("{}"), {})
        self.assertIn("empty", self.post("", 400)["message"])

    def test_one_bad_item(self):
        for bad in ("0x" + TRACE[2:], TRACE[:-1], "W47/95gDgQPSabYzgT/GDA==", "0" * 32):
            answer = self.post(request(span(1), span(2, traceId=bad)))
            self.assertEqual(answer["partialSuccess"]["rejectedSpans"], "1")
            self.assertIn("spans[1].trace_id", answer["partialSuccess"]["errorMessage"])
        self.assertEqual(self.post(request(span(3, traceId=TRACE.upper()))), {})
        message = self.post(request(span(4, traceId="x")), 400)["message"]
        self.assertIn("no valid span ids", message)

    def test_depth(self):
        for depth, refused in ((64, 0), (65, 1), (1000, 1), (100000, 1)):
            deep = json.dumps(span(depth)).rstrip("}") + \
                ',"attributes":[{"key":"k","value":' + nested(depth) + "}]}"
            body = json.dumps(request(span(1), "DEEP")).replace('"DEEP"', deep)
            answer = self.post(body)
            rejected = answer.get("partialSuccess", {}).get("rejectedSpans", "0")
            self.assertEqual(rejected, str(refused), depth)
        self.assertEqual(self.post('{"a":' + "[" * 1000000 + "]" * 1000000 + "}"), {})
        self.post("[" * 1000000, 400)

    def test_odd_sessions(self):
        """Any id can be shown: slashes, dots, NUL, a megabyte."""
        names = ["org/proj/42", "..", ".", "a b?c=d&e%2F#f", "nul\u0000id", "x" * 1000000]
        for number, name in enumerate(names):
            session = [{"key": "session.id", "value": {"stringValue": name}}]
            self.post(request(span(number + 1, traceId=f"{number + 1:032x}", attributes=session)))
        listed = self.daemon.cli_json("session", "list")["items"]
        self.assertEqual({s["session_id"] for s in listed}, {n[:256] for n in names})
        self.assertLess(len(self.daemon.cli("session", "list")), 4000)
        for name in names[:4]:
            self.assertEqual(self.daemon.cli_json("session", "show", name)["session_id"], name)
        shown = self.daemon.cli_json("trace", "show", f"{6:032x}")["spans"][0]
        self.assertEqual(shown["attributes"]["session.id"], names[5])
        self.daemon.cli("session", "show", "", code=2)
        self.daemon.cli("trace", "show", "", code=2)

    def test_mistakes_are_named(self):
        rows = [
            (b"\xef\xbb\xbf{}", "byte 0"), (b'{"a":"\xff"}', "UTF-8"), ('{"a":"\\ud800"}', "surrogate"),
            ('{"a":NaN}', "NaN"), ("{} {}", "after the request"), ('{"a":1,}', "unexpected"),
            (request(span(1, startTimeUnixNano=-5)), "startTimeUnixNano"),
            (request(span(1, startTimeUnixNano="12abc")), "spans[0].startTimeUnixNano"),
            (request(span(1, kind="SERVER")), "kind"), (request(span(1, name=5)), "name"),
            ({"resourceSpans": {}}, "resourceSpans: expected an array"),
        ]
        for body, words in rows:
            self.assertIn(words, self.post(body, 400)["message"])
        noted = json.dumps(request(span(1, kind="SPAN_KIND_SERVER"))).replace(
            "startTimeUnixNano", "start_time_unix_nano")
        answer = self.post(noted)["partialSuccess"]
        self.assertEqual(answer.get("rejectedSpans"), "0")
        self.assertIn("spans[0] (start_time_unix_nano)", answer["errorMessage"])
        shown = self.daemon.cli_json("trace", "show", TRACE)["spans"][0]
        self.assertEqual((shown["kind"], shown["start_unix_nano"]),
                         ("SERVER", "1544712660000000001"))


if __name__ == "__main__":
    unittest.main()
