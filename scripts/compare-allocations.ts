import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { allocations } from '../src/allocation/index.js';
import { readCalibration, readPassages } from '../src/corpus/index.js';
import { scorePassages, summarize } from '../src/evaluation/index.js';
import { loadTokenizer, type Model, openModel } from '../src/model/index.js';
import { type Device, openDevice } from '../src/tensor/index.js';
import { pruneOurs } from '../test/reference/our-pruning.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import { describeCommit } from './pruning-table.js';

/**
 * Prunes the real checkpoints to 70 % in one wave under each division of the sparsity (`--thresholds`), measures perplexity, and
 * prints the table of docs/allocation.md. Fails where no division beats the uniform one.
 *
 *   npm run compare:allocations -- [--models tinystories-656k,…] [--methods wanda] [--windows N] [--out FILE]
 */

const CASES = [
  { model: 'tinystories-656k', data: 'tinystories-1000' },
  { model: 'stories260k', data: 'tinystories-1000' },
  { model: 'novels-5m', data: 'novels' },
];
const SPARSITY = '70%';
const CONTEXT = 256;
const CALIBRATION_WINDOWS = 128;

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: CASES.map(({ model }) => model).join(',') },
    methods: { type: 'string', default: 'wanda,sparsegpt' },
    thresholds: { type: 'string', default: allocations.names.join(',') },
    windows: { type: 'string', default: '128' },
    out: { type: 'string' },
  },
});

interface Row {
  readonly model: string;
  readonly method: string;
  readonly thresholds: string;
  readonly perplexity: number;
  readonly accuracy: number;
  /** Weights that are gone, of all that may go. */
  readonly gone: number;
  readonly of: number;
  readonly seconds: number;
}

if (sharedMissing !== undefined) throw new Error(`nothing to compare on: ${sharedMissing}`);
const device = await openDevice('cpu');
const rows: Row[] = [];
for (const { model, data } of CASES.filter((each) => options.models.split(',').includes(each.model))) {
  for (const method of options.methods.split(',')) {
    for (const thresholds of options.thresholds.split(','))
      rows.push(await measure({ model, data, method, thresholds }, device));
  }
}
await device.close();
const markdown = render(rows, await describeCommit());
if (options.out === undefined) console.log(markdown);
else await writeFile(path.resolve(options.out), markdown);
for (const { model, method, perplexity } of rows.filter(({ thresholds }) => thresholds === 'uniform')) {
  const others = rows.filter((row) => row.model === model && row.method === method && row.thresholds !== 'uniform');
  if (others.length === 0 || others.some((row) => row.perplexity < perplexity)) continue;
  console.error(`FAILED ${model} ${method}: no division is better than the uniform one`);
  process.exitCode = 1;
}

async function measure(
  { model: name, data, method, thresholds }: { model: string; data: string; method: string; thresholds: string },
  device: Device,
): Promise<Row> {
  const folder = sharedModel(name);
  const model = await openModel(folder);
  const tokenizer = await loadTokenizer(folder);
  const { maxContext } = model.decoder;
  const text = { windows: CALIBRATION_WINDOWS, context: CONTEXT, maxContext };
  const { passages: calibration } = await readCalibration(sharedData(data, 'calibration.txt'), tokenizer, text);
  const started = performance.now();
  const settings = { method: method as 'wanda', pattern: SPARSITY, thresholds, calibration, device };
  const pruned = await pruneOurs(model, settings);
  const seconds = (performance.now() - started) / 1000;
  const evaluation = { protocol: 'windows' as const, context: CONTEXT, limit: Number(options.windows), maxContext };
  const { passages } = await readPassages(sharedData(data, 'eval.txt'), tokenizer, evaluation);
  const { scores } = await scorePassages(pruned.model, passages, {
    device,
    memoryBytes: 2 ** 30,
    spillFolder: tmpdir(),
  });
  const { perplexity, accuracy } = summarize(scores, { seed: 0 });
  const row = { model: name, method, thresholds, perplexity, accuracy, ...countGone(model, pruned.masks), seconds };
  console.error(
    `${name} ${method} ${thresholds}: ${perplexity.toFixed(3)} after ${seconds.toFixed(0)} s, ${row.gone} of ${row.of}`,
  );
  await model.checkpoint.close();
  return row;
}

function countGone({ decoder }: Model, masks: ReadonlyMap<string, Uint8Array>): { gone: number; of: number } {
  let [gone, of] = [0, 0];
  for (const { weight, rows, columns } of decoder.blocks.flatMap(({ linears }) => linears)) {
    of += rows * columns;
    for (let i = 0; i < rows * columns; i += 1) gone += 1 - ((masks.get(weight)![i >>> 3]! >>> (i & 7)) & 1);
  }
  return { gone, of };
}

function render(all: readonly Row[], commit: string): string {
  const lines = all.map(
    (row) =>
      `| ${row.model} | ${row.method} | ${row.thresholds} | ${row.perplexity.toFixed(3)} | ${(100 * row.accuracy).toFixed(2)} % | ${row.gone} of ${row.of} | ${row.seconds.toFixed(0)} |`,
  );
  const header = [
    `Commit ${commit}, ${SPARSITY}, ${CALIBRATION_WINDOWS} calibration and ${options.windows} evaluation windows of ${CONTEXT} tokens.`,
    '',
    '| checkpoint | weights chosen by | `--thresholds` | perplexity | accuracy | weights gone | seconds |',
    '|---|---|---|---:|---:|---:|---:|',
  ];
  return `${[...header, ...lines].join('\n')}\n`;
}
