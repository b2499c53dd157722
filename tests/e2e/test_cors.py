#!/usr/bin/env python3
"""Web pages as exporters and readers: preflights, actual requests, the option and its reload."""
import os
import signal
import subprocess
import tempfile
import unittest

import otlp
from harness import BINARY, SLOWNESS, Case, Daemon, DaemonCase, wait_for

SHOP = "https://shop.example"
OTHER = "https://other.example"
JSON = {"content-type": "application/json"}


def preflight(origin, method="POST", names="content-type,x-api-key"):
    return {"origin": origin, "access-control-request-method": method,
            "access-control-request-headers": names}


def has_cors(answer):
    return [name for name in answer.headers if name.startswith("access-control-")]


class CorsTest(DaemonCase):
    ARGUMENTS = ["--allowed-origins", f"http://localhost:3000,{SHOP}"]

    def request(self, *arguments, **more):
        return self.daemon.request(*arguments, **more)

    def test_a_page_exports(self):
        """What a browser does for OTLP/JSON: asks, then sends, and may read the answer."""
        answer = self.request("OPTIONS", "/v1/traces", headers=preflight(SHOP), port="http")
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(answer.headers["access-control-allow-origin"], SHOP)
        self.assertEqual(answer.headers["access-control-allow-methods"], "POST")
        self.assertEqual(answer.headers["access-control-allow-headers"],
                         "content-type,x-api-key")
        self.assertEqual(answer.headers["access-control-max-age"], "7200")
        # sendBeacon always asks with credentials.
        self.assertEqual(answer.headers["access-control-allow-credentials"], "true")
        self.assertIn("origin", answer.headers["vary"])
        trace_id = os.urandom(16)
        answer = self.request("POST", "/v1/traces", otlp.request([otlp.span(trace_id)]),
                              {"content-type": "application/x-protobuf", "origin": SHOP},
                              port="http")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["access-control-allow-origin"], SHOP)
        answer = self.request("POST", "/v1/traces", b"{", {**JSON, "origin": SHOP}, port="http")
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.headers["access-control-allow-origin"], SHOP)
        answer = self.daemon.get("/api/v1/traces/" + trace_id.hex(), headers={"origin": SHOP})
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["access-control-allow-origin"], SHOP)
        self.assertNotIn("access-control-allow-credentials", answer.headers)

    def test_http2(self):
        done = subprocess.run(
            ["curl", "-sS", "-i", "--http2-prior-knowledge", "-X", "OPTIONS", "-H",
             f"origin: {SHOP}", "-H", "access-control-request-method: GET",
             f"http://{self.daemon.endpoints['web']}/api/v1/sessions"],
            capture_output=True, check=True, text=True, timeout=30 * SLOWNESS)
        self.assertTrue(done.stdout.startswith("HTTP/2 204"), done.stdout)
        self.assertIn(f"access-control-allow-origin: {SHOP}\n", done.stdout)
        self.assertIn("access-control-allow-methods: GET, HEAD\n", done.stdout)

    def test_others(self):
        answer = self.request("OPTIONS", "/v1/traces", headers=preflight(OTHER), port="http")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))
        self.assertEqual(has_cors(answer), [])
        self.assertIn(b"allowed_origins", answer.body)
        answer = self.request("POST", "/v1/traces", b"{}", {**JSON, "origin": OTHER}, port="http")
        self.assertEqual(answer.status, 403)
        self.assertIn(b"allowed_origins", answer.body)
        self.assertEqual(has_cors(answer), [])
        # A page of this machine that is not listed passes, as before, and may not read.
        answer = self.request("POST", "/v1/traces", b"{}",
                              {**JSON, "origin": "http://localhost:4000"}, port="http")
        self.assertEqual(answer.status, 200)
        self.assertEqual(has_cors(answer), [])
        # Without an Origin nothing is different.
        self.assertEqual(has_cors(self.daemon.get("/api/v1/sessions")), [])
        # Host is still looked at.
        answer = self.daemon.get("/api/v1/sessions",
                                 headers={"origin": SHOP, "host": "evil.example"})
        self.assertEqual(answer.status, 403)
        self.assertIn(b"allowed_hosts", answer.body)

    def test_changes_stay_closed(self):
        """A listed page reads; changing things needs what it always needs."""
        answer = self.request("OPTIONS", "/api/v1/webhooks", headers=preflight(SHOP), port="web")
        self.assertEqual(answer.status, 204)
        answer = self.request("POST", "/api/v1/webhooks", b'{"name":"x","source":"devops-agent"}',
                              {**JSON, "origin": SHOP}, port="web")
        self.assertEqual(answer.status, 403)
        self.assertEqual(answer.headers["access-control-allow-origin"], SHOP)


class OptionTest(Case):
    def test_off_by_default(self):
        with Daemon() as daemon:
            answer = daemon.request("OPTIONS", "/v1/traces", headers=preflight(SHOP), port="http")
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))
            self.assertEqual(has_cors(answer), [])
            answer = daemon.get("/api/v1/sessions", headers={"origin": SHOP})
            self.assertEqual(answer.status, 403)
            self.assertIn(b"allowed_origins", answer.body)

    def test_refused_values(self):
        for value, words in (("*", "every web page"), ("shop.example", "no scheme"),
                             (SHOP + "/", "more than scheme"), ("null", "sandboxed")):
            with self.subTest(value=value), tempfile.TemporaryDirectory() as data:
                done = subprocess.run([BINARY, "serve", "--data", data, "--allowed-origins", value],
                                      capture_output=True, text=True, timeout=30 * SLOWNESS,
                                      check=False)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("allowed_origins", done.stderr)
                self.assertIn(words, done.stderr)

    def test_reload(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write(f"allowed_origins: {SHOP}\n")
            config.flush()
            with Daemon(arguments=["--config", config.name]) as daemon:
                self.assertEqual(self.status(daemon, SHOP), 204)
                self.assertEqual(self.status(daemon, OTHER), 405)
                config.seek(0)
                config.truncate()
                config.write(f"allowed_origins: {OTHER}\n")
                config.flush()
                daemon.process.send_signal(signal.SIGHUP)
                wait_for("the reload", lambda: self.status(daemon, OTHER) == 204)
                self.assertEqual(self.status(daemon, SHOP), 405)
                answer = daemon.get("/api/v1/sessions", headers={"origin": SHOP})
                self.assertEqual(answer.status, 403)

    def status(self, daemon, origin):
        return daemon.request("OPTIONS", "/v1/traces", headers=preflight(origin),
                              port="http").status


if __name__ == "__main__":
    unittest.main()
