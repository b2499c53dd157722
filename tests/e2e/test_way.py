#!/usr/bin/env python3
"""The thin way: what real clients sent is acknowledged, found again field by field, stays the
same when sent twice, and survives kill -9."""
import unittest

from captures import send_capture
from harness import KINDS, STATUSES, DaemonCase, any_value, attribute_object, trace_captures


def nano(time_text):
    """Whole nanoseconds of "…T…Z" within its second, for comparing with the *_unix_nano twin."""
    return int(time_text[20:-1])


class WayTest(DaemonCase):
    @classmethod
    def prepare(cls):
        cls.captures = trace_captures()

    def shown(self, trace_id):
        return self.daemon.cli_json("trace", "show", trace_id)

    def check_span(self, span, expected, resource):
        name = expected["span_id"]
        self.assertEqual(span["span_id"], expected["span_id"])
        self.assertEqual(span["parent_span_id"] or "", expected["parent_span_id"], name)
        self.assertEqual(span["name"], expected["name"])
        self.assertEqual(span["kind"], KINDS[expected["kind"]], name)
        self.assertEqual(span["status"], STATUSES[expected["status_code"]], name)
        self.assertEqual(span["status_message"] or "", expected["status_message"], name)
        self.assertEqual(span["trace_state"] or "", expected["trace_state"], name)
        self.assertEqual(span["flags"], expected["flags"], name)
        self.assertEqual(span["start_unix_nano"], expected["start"], name)
        self.assertEqual(span["end_unix_nano"], expected["end"], name)
        self.assertEqual(nano(span["start"]), int(expected["start"]) % 10 ** 9, name)
        duration_ms = (int(expected["end"]) - int(expected["start"])) / 1e6
        self.assertAlmostEqual(span["duration_ms"], duration_ms, 6, name)
        self.assert_json(span["attributes"], attribute_object(expected["attributes"]), name)
        for what in ("attributes", "events", "links"):
            self.assertEqual(span[f"dropped_{what}_count"], expected[f"dropped_{what}"], name)
        self.assertEqual([(e["name"], e["time_unix_nano"], len(e["attributes"]))
                          for e in span["events"]],
                         [(e["name"], e["time"], e["n_attributes"]) for e in expected["events"]])
        self.assertEqual([(k["trace_id"], k["span_id"], len(k["attributes"]))
                          for k in span["links"]],
                         [(k["trace_id"], k["span_id"], k["n_attributes"])
                          for k in expected["links"]])
        self.assertEqual(span["scope"]["name"], expected["scope"])
        self.assertEqual(span["scope"]["version"] or "", expected["scope_version"], name)
        self.assert_json(span["resource"], attribute_object(resource["attributes"]), name)
        self.assertEqual(span["resource_schema_url"] or "", resource["schema_url"], name)
        service = {key: value for key, value in resource["attributes"]}["service.name"]
        self.assertEqual(span["service"], any_value(service), name)

    def check_capture(self, capture):
        expected = capture["expected"]
        (resource,) = expected["resources"]
        found = {}
        for span in expected["span_list"]:
            trace_id = span["trace_id"]
            if trace_id not in found:
                found[trace_id] = self.shown(trace_id)
                self.assertEqual(found[trace_id]["trace_id"], trace_id)
            spans = {s["span_id"]: s for s in found[trace_id]["spans"]}
            self.assertIn(span["span_id"], spans)
            self.check_span(spans[span["span_id"]], span, resource)
        for trace in found.values():
            ids = [s["span_id"] for s in trace["spans"]]
            self.assertEqual(len(ids), len(set(ids)), "a span is shown twice")
            self.assertEqual(trace["span_count"], len(ids))
            self.assertEqual(trace["logs"], [])
        if "list_truncated" not in expected:
            total = sum(trace["span_count"] for trace in found.values())
            self.assertEqual(total, expected["spans"])
            events = sum(len(s["events"]) for t in found.values() for s in t["spans"])
            self.assertEqual(events, expected["events"])

    def check_everything(self):
        for capture in self.captures:
            with self.subTest(capture=capture["case"]):
                self.check_capture(capture)

    def check_lists(self):
        """The session of the agent captures: one trace of three spans from each client."""
        agents = [c for c in self.captures if c["scenario" if "scenario" in c else "case"] ==
                  "agent_session"]
        count = len(agents)
        self.assertEqual(count, 6)
        sessions = self.daemon.cli_json("session", "list")
        self.assertIsNone(sessions["next_cursor"])
        by_id = {s["session_id"]: s for s in sessions["items"]}
        session = by_id["sess-7f3a"]
        self.assertEqual((session["traces"], session["spans"], session["errors"]),
                         (count, 3 * count, count))
        self.assertEqual([session[key] for key in ("logs", "model_calls", "tool_calls",
                                                   "input_tokens", "output_tokens")],
                         [0, count, count, 1834 * count, 212 * count])
        self.assertEqual(session["agent"], "triage")
        starts = [int(s["start"]) for c in agents for s in c["expected"]["span_list"]]
        self.assertEqual(session["first_seen_unix_nano"], str(min(starts)))
        self.assertIn("sess-env", by_id)
        newest_first = [int(s["last_seen_unix_nano"]) for s in sessions["items"]]
        self.assertEqual(newest_first, sorted(newest_first, reverse=True))
        shown = self.daemon.cli_json("session", "show", "sess-7f3a")
        self.assertEqual({t["trace_id"] for t in shown["trace_list"]},
                         {c["expected"]["span_list"][0]["trace_id"] for c in agents})
        self.assertEqual({t["root_name"] for t in shown["trace_list"]}, {"invoke_agent triage"})
        spans = sum(t["spans"] for t in self.daemon.cli_json("trace", "list", "--limit",
                                                             "1000")["items"])
        self.assertEqual(spans, sum(c["expected"]["spans"] for c in self.captures))

    def check_stored(self, retried):
        status = self.daemon.cli_json("status")
        self.assertEqual(status["stored"]["spans"],
                         sum(c["expected"]["spans"] for c in self.captures))
        self.assertEqual(status["retried"], retried)
        self.assertEqual(status["store"]["retry_window"], len(self.captures))

    def test_the_way(self):
        for capture in self.captures:
            send_capture(self.daemon, capture)
        self.check_everything()
        self.check_lists()
        self.check_stored(retried=0)
        # The same again: what is stored and shown does not change.
        before = self.daemon.cli("session", "list", "--json")
        for capture in self.captures:
            send_capture(self.daemon, capture)
        self.assertEqual(self.daemon.cli("session", "list", "--json"), before)
        self.check_everything()
        self.check_lists()
        self.check_stored(retried=len(self.captures))
        # And all of it is there after a crash.
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.daemon.cli("session", "list", "--json"), before)
        self.check_everything()
        self.check_lists()
        # A retry is recognised across the crash, too.
        send_capture(self.daemon, self.captures[0])
        self.check_stored(retried=1)


if __name__ == "__main__":
    unittest.main()
