import type { Model } from '../model/index.js';
import type { Profile } from './profile.js';
import { type Prediction, predict, type Situation } from './roofline.js';
import { type Strategy, strategies } from './strategy.js';

/** What the result must keep to; the profile's own memory counts in any case. */
export interface Limits {
  /** Weights, cache and working memory together. */
  readonly memoryBytes?: number;
  /** The weights' files. */
  readonly sizeBytes?: number;
  readonly tokensPerSecond?: number;
}

/** A strategy held against the limits. */
export interface Candidate {
  readonly strategy: Strategy;
  readonly prediction: Prediction;
  /** Why it is out, one sentence each; empty: it may be chosen. */
  readonly against: readonly string[];
}

export interface Choice {
  /** Of the profile's engine, the one that keeps most bits first. */
  readonly candidates: readonly Candidate[];
  /** Absent where nothing keeps to the limits. */
  readonly chosen?: Candidate;
  readonly reason: string;
  /** The fraction of the linear weights that would have to be shed before the smallest strategy fits; where none does. */
  readonly shed?: number;
}

export interface ChoiceOptions {
  readonly limits: Limits;
  readonly situation: Situation;
  /** Name of a strategy that was chosen before: it is taken again as long as it keeps to the limits. */
  readonly before?: string;
}

/**
 * The strategy that keeps most bits among those within the limits: quality is what nobody can buy back. Equal bits: the faster.
 */
export function chooseStrategy(model: Model, profile: Profile, { limits, situation, before }: ChoiceOptions): Choice {
  const candidates = strategies
    .filter(({ engine }) => engine === profile.engine)
    .map((strategy) => candidateOf(predict(model, strategy, profile, situation), { strategy, profile, limits }))
    .sort(
      (a, b) =>
        b.prediction.bitsPerWeight - a.prediction.bitsPerWeight ||
        b.prediction.tokensPerSecond - a.prediction.tokensPerSecond,
    );
  const within = candidates.filter(({ against }) => against.length === 0);
  const again = within.find(({ strategy }) => strategy.name === before);
  if (again !== undefined)
    return { candidates, chosen: again, reason: `${before} was chosen before, and is within the limits.` };
  const [chosen] = within;
  if (chosen !== undefined) return { candidates, chosen, reason: reasonOf(chosen, candidates) };
  const smallest = candidates.at(-1)!;
  const shed = shedToFit(smallest.prediction, { ...limits, memoryBytes: memoryLimit(profile, limits) });
  return {
    candidates,
    reason: `Nothing keeps to the limits; nearest is ${smallest.strategy.name}: ${smallest.against.join(' ')}`,
    ...(shed !== undefined && { shed }),
  };
}

function candidateOf(
  prediction: Prediction,
  { strategy, profile, limits }: { readonly strategy: Strategy; readonly profile: Profile; readonly limits: Limits },
): Candidate {
  const { weightBytes, memoryBytes, tokensPerSecond } = prediction;
  const { sizeBytes, tokensPerSecond: wanted } = limits;
  const memory = memoryLimit(profile, limits);
  const { needs } = strategy;
  return {
    strategy,
    prediction,
    against: [
      ...(needs !== undefined && profile.arithmetic[needs.arithmetic] === undefined
        ? [`${profile.name} has ${needs.otherwise}.`]
        : []),
      ...(memoryBytes > memory ? [`It takes ${megabytes(memoryBytes)} of ${megabytes(memory)} of memory.`] : []),
      ...(sizeBytes !== undefined && weightBytes > sizeBytes
        ? [`Its weights are ${megabytes(weightBytes)}, above ${megabytes(sizeBytes)}.`]
        : []),
      ...(wanted !== undefined && tokensPerSecond < wanted
        ? [`It gives ${tokensPerSecond.toPrecision(3)} tokens a second of ${wanted}.`]
        : []),
    ],
  };
}

function memoryLimit(profile: Profile, { memoryBytes = Number.POSITIVE_INFINITY }: Limits): number {
  return Math.min(profile.memoryBytes, memoryBytes);
}

function reasonOf({ strategy, prediction }: Candidate, candidates: readonly Candidate[]): string {
  const better = candidates.slice(
    0,
    candidates.findIndex((candidate) => candidate.strategy === strategy),
  );
  const out = better.map(({ strategy: other, against }) => `${other.name} is out: ${against.join(' ')}`);
  const first =
    better.length === 0
      ? `${strategy.name} keeps most bits, and everything is within the limits.`
      : `${strategy.name} keeps most bits (${prediction.bitsPerWeight.toFixed(2)} for each weight) within the limits.`;
  return [first, `It is for: ${strategy.pays}. What bounds its speed is ${prediction.bound}.`, ...out].join(' ');
}

/** Of the weights, linearly: what goes in a plate takes its bytes and its reading along. Undefined where that is not enough. */
function shedToFit({ weightBytes, memoryBytes, tokensPerSecond }: Prediction, limits: Limits): number | undefined {
  const { memoryBytes: memory = Number.POSITIVE_INFINITY, sizeBytes = Number.POSITIVE_INFINITY } = limits;
  const speed = limits.tokensPerSecond === undefined ? 0 : 1 - tokensPerSecond / limits.tokensPerSecond;
  const share = Math.max((memoryBytes - memory) / weightBytes, 1 - sizeBytes / weightBytes, speed);
  return share < 0.9 ? Math.ceil(share * 100) / 100 : undefined;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toLocaleString('en', { maximumFractionDigits: bytes < 1e7 ? 1 : 0 })} MB`;
}
