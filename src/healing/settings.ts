import { BirdboneError } from '../errors.js';
import type { HealSettings } from './types.js';

/** What a healing step leaves to choose, as a recipe has it. */
export interface HealChoices {
  readonly method?: HealSettings['method'] | undefined;
  readonly rank?: HealSettings['rank'] | undefined;
  readonly alpha?: number | undefined;
  readonly learningRate?: number | undefined;
  readonly klShare?: number | undefined;
  readonly batchWindows?: number | undefined;
  readonly steps?: number | undefined;
  readonly minutes?: number | undefined;
  readonly qlora?: boolean | undefined;
  readonly everywhere?: boolean | undefined;
}

/** How long healing takes where nobody says. */
export const DEFAULT_MINUTES = 5;

/** What healing learns with where nobody says otherwise: LLM-Pruner's rank, and steps of a size that two cores take in a second or two. */
export const HEAL_DEFAULTS = {
  method: 'distill',
  rank: 8,
  klShare: 1,
  warmUp: 0.05,
  clipNorm: 1,
  weightDecay: 0,
  batchWindows: 8,
} as const satisfies Partial<HealSettings>;

/** An adapter's own scale, alpha / rank, where no alpha is given: 2, as LLM-Pruner's 16 / 8. */
const ALPHA_BY_RANK = 2;

/** The highest learning rate: of adapters, and of weights that are trained themselves. */
const LEARNING_RATE = { adapter: 2e-3, full: 5e-4 } as const;

/** What is known of the work besides what was chosen. */
export interface HealingWork extends Pick<HealSettings, 'steps' | 'intensity' | 'masked' | 'seed'> {
  /** From what earlier healing came to: a factor on the learning rate. */
  readonly caution: number;
}

/** The settings that these choices come to. Throws as `checkChoices`. */
export function healSettings(choices: HealChoices, { caution, ...work }: HealingWork): HealSettings {
  checkChoices(choices);
  const { method, klShare, batchWindows, warmUp, clipNorm, weightDecay } = { ...HEAL_DEFAULTS, ...given(choices) };
  const rank = choices.rank ?? HEAL_DEFAULTS.rank;
  const { alpha = rank === 'full' ? 1 : ALPHA_BY_RANK * rank, learningRate } = choices;
  const rate = learningRate ?? LEARNING_RATE[rank === 'full' ? 'full' : 'adapter'];
  return {
    ...{ method, rank, alpha, klShare, warmUp, clipNorm, weightDecay, batchWindows },
    learningRate: rate * caution,
    frozen: choices.qlora === true ? 'nf4' : 'stored',
    ...work,
  };
}

/** Throws `usage` for choices that go together with none or not with each other. */
export function checkChoices({ rank, alpha, qlora, steps, minutes }: HealChoices): void {
  if (steps !== undefined && minutes !== undefined) {
    throw refusal(`${steps} steps and ${minutes} minutes are two answers to one question.`, [
      'Leave out --minutes, or --steps.',
    ]);
  }
  if (rank !== 'full') return;
  if (qlora === true) {
    throw refusal('Weights that are held in 4 bits cannot be trained themselves, only adapters beside them.', [
      'Name a rank: --rank 8',
      'Leave out --qlora.',
    ]);
  }
  if (alpha !== undefined)
    throw refusal(`Without adapters there is nothing for alpha ${alpha} to scale.`, ['Leave alpha out.']);
}

/** Fields that have a value. */
function given<T extends object>(fields: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}

function refusal(message: string, suggestions: readonly string[]): BirdboneError {
  return new BirdboneError('usage', message, { suggestions: [...suggestions] });
}
