"""OTLP/JSON through the real port: exact values, and ids of any shape. What is wrong in JSON is in
test_bad_inputs.py, rows 33 to 36."""
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
            "string": {"stringValue": "é\u0000\U0001f600"}, "double": {"doubleValue": 5},
            "bytes": {"bytesValue": "Zm9v"},
            "list": {"arrayValue": {"values": [{"intValue": 1}, {}, {"boolValue": False}]}},
            "nul\u0000key": {"boolValue": True},
            "map": {"kvlistValue": {"values": [{"key": "a", "value": {"stringValue": "b"}}]}},
        }
        pairs = [{"key": k, "value": v} for k, v in values.items()]
        self.assertEqual(self.post(request(span(1, attributes=pairs, unknown=[{"x": [None]}]))), {})
        self.assertEqual(self.attributes(1), {
            "string": "é\u0000\U0001f600", "double": 5.0, "bytes": "Zm9v", "list": [1, None, False],
            "nul\u0000key": True, "map": {"a": "b"}})
        self.assertIn("span 1", self.daemon.cli("trace", "show", TRACE))
        self.assertIn('"double":5.0', self.daemon.cli("trace", "show", TRACE, "--json"))

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



if __name__ == "__main__":
    unittest.main()
