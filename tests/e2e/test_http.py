#!/usr/bin/env python3
"""The ports from outside: methods, routes, hosts, rights, slow clients, the end of the program."""
import http.client
import os
import socket
import subprocess
import time
import unittest

import otlp
from harness import BINARY, SLOWNESS, TRACES_GRPC, Case, Daemon, wait_for

PROTOBUF = {"content-type": "application/x-protobuf"}


def raw_exchange(address, data, seconds=5):
    """Everything the server says until it closes or is silent."""
    with socket.create_connection(address, timeout=seconds * SLOWNESS) as connection:
        connection.sendall(data)
        got = b""
        try:
            while chunk := connection.recv(65536):
                got += chunk
                if b"\r\n\r\n" in got and b"content-length: 0" in got.lower():
                    break
        except TimeoutError:
            pass
        return got


class HttpTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon().start()

    @classmethod
    def tearDownClass(cls):
        try:
            cls.daemon.stop()
        finally:
            cls.daemon.remove()

    def request(self, *arguments, **more):
        return self.daemon.request(*arguments, **more)

    def test_not_found(self):
        for port, path in (("web", "/api/v1/nothing"), ("http", "/v1/Traces"), ("http", "/"),
                           ("web", "/api/v1/traces/" + "0" * 32)):
            with self.subTest(path=path):
                self.assertEqual(self.request("GET", path, port=port).status, 404)
        answer = self.daemon.get("/api/v1/traces/" + "0" * 32).json()["error"]
        self.assertEqual(sorted(answer), ["code", "field", "hint", "message"])
        self.assertEqual(answer["code"], "not_found")

    def test_method_not_allowed(self):
        for method in ("GET", "PUT", "DELETE"):
            with self.subTest(method=method):
                answer = self.request(method, "/v1/traces", port="http")
                self.assertEqual(answer.status, 405)
                self.assertEqual(answer.headers["allow"], "POST")
        answer = self.request("POST", "/api/v1/traces", b"", port="web")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))

    def test_too_large(self):
        # Announced: refused before the body is there.
        head = (b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n"
                b"content-type: application/x-protobuf\r\ncontent-length: 99999999\r\n\r\n")
        answer = raw_exchange(self.daemon.address("http"), head)
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer[:80])

    def test_content_type(self):
        body = otlp.request([otlp.span()])
        for content_type in ("text/plain", "application/xml"):
            with self.subTest(content_type=content_type):
                answer = self.daemon.post_traces(body, content_type=content_type)
                self.assertEqual(answer.status, 415)
        answer = self.request("POST", "/v1/traces", body, {}, port="http")
        self.assertEqual(answer.status, 415)
        answer = self.daemon.post_traces(body, content_type="APPLICATION/X-PROTOBUF; a=b")
        self.assertEqual(answer.status, 200)

    def test_wrong_port_names_the_right_one(self):
        body = otlp.request([otlp.span()])
        cases = (("POST", "/v1/traces", "web", "http"), ("POST", "/v1/traces", "grpc", "http"),
                 ("GET", "/api/v1/traces", "http", "web"), ("GET", "/api/v1/traces", "grpc", "web"))
        for method, path, wrong, right in cases:
            with self.subTest(path=path, port=wrong):
                content = body if method == "POST" else None
                answer = self.request(method, path, content, PROTOBUF, port=wrong)
                self.assertEqual(answer.status, 404)
                self.assertIn(str(self.daemon.port(right)).encode(), answer.body)
        for wrong in ("http", "web"):
            answer = self.daemon.grpc(body, port=wrong)
            self.assertEqual(answer["grpc_status"], 12)
            self.assertIn(str(self.daemon.port("grpc")), answer["grpc_message"])
        answer = self.daemon.grpc(body, path=TRACES_GRPC + "s")
        self.assertEqual((answer["status"], answer["grpc_status"]), (200, 12))

    def test_smuggling_is_refused(self):
        start = b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n"
        for name, more in {
                "both lengths": b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                "two lengths": b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
                "negative": b"content-length: -3\r\n\r\nabc",
                "unknown coding": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
                "bare line feed": b"content-length: 0\r\nx: a\nb: c\r\n\r\n",
                "folded": b"content-length: 0\r\nx: a\r\n b\r\n\r\n"}.items():
            with self.subTest(case=name):
                answer = raw_exchange(self.daemon.address("http"), start + more)
                self.assertRegex(answer[:20], rb"HTTP/1.1 (400|501) ")
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1)

    def test_chunked_and_expect(self):
        trace_id = os.urandom(16)
        body = otlp.request([otlp.span(trace_id)])
        answer = self.request("POST", "/v1/traces", iter([body[:7], body[7:9], body[9:]]),
                              PROTOBUF, port="http")
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.daemon.get("/api/v1/traces/" + trace_id.hex()).status, 200)
        done = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect: 100-continue",
             "-H", "Content-Type: application/x-protobuf", "--data-binary", "@-",
             f"http://{self.daemon.endpoints['http']}/v1/traces"],
            input=body, capture_output=True, check=True, timeout=30 * SLOWNESS)
        self.assertEqual(done.stdout, b"200")

    def test_http2_with_prior_knowledge(self):
        done = subprocess.run(
            ["curl", "-sS", "--http2-prior-knowledge", "-w", "\n%{http_version} %{http_code}",
             f"http://{self.daemon.endpoints['web']}/api/v1/sessions"],
            capture_output=True, check=True, timeout=30 * SLOWNESS)
        body, _, numbers = done.stdout.rpartition(b"\n")
        self.assertEqual(numbers, b"2 200")
        self.assertIn(b'"items":', body)

    def test_host_header(self):
        for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.1"):
            with self.subTest(host=host):
                answer = self.daemon.get("/api/v1/traces", headers={"host": host})
                self.assertEqual(answer.status, 403)
                self.assertIn(b"allowed_hosts", answer.body)
        for host in ("localhost", "127.0.0.1:1", "[::1]:4319", "127.9.9.9"):
            with self.subTest(host=host):
                self.assertEqual(
                    self.daemon.get("/api/v1/traces", headers={"host": host}).status, 200)
        answer = self.daemon.get("/api/v1/traces", headers={"origin": "http://evil.example"})
        self.assertEqual(answer.status, 403)

    def test_changes_need_the_socket(self):
        content = b'{"name":"x","source":"devops-agent"}'
        headers = {"content-type": "application/json"}
        answer = self.request("POST", "/api/v1/webhooks", content, headers)
        self.assertEqual(answer.status, 403)
        self.assertEqual(self.daemon.api("webhooks")["items"], [])
        answer = self.request("POST", "/api/v1/webhooks", content, headers, port="socket")
        self.assertIn(answer.status, (200, 201))
        self.assertEqual(len(self.daemon.api("webhooks")["items"]), 1)
        server = "http://" + self.daemon.endpoints["web"]
        done = self.daemon.cli_raw("webhook", "create", "--name", "y", "--source",
                                   "devops-agent", "--server", server)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("daemon's user", done.stderr)
        self.assertEqual(len(self.daemon.api("webhooks")["items"]), 1)

    def test_modes_of_files(self):
        self.assertEqual(os.stat(self.daemon.data).st_mode & 0o777, 0o700)
        socket_path = os.path.join(self.daemon.data, "midwatch.sock")
        self.assertEqual(os.stat(socket_path).st_mode & 0o777, 0o600)
        for folder, _, names in os.walk(self.daemon.data):
            for name in names:
                path = os.path.join(folder, name)
                self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)

    def test_health_and_metrics(self):
        self.assertEqual(self.daemon.get("/healthz").status, 200)
        self.assertEqual(self.daemon.get("/readyz").status, 200)
        answer = self.daemon.get("/metrics")
        self.assertTrue(answer.headers["content-type"].startswith("text/plain"))
        lines = answer.body.decode().splitlines()
        self.assertIn("# TYPE midwatch_items_accepted_total counter", lines)
        helps = [line.split()[2] for line in lines if line.startswith("# HELP ")]
        self.assertEqual(len(helps), len(set(helps)))

    def test_slow_clients_do_not_block_others(self):
        slow = []
        try:
            for _ in range(40):
                connection = socket.create_connection(self.daemon.address("http"), timeout=30)
                connection.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n"
                                   b"content-type: application/x-protobuf\r\n"
                                   b"content-length: 1000\r\n\r\nx")
                slow.append(connection)
            begin = time.monotonic()
            for _ in range(20):
                answer = self.daemon.post_traces(otlp.request([otlp.span()]))
                self.assertEqual(answer.status, 200)
            self.assertLess(time.monotonic() - begin, 5 * SLOWNESS)
        finally:
            for connection in slow:
                connection.close()


class EndTest(Case):
    """Each of these needs a daemon of its own."""

    def test_drain_finishes_what_is_in_flight(self):
        with Daemon() as daemon:
            trace_id = os.urandom(16)
            body = otlp.request([otlp.span(trace_id)])
            connection = socket.create_connection(daemon.address("http"), timeout=30 * SLOWNESS)
            connection.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n"
                               b"content-type: application/x-protobuf\r\ncontent-length: " +
                               str(len(body)).encode() + b"\r\n\r\n" + body[:5])
            time.sleep(0.2)
            daemon.terminate()
            wait_for("the port to close", lambda: not self.listens(daemon))
            self.assertIsNone(daemon.process.poll())
            connection.sendall(body[5:])
            answer = connection.recv(4096)
            connection.close()
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer[:80])
            self.assertEqual(daemon.process.wait(30 * SLOWNESS), 0)
            daemon.process = None
            daemon.check_log()
            daemon.start()
            self.assertEqual(daemon.get("/api/v1/traces/" + trace_id.hex()).status, 200)

    def listens(self, daemon):
        try:
            socket.create_connection(daemon.address("http"), timeout=5).close()
            return True
        except OSError:
            return False

    def test_drain_under_load(self):
        with Daemon() as daemon:
            load = daemon.start_load("grpc", "--in-flight", "8", "--spans", "64", "--seconds", "3")
            time.sleep(0.5)
            daemon.stop()
            load.communicate(timeout=60 * SLOWNESS)

    def test_one_daemon_a_directory(self):
        with Daemon() as daemon:
            second = subprocess.run(
                [BINARY, "serve", "--data", daemon.data, "--grpc", "127.0.0.1:0", "--http",
                 "127.0.0.1:0", "--web", "127.0.0.1:0"], capture_output=True, text=True,
                timeout=30 * SLOWNESS, check=False, env=daemon.environment())
            self.assertEqual(second.returncode, 1, second.stderr)
            self.assertIn(daemon.data, second.stderr)
            # The first is unharmed.
            self.assertEqual(daemon.get("/readyz").status, 200)
            self.assertEqual(daemon.get("/readyz", port="socket").status, 200)

    def test_port_in_use_and_not_loopback(self):
        with Daemon() as daemon, Daemon() as other:
            other.stop()
            taken = daemon.endpoints["http"]
            for arguments, word in ((["--http", taken], taken.rpartition(":")[2]),
                                    (["--http", "0.0.0.0:0"], "insecure")):
                done = subprocess.run(
                    [BINARY, "serve", "--data", other.data, "--grpc", "127.0.0.1:0", "--web",
                     "127.0.0.1:0", *arguments], capture_output=True, text=True,
                    timeout=30 * SLOWNESS, check=False, env=daemon.environment())
                self.assertIn(done.returncode, (1, 2), done.stderr)
                self.assertIn(word, done.stderr)


if __name__ == "__main__":
    unittest.main()
