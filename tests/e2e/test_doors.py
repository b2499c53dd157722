#!/usr/bin/env python3
"""Webhooks through the real port: the attack rows of the facts that are about these sources, two
secrets, limits, addresses, the life of an endpoint, and all three sources.

Rows 1 to 22 and where they are: 1 to 5, 9, 10 what_is_not_signed_right, the_window, variants; 6
a_replay_across_stops_and_kills; 7, 12 enumeration; 8 headers_sent_twice; 11, 12 by the clock
tests/soak/test_timing.py, by the work unit/webhook/test_constant_work.c; 13 large_and_deep_bodies and
bodies_without_end; 14 slow_bodies; 15 to 17 large_and_deep_bodies; 21 without_grace, with_grace; 22
bad_signatures_are_told_to_wait, a_flood_leaves_few_rows. 18 to 20 are of sources that are not there
(SNS, PagerDuty, Slack).
"""
import base64
import json
import os
import socket
import tempfile
import threading
import time
import unittest

from harness import SLOWNESS, Case, Daemon, wait_for
from senders import Door, alert, group, incident, signature, utc

VECTORS = os.path.join(os.path.dirname(__file__), "../data/webhook-bearer-vectors.json")
MAPPING = {"events": "/alerts",
           "fields": {"incident_id": "/id", "title": "/what/title", "action": "/state",
                      "priority": "/sev", "service": "/tags/service", "started_at": "/since"},
           "values": {"action": {"Triggered": "created", "Recovered": "resolved"},
                      "priority": {"P1": "CRITICAL"}},
           "defaults": {"priority": "LOW"}}


class DoorCase(Case):
    arguments = ()

    def setUp(self):
        self.daemon = Daemon(arguments=self.arguments).start()
        self.door = Door(self.daemon)

    def tearDown(self):
        try:
            if self.daemon.process:
                self.daemon.stop()
        finally:
            self.daemon.remove()

    def alarms(self):
        return self.daemon.cli_json("alarm", "list")["items"]

    def refused(self, answer, status=401):
        self.assertEqual(answer.status, status, answer.body)
        if status == 401:
            self.assertEqual(answer.body, b'{"error":"unauthorized"}')

    def metric(self, line):
        text = self.daemon.get("/metrics").body.decode()
        found = [row for row in text.splitlines() if row.startswith(line + " ")]
        return int(found[0].rsplit(" ", 1)[1])

    def audited(self, action, outcome=None):
        return [row for row in self.daemon.cli_json("audit", "list", "--limit", "1000")["items"]
                if row["action"] == action and outcome in (None, row["outcome"])]


class SignatureTest(DoorCase):
    """Rows 1 to 5, 8 to 10."""

    def test_what_is_not_signed_right_is_refused_alike(self):
        text = json.dumps(incident("i-1"))
        good = self.door.headers(text)
        sign, stamp = good["x-amzn-event-signature"], good["x-amzn-event-timestamp"]
        cases = {
            "no signature": {k: v for k, v in good.items() if "signature" not in k},
            "other secret": self.door.headers(text, secret="whsec_other"),
            "one bit": {**good, "x-amzn-event-signature":
                        ("B" if sign[0] != "B" else "C") + sign[1:]},
            "time changed": {**good, "x-amzn-event-timestamp": utc(-1)},
            "without padding": {**good, "x-amzn-event-signature": sign[:-1]},
            "body alone": {**good, "x-amzn-event-signature":
                           signature(self.door.secret, "", text)},
            "hex": {**good, "x-amzn-event-signature": "ab" * 32},
            "long": {**good, "x-amzn-event-signature": "A" * 20000},
        }
        for name, headers in cases.items():
            with self.subTest(case=name):
                self.refused(self.door.post(text, headers))
        self.refused(self.door.post(text.replace("HIGH", "LOW"), good))
        self.assertEqual(self.alarms(), [])
        # The difference is for the audit.
        reasons = {row["detail"].split(",")[0] for row in wait_for(
            "refusals in the audit",
            lambda: len(self.audited("webhook.deliver", "denied")) >= 2 and
            self.audited("webhook.deliver", "denied"))}
        self.assertLessEqual(reasons, {"no_signature", "bad_signature"})
        self.assertEqual({row["subject"] for row in self.audited("webhook.deliver")},
                         {self.door.id})
        self.assertEqual(self.door.post(text, {**good, "x-amzn-event-timestamp": stamp}).status,
                         200)

    def test_variants(self):
        # Rows 9, 10.
        door = Door(self.daemon)
        secret = base64.b64decode(door.secret.removeprefix("whsec_"))
        for i in range(200):  # one whose text has what another alphabet writes otherwise
            text = json.dumps(incident(f"v-{i}"))
            good = door.headers(text)
            sign, stamp = good["x-amzn-event-signature"], good["x-amzn-event-timestamp"]
            if "+" in sign or "/" in sign:
                break
        raw = base64.b64decode(sign)
        variants = {
            "URL-safe": base64.urlsafe_b64encode(raw).decode(), "31 bytes": raw[:31],
            "33 bytes": raw + b"x", "none": b"", "blanks": sign[:20] + " " + sign[20:],
            "twice": f"{sign},{sign}", "prefixed": f"v1={sign}", "hex": raw.hex(),
            "secret decoded": signature(secret, stamp, text),
            "secret with a line's end": signature(door.secret + "\n", stamp, text),
            "body alone": signature(door.secret, stamp, "").replace("=", "A"),
            "empty secret": signature("", stamp, text)}
        for name, value in variants.items():
            with self.subTest(case=name):
                value = base64.b64encode(value).decode() if isinstance(value, bytes) else value
                answer = door.post(text, {**good, "x-amzn-event-signature": value})
                # Ten are refused in a minute, then it is "later".
                self.assertIn(answer.status, (401, 429))
        self.assertEqual(door.post(text, {**good, "x-amzn-event-signature":
                                          "A" * (1 << 20)}).status, 431)
        self.assertEqual(self.alarms(), [])
        self.assertEqual(door.post(text, good).status, 200)

    def test_bodies_without_end(self):
        # Row 13: cut at the limit, without waiting for the rest.
        with socket.create_connection(self.daemon.address("web"), timeout=60) as client:
            client.sendall(self.head("x", "Transfer-Encoding: chunked"))
            sent, chunk = 0, b"10000\r\n" + b"x" * 65536 + b"\r\n"
            try:
                while sent < 64 << 20:
                    client.sendall(chunk)
                    sent += 65536
            except OSError:
                pass
            self.assertLess(sent, 48 << 20)  # what is dropped, and what sockets hold
            try:
                self.assertIn(b" 413 ", client.recv(65536).split(b"\r\n")[0])
            except ConnectionResetError:
                pass  # the answer was there, and went with what we sent behind it
        self.assertEqual(self.door.send(incident("after")).status, 200)

    def test_slow_bodies(self):
        # Row 14: given up, and the places are free again.
        begun = time.monotonic()
        text = json.dumps(incident("slow"))
        lines = [socket.create_connection(self.daemon.address("web"), timeout=60)
                 for _ in range(20)]
        for line in lines:
            line.sendall(self.head(text, f"Content-Length: {len(text)}"))
        open_lines, answers = list(lines), []
        while open_lines and time.monotonic() - begun < 60 * SLOWNESS:
            time.sleep(1)
            self.assertEqual(self.daemon.get("/healthz").status, 200)
            for line in list(open_lines):
                try:
                    line.sendall(text[:1].encode())
                    line.setblocking(False)
                    got = line.recv(65536)
                    line.setblocking(True)
                except BlockingIOError:
                    line.setblocking(True)
                    continue
                except OSError:
                    got = b""
                answers.append(got)
                open_lines.remove(line)
        self.assertEqual(open_lines, [])
        self.assertGreaterEqual(sum(b" 408 " in got for got in answers), 15, answers)
        self.assertLess(time.monotonic() - begun, 40 * SLOWNESS)
        for line in lines:
            line.close()
        self.assertEqual(self.alarms(), [])
        self.assertEqual(self.door.send(incident("after")).status, 200)

    def test_the_window(self):
        self.refused(self.door.send(incident("i-2"), timestamp=utc(-302)))
        self.refused(self.door.send(incident("i-2"), timestamp=utc(330)))
        self.assertEqual(self.door.send(incident("i-2"), timestamp=utc(-270)).status, 200)
        self.assertEqual(self.door.send(incident("i-2"), timestamp=utc(290)).status, 200)

    def raw(self, head, body, pause=0):
        with socket.create_connection(self.daemon.address("web"), timeout=60) as client:
            client.sendall(head)
            for i in range(len(body)):
                client.sendall(body[i:i + 1])
                if pause:
                    time.sleep(pause)
            client.settimeout(60)
            got = b""
            while True:
                piece = client.recv(65536)
                if not piece:
                    return got
                got += piece

    def head(self, text, *lines):
        sent = self.door.headers(text)
        rows = [f"{name}: {value}" for name, value in sent.items()] + list(lines)
        return ("POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n\r\n" %
                (self.door.path, "\r\n".join(rows))).encode()

    def test_headers_sent_twice(self):
        text = json.dumps(incident("i-3"))
        sent = self.door.headers(text)
        for name in ("x-amzn-event-signature", "x-amzn-event-timestamp"):
            answer = self.raw(self.head(text, f"{name}: {sent[name]}",
                                        f"Content-Length: {len(text)}"), text.encode())
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assertEqual(self.alarms(), [])

    def test_bodies_in_pieces_and_ambiguous_ones(self):
        text = json.dumps(incident("i-4"))
        pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in text.encode()) + b"0\r\n\r\n"
        answer = self.raw(self.head(text, "Transfer-Encoding: chunked"), pieces)
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        answer = self.raw(self.head(text, "Transfer-Encoding: chunked",
                                    f"Content-Length: {len(text)}"), b"")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)

    def test_large_and_deep_bodies(self):
        # Rows 13, 15, 16, 17.
        for length, status in ((f"Content-Length: {2 << 30}", b"413"),):
            answer = self.raw(self.head("x", length), b"")
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer)
        self.refused(self.door.send("x" * (300 << 10)), 413)
        self.refused(self.door.send("[" * 200000), 400)
        self.refused(Door(self.daemon, "alertmanager").send("[" * 1000000), 400)
        self.refused(self.door.send(incident("i", title="t" * (10 << 20))), 413)
        twice = json.dumps(incident("i")).replace('"action"', '"priority": "LOW", "action"')
        self.refused(self.door.send(twice), 400)
        answer = self.door.send(incident("i", title="t" * 513))
        self.refused(answer, 400)
        self.assertEqual(answer.json()["field"], "title")
        self.refused(self.door.send(json.dumps(incident("i", title="T")).replace('"T"',
                                                                                 '"a\\u0000"')),
                     400)
        odd = "a\x1b[31m\u202eb"
        self.assertEqual(self.door.send(incident("i-odd", title=odd)).status, 200)
        self.assertNotIn("\x1b", self.daemon.cli("alarm", "list"))
        self.assertNotIn("\u202e", self.daemon.cli("alarm", "list"))

    def test_sql_in_every_text(self):
        # Row 55.
        text = "'; DROP TABLE alarm; --"
        self.assertEqual(self.door.send(incident(text, title=text, service=text,
                                                 description=text)).status, 200)
        (found,) = self.alarms()
        self.assertEqual((found["incident_id"], found["title"], found["service"]), (text,) * 3)

    def test_enumeration_and_other_endpoints(self):
        # Rows 7, 12.
        text = json.dumps(incident("i-5"))
        headers = self.door.headers(text)
        unknown = self.door.path.replace(self.door.id, "0" * 32)
        answer = self.door.post(text, headers, unknown)
        self.assertEqual((answer.status, answer.body), (404, b'{"error":"unauthorized"}'))
        other = Door(self.daemon)
        self.assertNotEqual(other.secret, self.door.secret)
        self.refused(self.door.post(text, headers, other.path))
        self.assertEqual(self.door.post(text, headers,
                                        f"/webhook/generic/{self.door.id}").status, 200)


class ReplayTest(DoorCase):
    def test_a_replay_across_stops_and_kills(self):
        # Row 6.
        text = json.dumps(incident("r-1"))
        headers = self.door.headers(text)
        first = self.door.post(text, headers).json()
        for restart in (lambda: None, self.daemon.restart,
                        lambda: (self.daemon.kill(), self.daemon.start())):
            restart()
            answer = self.door.post(text, headers)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.json(), first)
        self.assertEqual(len(self.alarms()), 1)
        self.assertEqual(self.metric('midwatch_webhook_refused_total{reason="replay"}'), 1)

    def test_the_same_bytes_of_a_bearer(self):
        door = Door(self.daemon, "devops-agent", "--auth", "bearer")
        self.assertTrue(door.secret.startswith("mwhk_"))
        opened, ended = incident("b-1"), incident("b-1", "resolved")
        for _ in range(3):
            self.assertEqual(door.send(opened).status, 200)
        self.assertEqual(len(self.alarms()), 1)
        self.assertEqual(door.send(ended).status, 200)
        self.assertEqual(door.send(ended).status, 200)
        self.assertEqual([e["action"] for e in self.alarms()[0]["events"]][-1:], ["resolved"])
        events = len(self.alarms()[0]["events"])
        # The same bytes once it has ended are a new alarm.
        self.assertEqual(door.send(opened).status, 200)
        self.assertEqual(len(self.alarms()), 2)
        self.assertEqual(door.send(ended).status, 200)
        self.assertEqual(sum(len(a["events"]) for a in self.alarms()), events * 2)
        self.refused(door.send(opened, secret="mwhk_wrong"))
        self.refused(door.post("{}", {"content-type": "application/json"}))
        self.refused(door.post("{}", {"authorization": f"Bearer {door.secret}"}), 415)


class RotationTest(DoorCase):
    """Row 21."""

    def test_without_grace(self):
        old = self.door.secret
        fresh = self.daemon.cli_json("webhook", "rotate", self.door.id)
        self.assertIsNone(fresh["previous_valid_until"])
        self.assertEqual(fresh["url"], self.door.hook["url"])
        self.refused(self.door.send(incident("o-1"), secret=old))
        self.assertEqual(self.door.send(incident("o-1"), secret=fresh["secret"]).status, 200)

    def test_with_grace(self):
        old = self.door.secret
        fresh = self.daemon.cli_json("webhook", "rotate", self.door.id[:8], "--grace", "3s")
        self.assertIsNotNone(fresh["previous_valid_until"])
        both = [self.door.send(incident("o-2", title=secret), secret=secret).status
                for secret in (old, fresh["secret"])]
        self.assertEqual(both, [200, 200])
        until = time.time() + 20

        def is_over():
            status = self.door.send(incident("o-3", title=str(time.time())), secret=old).status
            self.assertLess(time.time(), until)
            time.sleep(0.5)
            return status == 401
        wait_for("the end of the old secret", is_over)
        self.assertEqual(self.door.send(incident("o-4"), secret=fresh["secret"]).status, 200)
        self.daemon.cli("webhook", "rotate", self.door.id, "--grace", "25h", code=2)
        self.daemon.cli("webhook", "rotate", self.door.id, "--grace", "soon", code=2)
        # A second rotation ends the first one's grace.
        third = self.daemon.cli_json("webhook", "rotate", self.door.id, "--grace", "24h")
        fourth = self.daemon.cli_json("webhook", "rotate", self.door.id, "--grace", "24h")
        self.daemon.restart()
        statuses = [self.door.send(incident("o-5", title=s["secret"][:9]),
                                   secret=s["secret"]).status for s in (fresh, third, fourth)]
        self.assertEqual(statuses, [401, 200, 200])

    def test_secrets_are_nowhere(self):
        # Row 54.
        rotated = self.daemon.cli_json("webhook", "rotate", self.door.id, "--grace", "1h")
        bearer = Door(self.daemon, "alertmanager")
        self.daemon.cli("webhook", "test", self.door.id)
        self.daemon.cli("webhook", "test", bearer.id)
        secrets = [self.door.secret, rotated["secret"], bearer.secret]
        shown = [self.daemon.cli("webhook", "list", "--json"), self.daemon.log(),
                 self.daemon.cli("webhook", "show", self.door.id, "--json"),
                 self.daemon.cli("audit", "list", "--json")]
        for name in os.listdir(self.daemon.data):
            path = os.path.join(self.daemon.data, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    shown.append(file.read().decode("latin-1"))
        for secret in secrets:
            self.assertTrue(all(secret not in text for text in shown))


class TimeTest(DoorCase):
    """What an alarm says of its time, where that cannot be; and how an alarm stands."""

    def alarm(self, name):
        return next(one for one in self.alarms() if one["incident_id"] == name)

    def test_a_time_that_has_not_come(self):
        far = "2031-05-06T07:08:09Z"
        for name, body in (("far", {"timestamp": far}), ("old", {"timestamp": "2019-01-01T00:00:00Z"}),
                           ("hours", {"timestamp": utc(14 * 3600)}), ("day", {"timestamp": utc(86300)}),
                           ("days", {"timestamp": utc(86500)}), ("now", {"timestamp": utc()}),
                           ("none", {})):
            self.assertEqual(self.door.send(incident(name, service=name, **body)).status, 200)
        for name in ("far", "days"):
            one = self.alarm(name)
            self.assertEqual(one["started_at"], one["received_at"])
            self.assertEqual(one["claimed_at"] == "2031-05-06T07:08:09.000000000Z", name == "far")
            self.assertGreater(int(one["claimed_at_unix_nano"]), int(one["received_at_unix_nano"]))
        for name in ("old", "hours", "day", "now", "none"):
            self.assertIsNone(self.alarm(name)["claimed_at"])
        self.assertTrue(self.alarm("old")["started_at"].startswith("2019-01-01T00:00:00"))
        self.assertGreater(self.alarm("hours")["started_at"], self.alarm("hours")["received_at"])
        # It stands where it came, and is found by that; the window is around it.
        order = [one["incident_id"] for one in self.alarms()]
        self.assertEqual((order[:2], order[-1]), (["day", "hours"], "old"))
        recent = self.daemon.cli_json("alarm", "list", "--since", "10m", "--until", "2030-01-01")
        self.assertIn("far", [one["incident_id"] for one in recent["items"]])
        wait_for("the verdict", lambda: self.alarm("far")["decision"])
        made = self.daemon.cli_json("investigation", "show",
                                    self.alarm("far")["decision"]["investigation_id"])
        self.assertLess(made["window"]["end"], "2031")
        # Said wherever the alarm is shown.
        marked = [line for line in self.daemon.cli("alarm", "list", env={"COLUMNS": "200"})
                  .splitlines() if line.split()[0].endswith("?") or " ago?" in line]
        self.assertEqual(len(marked), 2)
        for verb in ("show", "explain"):
            text = self.daemon.cli("alarm", verb, self.alarm("far")["alarm_id"])
            self.assertIn("odd time      2031-05-06T07:08:09Z, more than a day after it came", text)
            self.assertNotIn("odd time", self.daemon.cli("alarm", verb,
                                                         self.alarm("now")["alarm_id"]))
        # The end of an incident, likewise.
        self.assertEqual(self.door.send(incident("now", "resolved", timestamp=far)).status, 200)
        self.assertLess(self.alarm("now")["events"][-1]["time"], "2031")

    def test_how_it_stands(self):
        for name, actions, state in (("a", ("created",), "open"),
                                     ("b", ("created", "updated"), "open"),
                                     ("c", ("created", "resolved"), "resolved"),
                                     ("d", ("created", "updated", "closed"), "closed"),
                                     ("e", ("created", "resolved", "closed"), "closed"),
                                     ("f", ("resolved",), "resolved"),
                                     ("g", ("updated",), None)):
            for action in actions:
                self.assertEqual(self.door.send(incident(name, action, service=name)).status, 200)
            wait_for("the verdict", lambda: self.alarm(name)["decision"])
            self.assertEqual(self.alarm(name)["state"], state, name)
        # Repeated while it is open: the one that counts tells. Again after its end: open.
        for name, verdicts in (("a", {("SKIPPED", None), ("PROCEED", "open")}),
                               ("c", {("PROCEED", "resolved"), ("PROCEED", "open")})):
            time.sleep(1.1)  # a signature holds its second
            self.assertEqual(self.door.send(incident(name, service=name, title="again")).status, 200)
            wait_for("the verdicts", lambda: all(one["decision"] for one in self.alarms()))
            self.assertEqual({(one["decision"]["verdict"].replace("LINKED", "PROCEED"),
                               one["state"]) for one in self.alarms()
                              if one["incident_id"] == name}, verdicts)
        text = self.daemon.cli("alarm", "list", env={"COLUMNS": "200"})
        self.assertRegex(text.splitlines()[0], r"VERDICT +STATE +PRIORITY")
        self.assertRegex(text, r"(?m)(PROCEED|LINKED) +resolved +HIGH .* c$")
        self.assertRegex(text, r"(?m)(PROCEED|LINKED) +closed +HIGH .* d$")
        self.assertIn("state         closed", self.daemon.cli("alarm", "show",
                                                              self.alarm("d")["alarm_id"]))
        self.daemon.restart()
        self.assertEqual(self.alarm("d")["state"], "closed")


class LimitTest(DoorCase):
    def test_bad_signatures_are_told_to_wait(self):
        # Row 22.
        text = json.dumps(incident("l-1"))
        bad = self.door.headers(text, secret="whsec_wrong")
        statuses = [self.door.post(text, bad).status for _ in range(12)]
        self.assertEqual(statuses[:10], [401] * 10)
        self.assertEqual(statuses[11], 429)
        answer = self.door.post(text, bad)
        self.assertEqual(answer.status, 429)
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        unknown = self.door.path.replace(self.door.id, "0" * 32)
        self.assertEqual(self.door.post(text, bad, unknown).status, 429)
        # Who signs right is not affected, also at that address.
        for i in range(50):
            self.assertEqual(self.door.send(incident(f"l-{i}")).status, 200)

    def test_a_flood_leaves_few_rows(self):
        text = json.dumps(incident("f"))
        bad = self.door.headers(text, secret="whsec_wrong")

        def flood():
            for _ in range(300):
                self.door.post(text, bad)
        threads = [threading.Thread(target=flood) for _ in range(4)]
        for thread in threads:
            thread.start()
        statuses = [self.door.send(incident(f"g-{i}")).status for i in range(50)]
        for thread in threads:
            thread.join()
        self.assertEqual(statuses, [200] * 50)
        self.assertLess(len(self.audited("webhook.deliver", "denied")), 10)
        self.daemon.restart() # the rest is written at the end
        rows = self.audited("webhook.deliver", "denied")
        self.assertLess(len(rows), 12)
        counted = sum(int(row["detail"].split(", ")[1].split()[0]) if "times" in row["detail"]
                      else 1 for row in rows)
        self.assertEqual(counted, 1200)

    def test_rate_limit_of_an_endpoint(self):
        door = Door(self.daemon, "devops-agent", "--rate-limit", "3")
        statuses = [door.send(incident(f"e-{i}")).status for i in range(5)]
        self.assertEqual(statuses, [200, 200, 200, 429, 429])
        answer = door.send(incident("e-9"))
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        # Alertmanager never tries again after 429.
        other = Door(self.daemon, "alertmanager", "--rate-limit", "1")
        self.assertEqual(other.send(group(alert("aa"))).status, 200)
        answer = other.send(group(alert("bb")))
        self.assertEqual(answer.status, 503)
        self.assertIn("retry-after", answer.headers)
        # Strangers use nothing up, and the other door has no limit.
        third = Door(self.daemon, "devops-agent", "--rate-limit", "1")
        self.refused(third.send(incident("x"), secret="whsec_wrong"))
        self.assertEqual(third.send(incident("x")).status, 200)

    def test_addresses(self):
        # Row 28, of webhooks.
        here = Door(self.daemon, "devops-agent", "--allow", "10.0.0.0/8, 127.0.0.0/8")
        self.assertEqual(here.hook["allowed_addresses"], ["10.0.0.0/8", "127.0.0.0/8"])
        self.assertEqual(here.send(incident("c-1")).status, 200)
        away = Door(self.daemon, "devops-agent", "--allow", "192.0.2.0/24,2001:db8::/32")
        text = json.dumps(incident("c-2"))
        answer = away.post(text, {**away.headers(text), "x-forwarded-for": "192.0.2.7"})
        self.assertEqual((answer.status, answer.body), (403, b'{"error":"forbidden"}'))
        mapped = Door(self.daemon, "devops-agent", "--allow", "::ffff:127.0.0.1")
        self.assertEqual(mapped.send(incident("c-3")).status, 200)
        for bad in ("127.0.0.1/8", "0.0.0.0/0", "010.0.0.1", "fe80::1%eth0", "127.1", "x",
                    "127.0.0.1/33", "::/0", "1.2.3.4,"):
            done = self.daemon.cli_raw("webhook", "create", "--name", "x", "--source",
                                       "devops-agent", "--allow", bad)
            self.assertEqual(done.returncode, 2 if bad != "1.2.3.4," else 0, bad)
        for bad in ("60001", "-1", "1.5", "many"):
            self.daemon.cli("webhook", "create", "--name", "x", "--source", "devops-agent",
                            "--rate-limit", bad, code=2)


class LifeTest(DoorCase):
    def test_disable_enable_delete(self):
        self.assertEqual(self.door.send(incident("d-1")).status, 200)
        shown = self.daemon.cli_json("webhook", "disable", self.door.id)
        self.assertFalse(shown["enabled"])
        self.refused(self.door.send(incident("d-2")), 404)
        self.daemon.cli("webhook", "test", self.door.id, code=6)
        self.daemon.cli("webhook", "enable", self.door.id)
        self.assertEqual(self.door.send(incident("d-3")).status, 200)
        self.daemon.cli("webhook", "delete", self.door.id, code=2)
        self.daemon.cli("webhook", "delete", self.door.id, "--yes")
        self.refused(self.door.send(incident("d-4")), 404)
        self.daemon.cli("webhook", "show", self.door.id, code=5)
        self.assertEqual(len(self.alarms()), 2)
        actions = [row["action"] for row in self.daemon.cli_json("audit", "list")["items"]
                   if row["outcome"] == "ok"]
        self.assertEqual(actions, ["webhook.delete", "webhook.enable", "webhook.disable",
                                   "webhook.create"])

    def test_changes_need_the_socket_or_a_token(self):
        path = f"/api/v1/webhooks/{self.door.id}"
        json_type = {"content-type": "application/json"}
        for method, below in (("POST", "/rotate"), ("POST", "/disable"), ("POST", "/test"),
                              ("DELETE", "")):
            answer = self.daemon.request(method, path + below, b"{}" if below else None,
                                         json_type if below else {})
            self.assertEqual(answer.status, 403, below)
        self.assertEqual(self.door.send(incident("n-1")).status, 200)
        (row,) = wait_for("the refusal", lambda: self.audited("access.operate", "denied"))
        self.assertEqual(row["principal"], "loopback")

    def test_test_alarms(self):
        alertmanager = Door(self.daemon, "alertmanager")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(MAPPING, file)
            file.flush()
            generic = Door(self.daemon, "generic", "--mapping", file.name)
        for door in (self.door, alertmanager, generic):
            shown = self.daemon.cli_json("webhook", "test", door.id)
            self.assertTrue(shown["accepted"])
            self.assertIsNone(shown["alarm_id"])
            self.assertEqual(shown["title"], "midwatch test alarm")
        self.assertEqual(self.alarms(), [])
        self.assertEqual(self.daemon.cli_json("investigation", "list")["items"], [])
        shown = self.daemon.cli_json("webhook", "test", generic.id, "--investigate")
        (found,) = self.alarms()
        self.assertEqual(found["alarm_id"], shown["alarm_id"])
        self.assertEqual(found["title"], "midwatch test alarm")
        self.assertTrue(found["incident_id"].startswith("midwatch-test-"))

    def test_send_as_a_vendor_would(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "alarm.json")
            with open(path, "w", encoding="utf-8") as file:
                file.write(json.dumps(incident("s-1"), indent=2) + "\n")
            env = {"MIDWATCH_WEBHOOK_SECRET": self.door.secret}
            self.assertIn("delivery", self.daemon.cli("webhook", "send", self.door.id, path,
                                                      env=env))
            wrong = {"MIDWATCH_WEBHOOK_SECRET": "whsec_wrong"}
            self.daemon.cli("webhook", "send", self.door.id, path, env=wrong, code=4)
            self.daemon.cli("webhook", "send", self.door.id, path, code=2)
            secret = os.path.join(directory, "secret")
            bearer = Door(self.daemon, "alertmanager")
            with open(secret, "w", encoding="utf-8") as file:
                file.write(bearer.secret + "\n")
            with open(path, "w", encoding="utf-8") as file:
                file.write(group(alert("5e")))
            self.daemon.cli("webhook", "send", bearer.id, path, "--secret-file", secret)
        self.assertEqual({a["incident_id"] for a in self.alarms()},
                         {"s-1", "am:5e:1773480360"})

    def test_creation_is_checked(self):
        cases = (["--source", "alertmanager", "--auth", "hmac"], ["--source", "generic"],
                 ["--source", "nowhere"], ["--source", "devops-agent", "--auth", "basic"])
        for options in cases:
            self.daemon.cli("webhook", "create", "--name", "x", *options, code=2)
        post = self.daemon.request("POST", "/api/v1/webhooks",
                                   b'{"name":"x","source":"devops-agent","secret":"mine"}',
                                   {"content-type": "application/json"}, port="socket")
        self.assertEqual(post.status, 400)


class AlertmanagerTest(DoorCase):
    def setUp(self):
        super().setUp()
        self.door = Door(self.daemon, "alertmanager")

    def test_vector(self):
        with open(VECTORS, encoding="utf-8") as file:
            vector = next(v for v in json.load(file) if v["id"] == "T24")
        self.assertEqual(self.door.send(vector["body"]).status, 200)
        (found,) = self.alarms()
        self.assertEqual(found["incident_id"], "am:9f8e7d6c5b4a3921:1773480360")
        self.assertEqual((found["action"], found["priority"], found["service"], found["region"],
                          found["title"], found["source"]),
                         ("created", "CRITICAL", "checkout", "eu-west-1", "5xx ratio 7.4 %",
                          "alertmanager"))
        self.assertEqual(found["started_at_unix_nano"], "1773480360123000000")

    def test_a_group_is_sent_again_and_again(self):
        one, two = alert("a1"), alert("b2", labels={"service": "cart", "instance": "10.0.0.1"})
        for _ in range(3):
            self.assertEqual(self.door.send(group(one, two)).status, 200)
        found = {a["service"]: a for a in self.alarms()}
        self.assertEqual(set(found), {"checkout", "cart"})
        self.assertEqual(found["cart"]["resources"], ["10.0.0.1"])
        # One ends, one is new, one goes on.
        ended = alert("a1", "resolved", ends="2026-03-14T09:40:00Z")
        three = alert("c3", labels={"service": "bank"})
        self.assertEqual(self.door.send(group(ended, two, three)).status, 200)
        found = {a["service"]: a for a in self.alarms()}
        self.assertEqual(len(self.alarms()), 3)
        self.assertEqual(found["checkout"]["events"][-1]["action"], "resolved")
        self.assertEqual(found["checkout"]["events"][-1]["time_unix_nano"],
                         "1773481200000000000")
        self.assertEqual(self.door.send(group(ended, two, three, alert("d4"))).status, 200)
        resolved = [e for a in self.alarms() for e in a["events"] if e["action"] == "resolved"]
        self.assertEqual(len(resolved), 1)
        self.assertGreater(self.metric("midwatch_alarms_repeated_total"), 0)
        # It fires anew: another incident.
        again = alert("a1", starts="2026-03-14T10:00:00Z")
        self.assertEqual(self.door.send(group(again)).status, 200)
        self.assertEqual(len([a for a in self.alarms() if "a1" in a["incident_id"]]), 2)

    def test_all_of_a_group_or_nothing(self):
        bad = alert("e5")
        del bad["startsAt"]
        answer = self.door.send(group(alert("f6"), bad))
        self.assertEqual((answer.status, answer.json()["field"]), (400, "alerts[1].startsAt"))
        self.assertEqual(self.alarms(), [])
        for change, field in ({"status": "pending"}, "alerts[0].status"), \
                ({"fingerprint": "no hex"}, "alerts[0].fingerprint"):
            answer = self.door.send(group({**alert("f6"), **change}))
            self.assertEqual((answer.status, answer.json()["field"]), (400, field))
        answer = self.door.send(group(alert("f6")).replace('"version": "4"', '"version": "1"'))
        self.assertEqual((answer.status, answer.json()["field"]), (400, "version"))
        answer = self.door.send(group())
        self.assertEqual((answer.status, answer.json()["field"]), (400, "alerts"))
        self.assertEqual(self.alarms(), [])

    def test_large_groups(self):
        many = group(*[alert(f"{i:016x}", labels={"service": f"s{i}"}) for i in range(1500)])
        self.assertGreater(len(many), 500000)
        self.assertEqual(self.door.send(many).status, 200)
        self.assertEqual(self.daemon.cli_json("alarm", "list")["total"], 1500)
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.daemon.cli_json("alarm", "list")["total"], 1500)
        self.assertEqual(self.door.send("x" * ((1 << 20) + 1)).status, 413)

    def test_texts_that_are_too_long_are_cut(self):
        self.assertEqual(self.door.send(group(alert("77", summary="ü" * 600,
                                                    labels={"service": "s" * 300}))).status, 200)
        (found,) = self.alarms()
        self.assertEqual(found["title"], "ü" * 512)
        self.assertEqual(found["service"], "s" * 256)


class GenericTest(DoorCase):
    def make(self, mapping, *options, code=0):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(mapping if isinstance(mapping, str) else json.dumps(mapping))
            file.flush()
            if code:
                return self.daemon.cli_raw("webhook", "create", "--name", "g", "--source",
                                           "generic", "--mapping", file.name, *options)
            return Door(self.daemon, "generic", "--mapping", file.name, *options)

    def test_through_a_mapping(self):
        door = self.make(MAPPING)
        self.assertEqual(self.daemon.cli_json("webhook", "show", door.id)["mapping"], MAPPING)
        body = {"alerts": [
            {"id": 4711, "what": {"title": "disk full"}, "state": "Triggered", "sev": "P1",
             "tags": {"service": "db"}, "since": 1773480413000},
            {"id": "x", "what": {"title": "slow in eu-west-1"}, "state": "created",
             "since": "2026-03-14T09:26:53Z"}]}
        self.assertEqual(door.send(body).status, 200)
        found = {a["incident_id"]: a for a in self.alarms()}
        self.assertEqual((found["4711"]["priority"], found["4711"]["service"],
                          found["4711"]["started_at_unix_nano"]),
                         ("CRITICAL", "db", "1773480413000000000"))
        self.assertEqual((found["x"]["priority"], found["x"]["region"],
                          found["x"]["started_at_unix_nano"]),
                         ("LOW", "eu-west-1", "1773480413000000000"))
        body["alerts"] = [{"id": 4711, "what": {"title": "disk full"}, "state": "Recovered"}]
        self.assertEqual(door.send(body).status, 200)
        found = {a["incident_id"]: a for a in self.alarms()}
        self.assertEqual(found["4711"]["events"][-1]["action"], "resolved")
        # The mapping outlives a restart.
        self.daemon.restart()
        body["alerts"] = [{"id": 4712, "what": {"title": "again"}, "state": "Triggered"}]
        self.assertEqual(door.send(body).status, 200)

    def test_refusals_name_the_field(self):
        door = self.make(MAPPING)
        one = {"id": "1", "what": {"title": "t"}, "state": "Triggered"}
        for change, field in (({"id": None}, "incident_id"), ({"id": ""}, "incident_id"),
                              ({"id": {}}, "incident_id"), ({"what": 1}, "title"),
                              ({"state": "Snoozed"}, "action"), ({"sev": "P9"}, "priority"),
                              ({"since": "soon"}, "started_at"), ({"since": -1}, "started_at")):
            answer = door.send({"alerts": [{**one, **change}]})
            self.assertEqual((answer.status, answer.json()["field"]), (400, field))
        for body in ({"alerts": []}, {"alerts": {}}, {}, {"alerts": [one] * 2001}):
            self.assertEqual(door.send(body).json()["field"], "events")
        self.assertEqual(self.alarms(), [])

    def test_signed(self):
        door = self.make({"fields": {"incident_id": "/a/0/b~1c", "title": "/t"}}, "--auth", "hmac")
        self.assertEqual(door.send({"a": [{"b/c": "deep"}], "t": "x"}).status, 200)
        (found,) = self.alarms()
        self.assertEqual((found["incident_id"], found["action"], found["priority"]),
                         ("deep", "created", "MEDIUM"))

    def test_mappings_are_checked(self):
        fields = MAPPING["fields"]
        bad = ["{", "[]", {}, {"fields": {}}, {"fields": {"title": "/t"}},
               {"fields": {**fields, "color": "/c"}}, {"fields": {**fields, "title": "t"}},
               {"fields": {**fields, "title": "/~2"}}, {"fields": {**fields, "title": 7}},
               {"fields": fields, "values": {"action": {"x": "opened"}}},
               {"fields": fields, "values": {"title": {}}},
               {"fields": fields, "defaults": {"title": "t"}},
               {"fields": fields, "defaults": {"priority": "URGENT"}},
               {"fields": fields, "more": 1}, {"fields": fields, "events": "alerts"},
               {"fields": {**fields, "title": "/a" * 40}},
               {"fields": {**fields, "title": "/" + "x" * 300}},
               {"fields": fields, "values": {"action": {str(i): "created" for i in range(65)}}}]
        for mapping in bad:
            done = self.make(mapping, code=2)
            self.assertEqual(done.returncode, 2, (mapping, done.stderr))
        self.assertEqual(len(self.daemon.cli_json("webhook", "list")["items"]), 1)


if __name__ == "__main__":
    unittest.main()
