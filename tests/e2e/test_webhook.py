#!/usr/bin/env python3
"""The alarm line: a webhook made by the command line, alarms signed as the README says, one
decision each, and an investigation that names the failing spans."""
import json
import subprocess
import time
import unittest
from urllib.parse import urlsplit

from captures import send_capture
from harness import Case, Daemon, trace_captures, wait_for

# The README's line: HMAC-SHA256 over "timestamp:body", base64.
SIGN = r'''printf '%s:%s' "$TIME" "$BODY" | openssl dgst -sha256 -hmac "$SECRET" -binary | base64 -w0'''


def sign(secret, timestamp, body):
    done = subprocess.run(["bash", "-c", SIGN], capture_output=True, text=True, check=True,
                          env={"PATH": "/usr/bin:/bin", "SECRET": secret, "TIME": timestamp,
                               "BODY": body})
    return done.stdout


def utc(offset_s=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset_s))


def alarm(incident, action="created", **more):
    body = {"eventType": "incident", "incidentId": incident, "action": action,
            "priority": "HIGH", "title": "triage-agent: tool errors above 5 %",
            "description": "search_logs fails", "service": "triage-agent"}
    return {**body, **more}


class WebhookTest(Case):
    def setUp(self):
        self.daemon = Daemon().start()
        self.agent = next(c for c in trace_captures()
                          if c["case"] == "trace-agent_session-http-protobuf-none")
        self.hook = self.daemon.cli_json("webhook", "create", "--name", "night", "--source",
                                         "devops-agent")
        self.path = urlsplit(self.hook["url"]).path

    def tearDown(self):
        try:
            self.daemon.stop()
        finally:
            self.daemon.remove()

    def signed(self, body, timestamp=None, secret=None):
        """(text, headers) of a delivery."""
        text = body if isinstance(body, str) else json.dumps(body)
        timestamp = timestamp or utc()
        return text, {"content-type": "application/json", "x-amzn-event-timestamp": timestamp,
                      "x-amzn-event-signature": sign(secret or self.hook["secret"], timestamp,
                                                     text)}

    def post(self, text, headers, path=None):
        return self.daemon.request("POST", path or self.path, text.encode(), headers)

    def deliver(self, body, **more):
        return self.post(*self.signed(body, **more))

    def alarms(self):
        return self.daemon.cli_json("alarm", "list")["items"]

    def decided(self, incident):
        """All alarms of an incident, newest received last, once each has its decision."""
        def ask():
            found = [a for a in self.alarms() if a["incident_id"] == incident]
            return found if found and all(a["decision"] for a in found) else None
        found = wait_for(f"a decision for {incident}", ask)
        return sorted(found, key=lambda a: a["received_at"])

    def test_create_shows_the_secret_once(self):
        self.assertEqual(self.hook["name"], "night")
        self.assertEqual(self.hook["source"], "devops-agent")
        self.assertEqual(urlsplit(self.hook["url"]).netloc, self.daemon.endpoints["web"])
        self.assertIn(self.hook["id"], self.path)
        self.assertGreaterEqual(len(self.hook["secret"]), 32)
        listed = self.daemon.cli("webhook", "list", "--json")
        self.assertNotIn(self.hook["secret"], listed)
        self.assertNotIn("secret", json.loads(listed)["items"][0])
        with open(f"{self.daemon.data}/state.db", "rb") as database:
            self.assertNotIn(self.hook["secret"].encode(), database.read())
        self.assertNotIn(self.hook["secret"], self.daemon.log())

    def test_alarm_to_investigation(self):
        spans = self.agent["expected"]["span_list"]
        send_capture(self.daemon, self.agent)
        failing = next(s for s in spans if s["status_code"] == 2)
        at = int(failing["end"]) // 10 ** 9 + 1
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        answer = self.deliver(alarm("inc-1", timestamp=stamp,
                                    data={"metadata": {"region": "eu-west-1"}}))
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json()["message"], "Webhook received")
        (found,) = self.decided("inc-1")
        self.assertEqual(found["action"], "created")
        self.assertEqual(found["priority"], "HIGH")
        self.assertEqual(found["service"], "triage-agent")
        self.assertEqual(found["region"], "eu-west-1")
        self.assertEqual(found["started_at_unix_nano"], str(at * 10 ** 9))
        self.assertEqual(found["decision"]["verdict"], "PROCEED")
        investigation_id = found["decision"]["investigation_id"]

        def completed():
            shown = self.daemon.cli_json("investigation", "show", investigation_id)
            return shown if shown["status"] == "COMPLETED" else None
        shown = wait_for("the investigation to complete", completed)
        self.assertEqual(shown["incident_state"], "open")
        self.assertEqual([a["alarm_id"] for a in shown["alarms"]], [found["alarm_id"]])
        self.assertIn(failing["span_id"], json.dumps(shown))
        self.assertIn(failing["trace_id"], json.dumps(shown))
        evidence = [e for record in shown["journal"] for e in record["evidence"]]
        refs = {e["ref"].get("span_id") for e in evidence if e["kind"] == "span"}
        self.assertIn(failing["span_id"], refs)
        # Nothing but the failing span is named as one.
        self.assertNotIn(spans[0]["span_id"], refs)
        text = self.daemon.cli("inv", "show", investigation_id)
        self.assertIn("execute_tool search_logs", text)
        self.assertIn("triage-agent", text)
        listed = self.daemon.cli_json("investigation", "list")["items"]
        self.assertEqual([i["investigation_id"] for i in listed], [investigation_id])

    def test_unauthorized(self):
        text, headers = self.signed(alarm("inc-2"))
        cases = {
            "wrong secret": self.signed(alarm("inc-2"), secret="whsec_wrong"),
            "changed body": (text.replace("HIGH", "LOW"), headers),
            "changed time": (text, {**headers, "x-amzn-event-timestamp": utc(-60)}),
            "stale": self.signed(alarm("inc-2"), timestamp=utc(-330)),
            "from the future": self.signed(alarm("inc-2"), timestamp=utc(400)),
            "odd time": self.signed(alarm("inc-2"), timestamp="1773480413"),
            "no signature": (text, {k: v for k, v in headers.items() if "signature" not in k}),
            "no time": (text, {k: v for k, v in headers.items() if "timestamp" not in k}),
            "short signature": (text, {**headers, "x-amzn-event-signature": "AAAA"}),
        }
        for name, (body, sent) in cases.items():
            with self.subTest(case=name):
                answer = self.post(body, sent)
                self.assertEqual(answer.status, 401)
                self.assertEqual(answer.json(), {"error": "unauthorized"})
        self.assertEqual(self.alarms(), [])
        # Near its edge the window is open; the rest of it is for a machine that takes its time.
        self.assertEqual(self.deliver(alarm("inc-2"), timestamp=utc(-270)).status, 200)
        self.assertEqual(len(self.decided("inc-2")), 1)

    def test_replay_makes_nothing(self):
        delivery = self.signed(alarm("inc-3"))
        self.assertEqual(self.post(*delivery).status, 200)
        self.assertEqual(self.post(*delivery).status, 200)
        self.assertEqual(len(self.decided("inc-3")), 1)
        self.daemon.restart()
        self.assertEqual(self.post(*delivery).status, 200)
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.post(*delivery).status, 200)
        self.assertEqual(len(self.decided("inc-3")), 1)
        self.assertEqual(self.alarms()[0]["events"], [])
        metrics = self.daemon.get("/metrics").body.decode()
        self.assertIn('midwatch_webhook_refused_total{reason="replay"} 1\n', metrics)

    def test_life_of_an_incident(self):
        self.assertEqual(self.deliver(alarm("inc-4")).status, 200)
        (first,) = self.decided("inc-4")
        # Signed again while it is open: an alarm of its own, skipped.
        self.assertEqual(self.deliver(alarm("inc-4", title="again")).status, 200)
        first, second = self.decided("inc-4")
        self.assertEqual(second["decision"]["verdict"], "SKIPPED")
        self.assertEqual(second["decision"]["reason_code"], "duplicate")
        self.assertEqual(second["decision"]["investigation_id"],
                         first["decision"]["investigation_id"])
        # Updated and resolved are events of the first.
        self.assertEqual(self.deliver(alarm("inc-4", action="updated")).status, 200)
        self.assertEqual(self.deliver(alarm("inc-4", action="resolved")).status, 200)
        first, second = self.decided("inc-4")
        self.assertEqual([e["action"] for e in first["events"]][-2:], ["updated", "resolved"])
        self.assertEqual(second["decision"]["verdict"], "SKIPPED")
        shown = self.daemon.cli_json("alarm", "show", first["alarm_id"])
        self.assertEqual(shown["alarm_id"], first["alarm_id"])
        # After that it is a new alarm.
        self.assertEqual(self.deliver(alarm("inc-4", title="once more")).status, 200)
        third = self.decided("inc-4")[2]
        self.assertEqual(third["decision"]["verdict"], "PROCEED")
        # The end of what never began.
        self.assertEqual(self.deliver(alarm("inc-5", action="resolved")).status, 200)
        (unknown,) = self.decided("inc-5")
        self.assertEqual((unknown["decision"]["verdict"], unknown["decision"]["reason_code"]),
                         ("SKIPPED", "unknown_incident"))
        self.assertIsNone(unknown["decision"]["investigation_id"])

    def test_refusals(self):
        text, headers = self.signed(alarm("inc-6"))
        unknown = self.path.replace(self.hook["id"], "0" * 32)
        self.assertEqual(self.post(text, headers, unknown).status, 404)
        self.assertEqual(self.daemon.request("GET", self.path).status, 405)
        answer = self.deliver("{not json")
        self.assertEqual(answer.status, 400)
        bad = {"priority": "URGENT", "action": "opened", "eventType": "alarm", "incidentId": "",
               "title": 7}
        for field, value in bad.items():
            with self.subTest(field=field):
                answer = self.deliver({**alarm("inc-6"), field: value})
                self.assertEqual(answer.status, 400)
                self.assertEqual(answer.json()["field"], field)
        missing = alarm("inc-6")
        del missing["priority"]
        answer = self.deliver(missing)
        self.assertEqual((answer.status, answer.json()["field"]), (400, "priority"))
        twice = json.dumps(alarm("inc-6")).replace('"action"', '"priority": "LOW", "action"')
        self.assertEqual(self.deliver(twice).status, 400)
        # Size comes before the signature.
        large = json.dumps(alarm("inc-6", description="x" * 300000))
        self.assertEqual(self.post(large, headers).status, 413)
        self.assertEqual(self.deliver("[" * 100000).status, 400)
        self.assertEqual(self.alarms(), [])

    def test_create_refuses_what_it_does_not_know(self):
        done = self.daemon.cli_raw("webhook", "create", "--name", "x", "--source", "nowhere")
        self.assertEqual(done.returncode, 2)
        self.assertIn("devops-agent", done.stderr)


if __name__ == "__main__":
    unittest.main()
