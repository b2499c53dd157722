#!/usr/bin/env python3
"""Investigations, plans and deployments through the real program: the demo's incident from its
alarms to an approved plan, an investigation by hand, cancelling, and real faults that are small
enough to lie here."""
import datetime
import json
import os
import subprocess
import sys
import unittest

from harness import ROOT, Case, Daemon, DaemonCase, wait_for

CASES = os.path.join(ROOT, "tests/data/rca")


def status_of(daemon, investigation_id):
    return daemon.cli_json("investigation", "show", investigation_id)["status"]


def investigated(daemon, like, service):
    """What an investigation of a service says, at the moment of another one's last alarm."""
    alarms = daemon.cli_json("investigation", "show", like)["alarms"]
    at = int(alarms[-1]["started_at_unix_nano"]) // 10 ** 9
    moment = datetime.datetime.fromtimestamp(at, datetime.timezone.utc)
    made = daemon.cli_json("investigation", "create", "--service", service, "--at",
                           moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    wait_for("the run to end",
             lambda: status_of(daemon, made["investigation_id"]) == "COMPLETED")
    return daemon.cli_json("investigation", "show", made["investigation_id"])


class BothStories(DaemonCase):
    """Two faults in one window, with no call between them."""

    def test_each_is_told_of_its_own(self):
        demo = self.daemon.cli_json("demo", "--incident")
        self.daemon.cli("demo")
        shown = investigated(self.daemon, demo["investigation_id"], "support-desk")
        cause = shown["root_cause"]
        services = [c["service"] for c in cause["candidates"]]
        self.assertIn(services[0], ("order-tools", "support-desk"), cause["summary"])
        self.assertIn("order-tools", services)
        self.assertGreater(services.index("payments"), services.index("order-tools"))
        self.assertIn("payment-gateway", json.dumps(cause["candidates"][0]))
        self.assertIn(services[0], cause["summary"])
        self.assertNotIn("payments", cause["summary"])
        self.assertNotIn("rollout", json.dumps(shown["plan"]) if shown["plan"] else "")


class DemoIncident(DaemonCase):
    @classmethod
    def prepare(cls):
        cls.demo = cls.daemon.cli_json("demo", "--incident")
        cls.id = cls.demo["investigation_id"]
        wait_for("the last run to end", lambda: status_of(cls.daemon, cls.id) == "COMPLETED")
        cls.shown = cls.daemon.cli_json("investigation", "show", cls.id)

    def test_three_alarms_are_one_incident(self):
        alarms = [self.daemon.cli_json("alarm", "show", a) for a in self.demo["alarm_ids"]]
        self.assertEqual([a["decision"]["verdict"] for a in alarms],
                         ["PROCEED", "LINKED", "LINKED"])
        self.assertEqual({a["decision"]["investigation_id"] for a in alarms}, {self.id})
        self.assertEqual(len(self.shown["alarms"]), 3)

    def test_the_cause_is_named_with_its_evidence(self):
        cause = self.shown["root_cause"]
        self.assertEqual(cause["verdict"], "PROBABLE", cause["summary"])
        first = cause["candidates"][0]
        self.assertEqual((first["service"], first["kind"]), ("payments", "errors"))
        self.assertGreater(cause["confidence"], 0.5)
        self.assertIn("2.4.0", cause["summary"])
        kinds = {e["kind"] for reason in first["reasons"] for e in reason["evidence"]}
        self.assertLessEqual({"span", "log", "deployment", "red"}, kinds)
        self.assertIn("storefront", [r["service"] for r in cause["ruled_out"]])
        self.assertEqual([g["code"] for g in cause["gaps"]], ["no_metrics"])
        broken = int(self.shown["alarms"][0]["started_at_unix_nano"]) // 10 ** 9 - 120
        self.assertAlmostEqual(int(cause["onset_unix_nano"]) // 10 ** 9, broken, delta=45)

    def test_every_command_of_the_evidence_works(self):
        queries = {e["query"] for c in self.shown["root_cause"]["candidates"]
                   for reason in c["reasons"] for e in reason["evidence"]}
        self.assertGreater(len(queries), 3)
        for query in queries:
            self.assertTrue(query.startswith("midwatch "), query)
            self.assertTrue(self.daemon.cli(*query.split()[1:]), query)

    def test_a_service_that_does_not_call_it_gets_no_plan_for_it(self):
        for service in ("billing-batch", "catalog"):
            shown = investigated(self.daemon, self.id, service)
            cause = shown["root_cause"]
            self.assertEqual(cause["verdict"], "INCONCLUSIVE", cause["summary"])
            self.assertLess(cause["confidence"], 0.3)
            self.assertNotIn("suffers", json.dumps(cause))
            self.assertIsNone(shown["plan"])
            gaps = {gap["code"]: gap["text"] for gap in cause["gaps"]}
            self.assertIn("from %s to what else is wrong: payments" % service, gaps["no_path"])

    def test_the_page_and_the_document(self):
        page = self.daemon.cli("investigation", "show", self.id)
        order = [page.index(word) for word in ("root cause PROBABLE", "gaps", "plan PROPOSED",
                                               "alarms", "journal")]
        self.assertEqual(order, sorted(order))
        text = self.daemon.cli("investigation", "show", self.id, "--format", "markdown")
        self.assertTrue(text.startswith("# payments: error rate above 5 %\n"), text[:80])
        for part in ("## Root cause", "## Candidates", "## Plan", "### Apply", "## Journal"):
            self.assertIn(part, text)
        self.daemon.cli("investigation", "show", self.id, "--format", "yaml", code=2)
        self.daemon.cli("investigation", "show", self.id, "--format", "markdown", "--json", code=2)

    def test_journal_has_each_step(self):
        types = [record["type"] for record in self.shown["journal"]]
        self.assertEqual(types[-1], "SUMMARY")
        self.assertLessEqual({"PLANNING", "SEARCHING", "FINDING", "ANALYSIS"}, set(types))

    def test_deployments(self):
        items = self.daemon.cli_json("deployment", "list", "--service", "payments")["items"]
        self.assertEqual([d["version"] for d in items], ["2.4.0", "2.3.9"])
        self.assertEqual([d["previous_version"] for d in items], ["2.3.9", None])
        self.assertTrue(items[0]["recorded_by"].startswith("local:"))
        shown = self.daemon.cli_json("deployment", "show", items[0]["deployment_id"][:8])
        self.assert_json(shown, items[0])
        self.assertEqual(self.daemon.cli_json("deployment", "list", "--service", "x")["total"], 0)
        self.daemon.cli("deployment", "record", "--service", "search", code=2)
        self.daemon.cli("deployment", "record", "--service", "s", "--version", "1", "--time",
                        "yesterday", code=2)
        self.daemon.cli("deployment", "show", "ffffffff", code=5)


class PlanTest(Case):
    """Approval is of the plan that was read."""

    def setUp(self):
        self.daemon = Daemon().start()
        self.id = self.daemon.cli_json("demo", "--incident")["investigation_id"]
        wait_for("the run to end", lambda: status_of(self.daemon, self.id) == "COMPLETED")

    def tearDown(self):
        try:
            self.daemon.stop()
        finally:
            self.daemon.remove()

    def test_approve(self):
        plan = self.daemon.cli_json("plan", "show", self.id)
        self.assertEqual(plan["status"], "PROPOSED")
        self.assertEqual([p["name"] for p in plan["phases"]],
                         ["Prepare", "Pre-Validate", "Apply", "Post-Validate"])
        self.assertIn("2.4.0 to 2.3.9", plan["phases"][2]["steps"][0]["title"])
        self.daemon.cli("plan", "approve", self.id, code=2)
        self.assertIn("has changed", self.refused("approve", "0" * 64))
        self.assertEqual(self.daemon.cli_json("plan", "show", self.id)["status"], "PROPOSED")
        done = self.daemon.cli_json("plan", "approve", self.id, "--hash", plan["plan_hash"],
                                    "--comment", "looks right")
        self.assertEqual((done["status"], done["comment"]), ("APPROVED", "looks right"))
        self.assertTrue(done["judged_by"].startswith("local:"), done["judged_by"])
        # Judged once; also over a restart.
        for verb in ("reject", "approve"):
            said = self.refused(verb, plan["plan_hash"])
            self.assertIn(f"APPROVED already, by {done['judged_by']} at {done['judged_at']}", said)
            self.assertNotIn("read it again", said)
        self.assertIn("has changed", self.refused("reject", "0" * 64))
        self.daemon.restart()
        self.assert_json(self.daemon.cli_json("plan", "show", self.id), done)
        rows = self.daemon.cli_json("audit", "list")["items"]
        self.assertEqual([(r["action"], r["outcome"]) for r in rows if "plan." in r["action"]],
                         [("plan.reject", "failed"), ("plan.approve", "failed"),
                          ("plan.reject", "failed"), ("plan.approve", "ok"),
                          ("plan.approve", "failed")])
        shown = self.daemon.cli_json("investigation", "show", self.id)
        self.assert_json(shown["plan"], done)

    def refused(self, verb, plan_hash):
        done = self.daemon.cli_raw("plan", verb, self.id, "--hash", plan_hash)
        self.assertEqual(done.returncode, 6, done.stderr)
        return done.stderr

    def test_reject(self):
        plan = self.daemon.cli_json("plan", "show", self.id)
        self.daemon.cli("plan", "reject", self.id, "--hash", plan["plan_hash"])
        self.assertIn("REJECTED already, by local:", self.refused("approve", plan["plan_hash"]))

    def test_another_run_with_the_same_plan_leaves_the_judgement(self):
        plan = self.daemon.cli_json("plan", "show", self.id)
        self.daemon.cli("plan", "approve", self.id, "--hash", plan["plan_hash"])
        alarm = self.daemon.cli_json("investigation", "show", self.id)["alarms"][-1]["alarm_id"]
        self.daemon.cli("alarm", "unlink", alarm)
        self.daemon.cli("alarm", "link", alarm, self.id)
        wait_for("the run to end", lambda: status_of(self.daemon, self.id) == "COMPLETED")
        again = self.daemon.cli_json("plan", "show", self.id)
        if again["plan_hash"] == plan["plan_hash"]:
            self.assertEqual(again["status"], "APPROVED")
        else:
            self.assertEqual(again["status"], "PROPOSED")

    def test_changes_need_the_socket(self):
        plan = self.daemon.cli_json("plan", "show", self.id)
        for path, body in ((f"investigations/{self.id}/plan/approve",
                            {"plan_hash": plan["plan_hash"]}),
                           (f"investigations/{self.id}/cancel", {}),
                           ("investigations", {"service": "x"}),
                           ("deployments", {"service": "x", "version": "1"})):
            answer = self.daemon.request("POST", "/api/v1/" + path, json.dumps(body),
                                         {"content-type": "application/json"})
            self.assertEqual(answer.status, 403, (path, answer.body))
            self.assertEqual(self.daemon.request("POST", "/api/v1/" + path, "{", {
                "content-type": "application/json"}, port="socket").status, 400, path)


class ByHand(DaemonCase):
    @classmethod
    def prepare(cls):
        cls.daemon.cli("demo", "--incident")

    def test_create(self):
        made = self.daemon.cli_json("investigation", "create", "--service", "storefront", "--at",
                                    "3m", "--title", "is it the shop?")
        self.assertEqual((made["service"], made["title"], made["alarms"]),
                         ("storefront", "is it the shop?", []))
        wait_for("the run to end",
                 lambda: status_of(self.daemon, made["investigation_id"]) == "COMPLETED")
        shown = self.daemon.cli_json("investigation", "show", made["investigation_id"])
        self.assertEqual(shown["root_cause"]["candidates"][0]["service"], "payments")
        self.daemon.cli("investigation", "cancel", made["investigation_id"], code=6)
        self.daemon.cli("investigation", "create", code=2)
        self.daemon.cli("investigation", "create", "--service", "x", "--at", "soon", code=2)
        self.daemon.cli("investigation", "cancel", "ffffffff", code=5)

    def test_silence_is_inconclusive(self):
        made = self.daemon.cli_json("investigation", "create", "--service", "nobody", "--at",
                                    "2001-01-01")
        wait_for("the run to end",
                 lambda: status_of(self.daemon, made["investigation_id"]) == "COMPLETED")
        shown = self.daemon.cli_json("investigation", "show", made["investigation_id"])
        cause = shown["root_cause"]
        self.assertEqual((cause["verdict"], cause["candidates"], cause["onset"]),
                         ("INCONCLUSIVE", [], None))
        codes = {gap["code"] for gap in cause["gaps"]}
        self.assertLessEqual({"no_telemetry", "no_spans", "service_silent", "no_change"}, codes)
        self.assertIsNone(shown["plan"])
        self.daemon.cli("plan", "show", made["investigation_id"], code=5)


class RealFaults(Case):
    """tests/accuracy on the cases that lie here: the same way, in small."""

    def test_cases(self):
        run = subprocess.run([sys.executable, os.path.join(ROOT, "tests/accuracy/run.py"), CASES,
                              "--build", os.environ.get("MIDWATCH_BUILD", "build"),
                              "--at-least", "nezha=1", "--at-least", "petshop=1"],
                             capture_output=True, text=True, check=False, cwd=ROOT)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("AC@1", run.stdout)


if __name__ == "__main__":
    unittest.main()
