import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { budgetOf, fitBudget } from '../src/allocation/index.js';
import { readPassages } from '../src/corpus/index.js';
import { type PassageScore, scorePassages, summarize } from '../src/evaluation/index.js';
import { metrics } from '../src/importance/index.js';
import { loadTokenizer, type Model, openModel } from '../src/model/index.js';
import { pruneBlockByBlock } from '../src/pruning/block-by-block.js';
import { type Edit, pruneEdit, shedEdit, type ThresholdSettings } from '../src/pruning/index.js';
import { removals } from '../src/pruning/plan-masks.js';
import { seededRandom } from '../src/random.js';
import { solvers } from '../src/solvers/index.js';
import { parsePattern } from '../src/sparsity/index.js';
import { type Device, openDevice } from '../src/tensor/index.js';
import { type Proposed, proposeOnce } from '../test/reference/our-pruning.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import { describeCommit } from './pruning-table.js';
import {
  divisionsOf,
  keepRow,
  MODELS,
  nameOf,
  PATTERNS,
  type PatternName,
  readRows,
  SEEDS,
  type ThresholdRow,
} from './thresholds-results.js';
import { renderTable } from './thresholds-table.js';

/**
 * Prunes the real checkpoints at exactly equal sparsities under thresholds of clusters, OWL's and the same everywhere, by five seeds,
 * and measures them on the same text. Each row goes into docs/results/thresholds.json when it is done, and docs/thresholds-table.md is
 * made of all of them: the table can be completed in pieces. Fails where clusters do not win clearly at 70 %.
 *
 *   npm run compare:thresholds -- [--only TEXT]… [--missing] [--render] [--divisions uniform,owl,evolve,cluster]
 *
 * `--only` takes rows whose "model pattern thresholds seed N" contains the text; all texts must be in it. `--missing` takes those that
 * are not there yet, `--divisions` others than usual, such as evolve; `--render` measures nothing.
 */

const CONTEXT = 256;
const CALIBRATION_WINDOWS = 128;
const EVALUATION_WINDOWS = 128;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    missing: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    divisions: { type: 'string' },
  },
});

interface Work {
  readonly model: string;
  readonly data: string;
  readonly search: ThresholdSettings;
  readonly pattern: PatternName;
  readonly thresholds: string;
  readonly seed: number;
}

async function compareAll(): Promise<void> {
  if (sharedMissing !== undefined) throw new Error(`nothing to compare on: ${sharedMissing}`);
  const commit = await describeCommit();
  const device = await openDevice('cpu');
  for (const work of allWork()) {
    const name = nameOf(work);
    if (!options.only.every((text) => name.includes(text))) continue;
    if (options.missing && readRows().some((row) => nameOf(row) === name)) continue;
    const row = await measure(work, device);
    keepRow({ ...row, date: new Date().toISOString().slice(0, 10), commit });
    console.error(`${name}: ${row.perplexity.toFixed(3)} after ${row.cpuSeconds} CPU s, ${row.gone} of ${row.of} gone`);
  }
  await device.close();
}

function allWork(): Work[] {
  return MODELS.flatMap((each) =>
    PATTERNS.flatMap((pattern) =>
      (options.divisions?.split(',') ?? divisionsOf(pattern)).flatMap((thresholds) =>
        SEEDS.map((seed) => ({ ...each, pattern, thresholds, seed })),
      ),
    ),
  );
}

async function measure(work: Work, device: Device): Promise<Omit<ThresholdRow, 'date' | 'commit'>> {
  const { model: name, data, pattern, thresholds, seed } = work;
  const folder = sharedModel(name);
  const [model, tokenizer] = [await openModel(folder), await loadTokenizer(folder)];
  const { maxContext } = model.decoder;
  const text = { protocol: 'windows' as const, context: CONTEXT, maxContext };
  const { passages: windows } = await readPassages(sharedData(data, 'calibration.txt'), tokenizer, text);
  const whole = windows.filter(({ ids }) => ids.length === CONTEXT);
  const calibration = drawn(whole, seed);
  const start = process.cpuUsage();
  const proposed = await proposeOnce(model, await editOf(work, model), { seed, calibration, device });
  const { user, system } = process.cpuUsage(start);
  const evaluation = { protocol: 'windows' as const, context: CONTEXT, limit: EVALUATION_WINDOWS, maxContext };
  const { passages } = await readPassages(sharedData(data, 'eval.txt'), tokenizer, evaluation);
  const room = { memoryBytes: 2 ** 30, spillFolder: tmpdir() };
  const { scores } = await scorePassages(proposed.model, passages, { device, ...room });
  const { perplexity, accuracy } = summarize(scores, { seed: 0 });
  const expected = expectedOf(proposed);
  await model.checkpoint.close();
  return {
    model: name,
    pattern,
    thresholds,
    seed,
    ...countGone(model, proposed),
    perplexity,
    accuracy,
    ...lossesOf(scores),
    ...(expected && { expected }),
    cpuSeconds: Math.round((user + system) / 1e6),
  };
}

/** As many windows as are calibrated on, in the order of the text; other ones for each seed. */
function drawn<Window>(windows: readonly Window[], seed: number): Window[] {
  const random = seededRandom(seed);
  const places = [...windows.keys()];
  for (let i = 0; i < Math.min(CALIBRATION_WINDOWS, places.length - 1); i += 1) {
    const other = i + random.below(places.length - i);
    [places[i], places[other]] = [places[other]!, places[i]!];
  }
  return places
    .slice(0, CALIBRATION_WINDOWS)
    .sort((a, b) => a - b)
    .map((place) => windows[place]!);
}

async function editOf({ pattern, thresholds, search: clusterThresholds }: Work, model: Model): Promise<Edit> {
  if (pattern === 'ffn 25%') {
    const clustered = thresholds === 'cluster' ? { thresholds, clusterThresholds } : {};
    return shedEdit({ plates: 'ffn', sparsity: 0.25 * channelShare(model), ...clustered });
  }
  const sparsity = Number(pattern.slice(0, -1)) / 100;
  const edit = await pruneEdit({ metric: 'wanda', pattern: 'unstructured', sparsity, thresholds, clusterThresholds });
  return thresholds === 'uniform' ? uniformOnBudget(edit) : edit;
}

/** `uniform` rounds down in every row; here as many weights go as of every other division. */
async function uniformOnBudget(edit: Edit): Promise<Edit> {
  const [metric, solver, pattern] = [
    await metrics.load('wanda'),
    await solvers.load('none'),
    await parsePattern('unstructured'),
  ];
  return {
    ...edit,
    propose: async (context) => {
      const { model, target } = context;
      const matrices = linearsOf(model).map(({ weight: name, rows, columns }) => {
        return { name, block: 0, elements: rows * columns, gone: 0 };
      });
      const counts = fitBudget(matrices, () => target, budgetOf(matrices, target));
      const rules = { metric, solver, removals: removals(model, { pattern, compare: 'row', target, counts }) };
      await pruneBlockByBlock(rules, context);
    },
  };
}

/** The part of the blocks' parameters that is in the channels of their networks. */
function channelShare(model: Model): number {
  const parameters = (roles: readonly string[]) =>
    linearsOf(model)
      .filter(({ role }) => roles.includes(role))
      .reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const blocks = [...model.checkpoint.tensors.values()].filter(({ name }) => name.includes('.layers.'));
  const all = blocks.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  return parameters(['gate', 'up', 'down']) / all;
}

function linearsOf({ decoder }: Model) {
  return decoder.blocks.flatMap(({ linears }) => linears);
}

function countGone(model: Model, { masks }: Proposed): { gone: number; of: number } {
  let [gone, of] = [0, 0];
  for (const { weight, rows, columns } of linearsOf(model)) {
    const bits = masks.get(weight)!;
    of += rows * columns;
    for (let i = 0; i < rows * columns; i += 1) gone += 1 - ((bits[i >>> 3]! >>> (i & 7)) & 1);
  }
  return { gone, of };
}

function expectedOf({ details }: Proposed): ThresholdRow['expected'] {
  const finalists = (details?.['thresholdFinalists'] ?? []) as readonly {
    name: string;
    deciding: number;
    chosen: boolean;
  }[];
  const chosen = finalists.find((each) => each.chosen);
  const uniform = finalists.find(({ name }) => name === 'uniform');
  if (chosen === undefined || uniform === undefined) return undefined;
  return { chosen: chosen.name, divergence: chosen.deciding, uniform: uniform.deciding };
}

/** Thousandths of a nat over a window: less than a hundred-thousandth a token. */
function lossesOf(scores: readonly PassageScore[]): Pick<ThresholdRow, 'tokens' | 'losses'> {
  return {
    tokens: scores.map(({ tokens }) => tokens),
    losses: scores.map(({ negativeLogLikelihood }) => Number(negativeLogLikelihood.toFixed(3))),
  };
}

if (!options.render) await compareAll();
const { markdown, failures } = renderTable(readRows());
await writeFile(fileURLToPath(new URL('../docs/thresholds-table.md', import.meta.url)), markdown);
for (const failure of failures) console.error(`FAILED ${failure}`);
if (failures.length > 0) process.exitCode = 1;
