// A Vercel AI SDK program with one tool, unmodified, over the SDK's own mock model; spans leave
// through OpenTelemetry's NodeSDK, configured by OTEL_* variables alone. INTEROP_VERSION chooses the
// generation: 6 has telemetry inside and its own ai.* attributes, 7 has it in @ai-sdk/otel and speaks
// gen_ai.*. Session and user are what each generation lets a program say: metadata, runtime context.
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const base = createRequire(path.join(process.env.INTEROP_MODULES, 'package.json'));
const load = (name) => import(pathToFileURL(base.resolve(name)));
const seven = process.env.INTEROP_VERSION === '7';

const USED = [
    { inputTokens: { total: 100, noCache: 100 }, outputTokens: { total: 20, text: 20 } },
    { inputTokens: { total: 210, noCache: 150, cacheRead: 60 },
      outputTokens: { total: 30, text: 20, reasoning: 10 } },
];
const PARTS = [
    { type: 'tool-call', toolCallId: 'call-1', toolName: 'search', input: '{"word":"index"}' },
    { type: 'text', text: 'The index is rebuilt.' },
];

// The second call has the tool's result in its prompt.
async function generate({ prompt }) {
    const turn = prompt.some((message) => message.role === 'tool') ? 1 : 0;
    return { content: [PARTS[turn]], usage: USED[turn], warnings: [],
             finishReason: { unified: turn ? 'stop' : 'tool-calls', raw: undefined },
             response: { id: `answer-${turn}`, modelId: 'stub-model-2026-01-01' } };
}

async function main() {
    const { NodeSDK } = await load('@opentelemetry/sdk-node');
    const { z } = await load('zod');
    const { generateText, tool, stepCountIs, registerTelemetry } = await load(seven ? 'ai' : 'ai6');
    const { MockLanguageModelV3, MockLanguageModelV4 } =
        await load(seven ? 'ai/test' : 'ai6/test');
    const sdk = new NodeSDK();
    sdk.start();
    if (seven) {
        const { OpenTelemetry } = await load('@ai-sdk/otel');
        registerTelemetry(new OpenTelemetry({ runtimeContext: true }));
    }
    const Model = seven ? MockLanguageModelV4 : MockLanguageModelV3;
    const search = tool({ description: 'Look for a word.',
                          inputSchema: z.object({ word: z.string() }),
                          execute: async ({ word }) => `nothing about ${word}` });
    const who = { sessionId: process.env.INTEROP_SESSION, userId: 'user-1' };
    const told = seven ? {
        runtimeContext: who,
        telemetry: { functionId: 'clerk',
                     includeRuntimeContext: { sessionId: true, userId: true } },
    } : { experimental_telemetry: { isEnabled: true, functionId: 'clerk', metadata: who } };
    await generateText({
        model: new Model({ provider: 'stub.chat', modelId: 'stub-model', doGenerate: generate }),
        tools: { search }, stopWhen: stepCountIs(5), prompt: 'Why is the index slow?', ...told });
    await sdk.shutdown();
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
