// One agent session through the unmodified JavaScript SDK, configured by OTEL_* variables alone.
// Prints what it sent as JSON, in the words of the API (tests/interop/README.md).
'use strict';
const { createRequire } = require('node:module');
const path = require('node:path');
const load = createRequire(path.join(process.env.INTEROP_MODULES, 'package.json'));
const { NodeSDK } = load('@opentelemetry/sdk-node');
const api = load('@opentelemetry/api');
const { logs } = load('@opentelemetry/api-logs');

const SESSION = { 'session.id': process.env.INTEROP_SESSION };
const KINDS = ['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const STATUSES = ['UNSET', 'OK', 'ERROR'];

const nanos = ([seconds, rest]) => String(BigInt(seconds) * 1000000000n + BigInt(rest));

function describe(span) {
    return {
        span_id: span.spanContext().spanId,
        parent_span_id: span.parentSpanContext ? span.parentSpanContext.spanId : null,
        name: span.name,
        kind: KINDS[span.kind],
        status: STATUSES[span.status.code],
        status_message: span.status.message || null,
        start_unix_nano: nanos(span.startTime),
        end_unix_nano: nanos(span.endTime),
        attributes: span.attributes,
        events: span.events.map((event) => ({
            name: event.name, time_unix_nano: nanos(event.time), attributes: event.attributes })),
    };
}

function sendSpans() {
    const tracer = api.trace.getTracer('interop.agent', '1.2.3');
    const agent = tracer.startSpan('invoke_agent clerk', {
        attributes: { ...SESSION, 'gen_ai.operation.name': 'invoke_agent',
                      'gen_ai.agent.name': 'clerk', 'flags.list': ['a', 'b'], 'share': 0.5 } });
    const below = api.trace.setSpan(api.context.active(), agent);
    const chat = tracer.startSpan('chat model-m', {
        kind: api.SpanKind.CLIENT,
        attributes: { ...SESSION, 'gen_ai.operation.name': 'chat',
                      'gen_ai.request.model': 'model-m', 'gen_ai.usage.input_tokens': 321,
                      'gen_ai.usage.output_tokens': 45 } }, below);
    chat.addEvent('gen_ai.choice', { finish_reason: 'tool_calls' });
    chat.end();
    const tool = tracer.startSpan('execute_tool search', {
        attributes: { ...SESSION, 'gen_ai.operation.name': 'execute_tool',
                      'gen_ai.tool.name': 'search' } }, below);
    tool.recordException(new Error('no route to the index'));
    tool.setStatus({ code: api.SpanStatusCode.ERROR, message: 'no route to the index' });
    tool.end();
    agent.setStatus({ code: api.SpanStatusCode.OK });
    agent.end();
    return [agent, chat, tool];
}

// One record inside the tool's span with text, one outside any span with a structured body.
function sendLogs(tool) {
    const logger = logs.getLogger('interop.agent', '1.2.3');
    const records = [
        { timestamp: tool.startTime, severityNumber: 9, severityText: 'INFO',
          body: 'looking for the index', attributes: { ...SESSION, attempt: 2, share: 0.5 },
          context: api.trace.setSpan(api.ROOT_CONTEXT, tool) },
        { timestamp: tool.endTime, severityNumber: 13, severityText: 'WARN',
          eventName: 'interop.finished', attributes: { ...SESSION },
          body: { finish: 'stop', count: 2, parts: ['a', 'b'] }, context: api.ROOT_CONTEXT },
    ];
    records.forEach((record) => logger.emit(record));
    return records.map((record, i) => ({
        time_unix_nano: nanos(record.timestamp), severity: record.severityNumber,
        severity_text: record.severityText, body: record.body, attributes: record.attributes,
        event_name: record.eventName || null,
        trace_id: i === 0 ? tool.spanContext().traceId : null,
        span_id: i === 0 ? tool.spanContext().spanId : null,
    }));
}

function sendMetrics() {
    const meter = api.metrics.getMeter('interop.agent', '1.2.3');
    const requests = meter.createCounter('interop.requests', {
        unit: '{request}', valueType: api.ValueType.INT });
    requests.add(3, { tool: 'search' });
    requests.add(4, { tool: 'fetch' });
    const queue = meter.createUpDownCounter('interop.queue', {
        unit: '{item}', valueType: api.ValueType.INT });
    queue.add(5);
    queue.add(-7);
    meter.createGauge('interop.load', { unit: '1' }).record(0.75);
    const latency = meter.createHistogram('interop.latency', { unit: 'ms' });
    [2.5, 50.5, 500].forEach((value) => latency.record(value));
}

async function main() {
    const sdk = new NodeSDK();
    sdk.start();
    const spans = sendSpans();
    const records = sendLogs(spans[2]);
    sendMetrics();
    await sdk.shutdown();
    console.log(JSON.stringify({ trace_id: spans[0].spanContext().traceId,
                                 resource: spans[0].resource.attributes,
                                 spans: spans.map(describe), logs: records }));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
