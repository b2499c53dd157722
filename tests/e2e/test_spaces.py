#!/usr/bin/env python3
"""Spaces: made, listed and deleted; exports and questions that choose one; nothing crosses."""
import json
import os
import struct
import unittest

import otlp
import signals
from follower import Follower
from h2frames import Peer
from harness import TRACES_GRPC, Case, Daemon, DaemonCase, wait_for

TRACE = bytes.fromhex("5a5a5a5a00000000000000000000000001")[:16]
SPAN = bytes.fromhex("0102030405060708")
INVALID_ARGUMENT = 3
PATHS = {"traces": "/v1/traces", "logs": "/v1/logs", "metrics": "/v1/metrics"}


def in_space(name):
    return {"x-midwatch-space": name}


def exports(mark):
    """One request a signal, with the same ids whatever the mark, which all texts carry."""
    session = ("session.id", "one-session")
    who = ("customer", mark)
    return {
        "traces": otlp.request([
            otlp.span(TRACE, SPAN, name=f"{mark}-root",
                      attributes=[session, who, ("gen_ai.agent.name", f"{mark}-agent")]),
            otlp.span(TRACE, b"child-id", SPAN, name=f"{mark}-child", attributes=[who])],
            service=f"{mark}-service"),
        "logs": otlp.logs_request([
            otlp.log_record(f"{mark} says this", trace_id=TRACE, span_id=SPAN,
                            attributes=[session, who])], service=f"{mark}-service"),
        "metrics": otlp.metrics_request([
            otlp.metric([otlp.number_point(attributes=[session, who])], name="one.metric")],
            service=f"{mark}-service"),
    }


def send(daemon, mark, headers=None):
    for signal, body in exports(mark).items():
        answer = signals.post(daemon, PATHS[signal], body, headers=headers)
        assert answer.status == 200, answer.body


def create(daemon, name):
    answer = daemon.request("POST", "/api/v1/spaces", json.dumps({"name": name}),
                            {"content-type": "application/json"}, port="socket")
    assert answer.status == 201, answer.body
    return answer.json()


def delete(daemon, name):
    return daemon.request("DELETE", f"/api/v1/spaces/{name}", port="socket")


class DoorsTest(DaemonCase):
    """Names, listing, who may."""

    def test_list_create_delete(self):
        self.assertEqual([item["name"] for item in self.daemon.api("spaces")["items"]], ["default"])
        made = create(self.daemon, "team-b")
        self.assertEqual(made["name"], "team-b")
        self.assertEqual((made["spans"], made["bytes"], made["oldest_arrival"]), (0, 0, None))
        create(self.daemon, "team-a")
        listed = self.daemon.api("spaces")
        self.assertEqual([item["name"] for item in listed["items"]],
                         ["default", "team-a", "team-b"])
        self.assertEqual((listed["total"], listed["next_cursor"]), (3, None))
        self.assertEqual(self.daemon.cli_json("status")["spaces"], 3)
        for name in ("team-a", "team-b"):
            answer = delete(self.daemon, name)
            self.assertEqual((answer.status, answer.json()),
                             (200, {"name": name, "deleted": True}))
        self.assertEqual(self.daemon.api("spaces")["total"], 1)
        self.assertEqual(os.listdir(os.path.join(self.daemon.data, "spaces")), [])
        audit = [(row["action"], row["subject"], row["outcome"])
                 for row in self.daemon.api("audit")["items"]]
        self.assertIn(("space.create", "team-a", "ok"), audit)
        self.assertIn(("space.delete", "team-a", "ok"), audit)

    def test_refusals(self):
        def post(body, content_type="application/json", port="socket"):
            return self.daemon.request("POST", "/api/v1/spaces", body,
                                       {"content-type": content_type}, port=port)
        for name in ("", "A", "a/b", "..", "a_b", "a" * 64, "ä"):
            with self.subTest(name=name):
                answer = post(json.dumps({"name": name}))
                self.assertEqual((answer.status, answer.json()["error"]["field"]), (400, "name"))
        for body in ("{}", "[]", '{"name":1}', '{"name":"a","more":1}', "{", ""):
            self.assertEqual(post(body).status, 400, body)
        self.assertEqual(post('{"name":"a"}', "text/plain").status, 415)
        self.assertEqual(post('{"name":"default"}').status, 409)
        self.assertEqual(post('{"name":"a"}', port="web").status, 403)
        self.assertEqual(self.daemon.request("DELETE", "/api/v1/spaces/default").status, 403)
        self.assertEqual(delete(self.daemon, "default").status, 403)
        self.assertEqual(delete(self.daemon, "nobody").status, 404)
        self.assertEqual(delete(self.daemon, "..%2fstore").status, 404)
        self.assertEqual(self.daemon.api("spaces")["total"], 1)

    def test_command_line(self):
        self.daemon.cli("space", "create", "ops")
        self.daemon.cli("space", "create", "ops", code=6)
        self.daemon.cli("space", "create", "Ops", code=2)
        self.assertRegex(self.daemon.cli("space", "list"), r"(?m)^default +.*\n^ops +0 +0")
        self.daemon.cli("trace", "list", "--space", "ops")
        self.daemon.cli("trace", "list", "--space", "none", code=5)
        self.daemon.cli("alarm", "list", "--space", "ops", code=2)
        done = self.daemon.cli_raw("space", "delete", "ops")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--yes", done.stderr)
        self.daemon.cli("space", "delete", "default", "--yes", code=4)
        self.daemon.cli("space", "delete", "ops", "--yes")
        self.daemon.cli("space", "delete", "ops", "--yes", code=5)

    def test_space_that_is_not_there(self):
        """Refused, the fix named, nothing made."""
        body = exports("x")["traces"]
        for name, words in (("nobody", "midwatch space create nobody"), ("No Body", "lower-case"),
                            ("", "lower-case"), ("../store", "lower-case")):
            with self.subTest(name=name):
                answer = signals.post(self.daemon, "/v1/traces", body, headers=in_space(name))
                self.assertEqual(answer.status, 400)
                self.assertIn(words, otlp.status_message(answer.body)[1])
                answer = signals.post(self.daemon, "/v1/traces", b"{}", "application/json",
                                      headers=in_space(name))
                self.assertEqual((answer.status, answer.json()["code"]), (400, INVALID_ARGUMENT))
        with Peer(self.daemon.address("grpc")) as peer:
            peer.handshake()
            answer = self.export_by_grpc(peer, body, "nobody")
            self.assertEqual(answer.grpc_status, INVALID_ARGUMENT)
            self.assertIn("midwatch space create nobody", answer.grpc_message)
        refused = self.daemon.cli_json("status")["refused"]["space"]
        self.assertEqual(refused, 3)
        for path in ("traces", "traces/5a5a5a5a", "sessions", "sessions/x", "logs", "metrics",
                     "metrics/x", "logs?follow=true"):
            question = path + ("&" if "?" in path else "?")
            self.assertEqual(self.daemon.get(f"/api/v1/{question}space=nobody").status, 404, path)
            answer = self.daemon.get(f"/api/v1/{question}space=")
            self.assertEqual((answer.status, answer.json()["error"]["field"]), (400, "space"))
            answer = self.daemon.get(f"/api/v1/{question}space=a&space=b")
            self.assertIn(answer.status, (400, 404))
        self.assertEqual(self.daemon.get("/api/v1/alarms?space=default").status, 400)
        self.assertEqual(self.daemon.api("spaces")["total"], 1)

    @staticmethod
    def export_by_grpc(peer, body, space):
        return peer.request("POST", TRACES_GRPC,
                            [("content-type", "application/grpc"), ("te", "trailers"),
                             ("x-midwatch-space", space)],
                            b"\0" + struct.pack(">I", len(body)) + body)

    def test_export_by_grpc(self):
        create(self.daemon, "by-grpc")
        with Peer(self.daemon.address("grpc")) as peer:
            peer.handshake()
            answer = self.export_by_grpc(peer, exports("g")["traces"], "by-grpc")
            self.assertEqual(answer.grpc_status, 0)
        self.assertEqual(len(self.daemon.api("traces?space=by-grpc")["items"]), 1)
        self.assertEqual(self.daemon.api("traces")["items"], [])
        self.assertEqual(delete(self.daemon, "by-grpc").status, 200)


class NothingCrossesTest(DaemonCase):
    """The same trace, span and session ids and the same metric in three spaces: every question of
    one is answered with its own texts alone."""

    SPACES = {"default": "apple", "left": "melon", "right": "peach"}

    @classmethod
    def prepare(cls):
        for name, mark in cls.SPACES.items():
            if name == "default":
                send(cls.daemon, mark)
            else:
                create(cls.daemon, name)
                send(cls.daemon, mark, in_space(name))

    def questions(self, name):
        """Every route that takes a space, with ids that it has."""
        ids = {"/api/v1/traces/{id}": TRACE.hex(), "/api/v1/sessions/{id}": "one-session",
               "/api/v1/agents/{name}": f"{self.SPACES[name]}-agent",
               "/api/v1/traces/{id}/tree": TRACE.hex() + "/tree",
               "/api/v1/sessions/{id}/turns": "one-session/turns",
               "/api/v1/metrics/{name}": "one.metric",
               "/api/v1/services/{name}": f"{self.SPACES[name]}-service"}
        routes = [route["path"] for route in self.daemon.api("")["routes"]
                  if "space" in route["parameters"]]
        self.assertGreaterEqual(len(routes), 10)
        for path in routes:
            yield path.split("{")[0] + ids[path] if "{" in path else path

    def ask(self, path, name):
        query = "" if name == "default" else ("&" if "?" in path else "?") + f"space={name}"
        answer = self.daemon.get(path + query)
        self.assertEqual(answer.status, 200, f"{path} {name} {answer.body!r}")
        return answer.body.decode()

    def assert_own(self, text, name, what):
        for other, mark in self.SPACES.items():
            if other == name:
                self.assertIn(mark, text, f"{what} of {name}")
            else:
                self.assertNotIn(mark, text, f"{what} of {name}")

    def check_all(self):
        for name in self.SPACES:
            for path in self.questions(name):
                text = self.ask(path, name)
                if path != "/api/v1/sessions":
                    self.assert_own(text, name, path)
        for other in ("left", "right"):
            self.assertEqual(self.daemon.get(
                f"/api/v1/services/apple-service?space={other}").status, 404)
        for name, mark in self.SPACES.items():
            session, = json.loads(self.ask("/api/v1/sessions", name))["items"]
            self.assertEqual((session["space"], session["spans"], session["logs"]), (name, 2, 1))
            # Filters find what is here, and nothing of what is there.
            for path in (f"/api/v1/logs?text={mark}", f"/api/v1/spans?attribute=customer%3D{mark}",
                         f"/api/v1/logs?service={mark}-service",
                         f"/api/v1/metrics?service={mark}-service"):
                for asked in self.SPACES:
                    found = json.loads(self.ask(path, asked))["items"]
                    self.assertEqual(bool(found), asked == name, f"{path} of {asked}")
            text = self.daemon.cli("trace", "show", TRACE.hex(), "--space", name)
            self.assert_own(text, name, "trace show")

    def test_every_question(self):
        self.check_all()

    def test_same_request_in_two_spaces(self):
        """A retry is one within its space alone."""
        body = otlp.request([otlp.span(name="twice")])
        before = self.daemon.cli_json("status")["retried"]
        for headers in (None, in_space("left"), in_space("right"), in_space("left")):
            self.assertEqual(signals.post(self.daemon, "/v1/traces", body,
                                          headers=headers).status, 200)
        self.assertEqual(self.daemon.cli_json("status")["retried"] - before, 1)
        for name in self.SPACES:
            self.assertIn("twice", self.ask("/api/v1/traces", name))

    def test_totals(self):
        listed = {item["name"]: item for item in self.daemon.api("spaces")["items"]}
        self.assertEqual(sum(item["spans"] for item in listed.values()),
                         self.daemon.cli_json("status")["stored"]["spans"])
        for item in listed.values():
            self.assertEqual((item["logs"], item["points"]), (1, 1))
            self.assertTrue(item["writable"])

    def test_zz_after_a_start(self):
        self.daemon.restart()
        self.check_all()
        checked = self.daemon.cli("check")
        for name in ("left", "right"):
            self.assertRegex(checked, rf"space {name} +whole: [1-9]")


class FollowTest(Case):
    def test_followers_stay_in_their_space_and_end_with_it(self):
        with Daemon() as daemon:
            create(daemon, "a")
            create(daemon, "b")
            followers = {name: Follower(daemon, f"&space={name}").begun() for name in ("a", "b")}
            for name, follower in followers.items():
                self.assertEqual(follower.status, 200)
                body = otlp.logs_request([otlp.log_record(f"in {name}")])
                signals.post(daemon, "/v1/logs", body, headers=in_space(name))
            for name, follower in followers.items():
                follower.wait(1)
                self.assertEqual(follower.bodies(), [f"in {name}"])
            self.assertEqual(delete(daemon, "a").status, 200)
            self.assertTrue(followers["a"].ended())
            self.assertTrue(followers["a"].clean)
            self.assertEqual(Follower(daemon, "&space=a").status, 404)
            signals.post(daemon, "/v1/logs", otlp.logs_request([otlp.log_record("still")]),
                         headers=in_space("b"))
            followers["b"].wait(2)
            self.assertEqual(followers["b"].bodies(), ["in b", "still"])
            followers["b"].close()


class KillTest(Case):
    def test_deleted_stays_deleted_and_created_stays(self):
        daemon = Daemon().start()
        try:
            create(daemon, "goes")
            create(daemon, "stays")
            send(daemon, "melon", in_space("goes"))
            send(daemon, "peach", in_space("stays"))
            self.assertEqual(delete(daemon, "goes").status, 200)
            daemon.kill()
            # As a kill in the middle of a deletion leaves it.
            os.makedirs(os.path.join(daemon.data, "spaces", ".deleted-goes-0", "store"))
            daemon.start()
            self.assertEqual([item["name"] for item in daemon.api("spaces")["items"]],
                             ["default", "stays"])
            self.assertEqual(os.listdir(os.path.join(daemon.data, "spaces")), ["stays"])
            self.assertIn("peach", daemon.get("/api/v1/logs?space=stays").body.decode())
            # Its own exports are recognised after the start, too.
            before = daemon.cli_json("status")["retried"]
            send(daemon, "peach", in_space("stays"))
            self.assertEqual(daemon.cli_json("status")["retried"] - before, 3)
            create(daemon, "goes")
            wait_for("an empty space", lambda: not daemon.api("traces?space=goes")["items"])
            daemon.stop()
        finally:
            if daemon.process:
                daemon.kill()
            daemon.remove()


if __name__ == "__main__":
    unittest.main()
