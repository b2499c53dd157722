#!/usr/bin/env python3
"""Storms of alarms with known truth through the real ports: what is linked, what is not, and that
every decision can be taken again, also after a kill -9 in the middle of it.

    tests/e2e/test_storm.py [SEEDS]     4 storms by default
"""
import sys
import unittest

from harness import Case, Daemon
from storms import MINUTES, Sender, Storm, f1, pairs

SEEDS = 4


class StormTest(Case):
    def play(self, seed):
        storm = Storm(seed)
        daemon = Daemon().start()
        try:
            sender = Sender(daemon)
            minute, sent = 0, 0
            for number, alarm in enumerate(storm.alarms):
                while minute < MINUTES and minute * 60 <= alarm["arrives"]:
                    sender.spans(storm, minute)
                    minute += 1
                sender.alarm(alarm)
                sent += 1
                if number == len(storm.alarms) // 2:
                    daemon.kill()
                    daemon.start()
            items = sender.decided(sent)
            self.assertEqual(len(items), sent)
            replayed = daemon.cli_json("triage", "replay")
            self.assertEqual(replayed["decisions"], sent)
            self.assertEqual(replayed["differences"], 0)
            found = {a["incident_id"]: a["decision"]["investigation_id"] for a in items}
            self.assertEqual(len(found), sent)
            for alarm in storm.alarms:
                alarm["found"] = found[alarm["incident"]]
            daemon.stop()
        finally:
            if daemon.process:
                daemon.kill()
            daemon.remove()
        return storm

    def test_storms(self):
        ours, by_service, groups, faults = [0, 0, 0], [0, 0, 0], 0, 0
        for seed in range(1, SEEDS + 1):
            storm = self.play(seed)
            mine = pairs(storm.alarms, lambda a: a["found"])
            for total, more in ((ours, mine),
                                (by_service, pairs(storm.alarms, lambda a: a["service"]))):
                for i in range(3):
                    total[i] += more[i]
            for truth in range(len(storm.faults)):
                of = {a["found"] for a in storm.alarms if a["truth"] == truth}
                groups += len(of)
                faults += bool(of)
            print(f"seed {seed}: {len(storm.alarms)} alarms, {len(storm.faults)} faults, "
                  f"F1 {f1(mine):.3f}")
        print(f"F1 {f1(ours):.3f} (by service {f1(by_service):.3f}), "
              f"{groups / max(faults, 1):.2f} investigations a fault")
        self.assertGreaterEqual(f1(ours), 0.9)
        self.assertLessEqual(groups / max(faults, 1), 1.25)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        SEEDS = int(sys.argv.pop(1))
    unittest.main()
