import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const folder = fileURLToPath(new URL('../test/llama', import.meta.url));
const library = path.join(folder, 'node_modules', 'node-llama-cpp', 'dist', 'index.js');
const CONTEXT = 128;

/** The part of node-llama-cpp that is used here. */
interface Library {
  getLlama(options: object): Promise<{
    loadModel(options: { modelPath: string }): Promise<{
      createContext(options: object): Promise<{ getSequence(): Sequence }>;
    }>;
    dispose(): Promise<void>;
  }>;
}
interface Sequence {
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
  clearHistory(): Promise<void>;
}

/** A model that is open in llama.cpp, on one core. */
export interface OpenModel {
  /** Seconds of so many tokens, one by one, after a first that the prompt costs. */
  generate(tokens: number): Promise<number>;
}

/**
 * Opens GGUFs in llama.cpp side by side, F16 cache, on one core of the CPU: its threads wait for each other in busy loops, and with
 * one more than there are idle cores a token takes 50 times as long. Needs `npm run setup:llama`. The caller disposes.
 */
export async function openInLlama(
  files: readonly string[],
): Promise<{ readonly models: readonly OpenModel[]; dispose(): Promise<void> }> {
  if (!existsSync(library)) throw new Error('no llama.cpp: npm run setup:llama');
  const { getLlama } = (await import(pathToFileURL(library).href)) as Library;
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logLevel: 'error',
  });
  const models: OpenModel[] = [];
  for (const modelPath of files) {
    const context = await (await llama.loadModel({ modelPath })).createContext({ contextSize: CONTEXT, threads: 1 });
    const sequence = context.getSequence();
    models.push({ generate: (tokens) => generate(sequence, tokens) });
  }
  return { models, dispose: () => llama.dispose() };
}

async function generate(sequence: Sequence, tokens: number): Promise<number> {
  await sequence.clearHistory();
  let start = 0;
  let count = -1;
  for await (const _ of sequence.evaluate([5, 6, 7], { temperature: 0, yieldEogToken: true })) {
    if (count < 0) start = performance.now();
    count += 1;
    if (count === tokens) break;
  }
  if (count < tokens) throw new Error(`The model ended after ${count} tokens.`);
  return (performance.now() - start) / 1000;
}
