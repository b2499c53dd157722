"""What Claude Code sends, from its documentation's shapes (Monitoring, 2026-08): one prompt with one
model call and one tool call, as delta metrics, events and spans in OTLP/JSON. The program itself needs
an account; the standard library sends what it would. Input tokens are the provider's raw count: what
came from and went to the cache stands beside them.
"""
import json
import os
import time
import urllib.request

SESSION = os.environ["INTEROP_SESSION"]
ENDPOINT = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
NOW = time.time_ns()
TRACE, INTERACTION, REQUEST, TOOL, RUN = (os.urandom(n).hex() for n in (16, 8, 8, 8, 8))
COMMON = {"session.id": SESSION, "user.id": "user-1", "organization.id": "org-1",
          "terminal.type": "xterm", "app.entrypoint": "cli"}
MODEL = "claude-stub-1"


def value(of):
    if isinstance(of, bool):
        return {"boolValue": of}
    if isinstance(of, int):
        return {"intValue": str(of)}
    return {"doubleValue": of} if isinstance(of, float) else {"stringValue": of}


def attributes(of):
    return [{"key": key, "value": value(content)} for key, content in of.items()]


RESOURCE = {"attributes": attributes({
    "service.name": os.environ["OTEL_SERVICE_NAME"], "service.version": "2.1.0",
    "os.type": "linux", "host.arch": "amd64"})}


def post(path, body):
    request = urllib.request.Request(f"{ENDPOINT}/v1/{path}", json.dumps(body).encode(),
                                     {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200 and answer.read() in (b"{}", b'{"partialSuccess":{}}')


# ---- spans ---------------------------------------------------------------------------------------


def span(name, span_id, parent, kind, **more):
    return {"traceId": TRACE, "spanId": span_id, "parentSpanId": parent, "name": name, "kind": 1,
            "startTimeUnixNano": str(NOW), "endTimeUnixNano": str(NOW + 5_000_000), "status": {},
            "attributes": attributes({**COMMON, "span.type": kind, **more})}


def send_spans():
    spans = [
        span("claude_code.interaction", INTERACTION, "", "interaction",
             **{"interaction.sequence": 1, "user_prompt_length": 22}),
        span("claude_code.llm_request", REQUEST, INTERACTION, "llm_request",
             **{"model": MODEL, "gen_ai.system": "anthropic", "gen_ai.request.model": MODEL,
                "query_source": "repl_main_thread", "input_tokens": 100, "output_tokens": 20,
                "cache_read_tokens": 60, "cache_creation_tokens": 5, "ttft_ms": 120,
                "success": "true", "attempt": 1, "stop_reason": "tool_use"}),
        span("claude_code.tool", TOOL, INTERACTION, "tool",
             **{"tool_name": "Bash", "tool_use_id": "call-1", "gen_ai.tool.call.id": "call-1",
                "success": "false"}),
        span("claude_code.tool.execution", RUN, TOOL, "tool.execution",
             **{"tool_name": "Bash", "success": "false", "error": "exit 1"}),
    ]
    post("traces", {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [
        {"scope": {"name": "com.anthropic.claude_code.tracing", "version": "1.0.0"},
         "spans": spans}]}]})


# ---- events --------------------------------------------------------------------------------------


def event(number, name, **more):
    stamp = str(NOW + number)
    return {"timeUnixNano": stamp, "observedTimeUnixNano": stamp, "traceId": TRACE,
            "spanId": INTERACTION, "body": {"stringValue": f"claude_code.{name}"},
            "attributes": attributes({**COMMON, "event.name": name, "event.sequence": number,
                                      "prompt.id": "prompt-1", **more})}


def send_events():
    records = [
        event(1, "user_prompt", prompt_length=22),
        event(2, "api_request", model=MODEL, input_tokens=100, output_tokens=20,
              cache_read_tokens=60, cache_creation_tokens=5, cost_usd=0.01, duration_ms=400),
        event(3, "tool_decision", tool_name="Bash", decision="accept", source="config"),
        event(4, "tool_result", tool_name="Bash", success="false", duration_ms=30,
              error_type="Error:exit 1", tool_use_id="call-1"),
    ]
    post("logs", {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [
        {"scope": {"name": "com.anthropic.claude_code.events", "version": "2.1.0"},
         "logRecords": records}]}]})


# ---- metrics -------------------------------------------------------------------------------------


def counter(name, unit, points):
    return {"name": name, "unit": unit, "sum": {
        "aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [
            {"startTimeUnixNano": str(NOW), "timeUnixNano": str(NOW + 60_000_000_000),
             "asDouble": float(count), "attributes": attributes({**COMMON, **more})}
            for count, more in points]}}


def send_metrics():
    metrics = [
        counter("claude_code.session.count", "", [(1, {"start_type": "fresh"})]),
        counter("claude_code.cost.usage", "USD", [(0.01, {"model": MODEL})]),
        counter("claude_code.active_time.total", "s", [(3.5, {"type": "cli"})]),
        counter("claude_code.token.usage", "tokens", [
            (count, {"type": kind, "model": MODEL, "query_source": "main"})
            for kind, count in (("input", 100), ("output", 20), ("cacheRead", 60),
                                ("cacheCreation", 5))]),
    ]
    post("metrics", {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [
        {"scope": {"name": "com.anthropic.claude_code", "version": "2.1.0"},
         "metrics": metrics}]}]})


send_spans()
send_events()
send_metrics()
