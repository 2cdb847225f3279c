import * as Flags from '@oclif/core/flags';
import { BirdboneError } from '../errors.js';
import type { HealFields } from '../recipe.js';
import { amount, count, envOf } from './flags.js';

/** A flag whose value is a rank: a whole number, or `full`. */
const rankFlag = Flags.custom<number | 'full'>({
  helpValue: '<n>|full',
  parse: async (text) => {
    if (text === 'full') return text;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= 1) return value;
    throw new BirdboneError('usage', `"${text}" is not allowed. It must be a rank, such as 8, or full.`);
  },
});

/** What is learnt, how, and for how long. */
export const healFlags = {
  rank: rankFlag({
    summary: 'Rank of the adapters, 8 by default; full trains the weights that are left themselves.',
    env: envOf('rank'),
  }),
  method: Flags.option({ options: ['distill', 'reconstruct'] as const })({
    summary: "By the dense model's predictions, end to end (distill, the default), or block by block (reconstruct).",
    env: envOf('method'),
  }),
  minutes: amount({
    summary: 'How long to train, 5 by default; turned into steps by timing the first ones.',
    exclusive: ['steps'],
    env: envOf('minutes'),
  }),
  steps: count({ summary: 'Steps to train, in place of --minutes.', exclusive: ['minutes'], env: envOf('steps') }),
  qlora: Flags.boolean({
    summary: 'Hold the frozen weights in 4 bits (NF4) while adapters are trained: less memory, more noise.',
    env: envOf('qlora'),
  }),
  'learning-rate': amount({ summary: 'The highest learning rate.', env: envOf('learning-rate') }),
  everywhere: Flags.boolean({
    summary: 'Let every matrix learn alike, whatever its damage.',
    env: envOf('everywhere'),
  }),
};

/** The values of these flags, as oclif parses them. */
export interface HealFlags {
  readonly rank?: number | 'full' | undefined;
  readonly method?: HealFields['method'];
  readonly minutes?: number | undefined;
  readonly steps?: number | undefined;
  readonly qlora?: boolean | undefined;
  readonly 'learning-rate'?: number | undefined;
  readonly everywhere?: boolean | undefined;
}

/** The fields of a healing step that these flags set. */
export function healFields(flags: HealFlags) {
  const { rank, method, minutes, steps, qlora, everywhere, 'learning-rate': learningRate } = flags;
  // A switch that is off is a switch that was not given.
  return {
    ...{ rank, method, minutes, steps, learningRate },
    qlora: qlora || undefined,
    everywhere: everywhere || undefined,
  };
}

/** Flags that say something of a model that is published in waves: an adapter is written at once. */
const OF_WAVES = ['max-drop', 'gate', 'gate-confident', 'diffs', 'max-shard-size'] as const;

const DEFAULT_RANK = 8;

/** What `--format adapter` learns. Throws `usage` for flags that are without effect on an adapter, and for a rank that it cannot have. */
export function adapterChoices(flags: HealFlags & Readonly<Record<string, unknown>>) {
  const { rank = DEFAULT_RANK, ...choices } = healFields(flags);
  const foreign = OF_WAVES.find((name) => flags[name] !== undefined && flags[name] !== false);
  const wrong = rank === 'full' ? '--rank full' : foreign && `--${foreign}`;
  if (rank !== 'full' && wrong === undefined) return { ...choices, rank };
  throw new BirdboneError(
    'usage',
    `${wrong} is allowed for a model that is published, not for an adapter beside one.`,
    {
      suggestions: [`Leave ${wrong} out.`, 'Merge what is learnt into the weights: --format merged'],
    },
  );
}

/** Healing of each wave of a prune, and how much of it. */
export const waveHealFlags = {
  heal: Flags.boolean({
    summary: 'Heal each wave before it is judged: what is given back counts for the gate.',
    env: envOf('heal'),
  }),
  'heal-minutes': amount({
    summary: 'Minutes of healing in each wave; 5 by default.',
    dependsOn: ['heal'],
    exclusive: ['heal-steps'],
    env: envOf('heal-minutes'),
  }),
  'heal-steps': count({
    summary: 'Steps of healing in each wave, in place of minutes.',
    dependsOn: ['heal'],
    exclusive: ['heal-minutes'],
    env: envOf('heal-steps'),
  }),
  'heal-rank': rankFlag({
    summary: 'Rank of the adapters that heal, 8 by default; full trains the weights that are left themselves.',
    dependsOn: ['heal'],
    env: envOf('heal-rank'),
  }),
};

/** The values of these flags, as oclif parses them. */
export interface WaveHealFlags {
  readonly heal?: boolean | undefined;
  readonly 'heal-minutes'?: number | undefined;
  readonly 'heal-steps'?: number | undefined;
  readonly 'heal-rank'?: number | 'full' | undefined;
}

/** The `heal` of a pruning step that these flags set; nothing without --heal. */
export function waveHealFields(flags: WaveHealFlags) {
  const { heal, 'heal-minutes': minutes, 'heal-steps': steps, 'heal-rank': rank } = flags;
  return heal ? { heal: { minutes, steps, rank } } : {};
}
