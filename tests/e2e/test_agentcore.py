#!/usr/bin/env python3
"""AgentCore's resources through the real port: runtime, gateway, memory, browser, code interpreter,
identity, the content that the AWS distribution moves into log records, and metrics in log records (EMF). Fixtures and where their
shapes are documented: tests/data/agentcore."""
import json
import os
import unittest

from harness import Daemon, DaemonCase

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "agentcore")
SESSION = "clerk-session-0123456789abcdef0123456789"
PATHS = {"resourceSpans": "/v1/traces", "resourceLogs": "/v1/logs",
         "resourceMetrics": "/v1/metrics"}


def fixture(name):
    with open(os.path.join(FIXTURES, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def trace_id(n):
    return "ac" + f"{n:030x}"


class AgentCoreTest(DaemonCase):
    @classmethod
    def send(cls, body):
        (top, _), = body.items()
        answer = cls.daemon.request("POST", PATHS[top], json.dumps(body).encode(),
                                    {"content-type": "application/json"}, port="http")
        assert (answer.status, answer.json()) == (200, {}), (answer.status, answer.body)

    @classmethod
    def prepare(cls):
        # Logs come first: the spans that they belong to are found all the same.
        for name in sorted(os.listdir(FIXTURES)):
            if name.endswith(".json"):
                cls.send(fixture(name.removesuffix(".json")))

    def spans(self, n):
        """Spans by id (two digits)."""
        shown = self.daemon.cli_json("trace", "show", trace_id(n))
        return {span["span_id"][-2:]: span for span in shown["spans"]}

    def assert_spans(self, n, names, expected):
        spans = self.spans(n)
        self.assertEqual({own: tuple(spans[own][name] for name in names) for own in expected},
                         expected)

    def logs(self, name):
        return self.daemon.cli_json("log", "list", "--event", name)["items"]

    def test_runtime(self):
        names = ("operation_kind", "session_id", "agent_id", "endpoint", "region", "error_class",
                 "duration_ms")
        service = ("agent", SESSION, "clerk-Ab12Cd34Ef", "canary", "eu-west-1")
        self.assert_spans(1, names, {"11": (*service, None, 900)})
        self.assert_spans(2, names, {"21": (*service, "throttle", 4)})
        self.assert_spans(3, names, {"31": (*service, "user", 7)})
        self.assert_spans(4, names, {"41": (*service, "system", 30)})

    def test_runtime_of_the_agents_own_spans(self):
        runtime = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/clerk-Ab12Cd34Ef"
        names = ("operation_kind", "agent", "agent_id", "endpoint", "input_tokens")
        self.assert_spans(1, names, {"12": ("agent", "clerk", runtime, "DEFAULT", None),
                                     "13": ("model", "clerk", runtime, "DEFAULT", 210)})

    def test_gateway(self):
        """A tool call is one call: the gateway's span counts, the target's below it does not."""
        names = ("operation_kind", "session_id", "tool", "target", "error_class", "duration_ms")
        self.assert_spans(5, names, {
            "52": ("rpc", SESSION, None, None, None, 20),
            "53": ("tool", SESSION, "orders-target___find_order", "orders-target", None, 378),
            "54": ("other", SESSION, None, "TGT0123456", None, 366),
            "55": ("tool", SESSION, "orders-target___cancel_order", "orders-target", "user", 15),
            "56": ("tool", SESSION, "x_amz_bedrock_agentcore_search", None, None, 16)})
        shown = self.daemon.cli_json("trace", "show", trace_id(5))
        self.assertEqual(shown["tool_calls"], 3)

    def test_memory(self):
        names = ("name", "operation_kind", "session_id", "error_class", "duration_ms")
        self.assert_spans(6, names, {
            "61": ("CreateEvent", "memory", SESSION, None, 25),
            "62": ("GetEvent", "memory", SESSION, None, 5),
            "63": ("ListEvents", "memory", SESSION, None, 6),
            "64": ("DeleteEvent", "memory", SESSION, "user", 7),
            "65": ("RetrieveMemoryRecords", "memory", SESSION, "throttle", 80),
            "66": ("ListMemoryRecords", "memory", SESSION, "system", 9)})

    def test_memory_logs(self):
        for name in ("Extraction", "Consolidation"):
            (log,) = self.logs(name)
            self.assertEqual((log["session_id"], log["service"],
                              log["body"]["memory_strategy_id"]), (SESSION, "AgentCore.Memory", "s-1"))

    def test_browser(self):
        """A browser's session is none of the agent's."""
        names = ("operation_kind", "session_id", "tool", "error_class", "duration_ms")
        browser = (SESSION, "aws.browser.v1", None)
        self.assert_spans(7, names, {"72": ("rpc", *browser, 300), "73": ("tool", *browser, 40),
                                     "74": ("rpc", *browser, 60), "75": ("rpc", *browser, 1)})
        self.assertEqual(self.spans(7)["74"]["attributes"]["session_duration_s"], 7.9)

    def test_browser_is_taken_over(self):
        for name, kind, value in (("TakerOverCount", "sum", 2), ("TakerOverReleaseCount", "sum", 1),
                                  ("TakerOverDuration", "gauge", 41500)):
            (series,) = self.daemon.cli_json("metric", "show", name)["series"]
            self.assertEqual((series["kind"], series["points"][0]["value"],
                              series["attributes"]["Operation"]), (kind, value, "BrowserUserTakeover"))

    def test_code_interpreter(self):
        """The agent's span of the call names the tool; the call is counted once."""
        names = ("operation_kind", "session_id", "tool", "error_class", "duration_ms")
        self.assert_spans(8, names, {
            "82": ("rpc", SESSION, "sums-Xy12", None, 500),
            "83": ("rpc", SESSION, "sums-Xy12", None, 350),
            "84": ("tool", SESSION, "sums-Xy12", None, 480),
            "85": ("tool", SESSION, "sums-Xy12", "throttle", 3),
            "86": ("rpc", SESSION, "sums-Xy12", None, 30)})
        self.assertEqual(self.daemon.cli_json("trace", "show", trace_id(8))["tool_calls"], 2)

    def test_code_interpreter_logs(self):
        """Theirs is the trace's session or none; a runtime's is the agent's."""
        (call,) = self.logs("APPLICATION_LOGS")
        self.assertEqual((call["session_id"], call["span_id"][-2:]), (SESSION, "84"))
        usage = self.logs("USAGE_LOGS")
        self.assertEqual({log["service"]: log["session_id"] for log in usage},
                         {"AgentCore.CodeInterpreter": None, "AgentCore.Runtime": SESSION})

    def test_identity(self):
        names = ("operation_kind", "session_id", "error_class", "error_type", "duration_ms")
        self.assert_spans(9, names, {"92": ("rpc", SESSION, None, None, 8),
                                     "93": ("rpc", SESSION, None, None, 90),
                                     "94": ("rpc", SESSION, "user", "user", 6)})

    def points(self, name):
        (series,) = self.daemon.cli_json("metric", "show", name)["series"]
        return series, series["points"]

    def test_emf_of_a_service(self):
        """Three views of one measurement are one point; the record stays what was sent."""
        runtime = {"aws.metric.namespace": "BedrockAgentCore", "Operation": "InvokeAgentRuntime",
                   "Name": "clerk::DEFAULT",
                   "Resource": "arn:aws:bedrock-agentcore:eu-west-1:123456789012:"
                               "runtime/clerk-Ab12Cd34Ef"}
        series, (point,) = self.points("Invocations")
        self.assertEqual((series["kind"], series["temporality"], series["unit"],
                          series["attributes"], point["value"]), ("sum", "delta", "1", runtime, 3))
        series, (point,) = self.points("Latency")
        self.assertEqual((series["kind"], series["unit"], point["count"], point["sum"],
                          point["min"], point["max"]),
                         ("histogram", "ms", 3, 355.75, 96.5, 141.0))
        bodies = [log["body"] for log in self.daemon.cli_json(
            "log", "list", "--service", "AgentCore.Runtime")["items"]]
        self.assertIn([118.25, 96.5, 141.0], [body.get("Latency") for body in bodies])

    def test_emf_of_the_aws_distribution(self):
        """Text, one document a group of attributes; no Dimensions where there are none."""
        series, (point,) = self.points("strands.event_loop.cycle_count")
        self.assertEqual((series["service"], point["value"]), ("clerk.DEFAULT", 2))
        listed = self.daemon.cli_json("metric", "list", "--session", SESSION)["items"]
        self.assertEqual([item["name"] for item in listed], ["strands.event_loop.cycle_count"])
        series, (point,) = self.points("strands.event_loop.latency")
        self.assertEqual((series["kind"], point["count"], point["sum"]), ("histogram", 4, 71.5))
        series, (point,) = self.points("process.memory")
        self.assertEqual((series["kind"], series["unit"], point["value"]), ("gauge", "By", 1048576))

    def test_emf_sent_again(self):
        """A retried export adds neither records nor points; nor does one after a restart."""
        def counts():
            return len(self.daemon.cli_json("log", "list", "--limit", "100")["items"])
        before = counts()
        self.send(fixture("emf_service"))
        self.daemon.restart()
        self.send(fixture("emf_adot"))
        self.assertEqual(counts(), before)
        for name in ("Invocations", "Latency", "strands.event_loop.cycle_count"):
            self.assertEqual(len(self.points(name)[1]), 1, name)

    def test_emf_is_counted(self):
        """/metrics agrees with what is stored, however often it was sent."""
        def metric(daemon, name):
            lines = daemon.get("/metrics").body.decode().splitlines()
            (value,) = [line.rsplit(" ", 1)[1] for line in lines if line.startswith(name + " ")]
            return int(value)
        with Daemon() as daemon:
            for name in ("emf_service", "emf_adot", "emf_service"):
                answer = daemon.request("POST", "/v1/logs", json.dumps(fixture(name)).encode(),
                                        {"content-type": "application/json"}, port="http")
                self.assertEqual(answer.status, 200, answer.body)
            listed = sum(item["points"] for item in daemon.cli_json("metric", "list")["items"])
            stored = daemon.api("status")["stored"]
            accepted = "midwatch_items_accepted_total"
            self.assertGreater(listed, 0)
            self.assertEqual(metric(daemon, accepted + '{signal="metrics",from="emf"}'), listed)
            self.assertEqual(metric(daemon, accepted + '{signal="metrics"}'), 0)
            self.assertEqual(metric(daemon, accepted + '{signal="logs"}'), stored["logs"])
            self.assertEqual(metric(daemon, "midwatch_stored_points"), listed)
            self.assertEqual(stored["points"], listed)

    def test_emf_that_is_none(self):
        """Whatever the document says, the record is taken."""
        bodies = ['{"_aws"', '{"_aws":1}', "[" * 3000 + '"_aws"', '{"_aws":{"Timestamp":-1}}',
                  '{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Metrics":[{"Name":"gone"}]}]}}']
        self.send({"resourceLogs": [{"scopeLogs": [{"logRecords": [
            {"timeUnixNano": "1763700000000000000", "body": {"stringValue": body},
             "eventName": "no-emf"} for body in bodies]}]}]})
        self.assertEqual(len(self.logs("no-emf")), len(bodies))
        names = [item["name"] for item in self.daemon.cli_json("metric", "list")["items"]]
        self.assertNotIn("gone", names)

    def test_content_is_joined_to_its_span(self):
        shown = self.daemon.cli_json("session", "show", SESSION)
        told = json.dumps(self.daemon.api(f"sessions/{SESSION}/turns"))
        self.assertIn("Where is order 17?", told)
        self.assertIn("On its way.", told)
        (log,) = self.daemon.cli_json("log", "list", "--span", f"{0xa2:016x}")["items"]
        self.assertEqual((log["session_id"], log["trace_id"], log["event_name"]),
                         (SESSION, trace_id(10), "strands.telemetry.tracer"))
        self.assertEqual((shown["input_tokens"], shown["output_tokens"]), (222, 38))


if __name__ == "__main__":
    unittest.main()
