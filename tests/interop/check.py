#!/usr/bin/env python3
"""Runs one client in all its transports against a fresh daemon and compares what
`midwatch trace show --json` gives with what the client says it sent.

    tests/interop/check.py NAME COMMAND...     (MIDWATCH_BUILD and the client's INTEROP_* set)

One line a variant, last line "N passed, N failed".
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import SLOWNESS, Daemon, same_json  # noqa: E402


def client_environment(daemon, protocol, compression, session):
    clean = {key: value for key, value in os.environ.items()
             if not key.startswith("OTEL_") and "proxy" not in key.lower()}
    endpoint = daemon.endpoints["grpc" if protocol == "grpc" else "http"]
    # "none" is said by leaving the variable out: not every client knows the word.
    packed = {"OTEL_EXPORTER_OTLP_COMPRESSION": compression} if compression != "none" else {}
    return {**clean, **packed, "INTEROP_SESSION": session,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{endpoint}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none", "OTEL_SERVICE_NAME": "interop-agent",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=interop,team=night"}


def differences(sent, shown):
    """What differs, in words; nothing when all is equal."""
    found = {span["span_id"]: span for span in shown["spans"]}
    if len(found) != len(sent["spans"]) or shown["span_count"] != len(sent["spans"]):
        yield f"{len(found)} spans shown, {len(sent['spans'])} sent"
        return
    for span in sent["spans"]:
        got = found.get(span["span_id"])
        if got is None:
            yield f"span {span['span_id']} is missing"
            continue
        for key in ("parent_span_id", "name", "kind", "status", "status_message",
                    "start_unix_nano", "end_unix_nano", "attributes"):
            if not same_json(got[key], span[key]):
                yield f"{span['name']}: {key} is {got[key]!r}, sent {span[key]!r}"
        if not same_json(got["resource"], span["resource"]):
            yield f"{span['name']}: resource {got['resource']!r}, sent {span['resource']!r}"
        if got["scope"]["name"] != span["scope"]:
            yield f"{span['name']}: scope {got['scope']!r}"
        events = [{key: event[key] for key in ("name", "time_unix_nano", "attributes")}
                  for event in got["events"]]
        if not same_json(events, span["events"]):
            yield f"{span['name']}: events {events!r}, sent {span['events']!r}"


def session_differences(session, shown):
    expected = {"session_id": session, "agent": "clerk", "traces": 1, "spans": 3, "errors": 1,
                "model_calls": 1, "tool_calls": 1, "input_tokens": 321, "output_tokens": 45}
    for key, value in expected.items():
        if shown[key] != value:
            yield f"session: {key} is {shown[key]!r}, expected {value!r}"


def run_variant(command, protocol, compression):
    """What is wrong, as a list of sentences."""
    session = f"interop-{protocol.replace('/', '-')}-{compression}"
    with Daemon() as daemon:
        client = subprocess.run(command, capture_output=True, text=True, check=False,
                                timeout=60 * SLOWNESS,
                                env=client_environment(daemon, protocol, compression, session))
        if client.returncode != 0:
            return [f"the client ended with {client.returncode}: {client.stderr[-2000:]}"]
        sent = json.loads(client.stdout.strip().splitlines()[-1])
        try:
            shown = daemon.cli_json("trace", "show", sent["trace_id"])
            in_session = daemon.cli_json("session", "show", session)
        except AssertionError as error:
            return [f"{error} (client: {client.stderr[-2000:]})"]
        return [*differences(sent, shown), *session_differences(session, in_session)]


def main():
    name, command = sys.argv[1], sys.argv[2:]
    passed = failed = 0
    for protocol in ("http/protobuf", "grpc"):
        for compression in ("none", "gzip"):
            wrong = run_variant(command, protocol, compression)
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print(f"{'FAILED' if wrong else 'ok':6} {name} {protocol} {compression}", flush=True)
            for sentence in wrong:
                print(f"       {sentence}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
