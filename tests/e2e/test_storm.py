#!/usr/bin/env python3
"""Storms of alarms with known truth through the real ports: what is linked, what is not, and that
every decision can be taken again, also after a kill -9 in the middle of it.

    tests/e2e/test_storm.py [SEEDS]     4 storms by default
"""
import sys
import unittest

from harness import Case, Daemon, wait_for
from storms import MINUTES, START, Sender, Storm, f1, pairs

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
            found = {(a["incident_id"], a["title"]): a["decision"]["investigation_id"]
                     for a in items}
            self.assertEqual(len(found), sent)
            for alarm in storm.alarms:
                alarm["found"] = found[alarm["incident"], alarm["title"]]
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


class LateTest(Case):
    """Alarms overtake the spans that made them fire, by more than an exporter's batch, and the
    daemon is killed in between: they are decided at once, and put right when the spans are there."""

    def test_what_came_late_is_looked_at(self):
        daemon = Daemon().start()
        try:
            sender = Sender(daemon)
            for number, service in enumerate(("shop", "stock")):
                sender.alarm({"incident": f"late-{number}", "title": f"{service} fails",
                              "service": service, "at": 1330 + number, "region": "us-east-1"})
            first = {a["service"]: a for a in sender.decided(2)}
            self.assertEqual([a["decision"]["verdict"] for a in first.values()], ["PROCEED"] * 2)
            daemon.kill()
            daemon.start()
            for minute in range(23):
                sender.spans(Cascade(minute), minute)

            def moved():
                shown = daemon.cli_json("alarm", "show", first["stock"]["alarm_id"])["decision"]
                return shown if shown["verdict"] == "LINKED" and shown["looks"] else None
            shown = wait_for("the second looks", moved)
            self.assertEqual(shown["reason_code"], "merged")
            self.assertEqual(shown["investigation_id"],
                             first["shop"]["decision"]["investigation_id"])
            self.assertEqual([(s["verdict"], s["who"]) for s in shown["history"]],
                             [("PROCEED", "midwatch"), ("LINKED", "midwatch")])
            looks = [look["look"] for alarm in first.values() for look in daemon.cli_json(
                "alarm", "show", alarm["alarm_id"])["decision"]["looks"]]
            self.assertEqual(sorted(looks), ["merges", "stays"])
            (look,) = shown["looks"]
            self.assertEqual(look["telemetry"]["suspects"][0]["service"], "stock")
            self.assertFalse(shown["telemetry"]["known"])
            page = daemon.cli("alarm", "explain", first["stock"]["alarm_id"])
            self.assertIn("Looked at again", page)
            self.assertIn("stock: 72 of 90 calls failed", page)
            replayed = daemon.cli_json("triage", "replay")
            self.assertEqual((replayed["decisions"], replayed["differences"]), (2, 0))
            # What was found before the spans were there is found again with them.
            incident = wait_for("the run with telemetry", lambda: next(
                (i for i in [daemon.cli_json("investigation", "show", shown["investigation_id"])]
                 if i["status"] == "COMPLETED" and i["root_cause"]["verdict"] == "PROBABLE"), None))
            self.assertEqual(incident["root_cause"]["candidates"][0]["service"], "stock")
            self.assertEqual(incident["center"], "stock")
            daemon.stop()
        finally:
            if daemon.process:
                daemon.kill()
            daemon.remove()


class Cascade:
    """A minute of shop > cart > stock; from minute 20 on stock fails."""

    def __init__(self, minute):
        self.minute = minute

    def request(self, minute):
        resources = []
        for depth, service in enumerate(("shop", "cart", "stock")):
            spans = [self.span(minute, number, depth) for number in range(30)]
            resources.append({
                "resource": {"attributes": [{"key": "service.name",
                                             "value": {"stringValue": service}}]},
                "scopeSpans": [{"spans": spans}]})
        return {"resourceSpans": resources}

    @staticmethod
    def span(minute, number, depth):
        begin = (START + minute * 60 + 2 * number) * 10 ** 9 + depth * 1000
        failed = minute >= 20 and number % 5 != 0
        return {"traceId": f"{minute + 1:016x}{number + 1:016x}", "spanId": f"{depth + 1:016x}",
                "parentSpanId": f"{depth:016x}" if depth else "", "name": "handle", "kind": 2,
                "startTimeUnixNano": str(begin),
                "endTimeUnixNano": str(begin + (30 - depth * 10) * 10 ** 6),
                "status": {"code": 2 if failed else 1}}


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        SEEDS = int(sys.argv.pop(1))
    unittest.main()
