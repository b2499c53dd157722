#!/usr/bin/env python3
"""Every capture, byte for byte over its own transport, is answered as its client expects.

That what they hold is found again, field by field, is test_way.py's business.
"""
import hashlib
import os
import socket
import unittest

from captures import (WHOLE, check_grpc, check_http, http_text, is_grpc, load_capture, send_grpc,
                      send_http)
from h2frames import Peer, block, data, frame, headers
from harness import CAPTURES, SLOWNESS, DaemonCase

# Where chunks and DATA frames end: everywhere, inside the gRPC prefix, behind it, in the message.
CUTS = [WHOLE, (1,), (4, 1, 1, 700), (5, 3, 17, 1000), (2, 4096)]
COUNTS = {"traces": ("spans", "spans"), "logs": ("log_records", "logs"),
          "metrics": ("data_points", "points")}
REAL, SYNTHETIC = 60, 5


def all_captures():
    paths = [os.path.join(folder, name) for folder in (CAPTURES, os.path.join(
        CAPTURES, "synthetic")) for name in os.listdir(folder) if name.endswith(".json")]
    return [load_capture(path) for path in sorted(paths)]


class CapturesTest(DaemonCase):
    @classmethod
    def prepare(cls):
        cls.captures = all_captures()

    def chosen(self, signal, grpc):
        """Without the body that may be refused."""
        return [c for c in self.captures if c["signal"] == signal and is_grpc(c) == grpc and
                c["case"] != "trace-unknown_group-protobuf"]

    def connect(self):
        connection = socket.create_connection(self.daemon.address("http"), 30 * SLOWNESS)
        self.addCleanup(connection.close)
        return connection

    def peer(self):
        peer = Peer(self.daemon.address("grpc"), patience=30 * SLOWNESS)
        self.addCleanup(peer.close)
        return peer.handshake()

    def check_http(self, signal):
        """All of one signal on one connection, which stays open."""
        connection, address = self.connect(), self.daemon.address("http")
        for sizes in CUTS:
            for capture in self.chosen(signal, grpc=False):
                with self.subTest(capture=capture["case"], sizes=sizes):
                    check_http(capture, send_http(connection, capture, address, sizes))

    def check_grpc(self, signal):
        peer, address = self.peer(), self.daemon.address("grpc")
        for sizes in CUTS:
            for capture in self.chosen(signal, grpc=True):
                with self.subTest(capture=capture["case"], sizes=sizes):
                    sizes = tuple(min(size, 16384) for size in sizes)
                    check_grpc(capture, send_grpc(peer, capture, address, sizes))
        self.assertIsNone(peer.goaway)

    def check_stored(self, signal):
        """However often it came and in whatever pieces, each request is stored once."""
        expected, stored = COUNTS[signal]
        chosen = self.chosen(signal, False) + self.chosen(signal, True)
        status = self.daemon.cli_json("status")["stored"]
        self.assertEqual(status[stored], sum(c["expected"][expected] for c in chosen))

    def test_all_are_here_and_whole(self):
        real = [c for c in self.captures if not c.get("synthetic")]
        self.assertEqual((len(real), len(self.captures)), (REAL, REAL + SYNTHETIC))
        for capture in self.captures:
            self.assertEqual((len(capture["body"]), hashlib.sha256(capture["body"]).hexdigest()),
                             (capture["body_bytes"], capture["body_sha256"]), capture["case"])

    def test_traces(self):
        self.check_http("traces")
        self.check_grpc("traces")
        self.check_stored("traces")

    def test_logs(self):
        self.check_http("logs")
        self.check_grpc("logs")
        self.check_stored("logs")

    def test_metrics(self):
        self.check_http("metrics")
        self.check_grpc("metrics")
        self.check_stored("metrics")

    def test_unknown_group(self):
        """Groups are no part of OTLP: taken or refused, and the connection goes on."""
        connection, address = self.connect(), self.daemon.address("http")
        (capture,) = [c for c in self.captures if c["case"] == "trace-unknown_group-protobuf"]
        status, _, _ = send_http(connection, capture, address)
        self.assertIn(status, (200, 400))
        good = self.chosen("traces", grpc=False)[0]
        check_http(good, send_http(connection, good, address))

    def test_pipelined(self):
        """Requests behind each other on one connection: answers in that order."""
        connection, address = self.connect(), self.daemon.address("http")
        chosen = self.chosen("traces", grpc=False)[:6]
        connection.sendall(b"".join(http_text(c, address, (100,)) for c in chosen))
        got = b""
        while got.count(b"HTTP/1.1 200 ") < len(chosen) or not got.endswith((b"\r\n\r\n", b"{}")):
            chunk = connection.recv(65536)
            self.assertNotEqual(chunk, b"")
            got += chunk
        types = [line.split(b": ")[1] for line in got.split(b"\r\n")
                 if line.lower().startswith(b"content-type:")]
        self.assertEqual(types, [dict((n.lower(), v) for n, v in c["headers"])[
            "content-type"].encode() for c in chosen])

    def test_streams_interleaved(self):
        """One DATA frame of each call in turn, padded and empty ones between them."""
        peer, address = self.peer(), self.daemon.address("grpc")
        calls = [(c, peer.stream(), bytearray(c["body"])) for c in self.chosen("traces", True)]
        for capture, stream, _ in calls:
            names = [(n, v.replace("PORT", str(address[1]))) for n, v in capture["headers"]]
            peer.send(headers(stream, block(names)))
        while any(rest for _, _, rest in calls):
            for _, stream, rest in calls:
                if rest:
                    piece = bytes(rest[:1500])
                    del rest[:1500]
                    peer.send(data(stream, b""), data(stream, piece, padding=7),
                              frame(0xfa, 0, stream, b"unknown"))
        for capture, stream, _ in calls:
            peer.send(data(stream, b"", end=True))
            check_grpc(capture, peer.finish(stream))


if __name__ == "__main__":
    unittest.main()
