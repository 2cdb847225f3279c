import { type HiddenStates, realPositions } from '../model/index.js';
import type { Device } from '../tensor/index.js';
import { alignment, type SampleGram } from './alignment.js';
import { hostGram } from './sample-gram.js';
import { addPair, cosineOf, noSquares, relativeErrorOf, type Squares } from './squares.js';
import type { Drift } from './types.js';

/** The hidden states behind a block: B(x) of the dense model, B'(x) of the compressed block on the same x, B'(x') on its own. */
export interface BlockOutputs {
  readonly dense: HiddenStates;
  readonly crossed: HiddenStates;
  readonly own: HiddenStates;
}

/** What they say of the block. */
export interface HiddenDrift {
  readonly total: Drift;
  readonly own: Drift;
  /** Σ (B'(x) − B(x))², Σ (B'(x') − B'(x))² and Σ B(x)²: errors that come from here, that came in, and the size. */
  readonly ownSquares: number;
  readonly inheritedSquares: number;
  readonly totalSquares: number;
  readonly size: number;
  /** ⟨B'(x') − B(x), B'(x) − B(x)⟩. */
  readonly ownPart: number;
}

/** Compares them over all real tokens, in f64; the alignment over `sample`, ordinals of real tokens of each batch. */
export async function hiddenDrift(
  outputs: BlockOutputs,
  sample: readonly Int32Array[],
  device: Device,
): Promise<HiddenDrift> {
  const sums = { total: noSquares(), own: noSquares(), inherited: 0, ownPart: 0 };
  const samplers = [outputs.dense, outputs.crossed, outputs.own].map(
    ({ hiddenSize }) => new RowSampler(sample, hiddenSize),
  );
  for (const i of outputs.dense.batches.keys()) {
    const found = [await outputs.dense.load(i), await outputs.crossed.load(i), await outputs.own.load(i)];
    const positions = realPositions(outputs.dense.batches[i]!);
    addBatch(sums, found as [Float32Array, Float32Array, Float32Array], positions, outputs.dense.hiddenSize);
    for (const [k, sampler] of samplers.entries()) sampler.take(i, found[k]!, positions);
  }
  const [dense, crossed, own] = (await gramsOf(samplers, device)) as [SampleGram, SampleGram, SampleGram];
  return {
    total: driftOf(sums.total, alignment(dense, own)),
    own: driftOf(sums.own, alignment(dense, crossed)),
    ownSquares: sums.own.difference,
    inheritedSquares: sums.inherited,
    totalSquares: sums.total.difference,
    size: sums.own.before,
    ownPart: sums.ownPart,
  };
}

export function driftOf(sums: Squares, cka: number | null): Drift {
  return { relativeError: relativeErrorOf(sums), cosine: cosineOf(sums), cka };
}

interface BlockSums {
  readonly total: Squares;
  readonly own: Squares;
  inherited: number;
  ownPart: number;
}

function addBatch(
  sums: BlockSums,
  [dense, crossed, own]: readonly [Float32Array, Float32Array, Float32Array],
  positions: Int32Array,
  width: number,
): void {
  for (const position of positions) {
    for (let at = position * width; at < (position + 1) * width; at += 1) {
      const [y, c, z] = [dense[at]!, crossed[at]!, own[at]!];
      addPair(sums.total, y, z);
      addPair(sums.own, y, c);
      sums.inherited += (z - c) ** 2;
      sums.ownPart += (z - y) * (c - y);
    }
  }
}

/** Rows of hidden states at the sampled tokens, batch after batch. */
export class RowSampler {
  readonly #sample: readonly Int32Array[];
  readonly #width: number;
  readonly #values: Float32Array;
  #filled = 0;

  constructor(sample: readonly Int32Array[], width: number) {
    this.#sample = sample;
    this.#width = width;
    this.#values = new Float32Array(width * sample.reduce((sum, { length }) => sum + length, 0));
  }

  take(batch: number, values: Float32Array, positions: Int32Array): void {
    for (const ordinal of this.#sample[batch]!) {
      const start = positions[ordinal]! * this.#width;
      this.#values.set(values.subarray(start, start + this.#width), this.#filled);
      this.#filled += this.#width;
    }
  }

  gram(device: Device): Promise<SampleGram> {
    return hostGram(this.#values, this.#width, device);
  }
}

async function gramsOf(samplers: readonly RowSampler[], device: Device): Promise<SampleGram[]> {
  const grams: SampleGram[] = [];
  for (const sampler of samplers) grams.push(await sampler.gram(device));
  return grams;
}
