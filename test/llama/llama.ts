import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll } from 'vitest';

const modules = path.join(path.dirname(fileURLToPath(import.meta.url)), 'node_modules');
const libraries = path.join(modules, '@node-llama-cpp', 'linux-x64', 'bins', 'linux-x64');

/** Why a test that needs llama.cpp cannot run here; undefined when it can. */
export const llamaMissing = whatIsMissing();

function whatIsMissing(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'llama.cpp is set up for Linux x64 only';
  return existsSync(libraries) ? undefined : 'no llama.cpp: npm run setup:llama';
}

/** The part of node-llama-cpp 3.22.1 that is used here; its own types are there only once it is installed. */
interface Library {
  getLlama(options: object): Promise<Llama>;
}
interface Llama {
  loadModel(options: { modelPath: string }): Promise<LibraryModel>;
  dispose(): Promise<void>;
}
interface LibraryModel {
  readonly tokens: { readonly bos: number | null; readonly eos: number | null };
  tokenize(text: string, specialTokens: boolean, options?: 'trimLeadingSpace'): number[];
  detokenize(tokens: readonly number[], specialTokens?: boolean): string;
  createContext(options: object): Promise<{ getSequence(): Sequence; dispose(): Promise<void> }>;
  dispose(): Promise<void>;
}
interface Sequence {
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
  controlledEvaluate(
    input: readonly unknown[],
  ): Promise<({ next: { probabilities?: Map<number, number> } } | undefined)[]>;
  dispose(): void;
}

/** A model in llama.cpp. */
export interface LlamaModel {
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  /** Ids of a text without BOS; with `special`, text that spells a special token is that token. */
  encode(text: string, special?: boolean): number[];
  /** The most likely continuation, token by token. */
  greedy(ids: readonly number[], count: number): Promise<number[]>;
  /** −ln of the probability of each token but the first, given those before it. */
  negativeLogLikelihoods(ids: readonly number[]): Promise<number[]>;
}

/** One for all models of a test file: node-llama-cpp tries the library in a process of its own first, which takes seconds. */
let started: Promise<Llama> | undefined;
afterAll(async () => {
  await (await started)?.dispose();
});

async function start(): Promise<Llama> {
  const entry = pathToFileURL(path.join(modules, 'node-llama-cpp', 'dist', 'index.js')).href;
  const { getLlama } = (await import(entry)) as Library;
  return getLlama({ gpu: false, build: 'never', skipDownload: true, progressLogs: false, logLevel: 'error' });
}

/** Loads a GGUF into llama.cpp on the CPU, hands it to `use`, and frees it. Throws what llama.cpp says of a file it refuses. */
export async function withLlama<T>(file: string, use: (model: LlamaModel) => Promise<T>): Promise<T> {
  started ??= start();
  const model = await (await started).loadModel({ modelPath: file });
  try {
    return await use(driven(model));
  } finally {
    await model.dispose();
  }
}

function driven(model: LibraryModel): LlamaModel {
  const inSequence = async <T>(contextSize: number, use: (sequence: Sequence) => Promise<T>): Promise<T> => {
    const context = await model.createContext({ contextSize, threads: 1, flashAttention: false });
    try {
      return await use(context.getSequence());
    } finally {
      await context.dispose();
    }
  };
  return {
    bosTokenId: model.tokens.bos,
    eosTokenId: model.tokens.eos,
    encode: (text, special = false) => model.tokenize(text, special),
    greedy: (ids, count) =>
      inSequence(ids.length + count, async (sequence) => {
        const generated: number[] = [];
        for await (const id of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
          generated.push(id);
          if (generated.length === count) break;
        }
        return generated;
      }),
    negativeLogLikelihoods: (ids) =>
      inSequence(ids.length, async (sequence) => {
        const wanted = ids.map((id, i) =>
          i === ids.length - 1 ? id : [id, { generateNext: { probabilities: true } }],
        );
        const outputs = await sequence.controlledEvaluate(wanted);
        return ids.slice(1).map((id, i) => -Math.log(outputs[i]!.next.probabilities!.get(id)!));
      }),
  };
}

/** ggml's base library, which quantises and dequantises blocks. */
const ggmlLibrary = path.join(libraries, 'libggml-base.so');

/** ggml's blocks of rows of `columns` values; with an importance weight for each column where they are given. */
export function quantizeWithGgml(
  type: string,
  values: Float32Array,
  columns: number,
  weights: Float32Array = new Float32Array(0),
): Uint8Array {
  const request = { do: 'quantize', type, columns, weighted: weights.length > 0 };
  return callGgml(request, Buffer.concat([bytesOf(weights), bytesOf(values)]));
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** ggml's values of blocks. */
export function dequantizeWithGgml(type: string, blocks: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(callGgml({ do: 'dequantize', type }, blocks)).buffer);
}

function callGgml(request: object, bytes: Uint8Array): Uint8Array {
  const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'ggml.py');
  const input = Buffer.concat([Buffer.from(`${JSON.stringify(request)}\n`), bytes]);
  const { status, stdout, stderr } = spawnSync('python3', [script, ggmlLibrary], { input, maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`ggml.py: ${stderr}`);
  return stdout;
}

/** A GGUF that llama.cpp itself is to quantize. */
export interface QuantizeJob {
  readonly input: string;
  readonly output: string;
  /** llama.h's number of the mix (`general.file_type`). */
  readonly ftype: number;
  /** Importance of each column, by tensor; an empty object for none. */
  readonly weights: Readonly<Record<string, readonly number[]>>;
}

/** Quantizes whole models by llama.cpp's own `llama_model_quantize`. */
export function quantizeModels(jobs: readonly QuantizeJob[]): void {
  const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'quantize.py');
  const env = { ...process.env, LD_LIBRARY_PATH: libraries };
  const { status, stderr } = spawnSync('python3', [script, libraries], {
    input: JSON.stringify(jobs),
    env,
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`quantize.py: ${stderr.toString().slice(-2000)}`);
}
