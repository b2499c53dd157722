"""Alarms: pure decisions, alarms through the port, and verdicts beside 50 k spans/s.

Verdicts are timed by one clock, this machine's: from before the first byte of a signed delivery is
sent until the daemon's log says "alarm decided", which it writes when the verdict was committed. No
question is asked meanwhile. What the server records (received, decided) is printed beside it.
"""
import base64
import calendar
import hashlib
import hmac
import http.client
import json
import os
import random
import selectors
import socket
import subprocess
import time
from urllib.parse import urlsplit

import measure
from servers import Midwatch
from store import quantile

SERVICES = 100  # of alarms through the port: an incident each
CONNECTIONS = 64
RATE = 50_000
INCIDENTS = 100
# Services of otlp_load's spans.
LOAD_SERVICES = ("support-agent", "order-tools")


def stamp_of(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"


class Sender:
    """Signs and delivers."""

    def __init__(self, server):
        self.server = server
        self.hook = server.daemon.cli_json("webhook", "create", "--name", "bench", "--source",
                                           "devops-agent")
        self.path = urlsplit(self.hook["url"]).path

    def signed(self, incident, service, region, at, title="latency above threshold"):
        text = json.dumps({"eventType": "incident", "incidentId": incident, "action": "created",
                           "priority": "HIGH", "title": title, "service": service,
                           "timestamp": stamp_of(at), "data": {"metadata": {"region": region}}})
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        digest = hmac.new(self.hook["secret"].encode(), f"{now}:{text}".encode(),
                          hashlib.sha256).digest()
        return text.encode(), {"content-type": "application/json", "x-amzn-event-timestamp": now,
                               "x-amzn-event-signature": base64.b64encode(digest).decode()}

    def connect(self):
        return http.client.HTTPConnection(*self.server.daemon.address("web"), timeout=60)

    def deliver(self, connection, delivery):
        connection.request("POST", self.path, *delivery)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"webhook: {answer.status} {body[:300]!r}")
        return json.loads(body)["id"]

    def raw(self, delivery):
        """The bytes of one request."""
        text, headers = delivery
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return (f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{head}"
                f"content-length: {len(text)}\r\n\r\n").encode() + text

    def deliver_all(self, deliveries):
        """Over CONNECTIONS at a time, each sends its next alarm when the one before is answered.
        Requests are made beforehand and sockets are handled by hand: http.client takes longer for
        an alarm than the daemon does."""
        waiting = [self.raw(delivery) for delivery in reversed(deliveries)]
        with selectors.DefaultSelector() as ready:
            for _ in range(min(CONNECTIONS, len(waiting))):
                connection = socket.create_connection(self.server.daemon.address("web"))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(waiting.pop())
                ready.register(connection, selectors.EVENT_READ)
            while ready.get_map():
                for key, _ in ready.select():
                    answer = key.fileobj.recv(65536)
                    if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"}"):
                        raise RuntimeError(f"webhook: {answer!r}")
                    if waiting:
                        key.fileobj.sendall(waiting.pop())
                    else:
                        ready.unregister(key.fileobj)
                        key.fileobj.close()


def counted(server, name):
    """A counter, summed over its labels."""
    text = server.daemon.get("/metrics").body.decode()
    return sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith(name))


def wait_for_decisions(server, count):
    from harness import wait_for
    wait_for("all decisions", lambda: counted(server, "midwatch_decisions_total") >= count, 120)


# ---- alarms through the port --------------------------------------------------------------------


def run_port(count):
    """Alarms a CPU second of the daemon, from the first byte until it is idle: runs included."""
    with Midwatch() as server:
        sender, now = Sender(server), time.time()
        deliveries = [sender.signed(f"inc-{i}", f"s{i % SERVICES}", "us-east-1",
                                    now - 300 + i * 300 / count) for i in range(count)]
        measure.settle(server.pid)
        begun, cpu = time.monotonic(), measure.cpu_seconds(server.pid)
        sender.deliver_all(deliveries)
        wait_for_decisions(server, count)
        wall = time.monotonic() - begun
        measure.settle(server.pid)
        cpu = measure.cpu_seconds(server.pid) - cpu
        return {"per_cpu_s": count / max(cpu, 0.01), "wall": wall}


def bench_port(options, count=10_000):
    runs = [run_port(count) for _ in range(options.repeats)]
    print(f"{count} alarms through the port, received, decided and durable: "
          f"{measure.median(runs, 'per_cpu_s'):.0f} per CPU second "
          f"({measure.spread(runs, 'per_cpu_s', 1, 0)}; bar 5 k), runs of investigations included; "
          f"{measure.median(runs, 'wall'):.1f} s on the wall", flush=True)


# ---- verdicts beside exports --------------------------------------------------------------------


def seconds_of(text):
    """Of an RFC 3339 time in UTC."""
    head, _, tail = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(head, "%Y-%m-%dT%H:%M:%S")) + float("0." + (tail or "0"))


def decided_times(server):
    with open(server.daemon.log_path, encoding="utf-8", errors="replace") as log:
        lines = [json.loads(line) for line in log if '"alarm decided"' in line]
    return {line["alarm_id"]: seconds_of(line["ts"]) for line in lines}


def open_incidents(sender):
    """One a region, of a service that the load has spans of."""
    now = time.time()
    sender.deliver_all([sender.signed(f"open-{i}", LOAD_SERVICES[i % 2], f"region-{i}", now)
                        for i in range(INCIDENTS)])


def send_at_random(sender, count, mean_s, seed):
    """Alarms one after the other, exponential pauses: nine of ten of an open incident's region, the
    tenth of a new one. {alarm id: (sent, answered)} by the wall clock."""
    chance, times = random.Random(seed), {}
    connection = sender.connect()
    for i in range(count):
        time.sleep(chance.expovariate(1 / mean_s))
        new = chance.random() < 0.1
        region = f"other-{seed}-{i}" if new else f"region-{chance.randrange(INCIDENTS)}"
        delivery = sender.signed(f"inc-{seed}-{i}", chance.choice(LOAD_SERVICES), region,
                                 time.time())
        sent = time.time()
        alarm = sender.deliver(connection, delivery)
        times[alarm] = (sent, time.time())
    connection.close()
    return times


def sum_up(times, decided, recorded):
    """Milliseconds, sorted: answered, and verdict committed, since the delivery was sent; and of
    what the server recorded, decided since received."""
    answered = sorted((end - sent) * 1000 for sent, end in times.values())
    verdict = sorted((decided[alarm] - sent) * 1000 for alarm, (sent, _) in times.items())
    inside = sorted((int(a["decision"]["decided_at_unix_nano"]) - int(a["received_at_unix_nano"])) /
                    1e6 for a in recorded if a["alarm_id"] in times and
                    "decided_at_unix_nano" in a["decision"])
    return answered, verdict, inside


def tell(values):
    return (f"p50 {quantile(values, 0.5):.2f}, p99 {quantile(values, 0.99):.2f}, "
            f"at most {values[-1]:.2f} ms")


def run_verdicts(transport, in_flight, count, mean_s, seed):
    seconds = count * mean_s * 1.3 + 20
    with Midwatch(["--merge-after", "2s"]) as server:
        load = measure.start_load(server, transport, "--in-flight", in_flight, "--rate", RATE,
                                  "--seconds", seconds)
        try:
            time.sleep(8)
            sender = Sender(server)
            open_incidents(sender)
            wait_for_decisions(server, INCIDENTS)
            time.sleep(4)
            times = send_at_random(sender, count, mean_s, seed)
            wait_for_decisions(server, INCIDENTS + count)
            runs = counted(server, "midwatch_investigations_total")
            still = load.poll() is None
            recorded = server.daemon.cli_json("alarm", "list", "--limit", "1000")["items"]
            exports = json.loads(load.communicate()[0])
        finally:
            load.kill()
        time.sleep(0.2)
        answered, verdict, inside = sum_up(times, decided_times(server), recorded)
    print(f"{transport:5} {in_flight:3} in flight, {exports['spans_per_s'] / 1000:.0f} k spans/s, "
          f"{INCIDENTS} incidents open, {count} alarms, {runs} runs of investigations meanwhile"
          f"{'' if still else ' (the load ended early)'}:\n"
          f"      sent to verdict committed: {tell(verdict)} (bar 20, p99)\n"
          f"      sent to answered: {tell(answered)}; exports: p50 {exports['p50_ms']:.2f}, p99 "
          f"{exports['p99_ms']:.2f}, at most {exports['max_ms']:.0f} ms (bar 20, p99)", flush=True)
    if inside:
        print(f"      recorded, received to decided: {tell(inside)}", flush=True)
    measure.report_losses([exports])


def bench_verdicts(options, count=400, mean_s=0.05):
    for number, (transport, in_flight) in enumerate((("http", 4), ("http", 64), ("grpc", 64))):
        run_verdicts(transport, in_flight, count, mean_s, number)


# ---- all of it ----------------------------------------------------------------------------------


def bench_pure(options):
    program = os.path.join(options.build, "tests/bench/triage/decide")
    print(subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout.strip(),
          flush=True)


def bench_alarms(options):
    bench_pure(options)
    bench_port(options)
    bench_verdicts(options)
