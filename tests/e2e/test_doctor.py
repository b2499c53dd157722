#!/usr/bin/env python3
"""`midwatch doctor`: who has sent, what was understood, who was refused, and the way out of each."""
import gzip
import json
import time
import unittest

import otlp
from harness import Daemon

PROTOBUF = {"content-type": "application/x-protobuf"}
SENDERS_MAX = 256  # MW_SENDERS_MAX
REFUSALS_MAX = 64  # MW_REFUSALS_MAX


def request(service, spans, language="python", version="1.45.2"):
    """ResourceSpans with the SDK's attributes; service None leaves service.name out."""
    pairs = [("telemetry.sdk.language", language), ("telemetry.sdk.version", version)]
    if service is not None:
        pairs.append(("service.name", service))
    resource = b"".join(otlp.length_field(1, otlp.attribute(*pair)) for pair in pairs)
    scope = otlp.length_field(1, otlp.length_field(1, "a.scope"))
    scope += b"".join(otlp.length_field(2, span) for span in spans)
    return otlp.length_field(1, otlp.length_field(1, resource) + otlp.length_field(2, scope))


def span(*pairs, **more):
    now = time.time_ns()
    return otlp.span(attributes=pairs, start=now - 10**6, end=now, **more)


def model_call(*pairs):
    return span(("gen_ai.operation.name", "chat"), *pairs)


class DoctorTest(unittest.TestCase):
    """Every test has a daemon of its own: the tables are never emptied."""

    def setUp(self):
        self.own = Daemon()
        self.own.__enter__()
        self.addCleanup(lambda: self.own.__exit__(None, None, None))

    def send(self, body, status=200, path="/v1/traces", port="http", **headers):
        names = {**PROTOBUF, **{name.replace("_", "-"): text for name, text in headers.items()}}
        answer = self.own.request("POST", path, body, names, port=port)
        self.assertEqual(answer.status, status, answer.body)

    def doctor(self, code=0):
        return self.own.cli("doctor", code=code)

    def findings(self, code=0):
        report = self.own.cli("doctor", "--json", code=code)
        return json.loads(report)["findings"]

    def finding(self, code, exit_code=0):
        found = [one for one in self.findings(exit_code) if one["code"] == code]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_nothing_arrived(self):
        text = self.doctor()
        self.assertIn("nothing has arrived", text)
        self.assertIn(f"OTEL_EXPORTER_OTLP_ENDPOINT=http://{self.own.endpoints['http']}", text)
        self.assertEqual(self.own.api("senders")["items"], [])

    def test_unreachable(self):
        self.own.stop()
        done = self.own.cli_raw("doctor")
        self.assertEqual(done.returncode, 7)
        self.assertIn("midwatch serve", done.stderr)
        self.own.start()

    def test_good_sender(self):
        body = request("orders", [
            span(("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", "helper"),
                 ("gen_ai.conversation.id", "s-1")),
            model_call(("gen_ai.request.model", "m-1"), ("session.id", "s-1"),
                       ("gen_ai.usage.input_tokens", otlp.varint_field(3, 12)))])
        self.send(body, user_agent="OTel-OTLP-Exporter-Python/1.45.2")
        self.send(body)
        [sender] = self.own.api("senders")["items"]
        self.assertEqual(sender["service"], "orders")
        self.assertEqual((sender["sdk_language"], sender["sdk_version"]), ("python", "1.45.2"))
        self.assertEqual((sender["signal"], sender["protocol"]), ("traces", "http/protobuf"))
        self.assertEqual((sender["space"], sender["scope"]), ("default", "a.scope"))
        self.assertEqual((sender["requests"], sender["retried"], sender["items"]), (2, 1, 2))
        self.assertEqual(sender["session"],
                         {"items": 2, "keys": ["session.id", "gen_ai.conversation.id"]})
        self.assertEqual(sender["agent"], {"items": 1, "keys": ["gen_ai.agent.name"]})
        self.assertEqual(sender["model"], {"items": 1, "keys": ["gen_ai.request.model"]})
        self.assertEqual(sender["tokens"], {"items": 1, "keys": ["gen_ai.usage.input_tokens"]})
        self.assertEqual([one["code"] for one in self.findings()], ["no_logs"])
        text = self.doctor()
        self.assertIn("orders (python 1.45.2)", text)
        self.assertIn("gen_ai.conversation.id", text)
        self.own.request("POST", "/v1/logs", otlp.logs_request([otlp.log_record(
            time=time.time_ns())], service="orders"), PROTOBUF, port="http")
        self.assertIn("nothing is wrong", self.doctor())

    def test_grpc_gzip_and_space(self):
        self.own.cli("space", "create", "other")
        self.assertEqual(self.own.grpc(request("a", [span()]))["grpc_status"], 0)
        self.send(request("b", [span()]), x_midwatch_space="other")
        senders = {one["service"]: one for one in self.own.api("senders")["items"]}
        self.assertEqual(senders["a"]["protocol"], "grpc")
        self.assertEqual((senders["a"]["space"], senders["b"]["space"]), ("default", "other"))

    def test_compression_that_is_fine(self):
        self.send(gzip.compress(request("zipped", [span()])), content_encoding="gzip")
        [sender] = self.own.api("senders")["items"]
        self.assertEqual(sender["compression"], "gzip")
        status = self.own.api("status")["senders"]
        self.assertEqual((status["count"], status["last_seen"] is None), (1, False))
        self.assertIn("1 since the start, the last at 20", self.own.cli("status"))

    def test_json_sender(self):
        now = str(time.time_ns())
        self.own.request("POST", "/v1/traces", json.dumps({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "js"}}]},
            "scopeSpans": [{"spans": [{"traceId": "1" * 32, "spanId": "2" * 16, "name": "x",
                                       "startTimeUnixNano": now, "endTimeUnixNano": now}]}]}]}),
            {"content-type": "application/json"}, port="http")
        [sender] = self.own.api("senders")["items"]
        self.assertEqual((sender["service"], sender["protocol"]), ("js", "http/json"))

    def test_without_session(self):
        self.send(request("orders", [model_call() for _ in range(3)]))
        found = self.finding("no_session")
        self.assertEqual(found["severity"], "warning")
        self.assertEqual(found["seen"], "orders (python 1.45.2): 3 spans, none with a session id")
        self.assertIn("gen_ai.conversation.id", found["fix"])
        self.assertIn("OTEL_RESOURCE_ATTRIBUTES=session.id=", found["fix"])
        self.assertIn("gen_ai.usage.input_tokens", self.finding("no_tokens")["fix"])
        self.assertIn("gen_ai.request.model", self.finding("no_model")["fix"])

    def test_without_service_name(self):
        self.send(request(None, [span()]))
        found = self.finding("no_service_name")
        self.assertIn("service.name is missing", found["seen"])
        self.assertIn("OTEL_SERVICE_NAME", found["fix"])
        self.send(request("unknown_service:node", [span()]))
        self.assertIn("service.name is unknown_service:node", self.doctor())

    def test_refused_items_and_odd_times(self):
        self.send(request("mixed", [span(), span(span_id=b"short"), otlp.span(start=1700, end=1800)]))
        found = self.finding("items_refused", exit_code=1)
        self.assertEqual(found["severity"], "error")
        self.assertIn("1 spans refused: span_id", found["seen"])
        self.assertIn("1 with times", self.finding("odd_times", exit_code=1)["seen"])

    def refused(self, *words):
        found = self.finding("refused", exit_code=1)
        self.assertEqual(found["severity"], "error")
        for word in words:
            self.assertIn(word, found["seen"] + " | " + found["fix"])

    def test_compression(self):
        for _ in range(12):
            self.send(b"body", 415, content_encoding="br", user_agent="an-exporter/1")
        self.refused("refused 12 requests", "compressed with br", "an-exporter/1",
                     "OTEL_EXPORTER_OTLP_COMPRESSION=gzip")

    def test_compression_over_grpc(self):
        self.own.grpc(b"body", encoding="zstd")
        self.refused("zstd", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip")

    def test_wire_type(self):
        self.send(b"\x08\x01", 400)
        self.refused("/v1/traces", "malformed ExportTraceServiceRequest")

    def test_another_signals_body(self):
        self.send(otlp.logs_request([otlp.log_record()]), 400)
        self.refused("logs go to /v1/logs")

    def test_content_type(self):
        self.send(b"", 415, content_type="text/plain")
        self.refused("OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")

    def test_path(self):
        self.send(b"", 404, path="/otlp/v1/traces")
        self.refused("/otlp/v1/traces",
                     f"OTEL_EXPORTER_OTLP_ENDPOINT=http://{self.own.endpoints['http']} ")

    def test_space(self):
        self.send(request("a", [span()]), 400, x_midwatch_space="nowhere")
        self.refused("midwatch space create nowhere")

    def test_grpc_to_http(self):
        self.own.grpc(request("a", [span()]), port="http")
        self.refused(f"http://{self.own.endpoints['grpc']}", "gRPC")

    def test_http_to_grpc(self):
        self.send(b"", 404, port="grpc")
        self.refused(f"http://{self.own.endpoints['http']}")

    def test_hostile_names(self):
        evil = "\x1b]0;pwned\x07\x1b[31mred\u202e\n\r<b>&"
        self.send(request(evil, [span()], language="\x1b[2J"), user_agent="\xe9vil")
        self.send(b"", 404, path="/v1/%1b[31m", user_agent="a\xa0b")
        text = self.doctor(code=1)
        for bad in ("\x1b", "\x07", "\r", "\u202e", "\x9b"):
            self.assertNotIn(bad, text)
        self.assertEqual(self.own.api("senders")["items"][0]["service"], evil)

    def test_thousands_of_senders_stay_bounded(self):
        before = self.own.api("status")["memory"]["used"]
        bodies = [request(f"s{i}-" + "x" * 4000, [span()], version=str(i)) for i in range(600)]
        for body in bodies:
            self.send(body)
        for i in range(200):
            self.send(b"", 404, path=f"/nowhere/{i}")
        many = b"".join(request(f"m{i}", [span()]) for i in range(2000))
        self.send(many)
        senders = self.own.api("senders")
        self.assertEqual(len(senders["items"]), SENDERS_MAX)
        self.assertEqual(senders["total"], SENDERS_MAX)
        self.assertEqual(senders["forgotten"], 608 - SENDERS_MAX)
        self.assertEqual(len(senders["refusals"]), REFUSALS_MAX)
        self.assertEqual(senders["refusals_forgotten"], 200 - REFUSALS_MAX)
        self.assertEqual(senders["unlisted_items"], 2000 - 8)
        names = [one["service"] for one in senders["items"]]
        self.assertTrue(any(name.startswith("s599-") for name in names))
        self.assertFalse(any(name.startswith("s1-") for name in names))
        self.assertTrue(all(len(name) < 128 for name in names))
        self.assertLess(self.own.api("status")["memory"]["used"] - before, 64 << 20)
        self.assertIn("more senders than the list keeps", self.doctor(code=1))


if __name__ == "__main__":
    unittest.main()
