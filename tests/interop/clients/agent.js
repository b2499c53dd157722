// One agent session through the unmodified JavaScript SDK, configured by OTEL_* variables alone.
// Prints what it sent as JSON, in the words of `midwatch trace show --json`.
'use strict';
const { createRequire } = require('node:module');
const path = require('node:path');
const load = createRequire(path.join(process.env.INTEROP_MODULES, 'package.json'));
const { NodeSDK } = load('@opentelemetry/sdk-node');
const api = load('@opentelemetry/api');

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
        resource: span.resource.attributes,
        scope: span.instrumentationScope.name,
        events: span.events.map((event) => ({
            name: event.name, time_unix_nano: nanos(event.time), attributes: event.attributes })),
    };
}

async function main() {
    const sdk = new NodeSDK();
    sdk.start();
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
    await sdk.shutdown();
    console.log(JSON.stringify({ trace_id: agent.spanContext().traceId,
                                 spans: [agent, chat, tool].map(describe) }));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
