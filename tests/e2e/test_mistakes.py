#!/usr/bin/env python3
"""What the ports answer to the mistakes that people make: each answer names the way out."""
import socket
import ssl
import struct
import unittest

import otlp
from harness import SLOWNESS, DaemonCase, wait_for

JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}


class MistakesTest(DaemonCase):
    def miss(self, method, path, port, headers=None, body=None):
        """The text of a 404."""
        answer = self.daemon.request(method, path, body, headers or {}, port=port)
        self.assertEqual(answer.status, 404, answer.body)
        self.assertTrue(answer.headers["content-type"].startswith("application/"))
        return answer

    def url(self, port):
        return f"http://{self.daemon.endpoints[port]}"

    def test_signal_endpoint_without_a_path(self):
        """OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://host:4318 posts to "/"."""
        message = self.miss("POST", "/", "http", JSON, b"{}").json()["message"]
        self.assertIn("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", message)
        self.assertIn(self.url("http") + "/v1/traces", message)
        # An exporter reads google.rpc.Status in its own encoding: field 2 is the message.
        answer = self.miss("POST", "/", "http", PROTOBUF, otlp.request([otlp.span()]))
        self.assertEqual(answer.headers["content-type"], "application/x-protobuf")
        self.assertIn(b"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", answer.body)

    def test_doubled_path(self):
        """OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4318/v1/traces."""
        for path in ("/v1/traces/v1/traces", "/otlp/v1/traces"):
            message = self.miss("POST", path, "http", JSON, b"{}").json()["message"]
            self.assertIn("OTEL_EXPORTER_OTLP_ENDPOINT", message)
            self.assertIn(self.url("http") + ".", message)

    def test_http_to_the_grpc_port(self):
        for path in ("/v1/traces", "/", "/v1/nothing"):
            message = self.miss("POST", path, "grpc", JSON, b"{}").json()["message"]
            self.assertIn(self.url("http"), message)

    def test_grpc_to_other_ports(self):
        for port in ("http", "web"):
            answer = self.daemon.grpc(otlp.request([otlp.span()]), port=port)
            self.assertEqual(answer["grpc_status"], 12)
            self.assertIn(self.daemon.endpoints["grpc"], answer["grpc_message"])

    def test_every_noun_names_the_web_port(self):
        nouns = ("sessions", "traces", "logs", "metrics", "agents", "alarms", "investigations",
                 "deployments", "topology", "skills", "webhooks", "tokens", "spaces", "audit",
                 "status")
        for noun in nouns:
            for port in ("http", "grpc"):
                for path in (f"/api/v1/{noun}", f"/api/v1/{noun}/0123456789ab"):
                    with self.subTest(path=path, port=port):
                        body = self.miss("GET", path, port).body.decode()
                        self.assertIn(self.url("web"), body)
        for path in ("/healthz", "/readyz", "/metrics", "/webhooks/abc"):
            with self.subTest(path=path):
                method = "POST" if path.startswith("/webhooks") else "GET"
                self.assertIn(self.url("web"), self.miss(method, path, "http").body.decode())

    def test_browser_on_the_exporters_port(self):
        self.assertIn(self.url("web"), self.miss("GET", "/", "http").body.decode())

    def test_tls_to_clear_text(self):
        context = ssl.create_default_context()
        for port in ("http", "grpc", "web"):
            with self.assertRaises(OSError):
                with socket.create_connection(self.daemon.address(port), 10 * SLOWNESS) as plain:
                    context.wrap_socket(plain, server_hostname="localhost")
        lines = wait_for("the line in the log", lambda: [
            line for line in self.daemon.log().splitlines() if "speaks TLS" in line])
        self.assertEqual(len(lines), 1)
        self.assertIn("tls_cert", lines[0])

    def test_pings(self):
        """gRPC's keep-alive: every 10 s is welcome, a flood is told so."""
        with socket.create_connection(self.daemon.address("grpc"), 10 * SLOWNESS) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, b""))
            connection.sendall(frame(6, 0, b"pingpong") * 8)
            got = b""
            while chunk := connection.recv(65536):
                got += chunk
            # GOAWAY: last stream, ENHANCE_YOUR_CALM, words.
            self.assertIn(frame(7, 0, struct.pack(">II", 0, 11) + b"too_many_pings"), got)


def frame(kind, flags, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + bytes(4) + payload


if __name__ == "__main__":
    unittest.main()
