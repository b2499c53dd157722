#!/usr/bin/env python3
"""Attack rows 11 and 12: does the time of a refusal tell how much of a signature was right, or what
was wrong with a delivery?

    tests/soak/test_timing.py [REQUESTS]        a class (20000)

Deliveries go through the real port, on one connection, the classes in random order, so that what the
machine does meanwhile falls on all of them alike. Of each class the slowest fifth is left out (other
programs, the scheduler), the rest is compared by Welch's t. That the probe sees differences at all is
checked as well: what takes longer by half a body must be found. What a wrong byte may not cost is less
than this sees, a few hundred nanoseconds; tests/unit/webhook/test_constant_work.c holds the work itself.
"""
import base64
import itertools
import json
import math
import os
import random
import socket
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))

from harness import Daemon  # noqa: E402
from senders import Door, incident, signature, utc  # noqa: E402

# The bound that leakage assessments use: by chance once in a hundred thousand times.
T_MAX = 4.5
KEPT = 0.8
MATCHING = (0, 1, 8, 16, 24, 31)
LARGE = 128 << 10
AHEAD = 300
# Without one of the two HMACs a large body takes some third less.
SAME = 0.12


class Line:
    """One connection, kept; requests as bytes."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request):
        """Status and nanoseconds of one answer."""
        begun = time.perf_counter_ns()
        self.socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                      if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += self.socket.recv(65536)
        return int(head[9:12]), time.perf_counter_ns() - begun


def request(path, text, timestamp, sent):
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"x-amzn-event-timestamp: {timestamp}\r\nx-amzn-event-signature: {sent}\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}").encode()


def with_matching(right, count):
    """The right signature up to its byte `count`, which is wrong, and random behind it."""
    raw = base64.b64decode(right)
    wrong = raw[:count] + bytes([raw[count] ^ (1 + random.randrange(255))]) + os.urandom(31)
    return base64.b64encode(wrong[:32]).decode()


def measure(line, makers, count):
    """Nanoseconds by class, in random order. Requests are made ahead, some hundred at a time: what
    making one costs differs from class to class, and the daemon rests for that long."""
    names = [name for name in makers for _ in range(count)]
    random.shuffle(names)
    taken = {name: [] for name in makers}
    for begin in range(0, len(names), AHEAD):
        timestamp = utc()
        made = [(name, makers[name](timestamp)) for name in names[begin:begin + AHEAD]]
        for name, one in made:
            status, ns = line.ask(one)
            if status not in (401, 404, 429):
                raise AssertionError(f"{name}: {status}")
            taken[name].append(ns)
    return {name: sorted(values)[:int(len(values) * KEPT)] for name, values in taken.items()}


def moments(values):
    mean = sum(values) / len(values)
    return mean, sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)


def welch(left, right):
    """t, and the difference in nanoseconds that would be called one."""
    (a, va), (b, vb) = moments(left), moments(right)
    return (a - b) / math.sqrt(va + vb), T_MAX * math.sqrt(va + vb)


def prefixes(door, line, count):
    """Row 11. The number of failures."""
    numbers = itertools.count(10 ** 8)
    double = json.dumps(incident("timing", description="d" * 30000))
    half = json.dumps(incident("timing", description="d" * 15000))

    def maker(matching):
        # Each body is another, and so each right signature: reading one that came before is quicker
        # by what the processor has learnt of it, whether it is right or not.
        def make(timestamp):
            text = json.dumps(incident(f"timing-{next(numbers)}"))
            return request(door.path, text, timestamp, with_matching(
                signature(door.secret, timestamp, text), matching))
        return make
    taken = measure(line, {n: maker(n) for n in MATCHING}, count)
    failed = 0
    for n in MATCHING[1:]:
        t, seen = welch(taken[n], taken[0])
        good = abs(t) < T_MAX
        failed += not good
        print(f"{'ok    ' if good else 'FAILED'} {n:2} bytes right against none: t {t:+.2f}, "
              f"differences from {seen:.0f} ns on would be seen ({moments(taken[0])[0]:.0f} ns)")
    wrong = base64.b64encode(os.urandom(32)).decode()
    taken = measure(line, {name: lambda timestamp, body=body: request(
        door.path, body, timestamp, wrong) for name, body in (("half", half), ("double", double))},
        max(count // 10, 200))
    t, _ = welch(taken["double"], taken["half"])
    good = t > T_MAX
    print(f"{'ok    ' if good else 'FAILED'} twice the body is seen to take longer: t {t:+.2f}")
    return failed + (not good)


def reasons(door, line, count):
    """Row 12, and a return before the work is done. The number of failures."""
    text = json.dumps(incident("timing", description="d" * 30000, data={"x": "y" * LARGE}))
    wrong = base64.b64encode(os.urandom(32)).decode()
    unknown = door.path.replace(door.id, "0" * 32)
    makers = {
        "a wrong signature": lambda timestamp: request(door.path, text, timestamp, wrong),
        "no signature at all": lambda timestamp: request(door.path, text, timestamp, "x" * 44),
        "a signature too short": lambda timestamp: request(door.path, text, timestamp, "AAAA"),
        "outside the window": lambda _: request(door.path, text, "2024-01-01T00:00:00Z", wrong),
        "an unknown endpoint": lambda timestamp: request(unknown, text, timestamp, wrong)}
    # Medians: of hundreds of microseconds other programs take their part now and then.
    taken = {name: statistics.median(values)
             for name, values in measure(line, makers, count).items()}
    usual = taken.pop("a wrong signature")
    failed = 0
    for name, middle in taken.items():
        good = abs(middle / usual - 1) < SAME
        failed += not good
        print(f"{'ok    ' if good else 'FAILED'} {name}: {middle / 1000:.1f} us, "
              f"{100 * middle / usual:.1f} % of a wrong signature's")
    return failed


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    with Daemon() as daemon:
        door = Door(daemon)
        line = Line(daemon.address("web"))
        for _ in range(500):  # the first ones warm caches, and reach the limit of refusals
            line.ask(request(door.path, "{}", utc(), "x"))
        failed = prefixes(door, line, count) + reasons(door, line, max(count // 20, 200))
        line.socket.close()
    checks = len(MATCHING) + 4
    print(f"{checks - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
