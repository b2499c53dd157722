#!/usr/bin/env python3
"""Sessions as they come and change: sessions?follow=true and `session list --watch`, under ingest,
with slow readers, past a restart, on a terminal and off one."""
import http.client
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
import unittest

import otlp
import signals
from follower import Follower, follow_on
from harness import BINARY, SLOWNESS, Case, Daemon, wait_for

BASE = 1_700_000_000_000_000_000
SECOND = 10 ** 9


def trace_of(number):
    return (number + 1).to_bytes(16, "big")


def spans_of(session, number, count=2, agent="clerk", failed=False, tokens=5, at=0):
    """A trace: an agent and calls of a model below it, `at` seconds after all began."""
    start, out = BASE + at * SECOND, []
    for n in range(count):
        attributes = [("gen_ai.operation.name", "chat" if n else "invoke_agent"), ("session.id", session),
                      ("gen_ai.agent.name", agent)]
        if n:
            attributes.append(("gen_ai.usage.input_tokens", otlp.varint_field(3, tokens)))
        out.append(otlp.span(trace_of(number), (n + 1).to_bytes(8, "big"), (1).to_bytes(8, "big") if n else b"",
                             "work", start + n, attributes, 2 if failed and n else 0, start + n + 100))
    return out


class WatchCase(Case):
    ARGUMENTS = ()

    def setUp(self):
        self.daemon = Daemon(arguments=self.ARGUMENTS).start()
        self.addCleanup(self.daemon.remove)
        self.addCleanup(lambda: self.daemon.process and self.daemon.stop())

    def post(self, *traces):
        body = otlp.request([span for trace in traces for span in trace])
        self.assertEqual(self.daemon.post_traces(body).status, 200)

    def log(self, time_ns=BASE, **fields):
        body = signals.request([signals.log(time_ns, "a record", 9, **fields)])
        self.assertEqual(signals.post(self.daemon, "/v1/logs", body).status, 200)

    def watch(self, query="", **more):
        follower = Follower(self.daemon, query, path="sessions?follow=true", **more)
        self.addCleanup(follower.close)
        self.assertEqual(follower.status, 200)
        return follower.begun()

    def sessions(self, follower):
        return [json.loads(data) for _, name, data in follower.events if name == "session"]

    def listed(self, query=""):
        return {item["session_id"]: item for item in self.daemon.api("sessions?limit=1000" + query)["items"]}

    def caught_up(self, follower, query=""):
        """What came last of each session is what the list says."""
        def same():
            return {item["session_id"]: item for item in self.sessions(follower)} == self.listed(query)
        wait_for("the same as the list", same, 30)


class ChangesTest(WatchCase):
    def test_what_changes_is_told_again(self):
        for n in range(3):
            self.post(spans_of(f"session {n}", n, at=n))
        follower = self.watch()
        follower.wait(3)
        self.assertEqual([item["session_id"] for item in self.sessions(follower)],
                         ["session 0", "session 1", "session 2"])
        self.assertEqual(follower.response.getheader("content-type"), "text/event-stream")
        steps = [lambda: self.post(spans_of("session 1", 10, count=3, failed=True, tokens=7, at=9)),
                 lambda: self.log(BASE + 99 * SECOND, attributes=[("session.id", "session 0")]),
                 lambda: self.log(BASE, trace_id=trace_of(2)),
                 lambda: self.post(spans_of("new", 11, at=1)),
                 lambda: self.log(BASE, attributes=[("session.id", "of records alone")])]
        for n, (step, name) in enumerate(zip(steps, ("session 1", "session 0", "session 2", "new",
                                                     "of records alone"))):
            step()
            follower.wait(4 + n)
            told = self.sessions(follower)[3 + n]
            self.assert_json(told, self.listed()[name])
        self.assertEqual(self.sessions(follower)[3]["errors"], 2)
        self.assertEqual(self.sessions(follower)[3]["input_tokens"], 19)
        # Nothing of a session: a repeat of a request, and what belongs to none.
        self.post(spans_of("new", 11, at=1))
        self.log(BASE)
        time.sleep(1.5 * SLOWNESS)
        self.assertEqual(len(follower.events), 8)

    def test_filters_and_bounds(self):
        triage, recent = self.watch("&agent=triage"), self.watch(f"&since={BASE + 50 * SECOND}&limit=2")
        for n in range(6):
            self.post(spans_of(f"s{n}", n, agent="triage" if n % 2 else "clerk", at=20 * n))
        triage.wait(3)
        recent.wait(3)
        self.caught_up(triage, "&agent=triage")
        self.caught_up(recent, f"&since={BASE + 50 * SECOND}")
        first = self.watch("&limit=2")
        first.wait(2)
        self.assertEqual([item["session_id"] for item in self.sessions(first)], ["s4", "s5"])

    def test_where_it_was(self):
        self.post(spans_of("early", 1))
        follower = self.watch()
        follower.wait(1)
        wait_for("a place", lambda: follower.parser.last_id == "1")
        follower.close()
        self.post(spans_of("meanwhile", 2))
        self.daemon.kill()
        self.daemon.start()
        again = Follower(self.daemon, path="sessions?follow=true", last_id="1")
        self.addCleanup(again.close)
        again.wait(1)
        self.post(spans_of("later", 3))
        again.wait(2)
        self.assertEqual([item["session_id"] for item in self.sessions(again)], ["meanwhile", "later"])

    def test_refusals(self):
        rows = {"follow=yes": "follow", "follow=true&cursor=s0": "cursor", "follow=true&until=1h": "until",
                "follow=true&limit=0": "limit", "follow=true&nope=1": "nope", "follow=true&agent=": "agent"}
        for query, field in rows.items():
            answer = self.daemon.get("/api/v1/sessions?" + query)
            self.assertEqual((answer.status, answer.json()["error"]["field"]), (400, field), query)
        for last in ("x", "7", "1.0", "-1"):
            answer = self.daemon.get("/api/v1/sessions?follow=true", headers={"Last-Event-ID": last})
            self.assertEqual((answer.status, answer.json()["error"]["field"]), (400, "Last-Event-ID"), last)
        self.assertEqual(self.daemon.get("/api/v1/traces?follow=true").status, 400)
        self.assertEqual(self.daemon.get("/api/v1/sessions?follow=false").json()["items"], [])


class LoadTest(WatchCase):
    def ingest(self, rounds):
        for n in range(rounds):
            self.post(*(spans_of(f"session {(n * 7 + k) % 60}", n * 5 + k, at=n) for k in range(5)))

    def test_under_ingest(self):
        """Five followers while a thread appends: each ends with what the list says, and a quick one sees
        more than the end."""
        followers = [self.watch(query) for query in ("", "", "&agent=clerk", "&agent=nobody", "&tokens_min=15")]
        sender = threading.Thread(target=self.ingest, args=(150,))
        sender.start()
        time.sleep(1.2 * SLOWNESS)
        sender.join()
        for follower, query in zip(followers, ("", "", "&agent=clerk", "&agent=nobody", "&tokens_min=15")):
            self.caught_up(follower, query)
        self.assertGreater(len(followers[0].events), 60)
        self.assertEqual(followers[3].events, [])

    def test_slow_reader(self):
        """One that stops reading holds no memory, and in the end knows the same."""
        slow = self.watch("&limit=1000", receive_buffer=4096)
        slow.go.clear()
        long = "x" * 3000
        for n in range(300):
            self.post(spans_of(f"{n} {long}", n, at=n))

        def memory():
            text = self.daemon.get("/metrics").body.decode()
            return sum(map(int, re.findall(r"^midwatch_memory_bytes\{.*\} (\d+)$", text, re.M)))
        before = memory()
        for n in range(300):
            self.post(spans_of(f"{n} {long}", 1000 + n, at=n))
        self.assertLess(memory() - before, 16_000_000)
        slow.go.set()
        self.caught_up(slow)

    def test_drain(self):
        follower = self.watch()
        self.post(spans_of("last", 1))
        follower.wait(1)
        begun = time.monotonic()
        self.daemon.stop()
        self.assertLess(time.monotonic() - begun, 15 * SLOWNESS)
        self.assertTrue(follower.ended())
        self.assertTrue(follower.clean)


class MergedTest(WatchCase):
    ARGUMENTS = ("--merge-after", "1s")

    def test_far_behind(self):
        """What was merged meanwhile is not told one by one: the newest come."""
        self.post(spans_of("first", 0))
        follower = self.watch()
        follower.wait(1)
        wait_for("a place", lambda: follower.parser.last_id == "1")
        follower.close()
        for n in range(1, 20):
            self.post(spans_of(f"session {n}", n, at=n))
        self.daemon.await_merged()
        again = Follower(self.daemon, "&limit=5", path="sessions?follow=true", last_id="1")
        self.addCleanup(again.close)
        again.wait(6)
        self.assertEqual([name for _, name, _ in again.events], ["skipped"] + 5 * ["session"])
        self.assertEqual([item["session_id"] for item in self.sessions(again)],
                         [f"session {n}" for n in range(15, 20)])
        self.post(spans_of("after", 50, at=50))
        again.wait(7)


class CommandTest(WatchCase):
    """midwatch session list --watch."""

    def arguments(self, *arguments):
        return [BINARY, "session", "list", "--data", self.daemon.data, *arguments]

    def command(self, *arguments):
        process = subprocess.Popen(self.arguments(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=self.daemon.environment())
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def interrupt(self, process):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20 * SLOWNESS)
        self.assertEqual(process.returncode, 0, err)
        return out, err

    def test_lines(self):
        self.post(spans_of("red\x1b[31m", 1))
        process = self.command("-w")
        line = process.stdout.readline()
        self.assertTrue(line.startswith("2023-11-14T22:13:20Z  red\\x1b[31m "), line)
        self.assertIn("1 traces, 2 spans, 0 logs, 0 errors, 5 tokens in, 0 out", line)
        self.post(spans_of("red\x1b[31m", 2, failed=True))
        self.assertIn("2 traces, 4 spans, 0 logs, 1 errors, 10 tokens in", process.stdout.readline())
        self.assertEqual(self.interrupt(process)[0], "")

    def test_json(self):
        self.post(spans_of("one", 1))
        process = self.command("--watch", "--json", "--agent", "clerk")
        self.assert_json(json.loads(process.stdout.readline()), self.listed()["one"])
        self.post(spans_of("other", 2, agent="nobody"))
        self.post(spans_of("two", 3))
        self.assert_json(json.loads(process.stdout.readline()), self.listed()["two"])
        self.interrupt(process)

    def test_restart(self):
        self.post(spans_of("one", 1))
        process = self.command("-w")
        self.assertIn("one", process.stdout.readline())
        time.sleep(1.2)  # its place is told
        self.daemon.terminate()
        self.daemon.process.wait()
        self.daemon.start()
        self.post(spans_of("two", 2))
        self.assertIn("two", process.stdout.readline())
        self.assertIn("connected again", self.interrupt(process)[1])

    def test_refused(self):
        for arguments, code in ((("-w", "--cursor", "s0"), 2), (("-w", "--until", "1h"), 2)):
            done = subprocess.run(self.arguments(*arguments), capture_output=True, text=True, check=False,
                                  env=self.daemon.environment(), timeout=60)
            self.assertEqual(done.returncode, code, done.stderr)
        self.daemon.cli("trace", "list", "-w", code=2)

    def test_terminal(self):
        """The table is drawn again from the corner; a session stands in it once."""
        for n in range(3):
            self.post(spans_of(f"session {n}", n, at=n))
        main, side = pty.openpty()
        environment = {**self.daemon.environment(), "TERM": "xterm", "COLUMNS": "120"}
        process = subprocess.Popen(self.arguments("-w"), stdin=side, stdout=side, stderr=side, env=environment)
        self.addCleanup(process.kill)
        os.close(side)
        shown = bytearray()

        def read():
            while True:
                try:
                    shown.extend(os.read(main, 65536))
                except OSError:
                    return
        reader = threading.Thread(target=read)
        reader.start()
        screen = lambda: shown.decode().split("\x1b[H\x1b[J")[-1]
        wait_for("a table", lambda: "session 0" in screen())
        self.assertTrue(screen().startswith("LAST SEEN"), screen())
        self.post(spans_of("session 0", 9, at=50))
        wait_for("it drawn again", lambda: screen().count("\n") == 4 and
                 re.match(r"\S+  session 0", screen().split("\n")[1]))
        self.assertEqual(screen().count("session 0"), 1)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20 * SLOWNESS), 0)
        os.close(main)
        reader.join(10)


if __name__ == "__main__":
    unittest.main()
