import type { Model } from '../model/index.js';
import type { GgufDtype, Profile } from './profile.js';
import type { StoredWeight, Strategy } from './strategy.js';
import { type Workload, workloadOf } from './workload.js';

/** Of keys and values, as both engines keep them unless told otherwise. */
const CACHE_BYTES = 2;
const ACTIVATION_BYTES = 4;
/** Tokens of a prompt that engines take through the model at once. */
const PROMPT_CHUNK = 512;

export interface Situation {
  /** Tokens in the cache of each sequence. */
  readonly context: number;
  /** Sequences side by side. */
  readonly batch: number;
}

/** What bounds the speed. */
export type Bound = 'memory' | 'arithmetic' | 'unpacking' | 'overhead';

/** What a strategy would give on a machine. Bytes, and tokens a second. */
export interface Prediction {
  /** Of all weights, in the file and in memory. */
  readonly weightBytes: number;
  readonly bitsPerWeight: number;
  readonly cacheBytes: number;
  /** Weights, cache and what lives during a step. */
  readonly memoryBytes: number;
  /** Generated, all sequences together. */
  readonly tokensPerSecond: number;
  /** Of a prompt. */
  readonly promptTokensPerSecond: number;
  readonly bound: Bound;
}

/**
 * Predicts memory and speed by a roofline: a step takes as long as the slowest of reading weights and cache, computing, and (on a
 * CPU) unpacking the weights, and what a step costs in any case. Needs shapes alone, no weights.
 * Source: Williams, Waterman & Patterson 2009, "Roofline"; for the bytes of a decoding step, Pope et al. 2022, §3.
 */
export function predict(model: Model, strategy: Strategy, profile: Profile, situation: Situation): Prediction {
  const workload = workloadOf(model);
  const stored = strategy.store(workload, model);
  const { batch, context } = situation;
  const weightBytes = sum(stored, ({ bytes }) => bytes);
  const cacheBytes = batch * context * workload.cacheNumbersPerToken * CACHE_BYTES;
  const working = ACTIVATION_BYTES * (workload.activationNumbersPerToken * PROMPT_CHUNK + workload.vocabulary * batch);
  const step = stepTimes({ stored, workload, strategy, profile }, situation, cacheBytes);
  const slowest = Math.max(step.memory, step.arithmetic, step.unpacking);
  const overhead = overheadOf(profile, workload.blocks);
  return {
    weightBytes,
    bitsPerWeight: (8 * weightBytes) / sum(stored, ({ rows, columns }) => rows * columns),
    cacheBytes,
    memoryBytes: weightBytes + cacheBytes + working,
    tokensPerSecond: batch / (slowest + overhead),
    promptTokensPerSecond: batch / Math.max(step.arithmetic, step.unpacking),
    bound: boundOf(step, overhead),
  };
}

/** Seconds that a token takes of a model of so many blocks, however small it is. */
export function overheadOf({ stepSeconds, blockSeconds = 0 }: Profile, blocks: number): number {
  return stepSeconds + blocks * blockSeconds;
}

interface Work {
  readonly stored: readonly StoredWeight[];
  readonly workload: Workload;
  readonly strategy: Strategy;
  readonly profile: Profile;
}

/** Seconds that each part of the machine is busy for one token of every sequence. */
interface StepTimes {
  readonly memory: number;
  readonly arithmetic: number;
  readonly unpacking: number;
}

function stepTimes({ stored, workload, strategy, profile }: Work, situation: Situation, cacheBytes: number): StepTimes {
  const { batch, context } = situation;
  const { bandwidth, arithmetic, reached, unpacking } = profile;
  const multiplied = stored.filter(({ part }) => part === 'linear' || part === 'head');
  // Sequences side by side go through different experts, until all of them are read.
  const readBytes = sum(multiplied, ({ bytes, share }) => bytes * Math.min(1, share * batch));
  const unit = strategy.arithmetic.find((kind) => arithmetic[kind] !== undefined);
  // Where products are timed by the weights they unpack, that is their arithmetic: llama.cpp multiplies blocks as integers.
  const products = unpacking === undefined ? workload.productOperations : 0;
  const operations = batch * (products + workload.attentionOperations(context));
  return {
    memory: (readBytes + cacheBytes) / (bandwidth * reached.bandwidth),
    arithmetic: unit === undefined ? Number.POSITIVE_INFINITY : operations / (arithmetic[unit]! * reached.arithmetic),
    unpacking: unpacking === undefined ? 0 : batch * unpackingSeconds(multiplied, unpacking),
  };
}

function unpackingSeconds(
  weights: readonly StoredWeight[],
  { cores, weightsPerCore }: NonNullable<Profile['unpacking']>,
): number {
  const rateOf = (dtype: GgufDtype | undefined) => {
    const rate = dtype === undefined ? undefined : weightsPerCore[dtype];
    // A type that nobody measured is taken for the slowest one that was.
    return rate ?? Math.min(...Object.values(weightsPerCore));
  };
  return sum(weights, ({ dtype, rows, columns, share }) => (rows * columns * share) / (rateOf(dtype) * cores));
}

function boundOf({ memory, arithmetic, unpacking }: StepTimes, overhead: number): Bound {
  const slowest = Math.max(memory, arithmetic, unpacking, overhead);
  if (slowest === overhead) return 'overhead';
  if (slowest === memory) return 'memory';
  return slowest === arithmetic ? 'arithmetic' : 'unpacking';
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
