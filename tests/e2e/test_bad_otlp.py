#!/usr/bin/env python3
"""Bad OTLP over both transports: what is refused, in which words, and that one bad item never
costs its batch."""
import base64
import gzip
import http.client
import json
import os
import unittest

import otlp
from harness import Case, Daemon

INVALID_ARGUMENT = 3
UNIMPLEMENTED = 12
INTERNAL = 13


class BadOtlpTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon().start()

    @classmethod
    def tearDownClass(cls):
        try:
            cls.daemon.stop()
        finally:
            cls.daemon.remove()

    def both(self, body):
        """Sends over HTTP and gRPC: ((status, body), (grpc-status, message, body))."""
        http = self.daemon.post_traces(body)
        self.assertEqual(http.headers["content-type"], "application/x-protobuf")
        grpc = self.daemon.grpc(body)
        self.assertTrue(grpc["answered"])
        self.assertEqual(grpc["status"], 200)
        return http, grpc

    def assert_accepted(self, body):
        http, grpc = self.both(body)
        self.assertEqual((http.status, http.body), (200, b""))
        self.assertEqual((grpc["grpc_status"], grpc["body"]), (0, b"\0\0\0\0\0"))

    def assert_refused(self, body, *words):
        """400 with a google.rpc.Status, INVALID_ARGUMENT; both say the words."""
        http, grpc = self.both(body)
        self.assertEqual(http.status, 400)
        code, message = otlp.status_message(http.body)
        self.assertEqual(code, INVALID_ARGUMENT)
        self.assertNotEqual(message, "")
        self.assertEqual(grpc["grpc_status"], INVALID_ARGUMENT)
        self.assertNotEqual(grpc["grpc_message"], "")
        self.assertEqual(grpc["body"], b"")
        for word in words:
            self.assertIn(word, message)
        return message

    def assert_partial(self, make_body, rejected, *words):
        """Success with that many rejected; make_body gives fresh ids for each transport."""
        http = self.daemon.post_traces(make_body())
        self.assertEqual(http.status, 200)
        grpc = self.daemon.grpc(make_body())
        self.assertEqual(grpc["grpc_status"], 0)
        length = int.from_bytes(grpc["body"][1:5], "big")
        self.assertEqual(len(grpc["body"]), 5 + length)
        for body in (http.body, grpc["body"][5:]):
            count, message = otlp.partial_success(body)
            self.assertEqual(count, rejected)
            for word in words:
                self.assertIn(word, message)

    def spans_of(self, trace_id):
        return self.daemon.api("traces/" + trace_id.hex())["spans"]

    def test_empty_request(self):
        self.assert_accepted(b"")
        # Envelopes without items are an empty request too.
        self.assert_accepted(otlp.request([]))
        answer = self.daemon.post_traces(gzip.compress(b""), "gzip")
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_random_bytes(self):
        # Begins with field 1, wire type 7: never protobuf, whatever follows.
        self.assert_refused(b"\x0f" + os.urandom(200))
        self.assert_refused(b"\xff" * 64)

    def test_truncated(self):
        body = otlp.request([otlp.span()])
        for length in (1, len(body) // 2, len(body) - 1):
            with self.subTest(length=length):
                self.assert_refused(body[:length])
        self.assert_refused(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")

    def test_wrong_wire_type(self):
        self.assert_refused(otlp.varint_field(1, 5))
        self.assert_refused(otlp.length_field(0, b"x"))

    def test_connection_survives_a_refusal(self):
        connection = http.client.HTTPConnection(*self.daemon.address("http"), timeout=30)
        headers = {"content-type": "application/x-protobuf"}
        for body, status in ((b"\xff" * 9, 400), (otlp.request([otlp.span()]), 200)):
            connection.request("POST", "/v1/traces", body, headers)
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, status)
        connection.close()

    def test_depth(self):
        good, deep = os.urandom(16), os.urandom(16)

        def body():
            return otlp.request([
                otlp.span(good, attributes=[("nested", otlp.nested_value(63))]),
                otlp.span(deep, attributes=[("nested", otlp.nested_value(65))])])
        self.assert_partial(body, 1, "spans[1]")
        (span, _) = self.spans_of(good)
        value, levels = span["attributes"]["nested"], 0
        while isinstance(value, list):
            (value,), levels = value, levels + 1
        self.assertEqual((value, levels), ("deep", 63))
        self.assertEqual(self.daemon.get("/api/v1/traces/" + deep.hex()).status, 404)
        for levels in (65, 1000, 30000):
            with self.subTest(levels=levels):
                deeper = [("nested", otlp.nested_value(levels))]
                self.assert_refused(otlp.request([otlp.span(attributes=deeper)]))

    def test_ids_of_wrong_length(self):
        bad = {"trace id of 15": {"trace_id": b"x" * 15}, "of 17": {"trace_id": b"x" * 17},
               "of 0": {"trace_id": b""}, "of zeros": {"trace_id": bytes(16)},
               "hex text": {"trace_id": b"0af7651916cd43dd8448eb211c80319c"},
               "span id of 7": {"span_id": b"x" * 7}, "span id of zeros": {"span_id": bytes(8)},
               "parent id of 3": {"parent_id": b"abc"}}
        for name, ids in bad.items():
            with self.subTest(case=name):
                good = os.urandom(16)
                self.assert_partial(lambda: otlp.request(
                    [otlp.span(good), otlp.span(**ids), otlp.span(good)]), 1, "spans[1]")
                self.assertEqual(len(self.spans_of(good)), 4)
        refused = self.daemon.cli_json("status")["refused"]
        self.assertGreaterEqual(sum(refused.values()), 2 * len(bad))

    def test_all_invalid(self):
        spans = [otlp.span(trace_id=b""), otlp.span(span_id=b"short")]
        self.assert_refused(otlp.request(spans), "no valid span")

    def test_text_that_is_not_utf8_is_kept(self):
        trace_id = os.urandom(16)

        def body():
            return otlp.request([otlp.span(trace_id, name=b"caf\xe9", attributes=[("a", "b")])])
        self.assert_partial(body, 0, "UTF-8")
        self.assertEqual({s["name"] for s in self.spans_of(trace_id)}, {"caf\ufffd"})

    def test_nul_in_text_is_kept(self):
        trace_id = os.urandom(16)
        self.assert_accepted(otlp.request([otlp.span(trace_id, name="a\0b")]))
        (span,) = self.spans_of(trace_id)
        self.assertEqual(span["name"], "a\0b")

    def post_json(self, text):
        answer = self.daemon.post_traces(text.encode(), content_type="application/json")
        self.assertEqual(answer.headers["content-type"], "application/json")
        return answer.status, answer.json()

    def json_request(self, *spans):
        return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]})

    def test_json(self):
        self.assertEqual(self.post_json("{}"), (200, {}))
        for bad in ("", "[]", "{", '{"resourceSpans": 7}', "{} x", "[" * 100000,
                    '{"resourceSpans":' * 100000, '{"a": "\\ud800"}'):
            with self.subTest(body=bad[:40]):
                status, body = self.post_json(bad)
                self.assertEqual((status, body["code"]), (400, INVALID_ARGUMENT))
                self.assertNotEqual(body["message"], "")
        trace_id = os.urandom(16).hex()
        good = {"traceId": trace_id.upper(), "spanId": "0123456789ABCDEF", "name": "j",
                "startTimeUnixNano": "1700000000000000001", "endTimeUnixNano": 1700000000000000002,
                "attributes": [{"key": "n", "value": {"intValue": "9007199254740993"}}]}
        status, body = self.post_json(self.json_request(good, {**good, "spanId": "AAAA"}))
        self.assertEqual(status, 200)
        self.assertEqual(body["partialSuccess"]["rejectedSpans"], "1")
        self.assertIn("spans[1]", body["partialSuccess"]["errorMessage"])
        (span,) = self.daemon.api("traces/" + trace_id)["spans"]
        self.assertEqual((span["span_id"], span["start_unix_nano"], span["end_unix_nano"]),
                         ("0123456789abcdef", "1700000000000000001", "1700000000000000002"))
        self.assertEqual(span["attributes"], {"n": "9007199254740993"})

    def test_gzip(self):
        body = otlp.request([otlp.span()])
        packed = gzip.compress(body)
        self.assertEqual(self.daemon.post_traces(packed, "GZIP").status, 200)
        self.assertEqual(self.daemon.post_traces(packed[:-4], "gzip").status, 400)
        self.assertEqual(self.daemon.post_traces(packed + b"rubbish", "gzip").status, 400)
        self.assertEqual(self.daemon.post_traces(body, "gzip").status, 400)
        halves = gzip.compress(body[:40]) + gzip.compress(body[40:])
        self.assertEqual(self.daemon.post_traces(halves, "gzip").status, 200)
        for encoding in ("br", "zstd", "gzip, gzip"):
            with self.subTest(encoding=encoding):
                self.assertEqual(self.daemon.post_traces(packed, encoding).status, 415)
        self.assertEqual(self.daemon.grpc(packed[:-4], encoding="gzip")["grpc_status"], INTERNAL)
        answer = self.daemon.grpc(body, encoding="snappy")
        self.assertEqual(answer["grpc_status"], UNIMPLEMENTED)

    def test_bomb(self):
        bomb = gzip.compress(bytes(200 << 20), 1)
        answer = self.daemon.post_traces(bomb, "gzip")
        self.assertEqual(answer.status, 413)
        answer = self.daemon.grpc(bomb, encoding="gzip")
        self.assertEqual(answer["grpc_status"], 8)
        # A Status of code and message alone: RetryInfo would make the client send it again.
        details = answer["details"]
        status = otlp.fields(base64.b64decode(details + "=" * (-len(details) % 4)))
        self.assertEqual((sorted(status), status[1]), ([1, 2], [8]))

    def test_grpc_framing(self):
        body = otlp.request([otlp.span()])
        frame = b"\0" + len(body).to_bytes(4, "big") + body
        self.assertEqual(self.daemon.grpc(frame, framed=True)["grpc_status"], 0)
        for name, bad in {"compressed flag without encoding": b"\1" + frame[1:],
                          "unknown flag": b"\7" + frame[1:],
                          "two messages": frame + frame, "trailing byte": frame + b"x",
                          "length past the end": frame[:-1], "no prefix": b"\0\0"}.items():
            with self.subTest(case=name):
                answer = self.daemon.grpc(bad, framed=True)
                self.assertTrue(answer["answered"])
                self.assertIn(answer["grpc_status"], (INVALID_ARGUMENT, INTERNAL))
        answer = self.daemon.grpc(b"\0\xff\xff\xff\xff" + body, framed=True)
        self.assertEqual(answer["grpc_status"], 8)


if __name__ == "__main__":
    unittest.main()
