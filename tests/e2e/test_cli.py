#!/usr/bin/env python3
"""The command line: exit codes, JSON, prefixes, empty lists, hostile text, no colour."""
import json
import os
import re
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import otlp
import signals
from harness import BINARY, ROOT, SLOWNESS, Case, Daemon, DaemonCase, wait_for

BASE = 1_700_000_000_000_000_000
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def run(*arguments, env=None):
    """The binary without a daemon of ours."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MIDWATCH_")}
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, check=False,
                          timeout=60 * SLOWNESS, env={**clean, **(env or {})})


class Resetting:
    """Takes connections on a unix socket, or on a port without a path, and ends each at once."""

    def __init__(self, path=None):
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.socket.bind(path or ("127.0.0.1", 0))
        self.socket.listen(8)
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.recv(10)
            if self.socket.family == socket.AF_INET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
            connection.close()


class SilenceTest(Case):
    """Why nobody answered: what is said, and what is advised. Always exit 7."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="midwatch-test-")
        self.addCleanup(folder.cleanup)
        self.data = folder.name
        self.path = os.path.join(folder.name, "midwatch.sock")

    def ask(self, *arguments):
        done = run("trace", "list", *arguments)
        self.assertEqual((done.returncode, done.stdout), (7, ""), done.stderr)
        self.assertNotIn("port 80", done.stderr)
        return done.stderr

    def test_absent(self):
        self.assertRegex(self.ask("--data", self.data), "no daemon answers.*; start one")

    def test_refused(self):
        with socket.socket(socket.AF_UNIX) as left_over:
            left_over.bind(self.path)
        self.assertRegex(self.ask("--data", self.data), "Connection refused.*; start one")

    def test_reset(self):
        with Resetting(self.path):
            text = self.ask("--data", self.data)
        self.assertRegex(text, "without a whole answer.*; the daemon is there but busy")
        with Resetting() as server:
            text = self.ask("--server", "127.0.0.1:%d" % server.socket.getsockname()[1])
        self.assertRegex(text, "without a whole answer.*; the daemon is there but busy")

    def test_full_queue(self):
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as other:
            server.bind(self.path)
            server.listen(0)
            other.connect(self.path)
            self.assertRegex(self.ask("--data", self.data), "no connection within 5 s.*busy")


class CliTest(DaemonCase):
    @classmethod
    def prepare(cls):
        cls.first = bytes.fromhex("abcdef00000000000000000000000001")
        cls.second = bytes.fromhex("abcdef11000000000000000000000002")
        cls.hostile = "red\x1b[31m\x07 line\nbreak\r\u202eback\x9b2J"
        session = [("session.id", "sess-cli"), ("gen_ai.operation.name", "invoke_agent"),
                   ("gen_ai.agent.name", "clerk")]
        spans = [otlp.span(cls.first, name="plain", start=BASE, attributes=session),
                 otlp.span(cls.second, name=cls.hostile, start=BASE + 10 ** 10, status=2,
                           attributes=[("session.id", cls.hostile)])]
        answer = cls.daemon.post_traces(otlp.request(spans, service="cli\x1b[2Jservice"))
        assert answer.status == 200, answer.body

    def test_usage(self):
        for arguments in (["nonsense"], ["trace", "explode"], ["trace", "list", "--wrong"],
                          ["trace", "show"], ["trace", "list", "--limit", "0"],
                          ["trace", "list", "--limit", "many"]):
            with self.subTest(arguments=arguments):
                done = self.daemon.cli_raw(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertNotEqual(done.stderr, "")

    def test_help_and_version(self):
        done = run("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^  serve .*daemon")
        done = run("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"midwatch \d+\.\d+\.\d+")

    def test_json_is_the_api_body(self):
        for noun, path in (("trace", "traces"), ("session", "sessions"), ("alarm", "alarms"),
                           ("investigation", "investigations"), ("webhook", "webhooks")):
            with self.subTest(noun=noun):
                self.assert_json(json.loads(self.daemon.cli(noun, "list", "--json")),
                                 self.daemon.api(path), noun)
        shown = json.loads(self.daemon.cli("trace", "show", self.first.hex(), "--json"))
        self.assert_json(shown, self.daemon.api("traces/" + self.first.hex()))
        self.assertEqual(shown["service"], "cli\x1b[2Jservice")

    def test_lists(self):
        listed = self.daemon.cli_json("trace", "list")
        self.assertEqual([t["trace_id"] for t in listed["items"]],
                         [self.second.hex(), self.first.hex()])
        self.assertEqual(sorted(listed), ["items", "next_cursor", "total"])
        first, second = listed["items"][1], listed["items"][0]
        self.assertEqual((first["root_name"], first["spans"], first["errors"], first["logs"]),
                         ("plain", 1, 0, 0))
        self.assertEqual((second["errors"], second["session_ids"]), (1, [self.hostile]))
        self.assertEqual(first["start_unix_nano"], str(BASE))
        self.assertEqual(first["start"], "2023-11-14T22:13:20.000000000Z")
        self.assert_json(first["duration_ms"], 1.5)

    def test_pages(self):
        page = self.daemon.cli_json("trace", "list", "--limit", "1")
        self.assertEqual([t["trace_id"] for t in page["items"]], [self.second.hex()])
        self.assertIsNotNone(page["next_cursor"])
        page = self.daemon.cli_json("trace", "list", "--limit", "1", "--cursor",
                                    page["next_cursor"])
        self.assertEqual([t["trace_id"] for t in page["items"]], [self.first.hex()])
        if page["next_cursor"]:
            page = self.daemon.cli_json("trace", "list", "--cursor", page["next_cursor"])
            self.assertEqual((page["items"], page["next_cursor"]), ([], None))

    def test_bounds_of_time(self):
        def ids(*arguments):
            items = self.daemon.cli_json("trace", "list", *arguments)["items"]
            return [t["trace_id"] for t in items]
        boundary = str(BASE + 10 ** 10)
        self.assertEqual(ids("--since", boundary), [self.second.hex()])
        self.assertEqual(ids("--until", boundary), [self.first.hex()])
        self.assertEqual(ids("--since", "2023-11-14T22:13:30Z"), [self.second.hex()])
        self.assertEqual(ids("--since", "1h"), [])
        self.daemon.cli("trace", "list", "--since", "yesterday-ish", code=2)
        seconds = str((BASE + 10 ** 10) // 10 ** 9)
        for form in (seconds, seconds + ".0", seconds + "000", seconds + "000000000"):
            self.assertEqual(ids("--since", form), [self.second.hex()], form)
            self.assertEqual(ids("--until", form), [self.first.hex()], form)
        self.assertEqual(ids("--since", "0"), [self.second.hex(), self.first.hex()])
        self.assertEqual(ids("--until", "0"), [])
        for form in ("9999", "3600", "2023", "17000000101"):
            done = self.daemon.cli_raw("trace", "list", "--since", form)
            self.assertEqual(done.returncode, 2)
            for words in ("since: not a point in time", "2026-03-14T09:26:53Z", "15m",
                          "1773480413 (s)", "(ms)", "(ns)"):
                self.assertIn(words, done.stderr)
        # The same words, wherever a time is asked for.
        for arguments in (["export", "--until", seconds], ["service", "list", "--since", seconds],
                          ["session", "show", "sess-cli", "--until", seconds]):
            self.daemon.cli(*arguments)

    def test_prefix(self):
        shown = self.daemon.cli_json("trace", "show", "abcdef00")
        self.assertEqual(shown["trace_id"], self.first.hex())
        done = self.daemon.cli_raw("trace", "show", "abcdef")
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertEqual(self.daemon.cli_raw("trace", "show", "fedcba").returncode, 5)
        self.assertEqual(self.daemon.cli_raw("trace", "show", "abc").returncode, 2)
        shown = self.daemon.cli_json("session", "show", "sess-cli")
        self.assertEqual((shown["session_id"], shown["agent"], shown["spans"]),
                         ("sess-cli", "clerk", 1))
        self.assertEqual(self.daemon.cli_raw("session", "show", "sess-none").returncode, 5)

    def test_empty_lists(self):
        for noun in ("alarm", "investigation"):
            with self.subTest(noun=noun):
                done = self.daemon.cli_raw(noun, "list")
                self.assertEqual((done.returncode, done.stdout), (0, ""))
                self.assertIn(noun, done.stderr)
                listed = self.daemon.cli_json(noun, "list")
                self.assertEqual((listed["items"], listed["next_cursor"]), ([], None))

    def test_hostile_text_is_neutralised(self):
        for arguments in (["trace", "list"], ["trace", "show", "abcdef11"], ["session", "list"],
                          ["trace", "show", "abcdef00"]):
            for env in ({"NO_COLOR": "1"}, {"TERM": "dumb", "NO_COLOR": ""}):
                with self.subTest(arguments=arguments, env=env):
                    done = self.daemon.cli_raw(*arguments, env=env)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertIsNone(CONTROL.search(done.stdout), repr(done.stdout))
        self.assertIn("red\\x1b[31m", self.daemon.cli("trace", "show", "abcdef11"))
        # Nor does it reach the daemon's log raw.
        self.assertIsNone(CONTROL.search(self.daemon.log()))

    def test_table_fits_the_terminal(self):
        for columns in (60, 120):
            with self.subTest(columns=columns):
                text = self.daemon.cli("trace", "list", env={"COLUMNS": str(columns)})
                self.assertIn("abcdef", text)
                self.assertLessEqual(max(map(len, text.splitlines())), columns)

    def test_ids_and_numbers_stay_in_narrow_tables(self):
        text = self.daemon.cli("trace", "show", self.first.hex(), env={"COLUMNS": "80"})
        self.assertRegex(text, r"(?m)^SPAN .*TOKENS IN +OUT .*ID$")
        self.assertRegex(text, r"(?m)^\*plain .* [0-9a-f]{16}$")
        text = self.daemon.cli("trace", "list", env={"COLUMNS": "80"})
        self.assertRegex(text, r"(?m)^START +TRACE .*SPANS +ERRORS +TOKENS IN +OUT")

    def test_unreachable(self):
        with tempfile.TemporaryDirectory(prefix="midwatch-test-") as empty:
            env = {"HOME": empty, "XDG_STATE_HOME": empty}
            done = run("trace", "list", "--server", "http://127.0.0.1:9", env=env)
            self.assertEqual((done.returncode, done.stdout), (7, ""), done.stderr)
            self.assertRegex(done.stderr, "127.0.0.1:9: no daemon answers.*; start the daemon")
            done = run("status", env={**env, "MIDWATCH_SERVER": "http://127.0.0.1:9"})
            self.assertEqual(done.returncode, 7, done.stderr)

    def test_server_by_url(self):
        server = "http://" + self.daemon.endpoints["web"]
        done = run("trace", "list", "--json", "--server", server)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(json.loads(done.stdout)["items"]), 2)
        done = run("trace", "list", "--json", env={"MIDWATCH_SERVER": server})
        self.assertEqual(len(json.loads(done.stdout)["items"]), 2)

    def test_flags_go_before_the_environment(self):
        """A variable that some profile sets sends no command elsewhere that names its daemon."""
        nobody = "http://127.0.0.1:9"
        data, url = self.daemon.data, "http://" + self.daemon.endpoints["web"]
        with tempfile.TemporaryDirectory(prefix="midwatch-test-") as empty:
            rows = (  # arguments, environment, exit status
                (["--data", data], {"MIDWATCH_SERVER": nobody}, 0),
                (["--data", data], {"MIDWATCH_SERVER": nobody, "MIDWATCH_DATA": empty}, 0),
                (["--server", url], {"MIDWATCH_SERVER": nobody, "MIDWATCH_DATA": empty}, 0),
                (["--server", nobody], {"MIDWATCH_SERVER": url, "MIDWATCH_DATA": data}, 7),
                (["--data", empty], {"MIDWATCH_SERVER": url, "MIDWATCH_DATA": data}, 7),
                (["--server", url, "--data", empty], {}, 0),
                ([], {"MIDWATCH_SERVER": url, "MIDWATCH_DATA": empty}, 0),
                ([], {"MIDWATCH_SERVER": nobody, "MIDWATCH_DATA": data}, 7),
                ([], {"MIDWATCH_DATA": data, "HOME": empty}, 0))
            for arguments, env, code in rows:
                for command in (["trace", "list", "--json"], ["import", os.devnull]):
                    done = run(*command, *arguments, env=env)
                    self.assertEqual(done.returncode, code, (arguments, env, done.stderr))

    def test_status_and_check(self):
        status = self.daemon.cli_json("status")
        self.assertEqual(status["stored"]["spans"], 2)
        self.assertRegex(status["version"], r"\d+\.\d+\.\d+")
        for key in ("uptime", "retried", "refused", "queues", "store", "disk", "memory"):
            self.assertIn(key, status)
        disk = status["disk"]
        self.assertEqual(disk["used_bytes"], disk["log_bytes"] + disk["merged_bytes"] +
                         disk["spare_bytes"] + disk["ballast_bytes"])
        self.assertGreater(disk["log_bytes"], 0)
        self.assertLess(disk["free_bytes"], disk["bytes"])
        self.assertEqual(disk["retention_by"], "age")
        self.assertAlmostEqual(disk["retention_in_seconds"], 30 * 86400, delta=3600)
        text = self.daemon.cli("status")
        self.assertRegex(text, r"disk +used [\d.]+ [KM]iB \(log .*; free .* of .*")
        self.assertRegex(text, r"growth +.*; retention by age begins in 30 days")
        self.assertRegex(text, r"stored +2 spans.*repeats count until merged")

    def test_check_of_a_directory_that_is_not_there(self):
        with tempfile.TemporaryDirectory(prefix="midwatch-test-") as empty:
            nowhere = os.path.join(empty, "nowhere")
            done = run("check", "--data", nowhere)
            self.assertEqual(done.returncode, 5, done.stderr)
            self.assertIn(nowhere, done.stderr)
            self.assertEqual(run("check", env={"MIDWATCH_DATA": nowhere}).returncode, 5)
            # There, but never used; and nobody named one.
            self.assertEqual(run("check", "--data", empty).returncode, 0)
            if os.geteuid() != 0:
                self.assertEqual(run("check", env={"XDG_STATE_HOME": nowhere}).returncode, 0)

    def test_texts(self):
        done = run("serve", "--nope")
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no option 'nope'", done.stderr)
        done = self.daemon.cli_raw("metric", "show", "-x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("-- ", done.stderr)
        done = self.daemon.cli_raw("log", "list", "--severity", "25")
        self.assertEqual(done.returncode, 2)
        bounds = re.search(r"\d+ to \d+", done.stderr).group()
        helped = self.daemon.cli("log", "list", "--help")
        self.assertRegex(helped, r"--severity .*\b" + bounds)
        self.assertRegex(helped, r"--text .*only A to Z match in either case")


class SignalsTest(DaemonCase):
    """Logs and metrics as the command line shows them."""

    @classmethod
    def prepare(cls):
        records = [
            signals.log(BASE, "the index gave no answer in time", 9,
                        attributes=[("session.id", "logs only")]),
            signals.log(BASE + 1, "of a loud client") + otlp.length_field(3, "LOUD" * 10),
            signals.log(BASE + 2, "gave up", 17,
                        attributes=[("exception.type", "ThrottlingException")])]
        metrics = [otlp.metric([otlp.number_point()], otlp.GAUGE, "two.kinds"),
                   otlp.metric([otlp.number_point()], otlp.SUM, "two.kinds"),
                   otlp.metric([otlp.number_point()], otlp.GAUGE, "one.kind")]
        for path, body in (("/v1/logs", otlp.logs_request(records)),
                           ("/v1/metrics", otlp.metrics_request(metrics))):
            answer = signals.post(cls.daemon, path, body)
            assert (answer.status, answer.body) == (200, b""), answer.body

    def test_body_stays_in_narrow_tables(self):
        for columns in (40, 60, 80):
            with self.subTest(columns=columns):
                text = self.daemon.cli("log", "list", env={"COLUMNS": str(columns)})
                self.assertRegex(text, r"(?m)^TIME .*SEVERITY .*BODY")
                self.assertRegex(text, r"(?m) INFO .*  the ind")
                self.assertIn("  LOUDLOU\u2026  ", text)
                self.assertLessEqual(max(map(len, text.splitlines())), columns)
        self.assertRegex(self.daemon.cli("log", "list", env={"COLUMNS": "20"}), r"(?m)^BODY$")

    def test_whose_fault(self):
        items = self.daemon.cli_json("log", "list")["items"]
        self.assertEqual([(item["error_class"], item["error_type"]) for item in items],
                         [("throttle", "ThrottlingException"), (None, None), (None, None)])
        text = self.daemon.cli("log", "list")
        self.assertRegex(text, r"(?m)^TIME +SEVERITY +FAULT +SERVICE")
        self.assertRegex(text, r"(?m) ERROR +throttle +bad-otlp +gave up$")

    def test_session_of_logs_alone(self):
        text = self.daemon.cli("session", "list")
        self.assertRegex(text, r"(?m)^LAST SEEN .* TRACES +SPANS +LOGS +ERRORS")
        self.assertRegex(text, r"(?m)  logs only +0 +0 +1 +0 ")
        text = self.daemon.cli("session", "show", "logs only")
        self.assertTrue(text.endswith("midwatch log list --session 'logs only'\n"), text)

    def test_kinds_that_differ(self):
        text = self.daemon.cli("metric", "show", "two.kinds")
        self.assertRegex(text, r"(?m)^SERVICE .* KIND +NEWEST ")
        self.assertRegex(text, r"(?m)^bad-otlp .*gauge .* 5 ")
        self.assertRegex(text, r"(?m)^bad-otlp .*sum .* 5 ")
        self.assertNotIn("KIND", self.daemon.cli("metric", "show", "one.kind"))


class IndexTest(DaemonCase):
    """GET /api/v1 says what there is, and that is so."""

    def test_routes(self):
        routes = self.daemon.get("/api/v1").json()["routes"]
        self.assertIn(("GET", "/api/v1/logs"), [(r["method"], r["path"]) for r in routes])
        for route in routes:
            with self.subTest(**route):
                self.assertEqual(sorted(route), ["method", "parameters", "path", "what"])
                self.assertNotEqual(route["what"], "")
                if route["method"] == "GET":
                    self.check_parameters(route)

    def check_parameters(self, route):
        path = re.sub(r"\{\w+\}", "abcdef", route["path"])
        error = self.daemon.get(path + "?nope=1").json()["error"]
        self.assertEqual(error["field"], "nope")
        names = re.sub(r"^it takes ", "", error["hint"])
        # A hint is cut where its room ends.
        self.assertTrue((", ".join(route["parameters"]) or "this path takes none")
                        .startswith(names), names)

    def test_documented(self):
        with open(os.path.join(ROOT, "docs", "API.md"), encoding="utf-8") as source:
            text = source.read()
        rows = re.findall(r"(?m)^\| `(GET|POST|DELETE) (\S+)` \| (.*?) \|", text)
        told = {(method, path): re.findall(r"`(\w+)`", names) for method, path, names in rows}
        page = re.search(r"(?m)^\*page\*: (.*)$", text).group(1)
        page = re.findall(r"`(\w+)`", page)
        for key, (_, _, names) in zip(told, rows):
            told[key] = (page if "*page*" in names else []) + told[key]
        routes = self.daemon.get("/api/v1").json()["routes"]
        self.assertEqual(told, {(r["method"], r["path"]): r["parameters"] for r in routes})

    def test_refusals(self):
        for query, field in (("text=%zz", "text"), ("since=1h&until=2h", "since")):
            with self.subTest(query=query):
                answer = self.daemon.get("/api/v1/logs?" + query)
                self.assertEqual(answer.status, 400)
                self.assertEqual(answer.json()["error"]["field"], field)
        message = self.daemon.get("/api/v1/logs?since=1h&until=2h").json()["error"]["message"]
        self.assertIn("since", message)
        self.assertIn("until", message)


class DamageTest(Case):
    def fill(self, daemon):
        for _ in range(3):
            daemon.post_traces(otlp.request([otlp.span() for _ in range(40)]))

    def flip(self, path, at):
        """Turns a bit of the byte at `at`; negative from the end."""
        with open(path, "r+b") as file:
            file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
            place = file.tell()
            byte = file.read(1)
            file.seek(place)
            file.write(bytes([byte[0] ^ 0x40]))

    def segments(self, daemon):
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(daemon.data)
                      for name in names if name.endswith(".seg"))

    def test_check_finds_damage(self):
        with Daemon() as daemon:
            self.fill(daemon)
            daemon.stop()
            self.assertEqual(daemon.cli_raw("check").returncode, 0)
            segment = max(self.segments(daemon), key=os.path.getsize)
            self.flip(segment, 2000)
            done = daemon.cli_raw("check")
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn(os.path.basename(segment), done.stdout + done.stderr)
            # Items that are lost cannot be made again.
            self.assertEqual(daemon.cli_raw("check", "--rebuild").returncode, 1)

    def test_check_finds_a_damaged_state(self):
        with Daemon() as daemon:
            daemon.stop()
            self.assertRegex(daemon.cli("check"), r"(?m)^state +whole$")
            before = sorted(os.listdir(daemon.data))
            for at in (20, 4096):
                path = os.path.join(daemon.data, "state.db")
                self.flip(path, at)
                done = daemon.cli_raw("check")
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertRegex(done.stdout, r"(?m)^state +NOT whole$")
                self.assertIn("restore a backup", done.stderr)
                self.flip(path, at)
            self.assertEqual(sorted(os.listdir(daemon.data)), before)

    def test_rebuild(self):
        """A damaged footer is named, mended, and the answers are as before."""
        with Daemon(arguments=["--merge-after", "1s"]) as daemon:
            self.fill(daemon)
            wait_for("a merge", lambda: daemon.cli_json("status")["store"]["merged_segments"], 20)
            before = daemon.api("traces?limit=1000")["items"]
            self.assertEqual(len(before), 120)
            done = daemon.cli_raw("check", "--rebuild")
            self.assertEqual(done.returncode, 6, done.stdout + done.stderr)
            self.assertIn("stop it first", done.stderr)
            daemon.stop()
            segment = max(self.segments(daemon), key=os.path.getsize)
            self.flip(segment, -5)
            done = daemon.cli_raw("check")
            self.assertEqual(done.returncode, 1)
            self.assertIn("--rebuild", done.stderr)
            done = daemon.cli("check", "--rebuild")
            self.assertIn(os.path.basename(segment) + ": a new footer", done)
            self.assertRegex(done, r"catalogue\.db: made again, with \d+ merged segments")
            self.assertEqual(daemon.cli_raw("check").returncode, 0)
            daemon.start()
            self.assertEqual(daemon.api("traces?limit=1000")["items"], before)
            daemon.stop()
            os.unlink(segment)
            done = daemon.cli_raw("check")
            self.assertEqual(done.returncode, 1)
            self.assertIn("120 spans, 0 logs and 0 points are lost", done.stderr)
            daemon.start()
            self.assertRegex(daemon.cli("status"), r"LOST .* 120 spans")
            daemon.stop()
            done = daemon.cli_raw("check")
            self.assertEqual(done.returncode, 1)
            self.assertIn("120 spans, 0 logs and 0 points are lost", done.stderr)
            self.assertIn("accepted as gone", daemon.cli("check", "--rebuild"))
            self.assertEqual(daemon.cli_raw("check").returncode, 0)
            daemon.start()


if __name__ == "__main__":
    unittest.main()
