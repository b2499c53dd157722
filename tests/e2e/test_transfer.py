#!/usr/bin/env python3
"""export, import and demo: what goes out as OTLP/JSON lines comes in again, all of it and nothing
twice; what is wrong in a file is told by line; a busy daemon is waited for."""
import base64
import gzip
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

import otlp
import otlp_decode
import signals
from captures import send_capture
from harness import BINARY, SLOWNESS, Case, Daemon, DaemonCase, wait_for
from test_otlp_format import LEVELS, all_captures

SECOND = 10 ** 9


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def signal_of(request):
    (signal,) = [name for name, levels in LEVELS.items() if levels[0] in request]
    return signal


def points_of(metric):
    """Each point with its metric, as a metric of its own."""
    for kind in ("gauge", "sum", "histogram", "exponentialHistogram", "summary"):
        data = metric.get(kind)
        for point in data.get("dataPoints", []) if data is not None else []:
            yield {**metric, kind: {**data, "dataPoints": [point]}}


def items(text):
    """All items with what they stand under, sorted: pages and groups do not matter."""
    found = []
    for line in lines_of(text):
        signal = signal_of(line)
        resources, scopes, name = LEVELS[signal]
        request = otlp_decode.plain(otlp_decode.REQUESTS[signal], line)
        for resource in request.get(resources, []):
            for scope in resource.get(scopes, []):
                for item in scope.get(name, []):
                    alone = points_of(item) if signal == "metrics" else [item]
                    about = {"resource": resource.get("resource"), "scope": scope.get("scope"),
                             "urls": [resource.get("schemaUrl"), scope.get("schemaUrl")]}
                    found += [json.dumps([signal, about, one], sort_keys=True) for one in alone]
    return sorted(found)


class Folder(Case):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="midwatch-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name, content=None):
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
        return path


class RoundTripTest(Folder):
    def test_captures(self):
        """Real clients' data, out, into a fresh directory, and out again."""
        with Daemon() as first, Daemon() as second:
            for capture in all_captures():
                if capture["case"] != "trace-unknown_group-protobuf":
                    send_capture(first, capture)
            out = first.cli("export")
            packed = self.path("all.jsonl.gz")
            self.assertEqual(first.cli("export", "-o", packed), "")
            with gzip.open(packed, "rt", encoding="utf-8") as file:
                self.assertEqual(file.read(), out)
            self.assertEqual(os.stat(packed).st_mode & 0o777, 0o600)
            self.assertEqual(second.cli("import", packed), "")
            before = items(out)
            self.assertGreater(len(before), 2000)
            self.assertEqual(items(second.cli("export")), before)
            stored = second.cli_json("status")["stored"]
            told = json.loads(second.cli("import", packed, "--json"))
            self.assertEqual((told["refused"], told["items_refused"]), (0, 0))
            self.assertEqual(second.cli_json("status")["stored"], stored)

    def test_merged(self):
        """Merging changes nothing of what was sent."""
        with Daemon(arguments=["--merge-after", "1s"]) as daemon:
            for capture in all_captures():
                if capture["case"] != "trace-unknown_group-protobuf":
                    send_capture(daemon, capture)
            before = daemon.cli("export")
            daemon.await_merged()
            after = daemon.cli("export")
            self.assertEqual(items(after), items(before))
            self.assertEqual(after, before)  # also the order

    def test_pages(self):
        """More than a page holds, of each signal."""
        with Daemon() as first, Daemon() as second:
            spans = [otlp.span(start=otlp.START + i, name=f"s{i}") for i in range(2500)]
            logs = [otlp.log_record(body=f"l{i}", time=otlp.START + i // 3) for i in range(2500)]
            points = [otlp.number_point(i, time=otlp.START + i * SECOND) for i in range(1500)]
            metrics = [otlp.metric([point], name=name) for name in ("one", "two/ü?&") for point in points]
            for path, body in (("traces", otlp.request(spans)), ("logs", otlp.logs_request(logs)),
                               ("metrics", otlp.enclose(metrics, "numbers"))):
                self.assertEqual(signals.post(first, "/v1/" + path, body).status, 200)
            out = first.cli("export")
            self.assertEqual(len(set(items(out))), 2500 + 2500 + 3000)
            self.assertEqual([len(out.splitlines()) for out in
                              (first.cli("export", "--signal", name) for name in LEVELS)], [3, 3, 4])
            second.cli("import", self.path("x", out))
            self.assertEqual(items(second.cli("export")), items(out))


class ExportTest(DaemonCase, Folder):
    @classmethod
    def prepare(cls):
        spans = [otlp.span(start=otlp.START + i * SECOND, name=f"s{i}") for i in range(10)]
        cls.daemon.post_traces(otlp.request(spans))
        records = [otlp.log_record(time=otlp.START + i * SECOND) for i in range(10)]
        signals.post(cls.daemon, "/v1/logs", otlp.logs_request(records))
        cls.daemon.cli("space", "create", "empty")

    def test_window(self):
        found = items(self.daemon.cli("export", "--since", str(otlp.START + 3 * SECOND),
                                      "--until", str(otlp.START + 5 * SECOND)))
        self.assertEqual(len(found), 4)
        done = self.daemon.cli_raw("export", "--since", "1h")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("exported 0 spans, 0 log records, 0 points", done.stderr)

    def test_signal_and_space(self):
        self.assertEqual(len(items(self.daemon.cli("export", "--signal", "logs"))), 10)
        self.assertEqual(self.daemon.cli("export", "--space", "empty"), "")
        self.daemon.cli("export", "--signal", "profiles", code=2)
        self.daemon.cli("export", "--space", "nowhere", code=5)

    def test_failures_leave_no_file(self):
        self.daemon.cli("export", "--space", "nowhere", "-o", self.path("a.jsonl"), code=5)
        self.daemon.cli("export", "--since", "yesterday", "-o", self.path("a.jsonl"), code=2)
        self.daemon.cli("export", "-o", self.path("no/such/folder"), code=1)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_file_that_is_there(self):
        """Is not written over unless that is asked for; an empty one is nothing."""
        kept = self.path("kept.jsonl", "what was exported last year")
        done = self.daemon.cli_raw("export", "-o", kept)
        self.assertEqual((done.returncode, done.stdout), (6, ""))
        self.assertIn("kept.jsonl: the file is there already; choose another name, or give --force",
                      done.stderr)
        with open(kept, encoding="utf-8") as file:
            self.assertEqual(file.read(), "what was exported last year")
        self.assertEqual(os.listdir(self.folder), ["kept.jsonl"])
        self.daemon.cli("export", "-o", kept, "--force")
        self.daemon.cli("export", "-o", self.path("empty.jsonl", ""))
        for name in ("kept.jsonl", "empty.jsonl"):
            with open(self.path(name), encoding="utf-8") as file:
                self.assertEqual(len(items(file.read())), len(items(self.daemon.cli("export"))))

    def test_special_files(self):
        self.assertEqual(self.daemon.cli("export", "-o", "/dev/null"), "")
        done = self.daemon.cli_raw("export", "-o", "/dev/full")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left", done.stderr)

    def test_headers_of_the_api(self):
        answer = self.daemon.get("/api/v1/spans?format=otlp&limit=4")
        self.assertEqual(answer.headers["x-midwatch-items"], "4")
        cursor = answer.headers["x-midwatch-next-cursor"]
        answer = self.daemon.get(f"/api/v1/spans?format=otlp&cursor={cursor}")
        self.assertEqual(answer.headers["x-midwatch-items"], "6")
        self.assertNotIn("x-midwatch-next-cursor", answer.headers)
        self.assertEqual(self.daemon.get("/api/v1/spans?format=xml").status, 400)
        self.assertEqual(self.daemon.get("/api/v1/logs?format=otlp&follow=true").status, 400)
        self.assertEqual(self.daemon.get("/api/v1/metrics?format=otlp").status, 400)

    def test_pages_shrink_to_what_fits(self):
        """96 MiB of log records and of spans: no answer may be longer than 64."""
        here = {"x-midwatch-space": "wide"}
        self.daemon.cli("space", "create", "wide")
        text = "x" * (2 << 20)
        for number in range(48):
            log = otlp.logs_request([otlp.log_record(f"{number} {text}")])
            span = otlp.request([otlp.span(os.urandom(16), os.urandom(8),
                                           attributes=[("text", text)])])
            for path, body in (("/v1/logs", log), ("/v1/traces", span)):
                self.assertEqual(signals.post(self.daemon, path, body, headers=here).status, 200)
        for noun in ("logs", "spans"):
            pages, cursor = [], ""
            while cursor is not None:
                answer = self.daemon.get(f"/api/v1/{noun}?format=otlp&space=wide{cursor}")
                self.assertEqual(answer.status, 200, answer.body[:300])
                pages.append(int(answer.headers["x-midwatch-items"]))
                self.assertEqual(answer.body.count(text.encode()), pages[-1])
                following = answer.headers.get("x-midwatch-next-cursor")
                cursor = following and "&cursor=" + following
            self.assertEqual((sum(pages), len(pages) > 1), (48, True), pages)
        self.daemon.cli("space", "delete", "wide", "--yes")


def text_of(size):
    """Hardly packs."""
    return base64.b64encode(os.urandom(size * 3 // 4)).decode()


class LargeTest(Folder):
    """Items that are not shown beside others: what was accepted comes out, as a page of its own."""

    MIB = 1 << 20

    def send(self, daemon, path, body):
        answer = signals.post(daemon, path, body)
        self.assertEqual(answer.status, 200, answer.body)

    def small_span(self, n, **more):
        return otlp.span(b"t" * 16, bytes([n]) * 8, start=1700000000 * SECOND + n, **more)

    def fill(self, daemon, size):
        """Large spans first, last, and one behind the other; a large resource, a point, a record."""
        for n in range(1, 9):
            large = n in (1, 4, 5, 8)
            attributes = [("n", str(n)), ("dump", text_of(size) if large else "short")]
            self.send(daemon, "/v1/traces",
                      otlp.request([self.small_span(n, attributes=attributes)]))
        resource = otlp.length_field(1, otlp.attribute("dump", text_of(size)))
        scope = otlp.length_field(2, self.small_span(9))
        self.send(daemon, "/v1/traces", otlp.length_field(
            1, otlp.length_field(1, resource) + otlp.length_field(2, scope)))
        self.send(daemon, "/v1/logs", otlp.logs_request(
            [otlp.log_record(body="before"), otlp.log_record(body=text_of(3 * size)),
             otlp.log_record(body="behind")]))
        for value in ("short", text_of(size), "another"):
            self.send(daemon, "/v1/metrics", signals.request(
                [signals.gauge("queue", [(1700000000 * SECOND, 7, [("k", value)])], "1")]))

    def test_round_trip(self):
        for merged in (False, True):
            more = ["--merge-after", "1s"] if merged else []
            with self.subTest(merged=merged), Daemon(arguments=more) as first, Daemon() as second:
                self.fill(first, 5 * self.MIB)
                if merged:
                    wait_for("merging", lambda: not first.api("status")["store"]["unmerged_bytes"])
                path = self.path(f"large-{merged}.jsonl")
                done = first.cli_raw("export", "-o", path)
                self.assertEqual((done.returncode, "left out" in done.stderr), (0, False),
                                 done.stderr)
                with open(path, encoding="utf-8") as file:
                    sent = items(file.read())
                self.assertEqual(len(sent), 9 + 3 + 3)
                self.assertEqual(sum(len(item) > 5 * self.MIB for item in sent), 7)
                self.assertEqual(len(set(sent)), len(sent))
                second.cli("import", path)
                self.assertEqual(items(second.cli("export")), sent)
                trace = lines_of(second.cli("trace", "show", (b"t" * 16).hex(), "--format",
                                            "otlp"))
                self.assertEqual(len(items("\n".join(map(json.dumps, trace)))), 9)

    @staticmethod
    def named(name, number):
        point = {"timeUnixNano": str(number * SECOND + 1700000000 * SECOND), "asInt": str(number)}
        return {"name": name, "gauge": {"dataPoints": [point]}}

    def named_by_spans(self, daemon):
        daemon.cli("import", self.path("span.json", json.dumps({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "desk\0b"}}]},
            "scopeSpans": [{"spans": [{
                **ImportTest.SPAN, "spanId": os.urandom(8).hex(), "attributes": [
                    {"key": key, "value": {"stringValue": value}} for key, value in (
                        ("session.id", "talk\0b"), ("gen_ai.operation.name", "invoke_agent"),
                        ("gen_ai.agent.name", "clerk\0b"))]}]}]}]})))
        for path, name in (("services/desk", "desk"), ("sessions/talk", "talk"),
                           ("agents/clerk", "clerk")):
            answer = daemon.get(f"/api/v1/{path}%00b")
            self.assertEqual(answer.status, 200, path)
            self.assertIn(name + "\\u0000b", answer.body.decode())
            self.assertEqual(daemon.get(f"/api/v1/{path}").status, 404, path)
        self.assertEqual(daemon.get("/api/v1/sessions/talk%00b/turns").status, 200)
        # Ids hold none.
        for path, status in (("tokens/abcdef%00", 400), ("alarms/abcdef%00", 400),
                             ("traces/abcdef%00", 400)):
            self.assertEqual(daemon.get("/api/v1/" + path).status, status, path)

    def test_a_nul_in_names(self):
        """What a name is cut to is another name."""
        names = ["x", "x\0y", "x\0z", "x\0", "\0", "abcdef…", "abcdef"]
        body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [
            self.named(name, number) for number, name in enumerate(names)]}]}]}
        with Daemon() as first, Daemon() as second:
            first.cli("import", self.path("names.json", json.dumps(body)))
            path = self.path("names.jsonl")
            first.cli("export", "-o", path)
            with open(path, encoding="utf-8") as file:
                sent = items(file.read())
            found = [json.loads(item) for item in sent]
            self.assertEqual(len(found), len(names))
            for name in names:
                self.assertTrue(any(json.dumps(name) in json.dumps(item) for item in found), name)
            second.cli("import", path)
            self.assertEqual(items(second.cli("export")), sent)
            for name, quoted in (("x\0y", "x%00y"), ("x", "x")):
                shown = second.api(f"metrics/{quoted}")
                self.assertEqual((shown["name"], len(shown["series"])), (name, 1))
            self.assertEqual(second.get("/api/v1/metrics/x%00").status, 200)
            self.named_by_spans(first)
            self.assertEqual(second.get("/api/v1/metrics/x%00q").status, 404)

    def test_near_the_largest_request(self):
        with Daemon() as first, Daemon() as second:
            self.send(first, "/v1/logs", otlp.logs_request(
                [otlp.log_record(body=text_of(60 * self.MIB))]))
            path = self.path("largest.jsonl.gz")
            first.cli("export", "-o", path)
            second.cli("import", path)
            self.assertEqual(items(second.cli("export")), items(first.cli("export")))

    def test_what_does_not_fit_is_told(self):
        """A daemon whose memory is smaller than the item: left out and counted, exit 1; one with more
        has it all."""
        with Daemon(arguments=["--memory-limit", "64MiB"]) as daemon:
            self.send(daemon, "/v1/logs", otlp.logs_request(
                [otlp.log_record(body="small"), otlp.log_record(body=text_of(12 * self.MIB)),
                 otlp.log_record(body=text_of(2 * self.MIB))]))
            done = daemon.cli_raw("export")
            self.assertEqual((done.returncode, len(items(done.stdout))), (1, 2), done.stderr)
            self.assertIn("1 left out: too long for the memory", done.stderr)
            self.assertIn("--memory-limit", done.stderr)
            daemon.stop()
            daemon.arguments = []
            daemon.start()
            self.assertEqual(len(items(daemon.cli("export"))), 3)


class ImportTest(DaemonCase, Folder):
    SPAN = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "x",
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000000000001"}

    def request(self, *spans):
        return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}

    def stored(self):
        return self.daemon.cli_json("status")["stored"]

    def test_lines_are_told(self):
        before = self.stored()["spans"]
        good = {**self.SPAN, "spanId": os.urandom(8).hex()}
        content = "\n".join([
            json.dumps(self.request(good)), "", '{"resourceSpans":[', "hello", '{"other":[]}',
            json.dumps(self.request({**self.SPAN, "traceId": 5})),
            json.dumps(self.request({**self.SPAN, "spanId": os.urandom(8).hex()},
                                    {**self.SPAN, "spanId": "00"})),
            json.dumps(self.request({**self.SPAN, "spanId": os.urandom(8).hex()}))])
        done = self.daemon.cli_raw("import", self.path("some.jsonl", content))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        for words in ("some.jsonl: line 3: ", "line 4: ", "line 5: no object with resourceSpans",
                      "line 6: resourceSpans[0].scopeSpans[0].spans[0].traceId",
                      "line 7: 1 of 2 spans refused", "4 refused, 1 items of others refused"):
            self.assertIn(words, done.stderr)
        self.assertNotIn("line 1:", done.stderr)
        self.assertNotIn("line 8:", done.stderr)
        self.assertEqual(self.stored()["spans"], before + 3)

    def test_behind_gzip_stands_more(self):
        """Several members are one file; what is no member is no part of it, and is told."""
        lines = [json.dumps(self.request({**self.SPAN, "spanId": os.urandom(8).hex()})) + "\n"
                 for _ in range(3)]
        whole = gzip.compress(lines[0].encode()) + gzip.compress(lines[1].encode())
        before = self.stored()["spans"]
        for content, words in (
                (whole + lines[2].encode(), f"from byte {len(whole)} on, stands what is no gzip"),
                (whole + gzip.compress(lines[2].encode())[:50], "ends too early: the member at byte "
                 f"{len(whole)} is cut off at byte ")):
            path = self.path("joined.jsonl.gz", content)
            done = self.daemon.cli_raw("import", path)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(path + ": line 3: ", done.stderr)
            self.assertIn(words, done.stderr)
            # Nothing that was taken before is stored a second time.
            self.assertEqual(self.stored()["spans"], before + 2)
        self.daemon.cli("import", self.path("whole.gz", whole + gzip.compress(lines[2].encode())))
        self.assertEqual(self.stored()["spans"], before + 3)

    def test_a_wrong_checksum(self):
        """Not a line of a damaged member is sent, out of a file as out of a pipe; what came before
        it was, and the file may come again once it is whole."""
        lines = [json.dumps(self.request({**self.SPAN, "spanId": os.urandom(8).hex()})) + "\n"
                 for _ in range(3)]
        first, rest = (gzip.compress("".join(part).encode()) for part in (lines[:1], lines[1:]))
        before = self.stored()["spans"]
        for damaged in (rest[:-5] + bytes([rest[-5] ^ 1]) + rest[-4:], rest[:-4]):
            path = self.path("damaged.jsonl.gz", first + damaged)
            for arguments, source in (((path,), None), (("-",), path)):
                with open(source or os.devnull, "rb") as content:
                    command = [BINARY, "import", *arguments, "--data", self.daemon.data]
                    feed = content.read() if source else b""
                    done = subprocess.run(command, input=feed, capture_output=True, check=False)
                self.assertEqual(done.returncode, 1)
                for words in (f"member at byte {len(first)} is ", "nothing of it was sent",
                              "import the file again once it is whole"):
                    self.assertIn(words, done.stderr.decode())
                self.assertEqual(self.stored()["spans"], before + 1)
        self.daemon.cli("import", self.path("whole.jsonl.gz", first + rest))
        self.assertEqual(self.stored()["spans"], before + 3)

    def test_hostile_words(self):
        """What a file makes the daemon say is neutralised."""
        content = json.dumps({"resourceSpans": {"\x1b[31m": 1}}) + "\n{\"\x1b]0;x\x07"
        done = self.daemon.cli_raw("import", self.path("a\x1b[2Jb", content))
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("\x1b", done.stderr)

    def test_document_and_standard_input(self):
        span = {**self.SPAN, "spanId": os.urandom(8).hex()}
        before = self.stored()["spans"]
        self.daemon.cli("import", self.path("pretty.json", json.dumps(self.request(span), indent=2)))
        self.assertEqual(self.stored()["spans"], before + 1)
        body = gzip.compress(json.dumps(self.request({**span, "spanId": "01" * 8})).encode())
        done = subprocess.run([BINARY, "import", "-", "--data", self.daemon.data], input=body,
                              capture_output=True, env=self.daemon.environment(), check=False,
                              timeout=60 * SLOWNESS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.stored()["spans"], before + 2)

    def test_all_signals_in_one(self):
        record = {"timeUnixNano": "1700000000000000000", "body": {"stringValue": os.urandom(8).hex()}}
        point = {"timeUnixNano": "1700000000000000000", "asInt": "5",
                 "attributes": [{"key": "k", "value": {"stringValue": os.urandom(8).hex()}}]}
        request = {**self.request({**self.SPAN, "spanId": os.urandom(8).hex()}),
                   "resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}],
                   "resourceMetrics": [{"scopeMetrics": [{"metrics": [
                       {"name": "m", "gauge": {"dataPoints": [point]}}]}]}]}
        before = self.stored()
        self.daemon.cli("import", self.path("mixed.json", json.dumps(request)))
        self.assertEqual(self.stored(), {name: count + 1 for name, count in before.items()})

    def test_spaces_and_files(self):
        self.daemon.cli("space", "create", "other")
        paths = [self.path(name, json.dumps(self.request({**self.SPAN, "spanId": os.urandom(8).hex()})))
                 for name in ("a", "b")]
        self.daemon.cli("import", *paths, "--space", "other")
        self.assertEqual(len(items(self.daemon.cli("export", "--space", "other"))), 2)
        done = self.daemon.cli_raw("import", paths[0], "--space", "nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no space nowhere", done.stderr)
        self.daemon.cli("import", self.path("missing"), paths[0], code=1)


class Busy(http.server.BaseHTTPRequestHandler):
    """An OTLP port that answers what the test lists."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((self.path, self.headers["content-type"],
                                 self.headers["x-midwatch-space"], body))
        status, headers, answer = self.server.answers.pop(0)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class RetryTest(Folder):
    def run_import(self, answers, *arguments, content='{"resourceSpans":[]}\n'):
        server = http.server.HTTPServer(("127.0.0.1", 0), Busy)
        server.seen, server.answers = [], list(answers)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        clean = {key: value for key, value in os.environ.items()
                 if not key.startswith("MIDWATCH_")}
        done = subprocess.run([BINARY, "import", self.path("x", content), "--otlp",
                               f"http://127.0.0.1:{server.server_port}/", *arguments], env=clean,
                              capture_output=True, text=True, timeout=60 * SLOWNESS, check=False)
        return done, server.seen

    def test_retryable(self):
        later = {"Retry-After": "1"}
        done, seen = self.run_import([(503, later, b""), (429, later, b"{}"), (200, {}, b"{}")],
                                     "--space", "s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(seen, [("/v1/traces", "application/json", "s",
                                 b'{"resourceSpans":[]}')] * 3)

    def test_final(self):
        status = json.dumps({"code": 3, "message": "no \x1b good", "details": [
            {"fieldViolations": [{"field": "a.b", "description": "x"}]}]}).encode()
        done, seen = self.run_import([(400, {}, status), (200, {}, b"{}")],
                                     content='{"resourceLogs":[]}\n{"resourceMetrics":[]}\n')
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 1: a.b: no", done.stderr)
        self.assertNotIn("\x1b", done.stderr)
        self.assertEqual([path for path, *_ in seen], ["/v1/logs", "/v1/metrics"])

    def test_not_allowed(self):
        """Nothing else is tried."""
        done, seen = self.run_import([(403, {}, b"")], content='{"resourceLogs":[]}\n' * 3)
        self.assertEqual((done.returncode, len(seen)), (4, 1))
        self.assertIn("stopped at line 1", done.stderr)

    def test_nobody_there(self):
        done = subprocess.run([BINARY, "import", self.path("x", "{}"), "--otlp",
                               "http://127.0.0.1:9"], capture_output=True, text=True, check=False,
                              timeout=60 * SLOWNESS)
        self.assertEqual(done.returncode, 1, done.stderr)
        done = subprocess.run([BINARY, "import", self.path("x", '{"resourceLogs":[]}'), "--otlp",
                               "http://127.0.0.1:9"], capture_output=True, text=True, check=False,
                              timeout=60 * SLOWNESS)
        self.assertEqual(done.returncode, 7, done.stderr)


class DemoTest(DaemonCase):
    def test_story(self):
        told = self.daemon.cli_json("demo")
        self.assertEqual(self.daemon.cli_json("status")["stored"],
                         {name: told[name] for name in ("spans", "logs", "points")})
        sessions = [item for item in self.daemon.cli_json("session", "list")["items"]
                    if item["session_id"] in told["session_ids"]]
        self.assertEqual(len(sessions), told["sessions"])
        self.assertEqual({session["agent"] for session in sessions}, {"support-desk"})
        self.assertTrue(all(session["model_calls"] and session["tool_calls"]
                            for session in sessions))
        self.assertEqual(sum(session["traces"] for session in sessions), told["traces"])
        self.check_tokens(sessions)
        self.check_logs(told)
        text = self.daemon.cli("demo")
        shown = [line.split() for line in text.splitlines() if line.startswith("  midwatch ")]
        self.assertGreater(len(shown), 5)
        for words in shown:
            self.assertNotEqual(self.daemon.cli(*words[1:-2]), "", words)
            self.assertEqual(words[-2:], ["--data", self.daemon.data])

    def test_an_incident_is_of_the_default_space(self):
        self.daemon.cli("space", "create", "team-a")
        done = self.daemon.cli_raw("demo", "--incident", "--space", "team-a")
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertIn("of the space default alone", done.stderr)
        for space in ("default", "team-a"):
            self.assertFalse(any("demo" in item["incident_id"]
                                 for item in self.daemon.api("alarms")["items"]))
            self.assertNotIn("payments", self.daemon.cli("export", "--space", space))

    def check_tokens(self, sessions):
        """The agent's metric says what its spans say."""
        series = self.daemon.cli_json("metric", "show", "gen_ai.client.token.usage")["series"]
        sums = {one["attributes"]["gen_ai.token.type"]: one["points"][0]["sum"] for one in series}
        self.assertEqual(sums, {"input": sum(s["input_tokens"] for s in sessions),
                                "output": sum(s["output_tokens"] for s in sessions)})

    def check_logs(self, told):
        for session in told["session_ids"]:
            self.assertTrue(self.daemon.cli_json("log", "list", "--session", session)["items"])
        errors = self.daemon.cli_json("span", "list", "--errors")["items"]
        self.assertEqual({span["service"] for span in errors}, {"support-desk", "order-tools"})


if __name__ == "__main__":
    unittest.main()
