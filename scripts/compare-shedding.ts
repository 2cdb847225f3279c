import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { evaluateModel } from '../src/evaluation/index.js';
import { openModel } from '../src/model/index.js';
import { parseRecipe, type RecipeInput } from '../src/recipe.js';
import { run } from '../src/waves/index.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import { describeCommit } from './pruning-table.js';
import { type Figures, type Row, renderSheddingTable } from './shedding-table.js';

/**
 * Sheds plates of the real checkpoints as `prune` does, with and without the fold, healed or not, measures what it has published, and writes
 * docs/shedding-table.md and docs/results/shedding.json. Fails when a fold does not beat dropping.
 *
 *   npm run compare:shedding -- [--models tinystories-656k,…] [--folds none,ls,flap] [--windows N] [--out FOLDER]
 */

type Step = Omit<Extract<RecipeInput['steps'][number], { do: 'prune' }>, 'do'>;

interface Case {
  readonly model: string;
  readonly data: string;
  /** Evaluation windows. */
  readonly windows?: number;
  readonly steps: readonly Step[];
}

const CASES: readonly Case[] = [
  {
    model: 'tinystories-656k',
    data: 'tinystories-1000',
    steps: [
      // A quarter of the channels and one of four KV groups: 288 channels stay.
      { plates: 'auto', sparsity: 0.25, fold: 'none' },
      { plates: 'auto', sparsity: 0.25, fold: 'flap' },
      { plates: 'auto', sparsity: 0.25 },
      { plates: 'auto', sparsity: 0.25, heal: { steps: 150 } },
      { plates: 'auto', sparsity: 0.25, shedding: 'targeted', target: 'llama.cpp' },
      { plates: 'auto', sparsity: 0.25, shedding: 'adaptive', target: 'llama.cpp' },
    ],
  },
  {
    model: 'novels-5m',
    data: 'novels',
    windows: 128,
    steps: [
      // 512 of 768 channels stay: the multiple of 256 below.
      { plates: 'ffn', sparsity: 0.25, target: 'llama.cpp', fold: 'none' },
      { plates: 'ffn', sparsity: 0.25, target: 'llama.cpp', fold: 'flap' },
      { plates: 'ffn', sparsity: 0.25, target: 'llama.cpp' },
      { plates: 'ffn', sparsity: 0.25, target: 'llama.cpp', heal: { steps: 60 } },
    ],
  },
];
const CONTEXT = 256;
const CALIBRATION_WINDOWS = 128;

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: CASES.map(({ model }) => model).join(',') },
    folds: { type: 'string' },
    windows: { type: 'string' },
    out: { type: 'string', default: fileURLToPath(new URL('../docs', import.meta.url)) },
  },
});
if (sharedMissing !== undefined) throw new Error(`nothing to shed: ${sharedMissing}`);
const commit = await describeCommit();
const file = path.join(options.out, 'results', 'shedding.json');
await mkdir(path.dirname(file), { recursive: true });
const before = existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as { rows: Row[] }).rows : [];
const rows: Row[] = [];
for (const each of CASES) {
  for (const step of [undefined, ...each.steps]) {
    const known = before.find((row) => isOf(row, each, step));
    const found = isAskedFor(each, step) || known === undefined ? await measured(each, step) : known;
    rows.push(found);
  }
}
const { markdown, failures } = renderSheddingTable(rows, { windows: CALIBRATION_WINDOWS, context: CONTEXT });
await writeFile(file, `${JSON.stringify({ rows }, undefined, 2)}\n`);
await writeFile(path.join(options.out, 'shedding-table.md'), markdown);
for (const failure of failures) console.error(`FAILED ${failure}`);
if (failures.length > 0) process.exitCode = 1;

/** What was not asked for stays as it was measured, where it was. */
function isAskedFor({ model }: Case, step: Step | undefined): boolean {
  if (!options.models.split(',').includes(model)) return false;
  return options.folds === undefined || (step !== undefined && options.folds.split(',').includes(step.fold ?? 'ls'));
}

function isOf(row: Row, { model }: Case, step: Step | undefined): boolean {
  return row.model === model && JSON.stringify(row.step) === JSON.stringify(step && withDefaults(step));
}

async function measured(each: Case, step: Step | undefined): Promise<Row> {
  const row = { model: each.model, commit };
  if (step === undefined) return { ...row, ...(await figuresOf(sharedModel(each.model), each)) };
  const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-shedding-'));
  try {
    const { result, seconds } = await shed(each, step, folder);
    const figures = await figuresOf(result, each);
    console.error(`${each.model} ${JSON.stringify(step)}: ${figures.perplexity}`);
    return { ...row, step: withDefaults(step), seconds, ...figures };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function withDefaults(step: Step) {
  const { plates = 'auto', sparsity = 0, shedding = 'uniform', fold = 'ls', target = 'hf' } = step;
  return { plates, sparsity, shedding, fold, target, ...(step.heal && { heal: step.heal }) };
}

async function shed({ model, data }: Case, step: Step, folder: string) {
  const recipe = parseRecipe(
    {
      recipe: 1,
      model: sharedModel(model),
      out: path.join(folder, 'shed'),
      calibration: { file: sharedData(data, 'calibration.txt'), windows: CALIBRATION_WINDOWS, context: CONTEXT },
      // Nothing is rolled back here: the table says what it costs.
      evaluation: { file: sharedData(data, 'eval.txt'), context: CONTEXT, limit: 1 },
      maxDrop: 1,
      monitor: 'basic',
      steps: [{ do: 'prune', waves: 1, ...step }],
    },
    'the comparison',
  );
  const start = process.cpuUsage();
  const { out } = await run({ recipe, device: 'cpu', diffs: path.join(folder, 'diffs') });
  const { user, system } = process.cpuUsage(start);
  return { result: out, seconds: Math.round((user + system) / 1e6) };
}

async function figuresOf(model: string, { data, windows }: Case): Promise<Figures> {
  const limit = options.windows === undefined ? windows : Number(options.windows);
  const { perplexity, accuracy, tokens } = await evaluateModel({
    model,
    data: sharedData(data, 'eval.txt'),
    protocol: 'windows',
    context: CONTEXT,
    seed: 0,
    device: 'cpu',
    ...(limit !== undefined && { limit }),
  });
  const { checkpoint, decoder } = await openModel(model);
  const elements = [...checkpoint.tensors.values()].map(({ shape }) =>
    shape.reduce((product, size) => product * size, 1),
  );
  await checkpoint.close();
  return {
    perplexity,
    accuracy,
    tokens,
    parameters: elements.reduce((sum, count) => sum + count, 0),
    fileBytes: (await stat(path.join(model, 'model.safetensors'))).size,
    architecture: decoder.architecture,
    channels: decoder.blocks.map(({ ffn }) => ffn),
    groups: decoder.blocks.map(({ kvHeads }) => kvHeads),
  };
}
