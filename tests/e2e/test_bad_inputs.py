#!/usr/bin/env python3
"""Forty bad inputs, a row of the table a method or two, over HTTP and gRPC, all three signals:
rows 1 to 29 (envelopes, compression, framing, HTTP) and 40 (endings).

The rule behind them: one bad item never costs its batch, nothing is dropped in silence. If a
request held items and none is kept it is 400 / INVALID_ARGUMENT, else success, with
partial_success naming what was refused or noted (rejected 0). Rows 30 to 39 (content) are in
test_bad_content.py, floods of frames (row 24) in test_attacks.py.
"""
import gzip
import http.client
import json
import os
import resource
import socket
import threading
import time
import unittest
import zlib

import h2frames as h2
import otlp
from exports import (GRPC_METHODS, INTERNAL, INVALID_ARGUMENT, JSON, PROTOBUF,
                     RESOURCE_EXHAUSTED, UNAVAILABLE, UNIMPLEMENTED, ExportCase, Raw, details_of,
                     grpc_frame, json_request, json_span, json_value, one_of)
from h2frames import Peer, block, data, headers, rst_stream, settings
from harness import SLOWNESS, Daemon, wait_for

LIMIT = 64 << 20  # max_request as it is by default
HEAD = (b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: application/x-protobuf\r\n")
OTHERS = ("logs", "metrics")


def bomb(megabytes):
    """gzip of that many MB of zeros: members of 1 MB each, which one stream may hold."""
    return gzip.compress(bytes(1 << 20), 9) * megabytes


class RowsTest(ExportCase):
    # ---- 1 to 9: envelopes, wire format, depth, budget

    def check_empty(self, signal):
        self.assert_accepted(b"", signal)
        # Envelopes without items are an empty request too.
        self.assert_accepted(otlp.request([]), signal)
        answer = self.post(gzip.compress(b""), signal, "gzip")
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_row_01_empty_body(self):
        self.check_empty("traces")

    def test_row_01_empty_body_of_logs_and_metrics(self):
        for signal in OTHERS:
            with self.subTest(signal=signal):
                self.check_empty(signal)

    def test_row_02_grpc_message_of_length_0(self):
        self.assert_success(self.call(bytes(5), framed=True))

    def test_row_02_grpc_message_of_length_0_of_logs_and_metrics(self):
        for signal in OTHERS:
            with self.subTest(signal=signal):
                self.assert_success(self.call(bytes(5), signal, framed=True))

    def check_json_empty(self, signal):
        self.assertEqual(self.post_json("{}", signal), (200, {}))
        status, body = self.post_json("", signal)
        self.assertEqual((status, body["code"]), (400, INVALID_ARGUMENT))
        self.assertIn("empty", body["message"])

    def test_row_03_json_empty_object_and_empty_text(self):
        self.check_json_empty("traces")

    def test_row_03_json_empty_object_and_empty_text_of_logs_and_metrics(self):
        for signal in OTHERS:
            with self.subTest(signal=signal):
                self.check_json_empty(signal)

    def test_row_04_resource_and_scope_are_missing(self):
        for number, make in enumerate((
                lambda s: otlp.length_field(1, otlp.length_field(2, otlp.length_field(2, s))),
                lambda s: otlp.length_field(1, b"") + otlp.length_field(1, otlp.length_field(
                    2, b"")) + otlp.length_field(1, otlp.length_field(1, b"") + otlp.length_field(
                        2, otlp.length_field(1, b"") + otlp.length_field(2, s))))):
            with self.subTest(number=number):
                trace_id = os.urandom(16)
                self.assert_accepted(make(otlp.span(trace_id, span_id=b"12345678")))
                (span,) = self.spans_of(trace_id)
                self.assertEqual((span["service"], span["resource"]), ("unknown", {}))
        self.assertEqual(self.post_json({"resourceSpans": [{}, {"scopeSpans": []},
                                                           {"scopeSpans": [{"spans": []}]}]}),
                         (200, {}))
        self.assertEqual(self.post_json(json_request("traces", json_span(4))), (200, {}))
        self.assertEqual(len(self.spans_of(json_span(4)["traceId"])), 1)

    def test_row_04_resource_and_scope_are_missing_in_logs_and_metrics(self):
        gauge = {"name": "m.row4", "gauge": {"dataPoints": [
            {"timeUnixNano": str(otlp.START), "asInt": "4"}]}}
        for signal, item in (("logs", {"body": {"stringValue": "row 4"}}), ("metrics", gauge)):
            with self.subTest(signal=signal):
                self.assertEqual(self.post_json(json_request(signal, item), signal), (200, {}))

    def test_row_05_random_bytes(self):
        # Begins with field 1, wire type 7: never protobuf, whatever follows.
        for junk in (b"\x0f" + os.urandom(200), b"\xff" * 64):
            self.assert_refused(junk)
        connection = http.client.HTTPConnection(*self.daemon.address("http"),
                                                timeout=30 * SLOWNESS)
        for body, status in ((b"\xff" * 9, 400), (otlp.request([otlp.span()]), 200)):
            connection.request("POST", "/v1/traces", body, {"content-type": PROTOBUF})
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, status)
        connection.close()
        with Peer(self.daemon.address("grpc")).handshake() as peer:
            for body, code in ((b"\xff" * 9, INVALID_ARGUMENT), (one_of("traces"), 0)):
                answer = peer.request("POST", GRPC_METHODS["traces"],
                                      [("content-type", "application/grpc")], grpc_frame(body))
                self.assertEqual(answer.grpc_status, code)

    def test_row_05_random_bytes_as_logs_and_metrics(self):
        for signal in OTHERS:
            with self.subTest(signal=signal):
                self.assert_refused(b"\x0f" + os.urandom(200), signal=signal)

    def test_row_06_truncated_and_lengths_past_the_end(self):
        body = otlp.request([otlp.span()])
        before = self.peak()
        for length in (1, len(body) // 2, len(body) - 1):
            with self.subTest(length=length):
                self.assert_refused(body[:length])
        self.assert_refused(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")  # 2^64 - 1
        self.assert_refused(b"\x0a\xff\xff\xff\xff\x07xyz")                   # 2 GiB
        self.assertLess(self.peak() - before, 4 << 20)

    def test_row_07_depth(self):
        good, deep = os.urandom(16), os.urandom(16)

        def body():
            return otlp.request([
                otlp.span(good, attributes=[("nested", otlp.nested_value(64))]),
                otlp.span(deep, attributes=[("nested", otlp.nested_value(65))])])
        self.assert_partial(body, 1, "spans[1]")
        value, levels = self.spans_of(good)[0]["attributes"]["nested"], 0
        while isinstance(value, list):
            (value,), levels = value, levels + 1
        self.assertEqual((value, levels), ("deep", 64))
        self.assertEqual(self.daemon.get("/api/v1/traces/" + deep.hex()).status, 404)
        for levels in (65, 1000, 100000):
            with self.subTest(levels=levels):
                deeper = [("nested", otlp.nested_value(levels))]
                self.assert_refused(otlp.request([otlp.span(attributes=deeper)]))
        # One deep resource refuses what is below it, and nothing else.
        resource_too_deep = otlp.length_field(1, otlp.length_field(1, otlp.length_field(
            1, otlp.attribute("k", otlp.nested_value(100000)))) + otlp.length_field(
                2, otlp.length_field(2, otlp.span())))
        self.assert_partial(lambda: resource_too_deep + otlp.request([otlp.span()]), 1)

    def test_row_07_depth_of_log_bodies_and_points(self):
        deep = otlp.nested_value(100000)
        self.assert_partial(lambda: otlp.logs_request(
            [otlp.log_record(os.urandom(9).hex()), otlp.log_record(deep)]), 1,
            "log_records[1]", signal="logs")
        self.assert_refused(otlp.logs_request([otlp.log_record(deep)]), signal="logs")
        points = [otlp.number_point(), otlp.number_point(attributes=[("k", deep)])]
        self.assert_partial(lambda: otlp.metrics_request([otlp.metric(points)],
                                                         os.urandom(9).hex()),
                            1, "data_points[1]", signal="metrics")
        self.assert_refused(otlp.metrics_request([otlp.metric(points[1:])]), signal="metrics")

    def test_row_08_depth_in_json(self):
        for depth, refused in ((64, 0), (65, 1), (1000, 1), (100000, 1)):
            deep = json.dumps(json_span(depth)).rstrip("}") + \
                ',"attributes":[{"key":"k","value":' + json_value(depth) + "}]}"
            text = json.dumps(json_request("traces", json_span(8), "DEEP")).replace('"DEEP"', deep)
            status, answer = self.post_json(text)
            rejected = answer.get("partialSuccess", {}).get("rejectedSpans", "0")
            self.assertEqual((status, rejected), (200, str(refused)), depth)
            if refused:
                alone = json.dumps(json_request("traces", "DEEP")).replace('"DEEP"', deep)
                self.assertEqual(self.post_json(alone)[0], 400)
        # Below a key nobody knows there is nothing to refuse.
        self.assertEqual(self.post_json('{"a":' + "[" * 1000000 + "]" * 1000000 + "}"), (200, {}))
        for broken in ("[" * 1000000, '{"resourceSpans":' * 100000):
            self.assertEqual(self.post_json(broken)[0], 400)

    def test_row_09_a_million_empty_spans(self):
        before = self.peak()
        many = otlp.length_field(1, otlp.length_field(2, b"\x12\x00" * 1000000))
        self.assert_too_large(many)
        text = '{"resourceSpans":[{"scopeSpans":[{"spans":[' + "{}," * 1000000 + "{}]}]}]}"
        self.assertEqual(self.post_json(text)[0], 413)
        # 2 MB each way and what the reader makes of it; 242 MB with a generic decoder.
        self.assertLess(self.peak() - before, 24 << 20)

    # ---- 10 to 19: compression, gRPC framing, size

    def test_row_10_gzip_bomb(self):
        before = self.peak()
        answer = self.post(bomb(1024), encoding="gzip")
        self.assertEqual(answer.status, 413)
        self.assert_status_body(answer, RESOURCE_EXHAUSTED)
        packer = zlib.compressobj(1, wbits=31)
        one = packer.compress(bytes(100 << 20)) + packer.flush()
        self.assertEqual(self.post(one, encoding="gzip").status, 413)
        self.assertLess(self.peak() - before, LIMIT * 5 // 4)

    def test_row_11_gzip_bomb_over_grpc(self):
        before = self.peak()
        answer = self.call(bomb(1024), encoding="gzip")
        self.assert_grpc(answer, RESOURCE_EXHAUSTED)
        found = details_of(answer)
        self.assertEqual((sorted(found), found[1]), ([1, 2], [RESOURCE_EXHAUSTED]))
        self.assertLess(self.peak() - before, LIMIT * 5 // 4)

    def test_row_12_damaged_gzip(self):
        body = otlp.request([otlp.span()])
        packed = gzip.compress(body)
        wrong_crc = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
        for name, bad in {"truncated": packed[:-4], "half": packed[:len(packed) // 2],
                          "crc": wrong_crc, "trailing": packed + b"rubbish", "plain": body,
                          "nothing": b""}.items():
            with self.subTest(case=name):
                answer = self.post(bad, encoding="gzip")
                if name == "nothing":  # no bytes, no gzip stream, no items
                    self.assertIn(answer.status, (200, 400))
                    continue
                self.assertEqual(answer.status, 400)
                self.assert_status_body(answer, INTERNAL)
                self.assert_grpc(self.call(bad, encoding="gzip"), INTERNAL)

    def test_row_13_two_gzip_members(self):
        trace_id = os.urandom(16)
        body = otlp.request([otlp.span(trace_id)])
        for cut in (1, 40, len(body)):
            halves = gzip.compress(body[:cut]) + gzip.compress(body[cut:])
            self.assertEqual(self.post(halves, encoding="gzip").status, 200)
            self.assert_success(self.call(halves, encoding="gzip"))
        self.assertEqual(len(self.spans_of(trace_id)), 1)

    def test_row_14_content_encodings(self):
        packed = gzip.compress(one_of("traces"))
        for encoding in ("br", "zstd", "gzip, gzip", "deflate", "x"):
            with self.subTest(encoding=encoding):
                answer = self.post(packed, encoding=encoding)
                self.assertEqual(answer.status, 415)
                self.assertIn("gzip", answer.headers["accept-encoding"])
        with Raw(self.daemon.address("http")) as raw:
            raw.send(HEAD + b"content-encoding: gzip\r\ncontent-encoding: gzip\r\n"
                     b"content-length: 0\r\n\r\n")
            self.assertEqual(raw.answer().status, 415)
        for encoding in ("GZIP", "Gzip"):
            self.assertEqual(self.post(packed, encoding=encoding).status, 200)
        self.assertEqual(self.post(one_of("traces"), encoding="identity").status, 200)

    def test_row_15_unknown_grpc_encoding(self):
        for encoding in ("snappy", "zstd", "deflate"):
            answer = self.call(one_of("traces"), encoding=encoding)
            self.assert_grpc(answer, UNIMPLEMENTED)
            accepted = answer.headers["grpc-accept-encoding"].replace(" ", "").split(",")
            self.assertEqual(sorted(accepted), ["gzip", "identity"])

    def test_row_16_grpc_flags(self):
        body = one_of("traces")
        self.assert_grpc(self.call(grpc_frame(body, 1), framed=True), INTERNAL)
        self.assert_grpc(self.call(grpc_frame(body, 1), framed=True,
                                   more=[("grpc-encoding", "identity")]), INTERNAL)
        for flag in (2, 7, 255):
            self.assert_grpc(self.call(grpc_frame(body, flag), framed=True), INTERNAL)
        # An encoding without the flag is a plain message.
        self.assert_success(self.call(grpc_frame(body), framed=True,
                                      more=[("grpc-encoding", "gzip")]))

    def test_row_17_grpc_frames_that_do_not_fit(self):
        body = one_of("traces")
        frame = grpc_frame(body)
        for name, bad in {"longer than the data": frame[:-1], "two messages": frame + frame,
                          "trailing byte": frame + b"x", "no prefix": b"\0\0",
                          "nothing": b""}.items():
            with self.subTest(case=name):
                answer = self.call(bad, framed=True)  # call() counts the answers
                self.assertIn(answer.grpc_status, (INVALID_ARGUMENT, INTERNAL))
                self.assert_grpc(answer, answer.grpc_status)

    def test_row_18_grpc_frame_of_4_gib(self):
        with Peer(self.daemon.address("grpc")).handshake() as peer:
            stream = peer.stream()
            peer.send(headers(stream, block(peer.fields(
                "POST", GRPC_METHODS["traces"], ("content-type", "application/grpc")))),
                data(stream, b"\0\xff\xff\xff\xff"))
            # Nothing follows, and END_STREAM never comes.
            answer = peer.finish(stream)
            self.assert_grpc(answer, RESOURCE_EXHAUSTED)
            peer.read_until(lambda: answer.reset is not None)
            self.assertEqual(answer.reset, h2.NO_ERROR)
            self.assertEqual(details_of(answer)[1], [RESOURCE_EXHAUSTED])

    def test_row_19_one_byte_over_the_limit(self):
        with Raw(self.daemon.address("http")) as raw:
            # Announced: answered before a byte of it is there.
            raw.send(HEAD + f"content-length: {LIMIT + 1}\r\n\r\n".encode())
            self.assertEqual(raw.answer().status, 413)
            self.assertEqual(raw.rest(), b"")
        with Raw(self.daemon.address("http"), 30) as raw:
            raw.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
            raw.send(f"{LIMIT:x}\r\n".encode() + bytes(LIMIT) + b"\r\n")
            raw.send(b"1\r\nx\r\n")
            self.assertEqual(raw.answer().status, 413)
            # Drained, or closed.
            raw.send(b"0\r\n\r\n" + HEAD + b"content-length: 0\r\n\r\n")
            self.assertRegex(raw.socket.recv(100)[:13], rb"^(HTTP/1.1 200 )?$")

    # ---- 20 to 29: HTTP

    def test_row_20_smuggling(self):
        for name, more in {
                "both lengths": b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                "both, turned": b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
                "two lengths": b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
                "a list": b"content-length: 3, 4\r\n\r\nabcd",
                "negative": b"content-length: -3\r\n\r\nabc",
                "plus": b"content-length: +3\r\n\r\nabc",
                "hexadecimal": b"content-length: 0x3\r\n\r\nabc",
                "2^63": b"content-length: 9223372036854775808\r\n\r\n",
                "2^64": b"content-length: 18446744073709551616\r\n\r\n",
                "huge": b"content-length: " + b"9" * 100 + b"\r\n\r\n"}.items():
            with self.subTest(case=name), Raw(self.daemon.address("http")) as raw:
                raw.send(HEAD + more + b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n")
                allowed = (400, 413) if name in ("2^63", "2^64", "huge") else (400,)
                self.assertIn(raw.answer().status, allowed)
                self.assertEqual(raw.rest(), b"")

    def test_row_21_chunked(self):
        body = one_of("traces")
        parts = [body[:7], body[7:9], body[9:]]
        good = b"".join(f"{len(p):X};ext=\"a b\";x\r\n".encode() + p + b"\r\n" for p in parts)
        start = HEAD + b"transfer-encoding: chunked\r\n\r\n"
        with Raw(self.daemon.address("http")) as raw:
            for end in (b"0\r\n\r\n", b"000;last\r\nx-trailer: 1\r\n\r\n"):
                raw.send(start + good + end)
                self.assertEqual(raw.answer().status, 200)
        for name, bad in {"no number": b"xyz\r\n", "negative": b"-1\r\n", "empty": b"\r\n",
                          "prefix": b"0x5\r\nabcde\r\n", "too short": b"2\r\nabcd\r\n",
                          "too long a number": b"1" * 17 + b"\r\n",
                          "bare LF": b"1\nx\r\n"}.items():
            with self.subTest(case=name), Raw(self.daemon.address("http")) as raw:
                raw.send(start + bad)
                allowed = (400, 413) if name == "too long a number" else (400,)
                self.assertIn(raw.answer().status, allowed)
                self.assertEqual(raw.rest(), b"")

    def test_row_22_expect_100_continue(self):
        body = one_of("traces")
        with Raw(self.daemon.address("http")) as raw:
            raw.send(HEAD + f"content-length: {len(body)}\r\nexpect: 100-continue\r\n\r\n".encode())
            self.assertEqual(raw.interim(), "HTTP/1.1 100 Continue\r\n\r\n")
            raw.send(body)
            self.assertEqual(raw.answer().status, 200)
        with Raw(self.daemon.address("http")) as raw:
            raw.send(HEAD + f"content-length: {LIMIT + 1}\r\n"
                     "expect: 100-continue\r\n\r\n".encode())
            self.assertEqual(raw.answer().status, 413)

    def test_row_24_large_heads(self):
        with Raw(self.daemon.address("http")) as raw:
            raw.send(HEAD + b"x-large: " + b"x" * 65536 + b"\r\n\r\n")
            self.assertEqual(raw.answer().status, 431)
        with Raw(self.daemon.address("http")) as raw:
            raw.send(HEAD + b"".join(b"x-%d: 1\r\n" % n for n in range(1000)) + b"\r\n")
            self.assertEqual(raw.answer().status, 431)
        many = [(f"x-{n}", "1") for n in range(1000)]
        for more in (many, [("x-large", "x" * 40000)]):
            with Peer(self.daemon.address("http")).handshake() as peer:
                raw_block = block(peer.fields("POST", "/v1/traces", *more))
                parts = [raw_block[at:at + 16384] for at in range(0, len(raw_block), 16384)]
                peer.send(headers(1, parts[0], end=True, end_headers=len(parts) == 1))
                for number, part in enumerate(parts[1:], 2):
                    peer.send(h2.continuation(1, part, end_headers=number == len(parts)))
                self.assertEqual(peer.finish(1).status, 431)
                self.assertTrue(peer.lives())

    def test_row_25_content_types(self):
        body = one_of("traces")
        for content_type in ("text/plain", "application/xml", "application/x-protobufs", ""):
            with self.subTest(content_type=content_type):
                self.assertEqual(self.post(body, content_type=content_type).status, 415)
        answer = self.daemon.request("POST", "/v1/traces", body, {}, port="http")
        self.assertEqual((answer.status, answer.headers["content-type"]), (415, JSON))
        self.assertNotEqual(answer.json()["message"], "")
        for content_type in ("APPLICATION/X-PROTOBUF", "application/x-protobuf; a=b"):
            self.assertEqual(self.post(one_of("traces"), content_type=content_type).status, 200)
        text = json.dumps(json_request("traces", json_span(25))).encode()
        for content_type in ("application/json; charset=utf-8", "Application/JSON"):
            self.assertEqual(self.post(text, content_type=content_type).status, 200)

    def test_row_26_methods(self):
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
            with self.subTest(method=method):
                answer = self.daemon.request(method, "/v1/traces", port="http")
                self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))
        # No page of another origin may write here: the preflight grants nothing.
        preflight = {"origin": "http://evil.example", "access-control-request-method": "POST"}
        answer = self.daemon.request("OPTIONS", "/v1/traces", headers=preflight, port="http")
        self.assertIn(answer.status, (403, 405))
        self.assertNotIn("access-control-allow-origin", answer.headers)
        answer = self.post(one_of("traces"), more={"origin": "http://evil.example"})
        self.assertEqual(answer.status, 403)

    def test_row_27_paths(self):
        body = one_of("traces")
        for path in ("//v1/traces", "/v1/Traces", "/", "/v1/trace", "/v1"):
            with self.subTest(path=path):
                answer = self.post(body, path=path)
                self.assertEqual(answer.status, 404)
                self.assert_status_body(answer, UNIMPLEMENTED, "/v1/traces")
                text = self.post(body, path=path, content_type=JSON)
                self.assertEqual((text.status, text.json()["code"]), (404, UNIMPLEMENTED))
        self.assertIn(self.post(body, path="/v1/traces/").status, (200, 404))

    def test_row_28_unknown_grpc_methods(self):
        body = one_of("traces")
        for path in (GRPC_METHODS["traces"] + "s", GRPC_METHODS["traces"].lower(), "/a.b.C/D", "/"):
            with self.subTest(path=path):
                self.assert_grpc(self.call(body, path=path), UNIMPLEMENTED)
        for content_type in ("application/grpc-web", "application/grpc-web+proto",
                             "application/grpc-web-text"):
            answer = self.call(body, content_type=content_type)
            self.assertEqual((answer.status, answer.grpc_status), (415, None))
        self.assert_success(self.call(body, content_type="application/grpc+proto"))

    def test_row_29_protocols_on_the_wrong_port(self):
        body = one_of("traces")
        for wrong, right in (("grpc", "http"), ("web", "http")):
            answer = self.daemon.request("POST", "/v1/traces", body, {"content-type": PROTOBUF},
                                         port=wrong)
            self.assertEqual(answer.status, 404)
            self.assert_status_body(answer, UNIMPLEMENTED, self.daemon.endpoints[right])
        for wrong in ("http", "web"):
            self.assert_grpc(self.call(body, port=wrong), UNIMPLEMENTED,
                             self.daemon.endpoints["grpc"])
        # The protocol itself is understood everywhere.
        for port in ("grpc", "http", "web"):
            self.assertEqual(self.daemon.request("GET", "/nothing", port=port).status, 404)
            with Peer(self.daemon.address(port)).handshake() as peer:
                self.assertEqual(peer.request("GET", "/nothing").status, 404)

    def test_row_29_tls_on_clear_text(self):
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500)
        for port in ("grpc", "http", "web"):
            with Raw(self.daemon.address(port)) as raw:
                raw.send(hello)
                self.assertEqual(raw.rest(), b"")
        self.assertIn("a client speaks TLS to a clear-text port", self.daemon.log())


class SlowTest(ExportCase):
    """Row 23: each of the slow runs beside the others, and an honest client beside all."""

    def until_closed(self, connection, drip, found):
        """What came before the server closed, and after how long."""
        begin, got = time.monotonic(), b""
        connection.settimeout(1)
        while time.monotonic() - begin < 30 * SLOWNESS:
            try:
                if drip:
                    connection.sendall(drip)
                chunk = connection.recv(4096)
                got += chunk
                if not chunk:
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        found.append((got, time.monotonic() - begin))

    def test_row_23_slow_clients(self):
        preface = h2.PREFACE + settings()
        cases = {"silent": (b"", b""), "slow head": (HEAD, b"x"),
                 "slow preface": (b"PRI * HTTP/2.0\r\n", b""),
                 "slow body": (HEAD + b"content-length: 1000\r\n\r\n", b"x"),
                 "slow chunks": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
                 "head over h2": (preface + headers(1, b"\x82", end_headers=False), b"")}
        threads, found = [], {name: [] for name in cases}
        for name, (start, drip) in cases.items():
            connection = socket.create_connection(self.daemon.address("http"))
            self.addCleanup(connection.close)
            connection.sendall(start)
            threads.append(threading.Thread(target=self.until_closed,
                                            args=(connection, drip, found[name])))
            threads[-1].start()
        peer = Peer(self.daemon.address("http"), patience=30 * SLOWNESS).handshake()
        self.addCleanup(peer.close)
        peer.send(headers(1, block(peer.fields("POST", "/v1/traces",
                                               ("content-type", PROTOBUF)))), data(1, b"\x0a"))
        slowest = 0
        while any(thread.is_alive() for thread in threads):
            begin = time.monotonic()
            self.assertEqual(self.post(one_of("traces")).status, 200)
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.2)
        # Who had to wait for one of them would wait for its time-out.
        self.assertLess(slowest, 4 * SLOWNESS)
        self.assertEqual(peer.finish(1).status, 408)
        for name, [(got, seconds)] in found.items():
            with self.subTest(case=name):
                self.assertLess(seconds, 25 * SLOWNESS)
                if name in ("slow body", "slow chunks"):
                    self.assertTrue(got.startswith(b"HTTP/1.1 408 "), got)
        self.assertGreaterEqual(self.metric_value(
            'midwatch_net_refused_total{reason="timeout"}'), len(cases))


class EndingsTest(ExportCase):
    """Row 40: clients and disks that go away in the middle."""

    def used(self):
        return self.daemon.cli_json("status")["memory"]["used"]

    def test_row_40_client_vanishes_in_the_body(self):
        body = one_of("traces")
        before = self.used()
        half = body[:len(body) // 2]
        for _ in range(100):
            with Raw(self.daemon.address("http")) as raw:
                raw.send(HEAD + f"content-length: {len(body)}\r\n\r\n".encode() + half)
            peer = Peer(self.daemon.address("grpc")).handshake()
            peer.send(headers(1, block(peer.fields("POST", GRPC_METHODS["traces"], (
                "content-type", "application/grpc")))), data(1, grpc_frame(body)[:20]))
            peer.close()
        wait_for("the memory back", lambda: self.used() - before < 1 << 20)
        self.assertEqual(self.stored("spans"), self.accepted())

    def accepted(self):
        return self.metric_value('midwatch_items_accepted_total{signal="traces"}')

    def test_row_40_reset_after_the_end(self):
        """The request may be kept or not; the connection and the others on it do not care."""
        with Peer(self.daemon.address("grpc"), patience=30 * SLOWNESS).handshake() as peer:
            for _ in range(200):
                stream = peer.stream()
                peer.send(headers(stream, block(peer.fields("POST", GRPC_METHODS["traces"], (
                    "content-type", "application/grpc")))),
                    data(stream, grpc_frame(one_of("traces")), end=True), rst_stream(stream))
            answer = peer.request("POST", GRPC_METHODS["traces"],
                                  [("content-type", "application/grpc")],
                                  grpc_frame(one_of("traces")))
            self.assertEqual(answer.grpc_status, 0)
        wait_for("the handlers", lambda: self.stored("spans") == self.accepted())

    def test_row_40_a_thousand_streams_with_a_zero_window(self):
        before = self.used()
        peers = []
        for _ in range(4):
            peer = Peer(self.daemon.address("http"), patience=30 * SLOWNESS)
            peers.append(peer)
            peer.handshake((h2.INITIAL_WINDOW_SIZE, 0))
            raw = block(peer.fields("GET", "/nothing"))
            peer.send(*[headers(peer.stream(), raw, end=True) for _ in range(250)])
            peer.read_until(lambda: len([a for a in peer.answers.values() if a.headers]) == 250)
            self.assertTrue(peer.lives())
        self.assertLess(self.used() - before, 1000 * (16 << 10))
        self.assertEqual(self.post(one_of("traces")).status, 200)
        for peer in peers:
            peer.close()
        wait_for("the memory back", lambda: self.used() - before < 1 << 20)

    def test_row_40_goaway_at_shutdown(self):
        """Each call is answered, or above the last stream that GOAWAY names: safe to retry."""
        sent, kept = [], []
        with Daemon() as daemon, Peer(daemon.address("grpc"), patience=30 * SLOWNESS) as peer:
            peer.handshake()
            for number in range(60):
                trace_id, stream = os.urandom(16), peer.stream()
                peer.send(headers(stream, block(peer.fields("POST", GRPC_METHODS["traces"], (
                    "content-type", "application/grpc")))),
                    data(stream, grpc_frame(otlp.request([otlp.span(trace_id)])), end=True))
                sent.append((stream, trace_id))
                if number == 40:
                    daemon.terminate()
            peer.read_to_close()
            self.assertEqual(peer.goaway, h2.NO_ERROR)
            for stream, trace_id in sent:
                answer = peer.answer(stream)
                if stream <= peer.last_stream:
                    self.assertEqual((answer.grpc_status, answer.complete), (0, True), stream)
                    kept.append(trace_id)
            self.assertEqual(daemon.process.wait(30 * SLOWNESS), 0)
            self.assertGreaterEqual(len(kept), 40)
            daemon.start()
            for trace_id in kept:
                self.assertEqual(daemon.get("/api/v1/traces/" + trace_id.hex()).status, 200)

    def test_row_40_disk_full(self):
        """A limit on the size of files stands in for the full disk."""
        with Daemon() as daemon:
            self.daemon, shared = daemon, self.daemon
            self.addCleanup(setattr, self, "daemon", shared)
            good = os.urandom(16)
            self.assertEqual(self.post(otlp.request([otlp.span(good)])).status, 200)
            unlimited = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
            answer = self.post(one_of("traces"))
            self.assertEqual(answer.status, 503)
            self.assertIn(int(answer.headers["retry-after"]), (1, 2, 3))
            self.assert_status_body(answer, UNAVAILABLE)
            called = self.call(one_of("traces"))
            self.assert_grpc(called, UNAVAILABLE)
            self.assertIn(3, details_of(called))  # RetryInfo
            wait_for("not ready", lambda: daemon.get("/readyz").status == 503)
            self.assertEqual(daemon.get("/healthz").status, 200)
            self.assertEqual(daemon.get("/api/v1/traces/" + good.hex()).status, 200)
            resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, unlimited)
            wait_for("ready again", lambda: daemon.get("/readyz").status == 200, 30)
            self.assertEqual(self.post(one_of("traces")).status, 200)
            daemon.restart()
            self.assertEqual(daemon.get("/api/v1/traces/" + good.hex()).status, 200)


if __name__ == "__main__":
    unittest.main()
