#!/usr/bin/env python3
"""Who calls whom, and how that goes: callers and callees in different requests, in either order,
merged or not, and each edge counted exactly once."""
import json
import random
import unittest
from collections import Counter, defaultdict

from harness import Case, Daemon, DaemonCase, wait_for

INTERNAL, SERVER, CLIENT = 1, 2, 3
OK, ERROR = 1, 2
MINUTE = 60 * 10**9
BASE = 1_600_000_000 * 10**9 // MINUTE * MINUTE  # years ago


def span(trace, ident, parent=0, kind=SERVER, start=0, ms=10, name="work", status=OK, peer=None):
    """Numbers for ids; `start` in seconds behind BASE."""
    found = {
        "traceId": f"{trace:032x}", "spanId": f"{ident:016x}",
        "name": name, "kind": kind, "status": {"code": status},
        "startTimeUnixNano": str(BASE + start * 10**9),
        "endTimeUnixNano": str(BASE + start * 10**9 + ms * 10**6),
    }
    if parent:
        found["parentSpanId"] = f"{parent:016x}"
    if peer:
        found["attributes"] = [{"key": "service.peer.name", "value": {"stringValue": peer}}]
    return found


def export(daemon, service, spans):
    body = {"resourceSpans": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": service}}]},
        "scopeSpans": [{"scope": {}, "spans": spans}]}]}
    answer = daemon.post_traces(json.dumps(body).encode(), content_type="application/json")
    assert answer.status == 200 and answer.json() in ({}, {"partialSuccess": {}}), answer.body


def edges_of(topology):
    return {(edge["caller"], edge["callee"]): edge for edge in topology["edges"]}


def counts_of(topology):
    return {key: (edge["calls"], edge["errors"]) for key, edge in edges_of(topology).items()}


class TopologyTest(DaemonCase):
    @classmethod
    def prepare(cls):
        # Parent first; child first; a peer with spans of its own, and one without.
        export(cls.daemon, "shop", [span(1, 1, ms=100, name="GET /"),
                                    span(1, 2, 1, CLIENT, ms=80, peer="cart")])
        export(cls.daemon, "cart", [span(1, 3, 2, start=1, ms=50, status=ERROR, name="add"),
                                    span(1, 4, 3, CLIENT, 1, ms=5, peer="postgresql")])
        export(cls.daemon, "cart", [span(2, 13, 12, start=61, ms=50, name="add")])
        export(cls.daemon, "shop", [span(2, 11, start=60, ms=400, name="GET /"),
                                    span(2, 12, 11, CLIENT, 60, ms=80, peer="cart.internal")])
        export(cls.daemon, "old", [span(3, 21, start=-86400)])

    def test_edges(self):
        topology = self.daemon.api("topology")
        self.assert_json(counts_of(topology),
                         {("shop", "cart"): (2, 1), ("cart", "postgresql"): (1, 0)})
        edge = edges_of(topology)[("shop", "cart")]
        self.assert_json(edge["error_rate"], 0.5)
        self.assert_json(edge["mean_ms"], 50.0)
        for key in ("p50_ms", "p90_ms", "p99_ms"):
            self.assertAlmostEqual(edge[key], 50, delta=50 * 0.091)
        self.assertEqual(edge["wire"]["calls"], 2)
        self.assertAlmostEqual(edge["wire"]["p50_ms"], 30, delta=30 * 0.091)
        lonely = edges_of(topology)[("cart", "postgresql")]
        self.assert_json(lonely["wire"], {"calls": 0, "mean_ms": None, "p50_ms": None,
                                          "p90_ms": None, "p99_ms": None})

    def test_services(self):
        topology = self.daemon.api("topology")
        services = {item["service"]: item for item in topology["services"]}
        self.assertEqual(list(services), ["cart", "postgresql", "shop"])
        self.assert_json([services["shop"]["spans"], services["shop"]["entry"]["calls"]], [4, 2])
        self.assert_json([services["cart"]["entry"]["calls"], services["cart"]["entry"]["errors"]],
                         [2, 1])
        self.assert_json([services["postgresql"]["spans"], services["postgresql"]["error_rate"]],
                         [0, None])

    def test_the_window_without_bounds_is_the_newest(self):
        topology = self.daemon.api("topology")
        self.assertEqual(topology["window"]["end_unix_nano"], str(BASE + 2 * MINUTE))
        self.assertEqual(topology["window"]["start_unix_nano"], str(BASE - 28 * MINUTE))
        self.assertEqual(topology["window"]["end"], "2020-09-13T12:28:00.000000000Z")
        self.assert_json(topology["as_of"], self.daemon.api("status")["store"]["commit_seq"])
        self.assert_json(topology["left_out"], 0)

    def test_bounds(self):
        first = self.daemon.api(f"topology?since={BASE}&until={BASE + MINUTE}")
        self.assert_json(counts_of(first),
                         {("shop", "cart"): (1, 1), ("cart", "postgresql"): (1, 0)})
        # Minutes are whole: a bound within one takes all of it.
        second = self.daemon.api(f"topology?since={BASE + MINUTE + 5}&until={BASE + MINUTE + 6}")
        self.assert_json(counts_of(second), {("shop", "cart"): (1, 0)})
        self.assertEqual(second["window"]["start_unix_nano"], str(BASE + MINUTE))
        old = self.daemon.api(f"topology?until={BASE - 86300 * 10**9}")
        self.assertEqual([item["service"] for item in old["services"]], ["old"])
        nothing = self.daemon.api(f"topology?since={BASE + 10 * MINUTE}&until={BASE + 11 * MINUTE}")
        self.assert_json([nothing["edges"], nothing["services"]], [[], []])

    def test_mistakes(self):
        for path, field in (("topology?since=never", "since"), ("topology?limit=5", "limit"),
                            (f"topology?since={BASE + 1}&until={BASE}", "since"),
                            ("services?operations=perhaps", "operations"),
                            ("topology?since=1h&since=2h", "since"),
                            ("services/shop?minutes=true", "minutes")):
            answer = self.daemon.get("/api/v1/" + path)
            self.assertEqual((answer.status, answer.json()["error"]["field"]), (400, field), path)
        answer = self.daemon.get("/api/v1/services/nobody")
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (404, "not_found"))
        # A year of minutes one by one is more than one answer.
        answer = self.daemon.get("/api/v1/services?since=2019-01-01&until=2020-01-01&minutes=true")
        self.assertEqual((answer.status, answer.json()["error"]["code"]),
                         (413, "answer_too_large"))

    def test_service_list(self):
        services = self.daemon.api("services")
        self.assert_json([services["total"], services["next_cursor"]], [2, None])
        self.assertEqual([item["service"] for item in services["items"]], ["cart", "shop"])
        self.assertNotIn("operations", services["items"][0])
        self.assertNotIn("minutes", services["items"][0])
        self.assert_json(services["items"][0]["errors"], 1)

    def test_operations_and_minutes(self):
        path = f"services?since={BASE}&until={BASE + 3 * MINUTE}&operations=true&minutes=true"
        cart, shop = self.daemon.api(path)["items"]
        self.assertEqual([minute["time_unix_nano"] for minute in shop["minutes"]],
                         [str(BASE + i * MINUTE) for i in range(3)])
        self.assert_json([minute["spans"] for minute in shop["minutes"]], [2, 2, 0])
        self.assert_json([minute["error_rate"] for minute in cart["minutes"]], [0.5, 0.0, None])
        operations = {item["operation"]: item for item in shop["operations"]}
        self.assertEqual(list(operations), ["GET /", "work"])
        self.assert_json([minute["spans"] for minute in operations["GET /"]["minutes"]], [1, 1, 0])
        self.assertAlmostEqual(operations["GET /"]["p50_ms"], 100, delta=9.1)
        self.assertAlmostEqual(operations["GET /"]["p99_ms"], 400, delta=36.4)
        self.assert_json(operations["work"]["entry"]["calls"], 0)

    def test_one_service(self):
        cart = self.daemon.api("services/cart")
        self.assertEqual([item["operation"] for item in cart["operations"]], ["add", "work"])
        self.assertEqual([edge["caller"] for edge in cart["callers"]], ["shop"])
        self.assertEqual([edge["callee"] for edge in cart["callees"]], ["postgresql"])
        only_called = self.daemon.api("services/postgresql")
        self.assert_json([only_called["spans"], only_called["operations"]], [0, []])
        self.assertEqual([edge["caller"] for edge in only_called["callers"]], ["cart"])

    def test_index(self):
        routes = {route["path"]: route for route in self.daemon.api("")["routes"]
                  if route["method"] == "GET"}
        self.assertEqual(routes["/api/v1/topology"]["parameters"], ["since", "until", "space"])
        self.assertEqual(routes["/api/v1/services"]["parameters"],
                         ["since", "until", "operations", "minutes", "space"])

    def test_command_line(self):
        lines = self.daemon.cli("topology", "show").splitlines()
        self.assertEqual(lines[0], "2020-09-13T11:58:00Z to 2020-09-13T12:28:00Z")
        self.assertEqual(lines[2].split()[:5], ["CALLER", "CALLEE", "CALLS", "ERRORS", "FAILED"])
        # The worst first.
        self.assertEqual([line.split()[:5] for line in lines[3:]],
                         [["shop", "cart", "2", "1", "50.0%"],
                          ["cart", "postgresql", "1", "0", "0.0%"]])
        self.assertEqual(self.daemon.cli_json("topology", "show"), self.daemon.api("topology"))
        listed = self.daemon.cli("service", "list").splitlines()[3:]
        self.assertEqual([line.split()[:4] for line in listed],
                         [["cart", "2", "1", "50.0%"], ["shop", "2", "0", "0.0%"]])
        shown = self.daemon.cli("service", "show", "cart")
        self.assertTrue(shown.startswith("service cart, 2020-09-13T11:58:00Z"), shown)
        for word in ("add", "postgresql", "shop"):
            self.assertIn(word, shown)
        self.daemon.cli("service", "show", "nobody", code=5)
        empty = self.daemon.cli("topology", "show", "--since", "2021-01-01", "--until", "2021-01-02")
        self.assertIn("no calls between services", empty)


class Graph:
    """Random traces, and what their edges come to: each call in the callee's minute."""

    def __init__(self, seed, traces):
        self.random = random.Random(seed)
        self.calls, self.errors, self.spans = Counter(), Counter(), defaultdict(list)
        for trace in range(1, traces + 1):
            self.add_trace(trace)

    def add_trace(self, trace):
        known, last = [], 1 + self.random.randrange(1, 8)
        for ident in range(1, last + 1):
            service = self.random.choice("abcd")
            parent = self.random.choice(known) if known and self.random.random() < 0.9 else None
            status = self.random.choice((OK, OK, OK, ERROR))
            kind = self.random.choice((INTERNAL, SERVER, CLIENT))
            peer = self.random.choice((None, "a", "b", "outside"))
            known.append((ident, service, kind, peer, status))
            self.spans[service].append(span(trace, ident, parent[0] if parent else 0, kind,
                                            self.random.randrange(120), 10, "work", status, peer))
            if parent and parent[1] != service:
                self.count(parent[1], service, status)
                known = [(*one[:3], None, one[4]) if one[0] == parent[0] else one for one in known]
        # What a child in another service did not resolve is a call by the peer's name.
        for _, service, kind, peer, status in known:
            if kind == CLIENT and peer and peer != service:
                self.count(service, peer, status)

    def count(self, caller, callee, status):
        self.calls[caller, callee] += 1
        self.errors[caller, callee] += status == ERROR

    def counts(self):
        return {edge: (self.calls[edge], self.errors[edge]) for edge in self.calls}

    def requests(self):
        """(service, spans) in random order: the spans of a trace come in pieces, anyhow."""
        pieces = []
        for service, spans in self.spans.items():
            self.random.shuffle(spans)
            while spans:
                size = self.random.randrange(1, 40)
                pieces.append((service, spans[:size]))
                spans = spans[size:]
        self.random.shuffle(pieces)
        return pieces


class AcrossMergesTest(Case):
    def wait_for_merges(self, daemon):
        """Until nothing that was stored by now is unmerged."""
        store = lambda: daemon.api("status")["store"]
        wait_for("the merges", lambda: store()["unmerged_bytes"] == 0, 20)
        self.assertGreater(store()["merged_segments"], 0)

    def check(self, daemon, graph):
        topology = daemon.api(f"topology?since={BASE}&until={BASE + 2 * MINUTE}")
        self.assert_json(counts_of(topology), graph.counts())

    def test_each_edge_once(self):
        graph = Graph(7, 150)
        with Daemon(arguments=["--merge-after", "1s"]) as daemon:
            requests = graph.requests()
            for number, (service, spans) in enumerate(requests):
                export(daemon, service, spans)
                if number % (len(requests) // 6) == 0:
                    # Repeats in requests that are not the same bytes: the first copy counts.
                    export(daemon, service, spans[:3])
                    daemon.api("topology")
                    self.wait_for_merges(daemon)
            self.check(daemon, graph)
            export(daemon, service, spans[:2])
            self.wait_for_merges(daemon)
            self.check(daemon, graph)
            daemon.restart()
            self.check(daemon, graph)


if __name__ == "__main__":
    unittest.main()
