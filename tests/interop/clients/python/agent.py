"""One agent session through the unmodified Python SDK. `opentelemetry-instrument` sets it up from
the OTEL_* variables alone; the same file runs under the AWS distribution.

Prints what it sent as JSON, in the words of the API (tests/interop/README.md).
"""
import json
import os

from opentelemetry import context, metrics, trace
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger, get_logger_provider
from opentelemetry.trace import SpanKind, Status, StatusCode

SESSION = {"session.id": os.environ["INTEROP_SESSION"]}


def plain(attributes):
    return {key: list(value) if isinstance(value, tuple) else value
            for key, value in attributes.items()}


def describe(span):
    return {
        "span_id": format(span.context.span_id, "016x"),
        "parent_span_id": format(span.parent.span_id, "016x") if span.parent else None,
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "status_message": span.status.description,
        "start_unix_nano": str(span.start_time),
        "end_unix_nano": str(span.end_time),
        "attributes": plain(span.attributes),
        "events": [{"name": event.name, "time_unix_nano": str(event.timestamp),
                    "attributes": plain(event.attributes)} for event in span.events],
    }


def send_spans():
    tracer = trace.get_tracer("interop.agent", "1.2.3")
    agent = tracer.start_span("invoke_agent clerk", attributes={
        **SESSION, "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk",
        "flags.list": ["a", "b"], "share": 0.5})
    below = trace.set_span_in_context(agent)
    chat = tracer.start_span("chat model-m", below, SpanKind.CLIENT, attributes={
        **SESSION, "gen_ai.operation.name": "chat", "gen_ai.request.model": "model-m",
        "gen_ai.usage.input_tokens": 321, "gen_ai.usage.output_tokens": 45})
    chat.add_event("gen_ai.choice", {"finish_reason": "tool_calls"})
    chat.end()
    tool = tracer.start_span("execute_tool search", below, attributes={
        **SESSION, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"})
    tool.record_exception(RuntimeError("no route to the index"))
    tool.set_status(Status(StatusCode.ERROR, "no route to the index"))
    tool.end()
    agent.set_status(Status(StatusCode.OK))
    agent.end()
    return [agent, chat, tool]


def send_logs(tool):
    """One record inside the tool's span with text, one outside any with a structured body."""
    logger = get_logger("interop.agent", "1.2.3")
    records = [
        LogRecord(timestamp=tool.start_time, context=trace.set_span_in_context(tool),
                  severity_number=SeverityNumber.INFO, severity_text="INFO",
                  body="looking for the index",
                  attributes={**SESSION, "attempt": 2, "share": 0.5}),
        LogRecord(timestamp=tool.end_time, context=context.Context(),
                  severity_number=SeverityNumber.WARN, severity_text="WARN",
                  event_name="interop.finished", attributes={**SESSION},
                  body={"finish": "stop", "count": 2, "parts": ["a", "b"]}),
    ]
    for record in records:
        logger.emit(record)
    inside = [(format(tool.context.trace_id, "032x"), format(tool.context.span_id, "016x")),
              (None, None)]
    return [{"time_unix_nano": str(record.timestamp), "severity": record.severity_number.value,
             "severity_text": record.severity_text, "body": record.body,
             "attributes": plain(record.attributes), "event_name": record.event_name,
             "trace_id": trace_id, "span_id": span_id}
            for record, (trace_id, span_id) in zip(records, inside)]


def send_metrics():
    meter = metrics.get_meter("interop.agent", "1.2.3")
    requests = meter.create_counter("interop.requests", "{request}")
    requests.add(3, {"tool": "search"})
    requests.add(4, {"tool": "fetch"})
    queue = meter.create_up_down_counter("interop.queue", "{item}")
    queue.add(5)
    queue.add(-7)
    meter.create_gauge("interop.load", "1").set(0.75)
    latency = meter.create_histogram("interop.latency", "ms")
    for value in (2.5, 50.5, 500.0):
        latency.record(value)


def main():
    spans = send_spans()
    records = send_logs(spans[2])
    send_metrics()
    for provider in (trace.get_tracer_provider(), get_logger_provider(),
                     metrics.get_meter_provider()):
        provider.shutdown()
    print(json.dumps({"trace_id": format(spans[0].context.trace_id, "032x"),
                      "resource": plain(spans[0].resource.attributes),
                      "spans": [describe(span) for span in spans], "logs": records}))


main()
