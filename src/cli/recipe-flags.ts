import * as Flags from '@oclif/core/flags';
import { BirdboneError } from '../errors.js';
import type { RecipeInput } from '../recipe.js';
import { bytes, count, envOf, ratio } from './flags.js';

/** Which text to use, and how it is read. What a flag leaves out, the recipe's defaults fill in (src/recipe.ts). */
export const textFlags = {
  calibration: Flags.string({
    summary: 'Text that shows what the weights do.',
    helpValue: '<file>',
    env: envOf('calibration'),
  }),
  'calibration-windows': count({
    summary: 'Windows of the calibration text to use; 128 by default.',
    env: envOf('calibration-windows'),
  }),
  context: count({ summary: 'Tokens in a window; 256 by default.', min: 2, env: envOf('context') }),
};

/** Which text is scored, and how. */
export const dataFlags = {
  data: Flags.string({ summary: 'Text or JSONL file to measure on.', helpValue: '<file>', env: envOf('data') }),
  protocol: Flags.option({ options: ['windows', 'documents'] as const })({
    summary: 'Score windows over the whole text (the default), or each document from its beginning.',
    env: envOf('protocol'),
  }),
  limit: count({ summary: 'Measure on the first <n> windows or documents only.', env: envOf('limit') }),
};

/** What may be kept. */
export const gateFlags = {
  'max-drop': ratio({
    summary: 'The largest relative accuracy loss that is kept; 3% by default, 100% turns the gate off.',
    env: envOf('max-drop'),
  }),
  gate: Flags.string({
    summary: 'A gate of several terms in place of --max-drop, such as "accuracy<3% and perplexity<1.1x".',
    exclusive: ['max-drop'],
    env: envOf('gate'),
  }),
  'gate-confident': Flags.boolean({
    summary: 'Demand that the whole 95 % interval is inside the gate.',
    env: envOf('gate-confident'),
  }),
  monitor: Flags.option({ options: ['full', 'basic'] as const })({
    summary:
      'What to measure after each wave: full (the default) or basic, in half the time, without KL, agreement, blocks.',
    env: envOf('monitor'),
  }),
};

/** How a run is carried out; none of it changes the result's weights. */
export const runFlags = {
  resume: Flags.boolean({ summary: 'Go on with an interrupted run.', exclusive: ['restart'], env: envOf('resume') }),
  restart: Flags.boolean({
    summary: 'Forget an earlier run of this output and replace its result.',
    env: envOf('restart'),
  }),
  state: Flags.string({
    summary: 'Folder for journal and layers; .birdbone/<name> beside the output by default.',
    helpValue: '<dir>',
    env: envOf('state'),
  }),
  diffs: Flags.string({ summary: 'Folder for the diff; diffs by default.', helpValue: '<dir>', env: envOf('diffs') }),
  'max-shard-size': bytes({
    summary: 'Size of the largest file of the result; 5GB by default.',
    env: envOf('max-shard-size'),
  }),
  memory: bytes({ summary: 'Memory for hidden states before they go to disk; 1GiB by default.', env: envOf('memory') }),
};

/** The values of these flags, as oclif parses them. */
export interface RecipeFlags {
  readonly model?: string | undefined;
  readonly out?: string | undefined;
  readonly calibration?: string | undefined;
  readonly 'calibration-windows'?: number | undefined;
  readonly context?: number | undefined;
  readonly data?: string | undefined;
  readonly protocol?: 'windows' | 'documents' | undefined;
  readonly limit?: number | undefined;
  readonly 'max-drop'?: number | undefined;
  readonly gate?: string | undefined;
  readonly 'gate-confident'?: boolean | undefined;
  readonly monitor?: 'full' | 'basic' | undefined;
  readonly 'max-shard-size'?: number | undefined;
  readonly seed?: number | undefined;
}

/** Throws `usage` for --calibration-windows without --calibration, where it would be without effect. */
export function checkCalibrationFlags(flags: Pick<RecipeFlags, 'calibration' | 'calibration-windows'>): void {
  const windows = flags['calibration-windows'];
  if (windows === undefined || flags.calibration !== undefined) return;
  throw new BirdboneError(
    'usage',
    `--calibration-windows ${windows} has no text to take windows from. It is allowed together with --calibration only.`,
    { suggestions: ['Name the text: --calibration FILE', 'Leave out --calibration-windows.'] },
  );
}

/**
 * The recipe fields that flags set. A field is absent where no flag was given, so that a recipe file's own value stays. Throws
 * as `checkCalibrationFlags`.
 */
export function recipeOverrides(flags: RecipeFlags): Partial<RecipeInput> {
  checkCalibrationFlags(flags);
  const { calibration, context } = flags;
  const windows = flags['calibration-windows'];
  const { data: file, protocol, limit } = flags;
  return defined({
    model: flags.model,
    out: flags.out,
    calibration: calibration === undefined ? undefined : defined({ file: calibration, windows, context }),
    evaluation: orAbsent({ file, protocol, context, limit }),
    maxDrop: flags['max-drop'],
    gate: flags.gate,
    // A switch that is off is a switch that was not given.
    gateConfident: flags['gate-confident'] || undefined,
    monitor: flags.monitor,
    maxShardBytes: flags['max-shard-size'],
    seed: flags.seed,
  }) as Partial<RecipeInput>;
}

/** How to carry out a run, from the flags; absent where no flag was given. */
export function runSettings(flags: {
  readonly device: 'auto' | 'webgpu' | 'cuda' | 'cpu';
  readonly threads?: number | undefined;
  readonly state?: string | undefined;
  readonly diffs?: string | undefined;
  readonly resume?: boolean | undefined;
  readonly restart?: boolean | undefined;
  readonly memory?: number | undefined;
}): RunSettings {
  const { device, threads, state, diffs, resume, restart, memory } = flags;
  return { device, ...defined({ threads, state, diffs, resume, restart, memoryBytes: memory }) };
}

export interface RunSettings {
  readonly device: 'auto' | 'webgpu' | 'cuda' | 'cpu';
  readonly threads?: number;
  readonly state?: string;
  readonly diffs?: string;
  readonly resume?: boolean;
  readonly restart?: boolean;
  readonly memoryBytes?: number;
}

/** The fields that have a value. */
function defined<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}

function orAbsent(fields: object): object | undefined {
  const rest = defined(fields);
  return Object.keys(rest).length === 0 ? undefined : rest;
}
