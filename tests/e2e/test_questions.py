#!/usr/bin/env python3
"""Long questions: what has nothing to do with them is not held up, and nobody works for a client
that has gone."""
import concurrent.futures
import contextlib
import json
import socket
import time
import unittest

from harness import SLOWNESS, DaemonCase

# An instrumented daemon scans more slowly, and a question may take 25 s at most.
REQUESTS = int(400 / SLOWNESS)
LONGEST = 25
QUESTION = "/api/v1/logs?text=nowhere-to-be-found"


class QuestionsTest(DaemonCase):
    @classmethod
    def prepare(cls):
        load = cls.daemon.start_load("http", "--signal", "logs", "--requests", str(REQUESTS),
                                     "--in-flight", "4")
        out, _ = load.communicate()
        assert json.loads(out)["acknowledged"] == REQUESTS, out

    def ask_and_leave(self, count):
        for _ in range(count):
            with socket.create_connection(self.daemon.address("web")) as client:
                # Beyond the web port's connections it is refused: the ends of others come later.
                with contextlib.suppress(ConnectionError):
                    client.sendall(f"GET {QUESTION} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def timed(self, path):
        started = time.monotonic()
        answer = self.daemon.get(path)
        self.assertEqual(answer.status, 200)
        return time.monotonic() - started

    def test_status_is_answered_beside_scans(self):
        with concurrent.futures.ThreadPoolExecutor(80) as pool:
            self.timed(QUESTION)
            started = time.monotonic()
            scans = [pool.submit(self.daemon.get, QUESTION) for _ in range(80)]
            slowest = max(self.timed(path) for path in
                          ("/api/v1/status", "/api/v1/alarms", "/api/v1/investigations"))
            waiting = sum(not scan.done() for scan in scans)
            statuses = {scan.result().status for scan in scans}
            whole = time.monotonic() - started
        # Only where all of them take longer than a question may are the last told so.
        self.assertEqual(statuses - {504} if whole > LONGEST else statuses, {200}, f"{whole:.1f} s")
        # Behind the scans it would be answered when nearly all of them are.
        self.assertGreater(waiting, 20, "answered behind the scans, or they were too quick")
        self.assertLess(slowest, max(0.5 * SLOWNESS, whole / 4))

    def test_nobody_works_for_the_gone(self):
        """A client that hangs up may still wait, for two seconds: then its question is dropped."""
        alone = self.timed(QUESTION)
        gone = 600
        self.ask_and_leave(gone)
        time.sleep(2.5)
        # All of them would take the readers this long.
        self.assertLess(self.timed(QUESTION), max(2.0, gone * alone / 8) * SLOWNESS)


if __name__ == "__main__":
    unittest.main()
