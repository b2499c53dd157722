"""Logs and metrics for the end-to-end tests: hand-made requests, captures, and what the API must
say of them."""
import os

import otlp
from captures import is_grpc, load_capture
from harness import CAPTURES, any_value, attribute_object

PATHS = {"logs": "/v1/logs", "metrics": "/v1/metrics", "traces": "/v1/traces"}
PROTOBUF = "application/x-protobuf"


# ---- captures ----------------------------------------------------------------------------------


def captures(signal):
    """All captures of real clients and the synthetic ones of that signal ("logs", "metrics")."""
    found = []
    for folder in (CAPTURES, os.path.join(CAPTURES, "synthetic")):
        for name in sorted(os.listdir(folder)):
            if name.startswith(signal + "-") and name.endswith(".json"):
                found.append(load_capture(os.path.join(folder, name)))
    return found


def send(daemon, capture):
    """Sends it as its client did; raises unless it is acknowledged without a remark."""
    encoding = "gzip" if capture["compression"] == "gzip" else None
    if is_grpc(capture):
        answer = daemon.grpc(capture["body"], framed=True, encoding=encoding, path=capture["path"])
        if answer["grpc_status"] != 0 or answer["body"] != b"\0\0\0\0\0":
            raise AssertionError(f"{capture['case']}: {answer}")
        return
    json_body = capture["encoding"] == "json"
    content_type = "application/json" if json_body else PROTOBUF
    answer = post(daemon, capture["path"], capture["body"], content_type, encoding)
    if answer.status != 200 or answer.body != (b"{}" if json_body else b""):
        raise AssertionError(f"{capture['case']}: {answer.status} {answer.body!r}")


def post(daemon, path, body, content_type=PROTOBUF, encoding=None, headers=None):
    sent = {"content-type": content_type, **(headers or {})}
    if encoding:
        sent["content-encoding"] = encoding
    return daemon.request("POST", path, body, sent, port="http")


def attributes_of(pairs):
    return attribute_object(pairs)


def expected_log(record, resource):
    """A record of a capture's log_list as the API shows it, without the columns it resolves."""
    body = record.get("body")
    return {
        "time_unix_nano": record.get("time") or record.get("observed"),
        "observed_time_unix_nano": record.get("observed"),
        "severity": record["severity_number"],
        "severity_text": record["severity_text"] or None,
        "body": any_value(body) if body else None,
        "attributes": attribute_object(record["attributes"]),
        "dropped_attributes_count": record["dropped_attributes"],
        "flags": record["flags"],
        "trace_id": record["trace_id"] or None,
        "span_id": record["span_id"] or None,
        "event_name": record["event_name"] or None,
        "resource": attribute_object(resource["attributes"]),
        "resource_schema_url": resource["schema_url"] or None,
    }


def exact(text):
    """A 64-bit integer of a capture (a decimal string) as the API shows it."""
    number = int(text)
    return number if abs(number) <= 2 ** 53 else text


def real(text):
    return None if text is None else float(text)


def expected_value(point):
    if point["flags"] & 1:
        return None
    return exact(point["as_int"]) if "as_int" in point else float(point["as_double"])


def expected_exemplar(exemplar):
    return {
        "time_unix_nano": exemplar["time"],
        "value": exact(exemplar["as_int"]) if "as_int" in exemplar else float(exemplar["as_double"]),
        "trace_id": exemplar["trace_id"],
        "span_id": exemplar["span_id"],
        "attributes": attribute_object(exemplar["filtered_attributes"]),
    }


def expected_point(kind, point):
    """A point of a capture's metric_list as the API shows it, the readable times left out."""
    out = {"time_unix_nano": point["time"], "start_unix_nano": point.get("start"),
           "flags": point["flags"],
           "exemplars": [expected_exemplar(e) for e in point.get("exemplars", [])]}
    if kind in ("gauge", "sum"):
        out["value"] = expected_value(point)
    elif kind in ("histogram", "exponential_histogram"):
        out["count"] = exact(point["count"])
        for key in ("sum", "min", "max"):
            out[key] = real(point.get(key))
    if kind == "histogram":
        out["bucket_counts"] = [exact(n) for n in point["bucket_counts"]]
        out["explicit_bounds"] = [float(n) for n in point["bounds"]]
    elif kind == "exponential_histogram":
        out["scale"] = point["scale"]
        out["zero_count"] = exact(point["zero_count"])
        for side in ("positive", "negative"):
            buckets = point.get(side, {"offset": 0, "bucket_counts": []})
            out[side] = {"offset": buckets["offset"],
                         "bucket_counts": [exact(n) for n in buckets["bucket_counts"]]}
    return out


def part_of(found, keys):
    """The members of an answer that a capture speaks of."""
    def strip(value):
        if isinstance(value, list):
            return [strip(item) for item in value]
        if isinstance(value, dict) and "time_unix_nano" in value:
            return {key: item for key, item in value.items() if key != "time"}
        return value
    return {key: strip(found.get(key, "absent")) for key in keys}


# ---- hand-made requests ------------------------------------------------------------------------


def fixed32_field(field, number):
    return otlp.varint(field << 3 | 5) + number.to_bytes(4, "little")


def log(time, body=None, severity=0, attributes=(), trace_id=b"", span_id=b"", event="",
        observed=0):
    """body is text or an encoded AnyValue."""
    out = otlp.fixed64_field(1, time) if time else b""
    out += otlp.varint_field(2, severity) if severity else b""
    if body is not None:
        out += otlp.length_field(5, otlp.string_value(body) if isinstance(body, str) else body)
    for key, value in attributes:
        out += otlp.length_field(6, otlp.attribute(key, value))
    out += otlp.length_field(9, trace_id) if trace_id else b""
    out += otlp.length_field(10, span_id) if span_id else b""
    out += otlp.fixed64_field(11, observed) if observed else b""
    return out + (otlp.length_field(12, event) if event else b"")


def gauge(name, points, unit=""):
    """points: (time, integer, [(key, value)])."""
    data = b""
    for time, value, attributes in points:
        point = otlp.fixed64_field(3, time) + otlp.varint(6 << 3 | 1) + \
            value.to_bytes(8, "little", signed=True)
        for key, text in attributes:
            point += otlp.length_field(7, otlp.attribute(key, text))
        data += otlp.length_field(1, point)
    out = otlp.length_field(1, name) + (otlp.length_field(3, unit) if unit else b"")
    return out + otlp.length_field(5, data)


# Requests of all signals have one shape: resource, scope, items under the same numbers.
request = otlp.request
