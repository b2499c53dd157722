#!/usr/bin/env python3
"""Who may pass which door: every route of the API, and every door of telemetry, with no token, one of
each wrong kind and the right one; and an audit record of every change and every refusal."""
import contextlib
import http.client
import json
import os
import socket
import sqlite3
import time
import unittest
import zlib

import otlp
from harness import SLOWNESS, TRACES_GRPC, Answer, Case, Daemon, wait_for
from h2frames import Peer
from senders import Door, alert, group, incident

NOBODY = "0" * 32
# What each route takes; a route that is not here is a finding.
READ, OPERATE, ADMINISTER = "read", "operate", "administer"
CHANGES = {
    ("POST", "/api/v1/tokens"): ADMINISTER, ("POST", "/api/v1/tokens/{id}/rotate"): ADMINISTER,
    ("DELETE", "/api/v1/tokens/{id}"): ADMINISTER, ("POST", "/api/v1/spaces"): ADMINISTER,
    ("DELETE", "/api/v1/spaces/{name}"): ADMINISTER,
    ("POST", "/api/v1/spaces/{name}/token-access"): ADMINISTER,
    **{("POST", f"/api/v1/alarms/{{id}}/{verb}"): OPERATE
       for verb in ("link", "unlink", "proceed", "skip")},
    **{("POST", f"/api/v1/investigations/{{id}}/{verb}"): OPERATE
       for verb in ("merge", "split", "claim", "comment", "close", "cancel", "plan/approve",
                    "plan/reject")},
    **{("POST", f"/api/v1/webhooks/{{id}}/{verb}"): OPERATE
       for verb in ("rotate", "enable", "disable", "test")},
    **{("POST", f"/api/v1/{noun}"): OPERATE
       for noun in ("topology", "investigations", "deployments", "webhooks")},
    ("DELETE", "/api/v1/webhooks/{id}"): OPERATE,
}
DENIED = (401, 403)


class AccessCase(Case):
    def setUp(self):
        self.daemon = Daemon().start()
        self.asked = 0

    def tearDown(self):
        try:
            if self.daemon.process:
                self.daemon.stop()
        finally:
            self.daemon.remove()

    def make(self, scope, *options):
        if scope != "ingest":
            options += ("--expires", "30")
        return self.daemon.cli_json("token", "create", "--name", scope, "--scope", scope, *options)

    def from_elsewhere(self, method, path, token, body=None, port="web", kind="application/json"):
        """Each few requests from another address of this machine: failures are counted by address."""
        self.asked += 1
        host, number = self.daemon.address(port)
        connection = http.client.HTTPConnection(
            host, number, timeout=120, source_address=(f"127.0.1.{1 + self.asked // 4}", 0))
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["content-type"] = kind
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def make_all(self):
        """Tokens of every kind that there is; the expired one by its row, since none lasts less than
        a day."""
        self.daemon.cli("space", "create", "other")
        made = {scope: self.make(scope) for scope in ("ingest", "read", "operate")}
        made["expired"], made["revoked"] = self.make("operate"), self.make("operate")
        made["expired ingest"] = self.make("ingest", "--expires", "1")
        made["off"] = self.make("operate", "--space", "other")
        self.daemon.cli("token", "revoke", made["revoked"]["id"])
        self.daemon.cli("space", "token-access", "on")
        self.daemon.stop()
        with sqlite3.connect(os.path.join(self.daemon.data, "state.db")) as state:
            state.execute("UPDATE token SET expires_ns = 1 WHERE id IN (?, ?)",
                          (made["expired"]["id"], made["expired ingest"]["id"]))
        state.close()
        self.daemon.start()
        return {name: token["token"] for name, token in made.items()}

    def audited(self, outcome):
        return [row for row in self.daemon.cli_json("audit", "list", "--limit", "1000")["items"]
                if row["outcome"] == outcome]


def unknown_token():
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    rest, out = zlib.crc32(b"0" * 30), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        out = alphabet[digit] + out
    return "mwat_" + "0" * 30 + out


class RouteTest(AccessCase):
    def test_every_route(self):
        tokens = self.make_all()
        tokens["unknown"] = unknown_token()
        routes = [(r["method"], r["path"]) for r in self.daemon.get("/api/v1").json()["routes"]]
        self.assertLessEqual(set(CHANGES), set(routes))
        for method, path in routes:
            wanted = CHANGES.get((method, path))
            if method == "GET":
                self.assertIsNone(wanted)
                wanted = READ
            self.assertIsNotNone(wanted, f"{method} {path} is in no table of this test")
            at = path.replace("{id}", NOBODY).replace("{name}", "nobody")
            body = "{}" if method == "POST" else None
            answers = {name: self.from_elsewhere(method, at, token, body).status
                       for name, token in {**tokens, None: None}.items()}
            with self.subTest(route=f"{method} {path}"):
                self.check(wanted, answers)

    def check(self, wanted, answers):
        bad = [answers[name] for name in ("unknown", "expired", "revoked")]
        if wanted == ADMINISTER:  # the socket alone
            self.assertTrue(set(answers.values()) <= set(DENIED), answers)
            return
        self.assertEqual(bad, [401] * 3, answers)
        self.assertEqual((answers["ingest"], answers["off"]), (403, 403), answers)
        self.assertNotIn(answers["operate"], DENIED, answers)
        if wanted == READ:
            self.assertNotIn(answers["read"], DENIED)
            self.assertNotIn(answers[None], DENIED)  # loopback reads without a token
        else:
            self.assertEqual((answers["read"], answers[None]), (403, 403), answers)

    def test_every_kind_of_refusal_has_its_record(self):
        tokens = {**self.make_all(), "unknown": unknown_token()}
        for name in ("unknown", "expired", "revoked", "ingest", "off"):
            self.from_elsewhere("GET", "/api/v1/status", tokens[name])
            self.from_elsewhere("POST", f"/api/v1/alarms/{NOBODY}/skip", tokens[name], "{}")
        self.from_elsewhere("POST", f"/api/v1/alarms/{NOBODY}/skip", None, "{}")
        self.from_elsewhere("POST", "/api/v1/spaces", tokens["operate"], "{}")
        expected = {("access.read", reason) for reason in
                    ("unknown", "expired", "revoked", "lacks_scope", "switched_off")}
        expected |= {("access.operate", reason) for reason in
                     ("unknown", "expired", "revoked", "lacks_scope", "switched_off",
                      "no_credentials")}

        def found():
            return {(row["action"], row["detail"].split(",")[0]) for row in self.audited("denied")}
        wait_for("a record of every kind of refusal", lambda: expected <= found())
        self.assertIn("access.administer", {action for action, _ in found()})

    def test_the_doors_of_telemetry(self):
        tokens = self.make_all()
        tokens["unknown"] = unknown_token()
        body = otlp.request([otlp.span(name="x")])
        expected = {"ingest": 200, "read": 403, "operate": 403, "expired ingest": 401,
                    "revoked": 401, "unknown": 401, None: 200}
        for name, status in expected.items():
            for signal in ("traces", "logs", "metrics"):
                with self.subTest(token=name, signal=signal):
                    answer = self.from_elsewhere(
                        "POST", f"/v1/{signal}", tokens.get(name),
                        body if signal == "traces" else b"", "http", "application/x-protobuf")
                    self.assertEqual(answer.status, status, answer.body)
        grpc = {200: "0", 403: "7", 401: "16"}
        for name, status in expected.items():
            with self.subTest(token=name, port="grpc"):
                self.assertEqual(self.grpc_status(tokens.get(name), body), grpc[status])

    def grpc_status(self, token, body):
        fields = [("content-type", "application/grpc"), ("te", "trailers")]
        fields += [("authorization", f"Bearer {token}")] if token else []
        with Peer(self.daemon.address("grpc")) as client:
            answer = client.handshake().request("POST", TRACES_GRPC, fields,
                                                b"\x00" + len(body).to_bytes(4, "big") + body)
            return str(answer.grpc_status)

    def test_what_is_open_to_all(self):
        for path in ("/healthz", "/readyz"):
            self.assertEqual(self.from_elsewhere("GET", path, unknown_token()).status, 200, path)
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assertEqual(self.from_elsewhere("GET", path, None).status, 200, path)


class WebhookTest(AccessCase):
    def post(self, door, text, headers, address, path=None):
        host, number = self.daemon.address("web")
        connection = http.client.HTTPConnection(host, number, timeout=120,
                                                source_address=(address, 0))
        try:
            connection.request("POST", path or door.path, text, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def test_what_is_wrong_cannot_be_told_from_the_answer(self):
        """Status, headers and body are the same, whatever is wrong; of an unknown or disabled
        endpoint all but the status."""
        door, closed = Door(self.daemon), Door(self.daemon)
        token = Door(self.daemon, "devops-agent", "--auth", "bearer")
        self.daemon.cli("webhook", "disable", closed.id)
        text = json.dumps(incident("i-1"))
        good = door.headers(text)
        name, stamp = "x-amzn-event-signature", "x-amzn-event-timestamp"
        wrong = [door.headers(text, secret="whsec_wrong"), {**good, name: "AAAA"},
                 {**good, name: good[name][:-1]}, {**good, stamp: "1773480413"},
                 {**good, stamp: "x" * 10000}, door.headers(text, timestamp="2020-01-01T00:00:00Z"),
                 {k: v for k, v in good.items() if k != name},
                 {k: v for k, v in good.items() if k != stamp}]
        asked = [(door, headers, None) for headers in wrong]
        asked += [(token, {"content-type": "application/json"}, None),
                  (token, {"authorization": "Bearer mwhk_wrong"}, None),
                  (token, {"authorization": "Basic eDp5"}, None),
                  (closed, closed.headers(text), None),
                  (door, good, "/webhooks/" + NOBODY)]
        seen = []
        for number, (at, headers, path) in enumerate(asked):
            answer = self.post(at, text, headers, f"127.0.3.{1 + number // 5}", path)
            answer.headers.pop("date", None)
            seen.append((answer.status, answer.headers, answer.body))
        self.assertEqual([status for status, _, _ in seen], [401] * 11 + [404] * 2)
        self.assertEqual(len({body for _, _, body in seen}), 1, seen)
        for _, headers, _ in seen:
            self.assertEqual(headers, seen[0][1])

    def test_failures_are_counted_by_address(self):
        door = Door(self.daemon)
        text = json.dumps(incident("i-1"))
        bad = door.headers(text, secret="whsec_wrong")
        statuses = [self.post(door, text, bad, "127.0.4.1").status for _ in range(13)]
        self.assertEqual((statuses[:10], statuses[-1]), ([401] * 10, 429))
        # Of another address nothing is known, and who signs right is served at this one as well.
        self.assertEqual(self.post(door, text, bad, "127.0.4.2").status, 401)
        self.assertEqual(self.post(door, text, door.headers(text), "127.0.4.1").status, 200)

    def test_slow_bodies(self):
        """Row 14: a byte every two seconds is told so and closed; others are served meanwhile."""
        door = Door(self.daemon)
        text = json.dumps(incident("slow"))
        lines = "".join(f"{k}: {v}\r\n" for k, v in door.headers(text).items())
        head = (f"POST {door.path} HTTP/1.1\r\nhost: localhost\r\n{lines}"
                f"content-length: {len(text)}\r\n\r\n").encode()
        slow = [socket.create_connection(self.daemon.address("web"), 60) for _ in range(20)]
        for one in slow:
            self.addCleanup(one.close)
            one.sendall(head)
        began, number = time.monotonic(), 0
        while time.monotonic() - began < 8:
            for one in slow:
                with contextlib.suppress(OSError):
                    one.sendall(text[number:number + 1].encode())
            number += 1
            self.assertEqual(door.send(incident(f"quick-{number}")).status, 200)
            time.sleep(2)
        for one in slow:
            self.assertTrue(one.recv(4096).startswith(b"HTTP/1.1 408 "))
        self.assertLess(time.monotonic() - began, 30 * SLOWNESS)
        self.assertEqual(self.daemon.cli_json("alarm", "list")["total"], number)

    def test_what_a_sender_left_out_is_told(self):
        door = Door(self.daemon, "alertmanager")
        cut = group(alert("aa")).replace('"truncatedAlerts": 0', '"truncatedAlerts": 7')
        self.assertEqual(door.send(cut).status, 200)
        self.assertIn("midwatch_alarms_left_out_total 7\n",
                      self.daemon.get("/metrics").body.decode())
        self.assertIn("left alarms out", self.daemon.log())
        answer = door.send(cut.replace(": 7", ": -7"))
        self.assertEqual((answer.status, answer.json()["field"]), (400, "truncatedAlerts"))


class AuditTest(AccessCase):
    def test_every_change_has_its_record(self):
        """One of each change that there is, by the command line, as a person does them."""
        cli, show = self.daemon.cli, self.daemon.cli_json
        door = Door(self.daemon)
        for number in range(5):
            self.assertEqual(door.send(incident(f"i-{number}", service=f"s-{number}")).status, 200)

        def alarms():
            items = show("alarm", "list")["items"]
            return items if len(items) == 5 and all(a["decision"] for a in items) else None
        items = wait_for("decisions", alarms)
        ids = [a["alarm_id"] for a in items]
        inv = [a["decision"]["investigation_id"] for a in items]
        cli("alarm", "link", ids[1], inv[0])
        cli("alarm", "unlink", ids[1])
        cli("alarm", "skip", ids[1])
        cli("alarm", "proceed", ids[1])
        cli("investigation", "merge", inv[2], inv[0])
        cli("investigation", "split", inv[0], ids[2])
        cli("investigation", "claim", inv[0])
        cli("investigation", "comment", inv[0], "hm")
        cli("investigation", "close", inv[3])
        made = show("investigation", "create", "--service", "s-4")
        self.daemon.cli_raw("investigation", "cancel", made["investigation_id"])
        calls = os.path.join(self.daemon.data, "calls.json")
        with open(calls, "w", encoding="utf-8") as file:
            json.dump({"edges": [["a", "b"]]}, file)
        cli("topology", "import", calls)
        cli("deployment", "record", "--service", "s-1", "--version", "2")
        for verb in ("rotate", "disable", "enable", "test"):
            cli("webhook", verb, door.id)
        cli("webhook", "delete", door.id, "--yes")
        token = self.make("ingest")
        cli("token", "rotate", token["id"])
        cli("token", "revoke", token["id"])
        cli("space", "create", "aside")
        cli("space", "token-access", "on", "--space", "aside")
        cli("space", "token-access", "off", "--space", "aside")
        cli("space", "delete", "aside", "--yes")
        demo = show("demo", "--incident")["investigation_id"]
        wait_for("a plan", lambda: self.daemon.cli_raw("plan", "show", demo).returncode == 0 and
                 show("investigation", "show", demo)["status"] == "COMPLETED")
        page = show("plan", "show", demo)
        cli("plan", "approve", demo, "--hash", "0" * 64, code=6)
        cli("plan", "approve", demo, "--hash", page["plan_hash"])
        done = {(row["action"], row["outcome"]) for row in
                show("audit", "list", "--limit", "1000")["items"]}
        wanted = {f"alarm.{verb}" for verb in ("link", "unlink", "skip", "proceed")}
        wanted |= {f"investigation.{verb}" for verb in ("merge", "split", "claim", "comment",
                                                        "close", "create")}
        wanted |= {f"webhook.{verb}" for verb in ("create", "rotate", "disable", "enable", "delete",
                                                  "test")}
        wanted |= {f"token.{verb}" for verb in ("create", "rotate", "revoke")}
        wanted |= {f"space.{verb}" for verb in ("create", "token_access_on", "token_access_off",
                                                "delete")}
        wanted |= {"topology.import", "deployment.record", "plan.approve"}
        self.assertLessEqual({(action, "ok") for action in wanted}, done)
        self.assertTrue({o for a, o in done if a == "plan.approve"} - {"ok"}, done)


if __name__ == "__main__":
    unittest.main()
