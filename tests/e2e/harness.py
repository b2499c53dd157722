"""What the end-to-end tests share: the real binary on loopback, and clients for its ports.

Python's standard library only; gRPC goes through the test client DIR/tests/bench/otlp_load, or
by hand through h2frames.py. A daemon runs on a temporary data directory with free ports and is always stopped. When it is
stopped, its exit status must be 0 and its log free of sanitizer reports.
"""
import base64
import http.client
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from captures import load_capture

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("MIDWATCH_BUILD", "build"))
BINARY = os.path.join(BUILD, "midwatch")
LOADER = os.path.join(BUILD, "tests/bench/otlp_load")
CAPTURES = os.path.join(ROOT, "tests/data/otlp-captures")
# Instrumented builds are slower; every patience is multiplied by this.
SLOWNESS = float(os.environ.get("MIDWATCH_TEST_SLOWNESS", "1"))
TRACES_GRPC = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
STATUSES = ["UNSET", "OK", "ERROR"]
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                   "WARNING: ThreadSanitizer", "assertion failed")


def wait_for(what, question, seconds=30):
    """The first true answer of question(); fails naming `what` when there is none in time. The time
    is for a busy machine: only a failure takes so long."""
    until = time.monotonic() + seconds * SLOWNESS
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"timed out waiting for {what}")
        time.sleep(0.02)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over DATA/midwatch.sock."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    """Status, headers (lower-case names) and body of one HTTP answer."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Daemon:
    """One midwatch serve. Use as a context manager, or start() and stop()."""

    def __init__(self, data=None, arguments=()):
        self.own_data = data is None
        self.data = data or tempfile.mkdtemp(prefix="midwatch-test-")
        self.arguments = list(arguments)
        self.process = None
        self.endpoints = None
        self.log_path = self.data.rstrip("/") + ".log"

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        try:
            if self.process:
                self.stop(check=kind is None)
        finally:
            if kind is not None:
                sys.stderr.write(f"---- log of the daemon:\n{self.log()[-4000:]}\n")
            self.remove()

    def remove(self):
        if self.own_data:
            shutil.rmtree(self.data, ignore_errors=True)
        if os.path.exists(self.log_path):
            os.unlink(self.log_path)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def environment(self):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("MIDWATCH_")}
        return {**clean, "NO_COLOR": "1"}

    def start(self):
        endpoints = os.path.join(self.data, "endpoints.json")
        if os.path.exists(endpoints):
            os.unlink(endpoints)
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--data", self.data, "--grpc", "127.0.0.1:0", "--http",
                 "127.0.0.1:0", "--web", "127.0.0.1:0"] + self.arguments,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment())
        wait_for("endpoints.json", lambda: self.alive() and os.path.exists(endpoints))
        with open(endpoints, encoding="utf-8") as source:
            self.endpoints = json.load(source)
        wait_for("/readyz", self.ready)
        return self

    def alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"midwatch serve ended with {self.process.returncode}:\n"
                                 f"{self.log()[-4000:]}")
        return True

    def ready(self):
        try:
            return self.alive() and self.get("/readyz").status == 200
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, check=True):
        """SIGTERM; the daemon must end by itself with 0 and a log without sanitizer reports."""
        self.terminate()
        try:
            code = self.process.wait(60 * SLOWNESS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "no end after SIGTERM"
        self.process = None
        if check and code != 0:
            raise AssertionError(f"midwatch serve: {code} after SIGTERM\n{self.log()[-4000:]}")
        if check:
            self.check_log()

    def check_log(self):
        found = [mark for mark in SANITIZER_MARKS if mark in self.log()]
        if found:
            raise AssertionError(f"{found[0]} in the log:\n{self.log()[-8000:]}")

    def restart(self):
        self.stop()
        return self.start()

    # ---- HTTP ----------------------------------------------------------------------------------

    def address(self, port):
        host, _, number = self.endpoints[port].rpartition(":")
        return host.strip("[]"), int(number)

    def port(self, port):
        return self.address(port)[1]

    def request(self, method, path, body=None, headers=None, port="web"):
        """One request on a connection of its own; port is grpc, http, web or socket."""
        timeout = 60 * SLOWNESS
        if port == "socket":
            connection = UnixConnection(os.path.join(self.data, "midwatch.sock"), timeout)
        else:
            connection = http.client.HTTPConnection(*self.address(port), timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, port="web", headers=None):
        return self.request("GET", path, headers=headers, port=port)

    def api(self, path):
        """The JSON of GET /api/v1/PATH, which must be there."""
        answer = self.get("/api/v1/" + path)
        if answer.status != 200:
            raise AssertionError(f"GET {path}: {answer.status} {answer.body!r}")
        return answer.json()

    def await_merged(self, seconds=60):
        """Until all that is stored is merged."""
        def merged():
            store = self.api("status")["store"]
            return store["merged_segments"] and not store["unmerged_bytes"]
        wait_for("merging", merged, seconds)

    def post_traces(self, body, encoding=None, content_type="application/x-protobuf"):
        headers = {"content-type": content_type}
        if encoding:
            headers["content-encoding"] = encoding
        return self.request("POST", "/v1/traces", body, headers, port="http")

    # ---- gRPC ----------------------------------------------------------------------------------

    def grpc(self, body, framed=False, encoding=None, path=None, content_type=None, port="grpc"):
        """Sends one message; the answer as otlp_load prints it, the body as bytes."""
        with tempfile.NamedTemporaryFile(prefix="midwatch-test-") as file:
            file.write(body)
            file.flush()
            argv = [LOADER, "send", "--transport", "grpc", "--port", str(self.port(port)),
                    "--file", file.name]
            argv += ["--framed"] if framed else []
            argv += ["--encoding", encoding] if encoding else []
            argv += ["--path", path] if path else []
            argv += ["--content-type", content_type] if content_type else []
            done = subprocess.run(argv, capture_output=True, text=True, check=False,
                                  timeout=60 * SLOWNESS)
        if not done.stdout:
            raise AssertionError(f"otlp_load: {done.returncode} {done.stderr}")
        answer = json.loads(done.stdout)
        answer["body"] = bytes.fromhex(answer.pop("body_hex"))
        return answer

    def start_load(self, transport, *arguments):
        """otlp_load load in the background; its JSON line is on stdout when it ends."""
        port = self.port("grpc" if transport == "grpc" else "http")
        return subprocess.Popen([LOADER, "load", "--transport", transport, "--port", str(port)] +
                                list(arguments), stdout=subprocess.PIPE, text=True)

    # ---- command line --------------------------------------------------------------------------

    def cli(self, *arguments, code=0, env=None):
        """Runs the command against this daemon; its standard output, the exit code checked."""
        done = self.cli_raw(*arguments, env=env)
        if done.returncode != code:
            raise AssertionError(f"midwatch {' '.join(arguments)}: exit {done.returncode}, not "
                                 f"{code}\n{done.stdout}{done.stderr}")
        return done.stdout

    def cli_raw(self, *arguments, env=None):
        return subprocess.run([BINARY, *arguments, "--data", self.data], capture_output=True,
                              text=True, timeout=60 * SLOWNESS, check=False,
                              env={**self.environment(), **(env or {})})

    def cli_json(self, *arguments):
        return json.loads(self.cli(*arguments, "--json"))


# ---- captures ----------------------------------------------------------------------------------


def trace_captures():
    """All trace captures, real clients first, by name."""
    names = sorted(os.listdir(CAPTURES))
    paths = [os.path.join(CAPTURES, name) for name in names]
    paths.append(os.path.join(CAPTURES, "synthetic", "trace-unknown_fields-protobuf.json"))
    chosen = []
    for path in paths:
        if os.path.basename(path).startswith("trace-") and path.endswith(".json"):
            chosen.append(load_capture(path))
    return chosen


def any_value(value):
    """A capture's AnyValue as the API shows it."""
    (kind, content), = value.items()
    if kind == "int":
        number = int(content)
        return number if abs(number) <= 2 ** 53 else str(number)
    if kind == "double":
        number = float(content)
        if math.isnan(number):
            return "NaN"
        if math.isinf(number):
            return "Infinity" if number > 0 else "-Infinity"
        return number
    if kind == "bytes_hex":
        return base64.b64encode(bytes.fromhex(content)).decode()
    if kind == "array":
        return [any_value(item) for item in content]
    if kind == "kvlist":
        return attribute_object(content)
    if kind == "empty":
        return None
    return content


def attribute_object(pairs):
    return {key: any_value(value) for key, value in pairs}


def same_json(left, right):
    """Equality that tells 1 from 1.0 and from true."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same_json(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return left == right


class Case(unittest.TestCase):
    """assertEqual that also tells 1 from 1.0, and long differences in full."""

    maxDiff = None

    def assert_json(self, found, expected, what=""):
        if not same_json(found, expected):
            self.fail(f"{what}: {json.dumps(found)} is not {json.dumps(expected)}")


class DaemonCase(Case):
    """One daemon for all tests of the class, started with ARGUMENTS; `prepare` fills it."""

    ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(arguments=cls.ARGUMENTS).start()
        try:
            cls.prepare()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def prepare(cls):
        """What the daemon holds before the first test."""

    @classmethod
    def tearDownClass(cls):
        try:
            cls.daemon.stop()
        finally:
            cls.daemon.remove()


class Merged:
    """In front of a DaemonCase: the same of merged segments."""

    ARGUMENTS = ("--merge-after", "1s")

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.daemon.await_merged()
