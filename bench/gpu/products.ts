import { matMul, slice, type Tensor2D } from '@tensorflow/tfjs-core';
import { max, median, min } from 'simple-statistics';
import { seededRandom } from '../../src/random.js';
import { encodeFromF32, multiplyStored, packHalves, type StoredFormat } from '../../src/tensor/index.js';
import type { Bench, Stage } from './stage.js';
import { timed } from './stage.js';

/** One way to multiply x [m, k] by W [n, k] transposed, as a linear layer does. */
interface Way {
  readonly name: string;
  /** Relative to the length of a row of x times that of a row of W: what its arithmetic allows. */
  readonly tolerance: number;
  /** Makes operands, and a function that queues one product; undefined where the GPU has not what it needs. */
  prepare(bench: Bench, sides: Sides): Promise<Prepared | undefined>;
}

interface Prepared {
  product(): Tensor2D;
  dispose(): void;
}

interface Sides {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly x: Float32Array;
  readonly w: Float32Array;
}

/** A result is compared at this many places with sums in float64. */
const CHECKED = 64;

const float32: Way = {
  name: 'f32',
  tolerance: 1e-5,
  async prepare({ device }, { m, k, n, x, w }) {
    const [left, right] = [device.upload(x, [m, k]) as Tensor2D, device.upload(w, [n, k]) as Tensor2D];
    return {
      product: () => matMul(left, right, false, true),
      dispose: () => {
        left.dispose();
        right.dispose();
      },
    };
  },
};

/** With W of 16-bit floats, widened as it is read; by matrix units where there are any, which take x as one f16 or as two. */
function stored(name: string, format: StoredFormat, terms: 1 | 2): Way {
  return {
    name,
    // All values here are exact in 16 bits of either kind.
    tolerance: 1e-5,
    async prepare({ device }, { m, k, n, x, w }) {
      if (!device.multipliesStored) return undefined;
      const bytes = encodeFromF32(w, format === 'f16' ? 'F16' : 'BF16');
      const left = device.upload(x, [m, k]) as Tensor2D;
      const words = device.upload(packHalves(bytes, n, k), [n, Math.ceil(k / 2)]) as Tensor2D;
      return {
        product: () => multiplyStored(left, { words, format, columns: k }, { terms }),
        dispose: () => {
          left.dispose();
          words.dispose();
        },
      };
    },
  };
}

/**
 * `f16` is f16 by f16, where there are matrix units: without them x stays f32, as with the two behind it, which are what a forward pass
 * takes. A new one is a row.
 */
const WAYS: readonly Way[] = [
  float32,
  stored('f16', 'f16', 1),
  stored('f16 weights', 'f16', 2),
  stored('bf16 weights', 'bf16', 2),
];

/** Floating-point operations a second of each way and size, and how far the results were from sums in float64. */
export const products: Stage = async (bench) => {
  const found = [];
  for (const [m, k, n] of bench.sizes.products) {
    const sides = { m, k, n, x: randomValues(m * k, 1), w: randomValues(n * k, 2) };
    for (const way of WAYS) {
      const by = way.name !== 'f32' && bench.device.fastPaths.includes('matrix units') ? 'matrix units' : 'f32 tiles';
      found.push({ way: way.name, by, m, k, n, ...(await measure(bench, way, sides)) });
    }
  }
  return found;
};

async function measure(bench: Bench, way: Way, sides: Sides) {
  const prepared = await way.prepare(bench, sides);
  // The first product, which is checked, has the tuner measure tiles; those that are timed have the fastest.
  if (prepared === undefined) return { missing: 'the GPU has not what it needs' };
  const { sizes } = bench;
  try {
    const error = await errorOf(bench, prepared, sides);
    if (!(error <= way.tolerance)) throw new Error(`${way.name} is wrong by ${error}, above ${way.tolerance}.`);
    const [once] = await timed(1, () => queue(bench, prepared, 1));
    const count = Math.max(1, Math.ceil(sizes.minSeconds / once!));
    const seconds = await timed(sizes.rounds, () => queue(bench, prepared, count));
    const rates = seconds.map((each) => (2 * count * sides.m * sides.k * sides.n) / each);
    return { count, flops: median(rates), lowest: min(rates), highest: max(rates), error };
  } finally {
    prepared.dispose();
  }
}

/** Queues products behind each other, and waits for the last one's first element. */
async function queue({ device }: Bench, { product }: Prepared, count: number): Promise<void> {
  for (let run = 1; run < count; run += 1) product().dispose();
  const last = product();
  const cell = slice(last, [0, 0], [1, 1]);
  await device.read(cell);
  cell.dispose();
  last.dispose();
}

async function errorOf({ device }: Bench, { product }: Prepared, { m, k, n, x, w }: Sides): Promise<number> {
  const result = product();
  const random = seededRandom(3);
  let worst = 0;
  for (let check = 0; check < CHECKED; check += 1) {
    const [row, column] = [random.below(m), random.below(n)];
    const cell = slice(result, [row, column], [1, 1]);
    const [value] = await device.read(cell);
    cell.dispose();
    let [sum, left, right] = [0, 0, 0];
    for (let i = 0; i < k; i += 1) {
      const [a, b] = [x[row * k + i]!, w[column * k + i]!];
      sum += a * b;
      left += a * a;
      right += b * b;
    }
    worst = Math.max(worst, Math.abs(value! - sum) / Math.sqrt(left * right));
  }
  result.dispose();
  return worst;
}

/** Between −½ and ½, in steps so coarse that bf16 and f16 have all of them. */
function randomValues(length: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length }, () => (random.bits() >>> 25) / 128 - 0.5);
}
