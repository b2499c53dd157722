"""One agent session through the unmodified Python SDK, configured by OTEL_* variables alone.

Prints what it sent as JSON, in the words of `midwatch trace show --json`.
"""
import json
import os

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

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
        "resource": plain(span.resource.attributes),
        "scope": span.instrumentation_scope.name,
        "events": [{"name": event.name, "time_unix_nano": str(event.timestamp),
                    "attributes": plain(event.attributes)} for event in span.events],
    }


def main():
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("interop.agent", "1.2.3")
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
    provider.shutdown()
    print(json.dumps({"trace_id": format(agent.context.trace_id, "032x"),
                      "spans": [describe(span) for span in (agent, chat, tool)]}))


main()
