"""A rush of alarms beside exports, through kills: what was acknowledged is there once, with one verdict.

Alarms are due at random moments of the rush. Each is signed once and delivered with the same bytes
until it is answered 200, however often the daemon is killed in between. Some deliveries are sent
again after their answer (a replay: nothing new), and some incidents are reported a second time (an
alarm of its own, SKIPPED). A generator of spans runs beside it, a new one after each kill.
"""
import base64
import collections
import hashlib
import hmac
import http.client
import json
import os
import queue
import random
import subprocess
import threading
import time
from urllib.parse import urlsplit

from harness import BINARY, SLOWNESS, wait_for

SENDERS = 12
# Of the load's spans, and of nobody's.
SERVICES = ["support-agent", "order-tools"] + [f"service-{i}" for i in range(40)]


class Delivery:
    """Bytes and headers of one; `alarm_id` is what the daemon answered."""

    def __init__(self, hook, incident, again, chance):
        self.incident, self.again, self.alarm_id, self.tries = incident, again, None, 0
        self.hook = hook
        self.text = json.dumps({
            "eventType": "incident", "incidentId": incident, "action": "created",
            "priority": "HIGH", "title": "errors above 5 %" + (" again" if again else ""),
            "service": chance.choice(SERVICES), "timestamp": None,
            "data": {"metadata": {"region": f"region-{chance.randrange(4)}"}}})
        self.headers = None

    def sign(self):
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        text = json.loads(self.text)
        text["timestamp"] = stamp
        self.text = json.dumps(text)
        digest = hmac.new(self.hook["secret"].encode(), f"{stamp}:{self.text}".encode(),
                          hashlib.sha256).digest()
        self.headers = {"content-type": "application/json", "x-amzn-event-timestamp": stamp,
                        "x-amzn-event-signature": base64.b64encode(digest).decode()}


class Deliverer(threading.Thread):
    """Takes deliveries off the queue and sends each until it is acknowledged; None ends it."""

    def __init__(self, rush):
        super().__init__(daemon=True)
        self.rush, self.connection, self.error = rush, None, None

    def run(self):
        try:
            for delivery in iter(self.rush.due.get, None):
                self.deliver(delivery)
                if delivery.replayed:
                    first = delivery.alarm_id
                    self.deliver(delivery)
                    assert delivery.alarm_id == first, "a replay was answered with another id"
        except Exception as error:  # any: shown by who joins
            self.error = error

    def deliver(self, delivery):
        until = time.monotonic() + 120 * SLOWNESS
        while time.monotonic() < until:
            delivery.tries += 1
            alarm_id = self.send(delivery)
            if alarm_id:
                delivery.alarm_id = alarm_id
                return
            time.sleep(0.05)
        raise AssertionError(f"{delivery.incident} was never acknowledged")

    def send(self, delivery):
        """The id in the answer; None when it is to be sent again."""
        try:
            if not self.connection:
                self.connection = http.client.HTTPConnection(*self.rush.daemon.address("web"),
                                                             timeout=30 * SLOWNESS)
            self.connection.request("POST", self.rush.path, delivery.text.encode(),
                                    delivery.headers)
            answer = self.connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection = None
            return None
        if answer.status == 503:
            return None
        if answer.status != 200:
            raise AssertionError(f"webhook: {answer.status} {body!r}")
        return json.loads(body)["id"]


class Rush:
    """`count` alarms over `seconds`, beside `rate` spans/s, with `kills`."""

    def __init__(self, daemon, count, seconds, rate, kills, seed):
        self.daemon, self.count, self.seconds = daemon, count, seconds
        self.rate, self.kills = rate, kills
        self.chance = random.Random(seed)
        hook = daemon.cli_json("webhook", "create", "--name", "rush", "--source", "devops-agent")
        self.path = urlsplit(hook["url"]).path
        self.due = queue.Queue()
        self.deliveries = [self.make(hook, i) for i in range(count)]
        self.loads, self.load, self.took = [], None, 0.0

    def make(self, hook, number):
        """Every twentieth reports the incident of one before it again, every tenth is replayed."""
        again = number % 20 == 19
        incident = f"rush-{number - 7 if again else number}"
        delivery = Delivery(hook, incident, again, self.chance)
        delivery.replayed = number % 10 == 5
        return delivery

    # ---- spans

    def start_load(self):
        number = len(self.loads)
        acked = f"{self.daemon.data}-acked-{number}"
        self.load = self.daemon.start_load(
            "http", "--rate", str(self.rate), "--in-flight", "16", "--seed", str(number * 10 ** 6),
            "--seconds", str(self.seconds * 10 + 60), "--acked", acked, "--templates", "20")
        self.loads.append([acked, None])

    def end_load(self, kill=False):
        """After a kill the generator ends by itself: all its connections are gone."""
        if not kill:
            self.daemon.kill()
        self.loads[-1][1] = json.loads(self.load.communicate(timeout=60 * SLOWNESS)[0])

    # ---- the rush

    def run(self):
        moments = sorted(self.chance.uniform(0, self.seconds) for _ in range(self.count))
        kills = [self.seconds * (k + self.chance.uniform(0.3, 0.9)) / self.kills
                 for k in range(self.kills)]
        threads = [Deliverer(self) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        self.start_load()
        begun = time.monotonic()
        for moment, delivery in zip(moments, self.deliveries):
            if kills and kills[0] <= moment:
                kills.pop(0)
                self.kill()
            time.sleep(max(0.0, begun + moment - time.monotonic()))
            delivery.sign()
            self.due.put(delivery)
        for _ in threads:
            self.due.put(None)
        for thread in threads:
            thread.join()
            if thread.error:
                raise thread.error
        self.took = time.monotonic() - begun
        for _ in kills:  # later than the last alarm
            self.kill()
        self.end_load()
        self.daemon.start()

    def kill(self):
        self.daemon.kill()
        self.end_load(kill=True)
        self.daemon.start()
        self.start_load()

    # ---- what must be there

    def pages(self, path):
        cursor = ""
        while cursor is not None:
            answer = self.daemon.api(path + (f"&cursor={cursor}" if cursor else ""))
            yield from answer["items"]
            cursor = answer.get("next_cursor")

    def decided(self):
        items = list(self.pages("alarms?limit=1000"))
        return items if all(item["decision"] for item in items) else None

    def check_alarms(self):
        """Each acknowledged delivery is one alarm with one verdict, and there are no others."""
        items = wait_for("all verdicts", self.decided, 120)
        found = collections.Counter(item["alarm_id"] for item in items)
        sent = {delivery.alarm_id: delivery for delivery in self.deliveries}
        assert len(sent) == len(self.deliveries), "two deliveries were answered with one id"
        assert set(found) == set(sent), (len(found), len(sent))
        assert max(found.values()) == 1, "an alarm is there twice"
        verdicts = collections.defaultdict(list)
        for item in items:
            assert item["incident_id"] == sent[item["alarm_id"]].incident
            verdicts[item["incident_id"]].append(item["decision"]["verdict"])
        for incident, these in verdicts.items():
            assert sum(verdict != "SKIPPED" for verdict in these) == 1, (incident, these)
        return collections.Counter(item["decision"]["verdict"] for item in items)

    def check_replay(self):
        done = subprocess.run([BINARY, "triage", "replay", "--json", "--data", self.daemon.data],
                              capture_output=True, text=True, check=False, timeout=900 * SLOWNESS)
        replayed = json.loads(done.stdout)
        assert done.returncode == 0 and replayed["differences"] == 0, done.stdout[:2000]
        assert replayed["decisions"] == len(self.deliveries), replayed["decisions"]

    def check_spans(self):
        """Every acknowledged span, by trace; what was not answered may be there too."""
        acked = collections.Counter()
        for path, _ in self.loads:
            with open(path, encoding="ascii") as lines:
                acked.update(line[:32] for line in lines)
            os.unlink(path)
        found = {trace["trace_id"]: trace["spans"] for trace in self.pages("traces?limit=1000")}
        missing = [trace for trace, spans in acked.items() if found.get(trace, 0) < spans]
        assert not missing, f"{len(missing)} traces of {len(acked)} lack acknowledged spans"
        return sum(acked.values())

    def check_offline(self):
        done = subprocess.run([BINARY, "check", "--data", self.daemon.data], capture_output=True,
                              text=True, check=False, timeout=600 * SLOWNESS)
        assert done.returncode == 0 and not done.stderr, done.stderr + done.stdout

    def check(self):
        """In words, what was there."""
        verdicts = self.check_alarms()
        spans = self.check_spans()
        self.check_replay()
        self.daemon.stop()
        self.check_offline()
        tries = sum(delivery.tries for delivery in self.deliveries)
        rate = spans / max(sum(load["seconds"] for _, load in self.loads), 0.001)
        words = ", ".join(f"{verdicts[v]} {v}" for v in sorted(verdicts))
        return (f"{len(self.deliveries)} alarms acknowledged within {self.took:.1f} s in {tries} "
                f"deliveries, through {self.kills} kills: {words}; {spans} spans acknowledged, "
                f"{rate / 1000:.0f} k/s while the generator ran; all found, every decision replayed")
