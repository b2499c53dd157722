#!/usr/bin/env python3
"""What people do to alarms and incidents on the command line: what changes, what is refused, what
is kept of it; and that a page explains each verdict."""
import json
import os
import subprocess
import unittest

from harness import BINARY, Case, Daemon
from storms import Sender


class AlarmsTest(Case):
    def setUp(self):
        self.daemon = Daemon().start()
        self.sender = Sender(self.daemon)
        self.count = 0

    def tearDown(self):
        try:
            self.daemon.stop()
        finally:
            self.daemon.remove()

    def alarm(self, service, at, region="us-east-1"):
        self.count += 1
        incident = f"inc-{self.count}"
        self.sender.alarm({"incident": incident, "title": f"{service} is slow", "service": service,
                           "at": at, "region": region})
        items = self.sender.decided(self.count)
        return next(a for a in items if a["incident_id"] == incident)

    def now(self, alarm):
        return self.daemon.cli_json("alarm", "show", alarm["alarm_id"])["decision"]

    def status_of(self, *words):
        done = subprocess.run([BINARY, *words, "--data", self.daemon.data], capture_output=True,
                              text=True, check=False, env=self.daemon.environment())
        return done.returncode, done.stderr

    def test_a_night(self):
        one, two = self.alarm("shop", 60), self.alarm("shop", 90)
        other = self.alarm("pay", 100)
        first = one["decision"]["investigation_id"]
        self.assertEqual(two["decision"]["investigation_id"], first)
        self.assertEqual(two["decision"]["reason_code"], "same_service")
        self.assertEqual(other["decision"]["verdict"], "PROCEED")

        self.daemon.cli("alarm", "link", other["alarm_id"][:12], first[:12], "--why", "one outage")
        linked = self.now(other)
        self.assertEqual((linked["verdict"], linked["reason_code"], linked["investigation_id"]),
                         ("LINKED", "linked_by_person", first))
        self.assertEqual([step["verdict"] for step in linked["history"]], ["PROCEED", "LINKED"])
        self.assertTrue(linked["history"][1]["who"].startswith("local:"))
        self.assertIn("one outage", linked["history"][1]["reason"])
        left = self.daemon.cli_json("investigation", "show",
                                    other["decision"]["investigation_id"])
        self.assertEqual((left["incident_state"], left["merged_into"]), ("closed", first))

        self.daemon.cli("investigation", "claim", first)
        self.daemon.cli("investigation", "comment", first, "looking", "at", "it")
        shown = self.daemon.cli_json("investigation", "show", first)
        self.assertTrue(shown["owner"].startswith("local:"))
        self.assertEqual(len(shown["alarms"]), 3)
        self.assertTrue(any("looking at it" in r["text"] for r in shown["journal"]))
        self.daemon.cli("investigation", "split", first, other["alarm_id"])
        self.assertNotEqual(self.now(other)["investigation_id"], first)
        self.daemon.cli("alarm", "skip", two["alarm_id"])
        self.daemon.cli("investigation", "close", first)
        again = self.alarm("shop", 120)
        self.assertEqual(again["decision"]["verdict"], "PROCEED")

        actions = [a["action"] for a in self.daemon.cli_json("audit", "list")["items"]]
        for action in ("alarm.link", "alarm.skip", "investigation.claim", "investigation.comment",
                       "investigation.split", "investigation.close"):
            self.assertIn(action, actions)
        replayed = self.daemon.cli_json("triage", "replay")
        self.assertEqual((replayed["decisions"], replayed["differences"]), (4, 0))

    def test_refusals(self):
        one = self.alarm("shop", 60)
        own = one["decision"]["investigation_id"]
        self.assertEqual(self.status_of("alarm", "link", one["alarm_id"], own)[0], 6)
        self.assertEqual(self.status_of("alarm", "proceed", one["alarm_id"])[0], 6)
        self.assertEqual(self.status_of("alarm", "unlink", one["alarm_id"])[0], 6)
        self.assertEqual(self.status_of("alarm", "skip", "0" * 32)[0], 5)
        self.assertEqual(self.status_of("investigation", "merge", own, own)[0], 6)
        self.assertEqual(self.status_of("alarm", "link", one["alarm_id"])[0], 2)
        # Over TCP and without a token nothing is changed.
        answer = self.daemon.request("POST", f"/api/v1/alarms/{one['alarm_id']}/skip", b"{}",
                                     {"content-type": "application/json"})
        self.assertIn(answer.status, (401, 403))
        answer = self.daemon.request("POST", f"/api/v1/alarms/{one['alarm_id']}/skip",
                                     b'{"because": "no"}', {"content-type": "application/json"},
                                     port="socket")
        self.assertEqual(answer.status, 400)
        self.assertEqual(self.now(one)["verdict"], "PROCEED")

    def test_two_people(self):
        one, two = self.alarm("shop", 60), self.alarm("shop", 90)
        seen = two["decision"]["version"]
        own = one["decision"]["investigation_id"]
        shown = self.daemon.cli_json("investigation", "show", own)
        self.daemon.cli("alarm", "unlink", two["alarm_id"], "--version-seen", seen)
        for words in (("alarm", "skip", two["alarm_id"], "--version-seen", seen),
                      ("investigation", "close", own, "--version-seen", shown["version"])):
            code, text = self.status_of(*words)
            self.assertEqual(code, 6, text)
            self.assertIn("has changed", text)
        now = self.now(two)
        self.assertEqual(now["verdict"], "PROCEED")
        self.assertNotEqual(now["version"], seen)
        self.daemon.cli("alarm", "skip", two["alarm_id"], "--version-seen", now["version"])
        version = self.daemon.cli_json("investigation", "show", own)["version"]
        self.daemon.cli("investigation", "close", own, "--version-seen", version)

    def test_explain(self):
        one, two = self.alarm("shop\x1b[31m", 60), self.alarm("shop\x1b[31m", 90)
        elsewhere = self.alarm("shop\x1b[31m", 95, region="eu-west-1")
        page = self.daemon.cli("alarm", "explain", two["alarm_id"])
        self.assertNotIn("\x1b", page)
        for words in ("LINKED", "same_service", "0.400 is needed", "component", "+0.440",
                      "no spans of its service", f"alarm unlink {two['alarm_id'][:12]}"):
            self.assertIn(words, page)
        self.assertIn("PROCEED", self.daemon.cli("alarm", "explain", one["alarm_id"]))
        # What was weighed is told apart from what became of it.
        self.assertNotIn("When it was decided first", page)
        self.daemon.cli("alarm", "unlink", two["alarm_id"])
        page = self.daemon.cli("alarm", "explain", two["alarm_id"])
        order = ("proceeded_by_person", "When it was decided first:", "0.400 is needed",
                 "What was decided before")
        places = [page.index(words) for words in order]
        self.assertEqual(places, sorted(places))
        self.assertIn("another region", self.daemon.cli("alarm", "explain",
                                                        elsewhere["alarm_id"]))

    def test_imported_calls(self):
        path = os.path.join(self.daemon.data, "calls.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"edges": [["web", "broker"], ["broker", "queue"], ["web", "broker"]]}, file)
        self.assertEqual(self.daemon.cli_json("topology", "import", path), {"edges": 2})
        web, queue = self.alarm("web", 60), self.alarm("queue", 70)
        self.assertEqual(queue["decision"]["reason_code"], "call_path")
        self.assertEqual(queue["decision"]["investigation_id"],
                         web["decision"]["investigation_id"])
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"calls": []}')
        self.assertEqual(self.status_of("topology", "import", path)[0], 1)


if __name__ == "__main__":
    unittest.main()
