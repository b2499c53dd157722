#!/usr/bin/env python3
"""Tokens through the real ports: scopes, form, expiry, rotation, revocation, addresses, the switch of
a space, spaces, rates, and what the audit says."""
import http.client
import json
import os
import subprocess
import threading
import time
import unittest
import zlib

import h2frames
import otlp
from harness import BINARY, TRACES_GRPC, Case, Daemon, wait_for

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def checksum(text):
    """The six characters behind the thirty of a token."""
    rest, out = zlib.crc32(text.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        out = ALPHABET[digit] + out
    return out


def bearer(token, scheme="Bearer"):
    return {"authorization": f"{scheme} {token}"}


class TokenCase(Case):
    def setUp(self):
        self.daemon = Daemon().start()

    def tearDown(self):
        try:
            if self.daemon.process:
                self.daemon.stop()
        finally:
            self.daemon.remove()

    def make(self, scope="read", *options):
        if scope != "ingest" and "--expires" not in options:
            options += ("--expires", "30d")
        name = () if "--name" in options else ("--name", f"for {scope}")
        return self.daemon.cli_json("token", "create", *name, "--scope", scope, *options)

    def switch(self, state="on", *options):
        self.daemon.cli("space", "token-access", state, *options)

    def ask(self, token, path="/api/v1/status", **headers):
        return self.daemon.get(path, headers={**bearer(token), **headers})

    def export(self, headers=None, name="s"):
        body = otlp.request([otlp.span(name=name)])
        return self.daemon.request("POST", "/v1/traces", body,
                                   {"content-type": "application/x-protobuf", **(headers or {})},
                                   port="http")

    def change(self, token, name="x"):
        return self.daemon.request("POST", "/api/v1/deployments",
                                   json.dumps({"service": name, "version": "1"}).encode(),
                                   {"content-type": "application/json", **bearer(token)})

    def denied(self):
        return [row for row in self.daemon.cli_json("audit", "list", "--limit", "1000")["items"]
                if row["outcome"] == "denied"]

    def reasons(self):
        return {row["detail"].split(",")[0] for row in self.denied()}


class FormTest(TokenCase):
    def test_form_and_storage(self):
        made = self.make("read")
        value = made["token"]
        self.assertRegex(value, r"^mwat_[0-9A-Za-z]{36}$")
        self.assertEqual(checksum(value[5:35]), value[35:])
        self.assertEqual(checksum("abcdefghijklmnopqrstuvwxyzABCD"), "4dNndU")
        shown = [self.daemon.cli("token", "list", "--json"), self.daemon.log(),
                 self.daemon.cli("token", "show", made["id"][:8], "--json"),
                 self.daemon.cli("audit", "list", "--json")]
        for name in os.listdir(self.daemon.data):
            path = os.path.join(self.daemon.data, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    shown.append(file.read().decode("latin-1"))
        self.assertTrue(all(value not in text for text in shown))
        self.assertNotIn("token", json.loads(shown[2]))
        self.assertNotIn("digest", shown[2])

    def pages(self, path, limit):
        """Ids a page, following the cursors, and the totals that were told."""
        pages, totals, cursor = [], set(), ""
        while cursor is not None:
            behind = f"&cursor={cursor}" if cursor else ""
            answer = self.daemon.api(f"{path}?limit={limit}{behind}")
            pages.append([row["id"] for row in answer["items"]])
            totals.add(answer["total"])
            cursor = answer["next_cursor"]
        return pages, totals

    def test_pages(self):
        tokens = [self.make() for _ in range(5)]
        webhooks = [self.daemon.cli_json("webhook", "create", "--name", f"w{i}", "--source",
                                         "devops-agent") for i in range(5)]
        for path, made in (("tokens", tokens), ("webhooks", webhooks)):
            newest = [row["id"] for row in self.daemon.api(path)["items"]]
            self.assertEqual(sorted(newest), sorted(row["id"] for row in made))
            pages, totals = self.pages(path, 2)
            self.assertEqual((pages, totals), ([newest[:2], newest[2:4], newest[4:]], {5}))
            self.assertEqual(self.pages(path, 5), ([newest], {5}))
            oldest = next(row["created_at"] for row in made if row["id"] == newest[-1])
            self.assertEqual(self.daemon.api(f"{path}?until={oldest}")["total"], 0)
            answer = self.daemon.get(f"/api/v1/{path}?cursor={'0' * 32}")
            self.assertEqual((answer.status, answer.json()["error"]["field"]), (400, "cursor"))

    def test_expiry_at_creation(self):
        # Row 30; and ingest may do without.
        def create(scopes, days):
            body = {"name": "n", "scopes": scopes}
            if days is not None:
                body["expires_in_days"] = days
            return self.daemon.request("POST", "/api/v1/tokens", json.dumps(body).encode(),
                                       {"content-type": "application/json"}, port="socket").status
        for days in (0, 61, -1, 1.5, None, 10 ** 18, "30", True):
            self.assertEqual(create(["read"], days), 400, days)
            self.assertEqual(create(["ingest", "operate"], days), 400, days)
        for days in (1, 60):
            self.assertEqual(create(["read"], days), 201)
        self.assertEqual([create(["ingest"], days) for days in (None, 1, 400, 0, 3651)],
                         [201, 201, 201, 400, 400])
        for scopes in ([], ["admin"], ["read", "read"], "x", 7, ["read", 7]):
            self.assertEqual(create(scopes, 30), 400, scopes)
        self.daemon.cli("token", "create", "--name", "x", "--scope", "read", code=2)
        self.daemon.cli("token", "create", "--name", "x", "--scope", "read", "--expires", "61",
                        code=2)
        self.daemon.cli("token", "create", "--name", "a\nb", "--scope", "ingest", code=2)
        self.daemon.cli("token", "create", "--name", "x", "--scope", "ingest", "--space", "nope",
                        code=5)

    def test_there_is_an_end_to_tokens(self):
        for i in range(100):
            self.make("ingest")
        self.daemon.cli("token", "create", "--name", "x", "--scope", "ingest", code=6)
        first = self.daemon.cli_json("token", "list", "--limit", "1")["items"][0]
        self.daemon.cli("token", "revoke", first["id"])
        self.make("ingest")

    def test_the_command_line_warns(self):
        done = self.daemon.cli_raw("token", "create", "--name", "x", "--scope", "read",
                                   "--expires", "7")
        self.assertIn("token-access on", done.stderr)
        done = self.daemon.cli_raw("token", "create", "--name", "x", "--scope", "ingest")
        self.assertNotIn("token-access", done.stderr)
        self.switch()
        done = self.daemon.cli_raw("token", "create", "--name", "x", "--scope", "operate",
                                   "--expires", "7")
        self.assertNotIn("token-access", done.stderr)


class RefusalTest(TokenCase):
    def setUp(self):
        super().setUp()
        self.switch()
        self.token = self.make("read")["token"]

    def refused(self, answer, status=401):
        self.assertEqual(answer.status, status, answer.body)
        if status == 401:
            self.assertEqual(answer.headers["www-authenticate"], "Bearer")
            return answer.body
        return None

    def test_headers(self):
        # Row 23.
        self.assertEqual(self.ask(self.token).status, 200)
        for scheme in ("bearer", "BEARER", "Bearer "):
            answer = self.daemon.get("/api/v1/status", headers=bearer(self.token, scheme))
            self.assertEqual(answer.status, 200)
        bodies = {self.refused(self.daemon.get("/api/v1/status", headers={"authorization": text}))
                  for text in ("", "Bearer", "Bearer x", f"Basic {self.token}", self.token,
                               f"Bearer {self.token} x", f"Bearer {self.token[:-1]}")}
        self.assertEqual(len(bodies), 1)
        connection = http.client.HTTPConnection(*self.daemon.address("web"), timeout=60)
        connection.putrequest("GET", "/api/v1/status")
        connection.putheader("Authorization", f"Bearer {self.token}")
        connection.putheader("Authorization", f"Bearer {self.token}")
        connection.endheaders()
        self.assertEqual(connection.getresponse().status, 400)
        connection.close()

    def test_wrong_tokens_look_alike(self):
        # Row 24.
        flipped = self.token[:-1] + ("a" if self.token[-1] != "a" else "b")
        unknown = "mwat_" + "0" * 30 + checksum("0" * 30)
        revoked = self.make("read")
        self.daemon.cli("token", "revoke", revoked["id"])
        rotated = self.make("read")
        fresh = self.daemon.cli_json("token", "rotate", rotated["id"])["token"]
        bodies = {self.refused(self.ask(token))
                  for token in (flipped, unknown, revoked["token"], rotated["token"])}
        self.assertEqual(len(bodies), 1)
        self.assertEqual(self.ask(fresh).status, 200)
        wait_for("the refusals in the audit", lambda: self.reasons() >= {
            "bad_checksum", "unknown", "revoked"})
        metrics = self.daemon.get("/metrics").body.decode()
        self.assertIn('midwatch_token_refused_total{reason="bad_checksum"} 1\n', metrics)
        self.assertNotIn(flipped, self.daemon.cli("audit", "list", "--json") + self.daemon.log())

    def test_failures_of_an_address(self):
        statuses = [self.ask("mwat_wrong").status for _ in range(13)]
        self.assertEqual(statuses[:10], [401] * 10)
        self.assertEqual(statuses[12], 429)
        answer = self.ask("mwat_wrong")
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
        self.assertEqual(self.ask(self.token).status, 200)
        self.assertEqual(self.daemon.get("/api/v1/status").status, 200)

    def test_query(self):
        # Row 32.
        answer = self.daemon.get(f"/api/v1/status?access_token={self.token}")
        self.refused(answer)
        self.assertNotIn(self.token, self.daemon.log())
        self.assertNotIn(self.token.encode(), answer.body)

    def test_scopes(self):
        # Row 26.
        operate, ingest = self.make("operate")["token"], self.make("ingest")["token"]
        self.assertEqual(self.change(self.token, "no").status, 403)
        self.assertEqual(self.change(operate, "yes").status, 201)
        self.assertEqual(self.ask(operate).status, 200)
        self.assertEqual(self.ask(ingest).status, 403)
        self.assertEqual(self.export(bearer(ingest)).status, 200)
        self.assertEqual(self.export(bearer(self.token)).status, 403)
        self.assertEqual(self.daemon.get("/healthz", headers=bearer("x")).status, 200)
        names = [d["service"] for d in self.daemon.cli_json("deployment", "list")["items"]]
        self.assertEqual(names, ["yes"])
        rows = [r for r in self.daemon.cli_json("audit", "list")["items"]
                if r["action"] == "deployment.record"]
        self.assertTrue(rows[0]["principal"].startswith("token:"))
        self.assertIn("for operate", rows[0]["principal"])
        # Nobody makes tokens by token.
        answer = self.daemon.request("POST", "/api/v1/tokens",
                                     b'{"name":"more","scopes":["ingest"]}',
                                     {"content-type": "application/json", **bearer(operate)})
        self.assertEqual(answer.status, 403)
        answer = self.daemon.request("POST", "/api/v1/spaces/default/token-access",
                                     b'{"enabled":false}',
                                     {"content-type": "application/json", **bearer(operate)})
        self.assertEqual(answer.status, 403)

    def test_grpc(self):
        ingest = self.make("ingest")["token"]
        for token, status in ((ingest, "0"), (self.token, "7"),
                              ("mwat_" + "0" * 30 + checksum("0" * 30), "16")):
            self.assertEqual(str(self.grpc_status(token)), status)

    def grpc_status(self, token):
        body = otlp.request([otlp.span(name="g")])
        with h2frames.Peer(self.daemon.address("grpc")) as client:
            answer = client.handshake().request(
                "POST", TRACES_GRPC, [("content-type", "application/grpc"), ("te", "trailers"),
                                      ("authorization", f"Bearer {token}")],
                b"\x00" + len(body).to_bytes(4, "big") + body)
            return answer.grpc_status

    def test_credentials_for_somebody_else(self):
        # An exporter that is set up for another collector.
        for text in ("Basic dXNlcjpwYXNz", "Bearer eyJhbGciOi", "Api-Token abc"):
            self.assertEqual(self.export({"authorization": text}).status, 200)
        self.assertEqual(self.export(bearer("mwat_stale")).status, 401)

    def test_addresses(self):
        # Row 28.
        away = self.make("read", "--allow", "192.0.2.0/24")["token"]
        here = self.make("read", "--allow", "::ffff:127.0.0.0/104")["token"]
        for headers in ({}, {"x-forwarded-for": "192.0.2.7"}, {"forwarded": "for=192.0.2.7"}):
            answer = self.ask(away, **headers)
            self.assertEqual(answer.status, 403)
            self.assertIn(b"access denied", answer.body)
        self.assertEqual(self.ask(here).status, 200)
        self.daemon.cli("token", "create", "--name", "x", "--scope", "ingest", "--allow",
                        "127.0.0.1/8", code=2)

    def test_rate(self):
        connection = http.client.HTTPConnection(*self.daemon.address("web"), timeout=60)
        statuses = []
        began = time.monotonic()
        while 429 not in statuses and time.monotonic() - began < 20:
            connection.request("GET", "/api/v1", headers=bearer(self.token))
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        taken = time.monotonic() - began
        connection.close()
        self.assertGreaterEqual(statuses.count(200), 120)
        self.assertLessEqual(statuses.count(200), 121 + 60 * taken)
        ingest = self.make("ingest")["token"]
        statuses = {self.export(bearer(ingest)).status for _ in range(150)}
        self.assertEqual(statuses, {200})


class LifeTest(TokenCase):
    def test_switch(self):
        # Row 29.
        made = self.make("operate")
        ingest = self.make("ingest")["token"]
        self.assertEqual(self.ask(made["token"]).status, 403)
        self.assertEqual(self.export(bearer(ingest)).status, 200)
        self.switch("on")
        self.assertEqual(self.ask(made["token"]).status, 200)
        self.switch("off")
        self.assertEqual(self.ask(made["token"]).status, 403)
        self.assertEqual(self.change(made["token"]).status, 403)
        self.assertEqual(self.export(bearer(ingest)).status, 200)
        self.daemon.cli("token", "revoke", made["id"])
        self.switch("on")
        self.assertEqual(self.ask(made["token"]).status, 401)
        self.daemon.cli("space", "token-access", "maybe", code=2)
        self.daemon.cli("space", "token-access", "on", "--space", "nope", code=5)
        actions = [r["action"] for r in self.daemon.cli_json("audit", "list")["items"]
                   if r["outcome"] == "ok"]
        self.assertEqual(actions, ["space.token_access_on", "token.revoke",
                                   "space.token_access_off", "space.token_access_on",
                                   "token.create", "token.create"])

    def test_across_restarts(self):
        self.switch()
        made = self.make("read")
        self.daemon.restart()
        self.assertEqual(self.ask(made["token"]).status, 200)
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.ask(made["token"]).status, 200)
        self.daemon.cli("token", "revoke", made["id"])
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.ask(made["token"]).status, 401)
        self.assertEqual(self.daemon.cli_json("token", "show", made["id"])["state"], "revoked")
        self.daemon.cli("token", "revoke", made["id"], code=6)
        self.daemon.cli("token", "rotate", made["id"], code=6)

    def test_rotation_beside_requests(self):
        # Row 25.
        self.switch()
        made = self.make("read")
        value, stop, late = made["token"], threading.Event(), []

        def ask(token):
            while not stop.is_set():
                began = time.monotonic()
                if self.ask(token, "/api/v1").status == 200:
                    late.append(began)
                time.sleep(0.05)
        thread = threading.Thread(target=ask, args=(value,))
        thread.start()
        time.sleep(0.5)
        fresh = self.daemon.cli_json("token", "rotate", made["id"])
        rotated = time.monotonic()
        time.sleep(0.5)
        stop.set()
        thread.join()
        self.assertTrue(late)
        self.assertLess(max(late), rotated)
        self.assertEqual(self.ask(fresh["token"]).status, 200)
        for key in ("id", "name", "scopes", "space", "allowed_addresses"):
            self.assertEqual(fresh[key], made[key])

    def test_a_stream_ends_with_its_token(self):
        self.switch()
        for path, end in (("sessions", lambda made: self.daemon.cli("token", "revoke", made["id"])),
                          ("logs", lambda made: self.daemon.cli("token", "rotate", made["id"])),
                          ("logs", lambda made: self.switch("off"))):
            made = self.make("read")
            connection = http.client.HTTPConnection(*self.daemon.address("web"), timeout=60)
            connection.request("GET", f"/api/v1/{path}?follow=true", headers=bearer(made["token"]))
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.readline())
            end(made)
            rest = answer.read()
            self.assertIn(b"event: problem", rest)
            connection.close()

    def test_the_command_line_uses_a_token(self):
        self.switch()
        made = self.make("read")
        url = f"http://{self.daemon.endpoints['web']}"

        def run(token, *words):
            env = {**self.daemon.environment(), "MIDWATCH_TOKEN": token, "MIDWATCH_SERVER": url}
            return subprocess.run([BINARY, *words], capture_output=True, text=True, env=env,
                                  timeout=60, check=False)
        self.assertEqual(run(made["token"], "trace", "list").returncode, 0)
        record = ("deployment", "record", "--service", "x", "--version", "1")
        self.assertEqual(run(made["token"], *record).returncode, 4)
        self.assertEqual(run("mwat_wrong", "trace", "list").returncode, 4)
        operate = self.make("operate")["token"]
        self.assertEqual(run(operate, *record).returncode, 0)
        for words in (("create", "x"), ("delete", "default", "--yes")):
            done = run(operate, "space", *words)
            self.assertEqual(done.returncode, 4)
            self.assertIn("socket", done.stderr)
        done = run(operate, "token", "create", "--name", "x", "--scope", "ingest")
        self.assertEqual(done.returncode, 4)
        self.assertIn("socket", done.stderr)


class NothingCrossesTest(TokenCase):
    """Every route of the API, asked with a token of each space: what lies in another is in no
    answer. apple is of default, melon of team-a, peach of team-b."""

    MARKS = {"default": "apple", "team-a": "melon", "team-b": "peach"}
    # Answered for every token, with what is of its own space.
    OWN = {"/api/v1", "/api/v1/spaces", "/api/v1/tokens", "/api/v1/audit", "/api/v1/senders",
           "/api/v1/status"}
    # What is of the space default alone.
    OF_DEFAULT = ("/api/v1/alarms", "/api/v1/investigations", "/api/v1/deployments",
                  "/api/v1/webhooks")
    # Through the unix socket alone.
    ADMINISTERED = {("POST", "/api/v1/tokens"), ("POST", "/api/v1/tokens/{id}/rotate"),
                    ("DELETE", "/api/v1/tokens/{id}"), ("POST", "/api/v1/spaces"),
                    ("DELETE", "/api/v1/spaces/{name}"),
                    ("POST", "/api/v1/spaces/{name}/token-access")}

    def plant(self, space, mark):
        """Telemetry, tokens (one is refused once) and their records; the token that asks."""
        own = () if space == "default" else ("--space", space)
        if own:
            self.daemon.cli("space", "create", space)
        self.switch("on", *own)
        token = self.make("operate,ingest", "--name", f"{mark}-token", *own)
        headers = {} if not own else {"x-midwatch-space": space}
        body = otlp.request([otlp.span(name=f"{mark}-span")], service=f"{mark}-service")
        self.daemon.request("POST", "/v1/traces", body, {
            "content-type": "application/x-protobuf", **headers}, port="http")
        refused = self.make("ingest", "--name", f"{mark}-refused", *own)
        self.assertEqual(self.ask(refused["token"]).status, 403)
        return token

    def plant_default(self):
        hook = self.daemon.cli_json("webhook", "create", "--name", "apple-hook", "--source",
                                    "devops-agent")
        self.daemon.cli("webhook", "test", hook["id"], "--investigate")
        made = self.daemon.cli_json("deployment", "record", "--service", "apple-service",
                                    "--version", "1")
        alarm, = wait_for("the decision", lambda: [
            each for each in self.daemon.api("alarms")["items"] if each["decision"]])
        return {"/api/v1/alarms": alarm["alarm_id"], "/api/v1/webhooks": hook["id"],
                "/api/v1/deployments": made["deployment_id"],
                "/api/v1/investigations": alarm["decision"]["investigation_id"]}

    def setUp(self):
        super().setUp()
        self.tokens = {space: self.plant(space, mark) for space, mark in self.MARKS.items()}
        self.ids = self.plant_default()
        self.routes = self.daemon.api("")["routes"]

    def call(self, space, method, path):
        body = None if method != "POST" else b"{}"
        answer = self.daemon.request(method, path, body, {
            "content-type": "application/json", **bearer(self.tokens[space]["token"])})
        text = answer.body.decode()
        for other, mark in self.MARKS.items():
            if other != space:
                self.assertNotIn(mark, text, f"{method} {path} tells {space} of {other}")
                self.assertNotIn(self.tokens[other]["id"], text, f"{method} {path}")
                if other != "default":
                    self.assertNotIn(f'"{other}"', text, f"{method} {path}")
        return answer

    def path_of(self, route, other):
        """With the id of something that is there, in another space."""
        path = route["path"]
        for prefix, known in self.ids.items():
            path = path.replace(prefix + "/{id}", f"{prefix}/{known}")
        path = path.replace("/tokens/{id}", f"/tokens/{self.tokens[other]['id']}")
        path = path.replace("/spaces/{name}", f"/spaces/{other}")
        path = path.replace("/services/{name}", f"/services/{self.MARKS[other]}-service")
        span, = self.daemon.api(f"spans?space={other}")["items"]
        return path.replace("/traces/{id}", f"/traces/{span['trace_id']}") \
                   .replace("{id}", "nobody").replace("{name}", "nobody")

    def expected(self, route):
        """Of a token of team-a, asked for what others have."""
        method, path = route["method"], route["path"]
        if (method, path) in self.ADMINISTERED:
            return 403
        if path.startswith(self.OF_DEFAULT) or (method, path) == ("POST", "/api/v1/topology"):
            return 404 if "{" in path else 403
        if path in self.OWN:
            return 200
        if "space" in route["parameters"] or path == "/api/v1/tokens/{id}":
            return 404 if "{" in path else 200
        return f"no row for {method} {path}: say whom it answers"

    def test_every_route(self):
        self.assertGreaterEqual(len(self.routes), 55)
        for route in self.routes:
            path = self.path_of(route, "default" if route["path"].startswith(self.OF_DEFAULT)
                                else "team-b")
            answer = self.call("team-a", route["method"], path)
            self.assertEqual(answer.status, self.expected(route), (route["method"], path))
            if "space" in route["parameters"]:
                for other in ("default", "team-b", "nowhere"):
                    asked = f"{path}?space={other}"
                    self.assertEqual(self.daemon.get(asked, headers=bearer(
                        self.tokens["team-a"]["token"])).status, 404, asked)
        # Nothing was changed on the way.
        alarm, = self.daemon.api("alarms")["items"]
        self.assertEqual(len(alarm["decision"]["history"]), 1)
        self.assertTrue(self.daemon.api("webhooks")["items"][0]["enabled"])
        self.assertEqual(len(self.daemon.api("deployments")["items"]), 1)

    def outside(self, space):
        return [row for row in self.denied()
                if row["detail"].startswith("outside_space") and row["space"] == space]

    def test_what_is_outside_is_audited(self):
        token = self.tokens["team-a"]
        alarm = "/api/v1/alarms/" + self.ids["/api/v1/alarms"]
        for method, path, status, route in (
                ("GET", "/api/v1/alarms", 403, "/api/v1/alarms"),
                ("POST", alarm + "/skip", 404, "/api/v1/alarms/{id}/skip")):
            before = {row["action"] for row in self.outside("team-a")}
            self.assertEqual(self.call("team-a", method, path).status, status)
            row, = wait_for("the record", lambda: [
                row for row in self.outside("team-a") if row["action"] not in before])
            self.assertEqual((row["action"], row["subject"], row["detail"], row["principal"]), (
                "access.read" if method == "GET" else "access.operate", token["id"],
                f"outside_space, {route}", f"token:{token['id'][:12]} melon-token"))
        headers = {**bearer(token["token"]), "x-midwatch-space": "team-b"}
        self.assertEqual(self.export(headers).status, 400)
        wait_for("the export's record", lambda: ("access.ingest", "outside_space, /v1/traces") in {
            (row["action"], row["detail"]) for row in self.outside("team-a")})
        # However many are asked for: further ones are counted.
        for route in self.routes:
            if route["method"] == "GET":
                self.call("team-a", "GET", self.path_of(route, "team-b"))
        self.assertEqual(len(self.outside("team-a")), 3)
        for path in ("traces?space=default", f"tokens/{self.tokens['team-a']['id']}"):
            other = bearer(self.tokens["team-b"]["token"])
            self.assertEqual(self.daemon.get("/api/v1/" + path, headers=other).status, 404)
        row, = wait_for("the record", lambda: self.outside("team-b"))
        self.assertEqual(row["detail"], "outside_space, /api/v1/traces")
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual([row["detail"] for row in self.outside("team-b")], [
            "outside_space, /api/v1/tokens/{id}", "outside_space, /api/v1/traces"])

    def test_the_default_space_is_one_of_them(self):
        for route in self.routes:
            if route["method"] == "GET" and ("{" not in route["path"]):
                answer = self.call("default", "GET", route["path"])
                self.assertEqual(answer.status, 200, route["path"])
        for path in (f"tokens/{self.tokens['team-a']['id']}", "services/melon-service"):
            self.assertEqual(self.call("default", "GET", "/api/v1/" + path).status, 404)

    def test_own_things_are_told(self):
        for space, mark in self.MARKS.items():
            def get(path):
                return self.call(space, "GET", "/api/v1/" + path).json()
            self.assertEqual({t["name"] for t in get("tokens")["items"]},
                             {f"{mark}-token", f"{mark}-refused"})
            self.assertEqual(get("tokens")["total"], 2)
            senders = get("senders")
            self.assertEqual([s["service"] for s in senders["items"]], [f"{mark}-service"])
            self.assertEqual((senders["total"], senders["refusals"], senders["forgotten"]),
                             (1, [], None))
            status = get("status")
            self.assertEqual((status["stored"]["spans"], status["spaces"],
                              status["senders"]["count"]), (1, 1, 1))
            rows = get("audit?limit=1000")["items"]
            self.assertEqual({row["space"] for row in rows}, {space})
            actions = {row["action"] for row in rows}
            self.assertLessEqual({"token.create", "space.token_access_on", "access.read"}, actions)
            self.assertEqual("webhook.create" in actions, space == "default")
            self.assertEqual("space.create" in actions, space != "default")
        # The machine's own people see all of it.
        every = self.daemon.cli_json("audit", "list", "--limit", "1000")["items"]
        self.assertLessEqual(set(self.MARKS), {row["space"] for row in every})
        self.assertEqual(len(self.daemon.api("senders")["items"]), 3)
        self.assertEqual(self.daemon.api("status")["stored"]["spans"], 3)

    def test_a_new_space_of_that_name_knows_nothing(self):
        self.daemon.cli("space", "delete", "team-b", "--yes")
        self.daemon.cli("space", "create", "team-b")
        self.switch("on", "--space", "team-b")
        self.tokens["team-b"] = self.make("read", "--space", "team-b")
        rows = self.call("team-b", "GET", "/api/v1/audit").json()["items"]
        self.assertEqual([row["action"] for row in rows],
                         ["token.create", "space.token_access_on", "space.create"])
        every = self.daemon.cli_json("audit", "list", "--limit", "1000")["items"]
        self.assertIn("peach-token", {row["detail"] for row in every})

    def test_doctor_and_status_for_a_token(self):
        url = "http://" + self.daemon.endpoints["web"]
        for command in ("doctor", "status", "token list", "audit list"):
            env = {**self.daemon.environment(), "MIDWATCH_SERVER": url,
                   "MIDWATCH_TOKEN": self.tokens["team-a"]["token"]}
            done = subprocess.run([BINARY, *command.split()], env=env, capture_output=True,
                                  text=True, check=False)
            self.assertIn(done.returncode, (0, 1), done.stderr)
            for mark in ("apple", "peach", "team-b"):
                self.assertNotIn(mark, done.stdout + done.stderr)
        done = subprocess.run([BINARY, "alarm", "list"], env=env, capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 4)
        self.assertIn("are of the space default; this token is of team-a; ask with a token of",
                      done.stderr)


class WordsTest(TokenCase):
    """What the command line says of a refusal: once, with what helps in this case."""

    def complaint(self, token, *command, code=4, otlp_port=False):
        env = {**self.daemon.environment(), "MIDWATCH_TOKEN": token}
        where = ("--server", "http://" + self.daemon.endpoints["web"])
        done = subprocess.run([BINARY, *command, *where], env=env, capture_output=True, text=True,
                              check=False, input="")
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def test_one_hint(self):
        read = self.make("read")["token"]
        made = ("webhook", "create", "--name", "x", "--source", "generic")
        rows = ((read, made, "access by token is switched off; midwatch space token-access on"),
                ("", made, "changes need the unix socket or a token with the scope operate; run as "
                 "the daemon's user (unix socket) or set MIDWATCH_TOKEN"),
                ("", ("space", "create", "x"), "spaces, tokens and their switch are changed "
                 "through the unix socket alone; run as the daemon's user, with its --data"))
        for token, command, words in rows:
            self.assertRegex(self.complaint(token, *command), r"^midwatch: [\w: ]+: " +
                             words.replace("(", r"\(").replace(")", r"\)") + "\n$")
        self.switch()
        self.assertEqual(self.complaint(read, *made).count("; "), 1)
        self.assertRegex(self.complaint("mwat_x", *made), r"^midwatch: webhook: authorization: the "
                         r"credentials are not valid; send [\w: ]+\n$")
        answer = self.change(read)
        error = answer.json()["error"]
        self.assertEqual((answer.status, error["field"]), (403, "scope"))
        self.assertIn("token create", error["hint"])
        self.assertNotIn(error["hint"], error["message"])

    def test_import_with_a_token_for_that_alone(self):
        """Who may ingest need not read: the port is found without it."""
        ingest, read = self.make("ingest")["token"], self.make("read")["token"]
        self.switch()
        self.assertIn("0 requests taken by http://127.0.0.1:",
                      self.complaint(ingest, "import", os.devnull, code=0))
        self.complaint(ingest, "demo", code=0)
        self.assertGreater(self.daemon.api("status")["stored"]["spans"], 0)
        self.assertIn("lacks the scope ingest", self.complaint(read, "demo"))
        self.assertIn("lacks the scope read", self.complaint(ingest, "status"))


class SpaceTest(TokenCase):
    def test_a_token_is_of_one_space(self):
        # Row 27.
        self.daemon.cli("space", "create", "team-a")
        self.daemon.cli("space", "create", "team-b")
        self.switch("on", "--space", "team-a")
        read = self.make("read,ingest", "--space", "team-a")["token"]
        self.assertEqual(self.export({"x-midwatch-space": "team-b"}).status, 200)
        self.assertEqual(self.export(bearer(read), "mine").status, 200)
        self.assertEqual(self.export({**bearer(read), "x-midwatch-space": "team-a"}).status, 200)
        other = self.export({**bearer(read), "x-midwatch-space": "team-b"})
        nowhere = self.export({**bearer(read), "x-midwatch-space": "nope"})
        self.assertEqual(other.status, nowhere.status)
        spans = self.ask(read, "/api/v1/spans").json()["items"]
        self.assertEqual({s["name"] for s in spans}, {"mine", "s"})
        self.assertEqual(self.ask(read, "/api/v1/spans?space=team-a").status, 200)
        self.assertEqual(self.ask(read, "/api/v1/spans?space=team-b").status, 404)
        self.assertEqual(self.ask(read, "/api/v1/spans?space=default").status, 404)
        theirs = self.daemon.api("spans?space=team-b")["items"]
        self.assertEqual(self.ask(read, f"/api/v1/traces/{theirs[0]['trace_id']}").status, 404)
        self.assert_lists(read, "team-a")
        self.assertEqual(self.ask(read, "/api/v1").status, 200)
        # The switch is the space's own.
        default = self.make("read")["token"]
        self.assertEqual(self.ask(default).status, 403)

    def assert_lists(self, token, own):
        listed = self.ask(token, "/api/v1/spaces").json()
        self.assertEqual(([s["name"] for s in listed["items"]], listed["total"]), ([own], 1))

    def test_spaces_are_changed_through_the_socket_alone(self):
        self.daemon.cli("space", "create", "team-a")
        self.export({"x-midwatch-space": "team-a"})
        for own in ("default", "team-a"):
            self.switch("on", "--space", own)
            token = self.make("operate", "--space", own)["token"]
            self.assert_lists(token, own)
            for method, path, body in (("POST", "", b'{"name":"team-b"}'),
                                       ("DELETE", "/team-a", None), ("DELETE", "/nobody", None)):
                answer = self.daemon.request(method, "/api/v1/spaces" + path, body, {
                    "content-type": "application/json", **bearer(token)})
                self.assertEqual(answer.status, 403, (own, method, path))
                self.assertIn(b"unix socket alone", answer.body)
        self.assertEqual(len(self.daemon.api("spans?space=team-a")["items"]), 1)
        names = [s["name"] for s in self.daemon.cli_json("space", "list")["items"]]
        self.assertEqual(names, ["default", "team-a"])
        actions = {row["action"] for row in self.denied()}
        self.assertIn("access.administer", actions)

    def test_tokens_go_with_their_space(self):
        self.daemon.cli("space", "create", "team-a")
        self.switch("on", "--space", "team-a")
        self.switch("on")
        made = self.make("read", "--space", "team-a")
        self.assertEqual(self.ask(made["token"], "/api/v1/traces").status, 200)
        self.daemon.cli("space", "delete", "team-a", "--yes")
        self.assertEqual(self.ask(made["token"], "/api/v1/traces").status, 401)
        self.daemon.cli("space", "create", "team-a")
        self.assertEqual(self.ask(made["token"], "/api/v1/traces").status, 401)
        again = self.make("read", "--space", "team-a")
        self.assertEqual(self.ask(again["token"], "/api/v1/traces").status, 403)
        spaces = {s["name"]: s["token_access"]
                  for s in self.daemon.cli_json("space", "list")["items"]}
        self.assertEqual(spaces, {"default": True, "team-a": False})


if __name__ == "__main__":
    unittest.main()
