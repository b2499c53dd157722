#!/usr/bin/env python3
"""Metrics found again: exact values of every kind, series, filters, pages, the command line."""
import re
import unittest
import urllib.parse

import otlp
import signals
from harness import Case, Daemon, DaemonCase, same_json

BASE = 1_700_000_000_000_000_000
SECOND = 10 ** 9
TEMPORALITIES = {0: None, 1: "delta", 2: "cumulative"}
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
ODD_NAME = "a/b c?d=e&f%2F#\x1b[31m日本"


def show_path(name, query=""):
    return "metrics/" + urllib.parse.quote(name, safe="") + query


class CaptureTest(Case):
    def check_metric(self, daemon, metric, resource):
        shown = daemon.api(show_path(metric["name"], "?limit=1000"))
        self.assertEqual(sorted(shown), ["name", "next_cursor", "series"])
        self.assertEqual((shown["name"], shown["next_cursor"]), (metric["name"], None))
        self.assertEqual(sum(len(s["points"]) for s in shown["series"]), len(metric["points"]))
        for point in metric["points"]:
            attributes = signals.attributes_of(point["attributes"])
            fitting = [s for s in shown["series"] if same_json(s["attributes"], attributes)]
            self.assertEqual(len(fitting), 1, attributes)
            (series,) = fitting
            sums = metric["type"] == "sum"
            self.assert_json(
                [series["kind"], series["unit"], series["description"], series["temporality"],
                 series["monotonic"], series["service"], series["resource"],
                 series["scope"]["name"], series["metric_namespace"]],
                [metric["type"], metric["unit"] or None, metric["description"] or None,
                 TEMPORALITIES[metric["temporality"]], metric["monotonic"] if sums else None,
                 signals.attributes_of(resource["attributes"])["service.name"],
                 signals.attributes_of(resource["attributes"]), metric["scope"], None])
            wanted = signals.expected_point(metric["type"], point)
            found = [signals.part_of(p, wanted) for p in series["points"]]
            self.assertTrue(any(same_json(p, wanted) for p in found), f"{wanted}\nnot in\n{found}")
        return shown

    def check(self, daemon, capture):
        expected = capture["expected"]
        listed = daemon.api("metrics")["items"]
        (resource,) = expected["resources"]
        self.assertEqual([m["name"] for m in listed],
                         sorted(m["name"] for m in expected["metric_list"]))
        self.assertEqual(sum(m["points"] for m in listed), expected["data_points"])
        by_name = {m["name"]: m for m in listed}
        answers = [listed]
        for metric in expected["metric_list"]:
            found = by_name[metric["name"]]
            self.assertEqual((found["kind"], found["unit"], found["points"], found["services"]),
                             (metric["type"], metric["unit"] or None, len(metric["points"]),
                              [signals.attributes_of(resource["attributes"])["service.name"]]))
            times = sorted(int(p["time"]) for p in metric["points"])
            self.assertEqual((found["first_seen_unix_nano"], found["last_seen_unix_nano"]),
                             (str(times[0]), str(times[-1])))
            answers.append(self.check_metric(daemon, metric, resource))
        return answers

    def test_what_was_sent_comes_back(self):
        """Each capture twice: the second time nothing changes."""
        found = signals.captures("metrics")
        self.assertGreaterEqual(len(found), 23)
        for capture in found:
            with self.subTest(capture=capture["case"]), Daemon() as daemon:
                signals.send(daemon, capture)
                first = self.check(daemon, capture)
                signals.send(daemon, capture)
                self.assert_json(self.check(daemon, capture), first)
                status = daemon.api("status")
                self.assertEqual(status["stored"]["points"], capture["expected"]["data_points"])
                self.assertEqual(status["retried"], 1)

    def test_what_captures_leave_out(self):
        """Summaries, metadata, -0.0 and a value that is to be ignored, in both encodings."""
        synthetic = [c for c in signals.captures("metrics") if c.get("synthetic")]
        self.assertEqual(len(synthetic), 3)
        for capture in synthetic:
            with self.subTest(capture=capture["case"]), Daemon() as daemon:
                signals.send(daemon, capture)
                (series,) = daemon.api("metrics/summ")["series"]
                (point,) = series["points"]
                self.assert_json([point["count"], point["sum"], point["quantiles"]],
                                 [10, 55.5, [{"quantile": 0.0, "value": 1.0},
                                             {"quantile": 0.5, "value": 5.0},
                                             {"quantile": 1.0, "value": 10.0}]])
                (series,) = daemon.api("metrics/calls")["series"]
                (point,) = series["points"]
                self.assertEqual((point["flags"], point["value"]), (1, None))
                (series,) = daemon.api("metrics/gauge.meta")["series"]
                self.assertEqual(series["metadata"], {"prometheus.type": "gauge"})
                text = daemon.get("/api/v1/metrics/gauge.meta").body
                zero = b"0.0" if capture["encoding"] == "json" else b"-0.0"
                self.assertIn(b'"value":' + zero + b",", text)
                (series,) = daemon.api("metrics/exp")["series"]
                self.assert_json(series["points"][0]["zero_threshold"], 1e-9)


class MetricTest(DaemonCase):
    @classmethod
    def prepare(cls):
        depth = signals.gauge("queue.depth", [
            (BASE + n * SECOND, n, [("queue", queue), ("session.id", "sess-1")])
            for n in range(5) for queue in ("a", "b")], unit="{item}")
        odd = signals.gauge(ODD_NAME, [(BASE, 2 ** 63 - 1, [("k\x1b", "v\x1b[2J")])])
        other = signals.gauge("queue.depth", [(BASE, 7, [])], unit="{item}")
        answers = [signals.post(cls.daemon, "/v1/metrics", signals.request([depth, odd], "shop")),
                   signals.post(cls.daemon, "/v1/metrics", signals.request([other], "bank"),
                                headers={"x-aws-metric-namespace": "bedrock-agentcore"})]
        assert all(a.status == 200 and a.body == b"" for a in answers), answers

    def show(self, query=""):
        return self.daemon.api("metrics/queue.depth" + query)

    def test_list(self):
        listed = self.daemon.api("metrics")
        self.assertEqual(sorted(listed), ["items", "next_cursor", "total"])
        odd, depth = listed["items"]
        self.assertEqual(odd["name"], ODD_NAME)
        self.assert_json(depth, {
            "name": "queue.depth", "kind": "gauge", "unit": "{item}", "services": ["bank", "shop"],
            "series": 3, "points": 11, "first_seen": "2023-11-14T22:13:20.000000000Z",
            "first_seen_unix_nano": str(BASE), "last_seen": "2023-11-14T22:13:24.000000000Z",
            "last_seen_unix_nano": str(BASE + 4 * SECOND)})

    def test_series(self):
        shown = self.show()
        self.assertEqual([s["service"] for s in shown["series"]], ["bank", "shop", "shop"])
        bank, *shop = shown["series"]
        self.assertEqual((bank["metric_namespace"], bank["attributes"]), ("bedrock-agentcore", {}))
        self.assertEqual(bank["points"], [{
            "time": "2023-11-14T22:13:20.000000000Z", "time_unix_nano": str(BASE), "start": None,
            "start_unix_nano": None, "flags": 0, "value": 7, "exemplars": [],
            "oversized_bytes": None}])
        self.assertEqual({s["attributes"]["queue"] for s in shop}, {"a", "b"})
        for series in shop:
            self.assertEqual([p["value"] for p in series["points"]], [4, 3, 2, 1, 0])
            self.assertEqual((series["session_id"], series["unit"]), ("sess-1", "{item}"))

    def values(self, query):
        return sorted(p["value"] for s in self.show(query)["series"] for p in s["points"])

    def test_filters(self):
        self.assertEqual(self.values("?service=bank"), [7])
        self.assertEqual(self.values("?namespace=bedrock-agentcore"), [7])
        self.assertEqual(len(self.values("?session=sess-1")), 10)
        self.assertEqual(self.values(f"?since={BASE + 3 * SECOND}"), [3, 3, 4, 4])
        self.assertEqual(self.values(f"?until={BASE + SECOND}&service=shop"), [0, 0])
        self.assertEqual(self.values("?since=1h"), [])
        self.assertEqual(self.show("?since=1h")["series"], [])
        for query, names in (("?service=bank", ["queue.depth"]), ("?namespace=x", []),
                             ("?session=sess-1", ["queue.depth"]), ("?since=1h", [])):
            self.assertEqual([m["name"] for m in self.daemon.api("metrics" + query)["items"]], names)
        self.assertEqual(self.daemon.api("metrics?service=bank")["items"][0]["points"], 1)

    def test_pages_of_points(self):
        seen, cursor = [], ""
        for _ in range(20):
            page = self.show("?limit=3" + cursor)
            seen += [(s["service"], s["attributes"].get("queue"), p["time_unix_nano"])
                     for s in page["series"] for p in s["points"]]
            if not page["next_cursor"]:
                break
            cursor = "&cursor=" + page["next_cursor"]
        self.assertEqual(len(seen), 11)
        self.assertEqual(len(set(seen)), 11)

    def test_pages_of_metrics(self):
        page = self.daemon.api("metrics?limit=1")
        self.assertEqual([m["name"] for m in page["items"]], [ODD_NAME])
        page = self.daemon.api("metrics?limit=1&cursor=" +
                               urllib.parse.quote(page["next_cursor"], safe=""))
        self.assertEqual([m["name"] for m in page["items"]], ["queue.depth"])

    def test_refusals(self):
        rows = {"?nope=1": "nope", "?service=": "service", "?limit=0": "limit",
                "?namespace=a&namespace=b": "namespace", "?severity=1": "severity",
                "?cursor=zzz": "cursor"}
        for path in ("metrics", "metrics/queue.depth"):
            for query, field in rows.items():
                with self.subTest(path=path, query=query):
                    answer = self.daemon.get("/api/v1/" + path + query)
                    self.assertEqual(answer.status, 400, answer.body)
                    self.assertEqual(answer.json()["error"]["field"], field)
        self.assertEqual(self.daemon.get("/api/v1/metrics/none").status, 404)

    def test_odd_name(self):
        shown = self.daemon.api(show_path(ODD_NAME))
        self.assertEqual(shown["name"], ODD_NAME)
        self.assertEqual(shown["series"][0]["points"][0]["value"], str(2 ** 63 - 1))
        self.assert_json(self.daemon.cli_json("metric", "show", ODD_NAME), shown)
        text = self.daemon.cli("metric", "show", ODD_NAME)
        self.assertIsNone(CONTROL.search(text), repr(text))
        self.assertIn("k\\x1b=v\\x1b[2J", text)
        self.assertIn(str(2 ** 63 - 1), text)

    def test_command_line(self):
        for noun in ("metric", "metrics"):
            self.assert_json(self.daemon.cli_json(noun, "list"), self.daemon.api("metrics"))
        text = self.daemon.cli("metric", "list")
        self.assertIsNone(CONTROL.search(text), repr(text))
        self.assertRegex(text, r"queue\.depth +gauge +\{item\} +3 +11 ")
        text = self.daemon.cli("metric", "show", "queue.depth")
        self.assertRegex(text, r"(?m)^shop +queue=a, session\.id=sess-1 +2023-11-14T22:13:24Z +4 ")
        self.assertRegex(text, r"(?m)^bank +2023-11-14T22:13:20Z +7 +1$")
        self.daemon.cli("metric", "show", "none", code=5)
        self.daemon.cli("metric", "show", "queue.depth", "--service", "", code=2)
        done = self.daemon.cli_raw("metric", "list", "--namespace", "none")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("no metrics within", done.stderr)
        done = self.daemon.cli_raw("metric", "show", "queue.depth", "--limit", "2")
        self.assertIn("--cursor", done.stderr)
        for columns in (40, 80):
            for verb in (["list"], ["show", "queue.depth"]):
                text = self.daemon.cli("metric", *verb, env={"COLUMNS": str(columns)})
                table = [line for line in text.splitlines() if not line.startswith("  ")]
                self.assertLessEqual(max(map(len, table)), columns, text)
                self.assertIn("SERIES" if verb == ["list"] else "VALUE", text)

    def test_status(self):
        self.assertEqual(self.daemon.api("status")["stored"], {"spans": 0, "logs": 0, "points": 12})
        self.assertIn("0 spans, 0 logs, 12 points", self.daemon.cli("status"))
        self.assertIn("\nmidwatch_stored_points 12\n", self.daemon.get("/metrics").body.decode())


class RepeatTest(Case):
    def test_the_first_copy_wins(self):
        """A point is (series, time, start): repeats in other requests are not counted again."""
        with Daemon() as daemon:
            for number, value in enumerate((1, 1, 2)):
                body = signals.request([signals.gauge("g", [(BASE, value, [("a", "x")])])])
                # An unknown field, so that no request is a retry of another.
                body += otlp.length_field(999, bytes([number]))
                self.assertEqual(signals.post(daemon, "/v1/metrics", body).status, 200)
            (series,) = daemon.api("metrics/g")["series"]
            self.assertEqual([p["value"] for p in series["points"]], [1])
            self.assertEqual(daemon.api("metrics")["items"][0]["points"], 1)


if __name__ == "__main__":
    unittest.main()
