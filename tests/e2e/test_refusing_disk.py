#!/usr/bin/env python3
"""A disk that goes read-only, full or bad under the running program, and comes back: exports and alarms
are refused retryably, readiness says why, questions are answered, nothing acknowledged is lost, and all
goes on without a restart. No rights are needed (refusing.py); test_disk.py has the disks that are real."""
import random
import subprocess
import threading
import time
import unittest

from disks import SIGNALS, DiskCase
from exports import one_of
from follower import Follower
from harness import BINARY, SLOWNESS, wait_for
from kills import Alarms
from refusing import RefusingDaemon

READ_ONLY, FULL, BROKEN, WELL = (RefusingDaemon.READ_ONLY, RefusingDaemon.FULL,
                                 RefusingDaemon.BROKEN, RefusingDaemon.WELL)


class Sender(threading.Thread):
    """Sends requests of one signal, each until it is acknowledged."""

    def __init__(self, case, signal):
        super().__init__(daemon=True)
        self.case, self.signal = case, signal
        self.acknowledged = self.refused = 0
        self.stopping = threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.send_until_taken(one_of(self.signal))
        except Exception as error:  # any: shown by the test
            self.error = error

    def send_until_taken(self, body):
        while True:
            answer = self.case.post(body, self.signal)
            if answer.status == 200:
                self.acknowledged += 1
                return
            self.case.assertEqual(answer.status, 503, answer.body)
            self.case.assertGreater(int(answer.headers["retry-after"]), 0)
            self.refused += 1
            time.sleep(0.02)


class RefusingDisk(DiskCase):
    ARGUMENTS = ()

    def setUp(self):
        self.daemon = RefusingDaemon(arguments=self.ARGUMENTS).start()
        self.addCleanup(self.daemon.remove)
        self.addCleanup(self.end)
        self.pid = self.daemon.process.pid
        self.sent = {signal: 0 for signal in SIGNALS}

    def end(self):
        self.daemon.disk(WELL)
        if self.daemon.process:
            self.daemon.stop()

    def check_files(self):
        """Also while it runs and cannot write: what a refused write left is no damage."""
        done = self.daemon.cli_raw("check")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def wait_until_ready(self):
        wait_for("/readyz", lambda: self.reasons() is None)

    def hook(self):
        return Alarms(self.daemon, self.daemon.cli_json("webhook", "create", "--name", "n",
                                                        "--source", "devops-agent"))

    def alarms(self):
        return len(self.daemon.api("alarms?limit=1000")["items"])


class WhileRunning(RefusingDisk):
    def check_mood(self, mood, word):
        """From well to that, and back."""
        alarms = self.hook()
        self.assertTrue(alarms.deliver(alarms.delivery()))
        known = self.alarms()
        self.send_one_of_each()
        follower = Follower(self.daemon, last_id="0")
        self.addCleanup(follower.close)
        follower.wait(self.sent["logs"])
        self.daemon.disk(mood)
        self.check_refused()
        delivery = alarms.delivery()
        answer = self.daemon.request("POST", alarms.path, delivery[1].encode(), delivery[2])
        self.assertEqual(answer.status, 503, answer.body)
        self.assertGreater(int(answer.headers["retry-after"]), 0)
        self.assertIn(word, self.reasons()["store"])
        self.assertIn("state", self.reasons())
        self.assertEqual(self.daemon.get("/healthz").status, 200)
        for _ in range(15):  # it tries by itself, and what needs no writing goes on
            time.sleep(0.1)
            self.assertEqual(set(self.reasons()), {"store", "state"})
        self.check_refused()
        self.assertIs(alarms.deliver(delivery), False)
        self.check_readable()
        self.assertEqual(self.alarms(), known)
        status = self.daemon.cli_json("status")
        self.assertFalse(status["ready"])
        self.assertIn("NOT WRITABLE", self.daemon.cli("status"))
        self.check_files()
        self.daemon.disk(WELL)
        self.wait_until_ready()
        self.assertTrue(alarms.deliver(delivery))
        self.send_one_of_each()
        self.check_readable()
        self.assertEqual(self.alarms(), known + 1)
        follower.wait(self.sent["logs"])
        self.assertEqual(len(follower.records()), self.sent["logs"])
        self.assertEqual(self.daemon.process.pid, self.pid)
        self.daemon.kill()
        self.daemon.start()
        self.check_readable()
        self.assertEqual(self.alarms(), known + 1)
        self.daemon.stop()
        self.check_files()

    def test_read_only(self):
        self.check_mood(READ_ONLY, "read-only")

    def test_full(self):
        self.check_mood(FULL, "no space")

    def test_errors(self):
        self.check_mood(BROKEN, "input/output")

    def test_killed_while_read_only(self):
        """What was acknowledged before is there afterwards; a start says what is the matter."""
        self.send_one_of_each()
        self.daemon.disk(READ_ONLY)
        self.check_refused()
        self.daemon.kill()
        self.daemon.loaded = True
        done = subprocess.run([BINARY, "serve", "--data", self.daemon.data], capture_output=True,
                              text=True, timeout=30 * SLOWNESS, check=False,
                              env=self.daemon.environment())
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("Read-only", done.stderr)
        self.daemon.disk(WELL)
        self.daemon.start()
        self.check_readable()

    def test_stopped_while_read_only(self):
        """SIGTERM ends it in order, and the next start finds everything."""
        alarms = self.hook()
        self.assertTrue(alarms.deliver(alarms.delivery()))
        self.send_one_of_each()
        self.daemon.disk(READ_ONLY)
        self.check_refused()
        self.daemon.stop()
        self.daemon.disk(WELL)
        self.check_files()
        self.daemon.start()
        self.check_readable()
        self.assertEqual(self.alarms(), 1)

    def test_spaces(self):
        """Neither made nor deleted while it is read-only; a full disk lets them be deleted. One that
        could not be deleted is as it was."""
        self.make_space("kept")
        self.make_space("goes")
        here = {"x-midwatch-space": "kept"}.items()
        self.assertEqual(self.post(one_of("logs"), "logs", more=here).status, 200)
        for _ in range(2):
            self.daemon.disk(READ_ONLY)
            self.assertEqual(self.delete_space("kept").status, 503)
            answer = self.daemon.request("POST", "/api/v1/spaces", '{"name":"new"}',
                                         {"content-type": "application/json"}, port="socket")
            self.assertEqual(answer.status, 503)
            self.assertEqual(len(self.daemon.api("logs?space=kept")["items"]), 1)
            self.daemon.disk(WELL)
            self.wait_until_ready()
        self.assertEqual(self.post(one_of("logs"), "logs", more=here).status, 200)
        self.assertEqual(len(self.daemon.api("logs?space=kept")["items"]), 2)
        self.daemon.disk(FULL)
        self.assertEqual(self.delete_space("goes").status, 200)
        self.daemon.disk(WELL)
        self.wait_until_ready()
        self.daemon.restart()
        self.assertEqual([item["name"] for item in self.daemon.api("spaces")["items"]],
                         ["default", "kept"])
        self.assertEqual(len(self.daemon.api("logs?space=kept")["items"]), 2)


class UnderLoad(RefusingDisk):
    """Its mood changes all the while, in the middle of writes, commits and merges."""
    ARGUMENTS = ("--merge-after", "1s")
    CHANGES = 24

    def test_moods(self):
        senders = [Sender(self, signal) for signal in SIGNALS]
        alarms = self.hook()
        for sender in [*senders, alarms]:
            sender.start()
        for change in range(self.CHANGES):
            time.sleep(random.uniform(0.05, 0.6))
            self.daemon.disk(random.choice((READ_ONLY, FULL, BROKEN)) if change % 2 == 0 else WELL)
        self.daemon.disk(WELL)
        for sender in [*senders, alarms]:
            sender.stopping.set()
            sender.join(60 * SLOWNESS)
            self.assertIsNone(sender.error)
            self.assertFalse(sender.is_alive())
        self.assertTrue(any(sender.refused for sender in senders))
        self.wait_until_ready()
        self.sent = {sender.signal: sender.acknowledged for sender in senders}
        for delivery in alarms.unanswered:
            self.assertTrue(alarms.deliver(delivery))
        expected = len(alarms.acknowledged) + len(alarms.unanswered)
        self.check_all(expected)
        wait_for("all merged", lambda: not self.daemon.api("status")["store"]["unmerged_bytes"], 90)
        self.check_all(expected)
        self.assertEqual(self.daemon.process.pid, self.pid)
        self.daemon.kill()
        self.daemon.start()
        self.check_all(expected)
        self.daemon.stop()
        self.check_files()

    def check_all(self, alarms):
        stored = self.daemon.api("status")["stored"]
        self.assertEqual((stored["spans"], stored["logs"], stored["points"]),
                         tuple(self.sent[signal] for signal in SIGNALS))
        self.assertEqual(self.count("alarms", lambda item: 1), alarms)
        self.assertEqual(self.count("traces", lambda item: item["spans"]), self.sent["traces"])
        self.assertEqual(self.count("logs", lambda item: 1), self.sent["logs"])
        self.assertEqual(self.count("metrics", lambda item: item["points"]), self.sent["metrics"])

    def count(self, path, of_item):
        total, cursor = 0, ""
        while cursor is not None:
            page = self.daemon.api(f"{path}?limit=1000" + (f"&cursor={cursor}" if cursor else ""))
            total += sum(map(of_item, page["items"]))
            cursor = page["next_cursor"]
        return total


if __name__ == "__main__":
    unittest.main()
