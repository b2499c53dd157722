#!/usr/bin/env python3
"""telemetrygen and the OpenTelemetry Collector, unmodified, as senders.

`direct`: telemetrygen to midwatch over both transports, in clear text, with TLS and with a client
certificate. `queue`: telemetrygen to the Collector, whose sending queue retries towards midwatch,
while midwatch is killed and started again, is stopped for longer than the Collector waits for an
answer, and answers 503 because its disk takes nothing. In the end what the Collector took is all
stored, none twice: the Collector's file exporter says what it took.

SOAK_SECONDS (default 45) is how long each `queue` check sends; SOAK_SIGNALS (default "traces
metrics logs") limits what is sent. The moments of the faults come from SOAK_SEED, which is printed.
"""
import collections
import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from harness import BINARY, BUILD, ROOT, SLOWNESS, Daemon, wait_for  # noqa: E402
from test_tls import Certificates  # noqa: E402

PEERS = os.path.join(BUILD, "peers")
SECONDS = int(os.environ.get("SOAK_SECONDS", "45"))
SEED = int(os.environ.get("SOAK_SEED", str(random.randrange(1 << 30))))
SIGNALS = os.environ.get("SOAK_SIGNALS", "traces metrics logs").split()
# What a telemetrygen sends a second, and how it is asked for a number of items.
RATE = {"traces": 1000, "metrics": 200, "logs": 500}
STORED = {"traces": "spans", "metrics": "points", "logs": "logs"}
SPANS_A_TRACE = 10
# The Collector gives an answer this long; the stops below are longer.
ANSWER_S = 3
# The longest pause between its tries, which it spreads by half.
PAUSE_S = 2


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# ---- midwatch that comes back on the same ports --------------------------------------------------


class Target(Daemon):
    """A daemon with ports that stay, and a file size limit that can be lowered: its disk is full.

    `env --ignore-signal` makes a write beyond the limit fail instead of ending the process.
    """

    def __init__(self):
        super().__init__()
        self.ports = {name: free_port() for name in ("grpc", "http", "web")}

    def start(self):
        listen = [word for name, port in self.ports.items()
                  for word in (f"--{name}", f"127.0.0.1:{port}")]
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["env", "--ignore-signal=XFSZ", BINARY, "serve", "--data", self.data, *listen],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment())
        self.endpoints = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        wait_for("/readyz", self.ready)
        return self

    def fill_disk(self):
        hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (0, hard))

    def make_room(self):
        hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def stored(self):
        return self.api("status")["stored"]


class Faults:
    """Hurts a target again and again on a thread of its own, until told to stop."""

    def __init__(self, target, seed):
        self.target, self.random = target, random.Random(seed)
        self.stopping = threading.Event()
        self.done = collections.Counter()
        self.error = None
        self.thread = threading.Thread(target=self.run)

    def run(self):
        kinds = [self.kill, self.halt, self.refuse]
        try:
            while not self.stopping.wait(self.random.uniform(0.5, 3)):
                kind = kinds[sum(self.done.values()) % len(kinds)]
                kind()
                self.done[kind.__name__] += 1
        except Exception as error:  # noqa: BLE001  (told by the main thread)
            self.error = error

    def kill(self):
        self.target.kill()
        time.sleep(self.random.uniform(0, 1.5))
        self.target.start()

    def halt(self):
        self.target.process.send_signal(signal.SIGSTOP)
        time.sleep(ANSWER_S + self.random.uniform(0.5, 2))
        self.target.process.send_signal(signal.SIGCONT)

    def refuse(self):
        self.target.fill_disk()
        time.sleep(self.random.uniform(1, 3))
        self.target.make_room()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


# ---- senders -------------------------------------------------------------------------------------


def generator(kind, endpoint, transport, count, rate, options=("--otlp-insecure",)):
    """A running telemetrygen that sends `count` spans, points or records."""
    number = count // SPANS_A_TRACE if kind == "traces" else count
    argv = [os.path.join(PEERS, "telemetrygen"), kind, "--otlp-endpoint", endpoint, f"--{kind}",
            str(number), "--rate", str(rate), "--service", "soak-" + kind, "--workers", "1",
            "--timeout", "30s", *options]
    argv += ["--child-spans", str(SPANS_A_TRACE - 1)] if kind == "traces" else []
    argv += ["--otlp-http"] if transport == "http" else []
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(senders, seconds):
    """Waits for all; raises with the output of the one that failed."""
    for sender in senders:
        try:
            output, _ = sender.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            sender.kill()
            output = sender.communicate()[0] + "\nno end"
        if sender.returncode != 0:
            raise AssertionError(f"telemetrygen: {sender.returncode}\n{output[-3000:]}")


class Collector:
    """The Collector with a queue that retries for ever, and a file of what it took."""

    def __init__(self, target, transport):
        self.folder = tempfile.TemporaryDirectory(prefix="midwatch-test-")
        self.ports = {"grpc": free_port(), "http": free_port()}
        self.log_path = os.path.join(self.folder.name, "collector.log")
        self.took_path = os.path.join(self.folder.name, "took.json")
        config = os.path.join(self.folder.name, "config.yaml")
        with open(config, "w", encoding="utf-8") as out:
            json.dump(self.config(target, transport), out)
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([os.path.join(PEERS, "collector"), "--config", config],
                                            stdout=log, stderr=log)
        wait_for("the Collector", self.listens, 30)

    def config(self, target, transport):
        """YAML is a superset of JSON."""
        exporter = {"grpc": "otlp", "http": "otlphttp"}[transport]
        scheme = "http://" if transport == "http" else ""
        sends = {"endpoint": f"{scheme}127.0.0.1:{target.ports[transport]}",
                 "tls": {"insecure": True}, "timeout": f"{ANSWER_S}s",
                 "sending_queue": {"enabled": True, "num_consumers": 4, "queue_size": 20000},
                 "retry_on_failure": {"enabled": True, "initial_interval": "200ms",
                                      "max_interval": f"{PAUSE_S}s", "max_elapsed_time": 0}}
        pipeline = {"receivers": ["otlp"], "processors": ["batch"], "exporters": [exporter, "file"]}
        return {
            "receivers": {"otlp": {"protocols": {
                name: {"endpoint": f"127.0.0.1:{port}"} for name, port in self.ports.items()}}},
            "processors": {"batch": {"timeout": "100ms", "send_batch_size": 256}},
            "exporters": {exporter: sends, "file": {"path": self.took_path}},
            "service": {"telemetry": {"metrics": {"level": "none"}, "logs": {"level": "info"}},
                        "pipelines": {kind: pipeline for kind in SIGNALS}}}

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def retries(self):
        return self.log().count("Will retry the request")

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the Collector: {self.process.returncode}\n{self.log()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports["grpc"])) == 0

    def stop(self):
        """SIGTERM. The pause lets the last batch go first: this Collector's file exporter does not
        survive one that comes while it stops."""
        time.sleep(1)
        self.process.terminate()
        code = self.process.wait(60)
        if code != 0 or "Dropping data" in self.log() or "dropped" in self.log().lower():
            raise AssertionError(f"the Collector ended with {code}:\n{self.log()[-4000:]}")

    def took(self):
        """Counters of what it received: (trace id, span id), times of points, times of records."""
        found = {kind: collections.Counter() for kind in STORED}
        with open(self.took_path, encoding="utf-8") as lines:
            for line in lines:
                for kind, key in signal_items(json.loads(line)):
                    found[kind][key] += 1
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


def signal_items(document):
    """(kind, identity) of every item of an OTLP/JSON document."""
    for wrapped in document.get("resourceSpans", []):
        for scope in wrapped["scopeSpans"]:
            for span in scope["spans"]:
                yield "traces", (span["traceId"], span["spanId"])
    for wrapped in document.get("resourceLogs", []):
        for scope in wrapped["scopeLogs"]:
            for record in scope["logRecords"]:
                yield "logs", record["timeUnixNano"]
    for wrapped in document.get("resourceMetrics", []):
        for scope in wrapped["scopeMetrics"]:
            for metric in scope["metrics"]:
                for point in metric["gauge"]["dataPoints"]:
                    yield "metrics", point["timeUnixNano"]


# ---- what midwatch has ---------------------------------------------------------------------------


def answers(target, path):
    """Every page of an answer."""
    cursor = ""
    while cursor is not None:
        answer = target.api(f"{path}limit=1000" + (f"&cursor={cursor}" if cursor else ""))
        yield answer
        cursor = answer.get("next_cursor")


def items(target, path):
    for answer in answers(target, path):
        yield from answer["items"]


def shown(target, kind):
    """The identities that the API shows, as a Counter."""
    if kind == "traces":
        return collections.Counter(
            (trace["trace_id"], span["span_id"])
            for trace in items(target, "traces?")
            for span in target.api("traces/" + trace["trace_id"])["spans"])
    if kind == "logs":
        return collections.Counter(record["time_unix_nano"]
                                   for record in items(target, "logs?"))
    return collections.Counter(point["time_unix_nano"]
                               for answer in answers(target, "metrics/gen?")
                               for series in answer["series"] for point in series["points"])


def counted(target, kinds, counts):
    stored = target.stored()
    return {kind: (stored[STORED[kind]], counts[kind]) for kind in kinds
            if stored[STORED[kind]] != counts[kind]}


def check_stored(target, counts):
    """The counters, now and after a kill that makes it read its segments again."""
    wrong = counted(target, SIGNALS, counts)
    if wrong:
        raise AssertionError(f"stored and sent differ: {wrong}")
    target.kill()
    target.start()
    wrong = counted(target, SIGNALS, counts)
    if wrong:
        raise AssertionError(f"stored and sent differ after a restart: {wrong}")


# ---- the checks ----------------------------------------------------------------------------------


def direct(transport, security):
    """telemetrygen straight to midwatch; nothing is hurt."""
    counts = {kind: 2000 for kind in SIGNALS}
    certificates = Certificates()
    certificates.install("server")
    options = ["--otlp-insecure"]
    arguments = []
    if security != "plain":
        options = ["--ca-cert", certificates.path("ca.pem")]
        arguments = certificates.options()
    if security == "mtls":
        certificate, key = certificates.pair("client")
        options += ["--mtls", "--client-cert", certificate, "--client-key", key]
        arguments += ["--tls-client-ca", certificates.path("ca.pem")]
    try:
        with Daemon(arguments=arguments) as daemon:
            endpoint = f"localhost:{daemon.port(transport)}"
            finish([generator(kind, endpoint, transport, counts[kind], 0, options)
                    for kind in SIGNALS], 60 * SLOWNESS)
            stored = daemon.api("status")["stored"]
            wrong = {kind: stored[STORED[kind]] for kind in SIGNALS
                     if stored[STORED[kind]] != counts[kind]}
            if wrong:
                raise AssertionError(f"stored {wrong}, sent {counts}")
    finally:
        certificates.remove()
    return f"{sum(counts.values())} items"


def settle(target, counts):
    """The queue empties once nothing hurts; false as long as something is missing."""
    return not any(stored < sent for stored, sent in counted(target, SIGNALS, counts).values())


def quiet(collector):
    """Returns once the Collector has tried nothing again for a while: what midwatch stored just
    before it was stopped is still to be acknowledged, and a Collector that ends drops it."""
    before = -1
    while before != collector.retries():
        before = collector.retries()
        time.sleep(ANSWER_S + 2 * PAUSE_S)


def queue(transport):
    counts = {kind: RATE[kind] * SECONDS for kind in SIGNALS}
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(Target())
        collector = stack.enter_context(Collector(target, transport))
        endpoint = f"127.0.0.1:{collector.ports[transport]}"
        with Faults(target, SEED) as faults:
            finish([generator(kind, endpoint, transport, counts[kind], RATE[kind])
                    for kind in SIGNALS], SECONDS * 4 + 60)
        if faults.error or min(faults.done[kind] for kind in ("kill", "halt", "refuse")) == 0:
            raise AssertionError(f"faults: {faults.error or dict(faults.done)}")
        with contextlib.suppress(AssertionError):
            wait_for("the queue", lambda: settle(target, counts), 90)
        quiet(collector)
        collector.stop()
        took = collector.took()
        for kind in SIGNALS:
            if sum(took[kind].values()) != counts[kind]:
                raise AssertionError(f"{kind}: the Collector took {sum(took[kind].values())}, "
                                     f"telemetrygen sent {counts[kind]}")
        retried = target.api("status")["retried"]
        check_stored(target, counts)
        for kind in SIGNALS:
            found = shown(target, kind)
            if found != took[kind]:
                raise AssertionError(f"{kind}: {sum((took[kind] - found).values())} missing, "
                                     f"{sum((found - took[kind]).values())} too many")
        repeats = collector.retries()
    faults_done = ", ".join(f"{kind} {n}" for kind, n in sorted(faults.done.items()))
    return (f"{sum(counts.values())} items; {faults_done}; the Collector tried again {repeats} "
            f"times; repeats recognised since the last fault {retried}")


CHECKS = [("direct grpc plain", direct, ("grpc", "plain")),
          ("direct http plain", direct, ("http", "plain")),
          ("direct grpc tls", direct, ("grpc", "tls")),
          ("direct http tls", direct, ("http", "tls")),
          ("direct grpc mtls", direct, ("grpc", "mtls")),
          ("direct http mtls", direct, ("http", "mtls")),
          ("queue grpc", queue, ("grpc",)), ("queue http", queue, ("http",))]


def main():
    words = sys.argv[1:]
    built = subprocess.run([os.path.join(ROOT, "tests/peers/build.sh"), BUILD], check=False)
    if built.returncode == 3:
        print(f"0 passed, 0 failed, {len(CHECKS)} skipped")
        return 0
    if built.returncode != 0:
        print("0 passed, 1 failed")
        return 1
    print(f"seed {SEED}", flush=True)
    passed = failed = 0
    for name, check, arguments in CHECKS:
        if not all(word in name for word in words):
            continue
        started = time.monotonic()
        try:
            mark, text = "ok    ", check(*arguments)
            passed += 1
        except (AssertionError, OSError, LookupError, ValueError, TypeError,
                subprocess.SubprocessError) as error:
            mark, text = "FAILED", f"{type(error).__name__}: {error}"
            failed += 1
        print(f"{mark} {name} ({time.monotonic() - started:.0f} s): {text}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
