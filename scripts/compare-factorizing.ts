import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { type MemoryValues, memoryLayer, overlay, readFloats } from '../src/checkpoint/index.js';
import { readCalibration, readPassages } from '../src/corpus/index.js';
import { scorePassages, summarize } from '../src/evaluation/index.js';
import { silent } from '../src/events.js';
import { correctBlocks, factorizeEdit } from '../src/factorizing/index.js';
import { decompose, productOf } from '../src/lowrank/index.js';
import { type LinearSpec, loadTokenizer, type Model, openModel, withCheckpoint } from '../src/model/index.js';
import { quantizeEdit } from '../src/quantizing/index.js';
import { type Device, decodeToF32, encodeFromF32, openDevice } from '../src/tensor/index.js';
import { proposeLayer } from '../test/fixtures/proposed-layer.js';
import { sharedData, sharedMissing, sharedModel } from '../test/shared.js';
import { keepRow, nameOf, type Row, readRows, writeTables } from './factorizing-results.js';
import { describeCommit } from './pruning-table.js';

/**
 * Factorizes the real checkpoints by plain and whitened SVD, with the same share of every matrix or divided by marginal loss, and
 * corrects rounded ones by both; measures perplexity, keeps the rows in docs/results/factorizing.json and makes the tables of
 * docs/lowrank.md of them. Fails where whitened SVD does not beat plain SVD at equal ranks.
 *
 *   npm run compare:factorizing -- [--only TEXT]… [--missing] [--windows N] [--speed] [--render]
 */

const CASES = [
  { model: 'tinystories-656k', data: 'tinystories-1000', ratios: [0.2, 0.4] },
  { model: 'stories260k', data: 'tinystories-1000', ratios: [0.2, 0.4] },
  { model: 'novels-5m', data: 'novels', ratios: [0.2] },
];
const WAYS = [
  { algorithm: 'svd', ranks: 'uniform' },
  { algorithm: 'whitened', ranks: 'uniform' },
  { algorithm: 'svd', ranks: 'loss' },
  { algorithm: 'whitened', ranks: 'loss' },
] as const;
/** What is corrected, and by how much. */
const ROUNDED = { scheme: 'int3', groupSize: 64 };
const CORRECTION_RANK = 8;
const CONTEXT = 256;
const CALIBRATION_WINDOWS = 128;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    missing: { type: 'boolean', default: false },
    windows: { type: 'string', default: '32' },
    speed: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
  },
});

type Asked = Pick<Row, 'model' | 'what' | 'ratio' | 'algorithm' | 'ranks'>;

interface Opened {
  readonly model: Model;
  readonly device: Device;
  readonly calibration: readonly { readonly ids: Int32Array }[];
  readonly passages: Parameters<typeof scorePassages>[1];
}

/** A model that was made, and what its factors take of the dense one's numbers. */
interface Made {
  readonly model: Model;
  readonly kept: number;
}

async function compareAll(): Promise<void> {
  if (sharedMissing !== undefined) throw new Error(`nothing to compare on: ${sharedMissing}`);
  const device = await openDevice('cpu');
  const [commit, date] = [await describeCommit(), new Date().toISOString().slice(0, 10)];
  for (const { model, data, ratios } of CASES) {
    const asked = rowsOf(model, ratios).filter(isAsked);
    if (asked.length === 0) continue;
    const opened = await open(model, data, device);
    for (const row of asked) {
      const started = performance.now();
      const made = await make(row, opened);
      const seconds = (performance.now() - started) / 1000;
      const { scores } = await scorePassages(made.model, opened.passages, reading(device));
      const { perplexity, accuracy } = summarize(scores, { seed: 0 });
      const windows = scores.length;
      keepRow({ ...row, windows, perplexity, accuracy, kept: made.kept, seconds, date, commit });
      console.error(`${nameOf({ ...row } as Row)}: ${perplexity.toFixed(3)}`);
    }
    await opened.model.checkpoint.close();
  }
  await device.close();
}

function rowsOf(model: string, ratios: readonly number[]): Asked[] {
  const stored = `${ROUNDED.scheme} g${ROUNDED.groupSize}`;
  const correction = (algorithm: string, ratio: number) =>
    ({ model, what: 'correction', ratio, algorithm, ranks: stored }) as const;
  return [
    { model, what: 'factors', ratio: 0, algorithm: 'none', ranks: 'dense' },
    ...ratios.flatMap((ratio) => WAYS.map((way) => ({ model, what: 'factors', ratio, ...way }) as const)),
    correction('none', 0),
    correction('svd', CORRECTION_RANK),
    correction('whitened', CORRECTION_RANK),
  ];
}

function isAsked(row: Asked): boolean {
  const name = nameOf(row as Row);
  if (!options.only.every((part) => name.includes(part))) return false;
  return !(options.missing && readRows().some((kept) => nameOf(kept) === name));
}

async function open(name: string, data: string, device: Device): Promise<Opened> {
  const folder = sharedModel(name);
  const model = await openModel(folder);
  const tokenizer = await loadTokenizer(folder);
  const { maxContext } = model.decoder;
  const text = { windows: CALIBRATION_WINDOWS, context: CONTEXT, maxContext };
  const { passages: calibration } = await readCalibration(sharedData(data, 'calibration.txt'), tokenizer, text);
  const evaluation = { protocol: 'windows' as const, context: CONTEXT, limit: Number(options.windows), maxContext };
  const { passages } = await readPassages(sharedData(data, 'eval.txt'), tokenizer, evaluation);
  return { model, device, calibration, passages };
}

async function make(row: Asked, opened: Opened): Promise<Made> {
  const { model } = opened;
  if (row.what === 'correction') return corrected(row, opened);
  if (row.ratio === 0) return { model, kept: 1 };
  const { ratio, algorithm, ranks } = row as { ratio: number } & (typeof WAYS)[number];
  const { view } = await proposeLayer(factorizeEdit({ ratio, algorithm, ranks }), model, opened);
  return { model: withCheckpoint(model, view), kept: numbersOf(view.raw, model) / numbersOf(model.checkpoint, model) };
}

/** The model in few bits, with what that lost added again as factors. */
async function corrected({ algorithm, ratio: rank }: Asked, opened: Opened): Promise<Made> {
  const { model, device, calibration } = opened;
  const { view } = await proposeLayer(await quantizeEdit(ROUNDED, 'native'), model, opened);
  const rounded = withCheckpoint(model, view);
  if (rank === 0) return { model: rounded, kept: 0 };
  const values = new Map<string, MemoryValues>();
  let numbers = 0;
  const add = async (spec: LinearSpec, product: Float32Array) => {
    const { name, shape } = view.tensors.get(spec.weight)!;
    const sums = (await readFloats(view, spec.weight)).map((value, i) => value + product[i]!);
    const info = { name, shape, dtype: 'F32', byteLength: sums.byteLength } as const;
    values.set(name, { info, bytes: encodeFromF32(sums, 'F32') });
    numbers += rank * (spec.rows + spec.columns);
  };
  if (algorithm === 'svd') {
    for (const spec of linearsOf(model))
      await add(spec, await plainCorrection(spec, { before: model, rounded, rank, device }));
  } else {
    const work = { before: model, rankOf: () => rank, dtypeOf: () => 'F32' as const };
    const use: Parameters<typeof correctBlocks>[0]['use'] = async ({ spec, left, right }) => {
      const [u, v] = [decodeToF32(left, 'F32'), decodeToF32(right, 'F32')];
      await add(spec, await productOf({ rows: spec.rows, columns: spec.columns, rank, left: u, right: v }, device));
    };
    await correctBlocks({ ...work, use }, { ...reading(device), model: rounded, calibration, report: silent });
  }
  const checkpoint = overlay(view, [memoryLayer(new Map(), values)]);
  return { model: withCheckpoint(model, checkpoint), kept: numbers / numbersOf(model.checkpoint, model) };
}

interface Difference {
  readonly before: Model;
  readonly rounded: Model;
  readonly rank: number;
  readonly device: Device;
}

/** U V of the truncated SVD of what rounding took from a weight. */
async function plainCorrection(spec: LinearSpec, { before, rounded, rank, device }: Difference): Promise<Float32Array> {
  const { weight: name, rows, columns } = spec;
  const [whole, left] = [await readFloats(before.checkpoint, name), await readFloats(rounded.checkpoint, name)];
  const lost = whole.map((value, i) => value - left[i]!);
  const read = async (first: number, count: number) => lost.slice(first * columns, (first + count) * columns);
  const found = await decompose({ name, rows, columns, read }, { device, maxRank: rank, seed: 0, report: silent });
  return productOf(await found.factors(rank), device);
}

function reading(device: Device) {
  return { device, memoryBytes: 2 ** 30, spillFolder: tmpdir() };
}

function linearsOf({ decoder }: Model): LinearSpec[] {
  return decoder.blocks.flatMap(({ linears }) => linears);
}

/** Numbers that the linears inside the blocks are made of. */
function numbersOf({ tensors }: Model['checkpoint'], model: Model): number {
  const names = linearsOf(model).flatMap(({ weight }) => [weight, `${weight}_right`]);
  const sizes = names.flatMap(
    (name) => tensors.get(name)?.shape.reduce((product, extent) => product * extent, 1) ?? [],
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Divided by loss, ranks are each algorithm's own: only equal ones compare. */
function refuseWorse(): void {
  const rows = readRows().filter(({ what, ranks }) => what === 'correction' || ranks === 'uniform');
  for (const whitened of rows.filter(({ algorithm }) => algorithm === 'whitened')) {
    const plain = rows.find((row) => nameOf(row) === nameOf({ ...whitened, algorithm: 'svd' }));
    if (plain === undefined || whitened.perplexity < plain.perplexity) continue;
    console.error(`FAILED ${nameOf(whitened)}: whitened SVD is no better than plain SVD at equal ranks`);
    process.exitCode = 1;
  }
}

if (!options.render) await compareAll();
writeTables();
if (options.speed) execFileSync(process.execPath, ['--import', 'tsx', 'bench/lowrank.ts'], { stdio: 'inherit' });
refuseWorse();
