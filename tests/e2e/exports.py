"""Exports over HTTP and gRPC, and what OTLP lets a server answer; HTTP/1.1 by hand."""
import base64
import http.client
import json
import os
import socket

import otlp
from h2frames import Peer, block, headers
from harness import SLOWNESS, DaemonCase

INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 3, 8, 12, 13, 14
PROTOBUF, JSON = "application/x-protobuf", "application/json"
GRPC_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"}
REJECTED = {"traces": "rejectedSpans", "logs": "rejectedLogRecords",
            "metrics": "rejectedDataPoints"}


def json_request(signal, *items, **resource_members):
    """One resource, one scope; items as JSON objects."""
    names = {"traces": ("resourceSpans", "scopeSpans", "spans"),
             "logs": ("resourceLogs", "scopeLogs", "logRecords"),
             "metrics": ("resourceMetrics", "scopeMetrics", "metrics")}[signal]
    return {names[0]: [{names[1]: [{names[2]: list(items)}], **resource_members}]}


def json_span(number=1, **members):
    return {"traceId": f"{number + 0xabc000:032x}", "spanId": f"{number:016x}", "name": "j",
            "startTimeUnixNano": str(otlp.START), "endTimeUnixNano": str(otlp.START + 5), **members}


def json_value(depth):
    """An AnyValue nested that deep, as text."""
    return '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth


def one_of(signal):
    """A good request of the signal with fresh content."""
    mark = os.urandom(8).hex()
    if signal == "traces":
        return otlp.request([otlp.span(name=mark)])
    if signal == "logs":
        return otlp.logs_request([otlp.log_record(mark)])
    return otlp.metrics_request([otlp.metric([otlp.number_point()], name="m." + mark)])


def grpc_frame(message, flag=0):
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


def details_of(answer):
    """The google.rpc.Status of grpc-status-details-bin, as fields."""
    text = answer.headers.get("grpc-status-details-bin", "")
    return otlp.fields(base64.b64decode(text + "=" * (-len(text) % 4)))


class RawAnswer:
    def __init__(self, response):
        self.status, self.interim = response.status, []
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()


class Raw:
    """A TCP connection that says bytes and reads HTTP/1.1 answers."""

    def __init__(self, address, seconds=30):
        self.socket = socket.create_connection(address, timeout=seconds * SLOWNESS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, text):
        try:
            self.socket.sendall(text)
            return True
        except OSError:
            return False

    def answer(self):
        response = http.client.HTTPResponse(self.socket)
        response.begin()
        return RawAnswer(response)

    def interim(self):
        """The status line and head of one interim answer, as text."""
        got = b""
        while not got.endswith(b"\r\n\r\n"):
            got += self.socket.recv(1)
        return got.decode()

    def rest(self):
        """Everything until the server closes; TimeoutError when it does not."""
        got = b""
        try:
            while chunk := self.socket.recv(65536):
                got += chunk
        except ConnectionResetError:
            pass
        return got


class ExportCase(DaemonCase):
    # ---- sending

    def post(self, body, signal="traces", encoding=None, content_type=PROTOBUF, more=(), path=None):
        names = {"content-type": content_type, **dict(more)}
        if encoding:
            names["content-encoding"] = encoding
        return self.daemon.request("POST", path or f"/v1/{signal}", body, names, port="http")

    def post_json(self, body, signal="traces"):
        """(status, decoded answer)"""
        if not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        content = body.encode() if isinstance(body, str) else body
        answer = self.post(content, signal, content_type=JSON)
        self.assertEqual(answer.headers.get("content-type"), JSON, answer.body)
        return answer.status, answer.json()

    def call(self, body, signal="traces", framed=False, encoding=None, path=None, more=(),
             content_type="application/grpc", port="grpc"):
        """One gRPC call on a connection of its own; flag 1 when an encoding is given."""
        with Peer(self.daemon.address(port), patience=30 * SLOWNESS) as peer:
            peer.handshake()
            names = [("content-type", content_type), ("te", "trailers"), *more]
            names += [("grpc-encoding", encoding)] if encoding else []
            stream = peer.stream()
            fields = peer.fields("POST", path or GRPC_METHODS[signal], *names)
            peer.send(headers(stream, block(fields)))
            peer.send_body(stream, body if framed else grpc_frame(body, 1 if encoding else 0))
            answer = peer.finish(stream)
            heads = [f for f in peer.frames if f.stream == stream and f.kind == 1]
            self.assertLessEqual(len(heads), 2, "more than one answer")
            return answer

    # ---- answers

    def assert_status_body(self, answer, code, *words):
        """An HTTP error carries a google.rpc.Status in the request's encoding."""
        self.assertEqual(answer.headers.get("content-type"), PROTOBUF, answer.body)
        found, message = otlp.status_message(answer.body)
        self.assertEqual(found, code, message)
        self.assertNotEqual(message, "")
        for word in words:
            self.assertIn(word, message)
        return message

    def assert_grpc(self, answer, code, *words):
        """A gRPC error is one HEADERS frame: no message."""
        self.assertEqual((answer.status, answer.complete, answer.headers.get("content-type")),
                         (200, True, "application/grpc"), answer)
        self.assertEqual(answer.grpc_status, code, answer)
        self.assertEqual((answer.body, answer.trailers), (b"", {}))
        for word in words:
            self.assertIn(word, answer.grpc_message)

    def assert_success(self, answer):
        """Full success over gRPC: one empty message."""
        self.assertEqual((answer.status, answer.grpc_status, answer.body, answer.complete),
                         (200, 0, bytes(5), True), answer)

    def assert_accepted(self, body, signal="traces"):
        answer = self.post(body, signal)
        self.assertEqual((answer.status, answer.body, answer.headers.get("content-type")),
                         (200, b"", PROTOBUF), answer.body)
        self.assert_success(self.call(body, signal))

    def assert_refused(self, body, *words, signal="traces"):
        """400 / INVALID_ARGUMENT, both say the words."""
        answer = self.post(body, signal)
        self.assertEqual(answer.status, 400, answer.body)
        self.assert_status_body(answer, INVALID_ARGUMENT, *words)
        self.assert_grpc(self.call(body, signal), INVALID_ARGUMENT, *words)

    def assert_too_large(self, body, encoding=None, signal="traces"):
        """413 / RESOURCE_EXHAUSTED, without RetryInfo: the client must not send it again."""
        answer = self.post(body, signal, encoding)
        self.assertEqual(answer.status, 413, answer.body)
        self.assertNotIn("retry-after", answer.headers)
        self.assert_status_body(answer, RESOURCE_EXHAUSTED)
        answer = self.call(body, signal, encoding=encoding)
        self.assert_grpc(answer, RESOURCE_EXHAUSTED)
        found = details_of(answer)
        self.assertEqual((sorted(found), found[1]), ([1, 2], [RESOURCE_EXHAUSTED]))

    def assert_partial(self, make_body, rejected, *words, signal="traces"):
        """Success with that many rejected; make_body gives fresh ids for each transport."""
        answer = self.post(make_body(), signal)
        self.assertEqual(answer.status, 200, answer.body)
        called = self.call(make_body(), signal)
        self.assertEqual((called.grpc_status, called.body[:1]), (0, b"\0"), called)
        self.assertEqual(len(called.body), 5 + int.from_bytes(called.body[1:5], "big"))
        for body in (answer.body, called.body[5:]):
            count, message = otlp.partial_success(body)
            self.assertEqual(count, rejected, message)
            for word in words:
                self.assertIn(word, message)

    # ---- what the daemon holds

    def spans_of(self, trace_id):
        text = trace_id if isinstance(trace_id, str) else trace_id.hex()
        return self.daemon.api("traces/" + text)["spans"]

    def stored(self, kind):
        return self.daemon.cli_json("status")["stored"][kind]

    def metric_value(self, name):
        """A line of /metrics, labels included in the name; None when it is not there."""
        for line in self.daemon.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        return None

    def peak(self):
        return self.metric_value("midwatch_memory_peak_bytes")
