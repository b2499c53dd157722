#!/usr/bin/env python3
"""Rows 30 to 39 of the forty bad inputs: what is wrong inside an export that is well-formed.

Items are refused alone and named, or kept and noted; the rule is in test_bad_inputs.py.
"""
import json
import os
import time
import unittest

import otlp
from captures import load_capture
from exports import INVALID_ARGUMENT, REJECTED, ExportCase, json_request, json_span, json_value
from harness import CAPTURES

OTHERS = ("logs", "metrics")


class ContentTest(ExportCase):
    def test_row_30_ids(self):
        bad = {"trace id of 15": {"trace_id": b"x" * 15}, "of 17": {"trace_id": b"x" * 17},
               "of 0": {"trace_id": b""}, "of zeros": {"trace_id": bytes(16)},
               "hex text": {"trace_id": b"0af7651916cd43dd8448eb211c80319c"},
               "span id of 7": {"span_id": b"x" * 7}, "of 9": {"span_id": b"x" * 9},
               "span id of 0": {"span_id": b""}, "span id of zeros": {"span_id": bytes(8)},
               "span hex text": {"span_id": b"00f067aa0ba902b7"},
               "parent id of 3": {"parent_id": b"abc"}}
        before = self.daemon.cli_json("status")["refused"]["invalid_id"]
        for name, ids in bad.items():
            with self.subTest(case=name):
                good = os.urandom(16)
                self.assert_partial(lambda: otlp.request(
                    [otlp.span(good), otlp.span(**ids), otlp.span(good)]), 1, "spans[1]")
                self.assertEqual(len(self.spans_of(good)), 4)
        refused = self.daemon.cli_json("status")["refused"]["invalid_id"]
        self.assertEqual(refused - before, 2 * len(bad))

    def test_row_30_log_records_keep_without_association(self):
        before = self.stored("logs")
        ids = [(b"x" * 15, b"12345678"), (b"x" * 16, b"1234567"), (bytes(16), bytes(8)),
               (b"0af7651916cd43dd8448eb211c80319c", b"00f067aa0ba902b7")]
        self.assert_accepted(otlp.logs_request(
            [otlp.log_record(f"row 30 {n}", trace_id=t, span_id=s)
             for n, (t, s) in enumerate(ids)]), "logs")
        # The second transport's copy is recognised as a retry.
        self.assertEqual(self.stored("logs") - before, len(ids))

    def test_row_31_nothing_valid(self):
        spans = [otlp.span(trace_id=b""), otlp.span(span_id=b"short")]
        self.assert_refused(otlp.request(spans), "no valid span ids; is this a logs request?")

    def test_row_31_requests_of_another_signal(self):
        logs = load_capture(os.path.join(CAPTURES, "logs-basic-http-protobuf-none.json"))["body"]
        self.assert_refused(logs, "no valid span ids; is this a logs request?")
        metrics = load_capture(os.path.join(
            CAPTURES, "metrics-histogram-http-protobuf-none.json"))["body"]
        self.assert_refused(metrics, "is this")

    def test_row_31_traces_sent_as_logs_and_metrics(self):
        traces = load_capture(os.path.join(
            CAPTURES, "trace-agent_session-http-protobuf-none.json"))["body"]
        for signal in OTHERS:
            with self.subTest(signal=signal):
                self.assert_refused(traces, signal=signal)

    def test_row_32_text_that_is_not_utf8(self):
        trace_id = os.urandom(16)
        before = self.metric_value('midwatch_items_bad_utf8_total{signal="traces"}')

        def body():
            return otlp.request([otlp.span(trace_id, name=b"caf\xe9",
                                           attributes=[("a", otlp.length_field(1, b"\xff"))])])
        self.assert_partial(body, 0, "UTF-8")
        spans = self.spans_of(trace_id)
        self.assertEqual({s["name"] for s in spans}, {"caf\ufffd"})
        self.assertEqual(spans[0]["attributes"], {"a": "\ufffd"})
        after = self.metric_value('midwatch_items_bad_utf8_total{signal="traces"}')
        self.assertEqual(after - before, 2)
        self.assert_accepted(otlp.request([otlp.span(trace_id, name="a\0b", span_id=b"nul inid")]))
        self.assertIn("a\0b", {s["name"] for s in self.spans_of(trace_id)})

    def test_row_32_text_that_is_not_utf8_in_logs_and_metrics(self):
        self.assert_partial(lambda: otlp.logs_request(
            [otlp.log_record(otlp.length_field(1, b"caf\xe9" + os.urandom(4).hex().encode()))]),
            0, "UTF-8", signal="logs")
        self.assert_accepted(otlp.logs_request([otlp.log_record("a\0b")]), "logs")
        self.assert_partial(lambda: otlp.metrics_request(
            [otlp.metric([otlp.number_point()], name=b"caf\xe9" + os.urandom(4).hex().encode())]),
            0, "UTF-8", signal="metrics")

    def assert_json_refused(self, body, word, signal="traces"):
        status, answer = self.post_json(body, signal)
        self.assertEqual((status, answer["code"]), (400, INVALID_ARGUMENT), answer)
        self.assertIn(word, answer["message"])

    def test_row_33_json_text(self):
        for body, word in ((b'{"a":"\xff"}', "UTF-8"), ('{"a":"\\ud800"}', "surrogate"),
                           ('{"a":"\\udc00\\ud800"}', "surrogate"), (b"\xef\xbb\xbf{}", "byte 0"),
                           ("[]", ""), ("{", ""), ("{} {}", "after the request"),
                           ('{"a":1,}', "unexpected"), ('{"resourceSpans": 7}', "resourceSpans"),
                           (json_request("traces", json_span(name=5)), "name"),
                           ({"resourceSpans": {}}, "resourceSpans: expected an array")):
            with self.subTest(body=body):
                self.assert_json_refused(body, word)
        # A pair of surrogates is one character.
        text = json.dumps(json_request("traces", json_span(33, name="NAME")))
        self.assertEqual(self.post_json(text.replace("NAME", "\\ud83d\\ude00\\u0000")), (200, {}))
        self.assertEqual(self.spans_of(json_span(33)["traceId"])[0]["name"], "\U0001f600\0")

    def test_row_34_json_64_bit_numbers(self):
        values = [("text", '"9007199254740993"', "9007199254740993"), ("number", "12", 12),
                  ("exact", "9007199254740993", "9007199254740993"), ("exponent", "12e2", 1200),
                  ("fraction", "5.0", 5), ("lowest", '"-9223372036854775808"',
                                           "-9223372036854775808")]
        pairs = ",".join(f'{{"key":"{k}","value":{{"intValue":{v}}}}}' for k, v, _ in values)
        text = json.dumps(json_request("traces", json_span(34, attributes="PAIRS")))
        self.assertEqual(self.post_json(text.replace('"PAIRS"', f"[{pairs}]")), (200, {}))
        (span,) = self.spans_of(json_span(34)["traceId"])
        self.assert_json(span["attributes"], {k: shown for k, _, shown in values})
        for number in ("9223372036854775808", '"9223372036854775808"', "1e19", '"12abc"', "1.5",
                       '""', "1e400"):
            attribute = '[{"key":"k","value":{"intValue":%s}}]' % number
            self.assert_json_refused(text.replace('"PAIRS"', attribute), "intValue")
        for time_text in ("-5", '"-5"', '"12abc"', "18446744073709551616"):
            body = json.dumps(json_request("traces", json_span(34))).replace(
                f'"{otlp.START}"', time_text, 1)
            self.assert_json_refused(body, "startTimeUnixNano")

    def test_row_34_json_bucket_counts_above_int64(self):
        largest = 18446744073709551615
        for count in (str(largest), largest):
            point = {"timeUnixNano": str(otlp.START), "count": count, "sum": 1,
                     "bucketCounts": [count, 0], "explicitBounds": [1.5]}
            metric = {"name": "m.row34", "histogram": {
                "aggregationTemporality": 2, "dataPoints": [point]}}
            self.assertEqual(self.post_json(json_request("metrics", metric), "metrics"), (200, {}))
        for bad in (-1, "-1", "12abc"):
            point = {"timeUnixNano": str(otlp.START), "count": bad}
            metric = {"name": "m", "histogram": {"aggregationTemporality": 2,
                                                 "dataPoints": [point]}}
            self.assert_json_refused(json_request("metrics", metric), "count", "metrics")

    def test_row_35_json_liberties(self):
        trace = json_span(35)["traceId"]
        attributes = [{"key": "nan", "value": {"doubleValue": "NaN"}},
                      {"key": "null", "value": {"doubleValue": None}},
                      {"key": "inf", "value": {"doubleValue": "-Infinity"}}]
        loose = json_span(35, attributes=attributes, links=None, events=[], unknown={"a": [1, {}]})
        self.assertEqual(self.post_json(json_request("traces", loose, schemaUrl=None)), (200, {}))
        (span,) = self.spans_of(trace)
        self.assertEqual(span["attributes"], {"nan": "NaN", "null": None, "inf": "-Infinity"})
        for bad in ("NaN", "-Infinity", "undefined"):
            self.assert_json_refused('{"a":%s}' % bad, "")
        # Two members of a oneof, and a key twice: one of them counts, nothing breaks.
        double = json.dumps(json_request("traces", json_span(350, attributes=[
            {"key": "k", "value": {"stringValue": "first", "intValue": "2"}}])))
        double = double.replace('"name": "j"', '"name": "a", "name": "b"')
        self.assertEqual(self.post_json(double), (200, {}))
        (span,) = self.spans_of(json_span(350)["traceId"])
        self.assertEqual(span["name"], "b")
        self.assertIn(span["attributes"]["k"], ("first", 2))
        # Known names of enums and snake_case are taken, and told.
        noted = json.dumps(json_request("traces", json_span(351, kind="SPAN_KIND_SERVER")))
        status, answer = self.post_json(noted.replace("startTimeUnixNano", "start_time_unix_nano"))
        partial = answer["partialSuccess"]
        self.assertEqual((status, partial.get("rejectedSpans", "0")), (200, "0"))
        self.assertIn("spans[0] (start_time_unix_nano)", partial["errorMessage"])
        (span,) = self.spans_of(json_span(351)["traceId"])
        self.assertEqual((span["kind"], span["start_unix_nano"]), ("SERVER", str(otlp.START)))
        self.assert_json_refused(json_request("traces", json_span(352, kind="SERVER")), "kind")

    def test_row_36_json_ids(self):
        trace = json_span(0x36)["traceId"]
        upper = json_span(0x36, traceId=trace.upper(), spanId="0123456789ABCDEF")
        self.assertEqual(self.post_json(json_request("traces", upper)), (200, {}))
        self.assertEqual(self.spans_of(trace)[0]["span_id"], "0123456789abcdef")
        for bad in (trace[:-1], "W47/95gDgQPSabYzgT/GDA==", "0x" + trace[2:], "0" * 32, "",
                    trace + "00"):
            with self.subTest(trace_id=bad):
                status, answer = self.post_json(json_request(
                    "traces", json_span(360), json_span(361, traceId=bad)))
                self.assertEqual((status, answer["partialSuccess"]["rejectedSpans"]), (200, "1"))
                self.assertIn("spans[1].trace_id", answer["partialSuccess"]["errorMessage"])
        for bad in ("AAAA", "b7ad6b7169203331ff", "0" * 16):
            _, answer = self.post_json(json_request(
                "traces", json_span(360), json_span(361, spanId=bad)))
            self.assertEqual(answer["partialSuccess"]["rejectedSpans"], "1")

    def test_row_36_json_ids_of_log_records_are_forgiven(self):
        """Hex of the wrong length means no association; points have no ids."""
        record = {"body": {"stringValue": "row 36"}, "traceId": "abcd", "spanId": "xyz"}
        self.assertEqual(self.post_json(json_request("logs", record), "logs"), (200, {}))

    def test_row_36_json_names_of_rejections(self):
        deep = json.loads(json_value(65))
        gauge = {"name": "m.row36", "gauge": {"dataPoints": [
            {"timeUnixNano": str(otlp.START), "asInt": "1"},
            {"timeUnixNano": "0", "asInt": "1"}]}}
        logs = [{"body": {"stringValue": "good"}}, {"body": deep}]
        for signal, items in (("logs", logs), ("metrics", [gauge])):
            with self.subTest(signal=signal):
                status, answer = self.post_json(json_request(signal, *items), signal)
                self.assertEqual((status, answer["partialSuccess"][REJECTED[signal]]), (200, "1"))

    def test_row_37_unknown_fields(self):
        unknown = (otlp.varint_field(500, 7) + otlp.fixed64_field(501, 7) +
                   otlp.length_field(502, b"\xff\xfe") + b"\xbd\x1f" + bytes(4))
        trace_id = os.urandom(16)
        span = otlp.span(trace_id, name="first") + unknown + otlp.length_field(5, "last") + \
            otlp.varint_field(6, 99)
        # The status in two parts is one message: code of the first, text of the second.
        span += otlp.length_field(15, otlp.varint_field(3, 2)) + \
            otlp.length_field(15, otlp.length_field(2, "why"))
        resource_spans = (otlp.length_field(1, otlp.length_field(1, otlp.attribute(
            "service.name", "split"))) + unknown + otlp.length_field(1000, b"old") +
            otlp.length_field(1, otlp.length_field(1, otlp.attribute("k", "v"))) +
            otlp.length_field(2, otlp.length_field(2, span)))
        self.assert_accepted(otlp.length_field(1, resource_spans) + unknown)
        (found,) = self.spans_of(trace_id)
        self.assertEqual((found["name"], found["status"], found["status_message"]),
                         ("last", "ERROR", "why"))
        self.assertEqual(self.daemon.api("traces/" + trace_id.hex())["errors"], 1)
        self.assertEqual(found["resource"], {"service.name": "split", "k": "v"})
        group = b"\xa3\x1f\x08\x01\xa4\x1f"  # field 500, group encoding
        answer = self.post(otlp.request([otlp.span(os.urandom(16)) + group]))
        self.assertIn(answer.status, (200, 400))

    def points(self, name, bad, good):
        """One metric with a bad point between good ones; the same alone."""
        kind, bad_point = bad[:2]
        more = dict(bad[2]) if len(bad) > 2 else {}
        if more:  # the metric itself is wrong: all its points go, others stay
            good_metric = otlp.metric([good], kind, name="m.good")
            bad_metric = otlp.metric([bad_point], kind, **{"name": "m." + name, **more})
            return [good_metric, bad_metric], [bad_metric]
        return ([otlp.metric([good, bad_point, good], kind, name="m." + name)],
                [otlp.metric([bad_point], kind, name="m." + name)])

    def test_row_38_metric_points(self):
        nan, number = float("nan"), otlp.number_point()
        histogram = otlp.histogram_point(6, [1, 2, 3], [0.5, 1.5])
        exponential = otlp.exponential_point()
        cases = {
            "buckets": (otlp.HISTOGRAM, otlp.histogram_point(3, [1, 2], [0.5, 1.5])),
            "bounds": (otlp.HISTOGRAM, otlp.histogram_point(6, [1, 2, 3], [1.5, 0.5])),
            "equal_bounds": (otlp.HISTOGRAM, otlp.histogram_point(6, [1, 2, 3], [0.5, 0.5])),
            "nan_bound": (otlp.HISTOGRAM, otlp.histogram_point(3, [1, 2], [nan])),
            "count": (otlp.HISTOGRAM, otlp.histogram_point(7, [1, 2, 3], [0.5, 1.5])),
            "overflow": (otlp.HISTOGRAM, otlp.histogram_point(1, [2 ** 64 - 1, 2], [0.5])),
            "no_value": (otlp.GAUGE, otlp.number_point(None)),
            "time_0": (otlp.GAUGE, otlp.number_point(time=0)),
            "temporality": (otlp.SUM, number, {"temporality": 0}),
            "name": (otlp.GAUGE, number, {"name": ""}),
            "scale": (otlp.EXPONENTIAL_HISTOGRAM, otlp.exponential_point(scale=2 ** 31 - 1)),
            "scale_down": (otlp.EXPONENTIAL_HISTOGRAM,
                           otlp.exponential_point(scale=-2 ** 31, offset=2 ** 31 - 1)),
            "ecount": (otlp.EXPONENTIAL_HISTOGRAM, otlp.exponential_point(count=7))}
        good = {otlp.HISTOGRAM: histogram, otlp.EXPONENTIAL_HISTOGRAM: exponential}
        for name, bad in cases.items():
            with self.subTest(case=name):
                mixed, alone = self.points(name, bad, good.get(bad[0], number))
                self.assert_partial(lambda: otlp.metrics_request(mixed, os.urandom(6).hex()), 1,
                                    signal="metrics")
                self.assert_refused(otlp.metrics_request(alone), signal="metrics")

    def test_row_38_points_that_are_odd_and_kept(self):
        many = otlp.number_point(attributes=[(f"k{n}", "v") for n in range(100000)])
        for name, points, kind in (
                ("attributes", [many], otlp.GAUGE),
                ("gone", [otlp.number_point(None) + otlp.varint_field(8, 1)], otlp.GAUGE),
                ("no buckets", [otlp.histogram_point(5, [], [])], otlp.HISTOGRAM),
                ("nan", [otlp.number_point(float("nan"))], otlp.GAUGE),
                ("nothing", [], otlp.GAUGE)):
            with self.subTest(case=name):
                self.assert_accepted(otlp.metrics_request(
                    [otlp.metric(points, kind, name="m." + name)]), "metrics")

    ODD_TIMES = {"zero": (0, 0), "1970": (5, 9), "milliseconds": (1_700_000_000_000,) * 2,
                 "microseconds": (1_700_000_000_000_000,) * 2,
                 "end first": (otlp.START, otlp.START - 1), "no end": (otlp.START, 0),
                 "2262": (2 ** 63 + 5, 2 ** 63 + 9), "2554": (2 ** 64 - 2, 2 ** 64 - 1)}

    def test_row_39_odd_times_are_kept(self):
        """Kept as sent, and every list and sum still works with them."""
        for name, (start, end) in self.ODD_TIMES.items():
            with self.subTest(case=name):
                trace_id = os.urandom(16)
                body = otlp.request([otlp.span(trace_id, start=start, end=end)])
                self.assertEqual(self.post(body).status, 200)
                self.assertEqual(self.call(body).grpc_status, 0)
                (span,) = self.spans_of(trace_id)
                self.assertEqual((span["start_unix_nano"], span["end_unix_nano"]),
                                 (str(start) if start else None, str(end) if end else None))
                self.daemon.cli("trace", "show", trace_id.hex())
        for arguments in (["trace", "list"], ["session", "list"], ["status"],
                          ["trace", "list", "--since", "2020-01-01T00:00:00Z"]):
            self.daemon.cli(*arguments)

    def test_row_39_odd_times_are_reported(self):
        """Never in silence: the answer says what cannot be meant, a counter counts all of it."""
        for name, (start, end) in self.ODD_TIMES.items():
            with self.subTest(case=name):
                before = self.metric_value('midwatch_items_odd_time_total{signal="traces"}')
                self.assertIsNotNone(before)
                self.assert_partial(lambda: otlp.request(
                    [otlp.span(), otlp.span(start=start, end=end)]), 0, "time", "spans[1]")
                after = self.metric_value('midwatch_items_odd_time_total{signal="traces"}')
                self.assertEqual(after - before, 2)
        # A clock that runs ahead, or data of years ago: counted and not counted, no warning.
        ahead = time.time_ns() + 7 * 86400 * 10 ** 9
        before = self.metric_value('midwatch_items_odd_time_total{signal="traces"}')
        self.assert_accepted(otlp.request([otlp.span(start=ahead, end=ahead + 5)]))
        old = 1_000_000_000 * 10 ** 9
        self.assert_accepted(otlp.request([otlp.span(start=old, end=old + 5)]))
        after = self.metric_value('midwatch_items_odd_time_total{signal="traces"}')
        self.assertEqual(after - before, 1)

    def test_row_39_odd_times_of_logs_and_points_are_reported(self):
        """A log record without time is no fault; a point without one is refused (row 38)."""
        milliseconds = 1_700_000_000_000
        self.assert_accepted(otlp.logs_request([otlp.log_record("no time", time=0)]), "logs")
        self.assert_partial(lambda: otlp.logs_request(
            [otlp.log_record(os.urandom(6).hex(), time=milliseconds)]), 0, "time", signal="logs")
        self.assert_partial(lambda: otlp.metrics_request(
            [otlp.metric([otlp.number_point(time=milliseconds)])], os.urandom(6).hex()), 0, "time",
            signal="metrics")


if __name__ == "__main__":
    unittest.main()
