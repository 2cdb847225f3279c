import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readFloats } from '../src/checkpoint/index.js';
import type { HealingRecord } from '../src/healing/index.js';
import { openModel } from '../src/model/index.js';
import { parseRecipe, type RecipeInput } from '../src/recipe.js';
import { type RunResult, run } from '../src/waves/index.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import { type Figures, keepRow, keyOf, NONE, readRows, shortfalls, writePage } from './healing-results.js';
import { describeCommit } from './pruning-table.js';

/**
 * Prunes real checkpoints, heals them, and lets waves with and without healing go as far as a gate of 3 % lets them. Figures go into
 * docs/results/healing.json row by row, and docs/healing-table.md is made of all of them: the table can be completed in pieces. Fails where
 * a zero moved, or healing did not lead further.
 *
 *   npm run compare:healing -- [--only TEXT]… [--missing] [--render] [--minutes N | --steps N] [--wave-steps N]
 *
 * `--only` takes rows whose "model kind sparsity healing" contains the text; all texts must be in it. `--missing` takes those that are
 * not there yet. `--steps` heals so many steps in place of minutes, which a machine that does other things as well cannot tell.
 */

interface Case {
  readonly model: string;
  readonly folder: string;
  readonly calibration: string;
  readonly evaluation: string;
  readonly context: number;
  /** Windows of the calibration text; and of the evaluation text. */
  readonly windows: number;
  readonly limit: number;
}

const FLEDGLING = fileURLToPath(new URL('../models/fledgling', import.meta.url));
const STORIES = {
  calibration: sharedData('tinystories-1000', 'calibration.txt'),
  evaluation: sharedData('tinystories-1000', 'eval.txt'),
};

const CASES: readonly Case[] = [
  { model: 'stories260k', folder: sharedModel('stories260k'), ...STORIES, context: 256, windows: 512, limit: 96 },
  {
    model: 'tinystories-656k',
    folder: sharedModel('tinystories-656k'),
    ...STORIES,
    context: 256,
    windows: 512,
    limit: 96,
  },
  {
    ...{ model: 'fledgling', folder: FLEDGLING, context: 128, windows: 384, limit: 192 },
    calibration: path.join(FLEDGLING, 'calibration.txt'),
    evaluation: path.join(FLEDGLING, 'evaluation.txt'),
  },
  {
    ...{ model: 'novels-5m', folder: sharedModel('novels-5m'), context: 256, windows: 678, limit: 128 },
    calibration: sharedData('novels', 'calibration.txt'),
    evaluation: sharedData('novels', 'eval.txt'),
  },
];

const SPARSITIES = [0.5, 0.7];

type Healing = NonNullable<Extract<RecipeInput['steps'][number], { do: 'prune' }>['heal']>;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    missing: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '5' },
    steps: { type: 'string' },
    'wave-steps': { type: 'string', default: '100' },
  },
});
if (sharedMissing !== undefined) throw new Error(`nothing to heal: ${sharedMissing}`);
const commit = await describeCommit();
const amount = options.steps === undefined ? { minutes: Number(options.minutes) } : { steps: Number(options.steps) };
const waveSteps = Number(options['wave-steps']);

if (options.render) writePage();
else for (const each of CASES) await compare(each);
for (const failure of shortfalls(readRows())) {
  console.error(`FAILED ${failure}`);
  process.exitCode = 1;
}

async function compare(each: Case): Promise<void> {
  const { model } = each;
  const healing = 'steps' in amount ? `${amount.steps} steps` : `${amount.minutes} minutes`;
  for (const sparsity of SPARSITIES) {
    if (isAskedFor(keyOf({ kind: 'regained', model, healing, sparsity }))) {
      await inFolder((folder) => regain(each, { folder, sparsity, healing }));
    }
  }
  for (const [name, heal] of [
    [NONE, undefined],
    [`${waveSteps} steps a wave`, { steps: waveSteps }],
  ] as const) {
    if (isAskedFor(keyOf({ kind: 'reached', model, healing: name }))) {
      await inFolder((folder) => reach(each, { folder, healing: name, heal }));
    }
  }
}

function isAskedFor(key: string): boolean {
  if (!options.only.every((text) => key.includes(text))) return false;
  return !options.missing || !readRows().some((row) => keyOf(row) === key);
}

async function regain(each: Case, work: { folder: string; sparsity: number; healing: string }): Promise<void> {
  const { folder, sparsity, healing } = work;
  const out = (name: string) => path.join(folder, name);
  const started = process.cpuUsage();
  await carryOut(each, folder, { out: out('pruned'), steps: [{ do: 'prune', sparsity, waves: 1 }] });
  const healed = { model: out('pruned'), reference: each.folder, out: out('healed') };
  const result = await carryOut(each, folder, { ...healed, steps: [{ do: 'heal', ...amount }] });
  keepRow({
    ...{ kind: 'regained', model: each.model, sparsity, healing, ...made(started) },
    steps: healingsOf(result)[0]!.taken,
    dense: figuresOf(result.baseline),
    pruned: figuresOf(result.before!),
    healed: figuresOf(result.result),
    zerosMoved: await zerosMoved(out('pruned'), out('healed')),
  });
}

async function reach(each: Case, work: { folder: string; healing: string; heal: Healing | undefined }): Promise<void> {
  const { folder, healing, heal } = work;
  const started = process.cpuUsage();
  const step = { do: 'prune', sparsity: 0.8, waves: 4, schedule: 'linear', minStep: 0.01 } as const;
  const steps = [{ ...step, ...(heal && { heal }) }];
  const result = await carryOut(each, folder, { out: path.join(folder, 'out'), steps, maxDrop: 0.03 });
  keepRow({
    ...{ kind: 'reached', model: each.model, healing, ...made(started) },
    sparsity: result.sparsity,
    kept: result.waves.filter(({ active }) => active).length,
    tried: result.waves.length,
    accuracyLoss: result.result['accuracyLoss']!,
    perplexityRatio: result.result['perplexityRatio']!,
  });
}

function carryOut(
  each: Case,
  folder: string,
  change: Partial<RecipeInput> & Pick<RecipeInput, 'steps'>,
): Promise<RunResult> {
  const { context, windows, limit } = each;
  const recipe = parseRecipe(
    {
      recipe: 1,
      model: each.folder,
      calibration: { file: each.calibration, windows, context },
      evaluation: { file: each.evaluation, context, limit },
      maxDrop: 1,
      monitor: 'basic',
      ...change,
    },
    'the comparison',
  );
  return run({ recipe, device: 'cpu', diffs: path.join(folder, 'diffs') });
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-healing-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function made(started: NodeJS.CpuUsage) {
  const { user, system } = process.cpuUsage(started);
  return { commit, date: new Date().toISOString().slice(0, 10), cpuSeconds: Math.round((user + system) / 1e6) };
}

function healingsOf({ waves }: RunResult): HealingRecord[] {
  return waves.flatMap(({ details }) => (details?.['healing'] ?? []) as HealingRecord[]);
}

function figuresOf({ perplexity, accuracy }: Readonly<Record<string, number>>): Figures {
  return { perplexity: perplexity!, accuracy: accuracy! };
}

async function zerosMoved(...folders: readonly [string, string]): Promise<number> {
  const [before, after] = await Promise.all(folders.map((folder) => openModel(folder)));
  let moved = 0;
  for (const name of before!.checkpoint.tensors.keys()) {
    const [was, is] = [await readFloats(before!.checkpoint, name), await readFloats(after!.checkpoint, name)];
    for (let i = 0; i < was.length; i += 1) if ((was[i] === 0) !== (is[i] === 0)) moved += 1;
  }
  for (const { checkpoint } of [before!, after!]) await checkpoint.close();
  return moved;
}
