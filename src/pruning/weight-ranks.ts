import { clipByValue, mul, sub, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import { createArrays, type LoadedBlock, type SpillableArrays } from '../model/index.js';
import type { MatrixScores } from '../sparsity/index.js';
import type { Device, Matrix } from '../tensor/index.js';
import type { EditContext } from './edit.js';
import { prunableLinears } from './plan-masks.js';
import { passWanda } from './wanda-pass.js';

/** Ranks are told apart by one byte. */
const RANKS = 256;

/**
 * Where each weight stands among those that compete with it: ⌊256 · rank / count⌋, one byte each. A matrix at any sparsity s is then
 * what stands at 256 · s or above. Kept in memory, or in a file above `memoryBytes`.
 */
export class WeightRanks {
  readonly #arrays: SpillableArrays;
  readonly #places: ReadonlyMap<string, number>;

  private constructor(arrays: SpillableArrays, places: ReadonlyMap<string, number>) {
    this.#arrays = arrays;
    this.#places = places;
  }

  /** Ranks the weights of every matrix that pruning may change by Wanda's scores, which `observe` sees on the way. */
  static async of(
    compare: 'row' | 'layer',
    context: EditContext,
    observe?: (scores: MatrixScores) => void,
  ): Promise<WeightRanks> {
    const { model } = context;
    const linears = model.decoder.blocks.flatMap(({ index }) => prunableLinears(model, index));
    const places = new Map(linears.map(({ weight }, place) => [weight, place]));
    // Four ranks in the place of one float.
    const arrays = await createArrays(
      linears.map(({ rows, columns }) => Math.ceil((rows * columns) / 4)),
      context,
    );
    try {
      await passWanda(context, async ({ linears: specs, score }) => {
        for (const spec of specs) {
          const scores = await score(spec);
          observe?.(scores);
          const ranks = ranksOf(scores, compare);
          await arrays.store(places.get(spec.weight)!, new Float32Array(ranks.buffer));
        }
      });
      return new WeightRanks(arrays, places);
    } catch (error) {
      await arrays.close();
      throw error;
    }
  }

  /** Uploads the ranks of a block's matrices, split as their weights are; by name. */
  async upload(block: LoadedBlock, device: Device): Promise<ReadonlyMap<string, Matrix>> {
    const uploaded = new Map<string, Matrix>();
    for (const [name, { weight }] of block.linears) {
      const place = this.#places.get(name);
      if (place === undefined) continue;
      const { buffer, byteOffset } = await this.#arrays.load(place);
      let next = byteOffset;
      const parts = weight.parts.map(({ size, shape }) => {
        const part = device.upload(Float32Array.from(new Uint8Array(buffer, next, size)), shape);
        next += size;
        return part;
      });
      uploaded.set(name, { ...weight, parts });
    }
    return uploaded;
  }

  close(): Promise<void> {
    return this.#arrays.close();
  }
}

/** How sparse a matrix is to be: the same in all rows, or [rows]. */
export type Sparsities = number | Float32Array;

/** The ranks from which weights stay: one number, or one of each row. */
export function leastRanks(sparsities: Sparsities): number | Float32Array {
  if (typeof sparsities === 'number') return Math.round(RANKS * sparsities);
  return sparsities.map((sparsity) => Math.round(RANKS * sparsity));
}

/** The weight without what ranks below `least`, on the device. The caller disposes it. */
export function maskedWeight(
  weight: Matrix,
  ranks: Matrix,
  { least, device }: { readonly least: number | Float32Array; readonly device: Device },
): Matrix {
  let firstRow = 0;
  const parts = weight.parts.map((part, i) => {
    const rows = part.shape[0]!;
    const below =
      typeof least === 'number' ? least - 1 : least.subarray(firstRow, firstRow + rows).map((rank) => rank - 1);
    firstRow += rows;
    return tidy(() => {
      const limit = typeof below === 'number' ? below : (device.upload(below, [rows, 1]) as Tensor2D);
      // Ranks are whole: clipped to 0 and 1 it is the mask, several times as fast as a comparison on WebAssembly.
      return mul(part, clipByValue(sub(ranks.parts[i]!, limit), 0, 1)) as Tensor2D;
    });
  });
  return { ...weight, parts };
}

function ranksOf({ values, columns }: MatrixScores, compare: 'row' | 'layer'): Uint8Array {
  // Whole floats, as it will be seen as such.
  const ranks = new Uint8Array(4 * Math.ceil(values.length / 4));
  const group = compare === 'row' ? columns : values.length;
  for (let start = 0; start < values.length; start += group)
    rankGroup(values.subarray(start, start + group), ranks, start);
  return ranks;
}

/** A value's rank is how many of the 255 values that cut the sorted group into equal parts it reaches. */
function rankGroup(values: Float32Array, ranks: Uint8Array, start: number): void {
  const sorted = values.slice().sort();
  const cuts = Float32Array.from(
    { length: RANKS - 1 },
    (_, k) => sorted[Math.floor(((k + 1) * values.length) / RANKS)]!,
  );
  for (let i = 0; i < values.length; i += 1) ranks[start + i] = countUpTo(cuts, values[i]!);
}

/** How many of the rising `cuts` are at most `value`. */
function countUpTo(cuts: Float32Array, value: number): number {
  let [low, high] = [0, cuts.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (cuts[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
