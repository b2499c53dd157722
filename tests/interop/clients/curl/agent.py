#!/usr/bin/env python3
"""One agent session as JSON documents that curl posts: what a shell script would do. curl knows no
OTEL_* variables; this program turns them into curl's options.

Prints what it sent as JSON, in the words of the API (tests/interop/README.md).
"""
import gzip
import json
import os
import secrets
import subprocess
import sys
import time

KINDS = {"INTERNAL": 1, "CLIENT": 3}
STATUSES = {"UNSET": 0, "OK": 1, "ERROR": 2}
SCOPE = {"name": "interop.agent", "version": "1.2.3"}
SESSION = os.environ["INTEROP_SESSION"]


def any_value(value):
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    return {"stringValue": value}


def pairs(attributes):
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def set_only(fields):
    """proto3's JSON leaves unset fields out."""
    return {key: value for key, value in fields.items() if value is not None}


def resource():
    named = {"service.name": os.environ["OTEL_SERVICE_NAME"]}
    for pair in os.environ["OTEL_RESOURCE_ATTRIBUTES"].split(","):
        key, _, value = pair.partition("=")
        named[key] = value
    return named


# ---- what is sent --------------------------------------------------------------------------------


def span(now, name, parent, kind="INTERNAL", status="UNSET", message=None, events=(), **more):
    return {"span_id": secrets.token_hex(8), "parent_span_id": parent and parent["span_id"],
            "name": name, "kind": kind, "status": status, "status_message": message,
            "start_unix_nano": str(now), "end_unix_nano": str(now + 1_234_567),
            "attributes": {"session.id": SESSION, **more.get("attributes", {})},
            "events": list(events)}


def make_spans(now):
    agent = span(now, "invoke_agent clerk", None, status="OK", attributes={
        "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk",
        "flags.list": ["a", "b"], "share": 0.5})
    chat = span(now, "chat model-m", agent, "CLIENT", events=[
        {"name": "gen_ai.choice", "time_unix_nano": str(now + 1),
         "attributes": {"finish_reason": "tool_calls"}}], attributes={
             "gen_ai.operation.name": "chat", "gen_ai.request.model": "model-m",
             "gen_ai.usage.input_tokens": 321, "gen_ai.usage.output_tokens": 45})
    tool = span(now, "execute_tool search", agent, status="ERROR", message="no route to the index",
                attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"})
    return [agent, chat, tool]


def make_logs(trace_id, tool):
    return [{"time_unix_nano": tool["start_unix_nano"], "severity": 9, "severity_text": "INFO",
             "body": "looking for the index", "event_name": None, "trace_id": trace_id,
             "span_id": tool["span_id"],
             "attributes": {"session.id": SESSION, "attempt": 2, "share": 0.5}},
            {"time_unix_nano": tool["end_unix_nano"], "severity": 13, "severity_text": "WARN",
             "body": {"finish": "stop", "count": 2, "parts": ["a", "b"]},
             "event_name": "interop.finished", "trace_id": None, "span_id": None,
             "attributes": {"session.id": SESSION}}]


# ---- OTLP/JSON -----------------------------------------------------------------------------------


def wrap(signal, items, kind):
    return {f"resource{signal}": [{"resource": {"attributes": pairs(resource())},
                                   f"scope{signal}": [{"scope": SCOPE, kind: items}]}]}


def wire_span(trace_id, sent):
    events = [{"timeUnixNano": event["time_unix_nano"], "name": event["name"],
               "attributes": pairs(event["attributes"])} for event in sent["events"]]
    status = set_only({"code": STATUSES[sent["status"]], "message": sent["status_message"]})
    return set_only({
        "traceId": trace_id, "spanId": sent["span_id"], "parentSpanId": sent["parent_span_id"],
        "name": sent["name"], "kind": KINDS[sent["kind"]], "events": events, "status": status,
        "startTimeUnixNano": sent["start_unix_nano"], "endTimeUnixNano": sent["end_unix_nano"],
        "attributes": pairs(sent["attributes"])})


def wire_log(sent):
    return set_only({
        "timeUnixNano": sent["time_unix_nano"], "observedTimeUnixNano": sent["time_unix_nano"],
        "severityNumber": sent["severity"], "severityText": sent["severity_text"],
        "body": any_value(sent["body"]), "attributes": pairs(sent["attributes"]),
        "traceId": sent["trace_id"], "spanId": sent["span_id"], "eventName": sent["event_name"]})


def wire_metrics(now):
    times = {"startTimeUnixNano": str(now - 1000), "timeUnixNano": str(now)}

    def point(value, **attributes):
        return {**times, **value, "attributes": pairs(attributes)}
    latency = {"count": "3", "sum": 553.0, "min": 2.5, "max": 500.0,
               "explicitBounds": [5.0, 100.0], "bucketCounts": ["1", "1", "1"]}
    cumulative = {"aggregationTemporality": 2}
    return [
        {"name": "interop.requests", "unit": "{request}", "sum": {
            **cumulative, "isMonotonic": True,
            "dataPoints": [point({"asInt": "3"}, tool="search"),
                           point({"asInt": "4"}, tool="fetch")]}},
        {"name": "interop.queue", "unit": "{item}", "sum": {
            **cumulative, "dataPoints": [point({"asInt": "-2"})]}},
        {"name": "interop.load", "unit": "1", "gauge": {"dataPoints": [point({"asDouble": 0.75})]}},
        {"name": "interop.latency", "unit": "ms",
         "histogram": {**cumulative, "dataPoints": [point(latency)]}}]


# ---- curl ----------------------------------------------------------------------------------------


def post(signal, document):
    body = json.dumps(document).encode()
    argv = ["curl", "-sS", "--fail-with-body", "--noproxy", "*", "--max-time", "30", "-H",
            "content-type: application/json", "--data-binary", "@-"]
    if os.environ.get("OTEL_EXPORTER_OTLP_COMPRESSION") == "gzip":
        body = gzip.compress(body)
        argv += ["-H", "content-encoding: gzip"]
    for option, variable in (("--cacert", "CERTIFICATE"), ("--cert", "CLIENT_CERTIFICATE"),
                             ("--key", "CLIENT_KEY")):
        value = os.environ.get("OTEL_EXPORTER_OTLP_" + variable)
        argv += [option, value] if value else []
    endpoint = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    done = subprocess.run([*argv, f"{endpoint}/v1/{signal}"], input=body, capture_output=True,
                          check=False)
    if done.returncode != 0 or done.stdout != b"{}":
        print(f"{signal}: {done.stdout!r} {done.stderr.decode()}", file=sys.stderr)


def main():
    now, trace_id = time.time_ns(), secrets.token_hex(16)
    spans = make_spans(now)
    logs = make_logs(trace_id, spans[2])
    post("traces", wrap("Spans", [wire_span(trace_id, sent) for sent in spans], "spans"))
    post("logs", wrap("Logs", [wire_log(sent) for sent in logs], "logRecords"))
    post("metrics", wrap("Metrics", wire_metrics(now), "metrics"))
    print(json.dumps({"trace_id": trace_id, "resource": resource(), "spans": spans, "logs": logs}))


main()
