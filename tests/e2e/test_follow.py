#!/usr/bin/env python3
"""Log records as they are committed: logs?follow=true over every way there is, its filters and
order, coming back after a restart, slow clients, many clients, clients that go away."""
import http.client
import json
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import h2frames as h2
import otlp
import signals
from follower import EventParser, Follower, follow_on
from h2frames import Peer, block, headers, rst_stream
from harness import BINARY, SLOWNESS, Case, Daemon, same_json, wait_for

BASE = 1_700_000_000_000_000_000
TRACE, SPAN = bytes.fromhex("abcdef00000000000000000000000001"), bytes.fromhex("1111111111111111")
STREAMS_MAX = 512


def post(daemon, *bodies, severity=9, headers=None, resource=None, **fields):
    records = [signals.log(BASE + n, body, severity, **fields) for n, body in enumerate(bodies)]
    body = signals.request(records, **(resource or {}))
    answer = signals.post(daemon, "/v1/logs", body, headers=headers)
    assert answer.status == 200, answer.body


def memory(daemon):
    text = daemon.get("/metrics").body.decode()
    return sum(map(int, re.findall(r"^midwatch_memory_bytes\{.*\} (\d+)$", text, re.M)))


class FollowCase(Case):
    ARGUMENTS = ()

    def setUp(self):
        self.daemon = Daemon(arguments=self.ARGUMENTS).start()
        self.addCleanup(self.daemon.remove)
        self.addCleanup(lambda: self.daemon.process and self.daemon.stop())

    def follow(self, *arguments, **more):
        follower = Follower(self.daemon, *arguments, **more)
        self.addCleanup(follower.close)
        self.assertEqual(follower.status, 200)
        return follower.begun()


class WaysTest(FollowCase):
    def test_every_way(self):
        """The record as the list has it, its place as id, in order, over TCP and the socket."""
        post(self.daemon, "too early")
        followers = [self.follow(port=port) for port in ("web", "socket")]
        for follower in followers:
            self.assertEqual(follower.response.getheader("content-type"), "text/event-stream")
            self.assertEqual(follower.response.getheader("cache-control"), "no-store")
        post(self.daemon, "one", "two\nlines\r\nand \u2028 <b>", "")
        post(self.daemon, "four", trace_id=TRACE, span_id=SPAN)
        listed = self.daemon.api("logs")["items"]
        for follower in followers:
            follower.wait(4)
            self.assertEqual(follower.bodies(), ["one", "two\nlines\r\nand \u2028 <b>", "", "four"])
            self.assertEqual(follower.ids(), ["2.0", "2.1", "2.2", "3.0"])
            self.assertEqual(follower.parser.retry, 1000)
            for record in follower.records():
                self.assertEqual(sum(same_json(record, item) for item in listed), 1)

    def test_http2(self):
        """Two followers in one connection; one is reset, the other goes on."""
        peer = Peer(self.daemon.address("web"), patience=30 * SLOWNESS)
        self.addCleanup(peer.close)
        peer.handshake()
        streams = []
        for _ in range(2):
            stream = peer.stream()
            peer.send(headers(stream, block(peer.fields("GET", "/api/v1/logs?follow=true")),
                              end=True))
            streams.append(peer.answer(stream))
            peer.read_until(lambda: b"\n\n" in streams[-1].body)
            self.assertEqual(streams[-1].status, 200)
        post(self.daemon, "first", "second")
        for answer in streams:
            peer.read_until(lambda: answer.body.count(b"event: log") == 2)
        peer.send(rst_stream(1))
        post(self.daemon, "third")
        peer.read_until(lambda: streams[1].body.count(b"event: log") == 3)
        parser = EventParser()
        events = [parser.line(line) for line in bytes(streams[1].body).decode().split("\n")]
        bodies = [json.loads(event[2])["body"] for event in events if event]
        self.assertEqual(bodies, ["first", "second", "third"])
        self.assertEqual(bytes(streams[0].body).count(b"event: log"), 2)

    def test_refusals(self):
        rows = {"follow=yes": "follow", "follow=": "follow", "follow=true&limit=1": "limit",
                "follow=true&cursor=l0": "cursor", "follow=true&until=1h": "until",
                "follow=true&severity=LOUD": "severity", "follow=true&nope=1": "nope"}
        for query, field in rows.items():
            answer = self.daemon.get("/api/v1/logs?" + query)
            self.assertEqual((answer.status, answer.json()["error"]["field"]), (400, field), query)
        for last in ("x", "1.", ".1", "1.2.3", "7", "7.0", "-1", "1.4294967295", "1 "):
            answer = self.daemon.get("/api/v1/logs?follow=true", headers={"Last-Event-ID": last})
            if last == "1 ":  # blanks around a header's value are no part of it
                continue
            self.assertEqual(answer.status, 400, last)
            self.assertEqual(answer.json()["error"]["field"], "Last-Event-ID")
        answer = self.daemon.get("/api/v1/logs?follow=true&trace=123456")
        self.assertEqual(answer.status, 404)
        self.assertEqual(self.daemon.get("/api/v1/logs?follow=false").json()["items"], [])
        answer = self.daemon.get("/api/v1/logs?follow=true", headers={"Host": "evil.example"})
        self.assertEqual(answer.status, 403)
        self.assertEqual(self.daemon.get("/api/v1/logs?follow=true", port="http").status, 404)


class FilterTest(FollowCase):
    def test_filters(self):
        queries = {"": 6, "&severity=WARN": 1, "&text=NEEDLE": 2, "&event=happened": 1,
                   f"&trace={TRACE.hex()}": 1, f"&span={SPAN.hex()}": 1, "&log_group=/g": 1,
                   "&session=s-1": 1, "&service=nobody": 0}
        followers = {query: self.follow(query) for query in queries}
        post(self.daemon, "a needle", severity=5)
        post(self.daemon, "loud", severity=17)
        post(self.daemon, "an event", event="happened")
        post(self.daemon, "of a span", trace_id=TRACE, span_id=SPAN)
        post(self.daemon, "from aws", headers={"x-aws-log-group": "/g"})
        post(self.daemon, "the Needle again", attributes=[("session.id", "s-1")])
        for query, count in queries.items():
            followers[query].wait(count)
        time.sleep(0.3)
        for query, count in queries.items():
            self.assertEqual(len(followers[query].events), count, query)
            listed = self.daemon.api("logs?limit=1000" + query)["items"]
            self.assertEqual(sorted(followers[query].bodies()), sorted(r["body"] for r in listed))

    def test_inherited_session(self):
        body = otlp.request([otlp.span(TRACE, SPAN, attributes=[
            ("session.id", "s-9")])])
        self.assertEqual(self.daemon.post_traces(body).status, 200)
        follower = self.follow("&session=s-9")
        post(self.daemon, "mine", trace_id=TRACE, span_id=SPAN)
        post(self.daemon, "not mine")
        post(self.daemon, "mine too", trace_id=TRACE)
        follower.wait(2)
        self.assertEqual(follower.bodies(), ["mine", "mine too"])
        self.assertEqual({r["session_id"] for r in follower.records()}, {"s-9"})

    def test_since(self):
        for second in range(200):
            record = signals.log(BASE + second * 10**9, f"n{second}", 9)
            signals.post(self.daemon, "/v1/logs", signals.request([record]))
        follower = self.follow(f"&since={BASE + 90 * 10**9}")
        follower.wait(110)
        record = signals.log(BASE + 500 * 10**9, "now", 9)
        signals.post(self.daemon, "/v1/logs", signals.request([record]))
        follower.wait(111)
        self.assertEqual(follower.bodies(), [f"n{n}" for n in range(90, 200)] + ["now"])


class RestartTest(FollowCase):
    def test_no_gap_and_no_repeat(self):
        """kill -9 three times while records keep coming."""
        sent, stop = [], threading.Event()

        def send():
            number = 0
            while not stop.is_set():
                try:
                    post(self.daemon, *(f"n{number + i}" for i in range(3)))
                    sent.extend(f"n{number + i}" for i in range(3))
                except (OSError, http.client.HTTPException):
                    # Not acknowledged: it may be there or not. A number is used once.
                    time.sleep(0.02)
                number += 3

        follower = self.follow()
        sender = threading.Thread(target=send)
        sender.start()
        parts = [follower]
        try:
            for _ in range(3):
                parts[-1].wait(20)
                self.daemon.kill()
                self.assertTrue(parts[-1].ended())
                self.assertFalse(parts[-1].clean)
                self.daemon.start()
                time.sleep(0.2)  # what comes now comes to nobody
                parts.append(follow_on(self.daemon, parts[-1]))
                self.addCleanup(parts[-1].close)
            parts[-1].wait(20)
        finally:
            stop.set()
            sender.join()
        stored = [item["body"] for item in self.all_logs()]
        wait_for("all", lambda: sum(len(part.events) for part in parts) >= len(stored))
        seen = [body for part in parts for body in part.bodies()]
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual(sorted(seen), sorted(stored))
        self.assertLessEqual(set(sent), set(seen))
        self.assertEqual(seen, sorted(seen, key=lambda body: int(body[1:])))

    def all_logs(self):
        items, cursor = [], ""
        while True:
            page = self.daemon.api("logs?limit=1000" + cursor)
            items += page["items"]
            if not page["next_cursor"]:
                return items
            cursor = "&cursor=" + page["next_cursor"]

    def test_nothing_seen_yet(self):
        """Who has only been told a place goes on from there too."""
        follower = self.follow("&text=wanted")
        self.daemon.terminate()
        self.assertTrue(follower.ended())
        self.assertTrue(follower.clean)
        self.daemon.process.wait()
        self.daemon.start()
        post(self.daemon, "wanted", "not that")
        again = follow_on(self.daemon, follower, "&text=wanted")
        self.addCleanup(again.close)
        again.wait(1)
        self.assertEqual(again.bodies(), ["wanted"])

    def test_drain(self):
        """SIGTERM ends streams in order, at once, on every way."""
        followers = [self.follow(port=port) for port in ("web", "socket") for _ in range(10)]
        post(self.daemon, "last")
        begun = time.monotonic()
        self.daemon.stop()
        # Not at the limit of a drain, which is 30 s.
        self.assertLess(time.monotonic() - begun, 15 * SLOWNESS)
        for follower in followers:
            self.assertTrue(follower.ended())
            self.assertEqual(follower.clean, True)


class SlowTest(FollowCase):
    def test_slow_reader_of_large_records(self):
        """75 MB of events through a reader that stops: all of it, and little of it in memory."""
        slow = self.follow(receive_buffer=4096)
        before = memory(self.daemon)
        slow.go.clear()
        bodies = ["%02d" % n + "<" * 500_000 for n in range(25)]
        for body in bodies:
            post(self.daemon, body)
        quick = self.follow(f"&since={BASE}")
        quick.wait(25)
        self.assertEqual(quick.bodies(), bodies)
        quick.close()
        wait_for("memory", lambda: memory(self.daemon) - before < 12_000_000)
        slow.go.set()
        slow.wait(25)
        self.assertEqual(slow.bodies(), bodies)
        self.assertEqual(slow.ids(), [f"{n + 1}.0" for n in range(25)])
        slow.close()
        wait_for("all memory", lambda: memory(self.daemon) - before < 1_000_000)

    def test_slow_reader_of_many_records(self):
        slow = self.follow(receive_buffer=4096)
        slow.go.clear()
        for part in range(40):
            post(self.daemon, *(f"n{250 * part + n} " + "x" * 300 for n in range(250)))
        slow.go.set()
        slow.wait(10_000)
        self.assertEqual([body.split()[0] for body in slow.bodies()],
                         [f"n{n}" for n in range(10_000)])

    def test_large_record_with_neighbours(self):
        follower = self.follow()
        post(self.daemon, "before", "x" * 3_000_000, "behind")
        post(self.daemon, "later")
        follower.wait(4)
        self.assertEqual([len(body) for body in follower.bodies()], [6, 3_000_000, 6, 5])

    def test_a_record_that_no_answer_holds(self):
        """Shown from its columns, with the size of what is not shown, and nobody else waits."""
        follower = self.follow()
        post(self.daemon, "before", "\x01" * 11_500_000, "behind")
        follower.wait(3)
        self.assertEqual([name for _, name, _ in follower.events], ["log"] * 3)
        self.assertEqual(follower.bodies(), ["before", None, "behind"])
        self.assertGreater(json.loads(follower.events[1][2])["oversized_bytes"], 11_500_000)
        self.assertEqual(follower.ids(), ["1.0", "1.1", "1.2"])


class ManyTest(FollowCase):
    # The web port gets half of them.
    ARGUMENTS = ("--max-connections", "2048")

    def test_hundreds(self):
        followers = [self.follow() for _ in range(300)]
        for part in range(20):
            post(self.daemon, *(f"n{10 * part + n}" for n in range(10)))
        for follower in followers:
            follower.wait(200)
            self.assertEqual(follower.bodies(), [f"n{n}" for n in range(200)])
        # A list is still answered.
        self.assertEqual(len(self.daemon.api("logs?limit=1000")["items"]), 200)

    def test_as_many_as_may_be(self):
        sockets = []
        try:
            for _ in range(STREAMS_MAX):
                one = socket.create_connection(self.daemon.address("web"), 30 * SLOWNESS)
                one.sendall(b"GET /api/v1/logs?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
                sockets.append(one)
            for one in sockets:
                self.assertTrue(one.recv(15).startswith(b"HTTP/1.1 200 OK"))
            answer = self.daemon.get("/api/v1/logs?follow=true")
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (503, "busy"))
            self.assertIn("512 streams", answer.json()["error"]["message"])
            self.assertEqual(answer.headers["retry-after"], "1")
        finally:
            for one in sockets:
                one.close()
        wait_for("room", lambda: Follower(self.daemon).status == 200)

    def test_who_goes_leaves_nothing(self):
        """Followers come and go while records keep coming; memory stays where it was."""
        stop = threading.Event()

        def send():
            number = 0
            while not stop.is_set():
                post(self.daemon, f"n{number}", "x" * 20_000)
                number += 1

        def come_and_go(rounds):
            for _ in range(rounds):
                group = [Follower(self.daemon) for _ in range(20)]
                for follower in group:
                    follower.close()

        sender = threading.Thread(target=send)
        sender.start()
        try:
            come_and_go(3)
            settled = memory(self.daemon)
            stored = self.daemon.api("status")["stored"]["logs"]
            come_and_go(20)
        finally:
            stop.set()
            sender.join()
        stored = self.daemon.api("status")["stored"]["logs"] - stored
        # The index keeps a little of each block that came meanwhile.
        wait_for("memory", lambda: memory(self.daemon) - settled < 1_000_000 + 1000 * stored)


class CommandTest(FollowCase):
    """midwatch log list --follow."""

    def command(self, *arguments):
        """Started, and known to follow."""
        process = subprocess.Popen([BINARY, "log", "list", "--data", self.daemon.data, *arguments],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True,
                                   env=self.daemon.environment())
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        wait_for("the command", self.follows)
        return process

    def follows(self):
        text = self.daemon.get("/metrics").body.decode()
        (found,) = re.findall(r"^midwatch_requests_in_flight (\d+)$", text, re.M)
        return int(found) == 2  # this one, and that

    def interrupt(self, process):
        """Ctrl-C: the rest of what it printed; its end is no failure."""
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20 * SLOWNESS)
        self.assertEqual(process.returncode, 0, err)
        return out, err

    def test_rows(self):
        process = self.command("--follow", "--severity", "WARN")
        post(self.daemon, "hidden", severity=9)
        post(self.daemon, "red\x1b[31m\nsecond", severity=17)
        post(self.daemon, "last " + "x" * 1000, severity=13)
        lines = [process.stdout.readline() for _ in range(2)]
        self.assertTrue(lines[0].startswith("2023-11-14T22:13:20Z  ERROR     bad-otlp          "
                                            "red\\x1b[31m"), lines[0])
        self.assertTrue(lines[1].startswith("2023-11-14T22:13:20Z  WARN      bad-otlp          "
                                            "last xxx"), lines[1])
        self.assertLess(len(lines[1]), 320)
        self.assertEqual(self.interrupt(process), ("", ""))

    def test_json_and_since(self):
        post(self.daemon, "a\nb", "")
        post(self.daemon, "\0", "x" * 1_000_000)
        process = self.command("-f", "--json", "--since", "2023-11-14")
        lines = [process.stdout.readline() for _ in range(4)]
        self.assertEqual(self.interrupt(process), ("", ""))
        listed = {(r["body"]): r for r in self.daemon.api("logs")["items"]}
        for line, body in zip(lines, ["a\nb", "", "\0", "x" * 1_000_000]):
            self.assert_json(json.loads(line), listed[body])

    def test_restarts(self):
        """The daemon is killed, then stopped; what came in between is printed, once."""
        process = self.command("-f")
        post(self.daemon, "one")
        self.assertIn("one", process.stdout.readline())
        for number, end in ((2, self.daemon.kill), (3, self.daemon.stop)):
            end()
            self.daemon.start()
            post(self.daemon, f"number {number}")
            self.assertIn(f"number {number}", process.stdout.readline())
        post(self.daemon, "last")
        self.assertIn("last", process.stdout.readline())
        out, err = self.interrupt(process)
        self.assertEqual(out, "")
        self.assertEqual(err.count("trying again"), 2, err)
        self.assertEqual(err.count("following on"), 2, err)

    def test_interrupted_while_it_waits(self):
        process = self.command("-f")
        self.daemon.stop()
        self.assertIn("trying again", process.stderr.readline())
        self.interrupt(process)

    def test_refusals(self):
        for arguments in (["--limit", "3"], ["--until", "1h"], ["--severity", "LOUD"]):
            done = self.daemon.cli_raw("log", "list", "-f", *arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)
        self.daemon.cli("log", "list", "-f", "--trace", "123456", code=5)
        self.daemon.cli("session", "list", "-f", code=2)
        self.daemon.stop()
        self.assertEqual(self.daemon.cli_raw("log", "list", "-f").returncode, 7)
        done = self.daemon.cli_raw("log", "list", "-f", "--server", "http://127.0.0.1:1")
        self.assertEqual(done.returncode, 7)

    def test_help_and_completion(self):
        run = lambda *words: subprocess.run([BINARY, *words], capture_output=True, text=True,
                                            check=True, timeout=60 * SLOWNESS).stdout
        self.assertIn("-f, --follow", run("help", "log"))
        self.assertRegex(run("completion", "bash"), r'log\) words="list .*--follow')
        self.assertIn("-l follow -s f", run("completion", "fish"))


if __name__ == "__main__":
    unittest.main()
