"""kill -9 in the middle of load, with clients that try again: shared by tests/e2e/test_kill.py (ten
cycles) and tests/soak/test_kill_cycles.py (hundreds).

Senders export all three signals over HTTP and gRPC, one delivers signed alarms. A request whose answer
did not come is sent again, the same bytes, once the daemon is back: so at the end of each cycle every
request was acknowledged, and what is stored must be exactly what was sent, each item once. Times of a
cycle are its own, which is how its items are asked for.
"""
import base64
import collections
import glob
import hashlib
import hmac
import http.client
import json
import os
import random
import subprocess
import threading
import time
from urllib.parse import urlsplit

import otlp
from h2frames import Peer, block, headers
from harness import BINARY, SLOWNESS, wait_for

ITEMS = 16  # small requests: many acknowledgements in a short time
KINDS = {"traces": "spans", "logs": "logs", "metrics": "points"}
GRPC_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"}
# Event times of one cycle: an hour, far more than it has items (a microsecond apart).
CYCLE_NS = 3600 * 10 ** 9


class Request:
    """One export, and what it holds: traces as Counter of trace ids, the others of times."""

    def __init__(self, signal, numbers):
        self.signal = signal
        times = [next(numbers) for _ in range(ITEMS)]
        if signal == "traces":
            traces = [os.urandom(16) for _ in range(2)]
            self.holds = collections.Counter(traces[i % 2].hex() for i in range(ITEMS))
            spans = [otlp.span(trace_id=traces[i % 2], start=times[i]) for i in range(ITEMS)]
            self.body = otlp.request(spans, "kill")
        elif signal == "logs":
            self.holds = collections.Counter(times)
            self.body = otlp.logs_request([otlp.log_record(f"record {t}", time=t) for t in times],
                                          "kill")
        else:
            self.holds = collections.Counter(times)
            points = [otlp.number_point(time=t) for t in times]
            self.body = otlp.metrics_request([otlp.metric(points, name="kill.gauge")], "kill")


class Sender(threading.Thread):
    """Sends requests over one connection until it breaks or is told to stop."""

    def __init__(self, daemon, transport, cycle, number):
        super().__init__(daemon=True)
        self.address = daemon.address("grpc" if transport == "grpc" else "http")
        self.transport = transport
        self.numbers = self.count_from(cycle, number)
        self.signals = list(KINDS)[number % 3:] + list(KINDS)[:number % 3]
        self.acknowledged, self.unanswered = [], []
        self.stopping = threading.Event()
        self.error = None

    @staticmethod
    def count_from(cycle, number):
        """Times that no other sender uses; none of them is odd to midwatch."""
        at = otlp.START + cycle * CYCLE_NS + number * (CYCLE_NS // 64)
        while True:
            at += 1000
            yield at

    def run(self):
        try:
            self.send_all()
        except Exception as error:  # any: shown by the test
            self.error = error

    def send_all(self):
        """Ends with the connection."""
        with Connection(self.transport, self.address) as connection:
            for turn in range(10 ** 9):
                if self.stopping.is_set():
                    return
                request = Request(self.signals[turn % 3], self.numbers)
                outcome = connection.send(request)
                if outcome is True:
                    self.acknowledged.append(request)
                else:
                    self.unanswered.append(request)
                if outcome is None:
                    return


class Connection:
    """send() is True for an acknowledgement, False for a retryable refusal, None when it broke."""

    def __init__(self, transport, address):
        self.grpc = transport == "grpc"
        self.peer = self.http = None
        if self.grpc:
            try:
                self.peer = Peer(address, patience=30 * SLOWNESS)
                self.peer.handshake()
            except (OSError, AssertionError):
                self.peer = None
        else:
            self.http = http.client.HTTPConnection(*address, timeout=30 * SLOWNESS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.peer:
            self.peer.close()
        if self.http:
            self.http.close()

    def send(self, request):
        try:
            return self.call(request) if self.grpc else self.post(request)
        except (OSError, http.client.HTTPException, AttributeError):
            return None

    def post(self, request):
        self.http.request("POST", f"/v1/{request.signal}", request.body,
                          {"content-type": "application/x-protobuf"})
        answer = self.http.getresponse()
        body = answer.read()
        if answer.status == 200 and body == b"":
            return True
        if answer.status == 503:
            return False
        raise AssertionError(f"{request.signal}: {answer.status} {body!r}")

    def call(self, request):
        peer = self.peer
        stream = peer.stream()
        fields = peer.fields("POST", GRPC_METHODS[request.signal],
                             ("content-type", "application/grpc"), ("te", "trailers"))
        peer.send(headers(stream, block(fields)))
        framed = b"\0" + len(request.body).to_bytes(4, "big") + request.body
        if not peer.send_body(stream, framed):
            return None
        answer = peer.finish(stream)
        if answer.grpc_status == 0 and answer.body == bytes(5):
            return True
        if answer.grpc_status == 14:
            return False
        if answer.grpc_status in (None, -1) or not answer.complete:
            return None
        raise AssertionError(f"{request.signal}: {answer}")


class Alarms(threading.Thread):
    """Signed deliveries, one incident each; what was not answered is delivered again as it was."""

    def __init__(self, daemon, hook):
        super().__init__(daemon=True)
        self.address = daemon.address("web")
        self.path = urlsplit(hook["url"]).path
        self.secret = hook["secret"].encode()
        self.acknowledged, self.unanswered = [], []
        self.stopping = threading.Event()
        self.error = None

    def delivery(self):
        incident = "inc-" + os.urandom(8).hex()
        text = json.dumps({"eventType": "incident", "incidentId": incident, "action": "created",
                           "priority": "LOW", "title": "kill cycles", "service": "kill"})
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        signature = hmac.new(self.secret, f"{stamp}:{text}".encode(), hashlib.sha256).digest()
        return incident, text, {"content-type": "application/json",
                                "x-amzn-event-timestamp": stamp,
                                "x-amzn-event-signature": base64.b64encode(signature).decode()}

    def deliver(self, delivery, address=None):
        """True when it was taken; None when the connection broke, False for 503."""
        connection = http.client.HTTPConnection(*(address or self.address), timeout=30 * SLOWNESS)
        try:
            connection.request("POST", self.path, delivery[1].encode(), delivery[2])
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if answer.status not in (200, 503):
            raise AssertionError(f"webhook: {answer.status} {body!r}")
        return answer.status == 200

    def run(self):
        try:
            while not self.stopping.is_set():
                delivery = self.delivery()
                outcome = self.deliver(delivery)
                (self.acknowledged if outcome else self.unanswered).append(delivery)
                if outcome is None:
                    return
                time.sleep(0.02)
        except Exception as error:  # any: shown by the test
            self.error = error


class Totals:
    """What was sent over all cycles."""

    def __init__(self):
        self.items = collections.Counter()  # by signal
        self.found = collections.Counter()
        self.repeated = self.aimed = 0  # requests sent again; kills during a merge
        self.incidents = set()


class Killer:
    """Cycles of one daemon. `senders` a transport; `aim` waits for a merge before the kill."""

    def __init__(self, case, daemon, senders=2):
        self.case = case
        self.daemon = daemon
        self.senders = senders
        self.hook = daemon.cli_json("webhook", "create", "--name", "kill", "--source",
                                    "devops-agent")
        self.totals = Totals()
        self.cycle_number = 0
        self.holds = {}

    # ---- one cycle

    def cycle(self, aim=False):
        """Load, kill, restart, retries, questions. What it checks raises."""
        cycle, self.cycle_number = self.cycle_number, self.cycle_number + 1
        threads = [Sender(self.daemon, transport, cycle, 2 * n + k)
                   for n in range(self.senders) for k, transport in enumerate(("http", "grpc"))]
        alarms = Alarms(self.daemon, self.hook)
        for thread in threads + [alarms]:
            thread.start()
        time.sleep(0.15 + random.random() * 0.35)
        if aim and self.wait_for_merge():
            self.totals.aimed += 1
        self.daemon.kill()
        for thread in threads + [alarms]:
            thread.stopping.set()
            thread.join(60 * SLOWNESS)
            if thread.error:
                raise thread.error
        self.check_offline()
        self.daemon.start()
        self.check_sent(cycle, threads, alarms)

    def wait_for_merge(self):
        """Up to a few seconds for a file that a merge is writing: it grows under a temporary name,
        while a new segment of the log has its name at once."""
        until = time.monotonic() + 3 * SLOWNESS
        pattern = os.path.join(self.daemon.data, "**", "*.tmp")
        while time.monotonic() < until:
            for path in glob.glob(pattern, recursive=True):
                try:
                    if os.path.getsize(path) > 4096:
                        return True
                except OSError:
                    pass
            time.sleep(0.001)
        return False

    # ---- what must be there

    def check_sent(self, cycle, threads, alarms):
        sent = {signal: collections.Counter() for signal in KINDS}
        for thread in threads:
            for request in thread.acknowledged:
                sent[request.signal].update(request.holds)
        for signal in KINDS:
            self.case.assertGreater(len(sent[signal]), 0, f"no {signal} before the kill")
        self.check_found(cycle, sent, exact=False)
        for thread in threads:
            self.send_again(thread, sent)
        for signal in KINDS:
            self.totals.items[signal] += sum(sent[signal].values())
        found = self.check_found(cycle, sent, exact=True)
        self.totals.found.update(found)
        self.holds[cycle] = sent
        status = self.daemon.api("status")
        self.case.assertEqual(status["store"]["losses"], 0)
        stored = status["stored"]
        self.case.assertEqual({signal: stored[KINDS[signal]] for signal in KINDS},
                              dict(self.totals.items))
        self.check_alarms(alarms)
        self.check_offline()

    def send_again(self, thread, sent):
        address = self.daemon.address("grpc" if thread.transport == "grpc" else "http")
        for request in thread.unanswered:
            self.totals.repeated += 1
            def acknowledged(request=request):
                with Connection(thread.transport, address) as connection:
                    return connection.send(request)
            wait_for("a repeated export", acknowledged)
            sent[request.signal].update(request.holds)

    def check_found(self, cycle, sent, exact):
        """Every acknowledged item of the cycle once; `exact`: and nothing else."""
        since = otlp.START + cycle * CYCLE_NS
        window = f"since={since}&until={since + CYCLE_NS}&limit=1000"
        found = {"traces": collections.Counter(), "logs": collections.Counter(),
                 "metrics": collections.Counter()}
        for answer in self.pages("traces?" + window):
            for trace in answer["items"]:
                found["traces"][trace["trace_id"]] += trace["spans"]
        for answer in self.pages("logs?" + window):
            found["logs"].update(int(log["time_unix_nano"]) for log in answer["items"])
        for answer in self.pages("metrics/kill.gauge?" + window):
            for series in answer["series"]:
                found["metrics"].update(int(p["time_unix_nano"]) for p in series["points"])
        for signal in KINDS:
            missing = sent[signal] - found[signal]
            self.case.assertFalse(missing, f"{signal} of cycle {cycle} are lost")
            if exact:
                more = found[signal] - sent[signal]
                self.case.assertFalse(more, f"{signal} of cycle {cycle} are there twice")
        return collections.Counter({kind: sum(found[kind].values()) for kind in KINDS})

    def pages(self, path):
        cursor = ""
        while cursor is not None:
            answer = self.daemon.api(path + (f"&cursor={cursor}" if cursor else ""))
            yield answer
            cursor = answer.get("next_cursor")

    def check_alarms(self, alarms):
        for delivery in alarms.unanswered:
            self.totals.repeated += 1
            wait_for("a repeated delivery", lambda one=delivery: alarms.deliver(
                one, self.daemon.address("web")))
        mine = {delivery[0] for delivery in alarms.acknowledged + alarms.unanswered}
        self.totals.incidents |= mine

        def decided():
            found = collections.Counter()
            for answer in self.pages("alarms?limit=1000"):
                for alarm in answer["items"]:
                    found[alarm["incident_id"]] += 1
                    if alarm["incident_id"] in mine and not alarm["decision"]:
                        return None
            return found
        found = wait_for("decisions", decided, 30)
        self.case.assertEqual(found, collections.Counter(self.totals.incidents))

    def check_offline(self):
        """midwatch check: whole, also right after a kill: what was cut off was promised to nobody."""
        done = subprocess.run([BINARY, "check", "--data", self.daemon.data], capture_output=True,
                              text=True, check=False, timeout=120 * SLOWNESS)
        if done.returncode or done.stderr:
            raise AssertionError(f"midwatch check: {done.returncode}\n{done.stderr}{done.stdout}")

    def check_all(self, cycles=None):
        """Nothing of an earlier cycle was lost by a later one."""
        for cycle in cycles or sorted(self.holds):
            self.check_found(cycle, self.holds[cycle], exact=True)
