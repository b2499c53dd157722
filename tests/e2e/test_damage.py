#!/usr/bin/env python3
"""A byte that flips in a stored block, under the real program: `midwatch check` names file and place,
everything else stays readable while the daemon runs and after a start, answers and status say that
something is left out, and nothing else is lost when the rest is merged."""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import unittest

from exports import one_of
from follower import Follower
from harness import BINARY, SLOWNESS, Case, Daemon, wait_for

REQUESTS = 12
SIGNALS = ("traces", "logs", "metrics")
LOGS = 3  # as a block has it


def blocks_of(path):
    """(offset, header and stored bytes) of each block of a segment."""
    with open(path, "rb") as segment:
        data = segment.read()
    at, found = data.find(b"MWBLOCK\n"), []
    while at >= 0:
        after = data.find(b"MWBLOCK\n", at + 8)
        found.append((at, after if after >= 0 else len(data)))
        at = after
    return found


def byte_at(path, at):
    with open(path, "rb") as segment:
        segment.seek(at)
        return segment.read(1)[0]


def is_merged(path):
    return byte_at(path, 10) == 1


def signal_of(path, block):
    return byte_at(path, block + 108)


class DamageTest(Case):
    def setUp(self):
        self.daemon = Daemon(arguments=["--merge-after", "1h"]).start()
        self.addCleanup(self.end)
        for _ in range(REQUESTS):
            for kind in SIGNALS:
                self.send(kind)

    def send(self, kind):
        answer = self.daemon.request("POST", f"/v1/{kind}", one_of(kind),
                                     {"content-type": "application/x-protobuf"}, port="http")
        self.assertEqual(answer.status, 200)

    def end(self):
        try:
            if self.daemon.process:
                self.daemon.stop()
        finally:
            self.daemon.remove()

    def segments(self):
        return sorted(glob.glob(os.path.join(self.daemon.data, "**", "*.seg"), recursive=True))

    def damage(self, block, into):
        """Flips a byte of the n-th block, `into` bytes behind its header; where that block is."""
        place = 0
        for path in self.segments():
            for offset, end in blocks_of(path):
                if place == block:
                    self.flip(path, min(offset + 128 + into, end - 9))
                    return path, offset
                place += 1
        raise AssertionError("no such block")

    @staticmethod
    def flip(path, at, bits=0x20):
        with open(path, "r+b") as segment:
            segment.seek(at)
            byte = segment.read(1)
            segment.seek(at)
            segment.write(bytes([byte[0] ^ bits]))

    def answers(self):
        """Numbers of items that the lists show, and the warnings with them."""
        shown, warned = {}, set()
        for kind, path, key in (("traces", "traces", "spans"), ("logs", "logs", None),
                                  ("metrics", "metrics", "points")):
            answer = self.daemon.api(path + "?limit=1000")
            shown[kind] = sum(item[key] if key else 1 for item in answer["items"])
            warned.add(tuple(w["code"] for w in answer.get("warnings", [])))
        return shown, warned

    def check(self, code):
        done = self.daemon.cli_raw("check")
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def test_columns_and_items(self):
        whole = {kind: REQUESTS for kind in SIGNALS}
        self.assertEqual(self.answers(), (whole, {()}))
        self.assertEqual(self.daemon.api("status")["store"]["damaged_blocks"], 0)
        # Requests were sent in turns: blocks 3, 4, 5 hold one item of each signal.
        for block in (3, 4, 5):
            path, offset = self.damage(block, 0)
            self.assertIn(f"{path} at byte {offset}: ", self.check(1))
        shown, warned = self.answers()
        self.assertEqual(shown, {kind: REQUESTS - 1 for kind in SIGNALS})
        self.assertIn(("damaged_blocks",), warned)
        self.assertEqual(self.answers(), (shown, {("damaged_blocks",)}))
        self.assertEqual(self.daemon.api("status")["store"]["damaged_blocks"], 3)
        self.assertIn("DAMAGED", self.daemon.cli("status"))
        self.assertIn("midwatch_store_damaged_blocks_total 3\n",
                      self.daemon.get("/metrics").body.decode())
        self.assertIn("a stored block cannot be read", self.daemon.log())
        for known in self.daemon.api("traces?limit=1000")["items"]:
            self.daemon.api("traces/" + known["trace_id"])
        # What comes from now on is taken and shown.
        answer = self.daemon.post_traces(one_of("traces"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.answers()[0]["traces"], REQUESTS)
        self.daemon.restart()
        self.assertEqual(self.answers()[0], {**shown, "traces": REQUESTS})
        self.assertEqual(self.daemon.api("status")["store"]["damaged_blocks"], 3)

    def test_items_alone(self):
        """The columns are whole: a list of traces counts the span, its content is not there."""
        path, offset = self.damage(6, 10 ** 9)
        self.assertIn(f"{path} at byte {offset}: the items of a block", self.check(1))
        self.assertEqual(self.answers()[0]["traces"], REQUESTS)
        shown = 0
        for known in self.daemon.api("traces?limit=1000")["items"]:
            shown += self.daemon.get("/api/v1/traces/" + known["trace_id"]).status == 200
        self.assertEqual(shown, REQUESTS - 1)
        self.assertEqual(self.daemon.api("status")["store"]["damaged_blocks"], 1)

    def follow_all(self):
        """One who follows from the very first commit on."""
        follower = Follower(self.daemon, last_id="0")
        self.addCleanup(follower.close)
        self.assertEqual(follower.status, 200)
        return follower

    def check_follower(self, follower, records):
        """A warning before what may be missing, the records, and what comes from now on."""
        follower.wait(records + 1)
        self.send("logs")
        follower.wait(records + 2)
        names = [name for _, name, _ in follower.events]
        self.assertEqual(names.count("log"), records + 1)
        self.assertEqual(names.count("warning"), 1)
        told = json.loads(follower.events[names.index("warning")][2])
        self.assertEqual(told["code"], "damaged_blocks")
        self.assertIn("midwatch check", told["message"])
        return names

    def test_followers(self):
        """Who follows gets all but the damaged block, is told, and goes on; so does who comes later."""
        before = self.follow_all()
        before.wait(REQUESTS)
        self.damage(4, 0)         # columns
        self.damage(10, 10 ** 9)  # items alone
        names = self.check_follower(self.follow_all(), REQUESTS - 2)
        self.assertEqual(names[0], "warning")
        before.wait(REQUESTS + 1)
        self.assertEqual(len(before.records()), REQUESTS + 1)
        self.daemon.restart()
        self.check_follower(self.follow_all(), REQUESTS - 1)

    def test_follower_on_the_command_line(self):
        self.damage(4, 0)
        with subprocess.Popen([BINARY, "log", "list", "--follow", "--since", "2000-01-01", "--json",
                               "--data", self.daemon.data], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as client:
            lines = [client.stdout.readline() for _ in range(REQUESTS - 1)]
            client.send_signal(signal.SIGINT)
            _, complaints = client.communicate(timeout=30 * SLOWNESS)
        self.assertEqual(client.returncode, 0)
        self.assertTrue(all(json.loads(line)["body"] for line in lines))
        self.assertIn("1 stored blocks are damaged", complaints)

    def test_follower_of_merged_logs(self):
        """Their one block is damaged: what was committed behind it is not."""
        self.merge_all()
        path, = (path for path in self.segments() if is_merged(path))
        self.flip(path, next(at for at, _ in blocks_of(path) if signal_of(path, at) == LOGS) + 131)
        self.check_follower(self.follow_all(), 0)

    def merge_all(self):
        self.daemon.stop()
        self.daemon.arguments = ["--merge-after", "1s"]
        self.daemon.start()
        wait_for("a merge", lambda: self.daemon.api("status")["store"]["merged_segments"],
                 20 * SLOWNESS)
        wait_for("all merged", lambda: not self.daemon.api("status")["store"]["unmerged_bytes"],
                 20 * SLOWNESS)

    def test_merging_goes_around(self):
        """A segment with damage stays as it is; the others are merged, and nothing of them is lost."""
        self.daemon.restart()  # a segment of its own for what comes
        self.damage(3, 0)
        self.daemon.stop()
        self.daemon.arguments = ["--merge-after", "1s"]
        self.daemon.start()
        for _ in range(REQUESTS):
            self.assertEqual(self.daemon.post_traces(one_of("traces")).status, 200)
        wait_for("a merge", lambda: self.daemon.api("status")["store"].get("merged_segments"),
                 20 * SLOWNESS)
        expected = {"traces": 2 * REQUESTS - 1, "logs": REQUESTS, "metrics": REQUESTS}
        self.assertEqual(self.answers()[0], expected)
        self.daemon.restart()
        self.assertEqual(self.answers()[0], expected)

    def test_segment_gone(self):
        """A segment of the log that somebody removed, after a kill: check and the next start say which
        commits are missing, and the others are all there."""
        self.daemon.kill()
        self.daemon.start()  # the second segment
        self.assertEqual(self.daemon.post_traces(one_of("traces")).status, 200)
        wait_for("its row in the catalogue", lambda: self.rows() == len(self.segments()), 20 * SLOWNESS)
        self.daemon.kill()
        self.check(0)
        first = self.segments()[0]
        os.unlink(first)
        self.assertRegex(self.check(1), re.escape(first) + r".*commits 1 to \d+ at least, \d+ spans")
        self.daemon.start()
        self.assertIn("a segment is gone that midwatch did not remove", self.daemon.log())
        store = self.daemon.api("status")["store"]
        self.assertGreaterEqual(store["damaged_blocks"], 1)
        self.assertEqual((store["losses"], store["lost_spans"] > 0), (1, True))
        self.assertRegex(store["last_loss"], r"^20\d\d-")
        self.assertRegex(self.daemon.cli("status"), r"(?m)^  LOST +1 segments .* at least \d+ spans")
        findings = json.loads(self.daemon.cli("doctor", "--json", code=1))["findings"]
        finding, = [one for one in findings if one["code"] == "losses"]
        self.assertEqual(finding["severity"], "error")
        self.assertRegex(finding["seen"], r"^1 segments .* at least \d+ spans.*noticed \d")
        self.assertIn("midwatch check --rebuild", finding["fix"])
        self.assertRegex(self.daemon.request("GET", "/metrics").body.decode(),
                         rf"(?m)^midwatch_lost_segments 1\n(#.*\n)+midwatch_lost_spans {store['lost_spans']}$")
        self.answers_tell_losses()
        # It is not forgotten by that, but by who accepts it.
        self.daemon.restart()
        self.daemon.stop()
        remark = self.check(1)
        self.assertRegex(remark, re.escape(first) + r".* a start noticed at 20.*commits 1 to \d+")
        self.assertIn("check --rebuild", remark)
        self.assertIn(f"{first}: accepted as gone: commits 1 to ", self.daemon.cli("check", "--rebuild"))
        self.check(0)
        self.daemon.start()
        self.assertEqual(self.daemon.api("status")["store"]["losses"], 0)
        self.assertNotIn("LOST", self.daemon.cli("status"))
        self.assertNotIn("gone", self.daemon.cli_raw("export").stderr)
        self.assertNotIn("warnings", self.daemon.api("sessions"))

    def answers_tell_losses(self):
        """Each list and show of telemetry, in JSON, in text and as OTLP, and the export; what is kept
        beside the store has nothing to do with it."""
        trace = self.daemon.api("traces")["items"][0]["trace_id"]
        metric = self.daemon.api("metrics")["items"]
        paths = ["traces", "spans", "sessions", "logs", "metrics", "agents", "topology", "services",
                 f"traces/{trace}", f"traces/{trace}/tree"]
        paths += [f"metrics/{one['name']}" for one in metric[:1]]
        paths += [f"sessions/{one['session_id']}" for one in self.daemon.api("sessions")["items"][:1]]
        for path in paths:
            told = self.daemon.api(path)["warnings"]
            self.assertEqual([one["code"] for one in told], ["losses"], path)
            self.assertIn("1 stored segments or ends of some are gone", told[0]["message"])
        self.streams_tell_losses()
        self.assertNotIn("warnings", self.daemon.api("alarms"))
        self.assertEqual(self.daemon.get("/api/v1/spans?format=otlp").headers["x-midwatch-lost-segments"], "1")
        for words in (("trace", "list"), ("trace", "show", trace), ("span", "list", "--format", "otlp"),
                      ("session", "list"), ("export",)):
            done = self.daemon.cli_raw(*words)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("1 stored segments or ends of some are gone", done.stderr, words)

    def streams_tell_losses(self):
        """Once, before anything else, whatever the stream goes on from."""
        for path, last_id in (("logs?follow=true", "0"), ("logs?follow=true", None),
                              ("sessions?follow=true", None), ("sessions?follow=true", "1")):
            follower = Follower(self.daemon, path=path, last_id=last_id)
            _, name, data = follower.wait(1)[0]
            told = json.loads(data)
            self.assertEqual((name, told["code"]), ("warning", "losses"), path)
            self.assertIn("1 stored segments or ends of some are gone", told["message"])
            self.assertEqual(self.daemon.post_traces(one_of("traces")).status, 200)
            self.assertEqual([name for _, name, _ in follower.events].count("warning"), 1)
            follower.close()

    def test_renamed(self):
        """`mv` within the directory: the next start gives the segment its own name again."""
        self.daemon.stop()
        segment = self.segments()[0]
        other = os.path.join(os.path.dirname(segment), "0000000000000099.seg")
        os.rename(segment, other)
        told = self.check(1)
        self.assertIn("the next start gives it its own name again", told)
        self.assertNotIn("lost", told)  # it is there
        self.daemon.start()
        self.assertIn("it was given that again", self.daemon.log())
        self.assertEqual(self.answers(), ({kind: REQUESTS for kind in SIGNALS}, {()}))
        self.assertTrue(os.path.exists(segment))
        self.assertEqual(self.daemon.api("status")["store"]["losses"], 0)
        self.daemon.stop()
        self.check(0)

    def test_files_of_others(self):
        """An empty file and one of random bytes under a segment's name, in nobody's place and in that
        of one: a start goes on, keeps them, and names what is lost by it."""
        self.daemon.stop()
        segment = self.segments()[0]
        directory = os.path.dirname(segment)
        for name, content in (("0000000000000000", b""), ("00000000000000aa", os.urandom(5000))):
            with open(os.path.join(directory, name + ".seg"), "wb") as file:
                file.write(content)
        self.assertIn("no header of a segment", self.check(1))
        self.daemon.start()
        self.assertIn("a file that is no segment has the name of one", self.daemon.log())
        self.assertEqual(self.answers(), ({kind: REQUESTS for kind in SIGNALS}, {()}))
        self.daemon.stop()
        told = self.daemon.cli("check")
        self.assertRegex(told, r"note .*/00000000000000aa\.seg\.aside-1: set aside .* 5000 bytes")
        self.assertRegex(told, r"note .*/0000000000000000\.seg\.aside-1: set aside .* 0 bytes, empty")
        with open(segment, "wb"):
            pass
        self.daemon.start()
        self.assertIn("what it held is lost", self.daemon.log())
        self.assertEqual(self.daemon.api("status")["store"]["losses"], 1)
        self.daemon.stop()
        self.assertIn(f"{segment} at byte 0: a segment is gone", self.check(1))

    def test_no_catalogue(self):
        self.daemon.stop()
        for path in glob.glob(os.path.join(self.daemon.data, "**", "catalogue.db"), recursive=True):
            os.unlink(path)
        told = self.daemon.cli("check")
        self.assertRegex(told, r"note .*catalogue\.db: there is no catalogue: .*could not be compared")
        self.daemon.start()
        self.assertIn("there was no catalogue", self.daemon.log())
        # What it knew is gone: said until somebody accepts it, in the first start's words.
        made = self.daemon.api("status")["store"]["catalogue_made_anew"]
        self.assertRegex(made, r"^20\d\d-")
        self.daemon.restart()
        self.assertEqual(self.daemon.api("status")["store"]["catalogue_made_anew"], made)
        self.assertRegex(self.daemon.cli("status"), r"(?m)^  catalogue +missing or unreadable, made anew")
        findings = self.daemon.cli_json("doctor")["findings"]
        finding, = [one for one in findings if one["code"] == "catalogue_made_anew"]
        self.assertEqual(finding["severity"], "warning")
        self.daemon.stop()
        told = self.daemon.cli("check")
        self.assertRegex(told, r"note .*catalogue\.db: .* made anew at 20.* vanished before cannot be told")
        finding, = self.daemon.cli_json("check")["stores"][0]["findings"]
        self.assertEqual((finding["kind"], made[:19] in finding["what"]), ("note", True))
        self.daemon.cli("check", "--rebuild")
        self.assertNotIn("note ", self.daemon.cli("check"))
        self.daemon.start()
        self.assertIsNone(self.daemon.api("status")["store"]["catalogue_made_anew"])
        self.assertNotIn("made anew", self.daemon.cli("status"))

    def test_json(self):
        """The same as in lines, in one object."""
        self.daemon.stop()
        whole = self.daemon.cli_json("check")
        self.assertEqual((whole["whole"], whole["exit_status"]), (True, 0))
        store, = whole["stores"]
        self.assertEqual((store["space"], store["findings"], store["spans"]), ("default", [], REQUESTS))
        self.assertTrue(whole["state"]["whole"])
        path, offset = self.damage(3, 0)
        catalogue = os.path.join(os.path.dirname(path), "catalogue.db")
        os.unlink(catalogue)
        done = self.daemon.cli_raw("check", "--json")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        found = json.loads(done.stdout)
        self.assertEqual((found["whole"], found["exit_status"]), (False, 1))
        store, = found["stores"]
        self.assertEqual(store["damaged"], 1)
        self.assertEqual({(one["kind"], one["file"], one["offset"]) for one in store["findings"]},
                         {("damage", path, offset), ("note", catalogue, 0)})
        lines = self.daemon.cli_raw("check")
        for one in store["findings"]:
            self.assertIn(one["what"], lines.stdout + lines.stderr)
        done = self.daemon.cli_raw("check", "--rebuild", "--json")
        self.assertIn("rebuilt", {one["kind"] for one in json.loads(done.stdout)["stores"][0]["findings"]})

    def rows(self):
        path = os.path.join(self.daemon.data, "store", "catalogue.db")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as catalogue:
            return catalogue.execute("SELECT count(*) FROM segment").fetchone()[0]

    def test_copy_under_another_name(self):
        """A backup within the directory: told by check, set aside by a start, never read twice."""
        self.daemon.stop()
        segment = self.segments()[0]
        copy = os.path.join(os.path.dirname(segment), "0000000000000099.seg")
        shutil.copy(segment, copy)
        self.assertIn(f"{copy} at byte 0: a copy of segment", self.check(1))
        self.daemon.start()
        self.assertIn("a copy of a segment under another name", self.daemon.log())
        self.assertEqual(self.answers(), ({signal: REQUESTS for signal in SIGNALS}, {()}))
        self.assertFalse(os.path.exists(copy))
        self.assertTrue(os.path.exists(copy + ".aside-1"))
        self.daemon.stop()
        self.check(0)

    def test_header_of_a_block(self):
        """Nobody can read what is behind it: a start says so with every answer, a merge goes around."""
        path, offset = self.damage(3, -100)
        self.daemon.stop()
        self.daemon.arguments = ["--merge-after", "1s"]
        self.daemon.start()
        expected = {"traces": REQUESTS - 1, "logs": REQUESTS, "metrics": REQUESTS}
        self.assertEqual(self.answers(), (expected, {("damaged_blocks",)}))
        self.assertEqual(self.daemon.post_traces(one_of("traces")).status, 200)
        wait_for("all else merged",
                 lambda: not self.daemon.api("status")["store"]["unmerged_bytes"], 20 * SLOWNESS)
        self.assertIn(f"{path} at byte {offset}", self.check(1))
        self.assertIn(path, self.segments())

    def test_header_of_a_segment(self):
        """One byte of it: a start reads it as it was written, and --rebuild puts it right."""
        path = self.segments()[0]
        self.daemon.stop()
        for at in (0, 9, 20, 40, 66, 79):
            self.flip(path, at, 0x5a)
            self.assertIn("no item is lost", self.check(1))
            if at == 20:
                self.daemon.start()
                self.assertIn("a byte of a segment's header is damaged", self.daemon.log())
                self.assertEqual(self.answers(), ({kind: REQUESTS for kind in SIGNALS}, {()}))
                self.daemon.stop()
            done = self.daemon.cli_raw("check", "--rebuild")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("a damaged byte of its header", done.stdout + done.stderr)
        self.check(0)
        self.daemon.start()
        self.assertEqual(self.answers(), ({kind: REQUESTS for kind in SIGNALS}, {()}))

    def assert_key_is_told(self, words, made):
        store = self.daemon.cli_json("status")["store"]
        self.assertEqual(store["digest_key_made_anew"], made)
        self.assertGreater(store["other_key_segments"], 0)
        self.assertEqual(store["damaged_blocks"], 0)
        self.assertIn("KEY", self.daemon.cli("status"))
        doctor = self.daemon.cli_raw("doctor", "--json")
        finding, = [one for one in json.loads(doctor.stdout)["findings"]
                    if one["code"] == "digest_key"]
        self.assertEqual((doctor.returncode, finding["severity"]), (1, "error"))
        self.assertIn(words, finding["seen"])
        self.assertIn("midwatch check --rebuild", finding["fix"])

    def test_lost_key(self):
        """Without its digest.key a store makes another one; what footers know by the old one is made
        of the blocks again, at the start for the moment and by --rebuild for good."""
        self.merge_all()
        sessions = [s["session_id"] for s in self.daemon.api("sessions?limit=1000")["items"]]
        self.daemon.stop()
        keys = glob.glob(os.path.join(self.daemon.data, "**", "digest.key"), recursive=True)
        with open(keys[0], "rb") as file:
            former = file.read()
        for key in keys:
            os.unlink(key)
        # Told before a start makes another one, once, and with what helps.
        told = self.check(1).splitlines()
        self.assertEqual(len(told), 1)
        self.assertIn("digest.key at byte 0: it is missing: no item is lost; put it back", told[0])
        self.assertEqual([key for key in keys if os.path.exists(key)], [])
        self.daemon.start()
        self.assertEqual(self.daemon.log().count("digest.key was missing and another is made"), 1)
        self.assert_key_is_told("was missing at the start, which made another", True)
        whole = {kind: REQUESTS for kind in SIGNALS}
        self.assertEqual(self.answers()[0], whole)
        for session in sessions:
            self.assertEqual(self.daemon.api("sessions/" + session)["session_id"], session)
        self.daemon.restart()
        self.assert_key_is_told("is another one", False)
        self.daemon.stop()
        for line in self.check(1).splitlines():
            self.assertIn("made with another digest.key, of a merged segment: no item", line)
        # Put back, it is as before; a file of another length is none.
        with open(keys[0], "rb") as file:
            other = file.read()
        for content, words in ((former, None), (former[:191], "it has not its 192 bytes"),
                               (former + b"x", "it has not its 192 bytes"), (other, "another")):
            with open(keys[0], "wb") as file:
                file.write(content)
            told = self.check(1 if words else 0)
            self.assertIn(words or "", told)
            self.assertEqual(bool(words), bool(told))
        done = self.daemon.cli_raw("check", "--rebuild")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check(0)
        self.daemon.start()
        self.assertNotIn('"code":"digest_key"', self.daemon.cli_raw("doctor", "--json").stdout)
        self.assertEqual(self.answers(), (whole, {()}))
        for session in sessions:
            self.assertEqual(self.daemon.api("sessions/" + session)["session_id"], session)


class MissingTest(Case):
    """A part of the directory that is gone as a whole: check says so, a start does, and after it all
    is well."""

    STATE = "the state file is missing, though its key is there"
    STORE = "the store is missing, though the state file is there"

    def setUp(self):
        self.daemon = Daemon().start()
        self.addCleanup(self.daemon.remove)
        self.addCleanup(lambda: self.daemon.process and self.daemon.kill())
        self.path = lambda name: os.path.join(self.daemon.data, name)
        self.daemon.post_traces(one_of("traces"))
        self.daemon.cli("space", "create", "team-a")

    def check(self, part, said):
        done = self.daemon.cli_raw("check", "--json")
        told = json.loads(done.stdout)
        one = told["stores"][0] if part == "store" else told["state"]
        self.assertEqual((done.returncode, told["whole"], one["whole"], one["exists"]),
                         (1, False, False, False))
        done = self.daemon.cli_raw("check")
        self.assertEqual(done.returncode, 1)
        self.assertIn(said, done.stderr)
        self.assertRegex(done.stdout, f"(?m)^{part} +GONE from /")

    def is_well(self):
        done = self.daemon.cli_raw("check")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("GONE", done.stdout)

    def goes(self, part, said):
        """It has gone, which nobody has told yet."""
        self.assertNotIn(said, self.daemon.log())
        self.check(part, said)
        self.daemon.start()
        self.assertIn(said, self.daemon.log())
        self.is_well()
        told = self.daemon.log().count(said)
        self.daemon.restart()
        self.assertEqual(self.daemon.log().count(said), told)
        self.daemon.stop()
        self.is_well()

    def test_state_file(self):
        self.daemon.stop()
        self.is_well()
        os.unlink(self.path("state.db"))
        self.goes("state", self.STATE)
        self.daemon.start()
        self.assertEqual(len(self.daemon.api("traces")["items"]), 1)
        self.assertEqual(self.daemon.api("audit")["items"], [])

    def test_state_file_after_a_kill(self):
        self.daemon.kill()
        self.is_well()
        os.unlink(self.path("state.db"))  # its log stays
        self.goes("state", self.STATE)

    def test_state_file_that_is_empty(self):
        self.daemon.stop()
        os.truncate(self.path("state.db"), 0)
        self.goes("state", self.STATE)

    def test_key_alone(self):
        """As a kill in a first start would leave it at worst."""
        self.daemon.stop()
        shutil.copy(self.path("state.key"), self.path("kept"))
        for name in os.listdir(self.daemon.data):
            path = self.path(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif name != "kept":
                os.unlink(path)
        os.rename(self.path("kept"), self.path("state.key"))
        self.goes("state", self.STATE)

    def test_state_and_key(self):
        """A store whose first start was cut off before there was a state file."""
        self.daemon.stop()
        os.unlink(self.path("state.db"))
        os.unlink(self.path("state.key"))
        self.is_well()
        self.daemon.start()
        self.assertNotIn(self.STATE, self.daemon.log())

    def test_store(self):
        self.daemon.stop()
        shutil.rmtree(self.path("store"))
        self.goes("store", self.STORE)
        self.daemon.start()
        self.assertEqual(self.daemon.api("traces")["items"], [])
        self.assertEqual(self.daemon.api("spaces")["total"], 2)

    def test_store_that_is_not_mounted(self):
        self.daemon.kill()
        shutil.rmtree(self.path("store"))
        os.mkdir(self.path("store"), 0o700)
        self.daemon.cli("check", "--rebuild", code=1)
        self.assertEqual(os.listdir(self.path("store")), [])
        self.goes("store", self.STORE)
        self.daemon.cli("check", "--rebuild")


if __name__ == "__main__":
    unittest.main()
