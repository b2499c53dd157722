"""Storms of alarms for the real binary: a random graph of services, its spans, faults with known
truth, and the alarms of what breaks, signed as a webhook's. tests/unit/triage/test_storm.c has the
same idea over the pure decision, for many seeds; this one goes the whole way for a few.
"""
import base64
import hashlib
import hmac
import json
import random
import time
from urllib.parse import urlsplit

from harness import wait_for

START = 1790000000 - 1790000000 % 60
MINUTES = 55
REGION, OTHER_REGION = "us-east-1", "eu-west-1"
RULES = ["latency above threshold", "5xx rate", "SLO burn", "errors above 5 %"]


class Storm:
    """What happens, in order: spans by minute, and alarms by arrival."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.calls, self.own_ms = {}, {}
        self.faults, self.alarms = [], []
        self.seen = {}
        self.make_graph()
        self.make_faults()
        self.spans = [[] for _ in range(MINUTES)]
        self.make_traffic()
        self.make_alarms()

    # ---- services ------------------------------------------------------------------------------

    def make_graph(self):
        levels, previous, number = self.chance.randint(3, 6), ["entry-0"], 1
        self.entry = "entry-0"
        self.calls, self.own_ms = {"entry-0": []}, {"entry-0": 8.0}
        for _ in range(levels - 1):
            level = []
            for _ in range(self.chance.randint(2, 4)):
                name = f"{self.chance.choice('abcdefgh')}{number}-svc"
                number += 1
                level.append(name)
                self.calls[name] = []
                self.own_ms[name] = self.chance.uniform(2, 25)
                for caller in self.chance.sample(previous, min(len(previous),
                                                               self.chance.randint(1, 2))):
                    self.calls[caller].append((name, self.chance.uniform(0.4, 1.0)))
            previous = level

    def reaches(self, start, end):
        todo, seen = [start], {start}
        while todo:
            for callee, _ in self.calls[todo.pop()]:
                if callee not in seen:
                    seen.add(callee)
                    todo.append(callee)
        return end in seen

    def make_faults(self):
        below = [s for s in self.calls if s != self.entry and self.reaches(self.entry, s)]
        first = self.chance.choice(below)
        start = self.chance.uniform(22, 27)
        self.add_fault(first, start)
        apart = [s for s in below if not self.reaches(s, first) and not self.reaches(first, s)]
        if apart and self.chance.random() < 0.6:
            self.add_fault(self.chance.choice(apart), start + self.chance.uniform(6, 12))

    def add_fault(self, service, minute):
        fails = self.chance.random() < 0.6
        self.faults.append({
            "service": service, "from": minute * 60,
            "to": (minute + self.chance.uniform(5, 14)) * 60,
            "errors": self.chance.uniform(0.5, 1.0) if fails else 0.0,
            "slower_ms": 0.0 if fails else self.chance.uniform(200, 2000)})

    # ---- spans ---------------------------------------------------------------------------------

    def serve(self, service, parent, trace, at, depth, spans):
        span_id = f"{self.chance.getrandbits(64):016x}"
        ms = self.own_ms[service] * self.chance.uniform(0.6, 1.6)
        failed = self.chance.random() < 0.004
        for fault in self.faults:
            if fault["service"] == service and fault["from"] <= at < fault["to"]:
                failed |= self.chance.random() < fault["errors"]
                ms += fault["slower_ms"] * self.chance.uniform(0.6, 1.4)
        for callee, share in self.calls[service]:
            if self.chance.random() < share:
                below, took = self.serve(callee, span_id, trace, at, depth + 1, spans)
                failed |= below and self.chance.random() < 0.9
                ms += took
        begin = int((START + at) * 1e9) + depth * 1000
        spans.append((service, {
            "traceId": trace, "spanId": span_id, "parentSpanId": parent, "name": "handle",
            "kind": 2, "startTimeUnixNano": str(begin),
            "endTimeUnixNano": str(begin + int(ms * 1e6)),
            "status": {"code": 2 if failed else 1}}))
        self.note(service, int(at // 60), failed, ms)
        return failed, ms

    def note(self, service, minute, failed, ms):
        row = self.seen.setdefault((service, minute), [0, 0, 0.0])
        row[0] += 1
        row[1] += failed
        row[2] += ms

    def make_traffic(self):
        rate = self.chance.uniform(15, 40)
        at = 0.0
        while at < MINUTES * 60:
            trace = f"{self.chance.getrandbits(128):032x}"
            self.serve(self.entry, "", trace, at, 0, self.spans[int(at // 60)])
            at += 60 / rate * self.chance.uniform(0.2, 1.8)

    def request(self, minute):
        """One export of a minute's spans, a resource a service."""
        by_service = {}
        for service, span in self.spans[minute]:
            by_service.setdefault(service, []).append(span)
        return {"resourceSpans": [
            {"resource": {"attributes": [{"key": "service.name",
                                          "value": {"stringValue": service}}]},
             "scopeSpans": [{"spans": spans}]} for service, spans in by_service.items()]}

    # ---- alarms --------------------------------------------------------------------------------

    def figures(self, service, first, last):
        rows = [self.seen[service, m] for m in range(first, last) if (service, m) in self.seen]
        calls = sum(r[0] for r in rows)
        errors, ms = sum(r[1] for r in rows), sum(r[2] for r in rows)
        return calls, errors / max(calls, 1), ms / max(calls, 1)

    def is_hit(self, service, fault):
        minute = int(fault["from"] // 60)
        calls, errors, ms = self.figures(service, minute - 15, minute)
        now_calls, now_errors, now_ms = self.figures(service, minute + 1, minute + 4)
        return calls >= 20 and now_calls >= 10 and (now_errors > errors + 0.08 or now_ms > 2 * ms)

    def add(self, service, truth, at, region=REGION):
        number = len(self.alarms)
        title = f"{service}: {self.chance.choice(RULES)}" if self.chance.random() < 0.7 \
            else self.chance.choice(RULES)
        late = self.chance.uniform(0, 90) if self.chance.random() < 0.3 else 0.0
        self.alarms.append({"incident": f"inc-{number}", "service": service, "truth": truth,
                            "at": at, "arrives": at + late, "region": region, "title": title})

    def make_alarms(self):
        for truth, fault in enumerate(self.faults):
            last = self.chance.random() < 0.4
            for service in self.calls:
                cause = service == fault["service"]
                if not self.reaches(service, fault["service"]) or not self.is_hit(service, fault) \
                        or self.chance.random() < 0.12:
                    continue
                after = self.chance.uniform(200, 260) if cause and last \
                    else self.chance.uniform(60, 190)
                self.add(service, truth, fault["from"] + after)
        mine = [a for a in self.alarms if a["truth"] == 0]
        for alarm in mine[:3] if self.chance.random() < 0.5 else []:
            self.add(alarm["service"], "elsewhere", alarm["at"] + self.chance.uniform(-30, 30),
                     OTHER_REGION)
        well = [s for s in self.calls
                if not any(self.reaches(s, f["service"]) for f in self.faults)]
        if well:
            self.add(self.chance.choice(well), "noise", self.chance.uniform(20, 45) * 60)
        self.add_others(random.Random(f"others of {len(self.alarms)} alarms"))
        self.alarms.sort(key=lambda a: a["arrives"])

    def add_others(self, chance):
        """Reports that are sent again while their incident is open, and the same service long
        after, outside the look-back."""
        for first in list(self.alarms):
            if chance.random() < 0.1:
                later = chance.uniform(10, 200)
                self.alarms.append({**first, "title": first["title"] + ", again",
                                    "at": first["at"] + later, "arrives": first["arrives"] + later})
        fault = self.faults[0]
        if chance.random() < 0.4 and fault["from"] + 27 * 60 < (MINUTES - 1) * 60:
            self.add(fault["service"], "long after", fault["from"] + 27 * 60)


class Sender:
    """Plays a storm into a daemon."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.hook = daemon.cli_json("webhook", "create", "--name", "storm", "--source",
                                    "devops-agent")
        self.path = urlsplit(self.hook["url"]).path

    def spans(self, storm, minute):
        body = json.dumps(storm.request(minute)).encode()
        answer = self.daemon.request("POST", "/v1/traces", body,
                                     {"content-type": "application/json"}, port="http")
        assert answer.status == 200, answer.body

    def deliver(self, body):
        text = json.dumps(body)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        digest = hmac.new(self.hook["secret"].encode(), f"{stamp}:{text}".encode(),
                          hashlib.sha256).digest()
        answer = self.daemon.request("POST", self.path, text.encode(), {
            "content-type": "application/json", "x-amzn-event-timestamp": stamp,
            "x-amzn-event-signature": base64.b64encode(digest).decode()})
        assert answer.status == 200, answer.body

    def alarm(self, alarm, action="created"):
        at = START + alarm["at"]
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
        stamp += f".{int(at * 1000) % 1000:03d}Z"
        self.deliver({"eventType": "incident", "incidentId": alarm["incident"], "action": action,
                      "priority": "HIGH", "title": alarm["title"], "service": alarm["service"],
                      "timestamp": stamp, "data": {"metadata": {"region": alarm["region"]}}})

    def decided(self, count):
        """All alarms, once so many of them have their decision."""
        def ask():
            items = self.daemon.cli_json("alarm", "list", "--limit", "1000")["items"]
            return items if sum(bool(a["decision"]) for a in items) >= count else None
        return wait_for(f"{count} decisions", ask)


def pairs(alarms, group):
    """(together and right, together, wanted) over all pairs."""
    right = together = wanted = 0
    for i, one in enumerate(alarms):
        for other in alarms[:i]:
            same, should = group(one) == group(other), one["truth"] == other["truth"]
            together += same
            wanted += should
            right += same and should
    return right, together, wanted


def f1(counts):
    right, together, wanted = counts
    return 2 * right / (together + wanted) if together + wanted else 1.0
