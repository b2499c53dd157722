#!/usr/bin/env python3
"""The ports from outside: methods, routes, hosts, rights, the end of the program. What exporters
may send is in test_bad_inputs.py, attacks in test_attacks.py."""
import os
import socket
import subprocess
import time
import unittest

import otlp
from harness import BINARY, SLOWNESS, Case, Daemon, DaemonCase, wait_for


class HttpTest(DaemonCase):
    def request(self, *arguments, **more):
        return self.daemon.request(*arguments, **more)

    def test_not_found(self):
        for path in ("/api/v1/nothing", "/api/v1/traces/" + "0" * 32):
            with self.subTest(path=path):
                self.assertEqual(self.request("GET", path).status, 404)
        answer = self.daemon.get("/api/v1/traces/" + "0" * 32).json()["error"]
        self.assertEqual(sorted(answer), ["code", "field", "hint", "message"])
        self.assertEqual(answer["code"], "not_found")

    def test_method_not_allowed(self):
        answer = self.request("POST", "/api/v1/traces", b"", port="web")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))

    def test_wrong_port_names_the_right_one(self):
        for wrong in ("http", "grpc"):
            with self.subTest(port=wrong):
                answer = self.request("GET", "/api/v1/traces", port=wrong)
                self.assertEqual(answer.status, 404)
                self.assertIn(self.daemon.endpoints["web"], answer.json()["error"]["message"])

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


class EndTest(Case):
    """Each of these needs a daemon of its own."""

    def test_drain_finishes_what_is_in_flight(self):
        with Daemon() as daemon:
            trace_id = os.urandom(16)
            body = otlp.request([otlp.span(trace_id)])
            connection = socket.create_connection(daemon.address("http"), timeout=30 * SLOWNESS)
            connection.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n"
                               b"content-type: application/x-protobuf\r\nexpect: 100-continue\r\n"
                               b"content-length: " + str(len(body)).encode() + b"\r\n\r\n")
            # It has read the head when it says so.
            self.assertEqual(connection.recv(4096), b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.sendall(body[:5])
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
