import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { BirdboneError } from '../errors.js';
import { seededRandom } from '../random.js';
import { type Engine, type ProbeSetup, secondsOf } from './engine.js';
import type { Round } from './figures.js';

/** The part of node-llama-cpp 3 that is used here; it is no dependency of ours, and its types are there only where it is installed. */
interface Library {
  getLlama(options: object): Promise<Llama>;
}
interface Llama {
  readonly gpu: string | false;
  loadModel(options: { modelPath: string }): Promise<LlamaModel>;
  dispose(): Promise<void>;
}
interface LlamaModel {
  readonly fileInfo: {
    readonly metadata: { readonly tokenizer: { readonly ggml: { readonly tokens: readonly unknown[] } } };
  };
  createContext(options: object): Promise<{ getSequence(): Sequence }>;
  dispose(): Promise<void>;
}
interface Sequence {
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  clearHistory(): Promise<void>;
}

/**
 * Opens a GGUF in llama.cpp. A prompt is taken in at once, and tokens are generated behind it, the likeliest each time. Throws
 * `unsupported` for a file that llama.cpp does not take.
 */
export async function openLlama(setup: ProbeSetup): Promise<Engine> {
  const { getLlama } = (await import(pathToFileURL(setup.library!).href)) as Library;
  const threads = setup.threads ?? availableParallelism();
  const llama = await getLlama({
    gpu: setup.device === 'cpu' ? false : 'auto',
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logLevel: 'error',
    maxThreads: threads,
  });
  const where = llama.gpu === false ? `${threads} ${threads === 1 ? 'thread' : 'threads'}` : llama.gpu;
  return {
    description: `node-llama-cpp, ${where}`,
    async round() {
      const start = performance.now();
      const model = await loadModel(llama, setup.model);
      try {
        const { context, generated } = setup;
        // One token starts what is generated, and one more ends it.
        const size = { contextSize: context + generated + 2, batchSize: context };
        const sequence = (await model.createContext({ ...size, threads })).getSequence();
        const loadSeconds = (performance.now() - start) / 1000;
        return { loadSeconds, ...(await timeTokens(sequence, vocabularyOf(model), setup)) };
      } finally {
        await model.dispose();
      }
    },
    close: () => llama.dispose(),
  };
}

async function loadModel(llama: Llama, file: string): Promise<LlamaModel> {
  try {
    return await llama.loadModel({ modelPath: file });
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0]!;
    throw new BirdboneError('unsupported', `llama.cpp does not load ${file}: ${reason}`, {
      file,
      suggestions: ['Measure it here alone: --engine birdbone'],
      cause: error,
    });
  }
}

function vocabularyOf({ fileInfo }: LlamaModel): number {
  return fileInfo.metadata.tokenizer.ggml.tokens.length;
}

async function timeTokens(
  sequence: Sequence,
  vocabulary: number,
  { windows, context, generated, seed }: ProbeSetup,
): Promise<Omit<Round, 'loadSeconds'>> {
  const random = seededRandom(seed);
  const prompts = Array.from({ length: windows }, () =>
    Array.from({ length: context }, () => random.below(vocabulary)),
  );
  let promptSeconds = 0;
  for (const prompt of prompts) {
    await sequence.clearHistory();
    promptSeconds += await secondsOf(() => sequence.evaluateWithoutGeneratingNewTokens(prompt));
  }
  const seconds = await secondsOfGenerating(sequence, prompts.at(-1)!.at(-1)!, generated);
  return {
    promptTokensPerSecond: (windows * context) / promptSeconds,
    generatedTokensPerSecond: generated / seconds,
  };
}

/** Seconds of so many tokens behind what is in the cache, after a first one, which `start` costs. */
async function secondsOfGenerating(sequence: Sequence, start: number, tokens: number): Promise<number> {
  let begin = 0;
  let count = -1;
  for await (const _ of sequence.evaluate([start], { temperature: 0, yieldEogToken: true })) {
    if (count < 0) begin = performance.now();
    count += 1;
    if (count === tokens) return (performance.now() - begin) / 1000;
  }
  throw new Error(`llama.cpp ended after ${count} tokens of ${tokens}.`);
}
