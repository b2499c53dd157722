#!/usr/bin/env python3
"""A disk that is full, and one that cannot be written to, under the real program: what is sent is
refused retryably and what is there is answered, readiness and status say why, and it goes on by itself
when there is room again, also when it was started meanwhile.

The disk is a small tmpfs in a mount namespace of this test's own, with a user namespace around it where
that is no root's; where neither is allowed (in some containers) the tests are skipped by name. What can
be had there as well is in test_refusing_disk.py: among it a disk that becomes read-only under a running
daemon, which no mount does while files of it are open for writing."""
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import otlp
from disks import DiskCase
from exports import one_of
from harness import BINARY, SLOWNESS, Daemon, wait_for
from kills import Alarms

INSIDE = "MIDWATCH_TEST_NAMESPACE"
DISK_BYTES = 32 << 20
SPACE_BYTES = 8 << 20


def can_mount():
    """True inside a namespace of our own; enters one first where that is allowed."""
    if os.environ.get(INSIDE):
        return os.environ[INSIDE] == "1"
    for way in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        probe = subprocess.run([*way, "mount", "-t", "tmpfs", "midwatch-test", "/mnt"],
                               capture_output=True, check=False)
        if probe.returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp("unshare", [*way, sys.executable, *sys.argv])
    os.environ[INSIDE] = "0"
    return False


class Disk:
    """A small file system with a data directory on it."""

    def __init__(self):
        self.place = tempfile.mkdtemp(prefix="midwatch-test-")
        self.mount("-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "midwatch-test", self.place)
        self.data = os.path.join(self.place, "data")
        self.filler = os.path.join(self.place, "filler")

    @staticmethod
    def mount(*arguments):
        subprocess.run(["mount", *arguments], check=True)

    def fill(self):
        """Until nothing fits any more."""
        with open(self.filler, "ab", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self):
        os.unlink(self.filler)

    def read_only(self, on):
        self.mount("-o", "remount,bind,ro" if on else "remount,bind,rw", self.place)

    def remove(self):
        subprocess.run(["umount", "--lazy", self.place], check=False)
        shutil.rmtree(self.place, ignore_errors=True)


class FullDisk(DiskCase):
    """One disk and one daemon a test."""

    def setUp(self):
        self.disk = Disk()
        self.addCleanup(self.disk.remove)
        self.daemon = Daemon(data=self.disk.data)
        # Not on the disk that is full, as journald's is not.
        self.daemon.log_path = self.disk.place + ".log"
        self.addCleanup(self.end)
        self.daemon.start()
        self.sent = {"traces": 0, "logs": 0, "metrics": 0}

    def end(self):
        if self.daemon.process:
            self.daemon.stop()
        os.unlink(self.daemon.log_path)

    def fill_until_refused(self):
        """What is left of the last blocks may still take a small request."""
        self.disk.fill()

        def refused():
            self.disk.fill()
            answer = self.post(one_of("traces"))
            self.sent["traces"] += answer.status == 200
            return answer.status == 503
        wait_for("a refusal", refused)

    # ---- the tests

    def test_full_while_running(self):
        self.send_one_of_each()
        self.fill_until_refused()
        self.check_refused()
        self.assertIn("store", self.reasons())
        self.assertIn("no space", self.reasons()["store"])
        # One number, of what is free.
        answer = self.post(one_of("traces"))
        self.assertRegex(answer.body.decode(errors="replace"), r"is full \(\d\.\d MiB free\)")
        done = self.daemon.cli_raw("doctor")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, "error: the disk of .* is full, and exports are refused: .* free")
        self.assertIn("--retention-bytes", done.stdout)
        status = self.daemon.cli_json("status")
        self.assertFalse(status["ready"])
        self.assertFalse(status["store"]["writable"])
        text = self.daemon.cli("status")
        self.assertIn("NOT READY", text)
        self.assertIn("NOT WRITABLE", text)
        self.assertIn(status["store"]["last_error"], text)
        self.check_readable()
        self.disk.free()
        wait_for("/readyz", lambda: self.reasons() is None)
        self.send_one_of_each()
        self.check_readable()
        self.daemon.restart()
        self.check_readable()

    def send_text(self, mebibytes):
        """Log records of random digits: as long in the log, half as long when merged."""
        for _ in range(2 * mebibytes):
            body = otlp.logs_request([otlp.log_record(os.urandom(1 << 18).hex())])
            answer = self.post(body, "logs")
            self.assertEqual(answer.status, 200, answer.body)
            self.sent["logs"] += 1

    def test_room_is_made_by_merging(self):
        """Others have filled the disk: what waits is merged in the ballast's place, which frees more."""
        self.send_text(4)
        before = self.daemon.api("status")
        self.assertEqual(before["store"]["merges"], 0)
        self.assertGreater(before["disk"]["log_bytes"], 3 << 20)
        self.assertEqual(before["disk"]["ballast_bytes"], 4 << 20)
        self.fill_until_refused()
        wait_for("room", lambda: self.post(one_of("traces")).status == 200, 30)
        self.sent["traces"] += 1
        after = self.daemon.api("status")
        self.assertGreater(after["store"]["merges"], 0)
        self.assertEqual(after["store"]["merge_failures"], 0)
        self.assertGreater(after["disk"]["free_bytes"], 4 << 20)
        self.assertIn('"needed_for":"merging"', self.daemon.log())
        self.assertRegex(self.daemon.cli("status"), r"disk +used [\d.]+ MiB \(log .*, merged .*, spare 0 B, "
                                                    r"ballast .*\); free [\d.]+ MiB of 32\.0 MiB")
        self.check_readable()
        self.disk.free()
        self.daemon.restart()
        self.check_readable()

    def test_fills_with_what_is_merged(self):
        """Nobody else is there: it takes more than the log of all that would have its place."""
        until = time.monotonic() + 120 * SLOWNESS
        refused = 0
        while refused < 6 and time.monotonic() < until:
            body = otlp.logs_request([otlp.log_record(os.urandom(1 << 17).hex())])
            if self.post(body, "logs").status == 200:
                self.sent["logs"] += 1
                refused = 0
            else:
                refused += 1
                time.sleep(0.5)
        self.assertEqual(refused, 6)
        self.assertGreater(self.sent["logs"] << 18, DISK_BYTES * 5 // 4)
        self.assertGreater(self.daemon.api("status")["store"]["merges"], 3)
        self.assertFalse([name for name in os.listdir(os.path.join(self.disk.data, "store"))
                          if name.endswith(".tmp")])
        self.check_readable()

    def test_alarms_on_a_full_disk(self):
        alarms = Alarms(self.daemon, self.daemon.cli_json("webhook", "create", "--name", "n",
                                                          "--source", "devops-agent"))
        self.assertTrue(alarms.deliver(alarms.delivery()))
        kept = alarms.delivery()

        def refused():
            self.disk.fill()
            return alarms.deliver(alarms.delivery()) is False
        wait_for("a refused alarm", refused)
        self.assertIn("state", self.reasons())
        self.assertIn("the last commit of state failed", self.daemon.cli("status"))
        before = self.daemon.api("alarms?limit=1000")["items"]
        self.assertFalse(alarms.deliver(kept))
        self.assertEqual(len(self.daemon.api("alarms?limit=1000")["items"]), len(before))
        self.disk.free()
        wait_for("/readyz", lambda: self.reasons() is None)
        self.assertTrue(alarms.deliver(kept))
        found = self.daemon.api("alarms?limit=1000")["items"]
        self.assertEqual(len(found), len(before) + 1)

    def fill_space(self, name):
        """Makes it, with telemetry of some megabytes in it."""
        self.make_space(name)
        for _ in range(SPACE_BYTES // 250_000):
            body = otlp.logs_request([otlp.log_record(os.urandom(250_000).hex())])
            answer = self.post(body, "logs", more={"x-midwatch-space": name}.items())
            self.assertEqual(answer.status, 200, answer.body)

    def test_deleting_a_space_makes_room(self):
        """The audit's record of it has the place of the ballast."""
        self.send_one_of_each()
        self.fill_space("large")
        self.fill_until_refused()
        self.daemon.cli("space", "delete", "large", "--yes")
        self.assertIn("the ballast is given up", self.daemon.log())
        self.assertEqual([item["name"] for item in self.daemon.api("spaces")["items"]], ["default"])
        self.assertEqual(self.deletions(), [("large", "ok")])
        wait_for("/readyz", lambda: self.reasons() is None)
        self.send_one_of_each()
        self.check_readable()
        self.daemon.restart()
        self.check_readable()

    def test_deleting_a_space_after_a_start_on_a_full_disk(self):
        """The start has used the ballast: the record comes behind the deletion."""
        self.send_one_of_each()
        self.fill_space("large")
        self.fill_until_refused()
        self.daemon.kill()
        self.disk.fill()
        self.daemon.start()
        self.fill_until_refused()
        self.assertFalse(os.path.exists(os.path.join(self.disk.data, "ballast")))
        self.assertEqual(self.delete_space("large").status, 200)
        self.assertEqual(self.deletions(), [("large", "ok")])
        wait_for("/readyz", lambda: self.reasons() is None)
        self.send_one_of_each()
        self.check_readable()

    def test_killed_on_a_full_disk(self):
        """It starts, answers what is there, and takes more once there is room."""
        self.send_one_of_each()
        self.fill_until_refused()
        self.daemon.kill()
        self.disk.fill()
        self.daemon.start()
        self.check_readable()
        self.fill_until_refused()
        self.check_refused()
        self.check_readable()
        self.disk.free()
        wait_for("/readyz", lambda: self.reasons() is None)
        self.send_one_of_each()
        self.daemon.restart()
        self.check_readable()

    def test_started_on_a_full_disk(self):
        """After a clean stop, again and again: what a start gave up is kept for the next one as soon as
        there is room."""
        self.send_one_of_each()
        for _ in range(3):
            self.daemon.stop()
            self.disk.fill()
            self.daemon.start()
            self.check_readable()
            self.fill_until_refused()
            self.disk.free()
            wait_for("/readyz", lambda: self.reasons() is None)
            self.send_one_of_each()
            self.check_readable()

    def test_read_only(self):
        """Nothing can be answered without writing (the socket, SQLite's log): it says what to do."""
        self.send_one_of_each()
        self.daemon.stop()
        self.disk.read_only(True)
        done = subprocess.run([BINARY, "serve", "--data", self.disk.data], capture_output=True,
                              text=True, timeout=30 * SLOWNESS, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("Read-only", done.stderr)
        self.assertIn(self.disk.data, done.stderr)
        checked = subprocess.run([BINARY, "check", "--data", self.disk.data], capture_output=True,
                                 text=True, timeout=30 * SLOWNESS, check=False)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.disk.read_only(False)
        self.daemon.start()
        self.check_readable()


if __name__ == "__main__":
    if can_mount():
        unittest.main()
    NAMES = [name for name in dir(FullDisk) if name.startswith("test_")]
    print("skipped, since mounting is not allowed here: " + ", ".join(NAMES))
    print(f"0 passed, 0 failed, {len(NAMES)} skipped")
