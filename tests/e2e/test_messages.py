#!/usr/bin/env python3
"""What people read at night: numbers as one writes them, what is wrong, and what to do."""
import http.server
import json
import threading
import unittest

import otlp
from harness import Case, DaemonCase
from test_cli import run

BASE = 1_700_000_000_000_000_000
TRACE = bytes.fromhex("feed0000000000000000000000000001")


class OptionsTest(Case):
    def test_check_shows_what_one_would_write(self):
        done = run("check", "--data", "/nonexistent/midwatch", "--merge-after", "1500ms",
                   "--retention", "48h", "--retention-bytes", "3000")
        for line in ("memory_limit     512MiB (default)", "max_request      64MiB (default)",
                     "merge_after      1500ms (flag)", "retention        2d (flag)",
                     "retention_bytes  3000 (flag)", "max_connections  1024 (default)"):
            self.assertIn(line + "\n", done.stdout)

    def test_too_long(self):
        done = run("serve", "--data", "/nonexistent/midwatch", "--retention", "99999999d")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr, "midwatch: retention: '99999999d' is more than can be "
                         "counted; the longest that can be given is 106751d\n")


class UsageTest(Case):
    def test_what_does_not_fit_is_named(self):
        rows = {("span", "show"): "span show: no such verb; it has list, see midwatch help span",
                ("space",): "space: say what to do; it has list, create, delete, token-access, see midwatch help "
                            "space",
                ("service", "list", "--limit", "4"):
                    "--limit: not an option of service list; see midwatch help service",
                ("service", "show"): "service show: an argument is missing; midwatch service show "
                                     "NAME",
                ("span", "list", "--attribute", "x"):
                    "--attribute: not a key and a value with = between them; for example "
                    "--attribute http.route=/orders"}
        for arguments, message in rows.items():
            with self.subTest(arguments=arguments):
                done = run(*arguments)
                self.assertEqual((done.returncode, done.stdout, done.stderr),
                                 (2, "", f"midwatch: {message}\n"))


class SpansTest(DaemonCase):
    @classmethod
    def prepare(cls):
        spans = [otlp.span(TRACE, name="turned", start=BASE + 2_000_000_000, end=BASE),
                 otlp.span(TRACE, name="plain", start=BASE + 10)]
        assert cls.daemon.post_traces(otlp.request(spans)).status == 200

    def test_an_end_before_its_start(self):
        for arguments in (["span", "list"], ["trace", "show", TRACE.hex()]):
            with self.subTest(arguments=arguments):
                done = self.daemon.cli_raw(*arguments)
                row = next(line for line in done.stdout.splitlines() if "turned" in line)
                self.assertRegex(row, r" - ")
                self.assertNotIn("-2.00s", done.stdout)
                self.assertIn("1.50ms", done.stdout)
                self.assertIn("1 of them", done.stderr)
                self.assertIn("before", done.stderr)
        listed = self.daemon.cli_raw("span", "list", "--json")
        self.assertEqual(listed.stderr, "")
        span = json.loads(listed.stdout)["items"][0]
        self.assert_json(span["duration_ms"], -2000.0)
        self.assertEqual(self.daemon.cli_raw("span", "list", "--name", "plain").stderr, "")

    def test_refusals_name_the_thing(self):
        rows = {"spans?space=TEAM": "'TEAM' cannot be the name of a space",
                "spans?duration_min_ms=99999999999": "longer than can be asked for",
                "spans?duration_min_ms=soon": "not a duration"}
        for path, message in rows.items():
            with self.subTest(path=path):
                error = self.daemon.get("/api/v1/" + path).json()["error"]
                self.assertEqual(error["message"], message)
        hint = self.daemon.get("/api/v1/spans?space=").json()["error"]["hint"]
        self.assertEqual(hint, "leave it out to ask default")
        error = self.daemon.get("/api/v1/nosuch").json()["error"]
        self.assertIn(" and others.", error["message"])

    def test_a_long_pattern(self):
        done = self.daemon.cli_raw("log", "list", "--pattern", "a" * 1025)
        self.assertEqual(done.returncode, 2)
        self.assertIn("1025 bytes long: longer than the 1024 that a pattern may have", done.stderr)

    def test_status_of_merging(self):
        """Of a store that never failed, and as a daemon whose merges did would tell it."""
        status = self.daemon.api("status")
        self.assertEqual((status["store"]["merging_fails"], status["store"]["last_merge_failure"]),
                         (False, None))
        self.assertNotIn("merging ", self.daemon.cli("status"))
        status["store"].update(merge_failures=3,
                               last_merge_failure="2026-11-21T03:00:07.000000000Z")
        self.assertRegex(shown(status), r"(?m)^  merging +works again after failures, 3 since the "
                         r"start, the last at 2026-11-21T03:00:07Z$")
        status["store"]["merging_fails"] = True
        self.assertRegex(shown(status), r"(?m)^  MERGING FAILS tried again and again, 3 since the "
                         r"start, the last at 2026-11-21T03:00:07Z; the daemon's log says why$")


def shown(status):
    """`midwatch status` of a daemon that answers so."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(status).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            done = run("status", "--server", f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


if __name__ == "__main__":
    unittest.main()
