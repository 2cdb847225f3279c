import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { readCalibration, readPassages } from '../src/corpus/index.js';
import { scorePassages, summarize } from '../src/evaluation/index.js';
import { factorizeEdit } from '../src/factorizing/index.js';
import { loadTokenizer, type Model, openModel, withCheckpoint } from '../src/model/index.js';
import { type Device, openDevice } from '../src/tensor/index.js';
import { proposeLayer } from '../test/fixtures/proposed-layer.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import { describeCommit } from './pruning-table.js';

/**
 * Factorizes the real checkpoints by plain and whitened SVD, with the same share of every matrix or divided by marginal loss,
 * measures perplexity, and prints the table of docs/lowrank.md. Fails where whitened SVD does not beat plain SVD at equal ranks.
 *
 *   npx tsx scripts/compare-factorizing.ts [--models novels-5m,…] [--ratios 0.2,0.4] [--windows N] [--out FILE]
 */

const CASES = [
  { model: 'tinystories-656k', data: 'tinystories-1000' },
  { model: 'stories260k', data: 'tinystories-1000' },
  { model: 'novels-5m', data: 'novels' },
];
const WAYS = [
  { algorithm: 'svd', ranks: 'uniform' },
  { algorithm: 'whitened', ranks: 'uniform' },
  { algorithm: 'svd', ranks: 'loss' },
  { algorithm: 'whitened', ranks: 'loss' },
] as const;
const CONTEXT = 256;
const CALIBRATION_WINDOWS = 128;

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: CASES.map(({ model }) => model).join(',') },
    ratios: { type: 'string', default: '0.2,0.4' },
    windows: { type: 'string', default: '128' },
    out: { type: 'string' },
  },
});

interface Row {
  readonly model: string;
  readonly ratio: number;
  readonly algorithm: string;
  readonly ranks: string;
  readonly perplexity: number;
  readonly accuracy: number;
  /** Numbers in the linears inside the blocks, of those of the dense model. */
  readonly kept: number;
  readonly seconds: number;
}

interface Opened {
  readonly name: string;
  readonly model: Model;
  readonly calibration: readonly { readonly ids: Int32Array }[];
  readonly passages: Parameters<typeof scorePassages>[1];
}

if (sharedMissing !== undefined) throw new Error(`nothing to compare on: ${sharedMissing}`);
const device = await openDevice('cpu');
const rows: Row[] = [];
for (const { model, data } of CASES.filter((each) => options.models.split(',').includes(each.model))) {
  const opened = await open(model, data);
  rows.push({
    model,
    ratio: 0,
    algorithm: 'none',
    ranks: 'dense',
    kept: 1,
    seconds: 0,
    ...(await score(opened.model, opened)),
  });
  for (const ratio of options.ratios.split(',').map(Number)) {
    for (const way of WAYS) rows.push(await measure(opened, { ratio, ...way }, device));
  }
  await opened.model.checkpoint.close();
}
await device.close();
const markdown = render(rows, await describeCommit());
if (options.out === undefined) console.log(markdown);
else await writeFile(path.resolve(options.out), markdown);
refuseWorse();

async function open(name: string, data: string): Promise<Opened> {
  const folder = sharedModel(name);
  const model = await openModel(folder);
  const tokenizer = await loadTokenizer(folder);
  const { maxContext } = model.decoder;
  const text = { windows: CALIBRATION_WINDOWS, context: CONTEXT, maxContext };
  const { passages: calibration } = await readCalibration(sharedData(data, 'calibration.txt'), tokenizer, text);
  const evaluation = { protocol: 'windows' as const, context: CONTEXT, limit: Number(options.windows), maxContext };
  const { passages } = await readPassages(sharedData(data, 'eval.txt'), tokenizer, evaluation);
  return { name, model, calibration, passages };
}

async function measure(
  opened: Opened,
  settings: (typeof WAYS)[number] & { readonly ratio: number },
  device: Device,
): Promise<Row> {
  const { name, model, calibration } = opened;
  const started = performance.now();
  const { view } = await proposeLayer(factorizeEdit(settings), model, { device, calibration });
  const seconds = (performance.now() - started) / 1000;
  const kept = numbersOf(view.raw, model) / numbersOf(model.checkpoint, model);
  const row = { model: name, ...settings, kept, seconds, ...(await score(withCheckpoint(model, view), opened)) };
  console.error(`${name} ${settings.ratio} ${settings.algorithm} ${settings.ranks}: ${row.perplexity.toFixed(3)}`);
  return row;
}

async function score(model: Model, { passages }: Opened): Promise<Pick<Row, 'perplexity' | 'accuracy'>> {
  const { scores } = await scorePassages(model, passages, { device, memoryBytes: 2 ** 30, spillFolder: tmpdir() });
  const { perplexity, accuracy } = summarize(scores, { seed: 0 });
  return { perplexity, accuracy };
}

/** Numbers that the linears inside the blocks are made of. */
function numbersOf({ tensors }: Model['checkpoint'], { decoder }: Model): number {
  const names = decoder.blocks.flatMap(({ linears }) => linears.flatMap(({ weight }) => [weight, `${weight}_right`]));
  const sizes = names.flatMap(
    (name) => tensors.get(name)?.shape.reduce((product, extent) => product * extent, 1) ?? [],
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Divided by loss, ranks are each algorithm's own: only the uniform ones compare. */
function refuseWorse(): void {
  const uniform = rows.filter(({ ranks }) => ranks === 'uniform');
  for (const { model, ratio, perplexity } of uniform.filter(({ algorithm }) => algorithm === 'whitened')) {
    const plain = uniform.find((row) => row.model === model && row.ratio === ratio && row.algorithm === 'svd')!;
    if (perplexity < plain.perplexity) continue;
    console.error(`FAILED ${model} ${ratio}: whitened SVD is no better than plain SVD at equal ranks`);
    process.exitCode = 1;
  }
}

function render(all: readonly Row[], commit: string): string {
  const lines = all.map(
    (row) =>
      `| ${row.model} | ${row.ratio} | ${row.algorithm} | ${row.ranks} | ${row.perplexity.toFixed(3)} | ${(100 * row.accuracy).toFixed(2)} % | ${(100 * row.kept).toFixed(1)} % | ${row.seconds.toFixed(0)} |`,
  );
  const header = [
    `Commit ${commit}, ${CALIBRATION_WINDOWS} calibration and ${options.windows} evaluation windows of ${CONTEXT} tokens.`,
    '',
    '| checkpoint | `--ratio` | `--algorithm` | `--ranks` | perplexity | accuracy | parameters in blocks | seconds |',
    '|---|---:|---|---|---:|---:|---:|---:|',
  ];
  return `${[...header, ...lines].join('\n')}\n`;
}
