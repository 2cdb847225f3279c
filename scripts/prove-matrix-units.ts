/**
 * `npm run prove:units`: holds the products of 16-bit weights on a GPU's matrix units, and every tile of both kinds of product, to
 * sums in float64. Ends with status 1 where one is wrong; keeps what it found in docs/results/matrix-units.json and
 * docs/matrix-units.md. Needs an adapter with matrix units: Mesa's lavapipe has them from 26 on.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { engine, type Tensor2D } from '@tensorflow/tfjs-core';
import { commit, machine } from '../bench/machine.js';
import { markdownTable, writeSection } from '../bench/record.js';
import { seededRandom } from '../src/random.js';
import { decodeToF32, encodeFromF32, multiplyStored, openDevice, packHalves } from '../src/tensor/index.js';

const DOCS = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../docs');
const RESULTS = path.join(DOCS, 'results/matrix-units.json');

/** [m, k] · [n, k]ᵀ: ends that no tile and no vector divides, and more than one tile each way. */
const SHAPES = [
  [37, 129, 70],
  [130, 72, 260],
] as const;
/** Of the length of a row of x times that of a row of W: f16's 11 bits, and float32's 24 less two and what sums lose. */
const TOLERANCE = { 1: 2 ** -10, 2: 2 ** -21 } as const;

/** What operands are drawn from: a model's usual values, and ones that f16 alone would lose or overflow. */
const SPREADS = { usual: 0, wide: 12 } as const;

let forced: string | undefined;
const seen = new Map<string, Set<string>>();
const tiles = {
  choose(kernel: string, _shape: unknown, candidates: readonly string[]) {
    seen.set(kernel, new Set([...(seen.get(kernel) ?? []), ...candidates]));
    return candidates.find((name) => name === forced) ?? candidates[0]!;
  },
};

const device = await openDevice('webgpu', { tiles });
const rows: Row[] = [];
try {
  if (!device.fastPaths.includes('matrix units')) throw new Error(`${device.description} has no matrix units.`);
  for (const format of ['f16', 'bf16'] as const) {
    for (const spread of ['usual', 'wide'] as const) {
      for (const terms of [1, 2] as const) {
        for (const shape of SHAPES) rows.push(told(await hold({ format, spread, terms, shape })));
      }
    }
  }
  rows.push(...(await holdTiles()));
} finally {
  await device.close();
}
report(rows);

interface Subject {
  readonly format: 'f16' | 'bf16';
  readonly spread: keyof typeof SPREADS;
  readonly terms: 1 | 2;
  readonly shape: readonly [m: number, k: number, n: number];
}

interface Row {
  readonly product: string;
  readonly shape: readonly number[];
  /** Largest |found − sum in float64| / (‖row of x‖ · ‖row of W‖). */
  readonly error: number;
  readonly tolerance: number;
  /** Tiles that gave the same bits. */
  readonly tiles: readonly string[];
}

/** Says what was found at once: in software the whole takes minutes. */
function told(row: Row): Row {
  console.error(`${row.product} [${row.shape}]: ${row.error.toExponential(1)}, ${row.tiles.length} tiles alike`);
  return row;
}

/** One product; of two terms, which are what models run on, by every tile that the GPU has room for. */
async function hold({ format, spread, terms, shape: [m, k, n] }: Subject): Promise<Row> {
  const x = values(m * k, 1, SPREADS[spread]);
  const bytes = encodeFromF32(
    values(n * k, 2, format === 'f16' ? 0 : SPREADS[spread]),
    format === 'f16' ? 'F16' : 'BF16',
  );
  const w = decodeToF32(bytes, format === 'f16' ? 'F16' : 'BF16');
  const input = device.upload(x, [m, k]) as Tensor2D;
  const words = device.upload(packHalves(bytes, n, k), [n, Math.ceil(k / 2)]) as Tensor2D;
  const product = () => multiplyStored(input, { words, format, columns: k }, { terms });
  const { found, tiles: alike } = await byEveryTile(terms === 2 ? `units ${format} ${terms}` : undefined, product);
  input.dispose();
  words.dispose();
  const error = errorOf(found, { x, w, shape: [m, k, n] });
  const name = `f32 · ${format}, ${terms} f16 of each, ${spread} values`;
  return { product: name, shape: [m, k, n], error, tolerance: TOLERANCE[terms], tiles: alike };
}

/** The f32 product by every tile. */
async function holdTiles(): Promise<Row[]> {
  const [m, k, n] = [130, 72, 260];
  const [x, w] = [values(m * k, 1, 0), values(n * k, 2, 0)];
  const [a, b] = [device.upload(x, [m, k]), device.upload(w, [n, k])];
  const attributes = { transposeA: false, transposeB: true };
  const product = () => engine().runKernel('birdbone.Product', { a, b }, attributes) as Tensor2D;
  const { found, tiles: alike } = await byEveryTile('product l-f32-4 l-f32-4 ', product);
  a.dispose();
  b.dispose();
  const error = errorOf(found, { x, w, shape: [m, k, n] });
  return [{ product: 'f32 · f32, no units', shape: [m, k, n], error, tolerance: TOLERANCE[2], tiles: alike }];
}

/** Throws where two tiles differ in a bit: each element is the same chain of sums in all of them. */
async function byEveryTile(kernel: string | undefined, product: () => Tensor2D) {
  const run = async (tile?: string) => {
    forced = tile;
    const result = product();
    const found = (await device.read(result)) as Float32Array;
    result.dispose();
    return found;
  };
  const found = await run();
  const names = [...(seen.get(kernel ?? '') ?? [])];
  for (const tile of names) {
    const other = await run(tile);
    if (Buffer.compare(Buffer.from(found.buffer), Buffer.from(other.buffer)) !== 0) {
      throw new Error(`${kernel} by ${tile} differs from ${names[0]}.`);
    }
  }
  return { found, tiles: names };
}

/** Between −1 and 1; with a spread, some of them times powers of two of up to that many up and down. */
function values(length: number, seed: number, spread: number): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length }, () => {
    const value = random.bits() / 2 ** 31 - 1;
    return spread === 0 ? value : value * 2 ** (random.below(2 * spread + 1) - spread);
  });
}

interface Operands {
  readonly x: Float32Array;
  readonly w: Float32Array;
  readonly shape: readonly [m: number, k: number, n: number];
}

function errorOf(found: Float32Array, { x, w, shape: [m, k, n] }: Operands): number {
  let worst = 0;
  for (let index = 0; index < m * n; index += 1) {
    const [row, column] = [Math.floor(index / n), index % n];
    let [sum, left, right] = [0, 0, 0];
    for (let i = 0; i < k; i += 1) {
      const [a, b] = [x[row * k + i]!, w[column * k + i]!];
      sum += a * b;
      left += a * a;
      right += b * b;
    }
    worst = Math.max(worst, Math.abs(found[index]! - sum) / Math.sqrt(left * right));
  }
  return worst;
}

function report(rows: readonly Row[]): void {
  const table = rows.map(({ product, shape, error, tolerance, tiles }) => [
    product,
    `[${shape[0]}, ${shape[1]}] · [${shape[1]}, ${shape[2]}]`,
    error.toExponential(1),
    tolerance.toExponential(1),
    tiles.join(', '),
  ]);
  const shown = markdownTable(['product', 'shape', 'error', 'allowed', 'tiles, all with the same bits'], table);
  console.log(`${device.description}\n\n${shown}`);
  writeSection('matrix-units', `${device.description}\n\n${shown}`, path.join(DOCS, 'matrix-units.md'));
  const wrong = rows.filter(({ error, tolerance }) => !(error <= tolerance));
  const date = new Date().toISOString().slice(0, 10);
  const kept = { date, commit: commit(), machine: machine(), adapter: device.description, rows };
  writeFileSync(RESULTS, `${JSON.stringify(kept, undefined, 2)}\n`);
  if (wrong.length > 0) {
    console.error(`${wrong.length} of ${rows.length} are wrong.`);
    process.exitCode = 1;
  }
}
