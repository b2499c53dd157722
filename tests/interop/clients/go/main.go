// One agent session through the unmodified Go SDK; the exporters come from contrib's autoexport, so
// that OTEL_* variables alone decide. Prints what it sent as JSON, in the words of the API
// (tests/interop/README.md).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	logapi "go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type object map[string]any

var session = attribute.String("session.id", os.Getenv("INTEROP_SESSION"))

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func nanos(at time.Time) string { return strconv.FormatInt(at.UnixNano(), 10) }

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func plain(attributes []attribute.KeyValue) object {
	out := object{}
	for _, pair := range attributes {
		out[string(pair.Key)] = pair.Value.AsInterface()
	}
	return out
}

func describe(span sdktrace.ReadOnlySpan) object {
	var parent any
	if span.Parent().SpanID().IsValid() {
		parent = span.Parent().SpanID().String()
	}
	events := []object{}
	for _, event := range span.Events() {
		events = append(events, object{"name": event.Name, "time_unix_nano": nanos(event.Time),
			"attributes": plain(event.Attributes)})
	}
	return object{
		"span_id":         span.SpanContext().SpanID().String(),
		"parent_span_id":  parent,
		"name":            span.Name(),
		"kind":            strings.ToUpper(span.SpanKind().String()),
		"status":          strings.ToUpper(span.Status().Code.String()),
		"status_message":  orNull(span.Status().Description),
		"start_unix_nano": nanos(span.StartTime()),
		"end_unix_nano":   nanos(span.EndTime()),
		"attributes":      plain(span.Attributes()),
		"events":          events,
	}
}

func sendSpans(ctx context.Context, provider *sdktrace.TracerProvider) []sdktrace.ReadOnlySpan {
	tracer := provider.Tracer("interop.agent", trace.WithInstrumentationVersion("1.2.3"))
	below, agent := tracer.Start(ctx, "invoke_agent clerk", trace.WithAttributes(session,
		attribute.String("gen_ai.operation.name", "invoke_agent"),
		attribute.String("gen_ai.agent.name", "clerk"),
		attribute.StringSlice("flags.list", []string{"a", "b"}), attribute.Float64("share", 0.5)))
	_, chat := tracer.Start(below, "chat model-m", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(session, attribute.String("gen_ai.operation.name", "chat"),
			attribute.String("gen_ai.request.model", "model-m"),
			attribute.Int("gen_ai.usage.input_tokens", 321),
			attribute.Int("gen_ai.usage.output_tokens", 45)))
	chat.AddEvent("gen_ai.choice",
		trace.WithAttributes(attribute.String("finish_reason", "tool_calls")))
	chat.End()
	_, tool := tracer.Start(below, "execute_tool search", trace.WithAttributes(session,
		attribute.String("gen_ai.operation.name", "execute_tool"),
		attribute.String("gen_ai.tool.name", "search")))
	tool.RecordError(errors.New("no route to the index"))
	tool.SetStatus(codes.Error, "no route to the index")
	tool.End()
	agent.SetStatus(codes.Ok, "")
	agent.End()
	return []sdktrace.ReadOnlySpan{agent.(sdktrace.ReadOnlySpan), chat.(sdktrace.ReadOnlySpan),
		tool.(sdktrace.ReadOnlySpan)}
}

// One record inside the tool's span with text, one outside any span with a structured body.
func sendLogs(ctx context.Context, provider *sdklog.LoggerProvider,
	tool sdktrace.ReadOnlySpan) []object {
	logger := provider.Logger("interop.agent", logapi.WithInstrumentationVersion("1.2.3"))
	var first, second logapi.Record
	first.SetTimestamp(tool.StartTime())
	first.SetSeverity(logapi.SeverityInfo)
	first.SetSeverityText("INFO")
	first.SetBody(attribute.StringValue("looking for the index"))
	first.AddAttributes(session, attribute.Int("attempt", 2), attribute.Float64("share", 0.5))
	logger.Emit(trace.ContextWithSpanContext(ctx, tool.SpanContext()), first)
	second.SetTimestamp(tool.EndTime())
	second.SetSeverity(logapi.SeverityWarn)
	second.SetSeverityText("WARN")
	second.SetEventName("interop.finished")
	second.SetBody(attribute.MapValue(attribute.String("finish", "stop"),
		attribute.Int("count", 2), attribute.StringSlice("parts", []string{"a", "b"})))
	second.AddAttributes(session)
	logger.Emit(ctx, second)
	return []object{{"time_unix_nano": nanos(first.Timestamp()), "severity": int(first.Severity()),
		"severity_text": first.SeverityText(), "body": "looking for the index",
		"attributes": object{"session.id": session.Value.AsString(), "attempt": 2, "share": 0.5},
		"event_name": nil, "trace_id": tool.SpanContext().TraceID().String(),
		"span_id": tool.SpanContext().SpanID().String()},
		{"time_unix_nano": nanos(second.Timestamp()), "severity": int(second.Severity()),
			"severity_text": second.SeverityText(),
			"body":          object{"finish": "stop", "count": 2, "parts": []string{"a", "b"}},
			"attributes":    object{"session.id": session.Value.AsString()},
			"event_name":    second.EventName(), "trace_id": nil, "span_id": nil}}
}

func sendMetrics(ctx context.Context, provider *sdkmetric.MeterProvider) {
	meter := provider.Meter("interop.agent", metric.WithInstrumentationVersion("1.2.3"))
	requests, err := meter.Int64Counter("interop.requests", metric.WithUnit("{request}"))
	must(err)
	requests.Add(ctx, 3, metric.WithAttributes(attribute.String("tool", "search")))
	requests.Add(ctx, 4, metric.WithAttributes(attribute.String("tool", "fetch")))
	queue, err := meter.Int64UpDownCounter("interop.queue", metric.WithUnit("{item}"))
	must(err)
	queue.Add(ctx, 5)
	queue.Add(ctx, -7)
	load, err := meter.Float64Gauge("interop.load", metric.WithUnit("1"))
	must(err)
	load.Record(ctx, 0.75)
	latency, err := meter.Float64Histogram("interop.latency", metric.WithUnit("ms"))
	must(err)
	for _, value := range []float64{2.5, 50.5, 500} {
		latency.Record(ctx, value)
	}
}

func main() {
	ctx := context.Background()
	spanExporter, err := autoexport.NewSpanExporter(ctx)
	must(err)
	logExporter, err := autoexport.NewLogExporter(ctx)
	must(err)
	reader, err := autoexport.NewMetricReader(ctx)
	must(err)
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spanExporter))
	loggers := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(logExporter)))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))

	spans := sendSpans(ctx, tracers)
	records := sendLogs(ctx, loggers, spans[2])
	sendMetrics(ctx, meters)
	must(tracers.Shutdown(ctx))
	must(loggers.Shutdown(ctx))
	must(meters.Shutdown(ctx))

	described := []object{}
	for _, span := range spans {
		described = append(described, describe(span))
	}
	sent, err := json.Marshal(object{"trace_id": spans[0].SpanContext().TraceID().String(),
		"resource": plain(spans[0].Resource().Attributes()), "spans": described, "logs": records})
	must(err)
	fmt.Println(string(sent))
}
