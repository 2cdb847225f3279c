import {
  abs,
  cast,
  concat,
  greater,
  keep,
  matMul,
  mean,
  mul,
  ones,
  slice,
  sqrt,
  square,
  sub,
  type Tensor,
  type Tensor2D,
  tidy,
} from '@tensorflow/tfjs-core';
import { BirdboneError } from '../errors.js';
import type { Device } from '../tensor/index.js';
import { summedRanges } from './collector.js';
import { MOMENT_ROWS, MomentSums, type OutputMoments } from './output-moments.js';
import { SKETCH_COLUMNS, TokenSigns } from './token-signs.js';

/** What a text showed of some neurons' outputs. */
export interface OutputEvidence extends OutputMoments {
  readonly neurons: number;
  /** Tokens that were counted: 0 for those of an expert that no token was sent to. */
  readonly tokens: number;
  /**
   * The standardised outputs times random signs, [neurons, SKETCH_COLUMNS]: inner products of two rows are the neurons' correlation
   * within the sketch's error, and the principal components of the rows are those of the correlation matrix (Johnson &
   * Lindenstrauss 1984; Halko, Martinsson & Tropp 2011). The whole matrix is never there. 0 for a neuron that never varies.
   */
  readonly sketch: Float64Array;
}

/** Gathers the figures of one group of neurons, batch after batch. */
export class OutputSums {
  readonly #device: Device;
  readonly #neurons: number;
  readonly #moments: MomentSums;
  readonly #signs: TokenSigns;
  /** Σ (x − shift) ωᵀ and Σ ω. */
  readonly #products: Float64Array;
  readonly #signSums = new Float64Array(SKETCH_COLUMNS);
  /** The first tokens' mean: near enough to every mean that nothing cancels when it is put right in the end. */
  #shift: Float32Array | undefined;
  #pending: { readonly values: Tensor2D }[] = [];

  constructor(neurons: number, device: Device, seed: number) {
    this.#neurons = neurons;
    this.#device = device;
    this.#moments = new MomentSums(neurons);
    this.#signs = new TokenSigns(seed);
    this.#products = new Float64Array(neurons * SKETCH_COLUMNS);
  }

  /** Sees outputs [tokens, neurons] inside the pass's tidy. */
  observe(values: Tensor2D): void {
    this.#pending.push({ values: keep(values) });
  }

  async settle(): Promise<void> {
    try {
      for (const { values } of this.#pending) {
        for (const { start, count } of summedRanges(values.shape[0])) await this.#add(values, start, count);
      }
    } finally {
      this.drop();
    }
  }

  drop(): void {
    for (const { values } of this.#pending) values.dispose();
    this.#pending = [];
  }

  /** Throws `unsupported` where outputs were not finite; `name` says whose they are. */
  finish(name: string): OutputEvidence {
    const moments = this.#moments.finish();
    const { mean: means, variance } = moments;
    const bad = means.findIndex((value, j) => !Number.isFinite(value) || !Number.isFinite(variance[j]!));
    if (bad >= 0) {
      throw new BirdboneError('unsupported', `Output ${bad} of ${name} is not finite on the calibration text.`, {
        tensor: name,
        suggestions: ['See whether the model gives finite figures: birdbone evaluate'],
      });
    }
    return { neurons: this.#neurons, tokens: this.#moments.tokens, ...moments, sketch: this.#sketch(moments) };
  }

  async #add(values: Tensor2D, start: number, count: number): Promise<void> {
    const rows = tidy(() => slice(values, [start, 0], [count, this.#neurons]));
    const sums = tidy(() => momentsOf(rows));
    try {
      const found = (await this.#device.read(sums)) as Float32Array;
      this.#shift ??= found.slice(0, this.#neurons);
      this.#moments.add(found, count);
      await this.#addProducts(rows, this.#shift);
    } finally {
      rows.dispose();
      sums.dispose();
    }
  }

  async #addProducts(rows: Tensor2D, shift: Float32Array): Promise<void> {
    const [tokens] = rows.shape;
    const values = this.#signs.next(tokens);
    for (let i = 0; i < values.length; i += 1) this.#signSums[i % SKETCH_COLUMNS]! += values[i]!;
    const product = tidy(() => {
      const signs = this.#device.upload(values, [tokens, SKETCH_COLUMNS]) as Tensor2D;
      const about = this.#device.upload(shift, [1, this.#neurons]);
      return matMul(sub(rows, about) as Tensor2D, signs, true, false);
    });
    try {
      const found = (await this.#device.read(product)) as Float32Array;
      for (let i = 0; i < found.length; i += 1) this.#products[i]! += found[i]!;
    } finally {
      product.dispose();
    }
  }

  #sketch({ mean: means, variance }: OutputMoments): Float64Array {
    const sketch = this.#products;
    const scale = Math.sqrt(Math.max(1, this.#moments.tokens) * SKETCH_COLUMNS);
    for (let j = 0; j < this.#neurons; j += 1) {
      const left = means[j]! - (this.#shift?.[j] ?? 0);
      const factor = variance[j]! > 0 ? 1 / (Math.sqrt(variance[j]!) * scale) : 0;
      for (let c = 0; c < SKETCH_COLUMNS; c += 1) {
        const at = j * SKETCH_COLUMNS + c;
        sketch[at] = (sketch[at]! - left * this.#signSums[c]!) * factor;
      }
    }
    return sketch;
  }
}

/** [n, neurons] → `MOMENT_ROWS`, [7, neurons]. */
function momentsOf(values: Tensor2D): Tensor2D {
  const [rows] = values.shape;
  const counted = ones([1, rows]) as Tensor2D;
  // As products, since sums along the first axis transpose the matrix on some devices.
  const sum = (of: Tensor): Tensor2D => matMul(counted, of as Tensor2D);
  const centre = mul(sum(values), 1 / rows) as Tensor2D;
  const first = sub(values, centre) as Tensor2D;
  const second = square(first);
  const third = mul(second, first) as Tensor2D;
  const amounts = abs(values);
  const loud = cast(greater(amounts, sqrt(mean(square(values), 1, true))), 'float32');
  const found: Record<(typeof MOMENT_ROWS)[number], Tensor2D> = {
    mean: centre,
    first: sum(first),
    second: sum(second),
    third: sum(third),
    fourth: sum(square(second)),
    amount: sum(amounts),
    firing: sum(loud),
  };
  return concat(
    MOMENT_ROWS.map((row) => found[row]),
    0,
  );
}
