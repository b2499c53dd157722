// One agent session through the unmodified Java SDK, configured by OTEL_* variables alone (the
// SDK's autoconfiguration). Prints what it sent as JSON, in the words of the API
// (tests/interop/README.md).

import static io.opentelemetry.api.common.AttributeKey.doubleKey;
import static io.opentelemetry.api.common.AttributeKey.longKey;
import static io.opentelemetry.api.common.AttributeKey.stringArrayKey;
import static io.opentelemetry.api.common.AttributeKey.stringKey;

import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.KeyValue;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.api.metrics.DoubleHistogram;
import io.opentelemetry.api.metrics.LongCounter;
import io.opentelemetry.api.metrics.LongUpDownCounter;
import io.opentelemetry.api.metrics.Meter;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.trace.ReadableSpan;
import io.opentelemetry.sdk.trace.data.EventData;
import io.opentelemetry.sdk.trace.data.SpanData;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

public final class Agent {
    private static final String SESSION = System.getenv("INTEROP_SESSION");
    private static final String SCOPE = "interop.agent";
    private static final String VERSION = "1.2.3";

    private Agent() {}

    // ---- JSON ----------------------------------------------------------------------------------

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            if (letter == '"' || letter == '\\') {
                out.append('\\').append(letter);
            } else if (letter < ' ') {
                out.append(String.format("\\u%04x", (int) letter));
            } else {
                out.append(letter);
            }
        }
        return out.append('"').toString();
    }

    private static String json(Object value) {
        List<String> parts = new ArrayList<>();
        if (value instanceof Map) {
            ((Map<?, ?>) value).forEach((key, inner) ->
                    parts.add(quoted(key.toString()) + ":" + json(inner)));
            return "{" + String.join(",", parts) + "}";
        }
        if (value instanceof List) {
            ((List<?>) value).forEach(inner -> parts.add(json(inner)));
            return "[" + String.join(",", parts) + "]";
        }
        return value instanceof String ? quoted((String) value) : String.valueOf(value);
    }

    /** Pairs of name and value as an object; an empty text becomes null. */
    private static Map<String, Object> object(Object... pairs) {
        Map<String, Object> out = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            out.put((String) pairs[i], "".equals(pairs[i + 1]) ? null : pairs[i + 1]);
        }
        return out;
    }

    private static Map<String, Object> plain(Attributes attributes) {
        Map<String, Object> out = new LinkedHashMap<>();
        attributes.forEach((key, value) -> out.put(key.getKey(), value));
        return out;
    }

    private static Map<String, Object> describe(SpanData span) {
        List<Object> events = new ArrayList<>();
        for (EventData event : span.getEvents()) {
            events.add(object("name", event.getName(), "time_unix_nano",
                    Long.toString(event.getEpochNanos()), "attributes",
                    plain(event.getAttributes())));
        }
        boolean child = span.getParentSpanContext().isValid();
        return object("span_id", span.getSpanId(), "parent_span_id",
                child ? span.getParentSpanId() : null, "name", span.getName(), "kind",
                span.getKind().name(), "status", span.getStatus().getStatusCode().name(),
                "status_message", span.getStatus().getDescription(), "start_unix_nano",
                Long.toString(span.getStartEpochNanos()), "end_unix_nano",
                Long.toString(span.getEndEpochNanos()), "attributes", plain(span.getAttributes()),
                "events", events);
    }

    // ---- what is sent --------------------------------------------------------------------------

    private static List<SpanData> sendSpans(OpenTelemetrySdk sdk) {
        Tracer tracer = sdk.getSdkTracerProvider().get(SCOPE, VERSION);
        Span agent = tracer.spanBuilder("invoke_agent clerk")
                .setAttribute("session.id", SESSION)
                .setAttribute("gen_ai.operation.name", "invoke_agent")
                .setAttribute("gen_ai.agent.name", "clerk")
                .setAttribute(stringArrayKey("flags.list"), List.of("a", "b"))
                .setAttribute("share", 0.5).startSpan();
        Context below = Context.root().with(agent);
        Span chat = tracer.spanBuilder("chat model-m").setParent(below)
                .setSpanKind(SpanKind.CLIENT).setAttribute("session.id", SESSION)
                .setAttribute("gen_ai.operation.name", "chat")
                .setAttribute("gen_ai.request.model", "model-m")
                .setAttribute("gen_ai.usage.input_tokens", 321)
                .setAttribute("gen_ai.usage.output_tokens", 45).startSpan();
        chat.addEvent("gen_ai.choice", Attributes.of(stringKey("finish_reason"), "tool_calls"));
        chat.end();
        Span tool = tracer.spanBuilder("execute_tool search").setParent(below)
                .setAttribute("session.id", SESSION)
                .setAttribute("gen_ai.operation.name", "execute_tool")
                .setAttribute("gen_ai.tool.name", "search").startSpan();
        tool.recordException(new IllegalStateException("no route to the index"));
        tool.setStatus(StatusCode.ERROR, "no route to the index");
        tool.end();
        agent.setStatus(StatusCode.OK);
        agent.end();
        List<SpanData> sent = new ArrayList<>();
        for (Span span : List.of(agent, chat, tool)) {
            sent.add(((ReadableSpan) span).toSpanData());
        }
        return sent;
    }

    /** One record inside the tool's span with text, one outside any with a structured body. */
    private static List<Object> sendLogs(OpenTelemetrySdk sdk, SpanData tool) {
        Logger logger = sdk.getSdkLoggerProvider().loggerBuilder(SCOPE)
                .setInstrumentationVersion(VERSION).build();
        Attributes first = Attributes.of(stringKey("session.id"), SESSION, longKey("attempt"), 2L,
                doubleKey("share"), 0.5);
        logger.logRecordBuilder()
                .setTimestamp(tool.getStartEpochNanos(), TimeUnit.NANOSECONDS)
                .setContext(Context.root().with(Span.wrap(tool.getSpanContext())))
                .setSeverity(Severity.INFO).setSeverityText("INFO")
                .setBody("looking for the index").setAllAttributes(first).emit();
        Attributes second = Attributes.of(stringKey("session.id"), SESSION);
        logger.logRecordBuilder()
                .setTimestamp(tool.getEndEpochNanos(), TimeUnit.NANOSECONDS)
                .setContext(Context.root()).setSeverity(Severity.WARN).setSeverityText("WARN")
                .setEventName("interop.finished")
                .setBody(Value.of(KeyValue.of("finish", Value.of("stop")),
                        KeyValue.of("count", Value.of(2)),
                        KeyValue.of("parts", Value.of(Value.of("a"), Value.of("b")))))
                .setAllAttributes(second).emit();
        return List.of(
                object("time_unix_nano", Long.toString(tool.getStartEpochNanos()), "severity", 9,
                        "severity_text", "INFO", "body", "looking for the index", "attributes",
                        plain(first), "event_name", null, "trace_id", tool.getTraceId(), "span_id",
                        tool.getSpanId()),
                object("time_unix_nano", Long.toString(tool.getEndEpochNanos()), "severity", 13,
                        "severity_text", "WARN", "body",
                        object("finish", "stop", "count", 2, "parts", List.of("a", "b")),
                        "attributes", plain(second), "event_name", "interop.finished", "trace_id",
                        null, "span_id", null));
    }

    private static void sendMetrics(OpenTelemetrySdk sdk) {
        Meter meter = sdk.getSdkMeterProvider().meterBuilder(SCOPE)
                .setInstrumentationVersion(VERSION).build();
        LongCounter requests = meter.counterBuilder("interop.requests").setUnit("{request}")
                .build();
        requests.add(3, Attributes.of(stringKey("tool"), "search"));
        requests.add(4, Attributes.of(stringKey("tool"), "fetch"));
        LongUpDownCounter queue = meter.upDownCounterBuilder("interop.queue").setUnit("{item}")
                .build();
        queue.add(5);
        queue.add(-7);
        meter.gaugeBuilder("interop.load").setUnit("1").build().set(0.75);
        DoubleHistogram latency = meter.histogramBuilder("interop.latency").setUnit("ms").build();
        for (double value : new double[] {2.5, 50.5, 500}) {
            latency.record(value);
        }
    }

    public static void main(String[] arguments) {
        OpenTelemetrySdk sdk = AutoConfiguredOpenTelemetrySdk.initialize().getOpenTelemetrySdk();
        List<SpanData> spans = sendSpans(sdk);
        List<Object> records = sendLogs(sdk, spans.get(2));
        sendMetrics(sdk);
        sdk.close();
        List<Object> described = new ArrayList<>();
        for (SpanData span : spans) {
            described.add(describe(span));
        }
        System.out.println(json(object("trace_id", spans.get(0).getTraceId(), "resource",
                plain(spans.get(0).getResource().getAttributes()), "spans", described, "logs",
                records)));
        System.exit(0);
    }
}
