#!/usr/bin/env python3
"""Alarms through the port: received and decided per CPU second of the daemon, and the time from
receipt to the committed verdict with incidents open.

    tests/bench/alarms.py [COUNT]     10,000 alarms by default; MIDWATCH_BUILD names the build

The alarms are of 100 services that call each other in chains, so that about a hundred incidents are
open. They are signed beforehand, and sent over 32 connections.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import Daemon, wait_for  # noqa: E402
from storms import START, Sender  # noqa: E402

SERVICES = 100
SENDERS = 32


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def signed(sender, number):
    at = START + 60 + number * 300 / 10000
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"
    text = json.dumps({"eventType": "incident", "incidentId": f"inc-{number}", "action": "created",
                       "priority": "HIGH", "title": f"latency of s{number % SERVICES}",
                       "service": f"s{number % SERVICES}", "timestamp": stamp,
                       "data": {"metadata": {"region": "us-east-1"}}})
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    digest = hmac.new(sender.hook["secret"].encode(), f"{now}:{text}".encode(),
                      hashlib.sha256).digest()
    return text.encode(), {"content-type": "application/json", "x-amzn-event-timestamp": now,
                           "x-amzn-event-signature": base64.b64encode(digest).decode()}


def send(daemon, path, deliveries):
    connection = http.client.HTTPConnection(*daemon.address("web"), timeout=60)
    for text, headers in deliveries:
        connection.request("POST", path, text, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    connection.close()


def decisions(daemon):
    text = daemon.get("/metrics").body.decode()
    return sum(int(float(line.split()[-1])) for line in text.splitlines()
               if line.startswith("midwatch_decisions_total"))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    daemon = Daemon().start()
    try:
        sender = Sender(daemon)
        deliveries = [signed(sender, i) for i in range(count)]
        begun, cpu = time.monotonic(), cpu_s(daemon.process.pid)
        threads = [threading.Thread(target=send, args=(daemon, sender.path,
                                                       deliveries[i::SENDERS]))
                   for i in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for("all decisions", lambda: decisions(daemon) >= count, 120)
        took, cpu = time.monotonic() - begun, cpu_s(daemon.process.pid) - cpu
        items = daemon.cli_json("alarm", "list", "--limit", "1000")["items"]
        waits = sorted(a["decision"]["decided_in_us"] for a in items)
        groups = {a["decision"]["investigation_id"] for a in items}
        print(f"{count} alarms in {took:.1f} s, {cpu:.1f} CPU seconds: {count / cpu:.0f} per CPU "
              f"second, runs of investigations included")
        print(f"of the last {len(items)}: {len(groups)} incidents; decided within "
              f"{waits[len(waits) // 2] / 1000:.1f} ms (median), "
              f"{waits[int(len(waits) * .99)] / 1000:.1f} ms (p99) of being taken up")
        daemon.stop()
    finally:
        if daemon.process:
            daemon.kill()
        daemon.remove()


if __name__ == "__main__":
    main()
