#!/usr/bin/env python3
"""Patterns that take for ever: they have threads of their own and a budget, and who asks for
something else does not notice them. Prints the figures."""
import json
import os
import select
import socket
import statistics
import time
import unittest
from urllib.parse import quote

import signals
from follower import Follower
from harness import SLOWNESS, DaemonCase, wait_for

BASE = 1_700_000_000_000_000_000
# Bodies on which the patterns go back and forth without end: nothing in them ends a match.
RECORDS, REQUEST = 30_000, 1000
BODY = "a" * 200 + "x" + "a" * 200
HOSTILE = ["(a+)+[BD]", "(?:a|aa)+[BD]", "(?=[a-z]*+1)|(?=[a-z]*+2)|(a*)*[BD]", "(a|a?)+[BD]"]


class PatternsTest(DaemonCase):
    @classmethod
    def prepare(cls):
        for first in range(0, RECORDS, REQUEST):
            logs = [signals.log(BASE + first + n, BODY, 9, attributes=[("n", str(n))])
                    for n in range(REQUEST)]
            answer = signals.post(cls.daemon, "/v1/logs", signals.request(logs, service="shop"))
            assert answer.status == 200, answer.body
        answer = signals.post(cls.daemon, "/v1/logs", signals.request(
            [signals.log(BASE + RECORDS, "one that is found", 9)], service="shop"))
        assert answer.status == 200, answer.body

    def timed(self, path):
        started = time.monotonic()
        answer = self.daemon.get(path)
        return time.monotonic() - started, answer

    def ask_hostile(self, count):
        """Connections on each of which one is asked, and nobody has read an answer yet."""
        clients = []
        for n in range(count):
            client = socket.create_connection(self.daemon.address("web"))
            self.addCleanup(client.close)
            path = "/api/v1/logs?pattern=" + quote(HOSTILE[n % len(HOSTILE)])
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            clients.append(client)
        return clients

    def test_others_do_not_wait(self):
        taken, until = [], time.monotonic() + 5 * SLOWNESS
        clients = self.ask_hostile(16)
        while time.monotonic() < until and \
                len(select.select(clients, [], [], 0)[0]) < len(clients):
            for path in ("/api/v1/sessions", "/api/v1/logs?text=found", "/api/v1/status"):
                seconds, answer = self.timed(path)
                self.assertEqual(answer.status, 200, answer.body)
                taken.append(seconds)
        p99 = statistics.quantiles(taken, n=100)[98]
        print(f"beside 16 hostile patterns: {len(taken)} answers, p50 "
              f"{statistics.median(taken) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms")
        self.assertGreaterEqual(len(taken), 20, "the patterns are not hostile enough")
        self.assertLess(p99, SLOWNESS)

    def test_a_budget(self):
        """Alone it is given up long before a question's time is up, and says why."""
        seconds, answer = self.timed("/api/v1/logs?pattern=" + quote(HOSTILE[0]))
        error = answer.json()["error"]
        self.assertEqual((answer.status, error["code"], error["field"]),
                         (504, "timeout", "pattern"))
        self.assertIn("given up", error["message"])
        self.assertIn("text", error["hint"])
        self.assertLess(seconds, 15 * SLOWNESS)
        done = self.daemon.cli_raw("log", "list", "--pattern", HOSTILE[0], "--format", "otlp")
        self.assertEqual(done.returncode, 7)
        self.assertIn("pattern: the pattern takes too long", done.stderr)

    def cpu(self):
        with open(f"/proc/{self.daemon.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_about_two_seconds(self):
        """What goes back and forth within each text is given up after about two seconds of work, and
        gets no more for what little it searched meanwhile."""
        for pattern in HOSTILE + ["(.*)*x[0-9]"]:
            with self.subTest(pattern=pattern):
                before = self.cpu()
                answer = self.daemon.get("/api/v1/logs?pattern=" + quote(pattern))
                worked = self.cpu() - before
                print(f"{pattern}: {answer.status} after {worked:.2f} s of work")
                error = answer.json()["error"]
                self.assertEqual((answer.status, error["field"]), (504, "pattern"))
                self.assertIn("take repeats within repeats out of it", error["hint"])
                self.assertLess(worked, 3.5 * SLOWNESS)

    def test_others_find(self):
        """A pattern of many records that costs them little has no budget to fear."""
        answer = self.daemon.api("logs?pattern=" + quote("^one .* found$"))
        self.assertEqual([item["body"] for item in answer["items"]], ["one that is found"])

    def test_too_many(self):
        """What would only wait is told to come back, at once."""
        clients = self.ask_hostile(80)
        refused = wait_for("a refusal", lambda: select.select(clients, [], [], 1)[0])[0]
        answer = refused.recv(65536)
        self.assertIn(b" 503 ", answer)
        self.assertIn(b"\r\nretry-after: 1\r\n", answer.lower())
        self.assertIn(b'"code":"busy"', answer)

    def test_follower(self):
        """A follower is a question again and again: told why, and ended."""
        follower = Follower(self.daemon,
                            path="logs?follow=true&since=2023-11-01&pattern=" + quote(HOSTILE[0]))
        self.addCleanup(follower.close)
        follower.begun()
        problem = wait_for("the problem", lambda: next(
            (data for _, name, data in follower.events if name == "problem"), None))
        self.assertIn("pattern", json.loads(problem)["error"]["message"])
        self.assertTrue(follower.ended())

    def test_nobody_works_for_a_gone_follower(self):
        gone = Follower(self.daemon,
                        path="logs?follow=true&since=2023-11-01&pattern=" + quote(HOSTILE[2]))
        gone.begun()
        gone.close()
        seconds, _ = self.timed("/api/v1/logs?pattern=found")
        self.assertLess(seconds, 15 * SLOWNESS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
